/**
 * What every compiler file uses: the context (arena, unique strings, diagnostics), status codes,
 * growable arrays and text buffers.
 *
 * One arena per context owns graphs, names, plans and diagnostics; nothing is freed singly, and
 * returned pointers live as long as the context. Running out of memory prints and exits with 3.
 */
#ifndef ITC_IR_BASE_H
#define ITC_IR_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#if defined(__GNUC__)
#define ITC_NODISCARD __attribute__((warn_unused_result))
#define ITC_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define ITC_NODISCARD
#define ITC_PRINTF(fmt, args)
#endif

typedef enum itc_status {
    ITC_OK = 0,
    ITC_IO,          /**< an input cannot be opened or read */
    ITC_WRITE,       /**< an output cannot be written */
    ITC_PARSE,       /**< is not what its format says */
    ITC_UNSUPPORTED, /**< understood, and not done here */
    ITC_SHAPE,
    ITC_TYPE,
    ITC_RANGE,
    ITC_INTERNAL /**< a bug of ours */
} itc_status;

#define ITC_TRY(expr)                                                                              \
    do {                                                                                           \
        const itc_status itc_try_status = (expr);                                                  \
        if (itc_try_status != ITC_OK) {                                                            \
            return itc_try_status;                                                                 \
        }                                                                                          \
    } while (0)

typedef struct itc_ctx itc_ctx;
struct itc_node;

itc_ctx *itc_ctx_new(void);
void itc_ctx_free(itc_ctx *ctx);

/** Zeroed memory, aligned for any type, owned by the context. */
void *itc_alloc(itc_ctx *ctx, size_t bytes);
/** As itc_alloc for count * size; exits with 3 where the product overflows. */
void *itc_alloc_array(itc_ctx *ctx, size_t count, size_t size);
char *itc_strdup(itc_ctx *ctx, const char *s);
char *itc_strndup(itc_ctx *ctx, const char *s, size_t n);
char *itc_format(itc_ctx *ctx, const char *fmt, ...) ITC_PRINTF(2, 3);
#define ITC_NEW(ctx, type) ((type *)itc_alloc((ctx), sizeof(type)))
#define ITC_NEW_ARRAY(ctx, type, n) ((type *)itc_alloc_array((ctx), (size_t)(n), sizeof(type)))

/** out = a * b; false on overflow of int64 (both factors must be >= 0). */
ITC_NODISCARD bool itc_size_mul(int64_t a, int64_t b, int64_t *out);

/** Appends to an array held as pointer + count + capacity, in the arena. */
#define ITC_PUSH(ctx, ptr, count, cap, value)                                                      \
    do {                                                                                           \
        if ((count) == (cap)) {                                                                    \
            (ptr) = itc_grow((ctx), (ptr), (size_t)(count), &(cap), sizeof *(ptr));                \
        }                                                                                          \
        (ptr)[(count)++] = (value);                                                                \
    } while (0)
void *itc_grow(itc_ctx *ctx, void *old, size_t count, int *cap, size_t size);

/** A growing text; `text` is always NUL-terminated. */
typedef struct itc_strbuf {
    itc_ctx *ctx;
    char *text;
    size_t len, cap;
} itc_strbuf;
void itc_strbuf_init(itc_strbuf *b, itc_ctx *ctx);
void itc_strbuf_add(itc_strbuf *b, const char *s);
void itc_strbuf_add_n(itc_strbuf *b, const char *s, size_t n);
void itc_strbuf_printf(itc_strbuf *b, const char *fmt, ...) ITC_PRINTF(2, 3);

/** Writes to FILE.tmp… and renames, so that FILE is either old or complete; "-" is stdout. Records
 * a diagnostic and returns ITC_WRITE where that fails. */
ITC_NODISCARD itc_status itc_write_file(itc_ctx *ctx, const char *path, const void *bytes,
                                        size_t n);
/** Whole file into the arena (NUL-terminated beyond its size). Refuses more than `limit` bytes.
 * Records a diagnostic and returns ITC_IO or ITC_RANGE where that fails. */
ITC_NODISCARD itc_status itc_read_file(itc_ctx *ctx, const char *path, size_t limit, char **bytes,
                                       size_t *n);

/** SHA-256 (FIPS 180-4) of n bytes. */
void itc_sha256(const void *bytes, size_t n, uint8_t out[32]);
/** Length of the well-formed UTF-8 sequence at s (1 to 4), or 0. Reads at most n bytes. */
size_t itc_utf8_length(const char *s, size_t n);

/* ---- diagnostics ---- */

typedef struct itc_diag {
    itc_status status;
    const char *id; /**< "E0203"; listed in diag.def, never reused */
    const char *file;
    int line, col;     /**< 0 where there is none (ONNX) */
    const char *where; /**< `node "conv1" (Conv-11)` or NULL */
    const char *text;
    const struct itc_node *node;
} itc_diag;

#define ITC_MAX_DIAGS 20

/**
 * Records an error and returns its status, so that callers write `return itc_error(...)`. The
 * first error of a node is kept, at most ITC_MAX_DIAGS overall. node may be NULL.
 */
itc_status itc_error(itc_ctx *ctx, const struct itc_node *node, itc_status status, const char *id,
                     const char *fmt, ...) ITC_PRINTF(5, 6);
/** The same for a place in a text file. */
itc_status itc_error_at(itc_ctx *ctx, int line, int col, itc_status status, const char *id,
                        const char *fmt, ...) ITC_PRINTF(6, 7);
/** A remark that is printed (unless quiet) but is no error. */
void itc_note(itc_ctx *ctx, const char *fmt, ...) ITC_PRINTF(2, 3);

/** Diagnostics beyond those kept. */
int itc_diag_dropped(const itc_ctx *ctx);
/** What an id is about (diag.def); NULL: no such id. */
const char *itc_diag_meaning(const char *id);

/** The file that diagnostics name from here on. */
void itc_set_file(itc_ctx *ctx, const char *path);
const char *itc_file(const itc_ctx *ctx);
int itc_diag_count(const itc_ctx *ctx);
const itc_diag *itc_diag_get(const itc_ctx *ctx, int i);
void itc_diag_clear(itc_ctx *ctx);
/** `lenet.onnx: node "conv1" (Conv-11): error E0203: input W has rank 3, expected 4` */
void itc_diag_print(const itc_ctx *ctx, FILE *out);
int itc_note_count(const itc_ctx *ctx);
const char *itc_note_get(const itc_ctx *ctx, int i);
/** The contract's exit code of a status: 0, 2, 3 or 4. */
int itc_exit_code(itc_status s);

#endif
