/*
 * Shapes and types of the operators of matmul, conv, pool, softmax, reduce and shape: each case is
 * a node in ONNX's form, taken through the shape pass.
 */
#include "tests/support/op_case.h"

static void matmul_shapes(void **state)
{
    static const infer_case cases[] = {
        {"MatMul", {"f32[N,784]", "f32[784,10]"}, 0, "f32[N,10]", 0},
        {"MatMul", {"f32[N,5,784]", "f32[784,10]"}, 0, "f32[N,5,10]", 0},
        {"MatMul", {"f32[N,2,3,4]", "f32[N,2,4,5]"}, 0, "f32[N,2,3,5]", 0},
        {"MatMul", {"f32[3,4]", "f32[N,2,4,5]"}, 0, "f32[N,2,3,5]", 0},
        {"MatMul", {"f32[N,4]", "f32[1,1,4,5]"}, 0, "f32[1,1,N,5]", 0},
        {"MatMul", {"f32[1,2,3,4]", "f32[2,4,5]"}, 0, "f32[1,2,3,5]", 0},
        {"MatMul", {"f32[4]", "f32[N,4,5]"}, 0, "f32[N,5]", 0},
        {"MatMul", {"f32[N,4,5]", "f32[5]"}, 0, "f32[N,4]", 0},
        {"MatMul", {"f32[5]", "f32[5]"}, 0, "f32[]", 0},
        {"MatMul", {"f32[N,4]", "f32[4,N]"}, 0, "E0224", 0},
        {"MatMul", {"f32[N,784]", "f32[783,10]"}, 0, "E0220", 0},
        {"MatMul", {"f32[N,2,3,4]", "f32[2,4,5]"}, 0, "f32[N,2,3,5]", 0},
        {"MatMul", {"f32[N,1,3,4]", "f32[7,4,5]"}, 0, "f32[N,7,3,5]", 0},
        {"MatMul", {"f32[6,1,3,4]", "f32[N,4,5]"}, 0, "f32[6,N,3,5]", 0},
        {"MatMul", {"f32[4]", "f32[N,2,4,5]"}, 0, "f32[N,2,5]", 0},
        {"MatMul", {"f32[N,2,3,4]", "f32[3,4,5]"}, 0, "E0220", 0},
        {"MatMul", {"f32[N,2,3,4]", "f32[2,5,5]"}, 0, "E0220", 0},
        {"MatMul", {"f32[]", "f32[5]"}, 0, "E0203", 0},
        {"MatMul", {"i64[N,4]", "i64[4,2]"}, 0, "E0241", 0},
        {"Gemm", {"f32[N,4]", "f32[4,5]", "f32[5]"}, 0, "f32[N,5]", 0},
        {"Gemm", {"f32[N,4]", "f32[5,4]", "f32[1,5]"}, "transB=1;alpha=0.5;beta=2", "f32[N,5]", 0},
        {"Gemm", {"f32[4,N]", "f32[4,5]"}, "transA=1", "f32[N,5]", 11},
        {"Gemm", {"f32[N,4]", "f32[4,5]", "f32[]"}, 0, "f32[N,5]", 0},
        {"Gemm", {"f32[1,4]", "f32[4,5]", "f32[3,5]"}, 0, "E0220", 0},
        {"Gemm", {"f32[N,2,4]", "f32[4,5]"}, 0, "E0203", 0},
    };
    CHECK_CASES(cases)
}

static void einsum_shapes(void **state)
{
    static const infer_case cases[] = {
        {"Einsum", {"f32[N,3,4]", "f32[4,5]"}, "equation=nij,jk->nik", "f32[N,3,5]", 0},
        {"Einsum", {"f32[N,3,4]"}, "equation=nij", "f32[3,4,N]", 0}, /* i, j, n */
        {"Einsum", {"f32[N,3,4]"}, "equation=nji", "f32[4,3,N]", 0},
        {"Einsum", {"f32[N,3,3]"}, "equation=nii->ni", "f32[N,3]", 0},
        {"Einsum", {"f32[N,3,3]"}, "equation=...ii", "f32[N]", 0},
        {"Einsum",
         {"f32[N,3,2,4]", "f32[3,4,5]"},
         "equation=...ij,...jk->...ik",
         "f32[N,3,2,5]",
         0},
        {"Einsum", {"f32[N,3,4]", "f32[1,4]"}, "equation=nij,ij->nj", "f32[N,4]", 0},
        {"Einsum", {"f32[N,3]", "f32[3]", "f32[3,5]"}, "equation= n i , i,ij -> nj", "f32[N,5]", 0},
        {"Einsum", {"f32[]", "f32[N,3]"}, "equation=,ni->in", "f32[3,N]", 0},
        {"Einsum", {"f32[N,3]", "f32[1,3]"}, "equation=ni,mi->nm", "f32[N,1]", 0},
        {"Einsum", {"f32[N,3]", "f32[4,5]"}, "equation=ni,ij->nj", "E0220", 0},
        {"Einsum", {"f32[N,3,4]"}, "equation=nii->n", "E0220", 0},
        {"Einsum", {"f32[N,3]"}, "equation=ni->i", "E0224", 0},
        {"Einsum", {"f32[N,3]"}, "equation=nij->n", "E0221", 0},
        {"Einsum", {"f32[N,3]"}, "equation=n->n", "E0221", 0},
        {"Einsum", {"f32[N,3]"}, "equation=ni,i->n", "E0221", 0},
        {"Einsum", {"f32[N,3]", "f32[3]"}, "equation=ni->n", "E0221", 0},
        {"Einsum", {"f32[N,3]"}, "equation=ni->nn", "E0221", 0},
        {"Einsum", {"f32[N,3]"}, "equation=ni->nk", "E0221", 0},
        {"Einsum", {"f32[N,3]"}, "equation=n..i->n", "E0221", 0},
        {"Einsum", {"f32[N,3]"}, "equation=.n.i.->n", "E0221", 0},
        {"Einsum", {"f32[N,3]"}, "equation=n1->n", "E0221", 0},
        {"Einsum", {"f32[N,3]"}, "equation=......->n", "E0221", 0},
        {"Einsum", {"f32[N,3]"}, "equation=", "E0221", 0},
        {"Einsum", {"i64[N,3]"}, "equation=ni->n", "E0241", 0},
        {"Einsum",
         {"f32[N,2,2,2,2]", "f32[3,3,3,3,3]"},
         "equation=nabcd,efghi->nabcdefghi",
         "E0221",
         0},
    };
    CHECK_CASES(cases)
}

static void conv_shapes(void **state)
{
    static const infer_case cases[] = {
        {"Conv", {"f32[N,1,28,28]", "f32[6,1,5,5]", "f32[6]"}, "pads=2,2,2,2", "f32[N,6,28,28]", 0},
        {"Conv", {"f32[N,8,9,9]", "f32[8,1,3,3]"}, "group=8;strides=2,2", "f32[N,8,4,4]", 0},
        {"Conv", {"f32[N,4,16]", "f32[6,2,3]", "f32[6]"}, "group=2;dilations=2", "f32[N,6,12]", 0},
        {"Conv", {"f32[N,3,8,8,8]", "f32[6,3,3,3,3]"}, 0, "f32[N,6,6,6,6]", 0},
        {"Conv", {"f32[N,3,2,8,8]", "f32[6,3,3,3,3]"}, 0, "E0226", 0},
        {"Conv", {"f32[N,3,8,8,8]", "f32[6,2,3,3,3]"}, 0, "E0220", 0},
        {"Conv", {"f32[N,3,8,8,8,8]", "f32[6,3,3,3,3,3]"}, 0, "E0201", 0},
        {"Conv", {"f32[N,3,8,8]", "f32[6,4,3,3]"}, 0, "E0220", 0},
        {"Conv", {"f32[N,3,8,8]", "f32[6,3,3,3]", "f32[5]"}, 0, "E0220", 0},
        {"Conv", {"f32[N,3,8,8]", "f32[6,3,3,3]"}, "kernel_shape=3,2", "E0220", 0},
        {"Conv", {"f32[N,3,8,8]", "f32[6,3,9,3]"}, 0, "E0226", 0},
        {"Conv", {"f32[N,3,8,8]", "f32[6,3,3,3]"}, "group=2", "E0221", 0},
        {"Conv", {"f32[N,3,8,8]", "f32[6,3,3,3]"}, "group=0", "E0221", 0},
        {"Conv", {"f32[N,3,8,8]", "f32[6,3,3,3]"}, "strides=0,1", "E0221", 0},
        {"Conv", {"f32[N,3,8,8]", "f32[6,3,3,3]"}, "pads=1,1", "E0221", 0},
        {"Conv", {"f32[N,3,8,8]", "f32[6,3,3,3]"}, "pads=-1,0,0,0", "E0221", 0},
        {"Conv", {"f32[N,3,8,8]", "f32[6,3,3,3]"}, "auto_pad=SAME", "E0221", 0},
        {"Conv", {"f32[3,N,8,8]", "f32[6,3,3,3]"}, 0, "E0224", 0},
        {"Conv", {"f32[4,3,8,8]", "f32[N,3,3,3]"}, 0, "E0224", 0},
        {"Conv", {"f32[N,3,8,8]", "f32[6,3,3]"}, 0, "E0203", 0},
        {"Conv", {"f32[N,3]", "f32[6,3]"}, 0, "E0203", 0},
    };
    CHECK_CASES(cases)
}

static void pool_shapes(void **state)
{
    static const infer_case cases[] = {
        {"MaxPool", {"f32[N,6,28,28]"}, "kernel_shape=2,2;strides=2,2", "f32[N,6,14,14]", 0},
        {"AveragePool", {"f32[N,6,15]"}, "kernel_shape=2;strides=2;ceil_mode=1", "f32[N,6,8]", 0},
        {"GlobalAveragePool", {"f32[N,6,7,9]"}, 0, "f32[N,6,1,1]", 0},
        {"GlobalAveragePool", {"f32[N,6,7]"}, 0, "f32[N,6,1]", 0},
        {"GlobalAveragePool", {"f32[N,6,7,N]"}, 0, "E0224", 0},
        {"MaxPool", {"f32[N,6,4,4]"}, "kernel_shape=5,5", "E0226", 0},
        /* a window of padding alone */
        {"MaxPool", {"f32[N,6,4,4]"}, "kernel_shape=2,2;pads=2,0,0,0", "E0226", 0},
        {"AveragePool", {"f32[N,6,3]"}, "kernel_shape=2;dilations=4;pads=1,1", "E0226", 0},
        {"MaxPool", {"f32[N,6,4,4]"}, "kernel_shape=2", "E0221", 0},
        {"MaxPool", {"i64[N,6,4,4]"}, "kernel_shape=2,2", "E0241", 0},
        {"AveragePool", {"f32[N,6,4,4,4]"}, "kernel_shape=2,2,2", "f32[N,6,3,3,3]", 0},
        {"MaxPool", {"f32[N,6,4,5,6]"}, "kernel_shape=2,3,2;strides=2,1,3", "f32[N,6,2,3,2]", 0},
        {"MaxPool", {"f32[N,6,4,5,6]"}, "kernel_shape=2,3", "E0221", 0},
    };
    CHECK_CASES(cases)
}

typedef struct window_case {
    const char *op, *in, *kernel, *attrs, *want;
} window_case;

/* Extents by onnx.shape_inference (onnx 1.23, C++), which this table was made with: random cases
 * of [2,3,in] and filters [4,3,kernel]. */
static const window_case window_cases[] = {
    {"AveragePool", "10", "3", "strides=1;pads=2,0;ceil_mode=1", "10"},
    {"AveragePool", "10,15", "1,5", "strides=1,2;dilations=1,2;pads=0,1,0,5", "10,7"},
    {"AveragePool", "10,4", "1,4", "strides=4,4;dilations=1,1;auto_pad=SAME_LOWER", "3,1"},
    {"AveragePool", "11,16", "2,1", "strides=2,3;pads=0,0,0,0", "5,6"},
    {"AveragePool", "11,6", "3,4", "strides=4,2;auto_pad=VALID", "3,2"},
    {"AveragePool", "11,6", "5,4", "strides=2,4;pads=3,3,4,3", "7,3"},
    {"AveragePool", "13,5", "1,5", "strides=4,2;auto_pad=VALID", "4,1"},
    {"AveragePool", "14", "3", "strides=1;dilations=2;auto_pad=SAME_LOWER", "14"},
    {"AveragePool", "14", "3", "strides=3;dilations=1;pads=2,2", "6"},
    {"AveragePool", "14,7", "4,2", "strides=1,2;dilations=1,2;auto_pad=VALID", "11,3"},
    {"AveragePool", "15", "2", "strides=2;dilations=1;pads=0,1", "8"},
    {"AveragePool", "15", "3", "strides=1;auto_pad=VALID", "13"},
    {"AveragePool", "16", "5", "strides=2;dilations=1;pads=2,0;ceil_mode=1", "8"},
    {"AveragePool", "16,17", "5,2", "strides=2,1;auto_pad=SAME_LOWER", "8,17"},
    {"AveragePool", "3", "1", "strides=4;dilations=1;auto_pad=SAME_LOWER", "1"},
    {"AveragePool", "3,6", "1,2", "strides=4,2;dilations=1,1;pads=0,0,0,1", "1,3"},
    {"AveragePool", "3,8", "5,4", "strides=4,1;dilations=2,1;auto_pad=SAME_LOWER", "1,8"},
    {"AveragePool", "4,14", "4,3", "strides=1,3;pads=1,0,3,1", "5,5"},
    {"AveragePool", "4,7", "1,2", "strides=4,1;auto_pad=SAME_UPPER", "1,7"},
    {"AveragePool", "5,3", "4,1", "strides=4,3;pads=3,0,2,0;ceil_mode=1", "2,1"},
    {"AveragePool", "7", "3", "strides=1;dilations=1;auto_pad=SAME_UPPER", "7"},
    {"AveragePool", "7", "3", "strides=1;dilations=2;pads=4,4;ceil_mode=1", "11"},
    {"AveragePool", "7,11", "4,2", "strides=1,3;auto_pad=SAME_LOWER", "7,4"},
    {"Conv", "12", "4", "strides=2;auto_pad=SAME_UPPER", "6"},
    {"Conv", "12,15", "3,3", "strides=3,4;auto_pad=VALID", "4,4"},
    {"Conv", "12,3", "4,1", "strides=3,3;dilations=1,2;pads=2,0,1,0", "4,1"},
    {"Conv", "12,8", "4,3", "strides=3,1;dilations=2,1;pads=2,0,3,2", "4,8"},
    {"Conv", "14,6", "1,2", "strides=3,1;dilations=2,2;pads=0,1,0,2", "5,7"},
    {"Conv", "15", "1", "strides=2;auto_pad=SAME_LOWER", "8"},
    {"Conv", "15,13", "3,1", "strides=4,4;auto_pad=SAME_LOWER", "4,4"},
    {"Conv", "16,11", "3,4", "strides=3,4;dilations=1,1;pads=0,1,0,3", "5,3"},
    {"Conv", "16,11", "5,1", "strides=4,4;dilations=1,2;auto_pad=SAME_LOWER", "4,3"},
    {"Conv", "16,4", "4,1", "strides=3,4;auto_pad=SAME_UPPER", "6,1"},
    {"Conv", "16,6", "2,4", "strides=4,3;dilations=2,1;auto_pad=SAME_LOWER", "4,2"},
    {"Conv", "17", "1", "strides=1;dilations=1;auto_pad=SAME_UPPER", "17"},
    {"Conv", "17,13", "3,1", "strides=2,1;dilations=2,2;auto_pad=VALID", "7,13"},
    {"Conv", "3", "3", "strides=2;auto_pad=SAME_UPPER", "2"},
    {"Conv", "3", "5", "strides=2;dilations=1;auto_pad=SAME_UPPER", "2"},
    {"Conv", "4", "3", "strides=4;dilations=2;pads=4,2", "2"},
    {"Conv", "5,5", "2,1", "strides=2,4;pads=1,0,0,0", "3,2"},
    {"Conv", "6,7", "1,4", "strides=1,3;dilations=2,2;auto_pad=SAME_LOWER", "6,3"},
    {"Conv", "7", "4", "strides=1;pads=2,3", "9"},
    {"Conv", "9,17", "4,1", "strides=2,4;auto_pad=SAME_LOWER", "5,5"},
    {"MaxPool", "10", "2", "strides=1;auto_pad=SAME_LOWER", "10"},
    {"MaxPool", "10,12", "4,3", "strides=3,2;pads=1,0,2,2;ceil_mode=1", "4,6"},
    {"MaxPool", "10,7", "5,1", "strides=1,4;pads=1,0,3,0", "10,2"},
    {"MaxPool", "12", "5", "strides=3;pads=1,3", "4"},
    {"MaxPool", "13,6", "2,5", "strides=1,1;auto_pad=SAME_UPPER", "13,6"},
    {"MaxPool", "16", "4", "strides=3;dilations=2;auto_pad=SAME_LOWER", "6"},
    {"MaxPool", "17", "2", "strides=1;dilations=2;auto_pad=VALID", "15"},
    {"MaxPool", "17,6", "4,2", "strides=4,1;dilations=1,1;auto_pad=SAME_LOWER", "5,6"},
    {"MaxPool", "3,13", "1,5", "strides=2,4;dilations=1,1;auto_pad=SAME_UPPER", "2,4"},
    {"MaxPool", "3,5", "1,4", "strides=4,4;auto_pad=SAME_UPPER", "1,2"},
    {"MaxPool", "6", "3", "strides=1;pads=2,2;ceil_mode=1", "8"},
    {"MaxPool", "6,12", "2,2", "strides=4,2;pads=1,0,0,1;ceil_mode=1", "2,6"},
    {"MaxPool", "6,6", "3,2", "strides=2,4;auto_pad=SAME_UPPER", "3,2"},
    {"MaxPool", "7", "3", "strides=3;dilations=1;auto_pad=VALID", "2"},
    {"MaxPool", "8", "2", "strides=1;dilations=2;auto_pad=SAME_UPPER", "8"},
    {"MaxPool", "9", "1", "strides=1;dilations=1;auto_pad=VALID", "9"},
    {"MaxPool", "9,17", "3,1", "strides=4,3;pads=1,0,0,0;ceil_mode=1", "3,6"},
};

static void window_extents_match_onnx(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof window_cases / sizeof window_cases[0]; i++) {
        const window_case *w = &window_cases[i];
        itc_ctx *ctx = itc_ctx_new();
        const bool conv = strcmp(w->op, "Conv") == 0;
        const infer_case c = {w->op,
                              {itc_format(ctx, "f32[N,3,%s]", w->in),
                               conv ? itc_format(ctx, "f32[4,3,%s]", w->kernel) : NULL},
                              conv ? w->attrs
                                   : itc_format(ctx, "kernel_shape=%s;%s", w->kernel, w->attrs),
                              itc_format(ctx, "f32[N,%d,%s]", conv ? 4 : 3, w->want),
                              22};
        check_case(&c);
        itc_ctx_free(ctx);
    }
}

/* ONNX: pad_total = (ceil(in/stride) - 1) * stride + (kernel - 1) * dilation + 1 - in. */
static void auto_pad_splits_odd_padding(void **state)
{
    static const struct {
        const char *attrs;
        int64_t in, begin, end;
    } cases[] = {
        {"kernel_shape=2;auto_pad=SAME_UPPER", 5, 0, 1},
        {"kernel_shape=2;auto_pad=SAME_LOWER", 5, 1, 0},
        {"kernel_shape=3;auto_pad=SAME_UPPER", 5, 1, 1},
        {"kernel_shape=4;strides=3;auto_pad=SAME_UPPER", 8, 1, 1},
        {"kernel_shape=4;strides=3;auto_pad=SAME_UPPER", 9, 0, 1},
        {"kernel_shape=4;strides=3;auto_pad=SAME_LOWER", 9, 1, 0},
        {"kernel_shape=3;dilations=2;auto_pad=SAME_UPPER", 7, 2, 2},
        {"kernel_shape=1;strides=4;auto_pad=SAME_UPPER", 7, 0, 0},
        {"kernel_shape=3;auto_pad=VALID;pads=0,0", 7, 0, 0},
        {"kernel_shape=3;pads=2,1", 7, 2, 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        itc_graph *g = new_graph(17);
        itc_value *x = operand(g, itc_format(g->ctx, "f32[N,1,%d]", (int)cases[i].in));
        const itc_value *y =
            run_shape(g, add_node(g, "AveragePool", 1, &x, cases[i].attrs)->out[0]);
        assert_non_null(y);
        const int64_t *pads = NULL;
        assert_int_equal(itc_ints(y->def, "pads", &pads), 2);
        assert_int_equal(pads[0], cases[i].begin);
        assert_int_equal(pads[1], cases[i].end);
        assert_string_equal(itc_string(y->def, "auto_pad"), "NOTSET");
        free_graph(g);
    }
}

static void maxpool_has_an_index_of_its_own(void **state)
{
    (void)state;
    itc_graph *g = new_graph(17);
    itc_value *x = operand(g, "f32[N,6,8,8]");
    itc_node *pool = itc_node_new(g, itc_op_named("MaxPool"), NULL, 1, &x, 2);
    set_attrs(g, pool, "kernel_shape=2,2;strides=2,2");
    itc_value *y = run_shape(g, pool->out[0]);
    assert_non_null(y);
    assert_int_equal(y->def->n_out, 2);
    assert_string_equal(itc_type_text(g->ctx, &y->def->out[1]->type), "i32[N,6,4,4]");
    free_graph(g);

    g = new_graph(17); /* and ONNX's Indices from it */
    x = operand(g, "f32[N,6,8,8]");
    pool = itc_node_new(g, itc_op_named("MaxPool"), NULL, 1, &x, 2);
    set_attrs(g, pool, "kernel_shape=2,2;strides=2,2");
    y = run_shape(g, pool->out[1]);
    assert_non_null(y);
    assert_string_equal(itc_type_text(g->ctx, &y->type), "i64[N,6,4,4]");
    free_graph(g);
}

static void softmax_flattens_before_opset_13(void **state)
{
    static const struct {
        const char *op, *attrs, *seen; /**< the type that Softmax itself sees */
        int opset, axis;
    } cases[] = {
        {"Softmax", "", "f32[N,2,3]", 13, 2},           {"Softmax", "axis=1", "f32[N,2,3]", 13, 1},
        {"Softmax", "axis=-2", "f32[N,2,3]", 13, 1},    {"Softmax", "", "f32[N,6]", 12, 1},
        {"LogSoftmax", "axis=1", "f32[N,6]", 11, 1},    {"Softmax", "axis=2", "f32[N,2,3]", 11, 2},
        {"LogSoftmax", "axis=-1", "f32[N,2,3]", 11, 2},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        itc_graph *g = new_graph(cases[i].opset);
        itc_value *x = operand(g, "f32[N,2,3]");
        const itc_value *y = run_shape(g, add_node(g, cases[i].op, 1, &x, cases[i].attrs)->out[0]);
        assert_non_null(y);
        assert_string_equal(itc_type_text(g->ctx, &y->type), "f32[N,2,3]");
        const itc_node *soft = y->def->op == &itc_op_View ? y->def->in[0]->def : y->def;
        assert_string_equal(soft->op->name, cases[i].op);
        assert_string_equal(itc_type_text(g->ctx, &soft->in[0]->type), cases[i].seen);
        assert_int_equal(itc_int(soft, "axis"), cases[i].axis);
        free_graph(g);
    }
    static const infer_case bad[] = {
        {"Softmax", {"f32[N,4]"}, "axis=0", "E0224", 13},
        {"Softmax", {"f32[N,4]"}, "axis=2", "E0222", 13},
        {"Softmax", {"f32[]"}, 0, "E0203", 13},
    };
    CHECK_CASES(bad)
}

static void reshape_places_the_rows(void **state)
{
    static const infer_case cases[] = {
        {"Reshape", {"f32[N,1,28,28]", "=-1,784"}, 0, "f32[N,784]", 0},
        {"Reshape", {"f32[N,16,5,5]", "=0,-1"}, 0, "f32[N,400]", 0},
        {"Reshape", {"f32[N,16,5,5]", "=N,-1"}, 0, "f32[N,400]", 0},
        {"Reshape", {"f32[N,16,5,5]", "=2N,-1"}, 0, "f32[2N,200]", 0},
        {"Reshape", {"f32[N,16,5,5]", "=-1"}, 0, "f32[400N]", 0},
        {"Reshape", {"f32[N,16,5,5]", "=-1,200"}, 0, "f32[2N,200]", 0},
        {"Reshape", {"f32[2N,200]", "=-1,400"}, 0, "f32[N,400]", 0},
        /* models exported for one row, or for ten */
        {"Reshape", {"f32[N,16,5,5]", "=1,400"}, 0, "f32[N,400]", 0},
        {"Reshape", {"f32[N,16,5,5]", "=1,-1"}, 0, "f32[N,400]", 0},
        {"Reshape", {"f32[N,16,5,5]", "=1,16,-1"}, 0, "f32[N,16,25]", 0},
        {"Reshape", {"f32[N,16,5,5]", "=10,400"}, 0, "f32[N,400]", 0},
        {"Reshape", {"f32[N,16,5,5]", "=4,100"}, 0, "f32[4N,100]", 0},
        {"Reshape", {"f32[1,N,4]", "=1,4"}, 0, "f32[N,4]", 0},
        /* rows that stand behind: N stays where the model puts it */
        {"Reshape", {"f32[N,5]", "=1,-1,5"}, 0, "f32[1,N,5]", 0},
        {"Reshape", {"f32[7,N,5]", "=0,0,5,1"}, 0, "f32[7,N,5,1]", 0},
        /* parameters have no rows */
        {"Reshape", {"f32[16,4,4,10]", "=256,10"}, 0, "f32[256,10]", 0},
        {"Reshape", {"f32[]", "=1,1"}, 0, "f32[1,1]", 0},
        {"Reshape", {"f32[16,4,4,10]", "=256,11"}, 0, "E0223", 0},
        {"Reshape", {"f32[16,4]", "=N,-1"}, 0, "E0223", 0},
        {"Reshape", {"f32[N,16,5,5]", "=-1,300"}, 0, "E0223", 0},
        {"Reshape", {"f32[N,16,5,5]", "=3,400,2"}, 0, "E0223", 0},
        {"Reshape", {"f32[7,N,5]", "=7,5"}, 0, "E0223", 0},
        {"Reshape", {"f32[N,16]", "=-1,-1"}, 0, "E0221", 0},
        {"Reshape", {"f32[N,16]", "=-2,16"}, 0, "E0221", 0},
        {"Reshape", {"f32[N,16]", "=0,16"}, "allowzero=1", "E0201", 0},
        {"Reshape", {"f32[N,16]", "=N,16N"}, 0, "E0224", 0},
        {"Reshape", {"f32[N,16]", "=4611686018427387904,4"}, 0, "E0224", 0},
        {"Reshape", {"f32[N,16]", "=1,1,1,1,1,1,1,1,1"}, 0, "E0221", 0},
        {"Reshape", {"f32[N,16]", "i64[2]"}, 0, "E0225", 0},
    };
    CHECK_CASES(cases)
}

/** Where the export's number of rows is known, an open axis takes a row's elements, not the rows.
 */
static void reshape_knows_for_how_many_rows(void **state)
{
    (void)state;
    static const struct {
        int rows;
        const char *x, *shape, *want;
    } cases[] = {
        {2, "f32[N,16,5,5]", "=2,-1", "f32[N,400]"},
        {2, "f32[N,16,5,5]", "=32,-1", "f32[16N,25]"},
        {2, "f32[N,16,5,5]", "=2,400", "f32[N,400]"},
        {8, "f32[N,16,5,5]", "=8,16,-1", "f32[N,16,25]"},
        {8, "f32[N,5]", "=8,-1,5", "f32[N,1,5]"},
        {8, "f32[N,5]", "=1,-1,5", "f32[1,N,5]"},
        {8, "f32[N,16,5,5]", "=-1,400", "f32[N,400]"},
        {0, "f32[N,16,5,5]", "=2,-1", "f32[2,200N]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        itc_graph *g = new_graph(17);
        g->rows = cases[i].rows;
        itc_value *in[2] = {operand(g, cases[i].x), operand(g, cases[i].shape)};
        const itc_value *y = run_shape(g, add_node(g, "Reshape", 2, in, NULL)->out[0]);
        assert_non_null(y);
        assert_string_equal(itc_type_text(g->ctx, &y->type), cases[i].want);
        free_graph(g);
    }
}

static void views_and_transposes(void **state)
{
    static const infer_case cases[] = {
        {"Flatten", {"f32[N,16,5,5]"}, 0, "f32[N,400]", 0},
        {"Flatten", {"f32[N,16,5,5]"}, "axis=2", "f32[16N,25]", 0},
        {"Flatten", {"f32[N,16,5,5]"}, "axis=-1", "f32[80N,5]", 0},
        {"Flatten", {"f32[N,16]"}, "axis=0", "f32[1,16N]", 0},
        {"Flatten", {"f32[N,16]"}, "axis=2", "f32[16N,1]", 0},
        {"Flatten", {"f32[N,16]"}, "axis=3", "E0222", 0},
        {"Squeeze", {"f32[N,1,5,1]"}, 0, "f32[N,5]", 11},
        {"Squeeze", {"f32[N,1,5,1]"}, "axes=-1", "f32[N,1,5]", 11},
        {"Squeeze", {"f32[N,1,5,1]", "=1"}, 0, "f32[N,5,1]", 13},
        {"Squeeze", {"f32[N,1,5,1]", "=0"}, 0, "E0222", 13},
        {"Squeeze", {"f32[N,1,5,1]", "=1,-3"}, 0, "E0222", 13},
        {"Unsqueeze", {"f32[N,5]"}, "axes=1,3", "f32[N,1,5,1]", 11},
        {"Unsqueeze", {"f32[N,5]", "=-1"}, 0, "f32[N,5,1]", 13},
        {"Unsqueeze", {"f32[N,5]", "=3"}, 0, "E0222", 13},
        {"Unsqueeze", {"f32[N,5]"}, 0, "E0222", 13},
        {"Transpose", {"f32[N,3,8,9]"}, "perm=0,2,3,1", "f32[N,8,9,3]", 0},
        {"Transpose", {"f32[N,5]"}, 0, "f32[5,N]", 0},
        {"Transpose", {"f32[N,3,8]"}, "perm=0,1", "E0221", 0},
        {"Transpose", {"f32[N,3,8]"}, "perm=0,1,1", "E0221", 0},
        {"Transpose", {"f32[N,3,8]"}, "perm=0,1,3", "E0221", 0},
        {"Identity", {"f32[N,3]"}, 0, "f32[N,3]", 0},
        {"Cast", {"f32[N,3]"}, "to=11", "f32[N,3]", 0},
        {"Cast", {"i32[N,3]"}, "to=7", "i32[N,3]", 0},
        {"Cast", {"i64[N,3]"}, "to=1", "f32[N,3]", 0},
        {"Cast", {"f32[N,3]"}, "to=6", "i32[N,3]", 0},
        {"Cast", {"i64[N,3]"}, "to=6", "i64[N,3]", 0},
        {"Cast", {"i64[N,3]"}, "to=3", "E0201", 0},
        {"BitShift", {"i64[N,3]", "i64[3]"}, "direction=LEFT", "i64[N,3]", 0},
        {"BitShift", {"i64[N,3]", "i64[3]"}, "direction=UP", "E0223", 0},
        {"BitShift", {"f32[N,3]", "f32[3]"}, "direction=LEFT", "E0241", 0},
        {"BitwiseAnd", {"i64[N,3]", "i64[2]"}, "", "E0240", 18},
        {"BitwiseOr", {"i64[N,3]", "i32[3]"}, "", "E0228", 18},
        {"BitwiseXor", {"i64[N,3]", "i64[2,1,3]"}, "", "i64[2,N,3]", 18},
        {"IsNaN", {"f32[N,3]"}, "", "bool[N,3]", 0},
        {"IsInf", {"i64[N,3]"}, "", "E0241", 0},
        {"Clip", {"i64[N,3]", "i64[]", "i64[]"}, "", "i64[N,3]", 0},
        {"Mod", {"f32[N,3]", "f32[3]"}, "fmod=1", "f32[N,3]", 0},
        {"Mod", {"i64[N,3]", "i64[3]"}, "", "i64[N,3]", 0},
        {"Pow", {"f32[N,3]", "i64[3]"}, "", "f32[N,3]", 15},
        {"Pow", {"i64[N,3]", "i64[3]"}, "", "i64[N,3]", 15},
        {"Pow", {"i64[N,3]", "f32[3]"}, "", "E0201", 15},
        {"Cast", {"bool[N,3]"}, "to=1", "f32[N,3]", 0},
        {"Cast", {"bool[N,3]"}, "to=7", "i64[N,3]", 0},
        {"Cast", {"f32[N,3]"}, "to=9", "bool[N,3]", 0},
        {"Cast", {"i64[N,3]"}, "to=9", "bool[N,3]", 0},
        {"Size", {"f32[N,3]"}, "", "i64[]", 0},
        {"Cast", {"f32[N,3]"}, "to=8", "E0201", 0},
        {"CastLike", {"f32[N,3]", "f32[2]"}, "", "f32[N,3]", 15},
        {"CastLike", {"i64[N,3]", "f32[2]"}, "", "f32[N,3]", 15},
    };
    CHECK_CASES(cases)
}

/** Only axes of extent 1 change places: no bytes move. */
static void transpose_of_unit_axes_is_a_view(void **state)
{
    (void)state;
    itc_graph *g = new_graph(13);
    itc_value *x = operand(g, "f32[N,28,28,1]");
    const itc_value *y = run_shape(g, add_node(g, "Transpose", 1, &x, "perm=0,3,1,2")->out[0]);
    assert_non_null(y);
    assert_ptr_equal(y->def->op, &itc_op_View);
    assert_string_equal(itc_type_text(g->ctx, &y->type), "f32[N,1,28,28]");
    free_graph(g);
}

/* ---- integers ---- */

static itc_value *mantissas(itc_graph *g, const char *type, int bits)
{
    itc_value *v = itc_value_new(g, ITC_VALUE_INPUT, "x", parse_type(type));
    v->type.bits = (uint8_t)bits;
    return v;
}

/** The smallest type that holds k products of all-extreme operands, by multiplying it out. */
static void accumulators_hold_the_worst_case(void **state)
{
    static const struct {
        const char *a, *b, *want;
        int bits_a, bits_b;
        double k;
        const char *attrs;
    } cases[] = {
        {"i8[N,784]", "i8[784,10]", "i32[N,10]", 7, 7, 784, ""},
        {"i8[8,133144]", "i8[133144,2]", "i32[8,2]", 7, 7, 133144, ""},
        {"i8[8,133145]", "i8[133145,2]", "i64[8,2]", 7, 7, 133145, ""},
        {"i8[8,133145]", "i8[133145,2]", "i32[8,2]", 7, 6, 133145, ""},
        /* a weight gradient sums over the rows: 64 of them here */
        {"i8[2080N,4]", "i8[2080N,5]", "i32[4,5]", 7, 7, 2080 * 64., "trans_a=1"},
        {"i8[2081N,4]", "i8[2081N,5]", "i64[4,5]", 7, 7, 2081 * 64., "trans_a=1"},
        /* kernels on i16 have no i32 accumulator */
        {"i16[N,1]", "i16[1,10]", "i64[N,10]", 15, 15, 1, ""},
        {"i16[N,784]", "i16[784,10]", "i64[N,10]", 15, 15, 784, ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        itc_graph *g = new_graph(17);
        itc_value *in[2] = {mantissas(g, cases[i].a, cases[i].bits_a),
                            mantissas(g, cases[i].b, cases[i].bits_b)};
        itc_node *n = add_node(g, "MatMul", 2, in, cases[i].attrs);
        assert_int_equal(itc_infer(g, n), ITC_OK);
        assert_string_equal(itc_type_text(g->ctx, &n->out[0]->type), cases[i].want);
        const double worst =
            cases[i].k * ((1 << cases[i].bits_a) - 1) * ((1 << cases[i].bits_b) - 1);
        const int bits = n->out[0]->type.bits;
        assert_true(worst < (double)((uint64_t)1 << bits));
        assert_true(worst >= (double)((uint64_t)1 << (bits - 1)));
        free_graph(g);
    }
    itc_graph *g = new_graph(17);
    itc_value *mixed[2] = {mantissas(g, "i8[N,4]", 7), mantissas(g, "i16[4,5]", 15)};
    assert_int_equal(itc_infer(g, add_node(g, "MatMul", 2, mixed, "")), ITC_TYPE);
    free_graph(g);
}

static const struct {
    const char *op, *in[2], *attrs, *want;
    int bits_in, bits;
} integer_cases[] = {
    {"Conv", {"i8[N,3,8,8]", "i8[4,3,3,3]"}, "kernel_shape=3,3", "i32[N,4,6,6]", 7, 19},
    {"ConvGradInput",
     {"i8[N,4,6,6]", "i8[4,3,3,3]"},
     "kernel_shape=3,3;input_shape=8,8",
     "i32[N,3,8,8]",
     7,
     20},
    {"ConvGradWeight",
     {"i8[N,3,8,8]", "i8[N,4,6,6]"},
     "kernel_shape=3,3;input_shape=8,8",
     "i32[4,3,3,3]",
     7,
     26},
    {"ConvGradWeight",
     {"i8[N,3,56,56]", "i8[N,4,56,56]"},
     "kernel_shape=3,3;pads=1,1,1,1;input_shape=56,56",
     "i64[4,3,3,3]",
     7,
     32},
    /* ConvGradInput knows by input_shape what the stride hid */
    {"ConvGradInput",
     {"i8[N,4,3,3]", "i8[4,3,3,3]"},
     "kernel_shape=3,3;strides=2,2;input_shape=8,8",
     "i32[N,3,8,8]",
     7,
     20},
    {"AveragePool", {"i8[N,3,8,8]"}, "kernel_shape=2,2;strides=2,2", "i32[N,3,4,4]", 7, 9},
    {"AveragePool", {"i8[N,3,9,9]"}, "kernel_shape=3,3", "i64[N,3,7,7]", 7, 38},
    /* a border of smaller windows has other counts, unless padding counts as well */
    {"AveragePool", {"i8[N,3,8,8]"}, "kernel_shape=2,2;pads=1,1,1,1", "i64[N,3,9,9]", 7, 38},
    {"AveragePool",
     {"i8[N,3,8,8]"},
     "kernel_shape=2,2;pads=1,1,1,1;count_include_pad=1",
     "i32[N,3,9,9]",
     7,
     9},
    {"AveragePoolGrad",
     {"i8[N,3,4,4]"},
     "kernel_shape=2,2;strides=2,2;input_shape=8,8",
     "i32[N,3,8,8]",
     7,
     7},
    {"AveragePoolGrad", {"i8[N,3,7,7]"}, "kernel_shape=2,2;input_shape=8,8", "i32[N,3,8,8]", 7, 9},
    {"AveragePoolGrad", {"i8[N,3,7,7]"}, "kernel_shape=3,3;input_shape=9,9", "i64[N,3,9,9]", 7, 42},
    {"MaxPoolGrad",
     {"i8[N,3,4,4]", "i32[N,3,4,4]"},
     "kernel_shape=2,2;strides=2,2;input_shape=8,8",
     "i32[N,3,8,8]",
     7,
     7},
    {"MaxPoolGrad",
     {"i8[N,3,6,6]", "i32[N,3,6,6]"},
     "kernel_shape=3,3;input_shape=8,8",
     "i32[N,3,8,8]",
     7,
     11},
    {"Softmax", {"i16[N,10]"}, "axis=1", "i32[N,10]", 15, 31},
    {"LogSoftmax", {"i8[N,10]"}, "axis=1", "i64[N,10]", 7, 62},
    {"ReduceSumTo", {"i8[N,10]"}, "axes=0", "i32[10]", 7, 13},
    {"ReduceSumTo", {"i8[N,10,4]"}, "axes=0,2;keepdims=1", "i32[1,10,1]", 7, 15},
    {"ReduceSumTo", {"i16[N,10]"}, "axes=0", "i64[10]", 15, 21},
    {"View", {"i8[N,3,8]"}, "shape=1,24;batch_axis=0", "i8[N,24]", 5, 5},
    {"Transpose", {"i16[N,3,8]"}, "perm=0,2,1", "i16[N,8,3]", 15, 15},
};

static void integer_types_of_other_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof integer_cases / sizeof integer_cases[0]; i++) {
        itc_graph *g = new_graph(17);
        itc_value *in[2] = {mantissas(g, integer_cases[i].in[0], integer_cases[i].bits_in), NULL};
        if (integer_cases[i].in[1]) {
            in[1] = mantissas(g, integer_cases[i].in[1], integer_cases[i].bits_in);
        }
        itc_node *n = add_node(g, integer_cases[i].op, in[1] ? 2 : 1, in, integer_cases[i].attrs);
        if (itc_infer(g, n) != ITC_OK) {
            fail_msg("%s: %s", integer_cases[i].op, itc_diag_get(g->ctx, 0)->text);
        }
        const itc_type *t = &n->out[0]->type;
        if (strcmp(itc_type_text(g->ctx, t), integer_cases[i].want) != 0 ||
            t->bits != integer_cases[i].bits) {
            fail_msg("%s(%s) %s: got %s of %d bits, expected %s of %d", integer_cases[i].op,
                     integer_cases[i].in[0], integer_cases[i].attrs, itc_type_text(g->ctx, t),
                     t->bits, integer_cases[i].want, integer_cases[i].bits);
        }
        free_graph(g);
    }
}

/** A gradient that does not fit its attributes is an error, never a wrong shape. */
static void gradient_rows_check_operands(void **state)
{
    static const infer_case cases[] = {
        {"ConvGradInput",
         {"f32[N,4,6,6]", "f32[4,3,3,3]"},
         "kernel_shape=3,3;input_shape=8,9",
         "E0220",
         0},
        {"ConvGradInput",
         {"f32[N,5,6,6]", "f32[4,3,3,3]"},
         "kernel_shape=3,3;input_shape=8,8",
         "E0220",
         0},
        {"ConvGradWeight",
         {"f32[N,3,8,8]", "f32[N,4,7,6]"},
         "kernel_shape=3,3;input_shape=8,8",
         "E0220",
         0},
        {"ConvGradWeight",
         {"f32[N,3,8,8]", "f32[2N,4,6,6]"},
         "kernel_shape=3,3;input_shape=8,8",
         "E0220",
         0},
        {"AveragePoolGrad", {"f32[N,3,4,4]"}, "kernel_shape=2,2;input_shape=8,8", "E0220", 0},
        {"MaxPoolGrad",
         {"f32[N,3,4,4]", "i32[N,3,4,4]"},
         "kernel_shape=2;input_shape=8",
         "E0203",
         0},
        {"SoftmaxGrad", {"f32[N,3]", "f32[N,4]"}, "axis=1", "E0220", 0},
        {"View", {"f32[N,4]"}, "shape=1,5;batch_axis=0", "E0223", 0},
        {"View", {"f32[N,4]"}, "shape=1,4;batch_axis=2", "E0221", 0},
        {"ReduceSumTo", {"f32[N,4]"}, "axes=2", "E0222", 0},
    };
    CHECK_CASES(cases)
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matmul_shapes),
        cmocka_unit_test(einsum_shapes),
        cmocka_unit_test(conv_shapes),
        cmocka_unit_test(pool_shapes),
        cmocka_unit_test(window_extents_match_onnx),
        cmocka_unit_test(auto_pad_splits_odd_padding),
        cmocka_unit_test(maxpool_has_an_index_of_its_own),
        cmocka_unit_test(softmax_flattens_before_opset_13),
        cmocka_unit_test(reshape_places_the_rows),
        cmocka_unit_test(reshape_knows_for_how_many_rows),
        cmocka_unit_test(views_and_transposes),
        cmocka_unit_test(transpose_of_unit_axes_is_a_view),
        cmocka_unit_test(accumulators_hold_the_worst_case),
        cmocka_unit_test(integer_types_of_other_rows),
        cmocka_unit_test(gradient_rows_check_operands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
