/*
 * Shapes and types of reductions, transposed convolutions and what is pooling in another form: each
 * case is a node in ONNX's form, taken through the shape pass.
 */
#include "tests/support/op_case.h"

static void reductions(void **state)
{
    static const infer_case cases[] = {
        {"ReduceSum", {"f32[N,3,4]", "=1"}, 0, "f32[N,1,4]", 13},
        {"ReduceSum", {"f32[N,3,4]", "=1,-1"}, "keepdims=0", "f32[N]", 13},
        {"ReduceSum", {"f32[N,3,4]"}, "noop_with_empty_axes=1", "f32[N,3,4]", 13},
        {"ReduceSum", {"f32[N,3,4]"}, 0, "f32[1,1,1]", 13}, /* a loss */
        {"ReduceSum", {"f32[N,3,4]", "=0"}, 0, "E0224", 13},
        {"ReduceSum", {"f32[N,3,4]", "=3"}, 0, "E0222", 13},
        {"ReduceSum", {"f32[N,3,4]", "=1,1"}, 0, "E0222", 13},
        {"ReduceSum", {"f32[N,3,4]", "i64[1]"}, 0, "E0225", 13},
        {"ReduceSum", {"i64[N,3,4]", "=1"}, 0, "i64[N,1,4]", 13},
        {"ReduceMax", {"bool[N,3,4]"}, "axes=2", "bool[N,3,1]", 13},
        {"ReduceMax", {"f32[N,0]"}, "axes=1", "f32[N,1]", 13},
        {"ReduceMax", {"i64[N,0]"}, "axes=1", "E0201", 13},
        {"ReduceMean", {"f32[N,0]"}, "axes=1", "E0201", 13},
        {"ReduceMean", {"i64[N,3,4]"}, "axes=2", "E0241", 13},
        {"ReduceProd", {"f32[N,3,4]"}, "axes=1,2;keepdims=0", "f32[N]", 13},
        {"ReduceSum", {"f32[3,4]"}, "keepdims=0", "f32[]", 13},
        {"ReduceMean", {"f32[N,3,4]"}, "axes=2", "f32[N,3,1]", 13},
        {"ReduceMean", {"f32[N,3,4]", "=2"}, "keepdims=0", "f32[N,3]", 18},
        {"ReduceMax", {"f32[N,3,4,5]"}, "axes=1,3;keepdims=0", "f32[N,4]", 12},
        {"ReduceMax", {"f32[N,3,4,5]"}, "axes=2,3", "f32[N,3,1,1]", 12},
        {"ReduceMax", {"f32[3,N,4]"}, "axes=0", "f32[1,N,4]", 12},
        {"ReduceMin", {"f32[N,3]"}, "axes=-1", "f32[N,1]", 12},
        {"ReduceL1", {"f32[N,3]"}, "axes=1", "f32[N,1]", 12},
        {"ReduceL2", {"f32[N,3]"}, "axes=1", "f32[N,1]", 12},
        {"ReduceLogSum", {"f32[N,3]"}, "axes=1", "f32[N,1]", 12},
        {"ReduceLogSumExp", {"f32[N,3,2]"}, "axes=1;keepdims=0", "f32[N,2]", 12},
        {"ReduceSumSquare", {"f32[N,3]"}, "axes=1", "f32[N,1]", 12},
        {"ReduceProd", {"f32[N,3]"}, "axes=1", "f32[N,1]", 12},
    };
    CHECK_CASES(cases)
}

static void variadic(void **state)
{
    static const infer_case cases[] = {
        {"Sum", {"f32[N,3,4]", "f32[4]", "f32[3,1]"}, 0, "f32[N,3,4]", 0},
        {"Sum", {"f32[N,3]"}, 0, "f32[N,3]", 0},
        {"Mean", {"f32[N,3]", "f32[2,1,3]"}, 0, "f32[2,N,3]", 0},
        {"Max", {"f32[N,3,4]", "f32[4]", "f32[3,1]"}, 0, "f32[N,3,4]", 0},
        {"Max", {"f32[N,1,1,1,1,1,1,2]", "f32[]"}, 0, "f32[N,1,1,1,1,1,1,2]", 0},
        {"Min", {"f32[2,1,3]", "f32[N,3]"}, 0, "f32[2,N,3]", 0},
        {"Min", {"f32[N,3]"}, 0, "f32[N,3]", 0},
        {"Max", {"f32[N,3]", "f32[N,2]"}, 0, "E0240", 0},
        {"Sum", {"f32[N,3]", "f32[2]"}, 0, "E0240", 0},
    };
    CHECK_CASES(cases)
}

static void transposed_convolutions(void **state)
{
    static const infer_case cases[] = {
        {"ConvTranspose", {"f32[N,2,3,4]", "f32[2,5,3,3]"}, 0, "f32[N,5,5,6]", 0},
        {"ConvTranspose",
         {"f32[N,2,3,4]", "f32[2,5,3,3]", "f32[5]"},
         "strides=2,2",
         "f32[N,5,7,9]",
         0},
        {"ConvTranspose",
         {"f32[N,2,3,4]", "f32[2,5,3,3]"},
         "strides=2,2;pads=1,1,1,1;output_padding=1,1",
         "f32[N,5,6,8]",
         0},
        {"ConvTranspose", {"f32[N,4,3,3]", "f32[4,2,2,2]"}, "group=2", "f32[N,4,4,4]", 0},
        {"ConvTranspose",
         {"f32[N,2,3,3]", "f32[2,1,3,3]"},
         "strides=3,2;output_shape=10,8",
         "f32[N,1,10,8]",
         0},
        {"ConvTranspose",
         {"f32[N,2,3,3]", "f32[2,1,3,3]"},
         "strides=3,2;output_shape=14,9",
         "f32[N,1,14,9]",
         0},
        {"ConvTranspose",
         {"f32[N,2,3,3]", "f32[2,1,3,3]"},
         "strides=2,2;auto_pad=SAME_UPPER",
         "f32[N,1,6,6]",
         0},
        {"ConvTranspose", {"f32[N,2,7]", "f32[2,1,3]"}, "dilations=2", "f32[N,1,11]", 0},
        {"ConvTranspose", {"f32[N,2,3,3]", "f32[2,1,3,3]"}, "pads=3,0,2,0", "E0226", 0},
        {"ConvTranspose", {"f32[N,2,3,3]", "f32[3,1,3,3]"}, 0, "E0220", 0},
        {"ConvTranspose", {"f32[N,3,3,3]", "f32[3,1,3,3]"}, "group=2", "E0221", 0},
        {"ConvTranspose", {"f32[N,2,3,3]", "f32[2,1,3,3]", "f32[2]"}, 0, "E0220", 0},
        {"ConvTranspose", {"f32[N,2,3,3]", "f32[2,1,3]"}, 0, "E0203", 0},
        {"ConvTranspose", {"f32[N,2,3,3]", "f32[2,1,3,3]"}, "kernel_shape=2,3", "E0220", 0},
        {"ConvTranspose", {"f32[N,2,3,3]", "f32[2,1,3,3]"}, "strides=0,1", "E0221", 0},
        {"ConvTranspose", {"f32[N,2,3,3]", "f32[2,1,3,3]"}, "output_padding=-1,1", "E0221", 0},
        {"ConvTranspose",
         {"f32[N,2,3,3]", "f32[2,1,3,3]"},
         "strides=1073741824,1073741824",
         "E0226",
         0},
        {"ConvTranspose", {"f32[N,2,3,3,3]", "f32[2,1,3,3,3]"}, 0, "f32[N,1,5,5,5]", 0},
        {"ConvTranspose",
         {"f32[N,2,3,3,3]", "f32[2,1,3,3,3]", "f32[2]"},
         "strides=2,1,1",
         "E0220",
         0},
        {"LpPool", {"f32[N,2,4,4,4]"}, "kernel_shape=2,2,2;ceil_mode=1", "E0201", 18},
        {"LpPool", {"f32[N,2,4,4,4]"}, "kernel_shape=2,2,2", "f32[N,2,3,3,3]", 18},
        {"DeformConv", {"f32[N,2,4,5]", "f32[3,2,2,2]", "f32[N,8,3,4]"}, 0, "f32[N,3,3,4]", 19},
        {"DeformConv",
         {"f32[N,4,4,5]", "f32[6,2,2,2]", "f32[N,16,3,4]", "f32[6]", "f32[N,8,3,4]"},
         "group=2;offset_group=2",
         "f32[N,6,3,4]",
         19},
        {"DeformConv", {"f32[N,2,4,5]", "f32[3,2,2,2]", "f32[N,8,4,4]"}, 0, "E0220", 19},
        {"DeformConv", {"f32[N,2,4,5]", "f32[3,1,2,2]", "f32[N,8,3,4]"}, 0, "E0220", 19},
        {"DeformConv",
         {"f32[N,2,4,5]", "f32[3,2,2,2]", "f32[N,8,3,4]"},
         "strides=0,1",
         "E0221",
         19},
        {"DeformConv",
         {"f32[N,2,4,5]", "f32[3,2,2,2]", "f32[N,8,3,4]", "f32[3]", "f32[N,8,3,4]"},
         0,
         "E0220",
         19},
        {"ConvTranspose", {"f32[N,2,3,3]", "f32[N,1,3,3]"}, 0, "E0224", 0},
    };
    CHECK_CASES(cases)
}

static void other_pools(void **state)
{
    static const infer_case cases[] = {
        {"GlobalMaxPool", {"f32[N,3,5,7]"}, 0, "f32[N,3,1,1]", 0},
        {"GlobalMaxPool", {"f32[N,3,2,5,7]"}, 0, "f32[N,3,1,1,1]", 0},
        {"GlobalMaxPool", {"f32[N,3]"}, 0, "E0203", 0},
        {"GlobalMaxPool", {"f32[3,N,4]"}, 0, "E0224", 0},
        {"GlobalLpPool", {"f32[N,3,5,7]"}, "p=3", "f32[N,3,1,1]", 0},
        {"GlobalLpPool", {"f32[N,3,5,7]"}, "p=0", "E0221", 0},
        {"LpPool",
         {"f32[N,3,8,8]"},
         "kernel_shape=3,3;strides=2,2;ceil_mode=1",
         "f32[N,3,4,4]",
         18},
        {"LpPool", {"f32[N,3,8,8]"}, "kernel_shape=9,9", "E0226", 18},
        {"LRN", {"f32[N,3,5,7]"}, "size=3", "f32[N,3,5,7]", 0},
        {"LRN", {"f32[N,3,5,7]"}, "size=0", "E0221", 0},
        {"LRN", {"f32[N,3,5,7]"}, "size=3;bias=0", "E0221", 0},
        {"LRN", {"f32[N,3]"}, "size=3", "E0203", 0},
    };
    CHECK_CASES(cases)
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reductions),
        cmocka_unit_test(variadic),
        cmocka_unit_test(transposed_convolutions),
        cmocka_unit_test(other_pools),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
