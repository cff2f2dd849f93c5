/*
 * Losses. A loss node ends the training graph; what it reports goes to the metrics of the call, its
 * gradient with respect to the *sum* over samples starts the backward pass (the optimizer divides
 * by the number of samples, numerics N14).
 *
 *   CrossEntropy   -sum_c q_c log softmax(x)_c,  gradient p - q, with q the target's distribution;
 *                  result 0 stands for the loss, result 1 is p - q (exponent -30 on integers)
 *                  with operand 2 a row's loss and gradient are multiplied by its number
 *   LabelWeights   these numbers: what a mean over labels that count, or of classes that weigh
 *                  differently, multiplies each row by
 *   SquareLoss     mean over a sample's elements of d^2, gradient 2 d / elements
 *   MeanLoss       mean over a sample's elements, gradient 1 / elements: whatever else a model's
 * own loss is before it is averaged over the rows Sources: ONNX SoftmaxCrossEntropyLoss-13,
 * NegativeLogLikelihoodLoss-13; torch.nn.functional.
 */
#include <math.h>
#include <string.h>

#include "codegen/emit.h"
#include "ir/ops/loss.h"
#include "ir/ops/take.h"
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
    const itc_type *w = n->n_in > 2 && n->in[2] ? &n->in[2]->type : t;
    fits = w->rank == t->rank;
    for (int i = 0; fits && i < t->rank; i++) {
        fits = itc_dim_equal(w->dim[i], t->dim[i]);
    }
    if (!fits) {
        return itc_error(g->ctx, n, ITC_SHAPE, "E0246", "weights %s of class ids %s",
                         itc_type_text(g->ctx, w), itc_type_text(g->ctx, t));
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
    if (n->n_in > 2 && n->in[2]) { /* one number for all classes of a row */
        const int axis = (int)itc_int(n, "axis");
        itc_type t = dx->type;
        itc_value *w = NULL;
        t.dim[axis] = itc_dim_of(1);
        ITC_TRY(itc_view_build(itc_grad_graph(b), n, n->in[2], &t, &w));
        ITC_TRY(itc_grad_build(b, n, &itc_op_Mul, 2, (itc_value *[]){dx, w}, NULL, &dx));
    }
    return itc_grad_add(b, n, 0, dx);
}

static itc_status cross_entropy_lower(itc_lower *l, const itc_node *n)
{
    itc_value *in[3] = {0};
    itc_node *m = NULL;
    ITC_TRY(itc_lower_get(l, n, n->in[0], itc_lower_wide_bits(l), &in[0]));
    ITC_TRY(itc_lower_get(l, n, n->in[1], 0, &in[1]));
    if (n->n_in > 2 && n->in[2]) {
        ITC_TRY(itc_lower_get_wide(l, n, n->in[2], itc_lower_wide_bits(l), &in[2]));
    }
    ITC_TRY(itc_lower_build(l, n, n->op, in[2] ? 3 : 2, in, n->n_out, &m));
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
    const itc_value *w = n->n_in > 2 ? n->in[2] : NULL;
    ITC_TRY(itc_emit_call(e, n, "cross_entropy", 1, n->in));
    itc_arg_ptr(e, "x", n->in[0]);
    itc_arg_exp(e, "e_x", n->in[0]);
    itc_arg_ptr(e, "w", w);
    itc_arg_exp(e, "e_w", w);
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
    .in_max = 3,
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

/* ---- LabelWeights ---- */

itc_status itc_label_weights_build(itc_graph *g, const itc_node *origin, itc_value *ids,
                                   itc_value *classes, int64_t ignore, bool mean, itc_value **out)
{
    if (!classes) { /* one for all */
        itc_tensor *one = itc_tensor_new(g->ctx, ITC_F32, 1, &(int64_t){1});
        *(float *)one->data = 1;
        classes = itc_const_new(g, itc_format(g->ctx, "%s.count", ids->name), one);
        classes->reason = "what a label counts";
    }
    itc_node *m =
        itc_node_new(g, &itc_op_LabelWeights, origin, 2, (itc_value *[]){ids, classes}, 1);
    itc_set_int(g, m, "ignore_index", ignore);
    itc_set_int(g, m, "mean", mean);
    ITC_TRY(itc_infer(g, m));
    *out = m->out[0];
    return ITC_OK;
}

static itc_status label_weights_infer(itc_graph *g, itc_node *n)
{
    const itc_type *ids = &n->in[0]->type, *w = &n->in[1]->type;
    itc_dim rows;
    ITC_TRY(itc_operand_real(g, n, 1));
    if (ids->dtype == ITC_F32 || ids->bits != 0 || !itc_type_count(ids, &rows) || w->rank != 1 ||
        w->dim[0].batch || w->exp_axis >= 0) {
        return itc_error(g->ctx, n, ITC_SHAPE, "E0246", "class ids %s and weights of classes %s",
                         itc_type_text(g->ctx, ids), itc_type_text(g->ctx, w));
    }
    const bool is_float = w->dtype == ITC_F32;
    n->out[0]->type = itc_type_make(is_float ? ITC_F32 : ITC_I16, ids->rank, ids->dim);
    n->out[0]->type.bits = is_float ? 0 : 15;
    return ITC_OK;
}

static itc_status label_weights_lower(itc_lower *l, const itc_node *n)
{
    itc_value *in[2] = {0};
    itc_node *m = NULL;
    ITC_TRY(itc_lower_get(l, n, n->in[0], 0, &in[0]));
    ITC_TRY(itc_lower_get_wide(l, n, n->in[1], itc_lower_wide_bits(l), &in[1]));
    ITC_TRY(itc_lower_build(l, n, n->op, 2, in, 1, &m));
    itc_lower_set(l, n->out[0], m->out[0]);
    return ITC_OK;
}

static itc_status label_weights_plan(itc_plan *p, itc_node *n)
{
    if (n->out[0]->type.bits > 0) {
        itc_plan_fit(p, n->out[0]);
    }
    return ITC_OK;
}

static itc_status label_weights_grad(itc_grad *b, const itc_node *n)
{
    (void)b;
    (void)n;
    return ITC_OK; /* of ids and constants */
}

static itc_status label_weights_emit(itc_emit *e, const itc_node *n)
{
    const itc_value *w = n->in[1];
    const itc_coef one = {1, ITC_SYM_NONE};
    itc_dim rows;
    if (!itc_type_count(&n->in[0]->type, &rows)) {
        return ITC_INTERNAL;
    }
    ITC_TRY(itc_emit_call(e, n, "label_weights", 1, n->out));
    itc_arg_terms(e, "target", 1, &n->in[0], &one, &n->in[0]->type);
    itc_arg_ptr(e, "w", w);
    itc_arg_exp(e, "e_w", w);
    itc_arg_ptr(e, "y", n->out[0]);
    itc_arg_exp(e, "e_y", n->out[0]);
    itc_arg_dim(e, "rows", rows);
    itc_arg_dim(e, "classes", w->type.dim[0]);
    itc_arg_int(e, "ignore_index", itc_int(n, "ignore_index"));
    itc_arg_int(e, "mean", itc_int(n, "mean"));
    return ITC_OK;
}

static const itc_attr_spec label_weights_attrs[] = {
    {.name = "ignore_index", .kind = ITC_ATTR_INT, .i = INT32_MIN},
    {.name = "mean", .kind = ITC_ATTR_INT, .i = 1},
    {0}};

/**
 * What each row of a loss is multiplied by, so that the mean over all rows is what ONNX defines:
 * w of its class * rows / the sum of w over the rows that count; with mean=0 w * rows, for a sum.
 * Rows that are ignored have 0, and all where none counts.
 * Shapes  ids [N, ...], w [classes], or one number for all, not negative; result as ids
 * Units   15 bits at one exponent that is measured
 * Range   the sum of w is exact; the quotient is rounded once, to nearest
 * Source  ONNX SoftmaxCrossEntropyLoss-13; torch.nn.functional.cross_entropy; NUMERICS.md, "Losses"
 */
const itc_op_def itc_op_LabelWeights = {
    .name = "LabelWeights",
    .domain = "intrain",
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = ITC_OP_INTERNAL,
    .attrs = label_weights_attrs,
    .summary = "what each row of a loss counts",
    .infer = label_weights_infer,
    .grad = label_weights_grad,
    .demand = ITC_DEMAND_WIDE,
    .lower = label_weights_lower,
    .plan = label_weights_plan,
    .emit = label_weights_emit,
};

/* ---- SquareLoss, MeanLoss ---- */

static int64_t elements_a_sample(const itc_node *n)
{
    return itc_type_elements(&n->in[0]->type, 1);
}

static itc_status mean_infer(itc_graph *g, itc_node *n)
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

static itc_status mean_loss_grad(itc_grad *b, const itc_node *n)
{
    itc_value *dx = NULL;
    itc_graph *g = itc_grad_graph(b);
    itc_value *c = itc_scalar_const(g, n, "slope", ITC_F32,
                                    itc_float(n, "weight") / (double)elements_a_sample(n));
    ITC_TRY(itc_repeat_build(g, n, c, &n->in[0]->type, &dx));
    return itc_grad_add(b, n, 0, dx);
}

static itc_status mean_lower(itc_lower *l, const itc_node *n)
{
    itc_value *x = NULL;
    itc_node *m = NULL;
    ITC_TRY(itc_lower_get_wide(l, n, n->in[0], itc_lower_wide_bits(l), &x));
    ITC_TRY(itc_lower_build(l, n, n->op, 1, &x, 1, &m));
    itc_lower_set(l, n->out[0], m->out[0]);
    return ITC_OK;
}

static itc_status mean_emit(itc_emit *e, const itc_node *n, const char *kernel)
{
    itc_dim count;
    if (!itc_type_count(&n->in[0]->type, &count)) {
        return ITC_INTERNAL;
    }
    ITC_TRY(itc_emit_call(e, n, kernel, 1, n->in));
    itc_arg_ptr(e, "x", n->in[0]);
    itc_arg_exp(e, "e_x", n->in[0]);
    itc_arg_metrics(e, "metrics");
    itc_arg_dim(e, "n", count);
    itc_arg_dim(e, "rows", (itc_dim){0, false}); /* no prediction that is right or wrong */
    arg_weight(e, itc_float(n, "weight") / (double)elements_a_sample(n));
    return ITC_OK;
}

static itc_status square_loss_emit(itc_emit *e, const itc_node *n)
{
    return mean_emit(e, n, "square_loss");
}

static itc_status mean_loss_emit(itc_emit *e, const itc_node *n)
{
    return mean_emit(e, n, "mean_loss");
}

/** x times the number of rows, for a sum over them: as LabelWeights count rows, of labels that are
 * 0. */
static itc_status times_rows(itc_graph *g, const itc_node *origin, itc_value **x)
{
    itc_value *zero = itc_scalar_const(g, origin, "label", ITC_I64, 0), *ids = NULL, *rows = NULL;
    itc_type t = itc_type_make(ITC_I64, 1, (*x)->type.dim);
    ITC_TRY(itc_repeat_build(g, origin, zero, &t, &ids));
    ITC_TRY(itc_label_weights_build(g, origin, ids, NULL, INT32_MIN, false, &rows));
    t = (*x)->type;
    for (int i = 1; i < t.rank; i++) {
        t.dim[i] = itc_dim_of(1);
    }
    ITC_TRY(itc_view_build(g, origin, rows, &t, &rows));
    return itc_apply(g, origin, &itc_op_Mul, 2, (itc_value *[]){*x, rows}, x);
}

itc_status itc_mean_loss_build(itc_graph *g, const itc_node *origin, itc_value *x, bool sum,
                               itc_value **out)
{
    if (sum) {
        ITC_TRY(times_rows(g, origin, &x));
    }
    const itc_node *square = x->def && x->def->op == &itc_op_Mul ? x->def : NULL;
    itc_node *n = NULL;
    const bool is_square = square && square->in[0] == square->in[1];
    ITC_TRY(itc_build(g, is_square ? &itc_op_SquareLoss : &itc_op_MeanLoss, origin, 1,
                      is_square ? &square->in[0] : &x, 1, &n));
    itc_set_float(g, n, "weight", sum ? (double)elements_a_sample(n) : 1);
    *out = n->out[0];
    return ITC_OK;
}

static const itc_attr_spec mean_attrs[] = {{.name = "weight", .kind = ITC_ATTR_FLOAT, .f = 1}, {0}};

#define MEAN(op_name, kind, text)                                                                  \
    const itc_op_def itc_op_##op_name = {                                                          \
        .name = #op_name,                                                                          \
        .domain = "intrain",                                                                       \
        .in_min = 1,                                                                               \
        .in_max = 1,                                                                               \
        .out_min = 1,                                                                              \
        .out_max = 1,                                                                              \
        .flags = ITC_OP_INTERNAL | ITC_OP_LOSS | ITC_OP_KEEP,                                      \
        .attrs = mean_attrs,                                                                       \
        .summary = text,                                                                           \
        .infer = mean_infer,                                                                       \
        .grad = kind##_grad,                                                                       \
        .demand = ITC_DEMAND_WIDE,                                                                 \
        .lower = mean_lower,                                                                       \
        .emit = kind##_emit,                                                                       \
    };
MEAN(SquareLoss, square_loss, "mean of squares over a sample's elements")
MEAN(MeanLoss, mean_loss, "mean over a sample's elements")
