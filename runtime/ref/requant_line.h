/**
 * Joint runs of a sum's terms (requant_sum.h): neighbours of the result for which each term is one
 * run. Up to two of them and all numbers are added, and rounded, in one loop; the rest are added
 * one after the other.
 */

/** An operand of a run that is not one number: (x * f) * 2^gap, neighbours in memory. */
typedef struct piece {
    const void *x;
    int width; /**< bytes of an element of x: 1, 2 or 4 */
    int32_t f;
    int gap;
} piece;

/** A run of the sum: up to two pieces, the wider one first, and a number; and the terms that are
 * neither, a bit each. */
typedef struct line {
    int pieces;
    piece p[2];
    int64_t number;
    uint32_t rest;
} line;

/** The least and the greatest of some numbers, 0 among them. */
typedef struct range {
    int64_t low, high;
} range;

static range range_of(int64_t low, int64_t high)
{
    const range r = {low < 0 ? low : 0, high > 0 ? high : 0};
    return r;
}

static uint64_t largest_in(range r)
{
    return itr_abs64(r.low) > itr_abs64(r.high) ? itr_abs64(r.low) : itr_abs64(r.high);
}

/** The extremes of neighbours: {least, greatest}. */
#define DEFINE_EXTREMES(name, type)                                                                \
    static void name(const type *x, int n, int64_t found[2])                                       \
    {                                                                                              \
        type low = x[0], high = x[0];                                                              \
        for (int i = 1; i < n; i++) {                                                              \
            low = x[i] < low ? x[i] : low;                                                         \
            high = x[i] > high ? x[i] : high;                                                      \
        }                                                                                          \
        found[0] = low;                                                                            \
        found[1] = high;                                                                           \
    }
DEFINE_EXTREMES(extremes8, int8_t)
DEFINE_EXTREMES(extremes16, int16_t)
DEFINE_EXTREMES(extremes32, int32_t)
DEFINE_EXTREMES(extremes64, int64_t)

/** A line of one piece: the sum grows or falls with x, so that two elements say all. */
static range line_range1(const line *l, int n)
{
    const piece *p = &l->p[0];
    int64_t x[2];
    if (p->width == 1) {
        extremes8((const int8_t *)p->x, n, x);
    } else if (p->width == 2) {
        extremes16((const int16_t *)p->x, n, x);
    } else {
        extremes32((const int32_t *)p->x, n, x);
    }
    const int64_t a = itr_shl64(x[0] * p->f, p->gap) + l->number;
    const int64_t b = itr_shl64(x[1] * p->f, p->gap) + l->number;
    return a < b ? range_of(a, b) : range_of(b, a);
}

/**
 * v[i] = (v[i] + the pieces and the number) >> shift in one loop, where `fresh` without what v
 * held; and the range of two pieces.
 */
#define DEFINE_LINE(suffix, type_a, type_b)                                                        \
    static void line32_##suffix(int32_t *restrict v, const line *l, bool fresh, int shift, int n)  \
    {                                                                                              \
        const type_a *restrict a = (const type_a *)l->p[0].x;                                      \
        const type_b *restrict b = (const type_b *)l->p[1].x;                                      \
        const int32_t fa = l->p[0].f, fb = l->p[1].f, number = (int32_t)l->number;                 \
        const int n1 = l->pieces == 1 ? n : 0, n2 = l->pieces == 2 ? n : 0;                        \
        if (fresh) {                                                                               \
            for (int i = 0; i < n1; i++) {                                                         \
                v[i] = itr_floor_shift32(a[i] * fa + number, shift);                               \
            }                                                                                      \
            for (int i = 0; i < n2; i++) {                                                         \
                v[i] = itr_floor_shift32(a[i] * fa + b[i] * fb + number, shift);                   \
            }                                                                                      \
            return;                                                                                \
        }                                                                                          \
        for (int i = 0; i < n1; i++) {                                                             \
            v[i] = itr_floor_shift32(v[i] + a[i] * fa + number, shift);                            \
        }                                                                                          \
        for (int i = 0; i < n2; i++) {                                                             \
            v[i] = itr_floor_shift32(v[i] + a[i] * fa + b[i] * fb + number, shift);                \
        }                                                                                          \
    }                                                                                              \
    static void line64_##suffix(int64_t *restrict v, const line *l, bool fresh, int shift, int n)  \
    {                                                                                              \
        const type_a *restrict a = (const type_a *)l->p[0].x;                                      \
        const type_b *restrict b = (const type_b *)l->p[1].x;                                      \
        const int64_t fa = l->p[0].f, fb = l->p[1].f, number = l->number;                          \
        const int ga = l->p[0].gap, gb = l->p[1].gap;                                              \
        const int n1 = l->pieces == 1 ? n : 0, n2 = l->pieces == 2 ? n : 0;                        \
        if (fresh) {                                                                               \
            for (int i = 0; i < n1; i++) {                                                         \
                v[i] = itr_floor_shift64(itr_shl64(a[i] * fa, ga) + number, shift);                \
            }                                                                                      \
            for (int i = 0; i < n2; i++) {                                                         \
                const int64_t x = itr_shl64(a[i] * fa, ga) + itr_shl64(b[i] * fb, gb);             \
                v[i] = itr_floor_shift64(x + number, shift);                                       \
            }                                                                                      \
            return;                                                                                \
        }                                                                                          \
        for (int i = 0; i < n1; i++) {                                                             \
            v[i] = itr_floor_shift64(v[i] + itr_shl64(a[i] * fa, ga) + number, shift);             \
        }                                                                                          \
        for (int i = 0; i < n2; i++) {                                                             \
            const int64_t x = itr_shl64(a[i] * fa, ga) + itr_shl64(b[i] * fb, gb);                 \
            v[i] = itr_floor_shift64(v[i] + x + number, shift);                                    \
        }                                                                                          \
    }                                                                                              \
    static range range32_##suffix(const line *l, int n)                                            \
    {                                                                                              \
        const type_a *restrict a = (const type_a *)l->p[0].x;                                      \
        const type_b *restrict b = (const type_b *)l->p[1].x;                                      \
        const int32_t fa = l->p[0].f, fb = l->p[1].f, number = (int32_t)l->number;                 \
        int32_t low = 0, high = 0;                                                                 \
        for (int i = 0; i < n; i++) {                                                              \
            const int32_t x = a[i] * fa + b[i] * fb + number;                                      \
            low = x < low ? x : low;                                                               \
            high = x > high ? x : high;                                                            \
        }                                                                                          \
        return range_of(low, high);                                                                \
    }                                                                                              \
    static range range64_##suffix(const line *l, int n)                                            \
    {                                                                                              \
        const type_a *restrict a = (const type_a *)l->p[0].x;                                      \
        const type_b *restrict b = (const type_b *)l->p[1].x;                                      \
        const int64_t fa = l->p[0].f, fb = l->p[1].f, number = l->number;                          \
        const int ga = l->p[0].gap, gb = l->p[1].gap;                                              \
        int64_t low = 0, high = 0;                                                                 \
        for (int i = 0; i < n; i++) {                                                              \
            const int64_t x = itr_shl64(a[i] * fa, ga) + itr_shl64(b[i] * fb, gb) + number;        \
            low = x < low ? x : low;                                                               \
            high = x > high ? x : high;                                                            \
        }                                                                                          \
        return range_of(low, high);                                                                \
    }
DEFINE_LINE(11, int8_t, int8_t)
DEFINE_LINE(21, int16_t, int8_t)
DEFINE_LINE(22, int16_t, int16_t)
DEFINE_LINE(41, int32_t, int8_t)
DEFINE_LINE(42, int32_t, int16_t)
DEFINE_LINE(44, int32_t, int32_t)

/** What fits the widths of the pieces. */
#define LINE_SWITCH(l, what)                                                                       \
    switch (10 * (l)->p[0].width + (l)->p[1].width) {                                              \
    case 11:                                                                                       \
        what(11);                                                                                  \
        break;                                                                                     \
    case 21:                                                                                       \
        what(21);                                                                                  \
        break;                                                                                     \
    case 22:                                                                                       \
        what(22);                                                                                  \
        break;                                                                                     \
    case 41:                                                                                       \
        what(41);                                                                                  \
        break;                                                                                     \
    case 42:                                                                                       \
        what(42);                                                                                  \
        break;                                                                                     \
    case 44:                                                                                       \
        what(44);                                                                                  \
        break;                                                                                     \
    default:                                                                                       \
        break;                                                                                     \
    }

static void line32(int32_t *restrict v, const line *l, bool fresh, int shift, int n)
{
#define LINE(suffix) line32_##suffix(v, l, fresh, shift, n)
    const int32_t number = (int32_t)l->number;
    const int alone = l->pieces == 0 ? n : 0;
    for (int i = 0; i < alone; i++) {
        v[i] = itr_floor_shift32((fresh ? 0 : v[i]) + number, shift);
    }
    LINE_SWITCH(l, LINE)
#undef LINE
}

static void line64(int64_t *restrict v, const line *l, bool fresh, int shift, int n)
{
#define LINE(suffix) line64_##suffix(v, l, fresh, shift, n)
    const int64_t number = l->number;
    const int alone = l->pieces == 0 ? n : 0;
    for (int i = 0; i < alone; i++) {
        v[i] = itr_floor_shift64((fresh ? 0 : v[i]) + number, shift);
    }
    LINE_SWITCH(l, LINE)
#undef LINE
}

/** The range of a line without other terms. */
static range line_range(const line *l, bool fits32, int n)
{
#define RANGE32(suffix) r = range32_##suffix(l, n)
#define RANGE64(suffix) r = range64_##suffix(l, n)
    range r = range_of(l->number, l->number);
    if (l->pieces == 1) {
        r = line_range1(l, n);
    } else if (l->pieces == 2 && fits32) {
        LINE_SWITCH(l, RANGE32)
    } else if (l->pieces == 2) {
        LINE_SWITCH(l, RANGE64)
    }
    return r;
#undef RANGE32
#undef RANGE64
}

static void shorten(const sum *s, cursor *c, int n)
{
    for (int t = 0; t < s->terms; t++) {
        c->r[t].n = n;
    }
}

/** Neighbouring elements of which each term is one run: how many, at most `limit`. It goes on
 * from the joint run before, which may have been made shorter (shorten). */
static int joint_run(const sum *s, cursor *c, int limit)
{
    int n = limit;
    for (int t = 0; t < s->terms; t++) {
        next_run(&s->op[t], &c->r[t], limit);
        n = c->r[t].n < n ? c->r[t].n : n;
    }
    shorten(s, c, n);
    return n;
}

/**
 * Adds a run of one number to the line, rounded where it lies below the sum's exponent; false:
 * each of its elements is rounded at random.
 */
static bool add_number(const operand *o, const run *r, int64_t gap, const mode *m, line *l)
{
    const itr_term *t = o->term;
    const int64_t f = t->f ? itr_wrap_mul64(t->c.m, factor_of(o, r)) : t->c.m;
    if (gap < 0 && (m->stochastic || o->bits > HEADROOM)) {
        return false;
    }
    if (gap >= -HEADROOM) {
        const int64_t x = itr_wrap_mul64(itr_term_integer(t, r->x), f);
        l->number += gap < 0 ? itr_round_nearest(x, (int)-gap) : itr_shl64(x, (int)gap);
    }
    return true;
}

/** Adds a term's run to the line; false: it is neither a number nor a piece that there is room for.
 */
static bool add_to_line(const sum *s, const operand *o, const run *r, line *l)
{
    const itr_term *t = o->term;
    const int64_t gap = gap_of(o, r, s->e);
    const bool wide = !s->fits32;
    if (t->f && o->f.stride[0] != 0) {
        return false;
    }
    if (o->x.stride[0] == 0) {
        return add_number(o, r, gap, &s->mode, l);
    }
    if (gap < 0) {
        return false;
    }
    int64_t f = t->f ? itr_wrap_mul64(t->c.m, factor_of(o, r)) : t->c.m;
    f = wide ? f : itr_shl64(f, (int)gap);
    const int width = o->width;
    if (width == 0 || l->pieces == 2 || f != (int32_t)f) {
        return false;
    }
    const piece p = {(const unsigned char *)t->x + r->x * width, width, (int32_t)f,
                     wide ? (int)gap : 0};
    if (l->pieces == 0) {
        l->p[0] = p;
    } else if (width > l->p[0].width) {
        l->p[1] = l->p[0];
        l->p[0] = p;
    } else {
        l->p[1] = p;
    }
    l->pieces++;
    return true;
}

/** The joint run as a line and other terms. */
static void line_of(const sum *s, const cursor *c, line *l)
{
    l->pieces = 0;
    l->number = 0;
    l->rest = 0;
    l->p[0] = (piece){NULL, 0, 0, 0};
    for (int t = 0; t < s->terms; t++) {
        if (!c->r[t].outside && !add_to_line(s, &s->op[t], &c->r[t], l)) {
            l->rest |= (uint32_t)1 << t;
        }
    }
    if (l->pieces < 2) { /* one that is not read; copied whole, it would wait for p[0]'s stores */
        l->p[1].x = l->p[0].x;
        l->p[1].width = l->p[0].width;
        l->p[1].f = 0;
        l->p[1].gap = 0;
    }
}

/** v[i] += the terms of a joint run whose bit is set in `which`. */
static void add_terms32(const sum *s, const cursor *c, uint32_t which, int32_t *v)
{
    for (int t = 0; t < s->terms; t++) {
        if ((which >> t & 1) != 0) {
            const operand *o = &s->op[t];
            const int gap = (int)gap_of(o, &c->r[t], s->e);
            add_run32(o, &c->r[t], (int32_t)itr_shl64(o->term->c.m, gap), v);
        }
    }
}

/** The same; `i` is the place of v in the result. */
static void add_terms64(const sum *s, const cursor *c, uint32_t which, int64_t i, int64_t *v)
{
    for (int t = 0; t < s->terms; t++) {
        if ((which >> t & 1) != 0) {
            const operand *o = &s->op[t];
            const int64_t gap = gap_of(o, &c->r[t], s->e);
            if (gap >= 0) {
                add_run64(o, &c->r[t], o->term->c.m, (int)gap, v);
            } else {
                add_rounded(&s->mode, o, &c->r[t], i, -gap, v);
            }
        }
    }
}
