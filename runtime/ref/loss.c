/**
 * Losses on mantissas. What is reported goes to the metrics, in Q24.
 * Shapes   scores [outer, axis, inner], class ids [outer, inner]; squares [n]
 * Units    dx: exponent -30
 * Range    |dx| <= 2^30; a loss beyond the metrics' range saturates at INT64_MAX
 * Aliasing none
 * Errors   a class id outside 0 .. axis - 1 that is not ignore_index sets metrics->rows to -1
 * Source   numerics N14, NUMERICS.md "Losses"
 */
#include "softmax.h"

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

/** metrics->loss_q24 += v * weight, v in Q24 and not negative. */
static void add_loss(itr_metrics *metrics, uint64_t v, int32_t weight_m, int32_t weight_e)
{
    uint64_t m = (uint64_t)weight_m; /* weights are positive and below 2^30 * 2^e */
    int32_t e = weight_e;
    while (itr_bitlen64(v) + itr_bitlen64(m) > 63) { /* keep what fits, from the top */
        if (v > m) {
            v >>= 1;
        } else {
            m >>= 1;
        }
        e++;
    }
    uint64_t x = v * m;
    if (e > 0) {
        x = itr_bitlen64(x) + e > 63 ? (uint64_t)INT64_MAX : x << e;
    } else {
        x = e < -62 ? 0 : (uint64_t)itr_round_nearest((int64_t)(x >> 1), -e > 0 ? -e - (-e > 0) : 0);
    }
    const uint64_t sum = (uint64_t)metrics->loss_q24 + x;
    metrics->loss_q24 = sum > (uint64_t)INT64_MAX ? INT64_MAX : (int64_t)sum;
}

/** The distribution's terms of one row: sum over classes of q * (max - x), in Q24. */
typedef struct row_sums {
    uint64_t sum;        /**< of exp(x - max), Q30 */
    int64_t distance;    /**< of the target, Q24 */
    uint64_t distances;  /**< of all classes, Q24; for label smoothing */
} row_sums;

/** x * q / 2^30, rounded down; q <= 2^30. */
static uint64_t share_q30(uint64_t x, uint64_t q)
{
    return itr_mulhi64(x, q) << 34 | (x * q) >> 30;
}

/** -log of the row's likelihood in Q24: log(sum) + (1-eps) * distance + eps * mean distance. */
static uint64_t row_loss(const itr_cross_entropy_args *a, const row_sums *s)
{
    const int64_t ln2_q30 = 744261118;
    const int64_t octaves = itr_log2_q30(s->sum) - ((int64_t)30 << 30);
    const int64_t log_q24 = itr_round_nearest((octaves >> 6) * ln2_q30, 30);
    uint64_t loss = (uint64_t)(log_q24 > 0 ? log_q24 : 0);
    if (a->smoothing_q30 == 0) {
        return loss + (uint64_t)s->distance;
    }
    const uint64_t eps = (uint64_t)a->smoothing_q30, mean = s->distances / (uint64_t)a->axis;
    const uint64_t one = (uint64_t)1 << 30;
    return loss + share_q30((uint64_t)s->distance, one - eps) + share_q30(mean, eps);
}

/** (max - x[i]) in Q24. */
typedef int64_t (*distance_fn)(const itr_cross_entropy_args *a, int64_t i, int64_t max);

/** dx = p - q, the residue of the rounding at the target, so that the row sums to 0. */
static void row_gradient(const itr_cross_entropy_args *a, int64_t at, int64_t target, int64_t max,
                         const row_sums *s, distance_fn distance)
{
    int32_t *dx = (int32_t *)a->dx + at;
    const int32_t spread = (int32_t)((a->smoothing_q30 + a->axis / 2) / a->axis);
    int64_t total = 0;
    for (int64_t i = 0; i < a->axis; i++) {
        const uint32_t w = itr_exp_neg_q30(distance(a, at + i * a->inner, max));
        const int32_t p = itr_softmax_share(w, s->sum) - spread;
        dx[i * a->inner] = p;
        total += p;
    }
    dx[target * a->inner] = (int32_t)(dx[target * a->inner] - total);
}

static void row(const itr_cross_entropy_args *a, int64_t at, int64_t target, int64_t max,
                int64_t best, distance_fn distance)
{
    itr_metrics *metrics = (itr_metrics *)a->metrics;
    row_sums s = {0};
    for (int64_t i = 0; i < a->axis; i++) {
        const int64_t d = distance(a, at + i * a->inner, max);
        s.sum += itr_exp_neg_q30(d);
        s.distances += (uint64_t)d >> (a->smoothing_q30 ? 0 : 63);
        s.distance = i == target ? d : s.distance;
    }
    add_loss(metrics, row_loss(a, &s), a->weight_m, a->weight_e);
    metrics->rows++;
    metrics->correct += best == target;
    if (a->dx) {
        row_gradient(a, at, target, max, &s, distance);
    }
}

#define CROSS_ENTROPY(name, T) \
    static int64_t distance_##name(const itr_cross_entropy_args *a, int64_t i, int64_t max) \
    { \
        return itr_softmax_distance(max, ((const T *)a->x)[i], *a->e_x); \
    } \
    void itr_cross_entropy_##name##_ref(const itr_cross_entropy_args *a) \
    { \
        itr_metrics *metrics = (itr_metrics *)a->metrics; \
        for (int64_t r = 0; r < a->outer * a->inner; r++) { \
            const int64_t at = r / a->inner * a->axis * a->inner + r % a->inner; \
            const int64_t target = class_id(a->target, r); \
            const T *x = (const T *)a->x + at; \
            int64_t max = x[0], best = 0; \
            for (int64_t i = 1; i < a->axis; i++) { \
                if (x[i * a->inner] > max) { \
                    max = x[i * a->inner]; \
                    best = i; \
                } \
            } \
            if (target >= 0 && target < a->axis && target != a->ignore_index) { \
                row(a, at, target, max, best, distance_##name); \
            } else if (target == a->ignore_index) { \
                for (int64_t i = 0; a->dx && i < a->axis; i++) { \
                    ((int32_t *)a->dx)[at + i * a->inner] = 0; \
                } \
            } else { \
                metrics->rows = -1; \
                return; \
            } \
        } \
    }

CROSS_ENTROPY(i8, int8_t)
CROSS_ENTROPY(i16, int16_t)

void itr_square_loss_i16_ref(const itr_square_loss_args *a)
{
    const int16_t *x = (const int16_t *)a->x;
    itr_metrics *metrics = (itr_metrics *)a->metrics;
    uint64_t sum = 0; /* n < 2^33 squares below 2^30 */
    for (int64_t i = 0; i < a->n; i++) {
        sum += (uint64_t)((int64_t)x[i] * x[i]);
    }
    int64_t e = 2 * (int64_t)*a->e_x + 24 + a->weight_e;
    e = e > 1000 ? 1000 : e < -1000 ? -1000 : e;
    add_loss(metrics, sum, a->weight_m, (int32_t)e);
    metrics->rows += a->rows;
}
