#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/onnx_tensor.h"
#include "tests/support/onnx_build.h"

/* Each test builds one tensor and decodes it; `fix` owns both. */
typedef struct fixture {
    onnx_build *b;
    itc_ctx *ctx;
    itc_onnx_source source;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    f->b = onnx_build_new(13);
    f->ctx = itc_ctx_new();
    f->source = (itc_onnx_source){f->ctx, NULL, 1 << 20};
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

static itc_tensor *decoded(fixture *f, const Onnx__TensorProto *t)
{
    itc_tensor *out = NULL;
    assert_int_equal(itc_onnx_tensor_decode(&f->source, "t", t, &out), ITC_OK);
    assert_non_null(out);
    return out;
}

static void refused(fixture *f, const Onnx__TensorProto *t, const char *id)
{
    itc_tensor *out = NULL;
    itc_diag_clear(f->ctx);
    assert_int_not_equal(itc_onnx_tensor_decode(&f->source, "t", t, &out), ITC_OK);
    assert_int_equal(itc_diag_count(f->ctx), 1);
    assert_string_equal(itc_diag_get(f->ctx, 0)->id, id);
    assert_non_null(strstr(itc_diag_get(f->ctx, 0)->text, "\"t\""));
}

static Onnx__TensorProto *with_int32(fixture *f, int32_t type, const char *shape, size_t n,
                                     const int32_t *v)
{
    Onnx__TensorProto *t = onnx_build_tensor(f->b, "t", type, shape);
    t->n_int32_data = n;
    t->int32_data = itc_alloc_array(f->b->arena, n, sizeof *v);
    memcpy(t->int32_data, v, n * sizeof *v);
    return t;
}

/* ---- values: bit patterns from IEEE 754 ---- */

static void decode_float(void **state)
{
    fixture *f = *state;
    const float v[] = {1.5f, -0.0f, 3e38f, -1e-45f};
    const itc_tensor *t = decoded(f, onnx_build_floats(f->b, "t", "2,2", v));
    assert_int_equal(t->dtype, ITC_F32);
    assert_int_equal(t->rank, 2);
    assert_int_equal(t->dim[1], 2);
    assert_memory_equal(t->data, v, sizeof v);
    Onnx__TensorProto *raw = onnx_build_tensor(f->b, "t", ITC_ONNX_FLOAT, "2");
    onnx_build_raw(f->b, raw, "\x00\x00\xc0\x3f\x00\x00\x00\xc1", 8);
    t = decoded(f, raw);
    assert_true(itc_tensor_get(t, 0) == 1.5 && itc_tensor_get(t, 1) == -8.0);
}

static void decode_double(void **state)
{
    fixture *f = *state;
    double v[] = {0.1, 1e-60, -1.5};
    Onnx__TensorProto *t = onnx_build_tensor(f->b, "t", ITC_ONNX_DOUBLE, "3");
    t->n_double_data = 3;
    t->double_data = v;
    const itc_tensor *out = decoded(f, t);
    assert_int_equal(out->dtype, ITC_F32);
    assert_true(itc_tensor_get(out, 0) == (double)0.1f);
    assert_true(itc_tensor_get(out, 1) == 0.0 && itc_tensor_get(out, 2) == -1.5);
    v[1] = 1e39; /* no float: must not become infinity in silence */
    refused(f, t, "E0214");
    t->n_double_data = 0;
    onnx_build_raw(f->b, t, "\0\0\0\0\0\0\xf0\x3f\0\0\0\0\0\0\0\xc0\0\0\0\0\0\0\xe0\x3f", 24);
    out = decoded(f, t);
    assert_true(itc_tensor_get(out, 0) == 1.0 && itc_tensor_get(out, 1) == -2.0 &&
                itc_tensor_get(out, 2) == 0.5);
}

static void decode_float16(void **state)
{
    fixture *f = *state;
    const int32_t bits[] = {0x3c00, 0xc000, 0x0001, 0x7bff, 0x03ff, 0x8000, 0x7c00, 0x3555};
    const double expected[] = {1.0,  -2.0,     0x1p-24,       65504.0, 1023 * 0x1p-24,
                               -0.0, INFINITY, 0.333251953125};
    const itc_tensor *t = decoded(f, with_int32(f, ITC_ONNX_FLOAT16, "8", 8, bits));
    for (int i = 0; i < 8; i++) {
        assert_true(itc_tensor_get(t, i) == expected[i]);
    }
    assert_true(signbit(itc_tensor_get(t, 5)));
    Onnx__TensorProto *raw = onnx_build_tensor(f->b, "t", ITC_ONNX_FLOAT16, "2");
    onnx_build_raw(f->b, raw, "\x00\x7e\x00\xbc", 4);
    t = decoded(f, raw);
    assert_true(isnan(itc_tensor_get(t, 0)) && itc_tensor_get(t, 1) == -1.0);
}

static void decode_bfloat16(void **state)
{
    fixture *f = *state;
    const int32_t bits[] = {0x3f80, 0xc049, 0x0080};
    const itc_tensor *t = decoded(f, with_int32(f, ITC_ONNX_BFLOAT16, "3", 3, bits));
    assert_true(itc_tensor_get(t, 0) == 1.0 && itc_tensor_get(t, 1) == -3.140625 &&
                itc_tensor_get(t, 2) == 0x1p-126);
}

static void decode_narrow_integers(void **state)
{
    fixture *f = *state;
    static const struct {
        int32_t type;
        int32_t low, high; /* the ends of the type */
    } c[] = {{ITC_ONNX_INT8, -128, 127},
             {ITC_ONNX_UINT8, 0, 255},
             {ITC_ONNX_INT16, -32768, 32767},
             {ITC_ONNX_UINT16, 0, 65535},
             {ITC_ONNX_INT32, INT32_MIN, INT32_MAX}};
    for (size_t i = 0; i < sizeof c / sizeof c[0]; i++) {
        const int32_t v[] = {c[i].low, c[i].high};
        const itc_tensor *t = decoded(f, with_int32(f, c[i].type, "2", 2, v));
        assert_int_equal(t->dtype, ITC_I64);
        assert_int_equal(itc_tensor_get_int(t, 0), c[i].low);
        assert_int_equal(itc_tensor_get_int(t, 1), c[i].high);
        if (c[i].type != ITC_ONNX_INT32) {
            const int32_t below[] = {c[i].low - 1};
            const int32_t above[] = {c[i].high + 1};
            refused(f, with_int32(f, c[i].type, "1", 1, below), "E0214");
            refused(f, with_int32(f, c[i].type, "1", 1, above), "E0214");
        }
    }
    Onnx__TensorProto *raw = onnx_build_tensor(f->b, "t", ITC_ONNX_INT16, "3");
    onnx_build_raw(f->b, raw, "\xff\xff\x00\x80\x34\x12", 6);
    const itc_tensor *t = decoded(f, raw);
    assert_int_equal(itc_tensor_get_int(t, 0), -1);
    assert_int_equal(itc_tensor_get_int(t, 1), -32768);
    assert_int_equal(itc_tensor_get_int(t, 2), 0x1234);
}

static void decode_wide_integers(void **state)
{
    fixture *f = *state;
    const int64_t v[] = {INT64_MIN, -1, INT64_MAX};
    const itc_tensor *t = decoded(f, onnx_build_ints(f->b, "t", "3", v));
    assert_memory_equal(t->data, v, sizeof v);
    uint64_t u[] = {4294967295u};
    Onnx__TensorProto *p = onnx_build_tensor(f->b, "t", ITC_ONNX_UINT32, "1");
    p->n_uint64_data = 1;
    p->uint64_data = u;
    assert_int_equal(itc_tensor_get_int(decoded(f, p), 0), 4294967295);
    u[0]++;
    refused(f, p, "E0214");
    p->data_type = ITC_ONNX_UINT64;
    u[0] = INT64_MAX;
    assert_int_equal(itc_tensor_get_int(decoded(f, p), 0), INT64_MAX);
    u[0]++;
    refused(f, p, "E0214");
    p->n_uint64_data = 0;
    onnx_build_raw(f->b, p, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
    refused(f, p, "E0214");
}

static void decode_bool(void **state)
{
    fixture *f = *state;
    const int32_t v[] = {0, 1};
    const itc_tensor *t = decoded(f, with_int32(f, ITC_ONNX_BOOL, "2", 2, v));
    assert_int_equal(t->dtype, ITC_BOOL);
    assert_int_equal(itc_tensor_get_int(t, 0), 0);
    assert_int_equal(itc_tensor_get_int(t, 1), 1);
    Onnx__TensorProto *raw = onnx_build_tensor(f->b, "t", ITC_ONNX_BOOL, "");
    onnx_build_raw(f->b, raw, "\x01", 1);
    t = decoded(f, raw);
    assert_int_equal(t->rank, 0);
    assert_int_equal(itc_tensor_get_int(t, 0), 1);
}

static void decode_empty_tensor(void **state)
{
    fixture *f = *state;
    const itc_tensor *t = decoded(f, onnx_build_tensor(f->b, "t", ITC_ONNX_FLOAT, "0"));
    assert_int_equal(t->count, 0);
}

/* ---- refusals ---- */

static void decode_unsupported_types(void **state)
{
    fixture *f = *state;
    const int32_t types[] = {0, ITC_ONNX_STRING, ITC_ONNX_COMPLEX64, 17, 22, 99, -1};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        refused(f, onnx_build_tensor(f->b, "t", types[i], "1"), "E0212");
    }
    assert_non_null(strstr(itc_onnx_type_name(f->ctx, 17), "float8e4m3fn"));
}

static void decode_bad_dims(void **state)
{
    fixture *f = *state;
    refused(f, onnx_build_tensor(f->b, "t", ITC_ONNX_FLOAT, "2,-1"), "E0213");
    refused(f, onnx_build_tensor(f->b, "t", ITC_ONNX_FLOAT, "1,1,1,1,1,1,1,1,1"), "E0213");
    refused(f, onnx_build_tensor(f->b, "t", ITC_ONNX_FLOAT, "4294967296,4294967296"), "E0213");
    /* int8 takes 8 bytes an element here: 2^17 elements fill the budget of 2^20 bytes */
    refused(f, onnx_build_tensor(f->b, "t", ITC_ONNX_INT8, "131073"), "E0213");
}

static void decode_budget_is_for_all_tensors(void **state)
{
    fixture *f = *state;
    const float v[] = {1.0f, 2.0f};
    f->source.budget = 8;
    const Onnx__TensorProto *t = onnx_build_floats(f->b, "t", "2", v);
    (void)decoded(f, t);
    assert_int_equal(f->source.budget, 0);
    refused(f, t, "E0213");
}

static void decode_contents_that_do_not_fit(void **state)
{
    fixture *f = *state;
    const float v[] = {1.0f, 2.0f};
    Onnx__TensorProto *t = onnx_build_floats(f->b, "t", "2", v);
    t->n_float_data = 1;
    refused(f, t, "E0214");
    t->n_float_data = 0; /* no contents at all */
    refused(f, t, "E0214");
    onnx_build_raw(f->b, t, "1234567", 7);
    refused(f, t, "E0214");
    t->n_float_data = 2; /* two encodings */
    refused(f, t, "E0214");
    t = onnx_build_floats(f->b, "t", "2", v);
    t->data_type = ITC_ONNX_DOUBLE; /* the wrong field */
    refused(f, t, "E0214");
    t = onnx_build_floats(f->b, "t", "2", v);
    Onnx__TensorProto__Segment segment = ONNX__TENSOR_PROTO__SEGMENT__INIT;
    t->segment = &segment;
    refused(f, t, "E0214");
}

/* ---- sparse tensors ---- */

static void sparse_refused(fixture *f, const Onnx__SparseTensorProto *s, const char *id)
{
    itc_tensor *out = NULL;
    itc_diag_clear(f->ctx);
    assert_int_not_equal(itc_onnx_sparse_decode(&f->source, "t", s, &out), ITC_OK);
    assert_string_equal(itc_diag_get(f->ctx, 0)->id, id);
}

static void sparse_becomes_dense(void **state)
{
    fixture *f = *state;
    const float v[] = {5.0f, -7.0f};
    const int64_t at[] = {1, 5};
    const float expected[] = {0, 5.0f, 0, 0, 0, -7.0f};
    Onnx__SparseTensorProto *s = onnx_build_sparse(f->b, "t", "2,3", 2, v, at);
    itc_tensor *out = NULL;
    assert_int_equal(itc_onnx_sparse_decode(&f->source, "t", s, &out), ITC_OK);
    assert_int_equal(out->rank, 2);
    assert_memory_equal(out->data, expected, sizeof expected);
    const int64_t table[] = {0, 1, 1, 2}; /* rows and columns of the same positions */
    s->indices = onnx_build_ints(f->b, "i", "2,2", table);
    assert_int_equal(itc_onnx_sparse_decode(&f->source, "t", s, &out), ITC_OK);
    assert_memory_equal(out->data, expected, sizeof expected);
}

static void sparse_bad_indices(void **state)
{
    fixture *f = *state;
    const float v[] = {5.0f, -7.0f};
    static const int64_t bad[][2] = {{1, 6}, {-1, 2}, {3, 3}, {4, 1}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        sparse_refused(f, onnx_build_sparse(f->b, "t", "2,3", 2, v, bad[i]), "E0216");
    }
    const int64_t good[] = {1, 5};
    Onnx__SparseTensorProto *s = onnx_build_sparse(f->b, "t", "2,3", 2, v, good);
    const int64_t column[] = {0, 1, 1, 3};
    s->indices = onnx_build_ints(f->b, "i", "2,2", column);
    sparse_refused(f, s, "E0216");
    s->indices = onnx_build_ints(f->b, "i", "4", column);
    sparse_refused(f, s, "E0216");
    s->indices = NULL;
    sparse_refused(f, s, "E0216");
    sparse_refused(f, onnx_build_sparse(f->b, "t", "4096,4096", 2, v, good), "E0213");
}

/* ---- external data ---- */

static void write_text(const char *path, const char *bytes, size_t n)
{
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, n, out), n);
    assert_int_equal(fclose(out), 0);
}

/** A folder with a model folder inside, a data file in each, and a link out of the inner one. */
static char *make_folders(fixture *f)
{
    char *top = itc_strdup(f->ctx, "/tmp/itc_external_XXXXXX");
    assert_non_null(mkdtemp(top));
    f->source.dir = itc_format(f->ctx, "%s/model/", top);
    assert_int_equal(system(itc_format(f->ctx, "mkdir -p %s/model/sub", top)), 0);
    const char bytes[] = "????\x00\x00\x80\x3f\x00\x00\x00\xc0";
    write_text(itc_format(f->ctx, "%s/model/sub/w.bin", top), bytes, 12);
    write_text(itc_format(f->ctx, "%s/secret.bin", top), bytes, 12);
    assert_int_equal(symlink("../secret.bin", itc_format(f->ctx, "%s/model/link", top)), 0);
    assert_int_equal(symlink("sub/w.bin", itc_format(f->ctx, "%s/model/inner", top)), 0);
    return top;
}

static Onnx__TensorProto *external(fixture *f, const char *location, const char *offset,
                                   const char *length)
{
    Onnx__TensorProto *t = onnx_build_tensor(f->b, "t", ITC_ONNX_FLOAT, "2");
    if (location) {
        onnx_build_external(f->b, t, "location", location);
    }
    onnx_build_external(f->b, t, "offset", offset);
    if (length) {
        onnx_build_external(f->b, t, "length", length);
    }
    return t;
}

static void external_inside_the_folder(void **state)
{
    fixture *f = *state;
    const char *top = make_folders(f);
    const char *const good[] = {"sub/w.bin", "./sub//w.bin", "inner"};
    for (size_t i = 0; i < 3; i++) {
        const itc_tensor *t = decoded(f, external(f, good[i], "4", i == 0 ? "8" : NULL));
        assert_true(itc_tensor_get(t, 0) == 1.0 && itc_tensor_get(t, 1) == -2.0);
    }
    Onnx__TensorProto *t = external(f, "inner", "4", NULL);
    assert_int_equal(itc_onnx_tensor_inline(&f->source, f->ctx, "t", t), ITC_OK);
    assert_int_equal(t->n_external_data, 0);
    assert_int_equal(t->raw_data.len, 8);
    assert_memory_equal(t->raw_data.data, "\x00\x00\x80\x3f\x00\x00\x00\xc0", 8);
    assert_int_equal(system(itc_format(f->ctx, "rm -r %s", top)), 0);
}

static void external_refusals(void **state)
{
    fixture *f = *state;
    const char *top = make_folders(f);
    const char *absolute = itc_format(f->ctx, "%s/model/sub/w.bin", top);
    const struct {
        const char *location, *offset, *length;
    } bad[] = {{"../secret.bin", "4", NULL},
               {"sub/../../secret.bin", "4", NULL},
               {"sub/..", "4", NULL},
               {absolute, "4", NULL},
               {"link", "4", NULL},
               {"sub", "4", NULL},
               {"missing.bin", "4", NULL},
               {"", "4", NULL},
               {NULL, "4", NULL},
               {"sub/w.bin", "5", NULL},
               {"sub/w.bin", "13", NULL},
               {"sub/w.bin", "-4", NULL},
               {"sub/w.bin", "9223372036854775807", NULL},
               {"sub/w.bin", "99999999999999999999", NULL},
               {"sub/w.bin", "4", "4"},
               {"sub/w.bin", "4", "8x"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        refused(f, external(f, bad[i].location, bad[i].offset, bad[i].length), "E0215");
    }
    f->source.dir = NULL;
    refused(f, external(f, "sub/w.bin", "4", NULL), "E0215");
    assert_int_equal(system(itc_format(f->ctx, "rm -r %s", top)), 0);
}

/* ---- export ---- */

static void replace_keeps_the_type(void **state)
{
    fixture *f = *state;
    static const struct {
        int32_t type;
        float v;
        const char *bytes; /* little-endian, from IEEE 754 */
        size_t n;
    } c[] = {{ITC_ONNX_FLOAT, 1.5f, "\x00\x00\xc0\x3f", 4},
             {ITC_ONNX_DOUBLE, -2.0f, "\0\0\0\0\0\0\x00\xc0", 8},
             {ITC_ONNX_FLOAT16, 65504.0f, "\xff\x7b", 2},
             {ITC_ONNX_FLOAT16, 0x1p-24f, "\x01\x00", 2},
             {ITC_ONNX_FLOAT16, 0x1p-25f, "\x00\x00", 2},          /* a tie: to even */
             {ITC_ONNX_FLOAT16, 0x1.8p-24f, "\x02\x00", 2},        /* a tie: to even */
             {ITC_ONNX_FLOAT16, 1.0f + 0x1p-11f, "\x00\x3c", 2},   /* a tie: to even */
             {ITC_ONNX_FLOAT16, 1.0f + 0x1.8p-10f, "\x02\x3c", 2}, /* a tie: to even */
             {ITC_ONNX_FLOAT16, -0x1.ff8p-15f, "\xff\x83", 2},
             {ITC_ONNX_FLOAT16, -0x1.ffcp-15f, "\x00\x84", 2}, /* a carry: normal again */
             {ITC_ONNX_FLOAT16, INFINITY, "\x00\x7c", 2},
             {ITC_ONNX_BFLOAT16, -3.140625f, "\x49\xc0", 2},
             {ITC_ONNX_BFLOAT16, 1.0f + 0x1p-8f, "\x80\x3f", 2},
             {ITC_ONNX_BFLOAT16, 1.0f + 0x1.8p-7f, "\x82\x3f", 2}};
    for (size_t i = 0; i < sizeof c / sizeof c[0]; i++) {
        Onnx__TensorProto *t = onnx_build_tensor(f->b, "t", c[i].type, "1");
        itc_tensor *data = itc_tensor_new(f->ctx, ITC_F32, 1, (const int64_t[]){1});
        *(float *)data->data = c[i].v;
        assert_int_equal(itc_onnx_tensor_replace(f->ctx, f->ctx, "t", t, data), ITC_OK);
        assert_int_equal(t->data_type, c[i].type);
        assert_int_equal(t->raw_data.len, c[i].n);
        assert_memory_equal(t->raw_data.data, c[i].bytes, c[i].n);
    }
}

static void replace_refusals(void **state)
{
    fixture *f = *state;
    static const struct {
        int32_t type;
        const char *shape;
        float v;
    } c[] = {{ITC_ONNX_INT64, "1", 1.0f},
             {ITC_ONNX_FLOAT, "2", 1.0f},
             {ITC_ONNX_FLOAT16, "1", 65520.0f},
             {ITC_ONNX_FLOAT16, "1", 1e6f},
             {ITC_ONNX_BFLOAT16, "1", 3.4028235e38f}};
    for (size_t i = 0; i < sizeof c / sizeof c[0]; i++) {
        itc_tensor *data = itc_tensor_new(f->ctx, ITC_F32, 1, (const int64_t[]){1});
        *(float *)data->data = c[i].v;
        itc_diag_clear(f->ctx);
        Onnx__TensorProto *t = onnx_build_tensor(f->b, "t", c[i].type, c[i].shape);
        assert_int_not_equal(itc_onnx_tensor_replace(f->ctx, f->ctx, "t", t, data), ITC_OK);
        assert_string_equal(itc_diag_get(f->ctx, 0)->id, "E0218");
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(decode_float),
        TEST(decode_double),
        TEST(decode_float16),
        TEST(decode_bfloat16),
        TEST(decode_narrow_integers),
        TEST(decode_wide_integers),
        TEST(decode_bool),
        TEST(decode_empty_tensor),
        TEST(decode_unsupported_types),
        TEST(decode_bad_dims),
        TEST(decode_budget_is_for_all_tensors),
        TEST(decode_contents_that_do_not_fit),
        TEST(sparse_becomes_dense),
        TEST(sparse_bad_indices),
        TEST(external_inside_the_folder),
        TEST(external_refusals),
        TEST(replace_keeps_the_type),
        TEST(replace_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
