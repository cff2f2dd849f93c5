/*
 * check: whether a model can be trained, node by node, and what becomes of each tensor.
 */
#include <string.h>

#include "frontend/cli.h"

/** An ONNX node as it was imported, before passes rewrite the graph. */
typedef struct checked_node {
    int id;
    const char *name, *op;
    const itc_diag *diag; /**< what is wrong with it, or NULL */
} checked_node;

typedef struct findings {
    itc_ctx *ctx;
    const char *path;
    checked_node *node;
    int n_nodes;
    itc_value **tensor; /**< copies, of stage backward: later stages change types */
    int n_tensors;
    bool trainable;
} findings;

static void list_nodes(findings *f, const itc_graph *g)
{
    const itc_node_list *list = &g->section[ITC_FORWARD];
    f->node = ITC_NEW_ARRAY(f->ctx, checked_node, list->n + 1);
    f->n_nodes = g->stage == ITC_STAGE_IMPORT ? list->n : 0;
    for (int i = 0; i < f->n_nodes; i++) {
        const itc_node *n = list->node[i];
        f->node[i].id = n->import_id;
        f->node[i].name = n->onnx_name && n->onnx_name[0] ? n->onnx_name
                          : n->n_out > 0 && n->out[0]     ? n->out[0]->name
                                                          : "";
        f->node[i].op = n->opaque    ? n->opaque
                        : n->onnx_op ? itc_format(f->ctx, "%s-%d", n->onnx_op, n->onnx_version)
                                     : n->op->name;
    }
}

/** Tensors of the ONNX file, and Constant nodes that are trained. */
static bool is_listed(const itc_value *v)
{
    if (!v->onnx) {
        return false;
    }
    return v->kind == ITC_VALUE_PARAM || v->kind == ITC_VALUE_STAT ||
           (v->kind == ITC_VALUE_CONST && v->reason &&
            strcmp(v->reason, "computed from constants") != 0 &&
            strcmp(v->reason, "Constant node") != 0);
}

static const char *kind_of(const itc_value *v)
{
    return v->kind == ITC_VALUE_PARAM   ? "trained"
           : v->kind == ITC_VALUE_CONST ? "constant"
                                        : "state";
}

static const char *reason_of(const itc_value *v)
{
    if (v->kind == ITC_VALUE_CONST && strcmp(v->reason, "initializer") == 0) {
        return v->type.rank == 0 ? "a scalar" : "reaches no parameter operand";
    }
    return v->reason ? v->reason : "";
}

static void blame(findings *f)
{
    for (int i = 0; i < itc_diag_count(f->ctx); i++) {
        const itc_diag *d = itc_diag_get(f->ctx, i);
        for (int k = 0; d->node && k < f->n_nodes; k++) {
            if (f->node[k].id == d->node->import_id) {
                f->node[k].diag = d;
            }
        }
    }
}

static void json_string(itc_strbuf *b, const char *s)
{
    itc_strbuf_add(b, "\"");
    for (; s && *s; s++) {
        const unsigned char c = (unsigned char)*s;
        const size_t multi = c >= 0x80 ? itc_utf8_length(s, strlen(s)) : 1;
        if (c == '"' || c == '\\') {
            itc_strbuf_printf(b, "\\%c", c);
        } else if (c < 0x20) {
            itc_strbuf_printf(b, "\\u%04x", c);
        } else if (multi == 0) {
            itc_strbuf_add(b, "\\ufffd");
        } else {
            itc_strbuf_add_n(b, s, multi);
            s += multi - 1;
        }
    }
    itc_strbuf_add(b, "\"");
}

static void print_json(const findings *f, itc_strbuf *b)
{
    itc_strbuf_add(b, "{\"model\": ");
    json_string(b, f->path);
    itc_strbuf_printf(b, ", \"trainable\": %s,\n \"nodes\": [", f->trainable ? "true" : "false");
    for (int i = 0; i < f->n_nodes; i++) {
        const checked_node *n = &f->node[i];
        itc_strbuf_add(b, i ? ",\n  {\"name\": " : "\n  {\"name\": ");
        json_string(b, n->name);
        itc_strbuf_add(b, ", \"op\": ");
        json_string(b, n->op);
        itc_strbuf_printf(b, ", \"ok\": %s", n->diag ? "false" : "true");
        if (n->diag) {
            itc_strbuf_printf(b, ", \"id\": \"%s\", \"problem\": ", n->diag->id);
            json_string(b, n->diag->text);
        }
        itc_strbuf_add(b, "}");
    }
    itc_strbuf_add(b, "],\n \"tensors\": [");
    for (int i = 0; i < f->n_tensors; i++) {
        const itc_value *v = f->tensor[i];
        itc_strbuf_add(b, i ? ",\n  {\"name\": " : "\n  {\"name\": ");
        json_string(b, v->onnx);
        itc_strbuf_printf(b, ", \"kind\": \"%s\", \"type\": \"%s\", \"reason\": ", kind_of(v),
                          itc_type_text(f->ctx, &v->type));
        json_string(b, reason_of(v));
        itc_strbuf_add(b, "}");
    }
    itc_strbuf_add(b, "],\n \"errors\": [");
    for (int i = 0; i < itc_diag_count(f->ctx); i++) {
        const itc_diag *d = itc_diag_get(f->ctx, i);
        itc_strbuf_printf(b, "%s\n  {\"id\": \"%s\", \"where\": ", i ? "," : "", d->id);
        json_string(b, d->where);
        itc_strbuf_add(b, ", \"text\": ");
        json_string(b, d->text);
        itc_strbuf_add(b, "}");
    }
    itc_strbuf_add(b, "]}\n");
}

static void print_table(const findings *f, itc_strbuf *b)
{
    itc_strbuf_add(b, "nodes\n");
    for (int i = 0; i < f->n_nodes; i++) {
        const checked_node *n = &f->node[i];
        itc_strbuf_printf(b, "  %-36s %-26s %s%s%s\n", n->name, n->op, n->diag ? n->diag->id : "ok",
                          n->diag ? ": " : "", n->diag ? n->diag->text : "");
    }
    itc_strbuf_add(b, "tensors\n");
    for (int i = 0; i < f->n_tensors; i++) {
        const itc_value *v = f->tensor[i];
        itc_strbuf_printf(b, "  %-36s %-18s %-9s %s\n", v->onnx, itc_type_text(f->ctx, &v->type),
                          kind_of(v), reason_of(v));
    }
    itc_strbuf_printf(b, "%s %s\n", f->path,
                      f->trainable ? "can be trained" : "cannot be trained");
}

static void copy_tensors(findings *f, itc_value *const *listed, int n)
{
    f->tensor = ITC_NEW_ARRAY(f->ctx, itc_value *, n + 1);
    for (f->n_tensors = 0; f->n_tensors < n; f->n_tensors++) {
        f->tensor[f->n_tensors] = ITC_NEW(f->ctx, itc_value);
        *f->tensor[f->n_tensors] = *listed[f->n_tensors];
    }
}

int itc_cmd_check(itc_cli *c)
{
    itc_graph *g = NULL;
    findings f = {.ctx = c->ctx, .path = c->options.args[0]};
    const itc_pipeline_options pipeline = itc_driver_pipeline(&c->options);
    itc_status s = itc_driver_load(&c->options, f.path, &g);
    if (s != ITC_OK) {
        return itc_exit_code(s);
    }
    list_nodes(&f, g);
    int n = 0;
    itc_value **listed = ITC_NEW_ARRAY(c->ctx, itc_value *, g->n_values + 1);
    for (int i = 0; i < g->n_values; i++) {
        if (is_listed(g->values[i])) {
            listed[n++] = g->values[i];
        }
    }
    if (g->stage < ITC_STAGE_BACKWARD) {
        s = itc_run_to(g, ITC_STAGE_BACKWARD, &pipeline);
    }
    copy_tensors(&f, listed, n);
    if (s == ITC_OK) {
        s = itc_run_to(g, ITC_STAGE_MEMORY, &pipeline);
    }
    f.trainable = s == ITC_OK;
    blame(&f);
    itc_strbuf text;
    itc_strbuf_init(&text, c->ctx);
    if (itc_options_flag(&c->options, ITC_OPT_json)) {
        print_json(&f, &text);
    } else {
        print_table(&f, &text);
    }
    const itc_status written = itc_write_file(c->ctx, "-", text.text, text.len);
    return itc_exit_code(s != ITC_OK ? s : written);
}
