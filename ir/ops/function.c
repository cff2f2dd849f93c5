/*
 * Functions of one element: Map, whose attribute is a formula (ir/formula.h), and its gradient.
 *
 * The rows of ONNX's operators (activation.c) state their formulas; itc_function_normalize brings
 * them to Map. From the formula follow
 *   - the float32 loop, and the folded constant;
 *   - on integers the value of each mantissa at its exponent, rounded once to 15 bits (kernel
 *     `formula`, NUMERICS.md "Formulas"); tanh, sigmoid and their slopes have kernels of their own,
 *     with results in Q15;
 *   - the gradient dx = dy * f'(x): f' is again a Map, evaluated at the same mantissas as the
 *     forward pass took; the product is exact and rounded once.
 */
#include <math.h>
#include <string.h>

#include "codegen/formula_code.h"
#include "ir/ops/util.h"
#include "ir/text.h"
#include "passes/grad.h"
#include "passes/lower.h"
#include "passes/plan.h"

enum { MAP_BITS = 15 };

/** Functions whose results are at most 1 and have a kernel that knows it. */
static const char *kernel_of(const itc_node *n)
{
    static const struct {
        const char *formula, *kernel;
    } table[] = {{"tanh(x)", "tanh"},
                 {"sigmoid(x)", "sigmoid"},
                 {"tanh_slope(x)", "tanh_slope"},
                 {"sigmoid_slope(x)", "sigmoid_slope"}};
    const char *f = itc_string(n, "f");
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (strcmp(f, table[i].formula) == 0) {
            return table[i].kernel;
        }
    }
    return NULL;
}

static itc_status parse(itc_graph *g, const itc_node *n, const char *text, const itc_formula **f)
{
    const char *wrong = NULL;
    *f = itc_formula_parse(g->ctx, text, &wrong);
    return *f ? ITC_OK
              : itc_error(g->ctx, n, ITC_PARSE, "E0250", "\"%s\" is no formula from \"%.20s\" on",
                          text, wrong);
}

static itc_status formula(itc_graph *g, const itc_node *n, const itc_formula **f)
{
    return parse(g, n, itc_string(n, "f"), f);
}

/* ---- ONNX's operators ---- */

/** The row's formula with the attributes' numbers in place of their names. */
static const char *formula_text(itc_graph *g, const itc_node *n)
{
    itc_strbuf b;
    itc_strbuf_init(&b, g->ctx);
    for (const char *p = n->op->formula; *p; p++) {
        const char *end = *p == '{' ? strchr(p, '}') : NULL;
        if (!end) {
            itc_strbuf_add_n(&b, p, 1);
            continue;
        }
        itc_strbuf_add(&b, "(");
        itc_text_number(&b, itc_float(n, itc_strndup(g->ctx, p + 1, (size_t)(end - p - 1))));
        itc_strbuf_add(&b, ")");
        p = end;
    }
    return b.text;
}

static itc_status build(itc_graph *g, const itc_node *origin, const itc_op_def *op,
                        const char *text, itc_value *x, itc_value **out)
{
    const itc_formula *f = NULL;
    ITC_TRY(parse(g, origin, text, &f));
    itc_node *m = itc_node_new(g, op, origin, 1, &x, 1);
    itc_set_string(g, m, "f", itc_formula_text(g->ctx, f));
    ITC_TRY(itc_infer(g, m));
    *out = m->out[0];
    return ITC_OK;
}

itc_status itc_map_build(itc_graph *g, const itc_node *origin, const char *text, itc_value *x,
                         itc_value **out)
{
    return build(g, origin, &itc_op_Map, text, x, out);
}

itc_status itc_map_wide_build(itc_graph *g, const itc_node *origin, const char *text, itc_value *x,
                              itc_value **out)
{
    return build(g, origin, &itc_op_MapWide, text, x, out);
}

itc_status itc_function_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    ITC_TRY(itc_infer_same_real(g, n));
    return itc_map_build(g, n, formula_text(g, n), n->in[0], out);
}

itc_status itc_fold_formula(itc_graph *g, itc_node *n, const char *text, itc_tensor **out)
{
    const itc_tensor *x = itc_operand_const(n, 0);
    const itc_formula *f = NULL;
    out[0] = NULL;
    if (!x || !x->data) {
        return ITC_OK;
    }
    ITC_TRY(parse(g, n, text, &f));
    f = itc_formula_expand(g->ctx, f, false);
    itc_tensor *y = itc_tensor_new(g->ctx, x->dtype, x->rank, x->dim);
    for (int64_t i = 0; i < x->count; i++) {
        const double v = itc_formula_eval(f, itc_tensor_get(x, i));
        const bool plain = x->dtype == ITC_F32 || (fabs(v) <= 9007199254740992.0 && floor(v) >= v);
        if (itc_tensor_flag(x, i) || !plain ||
            !itc_tensor_set_int(g->ctx, y, i, x->dtype == ITC_F32 ? 0 : (int64_t)v, false)) {
            return itc_error(g->ctx, n, ITC_RANGE, "E0227", "%s of %g has no integer value",
                             n->op->name, itc_tensor_get(x, i));
        }
        if (x->dtype == ITC_F32) {
            ((float *)y->data)[i] = (float)v;
        }
    }
    out[0] = y;
    return ITC_OK;
}

itc_status itc_function_fold(itc_graph *g, itc_node *n, itc_tensor **out)
{
    return itc_fold_formula(g, n, formula_text(g, n), out);
}

/* ---- Map ---- */

static itc_status map_infer(itc_graph *g, itc_node *n)
{
    const itc_formula *f = NULL;
    ITC_TRY(itc_operand_real(g, n, 0));
    ITC_TRY(formula(g, n, &f));
    itc_type t = n->in[0]->type;
    if (t.dtype != ITC_F32) {
        t.dtype = ITC_I16;
        t.bits = MAP_BITS;
    }
    n->out[0]->type = t;
    return ITC_OK;
}

static const itc_formula *map_formula(itc_ctx *ctx, const itc_node *n,
                                      const itc_formula *const *arg)
{
    const char *wrong = NULL;
    const itc_formula *f = itc_formula_parse(ctx, itc_string(n, "f"), &wrong);
    return f ? itc_formula_of(ctx, f, arg[0]) : NULL;
}

static itc_status map_fold(itc_graph *g, itc_node *n, itc_tensor **out)
{
    return itc_fold_formula(g, n, itc_string(n, "f"), out);
}

static itc_status map_grad(itc_grad *b, const itc_node *n)
{
    itc_value *dx = NULL;
    itc_node *m = NULL;
    itc_value *in[2] = {itc_grad_of(b, n, 0), n->in[0]};
    ITC_TRY(itc_grad_build(b, n, &itc_op_MapGrad, 2, in, &m, &dx));
    itc_set_string(itc_grad_graph(b), m, "f", itc_string(n, "f"));
    if (n->op == &itc_op_MapWide) {
        itc_set_int(itc_grad_graph(b), m, "wide", 1);
    }
    return itc_grad_add(b, n, 0, dx);
}

static itc_status map_plan(itc_plan *p, itc_node *n)
{
    if (kernel_of(n)) {
        itc_plan_constant(p, n->out[0], -MAP_BITS);
    } else {
        itc_plan_fit(p, n->out[0]);
    }
    return ITC_OK;
}

static itc_status map_call(itc_emit *e, const itc_node *n, const itc_formula *f)
{
    itc_dim count;
    const int32_t *code = NULL;
    int words = 0;
    const char *kernel = kernel_of(n);
    if (!itc_type_count(&n->out[0]->type, &count)) {
        return ITC_INTERNAL;
    }
    ITC_TRY(
        itc_emit_call(e, n, kernel ? kernel : "formula", 2, (itc_value *[]){n->in[0], n->out[0]}));
    itc_arg_ptr(e, "x", n->in[0]);
    itc_arg_exp(e, "e_x", n->in[0]);
    itc_arg_ptr(e, "y", n->out[0]);
    itc_arg_dim(e, "n", count);
    if (!kernel) {
        ITC_TRY(itc_formula_program(itc_emit_ctx(e), n, f, &code, &words));
        itc_arg_code(e, "code", words, code);
        itc_arg_exp(e, "e_y", n->out[0]);
    }
    return ITC_OK;
}

static itc_status map_emit(itc_emit *e, const itc_node *n)
{
    const itc_formula *f = NULL;
    ITC_TRY(formula(itc_emit_graph(e), n, &f));
    if (n->out[0]->type.dtype != ITC_F32) {
        return map_call(e, n, f);
    }
    return itc_emit_loop(e, n, n->out[0], 1, n->in, itc_formula_expr(e, f, itc_x_load(e, 0)));
}

static const itc_attr_spec map_attrs[] = {
    {.name = "f", .kind = ITC_ATTR_STRING, .required = true, .s = "x"}, {0}};

const itc_op_def itc_op_Map = {
    .name = "Map",
    .domain = "intrain",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = ITC_OP_INTERNAL,
    .attrs = map_attrs,
    .summary = "formula f of each element; 15 bits on integers",
    .as_formula = map_formula,
    .fold = map_fold,
    .infer = map_infer,
    .grad = map_grad,
    .lower = itc_lower_linear,
    .plan = map_plan,
    .emit = map_emit,
};

/** As Map, of operands of 15 bits: coordinates, of which the fraction counts. */
const itc_op_def itc_op_MapWide = {
    .name = "MapWide",
    .domain = "intrain",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = ITC_OP_INTERNAL,
    .attrs = map_attrs,
    .summary = "formula f of each element, which has 15 bits on integers",
    .fold = map_fold,
    .infer = map_infer,
    .grad = map_grad,
    .demand = ITC_DEMAND_WIDE,
    .lower = itc_lower_wide,
    .plan = map_plan,
    .emit = map_emit,
};

/* ---- MapGrad: dy * f'(x) ---- */

static itc_status grad_infer(itc_graph *g, itc_node *n)
{
    const itc_formula *f = NULL;
    n->out[0]->type = n->in[0]->type;
    return formula(g, n, &f);
}

static itc_status grad_lower(itc_lower *l, const itc_node *n)
{
    itc_graph *g = itc_lower_graph(l);
    const itc_formula *f = NULL;
    itc_value *x = NULL, *dy = NULL, *slope = NULL;
    ITC_TRY(formula(g, n, &f));
    ITC_TRY(itc_lower_get(l, n, n->in[0], itc_lower_operand_bits(l), &dy));
    ITC_TRY(itc_int(n, "wide") != 0 ? itc_lower_get_wide(l, n, n->in[1], itc_lower_wide_bits(l), &x)
                                    : itc_lower_get(l, n, n->in[1], itc_lower_operand_bits(l), &x));
    g->insert = n->section;
    ITC_TRY(itc_map_build(g, n, itc_formula_text(g->ctx, itc_formula_slope(g->ctx, f)), x, &slope));
    itc_lower_set_pair(l, n->out[0], dy, slope);
    return ITC_OK;
}

static itc_status grad_emit(itc_emit *e, const itc_node *n)
{
    const itc_formula *f = NULL;
    ITC_TRY(formula(itc_emit_graph(e), n, &f));
    f = itc_formula_slope(itc_emit_ctx(e), f);
    const itc_expr *slope = itc_formula_expr(e, f, itc_x_load(e, 1));
    return itc_emit_loop(e, n, n->out[0], 2, n->in,
                         itc_x(e, ITC_X_MUL, itc_x_load(e, 0), slope, NULL));
}

static const itc_attr_spec map_grad_attrs[] = {
    {.name = "f", .kind = ITC_ATTR_STRING, .required = true, .s = "x"},
    {.name = "wide", .kind = ITC_ATTR_INT},
    {0}};

const itc_op_def itc_op_MapGrad = {
    .name = "MapGrad",
    .domain = "intrain",
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = ITC_OP_INTERNAL,
    .attrs = map_grad_attrs,
    .summary = "operand 0 times the slope of f at operand 1",
    .infer = grad_infer,
    .lower = grad_lower,
    .emit = grad_emit,
    .in_place = 1,
};
