/**
 * Where the time goes: nanoseconds and calls of each node, and of what is no node; and the same as
 * a trace that Chrome's chrome://tracing and Perfetto show.
 */
#ifndef ITR_HOST_PROFILE_H
#define ITR_HOST_PROFILE_H

#include "../itr.h"
#include "message.h"

#include <stdio.h>

/** What is no node. */
typedef enum itr_profile_part {
    ITR_PROFILE_DATA,  /**< rows are prepared */
    ITR_PROFILE_STATE, /**< a call of the model, after its last node */
    ITR_PROFILE_PARTS
} itr_profile_part;

typedef struct itr_profile {
    const itr_model *model;
    int64_t start, last; /**< nanoseconds: of the profile, and where the time at hand begins */
    int64_t *time;       /**< a node, then a part */
    int64_t *calls;
    FILE *trace; /**< NULL: none */
    const char *trace_name;
    int64_t events;
} itr_profile;

/** trace NULL: only the table. 0, 2 (E0503) or 3. Free it after a failure as well. */
int itr_profile_open(itr_profile *p, const itr_model *model, const char *trace, itr_message *m);
/** The time from here on belongs to what is done next. */
void itr_profile_mark(itr_profile *p);
/** The time since the mark, or since what was done before, was a node's; or a part's. */
void itr_profile_node(itr_profile *p, int32_t node);
void itr_profile_part_done(itr_profile *p, itr_profile_part part);
/** Prints the table, slowest first. */
void itr_profile_print(const itr_profile *p, FILE *to);
/** Ends the trace. 0 or 3. */
int itr_profile_close(itr_profile *p, itr_message *m);
void itr_profile_free(itr_profile *p);

#endif
