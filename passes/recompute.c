/*
 * recompute: what --memory-limit leaves no room to keep is dropped and computed again (Chen et al.,
 * "Training Deep Nets with Sublinear Memory Cost", 2016).
 *
 * While more bytes live at the fullest moment than allowed, one value that is only waiting there is
 * dropped: of those used before and after that moment, the one that frees most bytes for the work
 * of making it again. The nodes that make it are repeated in front of its next use, together with
 * those that make what they read, where that does not live there any more.
 *
 *     %y = Requant(%n, %b) #4.fwd                   %y = Requant(%n, %b) #4.fwd
 *     %z = Conv(%y, %w)                             %z = Conv(%y, %w)
 *     ... the fullest moment                        ...
 *     %d = Conv.dw(%e, %y)                          %y.again = Requant(%n, %b) #4.fwd
 *                                                   %d = Conv.dw(%e, %y.again)
 *
 * Invariant: no value changes. A repeated node draws the same random numbers (they depend on its
 * site) and measures the same exponent into the same slot. O(nodes) for each value dropped.
 */
#include "passes/lifetime.h"
#include "passes/lower.h"
#include "passes/pass.h"

#include <math.h>

enum {
    MAX_DEPTH = 12, /* of a chain of nodes that are repeated together */
    MAX_CHAIN = 24, /* nodes of it */
    MAX_DROPPED = 4000
};

typedef struct recomputer {
    itc_graph *g;
    const itc_lifetime *life; /**< without reuse: of values, and of those that alias them */
    int *position;            /**< by value: of the node that makes it */
    bool *updated;            /**< by storage root: a node changes it in place */
    int64_t *live;            /**< bytes at every position of a step, with reuse */
    int64_t peak, eval;       /**< the most of them, and in evaluation */
    int at;                   /**< the fullest position */
} recomputer;

/** How values are read behind the fullest position, by storage root. */
typedef struct uses {
    int *next;  /**< the next position that reads it; 0: none */
    bool *here; /**< the fullest position reads it */
    int *
        alias; /**< id + 1 of a value that aliases it and is read; by that value: of the next one */
} uses;

/** One value to drop: what its repetition takes. */
typedef struct chain {
    itc_value *drop;
    int next; /**< position of its next use */
    const itc_node *node[MAX_CHAIN];
    int n;
    double work;
    int64_t bytes; /**< that the other nodes' results take while it is made */
} chain;

static void forget_storage(itc_graph *g)
{
    for (int i = 0; i < g->n_values; i++) {
        g->values[i]->storage = NULL;
        g->values[i]->offset = -1;
    }
}

/** Looks at the graph as it is now. */
static itc_status measure(recomputer *r)
{
    itc_graph *g = r->g;
    int64_t *eval;
    ITC_TRY(itc_pass_reuse(g));
    const int total = itc_live_bytes(g, &r->live, &eval);
    r->peak = r->eval = r->at = 0;
    for (int i = 0; i < total; i++) {
        r->eval = eval[i] > r->eval ? eval[i] : r->eval;
        if (r->live[i] > r->peak) {
            r->peak = r->live[i];
            r->at = i;
        }
    }
    itc_assign_offsets(g);
    forget_storage(g);
    itc_assign_aliases(g);
    r->life = itc_lifetimes(g);
    r->position = ITC_NEW_ARRAY(g->ctx, int, g->n_values + 1);
    r->updated = ITC_NEW_ARRAY(g->ctx, bool, g->n_values + 1);
    for (int s = 0, at = 0; s < ITC_SECTION_COUNT; s++) {
        for (int k = 0; k < g->section[s].n; k++, at++) {
            const itc_node *n = g->section[s].node[k];
            if ((n->op->flags & ITC_OP_UPDATES) != 0) {
                r->updated[itc_storage_root(n->in[0])->id] = true;
            }
            for (int i = 0; i < n->n_out; i++) {
                if (n->out[i]) {
                    r->position[n->out[i]->id] = at;
                }
            }
        }
    }
    return ITC_OK;
}

static bool may_repeat(const itc_node *n)
{
    return n->section <= ITC_BACKWARD &&
           (n->op->flags & (ITC_OP_KEEP | ITC_OP_LOSS | ITC_OP_UPDATES)) == 0;
}

/** A rough count of operations; of a product of matrices it is exact: sqrt(mk * kn * mn). */
static double work_of(const itc_graph *g, const itc_node *n)
{
    const double out = (double)itc_type_elements(&n->out[0]->type, itc_graph_rows(g));
    double all = out;
    if (n->op->alias || n->op->in_place != 0 || n->n_in < 2) {
        return n->op->alias ? 0 : out;
    }
    for (int i = 0; i < 2; i++) {
        all *= n->in[i] ? (double)itc_type_elements(&n->in[i]->type, itc_graph_rows(g)) : 1;
    }
    return sqrt(all);
}

static bool in_chain(const chain *c, const itc_node *n)
{
    for (int i = 0; i < c->n; i++) {
        if (c->node[i] == n) {
            return true;
        }
    }
    return false;
}

/** Adds the nodes that v needs at c->next, operands first; false: it cannot be had. */
static bool add_chain(const recomputer *r, chain *c, itc_value *v, int depth)
{
    itc_value *root = itc_storage_root(v);
    if (r->updated[root->id]) {
        return false;
    }
    if (v->kind != ITC_VALUE_NODE ||
        (root != c->drop &&
         (root->kind != ITC_VALUE_NODE || r->life[root->id].train.end >= c->next))) {
        return true;
    }
    itc_node *n = v->def;
    if (in_chain(c, n)) {
        return true;
    }
    if (depth == MAX_DEPTH || !may_repeat(n)) {
        return false;
    }
    for (int i = 0; i < n->n_in; i++) {
        if (n->in[i] && !add_chain(r, c, n->in[i], depth + 1)) {
            return false;
        }
    }
    if (c->n == MAX_CHAIN) {
        return false;
    }
    c->node[c->n++] = n;
    c->work += work_of(r->g, n);
    for (int i = 0; i < n->n_out; i++) {
        const itc_value *o = n->out[i];
        c->bytes += o && o != c->drop && !o->storage ? itc_value_bytes(r->g, o) : 0;
    }
    return true;
}

/** What dropping v from r->at to its next use takes; false where v is no candidate. */
static bool find_chain(const recomputer *r, itc_value *v, const uses *u, chain *c)
{
    *c = (chain){.drop = v, .next = u->next[v->id]};
    if (v->kind != ITC_VALUE_NODE || itc_storage_root(v) != v || r->position[v->id] >= r->at ||
        u->here[v->id] || c->next <= r->at || v->def->section == ITC_PREPARE ||
        !add_chain(r, c, v, 0)) {
        return false;
    }
    for (int a = u->alias[v->id]; a > 0; a = u->alias[a - 1]) {
        if (!add_chain(r, c, r->g->values[a - 1], 0)) {
            return false;
        }
    }
    return r->live[c->next] + c->bytes < r->peak;
}

static void add_use(const recomputer *r, uses *u, const itc_value *v, int at)
{
    const itc_value *root = itc_storage_root((itc_value *)v);
    if (at == r->at) {
        u->here[root->id] = true;
    } else if (at > r->at) {
        u->next[root->id] = u->next[root->id] == 0 ? at : u->next[root->id];
        if (v != root && u->alias[v->id] == 0 && u->alias[root->id] != v->id + 1) {
            u->alias[v->id] = u->alias[root->id];
            u->alias[root->id] = v->id + 1;
        }
    }
}

static uses find_uses(const recomputer *r)
{
    const itc_graph *g = r->g;
    uses u = {ITC_NEW_ARRAY(g->ctx, int, g->n_values + 1),
              ITC_NEW_ARRAY(g->ctx, bool, g->n_values + 1),
              ITC_NEW_ARRAY(g->ctx, int, g->n_values + 1)};
    for (int s = 0, at = 0; s < ITC_INFER; s++) {
        for (int k = 0; k < g->section[s].n; k++, at++) {
            const itc_node *n = g->section[s].node[k];
            for (int i = 0; i < n->n_in && !n->op->alias; i++) {
                if (n->in[i]) {
                    add_use(r, &u, n->in[i], at);
                }
            }
        }
    }
    return u;
}

static bool find_best(const recomputer *r, chain *best)
{
    itc_graph *g = r->g;
    const uses u = find_uses(r);
    const int last =
        g->section[ITC_PREPARE].n + g->section[ITC_FORWARD].n + g->section[ITC_BACKWARD].n;
    double best_gain = 0;
    for (int i = 0; i < g->n_values; i++) {
        chain c;
        if (u.next[i] < last && find_chain(r, g->values[i], &u, &c)) {
            const double gain = (double)itc_value_bytes(g, g->values[i]) / (c.work + 1);
            if (gain > best_gain) {
                best_gain = gain;
                *best = c;
            }
        }
    }
    return best_gain > 0;
}

static itc_value *repeated(itc_value *const *again, itc_value *v)
{
    return v && again[v->id] ? again[v->id] : v;
}

/** n once more, on repeated operands, at the end of the section that g->insert names. */
static itc_node *repeat(itc_graph *g, const itc_node *n, itc_value **again)
{
    itc_value **in = ITC_NEW_ARRAY(g->ctx, itc_value *, n->n_in + 1);
    itc_value **out = ITC_NEW_ARRAY(g->ctx, itc_value *, n->n_out + 1);
    for (int i = 0; i < n->n_in; i++) {
        in[i] = repeated(again, n->in[i]);
    }
    for (int i = 0; i < n->n_out; i++) {
        if (n->out[i]) {
            out[i] =
                itc_value_new(g, ITC_VALUE_NODE, itc_format(g->ctx, "%s.again", n->out[i]->name),
                              n->out[i]->type);
            out[i]->exp = n->out[i]->exp;
            again[n->out[i]->id] = out[i];
        }
    }
    itc_node *m = itc_node_append(g, n->op, n->n_in, in, n->n_out, out);
    for (int i = 0; i < n->n_attrs; i++) {
        itc_attr_set(g, m, n->attrs[i]);
    }
    m->site = n->site;
    m->import_id = n->import_id;
    m->onnx_name = n->onnx_name;
    m->onnx_op = n->onnx_op;
    m->onnx_version = n->onnx_version;
    return m;
}

/** Moves the last n nodes of a section to position `to` of its list. */
static void move_last(itc_node_list *list, int n, int to)
{
    for (int i = 0; i < n; i++) {
        itc_node *m = list->node[list->n - 1];
        for (int k = list->n - 1; k > to; k--) {
            list->node[k] = list->node[k - 1];
        }
        list->node[to] = m;
    }
}

/** Repeats the chain in front of the next use, which reads the repeated values from there on. */
static void apply(recomputer *r, const chain *c)
{
    itc_graph *g = r->g;
    const int known = g->n_values;
    itc_value **again = ITC_NEW_ARRAY(g->ctx, itc_value *, known);
    int s = ITC_PREPARE, first = 0;
    while (c->next >= first + g->section[s].n) {
        first += g->section[s++].n;
    }
    g->insert = (itc_section)s;
    for (int i = 0; i < c->n; i++) {
        (void)repeat(g, c->node[i], again);
    }
    move_last(&g->section[s], c->n, c->next - first);
    for (int t = s; t < ITC_INFER; t++) {
        for (int k = t == s ? c->next - first + c->n : 0; k < g->section[t].n; k++) {
            itc_node *n = g->section[t].node[k];
            for (int i = 0; i < n->n_in; i++) {
                if (n->in[i] && n->in[i]->id < known && itc_storage_root(n->in[i]) == c->drop) {
                    n->in[i] = repeated(again, n->in[i]);
                }
            }
        }
    }
}

itc_status itc_pass_recompute(itc_graph *g)
{
    const int64_t limit = itc_setting_int(g, "memory_limit", 0);
    if (limit <= 0) {
        return ITC_OK;
    }
    recomputer r = {.g = g};
    ITC_TRY(measure(&r));
    chain c = {0};
    for (int i = 0;
         i < MAX_DROPPED && g->arena_bytes > limit && r.eval < limit && find_best(&r, &c); i++) {
        apply(&r, &c);
        ITC_TRY(measure(&r));
    }
    forget_storage(g);
    g->arena_bytes = 0;
    itc_graph_sweep(g);
    return ITC_OK;
}
