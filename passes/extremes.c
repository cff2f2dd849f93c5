/*
 * extremes: hands the least and greatest mantissas that one kernel finds on its way to those that
 * would look for them.
 *
 * A Requant goes over its sum twice, to find its range and to round it. Where one operand alone
 * changes within a slice, the sum grows or falls with it, and its range is that at the operand's
 * extremes; where others change as well, these may still say enough (NUMERICS.md, "Slices").
 * NormStats reads the same operand slice by slice; what it finds on its way saves the Requants of
 * xhat and of y a pass over it each.
 *
 *     %scale, %shift, … = NormStats(%x) {axes=[0, 2, 3]}
 *     %xhat = Requant(%x, %scale, %shift, _) {coef=[1, 1], pairs=1}
 *
 *     %scale, %shift, …, %x.extremes = NormStats(%x) {axes=[0, 2, 3]}
 *     %xhat = Requant(%x, %scale, %shift, _, %x.extremes) {…, extremes_axes=[0, 2, 3]}
 *
 * Rows say what they find (`extremes_of`) and what helps them (`take_extremes`). A node takes the
 * first that it can; an output is made for one that somebody takes.
 *
 * Invariant: no value changes. Linear in the graph's size.
 */
#include "passes/pass.h"

/** What a node can hand on of a value; several of one value are a list. */
typedef struct offer {
    itc_node *from;
    itc_value *found; /**< NULL: nobody has taken it yet */
    uint32_t axes;
    struct offer *next;
} offer;

/** The offer as a value; NULL: it has no type. */
static itc_value *found_of(itc_graph *g, offer *o, const itc_value *x)
{
    itc_type t;
    if (!o->found && itc_extremes_type(&x->type, o->axes, &t)) {
        o->found = itc_node_add_output(g, o->from, o->from->op->out_max - 1,
                                       itc_format(g->ctx, "%s.extremes", x->name), t);
    }
    return o->found;
}

/** The first offer of an operand that n can use; true: it has taken one. */
static bool take(itc_graph *g, itc_node *n, offer *const *of)
{
    for (int i = 0; i < n->n_in; i++) {
        itc_value *x = n->in[i];
        for (offer *o = x ? of[x->id] : NULL; o; o = o->next) {
            if (itc_section_sees(n->section, o->from->section) &&
                n->op->take_extremes(g, n, x, o->axes, NULL) && found_of(g, o, x)) {
                return n->op->take_extremes(g, n, x, o->axes, o->found);
            }
        }
    }
    return false;
}

static void offer_of(itc_graph *g, itc_node *n, offer **of)
{
    uint32_t axes = 0;
    const itc_value *x = n->op->extremes_of ? n->op->extremes_of(g, n, &axes) : NULL;
    if (x) {
        offer *o = ITC_NEW(g->ctx, offer);
        *o = (offer){.from = n, .axes = axes, .next = of[x->id]};
        of[x->id] = o;
    }
}

itc_status itc_pass_extremes(itc_graph *g)
{
    offer **of = ITC_NEW_ARRAY(g->ctx, offer *, g->n_values + 1); /* by value id */
    bool any = false;
    for (int s = 0; s < ITC_SECTION_COUNT; s++) {
        for (int k = 0; k < g->section[s].n; k++) {
            itc_node *n = g->section[s].node[k];
            any = (n->op->take_extremes && take(g, n, of)) || any;
            offer_of(g, n, of);
        }
    }
    if (any) {
        itc_graph_sweep(g); /* numbers values as the text lists them */
    }
    return ITC_OK;
}
