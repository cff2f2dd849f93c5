/**
 * Who watches a training, as the options ask for: scores of evaluation, statistics, a profile. All
 * of them hang on one itr_watch, which is there only while one of them wants it.
 */
#ifndef ITR_HOST_WATCHER_H
#define ITR_HOST_WATCHER_H

#include "args.h"
#include "profile.h"
#include "scores.h"
#include "stats.h"

typedef struct itr_watcher {
    const itr_model *model;
    void *state;
    itr_watch watch;
    bool counts_scores, has_stats, has_profile;
    bool scoring; /**< a call of model->score is in progress, not a step */
    itr_scores scores;
    itr_stats stats;
    itr_profile profile;
} itr_watcher;

/** Opens what the options ask for. 0, 2 or 3. Close it after a failure as well. */
int itr_watcher_open(itr_watcher *w, const itr_model *model, void *state, const itr_options *o,
                     itr_message *m);
/** Before rows are prepared; between that and a call of the model; after it. */
void itr_watcher_idle(itr_watcher *w);
void itr_watcher_step(itr_watcher *w, int64_t step);
void itr_watcher_score(itr_watcher *w, const itr_array *targets);
void itr_watcher_done(itr_watcher *w);
/** Ends the files and frees everything. 0 or 3. */
int itr_watcher_close(itr_watcher *w, itr_message *m);

#endif
