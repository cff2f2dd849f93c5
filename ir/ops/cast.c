/*
 * Other element types: Cast and CastLike, and what they become between real numbers and integers.
 *
 *     ToReal    a plain integer as a real number: on integers mantissas of 15 bits, rounded to
 *               nearest where it has more
 *     ToWhole   a real number as a plain integer, towards zero: of mantissas of 15 bits
 *
 * Booleans become 1 or 0 of either kind, and either are true where they are not 0. Integers have no
 * gradient. Sources: ONNX Cast-6, -9, -13, -19, -21, -23, -24, -25, -28, CastLike-15 to -25.
 */
#include <math.h>

#include "codegen/emit.h"
#include "ir/ops/util.h"
#include "passes/grad.h"
#include "passes/lower.h"
#include "passes/plan.h"

/** Plain integers have no gradient. */
static itc_status no_grad(itc_grad *b, const itc_node *n)
{
    (void)b;
    (void)n;
    return ITC_OK;
}

/* ---- ToReal ---- */

static itc_status to_real_infer(itc_graph *g, itc_node *n)
{
    (void)g;
    n->out[0]->type = itc_type_make(ITC_F32, n->in[0]->type.rank, n->in[0]->type.dim);
    return ITC_OK;
}

static itc_status to_real_lower(itc_lower *l, const itc_node *n)
{
    itc_value *x = NULL, *y = NULL;
    itc_node *m = NULL;
    ITC_TRY(itc_lower_get(l, n, n->in[0], 0, &x));
    ITC_TRY(itc_lower_build(l, n, &itc_op_Mantissas, 1, &x, 1, &m));
    const itc_sum_term term = {.x = m->out[0], .c = {1, ITC_SYM_NONE}};
    ITC_TRY(itc_lower_round(l, n, n->out[0], &term, itc_lower_wide_bits(l), &y));
    itc_lower_set(l, n->out[0], y);
    return ITC_OK;
}

static itc_status to_real_emit(itc_emit *e, const itc_node *n)
{
    return itc_emit_loop(e, n, n->out[0], 1, n->in, itc_x_load(e, 0));
}

/**
 * Plain integers as real numbers.
 * Units   value = the integer; on integers mantissas of 15 bits, rounded to nearest
 * Range   below 2^62; beyond it the step stops with ITR_DIVERGED
 */
const itc_op_def itc_op_ToReal = {
    .name = "ToReal",
    .domain = "intrain",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = ITC_OP_INTERNAL,
    .kinds = ITC_KIND_INT,
    .summary = "integers as real numbers",
    .infer = to_real_infer,
    .grad = no_grad,
    .lower = to_real_lower,
    .emit = to_real_emit,
};

static itc_status mantissas_infer(itc_graph *g, itc_node *n)
{
    if (!itc_is_plain(&n->in[0]->type) || n->in[0]->type.dtype != ITC_I64) {
        return itc_error(g->ctx, n, ITC_TYPE, "E0228", "the operand is %s, expected plain i64",
                         itc_type_text(g->ctx, &n->in[0]->type));
    }
    n->out[0]->type = n->in[0]->type;
    n->out[0]->type.bits = 62;
    return ITC_OK;
}

static itc_status mantissas_plan(itc_plan *p, itc_node *n)
{
    itc_plan_constant(p, n->out[0], 0);
    return ITC_OK;
}

/** Plain integers as mantissas at exponent 0: the same bytes. No bound is known of them. */
const itc_op_def itc_op_Mantissas = {
    .name = "Mantissas",
    .domain = "intrain",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = ITC_OP_INTERNAL,
    .kinds = ITC_KIND_INT,
    .summary = "integers as mantissas at exponent 0",
    .infer = mantissas_infer,
    .plan = mantissas_plan,
    .alias = true,
};

/* ---- ToWhole ---- */

static itc_status to_whole_infer(itc_graph *g, itc_node *n)
{
    const int64_t to = itc_int(n, "to");
    if (to < 0 || to >= ITC_DTYPE_COUNT || to == ITC_F32 || to == ITC_BOOL) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0221", "element type %lld is no integer",
                         (long long)to);
    }
    const itc_type *x = &n->in[0]->type;
    n->out[0]->type = itc_type_make(x->dtype == ITC_F32 ? (itc_dtype)to : ITC_I64, x->rank, x->dim);
    return ITC_OK;
}

/** The largest double that the type holds; its smallest is exact. */
static double largest(itc_dtype t)
{
    return t == ITC_I64   ? 0x1.fffffffffffffp62
           : t == ITC_I32 ? 2147483647.0
           : t == ITC_I16 ? 32767.0
           : t == ITC_I8  ? 127.0
                          : 255.0;
}

static double smallest(itc_dtype t)
{
    return t == ITC_I64   ? -0x1p63
           : t == ITC_I32 ? -2147483648.0
           : t == ITC_I16 ? -32768.0
           : t == ITC_I8  ? -128.0
                          : 0.0;
}

/** C's conversion, of what it is defined for: NaN becomes 0, what is too large the largest. */
static itc_status to_whole_emit(itc_emit *e, const itc_node *n)
{
    itc_dim count;
    const itc_dtype t = n->out[0]->type.dtype;
    if (n->in[0]->type.dtype == ITC_F32) {
        const itc_expr *x = itc_x_load(e, 0);
        const itc_expr *number = itc_x(e, ITC_X_EQ, x, x, NULL);
        x = itc_x(e, ITC_X_MAX, x, itc_x_const(e, smallest(t)), NULL);
        x = itc_x(e, ITC_X_MIN, x, itc_x_const(e, largest(t)), NULL);
        return itc_emit_loop(e, n, n->out[0], 1, n->in,
                             itc_x(e, ITC_X_SELECT, number, x, itc_x_const(e, 0)));
    }
    if (!itc_type_count(&n->out[0]->type, &count)) {
        return ITC_INTERNAL;
    }
    ITC_TRY(itc_emit_call(e, n, "to_whole", 2, (itc_value *[]){n->in[0], n->out[0]}));
    itc_arg_ptr(e, "x", n->in[0]);
    itc_arg_exp(e, "e_x", n->in[0]);
    itc_arg_ptr(e, "y", n->out[0]);
    itc_arg_dim(e, "n", count);
    return ITC_OK;
}

static const itc_attr_spec to_whole_attrs[] = {{.name = "to", .kind = ITC_ATTR_INT, .i = ITC_I64},
                                               {0}};

/**
 * Real numbers as plain integers, towards zero.
 * Range   what the integer type cannot hold becomes its nearest end, NaN 0
 */
const itc_op_def itc_op_ToWhole = {
    .name = "ToWhole",
    .domain = "intrain",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = ITC_OP_INTERNAL,
    .attrs = to_whole_attrs,
    .summary = "real numbers as integers, towards zero",
    .infer = to_whole_infer,
    .grad = no_grad,
    .demand = ITC_DEMAND_WIDE,
    .lower = itc_lower_wide,
    .emit = to_whole_emit,
};

static itc_status to_whole_build(itc_graph *g, const itc_node *n, itc_value *x, itc_dtype to,
                                 itc_value **out)
{
    itc_node *m = itc_node_new(g, &itc_op_ToWhole, n, 1, &x, 1);
    itc_set_int(g, m, "to", to);
    ITC_TRY(itc_infer(g, m));
    *out = m->out[0];
    return ITC_OK;
}

itc_status itc_to_real_build(itc_graph *g, const itc_node *origin, itc_value *x, itc_value **out)
{
    itc_node *m = NULL;
    ITC_TRY(itc_build(g, &itc_op_ToReal, origin, 1, &x, 1, &m));
    *out = m->out[0];
    return ITC_OK;
}

itc_status itc_to_whole_build(itc_graph *g, const itc_node *origin, itc_value *x, itc_value **out)
{
    return to_whole_build(g, origin, x, ITC_I64, out);
}

/* ---- Cast, CastLike ---- */

static itc_status refuse_infer(itc_graph *g, itc_node *n)
{
    return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0201",
                     "%s is supported only on values that are known when compiling", n->op->name);
}

/** Our type for one of ONNX's TensorProto.DataType; false for strings, complex and packed ones.
 * 16-bit and 64-bit floats are f32 here, unsigned integers the next wider signed one. */
bool itc_dtype_of_onnx(int64_t onnx, itc_dtype *out)
{
    static const int8_t table[] = {-1,      ITC_F32, ITC_U8, ITC_I8,   ITC_I32, ITC_I16,
                                   ITC_I32, ITC_I64, -1,     ITC_BOOL, ITC_F32, ITC_F32,
                                   ITC_I64, ITC_I64, -1,     -1,       ITC_F32};
    if (onnx < 0 || onnx >= (int64_t)sizeof table || table[onnx] < 0) {
        return false;
    }
    *out = (itc_dtype)table[onnx];
    return true;
}

/** The type of the result: CastLike has it from a second operand. */
static itc_status read_cast(itc_graph *g, const itc_node *n, itc_dtype *to)
{
    if (n->n_in > 1) {
        *to = n->in[1]->type.dtype;
        return ITC_OK;
    }
    if (!itc_dtype_of_onnx(itc_int(n, "to"), to)) {
        return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0201",
                         "Cast to data type %lld of ONNX is "
                         "not supported",
                         (long long)itc_int(n, "to"));
    }
    return ITC_OK;
}

static itc_status cast_fold(itc_graph *g, itc_node *n, itc_tensor **out)
{
    const itc_tensor *x = itc_operand_const(n, 0);
    itc_dtype to = ITC_F32;
    if (!x || !x->data) {
        return ITC_OK;
    }
    ITC_TRY(read_cast(g, n, &to));
    if (to == x->dtype) {
        return itc_fold_same(g, n, out);
    }
    itc_tensor *y = itc_tensor_new(g->ctx, to, x->rank, x->dim);
    for (int64_t i = 0; i < y->count; i++) {
        const bool truth = to == ITC_BOOL;
        const bool flag = itc_tensor_flag(x, i) && !truth;
        const double v = itc_tensor_get(x, i);
        const int64_t k = truth ? v < 0 || v > 0 : itc_tensor_get_int(x, i);
        if (!itc_tensor_set_int(g->ctx, y, i, k, flag)) {
            return itc_error(g->ctx, n, ITC_RANGE, "E0227", "%g does not fit %s", v,
                             itc_dtype_name(to));
        }
    }
    out[0] = y;
    return ITC_OK;
}

/** A constant number of x's rank, of the kind that ids or real numbers have. */
static itc_value *number_like(itc_graph *g, const itc_type *x, bool real, int v)
{
    static const int64_t one[ITC_MAX_RANK] = {1, 1, 1, 1, 1, 1, 1, 1};
    itc_tensor *t = itc_tensor_new(g->ctx, real ? ITC_F32 : ITC_I64, x->rank, one);
    if (real) {
        *(float *)t->data = (float)v;
    } else {
        *(int64_t *)t->data = v;
    }
    itc_value *c = itc_const_new(g, v != 0 ? "one" : "zero", t);
    c->reason = "constant of a Cast";
    return c;
}

/** Whether x is not 0. */
static itc_status not_zero(itc_graph *g, const itc_node *n, itc_value **out)
{
    itc_value *x = n->in[0], *zero = number_like(g, &x->type, x->type.dtype == ITC_F32, 0);
    itc_node *equal = NULL, *m = NULL;
    ITC_TRY(itc_build(g, &itc_op_Equal, n, 2, (itc_value *[]){x, zero}, 1, &equal));
    ITC_TRY(itc_build(g, &itc_op_Not, n, 1, equal->out, 1, &m));
    *out = m->out[0];
    return ITC_OK;
}

/** A boolean as a real number, which lets 1 pass or not, or as an id, which is chosen. */
static itc_status zero_or_one(itc_graph *g, const itc_node *n, bool real, itc_value **out)
{
    itc_value *x = n->in[0], *one = number_like(g, &x->type, real, 1);
    itc_value *mask[2] = {one, x}, *choice[3] = {x, one, NULL};
    itc_node *m = NULL;
    if (real) {
        ITC_TRY(itc_build(g, &itc_op_Mask, n, 2, mask, 1, &m));
    } else {
        choice[2] = number_like(g, &x->type, false, 0);
        ITC_TRY(itc_build(g, &itc_op_Where, n, 3, choice, 1, &m));
    }
    *out = m->out[0];
    return ITC_OK;
}

/** Real numbers stay as they are, and so do ids, whatever integer type they have; booleans become
 * either, and either become booleans. */
static itc_status cast_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    const itc_type *x = &n->in[0]->type;
    itc_dtype to = ITC_F32;
    ITC_TRY(read_cast(g, n, &to));
    const bool from_int = x->dtype != ITC_F32 && x->dtype != ITC_BOOL;
    const bool to_int = to != ITC_F32 && to != ITC_BOOL;
    const bool wider = itc_dtype_size(to) >= itc_dtype_size(x->dtype) || to == ITC_I32;
    if (to == x->dtype || (from_int && to_int && wider)) {
        out[0] = n->in[0];
        return ITC_OK;
    }
    if (to == ITC_BOOL) {
        return not_zero(g, n, &out[0]);
    }
    if (x->dtype == ITC_BOOL) {
        return zero_or_one(g, n, to == ITC_F32, &out[0]);
    }
    if (x->dtype == ITC_F32) {
        return to_whole_build(g, n, n->in[0], to, &out[0]);
    }
    if (to == ITC_F32) {
        return itc_to_real_build(g, n, n->in[0], &out[0]);
    }
    return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0201",
                     "%s from %s to %s is supported only when compiling", n->op->name,
                     itc_dtype_name(x->dtype), itc_dtype_name(to));
}

static const itc_attr_spec cast_attrs[] = {
    {.name = "round_mode", .kind = ITC_ATTR_STRING, .s = "up"},
    {.name = "saturate", .kind = ITC_ATTR_INT, .i = 1},
    {.name = "to", .kind = ITC_ATTR_INT, .required = true},
    {.name = NULL},
};

/**
 * Another element type. All float types are one here, so casts among them leave the operand, as do
 * widening casts of ids; booleans are cast to and from any; real numbers and ids by ToWhole and
 * ToReal. Casts to narrower integers are folded. Source  ONNX Cast-6, -9, -13, -19, -21, -23, -24,
 * -25, -28
 */
const itc_op_def itc_op_Cast = {
    .name = "Cast",
    .domain = "",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 7,
    .versions = (const uint8_t[]){1, 6, 9, 13, 19, 21, 23, 24, 25, 28, 0},
    .roles = (const itc_role_in[]){ITC_IN_PASS},
    .attrs = cast_attrs,
    .summary = "another element type; of real numbers as ToWhole, of integers as ToReal",
    .flags = ITC_OP_ELEMENTS,
    .normalize = cast_normalize,
    .fold = cast_fold,
    .infer = refuse_infer,
};

static const itc_attr_spec cast_like_attrs[] = {
    {.name = "round_mode", .kind = ITC_ATTR_STRING, .s = "up"},
    {.name = "saturate", .kind = ITC_ATTR_INT, .i = 1},
    {.name = NULL},
};

/**
 * The element type of operand 1, whose elements do not matter; else as Cast.
 * Source  ONNX CastLike-15, -19, -21, -23, -24, -25
 */
const itc_op_def itc_op_CastLike = {
    .name = "CastLike",
    .domain = "",
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 15,
    .versions = (const uint8_t[]){15, 19, 21, 23, 24, 25, 0},
    .roles = (const itc_role_in[]){ITC_IN_PASS, ITC_IN_DATA},
    .kinds = ITC_KIND_ANY,
    .attrs = cast_like_attrs,
    .summary = "the element type of another operand, as Cast",
    .flags = ITC_OP_TYPE_FOLD,
    .normalize = cast_normalize,
    .fold = cast_fold,
    .infer = refuse_infer,
};
