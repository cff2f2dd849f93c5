#include "ir/ops/util.h"

#include <string.h>

#include "passes/grad.h"
#include "passes/lower.h"

/* ---- operands and attributes ---- */

const itc_tensor *itc_operand_const(const itc_node *n, int i)
{
    const itc_value *v = i < n->n_in ? n->in[i] : NULL;
    return v && v->kind == ITC_VALUE_CONST ? v->data : NULL;
}

itc_status itc_operand_list(itc_graph *g, const itc_node *n, const char *attr, int i,
                            const itc_tensor **out)
{
    *out = NULL;
    if (i < n->n_in && n->in[i]) {
        const itc_tensor *t = itc_operand_const(n, i);
        if (!t) {
            return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0225",
                             "input %s must be known when compiling", attr);
        }
        if (t->dtype == ITC_F32 || t->rank > 1) {
            return itc_error(g->ctx, n, ITC_TYPE, "E0228",
                             "input %s is %s, expected a list of integers", attr,
                             itc_type_text(g->ctx, &n->in[i]->type));
        }
        *out = t;
        return ITC_OK;
    }
    const int64_t *v = NULL;
    const int count = itc_ints(n, attr, &v);
    if (count > 0 || itc_attr_find(n, attr)) {
        *out = itc_tensor_i64(g->ctx, count, v);
    }
    return ITC_OK;
}

itc_status itc_operand_integer(itc_graph *g, const itc_node *n, int i, int64_t otherwise,
                               int64_t *out)
{
    const itc_tensor *t = itc_operand_const(n, i);
    *out = otherwise;
    if (i >= n->n_in || !n->in[i]) {
        return ITC_OK;
    }
    if (!t || !t->data || t->count != 1 || t->dtype == ITC_F32 || itc_tensor_flag(t, 0)) {
        return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0225",
                         "operand %d must be an integer that is known when compiling", i);
    }
    *out = itc_tensor_get_int(t, 0);
    return ITC_OK;
}

itc_status itc_operand_rank(itc_graph *g, const itc_node *n, int i, int lo, int hi)
{
    const int rank = n->in[i]->type.rank;
    if (rank >= lo && rank <= hi) {
        return ITC_OK;
    }
    if (lo == hi) {
        return itc_error(g->ctx, n, ITC_SHAPE, "E0203", "input %d has rank %d, expected %d", i,
                         rank, lo);
    }
    return itc_error(g->ctx, n, ITC_SHAPE, "E0203", "input %d has rank %d, expected %d to %d", i,
                     rank, lo, hi);
}

itc_status itc_operand_real(itc_graph *g, const itc_node *n, int i)
{
    const itc_type *t = &n->in[i]->type;
    if (t->dtype == ITC_F32 || (t->dtype != ITC_BOOL && t->dtype != ITC_U8 && t->bits > 0)) {
        return ITC_OK;
    }
    return itc_error(g->ctx, n, ITC_TYPE, "E0228", "input %d is %s, expected real numbers", i,
                     itc_type_text(g->ctx, t));
}

itc_status itc_axis_resolve(itc_graph *g, const itc_node *n, int64_t axis, int rank, int *out)
{
    if (axis < -rank || axis >= rank) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0222", "axis %lld of a tensor of rank %d",
                         (long long)axis, rank);
    }
    *out = (int)(axis < 0 ? axis + rank : axis);
    return ITC_OK;
}

itc_status itc_axes_mask(itc_graph *g, const itc_node *n, const itc_tensor *axes, int rank,
                         uint32_t *mask)
{
    *mask = 0;
    for (int64_t i = 0; i < axes->count; i++) {
        int axis = 0;
        ITC_TRY(itc_axis_resolve(g, n, itc_tensor_get_int(axes, i), rank, &axis));
        if ((*mask >> axis & 1) != 0) {
            return itc_error(g->ctx, n, ITC_RANGE, "E0222", "axis %d is given twice", axis);
        }
        *mask |= (uint32_t)1 << axis;
    }
    return ITC_OK;
}

bool itc_dims_product(int n, const itc_dim *d, itc_dim *out)
{
    itc_dim all = {1, false};
    for (int i = 0; i < n; i++) {
        if (!itc_size_mul(all.size, d[i].size, &all.size) || (all.batch && d[i].batch)) {
            return false;
        }
        all.batch = all.batch || d[i].batch;
    }
    *out = all;
    return true;
}

int itc_log2_ceil(int64_t v)
{
    int bits = 0;
    while (bits < 62 && ((int64_t)1 << bits) < v) {
        bits++;
    }
    return bits;
}

/* ---- builders ---- */

itc_status itc_view_build(itc_graph *g, const itc_node *origin, itc_value *x, const itc_type *as,
                          itc_value **out)
{
    itc_type same = *as;
    same.dtype = x->type.dtype;
    *out = x;
    if (itc_type_equal(&same, &x->type)) {
        return ITC_OK;
    }
    int64_t shape[ITC_MAX_RANK] = {0};
    int batch_axis = -1;
    for (int i = 0; i < as->rank; i++) {
        shape[i] = as->dim[i].size;
        batch_axis = as->dim[i].batch ? i : batch_axis;
    }
    itc_node *view = itc_node_new(g, &itc_op_View, origin, 1, &x, 1);
    itc_set_ints(g, view, "shape", as->rank, shape);
    itc_set_int(g, view, "batch_axis", batch_axis);
    ITC_TRY(itc_infer(g, view));
    *out = view->out[0];
    return ITC_OK;
}

itc_status itc_combine_build(itc_graph *g, const itc_node *origin, int n, itc_value *const *in,
                             const double *coef, itc_value **out)
{
    itc_coef *c = ITC_NEW_ARRAY(g->ctx, itc_coef, n);
    for (int i = 0; i < n; i++) {
        c[i] = (itc_coef){coef[i], ITC_SYM_NONE};
    }
    itc_node *sum = itc_node_new(g, &itc_op_Combine, origin, n, in, 1);
    itc_set_coefs(g, sum, "coef", n, c);
    ITC_TRY(itc_infer(g, sum));
    *out = sum->out[0];
    return ITC_OK;
}

itc_status itc_apply_node(itc_graph *g, itc_node *n, itc_value **out)
{
    itc_value **made = ITC_NEW_ARRAY(g->ctx, itc_value *, n->n_out + 1);
    ITC_TRY(itc_check_kinds(g, n));
    if (n->op->normalize) {
        ITC_TRY(n->op->normalize(g, n, made));
    }
    n->dead = made[0] != NULL;
    if (!n->dead) {
        ITC_TRY(itc_infer(g, n));
    }
    *out = n->dead ? made[0] : n->out[0];
    return ITC_OK;
}

itc_status itc_apply(itc_graph *g, const itc_node *origin, const itc_op_def *op, int n_in,
                     itc_value *const *in, itc_value **out)
{
    return itc_apply_node(g, itc_node_new(g, op, origin, n_in, in, 1), out);
}

static itc_value *named_const(itc_graph *g, const itc_node *origin, const char *what, itc_tensor *t)
{
    itc_value *c = itc_const_new(g, itc_format(g->ctx, "%s.%s", origin->out[0]->name, what), t);
    c->reason = what;
    return c;
}

itc_value *itc_scalar_const(itc_graph *g, const itc_node *origin, const char *what, itc_dtype dtype,
                            double v)
{
    itc_tensor *t = itc_tensor_new(g->ctx, dtype, 0, NULL);
    if (dtype == ITC_F32) {
        *(float *)t->data = (float)v;
    } else {
        (void)!itc_tensor_set_int(g->ctx, t, 0, (int64_t)v, false); /* small numbers */
    }
    return named_const(g, origin, what, t);
}

itc_value *itc_list_const(itc_graph *g, const itc_node *origin, const char *what, int rank,
                          const int64_t *dim, const int64_t *v)
{
    itc_tensor *t = itc_tensor_new(g->ctx, ITC_I64, rank, dim);
    memcpy(t->data, v, sizeof *v * (size_t)t->count);
    return named_const(g, origin, what, t);
}

void itc_attr_copy(itc_graph *g, itc_node *to, const itc_node *from, const char *name)
{
    const itc_attr *a = itc_attr_find(from, name);
    if (a) {
        itc_attr_set(g, to, *a);
    }
}

itc_status itc_grad_unbroadcast(itc_grad *b, const itc_node *n, itc_value *v, const itc_value *like,
                                itc_value **out)
{
    itc_graph *g = itc_grad_graph(b);
    int64_t axes[ITC_MAX_RANK];
    int n_axes = 0;
    const int lead = v->type.rank - like->type.rank;
    bool same_rank = lead == 0;
    for (int i = 0; i < v->type.rank; i++) {
        if (i < lead || !itc_dim_equal(v->type.dim[i], like->type.dim[i - lead])) {
            axes[n_axes++] = i;
        }
    }
    *out = v;
    if (n_axes > 0) {
        itc_node *sum = itc_node_new(g, &itc_op_ReduceSumTo, n, 1, &v, 1);
        itc_set_ints(g, sum, "axes", n_axes, axes);
        itc_set_int(g, sum, "keepdims", same_rank);
        ITC_TRY(itc_infer(g, sum));
        *out = sum->out[0];
    }
    return itc_view_build(g, n, *out, &like->type, out);
}

itc_status itc_grad_add_shaped(itc_grad *b, const itc_node *n, int i, itc_value *v)
{
    itc_dim have, want;
    if (itc_type_count(&v->type, &have) && itc_type_count(&n->in[i]->type, &want) &&
        itc_dim_equal(have, want)) {
        ITC_TRY(itc_view_build(itc_grad_graph(b), n, v, &n->in[i]->type, &v));
    } else {
        ITC_TRY(itc_grad_unbroadcast(b, n, v, n->in[i], &v));
    }
    return itc_grad_add(b, n, i, v);
}

/* ---- integers ---- */

itc_status itc_sum_type(itc_graph *g, const itc_node *n, itc_dim k, const itc_value *a,
                        const itc_value *b, itc_type *out)
{
    const itc_type *ta = &a->type, *tb = b ? &b->type : &a->type;
    *out = itc_type_scalar(ITC_F32);
    if (ta->dtype == ITC_F32 && tb->dtype == ITC_F32) {
        return ITC_OK;
    }
    if (ta->dtype != tb->dtype || (ta->dtype != ITC_I8 && ta->dtype != ITC_I16) || ta->bits == 0 ||
        tb->bits == 0) {
        return itc_error(g->ctx, n, ITC_TYPE, "E0228",
                         "operands are %s and %s, expected both f32, or mantissas in i8 or i16",
                         itc_type_text(g->ctx, ta), itc_type_text(g->ctx, tb));
    }
    ITC_TRY(itc_accumulator_type(g, n, k, ta->bits, b ? tb->bits : 1, out));
    if (ta->dtype == ITC_I16) {
        out->dtype = ITC_I64;
    }
    return ITC_OK;
}

/* ---- constants ---- */

itc_tensor *itc_tensor_reshape(itc_ctx *ctx, const itc_tensor *t, int rank, const itc_dim *dim)
{
    itc_tensor *r = ITC_NEW(ctx, itc_tensor);
    *r = *t;
    r->rank = (uint8_t)rank;
    for (int i = 0; i < rank; i++) {
        r->dim[i] = dim[i].size;
    }
    return r;
}

bool itc_tensor_flag(const itc_tensor *t, int64_t i)
{
    return t->batch && t->batch[i] != 0;
}

static void set_flag(itc_ctx *ctx, itc_tensor *t, int64_t i, bool flag)
{
    if (flag && !t->batch) {
        t->batch = ITC_NEW_ARRAY(ctx, uint8_t, t->count);
    }
    if (t->batch) {
        t->batch[i] = flag;
    }
}

/** Stores v as t's dtype; false when it does not fit. */
bool itc_tensor_set_int(itc_ctx *ctx, itc_tensor *t, int64_t i, int64_t v, bool flag)
{
    static const struct {
        int64_t lo, hi;
    } range[ITC_DTYPE_COUNT] = {
        [ITC_F32] = {INT64_MIN, INT64_MAX},
        [ITC_I8] = {INT8_MIN, INT8_MAX},
        [ITC_I16] = {INT16_MIN, INT16_MAX},
        [ITC_I32] = {INT32_MIN, INT32_MAX},
        [ITC_I64] = {INT64_MIN, INT64_MAX},
        [ITC_U8] = {0, UINT8_MAX},
        [ITC_BOOL] = {0, 1},
    };
    if (v < range[t->dtype].lo || v > range[t->dtype].hi) {
        return false;
    }
    switch (t->dtype) {
    case ITC_F32:
        ((float *)t->data)[i] = (float)v;
        break;
    case ITC_I8:
        ((int8_t *)t->data)[i] = (int8_t)v;
        break;
    case ITC_I16:
        ((int16_t *)t->data)[i] = (int16_t)v;
        break;
    case ITC_I32:
        ((int32_t *)t->data)[i] = (int32_t)v;
        break;
    case ITC_I64:
        ((int64_t *)t->data)[i] = v;
        break;
    case ITC_U8:
    case ITC_BOOL:
        ((uint8_t *)t->data)[i] = (uint8_t)v;
        break;
    case ITC_DTYPE_COUNT:
        return false;
    }
    set_flag(ctx, t, i, flag);
    return true;
}

void itc_tensor_copy_element(itc_ctx *ctx, itc_tensor *to, int64_t j, const itc_tensor *from,
                             int64_t i)
{
    const size_t size = itc_dtype_size(to->dtype);
    memcpy((char *)to->data + (size_t)j * size, (const char *)from->data + (size_t)i * size, size);
    set_flag(ctx, to, j, itc_tensor_flag(from, i));
}

itc_status itc_fold_same(itc_graph *g, itc_node *n, itc_tensor **out)
{
    const itc_tensor *t = itc_operand_const(n, 0);
    itc_dim dim[ITC_MAX_RANK];
    for (int i = 0; t && i < t->rank; i++) {
        dim[i] = (itc_dim){t->dim[i], false};
    }
    out[0] = t ? itc_tensor_reshape(g->ctx, t, t->rank, dim) : NULL;
    return ITC_OK;
}

/* ---- types ---- */

itc_status itc_infer_broadcast(itc_graph *g, itc_node *n)
{
    itc_type t = n->in[0]->type;
    for (int i = 1; i < n->n_in; i++) {
        if (!n->in[i]) {
            continue;
        }
        const itc_type *a = &n->in[i]->type;
        itc_type r = t;
        r.rank = a->rank > t.rank ? a->rank : t.rank;
        for (int k = 0; k < r.rank; k++) {
            const int ka = k - (r.rank - a->rank), kt = k - (r.rank - t.rank);
            const itc_dim one = {1, false};
            const itc_dim da = ka < 0 ? one : a->dim[ka], dt = kt < 0 ? one : t.dim[kt];
            if (itc_dim_equal(da, one)) {
                r.dim[k] = dt;
            } else if (itc_dim_equal(dt, one) || itc_dim_equal(da, dt)) {
                r.dim[k] = da;
            } else {
                return itc_error(g->ctx, n, ITC_SHAPE, "E0240",
                                 "operands %s and %s do not broadcast", itc_type_text(g->ctx, &t),
                                 itc_type_text(g->ctx, a));
            }
        }
        t = r;
    }
    n->out[0]->type = t;
    return ITC_OK;
}

itc_status itc_infer_same_real(itc_graph *g, itc_node *n)
{
    ITC_TRY(itc_operand_real(g, n, 0));
    n->out[0]->type = n->in[0]->type;
    return ITC_OK;
}

itc_status itc_transpose_build(itc_graph *g, const itc_node *origin, itc_value *x,
                               const int64_t *perm, itc_value **out)
{
    itc_node *m = itc_node_new(g, &itc_op_Transpose, origin, 1, &x, 1);
    itc_set_ints(g, m, "perm", x->type.rank, perm);
    ITC_TRY(itc_infer(g, m));
    *out = m->out[0];
    return ITC_OK;
}
