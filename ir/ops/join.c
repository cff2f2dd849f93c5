/*
 * Joining: Concat and Pad.
 *
 * Operands of a Concat have exponents of their own. On integers it is a formal sum whose terms have
 * places, each in zeros (NUMERICS.md, "Requantisation"): one exponent by the exact rule over all of
 * them, one rounding of each element, whatever sums the operands are. A padding of zeros is the
 * same with one operand (Put); another constant is added to it. d Concat = the operands' boxes of
 * dy (Take)      d Pad = the inner box of dy Sources: ONNX Concat-13, Pad-21; gradients are the
 * transposed maps.
 */
#include <math.h>
#include <string.h>

#include "codegen/emit.h"
#include "ir/ops/gather.h"
#include "ir/ops/take.h"
#include "ir/ops/util.h"
#include "passes/grad.h"
#include "passes/lower.h"
#include "passes/plan.h"

/* ---- Concat ---- */

static itc_status fold_shape(itc_graph *g, const itc_node *n, int axis, int64_t *dim)
{
    const itc_tensor *x = itc_operand_const(n, 0);
    memcpy(dim, x->dim, sizeof x->dim);
    for (int i = 1; i < n->n_in; i++) {
        const itc_tensor *t = itc_operand_const(n, i);
        bool fits = t && t->rank == x->rank && t->dtype == x->dtype;
        for (int k = 0; fits && k < x->rank; k++) {
            fits = k == axis || t->dim[k] == x->dim[k];
        }
        if (!fits || t->dim[axis] > INT64_MAX - dim[axis]) {
            return itc_error(g->ctx, n, ITC_SHAPE, "E0220", "input %d does not fit input 0, %s", i,
                             itc_type_text(g->ctx, &n->in[0]->type));
        }
        dim[axis] += t->dim[axis];
    }
    return ITC_OK;
}

static itc_status concat_fold(itc_graph *g, itc_node *n, itc_tensor **out)
{
    int64_t dim[ITC_MAX_RANK], outer = 1, inner = 1, at = 0;
    int axis = 0;
    for (int i = 0; i < n->n_in; i++) {
        const itc_tensor *t = itc_operand_const(n, i);
        if (!t || !t->data) {
            return ITC_OK;
        }
    }
    const itc_tensor *x = itc_operand_const(n, 0);
    ITC_TRY(itc_axis_resolve(g, n, itc_int(n, "axis"), x->rank, &axis));
    ITC_TRY(fold_shape(g, n, axis, dim));
    itc_tensor *y = NULL;
    ITC_TRY(itc_fold_tensor(g, n, x->dtype, x->rank, dim, &y));
    for (int i = 0; i < x->rank; i++) {
        outer *= i < axis ? dim[i] : 1;
        inner *= i > axis ? dim[i] : 1;
    }
    for (int64_t o = 0; o < outer; o++) {
        for (int i = 0; i < n->n_in; i++) {
            const itc_tensor *t = itc_operand_const(n, i);
            const int64_t run = t->dim[axis] * inner;
            for (int64_t k = 0; k < run; k++) {
                itc_tensor_copy_element(g->ctx, y, at++, t, o * run + k);
            }
        }
    }
    out[0] = y;
    return ITC_OK;
}

/** Operand i repeated along the axes of the rows where it has extent 1: a model exported for one
 * row writes such a constant in front of a sequence. */
static itc_status repeat_rows(itc_graph *g, const itc_node *n, int axis, const itc_type *like,
                              itc_value **x)
{
    itc_box b = itc_box_whole(&(*x)->type);
    for (int k = 0; k < b.rank && k < like->rank; k++) {
        if (k != axis && like->dim[k].batch && itc_dim_equal(b.extent[k], itc_dim_of(1))) {
            b.step[k] = 0;
            b.extent[k] = like->dim[k];
        }
    }
    return itc_take_build(g, n, *x, &b, x);
}

static itc_status build_concat(itc_graph *g, const itc_node *n, int axis, int count,
                               itc_value *const *in, itc_value **out)
{
    itc_node *m = itc_node_new(g, &itc_op_Concat, n, count, in, 1);
    itc_set_int(g, m, "axis", axis);
    ITC_TRY(itc_infer(g, m));
    *out = m->out[0];
    return ITC_OK;
}

/** Many are joined in groups, as many as a sum has terms. */
itc_status itc_concat_build(itc_graph *g, const itc_node *origin, int axis, int count,
                            itc_value *const *in, itc_value **out)
{
    itc_value **part = ITC_NEW_ARRAY(g->ctx, itc_value *, count);
    memcpy(part, in, sizeof *in * (size_t)count);
    while (count > 1) {
        int groups = 0;
        for (int i = 0; i < count; i += ITC_MAX_TERMS, groups++) {
            const int size = count - i < ITC_MAX_TERMS ? count - i : ITC_MAX_TERMS;
            ITC_TRY(build_concat(g, origin, axis, size, part + i, &part[groups]));
        }
        count = groups;
    }
    *out = part[0];
    return ITC_OK;
}

/** One operand is the result. */
static itc_status concat_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    itc_value **in = ITC_NEW_ARRAY(g->ctx, itc_value *, n->n_in + 1);
    const itc_type *like = &n->in[0]->type;
    int axis = 0;
    const int count = n->n_in;
    bool same = count <= ITC_MAX_TERMS;
    ITC_TRY(itc_axis_resolve(g, n, itc_int(n, "axis"), like->rank, &axis));
    for (int i = 1; i < n->n_in; i++) {
        const itc_type *t = &n->in[i]->type;
        for (int k = 0; k < t->rank; k++) {
            like = t->dim[k].batch ? t : like;
        }
    }
    for (int i = 0; i < n->n_in; i++) {
        in[i] = n->in[i];
        ITC_TRY(repeat_rows(g, n, axis, like, &in[i]));
        same = same && in[i] == n->in[i];
    }
    if (same && count > 1) {
        itc_set_int(g, n, "axis", axis);
        return ITC_OK;
    }
    return itc_concat_build(g, n, axis, count, in, &out[0]);
}

static itc_status concat_infer(itc_graph *g, itc_node *n)
{
    itc_type y = n->in[0]->type;
    int axis = 0;
    itc_dim count;
    ITC_TRY(itc_axis_resolve(g, n, itc_int(n, "axis"), y.rank, &axis));
    for (int i = 0; i < n->n_in; i++) {
        const itc_type *t = &n->in[i]->type;
        bool fits = t->rank == y.rank && t->dtype == y.dtype;
        for (int k = 0; fits && k < y.rank; k++) {
            fits = k == axis || itc_dim_equal(t->dim[k], y.dim[k]);
        }
        if (!fits) {
            return itc_error(g->ctx, n, ITC_SHAPE, "E0220", "input %d is %s, input 0 %s", i,
                             itc_type_text(g->ctx, t), itc_type_text(g->ctx, &n->in[0]->type));
        }
        if (t->dim[axis].batch) {
            return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0224", "rows N joined along axis %d",
                             axis);
        }
        y.dim[axis].size = i == 0 ? 0 : y.dim[axis].size;
        if (t->dim[axis].size > INT64_MAX - y.dim[axis].size) {
            return itc_error(g->ctx, n, ITC_RANGE, "E0226", "the result is too large");
        }
        y.dim[axis].size += t->dim[axis].size;
    }
    if (!itc_type_count(&y, &count)) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0226", "the result is too large");
    }
    n->out[0]->type = y;
    return ITC_OK;
}

/** Box of operand i in the result. */
static itc_box box_of(const itc_node *n, int i)
{
    const int axis = (int)itc_int(n, "axis");
    itc_box b = itc_box_whole(&n->in[i]->type);
    for (int k = 0; k < i; k++) {
        b.start[axis] += n->in[k]->type.dim[axis].size;
    }
    return b;
}

static itc_status concat_grad(itc_grad *bp, const itc_node *n)
{
    for (int i = 0; i < n->n_in; i++) {
        itc_value *dx = itc_grad_of(bp, n, 0);
        if (itc_grad_wanted(bp, n, i)) {
            const itc_box b = box_of(n, i);
            ITC_TRY(itc_take_build(itc_grad_graph(bp), n, dx, &b, &dx));
            ITC_TRY(itc_grad_add(bp, n, i, dx));
        }
    }
    return ITC_OK;
}

static itc_status concat_lower(itc_lower *l, const itc_node *n)
{
    int64_t(*start)[ITC_MAX_RANK] = NULL;
    itc_value **in = ITC_NEW_ARRAY(itc_lower_graph(l)->ctx, itc_value *, n->n_in);
    if (itc_is_plain(&n->out[0]->type)) {
        itc_node *m = NULL;
        for (int i = 0; i < n->n_in; i++) {
            ITC_TRY(itc_lower_get(l, n, n->in[i], 0, &in[i]));
        }
        ITC_TRY(itc_lower_build(l, n, n->op, n->n_in, in, 1, &m));
        itc_lower_set(l, n->out[0], m->out[0]);
        return ITC_OK;
    }
    start = itc_alloc(itc_lower_graph(l)->ctx, sizeof *start * (size_t)n->n_in);
    for (int i = 0; i < n->n_in; i++) {
        const itc_box b = box_of(n, i);
        memcpy(start[i], b.start, sizeof start[i]);
    }
    return itc_lower_set_joined(l, n, n->out[0], (const int64_t(*)[ITC_MAX_RANK])start);
}

static itc_status concat_emit(itc_emit *e, const itc_node *n)
{
    for (int i = 0; i < n->n_in; i++) {
        const itc_box from = itc_box_whole(&n->in[i]->type), to = box_of(n, i);
        ITC_TRY(itc_emit_move(e, n, n->in[i], &from, n->out[0], &to));
    }
    return ITC_OK;
}

static const itc_attr_spec concat_attrs[] = {
    {.name = "axis", .kind = ITC_ATTR_INT, .required = true},
    {.name = NULL},
};

/**
 * Operands one after the other along an axis. One operand is the result itself; one of extent 1
 * along the axis of the rows repeats. Units   a formal sum of terms in places: one exponent, one
 * rounding; plain numbers are moved Source  ONNX Concat-4, -11, -13
 */
const itc_op_def itc_op_Concat = {
    .name = "Concat",
    .domain = "",
    .in_min = 1,
    .in_max = 255,
    .out_min = 1,
    .out_max = 1,
    .flags = ITC_OP_VARIADIC | ITC_OP_SUM,
    .opset_min = 4,
    .versions = (const uint8_t[]){1, 4, 11, 13, 0},
    .roles = (const itc_role_in[]){ITC_IN_PASS},
    .attrs = concat_attrs,
    .summary = "operands joined along an axis: one exponent, one rounding",
    .kinds = ITC_KIND_ANY,
    .normalize = concat_normalize,
    .fold = concat_fold,
    .infer = concat_infer,
    .grad = concat_grad,
    .demand = ITC_DEMAND_PASS,
    .lower = concat_lower,
    .plan = itc_plan_hook_same,
    .emit = concat_emit,
};

/* ---- Pad ---- */

/** Elements added before and behind each axis; negative ones are taken away. */
typedef struct pads {
    int64_t before[ITC_MAX_RANK], behind[ITC_MAX_RANK];
} pads;

static itc_status read_pads(itc_graph *g, const itc_node *n, pads *p)
{
    const itc_type *x = &n->in[0]->type;
    const itc_tensor *list = NULL, *axes = NULL;
    *p = (pads){0};
    ITC_TRY(itc_operand_list(g, n, "pads", 1, &list));
    ITC_TRY(itc_operand_list(g, n, "axes", 3, &axes));
    const int64_t count = axes ? axes->count : x->rank;
    if (!list || list->count != 2 * count || count > x->rank) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0221", "%lld pads for %lld axes",
                         list ? (long long)list->count : 0LL, (long long)count);
    }
    for (int64_t i = 0; i < count; i++) {
        int axis = 0;
        ITC_TRY(itc_axis_resolve(g, n, axes ? itc_tensor_get_int(axes, i) : i, x->rank, &axis));
        p->before[axis] = itc_tensor_get_int(list, i);
        p->behind[axis] = itc_tensor_get_int(list, count + i);
        const int64_t most = (int64_t)1 << 30;
        if (p->before[axis] > most || p->before[axis] < -most || p->behind[axis] > most ||
            p->behind[axis] < -most) {
            return itc_error(g->ctx, n, ITC_RANGE, "E0221", "a pad is too large");
        }
        if (x->dim[axis].batch && (p->before[axis] != 0 || p->behind[axis] != 0)) {
            return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0224", "pads of the rows N");
        }
    }
    return ITC_OK;
}

/** The value of the padding; E0225 where it is not known. */
static itc_status read_value(itc_graph *g, const itc_node *n, double *v)
{
    *v = itc_float(n, "value");
    if (n->n_in > 2 && n->in[2]) {
        const itc_tensor *t = itc_operand_const(n, 2);
        if (!t || !t->data || t->count != 1) {
            return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0225",
                             "input constant_value must be a number known when compiling");
        }
        *v = itc_tensor_get(t, 0);
    }
    const bool zero = !(*v < 0) && !(*v > 0);
    if (!isfinite(*v) || (!zero && n->in[0]->type.dtype != ITC_F32)) {
        return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0201",
                         "padding of %s with %g is not supported",
                         itc_dtype_name(n->in[0]->type.dtype), *v);
    }
    return ITC_OK;
}

/** Takes away what pads are negative; the rest of the pads are in p afterwards. */
static itc_status crop(itc_graph *g, const itc_node *n, pads *p, itc_value **x)
{
    itc_box b = itc_box_whole(&(*x)->type);
    for (int i = 0; i < b.rank; i++) {
        const int64_t front = p->before[i] < 0 ? -p->before[i] : 0;
        const int64_t back = p->behind[i] < 0 ? -p->behind[i] : 0;
        b.start[i] = front;
        b.extent[i].size -= front + back;
        p->before[i] += front;
        p->behind[i] += back;
        if (b.extent[i].size < 1) {
            return itc_error(g->ctx, n, ITC_RANGE, "E0226", "nothing is left of axis %d", i);
        }
    }
    return itc_take_build(g, n, *x, &b, x);
}

/** y + v outside x's box: what is added repeats along the axes without pads. */
static itc_status add_border(itc_graph *g, const itc_node *n, const pads *p, double v, itc_value *y,
                             itc_value **out)
{
    int64_t dim[ITC_MAX_RANK];
    itc_tensor *t = NULL;
    for (int i = 0; i < y->type.rank; i++) {
        dim[i] = p->before[i] != 0 || p->behind[i] != 0 ? y->type.dim[i].size : 1;
    }
    ITC_TRY(itc_fold_tensor(g, n, ITC_F32, y->type.rank, dim, &t));
    for (int64_t k = 0; k < t->count; k++) {
        bool inside = true;
        int64_t rest = k;
        for (int i = y->type.rank - 1; i >= 0; i--) {
            const int64_t at = rest % dim[i];
            inside = inside && at >= p->before[i] && at < dim[i] - p->behind[i];
            rest /= dim[i];
        }
        ((float *)t->data)[k] = inside ? 0 : (float)v;
    }
    itc_value *border = itc_const_new(g, itc_format(g->ctx, "%s.border", n->out[0]->name), t);
    border->reason = "padding";
    return itc_combine_build(g, n, 2, (itc_value *[]){y, border}, (const double[]){1, 1}, out);
}

/** Element of an axis that stands at place `at` before or behind it; -1: the mode is unknown. */
static int64_t mirrored(const char *mode, int64_t at, int64_t extent)
{
    if (strcmp(mode, "edge") == 0) {
        return at < 0 ? 0 : at < extent ? at : extent - 1;
    }
    if (strcmp(mode, "wrap") == 0) {
        return (at % extent + extent) % extent;
    }
    if (strcmp(mode, "reflect") == 0) {
        const int64_t turn = extent > 1 ? 2 * (extent - 1) : 1;
        const int64_t k = (at % turn + turn) % turn;
        return k < extent ? k : turn - k;
    }
    return -1;
}

/** An axis with elements of its own around it. */
static itc_status repeat_border(itc_graph *g, const itc_node *n, const char *mode, int axis,
                                int64_t before, int64_t behind, itc_value **x)
{
    const int64_t extent = (*x)->type.dim[axis].size, count = before + extent + behind;
    if (before == 0 && behind == 0) {
        return ITC_OK;
    }
    if (mirrored(mode, 0, extent) < 0) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0221",
                         "mode is \"%s\", expected constant, reflect, edge or wrap", mode);
    }
    int64_t *index = ITC_NEW_ARRAY(g->ctx, int64_t, count);
    for (int64_t i = 0; i < count; i++) {
        index[i] = mirrored(mode, i - before, extent);
    }
    return itc_gather_build(g, n, *x, axis, count, index, x);
}

static itc_status pad_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    itc_value *x = n->in[0];
    const char *mode = itc_string(n, "mode");
    double v = 0;
    pads p;
    bool any = false;
    ITC_TRY(read_pads(g, n, &p));
    ITC_TRY(crop(g, n, &p, &x));
    itc_type y = x->type;
    itc_box b = itc_box_whole(&y);
    for (int i = 0; i < y.rank; i++) {
        any = any || p.before[i] > 0 || p.behind[i] > 0;
        b.start[i] = p.before[i];
        y.dim[i].size += p.before[i] + p.behind[i];
    }
    out[0] = x;
    if (!any) {
        return ITC_OK;
    }
    if (strcmp(mode, "constant") != 0) {
        for (int i = 0; i < y.rank; i++) {
            ITC_TRY(repeat_border(g, n, mode, i, p.before[i], p.behind[i], &out[0]));
        }
        return ITC_OK;
    }
    ITC_TRY(read_value(g, n, &v));
    ITC_TRY(itc_put_build(g, n, x, &b, &y, &out[0]));
    return v < 0 || v > 0 ? add_border(g, n, &p, v, out[0], &out[0]) : ITC_OK;
}

static itc_status pad_infer(itc_graph *g, itc_node *n)
{
    return itc_error(g->ctx, n, ITC_INTERNAL, "E0221", "Pad is a Put in our form");
}

static const itc_attr_spec pad_attrs[] = {
    {.name = "mode", .kind = ITC_ATTR_STRING, .s = "constant"},
    {.name = "pads", .kind = ITC_ATTR_INTS},
    {.name = "value", .kind = ITC_ATTR_FLOAT},
    {.name = NULL},
};

/**
 * x within a border: zeros (Put), a constant that is added there, or elements of its own (Gather).
 * Negative pads take away. Pads are an attribute before opset 11.
 * Source  ONNX Pad-2, -11, -13, -18, -19, -21, -23, -24, -25
 */
const itc_op_def itc_op_Pad = {
    .name = "Pad",
    .domain = "",
    .in_min = 1,
    .in_max = 4,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 2,
    .versions = (const uint8_t[]){1, 2, 11, 13, 18, 19, 21, 23, 24, 25, 0},
    .roles = (const itc_role_in[]){ITC_IN_PASS, ITC_IN_CONST, ITC_IN_CONST, ITC_IN_CONST},
    .attrs = pad_attrs,
    .summary = "a border: constant, reflect, edge, wrap",
    .normalize = pad_normalize,
    .infer = pad_infer,
};
