/*
 * ONNX's losses: one CrossEntropy where a loss is trained, else what it is made of.
 *
 *     l_i = -w[t_i] log p_i[t_i]         0 where t_i is the label that is ignored
 *     none: l      sum: sum of l         mean: sum of l / sum of w[t_i] over the labels that count
 *
 * In the loss of a training program numbers of rows are LabelWeights, and gradients those of
 * CrossEntropy. Elsewhere (no training, reduction "none", log-probabilities that no LogSoftmax
 * made) log p_i[t_i] is a Pick and the rest are sums and products. Sources: ONNX
 * SoftmaxCrossEntropyLoss-12, -13, NegativeLogLikelihoodLoss-12, -13.
 */
#include "ir/ops/loss.h"

#include <string.h>

#include "codegen/emit.h"
#include "ir/ops/pick.h"
#include "ir/ops/take.h"
#include "ir/ops/util.h"

static itc_status loss_checks(itc_graph *g, const itc_node *n)
{
    const char *how = itc_string(n, "reduction");
    const itc_type *x = &n->in[0]->type, *t = &n->in[1]->type;
    bool fits = x->rank >= 2 && t->rank == x->rank - 1;
    for (int i = 0; fits && i < t->rank; i++) {
        fits = itc_dim_equal(t->dim[i], x->dim[i == 0 ? 0 : i + 1]);
    }
    if (!fits || x->dim[1].batch) {
        return itc_error(g->ctx, n, ITC_SHAPE, "E0246",
                         "scores %s and class ids %s: expected [N, classes, …] and [N, …]",
                         itc_type_text(g->ctx, x), itc_type_text(g->ctx, t));
    }
    if (strcmp(how, "mean") != 0 && strcmp(how, "sum") != 0 && strcmp(how, "none") != 0) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0247", "reduction \"%s\"", how);
    }
    const itc_value *w = n->n_in > 2 ? n->in[2] : NULL;
    if (w && (w->type.rank != 1 || !itc_dim_equal(w->type.dim[0], x->dim[1]))) {
        return itc_error(g->ctx, n, ITC_SHAPE, "E0246", "%s as weights of the classes of %s",
                         itc_type_text(g->ctx, &w->type), itc_type_text(g->ctx, x));
    }
    return ITC_OK;
}

/** The label that is ignored: INT32_MIN where there is none. Ids have 32 bits, no other can occur.
 */
static int64_t ignored_label(const itc_node *n)
{
    const int64_t v = itc_attr_find(n, "ignore_index") ? itc_int(n, "ignore_index") : INT32_MIN;
    return v > INT32_MIN && v <= INT32_MAX ? v : INT32_MIN;
}

/* ---- as one node ---- */

/** Weights of a trained loss are constants that are not negative. */
static bool weighs(const itc_value *w)
{
    const itc_tensor *t = w ? w->data : NULL;
    bool good = !w || (w->kind == ITC_VALUE_CONST && t && t->data);
    for (int64_t i = 0; good && t && i < t->count; i++) {
        good = itc_tensor_get(t, i) >= 0;
    }
    return good;
}

static bool is_trained(const itc_graph *g, const itc_node *n)
{
    return !itc_loss_is_none(g) && strcmp(itc_string(n, "reduction"), "none") != 0 &&
           n->in[0]->type.dim[0].batch && weighs(n->n_in > 2 ? n->in[2] : NULL);
}

static itc_status build_cross_entropy(itc_graph *g, itc_node *n, itc_value *scores, int axis,
                                      itc_value **out)
{
    itc_value *in[3] = {scores, n->in[1], NULL}, *w = n->n_in > 2 ? n->in[2] : NULL;
    const int64_t ignored = ignored_label(n);
    const bool mean = strcmp(itc_string(n, "reduction"), "mean") == 0;
    if (w || !mean || ignored != INT32_MIN) {
        ITC_TRY(itc_label_weights_build(g, n, n->in[1], w, ignored, mean, &in[2]));
    }
    itc_node *m = itc_node_new(g, &itc_op_CrossEntropy, n, in[2] ? 3 : 2, in, 2);
    itc_set_int(g, m, "axis", axis);
    itc_set_int(g, m, "ignore_index", ignored);
    ITC_TRY(itc_infer(g, m));
    out[0] = m->out[0];
    return ITC_OK;
}

/* ---- of parts ---- */

static itc_status reduce(itc_graph *g, const itc_node *n, const itc_op_def *op, itc_value *x,
                         itc_value **out)
{
    itc_node *m = itc_node_new(g, op, n, 1, &x, 1);
    itc_set_int(g, m, "keepdims", 0);
    return itc_apply_node(g, m, out);
}

/** x where the label counts, else 0; x itself where all do. */
static itc_status counted(itc_graph *g, const itc_node *n, itc_value *ignored, itc_value *x,
                          itc_value **out)
{
    itc_value *zero = itc_scalar_const(g, n, "zero", ITC_F32, 0);
    *out = x;
    return ignored ? itc_apply(g, n, &itc_op_Where, 3, (itc_value *[]){ignored, zero, x}, out)
                   : ITC_OK;
}

/** A label in place of the ignored one, and whether it was (NULL: none is). */
static itc_status safe_labels(itc_graph *g, const itc_node *n, itc_value **ids, itc_value **ignored)
{
    const int64_t label = ignored_label(n);
    *ids = n->in[1];
    *ignored = NULL;
    if (label == INT32_MIN) {
        return ITC_OK;
    }
    itc_value *c = itc_scalar_const(g, n, "ignored", ITC_I64, (double)label);
    itc_value *zero = itc_scalar_const(g, n, "first", ITC_I64, 0);
    ITC_TRY(itc_apply(g, n, &itc_op_Equal, 2, (itc_value *[]){*ids, c}, ignored));
    return itc_apply(g, n, &itc_op_Where, 3, (itc_value *[]){*ignored, zero, *ids}, ids);
}

/** The sum of `l`, which is not negated yet, over the sum of what each label counts. */
static itc_status mean_of(itc_graph *g, const itc_node *n, itc_value *ids, itc_value *ignored,
                          itc_value *w, itc_value *l, itc_value **out)
{
    itc_value *sum[2] = {NULL, NULL};
    if (!w && !ignored) {
        return reduce(g, n, &itc_op_ReduceMean, l, out);
    }
    if (!w) {
        itc_type t = ids->type;
        t.dtype = ITC_F32;
        ITC_TRY(itc_repeat_build(g, n, itc_scalar_const(g, n, "one", ITC_F32, 1), &t, &w));
    }
    ITC_TRY(counted(g, n, ignored, w, &w));
    ITC_TRY(reduce(g, n, &itc_op_ReduceSum, l, &sum[0]));
    ITC_TRY(reduce(g, n, &itc_op_ReduceSum, w, &sum[1]));
    return itc_apply(g, n, &itc_op_Div, 2, sum, out);
}

/** The loss of log-probabilities. */
static itc_status loss_of(itc_graph *g, const itc_node *n, itc_value *logp, itc_value **out)
{
    itc_value *ids = NULL, *ignored = NULL, *index = NULL, *l = NULL, *w = NULL;
    const char *how = itc_string(n, "reduction");
    itc_type one = logp->type;
    ITC_TRY(safe_labels(g, n, &ids, &ignored));
    one.dim[1] = itc_dim_of(1);
    ITC_TRY(itc_view_build(g, n, ids, &one, &index));
    ITC_TRY(itc_pick_build(g, n, logp, index, &(itc_places){.axis = 1}, &l));
    ITC_TRY(itc_view_build(g, n, l, &ids->type, &l));
    if (n->n_in > 2 && n->in[2]) {
        ITC_TRY(itc_apply(g, n, &itc_op_Gather, 2, (itc_value *[]){n->in[2], ids}, &w));
        ITC_TRY(itc_apply(g, n, &itc_op_Mul, 2, (itc_value *[]){l, w}, &l));
    }
    ITC_TRY(counted(g, n, ignored, l, &l));
    if (strcmp(how, "sum") == 0) {
        ITC_TRY(reduce(g, n, &itc_op_ReduceSum, l, &l));
    } else if (strcmp(how, "mean") == 0) {
        ITC_TRY(mean_of(g, n, ids, ignored, w, l, &l));
    }
    return itc_combine_build(g, n, 1, &l, (const double[]){-1}, out);
}

/* ---- rows ---- */

static itc_status log_softmax(itc_graph *g, itc_node *n, itc_value **out)
{
    itc_node *m = itc_node_new(g, &itc_op_LogSoftmax, n, 1, n->in, 1);
    itc_set_int(g, m, "axis", 1);
    ITC_TRY(itc_infer(g, m));
    *out = m->out[0];
    return ITC_OK;
}

/** The second result, the logarithm of the softmax, is a node of its own: swept where unused. */
static itc_status sce_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    itc_value *logp = NULL;
    ITC_TRY(loss_checks(g, n));
    ITC_TRY(log_softmax(g, n, &logp));
    if (n->n_out > 1 && n->out[1]) {
        out[1] = logp;
    }
    return is_trained(g, n) ? build_cross_entropy(g, n, n->in[0], 1, out)
                            : loss_of(g, n, logp, out);
}

/** Of log-probabilities: the softmax before it and this are one cross-entropy. */
static itc_status nll_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    ITC_TRY(loss_checks(g, n));
    const itc_node *def = n->in[0]->def;
    const bool after_softmax = def && def->op == &itc_op_LogSoftmax;
    const int64_t axis = after_softmax ? itc_int(def, "axis") : 0;
    const int rank = n->in[0]->type.rank;
    return after_softmax && is_trained(g, n) && (axis < 0 ? axis + rank : axis) == 1
               ? build_cross_entropy(g, n, def->in[0], 1, out)
               : loss_of(g, n, n->in[0], out);
}

static itc_status onnx_loss_infer(itc_graph *g, itc_node *n)
{
    return itc_error(g->ctx, n, ITC_INTERNAL, "E0248", "loss was not normalised");
}

/** Scores, class ids, weights of the classes. */
static const itc_role_in loss_roles[] = {ITC_IN_DATA, ITC_IN_INDEX, ITC_IN_DATA};
static const uint8_t loss_versions[] = {12, 13, 0};
static const itc_attr_spec loss_attrs[] = {
    {.name = "ignore_index", .kind = ITC_ATTR_INT, .i = INT32_MIN},
    {.name = "reduction", .kind = ITC_ATTR_STRING, .s = "mean"},
    {0}};

#define LOSS(op_name, outputs, op_normalize, text)                                                 \
    const itc_op_def itc_op_##op_name = {                                                          \
        .name = #op_name,                                                                          \
        .domain = "",                                                                              \
        .in_min = 2,                                                                               \
        .in_max = 3,                                                                               \
        .out_min = 1,                                                                              \
        .out_max = outputs,                                                                        \
        .flags = ITC_OP_LOSS,                                                                      \
        .opset_min = 12,                                                                           \
        .versions = loss_versions,                                                                 \
        .roles = loss_roles,                                                                       \
        .attrs = loss_attrs,                                                                       \
        .summary = text,                                                                           \
        .normalize = op_normalize,                                                                 \
        .infer = onnx_loss_infer,                                                                  \
    };

LOSS(SoftmaxCrossEntropyLoss, 2, sce_normalize,
     "as CrossEntropy; without training as what it is made of")
LOSS(NegativeLogLikelihoodLoss, 1, nll_normalize,
     "of a LogSoftmax as CrossEntropy; else as what it is made of")
