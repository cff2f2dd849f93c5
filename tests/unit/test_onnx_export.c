#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/onnx_export.h"
#include "frontend/onnx_import.h"
#include "tests/support/onnx_build.h"

enum { FLOAT = 1, FLOAT16 = 10, DOUBLE = 11 };

/* A model under construction, a context, a folder for its files, and what was exported. */
typedef struct fixture {
    onnx_build *b;
    itc_ctx *ctx;
    const char *folder;
    Onnx__ModelProto *exported;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    f->b = onnx_build_new(14);
    f->ctx = itc_ctx_new();
    char *folder = itc_strdup(f->ctx, "/tmp/itc_export_XXXXXX");
    f->folder = mkdtemp(folder);
    onnx_build_input(f->b, "x", FLOAT, "N,2");
    onnx_build_output(f->b, "y");
    *state = f;
    return f->folder ? 0 : -1;
}

static int teardown(void **state)
{
    fixture *f = *state;
    if (f->exported) {
        onnx__model_proto__free_unpacked(f->exported, NULL);
    }
    const int rc = system(itc_format(f->ctx, "rm -r %s", f->folder));
    onnx_build_free(f->b);
    itc_ctx_free(f->ctx);
    free(f);
    return rc;
}

static const char *path_of(fixture *f, const char *name)
{
    return itc_format(f->ctx, "%s/%s", f->folder, name);
}

/** Writes the built model (and `more` bytes behind it), reads it, exports it. */
static itc_status export_model(fixture *f, int n, const itc_onnx_tensor_update *updates,
                               const char *more, size_t n_more)
{
    size_t size = 0;
    const uint8_t *bytes = onnx_build_pack(f->b, &size);
    char *whole = itc_alloc(f->ctx, size + n_more);
    memcpy(whole, bytes, size);
    if (n_more > 0) {
        memcpy(whole + size, more, n_more);
    }
    assert_int_equal(itc_write_file(f->ctx, path_of(f, "in.onnx"), whole, size + n_more), ITC_OK);
    itc_onnx_model *m = NULL;
    assert_int_equal(itc_onnx_read(f->ctx, path_of(f, "in.onnx"), &m), ITC_OK);
    const itc_status s = itc_onnx_export(f->ctx, m, updates, n, path_of(f, "out.onnx"));
    itc_onnx_close(m);
    return s;
}

/** The written model, unpacked by protobuf-c alone. */
static const Onnx__GraphProto *exported(fixture *f, int n, const itc_onnx_tensor_update *updates)
{
    const itc_status s = export_model(f, n, updates, NULL, 0);
    itc_diag_print(f->ctx, stderr);
    assert_int_equal(s, ITC_OK);
    char *bytes = NULL;
    size_t size = 0;
    assert_int_equal(itc_read_file(f->ctx, path_of(f, "out.onnx"), 1 << 20, &bytes, &size), ITC_OK);
    f->exported = onnx__model_proto__unpack(NULL, size, (const uint8_t *)bytes);
    assert_non_null(f->exported);
    return f->exported->graph;
}

static void refused(fixture *f, int n, const itc_onnx_tensor_update *updates, const char *id)
{
    itc_diag_clear(f->ctx);
    assert_int_not_equal(export_model(f, n, updates, NULL, 0), ITC_OK);
    assert_string_equal(itc_diag_get(f->ctx, 0)->id, id);
    assert_non_null(itc_diag_meaning(id));
    assert_int_not_equal(access(path_of(f, "out.onnx"), F_OK), 0); /* nothing is left behind */
}

static itc_tensor *floats(fixture *f, int64_t n, const float *v)
{
    itc_tensor *t = itc_tensor_new(f->ctx, ITC_F32, 1, &n);
    memcpy(t->data, v, (size_t)n * sizeof *v);
    return t;
}

/* ---- contents ---- */

static void updates_of_initializers(void **state)
{
    fixture *f = *state;
    const float old[] = {1, 2, 3, 4};
    const float new[] = {5, 6, 7, -8};
    double twice[] = {0.5, 0.25};
    onnx_build_floats(f->b, "w", "2,2", old);
    onnx_build_floats(f->b, "kept", "2", old);
    Onnx__TensorProto *d = onnx_build_init(f->b, "d", DOUBLE, "2");
    d->n_double_data = 2;
    d->double_data = twice;
    Onnx__TensorProto *h = onnx_build_init(f->b, "h", FLOAT16, "1");
    onnx_build_raw(f->b, h, "\x00\x3c", 2);
    onnx_build_node(f->b, "MatMul", "x w", "y");
    const itc_onnx_tensor_update u[] = {
        {"w", floats(f, 4, new)}, {"d", floats(f, 2, new)}, {"h", floats(f, 1, new + 3)}};
    const Onnx__GraphProto *g = exported(f, 3, u);
    assert_int_equal(g->n_initializer, 4);
    const Onnx__TensorProto *w = g->initializer[0];
    assert_string_equal(w->name, "w");
    assert_int_equal(w->n_dims, 2);
    assert_int_equal(w->n_float_data, 0);
    /* 5.0, 6.0, 7.0 and -8.0, little-endian */
    assert_int_equal(w->raw_data.len, 16);
    assert_memory_equal(w->raw_data.data, "\0\0\xa0\x40\0\0\xc0\x40\0\0\xe0\x40\0\0\0\xc1", 16);
    assert_int_equal(g->initializer[1]->n_float_data, 2);
    assert_memory_equal(g->initializer[1]->float_data, old, 2 * sizeof *old);
    assert_int_equal(g->initializer[2]->data_type, DOUBLE);
    assert_int_equal(g->initializer[2]->raw_data.len, 16);
    assert_memory_equal(g->initializer[2]->raw_data.data, "\0\0\0\0\0\0\x14\x40", 8);
    assert_int_equal(g->initializer[3]->data_type, FLOAT16);
    assert_memory_equal(g->initializer[3]->raw_data.data, "\x00\xc8", 2);
}

static void updates_of_constant_nodes(void **state)
{
    fixture *f = *state;
    const float new[] = {1.5f, -2.0f};
    Onnx__AttributeProto *a =
        onnx_build_attr(f->b, onnx_build_node(f->b, "Constant", "", "a"), "value", 4);
    a->t = onnx_build_tensor(f->b, "", FLOAT, "2");
    onnx_build_raw(f->b, a->t, "\0\0\0\0\0\0\0\0", 8);
    float two[] = {3, 4};
    a = onnx_build_attr(f->b, onnx_build_node(f->b, "Constant", "", "b"), "value_floats", 6);
    a->n_floats = 2;
    a->floats = two;
    onnx_build_attr_float(f->b, onnx_build_node(f->b, "Constant", "", "c"), "value_float", 9);
    onnx_build_node(f->b, "Sum", "a b c", "y");
    const itc_onnx_tensor_update u[] = {
        {"a", floats(f, 2, new)}, {"b", floats(f, 2, new)}, {"c", floats(f, 1, new)}};
    const Onnx__GraphProto *g = exported(f, 3, u);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(g->node[i]->n_attribute, 1);
        a = g->node[i]->attribute[0];
        assert_string_equal(a->name, "value");
        assert_int_equal(a->type, 4);
        assert_int_equal(a->has_f, 0);
        assert_int_equal(a->n_floats, 0);
        assert_int_equal(a->t->n_dims, i < 2 ? 1 : 0);
        assert_int_equal(a->t->raw_data.len, i < 2 ? 8 : 4);
        assert_memory_equal(a->t->raw_data.data, "\0\0\xc0\x3f\0\0\0\xc0", a->t->raw_data.len);
    }
}

static void updates_of_sparse_initializers(void **state)
{
    fixture *f = *state;
    const float value[] = {1};
    const int64_t at[] = {1};
    const float new[] = {1, 2};
    onnx_build_floats(f->b, "w", "1", value);
    onnx_build_sparse(f->b, "s", "2", 1, value, at);
    onnx_build_sparse(f->b, "t", "2", 1, value, at);
    onnx_build_node(f->b, "Sum", "x w s t", "y");
    const itc_onnx_tensor_update u[] = {{"s", floats(f, 2, new)}};
    const Onnx__GraphProto *g = exported(f, 1, u);
    assert_int_equal(g->n_initializer, 2);
    assert_int_equal(g->n_sparse_initializer, 1);
    assert_string_equal(g->sparse_initializer[0]->values->name, "t");
    assert_string_equal(g->initializer[1]->name, "s");
    assert_int_equal(g->initializer[1]->raw_data.len, 8);
}

static void updates_that_do_not_fit(void **state)
{
    fixture *f = *state;
    const float v[] = {1, 2};
    const int64_t shape[] = {1, 2};
    onnx_build_floats(f->b, "w", "2,1", v);
    onnx_build_node(f->b, "MatMul", "x w", "y");
    const itc_onnx_tensor_update missing = {"q", floats(f, 2, v)};
    refused(f, 1, &missing, "E0218");
    const itc_onnx_tensor_update shorter = {"w", floats(f, 1, v)};
    refused(f, 1, &shorter, "E0218");
    itc_tensor *transposed = itc_tensor_new(f->ctx, ITC_F32, 2, shape);
    const itc_onnx_tensor_update turned = {"w", transposed};
    refused(f, 1, &turned, "E0218");
    const itc_onnx_tensor_update ints = {"w", itc_tensor_i64(f->ctx, 2, shape)};
    refused(f, 1, &ints, "E0218");
}

static void external_data_moves_in(void **state)
{
    fixture *f = *state;
    assert_int_equal(itc_write_file(f->ctx, path_of(f, "w.bin"), "\0\0\x80\x3f\0\0\0\x40", 8),
                     ITC_OK);
    Onnx__TensorProto *w = onnx_build_init(f->b, "w", FLOAT, "2,1");
    onnx_build_external(f->b, w, "location", "w.bin");
    Onnx__AttributeProto *a =
        onnx_build_attr(f->b, onnx_build_node(f->b, "Constant", "", "c"), "value", 4);
    a->t = onnx_build_tensor(f->b, "", FLOAT, "1");
    onnx_build_external(f->b, a->t, "location", "w.bin");
    onnx_build_external(f->b, a->t, "offset", "4");
    onnx_build_node(f->b, "Gemm", "x w c", "y");
    const Onnx__GraphProto *g = exported(f, 0, NULL);
    assert_int_equal(g->initializer[0]->n_external_data, 0);
    assert_int_equal(g->initializer[0]->has_data_location, 0);
    assert_int_equal(g->initializer[0]->raw_data.len, 8);
    assert_memory_equal(g->initializer[0]->raw_data.data, "\0\0\x80\x3f\0\0\0\x40", 8);
    const Onnx__TensorProto *c = g->node[0]->attribute[0]->t;
    assert_int_equal(c->n_external_data, 0);
    assert_memory_equal(c->raw_data.data, "\0\0\0\x40", 4);
}

/* ---- inference form ---- */

static void build_batch_norm(fixture *f, const char *outputs)
{
    const float v[] = {1, 2};
    onnx_build_floats(f->b, "scale", "2", v);
    onnx_build_floats(f->b, "mean", "2", v);
    Onnx__NodeProto *n =
        onnx_build_node(f->b, "BatchNormalization", "x scale scale mean mean", outputs);
    onnx_build_attr_int(f->b, n, "training_mode", 1);
    onnx_build_attr_float(f->b, n, "momentum", 0.5f);
}

static void inference_form_of_normalisation(void **state)
{
    fixture *f = *state;
    build_batch_norm(f, "h m v");
    onnx_build_node(f->b, "Relu", "h", "y");
    /* Types of intermediate values: that of the dropped output goes with it. */
    onnx_build_input(f->b, "h", FLOAT, "N,2");
    onnx_build_input(f->b, "m", FLOAT, "2");
    f->b->graph->n_input = 1;
    f->b->graph->n_value_info = 2;
    f->b->graph->value_info = f->b->graph->input + 1;
    const Onnx__GraphProto *g = exported(f, 0, NULL);
    assert_int_equal(g->node[0]->n_output, 1);
    assert_string_equal(g->node[0]->output[0], "h");
    assert_string_equal(g->node[0]->attribute[0]->name, "training_mode");
    assert_int_equal(g->node[0]->attribute[0]->i, 0);
    assert_true(g->node[0]->attribute[1]->f == 0.5f);
    assert_int_equal(g->n_value_info, 1);
    assert_string_equal(g->value_info[0]->name, "h");
}

static void inference_form_that_does_not_exist(void **state)
{
    fixture *f = *state;
    build_batch_norm(f, "h m v");
    onnx_build_node(f->b, "Add", "h m", "y");
    refused(f, 0, NULL, "E0219");
    f->b->graph->n_node = 0;
    f->b->graph->n_initializer = 0;
    build_batch_norm(f, "y m v");
    onnx_build_output(f->b, "v");
    refused(f, 0, NULL, "E0219");
}

static void inference_form_of_dropout(void **state)
{
    fixture *f = *state;
    const float ratio[] = {0.5f};
    onnx_build_floats(f->b, "ratio", "", ratio);
    onnx_build_node(f->b, "Dropout", "x ratio mode", "h mask");
    Onnx__NodeProto *n = onnx_build_node(f->b, "Dropout", "h ratio mode", "y");
    n->domain = itc_strdup(f->b->arena, "custom"); /* another operator of that name */
    const Onnx__GraphProto *g = exported(f, 0, NULL);
    assert_int_equal(g->node[0]->n_input, 2);
    assert_int_equal(g->node[0]->n_output, 2);
    assert_int_equal(g->node[1]->n_input, 3);
}

/** Also in the body of an If. */
static void inference_form_of_subgraphs(void **state)
{
    fixture *f = *state;
    onnx_build_node(f->b, "Dropout", "x r m", "inner");
    Onnx__GraphProto *body = f->b->graph;
    Onnx__GraphProto outer = *body;
    outer.n_node = 0;
    outer.node = NULL;
    f->b->graph = &outer;
    f->b->model->graph = &outer;
    body->n_input = 0;
    body->n_output = 0;
    Onnx__NodeProto *n = onnx_build_node(f->b, "If", "x", "y");
    onnx_build_attr(f->b, n, "then_branch", 5)->g = body;
    const Onnx__GraphProto *g = exported(f, 0, NULL);
    assert_int_equal(g->node[0]->attribute[0]->g->node[0]->n_input, 2);
}

/* ---- everything else stays ---- */

static void the_rest_stays(void **state)
{
    fixture *f = *state;
    Onnx__NodeProto *n = onnx_build_node(f->b, "Relu", "x", "y");
    n->name = itc_strdup(f->b->arena, "act");
    Onnx__StringStringEntryProto meta = ONNX__STRING_STRING_ENTRY_PROTO__INIT;
    Onnx__StringStringEntryProto *list[] = {&meta};
    meta.key = itc_strdup(f->b->arena, "author");
    meta.value = itc_strdup(f->b->arena, "someone");
    f->b->model->n_metadata_props = 1;
    f->b->model->metadata_props = list;
    /* Nothing to change, and a field that the schema lacks: the same bytes again. */
    assert_int_equal(export_model(f, 0, NULL, "\xfa\x3f\x03xyz", 6), ITC_OK);
    char *in = NULL;
    char *out = NULL;
    size_t n_in = 0;
    size_t n_out = 0;
    assert_int_equal(itc_read_file(f->ctx, path_of(f, "in.onnx"), 1 << 20, &in, &n_in), ITC_OK);
    assert_int_equal(itc_read_file(f->ctx, path_of(f, "out.onnx"), 1 << 20, &out, &n_out), ITC_OK);
    assert_int_equal(n_in, n_out);
    assert_memory_equal(in, out, n_in);
}

/* A variance that is a scale as well: trained apart, it is written apart. */
static void a_statistic_of_its_own(void **state)
{
    fixture *f = *state;
    const float ones[] = {1, 1}, zeros[] = {0, 0}, new[] = {3, 4};
    onnx_build_floats(f->b, "ones", "2", ones);
    onnx_build_floats(f->b, "zeros", "2", zeros);
    onnx_build_node(f->b, "BatchNormalization", "x ones zeros zeros ones", "y");
    const itc_onnx_tensor_update u = {"ones.statistic", floats(f, 2, new)};
    const Onnx__GraphProto *g = exported(f, 1, &u);
    assert_string_equal(g->node[0]->input[1], "ones");
    assert_string_equal(g->node[0]->input[4], "ones.statistic");
    assert_int_equal(g->n_initializer, 4);
    assert_string_equal(g->initializer[0]->name, "ones");
    assert_float_equal(g->initializer[0]->float_data[0], 1, 0);
    const Onnx__TensorProto *t = NULL;
    for (size_t i = 0; i < g->n_initializer; i++) {
        t = strcmp(g->initializer[i]->name, "ones.statistic") == 0 ? g->initializer[i] : t;
    }
    assert_non_null(t);
    float got[2];
    assert_int_equal(t->raw_data.len, sizeof got);
    memcpy(got, t->raw_data.data, sizeof got); /* little-endian, as the machine of this test */
    assert_float_equal(got[0], 3, 0);
    assert_float_equal(got[1], 4, 0);
}

static void unwritable_output(void **state)
{
    fixture *f = *state;
    onnx_build_node(f->b, "Relu", "x", "y");
    size_t size = 0;
    const uint8_t *bytes = onnx_build_pack(f->b, &size);
    itc_onnx_model *m = NULL;
    assert_int_equal(itc_onnx_read_memory(f->ctx, bytes, size, &m), ITC_OK);
    assert_int_equal(itc_onnx_export(f->ctx, m, NULL, 0, path_of(f, "no/such/out.onnx")),
                     ITC_WRITE);
    assert_string_equal(itc_diag_get(f->ctx, 0)->id, "E0003");
    itc_onnx_close(m);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(updates_of_initializers),
        TEST(updates_of_constant_nodes),
        TEST(updates_of_sparse_initializers),
        TEST(updates_that_do_not_fit),
        TEST(external_data_moves_in),
        TEST(inference_form_of_normalisation),
        TEST(inference_form_that_does_not_exist),
        TEST(inference_form_of_dropout),
        TEST(inference_form_of_subgraphs),
        TEST(the_rest_stays),
        TEST(a_statistic_of_its_own),
        TEST(unwritable_output),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
