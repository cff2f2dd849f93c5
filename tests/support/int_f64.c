#include "tests/support/int_f64.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- shapes ---- */

typedef struct shape {
    int rank;
    int64_t dim[ITC_MAX_RANK];
    int64_t count;
} shape;

static shape shape_of(const int_f64 *f, const itc_value *v)
{
    shape s = {.rank = v->type.rank, .count = 1};
    for (int i = 0; i < s.rank; i++) {
        s.dim[i] = v->type.dim[i].size * (v->type.dim[i].batch ? f->rows : 1);
        s.count *= s.dim[i];
    }
    return s;
}

static bool next_index(const shape *s, int64_t *index)
{
    for (int i = s->rank - 1; i >= 0; i--) {
        if (++index[i] < s->dim[i]) {
            return true;
        }
        index[i] = 0;
    }
    return false;
}

/** Offset in s of the element that the place `index` of a shape of `rank` broadcasts from. */
static int64_t offset(const shape *s, int rank, const int64_t *index)
{
    int64_t at = 0;
    for (int i = 0; i < s->rank; i++) {
        at = at * s->dim[i] + (s->dim[i] == 1 ? 0 : index[i + rank - s->rank]);
    }
    return at;
}

static const double *in(const int_f64 *f, const itc_node *n, int i)
{
    return f->x[n->in[i]->id];
}

/* ---- rounding ---- */

/** What a coefficient is on integers: a mantissa of 15 bits, odd, and its exponent. */
static double coefficient(const int_f64 *f, itc_coef c, int *exponent)
{
    int e = 0;
    double symbol = 1;
    if (c.symbol == ITC_SYM_LR) {
        const itr_scalar lr = f->b->m->schedule.lr;
        symbol = ldexp((double)lr.m, lr.e);
    } else if (c.symbol == ITC_SYM_INV_N) {
        symbol = 1.0 / (double)(f->rows * f->micros);
    }
    double m = nearbyint(frexp(c.value * symbol, &e) * 32768);
    for (e -= 15; m != 0 && fmod(m, 2) == 0; m /= 2) {
        e++;
    }
    *exponent = e;
    return m;
}

static int32_t exponent_of(const int_f64 *f, const itc_value *v)
{
    if (v->exp.slot >= 0 && f->varies[v->id]) {
        return f->slot[v->exp.slot];
    }
    return gb_exponent(f->b, v);
}

/** The smallest exponent not below `finest` at which the largest magnitude has at most `bits`. */
static int fit(double largest, int bits, int finest)
{
    const double limit = ldexp(1, bits) - 1;
    int e = finest;
    while (largest > ldexp(limit, e)) {
        e++;
    }
    return e;
}

static void round_all(const int_f64 *f, const itc_node *n, double *y, int64_t count, int finest)
{
    const int bits = (int)itc_int(n, "bits");
    double largest = 0;
    for (int64_t i = 0; i < count; i++) {
        largest = fmax(largest, fabs(y[i]));
    }
    int e = fit(largest, bits, finest);
    const itc_value *out = n->out[0];
    if (itc_int(n, "sticky") != 0) { /* a parameter keeps its exponent, unless it wastes two bits */
        const int32_t kept = f->slot[n->in[0]->exp.slot];
        if (kept > e && largest >= ldexp(ldexp(1, bits) - 1, kept - 2)) {
            e = kept;
        }
    }
    for (int64_t i = 0; i < count; i++) {
        y[i] = ldexp(floor(ldexp(y[i], -e) + gb_uniform(f->random)), e);
    }
    f->slot[out->exp.slot] = e;
}

/** The place in a term's box that belongs to the one in the result; false outside. */
static bool in_box(const itc_node *n, int term, int rank, const int64_t *index, int64_t *at)
{
    const itc_attr *a = itc_attr_find(n, "boxes");
    bool inside = true;
    for (int i = 0; i < rank; i++) {
        const int64_t begin = a ? a->u.ints[2 * term * rank + i] : 0;
        const int64_t extent = a ? a->u.ints[(2 * term + 1) * rank + i] : 0;
        at[i] = index[i] - begin;
        inside = inside && (extent == 0 || (at[i] >= 0 && at[i] < extent));
    }
    return inside;
}

static void eval_requant(int_f64 *f, const itc_node *n, double *y)
{
    const shape s = shape_of(f, n->out[0]);
    const itc_attr *terms = itc_attr_find(n, "coef"); /* extremes may follow them */
    const itc_coef *coef = terms->u.coefs;
    const bool pairs = itc_int(n, "pairs") != 0;
    const int step = pairs ? 2 : 1;
    int finest = INT32_MAX;
    memset(y, 0, sizeof *y * (size_t)s.count);
    for (int t = 0; t < terms->n * step; t += step) {
        int e = 0;
        const itc_value *factor = pairs ? n->in[t + 1] : NULL;
        const shape from = shape_of(f, n->in[t]), by = shape_of(f, factor ? factor : n->in[t]);
        const double m = coefficient(f, coef[t / step], &e), c = ldexp(m, e);
        int64_t index[ITC_MAX_RANK] = {0}, at[ITC_MAX_RANK], k = 0;
        do {
            const bool inside = in_box(n, t / step, s.rank, index, at);
            const double v = inside && factor ? in(f, n, t + 1)[offset(&by, s.rank, at)] : 1;
            y[k++] += inside ? c * v * in(f, n, t)[offset(&from, s.rank, at)] : 0;
        } while (next_index(&s, index));
        e += exponent_of(f, n->in[t]) + (factor ? exponent_of(f, factor) : 0);
        finest = e < finest ? e : finest;
    }
    if (f->random) {
        round_all(f, n, y, s.count, finest);
    }
}

static void eval_grid_add(int_f64 *f, const itc_node *n, double *y)
{
    const shape s = shape_of(f, n->out[0]);
    for (int64_t i = 0; i < s.count; i++) {
        y[i] = (f->micro > 0 ? y[i] : 0) + in(f, n, 1)[i];
    }
}

/* ---- products ---- */

static void eval_matmul(int_f64 *f, const itc_node *n, double *y)
{
    const shape a = shape_of(f, n->in[0]), b = shape_of(f, n->in[1]), s = shape_of(f, n->out[0]);
    const bool ta = itc_int(n, "trans_a") != 0, tb = itc_int(n, "trans_b") != 0;
    const int64_t terms = a.dim[a.rank - (ta ? 2 : 1)];
    int64_t index[ITC_MAX_RANK] = {0}, k = 0;
    do {
        int64_t ia[ITC_MAX_RANK], ib[ITC_MAX_RANK];
        memcpy(ia, index, sizeof ia);
        memcpy(ib, index, sizeof ib);
        y[k] = 0;
        ia[s.rank - (ta ? 1 : 2)] = index[s.rank - 2];
        ib[s.rank - (tb ? 2 : 1)] = index[s.rank - 1];
        for (int64_t i = 0; i < terms; i++) {
            ia[s.rank - (ta ? 2 : 1)] = i;
            ib[s.rank - (tb ? 1 : 2)] = i;
            y[k] += in(f, n, 0)[offset(&a, s.rank, ia)] * in(f, n, 1)[offset(&b, s.rank, ib)];
        }
        k++;
    } while (next_index(&s, index));
}

static void eval_binary(int_f64 *f, const itc_node *n, double *y)
{
    const shape a = shape_of(f, n->in[0]), b = shape_of(f, n->in[1]), s = shape_of(f, n->out[0]);
    const bool product = strcmp(n->op->name, "Mul") == 0;
    int64_t index[ITC_MAX_RANK] = {0}, k = 0;
    do {
        const double u = in(f, n, 0)[offset(&a, s.rank, index)];
        const double v = in(f, n, 1)[offset(&b, s.rank, index)];
        y[k++] = product ? u * v : u / v;
    } while (next_index(&s, index));
}

/** Sums of operand 0, or of the products of both, over `axes`. */
static void eval_reduce(int_f64 *f, const itc_node *n, double *y)
{
    const shape a = shape_of(f, n->in[0]), b = shape_of(f, n->in[n->n_in - 1]);
    const shape s = shape_of(f, n->out[0]), x = a.count >= b.count ? a : b;
    const itc_attr *axes = itc_attr_find(n, "axes");
    uint32_t mask = 0;
    int64_t index[ITC_MAX_RANK] = {0};
    for (int i = 0; i < axes->n; i++) {
        mask |= 1u << axes->u.ints[i];
    }
    memset(y, 0, sizeof *y * (size_t)s.count);
    do {
        int64_t at = 0;
        for (int i = 0; i < x.rank; i++) {
            at = (mask >> i & 1) != 0 ? at : at * x.dim[i] + index[i];
        }
        const double v = in(f, n, 0)[offset(&a, x.rank, index)];
        y[at] += n->n_in > 1 ? v * in(f, n, 1)[offset(&b, x.rank, index)] : v;
    } while (next_index(&x, index));
}

/** Scale, and what multiplies xhat and stands alone: of means over n elements a slice. */
static void eval_norm_grad(int_f64 *f, const itc_node *n, double *y)
{
    const shape s = shape_of(f, n->out[0]);
    const double count = (double)(shape_of(f, n->in[3]).count / s.count);
    for (int64_t i = 0; i < s.count; i++) {
        const double scale = in(f, n, 2)[i];
        y[i] = scale;
        f->x[n->out[1]->id][i] = -scale * in(f, n, 1)[i] / count;
        f->x[n->out[2]->id][i] = itc_int(n, "center") ? -scale * in(f, n, 0)[i] / count : 0;
    }
    for (int i = 0; i < 3; i++) {
        f->slot[n->out[i]->exp.slot] = gb_exponent(f->b, n->out[i]);
    }
}

/* ---- windows ---- */

typedef struct window {
    int64_t size[2], out[2], kernel[2], stride[2], dilation[2], begin[2], end[2];
} window;

static void attr_list(const itc_node *n, const char *name, int count, int64_t *to)
{
    const itc_attr *a = itc_attr_find(n, name);
    for (int i = 0; a && i < count; i++) {
        to[i] = a->u.ints[i];
    }
}

/** Of a gradient: extents of the image, and of what the windows make. */
static window window_of(const itc_node *n, const shape *image, const shape *result)
{
    const int spatial = result->rank - 2, at = 2 - spatial;
    int64_t pads[4] = {0};
    window w = {{1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {0, 0}, {0, 0}};
    attr_list(n, "kernel_shape", spatial, w.kernel + at);
    attr_list(n, "strides", spatial, w.stride + at);
    attr_list(n, "dilations", spatial, w.dilation + at);
    attr_list(n, "pads", 2 * spatial, pads);
    for (int i = 0; i < spatial; i++) {
        w.size[at + i] = image->dim[2 + i];
        w.out[at + i] = result->dim[2 + i];
        w.begin[at + i] = pads[i];
        w.end[at + i] = pads[spatial + i];
    }
    return w;
}

/** Place in the plane that element k of window o sees; -1: padding. */
static int64_t seen(const window *w, int64_t o, int64_t k)
{
    const int64_t y =
        o / w->out[1] * w->stride[0] - w->begin[0] + k / w->kernel[1] * w->dilation[0];
    const int64_t x =
        o % w->out[1] * w->stride[1] - w->begin[1] + k % w->kernel[1] * w->dilation[1];
    return y >= 0 && y < w->size[0] && x >= 0 && x < w->size[1] ? y * w->size[1] + x : -1;
}

/** Calls every product of a convolution: image place, filter place, result place. */
typedef void visit_fn(const int_f64 *f, const itc_node *n, double *y, int64_t x, int64_t k,
                      int64_t o);

static void each_product(const int_f64 *f, const itc_node *n, double *y, const shape *image,
                         const shape *filter, const shape *result, visit_fn *visit)
{
    const window w = window_of(n, image, result);
    const int64_t area = w.kernel[0] * w.kernel[1], out = w.out[0] * w.out[1];
    const int64_t m = filter->dim[0], c = filter->dim[1], plane = w.size[0] * w.size[1];
    const int64_t group = itc_int(n, "group");
    for (int64_t i = 0; i < image->dim[0] * m * c; i++) {
        const int64_t row = i / (m * c), to = i / c % m, from = i % c;
        const int64_t channel = row * image->dim[1] + to / (m / group) * c + from;
        for (int64_t o = 0; o < out * area; o++) {
            const int64_t at = seen(&w, o / area, o % area);
            if (at >= 0) {
                visit(f, n, y, channel * plane + at, (to * c + from) * area + o % area,
                      (row * m + to) * out + o / area);
            }
        }
    }
}

static void visit_input(const int_f64 *f, const itc_node *n, double *y, int64_t x, int64_t k,
                        int64_t o)
{
    y[x] += in(f, n, 0)[o] * in(f, n, 1)[k];
}

static void visit_weight(const int_f64 *f, const itc_node *n, double *y, int64_t x, int64_t k,
                         int64_t o)
{
    y[k] += in(f, n, 0)[x] * in(f, n, 1)[o];
}

static void visit_result(const int_f64 *f, const itc_node *n, double *y, int64_t x, int64_t k,
                         int64_t o)
{
    y[o] += in(f, n, 0)[x] * in(f, n, 1)[k];
}

static void eval_conv_grad(int_f64 *f, const itc_node *n, double *y)
{
    const shape a = shape_of(f, n->in[0]), b = shape_of(f, n->in[1]), s = shape_of(f, n->out[0]);
    memset(y, 0, sizeof *y * (size_t)s.count);
    if (strcmp(n->op->name, "Conv") == 0) { /* of a transposed one */
        each_product(f, n, y, &a, &b, &s, visit_result);
    } else if (strcmp(n->op->name, "ConvGradInput") == 0) {
        each_product(f, n, y, &s, &b, &a, visit_input);
    } else {
        each_product(f, n, y, &a, &s, &b, visit_weight);
    }
}

static void eval_maxpool_grad(int_f64 *f, const itc_node *n, double *y)
{
    const shape dy = shape_of(f, n->in[0]), s = shape_of(f, n->out[0]);
    const int64_t planes = s.dim[0] * s.dim[1];
    memset(y, 0, sizeof *y * (size_t)s.count);
    for (int64_t i = 0; i < dy.count; i++) {
        const int64_t plane = i / (dy.count / planes);
        y[plane * (s.count / planes) + (int64_t)in(f, n, 1)[i]] += in(f, n, 0)[i];
    }
}

/** Elements of window o along one axis that count in its mean. */
static int64_t counted(const window *w, int axis, int64_t o, bool pads)
{
    int64_t count = 0;
    for (int64_t k = 0; k < w->kernel[axis]; k++) {
        const int64_t at = o * w->stride[axis] - w->begin[axis] + k * w->dilation[axis];
        count += at < w->size[axis] + (pads ? w->end[axis] : 0) && (pads || at >= 0);
    }
    return count;
}

static void eval_avgpool_grad(int_f64 *f, const itc_node *n, double *y)
{
    const shape dy = shape_of(f, n->in[0]), s = shape_of(f, n->out[0]);
    const window w = window_of(n, &s, &dy);
    const int64_t plane = w.size[0] * w.size[1], out = w.out[0] * w.out[1];
    const bool pads = itc_int(n, "count_include_pad") != 0;
    memset(y, 0, sizeof *y * (size_t)s.count);
    for (int64_t i = 0; i < dy.count; i++) {
        const int64_t o = i % out;
        const double count =
            (double)(counted(&w, 0, o / w.out[1], pads) * counted(&w, 1, o % w.out[1], pads));
        for (int64_t k = 0; k < w.kernel[0] * w.kernel[1]; k++) {
            const int64_t at = seen(&w, o, k);
            if (at >= 0) {
                y[i / out * plane + at] += in(f, n, 0)[i] / count;
            }
        }
    }
}

/* ---- selections, softmax, moves ---- */

/** A bound of Clip as it is on the grid of v's mantissas. */
static double on_grid(const int_f64 *f, const itc_value *v, double bound)
{
    const int32_t e = gb_exponent(f->b, v);
    return fabs(bound) < 1e30 ? ldexp(floor(ldexp(bound, -e) + 0.5), e) : bound;
}

static void eval_mask(int_f64 *f, const itc_node *n, double *y)
{
    const shape s = shape_of(f, n->out[0]);
    for (int64_t i = 0; i < s.count; i++) {
        y[i] = in(f, n, 1)[i] > 0 ? in(f, n, 0)[i] : 0;
    }
}

static void eval_clip_grad(int_f64 *f, const itc_node *n, double *y)
{
    const shape s = shape_of(f, n->out[0]);
    const double lo = on_grid(f, n->in[0], itc_float(n, "min"));
    const double hi = on_grid(f, n->in[0], itc_float(n, "max"));
    for (int64_t i = 0; i < s.count; i++) {
        const double x = in(f, n, 0)[i];
        y[i] = x > lo && x < hi ? in(f, n, 1)[i] : 0;
    }
}

/** softmax: p (dy - sum p dy); log-softmax: dy - p sum dy. */
static void eval_softmax_grad(int_f64 *f, const itc_node *n, double *y)
{
    const shape s = shape_of(f, n->out[0]);
    const bool log_of = strcmp(n->op->name, "LogSoftmaxGrad") == 0;
    const int axis = (int)itc_int(n, "axis");
    int64_t inner = 1;
    for (int i = axis + 1; i < s.rank; i++) {
        inner *= s.dim[i];
    }
    for (int64_t line = 0; line < s.count / s.dim[axis]; line++) {
        const int64_t first = line / inner * inner * s.dim[axis] + line % inner;
        double sum = 0;
        for (int64_t i = 0; i < s.dim[axis]; i++) {
            const int64_t at = first + i * inner;
            sum += in(f, n, 1)[at] * (log_of ? 1 : in(f, n, 0)[at]);
        }
        for (int64_t i = 0; i < s.dim[axis]; i++) {
            const int64_t at = first + i * inner;
            const double p = in(f, n, 0)[at], dy = in(f, n, 1)[at];
            y[at] = log_of ? dy - p * sum : p * (dy - sum);
        }
    }
}

/** Take and Put: y[i] = x[start + i * step], or the other way round. */
static void eval_box(int_f64 *f, const itc_node *n, double *y)
{
    const bool take = strcmp(n->op->name, "Take") == 0;
    const shape x = shape_of(f, n->in[0]), s = shape_of(f, n->out[0]);
    const shape *box = take ? &s : &x, *all = take ? &x : &s;
    const int64_t *start = itc_attr_find(n, "starts")->u.ints;
    const int64_t *step = itc_attr_find(n, "steps")->u.ints;
    int64_t index[ITC_MAX_RANK] = {0}, k = 0;
    memset(y, 0, sizeof *y * (size_t)s.count);
    do {
        int64_t at = 0;
        for (int i = 0; i < all->rank; i++) {
            at = at * all->dim[i] + start[i] + index[i] * step[i];
        }
        if (take) {
            y[k++] = in(f, n, 0)[at];
        } else {
            y[at] = in(f, n, 0)[k++];
        }
    } while (next_index(box, index));
}

/** Gather, its gradient, and maps of an axis: the row of y that row k of x goes to, or comes from.
 */
static void eval_rows(int_f64 *f, const itc_node *n, double *y)
{
    const shape x = shape_of(f, n->in[0]), s = shape_of(f, n->out[0]);
    const bool map = strcmp(n->op->name, "AxisMap") == 0;
    const bool back = strcmp(n->op->name, "GatherGrad") == 0;
    const int axis = (int)itc_int(n, "axis");
    const shape *all = back ? &s : &x;
    int64_t inner = 1, outer = 1;
    for (int i = 0; i < all->rank; i++) {
        outer *= i < axis ? all->dim[i] : 1;
        inner *= i > axis ? all->dim[i] : 1;
    }
    const int64_t rows = (back ? x.count : s.count) / outer / inner, extent = all->dim[axis];
    memset(y, 0, sizeof *y * (size_t)s.count);
    for (int64_t i = 0; i < outer * rows * inner; i++) {
        const int64_t o = i / inner / rows, j = i / inner % rows, k = i % inner;
        const int64_t first = map ? (int64_t)in(f, n, 1)[j] : 0;
        const int64_t end = map ? (int64_t)in(f, n, 1)[j + 1] : 1;
        for (int64_t t = first; t < end; t++) {
            const double at = map ? in(f, n, 2)[t] : in(f, n, 1)[j];
            const double c = map ? in(f, n, 3)[t] : 1;
            const int64_t row = (int64_t)at + (at < 0 ? extent : 0);
            const int64_t far = (o * extent + row) * inner + k;
            y[back ? far : i] += c * in(f, n, 0)[back ? i : far];
        }
    }
}

static void eval_view(int_f64 *f, const itc_node *n, double *y)
{
    memcpy(y, in(f, n, 0), sizeof *y * (size_t)shape_of(f, n->out[0]).count);
}

static void eval_transpose(int_f64 *f, const itc_node *n, double *y)
{
    const shape x = shape_of(f, n->in[0]), s = shape_of(f, n->out[0]);
    const int64_t *perm = itc_attr_find(n, "perm")->u.ints;
    int64_t index[ITC_MAX_RANK] = {0}, from[ITC_MAX_RANK] = {0}, k = 0;
    do {
        for (int i = 0; i < s.rank; i++) {
            from[perm[i]] = index[i];
        }
        y[k++] = in(f, n, 0)[offset(&x, x.rank, from)];
    } while (next_index(&s, index));
}

/* ---- the graph ---- */

static const struct {
    const char *op;
    void (*eval)(int_f64 *f, const itc_node *n, double *y);
} table[] = {
    {"Requant", eval_requant},
    {"GridAdd", eval_grid_add},
    {"MatMul", eval_matmul},
    {"Mul", eval_binary},
    {"Div", eval_binary},
    {"ReduceSumTo", eval_reduce},
    {"ReduceDot", eval_reduce},
    {"NormGrad", eval_norm_grad},
    {"Conv", eval_conv_grad},
    {"ConvGradInput", eval_conv_grad},
    {"ConvGradWeight", eval_conv_grad},
    {"MaxPoolGrad", eval_maxpool_grad},
    {"AveragePoolGrad", eval_avgpool_grad},
    {"Mask", eval_mask},
    {"ClipGrad", eval_clip_grad},
    {"SoftmaxGrad", eval_softmax_grad},
    {"LogSoftmaxGrad", eval_softmax_grad},
    {"View", eval_view},
    {"Gather", eval_rows},
    {"GatherGrad", eval_rows},
    {"AxisMap", eval_rows},
    {"Take", eval_box},
    {"Put", eval_box},
    {"Transpose", eval_transpose},
};

/** The exponent that the plan derives for v, from those of this sample. */
static void follow_exponent(int_f64 *f, const itc_value *v)
{
    if (v->exp.kind != ITC_EXP_SUM || v->exp.slot < 0) {
        return;
    }
    int32_t e = v->exp.offset;
    for (int i = 0; i < v->exp.n_terms; i++) {
        const int32_t part = f->slot[v->exp.term[i]];
        e += (v->exp.minus >> i & 1) != 0 ? -part : part;
    }
    f->slot[v->exp.slot] = e;
}

static void run_section(int_f64 *f, const itc_node_list *list)
{
    for (int k = 0; k < list->n; k++) {
        const itc_node *n = list->node[k];
        const itc_value *v = n->n_out > 0 ? n->out[0] : NULL;
        if (!v || !f->varies[v->id] || strcmp(n->op->name, "GridNext") == 0) {
            continue;
        }
        size_t i = 0;
        while (i < sizeof table / sizeof table[0] && strcmp(table[i].op, n->op->name) != 0) {
            i++;
        }
        if (i == sizeof table / sizeof table[0]) {
            fail_msg("%s is not known in double precision", n->op->name);
        }
        follow_exponent(f, v);
        table[i].eval(f, n, f->x[v->id]);
    }
}

static void run(int_f64 *f)
{
    const itc_graph *g = f->b->g;
    for (int i = 0; i < g->n_exponents; i++) {
        f->slot[i] = f->b->m->exponents(f->b->state)[i];
    }
    for (f->micro = 0; f->micro < f->micros; f->micro++) {
        run_section(f, &g->section[ITC_FORWARD]);
        run_section(f, &g->section[ITC_BACKWARD]);
    }
    run_section(f, &g->section[ITC_UPDATE]);
}

int_f64 *int_f64_new(gb_model *b)
{
    int_f64 *f = ITC_NEW(b->ctx, int_f64);
    const itc_graph *g = b->g;
    f->b = b;
    f->varies = ITC_NEW_ARRAY(b->ctx, bool, g->n_values + 1);
    f->x = ITC_NEW_ARRAY(b->ctx, double *, g->n_values + 1);
    f->slot = ITC_NEW_ARRAY(b->ctx, int32_t, g->n_exponents + 1);
    for (int s = ITC_PREPARE; s <= ITC_UPDATE; s++) {
        for (int k = 0; k < g->section[s].n; k++) {
            const itc_node *n = g->section[s].node[k];
            bool varies = strcmp(n->op->name, "Requant") == 0 &&
                          strcmp(itc_string(n, "rounding"), "stochastic") == 0;
            for (int i = 0; i < n->n_in; i++) {
                varies = varies || (n->in[i] && f->varies[n->in[i]->id]);
            }
            for (int i = 0; i < n->n_out; i++) {
                if (n->out[i]) {
                    f->varies[n->out[i]->id] = varies;
                }
            }
        }
    }
    return f;
}

void int_f64_hold(int_f64 *f, int32_t rows, int32_t micros)
{
    const itc_graph *g = f->b->g;
    f->rows = rows;
    f->micros = micros;
    for (int stepped = 0; stepped < 2; stepped++) {
        for (int i = 0; i < g->n_values; i++) {
            const itc_value *v = g->values[i];
            const itc_value *root = itc_value_root(v); /* views of state change with it */
            const bool later = root->kind == ITC_VALUE_NODE || itc_value_is_port(root);
            const int64_t count = gb_count(v, rows);
            if (later != (stepped == 1) || (v->def && v->def->section >= ITC_INFER)) {
                continue;
            }
            f->x[i] = ITC_NEW_ARRAY(f->b->ctx, double, count + 1);
            if (!f->varies[i]) {
                gb_read(f->b, v, count, f->x[i]);
            }
        }
        if (stepped == 0) {
            gb_step(f->b, rows * micros);
        }
    }
}

void int_f64_exact(int_f64 *f)
{
    f->random = NULL;
    run(f);
}

void int_f64_sample(int_f64 *f, uint64_t *random)
{
    f->random = random;
    run(f);
}
