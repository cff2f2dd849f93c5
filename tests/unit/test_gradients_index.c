/*
 * The gradient of what indices choose (support/grad_check.h says how).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/support/grad_check.h"

static void gathers(void **state)
{
    static const grad_case cases[] = {
        {.text = X("5,3") "ids t [N,4,3] 0..5; y = GatherElements(a, t) axis=1"},
        {.text = X("2,6") "ids t [N,2,3] 0..6; g = GatherElements(a, t) axis=-1; y = Tanh(g)"},
        /* fewer indices than elements on another axis */
        {.text = X("5,3") "ids t [N,2,2] 0..5; y = GatherElements(a, t) axis=1"},
        {.text = "ids t [N,3] 0..3; par w [4,3]; par v [3,4]; m = MatMul(w, v); u = MatMul(m, w);"
                 "ids s [N] 0..4; e = Gather(u, s); y = GatherElements(e, t) axis=1"},
        {.text = "ids t [N,3,2] 0..4; par w [4,4,3]; y = GatherND(w, t)"},
        {.text = "ids t [N,1] 0..6; par w [6,5]; g = GatherND(w, t); y = Tanh(g)"},
        {.text = X("5,4") "ids t [N,3,1] 0..5; y = GatherND(a, t) batch_dims=1"},
        {.text = X("3,4,2") "ids t [N,3,1] 0..4; g = GatherND(a, t) batch_dims=2; y = Tanh(g)"},
        {.text = X("3,4") "ids t [N,5,2] 0..3; y = GatherND(a, t) batch_dims=1"},
    };
    RUN(cases)
}

/* Indices of which the first says that each row takes of itself: arange(N)[:, None]. */
/* clang-format off */
#define ROWS(shape) \
    "s = Shape(a) end=1; n = Squeeze(s); ints z1 0; z = Squeeze(z1); ints o1 1; o = Squeeze(o1);" \
    "r = Range(z, n, o); ints q -1,1,1; c = Reshape(r, q); ints l " shape ";" \
    "e = Concat(s, l) axis=0; rows = Expand(c, e);"
/* clang-format on */

static void gathers_within_rows(void **state)
{
    static const grad_case cases[] = {
        {.text = "opset 15;" X("5,3") ROWS("3,1") "ids t [N,3,1] 0..5;"
                                                  "i = Concat(rows, t) axis=2; y = GatherND(a, i)",
         .reference = X("5,3") "ids t [N,3,1] 0..5; y = GatherND(a, t) batch_dims=1"},
        {.text = "opset 15;" X("5,3") ROWS("3,1") "ints u 4,0,4; ints k 1,3,1; v = Reshape(u, k);"
                                                  "t = Expand(v, e); i = Concat(rows, t) axis=2;"
                                                  "y = GatherND(a, i)",
         .reference = X("5,3") "ints t 4,0,4; y = Gather(a, t) axis=1"},
        {.text = "opset 15;" X("4,3,2")
             ROWS("2,1") "ints u 3,1; ints k 1,2,1; v = Reshape(u, k); t = Expand(v, e);"
                         "ints f 2,-3; m = Reshape(f, k); w = Expand(m, e);"
                         "i = Concat(rows, t, w) axis=2; y = GatherND(a, i)",
         .reference = X("4,3,2") "ints k 0,12,2; d = Reshape(a, k); ints t 11,3;"
                                 "y = Gather(d, t) axis=1"},
    };
    RUN(cases)
}

static void scatters(void **state)
{
    static const grad_case cases[] = {
        {.text = X("5,3") Z("2,3") "ids t [N,2,3] 0..5; y = ScatterElements(a, t, d) axis=1"},
        {.text = X("5,3") Z("4,2") "ids t [N,4,2] 0..5; y = ScatterElements(a, t, d) axis=1 "
                                   "reduction=add"},
        {.text = "opset 18;" X("4,3") Z("6,3") "ids t [N,6,3] 0..4; b = Tanh(d);"
                                               "y = ScatterElements(a, t, b) axis=1 reduction=max"},
        {.text = "opset 18;" X("4,3") Z("6,3") "ids t [N,6,3] 0..4; const c [] -1.4; b = Add(d, c);"
                                               "y = ScatterElements(a, t, b) axis=1 reduction=min"},
        {.text = "opset 10;" X("5") Z("2") "ids t [N,2] 0..5; y = Scatter(a, t, d) axis=1"},
        {.text = X("3") "par w [6,3]; par u [6,3]; ints i 4,1,0; ints s 3,1;"
                        "i2 = Reshape(i, s); ints f 0; ints l 3; ints k 0; v = Slice(u, f, l, k);"
                        "m = ScatterND(w, i2, v); g = Transpose(m) perm=1,0; y = MatMul(a, g)"},
        {.text = X("3") "par w [6,3]; par v [4,3]; ints i 4,1,4,0; ints s 4,1;"
                        "i2 = Reshape(i, s); m = ScatterND(w, i2, v) reduction=add;"
                        "u = Transpose(m) perm=1,0; y = MatMul(a, u)"},
    };
    RUN(cases)
}

/* All rows in a line, as torch.export writes max_unpool: indices of run time, and where each row,
 * or each of its two planes, begins. */
/* clang-format off */
#define LINE(count, shape, width) \
    "s = Shape(a) end=1; n0 = Squeeze(s); ints k0 " count "; k = Squeeze(k0); n = Mul(n0, k);" \
    "ints z1 0; zero = Squeeze(z1); ints o1 1; o = Squeeze(o1); r = Range(zero, n, o);" \
    "ints to " shape "; c = Reshape(r, to); ints w " width "; m = Mul(c, w);" \
    "i = Add(t, m); ints e -1,1; tuples = Reshape(i, e); ints f -1; line = Reshape(a, f);" \
    "put = Reshape(d, f);"
/* clang-format on */

static void scatters_within_rows(void **state)
{
    static const grad_case cases[] = {
        {.text = "opset 18;" X("2,3") Z("4") "ids t [N,4] 0..6;" LINE(
             "1", "-1,1", "6") "y0 = ScatterND(line, tuples, put) reduction=add; ints v -1,2,3; y "
                               "= Reshape(y0, v)",
         .reference = X("2,3") Z("4") "ids t [N,4] 0..6; ints g -1,6; b = Reshape(a, g);"
                                      "h = ScatterElements(b, t, d) axis=1 reduction=add;"
                                      "ints v -1,2,3; y = Reshape(h, v)"},
        {.text = "opset 18;" X("2,3") Z("2,2") "ids t [N,2,2] 0..3;" LINE(
             "2", "-1,2,1",
             "3") "y0 = ScatterND(line, tuples, put); ints v -1,2,3; y = Reshape(y0, v)",
         .reference = X("2,3") Z("2,2") "ids t [N,2,2] 0..3;"
                                        "y = ScatterElements(a, t, d) axis=2"},
    };
    RUN(cases)
}

static void orders(void **state)
{
    static const grad_case cases[] = {
        {.text = X("7") "ints k 3; y, i = TopK(a, k)"},
        {.text = X("5,4") "ints k 2; v, i = TopK(a, k) axis=1 largest=0; y = Tanh(v)"},
        {.text = X("6") "ints k 2; v, i = TopK(a, k); b = GatherElements(a, i) axis=1;"
                        "y = Mul(v, b)"},
        {.text = X("6") "i = ArgMax(a) axis=1; y = GatherElements(a, i) axis=1"},
        {.text = X("5") "ids t [N] 0..5; ints k 5; par v [2]; h = OneHot(t, k, v);"
                        "y = Mul(a, h)"},
        {.text = X("4,3") "ids t [N,3] 0..4; ints k 4; const v [2] 0.5,-1;"
                          "h = OneHot(t, k, v) axis=1; y = Mul(a, h)"},
    };
    RUN(cases)
}

static void others(void **state)
{
    static const grad_case cases[] = {
        {.text = X("5,3") "ids t [N] 1..6; y = ReverseSequence(a, t) batch_axis=0 time_axis=1"},
        {.text = X("3,2") "u = Transpose(a) perm=1,0,2; ids t [N] 1..4; r = ReverseSequence(u, t);"
                          "y = Transpose(r) perm=1,0,2"},
        {.text = X("1,4,2") "b, i = MaxPool(a) kernel_shape=2,2 strides=2,2; c = Tanh(b);"
                            "u = MaxUnpool(c, i) kernel_shape=2,2 strides=2,2; y = Add(u, a)",
         .reference = X(
             "1,4,2") "b = MaxPool(a) kernel_shape=2,2 strides=2,2; c = Tanh(b);"
                      "const s [4] 1,1,2,2; u = Upsample(b, s); e = Upsample(c, s);"
                      "q = GreaterOrEqual(a, u); const z [] 0; w = Where(q, e, z); y = Add(w, a)"},
        {.text = X("5,3") "ints k 1,0,1,1,0; y = Compress(a, k) axis=1"},
    };
    RUN(cases)
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gathers),  cmocka_unit_test(gathers_within_rows),
        cmocka_unit_test(scatters), cmocka_unit_test(scatters_within_rows),
        cmocka_unit_test(orders),   cmocka_unit_test(others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
