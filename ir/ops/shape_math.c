/*
 * Arithmetic on shapes: what exporters compute extents with. It is folded while compiling, on
 * tensors whose elements may count rows; on anything else these operators are refused.
 */
#include <math.h>
#include <string.h>

#include "ir/ops/take.h"
#include "ir/ops/util.h"

static itc_status refuse_infer(itc_graph *g, itc_node *n)
{
    return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0201",
                     "%s is supported only on values that are known when compiling", n->op->name);
}

static bool all_data(const itc_node *n)
{
    for (int i = 0; i < n->n_in; i++) {
        const itc_tensor *t = itc_operand_const(n, i);
        if (n->in[i] && (!t || !t->data)) {
            return false;
        }
    }
    return true;
}

/* ---- Shape ---- */

static int clamp(int64_t v, int lo, int hi)
{
    return v < lo ? lo : v > hi ? hi : (int)v;
}

static itc_status shape_fold(itc_graph *g, itc_node *n, itc_tensor **out)
{
    const itc_type *x = &n->in[0]->type;
    const int64_t start = itc_int(n, "start");
    const int64_t end = itc_attr_find(n, "end") ? itc_int(n, "end") : x->rank;
    const int from = clamp(start < 0 ? start + x->rank : start, 0, x->rank);
    const int to = clamp(end < 0 ? end + x->rank : end, from, x->rank);
    int64_t size[ITC_MAX_RANK] = {0};
    for (int i = from; i < to; i++) {
        size[i - from] = x->dim[i].size;
    }
    itc_tensor *t = itc_tensor_i64(g->ctx, to - from, size);
    for (int i = from; i < to; i++) {
        if (!itc_tensor_set_int(g->ctx, t, i - from, x->dim[i].size, x->dim[i].batch)) {
            return ITC_INTERNAL;
        }
    }
    out[0] = t;
    return ITC_OK;
}

static const itc_attr_spec shape_attrs[] = {
    {.name = "end", .kind = ITC_ATTR_INT},
    {.name = "start", .kind = ITC_ATTR_INT},
    {.name = NULL},
};

/**
 * The extents of x as i64[rank]; the one that counts rows is flagged as a multiple of N.
 * Source  ONNX Shape-1, -13, -15, -19, -21, -23, -24, -25
 */
const itc_op_def itc_op_Shape = {
    .name = "Shape",
    .domain = "",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = ITC_OP_TYPE_FOLD,
    .opset_min = 7,
    .versions = (const uint8_t[]){1, 13, 15, 19, 21, 23, 24, 25, 0},
    .attrs = shape_attrs,
    .summary = "the extents of a tensor, known when compiling",
    .fold = shape_fold,
    .infer = refuse_infer,
};

/** How many elements there are; rows N count as such. */
static itc_status size_fold(itc_graph *g, itc_node *n, itc_tensor **out)
{
    const itc_type *x = &n->in[0]->type;
    itc_dim count;
    if (!itc_dims_product(x->rank, x->dim, &count)) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0224", "%s is too large",
                         itc_type_text(g->ctx, x));
    }
    itc_tensor *t = itc_tensor_new(g->ctx, ITC_I64, 0, NULL);
    out[0] = t;
    return itc_tensor_set_int(g->ctx, t, 0, count.size, count.batch) ? ITC_OK : ITC_INTERNAL;
}

/** Source  ONNX Size-1, -13, -19, -21 */
const itc_op_def itc_op_Size = {
    .name = "Size",
    .domain = "",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = ITC_OP_TYPE_FOLD,
    .opset_min = 1,
    .versions = (const uint8_t[]){1, 13, 19, 21, 23, 24, 25, 0},
    .summary = "the number of elements, known when compiling",
    .fold = size_fold,
    .infer = refuse_infer,
};

/* ---- Constant, ConstantOfShape ---- */

static itc_status constant_fold(itc_graph *g, itc_node *n, itc_tensor **out)
{
    const itc_attr *a = n->n_attrs > 0 ? &n->attrs[0] : NULL;
    itc_tensor *t = NULL;
    const int64_t count = a ? a->n : 0;
    if (a && a->kind == ITC_ATTR_TENSOR) {
        itc_dim dim[ITC_MAX_RANK];
        for (int i = 0; i < a->u.tensor->rank; i++) {
            dim[i] = (itc_dim){a->u.tensor->dim[i], false};
        }
        t = itc_tensor_reshape(g->ctx, a->u.tensor, a->u.tensor->rank, dim);
    } else if (a && a->kind == ITC_ATTR_FLOAT) {
        t = itc_tensor_scalar_f32(g->ctx, a->u.f);
    } else if (a && a->kind == ITC_ATTR_INT) {
        t = itc_tensor_new(g->ctx, ITC_I64, 0, NULL);
        *(int64_t *)t->data = a->u.i;
    } else if (a && a->kind == ITC_ATTR_INTS) {
        t = itc_tensor_i64(g->ctx, a->n, a->u.ints);
    } else if (a && a->kind == ITC_ATTR_FLOATS) {
        t = itc_tensor_new(g->ctx, ITC_F32, 1, &count);
        for (int64_t i = 0; i < count; i++) {
            ((float *)t->data)[i] = (float)a->u.floats[i];
        }
    } else {
        return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0221", "Constant needs a value of numbers");
    }
    out[0] = t;
    return ITC_OK;
}

static const itc_attr_spec constant_attrs[] = {
    {.name = "value", .kind = ITC_ATTR_TENSOR},
    {.name = "value_float", .kind = ITC_ATTR_FLOAT},
    {.name = "value_floats", .kind = ITC_ATTR_FLOATS},
    {.name = "value_int", .kind = ITC_ATTR_INT},
    {.name = "value_ints", .kind = ITC_ATTR_INTS},
    {.name = NULL},
};

/**
 * A constant in the graph.
 * Source  ONNX Constant-1, -9, -11, -12, -13, -19, -21, -23, -24, -25; strings are refused
 */
const itc_op_def itc_op_Constant = {
    .name = "Constant",
    .domain = "",
    .in_min = 0,
    .in_max = 0,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 7,
    .versions = (const uint8_t[]){1, 9, 11, 12, 13, 19, 21, 23, 24, 25, 0},
    .attrs = constant_attrs,
    .summary = "a constant tensor",
    .fold = constant_fold,
    .infer = refuse_infer,
};

/** The shape, and the one element: f32 0 where no value is given. */
static itc_status read_constant(itc_graph *g, const itc_node *n, int *rank, itc_dim *dim,
                                const itc_tensor **value)
{
    const itc_attr *a = itc_attr_find(n, "value");
    const itc_tensor *shape = NULL, *one = a ? a->u.tensor : NULL;
    ITC_TRY(itc_operand_list(g, n, "shape", 0, &shape));
    if (!shape || shape->count > ITC_MAX_RANK || (one && (one->count != 1 || !one->data))) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0221",
                         "expected a shape of at most %d extents and a value of one element",
                         ITC_MAX_RANK);
    }
    *rank = (int)shape->count;
    *value = one ? one : itc_tensor_scalar_f32(g->ctx, 0);
    for (int i = 0; i < *rank; i++) {
        dim[i] = (itc_dim){itc_tensor_get_int(shape, i), itc_tensor_flag(shape, i)};
    }
    return ITC_OK;
}

static itc_status constant_of_shape_fold(itc_graph *g, itc_node *n, itc_tensor **out)
{
    const itc_tensor *one = NULL;
    itc_dim dim[ITC_MAX_RANK];
    int64_t size[ITC_MAX_RANK];
    int rank = 0;
    if (!all_data(n)) {
        return ITC_OK;
    }
    ITC_TRY(read_constant(g, n, &rank, dim, &one));
    for (int i = 0; i < rank; i++) {
        size[i] = dim[i].size;
        if (dim[i].batch) {
            return ITC_OK; /* repeated at run time */
        }
    }
    itc_tensor *y = NULL;
    ITC_TRY(itc_fold_tensor(g, n, one->dtype, rank, size, &y));
    for (int64_t i = 0; i < y->count; i++) {
        itc_tensor_copy_element(g->ctx, y, i, one, 0);
    }
    out[0] = y;
    return ITC_OK;
}

/** With rows N: one element, repeated. */
static itc_status constant_of_shape_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    const itc_tensor *one = NULL;
    itc_box b = {0};
    itc_dim unit[ITC_MAX_RANK];
    ITC_TRY(read_constant(g, n, &b.rank, b.extent, &one));
    for (int i = 0; i < b.rank; i++) {
        unit[i] = (itc_dim){1, false};
        b.step[i] = itc_dim_equal(b.extent[i], unit[i]);
    }
    itc_value *c = itc_const_new(g, n->out[0]->name, itc_tensor_reshape(g->ctx, one, b.rank, unit));
    c->reason = "computed from constants";
    return itc_take_build(g, n, c, &b, &out[0]);
}

static const itc_attr_spec constant_of_shape_attrs[] = {
    {.name = "value", .kind = ITC_ATTR_TENSOR},
    {.name = NULL},
};

/**
 * A constant of the shape that the operand says, every element `value` (f32 0 by default); folded,
 * or repeated along the axis of the rows. Source  ONNX ConstantOfShape-9, -20, -21, -23, -24, -25
 */
const itc_op_def itc_op_ConstantOfShape = {
    .name = "ConstantOfShape",
    .domain = "",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 9,
    .versions = (const uint8_t[]){9, 20, 21, 23, 24, 25, 0},
    .roles = (const itc_role_in[]){ITC_IN_CONST},
    .attrs = constant_of_shape_attrs,
    .summary = "a constant of a shape known when compiling",
    .normalize = constant_of_shape_normalize,
    .fold = constant_of_shape_fold,
    .infer = refuse_infer,
};

/* ---- Range ---- */

/** Elements of a range, of which only one from 0 may end at a multiple of N. */
static itc_status range_count(itc_graph *g, const itc_node *n, itc_dim *count)
{
    const itc_tensor *t[3];
    for (int i = 0; i < 3; i++) {
        t[i] = itc_operand_const(n, i);
        if (!t[i] || !t[i]->data || t[i]->count != 1) {
            return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0225",
                             "input %d must be a number that is known when compiling", i);
        }
    }
    const double start = itc_tensor_get(t[0], 0), limit = itc_tensor_get(t[1], 0);
    const double step = itc_tensor_get(t[2], 0), steps = ceil((limit - start) / step);
    const bool rows = itc_tensor_flag(t[1], 0);
    if (itc_tensor_flag(t[0], 0) || itc_tensor_flag(t[2], 0) ||
        (rows && !(start >= 0 && start <= 0 && step >= 1 && step <= 1 && limit >= 1))) {
        return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0224", "a range of the rows N but 0 to N");
    }
    if (!(steps <= INT32_MAX)) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0227", "a range of %g elements", steps);
    }
    *count = (itc_dim){steps > 0 ? (int64_t)steps : 0, rows};
    return ITC_OK;
}

static itc_status range_fold(itc_graph *g, itc_node *n, itc_tensor **out)
{
    itc_dim count;
    ITC_TRY(range_count(g, n, &count));
    if (count.batch) {
        return ITC_OK;
    }
    const itc_tensor *start = itc_operand_const(n, 0), *step = itc_operand_const(n, 2);
    const itc_dtype dtype = start->dtype;
    itc_tensor *y = NULL;
    ITC_TRY(itc_fold_tensor(g, n, dtype, 1, &count.size, &y));
    for (int64_t i = 0; i < count.size; i++) {
        if (dtype == ITC_F32) {
            ((float *)y->data)[i] =
                (float)(itc_tensor_get(start, 0) + (double)i * itc_tensor_get(step, 0));
        } else if (!itc_tensor_set_int(
                       g->ctx, y, i, itc_tensor_get_int(start, 0) + i * itc_tensor_get_int(step, 0),
                       false)) {
            return itc_error(g->ctx, n, ITC_RANGE, "E0227", "a number of the range does not fit %s",
                             itc_dtype_name(dtype));
        }
    }
    out[0] = y;
    return ITC_OK;
}

static itc_status range_infer(itc_graph *g, itc_node *n)
{
    itc_dim count;
    ITC_TRY(range_count(g, n, &count));
    n->out[0]->type = itc_type_make(ITC_I64, 1, &count);
    return ITC_OK;
}

/**
 * start, start + step, … below limit; folded. The numbers of the rows, 0 to N, are a value of which
 * nothing may depend: exporters index with them what is the same for all rows.
 * Source  ONNX Range-11
 */
const itc_op_def itc_op_Range = {
    .name = "Range",
    .domain = "",
    .in_min = 3,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .flags = ITC_OP_PHANTOM,
    .opset_min = 11,
    .versions = (const uint8_t[]){11, 27, 0},
    .roles = (const itc_role_in[]){ITC_IN_CONST, ITC_IN_CONST, ITC_IN_CONST},
    .kinds = ITC_KIND_NUMBER,
    .summary = "numbers in equal steps, known when compiling",
    .fold = range_fold,
    .infer = range_infer,
};
