/**
 * Losses of the float32 trainer; shapes, metrics and errors as in loss.c. Evaluated in double; dx
 * is rounded to float once, the loss to 2^-24. A loss that is not a number counts as INT64_MAX,
 * which is what losses beyond the range saturate at.
 */
#include <math.h>

#include "../kernel.h"
#include "term.h"

static void add_loss(itr_metrics *metrics, double loss)
{
    const double limit = 9223372036854775808.0; /* 2^63 */
    const double sum = metrics->loss_q24 == INT64_MAX ? limit : (double)metrics->loss_q24;
    const double v = loss * 16777216.0;
    if (!(v + sum < limit)) { /* or not a number */
        metrics->loss_q24 = INT64_MAX;
    } else if (v + sum <= -limit) {
        metrics->loss_q24 = INT64_MIN;
    } else {
        const int64_t q24 = (int64_t)llrint(v);
        const bool over = q24 > 0 && metrics->loss_q24 > INT64_MAX - q24;
        metrics->loss_q24 = over ? INT64_MAX : metrics->loss_q24 + q24;
    }
}

static bool is_ignored(const itr_cross_entropy_args *a, int64_t id)
{
    return id == a->ignore_index && a->ignore_index != INT32_MIN;
}

static bool ids_valid(const itr_cross_entropy_args *a)
{
    for (int64_t i = 0; i < a->outer * a->inner; i++) {
        const int64_t id = itr_term_integer(a->target, i);
        if ((id < 0 || id >= a->axis) && !is_ignored(a, id)) {
            return false;
        }
    }
    return true;
}

/** Loss of row i, and its gradient where dx is not null. */
static double row_loss(const itr_cross_entropy_args *a, int64_t i, int64_t *correct)
{
    const int64_t at = i / a->inner * a->axis * a->inner + i % a->inner, n = a->axis;
    const float *x = (const float *)a->x + at;
    float *dx = a->dx ? (float *)a->dx + at : NULL;
    const int64_t target = itr_term_integer(a->target, i);
    const double eps = a->smoothing_q30 / 1073741824.0;
    int64_t first = 0;
    for (int64_t k = 1; k < n; k++) {
        first = x[k * a->inner] > x[first * a->inner] ? k : first;
    }
    const double max = (double)x[first * a->inner];
    double sum = 0, mean = 0;
    for (int64_t k = 0; k < n; k++) {
        const double v = (double)x[k * a->inner] - max;
        sum += exp(v);
        mean += eps > 0 ? v / (double)n : 0;
    }
    for (int64_t k = 0; dx && k < n; k++) {
        const double p = exp((double)x[k * a->inner] - max) / sum;
        dx[k * a->inner] = (float)(p - eps / (double)n - (k == target ? 1 - eps : 0));
    }
    *correct += first == target;
    return log(sum) - (1 - eps) * ((double)x[target * a->inner] - max) - eps * mean;
}

void itr_cross_entropy_f32_ref(const itr_cross_entropy_args *a)
{
    itr_metrics *metrics = (itr_metrics *)a->metrics;
    const int64_t rows = a->outer * a->inner;
    const bool valid = metrics->rows >= 0 && ids_valid(a);
    int64_t counted = 0;
    double sum = 0;
    for (int64_t i = 0; i < rows; i++) {
        if (valid && !is_ignored(a, itr_term_integer(a->target, i))) {
            const double loss = row_loss(a, i, &metrics->correct);
            sum += a->w ? (double)((const float *)a->w)[i] * loss : loss;
            counted++;
            continue;
        }
        float *dx = (float *)a->dx;
        for (int64_t k = 0; dx && k < a->axis; k++) {
            dx[(i / a->inner * a->axis + k) * a->inner + i % a->inner] = 0;
        }
    }
    if (!valid) {
        metrics->rows = -1;
        return;
    }
    metrics->rows += counted;
    add_loss(metrics, a->weight * sum);
}

static double label_weight(const itr_label_weights_args *a, int64_t i)
{
    const int64_t id = itr_term_integer(a->target, i);
    if (id == a->ignore_index && a->ignore_index != INT32_MIN) {
        return 0;
    }
    return id >= 0 && (id < a->classes || a->classes == 1)
               ? (double)((const float *)a->w)[a->classes > 1 ? id : 0]
               : 0;
}

void itr_label_weights_f32_ref(const itr_label_weights_args *a)
{
    float *y = (float *)a->y;
    double sum = 0;
    for (int64_t i = 0; i < a->rows; i++) {
        sum += label_weight(a, i);
    }
    for (int64_t i = 0; i < a->rows; i++) {
        const double w = label_weight(a, i) * (double)a->rows;
        y[i] = (float)(!a->mean ? w : sum > 0 ? w / sum : 0);
    }
}

void itr_square_loss_f32_ref(const itr_square_loss_args *a)
{
    const float *x = (const float *)a->x;
    itr_metrics *metrics = (itr_metrics *)a->metrics;
    double sum = 0;
    for (int64_t i = 0; i < a->n; i++) {
        sum += (double)x[i] * (double)x[i];
    }
    metrics->rows += metrics->rows < 0 ? 0 : a->rows;
    add_loss(metrics, a->weight * sum);
}

void itr_mean_loss_f32_ref(const itr_mean_loss_args *a)
{
    const float *x = (const float *)a->x;
    itr_metrics *metrics = (itr_metrics *)a->metrics;
    double sum = 0;
    for (int64_t i = 0; i < a->n; i++) {
        sum += (double)x[i];
    }
    metrics->rows += metrics->rows < 0 ? 0 : a->rows;
    add_loss(metrics, a->weight * sum);
}
