/*
 * The gradient of images at coordinates, of images from columns and of Fourier transforms
 * (support/grad_check.h says how).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/support/grad_check.h"

/* A grid of an input and something trained, whose sum stays off the places where an image's slope
 * jumps. */
/* clang-format off */
#define SAMPLE(x, grid, range, attrs) \
    {.text = "opset 20;" X(x) "in g [N," grid "] " range "; par q [" grid "] -0.02..0.02;" \
             "h = Add(g, q); y = GridSample(a, h)" attrs}
/* clang-format on */

static void samples(void **state)
{
    static const grad_case cases[] = {
        SAMPLE("2,4,5", "3,2,2", "-0.9..0.9", ""),
        SAMPLE("1,4,4", "2,3,2", "-0.9..0.9", " align_corners=1"),
        SAMPLE("3,3,4", "2,3,2", "-1.6..1.6", " padding_mode=border"),
        SAMPLE("2,4,3", "3,2,2", "-2.6..2.6", " padding_mode=reflection"),
        SAMPLE("2,4,3", "3,2,2", "-2.6..2.6", " padding_mode=reflection align_corners=1"),
        SAMPLE("2,4,5", "3,2,2", "-0.9..0.9", " mode=cubic"),
        SAMPLE("2,4,5", "3,2,2", "-1.4..1.4", " mode=cubic padding_mode=border"),
        SAMPLE("2,2,3,3", "2,1,2,3", "-0.9..0.9", ""),
        SAMPLE("2,6", "4,1", "-1.2..1.2", ""),
        {.text = "opset 16;" X("2,4,4") "in g [N,3,2,2] -0.9..0.9;"
                                        "y = GridSample(a, g) mode=nearest"},
        {.text =
             "opset 16;" X("2,4,4") "in g [N,3,2,2] -2..2;"
                                    "y = GridSample(a, g) mode=nearest padding_mode=reflection"},
        {.text =
             "opset 16;" X("2,4,4") "in g [N,2,2,2] -0.9..0.9;"
                                    "y = GridSample(a, g) mode=bicubic padding_mode=reflection"},
    };
    RUN(cases)
}

/* Offsets of an input and something trained, off the integers. */
/* clang-format off */
#define DEFORM(x, f, offset, rest, call) \
    {.text = "opset 19;" X(x) "par w [" f "]; in g [N," offset "] 0.1..0.9;" \
             "par q [" offset "] -0.05..0.05; o = Add(g, q);" rest "y = DeformConv(a, w, o" call}
/* clang-format on */

static void deformed(void **state)
{
    static const grad_case cases[] = {
        DEFORM("2,4,4", "2,2,2,2", "8,3,3", "", ")"),
        DEFORM("1,5,4", "2,1,3,2", "12,2,3", "", ") strides=2,1 pads=0,0,0,0"),
        DEFORM("2,3,4", "3,2,2,2", "8,4,5", "par b [3];", ", b) pads=1,1,1,1"),
        DEFORM("4,3,3", "4,2,2,2", "16,2,2",
               "par b [4]; par m [8,2,2] 0.5..1; in z [N,8,2,2] 0..1;"
               "k = Add(z, m);",
               ", b, k) group=2 offset_group=2"),
        DEFORM("2,4,4", "2,2,2,2", "8,2,2", "", ") dilations=2,2"),
    };
    RUN(cases)
}

/** A spatial transformer: the coordinates of an image by a matrix that is trained. */
static void grids(void **state)
{
    static const grad_case cases[] = {
        {.text = "opset 20;" X("2,3") "ints s 1,1,3,4; y = AffineGrid(a, s)"},
        {.text = "opset 20;" X("2,3") "ints s 1,1,3,4; y = AffineGrid(a, s) align_corners=1"},
        {.text = "opset 20;" X("3,4") "ints s 1,1,2,3,2; y = AffineGrid(a, s)"},
    };
    RUN(cases)
}

static void pieces(void **state)
{
    static const grad_case cases[] = {
        {.text = "opset 18;" X("4,7") "ints s 2,3; y = CenterCropPad(a, s) axes=1,2"},
        {.text = "opset 18;" X("3,2") "ints s 6,3; y = CenterCropPad(a, s) axes=1,-1"},
        {.text = "opset 18;" X("5,2,3") "ints s 2,5; y = CenterCropPad(a, s) axes=1,3"},
        {.text = "opset 18;" X("4,9") "ints i 4,4; ints b 2,2; y = Col2Im(a, i, b)"},
        {.text = "opset 18;" X("8,9") "ints i 5,5; ints b 2,2;"
                                      "y = Col2Im(a, i, b) strides=2,2 pads=0,1,1,0"},
        {.text = "opset 18;" X("6,6") "ints i 4,5; ints b 2,3;"
                                      "y = Col2Im(a, i, b) dilations=2,1"},
    };
    RUN(cases)
}

static void transforms(void **state)
{
    static const grad_case cases[] = {
        {.text = "opset 17;" X("6,1") "y = DFT(a)"},
        {.text = "opset 17;" X("3,5,1") "y = DFT(a) axis=2 onesided=1"},
        {.text = "opset 17;" X("4,3,2") "y = DFT(a) axis=1"},
        {.text = "opset 17;" X("5,2") "y = DFT(a) axis=1 inverse=1"},
        {.text = "opset 17;" X("5,1") "ints l 8; y = DFT(a, l) onesided=1"},
        {.text = "opset 20;" X("6,2") "ints l 4; ints k -2; y = DFT(a, l, k)"},
        {.text = "opset 17;" X("11,1") "ints h 3; par w [4] 0.5..1; y = STFT(a, h, w)"},
        {.text = "opset 17;" X("9,2") "ints h 2; const w [4] 0.5,1,0.75,0.25; ints l 4;"
                                      "y = STFT(a, h, w, l) onesided=0"},
    };
    RUN(cases)
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples), cmocka_unit_test(deformed),   cmocka_unit_test(grids),
        cmocka_unit_test(pieces),  cmocka_unit_test(transforms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
