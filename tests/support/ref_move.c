/*
 * Data movement of ONNX, element by element.
 */
#include <math.h>
#include <stdlib.h>

#include "tests/support/ref_util.h"

/** Element k of constant operand i, or of an attribute where old opsets have that. */
static int64_t number(const ref_model *r, const itc_node *n, const char *name, int i, int64_t k,
                      int64_t otherwise)
{
    const itc_attr *a = itc_attr_find(n, name);
    const ref_tensor *t = in(r, n, i);
    return a && a->kind == ITC_ATTR_INTS ? a->u.ints[k] : t ? (int64_t)t->x[k] : otherwise;
}

static int64_t numbers(const ref_model *r, const itc_node *n, const char *name, int i)
{
    const itc_attr *a = itc_attr_find(n, name);
    const ref_tensor *t = in(r, n, i);
    return a && a->kind == ITC_ATTR_INTS ? a->n : t ? t->count : 0;
}

/** y[k] = x[first + k * step] on each axis. */
static void copy_box(ref_tensor *y, const ref_tensor *x, const int64_t *first, const int64_t *step)
{
    int64_t index[ITC_MAX_RANK] = {0}, k = 0;
    do {
        int64_t at = 0;
        for (int i = 0; i < x->rank; i++) {
            at = at * x->dim[i] + first[i] + index[i] * step[i];
        }
        y->x[k++] = x->x[at];
    } while (next_index(y->rank, y->dim, index));
}

/** Python's slices: x[start:end:step]. */
static void eval_slice(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *x = in(r, n, 0);
    int64_t first[ITC_MAX_RANK] = {0}, step[ITC_MAX_RANK], dim[ITC_MAX_RANK];
    for (int i = 0; i < x->rank; i++) {
        step[i] = 1;
        dim[i] = x->dim[i];
    }
    for (int64_t k = 0; k < numbers(r, n, "starts", 1); k++) {
        const int a = axis_of(number(r, n, "axes", 3, k, k), x->rank);
        int64_t from = number(r, n, "starts", 1, k, 0), to = number(r, n, "ends", 2, k, 0);
        step[a] = number(r, n, "steps", 4, k, 1);
        from += from < 0 ? x->dim[a] : 0;
        to += to < 0 ? x->dim[a] : 0;
        dim[a] = 0;
        first[a] = step[a] < 0 && from >= x->dim[a] ? x->dim[a] - 1 : from < 0 ? 0 : from;
        for (int64_t i = first[a]; i >= 0 && i < x->dim[a] && (step[a] > 0 ? i < to : i > to);
             i += step[a]) {
            dim[a]++;
        }
    }
    reset(r, y, x->rank, dim);
    copy_box(y, x, first, step);
}

static void eval_split(ref_model *r, const itc_node *n, ref_tensor *unused)
{
    const ref_tensor *x = in(r, n, 0);
    const int a = axis_of(attr_int(n, "axis", 0), x->rank);
    int64_t first[ITC_MAX_RANK] = {0}, step[ITC_MAX_RANK], dim[ITC_MAX_RANK];
    const int64_t equal = (x->dim[a] + n->n_out - 1) / n->n_out;
    (void)unused;
    for (int i = 0; i < n->n_out; i++) {
        ref_tensor *y = &r->value[n->out[i]->id];
        for (int k = 0; k < x->rank; k++) {
            step[k] = 1;
            dim[k] = x->dim[k];
        }
        const int64_t left = x->dim[a] - first[a];
        dim[a] = number(r, n, "split", 1, i, equal < left ? equal : left);
        reset(r, y, x->rank, dim);
        copy_box(y, x, first, step);
        first[a] += dim[a];
    }
}

/** Expand, and Tile as x[i mod extent]. */
static void eval_repeat(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *x = in(r, n, 0), *by = in(r, n, 1);
    const bool tile = strcmp(n->op->name, "Tile") == 0;
    const int rank = by->count > x->rank ? (int)by->count : x->rank;
    int64_t dim[ITC_MAX_RANK], index[ITC_MAX_RANK] = {0}, k = 0;
    for (int i = 0; i < rank; i++) {
        const int own = i - (rank - x->rank), other = i - (rank - (int)by->count);
        const int64_t have = own < 0 ? 1 : x->dim[own];
        const int64_t want = other < 0 ? 1 : (int64_t)by->x[other];
        dim[i] = tile ? have * want : have > want ? have : want;
    }
    reset(r, y, rank, dim);
    do {
        int64_t at = 0;
        for (int i = 0; i < x->rank; i++) {
            at = at * x->dim[i] + index[i + rank - x->rank] % x->dim[i];
        }
        y->x[k++] = x->x[at];
    } while (next_index(rank, dim, index));
}

/** Channel and pixel of the larger image: ONNX's two orders of a block's elements. */
static void eval_blocks(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *x = in(r, n, 0);
    const int64_t b = attr_int(n, "blocksize", 1);
    const bool to_space = strcmp(n->op->name, "DepthToSpace") == 0;
    const int64_t c = to_space ? x->dim[1] / (b * b) : x->dim[1];
    const int64_t h = to_space ? x->dim[2] : x->dim[2] / b;
    const int64_t w = to_space ? x->dim[3] : x->dim[3] / b;
    const int64_t space[4] = {x->dim[0], c, h * b, w * b};
    const int64_t depth[4] = {x->dim[0], c * b * b, h, w};
    int64_t i[4] = {0}, k = 0;
    reset(r, y, 4, to_space ? space : depth);
    do {
        const int64_t block = i[2] % b * b + i[3] % b;
        const int64_t channel = attr_is(n, "mode", "CRD") ? i[1] * b * b + block : block * c + i[1];
        const int64_t at = ((i[0] * c * b * b + channel) * h + i[2] / b) * w + i[3] / b;
        if (to_space) {
            y->x[k++] = x->x[at];
        } else {
            y->x[at] = x->x[k++];
        }
    } while (next_index(4, space, i));
}

static void eval_concat(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *x = in(r, n, 0);
    const int a = axis_of(attr_int(n, "axis", 0), x->rank);
    int64_t dim[ITC_MAX_RANK], at = 0;
    memcpy(dim, x->dim, sizeof dim);
    dim[a] = 0;
    for (int i = 0; i < n->n_in; i++) {
        dim[a] += in(r, n, i)->dim[a];
    }
    reset(r, y, x->rank, dim);
    const int64_t inner = product(y, a + 1, y->rank), outer = product(y, 0, a);
    for (int64_t o = 0; o < outer; o++) {
        for (int i = 0; i < n->n_in; i++) {
            const ref_tensor *t = in(r, n, i);
            const int64_t run = t->dim[a] * inner;
            memcpy(y->x + at, t->x + o * run, sizeof *y->x * (size_t)run);
            at += run;
        }
    }
}

/** numpy.pad: what element `at` of an axis of extent n shows, -1 for the constant. */
static int64_t source(const itc_node *n, int64_t at, int64_t extent)
{
    const int64_t turn = 2 * (extent - 1);
    if (attr_is(n, "mode", "edge")) {
        return at < 0 ? 0 : at >= extent ? extent - 1 : at;
    }
    if (attr_is(n, "mode", "wrap")) {
        return (at % extent + extent) % extent;
    }
    if (attr_is(n, "mode", "reflect")) {
        const int64_t k = turn ? (at % turn + turn) % turn : 0;
        return k < extent ? k : turn - k;
    }
    return at >= 0 && at < extent ? at : -1;
}

static void eval_pad(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *x = in(r, n, 0), *value = in(r, n, 2), *axes = in(r, n, 3);
    const double v = value ? value->x[0] : attr_float(n, "value", 0);
    const int64_t count = numbers(r, n, "pads", 1) / 2;
    int64_t before[ITC_MAX_RANK] = {0}, dim[ITC_MAX_RANK], index[ITC_MAX_RANK] = {0}, k = 0;
    memcpy(dim, x->dim, sizeof dim);
    for (int64_t i = 0; i < count; i++) {
        const int a = axes ? axis_of((int64_t)axes->x[i], x->rank) : (int)i;
        before[a] = number(r, n, "pads", 1, i, 0);
        dim[a] += before[a] + number(r, n, "pads", 1, count + i, 0);
    }
    reset(r, y, x->rank, dim);
    do {
        int64_t at = 0;
        bool inside = true;
        for (int i = 0; i < x->rank; i++) {
            const int64_t s = source(n, index[i] - before[i], x->dim[i]);
            inside = inside && s >= 0;
            at = at * x->dim[i] + s;
        }
        y->x[k++] = inside ? x->x[at] : v;
    } while (next_index(x->rank, dim, index));
}

/** numpy.take. */
static void eval_gather(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *x = in(r, n, 0), *index = in(r, n, 1);
    const int a = axis_of(attr_int(n, "axis", 0), x->rank);
    int64_t dim[ITC_MAX_RANK], k = 0;
    int rank = 0;
    for (int i = 0; i < x->rank; i++) {
        for (int j = 0; i == a && j < index->rank; j++) {
            dim[rank++] = index->dim[j];
        }
        if (i != a) {
            dim[rank++] = x->dim[i];
        }
    }
    reset(r, y, rank, dim);
    const int64_t inner = product(x, a + 1, x->rank);
    for (int64_t o = 0; o < product(x, 0, a); o++) {
        for (int64_t j = 0; j < index->count; j++) {
            const int64_t at = (int64_t)index->x[j] + (index->x[j] < 0 ? x->dim[a] : 0);
            for (int64_t i = 0; i < inner; i++) {
                y->x[k++] = x->x[(o * x->dim[a] + at) * inner + i];
            }
        }
    }
}

/* ---- Resize, as ONNX's reference implementation in Python has it ---- */

typedef struct resize {
    const itc_node *n;
    bool old; /**< before opset 11 */
    double scale;
    int64_t in, out;
    double from, to;
} resize;

static const char *text(const resize *s, const char *name, const char *otherwise)
{
    const itc_attr *a = itc_attr_find(s->n, name);
    return a ? a->u.s : otherwise;
}

static double place_of(const resize *s, int64_t j)
{
    const char *mode =
        s->old ? "asymmetric" : text(s, "coordinate_transformation_mode", "half_pixel");
    const double x = (double)j, in = (double)s->in, width = s->scale * in;
    const bool one = s->out == 1;
    if (strcmp(mode, "asymmetric") == 0) {
        return x / s->scale;
    }
    if (strcmp(mode, "align_corners") == 0) {
        return one ? 0 : x * (in - 1) / (width - 1);
    }
    if (strcmp(mode, "tf_half_pixel_for_nn") == 0) {
        return (x + 0.5) / s->scale;
    }
    if (strcmp(mode, "tf_crop_and_resize") == 0) {
        return one ? (s->from + s->to) * (in - 1) / 2
                   : s->from * (in - 1) + x * (s->to - s->from) * (in - 1) / (width - 1);
    }
    const double half = (x + 0.5) / s->scale - 0.5;
    if (strcmp(mode, "half_pixel_symmetric") == 0) {
        const double center = in / 2, adjustment = (double)s->out / width;
        return center * (1 - adjustment) + half;
    }
    return strcmp(mode, "pytorch_half_pixel") == 0 && one ? -0.5 : half;
}

static double weight(const resize *s, double distance)
{
    const double a = attr_float(s->n, "cubic_coeff_a", -0.75), x = fabs(distance);
    if (strcmp(text(s, "mode", "nearest"), "linear") == 0) {
        return x < 1 ? 1 - x : 0;
    }
    return x <= 1  ? (a + 2) * x * x * x - (a + 3) * x * x + 1
           : x < 2 ? a * x * x * x - 5 * a * x * x + 8 * a * x - 4 * a
                   : 0;
}

/** Adds to w[k] what element k of x gives to element j of y. */
static void weights(const resize *s, int64_t j, double *w)
{
    const double x = place_of(s, j), last = (double)(s->in - 1);
    if (strcmp(text(s, "coordinate_transformation_mode", ""), "tf_crop_and_resize") == 0 &&
        (x < 0 || x > last)) {
        return;
    }
    if (strcmp(text(s, "mode", "nearest"), "nearest") == 0) {
        const char *how = s->old ? "floor" : text(s, "nearest_mode", "round_prefer_floor");
        const double k = strcmp(how, "floor") == 0               ? floor(x)
                         : strcmp(how, "ceil") == 0              ? ceil(x)
                         : strcmp(how, "round_prefer_ceil") == 0 ? floor(x + 0.5)
                                                                 : ceil(x - 0.5);
        w[(int64_t)fmin(fmax(k, 0), last)] += 1;
        return;
    }
    const double narrow = attr_int(s->n, "antialias", 0) ? fmin(s->scale, 1) : 1;
    double sum = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t k = (int64_t)floor(x) - 80; k <= (int64_t)ceil(x) + 80; k++) {
            const bool outside = k < 0 || k >= s->in;
            const double c = weight(s, ((double)k - x) * narrow);
            if (outside && attr_int(s->n, "exclude_outside", 0)) {
                continue;
            }
            sum += pass == 0 ? c : 0;
            if (pass == 1) {
                w[(int64_t)fmin(fmax((double)k, 0), last)] += c / sum;
            }
        }
    }
}

/** One axis after another. */
static void eval_resize(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *x = in(r, n, 0);
    const bool old = strcmp(n->op->name, "Upsample") == 0 || r->g->opset < 11;
    const ref_tensor *scales = in(r, n, old ? 1 : 2), *sizes = old ? NULL : in(r, n, 3);
    const ref_tensor *roi = old ? NULL : in(r, n, 1);
    const itc_attr *list = itc_attr_find(n, "scales");
    ref_tensor from = *x;
    from.x = malloc(sizeof(double) * (size_t)x->count);
    memcpy(from.x, x->x, sizeof(double) * (size_t)x->count);
    for (int a = 0; a < x->rank; a++) {
        resize s = {.n = n, .old = old, .in = x->dim[a], .to = 1};
        const bool by_size = sizes && sizes->count > 0;
        s.scale = by_size ? sizes->x[a] / (double)s.in : list ? list->u.floats[a] : scales->x[a];
        s.out = by_size ? (int64_t)sizes->x[a] : (int64_t)floor(s.scale * (double)s.in);
        s.from = roi && roi->count > 0 ? roi->x[a] : 0;
        s.to = roi && roi->count > 0 ? roi->x[x->rank + a] : 1;
        int64_t dim[ITC_MAX_RANK], k = 0;
        memcpy(dim, from.dim, sizeof dim);
        dim[a] = s.out;
        reset(r, y, x->rank, dim);
        const int64_t inner = product(&from, a + 1, x->rank);
        double *w = malloc(sizeof *w * (size_t)s.in);
        for (int64_t i = 0; i < y->count; i++, k++) {
            const double *line = from.x + i / inner / s.out * s.in * inner + i % inner;
            memset(w, 0, sizeof *w * (size_t)s.in);
            weights(&s, i / inner % s.out, w);
            for (int64_t e = 0; e < s.in; e++) {
                y->x[i] += w[e] * line[e * inner];
            }
        }
        free(w);
        free(from.x);
        from = *y;
        from.x = malloc(sizeof(double) * (size_t)y->count);
        memcpy(from.x, y->x, sizeof(double) * (size_t)y->count);
    }
    free(from.x);
}

const ref_operator ref_moves[] = {
    {"Slice", eval_slice},         {"Split", eval_split},
    {"Expand", eval_repeat},       {"Tile", eval_repeat},
    {"DepthToSpace", eval_blocks}, {"SpaceToDepth", eval_blocks},
    {"Concat", eval_concat},       {"Pad", eval_pad},
    {"Gather", eval_gather},       {"Resize", eval_resize},
    {"Upsample", eval_resize},     {NULL, NULL},
};
