/**
 * The log of a run: one JSON object a line, numbers as plain decimals.
 *
 *   {"event":"start", "program","intrain" (version that compiled the trainer),"model","arith",
 *    "model_hash","plan_hash","settings":{...} (compile options),"arguments":[...],
 *    "data":{"spec","rows","files":[{"name","sha256"}]},"eval":{the same} (where given),
 *    "batch","micro_batch","seed","lr","schedule","warmup","threads","step" (first step's number
 *    less one)}
 *   {"event":"step","step":steps done,"epoch":from 1,"loss":mean since the line before,
 *    "accuracy" (where a loss is a cross-entropy),"lr":of this step,
 *    "samples":trained on since the start,"seconds":since the start}
 *   {"event":"eval","step","loss","accuracy" (as above),"top5" (--top5),"samples","seconds"}
 *   {"event":"warning","step","id","text"}
 *   {"event":"end","step","digest","samples","seconds","status":"done", "interrupted", "diverged"}
 */
#ifndef ITR_HOST_LOG_H
#define ITR_HOST_LOG_H

#include "data.h"
#include "scores.h"

#include <stdio.h>

typedef struct itr_log {
    FILE *file; /**< NULL: nothing is logged */
    const char *name;
    bool standard_output;
    int64_t every;
    int64_t start; /**< nanoseconds */
    int64_t samples;
    itr_metrics since; /**< the last step line */
} itr_log;

typedef struct itr_log_data {
    const char *spec; /**< NULL: not given */
    const itr_dataset *set;
} itr_log_data;

/** Nanoseconds of a monotonic clock. */
int64_t itr_now(void);

/** path NULL: only the clock starts. 0 or 3. */
int itr_log_open(itr_log *log, const char *path, bool append, int64_t every, itr_message *m);
/** data: of training, of evaluation. Each of these answers 0, or 3 when the log cannot be written.
 */
int itr_log_start(itr_log *log, const itr_model *model, const itr_run *run, int argc, char **argv,
                  int64_t threads, const itr_log_data data[2], itr_message *m);
int itr_log_step(itr_log *log, const itr_model *model, int64_t step, int64_t epoch, itr_scalar lr,
                 const itr_metrics *metrics, itr_message *m);
/** top5 NULL: not asked for. */
int itr_log_eval(itr_log *log, const itr_model *model, int64_t step, const itr_metrics *metrics,
                 const itr_scores *top5, itr_message *m);
/** A failure to write it shows with the next line. */
void itr_log_warning(itr_log *log, int64_t step, const char *id, const char *text);
int itr_log_end(itr_log *log, int64_t step, const char *digest, const char *status, itr_message *m);
int itr_log_close(itr_log *log, itr_message *m);

/** A text as a JSON string. */
void itr_log_string(FILE *f, const char *text);

/** Adds b to a. */
void itr_metrics_add(itr_metrics *a, const itr_metrics *b);

#endif
