/**
 * Normalisation in the float32 trainer; shapes as in norm.c. Evaluated in double, rounded to float
 * once. mean and var are times outer, and may be null.
 */
#include <math.h>

#include "../kernel.h"

/** Element i of a slice, i counting over outer and inner. */
static int64_t place(const itr_norm_real_args *a, int64_t slice, int64_t i)
{
    return (i / a->inner * a->slices + slice) * a->inner + i % a->inner;
}

void itr_norm_f32_ref(const itr_norm_real_args *a)
{
    const float *x = (const float *)a->x;
    float *y = (float *)a->y, *mean = (float *)a->mean, *var = (float *)a->var;
    const int64_t n = a->outer * a->inner;
    for (int64_t s = 0; s < a->slices; s++) {
        double m = 0, v = 0;
        for (int64_t i = 0; i < n && a->center; i++) {
            m += (double)x[place(a, s, i)];
        }
        m /= (double)n;
        for (int64_t i = 0; i < n; i++) {
            const double d = (double)x[place(a, s, i)] - m;
            v += d * d;
        }
        v /= (double)n;
        const double scale = v + a->eps > 0 ? 1 / sqrt(v + a->eps) : 1;
        for (int64_t i = 0; i < n; i++) {
            y[place(a, s, i)] = (float)(((double)x[place(a, s, i)] - m) * scale);
        }
        ((float *)a->scale)[s] = (float)scale;
        if (mean) {
            mean[s] = (float)(m * (double)a->outer);
        }
        if (var) {
            var[s] = (float)(v * (double)a->outer);
        }
    }
}

/** y = dx from x = dy, xhat and scale. */
void itr_norm_grad_f32_ref(const itr_norm_real_args *a)
{
    const float *dy = (const float *)a->x, *xhat = (const float *)a->xhat;
    float *dx = (float *)a->y;
    const int64_t n = a->outer * a->inner;
    for (int64_t s = 0; s < a->slices; s++) {
        double sum = 0, dot = 0;
        for (int64_t i = 0; i < n; i++) {
            const int64_t k = place(a, s, i);
            sum += a->center ? (double)dy[k] : 0;
            dot += (double)dy[k] * (double)xhat[k];
        }
        const double scale = (double)((const float *)a->scale)[s];
        for (int64_t i = 0; i < n; i++) {
            const int64_t k = place(a, s, i);
            dx[k] = (float)(scale *
                            ((double)dy[k] - sum / (double)n - (double)xhat[k] * dot / (double)n));
        }
    }
}

void itr_norm_scale_f32_ref(const itr_norm_scale_args *a)
{
    for (int64_t s = 0; s < a->slices; s++) {
        const double var = (double)((const float *)a->var)[s] + a->eps;
        const double scale = var > 0 ? 1 / sqrt(var) : 1;
        ((float *)a->scale)[s] = (float)scale;
        ((float *)a->shift)[s] = (float)(-(double)((const float *)a->mean)[s] * scale);
    }
}
