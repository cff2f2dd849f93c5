#include "ir/base.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ir/ctx.h"

#define FIRST_CHUNK ((size_t)64 * 1024)
#define LARGEST_CHUNK ((size_t)4 * 1024 * 1024)

static void out_of_memory(void)
{
    (void)fputs("intrain: error E0004: out of memory\n", stderr);
    exit(3);
}

itc_ctx *itc_ctx_new(void)
{
    itc_ctx *ctx = calloc(1, sizeof *ctx);
    if (!ctx) {
        out_of_memory();
        return NULL;
    }
    ctx->next_size = FIRST_CHUNK;
    return ctx;
}

void itc_ctx_free(itc_ctx *ctx)
{
    if (!ctx) {
        return;
    }
    for (itc_chunk *c = ctx->chunks; c;) {
        itc_chunk *next = c->next;
        free(c);
        c = next;
    }
    free(ctx);
}

static itc_chunk *new_chunk(size_t size)
{
    itc_chunk *c = size <= SIZE_MAX / 2 ? calloc(1, sizeof *c + size) : NULL;
    if (!c) {
        out_of_memory();
        return NULL;
    }
    c->size = size;
    return c;
}

void *itc_alloc(itc_ctx *ctx, size_t bytes)
{
    const size_t align = _Alignof(max_align_t);
    if (bytes > SIZE_MAX / 4) {
        out_of_memory();
        return NULL;
    }
    bytes = bytes == 0 ? align : (bytes + align - 1) / align * align;
    itc_chunk *c = ctx->chunks;
    if (c && c->size - c->used >= bytes) {
        void *p = (char *)c->bytes + c->used;
        c->used += bytes;
        return p;
    }
    if (bytes > ctx->next_size / 4 && c) {
        /* A large block gets a chunk of its own behind the current one, which stays in use. */
        itc_chunk *own = new_chunk(bytes);
        own->used = bytes;
        own->next = c->next;
        c->next = own;
        return own->bytes;
    }
    itc_chunk *fresh = new_chunk(bytes > ctx->next_size ? bytes : ctx->next_size);
    fresh->next = c;
    fresh->used = bytes;
    ctx->chunks = fresh;
    if (ctx->next_size < LARGEST_CHUNK) {
        ctx->next_size *= 2;
    }
    return fresh->bytes;
}

void *itc_alloc_array(itc_ctx *ctx, size_t count, size_t size)
{
    if (size != 0 && count > SIZE_MAX / size) {
        out_of_memory();
        return NULL;
    }
    return itc_alloc(ctx, count * size);
}

char *itc_strndup(itc_ctx *ctx, const char *s, size_t n)
{
    char *copy = itc_alloc(ctx, n + 1);
    memcpy(copy, s, n);
    return copy;
}

char *itc_strdup(itc_ctx *ctx, const char *s)
{
    return itc_strndup(ctx, s, strlen(s));
}

char *itc_format(itc_ctx *ctx, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0) {
        return itc_strdup(ctx, fmt);
    }
    char *text = itc_alloc(ctx, (size_t)n + 1);
    va_start(ap, fmt);
    (void)vsnprintf(text, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return text;
}

bool itc_size_mul(int64_t a, int64_t b, int64_t *out)
{
    if (a < 0 || b < 0 || (b != 0 && a > INT64_MAX / b)) {
        return false;
    }
    *out = a * b;
    return true;
}

void *itc_grow(itc_ctx *ctx, void *old, size_t count, int *cap, size_t size)
{
    if (*cap > INT32_MAX / 2) {
        out_of_memory();
    }
    *cap = *cap < 4 ? 8 : *cap * 2;
    void *fresh = itc_alloc_array(ctx, (size_t)*cap, size);
    if (count > 0) {
        memcpy(fresh, old, count * size);
    }
    return fresh;
}

void itc_strbuf_init(itc_strbuf *b, itc_ctx *ctx)
{
    b->ctx = ctx;
    b->len = 0;
    b->cap = 256;
    b->text = itc_alloc(ctx, b->cap);
}

void itc_strbuf_add_n(itc_strbuf *b, const char *s, size_t n)
{
    if (n >= b->cap - b->len) {
        if (n > SIZE_MAX / 8 || b->cap > SIZE_MAX / 8) {
            out_of_memory();
        }
        size_t cap = b->cap * 2;
        if (cap < b->len + n + 1) {
            cap = b->len + n + 1;
        }
        char *fresh = itc_alloc(b->ctx, cap);
        memcpy(fresh, b->text, b->len);
        b->text = fresh;
        b->cap = cap;
    }
    if (n > 0) {
        memcpy(b->text + b->len, s, n);
    }
    b->len += n;
    b->text[b->len] = '\0';
}

void itc_strbuf_add(itc_strbuf *b, const char *s)
{
    itc_strbuf_add_n(b, s, strlen(s));
}

void itc_strbuf_printf(itc_strbuf *b, const char *fmt, ...)
{
    char small[256];
    va_list ap;
    va_start(ap, fmt);
    const int n = vsnprintf(small, sizeof small, fmt, ap);
    va_end(ap);
    if (n < 0) {
        return;
    }
    if ((size_t)n < sizeof small) {
        itc_strbuf_add_n(b, small, (size_t)n);
        return;
    }
    char *large = itc_alloc(b->ctx, (size_t)n + 1);
    va_start(ap, fmt);
    (void)vsnprintf(large, (size_t)n + 1, fmt, ap);
    va_end(ap);
    itc_strbuf_add_n(b, large, (size_t)n);
}

static itc_status write_stdout(itc_ctx *ctx, const void *bytes, size_t n)
{
    if ((n > 0 && fwrite(bytes, 1, n, stdout) != n) || fflush(stdout) != 0) {
        return itc_error(ctx, NULL, ITC_WRITE, "E0003", "cannot write standard output: %s",
                         strerror(errno));
    }
    return ITC_OK;
}

static bool write_all(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        const size_t part = n < ((size_t)1 << 30) ? n : (size_t)1 << 30;
        const ssize_t done = write(fd, bytes, part);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            return false;
        }
        bytes += done;
        n -= (size_t)done;
    }
    return true;
}

itc_status itc_write_file(itc_ctx *ctx, const char *path, const void *bytes, size_t n)
{
    if (strcmp(path, "-") == 0) {
        return write_stdout(ctx, bytes, n);
    }
    /* A device or pipe is written as it is: renaming would replace it by a file. */
    struct stat st;
    const bool replace = stat(path, &st) != 0 || S_ISREG(st.st_mode) || S_ISDIR(st.st_mode);
    /* The process number keeps two compilers that write the same file apart. */
    char *temp = replace ? itc_format(ctx, "%s.tmp%ld", path, (long)getpid())
                         : itc_strdup(ctx, path);
    FILE *f = fopen(temp, "wb");
    if (!f) {
        return itc_error(ctx, NULL, ITC_WRITE, "E0003", "cannot write %s: %s", path,
                         strerror(errno));
    }
    bool ok = write_all(fileno(f), bytes, n) && (!replace || fsync(fileno(f)) == 0);
    int reason = errno;
    if (fclose(f) != 0 && ok) {
        ok = false;
        reason = errno;
    }
    if (ok && replace && rename(temp, path) != 0) {
        ok = false;
        reason = errno;
    }
    if (!ok) {
        if (replace) {
            (void)unlink(temp);
        }
        return itc_error(ctx, NULL, ITC_WRITE, "E0003", "cannot write %s: %s", path,
                         strerror(reason));
    }
    return ITC_OK;
}

/** Reads to the end of f; sizes of pipes are not known beforehand, so the buffer grows. */
static itc_status read_stream(itc_ctx *ctx, const char *path, FILE *f, size_t limit, char **bytes,
                              size_t *n)
{
    size_t cap = 64 * 1024;
    if (fseek(f, 0, SEEK_END) == 0) {
        long size = ftell(f);
        size = size == LONG_MAX ? -1 : size; /* a directory; reading it says so */
        if (size > 0 && (unsigned long)size > limit) {
            return itc_error(ctx, NULL, ITC_RANGE, "E0002", "%s has %ld bytes, the limit is %zu",
                             path, size, limit);
        }
        cap = size > 0 ? (size_t)size + 1 : cap;
        if (fseek(f, 0, SEEK_SET) != 0) {
            return itc_error(ctx, NULL, ITC_IO, "E0001", "cannot read %s: %s", path,
                             strerror(errno));
        }
    }
    clearerr(f);
    char *text = itc_alloc(ctx, cap + 1);
    size_t len = 0;
    for (;;) {
        len += fread(text + len, 1, cap - len, f);
        if (ferror(f)) {
            return itc_error(ctx, NULL, ITC_IO, "E0001", "cannot read %s: %s", path,
                             strerror(errno));
        }
        if (len > limit) {
            return itc_error(ctx, NULL, ITC_RANGE, "E0002", "%s has more than %zu bytes", path,
                             limit);
        }
        if (len < cap) {
            break;
        }
        char *fresh = itc_alloc(ctx, cap * 2 + 1);
        memcpy(fresh, text, len);
        text = fresh;
        cap *= 2;
    }
    text[len] = '\0';
    *bytes = text;
    *n = len;
    return ITC_OK;
}

itc_status itc_read_file(itc_ctx *ctx, const char *path, size_t limit, char **bytes, size_t *n)
{
    const bool std = strcmp(path, "-") == 0;
    FILE *f = std ? stdin : fopen(path, "rb");
    if (!f) {
        return itc_error(ctx, NULL, ITC_IO, "E0001", "cannot open %s: %s", path, strerror(errno));
    }
    const itc_status s = read_stream(ctx, path, f, limit, bytes, n);
    if (!std) {
        (void)fclose(f);
    }
    return s;
}

size_t itc_utf8_length(const char *s, size_t n)
{
    const unsigned char *u = (const unsigned char *)s;
    if (n == 0) {
        return 0;
    }
    if (u[0] < 0x80) {
        return 1;
    }
    const size_t len = u[0] >= 0xf0 ? 4 : u[0] >= 0xe0 ? 3 : 2;
    if (u[0] < 0xc2 || u[0] > 0xf4 || n < len) {
        return 0;
    }
    for (size_t i = 1; i < len; i++) {
        if ((u[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    /* Overlong forms, surrogates and code points beyond U+10FFFF show in the second byte. */
    if ((u[0] == 0xe0 && u[1] < 0xa0) || (u[0] == 0xed && u[1] > 0x9f) ||
        (u[0] == 0xf0 && u[1] < 0x90) || (u[0] == 0xf4 && u[1] > 0x8f)) {
        return 0;
    }
    return len;
}
