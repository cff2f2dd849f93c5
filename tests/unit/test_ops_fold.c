/*
 * Arithmetic on shapes, folded by the shape pass; elements that count rows are marked N.
 */
#include "tests/support/op_case.h"

static const char *tensor_text(itc_graph *g, const itc_tensor *t)
{
    itc_strbuf b;
    itc_strbuf_init(&b, g->ctx);
    for (int64_t i = 0; i < t->count; i++) {
        const bool flag = t->batch && t->batch[i];
        itc_strbuf_printf(&b, "%s%g%s", i ? "," : "", itc_tensor_get(t, i), flag ? "N" : "");
    }
    return b.text;
}

typedef struct fold_case {
    const char *op;
    const char *in[MAX_IN];
    const char *attrs;
    const char *want; /**< elements, or the id of an error */
    int opset;
} fold_case;

static const fold_case fold_cases[] = {
    {"Shape", {"f32[N,16,5,5]"}, 0, "1N,16,5,5", 0},
    {"Shape", {"f32[2N,16,5,5]"}, "start=0;end=-2", "2N,16", 0},
    {"Shape", {"f32[N,16,5,5]"}, "start=-1", "5", 0},
    {"Shape", {"f32[N,16,5,5]"}, "start=3;end=1", "", 0},
    {"Gather", {"=N,16,5", "=s0"}, 0, "1N", 0},
    {"Gather", {"=N,16,5", "=-1,0"}, 0, "5,1N", 0},
    {"Gather", {"=N,16,5", "=3"}, 0, "E0229", 0},
    {"Range", {"=s2", "=s9", "=s3"}, 0, "2,5,8", 0},
    {"Unique", {"=2,1,1,3,4,3"}, 0, "1,2,3,4", 0},
    {"Unique", {"=2,1,1,3,4,3"}, "sorted=0", "2,1,3,4", 0},
    {"Unique", {"=5,-1,5"}, "axis=0", "-1,5", 0},
    {"Unique", {"=5,-1,5"}, "axis=1", "E0222", 0},
    {"Unique", {"=N,3"}, 0, "E0227", 0},
    {"Range", {"=s2", "=s-3", "=s-2"}, 0, "2,0,-2", 0},
    {"Range", {"=s2", "=s2", "=s1"}, 0, "", 0},
    {"Range", {"=s2", "=s9", "=s0"}, 0, "E0227", 0},
    {"Range", {"=sN", "=s9", "=s1"}, 0, "E0224", 0},
    {"Size", {"f32[N,3,2]"}, 0, "6N", 0},
    {"Size", {"=4,5,6"}, 0, "3", 0},
    {"GatherElements", {"=4,5,6", "=-1,0,2,2"}, 0, "6,4,6,6", 0},
    {"GatherElements", {"=4,5,6", "=3"}, 0, "E0229", 0},
    {"GatherElements", {"=4,5,6", "=s0"}, 0, "E0203", 0},
    {"GatherND", {"=4,5,6", "=-1"}, 0, "6", 0},
    {"GatherND", {"=4,5,6", "=3"}, 0, "E0229", 0},
    {"GatherND", {"=4,5,6", "=0,1"}, 0, "E0220", 0},
    {"Concat", {"=N", "=-1", "=4,2N"}, "axis=0", "1N,-1,4,2N", 0},
    {"Slice", {"=N,16,5,7", "=1", "=3"}, 0, "16,5", 0},
    {"Slice", {"=N,16,5,7", "=0", "=2"}, 0, "1N,16", 0},
    {"Slice", {"=N,16,5,7", "=-2", "=9223372036854775807"}, 0, "5,7", 0},
    {"Slice", {"=N,16,5,7"}, "starts=1;ends=-1", "16,5", 9},
    {"Slice", {"=1,2,3", "=0", "=N"}, 0, "E0224", 0},
    {"ReduceProd", {"=2,3,4"}, "axes=0", "24", 0},
    {"ReduceProd", {"=N,3,4"}, "keepdims=0", "12N", 0},
    {"ReduceProd", {"=N,N"}, 0, "E0227", 0},
    {"ReduceSum", {"=2,3,-4"}, 0, "1", 0},
    {"ReduceSum", {"=N,3"}, 0, "E0227", 0},
    {"ReduceMax", {"=2,7,-4"}, 0, "7", 0},
    {"ReduceMin", {"=2,7,-4"}, 0, "-4", 0},
    {"Max", {"=2,7", "=3,5", "=s4"}, 0, "4,7", 0},
    {"Min", {"=2N,7", "=3N,5"}, 0, "2N,5", 0},
    {"Max", {"=N", "=3"}, 0, "E0227", 0},
    {"Sum", {"=2N,7", "=3N,5"}, 0, "5N,12", 0},
    {"Split", {"=3,4"}, "axis=0", "3,4", 0},
    {"Expand", {"=3", "=2,2"}, 0, "3,3,3,3", 0},
    {"Tile", {"=1,N", "=2"}, 0, "1,1N,1,1N", 0},
    {"Unsqueeze", {"=s3", "=0"}, 0, "3", 0},
    {"Squeeze", {"=N"}, 0, "1N", 0},
    {"Equal", {"=N,3,-1", "=s-1"}, 0, "0,0,1", 0},
    {"Equal", {"=N,0", "=N,0"}, 0, "1,1", 0},
    {"Equal", {"=N", "=3"}, 0, "E0227", 0},
    {"Greater", {"=2N,N,0", "=N,-4,N"}, 0, "1,1,0", 0},
    {"Less", {"=1,2,3", "=s2"}, 0, "1,0,0", 0},
    {"GreaterOrEqual", {"=1,2,3", "=s2"}, 0, "0,1,1", 0},
    {"LessOrEqual", {"=9223372036854775807", "=9223372036854775806"}, 0, "0", 0},
    {"Pow", {"=-3,2", "=s3"}, 0, "-27,8", 0},
    {"Pow", {"=2", "=s-1"}, 0, "E0227", 0},
    {"Pow", {"=N", "=s2"}, 0, "E0227", 0},
    {"Abs", {"=-3,2"}, 0, "3,2", 0},
    {"Sign", {"=-3,0,7"}, 0, "-1,0,1", 0},
    {"Cast", {"=2N,3"}, "to=1", "2N,3", 0},
    {"Cast", {"=2,0"}, "to=9", "1,0", 0},
    {"Cast", {"=300"}, "to=3", "E0227", 0},
    {"CastLike", {"=2N,3", "f32[N,5]"}, 0, "2N,3", 15},
    {"CastLike", {"=2,0", "bool[7]"}, 0, "1,0", 15},
    {"Add", {"=N,2", "=2N,3"}, 0, "3N,5", 0},
    {"Add", {"=N", "=1"}, 0, "E0227", 0},
    {"Add", {"=N", "=0"}, 0, "1N", 0},
    {"Add", {"=9223372036854775807", "=1"}, 0, "E0227", 0},
    {"Sub", {"=3N,2", "=N,5"}, 0, "2N,-3", 0},
    {"Sub", {"=N", "=N"}, 0, "0", 0},
    {"Mul", {"=N,3", "=s2"}, 0, "2N,6", 0},
    {"Mul", {"=N", "=N"}, 0, "E0227", 0},
    {"Mul", {"=4611686018427387904", "=2"}, 0, "E0227", 0},
    {"Mul", {"=4611686018427387904", "=-2"}, 0, "-9.22337e+18", 0},
    {"Div", {"=6N,7", "=2,2"}, 0, "3N,3", 0},
    {"Div", {"=6N", "=2N"}, 0, "3", 0},
    {"Div", {"=-7", "=2"}, 0, "-3", 0},
    {"Div", {"=3N", "=2"}, 0, "E0227", 0},
    {"Div", {"=7", "=0"}, 0, "E0227", 0},
    {"Mod", {"=-7,7,-7", "=2,-2,-2"}, 0, "1,-1,-1", 0},
    {"Mod", {"=-7,7", "=2,-2"}, "fmod=1", "-1,1", 0},
    {"Mod", {"=4N", "=2"}, 0, "0", 0},
    {"Mod", {"=3N", "=2"}, 0, "E0227", 0},
    {"ConstantOfShape", {"=2,2"}, 0, "0,0,0,0", 0},
    {"ConstantOfShape", {"=1048576,1048576"}, 0, "E0227", 0},
    {"Constant", {0}, "value_ints=4,5", "4,5", 0},
    {"Constant", {0}, "value_float=1.5", "1.5", 0},
};

static void folds_keep_the_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof fold_cases / sizeof fold_cases[0]; i++) {
        const fold_case *c = &fold_cases[i];
        itc_graph *g = new_graph(c->opset ? c->opset : 17);
        itc_value *in[MAX_IN] = {NULL};
        int n_in = 0;
        for (int k = 0; k < MAX_IN; k++) {
            in[k] = operand(g, c->in[k]);
            n_in = in[k] ? k + 1 : n_in;
        }
        const itc_value *y = run_shape(g, add_node(g, c->op, n_in, in, c->attrs)->out[0]);
        const char *got = y && y->data                 ? tensor_text(g, y->data)
                          : itc_diag_count(g->ctx) > 0 ? itc_diag_get(g->ctx, 0)->id
                                                       : "no error";
        if (strcmp(got, c->want) != 0) {
            fail_msg("%s(%s, %s): got %s, expected %s", c->op, c->in[0] ? c->in[0] : "",
                     c->in[1] ? c->in[1] : "", got, c->want);
        }
        free_graph(g);
    }
}

/** What torch exports for x.view(x.size(0), -1), and for a half of the rows twice as wide. */
static void shape_chains_fold_into_reshape(void **state)
{
    (void)state;
    for (int wide = 0; wide < 2; wide++) {
        itc_graph *g = new_graph(17);
        itc_value *x = operand(g, "f32[N,16,5,5]");
        itc_value *shape = add_node(g, "Shape", 1, &x, "")->out[0];
        itc_value *gather[2] = {shape, operand(g, "=s0")};
        itc_value *rows = add_node(g, "Gather", 2, gather, "axis=0")->out[0];
        if (wide) {
            itc_value *mul[2] = {rows, operand(g, "=s8")};
            itc_value *div[2] = {add_node(g, "Mul", 2, mul, "")->out[0], operand(g, "=s2")};
            rows = add_node(g, "Div", 2, div, "")->out[0];
        }
        itc_value *unsqueeze[2] = {rows, operand(g, "=0")};
        itc_value *concat[2] = {add_node(g, "Unsqueeze", 2, unsqueeze, "")->out[0],
                                operand(g, "=-1")};
        itc_value *reshape[2] = {x, add_node(g, "Concat", 2, concat, "axis=0")->out[0]};
        const itc_value *y = run_shape(g, add_node(g, "Reshape", 2, reshape, "")->out[0]);
        assert_non_null(y);
        assert_string_equal(itc_type_text(g->ctx, &y->type), wide ? "f32[4N,100]" : "f32[N,400]");
        assert_int_equal(g->section[ITC_FORWARD].n, 1);
        free_graph(g);
    }
}

static void transpose_folds_constants(void **state)
{
    (void)state;
    itc_graph *g = new_graph(17);
    const int64_t dim[3] = {2, 3, 4};
    itc_tensor *t = itc_tensor_new(g->ctx, ITC_I32, 3, dim);
    for (int i = 0; i < 24; i++) {
        ((int32_t *)t->data)[i] = i;
    }
    itc_value *c = itc_const_new(g, "c", t);
    const itc_value *y = run_shape(g, add_node(g, "Transpose", 1, &c, "perm=2,0,1")->out[0]);
    assert_non_null(y);
    assert_string_equal(itc_type_text(g->ctx, &y->type), "i32[4,2,3]");
    for (int i = 0; i < 4; i++) {
        for (int j = 0; j < 2; j++) {
            for (int k = 0; k < 3; k++) {
                assert_int_equal(((const int32_t *)y->data->data)[(i * 2 + j) * 3 + k],
                                 (j * 3 + k) * 4 + i);
            }
        }
    }
    free_graph(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folds_keep_the_rows),
        cmocka_unit_test(shape_chains_fold_into_reshape),
        cmocka_unit_test(transpose_folds_constants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
