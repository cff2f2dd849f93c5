/*
 * Convolution and its two gradients. Our form has no bias (a Combine adds it) and explicit pads.
 * ConvTranspose is the gradient by the input (conv_transpose.c), whose own gradients are here as
 * well.
 */
#include "codegen/emit.h"
#include "ir/ops/util.h"
#include "ir/ops/window.h"
#include "passes/grad.h"
#include "passes/lower.h"
#include "passes/plan.h"

/** What the three operators share: y [n,m,…] = x [n,c,…] * f [m,c/group,…]. */
typedef struct conv_shape {
    itc_window w;
    itc_dim n;
    int64_t c, m, group;
    itc_dim k; /**< products summed in one element of the result */
} conv_shape;

static itc_status check_groups(itc_graph *g, const itc_node *n, conv_shape *s)
{
    s->group = itc_int(n, "group");
    if (s->group < 1 || s->c % s->group != 0 || s->m % s->group != 0) {
        return itc_error(g->ctx, n, ITC_SHAPE, "E0221",
                         "group is %lld, which does not divide %lld input and %lld output channels",
                         (long long)s->group, (long long)s->c, (long long)s->m);
    }
    return ITC_OK;
}

/** Operand i as a filter: known extents only, the given rank. */
static itc_status check_filter(itc_graph *g, const itc_node *n, int i, int rank)
{
    const itc_type *t = &n->in[i]->type;
    ITC_TRY(itc_operand_rank(g, n, i, rank, rank));
    for (int axis = 0; axis < rank; axis++) {
        if (t->dim[axis].batch) {
            return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0224",
                             "the filter %s depends on the rows N", itc_type_text(g->ctx, t));
        }
    }
    return ITC_OK;
}

/** Operand i must have the spatial extents ext (of the window's axes). */
static itc_status check_extents(itc_graph *g, const itc_node *n, int i, const conv_shape *s,
                                const int64_t *ext)
{
    const itc_type *t = &n->in[i]->type;
    for (int k = 0; k < s->w.spatial; k++) {
        const int64_t want = ext[2 - s->w.spatial + k];
        if (t->dim[2 + k].size != want) {
            return itc_error(g->ctx, n, ITC_SHAPE, "E0220",
                             "input %d has extent %lld on axis %d, "
                             "expected %lld",
                             i, (long long)t->dim[2 + k].size, 2 + k, (long long)want);
        }
    }
    return ITC_OK;
}

static bool product3(int64_t a, int64_t b, int64_t c, itc_dim *k)
{
    return itc_size_mul(a, b, &k->size) && itc_size_mul(k->size, c, &k->size);
}

static itc_status too_large(itc_graph *g, const itc_node *n)
{
    return itc_error(g->ctx, n, ITC_RANGE, "E0226", "the result or its sums are too large");
}

static itc_status conv_shape_of(itc_graph *g, const itc_node *n, conv_shape *s)
{
    ITC_TRY(itc_window_operand(g, n, 0));
    const itc_type *x = &n->in[0]->type, *f = &n->in[1]->type;
    ITC_TRY(check_filter(g, n, 1, x->rank));
    ITC_TRY(itc_window_of(g, n, 0, &s->w));
    ITC_TRY(check_extents(g, n, 1, s, s->w.kernel));
    s->n = x->dim[0];
    s->c = x->dim[1].size;
    s->m = f->dim[0].size;
    ITC_TRY(check_groups(g, n, s));
    if (f->dim[1].size != s->c / s->group) {
        return itc_error(g->ctx, n, ITC_SHAPE, "E0220",
                         "the filter has %lld channels, expected %lld (%lld in %lld groups)",
                         (long long)f->dim[1].size, (long long)(s->c / s->group), (long long)s->c,
                         (long long)s->group);
    }
    s->k = (itc_dim){0, false};
    return product3(f->dim[1].size, s->w.kernel[0], s->w.kernel[1], &s->k) ? ITC_OK
                                                                           : too_large(g, n);
}

/* operands dy, f */
static itc_status grad_input_shape_of(itc_graph *g, const itc_node *n, conv_shape *s)
{
    ITC_TRY(itc_window_operand(g, n, 0));
    const itc_type *dy = &n->in[0]->type, *f = &n->in[1]->type;
    ITC_TRY(check_filter(g, n, 1, dy->rank));
    ITC_TRY(itc_window_of_grad(g, n, &s->w));
    ITC_TRY(itc_operand_rank(g, n, 0, 2 + s->w.spatial, 2 + s->w.spatial));
    ITC_TRY(check_extents(g, n, 0, s, s->w.out));
    ITC_TRY(check_extents(g, n, 1, s, s->w.kernel));
    s->n = dy->dim[0];
    s->m = f->dim[0].size;
    s->group = itc_int(n, "group");
    if (s->group < 1 || !itc_size_mul(f->dim[1].size, s->group, &s->c) || dy->dim[1].size != s->m) {
        return itc_error(g->ctx, n, ITC_SHAPE, "E0220", "dy has %lld channels, the filter %lld",
                         (long long)dy->dim[1].size, (long long)s->m);
    }
    ITC_TRY(check_groups(g, n, s));
    s->k = (itc_dim){0, false};
    return product3(s->m / s->group, s->w.kernel[0], s->w.kernel[1], &s->k) ? ITC_OK
                                                                            : too_large(g, n);
}

/* operands x, dy */
static itc_status grad_weight_shape_of(itc_graph *g, const itc_node *n, conv_shape *s)
{
    ITC_TRY(itc_window_of(g, n, 0, &s->w));
    ITC_TRY(itc_window_operand(g, n, 1));
    const itc_type *x = &n->in[0]->type, *dy = &n->in[1]->type;
    ITC_TRY(itc_operand_rank(g, n, 1, x->rank, x->rank));
    ITC_TRY(check_extents(g, n, 1, s, s->w.out));
    s->n = x->dim[0];
    s->c = x->dim[1].size;
    s->m = dy->dim[1].size;
    ITC_TRY(check_groups(g, n, s));
    if (!itc_dim_equal(s->n, dy->dim[0])) {
        return itc_error(g->ctx, n, ITC_SHAPE, "E0220", "operands %s and %s differ in their rows",
                         itc_type_text(g->ctx, x), itc_type_text(g->ctx, dy));
    }
    s->k = s->n;
    return product3(s->n.size, s->w.out[0], s->w.out[1], &s->k) ? ITC_OK : too_large(g, n);
}

/** Output 0: [d0, d1, extents] with the type of the exact sum. */
static itc_status set_result(itc_graph *g, itc_node *n, const conv_shape *s, itc_dim d0, int64_t d1,
                             const int64_t *extents)
{
    itc_type sum;
    itc_dim count;
    ITC_TRY(itc_sum_type(g, n, s->k, n->in[0], n->in[1], &sum));
    itc_type t = itc_window_type(&s->w, sum.dtype, d0, (itc_dim){d1, false}, extents);
    t.bits = sum.bits;
    if (!itc_type_count(&t, &count)) {
        return too_large(g, n);
    }
    n->out[0]->type = t;
    return ITC_OK;
}

static itc_status plan_sum(itc_plan *p, const itc_node *n, const conv_shape *s)
{
    if (n->out[0]->type.bits == 0) {
        return ITC_OK; /* floats */
    }
    ITC_TRY(itc_plan_sum(p, n, n->out[0], 2, n->in, 0));
    return itc_plan_bound(p, n, s->k, n->in[0]->type.bits, n->in[1]->type.bits);
}

static itc_status emit_call(itc_emit *e, const itc_node *n, const char *base, const conv_shape *s)
{
    itc_value *types[3] = {n->in[0], n->in[1], n->out[0]};
    ITC_TRY(itc_emit_call(e, n, base, 3, types));
    itc_arg_ptr(e, "a", n->in[0]);
    itc_arg_ptr(e, "b", n->in[1]);
    itc_arg_ptr(e, "y", n->out[0]);
    itc_arg_dim(e, "n", s->n);
    itc_arg_dim(e, "c", itc_dim_of(s->c));
    itc_arg_dim(e, "m", itc_dim_of(s->m));
    itc_arg_dim(e, "kh", itc_dim_of(s->w.kernel[0]));
    itc_arg_dim(e, "kw", itc_dim_of(s->w.kernel[1]));
    itc_arg_int(e, "groups", s->group);
    itc_window_emit(e, &s->w);
    return ITC_OK;
}

/* ---- Conv ---- */

/** Pads made explicit in place; a bias becomes a Combine behind the convolution. */
static itc_status conv_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    if (n->in[0]->type.rank == 5) {
        ITC_TRY(check_filter(g, n, 1, 5));
        return itc_volume_conv(g, n, out);
    }
    ITC_TRY(itc_window_operand(g, n, 0));
    const itc_type *x = &n->in[0]->type, *f = &n->in[1]->type;
    ITC_TRY(check_filter(g, n, 1, x->rank));
    ITC_TRY(itc_window_normalize(g, n, x->rank - 2, x->dim + 2, f->dim + 2));
    if (n->n_in < 3 || !n->in[2]) {
        n->n_in = 2;
        return ITC_OK;
    }
    const itc_type *bias = &n->in[2]->type;
    ITC_TRY(itc_operand_rank(g, n, 2, 1, 1));
    if (!itc_dim_equal(bias->dim[0], f->dim[0])) {
        return itc_error(g->ctx, n, ITC_SHAPE, "E0220", "the bias is %s, expected %lld elements",
                         itc_type_text(g->ctx, bias), (long long)f->dim[0].size);
    }
    itc_node *conv = itc_node_new(g, &itc_op_Conv, n, 2, n->in, 1);
    for (int i = 0; i < n->n_attrs; i++) {
        itc_attr_set(g, conv, n->attrs[i]);
    }
    ITC_TRY(itc_infer(g, conv));
    itc_type column =
        itc_type_make(bias->dtype, x->rank - 1,
                      (const itc_dim[3]){{f->dim[0].size, false}, {1, false}, {1, false}});
    itc_value *in[2] = {conv->out[0], NULL};
    ITC_TRY(itc_view_build(g, n, n->in[2], &column, &in[1]));
    return itc_combine_build(g, n, 2, in, (const double[]){1, 1}, &out[0]);
}

static itc_status conv_infer(itc_graph *g, itc_node *n)
{
    conv_shape s;
    if (n->n_in > 2) {
        return itc_error(g->ctx, n, ITC_SHAPE, "E0221", "a bias is a Combine in this form");
    }
    ITC_TRY(conv_shape_of(g, n, &s));
    return set_result(g, n, &s, s.n, s.m, s.w.out);
}

static itc_status conv_grad(itc_grad *b, const itc_node *n)
{
    itc_graph *g = itc_grad_graph(b);
    itc_value *dy = itc_grad_of(b, n, 0);
    if (itc_grad_wanted(b, n, 0)) {
        itc_value *in[2] = {dy, n->in[1]};
        itc_node *dx = itc_node_new(g, &itc_op_ConvGradInput, n, 2, in, 1);
        itc_window_copy(g, dx, n, 0);
        itc_attr_copy(g, dx, n, "group");
        ITC_TRY(itc_infer(g, dx));
        ITC_TRY(itc_grad_add(b, n, 0, dx->out[0]));
    }
    if (itc_grad_wanted(b, n, 1)) {
        itc_value *in[2] = {n->in[0], dy};
        itc_node *df = itc_node_new(g, &itc_op_ConvGradWeight, n, 2, in, 1);
        itc_window_copy(g, df, n, 0);
        itc_attr_copy(g, df, n, "group");
        ITC_TRY(itc_infer(g, df));
        ITC_TRY(itc_grad_add(b, n, 1, df->out[0]));
    }
    return ITC_OK;
}

static itc_status conv_plan(itc_plan *p, itc_node *n)
{
    conv_shape s;
    ITC_TRY(conv_shape_of(itc_plan_graph(p), n, &s));
    return plan_sum(p, n, &s);
}

static itc_status conv_emit(itc_emit *e, const itc_node *n)
{
    conv_shape s;
    ITC_TRY(conv_shape_of(itc_emit_graph(e), n, &s));
    return emit_call(e, n, "conv", &s);
}

static const itc_attr_spec conv_attrs[] = {
    ITC_WINDOW_ATTRS(false),
    {.name = "group", .kind = ITC_ATTR_INT, .i = 1},
    {.name = NULL},
};

/**
 * Convolution.
 * Shapes  x [N,C,H,W] or [N,C,L], f [M,C/group,kh,kw], y [N,M,oh,ow]; oh = (H + pads -
 *         dilated kh) / stride + 1; a bias [M] is split off
 * Units   e_y = e_x + e_f
 * Range   K = C/group * kh * kw products a sum: i32 where K * limit_x * limit_f fits, else i64
 * Source  ONNX Conv-1, -11, -22
 */
/** Of a filter [M, C/groups, k..] as torch.nn.init counts: the groups are not looked at. */
static void conv_fans(const itc_node *n, int operand, const itc_type *w, int64_t *in, int64_t *out)
{
    int64_t taps = 1;
    (void)n;
    (void)operand;
    for (int i = 2; i < w->rank; i++) {
        taps *= w->dim[i].size;
    }
    *in = w->rank > 1 ? w->dim[1].size * taps : 0;
    *out = w->rank > 1 ? w->dim[0].size * taps : 0;
}

const itc_op_def itc_op_Conv = {
    .name = "Conv",
    .domain = "",
    .in_min = 2,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 7,
    .versions = (const uint8_t[]){1, 11, 22, 0},
    .roles = (const itc_role_in[]){ITC_IN_DATA, ITC_IN_PARAM, ITC_IN_PARAM},
    .starts = (const itc_start[]){ITC_START_KEEP, ITC_START_WEIGHT, ITC_START_BIAS},
    .fans = conv_fans,
    .attrs = conv_attrs,
    .summary = "convolution over one or two axes; groups, strides, dilations, pads",
    .normalize = conv_normalize,
    .infer = conv_infer,
    .grad = conv_grad,
    .demand = ITC_DEMAND_OPERAND,
    .lower = itc_lower_linear,
    .plan = conv_plan,
    .emit = conv_emit,
};

/* ---- gradients ---- */

static itc_status grad_input_infer(itc_graph *g, itc_node *n)
{
    conv_shape s;
    ITC_TRY(grad_input_shape_of(g, n, &s));
    return set_result(g, n, &s, s.n, s.c, s.w.in);
}

/** dx = ConvGradInput(dy, f) is linear in both: by dy it is the convolution, by f as that one's. */
static itc_status grad_input_grad(itc_grad *b, const itc_node *n)
{
    itc_graph *g = itc_grad_graph(b);
    itc_value *up = itc_grad_of(b, n, 0);
    static const char *const window[] = {"dilations", "kernel_shape", "pads", "strides", "group"};
    for (int i = 0; i < 2; i++) {
        if (!itc_grad_wanted(b, n, i)) {
            continue;
        }
        itc_value *in[2] = {up, n->in[1 - i]};
        itc_node *m = itc_node_new(g, i == 0 ? &itc_op_Conv : &itc_op_ConvGradWeight, n, 2, in, 1);
        for (size_t k = 0; k < sizeof window / sizeof window[0]; k++) {
            itc_attr_copy(g, m, n, window[k]);
        }
        if (i == 1) {
            itc_attr_copy(g, m, n, "input_shape");
        }
        ITC_TRY(itc_infer(g, m));
        ITC_TRY(itc_grad_add(b, n, i, m->out[0]));
    }
    return ITC_OK;
}

static itc_status grad_input_plan(itc_plan *p, itc_node *n)
{
    conv_shape s;
    ITC_TRY(grad_input_shape_of(itc_plan_graph(p), n, &s));
    return plan_sum(p, n, &s);
}

static itc_status grad_input_emit(itc_emit *e, const itc_node *n)
{
    conv_shape s;
    ITC_TRY(grad_input_shape_of(itc_emit_graph(e), n, &s));
    return emit_call(e, n, "conv_grad_input", &s);
}

static itc_status grad_weight_infer(itc_graph *g, itc_node *n)
{
    conv_shape s;
    ITC_TRY(grad_weight_shape_of(g, n, &s));
    return set_result(g, n, &s, (itc_dim){s.m, false}, s.c / s.group, s.w.kernel);
}

static itc_status grad_weight_plan(itc_plan *p, itc_node *n)
{
    conv_shape s;
    ITC_TRY(grad_weight_shape_of(itc_plan_graph(p), n, &s));
    return plan_sum(p, n, &s);
}

static itc_status grad_weight_emit(itc_emit *e, const itc_node *n)
{
    conv_shape s;
    ITC_TRY(grad_weight_shape_of(itc_emit_graph(e), n, &s));
    return emit_call(e, n, "conv_grad_weight", &s);
}

static const itc_attr_spec conv_grad_attrs[] = {
    ITC_WINDOW_ATTRS(true),
    {.name = "group", .kind = ITC_ATTR_INT, .i = 1},
    {.name = "input_shape", .kind = ITC_ATTR_INTS, .required = true, .internal = true},
    {.name = NULL},
};

/**
 * Gradient of a convolution by its input: dx[n,c,i] = sum of dy[n,m,o] * f[m,c,k] over all m and
 * o * stride + k * dilation - pad = i.
 * Shapes  dy [N,M,oh,ow], f [M,C/group,kh,kw], dx [N,C,H,W]; input_shape is [H,W]
 * Units   e_dx = e_dy + e_f
 * Range   K = M/group * kh * kw at most
 * Source  our derivation, of ONNX Conv-11
 */
const itc_op_def itc_op_ConvGradInput = {
    .name = "ConvGradInput",
    .domain = "",
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = ITC_OP_INTERNAL,
    .attrs = conv_grad_attrs,
    .summary = "gradient of Conv by its input; ConvTranspose",
    .infer = grad_input_infer,
    .grad = grad_input_grad,
    .demand = ITC_DEMAND_OPERAND,
    .lower = itc_lower_linear,
    .plan = grad_input_plan,
    .emit = grad_input_emit,
};

/**
 * Gradient of a convolution by its filter: df[m,c,k] = sum of dy[n,m,o] *
 * x[n,c, o * stride + k * dilation - pad] over all rows n and places o.
 * Shapes  x [N,C,H,W], dy [N,M,oh,ow], df [M,C/group,kh,kw]; input_shape is [H,W]
 * Units   e_df = e_x + e_dy
 * Range   K = N * oh * ow, with the rows of a micro-batch for N: often beyond i32
 * Source  our derivation, of ONNX Conv-11
 */
const itc_op_def itc_op_ConvGradWeight = {
    .name = "ConvGradWeight",
    .domain = "",
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = ITC_OP_INTERNAL,
    .attrs = conv_grad_attrs,
    .summary = "gradient of Conv by its filter",
    .infer = grad_weight_infer,
    .demand = ITC_DEMAND_OPERAND,
    .lower = itc_lower_linear,
    .plan = grad_weight_plan,
    .emit = grad_weight_emit,
};
