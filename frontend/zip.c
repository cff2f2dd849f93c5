/* APPNOTE.TXT 4.3: local headers with their bytes, the central directory, its end. */
#include "frontend/zip.h"

#include <string.h>
#include <zlib.h>

static void put(itc_strbuf *b, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++) {
        const char byte = (char)(v >> (8 * i) & 255);
        itc_strbuf_add_n(b, &byte, 1);
    }
}

/** What a local header and an entry of the directory have in common. */
static void put_common(itc_strbuf *b, const char *name, uint32_t crc, size_t n)
{
    put(b, 20, 2);   /* version needed: 2.0 */
    put(b, 0, 2);    /* flags */
    put(b, 0, 2);    /* stored */
    put(b, 0, 2);    /* time */
    put(b, 0x21, 2); /* 1980-01-01: equal contents are equal files */
    put(b, crc, 4);
    put(b, n, 4); /* compressed */
    put(b, n, 4);
    put(b, strlen(name), 2);
    put(b, 0, 2); /* extra field */
}

void itc_zip_init(itc_zip *z, itc_ctx *ctx)
{
    itc_strbuf_init(&z->body, ctx);
    itc_strbuf_init(&z->directory, ctx);
    z->n = 0;
}

void itc_zip_add(itc_zip *z, const char *name, const void *bytes, size_t n)
{
    const size_t at = z->body.len;
    const uint32_t crc = (uint32_t)crc32_z(0, bytes, n);
    put(&z->body, 0x04034B50, 4);
    put_common(&z->body, name, crc, n);
    itc_strbuf_add(&z->body, name);
    itc_strbuf_add_n(&z->body, bytes, n);
    put(&z->directory, 0x02014B50, 4);
    put(&z->directory, 20, 2); /* version made by */
    put_common(&z->directory, name, crc, n);
    put(&z->directory, 0, 2 + 2 + 2); /* comment, disk, internal attributes */
    put(&z->directory, 0, 4);         /* external attributes */
    put(&z->directory, at, 4);
    itc_strbuf_add(&z->directory, name);
    z->n++;
}

itc_status itc_zip_write(itc_zip *z, const char *path)
{
    itc_strbuf *b = &z->body;
    const size_t at = b->len;
    itc_strbuf_add_n(b, z->directory.text, z->directory.len);
    if (b->len > UINT32_MAX) {
        return itc_error(b->ctx, NULL, ITC_RANGE, "E0613", "%s: more than 4 GiB", path);
    }
    put(b, 0x06054B50, 4);
    put(b, 0, 4); /* disks */
    put(b, (uint64_t)z->n, 2);
    put(b, (uint64_t)z->n, 2);
    put(b, z->directory.len, 4);
    put(b, at, 4);
    put(b, 0, 2); /* comment */
    return itc_write_file(b->ctx, path, b->text, b->len);
}
