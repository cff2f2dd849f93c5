/*
 * Element-wise operators: linear combinations, products and quotients, and what selects elements.
 *
 * Combine is the linear combination sum of c_i * x_i, operands broadcast as numpy does. Add, Sub,
 * Neg, scaling by a constant, biases, sums of gradients and the optimizer are all Combine; on
 * integers it is a formal sum that is rounded once, by the Requant of whoever consumes it.
 *     d(sum c_i x_i)/dx_i = c_i      d(ab)/da = b      d(a/b)/da = 1/b, d(a/b)/db = -(a/b)/b
 * Sources: ONNX Add-14, Sub-14, Neg-13, Mul-14, Div-14, Relu-14, LeakyRelu-16, Clip-13, Dropout-13.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "codegen/emit.h"
#include "ir/ops/util.h"
#include "passes/grad.h"
#include "passes/lower.h"
#include "passes/plan.h"

/* ---- types ---- */

/** Numpy broadcasting of all operands; dtype and bits of operand 0. */
itc_status itc_infer_broadcast(itc_graph *g, itc_node *n)
{
    itc_type t = n->in[0]->type;
    for (int i = 1; i < n->n_in; i++) {
        const itc_type *a = &n->in[i]->type;
        itc_type r = t;
        r.rank = a->rank > t.rank ? a->rank : t.rank;
        for (int k = 0; k < r.rank; k++) {
            const int ka = k - (r.rank - a->rank), kt = k - (r.rank - t.rank);
            const itc_dim one = {1, false};
            const itc_dim da = ka < 0 ? one : a->dim[ka], dt = kt < 0 ? one : t.dim[kt];
            if (itc_dim_equal(da, one)) {
                r.dim[k] = dt;
            } else if (itc_dim_equal(dt, one) || itc_dim_equal(da, dt)) {
                r.dim[k] = da;
            } else {
                return itc_error(g->ctx, n, ITC_SHAPE, "E0240",
                                 "operands %s and %s do not broadcast",
                                 itc_type_text(g->ctx, &t), itc_type_text(g->ctx, a));
            }
        }
        t = r;
    }
    n->out[0]->type = t;
    return ITC_OK;
}

static itc_status infer_floats(itc_graph *g, itc_node *n)
{
    for (int i = 0; i < n->n_in; i++) {
        if (n->in[i]->type.dtype != ITC_F32) {
            return itc_error(g->ctx, n, ITC_TYPE, "E0241",
                             "operand %d is %s; only float operands are computed at run time", i,
                             itc_dtype_name(n->in[i]->type.dtype));
        }
    }
    return itc_infer_broadcast(g, n);
}

static itc_status infer_same(itc_graph *g, itc_node *n)
{
    (void)g;
    n->out[0]->type = n->in[0]->type;
    return ITC_OK;
}

static itc_status infer_same_real(itc_graph *g, itc_node *n)
{
    ITC_TRY(itc_operand_real(g, n, 0));
    return infer_same(g, n);
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
    return infer_floats(g, n);
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
    for (int i = 0; i < n->n_in; i++) {
        if (n->in[i]->type.dtype != ITC_F32) {
            return infer_floats(g, n); /* says what is wrong */
        }
    }
    return itc_combine_build(g, n, n->n_in, n->in, c, out);
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

#define BINARY(op_name, norm, op_roles, text) \
    const itc_op_def itc_op_##op_name = { \
        .name = #op_name, \
        .domain = "", \
        .in_min = 2, \
        .in_max = 2, \
        .out_min = 1, \
        .out_max = 1, \
        .opset_min = 7, \
        .versions = binary_versions, \
        .roles = op_roles, \
        .summary = text, \
        .normalize = norm, \
        .fold = itc_fold_binary, \
        .infer = infer_floats, \
    };

BINARY(Add, add_normalize, weak_roles, "sum, as Combine")
BINARY(Sub, sub_normalize, NULL, "difference, as Combine")

const itc_op_def itc_op_Neg = {
    .name = "Neg",
    .domain = "",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 6,
    .versions = neg_versions,
    .summary = "negation, as Combine",
    .normalize = neg_normalize,
    .fold = itc_fold_neg,
    .infer = infer_floats,
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
    ITC_TRY(infer_floats(g, n));
    for (int i = 0; i < 2; i++) {
        double c = 0;
        if (scalar_operand(n, i, &c)) {
            return itc_combine_build(g, n, 1, &n->in[1 - i], &c, out);
        }
    }
    return ITC_OK;
}

static itc_status div_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    double c = 0;
    ITC_TRY(infer_floats(g, n));
    if (!scalar_operand(n, 1, &c)) {
        return ITC_OK;
    }
    if (!(fabs(c) > 0) || !isfinite(1 / c)) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0243", "division by the constant %g", c);
    }
    return itc_combine_build(g, n, 1, n->in, &(double){1 / c}, out);
}

static itc_status product_infer(itc_graph *g, itc_node *n)
{
    if (n->in[0]->type.dtype == ITC_F32 || n->in[0]->type.bits == 0) {
        return infer_floats(g, n);
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

static itc_status mul_lower(itc_lower *l, const itc_node *n)
{
    itc_value *in[2] = {0};
    itc_node *m = NULL;
    for (int i = 0; i < 2; i++) {
        ITC_TRY(itc_lower_get(l, n, n->in[i], itc_lower_operand_bits(l), &in[i]));
    }
    if (in[0]->type.bits > in[1]->type.bits) { /* kernels take the narrower one first */
        itc_value *t = in[0];
        in[0] = in[1];
        in[1] = t;
    }
    ITC_TRY(itc_lower_build(l, n, &itc_op_Mul, 2, in, 1, &m));
    itc_lower_set(l, n->out[0], m->out[0]);
    return ITC_OK;
}

static itc_status binary_emit(itc_emit *e, const itc_node *n, itc_x_kind kind, const char *base)
{
    const itc_type *t = &n->out[0]->type;
    if (t->dtype == ITC_F32) {
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
    .summary = "product; by a constant number as Combine",
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
    if (n->in[0]->type.dtype == ITC_F32 || n->in[0]->type.bits == 0) {
        return infer_floats(g, n);
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
    .summary = "quotient; by a constant number as Combine",
    .normalize = div_normalize,
    .fold = itc_fold_binary,
    .infer = div_infer,
    .grad = div_grad,
    .lower = div_lower,
    .plan = div_plan,
    .emit = div_emit,
};

/* ---- Relu, Mask, LeakyRelu ---- */

static itc_status relu_grad(itc_grad *b, const itc_node *n)
{
    itc_value *dx = NULL;
    itc_value *in[2] = {itc_grad_of(b, n, 0), n->out[0]};
    ITC_TRY(itc_grad_build(b, n, &itc_op_Mask, 2, in, NULL, &dx));
    return itc_grad_add(b, n, 0, dx);
}

static itc_status relu_emit(itc_emit *e, const itc_node *n)
{
    const itc_expr *x = itc_x(e, ITC_X_MAX, itc_x_load(e, 0), itc_x_const(e, 0), NULL);
    return itc_emit_loop(e, n, n->out[0], 1, n->in, x);
}

static const uint8_t relu_versions[] = {1, 6, 13, 14, 0};

const itc_op_def itc_op_Relu = {
    .name = "Relu",
    .domain = "",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 6,
    .versions = relu_versions,
    .summary = "max(x, 0), exact on mantissas",
    .infer = infer_same_real,
    .grad = relu_grad,
    .demand = ITC_DEMAND_PASS,
    .lower = itc_lower_move,
    .plan = itc_plan_hook_same,
    .emit = relu_emit,
    .in_place = 1,
};

static itc_status mask_grad(itc_grad *b, const itc_node *n)
{
    itc_value *dx = NULL;
    itc_value *in[2] = {itc_grad_of(b, n, 0), n->in[1]};
    ITC_TRY(itc_grad_build(b, n, &itc_op_Mask, 2, in, NULL, &dx));
    return itc_grad_add(b, n, 0, dx);
}

static itc_status mask_emit(itc_emit *e, const itc_node *n)
{
    const itc_expr *pass = itc_x(e, ITC_X_GT, itc_x_load(e, 1), itc_x_const(e, 0), NULL);
    const itc_expr *x = itc_x(e, ITC_X_SELECT, pass, itc_x_load(e, 0), itc_x_const(e, 0));
    return itc_emit_loop(e, n, n->out[0], 2, n->in, x);
}

const itc_op_def itc_op_Mask = {
    .name = "Mask",
    .domain = "intrain",
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = ITC_OP_INTERNAL,
    .summary = "operand 0 where operand 1 is above 0, else 0",
    .infer = infer_same_real,
    .grad = mask_grad,
    .demand = ITC_DEMAND_PASS,
    .lower = itc_lower_move,
    .plan = itc_plan_hook_same,
    .emit = mask_emit,
    .in_place = 1,
};

/** alpha * x + (1 - alpha) * max(x, 0): one rounding on integers, and no rule of its own. */
static itc_status leaky_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    itc_node *relu = NULL;
    const double alpha = itc_float(n, "alpha");
    ITC_TRY(itc_build(g, &itc_op_Relu, n, 1, n->in, 1, &relu));
    return itc_combine_build(g, n, 2, (itc_value *[]){n->in[0], relu->out[0]},
                             (const double[]){alpha, 1 - alpha}, out);
}

static const uint8_t leaky_versions[] = {1, 6, 16, 0};
static const itc_attr_spec leaky_attrs[] = {{.name = "alpha", .kind = ITC_ATTR_FLOAT, .f = 0.01},
                                            {0}};

const itc_op_def itc_op_LeakyRelu = {
    .name = "LeakyRelu",
    .domain = "",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 6,
    .versions = leaky_versions,
    .attrs = leaky_attrs,
    .summary = "as Relu and Combine",
    .normalize = leaky_normalize,
    .infer = infer_same_real,
};

/* ---- Clip ---- */

/** Bounds from attributes (opset < 11) or constant operands; absent ones are infinite. */
static itc_status clip_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    double bound[2] = {itc_float(n, "min"), itc_float(n, "max")};
    for (int i = 1; i < n->n_in; i++) {
        const itc_tensor *t = n->in[i] ? itc_operand_const(n, i) : NULL;
        if (n->in[i] && (!t || t->count != 1)) {
            return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0225",
                             "operand %s is not a constant number", i == 1 ? "min" : "max");
        }
        if (t) {
            bound[i - 1] = itc_tensor_get(t, 0);
        }
    }
    if (n->n_in == 1) {
        return ITC_OK;
    }
    itc_node *m = itc_node_new(g, &itc_op_Clip, n, 1, n->in, 1);
    itc_set_float(g, m, "min", bound[0]);
    itc_set_float(g, m, "max", bound[1]);
    ITC_TRY(itc_infer(g, m));
    out[0] = m->out[0];
    return ITC_OK;
}

static itc_status clip_infer(itc_graph *g, itc_node *n)
{
    if (isnan(itc_float(n, "min")) || isnan(itc_float(n, "max")) ||
        itc_float(n, "min") > itc_float(n, "max")) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0244", "bounds %g and %g", itc_float(n, "min"),
                         itc_float(n, "max"));
    }
    return infer_same_real(g, n);
}

static itc_status clip_grad(itc_grad *b, const itc_node *n)
{
    itc_value *dx = NULL;
    itc_node *m = NULL;
    itc_value *in[2] = {n->in[0], itc_grad_of(b, n, 0)};
    ITC_TRY(itc_grad_build(b, n, &itc_op_ClipGrad, 2, in, &m, &dx));
    itc_attr_copy(itc_grad_graph(b), m, n, "min");
    itc_attr_copy(itc_grad_graph(b), m, n, "max");
    return itc_grad_add(b, n, 0, dx);
}

/** A bound as mantissa and exponent; an absent one has exponent INT32_MIN. */
static void arg_bound(itc_emit *e, const char *m_field, const char *e_field, double v)
{
    int exponent = 0;
    const double f = frexp(v, &exponent);
    const bool absent = !isfinite(v) || fabs(v) >= (double)FLT_MAX;
    itc_arg_int(e, m_field, absent ? 0 : (int64_t)nearbyint(ldexp(f, 30)));
    itc_arg_int(e, e_field, absent ? INT32_MIN : exponent - 30);
}

static itc_status clip_call(itc_emit *e, const itc_node *n, const char *base, int x, int dy)
{
    itc_dim count;
    if (!itc_type_count(&n->out[0]->type, &count)) {
        return ITC_INTERNAL;
    }
    itc_value *types[2] = {n->in[x], dy >= 0 ? n->in[dy] : NULL};
    ITC_TRY(itc_emit_call(e, n, base, dy >= 0 ? 2 : 1, types));
    itc_arg_ptr(e, "x", n->in[x]);
    itc_arg_exp(e, "e_x", n->in[x]);
    itc_arg_ptr(e, "dy", dy >= 0 ? n->in[dy] : NULL);
    itc_arg_ptr(e, "y", n->out[0]);
    itc_arg_dim(e, "n", count);
    arg_bound(e, "lo_m", "lo_e", itc_float(n, "min"));
    arg_bound(e, "hi_m", "hi_e", itc_float(n, "max"));
    return ITC_OK;
}

static itc_status clip_emit(itc_emit *e, const itc_node *n)
{
    if (n->out[0]->type.dtype != ITC_F32) {
        return clip_call(e, n, "clip", 0, -1);
    }
    const itc_expr *x = itc_x_load(e, 0);
    x = itc_x(e, ITC_X_MAX, x, itc_x_const(e, itc_float(n, "min")), NULL);
    x = itc_x(e, ITC_X_MIN, x, itc_x_const(e, itc_float(n, "max")), NULL);
    return itc_emit_loop(e, n, n->out[0], 1, n->in, x);
}

static const uint8_t clip_versions[] = {1, 6, 11, 12, 13, 0};
static const itc_attr_spec clip_attrs[] = {
    {.name = "min", .kind = ITC_ATTR_FLOAT, .f = -(double)FLT_MAX},
    {.name = "max", .kind = ITC_ATTR_FLOAT, .f = (double)FLT_MAX},
    {0}};
static const itc_role_in clip_roles[] = {ITC_IN_DATA, ITC_IN_CONST, ITC_IN_CONST};

const itc_op_def itc_op_Clip = {
    .name = "Clip",
    .domain = "",
    .in_min = 1,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 6,
    .versions = clip_versions,
    .roles = clip_roles,
    .attrs = clip_attrs,
    .summary = "min(max(x, lo), hi), bounds on the mantissas' grid",
    .normalize = clip_normalize,
    .infer = clip_infer,
    .grad = clip_grad,
    .demand = ITC_DEMAND_PASS,
    .lower = itc_lower_move,
    .plan = itc_plan_hook_same,
    .emit = clip_emit,
};

static itc_status clip_grad_infer(itc_graph *g, itc_node *n)
{
    (void)g;
    n->out[0]->type = n->in[1]->type;
    return ITC_OK;
}

static itc_status clip_grad_lower(itc_lower *l, const itc_node *n)
{
    itc_value *in[2] = {0};
    itc_node *m = NULL;
    for (int i = 0; i < 2; i++) {
        ITC_TRY(itc_lower_get_wide(l, n, n->in[i], itc_lower_operand_bits(l), &in[i]));
    }
    ITC_TRY(itc_lower_build(l, n, n->op, 2, in, 1, &m));
    itc_lower_set(l, n->out[0], m->out[0]);
    return ITC_OK;
}

static itc_status clip_grad_plan(itc_plan *p, itc_node *n)
{
    itc_plan_same(p, n->out[0], n->in[1]);
    return ITC_OK;
}

static itc_status clip_grad_emit(itc_emit *e, const itc_node *n)
{
    if (n->out[0]->type.dtype != ITC_F32) {
        return clip_call(e, n, "clip_grad", 0, 1);
    }
    const itc_expr *x = itc_x_load(e, 0);
    const itc_expr *above = itc_x(e, ITC_X_GT, x, itc_x_const(e, itc_float(n, "min")), NULL);
    const itc_expr *below = itc_x(e, ITC_X_LT, x, itc_x_const(e, itc_float(n, "max")), NULL);
    const itc_expr *pass = itc_x(e, ITC_X_AND, above, below, NULL);
    x = itc_x(e, ITC_X_SELECT, pass, itc_x_load(e, 1), itc_x_const(e, 0));
    return itc_emit_loop(e, n, n->out[0], 2, n->in, x);
}

const itc_op_def itc_op_ClipGrad = {
    .name = "ClipGrad",
    .domain = "intrain",
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = ITC_OP_INTERNAL,
    .attrs = clip_attrs,
    .summary = "operand 1 where operand 0 lies strictly between the bounds, else 0",
    .infer = clip_grad_infer,
    .lower = clip_grad_lower,
    .plan = clip_grad_plan,
    .emit = clip_grad_emit,
    .in_place = 2,
};

/* ---- Dropout ---- */

/**
 * Our form: y, mask = Dropout(x) {ratio}. ONNX's is active when training_mode is a true constant,
 * or before opset 12, where the graph does not say and training is what we do.
 */
static itc_status dropout_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    const bool ours = n->onnx_version == 0 || (n->n_in == 1 && n->n_out == 2 &&
                                               n->out[1]->type.known);
    if (ours) {
        return ITC_OK;
    }
    double ratio = itc_float(n, "ratio");
    bool active = n->onnx_version < 12;
    const itc_tensor *t = n->n_in > 1 && n->in[1] ? itc_operand_const(n, 1) : NULL;
    const itc_tensor *mode = n->n_in > 2 && n->in[2] ? itc_operand_const(n, 2) : NULL;
    if ((n->n_in > 1 && n->in[1] && !t) || (n->n_in > 2 && n->in[2] && !mode)) {
        return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0225",
                         "ratio and training_mode must be constants");
    }
    ratio = t ? itc_tensor_get(t, 0) : ratio;
    active = mode ? itc_tensor_get_int(mode, 0) != 0 : active;
    if (!(ratio >= 0 && ratio < 1)) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0245", "ratio %g, expected 0 <= ratio < 1", ratio);
    }
    if (!active || !(ratio > 0)) {
        out[0] = n->in[0];
        return ITC_OK;
    }
    itc_node *m = itc_node_new(g, &itc_op_Dropout, n, 1, n->in, 2);
    itc_set_float(g, m, "ratio", ratio);
    ITC_TRY(itc_infer(g, m));
    out[0] = m->out[0];
    return ITC_OK;
}

static itc_status dropout_infer(itc_graph *g, itc_node *n)
{
    ITC_TRY(infer_same_real(g, n));
    if (n->n_out > 1 && n->out[1]) {
        n->out[1]->type = n->in[0]->type;
        n->out[1]->type.dtype = ITC_I8;
        n->out[1]->type.bits = 0;
    }
    return ITC_OK;
}

static itc_status dropout_infer_form(itc_graph *g, itc_node *n, itc_value **out)
{
    (void)g;
    out[0] = n->in[0];
    return ITC_OK;
}

static itc_status dropout_grad(itc_grad *b, const itc_node *n)
{
    itc_value *dx = NULL;
    itc_value *in[2] = {itc_grad_of(b, n, 0), n->out[1]};
    const double scale = 1 / (1 - itc_float(n, "ratio"));
    ITC_TRY(itc_grad_build(b, n, &itc_op_Mask, 2, in, NULL, &dx));
    ITC_TRY(itc_combine_build(itc_grad_graph(b), n, 1, &dx, &scale, &dx));
    return itc_grad_add(b, n, 0, dx);
}

static itc_status dropout_lower(itc_lower *l, const itc_node *n)
{
    itc_value *in[2] = {0};
    itc_node *mask = NULL, *m = NULL;
    ITC_TRY(itc_lower_get(l, n, n->in[0], itc_lower_demand(l, n->out[0]), &in[0]));
    ITC_TRY(itc_lower_build(l, n, &itc_op_DropoutMask, 1, in, 1, &mask));
    ITC_TRY(itc_lower_site(l, mask, ITC_ROLE_MASK));
    in[1] = mask->out[0];
    itc_node *plain = itc_node_new(itc_lower_graph(l), &itc_op_Mask, n, 2, in, 1);
    ITC_TRY(itc_infer(itc_lower_graph(l), plain));
    m = plain;
    const itc_coef c = {1 / (1 - itc_float(n, "ratio")), ITC_SYM_NONE};
    itc_lower_set_scaled(l, n->out[0], m->out[0], c);
    itc_lower_set(l, n->out[1], mask->out[0]);
    return ITC_OK;
}

static itc_status mask_call(itc_emit *e, const itc_node *n, itc_value *mask)
{
    itc_dim count;
    if (!itc_type_count(&mask->type, &count)) {
        return ITC_INTERNAL;
    }
    const double keep = (1 - itc_float(n, "ratio")) * 2147483648.0;
    ITC_TRY(itc_emit_call(e, n, "dropout_mask", 0, NULL));
    itc_arg_ptr(e, "y", mask);
    itc_arg_dim(e, "n", count);
    itc_arg_int(e, "keep_q31", (int64_t)nearbyint(fmin(keep, 2147483647.0)));
    itc_arg_int(e, "site", n->site ? n->site
                                   : (uint32_t)n->import_id << 8 | (uint32_t)ITC_ROLE_MASK << 4);
    return ITC_OK;
}

static itc_status dropout_emit(itc_emit *e, const itc_node *n)
{
    ITC_TRY(mask_call(e, n, n->out[1]));
    const itc_expr *pass = itc_x(e, ITC_X_GT, itc_x_load(e, 1), itc_x_const(e, 0), NULL);
    const itc_coef c = {1 / (1 - itc_float(n, "ratio")), ITC_SYM_NONE};
    const itc_expr *x = itc_x(e, ITC_X_MUL, itc_x_load(e, 0), itc_x_coef(e, c), NULL);
    x = itc_x(e, ITC_X_SELECT, pass, x, itc_x_const(e, 0));
    return itc_emit_loop(e, n, n->out[0], 2, (itc_value *[]){n->in[0], n->out[1]}, x);
}

static const uint8_t dropout_versions[] = {1, 6, 7, 10, 12, 13, 22, 0};
static const itc_attr_spec dropout_attrs[] = {{.name = "ratio", .kind = ITC_ATTR_FLOAT, .f = 0.5},
                                              {.name = "seed", .kind = ITC_ATTR_INT},
                                              {0}};
static const itc_role_in dropout_roles[] = {ITC_IN_DATA, ITC_IN_CONST, ITC_IN_CONST};

const itc_op_def itc_op_Dropout = {
    .name = "Dropout",
    .domain = "",
    .in_min = 1,
    .in_max = 3,
    .out_min = 1,
    .out_max = 2,
    .opset_min = 7,
    .versions = dropout_versions,
    .roles = dropout_roles,
    .attrs = dropout_attrs,
    .summary = "active in training when the model says so; nothing in evaluation",
    .normalize = dropout_normalize,
    .infer = dropout_infer,
    .grad = dropout_grad,
    .infer_form = dropout_infer_form,
    .demand = ITC_DEMAND_PASS,
    .lower = dropout_lower,
    .emit = dropout_emit,
};

static itc_status dropout_mask_infer(itc_graph *g, itc_node *n)
{
    (void)g;
    n->out[0]->type = n->in[0]->type;
    n->out[0]->type.dtype = ITC_I8;
    n->out[0]->type.bits = 0;
    return ITC_OK;
}

static itc_status dropout_mask_emit(itc_emit *e, const itc_node *n)
{
    return mask_call(e, n, n->out[0]);
}

const itc_op_def itc_op_DropoutMask = {
    .name = "DropoutMask",
    .domain = "intrain",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = ITC_OP_INTERNAL,
    .attrs = dropout_attrs,
    .summary = "1 with probability 1 - ratio, else 0, of operand 0's shape",
    .infer = dropout_mask_infer,
    .emit = dropout_mask_emit,
};
