/*
 * Random numbers that a model asks for: RandomNormal, RandomUniform, their forms like another
 * tensor, and Bernoulli.
 *
 *     uniform   (low + high) / 2 + (high - low) / 2 * u     u between -1 and 1
 *     normal    mean + scale * z                             z standard normal
 *     Bernoulli 1 where u < 2 p - 1, else 0
 *
 * u and z are a Noise, drawn anew in each micro-batch from the site's Philox numbers: they depend
 * on
 * --seed, not on the model's attribute `seed`. In evaluation a Noise is 0, so that an answer
 * depends on nothing else than the sample: each number is its mean, a Bernoulli the likelier of its
 * values. Nothing has a gradient but what the numbers are added to or multiplied by
 * (reparametrisation).
 *
 * Sources: ONNX RandomNormal-22, RandomNormalLike-22, RandomUniform-22, RandomUniformLike-22,
 * Bernoulli-22; NUMERICS.md, "Random bits".
 */
#include <math.h>

#include "codegen/emit.h"
#include "ir/ops/take.h"
#include "ir/ops/util.h"
#include "passes/grad.h"
#include "passes/lower.h"
#include "passes/plan.h"

enum { UNIFORM_BITS = 15, NORMAL_BITS = 12 };

/* ---- in our form ---- */

/** Noise of x's shape. */
static itc_status noise(itc_graph *g, const itc_node *n, itc_value *x, bool normal, itc_value **out)
{
    itc_node *m = itc_node_new(g, &itc_op_Noise, n, 1, &x, 1);
    itc_set_int(g, m, "normal", normal);
    ITC_TRY(itc_infer(g, m));
    *out = m->out[0];
    return ITC_OK;
}

/** offset + factor * noise of x's shape. */
static itc_status scaled(itc_graph *g, const itc_node *n, itc_value *x, bool normal, double offset,
                         double factor, itc_value **out)
{
    itc_value *in[2] = {NULL, itc_scalar_const(g, n, "offset", ITC_F32, 1)};
    ITC_TRY(noise(g, n, x, normal, &in[0]));
    return itc_combine_build(g, n, offset < 0 || offset > 0 ? 2 : 1, in,
                             (const double[]){factor, offset}, out);
}

static itc_status distribute(itc_graph *g, const itc_node *n, itc_value *x, itc_value **out)
{
    const bool normal = n->op == &itc_op_RandomNormal || n->op == &itc_op_RandomNormalLike;
    const double a = itc_float(n, normal ? "mean" : "low");
    const double b = itc_float(n, normal ? "scale" : "high");
    if (!isfinite(a) || !isfinite(b)) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0252", "%s %g and %s %g are no distribution",
                         normal ? "mean" : "low", a, normal ? "scale" : "high", b);
    }
    return normal ? scaled(g, n, x, true, a, b / sqrt(193.0 / 192), out)
                  : scaled(g, n, x, false, (a + b) / 2, (b - a) / 2, out);
}

/** The attribute dtype names a float type; without it x has one. */
static itc_status check_float(itc_graph *g, const itc_node *n, const itc_value *x)
{
    const itc_attr *a = itc_attr_find(n, "dtype");
    itc_dtype t = x ? x->type.dtype : ITC_F32;
    const bool known = !a || itc_dtype_of_onnx(a->u.i, &t);
    return known && t == ITC_F32
               ? ITC_OK
               : itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0201",
                           "random numbers of another type than float are not supported");
}

static itc_status like_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    ITC_TRY(check_float(g, n, n->in[0]));
    return distribute(g, n, n->in[0], &out[0]);
}

/** Of the attribute's shape; its first extent counts rows where the model was exported for so many.
 */
static itc_status shaped_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    const int64_t *dim = NULL;
    const int rank = itc_ints(n, "shape", &dim);
    itc_type t = itc_type_make(ITC_F32, 0, NULL);
    itc_value *x = itc_scalar_const(g, n, "like", ITC_F32, 0);
    itc_dim count;
    ITC_TRY(check_float(g, n, NULL));
    for (int i = 0; i < rank && i < ITC_MAX_RANK; i++) {
        const bool rows = i == 0 && g->rows > 0 && dim[0] == g->rows;
        t.dim[t.rank++] = rows ? (itc_dim){1, true} : itc_dim_of(dim[i]);
    }
    if (rank > ITC_MAX_RANK || !itc_type_count(&t, &count) || count.size < 1) {
        return itc_error(g->ctx, n, ITC_SHAPE, "E0223", "a shape of %d axes is not supported",
                         rank);
    }
    ITC_TRY(itc_repeat_build(g, n, x, &t, &x));
    return distribute(g, n, x, &out[0]);
}

static itc_status bernoulli_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    itc_value *in[2] = {NULL, NULL}, *p[2] = {n->in[0], itc_scalar_const(g, n, "one", ITC_F32, 1)};
    itc_value *one = itc_scalar_const(g, n, "hit", ITC_F32, 1);
    itc_node *m = NULL;
    ITC_TRY(check_float(g, n, n->in[0]));
    ITC_TRY(noise(g, n, n->in[0], false, &in[0]));
    ITC_TRY(itc_combine_build(g, n, 2, p, (const double[]){2, -1}, &in[1]));
    ITC_TRY(itc_build(g, &itc_op_Less, n, 2, in, 1, &m));
    ITC_TRY(itc_repeat_build(g, n, one, &n->in[0]->type, &one));
    ITC_TRY(itc_build(g, &itc_op_Mask, n, 2, (itc_value *[]){one, m->out[0]}, 1, &m));
    out[0] = m->out[0];
    return ITC_OK;
}

static itc_status not_ours(itc_graph *g, itc_node *n)
{
    return itc_error(g->ctx, n, ITC_INTERNAL, "E0248", "%s was not normalised", n->op->name);
}

/* ---- ONNX's rows ---- */

#define TYPE_AND_SEED                                                                              \
    {.name = "dtype", .kind = ITC_ATTR_INT},                                                       \
    {                                                                                              \
        .name = "seed", .kind = ITC_ATTR_FLOAT                                                     \
    }
#define NORMAL                                                                                     \
    {.name = "mean", .kind = ITC_ATTR_FLOAT, .f = 0},                                              \
    {                                                                                              \
        .name = "scale", .kind = ITC_ATTR_FLOAT, .f = 1                                            \
    }
#define UNIFORM                                                                                    \
    {.name = "low", .kind = ITC_ATTR_FLOAT, .f = 0},                                               \
    {                                                                                              \
        .name = "high", .kind = ITC_ATTR_FLOAT, .f = 1                                             \
    }
#define SHAPE                                                                                      \
    {                                                                                              \
        .name = "shape", .kind = ITC_ATTR_INTS, .required = true                                   \
    }

static const itc_attr_spec normal_attrs[] = {SHAPE, NORMAL, TYPE_AND_SEED, {0}};
static const itc_attr_spec normal_like_attrs[] = {NORMAL, TYPE_AND_SEED, {0}};
static const itc_attr_spec uniform_attrs[] = {SHAPE, UNIFORM, TYPE_AND_SEED, {0}};
static const itc_attr_spec uniform_like_attrs[] = {UNIFORM, TYPE_AND_SEED, {0}};
static const itc_attr_spec bernoulli_attrs[] = {TYPE_AND_SEED, {0}};
static const uint8_t versions[] = {1, 22, 0};

/** mean + scale * z, of the attribute's shape. */
const itc_op_def itc_op_RandomNormal = {
    .name = "RandomNormal",
    .domain = "",
    .out_min = 1,
    .out_max = 1,
    .opset_min = 7,
    .versions = versions,
    .attrs = normal_attrs,
    .summary = "normal random numbers in training; their mean in evaluation",
    .normalize = shaped_normalize,
    .infer = not_ours,
};

/** mean + scale * z, of x's shape. */
const itc_op_def itc_op_RandomNormalLike = {
    .name = "RandomNormalLike",
    .domain = "",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 7,
    .versions = versions,
    .attrs = normal_like_attrs,
    .kinds = ITC_KIND_ANY,
    .summary = "normal random numbers of a tensor's shape",
    .normalize = like_normalize,
    .infer = not_ours,
};

/** Between low and high, of the attribute's shape. */
const itc_op_def itc_op_RandomUniform = {
    .name = "RandomUniform",
    .domain = "",
    .out_min = 1,
    .out_max = 1,
    .opset_min = 7,
    .versions = versions,
    .attrs = uniform_attrs,
    .summary = "random numbers between two in training; their mean in evaluation",
    .normalize = shaped_normalize,
    .infer = not_ours,
};

/** Between low and high, of x's shape. */
const itc_op_def itc_op_RandomUniformLike = {
    .name = "RandomUniformLike",
    .domain = "",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 7,
    .versions = versions,
    .attrs = uniform_like_attrs,
    .kinds = ITC_KIND_ANY,
    .summary = "random numbers between two, of a tensor's shape",
    .normalize = like_normalize,
    .infer = not_ours,
};

/** 1 with the probability that x says, else 0. */
const itc_op_def itc_op_Bernoulli = {
    .name = "Bernoulli",
    .domain = "",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 15,
    .versions = (const uint8_t[]){15, 22, 0},
    .attrs = bernoulli_attrs,
    .summary = "1 with a probability, else 0; in evaluation the likelier",
    .normalize = bernoulli_normalize,
    .infer = not_ours,
};

/* ---- Noise ---- */

static itc_status noise_infer(itc_graph *g, itc_node *n)
{
    (void)g;
    n->out[0]->type = itc_type_make(ITC_F32, n->in[0]->type.rank, n->in[0]->type.dim);
    return ITC_OK;
}

static itc_status noise_infer_form(itc_graph *g, itc_node *n, itc_value **out)
{
    return itc_repeat_build(g, n, itc_scalar_const(g, n, "mean", ITC_F32, 0), &n->out[0]->type,
                            &out[0]);
}

/** It depends on its operand's shape alone. */
static itc_status noise_grad(itc_grad *b, const itc_node *n)
{
    (void)b;
    (void)n;
    return ITC_OK;
}

static itc_status noise_lower(itc_lower *l, const itc_node *n)
{
    itc_value *x = NULL;
    itc_node *m = NULL;
    ITC_TRY(itc_lower_get(l, n, n->in[0], itc_lower_operand_bits(l), &x));
    ITC_TRY(itc_lower_build(l, n, &itc_op_NoiseMantissas, 1, &x, 1, &m));
    ITC_TRY(itc_lower_site(l, m, ITC_ROLE_MASK));
    itc_lower_set(l, n->out[0], m->out[0]);
    return ITC_OK;
}

static itc_status noise_emit(itc_emit *e, const itc_node *n)
{
    itc_dim count;
    if (!itc_type_count(&n->out[0]->type, &count)) {
        return ITC_INTERNAL;
    }
    ITC_TRY(itc_emit_call(e, n, "noise", 1, n->out));
    itc_arg_ptr(e, "y", n->out[0]);
    itc_arg_dim(e, "n", count);
    itc_arg_int(e, "normal", itc_int(n, "normal"));
    itc_arg_int(e, "site",
                n->site ? n->site : (uint32_t)n->import_id << 8 | (uint32_t)ITC_ROLE_MASK << 4);
    return ITC_OK;
}

static const itc_attr_spec noise_attrs[] = {{.name = "normal", .kind = ITC_ATTR_INT}, {0}};

const itc_op_def itc_op_Noise = {
    .name = "Noise",
    .domain = "intrain",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = ITC_OP_INTERNAL,
    .attrs = noise_attrs,
    .summary = "random numbers of operand 0's shape: between -1 and 1, or normal",
    .infer = noise_infer,
    .grad = noise_grad,
    .infer_form = noise_infer_form,
    .lower = noise_lower,
    .emit = noise_emit,
};

static itc_status mantissas_infer(itc_graph *g, itc_node *n)
{
    (void)g;
    n->out[0]->type = itc_type_make(ITC_I16, n->in[0]->type.rank, n->in[0]->type.dim);
    n->out[0]->type.bits = 15;
    return ITC_OK;
}

static itc_status mantissas_plan(itc_plan *p, itc_node *n)
{
    itc_plan_constant(p, n->out[0], itc_int(n, "normal") != 0 ? -NORMAL_BITS : -UNIFORM_BITS);
    return ITC_OK;
}

const itc_op_def itc_op_NoiseMantissas = {
    .name = "NoiseMantissas",
    .domain = "intrain",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = ITC_OP_INTERNAL,
    .attrs = noise_attrs,
    .summary = "mantissas of a Noise: of 2^-15, of normal numbers 2^-12",
    .infer = mantissas_infer,
    .plan = mantissas_plan,
    .emit = noise_emit,
};
