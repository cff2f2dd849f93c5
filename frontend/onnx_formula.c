#include "frontend/onnx_formula.h"

#include <math.h>

/* Two roundings of floats, of a result and of an operand of its size. */
#define ROUNDING (2.0 / (1 << 23))

typedef double (*function)(double x, double number);

static double plus(double x, double number)
{
    return x + number;
}

static double minus(double x, double number)
{
    return number - x;
}

static double times(double x, double number)
{
    return x * number;
}

static double exponential(double x, double number)
{
    (void)number;
    return exp(x);
}

static double sigmoid(double x, double number)
{
    (void)number;
    return 1 / (1 + exp(-x));
}

static double hyperbolic(double x, double number)
{
    (void)number;
    return tanh(x);
}

static bool is_close(double got, double wanted, double size)
{
    return fabs(got - wanted) <= ROUNDING * fmax(fabs(wanted), size);
}

/** Whether t = f(p) element by element. */
static bool holds(const itc_tensor *p, const itc_tensor *t, function f, double number)
{
    const float *a = p->data, *b = t->data;
    for (int64_t i = 0; i < p->count; i++) {
        const double size = f == plus || f == minus ? fabs((double)a[i]) : 0;
        if (!is_close((double)b[i], f((double)a[i], number), size)) {
            return false;
        }
    }
    return true;
}

static bool same_extents(const itc_tensor *p, const itc_tensor *t)
{
    bool same = p->rank == t->rank;
    for (int i = 0; same && i < p->rank; i++) {
        same = p->dim[i] == t->dim[i];
    }
    return same;
}

/** The number of p + number, number - p and p * number, from all elements: roundings even out. */
static double find_number(const itc_tensor *p, const itc_tensor *t, itc_onnx_formula_kind kind)
{
    const float *a = p->data, *b = t->data;
    double above = 0, below = 0;
    for (int64_t i = 0; i < p->count; i++) {
        const double x = (double)a[i], y = (double)b[i];
        above += kind == ITC_ONNX_TIMES ? x * y : kind == ITC_ONNX_PLUS ? y - x : y + x;
        below += kind == ITC_ONNX_TIMES ? x * x : 1;
    }
    return above / below;
}

static bool is_function(const itc_tensor *p, const itc_tensor *t, itc_onnx_formula *out)
{
    static const function functions[] = {
        [ITC_ONNX_PLUS] = plus,       [ITC_ONNX_MINUS] = minus,     [ITC_ONNX_TIMES] = times,
        [ITC_ONNX_EXP] = exponential, [ITC_ONNX_SIGMOID] = sigmoid, [ITC_ONNX_TANH] = hyperbolic};
    for (size_t k = 0; k < sizeof functions / sizeof functions[0]; k++) {
        const itc_onnx_formula_kind kind = (itc_onnx_formula_kind)k;
        const double number = kind <= ITC_ONNX_TIMES ? find_number(p, t, kind) : 0;
        if (functions[k] && holds(p, t, functions[k], (double)(float)number)) {
            *out = (itc_onnx_formula){.kind = kind, .number = (float)number};
            return true;
        }
    }
    return false;
}

/** Whether t has the sums of squares over an axis; t may have the axis, with extent 1, or not. */
static bool is_sum_of_squares(const itc_tensor *p, const itc_tensor *t, int axis)
{
    int64_t inner = 1;
    for (int i = axis + 1; i < p->rank; i++) {
        inner *= p->dim[i];
    }
    const int64_t n = p->dim[axis], outer = p->count / (n * inner);
    const float *a = p->data, *b = t->data;
    for (int64_t o = 0; o < outer; o++) {
        for (int64_t k = 0; k < inner; k++) {
            double sum = 0;
            for (int64_t i = 0; i < n; i++) {
                const double x = (double)a[(o * n + i) * inner + k];
                sum += x * x;
            }
            if (!is_close((double)b[o * inner + k], sum, sum * (double)n / 2)) {
                return false;
            }
        }
    }
    return true;
}

bool itc_onnx_find_formula(const itc_tensor *p, const itc_tensor *t, itc_onnx_formula *out)
{
    enum { FEW = 3 };
    const float *a = p->data;
    int64_t others = 0;
    for (int64_t i = 1; i < p->count; i++) {
        others += a[i] != a[0];
    }
    if (others < FEW - 1 || t->count == 0) {
        return false;
    }
    if (same_extents(p, t) && is_function(p, t, out)) {
        return true;
    }
    for (int axis = 0; axis < p->rank; axis++) {
        if (p->dim[axis] > 1 && t->count == p->count / p->dim[axis] &&
            is_sum_of_squares(p, t, axis)) {
            *out = (itc_onnx_formula){.kind = ITC_ONNX_SUM_SQUARES, .axis = axis};
            return true;
        }
    }
    return false;
}
