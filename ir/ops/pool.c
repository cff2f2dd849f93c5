/*
 * Pooling over one or two spatial axes, and its gradients.
 */
#include "codegen/emit.h"
#include "ir/ops/util.h"
#include "ir/ops/window.h"
#include "passes/grad.h"
#include "passes/lower.h"
#include "passes/plan.h"

/** Fractional bits of the reciprocal of a window's count. */
#define RECIPROCAL_BITS 30

static itc_dim planes_of(const itc_type *t)
{
    return itc_dim_mul(t->dim[0], t->dim[1]);
}

/** The fields that every pooling kernel has beyond x, y and index. */
static void emit_pool(itc_emit *e, const itc_node *n, const itc_window *w)
{
    itc_arg_dim(e, "planes", planes_of(&n->in[0]->type));
    itc_window_emit(e, w);
    itc_arg_int(e, "kh", w->kernel[0]);
    itc_arg_int(e, "kw", w->kernel[1]);
    itc_arg_int(e, "pad_bottom", w->end[0]);
    itc_arg_int(e, "pad_right", w->end[1]);
    itc_arg_int(e, "count_include_pad", itc_int(n, "count_include_pad") != 0);
}

/* ---- MaxPool ---- */

/** Pads made explicit, and a second output of our own: where each maximum was, in its plane. */
static itc_status maxpool_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    if (n->in[0]->type.rank == 5) {
        return itc_volume_pool(g, n, out);
    }
    ITC_TRY(itc_window_operand(g, n, 0));
    const itc_type *x = &n->in[0]->type;
    ITC_TRY(itc_window_normalize(g, n, x->rank - 2, x->dim + 2, NULL));
    itc_node *pool = itc_node_new(g, &itc_op_MaxPool, n, 1, n->in, 2);
    for (int i = 0; i < n->n_attrs; i++) {
        itc_attr_set(g, pool, n->attrs[i]);
    }
    itc_value_rename(g, pool->out[1], itc_format(g->ctx, "%s.index", pool->out[0]->name));
    ITC_TRY(itc_infer(g, pool));
    out[0] = pool->out[0];
    if (n->n_out > 1 && n->out[1]) { /* swept where nobody uses it */
        itc_node *at = itc_node_new(g, &itc_op_PlaneIndices, n, 1, &pool->out[1], 1);
        const bool columns = x->rank > 3 && itc_int(n, "storage_order") != 0;
        itc_set_int(g, at, "height", x->rank > 3 ? x->dim[2].size : 1);
        itc_set_int(g, at, "width", x->dim[x->rank - 1].size);
        itc_set_int(g, at, "columns", columns);
        ITC_TRY(itc_infer(g, at));
        out[1] = at->out[0];
    }
    return ITC_OK;
}

static itc_status maxpool_infer(itc_graph *g, itc_node *n)
{
    itc_window w;
    itc_window_counts counts;
    itc_dim count;
    ITC_TRY(itc_window_of(g, n, 0, &w));
    ITC_TRY(itc_operand_real(g, n, 0));
    ITC_TRY(itc_window_count(g, n, &w, 0, false, &counts));
    ITC_TRY(itc_window_count(g, n, &w, 1, false, &counts));
    const itc_type *x = &n->in[0]->type;
    itc_type y = itc_window_type(&w, x->dtype, x->dim[0], x->dim[1], w.out);
    y.bits = x->bits;
    if (n->n_out != 2) {
        return itc_error(g->ctx, n, ITC_SHAPE, "E0221", "MaxPool has %d outputs, expected 2 here",
                         n->n_out);
    }
    if (w.in[0] * w.in[1] > INT32_MAX || !itc_type_count(&y, &count)) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0226",
                         "a plane of %lld x %lld elements is too large", (long long)w.in[0],
                         (long long)w.in[1]);
    }
    n->out[0]->type = y;
    n->out[1]->type = itc_window_type(&w, ITC_I32, x->dim[0], x->dim[1], w.out);
    return ITC_OK;
}

static itc_status maxpool_grad(itc_grad *b, const itc_node *n)
{
    itc_graph *g = itc_grad_graph(b);
    itc_value *in[2] = {itc_grad_of(b, n, 0), n->out[1]};
    itc_node *dx = itc_node_new(g, &itc_op_MaxPoolGrad, n, 2, in, 1);
    itc_window_copy(g, dx, n, 0);
    itc_attr_copy(g, dx, n, "ceil_mode");
    ITC_TRY(itc_infer(g, dx));
    return itc_grad_add(b, n, 0, dx->out[0]);
}

static itc_status maxpool_emit(itc_emit *e, const itc_node *n)
{
    itc_window w;
    ITC_TRY(itc_window_of(itc_emit_graph(e), n, 0, &w));
    ITC_TRY(itc_emit_call(e, n, "maxpool", 1, n->in));
    itc_arg_ptr(e, "x", n->in[0]);
    itc_arg_ptr(e, "y", n->out[0]);
    itc_arg_ptr(e, "index", n->out[1]);
    emit_pool(e, n, &w);
    return ITC_OK;
}

static const itc_attr_spec maxpool_attrs[] = {
    ITC_WINDOW_ATTRS(true),
    {.name = "ceil_mode", .kind = ITC_ATTR_INT},
    {.name = "storage_order", .kind = ITC_ATTR_INT},
    {.name = NULL},
};

/**
 * The largest element of each window; padding is never the largest.
 * Shapes  x [N,C,H,W] or [N,C,L], y and index [N,C,oh,ow]
 * Units   e_y = e_x; index (i32) is the offset of the maximum in its plane, the first of equals
 * Range   that of x
 * Source  ONNX MaxPool-1, -8, -10, -11, -12, -22; its output Indices is PlaneIndices of ours
 */
const itc_op_def itc_op_MaxPool = {
    .name = "MaxPool",
    .domain = "",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 2,
    .opset_min = 7,
    .versions = (const uint8_t[]){1, 8, 10, 11, 12, 22, 0},
    .attrs = maxpool_attrs,
    .summary = "largest element of a window over one to three axes",
    .normalize = maxpool_normalize,
    .infer = maxpool_infer,
    .grad = maxpool_grad,
    .demand = ITC_DEMAND_PASS,
    .lower = itc_lower_move,
    .plan = itc_plan_hook_same,
    .emit = maxpool_emit,
};

/* ---- PlaneIndices ---- */

static itc_status plane_indices_infer(itc_graph *g, itc_node *n)
{
    const itc_type *x = &n->in[0]->type;
    const int64_t h = itc_int(n, "height"), w = itc_int(n, "width");
    if (x->dtype != ITC_I32 || x->rank < 2 || h < 1 || w < 1 || h > INT32_MAX || w > INT32_MAX ||
        h * w > INT32_MAX) {
        return itc_error(g->ctx, n, ITC_SHAPE, "E0221", "offsets %s in planes of %lld x %lld",
                         itc_type_text(g->ctx, x), (long long)h, (long long)w);
    }
    n->out[0]->type = itc_type_make(ITC_I64, x->rank, x->dim);
    return ITC_OK;
}

/** Plain integers have no gradient. */
static itc_status plane_indices_grad(itc_grad *b, const itc_node *n)
{
    (void)b;
    (void)n;
    return ITC_OK;
}

static itc_status plane_indices_lower(itc_lower *l, const itc_node *n)
{
    itc_value *x = NULL;
    itc_node *m = NULL;
    ITC_TRY(itc_lower_get(l, n, n->in[0], 0, &x));
    ITC_TRY(itc_lower_build(l, n, n->op, 1, &x, 1, &m));
    itc_lower_set(l, n->out[0], m->out[0]);
    return ITC_OK;
}

static itc_status plane_indices_emit(itc_emit *e, const itc_node *n)
{
    const itc_type *x = &n->in[0]->type;
    itc_dim planes, count;
    if (!itc_dims_product(2, x->dim, &planes) ||
        !itc_dims_product(x->rank - 2, x->dim + 2, &count)) {
        return ITC_INTERNAL;
    }
    ITC_TRY(itc_emit_call(e, n, "plane_indices", 0, NULL));
    itc_arg_ptr(e, "x", n->in[0]);
    itc_arg_ptr(e, "y", n->out[0]);
    itc_arg_dim(e, "planes", planes);
    itc_arg_dim(e, "count", count);
    itc_arg_int(e, "height", itc_int(n, "height"));
    itc_arg_int(e, "width", itc_int(n, "width"));
    itc_arg_int(e, "columns", itc_int(n, "columns"));
    return ITC_OK;
}

static const itc_attr_spec plane_indices_attrs[] = {
    {.name = "height", .kind = ITC_ATTR_INT, .required = true},
    {.name = "width", .kind = ITC_ATTR_INT, .required = true},
    {.name = "columns", .kind = ITC_ATTR_INT},
    {0}};

/**
 * Offsets in planes as ONNX counts them: over the whole tensor, with columns=1 down the columns.
 * Shapes  x i32 [N,C,...], y i64 alike; an offset of -1, of a window without elements, is the first
 * Source  ONNX MaxPool-12, output Indices
 */
const itc_op_def itc_op_PlaneIndices = {
    .name = "PlaneIndices",
    .domain = "intrain",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = ITC_OP_INTERNAL,
    .attrs = plane_indices_attrs,
    .summary = "offsets in planes, counted over the whole tensor",
    .infer = plane_indices_infer,
    .grad = plane_indices_grad,
    .lower = plane_indices_lower,
    .emit = plane_indices_emit,
};

/** Windows that see one element, at most, over both axes. */
static itc_status cover_of(itc_graph *g, const itc_node *n, const itc_window *w, bool include_pad,
                           int64_t *cover)
{
    itc_window_counts h, v;
    ITC_TRY(itc_window_count(g, n, w, 0, include_pad, &h));
    ITC_TRY(itc_window_count(g, n, w, 1, include_pad, &v));
    *cover = h.cover * v.cover;
    return ITC_OK;
}

/** A gradient's operand 0 must have the window's output extents. */
static itc_status grad_window(itc_graph *g, const itc_node *n, itc_window *w)
{
    const itc_type *dy = &n->in[0]->type;
    ITC_TRY(itc_window_operand(g, n, 0));
    ITC_TRY(itc_window_of_grad(g, n, w));
    ITC_TRY(itc_operand_rank(g, n, 0, 2 + w->spatial, 2 + w->spatial));
    const itc_type want = itc_window_type(w, dy->dtype, dy->dim[0], dy->dim[1], w->out);
    if (!itc_type_equal(&want, dy)) {
        return itc_error(g->ctx, n, ITC_SHAPE, "E0220", "the gradient is %s, expected %s",
                         itc_type_text(g->ctx, dy), itc_type_text(g->ctx, &want));
    }
    return ITC_OK;
}

static itc_status maxpool_grad_infer(itc_graph *g, itc_node *n)
{
    itc_window w;
    int64_t cover = 0;
    itc_dim count;
    ITC_TRY(grad_window(g, n, &w));
    ITC_TRY(itc_operand_real(g, n, 0));
    ITC_TRY(cover_of(g, n, &w, false, &cover));
    const itc_type *dy = &n->in[0]->type;
    const bool real = dy->dtype == ITC_F32;
    itc_type dx = itc_window_type(&w, real ? ITC_F32 : ITC_I32, dy->dim[0], dy->dim[1], w.in);
    dx.bits = (uint8_t)(real ? 0 : dy->bits + itc_log2_ceil(cover));
    if (dx.bits > 31 || !itc_type_count(&dx, &count)) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0226",
                         "%lld windows over one element are too many", (long long)cover);
    }
    n->out[0]->type = dx;
    return ITC_OK;
}

static itc_status maxpool_grad_plan(itc_plan *p, itc_node *n)
{
    itc_window w;
    int64_t cover = 0;
    if (n->out[0]->type.bits == 0) {
        return ITC_OK; /* floats */
    }
    ITC_TRY(grad_window(itc_plan_graph(p), n, &w));
    ITC_TRY(cover_of(itc_plan_graph(p), n, &w, false, &cover));
    itc_plan_same(p, n->out[0], n->in[0]);
    return itc_plan_bound(p, n, itc_dim_of(cover), n->in[0]->type.bits, 1);
}

static itc_status maxpool_grad_emit(itc_emit *e, const itc_node *n)
{
    itc_window w;
    ITC_TRY(grad_window(itc_emit_graph(e), n, &w));
    itc_value *types[2] = {n->in[0], n->out[0]};
    ITC_TRY(itc_emit_call(e, n, "maxpool_grad", 2, types));
    itc_arg_ptr(e, "dy", n->in[0]);
    itc_arg_ptr(e, "index", n->in[1]);
    itc_arg_ptr(e, "dx", n->out[0]);
    itc_arg_dim(e, "planes", planes_of(&n->in[0]->type));
    itc_arg_dim(e, "plane_in", itc_dim_of(w.in[0] * w.in[1]));
    itc_arg_dim(e, "plane_out", itc_dim_of(w.out[0] * w.out[1]));
    return ITC_OK;
}

static const itc_attr_spec maxpool_grad_attrs[] = {
    ITC_WINDOW_ATTRS(true),
    {.name = "ceil_mode", .kind = ITC_ATTR_INT},
    {.name = "input_shape", .kind = ITC_ATTR_INTS, .required = true, .internal = true},
    {.name = NULL},
};

/**
 * Gradient of max-pooling: each dy goes to the element that was the largest.
 * Shapes  dy and index [N,C,oh,ow], dx [N,C,H,W]; input_shape is [H,W]
 * Units   e_dx = e_dy
 * Range   an element sums as many dy as windows see it
 * Source  our derivation, of ONNX MaxPool-12
 */
const itc_op_def itc_op_MaxPoolGrad = {
    .name = "MaxPoolGrad",
    .domain = "",
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = ITC_OP_INTERNAL,
    .attrs = maxpool_grad_attrs,
    .summary = "gradient of MaxPool",
    .infer = maxpool_grad_infer,
    .demand = ITC_DEMAND_OPERAND,
    .lower = itc_lower_linear,
    .plan = maxpool_grad_plan,
    .emit = maxpool_grad_emit,
};

/* ---- AveragePool ---- */

/** How the mean of windows becomes integers. */
typedef struct mean_rule {
    bool shift; /**< every window has 2^k elements: a sum, and k off the exponent */
    int k;
    int64_t terms; /**< elements that one sum adds up, at most */
    int bits;      /**< of the result */
} mean_rule;

/**
 * The rule of AveragePool (`reach`: elements of a window) and of its gradient (windows over an
 * element). Sums stay in i32 with one power of two for all; else each is multiplied by the
 * reciprocal of its count, 2^30 / count, in i64. Rounding that reciprocal makes the result
 * larger by less than a factor of two: the bit beyond the 30.
 */
static itc_status mean_rule_of(itc_graph *g, const itc_node *n, const itc_window *w, bool gradient,
                               mean_rule *r)
{
    const bool include_pad = itc_int(n, "count_include_pad") != 0;
    itc_window_counts h, v;
    ITC_TRY(itc_window_count(g, n, w, 0, include_pad, &h));
    ITC_TRY(itc_window_count(g, n, w, 1, include_pad, &v));
    if (h.max * v.max > INT32_MAX) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0226", "a window of %lld elements is too large",
                         (long long)(h.max * v.max));
    }
    const int64_t count = h.max * v.max;
    const int bits = n->in[0]->type.bits;
    r->k = itc_log2_ceil(count);
    r->terms = gradient ? h.cover * v.cover : count;
    r->shift = h.min == h.max && v.min == v.max && count == (int64_t)1 << r->k &&
               bits + itc_log2_ceil(r->terms) <= 31;
    r->bits = r->shift ? bits + itc_log2_ceil(r->terms)
                       : bits + RECIPROCAL_BITS + 1 + (gradient ? itc_log2_ceil(r->terms) : 0);
    return ITC_OK;
}

static itc_status mean_type(itc_graph *g, const itc_node *n, const itc_window *w, bool gradient,
                            itc_type *t)
{
    const itc_type *x = &n->in[0]->type;
    mean_rule r = {0};
    itc_dim count;
    ITC_TRY(itc_operand_real(g, n, 0));
    ITC_TRY(mean_rule_of(g, n, w, gradient, &r));
    const itc_dtype dtype = x->dtype == ITC_F32 ? ITC_F32 : r.shift ? ITC_I32 : ITC_I64;
    *t = itc_window_type(w, dtype, x->dim[0], x->dim[1], gradient ? w->in : w->out);
    t->bits = (uint8_t)(dtype == ITC_F32 ? 0 : r.bits);
    if (t->bits > 63 || !itc_type_count(t, &count)) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0226", "the result or its sums are too large");
    }
    return ITC_OK;
}

static itc_status mean_plan(itc_plan *p, itc_node *n, const itc_window *w, bool gradient)
{
    mean_rule r = {0};
    if (n->out[0]->type.bits == 0) {
        return ITC_OK; /* floats */
    }
    ITC_TRY(mean_rule_of(itc_plan_graph(p), n, w, gradient, &r));
    const int off = r.shift ? r.k : RECIPROCAL_BITS;
    ITC_TRY(itc_plan_sum(p, n, n->out[0], 1, n->in, -off));
    /* A mean of many i8 is bounded by the operand's limit, whatever the count. */
    const int64_t terms = r.shift || gradient ? r.terms : 1;
    return itc_plan_bound(p, n, itc_dim_of(terms), n->in[0]->type.bits,
                          r.shift ? 1 : RECIPROCAL_BITS + 1);
}

static itc_status mean_emit(itc_emit *e, const itc_node *n, const itc_window *w, bool gradient)
{
    mean_rule r = {0};
    ITC_TRY(mean_rule_of(itc_emit_graph(e), n, w, gradient, &r));
    const bool sum = n->out[0]->type.dtype != ITC_F32 && r.shift;
    itc_value *types[2] = {n->in[0], n->out[0]};
    const char *base =
        sum ? (gradient ? "sumpool_grad" : "sumpool") : (gradient ? "avgpool_grad" : "avgpool");
    ITC_TRY(itc_emit_call(e, n, base, 2, types));
    itc_arg_ptr(e, "x", n->in[0]);
    itc_arg_ptr(e, "y", n->out[0]);
    itc_arg_ptr(e, "index", NULL);
    emit_pool(e, n, w);
    return ITC_OK;
}

static itc_status avgpool_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    if (n->in[0]->type.rank == 5) {
        return itc_volume_pool(g, n, out);
    }
    ITC_TRY(itc_window_operand(g, n, 0));
    const itc_type *x = &n->in[0]->type;
    return itc_window_normalize(g, n, x->rank - 2, x->dim + 2, NULL);
}

static itc_status avgpool_infer(itc_graph *g, itc_node *n)
{
    itc_window w;
    ITC_TRY(itc_window_of(g, n, 0, &w));
    return mean_type(g, n, &w, false, &n->out[0]->type);
}

static itc_status avgpool_grad(itc_grad *b, const itc_node *n)
{
    itc_graph *g = itc_grad_graph(b);
    itc_value *dy = itc_grad_of(b, n, 0);
    itc_node *dx = itc_node_new(g, &itc_op_AveragePoolGrad, n, 1, &dy, 1);
    itc_window_copy(g, dx, n, 0);
    itc_attr_copy(g, dx, n, "ceil_mode");
    itc_attr_copy(g, dx, n, "count_include_pad");
    ITC_TRY(itc_infer(g, dx));
    return itc_grad_add(b, n, 0, dx->out[0]);
}

static itc_status avgpool_plan(itc_plan *p, itc_node *n)
{
    itc_window w;
    ITC_TRY(itc_window_of(itc_plan_graph(p), n, 0, &w));
    return mean_plan(p, n, &w, false);
}

static itc_status avgpool_emit(itc_emit *e, const itc_node *n)
{
    itc_window w;
    ITC_TRY(itc_window_of(itc_emit_graph(e), n, 0, &w));
    return mean_emit(e, n, &w, false);
}

static const itc_attr_spec avgpool_attrs[] = {
    ITC_WINDOW_ATTRS(true),
    {.name = "ceil_mode", .kind = ITC_ATTR_INT},
    {.name = "count_include_pad", .kind = ITC_ATTR_INT},
    {.name = NULL},
};

/**
 * The mean of each window; padding counts as zeros with count_include_pad, else not at all.
 * Shapes  x [N,C,H,W] or [N,C,L], y [N,C,oh,ow]
 * Units   e_y = e_x - log2(count) and y the exact sum, where every window has the same power of
 *         two of elements; else e_y = e_x - 30 and y = sum * round(2^30 / count), in i64
 * Range   |y| < 2^bits_x * count, or 2^(bits_x + 31)
 * Source  ONNX AveragePool-7, -10, -11, -19, -22
 */
const itc_op_def itc_op_AveragePool = {
    .name = "AveragePool",
    .domain = "",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 7,
    .versions = (const uint8_t[]){1, 7, 10, 11, 19, 22, 0},
    .attrs = avgpool_attrs,
    .summary = "mean of a window over one or two axes",
    .normalize = avgpool_normalize,
    .infer = avgpool_infer,
    .grad = avgpool_grad,
    .demand = ITC_DEMAND_OPERAND,
    .lower = itc_lower_linear,
    .plan = avgpool_plan,
    .emit = avgpool_emit,
};

static itc_status avgpool_grad_infer(itc_graph *g, itc_node *n)
{
    itc_window w;
    ITC_TRY(grad_window(g, n, &w));
    return mean_type(g, n, &w, true, &n->out[0]->type);
}

static itc_status avgpool_grad_plan(itc_plan *p, itc_node *n)
{
    itc_window w;
    ITC_TRY(grad_window(itc_plan_graph(p), n, &w));
    return mean_plan(p, n, &w, true);
}

static itc_status avgpool_grad_emit(itc_emit *e, const itc_node *n)
{
    itc_window w;
    ITC_TRY(grad_window(itc_emit_graph(e), n, &w));
    return mean_emit(e, n, &w, true);
}

static const itc_attr_spec avgpool_grad_attrs[] = {
    ITC_WINDOW_ATTRS(true),
    {.name = "ceil_mode", .kind = ITC_ATTR_INT},
    {.name = "count_include_pad", .kind = ITC_ATTR_INT},
    {.name = "input_shape", .kind = ITC_ATTR_INTS, .required = true, .internal = true},
    {.name = NULL},
};

/**
 * Gradient of average pooling: dx[i] = sum of dy[o] / count[o] over the windows o that see i.
 * Shapes  dy [N,C,oh,ow], dx [N,C,H,W]; input_shape is [H,W]
 * Units   as AveragePool: e_dy - log2(count), or e_dy - 30
 * Range   as many dy as windows see an element
 * Source  our derivation, of ONNX AveragePool-19
 */
const itc_op_def itc_op_AveragePoolGrad = {
    .name = "AveragePoolGrad",
    .domain = "",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = ITC_OP_INTERNAL,
    .attrs = avgpool_grad_attrs,
    .summary = "gradient of AveragePool",
    .infer = avgpool_grad_infer,
    .demand = ITC_DEMAND_OPERAND,
    .lower = itc_lower_linear,
    .plan = avgpool_grad_plan,
    .emit = avgpool_grad_emit,
};
