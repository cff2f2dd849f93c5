#include <math.h>
#include <string.h>

#include "ir/text.h"

/** A JSON string. Bytes that are no UTF-8 become U+FFFD: JSON cannot hold them. */
static void string(itc_strbuf *b, const char *s)
{
    const size_t n = strlen(s);
    itc_strbuf_add(b, "\"");
    for (size_t i = 0; i < n;) {
        const size_t len = itc_utf8_length(s + i, n - i);
        if (len == 0) {
            itc_strbuf_add(b, "\xef\xbf\xbd");
        } else if ((unsigned char)s[i] < 0x20) {
            itc_strbuf_printf(b, "\\u%04x", (unsigned)(unsigned char)s[i]);
        } else {
            itc_strbuf_add(b, s[i] == '"' || s[i] == '\\' ? "\\" : "");
            itc_strbuf_add_n(b, s + i, len);
        }
        i += len > 0 ? len : 1;
    }
    itc_strbuf_add(b, "\"");
}

static void key(itc_strbuf *b, const char *name, bool *first)
{
    itc_strbuf_add(b, *first ? "" : ", ");
    *first = false;
    string(b, name);
    itc_strbuf_add(b, ": ");
}

static void integer(itc_strbuf *b, int64_t v)
{
    itc_strbuf_printf(b, "%lld", (long long)v);
}

/** JSON has no infinities and no NaN: those are strings. */
static void number(itc_strbuf *b, double v)
{
    const char *quote = isnan(v) || isinf(v) ? "\"" : "";
    itc_strbuf_add(b, quote);
    itc_text_number(b, v);
    itc_strbuf_add(b, quote);
}

static void name_or_null(itc_strbuf *b, const itc_value *v)
{
    if (v) {
        string(b, v->name);
    } else {
        itc_strbuf_add(b, "null");
    }
}

static void type(itc_strbuf *b, const itc_type *t)
{
    if (!t->known) {
        itc_strbuf_add(b, "null");
        return;
    }
    itc_strbuf_printf(b, "{\"dtype\": \"%s\", \"dims\": [", itc_dtype_name(t->dtype));
    for (int i = 0; i < t->rank; i++) {
        itc_strbuf_add(b, i > 0 ? ", " : "");
        if (!t->dim[i].batch) {
            integer(b, t->dim[i].size);
        } else if (t->dim[i].size == 1) {
            itc_strbuf_add(b, "\"N\"");
        } else {
            itc_strbuf_printf(b, "\"%lldN\"", (long long)t->dim[i].size);
        }
    }
    itc_strbuf_add(b, "]}");
}

static void tensor(itc_strbuf *b, const itc_tensor *t)
{
    const itc_type own = itc_tensor_type(t);
    itc_strbuf_add(b, "{\"type\": ");
    type(b, &own);
    if (t->data && t->count <= ITC_INLINE_ELEMENTS) {
        itc_strbuf_add(b, ", \"values\": [");
        for (int64_t i = 0; i < t->count; i++) {
            itc_strbuf_add(b, i > 0 ? ", " : "");
            if (t->dtype == ITC_F32) {
                number(b, itc_tensor_get(t, i));
            } else if (t->batch && t->batch[i] != 0) {
                itc_strbuf_printf(b, "\"%lldN\"", (long long)itc_tensor_get_int(t, i));
            } else {
                integer(b, itc_tensor_get_int(t, i));
            }
        }
        itc_strbuf_add(b, "]");
    }
    itc_strbuf_add(b, "}");
}

static void coef(itc_strbuf *b, itc_coef c)
{
    itc_strbuf text;
    itc_strbuf_init(&text, b->ctx);
    itc_text_coef(&text, c);
    string(b, text.text);
}

static void attr_value(itc_strbuf *b, const itc_attr *a)
{
    switch (a->kind) {
    case ITC_ATTR_INT:
        integer(b, a->u.i);
        return;
    case ITC_ATTR_FLOAT:
        number(b, a->u.f);
        return;
    case ITC_ATTR_STRING:
        string(b, a->u.s);
        return;
    case ITC_ATTR_TENSOR:
        tensor(b, a->u.tensor);
        return;
    case ITC_ATTR_INTS:
    case ITC_ATTR_FLOATS:
    case ITC_ATTR_COEFS:
        break;
    }
    itc_strbuf_add(b, "[");
    for (int i = 0; i < a->n; i++) {
        itc_strbuf_add(b, i > 0 ? ", " : "");
        if (a->kind == ITC_ATTR_INTS) {
            integer(b, a->u.ints[i]);
        } else if (a->kind == ITC_ATTR_FLOATS) {
            number(b, a->u.floats[i]);
        } else {
            coef(b, a->u.coefs[i]);
        }
    }
    itc_strbuf_add(b, "]");
}

static void attributes(itc_strbuf *b, const itc_attr *attrs, int n)
{
    bool first = true;
    itc_strbuf_add(b, "{");
    for (int i = 0; i < n; i++) {
        key(b, attrs[i].name, &first);
        attr_value(b, &attrs[i]);
    }
    itc_strbuf_add(b, "}");
}

static void exponent(itc_strbuf *b, const itc_exp *e)
{
    itc_strbuf text;
    itc_strbuf_init(&text, b->ctx);
    itc_text_exp(&text, e);
    string(b, text.text);
}

static void value(itc_strbuf *b, const itc_value *v)
{
    bool first = true;
    itc_strbuf_add(b, "    {");
    key(b, "name", &first);
    string(b, v->name);
    key(b, "kind", &first);
    string(b, itc_value_kind_name(v->kind));
    key(b, "type", &first);
    type(b, &v->type);
    if (v->type.bits > 0) {
        key(b, "bits", &first);
        integer(b, v->type.bits);
    }
    if (v->type.exp_axis >= 0) {
        key(b, "axis", &first);
        integer(b, v->type.exp_axis);
    }
    if (v->exp.kind != ITC_EXP_NONE) {
        key(b, "exponent", &first);
        exponent(b, &v->exp);
    }
    if (v->data) {
        key(b, "data", &first);
        tensor(b, v->data);
    }
    if (v->init_exp != 0) {
        key(b, "init_exp", &first);
        integer(b, v->init_exp);
    }
    if (v->next_state) {
        key(b, "next", &first);
        string(b, v->next_state->name);
    }
    if (v->onnx) {
        key(b, "onnx", &first);
        string(b, v->onnx);
    }
    if (v->reason) {
        key(b, "why", &first);
        string(b, v->reason);
    }
    if (v->offset >= 0) {
        key(b, "offset", &first);
        integer(b, v->offset);
    }
    if (v->storage) {
        key(b, "storage", &first);
        string(b, v->storage->name);
    }
    itc_strbuf_add(b, "}");
}

static void value_names(itc_strbuf *b, itc_value *const *v, int n)
{
    itc_strbuf_add(b, "[");
    for (int i = 0; i < n; i++) {
        itc_strbuf_add(b, i > 0 ? ", " : "");
        name_or_null(b, v[i]);
    }
    itc_strbuf_add(b, "]");
}

static void node(itc_strbuf *b, const itc_node *n)
{
    bool first = true;
    itc_strbuf_add(b, "      {");
    key(b, "op", &first);
    string(b, n->op ? n->op->name : n->opaque ? n->opaque : "");
    key(b, "section", &first);
    string(b, itc_section_name(n->section));
    key(b, "known", &first);
    itc_strbuf_add(b, n->op ? "true" : "false");
    key(b, "inputs", &first);
    value_names(b, n->in, n->n_in);
    key(b, "outputs", &first);
    value_names(b, n->out, n->n_out);
    key(b, "attributes", &first);
    attributes(b, n->attrs, n->n_attrs);
    if (n->site != 0) {
        itc_strbuf text;
        itc_strbuf_init(&text, b->ctx);
        itc_text_site(&text, n->site);
        key(b, "site", &first);
        string(b, text.text);
    }
    key(b, "import_id", &first);
    integer(b, n->import_id);
    if (n->onnx_name) {
        key(b, "onnx_name", &first);
        string(b, n->onnx_name);
    }
    if (n->onnx_op) {
        key(b, "onnx_op", &first);
        string(b, n->onnx_op);
        key(b, "onnx_version", &first);
        integer(b, n->onnx_version);
    }
    itc_strbuf_add(b, "}");
}

static void sections(itc_strbuf *out, const itc_graph *g)
{
    for (int s = 0; s < ITC_SECTION_COUNT; s++) {
        itc_strbuf_printf(out, "%s    \"%s\": [", s > 0 ? ",\n" : "",
                          itc_section_name((itc_section)s));
        int printed = 0;
        for (int i = 0; i < g->section[s].n; i++) {
            if (!g->section[s].node[i]->dead) {
                itc_strbuf_add(out, printed++ > 0 ? ",\n" : "\n");
                node(out, g->section[s].node[i]);
            }
        }
        itc_strbuf_add(out, printed > 0 ? "\n    ]" : "]");
    }
}

void itc_print_json(const itc_graph *g, itc_strbuf *out)
{
    itc_strbuf_add(out, "{\n  \"itc\": 1,\n  \"name\": ");
    string(out, g->name);
    itc_strbuf_printf(out, ",\n  \"stage\": \"%s\",\n  \"opset\": %d,\n  \"rows\": %d,\n  \"settings\": ",
                      itc_stage_name(g->stage), g->opset, g->rows);
    attributes(out, g->settings, g->n_settings);
    itc_strbuf_add(out, ",\n  \"model_sha256\": \"");
    itc_text_hex(out, g->model_hash, (int)sizeof g->model_hash);
    itc_strbuf_printf(out, "\",\n  \"exponents\": %d,\n  \"arena_bytes\": %lld,\n  \"values\": [",
                      g->n_exponents, (long long)g->arena_bytes);
    for (int i = 0; i < g->n_values; i++) {
        itc_strbuf_add(out, i > 0 ? ",\n" : "\n");
        value(out, g->values[i]);
    }
    itc_strbuf_add(out, g->n_values > 0 ? "\n  ],\n" : "],\n");
    itc_strbuf_add(out, "  \"sections\": {\n");
    sections(out, g);
    itc_strbuf_add(out, "\n  },\n  \"outputs\": [");
    for (int i = 0; i < g->n_outputs; i++) {
        itc_strbuf_add(out, i > 0 ? ", {\"name\": " : "{\"name\": ");
        string(out, g->outputs[i].name);
        itc_strbuf_add(out, ", \"value\": ");
        string(out, g->outputs[i].value->name);
        itc_strbuf_add(out, "}");
    }
    itc_strbuf_add(out, "]\n}\n");
}
