/*
 * share: computes what is computed twice once.
 *
 * Two nodes of a section with the same operator, operands and attributes, which round nothing, have
 * the same results: the second one's become the first one's. The gradients of a normalisation and
 * of its bias both sum the rows of dy, for example.
 *
 *     %a = ReduceSumTo(%dy) {axes=[0, 2, 3]}        %a = ReduceSumTo(%dy) {axes=[0, 2, 3]}
 *     %b = ReduceSumTo(%dy) {axes=[0, 2, 3]}        (uses of %b are uses of %a)
 *
 * Invariant: no value changes. Linear in the graph's size (a hash table a section).
 */
#include <string.h>

#include "passes/pass.h"

static bool same_attr(const itc_attr *a, const itc_attr *b)
{
    if (strcmp(a->name, b->name) != 0 || a->kind != b->kind || a->n != b->n) {
        return false;
    }
    const size_t n = (size_t)a->n;
    switch (a->kind) {
    case ITC_ATTR_INT:
        return a->u.i == b->u.i;
    case ITC_ATTR_FLOAT:
        return memcmp(&a->u.f, &b->u.f, sizeof a->u.f) == 0;
    case ITC_ATTR_STRING:
        return strcmp(a->u.s, b->u.s) == 0;
    case ITC_ATTR_INTS:
        return memcmp(a->u.ints, b->u.ints, n * sizeof *a->u.ints) == 0;
    case ITC_ATTR_FLOATS:
        return memcmp(a->u.floats, b->u.floats, n * sizeof *a->u.floats) == 0;
    case ITC_ATTR_TENSOR:
        return a->u.tensor == b->u.tensor;
    case ITC_ATTR_COEFS:
        return memcmp(a->u.coefs, b->u.coefs, n * sizeof *a->u.coefs) == 0;
    }
    return false;
}

static bool same_node(const itc_node *a, const itc_node *b)
{
    if (a->op != b->op || a->n_in != b->n_in || a->n_out != b->n_out || a->n_attrs != b->n_attrs ||
        (a->n_in > 0 && memcmp(a->in, b->in, (size_t)a->n_in * sizeof(itc_value *)) != 0)) {
        return false;
    }
    for (int i = 0; i < a->n_out; i++) {
        if (!a->out[i] != !b->out[i]) {
            return false;
        }
    }
    for (int i = 0; i < a->n_attrs; i++) { /* both were made by the same rule: the same order */
        if (!same_attr(&a->attrs[i], &b->attrs[i])) {
            return false;
        }
    }
    return true;
}

static uint32_t hash_of(const itc_node *n)
{
    uint32_t h = 2166136261u;
    for (const char *s = n->op->name; *s; s++) {
        h = (h ^ (unsigned char)*s) * 16777619u;
    }
    for (int i = 0; i < n->n_in; i++) {
        h = (h ^ (uint32_t)(n->in[i] ? n->in[i]->id + 1 : 0)) * 16777619u;
    }
    return h;
}

static bool may_share(const itc_node *n)
{
    return n->op && n->site == 0 && n->n_out > 0 &&
           (n->op->flags & (ITC_OP_KEEP | ITC_OP_LOSS | ITC_OP_UPDATES)) == 0;
}

static void share_section(itc_graph *g, itc_node_list *list)
{
    uint32_t room = 16;
    while (room < 2 * (uint32_t)list->n) {
        room *= 2;
    }
    itc_node **table = ITC_NEW_ARRAY(g->ctx, itc_node *, room);
    for (int k = 0; k < list->n; k++) {
        itc_node *n = list->node[k];
        for (int i = 0; i < n->n_in; i++) {
            n->in[i] = itc_value_resolve(n->in[i]);
        }
        if (!may_share(n)) {
            continue;
        }
        uint32_t at = hash_of(n) & (room - 1);
        while (table[at] && !same_node(table[at], n)) {
            at = (at + 1) & (room - 1);
        }
        if (!table[at]) {
            table[at] = n;
            continue;
        }
        for (int i = 0; i < n->n_out; i++) {
            if (n->out[i]) {
                n->out[i]->replaced_by = table[at]->out[i];
            }
        }
        n->dead = true;
    }
}

itc_status itc_pass_share(itc_graph *g)
{
    for (int s = 0; s < ITC_SECTION_COUNT; s++) {
        share_section(g, &g->section[s]);
    }
    itc_graph_sweep(g);
    return ITC_OK;
}
