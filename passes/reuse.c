/*
 * reuse: lets a result take the bytes of an operand that dies where it is made.
 *
 * An operator's row says which operands that is safe for (in_place). Trained tensors and optimizer
 * slots are updated in place this way; without this pass a step writes them back by copies. The
 * digest is the same. Linear in the graph's size.
 */
#include "passes/lifetime.h"
#include "passes/lower.h"
#include "passes/pass.h"

static bool same_bytes(const itc_graph *g, const itc_value *a, const itc_value *b)
{
    return a->type.dtype == b->type.dtype && itc_value_bytes(g, a) == itc_value_bytes(g, b);
}

/** State that `out` becomes at the end of the step, or NULL. */
static itc_value *state_of(itc_value *const *owner, const itc_value *out)
{
    return owner[out->id];
}

static bool dies_here(const itc_lifetime *all, const itc_value *root, const itc_node *n, int at)
{
    const itc_span s = n->section < ITC_INFER ? all[root->id].train : all[root->id].eval;
    return s.end == at;
}

static void try_node(itc_graph *g, const itc_lifetime *all, itc_value *const *owner, itc_node *n,
                     int at)
{
    itc_value *out = n->n_out > 0 ? n->out[0] : NULL;
    if (!out || out->storage || n->op->in_place == 0) {
        return;
    }
    for (int i = 0; i < n->n_in && i < 32; i++) {
        itc_value *in = n->in[i];
        if (!in || !(n->op->in_place >> i & 1) || !same_bytes(g, in, out)) {
            continue;
        }
        itc_value *root = itc_storage_root(in);
        if (!dies_here(all, root, n, at)) {
            continue;
        }
        if (root == in && state_of(owner, out) == in) {
            out->storage = in;
            return;
        }
        if (root->kind == ITC_VALUE_NODE && !state_of(owner, out) &&
            (root->def->section == n->section ||
             (root->def->section == ITC_FORWARD && n->section == ITC_BACKWARD) ||
             (root->def->section == ITC_INFER && n->section == ITC_SCORE))) {
            out->storage = in;
            return;
        }
    }
}

itc_status itc_pass_reuse(itc_graph *g)
{
    itc_value **owner = ITC_NEW_ARRAY(g->ctx, itc_value *, g->n_values + 1);
    for (int i = 0; i < g->n_values; i++) {
        if (g->values[i]->next_state) {
            owner[g->values[i]->next_state->id] = g->values[i];
        }
    }
    itc_assign_aliases(g);
    itc_lifetime *all = itc_lifetimes(g);
    int at = 0;
    for (int s = 0; s < ITC_SECTION_COUNT; s++) {
        for (int k = 0; k < g->section[s].n; k++, at++) {
            itc_node *n = g->section[s].node[k];
            try_node(g, all, owner, n, at);
            itc_value *out = n->n_out > 0 ? n->out[0] : NULL;
            if (out && out->storage && out->storage->kind == ITC_VALUE_NODE && !n->op->alias) {
                /* the root lives as long as its new tenant */
                itc_lifetime *r = &all[itc_storage_root(out)->id];
                const itc_lifetime *o = &all[out->id];
                if (o->train.end > r->train.end) {
                    r->train.end = o->train.end;
                }
                if (o->eval.end > r->eval.end) {
                    r->eval.end = o->eval.end;
                }
            }
        }
    }
    return ITC_OK;
}
