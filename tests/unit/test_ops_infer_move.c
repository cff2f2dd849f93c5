/*
 * Shapes and types of data movement: each case is a node in ONNX's form, taken through the shape
 * pass.
 */
#include "tests/support/op_case.h"

static void slices(void **state)
{
    static const infer_case cases[] = {
        {"Slice", {"f32[N,3]", "=0", "=9223372036854775807", "=0"}, 0, "f32[N,3]", 0},
        {"Slice", {"f32[N,3]", "=0", "=N", "=0"}, 0, "f32[N,3]", 0},
        {"Slice", {"f32[N,3]", "=0", "=2", "=0"}, 0, "E0224", 0},
        {"Slice", {"f32[N,3]", "=1", "=N", "=0"}, 0, "E0224", 0},
        {"Slice", {"f32[N,3]", "=0", "=2", "=1"}, 0, "f32[N,2]", 0},
        {"Slice", {"f32[N,9]", "=1", "=8", "=-1", "=3"}, 0, "f32[N,3]", 0},
        {"CenterCropPad", {"f32[N,5,6]", "=3,8"}, "axes=1,2", "f32[N,3,8]", 18},
        {"CenterCropPad", {"f32[N,5,6]", "=N,5,4"}, "", "f32[N,5,4]", 18},
        {"CenterCropPad", {"f32[N,5,6]", "=2,5,4"}, "", "E0224", 18},
        {"CenterCropPad", {"f32[N,5,6]", "=2"}, "", "E0225", 18},
        {"CenterCropPad", {"f32[N,5,6]", "=0"}, "axes=1", "E0221", 18},
        {"CenterCropPad", {"f32[N,5,6]", "=9223372036854775807"}, "axes=1", "E0221", 18},
        {"Col2Im", {"f32[N,4,9]", "=4,4", "=2,2"}, "", "f32[N,1,4,4]", 18},
        {"Col2Im", {"f32[N,12,4]", "=2,2", "=2,3"}, "pads=1,1,0,1", "f32[N,2,2,2]", 18},
        {"Col2Im", {"f32[N,5,9]", "=4,4", "=2,2"}, "", "E0221", 18},
        {"Col2Im", {"f32[N,4,8]", "=4,4", "=2,2"}, "", "E0221", 18},
        {"Col2Im", {"f32[N,4,9]", "=1,4", "=2,2"}, "", "E0221", 18},
        {"Col2Im", {"f32[N,4,9]", "=4,4", "=2,2"}, "strides=0,1", "E0221", 18},
        {"Slice", {"f32[N,9]", "=-1", "=-100", "=1", "=-1"}, 0, "f32[N,9]", 0},
        {"Slice", {"f32[N,9]", "=100", "=0", "=1", "=-4"}, 0, "f32[N,2]", 0},
        {"Slice",
         {"f32[N,9]", "=-9223372036854775808", "=9223372036854775807", "=1"},
         0,
         "f32[N,9]",
         0},
        {"Slice",
         {"f32[N,9]", "=8", "=-9223372036854775808", "=1", "=-9223372036854775808"},
         0,
         "f32[N,1]",
         0},
        {"Slice", {"f32[N,9]", "=0", "=9", "=1", "=9223372036854775807"}, 0, "f32[N,1]", 0},
        {"Slice", {"f32[2,N,9]", "=1,4", "=2,5", "=0,2"}, 0, "f32[1,N,1]", 0},
        {"Slice", {"f32[N,5,6]"}, "starts=1,0;ends=-1,4;axes=1,2", "f32[N,3,4]", 9},
        {"Slice", {"i64[N,5]", "=1", "=3", "=1"}, 0, "i64[N,2]", 0},
        {"Slice", {"f32[N,3]", "=2", "=2", "=1"}, 0, "E0201", 0},
        {"Slice", {"f32[N,3]", "=0", "=2", "=1", "=0"}, 0, "E0221", 0},
        {"Slice", {"f32[N,3]", "=0,1", "=2", "=1"}, 0, "E0221", 0},
        {"Slice", {"f32[N,3]", "=0", "=2", "=2"}, 0, "E0222", 0},
        {"Slice", {"f32[N,3]", "i64[1]", "=2", "=1"}, 0, "E0225", 0},
    };
    CHECK_CASES(cases)
}

static void splits(void **state)
{
    static const infer_case cases[] = {
        {"Split", {"f32[N,3]"}, "axis=1", "f32[N,3]", 0},
        {"Split", {"f32[N,3]", "=3"}, "axis=-1", "f32[N,3]", 0},
        {"Split", {"f32[N,3]"}, "axis=1;split=3", "f32[N,3]", 11},
        {"Split", {"f32[N,3]"}, "axis=0", "f32[N,3]", 0},
        {"Split", {"f32[N,3]"}, "axis=1;num_outputs=1", "f32[N,3]", 18},
        {"Split", {"f32[N,3]"}, "axis=1;num_outputs=2", "E0221", 18},
        {"Split", {"f32[N,3]", "=2"}, "axis=1", "E0221", 0},
        {"Split", {"f32[N,3]", "=4"}, "axis=1", "E0221", 0},
        {"Split", {"f32[N,3]", "=-1"}, "axis=1", "E0221", 0},
        {"Split", {"f32[N,3]", "=1,2"}, "axis=1", "E0221", 0},
        {"Split", {"f32[N,3]"}, "axis=2", "E0222", 0},
    };
    CHECK_CASES(cases)
}

static void repeats(void **state)
{
    static const infer_case cases[] = {
        {"ConstantOfShape", {"=2,N,3"}, 0, "f32[2,N,3]", 0},
        {"Expand", {"f32[N,1,3]", "=1,4,1"}, 0, "f32[N,4,3]", 0},
        {"Expand", {"f32[N,3]", "=5,1,1"}, 0, "f32[5,N,3]", 0},
        {"Expand", {"f32[N,2,3]", "=3"}, 0, "f32[N,2,3]", 0},
        {"Expand", {"f32[1,3]", "=N,3"}, 0, "f32[N,3]", 0},
        {"Expand", {"i64[1,3]", "=N,3"}, 0, "i64[N,3]", 0},
        {"Expand", {"f32[N,1048576,1]", "=1,1048576,2097152"}, 0, "E0226", 0},
        {"Expand", {"f32[N,3]", "=N,3"}, 0, "f32[N,3]", 0},
        {"Expand", {"f32[N,2]", "=1,3"}, 0, "E0240", 0},
        {"Expand", {"f32[N,1]", "=1,0"}, 0, "E0201", 0},
        {"Expand", {"f32[N,1]", "=1,-2"}, 0, "E0226", 0},
        {"Expand", {"f32[N,1]", "=1,1N"}, 0, "E0224", 0},
        {"Expand", {"f32[N,1]", "=1,1,1,1,1,1,1,1,2"}, 0, "E0221", 0},
        {"Expand", {"f32[N,1]", "i64[2]"}, 0, "E0225", 0},
        {"Tile", {"f32[N,2,3]", "=1,2,3"}, 0, "f32[N,4,9]", 0},
        {"Tile", {"f32[1,2]", "=N,3"}, 0, "f32[N,6]", 0},
        {"Tile", {"f32[5,2]", "=2N,1"}, 0, "f32[10N,2]", 0},
        {"Tile", {"f32[N,1,1,1,1,1,1,2]", "=1,1,1,1,1,1,2,2"}, 0, "f32[N,1,1,1,1,1,2,4]", 0},
        {"Tile", {"f32[N,2]", "=1"}, 0, "E0221", 0},
        {"Tile", {"f32[N,2]", "=1,0"}, 0, "E0221", 0},
        {"Tile", {"f32[N,2]", "=2N,1"}, 0, "E0224", 0},
        {"Tile", {"f32[N,2]", "=1,9223372036854775807"}, 0, "E0221", 0},
    };
    CHECK_CASES(cases)
}

static void blocks(void **state)
{
    static const infer_case cases[] = {
        {"DepthToSpace", {"f32[N,8,2,3]"}, "blocksize=2", "f32[N,2,4,6]", 0},
        {"DepthToSpace", {"f32[N,8,2,3]"}, "blocksize=2;mode=CRD", "f32[N,2,4,6]", 0},
        {"DepthToSpace", {"f32[N,8,2,3]"}, "blocksize=2;mode=RCD", "E0221", 0},
        {"DepthToSpace", {"f32[N,8,2,3]"}, "blocksize=3", "E0221", 0},
        {"DepthToSpace", {"f32[N,8,2,3]"}, "blocksize=0", "E0221", 0},
        {"DepthToSpace", {"f32[N,8,2,3]"}, "blocksize=9223372036854775807", "E0221", 0},
        {"DepthToSpace", {"f32[N,8,2]"}, "blocksize=2", "E0203", 0},
        {"DepthToSpace", {"f32[4,N,2,2]"}, "blocksize=1", "E0224", 0},
        {"SpaceToDepth", {"f32[N,2,4,6]"}, "blocksize=2", "f32[N,8,2,3]", 0},
        {"SpaceToDepth", {"f32[N,2,4,5]"}, "blocksize=2", "E0221", 0},
        {"SpaceToDepth", {"f32[N,2,4,6]"}, "blocksize=-2", "E0221", 0},
    };
    CHECK_CASES(cases)
}

static void joins(void **state)
{
    static const infer_case cases[] = {
        {"Pad", {"f32[N,3]", "=0,0,0,0"}, 0, "f32[N,3]", 0},
        {"Pad", {"f32[N,3]"}, "pads=0,0,0,0", "f32[N,3]", 9},
        {"Pad", {"f32[N,3]", "=0,1,0,2"}, 0, "f32[N,6]", 0},
        {"Pad", {"f32[N,3]", "=0,-1,0,2"}, 0, "f32[N,4]", 0},
        {"Pad", {"f32[N,3]", "=0,-1,0,-2"}, 0, "E0226", 0},
        {"Pad", {"f32[N,3]", "=1,0,0,0"}, 0, "E0224", 0},
        {"Pad", {"f32[N,3]", "=0,1,0"}, 0, "E0221", 0},
        {"Pad", {"f32[N,3]", "=0,9223372036854775807,0,1"}, 0, "E0221", 0},
        {"Pad", {"f32[N,3]", "i64[4]"}, 0, "E0225", 0},
        {"Pad", {"f32[N,3]", "=0,1,0,0", "f32[]"}, 0, "E0225", 0},
        {"Pad", {"f32[N,3]", "=1,1", "", "=-1"}, 0, "f32[N,5]", 18},
        {"Pad", {"f32[N,3]", "=0,1,0,1"}, "mode=mirror", "E0221", 18},
        {"Concat", {"f32[N,3]", "f32[N,4]"}, "axis=1", "f32[N,7]", 0},
        {"Concat", {"i64[N,3]", "i64[N,4]"}, "axis=-1", "i64[N,7]", 0},
        {"Concat", {"f32[N,3]"}, "axis=1", "f32[N,3]", 0},
        {"Concat", {"f32[1,1,4]", "f32[N,3,4]"}, "axis=1", "f32[N,4,4]", 0},
        {"Concat", {"f32[N,3]", "f32[N,4]"}, "axis=0", "E0224", 0},
        {"Concat", {"f32[N,3]", "f32[N,3]"}, "axis=0", "E0224", 0},
        {"Concat", {"f32[N,3]", "f32[N,3]"}, "axis=2", "E0222", 0},
        {"Concat", {"f32[N,3]", "i64[N,3]"}, "axis=1", "E0220", 0},
        {"Concat", {"f32[N,3]", "f32[N,9223372036854775807]"}, "axis=1", "E0226", 0},
        {"Pad", {"f32[N,3]", "=0,4,0,1"}, "mode=reflect", "f32[N,8]", 0},
        {"Pad", {"f32[N,3]", "=0,4,0,1"}, "mode=edge", "f32[N,8]", 0},
        {"Pad", {"f32[N,1]", "=0,4,0,1"}, "mode=reflect", "f32[N,6]", 0},
    };
    CHECK_CASES(cases)
}

static void gathers(void **state)
{
    static const infer_case cases[] = {
        {"Gather", {"f32[N,3]", "=s1"}, "axis=1", "f32[N]", 0},
        {"Gather", {"f32[N,3]", "=-1"}, "axis=1", "f32[N,1]", 0},
        {"Gather", {"f32[N,3,2]", "=0,2,2,1"}, "axis=-2", "f32[N,4,2]", 0},
        {"Gather", {"f32[7,4]", "i64[N,5]"}, 0, "f32[N,5,4]", 0},
        {"Gather", {"f32[7,4]", "i64[N]"}, "axis=1", "f32[7,N]", 0},
        {"Gather", {"i64[7,4]", "i64[N]"}, 0, "i64[N,4]", 0},
        {"Gather", {"f32[N,3]", "=3"}, "axis=1", "E0229", 0},
        {"Gather", {"f32[N,3]", "=-4"}, "axis=1", "E0229", 0},
        {"Gather", {"f32[N,3]", "=N"}, "axis=1", "E0229", 0},
        {"Gather", {"f32[N,3]", "=0"}, 0, "E0224", 0},
        {"Gather", {"f32[N,3]", "i64[N]"}, "axis=1", "E0224", 0},
        {"Gather", {"f32[N,3]", "=0"}, "axis=2", "E0222", 0},
        {"Gather", {"f32[7,4]", "f32[N]"}, 0, "E0241", 0},
        {"Gather", {"f32[1,1,1,1,1,1,7]", "i64[N,1,1,1]"}, "axis=6", "E0228", 0},
        {"ConstantOfShape", {"=N,3"}, 0, "f32[N,3]", 0},
    };
    CHECK_CASES(cases)
}

static void resizes(void **state)
{
    static const infer_case cases[] = {
        {"Resize", {"f32[N,3,5,7]", "", "", "=1,3,10,4"}, 0, "E0224", 13},
        {"Resize", {"f32[N,3,5,7]", "", "", "=N,3,10,4"}, 0, "f32[N,3,10,4]", 13},
        {"Resize", {"f32[N,3,5,7]", "", "", "=10,4"}, "axes=2,3;mode=linear", "f32[N,3,10,4]", 18},
        {"Resize",
         {"f32[N,3,5,7]", "", "", "=10,4"},
         "axes=2,-1;keep_aspect_ratio_policy=not_larger",
         "f32[N,3,3,4]",
         18},
        {"Resize",
         {"f32[N,3,5,7]", "", "", "=10,4"},
         "axes=2,-1;keep_aspect_ratio_policy=not_smaller",
         "f32[N,3,10,14]",
         18},
        {"Resize", {"f32[N,3,5,7]", "", "", "=0,4"}, "axes=2,3", "E0221", 18},
        {"Resize", {"f32[N,3,5,7]", "", "", "=4"}, "axes=2,3", "E0221", 18},
        {"Resize", {"f32[N,3,5,7]", "", "", "=4"}, "axes=4", "E0222", 18},
        {"Resize", {"f32[N,3,5,7]", "", "", "=9223372036854775807"}, "axes=2", "E0221", 18},
        {"Resize", {"f32[N,3,5,7]", "", "", "=9"}, "axes=2;mode=lanczos", "E0221", 18},
        {"Resize", {"f32[N,3,5,7]", "", "", "i64[4]"}, 0, "E0225", 18},
        {"Upsample", {"f32[N,3,5,7]", "=1,1,2,3"}, 0, "f32[N,3,10,21]", 9},
        {"Upsample", {"f32[N,3,5,7]", "=2,1,1,1"}, 0, "E0224", 9},
        {"Upsample", {"f32[N,3,5,7]", "=1,1,0,1"}, 0, "E0221", 9},
        {"Upsample", {"f32[N,3,5,7]", "=1,1"}, 0, "E0221", 9},
    };
    CHECK_CASES(cases)
}

static void triangle_shapes(void **state)
{
    static const infer_case cases[] = {
        {"Trilu", {"f32[N,3,4]", "=s1"}, "", "f32[N,3,4]", 0},
        {"Trilu", {"i64[N,3,4]"}, "upper=0", "i64[N,3,4]", 0},
        {"Trilu", {"bool[3,4]", "=-2"}, "", "bool[3,4]", 0},
        {"Trilu", {"f32[3]"}, "", "E0203", 0},
        {"Trilu", {"f32[N,4]"}, "", "E0224", 0},
        {"Trilu", {"f32[N,3,4]", "i64[1]"}, "", "E0225", 0},
        {"EyeLike", {"f32[3,4]"}, "k=1", "f32[3,4]", 0},
        {"EyeLike", {"f32[3,4]"}, "dtype=9", "bool[3,4]", 0},
        {"EyeLike", {"f32[3,4]"}, "dtype=8", "E0201", 0},
        {"EyeLike", {"f32[N,4]"}, "", "E0224", 0},
        {"EyeLike", {"f32[N,4,4]"}, "", "E0203", 0},
        {"CumSum", {"f32[N,3,4]", "=s1"}, "", "f32[N,3,4]", 0},
        {"CumSum", {"i64[N,3,4]", "=-1"}, "reverse=1", "i64[N,3,4]", 0},
        {"CumSum", {"f32[N,3]", "=s0"}, "", "E0224", 0},
        {"CumSum", {"f32[N,3]", "=s2"}, "", "E0222", 0},
        {"CumSum", {"f32[N,3]", "i64[]"}, "", "E0225", 0},
        {"CumSum", {"f32[N,4097]", "=s1"}, "", "E0226", 0},
        {"CumSum", {"bool[N,3]", "=s1"}, "", "E0241", 0},
    };
    CHECK_CASES(cases)
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(triangle_shapes), cmocka_unit_test(slices),  cmocka_unit_test(splits),
        cmocka_unit_test(repeats),         cmocka_unit_test(blocks),  cmocka_unit_test(joins),
        cmocka_unit_test(gathers),         cmocka_unit_test(resizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
