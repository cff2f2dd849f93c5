/*
 * Gathers with an index for each element: GatherElements and GatherND.
 *
 * They are computed when compiling where they can be: of constants, of constants that repeat along
 * the rows, and of tensors whose elements are all the same, whatever the indices are (exporters
 * make position ids and masks with them). Others are a Pick. Sources: ONNX GatherElements-13,
 * GatherND-13.
 */
#include <string.h>

#include "codegen/emit.h"
#include "ir/ops/gather.h"
#include "ir/ops/pick.h"
#include "ir/ops/row_index.h"
#include "ir/ops/take.h"
#include "ir/ops/util.h"

enum { MAX_EXTENT = 1 << 20 }; /* of an axis that a repeated constant is picked from */

/** An index counted from the start; E0229. */
static itc_status resolve(itc_graph *g, const itc_node *n, const itc_tensor *index, int64_t i,
                          int64_t extent, int64_t *at)
{
    const int64_t v = itc_tensor_get_int(index, i);
    *at = v < 0 ? v + extent : v;
    if (*at < 0 || *at >= extent || itc_tensor_flag(index, i)) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0229", "index %lld of %lld", (long long)v,
                         (long long)extent);
    }
    return ITC_OK;
}

static itc_status check_indices(itc_graph *g, const itc_node *n)
{
    const itc_type *t = &n->in[1]->type;
    if (itc_is_plain(t) && t->dtype != ITC_BOOL) {
        return ITC_OK;
    }
    return itc_error(g->ctx, n, ITC_TYPE, "E0228", "indices are %s", itc_type_text(g->ctx, t));
}

static itc_status pick(itc_graph *g, const itc_node *n, const itc_places *p, itc_value **out)
{
    ITC_TRY(itc_places_check(g, n, &n->in[0]->type, &n->in[1]->type, p, NULL));
    return itc_pick_build(g, n, n->in[0], n->in[1], p, out);
}

/* ---- GatherElements ---- */

/** Elements of x at the indices; either may have extent 1 on other axes than `axis`. */
static itc_status pick_elements(itc_graph *g, const itc_node *n, const itc_tensor *x,
                                const itc_tensor *index, int axis, itc_tensor **out)
{
    int64_t dim[ITC_MAX_RANK], place[ITC_MAX_RANK];
    for (int i = 0; i < x->rank; i++) {
        dim[i] = i == axis || index->dim[i] > 1 ? index->dim[i] : x->dim[i];
        if (i != axis && index->dim[i] > 1 && x->dim[i] > 1 && index->dim[i] > x->dim[i]) {
            return itc_error(
                g->ctx, n, ITC_SHAPE, "E0220", "%s has more indices on axis %d than %s",
                itc_type_text(g->ctx, &n->in[1]->type), i, itc_type_text(g->ctx, &n->in[0]->type));
        }
    }
    ITC_TRY(itc_fold_tensor(g, n, x->dtype, x->rank, dim, out));
    for (int64_t k = 0; k < (*out)->count; k++) {
        int64_t rest = k, from = 0, at = 0;
        for (int i = x->rank - 1; i >= 0; i--) {
            place[i] = rest % dim[i];
            rest /= dim[i];
        }
        for (int i = 0; i < x->rank; i++) {
            at = at * index->dim[i] + (index->dim[i] == 1 ? 0 : place[i]);
        }
        ITC_TRY(resolve(g, n, index, at, x->dim[axis], &place[axis]));
        for (int i = 0; i < x->rank; i++) {
            from = from * x->dim[i] + (x->dim[i] == 1 ? 0 : place[i]);
        }
        itc_tensor_copy_element(g->ctx, *out, k, x, from);
    }
    return ITC_OK;
}

static itc_status elements_axis(itc_graph *g, const itc_node *n, int *axis)
{
    ITC_TRY(check_indices(g, n));
    ITC_TRY(itc_operand_rank(g, n, 0, 1, ITC_MAX_RANK));
    ITC_TRY(itc_operand_rank(g, n, 1, n->in[0]->type.rank, n->in[0]->type.rank));
    return itc_axis_resolve(g, n, itc_int(n, "axis"), n->in[0]->type.rank, axis);
}

static itc_status elements_fold(itc_graph *g, itc_node *n, itc_tensor **out)
{
    const itc_tensor *x = itc_operand_const(n, 0), *index = itc_operand_const(n, 1);
    int axis = 0;
    if (!x || !x->data || !index || !index->data) {
        return ITC_OK;
    }
    ITC_TRY(elements_axis(g, n, &axis));
    return pick_elements(g, n, x, index, axis, &out[0]);
}

/** t with the elements of an axis of extent 1 repeated. */
static itc_tensor *widen_axis(itc_graph *g, const itc_tensor *t, int axis, int64_t extent)
{
    int64_t dim[ITC_MAX_RANK], inner = 1;
    if (t->dim[axis] == extent) {
        return itc_tensor_reshape(g->ctx, t, t->rank, itc_tensor_type(t).dim);
    }
    memcpy(dim, t->dim, sizeof dim);
    dim[axis] = extent;
    for (int i = axis + 1; i < t->rank; i++) {
        inner *= dim[i];
    }
    itc_tensor *y = itc_tensor_new(g->ctx, t->dtype, t->rank, dim);
    for (int64_t i = 0; i < y->count; i++) {
        itc_tensor_copy_element(g->ctx, y, i, t, i / (inner * extent) * inner + i % inner);
    }
    return y;
}

/** What repeats is picked once. */
static itc_status elements_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    itc_value *x = itc_repeat_source(g, n->in[0]), *index = itc_repeat_source(g, n->in[1]);
    itc_type y = n->in[1]->type;
    int axis = 0;
    ITC_TRY(elements_axis(g, n, &axis));
    y.dtype = n->in[0]->type.dtype;
    if (x && x->data->count == 1) {
        return itc_repeat_build(g, n, x, &y, &out[0]);
    }
    const itc_dim across = n->in[0]->type.dim[axis], along = y.dim[axis];
    if (!x || !index || across.batch || along.batch || across.size > MAX_EXTENT ||
        along.size > MAX_EXTENT) {
        return pick(g, n, &(itc_places){.axis = axis}, out);
    }
    itc_tensor *t = NULL;
    ITC_TRY(pick_elements(g, n, widen_axis(g, x->data, axis, across.size),
                          widen_axis(g, index->data, axis, along.size), axis, &t));
    itc_value *c = itc_const_new(g, n->out[0]->name, t);
    c->reason = "computed from constants";
    return itc_repeat_build(g, n, c, &y, &out[0]);
}

static itc_status not_ours(itc_graph *g, itc_node *n)
{
    return itc_error(g->ctx, n, ITC_INTERNAL, "E0248", "%s was not normalised", n->op->name);
}

static const itc_attr_spec elements_attrs[] = {{.name = "axis", .kind = ITC_ATTR_INT}, {0}};

/**
 * y[i, j] = x[i, index[i, j]] on an axis.
 * Shapes  x and index of one rank, y as index
 * Source  ONNX GatherElements-11, -13
 */
const itc_op_def itc_op_GatherElements = {
    .name = "GatherElements",
    .domain = "",
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 11,
    .versions = (const uint8_t[]){11, 13, 0},
    .roles = (const itc_role_in[]){ITC_IN_PASS, ITC_IN_INDEX},
    .attrs = elements_attrs,
    .kinds = ITC_KIND_ANY,
    .summary = "elements chosen each by an index",
    .normalize = elements_normalize,
    .fold = elements_fold,
    .infer = not_ours,
};

/* ---- GatherND ---- */

/** The result's type: the indices' axes but the last, then the axes of x that these leave. */
static itc_status nd_type(itc_graph *g, const itc_node *n, itc_type *y)
{
    const itc_type *x = &n->in[0]->type, *index = &n->in[1]->type;
    const int64_t batch = itc_int(n, "batch_dims");
    ITC_TRY(check_indices(g, n));
    ITC_TRY(itc_operand_rank(g, n, 0, 1, ITC_MAX_RANK));
    ITC_TRY(itc_operand_rank(g, n, 1, 1, ITC_MAX_RANK));
    const itc_dim last = index->dim[index->rank - 1];
    bool fits = batch >= 0 && batch < index->rank && !last.batch && last.size >= 1 &&
                batch + last.size <= x->rank &&
                index->rank - 1 + x->rank - batch - last.size <= ITC_MAX_RANK;
    for (int i = 0; fits && i < batch; i++) {
        fits = itc_dim_equal(x->dim[i], index->dim[i]);
    }
    itc_dim count;
    *y = itc_type_make(x->dtype, fits ? index->rank - 1 : 0, index->dim);
    for (int i = (int)(batch + last.size); fits && i < x->rank; i++) {
        y->dim[y->rank++] = x->dim[i];
    }
    if (!fits || !itc_type_count(y, &count)) {
        return itc_error(g->ctx, n, ITC_SHAPE, "E0220", "indices %s do not fit %s",
                         itc_type_text(g->ctx, index), itc_type_text(g->ctx, x));
    }
    return ITC_OK;
}

/** Parts of constants. */
static itc_status pick_tuples(itc_graph *g, const itc_node *n, const itc_tensor *x,
                              const itc_tensor *index, int batch, itc_tensor **out)
{
    const int64_t depth = index->dim[index->rank - 1], tuples = index->count / depth;
    int64_t dim[ITC_MAX_RANK], per_batch = 1, inner = 1;
    int rank = 0;
    for (int i = 0; i < index->rank - 1; i++) {
        dim[rank++] = index->dim[i];
        per_batch *= i < batch ? 1 : index->dim[i];
    }
    for (int i = batch + (int)depth; i < x->rank; i++) {
        dim[rank++] = x->dim[i];
        inner *= x->dim[i];
    }
    itc_tensor *t = NULL;
    ITC_TRY(itc_fold_tensor(g, n, x->dtype, rank, dim, &t));
    for (int64_t k = 0; k < tuples && t->count > 0; k++) {
        int64_t from = k / per_batch;
        for (int64_t j = 0; j < depth; j++) {
            int64_t at = 0;
            ITC_TRY(resolve(g, n, index, k * depth + j, x->dim[batch + j], &at));
            from = from * x->dim[batch + j] + at;
        }
        for (int64_t j = 0; j < inner; j++) {
            itc_tensor_copy_element(g->ctx, t, k * inner + j, x, from * inner + j);
        }
    }
    *out = t;
    return ITC_OK;
}

static itc_status nd_fold(itc_graph *g, itc_node *n, itc_tensor **out)
{
    const itc_tensor *x = itc_operand_const(n, 0), *index = itc_operand_const(n, 1);
    itc_type y;
    if (!x || !x->data || !index || !index->data) {
        return ITC_OK;
    }
    ITC_TRY(nd_type(g, n, &y));
    return pick_tuples(g, n, x, index, (int)itc_int(n, "batch_dims"), &out[0]);
}

/** Whether v says of each row where it stands itself. */
static bool is_own_row(itc_graph *g, const itc_value *v)
{
    itc_row_index r;
    bool own = itc_row_index_find(g, v, &r) && r.step == 1;
    for (int64_t i = 0; own && i < r.table->count; i++) {
        own = itc_tensor_get_int(r.table, i) == 0;
    }
    return own;
}

/**
 * The tuples without their first indices, where these say that each row takes of itself alone:
 * x[arange(N)[:, None], i], as masks of attention are made. NULL: they say something else.
 */
static itc_status within_rows(itc_graph *g, const itc_node *n, itc_value **rest)
{
    const itc_value *index = n->in[1];
    const itc_node *join = index->kind == ITC_VALUE_NODE ? index->def : NULL;
    const int last = index->type.rank - 1;
    *rest = NULL;
    if (itc_int(n, "batch_dims") != 0 || !n->in[0]->type.dim[0].batch || !join ||
        join->op != &itc_op_Concat || itc_int(join, "axis") != last || join->n_in < 2 || last < 1 ||
        !itc_dim_equal(n->in[0]->type.dim[0], index->type.dim[0]) ||
        !itc_dim_equal(join->in[0]->type.dim[last], itc_dim_of(1)) || !is_own_row(g, join->in[0])) {
        return ITC_OK;
    }
    return itc_concat_build(g, n, last, join->n_in - 1, join->in + 1, rest);
}

/** The constant that v is for all rows alike, for one of them; NULL: it is none, or one of more
 * than MAX_EXTENT elements. */
static itc_tensor *same_in_all_rows(itc_graph *g, itc_value *v)
{
    const itc_value *c = itc_repeat_source(g, v);
    int64_t count = 1;
    if (!c || c->type.rank != v->type.rank || !v->type.dim[0].batch ||
        !itc_dim_equal(c->type.dim[0], itc_dim_of(1))) {
        return NULL;
    }
    for (int i = 1; i < v->type.rank; i++) {
        const itc_dim d = v->type.dim[i];
        if (d.batch || !itc_size_mul(count, d.size, &count) || count > MAX_EXTENT) {
            return NULL;
        }
    }
    itc_tensor *t = itc_tensor_reshape(g->ctx, c->data, c->type.rank, c->type.dim);
    for (int i = 1; i < v->type.rank; i++) {
        t = widen_axis(g, t, i, v->type.dim[i].size);
    }
    return t;
}

/** Of each row the parts at the tuples of `index`: a gather of the axes that these index. */
static itc_status gather_in_rows(itc_graph *g, const itc_node *n, const itc_tensor *index,
                                 const itc_type *y, itc_value **out)
{
    const itc_type *x = &n->in[0]->type;
    const int depth = (int)index->dim[index->rank - 1];
    const int64_t count = index->count / depth;
    itc_type parts = itc_type_make(x->dtype, 2, (const itc_dim[]){x->dim[0], itc_dim_of(1)});
    int64_t *at = ITC_NEW_ARRAY(g->ctx, int64_t, count + 1);
    itc_value *v = NULL;
    for (int i = 1; i < x->rank; i++) {
        if (i > depth) {
            parts.dim[parts.rank++] = x->dim[i];
        } else if (!itc_size_mul(parts.dim[1].size, x->dim[i].size, &parts.dim[1].size)) {
            return ITC_INTERNAL;
        }
    }
    for (int64_t k = 0; k < count * depth; k++) {
        const int64_t extent = x->dim[1 + k % depth].size;
        int64_t i = 0;
        ITC_TRY(resolve(g, n, index, k, extent, &i));
        at[k / depth] = at[k / depth] * extent + i;
    }
    ITC_TRY(itc_view_build(g, n, n->in[0], &parts, &v));
    ITC_TRY(itc_gather_build(g, n, v, 1, count, at, &v));
    return itc_view_build(g, n, v, y, out);
}

/** Each row's parts of itself, at tuples of indices of its other axes. */
static itc_status pick_in_rows(itc_graph *g, const itc_node *n, itc_value *rest, const itc_type *y,
                               itc_value **out)
{
    const itc_places places = {.tuples = true, .batch_dims = 1};
    const itc_tensor *index = same_in_all_rows(g, rest);
    const itc_tensor *x = index ? same_in_all_rows(g, n->in[0]) : NULL;
    if (x) {
        itc_tensor *t = NULL;
        ITC_TRY(pick_tuples(g, n, x, index, 1, &t));
        itc_value *c = itc_const_new(g, n->out[0]->name, t);
        c->reason = "computed from constants";
        return itc_repeat_build(g, n, c, y, out);
    }
    ITC_TRY(itc_places_check(g, n, &n->in[0]->type, &rest->type, &places, NULL));
    return index ? gather_in_rows(g, n, index, y, out)
                 : itc_pick_build(g, n, n->in[0], rest, &places, out);
}

static itc_status nd_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    itc_value *x = itc_repeat_source(g, n->in[0]);
    itc_type y;
    ITC_TRY(nd_type(g, n, &y));
    if (x && x->data->count == 1) {
        return itc_repeat_build(g, n, x, &y, &out[0]);
    }
    itc_value *rest = NULL;
    ITC_TRY(within_rows(g, n, &rest));
    if (rest) {
        return pick_in_rows(g, n, rest, &y, &out[0]);
    }
    const int batch = (int)itc_int(n, "batch_dims");
    return pick(g, n, &(itc_places){.tuples = true, .batch_dims = batch}, out);
}

static const itc_attr_spec nd_attrs[] = {{.name = "batch_dims", .kind = ITC_ATTR_INT}, {0}};

/**
 * Parts of x, each at a tuple of indices.
 * Shapes  index [batch, …, depth], x [batch, depth axes, rest], y [batch, …, rest]
 * Source  ONNX GatherND-11, -12, -13
 */
const itc_op_def itc_op_GatherND = {
    .name = "GatherND",
    .domain = "",
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 11,
    .versions = (const uint8_t[]){11, 12, 13, 0},
    .roles = (const itc_role_in[]){ITC_IN_PASS, ITC_IN_INDEX},
    .attrs = nd_attrs,
    .kinds = ITC_KIND_ANY,
    .summary = "parts chosen by tuples of indices",
    .normalize = nd_normalize,
    .fold = nd_fold,
    .infer = not_ours,
};
