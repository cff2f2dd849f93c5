/* A dump of any stage, read back and sent through the remaining passes, gives the same program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "passes/pass.h"

static const char *const models[] = {
    /* dense layers, a weight of 12 elements */
    "itc 1\n"
    "graph @mlp stage=import opset=13 {\n"
    "  set loss = \"cross-entropy\"\n"
    "  set batch = 2\n"
    "  input %x : f32[N,4] onnx\n"
    "  param %w : f32[3,4] onnx data=[0.5, -0.25, 0.1, 0.3, 0, 0.7, 1, 0.2, -0.3, 0.4, 0.5, -0.6]\n"
    "  param %b : f32[3] onnx data=[0, 0, 0]\n"
    "  %h : ? onnx = Gemm(%x, %w, %b) {transB=1} !1 \"fc1\" (Gemm-13)\n"
    "  %a : ? onnx = Relu(%h) !2 (Relu-13)\n"
    "  output %a as \"a\"\n"
    "}\n",
    /* windows, and a weight of 24 elements, which goes to a side file */
    "itc 1\n"
    "graph @cnn stage=import opset=11 {\n"
    "  set loss = \"cross-entropy\"\n"
    "  set batch = 4\n"
    "  set micro_batch = 2\n"
    "  input %x : f32[N,1,4,4] onnx\n"
    "  param %w : f32[2,1,2,2] onnx data=[1, -1, 0.5, 0.25, 0, 2, -0.5, 1]\n"
    "  param %f : f32[3,8] onnx data=f32[3,8] [@]\n"
    "  %h : ? onnx = Conv(%x, %w) !1 \"c1\" (Conv-11)\n"
    "  %p : ? onnx = MaxPool(%h) {kernel_shape=[2, 2]} !2 (MaxPool-11)\n"
    "  %q : ? onnx = Flatten(%p) !3 (Flatten-11)\n"
    "  %r : ? onnx = Gemm(%q, %f) {transB=1} !4 (Gemm-11)\n"
    "  output %r as \"r\"\n"
    "}\n",
    /* two branches, which the schedule computes one after the other */
    "itc 1\n"
    "graph @branches stage=import opset=13 {\n"
    "  set loss = \"mse\"\n"
    "  set batch = 4\n"
    "  input %x : f32[N,2] onnx\n"
    "  param %v : f32[2,6] onnx data=[1, -1, 0.5, 0.25, 0, 2, -0.5, 1, 0.1, 0.2, 0.3, 0.4]\n"
    "  param %w : f32[2,6] onnx data=[-1, 1, 0.5, 0.75, 1, 2, 0.5, 1, 0.1, 0.2, 0.3, 0.4]\n"
    "  param %p : f32[6,1] onnx data=[1, 0.5, -1, 0.25, 2, -0.5]\n"
    "  param %q : f32[6,1] onnx data=[0.5, 1, 1, -0.25, 1, -1]\n"
    "  %a : ? onnx = MatMul(%x, %v) !1 \"a\" (MatMul-13)\n"
    "  %b : ? onnx = MatMul(%x, %w) !2 \"b\" (MatMul-13)\n"
    "  %c : ? onnx = MatMul(%a, %p) !3 \"c\" (MatMul-13)\n"
    "  %d : ? onnx = MatMul(%b, %q) !4 \"d\" (MatMul-13)\n"
    "  %y : ? onnx = Add(%c, %d) !5 \"y\" (Add-13)\n"
    "  output %y as \"y\"\n"
    "}\n"};

static itc_graph *parse(itc_ctx *ctx, const char *path, const char *text)
{
    itc_graph *g = NULL;
    if (itc_parse(ctx, path, text, strlen(text), &g) != ITC_OK) {
        itc_diag_print(ctx, stderr);
        fail_msg("the text was refused");
    }
    return g;
}

static void run_to(itc_graph *g, itc_stage stage)
{
    const itc_pipeline_options opt = {.verify_each = true};
    if (itc_run_to(g, stage, &opt) != ITC_OK) {
        itc_diag_print(g->ctx, stderr);
        fail_msg("stage %s failed", itc_stage_name(stage));
    }
}

static const char *text_of(const itc_graph *g, const char *blob_path, itc_strbuf *blob)
{
    itc_strbuf out;
    const itc_print_options opt = {.blob_path = blob_path};
    itc_strbuf_init(&out, g->ctx);
    itc_print(g, &opt, &out, blob);
    return out.text;
}

/** The model with its large weight written out. */
static const char *model_text(itc_ctx *ctx, const char *model)
{
    const char *at = strstr(model, "[@]");
    if (!at) {
        return model;
    }
    itc_strbuf b;
    itc_strbuf_init(&b, ctx);
    itc_strbuf_add_n(&b, model, (size_t)(at - model));
    for (int i = 0; i < 24; i++) {
        itc_strbuf_printf(&b, "%s%d.%d", i > 0 ? ", " : "[", i % 3 - 1, (7 * i) % 10);
    }
    itc_strbuf_add(&b, "]");
    itc_strbuf_add(&b, at + 3);
    return b.text;
}

static void same_values(const itc_graph *a, const itc_graph *b)
{
    assert_int_equal(a->n_values, b->n_values);
    for (int i = 0; i < a->n_values; i++) {
        assert_string_equal(a->values[i]->name, b->values[i]->name);
    }
}

static void any_stage_continues(void **state)
{
    (void)state;
    char folder[] = "/tmp/itc-stages-XXXXXX";
    assert_non_null(mkdtemp(folder));
    for (size_t m = 0; m < sizeof models / sizeof models[0]; m++) {
        for (int s = ITC_STAGE_IMPORT; s < ITC_STAGE_COUNT; s++) {
            itc_ctx *ctx = itc_ctx_new();
            const char *path = itc_format(ctx, "%s/m.itc", folder);
            const char *blob_path = itc_format(ctx, "%s/m.itc.bin", folder);
            const char *model = model_text(ctx, models[m]);
            itc_graph *straight = parse(ctx, path, model);
            run_to(straight, ITC_STAGE_MEMORY);
            itc_graph *stop = parse(ctx, path, model);
            run_to(stop, (itc_stage)s);
            itc_strbuf blob;
            itc_strbuf_init(&blob, ctx);
            const char *dump = text_of(stop, blob_path, &blob);
            assert_int_equal(itc_write_file(ctx, blob_path, blob.text, blob.len), ITC_OK);
            itc_graph *again = parse(ctx, path, dump);
            same_values(again, stop); /* in the same order: passes break ties by it */
            run_to(again, ITC_STAGE_MEMORY);
            assert_string_equal(text_of(again, NULL, NULL), text_of(straight, NULL, NULL));
            same_values(again, straight);
            assert_int_equal(unlink(blob_path), 0);
            itc_ctx_free(ctx);
        }
    }
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(any_stage_continues)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
