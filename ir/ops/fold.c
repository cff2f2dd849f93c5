/*
 * Arithmetic on constants: what models compute shapes with. An element is data, or data * N where
 * N is the rows of a call; the results must have one of these forms again.
 */
#include <math.h>

#include "ir/ops/util.h"

/** v, or v * N. */
typedef struct number {
    int64_t v;
    bool n;
} number;

static bool add_overflows(int64_t a, int64_t b)
{
    return b > 0 ? a > INT64_MAX - b : a < INT64_MIN - b;
}

static bool mul_overflows(int64_t a, int64_t b)
{
    if (a == 0 || b == 0) {
        return false;
    }
    if (a == -1 || b == -1) {
        return a == INT64_MIN || b == INT64_MIN;
    }
    if ((a > 0) == (b > 0)) {
        return a > 0 ? a > INT64_MAX / b : a < INT64_MAX / b;
    }
    return a > 0 ? b < INT64_MIN / a : a < INT64_MIN / b;
}

/** Whether a * N + b * (N or 1) is one number; zeros take either form. */
static bool add_numbers(number a, number b, number *out)
{
    if (a.v != 0 && b.v != 0 && a.n != b.n) {
        return false;
    }
    if (add_overflows(a.v, b.v)) {
        return false;
    }
    *out = (number){a.v + b.v, (a.n && a.v != 0) || (b.n && b.v != 0)};
    return true;
}

static bool mul_numbers(number a, number b, number *out)
{
    if ((a.n && b.n) || mul_overflows(a.v, b.v)) {
        return false;
    }
    *out = (number){a.v * b.v, a.n || b.n};
    return true;
}

/** Truncates towards zero, as ONNX's integer Div does. */
static bool div_numbers(number a, number b, number *out)
{
    if (b.v == 0 || (a.v == INT64_MIN && b.v == -1)) {
        return false;
    }
    if (b.n && !a.n) {
        return false;
    }
    if (a.n && !b.n && a.v % b.v != 0) {
        return false;
    }
    *out = (number){a.v / b.v, a.n && !b.n};
    return true;
}

static bool mod_numbers(number a, number b, bool fmod_rule, number *out)
{
    if (b.v == 0 || (a.v == INT64_MIN && b.v == -1) || (a.n != b.n && a.v % b.v != 0) ||
        (b.n && !a.n && a.v != 0)) {
        return false;
    }
    int64_t r = a.v % b.v;
    if (!fmod_rule && r != 0 && (r < 0) != (b.v < 0)) {
        r += b.v;
    }
    *out = (number){r, a.n && r != 0};
    return true;
}

/** The larger of two plain numbers, or of two multiples of N. */
static bool max_numbers(number a, number b, bool least, number *out)
{
    const bool first = least ? a.v <= b.v : a.v >= b.v;
    *out = first ? a : b;
    return a.n == b.n;
}

static bool compute_int(const itc_node *n, number a, number b, number *out)
{
    bool ok;
    if (n->op == &itc_op_Max || n->op == &itc_op_Min) {
        ok = max_numbers(a, b, n->op == &itc_op_Min, out);
    } else if (n->op == &itc_op_Add || n->op == &itc_op_Sum) {
        ok = add_numbers(a, b, out);
    } else if (n->op == &itc_op_Sub) {
        b.v = b.v == INT64_MIN ? b.v : -b.v;
        ok = b.v != INT64_MIN && add_numbers(a, b, out);
    } else if (n->op == &itc_op_Mul) {
        ok = mul_numbers(a, b, out);
    } else if (n->op == &itc_op_Div) {
        ok = div_numbers(a, b, out);
    } else {
        ok = mod_numbers(a, b, itc_int(n, "fmod") != 0, out);
    }
    out->n = out->n && out->v != 0; /* no rows times N is none */
    return ok;
}

static float compute_float(const itc_node *n, double a, double b)
{
    if (n->op == &itc_op_Add || n->op == &itc_op_Sum || n->op == &itc_op_Mean) {
        return (float)(a + b);
    }
    if (n->op == &itc_op_Max || n->op == &itc_op_Min) {
        return (float)((a > b) == (n->op == &itc_op_Max) ? a : b);
    }
    if (n->op == &itc_op_Sub) {
        return (float)(a - b);
    }
    if (n->op == &itc_op_Mul) {
        return (float)(a * b);
    }
    return (float)(n->op == &itc_op_Div ? a / b : fmod(a, b));
}

/** Floats that count rows come from casts of shapes; only their scaling by plain numbers is known.
 */
static bool float_flag(const itc_node *n, bool a, bool b, bool *out)
{
    *out = (a || b) && !(a && b && n->op == &itc_op_Div);
    if (!a && !b) {
        return true;
    }
    if (n->op == &itc_op_Mul) {
        return !(a && b);
    }
    if (n->op == &itc_op_Div) {
        return a;
    }
    return a && b && (n->op == &itc_op_Add || n->op == &itc_op_Sub);
}

int64_t itc_fold_source(const itc_tensor *t, const itc_tensor *out, int64_t i)
{
    int64_t index = 0, stride = 1;
    for (int axis = out->rank - 1; axis >= 0; axis--) {
        const int64_t at = i % out->dim[axis];
        const int mine = axis - (out->rank - t->rank);
        i /= out->dim[axis];
        if (mine >= 0) {
            index += t->dim[mine] == 1 ? 0 : at * stride;
            stride *= t->dim[mine];
        }
    }
    return index;
}

/** Broadcasts t's extents into dim, aligned at the end; rank is at least t's. */
static itc_status widen(itc_graph *g, const itc_node *n, const itc_tensor *t, int rank,
                        int64_t *dim)
{
    for (int i = 0; i < t->rank; i++) {
        int64_t *d = &dim[i + rank - t->rank];
        if (t->dim[i] != *d && t->dim[i] != 1 && *d != 1) {
            return itc_error(g->ctx, n, ITC_SHAPE, "E0220",
                             "extents %lld and %lld do not broadcast", (long long)*d,
                             (long long)t->dim[i]);
        }
        *d = *d == 1 ? t->dim[i] : *d;
    }
    return ITC_OK;
}

/** A tensor of zeros of the shape that `count` tensors broadcast to. */
static itc_status broadcast_of(itc_graph *g, const itc_node *n, int count,
                               const itc_tensor *const *t, itc_dtype dtype, itc_tensor **out)
{
    int64_t dim[ITC_MAX_RANK] = {1, 1, 1, 1, 1, 1, 1, 1}, size = 1;
    int rank = 0;
    for (int i = 0; i < count; i++) {
        rank = t[i]->rank > rank ? t[i]->rank : rank;
    }
    for (int i = 0; i < count; i++) {
        ITC_TRY(widen(g, n, t[i], rank, dim));
    }
    for (int i = 0; i < rank; i++) {
        if (!itc_size_mul(size, dim[i], &size) || size > INT32_MAX) {
            return itc_error(g->ctx, n, ITC_RANGE, "E0227", "the constant result is too large");
        }
    }
    *out = itc_tensor_new(g->ctx, dtype, rank, dim);
    return ITC_OK;
}

itc_status itc_fold_broadcast(itc_graph *g, const itc_node *n, itc_dtype dtype, itc_tensor **out)
{
    const itc_tensor **t = ITC_NEW_ARRAY(g->ctx, const itc_tensor *, n->n_in + 1);
    *out = NULL;
    for (int i = 0; i < n->n_in; i++) {
        t[i] = itc_operand_const(n, i);
        if (!t[i] || !t[i]->data) {
            return ITC_OK;
        }
    }
    return broadcast_of(g, n, n->n_in, t, dtype, out);
}

/** n's operator between a and b, broadcast. */
static itc_status fold_pair(itc_graph *g, const itc_node *n, const itc_tensor *a,
                            const itc_tensor *b, itc_tensor **out)
{
    if (a->dtype != b->dtype) {
        return itc_error(g->ctx, n, ITC_TYPE, "E0228", "operands are %s and %s",
                         itc_dtype_name(a->dtype), itc_dtype_name(b->dtype));
    }
    itc_tensor *y = NULL;
    ITC_TRY(broadcast_of(g, n, 2, (const itc_tensor *[]){a, b}, a->dtype, &y));
    for (int64_t i = 0; i < y->count; i++) {
        const int64_t ia = itc_fold_source(a, y, i), ib = itc_fold_source(b, y, i);
        const bool fa = itc_tensor_flag(a, ia), fb = itc_tensor_flag(b, ib);
        number r = {0, false};
        bool ok;
        if (y->dtype == ITC_F32) {
            ok = float_flag(n, fa, fb, &r.n) && itc_tensor_set_int(g->ctx, y, i, 0, r.n);
            ((float *)y->data)[i] = compute_float(n, itc_tensor_get(a, ia), itc_tensor_get(b, ib));
        } else {
            ok = compute_int(n, (number){itc_tensor_get_int(a, ia), fa},
                             (number){itc_tensor_get_int(b, ib), fb}, &r) &&
                 itc_tensor_set_int(g->ctx, y, i, r.v, r.n);
        }
        if (!ok) {
            return itc_error(g->ctx, n, ITC_RANGE, "E0227",
                             "%s of %lld%s and %lld%s overflows or is no multiple of the rows N",
                             n->op->name, (long long)itc_tensor_get_int(a, ia), fa ? "*N" : "",
                             (long long)itc_tensor_get_int(b, ib), fb ? "*N" : "");
        }
    }
    *out = y;
    return ITC_OK;
}

itc_status itc_fold_binary(itc_graph *g, itc_node *n, itc_tensor **out)
{
    const itc_tensor *a = itc_operand_const(n, 0), *b = itc_operand_const(n, 1);
    out[0] = NULL;
    return a && b && a->data && b->data ? fold_pair(g, n, a, b, &out[0]) : ITC_OK;
}

itc_status itc_fold_many(itc_graph *g, itc_node *n, itc_tensor **out)
{
    for (int i = 0; i < n->n_in; i++) {
        const itc_tensor *t = itc_operand_const(n, i);
        if (!t || !t->data) {
            return ITC_OK;
        }
    }
    ITC_TRY(itc_fold_same(g, n, out));
    for (int i = 1; i < n->n_in; i++) {
        ITC_TRY(fold_pair(g, n, out[0], itc_operand_const(n, i), &out[0]));
    }
    for (int64_t i = 0; n->op == &itc_op_Mean && n->n_in > 1 && i < out[0]->count; i++) {
        ((float *)out[0]->data)[i] /= (float)n->n_in;
    }
    return ITC_OK;
}

itc_status itc_fold_neg(itc_graph *g, itc_node *n, itc_tensor **out)
{
    const itc_tensor *x = itc_operand_const(n, 0);
    out[0] = NULL;
    if (!x || !x->data) {
        return ITC_OK;
    }
    itc_tensor *y = itc_tensor_new(g->ctx, x->dtype, x->rank, x->dim);
    for (int64_t i = 0; i < y->count; i++) {
        const int64_t v = itc_tensor_get_int(x, i);
        if (y->dtype == ITC_F32) {
            itc_tensor_copy_element(g->ctx, y, i, x, i);
            ((float *)y->data)[i] = -((const float *)x->data)[i];
        } else if (v == INT64_MIN || !itc_tensor_set_int(g->ctx, y, i, -v, itc_tensor_flag(x, i))) {
            return itc_error(g->ctx, n, ITC_RANGE, "E0227", "-(%lld) overflows", (long long)v);
        }
    }
    out[0] = y;
    return ITC_OK;
}
