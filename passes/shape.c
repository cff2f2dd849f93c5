/*
 * shape: brings every operator to our form, folds what is constant, infers all types.
 *
 * Invariant: afterwards every value has a known type, no operand of a node could have been folded,
 * and every node's operator has no `normalize` left to do.
 * An operator that cannot be compiled spoils only what depends on it; that is an error when an
 * output with a loss does, and a note otherwise (scikit-learn's label output, for one).
 * Linear in the graph's size.
 */
#include "ir/ops/take.h"
#include "ir/ops/util.h"
#include "passes/pass.h"

#include <string.h>

static bool all_constant(const itc_node *n)
{
    for (int i = 0; i < n->n_in; i++) {
        if (n->in[i] && !(n->in[i]->kind == ITC_VALUE_CONST && n->in[i]->data)) {
            return false;
        }
    }
    return true;
}

static bool spoiled(const itc_node *n, const bool *bad)
{
    for (int i = 0; i < n->n_in; i++) {
        if (n->in[i] && bad[n->in[i]->id]) {
            return true;
        }
    }
    return false;
}

static void replace_outputs(itc_node *n, itc_value **out)
{
    for (int i = 0; i < n->n_out; i++) {
        if (n->out[i] && out[i]) {
            n->out[i]->replaced_by = out[i];
            if (!out[i]->onnx) {
                out[i]->onnx = n->out[i]->onnx;
            }
        }
    }
    n->dead = true;
}

static itc_status fold(itc_graph *g, itc_node *n, bool *done)
{
    itc_tensor **data = ITC_NEW_ARRAY(g->ctx, itc_tensor *, n->n_out);
    itc_value **out = ITC_NEW_ARRAY(g->ctx, itc_value *, n->n_out);
    *done = false;
    if (!n->op->fold || !(all_constant(n) || (n->op->flags & ITC_OP_TYPE_FOLD) != 0)) {
        return ITC_OK;
    }
    ITC_TRY(n->op->fold(g, n, data));
    if (!data[0]) {
        return ITC_OK;
    }
    for (int i = 0; i < n->n_out; i++) {
        if (n->out[i] && data[i]) {
            out[i] = itc_const_new(g, n->out[i]->name, data[i]);
            out[i]->reason = "computed from constants";
        }
    }
    replace_outputs(n, out);
    *done = true;
    return ITC_OK;
}

/**
 * An operator of elements whose operands all repeat constants, along the rows for one: computed
 * from these, and its result repeated.
 *
 *     %a = Take(%one) …steps=[0, 1]      %one' = Cast(%one), folded
 *     %b = Cast(%a)                      %b = Take(%one') …steps=[0, 1]
 */
static itc_status fold_repeated(itc_graph *g, itc_node *n, bool *done)
{
    itc_value **in = n->in, **source = ITC_NEW_ARRAY(g->ctx, itc_value *, n->n_in), *out = NULL;
    itc_tensor *data = NULL;
    itc_type t;
    *done = false;
    for (int i = 0; i < n->n_in; i++) {
        source[i] = n->in[i] ? itc_repeat_source(g, n->in[i]) : NULL;
        if (!source[i]) {
            return ITC_OK;
        }
    }
    ITC_TRY(itc_infer_broadcast(g, n));
    t = n->out[0]->type;
    n->in = source;
    const itc_status s = n->op->fold(g, n, &data);
    n->in = in;
    if (s != ITC_OK || !data) {
        return s;
    }
    itc_value *c = itc_const_new(g, n->out[0]->name, data);
    c->reason = "computed from constants";
    t.dtype = c->type.dtype;
    ITC_TRY(itc_repeat_build(g, n, c, &t, &out));
    replace_outputs(n, &out);
    *done = true;
    return ITC_OK;
}

/** One node: folded, normalised, or kept; appended to the section being rebuilt. */
static itc_status visit(itc_graph *g, itc_node *n)
{
    for (int i = 0; i < n->n_in; i++) {
        n->in[i] = itc_value_resolve(n->in[i]);
    }
    if (!n->op) {
        return itc_infer(g, n); /* says that there is no such operator */
    }
    bool done = false;
    ITC_TRY(fold(g, n, &done));
    if (!done && (n->op->flags & ITC_OP_ELEMENTS) != 0 && n->op->fold) {
        ITC_TRY(fold_repeated(g, n, &done));
    }
    if (done) {
        return ITC_OK;
    }
    if (n->op->normalize) {
        ITC_TRY(itc_check_kinds(g, n));
        itc_value **out = ITC_NEW_ARRAY(g->ctx, itc_value *, n->n_out);
        ITC_TRY(n->op->normalize(g, n, out));
        if (out[0]) {
            replace_outputs(n, out);
            return ITC_OK;
        }
    }
    ITC_TRY(itc_infer(g, n));
    itc_node_list *list = &g->section[ITC_FORWARD];
    ITC_PUSH(g->ctx, list->node, list->n, list->cap, n);
    return ITC_OK;
}

/** The first error, which is one no longer, says why. */
static void drop_spoiled_outputs(itc_graph *g, const bool *bad, int n_bad_values)
{
    const itc_diag *why = itc_diag_get(g->ctx, 0);
    const char *where = why && why->where ? itc_format(g->ctx, "%s: ", why->where) : "";
    const char *text = why ? why->text : "it cannot be compiled";
    int kept = 0;
    for (int i = 0; i < g->n_outputs; i++) {
        const itc_value *v = g->outputs[i].value;
        if (v && v->id < n_bad_values && bad[v->id] && !v->replaced_by) {
            itc_note(g->ctx, "output \"%s\" is left out: %s%s", g->outputs[i].name, where, text);
        } else {
            g->outputs[kept++] = g->outputs[i];
        }
    }
    g->n_outputs = kept;
}

/** True when an output that carries a loss by name, or every output, is spoiled; where there is no
 * training, any. */
static bool spoils_program(const itc_graph *g, const bool *bad)
{
    const char *loss = itc_setting_string(g, "loss", "");
    const bool none = itc_loss_is_none(g);
    int good = 0;
    for (int i = 0; i < g->n_outputs; i++) {
        const itc_value *v = g->outputs[i].value;
        const bool is_bad = v && bad[v->id];
        good += !is_bad;
        const size_t len = strlen(g->outputs[i].name);
        if (is_bad && none) {
            return true;
        }
        if (is_bad && strncmp(loss, g->outputs[i].name, len) == 0 && loss[len] == '=') {
            return true;
        }
    }
    return good == 0;
}

/** What is left of values that have a type alone. */
static itc_status check_phantoms(itc_graph *g)
{
    const itc_node_list *list = &g->section[ITC_FORWARD];
    for (int k = 0; k < list->n; k++) {
        const itc_node *n = list->node[k];
        if ((n->op->flags & ITC_OP_PHANTOM) != 0) {
            return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0224",
                             "the result depends on where a row stands among the N rows");
        }
    }
    return ITC_OK;
}

itc_status itc_pass_shape(itc_graph *g)
{
    const itc_node_list old = g->section[ITC_FORWARD];
    const int n_values = g->n_values;
    bool *bad = ITC_NEW_ARRAY(g->ctx, bool, n_values + 1);
    memset(&g->section[ITC_FORWARD], 0, sizeof g->section[ITC_FORWARD]);
    g->insert = ITC_FORWARD;
    itc_status first = ITC_OK;
    for (int k = 0; k < old.n; k++) {
        itc_node *n = old.node[k];
        itc_status s = ITC_OK;
        if (!spoiled(n, bad)) {
            s = visit(g, n);
            if (s == ITC_OK) {
                continue;
            }
        }
        first = first == ITC_OK ? s : first;
        for (int i = 0; i < n->n_out; i++) {
            if (n->out[i] && n->out[i]->id < n_values) {
                bad[n->out[i]->id] = true;
            }
        }
    }
    if (first != ITC_OK) {
        if (first == ITC_INTERNAL || spoils_program(g, bad)) {
            return first;
        }
        drop_spoiled_outputs(g, bad, n_values);
        itc_diag_clear(g->ctx);
    }
    itc_graph_resolve(g);
    itc_graph_sweep(g);
    return check_phantoms(g);
}
