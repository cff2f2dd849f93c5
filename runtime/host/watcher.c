#include "watcher.h"

#include <string.h>

static void after(const itr_watch *watch, void *state, int32_t node, int64_t rows)
{
    itr_watcher *w = watch->user;
    if (w->has_profile) {
        itr_profile_node(&w->profile, node);
    }
    if (w->scoring && w->counts_scores) {
        itr_scores_after(&w->scores, state, node);
    }
    if (!w->scoring && w->has_stats) {
        itr_stats_after(&w->stats, state, w->model->exponents(state), node, rows);
    }
    if (w->has_profile && (w->counts_scores || w->has_stats)) {
        itr_profile_mark(&w->profile); /* the others' time is no node's */
    }
}

int itr_watcher_open(itr_watcher *w, const itr_model *model, void *state, const itr_options *o,
                     itr_message *m)
{
    int code = 0;
    memset(w, 0, sizeof *w);
    w->model = model;
    w->state = state;
    w->watch.after = after;
    w->watch.user = w;
    if (o->top5 || o->confusion) {
        w->counts_scores = true;
        code = itr_scores_open(&w->scores, model, o->confusion != NULL, m);
    }
    if (code == 0 && o->stats) {
        w->has_stats = true;
        code = itr_stats_open(&w->stats, model, model->run(state), o->stats, o->stats_every,
                              o->resume != NULL, m);
    }
    if (code == 0 && (o->profile || o->trace)) {
        w->has_profile = true;
        code = itr_profile_open(&w->profile, model, o->trace, m);
    }
    return code;
}

void itr_watcher_idle(itr_watcher *w)
{
    if (w->has_profile) {
        itr_profile_mark(&w->profile);
    }
}

static void begin(itr_watcher *w, bool wanted)
{
    if (w->has_profile) {
        itr_profile_part_done(&w->profile, ITR_PROFILE_DATA);
    }
    w->model->run(w->state)->watch = wanted || w->has_profile ? &w->watch : NULL;
}

void itr_watcher_step(itr_watcher *w, int64_t step)
{
    w->scoring = false;
    if (w->has_stats) {
        itr_stats_begin(&w->stats, w->state, w->model->exponents(w->state), step);
    }
    begin(w, w->has_stats && w->stats.active);
}

void itr_watcher_score(itr_watcher *w, const itr_array *targets)
{
    w->scoring = true;
    if (w->counts_scores) {
        itr_scores_begin(&w->scores, targets);
    }
    begin(w, w->counts_scores);
}

void itr_watcher_done(itr_watcher *w)
{
    w->model->run(w->state)->watch = NULL;
    if (w->has_profile) {
        itr_profile_part_done(&w->profile, ITR_PROFILE_STATE);
    }
}

int itr_watcher_close(itr_watcher *w, itr_message *m)
{
    int code = w->has_stats ? itr_stats_close(&w->stats, m) : 0;
    if (w->has_profile) {
        const int trace = itr_profile_close(&w->profile, m);
        code = code ? code : trace;
    }
    if (w->model) {
        itr_scores_free(&w->scores);
        itr_stats_free(&w->stats);
        itr_profile_free(&w->profile);
    }
    return code;
}
