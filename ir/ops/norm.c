/*
 * Normalisation as ONNX defines it: BatchNormalization, LayerNormalization, RMSNormalization,
 * InstanceNormalization, GroupNormalization, MeanVarianceNormalization.
 *
 * All are (x - mean) / sqrt(var + eps) over some axes (Normalize), times a scale, plus a bias.
 * Those two are ordinary products and sums. BatchNormalization also keeps running statistics,
 *
 *     running' = running * momentum + statistic * (1 - momentum)
 *
 * with the variance of the population, as ONNX has it, and in evaluation uses them. A model in
 * inference form is brought back to the training form (--norm train); in either form it trains with
 * its statistics frozen on request (--norm frozen):
 *
 *     y = x * a + b,  a = scale / sqrt(var + eps),  b = bias - mean * a
 *
 * Sources: ONNX BatchNormalization-15, LayerNormalization-17, RMSNormalization-23,
 * InstanceNormalization-22, GroupNormalization-21, MeanVarianceNormalization-13.
 */
#include <math.h>
#include <string.h>

#include "ir/ops/util.h"

static itc_status build(itc_graph *g, const itc_node *n, const itc_op_def *op, itc_value *a,
                        itc_value *b, itc_value **out)
{
    itc_node *m = NULL;
    ITC_TRY(itc_build(g, op, n, 2, (itc_value *[]){a, b}, 1, &m));
    *out = m->out[0];
    return ITC_OK;
}

/** v, of x's axes [axis, axis + v's rank), with extents of 1 behind, to broadcast against x. */
static itc_status along(itc_graph *g, const itc_node *n, itc_value *v, int axis, int rank,
                        itc_value **out)
{
    itc_type t = v->type;
    while (t.rank < rank - axis && t.rank < ITC_MAX_RANK) {
        t.dim[t.rank++] = (itc_dim){1, false};
    }
    return itc_view_build(g, n, v, &t, out);
}

/** Operand i has one number for each of `count`. */
static itc_status check_vector(itc_graph *g, const itc_node *n, int i, itc_dim count)
{
    const itc_type *t = &n->in[i]->type;
    if (t->rank != 1 || !itc_dim_equal(t->dim[0], count)) {
        return itc_error(g->ctx, n, ITC_SHAPE, "E0203", "operand %d is %s, expected [%lld]", i,
                         itc_type_text(g->ctx, t), (long long)count.size);
    }
    return ITC_OK;
}

/** Normalize of x over axes [first, last) but `but` (-1: all of them). */
static itc_status normalize_build(itc_graph *g, const itc_node *n, itc_value *x, int first, int but,
                                  double epsilon, itc_node **out)
{
    int64_t axes[ITC_MAX_RANK];
    int count = 0;
    itc_value *in[3] = {x, NULL, NULL};
    const bool running = strcmp(n->op->name, "BatchNormalization") == 0;
    for (int i = first; i < x->type.rank; i++) {
        if (i != but) {
            axes[count++] = i;
        }
    }
    if (running) {
        in[1] = n->in[3];
        in[2] = n->in[4];
    }
    itc_node *m = itc_node_new(g, &itc_op_Normalize, n, running ? 3 : 1, in, 4);
    itc_set_ints(g, m, "axes", count, axes);
    itc_set_float(g, m, "epsilon", epsilon);
    itc_set_int(g, m, "center", strcmp(n->op->name, "RMSNormalization") != 0);
    *out = m;
    return itc_infer(g, m);
}

/** x * scale + bias, both brought along x's axes from `axis` on; either may be NULL. */
static itc_status affine(itc_graph *g, const itc_node *n, itc_value *x, itc_value *scale,
                         itc_value *bias, int axis, itc_value **out)
{
    *out = x;
    if (scale) {
        ITC_TRY(along(g, n, scale, axis, x->type.rank, &scale));
        ITC_TRY(build(g, n, &itc_op_Mul, x, scale, out));
    }
    if (bias) {
        ITC_TRY(along(g, n, bias, axis, x->type.rank, &bias));
        ITC_TRY(
            itc_combine_build(g, n, 2, (itc_value *[]){*out, bias}, (const double[]){1, 1}, out));
    }
    return ITC_OK;
}

static itc_value *operand(const itc_node *n, int i)
{
    return i < n->n_in ? n->in[i] : NULL;
}

static itc_status same_infer(itc_graph *g, itc_node *n)
{
    ITC_TRY(itc_infer_same_real(g, n));
    return ITC_OK;
}

/* ---- BatchNormalization ---- */

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

/** The statistics stay as they are, and so do the outputs that hand them on. */
static itc_status frozen_form(itc_graph *g, const itc_node *n, itc_value **out)
{
    itc_value *rstd = NULL, *minus_mean = NULL, *a = NULL, *shift = NULL, *b = NULL;
    ITC_TRY(map_constant(g, n, 4, itc_float(n, "epsilon"), reciprocal_deviation, &rstd));
    ITC_TRY(map_constant(g, n, 3, 0, negative, &minus_mean));
    ITC_TRY(build(g, n, &itc_op_Mul, n->in[1], rstd, &a));
    ITC_TRY(build(g, n, &itc_op_Mul, a, minus_mean, &shift));
    ITC_TRY(
        itc_combine_build(g, n, 2, (itc_value *[]){n->in[2], shift}, (const double[]){1, 1}, &b));
    for (int i = 1; i < n->n_out; i++) {
        out[i] = n->out[i] ? n->in[3 + (i - 1) % 2] : NULL;
    }
    return affine(g, n, n->in[0], a, b, 1, out);
}

/** The next value of running statistic `r` from `stat`, this call's times its rows. */
static itc_status update_running(itc_graph *g, const itc_node *n, itc_value *r, itc_value *stat,
                                 itc_value **out)
{
    const double rate = 1 - itc_float(n, "momentum");
    const itc_coef coef[3] = {{1, ITC_SYM_NONE}, {rate, ITC_SYM_INV_N}, {-rate, ITC_SYM_NONE}};
    itc_node *m = NULL;
    ITC_TRY(itc_view_build(g, n, stat, &r->type, &stat));
    ITC_TRY(itc_build(g, &itc_op_Combine, n, 3, (itc_value *[]){r, stat, r}, 1, &m));
    itc_set_coefs(g, m, "coef", 3, coef);
    itc_value_rename(g, m->out[0], itc_format(g->ctx, "%s.new", r->name));
    *out = m->out[0];
    if (r->kind != ITC_VALUE_STAT) {
        return ITC_OK;
    }
    if (r->next_state) {
        itc_note(g->ctx, "\"%s\" belongs to several nodes; the first one updates it", r->name);
        return ITC_OK;
    }
    r->next_state = *out;
    return ITC_OK;
}

static itc_status batch_norm_checks(itc_graph *g, const itc_node *n)
{
    ITC_TRY(itc_operand_rank(g, n, 0, 2, ITC_MAX_RANK));
    for (int i = 1; i < 5; i++) {
        ITC_TRY(check_vector(g, n, i, n->in[0]->type.dim[1]));
    }
    if (itc_int(n, "spatial") == 0) {
        return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0201",
                         "statistics for each element (spatial = 0) are not available");
    }
    return ITC_OK;
}

static itc_status batch_norm_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    ITC_TRY(batch_norm_checks(g, n));
    if (strcmp(itc_setting_string(g, "norm", "train"), "frozen") == 0) {
        return frozen_form(g, n, out);
    }
    itc_node *m = NULL;
    ITC_TRY(normalize_build(g, n, n->in[0], 0, 1, itc_float(n, "epsilon"), &m));
    ITC_TRY(affine(g, n, m->out[0], n->in[1], n->in[2], 1, &out[0]));
    for (int i = 0; i < 2; i++) {
        itc_value *next = NULL;
        ITC_TRY(update_running(g, n, n->in[3 + i], m->out[2 + i], &next));
        if (1 + i < n->n_out && n->out[1 + i]) {
            out[1 + i] = next;
        }
        if (3 + i < n->n_out && n->out[3 + i]) { /* until version 13: the statistics themselves */
            ITC_TRY(itc_view_build(g, n, m->out[2 + i], &n->in[3 + i]->type, &out[3 + i]));
        }
    }
    return ITC_OK;
}

static itc_status batch_norm_infer(itc_graph *g, itc_node *n)
{
    (void)g;
    n->out[0]->type = n->in[0]->type;
    for (int i = 1; i < n->n_out; i++) {
        if (n->out[i]) {
            n->out[i]->type = n->in[3]->type;
        }
    }
    return ITC_OK;
}

static const uint8_t batch_norm_versions[] = {1, 6, 7, 9, 14, 15, 0};
/** A normalisation starts as nothing but one; of the statistics only batch_norm has. */
static const itc_start norm_starts[] = {ITC_START_KEEP, ITC_START_ONE, ITC_START_ZERO,
                                        ITC_START_ZERO, ITC_START_ONE};

static const itc_role_in batch_norm_roles[] = {ITC_IN_DATA, ITC_IN_PARAM, ITC_IN_PARAM, ITC_IN_STAT,
                                               ITC_IN_STAT};
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
    .starts = norm_starts,
    .attrs = batch_norm_attrs,
    .summary = "batch or frozen statistics; running statistics in evaluation",
    .normalize = batch_norm_normalize,
    .infer = batch_norm_infer,
};

/* ---- LayerNormalization, RMSNormalization: over the last axes ---- */

static itc_status mean_over(itc_graph *g, const itc_node *n, int axis, itc_value *x,
                            itc_value **out)
{
    int64_t axes[ITC_MAX_RANK];
    for (int i = axis; i < x->type.rank; i++) {
        axes[i - axis] = i;
    }
    itc_node *m = itc_node_new(g, &itc_op_ReduceMean, n, 1, &x, 1);
    itc_set_ints(g, m, "axes", x->type.rank - axis, axes);
    return itc_apply_node(g, m, out);
}

/** Results Mean and InvStdDev, where they are there: the mean of the last axes, and 1 over the root
 * of the variance and epsilon. */
static itc_status layer_statistics(itc_graph *g, const itc_node *n, int axis, itc_value **out)
{
    itc_value *mean = NULL, *d = NULL, *v = NULL;
    const bool asked = n->n_out > 1 && (n->out[1] || (n->n_out > 2 && n->out[2]));
    if (!asked) {
        return ITC_OK;
    }
    ITC_TRY(mean_over(g, n, axis, n->in[0], &mean));
    out[1] = n->out[1] ? mean : NULL;
    if (n->n_out > 2 && n->out[2]) {
        ITC_TRY(itc_combine_build(g, n, 2, (itc_value *[]){n->in[0], mean}, (const double[]){1, -1},
                                  &d));
        ITC_TRY(itc_apply(g, n, &itc_op_Mul, 2, (itc_value *[]){d, d}, &v));
        ITC_TRY(mean_over(g, n, axis, v, &v));
        const char *f = itc_format(g->ctx, "1 / sqrt(x + %.17g)", itc_float(n, "epsilon"));
        ITC_TRY(itc_map_build(g, n, f, v, &out[2]));
    }
    return ITC_OK;
}

static itc_status layer_norm_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    itc_value *x = n->in[0];
    int axis = 0;
    itc_node *m = NULL;
    ITC_TRY(itc_axis_resolve(g, n, itc_int(n, "axis"), x->type.rank, &axis));
    ITC_TRY(layer_statistics(g, n, axis, out)); /* swept where nobody asks */
    ITC_TRY(normalize_build(g, n, x, axis, -1, itc_float(n, "epsilon"), &m));
    /* scale and bias broadcast against the last axes as they are */
    ITC_TRY(build(g, n, &itc_op_Mul, m->out[0], n->in[1], out));
    itc_value *bias = operand(n, 2);
    return bias ? itc_combine_build(g, n, 2, (itc_value *[]){*out, bias}, (const double[]){1, 1},
                                    out)
                : ITC_OK;
}

static const itc_role_in layer_norm_roles[] = {ITC_IN_DATA, ITC_IN_PARAM, ITC_IN_PARAM};
static const itc_attr_spec layer_norm_attrs[] = {
    {.name = "axis", .kind = ITC_ATTR_INT, .i = -1},
    {.name = "epsilon", .kind = ITC_ATTR_FLOAT, .f = 1e-5},
    {.name = "stash_type", .kind = ITC_ATTR_INT, .i = 1},
    {0}};

const itc_op_def itc_op_LayerNormalization = {
    .name = "LayerNormalization",
    .domain = "",
    .in_min = 2,
    .in_max = 3,
    .out_min = 1,
    .out_max = 3,
    .opset_min = 17,
    .versions = (const uint8_t[]){17, 0},
    .roles = layer_norm_roles,
    .starts = norm_starts,
    .attrs = layer_norm_attrs,
    .summary = "normalisation over the last axes, as Normalize, Mul and Combine",
    .normalize = layer_norm_normalize,
    .infer = same_infer,
};

const itc_op_def itc_op_RMSNormalization = {
    .name = "RMSNormalization",
    .domain = "",
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 23,
    .versions = (const uint8_t[]){23, 0},
    .roles = layer_norm_roles,
    .starts = norm_starts,
    .attrs = layer_norm_attrs,
    .summary = "x / sqrt(mean(x^2) + eps) over the last axes, times a scale",
    .normalize = layer_norm_normalize,
    .infer = same_infer,
};

/* ---- InstanceNormalization, GroupNormalization ---- */

static itc_status instance_norm_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    itc_node *m = NULL;
    ITC_TRY(itc_operand_rank(g, n, 0, 3, ITC_MAX_RANK));
    for (int i = 1; i < 3; i++) {
        ITC_TRY(check_vector(g, n, i, n->in[0]->type.dim[1]));
    }
    ITC_TRY(normalize_build(g, n, n->in[0], 2, -1, itc_float(n, "epsilon"), &m));
    return affine(g, n, m->out[0], n->in[1], n->in[2], 1, out);
}

static const itc_attr_spec instance_norm_attrs[] = {
    {.name = "epsilon", .kind = ITC_ATTR_FLOAT, .f = 1e-5}, {0}};

const itc_op_def itc_op_InstanceNormalization = {
    .name = "InstanceNormalization",
    .domain = "",
    .in_min = 3,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 6,
    .versions = (const uint8_t[]){1, 6, 22, 0},
    .roles = layer_norm_roles,
    .starts = norm_starts,
    .attrs = instance_norm_attrs,
    .summary = "normalisation of each channel of each sample",
    .normalize = instance_norm_normalize,
    .infer = same_infer,
};

/** x [N, C, …], also [N, C], as [N, groups, C / groups * …]. */
static itc_status grouped(itc_graph *g, const itc_node *n, int64_t groups, itc_type *t)
{
    const itc_type *x = &n->in[0]->type;
    itc_dim inner;
    ITC_TRY(itc_operand_rank(g, n, 0, 2, ITC_MAX_RANK));
    if (groups < 1 || x->dim[1].batch || x->dim[1].size % groups != 0 ||
        !itc_dims_product(x->rank - 1, x->dim + 1, &inner)) {
        return itc_error(g->ctx, n, ITC_SHAPE, "E0221", "num_groups is %lld for %s",
                         (long long)groups, itc_type_text(g->ctx, x));
    }
    *t = itc_type_make(x->dtype, 3,
                       (const itc_dim[]){x->dim[0], {groups, false}, {inner.size / groups, false}});
    return ITC_OK;
}

static itc_status group_norm_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    const int64_t groups = itc_int(n, "num_groups");
    itc_type t;
    itc_value *x = NULL, *y = NULL;
    itc_node *m = NULL;
    const itc_dim channels = n->in[0]->type.dim[1];
    /* version 18 has a scale and a bias a group, 21 a channel */
    const bool by_group = n->onnx_version < 21;
    ITC_TRY(grouped(g, n, groups, &t));
    for (int i = 1; i < 3; i++) {
        ITC_TRY(check_vector(g, n, i, by_group ? (itc_dim){groups, false} : channels));
    }
    ITC_TRY(itc_view_build(g, n, n->in[0], &t, &x));
    ITC_TRY(normalize_build(g, n, x, 2, -1, itc_float(n, "epsilon"), &m));
    if (by_group) {
        ITC_TRY(affine(g, n, m->out[0], n->in[1], n->in[2], 1, &y));
        return itc_view_build(g, n, y, &n->in[0]->type, out);
    }
    ITC_TRY(itc_view_build(g, n, m->out[0], &n->in[0]->type, &y));
    return affine(g, n, y, n->in[1], n->in[2], 1, out);
}

static const itc_attr_spec group_norm_attrs[] = {
    {.name = "num_groups", .kind = ITC_ATTR_INT, .required = true},
    {.name = "epsilon", .kind = ITC_ATTR_FLOAT, .f = 1e-5},
    {.name = "stash_type", .kind = ITC_ATTR_INT, .i = 1},
    {0}};

const itc_op_def itc_op_GroupNormalization = {
    .name = "GroupNormalization",
    .domain = "",
    .in_min = 3,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 18,
    .versions = (const uint8_t[]){18, 21, 0},
    .roles = layer_norm_roles,
    .starts = norm_starts,
    .attrs = group_norm_attrs,
    .summary = "normalisation of groups of channels of each sample",
    .normalize = group_norm_normalize,
    .infer = same_infer,
};

/* ---- MeanVarianceNormalization ---- */

static itc_status mean_variance_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    static const int64_t usual[] = {0, 2, 3};
    const int64_t *axes = NULL;
    int count = itc_ints(n, "axes", &axes);
    if (!itc_attr_find(n, "axes")) {
        axes = usual;
        count = 3;
    }
    itc_node *m = itc_node_new(g, &itc_op_Normalize, n, 1, n->in, 2);
    itc_set_ints(g, m, "axes", count, axes);
    itc_set_float(g, m, "epsilon", 1e-18); /* ONNX's function adds 1e-9 to the deviation */
    ITC_TRY(itc_infer(g, m));
    *out = m->out[0];
    return ITC_OK;
}

static const itc_attr_spec mean_variance_attrs[] = {{.name = "axes", .kind = ITC_ATTR_INTS}, {0}};

const itc_op_def itc_op_MeanVarianceNormalization = {
    .name = "MeanVarianceNormalization",
    .domain = "",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 9,
    .versions = (const uint8_t[]){9, 13, 0},
    .attrs = mean_variance_attrs,
    .summary = "normalisation over given axes",
    .normalize = mean_variance_normalize,
    .infer = same_infer,
};

/* ---- LpNormalization ---- */

static itc_status lp_norm_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    const int64_t p = itc_int(n, "p");
    int axis = 0;
    itc_value *norm = NULL;
    ITC_TRY(itc_axis_resolve(g, n, itc_int(n, "axis"), n->in[0]->type.rank, &axis));
    if (p != 1 && p != 2) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0221", "p is %lld, expected 1 or 2", (long long)p);
    }
    const itc_op_def *op = p == 1 ? &itc_op_ReduceL1 : &itc_op_ReduceL2;
    itc_node *m = itc_node_new(g, op, n, 1, n->in, 1);
    itc_set_ints(g, m, "axes", 1, (const int64_t[]){axis});
    ITC_TRY(itc_apply_node(g, m, &norm));
    return itc_apply(g, n, &itc_op_Div, 2, (itc_value *[]){n->in[0], norm}, out);
}

static itc_status lp_norm_infer(itc_graph *g, itc_node *n)
{
    return itc_error(g->ctx, n, ITC_INTERNAL, "E0248", "%s was not normalised", n->op->name);
}

static const itc_attr_spec lp_norm_attrs[] = {{.name = "axis", .kind = ITC_ATTR_INT, .i = -1},
                                              {.name = "p", .kind = ITC_ATTR_INT, .i = 2},
                                              {0}};

/**
 * x over the sum of its magnitudes along an axis (p = 1), or the root of the sum of its squares.
 * Source  ONNX LpNormalization-1, -22
 */
const itc_op_def itc_op_LpNormalization = {
    .name = "LpNormalization",
    .domain = "",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 1,
    .versions = (const uint8_t[]){1, 22, 0},
    .attrs = lp_norm_attrs,
    .summary = "over the norm of an axis, as ReduceL1 or ReduceL2 and Div",
    .normalize = lp_norm_normalize,
    .infer = lp_norm_infer,
};
