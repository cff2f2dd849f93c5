/*
 * Softmax and its logarithm along an axis, and their gradients. In our form `axis` is given and
 * not negative.
 */
#include "codegen/emit.h"
#include "ir/ops/util.h"
#include "passes/grad.h"
#include "passes/lower.h"
#include "passes/plan.h"

/* Constant exponents of the integer results; runtime/NUMERICS.md, "Softmax". */
#define SOFTMAX_EXPONENT (-30)
#define LOG_SOFTMAX_EXPONENT (-20)
/* Magnitude bits of probabilities as a factor of products. */
#define PROBABILITY_BITS 15

/** [outer, axis, inner] of the operand. */
static itc_status split_axis(itc_graph *g, const itc_node *n, itc_dim part[3])
{
    const itc_type *t = &n->in[0]->type;
    int axis = 0;
    ITC_TRY(itc_axis_resolve(g, n, itc_int(n, "axis"), t->rank, &axis));
    part[1] = t->dim[axis];
    if (part[1].batch || part[1].size < 1) {
        return itc_error(g->ctx, n, ITC_SHAPE, "E0224", "axis %d of %s cannot be normalised over",
                         axis, itc_type_text(g->ctx, t));
    }
    if (!itc_dims_product(axis, t->dim, &part[0]) ||
        !itc_dims_product(t->rank - axis - 1, t->dim + axis + 1, &part[2])) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0226", "%s is too large",
                         itc_type_text(g->ctx, t));
    }
    return ITC_OK;
}

/**
 * Before opset 13 softmax went over all axes from `axis` on (1 by default): a View makes them one.
 * Where `axis` is the last, both definitions agree.
 */
static itc_status softmax_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    const itc_type *t = &n->in[0]->type;
    const int version = n->onnx_version > 0 ? n->onnx_version : g->opset;
    const bool old = version > 0 && version < 13;
    const int64_t given = itc_attr_find(n, "axis") || !old ? itc_int(n, "axis") : 1;
    int axis = 0;
    ITC_TRY(itc_operand_rank(g, n, 0, 1, ITC_MAX_RANK));
    if (old && given == t->rank) { /* each element on its own, which nobody means */
        return itc_error(g->ctx, n, ITC_RANGE, "E0222", "axis %d of a tensor of rank %d", t->rank,
                         t->rank);
    }
    ITC_TRY(itc_axis_resolve(g, n, given, t->rank, &axis));
    ITC_TRY(itc_exclude_masked(g, n, &n->in[0]));
    t = &n->in[0]->type;
    if (!old || axis == t->rank - 1) {
        itc_set_int(g, n, "axis", axis);
        return ITC_OK;
    }
    itc_dim part[2];
    if (!itc_dims_product(axis, t->dim, &part[0]) ||
        !itc_dims_product(t->rank - axis, t->dim + axis, &part[1])) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0226", "%s is too large",
                         itc_type_text(g->ctx, t));
    }
    const itc_type flat = itc_type_make(t->dtype, 2, part);
    itc_value *x = NULL;
    ITC_TRY(itc_view_build(g, n, n->in[0], &flat, &x));
    itc_node *soft = itc_node_new(g, n->op, n, 1, &x, 1);
    itc_set_int(g, soft, "axis", 1);
    ITC_TRY(itc_infer(g, soft));
    return itc_view_build(g, n, soft->out[0], t, &out[0]);
}

static itc_status infer_like(itc_graph *g, itc_node *n, itc_dtype integer, int bits)
{
    itc_dim part[3];
    ITC_TRY(itc_operand_rank(g, n, 0, 1, ITC_MAX_RANK));
    ITC_TRY(itc_operand_real(g, n, 0));
    ITC_TRY(split_axis(g, n, part));
    const itc_type *x = &n->in[0]->type;
    const bool real = x->dtype == ITC_F32;
    n->out[0]->type = itc_type_make(real ? ITC_F32 : integer, x->rank, x->dim);
    n->out[0]->type.bits = (uint8_t)(real ? 0 : bits);
    return ITC_OK;
}

static itc_status softmax_infer(itc_graph *g, itc_node *n)
{
    return infer_like(g, n, ITC_I32, -SOFTMAX_EXPONENT + 1);
}

static itc_status log_softmax_infer(itc_graph *g, itc_node *n)
{
    return infer_like(g, n, ITC_I64, 62);
}

static itc_status lower_wide(itc_lower *l, const itc_node *n)
{
    itc_value *x = NULL;
    itc_node *m = NULL;
    ITC_TRY(itc_lower_get(l, n, n->in[0], itc_lower_wide_bits(l), &x));
    ITC_TRY(itc_lower_build(l, n, n->op, 1, &x, 1, &m));
    itc_lower_set(l, n->out[0], m->out[0]);
    return ITC_OK;
}

static itc_status plan_constant(itc_plan *p, itc_node *n)
{
    if (n->out[0]->type.bits != 0) {
        itc_plan_constant(p, n->out[0],
                          n->op == &itc_op_Softmax ? SOFTMAX_EXPONENT : LOG_SOFTMAX_EXPONENT);
    }
    return ITC_OK;
}

static itc_status emit_axis(itc_emit *e, const itc_node *n)
{
    itc_dim part[3];
    ITC_TRY(split_axis(itc_emit_graph(e), n, part));
    itc_arg_dim(e, "outer", part[0]);
    itc_arg_dim(e, "axis", part[1]);
    itc_arg_dim(e, "inner", part[2]);
    return ITC_OK;
}

static itc_status softmax_emit(itc_emit *e, const itc_node *n)
{
    itc_value *types[2] = {n->in[0], n->out[0]};
    const char *base = n->op == &itc_op_Softmax ? "softmax" : "log_softmax";
    ITC_TRY(itc_emit_call(e, n, base, 2, types));
    itc_arg_ptr(e, "x", n->in[0]);
    itc_arg_exp(e, "e_x", n->in[0]);
    itc_arg_ptr(e, "y", n->out[0]);
    return emit_axis(e, n);
}

static itc_status build_grad(itc_grad *b, const itc_node *n, const itc_op_def *op, itc_value *p)
{
    itc_graph *g = itc_grad_graph(b);
    itc_value *in[2] = {p, itc_grad_of(b, n, 0)};
    itc_node *dx = itc_node_new(g, op, n, 2, in, 1);
    itc_attr_copy(g, dx, n, "axis");
    ITC_TRY(itc_infer(g, dx));
    return itc_grad_add(b, n, 0, dx->out[0]);
}

static itc_status softmax_grad(itc_grad *b, const itc_node *n)
{
    return build_grad(b, n, &itc_op_SoftmaxGrad, n->out[0]);
}

static itc_status log_softmax_grad(itc_grad *b, const itc_node *n)
{
    itc_graph *g = itc_grad_graph(b);
    itc_node *p = itc_node_new(g, &itc_op_Softmax, n, 1, n->in, 1);
    itc_attr_copy(g, p, n, "axis");
    ITC_TRY(itc_infer(g, p));
    return build_grad(b, n, &itc_op_LogSoftmaxGrad, p->out[0]);
}

static const itc_attr_spec softmax_attrs[] = {
    {.name = "axis", .kind = ITC_ATTR_INT, .i = -1},
    {.name = NULL},
};

/**
 * exp(x) / sum of exp(x) along an axis.
 * Shapes  x, y [..., axis, ...]
 * Units   e_y = -30; x is wanted with 15 magnitude bits
 * Range   0 <= y <= 2^30
 * Source  ONNX Softmax-1, -11 (over all axes from `axis` on) and -13
 */
const itc_op_def itc_op_Softmax = {
    .name = "Softmax",
    .domain = "",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = ITC_OP_SOFTMAX,
    .opset_min = 7,
    .versions = (const uint8_t[]){1, 11, 13, 0},
    .attrs = softmax_attrs,
    .summary = "exponentials that sum to one along an axis",
    .normalize = softmax_normalize,
    .infer = softmax_infer,
    .grad = softmax_grad,
    .demand = ITC_DEMAND_WIDE,
    .lower = lower_wide,
    .plan = plan_constant,
    .emit = softmax_emit,
};

/**
 * Logarithm of softmax.
 * Shapes  x, y [..., axis, ...]
 * Units   e_y = -20; x is wanted with 15 magnitude bits
 * Range   y <= 0
 * Source  ONNX LogSoftmax-1, -11 (over all axes from `axis` on) and -13
 */
const itc_op_def itc_op_LogSoftmax = {
    .name = "LogSoftmax",
    .domain = "",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = ITC_OP_SOFTMAX,
    .opset_min = 7,
    .versions = (const uint8_t[]){1, 11, 13, 0},
    .attrs = softmax_attrs,
    .summary = "logarithm of softmax along an axis",
    .normalize = softmax_normalize,
    .infer = log_softmax_infer,
    .grad = log_softmax_grad,
    .demand = ITC_DEMAND_WIDE,
    .lower = lower_wide,
    .plan = plan_constant,
    .emit = softmax_emit,
};

/* ---- gradients ---- */

static itc_status grad_infer(itc_graph *g, itc_node *n)
{
    itc_dim part[3];
    const itc_type *p = &n->in[0]->type, *dy = &n->in[1]->type;
    ITC_TRY(itc_operand_rank(g, n, 0, 1, ITC_MAX_RANK));
    ITC_TRY(itc_operand_real(g, n, 0));
    ITC_TRY(itc_operand_real(g, n, 1));
    ITC_TRY(split_axis(g, n, part));
    itc_type same = *dy;
    same.dtype = p->dtype;
    const bool real = p->dtype == ITC_F32;
    if (!itc_type_equal(&same, p) || (dy->dtype == ITC_F32) != real) {
        return itc_error(g->ctx, n, ITC_SHAPE, "E0220", "operands %s and %s differ",
                         itc_type_text(g->ctx, p), itc_type_text(g->ctx, dy));
    }
    /* The sum of p * dy over the axis, times p in softmax's; one more bit for the difference. The
     * largest p is at least 1/axis, so that 1 = 2^-e_p takes bits_p + log2(axis) bits at most. */
    const int sum = p->bits + dy->bits + itc_log2_ceil(part[1].size) + 1;
    const int bits = n->op == &itc_op_SoftmaxGrad ? p->bits + sum : sum;
    if (!real && bits > 63) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0226", "an axis of %lld is too long",
                         (long long)part[1].size);
    }
    n->out[0]->type = itc_type_make(real ? ITC_F32 : ITC_I64, p->rank, p->dim);
    n->out[0]->type.bits = (uint8_t)(real ? 0 : bits);
    return ITC_OK;
}

static itc_status grad_lower(itc_lower *l, const itc_node *n)
{
    itc_value *in[2] = {NULL, NULL};
    itc_node *m = NULL;
    ITC_TRY(itc_lower_get(l, n, n->in[0], PROBABILITY_BITS, &in[0]));
    ITC_TRY(itc_lower_get(l, n, n->in[1], itc_lower_operand_bits(l), &in[1]));
    ITC_TRY(itc_lower_build(l, n, n->op, 2, in, 1, &m));
    itc_lower_set(l, n->out[0], m->out[0]);
    return ITC_OK;
}

static itc_status grad_plan(itc_plan *p, itc_node *n)
{
    if (n->out[0]->type.bits == 0) {
        return ITC_OK; /* floats */
    }
    const bool squared = n->op == &itc_op_SoftmaxGrad;
    itc_value *factor[3] = {n->in[0], n->in[1], n->in[0]};
    return itc_plan_sum(p, n, n->out[0], squared ? 3 : 2, factor, 0);
}

static itc_status grad_emit(itc_emit *e, const itc_node *n)
{
    itc_value *types[3] = {n->in[0], n->in[1], n->out[0]};
    const char *base = n->op == &itc_op_SoftmaxGrad ? "softmax_grad" : "log_softmax_grad";
    ITC_TRY(itc_emit_call(e, n, base, 3, types));
    itc_arg_ptr(e, "p", n->in[0]);
    itc_arg_exp(e, "e_p", n->in[0]);
    itc_arg_ptr(e, "dy", n->in[1]);
    itc_arg_ptr(e, "dx", n->out[0]);
    return emit_axis(e, n);
}

/**
 * Gradient of softmax: dx = p * (dy - sum of p * dy along the axis).
 * Shapes  p (softmax's result), dy and dx [..., axis, ...]
 * Units   e_dx = 2 * e_p + e_dy
 * Range   p with 15 magnitude bits, dy at operand bits, sums in i64
 * Source  our derivation
 */
const itc_op_def itc_op_SoftmaxGrad = {
    .name = "SoftmaxGrad",
    .domain = "",
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = ITC_OP_INTERNAL,
    .attrs = softmax_attrs,
    .summary = "gradient of Softmax",
    .infer = grad_infer,
    .demand = ITC_DEMAND_OPERAND,
    .lower = grad_lower,
    .plan = grad_plan,
    .emit = grad_emit,
};

/**
 * Gradient of log-softmax: dx = dy - p * (sum of dy along the axis).
 * Shapes  p (the softmax of the operand), dy and dx [..., axis, ...]
 * Units   e_dx = e_p + e_dy
 * Range   p with 15 magnitude bits, dy at operand bits, sums in i64
 * Source  our derivation
 */
const itc_op_def itc_op_LogSoftmaxGrad = {
    .name = "LogSoftmaxGrad",
    .domain = "",
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = ITC_OP_INTERNAL,
    .attrs = softmax_attrs,
    .summary = "gradient of LogSoftmax",
    .infer = grad_infer,
    .demand = ITC_DEMAND_OPERAND,
    .lower = grad_lower,
    .plan = grad_plan,
    .emit = grad_emit,
};
