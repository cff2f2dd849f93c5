/*
 * ConvTranspose: the gradient of a convolution by its input, taken forward.
 *
 *     y[n,m,o] = sum over c, k of x[n,c,i] * f[c,m,k] where i * stride + k * dilation - pad = o
 *
 * Our form is ConvGradInput (conv.c) with y's extents as input_shape; a bias is a Combine.
 * Source: ONNX ConvTranspose-11, -22.
 */
#include <string.h>

#include "codegen/emit.h"
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
    ITC_TRY(itc_window_operand(g, n, 0));
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

static itc_status conv_transpose_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    axis a[2];
    ITC_TRY(check_operands(g, n));
    const int spatial = n->in[0]->type.rank - 2;
    for (int i = 0; i < spatial; i++) {
        ITC_TRY(read_axis(g, n, spatial, i, &a[i]));
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
 * Shapes  x [N,C,H,W] or [N,C,L], f [C,M/group,kh,kw], y [N,M,oh,ow]; oh = (H - 1) * stride +
 *         dilated kh + output_padding - pads, or output_shape
 * Source  ONNX ConvTranspose-1, -11, -22
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
