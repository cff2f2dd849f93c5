#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/onnx_import.h"
#include "ir/op.h"
#include "tests/support/onnx_build.h"

enum { FLOAT = 1, INT64 = 7, STRING = 8, BOOL = 9, FLOAT16 = 10, DOUBLE = 11 };

typedef struct input {
    const char *name;
    int32_t type;
    const char *shape;
} input;

/** Imports a model with these inputs, the first of which goes through an Identity. */
static itc_status import(itc_ctx *ctx, int n, const input *in, int n_dims,
                         const itc_import_dim *dims, itc_graph **g)
{
    onnx_build *b = onnx_build_new(13);
    for (int i = 0; i < n; i++) {
        onnx_build_input(b, in[i].name, in[i].type, in[i].shape);
    }
    onnx_build_node(b, "Identity", n > 0 ? in[0].name : "", "y");
    onnx_build_output(b, "y");
    const itc_import_options options = {.dims = dims, .n_dims = n_dims};
    itc_onnx_model *m = NULL;
    size_t size = 0;
    const uint8_t *bytes = onnx_build_pack(b, &size);
    itc_status s = itc_onnx_read_memory(ctx, bytes, size, &m);
    assert_int_equal(s, ITC_OK);
    s = itc_onnx_import(ctx, m, &options, g);
    itc_onnx_close(m);
    onnx_build_free(b);
    return s;
}

/** The inputs get these types, and there are so many notes. */
static void check_types(int n, const input *in, int n_dims, const itc_import_dim *dims,
                        const char *const *types, int notes)
{
    itc_ctx *ctx = itc_ctx_new();
    itc_graph *g = NULL;
    const itc_status s = import(ctx, n, in, n_dims, dims, &g);
    itc_diag_print(ctx, stderr);
    assert_int_equal(s, ITC_OK);
    for (int i = 0; i < n; i++) {
        const itc_value *v = itc_value_find(g, in[i].name);
        assert_int_equal(v->kind, ITC_VALUE_INPUT);
        assert_string_equal(itc_type_text(ctx, &v->type), types[i]);
    }
    const long extent = strtol(in[0].shape, NULL, 10);
    assert_int_equal(g->rows, extent > 0 ? extent : 0); /* of the export; 0: any number */
    assert_int_equal(itc_note_count(ctx), notes);
    itc_ctx_free(ctx);
}

static void check_refused(int n, const input *in, int n_dims, const itc_import_dim *dims,
                          const char *id, const char *what)
{
    itc_ctx *ctx = itc_ctx_new();
    itc_graph *g = NULL;
    assert_int_not_equal(import(ctx, n, in, n_dims, dims, &g), ITC_OK);
    assert_string_equal(itc_diag_get(ctx, 0)->id, id);
    if (!strstr(itc_diag_get(ctx, 0)->text, what)) {
        print_message("\"%s\" is not in \"%s\"\n", what, itc_diag_get(ctx, 0)->text);
        fail();
    }
    itc_ctx_free(ctx);
}

static void element_types(void **state)
{
    (void)state;
    const input in[] = {{"a", FLOAT, "N,2"},   {"b", FLOAT16, "N"}, {"c", DOUBLE, "N,2"},
                        {"d", INT64, "N,3,4"}, {"e", 3, "N"},       {"f", BOOL, "N,2"}};
    const char *const types[] = {"f32[N,2]",   "f32[N]", "f32[N,2]",
                                 "i64[N,3,4]", "i64[N]", "bool[N,2]"};
    check_types(6, in, 0, NULL, types, 0);
}

static void batch_is_the_symbolic_first_axis(void **state)
{
    (void)state;
    const input one[] = {{"x", FLOAT, "batch,1,28,28"}, {"label", INT64, "batch"}};
    const char *const types[] = {"f32[N,1,28,28]", "i64[N]"};
    check_types(2, one, 0, NULL, types, 0);
    const input unnamed[] = {{"x", FLOAT, "?,1,28,28"}, {"label", INT64, "?"}};
    check_types(2, unnamed, 0, NULL, types, 0);
    const input minus[] = {{"x", FLOAT, "-1,1,28,28"}, {"label", INT64, "-1"}};
    check_types(2, minus, 0, NULL, types, 0);
    const input differ[] = {{"x", FLOAT, "N,1,28,28"}, {"label", INT64, "M"}};
    check_types(2, differ, 0, NULL, types, 1);
}

static void batch_is_another_axis(void **state)
{
    (void)state;
    const input named[] = {{"x", FLOAT, "time,batch,4"}, {"h", FLOAT, "2,batch,8"}};
    const itc_import_dim time[] = {{"time", 5}};
    const char *const types[] = {"f32[N,5,4]", "f32[N,2,8]"};
    check_types(2, named, 1, time, types, 2);
    check_refused(2, named, 0, NULL, "E0210", "--dim time=N");
    /* without a name that says so, the axis without an extent */
    const input sequence[] = {{"x", FLOAT, "time,B,4"}};
    check_types(1, sequence, 1, time, types, 1);
    const input fixed[] = {{"x", FLOAT, "5,B,4"}, {"label", INT64, "B"}};
    const char *const labelled[] = {"f32[N,5,4]", "i64[N]"};
    const itc_import_dim batch[] = {{"B", 3}};
    check_refused(2, fixed, 1, batch, "E0210", "--dim B: that axis is the batch");
    itc_ctx *ctx = itc_ctx_new();
    itc_graph *g = NULL;
    assert_int_equal(import(ctx, 2, fixed, 0, NULL, &g), ITC_OK);
    assert_string_equal(itc_type_text(ctx, &itc_value_find(g, "x")->type), labelled[0]);
    assert_int_equal(g->section[ITC_FORWARD].n, 2); /* the Transpose and the Identity */
    assert_string_equal(g->section[ITC_FORWARD].node[0]->op->name, "Transpose");
    assert_ptr_equal(g->section[ITC_FORWARD].node[1]->in[0],
                     g->section[ITC_FORWARD].node[0]->out[0]);
    itc_ctx_free(ctx);
}

static void batch_is_the_fixed_first_extent(void **state)
{
    (void)state;
    const input one[] = {{"x", FLOAT, "1,784,1"}};
    const char *const types[] = {"f32[N,784,1]"};
    check_types(1, one, 0, NULL, types, 0);
    const input eight[] = {{"x", FLOAT, "8,784"}, {"label", INT64, "8"}};
    const char *const types8[] = {"f32[N,784]", "i64[N]"};
    check_types(2, eight, 0, NULL, types8, 1);
}

static void batch_that_cannot_be_told(void **state)
{
    (void)state;
    const input vector[] = {{"x", FLOAT, "784"}};
    check_refused(1, vector, 0, NULL, "E0211", "no batch axis");
    const input scalar[] = {{"x", FLOAT, ""}};
    check_refused(1, scalar, 0, NULL, "E0211", "\"x\"");
    const input differ[] = {{"x", FLOAT, "1,784"}, {"z", FLOAT, "2,784"}};
    check_refused(2, differ, 0, NULL, "E0211", "\"z\"");
    const input mixed[] = {{"x", FLOAT, "N,784"}, {"z", FLOAT, "1,784"}};
    check_refused(2, mixed, 0, NULL, "E0211", "\"z\" has a fixed first axis");
    const input rate[] = {{"x", FLOAT, "N,784"}, {"rate", INT64, ""}};
    check_refused(2, rate, 0, NULL, "E0211", "\"rate\" is a scalar");
    const input twice[] = {{"x", FLOAT, "N,N"}};
    check_refused(1, twice, 0, NULL, "E0211", "axis 1");
}

static void other_symbolic_axes(void **state)
{
    (void)state;
    const input in[] = {{"x", FLOAT, "N,time,?"}, {"z", FLOAT, "N,time"}};
    const itc_import_dim dims[] = {{"time", 5}, {"x.2", 7}, {"q", 3}, {"N", 3}, {"time", 0}};
    const char *const types[] = {"f32[N,5,7]", "f32[N,5]"};
    check_types(2, in, 2, dims, types, 0);
    check_refused(2, in, 0, NULL, "E0210", "--dim time=N");
    check_refused(2, in, 1, dims, "E0210", "--dim x.2=N");
    check_refused(2, in, 3, dims, "E0210", "--dim q");
    const itc_import_dim batch[] = {dims[0], dims[1], dims[3]};
    check_refused(2, in, 3, batch, "E0210", "--dim N: that axis is the batch");
    const itc_import_dim zero[] = {dims[4], dims[1]};
    check_refused(2, in, 2, zero, "E0210", "at least 1");
}

static void inputs_that_are_not_possible(void **state)
{
    (void)state;
    const input strings[] = {{"x", STRING, "N,2"}};
    check_refused(1, strings, 0, NULL, "E0209", "type string");
    const input complex[] = {{"x", 14, "N,2"}};
    check_refused(1, complex, 0, NULL, "E0209", "type complex64");
    const input shapeless[] = {{"x", FLOAT, NULL}};
    check_refused(1, shapeless, 0, NULL, "E0209", "no shape");
    const input zero[] = {{"x", FLOAT, "N,0"}};
    check_refused(1, zero, 0, NULL, "E0209", "extent 0");
    const input negative[] = {{"x", FLOAT, "N,-2"}};
    check_refused(1, negative, 0, NULL, "E0209", "extent -2");
    const input huge[] = {{"x", FLOAT, "N,4294967296"}};
    check_refused(1, huge, 0, NULL, "E0209", "extent 4294967296");
    const input overflow[] = {{"x", FLOAT, "N,2147483647,2147483647,2147483647"}};
    check_refused(1, overflow, 0, NULL, "E0209", "2147483647 elements");
    const input large[] = {{"x", FLOAT, "N,65536,32768"}}; /* 2^31 */
    check_refused(1, large, 0, NULL, "E0209", "2147483647 elements");
    const input rank[] = {{"x", FLOAT, "N,1,1,1,1,1,1,1,1"}};
    check_refused(1, rank, 0, NULL, "E0209", "rank 9");
    check_refused(0, NULL, 0, NULL, "E0209", "no input");
    const input nameless[] = {{"", FLOAT, "N,1"}};
    check_refused(1, nameless, 0, NULL, "E0209", "no name");
}

static void inputs_that_are_no_tensors(void **state)
{
    (void)state;
    itc_ctx *ctx = itc_ctx_new();
    onnx_build *b = onnx_build_new(13);
    onnx_build_input(b, "x", FLOAT, "N,2")->type = NULL;
    onnx_build_output(b, "x");
    size_t n = 0;
    const uint8_t *bytes = onnx_build_pack(b, &n);
    itc_onnx_model *m = NULL;
    itc_graph *g = NULL;
    assert_int_equal(itc_onnx_read_memory(ctx, bytes, n, &m), ITC_OK);
    assert_int_equal(itc_onnx_import(ctx, m, NULL, &g), ITC_UNSUPPORTED);
    assert_string_equal(itc_diag_get(ctx, 0)->id, "E0209");
    itc_onnx_close(m);
    onnx_build_free(b);
    itc_ctx_free(ctx);
}

/** Imports "x" and the input `in` (which "y" is), with --input `fixed`. */
static itc_status import_fixed(itc_ctx *ctx, const input *in, const itc_import_fixed *fixed,
                               itc_graph **g)
{
    onnx_build *b = onnx_build_new(13);
    onnx_build_input(b, in->name, in->type, in->shape);
    if (strcmp(in->name, "x") != 0) {
        onnx_build_input(b, "x", FLOAT, "N,2");
    }
    onnx_build_node(b, "Identity", in->name, "y");
    onnx_build_output(b, "y");
    const itc_import_options options = {.fixed = fixed, .n_fixed = 1};
    itc_onnx_model *m = NULL;
    size_t size = 0;
    const uint8_t *bytes = onnx_build_pack(b, &size);
    assert_int_equal(itc_onnx_read_memory(ctx, bytes, size, &m), ITC_OK);
    const itc_status s = itc_onnx_import(ctx, m, &options, g);
    itc_onnx_close(m);
    onnx_build_free(b);
    return s;
}

static void inputs_that_are_numbers(void **state)
{
    (void)state;
    static const struct {
        input in;
        double value;
        const char *type;
    } cases[] = {{{"sr", INT64, ""}, 16000, "i64[]"},
                 {{"scale", DOUBLE, "1,3"}, 0.5, "f32[1,3]"},
                 {{"causal", BOOL, "1"}, 1, "bool[1]"}};
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        itc_ctx *ctx = itc_ctx_new();
        itc_graph *g = NULL;
        const itc_import_fixed fixed = {cases[k].in.name, cases[k].value};
        assert_int_equal(import_fixed(ctx, &cases[k].in, &fixed, &g), ITC_OK);
        const itc_value *v = itc_value_find(g, cases[k].in.name);
        assert_int_equal(v->kind, ITC_VALUE_CONST);
        assert_string_equal(itc_type_text(ctx, &v->type), cases[k].type);
        for (int64_t i = 0; i < v->data->count; i++) {
            assert_float_equal(itc_tensor_get(v->data, i), cases[k].value, 0);
        }
        itc_ctx_free(ctx);
    }
}

static void inputs_that_are_no_numbers(void **state)
{
    (void)state;
    static const struct {
        input in;
        itc_import_fixed fixed;
        const char *id;
    } cases[] = {{{"sr", INT64, ""}, {"sr", 0.5}, "E0230"},
                 {{"sr", INT64, ""}, {"rate", 1}, "E0230"},
                 {{"n", INT64, "M"}, {"n", 1}, "E0230"},
                 {{"n", FLOAT, "65536,65536"}, {"n", 1}, "E0230"},
                 {{"x", FLOAT, "4,2"}, {"x", 1}, "E0209"}};
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        itc_ctx *ctx = itc_ctx_new();
        itc_graph *g = NULL;
        assert_int_not_equal(import_fixed(ctx, &cases[k].in, &cases[k].fixed, &g), ITC_OK);
        assert_string_equal(itc_diag_get(ctx, 0)->id, cases[k].id);
        itc_ctx_free(ctx);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(element_types),
        cmocka_unit_test(batch_is_the_symbolic_first_axis),
        cmocka_unit_test(batch_is_another_axis),
        cmocka_unit_test(batch_is_another_axis),
        cmocka_unit_test(batch_is_the_fixed_first_extent),
        cmocka_unit_test(batch_that_cannot_be_told),
        cmocka_unit_test(other_symbolic_axes),
        cmocka_unit_test(inputs_that_are_not_possible),
        cmocka_unit_test(inputs_that_are_no_tensors),
        cmocka_unit_test(inputs_that_are_numbers),
        cmocka_unit_test(inputs_that_are_no_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
