/**
 * Normalisation: what is computed once a slice. The large tensors are handled by Requant, as
 * x * scale + shift forward and dy * a + xhat * b + c backward (NUMERICS.md, "Normalisation").
 *
 * Shapes   x [outer, slices, inner], dense; the statistics are over outer and inner, n of them,
 *          1 <= n < 2^31; scale, shift, mean, var, a, b, c [slices]; work i64 [slices, 8];
 *          extremes (or none) [2, slices]
 * Units    each result at an exponent of its own, which the kernel measures
 * Range    |x| < 2^31; results have the bits that NUMERICS.md says
 * Aliasing none
 * Errors   rng->status = ITR_DIVERGED when an exponent leaves 2^20
 * Source   Ioffe and Szegedy 2015, algorithm 1; ONNX BatchNormalization-15, LayerNormalization-17
 */
#include "exponent.h"
#include "number.h"

/** What work holds of a slice: four numbers. */
enum { GRAIN = 16384 }; /* elements that are worth a thread */
enum { WORK_SCALE, WORK_SHIFT, WORK_MEAN, WORK_VAR, WORK_NUMBERS };

static void put(int64_t *work, int64_t slice, int which, itr_number v)
{
    int64_t *to = work + (slice * WORK_NUMBERS + which) * 2;
    to[0] = v.negative ? -(int64_t)v.m : v.m;
    to[1] = v.e;
}

static itr_number get(const int64_t *work, int64_t slice, int which)
{
    const int64_t *from = work + (slice * WORK_NUMBERS + which) * 2;
    return (itr_number){(uint32_t)itr_abs64(from[0]), (int32_t)from[1], from[0] < 0};
}

/** The larger of `grid` and the exponent at which v, truncated, has `bits` bits. */
static int64_t grid_for(itr_number v, int bits, int64_t grid)
{
    return v.m != 0 && (int64_t)v.e + 32 - bits > grid ? (int64_t)v.e + 32 - bits : grid;
}

/** The numbers of all slices in units of 2^grid, which is at least grid_for each of them. */
static void store_on(const int64_t *work, int which, int64_t slices, int64_t grid, int32_t *y)
{
    for (int64_t i = 0; i < slices; i++) {
        const itr_number v = get(work, i, which);
        const int64_t s = grid - v.e;
        const int32_t m = v.m == 0 || s > 31 ? 0 : (int32_t)(v.m >> s);
        y[i] = v.negative ? -m : m;
    }
}

/** The numbers of all slices as mantissas below 2^bits at one exponent, which is 0 where all are 0.
 */
static void store(itr_rng *rng, const int64_t *work, int which, int64_t slices, int bits,
                  int32_t *y, int32_t *e_y)
{
    int64_t grid = INT64_MIN;
    if (!y) {
        return;
    }
    for (int64_t i = 0; i < slices; i++) {
        grid = grid_for(get(work, i, which), bits, grid);
    }
    grid = grid == INT64_MIN ? 0 : grid;
    store_on(work, which, slices, grid, y);
    itr_set_exponent(rng, e_y, grid);
}

/* ---- statistics ---- */

/** Sum of x and of x^2 over a slice, and its extremes. */
typedef struct sums {
    int64_t x;
    uint64_t low, high; /**< of x^2: 128 bits */
    int32_t least, greatest;
} sums;

static void add_squares(sums *s, uint64_t part)
{
    s->low += part;
    s->high += s->low < part;
}

/** The sums of a slice lie where its numbers will, until all of them are complete. */
static sums *sums_of(const itr_norm_stats_args *a, int64_t slice)
{
    return (sums *)(void *)((int64_t *)a->work + slice * WORK_NUMBERS * 2);
}

/** Slices [begin, end), in the order in which they lie in memory: one plane of each, then the next.
 * Blocks of 4 squares fit 64 bits whatever |x| < 2^31 is; of i8 and i16 far more. */
#define DEFINE_SUMS(name, type, block)                                                             \
    static void name(const itr_norm_stats_args *a, int64_t begin, int64_t end)                     \
    {                                                                                              \
        for (int64_t k = 0; k < a->outer * (end - begin); k++) {                                   \
            const int64_t slice = begin + k % (end - begin), o = k / (end - begin);                \
            const type *x = (const type *)a->x + (o * a->slices + slice) * a->inner;               \
            sums s = {.least = *x, .greatest = *x};                                                \
            s = o > 0 ? *sums_of(a, slice) : s;                                                    \
            for (int64_t i = 0; i < a->inner; i += (block)) {                                      \
                const int64_t n = a->inner - i < (block) ? a->inner : i + (block);                 \
                int64_t sum = 0;                                                                   \
                uint64_t squares = 0;                                                              \
                type least = x[i], greatest = x[i];                                                \
                for (int64_t j = i; j < n; j++) {                                                  \
                    sum += x[j];                                                                   \
                    squares += (uint64_t)((int64_t)x[j] * x[j]);                                   \
                    least = x[j] < least ? x[j] : least;                                           \
                    greatest = x[j] > greatest ? x[j] : greatest;                                  \
                }                                                                                  \
                s.x += sum;                                                                        \
                s.least = least < s.least ? least : s.least;                                       \
                s.greatest = greatest > s.greatest ? greatest : s.greatest;                        \
                add_squares(&s, squares);                                                          \
            }                                                                                      \
            *sums_of(a, slice) = s;                                                                \
        }                                                                                          \
    }
DEFINE_SUMS(sums_i8, int8_t, 1 << 20)
DEFINE_SUMS(sums_i16, int16_t, 1 << 20)
DEFINE_SUMS(sums_i32, int32_t, 4)
DEFINE_SUMS(sums_i24, int32_t, 1 << 14) /* |x| < 2^24: 2^14 squares of 2^48 */

static itr_number scaled_int(int64_t x, int64_t e)
{
    return itr_number_of(x < 0, itr_abs64(x), e);
}

/** n * sum(x^2) - sum(x)^2, or n * sum(x^2) about 0: n^2 times the variance. */
static itr_number spread(const sums *s, uint64_t n, bool center, int64_t e)
{
    uint64_t low = s->low * n, high = itr_mulhi64(s->low, n) + s->high * n;
    if (center) {
        const uint64_t x = itr_abs64(s->x), below = x * x;
        high -= itr_mulhi64(x, x) + (low < below);
        low -= below;
    }
    const int up = high ? itr_bitlen64(high) : 0; /* the upper 64 bits that are used */
    return up ? itr_number_of(false, up == 64 ? high : high << (64 - up) | low >> up, e + up)
              : itr_number_of(false, low, e);
}

/** Scale and shift of a slice from n^2 var, n and the mean. */
static void put_scale(int64_t *work, int64_t slice, itr_number var, uint64_t n, itr_number mean,
                      itr_number eps)
{
    const itr_number count = scaled_int((int64_t)n, 0);
    itr_number d = itr_number_add(var, itr_number_mul(itr_number_mul(count, count), eps));
    if (d.m == 0) { /* constant, and no epsilon: whatever the scale, xhat is 0 */
        d = scaled_int(1, 0);
    }
    const itr_number scale = itr_number_div(count, itr_number_sqrt(d));
    put(work, slice, WORK_SCALE, scale);
    put(work, slice, WORK_SHIFT, itr_number_neg(itr_number_mul(mean, scale)));
}

static void put_slice(const itr_norm_stats_args *a, int64_t slice, sums s)
{
    int64_t *work = (int64_t *)a->work;
    const uint64_t n = (uint64_t)(a->outer * a->inner);
    const int64_t e = *a->e_x;
    const itr_number count = scaled_int((int64_t)n, 0), inner = scaled_int(a->inner, 0);
    const itr_number sum = scaled_int(a->center ? s.x : 0, e);
    const itr_number var = spread(&s, n, a->center != 0, 2 * e);
    put_scale(work, slice, var, n, itr_number_div(sum, count), scaled_int(a->eps_m, a->eps_e));
    put(work, slice, WORK_MEAN, itr_number_div(sum, inner));
    put(work, slice, WORK_VAR, itr_number_div(itr_number_div(var, count), inner));
}

static void finish(const itr_norm_stats_args *a)
{
    const int64_t *work = (const int64_t *)a->work;
    store(a->rng, work, WORK_SCALE, a->slices, a->bits, (int32_t *)a->scale, a->e_scale);
    store(a->rng, work, WORK_SHIFT, a->slices, 30, (int32_t *)a->shift, a->e_shift);
    store(a->rng, work, WORK_MEAN, a->slices, 30, (int32_t *)a->mean, a->e_mean);
    store(a->rng, work, WORK_VAR, a->slices, 30, (int32_t *)a->var, a->e_var);
}

/** The extremes of a slice, in the type of x. */
static void put_extremes(const itr_norm_stats_args *a, size_t width, int64_t slice, const sums *s)
{
    const int32_t found[2] = {s->least, s->greatest};
    for (int64_t k = 0; k < 2 && a->extremes; k++) {
        const int64_t at = k * a->slices + slice;
        if (width == sizeof(int8_t)) {
            ((int8_t *)a->extremes)[at] = (int8_t)found[k];
        } else if (width == sizeof(int16_t)) {
            ((int16_t *)a->extremes)[at] = (int16_t)found[k];
        } else {
            ((int32_t *)a->extremes)[at] = found[k];
        }
    }
}

/** Slices [begin, end) by the type of x, and by its bits. */
static void stats_part(void *user, int64_t begin, int64_t end, size_t width,
                       void (*sum)(const itr_norm_stats_args *, int64_t, int64_t))
{
    const itr_norm_stats_args *a = (const itr_norm_stats_args *)user;
    sum(a, begin, end);
    for (int64_t i = begin; i < end; i++) {
        const sums s = *sums_of(a, i);
        put_slice(a, i, s);
        put_extremes(a, width, i, &s);
    }
}

/** Threads share the slices. */
#define DEFINE_STATS(suffix, type, sum)                                                            \
    static void part_##suffix(void *user, int64_t begin, int64_t end)                              \
    {                                                                                              \
        stats_part(user, begin, end, sizeof(type), sum);                                           \
    }
DEFINE_STATS(i8, int8_t, sums_i8)
DEFINE_STATS(i16, int16_t, sums_i16)
DEFINE_STATS(i24, int32_t, sums_i24)
DEFINE_STATS(i32, int32_t, sums_i32)

static void stats(const itr_norm_stats_args *a, itr_range_fn part)
{
    itr_norm_stats_args copy = *a;
    const int64_t size = a->outer * a->inner;
    itr_parallel(a->pool, a->slices, size < GRAIN ? GRAIN / size : 1, part, &copy);
    finish(a);
}

void ITR_KERNEL(norm_stats_i8)(const itr_norm_stats_args *a)
{
    stats(a, part_i8);
}

void ITR_KERNEL(norm_stats_i16)(const itr_norm_stats_args *a)
{
    stats(a, part_i16);
}

void ITR_KERNEL(norm_stats_i32)(const itr_norm_stats_args *a)
{
    stats(a, a->bits_x <= 24 ? part_i24 : part_i32);
}

void ITR_KERNEL(norm_scale)(const itr_norm_scale_args *a)
{
    int64_t *work = (int64_t *)a->work;
    for (int64_t i = 0; i < a->slices; i++) {
        const int32_t var = ((const int32_t *)a->var)[i]; /* rounding may have left it below 0 */
        put_scale(work, i, scaled_int(var > 0 ? var : 0, *a->e_var), 1,
                  scaled_int(((const int32_t *)a->mean)[i], *a->e_mean),
                  scaled_int(a->eps_m, a->eps_e));
    }
    store(a->rng, work, WORK_SCALE, a->slices, a->bits, (int32_t *)a->scale, a->e_scale);
    store(a->rng, work, WORK_SHIFT, a->slices, 30, (int32_t *)a->shift, a->e_shift);
}

/* ---- gradient ---- */

enum { WORK_A = WORK_SCALE, WORK_B = WORK_SHIFT, WORK_C = WORK_MEAN };

static int64_t sum_at(const itr_term *t, int64_t i)
{
    return t->dtype == ITR_I64 ? ((const int64_t *)t->x)[i] : ((const int32_t *)t->x)[i];
}

/** -scale * sum * 2^e / n */
static itr_number mean_part(itr_number scale, int64_t sum, int64_t e, itr_number n)
{
    return itr_number_neg(itr_number_div(itr_number_mul(scale, scaled_int(sum, e)), n));
}

/**
 * dx = scale * (dy - mean(dy) - xhat * mean(dy * xhat)) as dy * a + xhat * b + c, in units of
 * 2^grid: each part is below 2^28 (operands of 8 bits), so that their sum fits 32 bits; with wider
 * dy below 2^(21 + bits_dy). mean(dy) is left out where the mean of x was (center = 0).
 */
void ITR_KERNEL(norm_grad)(const itr_norm_grad_args *a)
{
    int64_t *work = (int64_t *)a->work;
    const itr_number n = scaled_int(a->outer * a->inner, 0);
    const int total = a->bits_dy <= 7 ? 28 : 21 + a->bits_dy;
    const int64_t e_dy = *a->e_dy, e_xhat = *a->e_xhat;
    int64_t grid = INT64_MIN;
    for (int64_t i = 0; i < a->slices; i++) {
        const itr_number scale = scaled_int(((const int32_t *)a->scale)[i], *a->e_scale);
        const itr_number by_dy = itr_number_mul(scale, scaled_int(1, e_dy));
        const itr_number b = mean_part(scale, sum_at(&a->sums[1], i), e_dy + 2 * e_xhat, n);
        const itr_number c = mean_part(scale, a->center ? sum_at(&a->sums[0], i) : 0, e_dy, n);
        put(work, i, WORK_A, by_dy);
        put(work, i, WORK_B, b);
        put(work, i, WORK_C, c);
        grid = grid_for(by_dy, total - a->bits_dy, grid);
        grid = grid_for(b, total - a->bits_xhat, grid);
        grid = grid_for(c, total, grid);
    }
    grid = grid == INT64_MIN ? 0 : grid;
    const int64_t wide = total > 30 ? total - 30 : 0; /* c has 30 bits at most */
    store_on(work, WORK_A, a->slices, grid, (int32_t *)a->a);
    store_on(work, WORK_B, a->slices, grid, (int32_t *)a->b);
    store_on(work, WORK_C, a->slices, grid + wide, (int32_t *)a->c);
    itr_set_exponent(a->rng, a->e_a, grid - e_dy);
    itr_set_exponent(a->rng, a->e_b, grid - e_xhat);
    itr_set_exponent(a->rng, a->e_c, grid + wide);
}
