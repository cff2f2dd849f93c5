/**
 * Terms of a sum (requant_sum.h): where their elements and exponents lie, and how blocks of the
 * result are loaded from them.
 */
#include "../numeric.h"
#include "../rng_fill.h"
#include "exponent.h"
#include "term.h"

#include <string.h>

/** Elements that are rounded at once; their buffers are on the stack. */
#ifndef ITR_REQUANT_BLOCK
#define ITR_REQUANT_BLOCK 256
#endif

enum { BLOCK = ITR_REQUANT_BLOCK, GRAIN = 8192, MAX_TERMS = 8, HEADROOM = 62 };

/** A run is no longer, so that its length is an int. */
enum { LONGEST = 1 << 30 };

/** Where a tensor's elements and exponents lie along the merged axes of a term. */
typedef struct layout {
    int64_t first; /**< place of what the result's element 0 would have */
    int64_t stride[ITR_MAX_RANK], e_stride[ITR_MAX_RANK];
    int64_t
        carry[ITR_MAX_RANK]; /**< from the end of axis i to its start, one further along i + 1 */
} layout;

/** A term, its axes merged where they can be; axis 0 is the innermost. */
typedef struct operand {
    const itr_term *term;
    int axes;
    int64_t size[ITR_MAX_RANK];
    int64_t lo[ITR_MAX_RANK], hi[ITR_MAX_RANK]; /**< where it lies; elsewhere it is 0 */
    layout x, f;                                /**< f: of the factor; all 0 without one */
    int64_t e_min, e_max; /**< of its exponents, the coefficient's and the factor's added */
    int32_t bits;         /**< magnitude bits of c * x * f */
    uint32_t draw;        /**< of the rounding when it is aligned */
    bool set;             /**< some exponent is set */
    bool whole;           /**< all of them are */
    bool zero;            /**< every c * x is 0 */
    bool plain;           /**< fills the result, with one exponent */
    int width;            /**< bytes of an element that may be part of a line, else 0 */
} operand;

/** What a rounding depends on beside the numbers. */
typedef struct mode {
    itr_rng *rng;
    uint32_t site;
    bool stochastic, optimizer;
    bool floor;    /**< drop the bits: no way to train, a yardstick for the tests */
    int32_t limit; /**< results saturate there; 0: none can lie beyond */
} mode;

/** A term f * x, at an exponent of the sum's and `gap`, as requant_narrow.h takes it. */
typedef struct rung {
    int term;
    int64_t gap, f;
    int64_t most; /**< |f * x| is no larger */
} rung;

typedef struct sum {
    mode mode;
    operand op[MAX_TERMS]; /**< those that are not zero */
    int terms;
    int64_t n;               /**< elements of the result */
    int64_t e;               /**< exponent that the terms are aligned to */
    bool fits32;             /**< nothing is shifted right and all sums fit 32 bits */
    bool narrow;             /**< they need more, but may drop bits on the way (requant_narrow.h) */
    rung rung[MAX_TERMS];    /**< the terms by their exponents, for that */
    const struct rows *rows; /**< its short runs (requant_rows.h); NULL: it has none */
} sum;

/* ---- operands ---- */

static int coefficient_bits(int32_t m)
{
    const uint64_t mag = itr_abs64(m);
    return mag == 1 ? 0 : itr_bitlen64(mag);
}

/** Exponent of c * x * f at these places of the tables; false where one is not set. */
static bool exponent_at(const itr_term *t, int64_t x, int64_t f, int64_t *e)
{
    *e = (int64_t)t->e[x] + t->c.e + (t->f ? t->f->e[f] : 0);
    return t->e[x] != ITR_EXPONENT_UNSET && (!t->f || t->f->e[f] != ITR_EXPONENT_UNSET);
}

/** Least and greatest exponent that the term uses; those that are not set do not count. */
static void scan_exponents(operand *o)
{
    int64_t at[ITR_MAX_RANK] = {0}, x = 0, f = 0;
    o->set = false;
    o->whole = true;
    for (int i = 0; i < o->axes;) {
        int64_t e = 0;
        if (exponent_at(o->term, x, f, &e)) {
            o->e_min = o->set && o->e_min < e ? o->e_min : e;
            o->e_max = o->set && o->e_max > e ? o->e_max : e;
            o->set = true;
        } else {
            o->whole = false;
        }
        for (i = 0; i < o->axes; i++) {
            if (o->x.e_stride[i] == 0 && o->f.e_stride[i] == 0) {
                continue;
            }
            x += o->x.e_stride[i];
            f += o->f.e_stride[i];
            if (++at[i] < o->size[i]) {
                break;
            }
            x -= o->x.e_stride[i] * o->size[i];
            f -= o->f.e_stride[i] * o->size[i];
            at[i] = 0;
        }
    }
}

/** Axis i of a tensor goes on where merged axis `last`, further in, ends. */
static bool continues(const itr_term *t, const layout *l, int last, int i, int64_t size)
{
    return t->stride[i] == size * l->stride[last] && t->e_stride[i] == size * l->e_stride[last];
}

/** Axis i joins the merged axis further in, which the operand must fill. */
static bool joins(const itr_term *t, const operand *o, int i)
{
    const int last = o->axes - 1;
    return last >= 0 && o->lo[last] == 0 && o->hi[last] == o->size[last] &&
           continues(t, &o->x, last, i, o->size[last]) &&
           (!t->f || continues(t->f, &o->f, last, i, o->size[last]));
}

static operand operand_of(const itr_term *t, int rank, const int64_t *shape, uint32_t draw)
{
    operand o = {.term = t, .draw = draw};
    for (int i = rank - 1; i >= 0; i--) {
        const int last = o.axes - 1;
        const int64_t lo = t->extent[i] != 0 ? t->begin[i] : 0;
        const int64_t hi = t->extent[i] != 0 ? lo + t->extent[i] : shape[i];
        if (shape[i] == 1) {
            continue;
        }
        if (joins(t, &o, i)) {
            o.lo[last] = lo * o.size[last];
            o.hi[last] = hi * o.size[last];
            o.size[last] *= shape[i];
            continue;
        }
        o.size[o.axes] = shape[i];
        o.lo[o.axes] = lo;
        o.hi[o.axes] = hi;
        o.x.stride[o.axes] = t->stride[i];
        o.x.e_stride[o.axes] = t->e_stride[i];
        o.f.stride[o.axes] = t->f ? t->f->stride[i] : 0;
        o.f.e_stride[o.axes++] = t->f ? t->f->e_stride[i] : 0;
    }
    if (o.axes == 0) {
        o.hi[0] = o.size[0] = 1;
        o.axes = 1;
    }
    for (int i = 0; i < o.axes; i++) {
        o.x.first -= o.lo[i] * o.x.stride[i];
        o.f.first -= o.lo[i] * o.f.stride[i];
    }
    o.plain = true;
    for (int i = 0; i < o.axes; i++) {
        const bool inner = i + 1 < o.axes;
        o.x.carry[i] = inner ? o.x.stride[i + 1] - o.size[i] * o.x.stride[i] : 0;
        o.f.carry[i] = inner ? o.f.stride[i + 1] - o.size[i] * o.f.stride[i] : 0;
        o.plain = o.plain && o.lo[i] == 0 && o.hi[i] == o.size[i];
        o.plain = o.plain && o.x.e_stride[i] == 0 && o.f.e_stride[i] == 0;
    }
    const bool narrow = t->dtype == ITR_I8 || t->dtype == ITR_I16 || t->dtype == ITR_I32;
    o.width = narrow && o.x.stride[0] == 1 ? (int)itr_dtype_size(t->dtype) : 0;
    scan_exponents(&o);
    o.zero = t->c.m == 0 || !o.set;
    o.bits = t->bits + (t->f ? t->f->bits : 0) + coefficient_bits(t->c.m);
    return o;
}

/* ---- loading ---- */

/** v[i] += x[i * stride] * f; the caller proves that it fits. */
#define DEFINE_ADD(name, acc, type, mul)                                                           \
    static void name(acc *restrict v, const void *from, int64_t at, int64_t stride, int n, acc f)  \
    {                                                                                              \
        const type *x = (const type *)from + at;                                                   \
        if (stride == 0) {                                                                         \
            const acc c = mul((acc)x[0], f);                                                       \
            for (int i = 0; i < n; i++) {                                                          \
                v[i] += c;                                                                         \
            }                                                                                      \
        } else if (stride == 1 && f == 1) {                                                        \
            for (int i = 0; i < n; i++) {                                                          \
                v[i] += (acc)x[i];                                                                 \
            }                                                                                      \
        } else if (stride == 1) {                                                                  \
            for (int i = 0; i < n; i++) {                                                          \
                v[i] += mul((acc)x[i], f);                                                         \
            }                                                                                      \
        } else {                                                                                   \
            for (int i = 0; i < n; i++) {                                                          \
                v[i] += mul((acc)x[i * stride], f);                                                \
            }                                                                                      \
        }                                                                                          \
    }
#define MUL32(a, b) ((a) * (b))
DEFINE_ADD(add32_i8, int32_t, int8_t, MUL32)
DEFINE_ADD(add32_u8, int32_t, uint8_t, MUL32)
DEFINE_ADD(add32_i16, int32_t, int16_t, MUL32)
DEFINE_ADD(add32_i32, int32_t, int32_t, MUL32)
DEFINE_ADD(add32_i64, int32_t, int64_t, MUL32)
DEFINE_ADD(add64_i8, int64_t, int8_t, itr_wrap_mul64)
DEFINE_ADD(add64_u8, int64_t, uint8_t, itr_wrap_mul64)
DEFINE_ADD(add64_i16, int64_t, int16_t, itr_wrap_mul64)
DEFINE_ADD(add64_i32, int64_t, int32_t, itr_wrap_mul64)
DEFINE_ADD(add64_i64, int64_t, int64_t, itr_wrap_mul64)

/** v[i] += (x[i] * f) * 2^gap of operands of at most 32 bits: one multiplication of 32 bits. */
#define DEFINE_ADD_NARROW(name, type)                                                              \
    static void name(int64_t *restrict v, const void *from, int64_t at, int64_t stride, int n,     \
                     int32_t f, int gap)                                                           \
    {                                                                                              \
        const type *x = (const type *)from + at;                                                   \
        if (stride == 1) {                                                                         \
            for (int i = 0; i < n; i++) {                                                          \
                v[i] += itr_shl64((int64_t)(int32_t)x[i] * f, gap);                                \
            }                                                                                      \
        } else {                                                                                   \
            for (int i = 0; i < n; i++) {                                                          \
                v[i] += itr_shl64((int64_t)(int32_t)x[i * stride] * f, gap);                       \
            }                                                                                      \
        }                                                                                          \
    }
DEFINE_ADD_NARROW(add_narrow_i8, int8_t)
DEFINE_ADD_NARROW(add_narrow_u8, uint8_t)
DEFINE_ADD_NARROW(add_narrow_i16, int16_t)
DEFINE_ADD_NARROW(add_narrow_i32, int32_t)

static void add32(const itr_term *t, int32_t *v, int64_t at, int64_t stride, int n, int32_t f)
{
    switch (t->dtype) {
    case ITR_I8:
        add32_i8(v, t->x, at, stride, n, f);
        break;
    case ITR_U8:
        add32_u8(v, t->x, at, stride, n, f);
        break;
    case ITR_I16:
        add32_i16(v, t->x, at, stride, n, f);
        break;
    case ITR_I32:
        add32_i32(v, t->x, at, stride, n, f);
        break;
    case ITR_I64:
        add32_i64(v, t->x, at, stride, n, f);
        break;
    case ITR_F32: /* not an operand of integer sums */
        break;
    }
}

static void add64(const itr_term *t, int64_t *v, int64_t at, int64_t stride, int n, int64_t f)
{
    switch (t->dtype) {
    case ITR_I8:
        add64_i8(v, t->x, at, stride, n, f);
        break;
    case ITR_U8:
        add64_u8(v, t->x, at, stride, n, f);
        break;
    case ITR_I16:
        add64_i16(v, t->x, at, stride, n, f);
        break;
    case ITR_I32:
        add64_i32(v, t->x, at, stride, n, f);
        break;
    case ITR_I64:
        add64_i64(v, t->x, at, stride, n, f);
        break;
    case ITR_F32:
        break;
    }
}

/** v[i] += x[i] * f * 2^gap; the caller proves that it fits. */
static void add_scaled(const itr_term *t, int64_t *v, int64_t at, int64_t stride, int n, int64_t f,
                       int gap)
{
    const int32_t narrow = (int32_t)f;
    if (narrow != f || t->dtype == ITR_I64 || stride == 0) {
        add64(t, v, at, stride, n, itr_shl64(f, gap));
    } else if (t->dtype == ITR_I8) {
        add_narrow_i8(v, t->x, at, stride, n, narrow, gap);
    } else if (t->dtype == ITR_U8) {
        add_narrow_u8(v, t->x, at, stride, n, narrow, gap);
    } else if (t->dtype == ITR_I16) {
        add_narrow_i16(v, t->x, at, stride, n, narrow, gap);
    } else if (t->dtype == ITR_I32) {
        add_narrow_i32(v, t->x, at, stride, n, narrow, gap);
    }
}

/** v[i] = x[i * stride] */
#define DEFINE_LOAD(name, type)                                                                    \
    static void name(int32_t *restrict v, const void *from, int64_t at, int64_t stride, int n)     \
    {                                                                                              \
        const type *restrict x = (const type *)from + at;                                          \
        if (stride == 1) {                                                                         \
            for (int i = 0; i < n; i++) {                                                          \
                v[i] = x[i];                                                                       \
            }                                                                                      \
        } else {                                                                                   \
            for (int i = 0; i < n; i++) {                                                          \
                v[i] = x[i * stride];                                                              \
            }                                                                                      \
        }                                                                                          \
    }
DEFINE_LOAD(load_i8, int8_t)
DEFINE_LOAD(load_u8, uint8_t)
DEFINE_LOAD(load_i16, int16_t)
DEFINE_LOAD(load_i32, int32_t)

/** Elements of an operand of at most 32 bits. */
static void load32(const itr_term *t, int64_t at, int64_t stride, int n, int32_t *v)
{
    if (t->dtype == ITR_I8) {
        load_i8(v, t->x, at, stride, n);
    } else if (t->dtype == ITR_U8) {
        load_u8(v, t->x, at, stride, n);
    } else if (t->dtype == ITR_I16) {
        load_i16(v, t->x, at, stride, n);
    } else {
        load_i32(v, t->x, at, stride, n);
    }
}

/** Neighbouring elements of the result whose operand lies on a line and has one exponent, or which
 * it does not reach. */
typedef struct run {
    int64_t at[ITR_MAX_RANK];
    int64_t x, x_e, f, f_e; /**< places in the term's and the factor's elements and exponents */
    int n;
    bool outside; /**< the term is 0 here */
} run;

static run run_at(const operand *o, int64_t i)
{
    run r = {.x = o->x.first, .f = o->f.first};
    for (int k = 0; k < o->axes; k++) {
        r.at[k] = k + 1 < o->axes ? i % o->size[k] : i;
        i = k + 1 < o->axes ? i / o->size[k] : 0;
        r.x += r.at[k] * o->x.stride[k];
        r.x_e += r.at[k] * o->x.e_stride[k];
        r.f += r.at[k] * o->f.stride[k];
        r.f_e += r.at[k] * o->f.e_stride[k];
    }
    return r;
}

/** Moves `steps` along merged axis k. */
static void move(const operand *o, run *r, int k, int64_t steps)
{
    r->at[k] += steps;
    r->x += steps * o->x.stride[k];
    r->x_e += steps * o->x.e_stride[k];
    r->f += steps * o->f.stride[k];
    r->f_e += steps * o->f.e_stride[k];
}

/** next_run of an operand that is everywhere and has one exponent. */
static inline void next_plain_run(const operand *o, run *r, int limit)
{
    r->at[0] += r->n;
    r->x += r->n * o->x.stride[0];
    r->f += r->n * o->f.stride[0];
    for (int k = 0; k + 1 < o->axes && r->at[k] == o->size[k]; k++) {
        r->at[k] = 0;
        r->at[k + 1]++;
        r->x += o->x.carry[k];
        r->f += o->f.carry[k];
    }
    const int64_t left = o->size[0] - r->at[0];
    r->n = left < limit ? (int)left : limit;
}

/** Passes what r covers, then sets how far it goes on, at most `limit` elements. */
static void next_run(const operand *o, run *r, int limit)
{
    if (o->plain) {
        next_plain_run(o, r, limit);
        return;
    }
    move(o, r, 0, r->n);
    for (int k = 0; k + 1 < o->axes && r->at[k] == o->size[k]; k++) {
        move(o, r, k, -o->size[k]);
        move(o, r, k + 1, 1);
    }
    r->outside = r->at[0] < o->lo[0] || r->at[0] >= o->hi[0];
    const int64_t end = r->at[0] < o->lo[0] ? o->lo[0] : r->outside ? o->size[0] : o->hi[0];
    const bool one = o->x.e_stride[0] != 0 || o->f.e_stride[0] != 0;
    const int64_t left = one && !r->outside ? 1 : end - r->at[0];
    for (int k = 1; k < o->axes; k++) {
        r->outside = r->outside || r->at[k] < o->lo[k] || r->at[k] >= o->hi[k];
    }
    r->n = left < limit ? (int)left : limit;
}

/** Exponent of the run above that of the sum. */
static int64_t gap_of(const operand *o, const run *r, int64_t e)
{
    int64_t own = 0;
    if (o->whole && o->e_min == o->e_max) {
        return o->e_min - e;
    }
    return exponent_at(o->term, r->x_e, r->f_e, &own) ? own - e : -HEADROOM - 1;
}

/** The one factor of a whole run. */
static int64_t factor_of(const operand *o, const run *r)
{
    return itr_term_integer(o->term->f, r->f);
}

static bool is_wide_product(const itr_term *t)
{
    return t->dtype == ITR_I64 || t->f->dtype == ITR_I64;
}

/** v[i] += x * f * c for the elements of a run; the caller proves that it fits. */
static void add_run32(const operand *o, const run *r, int32_t c, int32_t *v)
{
    const itr_term *t = o->term;
    if (!t->f || o->f.stride[0] == 0) {
        add32(t, v, r->x, o->x.stride[0], r->n, t->f ? c * (int32_t)factor_of(o, r) : c);
        return;
    }
    int32_t x[BLOCK], f[BLOCK];
    if (is_wide_product(t)) {
        memset(x, 0, sizeof x);
        memset(f, 0, sizeof f);
        add32(t, x, r->x, o->x.stride[0], r->n, 1);
        add32(t->f, f, r->f, o->f.stride[0], r->n, 1);
    } else {
        load32(t, r->x, o->x.stride[0], r->n, x);
        load32(t->f, r->f, o->f.stride[0], r->n, f);
    }
    for (int i = 0; i < r->n; i++) {
        v[i] += x[i] * c * f[i];
    }
}

/** v[i] += x[i] * f[i] * c * 2^gap of operands of at most 32 bits. */
static void add_products(const int32_t *restrict x, const int32_t *restrict f, int64_t c, int gap,
                         int n, int64_t *restrict v)
{
    if (c == 1) {
        for (int i = 0; i < n; i++) {
            v[i] += itr_shl64((int64_t)x[i] * f[i], gap);
        }
    } else {
        for (int i = 0; i < n; i++) {
            v[i] += itr_shl64(itr_wrap_mul64((int64_t)x[i] * f[i], c), gap);
        }
    }
}

/** v[i] += x * f * c * 2^gap likewise. */
static void add_run64(const operand *o, const run *r, int64_t c, int gap, int64_t *v)
{
    const itr_term *t = o->term;
    if (!t->f || o->f.stride[0] == 0) {
        const int64_t f = t->f ? itr_wrap_mul64(c, factor_of(o, r)) : c;
        add_scaled(t, v, r->x, o->x.stride[0], r->n, f, gap);
        return;
    }
    if (!is_wide_product(t)) {
        int32_t x[BLOCK], f[BLOCK];
        load32(t, r->x, o->x.stride[0], r->n, x);
        load32(t->f, r->f, o->f.stride[0], r->n, f);
        add_products(x, f, c, gap, r->n, v);
        return;
    }
    int64_t x[BLOCK] = {0}, f[BLOCK] = {0};
    add64(t, x, r->x, o->x.stride[0], r->n, itr_shl64(c, gap));
    add64(t->f, f, r->f, o->f.stride[0], r->n, 1);
    for (int i = 0; i < r->n; i++) {
        v[i] += itr_wrap_mul64(x[i], f[i]);
    }
}

/** How far each term has got: the elements of a range are loaded one block after the other. */
typedef struct cursor {
    int64_t i; /**< the next element of the result */
    run r[MAX_TERMS];
} cursor;

static void start_at(const sum *s, int64_t i, cursor *c)
{
    c->i = i;
    for (int t = 0; t < s->terms; t++) {
        c->r[t] = run_at(&s->op[t], i);
    }
}

static bool overflows(const operand *o, const int64_t *x, int n)
{
    uint64_t all = 0;
    for (int i = 0; i < n; i++) {
        all |= itr_abs64(x[i]);
    }
    return itr_bitlen64(all) + coefficient_bits(o->term->c.m) > HEADROOM;
}

/**
 * Adds c * x * f / 2^shift, rounded, for elements i0 + i of the result. A product may need more
 * than 62 bits only where the plan knows no bound (the 64-bit gradient sums); then it is a failure.
 */
static void add_rounded(const mode *m, const operand *o, const run *r, int64_t i0, int64_t shift,
                        int64_t *v)
{
    int64_t x[BLOCK] = {0};
    uint64_t random[BLOCK];
    const int64_t c = o->term->c.m;
    add_run64(o, r, 1, 0, x);
    if (o->bits > HEADROOM && overflows(o, x, r->n)) {
        itr_fail_step(m->rng, ITR_DIVERGED);
        return;
    }
    if (shift > HEADROOM) {
        return;
    }
    const int s = (int)shift;
    if (!m->stochastic) {
        for (int i = 0; i < r->n; i++) {
            v[i] += itr_round_nearest(x[i] * c, s);
        }
        return;
    }
    const int width = itr_random_width(s, m->optimizer);
    itr_random_fill(m->rng, m->site, o->draw, i0, r->n, width, random);
    for (int i = 0; i < r->n; i++) {
        v[i] += itr_round_stochastic(x[i] * c, s, random[i], width);
    }
}
