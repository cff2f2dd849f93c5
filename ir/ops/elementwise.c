/*
 * Element-wise arithmetic: linear combinations, products and quotients.
 *
 * Combine is the linear combination sum of c_i * x_i, operands broadcast as numpy does. Add, Sub,
 * Neg, scaling by a constant, biases, sums of gradients and the optimizer are all Combine; on
 * integers it is a formal sum that is rounded once, by the Requant of whoever consumes it.
 *     d(sum c_i x_i)/dx_i = c_i      d(ab)/da = b      d(a/b)/da = 1/b, d(a/b)/db = -(a/b)/b
 * Sources: ONNX Add-14, Sub-14, Neg-13, Mul-14, Div-14.
 */
#include <math.h>

#include "codegen/emit.h"
#include "ir/formula.h"
#include "ir/ops/util.h"
#include "passes/grad.h"
#include "passes/lower.h"
#include "passes/plan.h"

/* ---- types ---- */

/** Operands of one element type; what that may be is the row's `kinds`. */
static itc_status infer_alike(itc_graph *g, itc_node *n)
{
    for (int i = 1; i < n->n_in; i++) {
        if (n->in[i]->type.dtype != n->in[0]->type.dtype) {
            return itc_error(g->ctx, n, ITC_TYPE, "E0228", "operands are %s and %s",
                             itc_type_text(g->ctx, &n->in[0]->type),
                             itc_type_text(g->ctx, &n->in[i]->type));
        }
    }
    return itc_infer_broadcast(g, n);
}

static bool is_float(const itc_node *n)
{
    return n->in[0]->type.dtype == ITC_F32;
}

/* ---- Combine ---- */

static const itc_coef *coefs(const itc_node *n)
{
    return itc_attr_find(n, "coef")->u.coefs;
}

static itc_status combine_infer(itc_graph *g, itc_node *n)
{
    const itc_attr *a = itc_attr_find(n, "coef");
    if (a && a->n != n->n_in) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0242", "%d coefficients for %d operands", a->n,
                         n->n_in);
    }
    return infer_alike(g, n);
}

static itc_status combine_grad(itc_grad *b, const itc_node *n)
{
    itc_value *dy = itc_grad_of(b, n, 0);
    for (int i = 0; i < n->n_in; i++) {
        if (!itc_grad_wanted(b, n, i)) {
            continue;
        }
        itc_value *dx = dy;
        const double c = coefs(n)[i].value;
        if (c < 1 || c > 1) {
            ITC_TRY(itc_combine_build(itc_grad_graph(b), n, 1, &dy, &c, &dx));
        }
        ITC_TRY(itc_grad_add_shaped(b, n, i, dx));
    }
    return ITC_OK;
}

static const itc_formula *combine_formula(itc_ctx *ctx, const itc_node *n,
                                          const itc_formula *const *arg)
{
    const itc_formula *sum = itc_formula_const(ctx, 0);
    for (int i = 0; i < n->n_in; i++) {
        if (coefs(n)[i].symbol != ITC_SYM_NONE) {
            return NULL;
        }
        const double c = coefs(n)[i].value;
        const itc_formula *part =
            itc_formula_make(ctx, ITC_F_MUL, itc_formula_const(ctx, fabs(c)), arg[i], NULL);
        sum = itc_formula_make(ctx, c < 0 ? ITC_F_SUB : ITC_F_ADD, sum, part, NULL);
    }
    return sum;
}

static itc_status combine_lower(itc_lower *l, const itc_node *n)
{
    return itc_lower_set_sum(l, n, n->out[0], n->n_in, coefs(n));
}

static const itc_expr *scaled(itc_emit *e, int operand, itc_coef c)
{
    const itc_expr *x = itc_x_load(e, operand);
    if (c.symbol == ITC_SYM_NONE && !(c.value < 1) && !(c.value > 1)) {
        return x;
    }
    return itc_x(e, ITC_X_MUL, itc_x_coef(e, c), x, NULL);
}

static itc_status combine_emit(itc_emit *e, const itc_node *n)
{
    const itc_expr *sum = NULL;
    for (int i = 0; i < n->n_in; i++) {
        const itc_coef c = coefs(n)[i];
        const bool minus = sum && c.symbol == ITC_SYM_NONE && !(c.value < -1) && !(c.value > -1);
        const itc_expr *x = minus ? itc_x_load(e, i) : scaled(e, i, c);
        sum = !sum ? x : itc_x(e, minus ? ITC_X_SUB : ITC_X_ADD, sum, x, NULL);
    }
    return itc_emit_loop(e, n, n->out[0], n->n_in, n->in, sum);
}

static const itc_attr_spec combine_attrs[] = {{.name = "coef", .kind = ITC_ATTR_COEFS}, {0}};

const itc_op_def itc_op_Combine = {
    .name = "Combine",
    .domain = "intrain",
    .in_min = 1,
    .in_max = 16,
    .out_min = 1,
    .out_max = 1,
    .flags = ITC_OP_INTERNAL | ITC_OP_SUM,
    .attrs = combine_attrs,
    .summary = "linear combination of broadcast operands",
    .as_formula = combine_formula,
    .infer = combine_infer,
    .grad = combine_grad,
    .demand = ITC_DEMAND_PASS,
    .lower = combine_lower,
    .emit = combine_emit,
    .in_place = 0xffff,
};

/* ---- Add, Sub, Neg ---- */

static itc_status to_combine(itc_graph *g, itc_node *n, const double *c, itc_value **out)
{
    ITC_TRY(infer_alike(g, n));
    return is_float(n) ? itc_combine_build(g, n, n->n_in, n->in, c, out) : ITC_OK;
}

static itc_status add_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    return to_combine(g, n, (const double[]){1, 1}, out);
}

static itc_status sub_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    return to_combine(g, n, (const double[]){1, -1}, out);
}

static itc_status neg_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    return to_combine(g, n, (const double[]){-1}, out);
}

static const uint8_t binary_versions[] = {1, 6, 7, 13, 14, 0};
static const uint8_t neg_versions[] = {1, 6, 13, 0};
static const itc_role_in weak_roles[] = {ITC_IN_WEAK, ITC_IN_WEAK};
static const itc_role_in part_roles[] = {ITC_IN_PART, ITC_IN_DATA};

/** On plain integers: modulo 2^64, a quotient towards zero, 0 where the divisor is 0. */
static itc_status integers_emit(itc_emit *e, const itc_node *n, itc_x_kind kind)
{
    const itc_expr *b = n->n_in > 1 ? itc_x_load(e, 1) : NULL;
    return itc_emit_loop(e, n, n->out[0], n->n_in, n->in,
                         itc_x(e, kind, itc_x_load(e, 0), b, NULL));
}

static itc_status add_emit(itc_emit *e, const itc_node *n)
{
    return integers_emit(e, n, ITC_X_ADD);
}

static itc_status sub_emit(itc_emit *e, const itc_node *n)
{
    return integers_emit(e, n, ITC_X_SUB);
}

static itc_status neg_emit(itc_emit *e, const itc_node *n)
{
    return integers_emit(e, n, ITC_X_NEG);
}

#define BINARY(op_name, norm, write, op_roles, text)                                               \
    const itc_op_def itc_op_##op_name = {                                                          \
        .name = #op_name,                                                                          \
        .domain = "",                                                                              \
        .in_min = 2,                                                                               \
        .in_max = 2,                                                                               \
        .out_min = 1,                                                                              \
        .out_max = 1,                                                                              \
        .opset_min = 7,                                                                            \
        .versions = binary_versions,                                                               \
        .roles = op_roles,                                                                         \
        .summary = text,                                                                           \
        .kinds = ITC_KIND_NUMBER,                                                                  \
        .normalize = norm,                                                                         \
        .flags = ITC_OP_ELEMENTS,                                                                  \
        .fold = itc_fold_binary,                                                                   \
        .infer = infer_alike,                                                                      \
        .emit = write,                                                                             \
        .in_place = 3,                                                                             \
    };

BINARY(Add, add_normalize, add_emit, weak_roles, "sum; of floats as Combine")
BINARY(Sub, sub_normalize, sub_emit, part_roles, "difference; of floats as Combine")

const itc_op_def itc_op_Neg = {
    .name = "Neg",
    .domain = "",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 6,
    .versions = neg_versions,
    .summary = "negation; of floats as Combine",
    .kinds = ITC_KIND_NUMBER,
    .normalize = neg_normalize,
    .flags = ITC_OP_ELEMENTS,
    .fold = itc_fold_neg,
    .infer = infer_alike,
    .emit = neg_emit,
    .in_place = 1,
};

/* ---- Mul, Div ---- */

/** The one number in constant operand i, when the result has the other operand's shape. */
static bool scalar_operand(const itc_node *n, int i, double *v)
{
    const itc_value *c = n->in[i];
    if (c->kind != ITC_VALUE_CONST || !c->data || c->data->count != 1 ||
        c->type.rank > n->in[1 - i]->type.rank) {
        return false;
    }
    *v = itc_tensor_get(c->data, 0);
    return true;
}

static itc_status mul_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    ITC_TRY(infer_alike(g, n));
    for (int i = 0; i < 2; i++) {
        double c = 0;
        if (is_float(n) && scalar_operand(n, i, &c)) {
            return itc_combine_build(g, n, 1, &n->in[1 - i], &c, out);
        }
    }
    return ITC_OK;
}

static itc_status div_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    double c = 0;
    ITC_TRY(infer_alike(g, n));
    if (!is_float(n) || !scalar_operand(n, 1, &c)) {
        return ITC_OK;
    }
    if (!(fabs(c) > 0) || !isfinite(1 / c)) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0243", "division by the constant %g", c);
    }
    return itc_combine_build(g, n, 1, n->in, &(double){1 / c}, out);
}

static itc_status product_infer(itc_graph *g, itc_node *n)
{
    if (is_float(n) || itc_is_plain(&n->in[0]->type)) {
        return infer_alike(g, n);
    }
    ITC_TRY(itc_infer_broadcast(g, n));
    itc_type *t = &n->out[0]->type;
    const int bits = n->in[0]->type.bits + n->in[1]->type.bits;
    const bool bytes = n->in[0]->type.dtype == ITC_I8 && n->in[1]->type.dtype == ITC_I8;
    t->bits = (uint8_t)bits;
    t->dtype = bytes ? ITC_I16 : ITC_I32;
    return ITC_OK;
}

static itc_status build_product(itc_grad *b, const itc_node *n, itc_value *x, itc_value *y,
                                const itc_op_def *op, itc_value **out)
{
    return itc_grad_build(b, n, op, 2, (itc_value *[]){x, y}, NULL, out);
}

static itc_status mul_grad(itc_grad *b, const itc_node *n)
{
    itc_value *dy = itc_grad_of(b, n, 0), *dx = NULL;
    for (int i = 0; i < 2; i++) {
        if (itc_grad_wanted(b, n, i)) {
            ITC_TRY(build_product(b, n, dy, n->in[1 - i], &itc_op_Mul, &dx));
            ITC_TRY(itc_grad_add_shaped(b, n, i, dx));
        }
    }
    return ITC_OK;
}

static const itc_formula *mul_formula(itc_ctx *ctx, const itc_node *n,
                                      const itc_formula *const *arg)
{
    (void)n;
    return itc_formula_make(ctx, ITC_F_MUL, arg[0], arg[1], NULL);
}

static itc_status mul_lower(itc_lower *l, const itc_node *n)
{
    return itc_lower_set_product(l, n, n->out[0]);
}

static itc_status binary_emit(itc_emit *e, const itc_node *n, itc_x_kind kind, const char *base)
{
    const itc_type *t = &n->out[0]->type;
    if (t->dtype == ITC_F32 || itc_is_plain(t)) {
        const itc_expr *x = itc_x(e, kind, itc_x_load(e, 0), itc_x_load(e, 1), NULL);
        return itc_emit_loop(e, n, n->out[0], 2, n->in, x);
    }
    itc_dim a[ITC_MAX_RANK], b[ITC_MAX_RANK];
    itc_broadcast_strides(&n->in[0]->type, t, a);
    itc_broadcast_strides(&n->in[1]->type, t, b);
    ITC_TRY(itc_emit_call(e, n, base, 3, (itc_value *[]){n->in[0], n->in[1], n->out[0]}));
    itc_arg_ptr(e, "a", n->in[0]);
    itc_arg_ptr(e, "b", n->in[1]);
    itc_arg_ptr(e, "y", n->out[0]);
    itc_arg_shape(e, "shape", t->rank, t->dim);
    itc_arg_shape(e, "stride_a", t->rank, a);
    itc_arg_shape(e, "stride_b", t->rank, b);
    itc_arg_int(e, "rank", t->rank);
    return ITC_OK;
}

static itc_status mul_emit(itc_emit *e, const itc_node *n)
{
    return binary_emit(e, n, ITC_X_MUL, "mul");
}

const itc_op_def itc_op_Mul = {
    .name = "Mul",
    .domain = "",
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 7,
    .versions = binary_versions,
    .roles = weak_roles,
    .flags = ITC_OP_SUM | ITC_OP_ELEMENTS,
    .summary = "product; of floats by a constant number as Combine",
    .as_formula = mul_formula,
    .kinds = ITC_KIND_NUMBER,
    .normalize = mul_normalize,
    .fold = itc_fold_binary,
    .infer = product_infer,
    .grad = mul_grad,
    .lower = mul_lower,
    .plan = itc_plan_hook_product,
    .emit = mul_emit,
};

static itc_status div_infer(itc_graph *g, itc_node *n)
{
    if (is_float(n) || itc_is_plain(&n->in[0]->type)) {
        return infer_alike(g, n);
    }
    ITC_TRY(itc_infer_broadcast(g, n));
    /* a * 2^k / b: k is 23 for bytes and 40 for int16 (NUMERICS.md: division) */
    const bool bytes = n->in[0]->type.dtype == ITC_I8;
    n->out[0]->type.dtype = bytes ? ITC_I32 : ITC_I64;
    n->out[0]->type.bits = (uint8_t)(n->in[0]->type.bits + (bytes ? 23 : 40) + 1);
    return ITC_OK;
}

static itc_status div_grad(itc_grad *b, const itc_node *n)
{
    itc_value *dy = itc_grad_of(b, n, 0), *da = NULL, *t = NULL;
    ITC_TRY(build_product(b, n, dy, n->in[1], &itc_op_Div, &da));
    if (itc_grad_wanted(b, n, 0)) {
        ITC_TRY(itc_grad_add_shaped(b, n, 0, da));
    }
    if (itc_grad_wanted(b, n, 1)) {
        ITC_TRY(build_product(b, n, da, n->out[0], &itc_op_Mul, &t));
        ITC_TRY(itc_combine_build(itc_grad_graph(b), n, 1, &t, &(double){-1}, &t));
        ITC_TRY(itc_grad_add_shaped(b, n, 1, t));
    }
    return ITC_OK;
}

static const itc_formula *div_formula(itc_ctx *ctx, const itc_node *n,
                                      const itc_formula *const *arg)
{
    (void)n;
    return itc_formula_make(ctx, ITC_F_DIV, arg[0], arg[1], NULL);
}

static itc_status div_lower(itc_lower *l, const itc_node *n)
{
    itc_value *in[2] = {0};
    itc_node *m = NULL;
    for (int i = 0; i < 2; i++) {
        ITC_TRY(itc_lower_get_wide(l, n, n->in[i], itc_lower_operand_bits(l), &in[i]));
    }
    ITC_TRY(itc_lower_build(l, n, &itc_op_Div, 2, in, 1, &m));
    itc_lower_set(l, n->out[0], m->out[0]);
    return ITC_OK;
}

static itc_status div_plan(itc_plan *p, itc_node *n)
{
    const int k = n->in[0]->type.dtype == ITC_I8 ? 23 : 40;
    return itc_plan_quotient(p, n, n->out[0], n->in[0], n->in[1], -k);
}

static itc_status div_emit(itc_emit *e, const itc_node *n)
{
    return binary_emit(e, n, ITC_X_DIV, "div");
}

const itc_op_def itc_op_Div = {
    .name = "Div",
    .domain = "",
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 7,
    .versions = binary_versions,
    .roles = part_roles,
    .summary = "quotient; of floats by a constant number as Combine",
    .as_formula = div_formula,
    .kinds = ITC_KIND_NUMBER,
    .normalize = div_normalize,
    .flags = ITC_OP_ELEMENTS,
    .fold = itc_fold_binary,
    .infer = div_infer,
    .grad = div_grad,
    .lower = div_lower,
    .plan = div_plan,
    .emit = div_emit,
};
