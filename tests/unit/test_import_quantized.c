/* Quantised models: the float models that they stand for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "frontend/onnx_import.h"
#include "passes/pass.h"
#include "tests/support/onnx_build.h"

enum { FLOAT = 1, INT8 = 3 };

static onnx_build *b;
static itc_ctx *ctx;

static int setup(void **state)
{
    (void)state;
    b = onnx_build_new(13);
    ctx = itc_ctx_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    onnx_build_free(b);
    itc_ctx_free(ctx);
    return 0;
}

static itc_graph *imported(const char *stage)
{
    size_t n = 0;
    const uint8_t *bytes = onnx_build_pack(b, &n);
    itc_onnx_model *m = NULL;
    itc_graph *g = NULL;
    itc_stage to;
    assert_true(itc_stage_parse(stage, &to));
    if (itc_onnx_read_memory(ctx, bytes, n, &m) != ITC_OK ||
        itc_onnx_import(ctx, m, NULL, &g) != ITC_OK || itc_run_to(g, to, NULL) != ITC_OK) {
        itc_diag_print(ctx, stderr);
        fail();
    }
    itc_onnx_close(m);
    return g;
}

static const char *operators(const itc_graph *g)
{
    itc_strbuf s;
    itc_strbuf_init(&s, ctx);
    for (int i = 0; i < g->section[ITC_FORWARD].n; i++) {
        itc_strbuf_printf(&s, "%s%s", i > 0 ? " " : "", g->section[ITC_FORWARD].node[i]->op->name);
    }
    return s.text;
}

static void check_param(const itc_graph *g, const char *name, int n, const double *want)
{
    const itc_value *v = itc_value_find(g, name);
    assert_non_null(v);
    assert_int_equal(v->kind, ITC_VALUE_PARAM);
    assert_int_equal(v->data->count, n);
    for (int i = 0; i < n; i++) {
        assert_float_equal(itc_tensor_get(v->data, i), want[i], 1e-6);
    }
}

static void ints(const char *name, const char *shape, int n, const int64_t *v)
{
    (void)n;
    onnx_build_ints(b, name, shape, v);
}

/** An integer input, pairs around activations, weights scaled a row each. */
static void pairs_vanish_and_weights_are_trained(void **state)
{
    (void)state;
    onnx_build_input(b, "x", INT8, "N,2");
    onnx_build_floats(b, "s", "", (const float[]){0.5f});
    onnx_build_floats(b, "ws", "2", (const float[]){0.25f, 2});
    ints("z", "", 1, (const int64_t[]){3});
    ints("wz", "2", 2, (const int64_t[]){0, 1});
    ints("q", "2,2", 4, (const int64_t[]){1, -2, 3, 4});
    onnx_build_node(b, "DequantizeLinear", "x s z", "xf");
    Onnx__NodeProto *n = onnx_build_node(b, "DequantizeLinear", "q ws wz", "w");
    onnx_build_attr_int(b, n, "axis", 0);
    onnx_build_node(b, "MatMul", "xf w", "h");
    onnx_build_node(b, "QuantizeLinear", "h s z", "hq");
    onnx_build_node(b, "DequantizeLinear", "hq s z", "hf");
    onnx_build_node(b, "Relu", "hf", "r");
    onnx_build_node(b, "QuantizeLinear", "r s z", "y");
    onnx_build_output(b, "y");
    const itc_graph *g = imported("shape");
    /* (x - 3) * 0.5, both as linear combinations */
    assert_string_equal(operators(g), "Combine Combine MatMul Relu");
    assert_int_equal(itc_value_find(g, "x")->type.dtype, ITC_F32);
    check_param(g, "w", 4, (const double[]){0.25, -0.5, 4, 6});
    assert_string_equal(itc_value_find(g, "w")->onnx, "w");
    assert_string_equal(g->outputs[0].name, "y");
}

static void qlinear_conv_is_a_conv(void **state)
{
    (void)state;
    onnx_build_input(b, "x", FLOAT, "N,1,2,2");
    onnx_build_floats(b, "s", "", (const float[]){0.5f});
    onnx_build_floats(b, "ws", "2", (const float[]){0.25f, 2});
    ints("z", "", 1, (const int64_t[]){3});
    ints("w", "2,1,1,1", 2, (const int64_t[]){5, 6});
    ints("bias", "2", 2, (const int64_t[]){8, -4});
    onnx_build_node(b, "QuantizeLinear", "x s z", "xq");
    onnx_build_node(b, "QLinearConv", "xq s z w ws z s z bias", "yq");
    onnx_build_node(b, "DequantizeLinear", "yq s z", "y");
    onnx_build_output(b, "y");
    const itc_graph *g = imported("shape");
    assert_string_equal(operators(g), "Conv View Combine"); /* and its bias */
    check_param(g, "w.real", 2, (const double[]){0.5, 6});
    check_param(g, "bias.real", 2, (const double[]){1, -4});
}

/** Scales that are found at run time cancel. */
static void dynamic_quantization_is_none(void **state)
{
    (void)state;
    onnx_build_input(b, "x", FLOAT, "N,2");
    onnx_build_floats(b, "ws", "", (const float[]){0.25f});
    ints("wz", "", 1, (const int64_t[]){1});
    ints("w", "2,2", 4, (const int64_t[]){1, 2, 3, 4});
    onnx_build_node(b, "DynamicQuantizeLinear", "x", "q s z");
    onnx_build_node(b, "MatMulInteger", "q w z wz", "i");
    Onnx__NodeProto *n = onnx_build_node(b, "Cast", "i", "f");
    onnx_build_attr_int(b, n, "to", FLOAT);
    onnx_build_node(b, "Mul", "s ws", "both");
    onnx_build_node(b, "Mul", "f both", "y");
    onnx_build_output(b, "y");
    const itc_graph *g = imported("shape");
    assert_string_equal(operators(g), "MatMul Combine");
    check_param(g, "w.real", 4, (const double[]){0, 1, 2, 3});
}

static void scale_found_at_run_time_is_refused(void **state)
{
    (void)state;
    onnx_build_input(b, "x", INT8, "N,2");
    onnx_build_input(b, "s", FLOAT, "N");
    onnx_build_node(b, "DequantizeLinear", "x s", "y");
    onnx_build_output(b, "y");
    size_t n = 0;
    const uint8_t *bytes = onnx_build_pack(b, &n);
    itc_onnx_model *m = NULL;
    itc_graph *g = NULL;
    assert_int_equal(itc_onnx_read_memory(ctx, bytes, n, &m), ITC_OK);
    assert_int_equal(itc_onnx_import(ctx, m, NULL, &g), ITC_OK);
    itc_onnx_close(m);
    assert_int_equal(itc_run_to(g, ITC_STAGE_SHAPE, NULL), ITC_UNSUPPORTED);
    assert_non_null(strstr(itc_diag_get(ctx, 0)->text, "scale or zero point"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(pairs_vanish_and_weights_are_trained),
        TEST(qlinear_conv_is_a_conv),
        TEST(dynamic_quantization_is_none),
        TEST(scale_found_at_run_time_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
