/*
 * memory: an offset in one arena for every value that needs bytes.
 *
 * Greedy by size: the largest value first, each at the lowest offset where no value placed before
 * lives at the same time (the heuristic of Pisarchyk and Lee, "Efficient Memory Management for Deep
 * Neural Net Inference", 2020). Quadratic in the number of values in the worst case.
 */
#include "passes/lifetime.h"
#include "passes/pass.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64 };

typedef struct item {
    itc_value *v;
    int64_t bytes, at; /**< at: once placed */
    itc_lifetime life;
} item;

void itc_assign_aliases(itc_graph *g)
{
    for (int s = 0; s < ITC_SECTION_COUNT; s++) {
        const itc_node_list *list = &g->section[s];
        for (int k = 0; k < list->n; k++) {
            const itc_node *n = list->node[k];
            if ((n->op->alias || (n->op->flags & ITC_OP_UPDATES) != 0) && n->n_out > 0) {
                n->out[0]->storage = n->in[0];
            }
        }
    }
}

static int by_size(const void *a, const void *b)
{
    const item *x = a, *y = b;
    if (x->bytes != y->bytes) {
        return x->bytes > y->bytes ? -1 : 1;
    }
    return x->v->id - y->v->id;
}

/**
 * Lowest offset for items[k] beside those before it, which `placed` lists by offset; lists it as
 * well. From the first that begins behind the gap on, nothing can be in its way.
 */
static int64_t lowest_gap(const item *items, int k, int *placed)
{
    const item *x = &items[k];
    int64_t at = 0;
    int i = 0;
    for (; i < k; i++) {
        const item *y = &items[placed[i]];
        if (y->at >= at + x->bytes && x->bytes > 0) {
            break;
        }
        const int64_t end = y->at + y->bytes;
        if (end > at && itc_lifetimes_overlap(&y->life, &x->life)) {
            at = end;
        }
    }
    while (i > 0 && items[placed[i - 1]].at > at) {
        i--;
    }
    memmove(placed + i + 1, placed + i, (size_t)(k - i) * sizeof *placed);
    placed[i] = k;
    return at;
}

void itc_assign_offsets(itc_graph *g)
{
    const itc_lifetime *all = itc_lifetimes(g);
    item *items = ITC_NEW_ARRAY(g->ctx, item, g->n_values + 1);
    int *placed = ITC_NEW_ARRAY(g->ctx, int, g->n_values + 1);
    int n = 0;
    for (int i = 0; i < g->n_values; i++) {
        itc_value *v = g->values[i];
        v->offset = -1;
        if (v->kind == ITC_VALUE_NODE && itc_storage_root(v) == v) {
            const int64_t bytes = itc_value_bytes(g, v);
            items[n++] = (item){v, (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT, -1, all[i]};
        }
    }
    qsort(items, (size_t)n, sizeof *items, by_size);
    g->arena_bytes = 0;
    for (int k = 0; k < n; k++) {
        items[k].at = items[k].v->offset = lowest_gap(items, k, placed);
        const int64_t end = items[k].at + items[k].bytes;
        g->arena_bytes = end > g->arena_bytes ? end : g->arena_bytes;
    }
    for (int i = 0; i < g->n_values; i++) {
        itc_value *v = g->values[i];
        if (v->kind == ITC_VALUE_NODE) {
            v->offset = itc_storage_root(v)->offset;
        }
    }
}

itc_status itc_pass_memory(itc_graph *g)
{
    itc_assign_aliases(g);
    itc_assign_offsets(g);
    const int64_t limit = itc_setting_int(g, "memory_limit", 0);
    if (limit > 0 && g->arena_bytes > limit) {
        return itc_error(g->ctx, NULL, ITC_RANGE, "E0330",
                         "the arena needs %lld bytes, and --memory-limit allows %lld; a smaller "
                         "--micro-batch needs less", (long long)g->arena_bytes, (long long)limit);
    }
    return ITC_OK;
}
