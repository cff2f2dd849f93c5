/*
 * Images sampled at coordinates.
 *
 *     AffineGrid   coordinates of every element of an image, times a matrix a sample
 *     GridSample   y = sum over taps t of w_t(p) * x[floor(p) + t], p the coordinate of a result
 *     DeformConv   a convolution whose elements are sampled where offsets move them, linearly,
 * times a mask; then a Conv of windows of one element
 *
 * On each spatial axis p is found from the grid's number, from -1 to 1 over the image, and brought
 * into the image where the padding mode says so; its floor is a plain integer, the weights of the
 * taps are formulas of p:
 *
 *     nearest   1 tap, no weight      linear   2 taps: 1 - f, f      cubic   4 taps, Keys, a =
 * -0.75
 *
 * with f = p - floor(p). Taps of several axes are multiplied. What a tap takes is a Pick, so that
 * the gradient to x is a ScatterAdd of the weighted dy; that to the grid is dy times x times the
 * weights' slopes. On integers coordinates have 15 bits: of an image of 2^k elements along an axis,
 * 15 - k of them are the fraction.
 * Sources: ONNX AffineGrid-20, GridSample-16, -20, -22, DeformConv-19, -22; Keys 1981; Jaderberg et
 * al. 2015; Dai et al. 2017, Zhu et al. 2019.
 */
#include <string.h>

#include "codegen/emit.h"
#include "ir/ops/pick.h"
#include "ir/ops/take.h"
#include "ir/ops/util.h"

enum { MAX_AXES = 3, MAX_TAPS = 4 };

static itc_status not_ours(itc_graph *g, itc_node *n)
{
    return itc_error(g->ctx, n, ITC_INTERNAL, "E0221", "%s has another form here", n->op->name);
}

/* ---- AffineGrid ---- */

/** Coordinate of element i of an axis: -1 and 1 are its first and last elements, or their outer
 * borders. */
static double coordinate(int64_t i, int64_t size, bool corners)
{
    const double at = (double)i, n = (double)size;
    return !corners ? (2 * at + 1) / n - 1 : size > 1 ? 2 * at / (n - 1) - 1 : 0;
}

/** [axes + 1, elements of the image]: x, y (, z) of each, and 1. */
static itc_status base_grid(itc_graph *g, const itc_node *n, int axes, const int64_t *size,
                            int64_t count, bool corners, itc_value **out)
{
    itc_tensor *t = NULL;
    ITC_TRY(itc_fold_tensor(g, n, ITC_F32, 2, (const int64_t[]){axes + 1, count}, &t));
    float *v = (float *)t->data;
    for (int64_t i = 0; i < count; i++) {
        int64_t rest = i;
        for (int a = axes - 1; a >= 0; a--) { /* the last axis is x, the first number */
            v[(axes - 1 - a) * count + i] = (float)coordinate(rest % size[a], size[a], corners);
            rest /= size[a];
        }
        v[axes * count + i] = 1;
    }
    *out = itc_const_new(g, "grid", t);
    (*out)->reason = "coordinates of an image";
    return ITC_OK;
}

static itc_status affine_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    const itc_tensor *size = itc_operand_const(n, 1);
    const itc_type *theta = &n->in[0]->type;
    ITC_TRY(itc_operand_rank(g, n, 0, 3, 3));
    const int axes = size && size->data ? (int)size->count - 2 : 0;
    if (axes < 2 || axes > MAX_AXES) {
        return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0225",
                         "the size must be known when compiling, of 4 or 5 extents");
    }
    int64_t extent[MAX_AXES], count = 1;
    bool good = itc_dim_equal(theta->dim[1], itc_dim_of(axes)) &&
                itc_dim_equal(theta->dim[2], itc_dim_of(axes + 1));
    for (int i = 0; good && i < axes; i++) {
        extent[i] = itc_tensor_get_int(size, 2 + i);
        good = extent[i] >= 1 && !itc_tensor_flag(size, 2 + i) &&
               itc_size_mul(count, extent[i], &count);
    }
    if (!good) {
        return itc_error(g->ctx, n, ITC_SHAPE, "E0220", "%s does not fit an image of %d axes",
                         itc_type_text(g->ctx, theta), axes);
    }
    itc_value *base = NULL, *y = NULL;
    ITC_TRY(base_grid(g, n, axes, extent, count, itc_int(n, "align_corners") != 0, &base));
    ITC_TRY(itc_apply(g, n, &itc_op_MatMul, 2, (itc_value *[]){n->in[0], base}, &y));
    ITC_TRY(itc_transpose_build(g, n, y, (const int64_t[]){0, 2, 1}, &y));
    itc_type as = itc_type_make(ITC_F32, 1, theta->dim);
    for (int i = 0; i <= axes; i++) {
        as.dim[as.rank++] = itc_dim_of(i < axes ? extent[i] : axes);
    }
    return itc_view_build(g, n, y, &as, &out[0]);
}

static const itc_attr_spec affine_attrs[] = {{.name = "align_corners", .kind = ITC_ATTR_INT}, {0}};

/**
 * Coordinates of an image's elements, moved by a matrix.
 * Shapes  theta [rows, axes, axes + 1]; y [rows, image, axes], x before y before z
 * Source  ONNX AffineGrid-20
 */
const itc_op_def itc_op_AffineGrid = {
    .name = "AffineGrid",
    .domain = "",
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 20,
    .versions = (const uint8_t[]){20, 0},
    .roles = (const itc_role_in[]){ITC_IN_DATA, ITC_IN_CONST},
    .attrs = affine_attrs,
    .summary = "coordinates times a matrix",
    .normalize = affine_normalize,
    .infer = not_ours,
};

/* ---- GridSample ---- */

typedef enum padding { ZEROS, BORDER, REFLECTION } padding;

typedef struct sampler {
    itc_graph *g;
    const itc_node *n;
    int taps, first; /**< on an axis; of the first, its distance from the floor */
    padding padding;
    bool corners, nearest;
    itc_dim rows, results;
} sampler;

/** One tap of an axis, [rows, results, 1] each; no weight is 1. */
typedef struct tap {
    itc_value *index, *weight;
} tap;

/** The coordinate inside the image, as a formula of the coordinate on the axis. */
static const char *inside(const sampler *s, int64_t size)
{
    const char *x = s->nearest ? "round(x)" : "x";
    const double low = s->corners ? 0 : -0.5, span = (double)size - (s->corners ? 1 : 0);
    if (s->padding == BORDER) {
        return itc_format(s->g->ctx, "%s < %g ? 0 : %s > %.17g ? %.17g : %s", x, low, x, low + span,
                          (double)(size - 1), x);
    }
    if (s->padding == REFLECTION && span > 0) {
        /* a wave of period 2 span, from low up to low + span and down again */
        const char *t = itc_format(s->g->ctx, "(%s-(%g))", x, low);
        return itc_format(s->g->ctx, "%.17g-abs(%s-%.17g*floor(%s/%.17g)-%.17g)", low + span, t,
                          2 * span, t, 2 * span, span);
    }
    return s->padding == REFLECTION ? "0*x" : x;
}

static itc_status coordinate_of(const sampler *s, itc_value *grid, int number, int64_t size,
                                itc_value **out)
{
    itc_graph *g = s->g;
    itc_box b = itc_box_whole(&grid->type);
    const int last = grid->type.rank - 1;
    const itc_type as =
        itc_type_make(ITC_F32, 3, (const itc_dim[]){s->rows, s->results, itc_dim_of(1)});
    const double n = (double)size, half[2] = {(n - (s->corners ? 1 : 0)) / 2, (n - 1) / 2};
    itc_value *x = NULL, *in[2] = {NULL, itc_scalar_const(g, s->n, "half", ITC_F32, 1)};
    b.start[last] = number;
    b.extent[last] = itc_dim_of(1);
    ITC_TRY(itc_take_build(g, s->n, grid, &b, &x));
    ITC_TRY(itc_view_build(g, s->n, x, &as, &in[0]));
    ITC_TRY(itc_combine_build(g, s->n, 2, in, half, &x));
    const char *f = inside(s, size);
    *out = x;
    return strcmp(f, "x") == 0 ? ITC_OK : itc_map_wide_build(g, s->n, f, x, out);
}

/** The weight of a tap as a formula of the coordinate; NULL: 1. */
static const char *weight_formula(const sampler *s, int k)
{
    static const char *const linear[] = {"1-(x-floor(x))", "x-floor(x)"};
    /* ((a u - 5 a) u + 8 a) u - 4 a at u = 1 + f and 2 - f, ((a + 2) u - (a + 3)) u u + 1 at f and
     * 1 - f, in powers of f */
    static const char *const cubic[] = {
        "((-0.75*F+1.5)*F-0.75)*F",
        "(1.25*F-2.25)*F*F+1",
        "((-1.25*F+1.5)*F+0.75)*F",
        "(0.75*F-0.75)*F*F",
    };
    itc_strbuf b;
    if (s->taps < 4) {
        return s->taps == 2 ? linear[k] : NULL;
    }
    itc_strbuf_init(&b, s->g->ctx);
    for (const char *p = cubic[k]; *p; p++) {
        itc_strbuf_add_n(&b, *p == 'F' ? "(x-floor(x))" : p, *p == 'F' ? 12 : 1);
    }
    return b.text;
}

static itc_status integer_op(const sampler *s, const itc_op_def *op, itc_value *a, int64_t b,
                             itc_value **out)
{
    itc_value *c = itc_scalar_const(s->g, s->n, "number", ITC_I64, (double)b);
    return itc_apply(s->g, s->n, op, 2, (itc_value *[]){a, c}, out);
}

/** *index where the image has it; where it has not and padding is zeros, *weight becomes 0. */
static itc_status pad(const sampler *s, int64_t size, tap *t)
{
    itc_value *in[2] = {0}, *inner = NULL, *mirrored = NULL;
    const int64_t span = s->corners ? size - 1 : size;
    if (s->padding == REFLECTION && span > 0) {
        ITC_TRY(integer_op(s, &itc_op_Mod, t->index, 2 * span, &in[0]));
        in[1] = itc_scalar_const(s->g, s->n, "end", ITC_I64,
                                 (double)(s->corners ? 2 * span : 2 * span - 1));
        ITC_TRY(itc_apply(s->g, s->n, &itc_op_Sub, 2, (itc_value *[]){in[1], in[0]}, &mirrored));
        return itc_apply(s->g, s->n, &itc_op_Min, 2, (itc_value *[]){in[0], mirrored}, &t->index);
    }
    if (s->padding == ZEROS) {
        ITC_TRY(integer_op(s, &itc_op_GreaterOrEqual, t->index, 0, &in[0]));
        ITC_TRY(integer_op(s, &itc_op_Less, t->index, size, &in[1]));
        ITC_TRY(itc_apply(s->g, s->n, &itc_op_And, 2, in, &inner));
        itc_value *one = itc_scalar_const(s->g, s->n, "one", ITC_F32, 1);
        in[0] = t->weight ? t->weight : one;
        in[1] = inner;
        ITC_TRY(itc_apply(s->g, s->n, &itc_op_Mask, 2, in, &t->weight));
    }
    ITC_TRY(integer_op(s, &itc_op_Max, t->index, 0, &t->index));
    return integer_op(s, &itc_op_Min, t->index, size - 1, &t->index);
}

/** The taps of an axis; their indices times the axis's stride. */
static itc_status taps_of(const sampler *s, itc_value *at, int64_t size, int64_t stride, tap *t)
{
    itc_value *floor = NULL;
    ITC_TRY(itc_map_wide_build(s->g, s->n, "floor(x)", at, &floor));
    ITC_TRY(itc_to_whole_build(s->g, s->n, floor, &floor));
    for (int k = 0; k < s->taps; k++) {
        const char *f = weight_formula(s, k);
        t[k] = (tap){.index = floor};
        if (s->first + k != 0) {
            ITC_TRY(integer_op(s, &itc_op_Add, floor, s->first + k, &t[k].index));
        }
        if (f) {
            ITC_TRY(itc_map_wide_build(s->g, s->n, f, at, &t[k].weight));
        }
        ITC_TRY(pad(s, size, &t[k]));
        if (stride != 1) {
            ITC_TRY(integer_op(s, &itc_op_Mul, t[k].index, stride, &t[k].index));
        }
    }
    return ITC_OK;
}

/** Each of count taps with each of an axis's: their places added, their weights multiplied. */
static itc_status multiply(const sampler *s, const tap *all, int count, const tap *axis, tap *out)
{
    for (int i = 0; i < count * s->taps; i++) {
        const tap *a = &all[i / s->taps], *b = &axis[i % s->taps];
        out[i].weight = a->weight ? a->weight : b->weight;
        ITC_TRY(itc_apply(s->g, s->n, &itc_op_Add, 2, (itc_value *[]){a->index, b->index},
                          &out[i].index));
        if (a->weight && b->weight) {
            ITC_TRY(itc_apply(s->g, s->n, &itc_op_Mul, 2, (itc_value *[]){a->weight, b->weight},
                              &out[i].weight));
        }
    }
    return ITC_OK;
}

/** x of [rows, image, channels] at all taps: [rows, results, channels]. */
static itc_status sum_taps(const sampler *s, itc_value *x, const tap *t, int count, itc_value **out)
{
    const itc_places p = {.tuples = true, .batch_dims = 1};
    itc_value **term = ITC_NEW_ARRAY(s->g->ctx, itc_value *, count);
    for (int i = 0; i < count; i++) {
        ITC_TRY(itc_pick_build(s->g, s->n, x, t[i].index, &p, &term[i]));
        if (t[i].weight) {
            ITC_TRY(itc_apply(s->g, s->n, &itc_op_Mul, 2, (itc_value *[]){term[i], t[i].weight},
                              &term[i]));
        }
    }
    *out = term[0];
    return count == 1 ? ITC_OK : itc_apply(s->g, s->n, &itc_op_Sum, count, term, out);
}

static itc_status read_sampler(itc_graph *g, const itc_node *n, sampler *s)
{
    static const char *const paddings[] = {"zeros", "border", "reflection"};
    static const struct {
        const char *mode;
        int taps, first;
    } modes[] = {{"nearest", 1, 0},
                 {"linear", 2, 0},
                 {"bilinear", 2, 0},
                 {"cubic", 4, -1},
                 {"bicubic", 4, -1}};
    const char *mode = itc_string(n, "mode"), *pads = itc_string(n, "padding_mode");
    const itc_type *x = &n->in[0]->type, *grid = &n->in[1]->type;
    const int axes = x->rank - 2;
    *s = (sampler){.g = g, .n = n, .rows = x->dim[0], .corners = itc_int(n, "align_corners") != 0};
    size_t m = 0;
    while (m < sizeof modes / sizeof modes[0] && strcmp(mode, modes[m].mode) != 0) {
        m++;
    }
    while (s->padding <= REFLECTION && strcmp(pads, paddings[s->padding]) != 0) {
        s->padding = (padding)(s->padding + 1);
    }
    if (m == sizeof modes / sizeof modes[0] || s->padding > REFLECTION) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0223", "mode \"%s\" with padding \"%s\"", mode,
                         pads);
    }
    s->taps = modes[m].taps;
    s->first = modes[m].first;
    s->nearest = s->taps == 1;
    bool good = grid->rank == x->rank && itc_dim_equal(grid->dim[0], x->dim[0]) &&
                itc_dim_equal(grid->dim[axes + 1], itc_dim_of(axes)) &&
                itc_dims_product(axes, grid->dim + 1, &s->results) && !s->results.batch;
    for (int i = 1; good && i < x->rank; i++) {
        good = !x->dim[i].batch && x->dim[i].size >= 1;
    }
    return good ? ITC_OK
                : itc_error(g->ctx, n, ITC_SHAPE, "E0220", "%s is no grid for %s",
                            itc_type_text(g->ctx, grid), itc_type_text(g->ctx, x));
}

static itc_status sample_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    const itc_type *t = &n->in[0]->type;
    tap all[MAX_TAPS * MAX_TAPS * MAX_TAPS], next[MAX_TAPS * MAX_TAPS * MAX_TAPS], axis[MAX_TAPS];
    itc_value *x = NULL, *at = NULL;
    sampler s;
    ITC_TRY(itc_operand_rank(g, n, 0, 3, 2 + MAX_AXES));
    ITC_TRY(read_sampler(g, n, &s));
    const int axes = t->rank - 2;
    int64_t stride = 1;
    int count = 1;
    for (int i = axes - 1; i >= 0; i--) { /* the last axis is x, the grid's first number */
        const int64_t size = t->dim[2 + i].size;
        ITC_TRY(coordinate_of(&s, n->in[1], axes - 1 - i, size, &at));
        ITC_TRY(taps_of(&s, at, size, stride, i == axes - 1 ? all : axis));
        if (i < axes - 1) {
            ITC_TRY(multiply(&s, all, count, axis, next));
            memcpy(all, next, sizeof *all * (size_t)(count * s.taps));
        }
        count *= s.taps;
        if (!itc_size_mul(stride, size, &stride)) {
            return itc_error(g->ctx, n, ITC_RANGE, "E0226", "the image is too large");
        }
    }
    const itc_type flat =
        itc_type_make(ITC_F32, 3, (const itc_dim[]){s.rows, t->dim[1], itc_dim_of(stride)});
    ITC_TRY(itc_view_build(g, n, n->in[0], &flat, &x));
    ITC_TRY(itc_transpose_build(g, n, x, (const int64_t[]){0, 2, 1}, &x));
    ITC_TRY(sum_taps(&s, x, all, count, &x));
    ITC_TRY(itc_transpose_build(g, n, x, (const int64_t[]){0, 2, 1}, &x));
    itc_type as = itc_type_make(ITC_F32, t->rank, t->dim);
    for (int i = 0; i < axes; i++) {
        as.dim[2 + i] = n->in[1]->type.dim[1 + i];
    }
    return itc_view_build(g, n, x, &as, &out[0]);
}

static const itc_attr_spec sample_attrs[] = {
    {.name = "align_corners", .kind = ITC_ATTR_INT},
    {.name = "mode", .kind = ITC_ATTR_STRING, .s = "linear"},
    {.name = "padding_mode", .kind = ITC_ATTR_STRING, .s = "zeros"},
    {0}};

/**
 * x at the coordinates of a grid: nearest, linear or cubic, with zeros, its border or its
 * reflection around it. Shapes  x [rows, channels, image], grid [rows, results, axes] (x before y
 * before z), of one to three axes; y [rows, channels, results] Source  ONNX GridSample-16, -20, -22
 */
const itc_op_def itc_op_GridSample = {
    .name = "GridSample",
    .domain = "",
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 16,
    .versions = (const uint8_t[]){16, 20, 22, 0},
    .roles = (const itc_role_in[]){ITC_IN_DATA, ITC_IN_DATA},
    .attrs = sample_attrs,
    .summary = "an image at the coordinates of a grid, by Pick and Mul",
    .normalize = sample_normalize,
    .infer = not_ours,
};

/* ---- DeformConv ---- */

typedef struct deform {
    int64_t stride[2], dilation[2], begin[2]; /**< begin: padding */
    int64_t groups, parts;                    /**< of channels: of the filter, of the offsets */
    int64_t taps, area;                       /**< of a filter, of a result */
    itc_dim images;                           /**< rows times parts */
} deform;

static itc_status read_pair(const sampler *s, const char *name, int count, int64_t lo,
                            int64_t otherwise, int64_t *v)
{
    const int64_t *given = NULL;
    const int size = itc_ints(s->n, name, &given);
    bool good = size == 0 || size == count;
    for (int i = 0; good && i < 2; i++) {
        v[i] = size > 0 ? given[i] : otherwise;
        good = v[i] >= lo && v[i] <= INT32_MAX;
    }
    return good ? ITC_OK
                : itc_error(s->g->ctx, s->n, ITC_RANGE, "E0221", "%s are no %d extents", name,
                            count);
}

static bool is_type(const itc_value *v, int rank, const itc_dim *dim)
{
    bool same = v->type.rank == rank;
    for (int i = 0; same && i < rank; i++) {
        same = itc_dim_equal(v->type.dim[i], dim[i]);
    }
    return same;
}

/** Whether the operands fit x [rows, C, H, W], the filter [M, C/groups, h, w] and the attributes.
 */
static bool fits(const itc_node *n, deform *d, const int64_t *kernel)
{
    const itc_dim *x = n->in[0]->type.dim, *f = n->in[1]->type.dim, *o = n->in[2]->type.dim;
    const int64_t *pads = NULL;
    const bool padded = itc_ints(n, "pads", &pads) == 4;
    if (d->groups < 1 || d->parts < 1 || x[1].batch || x[1].size % d->parts != 0 ||
        x[1].size % d->groups != 0 || f[1].size != x[1].size / d->groups || f[0].size < 1 ||
        f[0].size % d->groups != 0 || kernel[0] != f[2].size || kernel[1] != f[3].size ||
        !itc_size_mul(f[2].size, f[3].size, &d->taps) || d->taps > INT32_MAX / 2 / d->parts ||
        !itc_size_mul(o[2].size, o[3].size, &d->area)) {
        return false;
    }
    for (int i = 0; i < 2; i++) {
        const int64_t end = padded ? pads[2 + i] : 0;
        const int64_t seen = (f[2 + i].size - 1) * d->dilation[i] + 1;
        const int64_t all = x[2 + i].size + d->begin[i] + (end <= INT32_MAX ? end : 0);
        if (end < 0 || end > INT32_MAX || x[2 + i].batch || f[i].batch || f[2 + i].batch ||
            all < seen || !itc_dim_equal(o[2 + i], itc_dim_of((all - seen) / d->stride[i] + 1))) {
            return false;
        }
    }
    const itc_dim offsets[4] = {x[0], itc_dim_of(d->parts * d->taps * 2), o[2], o[3]};
    const itc_dim masks[4] = {x[0], itc_dim_of(d->parts * d->taps), o[2], o[3]};
    return is_type(n->in[2], 4, offsets) &&
           (n->n_in < 5 || !n->in[4] || is_type(n->in[4], 4, masks));
}

static itc_status read_deform(const sampler *s, deform *d)
{
    const itc_node *n = s->n;
    int64_t kernel[2] = {n->in[1]->type.dim[2].size, n->in[1]->type.dim[3].size};
    ITC_TRY(read_pair(s, "strides", 2, 1, 1, d->stride));
    ITC_TRY(read_pair(s, "dilations", 2, 1, 1, d->dilation));
    ITC_TRY(read_pair(s, "pads", 4, 0, 0, d->begin));
    if (itc_attr_find(n, "kernel_shape")) {
        ITC_TRY(read_pair(s, "kernel_shape", 2, 1, 0, kernel));
    }
    d->groups = itc_int(n, "group");
    d->parts = itc_int(n, "offset_group");
    if (!fits(n, d, kernel)) {
        return itc_error(s->g->ctx, n, ITC_SHAPE, "E0220", "%s and %s do not fit %s",
                         itc_type_text(s->g->ctx, &n->in[1]->type),
                         itc_type_text(s->g->ctx, &n->in[2]->type),
                         itc_type_text(s->g->ctx, &n->in[0]->type));
    }
    d->images = itc_dim_mul(n->in[0]->type.dim[0], itc_dim_of(d->parts));
    return ITC_OK;
}

/** Where tap t of result i looks on an axis without its offset. */
static itc_status undeformed(const sampler *s, const deform *d, int axis, itc_value **out)
{
    const int64_t kw = s->n->in[1]->type.dim[3].size, ow = s->n->in[2]->type.dim[3].size;
    itc_tensor *t = NULL;
    ITC_TRY(itc_fold_tensor(s->g, s->n, ITC_F32, 2, (const int64_t[]){d->taps * d->area, 1}, &t));
    for (int64_t i = 0; i < t->count; i++) {
        const int64_t hop = i / d->area, at = i % d->area;
        const int64_t k = axis == 0 ? hop / kw : hop % kw, o = axis == 0 ? at / ow : at % ow;
        ((float *)t->data)[i] =
            (float)(o * d->stride[axis] - d->begin[axis] + k * d->dilation[axis]);
    }
    *out = itc_const_new(s->g, "places", t);
    (*out)->reason = "places that a filter sees";
    return ITC_OK;
}

static itc_status view_as(const sampler *s, itc_value *x, int rank, const itc_dim *dim,
                          itc_value **out)
{
    const itc_type t = itc_type_make(ITC_F32, rank, dim);
    return itc_view_build(s->g, s->n, x, &t, out);
}

/** The coordinates on an axis: [images, taps * area, 1]. */
static itc_status moved(const sampler *s, const deform *d, int axis, itc_value **out)
{
    const itc_dim split[4] = {d->images, itc_dim_of(d->taps), itc_dim_of(2), itc_dim_of(d->area)};
    itc_value *in[2] = {NULL};
    ITC_TRY(view_as(s, s->n->in[2], 4, split, &in[0]));
    itc_box b = itc_box_whole(&in[0]->type);
    b.start[2] = axis;
    b.extent[2] = itc_dim_of(1);
    ITC_TRY(itc_take_build(s->g, s->n, in[0], &b, &in[0]));
    ITC_TRY(view_as(s, in[0], 3, (const itc_dim[]){d->images, s->results, itc_dim_of(1)}, &in[0]));
    ITC_TRY(undeformed(s, d, axis, &in[1]));
    return itc_combine_build(s->g, s->n, 2, in, (const double[]){1, 1}, out);
}

/** What the taps of all results see: [images, taps * area, channels of a part]. */
static itc_status sampled(const sampler *s, const deform *d, itc_value **out)
{
    const itc_dim *x = s->n->in[0]->type.dim;
    const itc_dim part = itc_dim_of(x[1].size / d->parts);
    tap axis[2][MAX_TAPS], all[MAX_TAPS];
    itc_value *at = NULL, *image = NULL, *mask = s->n->n_in > 4 ? s->n->in[4] : NULL;
    for (int i = 0; i < 2; i++) {
        ITC_TRY(moved(s, d, i, &at));
        ITC_TRY(taps_of(s, at, x[2 + i].size, i == 0 ? x[3].size : 1, axis[i]));
    }
    ITC_TRY(multiply(s, axis[0], s->taps, axis[1], all));
    ITC_TRY(view_as(s, s->n->in[0], 3, (const itc_dim[]){d->images, part, itc_dim_mul(x[2], x[3])},
                    &image));
    ITC_TRY(itc_transpose_build(s->g, s->n, image, (const int64_t[]){0, 2, 1}, &image));
    ITC_TRY(sum_taps(s, image, all, s->taps * s->taps, out));
    if (!mask) {
        return ITC_OK;
    }
    ITC_TRY(view_as(s, mask, 3, (const itc_dim[]){d->images, s->results, itc_dim_of(1)}, &mask));
    return itc_apply(s->g, s->n, &itc_op_Mul, 2, (itc_value *[]){*out, mask}, out);
}

static itc_status deform_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    const itc_dim *x = n->in[0]->type.dim, *f = n->in[1]->type.dim;
    sampler s = {.g = g, .n = n, .taps = 2, .padding = ZEROS};
    deform d = {.groups = 1};
    itc_value *in[3] = {NULL, NULL, n->n_in > 3 ? n->in[3] : NULL}, *y = NULL;
    for (int i = 0; i < 3; i++) {
        ITC_TRY(itc_operand_rank(g, n, i, 4, 4));
    }
    ITC_TRY(read_deform(&s, &d));
    s.rows = d.images;
    s.results = itc_dim_of(d.taps * d.area);
    ITC_TRY(sampled(&s, &d, &y));
    const itc_dim parts = itc_dim_of(d.parts), part = itc_dim_of(x[1].size / d.parts),
                  taps = itc_dim_of(d.taps), area = itc_dim_of(d.area), one = itc_dim_of(1);
    ITC_TRY(view_as(&s, y, 5, (const itc_dim[]){x[0], parts, taps, area, part}, &y));
    ITC_TRY(itc_transpose_build(g, n, y, (const int64_t[]){0, 1, 4, 2, 3}, &y));
    ITC_TRY(view_as(&s, y, 3, (const itc_dim[]){x[0], itc_dim_mul(x[1], taps), area}, &in[0]));
    ITC_TRY(
        view_as(&s, n->in[1], 3, (const itc_dim[]){f[0], itc_dim_mul(f[1], taps), one}, &in[1]));
    itc_node *conv = itc_node_new(g, &itc_op_Conv, n, in[2] ? 3 : 2, in, 1);
    itc_set_int(g, conv, "group", d.groups);
    ITC_TRY(itc_apply_node(g, conv, &y));
    const itc_dim *o = n->in[2]->type.dim;
    return view_as(&s, y, 4, (const itc_dim[]){x[0], f[0], o[2], o[3]}, &out[0]);
}

static const itc_attr_spec deform_attrs[] = {{.name = "dilations", .kind = ITC_ATTR_INTS},
                                             {.name = "group", .kind = ITC_ATTR_INT, .i = 1},
                                             {.name = "kernel_shape", .kind = ITC_ATTR_INTS},
                                             {.name = "offset_group", .kind = ITC_ATTR_INT, .i = 1},
                                             {.name = "pads", .kind = ITC_ATTR_INTS},
                                             {.name = "strides", .kind = ITC_ATTR_INTS},
                                             {0}};

/**
 * A convolution over two axes whose taps are moved by offsets and weighed by a mask.
 * Shapes  x [rows,C,H,W], f [M,C/group,h,w], offset [rows,parts*h*w*2,oh,ow] (y before x), bias
 * [M], mask [rows,parts*h*w,oh,ow]; y [rows,M,oh,ow] Source  ONNX DeformConv-19, -22
 */
const itc_op_def itc_op_DeformConv = {
    .name = "DeformConv",
    .domain = "",
    .in_min = 3,
    .in_max = 5,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 19,
    .versions = (const uint8_t[]){19, 22, 0},
    .roles =
        (const itc_role_in[]){ITC_IN_DATA, ITC_IN_PARAM, ITC_IN_DATA, ITC_IN_PARAM, ITC_IN_DATA},
    .attrs = deform_attrs,
    .summary = "convolution at places that offsets move, by Pick, Mul and Conv",
    .normalize = deform_normalize,
    .infer = not_ours,
};
