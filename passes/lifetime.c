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

int64_t itc_live_bytes_bound(itc_graph *g)
{
    const itc_lifetime *all = itc_lifetimes(g);
    int total = 1;
    for (int s = 0; s < ITC_SECTION_COUNT; s++) {
        total += g->section[s].n;
    }
    int64_t *delta = ITC_NEW_ARRAY(g->ctx, int64_t, 2 * (total + 3));
    int64_t *eval = delta + total + 3;
    for (int i = 0; i < g->n_values; i++) {
        itc_value *v = g->values[i];
        if (v->kind != ITC_VALUE_NODE || itc_storage_root(v) != v) {
            continue;
        }
        const int64_t bytes = itc_value_bytes(g, v);
        if (all[i].train.start <= all[i].train.end) {
            delta[all[i].train.start] += bytes;
            delta[all[i].train.end + 1] -= bytes;
        }
        if (all[i].eval.start <= all[i].eval.end) {
            eval[all[i].eval.start] += bytes;
            eval[all[i].eval.end + 1] -= bytes;
        }
    }
    int64_t live = 0, live_eval = 0, peak = 0;
    for (int i = 0; i < total + 2; i++) {
        live += delta[i];
        live_eval += eval[i];
        peak = live > peak ? live : peak;
        peak = live_eval > peak ? live_eval : peak;
    }
    return peak;
}
