/*
 * data: what the trainer does not read itself, as raw npy or as the file that was compressed.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "frontend/cli.h"
#include "frontend/images.h"
#include "runtime/host/csv.h"

static bool starts(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

/** "flowers.npy" and "flowers" give "flowers-x.npy" for part x. */
static const char *part_name(itc_ctx *ctx, const char *out, char part)
{
    const size_t n = strlen(out);
    const size_t stem = n > 4 && strcmp(out + n - 4, ".npy") == 0 ? n - 4 : n;
    return itc_format(ctx, "%.*s-%c.npy", (int)stem, out, part);
}

/** An npy file of version 1: header padded to 64 bytes, then n bytes of elements. */
static itc_status write_npy(itc_ctx *ctx, const char *path, const char *descr, int rank,
                            const int64_t *dim, const void *bytes, size_t n)
{
    itc_strbuf head, b;
    itc_strbuf_init(&head, ctx);
    itc_strbuf_init(&b, ctx);
    itc_strbuf_printf(&head, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr);
    for (int i = 0; i < rank; i++) {
        itc_strbuf_printf(&head, "%lld,", (long long)dim[i]);
    }
    itc_strbuf_add(&head, "), }");
    while ((10 + head.len + 1) % 64 != 0) {
        itc_strbuf_add(&head, " ");
    }
    itc_strbuf_add(&head, "\n");
    const unsigned char start[10] = {0x93,
                                     'N',
                                     'U',
                                     'M',
                                     'P',
                                     'Y',
                                     1,
                                     0,
                                     (unsigned char)(head.len & 255),
                                     (unsigned char)(head.len >> 8)};
    itc_strbuf_add_n(&b, (const char *)start, sizeof start);
    itc_strbuf_add_n(&b, head.text, head.len);
    itc_strbuf_add_n(&b, bytes, n);
    return itc_write_file(ctx, path, b.text, b.len);
}

/** Labels as little-endian i32. */
static itc_status write_labels(itc_ctx *ctx, const char *path, const int32_t *label, int64_t n)
{
    unsigned char *bytes = itc_alloc_array(ctx, (size_t)n, 4);
    for (int64_t i = 0; i < n; i++) {
        for (int k = 0; k < 4; k++) {
            bytes[4 * i + k] = (unsigned char)((uint32_t)label[i] >> (8 * k) & 255);
        }
    }
    return write_npy(ctx, path, "<i4", 1, &n, bytes, (size_t)n * 4);
}

static itc_status from_images(itc_cli *c, const char *folder, const char *out)
{
    const itc_options *o = &c->options;
    int w = 0, h = 0;
    itc_images images = {0};
    if (o->given[ITC_OPT_size] && !itc_parse_extent(o->value[ITC_OPT_size], &w, &h)) {
        return ITC_INTERNAL; /* the option's check took it */
    }
    itc_status s =
        itc_images_read(c->ctx, folder, itc_options_flag(o, ITC_OPT_gray) ? 1 : 3, w, h, &images);
    if (s == ITC_OK) {
        const int64_t dim[4] = {images.n, images.channels, images.height, images.width};
        s = write_npy(c->ctx, part_name(c->ctx, out, 'x'), "|u1", 4, dim, images.pixels,
                      (size_t)(dim[0] * dim[1] * dim[2] * dim[3]));
    }
    if (s == ITC_OK) {
        s = write_labels(c->ctx, part_name(c->ctx, out, 'y'), images.label, images.n);
    }
    if (s == ITC_OK) {
        itc_cli_say(c, "%s, %s: %lld pictures [%d,%d,%d], %d classes:", part_name(c->ctx, out, 'x'),
                    part_name(c->ctx, out, 'y'), (long long)images.n, images.channels,
                    images.height, images.width, images.n_classes);
        for (int i = 0; i < images.n_classes; i++) {
            itc_cli_say(c, "  %d  %s", i, images.class_name[i]);
        }
    }
    itc_images_free(&images);
    return s;
}

static itc_status from_gzip(itc_cli *c, const char *path, const char *out)
{
    itc_strbuf b;
    char part[1 << 16];
    itc_strbuf_init(&b, c->ctx);
    FILE *plain = fopen(path, "rb"); /* zlib's own open leaves errno unset for some reasons */
    if (!plain) {
        return itc_error(c->ctx, NULL, ITC_IO, "E0001", "cannot open %s: %s", path,
                         strerror(errno));
    }
    const int first = fgetc(plain), second = fgetc(plain);
    (void)fclose(plain);
    if (first != 0x1f || second != 0x8b) { /* zlib would copy it as it is */
        return itc_error(c->ctx, NULL, ITC_PARSE, "E0612", "%s is not a gzip file", path);
    }
    gzFile f = gzopen(path, "rb");
    int n = 0;
    while (f && (n = gzread(f, part, sizeof part)) > 0) {
        itc_strbuf_add_n(&b, part, (size_t)n);
    }
    const int closed = f ? gzclose_r(f) : Z_ERRNO; /* Z_BUF_ERROR: it breaks off */
    if (n < 0 || closed != Z_OK) {
        return itc_error(c->ctx, NULL, ITC_PARSE, "E0612", "%s is damaged or truncated", path);
    }
    ITC_TRY(itc_write_file(c->ctx, out, b.text, b.len));
    itc_cli_say(c, "%s: %zu bytes", out, b.len);
    return ITC_OK;
}

/** A number of a table, which is finite by its exponent's bound. */
static double value_of(itr_scalar x)
{
    return ldexp((double)x.m, x.e);
}

static void put_f32(unsigned char *to, float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    for (int k = 0; k < 4; k++) {
        to[k] = (unsigned char)(bits >> (8 * k) & 255);
    }
}

static itc_status write_table(itc_cli *c, const itr_csv *t, const char *out)
{
    const int64_t width = t->columns - 1;
    const int64_t dim[2] = {t->rows, width};
    unsigned char *x = itc_alloc_array(c->ctx, (size_t)(t->rows * width + 1), 4);
    unsigned char *y = itc_alloc_array(c->ctx, (size_t)t->rows + 1, 4);
    int32_t *label = ITC_NEW_ARRAY(c->ctx, int32_t, t->rows + 1);
    bool classes = true;
    size_t at = 0;
    for (int64_t i = 0; i < t->rows * t->columns; i++) {
        const double v = value_of(t->values[i]);
        if (i % t->columns != t->label) {
            put_f32(x + at, (float)v);
            at += 4;
            continue;
        }
        const int64_t row = i / t->columns;
        const bool whole = v >= INT32_MIN && v <= INT32_MAX && v >= floor(v) && v <= floor(v);
        put_f32(y + 4 * row, (float)v);
        label[row] = whole ? (int32_t)v : 0;
        classes = classes && whole;
    }
    ITC_TRY(write_npy(c->ctx, part_name(c->ctx, out, 'x'), "<f4", 2, dim, x, at));
    const char *labels = part_name(c->ctx, out, 'y');
    ITC_TRY(classes ? write_labels(c->ctx, labels, label, t->rows)
                    : write_npy(c->ctx, labels, "<f4", 1, dim, y, (size_t)t->rows * 4));
    itc_cli_say(c, "%s, %s: %lld rows of %lld numbers, labels are %s", part_name(c->ctx, out, 'x'),
                labels, (long long)t->rows, (long long)width, classes ? "integers" : "floats");
    return ITC_OK;
}

static itc_status from_csv(itc_cli *c, const char *path, const char *out)
{
    const itc_options *o = &c->options;
    char *bytes = NULL;
    size_t n = 0;
    itr_csv table = {0};
    itr_message m = {0};
    ITC_TRY(itc_read_file(c->ctx, path, ITC_MAX_FILE, &bytes, &n));
    const int code =
        itr_csv_parse(path, (const uint8_t *)bytes, n,
                      o->given[ITC_OPT_label] ? o->value[ITC_OPT_label] : NULL, &table, &m);
    itc_status s = ITC_OK;
    if (code != 0) {
        s = itc_error(c->ctx, NULL, code == 3 ? ITC_WRITE : ITC_PARSE, itc_strdup(c->ctx, m.id),
                      "%s", m.text);
    } else if (table.columns < 2 || table.rows < 1) {
        s = itc_error(c->ctx, NULL, ITC_RANGE, "E0613",
                      "%s: expected rows of at least two columns, one of them the label", path);
    } else {
        s = write_table(c, &table, out);
    }
    free(table.values);
    return s;
}

static itc_status convert(itc_cli *c)
{
    const char *spec = c->options.args[0];
    const char *out = itc_cli_output(c, NULL);
    const size_t n = strlen(spec);
    if (!out) {
        return itc_error(c->ctx, NULL, ITC_RANGE, "E0606", "-o FILE is missing: where the data go");
    }
    if (starts(spec, "gz:")) {
        return from_gzip(c, spec + 3, out);
    }
    if (n > 3 && strcmp(spec + n - 3, ".gz") == 0) {
        return from_gzip(c, spec, out);
    }
    const bool table = starts(spec, "csv:");
    if (!table && !starts(spec, "images:")) {
        return itc_error(c->ctx, NULL, ITC_RANGE, "E0613",
                         "data \"%s\": expected images:FOLDER, csv:FILE, or FILE.gz", spec);
    }
    if (strcmp(out, "-") == 0) {
        return itc_error(c->ctx, NULL, ITC_RANGE, "E0613",
                         "two files are written, which standard output cannot hold");
    }
    return table ? from_csv(c, spec + 4, out) : from_images(c, spec + 7, out);
}

int itc_cmd_data(itc_cli *c)
{
    return itc_exit_code(convert(c));
}
