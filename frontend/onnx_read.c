#include "frontend/onnx_read.h"

#include <string.h>

#include "frontend/onnx_model.h"
#include "frontend/onnx_part.h"
#include "frontend/onnx_unfold.h"

/* protobuf-c recurses once a level of nesting without a limit of its own. Real models nest a few
 * levels a subgraph. */
#define MAX_DEPTH 64
/* Packed integers grow eightfold in memory, small messages more; whoever needs more than this is
 * no model. */
#define MEMORY_PER_BYTE 16
#define MEMORY_FREE ((size_t)256 * 1024 * 1024)

/* ---- the wire format, checked before protobuf-c sees it ---- */

typedef struct cursor {
    const uint8_t *p, *end;
} cursor;

static bool take_varint(cursor *c, uint64_t *out)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 70 && c->p < c->end; shift += 7) {
        const uint8_t byte = *c->p++;
        v |= shift < 64 ? (uint64_t)(byte & 0x7f) << shift : 0;
        if (byte < 0x80) {
            *out = v;
            return true;
        }
    }
    return false;
}

/** Passes over a field's contents; a length-delimited one is left in *body. */
static bool take_field(cursor *c, unsigned wire_type, cursor *body)
{
    uint64_t n = 0;
    switch (wire_type) {
    case 0:
        return take_varint(c, &n);
    case 1:
        n = 8;
        break;
    case 2:
        if (!take_varint(c, &n)) {
            return false;
        }
        break;
    case 5:
        n = 4;
        break;
    default: /* groups: no version of ONNX has them */
        return false;
    }
    if (n > (uint64_t)(c->end - c->p)) {
        return false;
    }
    *body = (cursor){c->p, c->p + n};
    c->p += n;
    return true;
}

/**
 * Whether the bytes are a message of this shape that protobuf-c can take: well-formed fields,
 * nesting below MAX_DEPTH, no NUL in a string (names would be cut there), and no single sub-message
 * given twice (they would be merged).
 */
static bool check_message(const ProtobufCMessageDescriptor *d, cursor c, int depth)
{
    uint64_t seen = 0;
    if (depth > MAX_DEPTH) {
        return false;
    }
    while (c.p < c.end) {
        uint64_t tag;
        cursor body = {NULL, NULL};
        if (!take_varint(&c, &tag) || tag < 8 || tag > UINT32_MAX ||
            !take_field(&c, (unsigned)(tag & 7), &body)) {
            return false;
        }
        const ProtobufCFieldDescriptor *f =
            protobuf_c_message_descriptor_get_field(d, (unsigned)(tag >> 3));
        if (f && f->type == PROTOBUF_C_TYPE_STRING && body.p &&
            memchr(body.p, 0, (size_t)(body.end - body.p))) {
            return false;
        }
        if (!f || f->type != PROTOBUF_C_TYPE_MESSAGE) {
            continue;
        }
        const uint64_t bit = (uint64_t)1 << ((f - d->fields) & 63);
        if ((tag & 7) != 2 || (f->label != PROTOBUF_C_LABEL_REPEATED && (seen & bit) != 0)) {
            return false;
        }
        seen |= bit;
        if (!check_message(f->descriptor, body, depth + 1)) {
            return false;
        }
    }
    return true;
}

/* ---- memory: a second arena, with an upper limit ---- */

typedef struct budget {
    itc_ctx *arena;
    size_t left;
    bool exceeded;
} budget;

static void *budget_alloc(void *data, size_t size)
{
    budget *b = data;
    const size_t cost = size + 16;
    if (cost < size || cost > b->left) {
        b->exceeded = true;
        return NULL;
    }
    b->left -= cost;
    return itc_alloc(b->arena, size);
}

static void budget_free(void *data, void *pointer)
{
    (void)data;
    (void)pointer; /* the arena goes as a whole */
}

/* ---- reading ---- */

static itc_status unpack(itc_ctx *ctx, itc_onnx_model *m, const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    if (n == 0) {
        return itc_error(ctx, NULL, ITC_PARSE, "E0200", "the file is empty, not an ONNX model");
    }
    if (n > INT32_MAX) {
        return itc_error(ctx, NULL, ITC_RANGE, "E0217", "the model has %zu bytes, the limit is %d",
                         n, INT32_MAX);
    }
    if (!check_message(&onnx__model_proto__descriptor, (cursor){p, p + n}, 0)) {
        return itc_error(ctx, NULL, ITC_PARSE, "E0200",
                         "not an ONNX model, or a damaged one: the protobuf message is malformed");
    }
    budget b = {.arena = m->arena, .left = MEMORY_FREE + n * MEMORY_PER_BYTE};
    ProtobufCAllocator allocator = {budget_alloc, budget_free, &b};
    m->proto = onnx__model_proto__unpack(&allocator, n, p);
    if (!m->proto && b.exceeded) {
        return itc_error(ctx, NULL, ITC_RANGE, "E0217",
                         "the model's %zu bytes would take too much memory", n);
    }
    if (!m->proto) {
        return itc_error(ctx, NULL, ITC_PARSE, "E0200",
                         "not an ONNX model, or a damaged one: the protobuf message is malformed");
    }
    if (!m->proto->graph) {
        return itc_error(ctx, NULL, ITC_PARSE, "E0200", "not an ONNX model: it has no graph");
    }
    return ITC_OK;
}

itc_status itc_onnx_unpack_attribute(itc_ctx *ctx, const itc_onnx_model *m, const uint8_t *bytes,
                                     size_t n, const Onnx__AttributeProto **out)
{
    budget b = {.arena = m->arena, .left = MEMORY_FREE + n * MEMORY_PER_BYTE};
    ProtobufCAllocator allocator = {budget_alloc, budget_free, &b};
    cursor c = {bytes, bytes + n};
    uint64_t size = 0;
    const bool fits = take_varint(&c, &size) && size == (uint64_t)(c.end - c.p) &&
                      check_message(&onnx__attribute_proto__descriptor, c, 0);
    *out = fits ? onnx__attribute_proto__unpack(&allocator, (size_t)size, c.p) : NULL;
    return *out ? ITC_OK
                : itc_error(ctx, NULL, ITC_PARSE, "E0200", "a function's attribute is malformed");
}

/** `dir` has external data; NULL: none. */
static itc_status read_model(itc_ctx *ctx, const void *bytes, size_t n, const char *dir,
                             itc_onnx_model **out)
{
    itc_onnx_model *m = ITC_NEW(ctx, itc_onnx_model);
    m->arena = itc_ctx_new();
    m->dir = dir;
    const itc_status s = unpack(ctx, m, bytes, n);
    if (s != ITC_OK) {
        itc_onnx_close(m);
        return s;
    }
    itc_sha256(bytes, n, m->hash);
    m->notes = itc_onnx_read_notes(m->arena, m->proto->graph);
    itc_onnx_part(ctx, m);
    itc_onnx_unfold(ctx, m);
    *out = m;
    return ITC_OK;
}

itc_status itc_onnx_read_memory(itc_ctx *ctx, const void *bytes, size_t n, itc_onnx_model **out)
{
    return read_model(ctx, bytes, n, NULL, out);
}

/** Reads through a context of its own, so that the file's bytes go once they are unpacked. */
static itc_status read_bytes(itc_ctx *ctx, itc_ctx *scratch, const char *path, char **bytes,
                             size_t *n)
{
    const itc_status s = itc_read_file(scratch, path, INT32_MAX, bytes, n);
    if (s != ITC_OK) {
        const itc_diag *d = itc_diag_get(scratch, 0);
        return itc_error(ctx, NULL, s, d ? d->id : "E0001", "%s",
                         d ? d->text : "the file cannot be read");
    }
    return ITC_OK;
}

itc_status itc_onnx_read(itc_ctx *ctx, const char *path, itc_onnx_model **out)
{
    itc_ctx *scratch = itc_ctx_new();
    char *bytes = NULL;
    size_t n = 0;
    const bool piped = strcmp(path, "-") == 0;
    const char *slash = strrchr(path, '/');
    const char *dir = slash ? itc_strndup(ctx, path, (size_t)(slash - path) + 1) : ".";
    itc_status s = read_bytes(ctx, scratch, path, &bytes, &n);
    if (s == ITC_OK) {
        itc_set_file(ctx, path);
        s = read_model(ctx, bytes, n, piped ? NULL : dir, out);
    }
    itc_ctx_free(scratch);
    if (s != ITC_OK || piped) {
        return s;
    }
    const char *base = slash ? slash + 1 : path;
    const size_t len = strlen(base);
    const bool suffix = len > 5 && strcmp(base + len - 5, ".onnx") == 0;
    (*out)->name = itc_strndup(ctx, base, suffix ? len - 5 : len);
    return ITC_OK;
}

void itc_onnx_close(itc_onnx_model *model)
{
    if (model) {
        itc_ctx_free(model->arena);
        model->arena = NULL;
        model->proto = NULL;
    }
}

const uint8_t *itc_onnx_hash(const itc_onnx_model *model)
{
    return model->hash;
}
