#include <string.h>

#include "ir/text.h"

/** The inside of a dot string: quotes and backslashes escaped, other odd bytes shown as '?'. */
static void escaped(itc_strbuf *b, const char *s)
{
    const size_t n = strlen(s);
    for (size_t i = 0; i < n;) {
        const size_t len = itc_utf8_length(s + i, n - i);
        if (len == 0 || (unsigned char)s[i] < 0x20 || s[i] == 0x7f) {
            itc_strbuf_add(b, "?");
        } else {
            itc_strbuf_add(b, s[i] == '"' || s[i] == '\\' ? "\\" : "");
            itc_strbuf_add_n(b, s + i, len);
        }
        i += len > 0 ? len : 1;
    }
}

static void value_node(itc_strbuf *out, const itc_graph *g, const itc_value *v)
{
    itc_strbuf_printf(out, "  v%d [shape=%s, label=\"%s ", v->id,
                      v->kind == ITC_VALUE_CONST ? "plaintext" : "ellipse",
                      itc_value_kind_name(v->kind));
    escaped(out, v->name);
    itc_strbuf_printf(out, "\\n%s\"];\n", itc_type_text(g->ctx, &v->type));
}

static void op_node(itc_strbuf *out, const itc_graph *g, const itc_node *n, int s, int i)
{
    itc_strbuf_printf(out, "    n%d_%d [label=\"", s, i);
    escaped(out, n->op ? n->op->name : n->opaque ? n->opaque : "?");
    if (n->onnx_name) {
        itc_strbuf_add(out, "\\n");
        escaped(out, n->onnx_name);
    }
    for (int k = 0; k < n->n_out; k++) {
        if (n->out[k]) {
            itc_strbuf_add(out, "\\n");
            escaped(out, n->out[k]->name);
            itc_strbuf_printf(out, " : %s", itc_type_text(g->ctx, &n->out[k]->type));
        }
    }
    itc_strbuf_add(out, "\"];\n");
}

/** Where a value comes from, as a dot identifier; place[id] is the position of its node. */
static void source(itc_strbuf *out, const itc_value *v, const int32_t *place)
{
    if (v->kind == ITC_VALUE_NODE && v->def) {
        itc_strbuf_printf(out, "n%d_%d", (int)v->def->section, place[v->id]);
    } else {
        itc_strbuf_printf(out, "v%d", v->id);
    }
}

static void edge(itc_strbuf *out, const itc_graph *g, const itc_value *v, const int32_t *place,
                 const char *to, const char *style)
{
    itc_strbuf_add(out, "  ");
    source(out, v, place);
    itc_strbuf_printf(out, " -> %s [label=\"%s\"%s];\n", to, itc_type_text(g->ctx, &v->type),
                      style);
}

static void edges(itc_strbuf *out, const itc_graph *g, const int32_t *place)
{
    for (int s = 0; s < ITC_SECTION_COUNT; s++) {
        for (int i = 0; i < g->section[s].n; i++) {
            const itc_node *n = g->section[s].node[i];
            for (int k = 0; k < n->n_in && !n->dead; k++) {
                if (n->in[k]) {
                    char to[40];
                    (void)snprintf(to, sizeof to, "n%d_%d", (int)n->section, i);
                    edge(out, g, n->in[k], place, to, "");
                }
            }
        }
    }
    for (int i = 0; i < g->n_values; i++) {
        if (g->values[i]->next_state) {
            char to[40];
            (void)snprintf(to, sizeof to, "v%d", i);
            edge(out, g, g->values[i]->next_state, place, to, ", style=dashed, constraint=false");
        }
    }
    for (int i = 0; i < g->n_outputs; i++) {
        char to[40];
        (void)snprintf(to, sizeof to, "o%d", i);
        edge(out, g, g->outputs[i].value, place, to, "");
    }
}

void itc_print_dot(const itc_graph *g, itc_strbuf *out)
{
    int32_t *place = ITC_NEW_ARRAY(g->ctx, int32_t, g->n_values);
    itc_strbuf_add(out, "digraph \"");
    escaped(out, g->name);
    itc_strbuf_add(out, "\" {\n  node [shape=box, fontname=\"sans-serif\"];\n"
                        "  edge [fontname=\"sans-serif\", fontsize=10];\n");
    for (int i = 0; i < g->n_values; i++) {
        if (g->values[i]->kind != ITC_VALUE_NODE) {
            value_node(out, g, g->values[i]);
        }
    }
    for (int s = 0; s < ITC_SECTION_COUNT; s++) {
        if (g->section[s].n == 0) {
            continue;
        }
        const char *name = itc_section_name((itc_section)s);
        itc_strbuf_printf(out, "  subgraph cluster_%s {\n    label=\"%s\";\n", name, name);
        for (int i = 0; i < g->section[s].n; i++) {
            const itc_node *n = g->section[s].node[i];
            for (int k = 0; k < n->n_out; k++) {
                if (n->out[k]) {
                    place[n->out[k]->id] = i;
                }
            }
            if (!n->dead) {
                op_node(out, g, n, (int)n->section, i);
            }
        }
        itc_strbuf_add(out, "  }\n");
    }
    for (int i = 0; i < g->n_outputs; i++) {
        itc_strbuf_printf(out, "  o%d [shape=ellipse, label=\"output ", i);
        escaped(out, g->outputs[i].name);
        itc_strbuf_add(out, "\"];\n");
    }
    edges(out, g, place);
    itc_strbuf_add(out, "}\n");
}
