/*
 * fuse: element-wise operators between one tensor and one result become one function.
 *
 * Exporters write activations as several nodes: x * 0.5 * (1 + erf(x / sqrt 2)), x * sigmoid(x),
 * x * clip(x + 3, 0, 6) / 6, log(1 + exp(x)). Each is a formula of x alone; computed as one, it is
 * rounded once where the nodes rounded after each, and its slope is one factor of the gradient.
 *
 *     %e = Map(%x) {f="erf(x)"}
 *     %p = Combine(%e, %one) {coef=[1, 1]}      %y = Map(%x) {f="x*erfc(-x)"}
 *     %y = Mul(%x, %p)
 *
 * Rows say what their result is as a formula of the operands' (`as_formula`). A value becomes a
 * function of the tensor from which all that leads to it comes, if at least two of those nodes are
 * more than linear: of those that only select (Relu, Clip) one more must be a product, as they
 * round nothing. What others need of the values between stays as it is.
 *
 * Invariant: the same functions; types and names of outputs are kept.
 * Linear in the graph's size, for formulas of at most LIMIT nodes.
 */
#include "ir/formula.h"
#include "ir/ops/util.h"
#include "passes/pass.h"

#include <string.h>

enum { LIMIT = 80, MOST_OPERANDS = 8 };

/** A value as a formula of `root`; root NULL: it is none. */
typedef struct entry {
    itc_value *root;
    const itc_formula *f;
    int functions, products, selections; /**< nodes that it is made of */
} entry;

typedef struct fuser {
    itc_graph *g;
    entry *of;    /**< by value id */
    bool *needed; /**< by value id: something that stays uses it */
} fuser;

static bool constant_number(const itc_value *v)
{
    return v->kind == ITC_VALUE_CONST && v->data && v->data->data && v->data->count == 1 &&
           v->type.dtype == ITC_F32;
}

/** What operand v is: a number, a formula of an earlier root, or (whole) a root of its own. */
static entry operand(const fuser *b, itc_value *v, bool whole)
{
    if (constant_number(v)) {
        return (entry){.f = itc_formula_const(b->g->ctx, itc_tensor_get(v->data, 0))};
    }
    if (!whole && b->of[v->id].root) {
        return b->of[v->id];
    }
    return (entry){.root = v, .f = itc_formula_x(b->g->ctx)};
}

/** n's result as a formula of one root; false: it is none. */
static bool compose(const fuser *b, const itc_node *n, bool whole, entry *out)
{
    const itc_formula *arg[MOST_OPERANDS] = {NULL}, *alone[MOST_OPERANDS] = {NULL};
    *out = (entry){0};
    for (int i = 0; i < n->n_in; i++) {
        const entry e = operand(b, n->in[i], whole);
        if (e.root && out->root && e.root != out->root) {
            return false;
        }
        out->root = e.root ? e.root : out->root;
        arg[i] = e.f;
        alone[i] = e.root ? itc_formula_x(b->g->ctx) : e.f;
        if (i == 0 || n->in[i] != n->in[0]) {
            out->functions += e.functions;
            out->products += e.products;
            out->selections += e.selections;
        }
    }
    if (!out->root || !itc_type_equal(&out->root->type, &n->out[0]->type)) {
        return false;
    }
    out->f = n->op->as_formula(b->g->ctx, n, arg);
    if (!out->f || itc_formula_size(out->f) > LIMIT ||
        itc_formula_size(itc_formula_slope(b->g->ctx, out->f)) > 4 * LIMIT) {
        return false;
    }
    /* of one tensor in every place: linear nodes have a constant slope */
    const itc_formula *slope = itc_formula_slope(b->g->ctx, n->op->as_formula(b->g->ctx, n, alone));
    if (slope->kind != ITC_F_CONST) {
        out->selections += n->op->selects;
        out->functions += !n->op->selects && n->n_in == 1;
        out->products += !n->op->selects && n->n_in > 1;
    }
    return true;
}

static bool float_element(const itc_node *n)
{
    bool ok =
        n->op && n->op->as_formula && n->n_out == 1 && n->n_in > 0 && n->n_in <= MOST_OPERANDS;
    for (int i = 0; ok && i < n->n_in; i++) {
        ok = n->in[i] && n->in[i]->type.dtype == ITC_F32;
    }
    return ok;
}

static void find_formulas(fuser *b, const itc_node_list *list)
{
    for (int k = 0; k < list->n; k++) {
        const itc_node *n = list->node[k];
        entry e;
        if (float_element(n) && (compose(b, n, false, &e) || compose(b, n, true, &e))) {
            b->of[n->out[0]->id] = e;
        }
    }
}

static bool worth_it(const entry *e)
{
    const int inexact = e->functions + e->products;
    return e->root && (inexact >= 2 || (e->products >= 1 && e->selections >= 1));
}

/** From the outputs back: a needed value that is worth it needs its root alone. */
static void find_needs(fuser *b, const itc_node_list *list)
{
    for (int i = 0; i < b->g->n_outputs; i++) {
        b->needed[b->g->outputs[i].value->id] = true;
    }
    for (int k = list->n - 1; k >= 0; k--) {
        const itc_node *n = list->node[k];
        bool stays = n->n_out == 0 || (n->op->flags & (ITC_OP_KEEP | ITC_OP_LOSS)) != 0;
        for (int i = 0; i < n->n_out; i++) {
            stays = stays || (n->out[i] && b->needed[n->out[i]->id]);
        }
        if (!stays) {
            continue;
        }
        const entry *e = n->n_out == 1 ? &b->of[n->out[0]->id] : NULL;
        if (e && worth_it(e)) {
            b->needed[e->root->id] = true;
            continue;
        }
        for (int i = 0; i < n->n_in; i++) {
            if (n->in[i]) {
                b->needed[n->in[i]->id] = true;
            }
        }
    }
}

itc_status itc_pass_fuse(itc_graph *g)
{
    fuser b = {.g = g,
               .of = ITC_NEW_ARRAY(g->ctx, entry, g->n_values + 1),
               .needed = ITC_NEW_ARRAY(g->ctx, bool, g->n_values + 1)};
    const itc_node_list old = g->section[ITC_FORWARD];
    find_formulas(&b, &old);
    find_needs(&b, &old);
    g->insert = ITC_FORWARD;
    memset(&g->section[ITC_FORWARD], 0, sizeof old);
    for (int k = 0; k < old.n; k++) {
        itc_node *n = old.node[k];
        itc_value *v = n->n_out == 1 ? n->out[0] : NULL;
        const entry *e = v && b.needed[v->id] ? &b.of[v->id] : NULL;
        if (!e || !worth_it(e)) {
            ITC_PUSH(g->ctx, g->section[ITC_FORWARD].node, g->section[ITC_FORWARD].n,
                     g->section[ITC_FORWARD].cap, n);
            continue;
        }
        itc_value *made = NULL;
        ITC_TRY(itc_map_build(g, n, itc_formula_text(g->ctx, e->f), e->root, &made));
        made->onnx = v->onnx;
        v->replaced_by = made;
        n->dead = true;
    }
    itc_graph_sweep(g);
    return ITC_OK;
}
