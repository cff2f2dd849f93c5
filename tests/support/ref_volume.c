/*
 * Windows over three spatial axes, element by element.
 */
#include <math.h>

#include "tests/support/ref_util.h"

typedef struct window3 {
    int64_t kernel[3], stride[3], dilation[3], pads[6];
} window3;

static window3 read_window(const itc_node *n, const int64_t *kernel)
{
    window3 w;
    if (kernel) {
        memcpy(w.kernel, kernel, sizeof w.kernel);
    } else {
        attr_list(n, "kernel_shape", 3, 1, w.kernel);
    }
    attr_list(n, "strides", 3, 1, w.stride);
    attr_list(n, "dilations", 3, 1, w.dilation);
    attr_list(n, "pads", 6, 0, w.pads);
    return w;
}

/** The element of x [D, H, W] that tap k of window o sees; false: padding. */
static bool seen(const window3 *w, const int64_t *in, const int64_t *o, const int64_t *k,
                 int64_t *at)
{
    *at = 0;
    for (int i = 0; i < 3; i++) {
        const int64_t p = o[i] * w->stride[i] - w->pads[i] + k[i] * w->dilation[i];
        if (p < 0 || p >= in[i]) {
            return false;
        }
        *at = *at * in[i] + p;
    }
    return true;
}

void ref_eval_volume(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *x = in(r, n, 0), *bias = in(r, n, 2);
    const bool conv = strcmp(n->op->name, "Conv") == 0, max = strcmp(n->op->name, "MaxPool") == 0;
    const bool norm = strcmp(n->op->name, "LpPool") == 0;
    const double p = (double)attr_int(n, "p", 2);
    const ref_tensor *f = conv ? in(r, n, 1) : NULL;
    const window3 w = read_window(n, conv ? f->dim + 2 : NULL);
    const int64_t own = conv ? f->dim[1] : 1, groups = conv ? attr_int(n, "group", 1) : 0;
    const int64_t taps = w.kernel[0] * w.kernel[1] * w.kernel[2], plane = product(x, 2, 5);
    int64_t dim[5] = {x->dim[0], conv ? f->dim[0] : x->dim[1]}, o[5] = {0}, i = 0;
    for (int a = 0; a < 3; a++) {
        const int64_t all = x->dim[2 + a] + w.pads[a] + w.pads[3 + a];
        dim[2 + a] = (all - (w.kernel[a] - 1) * w.dilation[a] - 1) / w.stride[a] + 1;
    }
    reset(r, y, 5, dim);
    do {
        double sum = conv && bias ? bias->x[o[1]] : max ? -INFINITY : 0, count = 0;
        for (int64_t c = 0; c < own; c++) {
            const int64_t first = conv ? o[1] / (dim[1] / groups) * own : o[1];
            const double *from = x->x + (o[0] * x->dim[1] + first + c) * plane;
            int64_t k[3] = {0}, at, t = 0;
            do {
                const bool is = seen(&w, x->dim + 2, o + 2, k, &at);
                const double v = !is ? 0 : norm ? pow(fabs(from[at]), p) : from[at];
                sum = conv  ? sum + v * f->x[(o[1] * own + c) * taps + t]
                      : max ? (is && v > sum ? v : sum)
                            : sum + v;
                count += is || attr_int(n, "count_include_pad", 0);
                t++;
            } while (next_index(3, w.kernel, k));
        }
        y->x[i++] = norm ? pow(sum, 1 / p) : conv || max ? sum : sum / count;
    } while (next_index(5, dim, o));
}

void ref_eval_spread(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *x = in(r, n, 0), *f = in(r, n, 1), *bias = in(r, n, 2);
    const window3 w = read_window(n, f->dim + 2);
    const int64_t groups = attr_int(n, "group", 1), own = x->dim[1] / groups, m = f->dim[1];
    int64_t dim[5] = {x->dim[0], m * groups}, extra[3], i[5] = {0}, at = 0;
    attr_list(n, "output_padding", 3, 0, extra);
    for (int a = 0; a < 3; a++) {
        dim[2 + a] = (x->dim[2 + a] - 1) * w.stride[a] + (w.kernel[a] - 1) * w.dilation[a] + 1 +
                     extra[a] - w.pads[a] - w.pads[3 + a];
    }
    reset(r, y, 5, dim);
    const int64_t plane = product(y, 2, 5), taps = product(f, 2, 5);
    for (int64_t j = 0; bias && j < y->count; j++) {
        y->x[j] = bias->x[j / plane % dim[1]];
    }
    do { /* each element of x goes where it is seen */
        const double v = x->x[at++];
        int64_t k[3] = {0}, t = 0;
        do {
            int64_t to = 0;
            bool inside = true;
            for (int a = 0; a < 3; a++) {
                const int64_t p = i[2 + a] * w.stride[a] + k[a] * w.dilation[a] - w.pads[a];
                inside = inside && p >= 0 && p < dim[2 + a];
                to = to * dim[2 + a] + p;
            }
            for (int64_t c = 0; inside && c < m; c++) {
                y->x[(i[0] * dim[1] + i[1] / own * m + c) * plane + to] +=
                    v * f->x[(i[1] * m + c) * taps + t];
            }
            t++;
        } while (next_index(3, w.kernel, k));
    } while (next_index(5, x->dim, i));
}
