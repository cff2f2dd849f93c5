/**
 * What a person sees of a run on standard output: on a terminal one line, redrawn; elsewhere a
 * plain line at most each second.
 */
#ifndef ITR_HOST_PROGRESS_H
#define ITR_HOST_PROGRESS_H

#include "scores.h"

typedef struct itr_progress {
    const itr_model *model;
    bool quiet;
    bool terminal;
    bool colour;
    bool drawn;    /**< an unfinished line is on the terminal */
    int64_t start; /**< nanoseconds */
    int64_t last;  /**< when a line was written; 0: never */
    int64_t first_step;
    int64_t samples;   /**< since the start */
    itr_metrics since; /**< the line before */
} itr_progress;

/** Where a run is, and how many steps it has still to do. */
typedef struct itr_progress_at {
    int64_t step;
    int64_t epoch;  /**< from 1 */
    int64_t epochs; /**< 0: the run is counted in steps */
    int64_t left;
} itr_progress_at;

void itr_progress_open(itr_progress *p, const itr_model *model, bool quiet, int64_t step);
void itr_progress_step(itr_progress *p, const itr_progress_at *at, const itr_metrics *metrics);
/** top5 NULL: not asked for. */
void itr_progress_eval(itr_progress *p, int64_t step, const itr_metrics *metrics,
                       const itr_scores *top5);
/** Makes room for a line of somebody else. */
void itr_progress_clear(itr_progress *p);
/** A note on a line of its own. */
void itr_progress_note(itr_progress *p, const char *text);
/** The final line. */
void itr_progress_close(itr_progress *p, const itr_progress_at *at);

#endif
