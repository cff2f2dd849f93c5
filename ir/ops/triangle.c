/*
 * Triangles and diagonals of matrices, and sums along an axis, which are products with a triangle.
 *
 *     Trilu      x where j - i is on one side of k, else 0         dx the same of dy
 *     EyeLike    1 where j - i is k                                constant
 *     CumSum     y_j = the sum of x_i, i <= j                      dx the same, from the other end
 *
 * CumSum of floats is a sparse map of the axis, exact until it is rounded; of integers it is a sum
 * of shifted copies, by 1, 2, 4, …. Sources: ONNX Trilu-14, EyeLike-9, -22, CumSum-11, -14.
 */
#include "codegen/emit.h"
#include "ir/ops/gather.h"
#include "ir/ops/take.h"
#include "ir/ops/util.h"

/* Elements of an axis whose triangle is made. */
enum { MAX_AXIS = 4096 };

static itc_status not_ours(itc_graph *g, itc_node *n)
{
    return itc_error(g->ctx, n, ITC_INTERNAL, "E0221", "%s has another form here", n->op->name);
}

/* ---- Trilu ---- */

/** Whether element (i, j) stays. */
static bool stays(const itc_node *n, int64_t k, int64_t i, int64_t j)
{
    return itc_int(n, "upper") != 0 ? j - i >= k : j - i <= k;
}

static itc_status trilu_fold(itc_graph *g, itc_node *n, itc_tensor **out)
{
    const itc_tensor *x = itc_operand_const(n, 0);
    int64_t k = 0;
    if (!x || !x->data || x->rank < 2) {
        return ITC_OK;
    }
    ITC_TRY(itc_operand_integer(g, n, 1, 0, &k));
    ITC_TRY(itc_fold_tensor(g, n, x->dtype, x->rank, x->dim, out));
    const int64_t columns = x->dim[x->rank - 1], rows = x->dim[x->rank - 2];
    for (int64_t at = 0; at < x->count; at++) {
        if (stays(n, k, at / columns % rows, at % columns)) {
            itc_tensor_copy_element(g->ctx, out[0], at, x, at);
        }
    }
    return ITC_OK;
}

/** A Mask by a constant, or the choices that plain numbers have in its place. */
static itc_status trilu_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    const itc_type *x = &n->in[0]->type;
    int64_t k = 0, count = 0;
    itc_node *m = NULL;
    ITC_TRY(itc_operand_rank(g, n, 0, 2, ITC_MAX_RANK));
    ITC_TRY(itc_operand_integer(g, n, 1, 0, &k));
    const itc_dim *d = x->dim + x->rank - 2;
    if (d[0].batch || d[1].batch || !itc_size_mul(d[0].size, d[1].size, &count)) {
        return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0224", "a triangle of the rows N");
    }
    itc_tensor *t = NULL;
    ITC_TRY(itc_fold_tensor(g, n, ITC_BOOL, 2, (const int64_t[2]){d[0].size, d[1].size}, &t));
    for (int64_t at = 0; at < count; at++) {
        ((uint8_t *)t->data)[at] = stays(n, k, at / d[1].size, at % d[1].size);
    }
    itc_value *keep = itc_const_new(g, "triangle", t);
    keep->reason = "mask";
    if (x->dtype == ITC_F32) {
        ITC_TRY(itc_build(g, &itc_op_Mask, n, 2, (itc_value *[]){n->in[0], keep}, 1, &m));
    } else if (x->dtype == ITC_BOOL) {
        ITC_TRY(itc_build(g, &itc_op_And, n, 2, (itc_value *[]){n->in[0], keep}, 1, &m));
    } else {
        itc_value *zero = itc_const_new(g, "zero", itc_tensor_new(g->ctx, x->dtype, 0, NULL));
        itc_value *in[3] = {keep, n->in[0], zero};
        ITC_TRY(itc_build(g, &itc_op_Where, n, 3, in, 1, &m));
    }
    out[0] = m->out[0];
    return ITC_OK;
}

static const itc_attr_spec trilu_attrs[] = {
    {.name = "upper", .kind = ITC_ATTR_INT, .i = 1},
    {.name = NULL},
};

/**
 * The upper or lower triangle of matrices, from diagonal k on; zeros elsewhere.
 * Shapes  x, y [..., rows, columns]; k a constant
 * Source  ONNX Trilu-14
 */
const itc_op_def itc_op_Trilu = {
    .name = "Trilu",
    .domain = "",
    .in_min = 1,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 14,
    .versions = (const uint8_t[]){14, 0},
    .roles = (const itc_role_in[]){ITC_IN_WEAK, ITC_IN_CONST},
    .kinds = ITC_KIND_ANY,
    .attrs = trilu_attrs,
    .summary = "the upper or lower triangle of matrices, as Mask",
    .normalize = trilu_normalize,
    .fold = trilu_fold,
    .infer = not_ours,
};

/* ---- EyeLike ---- */

static itc_status eye_fold(itc_graph *g, itc_node *n, itc_tensor **out)
{
    const itc_type *x = &n->in[0]->type;
    const int64_t to = itc_int(n, "dtype"), k = itc_int(n, "k");
    itc_dtype dtype = x->dtype;
    ITC_TRY(itc_operand_rank(g, n, 0, 2, 2));
    if (to != 0 && !itc_dtype_of_onnx(to, &dtype)) {
        return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0201", "data type %lld is not supported",
                         (long long)to);
    }
    if (x->dim[0].batch || x->dim[1].batch) {
        return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0224", "a diagonal of the rows N");
    }
    const int64_t dim[2] = {x->dim[0].size, x->dim[1].size};
    ITC_TRY(itc_fold_tensor(g, n, dtype, 2, dim, out));
    for (int64_t i = 0; i < dim[0]; i++) {
        if (i + k >= 0 && i + k < dim[1] &&
            !itc_tensor_set_int(g->ctx, out[0], i * dim[1] + i + k, 1, false)) {
            return ITC_INTERNAL;
        }
    }
    return ITC_OK;
}

static const itc_attr_spec eye_attrs[] = {
    {.name = "dtype", .kind = ITC_ATTR_INT},
    {.name = "k", .kind = ITC_ATTR_INT},
    {.name = NULL},
};

/**
 * Ones on diagonal k of a matrix of x's extents, of x's type or the one that `dtype` says; folded.
 * Source  ONNX EyeLike-9, -22
 */
const itc_op_def itc_op_EyeLike = {
    .name = "EyeLike",
    .domain = "",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = ITC_OP_TYPE_FOLD,
    .opset_min = 9,
    .versions = (const uint8_t[]){9, 22, 0},
    .kinds = ITC_KIND_ANY,
    .attrs = eye_attrs,
    .summary = "ones on a diagonal of a matrix, known when compiling",
    .fold = eye_fold,
    .infer = not_ours,
};

/* ---- CumSum ---- */

/** How elements are summed: the axis, whether j itself is left out, and from which end. */
typedef struct scan {
    int axis;
    bool exclusive, reverse;
} scan;

static itc_status read_scan(itc_graph *g, const itc_node *n, scan *s)
{
    int64_t axis = 0;
    const itc_type *x = &n->in[0]->type;
    ITC_TRY(itc_operand_integer(g, n, 1, 0, &axis));
    ITC_TRY(itc_axis_resolve(g, n, axis, x->rank, &s->axis));
    if (x->dim[s->axis].batch) {
        return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0224", "a sum along the rows N");
    }
    s->exclusive = itc_int(n, "exclusive") != 0;
    s->reverse = itc_int(n, "reverse") != 0;
    return ITC_OK;
}

/** Row j of the map: ones from the first column that is summed to the last. */
static void triangle(itc_ctx *ctx, const scan *s, int64_t extent, itc_sparse *m)
{
    const int64_t own = s->exclusive ? 0 : 1, total = extent * (extent - 1) / 2 + own * extent;
    *m = (itc_sparse){.rows = extent, .columns = extent};
    m->first = ITC_NEW_ARRAY(ctx, int32_t, extent + 1);
    m->from = ITC_NEW_ARRAY(ctx, int32_t, total + 1);
    m->coef = ITC_NEW_ARRAY(ctx, double, total + 1);
    int32_t at = 0;
    for (int64_t j = 0; j < extent; j++) {
        const int64_t begin = s->reverse ? j + 1 - own : 0, end = s->reverse ? extent : j + own;
        for (int64_t k = begin; k < end; k++) {
            m->from[at] = (int32_t)k;
            m->coef[at++] = 1;
        }
        m->first[j + 1] = at;
    }
}

/** x moved by `by` elements along the axis, zeros behind it; NULL: nothing is left. */
static itc_status shifted(itc_graph *g, const itc_node *n, const scan *s, itc_value *x, int64_t by,
                          itc_value **out)
{
    const int64_t extent = x->type.dim[s->axis].size;
    itc_box from = itc_box_whole(&x->type), to = from;
    *out = NULL;
    if (by >= extent) {
        return ITC_OK;
    }
    from.extent[s->axis] = to.extent[s->axis] = itc_dim_of(extent - by);
    from.start[s->axis] = s->reverse ? by : 0;
    to.start[s->axis] = s->reverse ? 0 : by;
    ITC_TRY(itc_take_build(g, n, x, &from, out));
    return itc_put_build(g, n, *out, &to, &x->type, out);
}

static itc_status scan_integers(itc_graph *g, const itc_node *n, const scan *s, itc_value **out)
{
    const int64_t extent = n->in[0]->type.dim[s->axis].size;
    itc_value *x = n->in[0];
    for (int64_t by = 1; by < extent; by *= 2) {
        itc_value *other = NULL;
        itc_node *m = NULL;
        ITC_TRY(shifted(g, n, s, x, by, &other));
        ITC_TRY(itc_build(g, &itc_op_Add, n, 2, (itc_value *[]){x, other}, 1, &m));
        x = m->out[0];
    }
    if (s->exclusive) {
        itc_value *own = x;
        itc_node *m = NULL;
        ITC_TRY(itc_build(g, &itc_op_Sub, n, 2, (itc_value *[]){own, n->in[0]}, 1, &m));
        x = m->out[0];
    }
    *out = x;
    return ITC_OK;
}

static itc_status cumsum_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    scan s;
    itc_sparse m;
    ITC_TRY(read_scan(g, n, &s));
    if (n->in[0]->type.dtype != ITC_F32) {
        return scan_integers(g, n, &s, out);
    }
    const int64_t extent = n->in[0]->type.dim[s.axis].size;
    if (extent > MAX_AXIS) {
        return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0226", "an axis of %lld is longer than %d",
                         (long long)extent, MAX_AXIS);
    }
    triangle(g->ctx, &s, extent, &m);
    return itc_axis_map_build(g, n, n->in[0], s.axis, &m, &out[0]);
}

static itc_status cumsum_fold(itc_graph *g, itc_node *n, itc_tensor **out)
{
    const itc_tensor *x = itc_operand_const(n, 0);
    scan s;
    if (!x || !x->data || !itc_operand_const(n, 1)) {
        return ITC_OK;
    }
    ITC_TRY(read_scan(g, n, &s));
    const int64_t extent = x->dim[s.axis];
    int64_t inner = 1;
    for (int i = s.axis + 1; i < x->rank; i++) {
        inner *= x->dim[i];
    }
    ITC_TRY(itc_fold_tensor(g, n, x->dtype, x->rank, x->dim, out));
    for (int64_t line = 0; line < (extent > 0 ? x->count / extent : 0); line++) {
        double sum = 0;
        for (int64_t k = 0; k < extent; k++) {
            const int64_t j = s.reverse ? extent - 1 - k : k;
            const int64_t at = (line / inner * extent + j) * inner + line % inner;
            const double before = sum;
            sum += itc_tensor_get(x, at);
            const double v = s.exclusive ? before : sum;
            if (x->dtype == ITC_F32) {
                ((float *)out[0]->data)[at] = (float)v;
            } else if (itc_tensor_flag(x, at) ||
                       !itc_tensor_set_int(g->ctx, out[0], at, (int64_t)v, false)) {
                return itc_error(g->ctx, n, ITC_RANGE, "E0227", "the sum does not fit, or is of N");
            }
        }
    }
    return ITC_OK;
}

static const itc_attr_spec cumsum_attrs[] = {
    {.name = "exclusive", .kind = ITC_ATTR_INT},
    {.name = "reverse", .kind = ITC_ATTR_INT},
    {.name = NULL},
};

/**
 * Sums of the elements up to each along an axis, or from it on.
 * Shapes  x, y any; axis a constant, not that of the rows
 * Range   of floats at most 4096 elements an axis: exact sums, rounded by their consumer
 * Source  ONNX CumSum-11, -14
 */
const itc_op_def itc_op_CumSum = {
    .name = "CumSum",
    .domain = "",
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 11,
    .versions = (const uint8_t[]){11, 14, 0},
    .roles = (const itc_role_in[]){ITC_IN_DATA, ITC_IN_CONST},
    .kinds = ITC_KIND_NUMBER,
    .attrs = cumsum_attrs,
    .summary = "sums up to each element of an axis",
    .normalize = cumsum_normalize,
    .fold = cumsum_fold,
    .infer = not_ours,
};
