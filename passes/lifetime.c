#include "passes/lifetime.h"
#include "passes/lower.h"

#include <stdlib.h>

itc_value *itc_storage_root(itc_value *v)
{
    while (v->storage && v->storage != v) {
        v = v->storage;
    }
    return v;
}

int64_t itc_value_bytes(const itc_graph *g, const itc_value *v)
{
    const bool eval = v->def && v->def->section >= ITC_INFER;
    return itc_type_elements(&v->type, eval ? 1 : itc_graph_rows(g)) *
           (int64_t)itc_dtype_size(v->type.dtype);
}

static void extend(itc_span *s, int at)
{
    if (s->start > s->end) {
        s->start = s->end = at;
    } else if (at > s->end) {
        s->end = at;
    } else if (at < s->start) {
        s->start = at;
    }
}

static void touch(itc_lifetime *all, itc_value *v, itc_section s, int at, int loop_end)
{
    if (!v) {
        return;
    }
    itc_value *root = itc_storage_root(v);
    itc_lifetime *l = &all[root->id];
    if (s < ITC_INFER) {
        extend(&l->train, at);
    }
    if (s == ITC_PREPARE || s >= ITC_INFER) {
        extend(&l->eval, at);
    }
    /* what is made before a loop and read in it is read again in the next round */
    const bool outside = !root->def || root->def->section == ITC_PREPARE;
    if (outside && loop_end >= 0 && s != ITC_PREPARE && s != ITC_UPDATE) {
        extend(s < ITC_INFER ? &l->train : &l->eval, loop_end);
    }
}

itc_lifetime *itc_lifetimes(itc_graph *g)
{
    itc_lifetime *all = ITC_NEW_ARRAY(g->ctx, itc_lifetime, g->n_values + 1);
    for (int i = 0; i <= g->n_values; i++) {
        all[i].train = all[i].eval = (itc_span){1, 0};
    }
    int first[ITC_SECTION_COUNT + 1] = {0};
    for (int s = 0; s < ITC_SECTION_COUNT; s++) {
        first[s + 1] = first[s] + g->section[s].n;
    }
    const bool repeats = itc_graph_repeats(g);
    const int train_loop = repeats ? first[ITC_UPDATE] - 1 : -1;
    const int eval_loop = first[ITC_SECTION_COUNT];
    for (int s = 0; s < ITC_SECTION_COUNT; s++) {
        const itc_node_list *list = &g->section[s];
        const int loop_end = s < ITC_INFER ? train_loop : eval_loop;
        for (int k = 0; k < list->n; k++) {
            const itc_node *n = list->node[k];
            for (int i = 0; i < n->n_in; i++) {
                touch(all, n->in[i], (itc_section)s, first[s] + k, loop_end);
            }
            for (int i = 0; i < n->n_out; i++) {
                touch(all, n->out[i], (itc_section)s, first[s] + k, loop_end);
            }
        }
    }
    for (int i = 0; i < g->n_outputs; i++) {
        touch(all, g->outputs[i].value, ITC_SCORE, eval_loop, eval_loop);
    }
    for (int i = 0; i < g->n_values; i++) {
        if (g->values[i]->next_state) { /* written back when the step is done */
            touch(all, g->values[i]->next_state, ITC_UPDATE, first[ITC_INFER], 0);
        }
    }
    return all;
}

static bool span_overlap(itc_span a, itc_span b)
{
    return a.start <= a.end && b.start <= b.end && a.start <= b.end && b.start <= a.end;
}

bool itc_lifetimes_overlap(const itc_lifetime *a, const itc_lifetime *b)
{
    return span_overlap(a->train, b->train) || span_overlap(a->eval, b->eval);
}

int itc_live_bytes(itc_graph *g, int64_t **train, int64_t **eval)
{
    const itc_lifetime *all = itc_lifetimes(g);
    int total = 2; /* before the first node, and when new state is written back */
    for (int s = 0; s < ITC_SECTION_COUNT; s++) {
        total += g->section[s].n;
    }
    int64_t *live[2];
    for (int t = 0; t < 2; t++) {
        live[t] = ITC_NEW_ARRAY(g->ctx, int64_t, total + 2);
        for (int i = 0; i < g->n_values; i++) {
            itc_value *v = g->values[i];
            const itc_span span = t == 0 ? all[i].train : all[i].eval;
            if (v->kind == ITC_VALUE_NODE && itc_storage_root(v) == v && span.start <= span.end) {
                live[t][span.start] += itc_value_bytes(g, v);
                live[t][span.end + 1] -= itc_value_bytes(g, v);
            }
        }
        for (int i = 1; i < total; i++) {
            live[t][i] += live[t][i - 1];
        }
    }
    *train = live[0];
    *eval = live[1];
    return total;
}

int64_t itc_live_bytes_bound(itc_graph *g)
{
    int64_t *train, *eval, peak = 0;
    const int total = itc_live_bytes(g, &train, &eval);
    for (int i = 0; i < total; i++) {
        peak = train[i] > peak ? train[i] : peak;
        peak = eval[i] > peak ? eval[i] : peak;
    }
    return peak;
}
