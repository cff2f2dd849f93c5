/*
 * Powers. With a constant number as exponent, or as base, a power is a function of one element
 * (function.c); squares are products, which are exact on mantissas. Otherwise a^b is
 * exp(b * log a), for a > 0. With integers b it is exp(b * log |a|), and -1 times that where a is
 * below 0 and b is odd; integers to the power of integers are plain numbers again.
 * Source: ONNX Pow-15.
 */
#include <math.h>

#include "codegen/emit.h"
#include "ir/ops/util.h"
#include "ir/text.h"

/** The one number in constant operand i. */
static bool number_operand(const itc_node *n, int i, double *v)
{
    const itc_tensor *t = itc_operand_const(n, i);
    if (!t || !t->data || t->count != 1 || n->in[i]->type.rank > n->in[1 - i]->type.rank) {
        return false;
    }
    *v = itc_tensor_get(t, 0);
    return isfinite(*v);
}

static bool is(double a, double b)
{
    return !(a < b) && !(a > b);
}

/** x^c as a formula. */
static const char *power_of(itc_ctx *ctx, double c)
{
    if (is(c, 1) || is(c, 2) || is(c, 3)) {
        return is(c, 1) ? "x" : is(c, 2) ? "x*x" : "x*x*x";
    }
    if (is(c, -1) || is(c, 0.5) || is(c, -0.5)) {
        return is(c, -1) ? "1/x" : c > 0 ? "sqrt(x)" : "1/sqrt(x)";
    }
    itc_strbuf b;
    itc_strbuf_init(&b, ctx);
    itc_strbuf_add(&b, "pow(x,");
    itc_text_number(&b, c);
    itc_strbuf_add(&b, ")");
    return b.text;
}

static itc_status pow_infer(itc_graph *g, itc_node *n)
{
    const itc_dtype t = n->in[0]->type.dtype;
    ITC_TRY(itc_infer_broadcast(g, n));
    n->out[0]->type.dtype = t;
    return ITC_OK;
}

/** exp(b * log of a). */
static itc_status power(itc_graph *g, const itc_node *n, const char *log, itc_value *a,
                        itc_value *b, itc_value **out)
{
    itc_value *l = NULL, *p = NULL;
    ITC_TRY(itc_map_build(g, n, log, a, &l));
    ITC_TRY(itc_apply(g, n, &itc_op_Mul, 2, (itc_value *[]){l, b}, &p));
    return itc_map_build(g, n, "exp(x)", p, out);
}

/** Of a float to the power of an integer. */
static itc_status integer_power(itc_graph *g, const itc_node *n, itc_value **out)
{
    itc_value *b = n->in[1], *real = NULL, *size = NULL, *flag[2] = {0}, *minus = NULL,
              *choice[3] = {0};
    itc_value *two = itc_scalar_const(g, n, "two", b->type.dtype, 2),
              *one = itc_scalar_const(g, n, "odd", b->type.dtype, 1),
              *zero = itc_scalar_const(g, n, "zero", ITC_F32, 0);
    ITC_TRY(itc_to_real_build(g, n, b, &real));
    ITC_TRY(power(g, n, "log(abs(x))", n->in[0], real, &size));
    ITC_TRY(itc_apply(g, n, &itc_op_Mod, 2, (itc_value *[]){b, two}, &b));
    ITC_TRY(itc_apply(g, n, &itc_op_Equal, 2, (itc_value *[]){b, one}, &flag[0]));
    ITC_TRY(itc_apply(g, n, &itc_op_Less, 2, (itc_value *[]){n->in[0], zero}, &flag[1]));
    ITC_TRY(itc_apply(g, n, &itc_op_And, 2, flag, &choice[0]));
    ITC_TRY(itc_combine_build(g, n, 1, &size, &(double){-1}, &minus));
    choice[1] = minus;
    choice[2] = size;
    return itc_apply(g, n, &itc_op_Where, 3, choice, out);
}

static itc_status pow_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    double c = 0;
    itc_node *square = NULL;
    ITC_TRY(pow_infer(g, n));
    if (itc_is_plain(&n->in[0]->type)) {
        return itc_is_plain(&n->in[1]->type)
                   ? ITC_OK
                   : itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0201",
                               "Pow of integers to the power of floats is not supported");
    }
    if (number_operand(n, 1, &c)) {
        if (is(c, 1)) {
            out[0] = n->in[0];
            return ITC_OK;
        }
        if (is(c, 2)) {
            ITC_TRY(
                itc_build(g, &itc_op_Mul, n, 2, (itc_value *[]){n->in[0], n->in[0]}, 1, &square));
            out[0] = square->out[0];
            return ITC_OK;
        }
        return itc_map_build(g, n, power_of(g->ctx, c), n->in[0], out);
    }
    if (number_operand(n, 0, &c) && c > 0) {
        itc_strbuf b;
        itc_strbuf_init(&b, g->ctx);
        itc_strbuf_add(&b, "pow(");
        itc_text_number(&b, c);
        itc_strbuf_add(&b, ",x)");
        return itc_map_build(g, n, b.text, n->in[1], out);
    }
    return itc_is_plain(&n->in[1]->type) ? integer_power(g, n, &out[0])
                                         : power(g, n, "log(x)", n->in[0], n->in[1], &out[0]);
}

/** Of integers; a power below 1 is 0. */
static itc_status pow_emit(itc_emit *e, const itc_node *n)
{
    return itc_emit_loop(e, n, n->out[0], 2, n->in,
                         itc_x_call(e, "itr_pow64", itc_x_load(e, 0), itc_x_load(e, 1)));
}

/** Of a constant to the power of a number; the rest is folded as it is composed. */
static itc_status pow_fold(itc_graph *g, itc_node *n, itc_tensor **out)
{
    double c = 0;
    out[0] = NULL;
    return number_operand(n, 1, &c) ? itc_fold_formula(g, n, power_of(g->ctx, c), out) : ITC_OK;
}

static const uint8_t pow_versions[] = {1, 7, 12, 13, 15, 0};

const itc_op_def itc_op_Pow = {
    .name = "Pow",
    .domain = "",
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 7,
    .versions = pow_versions,
    .kinds = ITC_KIND_NUMBER,
    .summary = "power; one of both a constant number, of what is above 0, or by integers",
    .normalize = pow_normalize,
    .fold = pow_fold,
    .infer = pow_infer,
    .emit = pow_emit,
};
