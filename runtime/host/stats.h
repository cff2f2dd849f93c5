/**
 * Watching the numbers: every N steps, what each rounded tensor's mantissas look like, and how far
 * the weights move. One JSON object a line:
 *
 *   {"event":"stats-start","model","arith","plan_hash","seed","every":N}
 *   {"event":"stats","step":S,"tensor":a trained or kept tensor,"kind":"param" or "slot",
 *    "elements","exponent","top","zeros":share,"extremes":share, and of what is trained
 *    "update_ratio":sum|new - old| / sum|old|, "moved":share of elements that changed,
 *    "gradient_exponent","gradient_top"}
 *   {"event":"stats","step":S,"tensor":name of a value,"kind":"fwd","dx","dw","loss","view" or
 *    "grid","node","elements","exponent","top","zeros","extremes"}
 *   {"event":"warning","step":S,"id","tensor","text"}
 *
 * All magnitudes are below 2^top, and the largest is not below half of that: unlike exponents, tops
 * of different widths compare. An extreme is a mantissa of the largest magnitude that its width
 * has. Over the micro-batches of a step elements add up, and the exponent is that of the last.
 * Everything is counted in integers; ratios are printed as decimals. Nothing is looked at, and no
 * bit changes, in the other steps.
 *
 * Warnings, once each until it is over: W0550 a trained tensor did not change in the last
 * ITR_STATS_STILL observed steps though the learning rate was not 0; W0551 a top has grown by
 * ITR_STATS_GROWTH or more since the first observed step.
 */
#ifndef ITR_HOST_STATS_H
#define ITR_HOST_STATS_H

#include "../itr.h"
#include "message.h"

#include <stdio.h>

#define ITR_STATS_STILL 5
#define ITR_STATS_GROWTH 16

/** Counts over a tensor's mantissas. */
typedef struct itr_stats_count {
    int64_t elements, zeros, extremes;
    uint64_t largest; /**< magnitude */
} itr_stats_count;

/** What is remembered of a tensor or node from one observed step to the next. */
typedef struct itr_stats_memory {
    bool seen;
    int64_t first; /**< top when it was first seen with something in it */
    int32_t still; /**< observed steps in a row without a change */
    bool warned_still, warned_growth;
} itr_stats_memory;

typedef struct itr_stats {
    const itr_model *model;
    FILE *file;
    const char *name;
    int64_t every;
    bool active;   /**< this step is observed */
    bool *watched; /**< model->node_count: its result is rounded, or a gradient */
    itr_stats_count *node;
    int32_t *node_exponent;
    itr_stats_memory *memory; /**< of tensors, then of nodes */
    void **before;            /**< a trained tensor: its bytes before the step; NULL: another */
    int32_t *exponent_before;
    char warning[512];
} itr_stats;

/** Opens the file and writes the first line. 0, 2 (E0503) or 3. Free it after a failure as well. */
int itr_stats_open(itr_stats *s, const itr_model *model, const itr_run *run, const char *path,
                   int64_t every, bool append, itr_message *m);
/** Before step number `step` (1 is the first): observes it if it is one of every N. */
void itr_stats_begin(itr_stats *s, const void *state, const int32_t *exponents, int64_t step);
void itr_stats_after(itr_stats *s, const void *state, const int32_t *exponents, int32_t node,
                     int64_t rows);
/** After that step: writes the lines; each warning goes to `tell` as well. 0 or 3. */
int itr_stats_end(itr_stats *s, const void *state, const int32_t *exponents, int64_t step,
                  bool rate_is_zero, void (*tell)(void *user, const char *id, const char *text),
                  void *user, itr_message *m);
int itr_stats_close(itr_stats *s, itr_message *m);
void itr_stats_free(itr_stats *s);

#endif
