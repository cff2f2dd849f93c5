/*
 * Arithmetic on plain integers that floats do not have: bits, shifts, remainders.
 *
 * Integers are the same numbers in every arithmetic and have no gradient. They are computed in 64
 * bits and stored in the type that they have, modulo 2^width (IR.md: plain numbers are i64 in
 * integer trainers, whatever width they have in ONNX). So there is no complement, which of unsigned
 * numbers depends on their width.
 *
 *     a mod b of floats = a - b * trunc(a / b), with fmod=0 floor for trunc; both slopes follow
 *
 * Sources: ONNX BitShift-11, BitwiseAnd-18, BitwiseOr-18, BitwiseXor-18, Mod-10, -13, -28.
 */
#include <string.h>

#include "codegen/emit.h"
#include "ir/ops/util.h"

static itc_status infer_alike(itc_graph *g, itc_node *n)
{
    for (int i = 1; i < n->n_in; i++) {
        if (n->in[i]->type.dtype != n->in[0]->type.dtype) {
            return itc_error(g->ctx, n, ITC_TYPE, "E0228", "operands are %s and %s",
                             itc_type_text(g->ctx, &n->in[0]->type),
                             itc_type_text(g->ctx, &n->in[i]->type));
        }
    }
    return itc_infer_broadcast(g, n);
}

/** The function of runtime/numeric.h that computes an element; NULL: a direction that is none. */
static const char *function_of(const itc_node *n)
{
    static const struct {
        const itc_op_def *op;
        const char *attr, *value; /**< of a node that says which; NULL: whatever it says */
        const char *function;
    } table[] = {
        {&itc_op_BitShift, "direction", "LEFT", "itr_left64"},
        {&itc_op_BitShift, "direction", "RIGHT", "itr_right64"},
        {&itc_op_BitwiseAnd, NULL, NULL, "itr_and64"},
        {&itc_op_BitwiseOr, NULL, NULL, "itr_or64"},
        {&itc_op_BitwiseXor, NULL, NULL, "itr_xor64"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const bool same =
            n->op == table[i].op &&
            (!table[i].attr || strcmp(itc_string(n, table[i].attr), table[i].value) == 0);
        if (same) {
            return table[i].function;
        }
    }
    return NULL;
}

static itc_status bits_infer(itc_graph *g, itc_node *n)
{
    if (!function_of(n)) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0223", "direction \"%s\", expected LEFT or RIGHT",
                         itc_string(n, "direction"));
    }
    return infer_alike(g, n);
}

static itc_status call_emit(itc_emit *e, const itc_node *n, const char *function)
{
    const itc_expr *b = n->n_in > 1 ? itc_x_load(e, 1) : NULL;
    return itc_emit_loop(e, n, n->out[0], n->n_in, n->in,
                         itc_x_call(e, function, itc_x_load(e, 0), b));
}

static itc_status bits_emit(itc_emit *e, const itc_node *n)
{
    return call_emit(e, n, function_of(n));
}

static const uint8_t since_11[] = {11, 0}, since_18[] = {18, 0};
static const itc_attr_spec shift_attrs[] = {
    {.name = "direction", .kind = ITC_ATTR_STRING, .required = true, .s = "LEFT"}, {0}};

/**
 * A function of the bits of two plain integers, broadcast.
 * Range   shifts by 64 and more, or below 0, give 0; a shift to the right is that of an unsigned
 *         number, which ONNX's operand is
 */
#define BITS(op_name, first, op_versions, op_attrs, text)                                          \
    const itc_op_def itc_op_##op_name = {                                                          \
        .name = #op_name,                                                                          \
        .domain = "",                                                                              \
        .in_min = 2,                                                                               \
        .in_max = 2,                                                                               \
        .out_min = 1,                                                                              \
        .out_max = 1,                                                                              \
        .opset_min = first,                                                                        \
        .versions = op_versions,                                                                   \
        .attrs = op_attrs,                                                                         \
        .kinds = ITC_KIND_INT,                                                                     \
        .summary = text,                                                                           \
        .flags = ITC_OP_ELEMENTS,                                                                  \
        .infer = bits_infer,                                                                       \
        .emit = bits_emit,                                                                         \
        .in_place = 3,                                                                             \
    };

BITS(BitShift, 11, since_11, shift_attrs, "integers shifted by integers")
BITS(BitwiseAnd, 18, since_18, NULL, "bits that both operands have")
BITS(BitwiseOr, 18, since_18, NULL, "bits that an operand has")
BITS(BitwiseXor, 18, since_18, NULL, "bits in which the operands differ")

/* ---- Mod ---- */

static itc_status mod_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    itc_value *q = NULL, *whole = NULL, *p = NULL;
    const bool truncates = itc_int(n, "fmod") != 0;
    ITC_TRY(infer_alike(g, n));
    if (n->in[0]->type.dtype != ITC_F32) {
        return ITC_OK;
    }
    ITC_TRY(itc_apply(g, n, &itc_op_Div, 2, n->in, &q));
    ITC_TRY(itc_map_build(g, n, truncates ? "x<0 ? ceil(x) : floor(x)" : "floor(x)", q, &whole));
    ITC_TRY(itc_apply(g, n, &itc_op_Mul, 2, (itc_value *[]){whole, n->in[1]}, &p));
    return itc_combine_build(g, n, 2, (itc_value *[]){n->in[0], p}, (const double[]){1, -1},
                             &out[0]);
}

static itc_status mod_emit(itc_emit *e, const itc_node *n)
{
    return call_emit(e, n, itc_int(n, "fmod") != 0 ? "itr_rem64" : "itr_mod64");
}

static const itc_attr_spec mod_attrs[] = {
    {.name = "fmod", .kind = ITC_ATTR_INT},
    {.name = NULL},
};

/**
 * Remainder with the sign of the divisor, or (fmod) of the dividend; of integers 0 where the
 * divisor is 0. Of floats the quotient is rounded: near a multiple the result may be the other end
 * of its range. Source  ONNX Mod-10, -13, -28
 */
const itc_op_def itc_op_Mod = {
    .name = "Mod",
    .domain = "",
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 10,
    .versions = (const uint8_t[]){10, 13, 28, 0},
    .attrs = mod_attrs,
    .kinds = ITC_KIND_NUMBER,
    .summary = "remainder; of floats by Div, Map and Mul",
    .flags = ITC_OP_ELEMENTS,
    .normalize = mod_normalize,
    .fold = itc_fold_binary,
    .infer = infer_alike,
    .emit = mod_emit,
    .in_place = 3,
};
