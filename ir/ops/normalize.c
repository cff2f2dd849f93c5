/*
 * Normalisation over slices: what BatchNormalization, LayerNormalization and their relatives
 * (norm.c) become.
 *
 *     xhat = (x - mean) * scale,  scale = 1 / sqrt(var + eps),  a slice
 *     dx = scale * (dxhat - mean(dxhat) - xhat * mean(dxhat * xhat))
 *
 * mean and var are those of the elements of a slice: the axes `axes` are averaged over, the others
 * count slices. With center=0 the mean is taken as 0 (RMS normalisation).
 *
 * On integers only what is computed once a slice has kernels of its own. The tensors themselves are
 * formal sums: xhat = x * scale + shift of the exact x (an accumulator of a convolution, say), and
 * dx = dxhat * a + xhat * b + c; so a convolution, its normalisation, scale, bias and a residual
 * addition are rounded once. A factor of dxhat that is one number a slice (gamma) goes into a, b,
 * c. Sources: Ioffe and Szegedy 2015 (algorithm 1); its derivative; NUMERICS.md, "Normalisation".
 */
#include <math.h>

#include "codegen/emit.h"
#include "ir/ops/util.h"
#include "passes/grad.h"
#include "passes/lower.h"
#include "passes/plan.h"

enum {
    WORK_NUMBERS = 8,   /* of a slice, for the kernels */
    STATS_EXTREMES = 5, /* which output they are */
    SHIFT_BITS = 30,
    NARROW_SCALE = 21, /* times 7 bits: sums of three such products fit 32 bits */
    WIDE_SCALE = 30,
    PRODUCT_ROOM = 58
};

/** x as [outer, slices, inner]. */
typedef struct slices {
    uint32_t mask; /**< axes that are averaged over */
    itc_dim outer, slices, inner;
} slices;

static itc_status slices_of(itc_graph *g, const itc_node *n, const itc_type *x, slices *s)
{
    const itc_tensor *axes = NULL;
    itc_dim dim[3][ITC_MAX_RANK];
    int count[3] = {0}, part = 0;
    ITC_TRY(itc_operand_list(g, n, "axes", n->n_in, &axes));
    ITC_TRY(itc_axes_mask(g, n, axes, x->rank, &s->mask));
    for (int i = 0; i < x->rank; i++) {
        const bool kept = (s->mask >> i & 1) == 0;
        part = kept && part == 0 ? 1 : !kept && part == 1 ? 2 : part;
        if (kept && part == 2) {
            return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0222",
                             "the axes that are not averaged over must be neighbours");
        }
        dim[part][count[part]++] = x->dim[i];
    }
    itc_dim all;
    if (!itc_dims_product(count[0], dim[0], &s->outer) ||
        !itc_dims_product(count[1], dim[1], &s->slices) ||
        !itc_dims_product(count[2], dim[2], &s->inner) ||
        !itc_dims_product(2, (const itc_dim[]){s->outer, s->inner}, &all) ||
        all.size * (all.batch ? itc_graph_rows(g) : 1) > INT32_MAX) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0226", "%s is too large",
                         itc_type_text(g->ctx, x));
    }
    return ITC_OK;
}

/** x with extent 1 on the axes that are averaged over. */
static itc_type per_slice(const itc_type *x, const slices *s, itc_dtype dtype, int bits)
{
    itc_type t = *x;
    for (int i = 0; i < t.rank; i++) {
        if ((s->mask >> i & 1) != 0) {
            t.dim[i] = (itc_dim){1, false};
        }
    }
    t.dtype = dtype;
    t.bits = (uint8_t)bits;
    t.exp_axis = -1;
    return t;
}

static itc_type work_type(const slices *s)
{
    return itc_type_make(ITC_I64, 2, (const itc_dim[]){s->slices, {WORK_NUMBERS, false}});
}

static void emit_extents(itc_emit *e, const slices *s)
{
    itc_arg_dim(e, "outer", s->outer);
    itc_arg_dim(e, "slices", s->slices);
    itc_arg_dim(e, "inner", s->inner);
}

static void emit_epsilon(itc_emit *e, const itc_node *n)
{
    const float eps = (float)itc_float(n, "epsilon");
    int exponent = 0;
    const int32_t m = (int32_t)ldexp(frexp((double)eps, &exponent), 24); /* a float: exact */
    itc_arg_int(e, "eps_m", m);
    itc_arg_int(e, "eps_e", m != 0 ? exponent - 24 : 0);
}

/** An argument and its exponent; neither where the output is absent. */
static void emit_pair(itc_emit *e, const char *field, const itc_value *v)
{
    itc_arg_ptr(e, field, v);
    itc_arg_exp(e, itc_format(itc_emit_ctx(e), "e_%s", field), v);
}

static itc_status plan_outputs(itc_plan *p, itc_node *n)
{
    for (int i = 0; i < n->n_out; i++) {
        if (n->out[i] && n->out[i]->type.bits > 0) {
            itc_plan_fit(p, n->out[i]);
        }
    }
    return ITC_OK;
}

/* ---- Normalize ---- */

static itc_status normalize_infer(itc_graph *g, itc_node *n)
{
    const itc_type *x = &n->in[0]->type;
    slices s;
    ITC_TRY(slices_of(g, n, x, &s));
    if (!(itc_float(n, "epsilon") >= 0)) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0222", "epsilon is %g", itc_float(n, "epsilon"));
    }
    n->out[0]->type = *x;
    for (int i = 1; i < n->n_out; i++) {
        if (n->out[i]) {
            n->out[i]->type = per_slice(x, &s, ITC_F32, 0);
        }
    }
    return ITC_OK;
}

static itc_status normalize_grad(itc_grad *b, const itc_node *n)
{
    itc_graph *g = itc_grad_graph(b);
    itc_value *in[3] = {itc_grad_of(b, n, 0), n->out[0], n->out[1]};
    if (!in[0] || !itc_grad_wanted(b, n, 0)) {
        return ITC_OK;
    }
    itc_node *dx = itc_node_new(g, &itc_op_NormalizeGrad, n, 3, in, 1);
    itc_attr_copy(g, dx, n, "axes");
    itc_attr_copy(g, dx, n, "center");
    ITC_TRY(itc_infer(g, dx));
    return itc_grad_add(b, n, 0, dx->out[0]);
}

/** At hand in `prepare`: statistics may be inputs of the model. */
static bool is_state(const itc_value *v)
{
    const bool port = v->kind == ITC_VALUE_INPUT || v->kind == ITC_VALUE_TARGET;
    return v->kind == ITC_VALUE_NODE ? v->def->section == ITC_PREPARE : !port;
}

/** With running statistics, evaluation is x * scale + shift with numbers that `prepare` computes;
 * without, a sample's own statistics are used. */
static itc_status normalize_infer_form(itc_graph *g, itc_node *n, itc_value **out)
{
    if (n->n_in < 3 || !n->in[1] || !n->in[2]) {
        return ITC_OK;
    }
    const itc_section home = g->insert;
    g->insert = is_state(n->in[1]) && is_state(n->in[2]) ? ITC_PREPARE : home;
    itc_node *m = itc_node_new(g, &itc_op_NormScale, n, 2, n->in + 1, 3);
    itc_attr_copy(g, m, n, "epsilon");
    ITC_TRY(itc_infer(g, m));
    slices s;
    ITC_TRY(slices_of(g, n, &n->in[0]->type, &s));
    const itc_type shape = per_slice(&n->in[0]->type, &s, ITC_F32, 0);
    itc_value *factor[2] = {0};
    for (int i = 0; i < 2; i++) {
        ITC_TRY(itc_view_build(g, n, m->out[i], &shape, &factor[i]));
    }
    g->insert = home;
    itc_node *product = NULL;
    ITC_TRY(itc_build(g, &itc_op_Mul, n, 2, (itc_value *[]){n->in[0], factor[0]}, 1, &product));
    return itc_combine_build(g, n, 2, (itc_value *[]){product->out[0], factor[1]},
                             (const double[]){1, 1}, &out[0]);
}

static itc_status normalize_lower(itc_lower *l, const itc_node *n)
{
    itc_value *x = NULL;
    itc_node *m = NULL;
    ITC_TRY(itc_lower_get(l, n, n->in[0], 31, &x));
    ITC_TRY(itc_lower_build(l, n, &itc_op_NormStats, 1, &x, 5, &m));
    const itc_sum_term xhat[2] = {{.x = x, .c = {1, ITC_SYM_NONE}, .f = m->out[0]},
                                  {.x = m->out[1], .c = {1, ITC_SYM_NONE}}};
    itc_lower_set_terms(l, n->out[0], 2, xhat);
    static const int from[] = {0, 0, 3,
                               4}; /* outputs of NormStats: scale, shift, work, mean, var */
    for (int i = 1; i < n->n_out; i++) {
        if (n->out[i]) {
            itc_lower_set(l, n->out[i], m->out[from[i]]);
            itc_lower_keep(l, n->out[i]);
        }
    }
    return ITC_OK;
}

static itc_status normalize_emit(itc_emit *e, const itc_node *n)
{
    slices s;
    ITC_TRY(slices_of(itc_emit_graph(e), n, &n->in[0]->type, &s));
    ITC_TRY(itc_emit_call(e, n, "norm", 1, n->in));
    itc_arg_ptr(e, "x", n->in[0]);
    itc_arg_ptr(e, "xhat", NULL);
    itc_arg_ptr(e, "y", n->out[0]);
    itc_arg_ptr(e, "scale", n->out[1]);
    itc_arg_ptr(e, "mean", n->n_out > 2 ? n->out[2] : NULL);
    itc_arg_ptr(e, "var", n->n_out > 3 ? n->out[3] : NULL);
    emit_extents(e, &s);
    itc_arg_int(e, "center", itc_int(n, "center"));
    itc_arg_real(e, "eps", (double)(float)itc_float(n, "epsilon"));
    return ITC_OK;
}

static const itc_attr_spec normalize_attrs[] = {
    {.name = "axes", .kind = ITC_ATTR_INTS, .required = true},
    {.name = "epsilon", .kind = ITC_ATTR_FLOAT},
    {.name = "center", .kind = ITC_ATTR_INT, .i = 1},
    {0}};

/**
 * Normalisation: outputs xhat, scale, and the statistics mean and var times the rows of the call
 * where the slices do not count them (so that they add over micro-batches).
 * Shapes  x [outer axes, slice axes, inner axes]; xhat as x; the others with extent 1 on `axes`.
 *         Operands 1 and 2, optional: running mean and variance for evaluation, [slices]
 */
const itc_op_def itc_op_Normalize = {
    .name = "Normalize",
    .domain = "intrain",
    .in_min = 1,
    .in_max = 3,
    .out_min = 2,
    .out_max = 4,
    .flags = ITC_OP_INTERNAL | ITC_OP_SUM,
    .attrs = normalize_attrs,
    .summary = "(x - mean) / sqrt(var + eps) over `axes`; also the scale and the statistics",
    .infer = normalize_infer,
    .grad = normalize_grad,
    .infer_form = normalize_infer_form,
    .demand = ITC_DEMAND_EXACT,
    .lower = normalize_lower,
    .emit = normalize_emit,
};

/* ---- NormStats: on integers ---- */

static itc_status stats_infer(itc_graph *g, itc_node *n)
{
    const itc_type *x = &n->in[0]->type;
    slices s;
    ITC_TRY(itc_operand_real(g, n, 0));
    ITC_TRY(slices_of(g, n, x, &s));
    const int room = PRODUCT_ROOM - x->bits;
    const int bits = x->bits <= 8 ? NARROW_SCALE : room < WIDE_SCALE ? room : WIDE_SCALE;
    for (int i = 0; i < n->n_out && i < STATS_EXTREMES; i++) {
        if (n->out[i]) {
            n->out[i]->type =
                i == 2 ? work_type(&s) : per_slice(x, &s, ITC_I32, i == 0 ? bits : SHIFT_BITS);
        }
    }
    return ITC_OK;
}

static itc_value *stats_extremes(itc_graph *g, const itc_node *n, uint32_t *axes)
{
    slices s;
    if (slices_of(g, n, &n->in[0]->type, &s) != ITC_OK) {
        return NULL;
    }
    *axes = s.mask;
    return n->in[0];
}

static itc_status stats_emit(itc_emit *e, const itc_node *n)
{
    slices s;
    ITC_TRY(slices_of(itc_emit_graph(e), n, &n->in[0]->type, &s));
    ITC_TRY(itc_emit_call(e, n, "norm_stats", 1, n->in));
    emit_pair(e, "x", n->in[0]);
    itc_arg_ptr(e, "work", n->out[2]);
    emit_pair(e, "scale", n->out[0]);
    emit_pair(e, "shift", n->out[1]);
    emit_pair(e, "mean", n->out[3]);
    emit_pair(e, "var", n->out[4]);
    itc_arg_ptr(e, "extremes", n->n_out > STATS_EXTREMES ? n->out[STATS_EXTREMES] : NULL);
    emit_extents(e, &s);
    itc_arg_int(e, "bits_x", n->in[0]->type.bits);
    itc_arg_int(e, "bits", n->out[0]->type.bits);
    itc_arg_int(e, "center", itc_int(n, "center"));
    emit_epsilon(e, n);
    return ITC_OK;
}

const itc_op_def itc_op_NormStats = {
    .name = "NormStats",
    .domain = "intrain",
    .in_min = 1,
    .in_max = 1,
    .out_min = 5,
    .out_max = STATS_EXTREMES + 1,
    .flags = ITC_OP_INTERNAL,
    .attrs = normalize_attrs,
    .summary =
        "scale and shift with xhat = x * scale + shift, room to work in, mean and var; extremes",
    .infer = stats_infer,
    .extremes_of = stats_extremes,
    .plan = plan_outputs,
    .emit = stats_emit,
};

/* ---- NormScale: from running statistics ---- */

static itc_status scale_infer(itc_graph *g, itc_node *n)
{
    const itc_type *mean = &n->in[0]->type, *var = &n->in[1]->type;
    itc_dim count;
    if (!itc_type_equal(mean, var) || !itc_type_count(mean, &count)) {
        return itc_error(g->ctx, n, ITC_SHAPE, "E0203", "mean is %s, but var %s",
                         itc_type_text(g->ctx, mean), itc_type_text(g->ctx, var));
    }
    const bool is_float = mean->dtype == ITC_F32;
    const slices s = {.slices = count};
    for (int i = 0; i < 2; i++) {
        n->out[i]->type = *mean;
        n->out[i]->type.bits = (uint8_t)(is_float ? 0 : i == 0 ? 27 : SHIFT_BITS);
        n->out[i]->type.dtype = is_float ? ITC_F32 : ITC_I32;
    }
    n->out[2]->type = work_type(&s);
    return ITC_OK;
}

static itc_status scale_lower(itc_lower *l, const itc_node *n)
{
    itc_value *in[2] = {0};
    itc_node *m = NULL;
    for (int i = 0; i < 2; i++) {
        /* i32: a statistic that is a constant has fewer bits otherwise */
        ITC_TRY(itc_lower_get_wide(l, n, n->in[i], 31, &in[i]));
    }
    ITC_TRY(itc_lower_build(l, n, n->op, 2, in, 3, &m));
    for (int i = 0; i < 2; i++) {
        itc_lower_set(l, n->out[i], m->out[i]);
        itc_lower_keep(l, n->out[i]);
    }
    return ITC_OK;
}

static itc_status scale_emit(itc_emit *e, const itc_node *n)
{
    itc_dim count;
    if (!itc_type_count(&n->in[0]->type, &count)) {
        return ITC_INTERNAL;
    }
    const bool is_float = n->in[0]->type.dtype == ITC_F32;
    ITC_TRY(itc_emit_call(e, n, is_float ? "norm_scale_f32" : "norm_scale", 0, NULL));
    emit_pair(e, "mean", n->in[0]);
    emit_pair(e, "var", n->in[1]);
    itc_arg_ptr(e, "work", n->out[2]);
    emit_pair(e, "scale", n->out[0]);
    emit_pair(e, "shift", n->out[1]);
    itc_arg_dim(e, "slices", count);
    itc_arg_int(e, "bits", n->out[0]->type.bits);
    itc_arg_real(e, "eps", (double)(float)itc_float(n, "epsilon"));
    emit_epsilon(e, n);
    return ITC_OK;
}

static const itc_attr_spec epsilon_attrs[] = {{.name = "epsilon", .kind = ITC_ATTR_FLOAT}, {0}};

const itc_op_def itc_op_NormScale = {
    .name = "NormScale",
    .domain = "intrain",
    .in_min = 2,
    .in_max = 2,
    .out_min = 3,
    .out_max = 3,
    .flags = ITC_OP_INTERNAL,
    .attrs = epsilon_attrs,
    .summary = "scale and shift of a normalisation from its running mean and variance",
    .infer = scale_infer,
    .lower = scale_lower,
    .plan = plan_outputs,
    .emit = scale_emit,
};

/* ---- NormalizeGrad ---- */

static itc_status normalize_grad_infer(itc_graph *g, itc_node *n)
{
    (void)g;
    n->out[0]->type = n->in[0]->type;
    return ITC_OK;
}

/** Whether t repeats along every axis of x that is averaged over. */
static bool is_per_slice(const itc_type *t, const itc_type *x, const slices *s)
{
    for (int i = 0; i < x->rank; i++) {
        const int k = i - (x->rank - t->rank);
        if ((s->mask >> i & 1) != 0 && k >= 0 && (t->dim[k].batch || t->dim[k].size != 1)) {
            return false;
        }
    }
    return true;
}

static bool same_extents(itc_type a, const itc_type *b)
{
    a.dtype = b->dtype;
    return itc_type_equal(&a, b);
}

/** dxhat as mantissas times, perhaps, a factor that is one number a slice. */
static itc_status take_factor(itc_lower *l, const itc_node *n, const slices *s, itc_value **dy,
                              itc_value **factor)
{
    itc_sum_term t;
    *factor = NULL;
    if (itc_lower_take_product(l, n, n->in[0], &t) && t.c.symbol == ITC_SYM_NONE &&
        !(t.c.value < 1) && !(t.c.value > 1) && is_per_slice(&t.f->type, &n->in[0]->type, s) &&
        t.x->type.bits <= itc_lower_wide_bits(l) && same_extents(t.x->type, &n->in[0]->type)) {
        *dy = t.x;
        *factor = t.f;
        return ITC_OK;
    }
    return itc_lower_get(l, n, n->in[0], itc_lower_operand_bits(l), dy);
}

static itc_status slice_sum(itc_lower *l, const itc_node *n, const itc_op_def *op, int n_in,
                            itc_value *const *in, itc_value **out)
{
    itc_graph *g = itc_lower_graph(l);
    itc_node *m = itc_node_new(g, op, n, n_in, in, 1);
    itc_attr_copy(g, m, n, "axes");
    itc_set_int(g, m, "keepdims", 0); /* as the gradient of a bias has it: shared with that */
    ITC_TRY(itc_infer(g, m));
    *out = m->out[0];
    return ITC_OK;
}

static itc_status normalize_grad_lower(itc_lower *l, const itc_node *n)
{
    itc_graph *g = itc_lower_graph(l);
    slices s;
    itc_value *in[5] = {0}, *factor = NULL; /* sums of dy and dy * xhat, scale, dy, xhat */
    ITC_TRY(slices_of(g, n, &n->in[0]->type, &s));
    g->insert = n->section;
    ITC_TRY(take_factor(l, n, &s, &in[3], &factor));
    ITC_TRY(itc_lower_get(l, n, n->in[1], itc_lower_operand_bits(l), &in[4]));
    ITC_TRY(itc_lower_get(l, n, n->in[2], 31, &in[2]));
    if (factor) {
        const itc_sum_term t = {.x = in[2], .c = {1, ITC_SYM_NONE}, .f = factor};
        ITC_TRY(itc_lower_round(l, n, n->in[2], &t, WIDE_SCALE, &in[2]));
    }
    ITC_TRY(slice_sum(l, n, &itc_op_ReduceDot, 2, in + 3, &in[1]));
    in[0] = in[1];
    if (itc_int(n, "center") != 0) {
        ITC_TRY(slice_sum(l, n, &itc_op_ReduceSumTo, 1, in + 3, &in[0]));
    }
    itc_node *m = NULL;
    ITC_TRY(itc_lower_build(l, n, &itc_op_NormGrad, 5, in, 4, &m));
    const itc_coef one = {1, ITC_SYM_NONE};
    const itc_sum_term dx[3] = {{.x = in[3], .c = one, .f = m->out[0]},
                                {.x = in[4], .c = one, .f = m->out[1]},
                                {.x = m->out[2], .c = one}};
    itc_lower_set_terms(l, n->out[0], 3, dx);
    return ITC_OK;
}

static itc_status normalize_grad_emit(itc_emit *e, const itc_node *n)
{
    slices s;
    ITC_TRY(slices_of(itc_emit_graph(e), n, &n->in[0]->type, &s));
    ITC_TRY(itc_emit_call(e, n, "norm_grad", 1, n->in));
    itc_arg_ptr(e, "x", n->in[0]);
    itc_arg_ptr(e, "xhat", n->in[1]);
    itc_arg_ptr(e, "y", n->out[0]);
    itc_arg_ptr(e, "scale", n->in[2]);
    itc_arg_ptr(e, "mean", NULL);
    itc_arg_ptr(e, "var", NULL);
    emit_extents(e, &s);
    itc_arg_int(e, "center", itc_int(n, "center"));
    itc_arg_real(e, "eps", 0);
    return ITC_OK;
}

static const itc_attr_spec grad_attrs[] = {
    {.name = "axes", .kind = ITC_ATTR_INTS, .required = true},
    {.name = "center", .kind = ITC_ATTR_INT, .i = 1},
    {0}};

/** dx from dxhat, xhat and scale. */
const itc_op_def itc_op_NormalizeGrad = {
    .name = "NormalizeGrad",
    .domain = "intrain",
    .in_min = 3,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .flags = ITC_OP_INTERNAL | ITC_OP_SUM,
    .attrs = grad_attrs,
    .summary = "gradient of Normalize by x, from operands dxhat, xhat and scale",
    .infer = normalize_grad_infer,
    .demand = ITC_DEMAND_OPERAND,
    .lower = normalize_grad_lower,
    .emit = normalize_grad_emit,
};

/* ---- NormGrad: on integers ---- */

static itc_status coefficients_infer(itc_graph *g, itc_node *n)
{
    const itc_type *dy = &n->in[3]->type, *xhat = &n->in[4]->type;
    slices s;
    ITC_TRY(slices_of(g, n, dy, &s));
    const int total = dy->bits <= 7 ? 28 : 21 + dy->bits; /* as the kernel has it */
    n->out[0]->type = per_slice(dy, &s, ITC_I32, total - dy->bits);
    n->out[1]->type = per_slice(dy, &s, ITC_I32, total - xhat->bits);
    n->out[2]->type = per_slice(dy, &s, ITC_I32, total < 30 ? total : 30);
    n->out[3]->type = work_type(&s);
    return ITC_OK;
}

static itc_status coefficients_emit(itc_emit *e, const itc_node *n)
{
    slices s;
    ITC_TRY(slices_of(itc_emit_graph(e), n, &n->in[3]->type, &s));
    ITC_TRY(itc_emit_call(e, n, "norm_grad", 0, NULL));
    itc_arg_terms(e, "sums", 2, n->in, NULL, &n->in[0]->type);
    emit_pair(e, "scale", n->in[2]);
    itc_arg_exp(e, "e_dy", n->in[3]);
    itc_arg_exp(e, "e_xhat", n->in[4]);
    itc_arg_ptr(e, "work", n->out[3]);
    emit_pair(e, "a", n->out[0]);
    emit_pair(e, "b", n->out[1]);
    emit_pair(e, "c", n->out[2]);
    emit_extents(e, &s);
    itc_arg_int(e, "bits_dy", n->in[3]->type.bits);
    itc_arg_int(e, "bits_xhat", n->in[4]->type.bits);
    itc_arg_int(e, "center", itc_int(n, "center"));
    return ITC_OK;
}

const itc_op_def itc_op_NormGrad = {
    .name = "NormGrad",
    .domain = "intrain",
    .in_min = 5,
    .in_max = 5,
    .out_min = 4,
    .out_max = 4,
    .flags = ITC_OP_INTERNAL,
    .attrs = grad_attrs,
    .summary = "a, b, c with dx = dy * a + xhat * b + c, and room to work in",
    .infer = coefficients_infer,
    .plan = plan_outputs,
    .emit = coefficients_emit,
};
