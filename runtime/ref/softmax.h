/**
 * Softmax of one row in integers; shared by softmax.c and loss.c.
 */
#ifndef ITR_REF_SOFTMAX_H
#define ITR_REF_SOFTMAX_H

#include "../fixed.h"

/** (max - x) * 2^e in Q24, at least 0; at most 2^60. */
static inline int64_t itr_softmax_distance(int64_t max, int64_t x, int32_t e)
{
    return itr_fixed24(max - x, e);
}

/** floor(w * 2^30 / sum) for a weight w <= sum in Q30; sum below 2^62. */
static inline int32_t itr_softmax_share(uint32_t w, uint64_t sum)
{
    /* w < 2^31 and sum >= 2^30: w * 2^30 < 2^61 */
    return (int32_t)(((uint64_t)w << 30) / sum);
}

#endif
