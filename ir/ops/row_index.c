/*
 * Indices as torch.export computes them for as_strided: Range(0, N) times a stride, plus tables.
 * Range over the rows is a value that has a type alone; here is what may be known of it.
 */
#include "ir/ops/row_index.h"

#include "ir/ops/take.h"
#include "ir/ops/util.h"

enum { MAX_DEPTH = 32 };

/** v's shape [N, …] with extent 1 for the rows; false where it has none, or many a row. */
static bool one_row(const itc_type *t, int64_t dim[ITC_MAX_RANK])
{
    if (t->rank < 1 || !t->dim[0].batch || t->dim[0].size != 1) {
        return false;
    }
    dim[0] = 1;
    for (int i = 1; i < t->rank; i++) {
        dim[i] = t->dim[i].size;
    }
    return true;
}

/** Element of t that broadcasts to element k of dim. */
static int64_t broadcast_at(const itc_tensor *t, int rank, const int64_t *dim, int64_t k)
{
    int64_t at = 0, stride = 1;
    for (int i = rank - 1, j = t->rank - 1; j >= 0; i--, j--) {
        at += t->dim[j] == 1 ? 0 : k % dim[i] * stride;
        stride *= t->dim[j];
        k /= dim[i];
    }
    return at;
}

/** table + sign * c, broadcast to dim. */
static bool add_table(itc_graph *g, itc_row_index *r, const itc_tensor *c, int sign, int rank,
                      const int64_t *dim)
{
    itc_tensor *sum = itc_tensor_new(g->ctx, ITC_I64, rank, dim);
    for (int64_t k = 0; k < sum->count; k++) {
        const int64_t i = broadcast_at(c, rank, dim, k), j = broadcast_at(r->table, rank, dim, k);
        const int64_t a = itc_tensor_get_int(r->table, j), b = itc_tensor_get_int(c, i);
        if (itc_tensor_flag(c, i) || b < -INT32_MAX || b > INT32_MAX ||
            !itc_tensor_set_int(g->ctx, sum, k, a + sign * b, false)) {
            return false;
        }
    }
    r->table = sum;
    return true;
}

static bool multiply(itc_graph *g, itc_row_index *r, const itc_tensor *c)
{
    const int64_t f = c->count == 1 && !itc_tensor_flag(c, 0) ? itc_tensor_get_int(c, 0) : 0;
    if (f < 1 || f > INT32_MAX || r->step > INT32_MAX / f) {
        return false;
    }
    r->step *= f;
    for (int64_t k = 0; k < r->table->count; k++) {
        const int64_t v = itc_tensor_get_int(r->table, k);
        if (v < -INT32_MAX || v > INT32_MAX ||
            !itc_tensor_set_int(g->ctx, r->table, k, v * f, false)) {
            return false;
        }
    }
    return true;
}

/** The table, broadcast to dim. */
static bool repeat(itc_graph *g, itc_row_index *r, int rank, const int64_t *dim)
{
    const itc_tensor *zero = itc_tensor_i64(g->ctx, 1, &(int64_t){0});
    return add_table(g, r, zero, 1, rank, dim);
}

/** Range(0, k N): k * row and one of k. */
static bool many_a_row(itc_graph *g, const itc_value *v, itc_row_index *r)
{
    enum { MANY = 1 << 20 };
    const int64_t k = v->type.rank == 1 && v->type.dim[0].batch ? v->type.dim[0].size : 0;
    if (v->kind != ITC_VALUE_NODE || v->def->op != &itc_op_Range || k < 2 || k > MANY) {
        return false;
    }
    *r = (itc_row_index){k, itc_tensor_new(g->ctx, ITC_I64, 1, &k)};
    for (int64_t i = 0; i < k; i++) {
        ((int64_t *)r->table->data)[i] = i;
    }
    return true;
}

static bool find(itc_graph *g, const itc_value *v, int depth, itc_row_index *r)
{
    const itc_node *n = v->kind == ITC_VALUE_NODE ? v->def : NULL;
    const itc_type *t = &v->type;
    int64_t dim[ITC_MAX_RANK];
    if (!n || depth == 0 || !itc_is_plain(t) || !one_row(t, dim)) {
        return false;
    }
    if (n->op == &itc_op_Range) {
        *r = (itc_row_index){1, itc_tensor_i64(g->ctx, 1, &(int64_t){0})};
        return true;
    }
    if (n->op == &itc_op_View) {
        if (!many_a_row(g, n->in[0], r) && !find(g, n->in[0], depth - 1, r)) {
            return false;
        }
        r->table = itc_tensor_reshape(g->ctx, r->table, t->rank, t->dim);
        return r->table != NULL;
    }
    if (itc_take_repeats(n)) {
        return find(g, n->in[0], depth - 1, r) && repeat(g, r, t->rank, dim);
    }
    const bool product = n->op == &itc_op_Mul, difference = n->op == &itc_op_Sub;
    if (!product && !difference && n->op != &itc_op_Add) {
        return false;
    }
    for (int i = 0; i < (difference ? 1 : 2); i++) {
        const itc_tensor *c = itc_operand_const(n, 1 - i);
        if (c && c->data && find(g, n->in[i], depth - 1, r)) {
            return product ? c->rank <= t->rank && multiply(g, r, c) && r->table->rank == t->rank
                           : add_table(g, r, c, difference ? -1 : 1, t->rank, dim);
        }
    }
    return false;
}

bool itc_row_index_find(itc_graph *g, const itc_value *v, itc_row_index *r)
{
    return find(g, v, MAX_DEPTH, r);
}

itc_status itc_row_index_local(itc_graph *g, const itc_node *origin, itc_value *v, int64_t step,
                               itc_value **local)
{
    *local = NULL;
    while (v->kind == ITC_VALUE_NODE && v->def && v->def->op == &itc_op_View) {
        v = v->def->in[0];
    }
    const itc_node *n = v->kind == ITC_VALUE_NODE ? v->def : NULL;
    for (int i = 0; n && n->op == &itc_op_Add && i < 2; i++) {
        itc_row_index r;
        if (itc_row_index_find(g, n->in[i], &r) && r.step == step) {
            itc_value *table = itc_const_new(g, itc_format(g->ctx, "%s.rows", v->name), r.table);
            itc_value *in[2] = {n->in[1 - i], table};
            table->reason = "indices";
            return itc_apply(g, origin, &itc_op_Add, 2, in, local);
        }
    }
    return ITC_OK;
}
