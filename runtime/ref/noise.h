/**
 * Random numbers of a model itself, as mantissas: uniform or normal, from Philox alone.
 */
#ifndef ITR_REF_NOISE_H
#define ITR_REF_NOISE_H

#include "../rng.h"

enum { NOISE_BLOCK = 128, NOISE_UNIFORM_BITS = 15, NOISE_NORMAL_BITS = 12 };

/** Of 2^-15: the odd numbers below 2^15 in magnitude, each with equal probability. */
static inline int16_t noise_uniform(uint32_t random16)
{
    return (int16_t)((int32_t)(random16 & 0xfffe) + 1 - 32768);
}

static inline int32_t noise_count_ones(uint64_t v)
{
    v -= v >> 1 & 0x5555555555555555U;
    v = (v & 0x3333333333333333U) + (v >> 2 & 0x3333333333333333U);
    v = (v + (v >> 4)) & 0x0f0f0f0f0f0f0f0fU;
    return (int32_t)(v * 0x0101010101010101U >> 56);
}

/**
 * Of 2^-12: a quarter for each of 64 random bits that is 1, less 8, plus a number that is uniform
 * between -1/8 and 1/8. Mean 0, variance 1 + 1/192 (the plan divides by its root); the distribution
 * function is off the normal one by less than 1e-3, and no magnitude is above 8.
 */
static inline int16_t noise_normal(uint64_t random64, uint32_t random16)
{
    const int32_t m = (noise_count_ones(random64) - 32) * 1024 + (int32_t)(random16 >> 6) - 512;
    return (int16_t)(m > 32767 ? 32767 : m < -32767 ? -32767 : m);
}

/** Elements i to i + count of the result, count <= NOISE_BLOCK; 0 in evaluation. */
static inline void noise_fill(const itr_noise_args *a, int64_t i, int count, int16_t *y)
{
    uint32_t low[NOISE_BLOCK] = {0};
    uint64_t bits[NOISE_BLOCK] = {0};
    if (a->rng->nearest_only) {
        for (int j = 0; j < count; j++) {
            y[j] = 0;
        }
        return;
    }
    itr_random_fill32(a->rng, (uint32_t)a->site, 1, i, count, 16, low);
    if (a->normal) {
        itr_random_fill(a->rng, (uint32_t)a->site, 0, i, count, 64, bits);
    }
    for (int j = 0; j < count; j++) {
        y[j] = a->normal ? noise_normal(bits[j], low[j]) : noise_uniform(low[j]);
    }
}

#endif
