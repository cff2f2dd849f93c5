/*
 * ConvTranspose: the gradient of a convolution by its input, taken forward.
 *
 *     y[n,m,o] = sum over c, k of x[n,c,i] * f[c,m,k] where i * stride + k * dilation - pad = o
 *
 * Our form is ConvGradInput (conv.c) with y's extents as input_shape; a bias is a Combine. Of three
 * axes the taps along depth become channels, as those of Conv do (window_volume.c): with zeros
 * between the planes of x, as many as the stride asks for, each plane of y sees the planes of all
 * taps, and is a transposed convolution over two axes of them. So its sums are exact. Source: ONNX
 * ConvTranspose-11, -22.
 */
#include <string.h>

#include "codegen/emit.h"
#include "ir/ops/gather.h"
#include "ir/ops/take.h"
#include "ir/ops/util.h"
#include "ir/ops/window.h"

#define MAX_EXTENT ((int64_t)1 << 30)

/** One axis: what the attributes say, and what follows. */
typedef struct axis {
    int64_t in, kernel, stride, dilation, extra; /**< extra: output_padding */
    int64_t begin, end;                          /**< pads that are taken away */
    int64_t out;
} axis;

static int64_t reach(const axis *a)
{
    return (a->in - 1) * a->stride + (a->kernel - 1) * a->dilation + 1 + a->extra;
}

/** Value i of a list attribute; `otherwise` where it is absent. E0221 outside lo..MAX_EXTENT. */
static itc_status read_value(itc_graph *g, const itc_node *n, const char *name, int count, int i,
                             int64_t lo, int64_t otherwise, int64_t *v)
{
    const int64_t *given = NULL;
    const int size = itc_ints(n, name, &given);
    if (size != 0 && size != count) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0221", "%s has %d values, expected %d", name, size,
                         count);
    }
    *v = size > 0 ? given[i] : otherwise;
    if (*v < lo || *v > MAX_EXTENT) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0221", "%s is %lld, expected at least %lld", name,
                         (long long)*v, (long long)lo);
    }
    return ITC_OK;
}

/**
 * ONNX: the output's extent follows from the pads, or (output_shape, auto_pad) the pads from that:
 * an odd one to the end with SAME_UPPER, to the beginning otherwise.
 */
static itc_status place_axis(itc_graph *g, const itc_node *n, int spatial, int i, axis *a)
{
    const char *mode = itc_string(n, "auto_pad");
    const bool upper = strcmp(mode, "SAME_UPPER") == 0, same = strncmp(mode, "SAME_", 5) == 0;
    const bool valid = strcmp(mode, "VALID") == 0;
    int64_t want = 0;
    if (!same && !valid && strcmp(mode, "NOTSET") != 0 && mode[0] != '\0') {
        return itc_error(g->ctx, n, ITC_RANGE, "E0221",
                         "auto_pad is \"%s\", expected NOTSET, SAME_UPPER, SAME_LOWER or VALID",
                         mode);
    }
    ITC_TRY(read_value(g, n, "output_shape", spatial, i, 0, same ? a->in * a->stride : 0, &want));
    if (want > 0) {
        const int64_t total = reach(a) - want > 0 ? reach(a) - want : 0;
        a->begin = upper ? total / 2 : total - total / 2;
        a->end = total - a->begin;
        a->out = want;
        return ITC_OK;
    }
    ITC_TRY(read_value(g, n, "pads", 2 * spatial, i, 0, 0, &a->begin));
    ITC_TRY(read_value(g, n, "pads", 2 * spatial, spatial + i, 0, 0, &a->end));
    if (valid) {
        a->begin = a->end = 0;
    }
    a->out = reach(a) - a->begin - a->end;
    return ITC_OK;
}

static itc_status read_axis(itc_graph *g, const itc_node *n, int spatial, int i, axis *a)
{
    const itc_type *x = &n->in[0]->type, *f = &n->in[1]->type;
    *a = (axis){.in = x->dim[2 + i].size, .kernel = f->dim[2 + i].size};
    int64_t kernel = 0;
    ITC_TRY(read_value(g, n, "kernel_shape", spatial, i, 1, a->kernel, &kernel));
    if (kernel != a->kernel) {
        return itc_error(g->ctx, n, ITC_SHAPE, "E0220",
                         "kernel_shape is %lld on axis %d, the filter has %lld", (long long)kernel,
                         i, (long long)a->kernel);
    }
    ITC_TRY(read_value(g, n, "strides", spatial, i, 1, 1, &a->stride));
    ITC_TRY(read_value(g, n, "dilations", spatial, i, 1, 1, &a->dilation));
    ITC_TRY(read_value(g, n, "output_padding", spatial, i, 0, 0, &a->extra));
    if (a->in > MAX_EXTENT || a->kernel > MAX_EXTENT) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0226", "an extent is too large");
    }
    ITC_TRY(place_axis(g, n, spatial, i, a));
    if (a->out < 1 || a->out > MAX_EXTENT) {
        return itc_error(g->ctx, n, ITC_SHAPE, "E0226", "the result has extent %lld on axis %d",
                         (long long)a->out, i);
    }
    return ITC_OK;
}

static itc_status check_operands(itc_graph *g, const itc_node *n)
{
    const itc_type *x = &n->in[0]->type, *f = &n->in[1]->type;
    ITC_TRY(x->rank == 5 ? ITC_OK : itc_window_operand(g, n, 0));
    for (int i = 1; i < x->rank; i++) {
        if (x->dim[i].batch) {
            return itc_error(g->ctx, n, ITC_SHAPE, "E0224",
                             "the rows N are axis %d of %s, expected axis 0", i,
                             itc_type_text(g->ctx, x));
        }
    }
    ITC_TRY(itc_operand_rank(g, n, 1, x->rank, x->rank));
    for (int i = 0; i < f->rank; i++) {
        if (f->dim[i].batch) {
            return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0224", "the filter %s depends on N",
                             itc_type_text(g->ctx, f));
        }
    }
    if (!itc_dim_equal(x->dim[1], f->dim[0])) {
        return itc_error(g->ctx, n, ITC_SHAPE, "E0220", "the filter has %lld channels, x %lld",
                         (long long)f->dim[0].size, (long long)x->dim[1].size);
    }
    return ITC_OK;
}

/** y, where it has more elements at the end than any window reaches, is a Put of what they do. */
static itc_status build(itc_graph *g, const itc_node *n, int spatial, const axis *a,
                        itc_value **out)
{
    int64_t list[5][2], pads[4];
    itc_node *m = itc_node_new(g, &itc_op_ConvGradInput, n, 2, n->in, 1);
    for (int i = 0; i < spatial; i++) {
        const int64_t most = (a[i].in - 1) * a[i].stride + (a[i].kernel - 1) * a[i].dilation +
                             a[i].stride - a[i].begin; /* more would be room for another window */
        list[0][i] = a[i].out < most ? a[i].out : most;
        list[1][i] = a[i].kernel;
        list[2][i] = a[i].stride;
        list[3][i] = a[i].dilation;
        const int64_t used = reach(&a[i]) - a[i].extra - a[i].begin;
        pads[i] = a[i].begin;
        pads[spatial + i] = used > list[0][i] ? used - list[0][i] : 0;
        if (list[0][i] < 1) {
            return itc_error(g->ctx, n, ITC_SHAPE, "E0226", "nothing but padding on axis %d", i);
        }
    }
    itc_set_ints(g, m, "input_shape", spatial, list[0]);
    itc_set_ints(g, m, "kernel_shape", spatial, list[1]);
    itc_set_ints(g, m, "strides", spatial, list[2]);
    itc_set_ints(g, m, "dilations", spatial, list[3]);
    itc_set_ints(g, m, "pads", 2 * spatial, pads);
    itc_attr_copy(g, m, n, "group");
    ITC_TRY(itc_infer(g, m));
    itc_type y = m->out[0]->type;
    for (int i = 0; i < spatial; i++) {
        y.dim[2 + i] = itc_dim_of(a[i].out);
    }
    const itc_box all = itc_box_whole(&m->out[0]->type);
    return itc_put_build(g, n, m->out[0], &all, &y, out);
}

/** x [N, C, D, H, W] as the planes that each plane of y sees: [N, C, planes of y * taps, H, W]. */
static itc_status planes(itc_graph *g, const itc_node *n, const axis *a, itc_value **x)
{
    itc_type spread = (*x)->type;
    itc_box b = itc_box_whole(&spread);
    const int64_t before = (a->kernel - 1) * a->dilation, last = before + a->out - 1 + a->begin,
                  end = before + (a->in - 1) * a->stride, count = a->out * a->kernel;
    spread.dim[2].size = (last > end ? last : end) + 1;
    b.start[2] = before;
    b.step[2] = a->stride;
    if (spread.dim[2].size > MAX_EXTENT || count > MAX_EXTENT / 64) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0226", "depth %lld is too large",
                         (long long)spread.dim[2].size);
    }
    int64_t *index = ITC_NEW_ARRAY(g->ctx, int64_t, count);
    for (int64_t i = 0; i < count; i++) {
        const int64_t tap = i % a->kernel;
        index[i] = i / a->kernel + a->begin + (a->kernel - 1 - tap) * a->dilation;
    }
    ITC_TRY(itc_put_build(g, n, *x, &b, &spread, x));
    return itc_gather_build(g, n, *x, 2, count, index, x);
}

/** The node over height and width, of operands in this form. */
static itc_node *over_planes(itc_graph *g, const itc_node *n, const axis *a, int n_in,
                             itc_value *const *in)
{
    int64_t list[3][2], pads[4];
    itc_node *m = itc_node_new(g, n->op, n, n_in, in, 1);
    m->onnx_version = n->onnx_version;
    for (int i = 0; i < 2; i++) {
        list[0][i] = a[i].stride;
        list[1][i] = a[i].dilation;
        list[2][i] = a[i].out - (reach(&a[i]) - a[i].extra) + a[i].begin + a[i].end;
        pads[i] = a[i].begin;
        pads[2 + i] = a[i].end;
    }
    itc_set_ints(g, m, "strides", 2, list[0]);
    itc_set_ints(g, m, "dilations", 2, list[1]);
    itc_set_ints(g, m, "output_padding", 2, list[2]);
    itc_set_ints(g, m, "pads", 4, pads);
    itc_attr_copy(g, m, n, "group");
    return m;
}

static itc_status view(itc_graph *g, const itc_node *n, itc_value *x, int rank, const itc_dim *dim,
                       itc_value **out)
{
    const itc_type t = itc_type_make(ITC_F32, rank, dim);
    return itc_view_build(g, n, x, &t, out);
}

static itc_status volume(itc_graph *g, itc_node *n, const axis *a, itc_value **out)
{
    const itc_dim *d = n->in[0]->type.dim, *f = n->in[1]->type.dim;
    const itc_dim depth = itc_dim_of(a->out), channels = itc_dim_mul(d[1], f[2]);
    itc_value *in[3] = {n->in[0], n->in[1], n->n_in > 2 ? n->in[2] : NULL}, *y = NULL;
    ITC_TRY(planes(g, n, a, &in[0]));
    ITC_TRY(view(g, n, in[0], 6, (const itc_dim[]){d[0], d[1], depth, f[2], d[3], d[4]}, &in[0]));
    ITC_TRY(itc_transpose_build(g, n, in[0], (const int64_t[]){0, 2, 1, 3, 4, 5}, &in[0]));
    ITC_TRY(view(g, n, in[0], 4, (const itc_dim[]){itc_dim_mul(d[0], depth), channels, d[3], d[4]},
                 &in[0]));
    ITC_TRY(itc_transpose_build(g, n, in[1], (const int64_t[]){0, 2, 1, 3, 4}, &in[1]));
    ITC_TRY(view(g, n, in[1], 4, (const itc_dim[]){channels, f[1], f[3], f[4]}, &in[1]));
    ITC_TRY(itc_apply_node(g, over_planes(g, n, a + 1, in[2] ? 3 : 2, in), &y));
    const itc_dim *t = y->type.dim;
    ITC_TRY(view(g, n, y, 5, (const itc_dim[]){d[0], depth, t[1], t[2], t[3]}, &y));
    return itc_transpose_build(g, n, y, (const int64_t[]){0, 2, 1, 3, 4}, out);
}

static itc_status conv_transpose_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    axis a[3];
    ITC_TRY(check_operands(g, n));
    const int spatial = n->in[0]->type.rank - 2;
    for (int i = 0; i < spatial; i++) {
        ITC_TRY(read_axis(g, n, spatial, i, &a[i]));
    }
    if (spatial == 3) {
        return volume(g, n, a, &out[0]);
    }
    ITC_TRY(build(g, n, spatial, a, &out[0]));
    if (n->n_in < 3 || !n->in[2]) {
        return ITC_OK;
    }
    const itc_dim channels = out[0]->type.dim[1];
    ITC_TRY(itc_operand_rank(g, n, 2, 1, 1));
    if (!itc_dim_equal(n->in[2]->type.dim[0], channels)) {
        return itc_error(g->ctx, n, ITC_SHAPE, "E0220", "the bias is %s, expected %lld elements",
                         itc_type_text(g->ctx, &n->in[2]->type), (long long)channels.size);
    }
    const itc_type column =
        itc_type_make(ITC_F32, spatial + 1, (const itc_dim[3]){channels, {1, false}, {1, false}});
    itc_value *in[2] = {out[0], NULL};
    ITC_TRY(itc_view_build(g, n, n->in[2], &column, &in[1]));
    return itc_combine_build(g, n, 2, in, (const double[]){1, 1}, &out[0]);
}

static itc_status conv_transpose_infer(itc_graph *g, itc_node *n)
{
    return itc_error(g->ctx, n, ITC_INTERNAL, "E0221", "ConvTranspose is a ConvGradInput here");
}

static const itc_attr_spec conv_transpose_attrs[] = {
    ITC_WINDOW_ATTRS(false),
    {.name = "group", .kind = ITC_ATTR_INT, .i = 1},
    {.name = "output_padding", .kind = ITC_ATTR_INTS},
    {.name = "output_shape", .kind = ITC_ATTR_INTS},
    {.name = NULL},
};

/**
 * Transposed convolution, as a ConvGradInput.
 * Shapes  x [N,C,H,W], [N,C,L] or [N,C,D,H,W], f [C,M/group,kh,kw], y [N,M,oh,ow]; oh = (H - 1) *
 * stride + dilated kh + output_padding - pads, or output_shape Source  ONNX ConvTranspose-1, -11,
 * -22
 */
const itc_op_def itc_op_ConvTranspose = {
    .name = "ConvTranspose",
    .domain = "",
    .in_min = 2,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 1,
    .versions = (const uint8_t[]){1, 11, 22, 0},
    .roles = (const itc_role_in[]){ITC_IN_DATA, ITC_IN_PARAM, ITC_IN_PARAM},
    .attrs = conv_transpose_attrs,
    .summary = "transposed convolution, all attributes, as the gradient of Conv",
    .normalize = conv_transpose_normalize,
    .infer = conv_transpose_infer,
};
