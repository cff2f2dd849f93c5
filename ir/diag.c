#include <stdlib.h>
#include <string.h>

#include "ir/ctx.h"
#include "ir/op.h"

static const struct {
    const char *id, *meaning;
} meanings[] = {
#define DIAG(id, meaning) {#id, meaning},
#include "ir/diag.def"
#undef DIAG
};

const char *itc_diag_meaning(const char *id)
{
    for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++) {
        if (strcmp(meanings[i].id, id) == 0) {
            return meanings[i].meaning;
        }
    }
    return NULL;
}

/** `node "conv1" (Conv-11)`, or `node #17 (output "x")` for a node without a name. */
static const char *describe(itc_ctx *ctx, const itc_node *n)
{
    const char *type = n->onnx_op ? n->onnx_op : n->op ? n->op->name : n->opaque;
    if (n->onnx_name && n->onnx_name[0] != '\0') {
        if (n->onnx_op && n->onnx_version > 0) {
            return itc_format(ctx, "node \"%s\" (%s-%d)", n->onnx_name, type, n->onnx_version);
        }
        return itc_format(ctx, "node \"%s\" (%s)", n->onnx_name, type ? type : "?");
    }
    const char *output = n->n_out > 0 && n->out[0] ? n->out[0]->name : "";
    if (n->import_id > 0) {
        return itc_format(ctx, "node #%d (output \"%s\")", n->import_id, output);
    }
    return itc_format(ctx, "node %s (output \"%s\")", type ? type : "?", output);
}

static bool keep(itc_ctx *ctx, const itc_node *node)
{
    for (int i = 0; node && i < ctx->n_diags; i++) {
        if (ctx->diag[i].node == node) {
            return false;
        }
    }
    if (ctx->n_diags == ITC_MAX_DIAGS) {
        ctx->n_dropped++;
        return false;
    }
    return true;
}

static char *format_list(itc_ctx *ctx, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    const int n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    char *text = itc_alloc(ctx, n > 0 ? (size_t)n + 1 : 1);
    if (n > 0) {
        (void)vsnprintf(text, (size_t)n + 1, fmt, ap);
    }
    return text;
}

itc_status itc_error(itc_ctx *ctx, const struct itc_node *node, itc_status status, const char *id,
                     const char *fmt, ...)
{
    if (!keep(ctx, node)) {
        return status;
    }
    va_list ap;
    va_start(ap, fmt);
    ctx->diag[ctx->n_diags++] = (itc_diag){.status = status,
                                           .id = id,
                                           .file = ctx->file,
                                           .line = node ? node->line : 0,
                                           .where = node ? describe(ctx, node) : NULL,
                                           .text = format_list(ctx, fmt, ap),
                                           .node = node};
    va_end(ap);
    return status;
}

itc_status itc_error_at(itc_ctx *ctx, int line, int col, itc_status status, const char *id,
                        const char *fmt, ...)
{
    if (!keep(ctx, NULL)) {
        return status;
    }
    va_list ap;
    va_start(ap, fmt);
    ctx->diag[ctx->n_diags++] = (itc_diag){.status = status,
                                           .id = id,
                                           .file = ctx->file,
                                           .line = line,
                                           .col = col,
                                           .text = format_list(ctx, fmt, ap)};
    va_end(ap);
    return status;
}

void itc_note(itc_ctx *ctx, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const char *text = format_list(ctx, fmt, ap);
    va_end(ap);
    ITC_PUSH(ctx, ctx->notes, ctx->n_notes, ctx->cap_notes, text);
}

void itc_set_file(itc_ctx *ctx, const char *path)
{
    ctx->file = path ? itc_strdup(ctx, path) : NULL;
}

const char *itc_file(const itc_ctx *ctx)
{
    return ctx->file;
}

int itc_diag_count(const itc_ctx *ctx)
{
    return ctx->n_diags;
}

int itc_diag_dropped(const itc_ctx *ctx)
{
    return ctx->n_dropped;
}

const itc_diag *itc_diag_get(const itc_ctx *ctx, int i)
{
    return i >= 0 && i < ctx->n_diags ? &ctx->diag[i] : NULL;
}

void itc_diag_clear(itc_ctx *ctx)
{
    ctx->n_diags = 0;
    ctx->n_dropped = 0;
}

void itc_diag_print(const itc_ctx *ctx, FILE *out)
{
    for (int i = 0; i < ctx->n_diags; i++) {
        const itc_diag *d = &ctx->diag[i];
        if (d->file) {
            (void)fprintf(out, "%s:", d->file);
            if (d->line > 0) {
                (void)fprintf(out, "%d:", d->line);
            }
            if (d->line > 0 && d->col > 0) {
                (void)fprintf(out, "%d:", d->col);
            }
            (void)fputc(' ', out);
        }
        if (d->where) {
            (void)fprintf(out, "%s: ", d->where);
        }
        (void)fprintf(out, "error %s: %s\n", d->id, d->text);
    }
    if (ctx->n_dropped > 0) {
        (void)fprintf(out, "%d more error%s not shown\n", ctx->n_dropped,
                      ctx->n_dropped == 1 ? "" : "s");
    }
}

int itc_note_count(const itc_ctx *ctx)
{
    return ctx->n_notes;
}

const char *itc_note_get(const itc_ctx *ctx, int i)
{
    return i >= 0 && i < ctx->n_notes ? ctx->notes[i] : NULL;
}

int itc_exit_code(itc_status s)
{
    switch (s) {
    case ITC_OK:
        return 0;
    case ITC_WRITE:
        return 3;
    case ITC_INTERNAL:
        return 4;
    case ITC_IO:
    case ITC_PARSE:
    case ITC_UNSUPPORTED:
    case ITC_SHAPE:
    case ITC_TYPE:
    case ITC_RANGE:
        break;
    }
    return 2;
}
