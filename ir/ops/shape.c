/*
 * Data movement. Whatever only changes a tensor's shape becomes a View, which costs nothing.
 */
#include <string.h>

#include "codegen/emit.h"
#include "ir/ops/util.h"
#include "passes/grad.h"
#include "passes/lower.h"
#include "passes/plan.h"

/** The shape that a node gives operand 0. */
typedef itc_status shape_of_fn(itc_graph *g, const itc_node *n, itc_type *t);

static itc_status normalize_to(itc_graph *g, itc_node *n, shape_of_fn *shape, itc_value **out)
{
    itc_type t;
    ITC_TRY(shape(g, n, &t));
    return itc_view_build(g, n, n->in[0], &t, &out[0]);
}

static itc_status fold_to(itc_graph *g, itc_node *n, shape_of_fn *shape, itc_tensor **out)
{
    itc_type t;
    const itc_tensor *x = itc_operand_const(n, 0);
    out[0] = NULL;
    if (!x) {
        return ITC_OK;
    }
    ITC_TRY(shape(g, n, &t));
    out[0] = itc_tensor_reshape(g->ctx, x, t.rank, t.dim);
    return ITC_OK;
}

static itc_status not_ours(itc_graph *g, itc_node *n)
{
    return itc_error(g->ctx, n, ITC_INTERNAL, "E0221", "%s is a View in our form", n->op->name);
}

/* ---- Reshape ---- */

/** What Reshape's second operand asks for, before the rows are placed. */
typedef struct request {
    int rank;
    itc_dim dim[ITC_MAX_RANK];
    int open;       /**< the axis given as -1; -1: none */
    bool first_fix; /**< axis 0 is given as a number */
    itc_dim known;  /**< product of all but the open axis */
} request;

static itc_status read_request(itc_graph *g, const itc_node *n, request *r)
{
    const itc_tensor *shape = itc_operand_const(n, 1);
    const itc_type *x = &n->in[0]->type;
    if (!shape) {
        return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0225",
                         "input shape must be known when compiling");
    }
    if (shape->dtype == ITC_F32 || shape->rank > 1 || shape->count > ITC_MAX_RANK) {
        return itc_error(g->ctx, n, ITC_SHAPE, "E0221",
                         "input shape is %s, expected a list of at most %d integers",
                         itc_type_text(g->ctx, &n->in[1]->type), ITC_MAX_RANK);
    }
    *r = (request){.rank = (int)shape->count, .open = -1, .known = {1, false}};
    for (int i = 0; i < r->rank; i++) {
        const int64_t v = itc_tensor_get_int(shape, i);
        r->dim[i] = (itc_dim){v, itc_tensor_flag(shape, i)};
        if (v == 0 && itc_int(n, "allowzero") == 0 && i < x->rank) {
            r->dim[i] = x->dim[i];
        } else if (v == -1 && r->open < 0 && !r->dim[i].batch) {
            r->open = i;
            r->dim[i] = (itc_dim){1, false};
        } else if (v == 0 && itc_int(n, "allowzero") != 0) {
            return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0201",
                             "a result without elements (axis %d) is not supported", i);
        } else if (v < 1) {
            return itc_error(g->ctx, n, ITC_RANGE, "E0221", "shape has %lld on axis %d",
                             (long long)v, i);
        } else if (i == 0) {
            r->first_fix = !r->dim[0].batch;
        }
    }
    if (!itc_dims_product(r->rank, r->dim, &r->known)) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0224", "the shape is too large or has N twice");
    }
    return ITC_OK;
}

/** As the numbers say: the open axis takes what is left, the rows included. */
static bool place_literally(request *r, itc_dim total)
{
    if (r->open < 0) {
        return itc_dim_equal(r->known, total);
    }
    if (r->known.size < 1 || total.size % r->known.size != 0 || (r->known.batch && !total.batch)) {
        return false;
    }
    r->dim[r->open] = (itc_dim){total.size / r->known.size, total.batch && !r->known.batch};
    return true;
}

/**
 * A first extent that stands for so many times the rows that the model was exported for; 0: it
 * does not. [1,-1] of N x 784 elements: N rows of 784 are meant, and not 784 N elements in a row.
 * But [1,-1,5] of [N,5] puts a plain N where it says.
 */
static int64_t rows_in_front(const request *r, itc_dim total, int64_t exported)
{
    if (!r->first_fix || !total.batch || r->known.batch) {
        return 0;
    }
    if (exported > 1) {
        return r->dim[0].size % exported == 0 ? r->dim[0].size / exported : 0;
    }
    return r->dim[0].size == 1 && total.size != r->known.size;
}

/**
 * A model exported for a fixed number of rows writes that number (mostly 1) as the first extent;
 * its input now has N rows in front. The first extent becomes a multiple of N (`times` where an
 * axis is open), such that the elements of a row stay the same.
 */
static bool place_rows_first(request *r, const itc_type *x, itc_dim total, int64_t times)
{
    int lead = 0;
    while (lead < x->rank && !x->dim[lead].batch && x->dim[lead].size == 1) {
        lead++;
    }
    if (!r->first_fix || r->known.batch || lead == x->rank || !x->dim[lead].batch) {
        return false;
    }
    const int64_t given = r->dim[0].size, rest = r->known.size / given;
    if (rest < 1 || total.size % rest != 0) {
        return false;
    }
    const int64_t left = total.size / rest;
    if ((r->open < 0 ? given % left : left % times) != 0) {
        return false;
    }
    r->dim[0] = (itc_dim){r->open < 0 ? left : times, true};
    if (r->open >= 0) {
        r->dim[r->open] = (itc_dim){left / times, false};
    }
    return true;
}

static itc_status reshape_shape(itc_graph *g, const itc_node *n, itc_type *t)
{
    const itc_type *x = &n->in[0]->type;
    request r;
    itc_dim total;
    ITC_TRY(read_request(g, n, &r));
    if (!itc_type_count(x, &total)) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0224", "%s is too large",
                         itc_type_text(g->ctx, x));
    }
    const int64_t times = r.open > 0 ? rows_in_front(&r, total, g->rows) : 0;
    if (!(times > 0 && place_rows_first(&r, x, total, times)) && !place_literally(&r, total) &&
        !place_rows_first(&r, x, total, 1)) {
        const itc_type asked = itc_type_make(x->dtype, r.rank, r.dim);
        return itc_error(g->ctx, n, ITC_SHAPE, "E0223", "%s cannot be reshaped to %s%s",
                         itc_type_text(g->ctx, x), itc_type_text(g->ctx, &asked),
                         r.open >= 0 ? " with one extent open" : "");
    }
    *t = itc_type_make(x->dtype, r.rank, r.dim);
    return ITC_OK;
}

static itc_status reshape_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    return normalize_to(g, n, reshape_shape, out);
}

static itc_status reshape_fold(itc_graph *g, itc_node *n, itc_tensor **out)
{
    return fold_to(g, n, reshape_shape, out);
}

static const itc_attr_spec reshape_attrs[] = {
    {.name = "allowzero", .kind = ITC_ATTR_INT},
    {.name = NULL},
};

/**
 * Another shape for the same elements, as a View. 0 copies an extent, -1 takes what is left.
 * Where the extents leave no place for the rows N, the first one, a constant, becomes N.
 * Source  ONNX Reshape-5, -13, -14, -19, -21, -23, -24, -25
 */
const itc_op_def itc_op_Reshape = {
    .name = "Reshape",
    .domain = "",
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 7,
    .versions = (const uint8_t[]){1, 5, 13, 14, 19, 21, 23, 24, 25, 0},
    .roles = (const itc_role_in[]){ITC_IN_PASS, ITC_IN_CONST},
    .attrs = reshape_attrs,
    .summary = "the same elements under another shape",
    .normalize = reshape_normalize,
    .fold = reshape_fold,
    .infer = not_ours,
};

/* ---- Flatten ---- */

static itc_status flatten_shape(itc_graph *g, const itc_node *n, itc_type *t)
{
    const itc_type *x = &n->in[0]->type;
    const int64_t given = itc_int(n, "axis");
    itc_dim part[2];
    int axis = x->rank;
    if (given != x->rank) {
        ITC_TRY(itc_axis_resolve(g, n, given, x->rank, &axis));
    }
    if (!itc_dims_product(axis, x->dim, &part[0]) ||
        !itc_dims_product(x->rank - axis, x->dim + axis, &part[1])) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0224", "%s is too large",
                         itc_type_text(g->ctx, x));
    }
    *t = itc_type_make(x->dtype, 2, part);
    return ITC_OK;
}

static itc_status flatten_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    return normalize_to(g, n, flatten_shape, out);
}

static itc_status flatten_fold(itc_graph *g, itc_node *n, itc_tensor **out)
{
    return fold_to(g, n, flatten_shape, out);
}

static const itc_attr_spec flatten_attrs[] = {
    {.name = "axis", .kind = ITC_ATTR_INT, .i = 1},
    {.name = NULL},
};

/**
 * A matrix of the axes before `axis` and those from it on, as a View.
 * Source  ONNX Flatten-1, -9, -11, -13, -21, -23, -24, -25
 */
const itc_op_def itc_op_Flatten = {
    .name = "Flatten",
    .domain = "",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 7,
    .versions = (const uint8_t[]){1, 9, 11, 13, 21, 23, 24, 25, 0},
    .roles = (const itc_role_in[]){ITC_IN_PASS},
    .attrs = flatten_attrs,
    .summary = "the same elements as a matrix",
    .normalize = flatten_normalize,
    .fold = flatten_fold,
    .infer = not_ours,
};

/* ---- Squeeze, Unsqueeze ---- */

static itc_status squeeze_shape(itc_graph *g, const itc_node *n, itc_type *t)
{
    const itc_type *x = &n->in[0]->type;
    const itc_tensor *axes = NULL;
    itc_dim dim[ITC_MAX_RANK];
    uint32_t mask = 0;
    int rank = 0;
    ITC_TRY(itc_operand_list(g, n, "axes", 1, &axes));
    if (axes) {
        ITC_TRY(itc_axes_mask(g, n, axes, x->rank, &mask));
    }
    for (int i = 0; i < x->rank; i++) {
        const bool unit = x->dim[i].size == 1 && !x->dim[i].batch;
        const bool drop = axes ? (mask >> i & 1) != 0 : unit;
        if (drop && !unit) {
            return itc_error(g->ctx, n, ITC_SHAPE, "E0222", "axis %d of %s has not extent 1", i,
                             itc_type_text(g->ctx, x));
        }
        if (!drop) {
            dim[rank++] = x->dim[i];
        }
    }
    *t = itc_type_make(x->dtype, rank, dim);
    return ITC_OK;
}

static itc_status squeeze_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    return normalize_to(g, n, squeeze_shape, out);
}

static itc_status squeeze_fold(itc_graph *g, itc_node *n, itc_tensor **out)
{
    return fold_to(g, n, squeeze_shape, out);
}

static itc_status unsqueeze_shape(itc_graph *g, const itc_node *n, itc_type *t)
{
    const itc_type *x = &n->in[0]->type;
    const itc_tensor *axes = NULL;
    itc_dim dim[ITC_MAX_RANK];
    uint32_t mask = 0;
    ITC_TRY(itc_operand_list(g, n, "axes", 1, &axes));
    if (!axes || axes->count > ITC_MAX_RANK - x->rank) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0222", "%lld axes added to %d, at most %d",
                         axes ? (long long)axes->count : 0LL, x->rank, ITC_MAX_RANK);
    }
    const int rank = x->rank + (int)axes->count;
    ITC_TRY(itc_axes_mask(g, n, axes, rank, &mask));
    for (int i = 0, from = 0; i < rank; i++) {
        dim[i] = (mask >> i & 1) != 0 ? (itc_dim){1, false} : x->dim[from++];
    }
    *t = itc_type_make(x->dtype, rank, dim);
    return ITC_OK;
}

static itc_status unsqueeze_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    return normalize_to(g, n, unsqueeze_shape, out);
}

static itc_status unsqueeze_fold(itc_graph *g, itc_node *n, itc_tensor **out)
{
    return fold_to(g, n, unsqueeze_shape, out);
}

static const itc_attr_spec axes_attrs[] = {
    {.name = "axes", .kind = ITC_ATTR_INTS},
    {.name = NULL},
};

/**
 * Drops axes of extent 1, as a View. Axes are an attribute before opset 13, an operand from it on.
 * Source  ONNX Squeeze-1, -11, -13, -21, -23, -24, -25
 */
const itc_op_def itc_op_Squeeze = {
    .name = "Squeeze",
    .domain = "",
    .in_min = 1,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 7,
    .versions = (const uint8_t[]){1, 11, 13, 21, 23, 24, 25, 0},
    .roles = (const itc_role_in[]){ITC_IN_PASS, ITC_IN_CONST},
    .attrs = axes_attrs,
    .summary = "drops axes of extent 1",
    .normalize = squeeze_normalize,
    .fold = squeeze_fold,
    .infer = not_ours,
};

/**
 * Inserts axes of extent 1, as a View. Axes count in the result; an attribute before opset 13.
 * Source  ONNX Unsqueeze-1, -11, -13, -21, -23, -24, -25
 */
const itc_op_def itc_op_Unsqueeze = {
    .name = "Unsqueeze",
    .domain = "",
    .in_min = 1,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 7,
    .versions = (const uint8_t[]){1, 11, 13, 21, 23, 24, 25, 0},
    .roles = (const itc_role_in[]){ITC_IN_PASS, ITC_IN_CONST},
    .attrs = axes_attrs,
    .summary = "inserts axes of extent 1",
    .normalize = unsqueeze_normalize,
    .fold = unsqueeze_fold,
    .infer = not_ours,
};

/* ---- View ---- */

static itc_status view_shape(itc_graph *g, const itc_node *n, itc_type *t)
{
    const itc_type *x = &n->in[0]->type;
    const int64_t *shape = NULL;
    const int rank = itc_ints(n, "shape", &shape);
    const int64_t batch_axis = itc_int(n, "batch_axis");
    if (rank > ITC_MAX_RANK || batch_axis < -1 || batch_axis >= rank) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0221", "rank %d with the rows on axis %lld", rank,
                         (long long)batch_axis);
    }
    itc_dim have, want;
    *t = itc_type_make(x->dtype, rank, (const itc_dim[ITC_MAX_RANK]){{0, false}});
    for (int i = 0; i < rank; i++) {
        if (shape[i] < 0) {
            return itc_error(g->ctx, n, ITC_RANGE, "E0221", "shape has %lld on axis %d",
                             (long long)shape[i], i);
        }
        t->dim[i] = (itc_dim){shape[i], i == batch_axis};
    }
    if (!itc_type_count(x, &have) || !itc_type_count(t, &want) || !itc_dim_equal(have, want)) {
        return itc_error(g->ctx, n, ITC_SHAPE, "E0223", "%s viewed as %s", itc_type_text(g->ctx, x),
                         itc_type_text(g->ctx, t));
    }
    t->bits = x->bits;
    return ITC_OK;
}

/** The axis of t that has the slices of x's axis: same extent, as many elements before it. */
static int find_axis(const itc_type *x, int axis, const itc_type *t)
{
    itc_dim before, other;
    for (int i = 0; i < t->rank && itc_dims_product(axis, x->dim, &before); i++) {
        if (itc_dims_product(i, t->dim, &other) && itc_dim_equal(before, other) &&
            itc_dim_equal(t->dim[i], x->dim[axis])) {
            return i;
        }
    }
    return -1;
}

static itc_status view_infer(itc_graph *g, itc_node *n)
{
    const itc_type *x = &n->in[0]->type;
    itc_type t;
    ITC_TRY(view_shape(g, n, &t));
    if (x->exp_axis >= 0) {
        t.exp_axis = (int8_t)find_axis(x, x->exp_axis, &t);
        if (t.exp_axis < 0) {
            return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0223",
                             "%s has exponents along axis %d, which %s does not keep",
                             itc_type_text(g->ctx, x), x->exp_axis, itc_type_text(g->ctx, &t));
        }
    }
    n->out[0]->type = t;
    return ITC_OK;
}

static itc_status view_fold(itc_graph *g, itc_node *n, itc_tensor **out)
{
    return fold_to(g, n, view_shape, out);
}

static itc_status view_grad(itc_grad *b, const itc_node *n)
{
    itc_value *dx = NULL;
    ITC_TRY(itc_view_build(itc_grad_graph(b), n, itc_grad_of(b, n, 0), &n->in[0]->type, &dx));
    return itc_grad_add(b, n, 0, dx);
}

static const itc_attr_spec view_attrs[] = {
    {.name = "shape", .kind = ITC_ATTR_INTS, .required = true},
    {.name = "batch_axis", .kind = ITC_ATTR_INT, .i = -1},
    {.name = NULL},
};

/**
 * The bytes of x under another shape: no code.
 * Shapes  x any, y `shape`, whose extent on batch_axis (-1: none) is times N; as many elements
 * Units   e_y = e_x
 * Aliasing y is x
 * Source  ONNX Reshape-25 and its relatives
 */
const itc_op_def itc_op_View = {
    .name = "View",
    .domain = "",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = ITC_OP_INTERNAL,
    .roles = (const itc_role_in[]){ITC_IN_PASS},
    .attrs = view_attrs,
    .summary = "the same bytes under another shape",
    .fold = view_fold,
    .infer = view_infer,
    .grad = view_grad,
    .demand = ITC_DEMAND_PASS,
    .lower = itc_lower_move,
    .plan = itc_plan_hook_same,
    .alias = true,
};

/* ---- Transpose ---- */

/** perm[i] is the axis of the operand that becomes axis i; the axes reversed by default. */
static itc_status read_perm(itc_graph *g, const itc_node *n, int64_t *perm)
{
    const int rank = n->in[0]->type.rank;
    const int64_t *given = NULL;
    const int count = itc_ints(n, "perm", &given);
    uint32_t seen = 0;
    for (int i = 0; i < rank; i++) {
        perm[i] = count > 0 ? i < count ? given[i] : -1 : rank - 1 - i;
        if (perm[i] < 0 || perm[i] >= rank || (seen >> perm[i] & 1) != 0) {
            return itc_error(g->ctx, n, ITC_RANGE, "E0221",
                             "perm is not a permutation of the %d axes", rank);
        }
        seen |= (uint32_t)1 << perm[i];
    }
    if (count > rank) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0221", "perm has %d entries for %d axes", count,
                         rank);
    }
    return ITC_OK;
}

static itc_status transpose_infer(itc_graph *g, itc_node *n)
{
    const itc_type *x = &n->in[0]->type;
    int64_t perm[ITC_MAX_RANK];
    ITC_TRY(read_perm(g, n, perm));
    itc_type t = *x;
    for (int i = 0; i < t.rank; i++) {
        t.dim[i] = x->dim[perm[i]];
        if (x->exp_axis == perm[i]) {
            t.exp_axis = (int8_t)i;
        }
    }
    n->out[0]->type = t;
    return ITC_OK;
}

/** A View where only axes of extent 1 change places. */
static itc_status transpose_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    const itc_type *x = &n->in[0]->type;
    int64_t perm[ITC_MAX_RANK], last = -1;
    bool moves = false;
    ITC_TRY(read_perm(g, n, perm));
    itc_type t = *x;
    for (int i = 0; i < t.rank; i++) {
        t.dim[i] = x->dim[perm[i]];
        if (t.dim[i].size != 1 || t.dim[i].batch) {
            moves = moves || perm[i] < last;
            last = perm[i];
        }
    }
    if (!moves) {
        return itc_view_build(g, n, n->in[0], &t, &out[0]);
    }
    itc_set_ints(g, n, "perm", x->rank, perm);
    return ITC_OK;
}

static itc_status transpose_fold(itc_graph *g, itc_node *n, itc_tensor **out)
{
    const itc_tensor *x = itc_operand_const(n, 0);
    int64_t perm[ITC_MAX_RANK], dim[ITC_MAX_RANK], stride[ITC_MAX_RANK];
    out[0] = NULL;
    if (!x || !x->data) {
        return ITC_OK;
    }
    ITC_TRY(read_perm(g, n, perm));
    int64_t step = 1;
    for (int i = x->rank - 1; i >= 0; i--) {
        stride[i] = step;
        step *= x->dim[i];
    }
    for (int i = 0; i < x->rank; i++) {
        dim[i] = x->dim[perm[i]];
    }
    itc_tensor *y = itc_tensor_new(g->ctx, x->dtype, x->rank, dim);
    for (int64_t k = 0; k < y->count; k++) {
        int64_t rest = k, from = 0;
        for (int i = x->rank - 1; i >= 0; i--) {
            from += rest % dim[i] * stride[perm[i]];
            rest /= dim[i];
        }
        itc_tensor_copy_element(g->ctx, y, k, x, from);
    }
    out[0] = y;
    return ITC_OK;
}

static itc_status transpose_grad(itc_grad *b, const itc_node *n)
{
    itc_graph *g = itc_grad_graph(b);
    itc_value *dy = itc_grad_of(b, n, 0);
    int64_t perm[ITC_MAX_RANK], inverse[ITC_MAX_RANK];
    ITC_TRY(read_perm(g, n, perm));
    for (int i = 0; i < n->in[0]->type.rank; i++) {
        inverse[perm[i]] = i;
    }
    itc_node *dx = itc_node_new(g, &itc_op_Transpose, n, 1, &dy, 1);
    itc_set_ints(g, dx, "perm", n->in[0]->type.rank, inverse);
    ITC_TRY(itc_infer(g, dx));
    return itc_grad_add(b, n, 0, dx->out[0]);
}

static itc_status transpose_emit(itc_emit *e, const itc_node *n)
{
    const itc_type *x = &n->in[0]->type;
    int64_t perm[ITC_MAX_RANK];
    ITC_TRY(read_perm(itc_emit_graph(e), n, perm));
    itc_dim dense[ITC_MAX_RANK], stride[ITC_MAX_RANK], to[ITC_MAX_RANK];
    itc_broadcast_strides(x, x, dense);
    itc_broadcast_strides(&n->out[0]->type, &n->out[0]->type, to);
    for (int i = 0; i < x->rank; i++) {
        stride[i] = dense[perm[i]];
    }
    ITC_TRY(itc_emit_call(e, n, "move", 0, NULL));
    itc_arg_ptr(e, "x", n->in[0]);
    itc_arg_ptr(e, "y", n->out[0]);
    itc_arg_ints(e, "first_x", 0, NULL);
    itc_arg_ints(e, "first_y", 0, NULL);
    itc_arg_shape(e, "shape", x->rank, n->out[0]->type.dim);
    itc_arg_shape(e, "stride_x", x->rank, stride);
    itc_arg_shape(e, "stride_y", x->rank, to);
    itc_arg_int(e, "rank", x->rank);
    itc_arg_int(e, "width", (int64_t)itc_dtype_size(x->dtype));
    return ITC_OK;
}

static const itc_attr_spec transpose_attrs[] = {
    {.name = "perm", .kind = ITC_ATTR_INTS},
    {.name = NULL},
};

/**
 * Axes in another order: axis i of y is axis perm[i] of x.
 * Units   e_y = e_x; mantissas are moved
 * Source  ONNX Transpose-1, -13, -21, -23, -24, -25
 */
const itc_op_def itc_op_Transpose = {
    .name = "Transpose",
    .domain = "",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 7,
    .versions = (const uint8_t[]){1, 13, 21, 23, 24, 25, 0},
    .roles = (const itc_role_in[]){ITC_IN_PASS},
    .attrs = transpose_attrs,
    .summary = "axes in another order",
    .normalize = transpose_normalize,
    .fold = transpose_fold,
    .infer = transpose_infer,
    .grad = transpose_grad,
    .demand = ITC_DEMAND_PASS,
    .lower = itc_lower_move,
    .plan = itc_plan_hook_same,
    .emit = transpose_emit,
};

itc_status itc_rows_first(itc_graph *g, itc_value *x, itc_value **out)
{
    int64_t perm[ITC_MAX_RANK];
    int rows = 0, at = 1;
    for (int i = 0; i < x->type.rank; i++) {
        rows = x->type.dim[i].batch ? i : rows;
    }
    *out = x;
    if (rows == 0) {
        return ITC_OK;
    }
    perm[0] = rows;
    for (int i = 0; i < x->type.rank; i++) {
        if (i != rows) {
            perm[at++] = i;
        }
    }
    itc_node *n = itc_node_new(g, &itc_op_Transpose, x->def, 1, &x, 1);
    itc_set_ints(g, n, "perm", x->type.rank, perm);
    *out = n->out[0];
    return itc_infer(g, n);
}

/* ---- DepthToSpace, SpaceToDepth ---- */

/** x [N,C,H,W] under six axes, permuted, and under four again. */
static itc_status permute_blocks(itc_graph *g, const itc_node *n, const itc_dim *as,
                                 const int64_t *perm, itc_value **out)
{
    const itc_type *x = &n->in[0]->type;
    itc_value *v = NULL;
    const itc_type blocks = itc_type_make(x->dtype, 6, as);
    ITC_TRY(itc_view_build(g, n, n->in[0], &blocks, &v));
    itc_node *t = itc_node_new(g, &itc_op_Transpose, n, 1, &v, 1);
    itc_set_ints(g, t, "perm", 6, perm);
    ITC_TRY(itc_infer(g, t));
    const itc_dim *d = t->out[0]->type.dim;
    const bool depth = n->op == &itc_op_SpaceToDepth; /* three axes of six become the channels */
    itc_dim y[4] = {d[0], depth ? itc_dim_mul(itc_dim_mul(d[1], d[2]), d[3]) : d[1]};
    y[2] = depth ? d[4] : itc_dim_mul(d[2], d[3]);
    y[3] = depth ? d[5] : itc_dim_mul(d[4], d[5]);
    const itc_type flat = itc_type_make(x->dtype, 4, y);
    return itc_view_build(g, n, t->out[0], &flat, out);
}

/** The block size; E0221 unless the axes can be divided by it. */
static itc_status read_blocks(itc_graph *g, const itc_node *n, itc_dim *size)
{
    const itc_type *x = &n->in[0]->type;
    const int64_t b = itc_int(n, "blocksize");
    ITC_TRY(itc_operand_rank(g, n, 0, 4, 4));
    const bool depth = n->op == &itc_op_SpaceToDepth;
    for (int i = 1; i < 4; i++) {
        if (x->dim[i].batch) {
            return itc_error(g->ctx, n, ITC_SHAPE, "E0224", "the rows N are axis %d of %s", i,
                             itc_type_text(g->ctx, x));
        }
    }
    const bool fits = b >= 1 && b <= INT32_MAX &&
                      (depth ? x->dim[2].size % b == 0 && x->dim[3].size % b == 0
                             : x->dim[1].size % (b * b) == 0);
    if (!fits) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0221", "blocks of %lld do not divide %s",
                         (long long)b, itc_type_text(g->ctx, x));
    }
    *size = itc_dim_of(b);
    return ITC_OK;
}

static itc_status depth_to_space_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    static const int64_t depth_first[6] = {0, 3, 4, 1, 5, 2}, column_first[6] = {0, 1, 4, 2, 5, 3};
    const itc_dim *x = n->in[0]->type.dim;
    const char *mode = itc_string(n, "mode");
    const bool crd = strcmp(mode, "CRD") == 0;
    itc_dim b;
    ITC_TRY(read_blocks(g, n, &b));
    if (!crd && strcmp(mode, "DCR") != 0) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0221", "mode is \"%s\", expected DCR or CRD",
                         mode);
    }
    const itc_dim c = itc_dim_of(x[1].size / (b.size * b.size));
    const itc_dim dcr_axes[6] = {x[0], b, b, c, x[2], x[3]};
    const itc_dim crd_axes[6] = {x[0], c, b, b, x[2], x[3]};
    return permute_blocks(g, n, crd ? crd_axes : dcr_axes, crd ? column_first : depth_first,
                          &out[0]);
}

static itc_status space_to_depth_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    static const int64_t perm[6] = {0, 3, 5, 1, 2, 4};
    const itc_dim *x = n->in[0]->type.dim;
    itc_dim b;
    ITC_TRY(read_blocks(g, n, &b));
    const itc_dim axes[6] = {
        x[0], x[1], itc_dim_of(x[2].size / b.size), b, itc_dim_of(x[3].size / b.size), b};
    return permute_blocks(g, n, axes, perm, &out[0]);
}

static itc_status blocks_infer(itc_graph *g, itc_node *n)
{
    return itc_error(g->ctx, n, ITC_INTERNAL, "E0221", "%s is a Transpose in our form",
                     n->op->name);
}

static const itc_attr_spec depth_to_space_attrs[] = {
    {.name = "blocksize", .kind = ITC_ATTR_INT, .required = true},
    {.name = "mode", .kind = ITC_ATTR_STRING, .s = "DCR"},
    {.name = NULL},
};

static const itc_attr_spec space_to_depth_attrs[] = {
    {.name = "blocksize", .kind = ITC_ATTR_INT, .required = true},
    {.name = NULL},
};

/**
 * Channels as blocks of pixels, as a Transpose between Views.
 * Shapes  x [N, C b b, H, W], y [N, C, H b, W b]
 * Source  ONNX DepthToSpace-1, -11, -13
 */
const itc_op_def itc_op_DepthToSpace = {
    .name = "DepthToSpace",
    .domain = "",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 1,
    .versions = (const uint8_t[]){1, 11, 13, 0},
    .roles = (const itc_role_in[]){ITC_IN_PASS},
    .attrs = depth_to_space_attrs,
    .summary = "channels as blocks of pixels",
    .normalize = depth_to_space_normalize,
    .infer = blocks_infer,
};

/**
 * Blocks of pixels as channels, as a Transpose between Views.
 * Shapes  x [N, C, H b, W b], y [N, b b C, H, W]
 * Source  ONNX SpaceToDepth-1, -13
 */
const itc_op_def itc_op_SpaceToDepth = {
    .name = "SpaceToDepth",
    .domain = "",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 1,
    .versions = (const uint8_t[]){1, 13, 0},
    .roles = (const itc_role_in[]){ITC_IN_PASS},
    .attrs = space_to_depth_attrs,
    .summary = "blocks of pixels as channels",
    .normalize = space_to_depth_normalize,
    .infer = blocks_infer,
};

/* ---- Identity ---- */

static itc_status identity_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    (void)g;
    out[0] = n->in[0];
    return ITC_OK;
}

static itc_status identity_infer(itc_graph *g, itc_node *n)
{
    return itc_error(g->ctx, n, ITC_INTERNAL, "E0221", "Identity is its operand in our form");
}

/**
 * x itself.
 * Source  ONNX Identity-1, -13, -14, -16, -19, -21, -23, -24, -25
 */
const itc_op_def itc_op_Identity = {
    .name = "Identity",
    .domain = "",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 7,
    .versions = (const uint8_t[]){1, 13, 14, 16, 19, 21, 23, 24, 25, 0},
    .roles = (const itc_role_in[]){ITC_IN_PASS},
    .summary = "the operand itself",
    .normalize = identity_normalize,
    .fold = itc_fold_same,
    .infer = identity_infer,
};
