/*
 * ONNX's functions of one element: a row each, with the formula that function.c works from.
 *
 * Beyond their domain the integer forms have values all the same: NUMERICS.md, "Formulas". Kinks
 * have the slope that PyTorch gives them.
 * Sources: ONNX's definitions of the operators; Gelu: Hendrycks and Gimpel 2016; Mish: Misra 2019;
 * Selu: Klambauer et al. 2017; Celu: Barron 2017.
 */
#include <string.h>

#include "ir/ops/util.h"

/* ---- rows ---- */

#define ROW(op_name, first, op_versions, op_attrs, normal, op_fold, text, its_formula)             \
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
        .formula = its_formula,                                                                    \
        .normalize = normal,                                                                       \
        .fold = op_fold,                                                                           \
        .infer = itc_infer_same_real,                                                              \
    };

#define FUNCTION(name, first, versions, attrs, formula)                                            \
    ROW(name, first, versions, attrs, itc_function_normalize, itc_function_fold, formula, formula)

/* Opsets at which definitions changed; those of operators that did so together are the same. */
static const uint8_t since_1_22[] = {1, 22, 0}, since_1_6_13[] = {1, 6, 13, 0},
                     since_1_6_22[] = {1, 6, 22, 0}, since_7_22[] = {7, 22, 0}, since_9[] = {9, 0},
                     since_9_13[] = {9, 13, 0}, since_9_22[] = {9, 22, 0},
                     since_10_22[] = {10, 22, 0}, since_11_22[] = {11, 22, 0}, since_12[] = {12, 0},
                     since_14_22[] = {14, 22, 0}, since_18_22[] = {18, 22, 0}, since_20[] = {20, 0},
                     since_24[] = {24, 0};

#define NUMBER(attr, value)                                                                        \
    {                                                                                              \
        .name = #attr, .kind = ITC_ATTR_FLOAT, .f = (value)                                        \
    }
static const itc_attr_spec alpha_1[] = {NUMBER(alpha, 1), {0}};
static const itc_attr_spec alpha_beta[] = {NUMBER(alpha, 0.2), NUMBER(beta, 0.5), {0}};
static const itc_attr_spec selu_attrs[] = {
    NUMBER(alpha, 1.67326319217681884765625), NUMBER(gamma, 1.05070102214813232421875), {0}};
static const itc_attr_spec shrink_attrs[] = {NUMBER(lambd, 0.5), NUMBER(bias, 0), {0}};
static const itc_attr_spec gelu_attrs[] = {
    {.name = "approximate", .kind = ITC_ATTR_STRING, .s = "none"}, {0}};

/* ---- squashing ---- */

FUNCTION(Tanh, 6, since_1_6_13, NULL, "tanh(x)")
FUNCTION(Sigmoid, 6, since_1_6_13, NULL, "sigmoid(x)")
FUNCTION(Softsign, 1, since_1_22, NULL, "x/(1+abs(x))")
FUNCTION(Erf, 9, since_9_13, NULL, "erf(x)")
FUNCTION(HardSigmoid, 6, since_1_6_22, alpha_beta, "min(max({alpha}*x+{beta},0),1)")

/* ---- rectifying ---- */

FUNCTION(Softplus, 1, since_1_22, NULL, "softplus(x)")
FUNCTION(Elu, 6, since_1_6_22, alpha_1, "x>0 ? x : {alpha}*expm1(x)")
FUNCTION(Celu, 12, since_12, alpha_1, "x>0 ? x : {alpha}*expm1(x/{alpha})")
FUNCTION(Selu, 6, since_1_6_22, selu_attrs, "{gamma}*(x>0 ? x : {alpha}*expm1(x))")
FUNCTION(Mish, 18, since_18_22, NULL, "x*tanh(softplus(x))")
FUNCTION(HardSwish, 14, since_14_22, NULL, "x*min(max(x/6+0.5,0),1)")
FUNCTION(Swish, 24, since_24, alpha_1, "x*sigmoid({alpha}*x)")
FUNCTION(ThresholdedRelu, 10, since_10_22, alpha_1, "x>{alpha} ? x : 0")
FUNCTION(Shrink, 9, since_9, shrink_attrs, "x>{lambd} ? x-{bias} : x<-{lambd} ? x+{bias} : 0")

/* ---- powers ---- */

FUNCTION(Exp, 6, since_1_6_13, NULL, "exp(x)")
FUNCTION(Log, 6, since_1_6_13, NULL, "log(x)")
FUNCTION(Sqrt, 6, since_1_6_13, NULL, "sqrt(x)")
FUNCTION(Reciprocal, 6, since_1_6_13, NULL, "1/x")

/* ---- trigonometry ---- */

FUNCTION(Sin, 7, since_7_22, NULL, "sin(x)")
FUNCTION(Cos, 7, since_7_22, NULL, "cos(x)")
FUNCTION(Tan, 7, since_7_22, NULL, "tan(x)")
FUNCTION(Asin, 7, since_7_22, NULL, "asin(x)")
FUNCTION(Acos, 7, since_7_22, NULL, "acos(x)")
FUNCTION(Atan, 7, since_7_22, NULL, "atan(x)")
FUNCTION(Sinh, 9, since_9_22, NULL, "sinh(x)")
FUNCTION(Cosh, 9, since_9_22, NULL, "cosh(x)")
FUNCTION(Asinh, 9, since_9_22, NULL, "asinh(x)")
FUNCTION(Acosh, 9, since_9_22, NULL, "acosh(x)")
FUNCTION(Atanh, 9, since_9_22, NULL, "atanh(x)")

/* ---- steps ---- */

FUNCTION(Abs, 6, since_1_6_13, NULL, "abs(x)")
FUNCTION(Sign, 9, since_9_13, NULL, "sign(x)")
FUNCTION(Floor, 6, since_1_6_13, NULL, "floor(x)")
FUNCTION(Ceil, 6, since_1_6_13, NULL, "ceil(x)")
FUNCTION(Round, 11, since_11_22, NULL, "round(x)")

/* ---- Gelu: one of two formulas ---- */

static const char *gelu_formula(const itc_node *n)
{
    return strcmp(itc_string(n, "approximate"), "tanh") == 0
               ? "x*sigmoid(1.5957691216057308*(x+0.044715*x*x*x))"
               : "0.5*x*erfc(-0.7071067811865476*x)";
}

static itc_status gelu_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    ITC_TRY(itc_infer_same_real(g, n));
    return itc_map_build(g, n, gelu_formula(n), n->in[0], out);
}

static itc_status gelu_fold(itc_graph *g, itc_node *n, itc_tensor **out)
{
    return itc_fold_formula(g, n, gelu_formula(n), out);
}

ROW(Gelu, 20, since_20, gelu_attrs, gelu_normalize, gelu_fold,
    "x * P(N(0,1) < x), or its approximation by tanh", NULL)
