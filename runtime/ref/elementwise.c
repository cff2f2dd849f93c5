/**
 * Products, quotients and bounds, element by element.
 *
 * Products and quotients
 * Shapes   y `shape`, dense; a and b by their strides in elements, 0 where one is broadcast
 * Units    product: y at e_a + e_b. Quotient: at e_a - e_b - 23 from int8, - 40 from int16
 * Range    products are exact. A quotient is floor(a * 2^k / b + 1/2) with b = 0 taken for 1: the
 *          divisor is at least one stored unit. |y| <= 127 * 2^23, 32767 * 2^40
 * Aliasing none
 * Source   ONNX Mul-14, Div-14
 *
 * Clip
 * Shapes   x, dy, y [n]
 * Units    y at x's exponent; the gradient at dy's
 * Range    a bound is rounded to nearest on x's grid (clip_bounds)
 * Aliasing y may be x, or dy
 * Source   ONNX Clip-13; its gradient is dy strictly between the bounds, as the forward pass
 *          rounds them, else 0 (our derivation)
 */
#include "../kernel.h"
#include "../numeric.h"

/** The axes of y after merging neighbours; axis 0 is the innermost. */
typedef struct axes {
    int n;
    int64_t size[ITR_MAX_RANK], a[ITR_MAX_RANK], b[ITR_MAX_RANK], at[ITR_MAX_RANK];
} axes;

static axes merge(const itr_binary_args *v)
{
    axes s = {.n = 1, .size = {1}};
    for (int i = v->rank - 1; i >= 0; i--) {
        const int k = s.n - 1;
        if (v->shape[i] == 1) {
            continue;
        }
        if (s.size[k] == 1) {
            s.size[k] = v->shape[i];
            s.a[k] = v->stride_a[i];
            s.b[k] = v->stride_b[i];
        } else if (v->stride_a[i] == s.a[k] * s.size[k] && v->stride_b[i] == s.b[k] * s.size[k]) {
            s.size[k] *= v->shape[i];
        } else {
            s.size[s.n] = v->shape[i];
            s.a[s.n] = v->stride_a[i];
            s.b[s.n++] = v->stride_b[i];
        }
    }
    return s;
}

/** Moves a and b to the next row; false after the last. */
static bool next_row(axes *s, int64_t *a, int64_t *b)
{
    for (int i = 1; i < s->n; i++) {
        *a += s->a[i];
        *b += s->b[i];
        if (++s->at[i] < s->size[i]) {
            return true;
        }
        *a -= s->a[i] * s->size[i];
        *b -= s->b[i] * s->size[i];
        s->at[i] = 0;
    }
    return false;
}

static bool empty(const itr_binary_args *v)
{
    for (int i = 0; i < v->rank; i++) {
        if (v->shape[i] == 0) {
            return true;
        }
    }
    return false;
}

/** A row has one of three forms that compilers can vectorise, or strides of its own. */
#define DEFINE_BINARY(name, type_a, type_b, type_y, op)                                            \
    static void name##_row(const axes *s, const type_a *a, const type_b *b, type_y *y)             \
    {                                                                                              \
        const int64_t n = s->size[0], step_a = s->a[0], step_b = s->b[0];                          \
        if (step_a == 1 && step_b == 1) {                                                          \
            for (int64_t i = 0; i < n; i++) {                                                      \
                y[i] = op(a[i], b[i]);                                                             \
            }                                                                                      \
        } else if (step_a == 1 && step_b == 0) {                                                   \
            for (int64_t i = 0; i < n; i++) {                                                      \
                y[i] = op(a[i], *b);                                                               \
            }                                                                                      \
        } else {                                                                                   \
            for (int64_t i = 0; i < n; i++) {                                                      \
                y[i] = op(a[i * step_a], b[i * step_b]);                                           \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    void ITR_KERNEL(name)(const itr_binary_args *v)                                                \
    {                                                                                              \
        axes s = merge(v);                                                                         \
        type_y *y = (type_y *)v->y;                                                                \
        int64_t a = 0, b = 0;                                                                      \
        if (empty(v)) {                                                                            \
            return;                                                                                \
        }                                                                                          \
        do {                                                                                       \
            name##_row(&s, (const type_a *)v->a + a, (const type_b *)v->b + b, y);                 \
            y += s.size[0];                                                                        \
        } while (next_row(&s, &a, &b));                                                            \
    }

static inline int16_t product16(int32_t a, int32_t b)
{
    return (int16_t)(a * b);
}

static inline int32_t product32(int32_t a, int32_t b)
{
    return a * b;
}

/** floor(a * 2^k / b + 1/2); |a|, |b| < 2^15, k <= 40. */
static inline int64_t quotient(int64_t a, int64_t b, int k)
{
    if (b <= 0) {
        a = b < 0 ? -a : a;
        b = b < 0 ? -b : 1;
    }
    const int64_t n = a * ((int64_t)1 << (k + 1)) + b; /* over 2 * b */
    const int64_t q = n / (2 * b);
    return q - (n % (2 * b) < 0);
}

static inline int32_t quotient23(int32_t a, int32_t b)
{
    return (int32_t)quotient(a, b, 23);
}

static inline int64_t quotient40(int32_t a, int32_t b)
{
    return quotient(a, b, 40);
}

DEFINE_BINARY(mul_i8i8i16, int8_t, int8_t, int16_t, product16)
DEFINE_BINARY(mul_i8i16i32, int8_t, int16_t, int32_t, product32)
DEFINE_BINARY(mul_i16i16i32, int16_t, int16_t, int32_t, product32)
DEFINE_BINARY(div_i8i8i32, int8_t, int8_t, int32_t, quotient23)
DEFINE_BINARY(div_i16i16i64, int16_t, int16_t, int64_t, quotient40)

/* ---- Clip ---- */

/**
 * m * 2^e on x's grid, rounded to nearest (ties up), limited to one unit beyond x's largest
 * mantissa on either side.
 */
static int32_t on_grid(int32_t m, int64_t e, int64_t e_x, int32_t beyond)
{
    const int64_t s = e - e_x;
    if (m == 0 || s < -62) {
        return 0;
    }
    int64_t v = m;
    if (s < 0) {
        v = itr_round_nearest(v, (int)-s);
    } else {
        v = s > 16 ? (m < 0 ? -beyond : beyond) : v * ((int64_t)1 << s);
    }
    return (int32_t)(v > beyond ? beyond : v < -beyond ? -beyond : v);
}

/**
 * The bounds as mantissas. Exponent INT32_MIN: there is none. A bound outside the width holds back
 * nothing on its own side: `beyond`, which no mantissa reaches; on the other side (lo above every
 * mantissa) the result is the outermost mantissa and the gradient 0.
 */
static void clip_bounds(const itr_clip_args *a, int bits, int32_t *lo, int32_t *hi)
{
    const int32_t beyond = (int32_t)itr_limit(bits) + 1;
    *lo = a->lo_e == INT32_MIN ? -beyond : on_grid(a->lo_m, a->lo_e, *a->e_x, beyond);
    *hi = a->hi_e == INT32_MIN ? beyond : on_grid(a->hi_m, a->hi_e, *a->e_x, beyond);
}

static int32_t within(int32_t v, int32_t limit)
{
    return v > limit ? limit : v < -limit ? -limit : v;
}

/** A part of a clip or of its gradient: elements pass where lo <= x <= hi. */
typedef struct clip_part {
    const itr_clip_args *a;
    int32_t lo, hi;
} clip_part;

enum { CLIP_GRAIN = 1 << 15 };

#define DEFINE_CLIP(name, type, bits)                                                              \
    static void clip_##name(void *user, int64_t begin, int64_t end)                                \
    {                                                                                              \
        const clip_part *p = (const clip_part *)user;                                              \
        const type *x = (const type *)p->a->x;                                                     \
        type *y = (type *)p->a->y;                                                                 \
        const type lo = (type)p->lo, hi = (type)p->hi;                                             \
        for (int64_t i = begin; i < end; i++) {                                                    \
            const type v = x[i] > lo ? x[i] : lo;                                                  \
            y[i] = v < hi ? v : hi;                                                                \
        }                                                                                          \
    }                                                                                              \
    static void clip_grad_##name(void *user, int64_t begin, int64_t end)                           \
    {                                                                                              \
        const clip_part *p = (const clip_part *)user;                                              \
        const type *x = (const type *)p->a->x;                                                     \
        const type *dy = (const type *)p->a->dy;                                                   \
        type *y = (type *)p->a->y;                                                                 \
        const type lo = (type)p->lo, hi = (type)p->hi;                                             \
        for (int64_t i = begin; i < end; i++) {                                                    \
            const type passes = (type) - ((x[i] >= lo) & (x[i] <= hi));                            \
            y[i] = (type)(dy[i] & passes);                                                         \
        }                                                                                          \
    }                                                                                              \
    void ITR_KERNEL(clip_##name)(const itr_clip_args *a)                                           \
    {                                                                                              \
        clip_part p = {.a = a};                                                                    \
        clip_bounds(a, bits, &p.lo, &p.hi);                                                        \
        p.lo = within(p.lo, (int32_t)itr_limit(bits));                                             \
        p.hi = within(p.hi, (int32_t)itr_limit(bits));                                             \
        itr_parallel(a->pool, a->n, CLIP_GRAIN, clip_##name, &p);                                  \
    }                                                                                              \
    void ITR_KERNEL(clip_grad_##name##name)(const itr_clip_args *a)                                \
    {                                                                                              \
        clip_part p = {.a = a};                                                                    \
        clip_bounds(a, bits, &p.lo, &p.hi);                                                        \
        /* strictly between, in the type: lo < x is lo + 1 <= x, and nothing is above every x */   \
        if (p.lo >= (int32_t)itr_limit(bits) || p.hi <= -(int32_t)itr_limit(bits)) {               \
            p.lo = 1;                                                                              \
            p.hi = 0;                                                                              \
        } else {                                                                                   \
            p.lo = within(p.lo + 1, (int32_t)itr_limit(bits));                                     \
            p.hi = within(p.hi - 1, (int32_t)itr_limit(bits));                                     \
        }                                                                                          \
        itr_parallel(a->pool, a->n, CLIP_GRAIN, clip_grad_##name, &p);                             \
    }
DEFINE_CLIP(i8, int8_t, 8)
DEFINE_CLIP(i16, int16_t, 16)
