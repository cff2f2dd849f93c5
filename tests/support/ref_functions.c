/* Functions of one element in double precision, as ONNX defines them. */
#include <math.h>
#include <string.h>

#include "tests/support/ref_f64.h"

static double number(const itc_node *n, const char *name, double otherwise)
{
    const itc_attr *a = itc_attr_find(n, name);
    return a ? a->u.f : otherwise;
}

static double sigmoid(const itc_node *n, double x)
{
    (void)n;
    return 1 / (1 + exp(-x));
}

static double softsign(const itc_node *n, double x)
{
    (void)n;
    return x / (1 + fabs(x));
}

static double softplus(const itc_node *n, double x)
{
    (void)n;
    return fmax(x, 0) + log1p(exp(-fabs(x)));
}

static double mish(const itc_node *n, double x)
{
    return x * tanh(softplus(n, x));
}

static double reciprocal(const itc_node *n, double x)
{
    (void)n;
    return 1 / x;
}

static double sign(const itc_node *n, double x)
{
    (void)n;
    return (x > 0) - (x < 0);
}

static double hard_sigmoid(const itc_node *n, double x)
{
    return fmax(0, fmin(1, number(n, "alpha", 0.2) * x + number(n, "beta", 0.5)));
}

static double hard_swish(const itc_node *n, double x)
{
    (void)n;
    return x * fmax(0, fmin(1, x / 6 + 0.5));
}

static double elu(const itc_node *n, double x)
{
    return x < 0 ? number(n, "alpha", 1) * (exp(x) - 1) : x;
}

static double celu(const itc_node *n, double x)
{
    const double a = number(n, "alpha", 1);
    return fmax(0, x) + fmin(0, a * (exp(x / a) - 1));
}

static double selu(const itc_node *n, double x)
{
    const double a = number(n, "alpha", 1.67326319217681884765625);
    return number(n, "gamma", 1.05070102214813232421875) * (x > 0 ? x : a * exp(x) - a);
}

static double swish(const itc_node *n, double x)
{
    return x / (1 + exp(-number(n, "alpha", 1) * x));
}

static double thresholded_relu(const itc_node *n, double x)
{
    return x > number(n, "alpha", 1) ? x : 0;
}

static double shrink(const itc_node *n, double x)
{
    const double from = number(n, "lambd", 0.5), bias = number(n, "bias", 0);
    return x < -from ? x + bias : x > from ? x - bias : 0;
}

static double gelu(const itc_node *n, double x)
{
    const itc_attr *a = itc_attr_find(n, "approximate");
    return a && strcmp(a->u.s, "tanh") == 0
               ? x / 2 * (1 + tanh(sqrt(2 / acos(-1)) * (x + 0.044715 * pow(x, 3))))
               : x / 2 * erfc(-x / sqrt(2));
}

typedef struct row {
    const char *op;
    double (*of)(double); /**< <math.h> has it */
    double (*with)(const itc_node *n, double x);
} row;

static const row rows[] = {
    {"Tanh", tanh, NULL},
    {"Erf", erf, NULL},
    {"Exp", exp, NULL},
    {"Log", log, NULL},
    {"Sqrt", sqrt, NULL},
    {"Sin", sin, NULL},
    {"Cos", cos, NULL},
    {"Tan", tan, NULL},
    {"Asin", asin, NULL},
    {"Acos", acos, NULL},
    {"Atan", atan, NULL},
    {"Sinh", sinh, NULL},
    {"Cosh", cosh, NULL},
    {"Asinh", asinh, NULL},
    {"Acosh", acosh, NULL},
    {"Atanh", atanh, NULL},
    {"Abs", fabs, NULL},
    {"Floor", floor, NULL},
    {"Ceil", ceil, NULL},
    {"Round", rint, NULL},
    {"Sigmoid", NULL, sigmoid},
    {"Softsign", NULL, softsign},
    {"Softplus", NULL, softplus},
    {"Mish", NULL, mish},
    {"Reciprocal", NULL, reciprocal},
    {"Sign", NULL, sign},
    {"HardSigmoid", NULL, hard_sigmoid},
    {"HardSwish", NULL, hard_swish},
    {"Elu", NULL, elu},
    {"Celu", NULL, celu},
    {"Selu", NULL, selu},
    {"Swish", NULL, swish},
    {"ThresholdedRelu", NULL, thresholded_relu},
    {"Shrink", NULL, shrink},
    {"Gelu", NULL, gelu},
};

bool ref_is_function(const char *op)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].op, op) == 0) {
            return true;
        }
    }
    return false;
}

double ref_function(const itc_node *n, double x)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].op, n->op->name) == 0) {
            return rows[i].of ? rows[i].of(x) : rows[i].with(n, x);
        }
    }
    return NAN;
}
