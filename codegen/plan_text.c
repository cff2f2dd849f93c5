#include "codegen/plan_text.h"

#include <string.h>

#include "codegen/names.h"
#include "ir/op.h"
#include "passes/lifetime.h"
#include "passes/lower.h"
#include "passes/plan.h"

void itc_plan_measure(const itc_model_info *info, itc_plan_sizes *s)
{
    itc_graph *g = info->g;
    *s = (itc_plan_sizes){.arena = g->arena_bytes, .arena_bound = itc_live_bytes_bound(g)};
    for (int i = 0; i < g->n_values; i++) {
        const itc_value *v = g->values[i];
        const int64_t bytes =
            itc_type_elements(&v->type, 1) * (int64_t)itc_dtype_size(v->type.dtype);
        if (v->kind == ITC_VALUE_PARAM) {
            s->parameters += bytes;
        } else if (itc_value_is_state(v)) {
            s->other_state += bytes;
        } else if (v->kind == ITC_VALUE_CONST) {
            s->constants += bytes;
        }
    }
    s->ram = s->parameters + s->other_state + s->arena + 4 * (int64_t)info->n_exponents;
    s->data = s->parameters + s->other_state + 4 * (int64_t)info->n_exponents;
}

itc_plan_moment *itc_plan_timeline(const itc_model_info *info, int *count)
{
    itc_graph *g = info->g;
    int64_t *train, *eval;
    const int total = itc_live_bytes(g, &train, &eval) - 2;
    itc_plan_moment *m = ITC_NEW_ARRAY(g->ctx, itc_plan_moment, total + 1);
    for (int s = 0, at = 0; s < ITC_SECTION_COUNT; s++) {
        for (int k = 0; k < g->section[s].n; k++, at++) {
            m[at] = (itc_plan_moment){g->section[s].node[k], s < ITC_INFER ? train[at] : eval[at]};
        }
    }
    *count = total;
    return m;
}

/** "12,345" */
static const char *grouped(itc_ctx *ctx, int64_t v)
{
    char digits[32], text[48];
    (void)snprintf(digits, sizeof digits, "%lld", (long long)v);
    size_t n = strlen(digits), k = 0;
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0 && digits[i - 1] != '-') {
            text[k++] = ',';
        }
        text[k++] = digits[i];
    }
    return itc_strndup(ctx, text, k);
}

/** Bytes without NULs or control characters, for a terminal. */
static const char *shown(itc_ctx *ctx, const char *text)
{
    return itc_name_comment(ctx, text);
}

/** Ends a line of columns, the last of which may be empty. */
static void end_line(itc_strbuf *b)
{
    while (b->len > 0 && b->text[b->len - 1] == ' ') {
        b->text[--b->len] = 0;
    }
    itc_strbuf_add(b, "\n");
}

static void heading(itc_strbuf *b, const char *text)
{
    itc_strbuf_printf(b, "\n%s\n", text);
    for (size_t i = 0; i < strlen(text); i++) {
        itc_strbuf_add(b, "-");
    }
    itc_strbuf_add(b, "\n");
}

static void write_settings(const itc_graph *g, itc_strbuf *b)
{
    heading(b, "Settings");
    for (int i = 0; i < g->n_settings; i++) {
        const itc_attr *a = &g->settings[i];
        const char *v = a->kind == ITC_ATTR_STRING  ? a->u.s
                        : a->kind == ITC_ATTR_FLOAT ? itc_name_number(g->ctx, a->u.f)
                        : a->kind == ITC_ATTR_INT   ? itc_format(g->ctx, "%lld", (long long)a->u.i)
                                                    : "";
        itc_strbuf_printf(b, "%-16s %s", a->name, shown(g->ctx, v));
        end_line(b);
    }
}

static void write_tensors(const itc_model_info *info, itc_strbuf *b)
{
    static const char *const kind[] = {[ITR_PARAM] = "trained",
                                       [ITR_SLOT] = "optimizer",
                                       [ITR_STAT] = "statistics",
                                       [ITR_CONST] = "constant"};
    heading(b, "Tensors that a step changes");
    for (int i = 0; i < info->model.tensor_count; i++) {
        const itc_value *v = info->state[i];
        const char *e = itc_name_exponent(info->g->ctx, &v->exp);
        itc_strbuf_printf(b, "%-40s %-22s %-8s %s\n", shown(info->g->ctx, info->tensors[i].name),
                          itc_type_text(info->g->ctx, &v->type), e[0] ? e : "-",
                          kind[info->tensors[i].kind]);
    }
    heading(b, "Constants");
    for (int i = 0; i < info->g->n_values; i++) {
        const itc_value *v = info->g->values[i];
        if (v->kind == ITC_VALUE_CONST) {
            const char *e = itc_name_exponent(info->g->ctx, &v->exp);
            itc_strbuf_printf(b, "%-40s %-22s %-8s %s", shown(info->g->ctx, v->name),
                              itc_type_text(info->g->ctx, &v->type), e[0] ? e : "-",
                              v->reason ? shown(info->g->ctx, v->reason) : "");
            end_line(b);
        }
    }
}

/** "gemm_i8i8i32 (avx2 avx512vnni)": a kernel, and the levels of which it has code of its own. */
static const char *kernel_text(itc_ctx *ctx, const itc_kernel *k)
{
    const char *levels = "";
    for (int i = 0; itc_variant_at(i); i++) {
        const itc_variant *v = itc_variant_at(i);
        if (v->kernel == k) {
            levels = itc_format(ctx, "%s%s%s", levels, levels[0] ? " " : "", v->level);
        }
    }
    return levels[0] ? itc_format(ctx, "%s (%s)", k->name, levels) : k->name;
}

/** Adds what the records of a list run to the text of the node that each comes from. */
static void add_runs(itc_ctx *ctx, const itc_record_list *list, const char **runs)
{
    for (int i = 0; i < list->n; i++) {
        const itc_record *r = list->record[i];
        if (r->body) {
            add_runs(ctx, r->body, runs);
        } else if (r->node && (r->kind == ITC_RECORD_CALL || r->kind == ITC_RECORD_LOOP)) {
            const char **to = &runs[r->node->out[0]->id];
            *to = itc_format(ctx, "%s%s%s", *to ? *to : "", *to ? ", " : "",
                             r->kernel ? kernel_text(ctx, r->kernel) : "a loop");
        }
    }
}

/** By the first result's id: kernels or loops that make it. */
static const char **find_runs(const itc_model_info *info)
{
    const itc_program *p = info->program;
    const char **runs = ITC_NEW_ARRAY(info->g->ctx, const char *, info->g->n_values + 1);
    const itc_record_list *const list[] = {&p->prepare, &p->step, &p->infer, &p->score};
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        add_runs(info->g->ctx, list[i], runs);
    }
    return runs;
}

/** How a node runs, whether by the extremes of an operand, and in whose bytes. */
static const char *how(itc_ctx *ctx, const itc_node *n, const char *const *runs)
{
    const itc_value *v = n->n_out > 0 ? n->out[0] : NULL;
    const char *text = v && runs[v->id] ? runs[v->id] : "";
    if (n->op->alias) {
        return "no code: the operand's bytes";
    }
    if (itc_attr_find(n, "extremes_axes")) {
        text = itc_format(ctx, "%s by extremes", text);
    }
    return v && v->storage && v->storage != v ? itc_format(ctx, "%s in place", text) : text;
}

static void write_nodes(const itc_model_info *info, itc_strbuf *b)
{
    itc_graph *g = info->g;
    const char *const *runs = find_runs(info);
    heading(b,
            "Nodes: result, exponent, rounding site, kernel (instruction sets it is written for)");
    itc_strbuf_add(b,
                   "value = mantissa * 2^e; @k is entry k of the run-time exponents: measured "
                   "by a node that\nrounds, the sum that is shown, or an operand's where "
                   "mantissas only move. A kernel without instruction sets is portable C.\n"
                   "By extremes: the range of the sum is known from those of an operand, which is "
                   "read once.\n");
    for (int s = 0; s < ITC_SECTION_COUNT; s++) {
        const itc_node *before = NULL;
        for (int k = 0; k < g->section[s].n; k++) {
            const itc_node *n = g->section[s].node[k];
            if (!before || before->section != n->section) {
                itc_strbuf_printf(b, "\n%s\n", itc_section_name(n->section));
            }
            before = n;
            const itc_value *v = n->n_out > 0 ? n->out[0] : NULL;
            const char *e = v ? itc_name_exponent(g->ctx, &v->exp) : "";
            const char *name =
                itc_format(g->ctx, "%s (%s)", shown(g->ctx, itc_name_node(n)), n->op->name);
            itc_strbuf_printf(b, "  %-44s %-22s %-20s %-10s %s", name,
                              v ? itc_type_text(g->ctx, &v->type) : "", e[0] ? e : "-",
                              itc_name_site(g->ctx, n->site), how(g->ctx, n, runs));
            end_line(b);
        }
    }
}

static itc_status write_bounds(const itc_model_info *info, itc_strbuf *b)
{
    itc_graph *g = info->g;
    itc_bound *bounds = NULL;
    int count = 0;
    ITC_TRY(itc_plan_bounds(g, &bounds, &count));
    heading(b, "Accumulators: |sum| <= K * A * B");
    if (count == 0) {
        itc_strbuf_add(b, "none: the arithmetic is floating point\n");
        return ITC_OK;
    }
    itc_strbuf_printf(b,
                      "N is %lld rows. i32 holds 2,147,483,647; i64 9,223,372,036,854,775,807."
                      "\n\n",
                      (long long)itc_graph_rows(g));
    for (int i = 0; i < count; i++) {
        const itc_bound *x = &bounds[i];
        const int64_t k = x->k.size * (x->k.batch ? itc_graph_rows(g) : 1);
        itc_strbuf_printf(b, "  %-40s K = %s%s", shown(g->ctx, x->node->out[0]->name),
                          grouped(g->ctx, k), x->k.batch ? " (N rows)" : "");
        itc_strbuf_printf(b, ", A = %s", grouped(g->ctx, x->limit_a));
        itc_strbuf_printf(b, ", B = %s", grouped(g->ctx, x->limit_b));
        itc_strbuf_printf(b, ": at most %s, in %s\n", grouped(g->ctx, (int64_t)x->worst),
                          itc_dtype_name(x->chosen));
    }
    return ITC_OK;
}

static void write_sizes(const itc_model_info *info, itc_strbuf *b)
{
    itc_ctx *ctx = info->g->ctx;
    itc_plan_sizes s;
    itc_plan_measure(info, &s);
    heading(b, "Memory, in bytes");
    const struct {
        const char *what;
        int64_t bytes;
    } row[] = {{"trained tensors", s.parameters},
               {"optimizer and statistics", s.other_state},
               {"arena (peak)", s.arena},
               {"  lower bound: most alive at once", s.arena_bound},
               {"RAM: state, exponents, arena", s.ram},
               {"constants (flash)", s.constants},
               {"initial parameters (data file, or flash with --embed)", s.data}};
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        itc_strbuf_printf(b, "%-56s %16s\n", row[i].what, grouped(ctx, row[i].bytes));
    }
}

static void write_timeline(const itc_model_info *info, itc_strbuf *b)
{
    enum { BAR = 40 };
    itc_ctx *ctx = info->g->ctx;
    int count = 0;
    const itc_plan_moment *m = itc_plan_timeline(info, &count);
    const int64_t all = info->g->arena_bytes > 0 ? info->g->arena_bytes : 1;
    heading(b, "Arena over time: bytes alive while a node runs, and where its result lies");
    for (int i = 0; i < count; i++) {
        const itc_value *v = m[i].node->n_out > 0 ? m[i].node->out[0] : NULL;
        const itc_value *root = v ? itc_value_root(v) : NULL;
        const bool in_arena = root && root->kind == ITC_VALUE_NODE;
        char bar[BAR + 1];
        const int filled = (int)(m[i].live * BAR / all);
        for (int k = 0; k < BAR; k++) {
            bar[k] = k < filled ? '#' : '.';
        }
        bar[BAR] = 0;
        itc_strbuf_printf(b, "%s %14s  %-36s %s\n", bar, grouped(ctx, m[i].live),
                          v ? shown(ctx, v->name) : m[i].node->op->name,
                          !in_arena   ? "in the state"
                          : root != v ? itc_format(ctx, "in %s", shown(ctx, root->name))
                                      : itc_format(ctx, "at %lld", (long long)root->offset));
    }
}

itc_status itc_plan_text(const itc_model_info *info, itc_strbuf *out)
{
    itc_strbuf_printf(out, "%s: the plan of intrain %s\n", info->model.name, itc_version());
    write_settings(info->g, out);
    write_tensors(info, out);
    write_nodes(info, out);
    ITC_TRY(write_bounds(info, out));
    write_sizes(info, out);
    write_timeline(info, out);
    return ITC_OK;
}
