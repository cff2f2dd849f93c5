/* External data: tensors whose bytes lie in another file of the model's folder. */
#define _XOPEN_SOURCE 700 /* realpath */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "frontend/onnx_tensor.h"

typedef struct place {
    const char *location;
    int64_t offset;
    int64_t length; /**< -1: not given */
} place;

/** A decimal number without sign or blanks. */
static bool parse_size(const char *s, int64_t *out)
{
    int64_t v = 0;
    if (*s == '\0') {
        return false;
    }
    for (; *s != '\0'; s++) {
        if (*s < '0' || *s > '9' || v > (INT64_MAX - 9) / 10) {
            return false;
        }
        v = v * 10 + (*s - '0');
    }
    *out = v;
    return true;
}

static itc_status parse_place(itc_ctx *ctx, const char *name, const Onnx__TensorProto *t,
                              place *out)
{
    *out = (place){.length = -1};
    for (size_t i = 0; i < t->n_external_data; i++) {
        const Onnx__StringStringEntryProto *e = t->external_data[i];
        const char *key = e->key ? e->key : "";
        const char *value = e->value ? e->value : "";
        bool ok = true;
        if (strcmp(key, "location") == 0) {
            out->location = value;
        } else if (strcmp(key, "offset") == 0) {
            ok = parse_size(value, &out->offset);
        } else if (strcmp(key, "length") == 0) {
            ok = parse_size(value, &out->length);
        }
        if (!ok) {
            return itc_error(ctx, NULL, ITC_PARSE, "E0215",
                             "tensor \"%s\": external data has %s \"%s\", expected a number", name,
                             key, value);
        }
    }
    if (!out->location || out->location[0] == '\0') {
        return itc_error(ctx, NULL, ITC_PARSE, "E0215",
                         "tensor \"%s\": its external data has no location", name);
    }
    return ITC_OK;
}

/** Whether a path is relative and has no component "..". */
static bool stays_below(const char *path)
{
    if (path[0] == '/') {
        return false;
    }
    for (const char *p = path; *p != '\0';) {
        const size_t len = strcspn(p, "/");
        if (len == 2 && p[0] == '.' && p[1] == '.') {
            return false;
        }
        p += len + (p[len] == '/');
    }
    return true;
}

/** Opens the file; links may lead anywhere inside the folder, nowhere else. */
static itc_status open_inside(const itc_onnx_source *src, const char *name, const char *location,
                              FILE **out)
{
    if (!stays_below(location)) {
        return itc_error(src->ctx, NULL, ITC_UNSUPPORTED, "E0215",
                         "tensor \"%s\": external data \"%s\" is outside the model's folder", name,
                         location);
    }
    char *folder = realpath(src->dir, NULL);
    char *file = folder ? realpath(itc_format(src->ctx, "%s/%s", folder, location), NULL) : NULL;
    const int reason = errno;
    const size_t len = folder ? strlen(folder) : 0;
    /* The root folder ends in its slash already. */
    const bool inside = file && strncmp(file, folder, len) == 0 &&
                        (file[len] == '/' || (len > 0 && folder[len - 1] == '/'));
    struct stat info;
    itc_status s = ITC_OK;
    if (!file) {
        s = itc_error(src->ctx, NULL, ITC_IO, "E0215",
                      "tensor \"%s\": external data \"%s\" cannot be opened: %s", name, location,
                      strerror(reason));
    } else if (!inside) {
        s = itc_error(src->ctx, NULL, ITC_UNSUPPORTED, "E0215",
                      "tensor \"%s\": external data \"%s\" is outside the model's folder", name,
                      location);
    } else if (stat(file, &info) != 0 || !S_ISREG(info.st_mode)) {
        s = itc_error(src->ctx, NULL, ITC_IO, "E0215",
                      "tensor \"%s\": external data \"%s\" is not a regular file", name, location);
    } else {
        *out = fopen(file, "rb");
        if (!*out) {
            s = itc_error(src->ctx, NULL, ITC_IO, "E0215",
                          "tensor \"%s\": external data \"%s\" cannot be opened: %s", name,
                          location, strerror(errno));
        }
    }
    free(file);
    free(folder);
    return s;
}

static itc_status read_part(const itc_onnx_source *src, const char *name, const place *p, FILE *f,
                            void *to, size_t n)
{
    const off_t size = fseeko(f, 0, SEEK_END) == 0 ? ftello(f) : -1;
    if (size < 0 || p->offset > size || (uint64_t)n > (uint64_t)(size - p->offset)) {
        return itc_error(src->ctx, NULL, ITC_PARSE, "E0215",
                         "tensor \"%s\": \"%s\" has %lld bytes, %zu from offset %lld are expected",
                         name, p->location, (long long)size, n, (long long)p->offset);
    }
    if (fseeko(f, (off_t)p->offset, SEEK_SET) != 0 || (n > 0 && fread(to, 1, n, f) != n)) {
        return itc_error(src->ctx, NULL, ITC_IO, "E0215",
                         "tensor \"%s\": external data \"%s\" cannot be read", name, p->location);
    }
    return ITC_OK;
}

itc_status itc_onnx_external_read(const itc_onnx_source *src, const char *name,
                                  const Onnx__TensorProto *t, void *to, size_t n)
{
    place p;
    ITC_TRY(parse_place(src->ctx, name, t, &p));
    if (!src->dir) {
        return itc_error(src->ctx, NULL, ITC_UNSUPPORTED, "E0215",
                         "tensor \"%s\" has external data, and the model has no folder", name);
    }
    if (p.length >= 0 && (uint64_t)p.length != (uint64_t)n) {
        return itc_error(src->ctx, NULL, ITC_PARSE, "E0215",
                         "tensor \"%s\": external data has length %lld, expected %zu", name,
                         (long long)p.length, n);
    }
    FILE *f = NULL;
    ITC_TRY(open_inside(src, name, p.location, &f));
    const itc_status s = read_part(src, name, &p, f, to, n);
    (void)fclose(f);
    return s;
}
