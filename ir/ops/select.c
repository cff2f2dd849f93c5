/*
 * Element-wise operators that select: Relu, Mask, LeakyRelu, PRelu, Clip, Dropout. Mantissas pass,
 * are bounded or become 0; exponents stay, so integers lose nothing. dRelu = Mask(dy, y); dClip =
 * dy where y lies strictly between the bounds, which is where x does; dDropout = Mask(dy, mask).
 * Sources: ONNX Relu-14, LeakyRelu-16, PRelu-16, Clip-13, Dropout-13.
 */
#include <float.h>
#include <math.h>

#include "codegen/emit.h"
#include "ir/formula.h"
#include "ir/ops/take.h"
#include "ir/ops/util.h"
#include "passes/grad.h"
#include "passes/lower.h"
#include "passes/plan.h"

/* ---- Relu, Mask, LeakyRelu ---- */

static itc_status relu_grad(itc_grad *b, const itc_node *n)
{
    itc_value *dx = NULL;
    itc_value *in[2] = {itc_grad_of(b, n, 0), n->out[0]};
    ITC_TRY(itc_grad_build(b, n, &itc_op_Mask, 2, in, NULL, &dx));
    return itc_grad_add(b, n, 0, dx);
}

static const itc_formula *relu_formula(itc_ctx *ctx, const itc_node *n,
                                       const itc_formula *const *arg)
{
    (void)n;
    return itc_formula_make(ctx, ITC_F_MAX, arg[0], itc_formula_const(ctx, 0), NULL);
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
    .as_formula = relu_formula,
    .selects = true,
    .infer = itc_infer_same_real,
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
    return itc_grad_add_shaped(b, n, 0, dx);
}

static itc_status mask_infer(itc_graph *g, itc_node *n)
{
    ITC_TRY(itc_operand_real(g, n, 0));
    return itc_infer_broadcast(g, n);
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
    .infer = mask_infer,
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
    .infer = itc_infer_same_real,
};

/** max(x, 0) + slope * min(x, 0). */
static itc_status prelu_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    itc_node *relu = NULL, *product = NULL;
    itc_type t;
    ITC_TRY(itc_infer_broadcast(g, n));
    t = n->out[0]->type;
    if (!itc_type_equal(&t, &n->in[0]->type)) {
        return itc_error(g->ctx, n, ITC_SHAPE, "E0240", "a slope of %s does not broadcast to %s",
                         itc_type_text(g->ctx, &n->in[1]->type),
                         itc_type_text(g->ctx, &n->in[0]->type));
    }
    ITC_TRY(itc_build(g, &itc_op_Relu, n, 1, n->in, 1, &relu));
    itc_node *below = itc_node_new(g, &itc_op_Clip, n, 1, n->in, 1);
    itc_set_float(g, below, "max", 0);
    ITC_TRY(itc_infer(g, below));
    ITC_TRY(itc_build(g, &itc_op_Mul, n, 2, (itc_value *[]){below->out[0], n->in[1]}, 1, &product));
    return itc_combine_build(g, n, 2, (itc_value *[]){relu->out[0], product->out[0]},
                             (const double[]){1, 1}, out);
}

static const uint8_t prelu_versions[] = {1, 6, 7, 9, 16, 0};
static const itc_role_in prelu_roles[] = {ITC_IN_DATA, ITC_IN_PARAM};

const itc_op_def itc_op_PRelu = {
    .name = "PRelu",
    .domain = "",
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 7,
    .versions = prelu_versions,
    .roles = prelu_roles,
    .summary = "as Relu, Clip, Mul and Combine; the slope is trained",
    .normalize = prelu_normalize,
    .infer = itc_infer_broadcast,
};

/* ---- Clip ---- */

/** Of integers: the larger of operand and lower bound, then the smaller of that and the upper. */
static itc_status clip_integers(itc_graph *g, itc_node *n, itc_value **out)
{
    itc_value *in[2] = {n->in[0]};
    for (int i = 1; i < n->n_in; i++) {
        in[1] = n->in[i];
        if (in[1]) {
            ITC_TRY(itc_apply(g, n, i == 1 ? &itc_op_Max : &itc_op_Min, 2, in, &in[0]));
        }
    }
    out[0] = in[0];
    return ITC_OK;
}

/** Bounds from attributes (opset < 11) or constant operands; absent ones are infinite. */
static itc_status clip_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    double bound[2] = {itc_float(n, "min"), itc_float(n, "max")};
    if (itc_is_plain(&n->in[0]->type)) {
        return clip_integers(g, n, out);
    }
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
    /* of a lower bound above the upper one, ONNX takes the upper one for all */
    itc_set_float(g, m, "min", bound[0] > bound[1] ? bound[1] : bound[0]);
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
    return itc_infer_same_real(g, n);
}

static const itc_formula *clip_formula(itc_ctx *ctx, const itc_node *n,
                                       const itc_formula *const *arg)
{
    const double lo = itc_float(n, "min"), hi = itc_float(n, "max");
    const itc_formula *f = arg[0];
    if (lo > -(double)FLT_MAX) {
        f = itc_formula_make(ctx, ITC_F_MAX, f, itc_formula_const(ctx, lo), NULL);
    }
    if (hi < (double)FLT_MAX) {
        f = itc_formula_make(ctx, ITC_F_MIN, f, itc_formula_const(ctx, hi), NULL);
    }
    return f;
}

static itc_status clip_grad(itc_grad *b, const itc_node *n)
{
    itc_value *dx = NULL;
    itc_node *m = NULL;
    /* of the result: it lies between the bounds where x does, and x is free then */
    itc_value *in[2] = {n->out[0], itc_grad_of(b, n, 0)};
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
    .kinds = ITC_KIND_NUMBER,
    .as_formula = clip_formula,
    .selects = true,
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
    const int bits = itc_lower_operand_bits(l);
    const itc_value *y = n->in[0];
    itc_value *in[2] = {0};
    itc_node *m = NULL;
    if (y->def && y->def->op == &itc_op_Clip && itc_lower_demand(l, y) > bits) {
        y = y->def->in[0]; /* narrowed on its own grid, what is near a bound could reach it */
    }
    ITC_TRY(itc_lower_get_wide(l, n, y, bits, &in[0]));
    ITC_TRY(itc_lower_get_wide(l, n, n->in[1], bits, &in[1]));
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
/** The mask of a dropout that drops nothing. */
static itc_status all_kept(itc_graph *g, const itc_node *n, itc_value **out)
{
    itc_type t = n->in[0]->type;
    itc_tensor *one = itc_tensor_new(g->ctx, ITC_BOOL, 0, NULL);
    *(uint8_t *)one->data = 1;
    itc_value *c = itc_const_new(g, itc_format(g->ctx, "%s.kept", n->out[0]->name), one);
    c->reason = "nothing is dropped";
    t.dtype = ITC_BOOL;
    return itc_repeat_build(g, n, c, &t, out);
}

static itc_status dropout_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    const bool ours =
        n->onnx_version == 0 || (n->n_in == 1 && n->n_out == 2 && n->out[1]->type.known);
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
    const bool masks = n->n_out > 1 && n->out[1] != NULL;
    if (!active || !(ratio > 0)) {
        out[0] = n->in[0];
        return masks ? all_kept(g, n, &out[1]) : ITC_OK;
    }
    itc_graph_count_uses(g);
    if (masks && n->out[1]->n_uses > 0) {
        return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0201",
                         "output mask of an active Dropout is not supported");
    }
    itc_node *m = itc_node_new(g, &itc_op_Dropout, n, 1, n->in, 2);
    itc_set_float(g, m, "ratio", ratio);
    ITC_TRY(itc_infer(g, m));
    out[0] = m->out[0];
    return ITC_OK;
}

static itc_status dropout_infer(itc_graph *g, itc_node *n)
{
    ITC_TRY(itc_infer_same_real(g, n));
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
    itc_arg_int(e, "site",
                n->site ? n->site : (uint32_t)n->import_id << 8 | (uint32_t)ITC_ROLE_MASK << 4);
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
