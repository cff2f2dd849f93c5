/*
 * The gradient of data movement (support/grad_check.h says how).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/support/grad_check.h"

static void slices(void **state)
{
    static const grad_case cases[] = {
        {.text = X("7,5") "ints s 2,1; ints e 6,3; ints i 1,2; y = Slice(a, s, e, i)"},
        {.text = X("7,5") "ints s -1,4; ints e -9,0; ints i 1,2; ints t -2,-1;"
                          "y = Slice(a, s, e, i, t)"},
        {.text = X("9") "ints s 0; ints e 9; ints i -1; ints t 3; y = Slice(a, s, e, i, t)"},
        {.text = "opset 9;" X("7,5") "y = Slice(a) starts=1,0 ends=-1,4 axes=1,2"},
        {.text = X("6") "ints i 1; ints s 0; ints t 3; ints e 6; b = Slice(a, s, t, i);"
                        "c = Slice(a, t, e, i); y = Mul(b, c)"},
        /* before the axis of the rows, and behind it */
        {.text = X("4,3") "t = Transpose(a) perm=1,0,2; ints s 1,1; ints e 3,3; ints i 0,2;"
                          "v = Slice(t, s, e, i); y = Transpose(v) perm=1,0,2"},
        {.text = X("4,4") "par w [8,4]; ints s 1; ints e 8; ints i 0; ints t 2;"
                          "v = Slice(w, s, e, i, t); y = MatMul(a, v)"},
    };
    RUN(cases)
}

static void splits(void **state)
{
    static const grad_case cases[] = {
        {.text = X("6,2") "b, c, d = Split(a) axis=1; e = Mul(b, c); y = Mul(e, d)"},
        {.text = X("6") "ints s 1,3,2; b, c, d = Split(a, s) axis=-1; e = Mul(c, b); f = Mul(d, b);"
                        "g = Tanh(f); h = Mul(e, b); ints i 1; ints j 2; ints k 0;"
                        "m = Slice(h, k, j, i); y = Mul(m, g)"},
        {.text = "opset 18;" X("2,5") "b, c = Split(a) axis=2 num_outputs=2; ints i 2; ints k 0;"
                                      "ints j 2; d = Slice(b, k, j, i); y = Mul(c, d)"},
        {.text = "opset 11;" X("4") "b, c = Split(a) axis=1 split=1,3; y = Mul(c, b)"},
        {.text = X("5") "ints s 2,3; b, c = Split(a, s) axis=1; y = Identity(c)"},
    };
    RUN(cases)
}

static void repeats(void **state)
{
    static const grad_case cases[] = {
        {.text = X("3,1") "ints s 1,3,4; y = Expand(a, s)"},
        {.text = X("3") "ints s 2,1,3; e = Expand(a, s); y = Transpose(e) perm=1,0,2"},
        {.text = X("1,4") "ints s 5,1; e = Expand(a, s); par w [5,4]; y = Mul(e, w)"},
        {.text = X("3,2") "ints s 1,2,3; y = Tile(a, s)"},
        {.text = X("2,1,3") "ints s 1,1,4,2; t = Tile(a, s); r = Relu(t); y = Tanh(r)"},
        {.text = X("6,4") "par w [2]; ints s 2; t = Tile(w, s); y = Mul(a, t)"},
    };
    RUN(cases)
}

static void blocks(void **state)
{
    static const grad_case cases[] = {
        {.text = X("8,2,3") "y = DepthToSpace(a) blocksize=2"},
        {.text = X("8,2,3") "y = DepthToSpace(a) blocksize=2 mode=CRD"},
        {.text = X("9,1,2") "y = DepthToSpace(a) blocksize=3 mode=DCR"},
        {.text = X("2,4,6") "y = SpaceToDepth(a) blocksize=2"},
    };
    RUN(cases)
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices),
        cmocka_unit_test(splits),
        cmocka_unit_test(repeats),
        cmocka_unit_test(blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
