/*
 * The gradient of transposed convolutions and of what is pooling in another form
 * (support/grad_check.h says how).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/support/grad_check.h"

/* clang-format off */
#define SPREAD(x, w, attrs) {.text = X(x) "par w [" w "]; y = ConvTranspose(a, w)" attrs}
/* clang-format on */

static void conv_transpose(void **state)
{
    static const grad_case cases[] = {
        SPREAD("2,3,4", "2,3,2,3", ""),
        SPREAD("2,3,4", "2,3,3,2", " strides=2,3"),
        SPREAD("2,3,4", "2,3,3,3", " strides=2,2 pads=1,0,1,1"),
        SPREAD("2,3,4", "2,3,3,3", " strides=2,2 pads=1,1,1,1 output_padding=1,0"),
        SPREAD("2,3,3", "2,3,2,3", " dilations=2,2 strides=1,2 pads=0,1,1,2"),
        SPREAD("4,3,3", "4,3,2,2", " group=2 strides=2,2"),
        SPREAD("3,3,3", "3,1,3,3", " group=3 strides=2,1"),
        SPREAD("2,3,3", "2,2,3,3", " auto_pad=SAME_UPPER strides=2,2"),
        SPREAD("2,3,3", "2,2,3,4", " auto_pad=SAME_LOWER strides=2,3"),
        SPREAD("2,3,3", "2,2,3,3", " auto_pad=VALID"),
        SPREAD("2,3,3", "2,2,3,3", " strides=3,2 output_shape=10,8"),
        SPREAD("2,3,3", "2,2,3,3", " strides=3,2 output_shape=8,6"),
        SPREAD("2,3,3", "2,2,3,2", " dilations=3,3 output_padding=2,2"),
        SPREAD("3,6", "3,2,4", " strides=2 pads=1,1"),
        SPREAD("2,2,3,3", "2,2,2,2,2", " strides=2,2,2"),
        SPREAD("2,3,2,2", "2,1,3,2,3", " strides=2,1,2 pads=1,0,1,1,1,0 output_padding=1,0,0"),
        SPREAD("4,2,2,3", "4,1,2,1,2", " group=2 dilations=2,1,1"),
        {.text = X("2,3,2,2") "par w [2,3,1,2,2]; par b [3];"
                              "y = ConvTranspose(a, w, b) pads=1,0,0,0,0,1"},
        {.text = X("2,3,3") "par w [2,3,2,2]; par b [3]; y = ConvTranspose(a, w, b) strides=2,2"},
        {.text = X("3,6") "par w [3,2,4]; par b [2]; y = ConvTranspose(a, w, b) output_shape=12"},
    };
    RUN(cases)
}

/* clang-format off */
#define POOL(op, x, attrs) {.text = "opset 18;" X(x) "y = " op "(a)" attrs}
/* clang-format on */

static void other_pools(void **state)
{
    static const grad_case cases[] = {
        POOL("GlobalMaxPool", "3,4,5", ""),
        POOL("GlobalMaxPool", "3,7", ""),
        POOL("GlobalMaxPool", "2,2,3,4", ""),
        POOL("GlobalAveragePool", "2,2,3,4", ""),
        POOL("LpPool", "2,6,6", " kernel_shape=2,2 strides=2,2"),
        POOL("LpPool", "2,6,6", " kernel_shape=2,3 strides=2,2 p=1"),
        POOL("LpPool", "2,5,5", " kernel_shape=3,3 pads=1,1,0,1 p=3"),
        POOL("LpPool", "2,7,6", " kernel_shape=3,2 strides=2,3 ceil_mode=1"),
        POOL("LpPool", "2,6,5", " kernel_shape=2,3 strides=2,2 auto_pad=SAME_UPPER"),
        POOL("LpPool", "3,9", " kernel_shape=3 dilations=2"),
        POOL("LpPool", "2,2,4,3", " kernel_shape=2,2,3 pads=1,0,0,1,0,1"),
        POOL("GlobalLpPool", "3,4,5", ""),
        POOL("GlobalLpPool", "3,4", " p=1"),
        POOL("LRN", "5,3,2", " size=3 alpha=0.5"),
        POOL("LRN", "6,4", " size=4 alpha=2 beta=0.5 bias=2"),
        POOL("LRN", "3,2,2", " size=5"),
    };
    RUN(cases)
}

/** Three spatial axes. */
static void volumes(void **state)
{
    static const grad_case cases[] = {
        {.text = X("2,3,4,3") "par w [3,2,2,2,2]; y = Conv(a, w)"},
        {.text = X("2,4,3,4") "par w [2,2,2,3,2]; par b [2];"
                              "y = Conv(a, w, b) strides=2,1,2 pads=1,1,0,0,1,1"},
        {.text = X("4,5,3,3") "par w [6,2,2,2,3]; y = Conv(a, w) group=2 dilations=2,1,1"},
        {.text = X("4,3,3,2") "par w [4,1,3,3,2]; y = Conv(a, w) group=4 pads=1,1,0,1,1,1"},
        POOL("AveragePool", "2,4,3,4", " kernel_shape=2,3,2 strides=2,1,2"),
        POOL("AveragePool", "2,3,3,4", " kernel_shape=2,2,3 pads=1,0,1,0,1,1"),
        POOL("AveragePool", "2,3,3,4", " kernel_shape=2,2,3 pads=1,0,1,0,1,1 count_include_pad=1"),
        POOL("MaxPool", "2,4,4,2", " kernel_shape=2,2,2 strides=2,2,2"),
        POOL("MaxPool", "1,4,3,3", " kernel_shape=3,2,2 pads=1,0,1,1,1,0 strides=2,2,2"),
    };
    RUN(cases)
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conv_transpose),
        cmocka_unit_test(other_pools),
        cmocka_unit_test(volumes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
