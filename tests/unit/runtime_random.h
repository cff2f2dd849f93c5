/**
 * For tests of the runtime: a small generator for inputs, and the random numbers of NUMERICS.md
 * computed one at a time from the definition, independent of rng.c's blocks.
 */
#ifndef ITR_TEST_RUNTIME_RANDOM_H
#define ITR_TEST_RUNTIME_RANDOM_H

#include "runtime/kernel.h"

/** splitmix64. */
static inline uint64_t next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

/** Uniform in [low, high]. */
static inline int64_t between(uint64_t *state, int64_t low, int64_t high)
{
    return low + (int64_t)(next(state) % (uint64_t)(high - low + 1));
}

/** One random number of an element, straight from the definition. */
static inline uint64_t random_of(const itr_rng *rng, uint32_t site, uint32_t draw, int64_t element,
                                 int width)
{
    const int per_block = 128 / width;
    const int j = (int)(element % per_block);
    uint32_t c[4] = {(uint32_t)(element / per_block), rng->micro_batch, rng->step,
                     site * 256 + draw};
    uint32_t k[2] = {(uint32_t)(rng->seed & UINT32_MAX), (uint32_t)(rng->seed >> 32)};
    for (int r = 0; r < 10; r++) {
        const uint64_t left = UINT64_C(0xD2511F53) * c[0], right = UINT64_C(0xCD9E8D57) * c[2];
        const uint32_t out[4] = {(uint32_t)(right >> 32) ^ c[1] ^ k[0], (uint32_t)right,
                                 (uint32_t)(left >> 32) ^ c[3] ^ k[1], (uint32_t)left};
        for (int i = 0; i < 4; i++) {
            c[i] = out[i];
        }
        k[0] += UINT32_C(0x9E3779B9);
        k[1] += UINT32_C(0xBB67AE85);
    }
    if (width == 16) {
        return j % 2 ? c[j / 2] / 65536 : c[j / 2] % 65536;
    }
    return width == 32 ? c[j] : c[2 * j + 1] * UINT64_C(4294967296) + c[2 * j];
}

#endif
