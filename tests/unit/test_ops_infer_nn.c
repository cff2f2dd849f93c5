/*
 * Shapes and types of products and networks: each case is a node in ONNX's form, taken through the
 * shape pass.
 */
#include "tests/support/op_case.h"

static void recurrent(void **state)
{
    static const infer_case cases[] = {
        {"RNN", {"f32[5,N,3]", "f32[1,2,3]", "f32[1,2,2]"}, 0, "f32[5,1,N,2]", 0},
        {"GRU", {"f32[5,N,3]", "f32[1,6,3]", "f32[1,6,2]", "f32[1,12]"}, 0, "f32[5,1,N,2]", 0},
        {"LSTM", {"f32[N,5,3]", "f32[1,8,3]", "f32[1,8,2]"}, "layout=1", "f32[N,5,1,2]", 14},
        {"LSTM",
         {"f32[9,N,3]", "f32[2,8,3]", "f32[2,8,2]"},
         "direction=bidirectional",
         "f32[9,2,N,2]",
         0},
        {"GRU", {"f32[5,N,3]", "f32[1,6,3]", "f32[1,6,2]", "", "i64[N]"}, 0, "f32[5,1,N,2]", 0},
        {"RNN", {"f32[5,N,3]", "f32[1,2,3]", "f32[1,2,2]"}, "activations=RELU", "f32[5,1,N,2]", 0},
        {"RNN", {"f32[N,5,3]", "f32[1,2,3]", "f32[1,2,2]"}, 0, "E0224", 0},
        {"RNN", {"f32[5000,N,3]", "f32[1,2,3]", "f32[1,2,2]"}, 0, "E0224", 0},
        {"RNN", {"f32[N,3]", "f32[1,2,3]", "f32[1,2,2]"}, 0, "E0203", 0},
        {"RNN", {"f32[5,N,3]", "f32[1,2,3]", "f32[2,2]"}, 0, "E0203", 0},
        {"RNN", {"f32[5,N,3]", "f32[1,2,4]", "f32[1,2,2]"}, 0, "E0220", 0},
        {"RNN", {"f32[5,N,3]", "f32[2,2,3]", "f32[1,2,2]"}, 0, "E0220", 0},
        {"GRU", {"f32[5,N,3]", "f32[1,2,3]", "f32[1,2,2]"}, 0, "E0220", 0},
        {"GRU", {"f32[5,N,3]", "f32[1,6,3]", "f32[1,6,2]", "f32[1,6]"}, 0, "E0220", 0},
        {"GRU", {"f32[5,N,3]", "f32[1,6,3]", "f32[1,6,2]", "", "i64[4]"}, 0, "E0220", 0},
        {"RNN", {"f32[5,N,3]", "f32[1,2,3]", "f32[1,2,2]"}, "direction=both", "E0221", 0},
        {"RNN", {"f32[5,N,3]", "f32[1,2,3]", "f32[1,2,2]"}, "activations=Sine", "E0221", 0},
        {"RNN", {"f32[5,N,3]", "f32[1,2,3]", "f32[1,2,2]"}, "activations=Tanh,Tanh", "E0221", 0},
        {"GRU", {"f32[5,N,3]", "f32[1,6,3]", "f32[1,6,2]"}, "activations=Tanh", "E0221", 0},
    };
    CHECK_CASES(cases)
}

static void samplers_and_transforms(void **state)
{
    static const infer_case cases[] = {
        {"GridSample", {"f32[N,2,4,5]", "f32[N,3,6,2]"}, 0, "f32[N,2,3,6]", 20},
        {"GridSample", {"f32[N,2,4,5]", "f32[N,3,6,2]"}, "mode=bicubic", "f32[N,2,3,6]", 16},
        {"GridSample", {"f32[N,2,3,4,5]", "f32[N,1,3,6,3]"}, 0, "f32[N,2,1,3,6]", 20},
        {"GridSample", {"f32[N,2,4,5]", "f32[N,3,6,3]"}, 0, "E0220", 20},
        {"GridSample", {"f32[N,2,4,5]", "f32[3,3,6,2]"}, 0, "E0220", 20},
        {"GridSample", {"f32[N,2,4,5]", "f32[N,3,6,2]"}, "mode=area", "E0223", 20},
        {"GridSample", {"f32[N,2,4,5]", "f32[N,3,6,2]"}, "padding_mode=wrap", "E0223", 20},
        {"GridSample", {"f32[N,2]", "f32[N,0]"}, 0, "E0203", 20},
        {"AffineGrid", {"f32[N,2,3]", "=1,1,3,4"}, 0, "f32[N,3,4,2]", 20},
        {"AffineGrid", {"f32[N,3,4]", "=1,1,2,3,4"}, 0, "f32[N,2,3,4,3]", 20},
        {"AffineGrid", {"f32[N,2,3]", "=1,1,2,3,4"}, 0, "E0220", 20},
        {"AffineGrid", {"f32[N,2,3]", "=1,1,0,4"}, 0, "E0220", 20},
        {"AffineGrid", {"f32[N,2,3]", "=1,1,4"}, 0, "E0225", 20},
        {"DFT", {"f32[N,6,1]"}, 0, "f32[N,6,2]", 17},
        {"DFT", {"f32[N,6,1]"}, "onesided=1", "f32[N,4,2]", 17},
        {"DFT", {"f32[N,5,3,2]", "=8", "=1"}, 0, "f32[N,8,3,2]", 20},
        {"DFT", {"f32[N,6,3]"}, 0, "E0221", 17},
        {"DFT", {"f32[N,6,2]"}, "onesided=1", "E0221", 17},
        {"DFT", {"f32[N,6,1]"}, "axis=0", "E0224", 17},
        {"DFT", {"f32[N,6,1]"}, "axis=2", "E0221", 17},
        {"DFT", {"f32[N,6,1]", "=0"}, 0, "E0221", 17},
        {"DFT", {"f32[N,900000,1]"}, 0, "E0226", 17},
        {"DFT", {"f32[N,6,1]"}, "onesided=1;inverse=1", "E0201", 17},
        {"STFT", {"f32[N,12,1]", "=3", "f32[4]"}, 0, "f32[N,3,3,2]", 17},
        {"STFT", {"f32[N,12,2]", "=4", "", "=6"}, "onesided=0", "f32[N,2,6,2]", 17},
        {"STFT", {"f32[N,12,1]", "=0", "f32[4]"}, 0, "E0221", 17},
        {"STFT", {"f32[N,12,1]", "=3", "f32[13]"}, 0, "E0221", 17},
        {"STFT", {"f32[N,12,1]", "=3"}, 0, "E0221", 17},
    };
    CHECK_CASES(cases)
}

/** Of constants that repeat along the rows: what is made of them is constant as well. */
static void repeated_constants(void **state)
{
    static const infer_case cases[] = {
        {"GatherElements", {"f32[4]", "i64[4]"}, 0, "f32[4]", 0},
        {"GatherElements", {"f32[N,4]", "i64[N,4]"}, 0, "E0224", 0},
        {"GatherElements", {"f32[N,4]", "i64[N,5]"}, "axis=1", "f32[N,5]", 0},
        {"GatherElements", {"f32[N,4,2]", "i64[N,5,3]"}, "axis=1", "E0220", 0},
        {"GatherND", {"f32[4]", "i64[4,1]"}, 0, "f32[4]", 0},
        {"GatherND", {"f32[N,4]", "i64[N,3,1]"}, 0, "E0224", 0},
        {"GatherND", {"f32[N,4,5]", "i64[N,3,1]"}, "batch_dims=1", "f32[N,3,5]", 0},
        {"ScatterElements", {"f32[N,4]", "i64[N,2]", "f32[N,2]"}, "axis=1", "f32[N,4]", 0},
        {"ScatterElements", {"f32[N,4]", "i64[N,2]", "f32[N,3]"}, "axis=1", "E0220", 18},
        {"ScatterElements",
         {"f32[N,4]", "i64[N,2]", "f32[N,2]"},
         "axis=1;reduction=mul",
         "E0201",
         18},
        {"ScatterElements",
         {"f32[N,4]", "i64[N,2]", "f32[N,2]"},
         "axis=1;reduction=mean",
         "E0223",
         18},
        {"ScatterElements", {"f32[N,4]", "i64[N,2]", "i64[N,2]"}, "axis=1", "E0228", 18},
        {"ScatterND", {"f32[4,5]", "i64[N,1]", "f32[N,5]"}, 0, "f32[4,5]", 0},
        {"ScatterND", {"f32[N,5]", "i64[3,1]", "f32[3,5]"}, 0, "E0224", 0},
        {"TopK", {"f32[N,5]", "=3"}, 0, "f32[N,3]", 0},
        {"TopK", {"f32[N,5]", "=6"}, 0, "E0221", 0},
        {"TopK", {"f32[N,5]", "=1"}, "axis=0", "E0224", 0},
        {"TopK", {"f32[N,5]", "i64[1]"}, 0, "E0225", 0},
        {"ArgMax", {"f32[N,5,3]"}, "axis=1", "i64[N,1,3]", 0},
        {"ArgMin", {"f32[N,5,3]"}, "axis=-1;keepdims=0", "i64[N,5]", 0},
        {"OneHot", {"i64[N,2]", "=s4", "f32[2]"}, 0, "f32[N,2,4]", 0},
        {"OneHot", {"i64[N,2]", "=s4", "f32[3]"}, 0, "E0221", 0},
        {"ReverseSequence", {"f32[N,4,2]", "i64[N]"}, "batch_axis=0;time_axis=1", "f32[N,4,2]", 0},
        {"ReverseSequence", {"f32[N,4,2]", "i64[4]"}, "batch_axis=0;time_axis=1", "E0220", 0},
        {"Compress", {"f32[N,4]", "=1,0,1"}, "axis=1", "f32[N,2]", 0},
        {"Compress", {"f32[N,4]", "=0,0"}, "axis=1", "E0201", 0},
        {"Compress", {"f32[N,4]", "bool[4]"}, "axis=1", "E0225", 0},
        {"LpNormalization", {"f32[N,4]"}, "p=3", "E0221", 0},
        {"ReduceMax", {"f32[N,0]"}, "axes=1", "f32[N,1]", 0},
        {"NonZero", {"f32[4]"}, 0, "E0225", 0},
        {"Hardmax", {"f32[N,4]"}, 0, "f32[N,4]", 0},
        {"MaxUnpool",
         {"f32[N,2,3,3]", "i64[N,2,3,3]"},
         "kernel_shape=2,2;strides=2,2",
         "f32[N,2,6,6]",
         0},
        {"MaxUnpool", {"f32[N,2,3,3]", "i64[N,2,3,3]"}, "kernel_shape=2", "E0221", 0},
        {"Range", {"=s0", "=sN", "=s1"}, 0, "E0224", 0},
        {"Range", {"i64[]", "=s3", "=s1"}, 0, "E0225", 0},
    };
    CHECK_CASES(cases)
}

/** Rows of ones by Expand; v is an operator of them that folds. */
static itc_value *ones(itc_graph *g, const char *shape)
{
    itc_value *in[2] = {operand(g, "=1"), operand(g, shape)};
    return add_node(g, "Expand", 2, in, "")->out[0];
}

static void rows_that_are_equal_fold(void **state)
{
    (void)state;
    itc_graph *g = new_graph(17);
    itc_value *x[2] = {ones(g, "=N,3"), operand(g, "=4,5,6")};
    x[0] = add_node(g, "Mul", 2, x, "")->out[0]; /* rows of 4, 5, 6 */
    x[1] = ones(g, "=N,2");                      /* indices 1, 1 */
    x[0] = add_node(g, "GatherElements", 2, x, "axis=1")->out[0];
    const itc_value *y = run_shape(g, x[0]);
    assert_non_null(y);
    assert_string_equal(itc_type_text(g->ctx, &y->type), "i64[N,2]");
    const itc_tensor *t = y->def->in[0]->data; /* a row, repeated */
    assert_non_null(t);
    assert_int_equal(t->count, 2);
    assert_int_equal(itc_tensor_get_int(t, 0), 5);
    assert_int_equal(itc_tensor_get_int(t, 1), 5);
    free_graph(g);
}

/** Whatever the numbers of the rows are, they choose a one. */
static void equal_elements_need_no_index(void **state)
{
    (void)state;
    for (int flat = 0; flat < 2; flat++) {
        itc_graph *g = new_graph(17);
        itc_value *r[3] = {operand(g, "=s0"), operand(g, "=sN"), operand(g, "=s1")};
        itc_value *in[2] = {ones(g, "=N,4"), add_node(g, "Range", 3, r, "")->out[0]};
        itc_value *to[2] = {in[1], operand(g, flat ? "=-1" : "=-1,1")};
        in[1] = add_node(g, "Reshape", 2, to, "")->out[0];
        const char *op = flat ? "Gather" : "GatherND";
        const itc_value *y = run_shape(g, add_node(g, op, 2, in, "")->out[0]);
        assert_non_null(y);
        assert_string_equal(itc_type_text(g->ctx, &y->type), "i64[N,4]");
        assert_int_equal(g->section[ITC_FORWARD].n, 1);
        free_graph(g);
    }
}

static void attention_shapes(void **state)
{
    static const infer_case cases[] = {
        {"Attention", {"f32[N,4,3,8]", "f32[N,4,5,8]", "f32[N,4,5,6]"}, "", "f32[N,4,3,6]", 23},
        {"Attention",
         {"f32[N,4,3,8]", "f32[N,4,5,8]", "f32[N,4,5,6]", "f32[3,5]"},
         "softcap=2.0",
         "E0201",
         23},
        {"Attention",
         {"f32[N,4,3,8]", "f32[N,4,5,8]", "f32[N,4,5,6]", "bool[3,5]"},
         "softcap=2.0",
         "f32[N,4,3,6]",
         23},
        {"Attention",
         {"f32[N,4,3,8]", "f32[N,4,5,8]", "f32[N,4,5,6]", "f32[3,5]"},
         "softcap=2.0",
         "f32[N,4,3,6]",
         25},
        {"Attention", {"f32[N,4,3,8]", "f32[N,2,5,8]", "f32[N,2,5,6]"}, "", "f32[N,4,3,6]", 23},
        {"Attention",
         {"f32[N,3,24]", "f32[N,5,16]", "f32[N,5,10]"},
         "q_num_heads=3;kv_num_heads=2",
         "E0220",
         23},
        {"Attention",
         {"f32[N,3,24]", "f32[N,5,8]", "f32[N,5,10]"},
         "q_num_heads=3;kv_num_heads=1",
         "f32[N,3,30]",
         23},
        {"Attention",
         {"f32[N,4,3,8]", "f32[N,4,5,8]", "f32[N,4,5,6]", "bool[3,5]"},
         "",
         "f32[N,4,3,6]",
         23},
        {"Attention",
         {"f32[N,4,3,8]", "f32[N,4,5,8]", "f32[N,4,5,6]", "f32[N,1,3,4]"},
         "is_causal=1",
         "f32[N,4,3,6]",
         24},
        {"Attention",
         {"f32[N,4,3,8]", "f32[N,4,5,8]", "f32[N,4,5,6]", "f32[7,5]"},
         "",
         "E0240",
         23},
        {"Attention",
         {"f32[N,4,3,8]", "f32[N,4,5,8]", "f32[N,4,5,6]", "f32[3,6]"},
         "",
         "E0220",
         23},
        {"Attention", {"f32[N,3,24]", "f32[N,5,8]", "f32[N,5,10]"}, "", "E0221", 23},
        {"Attention", {"f32[N,4,3,8]", "f32[N,5,8]", "f32[N,4,5,6]"}, "", "E0203", 23},
        {"Attention", {"f32[N,4,3,8]", "f32[N,4,5,7]", "f32[N,4,5,6]"}, "", "E0220", 23},
        {"Attention", {"f32[N,4,3,8]", "f32[N,4,5,8]", "f32[N,4,4,6]"}, "", "E0220", 23},
        {"Attention", {"f32[2,N,3,8]", "f32[2,N,5,8]", "f32[2,N,5,6]"}, "", "E0224", 23},
        {"Attention", {"i64[N,4,3,8]", "i64[N,4,5,8]", "i64[N,4,5,6]"}, "", "E0241", 23},
        {"Attention", {"bool[N,4,3,8]", "bool[N,4,5,8]", "bool[N,4,5,6]"}, "", "E0228", 23},
        {"Attention",
         {"f32[N,4,3,8]", "f32[N,4,5,8]", "f32[N,4,5,6]", "", "f32[N,4,2,8]"},
         "",
         "E0208",
         23},
    };
    CHECK_CASES(cases)
}

static void rotary_shapes(void **state)
{
    static const infer_case cases[] = {
        {"RotaryEmbedding", {"f32[N,2,5,8]", "f32[N,5,4]", "f32[N,5,4]"}, "", "f32[N,2,5,8]", 23},
        {"RotaryEmbedding", {"f32[N,2,5,8]", "f32[1,5,4]", "f32[1,5,4]"}, "", "f32[N,2,5,8]", 23},
        {"RotaryEmbedding",
         {"f32[N,5,16]", "f32[50,3]", "f32[50,3]", "i64[N,5]"},
         "num_heads=2;rotary_embedding_dim=6",
         "f32[N,5,16]",
         23},
        {"RotaryEmbedding", {"f32[N,5,16]", "f32[N,5,4]", "f32[N,5,4]"}, "", "E0221", 23},
        {"RotaryEmbedding", {"f32[N,2,5,7]", "f32[N,5,3]", "f32[N,5,3]"}, "", "E0221", 23},
        {"RotaryEmbedding", {"f32[N,2,5,8]", "f32[N,5,3]", "f32[N,5,4]"}, "", "E0220", 23},
        {"RotaryEmbedding", {"f32[N,2,5,8]", "f32[N,4,4]", "f32[N,5,4]"}, "", "E0240", 23},
        {"RotaryEmbedding", {"f32[N,2,5,8]", "f32[50,4]", "f32[50,4]"}, "", "E0203", 23},
    };
    CHECK_CASES(cases)
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention_shapes),
        cmocka_unit_test(rotary_shapes),
        cmocka_unit_test(recurrent),
        cmocka_unit_test(samplers_and_transforms),
        cmocka_unit_test(repeated_constants),
        cmocka_unit_test(rows_that_are_equal_fold),
        cmocka_unit_test(equal_elements_need_no_index),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
