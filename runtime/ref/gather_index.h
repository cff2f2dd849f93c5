/**
 * Indices of a gather, checked.
 */
#ifndef ITR_REF_GATHER_INDEX_H
#define ITR_REF_GATHER_INDEX_H

#include "../kernel.h"

/** The row that an index means; -1 where there is none, which is an error of the call. */
static inline int64_t itr_gather_index(const itr_gather_args *a, int64_t index)
{
    const int64_t at = index < 0 ? index + a->axis : index;
    if (at >= 0 && at < a->axis) {
        return at;
    }
    if (a->rng->status == ITR_OK) {
        a->rng->status = ITR_BAD_INPUT;
    }
    return -1;
}

#endif
