#include "frontend/onnx_notes.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#define KIND "pkg.torch.export.graph_signature.InputSpec.kind"
#define FOLDED_FROM "pkg.onnxscript.optimizer.folded_from"

/* ---- a note of a message ---- */

static void *arena_alloc(void *data, size_t size)
{
    return itc_alloc(data, size);
}

static void arena_free(void *data, void *pointer)
{
    (void)data;
    (void)pointer; /* the arena goes as a whole */
}

static const char *value_of(const Onnx__StringStringEntryProto *e, const char *key)
{
    return e && e->key && strcmp(e->key, key) == 0 ? e->value : NULL;
}

/** A message of an unknown field: its length, then the message. */
static const Onnx__StringStringEntryProto *unpack_entry(itc_ctx *arena,
                                                        const ProtobufCMessageUnknownField *u)
{
    ProtobufCAllocator allocator = {arena_alloc, arena_free, arena};
    size_t at = 0;
    while (at < u->len && u->data[at] >= 0x80) {
        at++;
    }
    return at < u->len ? onnx__string_string_entry_proto__unpack(&allocator, u->len - at - 1,
                                                                 u->data + at + 1)
                       : NULL;
}

const char *itc_onnx_note(itc_ctx *arena, const ProtobufCMessage *m, unsigned field,
                          const char *key)
{
    const char *value = NULL;
    const ProtobufCFieldDescriptor *d =
        protobuf_c_message_descriptor_get_field(m->descriptor, field);
    if (d && d->label == PROTOBUF_C_LABEL_REPEATED && d->type == PROTOBUF_C_TYPE_MESSAGE) {
        const char *base = (const char *)m;
        const Onnx__StringStringEntryProto *const *list;
        size_t n = 0;
        memcpy(&list, base + d->offset, sizeof list);
        memcpy(&n, base + d->quantifier_offset, sizeof n);
        for (size_t i = 0; i < n && !value; i++) {
            value = value_of(list[i], key);
        }
    }
    for (unsigned i = 0; i < m->n_unknown_fields && !value; i++) {
        const ProtobufCMessageUnknownField *u = &m->unknown_fields[i];
        value = u->tag == field ? value_of(unpack_entry(arena, u), key) : NULL;
    }
    return value;
}

/* ---- notes of initializers ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const itc_onnx_told *)a)->name, ((const itc_onnx_told *)b)->name);
}

const itc_onnx_told *itc_onnx_told_of(const itc_onnx_notes *notes, const char *name)
{
    const itc_onnx_told key = {.name = name};
    return notes->n > 0 ? bsearch(&key, notes->list, notes->n, sizeof key, by_name) : NULL;
}

const char *itc_onnx_next_name(itc_ctx *arena, const char **at)
{
    const char *open = strchr(*at, '\'');
    const char *close = open ? strchr(open + 1, '\'') : NULL;
    if (!close) {
        return NULL;
    }
    *at = close + 1;
    return itc_strndup(arena, open + 1, (size_t)(close - open - 1));
}

static bool matches(const char *const *patterns, const char *name)
{
    bool any = false;
    for (; *patterns && !any; patterns++) {
        any = fnmatch(*patterns, name, 0) == 0;
    }
    return any;
}

/**
 * Whether an initializer is folded from buffers alone: numbers such as exponents and axes, which
 * the exporter names by itself, say nothing. Tables of positions, as rotary embeddings have them,
 * are recognised by the sines and cosines on the way, since the file has no more of the buffer.
 */
static bool is_of_buffers(itc_ctx *arena, const itc_onnx_notes *notes, const char *folded_from)
{
    static const char *const numbers[] = {"val_[0-9]*", NULL};
    static const char *const waves[] = {"sin", "sin_[0-9]*", "cos", "cos_[0-9]*", NULL};
    int buffers = 0, others = 0, tables = 0;
    for (const char *name; (name = itc_onnx_next_name(arena, &folded_from)) != NULL;) {
        const itc_onnx_told *t = itc_onnx_told_of(notes, name);
        if (t && t->kind == ITC_ONNX_PARAMETER) {
            return false;
        }
        const bool buffer = t && t->kind == ITC_ONNX_BUFFER;
        buffers += buffer;
        tables += matches(waves, name);
        others += !buffer && !matches(numbers, name);
    }
    return tables > 0 || (buffers > 0 && others == 0);
}

itc_onnx_notes itc_onnx_read_notes(itc_ctx *arena, const Onnx__GraphProto *g)
{
    itc_onnx_notes notes = {ITC_NEW_ARRAY(arena, itc_onnx_told, g->n_value_info + 1), 0};
    for (size_t i = 0; i < g->n_value_info; i++) {
        const Onnx__ValueInfoProto *v = g->value_info[i];
        const char *kind = itc_onnx_note(arena, &v->base, ITC_NOTES_OF_VALUE_INFO, KIND);
        const char *from = itc_onnx_note(arena, &v->base, ITC_NOTES_OF_VALUE_INFO, FOLDED_FROM);
        if (v->name && (kind || from)) {
            const bool parameter = kind && strcmp(kind, "PARAMETER") == 0;
            const bool buffer = kind && strcmp(kind, "BUFFER") == 0;
            notes.list[notes.n++] = (itc_onnx_told){v->name,
                                                    parameter ? ITC_ONNX_PARAMETER
                                                    : buffer  ? ITC_ONNX_BUFFER
                                                              : ITC_ONNX_UNTOLD,
                                                    from};
        }
    }
    qsort(notes.list, notes.n, sizeof *notes.list, by_name);
    for (size_t i = 0; i < notes.n; i++) {
        itc_onnx_told *t = &notes.list[i];
        if (t->folded_from && t->kind == ITC_ONNX_UNTOLD &&
            is_of_buffers(arena, &notes, t->folded_from)) {
            t->kind = ITC_ONNX_BUFFER;
        }
    }
    return notes;
}
