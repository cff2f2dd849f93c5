#include "frontend/onnx_scope.h"

#include <string.h>

#include "frontend/onnx_model.h"

static uint32_t hash_text(const char *s)
{
    uint32_t h = 2166136261u;
    for (; *s != '\0'; s++) {
        h = (h ^ (uint8_t)*s) * 16777619u;
    }
    return h;
}

itc_scope *itc_scope_new(itc_ctx *ctx, const itc_scope *outer)
{
    itc_scope *s = ITC_NEW(ctx, itc_scope);
    s->ctx = ctx;
    s->outer = outer;
    s->prefix = "";
    if (outer) {
        s->caller = outer->caller;
        s->call = outer->call;
        s->defaults = outer->defaults;
        s->n_defaults = outer->n_defaults;
        s->depth = outer->depth + 1;
        s->prefix = outer->prefix;
    }
    return s;
}

/* ---- names: open addressing ---- */

/** Where a name is or would be; the table is not full. */
static itc_scope_entry *slot_for(const itc_scope *s, const char *name, uint32_t hash)
{
    uint32_t i = hash & (s->cap - 1);
    while (s->entry[i].name && (s->entry[i].hash != hash || strcmp(s->entry[i].name, name) != 0)) {
        i = (i + 1) & (s->cap - 1);
    }
    return &s->entry[i];
}

static void grow(itc_scope *s)
{
    const itc_scope old = *s;
    s->cap = old.cap > 0 ? old.cap * 2 : 16;
    s->entry = ITC_NEW_ARRAY(s->ctx, itc_scope_entry, s->cap);
    for (uint32_t i = 0; i < old.cap; i++) {
        if (old.entry[i].name) {
            *slot_for(s, old.entry[i].name, old.entry[i].hash) = old.entry[i];
        }
    }
}

void itc_scope_bind(itc_scope *s, const char *name, itc_binding to)
{
    if (s->n >= s->cap / 2) {
        grow(s);
    }
    const uint32_t hash = hash_text(name);
    itc_scope_entry *e = slot_for(s, name, hash);
    s->n += !e->name;
    e->name = e->name ? e->name : itc_strdup(s->ctx, name);
    e->hash = hash;
    e->to = to;
}

void itc_scope_bind_value(itc_scope *s, const char *name, itc_value *v)
{
    itc_scope_bind(s, name, (itc_binding){.kind = ITC_BIND_TENSOR, .value = v});
}

const itc_binding *itc_scope_own(const itc_scope *s, const char *name)
{
    const itc_scope_entry *e = s->cap > 0 ? slot_for(s, name, hash_text(name)) : NULL;
    return e && e->name ? &e->to : NULL;
}

const itc_binding *itc_scope_find(const itc_scope *s, const char *name)
{
    const itc_binding *b = NULL;
    for (; s && !b; s = s->outer) {
        b = itc_scope_own(s, name);
    }
    return b;
}

/* ---- attributes ---- */

const Onnx__AttributeProto *itc_scope_attr(const itc_scope *s, const Onnx__AttributeProto *a)
{
    const char *ref = itc_onnx_text(a->ref_attr_name);
    if (ref[0] == '\0' || !s->call) {
        return a;
    }
    for (size_t i = 0; i < s->call->n_attribute; i++) {
        if (strcmp(itc_onnx_text(s->call->attribute[i]->name), ref) == 0) {
            return itc_scope_attr(s->caller, s->call->attribute[i]);
        }
    }
    for (int i = 0; i < s->n_defaults; i++) {
        if (strcmp(itc_onnx_text(s->defaults[i]->name), ref) == 0) {
            return s->defaults[i];
        }
    }
    return NULL;
}

const Onnx__AttributeProto *itc_scope_node_attr(const itc_scope *s, const Onnx__NodeProto *p,
                                                const char *name)
{
    for (size_t i = 0; i < p->n_attribute; i++) {
        if (strcmp(itc_onnx_text(p->attribute[i]->name), name) == 0) {
            return itc_scope_attr(s, p->attribute[i]);
        }
    }
    return NULL;
}
