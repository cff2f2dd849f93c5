/**
 * Losses of the float32 reference trainer; shapes and metrics as in loss.c. A loss that is not
 * finite, or too large for the metrics, becomes INT64_MAX: the step reports divergence.
 */
#include <math.h>

#include "../kernel.h"

static int64_t class_id(const itr_term *t, int64_t i)
{
    switch (t->dtype) {
    case ITR_U8:
        return ((const uint8_t *)t->x)[i];
    case ITR_I8:
        return ((const int8_t *)t->x)[i];
    case ITR_I16:
        return ((const int16_t *)t->x)[i];
    default:
        return ((const int32_t *)t->x)[i];
    }
}

static void add_loss(itr_metrics *metrics, double loss)
{
    const double q24 = loss * 16777216.0 + (double)metrics->loss_q24;
    metrics->loss_q24 = q24 < 9.2e18 ? (int64_t)q24 : INT64_MAX; /* not a number: not below */
}

/** One row; returns its loss. */
static double row(const itr_cross_entropy_args *a, int64_t at, int64_t target, int64_t *best)
{
    const float *x = (const float *)a->x + at;
    const double eps = (double)a->smoothing_q30 / 1073741824.0, n = (double)a->axis;
    double max = (double)x[0], sum = 0, mean = 0;
    *best = 0;
    for (int64_t i = 1; i < a->axis; i++) {
        if ((double)x[i * a->inner] > max) {
            max = (double)x[i * a->inner];
            *best = i;
        }
    }
    for (int64_t i = 0; i < a->axis; i++) {
        sum += exp((double)x[i * a->inner] - max);
        mean += ((double)x[i * a->inner] - max) / n;
    }
    for (int64_t i = 0; a->dx && i < a->axis; i++) {
        const double p = exp((double)x[i * a->inner] - max) / sum;
        const double q = (i == target ? 1 - eps : 0) + eps / n;
        ((float *)a->dx)[at + i * a->inner] = (float)(p - q);
    }
    return log(sum) - (1 - eps) * ((double)x[target * a->inner] - max) - eps * mean;
}

void itr_cross_entropy_f32_ref(const itr_cross_entropy_args *a)
{
    itr_metrics *metrics = (itr_metrics *)a->metrics;
    double loss = 0;
    for (int64_t r = 0; r < a->outer * a->inner; r++) {
        const int64_t at = r / a->inner * a->axis * a->inner + r % a->inner;
        const int64_t target = class_id(a->target, r);
        if (target >= 0 && target < a->axis && target != a->ignore_index) {
            int64_t best = 0;
            loss += row(a, at, target, &best);
            metrics->rows++;
            metrics->correct += best == target;
        } else if (target == a->ignore_index) {
            for (int64_t i = 0; a->dx && i < a->axis; i++) {
                ((float *)a->dx)[at + i * a->inner] = 0;
            }
        } else {
            metrics->rows = -1;
            return;
        }
    }
    add_loss(metrics, loss * a->weight);
}

void itr_square_loss_f32_ref(const itr_square_loss_args *a)
{
    const float *x = (const float *)a->x;
    double sum = 0;
    for (int64_t i = 0; i < a->n; i++) {
        sum += (double)x[i] * (double)x[i];
    }
    add_loss((itr_metrics *)a->metrics, sum * a->weight);
    ((itr_metrics *)a->metrics)->rows += a->rows;
}
