/*
 * check: whether a model can be trained here, node by node and tensor by tensor.
 *
 * One graph is compiled to the end, which decides; a second one, taken no further than the pass
 * that tells trained tensors from others, is what the tables list.
 */
#include <string.h>

#include "codegen/codegen.h"
#include "codegen/names.h"
#include "frontend/cli.h"

typedef struct checker {
    itc_ctx *ctx;          /**< of the graph that is compiled: its diagnostics count */
    const itc_graph *list; /**< of another context */
    itc_status status;
    itc_strbuf out;
} checker;

/** Exactly what `compile` does, but for writing files. */
static itc_status compile(const itc_options *o)
{
    const itc_codegen_options opt = {.source = itc_base_name(o->args[0])};
    itc_graph *g = NULL;
    itc_strbuf text;
    itc_strbuf_init(&text, o->ctx);
    ITC_TRY(itc_driver_run(o, o->args[0], ITC_STAGE_MEMORY, &g));
    return itc_codegen_source(g, &opt, &text);
}

static itc_status load_list(const itc_options *o, itc_graph **out)
{
    const itc_pass *params = itc_pass_find("params");
    ITC_TRY(itc_driver_load(o, o->args[0], out));
    if ((*out)->stage < ITC_STAGE_SHAPE && params) {
        /* Patterns that match nothing are the other graph's error; the table is right even so. */
        const itc_status ignored = params->run(*out);
        (void)ignored;
    }
    return ITC_OK;
}

static const itc_diag *error_of(const checker *k, const itc_node *n)
{
    for (int i = 0; i < itc_diag_count(k->ctx) && n->import_id > 0; i++) {
        const itc_diag *d = itc_diag_get(k->ctx, i);
        if (d->node && d->node->import_id == n->import_id) {
            return d;
        }
    }
    return NULL;
}

typedef struct verdict {
    const char *word, *reason;
} verdict;

static verdict judge(const checker *k, const itc_node *n)
{
    const itc_diag *d = error_of(k, n);
    if (d) {
        return (verdict){"no", itc_format(k->ctx, "%s: %s", d->id, d->text)};
    }
    if (n->opaque) {
        return k->status == ITC_OK ? (verdict){"left out", "no output that is compiled needs it"}
                                   : (verdict){"no", "the operator is not supported"};
    }
    return (verdict){"yes", ""};
}

static const char *kind_of(const itc_value *v)
{
    return v->kind == ITC_VALUE_PARAM  ? "trained"
           : v->kind == ITC_VALUE_STAT ? "state"
           : v->kind == ITC_VALUE_SLOT ? "state"
                                       : "constant";
}

static bool is_listed(const itc_value *v)
{
    return v->kind == ITC_VALUE_PARAM || v->kind == ITC_VALUE_STAT || v->kind == ITC_VALUE_SLOT ||
           v->kind == ITC_VALUE_CONST;
}

static const char *node_name(itc_ctx *ctx, const itc_node *n)
{
    return n->onnx_name && *n->onnx_name
               ? n->onnx_name
               : itc_format(ctx, "(output %s)",
                            n->n_out > 0 && n->out[0] ? n->out[0]->name : "none");
}

static const char *operator_of(itc_ctx *ctx, const itc_node *n)
{
    const char *op = n->onnx_op ? n->onnx_op : n->op ? n->op->name : n->opaque;
    return n->onnx_version > 0 ? itc_format(ctx, "%s-%d", op, n->onnx_version) : op;
}

static void print_text(checker *k, const char *path)
{
    const itc_graph *g = k->list;
    int64_t trained = 0, values = 0;
    itc_strbuf_printf(&k->out, "%-5s %-32s %-22s %-8s %s\n", "node", "name", "operator", "trains",
                      "why not");
    for (int i = 0; i < g->section[ITC_FORWARD].n; i++) {
        const itc_node *n = g->section[ITC_FORWARD].node[i];
        const verdict v = judge(k, n);
        itc_strbuf_printf(&k->out, "%-5d %-32s %-22s %-8s %s\n", n->import_id, node_name(k->ctx, n),
                          operator_of(k->ctx, n), v.word, v.reason);
    }
    itc_strbuf_printf(&k->out, "\n%-38s %-22s %-9s %s\n", "tensor", "type", "kind", "why");
    for (int i = 0; i < g->n_values; i++) {
        const itc_value *v = g->values[i];
        if (!is_listed(v)) {
            continue;
        }
        if (v->kind == ITC_VALUE_PARAM) {
            trained++;
            values += v->data ? v->data->count : 0;
        }
        itc_strbuf_printf(&k->out, "%-38s %-22s %-9s %s\n", v->onnx ? v->onnx : v->name,
                          itc_type_text(k->ctx, &v->type), kind_of(v), v->reason ? v->reason : "");
    }
    itc_strbuf_printf(&k->out, "\n%s: %s; %lld trained tensors of %lld values\n", path,
                      k->status == ITC_OK ? "can be trained" : "cannot be trained",
                      (long long)trained, (long long)values);
}

static void json_member(checker *k, const char *key, const char *text)
{
    itc_strbuf_printf(&k->out, "\"%s\": %s", key, itc_name_json(k->ctx, text ? text : ""));
}

static void json_nodes(checker *k)
{
    const itc_node_list *list = &k->list->section[ITC_FORWARD];
    for (int i = 0; i < list->n; i++) {
        const itc_node *n = list->node[i];
        const verdict v = judge(k, n);
        itc_strbuf_printf(&k->out, "%s\n    {\"node\": %d, ", i ? "," : "", n->import_id);
        json_member(k, "name", n->onnx_name);
        itc_strbuf_add(&k->out, ", ");
        json_member(k, "op", n->onnx_op ? n->onnx_op : n->op ? n->op->name : n->opaque);
        itc_strbuf_printf(&k->out, ", \"version\": %d, ", n->onnx_version);
        json_member(k, "trains", v.word);
        itc_strbuf_add(&k->out, ", ");
        json_member(k, "reason", v.reason);
        itc_strbuf_add(&k->out, "}");
    }
}

static void json_tensors(checker *k)
{
    const itc_graph *g = k->list;
    bool first = true;
    for (int i = 0; i < g->n_values; i++) {
        const itc_value *v = g->values[i];
        if (!is_listed(v)) {
            continue;
        }
        itc_strbuf_add(&k->out, first ? "\n    {" : ",\n    {");
        json_member(k, "name", v->onnx ? v->onnx : v->name);
        itc_strbuf_add(&k->out, ", ");
        json_member(k, "type", itc_type_text(k->ctx, &v->type));
        itc_strbuf_add(&k->out, ", ");
        json_member(k, "kind", kind_of(v));
        itc_strbuf_add(&k->out, ", ");
        json_member(k, "reason", v->reason);
        itc_strbuf_add(&k->out, "}");
        first = false;
    }
}

static void print_json(checker *k, const char *path)
{
    itc_strbuf_add(&k->out, "{\n  ");
    json_member(k, "model", path);
    itc_strbuf_printf(&k->out, ",\n  \"trains\": %s,\n  \"nodes\": [",
                      k->status == ITC_OK ? "true" : "false");
    json_nodes(k);
    itc_strbuf_add(&k->out, "\n  ],\n  \"tensors\": [");
    json_tensors(k);
    itc_strbuf_add(&k->out, "\n  ],\n  \"errors\": [");
    for (int i = 0; i < itc_diag_count(k->ctx); i++) {
        const itc_diag *d = itc_diag_get(k->ctx, i);
        itc_strbuf_add(&k->out, i ? ",\n    {" : "\n    {");
        json_member(k, "id", d->id);
        itc_strbuf_add(&k->out, ", ");
        json_member(k, "where", d->where);
        itc_strbuf_add(&k->out, ", ");
        json_member(k, "text", d->text);
        itc_strbuf_add(&k->out, "}");
    }
    itc_strbuf_add(&k->out, "\n  ]\n}\n");
}

int itc_cmd_check(itc_cli *c)
{
    itc_options o = c->options;
    itc_graph *list = NULL;
    checker k = {.ctx = c->ctx, .status = compile(&c->options)};
    itc_status s = k.status;
    o.ctx = itc_ctx_new();
    itc_strbuf_init(&k.out, c->ctx);
    if (load_list(&o, &list) == ITC_OK) {
        k.list = list;
        if (itc_options_flag(&c->options, ITC_OPT_json)) {
            print_json(&k, c->options.args[0]);
        } else {
            print_text(&k, c->options.args[0]);
        }
        const itc_status written = itc_write_file(c->ctx, "-", k.out.text, k.out.len);
        s = s == ITC_OK ? written : s;
    }
    itc_ctx_free(o.ctx);
    return itc_exit_code(itc_driver_blame(c->options.args[0], s));
}
