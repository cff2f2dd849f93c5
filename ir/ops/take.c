/*
 * Data movement by strides: Take reads a box of a tensor, Put writes one into zeros; each is the
 * gradient of the other.
 *
 *     Take    y[i] = x[start + i * step]          dx = Put(dy), summed over axes that repeat
 *     Put     y[start + i * step] = x[i], else 0  dx = Take(dy)
 *
 * Slice, Split, Expand and Tile are Takes (and Views); they fold on constants.
 * Sources: ONNX Slice-13, Split-18, Expand-13, Tile-13; gradients are the transposed maps.
 */
#include "ir/ops/take.h"

#include <string.h>

#include "codegen/emit.h"
#include "ir/ops/util.h"
#include "passes/grad.h"
#include "passes/lower.h"
#include "passes/plan.h"

/* Elements of a constant that folding makes; more is a mistake or an attack. */
#define MAX_ELEMENTS ((int64_t)1 << 28)

/* ---- boxes ---- */

itc_box itc_box_whole(const itc_type *t)
{
    itc_box b = {.rank = t->rank};
    for (int i = 0; i < t->rank; i++) {
        b.step[i] = 1;
        b.extent[i] = t->dim[i];
    }
    return b;
}

static bool axis_is_whole(const itc_box *b, const itc_type *t, int i)
{
    const bool one = t->dim[i].size == 1 && !t->dim[i].batch;
    return itc_dim_equal(b->extent[i], t->dim[i]) && b->start[i] == 0 && (b->step[i] == 1 || one);
}

bool itc_box_is_whole(const itc_box *b, const itc_type *t)
{
    bool whole = b->rank == t->rank;
    for (int i = 0; whole && i < t->rank; i++) {
        whole = axis_is_whole(b, t, i);
    }
    return whole;
}

/** Whether every element of axis i of the box lies in an axis of extent d. */
static itc_status check_axis(itc_graph *g, const itc_node *n, const itc_box *b, int i, itc_dim d)
{
    const itc_dim e = b->extent[i];
    const bool rows = d.batch || e.batch;
    if (rows && !(b->start[i] == 0 &&
                  (itc_dim_equal(d, e) ? b->step[i] == 1 : !d.batch && b->step[i] == 0))) {
        return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0224", "a part of the rows N on axis %d", i);
    }
    if (e.size == 0) {
        return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0201",
                         "a result without elements (axis %d) is not supported", i);
    }
    int64_t span = 0;
    const bool fits =
        e.size >= 1 && itc_size_mul(e.size - 1, b->step[i] < 0 ? -b->step[i] : b->step[i], &span);
    if (!fits) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0226", "axis %d of the result has extent %lld", i,
                         (long long)e.size);
    }
    const int64_t last = b->start[i] + (b->step[i] < 0 ? -span : span);
    if (!rows && (b->start[i] < 0 || b->start[i] >= d.size || last < 0 || last >= d.size)) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0229", "elements %lld to %lld of %lld",
                         (long long)b->start[i], (long long)last, (long long)d.size);
    }
    return ITC_OK;
}

/** The box that a node's attributes state; its extents come from `shape` (NULL: the operand's). */
static itc_status read_box(itc_graph *g, const itc_node *n, const char *shape, itc_box *b)
{
    const itc_type *x = &n->in[0]->type;
    const int64_t *start = NULL, *step = NULL, *extent = NULL;
    b->rank = x->rank;
    const int counts[3] = {itc_ints(n, "starts", &start), itc_ints(n, "steps", &step),
                           shape ? itc_ints(n, shape, &extent) : x->rank};
    const int64_t batch = itc_int(n, "batch_axis");
    if (counts[0] != b->rank || counts[1] != b->rank || counts[2] != b->rank || batch < -1 ||
        batch >= b->rank) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0221", "a box of another rank than %s",
                         itc_type_text(g->ctx, x));
    }
    for (int i = 0; i < b->rank; i++) {
        b->start[i] = start[i];
        b->step[i] = step[i];
        b->extent[i] = shape ? (itc_dim){extent[i], i == batch} : x->dim[i];
    }
    return ITC_OK;
}

static void set_box(itc_graph *g, itc_node *n, const itc_box *b, const itc_dim *shape)
{
    int64_t extent[ITC_MAX_RANK] = {0};
    int batch = -1;
    for (int i = 0; i < b->rank; i++) {
        extent[i] = shape[i].size;
        batch = shape[i].batch ? i : batch;
    }
    itc_set_ints(g, n, "starts", b->rank, b->start);
    itc_set_ints(g, n, "steps", b->rank, b->step);
    itc_set_ints(g, n, "shape", b->rank, extent);
    itc_set_int(g, n, "batch_axis", batch);
}

itc_status itc_take_build(itc_graph *g, const itc_node *origin, itc_value *x, const itc_box *b,
                          itc_value **out)
{
    *out = x;
    if (itc_box_is_whole(b, &x->type)) {
        return ITC_OK;
    }
    itc_node *take = itc_node_new(g, &itc_op_Take, origin, 1, &x, 1);
    set_box(g, take, b, b->extent);
    ITC_TRY(itc_infer(g, take));
    *out = take->out[0];
    return ITC_OK;
}

itc_status itc_put_build(itc_graph *g, const itc_node *origin, itc_value *x, const itc_box *b,
                         const itc_type *as, itc_value **out)
{
    *out = x;
    if (itc_box_is_whole(b, as)) {
        return ITC_OK;
    }
    itc_node *put = itc_node_new(g, &itc_op_Put, origin, 1, &x, 1);
    set_box(g, put, b, as->dim);
    ITC_TRY(itc_infer(g, put));
    *out = put->out[0];
    return ITC_OK;
}

/* ---- constants ---- */

itc_status itc_fold_tensor(itc_graph *g, const itc_node *n, itc_dtype dtype, int rank,
                           const int64_t *dim, itc_tensor **out)
{
    int64_t count = 1;
    for (int i = 0; i < rank; i++) {
        if (dim[i] < 0 || !itc_size_mul(count, dim[i], &count) || count > MAX_ELEMENTS) {
            return itc_error(g->ctx, n, ITC_RANGE, "E0227", "the constant result is too large");
        }
    }
    *out = itc_tensor_new(g->ctx, dtype, rank, dim);
    return ITC_OK;
}

itc_status itc_take_fold(itc_graph *g, const itc_node *n, const itc_tensor *x, const itc_box *b,
                         itc_tensor **out)
{
    int64_t dim[ITC_MAX_RANK];
    itc_tensor *y = NULL;
    for (int i = 0; i < b->rank; i++) {
        if (b->extent[i].batch) {
            return ITC_OK;
        }
        dim[i] = b->extent[i].size;
    }
    ITC_TRY(itc_fold_tensor(g, n, x->dtype, b->rank, dim, &y));
    for (int64_t k = 0; k < y->count; k++) {
        int64_t rest = k, from = 0, stride = 1;
        for (int i = b->rank - 1; i >= 0; i--) {
            from += (b->start[i] + rest % dim[i] * b->step[i]) * stride;
            rest /= dim[i];
            stride *= x->dim[i];
        }
        itc_tensor_copy_element(g->ctx, y, k, x, from);
    }
    *out = y;
    return ITC_OK;
}

/* ---- Take, Put ---- */

/** The type of both: axes of a tensor or of a box, mantissas as they are. */
static itc_status set_type(itc_graph *g, itc_node *n, const itc_box *b, const itc_dim *dim)
{
    const itc_type *x = &n->in[0]->type;
    itc_dim count;
    itc_type y = itc_type_make(x->dtype, b->rank, dim);
    y.bits = x->bits;
    y.exp_axis = x->exp_axis;
    const int axis = x->exp_axis;
    if (axis >= 0 &&
        !(b->start[axis] == 0 && b->step[axis] == 1 && itc_dim_equal(y.dim[axis], x->dim[axis]))) {
        return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0223", "%s has exponents along axis %d",
                         itc_type_text(g->ctx, x), axis);
    }
    if (!itc_type_count(&y, &count)) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0226", "the result is too large");
    }
    n->out[0]->type = y;
    return ITC_OK;
}

static itc_status take_infer(itc_graph *g, itc_node *n)
{
    itc_box b;
    ITC_TRY(read_box(g, n, "shape", &b));
    for (int i = 0; i < b.rank; i++) {
        ITC_TRY(check_axis(g, n, &b, i, n->in[0]->type.dim[i]));
    }
    return set_type(g, n, &b, b.extent);
}

/** The larger tensor of a Put. */
static itc_status put_target(itc_graph *g, const itc_node *n, itc_box *b, itc_dim *dim)
{
    ITC_TRY(read_box(g, n, "shape", b));
    memcpy(dim, b->extent, sizeof b->extent);
    memcpy(b->extent, n->in[0]->type.dim, sizeof b->extent);
    return ITC_OK;
}

static itc_status put_infer(itc_graph *g, itc_node *n)
{
    itc_box b;
    itc_dim dim[ITC_MAX_RANK];
    ITC_TRY(put_target(g, n, &b, dim));
    for (int i = 0; i < b.rank; i++) {
        ITC_TRY(check_axis(g, n, &b, i, dim[i]));
        if (b.step[i] == 0) {
            return itc_error(g->ctx, n, ITC_RANGE, "E0221", "axis %d has step 0", i);
        }
    }
    return set_type(g, n, &b, dim);
}

/** Sum over the axes along which an element repeats, then back to its place. */
static itc_status take_grad(itc_grad *bp, const itc_node *n)
{
    itc_graph *g = itc_grad_graph(bp);
    itc_value *dx = itc_grad_of(bp, n, 0);
    itc_box b;
    itc_type once = n->out[0]->type;
    ITC_TRY(read_box(g, n, "shape", &b));
    for (int i = 0; i < b.rank; i++) {
        if (b.step[i] == 0) {
            once.dim[i] = b.extent[i] = itc_dim_of(1);
            b.step[i] = 1;
        }
    }
    const itc_value like = {.type = once};
    ITC_TRY(itc_grad_unbroadcast(bp, n, dx, &like, &dx));
    ITC_TRY(itc_put_build(g, n, dx, &b, &n->in[0]->type, &dx));
    return itc_grad_add(bp, n, 0, dx);
}

static itc_status put_grad(itc_grad *bp, const itc_node *n)
{
    itc_value *dx = NULL;
    itc_box b;
    itc_dim dim[ITC_MAX_RANK];
    ITC_TRY(put_target(itc_grad_graph(bp), n, &b, dim));
    ITC_TRY(itc_take_build(itc_grad_graph(bp), n, itc_grad_of(bp, n, 0), &b, &dx));
    return itc_grad_add(bp, n, 0, dx);
}

static itc_status take_node_fold(itc_graph *g, itc_node *n, itc_tensor **out)
{
    itc_box b;
    ITC_TRY(read_box(g, n, "shape", &b));
    return itc_take_fold(g, n, itc_operand_const(n, 0), &b, out);
}

static void arg_box(itc_emit *e, const char *first, const char *stride, const itc_box *b,
                    const itc_dim *dim)
{
    itc_dim at[ITC_MAX_RANK], by[ITC_MAX_RANK], dense = itc_dim_of(1);
    for (int i = b->rank - 1; i >= 0; i--) {
        at[i] = (itc_dim){b->start[i] * dense.size, b->start[i] != 0 && dense.batch};
        by[i] = (itc_dim){b->step[i] * dense.size, b->step[i] != 0 && dense.batch};
        dense = itc_dim_mul(dense, dim[i]);
    }
    itc_arg_shape(e, first, b->rank, at);
    itc_arg_shape(e, stride, b->rank, by);
}

itc_status itc_emit_move(itc_emit *e, const itc_node *n, const itc_value *x, const itc_box *in_x,
                         const itc_value *y, const itc_box *in_y)
{
    ITC_TRY(itc_emit_call(e, n, "move", 0, NULL));
    itc_arg_ptr(e, "x", x);
    itc_arg_ptr(e, "y", y);
    arg_box(e, "first_x", "stride_x", in_x, x->type.dim);
    arg_box(e, "first_y", "stride_y", in_y, y->type.dim);
    itc_arg_shape(e, "shape", in_x->rank, in_x->extent);
    itc_arg_int(e, "rank", in_x->rank);
    itc_arg_int(e, "width", (int64_t)itc_dtype_size(x->type.dtype));
    return ITC_OK;
}

itc_status itc_emit_zero(itc_emit *e, const itc_node *n, const itc_value *y)
{
    itc_dim count;
    if (!itc_type_count(&y->type, &count)) {
        return ITC_INTERNAL;
    }
    ITC_TRY(itc_emit_call(e, n, "zero", 0, NULL));
    itc_arg_ptr(e, "y", y);
    itc_arg_dim(e, "bytes", itc_dim_mul(count, itc_dim_of((int64_t)itc_dtype_size(y->type.dtype))));
    return ITC_OK;
}

/**
 * A place in a sum, rounded with what is added to it. But mantissas that are there already are
 * moved where nobody adds to them; and so are steps, which places do not have.
 */
static itc_status put_lower(itc_lower *l, const itc_node *n)
{
    itc_box b;
    itc_dim dim[ITC_MAX_RANK];
    int64_t start[1][ITC_MAX_RANK];
    ITC_TRY(put_target(itc_lower_graph(l), n, &b, dim));
    bool dense = !itc_is_plain(&n->in[0]->type);
    for (int i = 0; i < b.rank; i++) {
        dense = dense && (b.step[i] == 1 || itc_dim_equal(b.extent[i], itc_dim_of(1)));
    }
    if (!dense || (!itc_lower_is_absorbed(l, n->out[0]) && !itc_lower_may_absorb(l, n, n->in[0]))) {
        return itc_lower_move(l, n);
    }
    memcpy(start[0], b.start, sizeof start[0]);
    return itc_lower_set_joined(l, n, n->out[0], (const int64_t(*)[ITC_MAX_RANK])start);
}

static itc_status take_emit(itc_emit *e, const itc_node *n)
{
    itc_box b;
    ITC_TRY(read_box(itc_emit_graph(e), n, "shape", &b));
    const itc_box all = itc_box_whole(&n->out[0]->type);
    return itc_emit_move(e, n, n->in[0], &b, n->out[0], &all);
}

static itc_status put_emit(itc_emit *e, const itc_node *n)
{
    itc_box b;
    itc_dim dim[ITC_MAX_RANK];
    ITC_TRY(put_target(itc_emit_graph(e), n, &b, dim));
    const itc_box all = itc_box_whole(&n->in[0]->type);
    ITC_TRY(itc_emit_zero(e, n, n->out[0]));
    return itc_emit_move(e, n, n->in[0], &all, n->out[0], &b);
}

static const itc_attr_spec box_attrs[] = {
    {.name = "starts", .kind = ITC_ATTR_INTS, .required = true},
    {.name = "steps", .kind = ITC_ATTR_INTS, .required = true},
    {.name = "shape", .kind = ITC_ATTR_INTS, .required = true},
    {.name = "batch_axis", .kind = ITC_ATTR_INT, .i = -1},
    {.name = NULL},
};

/**
 * A box of x: y[i] = x[starts + i * steps], axis by axis. A step of 0 repeats an element.
 * Shapes  x any, y `shape`, whose extent on batch_axis (-1: none) is times N
 * Units   e_y = e_x; mantissas are moved
 * Source  ONNX Slice-13, Expand-13
 */
const itc_op_def itc_op_Take = {
    .name = "Take",
    .domain = "intrain",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = ITC_OP_INTERNAL,
    .roles = (const itc_role_in[]){ITC_IN_PASS},
    .attrs = box_attrs,
    .summary = "a box of a tensor, by strides",
    .fold = take_node_fold,
    .infer = take_infer,
    .grad = take_grad,
    .demand = ITC_DEMAND_PASS,
    .lower = itc_lower_move,
    .plan = itc_plan_hook_same,
    .emit = take_emit,
};

/**
 * x in a box of zeros: y[starts + i * steps] = x[i], 0 elsewhere. Steps are not 0.
 * Shapes  x any, y `shape`, whose extent on batch_axis (-1: none) is times N
 * Units   e_y = e_x; mantissas are moved. In a sum a term with a place
 * Source  our derivation: the transposed map of Take
 */
const itc_op_def itc_op_Put = {
    .name = "Put",
    .domain = "intrain",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = ITC_OP_INTERNAL | ITC_OP_SUM,
    .attrs = box_attrs,
    .summary = "a tensor within zeros",
    .infer = put_infer,
    .grad = put_grad,
    .demand = ITC_DEMAND_PASS,
    .lower = put_lower,
    .plan = itc_plan_hook_same,
    .emit = put_emit,
};

/* ---- what ONNX has of them ---- */

/** The box that an operator's operands and attributes state, for each of its results. */
typedef itc_status boxes_fn(itc_graph *g, const itc_node *n, itc_box *b);

static itc_status normalize_to(itc_graph *g, itc_node *n, boxes_fn *boxes, itc_value **out)
{
    itc_box *b = ITC_NEW_ARRAY(g->ctx, itc_box, n->n_out);
    ITC_TRY(boxes(g, n, b));
    for (int i = 0; i < n->n_out; i++) {
        itc_value *x = n->in[0];
        if (b[i].rank > x->type.rank) { /* Expand: axes in front */
            itc_type t = itc_type_make(x->type.dtype, b[i].rank, b[i].extent);
            for (int k = 0; k < t.rank; k++) {
                const int from = k - (t.rank - x->type.rank);
                t.dim[k] = from < 0 ? itc_dim_of(1) : x->type.dim[from];
            }
            ITC_TRY(itc_view_build(g, n, x, &t, &x));
        }
        ITC_TRY(itc_take_build(g, n, x, &b[i], &out[i]));
    }
    return ITC_OK;
}

static itc_status fold_to(itc_graph *g, itc_node *n, boxes_fn *boxes, itc_tensor **out)
{
    const itc_tensor *x = itc_operand_const(n, 0);
    itc_box *b = ITC_NEW_ARRAY(g->ctx, itc_box, n->n_out);
    if (!x || !x->data) {
        return ITC_OK;
    }
    ITC_TRY(boxes(g, n, b));
    itc_dim dim[ITC_MAX_RANK];
    for (int k = 0; k < b[0].rank; k++) {
        const int from = k - (b[0].rank - x->rank);
        dim[k] = itc_dim_of(from < 0 ? 1 : x->dim[from]);
    }
    x = itc_tensor_reshape(g->ctx, x, b[0].rank, dim);
    for (int i = 0; i < n->n_out; i++) {
        ITC_TRY(itc_take_fold(g, n, x, &b[i], &out[i]));
    }
    return ITC_OK;
}

static itc_status not_ours(itc_graph *g, itc_node *n)
{
    return itc_error(g->ctx, n, ITC_INTERNAL, "E0221", "%s is a Take in our form", n->op->name);
}

/* ---- Slice ---- */

static int64_t clamp64(int64_t v, int64_t lo, int64_t hi)
{
    return v > hi ? hi : v < lo ? lo : v;
}

/** ONNX: negative bounds count from the end; then each is clamped to where the step walks. */
static void resolve_range(int64_t extent, int64_t start, int64_t end, int64_t step, int axis,
                          itc_box *b)
{
    start += start < 0 ? extent : 0;
    end += end < 0 ? extent : 0;
    start = clamp64(start, 0, step > 0 ? extent : extent - 1);
    end = clamp64(end, step > 0 ? 0 : -1, extent);
    const int64_t span = step > 0 ? end - start : start - end;
    const int64_t size = step > 0 ? step : step == INT64_MIN ? INT64_MAX : -step;
    const int64_t count = span > 0 ? (span - 1) / size + 1 : 0;
    b->start[axis] = start;
    b->step[axis] = count == 1 ? 1 : step;
    b->extent[axis] = itc_dim_of(count);
}

/** On the axis of the rows only `all of them` can be told. */
static bool whole_rows(itc_dim d, int64_t start, int64_t end, bool end_flag, int64_t step)
{
    return start == 0 && step == 1 && (end_flag ? end >= d.size : end >= (int64_t)INT32_MAX);
}

static itc_status slice_boxes(itc_graph *g, const itc_node *n, itc_box *b)
{
    const itc_type *x = &n->in[0]->type;
    const itc_tensor *list[4] = {NULL};
    static const char *const names[4] = {"starts", "ends", "axes", "steps"};
    for (int i = 0; i < 4; i++) {
        ITC_TRY(itc_operand_list(g, n, names[i], i + 1, &list[i]));
        if ((i < 2 && !list[i]) || (list[i] && list[i]->count != list[0]->count) ||
            (list[i] && list[i]->count > ITC_MAX_RANK)) {
            return itc_error(g->ctx, n, ITC_RANGE, "E0221", "%s is missing or of a wrong length",
                             names[i]);
        }
    }
    *b = itc_box_whole(x);
    for (int64_t i = 0; i < list[0]->count; i++) {
        int axis = (int)i;
        const int64_t start = itc_tensor_get_int(list[0], i), end = itc_tensor_get_int(list[1], i);
        const int64_t step = list[3] ? itc_tensor_get_int(list[3], i) : 1;
        ITC_TRY(
            itc_axis_resolve(g, n, list[2] ? itc_tensor_get_int(list[2], i) : i, x->rank, &axis));
        const itc_dim d = x->dim[axis];
        const bool end_flag = itc_tensor_flag(list[1], i);
        if (d.batch && whole_rows(d, start, end, end_flag, step)) {
            continue;
        }
        if (step == 0 || d.batch || end_flag || itc_tensor_flag(list[0], i)) {
            return itc_error(g->ctx, n, ITC_UNSUPPORTED, step == 0 ? "E0221" : "E0224",
                             step == 0 ? "a step is 0" : "a slice of the rows N, or up to N");
        }
        resolve_range(d.size, start, end, step, axis, b);
    }
    return ITC_OK;
}

static itc_status slice_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    return normalize_to(g, n, slice_boxes, out);
}

static itc_status slice_fold(itc_graph *g, itc_node *n, itc_tensor **out)
{
    return fold_to(g, n, slice_boxes, out);
}

static const itc_attr_spec slice_attrs[] = {
    {.name = "axes", .kind = ITC_ATTR_INTS},
    {.name = "ends", .kind = ITC_ATTR_INTS},
    {.name = "starts", .kind = ITC_ATTR_INTS},
    {.name = NULL},
};

/**
 * Ranges of axes, with steps of either sign, as a Take. Bounds are constants, and attributes before
 * opset 10.
 * Source  ONNX Slice-1, -10, -11, -13
 */
const itc_op_def itc_op_Slice = {
    .name = "Slice",
    .domain = "",
    .in_min = 1,
    .in_max = 5,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 7,
    .versions = (const uint8_t[]){1, 10, 11, 13, 0},
    .roles =
        (const itc_role_in[]){ITC_IN_PASS, ITC_IN_CONST, ITC_IN_CONST, ITC_IN_CONST, ITC_IN_CONST},
    .attrs = slice_attrs,
    .summary = "ranges of axes, with steps",
    .normalize = slice_normalize,
    .fold = slice_fold,
    .infer = not_ours,
};

/* ---- Split ---- */

/** ONNX: without a list, equal parts; the last one is smaller where they do not divide (18). */
static itc_status split_boxes(itc_graph *g, const itc_node *n, itc_box *b)
{
    const itc_type *x = &n->in[0]->type;
    const itc_tensor *parts = NULL;
    int axis = 0;
    int64_t at = 0;
    ITC_TRY(itc_operand_list(g, n, "split", 1, &parts));
    ITC_TRY(itc_axis_resolve(g, n, itc_int(n, "axis"), x->rank, &axis));
    const int64_t extent = x->dim[axis].size, given = itc_int(n, "num_outputs");
    if ((parts && parts->count != n->n_out) || (given != 0 && given != n->n_out)) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0221", "%lld parts for %d outputs",
                         (long long)(parts ? parts->count : given), n->n_out);
    }
    const int64_t equal = (extent + n->n_out - 1) / n->n_out;
    for (int i = 0; i < n->n_out; i++) {
        const int64_t left = extent - at, size = parts          ? itc_tensor_get_int(parts, i)
                                                 : equal < left ? equal
                                                                : left;
        b[i] = itc_box_whole(x);
        b[i].start[axis] = at;
        b[i].extent[axis] = (itc_dim){size, x->dim[axis].batch};
        at += size;
        if (size < 0 || at > extent) {
            return itc_error(g->ctx, n, ITC_RANGE, "E0221", "part %d has %lld of %lld elements", i,
                             (long long)size, (long long)extent);
        }
    }
    if (at != extent) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0221", "the parts have %lld of %lld elements",
                         (long long)at, (long long)extent);
    }
    return ITC_OK;
}

static itc_status split_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    return normalize_to(g, n, split_boxes, out);
}

static itc_status split_fold(itc_graph *g, itc_node *n, itc_tensor **out)
{
    return fold_to(g, n, split_boxes, out);
}

static const itc_attr_spec split_attrs[] = {
    {.name = "axis", .kind = ITC_ATTR_INT},
    {.name = "num_outputs", .kind = ITC_ATTR_INT},
    {.name = "split", .kind = ITC_ATTR_INTS},
    {.name = NULL},
};

/**
 * Parts of an axis, each a Take. Their sizes are an attribute before opset 13.
 * Source  ONNX Split-2, -11, -13, -18
 */
const itc_op_def itc_op_Split = {
    .name = "Split",
    .domain = "",
    .in_min = 1,
    .in_max = 2,
    .out_min = 1,
    .out_max = 255,
    .opset_min = 2,
    .versions = (const uint8_t[]){1, 2, 11, 13, 18, 0},
    .roles = (const itc_role_in[]){ITC_IN_PASS, ITC_IN_CONST},
    .attrs = split_attrs,
    .summary = "an axis in parts",
    .normalize = split_normalize,
    .fold = split_fold,
    .infer = not_ours,
};

/* ---- Expand ---- */

static itc_status expand_boxes(itc_graph *g, const itc_node *n, itc_box *b)
{
    const itc_type *x = &n->in[0]->type;
    const itc_tensor *shape = NULL;
    ITC_TRY(itc_operand_list(g, n, "shape", 1, &shape));
    if (!shape || shape->count > ITC_MAX_RANK) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0221", "expected a shape of at most %d extents",
                         ITC_MAX_RANK);
    }
    const int count = (int)shape->count;
    b->rank = count > x->rank ? count : x->rank;
    for (int i = 0; i < b->rank; i++) {
        const int at = i - (b->rank - x->rank), to = i - (b->rank - count);
        const itc_dim one = itc_dim_of(1), have = at < 0 ? one : x->dim[at];
        itc_dim want = one;
        if (to >= 0) {
            want = (itc_dim){itc_tensor_get_int(shape, to), itc_tensor_flag(shape, to)};
        }
        const bool repeats = itc_dim_equal(have, one);
        if (!repeats && !itc_dim_equal(want, one) && !itc_dim_equal(want, have)) {
            return itc_error(g->ctx, n, ITC_SHAPE, "E0240",
                             "%s does not broadcast to %lld on axis %d", itc_type_text(g->ctx, x),
                             (long long)want.size, i);
        }
        b->start[i] = 0;
        b->step[i] = !repeats || itc_dim_equal(want, one);
        b->extent[i] = repeats ? want : have;
    }
    return ITC_OK;
}

static itc_status expand_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    return normalize_to(g, n, expand_boxes, out);
}

static itc_status expand_fold(itc_graph *g, itc_node *n, itc_tensor **out)
{
    return fold_to(g, n, expand_boxes, out);
}

/**
 * Broadcast to a shape, both ways, as a Take that repeats.
 * Source  ONNX Expand-8, -13
 */
const itc_op_def itc_op_Expand = {
    .name = "Expand",
    .domain = "",
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 8,
    .versions = (const uint8_t[]){8, 13, 0},
    .roles = (const itc_role_in[]){ITC_IN_PASS, ITC_IN_CONST},
    .summary = "broadcast to a shape",
    .normalize = expand_normalize,
    .fold = expand_fold,
    .infer = not_ours,
};

/* ---- Tile ---- */

static itc_status read_repeats(itc_graph *g, const itc_node *n, itc_dim *repeat)
{
    const itc_type *x = &n->in[0]->type;
    const itc_tensor *t = NULL;
    ITC_TRY(itc_operand_list(g, n, "repeats", 1, &t));
    if (!t || t->count != x->rank) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0221", "expected %d repeats", x->rank);
    }
    for (int i = 0; i < x->rank; i++) {
        repeat[i] = (itc_dim){itc_tensor_get_int(t, i), itc_tensor_flag(t, i)};
        if (repeat[i].size < 1 || repeat[i].size > MAX_ELEMENTS) {
            return itc_error(g->ctx, n, ITC_RANGE, "E0221", "%lld repeats on axis %d",
                             (long long)repeat[i].size, i);
        }
    }
    return ITC_OK;
}

/** Axis by axis: [a, d, b] as [a, 1, d, b], the 1 repeated, and the two as one axis. */
static itc_status tile_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    itc_value *y = n->in[0];
    const int rank = y->type.rank;
    itc_dim repeat[ITC_MAX_RANK];
    ITC_TRY(read_repeats(g, n, repeat));
    for (int i = rank - 1; i >= 0; i--) {
        const itc_type t = y->type;
        if (itc_dim_equal(repeat[i], itc_dim_of(1))) {
            continue;
        }
        itc_type after = t;
        const itc_dim both[2] = {repeat[i], t.dim[i]};
        if (!itc_dims_product(2, both, &after.dim[i])) {
            return itc_error(g->ctx, n, ITC_RANGE, "E0224",
                             "repeated rows N, or too many elements");
        }
        /* [before, repeats, behind], so that no rank is too high */
        itc_type flat = itc_type_make(t.dtype, 3, (const itc_dim[3]){{1, false}, {1, false}});
        if (!itc_dims_product(i, t.dim, &flat.dim[0]) ||
            !itc_dims_product(rank - i, t.dim + i, &flat.dim[2])) {
            return itc_error(g->ctx, n, ITC_RANGE, "E0224", "%s is too large",
                             itc_type_text(g->ctx, &t));
        }
        ITC_TRY(itc_view_build(g, n, y, &flat, &y));
        itc_box b = itc_box_whole(&flat);
        b.extent[1] = repeat[i];
        b.step[1] = 0;
        ITC_TRY(itc_take_build(g, n, y, &b, &y));
        ITC_TRY(itc_view_build(g, n, y, &after, &y));
    }
    out[0] = y;
    return ITC_OK;
}

static itc_status tile_fold(itc_graph *g, itc_node *n, itc_tensor **out)
{
    const itc_tensor *x = itc_operand_const(n, 0);
    itc_dim repeat[ITC_MAX_RANK];
    int64_t dim[ITC_MAX_RANK];
    itc_tensor *y = NULL;
    if (!x || !x->data) {
        return ITC_OK;
    }
    ITC_TRY(read_repeats(g, n, repeat));
    for (int i = 0; i < x->rank; i++) {
        if (repeat[i].batch || !itc_size_mul(x->dim[i], repeat[i].size, &dim[i])) {
            return ITC_OK;
        }
    }
    ITC_TRY(itc_fold_tensor(g, n, x->dtype, x->rank, dim, &y));
    for (int64_t k = 0; k < y->count; k++) {
        int64_t rest = k, from = 0, stride = 1;
        for (int i = x->rank - 1; i >= 0; i--) {
            from += rest % dim[i] % x->dim[i] * stride;
            rest /= dim[i];
            stride *= x->dim[i];
        }
        itc_tensor_copy_element(g->ctx, y, k, x, from);
    }
    out[0] = y;
    return ITC_OK;
}

/**
 * Axes repeated as a whole, each as a Take between Views.
 * Source  ONNX Tile-6, -13
 */
const itc_op_def itc_op_Tile = {
    .name = "Tile",
    .domain = "",
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 6,
    .versions = (const uint8_t[]){1, 6, 13, 0},
    .roles = (const itc_role_in[]){ITC_IN_PASS, ITC_IN_CONST},
    .summary = "axes repeated as a whole",
    .normalize = tile_normalize,
    .fold = tile_fold,
    .infer = not_ours,
};
