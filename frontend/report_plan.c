/*
 * plan.json as sections of a report: memory over time, operators, accumulators. Only what the
 * tables need is read; further members may come.
 */
#include "frontend/report_plan.h"

#include "frontend/chart.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PLAN = 1 << 28, MAX_SECTIONS = 8 };

typedef struct op_count {
    const char *op;
    int total;
    int in[MAX_SECTIONS];
} op_count;

typedef struct plan {
    itc_ctx *ctx;
    json_t *root, *nodes, *memory;
    int n;
    const char *section[MAX_SECTIONS]; /**< in the order of the plan */
    int n_sections;
} plan;

static itc_status refuse(itc_ctx *ctx, const char *what)
{
    return itc_error(ctx, NULL, ITC_PARSE, "E0621", "not a plan of intrain: %s", what);
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));
    return s ? s : "";
}

static double bytes_of(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static int section_of(plan *p, const char *name)
{
    for (int i = 0; i < p->n_sections; i++) {
        if (strcmp(p->section[i], name) == 0) {
            return i;
        }
    }
    if (p->n_sections == MAX_SECTIONS) {
        return -1;
    }
    p->section[p->n_sections] = name;
    return p->n_sections++;
}

static itc_status check(plan *p)
{
    p->nodes = json_object_get(p->root, "nodes");
    p->memory = json_object_get(p->root, "memory");
    if (!json_is_array(p->nodes) || !json_is_object(p->memory)) {
        return refuse(p->ctx, "expected an object with nodes and memory");
    }
    size_t i = 0;
    json_t *node = NULL;
    json_array_foreach(p->nodes, i, node)
    {
        if (!*text_of(node, "op") || !json_is_number(json_object_get(node, "live_bytes"))) {
            return refuse(p->ctx, "a node has an op and live_bytes, one of these does not");
        }
        if (section_of(p, text_of(node, "section")) < 0) {
            return refuse(p->ctx, "too many sections");
        }
    }
    p->n = (int)json_array_size(p->nodes);
    return ITC_OK;
}

static void row(itc_strbuf *out, const char *name, const char *value, const char *note)
{
    itc_strbuf_printf(out, "<tr><th>%s</th><td class=\"n\">%s</td><td>%s</td></tr>\n", name, value,
                      note);
}

static void write_sizes(const plan *p, itc_strbuf *out)
{
    static const struct {
        const char *key, *name, *note;
    } line[] = {
        {"parameters", "Parameters", "trained tensors, as the trainer keeps them"},
        {"other_state", "Other state", "optimizer slots, running statistics"},
        {"arena", "Arena", "activations, gradients and scratch of a step"},
        {"arena_bound", "Arena, lower bound", "largest sum of values alive at once"},
        {"ram", "RAM in all", "state, exponents and arena"},
        {"constants", "Constants", "in the program"},
        {"data", "Initial parameters", "in the data file, or embedded"},
    };
    itc_strbuf_add(out, "<table>\n");
    for (size_t i = 0; i < sizeof line / sizeof *line; i++) {
        const double n = bytes_of(p->memory, line[i].key);
        row(out, line[i].name, itc_html_bytes(p->ctx, n), line[i].note);
    }
    itc_strbuf_add(out, "</table>\n");
}

static void write_memory(const plan *p, itc_strbuf *out)
{
    double *x = ITC_NEW_ARRAY(p->ctx, double, p->n + 1);
    double *y = ITC_NEW_ARRAY(p->ctx, double, p->n + 1);
    itc_band *bands = ITC_NEW_ARRAY(p->ctx, itc_band, p->n + 1);
    int n_bands = 0;
    for (int i = 0; i < p->n; i++) {
        const json_t *node = json_array_get(p->nodes, (size_t)i);
        const char *section = text_of(node, "section");
        x[i] = i;
        y[i] = bytes_of(node, "live_bytes");
        if (n_bands == 0 || strcmp(bands[n_bands - 1].label, section) != 0) {
            bands[n_bands++] = (itc_band){section, i, i};
        }
        bands[n_bands - 1].x1 = i + 1;
    }
    const itc_series live = {"live", x, y, p->n, 0, ITC_SERIES_AREA};
    const itc_chart chart = {
        .title = "Bytes of the arena alive, node by node",
        .series = &live,
        .n_series = 1,
        .bands = bands,
        .n_bands = n_bands,
        .from_zero = true,
        .bytes = true,
    };
    itc_strbuf_add(out, "<section><h2>Memory</h2>\n<div class=\"row\"><div>");
    itc_chart_svg(&chart, out);
    itc_strbuf_add(out, "</div><div>");
    write_sizes(p, out);
    itc_strbuf_add(out, "</div></div></section>\n");
}

static int by_count(const void *a, const void *b)
{
    const op_count *x = a, *y = b;
    return x->total != y->total ? (x->total < y->total) - (x->total > y->total)
                                : strcmp(x->op, y->op);
}

static op_count *count_ops(plan *p, int *n_ops)
{
    op_count *ops = ITC_NEW_ARRAY(p->ctx, op_count, p->n + 1);
    int n = 0;
    for (int i = 0; i < p->n; i++) {
        const json_t *node = json_array_get(p->nodes, (size_t)i);
        const char *op = text_of(node, "op");
        int k = 0;
        while (k < n && strcmp(ops[k].op, op) != 0) {
            k++;
        }
        if (k == n) {
            ops[n++].op = op;
        }
        ops[k].total++;
        ops[k].in[section_of(p, text_of(node, "section"))]++;
    }
    qsort(ops, (size_t)n, sizeof *ops, by_count);
    *n_ops = n;
    return ops;
}

static void cell(itc_strbuf *out, const char *class, const char *text)
{
    itc_strbuf_printf(out, "<td%s>", class);
    itc_html_add(out, text);
    itc_strbuf_add(out, "</td>");
}

static void write_op_counts(plan *p, itc_strbuf *out)
{
    int n = 0;
    const op_count *ops = count_ops(p, &n);
    itc_strbuf_add(out, "<table>\n<tr><th>operator</th>");
    for (int s = 0; s < p->n_sections; s++) {
        itc_strbuf_add(out, "<th class=\"n\">");
        itc_html_add(out, p->section[s]);
        itc_strbuf_add(out, "</th>");
    }
    itc_strbuf_add(out, "<th class=\"n\">all</th></tr>\n");
    for (int i = 0; i < n; i++) {
        itc_strbuf_add(out, "<tr>");
        cell(out, "", ops[i].op);
        for (int s = 0; s < p->n_sections; s++) {
            cell(out, " class=\"n\"", ops[i].in[s] ? itc_format(p->ctx, "%d", ops[i].in[s]) : "");
        }
        cell(out, " class=\"n\"", itc_format(p->ctx, "%d", ops[i].total));
        itc_strbuf_add(out, "</tr>\n");
    }
    itc_strbuf_add(out, "</table>\n");
}

static void write_nodes(const plan *p, itc_strbuf *out)
{
    itc_strbuf_printf(out,
                      "<details><summary>All %d nodes</summary>\n<table>\n<tr><th>section</th>"
                      "<th>operator</th><th>from</th><th>result</th><th>type</th><th>exponent</th>"
                      "<th>rounding site</th><th class=\"n\">alive</th></tr>\n",
                      p->n);
    for (int i = 0; i < p->n; i++) {
        const json_t *node = json_array_get(p->nodes, (size_t)i);
        itc_strbuf_add(out, "<tr>");
        cell(out, "", text_of(node, "section"));
        cell(out, "", text_of(node, "op"));
        cell(out, "", text_of(node, "name"));
        cell(out, "", text_of(node, "result"));
        cell(out, " class=\"m\"", text_of(node, "type"));
        cell(out, " class=\"m\"", text_of(json_object_get(node, "exponent"), "text"));
        cell(out, " class=\"m\"", text_of(node, "site"));
        cell(out, " class=\"n\"", itc_html_bytes(p->ctx, bytes_of(node, "live_bytes")));
        itc_strbuf_add(out, "</tr>\n");
    }
    itc_strbuf_add(out, "</table></details>\n");
}

/* K, and the rows of the micro-batch where the sum runs over them. */
static const char *k_of(const plan *p, const json_t *bound)
{
    const char *k =
        itc_html_count(p->ctx, (int64_t)json_integer_value(json_object_get(bound, "k")));
    return json_is_true(json_object_get(bound, "k_times_rows")) ? itc_format(p->ctx, "%s N", k) : k;
}

static void write_bounds(const plan *p, itc_strbuf *out)
{
    const json_t *bounds = json_object_get(p->root, "accumulators");
    if (json_array_size(bounds) == 0) {
        return;
    }
    itc_strbuf_add(out, "<details><summary>Accumulators and their bounds</summary>\n<table>\n"
                        "<tr><th>node</th><th>operator</th><th class=\"n\">terms</th>"
                        "<th class=\"n\">|a| up to</th><th class=\"n\">|b| up to</th>"
                        "<th class=\"n\">worst case</th><th>type</th></tr>\n");
    size_t i = 0;
    json_t *b = NULL;
    json_array_foreach(bounds, i, b)
    {
        itc_strbuf_add(out, "<tr>");
        cell(out, "", text_of(b, "node"));
        cell(out, "", text_of(b, "op"));
        cell(out, " class=\"n\"", k_of(p, b));
        for (int k = 0; k < 2; k++) {
            const json_t *limit = json_object_get(b, k ? "limit_b" : "limit_a");
            cell(out, " class=\"n\"", itc_html_count(p->ctx, (int64_t)json_integer_value(limit)));
        }
        const unsigned long long worst = strtoull(text_of(b, "worst"), NULL, 10);
        cell(out, " class=\"n\"",
             itc_html_count(p->ctx, worst < INT64_MAX ? (int64_t)worst : INT64_MAX));
        cell(out, " class=\"m\"", text_of(b, "type"));
        itc_strbuf_add(out, "</tr>\n");
    }
    itc_strbuf_add(out, "</table></details>\n");
}

static itc_status write_plan(plan *p, itc_strbuf *out)
{
    ITC_TRY(check(p));
    write_memory(p, out);
    itc_strbuf_add(out, "<section><h2>Operators</h2>\n<p>The nodes of the planned program: ");
    itc_html_add(out, text_of(p->root, "model"));
    itc_strbuf_add(out, ", ");
    itc_html_add(out, text_of(p->root, "arith"));
    itc_strbuf_add(out, ".</p>\n");
    write_op_counts(p, out);
    write_nodes(p, out);
    write_bounds(p, out);
    itc_strbuf_add(out, "</section>\n");
    return ITC_OK;
}

itc_status itc_report_plan(itc_ctx *ctx, const char *path, itc_strbuf *out)
{
    char *bytes = NULL;
    size_t n = 0;
    itc_set_file(ctx, path);
    ITC_TRY(itc_read_file(ctx, path, MAX_PLAN, &bytes, &n));
    json_error_t error;
    plan p = {.ctx = ctx, .root = json_loadb(bytes, n, JSON_REJECT_DUPLICATES, &error)};
    if (!p.root) {
        return itc_error_at(ctx, error.line > 0 ? error.line : 1, error.column, ITC_PARSE, "E0621",
                            "not a plan of intrain: %s", error.text);
    }
    const itc_status s = write_plan(&p, out);
    json_decref(p.root);
    return s;
}
