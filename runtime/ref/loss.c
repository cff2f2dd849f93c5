/**
 * Losses of integer trainers, added to the call's metrics. NUMERICS.md, "Losses", is the
 * specification.
 *
 * Cross-entropy
 * Shapes   x, dx [outer, axis, inner]; class ids [outer, inner], u8, i8, i16 or i32;
 *          1 <= axis <= 2^30. dx may be null
 * Units    x at *e_x; dx at exponent -30; smoothing_q30 / 2^30 of a target is spread over all
 *          classes; metrics->loss_q24 += weight_m * 2^weight_e times the sum of the rows' losses
 * Range    |dx| <= 2^30 and each row of dx sums to 0; a row's loss is within 2^-22 (plus
 *          axis * 2^-q of softmax_row.h) and at most 2^37
 * x may be log-probabilities, since softmax(log p) = p: is_log changes nothing.
 * A row whose id is ignore_index (INT32_MIN: there is none) has dx 0 and is not counted.
 * Errors   an id outside [0, axis): dx is 0, metrics->rows becomes -1 and stays so
 * Source   ONNX SoftmaxCrossEntropyLoss-13; numerics N14
 *
 * With weights w [outer, inner], at *e_w and not negative, a row's loss is multiplied by its own.
 *
 * Label weights
 * Shapes   class ids [rows], w [classes], or one for all, y [rows]
 * Units    w at *e_w, not negative; y = w * rows / S, or w * rows, at *e_y with 15 bits, rounded to
 *          nearest; S is the exact sum over the rows that count; e_y is the least at which all fit
 * Range    rows < 2^31; y is 0 for ignored rows, ids that are none, and where S is 0
 *
 * Square loss, mean loss
 * Shapes   x [n], n <= 2^34
 * Units    metrics->loss_q24 += weight_m * 2^weight_e times the sum of squares, of x itself
 *
 * loss_q24 that would pass INT64_MAX stays there.
 * Aliasing none
 */
#include "softmax_row.h"

#include "../kernel.h"
#include "term.h"

/* ---- metrics ---- */

/** a * m * 2^e to nearest, at most INT64_MAX; m < 2^31. */
static int64_t scaled(uint64_t a, uint64_t m, int64_t e)
{
    uint64_t high = itr_mulhi64(a, m), low = a * m; /* below 2^95 */
    if (high == 0 && low == 0) {
        return 0;
    }
    if (e >= 0) {
        const bool fits = high == 0 && itr_bitlen64(low) + e <= 63;
        return fits ? (int64_t)(low << e) : INT64_MAX;
    }
    if (e < -96) {
        return 0;
    }
    if (e <= -64) { /* 64 bits less */
        const uint64_t up = e == -64 ? low >> 63 : 0;
        low = high + up;
        high = 0;
        e += 64;
    }
    if (e == 0) {
        return (int64_t)low; /* below 2^31 */
    }
    const int s = (int)-e;
    const uint64_t half = (uint64_t)1 << (s - 1);
    high += low + half < low;
    low += half;
    const uint64_t kept = low >> s | high << (64 - s);
    return high >> s != 0 || kept > INT64_MAX ? INT64_MAX : (int64_t)kept;
}

static void add_loss(itr_metrics *metrics, uint64_t sum, int32_t weight_m, int64_t e)
{
    const int64_t v = scaled(sum, itr_abs64(weight_m), e);
    int64_t *loss = &metrics->loss_q24;
    if (*loss == INT64_MAX || v == INT64_MAX) {
        *loss = INT64_MAX;
    } else if (weight_m < 0) {
        *loss = *loss < INT64_MIN + v ? INT64_MIN : *loss - v;
    } else {
        *loss = *loss > INT64_MAX - v ? INT64_MAX : *loss + v;
    }
}

/* ---- class ids ---- */

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

/* ---- cross-entropy ---- */

/** Sum of q * (max - x) over a row, in Q30 of x's grid: at most 2^46. */
static int64_t distance(const itr_row *r, int32_t max, int64_t target, int64_t eps)
{
    const int64_t mask = ((int64_t)1 << 30) - 1;
    const int64_t own = max - itr_row_at(r, target);
    if (eps == 0) {
        return own << 30;
    }
    int64_t sum = 0;
    for (int64_t k = 0; k < r->n; k++) {
        sum += max - itr_row_at(r, k);
    }
    const int64_t mean = sum / r->n, rest = ((sum % r->n) << 30) / r->n;
    return (((int64_t)1 << 30) - eps) * own + eps * mean + (eps * (rest & mask) >> 30);
}

/** v holds exponentials in Q31; afterwards p - q in Q30, the residue at the target. */
static void gradient(uint32_t *v, const itr_row *r, uint64_t sum, int q, int64_t target,
                     int64_t eps)
{
    int32_t *dx = (int32_t *)v;
    const int32_t share = (int32_t)(eps / r->n);
    int64_t others = 0;
    itr_row_normalise(v, r->n, r->stride, sum, q);
    for (int64_t k = 0; k < r->n; k++) {
        dx[k * r->stride] -= share;
        others += k == target ? 0 : dx[k * r->stride];
    }
    dx[target * r->stride] = (int32_t)-others;
}

static void clear_row(uint32_t *v, int64_t n, int64_t stride)
{
    for (int64_t k = 0; v && k < n; k++) {
        v[k * stride] = 0;
    }
}

/** The loss of row i in Q24. */
static uint64_t row_loss(const itr_cross_entropy_args *a, bool wide, int64_t i, int64_t *correct)
{
    const int64_t at = i / a->inner * a->axis * a->inner + i % a->inner;
    const int64_t target = itr_term_integer(a->target, i);
    const itr_row r = itr_row_of(a->x, wide, at, a->axis, a->inner);
    uint32_t *v = a->dx ? (uint32_t *)a->dx + at : NULL;
    const int q = itr_row_bits(a->axis);
    int64_t first;
    const int32_t max = itr_row_max(&r, &first);
    const uint64_t sum = itr_row_exp(&r, max, *a->e_x, q, v);
    if (v) {
        gradient(v, &r, sum, q, target, a->smoothing_q30);
    }
    *correct += first == target;
    const int64_t d = distance(&r, max, target, a->smoothing_q30);
    const int64_t below = itr_align_clamped(d, (int64_t)*a->e_x - 6); /* Q30 to Q24 */
    return (uint64_t)(below + itr_round_nearest(itr_log_q32(sum, q), 8));
}

static void cross_entropy(const itr_cross_entropy_args *a, bool wide)
{
    itr_metrics *metrics = (itr_metrics *)a->metrics;
    const int64_t rows = a->outer * a->inner;
    const bool valid = metrics->rows >= 0 && ids_valid(a);
    const int16_t *w = (const int16_t *)a->w;
    uint64_t sum = 0;
    int64_t counted = 0;
    for (int64_t i = 0; i < rows; i++) {
        if (!valid || is_ignored(a, itr_term_integer(a->target, i))) {
            const int64_t at = i / a->inner * a->axis * a->inner + i % a->inner;
            clear_row(a->dx ? (uint32_t *)a->dx + at : NULL, a->axis, a->inner);
            continue;
        }
        uint64_t loss = row_loss(a, wide, i, &metrics->correct);
        if (w) {
            loss *= itr_abs64(w[i]); /* below 2^52 */
        }
        sum = sum + loss < sum ? UINT64_MAX : sum + loss;
        counted++;
    }
    if (!valid) {
        metrics->rows = -1;
        return;
    }
    metrics->rows += counted;
    add_loss(metrics, sum, a->weight_m, a->weight_e + (w ? (int64_t)*a->e_w : 0));
}

void itr_cross_entropy_i8_ref(const itr_cross_entropy_args *a)
{
    cross_entropy(a, false);
}

void itr_cross_entropy_i16_ref(const itr_cross_entropy_args *a)
{
    cross_entropy(a, true);
}

/* ---- label weights ---- */

/** The mantissa of row i's class weight; 0 where the row does not count. */
static int64_t label_weight(const itr_label_weights_args *a, int64_t i)
{
    const int64_t id = itr_term_integer(a->target, i);
    if (id == a->ignore_index && a->ignore_index != INT32_MIN) {
        return 0;
    }
    return id >= 0 && (id < a->classes || a->classes == 1)
               ? (int64_t)itr_abs64(((const int16_t *)a->w)[a->classes > 1 ? id : 0])
               : 0;
}

/** a * 2^k / s to nearest, halves up; a, s < 2^46, and the result below 2^16. */
static int64_t ratio(int64_t a, int64_t s, int32_t k)
{
    const int64_t up = k > 0 ? k : 0, down = k < 0 ? -k : 0;
    const int64_t n = a << up, d = s << down;
    return (2 * (n % d) >= d) + n / d;
}

void itr_label_weights_i16_ref(const itr_label_weights_args *a)
{
    int16_t *y = (int16_t *)a->y;
    int64_t sum = 0, most = 0;
    int32_t k = 0;
    for (int64_t i = 0; i < a->rows; i++) {
        const int64_t w = label_weight(a, i);
        sum += w;
        most = w > most ? w : most;
    }
    const int64_t s = a->mean && sum > 0 ? sum : 1;
    most *= a->rows;
    while (most > 0 && ratio(most, s, k) > INT16_MAX) {
        k--;
    }
    while (most > 0 && ratio(most, s, k) <= INT16_MAX / 2 && ratio(most, s, k + 1) <= INT16_MAX) {
        k++;
    }
    for (int64_t i = 0; i < a->rows; i++) {
        y[i] = (int16_t)(sum > 0 ? ratio(label_weight(a, i) * a->rows, s, k) : 0);
    }
    *a->e_y = -k + (a->mean ? 0 : *a->e_w);
}

/* ---- square loss ---- */

void itr_square_loss_i16_ref(const itr_square_loss_args *a)
{
    const int16_t *x = (const int16_t *)a->x;
    itr_metrics *metrics = (itr_metrics *)a->metrics;
    uint64_t sum = 0;
    for (int64_t i = 0; i < a->n; i++) {
        const int32_t v = x[i];
        sum += (uint32_t)(v * v);
    }
    metrics->rows += metrics->rows < 0 ? 0 : a->rows;
    add_loss(metrics, sum, a->weight_m, 2 * (int64_t)*a->e_x + a->weight_e + 24);
}

/* ---- mean loss ---- */

void itr_mean_loss_i16_ref(const itr_mean_loss_args *a)
{
    const int16_t *x = (const int16_t *)a->x;
    itr_metrics *metrics = (itr_metrics *)a->metrics;
    int64_t sum = 0;
    for (int64_t i = 0; i < a->n; i++) {
        sum += x[i];
    }
    metrics->rows += metrics->rows < 0 ? 0 : a->rows;
    add_loss(metrics, itr_abs64(sum), sum < 0 ? -a->weight_m : a->weight_m,
             (int64_t)*a->e_x + a->weight_e + 24);
}
