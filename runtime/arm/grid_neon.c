/**
 * The gradient grid of the next step, two numbers at a time (ref/grid.c).
 */
#include "../core.h"
#include "../cpu.h"
#include "../numeric.h"

#ifdef ITR_ARM
#include "begin_neon.h"

void itr_grid_next_neon(const itr_grid_next_args *a)
{
    const int64_t *acc = (const int64_t *)a->acc;
    int64x2_t all = vdupq_n_s64(0);
    uint64_t rest = 0;
    int64_t i = 0;
    for (; i + 2 <= a->n; i += 2) {
        all = vorrq_s64(all, vabsq_s64(vld1q_s64(acc + i)));
    }
    for (; i < a->n; i++) {
        rest |= itr_abs64(acc[i]);
    }
    rest |= (uint64_t)vgetq_lane_s64(all, 0) | (uint64_t)vgetq_lane_s64(all, 1);
    *a->e_grid = itr_grid_exponent(rest, *a->e_acc);
}

#include "end.h"
#endif
