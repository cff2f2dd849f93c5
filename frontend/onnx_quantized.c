/*
 * Quantised models, taken as the float models that they stand for: training rounds by its own rules
 * and needs the real numbers behind the integers.
 *
 *   QuantizeLinear         its operand: the result stands for the same real numbers
 *   DequantizeLinear       of a constant: the real numbers, as an initializer (so weights are
 *                          trained); of what stands for real numbers: that; of an input: scaled
 *   QLinearConv, -MatMul   Conv, MatMul of the real operands
 *   DynamicQuantizeLinear  its operand, with scale 1 and zero point 0
 *   ConvInteger, MatMulInteger   Conv, MatMul of the operands less their zero points
 *
 * Where a model is imported to be run exactly (whole tensors, ONNX's own tests), they are refused.
 * Sources: ONNX QuantizeLinear-10, -13, -19, -21; DequantizeLinear likewise; QLinearConv-10,
 * QLinearMatMul-10 and -21, ConvInteger-10, MatMulInteger-10, DynamicQuantizeLinear-11.
 */
#include <string.h>

#include "frontend/onnx_model.h"

static itc_binding tensor(itc_value *v)
{
    return (itc_binding){.kind = ITC_BIND_TENSOR, .value = v};
}

static itc_value *operand(const itc_body_node *p, int i)
{
    return i < p->n_in && p->in[i].kind == ITC_BIND_TENSOR ? p->in[i].value : NULL;
}

static const itc_tensor *constant(const itc_value *v)
{
    return v && v->kind == ITC_VALUE_CONST ? v->data : NULL;
}

static bool is_integers(const itc_tensor *t)
{
    return t && t->data && t->dtype == ITC_I64 && !t->batch;
}

/* ---- real numbers of constants ---- */

/** Elements in a slice of axis `axis` and which slice element i belongs to. */
static int64_t slice_of(const itc_tensor *t, int axis, int64_t i)
{
    for (int k = t->rank - 1; k > axis; k--) {
        i /= t->dim[k];
    }
    return t->rank > 0 && axis < t->rank ? i % t->dim[axis] : 0;
}

static bool fits_axis(const itc_tensor *s, const itc_tensor *t, int axis)
{
    return !s || s->count == 1 ||
           (s->rank == 1 && axis >= 0 && axis < t->rank && s->count == t->dim[axis]);
}

/** (q - zero) * scale in float, as ONNX computes it; NULL where the parts do not fit. */
static itc_tensor *dequantize(itc_ctx *ctx, const itc_tensor *q, const itc_tensor *scale,
                              const itc_tensor *zero, int axis)
{
    if (!is_integers(q) || (scale && scale->dtype != ITC_F32) || (zero && !is_integers(zero)) ||
        !fits_axis(scale, q, axis) || !fits_axis(zero, q, axis)) {
        return NULL;
    }
    itc_tensor *t = itc_tensor_new(ctx, ITC_F32, q->rank, q->dim);
    for (int64_t i = 0; i < t->count; i++) {
        const int64_t k = slice_of(q, axis, i);
        const int64_t z = zero ? itc_tensor_get_int(zero, zero->count == 1 ? 0 : k) : 0;
        const float s = scale ? (float)itc_tensor_get(scale, scale->count == 1 ? 0 : k) : 1.0f;
        ((float *)t->data)[i] = (float)(itc_tensor_get_int(q, i) - z) * s;
    }
    return t;
}

/** An initializer of the float model, under the name that the result has in the file. */
static itc_value *real_const(itc_importer *im, const itc_scope *scope, const char *name,
                             itc_tensor *t)
{
    itc_value *v = itc_const_new(im->g, name, t);
    v->reason = "initializer";
    v->onnx = scope->outer || scope->call ? NULL : itc_strdup(im->ctx, name);
    return v;
}

/* ---- real numbers at run time ---- */

static itc_value *scalar(itc_importer *im, double v)
{
    return itc_onnx_make_const(im, "number", itc_tensor_scalar_f32(im->ctx, v));
}

/** The input of integers that v is, moved about or not; NULL: v is something else. */
static itc_value *input_under(itc_value *v)
{
    while (v && v->kind == ITC_VALUE_NODE && v->def->op && v->def->n_in > 0 &&
           itc_op_role(v->def->op, 0) == ITC_IN_PASS) {
        v = v->def->in[0];
    }
    return v && v->kind == ITC_VALUE_INPUT && itc_is_plain(&v->type) ? v : NULL;
}

/** An input of integers brings real numbers, counted from a zero point in units of a scale. */
static itc_value *scale_input(itc_importer *im, const itc_body_node *p, itc_value *v,
                              const itc_tensor *scale, const itc_tensor *zero)
{
    input_under(v)->type.dtype = ITC_F32;
    if (zero && itc_tensor_get_int(zero, 0) != 0) {
        itc_value *in[2] = {v, scalar(im, (double)itc_tensor_get_int(zero, 0))};
        v = itc_onnx_make(im, p, &itc_op_Sub, 2, in, NULL);
    }
    itc_value *in[2] = {v, scalar(im, itc_tensor_get(scale, 0))};
    return itc_onnx_make(im, p, &itc_op_Mul, 2, in, NULL);
}

/** The real numbers behind operand i; NULL: they are not to be had. */
static itc_value *real_operand(itc_importer *im, const itc_scope *scope, const itc_body_node *p,
                               int i, itc_value *scale, itc_value *zero, int axis, const char *name)
{
    itc_value *v = operand(p, i);
    const itc_tensor *s = constant(scale), *z = constant(zero);
    if (!v || (scale && !s) || (zero && !z)) {
        return NULL;
    }
    if (constant(v)) {
        itc_tensor *t = dequantize(im->ctx, v->data, s, z, axis);
        return t ? real_const(im, scope, name, t) : NULL;
    }
    if (input_under(v)) {
        const bool one = s && s->count == 1 && (!z || z->count == 1);
        return one ? scale_input(im, p, v, s, z) : NULL;
    }
    itc_type type;
    const itc_tensor *unused = NULL;
    const bool plain =
        v->kind == ITC_VALUE_NODE && itc_onnx_examine(im, v, &type, &unused) && itc_is_plain(&type);
    return plain ? NULL : v;
}

/* ---- the operators ---- */

#define WHY_EXACT "where integers are to be computed exactly"
#define WHY_PARTS "whose scale or zero point is not a constant that fits"

static itc_status expand_quantize(itc_importer *im, itc_scope *scope, const itc_body_node *p)
{
    if (im->options->shapes || !operand(p, 0)) {
        return itc_onnx_refuse(im, scope, p, WHY_EXACT);
    }
    itc_onnx_set_output(im, scope, p, 0, p->in[0]);
    return ITC_OK;
}

static itc_status expand_dequantize(itc_importer *im, itc_scope *scope, const itc_body_node *p)
{
    itc_value *v = operand(p, 0), *real = NULL;
    if (im->options->shapes || !v) {
        return itc_onnx_refuse(im, scope, p, WHY_EXACT);
    }
    const int64_t axis = itc_onnx_attr_int(scope, p->proto, "axis", 1);
    const int rank = constant(v) ? v->data->rank : 0;
    if (itc_onnx_attr_int(scope, p->proto, "block_size", 0) == 0) {
        real = real_operand(im, scope, p, 0, operand(p, 1), operand(p, 2),
                            (int)(axis < 0 ? axis + rank : axis), p->proto->output[0]);
    }
    if (!real) {
        return itc_onnx_refuse(im, scope, p, WHY_PARTS);
    }
    itc_onnx_set_output(im, scope, p, 0, tensor(real));
    return ITC_OK;
}

/** Scale 1 and zero point 0: the factors by which later nodes undo the scaling do nothing. */
static itc_status expand_dynamic(itc_importer *im, itc_scope *scope, const itc_body_node *p)
{
    if (im->options->shapes || !operand(p, 0)) {
        return itc_onnx_refuse(im, scope, p, WHY_EXACT);
    }
    itc_tensor *zero = itc_tensor_new(im->ctx, ITC_I64, 0, NULL);
    itc_onnx_set_output(im, scope, p, 0, p->in[0]);
    itc_onnx_set_output(im, scope, p, 1, tensor(scalar(im, 1)));
    itc_onnx_set_output(im, scope, p, 2, tensor(itc_onnx_make_const(im, "zero", zero)));
    return ITC_OK;
}

/** A bias is in units of both scales. */
static itc_value *real_bias(itc_importer *im, const itc_scope *scope, const itc_body_node *p,
                            const char *name)
{
    const itc_tensor *b = constant(operand(p, 8)), *x = constant(operand(p, 1)),
                     *w = constant(operand(p, 4));
    if (!is_integers(b) || !x || !w || x->count != 1) {
        return NULL;
    }
    itc_tensor *both = itc_tensor_new(im->ctx, ITC_F32, w->rank, w->dim);
    for (int64_t i = 0; i < w->count; i++) {
        ((float *)both->data)[i] = (float)(itc_tensor_get(w, i) * itc_tensor_get(x, 0));
    }
    itc_tensor *t = dequantize(im->ctx, b, both, NULL, 0);
    return t ? real_const(im, scope, name, t) : NULL;
}

/** A Conv or MatMul of real operands in place of the node. */
static itc_status expand_product(itc_importer *im, itc_scope *scope, const itc_body_node *p,
                                 const itc_op_def *op, itc_value *const *in, int n_in)
{
    itc_node *n = NULL;
    for (int i = 0; i < n_in; i++) {
        if (!in[i]) {
            return itc_onnx_refuse(im, scope, p, WHY_PARTS);
        }
    }
    itc_value *v = itc_onnx_make(im, p, op, n_in, in, &n);
    ITC_TRY(itc_onnx_import_attrs(im, scope, p->proto, n));
    itc_onnx_set_output(im, scope, p, 0, tensor(v));
    return ITC_OK;
}

static const char *part_name(itc_importer *im, const itc_body_node *p, int i)
{
    return itc_format(im->ctx, "%s.real", p->proto->input[i]);
}

static itc_status expand_qlinear(itc_importer *im, itc_scope *scope, const itc_body_node *p)
{
    const bool conv = strcmp(p->proto->op_type, "QLinearConv") == 0;
    const bool bias = conv && operand(p, 8) != NULL;
    if (im->options->shapes || p->n_in < 8) {
        return itc_onnx_refuse(im, scope, p, WHY_EXACT);
    }
    itc_value *in[3] = {
        real_operand(im, scope, p, 0, operand(p, 1), operand(p, 2), 0, part_name(im, p, 0)),
        real_operand(im, scope, p, 3, operand(p, 4), operand(p, 5), conv ? 0 : 1,
                     part_name(im, p, 3)),
        bias ? real_bias(im, scope, p, part_name(im, p, 8)) : NULL};
    return expand_product(im, scope, p, conv ? &itc_op_Conv : &itc_op_MatMul, in, bias ? 3 : 2);
}

static itc_status expand_integer(itc_importer *im, itc_scope *scope, const itc_body_node *p)
{
    const bool conv = strcmp(p->proto->op_type, "ConvInteger") == 0;
    if (im->options->shapes) {
        return itc_onnx_refuse(im, scope, p, WHY_EXACT);
    }
    itc_value *in[2] = {
        real_operand(im, scope, p, 0, NULL, operand(p, 2), 0, part_name(im, p, 0)),
        real_operand(im, scope, p, 1, NULL, operand(p, 3), conv ? 0 : 1, part_name(im, p, 1))};
    return expand_product(im, scope, p, conv ? &itc_op_Conv : &itc_op_MatMul, in, 2);
}

itc_onnx_expand itc_onnx_find_quantized(const itc_importer *im, const char *domain,
                                        const char *type)
{
    (void)im;
    static const struct {
        const char *type;
        itc_onnx_expand expand;
    } table[] = {{"QuantizeLinear", expand_quantize},      {"DequantizeLinear", expand_dequantize},
                 {"QLinearConv", expand_qlinear},          {"QLinearMatMul", expand_qlinear},
                 {"ConvInteger", expand_integer},          {"MatMulInteger", expand_integer},
                 {"DynamicQuantizeLinear", expand_dynamic}};
    for (size_t i = 0; domain[0] == '\0' && i < sizeof table / sizeof table[0]; i++) {
        if (strcmp(table[i].type, type) == 0) {
            return table[i].expand;
        }
    }
    return NULL;
}
