/*
 * Elements at places that indices of run time say.
 *
 *     Pick           y[k] = x[place(k)]                    dx = ScatterAdd(dy), the transposed map
 *     ScatterAdd     y[place(k)] += x[k], from zeros       dx = Pick(dy)
 *     ScatterSource  which k is put at each place, and whether one is
 *
 * place(k) is that of GatherElements, x at k's own index but for one axis, or that of GatherND, a
 * tuple of indices behind common axes. A scatter that replaces elements picks from what is put:
 * its sources are plain integers, so its gradient is that of Pick and Where.
 *
 * Mantissas of a Pick are moved; sums of a ScatterAdd are exact, rounded by their consumer.
 * Sources: ONNX GatherElements-13, GatherND-13, ScatterElements-18, ScatterND-18; gradients are the
 * transposed maps.
 */
#include "ir/ops/pick.h"

#include <string.h>

#include "codegen/emit.h"
#include "ir/ops/take.h"
#include "ir/ops/util.h"
#include "passes/grad.h"
#include "passes/lower.h"
#include "passes/plan.h"

/* ---- places ---- */

/** Places of a large tensor x, one for each element of a small one, y:
 * sum of k's coordinates * stride + sum of the tuple's indices * step + k's place in a run. */
typedef struct layout {
    int rank, depth;
    itc_dim shape[ITC_MAX_RANK], stride[ITC_MAX_RANK]; /**< of the tuples */
    itc_dim extent[ITC_MAX_RANK], step[ITC_MAX_RANK];  /**< of a tuple's indices */
    itc_dim inner, size;                               /**< of a run; of x */
    itc_type small;                                    /**< y's shape; no dtype */
} layout;

static itc_status do_not_fit(itc_graph *g, const itc_node *n, const itc_type *x,
                             const itc_type *index)
{
    return itc_error(g->ctx, n, ITC_SHAPE, "E0220", "indices %s do not fit %s",
                     itc_type_text(g->ctx, index), itc_type_text(g->ctx, x));
}

/** The strides of x; false: it is too large. */
static bool strides_of(const itc_type *x, itc_dim *stride, itc_dim *size)
{
    itc_dim all = itc_dim_of(1);
    bool fits = true;
    for (int i = x->rank - 1; i >= 0 && fits; i--) {
        stride[i] = all;
        fits = itc_dims_product(2, (const itc_dim[]){all, x->dim[i]}, &all);
    }
    *size = all;
    return fits;
}

static itc_status elements_layout(itc_graph *g, const itc_node *n, const itc_type *x,
                                  const itc_type *index, int axis, layout *l)
{
    itc_dim stride[ITC_MAX_RANK];
    bool fits =
        x->rank == index->rank && axis >= 0 && axis < x->rank && strides_of(x, stride, &l->size);
    for (int i = 0; fits && i < x->rank; i++) {
        const itc_dim a = x->dim[i], b = index->dim[i];
        fits = i == axis || itc_dim_equal(a, b) || (!a.batch && !b.batch && b.size < a.size);
        l->shape[i] = b;
        l->stride[i] = i == axis ? itc_dim_of(0) : stride[i];
    }
    if (!fits) {
        return do_not_fit(g, n, x, index);
    }
    l->rank = x->rank;
    l->depth = 1;
    l->extent[0] = x->dim[axis];
    l->step[0] = stride[axis];
    l->inner = itc_dim_of(1);
    l->small = itc_type_make(ITC_F32, index->rank, index->dim);
    return ITC_OK;
}

static itc_status tuples_layout(itc_graph *g, const itc_node *n, const itc_type *x,
                                const itc_type *index, int batch, layout *l)
{
    itc_dim stride[ITC_MAX_RANK];
    const int rank = index->rank - 1;
    const itc_dim last = rank >= 0 ? index->dim[rank] : itc_dim_of(0);
    bool fits = batch >= 0 && batch <= rank && !last.batch && last.size >= 1 &&
                batch + last.size <= x->rank &&
                rank + x->rank - batch - last.size <= ITC_MAX_RANK &&
                strides_of(x, stride, &l->size);
    for (int i = 0; fits && i < rank; i++) {
        fits = i >= batch || itc_dim_equal(x->dim[i], index->dim[i]);
        l->shape[i] = index->dim[i];
        l->stride[i] = i < batch ? stride[i] : itc_dim_of(0);
    }
    if (!fits) {
        return do_not_fit(g, n, x, index);
    }
    l->rank = rank;
    l->depth = (int)last.size;
    l->small = itc_type_make(ITC_F32, rank, index->dim);
    for (int i = 0; i < x->rank - batch; i++) {
        if (i < l->depth) {
            l->extent[i] = x->dim[batch + i];
            l->step[i] = stride[batch + i];
        } else {
            l->small.dim[l->small.rank++] = x->dim[batch + i];
        }
    }
    l->inner = l->step[l->depth - 1];
    return ITC_OK;
}

static itc_status layout_of(itc_graph *g, const itc_node *n, const itc_type *x,
                            const itc_type *index, const itc_places *p, layout *l)
{
    itc_dim count;
    if (!itc_is_plain(index) || index->dtype == ITC_BOOL) {
        return itc_error(g->ctx, n, ITC_TYPE, "E0228", "indices are %s",
                         itc_type_text(g->ctx, index));
    }
    *l = (layout){.rank = 0};
    ITC_TRY(p->tuples ? tuples_layout(g, n, x, index, p->batch_dims, l)
                      : elements_layout(g, n, x, index, p->axis, l));
    if (!itc_type_count(&l->small, &count)) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0226", "the result is too large or has N twice");
    }
    return ITC_OK;
}

static bool same_shape(const itc_type *a, const itc_type *b)
{
    bool same = a->rank == b->rank;
    for (int i = 0; same && i < a->rank; i++) {
        same = itc_dim_equal(a->dim[i], b->dim[i]);
    }
    return same;
}

itc_status itc_places_check(itc_graph *g, const itc_node *n, const itc_type *x,
                            const itc_type *index, const itc_places *p, const itc_type *put)
{
    layout l;
    ITC_TRY(layout_of(g, n, x, index, p, &l));
    for (int i = 0; i < l.depth; i++) {
        if (l.extent[i].batch) {
            return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0224", "rows N chosen by indices");
        }
    }
    return !put || same_shape(put, &l.small) ? ITC_OK : do_not_fit(g, n, x, index);
}

itc_status itc_places_resolve(itc_graph *g, const itc_node *n, const itc_tensor *x,
                              const itc_tensor *index, const itc_places *p, int64_t count,
                              int64_t **place)
{
    const itc_type large = itc_tensor_type(x), tuples = itc_tensor_type(index);
    int64_t at[ITC_MAX_RANK] = {0};
    layout l;
    itc_dim small;
    ITC_TRY(layout_of(g, n, &large, &tuples, p, &l));
    if (!itc_type_count(&l.small, &small) || small.size != count) {
        return do_not_fit(g, n, &large, &tuples);
    }
    *place = ITC_NEW_ARRAY(g->ctx, int64_t, count + 1);
    for (int64_t k = 0, run = 0; k < count; run++) {
        int64_t from = 0;
        for (int i = 0; i < l.rank; i++) {
            from += at[i] * l.stride[i].size;
        }
        for (int d = 0; d < l.depth; d++) {
            const int64_t i = run * l.depth + d, v = itc_tensor_get_int(index, i);
            const int64_t own = v < 0 ? v + l.extent[d].size : v;
            if (own < 0 || own >= l.extent[d].size || itc_tensor_flag(index, i)) {
                return itc_error(g->ctx, n, ITC_RANGE, "E0229", "index %lld of %lld", (long long)v,
                                 (long long)l.extent[d].size);
            }
            from += own * l.step[d].size;
        }
        for (int64_t j = 0; j < l.inner.size; j++) {
            (*place)[k++] = from + j;
        }
        for (int i = l.rank - 1; i >= 0 && ++at[i] >= l.shape[i].size; i--) {
            at[i] = 0;
        }
    }
    return ITC_OK;
}

/* ---- attributes ---- */

static itc_places places_of(const itc_node *n)
{
    return (itc_places){itc_int(n, "tuples") != 0, (int)itc_int(n, "axis"),
                        (int)itc_int(n, "batch_dims")};
}

static void set_places(itc_graph *g, itc_node *n, const itc_places *p)
{
    itc_set_int(g, n, "tuples", p->tuples);
    itc_set_int(g, n, "axis", p->tuples ? 0 : p->axis);
    itc_set_int(g, n, "batch_dims", p->tuples ? p->batch_dims : 0);
}

/** The large tensor's shape, as attributes. */
static void set_shape(itc_graph *g, itc_node *n, const itc_type *as)
{
    int64_t extent[ITC_MAX_RANK] = {0};
    int batch = -1;
    for (int i = 0; i < as->rank; i++) {
        extent[i] = as->dim[i].size;
        batch = as->dim[i].batch ? i : batch;
    }
    itc_set_ints(g, n, "shape", as->rank, extent);
    itc_set_int(g, n, "batch_axis", batch);
}

static itc_status shape_of(itc_graph *g, const itc_node *n, itc_type *as)
{
    const int64_t *extent = NULL, batch = itc_int(n, "batch_axis");
    const int rank = itc_ints(n, "shape", &extent);
    itc_dim count;
    *as = itc_type_scalar(ITC_F32);
    as->rank = (uint8_t)(rank <= ITC_MAX_RANK ? rank : 0);
    bool good = rank >= 1 && rank <= ITC_MAX_RANK && batch >= -1 && batch < rank;
    for (int i = 0; good && i < rank; i++) {
        as->dim[i] = (itc_dim){extent[i], i == batch};
        good = extent[i] >= 1;
    }
    if (!good || !itc_type_count(as, &count)) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0221", "the shape of a scatter is not one");
    }
    return ITC_OK;
}

static const itc_attr_spec pick_attrs[] = {{.name = "tuples", .kind = ITC_ATTR_INT},
                                           {.name = "axis", .kind = ITC_ATTR_INT},
                                           {.name = "batch_dims", .kind = ITC_ATTR_INT},
                                           {0}};

static const itc_attr_spec scatter_attrs[] = {
    {.name = "tuples", .kind = ITC_ATTR_INT},
    {.name = "axis", .kind = ITC_ATTR_INT},
    {.name = "batch_dims", .kind = ITC_ATTR_INT},
    {.name = "shape", .kind = ITC_ATTR_INTS, .required = true},
    {.name = "batch_axis", .kind = ITC_ATTR_INT, .i = -1},
    {0}};

static const itc_attr_spec source_attrs[] = {
    {.name = "tuples", .kind = ITC_ATTR_INT},
    {.name = "axis", .kind = ITC_ATTR_INT},
    {.name = "batch_dims", .kind = ITC_ATTR_INT},
    {.name = "shape", .kind = ITC_ATTR_INTS, .required = true},
    {.name = "batch_axis", .kind = ITC_ATTR_INT, .i = -1},
    {.name = "mode", .kind = ITC_ATTR_INT},
    {0}};

static void emit_layout(itc_emit *e, const layout *l)
{
    itc_arg_shape(e, "shape", l->rank, l->shape);
    itc_arg_shape(e, "stride", l->rank, l->stride);
    itc_arg_shape(e, "extent", l->depth, l->extent);
    itc_arg_shape(e, "step", l->depth, l->step);
    itc_arg_int(e, "rank", l->rank);
    itc_arg_int(e, "depth", l->depth);
    itc_arg_dim(e, "inner", l->inner);
    itc_arg_dim(e, "size", l->size);
}

static itc_status one_exponent(itc_graph *g, const itc_node *n)
{
    const itc_type *x = &n->in[0]->type;
    return x->exp_axis < 0 ? ITC_OK
                           : itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0223",
                                       "%s has exponents along an axis", itc_type_text(g->ctx, x));
}

/* ---- Pick ---- */

itc_status itc_pick_build(itc_graph *g, const itc_node *origin, itc_value *x, itc_value *index,
                          const itc_places *p, itc_value **out)
{
    itc_node *m = itc_node_new(g, &itc_op_Pick, origin, 2, (itc_value *[]){x, index}, 1);
    set_places(g, m, p);
    ITC_TRY(itc_infer(g, m));
    *out = m->out[0];
    return ITC_OK;
}

static itc_status pick_infer(itc_graph *g, itc_node *n)
{
    const itc_type *x = &n->in[0]->type;
    const itc_places p = places_of(n);
    layout l;
    ITC_TRY(layout_of(g, n, x, &n->in[1]->type, &p, &l));
    ITC_TRY(one_exponent(g, n));
    l.small.dtype = x->dtype;
    l.small.bits = x->bits;
    n->out[0]->type = l.small;
    return ITC_OK;
}

static itc_status pick_grad(itc_grad *b, const itc_node *n)
{
    const itc_places p = places_of(n);
    itc_value *dx = NULL;
    ITC_TRY(itc_scatter_add_build(itc_grad_graph(b), n, itc_grad_of(b, n, 0), n->in[1], &p,
                                  &n->in[0]->type, &dx));
    return itc_grad_add(b, n, 0, dx);
}

static itc_status pick_emit(itc_emit *e, const itc_node *n)
{
    const itc_type *x = &n->in[0]->type;
    const itc_places p = places_of(n);
    layout l;
    ITC_TRY(layout_of(itc_emit_graph(e), n, x, &n->in[1]->type, &p, &l));
    ITC_TRY(itc_emit_call(e, n, "pick", 0, NULL));
    itc_arg_ptr(e, "x", n->in[0]);
    itc_arg_ptr(e, "index", n->in[1]);
    itc_arg_ptr(e, "y", n->out[0]);
    emit_layout(e, &l);
    itc_arg_int(e, "width", (int)itc_dtype_size(x->dtype));
    return ITC_OK;
}

/**
 * Elements of x at the places that indices say.
 * Shapes  as GatherElements, or with tuples=1 as GatherND
 * Units   e_y = e_x; mantissas are moved
 * Range   an index outside its axis stops the call with ITR_BAD_INPUT
 * Source  ONNX GatherElements-13, GatherND-13
 */
const itc_op_def itc_op_Pick = {
    .name = "Pick",
    .domain = "intrain",
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = ITC_OP_INTERNAL,
    .roles = (const itc_role_in[]){ITC_IN_DATA, ITC_IN_INDEX},
    .attrs = pick_attrs,
    .summary = "elements at places that indices say",
    .infer = pick_infer,
    .grad = pick_grad,
    .demand = ITC_DEMAND_PASS,
    .lower = itc_lower_move,
    .plan = itc_plan_hook_same,
    .emit = pick_emit,
};

/* ---- ScatterAdd ---- */

itc_status itc_scatter_add_build(itc_graph *g, const itc_node *origin, itc_value *x,
                                 itc_value *index, const itc_places *p, const itc_type *as,
                                 itc_value **out)
{
    itc_node *m = itc_node_new(g, &itc_op_ScatterAdd, origin, 2, (itc_value *[]){x, index}, 1);
    set_places(g, m, p);
    set_shape(g, m, as);
    ITC_TRY(itc_infer(g, m));
    *out = m->out[0];
    return ITC_OK;
}

/** The layout of a scatter, whose operand `x` (of elements that are put) must have its shape. */
static itc_status scatter_layout(itc_graph *g, const itc_node *n, const itc_type *x,
                                 const itc_type *index, itc_type *as, layout *l)
{
    const itc_places p = places_of(n);
    ITC_TRY(shape_of(g, n, as));
    ITC_TRY(layout_of(g, n, as, index, &p, l));
    return !x || same_shape(x, &l->small) ? ITC_OK : do_not_fit(g, n, x, index);
}

/** Elements that meet at one place at most. */
static itc_status most_terms(itc_graph *g, const itc_node *n, itc_dim *k)
{
    const itc_type *index = &n->in[1]->type;
    const itc_places p = places_of(n);
    const int from = p.tuples ? p.batch_dims : p.axis;
    const int count = p.tuples ? index->rank - 1 - from : 1;
    if (!itc_dims_product(count, index->dim + from, k)) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0226", "the result is too large");
    }
    return ITC_OK;
}

static itc_status scatter_add_infer(itc_graph *g, itc_node *n)
{
    itc_type as, sum;
    itc_dim k;
    layout l;
    ITC_TRY(scatter_layout(g, n, &n->in[0]->type, &n->in[1]->type, &as, &l));
    ITC_TRY(one_exponent(g, n));
    ITC_TRY(most_terms(g, n, &k));
    ITC_TRY(itc_sum_type(g, n, k, n->in[0], NULL, &sum));
    as.dtype = sum.dtype;
    as.bits = sum.bits;
    n->out[0]->type = as;
    return ITC_OK;
}

static itc_status scatter_add_grad(itc_grad *b, const itc_node *n)
{
    const itc_places p = places_of(n);
    itc_value *dx = NULL;
    ITC_TRY(itc_pick_build(itc_grad_graph(b), n, itc_grad_of(b, n, 0), n->in[1], &p, &dx));
    return itc_grad_add(b, n, 0, dx);
}

static itc_status scatter_add_plan(itc_plan *p, itc_node *n)
{
    itc_dim k;
    ITC_TRY(most_terms(itc_plan_graph(p), n, &k));
    itc_plan_same(p, n->out[0], n->in[0]);
    return itc_plan_bound(p, n, k, n->in[0]->type.bits, 1);
}

static itc_status scatter_add_emit(itc_emit *e, const itc_node *n)
{
    itc_type as;
    layout l;
    ITC_TRY(scatter_layout(itc_emit_graph(e), n, &n->in[0]->type, &n->in[1]->type, &as, &l));
    ITC_TRY(itc_emit_call(e, n, "scatter_add", 2, (itc_value *[]){n->in[0], n->out[0]}));
    itc_arg_ptr(e, "x", n->in[0]);
    itc_arg_ptr(e, "index", n->in[1]);
    itc_arg_ptr(e, "y", n->out[0]);
    emit_layout(e, &l);
    itc_arg_int(e, "width", 0);
    return ITC_OK;
}

/**
 * Zeros of `shape` and the elements of x added at the places that indices say.
 * Shapes  x as the result of a Pick from the result's shape
 * Units   e_y = e_x
 * Range   as many terms as indices may meet at one place: i32 where they fit, else i64
 * Source  ONNX ScatterElements-18, ScatterND-18; the gradient of Pick
 */
const itc_op_def itc_op_ScatterAdd = {
    .name = "ScatterAdd",
    .domain = "intrain",
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = ITC_OP_INTERNAL,
    .roles = (const itc_role_in[]){ITC_IN_DATA, ITC_IN_INDEX},
    .attrs = scatter_attrs,
    .summary = "elements added in zeros at places that indices say",
    .infer = scatter_add_infer,
    .grad = scatter_add_grad,
    .demand = ITC_DEMAND_OPERAND,
    .lower = itc_lower_linear,
    .plan = scatter_add_plan,
    .emit = scatter_add_emit,
};

/* ---- ScatterSource ---- */

itc_status itc_scatter_pick(itc_graph *g, const itc_node *origin, itc_value *x, itc_value *index,
                            const itc_places *p, itc_scatter_mode mode, const itc_type *as,
                            itc_value **value, itc_value **written)
{
    const int n_in = mode == ITC_SCATTER_LAST ? 1 : 2;
    itc_node *m =
        itc_node_new(g, &itc_op_ScatterSource, origin, n_in, (itc_value *[]){index, x}, 2);
    set_places(g, m, p);
    set_shape(g, m, as);
    itc_set_int(g, m, "mode", mode);
    ITC_TRY(itc_infer(g, m));
    itc_type flat = itc_type_make(ITC_F32, 1, &(itc_dim){1, false}), tuple = m->out[0]->type;
    itc_value *all = NULL, *at = NULL;
    if (!itc_type_count(&x->type, &flat.dim[0])) {
        return ITC_INTERNAL;
    }
    ITC_TRY(itc_view_build(g, origin, x, &flat, &all));
    if (tuple.rank == ITC_MAX_RANK) {
        return itc_error(g->ctx, origin, ITC_UNSUPPORTED, "E0201",
                         "a scatter of rank %d is not supported", ITC_MAX_RANK);
    }
    tuple.dim[tuple.rank++] = itc_dim_of(1);
    ITC_TRY(itc_view_build(g, origin, m->out[0], &tuple, &at));
    *written = m->out[1];
    return itc_pick_build(g, origin, all, at, &(itc_places){.tuples = true}, value);
}

static itc_status source_infer(itc_graph *g, itc_node *n)
{
    const itc_type *x = n->n_in > 1 ? &n->in[1]->type : NULL;
    const int64_t mode = itc_int(n, "mode");
    itc_type as;
    layout l;
    if (mode < ITC_SCATTER_LAST || mode > ITC_SCATTER_MIN || (mode == ITC_SCATTER_LAST) != !x) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0221", "mode %lld with %d operands",
                         (long long)mode, n->n_in);
    }
    ITC_TRY(scatter_layout(g, n, x, &n->in[0]->type, &as, &l));
    as.dtype = ITC_I64;
    n->out[0]->type = as;
    as.dtype = ITC_BOOL;
    n->out[1]->type = as;
    return ITC_OK;
}

/** Elements compare at the wide width, whatever the width at which they are taken. */
static itc_status source_lower(itc_lower *l, const itc_node *n)
{
    itc_value *in[2] = {NULL};
    itc_node *m = NULL;
    ITC_TRY(itc_lower_get(l, n, n->in[0], 0, &in[0]));
    if (n->n_in > 1) {
        ITC_TRY(itc_lower_get_wide(l, n, n->in[1], itc_lower_wide_bits(l), &in[1]));
    }
    ITC_TRY(itc_lower_build(l, n, n->op, n->n_in, in, 2, &m));
    itc_lower_set(l, n->out[0], m->out[0]);
    itc_lower_set(l, n->out[1], m->out[1]);
    return ITC_OK;
}

/** Plain integers have no gradient. */
static itc_status source_grad(itc_grad *b, const itc_node *n)
{
    (void)b;
    (void)n;
    return ITC_OK;
}

static itc_status source_emit(itc_emit *e, const itc_node *n)
{
    const itc_type *x = n->n_in > 1 ? &n->in[1]->type : NULL;
    itc_type as;
    layout l;
    ITC_TRY(scatter_layout(itc_emit_graph(e), n, x, &n->in[0]->type, &as, &l));
    ITC_TRY(itc_emit_call(e, n, x ? "scatter_best" : "scatter_last", x ? 1 : 0, n->in + 1));
    itc_arg_ptr(e, "x", x ? n->in[1] : NULL);
    itc_arg_ptr(e, "index", n->in[0]);
    itc_arg_ptr(e, "y", n->out[0]);
    itc_arg_ptr(e, "written", n->out[1]);
    emit_layout(e, &l);
    itc_arg_int(e, "least", itc_int(n, "mode") == ITC_SCATTER_MIN);
    return ITC_OK;
}

/**
 * Which element is put at each place: the last one (mode 0), the first of the largest (1) or of the
 * smallest (2) of operand 1. Result 0 counts the elements that are put, 0 where there is none;
 * result 1 says where there is one.
 * Shapes  indices and elements as of a ScatterAdd; results of `shape`
 * Source  ONNX ScatterElements-18, ScatterND-18
 */
const itc_op_def itc_op_ScatterSource = {
    .name = "ScatterSource",
    .domain = "intrain",
    .in_min = 1,
    .in_max = 2,
    .out_min = 2,
    .out_max = 2,
    .flags = ITC_OP_INTERNAL,
    .roles = (const itc_role_in[]){ITC_IN_INDEX, ITC_IN_DATA},
    .attrs = source_attrs,
    .summary = "which element a scatter puts at each place, and whether one is put",
    .infer = source_infer,
    .grad = source_grad,
    .demand = ITC_DEMAND_WIDE,
    .lower = source_lower,
    .emit = source_emit,
};
