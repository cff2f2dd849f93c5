/*
 * Rows of an axis by a table.
 *
 *     Gather    y[o, j, i] = x[o, index[j], i]               dx = GatherGrad: rows added back
 *     AxisMap   y[o, j, i] = sum over k of A[j, k] x[o, k, i]   dx = AxisMap by the transposed A
 *
 * Indices of a Gather may come at run time (an embedding's ids); A is sparse and constant.
 * Mantissas of a Gather are moved; the others are exact sums, rounded by their consumer. Sources:
 * ONNX Gather-13; gradients are the transposed maps.
 */
#include "ir/ops/gather.h"

#include <math.h>
#include <string.h>

#include "codegen/emit.h"
#include "ir/ops/row_index.h"
#include "ir/ops/take.h"
#include "ir/ops/util.h"
#include "passes/grad.h"
#include "passes/lower.h"
#include "passes/plan.h"

/* Entries of a table; more is a mistake or an attack. */
#define MAX_ENTRIES ((int64_t)1 << 28)

/* ---- an axis, what is before it and behind ---- */

typedef struct around {
    itc_dim outer, axis, inner;
} around;

static itc_status around_axis(itc_graph *g, const itc_node *n, const itc_type *t, int axis,
                              around *a)
{
    if (!itc_dims_product(axis, t->dim, &a->outer) ||
        !itc_dims_product(t->rank - axis - 1, t->dim + axis + 1, &a->inner)) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0224", "%s is too large",
                         itc_type_text(g->ctx, t));
    }
    a->axis = t->dim[axis];
    if (a->axis.batch) {
        return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0224", "rows N chosen along axis %d", axis);
    }
    return ITC_OK;
}

/** The axis of operand 0 that an attribute states. */
static itc_status own_axis(itc_graph *g, const itc_node *n, int rank, int *axis)
{
    return itc_axis_resolve(g, n, itc_int(n, "axis"), rank, axis);
}

/* ---- Gather ---- */

/** x's axes, the one at `axis` replaced by those of the indices. */
static itc_status gathered_type(itc_graph *g, const itc_node *n, const itc_type *x,
                                const itc_type *index, int axis, itc_type *y)
{
    itc_dim count;
    if (!itc_is_plain(index) || index->dtype == ITC_BOOL ||
        x->rank + index->rank - 1 > ITC_MAX_RANK) {
        return itc_error(g->ctx, n, ITC_TYPE, "E0228", "indices are %s",
                         itc_type_text(g->ctx, index));
    }
    *y = itc_type_make(x->dtype, 0, x->dim);
    y->bits = x->bits;
    for (int i = 0; i < x->rank; i++) {
        for (int k = 0; i == axis && k < index->rank; k++) {
            y->dim[y->rank++] = index->dim[k];
        }
        if (i != axis) {
            y->dim[y->rank++] = x->dim[i];
        }
    }
    if (!itc_type_count(y, &count)) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0224", "the result is too large or has N twice");
    }
    return ITC_OK;
}

static itc_status gather_infer(itc_graph *g, itc_node *n)
{
    int axis = 0;
    around a;
    ITC_TRY(own_axis(g, n, n->in[0]->type.rank, &axis));
    ITC_TRY(around_axis(g, n, &n->in[0]->type, axis, &a));
    if (n->in[0]->type.exp_axis >= 0) {
        return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0223", "%s has exponents along an axis",
                         itc_type_text(g->ctx, &n->in[0]->type));
    }
    return gathered_type(g, n, &n->in[0]->type, &n->in[1]->type, axis, &n->out[0]->type);
}

/** Constant indices, counted from the start. */
static itc_status read_indices(itc_graph *g, const itc_node *n, const itc_tensor *t, int64_t extent,
                               int64_t **out)
{
    *out = ITC_NEW_ARRAY(g->ctx, int64_t, t->count + 1);
    for (int64_t i = 0; i < t->count; i++) {
        const int64_t v = itc_tensor_get_int(t, i), at = v < 0 ? v + extent : v;
        if (at < 0 || at >= extent || itc_tensor_flag(t, i)) {
            return itc_error(g->ctx, n, ITC_RANGE, "E0229", "index %lld of %lld", (long long)v,
                             (long long)extent);
        }
        (*out)[i] = at;
    }
    return ITC_OK;
}

/** Whether constant indices make equal steps. */
static bool makes_steps(int64_t count, const int64_t *index)
{
    for (int64_t i = 2; i < count; i++) {
        if (index[i] - index[i - 1] != index[1] - index[0]) {
            return false;
        }
    }
    return true;
}

static itc_status build_gather(itc_graph *g, const itc_node *origin, itc_value *x, itc_value *index,
                               int axis, itc_value **out)
{
    itc_node *m = itc_node_new(g, &itc_op_Gather, origin, 2, (itc_value *[]){x, index}, 1);
    itc_set_int(g, m, "axis", axis);
    ITC_TRY(itc_infer(g, m));
    *out = m->out[0];
    return ITC_OK;
}

itc_status itc_gather_build(itc_graph *g, const itc_node *origin, itc_value *x, int axis,
                            int64_t count, const int64_t *index, itc_value **out)
{
    around a;
    ITC_TRY(around_axis(g, origin, &x->type, axis, &a));
    for (int64_t i = 0; i < count; i++) {
        if (index[i] < 0 || index[i] >= a.axis.size) {
            return itc_error(g->ctx, origin, ITC_RANGE, "E0229", "index %lld of %lld",
                             (long long)index[i], (long long)a.axis.size);
        }
    }
    if (count > 0 && makes_steps(count, index)) {
        itc_box b = itc_box_whole(&x->type);
        b.start[axis] = index[0];
        b.step[axis] = count > 1 ? index[1] - index[0] : 1;
        b.extent[axis] = itc_dim_of(count);
        return itc_take_build(g, origin, x, &b, out);
    }
    itc_value *c = itc_const_new(g, itc_format(g->ctx, "%s.rows", x->name),
                                 itc_tensor_i64(g->ctx, (int)count, index));
    c->reason = "indices";
    return build_gather(g, origin, x, c, axis, out);
}

/**
 * Elements of x [N * step, …] that are chosen for each row among its own `step`, by a table: a
 * gather of those. *out is NULL where the indices are others.
 */
static itc_status gather_in_rows(itc_graph *g, itc_node *n, const itc_type *y, itc_value **out)
{
    const itc_type *x = &n->in[0]->type;
    itc_row_index r;
    int64_t *at = NULL;
    *out = NULL;
    if (x->rank == ITC_MAX_RANK || !itc_row_index_find(g, n->in[1], &r) ||
        r.step != x->dim[0].size) {
        return ITC_OK;
    }
    itc_type parts = *x;
    parts.rank++;
    parts.dim[0] = (itc_dim){1, true};
    parts.dim[1] = itc_dim_of(r.step);
    for (int i = 1; i < x->rank; i++) {
        parts.dim[i + 1] = x->dim[i];
    }
    itc_value *v = NULL;
    ITC_TRY(read_indices(g, n, r.table, r.step, &at));
    ITC_TRY(itc_view_build(g, n, n->in[0], &parts, &v));
    ITC_TRY(itc_gather_build(g, n, v, 1, r.table->count, at, &v));
    return itc_view_build(g, n, v, y, out);
}

/** Constant indices by strides where they make steps; others as a list of i64. */
static itc_status gather_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    const itc_tensor *index = itc_operand_const(n, 1);
    const itc_type *x = &n->in[0]->type;
    int axis = 0;
    around a;
    itc_type y;
    int64_t *at = NULL;
    ITC_TRY(own_axis(g, n, x->rank, &axis));
    ITC_TRY(gathered_type(g, n, x, &n->in[1]->type, axis, &y));
    itc_set_int(g, n, "axis", axis);
    itc_value *all = itc_repeat_source(g, n->in[0]);
    if (all && all->data->count == 1) { /* whichever is chosen, it is this one */
        return itc_repeat_build(g, n, all, &y, &out[0]);
    }
    if (axis == 0 && x->dim[0].batch && !(index && index->data)) {
        ITC_TRY(gather_in_rows(g, n, &y, &out[0]));
        if (out[0]) {
            return ITC_OK;
        }
    }
    ITC_TRY(around_axis(g, n, x, axis, &a));
    if (!index || !index->data) {
        return ITC_OK;
    }
    if (index->count > MAX_ENTRIES || index->count < 1) {
        return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0201", "%lld indices are not supported",
                         (long long)index->count);
    }
    ITC_TRY(read_indices(g, n, index, a.axis.size, &at));
    ITC_TRY(itc_gather_build(g, n, n->in[0], axis, index->count, at, &out[0]));
    return itc_view_build(g, n, out[0], &y, &out[0]);
}

static itc_status gather_fold(itc_graph *g, itc_node *n, itc_tensor **out)
{
    const itc_tensor *x = itc_operand_const(n, 0), *index = itc_operand_const(n, 1);
    int axis = 0;
    int64_t dim[ITC_MAX_RANK], inner = 1, *at = NULL;
    itc_type y;
    if (!x || !x->data || !index || !index->data) {
        return ITC_OK;
    }
    const itc_type own = itc_tensor_type(x), other = itc_tensor_type(index);
    ITC_TRY(own_axis(g, n, x->rank, &axis));
    ITC_TRY(gathered_type(g, n, &own, &other, axis, &y));
    ITC_TRY(read_indices(g, n, index, x->dim[axis], &at));
    for (int i = 0; i < y.rank; i++) {
        dim[i] = y.dim[i].size;
    }
    for (int i = axis + 1; i < x->rank; i++) {
        inner *= x->dim[i];
    }
    itc_tensor *t = NULL;
    ITC_TRY(itc_fold_tensor(g, n, x->dtype, y.rank, dim, &t));
    for (int64_t k = 0; k < t->count; k++) {
        const int64_t outer = k / inner / index->count, from = at[k / inner % index->count];
        itc_tensor_copy_element(g->ctx, t, k, x, (outer * x->dim[axis] + from) * inner + k % inner);
    }
    out[0] = t;
    return ITC_OK;
}

static itc_status gather_grad(itc_grad *b, const itc_node *n)
{
    itc_graph *g = itc_grad_graph(b);
    const itc_type *x = &n->in[0]->type;
    itc_node *dx = itc_node_new(g, &itc_op_GatherGrad, n, 2,
                                (itc_value *[]){itc_grad_of(b, n, 0), n->in[1]}, 1);
    itc_attr_copy(g, dx, n, "axis");
    itc_set_int(g, dx, "extent", x->dim[itc_int(n, "axis")].size);
    ITC_TRY(itc_infer(g, dx));
    return itc_grad_add(b, n, 0, dx->out[0]);
}

static itc_status emit_gather(itc_emit *e, const itc_node *n, const itc_type *x, int width)
{
    itc_dim count;
    around a;
    const int axis = (int)itc_int(n, "axis");
    ITC_TRY(around_axis(itc_emit_graph(e), n, x, axis, &a));
    if (!itc_type_count(&n->in[1]->type, &count)) {
        return ITC_INTERNAL;
    }
    itc_arg_ptr(e, "x", n->in[0]);
    itc_arg_ptr(e, "index", n->in[1]);
    itc_arg_ptr(e, "y", n->out[0]);
    itc_arg_dim(e, "outer", a.outer);
    itc_arg_dim(e, "axis", a.axis);
    itc_arg_dim(e, "count", count);
    itc_arg_dim(e, "inner", a.inner);
    itc_arg_int(e, "width", width);
    return ITC_OK;
}

static itc_status gather_emit(itc_emit *e, const itc_node *n)
{
    ITC_TRY(itc_emit_call(e, n, "gather", 0, NULL));
    return emit_gather(e, n, &n->in[0]->type, (int)itc_dtype_size(n->in[0]->type.dtype));
}

static const itc_attr_spec gather_attrs[] = {
    {.name = "axis", .kind = ITC_ATTR_INT},
    {.name = NULL},
};

/**
 * Slices of x along an axis, chosen by indices, which may be known at run time alone (embeddings).
 * Shapes  x [before, extent, behind], index any, y [before, index's axes, behind]
 * Units   e_y = e_x; mantissas are moved
 * Range   an index outside its axis stops the call with ITR_BAD_INPUT
 * Source  ONNX Gather-1, -11, -13
 */
const itc_op_def itc_op_Gather = {
    .name = "Gather",
    .domain = "",
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 1,
    .versions = (const uint8_t[]){1, 11, 13, 0},
    .roles = (const itc_role_in[]){ITC_IN_PARAM, ITC_IN_INDEX},
    .attrs = gather_attrs,
    .summary = "slices chosen by indices, constant or of run time",
    .kinds = ITC_KIND_ANY,
    .normalize = gather_normalize,
    .fold = gather_fold,
    .infer = gather_infer,
    .grad = gather_grad,
    .demand = ITC_DEMAND_PASS,
    .lower = itc_lower_move,
    .plan = itc_plan_hook_same,
    .emit = gather_emit,
};

/* ---- GatherGrad ---- */

/** dx's type without dtype: the axes of the indices replaced by one. */
static itc_status scattered(itc_graph *g, const itc_node *n, itc_type *dx)
{
    const itc_type *dy = &n->in[0]->type, *index = &n->in[1]->type;
    const int64_t axis = itc_int(n, "axis"), extent = itc_int(n, "extent");
    const int rank = dy->rank - index->rank + 1;
    bool fits = axis >= 0 && axis < rank && extent >= 1;
    for (int k = 0; fits && k < index->rank; k++) {
        fits = itc_dim_equal(dy->dim[axis + k], index->dim[k]);
    }
    if (!fits) {
        return itc_error(g->ctx, n, ITC_SHAPE, "E0220", "a gradient %s of indices %s",
                         itc_type_text(g->ctx, dy), itc_type_text(g->ctx, index));
    }
    *dx = itc_type_make(dy->dtype, rank, dy->dim);
    for (int i = 0; i < rank; i++) {
        dx->dim[i] = i < axis ? dy->dim[i] : dy->dim[i + index->rank - 1];
    }
    dx->dim[axis] = itc_dim_of(extent);
    return ITC_OK;
}

/** Terms that one element of dx sums at most: all indices, or the most that are equal. */
static itc_status most_terms(itc_graph *g, const itc_node *n, itc_dim *k)
{
    const itc_tensor *index = itc_operand_const(n, 1);
    const int64_t extent = itc_int(n, "extent");
    if (!itc_type_count(&n->in[1]->type, k)) {
        return ITC_INTERNAL;
    }
    if (!index || !index->data || extent > MAX_ENTRIES) {
        return ITC_OK;
    }
    int64_t *count = ITC_NEW_ARRAY(g->ctx, int64_t, extent);
    *k = itc_dim_of(1);
    for (int64_t i = 0; i < index->count; i++) {
        const int64_t at = itc_tensor_get_int(index, i);
        if (at >= 0 && at < extent && ++count[at] > k->size) {
            k->size = count[at];
        }
    }
    return ITC_OK;
}

static itc_status gather_grad_infer(itc_graph *g, itc_node *n)
{
    itc_type dx, sum;
    itc_dim k, count;
    ITC_TRY(scattered(g, n, &dx));
    ITC_TRY(most_terms(g, n, &k));
    ITC_TRY(itc_sum_type(g, n, k, n->in[0], NULL, &sum));
    dx.dtype = sum.dtype;
    dx.bits = sum.bits;
    if (!itc_type_count(&dx, &count)) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0226", "the result is too large");
    }
    n->out[0]->type = dx;
    return ITC_OK;
}

static itc_status gather_grad_plan(itc_plan *p, itc_node *n)
{
    itc_dim k;
    ITC_TRY(most_terms(itc_plan_graph(p), n, &k));
    itc_plan_same(p, n->out[0], n->in[0]);
    return itc_plan_bound(p, n, k, n->in[0]->type.bits, 1);
}

static itc_status gather_grad_emit(itc_emit *e, const itc_node *n)
{
    ITC_TRY(itc_emit_call(e, n, "gather_grad", 2, (itc_value *[]){n->in[0], n->out[0]}));
    return emit_gather(e, n, &n->out[0]->type, 0);
}

static const itc_attr_spec gather_grad_attrs[] = {
    {.name = "axis", .kind = ITC_ATTR_INT},
    {.name = "extent", .kind = ITC_ATTR_INT, .required = true},
    {.name = NULL},
};

/**
 * Gradient of Gather: each row of dy is added to the row that it came from.
 * Shapes  dy as Gather's y, index as there, dx with `extent` elements on `axis`
 * Units   e_dx = e_dy
 * Range   as many terms as there are indices, or equal constant ones: i32 where they fit, else i64
 * Source  our derivation, of ONNX Gather-13
 */
const itc_op_def itc_op_GatherGrad = {
    .name = "GatherGrad",
    .domain = "intrain",
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = ITC_OP_INTERNAL,
    .attrs = gather_grad_attrs,
    .summary = "gradient of Gather: rows added where they came from",
    .infer = gather_grad_infer,
    .demand = ITC_DEMAND_OPERAND,
    .lower = itc_lower_linear,
    .plan = gather_grad_plan,
    .emit = gather_grad_emit,
};

/* ---- AxisMap ---- */

static itc_value *table(itc_graph *g, const itc_value *x, const char *what, int64_t count,
                        const int32_t *v)
{
    itc_tensor *t = itc_tensor_new(g->ctx, ITC_I32, 1, &count);
    memcpy(t->data, v, sizeof *v * (size_t)count);
    itc_value *c = itc_const_new(g, itc_format(g->ctx, "%s.%s", x->name, what), t);
    c->reason = "a linear map";
    return c;
}

/** Rows of one element, each as it is. */
static bool only_moves(const itc_sparse *m)
{
    for (int64_t j = 0; j < m->rows; j++) {
        const int32_t t = m->first[j];
        if (m->first[j + 1] - t != 1 || m->coef[t] < 1 || m->coef[t] > 1) {
            return false;
        }
    }
    return true;
}

itc_status itc_axis_map_build(itc_graph *g, const itc_node *origin, itc_value *x, int axis,
                              const itc_sparse *m, itc_value **out)
{
    const int64_t entries = m->first[m->rows];
    if (m->rows > 0 && only_moves(m)) {
        int64_t *index = ITC_NEW_ARRAY(g->ctx, int64_t, m->rows);
        for (int64_t j = 0; j < m->rows; j++) {
            index[j] = m->from[m->first[j]];
        }
        return itc_gather_build(g, origin, x, axis, m->rows, index, out);
    }
    itc_tensor *coef = itc_tensor_new(g->ctx, ITC_F32, 1, &entries);
    for (int64_t t = 0; t < entries; t++) {
        ((float *)coef->data)[t] = (float)m->coef[t];
    }
    itc_value *in[4] = {x, table(g, x, "first", m->rows + 1, m->first),
                        table(g, x, "from", entries, m->from), NULL};
    in[3] = itc_const_new(g, itc_format(g->ctx, "%s.coef", x->name), coef);
    in[3]->reason = "a linear map";
    itc_node *n = itc_node_new(g, &itc_op_AxisMap, origin, 4, in, 1);
    itc_set_int(g, n, "axis", axis);
    ITC_TRY(itc_infer(g, n));
    *out = n->out[0];
    return ITC_OK;
}

/** The tables, checked: a text may say anything. */
static itc_status read_map(itc_graph *g, const itc_node *n, int64_t columns, itc_sparse *m)
{
    const itc_tensor *first = itc_operand_const(n, 1), *from = itc_operand_const(n, 2);
    const itc_tensor *coef = itc_operand_const(n, 3);
    bool good = first && from && coef && first->data && from->data && coef->data &&
                first->dtype == ITC_I32 && from->dtype == ITC_I32 && first->rank == 1 &&
                first->count >= 2 && from->count == coef->count;
    for (int64_t j = 0; good && j < first->count; j++) {
        const int64_t at = itc_tensor_get_int(first, j);
        good = j == 0 ? at == 0 : at >= itc_tensor_get_int(first, j - 1);
        good = good && (j + 1 < first->count || at == from->count);
    }
    for (int64_t t = 0; good && t < from->count; t++) {
        const int64_t at = itc_tensor_get_int(from, t);
        good = at >= 0 && at < columns;
    }
    if (!good) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0221", "the tables of a map are not consistent");
    }
    m->rows = first->count - 1;
    m->columns = columns;
    m->first = first->data;
    m->from = from->data;
    return ITC_OK;
}

/** Largest sum of |coef| of a row, in mantissas, over the largest mantissa, rounded up. */
static int64_t weight_of(const itc_node *n, const itc_sparse *m)
{
    const itc_tensor *coef = itc_operand_const(n, 3);
    const int64_t limit = ((int64_t)1 << n->in[3]->type.bits) - 1;
    int64_t most = limit;
    for (int64_t j = 0; j < m->rows; j++) {
        int64_t sum = 0;
        for (int32_t t = m->first[j]; t < m->first[j + 1]; t++) {
            const int64_t c = itc_tensor_get_int(coef, t);
            sum += c < 0 ? -c : c;
        }
        most = sum > most ? sum : most;
    }
    return (most + limit - 1) / limit;
}

static itc_status map_infer(itc_graph *g, itc_node *n)
{
    const itc_type *x = &n->in[0]->type;
    itc_type y = *x;
    itc_sparse m;
    itc_dim count;
    around a;
    int axis = 0;
    ITC_TRY(own_axis(g, n, x->rank, &axis));
    ITC_TRY(around_axis(g, n, x, axis, &a));
    ITC_TRY(read_map(g, n, a.axis.size, &m));
    ITC_TRY(itc_operand_real(g, n, 0));
    y.dim[axis] = itc_dim_of(m.rows);
    if (x->dtype != ITC_F32) {
        itc_type sum = itc_type_scalar(ITC_I64);
        ITC_TRY(itc_accumulator_type(g, n, itc_dim_of(weight_of(n, &m)), x->bits,
                                     n->in[3]->type.bits, &sum));
        y.dtype = x->dtype == ITC_I8 ? sum.dtype : ITC_I64;
        y.bits = sum.bits;
    }
    if (!itc_type_count(&y, &count) || x->exp_axis >= 0) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0226", "the result is too large");
    }
    n->out[0]->type = y;
    return ITC_OK;
}

/** The transposed map. */
static itc_status map_grad(itc_grad *b, const itc_node *n)
{
    itc_graph *g = itc_grad_graph(b);
    const int axis = (int)itc_int(n, "axis");
    const itc_tensor *coef = itc_operand_const(n, 3);
    itc_value *dx = NULL;
    itc_sparse m;
    ITC_TRY(read_map(g, n, n->in[0]->type.dim[axis].size, &m));
    const int64_t entries = m.first[m.rows];
    itc_sparse t = {.rows = m.columns, .columns = m.rows};
    t.first = ITC_NEW_ARRAY(g->ctx, int32_t, t.rows + 2);
    t.from = ITC_NEW_ARRAY(g->ctx, int32_t, entries + 1);
    t.coef = ITC_NEW_ARRAY(g->ctx, double, entries + 1);
    for (int64_t k = 0; k < entries; k++) {
        t.first[m.from[k] + 2]++;
    }
    for (int64_t j = 2; j <= t.rows + 1; j++) {
        t.first[j] += t.first[j - 1];
    }
    for (int64_t j = 0; j < m.rows; j++) {
        for (int32_t k = m.first[j]; k < m.first[j + 1]; k++) {
            const int32_t to = t.first[m.from[k] + 1]++;
            t.from[to] = (int32_t)j;
            t.coef[to] = itc_tensor_get(coef, k);
        }
    }
    ITC_TRY(itc_axis_map_build(g, n, itc_grad_of(b, n, 0), axis, &t, &dx));
    return itc_grad_add(b, n, 0, dx);
}

/** Coefficients have the wide bits: what the map is should not depend on the operands' width. */
static itc_status map_lower(itc_lower *l, const itc_node *n)
{
    itc_value *in[4] = {NULL, n->in[1], n->in[2], NULL};
    itc_node *m = NULL;
    ITC_TRY(itc_lower_get(l, n, n->in[0], itc_lower_operand_bits(l), &in[0]));
    ITC_TRY(itc_lower_get_wide(l, n, n->in[3], itc_lower_wide_bits(l), &in[3]));
    ITC_TRY(itc_lower_build(l, n, n->op, 4, in, 1, &m));
    itc_lower_set(l, n->out[0], m->out[0]);
    return ITC_OK;
}

static itc_status map_plan(itc_plan *p, itc_node *n)
{
    itc_sparse m;
    const int axis = (int)itc_int(n, "axis");
    ITC_TRY(read_map(itc_plan_graph(p), n, n->in[0]->type.dim[axis].size, &m));
    ITC_TRY(itc_plan_sum(p, n, n->out[0], 2, (itc_value *[]){n->in[0], n->in[3]}, 0));
    return itc_plan_bound(p, n, itc_dim_of(weight_of(n, &m)), n->in[0]->type.bits,
                          n->in[3]->type.bits);
}

static itc_status map_emit(itc_emit *e, const itc_node *n)
{
    around a;
    const int axis = (int)itc_int(n, "axis");
    ITC_TRY(around_axis(itc_emit_graph(e), n, &n->in[0]->type, axis, &a));
    ITC_TRY(itc_emit_call(e, n, "axis_map", 3, (itc_value *[]){n->in[0], n->in[3], n->out[0]}));
    itc_arg_ptr(e, "x", n->in[0]);
    itc_arg_ptr(e, "first", n->in[1]);
    itc_arg_ptr(e, "from", n->in[2]);
    itc_arg_ptr(e, "coef", n->in[3]);
    itc_arg_ptr(e, "y", n->out[0]);
    itc_arg_dim(e, "outer", a.outer);
    itc_arg_dim(e, "axis", a.axis);
    itc_arg_dim(e, "count", n->out[0]->type.dim[axis]);
    itc_arg_dim(e, "inner", a.inner);
    return ITC_OK;
}

/**
 * A constant sparse matrix along an axis: operands x, the place of each row's first term, the
 * terms' columns, their numbers. Shapes  x [before, K, behind], first i32 [J+1], from i32 [terms],
 * coef [terms], y [before, J, behind] Units   e_y = e_x + e_coef Range   |y| < limit_x * the
 * largest sum of |coef| of a row: i32 where that fits, else i64 Source  our derivation
 */
const itc_op_def itc_op_AxisMap = {
    .name = "AxisMap",
    .domain = "intrain",
    .in_min = 4,
    .in_max = 4,
    .out_min = 1,
    .out_max = 1,
    .flags = ITC_OP_INTERNAL,
    .attrs = gather_attrs,
    .summary = "a constant sparse matrix along an axis",
    .infer = map_infer,
    .grad = map_grad,
    .demand = ITC_DEMAND_OPERAND,
    .lower = map_lower,
    .plan = map_plan,
    .emit = map_emit,
};
