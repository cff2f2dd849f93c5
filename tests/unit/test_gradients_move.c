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

static void joins(void **state)
{
    static const grad_case cases[] = {
        {.text = X("2,3") Z("4,3") "y = Concat(a, d) axis=1"},
        {.text = X("2,3") Z("2,1") "par w [4,3]; c = Concat(a, d) axis=-1; par v [4,5];"
                                   "y = MatMul(c, v)"},
        {.text = X("5") "par w [5,4]; b = MatMul(a, w); par v [5,2]; c = MatMul(a, v); par s [2];"
                        "d = Add(c, s); e = Concat(b, a, d, b) axis=1; y = Tanh(e)"},
        {.text = X("3,2,2") "par w [2,3,1,1]; b = Conv(a, w); c = Concat(b, a) axis=1; r = Relu(c);"
                            "par v [3,5,2,2]; y = Conv(r, v)"},
        {.text = X("2") "b = Tanh(a); c = Concat(a, b, a, b, a, b, a, b, a, b, a) axis=1;"
                        "y = Tanh(c)"},
        {.text = X("3,4") "par k [1,1,4]; c = Concat(k, a) axis=1; y = Tanh(c)",
         .reference = X("3,4") "par k [1,1,4]; t = Transpose(a) perm=1,0,2; ints s 1,1,1;"
                               "const z [3,4] 0,0,0,0,0,0,0,0,0,0,0,0; n = Mul(a, z);"
                               "ints i 1; ints f 0; ints l 1; m = Slice(n, f, l, i);"
                               "e = Add(m, k); c = Concat(e, a) axis=1; y = Tanh(c)"},
        {.text = X("4") "par w [2,3]; par v [2,3]; c = Concat(w, v) axis=0; y = Gemm(a, c)"},
    };
    RUN(cases)
}

static void constant_pads(void **state)
{
    static const grad_case cases[] = {
        {.text = X("2,3") "ints e 0,1,0,0,0,2; y = Pad(a, e)"},
        {.text = X("2,3") "ints e 0,1,2,0,0,1; const v [] 0.75; y = Pad(a, e, v)"},
        {.text = X("4,5") "ints e 0,-1,2,0,1,-2; const v [] -0.5; y = Pad(a, e, v)"},
        {.text = "opset 10;" X("2,3") "y = Pad(a) pads=0,0,1,0,1,0 value=0.25"},
        {.text = "opset 18;" X("2,3") "ints e 1,2; ints i -1; const v [] 2; y = Pad(a, e, v, i)"},
        {.text = X("2,4,4") "par w [3,2,3,3]; c = Conv(a, w); ints e 0,0,1,1,0,0,1,1;"
                            "d = Pad(c, e); par v [2,3,3,3]; y = Conv(d, v)"},
    };
    RUN(cases)
}

static void other_pads(void **state)
{
    static const grad_case cases[] = {
        {.text = X("2,4") "ints e 0,1,2,0,0,3; y = Pad(a, e) mode=reflect"},
        {.text = X("2,4") "ints e 0,1,2,0,2,1; y = Pad(a, e) mode=edge"},
        {.text = "opset 19;" X("2,4") "ints e 0,0,3,0,1,2; y = Pad(a, e) mode=wrap"},
        {.text = X("3,5") "ints e 0,-1,2,0,1,-2; y = Pad(a, e) mode=reflect"},
        {.text = X("2,3") "ints e 0,0,7,0,0,8; y = Pad(a, e) mode=reflect"},
    };
    RUN(cases)
}

static void gathers(void **state)
{
    static const grad_case cases[] = {
        {.text = X("5,3") "ints i 4,0,0,2; y = Gather(a, i) axis=1"},
        {.text = X("2,5") "ints i 4,2,0; y = Gather(a, i) axis=-1"},
        {.text = X("4,3") "ints i -1; g = Gather(a, i) axis=1; y = Tanh(g)"},
        {.text = X("5") "par w [6,5]; ints i 3,3,1,-6,5; v = Gather(w, i); y = MatMul(a, v)"},
        /* an embedding: the ids come with the rows */
        {.text = "ids t [N]; par w [7,4]; e = Gather(w, t); par v [4,7]; y = MatMul(e, v)",
         .loss = "cross-entropy"},
        {.text = "ids t [N,3]; par w [7,4]; e = Gather(w, t); par v [12,7]; f = Flatten(e);"
                 "y = MatMul(f, v)",
         .loss = "cross-entropy"},
        {.text = "ids t [N,3]; par w [2,7]; e = Gather(w, t) axis=1; u = Transpose(e) perm=1,0,2;"
                 "f = Flatten(u); par v [6,7]; y = MatMul(f, v)",
         .loss = "cross-entropy"},
    };
    RUN(cases)
}

/* clang-format off */
#define RESIZE(x, scales, attrs)                                                                   \
    {.text = "opset 19;" X(x) "const s [" scales "; y = Resize(a, _, s)" attrs}
/* clang-format on */

static void resizes(void **state)
{
    static const grad_case cases[] = {
        RESIZE("2,3,4", "4] 1,1,2,2", ""),
        RESIZE("2,3,4", "4] 1,1,2,3", " mode=linear"),
        RESIZE("2,5,6", "4] 1,1,0.5,0.5", " mode=linear"),
        RESIZE("2,5,6", "4] 1,1,0.6,1.7", " mode=linear"),
        RESIZE("1,4,5", "4] 1,1,2,1.5", " mode=cubic"),
        RESIZE("1,4,5", "4] 1,1,0.8,0.5", " mode=cubic cubic_coeff_a=-0.5"),
        RESIZE("1,4,5", "4] 1,1,2,2", " mode=cubic exclude_outside=1"),
        RESIZE("1,8,7", "4] 1,1,0.4,0.6", " mode=linear antialias=1"),
        RESIZE("1,8,7", "4] 1,1,0.5,0.4", " mode=cubic antialias=1"),
        RESIZE("2,3,4", "4] 1,1,2,2", " mode=linear coordinate_transformation_mode=align_corners"),
        RESIZE("2,3,4", "4] 1,1,2,2", " mode=linear coordinate_transformation_mode=asymmetric"),
        RESIZE("2,5,4", "4] 1,1,0.7,2",
               " mode=linear coordinate_transformation_mode=half_pixel_symmetric"),
        RESIZE("2,5,4", "4] 1,1,1.3,0.6",
               " coordinate_transformation_mode=asymmetric nearest_mode=floor"),
        RESIZE("2,5,4", "4] 1,1,1.3,0.6", " nearest_mode=round_prefer_ceil"),
        RESIZE("2,5,4", "4] 1,1,1.3,0.6",
               " nearest_mode=ceil coordinate_transformation_mode=align_corners"),
        RESIZE("2,5,4", "4] 1,1,1.3,2", " coordinate_transformation_mode=tf_half_pixel_for_nn"),
        RESIZE("3,6", "3] 1,1,1.5", " mode=linear"),
        {.text = "opset 10;" X("2,3,3") "const s [4] 1,1,2,1; y = Resize(a, s) mode=linear"},
        {.text = "opset 9;" X("2,3,3") "const s [4] 1,1,2,3; y = Upsample(a, s)"},
        {.text = "opset 13;" X("2,4,4") "const i [8] 0,0,0.2,0.1,1,1,0.8,0.7; const s [4] "
                                        "1,1,1.5,1; y = Resize(a, i, s) mode=linear "
                                        "coordinate_transformation_mode=tf_crop_and_resize"},
    };
    RUN(cases)
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices),     cmocka_unit_test(splits),  cmocka_unit_test(repeats),
        cmocka_unit_test(blocks),     cmocka_unit_test(joins),   cmocka_unit_test(constant_pads),
        cmocka_unit_test(other_pads), cmocka_unit_test(gathers), cmocka_unit_test(resizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
