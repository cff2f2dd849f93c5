/*
 * Reductions.
 */
#include "codegen/emit.h"
#include "ir/ops/take.h"
#include "ir/ops/util.h"
#include "passes/grad.h"
#include "passes/lower.h"
#include "passes/plan.h"

/** The axes that are summed, and how many elements one sum adds up. */
static itc_status reduced(itc_graph *g, const itc_node *n, const itc_type *x, uint32_t *mask,
                          itc_dim *terms)
{
    const itc_tensor *axes = NULL;
    itc_dim dim[ITC_MAX_RANK];
    int count = 0;
    ITC_TRY(itc_operand_list(g, n, "axes", n->n_in, &axes));
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

/** Output 0: x without the axes, or with extent 1 there; dtype and bits of `sum`. */
static void set_sum(itc_node *n, const itc_type *x, uint32_t mask, const itc_type *sum)
{
    itc_dim dim[ITC_MAX_RANK];
    int rank = 0;
    for (int i = 0; i < x->rank; i++) {
        if ((mask >> i & 1) == 0) {
            dim[rank++] = x->dim[i];
        } else if (itc_int(n, "keepdims") != 0) {
            dim[rank++] = (itc_dim){1, false};
        }
    }
    n->out[0]->type = itc_type_make(sum->dtype, rank, dim);
    n->out[0]->type.bits = sum->bits;
}

static itc_status sum_to_infer(itc_graph *g, itc_node *n)
{
    const itc_type *x = &n->in[0]->type;
    uint32_t mask = 0;
    itc_dim terms;
    itc_type sum;
    ITC_TRY(reduced(g, n, &n->in[0]->type, &mask, &terms));
    ITC_TRY(itc_sum_type(g, n, terms, n->in[0], NULL, &sum));
    set_sum(n, x, mask, &sum);
    return ITC_OK;
}

static itc_status sum_to_plan(itc_plan *p, itc_node *n)
{
    uint32_t mask = 0;
    itc_dim terms;
    if (n->out[0]->type.bits == 0) {
        return ITC_OK; /* floats */
    }
    ITC_TRY(reduced(itc_plan_graph(p), n, &n->in[0]->type, &mask, &terms));
    itc_plan_same(p, n->out[0], n->in[0]);
    return itc_plan_bound(p, n, terms, n->in[0]->type.bits, 1);
}

/** dy repeated along the axes. */
static itc_status sum_to_grad(itc_grad *b, const itc_node *n)
{
    itc_graph *g = itc_grad_graph(b);
    const itc_type *x = &n->in[0]->type;
    itc_value *dx = itc_grad_of(b, n, 0);
    itc_type once = *x;
    itc_box all = itc_box_whole(x);
    uint32_t mask = 0;
    itc_dim terms;
    ITC_TRY(reduced(g, n, x, &mask, &terms));
    for (int i = 0; i < x->rank; i++) {
        if ((mask >> i & 1) != 0) {
            once.dim[i] = itc_dim_of(1);
            all.step[i] = itc_dim_equal(x->dim[i], once.dim[i]);
        }
    }
    ITC_TRY(itc_view_build(g, n, dx, &once, &dx));
    ITC_TRY(itc_take_build(g, n, dx, &all, &dx));
    return itc_grad_add(b, n, 0, dx);
}

static itc_status sum_to_emit(itc_emit *e, const itc_node *n)
{
    const itc_type *x = &n->in[0]->type;
    uint32_t mask = 0;
    itc_dim terms;
    ITC_TRY(reduced(itc_emit_graph(e), n, x, &mask, &terms));
    itc_value *types[2] = {n->in[0], n->out[0]};
    ITC_TRY(itc_emit_call(e, n, "reduce_sum", 2, types));
    itc_arg_ptr(e, "x", n->in[0]);
    itc_arg_ptr(e, "y", n->out[0]);
    itc_arg_shape(e, "shape", x->rank, x->dim);
    itc_arg_int(e, "rank", x->rank);
    itc_arg_int(e, "reduce_mask", mask);
    itc_arg_ptr(e, "extremes", n->n_out > 1 ? n->out[1] : NULL);
    return ITC_OK;
}

static itc_value *sum_to_extremes(itc_graph *g, const itc_node *n, uint32_t *axes)
{
    itc_dim terms;
    const bool mantissas = n->in[0]->type.bits > 0;
    return mantissas && reduced(g, n, &n->in[0]->type, axes, &terms) == ITC_OK ? n->in[0] : NULL;
}

/** A product that nobody else needs is summed exactly: ReduceDot. */
static itc_status sum_to_lower(itc_lower *l, const itc_node *n)
{
    itc_sum_term t;
    itc_node *m = NULL;
    if (!itc_lower_take_product(l, n, n->in[0], &t)) {
        return itc_lower_linear(l, n);
    }
    itc_value *in[2] = {t.x, t.f};
    for (int i = 0; i < 2; i++) {
        if (in[i]->type.dtype != ITC_I8 && in[i]->type.dtype != ITC_I16) {
            return itc_lower_linear(l, n);
        }
    }
    if (in[0]->type.bits > in[1]->type.bits) { /* kernels take the narrower one first */
        in[0] = t.f;
        in[1] = t.x;
    }
    ITC_TRY(itc_lower_build(l, n, &itc_op_ReduceDot, 2, in, 1, &m));
    itc_lower_set_scaled(l, n->out[0], m->out[0], t.c);
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
    .out_max = 2,
    .flags = ITC_OP_INTERNAL | ITC_OP_SUM,
    .attrs = sum_to_attrs,
    .summary = "sum over axes: the gradient of broadcasting; extremes of what is summed",
    .infer = sum_to_infer,
    .extremes_of = sum_to_extremes,
    .grad = sum_to_grad,
    .demand = ITC_DEMAND_OPERAND,
    .lower = sum_to_lower,
    .plan = sum_to_plan,
    .emit = sum_to_emit,
};

/* ---- ReduceDot: on integers ---- */

/** The common shape of both operands, the axes that are summed, and the type of a sum. */
static itc_status dot_of(itc_graph *g, itc_node *n, itc_type *all, uint32_t *mask, itc_dim *terms,
                         itc_type *sum)
{
    const itc_type *a = &n->in[0]->type, *b = &n->in[1]->type;
    ITC_TRY(itc_operand_real(g, n, 0));
    ITC_TRY(itc_operand_real(g, n, 1));
    ITC_TRY(itc_infer_broadcast(g, n));
    *all = n->out[0]->type;
    ITC_TRY(reduced(g, n, all, mask, terms));
    ITC_TRY(itc_accumulator_type(g, n, *terms, a->bits, b->bits, sum));
    if (a->dtype != ITC_I8 || b->dtype != ITC_I8) {
        sum->dtype = ITC_I64; /* what the kernels for 16 bits accumulate in */
    }
    return ITC_OK;
}

static itc_status dot_infer(itc_graph *g, itc_node *n)
{
    itc_type all, sum;
    uint32_t mask = 0;
    itc_dim terms;
    ITC_TRY(dot_of(g, n, &all, &mask, &terms, &sum));
    set_sum(n, &all, mask, &sum);
    return ITC_OK;
}

static itc_status dot_plan(itc_plan *p, itc_node *n)
{
    const itc_type out = n->out[0]->type;
    itc_type all, sum;
    uint32_t mask = 0;
    itc_dim terms;
    ITC_TRY(dot_of(itc_plan_graph(p), n, &all, &mask, &terms, &sum));
    n->out[0]->type = out;
    ITC_TRY(itc_plan_sum(p, n, n->out[0], 2, n->in, 0));
    return itc_plan_bound(p, n, terms, n->in[0]->type.bits, n->in[1]->type.bits);
}

static itc_status dot_emit(itc_emit *e, const itc_node *n)
{
    itc_node copy = *n;
    itc_value out = *n->out[0], *outs[1] = {&out};
    itc_type all, sum;
    uint32_t mask = 0;
    itc_dim terms, a[ITC_MAX_RANK], b[ITC_MAX_RANK];
    copy.out = outs; /* its type is worked out again: the common shape */
    ITC_TRY(dot_of(itc_emit_graph(e), &copy, &all, &mask, &terms, &sum));
    itc_broadcast_strides(&n->in[0]->type, &all, a);
    itc_broadcast_strides(&n->in[1]->type, &all, b);
    ITC_TRY(itc_emit_call(e, n, "reduce_dot", 3, (itc_value *[]){n->in[0], n->in[1], n->out[0]}));
    itc_arg_ptr(e, "a", n->in[0]);
    itc_arg_ptr(e, "b", n->in[1]);
    itc_arg_ptr(e, "y", n->out[0]);
    itc_arg_shape(e, "shape", all.rank, all.dim);
    itc_arg_shape(e, "stride_a", all.rank, a);
    itc_arg_shape(e, "stride_b", all.rank, b);
    itc_arg_int(e, "rank", all.rank);
    itc_arg_int(e, "reduce_mask", mask);
    return ITC_OK;
}

/**
 * Sum of products over axes: the gradient of a factor that was broadcast.
 * Shapes  a, b broadcast to one shape; y without the axes, or with extent 1 there (keepdims)
 * Units   e_y = e_a + e_b
 * Range   K = elements a sum, which may count rows: i32 for i8 operands where it fits, else i64
 * Source  our derivation
 */
const itc_op_def itc_op_ReduceDot = {
    .name = "ReduceDot",
    .domain = "intrain",
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = ITC_OP_INTERNAL,
    .attrs = sum_to_attrs,
    .summary = "sum of products over axes, exact",
    .infer = dot_infer,
    .plan = dot_plan,
    .emit = dot_emit,
};
