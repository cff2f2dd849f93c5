/*
 * Resize and Upsample: along each axis a linear map with constant coefficients, so that an image is
 * resized axis by axis. Nearest neighbours are a Gather.
 *
 *     y[j] = sum over t of c_t(r) * x[base - n/2 + 1 + t],  base + r = the coordinate of j in x
 *
 * with c of two (linear) or four elements (cubic, Keys 1981), or more where antialiasing widens
 * them; beyond the ends x's outermost element repeats (or, exclude_outside, the others are scaled
 * up). Source: ONNX Resize-10, -11, -13, -18, -19 and its reference implementation; Upsample-7, -9.
 */
#include <math.h>
#include <string.h>

#include "codegen/emit.h"
#include "ir/ops/gather.h"
#include "ir/ops/take.h"
#include "ir/ops/util.h"

#define MAX_EXTENT ((int64_t)1 << 30)
#define MAX_TAPS 65536

/** What holds for every axis. */
typedef struct rules {
    const char *mode, *coordinates, *nearest;
    double cubic_a, extrapolation;
    bool exclude_outside, antialias;
} rules;

/** One axis. */
typedef struct axis {
    int64_t in, out;
    double scale, from, to; /**< from, to: of the region of interest */
    bool resized;
} axis;

/* ---- coordinates ---- */

/** In single precision, as PyTorch and ONNX Runtime compute it: where a quotient is a whole number
 * but for the rounding of the scale, it decides between neighbours. */
static double single(double x)
{
    return (double)(float)x;
}

/** Coordinate in x of element j of y. */
static double coordinate(const rules *r, const axis *a, int64_t j)
{
    const double x = (double)j, in = (double)a->in, out = a->scale * in; /* not rounded */
    const char *c = r->coordinates;
    if (strcmp(c, "align_corners") == 0) {
        return a->out > 1 && out > 1 ? x * (in - 1) / (out - 1) : 0;
    }
    if (strcmp(c, "asymmetric") == 0) {
        return single(x / a->scale);
    }
    if (strcmp(c, "tf_half_pixel_for_nn") == 0) {
        return single((x + 0.5) / a->scale);
    }
    if (strcmp(c, "tf_crop_and_resize") == 0) {
        return a->out > 1 && out > 1
                   ? a->from * (in - 1) + x * (a->to - a->from) * (in - 1) / (out - 1)
                   : 0.5 * (a->from + a->to) * (in - 1);
    }
    if (strcmp(c, "pytorch_half_pixel") == 0 && a->out == 1) {
        return -0.5;
    }
    const double half = single(single((x + 0.5) / a->scale) - 0.5);
    if (strcmp(c, "half_pixel_symmetric") == 0) {
        return in / 2 * (1 - (double)a->out / out) + half;
    }
    return half;
}

static bool is_known(const char *name, const char *const *list)
{
    while (*list && strcmp(*list, name) != 0) {
        list++;
    }
    return *list != NULL;
}

static int64_t nearest(const rules *r, double x)
{
    if (strcmp(r->nearest, "floor") == 0) {
        return (int64_t)floor(x);
    }
    if (strcmp(r->nearest, "ceil") == 0) {
        return (int64_t)ceil(x);
    }
    return (int64_t)(strcmp(r->nearest, "round_prefer_ceil") == 0 ? floor(x + 0.5) : ceil(x - 0.5));
}

/* ---- coefficients ---- */

static double cubic(double a, double x)
{
    x = fabs(x);
    return x <= 1  ? ((a + 2) * x - (a + 3)) * x * x + 1
           : x < 2 ? a * (((x - 5) * x + 8) * x - 4)
                   : 0;
}

/** Elements that one result sees; even. */
static int64_t taps_of(const rules *r, const axis *a)
{
    const double narrow = r->antialias && a->scale < 1 ? a->scale : 1;
    const double reach = strcmp(r->mode, "cubic") == 0 ? 2 : 1;
    return 2 - 2 * ((int64_t)floor(-reach / narrow) + 1);
}

/** Their coefficients, for a coordinate r right of the middle's left element; the sum is 1. */
static void coefficients(const rules *rule, const axis *a, double r, int64_t taps, double *c)
{
    const double narrow = rule->antialias && a->scale < 1 ? a->scale : 1;
    double sum = 0;
    for (int64_t t = 0; t < taps; t++) {
        const double x = ((double)(t - taps / 2 + 1) - r) * narrow;
        c[t] = strcmp(rule->mode, "cubic") == 0 ? cubic(rule->cubic_a, x) : fmax(1 - fabs(x), 0);
        sum += c[t];
    }
    for (int64_t t = 0; t < taps; t++) {
        c[t] /= sum;
    }
}

/** Appends row j: the elements that it sees, at least one with a coefficient that is not 0. */
static void add_row(const rules *r, const axis *a, int64_t taps, double x, double *c, itc_sparse *m,
                    int64_t j)
{
    double base = floor(x), sum = 0;
    int32_t at = m->first[j];
    base -= !(x > base); /* a whole coordinate belongs to the element on its left */
    coefficients(r, a, x - base, taps, c);
    for (int64_t t = 0; t < taps; t++) {
        const int64_t k = (int64_t)base - taps / 2 + 1 + t;
        if (r->exclude_outside && (k < 0 || k >= a->in)) {
            c[t] = 0;
        }
        sum += c[t];
    }
    for (int64_t t = 0; t < taps; t++) {
        const int64_t k = (int64_t)base - taps / 2 + 1 + t, last = a->in - 1;
        if (c[t] < 0 || c[t] > 0) {
            m->from[at] = (int32_t)(k < 0 ? 0 : k > last ? last : k);
            m->coef[at++] = c[t] / sum;
        }
    }
    m->first[j + 1] = at;
}

/** Whether element j of y lies outside x, where a crop is extrapolated. */
static bool is_outside(const rules *r, const axis *a, int64_t j)
{
    const double x = coordinate(r, a, j);
    return strcmp(r->coordinates, "tf_crop_and_resize") == 0 && (x < 0 || x > (double)(a->in - 1));
}

static itc_status axis_matrix(itc_graph *g, const itc_node *n, const rules *r, const axis *a,
                              itc_sparse *m)
{
    const bool single = strcmp(r->mode, "nearest") == 0;
    const int64_t taps = single ? 1 : taps_of(r, a);
    if (taps > MAX_TAPS || a->out > MAX_EXTENT / taps) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0226",
                         "resizing %lld to %lld elements takes %lld "
                         "coefficients each",
                         (long long)a->in, (long long)a->out, (long long)taps);
    }
    double *c = ITC_NEW_ARRAY(g->ctx, double, taps);
    *m = (itc_sparse){.rows = a->out, .columns = a->in};
    m->first = ITC_NEW_ARRAY(g->ctx, int32_t, a->out + 1);
    m->from = ITC_NEW_ARRAY(g->ctx, int32_t, a->out * taps);
    m->coef = ITC_NEW_ARRAY(g->ctx, double, a->out *taps);
    for (int64_t j = 0; j < a->out; j++) {
        const double x = coordinate(r, a, j);
        m->first[j + 1] = m->first[j];
        if (!(fabs(x) < 0x1p40)) {
            return itc_error(g->ctx, n, ITC_RANGE, "E0221", "coordinate %g of element %lld", x,
                             (long long)j);
        }
        if (is_outside(r, a, j)) {
            continue;
        }
        if (single) {
            const int64_t k = nearest(r, x), last = a->in - 1;
            m->from[m->first[j]] = (int32_t)(k < 0 ? 0 : k > last ? last : k);
            m->coef[m->first[j + 1]++] = 1;
        } else {
            add_row(r, a, taps, x, c, m, j);
        }
    }
    return ITC_OK;
}

/* ---- what the node says ---- */

static itc_status read_rules(itc_graph *g, const itc_node *n, rules *r)
{
    static const char *const modes[] = {"nearest", "linear", "cubic", NULL};
    static const char *const places[] = {
        "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
        "asymmetric", "tf_half_pixel_for_nn", "tf_crop_and_resize", NULL};
    static const char *const roundings[] = {"round_prefer_floor", "round_prefer_ceil", "floor",
                                            "ceil", NULL};
    const bool old = n->op == &itc_op_Upsample || (n->onnx_version > 0 && n->onnx_version < 11);
    *r = (rules){.mode = itc_string(n, "mode")};
    r->coordinates = old ? "asymmetric" : itc_string(n, "coordinate_transformation_mode");
    r->nearest = old ? "floor" : itc_string(n, "nearest_mode");
    r->mode = strcmp(r->mode, "bilinear") == 0 ? "linear" : r->mode;
    if (!old) {
        r->cubic_a = itc_float(n, "cubic_coeff_a");
        r->extrapolation = itc_float(n, "extrapolation_value");
        r->exclude_outside = itc_int(n, "exclude_outside") != 0;
        r->antialias = itc_int(n, "antialias") != 0;
    }
    if (!is_known(r->mode, modes) || !is_known(r->coordinates, places) ||
        !is_known(r->nearest, roundings) || !isfinite(r->cubic_a) || !isfinite(r->extrapolation)) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0221",
                         "mode \"%s\", coordinate_transformation_mode \"%s\", nearest_mode \"%s\"",
                         r->mode, r->coordinates, r->nearest);
    }
    return ITC_OK;
}

/** A constant operand's numbers; NULL where it is absent or empty. E0225 where it is not known. */
static itc_status read_numbers(itc_graph *g, const itc_node *n, int i, const char *what,
                               const itc_tensor **out)
{
    *out = NULL;
    if (i >= n->n_in || !n->in[i]) {
        return ITC_OK;
    }
    const itc_tensor *t = itc_operand_const(n, i);
    if (!t || !t->data) {
        return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0225",
                         "input %s must be known when compiling", what);
    }
    *out = t->count > 0 ? t : NULL;
    return ITC_OK;
}

/** Scale and extent of an axis of extent `in`. */
static itc_status set_scale(itc_graph *g, const itc_node *n, int i, double scale, axis *a)
{
    if (!(scale > 0) || !(scale * (double)a->in < (double)MAX_EXTENT) ||
        floor(scale * (double)a->in) < 1) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0221", "axis %d is scaled by %g", i, scale);
    }
    a->scale = scale;
    a->out = (int64_t)floor(scale * (double)a->in);
    a->resized = true;
    return ITC_OK;
}

/** Sizes, of the axes that are resized; a policy keeps the aspect ratio. */
static itc_status set_sizes(itc_graph *g, const itc_node *n, const itc_tensor *sizes,
                            const int *axes, axis *a)
{
    const char *policy = itc_string(n, "keep_aspect_ratio_policy");
    const bool larger = strcmp(policy, "not_smaller") == 0;
    const bool smaller = strcmp(policy, "not_larger") == 0;
    double common = 0;
    for (int64_t i = 0; i < sizes->count; i++) {
        axis *to = &a[axes[i]];
        const int64_t size = itc_tensor_get_int(sizes, i);
        if (size < 1 || size > MAX_EXTENT) {
            return itc_error(g->ctx, n, ITC_RANGE, "E0221", "axis %d is resized to %lld", axes[i],
                             (long long)size);
        }
        to->out = size;
        to->scale = (double)size / (double)to->in;
        to->resized = true;
        common = i == 0 || (larger ? to->scale > common : to->scale < common) ? to->scale : common;
    }
    for (int64_t i = 0; (larger || smaller) && i < sizes->count; i++) {
        axis *to = &a[axes[i]];
        to->scale = common;
        to->out = (int64_t)floor(common * (double)to->in + 0.5);
        to->out = to->out > 0 ? to->out : 1;
    }
    return ITC_OK;
}

/** Operands roi, scales, sizes as they stand in this version. */
static itc_status read_axes(itc_graph *g, const itc_node *n, axis *a)
{
    const itc_type *x = &n->in[0]->type;
    const bool old = n->op == &itc_op_Upsample || (n->onnx_version > 0 && n->onnx_version < 11);
    const itc_tensor *roi = NULL, *scales = NULL, *sizes = NULL;
    const double *given = NULL;
    int axes[ITC_MAX_RANK] = {0, 1, 2, 3, 4, 5, 6, 7};
    int64_t count = x->rank;
    const itc_attr *list = itc_attr_find(n, "scales"), *chosen = itc_attr_find(n, "axes");
    ITC_TRY(read_numbers(g, n, old ? 1 : 2, "scales", &scales));
    ITC_TRY(read_numbers(g, n, old ? n->n_in : 1, "roi", &roi));
    ITC_TRY(read_numbers(g, n, old ? n->n_in : 3, "sizes", &sizes));
    if (list && list->kind == ITC_ATTR_FLOATS) {
        given = list->u.floats;
    }
    if (chosen) {
        count = chosen->n;
        for (int64_t i = 0; i < count && i < ITC_MAX_RANK; i++) {
            ITC_TRY(itc_axis_resolve(g, n, chosen->u.ints[i], x->rank, &axes[i]));
        }
    }
    const int64_t have = given ? list->n : scales ? scales->count : sizes ? sizes->count : 0;
    if (have != count || count > x->rank || (roi && roi->count != 2 * count)) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0221", "%lld scales or sizes for %lld axes",
                         (long long)have, (long long)count);
    }
    for (int i = 0; i < x->rank; i++) {
        a[i] = (axis){x->dim[i].size, x->dim[i].size, 1, 0, 1, false};
    }
    for (int64_t i = 0; i < count; i++) {
        axis *to = &a[axes[i]];
        to->from = roi ? itc_tensor_get(roi, i) : 0;
        to->to = roi ? itc_tensor_get(roi, count + i) : 1;
        if (!sizes || scales || given) {
            ITC_TRY(set_scale(g, n, axes[i], given ? given[i] : itc_tensor_get(scales, i), to));
        } else if (itc_tensor_flag(sizes, i) != x->dim[axes[i]].batch) {
            return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0224", "axis %d is resized to the rows",
                             axes[i]);
        }
    }
    return sizes && !scales && !given ? set_sizes(g, n, sizes, axes, a) : ITC_OK;
}

/** `value` where a coordinate of some axis lies outside x, 0 elsewhere; repeats along other axes.
 */
static itc_status add_outside(itc_graph *g, const itc_node *n, const rules *r, const axis *a,
                              itc_value *y, itc_value **out)
{
    int64_t dim[ITC_MAX_RANK];
    itc_tensor *t = NULL;
    bool any = false;
    for (int i = 0; i < y->type.rank; i++) {
        dim[i] = a[i].resized && !y->type.dim[i].batch ? a[i].out : 1;
    }
    ITC_TRY(itc_fold_tensor(g, n, ITC_F32, y->type.rank, dim, &t));
    for (int64_t k = 0; k < t->count; k++) {
        int64_t rest = k;
        bool outside = false;
        for (int i = y->type.rank - 1; i >= 0; i--) {
            outside = outside || (dim[i] == a[i].out && is_outside(r, &a[i], rest % dim[i]));
            rest /= dim[i];
        }
        ((float *)t->data)[k] = outside ? (float)r->extrapolation : 0;
        any = any || outside;
    }
    *out = y;
    if (!any || !(fabs(r->extrapolation) > 0)) {
        return ITC_OK;
    }
    itc_value *border = itc_const_new(g, itc_format(g->ctx, "%s.outside", n->out[0]->name), t);
    border->reason = "extrapolation";
    return itc_combine_build(g, n, 2, (itc_value *[]){y, border}, (const double[]){1, 1}, out);
}

static itc_status resize_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    const itc_type *x = &n->in[0]->type;
    axis a[ITC_MAX_RANK];
    itc_value *y = n->in[0];
    rules r;
    ITC_TRY(read_rules(g, n, &r));
    ITC_TRY(read_axes(g, n, a));
    for (int i = 0; i < x->rank; i++) {
        itc_sparse m;
        if (x->dim[i].batch && (a[i].out != a[i].in || a[i].scale < 1 || a[i].scale > 1)) {
            return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0224", "the rows N are resized");
        }
        if (x->dim[i].batch || !a[i].resized) {
            continue;
        }
        ITC_TRY(axis_matrix(g, n, &r, &a[i], &m));
        ITC_TRY(itc_axis_map_build(g, n, y, i, &m, &y));
    }
    return add_outside(g, n, &r, a, y, &out[0]);
}

static itc_status not_ours(itc_graph *g, itc_node *n)
{
    return itc_error(g->ctx, n, ITC_INTERNAL, "E0221", "%s has another form here", n->op->name);
}

static const itc_attr_spec resize_attrs[] = {
    {.name = "antialias", .kind = ITC_ATTR_INT},
    {.name = "axes", .kind = ITC_ATTR_INTS},
    {.name = "coordinate_transformation_mode", .kind = ITC_ATTR_STRING, .s = "half_pixel"},
    {.name = "cubic_coeff_a", .kind = ITC_ATTR_FLOAT, .f = -0.75},
    {.name = "exclude_outside", .kind = ITC_ATTR_INT},
    {.name = "extrapolation_value", .kind = ITC_ATTR_FLOAT},
    {.name = "keep_aspect_ratio_policy", .kind = ITC_ATTR_STRING, .s = "stretch"},
    {.name = "mode", .kind = ITC_ATTR_STRING, .s = "nearest"},
    {.name = "nearest_mode", .kind = ITC_ATTR_STRING, .s = "round_prefer_floor"},
    {.name = NULL},
};

static const itc_attr_spec upsample_attrs[] = {
    {.name = "mode", .kind = ITC_ATTR_STRING, .s = "nearest"},
    {.name = "scales", .kind = ITC_ATTR_FLOATS},
    {.name = NULL},
};

/**
 * Another size, by nearest neighbours, linear or cubic interpolation along each axis: Gathers or
 * AxisMaps. Regions, scales and sizes are constants.
 * Source  ONNX Resize-10, -11, -13, -18, -19
 */
const itc_op_def itc_op_Resize = {
    .name = "Resize",
    .domain = "",
    .in_min = 1,
    .in_max = 4,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 10,
    .versions = (const uint8_t[]){10, 11, 13, 18, 19, 0},
    .roles = (const itc_role_in[]){ITC_IN_DATA, ITC_IN_CONST, ITC_IN_CONST, ITC_IN_CONST},
    .attrs = resize_attrs,
    .summary = "another size, in all modes, axis by axis",
    .normalize = resize_normalize,
    .infer = not_ours,
};

/**
 * Resize as it was before: asymmetric coordinates, rounded down.
 * Source  ONNX Upsample-7, -9, -10
 */
const itc_op_def itc_op_Upsample = {
    .name = "Upsample",
    .domain = "",
    .in_min = 1,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 7,
    .versions = (const uint8_t[]){7, 9, 10, 0},
    .roles = (const itc_role_in[]){ITC_IN_DATA, ITC_IN_CONST},
    .attrs = upsample_attrs,
    .summary = "Resize of older opsets",
    .normalize = resize_normalize,
    .infer = not_ours,
};
