/*
 * Images cut to size, and put together from columns.
 *
 *     CenterCropPad   a box of the middle, in zeros where it is larger        its own adjoint
 *     Col2Im          blocks added at their places, zeros elsewhere           dx gathers them
 *
 * Col2Im is a ScatterAdd whose places are known: sums are exact, rounded once.
 * Sources: ONNX CenterCropPad-18, Col2Im-18.
 */
#include "codegen/emit.h"
#include "ir/ops/pick.h"
#include "ir/ops/take.h"
#include "ir/ops/util.h"

/* Places that are listed. */
enum { MAX_PLACES = 1 << 24, MAX_AXES = 5 };

static itc_status not_ours(itc_graph *g, itc_node *n)
{
    return itc_error(g->ctx, n, ITC_INTERNAL, "E0221", "%s has another form here", n->op->name);
}

/* ---- CenterCropPad ---- */

/** Extents that the result has: x's where the node says nothing of an axis. */
static itc_status cropped_type(itc_graph *g, const itc_node *n, itc_type *t)
{
    const itc_tensor *shape = itc_operand_const(n, 1);
    const int64_t *axes = NULL;
    const bool all = !itc_attr_find(n, "axes");
    const int count = all ? t->rank : itc_ints(n, "axes", &axes);
    if (!shape || !shape->data || shape->count != count) {
        return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0225",
                         "the shape must be known when compiling, of %d extents", count);
    }
    for (int i = 0; i < count; i++) {
        int axis = i;
        const itc_dim d = {itc_tensor_get_int(shape, i), itc_tensor_flag(shape, i)};
        ITC_TRY(all ? ITC_OK : itc_axis_resolve(g, n, axes[i], t->rank, &axis));
        if (itc_dim_equal(d, t->dim[axis])) {
            continue;
        }
        if (d.batch || t->dim[axis].batch) {
            return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0224", "rows N cut or filled");
        }
        if (d.size < 1 || d.size > INT32_MAX) {
            return itc_error(g->ctx, n, ITC_RANGE, "E0221", "extent %lld", (long long)d.size);
        }
        t->dim[axis] = d;
    }
    return ITC_OK;
}

static itc_status crop_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    itc_value *x = n->in[0];
    itc_type t = x->type;
    ITC_TRY(cropped_type(g, n, &t));
    itc_box from = itc_box_whole(&x->type), to = itc_box_whole(&x->type);
    for (int i = 0; i < t.rank; i++) {
        const int64_t more = t.dim[i].size - x->type.dim[i].size;
        if (!t.dim[i].batch && more < 0) {
            from.start[i] = -more / 2;
            from.extent[i] = to.extent[i] = t.dim[i];
        } else if (!t.dim[i].batch) {
            to.start[i] = more / 2;
        }
    }
    ITC_TRY(itc_take_build(g, n, x, &from, &x));
    return itc_put_build(g, n, x, &to, &t, &out[0]);
}

static const itc_attr_spec crop_attrs[] = {{.name = "axes", .kind = ITC_ATTR_INTS}, {0}};

/**
 * The middle of x, or x in the middle of zeros, axis by axis; an odd rest lies at the end.
 * Source  ONNX CenterCropPad-18
 */
const itc_op_def itc_op_CenterCropPad = {
    .name = "CenterCropPad",
    .domain = "",
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 18,
    .versions = (const uint8_t[]){18, 0},
    .roles = (const itc_role_in[]){ITC_IN_DATA, ITC_IN_CONST},
    .kinds = ITC_KIND_ANY,
    .attrs = crop_attrs,
    .summary = "the middle of a tensor, or zeros around it",
    .normalize = crop_normalize,
    .infer = not_ours,
};

/* ---- Col2Im ---- */

typedef struct columns {
    int axes;
    int64_t image[MAX_AXES], block[MAX_AXES], stride[MAX_AXES], dilation[MAX_AXES];
    int64_t before[MAX_AXES]; /**< zeros around the image */
    int64_t padded[MAX_AXES], steps[MAX_AXES];
    int64_t area, in_block, blocks; /**< products: padded image, block, steps */
} columns;

static itc_status bad_columns(itc_graph *g, const itc_node *n)
{
    return itc_error(g->ctx, n, ITC_RANGE, "E0221",
                     "image, blocks, strides, dilations and pads do not fit %s",
                     itc_type_text(g->ctx, &n->in[0]->type));
}

/** Constant operand i, or attribute `name`, of c->axes integers (the attribute 1 each if absent).
 */
static bool read_list(const itc_node *n, int i, const char *name, int axes, int64_t *to)
{
    const itc_tensor *t = name ? NULL : itc_operand_const(n, i);
    const int64_t *v = NULL;
    const bool given = name && itc_attr_find(n, name);
    bool good = name ? !given || itc_ints(n, name, &v) == axes : t && t->data && t->count == axes;
    for (int k = 0; good && k < axes; k++) {
        to[k] = t ? itc_tensor_get_int(t, k) : given ? v[k] : 1;
        good = to[k] >= 1 && to[k] < MAX_PLACES && !(t && itc_tensor_flag(t, k));
    }
    return good;
}

static itc_status read_columns(itc_graph *g, const itc_node *n, columns *c)
{
    const itc_tensor *image = itc_operand_const(n, 1);
    const int64_t *pads = NULL;
    *c = (columns){.axes = image && image->count <= MAX_AXES ? (int)image->count : 0,
                   .area = 1,
                   .in_block = 1,
                   .blocks = 1};
    const bool padded = itc_attr_find(n, "pads") != NULL;
    bool good = c->axes >= 1 && read_list(n, 1, NULL, c->axes, c->image) &&
                read_list(n, 2, NULL, c->axes, c->block) &&
                read_list(n, 0, "strides", c->axes, c->stride) &&
                read_list(n, 0, "dilations", c->axes, c->dilation) &&
                (!padded || itc_ints(n, "pads", &pads) == 2 * c->axes);
    for (int i = 0; good && i < c->axes; i++) {
        const int64_t behind = padded ? pads[c->axes + i] : 0;
        c->before[i] = padded ? pads[i] : 0;
        good = c->before[i] >= 0 && behind >= 0 && c->before[i] < MAX_PLACES && behind < MAX_PLACES;
        c->padded[i] = c->image[i] + c->before[i] + behind;
        const int64_t reach = (c->block[i] - 1) * c->dilation[i];
        good = good && reach < c->padded[i];
        c->steps[i] = good ? (c->padded[i] - reach - 1) / c->stride[i] + 1 : 0;
        good = good && itc_size_mul(c->area, c->padded[i], &c->area) &&
               itc_size_mul(c->in_block, c->block[i], &c->in_block) &&
               itc_size_mul(c->blocks, c->steps[i], &c->blocks) && c->area <= MAX_PLACES;
    }
    int64_t places = 0;
    good = good && itc_size_mul(c->in_block, c->blocks, &places) && places <= MAX_PLACES;
    return good ? ITC_OK : bad_columns(g, n);
}

/** Where element k of block l lies in the padded image. */
static int64_t place(const columns *c, int64_t k, int64_t l)
{
    int64_t at = 0, stride = 1;
    for (int i = c->axes - 1; i >= 0; i--) {
        at += (k % c->block[i] * c->dilation[i] + l % c->steps[i] * c->stride[i]) * stride;
        stride *= c->padded[i];
        k /= c->block[i];
        l /= c->steps[i];
    }
    return at;
}

static itc_value *places(itc_graph *g, const itc_node *n, const columns *c)
{
    const int64_t count = c->in_block * c->blocks;
    int64_t *v = ITC_NEW_ARRAY(g->ctx, int64_t, count);
    for (int64_t i = 0; i < count; i++) {
        v[i] = place(c, i / c->blocks, i % c->blocks);
    }
    return itc_list_const(g, n, "places", 2, (const int64_t[]){count, 1}, v);
}

static itc_status columns_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    itc_value *x = n->in[0];
    columns c;
    ITC_TRY(itc_operand_rank(g, n, 0, 3, 3));
    ITC_TRY(read_columns(g, n, &c));
    const itc_dim rows = x->type.dim[0], channels = x->type.dim[1];
    if (channels.batch || channels.size % c.in_block != 0 ||
        !itc_dim_equal(x->type.dim[2], itc_dim_of(c.blocks))) {
        return bad_columns(g, n);
    }
    const itc_dim maps = itc_dim_of(channels.size / c.in_block);
    const itc_type split =
        itc_type_make(ITC_F32, 3, (const itc_dim[]){rows, maps, itc_dim_of(c.in_block * c.blocks)});
    const itc_type flat =
        itc_type_make(ITC_F32, 3, (const itc_dim[]){itc_dim_of(c.area), rows, maps});
    ITC_TRY(itc_view_build(g, n, x, &split, &x));
    ITC_TRY(itc_transpose_build(g, n, x, (const int64_t[]){2, 0, 1}, &x));
    ITC_TRY(
        itc_scatter_add_build(g, n, x, places(g, n, &c), &(itc_places){.tuples = true}, &flat, &x));
    ITC_TRY(itc_transpose_build(g, n, x, (const int64_t[]){1, 2, 0}, &x));
    itc_type image = itc_type_make(ITC_F32, 2, x->type.dim);
    for (int i = 0; i < c.axes; i++) {
        image.dim[image.rank++] = itc_dim_of(c.padded[i]);
    }
    ITC_TRY(itc_view_build(g, n, x, &image, &x));
    itc_box b = itc_box_whole(&image);
    for (int i = 0; i < c.axes; i++) {
        b.start[2 + i] = c.before[i];
        b.extent[2 + i] = itc_dim_of(c.image[i]);
    }
    return itc_take_build(g, n, x, &b, &out[0]);
}

static const itc_attr_spec columns_attrs[] = {{.name = "dilations", .kind = ITC_ATTR_INTS},
                                              {.name = "pads", .kind = ITC_ATTR_INTS},
                                              {.name = "strides", .kind = ITC_ATTR_INTS},
                                              {0}};

/**
 * Blocks added to an image at the places where a convolution of this shape would read them.
 * Shapes  x [rows, maps * elements of a block, blocks]; y [rows, maps, image]
 * Source  ONNX Col2Im-18
 */
const itc_op_def itc_op_Col2Im = {
    .name = "Col2Im",
    .domain = "",
    .in_min = 3,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 18,
    .versions = (const uint8_t[]){18, 0},
    .roles = (const itc_role_in[]){ITC_IN_DATA, ITC_IN_CONST, ITC_IN_CONST},
    .attrs = columns_attrs,
    .summary = "blocks added to an image, as ScatterAdd",
    .normalize = columns_normalize,
    .infer = not_ours,
};
