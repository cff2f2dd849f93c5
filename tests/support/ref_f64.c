#include "tests/support/ref_f64.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/ref_util.h"

/* ---- element-wise ---- */

static double binary(const char *op, double a, double b)
{
    return strcmp(op, "Add") == 0              ? a + b
           : strcmp(op, "Sub") == 0            ? a - b
           : strcmp(op, "Mul") == 0            ? a * b
           : strcmp(op, "Pow") == 0            ? pow(a, b)
           : strcmp(op, "Mod") == 0            ? fmod(a, b)
           : strcmp(op, "PRelu") == 0          ? (a < 0 ? a * b : a)
           : strcmp(op, "Equal") == 0          ? a >= b && a <= b
           : strcmp(op, "Greater") == 0        ? a > b
           : strcmp(op, "Less") == 0           ? a < b
           : strcmp(op, "GreaterOrEqual") == 0 ? a >= b
           : strcmp(op, "LessOrEqual") == 0    ? a <= b
           : strcmp(op, "And") == 0            ? a > 0 && b > 0
           : strcmp(op, "Or") == 0             ? a > 0 || b > 0
           : strcmp(op, "Xor") == 0            ? (a > 0) != (b > 0)
                                               : a / b;
}

static void eval_binary(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *a = in(r, n, 0), *b = in(r, n, 1);
    const int rank = a->rank > b->rank ? a->rank : b->rank;
    int64_t dim[ITC_MAX_RANK], index[ITC_MAX_RANK] = {0}, k = 0;
    for (int i = 0; i < rank; i++) {
        const int64_t da = i < rank - a->rank ? 1 : a->dim[i - (rank - a->rank)];
        const int64_t db = i < rank - b->rank ? 1 : b->dim[i - (rank - b->rank)];
        dim[i] = da > db ? da : db;
    }
    reset(r, y, rank, dim);
    do {
        y->x[k++] = binary(n->op->name, broadcast_at(a, rank, index), broadcast_at(b, rank, index));
    } while (next_index(rank, dim, index));
}

static double unary(const ref_model *r, const itc_node *n, double x)
{
    const char *op = n->op->name;
    if (strcmp(op, "Relu") == 0) {
        return x > 0 ? x : 0;
    }
    if (strcmp(op, "LeakyRelu") == 0) {
        return x > 0 ? x : attr_float(n, "alpha", 0.01) * x;
    }
    if (strcmp(op, "Not") == 0) {
        return x > 0 ? 0 : 1;
    }
    if (strcmp(op, "Neg") == 0) {
        return -x;
    }
    if (strcmp(op, "IsNaN") == 0 || strcmp(op, "IsInf") == 0) {
        return op[2] == 'N' ? isnan(x) : isinf(x);
    }
    if (strcmp(op, "Cast") == 0 && attr_int(n, "to", 0) == 7) {
        return trunc(x);
    }
    if (strcmp(op, "Clip") == 0) {
        const ref_tensor *lo = in(r, n, 1), *hi = in(r, n, 2);
        const double low = lo ? lo->x[0] : attr_float(n, "min", -INFINITY);
        const double high = hi ? hi->x[0] : attr_float(n, "max", INFINITY);
        return fmin(fmax(x, low), high);
    }
    return ref_is_function(op) ? ref_function(n, x) : x;
}

static void eval_unary(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *x = in(r, n, 0);
    reset(r, y, x->rank, x->dim);
    for (int64_t i = 0; i < x->count; i++) {
        y->x[i] = unary(r, n, x->x[i]);
    }
}

static void eval_where(ref_model *r, const itc_node *n, ref_tensor *y)
{
    int64_t dim[ITC_MAX_RANK], index[ITC_MAX_RANK] = {0}, k = 0;
    int rank = 0;
    for (int i = 0; i < 3; i++) {
        rank = in(r, n, i)->rank > rank ? in(r, n, i)->rank : rank;
    }
    for (int i = 0; i < rank; i++) {
        dim[i] = 1;
        for (int j = 0; j < 3; j++) {
            const ref_tensor *t = in(r, n, j);
            const int64_t d = i < rank - t->rank ? 1 : t->dim[i - (rank - t->rank)];
            dim[i] = d > dim[i] ? d : dim[i];
        }
    }
    reset(r, y, rank, dim);
    do {
        const bool first = broadcast_at(in(r, n, 0), rank, index) > 0;
        y->x[k++] = broadcast_at(in(r, n, first ? 1 : 2), rank, index);
    } while (next_index(rank, dim, index));
}

static void eval_dropout(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *x = in(r, n, 0), *ratio = in(r, n, 1), *keep = &r->mask[n->out[0]->id];
    const double p = ratio ? ratio->x[0] : attr_float(n, "ratio", 0.5);
    reset(r, y, x->rank, x->dim);
    for (int64_t i = 0; i < x->count; i++) {
        y->x[i] = keep->x ? keep->x[i] * x->x[i] / (1 - p) : x->x[i];
    }
}

/** Normal or uniform numbers, from those that were drawn: of variance 193/192, or between -1 and 1.
 */
static void random_values(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const bool normal = strncmp(n->op->name, "RandomNormal", 12) == 0;
    const double *drawn = r->mask[n->out[0]->id].x;
    const double a = attr_float(n, normal ? "mean" : "low", 0);
    const double b = attr_float(n, normal ? "scale" : "high", 1);
    for (int64_t i = 0; drawn && i < y->count; i++) {
        y->x[i] = normal ? a + b * drawn[i] * sqrt(192.0 / 193) : a + (b - a) * (drawn[i] + 1) / 2;
    }
}

static void eval_random_like(ref_model *r, const itc_node *n, ref_tensor *y)
{
    reset(r, y, in(r, n, 0)->rank, in(r, n, 0)->dim);
    random_values(r, n, y);
}

static void eval_random(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const int64_t *dim = NULL;
    const int rank = itc_ints(n, "shape", &dim);
    reset(r, y, rank, dim);
    random_values(r, n, y);
}

static void eval_bernoulli(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *p = in(r, n, 0);
    const double *drawn = r->mask[n->out[0]->id].x;
    reset(r, y, p->rank, p->dim);
    for (int64_t i = 0; drawn && i < y->count; i++) {
        y->x[i] = (drawn[i] + 1) / 2 < p->x[i];
    }
}

/* ---- normalisation ---- */

/** y = (x - mean) / sqrt(var + eps) of x as [outer, slices, inner]. */
static void normalize(const ref_tensor *x, int64_t outer, int64_t slices, double eps, bool center,
                      ref_tensor *y)
{
    const int64_t inner = x->count / (outer * slices);
    for (int64_t s = 0; s < slices; s++) {
        double sum = 0, squares = 0;
        const double n = (double)(outer * inner);
        for (int64_t i = 0; i < outer * inner; i++) {
            const double v = x->x[(i / inner * slices + s) * inner + i % inner];
            sum += center ? v : 0;
            squares += v * v;
        }
        const double mean = sum / n, var = squares / n - mean * mean;
        for (int64_t i = 0; i < outer * inner; i++) {
            const int64_t k = (i / inner * slices + s) * inner + i % inner;
            y->x[k] = (x->x[k] - mean) / sqrt(var + eps);
        }
    }
}

/** y * scale + bias, numbers that repeat `inner` times each. */
static void scale_and_shift(ref_tensor *y, const ref_tensor *scale, const ref_tensor *bias,
                            int64_t inner)
{
    for (int64_t i = 0; i < y->count; i++) {
        y->x[i] *= scale->x[i / inner % scale->count];
        y->x[i] += bias ? bias->x[i / inner % bias->count] : 0;
    }
}

static void eval_lp_norm(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *x = in(r, n, 0);
    const int axis = axis_of(attr_int(n, "axis", -1), x->rank);
    const int64_t extent = x->dim[axis], inner = product(x, axis + 1, x->rank);
    reset(r, y, x->rank, x->dim);
    for (int64_t k = 0; k < x->count; k++) {
        double sum = 0;
        for (int64_t j = 0; j < extent; j++) {
            const double v = x->x[k / inner / extent * extent * inner + j * inner + k % inner];
            sum += attr_int(n, "p", 2) == 1 ? fabs(v) : v * v;
        }
        y->x[k] = x->x[k] / (attr_int(n, "p", 2) == 1 ? sum : sqrt(sum));
    }
}

static void eval_layer_norm(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *x = in(r, n, 0);
    const int64_t axis = attr_int(n, "axis", -1);
    const int64_t slices = product(x, 0, (int)(axis < 0 ? axis + x->rank : axis));
    const bool center = strcmp(n->op->name, "RMSNormalization") != 0;
    reset(r, y, x->rank, x->dim);
    normalize(x, 1, slices, attr_float(n, "epsilon", 1e-5), center, y);
    scale_and_shift(y, in(r, n, 1), n->n_in > 2 ? in(r, n, 2) : NULL, 1);
    for (int k = 1; k < n->n_out && n->out[k]; k++) { /* the mean, and 1 over the deviation */
        ref_tensor *s = &r->value[n->out[k]->id];
        int64_t dim[ITC_MAX_RANK];
        for (int i = 0; i < x->rank; i++) {
            dim[i] = i < (int)(axis < 0 ? axis + x->rank : axis) ? x->dim[i] : 1;
        }
        reset(r, s, x->rank, dim);
        const int64_t run = x->count / slices;
        for (int64_t i = 0; i < slices; i++) {
            double sum = 0, squares = 0;
            for (int64_t j = 0; j < run; j++) {
                sum += x->x[i * run + j];
            }
            for (int64_t j = 0; j < run; j++) {
                const double d = x->x[i * run + j] - sum / (double)run;
                squares += d * d;
            }
            const double eps = attr_float(n, "epsilon", 1e-5);
            s->x[i] = k == 1 ? sum / (double)run : 1 / sqrt(squares / (double)run + eps);
        }
    }
}

static void eval_group_norm(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *x = in(r, n, 0), *scale = in(r, n, 1);
    const int64_t groups = attr_int(n, "num_groups", x->dim[1]); /* instance normalisation: each */
    reset(r, y, x->rank, x->dim);
    normalize(x, 1, x->dim[0] * groups, attr_float(n, "epsilon", 1e-5), true, y);
    scale_and_shift(y, scale, in(r, n, 2), product(x, 1, x->rank) / scale->count);
}

static void eval_mean_variance(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *x = in(r, n, 0); /* axes 0, 2, 3 */
    reset(r, y, x->rank, x->dim);
    normalize(x, x->dim[0], x->dim[1], 0, true, y);
}

static void eval_batch_norm(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *x = in(r, n, 0), *scale = in(r, n, 1), *bias = in(r, n, 2);
    const ref_tensor *mean = in(r, n, 3), *var = in(r, n, 4);
    const int64_t inner = product(x, 2, x->rank);
    reset(r, y, x->rank, x->dim);
    if (attr_int(n, "training_mode", 0) != 0) {
        normalize(x, x->dim[0], x->dim[1], attr_float(n, "epsilon", 1e-5), true, y);
        scale_and_shift(y, scale, bias, inner);
        return;
    }
    for (int64_t i = 0; i < x->count; i++) {
        const int64_t c = i / inner % x->dim[1];
        const double deviation = sqrt(var->x[c] + attr_float(n, "epsilon", 1e-5));
        y->x[i] = (x->x[i] - mean->x[c]) / deviation * scale->x[c] + bias->x[c];
    }
}

/* ---- products ---- */

static void eval_gemm(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *a = in(r, n, 0), *b = in(r, n, 1), *c = in(r, n, 2);
    const bool ta = attr_int(n, "transA", 0) != 0, tb = attr_int(n, "transB", 0) != 0;
    const int64_t dim[2] = {a->dim[ta], b->dim[!tb]}, k = a->dim[!ta];
    int64_t index[2] = {0}, at = 0;
    reset(r, y, 2, dim);
    do {
        double sum = 0;
        for (int64_t i = 0; i < k; i++) {
            sum += a->x[ta ? i * dim[0] + index[0] : index[0] * k + i] *
                   b->x[tb ? index[1] * k + i : i * dim[1] + index[1]];
        }
        y->x[at] = attr_float(n, "alpha", 1) * sum;
        y->x[at++] += c ? attr_float(n, "beta", 1) * broadcast_at(c, 2, index) : 0;
    } while (next_index(2, dim, index));
}

/** numpy.matmul: rank 1 is a row on the left and a column on the right, and loses that axis. */
static void eval_matmul(ref_model *r, const itc_node *n, ref_tensor *y)
{
    ref_tensor a = *in(r, n, 0), b = *in(r, n, 1);
    const bool row = a.rank == 1, column = b.rank == 1;
    if (row) {
        a.dim[1] = a.dim[0];
        a.dim[0] = 1;
        a.rank = 2;
    }
    if (column) {
        b.dim[1] = 1;
        b.rank = 2;
    }
    const int rank = a.rank > b.rank ? a.rank : b.rank;
    int64_t dim[ITC_MAX_RANK], index[ITC_MAX_RANK] = {0}, ia[ITC_MAX_RANK], ib[ITC_MAX_RANK];
    for (int i = 0; i < rank - 2; i++) {
        const int64_t da = i < rank - a.rank ? 1 : a.dim[i - (rank - a.rank)];
        const int64_t db = i < rank - b.rank ? 1 : b.dim[i - (rank - b.rank)];
        dim[i] = da > db ? da : db;
    }
    dim[rank - 2] = a.dim[a.rank - 2];
    dim[rank - 1] = b.dim[b.rank - 1];
    reset(r, y, rank, dim);
    int64_t at = 0;
    do {
        memcpy(ia, index, sizeof index);
        memcpy(ib, index, sizeof index);
        for (int64_t k = 0; k < a.dim[a.rank - 1]; k++) {
            ia[rank - 1] = ib[rank - 2] = k;
            y->x[at] += broadcast_at(&a, rank, ia) * broadcast_at(&b, rank, ib);
        }
        at++;
    } while (next_index(rank, dim, index));
    if (row) {
        y->dim[rank - 2] = y->dim[rank - 1];
    }
    y->rank = rank - row - column;
}

/* ---- windows ---- */

typedef struct window {
    int64_t size[2], out[2], kernel[2], stride[2], dilation[2], begin[2], end[2];
} window;

static void auto_pads(const itc_node *n, window *w, int axis)
{
    const bool lower = attr_is(n, "auto_pad", "SAME_LOWER");
    if (attr_is(n, "auto_pad", "VALID")) {
        w->begin[axis] = w->end[axis] = 0;
    } else if (lower || attr_is(n, "auto_pad", "SAME_UPPER")) {
        const int64_t out = (w->size[axis] + w->stride[axis] - 1) / w->stride[axis];
        int64_t pad = (out - 1) * w->stride[axis] + (w->kernel[axis] - 1) * w->dilation[axis] + 1 -
                      w->size[axis];
        pad = pad > 0 ? pad : 0;
        w->begin[axis] = lower ? (pad + 1) / 2 : pad / 2;
        w->end[axis] = pad - w->begin[axis];
    }
}

/** One spatial axis counts as the second of two. */
static window window_of(const itc_node *n, const ref_tensor *x, const int64_t *kernel)
{
    const int spatial = x->rank - 2, at = 2 - spatial;
    int64_t pads[4];
    window w = {{1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {0, 0}, {0, 0}};
    attr_list(n, "strides", spatial, 1, w.stride + at);
    attr_list(n, "dilations", spatial, 1, w.dilation + at);
    attr_list(n, "pads", 2 * spatial, 0, pads);
    for (int i = 0; i < spatial; i++) {
        w.size[at + i] = x->dim[2 + i];
        w.kernel[at + i] = kernel[i];
        w.begin[at + i] = pads[i];
        w.end[at + i] = pads[spatial + i];
        auto_pads(n, &w, at + i);
        const int64_t room = w.size[at + i] + w.begin[at + i] + w.end[at + i] -
                             (w.kernel[at + i] - 1) * w.dilation[at + i] - 1;
        const int64_t stride = w.stride[at + i];
        w.out[at + i] = room / stride + 1;
        if (attr_int(n, "ceil_mode", 0) != 0 && room % stride != 0 &&
            w.out[at + i] * stride < w.size[at + i] + w.begin[at + i]) {
            w.out[at + i]++; /* a last window that begins within the image or before it */
        }
    }
    return w;
}

static int64_t place(const window *w, int axis, int64_t o, int64_t k)
{
    return o * w->stride[axis] - w->begin[axis] + k * w->dilation[axis];
}

static bool inside(const window *w, int64_t y, int64_t x)
{
    return y >= 0 && y < w->size[0] && x >= 0 && x < w->size[1];
}

static void reset_planes(ref_model *r, ref_tensor *y, const ref_tensor *x, int64_t channels,
                         const window *w)
{
    const int64_t two[4] = {x->dim[0], channels, w->out[0], w->out[1]};
    const int64_t one[3] = {x->dim[0], channels, w->out[1]};
    reset(r, y, x->rank, x->rank == 4 ? two : one);
}

static void eval_conv(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *x = in(r, n, 0), *f = in(r, n, 1), *bias = in(r, n, 2);
    if (x->rank == 5) {
        ref_eval_volume(r, n, y);
        return;
    }
    const window w = window_of(n, x, f->dim + 2);
    const int64_t group = attr_int(n, "group", 1), m = f->dim[0], c = f->dim[1];
    const int64_t plane = w.size[0] * w.size[1], area = w.kernel[0] * w.kernel[1];
    const int64_t shape[4] = {x->dim[0], m, w.out[0], w.out[1]};
    int64_t o[4] = {0}, at = 0;
    reset_planes(r, y, x, m, &w);
    do {
        double sum = bias ? bias->x[o[1]] : 0;
        const int64_t first = o[1] / (m / group) * c;
        for (int64_t i = 0; i < c * area; i++) {
            const int64_t ch = i / area, ky = i % area / w.kernel[1], kx = i % w.kernel[1];
            const int64_t py = place(&w, 0, o[2], ky), px = place(&w, 1, o[3], kx);
            if (inside(&w, py, px)) {
                sum += x->x[(o[0] * x->dim[1] + first + ch) * plane + py * w.size[1] + px] *
                       f->x[o[1] * c * area + i];
            }
        }
        y->x[at++] = sum;
    } while (next_index(4, shape, o));
}

/** Every input element spread over the output by the filter, cropped by the pads. */
static void eval_conv_transpose(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *x = in(r, n, 0), *f = in(r, n, 1), *bias = in(r, n, 2);
    if (x->rank == 5) {
        ref_eval_spread(r, n, y);
        return;
    }
    const int64_t group = attr_int(n, "group", 1), m = f->dim[1], c = f->dim[0];
    const int spatial = x->rank - 2, first = 2 - spatial;
    int64_t stride[2] = {1, 1}, dilation[2] = {1, 1}, pads[4] = {0}, extra[2] = {0}, want[2] = {0};
    int64_t kernel[2] = {1, 1}, size[2] = {1, 1}, begin[2] = {0}, out[2] = {1, 1};
    const bool same = attr_is(n, "auto_pad", "SAME_UPPER") || attr_is(n, "auto_pad", "SAME_LOWER");
    attr_list(n, "strides", spatial, 1, stride + first);
    attr_list(n, "dilations", spatial, 1, dilation + first);
    attr_list(n, "pads", 2 * spatial, 0, pads);
    attr_list(n, "output_padding", spatial, 0, extra + first);
    attr_list(n, "output_shape", spatial, 0, want + first);
    for (int i = 0; i < spatial; i++) {
        const int a = first + i;
        kernel[a] = f->dim[2 + i];
        size[a] = x->dim[2 + i];
        const int64_t all =
            (size[a] - 1) * stride[a] + (kernel[a] - 1) * dilation[a] + 1 + extra[a];
        const int64_t given = want[a] ? want[a] : same ? size[a] * stride[a] : 0;
        const int64_t total = all > given ? all - given : 0;
        begin[a] = !given                                 ? pads[i]
                   : attr_is(n, "auto_pad", "SAME_UPPER") ? total / 2
                                                          : total - total / 2;
        out[a] = given ? given : all - pads[i] - pads[spatial + i];
    }
    const int64_t two[4] = {x->dim[0], m * group, out[0], out[1]};
    const int64_t one[3] = {x->dim[0], m * group, out[1]};
    reset(r, y, x->rank, spatial == 2 ? two : one);
    for (int64_t i = 0; bias && i < y->count; i++) {
        y->x[i] = bias->x[i / (out[0] * out[1]) % (m * group)];
    }
    const int64_t shape[6] = {x->dim[0], c, m, size[0] * size[1], kernel[0], kernel[1]};
    int64_t i[6] = {0};
    do {
        const int64_t to_y = i[3] / size[1] * stride[0] + i[4] * dilation[0] - begin[0];
        const int64_t to_x = i[3] % size[1] * stride[1] + i[5] * dilation[1] - begin[1];
        const int64_t channel = i[1] / (c / group) * m + i[2];
        if (to_y >= 0 && to_y < out[0] && to_x >= 0 && to_x < out[1]) {
            y->x[((i[0] * m * group + channel) * out[0] + to_y) * out[1] + to_x] +=
                x->x[(i[0] * c + i[1]) * size[0] * size[1] + i[3]] *
                f->x[((i[1] * m + i[2]) * kernel[0] + i[4]) * kernel[1] + i[5]];
        }
    } while (next_index(6, shape, i));
}

static void eval_lrn(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *x = in(r, n, 0);
    const int64_t size = attr_int(n, "size", 1), c = x->dim[1], inner = product(x, 2, x->rank);
    reset(r, y, x->rank, x->dim);
    for (int64_t i = 0; i < x->count; i++) {
        const int64_t own = i / inner % c;
        double sum = 0;
        for (int64_t k = own - (size - 1) / 2; k <= own + size / 2; k++) {
            const double v = k >= 0 && k < c ? x->x[i + (k - own) * inner] : 0;
            sum += v * v;
        }
        y->x[i] = x->x[i] /
                  pow(attr_float(n, "bias", 1) + attr_float(n, "alpha", 1e-4) / (double)size * sum,
                      attr_float(n, "beta", 0.75));
    }
}

static void eval_pool(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *all = in(r, n, 0);
    ref_tensor line = *all, *x = &line;
    const bool max = strstr(n->op->name, "Max") != NULL;
    const bool global = strncmp(n->op->name, "Global", 6) == 0;
    const bool norm = strstr(n->op->name, "Lp") != NULL;
    const double p = (double)attr_int(n, "p", 2);
    int64_t kernel[2];
    if (all->rank == 5 && !global) {
        ref_eval_volume(r, n, y);
        return;
    }
    if (global) { /* over one axis */
        line.rank = 3;
        line.dim[2] = product(all, 2, all->rank);
    }
    attr_list(n, "kernel_shape", x->rank - 2, 1, kernel);
    const window w = window_of(n, x, global ? x->dim + 2 : kernel);
    const int64_t shape[4] = {x->dim[0], x->dim[1], w.out[0], w.out[1]};
    int64_t o[4] = {0}, at = 0;
    reset_planes(r, y, x, x->dim[1], &w);
    do {
        const double *plane = x->x + (o[0] * x->dim[1] + o[1]) * w.size[0] * w.size[1];
        double sum = 0, most = -INFINITY;
        int64_t count = 0;
        for (int64_t k = 0; k < w.kernel[0] * w.kernel[1]; k++) {
            const int64_t py = place(&w, 0, o[2], k / w.kernel[1]);
            const int64_t px = place(&w, 1, o[3], k % w.kernel[1]);
            const bool in_image = inside(&w, py, px);
            const bool padded = py < w.size[0] + w.end[0] && px < w.size[1] + w.end[1];
            count += in_image || (attr_int(n, "count_include_pad", 0) != 0 && padded);
            if (in_image) {
                sum += norm ? pow(fabs(plane[py * w.size[1] + px]), p) : plane[py * w.size[1] + px];
                most = fmax(most, plane[py * w.size[1] + px]);
            }
        }
        y->x[at++] = max ? most : norm ? pow(sum, 1 / p) : sum / (double)count;
    } while (next_index(4, shape, o));
    for (int i = 2; global && i < all->rank; i++) {
        y->dim[i] = 1;
        y->rank = all->rank;
    }
}

/* ---- softmax ---- */

static void softmax_line(double *x, int64_t n, int64_t stride, bool log_of)
{
    double most = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++) {
        most = fmax(most, x[i * stride]);
    }
    for (int64_t i = 0; i < n; i++) {
        sum += exp(x[i * stride] - most);
    }
    for (int64_t i = 0; i < n; i++) {
        const double l = x[i * stride] - most - log(sum);
        x[i * stride] = log_of ? l : exp(l);
    }
}

static void eval_softmax(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *x = in(r, n, 0);
    const bool old = r->g->opset < 13; /* over all axes from `axis` on */
    const int axis = axis_of(attr_int(n, "axis", old ? 1 : -1), x->rank);
    const int64_t line = old ? product(x, axis, x->rank) : x->dim[axis];
    const int64_t inner = old ? 1 : product(x, axis + 1, x->rank);
    reset(r, y, x->rank, x->dim);
    memcpy(y->x, x->x, sizeof *x->x * (size_t)x->count);
    for (int64_t k = 0; k < x->count / line; k++) {
        softmax_line(y->x + k / inner * line * inner + k % inner, line, inner,
                     strcmp(n->op->name, "LogSoftmax") == 0);
    }
}

/* ---- shapes ---- */

static void eval_reshape(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *x = in(r, n, 0), *shape = in(r, n, 1);
    int64_t dim[ITC_MAX_RANK], known = 1;
    int open = -1;
    for (int i = 0; i < shape->count; i++) {
        dim[i] = (int64_t)shape->x[i];
        dim[i] = dim[i] == 0 ? x->dim[i] : dim[i];
        open = dim[i] < 0 ? i : open;
        known *= dim[i] < 0 ? 1 : dim[i];
    }
    if (open >= 0) {
        dim[open] = x->count / known;
    }
    reset(r, y, (int)shape->count, dim);
    memcpy(y->x, x->x, sizeof *x->x * (size_t)x->count);
}

static uint32_t axes_of(const ref_model *r, const itc_node *n, int rank)
{
    const itc_attr *a = itc_attr_find(n, "axes");
    const ref_tensor *t = in(r, n, 1);
    uint32_t mask = 0;
    for (int64_t i = 0; i < (a ? a->n : t ? t->count : 0); i++) {
        mask |= 1u << axis_of(a ? a->u.ints[i] : (int64_t)t->x[i], rank);
    }
    return mask;
}

/** Flatten, Squeeze, Unsqueeze: other extents, the same elements. */
static void eval_view(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *x = in(r, n, 0);
    const bool add = strcmp(n->op->name, "Unsqueeze") == 0;
    int64_t dim[ITC_MAX_RANK];
    int rank = 0;
    if (strcmp(n->op->name, "Flatten") == 0) {
        const int axis = axis_of(attr_int(n, "axis", 1), x->rank);
        dim[rank++] = product(x, 0, axis);
        dim[rank++] = product(x, axis, x->rank);
    } else if (add) {
        const ref_tensor *t = in(r, n, 1);
        const itc_attr *a = itc_attr_find(n, "axes");
        const int total = x->rank + (int)(a ? a->n : t->count);
        const uint32_t mask = axes_of(r, n, total);
        for (int from = 0; rank < total; rank++) {
            dim[rank] = (mask >> rank & 1) != 0 ? 1 : x->dim[from++];
        }
    } else {
        const uint32_t mask = axes_of(r, n, x->rank);
        for (int i = 0; i < x->rank; i++) {
            if (mask == 0 ? x->dim[i] != 1 : (mask >> i & 1) == 0) {
                dim[rank++] = x->dim[i];
            }
        }
    }
    reset(r, y, rank, dim);
    memcpy(y->x, x->x, sizeof *x->x * (size_t)x->count);
}

static void eval_transpose(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *x = in(r, n, 0);
    const itc_attr *perm = itc_attr_find(n, "perm");
    int64_t dim[ITC_MAX_RANK], index[ITC_MAX_RANK] = {0}, from[ITC_MAX_RANK], k = 0;
    int axis[ITC_MAX_RANK];
    for (int i = 0; i < x->rank; i++) {
        axis[i] = perm ? (int)perm->u.ints[i] : x->rank - 1 - i;
        dim[i] = x->dim[axis[i]];
    }
    reset(r, y, x->rank, dim);
    do {
        for (int i = 0; i < x->rank; i++) {
            from[axis[i]] = index[i];
        }
        y->x[k++] = broadcast_at(x, x->rank, from);
    } while (next_index(x->rank, dim, index));
}

/* ---- the model ---- */

static const ref_operator table[] = {
    {"Add", eval_binary},
    {"Sub", eval_binary},
    {"Mul", eval_binary},
    {"Div", eval_binary},
    {"Pow", eval_binary},
    {"Mod", eval_binary},
    {"PRelu", eval_binary},
    {"Equal", eval_binary},
    {"Greater", eval_binary},
    {"Less", eval_binary},
    {"GreaterOrEqual", eval_binary},
    {"LessOrEqual", eval_binary},
    {"And", eval_binary},
    {"Or", eval_binary},
    {"Xor", eval_binary},
    {"Not", eval_unary},
    {"IsNaN", eval_unary},
    {"IsInf", eval_unary},
    {"Where", eval_where},
    {"Neg", eval_unary},
    {"Relu", eval_unary},
    {"LeakyRelu", eval_unary},
    {"Clip", eval_unary},
    {"Identity", eval_unary},
    {"Dropout", eval_dropout},
    {"RandomNormal", eval_random},
    {"RandomUniform", eval_random},
    {"RandomNormalLike", eval_random_like},
    {"RandomUniformLike", eval_random_like},
    {"Bernoulli", eval_bernoulli},
    {"CastLike", eval_unary},
    {"Cast", eval_unary},
    {"Gemm", eval_gemm},
    {"MatMul", eval_matmul},
    {"Conv", eval_conv},
    {"MaxPool", eval_pool},
    {"ConvTranspose", eval_conv_transpose},
    {"GlobalMaxPool", eval_pool},
    {"LpPool", eval_pool},
    {"GlobalLpPool", eval_pool},
    {"LRN", eval_lrn},
    {"AveragePool", eval_pool},
    {"GlobalAveragePool", eval_pool},
    {"Softmax", eval_softmax},
    {"LogSoftmax", eval_softmax},
    {"Reshape", eval_reshape},
    {"Flatten", eval_view},
    {"Squeeze", eval_view},
    {"Unsqueeze", eval_view},
    {"Transpose", eval_transpose},
    {"BatchNormalization", eval_batch_norm},
    {"LayerNormalization", eval_layer_norm},
    {"RMSNormalization", eval_layer_norm},
    {"LpNormalization", eval_lp_norm},
    {"InstanceNormalization", eval_group_norm},
    {"GroupNormalization", eval_group_norm},
    {"MeanVarianceNormalization", eval_mean_variance},
    {NULL, NULL},
};

static ref_eval_fn *find_eval(const char *op)
{
    const ref_operator *const tables[] = {table,         ref_moves,    ref_indexed, ref_reductions,
                                          ref_recurrent, ref_products, ref_samples};
    for (size_t k = 0; k < sizeof tables / sizeof tables[0]; k++) {
        for (const ref_operator *o = tables[k]; o->op; o++) {
            if (strcmp(o->op, op) == 0) {
                return o->eval;
            }
        }
    }
    if (!ref_is_function(op)) {
        fail_msg("the reference has no %s", op);
    }
    return eval_unary;
}

void ref_forward(ref_model *r)
{
    const itc_node_list *list = &r->g->section[ITC_FORWARD];
    for (int k = 0; k < list->n; k++) {
        const itc_node *n = list->node[k];
        bool of_losses = (n->op->flags & ITC_OP_LOSS) != 0;
        for (int j = 0; j < n->n_in; j++) {
            of_losses = of_losses || (n->in[j] && !r->value[n->in[j]->id].x);
        }
        if (of_losses) { /* ref_cross_entropy and its caller see to those */
            continue;
        }
        find_eval(n->op->name)(r, n, &r->value[n->out[0]->id]);
    }
}

ref_model *ref_new(const itc_graph *g, int64_t rows)
{
    ref_model *r = ITC_NEW(g->ctx, ref_model);
    r->g = g;
    r->rows = rows;
    r->value = ITC_NEW_ARRAY(g->ctx, ref_tensor, g->n_values + 1);
    r->mask = ITC_NEW_ARRAY(g->ctx, ref_tensor, g->n_values + 1);
    for (int i = 0; i < g->n_values; i++) {
        const itc_value *v = g->values[i];
        int64_t dim[ITC_MAX_RANK] = {0};
        if (v->kind == ITC_VALUE_NODE) {
            continue;
        }
        for (int k = 0; k < v->type.rank; k++) {
            dim[k] = v->type.dim[k].size * (v->type.dim[k].batch ? rows : 1);
        }
        reset(r, &r->value[i], v->type.rank, dim);
        for (int64_t k = 0; v->data && k < v->data->count; k++) {
            r->value[i].x[k] = itc_tensor_get(v->data, k);
        }
    }
    return r;
}

ref_tensor *ref_value(ref_model *r, const char *name)
{
    const itc_value *v = itc_value_find(r->g, name);
    assert_non_null(v);
    return &r->value[v->id];
}

double ref_cross_entropy(const ref_model *r, const itc_value *v, int axis, const double *ids,
                         double smoothing, double ignore)
{
    return ref_weighted_cross_entropy(r, v, axis, ids, smoothing, ignore, NULL, false);
}

double ref_weighted_cross_entropy(const ref_model *r, const itc_value *v, int axis,
                                  const double *ids, double smoothing, double ignore,
                                  const double *weights, bool sum)
{
    const char *op = v->def ? v->def->op->name : "";
    const ref_tensor *x = &r->value[v->id];
    const int64_t classes = x->dim[axis], inner = product(x, axis + 1, x->rank);
    const int64_t lines = x->count / classes;
    double *line = ITC_NEW_ARRAY(r->g->ctx, double, classes + 1), total = 0, counted = 0;
    for (int64_t k = 0; k < lines; k++) {
        double loss = 0;
        for (int64_t c = 0; c < classes; c++) {
            const double e = x->x[k / inner * classes * inner + c * inner + k % inner];
            line[c] = strcmp(op, "Softmax") == 0 ? log(e) : e;
        }
        softmax_line(line, classes, 1, true); /* log-probabilities stay as they are */
        for (int64_t c = 0; c < classes; c++) {
            const double q =
                smoothing / (double)classes + ((double)c == ids[k] ? 1 - smoothing : 0);
            loss -= q * line[c];
        }
        if (ids[k] < ignore || ids[k] > ignore) {
            const double w = weights ? weights[(int64_t)ids[k]] : 1;
            total += w * loss;
            counted += w;
        }
    }
    return sum ? total : counted > 0 ? total / counted : 0;
}

double ref_mse(const ref_model *r, const itc_value *v, const double *target)
{
    const ref_tensor *y = &r->value[v->id];
    double sum = 0;
    for (int64_t i = 0; i < y->count; i++) {
        sum += (y->x[i] - target[i]) * (y->x[i] - target[i]);
    }
    return sum / (double)y->count;
}
