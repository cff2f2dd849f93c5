/*
 * Reductions.
 */
#include "codegen/emit.h"
#include "ir/ops/util.h"
#include "passes/lower.h"
#include "passes/plan.h"

/** The axes that are summed, and how many elements one sum adds up. */
static itc_status reduced(itc_graph *g, const itc_node *n, uint32_t *mask, itc_dim *terms)
{
    const itc_type *x = &n->in[0]->type;
    const itc_tensor *axes = NULL;
    itc_dim dim[ITC_MAX_RANK];
    int count = 0;
    ITC_TRY(itc_operand_list(g, n, "axes", 1, &axes));
    *mask = 0;
    if (axes) {
        ITC_TRY(itc_axes_mask(g, n, axes, x->rank, mask));
    }
    for (int i = 0; i < x->rank; i++) {
        if ((*mask >> i & 1) != 0) {
            dim[count++] = x->dim[i];
        }
    }
    if (!itc_dims_product(count, dim, terms)) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0226", "%s is too large",
                         itc_type_text(g->ctx, x));
    }
    return ITC_OK;
}

static itc_status sum_to_infer(itc_graph *g, itc_node *n)
{
    const itc_type *x = &n->in[0]->type;
    uint32_t mask = 0;
    itc_dim terms, dim[ITC_MAX_RANK];
    itc_type sum;
    int rank = 0;
    ITC_TRY(reduced(g, n, &mask, &terms));
    ITC_TRY(itc_sum_type(g, n, terms, n->in[0], NULL, &sum));
    for (int i = 0; i < x->rank; i++) {
        if ((mask >> i & 1) == 0) {
            dim[rank++] = x->dim[i];
        } else if (itc_int(n, "keepdims") != 0) {
            dim[rank++] = (itc_dim){1, false};
        }
    }
    n->out[0]->type = itc_type_make(sum.dtype, rank, dim);
    n->out[0]->type.bits = sum.bits;
    return ITC_OK;
}

static itc_status sum_to_plan(itc_plan *p, itc_node *n)
{
    uint32_t mask = 0;
    itc_dim terms;
    if (n->out[0]->type.bits == 0) {
        return ITC_OK; /* floats */
    }
    ITC_TRY(reduced(itc_plan_graph(p), n, &mask, &terms));
    itc_plan_same(p, n->out[0], n->in[0]);
    return itc_plan_bound(p, n, terms, n->in[0]->type.bits, 1);
}

static itc_status sum_to_emit(itc_emit *e, const itc_node *n)
{
    const itc_type *x = &n->in[0]->type;
    uint32_t mask = 0;
    itc_dim terms;
    ITC_TRY(reduced(itc_emit_graph(e), n, &mask, &terms));
    itc_value *types[2] = {n->in[0], n->out[0]};
    ITC_TRY(itc_emit_call(e, n, "reduce_sum", 2, types));
    itc_arg_ptr(e, "x", n->in[0]);
    itc_arg_ptr(e, "y", n->out[0]);
    itc_arg_shape(e, "shape", x->rank, x->dim);
    itc_arg_int(e, "rank", x->rank);
    itc_arg_int(e, "reduce_mask", mask);
    return ITC_OK;
}

static const itc_attr_spec sum_to_attrs[] = {
    {.name = "axes", .kind = ITC_ATTR_INTS, .required = true},
    {.name = "keepdims", .kind = ITC_ATTR_INT},
    {.name = NULL},
};

/**
 * Sum over axes: the gradient of broadcasting.
 * Shapes  x any, y without the axes, or with extent 1 there (keepdims)
 * Units   e_y = e_x
 * Range   K = elements a sum, which may count rows: i32 where K * limit_x fits, else i64
 * Source  our derivation
 */
const itc_op_def itc_op_ReduceSumTo = {
    .name = "ReduceSumTo",
    .domain = "",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = ITC_OP_INTERNAL,
    .attrs = sum_to_attrs,
    .summary = "sum over axes: the gradient of broadcasting",
    .infer = sum_to_infer,
    .demand = ITC_DEMAND_OPERAND,
    .lower = itc_lower_linear,
    .plan = sum_to_plan,
    .emit = sum_to_emit,
};
