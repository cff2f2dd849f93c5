/*
 * What converters of scikit-learn put around a network, of the domain ai.onnx.ml, whose numbers are
 * attributes: they are the model's preparation of its data, and not trained.
 *
 *     Scaler                  y = (x - offset) * scale, a feature or all of them
 *     Normalizer              each row over its sum of magnitudes, its norm, or its maximum
 *     ArrayFeatureExtractor   features chosen by constant indices, as Gather
 *
 * Linear models, support vectors and trees keep what they learned in attributes, too; they are
 * refused by name. Sources: ai.onnx.ml Scaler-1, Normalizer-1, ArrayFeatureExtractor-1.
 */
#include <string.h>

#include "codegen/emit.h"
#include "ir/ops/util.h"

static itc_status not_ours(itc_graph *g, itc_node *n)
{
    return itc_error(g->ctx, n, ITC_INTERNAL, "E0248", "%s was not normalised", n->op->name);
}

/* ---- Scaler ---- */

/** Number i of a list that has one for each of the features, or one for all; nothing: `otherwise`.
 */
static itc_status number_at(itc_graph *g, const itc_node *n, const char *name, int64_t features,
                            int64_t i, double otherwise, double *out)
{
    const itc_attr *a = itc_attr_find(n, name);
    *out = otherwise;
    if (!a || a->n == 0) {
        return ITC_OK;
    }
    if (a->n != 1 && a->n != features) {
        return itc_error(g->ctx, n, ITC_SHAPE, "E0221", "%d numbers of \"%s\" for %lld features",
                         a->n, name, (long long)features);
    }
    *out = a->u.floats[a->n == 1 ? 0 : i];
    return ITC_OK;
}

static itc_value *list_const(itc_graph *g, const itc_node *n, const char *what, itc_tensor *t)
{
    itc_value *c = itc_const_new(g, itc_format(g->ctx, "%s.%s", n->out[0]->name, what), t);
    c->reason = itc_format(g->ctx, "attribute of %s", n->op->name);
    return c;
}

/** x * scale + shift. */
static itc_status scaler_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    const itc_type *x = &n->in[0]->type;
    ITC_TRY(itc_operand_rank(g, n, 0, 2, ITC_MAX_RANK));
    const itc_dim last = x->dim[x->rank - 1];
    if (last.batch) {
        return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0224", "features of %s",
                         itc_type_text(g->ctx, x));
    }
    itc_tensor *scale = itc_tensor_new(g->ctx, ITC_F32, 1, &last.size);
    itc_tensor *shift = itc_tensor_new(g->ctx, ITC_F32, 1, &last.size);
    for (int64_t i = 0; i < last.size; i++) {
        double offset = 0, factor = 1;
        ITC_TRY(number_at(g, n, "offset", last.size, i, 0, &offset));
        ITC_TRY(number_at(g, n, "scale", last.size, i, 1, &factor));
        ((float *)scale->data)[i] = (float)factor;
        ((float *)shift->data)[i] = (float)(-offset * factor);
    }
    itc_value *product[2] = {n->in[0], list_const(g, n, "scale", scale)};
    itc_value *sum[2] = {NULL, list_const(g, n, "shift", shift)};
    ITC_TRY(itc_apply(g, n, &itc_op_Mul, 2, product, &sum[0]));
    return itc_apply(g, n, &itc_op_Add, 2, sum, &out[0]);
}

static const itc_attr_spec scaler_attrs[] = {
    {.name = "offset", .kind = ITC_ATTR_FLOATS}, {.name = "scale", .kind = ITC_ATTR_FLOATS}, {0}};
static const uint8_t since_1[] = {1, 0};

/** Shapes  x [N, …, features]. Source  ai.onnx.ml Scaler-1 */
const itc_op_def itc_op_Scaler = {
    .name = "Scaler",
    .domain = "ai.onnx.ml",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 1,
    .versions = since_1,
    .attrs = scaler_attrs,
    .summary = "features less offsets, times scales, as Mul and Combine",
    .normalize = scaler_normalize,
    .infer = not_ours,
};

/* ---- Normalizer ---- */

/** By the maximum, which ONNX takes of the elements, not of their magnitudes. */
static itc_status over_maximum(itc_graph *g, itc_node *n, itc_value **out)
{
    const int64_t last = n->in[0]->type.rank - 1;
    itc_value *in[2] = {n->in[0], NULL};
    itc_node *m = itc_node_new(g, &itc_op_ReduceMax, n, 1, n->in, 1);
    m->onnx_version = 13; /* whose axes are an attribute */
    itc_set_ints(g, m, "axes", 1, &last);
    itc_set_int(g, m, "keepdims", 1);
    ITC_TRY(itc_apply_node(g, m, &in[1]));
    return itc_apply(g, n, &itc_op_Div, 2, in, out);
}

static itc_status normalizer_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    const char *norm = itc_string(n, "norm");
    const bool one = strcmp(norm, "L1") == 0, two = strcmp(norm, "L2") == 0;
    ITC_TRY(itc_operand_rank(g, n, 0, 2, ITC_MAX_RANK));
    if (!one && !two) {
        return strcmp(norm, "MAX") == 0 ? over_maximum(g, n, &out[0])
                                        : itc_error(g->ctx, n, ITC_RANGE, "E0221",
                                                    "norm is \"%s\", expected MAX, L1 or L2", norm);
    }
    itc_node *m = itc_node_new(g, &itc_op_LpNormalization, n, 1, n->in, 1);
    itc_set_int(g, m, "axis", -1);
    itc_set_int(g, m, "p", one ? 1 : 2);
    return itc_apply_node(g, m, &out[0]);
}

static const itc_attr_spec normalizer_attrs[] = {
    {.name = "norm", .kind = ITC_ATTR_STRING, .s = "MAX"}, {0}};

/** Shapes  x [N, …, features]. Source  ai.onnx.ml Normalizer-1 */
const itc_op_def itc_op_Normalizer = {
    .name = "Normalizer",
    .domain = "ai.onnx.ml",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 1,
    .versions = since_1,
    .attrs = normalizer_attrs,
    .summary = "each row over its L1 or L2 norm, as LpNormalization, or its maximum",
    .normalize = normalizer_normalize,
    .infer = not_ours,
};

/* ---- ArrayFeatureExtractor ---- */

static itc_status extractor_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    const itc_tensor *index = itc_operand_const(n, 1);
    if (!index || !index->data) {
        return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0225", "indices must be constants");
    }
    ITC_TRY(itc_operand_rank(g, n, 0, 2, ITC_MAX_RANK));
    const itc_dim count = itc_dim_of(index->count);
    itc_tensor *flat = itc_tensor_reshape(g->ctx, index, 1, &count);
    itc_value *in[2] = {n->in[0], list_const(g, n, "indices", flat)};
    itc_node *m = itc_node_new(g, &itc_op_Gather, n, 2, in, 1);
    itc_set_int(g, m, "axis", -1);
    return itc_apply_node(g, m, &out[0]);
}

/** Shapes  x [N, …, features], y [N, …, indices]. Source  ai.onnx.ml ArrayFeatureExtractor-1 */
const itc_op_def itc_op_ArrayFeatureExtractor = {
    .name = "ArrayFeatureExtractor",
    .domain = "ai.onnx.ml",
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 1,
    .versions = since_1,
    .roles = (const itc_role_in[]){ITC_IN_PASS, ITC_IN_CONST},
    .kinds = ITC_KIND_ANY,
    .summary = "features chosen by constant indices, as Gather",
    .normalize = extractor_normalize,
    .infer = not_ours,
};
