/*
 * ONNX's reductions, and the operators of many operands that are reductions over them.
 *
 *     sum, mean            ReduceSumTo, a coefficient            L1, L2    of |x|; square root
 *     sum of squares       ReduceSumTo of x * x, exact           log-sum   logarithm
 *     maximum              MaxPool of one window                 minimum   -max(-x)
 *     log-sum-exp          x_0 - log_softmax(x)_0, whatever the 0 stands for
 *     product              the halves of an axis multiplied, again and again: so does every
 *                          reduction of integers and booleans
 *
 * A mean or a sum over everything, rows included, is a loss (MeanLoss) in a graph that has one.
 *
 * Max and Min of many operands join them along an axis of their own, and reduce it: they are
 * compared at one exponent, and the gradient goes to the first of equals. Sum and Mean are
 * Combines. Sources: ONNX ReduceSum-13 and its relatives, Max-13, Min-13, Sum-13, Mean-13.
 */
#include <math.h>
#include <string.h>

#include "codegen/emit.h"
#include "ir/ops/loss.h"
#include "ir/ops/take.h"
#include "ir/ops/util.h"
#include "passes/lower.h"
#include "passes/pass.h"

/* ---- what is reduced ---- */

typedef enum kind { SUM, MEAN, SUM_SQUARE, L1, L2, LOG_SUM, LOG_SUM_EXP, MAX, MIN, PROD } kind;

static kind kind_of(const itc_node *n)
{
    static const itc_op_def *const ops[] = {
        &itc_op_ReduceSum, &itc_op_ReduceMean,   &itc_op_ReduceSumSquare, &itc_op_ReduceL1,
        &itc_op_ReduceL2,  &itc_op_ReduceLogSum, &itc_op_ReduceLogSumExp, &itc_op_ReduceMax,
        &itc_op_ReduceMin, &itc_op_ReduceProd};
    int k = 0;
    while (ops[k] != n->op) {
        k++;
    }
    return (kind)k;
}

/** Axes as a mask: all of them where none are given, unless the node says that this means none. */
static itc_status read_axes(itc_graph *g, const itc_node *n, int rank, uint32_t *mask)
{
    const itc_tensor *axes = NULL;
    ITC_TRY(itc_operand_list(g, n, "axes", 1, &axes));
    if (axes && axes->count > 0) {
        return itc_axes_mask(g, n, axes, rank, mask);
    }
    *mask = itc_int(n, "noop_with_empty_axes") != 0 ? 0 : ((uint32_t)1 << rank) - 1;
    return ITC_OK;
}

/** x with extent 1 on the axes of mask; without them, where keepdims is 0. */
static itc_type reduced_type(const itc_type *x, uint32_t mask, bool keepdims)
{
    itc_type t = itc_type_make(x->dtype, 0, x->dim);
    for (int i = 0; i < x->rank; i++) {
        if ((mask >> i & 1) == 0) {
            t.dim[t.rank++] = x->dim[i];
        } else if (keepdims) {
            t.dim[t.rank++] = (itc_dim){1, false};
        }
    }
    return t;
}

static itc_status too_large(itc_graph *g, const itc_node *n, const itc_type *t)
{
    return itc_error(g->ctx, n, ITC_RANGE, "E0224", "%s is too large", itc_type_text(g->ctx, t));
}

/** Whether nothing is reduced to each result. */
static bool is_empty(const itc_type *t, uint32_t mask)
{
    bool empty = false;
    for (int i = 0; i < t->rank; i++) {
        empty = empty || ((mask >> i & 1) != 0 && t->dim[i].size == 0);
    }
    return empty;
}

/** Sums over nothing are 0; of other kinds and types there is no result. */
static itc_status check_elements(itc_graph *g, const itc_node *n, const itc_type *t, uint32_t mask)
{
    return is_empty(t, mask) ? itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0201",
                                         "%s over no elements of %s is not supported", n->op->name,
                                         itc_type_text(g->ctx, t))
                             : ITC_OK;
}

/** x as [kept, reduced], its kept axes in order; a Transpose where they do not stand so. */
static itc_status as_rows(itc_graph *g, const itc_node *n, itc_value *x, uint32_t mask,
                          itc_value **out)
{
    const itc_type *t = &x->type;
    int64_t perm[ITC_MAX_RANK];
    itc_dim dim[ITC_MAX_RANK];
    int count = 0, kept = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < t->rank; i++) {
            if ((mask >> i & 1) == (uint32_t)pass) {
                perm[count] = i;
                dim[count++] = t->dim[i];
                kept += pass == 0;
            }
        }
    }
    itc_type flat = itc_type_make(t->dtype, 2, dim);
    if (!itc_dims_product(kept, dim, &flat.dim[0]) ||
        !itc_dims_product(count - kept, dim + kept, &flat.dim[1])) {
        return too_large(g, n, t);
    }
    bool moves = false;
    for (int i = 1; i < count; i++) {
        moves = moves || perm[i] < perm[i - 1];
    }
    if (moves) {
        itc_node *m = itc_node_new(g, &itc_op_Transpose, n, 1, &x, 1);
        itc_set_ints(g, m, "perm", count, perm);
        ITC_TRY(itc_infer(g, m));
        x = m->out[0];
    }
    return itc_view_build(g, n, x, &flat, out);
}

/** Where the axes of mask are neighbours and no rows stand behind them: [before, reduced, behind].
 */
static bool is_block(const itc_type *t, uint32_t mask, itc_dim *block)
{
    int first = 0, end = t->rank;
    while (first < t->rank && (mask >> first & 1) == 0) {
        first++;
    }
    while (end > first && (mask >> (end - 1) & 1) == 0) {
        end--;
    }
    for (int i = first; i < t->rank; i++) {
        if ((i < end && (mask >> i & 1) == 0) || (i >= end && t->dim[i].batch)) {
            return false;
        }
    }
    return itc_dims_product(first, t->dim, &block[0]) &&
           itc_dims_product(end - first, t->dim + first, &block[1]) &&
           itc_dims_product(t->rank - end, t->dim + end, &block[2]);
}

/** The maximum of x over the axes of mask, which keep extent 1: one window of MaxPool. */
static itc_status build_max(itc_graph *g, const itc_node *n, itc_value *x, uint32_t mask,
                            itc_value **out)
{
    const itc_type as = reduced_type(&x->type, mask, true);
    itc_dim block[3];
    ITC_TRY(check_elements(g, n, &x->type, mask));
    if (!is_block(&x->type, mask, block)) {
        ITC_TRY(as_rows(g, n, x, mask, &x));
        block[0] = x->type.dim[0];
        block[1] = x->type.dim[1];
        block[2] = itc_dim_of(1);
    }
    const itc_type planes = itc_type_make(
        x->type.dtype, 4, (const itc_dim[4]){block[0], {1, false}, block[1], block[2]});
    ITC_TRY(itc_view_build(g, n, x, &planes, &x));
    itc_node *pool = itc_node_new(g, &itc_op_MaxPool, n, 1, &x, 2);
    itc_set_ints(g, pool, "kernel_shape", 2, (const int64_t[2]){block[1].size, 1});
    itc_set_ints(g, pool, "strides", 2, (const int64_t[2]){1, 1});
    itc_set_ints(g, pool, "dilations", 2, (const int64_t[2]){1, 1});
    itc_set_ints(g, pool, "pads", 4, (const int64_t[4]){0});
    itc_value_rename(g, pool->out[1], itc_format(g->ctx, "%s.index", pool->out[0]->name));
    ITC_TRY(itc_infer(g, pool));
    return itc_view_build(g, n, pool->out[0], &as, out);
}

static itc_status negate(itc_graph *g, const itc_node *n, itc_value *x, itc_value **out)
{
    return itc_combine_build(g, n, 1, &x, &(double){-1}, out);
}

static itc_status build_sum(itc_graph *g, const itc_node *n, itc_value *x, uint32_t mask,
                            itc_value **out)
{
    int64_t axes[ITC_MAX_RANK];
    int count = 0;
    for (int i = 0; i < x->type.rank; i++) {
        if ((mask >> i & 1) != 0) {
            axes[count++] = i;
        }
    }
    itc_node *sum = itc_node_new(g, &itc_op_ReduceSumTo, n, 1, &x, 1);
    itc_set_ints(g, sum, "axes", count, axes);
    itc_set_int(g, sum, "keepdims", 1);
    ITC_TRY(itc_infer(g, sum));
    *out = sum->out[0];
    return ITC_OK;
}

/**
 * log sum exp(x) = x_0 - log_softmax(x)_0 over the axes of mask: Softmax's kernel looks after the
 * range, and its gradient is that of this one.
 */
static itc_status build_log_sum_exp(itc_graph *g, const itc_node *n, itc_value *x, uint32_t mask,
                                    itc_value **out)
{
    const itc_type as = reduced_type(&x->type, mask, true);
    itc_value *first = NULL, *log_first = NULL;
    ITC_TRY(check_elements(g, n, &x->type, mask));
    ITC_TRY(as_rows(g, n, x, mask, &x));
    itc_node *log_of = itc_node_new(g, &itc_op_LogSoftmax, n, 1, &x, 1);
    itc_set_int(g, log_of, "axis", 1);
    ITC_TRY(itc_infer(g, log_of));
    itc_box b = itc_box_whole(&x->type);
    b.extent[1] = itc_dim_of(1);
    ITC_TRY(itc_take_build(g, n, x, &b, &first));
    ITC_TRY(itc_take_build(g, n, log_of->out[0], &b, &log_first));
    ITC_TRY(
        itc_combine_build(g, n, 2, (itc_value *[]){first, log_first}, (const double[]){1, -1}, &x));
    return itc_view_build(g, n, x, &as, out);
}

/** What makes one element of two; NULL: there is nothing for such elements. */
static const itc_op_def *joiner(kind k, const itc_type *t)
{
    const bool boolean = t->dtype == ITC_BOOL;
    switch (k) {
    case SUM:
        return boolean ? NULL : &itc_op_Add;
    case PROD:
        return boolean ? NULL : &itc_op_Mul;
    case MAX:
        return boolean ? &itc_op_Or : &itc_op_Max;
    case MIN:
        return boolean ? &itc_op_And : &itc_op_Min;
    default:
        return NULL;
    }
}

/** x of [kept, reduced], joined until one is left of what is reduced; an odd one waits. */
static itc_status build_halves(itc_graph *g, const itc_node *n, const itc_op_def *op, itc_value *x,
                               itc_value **out)
{
    itc_value *odd = NULL;
    for (int64_t size = x->type.dim[1].size; size > 1; size /= 2) {
        itc_value *part[3] = {NULL};
        for (int i = 0; i < 3; i++) {
            itc_box b = itc_box_whole(&x->type);
            b.start[1] = i * (size / 2);
            b.extent[1] = itc_dim_of(i < 2 ? size / 2 : size % 2);
            if (b.extent[1].size > 0) {
                ITC_TRY(itc_take_build(g, n, x, &b, &part[i]));
            }
        }
        ITC_TRY(itc_apply(g, n, op, 2, part, &x));
        if (odd && part[2]) {
            ITC_TRY(itc_apply(g, n, op, 2, (itc_value *[]){odd, part[2]}, &odd));
        } else {
            odd = odd ? odd : part[2];
        }
    }
    *out = x;
    return odd ? itc_apply(g, n, op, 2, (itc_value *[]){x, odd}, out) : ITC_OK;
}

static itc_status build_joined(itc_graph *g, const itc_node *n, kind k, itc_value *x, uint32_t mask,
                               itc_value **out)
{
    const itc_op_def *op = joiner(k, &x->type);
    if (!op) {
        return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0241", "input 0 is %s; %s takes float here",
                         itc_type_text(g->ctx, &x->type), n->op->name);
    }
    ITC_TRY(check_elements(g, n, &x->type, mask));
    ITC_TRY(as_rows(g, n, x, mask, &x));
    return build_halves(g, n, op, x, out);
}

/** What a sum is of. */
static itc_status term(itc_graph *g, const itc_node *n, kind k, itc_value **x)
{
    if (k == L1) {
        return itc_map_build(g, n, "abs(x)", *x, x);
    }
    return k == SUM_SQUARE || k == L2 ? itc_apply(g, n, &itc_op_Mul, 2, (itc_value *[]){*x, *x}, x)
                                      : ITC_OK;
}

static itc_status build(itc_graph *g, const itc_node *n, kind k, itc_value *x, uint32_t mask,
                        itc_value **y)
{
    itc_dim all;
    if (k == PROD || itc_is_plain(&x->type)) {
        return build_joined(g, n, k, x, mask, y);
    }
    if (k == LOG_SUM_EXP) {
        return build_log_sum_exp(g, n, x, mask, y);
    }
    if (k == MAX) {
        return build_max(g, n, x, mask, y);
    }
    if (k == MIN) {
        ITC_TRY(negate(g, n, x, &x));
        ITC_TRY(build_max(g, n, x, mask, &x));
        return negate(g, n, x, y);
    }
    ITC_TRY(term(g, n, k, &x));
    const itc_type from = x->type;
    ITC_TRY(build_sum(g, n, x, mask, y));
    if (k == MEAN) {
        double count = 1;
        for (int i = 0; i < from.rank; i++) {
            count *= (mask >> i & 1) != 0 ? (double)from.dim[i].size : 1;
        }
        ITC_TRY(itc_combine_build(g, n, 1, y, &(double){1 / count}, y));
    }
    if (k == L2 || k == LOG_SUM) {
        ITC_TRY(itc_map_build(g, n, k == L2 ? "sqrt(x)" : "log(x)", *y, y));
    }
    return itc_type_count(&from, &all) ? ITC_OK : too_large(g, n, &from);
}

/* ---- constants ---- */

/** Adds element v to a result that starts from `neutral`. */
static double join(kind k, double sum, double v)
{
    switch (k) {
    case MAX:
        return v > sum ? v : sum;
    case MIN:
        return v < sum ? v : sum;
    case PROD:
        return sum * v;
    case SUM_SQUARE:
    case L2:
        return sum + v * v;
    case L1:
        return sum + fabs(v);
    case LOG_SUM_EXP:
        return sum + exp(v);
    default:
        return sum + v;
    }
}

/** What elements are joined to: the result of none. */
static double neutral(kind k)
{
    return k == MAX ? -INFINITY : k == MIN ? INFINITY : k == PROD ? 1 : 0;
}

static double finish(kind k, double sum, double count)
{
    return k == MEAN                          ? sum / count
           : k == L2                          ? sqrt(sum)
           : k == LOG_SUM || k == LOG_SUM_EXP ? log(sum)
                                              : sum;
}

/** Index into the result of element i of x. */
static int64_t result_index(const itc_tensor *x, uint32_t mask, int64_t i)
{
    int64_t at = 0, stride = 1;
    for (int k = x->rank - 1; k >= 0; k--) {
        if ((mask >> k & 1) == 0) {
            at += i % x->dim[k] * stride;
            stride *= x->dim[k];
        }
        i /= x->dim[k];
    }
    return at;
}

/** Elements that count rows stay so where nothing but a product is made of one of them. */
static itc_status reduce_fold(itc_graph *g, itc_node *n, itc_tensor **out)
{
    const itc_tensor *x = itc_operand_const(n, 0);
    const kind k = kind_of(n);
    uint32_t mask = 0;
    int64_t dim[ITC_MAX_RANK];
    itc_tensor *y = NULL;
    if (!x || !x->data) {
        return ITC_OK;
    }
    const itc_type from = itc_tensor_type(x);
    ITC_TRY(read_axes(g, n, x->rank, &mask));
    const itc_type as = reduced_type(&from, mask, itc_int(n, "keepdims") != 0);
    for (int i = 0; i < as.rank; i++) {
        dim[i] = as.dim[i].size;
    }
    ITC_TRY(itc_fold_tensor(g, n, x->dtype, as.rank, dim, &y));
    double *sum = ITC_NEW_ARRAY(g->ctx, double, y->count + 1);
    bool *rows = ITC_NEW_ARRAY(g->ctx, bool, y->count + 1);
    const double count = y->count > 0 ? (double)x->count / (double)y->count : 0;
    for (int64_t i = 0; i < y->count; i++) {
        sum[i] = neutral(k);
    }
    for (int64_t i = 0; i < x->count; i++) {
        const int64_t to = result_index(x, mask, i);
        const bool flag = itc_tensor_flag(x, i);
        if (flag && (rows[to] || (k != PROD && count > 1))) {
            return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0227", "%s of the rows N", n->op->name);
        }
        rows[to] = rows[to] || flag;
        sum[to] = join(k, sum[to], itc_tensor_get(x, i));
    }
    for (int64_t i = 0; i < y->count; i++) {
        const double v = finish(k, sum[i], count);
        if (y->dtype == ITC_F32) {
            ((float *)y->data)[i] = (float)v;
        } else if (!(fabs(v) < 0x1p53) || !itc_tensor_set_int(g->ctx, y, i, (int64_t)v, rows[i])) {
            return itc_error(g->ctx, n, ITC_RANGE, "E0227", "%s overflows", n->op->name);
        }
    }
    out[0] = y;
    return ITC_OK;
}

/* ---- our form ---- */

/** What a graph with a loss may end in: a mean or sum over everything, rows included. */
static bool is_loss(const itc_graph *g, const itc_type *t, uint32_t mask, kind k)
{
    return (k == MEAN || k == SUM || k == SUM_SQUARE || k == L1) && t->dtype == ITC_F32 &&
           !itc_loss_is_none(g) && t->rank > 0 && t->dim[0].batch &&
           mask == ((uint32_t)1 << t->rank) - 1;
}

static itc_status reduce_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    itc_value *x = n->in[0], *y = NULL;
    const kind k = kind_of(n);
    uint32_t mask = 0;
    ITC_TRY(read_axes(g, n, x->type.rank, &mask));
    const itc_type as = reduced_type(&x->type, mask, itc_int(n, "keepdims") != 0);
    if (is_loss(g, &x->type, mask, k)) {
        ITC_TRY(term(g, n, k, &x));
        ITC_TRY(itc_mean_loss_build(g, n, x, k != MEAN, &y));
        return itc_view_build(g, n, y, &as, &out[0]);
    }
    for (int i = 0; i < x->type.rank; i++) {
        if ((mask >> i & 1) != 0 && x->type.dim[i].batch) {
            return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0224",
                             "a reduction over the rows N, axis %d", i);
        }
    }
    ITC_TRY(k == MEAN ? check_elements(g, n, &x->type, mask) : ITC_OK);
    if (is_empty(&x->type, mask) && x->type.dtype == ITC_F32) {
        y = itc_scalar_const(g, n, "nothing", ITC_F32, finish(k, neutral(k), 0));
        return itc_repeat_build(g, n, y, &as, &out[0]);
    }
    ITC_TRY(build(g, n, k, x, mask, &y));
    return itc_view_build(g, n, y, &as, &out[0]);
}

static itc_status not_ours(itc_graph *g, itc_node *n)
{
    return itc_error(g->ctx, n, ITC_INTERNAL, "E0221", "%s has another form here", n->op->name);
}

static const itc_attr_spec reduce_attrs[] = {
    {.name = "axes", .kind = ITC_ATTR_INTS},
    {.name = "keepdims", .kind = ITC_ATTR_INT, .i = 1},
    {.name = "noop_with_empty_axes", .kind = ITC_ATTR_INT},
    {.name = NULL},
};
static const itc_role_in reduce_roles[] = {ITC_IN_DATA, ITC_IN_CONST};
static const uint8_t since_sum[] = {1, 11, 13, 0}, since_others[] = {1, 11, 13, 18, 0},
                     since_extrema[] = {1, 11, 12, 13, 18, 20, 0};

/**
 * A reduction over axes other than the rows; axes are an attribute before opset 13 (ReduceSum) or
 * 18, a constant operand from it on. Shapes  x any, y without the axes, or with extent 1 there
 * (keepdims) Source  ONNX, the versions below
 */
#define REDUCTION(op_name, its_versions, its_kinds, text)                                          \
    const itc_op_def itc_op_##op_name = {                                                          \
        .name = #op_name,                                                                          \
        .domain = "",                                                                              \
        .in_min = 1,                                                                               \
        .in_max = 2,                                                                               \
        .out_min = 1,                                                                              \
        .out_max = 1,                                                                              \
        .opset_min = 1,                                                                            \
        .versions = its_versions,                                                                  \
        .roles = reduce_roles,                                                                     \
        .attrs = reduce_attrs,                                                                     \
        .summary = text,                                                                           \
        .kinds = its_kinds,                                                                        \
        .normalize = reduce_normalize,                                                             \
        .fold = reduce_fold,                                                                       \
        .infer = not_ours,                                                                         \
    };
REDUCTION(ReduceSum, since_sum, ITC_KIND_NUMBER, "sum over axes, exact")
REDUCTION(ReduceMean, since_others, ITC_KIND_FLOAT, "mean over axes")
REDUCTION(ReduceSumSquare, since_others, ITC_KIND_FLOAT, "sum of squares, exact")
REDUCTION(ReduceL1, since_others, ITC_KIND_FLOAT, "sum of absolute values")
REDUCTION(ReduceL2, since_others, ITC_KIND_FLOAT, "root of the sum of squares")
REDUCTION(ReduceLogSum, since_others, ITC_KIND_FLOAT, "logarithm of the sum")
REDUCTION(ReduceLogSumExp, since_others, ITC_KIND_FLOAT,
          "logarithm of the sum of exponentials, by LogSoftmax")
REDUCTION(ReduceMax, since_extrema, ITC_KIND_ANY,
          "maximum over axes; the first of equals has the gradient")
REDUCTION(ReduceMin, since_extrema, ITC_KIND_ANY,
          "minimum over axes; the first of equals has the gradient")
REDUCTION(ReduceProd, since_others, ITC_KIND_NUMBER, "product over axes, by halves")

/* ---- Sum, Mean, Max, Min ---- */

/** The shape that all operands broadcast to. */
static itc_status common_shape(itc_graph *g, const itc_node *n, itc_type *t)
{
    itc_value out = {.type = itc_type_scalar(ITC_F32)}, *outs[1] = {&out};
    itc_node like = *n;
    like.out = outs;
    ITC_TRY(itc_infer_broadcast(g, &like));
    *t = out.type;
    return ITC_OK;
}

/** The sum of c times each, in groups, as many as a sum has terms. */
static itc_status sum_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    itc_value **in = ITC_NEW_ARRAY(g->ctx, itc_value *, n->n_in);
    const double c = n->op == &itc_op_Mean ? 1.0 / n->n_in : 1;
    double coef[ITC_MAX_TERMS];
    int count = n->n_in;
    memcpy(in, n->in, sizeof *in * (size_t)n->n_in);
    for (int round = 0; round == 0 || count > 1; round++) {
        int groups = 0;
        for (int i = 0; i < count; i += ITC_MAX_TERMS, groups++) {
            const int size = count - i < ITC_MAX_TERMS ? count - i : ITC_MAX_TERMS;
            for (int k = 0; k < size; k++) {
                coef[k] = round == 0 ? c : 1;
            }
            ITC_TRY(itc_combine_build(g, n, size, in + i, coef, &in[groups]));
        }
        count = groups;
    }
    out[0] = n->n_in == 1 ? n->in[0] : in[0];
    return ITC_OK;
}

/** x, broadcast to t, as [rows, 1, others], or [all, 1] where the rows do not stand in front. */
static itc_status as_layer(itc_graph *g, const itc_node *n, itc_value *x, const itc_type *t,
                           itc_value **out)
{
    itc_type with = itc_type_make(t->dtype, t->rank, t->dim);
    for (int i = 0; i < t->rank; i++) {
        const int from = i - (t->rank - x->type.rank);
        with.dim[i] = from < 0 ? itc_dim_of(1) : x->type.dim[from];
    }
    ITC_TRY(itc_view_build(g, n, x, &with, &x));
    itc_box b = itc_box_whole(t);
    for (int i = 0; i < t->rank; i++) {
        b.step[i] = itc_dim_equal(with.dim[i], t->dim[i]);
    }
    ITC_TRY(itc_take_build(g, n, x, &b, &x));
    const bool front = t->rank > 0 && t->dim[0].batch;
    itc_type flat =
        itc_type_make(t->dtype, front ? 3 : 2, (const itc_dim[3]){{1, false}, {1, false}});
    if (!itc_dims_product(front ? 1 : t->rank, t->dim, &flat.dim[0]) ||
        !itc_dims_product(front ? t->rank - 1 : 0, t->dim + 1, &flat.dim[2])) {
        return too_large(g, n, t);
    }
    return itc_view_build(g, n, x, &flat, out);
}

/** Of integers: the one or the other, in turn. */
static itc_status choose_number(itc_graph *g, const itc_node *n, bool least, itc_value **out)
{
    *out = n->in[0];
    for (int i = 1; i < n->n_in; i++) {
        itc_value *pair[2] = {least ? n->in[i] : *out, least ? *out : n->in[i]};
        itc_node *above = NULL, *m = NULL;
        ITC_TRY(itc_build(g, &itc_op_Greater, n, 2, pair, 1, &above));
        itc_value *in[3] = {above->out[0], *out, n->in[i]};
        ITC_TRY(itc_build(g, &itc_op_Where, n, 3, in, 1, &m));
        *out = m->out[0];
    }
    return ITC_OK;
}

static itc_status extremum_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    itc_value **in = ITC_NEW_ARRAY(g->ctx, itc_value *, n->n_in);
    const bool least = n->op == &itc_op_Min;
    itc_type t;
    if (n->n_in == 1) {
        out[0] = n->in[0];
        return ITC_OK;
    }
    if (n->in[0]->type.dtype != ITC_F32) {
        return choose_number(g, n, least, &out[0]);
    }
    ITC_TRY(common_shape(g, n, &t));
    for (int i = 0; i < n->n_in; i++) {
        itc_value *x = n->in[i];
        if (least) {
            ITC_TRY(negate(g, n, x, &x));
        }
        ITC_TRY(as_layer(g, n, x, &t, &in[i]));
    }
    itc_value *y = NULL;
    ITC_TRY(itc_concat_build(g, n, 1, n->n_in, in, &y));
    ITC_TRY(build_max(g, n, y, 2, &y));
    if (least) {
        ITC_TRY(negate(g, n, y, &y));
    }
    return itc_view_build(g, n, y, &t, &out[0]);
}

static const itc_role_in weak_roles[] = {ITC_IN_WEAK};
static const uint8_t since_max[] = {1, 6, 8, 12, 13, 0}, since_mean[] = {1, 6, 8, 13, 0};

/**
 * An operator of one or more operands, broadcast to one shape.
 * Source  ONNX, the versions below
 */
#define VARIADIC(op_name, its_versions, its_kinds, op_normalize, text)                             \
    const itc_op_def itc_op_##op_name = {                                                          \
        .name = #op_name,                                                                          \
        .domain = "",                                                                              \
        .in_min = 1,                                                                               \
        .in_max = 255,                                                                             \
        .out_min = 1,                                                                              \
        .out_max = 1,                                                                              \
        .flags = ITC_OP_VARIADIC | ITC_OP_ELEMENTS,                                                \
        .opset_min = 6,                                                                            \
        .versions = its_versions,                                                                  \
        .roles = weak_roles,                                                                       \
        .kinds = its_kinds,                                                                        \
        .summary = text,                                                                           \
        .normalize = op_normalize,                                                                 \
        .fold = itc_fold_many,                                                                     \
        .infer = not_ours,                                                                         \
    };
VARIADIC(Sum, since_mean, ITC_KIND_FLOAT, sum_normalize, "sum of many, as Combine")
VARIADIC(Mean, since_mean, ITC_KIND_FLOAT, sum_normalize, "mean of many, as Combine")
VARIADIC(Max, since_max, ITC_KIND_NUMBER, extremum_normalize,
         "largest of many, at one exponent; the first of equals has the gradient")
VARIADIC(Min, since_max, ITC_KIND_NUMBER, extremum_normalize,
         "smallest of many, at one exponent; the first of equals has the gradient")
