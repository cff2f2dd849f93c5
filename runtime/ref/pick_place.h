/**
 * Places that indices say (pick.c has the definition), checked.
 */
#ifndef ITR_REF_PICK_PLACE_H
#define ITR_REF_PICK_PLACE_H

#include <stdbool.h>

#include "../kernel.h"

static inline bool itr_pick_any(int32_t rank, const int64_t *shape)
{
    for (int32_t i = 0; i < rank; i++) {
        if (shape[i] < 1) {
            return false;
        }
    }
    return true;
}

/** The next run's coordinates; false: that was the last one. */
static inline bool itr_pick_next(int32_t rank, const int64_t *shape, int64_t *at)
{
    for (int32_t i = rank - 1; i >= 0; i--) {
        if (++at[i] < shape[i]) {
            return true;
        }
        at[i] = 0;
    }
    return false;
}

/** Where the run at `at` begins; -1 where an index is none, which is an error of the call. */
static inline int64_t itr_pick_place(int32_t rank, const int64_t *stride, const int64_t *at,
                                     int32_t depth, const int64_t *extent, const int64_t *step,
                                     const int64_t *index, itr_rng *rng)
{
    int64_t place = 0;
    for (int32_t i = 0; i < rank; i++) {
        place += at[i] * stride[i];
    }
    for (int32_t d = 0; d < depth; d++) {
        const int64_t k = index[d] < 0 ? index[d] + extent[d] : index[d];
        if (k < 0 || k >= extent[d]) {
            if (rng->status == ITR_OK) {
                rng->status = ITR_BAD_INPUT;
            }
            return -1;
        }
        place += k * step[d];
    }
    return place;
}

#define ITR_PICK_PLACE(a, at, index)                                                               \
    itr_pick_place((a)->rank, (a)->stride, at, (a)->depth, (a)->extent, (a)->step, index, (a)->rng)

#endif
