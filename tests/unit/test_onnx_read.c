#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/onnx_import.h"
#include "tests/support/onnx_build.h"

/* The bytes of a small model, and a context to read them into. */
typedef struct fixture {
    onnx_build *b;
    itc_ctx *ctx;
    const uint8_t *bytes;
    size_t n;
} fixture;

/** x : f32[N,2] -> Relu -> y */
static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    f->b = onnx_build_new(13);
    f->ctx = itc_ctx_new();
    onnx_build_input(f->b, "x", 1, "N,2");
    onnx_build_node(f->b, "Relu", "x", "y");
    onnx_build_output(f->b, "y");
    f->bytes = onnx_build_pack(f->b, &f->n);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    onnx_build_free(f->b);
    itc_ctx_free(f->ctx);
    free(f);
    return 0;
}

static void read_refused(const void *bytes, size_t n, const char *id)
{
    itc_ctx *ctx = itc_ctx_new();
    itc_onnx_model *m = NULL;
    assert_int_not_equal(itc_onnx_read_memory(ctx, bytes, n, &m), ITC_OK);
    assert_null(m);
    assert_string_equal(itc_diag_get(ctx, 0)->id, id);
    itc_ctx_free(ctx);
}

static void files_that_are_no_models(void **state)
{
    (void)state;
    read_refused("", 0, "E0200");
    read_refused("hello, world\n", 13, "E0200");
    read_refused("\x08\x08", 2, "E0200");         /* a message without a graph */
    read_refused("\x3a\x05\x0a", 3, "E0200");     /* a graph that is cut off */
    read_refused("\x3a\x00\x3a\x00", 4, "E0200"); /* two graphs */
    read_refused("\x3a\x05\x12\x03"               /* a NUL in the graph's name */
                 "a\0b",
                 7, "E0200");
    read_refused("\x38\x01", 2, "E0200"); /* the graph as a number */
    read_refused("\x0b\x0c", 2, "E0200"); /* a group */
    read_refused("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12,
                 "E0200"); /* a long number */
}

static void file_cut_off_anywhere(void **state)
{
    fixture *f = *state;
    const uint8_t *bytes = f->bytes;
    const size_t n = f->n;
    for (size_t cut = 0; cut < n; cut++) {
        /* A cut between the model's fields leaves a message: then the model lacks something. */
        itc_ctx *ctx = itc_ctx_new();
        itc_onnx_model *m = NULL;
        itc_graph *g = NULL;
        uint8_t *part = malloc(cut + 1);
        memcpy(part, bytes, cut);
        itc_status s = itc_onnx_read_memory(ctx, part, cut, &m);
        s = s == ITC_OK ? itc_onnx_import(ctx, m, NULL, &g) : s;
        const bool whole_graph = s == ITC_OK;
        itc_onnx_close(m);
        itc_ctx_free(ctx);
        free(part);
        assert_false(whole_graph);
    }
}

static void nesting_is_limited(void **state)
{
    (void)state;
    /* graph.node.attribute.g.node… 4000 levels deep, built from the inside out */
    static uint8_t bytes[1 << 16];
    size_t at = sizeof bytes;
    const uint8_t tags[] = {0x32, 0x2a,
                            0x0a}; /* AttributeProto.g, NodeProto.attribute, Graph.node */
    for (int i = 0; i < 4000 && at > 8; i++) {
        const size_t len = sizeof bytes - at;
        bytes[--at] = (uint8_t)(len >> 14);
        bytes[--at] = (uint8_t)(0x80 | (len >> 7 & 0x7f));
        bytes[--at] = (uint8_t)(0x80 | (len & 0x7f));
        bytes[--at] = i == 3999 ? 0x3a : tags[i % 3];
    }
    read_refused(bytes + at, sizeof bytes - at, "E0200");
}

static void unknown_fields_are_skipped(void **state)
{
    fixture *f = *state;
    const uint8_t *bytes = f->bytes;
    const size_t n = f->n;
    uint8_t *more = itc_alloc(f->ctx, n + 6);
    memcpy(more, bytes, n);
    memcpy(more + n, "\xfa\x3f\x03xyz", 6); /* field 1023, three bytes */
    itc_onnx_model *m = NULL;
    itc_graph *g = NULL;
    assert_int_equal(itc_onnx_read_memory(f->ctx, more, n + 6, &m), ITC_OK);
    assert_int_equal(itc_onnx_import(f->ctx, m, NULL, &g), ITC_OK);
    itc_onnx_close(m);
    assert_int_equal(g->section[ITC_FORWARD].n, 1);
}

static void read_from_a_file(void **state)
{
    fixture *f = *state;
    itc_onnx_model *m = NULL;
    assert_int_equal(itc_onnx_read(f->ctx, "/no/such/file.onnx", &m), ITC_IO);
    assert_string_equal(itc_diag_get(f->ctx, 0)->id, "E0001");
    const uint8_t *bytes = f->bytes;
    const size_t n = f->n;
    char path[] = "/tmp/itc_small_XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, bytes, n) == (ssize_t)n && close(fd) == 0);
    assert_int_equal(itc_onnx_read(f->ctx, path, &m), ITC_OK);
    assert_string_equal(itc_file(f->ctx), path);
    itc_graph *g = NULL;
    assert_int_equal(itc_onnx_import(f->ctx, m, NULL, &g), ITC_OK);
    uint8_t hash[32];
    itc_sha256(bytes, n, hash);
    assert_memory_equal(g->model_hash, hash, 32);
    assert_memory_equal(itc_onnx_hash(m), hash, 32);
    assert_string_equal(g->name, path + strlen("/tmp/"));
    itc_onnx_close(m);
    assert_int_equal(unlink(path), 0);
}

/* ---- real models ---- */

/** Models of other exporters beside the repository; returns how many, 0 without the folder. */
static int import_folder(const char *path)
{
    DIR *dir = opendir(path);
    int n = 0;
    for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir)) {
        const size_t len = strlen(e->d_name);
        if (len < 5 || strcmp(e->d_name + len - 5, ".onnx") != 0) {
            continue;
        }
        itc_ctx *ctx = itc_ctx_new();
        itc_onnx_model *m = NULL;
        itc_graph *g = NULL;
        const bool keras = strcmp(e->d_name, "keras_lstm.onnx") == 0;
        const itc_import_dim dim = {"M1", 4};
        const itc_import_options options = {.dims = &dim, .n_dims = keras ? 1 : 0};
        itc_status s = itc_onnx_read(ctx, itc_format(ctx, "%s/%s", path, e->d_name), &m);
        s = s == ITC_OK ? itc_onnx_import(ctx, m, &options, &g) : s;
        s = s == ITC_OK ? itc_verify(g) : s;
        if (strcmp(e->d_name, "silero_vad_16k.onnx") == 0) {
            assert_int_equal(s, ITC_SHAPE); /* its state has the batch second */
            assert_string_equal(itc_diag_get(ctx, 0)->id, "E0211");
        } else {
            itc_diag_print(ctx, stderr);
            assert_int_equal(s, ITC_OK);
            assert_true(g->n_outputs > 0 && g->section[ITC_FORWARD].n > 0);
        }
        itc_onnx_close(m);
        itc_ctx_free(ctx);
        n++;
    }
    if (dir) {
        (void)closedir(dir);
    }
    return n;
}

static void models_of_real_exporters(void **state)
{
    (void)state;
    itc_ctx *ctx = itc_ctx_new();
    const char *folder = getenv("ITC_MODELS");
    if (!folder) {
        folder = ITC_SOURCE_DIR "/../shared/models";
    }
    const int n = import_folder(folder) + import_folder(itc_format(ctx, "%s/thirdparty", folder));
    itc_ctx_free(ctx);
    if (n == 0) {
        skip();
    }
    print_message("%d models\n", n);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_that_are_no_models),
        TEST(file_cut_off_anywhere),
        cmocka_unit_test(nesting_is_limited),
        TEST(unknown_fields_are_skipped),
        TEST(read_from_a_file),
        cmocka_unit_test(models_of_real_exporters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
