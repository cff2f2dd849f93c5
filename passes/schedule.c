/*
 * schedule: the order of the nodes of each section, for memory.
 *
 * List scheduling: of the nodes whose operands are ready, the one that adds the fewest live bytes
 * goes first (ties: the earlier in the graph). The original order is kept where that is no worse.
 * Sections keep their order, so the digest cannot change: a random number depends on its site, not
 * on when it is drawn. O(nodes * ready nodes).
 *
 * Where a step is one micro-batch, updates are scheduled among the gradients: a tensor is updated
 * as soon as its gradient is complete, and the gradients of a model never all live at once.
 *
 *     backward:                                      backward:
 *       %d2 = MatMul(%e, %x2) {trans_a=1}              %d2 = MatMul(%e, %x2) {trans_a=1}
 *       %d1 = MatMul(%f, %x1) {trans_a=1}            update:
 *     update:                                          %w2.new = Requant(%w2, %d2) {coef=[1, -lr]}
 *       %w1.new = Requant(%w1, %d1) {coef=[1, -lr]}  backward:
 *       %w2.new = Requant(%w2, %d2) {coef=[1, -lr]}    %d1 = MatMul(%f, %x1) {trans_a=1}
 *                                                    update:
 *                                                      %w1.new = Requant(%w1, %d1) {coef=[1, -lr]}
 */
#include "passes/lifetime.h"
#include "passes/lower.h"
#include "passes/pass.h"

#include <string.h>

typedef struct edge {
    int to, next; /**< position of a node that waits; index of the next edge of the same source, or
                     -1 */
} edge;

typedef struct scheduler {
    itc_graph *g;
    int *uses_left; /**< of a value, within its section */
    bool *leaves;   /**< the value is read in a later section, or by nobody but a caller */
    int *position;  /**< of the node that makes a value, in its section; -1 elsewhere */
    int *waiting;   /**< nodes that have to run before a node */
    int *first;     /**< of a node: its first edge, or -1 */
    edge *edges;
    int n_edges, cap_edges;
} scheduler;

/** Live bytes that running n adds. */
static int64_t cost(const scheduler *s, const itc_node *n)
{
    int64_t bytes = 0;
    if (n->op->alias) {
        return 0;
    }
    for (int i = 0; i < n->n_out; i++) {
        bytes += n->out[i] && !n->out[i]->storage ? itc_value_bytes(s->g, n->out[i]) : 0;
    }
    for (int i = 0; i < n->n_in; i++) {
        const itc_value *v = n->in[i];
        if (v && v->kind == ITC_VALUE_NODE && !s->leaves[v->id] && s->uses_left[v->id] == 1 &&
            s->position[v->id] >= 0 && !v->storage) {
            bytes -= itc_value_bytes(s->g, v);
        }
    }
    return bytes;
}

static void find_leaving(scheduler *s)
{
    itc_graph *g = s->g;
    int *list = ITC_NEW_ARRAY(g->ctx, int, g->n_values + 1); /* sections that make values */
    for (int sec = 0; sec < ITC_SECTION_COUNT; sec++) {
        for (int k = 0; k < g->section[sec].n; k++) {
            const itc_node *n = g->section[sec].node[k];
            for (int i = 0; i < n->n_out; i++) {
                if (n->out[i]) {
                    list[n->out[i]->id] = sec;
                }
            }
            for (int i = 0; i < n->n_in; i++) {
                const itc_value *v = n->in[i];
                if (v && v->def && list[v->id] != sec) {
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

static void run_after(scheduler *s, int node, int waits)
{
    const edge e = {.to = waits, .next = s->first[node]};
    ITC_PUSH(s->g->ctx, s->edges, s->n_edges, s->cap_edges, e);
    s->first[node] = s->n_edges - 1;
    s->waiting[waits]++;
}

/** What writes a state in place waits for those that read it before it in the given order. */
static void wait_for_readers(scheduler *s, const itc_node_list *list)
{
    int *last = ITC_NEW_ARRAY(s->g->ctx, int, s->g->n_values + 1); /* writer of a state, plus 1 */
    for (int k = list->n - 1; k >= 0; k--) {
        const itc_node *n = list->node[k];
        const itc_value *state = n->n_out > 0 && n->out[0] ? n->out[0]->storage : NULL;
        for (int i = 0; i < n->n_in; i++) {
            if (n->in[i] && n->in[i] != state && last[n->in[i]->id] > 0) {
                run_after(s, k, last[n->in[i]->id] - 1);
            }
        }
        if (state && state->kind != ITC_VALUE_NODE) {
            last[state->id] = k + 1;
        }
    }
}

static void find_order(scheduler *s, const itc_node_list *list)
{
    s->n_edges = 0;
    for (int k = 0; k < list->n; k++) {
        s->waiting[k] = 0;
        s->first[k] = -1;
        for (int i = 0; i < list->node[k]->n_out; i++) {
            if (list->node[k]->out[i]) {
                s->position[list->node[k]->out[i]->id] = k;
            }
        }
    }
    for (int k = 0; k < list->n; k++) {
        const itc_node *n = list->node[k];
        for (int i = 0; i < n->n_in; i++) {
            if (n->in[i] && s->position[n->in[i]->id] >= 0) {
                run_after(s, s->position[n->in[i]->id], k);
                s->uses_left[n->in[i]->id]++;
            }
        }
    }
    wait_for_readers(s, list);
}

static int cheapest(const scheduler *s, const itc_node_list *list, const int *ready, int n_ready)
{
    int best = 0;
    int64_t best_cost = INT64_MAX;
    for (int r = 0; r < n_ready; r++) {
        const int64_t c = cost(s, list->node[ready[r]]);
        if (c < best_cost || (c == best_cost && ready[r] < ready[best])) {
            best = r;
            best_cost = c;
        }
    }
    return best;
}

static void schedule_section(scheduler *s, itc_node_list *list)
{
    itc_ctx *ctx = s->g->ctx;
    const int n = list->n;
    itc_node **order = ITC_NEW_ARRAY(ctx, itc_node *, n + 1);
    int *ready = ITC_NEW_ARRAY(ctx, int, n + 1);
    int n_ready = 0;
    find_order(s, list);
    for (int k = 0; k < n; k++) {
        if (s->waiting[k] == 0) {
            ready[n_ready++] = k;
        }
    }
    for (int done = 0; done < n; done++) {
        const int best = cheapest(s, list, ready, n_ready);
        const int k = ready[best];
        ready[best] = ready[--n_ready];
        order[done] = list->node[k];
        for (int i = 0; i < list->node[k]->n_in; i++) {
            if (list->node[k]->in[i]) {
                s->uses_left[list->node[k]->in[i]->id]--;
            }
        }
        for (int e = s->first[k]; e >= 0; e = s->edges[e].next) {
            if (--s->waiting[s->edges[e].to] == 0) {
                ready[n_ready++] = s->edges[e].to;
            }
        }
    }
    memcpy(list->node, order, (size_t)n * sizeof *order);
}

/** Updates behind the gradients, in one list, so that they can be scheduled together. */
static void join_updates(itc_graph *g)
{
    itc_node_list *to = &g->section[ITC_BACKWARD], *from = &g->section[ITC_UPDATE];
    for (int i = 0; i < from->n; i++) {
        ITC_PUSH(g->ctx, to->node, to->n, to->cap, from->node[i]);
    }
    from->n = 0;
}

/** Updates that no gradient follows stand in their own section. */
static void part_updates(itc_graph *g)
{
    itc_node_list *from = &g->section[ITC_BACKWARD], *to = &g->section[ITC_UPDATE];
    int keep = from->n;
    while (keep > 0 && from->node[keep - 1]->section == ITC_UPDATE) {
        keep--;
    }
    for (int i = keep; i < from->n; i++) {
        ITC_PUSH(g->ctx, to->node, to->n, to->cap, from->node[i]);
    }
    from->n = keep;
}

/** Next states that can be written over the state take its bytes (kept: as `storage`, or undone).
 */
static void place_in_state(itc_graph *g, bool place)
{
    for (int i = 0; i < g->n_values; i++) {
        itc_value *v = g->values[i], *next = v->next_state;
        const itc_node *n = next ? next->def : NULL;
        for (int k = 0; n && n->out[0] == next && k < n->n_in && k < 32; k++) {
            if (n->in[k] == v && (n->op->in_place >> k & 1) != 0 &&
                v->type.dtype == next->type.dtype) {
                next->storage = place ? v : NULL;
            }
        }
    }
}

itc_status itc_pass_schedule(itc_graph *g)
{
    enum { LARGEST = 20000 }; /* the choice among ready nodes is quadratic at worst */
    scheduler s = {.g = g};
    s.uses_left = ITC_NEW_ARRAY(g->ctx, int, g->n_values + 1);
    s.leaves = ITC_NEW_ARRAY(g->ctx, bool, g->n_values + 1);
    s.position = ITC_NEW_ARRAY(g->ctx, int, g->n_values + 1);
    if (!itc_graph_repeats(g)) {
        join_updates(g);
    }
    place_in_state(g, true);
    find_leaving(&s);
    for (int sec = 0; sec < ITC_SECTION_COUNT; sec++) {
        itc_node_list *list = &g->section[sec];
        if (list->n < 2 || list->n > LARGEST) {
            continue;
        }
        itc_node **before = ITC_NEW_ARRAY(g->ctx, itc_node *, list->n);
        memcpy(before, list->node, (size_t)list->n * sizeof *before);
        s.waiting = ITC_NEW_ARRAY(g->ctx, int, list->n + 1);
        s.first = ITC_NEW_ARRAY(g->ctx, int, list->n + 1);
        for (int i = 0; i < g->n_values; i++) {
            s.position[i] = -1;
            s.uses_left[i] = 0;
        }
        const int64_t bound = itc_live_bytes_bound(g);
        schedule_section(&s, list);
        if (itc_live_bytes_bound(g) >= bound) {
            memcpy(list->node, before, (size_t)list->n * sizeof *before);
        }
    }
    place_in_state(g, false);
    part_updates(g);
    itc_graph_sweep(g); /* numbers values as the text lists them, which placing goes by */
    return ITC_OK;
}
