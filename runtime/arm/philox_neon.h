/*
 * Philox4x32-10, 16 blocks at a time (rng_fill.h); included between begin_neon.h and end.h.
 */
#define ITR_PHILOX_OWN_LANES 1
#include "../rng_fill.h"

enum { PHILOX_VECTORS = ITR_PHILOX_LANES / 4 };

/** The products of four words and m: their low and their high halves. */
static inline void philox_mul4(uint32x4_t c, uint32_t m, uint32x4_t *low, uint32x4_t *high)
{
    const uint32x4_t first = vreinterpretq_u32_u64(vmull_n_u32(vget_low_u32(c), m));
    const uint32x4_t last = vreinterpretq_u32_u64(vmull_high_n_u32(c, m));
    *low = vuzp1q_u32(first, last);
    *high = vuzp2q_u32(first, last);
}

static inline void itr_philox_lanes(const itr_rng *rng, uint32_t last, uint32_t block,
                                    uint32_t words[4 * ITR_PHILOX_LANES])
{
    static const uint32_t count[4] = {0, 1, 2, 3};
    uint32_t k0 = (uint32_t)rng->seed, k1 = (uint32_t)(rng->seed >> 32);
    uint32x4x4_t c[PHILOX_VECTORS];
    for (uint32_t i = 0; i < PHILOX_VECTORS; i++) {
        c[i].val[0] = vaddq_u32(vld1q_u32(count), vdupq_n_u32(block + 4 * i));
        c[i].val[1] = vdupq_n_u32(rng->micro_batch);
        c[i].val[2] = vdupq_n_u32(rng->step);
        c[i].val[3] = vdupq_n_u32(last);
    }
    for (int r = 0; r < ITR_PHILOX_ROUNDS; r++) {
        for (int i = 0; i < PHILOX_VECTORS; i++) {
            uint32x4_t low0, high0, low1, high1;
            philox_mul4(c[i].val[0], ITR_PHILOX_M0, &low0, &high0);
            philox_mul4(c[i].val[2], ITR_PHILOX_M1, &low1, &high1);
            c[i].val[0] = veorq_u32(veorq_u32(high1, c[i].val[1]), vdupq_n_u32(k0));
            c[i].val[1] = low1;
            c[i].val[2] = veorq_u32(veorq_u32(high0, c[i].val[3]), vdupq_n_u32(k1));
            c[i].val[3] = low0;
        }
        k0 += ITR_PHILOX_W0;
        k1 += ITR_PHILOX_W1;
    }
    for (int i = 0; i < PHILOX_VECTORS; i++) {
        vst4q_u32(words + 16 * i, c[i]); /* the four words of each block side by side */
    }
}
