#include "ir/ops/window.h"

#include <string.h>

#include "codegen/emit.h"
#include "ir/ops/util.h"

/* Kernel arguments are int32, and extents this large are a mistake anyway. */
#define MAX_EXTENT ((int64_t)1 << 30)
/* Windows along an axis that itc_window_count walks through. */
#define MAX_WALK ((int64_t)1 << 24)

itc_status itc_window_operand(itc_graph *g, const itc_node *n, int i)
{
    const itc_type *t = &n->in[i]->type;
    ITC_TRY(itc_operand_rank(g, n, i, 3, ITC_MAX_RANK));
    if (t->rank > 4) {
        return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0201",
                         "%s over %d spatial axes is not supported (1 and 2 are)", n->op->name,
                         t->rank - 2);
    }
    for (int axis = 1; axis < t->rank; axis++) {
        if (t->dim[axis].batch) {
            return itc_error(g->ctx, n, ITC_SHAPE, "E0224",
                             "the rows N are axis %d of %s, expected axis 0", axis,
                             itc_type_text(g->ctx, t));
        }
    }
    return ITC_OK;
}

/** Attribute `name` into v[count], each in lo..MAX_EXTENT; `otherwise` where it is absent. */
static itc_status read_list(itc_graph *g, const itc_node *n, const char *name, int count,
                            int64_t lo, int64_t otherwise, int64_t *v)
{
    const int64_t *given = NULL;
    const int n_given = itc_ints(n, name, &given);
    if (n_given != 0 && n_given != count) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0221", "%s has %d values, expected %d", name,
                         n_given, count);
    }
    for (int i = 0; i < count; i++) {
        v[i] = n_given > 0 ? given[i] : otherwise;
        if (v[i] < lo || v[i] > MAX_EXTENT) {
            return itc_error(g->ctx, n, ITC_RANGE, "E0221", "%s is %lld, expected at least %lld",
                             name, (long long)v[i], (long long)lo);
        }
    }
    return ITC_OK;
}

/** ONNX: SAME gives ceil(in / stride) windows; an odd element of padding goes to the end with
 * SAME_UPPER, to the beginning with SAME_LOWER. */
static void same_pads(int64_t in, int64_t kernel, int64_t stride, int64_t dilation, bool lower,
                      int64_t *begin, int64_t *end)
{
    const int64_t windows = (in + stride - 1) / stride;
    int64_t total = (windows - 1) * stride + (kernel - 1) * dilation + 1 - in;
    total = total > 0 ? total : 0;
    *begin = lower ? total - total / 2 : total / 2;
    *end = total - *begin;
}

static itc_status resolve_pads(itc_graph *g, itc_node *n, int spatial, const itc_dim *in,
                               const int64_t *kernel, const int64_t *stride,
                               const int64_t *dilation, int64_t *pads)
{
    const char *mode = itc_string(n, "auto_pad");
    const bool upper = strcmp(mode, "SAME_UPPER") == 0, lower = strcmp(mode, "SAME_LOWER") == 0;
    if (upper || lower) {
        for (int i = 0; i < spatial; i++) {
            same_pads(in[i].size, kernel[i], stride[i], dilation[i], lower, &pads[i],
                      &pads[spatial + i]);
        }
        if (itc_attr_find(n, "ceil_mode")) {
            itc_set_int(g, n, "ceil_mode", 0);
        }
    } else if (strcmp(mode, "VALID") == 0) {
        memset(pads, 0, sizeof *pads * 2 * (size_t)spatial);
    } else if (strcmp(mode, "NOTSET") == 0 || mode[0] == '\0') {
        return read_list(g, n, "pads", 2 * spatial, 0, 0, pads);
    } else {
        return itc_error(g->ctx, n, ITC_RANGE, "E0221",
                         "auto_pad is \"%s\", expected NOTSET, SAME_UPPER, SAME_LOWER or VALID",
                         mode);
    }
    itc_set_string(g, n, "auto_pad", "NOTSET");
    return ITC_OK;
}

itc_status itc_window_normalize(itc_graph *g, itc_node *n, int spatial, const itc_dim *in,
                                const itc_dim *kernel)
{
    int64_t k[3], stride[3], dilation[3], pads[6];
    ITC_TRY(read_list(g, n, "kernel_shape", spatial, 1, kernel ? 1 : 0, k));
    for (int i = 0; kernel && i < spatial; i++) {
        if (itc_attr_find(n, "kernel_shape") && k[i] != kernel[i].size) {
            return itc_error(g->ctx, n, ITC_SHAPE, "E0220",
                             "kernel_shape is %lld on axis %d, the filter has %lld",
                             (long long)k[i], i, (long long)kernel[i].size);
        }
        k[i] = kernel[i].size;
    }
    ITC_TRY(read_list(g, n, "strides", spatial, 1, 1, stride));
    ITC_TRY(read_list(g, n, "dilations", spatial, 1, 1, dilation));
    for (int i = 0; i < spatial; i++) {
        if (in[i].size > MAX_EXTENT || k[i] > MAX_EXTENT) {
            return itc_error(g->ctx, n, ITC_RANGE, "E0226", "spatial extent %lld is too large",
                             (long long)(in[i].size > k[i] ? in[i].size : k[i]));
        }
    }
    ITC_TRY(resolve_pads(g, n, spatial, in, k, stride, dilation, pads));
    itc_set_ints(g, n, "kernel_shape", spatial, k);
    itc_set_ints(g, n, "strides", spatial, stride);
    itc_set_ints(g, n, "dilations", spatial, dilation);
    itc_set_ints(g, n, "pads", 2 * spatial, pads);
    return ITC_OK;
}

static itc_status count_windows(itc_graph *g, const itc_node *n, itc_window *w, int i)
{
    const int64_t reach = (w->kernel[i] - 1) * w->dilation[i] + 1;
    const int64_t room = w->in[i] + w->begin[i] + w->end[i] - reach;
    if (w->in[i] < 1 || w->in[i] > MAX_EXTENT || room < 0) {
        return itc_error(g->ctx, n, ITC_SHAPE, "E0226",
                         "a window of extent %lld does not fit %lld elements with padding %lld, "
                         "%lld",
                         (long long)reach, (long long)w->in[i], (long long)w->begin[i],
                         (long long)w->end[i]);
    }
    w->out[i] = room / w->stride[i] + 1;
    if (itc_int(n, "ceil_mode") != 0) {
        w->out[i] = (room + w->stride[i] - 1) / w->stride[i] + 1;
        /* As in PyTorch and ONNX: a window that begins in the padding at the end is none. */
        if ((w->out[i] - 1) * w->stride[i] >= w->in[i] + w->begin[i]) {
            w->out[i]--;
        }
    }
    return ITC_OK;
}

itc_status itc_window_get(itc_graph *g, const itc_node *n, int spatial, const int64_t *in,
                          itc_window *w)
{
    const int at = 2 - spatial;
    int64_t pads[4];
    *w = (itc_window){.spatial = spatial,
                      .in = {1, 1},
                      .out = {1, 1},
                      .kernel = {1, 1},
                      .stride = {1, 1},
                      .dilation = {1, 1}};
    ITC_TRY(read_list(g, n, "kernel_shape", spatial, 1, 0, w->kernel + at));
    ITC_TRY(read_list(g, n, "strides", spatial, 1, 1, w->stride + at));
    ITC_TRY(read_list(g, n, "dilations", spatial, 1, 1, w->dilation + at));
    ITC_TRY(read_list(g, n, "pads", 2 * spatial, 0, 0, pads));
    for (int i = 0; i < spatial; i++) {
        w->in[at + i] = in[i];
        w->begin[at + i] = pads[i];
        w->end[at + i] = pads[spatial + i];
        ITC_TRY(count_windows(g, n, w, at + i));
    }
    return ITC_OK;
}

itc_status itc_window_of(itc_graph *g, const itc_node *n, int i, itc_window *w)
{
    const itc_type *t = &n->in[i]->type;
    ITC_TRY(itc_window_operand(g, n, i));
    int64_t in[2];
    for (int k = 2; k < t->rank; k++) {
        in[k - 2] = t->dim[k].size;
    }
    return itc_window_get(g, n, t->rank - 2, in, w);
}

itc_status itc_window_of_grad(itc_graph *g, const itc_node *n, itc_window *w)
{
    const int64_t *in = NULL;
    const int spatial = itc_ints(n, "input_shape", &in);
    if (spatial < 1 || spatial > 2) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0221",
                         "input_shape has %d values, expected 1 "
                         "or 2",
                         spatial);
    }
    return itc_window_get(g, n, spatial, in, w);
}

/** Elements k of 0..kernel-1 whose place start + k * dilation lies in lo..hi-1. */
static int64_t inside(int64_t start, int64_t kernel, int64_t dilation, int64_t lo, int64_t hi)
{
    const int64_t first = start >= lo ? 0 : (lo - start + dilation - 1) / dilation;
    const int64_t beyond = start >= hi ? 0 : (hi - start + dilation - 1) / dilation;
    const int64_t last = beyond < kernel ? beyond : kernel;
    return last > first ? last - first : 0;
}

static int64_t gcd(int64_t a, int64_t b)
{
    while (b != 0) {
        const int64_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

itc_status itc_window_count(itc_graph *g, const itc_node *n, const itc_window *w, int axis,
                            bool include_pad, itc_window_counts *out)
{
    const int64_t lo = include_pad ? -w->begin[axis] : 0;
    const int64_t hi = w->in[axis] + (include_pad ? w->end[axis] : 0);
    if (w->out[axis] > MAX_WALK) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0226", "%lld windows are too many",
                         (long long)w->out[axis]);
    }
    *out = (itc_window_counts){.min = w->kernel[axis], .max = 0};
    for (int64_t i = 0; i < w->out[axis]; i++) {
        const int64_t start = i * w->stride[axis] - w->begin[axis];
        const int64_t count = inside(start, w->kernel[axis], w->dilation[axis], lo, hi);
        if (inside(start, w->kernel[axis], w->dilation[axis], 0, w->in[axis]) == 0) {
            return itc_error(g->ctx, n, ITC_SHAPE, "E0226",
                             "window %lld lies in the padding altogether", (long long)i);
        }
        out->min = count < out->min ? count : out->min;
        out->max = count > out->max ? count : out->max;
    }
    /* Elements k of a window that share a place modulo the stride recur with this period. */
    const int64_t period = w->stride[axis] / gcd(w->stride[axis], w->dilation[axis]);
    out->cover = (w->kernel[axis] + period - 1) / period;
    out->cover = out->cover < w->out[axis] ? out->cover : w->out[axis];
    return ITC_OK;
}

itc_type itc_window_type(const itc_window *w, itc_dtype t, itc_dim d0, itc_dim d1,
                         const int64_t *extents)
{
    itc_type type = itc_type_make(t, 2, (const itc_dim[]){d0, d1});
    type.rank = (uint8_t)(2 + w->spatial);
    for (int i = 0; i < w->spatial; i++) {
        type.dim[2 + i] = (itc_dim){extents[2 - w->spatial + i], false};
    }
    return type;
}

void itc_window_copy(itc_graph *g, itc_node *to, const itc_node *from, int i)
{
    static const char *const names[] = {"dilations", "kernel_shape", "pads", "strides"};
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
        itc_attr_copy(g, to, from, names[k]);
    }
    const itc_type *t = &from->in[i]->type;
    int64_t in[ITC_MAX_RANK] = {0};
    for (int k = 2; k < t->rank; k++) {
        in[k - 2] = t->dim[k].size;
    }
    itc_set_ints(g, to, "input_shape", t->rank - 2, in);
}

void itc_window_emit(itc_emit *e, const itc_window *w)
{
    itc_arg_dim(e, "h", itc_dim_of(w->in[0]));
    itc_arg_dim(e, "w", itc_dim_of(w->in[1]));
    itc_arg_dim(e, "oh", itc_dim_of(w->out[0]));
    itc_arg_dim(e, "ow", itc_dim_of(w->out[1]));
    itc_arg_int(e, "stride_h", w->stride[0]);
    itc_arg_int(e, "stride_w", w->stride[1]);
    itc_arg_int(e, "dilation_h", w->dilation[0]);
    itc_arg_int(e, "dilation_w", w->dilation[1]);
    itc_arg_int(e, "pad_top", w->begin[0]);
    itc_arg_int(e, "pad_left", w->begin[1]);
}
