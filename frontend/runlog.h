/**
 * The log of a training (--log FILE.jsonl) as arrays of numbers.
 */
#ifndef ITC_FRONTEND_RUNLOG_H
#define ITC_FRONTEND_RUNLOG_H

#include "ir/base.h"

/** One "step" or "eval" event. `accuracy` is -1 where the event has none. */
typedef struct itc_run_point {
    int64_t step, epoch;
    double loss, accuracy, lr;
    int64_t samples;
    double seconds;
} itc_run_point;

/** One line of the start event: "settings / optimizer", "sgd,momentum=0.9". */
typedef struct itc_run_setting {
    const char *key, *value;
} itc_run_setting;

typedef struct itc_runlog {
    const char *path;
    const char *label;               /**< file name without folder and ending */
    const char *model, *arith;       /**< "" where the log does not say */
    const itc_run_setting *settings; /**< of the last start event */
    int n_settings;
    const itc_run_point *steps, *evals; /**< in the order of the log; steps never go back */
    int n_steps, n_evals;
    int starts;         /**< start events: 1, and one more a resumption */
    const char *digest; /**< "" where there is none: the run did not end */
    const char *status; /**< of the end event, "" where there is none */
    double seconds;     /**< of the end event, otherwise of the last step */
    bool truncated;     /**< the last line breaks off, and is left out */
} itc_runlog;

/**
 * Reads a log. Events of other names are skipped. What a resumed run does again replaces what the
 * log held from that step on. E0001: the file; E0620: not a log of a training.
 */
ITC_NODISCARD itc_status itc_runlog_read(itc_ctx *ctx, const char *path, itc_runlog *out);

/** Training loss as shown: an exponential mean of about a fiftieth of the run. n values. */
double *itc_runlog_smooth(itc_ctx *ctx, const double *y, int n);

#endif
