#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/host/csv.h"
#include "runtime/host/data.h"
#include "runtime/host/formats.h"

/* A model of one input of `elements` and one target; ids 0..classes-1, or a regression. */
typedef struct ports {
    itr_port_info input, target;
    itr_model model;
} ports;

static const itr_model *make_model(ports *p, int64_t elements, int64_t targets, int64_t classes)
{
    memset(p, 0, sizeof *p);
    p->input = (itr_port_info){.name = "x", .rank = 1, .dims = {elements}, .elements = elements};
    p->target = (itr_port_info){.name = "y",
                                .is_ids = classes > 0,
                                .classes = classes,
                                .rank = 1,
                                .dims = {targets},
                                .elements = targets};
    p->model = (itr_model){.batch = 2,
                           .inputs = &p->input,
                           .targets = &p->target,
                           .input_count = 1,
                           .target_count = 1};
    return &p->model;
}

typedef struct blob {
    uint8_t bytes[8192];
    size_t size;
} blob;

static void put(blob *b, const void *bytes, size_t n)
{
    assert_true(n <= sizeof b->bytes - b->size);
    memcpy(b->bytes + b->size, bytes, n);
    b->size += n;
}

static void put_le(blob *b, uint64_t x, int n)
{
    for (int i = 0; i < n; i++) {
        const uint8_t c = (uint8_t)(x >> (8 * i));
        put(b, &c, 1);
    }
}

static void put_be(blob *b, uint64_t x, int n)
{
    for (int i = n - 1; i >= 0; i--) {
        const uint8_t c = (uint8_t)(x >> (8 * i));
        put(b, &c, 1);
    }
}

static void put_npy(blob *b, int version, const char *header)
{
    put(b, "\x93NUMPY", 6);
    put_le(b, (uint64_t)version, 1);
    put_le(b, 0, 1);
    put_le(b, strlen(header), version == 1 ? 2 : 4);
    put(b, header, strlen(header));
}

/* Builds a data set from files in memory, each in a heap block of its exact size. */
static int build(itr_dataset *d, const char *text, const itr_model *model, const blob *files,
                 int count, itr_message *m)
{
    itr_data_spec spec;
    memset(m, 0, sizeof *m);
    memset(d, 0, sizeof *d);
    int code = itr_data_spec_parse(text, &spec, m);
    for (int i = 0; code == 0 && i < count; i++) {
        d->files[i].name = strdup(i ? "b.bin" : "a.bin");
        d->files[i].bytes = malloc(files[i].size ? files[i].size : 1);
        memcpy(d->files[i].bytes, files[i].bytes, files[i].size);
        d->files[i].size = files[i].size;
        d->file_count++;
    }
    code = code ? code : itr_dataset_build(d, &spec, model, m);
    itr_data_spec_free(&spec);
    return code;
}

/* Expects a refusal with this id that names the file. */
static void refuse(const char *text, const itr_model *model, const blob *files, int count,
                   const char *id)
{
    itr_dataset d;
    itr_message m;
    const int code = build(&d, text, model, files, count, &m);
    itr_dataset_free(&d);
    assert_int_equal(code, 2);
    assert_string_equal(m.id, id);
    assert_true(strstr(m.text, "a.bin") || strstr(m.text, "b.bin") || strstr(m.text, "data"));
}

static void check_value(const itr_column *c, int64_t row, int64_t element, double want)
{
    const double got = ldexp((double)itr_column_get(c, row, element), c->exponent);
    if (fabs(got - want) > 1e-12 * fabs(want)) {
        print_error("row %d element %d: got %.17g, expected %.17g\n", (int)row, (int)element, got,
                    want);
        fail();
    }
}

static void idx_reads_images_and_labels(void **state)
{
    (void)state;
    ports p;
    blob f[2] = {{.size = 0}, {.size = 0}};
    put_be(&f[0], 0x00000803, 4);
    put_be(&f[0], 3, 4);
    put_be(&f[0], 2, 4);
    put_be(&f[0], 2, 4);
    put(&f[0], "\0\1\2\3\4\5\6\7\x08\x09\x0a\xff", 12);
    put_be(&f[1], 0x00000801, 4);
    put_be(&f[1], 3, 4);
    put(&f[1], "\1\0\2", 3);
    const itr_model *model = make_model(&p, 4, 1, 3);
    itr_dataset d;
    itr_message m;
    assert_int_equal(build(&d, "idx:a,b", model, f, 2, &m), 0);
    assert_int_equal(d.rows, 3);
    assert_int_equal(d.columns[0].dtype, ITR_U8);
    assert_ptr_equal(d.columns[0].owned, NULL);
    check_value(&d.columns[0], 2, 3, 255);
    check_value(&d.columns[1], 2, 0, 2);
    itr_dataset_free(&d);
    assert_int_equal(build(&d, "idx:a,b,limit=2", model, f, 2, &m), 0);
    assert_int_equal(d.rows, 2);
    itr_dataset_free(&d);

    for (size_t n = 0; n < f[0].size; n++) { /* every truncation of either file */
        blob g[2] = {f[0], f[1]};
        g[0].size = n;
        refuse("idx:a,b", model, g, 2, "E0512");
    }
    for (size_t n = 0; n < f[1].size; n++) {
        blob g[2] = {f[0], f[1]};
        g[1].size = n;
        refuse("idx:a,b", model, g, 2, "E0512");
    }
    blob g[2] = {f[0], f[1]};
    g[0].size++; /* a byte too many */
    refuse("idx:a,b", model, g, 2, "E0512");
    refuse("idx:a,b", make_model(&p, 5, 1, 3), f, 2, "E0514");
    refuse("idx:a,b", make_model(&p, 4, 1, 2), f, 2, "E0515");
    memcpy(g[1].bytes + 4, "\0\0\0\2", 4); /* two labels for three images */
    g[0] = f[0];
    g[1].size--;
    refuse("idx:a,b", make_model(&p, 4, 1, 3), g, 2, "E0514");
    g[0].bytes[2] = 0x0a;
    refuse("idx:a,b", model, g, 2, "E0513");
}

static void idx_reads_every_type(void **state)
{
    (void)state;
    static const struct {
        uint8_t code;
        int size;
        uint64_t bits[2];
        double want[2];
    } cases[] = {{0x08, 1, {0, 200}, {0, 200}},
                 {0x09, 1, {0x80, 5}, {-128, 5}},
                 {0x0b, 2, {0x8000, 1}, {-32768, 1}},
                 {0x0c, 4, {0x80000000, 7}, {-2147483648.0, 8}}, /* one unit is 2^2 then */
                 {0x0d, 4, {0x3fc00000, 0xc0000000}, {1.5, -2}},
                 {0x0e, 8, {0x3ff8000000000000, 0x4000000000000000}, {1.5, 2}}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ports p;
        blob f[2] = {{.size = 0}, {.size = 0}};
        put_be(&f[0], (uint64_t)cases[i].code << 8 | 1, 4);
        put_be(&f[0], 2, 4);
        put_be(&f[0], cases[i].bits[0], cases[i].size);
        put_be(&f[0], cases[i].bits[1], cases[i].size);
        put(&f[1], f[0].bytes, f[0].size);
        itr_dataset d;
        itr_message m;
        assert_int_equal(build(&d, "idx:a,b", make_model(&p, 1, 1, 0), f, 2, &m), 0);
        check_value(&d.columns[0], 0, 0, cases[i].want[0]);
        check_value(&d.columns[1], 1, 0, cases[i].want[1]);
        itr_dataset_free(&d);
    }
}

/* The most negative mantissa of a width is never stored: such data get a wider type. */
static void most_negative_values_are_widened(void **state)
{
    (void)state;
    ports p;
    blob f[2] = {{.size = 0}, {.size = 0}};
    put_npy(&f[0], 1, "{'descr': '|i1', 'fortran_order': False, 'shape': (2,), }\n");
    put(&f[0], "\x80\x7f", 2);
    put_npy(&f[1], 1, "{'descr': '<i2', 'fortran_order': False, 'shape': (2,), }\n");
    put(&f[1], "\0\x80\xff\x7f", 4);
    itr_dataset d;
    itr_message m;
    assert_int_equal(build(&d, "npy:a,b", make_model(&p, 1, 1, 0), f, 2, &m), 0);
    assert_int_equal(d.columns[0].dtype, ITR_I16);
    assert_int_equal(d.columns[1].dtype, ITR_I32);
    check_value(&d.columns[0], 0, 0, -128);
    check_value(&d.columns[1], 0, 0, -32768);
    assert_int_equal(d.columns[0].exponent, 0);
    itr_dataset_free(&d);
}

static void npy_reads_types_and_versions(void **state)
{
    (void)state;
    static const struct {
        const char *descr;
        int size;
        uint64_t bits[2];
        double want[2];
    } cases[] = {{"|u1", 1, {3, 255}, {3, 255}},
                 {"|b1", 1, {0, 1}, {0, 1}},
                 {"|i1", 1, {0x81, 5}, {-127, 5}},
                 {"<u2", 2, {65535, 1}, {65535, 1}},
                 {"<i2", 2, {0xffff, 300}, {-1, 300}},
                 {"<u4", 4, {70000, 1}, {70000, 1}},
                 {"<i4", 4, {0xffffffff, 1 << 30}, {-1, 1 << 30}},
                 {"<i8", 8, {UINT64_MAX, 123456}, {-1, 123456}},
                 {"<i8", 8, {(uint64_t)1 << 40, (uint64_t)3 << 39}, {0x1p40, 0x3p39}},
                 {"<f4", 4, {0x3e800000, 0xc1200000}, {0.25, -10}},
                 {"<f8", 8, {0x3fd0000000000000, 0xc024000000000000}, {0.25, -10}},
                 {">i2", 2, {0x0100, 0x0200}, {1, 2}}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int version = 1; version <= 3; version++) {
            ports p;
            char header[128];
            blob f[2] = {{.size = 0}, {.size = 0}};
            snprintf(header, sizeof header,
                     version == 2
                         ? "{\"shape\":(2L,1),\"descr\":\"%s\",\"fortran_order\":False}"
                         : "{'descr': '%s', 'fortran_order': False, 'shape': (2, 1), }  \n",
                     cases[i].descr);
            put_npy(&f[0], version, header);
            put_le(&f[0], cases[i].bits[0], cases[i].size);
            put_le(&f[0], cases[i].bits[1], cases[i].size);
            put(&f[1], f[0].bytes, f[0].size);
            itr_dataset d;
            itr_message m;
            assert_int_equal(build(&d, "npy:a,b", make_model(&p, 1, 1, 0), f, 2, &m), 0);
            check_value(&d.columns[0], 0, 0, cases[i].want[0]);
            check_value(&d.columns[0], 1, 0, cases[i].want[1]);
            itr_dataset_free(&d);
        }
    }
}

/* Random floats of mixed sizes: at most half a unit off, at 30 bits of the largest. */
static void floats_keep_30_bits(void **state)
{
    (void)state;
    ports p;
    blob f[2] = {{.size = 0}, {.size = 0}};
    float x[64];
    put_npy(&f[0], 1, "{'descr': '<f4', 'fortran_order': False, 'shape': (8, 8), }\n");
    put_npy(&f[1], 1, "{'descr': '<f4', 'fortran_order': False, 'shape': (8, 1), }\n");
    float largest = 0;
    for (int i = 0; i < 64; i++) {
        uint32_t bits;
        x[i] = ldexpf((float)((i * 7919) % 1000 - 500) / 999.0f, i % 40 - 20);
        largest = fabsf(x[i]) > largest ? fabsf(x[i]) : largest;
        memcpy(&bits, &x[i], 4);
        put_le(&f[0], bits, 4);
    }
    put(&f[1], x, 32); /* a little-endian host, as the tests assume here */
    itr_dataset d;
    itr_message m;
    assert_int_equal(build(&d, "npy:a,b", make_model(&p, 8, 1, 0), f, 2, &m), 0);
    const double unit = ldexp(1, d.columns[0].exponent);
    assert_true(unit <= largest * 0x1p-29);
    for (int i = 0; i < 64; i++) {
        const double got = (double)itr_column_get(&d.columns[0], i / 8, i % 8) * unit;
        assert_true(fabs(got - (double)x[i]) <= unit / 2);
    }
    itr_dataset_free(&d);
    /* NaN and infinities are named, not trained on */
    static const uint32_t bad[] = {0x7fc00000, 0x7f800000, 0xff800000};
    for (int i = 0; i < 3; i++) {
        blob g[2] = {f[0], f[1]};
        g[0].size -= 4;
        put_le(&g[0], bad[i], 4);
        refuse("npy:a,b", make_model(&p, 8, 1, 0), g, 2, "E0516");
    }
    refuse("npy:a,b", make_model(&p, 8, 1, 5), f, 2, "E0515"); /* fractions as labels */
}

static void npy_refuses_what_it_cannot_read(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        const char *id;
    } bad[] = {
        {"{'descr': '<f2', 'fortran_order': False, 'shape': (2,), }", "E0513"},
        {"{'descr': '<c8', 'fortran_order': False, 'shape': (2,), }", "E0513"},
        {"{'descr': '<U1', 'fortran_order': False, 'shape': (2,), }", "E0513"},
        {"{'descr': '|i2', 'fortran_order': False, 'shape': (2,), }", "E0513"},
        {"{'descr': [('a','<i4')], 'fortran_order': False, 'shape': (2,), }", "E0513"},
        {"{'descr': '<i4', 'fortran_order': True, 'shape': (2,1), }", "E0513"},
        {"{'descr': '<i4', 'fortran_order': False, 'shape': (), }", "E0514"},
        {"{'descr': '<i4', 'fortran_order': False, 'shape': (0,), }", "E0512"},
        {"{'descr': '<i4', 'fortran_order': False, 'shape': (3,), }", "E0512"},
        {"{'descr': '<i4', 'fortran_order': False, 'shape': (1,), }", "E0512"},
        {"{'descr': '<i4', 'fortran_order': False, 'shape': (-2,), }", "E0512"},
        {"{'descr': '<i4', 'fortran_order': False, 'shape': (4611686018427387904,2), }", "E0512"},
        {"{'descr': '<i4', 'fortran_order': False, 'shape': (99999999999999999999,), }", "E0512"},
        {"{'descr': '<i4', 'fortran_order': False, 'shape': (0,4611686018427387904,4), }", "E0512"},
        {"{'descr': '<i4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1,1,2), }", "E0512"},
        {"{'descr': '<i4', 'fortran_order': False, }", "E0512"},
        {"{'descr': '<i4', 'shape': (2,), }", "E0512"},
        {"{'descr': '<i4', 'fortran_order': False, 'shape': (2,), 'shape': (2,)}", "E0512"},
        {"{'descr': '<i4', 'fortran_order': False, 'shape': (2,)} x", "E0512"},
        {"{'descr': '<i4', 'fortran_order': False, 'shape': (2", "E0512"},
        {"{'descr", "E0512"},
        {"", "E0512"}};
    ports p;
    const itr_model *model = make_model(&p, 1, 1, 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        blob f[2] = {{.size = 0}, {.size = 0}};
        put_npy(&f[0], 1, bad[i].header);
        put_le(&f[0], 1, 4);
        put_le(&f[0], 2, 4);
        put_npy(&f[1], 1, "{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }");
        put(&f[1], "\0\1", 2);
        refuse("npy:a,b", model, f, 2, bad[i].id);
        f[0].bytes[6] = 4;
        refuse("npy:a,b", model, f, 2, "E0513");
    }
}

static uint32_t crc(const uint8_t *p, size_t n)
{
    uint32_t c = UINT32_MAX; /* bit by bit from the polynomial, unlike the code under test */
    for (size_t i = 0; i < 8 * n; i++) {
        const uint32_t bit = (c ^ (uint32_t)(p[i / 8] >> (i % 8))) & 1;
        c = c >> 1 ^ (bit ? 0xedb88320u : 0);
    }
    return ~c;
}

static void put_zip_head(blob *zip, bool local, const char *name, const blob *content, int method,
                         size_t offset)
{
    put(zip, local ? "PK\3\4" : "PK\1\2", 4);
    put_le(zip, 20, local ? 2 : 4); /* versions */
    put_le(zip, 0, 2);
    put_le(zip, (uint64_t)method, 2);
    put_le(zip, 0, 4);
    put_le(zip, crc(content->bytes, content->size), 4);
    /* as numpy does: ~0 in the local header, and the sizes in its extra field */
    put_le(zip, local ? UINT32_MAX : content->size, 4);
    put_le(zip, local ? UINT32_MAX : content->size, 4);
    put_le(zip, strlen(name), 2);
    put_le(zip, local ? 20 : 0, 2);
    if (!local) {
        put_le(zip, 0, 2);
        put_le(zip, 0, 8);
        put_le(zip, offset, 4);
    }
    put(zip, name, strlen(name));
    if (local) {
        put_le(zip, 1, 2);
        put_le(zip, 16, 2);
        put_le(zip, content->size, 8);
        put_le(zip, content->size, 8);
    }
}

static void put_zip(blob *zip, const char *const names[2], const blob content[2], int method)
{
    size_t offset[2];
    for (int i = 0; i < 2; i++) {
        offset[i] = zip->size;
        put_zip_head(zip, true, names[i], &content[i], method, 0);
        put(zip, content[i].bytes, content[i].size);
    }
    const size_t directory = zip->size;
    for (int i = 0; i < 2; i++) {
        put_zip_head(zip, false, names[i], &content[i], method, offset[i]);
    }
    const size_t size = zip->size - directory;
    put(zip, "PK\5\6", 4);
    put_le(zip, 0, 4);
    put_le(zip, 2, 2);
    put_le(zip, 2, 2);
    put_le(zip, size, 4);
    put_le(zip, directory, 4);
    put_le(zip, 0, 2);
}

static void npz_finds_arrays_by_name(void **state)
{
    (void)state;
    ports p;
    blob arrays[2] = {{.size = 0}, {.size = 0}};
    blob zip = {.size = 0};
    put_npy(&arrays[0], 1, "{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }");
    put(&arrays[0], "\1\0", 2);
    put_npy(&arrays[1], 1, "{'descr': '<i2', 'fortran_order': False, 'shape': (2,3), }");
    put(&arrays[1], "\1\0\2\0\3\0\4\0\5\0\6\0", 12);
    put_zip(&zip, (const char *const[]){"y.npy", "x.npy"}, arrays, 0);
    const itr_model *model = make_model(&p, 3, 1, 2);
    itr_dataset d;
    itr_message m;
    assert_int_equal(build(&d, "npz:a", model, &zip, 1, &m), 0);
    check_value(&d.columns[0], 1, 2, 6);
    check_value(&d.columns[1], 0, 0, 1);
    itr_dataset_free(&d);
    for (size_t n = 0; n < zip.size; n++) {
        blob g = zip;
        g.size = n;
        refuse("npz:a", model, &g, 1, "E0512");
    }
    blob g = zip; /* one flipped bit in the data */
    g.bytes[30 + 5 + 20 + arrays[0].size - 1] ^= 1;
    refuse("npz:a", model, &g, 1, "E0512");
    g.size = 0;
    put_zip(&g, (const char *const[]){"y.npy", "x.npy"}, arrays, 8);
    refuse("npz:a", model, &g, 1, "E0513");
    g.size = 0;
    put_zip(&g, (const char *const[]){"y.npy", "z.npy"}, arrays, 0);
    refuse("npz:a", model, &g, 1, "E0514");
}

static blob text_blob(const char *text)
{
    blob b = {.size = 0};
    put(&b, text, strlen(text));
    return b;
}

static void csv_reads_tables(void **state)
{
    (void)state;
    ports p;
    const itr_model *model = make_model(&p, 2, 1, 3);
    static const struct {
        const char *spec;
        const char *text;
    } same[] = {{"csv:a", "1,2,0\n3,-1.5e-3,2\n"},
                {"csv:a", "\xef\xbb\xbf"
                          "a,b,c\r\n1,2,0\r\n\r\n3,-0.0015,2"},
                {"csv:a,label=c", "\n\"c\",\"a \"\"q\"\"\",b\n0,1,2\n2,\"3\", -.0015 \n"},
                {"csv:a,label=1", "1,0,2\n3,2,-15E-4\n"},
                {"csv:a,label=c \"q\"", "a,b,\"c \"\"q\"\"\"\n1,2,0\n3,-1.5e-3,2"}};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        const blob f = text_blob(same[i].text);
        itr_dataset d;
        itr_message m;
        const int code = build(&d, same[i].spec, model, &f, 1, &m);
        if (code) {
            print_error("%s\n", m.text);
        }
        assert_int_equal(code, 0);
        assert_int_equal(d.rows, 2);
        check_value(&d.columns[0], 0, 0, 1);
        check_value(&d.columns[0], 0, 1, 2);
        check_value(&d.columns[0], 1, 0, 3);
        const double got =
            ldexp((double)itr_column_get(&d.columns[0], 1, 1), d.columns[0].exponent);
        assert_true(fabs(got + 0.0015) <= 3 * 0x1p-30);
        check_value(&d.columns[1], 1, 0, 2);
        assert_int_equal(d.columns[1].dtype, ITR_U8);
        itr_dataset_free(&d);
    }
}

/** A loss that ignores an id beside its classes takes that id, and no other. */
static void labels_may_be_the_ignored_one(void **state)
{
    (void)state;
    ports p;
    itr_dataset d;
    itr_message m;
    const blob ignored = text_blob("1,2,0\n3,4,-100\n"), other = text_blob("1,2,0\n3,4,-99\n");
    refuse("csv:a", make_model(&p, 2, 1, 3), &ignored, 1, "E0515");
    (void)make_model(&p, 2, 1, 3);
    p.target.ignored = -100;
    assert_int_equal(build(&d, "csv:a", &p.model, &ignored, 1, &m), 0);
    check_value(&d.columns[1], 1, 0, -100);
    itr_dataset_free(&d);
    refuse("csv:a", &p.model, &other, 1, "E0515");
}

static void csv_refuses_broken_tables(void **state)
{
    (void)state;
    ports p;
    const itr_model *model = make_model(&p, 2, 1, 3);
    static const struct {
        const char *spec, *text, *id;
    } bad[] = {{"csv:a", "", "E0514"}, /* an empty field is no number: a header */
               {"csv:a", "a,b,c\n", "E0514"},
               {"csv:a", "1,2\n", "E0514"},
               {"csv:a", "1,2,0\n1,2\n", "E0512"},
               {"csv:a", "1,2,0\n1,2,0,0\n", "E0512"},
               {"csv:a", "1,2,0\n1,x,0\n", "E0516"},
               {"csv:a", "1,2,0\n1,,0\n", "E0516"},
               {"csv:a", "1,2,0\n1,nan,0\n", "E0516"},
               {"csv:a", "1,2,0\n1,1e999,0\n", "E0516"},
               {"csv:a", "1,2,0\n1,\"2,0\n", "E0512"},
               {"csv:a", "1,2,0\n1,\"2\"x,0\n", "E0512"},
               {"csv:a", "1,2,0\n1,2,0.5\n", "E0515"},
               {"csv:a", "1,2,0\n1,2,3\n", "E0515"},
               {"csv:a", "1,2,0\n1,2,-1\n", "E0515"},
               {"csv:a,label=q", "a,b,c\n1,2,0\n", "E0514"},
               {"csv:a,label=3", "1,2,0\n", "E0514"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const blob f = text_blob(bad[i].text);
        refuse(bad[i].spec, model, &f, 1, bad[i].id);
    }
}

static void csv_regression_targets(void **state)
{
    (void)state;
    ports p;
    const blob f = text_blob("0.5,1,2.25,-3\n8,0,1,4\n");
    itr_dataset d;
    itr_message m;
    assert_int_equal(build(&d, "csv:a,label=1", make_model(&p, 2, 2, 0), &f, 1, &m), 0);
    check_value(&d.columns[0], 0, 0, 0.5);
    check_value(&d.columns[0], 0, 1, -3);
    check_value(&d.columns[1], 0, 1, 2.25);
    check_value(&d.columns[1], 1, 0, 0);
    itr_dataset_free(&d);
    refuse("csv:a,label=3", make_model(&p, 2, 2, 0), &f, 1, "E0514");
}

static void cifar10_joins_files(void **state)
{
    (void)state;
    ports p;
    blob f[2] = {{.size = 0}, {.size = 0}};
    for (int i = 0; i < 3; i++) {
        uint8_t record[3073];
        memset(record, 10 * i, sizeof record);
        record[0] = (uint8_t)i;
        record[3072] = (uint8_t)(100 + i);
        put(&f[i / 2], record, sizeof record);
    }
    const itr_model *model = make_model(&p, 3072, 1, 10);
    itr_dataset d;
    itr_message m;
    assert_int_equal(build(&d, "cifar10:a,b", model, f, 2, &m), 0);
    assert_int_equal(d.rows, 3);
    for (int i = 0; i < 3; i++) {
        check_value(&d.columns[0], i, 0, 10 * i);
        check_value(&d.columns[0], i, 3071, 100 + i);
        check_value(&d.columns[1], i, 0, i);
    }
    itr_dataset_free(&d);
    f[1].size--;
    refuse("cifar10:a,b", model, f, 2, "E0512");
    f[1].size++;
    refuse("cifar10:a,b", make_model(&p, 3072, 1, 2), f, 2, "E0515");
    refuse("cifar10:a,b", make_model(&p, 3071, 1, 10), f, 2, "E0514");
}

static void text_windows(void **state)
{
    (void)state;
    ports p;
    itr_model *model = (itr_model *)make_model(&p, 3, 3, 256);
    p.input.is_ids = true;
    const blob f = text_blob("abcdefgh");
    itr_dataset d;
    itr_message m;
    assert_int_equal(build(&d, "text:a", model, &f, 1, &m), 0);
    assert_int_equal(d.rows, 2);
    check_value(&d.columns[0], 1, 0, 'd');
    check_value(&d.columns[1], 1, 2, 'g');
    itr_dataset_free(&d);
    const blob shorter = text_blob("abc");
    refuse("text:a", model, &shorter, 1, "E0514");
    p.input.is_ids = false;
    refuse("text:a", model, &f, 1, "E0514");
    make_model(&p, 3, 1, 256);
    p.input.is_ids = true;
    assert_int_equal(build(&d, "text:a", model, &f, 1, &m), 0);
    check_value(&d.columns[1], 0, 0, 'd');
    itr_dataset_free(&d);
}

static void several_inputs_in_order(void **state)
{
    (void)state;
    ports p;
    make_model(&p, 1, 1, 0);
    const itr_port_info inputs[2] = {{.name = "a", .rank = 1, .dims = {1}, .elements = 1},
                                     {.name = "b", .rank = 1, .dims = {2}, .elements = 2}};
    p.model.inputs = inputs;
    p.model.input_count = 2;
    const blob f = text_blob("1,2,3,4\n5,6,7,8\n");
    itr_dataset d;
    itr_message m;
    assert_int_equal(build(&d, "csv:a,label=1", &p.model, &f, 1, &m), 0);
    check_value(&d.columns[0], 1, 0, 5);
    check_value(&d.columns[1], 1, 0, 7);
    check_value(&d.columns[1], 1, 1, 8);
    check_value(&d.columns[2], 1, 0, 6);
    itr_dataset_free(&d);
    refuse("idx:a,b", &p.model, (const blob[]){f, f}, 2, "E0514");
}

static void spec_options(void **state)
{
    (void)state;
    itr_data_spec s;
    itr_data_spec e;
    itr_message m = {0};
    assert_int_equal(itr_data_spec_parse("npy:./x=1.npy,dir/y.npy,scale=1/255,mean=0.5:0:1e-1,"
                                         "std=1:2:3,augment=crop4:flip,shuffle=0,limit=7",
                                         &s, &m),
                     0);
    assert_int_equal(s.file_count, 2);
    assert_string_equal(s.files[0], "./x=1.npy");
    assert_true(s.scale.num == 1 && s.scale.den == 255);
    assert_int_equal(s.mean_count, 3);
    assert_true(s.mean[2].num == 1 && s.mean[2].den == 10 && s.std[1].num == 2);
    assert_true(s.crop == 4 && s.flip && s.in_order && s.limit == 7);
    assert_int_equal(itr_data_spec_parse("npy:a,b,std=5", &e, &m), 0);
    itr_data_spec_inherit(&e, &s);
    assert_true(e.scale.den == 255 && e.mean_count == 3 && e.std_count == 1 && e.crop == 0);
    itr_data_spec_free(&e);
    itr_data_spec_free(&s);
    static const char *const bad[] = {"",
                                      "mnist:a,b",
                                      "npy",
                                      "npy:",
                                      "npy:a,,b",
                                      "idx:a",
                                      "idx:a,b,c",
                                      "csv:a,b",
                                      "text:scale=1",
                                      "npy:a,b,scale=0",
                                      "npy:a,b,scale=nan",
                                      "npy:a,b,std=1:0",
                                      "npy:a,b,std=-1",
                                      "npy:a,b,mean=",
                                      "npy:a,b,mean=1::2",
                                      "npy:a,b,shuffle=2",
                                      "npy:a,b,limit=0",
                                      "npy:a,b,limit=-1",
                                      "npy:a,b,augment=rotate",
                                      "npy:a,b,augment=crop",
                                      "npy:a,b,colour=1",
                                      "npy:a,b,label=1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        memset(&m, 0, sizeof m);
        assert_int_equal(itr_data_spec_parse(bad[i], &s, &m), 2);
        assert_string_equal(m.id, "E0511");
        itr_data_spec_free(&s);
    }
}

static void open_names_missing_files(void **state)
{
    (void)state;
    ports p;
    itr_data_spec s;
    itr_dataset d;
    itr_message m = {0};
    assert_int_equal(itr_data_spec_parse("npy:/nowhere/x.npy,/nowhere/y.npy", &s, &m), 0);
    assert_int_equal(itr_dataset_open(&d, &s, make_model(&p, 1, 1, 0), false, &m), 2);
    assert_string_equal(m.id, "E0510");
    assert_non_null(strstr(m.text, "/nowhere/x.npy"));
    itr_dataset_free(&d);
    itr_data_spec_free(&s);
    memset(&m, 0, sizeof m);
    assert_int_equal(itr_data_spec_parse("csv:/", &s, &m), 0); /* a folder */
    assert_int_equal(itr_dataset_open(&d, &s, make_model(&p, 1, 1, 0), false, &m), 2);
    assert_string_equal(m.id, "E0510");
    itr_dataset_free(&d);
    itr_data_spec_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(idx_reads_images_and_labels),
                                       cmocka_unit_test(idx_reads_every_type),
                                       cmocka_unit_test(most_negative_values_are_widened),
                                       cmocka_unit_test(npy_reads_types_and_versions),
                                       cmocka_unit_test(floats_keep_30_bits),
                                       cmocka_unit_test(npy_refuses_what_it_cannot_read),
                                       cmocka_unit_test(npz_finds_arrays_by_name),
                                       cmocka_unit_test(csv_reads_tables),
                                       cmocka_unit_test(labels_may_be_the_ignored_one),
        cmocka_unit_test(csv_refuses_broken_tables),
                                       cmocka_unit_test(csv_regression_targets),
                                       cmocka_unit_test(cifar10_joins_files),
                                       cmocka_unit_test(text_windows),
                                       cmocka_unit_test(several_inputs_in_order),
                                       cmocka_unit_test(spec_options),
                                       cmocka_unit_test(open_names_missing_files)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
