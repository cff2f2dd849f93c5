/*
 * Activations that are no polynomial on mantissas: tanh, sigmoid.
 *
 * Forward on integers: f of each mantissa at its exponent, in Q15 (exponent -15), by the integer
 * functions of runtime/fixed.h. Backward: dx = dy * f'(x), f' in Q15 as well (Slope), evaluated at
 * the same mantissas as the forward pass, so that the product is exact in 32 bits.
 * Sources: ONNX Tanh-13, Sigmoid-13; tanh' = 1 - tanh^2, sigmoid' = s (1 - s).
 */
#include <string.h>

#include "codegen/emit.h"
#include "ir/ops/util.h"
#include "passes/grad.h"
#include "passes/lower.h"
#include "passes/plan.h"

static bool is_tanh(const itc_node *n)
{
    const char *fn = itc_string(n, "fn");
    return strcmp(*fn ? fn : n->op->name, "Tanh") == 0;
}

static itc_status map_infer(itc_graph *g, itc_node *n)
{
    ITC_TRY(itc_operand_real(g, n, 0));
    itc_type t = n->in[0]->type;
    if (t.dtype != ITC_F32) {
        t.dtype = ITC_I16;
        t.bits = 15;
    }
    n->out[0]->type = t;
    return ITC_OK;
}

static itc_status map_grad(itc_grad *b, const itc_node *n)
{
    itc_value *dx = NULL;
    itc_node *m = NULL;
    itc_value *in[2] = {itc_grad_of(b, n, 0), n->in[0]};
    ITC_TRY(itc_grad_build(b, n, &itc_op_ActivationGrad, 2, in, &m, &dx));
    itc_set_string(itc_grad_graph(b), m, "fn", n->op->name);
    return itc_grad_add(b, n, 0, dx);
}

static itc_status map_plan(itc_plan *p, itc_node *n)
{
    itc_plan_constant(p, n->out[0], -15);
    return ITC_OK;
}

static itc_status map_call(itc_emit *e, const itc_node *n, const char *base)
{
    itc_dim count;
    if (!itc_type_count(&n->out[0]->type, &count)) {
        return ITC_INTERNAL;
    }
    ITC_TRY(itc_emit_call(e, n, base, 2, (itc_value *[]){n->in[0], n->out[0]}));
    itc_arg_ptr(e, "x", n->in[0]);
    itc_arg_exp(e, "e_x", n->in[0]);
    itc_arg_ptr(e, "y", n->out[0]);
    itc_arg_dim(e, "n", count);
    return ITC_OK;
}

/** f(x) of operand `operand` as a float expression. */
static const itc_expr *function(itc_emit *e, const itc_node *n, int operand)
{
    const itc_expr *x = itc_x_load(e, operand);
    if (is_tanh(n)) {
        return itc_x(e, ITC_X_TANH, x, NULL, NULL);
    }
    const itc_expr *one = itc_x_const(e, 1);
    const itc_expr *grow = itc_x(e, ITC_X_EXP, itc_x(e, ITC_X_NEG, x, NULL, NULL), NULL, NULL);
    return itc_x(e, ITC_X_DIV, one, itc_x(e, ITC_X_ADD, one, grow, NULL), NULL);
}

static itc_status map_emit(itc_emit *e, const itc_node *n)
{
    if (n->out[0]->type.dtype != ITC_F32) {
        return map_call(e, n, is_tanh(n) ? "tanh" : "sigmoid");
    }
    return itc_emit_loop(e, n, n->out[0], 1, n->in, function(e, n, 0));
}

static const uint8_t map_versions[] = {1, 6, 13, 0};

#define MAP(op_name, text) \
    const itc_op_def itc_op_##op_name = { \
        .name = #op_name, \
        .domain = "", \
        .in_min = 1, \
        .in_max = 1, \
        .out_min = 1, \
        .out_max = 1, \
        .opset_min = 6, \
        .versions = map_versions, \
        .summary = text, \
        .infer = map_infer, \
        .grad = map_grad, \
        .lower = itc_lower_linear, \
        .plan = map_plan, \
        .emit = map_emit, \
    };

MAP(Tanh, "tanh, Q15 on integers")
MAP(Sigmoid, "1 / (1 + exp(-x)), Q15 on integers")

/* ---- ActivationGrad: dy * f'(x) ---- */

static itc_status grad_infer(itc_graph *g, itc_node *n)
{
    (void)g;
    n->out[0]->type = n->in[0]->type;
    return ITC_OK;
}

static itc_status grad_lower(itc_lower *l, const itc_node *n)
{
    itc_value *in[2] = {0};
    itc_node *slope = NULL, *m = NULL;
    itc_value *x = NULL;
    ITC_TRY(itc_lower_get(l, n, n->in[0], itc_lower_operand_bits(l), &in[0]));
    ITC_TRY(itc_lower_get(l, n, n->in[1], itc_lower_operand_bits(l), &x));
    ITC_TRY(itc_lower_build(l, n, &itc_op_Slope, 1, &x, 1, &slope));
    in[1] = slope->out[0];
    itc_node *mul = itc_node_new(itc_lower_graph(l), &itc_op_Mul, n, 2, in, 1);
    ITC_TRY(itc_infer(itc_lower_graph(l), mul));
    m = mul;
    itc_lower_set(l, n->out[0], m->out[0]);
    return ITC_OK;
}

static itc_status grad_emit(itc_emit *e, const itc_node *n)
{
    const itc_expr *f = function(e, n, 1), *one = itc_x_const(e, 1);
    const itc_expr *slope =
        is_tanh(n) ? itc_x(e, ITC_X_SUB, one, itc_x(e, ITC_X_MUL, f, f, NULL), NULL)
                   : itc_x(e, ITC_X_MUL, f, itc_x(e, ITC_X_SUB, one, f, NULL), NULL);
    const itc_expr *x = itc_x(e, ITC_X_MUL, itc_x_load(e, 0), slope, NULL);
    return itc_emit_loop(e, n, n->out[0], 2, n->in, x);
}

static const itc_attr_spec fn_attrs[] = {{.name = "fn", .kind = ITC_ATTR_STRING, .s = ""}, {0}};

const itc_op_def itc_op_ActivationGrad = {
    .name = "ActivationGrad",
    .domain = "intrain",
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = ITC_OP_INTERNAL,
    .attrs = fn_attrs,
    .summary = "operand 0 times the slope of fn at operand 1",
    .infer = grad_infer,
    .lower = grad_lower,
    .emit = grad_emit,
    .in_place = 1,
};

static itc_status slope_emit(itc_emit *e, const itc_node *n)
{
    return map_call(e, n, is_tanh(n) ? "tanh_slope" : "sigmoid_slope");
}

const itc_op_def itc_op_Slope = {
    .name = "Slope",
    .domain = "intrain",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = ITC_OP_INTERNAL,
    .attrs = fn_attrs,
    .summary = "slope of fn at operand 0, Q15 on integers",
    .infer = map_infer,
    .plan = map_plan,
    .emit = slope_emit,
};
