/**
 * Sums that need more than 32 bits, in 32 bits (requant_sum.h). What a shift drops at the end may
 * be dropped on the way: with the terms in the order of their exponents,
 *
 *     floor((a 2^k + y) / 2^(k+m)) = floor((a + floor(y / 2^k)) / 2^m)
 *
 * so the sum starts from the random number (below 2^shift, at the least exponent) and climbs from
 * term to term, each time without the bits below the next one's. Terms of the result's exponent or
 * above are added last. It is exact, and for vectors of 32-bit lanes twice as fast and more.
 *
 * The same for shift k without a random number gives floor(V / 2^k), from whose extremes the
 * largest |V| is known within 2^k: enough for its exponent but where it lies at the edge of two.
 */

/** A file of x86/ or arm/ says 1; the portable kernel, the specification, adds in 64 bits. */
#ifndef ITR_REQUANT_NARROW
#define ITR_REQUANT_NARROW 0
#endif

/** One exponent, on a line or repeated, and products of at most 31 bits. */
static bool narrow_rung(const sum *s, int t, rung *r)
{
    const operand *o = &s->op[t];
    const bool one = o->whole && o->e_min == o->e_max && o->e_min >= s->e;
    const bool dense = o->x.stride[0] == 0 || o->width != 0;
    const int bits = o->term->bits + (o->term->f ? o->term->f->bits : 0);
    if (!one || !dense || o->bits > 31 || (o->term->f && o->f.stride[0] != 0)) {
        return false;
    }
    *r = (rung){t, o->e_min - s->e, o->term->c.m, 0};
    for (; r->f % 2 == 0; r->f /= 2) { /* c is not 0: such terms are left out */
        r->gap++;
    }
    r->most = itr_shl64((int64_t)itr_abs64(r->f), bits);
    return true;
}

/** Puts the terms in order; false: one of them does not suit. */
static bool narrow_order(sum *s)
{
    for (int t = 0; t < s->terms; t++) {
        rung r;
        if (!narrow_rung(s, t, &r)) {
            return false;
        }
        int at = t;
        for (; at > 0 && s->rung[at - 1].gap > r.gap; at--) {
            s->rung[at] = s->rung[at - 1];
        }
        s->rung[at] = r;
    }
    return true;
}

/** Whether the sum with an addend below 2^start fits 32 bits all the way to `shift`. */
static bool narrow_fits(const sum *s, int start, int shift)
{
    int64_t bound = start < 31 ? (int64_t)1 << start : INT32_MAX, at = 0;
    for (int i = 0; i < s->terms && bound < INT32_MAX; i++) {
        const rung *r = &s->rung[i];
        const int64_t to = r->gap < shift ? r->gap : shift, up = r->gap - to;
        if (up > 30 || r->most >> (31 - up) != 0) {
            return false;
        }
        bound = (bound >> (to - at)) + 1 + itr_shl64(r->most, (int)up);
        at = to;
    }
    return bound < INT32_MAX;
}

/** Least k for which floor(V / 2^k) is had in 32 bits; -1: there is none. */
static int narrow_scale(const sum *s)
{
    int64_t bits = 0;
    for (int i = 0; i < s->terms; i++) {
        const int64_t own = itr_bitlen64((uint64_t)s->rung[i].most) + s->rung[i].gap;
        bits = own > bits ? own : bits;
    }
    for (int64_t k = bits > 31 ? bits - 31 : 0; k <= bits && k <= HEADROOM; k++) {
        if (narrow_fits(s, 0, (int)k)) {
            return (int)k;
        }
    }
    return -1;
}

/**
 * v[i] = ((v[i] >> down) + x[i] * f) >> last; name##_first starts from one number in every lane,
 * which need not be stored before.
 */
#define DEFINE_RUNG(name, type)                                                                    \
    static void name##_first(int32_t *restrict v, int32_t start, const void *from, int64_t at,     \
                             int32_t f, int last, int n)                                           \
    {                                                                                              \
        const type *restrict x = (const type *)from + at;                                          \
        for (int i = 0; i < n; i++) {                                                              \
            v[i] = itr_floor_shift32(start + x[i] * f, last);                                      \
        }                                                                                          \
    }                                                                                              \
    static void name(int32_t *restrict v, const void *from, int64_t at, int32_t f, int down,       \
                     int last, int n)                                                              \
    {                                                                                              \
        const type *restrict x = (const type *)from + at;                                          \
        for (int i = 0; i < n; i++) {                                                              \
            const int32_t y = itr_floor_shift32(v[i], down) + x[i] * f;                            \
            v[i] = itr_floor_shift32(y, last);                                                     \
        }                                                                                          \
    }
DEFINE_RUNG(rung8, int8_t)
DEFINE_RUNG(rung16, int16_t)
DEFINE_RUNG(rung32, int32_t)

static void rung_number_first(int32_t *v, int32_t start, int32_t number, int last, int n)
{
    const int32_t all = itr_floor_shift32(start + number, last);
    for (int i = 0; i < n; i++) {
        v[i] = all;
    }
}

static void rung_number(int32_t *restrict v, int32_t number, int down, int last, int n)
{
    for (int i = 0; i < n; i++) {
        v[i] = itr_floor_shift32(itr_floor_shift32(v[i], down) + number, last);
    }
}

/** One term of a joint run, from what v holds or, where `start` is given, from that. */
static void climb(const operand *o, const run *r, const int32_t *start, int32_t f, int down,
                  int last, int n, int32_t *v)
{
    const void *x = o->term->x;
    const int32_t from = start ? itr_floor_shift32(*start, down) : 0;
    if (f == 0 || o->x.stride[0] == 0) {
        const int64_t number = f == 0 ? 0 : itr_term_integer(o->term, r->x) * f;
        if (start) {
            rung_number_first(v, from, (int32_t)number, last, n);
        } else {
            rung_number(v, (int32_t)number, down, last, n);
        }
    } else if (o->width == 1) {
        if (start) {
            rung8_first(v, from, x, r->x, f, last, n);
        } else {
            rung8(v, x, r->x, f, down, last, n);
        }
    } else if (o->width == 2) {
        if (start) {
            rung16_first(v, from, x, r->x, f, last, n);
        } else {
            rung16(v, x, r->x, f, down, last, n);
        }
    } else if (start) {
        rung32_first(v, from, x, r->x, f, last, n);
    } else {
        rung32(v, x, r->x, f, down, last, n);
    }
}

/**
 * v[i] = floor((a + the terms of a joint run) / 2^shift); a is *start for all elements, or v[i]
 * where `start` is NULL.
 */
static void narrow_run(const sum *s, const cursor *c, const int32_t *start, int shift, int n,
                       int32_t *v)
{
    int64_t at = 0;
    int left = s->terms;
    for (int i = 0; i < s->terms; i++) {
        const rung *g = &s->rung[i];
        const operand *o = &s->op[g->term];
        const run *r = &c->r[g->term];
        const int64_t to = g->gap < shift ? g->gap : shift;
        const int down = (int)(to - at), last = --left == 0 ? (int)(shift - to) : 0;
        const int64_t own = o->term->f ? g->f * factor_of(o, r) : g->f;
        const int32_t f = r->outside ? 0 : (int32_t)itr_shl64(own, (int)(g->gap - to));
        at = to;
        climb(o, r, i == 0 ? start : NULL, f, down, last, n, v);
    }
}

/** The extremes of floor(V / 2^shift) over the next elements. */
static range narrow_range(const sum *s, cursor *c, int shift, int limit)
{
    static const int32_t nothing = 0;
    int32_t v[BLOCK];
    int64_t found[2];
    const int n = joint_run(s, c, limit < BLOCK ? limit : BLOCK);
    narrow_run(s, c, &nothing, shift, n, v);
    extremes32(v, n, found);
    c->i += n;
    return range_of(found[0], found[1]);
}

/** The largest |V| is at least `low` and at most `high`, by the extremes of floor(V / 2^k). */
static void narrow_bounds(range floors, int k, uint64_t *low, uint64_t *high)
{
    const int64_t unit = itr_shl64(1, k);
    const range least = {itr_shl64(floors.low, k), itr_shl64(floors.high, k)};
    const range most = {least.low + unit - 1, least.high + unit - 1};
    *high = largest_in((range){least.low, most.high});
    *low = largest_in((range){most.low < 0 ? most.low : 0, least.high});
}
