/*
 * Choices: by what is known when compiling, or written with operators that are there.
 *
 *     OneHot            Where(index == iota or index == iota - depth, on, off)
 *     Hardmax           Where(iota == ArgMax, 1, 0)
 *     ReverseSequence   Pick along time at Where(t < length, length - 1 - t, t)
 *     Compress          Gather at the places of a constant condition
 *     NonZero           of constants alone: how many there are is a shape
 *
 * Gradients are those of Where, Pick and Gather.
 * Sources: ONNX OneHot-9, -11, Hardmax-1, -11, -13, ReverseSequence-10, Compress-9, -11, NonZero-9,
 * -13.
 */
#include <string.h>

#include "codegen/emit.h"
#include "ir/ops/gather.h"
#include "ir/ops/pick.h"
#include "ir/ops/take.h"
#include "ir/ops/util.h"

static itc_status not_ours(itc_graph *g, itc_node *n)
{
    return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0225",
                     "%s needs operands that are known when compiling", n->op->name);
}

enum { MAX_DEPTH = 1 << 24 };

/** from, from + 1, … along an axis of a tensor of this rank. */
static itc_value *iota(itc_graph *g, const itc_node *n, int rank, int axis, int64_t count,
                       int64_t from)
{
    int64_t dim[ITC_MAX_RANK], *v = ITC_NEW_ARRAY(g->ctx, int64_t, count + 1);
    for (int i = 0; i < rank; i++) {
        dim[i] = i == axis ? count : 1;
    }
    for (int64_t i = 0; i < count; i++) {
        v[i] = from + i;
    }
    return itc_list_const(g, n, "iota", rank, dim, v);
}

/* ---- OneHot ---- */

/** Element i of the two values, as a scalar. */
static itc_status value_at(itc_graph *g, const itc_node *n, int64_t i, itc_value **out)
{
    itc_box b = itc_box_whole(&n->in[2]->type);
    const itc_type scalar = itc_type_scalar(n->in[2]->type.dtype);
    b.start[0] = i;
    b.extent[0] = itc_dim_of(1);
    ITC_TRY(itc_take_build(g, n, n->in[2], &b, out));
    return itc_view_build(g, n, *out, &scalar, out);
}

static itc_status onehot_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    const itc_tensor *depth = itc_operand_const(n, 1);
    const itc_type *t = &n->in[0]->type;
    itc_type wide = *t;
    int axis = 0;
    if (!depth || !depth->data || depth->count != 1) {
        return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0225", "depth must be known when compiling");
    }
    const double count = itc_tensor_get(depth, 0);
    ITC_TRY(itc_operand_rank(g, n, 0, 0, ITC_MAX_RANK - 1));
    ITC_TRY(itc_operand_rank(g, n, 2, 1, 1));
    ITC_TRY(itc_axis_resolve(g, n, itc_int(n, "axis"), t->rank + 1, &axis));
    if (!itc_dim_equal(n->in[2]->type.dim[0], itc_dim_of(2)) ||
        !(count >= 1 && count <= MAX_DEPTH)) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0221", "depth %g and values %s", count,
                         itc_type_text(g->ctx, &n->in[2]->type));
    }
    wide.rank = 0;
    for (int i = 0; i <= t->rank; i++) {
        wide.dim[wide.rank++] = i == axis ? itc_dim_of(1) : t->dim[i < axis ? i : i - 1];
    }
    itc_value *index = NULL, *equal[2] = {0}, *hot = NULL, *v[3] = {0};
    ITC_TRY(itc_view_build(g, n, n->in[0], &wide, &index));
    if (t->dtype == ITC_F32) {
        ITC_TRY(itc_to_whole_build(g, n, index, &index));
    }
    for (int k = 0; k < 2; k++) {
        itc_value *places =
            iota(g, n, wide.rank, axis, (int64_t)count, k == 0 ? 0 : -(int64_t)count);
        ITC_TRY(itc_apply(g, n, &itc_op_Equal, 2, (itc_value *[]){index, places}, &equal[k]));
    }
    ITC_TRY(itc_apply(g, n, &itc_op_Or, 2, equal, &hot));
    ITC_TRY(value_at(g, n, 1, &v[1]));
    ITC_TRY(value_at(g, n, 0, &v[2]));
    v[0] = hot;
    return itc_apply(g, n, &itc_op_Where, 3, v, &out[0]);
}

static const itc_attr_spec onehot_attrs[] = {{.name = "axis", .kind = ITC_ATTR_INT, .i = -1}, {0}};

/**
 * values[1] where an axis of `depth` elements is at the index, elsewhere values[0].
 * Shapes  indices any (of floats the integers towards zero), values [2]; the result has one axis
 *         more
 * Source  ONNX OneHot-9, -11
 */
const itc_op_def itc_op_OneHot = {
    .name = "OneHot",
    .domain = "",
    .in_min = 3,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 9,
    .versions = (const uint8_t[]){9, 11, 0},
    .roles = (const itc_role_in[]){ITC_IN_DATA, ITC_IN_CONST, ITC_IN_DATA},
    .attrs = onehot_attrs,
    .kinds = ITC_KIND_ANY,
    .summary = "one of two values, by an index, along a new axis",
    .normalize = onehot_normalize,
    .infer = not_ours,
};

/* ---- Hardmax ---- */

static itc_status hardmax_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    itc_value *x = n->in[0], *at = NULL, *hot = NULL, *y = NULL;
    int axis = 0;
    const bool matrix = itc_op_version(n->op, g->opset) < 13; /* all axes from this one on */
    ITC_TRY(itc_operand_rank(g, n, 0, 1, ITC_MAX_RANK));
    const int64_t given = itc_attr_find(n, "axis") ? itc_int(n, "axis") : matrix ? 1 : -1;
    ITC_TRY(itc_axis_resolve(g, n, given, x->type.rank, &axis));
    if (matrix) {
        itc_type t = itc_type_make(ITC_F32, 2, (const itc_dim[2]){{1, false}});
        if (!itc_dims_product(axis, x->type.dim, &t.dim[0]) ||
            !itc_dims_product(x->type.rank - axis, x->type.dim + axis, &t.dim[1])) {
            return itc_error(g->ctx, n, ITC_RANGE, "E0226", "the operand is too large");
        }
        ITC_TRY(itc_view_build(g, n, x, &t, &x));
        axis = 1;
    }
    const itc_dim extent = x->type.dim[axis];
    itc_node *top = itc_node_new(g, &itc_op_ArgMax, n, 1, &x, 1);
    itc_set_int(g, top, "axis", axis);
    ITC_TRY(itc_apply_node(g, top, &at));
    if (extent.size > MAX_DEPTH) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0226", "axis %d is too large", axis);
    }
    itc_value *places = iota(g, n, x->type.rank, axis, extent.size, 0);
    ITC_TRY(itc_apply(g, n, &itc_op_Equal, 2, (itc_value *[]){places, at}, &hot));
    itc_value *pick[3] = {hot, itc_scalar_const(g, n, "one", ITC_F32, 1),
                          itc_scalar_const(g, n, "zero", ITC_F32, 0)};
    ITC_TRY(itc_apply(g, n, &itc_op_Where, 3, pick, &y));
    return itc_view_build(g, n, y, &n->in[0]->type, out);
}

static const itc_attr_spec hardmax_attrs[] = {{.name = "axis", .kind = ITC_ATTR_INT, .i = -1}, {0}};

/**
 * 1 at the first of the largest elements of an axis, elsewhere 0: its slope is 0 wherever it has
 * one. Source  ONNX Hardmax-1, -11, -13; before 13 of all axes from `axis` on
 */
const itc_op_def itc_op_Hardmax = {
    .name = "Hardmax",
    .domain = "",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 1,
    .versions = (const uint8_t[]){1, 11, 13, 0},
    .attrs = hardmax_attrs,
    .summary = "1 at the largest element of an axis, elsewhere 0",
    .normalize = hardmax_normalize,
    .infer = not_ours,
};

/* ---- ReverseSequence ---- */

/** x with two axes in front, or where they were before. */
static itc_status move_axes(itc_graph *g, const itc_node *n, itc_value *x, const int *front,
                            bool back, itc_value **out)
{
    int64_t perm[ITC_MAX_RANK], inverse[ITC_MAX_RANK];
    int count = 2;
    perm[0] = front[0];
    perm[1] = front[1];
    for (int i = 0; i < x->type.rank; i++) {
        if (i != front[0] && i != front[1]) {
            perm[count++] = i;
        }
    }
    for (int i = 0; i < count; i++) {
        inverse[perm[i]] = i;
    }
    itc_node *m = itc_node_new(g, &itc_op_Transpose, n, 1, &x, 1);
    itc_set_ints(g, m, "perm", count, back ? inverse : perm);
    return itc_apply_node(g, m, out);
}

static itc_status reverse_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    const itc_type *x = &n->in[0]->type;
    int front[2];
    ITC_TRY(itc_operand_rank(g, n, 0, 2, ITC_MAX_RANK));
    ITC_TRY(itc_operand_rank(g, n, 1, 1, 1));
    ITC_TRY(itc_axis_resolve(g, n, itc_int(n, "batch_axis"), x->rank, &front[0]));
    ITC_TRY(itc_axis_resolve(g, n, itc_int(n, "time_axis"), x->rank, &front[1]));
    const itc_dim rows = x->dim[front[0]], steps = x->dim[front[1]];
    if (front[0] == front[1] || steps.batch || steps.size > MAX_DEPTH ||
        !itc_dim_equal(rows, n->in[1]->type.dim[0])) {
        return itc_error(g->ctx, n, ITC_SHAPE, "E0220", "lengths %s of %s",
                         itc_type_text(g->ctx, &n->in[1]->type), itc_type_text(g->ctx, x));
    }
    itc_type column = itc_type_make(ITC_I64, 2, (const itc_dim[]){rows, itc_dim_of(1)});
    itc_type tuples = itc_type_make(ITC_I64, 3, (const itc_dim[]){rows, steps, itc_dim_of(1)});
    itc_value *length = NULL, *within = NULL, *last = NULL, *back = NULL, *at = NULL, *y = NULL;
    itc_value *t = iota(g, n, 2, 1, steps.size, 0), *t1 = iota(g, n, 2, 1, steps.size, 1);
    ITC_TRY(itc_view_build(g, n, n->in[1], &column, &length));
    ITC_TRY(itc_apply(g, n, &itc_op_Less, 2, (itc_value *[]){t, length}, &within));
    ITC_TRY(itc_apply(g, n, &itc_op_Sub, 2, (itc_value *[]){length, t1}, &back));
    ITC_TRY(itc_apply(g, n, &itc_op_Where, 3, (itc_value *[]){within, back, t}, &last));
    ITC_TRY(itc_view_build(g, n, last, &tuples, &at));
    ITC_TRY(move_axes(g, n, n->in[0], front, false, &y));
    ITC_TRY(itc_pick_build(g, n, y, at, &(itc_places){.tuples = true, .batch_dims = 1}, &y));
    return move_axes(g, n, y, front, true, out);
}

static const itc_attr_spec reverse_attrs[] = {{.name = "batch_axis", .kind = ITC_ATTR_INT, .i = 1},
                                              {.name = "time_axis", .kind = ITC_ATTR_INT},
                                              {0}};

/**
 * The first `length` steps of each sequence in reverse.
 * Shapes  x of two axes and more, lengths i64 [the batch axis]
 * Source  ONNX ReverseSequence-10
 */
const itc_op_def itc_op_ReverseSequence = {
    .name = "ReverseSequence",
    .domain = "",
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 10,
    .versions = (const uint8_t[]){10, 0},
    .roles = (const itc_role_in[]){ITC_IN_DATA, ITC_IN_INDEX},
    .attrs = reverse_attrs,
    .kinds = ITC_KIND_ANY,
    .summary = "the first steps of each sequence in reverse",
    .normalize = reverse_normalize,
    .infer = not_ours,
};

/* ---- Compress ---- */

static itc_status compress_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    const itc_tensor *keep = itc_operand_const(n, 1);
    itc_value *x = n->in[0];
    int axis = 0;
    if (!keep || !keep->data) {
        return not_ours(g, n);
    }
    if (itc_attr_find(n, "axis")) {
        ITC_TRY(itc_axis_resolve(g, n, itc_int(n, "axis"), x->type.rank, &axis));
    } else {
        itc_type flat = itc_type_make(ITC_F32, 1, &(itc_dim){1, false});
        if (!itc_type_count(&x->type, &flat.dim[0])) {
            return itc_error(g->ctx, n, ITC_RANGE, "E0226", "the operand is too large");
        }
        ITC_TRY(itc_view_build(g, n, x, &flat, &x));
    }
    int64_t *index = ITC_NEW_ARRAY(g->ctx, int64_t, keep->count + 1), count = 0;
    for (int64_t i = 0; i < keep->count; i++) {
        if (itc_tensor_get_int(keep, i) != 0) {
            index[count++] = i;
        }
    }
    if (count == 0) {
        return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0201",
                         "a result without elements (axis %d) is not supported", axis);
    }
    return itc_gather_build(g, n, x, axis, count, index, out);
}

static const itc_attr_spec compress_attrs[] = {{.name = "axis", .kind = ITC_ATTR_INT}, {0}};

/**
 * Slices of x where a constant condition is 1; elements of all of x without an axis.
 * Source  ONNX Compress-9, -11
 */
const itc_op_def itc_op_Compress = {
    .name = "Compress",
    .domain = "",
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 9,
    .versions = (const uint8_t[]){9, 11, 0},
    .roles = (const itc_role_in[]){ITC_IN_DATA, ITC_IN_CONST},
    .attrs = compress_attrs,
    .kinds = ITC_KIND_ANY,
    .summary = "slices where a constant condition is 1",
    .normalize = compress_normalize,
    .infer = not_ours,
};

/* ---- NonZero ---- */

static itc_status nonzero_fold(itc_graph *g, itc_node *n, itc_tensor **out)
{
    const itc_tensor *x = itc_operand_const(n, 0);
    int64_t dim[2] = {0}, k = 0;
    for (int64_t i = 0; i < x->count; i++) {
        const double v = itc_tensor_get(x, i);
        dim[1] += v < 0 || v > 0 || itc_tensor_flag(x, i);
    }
    dim[0] = x->rank;
    ITC_TRY(itc_fold_tensor(g, n, ITC_I64, 2, dim, &out[0]));
    for (int64_t i = 0; i < x->count; i++) {
        const double v = itc_tensor_get(x, i);
        int64_t rest = i;
        if (!(v < 0 || v > 0)) {
            continue;
        }
        for (int a = x->rank - 1; a >= 0; a--) {
            ((int64_t *)out[0]->data)[a * dim[1] + k] = rest % x->dim[a];
            rest /= x->dim[a];
        }
        k++;
    }
    return ITC_OK;
}

/**
 * The coordinates of the elements of a constant that are not 0, an axis a row.
 * Source  ONNX NonZero-9, -13
 */
const itc_op_def itc_op_NonZero = {
    .name = "NonZero",
    .domain = "",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 9,
    .versions = (const uint8_t[]){9, 13, 0},
    .roles = (const itc_role_in[]){ITC_IN_CONST},
    .summary = "where a constant is not 0",
    .fold = nonzero_fold,
    .infer = not_ours,
};
