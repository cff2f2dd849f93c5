/**
 * More than a loss says of an evaluation: how often the target is among the largest five scores,
 * and which class is taken for which. Both are counted where a cross-entropy of evaluation has its
 * scores at hand (itr_loss_info); rows that a loss ignores do not count.
 *
 * Of equal scores the first counts as the largest, as for accuracy.
 */
#ifndef ITR_HOST_SCORES_H
#define ITR_HOST_SCORES_H

#include "../itr.h"
#include "message.h"

#define ITR_TOP_SCORES 5

typedef struct itr_scores {
    const itr_model *model;
    const itr_array *targets; /**< of the call in progress */
    int64_t *sample;          /**< a loss: samples of the call that it has seen */
    int64_t rows, top;        /**< of all losses; rows with the target among the largest five */
    int64_t classes;          /**< of the first loss */
    int64_t *confusion;       /**< its [target][largest]; NULL: not asked for */
} itr_scores;

/** 0, 2 (E0504: no loss compares scores with a class) or 3. Free it after a failure as well. */
int itr_scores_open(itr_scores *s, const itr_model *model, bool confusion, itr_message *m);
/** Before an evaluation: everything is 0. */
void itr_scores_clear(itr_scores *s);
/** Before each call of model->score with these targets. */
void itr_scores_begin(itr_scores *s, const itr_array *targets);
/** Somewhere in that call a node is done. */
void itr_scores_after(itr_scores *s, const void *state, int32_t node);
/**
 * Replaces a file by the confusion table: a line "target,0,1,...", then one a target: its number,
 * and how often each class had the largest score. 0 or 3.
 */
int itr_scores_write(const itr_scores *s, const char *path, itr_message *m);
void itr_scores_free(itr_scores *s);

#endif
