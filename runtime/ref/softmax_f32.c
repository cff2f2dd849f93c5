/**
 * Softmax, its logarithm and their gradients in the float32 trainer; shapes as in softmax.c.
 * Evaluated in double, rounded to float once.
 */
#include <math.h>

#include "../kernel.h"

static double row_max(const float *x, int64_t n, int64_t stride)
{
    double max = (double)x[0];
    for (int64_t k = 1; k < n; k++) {
        max = (double)x[k * stride] > max ? (double)x[k * stride] : max;
    }
    return max;
}

static double row_sum(const float *x, int64_t n, int64_t stride, double max)
{
    double sum = 0;
    for (int64_t k = 0; k < n; k++) {
        sum += exp((double)x[k * stride] - max);
    }
    return sum;
}

void itr_softmax_f32_ref(const itr_softmax_args *a)
{
    for (int64_t i = 0; i < a->outer * a->inner; i++) {
        const int64_t at = i / a->inner * a->axis * a->inner + i % a->inner;
        const float *x = (const float *)a->x + at;
        float *y = (float *)a->y + at;
        const double max = row_max(x, a->axis, a->inner);
        const double sum = row_sum(x, a->axis, a->inner, max);
        for (int64_t k = 0; k < a->axis * a->inner; k += a->inner) {
            y[k] = (float)(exp((double)x[k] - max) / sum);
        }
    }
}

void itr_log_softmax_f32_ref(const itr_softmax_args *a)
{
    for (int64_t i = 0; i < a->outer * a->inner; i++) {
        const int64_t at = i / a->inner * a->axis * a->inner + i % a->inner;
        const float *x = (const float *)a->x + at;
        float *y = (float *)a->y + at;
        const double max = row_max(x, a->axis, a->inner);
        const double log_sum = log(row_sum(x, a->axis, a->inner, max));
        for (int64_t k = 0; k < a->axis * a->inner; k += a->inner) {
            y[k] = (float)((double)x[k] - max - log_sum);
        }
    }
}

void itr_softmax_grad_f32_ref(const itr_softmax_grad_args *a)
{
    for (int64_t i = 0; i < a->outer * a->inner; i++) {
        const int64_t at = i / a->inner * a->axis * a->inner + i % a->inner;
        const float *p = (const float *)a->p + at, *dy = (const float *)a->dy + at;
        float *dx = (float *)a->dx + at;
        double sum = 0;
        for (int64_t k = 0; k < a->axis * a->inner; k += a->inner) {
            sum += (double)p[k] * (double)dy[k];
        }
        for (int64_t k = 0; k < a->axis * a->inner; k += a->inner) {
            dx[k] = (float)((double)p[k] * ((double)dy[k] - sum));
        }
    }
}

void itr_log_softmax_grad_f32_ref(const itr_softmax_grad_args *a)
{
    for (int64_t i = 0; i < a->outer * a->inner; i++) {
        const int64_t at = i / a->inner * a->axis * a->inner + i % a->inner;
        const float *p = (const float *)a->p + at, *dy = (const float *)a->dy + at;
        float *dx = (float *)a->dx + at;
        double sum = 0;
        for (int64_t k = 0; k < a->axis * a->inner; k += a->inner) {
            sum += (double)dy[k];
        }
        for (int64_t k = 0; k < a->axis * a->inner; k += a->inner) {
            dx[k] = (float)((double)dy[k] - (double)p[k] * sum);
        }
    }
}
