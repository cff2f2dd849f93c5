/*
 * Scatters: x with elements replaced, added to, or compared with others, at places that indices of
 * run time say.
 *
 *     none   y = Where(written, u, x), u the last element that is put at a place
 *     add    y = x + ScatterAdd(updates)
 *     max    y = Where(written, Max(x, u), x), u the largest element that is put there; min
 * likewise
 *
 * pick.c has the moves, so gradients are those of Where, Max and Pick: an element that another one
 * replaces has none. Where several elements are put at one place ONNX leaves open which stays.
 * Products are refused: their mantissas grow with each factor. MaxUnpool is the first form, in
 * zeros. Sources: ONNX Scatter-9, ScatterElements-11, -18, ScatterND-11, -18, MaxUnpool-9, -11.
 */
#include <string.h>

#include "codegen/emit.h"
#include "ir/ops/pick.h"
#include "ir/ops/row_index.h"
#include "ir/ops/take.h"
#include "ir/ops/util.h"
#include "ir/ops/window.h"

static itc_status not_ours(itc_graph *g, itc_node *n)
{
    return itc_error(g->ctx, n, ITC_INTERNAL, "E0248", "%s was not normalised", n->op->name);
}

static itc_status scatter_best(itc_graph *g, itc_node *n, const itc_places *p,
                               itc_scatter_mode mode, itc_value **out)
{
    itc_value *x = n->in[0], *u = NULL, *written = NULL;
    ITC_TRY(itc_scatter_pick(g, n, n->in[2], n->in[1], p, mode, &x->type, &u, &written));
    if (mode != ITC_SCATTER_LAST) {
        const itc_op_def *op = mode == ITC_SCATTER_MAX ? &itc_op_Max : &itc_op_Min;
        ITC_TRY(itc_apply(g, n, op, 2, (itc_value *[]){x, u}, &u));
    }
    return itc_apply(g, n, &itc_op_Where, 3, (itc_value *[]){written, u, x}, out);
}

/**
 * Into x [N * step], all rows in a line, by indices that stay within each element's own row, as
 * torch.export writes max_unpool: a ScatterElements in [N, step]. *out is NULL where they do not.
 */
static itc_status scatter_in_rows(itc_graph *g, itc_node *n, itc_value **out)
{
    const itc_type *x = &n->in[0]->type, *index = &n->in[1]->type, *u = &n->in[2]->type;
    itc_value *in[3] = {n->in[0], NULL, n->in[2]};
    *out = NULL;
    if (x->rank != 1 || !x->dim[0].batch || index->rank != 2 || !index->dim[0].batch ||
        !itc_dim_equal(index->dim[1], itc_dim_of(1)) || u->rank != 1 ||
        !itc_dim_equal(u->dim[0], index->dim[0])) {
        return ITC_OK;
    }
    ITC_TRY(itc_row_index_local(g, n, n->in[1], x->dim[0].size, &in[1]));
    itc_dim count;
    if (!in[1] || !itc_type_count(&in[1]->type, &count) || !itc_dim_equal(count, u->dim[0])) {
        return ITC_OK;
    }
    for (int i = 0; i < 3; i++) {
        const itc_dim many = itc_dim_of(i == 0 ? x->dim[0].size : u->dim[0].size);
        const itc_type rows =
            itc_type_make(in[i]->type.dtype, 2, (const itc_dim[]){{1, true}, many});
        ITC_TRY(itc_view_build(g, n, in[i], &rows, &in[i]));
    }
    itc_node *m = itc_node_new(g, &itc_op_ScatterElements, n, 3, in, 1);
    itc_set_int(g, m, "axis", 1);
    itc_attr_copy(g, m, n, "reduction");
    ITC_TRY(itc_apply_node(g, m, out));
    return itc_view_build(g, n, *out, x, out);
}

static itc_status scatter(itc_graph *g, itc_node *n, const itc_places *p, itc_value **out)
{
    const char *how = itc_string(n, "reduction");
    const itc_type *x = &n->in[0]->type;
    if (p->tuples) {
        ITC_TRY(scatter_in_rows(g, n, out));
        if (*out) {
            return ITC_OK;
        }
    }
    ITC_TRY(itc_places_check(g, n, x, &n->in[1]->type, p, &n->in[2]->type));
    if (n->in[2]->type.dtype != x->dtype) {
        return itc_error(g->ctx, n, ITC_TYPE, "E0228", "operands are %s and %s",
                         itc_type_text(g->ctx, x), itc_type_text(g->ctx, &n->in[2]->type));
    }
    if (strcmp(how, "none") == 0) {
        return scatter_best(g, n, p, ITC_SCATTER_LAST, out);
    }
    if (x->dtype != ITC_F32 || strcmp(how, "mul") == 0) {
        return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0201",
                         "reduction \"%s\" of %s is not supported", how, itc_type_text(g->ctx, x));
    }
    if (strcmp(how, "add") == 0) {
        itc_value *sum = NULL;
        ITC_TRY(itc_scatter_add_build(g, n, n->in[2], n->in[1], p, x, &sum));
        return itc_combine_build(g, n, 2, (itc_value *[]){n->in[0], sum}, (const double[]){1, 1},
                                 out);
    }
    if (strcmp(how, "max") != 0 && strcmp(how, "min") != 0) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0223", "reduction \"%s\"", how);
    }
    return scatter_best(g, n, p, strcmp(how, "max") == 0 ? ITC_SCATTER_MAX : ITC_SCATTER_MIN, out);
}

/* ---- constants ---- */

/** x with the updates in place of elements; other reductions are left to run time. */
static itc_status scatter_fold(itc_graph *g, itc_node *n, const itc_places *p, itc_tensor **out)
{
    const itc_tensor *x = itc_operand_const(n, 0), *index = itc_operand_const(n, 1);
    const itc_tensor *u = itc_operand_const(n, 2);
    int64_t *place = NULL;
    if (!x || !index || !u || !x->data || !index->data || !u->data || x->dtype != u->dtype ||
        strcmp(itc_string(n, "reduction"), "none") != 0) {
        return ITC_OK;
    }
    ITC_TRY(itc_places_resolve(g, n, x, index, p, u->count, &place));
    ITC_TRY(itc_fold_tensor(g, n, x->dtype, x->rank, x->dim, &out[0]));
    for (int64_t i = 0; i < x->count; i++) {
        itc_tensor_copy_element(g->ctx, out[0], i, x, i);
    }
    for (int64_t i = 0; i < u->count; i++) {
        itc_tensor_copy_element(g->ctx, out[0], place[i], u, i);
    }
    return ITC_OK;
}

/* ---- ScatterElements, ScatterND ---- */

static itc_status elements_places(itc_graph *g, const itc_node *n, itc_places *p)
{
    *p = (itc_places){.tuples = false};
    ITC_TRY(itc_operand_rank(g, n, 0, 1, ITC_MAX_RANK));
    return itc_axis_resolve(g, n, itc_int(n, "axis"), n->in[0]->type.rank, &p->axis);
}

static itc_status elements_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    itc_places p;
    ITC_TRY(elements_places(g, n, &p));
    return scatter(g, n, &p, out);
}

static itc_status elements_fold(itc_graph *g, itc_node *n, itc_tensor **out)
{
    itc_places p;
    ITC_TRY(elements_places(g, n, &p));
    return scatter_fold(g, n, &p, out);
}

static itc_status nd_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    return scatter(g, n, &(itc_places){.tuples = true}, out);
}

static itc_status nd_fold(itc_graph *g, itc_node *n, itc_tensor **out)
{
    return scatter_fold(g, n, &(itc_places){.tuples = true}, out);
}

static const itc_attr_spec elements_attrs[] = {
    {.name = "axis", .kind = ITC_ATTR_INT},
    {.name = "reduction", .kind = ITC_ATTR_STRING, .s = "none"},
    {0}};

static const itc_attr_spec nd_attrs[] = {
    {.name = "reduction", .kind = ITC_ATTR_STRING, .s = "none"}, {0}};

static const itc_role_in roles[] = {ITC_IN_PASS, ITC_IN_INDEX, ITC_IN_PASS};

/**
 * Shapes  x, indices and updates of one rank; indices and updates alike, not larger than x
 * Source  ONNX ScatterElements-11, -13, -16, -18
 */
#define SCATTER_ELEMENTS(op_name, first, its_versions, text)                                       \
    const itc_op_def itc_op_##op_name = {                                                          \
        .name = #op_name,                                                                          \
        .domain = "",                                                                              \
        .in_min = 3,                                                                               \
        .in_max = 3,                                                                               \
        .out_min = 1,                                                                              \
        .out_max = 1,                                                                              \
        .opset_min = first,                                                                        \
        .versions = its_versions,                                                                  \
        .roles = roles,                                                                            \
        .attrs = elements_attrs,                                                                   \
        .kinds = ITC_KIND_ANY,                                                                     \
        .summary = text,                                                                           \
        .normalize = elements_normalize,                                                           \
        .fold = elements_fold,                                                                     \
        .infer = not_ours,                                                                         \
    };

static const uint8_t since_9[] = {9, 11, 0}, since_11[] = {11, 13, 16, 18, 0};
SCATTER_ELEMENTS(Scatter, 9, since_9, "as ScatterElements, its older name")
SCATTER_ELEMENTS(ScatterElements, 11, since_11,
                 "elements put, added or compared at places that indices say")

/**
 * Shapes  indices [..., depth], updates [..., rest], x [depth axes, rest]
 * Source  ONNX ScatterND-11, -13, -16, -18
 */
const itc_op_def itc_op_ScatterND = {
    .name = "ScatterND",
    .domain = "",
    .in_min = 3,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 11,
    .versions = since_11,
    .roles = roles,
    .attrs = nd_attrs,
    .kinds = ITC_KIND_ANY,
    .summary = "parts put, added or compared at places that tuples of indices say",
    .normalize = nd_normalize,
    .fold = nd_fold,
    .infer = not_ours,
};

/* ---- MaxUnpool ---- */

/** The extents that the windows cover. */
static itc_status unpooled(itc_graph *g, const itc_node *n, itc_type *y)
{
    const int64_t *kernel = NULL, *stride = NULL, *pad = NULL;
    const int axes = n->in[0]->type.rank - 2;
    const int n_kernel = itc_ints(n, "kernel_shape", &kernel);
    const int n_stride = itc_ints(n, "strides", &stride), n_pad = itc_ints(n, "pads", &pad);
    *y = n->in[0]->type;
    if (n_kernel != axes || (n_stride && n_stride != axes) || (n_pad && n_pad != 2 * axes)) {
        return itc_error(g->ctx, n, ITC_SHAPE, "E0221", "attributes of another rank than %s",
                         itc_type_text(g->ctx, &n->in[0]->type));
    }
    for (int i = 0; i < axes; i++) {
        int64_t size = 0;
        if (y->dim[2 + i].batch ||
            !itc_size_mul(y->dim[2 + i].size - 1, n_stride ? stride[i] : 1, &size) ||
            size > INT32_MAX || kernel[i] < 1 || kernel[i] > INT32_MAX) {
            return itc_error(g->ctx, n, ITC_RANGE, "E0226", "windows on axis %d of %s", 2 + i,
                             itc_type_text(g->ctx, &n->in[0]->type));
        }
        size += kernel[i] - (n_pad ? pad[i] + pad[axes + i] : 0);
        y->dim[2 + i] = itc_dim_of(size > 0 ? size : 0);
    }
    itc_dim count;
    return itc_type_count(y, &count) && count.size > 0
               ? ITC_OK
               : itc_error(g->ctx, n, ITC_RANGE, "E0226", "the result has no elements");
}

/** In zeros of the extents that operand 2 states: indices count without them. */
static itc_status unpool_in(itc_graph *g, itc_node *n, itc_value *y, itc_value **out)
{
    const itc_tensor *shape = itc_operand_const(n, 2);
    itc_type as = y->type;
    itc_box b = itc_box_whole(&y->type);
    *out = y;
    if (n->n_in < 3 || !n->in[2]) {
        return ITC_OK;
    }
    for (int i = 0; shape && shape->data && shape->count == as.rank && i < as.rank; i++) {
        const int64_t v = itc_tensor_get_int(shape, i);
        if (i >= 2 && v >= as.dim[i].size) {
            as.dim[i].size = v;
        } else if (i >= 2) {
            shape = NULL;
        }
    }
    if (!shape || shape->count != as.rank) {
        return itc_error(g->ctx, n, ITC_SHAPE, "E0221", "output_shape does not hold %s",
                         itc_type_text(g->ctx, &y->type));
    }
    return itc_put_build(g, n, y, &b, &as, out);
}

static itc_status unpool_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    itc_type y, flat = itc_type_make(ITC_F32, 1, &(itc_dim){1, false}),
                tuples = itc_type_make(ITC_I64, 2, (const itc_dim[2]){{1, false}});
    itc_value *x = NULL, *index = NULL, *u = NULL, *written = NULL;
    itc_node *mask = NULL;
    ITC_TRY(itc_operand_rank(g, n, 0, 3, ITC_MAX_RANK));
    ITC_TRY(unpooled(g, n, &y));
    if (!itc_type_count(&n->in[1]->type, &tuples.dim[0]) || !itc_type_count(&y, &flat.dim[0])) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0226", "the result is too large");
    }
    tuples.dim[1] = itc_dim_of(1);
    itc_type elements = itc_type_make(ITC_F32, 1, tuples.dim);
    ITC_TRY(itc_view_build(g, n, n->in[0], &elements, &x));
    ITC_TRY(itc_view_build(g, n, n->in[1], &tuples, &index));
    ITC_TRY(itc_scatter_pick(g, n, x, index, &(itc_places){.tuples = true}, ITC_SCATTER_LAST, &flat,
                             &u, &written));
    ITC_TRY(itc_build(g, &itc_op_Mask, n, 2, (itc_value *[]){u, written}, 1, &mask));
    ITC_TRY(itc_view_build(g, n, mask->out[0], &y, &u));
    return unpool_in(g, n, u, out);
}

static const itc_attr_spec unpool_attrs[] = {
    {.name = "kernel_shape", .kind = ITC_ATTR_INTS, .required = true},
    {.name = "strides", .kind = ITC_ATTR_INTS},
    {.name = "pads", .kind = ITC_ATTR_INTS},
    {0}};

/**
 * Elements put back where a MaxPool found them, in zeros.
 * Shapes  x and indices [N, C, ...], an index counts the elements of the whole result
 * Source  ONNX MaxUnpool-9, -11, -22
 */
const itc_op_def itc_op_MaxUnpool = {
    .name = "MaxUnpool",
    .domain = "",
    .in_min = 2,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 9,
    .versions = (const uint8_t[]){9, 11, 22, 0},
    .roles = (const itc_role_in[]){ITC_IN_DATA, ITC_IN_INDEX, ITC_IN_CONST},
    .attrs = unpool_attrs,
    .summary = "elements put back where a MaxPool found them",
    .normalize = unpool_normalize,
    .infer = not_ours,
};
