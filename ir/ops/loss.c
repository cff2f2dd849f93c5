/*
 * Losses. A loss node ends the training graph; what it reports goes to the metrics of the call, its
 * gradient with respect to the *sum* over samples starts the backward pass (the optimizer divides
 * by the number of samples, numerics N14).
 *
 *   CrossEntropy   -sum_c q_c log softmax(x)_c,  gradient p - q, with q the target's distribution;
 *                  result 0 stands for the loss, result 1 is p - q (exponent -30 on integers)
 *   SquareLoss     mean over a sample's elements of d^2, gradient 2 d / elements
 * Sources: ONNX SoftmaxCrossEntropyLoss-13, NegativeLogLikelihoodLoss-13; torch.nn.functional.
 */
#include <math.h>
#include <string.h>

#include "codegen/emit.h"
#include "ir/ops/util.h"
#include "passes/grad.h"
#include "passes/lower.h"
#include "passes/plan.h"

/* ---- CrossEntropy ---- */

/** The class axis, and how many predictions a sample holds. */
static int64_t positions(const itc_node *n)
{
    const itc_type *t = &n->in[0]->type;
    const int axis = (int)itc_int(n, "axis");
    int64_t count = 1;
    for (int i = 0; i < t->rank; i++) {
        count *= i != axis ? t->dim[i].size : 1;
    }
    return count;
}

static itc_status cross_entropy_infer(itc_graph *g, itc_node *n)
{
    const itc_type *x = &n->in[0]->type, *t = &n->in[1]->type;
    const int64_t axis = itc_int(n, "axis");
    ITC_TRY(itc_operand_real(g, n, 0));
    bool fits = x->rank >= 2 && axis > 0 && axis < x->rank && t->rank == x->rank - 1 &&
                x->dim[0].batch && t->dtype != ITC_F32 && t->bits == 0;
    for (int i = 0, k = 0; fits && i < x->rank; i++) {
        fits = i == axis || itc_dim_equal(x->dim[i], t->dim[k++]);
    }
    if (!fits) {
        return itc_error(g->ctx, n, ITC_SHAPE, "E0246",
                         "scores %s and class ids %s: expected [N, classes, …] and [N, …]",
                         itc_type_text(g->ctx, x), itc_type_text(g->ctx, t));
    }
    const bool is_float = x->dtype == ITC_F32;
    n->out[0]->type = itc_type_scalar(is_float ? ITC_F32 : ITC_I64);
    if (n->n_out > 1 && n->out[1]) {
        n->out[1]->type = *x;
        if (!is_float) {
            n->out[1]->type.dtype = ITC_I32;
            n->out[1]->type.bits = 31;
        }
    }
    return ITC_OK;
}

static itc_status cross_entropy_grad(itc_grad *b, const itc_node *n)
{
    itc_value *dx = n->out[1];
    const double c = itc_float(n, "weight") / (double)positions(n);
    if (c < 1 || c > 1) {
        ITC_TRY(itc_combine_build(itc_grad_graph(b), n, 1, &dx, &c, &dx));
    }
    return itc_grad_add(b, n, 0, dx);
}

static itc_status cross_entropy_lower(itc_lower *l, const itc_node *n)
{
    itc_value *in[2] = {0};
    itc_node *m = NULL;
    ITC_TRY(itc_lower_get(l, n, n->in[0], itc_lower_wide_bits(l), &in[0]));
    ITC_TRY(itc_lower_get(l, n, n->in[1], 0, &in[1]));
    ITC_TRY(itc_lower_build(l, n, n->op, 2, in, n->n_out, &m));
    itc_lower_set(l, n->out[0], m->out[0]);
    if (n->n_out > 1) {
        itc_lower_set(l, n->out[1], m->out[1]);
    }
    return ITC_OK;
}

static itc_status cross_entropy_plan(itc_plan *p, itc_node *n)
{
    if (n->n_out > 1 && n->out[1] && n->out[1]->type.bits > 0) {
        itc_plan_constant(p, n->out[1], -30);
    }
    return ITC_OK;
}

/** A weight of the reported loss as mantissa and exponent, and as a float. */
static void arg_weight(itc_emit *e, double w)
{
    int exponent = 0;
    const double f = frexp(w, &exponent);
    itc_arg_int(e, "weight_m", (int64_t)nearbyint(ldexp(f, 30)));
    itc_arg_int(e, "weight_e", exponent - 30);
    itc_arg_real(e, "weight", w);
}

static itc_status cross_entropy_emit(itc_emit *e, const itc_node *n)
{
    const itc_type *x = &n->in[0]->type;
    const int axis = (int)itc_int(n, "axis");
    itc_dim outer = {1, false}, inner = {1, false};
    for (int i = 0; i < x->rank; i++) {
        if (i < axis) {
            outer = itc_dim_mul(outer, x->dim[i]);
        } else if (i > axis) {
            inner = itc_dim_mul(inner, x->dim[i]);
        }
    }
    const itc_coef one = {1, ITC_SYM_NONE};
    ITC_TRY(itc_emit_call(e, n, "cross_entropy", 1, n->in));
    itc_arg_ptr(e, "x", n->in[0]);
    itc_arg_exp(e, "e_x", n->in[0]);
    itc_arg_terms(e, "target", 1, &n->in[1], &one, &n->in[1]->type);
    itc_arg_ptr(e, "dx", n->n_out > 1 ? n->out[1] : NULL);
    itc_arg_metrics(e, "metrics");
    itc_arg_dim(e, "outer", outer);
    itc_arg_dim(e, "axis", x->dim[axis]);
    itc_arg_dim(e, "inner", inner);
    itc_arg_int(e, "is_log", 0);
    itc_arg_int(e, "smoothing_q30", (int64_t)nearbyint(itc_float(n, "smoothing") * 1073741824.0));
    itc_arg_int(e, "ignore_index", itc_int(n, "ignore_index"));
    arg_weight(e, itc_float(n, "weight") / (double)positions(n));
    return ITC_OK;
}

static const itc_attr_spec cross_entropy_attrs[] = {
    {.name = "axis", .kind = ITC_ATTR_INT, .i = 1},
    {.name = "weight", .kind = ITC_ATTR_FLOAT, .f = 1},
    {.name = "smoothing", .kind = ITC_ATTR_FLOAT},
    {.name = "ignore_index", .kind = ITC_ATTR_INT, .i = INT32_MIN},
    {0}};

const itc_op_def itc_op_CrossEntropy = {
    .name = "CrossEntropy",
    .domain = "intrain",
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 2,
    .flags = ITC_OP_INTERNAL | ITC_OP_LOSS | ITC_OP_KEEP,
    .attrs = cross_entropy_attrs,
    .summary = "softmax cross-entropy of class ids, and its gradient",
    .infer = cross_entropy_infer,
    .grad = cross_entropy_grad,
    .demand = ITC_DEMAND_WIDE,
    .lower = cross_entropy_lower,
    .plan = cross_entropy_plan,
    .emit = cross_entropy_emit,
};

/* ---- SquareLoss ---- */

static int64_t elements_a_sample(const itc_node *n)
{
    return itc_type_elements(&n->in[0]->type, 1);
}

static itc_status square_loss_infer(itc_graph *g, itc_node *n)
{
    ITC_TRY(itc_operand_real(g, n, 0));
    n->out[0]->type = itc_type_scalar(n->in[0]->type.dtype == ITC_F32 ? ITC_F32 : ITC_I64);
    return ITC_OK;
}

static itc_status square_loss_grad(itc_grad *b, const itc_node *n)
{
    itc_value *dx = NULL;
    const double c = 2 * itc_float(n, "weight") / (double)elements_a_sample(n);
    ITC_TRY(itc_combine_build(itc_grad_graph(b), n, 1, n->in, &c, &dx));
    return itc_grad_add(b, n, 0, dx);
}

static itc_status square_loss_lower(itc_lower *l, const itc_node *n)
{
    itc_value *x = NULL;
    itc_node *m = NULL;
    ITC_TRY(itc_lower_get_wide(l, n, n->in[0], itc_lower_wide_bits(l), &x));
    ITC_TRY(itc_lower_build(l, n, n->op, 1, &x, 1, &m));
    itc_lower_set(l, n->out[0], m->out[0]);
    return ITC_OK;
}

static itc_status square_loss_emit(itc_emit *e, const itc_node *n)
{
    itc_dim count;
    if (!itc_type_count(&n->in[0]->type, &count)) {
        return ITC_INTERNAL;
    }
    ITC_TRY(itc_emit_call(e, n, "square_loss", 1, n->in));
    itc_arg_ptr(e, "x", n->in[0]);
    itc_arg_exp(e, "e_x", n->in[0]);
    itc_arg_metrics(e, "metrics");
    itc_arg_dim(e, "n", count);
    itc_arg_dim(e, "rows", (itc_dim){0, false}); /* no prediction that is right or wrong */
    arg_weight(e, itc_float(n, "weight") / (double)elements_a_sample(n));
    return ITC_OK;
}

static const itc_attr_spec square_loss_attrs[] = {
    {.name = "weight", .kind = ITC_ATTR_FLOAT, .f = 1}, {0}};

const itc_op_def itc_op_SquareLoss = {
    .name = "SquareLoss",
    .domain = "intrain",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = ITC_OP_INTERNAL | ITC_OP_LOSS | ITC_OP_KEEP,
    .attrs = square_loss_attrs,
    .summary = "mean of squares over a sample's elements",
    .infer = square_loss_infer,
    .grad = square_loss_grad,
    .demand = ITC_DEMAND_WIDE,
    .lower = square_loss_lower,
    .emit = square_loss_emit,
};

/* ---- ONNX's loss operators ---- */

static itc_status loss_checks(itc_graph *g, const itc_node *n)
{
    const char *reduction = itc_string(n, "reduction");
    if (strcmp(reduction, "mean") != 0) {
        return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0247",
                         "reduction \"%s\" is not available, only \"mean\"", reduction);
    }
    if (n->n_in > 2 && n->in[2]) {
        return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0247", "class weights are not available");
    }
    return ITC_OK;
}

static itc_status build_cross_entropy(itc_graph *g, itc_node *n, itc_value *scores, int axis,
                                      itc_value **out)
{
    itc_value *in[2] = {scores, n->in[1]};
    itc_node *m = itc_node_new(g, &itc_op_CrossEntropy, n, 2, in, 2);
    itc_set_int(g, m, "axis", axis);
    const int64_t ignored = itc_int(n, "ignore_index"); /* ids have 32 bits: no other can occur */
    if (ignored >= INT32_MIN && ignored <= INT32_MAX) {
        itc_set_int(g, m, "ignore_index", ignored);
    }
    ITC_TRY(itc_infer(g, m));
    out[0] = m->out[0];
    return ITC_OK;
}

/** The second result, the logarithm of the softmax, is a node of its own: swept where unused. */
static itc_status sce_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    ITC_TRY(loss_checks(g, n));
    ITC_TRY(build_cross_entropy(g, n, n->in[0], 1, out));
    if (n->n_out > 1 && n->out[1]) {
        itc_node *m = itc_node_new(g, &itc_op_LogSoftmax, n, 1, n->in, 1);
        itc_set_int(g, m, "axis", 1);
        ITC_TRY(itc_infer(g, m));
        out[1] = m->out[0];
    }
    return ITC_OK;
}

/** Of log-probabilities: the softmax before it and this are one cross-entropy. */
static itc_status nll_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    ITC_TRY(loss_checks(g, n));
    const itc_node *def = n->in[0]->def;
    if (!def || strcmp(def->op->name, "LogSoftmax") != 0) {
        return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0247",
                         "the operand is not the result of a LogSoftmax");
    }
    const int64_t axis = itc_int(def, "axis");
    return build_cross_entropy(g, n, def->in[0],
                               (int)(axis < 0 ? axis + def->in[0]->type.rank : axis), out);
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

const itc_op_def itc_op_SoftmaxCrossEntropyLoss = {
    .name = "SoftmaxCrossEntropyLoss",
    .domain = "",
    .in_min = 2,
    .in_max = 3,
    .out_min = 1,
    .out_max = 2,
    .flags = ITC_OP_LOSS,
    .opset_min = 12,
    .versions = loss_versions,
    .roles = loss_roles,
    .attrs = loss_attrs,
    .summary = "as CrossEntropy (reduction mean)",
    .normalize = sce_normalize,
    .infer = onnx_loss_infer,
};

const itc_op_def itc_op_NegativeLogLikelihoodLoss = {
    .name = "NegativeLogLikelihoodLoss",
    .domain = "",
    .in_min = 2,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .flags = ITC_OP_LOSS,
    .opset_min = 12,
    .versions = loss_versions,
    .roles = loss_roles,
    .attrs = loss_attrs,
    .summary = "of a LogSoftmax, as CrossEntropy (reduction mean)",
    .normalize = nll_normalize,
    .infer = onnx_loss_infer,
};
