/*
 * Comparisons, logic on booleans, and Where: what makes masks and takes them.
 *
 * Booleans are plain: 0 or 1 in bool, the same in every arithmetic, and without a gradient. Two
 * floats compare by the sign of their difference. On integers that is one exact sum, rounded once
 * to 15 bits (Test): numbers that differ by less than half a unit of the largest difference are
 * equal.
 *     Where(c, a, b) = Mask(a, c) + Mask(b, not c), and so the gradients: Mask(dy, c), Mask(dy, not
 * c) Sources: ONNX Equal-19, Greater-13, Less-13, GreaterOrEqual-16, LessOrEqual-16, Not-1, And-7,
 * Or-7, Xor-7, Where-16, IsNaN-20, IsInf-20.
 */
#include <math.h>
#include <string.h>

#include "codegen/emit.h"
#include "ir/ops/util.h"
#include "passes/grad.h"
#include "passes/lower.h"
#include "passes/plan.h"

/** How a row compares: the bits of what it accepts. */
enum { ACCEPTS_LESS = 1, ACCEPTS_EQUAL = 2, ACCEPTS_GREATER = 4 };

static int accepts(const itc_node *n)
{
    static const struct {
        const char *op;
        int accepts;
    } table[] = {{"Equal", ACCEPTS_EQUAL},
                 {"Greater", ACCEPTS_GREATER},
                 {"Less", ACCEPTS_LESS},
                 {"GreaterOrEqual", ACCEPTS_GREATER | ACCEPTS_EQUAL},
                 {"LessOrEqual", ACCEPTS_LESS | ACCEPTS_EQUAL}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (strcmp(table[i].op, n->op->name) == 0) {
            return table[i].accepts;
        }
    }
    return (int)itc_int(n, "accepts");
}

/** 1 where a compares with b as the row accepts. Every comparison with a NaN is false. */
static const itc_expr *comparison(itc_emit *e, int how, const itc_expr *a, const itc_expr *b)
{
    const itc_expr *equal = itc_x(e, ITC_X_EQ, a, b, NULL);
    if (how == 0) {
        return itc_x_const(e, 0);
    }
    if (how == ACCEPTS_EQUAL) {
        return equal;
    }
    const itc_x_kind kind = (how & ACCEPTS_GREATER) != 0 ? ITC_X_GT : ITC_X_LT;
    const itc_expr *strict = itc_x(e, kind, a, b, NULL);
    return (how & ACCEPTS_EQUAL) == 0 ? strict
                                      : itc_x(e, ITC_X_SELECT, strict, itc_x_const(e, 1), equal);
}

/* ---- comparisons ---- */

static itc_status compare_infer(itc_graph *g, itc_node *n)
{
    if (n->n_in > 1 && n->in[1]->type.dtype != n->in[0]->type.dtype) {
        return itc_error(g->ctx, n, ITC_TYPE, "E0228", "operands are %s and %s",
                         itc_type_text(g->ctx, &n->in[0]->type),
                         itc_type_text(g->ctx, &n->in[1]->type));
    }
    ITC_TRY(itc_infer_broadcast(g, n));
    n->out[0]->type.dtype = ITC_BOOL;
    n->out[0]->type.bits = 0;
    n->out[0]->type.exp_axis = -1;
    return ITC_OK;
}

/** -1, 0 or 1 as a is below, equal or above b; 2 where that is not known: a NaN, or one counts rows
 * and the other is a number above 0. */
static int order(const itc_tensor *a, int64_t i, const itc_tensor *b, int64_t k)
{
    if (a->dtype == ITC_F32) {
        const double u = itc_tensor_get(a, i), v = itc_tensor_get(b, k);
        return isnan(u) || isnan(v) ? 2 : (u > v) - (u < v);
    }
    const int64_t u = itc_tensor_get_int(a, i), v = itc_tensor_get_int(b, k);
    const bool rows_u = itc_tensor_flag(a, i) && u > 0, rows_v = itc_tensor_flag(b, k) && v > 0;
    if (rows_u != rows_v) {
        return rows_u ? (v <= 0 ? 1 : 2) : (u <= 0 ? -1 : 2);
    }
    return (u > v) - (u < v);
}

static itc_status compare_fold(itc_graph *g, itc_node *n, itc_tensor **out)
{
    const int how = accepts(n);
    const itc_tensor *a = itc_operand_const(n, 0), *b = itc_operand_const(n, 1);
    ITC_TRY(compare_infer(g, n));
    ITC_TRY(itc_fold_broadcast(g, n, ITC_BOOL, out));
    for (int64_t i = 0; out[0] && i < out[0]->count; i++) {
        const int o = order(a, itc_fold_source(a, out[0], i), b, itc_fold_source(b, out[0], i));
        if (o == 2 && a->dtype != ITC_F32) {
            return itc_error(g->ctx, n, ITC_RANGE, "E0227", "%s depends on the number of rows",
                             n->op->name);
        }
        ((uint8_t *)out[0]->data)[i] = o != 2 && (how >> (o + 1) & 1) != 0;
    }
    return ITC_OK;
}

/** On mantissas: the sign of the difference. */
static itc_status compare_lower(itc_lower *l, const itc_node *n)
{
    static const itc_coef minus[2] = {{1, ITC_SYM_NONE}, {-1, ITC_SYM_NONE}};
    itc_value *d = NULL;
    itc_node *test = NULL;
    ITC_TRY(itc_lower_set_sum(l, n, n->out[0], 2, minus));
    ITC_TRY(itc_lower_get(l, n, n->out[0], itc_lower_wide_bits(l), &d));
    ITC_TRY(itc_lower_build(l, n, &itc_op_Test, 1, &d, 1, &test));
    itc_set_int(itc_lower_graph(l), test, "accepts", accepts(n));
    itc_lower_set(l, n->out[0], test->out[0]);
    return ITC_OK;
}

static itc_status compare_emit(itc_emit *e, const itc_node *n)
{
    const itc_expr *b = n->n_in > 1 ? itc_x_load(e, 1) : itc_x_const(e, 0);
    return itc_emit_loop(e, n, n->out[0], n->n_in, n->in,
                         comparison(e, accepts(n), itc_x_load(e, 0), b));
}

static const uint8_t since_7_9_13[] = {1, 7, 9, 13, 0}, since_equal[] = {1, 7, 11, 13, 19, 0},
                     since_12_16[] = {12, 16, 0};

#define COMPARISON(op_name, first, op_versions, op_kinds, text)                                    \
    const itc_op_def itc_op_##op_name = {                                                          \
        .name = #op_name,                                                                          \
        .domain = "",                                                                              \
        .in_min = 2,                                                                               \
        .in_max = 2,                                                                               \
        .out_min = 1,                                                                              \
        .out_max = 1,                                                                              \
        .opset_min = first,                                                                        \
        .versions = op_versions,                                                                   \
        .kinds = op_kinds,                                                                         \
        .summary = text,                                                                           \
        .flags = ITC_OP_ELEMENTS,                                                                  \
        .fold = compare_fold,                                                                      \
        .infer = compare_infer,                                                                    \
        .demand = ITC_DEMAND_WIDE,                                                                 \
        .lower = compare_lower,                                                                    \
        .emit = compare_emit,                                                                      \
    };

COMPARISON(Equal, 7, since_equal, ITC_KIND_ANY, "1 where operands are equal")
COMPARISON(Greater, 7, since_7_9_13, ITC_KIND_NUMBER, "1 where operand 0 is above operand 1")
COMPARISON(Less, 7, since_7_9_13, ITC_KIND_NUMBER, "1 where operand 0 is below operand 1")
COMPARISON(GreaterOrEqual, 12, since_12_16, ITC_KIND_NUMBER, "1 where operand 0 is not below")
COMPARISON(LessOrEqual, 12, since_12_16, ITC_KIND_NUMBER, "1 where operand 0 is not above")

static const itc_attr_spec test_attrs[] = {{.name = "accepts", .kind = ITC_ATTR_INT}, {0}};

/** Bits of `accepts`: 1 below, 2 equal, 4 above. */
const itc_op_def itc_op_Test = {
    .name = "Test",
    .domain = "intrain",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = ITC_OP_INTERNAL,
    .attrs = test_attrs,
    .summary = "1 where the operand compares with 0 as `accepts` says",
    .infer = compare_infer,
    .emit = compare_emit,
};

/* ---- IsNaN, IsInf ---- */

static itc_status is_infer(itc_graph *g, itc_node *n)
{
    (void)g;
    n->out[0]->type = itc_type_make(ITC_BOOL, n->in[0]->type.rank, n->in[0]->type.dim);
    return ITC_OK;
}

/** What the double v is taken for. */
static bool is_it(const itc_node *n, double v)
{
    return n->op == &itc_op_IsNaN
               ? isnan(v)
               : isinf(v) && itc_int(n, v > 0 ? "detect_positive" : "detect_negative") != 0;
}

static itc_status is_fold(itc_graph *g, itc_node *n, itc_tensor **out)
{
    ITC_TRY(itc_fold_broadcast(g, n, ITC_BOOL, out));
    for (int64_t i = 0; out[0] && i < out[0]->count; i++) {
        ((uint8_t *)out[0]->data)[i] = is_it(n, itc_tensor_get(itc_operand_const(n, 0), i));
    }
    return ITC_OK;
}

/** Mantissas are finite numbers: a test that accepts nothing. */
static itc_status is_lower(itc_lower *l, const itc_node *n)
{
    itc_value *x = NULL;
    itc_node *test = NULL;
    ITC_TRY(itc_lower_get(l, n, n->in[0], itc_lower_operand_bits(l), &x));
    ITC_TRY(itc_lower_build(l, n, &itc_op_Test, 1, &x, 1, &test));
    itc_lower_set(l, n->out[0], test->out[0]);
    return ITC_OK;
}

static itc_status is_emit(itc_emit *e, const itc_node *n)
{
    const itc_expr *x = itc_x_load(e, 0), *zero = itc_x_const(e, 0), *one = itc_x_const(e, 1);
    const itc_expr *y = zero;
    if (n->op == &itc_op_IsNaN) {
        y = itc_x(e, ITC_X_SELECT, itc_x(e, ITC_X_EQ, x, x, NULL), zero, one);
    } else {
        for (int sign = -1; sign <= 1; sign += 2) {
            const itc_expr *same = itc_x(e, ITC_X_EQ, x, itc_x_const(e, sign * HUGE_VAL), NULL);
            y = is_it(n, sign * HUGE_VAL) ? itc_x(e, ITC_X_SELECT, same, one, y) : y;
        }
    }
    return itc_emit_loop(e, n, n->out[0], 1, n->in, y);
}

static const uint8_t since_nan[] = {9, 13, 20, 0}, since_inf[] = {10, 20, 0};
static const itc_attr_spec inf_attrs[] = {{.name = "detect_negative", .kind = ITC_ATTR_INT, .i = 1},
                                          {.name = "detect_positive", .kind = ITC_ATTR_INT, .i = 1},
                                          {0}};

/** Floats that are no finite numbers; on mantissas there are none. */
#define IS(op_name, first, op_versions, op_attrs, text)                                            \
    const itc_op_def itc_op_##op_name = {                                                          \
        .name = #op_name,                                                                          \
        .domain = "",                                                                              \
        .in_min = 1,                                                                               \
        .in_max = 1,                                                                               \
        .out_min = 1,                                                                              \
        .out_max = 1,                                                                              \
        .opset_min = first,                                                                        \
        .versions = op_versions,                                                                   \
        .attrs = op_attrs,                                                                         \
        .summary = text,                                                                           \
        .flags = ITC_OP_ELEMENTS,                                                                  \
        .fold = is_fold,                                                                           \
        .infer = is_infer,                                                                         \
        .lower = is_lower,                                                                         \
        .emit = is_emit,                                                                           \
    };

IS(IsNaN, 9, since_nan, NULL, "1 where the operand is no number: nowhere on integers")
IS(IsInf, 10, since_inf, inf_attrs, "1 where the operand is infinite: nowhere on integers")

/* ---- logic ---- */

static itc_status logic_fold(itc_graph *g, itc_node *n, itc_tensor **out)
{
    ITC_TRY(itc_fold_broadcast(g, n, ITC_BOOL, out));
    for (int64_t i = 0; out[0] && i < out[0]->count; i++) {
        bool x[2] = {false, false};
        for (int k = 0; k < n->n_in; k++) {
            const itc_tensor *t = itc_operand_const(n, k);
            x[k] = itc_tensor_get_int(t, itc_fold_source(t, out[0], i)) != 0;
        }
        ((uint8_t *)out[0]->data)[i] = n->op == &itc_op_Not   ? !x[0]
                                       : n->op == &itc_op_And ? x[0] && x[1]
                                       : n->op == &itc_op_Or  ? x[0] || x[1]
                                                              : x[0] != x[1];
    }
    return ITC_OK;
}

static itc_status logic_emit(itc_emit *e, const itc_node *n)
{
    const itc_expr *a = itc_x_load(e, 0), *zero = itc_x_const(e, 0), *one = itc_x_const(e, 1);
    const itc_expr *x = NULL;
    if (n->n_in == 1) {
        x = itc_x(e, ITC_X_SELECT, a, zero, one);
    } else {
        const itc_expr *b = itc_x_load(e, 1);
        const itc_expr *not_b = itc_x(e, ITC_X_SELECT, b, zero, one);
        x = n->op == &itc_op_And  ? itc_x(e, ITC_X_AND, a, b, NULL)
            : n->op == &itc_op_Or ? itc_x(e, ITC_X_SELECT, a, one, b)
                                  : itc_x(e, ITC_X_SELECT, a, not_b, b);
    }
    return itc_emit_loop(e, n, n->out[0], n->n_in, n->in, x);
}

static const uint8_t since_1[] = {1, 0}, since_1_7[] = {1, 7, 0};

#define LOGIC(op_name, count, first, op_versions, text)                                            \
    const itc_op_def itc_op_##op_name = {                                                          \
        .name = #op_name,                                                                          \
        .domain = "",                                                                              \
        .in_min = count,                                                                           \
        .in_max = count,                                                                           \
        .out_min = 1,                                                                              \
        .out_max = 1,                                                                              \
        .opset_min = first,                                                                        \
        .versions = op_versions,                                                                   \
        .kinds = ITC_KIND_BOOL,                                                                    \
        .summary = text,                                                                           \
        .flags = ITC_OP_ELEMENTS,                                                                  \
        .fold = logic_fold,                                                                        \
        .infer = itc_infer_broadcast,                                                              \
        .emit = logic_emit,                                                                        \
        .in_place = 3,                                                                             \
    };

LOGIC(Not, 1, 1, since_1, "1 where the operand is 0")
LOGIC(And, 2, 7, since_1_7, "1 where both operands are 1")
LOGIC(Or, 2, 7, since_1_7, "1 where an operand is 1")
LOGIC(Xor, 2, 7, since_1_7, "1 where the operands differ")

/* ---- Where ---- */

static itc_status where_infer(itc_graph *g, itc_node *n)
{
    const itc_dtype t = n->in[1]->type.dtype;
    if (n->in[2]->type.dtype != t) {
        return itc_error(g->ctx, n, ITC_TYPE, "E0228", "operands are %s and %s",
                         itc_type_text(g->ctx, &n->in[1]->type),
                         itc_type_text(g->ctx, &n->in[2]->type));
    }
    ITC_TRY(itc_infer_broadcast(g, n));
    n->out[0]->type.dtype = t;
    return ITC_OK;
}

/** Of floats: a sum of what either side lets pass. */
static itc_status where_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    itc_node *mask = NULL, *side[2] = {0};
    ITC_TRY(where_infer(g, n));
    if (n->out[0]->type.dtype != ITC_F32) {
        return ITC_OK;
    }
    ITC_TRY(itc_build(g, &itc_op_Not, n, 1, n->in, 1, &mask));
    ITC_TRY(itc_build(g, &itc_op_Mask, n, 2, (itc_value *[]){n->in[1], n->in[0]}, 1, &side[0]));
    ITC_TRY(itc_build(g, &itc_op_Mask, n, 2, (itc_value *[]){n->in[2], mask->out[0]}, 1, &side[1]));
    return itc_combine_build(g, n, 2, (itc_value *[]){side[0]->out[0], side[1]->out[0]},
                             (const double[]){1, 1}, out);
}

static itc_status where_fold(itc_graph *g, itc_node *n, itc_tensor **out)
{
    const itc_tensor *c = itc_operand_const(n, 0);
    ITC_TRY(where_infer(g, n));
    ITC_TRY(itc_fold_broadcast(g, n, n->in[1]->type.dtype, out));
    for (int64_t i = 0; out[0] && i < out[0]->count; i++) {
        const bool first = itc_tensor_get_int(c, itc_fold_source(c, out[0], i)) != 0;
        const itc_tensor *t = itc_operand_const(n, first ? 1 : 2);
        itc_tensor_copy_element(g->ctx, out[0], i, t, itc_fold_source(t, out[0], i));
    }
    return ITC_OK;
}

static itc_status where_emit(itc_emit *e, const itc_node *n)
{
    return itc_emit_loop(
        e, n, n->out[0], 3, n->in,
        itc_x(e, ITC_X_SELECT, itc_x_load(e, 0), itc_x_load(e, 1), itc_x_load(e, 2)));
}

static const uint8_t since_9_16[] = {9, 16, 0};
static const itc_role_in where_roles[] = {ITC_IN_MASK, ITC_IN_DATA, ITC_IN_DATA};

const itc_op_def itc_op_Where = {
    .name = "Where",
    .domain = "",
    .in_min = 3,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 9,
    .versions = since_9_16,
    .roles = where_roles,
    .kinds = ITC_KIND_ANY,
    .summary = "operand 1 where operand 0 is 1, else operand 2; of floats as Mask and Combine",
    .normalize = where_normalize,
    .flags = ITC_OP_ELEMENTS,
    .fold = where_fold,
    .infer = where_infer,
    .emit = where_emit,
};
