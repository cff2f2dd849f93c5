/*
 * Sums of products over named axes.
 *
 * Operands are joined two at a time, those first whose result is smallest. Of two of them a label
 * is
 *
 *     a batch    in both, and needed later     summed     in both, and needed no more
 *     a row      in the left one alone         a column   in the right one alone
 *
 * and their product is one batched MatMul of [batch, rows, summed] and [batch, summed, columns]:
 * views where the axes stand so already, either of them transposed, and a Transpose elsewhere.
 * Where nothing is summed it is a Mul. A label of one operand alone that nobody needs is summed
 * before. So sums are as long as they can be and exact, and gradients those of MatMul, Mul and data
 * movement: what broadcasting repeats is never made, nor are its gradients. Source: our derivation;
 * Einsum after numpy.einsum.
 */
#include "ir/ops/contract.h"

#include "ir/ops/take.h"
#include "ir/ops/util.h"

static const itc_dim one = {1, false};

/** What is at hand. */
typedef struct contraction {
    itc_graph *g;
    const itc_node *n;
    itc_dim extent[ITC_MAX_LABELS];
} contraction;

static uint64_t bit(uint8_t label)
{
    return (uint64_t)1 << label;
}

static uint64_t labels_of(const itc_labelled *t)
{
    uint64_t mask = 0;
    for (int i = 0; i < t->rank; i++) {
        mask |= bit(t->label[i]);
    }
    return mask;
}

static itc_status too_large(contraction *c)
{
    return itc_error(c->g->ctx, c->n, ITC_RANGE, "E0224",
                     "a product on the way has more than %d axes, is too large or has N twice",
                     ITC_MAX_RANK);
}

/* ---- operands ---- */

/** Brings the axes into the order of `from`, positions. */
static itc_status reorder(contraction *c, itc_labelled *t, const int64_t *from)
{
    const itc_labelled old = *t;
    bool same = true;
    for (int i = 0; i < t->rank; i++) {
        t->label[i] = old.label[from[i]];
        same = same && from[i] == i;
    }
    if (same) {
        return ITC_OK;
    }
    itc_node *m = itc_node_new(c->g, &itc_op_Transpose, c->n, 1, &t->x, 1);
    itc_set_ints(c->g, m, "perm", t->rank, from);
    ITC_TRY(itc_infer(c->g, m));
    t->x = m->out[0];
    return ITC_OK;
}

/** The first axis whose label stands again, and where it does. */
static bool find_repeated(const itc_labelled *t, int *first, int *again)
{
    for (*first = 0; *first < t->rank; ++*first) {
        for (*again = *first + 1; *again < t->rank; ++*again) {
            if (t->label[*first] == t->label[*again]) {
                return true;
            }
        }
    }
    return false;
}

/** The diagonal of axes i and k, which becomes the last axis: each (d+1)th element of both. */
static itc_status take_diagonal(contraction *c, itc_labelled *t, int i, int k)
{
    int64_t from[ITC_MAX_RANK], d = t->x->type.dim[i].size;
    int count = 0;
    if (!itc_dim_equal(t->x->type.dim[i], t->x->type.dim[k]) || t->x->type.dim[i].batch) {
        return itc_error(c->g->ctx, c->n, ITC_SHAPE, "E0220",
                         "axes %d and %d of %s have no diagonal", i, k,
                         itc_type_text(c->g->ctx, &t->x->type));
    }
    for (int a = 0; a < t->rank; a++) {
        if (a != i && a != k) {
            from[count++] = a;
        }
    }
    from[count++] = i;
    from[count] = k;
    ITC_TRY(reorder(c, t, from));
    itc_type flat = t->x->type;
    flat.rank = (uint8_t)--t->rank;
    if (!itc_size_mul(d, d, &flat.dim[t->rank - 1].size)) {
        return too_large(c);
    }
    ITC_TRY(itc_view_build(c->g, c->n, t->x, &flat, &t->x));
    itc_box b = itc_box_whole(&flat);
    b.step[t->rank - 1] = d + 1;
    b.extent[t->rank - 1] = (itc_dim){d, false};
    return itc_take_build(c->g, c->n, t->x, &b, &t->x);
}

/** Axes of extent 1 say nothing: whatever they broadcast to, they go. */
static itc_status drop_ones(contraction *c, itc_labelled *t)
{
    itc_type as = t->x->type;
    as.rank = 0;
    for (int i = 0; i < t->rank; i++) {
        if (!itc_dim_equal(t->x->type.dim[i], one)) {
            t->label[as.rank] = t->label[i];
            as.dim[as.rank++] = t->x->type.dim[i];
        }
    }
    t->rank = as.rank;
    return itc_view_build(c->g, c->n, t->x, &as, &t->x);
}

static itc_status note_extents(contraction *c, const itc_labelled *t)
{
    for (int i = 0; i < t->rank; i++) {
        itc_dim *d = &c->extent[t->label[i]];
        if (!itc_dim_equal(*d, one) && !itc_dim_equal(*d, t->x->type.dim[i])) {
            return itc_error(c->g->ctx, c->n, ITC_SHAPE, "E0220",
                             "axis %d of %s has another extent in another operand", i,
                             itc_type_text(c->g->ctx, &t->x->type));
        }
        *d = t->x->type.dim[i];
    }
    return ITC_OK;
}

static itc_status prepare(contraction *c, itc_labelled *t)
{
    for (int i = 0, k = 0; find_repeated(t, &i, &k);) {
        ITC_TRY(take_diagonal(c, t, i, k));
    }
    ITC_TRY(drop_ones(c, t));
    return note_extents(c, t);
}

/** Sums over every label that is not in `keep`. */
static itc_status sum_others(contraction *c, itc_labelled *t, uint64_t keep)
{
    int64_t axes[ITC_MAX_RANK];
    int count = 0, left = 0;
    for (int i = 0; i < t->rank; i++) {
        if ((keep & bit(t->label[i])) != 0) {
            t->label[left++] = t->label[i];
        } else {
            axes[count++] = i;
        }
    }
    if (count == 0) {
        return ITC_OK;
    }
    itc_node *sum = itc_node_new(c->g, &itc_op_ReduceSumTo, c->n, 1, &t->x, 1);
    itc_set_ints(c->g, sum, "axes", count, axes);
    ITC_TRY(itc_infer(c->g, sum));
    t->x = sum->out[0];
    t->rank = left;
    return ITC_OK;
}

/* ---- lists of labels ---- */

typedef struct list {
    int n;
    uint8_t label[2 * ITC_MAX_RANK];
} list;

/** Appends those labels of t that are in `which`. */
static void append(list *l, const itc_labelled *t, uint64_t which)
{
    for (int i = 0; i < t->rank; i++) {
        if ((which & bit(t->label[i])) != 0) {
            l->label[l->n++] = t->label[i];
        }
    }
}

static bool stands_so(const itc_labelled *t, const list *l)
{
    for (int i = 0; i < t->rank; i++) {
        if (t->label[i] != l->label[i]) {
            return false;
        }
    }
    return true;
}

/** t's axes in the order that l has them; labels of l that t lacks do not count. */
static itc_status arrange(contraction *c, itc_labelled *t, const list *l)
{
    int64_t from[ITC_MAX_RANK];
    int count = 0;
    for (int i = 0; i < l->n; i++) {
        for (int k = 0; k < t->rank; k++) {
            if (t->label[k] == l->label[i]) {
                from[count++] = k;
            }
        }
    }
    return reorder(c, t, from);
}

/** The product of the extents of labels [from, to) of a list. */
static itc_status count_of(contraction *c, const list *l, int from, int to, itc_dim *out)
{
    itc_dim dim[2 * ITC_MAX_RANK];
    for (int i = from; i < to; i++) {
        dim[i] = c->extent[l->label[i]];
    }
    return itc_dims_product(to - from, dim + from, out) ? ITC_OK : too_large(c);
}

static itc_status view_as(contraction *c, itc_value *x, int rank, const itc_dim *dim,
                          itc_value **out)
{
    const itc_type t = itc_type_make(x->type.dtype, rank, dim);
    return itc_view_build(c->g, c->n, x, &t, out);
}

/** x, whose elements stand as the list says, with an axis a label. */
static itc_status label_axes(contraction *c, itc_value *x, const list *l, itc_labelled *out)
{
    itc_dim dim[ITC_MAX_RANK];
    if (l->n > ITC_MAX_RANK) {
        return too_large(c);
    }
    for (int i = 0; i < l->n; i++) {
        dim[i] = c->extent[l->label[i]];
        out->label[i] = l->label[i];
    }
    out->rank = l->n;
    return view_as(c, x, l->n, dim, &out->x);
}

/* ---- two operands ---- */

static list joined(const list *a, const list *b, const list *c)
{
    list all = *a;
    for (int i = 0; i < b->n; i++) {
        all.label[all.n++] = b->label[i];
    }
    for (int i = 0; i < c->n; i++) {
        all.label[all.n++] = c->label[i];
    }
    return all;
}

/** Operand t of a MatMul as [batch, p, q], or [batch, q, p] where its axes stand like that. */
static itc_status as_matrices(contraction *c, itc_labelled *t, const list *batch, const list *p,
                              const list *q, bool *trans)
{
    const list plain = joined(batch, p, q), turned = joined(batch, q, p);
    const int first = (*trans = !stands_so(t, &plain) && stands_so(t, &turned)) ? q->n : p->n;
    const list *order = *trans ? &turned : &plain;
    itc_dim dim[3];
    ITC_TRY(arrange(c, t, order));
    ITC_TRY(count_of(c, order, 0, batch->n, &dim[0]));
    ITC_TRY(count_of(c, order, batch->n, batch->n + first, &dim[1]));
    ITC_TRY(count_of(c, order, batch->n + first, order->n, &dim[2]));
    return batch->n > 0 ? view_as(c, t->x, 3, dim, &t->x) : view_as(c, t->x, 2, dim + 1, &t->x);
}

static itc_status matrix_product(contraction *c, itc_labelled *a, itc_labelled *b, uint64_t keep,
                                 itc_labelled *out)
{
    const uint64_t in_a = labels_of(a), in_b = labels_of(b), both = in_a & in_b;
    list batch = {0}, sum = {0}, rows = {0}, columns = {0};
    bool trans_a = false, trans_b = false;
    append(&batch, a, both & keep);
    append(&sum, a, both & ~keep);
    append(&rows, a, in_a & ~both);
    append(&columns, b, in_b & ~both);
    ITC_TRY(as_matrices(c, a, &batch, &rows, &sum, &trans_a));
    ITC_TRY(as_matrices(c, b, &batch, &sum, &columns, &trans_b));
    itc_node *m = itc_node_new(c->g, &itc_op_MatMul, c->n, 2, (itc_value *[]){a->x, b->x}, 1);
    if (trans_a) {
        itc_set_int(c->g, m, "trans_a", 1);
    }
    if (trans_b) {
        itc_set_int(c->g, m, "trans_b", 1);
    }
    ITC_TRY(itc_infer(c->g, m));
    const list all = joined(&batch, &rows, &columns);
    return label_axes(c, m->out[0], &all, out);
}

/** t with an axis for each label of the list: extent 1 where it lacks the label. */
static itc_status spread(contraction *c, itc_labelled *t, const list *l, itc_value **out)
{
    itc_dim dim[ITC_MAX_RANK];
    const uint64_t has = labels_of(t);
    ITC_TRY(arrange(c, t, l));
    for (int i = 0; i < l->n; i++) {
        dim[i] = (has & bit(l->label[i])) != 0 ? c->extent[l->label[i]] : one;
    }
    return view_as(c, t->x, l->n, dim, out);
}

/** Nothing is summed: a product of elements. */
static itc_status element_product(contraction *c, itc_labelled *a, itc_labelled *b,
                                  itc_labelled *out)
{
    list all = {0};
    itc_value *in[2] = {NULL, NULL};
    itc_node *m = NULL;
    append(&all, a, ~(uint64_t)0);
    append(&all, b, ~labels_of(a));
    if (all.n > ITC_MAX_RANK) {
        return too_large(c);
    }
    ITC_TRY(spread(c, a, &all, &in[0]));
    ITC_TRY(spread(c, b, &all, &in[1]));
    ITC_TRY(itc_build(c->g, &itc_op_Mul, c->n, 2, in, 1, &m));
    return label_axes(c, m->out[0], &all, out);
}

static itc_status multiply(contraction *c, itc_labelled *a, itc_labelled *b, uint64_t keep,
                           itc_labelled *out)
{
    ITC_TRY(sum_others(c, a, keep | labels_of(b)));
    ITC_TRY(sum_others(c, b, keep | labels_of(a)));
    if ((labels_of(a) & labels_of(b) & ~keep) != 0) {
        return matrix_product(c, a, b, keep, out);
    }
    return a->rank < b->rank ? element_product(c, b, a, out) : element_product(c, a, b, out);
}

/* ---- all of them ---- */

static uint64_t needed_by_others(int count, const itc_labelled *operand, int a, int b)
{
    uint64_t mask = 0;
    for (int i = 0; i < count; i++) {
        mask |= i == a || i == b ? 0 : labels_of(&operand[i]);
    }
    return mask;
}

/** Elements of a result, N counted as many; only good to compare. */
static double size_of(const contraction *c, uint64_t labels)
{
    double size = 1;
    for (uint8_t i = 0; i < ITC_MAX_LABELS; i++) {
        if ((labels & bit(i)) != 0) {
            size *= (double)c->extent[i].size * (c->extent[i].batch ? 64 : 1);
        }
    }
    return size;
}

/** The two operands whose product is smallest, the first of equals. */
static void choose_pair(const contraction *c, int count, const itc_labelled *operand, uint64_t keep,
                        int *a, int *b)
{
    double least = -1;
    for (int i = 0; i < count; i++) {
        for (int k = i + 1; k < count; k++) {
            const double size = size_of(c, (labels_of(&operand[i]) | labels_of(&operand[k])) &
                                               (keep | needed_by_others(count, operand, i, k)));
            if (least < 0 || size < least) {
                least = size;
                *a = i;
                *b = k;
            }
        }
    }
}

/** The last operand in the order that is asked for. */
static itc_status finish(contraction *c, itc_labelled *t, const itc_labelled *out, itc_value **y)
{
    list order = {0};
    append(&order, out, ~(uint64_t)0);
    ITC_TRY(sum_others(c, t, labels_of(out)));
    return spread(c, t, &order, y);
}

itc_status itc_contract_build(itc_graph *g, const itc_node *origin, int count,
                              itc_labelled *operand, const itc_labelled *out, itc_value **y)
{
    contraction c = {.g = g, .n = origin};
    for (int i = 0; i < ITC_MAX_LABELS; i++) {
        c.extent[i] = one;
    }
    for (int i = 0; i < count; i++) {
        ITC_TRY(prepare(&c, &operand[i]));
    }
    for (; count > 1; count--) {
        int a = 0, b = 1;
        itc_labelled product = {.x = NULL};
        choose_pair(&c, count, operand, labels_of(out), &a, &b);
        ITC_TRY(multiply(&c, &operand[a], &operand[b],
                         labels_of(out) | needed_by_others(count, operand, a, b), &product));
        operand[a] = product;
        operand[b] = operand[count - 1];
    }
    return finish(&c, &operand[0], out, y);
}
