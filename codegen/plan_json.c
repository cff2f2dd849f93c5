/*
 * plan.json: what plan.txt says, for programs. Numbers that may exceed 2^53 are strings.
 */
#include "codegen/names.h"
#include "codegen/plan_text.h"
#include "ir/op.h"
#include "passes/lifetime.h"
#include "passes/lower.h"
#include "passes/plan.h"

typedef struct writer {
    itc_strbuf *b;
    itc_ctx *ctx;
    bool first;
} writer;

static void item(writer *w)
{
    itc_strbuf_add(w->b, w->first ? "\n    " : ",\n    ");
    w->first = false;
}

static void begin(writer *w, const char *key)
{
    itc_strbuf_printf(w->b, ",\n  \"%s\": [", key);
    w->first = true;
}

static void end(writer *w)
{
    itc_strbuf_add(w->b, w->first ? "]" : "\n  ]");
}

static const char *text(writer *w, const char *s)
{
    return itc_name_json(w->ctx, s);
}

static void write_exp(writer *w, const itc_exp *e)
{
    if (e->kind == ITC_EXP_NONE || e->kind == ITC_EXP_OPEN) {
        itc_strbuf_add(w->b, ", \"exponent\": null");
        return;
    }
    itc_strbuf_printf(w->b, ", \"exponent\": {\"text\": %s, \"slot\": %d",
                      text(w, itc_name_exponent(w->ctx, e)), e->slot);
    if (e->kind == ITC_EXP_SUM) {
        itc_strbuf_printf(w->b, ", \"offset\": %d, \"terms\": [", e->offset);
        for (int i = 0; i < e->n_terms; i++) {
            itc_strbuf_printf(w->b, "%s%d", i > 0 ? ", " : "", e->term[i]);
        }
        itc_strbuf_add(w->b, "]");
    }
    itc_strbuf_add(w->b, "}");
}

static void write_tensors(writer *w, const itc_model_info *info)
{
    static const char *const kind[] = {[ITR_PARAM] = "trained",
                                       [ITR_SLOT] = "optimizer",
                                       [ITR_STAT] = "statistics",
                                       [ITR_CONST] = "constant"};
    begin(w, "tensors");
    for (int i = 0; i < info->model.tensor_count; i++) {
        const itc_value *v = info->state[i];
        item(w);
        itc_strbuf_printf(w->b, "{\"name\": %s, \"kind\": \"%s\", \"type\": %s",
                          text(w, info->tensors[i].name), kind[info->tensors[i].kind],
                          text(w, itc_type_text(w->ctx, &v->type)));
        write_exp(w, &v->exp);
        itc_strbuf_add(w->b, "}");
    }
    for (int i = 0; i < info->g->n_values; i++) {
        const itc_value *v = info->g->values[i];
        if (v->kind == ITC_VALUE_CONST) {
            item(w);
            itc_strbuf_printf(w->b, "{\"name\": %s, \"kind\": \"constant\", \"type\": %s",
                              text(w, v->name), text(w, itc_type_text(w->ctx, &v->type)));
            write_exp(w, &v->exp);
            itc_strbuf_add(w->b, "}");
        }
    }
    end(w);
}

/** What a call reads and writes at least once: its traffic, were nothing in a cache. */
static int64_t bytes_of(const itc_graph *g, const itc_node *n)
{
    int64_t sum = 0;
    if (n->op->alias) {
        return 0;
    }
    for (int i = 0; i < n->n_in; i++) {
        sum += n->in[i] ? itc_value_bytes(g, n->in[i]) : 0;
    }
    for (int i = 0; i < n->n_out; i++) {
        sum += n->out[i] ? itc_value_bytes(g, n->out[i]) : 0;
    }
    return sum;
}

/**
 * Products that the calls sum, by the number of their result; those with padding count, and 0 is
 * what multiplies nothing.
 */
static const int64_t *products_of(const itc_graph *g, const itc_bound *bounds, int count)
{
    int64_t *products = ITC_NEW_ARRAY(g->ctx, int64_t, g->n_values + 1);
    for (int i = 0; i < count; i++) {
        const itc_bound *x = &bounds[i];
        const itc_value *v = x->node->out[0];
        const int64_t rows = x->node->section < ITC_INFER ? itc_graph_rows(g) : 1;
        const int64_t k = x->k.size * (x->k.batch ? rows : 1);
        const int64_t n = itc_type_elements(&v->type, rows);
        if (x->limit_a > 1 && x->limit_b > 1 && k > 0) {
            products[v->id] = n < INT64_MAX / k ? n * k : INT64_MAX;
        }
    }
    return products;
}

static void write_work(writer *w, const itc_graph *g, const itc_node *n, const int64_t *products)
{
    itc_strbuf_add(w->b, ", \"operands\": [");
    for (int i = 0; i < n->n_in; i++) {
        itc_strbuf_printf(w->b, "%s%s", i > 0 ? ", " : "",
                          n->in[i] ? text(w, n->in[i]->name) : "null");
    }
    itc_strbuf_printf(w->b, "], \"bytes\": %lld, \"multiply_adds\": %lld",
                      (long long)bytes_of(g, n),
                      (long long)(n->n_out > 0 ? products[n->out[0]->id] : 0));
}

static void write_nodes(writer *w, const itc_model_info *info, const int64_t *products)
{
    int count = 0;
    const itc_plan_moment *m = itc_plan_timeline(info, &count);
    begin(w, "nodes");
    for (int i = 0; i < count; i++) {
        const itc_node *n = m[i].node;
        const itc_value *v = n->n_out > 0 ? n->out[0] : NULL;
        item(w);
        itc_strbuf_printf(w->b, "{\"section\": \"%s\", \"op\": %s, \"name\": %s",
                          itc_section_name(n->section), text(w, n->op->name),
                          text(w, itc_name_node(n)));
        itc_strbuf_printf(w->b, ", \"site\": %s, \"live_bytes\": %lld",
                          n->site ? text(w, itc_name_site(w->ctx, n->site)) : "null",
                          (long long)m[i].live);
        write_work(w, info->g, n, products);
        if (v) {
            const itc_value *root = itc_value_root(v);
            itc_strbuf_printf(w->b, ", \"result\": %s, \"type\": %s, \"storage\": %s",
                              text(w, v->name), text(w, itc_type_text(w->ctx, &v->type)),
                              text(w, root->name));
            itc_strbuf_printf(w->b, ", \"offset\": %lld",
                              (long long)(root->kind == ITC_VALUE_NODE ? root->offset : -1));
            write_exp(w, &v->exp);
        }
        itc_strbuf_add(w->b, "}");
    }
    end(w);
}

static void write_bounds(writer *w, const itc_bound *bounds, int count)
{
    begin(w, "accumulators");
    for (int i = 0; i < count; i++) {
        const itc_bound *x = &bounds[i];
        item(w);
        itc_strbuf_printf(w->b, "{\"node\": %s, \"result\": %s, \"op\": %s",
                          text(w, itc_name_node(x->node)), text(w, x->node->out[0]->name),
                          text(w, x->node->op->name));
        itc_strbuf_printf(w->b, ", \"k\": %lld, \"k_times_rows\": %s", (long long)x->k.size,
                          x->k.batch ? "true" : "false");
        itc_strbuf_printf(w->b, ", \"limit_a\": %lld, \"limit_b\": %lld", (long long)x->limit_a,
                          (long long)x->limit_b);
        itc_strbuf_printf(w->b, ", \"worst\": \"%llu\", \"type\": \"%s\"}",
                          (unsigned long long)x->worst, itc_dtype_name(x->chosen));
    }
    end(w);
}

static void write_memory(writer *w, const itc_model_info *info)
{
    itc_plan_sizes s;
    itc_plan_measure(info, &s);
    itc_strbuf_printf(w->b, ",\n  \"memory\": {\"parameters\": %lld, \"other_state\": %lld",
                      (long long)s.parameters, (long long)s.other_state);
    itc_strbuf_printf(w->b, ", \"arena\": %lld, \"arena_bound\": %lld", (long long)s.arena,
                      (long long)s.arena_bound);
    itc_strbuf_printf(w->b, ", \"ram\": %lld, \"constants\": %lld, \"data\": %lld}",
                      (long long)s.ram, (long long)s.constants, (long long)s.data);
}

itc_status itc_plan_json(const itc_model_info *info, itc_strbuf *out)
{
    writer w = {.b = out, .ctx = info->g->ctx};
    const itr_model *m = &info->model;
    itc_bound *bounds = NULL;
    int count = 0;
    ITC_TRY(itc_plan_bounds(info->g, &bounds, &count));
    itc_strbuf_printf(out, "{\n  \"model\": %s,\n  \"compiler\": %s,\n  \"arith\": %s",
                      text(&w, m->name), text(&w, m->compiler), text(&w, m->arith));
    itc_strbuf_printf(out, ",\n  \"batch\": %d,\n  \"micro_batch\": %d,\n  \"exponents\": %d",
                      m->batch, m->micro_batch, info->n_exponents);
    itc_strbuf_printf(out, ",\n  \"settings\": %s", m->settings_json);
    write_tensors(&w, info);
    write_nodes(&w, info, products_of(info->g, bounds, count));
    write_bounds(&w, bounds, count);
    write_memory(&w, info);
    itc_strbuf_add(out, "\n}\n");
    return ITC_OK;
}
