/**
 * The command line of a trainer.
 */
#ifndef ITR_HOST_ARGS_H
#define ITR_HOST_ARGS_H

#include "../itr.h"
#include "message.h"

typedef struct itr_options {
    const char *data;
    const char *eval;
    int64_t epochs; /**< 1 by default */
    int64_t steps;  /**< absolute; -1: not given */
    bool lr_given, schedule_given, warmup_given, seed_given;
    itr_schedule schedule; /**< the members that were given */
    uint64_t seed;
    int64_t threads; /**< 0: not given */
    const char *log;
    int64_t log_every;
    const char *save;
    int64_t save_every; /**< 0: at the end alone */
    const char *resume;
    int64_t eval_every; /**< 0: at the end of each epoch */
    const char *stats;
    int64_t stats_every;
    const char *trace;
    const char *confusion;
    bool top5, profile;
    bool digest, quiet, drop_last, help, version;
} itr_options;

/** Parses the arguments; strings point into argv. 0 or 2. */
int itr_options_parse(itr_options *o, int argc, char **argv, itr_message *m);

/** Parses constant | step:PERIOD[:FACTOR] | cosine:STEPS | linear:STEPS | inverse:DECAY[:FIRST]; lr
 * and warmup stay. */
bool itr_parse_schedule(const char *text, itr_schedule *s);
/** The inverse; `room` >= 64. */
void itr_format_schedule(const itr_schedule *s, char *text, size_t room);

/** The text of --help. */
extern const char itr_usage[];

#endif
