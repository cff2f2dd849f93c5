/**
 * Short runs of a sum whose factors and numbers repeat (requant_sum.h): with planes of 8 x 8 or
 * 4 x 4, finding the line of a run takes longer than adding it. The lines of all slices are found
 * once; from then on a row's is its slice's, further along.
 *
 *     y[o, slice, i] = x[o, slice, i] * f[slice] + ... + number[slice]
 */

/** The portable kernel keeps its stack small and does without. */
enum { MOST_SLICES = ITR_REQUANT_NARROW ? 1024 : 1, MOST_ROW = 512 };

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

/** The line of the row at p, from element i of the result on; how long it is, at most `limit`. */
static int next_row(const rows *r, row_place *p, int64_t i, int limit, line *l)
{
    const row *own = &r->of[p->slice];
    const int left = (int)(r->size - p->at), n = left < limit ? left : limit;
    for (int k = 0; k < 2; k++) {
        l->p[k].x = (const unsigned char *)r->first.p[k].x + i * r->first.p[k].width;
        l->p[k].f = own->f[k];
    }
    l->number = own->number;
    p->at += n;
    if (p->at == r->size) {
        p->at = 0;
        p->slice = p->slice + 1 == r->slices ? 0 : p->slice + 1;
    }
    return n;
}

/** v[j] = (v[j] + the sum) >> shift for elements i + j, where `fresh` without what v held. */
#define DEFINE_ROUND_ROWS(bits)                                                                    \
    static void round_rows##bits(const rows *r, int64_t i, int n, int64_t half, bool fresh,        \
                                 int shift, int##bits##_t *v)                                      \
    {                                                                                              \
        row_place p = row_at(r, i);                                                                \
        line l = r->first;                                                                         \
        for (int done = 0; done < n;) {                                                            \
            const int m = next_row(r, &p, i + done, n - done, &l);                                 \
            l.number += half;                                                                      \
            line##bits(v + done, &l, fresh, shift, m);                                             \
            done += m;                                                                             \
        }                                                                                          \
    }
DEFINE_ROUND_ROWS(32)
DEFINE_ROUND_ROWS(64)

/** The range of elements [begin, end). */
static range rows_range(const rows *r, bool fits32, int64_t begin, int64_t end)
{
    range found = {0, 0};
    row_place p = row_at(r, begin);
    line l = r->first;
    for (int64_t i = begin; i < end;) {
        const int n = next_row(r, &p, i, end - i < MOST_ROW ? (int)(end - i) : MOST_ROW, &l);
        const range own = line_range(&l, fits32, n);
        found.low = own.low < found.low ? own.low : found.low;
        found.high = own.high > found.high ? own.high : found.high;
        i += n;
    }
    return found;
}
