/*
 * Images at coordinates, images from columns, and Fourier transforms, element by element from
 * ONNX's definitions.
 */
#include <math.h>

#include "tests/support/ref_util.h"

static const double pi = 3.14159265358979323846;

/* ---- GridSample ---- */

typedef struct image {
    const double *x;
    int axes;
    const int64_t *size;
    bool corners;
    const char *padding;
} image;

/** v reflected at low and high until it lies between them. */
static double reflect(double v, double low, double high)
{
    while (high > low && (v < low || v > high)) {
        v = v < low ? 2 * low - v : 2 * high - v;
    }
    return high > low ? v : low;
}

static double low_of(const image *m)
{
    return m->corners ? 0 : -0.5;
}

static double high_of(const image *m, int axis)
{
    return (double)m->size[axis] - (m->corners ? 1 : 0.5);
}

/** The element at integers, some of which lie outside. */
static double pixel(const image *m, const int64_t *at)
{
    int64_t index = 0;
    for (int i = 0; i < m->axes; i++) {
        int64_t k = at[i];
        const int64_t last = m->size[i] - 1;
        if (strcmp(m->padding, "zeros") == 0 && (k < 0 || k > last)) {
            return 0;
        }
        if (strcmp(m->padding, "reflection") == 0) {
            k = (int64_t)reflect((double)k, low_of(m), high_of(m, i));
        }
        index = index * m->size[i] + (k < 0 ? 0 : k > last ? last : k);
    }
    return m->x[index];
}

/** Keys' kernel of the distance from an element, a = -0.75. */
static double keys(double d)
{
    d = fabs(d);
    return d <= 1  ? (1.25 * d - 2.25) * d * d + 1
           : d < 2 ? ((-0.75 * d + 3.75) * d - 6) * d + 3
                   : 0;
}

static double interpolate(const image *m, char mode, const double *p, int axis, int64_t *at)
{
    if (axis == m->axes) {
        return pixel(m, at);
    }
    double sum = 0;
    const int64_t floor_of = (int64_t)floor(p[axis]);
    const int from = mode == 'c' ? -1 : 0, to = mode == 'n' ? 0 : mode == 'l' ? 1 : 2;
    for (int t = from; t <= to; t++) {
        at[axis] = floor_of + t;
        const double d = p[axis] - (double)at[axis];
        const double w = mode == 'n' ? 1 : mode == 'l' ? 1 - fabs(d) : keys(d);
        sum += w * interpolate(m, mode, p, axis + 1, at);
    }
    return sum;
}

/** An axis's coordinate from the grid's number g. */
static double locate(const image *m, char mode, int axis, double g)
{
    const double n = (double)m->size[axis], low = low_of(m), high = high_of(m, axis);
    double p = m->corners ? (g + 1) / 2 * (n - 1) : ((g + 1) * n - 1) / 2;
    p = mode == 'n' ? nearbyint(p) : p;
    if (p >= low && p <= high) {
        return p;
    }
    return strcmp(m->padding, "border") == 0       ? fmin(fmax(p, 0), n - 1)
           : strcmp(m->padding, "reflection") == 0 ? reflect(p, low, high)
                                                   : p;
}

static void eval_grid_sample(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *x = in(r, n, 0), *grid = in(r, n, 1);
    const itc_attr *mode = itc_attr_find(n, "mode"), *pads = itc_attr_find(n, "padding_mode");
    const char *name = mode ? mode->u.s : "linear";
    const char kind = strstr(name, "cubic") ? 'c' : strstr(name, "linear") ? 'l' : 'n';
    const int axes = x->rank - 2;
    int64_t dim[ITC_MAX_RANK] = {x->dim[0], x->dim[1]}, at[3], k = 0;
    memcpy(dim + 2, grid->dim + 1, sizeof *dim * (size_t)axes);
    reset(r, y, x->rank, dim);
    const int64_t points = product(grid, 1, axes + 1), area = product(x, 2, x->rank);
    for (int64_t i = 0; i < dim[0] * dim[1]; i++) {
        const image m = {x->x + i * area, axes, x->dim + 2, attr_int(n, "align_corners", 0) != 0,
                         pads ? pads->u.s : "zeros"};
        for (int64_t j = 0; j < points; j++) {
            const double *g = grid->x + (i / dim[1] * points + j) * axes;
            double p[3];
            for (int a = 0; a < axes; a++) {
                p[a] = locate(&m, kind, a, g[axes - 1 - a]);
            }
            y->x[k++] = interpolate(&m, kind, p, 0, at);
        }
    }
}

/* ---- DeformConv ---- */

/** x [H, W] at (p, q), linearly, zeros around it. */
static double bilinear(const double *x, const int64_t *size, double p, double q)
{
    const image m = {x, 2, size, true, "zeros"};
    int64_t at[2];
    return interpolate(&m, 'l', (const double[]){p, q}, 0, at);
}

static void eval_deform_conv(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *x = in(r, n, 0), *f = in(r, n, 1), *offset = in(r, n, 2), *bias = in(r, n, 3),
                     *mask = in(r, n, 4);
    const int64_t kh = f->dim[2], kw = f->dim[3], taps = kh * kw, own = f->dim[1],
                  groups = attr_int(n, "group", 1), parts = attr_int(n, "offset_group", 1),
                  area = offset->dim[2] * offset->dim[3], plane = x->dim[2] * x->dim[3];
    int64_t stride[2], dilation[2], pads[4], o[4] = {0}, k = 0;
    attr_list(n, "strides", 2, 1, stride);
    attr_list(n, "dilations", 2, 1, dilation);
    attr_list(n, "pads", 4, 0, pads);
    reset(r, y, 4, (const int64_t[]){x->dim[0], f->dim[0], offset->dim[2], offset->dim[3]});
    do {
        double sum = bias ? bias->x[o[1]] : 0;
        for (int64_t i = 0; i < own * taps; i++) {
            const int64_t c = o[1] / (f->dim[0] / groups) * own + i / taps, t = i % taps;
            const int64_t part = c / (x->dim[1] / parts), pixel_of = o[2] * offset->dim[3] + o[3];
            const int64_t at = (o[0] * parts + part) * taps + t;
            const double p = (double)(o[2] * stride[0] - pads[0] + t / kw * dilation[0]) +
                             offset->x[2 * at * area + pixel_of];
            const double q = (double)(o[3] * stride[1] - pads[1] + t % kw * dilation[1]) +
                             offset->x[(2 * at + 1) * area + pixel_of];
            sum += f->x[o[1] * own * taps + i] * (mask ? mask->x[at * area + pixel_of] : 1) *
                   bilinear(x->x + (o[0] * x->dim[1] + c) * plane, x->dim + 2, p, q);
        }
        y->x[k++] = sum;
    } while (next_index(4, y->dim, o));
}

/* ---- AffineGrid ---- */

static void eval_affine_grid(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *theta = in(r, n, 0), *size = in(r, n, 1);
    const int axes = (int)theta->dim[1];
    const bool corners = attr_int(n, "align_corners", 0) != 0;
    int64_t dim[ITC_MAX_RANK] = {theta->dim[0]}, index[ITC_MAX_RANK] = {0}, k = 0;
    for (int i = 0; i < axes; i++) {
        dim[1 + i] = (int64_t)size->x[2 + i];
    }
    dim[1 + axes] = axes;
    reset(r, y, axes + 2, dim);
    do {
        const double *row = theta->x + (index[0] * axes + index[1 + axes]) * (axes + 1);
        double sum = row[axes];
        for (int i = 0; i < axes; i++) { /* x belongs to the last axis */
            const double at = (double)index[axes - i], extent = (double)dim[axes - i];
            sum += row[i] * (corners ? -1 + 2 * at / (extent - 1) : -1 + (2 * at + 1) / extent);
        }
        y->x[k++] = sum;
    } while (next_index(axes + 2, dim, index));
}

/* ---- CenterCropPad, Col2Im ---- */

static void eval_crop(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *x = in(r, n, 0), *shape = in(r, n, 1);
    const itc_attr *axes = itc_attr_find(n, "axes");
    int64_t dim[ITC_MAX_RANK], index[ITC_MAX_RANK] = {0}, k = 0;
    memcpy(dim, x->dim, sizeof dim);
    for (int64_t i = 0; i < shape->count; i++) {
        dim[axes ? axis_of(axes->u.ints[i], x->rank) : i] = (int64_t)shape->x[i];
    }
    reset(r, y, x->rank, dim);
    do {
        int64_t from = 0;
        bool inside = true;
        for (int i = 0; i < x->rank; i++) {
            const int64_t cut = x->dim[i] > dim[i] ? (x->dim[i] - dim[i]) / 2 : 0;
            const int64_t add = dim[i] > x->dim[i] ? (dim[i] - x->dim[i]) / 2 : 0;
            const int64_t at = index[i] + cut - add;
            inside = inside && at >= 0 && at < x->dim[i];
            from = from * x->dim[i] + at;
        }
        y->x[k++] = inside ? x->x[from] : 0;
    } while (next_index(x->rank, dim, index));
}

/** Of images of two axes. */
static void eval_columns(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *x = in(r, n, 0), *picture = in(r, n, 1), *block = in(r, n, 2);
    const int64_t h = (int64_t)picture->x[0], w = (int64_t)picture->x[1], kh = (int64_t)block->x[0],
                  kw = (int64_t)block->x[1], maps = x->dim[1] / (kh * kw);
    int64_t stride[2], dilation[2], pads[4];
    attr_list(n, "strides", 2, 1, stride);
    attr_list(n, "dilations", 2, 1, dilation);
    attr_list(n, "pads", 4, 0, pads);
    const int64_t across = (w + pads[1] + pads[3] - (kw - 1) * dilation[1] - 1) / stride[1] + 1;
    reset(r, y, 4, (const int64_t[]){x->dim[0], maps, h, w});
    for (int64_t i = 0; i < x->count; i++) {
        const int64_t l = i % x->dim[2], c = i / x->dim[2] % x->dim[1],
                      row = i / x->dim[2] / x->dim[1];
        const int64_t v = l / across * stride[0] + c / kw % kh * dilation[0] - pads[0];
        const int64_t u = l % across * stride[1] + c % kw * dilation[1] - pads[1];
        if (v >= 0 && v < h && u >= 0 && u < w) {
            y->x[((row * maps + c / (kh * kw)) * h + v) * w + u] += x->x[i];
        }
    }
}

/* ---- transforms ---- */

/** Y_k, real or imaginary, of elements that stand `step` apart; complex ones have parts = 2. */
static double fourier(const double *x, int64_t count, int64_t step, int64_t parts, int64_t size,
                      int64_t k, bool imaginary, double sign)
{
    double sum = 0;
    for (int64_t i = 0; i < count && i < size; i++) {
        const double t = sign * 2 * pi * (double)(i * k) / (double)size;
        const double re = x[i * step], im = parts == 2 ? x[i * step + 1] : 0;
        sum += imaginary ? re * sin(t) + im * cos(t) : re * cos(t) - im * sin(t);
    }
    return sum;
}

static void eval_dft(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *x = in(r, n, 0), *length = in(r, n, 1), *along = in(r, n, 2);
    const int axis = axis_of(along ? (int64_t)along->x[0] : attr_int(n, "axis", 1), x->rank);
    const int64_t size = length ? (int64_t)length->x[0] : x->dim[axis], parts = x->dim[x->rank - 1],
                  step = product(x, axis + 1, x->rank);
    const bool inverse = attr_int(n, "inverse", 0) != 0;
    int64_t dim[ITC_MAX_RANK], index[ITC_MAX_RANK] = {0}, k = 0;
    memcpy(dim, x->dim, sizeof dim);
    dim[axis] = attr_int(n, "onesided", 0) != 0 ? size / 2 + 1 : size;
    dim[x->rank - 1] = 2;
    reset(r, y, x->rank, dim);
    do {
        int64_t from = 0;
        for (int i = 0; i < x->rank; i++) {
            from = from * x->dim[i] + (i == axis || i == x->rank - 1 ? 0 : index[i]);
        }
        y->x[k++] = fourier(x->x + from, x->dim[axis], step, parts, size, index[axis],
                            index[x->rank - 1] == 1, inverse ? 1 : -1) /
                    (inverse ? (double)size : 1);
    } while (next_index(x->rank, dim, index));
}

static void eval_stft(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *x = in(r, n, 0), *step = in(r, n, 1), *window = in(r, n, 2),
                     *given = in(r, n, 3);
    const int64_t length = given ? (int64_t)given->x[0] : window->count, hop = (int64_t)step->x[0],
                  parts = x->dim[2], frames = (x->dim[1] - length) / hop + 1,
                  results = attr_int(n, "onesided", 1) != 0 ? length / 2 + 1 : length;
    int64_t dim[4] = {x->dim[0], frames, results, 2}, index[4] = {0}, k = 0;
    double frame[256];
    reset(r, y, 4, dim);
    do {
        for (int64_t i = 0; i < length * parts; i++) {
            frame[i] = x->x[(index[0] * x->dim[1] + index[1] * hop) * parts + i] *
                       (window ? window->x[i / parts] : 1);
        }
        y->x[k++] = fourier(frame, length, parts, parts, length, index[2], index[3] == 1, -1);
    } while (next_index(4, dim, index));
}

const ref_operator ref_samples[] = {
    {"GridSample", eval_grid_sample},
    {"DeformConv", eval_deform_conv},
    {"AffineGrid", eval_affine_grid},
    {"CenterCropPad", eval_crop},
    {"Col2Im", eval_columns},
    {"DFT", eval_dft},
    {"STFT", eval_stft},
    {NULL, NULL},
};
