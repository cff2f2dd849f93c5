/*
 * Normalisation with frozen statistics: BatchNormalization in inference form.
 *
 *     y = (x - mean) / sqrt(var + eps) * scale + bias = x * a + b,
 *     a = scale / sqrt(var + eps),  b = bias - mean * a
 *
 * a and b are per channel, computed in `prepare` from the parameters scale and bias, so that both
 * are trained; mean and var stay constants. The form with batch statistics (training_mode = 1) is
 * refused by name.
 * Source: ONNX BatchNormalization-15.
 */
#include <math.h>

#include "ir/ops/util.h"

/** f of each element of constant operand i, as a constant. */
static itc_status map_constant(itc_graph *g, const itc_node *n, int i, double eps,
                               double (*f)(double, double), itc_value **out)
{
    const itc_tensor *t = itc_operand_const(n, i);
    if (!t && n->in[i]->kind == ITC_VALUE_STAT) {
        t = n->in[i]->data;
    }
    if (!t) {
        return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0225",
                         "running statistics must be constants");
    }
    itc_tensor *r = itc_tensor_new(g->ctx, ITC_F32, t->rank, t->dim);
    for (int64_t k = 0; k < t->count; k++) {
        ((float *)r->data)[k] = (float)f(itc_tensor_get(t, k), eps);
    }
    *out = itc_const_new(g, n->in[i]->name, r);
    (*out)->reason = "computed from constants";
    return ITC_OK;
}

static double reciprocal_deviation(double var, double eps)
{
    return 1 / sqrt(var + eps);
}

static double negative(double x, double unused)
{
    (void)unused;
    return -x;
}

static itc_status build(itc_graph *g, const itc_node *n, const itc_op_def *op, itc_value *a,
                        itc_value *b, itc_value **out)
{
    itc_node *m = NULL;
    ITC_TRY(itc_build(g, op, n, 2, (itc_value *[]){a, b}, 1, &m));
    *out = m->out[0];
    return ITC_OK;
}

/** v [C] as [C, 1, …], to broadcast against [N, C, …]. */
static itc_status per_channel(itc_graph *g, const itc_node *n, itc_value *v, itc_value **out)
{
    itc_type t = v->type;
    for (int i = 2; i < n->in[0]->type.rank; i++) {
        t.dim[t.rank++] = (itc_dim){1, false};
    }
    return itc_view_build(g, n, v, &t, out);
}

static itc_status batch_norm_checks(itc_graph *g, const itc_node *n)
{
    const itc_type *x = &n->in[0]->type;
    ITC_TRY(itc_operand_rank(g, n, 0, 2, ITC_MAX_RANK));
    if (itc_int(n, "training_mode") != 0 || (n->onnx_version < 14 && n->n_out > 1)) {
        return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0201",
                         "batch statistics (training_mode = 1) are not available; the inference "
                         "form trains with frozen statistics");
    }
    for (int i = 1; i < 5; i++) {
        const itc_type *t = &n->in[i]->type;
        if (t->rank != 1 || !itc_dim_equal(t->dim[0], x->dim[1])) {
            return itc_error(g->ctx, n, ITC_SHAPE, "E0203",
                             "operand %d is %s, expected one number a channel of %s", i,
                             itc_type_text(g->ctx, t), itc_type_text(g->ctx, x));
        }
    }
    return ITC_OK;
}

static itc_status batch_norm_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    itc_value *rstd = NULL, *minus_mean = NULL, *a = NULL, *shift = NULL, *b = NULL, *y = NULL;
    ITC_TRY(batch_norm_checks(g, n));
    ITC_TRY(map_constant(g, n, 4, itc_float(n, "epsilon"), reciprocal_deviation, &rstd));
    ITC_TRY(map_constant(g, n, 3, 0, negative, &minus_mean));
    ITC_TRY(build(g, n, &itc_op_Mul, n->in[1], rstd, &a));
    ITC_TRY(build(g, n, &itc_op_Mul, a, minus_mean, &shift));
    ITC_TRY(itc_combine_build(g, n, 2, (itc_value *[]){n->in[2], shift}, (const double[]){1, 1},
                              &b));
    ITC_TRY(per_channel(g, n, a, &a));
    ITC_TRY(per_channel(g, n, b, &b));
    ITC_TRY(build(g, n, &itc_op_Mul, n->in[0], a, &y));
    itc_note(g->ctx, "node \"%s\": batch normalisation trains with frozen statistics",
             n->onnx_name && *n->onnx_name ? n->onnx_name : n->out[0]->name);
    return itc_combine_build(g, n, 2, (itc_value *[]){y, b}, (const double[]){1, 1}, out);
}

static itc_status batch_norm_infer(itc_graph *g, itc_node *n)
{
    (void)g;
    n->out[0]->type = n->in[0]->type;
    return ITC_OK;
}

static const uint8_t batch_norm_versions[] = {1, 6, 7, 9, 14, 15, 0};
static const itc_role_in batch_norm_roles[] = {ITC_IN_DATA, ITC_IN_PARAM, ITC_IN_PARAM,
                                               ITC_IN_CONST, ITC_IN_CONST};
static const itc_attr_spec batch_norm_attrs[] = {
    {.name = "epsilon", .kind = ITC_ATTR_FLOAT, .f = 1e-5},
    {.name = "momentum", .kind = ITC_ATTR_FLOAT, .f = 0.9},
    {.name = "training_mode", .kind = ITC_ATTR_INT},
    {.name = "spatial", .kind = ITC_ATTR_INT, .i = 1},
    {0}};

const itc_op_def itc_op_BatchNormalization = {
    .name = "BatchNormalization",
    .domain = "",
    .in_min = 5,
    .in_max = 5,
    .out_min = 1,
    .out_max = 5,
    .opset_min = 7,
    .versions = batch_norm_versions,
    .roles = batch_norm_roles,
    .attrs = batch_norm_attrs,
    .summary = "inference form, frozen statistics, as Mul and Combine",
    .normalize = batch_norm_normalize,
    .infer = batch_norm_infer,
};
