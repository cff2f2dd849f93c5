/*
 * Windows over three spatial axes, as windows over two.
 *
 *     MaxPool, AveragePool   a window of a box is one over height and width, then one over depth:
 *                            largest elements and means of equal windows come in any order
 *     Conv                   the taps along depth become channels: [N, C, D, H, W] is
 *                            [N * depth of y, C * taps, H, W] with the planes that each tap sees
 *
 * So sums stay exact and gradients are those of two axes; a mean is rounded between its two sums.
 * Sources: ONNX Conv-11, MaxPool-12, AveragePool-19; our derivation.
 */
#include <string.h>

#include "codegen/emit.h"
#include "ir/ops/gather.h"
#include "ir/ops/take.h"
#include "ir/ops/util.h"
#include "ir/ops/window.h"

/** Attributes of a node with three spatial axes, all explicit. */
typedef struct volume {
    const int64_t *kernel, *stride, *dilation, *pads;
} volume;

static itc_status volume_of(itc_graph *g, itc_node *n, const itc_dim *kernel, volume *v)
{
    const itc_type *x = &n->in[0]->type;
    for (int axis = 1; axis < x->rank; axis++) {
        if (x->dim[axis].batch) {
            return itc_error(g->ctx, n, ITC_SHAPE, "E0224",
                             "the rows N are axis %d of %s, expected axis 0", axis,
                             itc_type_text(g->ctx, x));
        }
    }
    ITC_TRY(itc_window_normalize(g, n, 3, x->dim + 2, kernel));
    (void)itc_ints(n, "kernel_shape", &v->kernel);
    (void)itc_ints(n, "strides", &v->stride);
    (void)itc_ints(n, "dilations", &v->dilation);
    (void)itc_ints(n, "pads", &v->pads);
    return ITC_OK;
}

/** The same operator over two of the axes; -1 is an axis whose windows are one element. */
static itc_status over(itc_graph *g, itc_node *n, const volume *v, const int axis[2], int n_in,
                       itc_value *const *in, itc_value **out)
{
    static const char *const same[] = {"ceil_mode", "count_include_pad", "group"};
    itc_node *m = itc_node_new(g, n->op, n, n_in, in, 1);
    int64_t kernel[2], stride[2], dilation[2], pads[4];
    m->onnx_version = n->onnx_version;
    for (int i = 0; i < 2; i++) {
        const int a = axis[i];
        kernel[i] = a < 0 ? 1 : v->kernel[a];
        stride[i] = a < 0 ? 1 : v->stride[a];
        dilation[i] = a < 0 ? 1 : v->dilation[a];
        pads[i] = a < 0 ? 0 : v->pads[a];
        pads[2 + i] = a < 0 ? 0 : v->pads[3 + a];
    }
    itc_set_ints(g, m, "kernel_shape", 2, kernel);
    itc_set_ints(g, m, "strides", 2, stride);
    itc_set_ints(g, m, "dilations", 2, dilation);
    itc_set_ints(g, m, "pads", 4, pads);
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        itc_attr_copy(g, m, n, same[i]);
    }
    return itc_apply_node(g, m, out);
}

static itc_status view(itc_graph *g, const itc_node *n, itc_value *x, int rank, const itc_dim *dim,
                       itc_value **out)
{
    const itc_type t = itc_type_make(x->type.dtype, rank, dim);
    return itc_view_build(g, n, x, &t, out);
}

itc_status itc_volume_pool(itc_graph *g, itc_node *n, itc_value **out)
{
    const itc_dim *x = n->in[0]->type.dim;
    volume v;
    itc_value *y = NULL;
    ITC_TRY(volume_of(g, n, NULL, &v));
    itc_graph_count_uses(g);
    if (n->n_out > 1 && n->out[1] && n->out[1]->n_uses > 0) {
        return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0201",
                         "output Indices of MaxPool over 3 spatial axes is not supported");
    }
    const itc_dim channels = x[1], depth = x[2];
    ITC_TRY(view(g, n, n->in[0], 4,
                 (const itc_dim[]){x[0], itc_dim_mul(channels, depth), x[3], x[4]}, &y));
    ITC_TRY(over(g, n, &v, (const int[]){1, 2}, 1, &y, &y));
    const itc_dim h = y->type.dim[2], w = y->type.dim[3];
    ITC_TRY(view(g, n, y, 4, (const itc_dim[]){y->type.dim[0], channels, depth, itc_dim_mul(h, w)},
                 &y));
    ITC_TRY(over(g, n, &v, (const int[]){0, -1}, 1, &y, &y));
    return view(g, n, y, 5, (const itc_dim[]){y->type.dim[0], channels, y->type.dim[2], h, w}, out);
}

static itc_status transpose(itc_graph *g, const itc_node *n, itc_value *x, int rank,
                            const int64_t *perm, itc_value **out)
{
    itc_node *m = itc_node_new(g, &itc_op_Transpose, n, 1, &x, 1);
    itc_set_ints(g, m, "perm", rank, perm);
    return itc_apply_node(g, m, out);
}

/** [N, C, D, H, W] as the planes that each window along depth sees: [N, C, windows * taps, H, W].
 */
static itc_status planes(itc_graph *g, const itc_node *n, const volume *v, int64_t *windows,
                         itc_value **x)
{
    itc_type padded = (*x)->type;
    itc_box b = itc_box_whole(&padded);
    const int64_t taps = v->kernel[0], seen = (taps - 1) * v->dilation[0] + 1;
    padded.dim[2].size += v->pads[0] + v->pads[3];
    b.start[2] = v->pads[0];
    const int64_t left = padded.dim[2].size - seen;
    if (left < 0) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0226", "a window of %lld along depth %lld",
                         (long long)seen, (long long)padded.dim[2].size);
    }
    *windows = left / v->stride[0] + 1;
    int64_t *index = ITC_NEW_ARRAY(g->ctx, int64_t, *windows * taps);
    for (int64_t i = 0; i < *windows * taps; i++) {
        index[i] = i / taps * v->stride[0] + i % taps * v->dilation[0];
    }
    ITC_TRY(itc_put_build(g, n, *x, &b, &padded, x));
    return itc_gather_build(g, n, *x, 2, *windows * taps, index, x);
}

itc_status itc_volume_conv(itc_graph *g, itc_node *n, itc_value **out)
{
    const itc_dim *f = n->in[1]->type.dim, *d = n->in[0]->type.dim;
    itc_value *x = n->in[0], *in[3] = {NULL, NULL, n->n_in > 2 ? n->in[2] : NULL}, *y = NULL;
    volume v;
    int64_t windows = 0;
    ITC_TRY(volume_of(g, n, f + 2, &v));
    ITC_TRY(planes(g, n, &v, &windows, &x));
    const itc_dim w = itc_dim_of(windows), c = itc_dim_mul(d[1], f[2]);
    ITC_TRY(view(g, n, x, 6, (const itc_dim[]){d[0], d[1], w, f[2], d[3], d[4]}, &x));
    ITC_TRY(transpose(g, n, x, 6, (const int64_t[]){0, 2, 1, 3, 4, 5}, &x));
    ITC_TRY(view(g, n, x, 4, (const itc_dim[]){itc_dim_mul(d[0], w), c, d[3], d[4]}, &in[0]));
    ITC_TRY(view(g, n, n->in[1], 4, (const itc_dim[]){f[0], itc_dim_mul(f[1], f[2]), f[3], f[4]},
                 &in[1]));
    ITC_TRY(over(g, n, &v, (const int[]){1, 2}, in[2] ? 3 : 2, in, &y));
    const itc_dim oh = y->type.dim[2], ow = y->type.dim[3];
    ITC_TRY(view(g, n, y, 5, (const itc_dim[]){d[0], w, f[0], oh, ow}, &y));
    return transpose(g, n, y, 5, (const int64_t[]){0, 2, 1, 3, 4}, out);
}
