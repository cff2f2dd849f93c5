/*
 * Operators that are pooling in another form: over whole planes, of powers, across channels.
 *
 *     GlobalAveragePool, GlobalMaxPool   one window
 *     LpPool, GlobalLpPool               (count * mean |x|^p)^(1/p), padding counted
 *     LRN                                x * (bias + alpha * mean of x^2 over channels)^-beta
 *
 * Sources: ONNX GlobalAveragePool-22, GlobalMaxPool-22, LpPool-22, GlobalLpPool-22, LRN-13.
 */
#include <math.h>

#include "codegen/emit.h"
#include "ir/ops/util.h"
#include "ir/ops/window.h"

/* ---- one window ---- */

/** x [N, C, …], two axes or more behind the rows, as [N, C, L]. */
static itc_status as_line(itc_graph *g, const itc_node *n, itc_value **x)
{
    const itc_type *t = &(*x)->type;
    ITC_TRY(itc_operand_rank(g, n, 0, 3, ITC_MAX_RANK));
    itc_type line = itc_type_make(t->dtype, 3, t->dim);
    if (!itc_dims_product(t->rank - 2, t->dim + 2, &line.dim[2]) || line.dim[1].batch ||
        line.dim[2].batch) {
        return itc_error(g->ctx, n, ITC_SHAPE, "E0224", "%s, expected the rows N on axis 0 alone",
                         itc_type_text(g->ctx, t));
    }
    return itc_view_build(g, n, *x, &line, x);
}

/** A pooling of one window over [N, C, L]. */
static itc_status build_global(itc_graph *g, const itc_node *n, const itc_op_def *op, int n_out,
                               itc_value *x, itc_value **out)
{
    itc_node *pool = itc_node_new(g, op, n, 1, &x, n_out);
    itc_set_ints(g, pool, "kernel_shape", 1, &x->type.dim[2].size);
    ITC_TRY(itc_window_normalize(g, pool, 1, x->type.dim + 2, NULL));
    if (n_out > 1) {
        itc_value_rename(g, pool->out[1], itc_format(g->ctx, "%s.index", pool->out[0]->name));
    }
    ITC_TRY(itc_infer(g, pool));
    *out = pool->out[0];
    return ITC_OK;
}

/** y [N, C, 1] with as many axes as x. */
static itc_status as_pixel(itc_graph *g, const itc_node *n, itc_value *y, itc_value **out)
{
    itc_type t = n->in[0]->type;
    for (int i = 2; i < t.rank; i++) {
        t.dim[i] = itc_dim_of(1);
    }
    return itc_view_build(g, n, y, &t, out);
}

static itc_status global_average_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    itc_value *x = n->in[0];
    ITC_TRY(as_line(g, n, &x));
    ITC_TRY(build_global(g, n, &itc_op_AveragePool, 1, x, &x));
    return as_pixel(g, n, x, &out[0]);
}

static itc_status global_max_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    itc_value *x = n->in[0];
    ITC_TRY(as_line(g, n, &x));
    ITC_TRY(build_global(g, n, &itc_op_MaxPool, 2, x, &x));
    return as_pixel(g, n, x, &out[0]);
}

static itc_status not_ours(itc_graph *g, itc_node *n)
{
    return itc_error(g->ctx, n, ITC_INTERNAL, "E0221", "%s has another form here", n->op->name);
}

static const uint8_t since_global[] = {1, 22, 0};

/**
 * The mean over all spatial axes, as an AveragePool of that window.
 * Shapes  x [N,C,…], y [N,C,1,…]
 * Source  ONNX GlobalAveragePool-1, -22
 */
const itc_op_def itc_op_GlobalAveragePool = {
    .name = "GlobalAveragePool",
    .domain = "",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 1,
    .versions = since_global,
    .summary = "mean over the spatial axes",
    .normalize = global_average_normalize,
    .infer = not_ours,
};

/**
 * The maximum over all spatial axes, as a MaxPool of that window.
 * Shapes  x [N,C,…], y [N,C,1,…]
 * Source  ONNX GlobalMaxPool-1, -22
 */
const itc_op_def itc_op_GlobalMaxPool = {
    .name = "GlobalMaxPool",
    .domain = "",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 1,
    .versions = since_global,
    .summary = "maximum over the spatial axes",
    .normalize = global_max_normalize,
    .infer = not_ours,
};

/* ---- powers ---- */

static itc_status power(itc_graph *g, const itc_node *n, double p, itc_value *x, itc_value **out)
{
    itc_node *square = NULL;
    if (!(p < 1) && !(p > 1)) {
        *out = x;
        return ITC_OK;
    }
    if (!(p < 2) && !(p > 2)) {
        ITC_TRY(itc_build(g, &itc_op_Mul, n, 2, (itc_value *[]){x, x}, 1, &square));
        *out = square->out[0];
        return ITC_OK;
    }
    if (!(p < 0.5) && !(p > 0.5)) {
        return itc_map_build(g, n, "sqrt(x)", x, out);
    }
    return itc_map_build(g, n, itc_format(g->ctx, "pow(x,%.17g)", p), x, out);
}

/** |x|^p; x * x is no less for being negative. */
static itc_status magnitude(itc_graph *g, itc_node *n, int64_t *p, itc_value **x)
{
    *p = itc_int(n, "p");
    if (*p < 1 || *p > 64) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0221", "p is %lld, expected 1 to 64",
                         (long long)*p);
    }
    if (*p % 2 != 0) {
        ITC_TRY(itc_map_build(g, n, "abs(x)", *x, x));
    }
    return power(g, n, (double)*p, *x, x);
}

/** (count * mean)^(1/p). */
static itc_status root(itc_graph *g, const itc_node *n, int64_t p, double count, itc_value *mean,
                       itc_value **out)
{
    ITC_TRY(itc_combine_build(g, n, 1, &mean, &count, &mean));
    return power(g, n, 1 / (double)p, mean, out);
}

/** With ceil_mode the last windows may reach beyond the padding: it grows, so that each is whole.
 */
static void whole_windows(itc_graph *g, itc_node *pool, const itc_window *w)
{
    int64_t pads[4];
    for (int i = 0; i < w->spatial; i++) {
        const int at = 2 - w->spatial + i;
        const int64_t need = (w->out[at] - 1) * w->stride[at] +
                             (w->kernel[at] - 1) * w->dilation[at] + 1 - w->in[at] - w->begin[at];
        pads[i] = w->begin[at];
        pads[w->spatial + i] = need > w->end[at] ? need : w->end[at];
    }
    itc_set_ints(g, pool, "pads", 2 * w->spatial, pads);
    itc_set_int(g, pool, "ceil_mode", 0);
}

/** Over three axes. */
static itc_status lp_volume(itc_graph *g, itc_node *n, itc_node *pool, int64_t p, itc_value **out)
{
    const int64_t *kernel = NULL;
    double count = 1;
    itc_value *mean = NULL;
    if (itc_int(n, "ceil_mode") != 0) {
        return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0201",
                         "LpPool with ceil_mode over 3 spatial axes is not supported");
    }
    itc_set_int(g, pool, "count_include_pad", 1);
    ITC_TRY(itc_apply_node(g, pool, &mean));
    for (int i = itc_ints(pool, "kernel_shape", &kernel) - 1; i >= 0; i--) {
        count *= (double)kernel[i];
    }
    return root(g, n, p, count, mean, out);
}

static itc_status lp_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    itc_value *x = n->in[0];
    int64_t p = 2;
    itc_window w;
    const bool volume = x->type.rank == 5;
    ITC_TRY(volume ? ITC_OK : itc_window_operand(g, n, 0));
    ITC_TRY(magnitude(g, n, &p, &x));
    itc_node *pool = itc_node_new(g, &itc_op_AveragePool, n, 1, &x, 1);
    static const char *const names[] = {"auto_pad",     "ceil_mode", "dilations",
                                        "kernel_shape", "pads",      "strides"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        itc_attr_copy(g, pool, n, names[i]);
    }
    if (volume) {
        return lp_volume(g, n, pool, p, &out[0]);
    }
    ITC_TRY(itc_window_normalize(g, pool, x->type.rank - 2, x->type.dim + 2, NULL));
    ITC_TRY(itc_window_of(g, pool, 0, &w));
    whole_windows(g, pool, &w);
    itc_set_int(g, pool, "count_include_pad", 1);
    ITC_TRY(itc_infer(g, pool));
    return root(g, n, p, (double)(w.kernel[0] * w.kernel[1]), pool->out[0], &out[0]);
}

static itc_status global_lp_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    itc_value *x = n->in[0];
    int64_t p = 2;
    ITC_TRY(as_line(g, n, &x));
    const double count = (double)x->type.dim[2].size;
    ITC_TRY(magnitude(g, n, &p, &x));
    ITC_TRY(build_global(g, n, &itc_op_AveragePool, 1, x, &x));
    ITC_TRY(root(g, n, p, count, x, &x));
    return as_pixel(g, n, x, &out[0]);
}

static const itc_attr_spec lp_attrs[] = {
    ITC_WINDOW_ATTRS(true),
    {.name = "ceil_mode", .kind = ITC_ATTR_INT},
    {.name = "p", .kind = ITC_ATTR_INT, .i = 2},
    {.name = NULL},
};

static const itc_attr_spec global_lp_attrs[] = {
    {.name = "p", .kind = ITC_ATTR_INT, .i = 2},
    {.name = NULL},
};

/**
 * The p-norm of each window; padding adds 0.
 * Source  ONNX LpPool-2, -11, -18, -22
 */
const itc_op_def itc_op_LpPool = {
    .name = "LpPool",
    .domain = "",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 2,
    .versions = (const uint8_t[]){1, 2, 11, 18, 22, 0},
    .attrs = lp_attrs,
    .summary = "p-norm of a window over one to three axes, by AveragePool",
    .normalize = lp_normalize,
    .infer = not_ours,
};

/**
 * The p-norm over all spatial axes.
 * Source  ONNX GlobalLpPool-2, -22
 */
const itc_op_def itc_op_GlobalLpPool = {
    .name = "GlobalLpPool",
    .domain = "",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 2,
    .versions = (const uint8_t[]){1, 2, 22, 0},
    .attrs = global_lp_attrs,
    .summary = "p-norm over the spatial axes",
    .normalize = global_lp_normalize,
    .infer = not_ours,
};

/* ---- LRN ---- */

/** The mean of x^2 over a window of channels: x^2 [N, 1, C, L] pooled over axis 2, zeros counted.
 */
static itc_status channel_mean(itc_graph *g, const itc_node *n, int64_t size, itc_value **out)
{
    const itc_type *t = &n->in[0]->type;
    itc_value *x = NULL;
    ITC_TRY(power(g, n, 2, n->in[0], &x));
    itc_type planes = itc_type_make(t->dtype, 4, (const itc_dim[4]){t->dim[0], {1, false}});
    planes.dim[2] = t->dim[1];
    if (!itc_dims_product(t->rank - 2, t->dim + 2, &planes.dim[3])) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0224", "%s is too large",
                         itc_type_text(g->ctx, t));
    }
    ITC_TRY(itc_view_build(g, n, x, &planes, &x));
    itc_node *pool = itc_node_new(g, &itc_op_AveragePool, n, 1, &x, 1);
    itc_set_ints(g, pool, "kernel_shape", 2, (const int64_t[2]){size, 1});
    itc_set_ints(g, pool, "pads", 4, (const int64_t[4]){(size - 1) / 2, 0, size / 2, 0});
    itc_set_int(g, pool, "count_include_pad", 1);
    ITC_TRY(itc_window_normalize(g, pool, 2, planes.dim + 2, NULL));
    ITC_TRY(itc_infer(g, pool));
    return itc_view_build(g, n, pool->out[0], t, out);
}

static itc_status lrn_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    const int64_t size = itc_int(n, "size");
    const double alpha = itc_float(n, "alpha"), beta = itc_float(n, "beta");
    const double bias = itc_float(n, "bias");
    itc_value *mean = NULL;
    itc_node *y = NULL;
    ITC_TRY(itc_operand_rank(g, n, 0, 3, ITC_MAX_RANK));
    if (size < 1 || size > INT32_MAX || !(bias > 0) || !(alpha >= 0) || !isfinite(beta)) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0221", "size %lld, bias %g, alpha %g, beta %g",
                         (long long)size, bias, alpha, beta);
    }
    ITC_TRY(channel_mean(g, n, size, &mean));
    const char *f = itc_format(g->ctx, "pow(%.17g+%.17g*x,%.17g)", bias, alpha, -beta);
    ITC_TRY(itc_map_build(g, n, f, mean, &mean));
    ITC_TRY(itc_build(g, &itc_op_Mul, n, 2, (itc_value *[]){n->in[0], mean}, 1, &y));
    out[0] = y->out[0];
    return ITC_OK;
}

static const itc_attr_spec lrn_attrs[] = {
    {.name = "alpha", .kind = ITC_ATTR_FLOAT, .f = 0.0001},
    {.name = "beta", .kind = ITC_ATTR_FLOAT, .f = 0.75},
    {.name = "bias", .kind = ITC_ATTR_FLOAT, .f = 1},
    {.name = "size", .kind = ITC_ATTR_INT, .required = true},
    {.name = NULL},
};

/**
 * Local response normalisation, across channels.
 * Shapes  x, y [N,C,…]
 * Source  ONNX LRN-1, -13
 */
const itc_op_def itc_op_LRN = {
    .name = "LRN",
    .domain = "",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 1,
    .versions = (const uint8_t[]){1, 13, 0},
    .attrs = lrn_attrs,
    .summary = "local response normalisation, as AveragePool, a power and a product",
    .normalize = lrn_normalize,
    .infer = not_ours,
};
