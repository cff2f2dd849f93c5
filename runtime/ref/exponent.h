/** What kernels that measure exponents share. */
#ifndef ITR_REF_EXPONENT_H
#define ITR_REF_EXPONENT_H

#include "../core.h"
#include "../kernel.h"

#define ITR_EXPONENT_RANGE (1 << 20)

/** Records the first failure of a step. */
static inline void itr_fail_step(itr_rng *rng, itr_status status)
{
    if (rng->status == ITR_OK) {
        rng->status = status;
    }
}

/** Stores an exponent; beyond +-2^20 the step has diverged. */
static inline void itr_set_exponent(itr_rng *rng, int32_t *to, int64_t e)
{
    if (e > ITR_EXPONENT_RANGE || e < -ITR_EXPONENT_RANGE) {
        itr_fail_step(rng, ITR_DIVERGED);
        e = e > 0 ? ITR_EXPONENT_RANGE : -ITR_EXPONENT_RANGE;
    }
    *to = (int32_t)e;
}

#endif
