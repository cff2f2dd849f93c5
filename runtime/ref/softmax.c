/**
 * Softmax and log-softmax on mantissas, and their gradients.
 * Shapes   [outer, axis, inner], over `axis`
 * Units    softmax: exponent -30; log-softmax: -20. Gradients: softmax 2 e_p + e_dy, log-softmax
 *          e_p + e_dy (e_p between -30 and 0)
 * Range    softmax p <= 2^30; gradient: axis <= 2^15 keeps p * sum(p dy) below 2^62
 * Aliasing none
 * Source   ONNX Softmax-13, LogSoftmax-13; numerics N13, NUMERICS.md "Softmax"
 */
#include "softmax.h"

#include "../kernel.h"

#define ROW_MAX(x, n, step, max) \
    int64_t max = (x)[0]; \
    for (int64_t max_i = 1; max_i < (n); max_i++) { \
        max = (x)[max_i * (step)] > max ? (x)[max_i * (step)] : max; \
    }

#define SOFTMAX_KERNELS(name, T) \
    static uint64_t row_sum_##name(const T *x, int64_t n, int64_t step, int64_t max, int32_t e) \
    { \
        uint64_t sum = 0; \
        for (int64_t i = 0; i < n; i++) { \
            sum += itr_exp_neg_q30(itr_softmax_distance(max, x[i * step], e)); \
        } \
        return sum; \
    } \
    void itr_softmax_##name##i32_ref(const itr_softmax_args *a) \
    { \
        for (int64_t r = 0; r < a->outer * a->inner; r++) { \
            const int64_t at = r / a->inner * a->axis * a->inner + r % a->inner; \
            const T *x = (const T *)a->x + at; \
            int32_t *y = (int32_t *)a->y + at; \
            ROW_MAX(x, a->axis, a->inner, max) \
            const uint64_t sum = row_sum_##name(x, a->axis, a->inner, max, *a->e_x); \
            for (int64_t i = 0; i < a->axis; i++) { \
                y[i * a->inner] = itr_softmax_share( \
                    itr_exp_neg_q30(itr_softmax_distance(max, x[i * a->inner], *a->e_x)), sum); \
            } \
        } \
    } \
    void itr_log_softmax_##name##i64_ref(const itr_softmax_args *a) \
    { \
        const int64_t ln2_q30 = 744261118; \
        for (int64_t r = 0; r < a->outer * a->inner; r++) { \
            const int64_t at = r / a->inner * a->axis * a->inner + r % a->inner; \
            const T *x = (const T *)a->x + at; \
            int64_t *y = (int64_t *)a->y + at; \
            ROW_MAX(x, a->axis, a->inner, max) \
            const uint64_t sum = row_sum_##name(x, a->axis, a->inner, max, *a->e_x); \
            /* log(sum) in Q24, from log2 in Q30 less the 30 of the sum's own scale */ \
            const int64_t octaves = itr_log2_q30(sum) - ((int64_t)30 << 30); \
            const int64_t log_q24 = itr_round_nearest((octaves >> 6) * ln2_q30, 30); \
            for (int64_t i = 0; i < a->axis; i++) { \
                y[i * a->inner] = itr_round_nearest( \
                    -itr_softmax_distance(max, x[i * a->inner], *a->e_x) - log_q24, 4); \
            } \
        } \
    }

SOFTMAX_KERNELS(i8, int8_t)
SOFTMAX_KERNELS(i16, int16_t)

#define GRAD_KERNELS(name, T) \
    void itr_softmax_grad_i16##name##i64_ref(const itr_softmax_grad_args *a) \
    { \
        const int up = -*a->e_p; \
        for (int64_t r = 0; r < a->outer * a->inner; r++) { \
            const int64_t at = r / a->inner * a->axis * a->inner + r % a->inner; \
            const int16_t *p = (const int16_t *)a->p + at; \
            const T *dy = (const T *)a->dy + at; \
            int64_t *dx = (int64_t *)a->dx + at, sum = 0; \
            for (int64_t i = 0; i < a->axis; i++) { \
                sum += (int64_t)p[i * a->inner] * dy[i * a->inner]; \
            } \
            for (int64_t i = 0; i < a->axis; i++) { \
                const int64_t q = p[i * a->inner]; \
                dx[i * a->inner] = itr_shl64(q * dy[i * a->inner], up) - q * sum; \
            } \
        } \
    } \
    void itr_log_softmax_grad_i16##name##i64_ref(const itr_softmax_grad_args *a) \
    { \
        const int up = -*a->e_p; \
        for (int64_t r = 0; r < a->outer * a->inner; r++) { \
            const int64_t at = r / a->inner * a->axis * a->inner + r % a->inner; \
            const int16_t *p = (const int16_t *)a->p + at; \
            const T *dy = (const T *)a->dy + at; \
            int64_t *dx = (int64_t *)a->dx + at, sum = 0; \
            for (int64_t i = 0; i < a->axis; i++) { \
                sum += dy[i * a->inner]; \
            } \
            for (int64_t i = 0; i < a->axis; i++) { \
                dx[i * a->inner] = itr_shl64(dy[i * a->inner], up) - p[i * a->inner] * sum; \
            } \
        } \
    }

GRAD_KERNELS(i8, int8_t)
GRAD_KERNELS(i16, int16_t)
