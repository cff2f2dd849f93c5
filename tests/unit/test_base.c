/* The arena, text buffers, files, hashes and diagnostics. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ir/op.h"

static void alloc_is_zeroed_and_aligned(void **state)
{
    (void)state;
    itc_ctx *ctx = itc_ctx_new();
    const size_t sizes[] = {0, 1, 7, 16, 100, 20000, 70000, 5000000, 3};
    unsigned char *blocks[9];
    for (size_t i = 0; i < 9; i++) {
        blocks[i] = itc_alloc(ctx, sizes[i]);
        assert_int_equal((uintptr_t)blocks[i] % _Alignof(max_align_t), 0);
        for (size_t k = 0; k < sizes[i]; k++) {
            if (blocks[i][k] != 0) {
                fail_msg("byte %zu of block %zu is not zero", k, i);
            }
        }
        memset(blocks[i], (int)i + 1, sizes[i]);
    }
    /* No block lies in another. */
    for (size_t i = 0; i < 9; i++) {
        for (size_t k = 0; k < sizes[i]; k++) {
            if (blocks[i][k] != i + 1) {
                fail_msg("block %zu was overwritten", i);
            }
        }
    }
    itc_ctx_free(ctx);
    itc_ctx_free(NULL);
}

static void size_mul_refuses_overflow(void **state)
{
    (void)state;
    int64_t out = 0;
    assert_true(itc_size_mul(3, 5, &out));
    assert_int_equal(out, 15);
    assert_true(itc_size_mul(0, INT64_MAX, &out));
    assert_int_equal(out, 0);
    assert_true(itc_size_mul(INT64_MAX, 1, &out));
    assert_false(itc_size_mul((int64_t)1 << 32, (int64_t)1 << 31, &out));
    assert_false(itc_size_mul(-1, 1, &out));
    assert_false(itc_size_mul(1, -1, &out));
}

static void push_grows(void **state)
{
    (void)state;
    itc_ctx *ctx = itc_ctx_new();
    int *v = NULL;
    int n = 0;
    int cap = 0;
    for (int i = 0; i < 1000; i++) {
        ITC_PUSH(ctx, v, n, cap, i * i);
    }
    assert_int_equal(n, 1000);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(v[i], i * i);
    }
    itc_ctx_free(ctx);
}

static void strbuf_grows(void **state)
{
    (void)state;
    itc_ctx *ctx = itc_ctx_new();
    itc_strbuf b;
    itc_strbuf_init(&b, ctx);
    assert_string_equal(b.text, "");
    char long_text[600];
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    itc_strbuf_printf(&b, "%s%d", long_text, 7);
    assert_int_equal(b.len, 600);
    assert_int_equal(b.text[599], '7');
    for (int i = 0; i < 500; i++) {
        itc_strbuf_add(&b, "ab");
    }
    itc_strbuf_add_n(&b, "cd", 1);
    assert_int_equal(b.len, 1601);
    assert_int_equal(strlen(b.text), 1601);
    assert_string_equal(b.text + 1598, "abc");
    assert_string_equal(itc_format(ctx, "%s-%d", long_text + 590, 12), "xxxxxxxxx-12");
    itc_ctx_free(ctx);
}

static void sha256_gives_known_answers(void **state)
{
    (void)state;
    /* FIPS 180-4, appendix B, and the digest of nothing. */
    static const struct {
        const char *text, *hex;
    } cases[] = {{"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
                 {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
                 {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"}};
    uint8_t hash[32];
    char hex[65];
    for (size_t i = 0; i < 3; i++) {
        itc_sha256(cases[i].text, strlen(cases[i].text), hash);
        for (int k = 0; k < 32; k++) {
            (void)snprintf(hex + 2 * k, 3, "%02x", (unsigned)hash[k]);
        }
        assert_string_equal(hex, cases[i].hex);
    }
    char *million = malloc(1000000);
    assert_non_null(million);
    memset(million, 'a', 1000000);
    itc_sha256(million, 1000000, hash);
    free(million);
    assert_int_equal(hash[0], 0xcd);
    assert_int_equal(hash[31], 0xd0);
}

static void utf8_length_accepts_only_well_formed(void **state)
{
    (void)state;
    assert_int_equal(itc_utf8_length("a", 1), 1);
    assert_int_equal(itc_utf8_length("\xc3\xa9", 2), 2);
    assert_int_equal(itc_utf8_length("\xe2\x82\xac", 3), 3);
    assert_int_equal(itc_utf8_length("\xf0\x9f\x98\x80", 4), 4);
    assert_int_equal(itc_utf8_length("\xc3\xa9", 1), 0);
    assert_int_equal(itc_utf8_length("\xc0\x80", 2), 0);
    assert_int_equal(itc_utf8_length("\xe0\x80\x80", 3), 0);
    assert_int_equal(itc_utf8_length("\xed\xa0\x80", 3), 0);
    assert_int_equal(itc_utf8_length("\xf4\x90\x80\x80", 4), 0);
    assert_int_equal(itc_utf8_length("\x80", 1), 0);
    assert_int_equal(itc_utf8_length("", 0), 0);
}

static void files_are_written_whole_and_read_back(void **state)
{
    (void)state;
    itc_ctx *ctx = itc_ctx_new();
    char folder[] = "/tmp/itc-base-XXXXXX";
    assert_non_null(mkdtemp(folder));
    const char *path = itc_format(ctx, "%s/file", folder);
    char *bytes = NULL;
    size_t n = 0;

    assert_int_equal(itc_write_file(ctx, path, "one\0two", 7), ITC_OK);
    assert_int_equal(itc_write_file(ctx, path, "three", 5), ITC_OK);
    assert_int_equal(itc_read_file(ctx, path, 100, &bytes, &n), ITC_OK);
    assert_int_equal(n, 5);
    assert_string_equal(bytes, "three");
    assert_int_equal(itc_read_file(ctx, path, 5, &bytes, &n), ITC_OK);
    assert_int_equal(itc_diag_count(ctx), 0);

    assert_int_equal(itc_read_file(ctx, path, 4, &bytes, &n), ITC_RANGE);
    assert_string_equal(itc_diag_get(ctx, 0)->id, "E0002");
    assert_int_equal(itc_read_file(ctx, folder, 100, &bytes, &n), ITC_IO);
    const char *missing = itc_format(ctx, "%s/no/file", folder);
    assert_int_equal(itc_read_file(ctx, missing, 100, &bytes, &n), ITC_IO);
    assert_int_equal(itc_write_file(ctx, missing, "x", 1), ITC_WRITE);
    /* A folder cannot be replaced by a file: the temporary file goes as well. */
    const char *taken = itc_format(ctx, "%s/..", folder);
    assert_int_equal(itc_write_file(ctx, taken, "x", 1), ITC_WRITE);

    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0); /* nothing was left behind in it */
    itc_ctx_free(ctx);
}

static const char *printed_diags(const itc_ctx *ctx, char *text, size_t size)
{
    FILE *f = tmpfile();
    assert_non_null(f);
    itc_diag_print(ctx, f);
    rewind(f);
    text[fread(text, 1, size - 1, f)] = '\0';
    (void)fclose(f);
    return text;
}

static void errors_name_file_node_and_id(void **state)
{
    (void)state;
    itc_ctx *ctx = itc_ctx_new();
    itc_set_file(ctx, "lenet.onnx");
    itc_graph *g = itc_graph_new(ctx, "g");
    itc_value *x = itc_value_new(g, ITC_VALUE_INPUT, "x", itc_type_scalar(ITC_F32));
    itc_node *named = itc_node_new(g, &itc_op_Relu, NULL, 1, &x, 1);
    named->onnx_name = "conv1";
    named->onnx_op = "Conv";
    named->onnx_version = 11;
    itc_node *numbered = itc_node_new(g, &itc_op_Relu, NULL, 1, &x, 1);
    numbered->import_id = 17;
    itc_node *made = itc_node_new(g, &itc_op_Relu, NULL, 1, &x, 1);

    assert_int_equal(
        itc_error(ctx, named, ITC_SHAPE, "E0203", "input W has rank %d, expected %d", 3, 4),
        ITC_SHAPE);
    assert_int_equal(itc_error(ctx, named, ITC_TYPE, "E0204", "second of the node"), ITC_TYPE);
    assert_int_equal(itc_error(ctx, numbered, ITC_TYPE, "E0205", "b"), ITC_TYPE);
    assert_int_equal(itc_error(ctx, made, ITC_RANGE, "E0206", "c"), ITC_RANGE);
    itc_set_file(ctx, "t.itc");
    assert_int_equal(itc_error_at(ctx, 12, 5, ITC_PARSE, "E0107", "d"), ITC_PARSE);
    itc_set_file(ctx, NULL);
    assert_int_equal(itc_error(ctx, NULL, ITC_IO, "E0001", "e"), ITC_IO);

    char text[1000];
    assert_string_equal(
        printed_diags(ctx, text, sizeof text),
        "lenet.onnx: node \"conv1\" (Conv-11): error E0203: input W has rank 3, expected 4\n"
        "lenet.onnx: node #17 (output \"relu.1\"): error E0205: b\n"
        "lenet.onnx: node Relu (output \"relu.2\"): error E0206: c\n"
        "t.itc:12:5: error E0107: d\n"
        "error E0001: e\n");
    itc_ctx_free(ctx);
}

static void errors_stop_at_twenty(void **state)
{
    (void)state;
    itc_ctx *ctx = itc_ctx_new();
    for (int i = 0; i < ITC_MAX_DIAGS + 3; i++) {
        assert_int_equal(itc_error(ctx, NULL, ITC_RANGE, "E0001", "%d", i), ITC_RANGE);
    }
    assert_int_equal(itc_diag_count(ctx), ITC_MAX_DIAGS);
    assert_int_equal(itc_diag_dropped(ctx), 3);
    assert_string_equal(itc_diag_get(ctx, ITC_MAX_DIAGS - 1)->text, "19");
    assert_null(itc_diag_get(ctx, ITC_MAX_DIAGS));
    assert_null(itc_diag_get(ctx, -1));
    itc_diag_clear(ctx);
    assert_int_equal(itc_diag_count(ctx), 0);
    itc_note(ctx, "remark %d", 4);
    assert_int_equal(itc_note_count(ctx), 1);
    assert_string_equal(itc_note_get(ctx, 0), "remark 4");
    assert_null(itc_note_get(ctx, 1));
    itc_ctx_free(ctx);
}

static void exit_codes_follow_the_contract(void **state)
{
    (void)state;
    assert_int_equal(itc_exit_code(ITC_OK), 0);
    assert_int_equal(itc_exit_code(ITC_IO), 2);
    assert_int_equal(itc_exit_code(ITC_WRITE), 3);
    assert_int_equal(itc_exit_code(ITC_PARSE), 2);
    assert_int_equal(itc_exit_code(ITC_UNSUPPORTED), 2);
    assert_int_equal(itc_exit_code(ITC_SHAPE), 2);
    assert_int_equal(itc_exit_code(ITC_TYPE), 2);
    assert_int_equal(itc_exit_code(ITC_RANGE), 2);
    assert_int_equal(itc_exit_code(ITC_INTERNAL), 4);
}

/* ---- the list of ids against the sources ---- */

static const char *const listed_ids[] = {
#define DIAG(id, meaning) #id,
#include "ir/diag.def"
#undef DIAG
};

static void ids_are_listed_once(void **state)
{
    (void)state;
    const size_t n = sizeof listed_ids / sizeof listed_ids[0];
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(strlen(listed_ids[i]), 5);
        assert_non_null(itc_diag_meaning(listed_ids[i]));
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(listed_ids[i], listed_ids[k]);
        }
    }
    assert_null(itc_diag_meaning("E9999"));
}

/** Counts the ids in quotes of one source; fails at one that is not listed. */
static int check_ids_of(itc_ctx *ctx, const char *path)
{
    char *text = NULL;
    size_t n = 0;
    int found = 0;
    assert_int_equal(itc_read_file(ctx, path, (size_t)1 << 24, &text, &n), ITC_OK);
    for (const char *p = strstr(text, "\"E0"); p; p = strstr(p + 1, "\"E0")) {
        if (strspn(p + 2, "0123456789") == 4 && p[6] == '"') {
            const char *id = itc_strndup(ctx, p + 1, 5);
            if (!itc_diag_meaning(id)) {
                fail_msg("%s uses %s, which ir/diag.def does not list", path, id);
            }
            found++;
        }
    }
    return found;
}

static void ids_in_the_sources_are_listed(void **state)
{
    (void)state;
    static const char *const folders[] = {"frontend", "ir",      "ir/ops",      "passes",
                                          "codegen",  "runtime", "runtime/host"};
    itc_ctx *ctx = itc_ctx_new();
    int found = 0;
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        const char *folder = itc_format(ctx, "%s/%s", ITC_SOURCE_DIR, folders[i]);
        DIR *d = opendir(folder);
        assert_non_null(d);
        for (const struct dirent *e = readdir(d); e; e = readdir(d)) {
            const size_t n = strlen(e->d_name);
            if (n > 2 && strcmp(e->d_name + n - 2, ".c") == 0) {
                found += check_ids_of(ctx, itc_format(ctx, "%s/%s", folder, e->d_name));
            }
        }
        (void)closedir(d);
    }
    assert_true(found > 50); /* the sources were found at all */
    itc_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alloc_is_zeroed_and_aligned),
        cmocka_unit_test(size_mul_refuses_overflow),
        cmocka_unit_test(push_grows),
        cmocka_unit_test(strbuf_grows),
        cmocka_unit_test(sha256_gives_known_answers),
        cmocka_unit_test(utf8_length_accepts_only_well_formed),
        cmocka_unit_test(files_are_written_whole_and_read_back),
        cmocka_unit_test(errors_name_file_node_and_id),
        cmocka_unit_test(errors_stop_at_twenty),
        cmocka_unit_test(exit_codes_follow_the_contract),
        cmocka_unit_test(ids_are_listed_once),
        cmocka_unit_test(ids_in_the_sources_are_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
