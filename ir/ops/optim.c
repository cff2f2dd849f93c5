/*
 * What optimizers with a divisor of their own for each element need beside sums
 * (passes/optimizer.c).
 *
 * MeanSquare is the running mean of squares v' = (1 - decay) v + rate g^2; on integers a formal sum
 * with a product in it, so that it is rounded once. It is kept with 31 bits whatever --state-bits
 * says: its root then has 15, as many as what it divides.
 * RootDiv is k x / (sqrt(v) + eps), with Adam's corrections for the first steps in k and, unless it
 * is eps_hat, in eps; what it computes on integers is NUMERICS.md, "Roots".
 * Sources: torch.optim.Adam, AdamW, RMSprop, Adagrad; ai.onnx.preview.training Adam-1; numerics
 * N16.
 */
#include <math.h>

#include "codegen/emit.h"
#include "ir/ops/util.h"
#include "passes/lower.h"
#include "passes/plan.h"

enum { SQUARE_BITS = 31 };

/* ---- MeanSquare ---- */

static itc_status same_as_first(itc_graph *g, itc_node *n)
{
    if (n->in[1]->type.dtype != n->in[0]->type.dtype && n->in[1]->type.dtype == ITC_F32) {
        return itc_operand_real(g, n, 0);
    }
    n->out[0]->type = n->in[0]->type;
    return ITC_OK;
}

/** The slot's start, quantised like other state, with SQUARE_BITS: exact. */
static void widen(itc_ctx *ctx, itc_value *v)
{
    const int up = SQUARE_BITS - v->type.bits;
    itc_tensor *t = itc_tensor_new(ctx, ITC_I32, v->data->rank, v->data->dim);
    int64_t any = 0;
    for (int64_t i = 0; i < t->count; i++) {
        const int64_t m = itc_tensor_get_int(v->data, i);
        ((int32_t *)t->data)[i] = (int32_t)(m * ((int64_t)1 << up));
        any |= m;
    }
    v->init_exp = any != 0 ? v->init_exp - up : -SQUARE_BITS;
    v->data = t;
    v->type.dtype = ITC_I32;
    v->type.bits = SQUARE_BITS;
}

static itc_status mean_square_lower(itc_lower *l, const itc_node *n)
{
    itc_value *v = n->in[0], *g = NULL;
    const double decay = itc_float(n, "decay"), rate = itc_float(n, "rate");
    widen(itc_lower_graph(l)->ctx, v);
    ITC_TRY(itc_lower_get(l, n, n->in[1], itc_lower_wide_bits(l), &g));
    /* v - decay * v: both terms by the same rounded coefficient, so that no constant drifts */
    const itc_sum_term term[3] = {{.x = v, .c = {1, ITC_SYM_NONE}},
                                  {.x = g, .c = {rate, ITC_SYM_NONE}, .f = g},
                                  {.x = v, .c = {-decay, ITC_SYM_NONE}}};
    itc_lower_set_terms(l, n->out[0], decay > 0 ? 3 : 2, term);
    itc_lower_keep(l, n->out[0]);
    return ITC_OK;
}

static itc_status mean_square_emit(itc_emit *e, const itc_node *n)
{
    const itc_expr *g = itc_x_load(e, 1);
    const itc_expr *old =
        itc_x(e, ITC_X_MUL, itc_x_const(e, 1 - itc_float(n, "decay")), itc_x_load(e, 0), NULL);
    const itc_expr *square = itc_x(e, ITC_X_MUL, itc_x_const(e, itc_float(n, "rate")),
                                   itc_x(e, ITC_X_MUL, g, g, NULL), NULL);
    return itc_emit_loop(e, n, n->out[0], 2, n->in, itc_x(e, ITC_X_ADD, old, square, NULL));
}

static const itc_attr_spec mean_square_attrs[] = {{.name = "decay", .kind = ITC_ATTR_FLOAT},
                                                  {.name = "rate", .kind = ITC_ATTR_FLOAT, .f = 1},
                                                  {0}};

const itc_op_def itc_op_MeanSquare = {
    .name = "MeanSquare",
    .domain = "intrain",
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = ITC_OP_INTERNAL,
    .attrs = mean_square_attrs,
    .summary = "(1 - decay) * operand 0 + rate * the square of operand 1",
    .infer = same_as_first,
    .demand = ITC_DEMAND_WIDE,
    .lower = mean_square_lower,
    .emit = mean_square_emit,
    .in_place = 1,
};

/* ---- RootDiv ---- */

static itc_status root_div_infer(itc_graph *g, itc_node *n)
{
    ITC_TRY(itc_operand_real(g, n, 0));
    ITC_TRY(itc_operand_real(g, n, 1));
    n->out[0]->type = n->in[0]->type;
    if (n->in[0]->type.dtype != ITC_F32) {
        n->out[0]->type.dtype = ITC_I32;
        n->out[0]->type.bits = 31;
        n->out[0]->type.exp_axis = -1;
    }
    return ITC_OK;
}

static itc_status root_div_lower(itc_lower *l, const itc_node *n)
{
    itc_value *in[2] = {0};
    itc_node *m = NULL;
    ITC_TRY(itc_lower_get_wide(l, n, n->in[0], itc_lower_wide_bits(l), &in[0]));
    ITC_TRY(itc_lower_get(l, n, n->in[1], SQUARE_BITS, &in[1]));
    ITC_TRY(itc_lower_build(l, n, n->op, 2, in, 1, &m));
    itc_lower_set(l, n->out[0], m->out[0]);
    return ITC_OK;
}

static itc_status root_div_plan(itc_plan *p, itc_node *n)
{
    itc_plan_fit(p, n->out[0]);
    return ITC_OK;
}

/** A number as a mantissa of 31 bits and an exponent, to nearest. */
static void give_scalar(itc_emit *e, const char *mantissa, const char *exponent, double v)
{
    int exp = 0;
    int64_t m = llrint(ldexp(frexp(v, &exp), 31));
    if (m == (int64_t)1 << 31) {
        m >>= 1;
        exp++;
    }
    itc_arg_int(e, mantissa, m);
    itc_arg_int(e, exponent, m != 0 ? exp - 31 : 0);
}

static itc_status root_div_emit(itc_emit *e, const itc_node *n)
{
    static const char *const name[] = {"beta1", "beta2", "eps"};
    itc_dim count;
    if (!itc_type_count(&n->out[0]->type, &count)) {
        return ITC_INTERNAL;
    }
    ITC_TRY(itc_emit_call(e, n, "root_div", 3, (itc_value *[]){n->in[0], n->in[1], n->out[0]}));
    itc_arg_ptr(e, "x", n->in[0]);
    itc_arg_exp(e, "e_x", n->in[0]);
    itc_arg_ptr(e, "v", n->in[1]);
    itc_arg_exp(e, "e_v", n->in[1]);
    itc_arg_ptr(e, "y", n->out[0]);
    itc_arg_exp(e, "e_y", n->out[0]);
    itc_arg_dim(e, "n", count);
    for (int i = 0; i < 3; i++) {
        const double v = itc_float(n, name[i]);
        itc_ctx *ctx = itc_emit_ctx(e);
        give_scalar(e, itc_format(ctx, "%s_m", name[i]), itc_format(ctx, "%s_e", name[i]), v);
        itc_arg_real(e, name[i], v);
    }
    itc_arg_int(e, "eps_hat", itc_int(n, "eps_hat"));
    itc_arg_int(e, "first", itc_int(n, "first"));
    return ITC_OK;
}

static const itc_attr_spec root_div_attrs[] = {
    {.name = "beta1", .kind = ITC_ATTR_FLOAT},       {.name = "beta2", .kind = ITC_ATTR_FLOAT},
    {.name = "eps", .kind = ITC_ATTR_FLOAT},         {.name = "eps_hat", .kind = ITC_ATTR_INT},
    {.name = "first", .kind = ITC_ATTR_INT, .i = 1}, {0}};

const itc_op_def itc_op_RootDiv = {
    .name = "RootDiv",
    .domain = "intrain",
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = ITC_OP_INTERNAL,
    .attrs = root_div_attrs,
    .summary =
        "operand 0 over (the root of operand 1, plus eps), corrected for the step by the betas",
    .infer = root_div_infer,
    .demand = ITC_DEMAND_WIDE,
    .lower = root_div_lower,
    .plan = root_div_plan,
    .emit = root_div_emit,
};
