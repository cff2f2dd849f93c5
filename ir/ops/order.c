/*
 * The places of the largest and smallest elements of an axis: TopK, ArgMax, ArgMin.
 *
 * Places are plain integers, found by one row of ours, TopIndices; the values of a TopK are a Pick
 * at these places, so its gradient goes where they came from. In integer trainers elements compare
 * at the wide width: the order of what differs by less than half of its unit is that of the axis.
 * Sources: ONNX TopK-1, -10, -11, ArgMax-1 to -13, ArgMin-1 to -13.
 */
#include <string.h>

#include "codegen/emit.h"
#include "ir/ops/pick.h"
#include "ir/ops/util.h"
#include "passes/grad.h"
#include "passes/lower.h"
#include "passes/plan.h"

static itc_status not_ours(itc_graph *g, itc_node *n)
{
    return itc_error(g->ctx, n, ITC_INTERNAL, "E0248", "%s was not normalised", n->op->name);
}

/* ---- TopIndices ---- */

static itc_status indices_build(itc_graph *g, const itc_node *n, itc_value *x, int axis,
                                int64_t count, bool least, bool last, itc_value **out)
{
    itc_node *m = itc_node_new(g, &itc_op_TopIndices, n, 1, &x, 1);
    itc_set_int(g, m, "axis", axis);
    itc_set_int(g, m, "count", count);
    itc_set_int(g, m, "least", least);
    itc_set_int(g, m, "last", last);
    ITC_TRY(itc_infer(g, m));
    *out = m->out[0];
    return ITC_OK;
}

static itc_status indices_infer(itc_graph *g, itc_node *n)
{
    const itc_type *x = &n->in[0]->type;
    const int64_t axis = itc_int(n, "axis"), count = itc_int(n, "count");
    if (axis < 0 || axis >= x->rank) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0222", "axis %lld of %s", (long long)axis,
                         itc_type_text(g->ctx, x));
    }
    if (x->dim[axis].batch) {
        return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0224", "rows N ordered along axis %lld",
                         (long long)axis);
    }
    if (count < 1 || count > x->dim[axis].size || x->exp_axis >= 0) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0221", "%lld elements of axis %lld of %s",
                         (long long)count, (long long)axis, itc_type_text(g->ctx, x));
    }
    n->out[0]->type = itc_type_make(ITC_I64, x->rank, x->dim);
    n->out[0]->type.dim[axis] = itc_dim_of(count);
    return ITC_OK;
}

/** Plain integers have no gradient. */
static itc_status indices_grad(itc_grad *b, const itc_node *n)
{
    (void)b;
    (void)n;
    return ITC_OK;
}

static itc_status indices_emit(itc_emit *e, const itc_node *n)
{
    const itc_type *x = &n->in[0]->type;
    const int axis = (int)itc_int(n, "axis");
    itc_dim outer, inner;
    if (!itc_dims_product(axis, x->dim, &outer) ||
        !itc_dims_product(x->rank - axis - 1, x->dim + axis + 1, &inner)) {
        return ITC_INTERNAL;
    }
    ITC_TRY(itc_emit_call(e, n, "top_indices", 1, n->in));
    itc_arg_ptr(e, "x", n->in[0]);
    itc_arg_ptr(e, "y", n->out[0]);
    itc_arg_dim(e, "outer", outer);
    itc_arg_dim(e, "axis", x->dim[axis]);
    itc_arg_dim(e, "count", n->out[0]->type.dim[axis]);
    itc_arg_dim(e, "inner", inner);
    itc_arg_int(e, "least", itc_int(n, "least"));
    itc_arg_int(e, "last", itc_int(n, "last"));
    return ITC_OK;
}

static const itc_attr_spec indices_attrs[] = {{.name = "axis", .kind = ITC_ATTR_INT},
                                              {.name = "count", .kind = ITC_ATTR_INT, .i = 1},
                                              {.name = "least", .kind = ITC_ATTR_INT},
                                              {.name = "last", .kind = ITC_ATTR_INT},
                                              {0}};

/**
 * Where the `count` largest elements of an axis are, the largest first; the smallest with least=1.
 * Of equals the first comes first, with last=1 the last.
 * Shapes  x any; result i64 with `count` elements on the axis
 * Source  ONNX TopK-11, ArgMax-13
 */
const itc_op_def itc_op_TopIndices = {
    .name = "TopIndices",
    .domain = "intrain",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = ITC_OP_INTERNAL,
    .attrs = indices_attrs,
    .summary = "where the largest or smallest elements of an axis are",
    .infer = indices_infer,
    .grad = indices_grad,
    .demand = ITC_DEMAND_WIDE,
    .lower = itc_lower_wide,
    .emit = indices_emit,
};

/* ---- TopK ---- */

static itc_status topk_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    const itc_tensor *k = itc_operand_const(n, 1);
    const bool given = n->n_in > 1 && n->in[1];
    int axis = 0;
    ITC_TRY(itc_operand_rank(g, n, 0, 1, ITC_MAX_RANK));
    ITC_TRY(itc_axis_resolve(g, n, itc_int(n, "axis"), n->in[0]->type.rank, &axis));
    if (given && (!k || !k->data || k->count != 1)) {
        return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0225", "K must be known when compiling");
    }
    const int64_t count = given ? itc_tensor_get_int(k, 0) : itc_int(n, "k");
    ITC_TRY(indices_build(g, n, n->in[0], axis, count, itc_int(n, "largest") == 0, false, &out[1]));
    return itc_pick_build(g, n, n->in[0], out[1], &(itc_places){.axis = axis}, &out[0]);
}

static const itc_attr_spec topk_attrs[] = {{.name = "axis", .kind = ITC_ATTR_INT, .i = -1},
                                           {.name = "k", .kind = ITC_ATTR_INT, .i = 1},
                                           {.name = "largest", .kind = ITC_ATTR_INT, .i = 1},
                                           {.name = "sorted", .kind = ITC_ATTR_INT, .i = 1},
                                           {0}};

/**
 * The K largest (smallest) elements of an axis, in order, and where they were.
 * Shapes  x any, results with K elements on the axis
 * Units   e_y = e_x; mantissas are moved
 * Source  ONNX TopK-1, -10, -11, -24; of equals the first comes first; sorted=0 is sorted as well
 */
const itc_op_def itc_op_TopK = {
    .name = "TopK",
    .domain = "",
    .in_min = 1,
    .in_max = 2,
    .out_min = 2,
    .out_max = 2,
    .opset_min = 7,
    .versions = (const uint8_t[]){1, 10, 11, 24, 0},
    .roles = (const itc_role_in[]){ITC_IN_DATA, ITC_IN_CONST},
    .attrs = topk_attrs,
    .kinds = ITC_KIND_NUMBER,
    .summary = "the largest or smallest elements of an axis, and where they were",
    .normalize = topk_normalize,
    .infer = not_ours,
};

/* ---- ArgMax, ArgMin ---- */

static itc_status arg_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    int axis = 0;
    itc_value *at = NULL;
    ITC_TRY(itc_operand_rank(g, n, 0, 1, ITC_MAX_RANK));
    ITC_TRY(itc_axis_resolve(g, n, itc_int(n, "axis"), n->in[0]->type.rank, &axis));
    ITC_TRY(indices_build(g, n, n->in[0], axis, 1, n->op == &itc_op_ArgMin,
                          itc_int(n, "select_last_index") != 0, &at));
    itc_type t = at->type;
    if (itc_int(n, "keepdims") == 0) {
        t.rank = 0;
        for (int i = 0; i < at->type.rank; i++) {
            if (i != axis) {
                t.dim[t.rank++] = at->type.dim[i];
            }
        }
    }
    return itc_view_build(g, n, at, &t, &out[0]);
}

static const itc_attr_spec arg_attrs[] = {{.name = "axis", .kind = ITC_ATTR_INT},
                                          {.name = "keepdims", .kind = ITC_ATTR_INT, .i = 1},
                                          {.name = "select_last_index", .kind = ITC_ATTR_INT},
                                          {0}};

static const uint8_t arg_versions[] = {1, 11, 12, 13, 0};

/** Source  ONNX ArgMax-1, -11, -12, -13; the first of equals unless select_last_index. */
#define ARG(op_name, text)                                                                         \
    const itc_op_def itc_op_##op_name = {                                                          \
        .name = #op_name,                                                                          \
        .domain = "",                                                                              \
        .in_min = 1,                                                                               \
        .in_max = 1,                                                                               \
        .out_min = 1,                                                                              \
        .out_max = 1,                                                                              \
        .opset_min = 1,                                                                            \
        .versions = arg_versions,                                                                  \
        .attrs = arg_attrs,                                                                        \
        .kinds = ITC_KIND_NUMBER,                                                                  \
        .summary = text,                                                                           \
        .normalize = arg_normalize,                                                                \
        .infer = not_ours,                                                                         \
    };

ARG(ArgMax, "where the largest element of an axis is")
ARG(ArgMin, "where the smallest element of an axis is")
