/*
 * Windows, spectra, and what weighs them.
 *
 *     window_i    a_0 - a_1 cos(2 pi i / n) + a_2 cos(4 pi i / n)          known when compiling
 *     DFT         Y_k = sum of X_i exp(-2 pi j i k / n)                    a product of matrices
 *     STFT        the same of frames, each times a window
 *     Mel weights triangles over the bins of a spectrum                    known when compiling
 *
 * A transform is a product with a constant matrix whose rows are real and imaginary parts of the
 * elements and whose columns are those of the results: exact on integers until it is rounded, and
 * its gradient is that of a product. A fast transform would round at each of its levels.
 * Sources: ONNX HannWindow-17, HammingWindow-17, BlackmanWindow-17, MelWeightMatrix-17, DFT-17,
 * -20, STFT-17.
 */
#include <math.h>

#include "codegen/emit.h"
#include "ir/ops/gather.h"
#include "ir/ops/take.h"
#include "ir/ops/util.h"

/* Elements of a matrix that is made. */
enum { MAX_MATRIX = 1 << 24 };

static const double pi = 3.14159265358979323846;

static itc_status refuse_infer(itc_graph *g, itc_node *n)
{
    return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0201",
                     "%s is supported only on values that are known when compiling", n->op->name);
}

static itc_status not_ours(itc_graph *g, itc_node *n)
{
    return itc_error(g->ctx, n, ITC_INTERNAL, "E0221", "%s has another form here", n->op->name);
}

/** E0201 unless the node's result is of floats. */
static itc_status check_real(itc_graph *g, const itc_node *n)
{
    itc_dtype t = ITC_F32;
    return itc_dtype_of_onnx(itc_int(n, "output_datatype"), &t) && t == ITC_F32
               ? ITC_OK
               : itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0201",
                           "a result of data type %lld is not supported",
                           (long long)itc_int(n, "output_datatype"));
}

/* ---- windows ---- */

static itc_status window_fold(itc_graph *g, itc_node *n, itc_tensor **out)
{
    static const struct {
        const itc_op_def *op;
        double a[3];
    } table[] = {{&itc_op_HannWindow, {0.5, 0.5, 0}},
                 {&itc_op_HammingWindow, {25.0 / 46, 21.0 / 46, 0}},
                 {&itc_op_BlackmanWindow, {0.42, 0.5, 0.08}}};
    int64_t size = 0;
    int k = 0;
    while (table[k].op != n->op) {
        k++;
    }
    ITC_TRY(check_real(g, n));
    ITC_TRY(itc_operand_integer(g, n, 0, 0, &size));
    if (size < 1) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0221", "a window of %lld elements",
                         (long long)size);
    }
    ITC_TRY(itc_fold_tensor(g, n, ITC_F32, 1, &size, &out[0]));
    const double *a = table[k].a, period = (double)(itc_int(n, "periodic") != 0 ? size : size - 1);
    for (int64_t i = 0; i < size; i++) {
        const double t = size > 1 ? 2 * pi * (double)i / period : pi; /* one element is all of it */
        ((float *)out[0]->data)[i] = (float)(a[0] - a[1] * cos(t) + a[2] * cos(2 * t));
    }
    return ITC_OK;
}

static const itc_attr_spec window_attrs[] = {
    {.name = "output_datatype", .kind = ITC_ATTR_INT, .i = 1},
    {.name = "periodic", .kind = ITC_ATTR_INT, .i = 1},
    {0}};
static const uint8_t since_17[] = {17, 0};

/** A window of as many elements as operand 0 says; periodic ones lack the last of one more. */
#define WINDOW(op_name, text)                                                                      \
    const itc_op_def itc_op_##op_name = {                                                          \
        .name = #op_name,                                                                          \
        .domain = "",                                                                              \
        .in_min = 1,                                                                               \
        .in_max = 1,                                                                               \
        .out_min = 1,                                                                              \
        .out_max = 1,                                                                              \
        .opset_min = 17,                                                                           \
        .versions = since_17,                                                                      \
        .roles = (const itc_role_in[]){ITC_IN_CONST},                                              \
        .attrs = window_attrs,                                                                     \
        .summary = text,                                                                           \
        .fold = window_fold,                                                                       \
        .infer = refuse_infer,                                                                     \
    };
WINDOW(HannWindow, "window 0.5 - 0.5 cos, known when compiling")
WINDOW(HammingWindow, "window 25/46 - 21/46 cos, known when compiling")
WINDOW(BlackmanWindow, "window 0.42 - 0.5 cos + 0.08 cos of twice, known when compiling")

/* ---- MelWeightMatrix ---- */

static double mel(double hertz)
{
    return 2595 * log10(1 + hertz / 700);
}

/** The bin of a spectrum at each of the points that part the range of mels; false: one lies
 * outside.
 */
static bool mel_bins(int64_t points, int64_t length, double rate, const double *edge, int64_t *bin)
{
    const double low = mel(edge[0]), step = (mel(edge[1]) - low) / (double)points;
    for (int64_t i = 0; i < points; i++) {
        const double hertz = 700 * (pow(10, (low + step * (double)i) / 2595) - 1);
        const double at = floor((double)(length + 1) * hertz / rate);
        if (!(at >= 0 && at < (double)(length / 2 + 1))) {
            return false;
        }
        bin[i] = (int64_t)at;
    }
    return true;
}

static itc_status mel_fold(itc_graph *g, itc_node *n, itc_tensor **out)
{
    int64_t bins = 0, length = 0, rate = 0, dim[2];
    double edge[2];
    ITC_TRY(check_real(g, n));
    ITC_TRY(itc_operand_integer(g, n, 0, 0, &bins));
    ITC_TRY(itc_operand_integer(g, n, 1, 0, &length));
    ITC_TRY(itc_operand_integer(g, n, 2, 0, &rate));
    for (int i = 0; i < 2; i++) {
        const itc_tensor *t = itc_operand_const(n, 3 + i);
        edge[i] = t && t->data && t->count == 1 ? itc_tensor_get(t, 0) : NAN;
    }
    const bool good = bins >= 1 && bins <= MAX_MATRIX && length >= 1 && length <= MAX_MATRIX &&
                      rate >= 1 && edge[0] >= 0;
    int64_t *at = ITC_NEW_ARRAY(g->ctx, int64_t, good ? bins + 2 : 1);
    if (!good || !mel_bins(bins + 2, length, (double)rate, edge, at)) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0221",
                         "%lld bins of %lld elements from %g to %g Hz at %lld Hz", (long long)bins,
                         (long long)length, edge[0], edge[1], (long long)rate);
    }
    dim[0] = length / 2 + 1;
    dim[1] = bins;
    ITC_TRY(itc_fold_tensor(g, n, ITC_F32, 2, dim, &out[0]));
    float *y = (float *)out[0]->data;
    for (int64_t i = 0; i < bins; i++) {
        const int64_t left = at[i], centre = at[i + 1], right = at[i + 2];
        for (int64_t j = left; j <= centre; j++) {
            y[j * bins + i] = left == centre ? 1 : (float)(j - left) / (float)(centre - left);
        }
        for (int64_t j = centre; j < right; j++) {
            y[j * bins + i] = (float)(right - j) / (float)(right - centre);
        }
    }
    return ITC_OK;
}

static const itc_attr_spec mel_attrs[] = {{.name = "output_datatype", .kind = ITC_ATTR_INT, .i = 1},
                                          {0}};

/** Triangles of unit height, equally far apart in mels; [bins of the spectrum, bins in mels]. */
const itc_op_def itc_op_MelWeightMatrix = {
    .name = "MelWeightMatrix",
    .domain = "",
    .in_min = 5,
    .in_max = 5,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 17,
    .versions = since_17,
    .roles =
        (const itc_role_in[]){ITC_IN_CONST, ITC_IN_CONST, ITC_IN_CONST, ITC_IN_CONST, ITC_IN_CONST},
    .attrs = mel_attrs,
    .summary = "triangles over a spectrum, known when compiling",
    .fold = mel_fold,
    .infer = refuse_infer,
};

/* ---- DFT ---- */

typedef struct transform {
    int64_t from;  /**< elements of the axis */
    int64_t parts; /**< 1: real; 2: complex */
    int64_t size;  /**< what the axis is cut or filled with zeros to */
    int64_t to;    /**< results */
    bool inverse;
} transform;

/** [from * parts, to * 2] */
static itc_status matrix(itc_graph *g, const itc_node *n, const transform *t, itc_value **out)
{
    itc_tensor *m = NULL;
    int64_t dim[2] = {0}, count = 0;
    if (!itc_size_mul(t->from, t->parts, &dim[0]) || !itc_size_mul(t->to, 2, &dim[1]) ||
        !itc_size_mul(dim[0], dim[1], &count) || count > MAX_MATRIX) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0226", "a transform of %lld elements is too large",
                         (long long)t->size);
    }
    ITC_TRY(itc_fold_tensor(g, n, ITC_F32, 2, dim, &m));
    for (int64_t i = 0; i < t->from && i < t->size; i++) {
        float *row = (float *)m->data + i * t->parts * dim[1];
        for (int64_t k = 0; k < t->to; k++) {
            /* i * k modulo the size keeps the angle small, and so exact */
            const double angle =
                (t->inverse ? 2 : -2) * pi * (double)(i * k % t->size) / (double)t->size;
            const double scale = t->inverse ? 1 / (double)t->size : 1;
            row[2 * k] = (float)(scale * cos(angle));
            row[2 * k + 1] = (float)(scale * sin(angle));
            if (t->parts == 2) {
                row[dim[1] + 2 * k] = (float)(-scale * sin(angle));
                row[dim[1] + 2 * k + 1] = (float)(scale * cos(angle));
            }
        }
    }
    *out = itc_const_new(g, "dft", m);
    (*out)->reason = "matrix of a transform";
    return ITC_OK;
}

/** The transform along an axis of x, [..., from, ..., parts]; of y, [..., to, ..., 2]. */
static itc_status transform_build(itc_graph *g, const itc_node *n, itc_value *x, int axis,
                                  const transform *t, itc_value **out)
{
    const int rank = x->type.rank;
    int64_t perm[ITC_MAX_RANK], back[ITC_MAX_RANK];
    itc_value *m = NULL;
    ITC_TRY(matrix(g, n, t, &m));
    for (int i = 0; i < rank; i++) { /* the axis behind the others, before the parts */
        perm[i] = i < axis || i == rank - 1 ? i : i == rank - 2 ? axis : i + 1;
        back[perm[i]] = i;
    }
    ITC_TRY(itc_transpose_build(g, n, x, perm, &x));
    itc_type as = itc_type_make(ITC_F32, rank - 1, x->type.dim);
    as.dim[rank - 2] = m->type.dim[0];
    ITC_TRY(itc_view_build(g, n, x, &as, &x));
    ITC_TRY(itc_apply(g, n, &itc_op_MatMul, 2, (itc_value *[]){x, m}, &x));
    as = itc_type_make(ITC_F32, rank, x->type.dim);
    as.dim[rank - 2] = itc_dim_of(t->to);
    as.dim[rank - 1] = itc_dim_of(2);
    ITC_TRY(itc_view_build(g, n, x, &as, &x));
    return itc_transpose_build(g, n, x, back, out);
}

/** Checks an operand [..., 1 or 2] and its axis, and fills in what a transform knows of them. */
static itc_status transform_of(itc_graph *g, const itc_node *n, const itc_type *x, int axis,
                               int64_t size, bool onesided, transform *t)
{
    const itc_dim parts = x->dim[x->rank - 1], from = x->dim[axis];
    if (from.batch || parts.batch) {
        return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0224", "a transform along the rows N");
    }
    if (parts.size < 1 || parts.size > 2 || axis == x->rank - 1 || size < 1 ||
        (onesided && parts.size != 1)) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0221", "a transform of %lld elements of %s",
                         (long long)size, itc_type_text(g->ctx, x));
    }
    *t = (transform){.from = from.size, .parts = parts.size, .size = size};
    t->to = onesided ? size / 2 + 1 : size;
    return ITC_OK;
}

static itc_status dft_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    const itc_type *x = &n->in[0]->type;
    const bool inverse = itc_int(n, "inverse") != 0, onesided = itc_int(n, "onesided") != 0;
    int64_t given = itc_int(n, "axis"), size = 0;
    int axis = 0;
    transform t;
    ITC_TRY(itc_operand_rank(g, n, 0, 2, ITC_MAX_RANK));
    if (itc_op_version(n->op, g->opset) >= 20) {
        ITC_TRY(itc_operand_integer(g, n, 2, -2, &given));
    }
    ITC_TRY(itc_axis_resolve(g, n, given, x->rank, &axis));
    ITC_TRY(itc_operand_integer(g, n, 1, x->dim[axis].size, &size));
    if (inverse && onesided) {
        return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0201",
                         "an inverse DFT that is onesided is not supported");
    }
    ITC_TRY(transform_of(g, n, x, axis, size, onesided, &t));
    t.inverse = inverse;
    return transform_build(g, n, n->in[0], axis, &t, &out[0]);
}

static const itc_attr_spec dft_attrs[] = {{.name = "axis", .kind = ITC_ATTR_INT, .i = 1},
                                          {.name = "inverse", .kind = ITC_ATTR_INT},
                                          {.name = "onesided", .kind = ITC_ATTR_INT},
                                          {0}};

/**
 * The discrete Fourier transform of an axis.
 * Shapes  x [..., from, ..., 1 or 2] (real, or real and imaginary parts); y [..., to, ..., 2], to
 *         the length, or half of it and 1 (onesided, of real x)
 * Source  ONNX DFT-17, -20
 */
const itc_op_def itc_op_DFT = {
    .name = "DFT",
    .domain = "",
    .in_min = 1,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 17,
    .versions = (const uint8_t[]){17, 20, 0},
    .roles = (const itc_role_in[]){ITC_IN_DATA, ITC_IN_CONST, ITC_IN_CONST},
    .attrs = dft_attrs,
    .summary = "Fourier transform of an axis, as a product with a constant matrix",
    .normalize = dft_normalize,
    .infer = not_ours,
};

/* ---- STFT ---- */

/** x of [rows, elements, parts] as [rows, frames, length, parts]. */
static itc_status frames(itc_graph *g, const itc_node *n, itc_value *x, int64_t step,
                         int64_t length, itc_value **out)
{
    const itc_dim all = x->type.dim[1];
    int64_t total = 0;
    if (all.batch || step < 1 || length < 1 || length > all.size ||
        !itc_size_mul((all.size - length) / step + 1, length, &total) || total > MAX_MATRIX) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0221",
                         "frames of %lld elements, %lld apart, of %s", (long long)length,
                         (long long)step, itc_type_text(g->ctx, &x->type));
    }
    int64_t *index = ITC_NEW_ARRAY(g->ctx, int64_t, total);
    for (int64_t i = 0; i < total; i++) {
        index[i] = i / length * step + i % length;
    }
    ITC_TRY(itc_gather_build(g, n, x, 1, total, index, &x));
    const itc_type as = itc_type_make(ITC_F32, 4,
                                      (const itc_dim[]){x->type.dim[0], itc_dim_of(total / length),
                                                        itc_dim_of(length), x->type.dim[2]});
    return itc_view_build(g, n, x, &as, out);
}

static itc_status stft_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    itc_value *x = n->in[0], *window = n->n_in > 2 ? n->in[2] : NULL;
    int64_t step = 0, length = 0;
    transform t;
    ITC_TRY(itc_operand_rank(g, n, 0, 3, 3));
    ITC_TRY(itc_operand_integer(g, n, 1, 0, &step));
    if (window) {
        ITC_TRY(itc_operand_rank(g, n, 2, 1, 1));
        length = window->type.dim[0].batch ? 0 : window->type.dim[0].size;
    }
    ITC_TRY(itc_operand_integer(g, n, 3, length, &length));
    ITC_TRY(frames(g, n, x, step, length, &x));
    if (window) {
        const itc_type as =
            itc_type_make(ITC_F32, 2, (const itc_dim[]){window->type.dim[0], itc_dim_of(1)});
        ITC_TRY(itc_view_build(g, n, window, &as, &window));
        ITC_TRY(itc_apply(g, n, &itc_op_Mul, 2, (itc_value *[]){x, window}, &x));
    }
    ITC_TRY(transform_of(g, n, &x->type, 2, length, itc_int(n, "onesided") != 0, &t));
    return transform_build(g, n, x, 2, &t, &out[0]);
}

static const itc_attr_spec stft_attrs[] = {{.name = "onesided", .kind = ITC_ATTR_INT, .i = 1}, {0}};

/**
 * Fourier transforms of frames.
 * Shapes  x [rows, elements, 1 or 2], window [length]; y [rows, frames, results, 2]
 * Source  ONNX STFT-17
 */
const itc_op_def itc_op_STFT = {
    .name = "STFT",
    .domain = "",
    .in_min = 2,
    .in_max = 4,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 17,
    .versions = since_17,
    .roles = (const itc_role_in[]){ITC_IN_DATA, ITC_IN_CONST, ITC_IN_DATA, ITC_IN_CONST},
    .attrs = stft_attrs,
    .summary = "Fourier transforms of frames, each times a window",
    .normalize = stft_normalize,
    .infer = not_ours,
};
