/*
 * The gradient of reductions over axes and over operands (support/grad_check.h says how).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/support/grad_check.h"

#define OF(shape, rest)                                                                            \
    {                                                                                              \
        .text = X(shape) rest                                                                      \
    }

static void sums(void **state)
{
    static const grad_case cases[] = {
        OF("3,4", "ints s 1; y = ReduceSum(a, s)"),
        OF("3,4", "ints s -1; y = ReduceSum(a, s) keepdims=0"),
        OF("2,3,4", "ints s 1,3; y = ReduceSum(a, s) keepdims=0"),
        OF("2,3", "ints s 1,2; y = ReduceMean(a, s)"),
        {.text = "opset 12;" Z("2,3,4") "y = ReduceSum(d) axes=2,-1 keepdims=0"},
        {.text = "opset 11;" X("3,2,2") "y = ReduceMean(a) axes=2,3"},
        {.text = "opset 18;" X("3,2,2") "ints s 2,3; y = ReduceMean(a, s) keepdims=0"},
        {.text = "opset 18;" X("3,2") "ints s 1; y = ReduceSumSquare(a, s)"},
        {.text = "opset 12;" X("3,2") "y = ReduceL1(a) axes=1"},
        {.text = "opset 12;" X("3,2") "y = ReduceL2(a) axes=1 keepdims=0"},
        {.text = "opset 12;" Z("3,2") "y = ReduceLogSum(d) axes=1"},
        {.text = "opset 12;" X("3,2") "y = ReduceLogSumExp(a) axes=1,2"},
        {.text = "opset 12;" X("2,3,2") "y = ReduceLogSumExp(a) axes=2 keepdims=0"},
        OF("3,4", "y = ReduceSum(a) noop_with_empty_axes=1"),
        OF("4", "par w [3,4]; ints s 0; v = ReduceSum(w, s) keepdims=0; y = Mul(a, v)"),
    };
    RUN(cases)
}

static void extrema(void **state)
{
    static const grad_case cases[] = {
        {.text = "opset 12;" X("3,4") "y = ReduceMax(a) axes=1"},
        {.text = "opset 12;" X("3,4") "y = ReduceMax(a) axes=-1 keepdims=0"},
        {.text = "opset 12;" X("2,3,4") "y = ReduceMax(a) axes=1,3"},
        {.text = "opset 18;" X("2,3,4") "ints s 2,3; y = ReduceMax(a, s) keepdims=0"},
        {.text = "opset 12;" X("3,4") "y = ReduceMin(a) axes=2"},
        {.text = "opset 12;" X("3,4") "t = Transpose(a) perm=1,0,2; m = ReduceMax(t) axes=0;"
                                      "y = Transpose(m) perm=1,0,2"},
        OF("5", "par w [5]; y = Max(a, w)"),
        OF("2,3", "par w [2,1]; b = Tanh(a); y = Max(w, a, b)"),
        OF("13", "par w [1] -0.2..0.2; y = Min(w, a)"),
        OF("3", "par w [2,1,3]; m = Min(a, w); y = Transpose(m) perm=1,0,2"),
        OF("4", "par w [4]; par v [4]; u = Max(w, v); y = Mul(a, u)"),
        OF("5", "m = Max(a); y = Min(m)"),
    };
    RUN(cases)
}

static void many(void **state)
{
    static const grad_case cases[] = {
        OF("5", "par w [5]; b = Tanh(a); y = Sum(a, b, w)"),
        OF("2,3", "par w [3]; y = Mean(w, a)"),
        OF("4", "y = Sum(a)"),
        OF("3", "b = Tanh(a); y = Sum(a, b, a, b, a, b, a, b, a, b)"),
        OF("3", "b = Tanh(a); y = Mean(a, b, a, b, a, b, a, b, b)"),
    };
    RUN(cases)
}

static void products(void **state)
{
    static const grad_case cases[] = {
        OF("3,4", "y = ReduceProd(a) axes=2"),
        OF("3,3", "y = ReduceProd(a) axes=1 keepdims=0"),
        {.text = Z("7,2") "y = ReduceProd(d) axes=1"},
        {.text = Z("2,1,3") "y = ReduceProd(d) axes=1,3 keepdims=0"},
        {.text = "opset 18;" X("2,1,2") "ints s 1,2,3; y = ReduceProd(a, s)"},
        OF("4,1", "y = ReduceProd(a) axes=2"),
    };
    RUN(cases)
}

/** Of integers, as factors of what has a gradient. */
static void integers(void **state)
{
    static const grad_case cases[] = {
        OF("4", "ids t [N,4,5] 0..9; ints s 2; r = ReduceSum(t, s) keepdims=0;"
                "f = Cast(r) to=1; y = Mul(a, f)"),
        OF("4", "ids t [N,4,5] 0..9; r = ReduceMax(t) axes=2 keepdims=0; f = Cast(r) to=1;"
                "y = Mul(a, f)"),
        OF("4", "ids t [N,4,3] 0..9; r = ReduceMin(t) axes=2 keepdims=0; f = Cast(r) to=1;"
                "y = Mul(a, f)"),
        OF("4", "ids t [N,4,3] 0..5; r = ReduceProd(t) axes=2 keepdims=0; f = Cast(r) to=1;"
                "y = Mul(a, f)"),
    };
    RUN(cases)
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums),     cmocka_unit_test(extrema),  cmocka_unit_test(many),
        cmocka_unit_test(products), cmocka_unit_test(integers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
