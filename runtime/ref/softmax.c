/**
 * Softmax, its logarithm and their gradients. NUMERICS.md, "Softmax", is the specification.
 *
 * Shapes   x, y, p, dy, dx [outer, axis, inner]; 1 <= axis <= 2^30
 * Units    softmax at exponent -30, log-softmax at -20; gradients at 2 * e_p + e_dy and e_p + e_dy
 * Range    0 <= softmax <= 2^30 and a row sums to at most 2^30; -2^61 - 2^26 <= log-softmax <= 0.
 *          Gradients are exact in int64 for |p|, |dy| < 2^15, -30 <= *e_p <= 0 and
 *          axis <= 2^17 (softmax, int16), 2^25 (softmax, int8), 2^32 (log-softmax)
 * Aliasing none
 * Source   ONNX Softmax-13, LogSoftmax-13; numerics N13, N14; gradients our derivation
 */
#include "softmax_row.h"

#include "../kernel.h"

static void softmax(const itr_softmax_args *a, bool wide)
{
    const int q = itr_row_bits(a->axis);
    for (int64_t i = 0; i < a->outer * a->inner; i++) {
        const int64_t at = i / a->inner * a->axis * a->inner + i % a->inner;
        const itr_row r = itr_row_of(a->x, wide, at, a->axis, a->inner);
        uint32_t *y = (uint32_t *)a->y + at; /* at most 2^31 on the way, 2^30 in the end */
        int64_t first;
        const int32_t max = itr_row_max(&r, &first);
        const uint64_t sum = itr_row_exp(&r, max, *a->e_x, q, y);
        itr_row_normalise(y, a->axis, a->inner, sum, q);
    }
}

void itr_softmax_i8i32_ref(const itr_softmax_args *a)
{
    softmax(a, false);
}

void itr_softmax_i16i32_ref(const itr_softmax_args *a)
{
    softmax(a, true);
}

static void log_softmax(const itr_softmax_args *a, bool wide)
{
    const int q = itr_row_bits(a->axis);
    int64_t *y = (int64_t *)a->y;
    for (int64_t i = 0; i < a->outer * a->inner; i++) {
        const int64_t at = i / a->inner * a->axis * a->inner + i % a->inner;
        const itr_row r = itr_row_of(a->x, wide, at, a->axis, a->inner);
        int64_t first;
        const int32_t max = itr_row_max(&r, &first);
        const uint64_t sum = itr_row_exp(&r, max, *a->e_x, q, NULL);
        const int64_t log_sum = itr_round_nearest(itr_log_q32(sum, q), 12);
        for (int64_t k = 0; k < a->axis; k++) {
            const int64_t below = itr_row_at(&r, k) - max;
            y[at + k * a->inner] = itr_align_clamped(below, (int64_t)*a->e_x + 20) - log_sum;
        }
    }
}

void itr_log_softmax_i8i64_ref(const itr_softmax_args *a)
{
    log_softmax(a, false);
}

void itr_log_softmax_i16i64_ref(const itr_softmax_args *a)
{
    log_softmax(a, true);
}

/** -*e_p, which is 0 to 30 unless every p is 0. */
static int ones_shift(const itr_softmax_grad_args *a)
{
    return *a->e_p > 0 ? 0 : *a->e_p < -30 ? 30 : -*a->e_p;
}

/** With 1 = 2^-e_p: dx = p (1 dy - sum(p dy)). */
static void softmax_grad(const itr_softmax_grad_args *a, bool wide)
{
    const int16_t *p = (const int16_t *)a->p;
    int64_t *dx = (int64_t *)a->dx;
    const int shift = ones_shift(a);
    for (int64_t i = 0; i < a->outer * a->inner; i++) {
        const int64_t at = i / a->inner * a->axis * a->inner + i % a->inner;
        const itr_row dy = itr_row_of(a->dy, wide, at, a->axis, a->inner);
        int64_t sum = 0;
        for (int64_t k = 0; k < a->axis; k++) {
            const int64_t product = p[at + k * a->inner] * itr_row_at(&dy, k);
            dx[at + k * a->inner] = itr_shl64(product, shift);
            sum += product;
        }
        for (int64_t k = 0; k < a->axis; k++) {
            dx[at + k * a->inner] -= p[at + k * a->inner] * sum;
        }
    }
}

void itr_softmax_grad_i16i8i64_ref(const itr_softmax_grad_args *a)
{
    softmax_grad(a, false);
}

void itr_softmax_grad_i16i16i64_ref(const itr_softmax_grad_args *a)
{
    softmax_grad(a, true);
}

/** With 1 = 2^-e_p: dx = 1 dy - p sum(dy). */
static void log_softmax_grad(const itr_softmax_grad_args *a, bool wide)
{
    const int16_t *p = (const int16_t *)a->p;
    int64_t *dx = (int64_t *)a->dx;
    const int shift = ones_shift(a);
    for (int64_t i = 0; i < a->outer * a->inner; i++) {
        const int64_t at = i / a->inner * a->axis * a->inner + i % a->inner;
        const itr_row dy = itr_row_of(a->dy, wide, at, a->axis, a->inner);
        int64_t sum = 0;
        for (int64_t k = 0; k < a->axis; k++) {
            sum += itr_row_at(&dy, k);
        }
        for (int64_t k = 0; k < a->axis; k++) {
            const int64_t j = at + k * a->inner;
            dx[j] = itr_shl64(itr_row_at(&dy, k), shift) - p[j] * sum;
        }
    }
}

void itr_log_softmax_grad_i16i8i64_ref(const itr_softmax_grad_args *a)
{
    log_softmax_grad(a, false);
}

void itr_log_softmax_grad_i16i16i64_ref(const itr_softmax_grad_args *a)
{
    log_softmax_grad(a, true);
}
