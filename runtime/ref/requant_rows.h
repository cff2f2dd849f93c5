/**
 * Short runs of a sum whose factors and numbers repeat (requant_sum.h): with planes of 8 x 8 or
 * 4 x 4, finding the line of a run takes longer than adding it. The lines of all slices are found
 * once; from then on a row's is its slice's, further along.
 *
 *     y[o, slice, i] = x[o, slice, i] * f[slice] + ... + number[slice]
 */

/** The portable kernel keeps its stack small and does without. */
enum { MOST_SLICES = ITR_REQUANT_NARROW ? 1024 : 1, MOST_ROW = 512, SHORT_ROW = 64 };

/** What a slice's lines have of their own. */
typedef struct row {
    int64_t number;
    int32_t f[2];
} row;

typedef struct rows {
    int64_t size;   /**< elements of a row */
    int64_t slices; /**< rows after which they repeat */
    line first;     /**< of element 0, what all have in common */
    row of[MOST_SLICES];
} rows;

/** Whether the term goes along rows of this sum; the first that has slices tells their sizes. */
static bool suits_rows(const operand *o, rows *r)
{
    const bool dense = o->width != 0;
    if (!o->plain || o->f.stride[0] != 0 || (!dense && o->x.stride[0] != 0) || o->axes > 3) {
        return false;
    }
    if (o->axes == 1) {
        return true;
    }
    if (r->size == 0) {
        r->size = o->size[0];
        r->slices = o->size[1];
    }
    const int64_t all = r->size * r->slices;
    const bool repeats = o->axes == 2 || (o->f.stride[2] == 0 && o->x.stride[2] == dense * all);
    return o->size[0] == r->size && o->size[1] == r->slices && repeats &&
           (!dense || o->x.stride[1] == r->size);
}

/** Finds the lines of the slices. False: the sum has none, or they are not worth it. */
static bool rows_of(const sum *s, rows *r)
{
    cursor c;
    bool suits = !s->narrow;
    r->size = 0;
    for (int t = 0; t < s->terms && suits; t++) {
        suits = suits_rows(&s->op[t], r);
    }
    if (!suits || r->size == 0 || r->size > MOST_ROW || r->slices > MOST_SLICES ||
        s->n < 2 * r->size * r->slices) {
        return false;
    }
    start_at(s, 0, &c);
    for (int64_t k = 0; k < r->slices; k++) {
        line l;
        const int n = joint_run(s, &c, (int)r->size);
        line_of(s, &c, &l);
        if (l.rest != 0 || n != r->size) {
            return false;
        }
        if (k == 0) {
            r->first = l;
        }
        r->of[k] = (row){l.number, {l.p[0].f, l.p[1].f}};
        c.i += n;
    }
    return true;
}

/** Where a row begins, and what comes next of it. */
typedef struct row_place {
    int64_t slice, at;
} row_place;

static row_place row_at(const rows *r, int64_t i)
{
    const row_place p = {i / r->size % r->slices, i % r->size};
    return p;
}

/** Goes on by what is left of the row, at most `limit` elements, which it returns. */
static int pass_row(const rows *r, row_place *p, int limit)
{
    const int left = (int)(r->size - p->at), n = left < limit ? left : limit;
    p->at += n;
    if (p->at == r->size) {
        p->at = 0;
        p->slice = p->slice + 1 == r->slices ? 0 : p->slice + 1;
    }
    return n;
}

/** The line of the row at p, from element i of the result on; how long it is, at most `limit`. */
static int next_row(const rows *r, row_place *p, int64_t i, int limit, line *l)
{
    const row *own = &r->of[p->slice];
    for (int k = 0; k < r->first.pieces; k++) {
        l->p[k].x = (const unsigned char *)r->first.p[k].x + i * r->first.p[k].width;
        l->p[k].f = own->f[k];
    }
    l->number = own->number;
    return pass_row(r, p, limit);
}

static void load_piece(const piece *p, int64_t i, int n, int32_t *x)
{
    if (p->width == 1) {
        load_i8(x, p->x, i, 1, n);
    } else if (p->width == 2) {
        load_i16(x, p->x, i, 1, n);
    } else {
        load_i32(x, p->x, i, 1, n);
    }
}

/**
 * v[j] += the sum and `more` for elements i + j, n <= BLOCK. Rows that are shorter than a vector of
 * bytes would be added element by element, so the bytes of all are made words first.
 */
#define DEFINE_ADD_ROWS(bits, type, shl)                                                           \
    static void add_rows##bits(const rows *r, int64_t i, int n, int64_t more, type *restrict v)    \
    {                                                                                              \
        int32_t x[2][BLOCK];                                                                       \
        const int ga = r->first.p[0].gap, gb = r->first.p[1].gap;                                  \
        row_place p = row_at(r, i);                                                                \
        for (int k = 0; k < r->first.pieces; k++) {                                                \
            load_piece(&r->first.p[k], i, n, x[k]);                                                \
        }                                                                                          \
        for (int at = 0; at < n;) {                                                                \
            const row *own = &r->of[p.slice];                                                      \
            const type fa = own->f[0], fb = own->f[1], number = (type)(own->number + more);        \
            const int end = at + pass_row(r, &p, n - at);                                          \
            if (r->first.pieces == 2) {                                                            \
                for (int j = at; j < end; j++) {                                                   \
                    v[j] += shl(x[0][j] * fa, ga) + shl(x[1][j] * fb, gb) + number;                \
                }                                                                                  \
            } else {                                                                               \
                const int last = r->first.pieces == 1 ? end : at;                                  \
                for (int j = at; j < last; j++) {                                                  \
                    v[j] += shl(x[0][j] * fa, ga) + number;                                        \
                }                                                                                  \
                for (int j = last; j < end; j++) {                                                 \
                    v[j] += number;                                                                \
                }                                                                                  \
            }                                                                                      \
            at = end;                                                                              \
        }                                                                                          \
    }
#define NO_GAP(x, gap) ((void)(gap), (x)) /* sums of 32 bits have it in their factors */
DEFINE_ADD_ROWS(32, int32_t, NO_GAP)
DEFINE_ADD_ROWS(64, int64_t, itr_shl64)

/** v[j] = (v[j] + the sum) >> shift for elements i + j, where `fresh` without what v held. */
#define DEFINE_ROUND_ROWS(bits)                                                                    \
    static void round_rows##bits(const rows *r, int64_t i, int n, int64_t half, bool fresh,        \
                                 int shift, int##bits##_t *v)                                      \
    {                                                                                              \
        row_place p = row_at(r, i);                                                                \
        line l = r->first;                                                                         \
        if (r->size < SHORT_ROW) {                                                                 \
            memset(v, 0, fresh ? (size_t)n * sizeof *v : 0);                                       \
            add_rows##bits(r, i, n, half, v);                                                      \
            for (int j = 0; j < n; j++) {                                                          \
                v[j] = itr_floor_shift##bits(v[j], shift);                                         \
            }                                                                                      \
            return;                                                                                \
        }                                                                                          \
        for (int done = 0; done < n;) {                                                            \
            const int m = next_row(r, &p, i + done, n - done, &l);                                 \
            l.number += half;                                                                      \
            line##bits(v + done, &l, fresh, shift, m);                                             \
            done += m;                                                                             \
        }                                                                                          \
    }
DEFINE_ROUND_ROWS(32)
DEFINE_ROUND_ROWS(64)

/** The range of elements i to i + n, n <= BLOCK, of short rows. */
static range short_rows_range(const rows *r, bool fits32, int64_t i, int n)
{
    int64_t found[2];
    if (fits32) {
        int32_t v[BLOCK];
        memset(v, 0, (size_t)n * sizeof *v);
        add_rows32(r, i, n, 0, v);
        extremes32(v, n, found);
    } else {
        int64_t v[BLOCK];
        memset(v, 0, (size_t)n * sizeof *v);
        add_rows64(r, i, n, 0, v);
        extremes64(v, n, found);
    }
    return range_of(found[0], found[1]);
}

/** The range of elements [begin, end). */
static range rows_range(const rows *r, bool fits32, int64_t begin, int64_t end)
{
    range found = {0, 0};
    row_place p = row_at(r, begin);
    line l = r->first;
    for (int64_t i = begin, n; i < end; i += n) {
        range own;
        if (r->size < SHORT_ROW) {
            n = end - i < BLOCK ? end - i : BLOCK;
            own = short_rows_range(r, fits32, i, (int)n);
        } else {
            n = next_row(r, &p, i, end - i < MOST_ROW ? (int)(end - i) : MOST_ROW, &l);
            own = line_range(&l, fits32, (int)n);
        }
        found.low = own.low < found.low ? own.low : found.low;
        found.high = own.high > found.high ? own.high : found.high;
    }
    return found;
}
