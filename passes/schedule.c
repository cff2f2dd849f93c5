/*
 * schedule: the order of the nodes of each section, for memory.
 *
 * List scheduling: of the nodes whose operands are ready, the one that adds the fewest live bytes
 * goes first (ties: the earlier in the graph). The original order is kept where that is no worse.
 * Sections keep their order, so the digest cannot change: a random number depends on its site, not
 * on when it is drawn. O(nodes * ready nodes).
 */
#include "passes/lifetime.h"
#include "passes/pass.h"

#include <string.h>

typedef struct scheduler {
    itc_graph *g;
    int *uses_left;   /**< of a value, within its section */
    bool *leaves;     /**< the value is read in a later section */
    int *waiting;     /**< operands of a node that are not made yet */
    int *position;    /**< of the node that makes a value, in its section; -1 elsewhere */
} scheduler;

/** Live bytes that running n adds. */
static int64_t cost(const scheduler *s, const itc_node *n)
{
    int64_t bytes = 0;
    if (n->op->alias) {
        return 0;
    }
    for (int i = 0; i < n->n_out; i++) {
        bytes += n->out[i] ? itc_value_bytes(s->g, n->out[i]) : 0;
    }
    for (int i = 0; i < n->n_in; i++) {
        const itc_value *v = n->in[i];
        if (v && v->kind == ITC_VALUE_NODE && !s->leaves[v->id] && s->uses_left[v->id] == 1 &&
            v->def->section == n->section) {
            bytes -= itc_value_bytes(s->g, v);
        }
    }
    return bytes;
}

static void find_leaving(scheduler *s)
{
    itc_graph *g = s->g;
    for (int sec = 0; sec < ITC_SECTION_COUNT; sec++) {
        for (int k = 0; k < g->section[sec].n; k++) {
            const itc_node *n = g->section[sec].node[k];
            for (int i = 0; i < n->n_in; i++) {
                const itc_value *v = n->in[i];
                if (v && v->def && v->def->section != n->section) {
                    s->leaves[v->id] = true;
                }
            }
        }
    }
    for (int i = 0; i < g->n_outputs; i++) {
        s->leaves[g->outputs[i].value->id] = true;
    }
    for (int i = 0; i < g->n_values; i++) {
        if (g->values[i]->next_state) {
            s->leaves[g->values[i]->next_state->id] = true;
        }
    }
}

static void count_operands(scheduler *s, const itc_node_list *list)
{
    for (int k = 0; k < list->n; k++) {
        for (int i = 0; i < list->node[k]->n_out; i++) {
            if (list->node[k]->out[i]) {
                s->position[list->node[k]->out[i]->id] = k;
            }
        }
    }
    for (int k = 0; k < list->n; k++) {
        const itc_node *n = list->node[k];
        s->waiting[k] = 0;
        for (int i = 0; i < n->n_in; i++) {
            if (n->in[i] && s->position[n->in[i]->id] >= 0) {
                s->waiting[k]++;
                s->uses_left[n->in[i]->id]++;
            }
        }
    }
}

static void schedule_section(scheduler *s, itc_node_list *list)
{
    itc_ctx *ctx = s->g->ctx;
    const int n = list->n;
    itc_node **order = ITC_NEW_ARRAY(ctx, itc_node *, n + 1);
    int *ready = ITC_NEW_ARRAY(ctx, int, n + 1);
    int n_ready = 0;
    count_operands(s, list);
    for (int k = 0; k < n; k++) {
        if (s->waiting[k] == 0) {
            ready[n_ready++] = k;
        }
    }
    for (int done = 0; done < n; done++) {
        int best = 0;
        int64_t best_cost = INT64_MAX;
        for (int r = 0; r < n_ready; r++) {
            const int64_t c = cost(s, list->node[ready[r]]);
            if (c < best_cost || (c == best_cost && ready[r] < ready[best])) {
                best = r;
                best_cost = c;
            }
        }
        const int k = ready[best];
        ready[best] = ready[--n_ready];
        order[done] = list->node[k];
        for (int i = 0; i < list->node[k]->n_in; i++) {
            if (list->node[k]->in[i]) {
                s->uses_left[list->node[k]->in[i]->id]--;
            }
        }
        for (int j = k + 1; j < n; j++) { /* consumers come later in the original order */
            if (s->waiting[j] == 0) {
                continue;
            }
            for (int i = 0; i < list->node[j]->n_in; i++) {
                const itc_value *v = list->node[j]->in[i];
                if (v && v->def == list->node[k] && --s->waiting[j] == 0) {
                    ready[n_ready++] = j;
                }
            }
        }
    }
    memcpy(list->node, order, (size_t)n * sizeof *order);
}

itc_status itc_pass_schedule(itc_graph *g)
{
    enum { LARGEST = 2000 }; /* the search above is quadratic */
    scheduler s = {.g = g};
    s.uses_left = ITC_NEW_ARRAY(g->ctx, int, g->n_values + 1);
    s.leaves = ITC_NEW_ARRAY(g->ctx, bool, g->n_values + 1);
    s.position = ITC_NEW_ARRAY(g->ctx, int, g->n_values + 1);
    for (int i = 0; i < g->n_values; i++) {
        s.position[i] = -1;
    }
    find_leaving(&s);
    for (int sec = 0; sec < ITC_SECTION_COUNT; sec++) {
        itc_node_list *list = &g->section[sec];
        if (list->n < 2 || list->n > LARGEST) {
            continue;
        }
        itc_node **before = ITC_NEW_ARRAY(g->ctx, itc_node *, list->n);
        memcpy(before, list->node, (size_t)list->n * sizeof *before);
        s.waiting = ITC_NEW_ARRAY(g->ctx, int, list->n + 1);
        const int64_t bound = itc_live_bytes_bound(g);
        schedule_section(&s, list);
        if (itc_live_bytes_bound(g) >= bound) {
            memcpy(list->node, before, (size_t)list->n * sizeof *before);
        }
        for (int i = 0; i < g->n_values; i++) {
            s.position[i] = -1;
            s.uses_left[i] = 0;
        }
    }
    itc_graph_sweep(g); /* numbers values as the text lists them, which placing goes by */
    return ITC_OK;
}
