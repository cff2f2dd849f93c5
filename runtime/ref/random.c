/**
 * Kernels that draw random numbers other than for rounding.
 */
#include "../rng.h"
#include "noise.h"

enum { BLOCK = 256 };

/**
 * y[i] = 1 where the upper 31 of the 32 random bits of element i (draw 0) are below keep_q31, that
 * is with probability keep_q31 / 2^31; else 0. In evaluation (nearest_only) every element is 1.
 * Source: ONNX Dropout; the scaling by 1/keep belongs to the plan.
 */
void itr_dropout_mask_ref(const itr_dropout_args *a)
{
    int8_t *y = (int8_t *)a->y;
    uint32_t random[BLOCK];
    for (int64_t i = 0; i < a->n; i += BLOCK) {
        const int count = (int)(a->n - i < BLOCK ? a->n - i : BLOCK);
        if (!a->rng->nearest_only) {
            itr_random_fill32(a->rng, (uint32_t)a->site, 0, i, count, 32, random);
        }
        for (int j = 0; j < count; j++) {
            y[i + j] = a->rng->nearest_only || (int64_t)(random[j] >> 1) < a->keep_q31;
        }
    }
}

/**
 * Uniform or normal numbers as mantissas of 2^-15 or 2^-12 (noise.h); 0 in evaluation.
 * Shapes   y [n]
 * Range    |y| < 2^15
 * Source   ONNX RandomUniform-22, RandomNormal-22; NUMERICS.md, "Random bits"
 */
void itr_noise_i16_ref(const itr_noise_args *a)
{
    int16_t *y = (int16_t *)a->y;
    for (int64_t i = 0; i < a->n; i += NOISE_BLOCK) {
        const int count = (int)(a->n - i < NOISE_BLOCK ? a->n - i : NOISE_BLOCK);
        noise_fill(a, i, count, y + i);
    }
}
