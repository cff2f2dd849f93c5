/*
 * check: whether a model can be trained here, node by node and tensor by tensor.
 *
 * First what is in the way, with what would help (check_help.def); then all nodes and tensors.
 * One graph is compiled to the end, which decides; a second one, taken no further than the pass
 * that tells trained tensors from others, is what the tables list.
 */
#include <string.h>

#include "codegen/codegen.h"
#include "codegen/names.h"
#include "frontend/cli.h"

typedef struct checker {
    itc_ctx *ctx;          /**< of the graph that is compiled: its diagnostics count */
    const itc_graph *list; /**< of another context; NULL: it cannot be imported */
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
                                   : (verdict){"no", "E0201: the operator is not supported"};
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

/** What would help against an error; "" where nothing general can be said. */
static const char *help_of(const char *id)
{
    static const struct {
        const char *id, *text;
    } help[] = {
#define HELP(id, text) {#id, text},
#include "frontend/check_help.def"
#undef HELP
    };
    for (size_t i = 0; i < sizeof help / sizeof help[0]; i++) {
        if (strcmp(help[i].id, id) == 0) {
            return help[i].text;
        }
    }
    return "";
}

/** Columns as wide as what they hold, up to MAX_WIDTH; the last one as it comes. */
enum { MAX_WIDTH = 48, COLUMNS = 5 };

typedef struct table {
    itc_ctx *ctx;
    const char **cell; /**< COLUMNS a row, the heading first; NULL: fewer columns */
    int n, cap;
} table;

static void add_row(table *t, const char *a, const char *b, const char *c, const char *d,
                    const char *e)
{
    const char *const row[COLUMNS] = {a, b, c, d, e};
    for (int i = 0; i < COLUMNS; i++) {
        ITC_PUSH(t->ctx, t->cell, t->n, t->cap, row[i]);
    }
}

static void print_table(const table *t, itc_strbuf *out)
{
    int width[COLUMNS] = {0};
    for (int i = 0; i < t->n; i++) {
        const size_t n = t->cell[i] ? strlen(t->cell[i]) : 0;
        const int w = n > MAX_WIDTH ? MAX_WIDTH : (int)n;
        width[i % COLUMNS] = w > width[i % COLUMNS] ? w : width[i % COLUMNS];
    }
    for (int i = 0; i < t->n; i++) {
        const bool last = i % COLUMNS == COLUMNS - 1 || !t->cell[i + 1];
        if (!t->cell[i]) {
            continue;
        }
        if (!last) {
            itc_strbuf_printf(out, "%-*s  ", width[i % COLUMNS], t->cell[i]);
            continue;
        }
        itc_strbuf_add(out, t->cell[i]);
        while (out->text[out->len - 1] == ' ') {
            out->text[--out->len] = '\0';
        }
        itc_strbuf_add(out, "\n");
    }
}

static void print_obstacle(checker *k, const char *where, const char *id, const char *text)
{
    const char *help = help_of(id);
    itc_strbuf_printf(&k->out, "  %s%s%s: %s\n", where, *where ? ": " : "", id, text);
    if (*help) {
        itc_strbuf_printf(&k->out, "      what would help: %s\n", help);
    }
}

/** An operator without a row is no error where nothing needs it, and may be why nothing is left to
 * train: each is named once. */
static void print_opaque(checker *k)
{
    const itc_node_list *list = &k->list->section[ITC_FORWARD];
    for (int i = 0; i < list->n; i++) {
        const itc_node *n = list->node[i];
        bool first = n->opaque && !error_of(k, n);
        for (int j = 0; j < i && first; j++) {
            first = !list->node[j]->opaque || strcmp(list->node[j]->opaque, n->opaque) != 0;
        }
        if (first) {
            print_obstacle(
                k, itc_format(k->ctx, "%s, from node #%d on", operator_of(k->ctx, n), n->import_id),
                "E0201", "the operator is not supported");
        }
    }
}

/** Every error with its place and what would help. */
static void print_obstacles(checker *k)
{
    if (k->status == ITC_OK) {
        return;
    }
    itc_strbuf_add(&k->out, "what is in the way\n");
    for (int i = 0; i < itc_diag_count(k->ctx); i++) {
        const itc_diag *d = itc_diag_get(k->ctx, i);
        print_obstacle(k, d->where ? d->where : "", d->id, d->text);
    }
    if (itc_diag_dropped(k->ctx) > 0) {
        itc_strbuf_printf(&k->out, "  and %d more\n", itc_diag_dropped(k->ctx));
    }
    if (k->list) {
        print_opaque(k);
    }
    itc_strbuf_add(&k->out, "\n");
}

static void print_nodes(checker *k)
{
    const itc_node_list *list = &k->list->section[ITC_FORWARD];
    table t = {.ctx = k->ctx};
    add_row(&t, "node", "name", "operator", "trains", "why not");
    for (int i = 0; i < list->n; i++) {
        const itc_node *n = list->node[i];
        const verdict v = judge(k, n);
        add_row(&t, itc_format(k->ctx, "%d", n->import_id), node_name(k->ctx, n),
                operator_of(k->ctx, n), v.word, v.reason);
    }
    print_table(&t, &k->out);
}

static void print_text(checker *k, const char *path)
{
    const itc_graph *g = k->list;
    const char *answer = k->status == ITC_OK ? "can be trained" : "cannot be trained";
    int64_t trained = 0, values = 0;
    print_obstacles(k);
    if (!g) {
        itc_strbuf_printf(&k->out, "%s: %s\n", path, answer);
        return;
    }
    print_nodes(k);
    table t = {.ctx = k->ctx};
    add_row(&t, "tensor", "type", "kind", "why", NULL);
    for (int i = 0; i < g->n_values; i++) {
        const itc_value *v = g->values[i];
        if (!is_listed(v)) {
            continue;
        }
        if (v->kind == ITC_VALUE_PARAM) {
            trained++;
            values += v->data ? v->data->count : 0;
        }
        add_row(&t, v->onnx ? v->onnx : v->name, itc_type_text(k->ctx, &v->type), kind_of(v),
                v->reason ? v->reason : "", NULL);
    }
    itc_strbuf_add(&k->out, "\n");
    print_table(&t, &k->out);
    itc_strbuf_printf(&k->out, "\n%s: %s; %lld trained tensors of %lld values\n", path, answer,
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
    if (k->list) {
        json_nodes(k);
    }
    itc_strbuf_add(&k->out, "\n  ],\n  \"tensors\": [");
    if (k->list) {
        json_tensors(k);
    }
    itc_strbuf_add(&k->out, "\n  ],\n  \"errors\": [");
    for (int i = 0; i < itc_diag_count(k->ctx); i++) {
        const itc_diag *d = itc_diag_get(k->ctx, i);
        itc_strbuf_add(&k->out, i ? ",\n    {" : "\n    {");
        json_member(k, "id", d->id);
        itc_strbuf_add(&k->out, ", ");
        json_member(k, "where", d->where);
        itc_strbuf_add(&k->out, ", ");
        json_member(k, "text", d->text);
        itc_strbuf_add(&k->out, ", ");
        json_member(k, "help", help_of(d->id));
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
    }
    if (itc_options_flag(&c->options, ITC_OPT_json)) {
        print_json(&k, c->options.args[0]);
    } else {
        print_text(&k, c->options.args[0]);
    }
    const itc_status written = itc_write_file(c->ctx, "-", k.out.text, k.out.len);
    s = s == ITC_OK ? written : s;
    itc_ctx_free(o.ctx);
    return itc_exit_code(itc_driver_blame(c->options.args[0], s));
}
