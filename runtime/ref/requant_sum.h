/**
 * Sums of terms, rounded to narrower mantissas with one exponent: the code of the portable kernels,
 * which files of x86/ compile again for an instruction set (loops that compilers vectorise, so that
 * there is one definition). ITR_KERNEL(name) names a kernel. NUMERICS.md, "Requantisation",
 * is the specification.
 */
#include "requant_terms.h"

#include "requant_line.h"
#include "requant_narrow.h"
#include "requant_rows.h"
#include "requant_slices.h"

/** Whether c * x * f is 0 everywhere. Each product is looked at once: repeating axes are left out.
 */
static bool is_zero(const operand *o)
{
    operand distinct = {.term = o->term, .width = o->width};
    int64_t total = 1;
    for (int k = 0; k < o->axes; k++) {
        if (o->x.stride[k] != 0 || o->f.stride[k] != 0) {
            distinct.hi[distinct.axes] = distinct.size[distinct.axes] = o->hi[k] - o->lo[k];
            distinct.x.stride[distinct.axes] = o->x.stride[k];
            distinct.f.stride[distinct.axes++] = o->f.stride[k];
            total *= o->hi[k] - o->lo[k];
        }
    }
    if (distinct.axes == 0) {
        distinct.hi[0] = distinct.size[0] = 1;
        distinct.axes = 1;
    }
    run r = run_at(&distinct, 0);
    for (int64_t i = 0; i < total; i += r.n) {
        int64_t found[2] = {0};
        next_run(&distinct, &r, BLOCK);
        if (o->term->f) {
            int64_t x[BLOCK] = {0};
            add_run64(&distinct, &r, 1, 0, x);
            extremes64(x, r.n, found);
        } else {
            run_extremes(&distinct, &r, found);
        }
        if (found[0] != 0 || found[1] != 0) {
            return false;
        }
    }
    return true;
}

/* ---- the sum ---- */

/** Exponent that the terms are aligned to, and whether 32 bits do. */
static void align(sum *s, int count)
{
    const int spare = itr_ceil_log2((uint64_t)count);
    bool any = false;
    s->e = 0;
    for (int t = 0; t < s->terms; t++) {
        s->e = any && s->e < s->op[t].e_min ? s->e : s->op[t].e_min;
        any = true;
    }
    for (int t = 0; t < s->terms; t++) {
        const operand *o = &s->op[t];
        /* e_min - (62 - spare - bits - (e_max - e_min)) */
        const int64_t least = o->e_max - (HEADROOM - spare - o->bits);
        s->e = s->e > least ? s->e : least;
    }
    s->fits32 = true;
    for (int t = 0; t < s->terms; t++) {
        const operand *o = &s->op[t];
        s->fits32 =
            s->fits32 && o->whole && o->e_min >= s->e && o->e_max - s->e + o->bits + spare <= 30;
    }
}

/** A pass over the result that threads share. */
typedef struct pass {
    const sum *s;
    const itr_requant_args *a;
    int shift;
    range found; /**< of the sums, or of their floors where `narrow` */
    bool narrow;
} pass;

/** A sum of its own for a part of a pass: failures go to `rng`. */
static sum part_of(const pass *p, itr_rng *rng)
{
    sum s = *p->s;
    *rng = *s.mode.rng;
    s.mode.rng = rng;
    return s;
}

static void extend(range *r, range by)
{
    r->low = by.low < r->low ? by.low : r->low;
    r->high = by.high > r->high ? by.high : r->high;
}

static void end_part(pass *p, const itr_rng *rng, range found)
{
    itr_pool_lock(p->a->pool);
    extend(&p->found, found);
    if (rng->status != ITR_OK) {
        itr_fail_step(p->s->mode.rng, rng->status);
    }
    itr_pool_unlock(p->a->pool);
}

/** The range of a joint run, added up term by term. */
static range mixed_range(const sum *s, const cursor *c, const line *l, int n)
{
    int64_t v[BLOCK], found[2];
    memset(v, 0, (size_t)n * sizeof *v);
    add_terms64(s, c, l->rest, c->i, v);
    line64(v, l, false, 0, n);
    extremes64(v, n, found);
    return range_of(found[0], found[1]);
}

/** The range of a joint run that is a line alone; else of its first BLOCK elements. */
static range next_range(const sum *s, cursor *c, int limit)
{
    line l;
    int n = joint_run(s, c, limit);
    line_of(s, c, &l);
    if (l.rest != 0 && n > BLOCK) {
        n = BLOCK;
        shorten(s, c, n);
    }
    const range r = l.rest != 0 ? mixed_range(s, c, &l, n) : line_range(&l, s->fits32, n);
    c->i += n;
    return r;
}

static void range_part(void *user, int64_t begin, int64_t end)
{
    pass *p = (pass *)user;
    itr_rng rng;
    const sum s = part_of(p, &rng);
    cursor c;
    range found = {0, 0};
    if (!p->narrow && s.rows) {
        found = rows_range(s.rows, s.fits32, begin, end);
        begin = end;
    }
    start_at(&s, begin, &c);
    while (c.i < end) {
        const int64_t left = end - c.i;
        const int limit = left < LONGEST ? (int)left : LONGEST;
        extend(&found,
               p->narrow ? narrow_range(&s, &c, p->shift, limit) : next_range(&s, &c, limit));
    }
    end_part(p, &rng, found);
}

/** Largest magnitude of the sum; 0 without terms. */
static uint64_t largest(const itr_requant_args *a, const sum *s)
{
    pass p = {.s = s, .a = a};
    if (s->terms > 0) {
        itr_parallel(a->pool, s->n, GRAIN, range_part, &p);
    }
    return largest_in(p.found);
}

/** Whether random numbers are added before s bits are dropped. */
static bool is_random(const mode *m, int s)
{
    return m->stochastic && s > 0;
}

/** The random numbers that are added before s bits are dropped, for elements i0 + i. */
static void addends32(const mode *m, int64_t i0, int n, int s, int32_t *v)
{
    if (itr_random_width(s, m->optimizer) == 16) {
        uint16_t random[BLOCK];
        itr_random_lanes16(m->rng, m->site, 0, i0, n, random);
        for (int i = 0; i < n; i++) {
            v[i] = (int32_t)itr_random_addend(random[i], s, 16);
        }
    } else {
        uint32_t random[BLOCK];
        itr_random_lanes32(m->rng, m->site, 0, i0, n, random);
        for (int i = 0; i < n; i++) {
            v[i] = (int32_t)itr_random_addend(random[i], s, 32);
        }
    }
}

static void addends64(const mode *m, int64_t i0, int n, int s, int64_t *v)
{
    const int width = itr_random_width(s, m->optimizer);
    if (width == 16) {
        uint16_t random[BLOCK];
        itr_random_lanes16(m->rng, m->site, 0, i0, n, random);
        for (int i = 0; i < n; i++) {
            v[i] = (int64_t)itr_random_addend(random[i], s, 16);
        }
    } else if (width == 32) {
        uint32_t random[BLOCK];
        itr_random_lanes32(m->rng, m->site, 0, i0, n, random);
        for (int i = 0; i < n; i++) {
            v[i] = (int64_t)itr_random_addend(random[i], s, 32);
        }
    } else {
        uint64_t random[BLOCK];
        itr_random_fill(m->rng, m->site, 0, i0, n, width, random);
        for (int i = 0; i < n; i++) {
            v[i] = (int64_t)(random[i] >> (width - s));
        }
    }
}

/** The number that rounds to nearest. */
static int64_t half_of(const mode *m, int s)
{
    return m->stochastic || m->floor || s == 0 ? 0 : itr_nearest_addend(s);
}

/** v = the next n elements of a sum that climbs in 32 bits, rounded by the shift. */
static void round_narrow(const sum *s, cursor *c, int n, int shift, int32_t *v)
{
    const bool random = is_random(&s->mode, shift);
    const int32_t half = (int32_t)half_of(&s->mode, shift);
    if (random) {
        addends32(&s->mode, c->i, n, shift, v);
    }
    for (int i = 0; i < n;) {
        const int m = joint_run(s, c, n - i);
        narrow_run(s, c, random ? NULL : &half, shift, m, v + i);
        i += m;
    }
    c->i += n;
}

/** v = the next n elements of a sum that fits 32 bits, rounded by the shift. */
static void round_block32(const sum *s, cursor *c, int n, int shift, int32_t *v)
{
    const bool random = is_random(&s->mode, shift);
    if (random) {
        addends32(&s->mode, c->i, n, shift, v);
    }
    if (s->rows) {
        round_rows32(s->rows, c->i, n, half_of(&s->mode, shift), !random, shift, v);
        c->i += n;
        return;
    }
    for (int i = 0; i < n;) {
        line l;
        const int m = joint_run(s, c, n - i);
        line_of(s, c, &l);
        l.number += half_of(&s->mode, shift);
        if (!random && l.rest != 0) {
            memset(v + i, 0, (size_t)m * sizeof *v);
        }
        add_terms32(s, c, l.rest, v + i);
        line32(v + i, &l, !random && l.rest == 0, shift, m);
        i += m;
    }
    c->i += n;
}

static void round_block64(const sum *s, cursor *c, int n, int shift, int64_t *v)
{
    const bool random = is_random(&s->mode, shift);
    if (random) {
        addends64(&s->mode, c->i, n, shift, v);
    }
    if (s->rows) {
        round_rows64(s->rows, c->i, n, half_of(&s->mode, shift), !random, shift, v);
        c->i += n;
        return;
    }
    for (int i = 0; i < n;) {
        line l;
        const int m = joint_run(s, c, n - i);
        line_of(s, c, &l);
        l.number += half_of(&s->mode, shift);
        if (!random && l.rest != 0) {
            memset(v + i, 0, (size_t)m * sizeof *v);
        }
        add_terms64(s, c, l.rest, c->i + i, v + i);
        line64(v + i, &l, !random && l.rest == 0, shift, m);
        i += m;
    }
    c->i += n;
}

/** What the rule by bit length lets round to 2^(bits-1) and beyond. */
static void saturate32(const mode *m, int n, int32_t *v)
{
    for (int i = 0; i < n && m->limit != 0; i++) {
        v[i] = (int32_t)itr_saturate(v[i], m->limit);
    }
}

static void saturate64(const mode *m, int n, int64_t *v)
{
    for (int i = 0; i < n && m->limit != 0; i++) {
        v[i] = itr_saturate(v[i], m->limit);
    }
}

/** The result's exponent above s->e: by the rule, or the one it has where that still fits. */
static int result_shift(const itr_requant_args *a, const sum *s, uint64_t max)
{
    const int fit = a->rule == ITR_RULE_BITLENGTH ? itr_bitlen_shift(max, a->bits)
                                                  : itr_fit_shift(max, a->bits);
    const int64_t kept = (int64_t)*a->e_y - s->e;
    if (!a->sticky || kept < fit || kept > HEADROOM) {
        return fit;
    }
    /* max < limit/4 * 2^kept: a smaller exponent would use two more bits */
    const uint64_t limit = (uint64_t)itr_limit(a->bits);
    const bool small = kept >= 2 ? max >> (kept - 2) < limit : max << (2 - kept) < limit;
    return small ? fit : (int)kept;
}

/** The result's shift from bounds of the largest magnitude, and the upper one; 0: they do not tell.
 */
static uint64_t narrow_shift(const itr_requant_args *a, const sum *s, int *shift)
{
    const int k = narrow_scale(s);
    pass p = {.s = s, .a = a, .shift = k, .narrow = true};
    uint64_t low = 0, high = 0;
    if (k < 0) {
        return 0;
    }
    itr_parallel(a->pool, s->n, GRAIN, range_part, &p);
    narrow_bounds(p.found, k, &low, &high);
    *shift = result_shift(a, s, high);
    return low > 0 && result_shift(a, s, low) == *shift ? high : 0;
}

/** The result's shift, and the largest magnitude or a bound of it; 0: the sum is 0 everywhere. */
static uint64_t find_shift(const itr_requant_args *a, const sum *s, int *shift)
{
    uint64_t max = s->narrow ? narrow_shift(a, s, shift) : 0;
    if (max == 0) {
        max = largest(a, s);
        *shift = max > 0 ? result_shift(a, s, max) : 0;
    }
    return max;
}

static void store_zero(const itr_requant_args *a, const operand *op, int64_t n, size_t width)
{
    bool any = false;
    int64_t e = 0;
    for (int t = 0; t < a->terms_count; t++) {
        if (op[t].set) {
            e = any && e < op[t].e_min ? e : op[t].e_min;
            any = true;
        }
    }
    memset(a->y, 0, (size_t)n * width);
    if (!a->sticky) {
        itr_set_exponent(a->rng, a->e_y, e);
    }
}

static mode mode_of(itr_rng *rng, int32_t site, int32_t rounding, bool optimizer)
{
    const mode m = {.rng = rng,
                    .site = (uint32_t)site,
                    .stochastic = rounding == ITR_ROUND_STOCHASTIC && !rng->nearest_only,
                    .optimizer = optimizer,
                    .floor = rounding == ITR_ROUND_FLOOR};
    return m;
}

/** What is known of whether a term is 0 everywhere. */
typedef enum zero_state { NOT_KNOWN, IS_ZERO, NOT_ZERO } zero_state;

/** The terms, in all[], and the sum of those that are not zero; zero[] says which they are. */
static void begin_sum(const itr_requant_args *a, zero_state *zero, operand *all, sum *s)
{
    s->mode = mode_of(a->rng, a->site, a->rounding, a->optimizer != 0);
    s->mode.limit = a->rule == ITR_RULE_BITLENGTH ? (int32_t)itr_limit(a->bits) : 0;
    s->terms = 0;
    s->n = 1;
    for (int i = 0; i < a->rank; i++) {
        s->n *= a->shape[i];
    }
    for (int t = 0; t < a->terms_count && s->n > 0; t++) {
        operand *o = &all[t];
        *o = operand_of(&a->terms[t], a->rank, a->shape, (uint32_t)t + 1);
        if (zero[t] == NOT_KNOWN) {
            /* a zero operand's exponent means nothing; alone, it need not be looked for */
            zero[t] = o->zero || (a->terms_count > 1 && is_zero(o)) ? IS_ZERO : NOT_ZERO;
        }
        if (zero[t] == NOT_ZERO) {
            s->op[s->terms++] = *o;
        }
    }
    align(s, a->terms_count);
    s->rows = NULL;
    s->narrow = ITR_REQUANT_NARROW && !s->fits32 && s->terms > 0 && narrow_order(s);
}

/** The result's shift by the extremes of a term, and a bound of the largest magnitude (0: the sum
 * is 0 everywhere). False: they do not say it; zero[] is known all the same. */
static bool shift_by_slices(const itr_requant_args *a, zero_state *zero, sum *s, uint64_t *max,
                            int *shift)
{
    operand all[MAX_TERMS];
    slices by;
    uint64_t low = 0;
    slices_of(a, &by);
    for (int t = 0; t < a->terms_count; t++) {
        if ((by.changes >> t & 1) != 0) { /* its bound is not 0 */
            const operand o = operand_of(&a->terms[t], a->rank, a->shape, (uint32_t)t + 1);
            zero[t] = o.zero || is_zero(&o) ? IS_ZERO : NOT_ZERO;
        }
    }
    begin_sum(&by.a, zero, all, s);
    if (!slice_bounds(&by, s, &low, max)) {
        return false;
    }
    *shift = *max > 0 ? result_shift(a, s, *max) : 0;
    return low == *max || (low > 0 && result_shift(a, s, low) == *shift);
}

/** First pass. False: the sum is 0 everywhere and has been stored. `r` lives as long as `s`. */
static bool prepare(const itr_requant_args *a, size_t width, rows *r, sum *s, int *shift)
{
    operand all[MAX_TERMS];
    zero_state zero[MAX_TERMS] = {NOT_KNOWN};
    itr_requant_args own = *a;
    uint64_t max = 0;
    int64_t n = 1;
    for (int i = 0; i < a->rank; i++) {
        n *= a->shape[i];
    }
    if (n > 0 && a->found) { /* then they say the range, too */
        find_extremes(a);
        own.extremes = a->found;
        own.extremes_term = 0;
        own.extremes_axes = (1 << a->rank) - 1;
    }
    const bool known = n > 0 && own.extremes && shift_by_slices(&own, zero, s, &max, shift);
    begin_sum(a, zero, all, s);
    s->rows = n > 0 && rows_of(s, r) ? r : NULL;
    if (!known) {
        max = n > 0 ? find_shift(a, s, shift) : 0;
    }
    if (max == 0) {
        if (n > 0) {
            store_zero(a, all, s->n, width);
        }
        return false;
    }
    /* the rounding's own addition must fit as well */
    s->fits32 = s->fits32 && *shift <= 29 && max < (uint64_t)1 << 30;
    s->narrow = s->narrow && narrow_fits(s, *shift, *shift);
    return true;
}

/**
 * y = the sum of terms c_i * x_i * f_i * 2^e_i, rounded to mantissas of `bits` (8, 16, 32, or
 * fewer) at one exponent *e_y: two passes, the largest magnitude, then the rounding. The first is
 * one over slices where a term's extremes are given and say enough.
 *
 * Shapes   y `shape`, dense; x_i and f_i (or none) by strides, 0 repeats; extremes (or none)
 *          [2, slices] of one term, and found (or none) [2] of the only one, see kernels.def
 * Range    |x_i| < 2^bits_i, |f_i| likewise, |c_i| < 2^15; 1 to 8 terms;
 *          results within +-(2^(bits-1) - 1)
 * Aliasing y may be the x of a term with the same type and elements at the same places;
 *          *e_y may be a term's exponent
 * Errors   rng->status = ITR_DIVERGED when |*e_y| leaves 2^20, or a 64-bit operand times its
 *          coefficient leaves 62 bits
 * Source   NUMERICS.md, "Requantisation"
 */
#define DEFINE_REQUANT(name, type)                                                                 \
    static void name##_part(void *user, int64_t begin, int64_t end)                                \
    {                                                                                              \
        pass *p = (pass *)user;                                                                    \
        type *y = (type *)p->a->y;                                                                 \
        itr_rng rng;                                                                               \
        const sum s = part_of(p, &rng);                                                            \
        cursor c;                                                                                  \
        start_at(&s, begin, &c);                                                                   \
        while (c.i < end) {                                                                        \
            const int64_t i = c.i;                                                                 \
            const int n = (int)(end - i < BLOCK ? end - i : BLOCK);                                \
            if (s.fits32 || s.narrow) {                                                            \
                int32_t v[BLOCK];                                                                  \
                if (s.narrow) {                                                                    \
                    round_narrow(&s, &c, n, p->shift, v);                                          \
                } else {                                                                           \
                    round_block32(&s, &c, n, p->shift, v);                                         \
                }                                                                                  \
                saturate32(&s.mode, n, v);                                                         \
                for (int j = 0; j < n; j++) {                                                      \
                    y[i + j] = (type)v[j];                                                         \
                }                                                                                  \
            } else {                                                                               \
                int64_t v[BLOCK];                                                                  \
                round_block64(&s, &c, n, p->shift, v);                                             \
                saturate64(&s.mode, n, v);                                                         \
                for (int j = 0; j < n; j++) {                                                      \
                    y[i + j] = (type)v[j];                                                         \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
        end_part(p, &rng, p->found);                                                               \
    }                                                                                              \
    void ITR_KERNEL(name)(const itr_requant_args *a)                                               \
    {                                                                                              \
        sum s;                                                                                     \
        rows r;                                                                                    \
        pass p = {.s = &s, .a = a};                                                                \
        if (!prepare(a, sizeof(type), &r, &s, &p.shift)) {                                         \
            return;                                                                                \
        }                                                                                          \
        itr_parallel(a->pool, s.n, GRAIN, name##_part, &p);                                        \
        itr_set_exponent(a->rng, a->e_y, s.e + p.shift);                                           \
    }
DEFINE_REQUANT(requant_i8, int8_t)
DEFINE_REQUANT(requant_i16, int16_t)
DEFINE_REQUANT(requant_i32, int32_t)
