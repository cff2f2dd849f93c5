/**
 * Softmax, log-softmax and their gradients for the float32 reference trainer; shapes as in
 * softmax.c, sums in double.
 */
#include <math.h>

#include "../kernel.h"

#define ROWS(a, at) \
    for (int64_t row = 0, at = 0; row < (a)->outer * (a)->inner; \
         row++, at = row / (a)->inner * (a)->axis * (a)->inner + row % (a)->inner)

static double row_max(const itr_softmax_args *a, const float *x)
{
    double max = (double)x[0];
    for (int64_t i = 1; i < a->axis; i++) {
        max = fmax(max, (double)x[i * a->inner]);
    }
    return max;
}

static double row_sum(const itr_softmax_args *a, const float *x, double max)
{
    double sum = 0;
    for (int64_t i = 0; i < a->axis; i++) {
        sum += exp((double)x[i * a->inner] - max);
    }
    return sum;
}

void itr_softmax_f32_ref(const itr_softmax_args *a)
{
    ROWS(a, at)
    {
        const float *x = (const float *)a->x + at;
        float *y = (float *)a->y + at;
        const double max = row_max(a, x), sum = row_sum(a, x, max);
        for (int64_t i = 0; i < a->axis; i++) {
            y[i * a->inner] = (float)(exp((double)x[i * a->inner] - max) / sum);
        }
    }
}

void itr_log_softmax_f32_ref(const itr_softmax_args *a)
{
    ROWS(a, at)
    {
        const float *x = (const float *)a->x + at;
        float *y = (float *)a->y + at;
        const double max = row_max(a, x), log_sum = log(row_sum(a, x, max));
        for (int64_t i = 0; i < a->axis; i++) {
            y[i * a->inner] = (float)((double)x[i * a->inner] - max - log_sum);
        }
    }
}

void itr_softmax_grad_f32_ref(const itr_softmax_grad_args *a)
{
    ROWS(a, at)
    {
        const float *p = (const float *)a->p + at, *dy = (const float *)a->dy + at;
        float *dx = (float *)a->dx + at;
        double sum = 0;
        for (int64_t i = 0; i < a->axis; i++) {
            sum += (double)p[i * a->inner] * (double)dy[i * a->inner];
        }
        for (int64_t i = 0; i < a->axis; i++) {
            dx[i * a->inner] = (float)((double)p[i * a->inner] * ((double)dy[i * a->inner] - sum));
        }
    }
}

void itr_log_softmax_grad_f32_ref(const itr_softmax_grad_args *a)
{
    ROWS(a, at)
    {
        const float *p = (const float *)a->p + at, *dy = (const float *)a->dy + at;
        float *dx = (float *)a->dx + at;
        double sum = 0;
        for (int64_t i = 0; i < a->axis; i++) {
            sum += (double)dy[i * a->inner];
        }
        for (int64_t i = 0; i < a->axis; i++) {
            dx[i * a->inner] = (float)((double)dy[i * a->inner] - (double)p[i * a->inner] * sum);
        }
    }
}
