/*
 * integer: lowers the float graph to integers; afterwards every rounding is a Requant node with a
 * site of its own, and only linear, exact integer operators stand between them.
 *
 *     %y : f32[N,10] = MatMul(%x, %w)         %y.acc : i32[N,10] = MatMul(%x.i8, %w.i8)
 *     %z : f32[N,10] = Combine(%y, %b)        %z.i8 : i8[N,10] = Requant(%y.acc, %b) #4.fwd
 *
 * What becomes of an operator is its row's `lower`; lower.c is what those hooks use. With
 * --arith float32 only the model's inputs change: they arrive as integers and become floats.
 * Linear in the graph's size.
 */
#include "passes/lower_internal.h"
#include "passes/pass.h"

#include <string.h>

static itc_status float_inputs(itc_graph *g)
{
    const int n = g->n_values;
    for (int i = 0; i < n; i++) {
        itc_value *v = g->values[i];
        if ((v->kind != ITC_VALUE_INPUT && v->kind != ITC_VALUE_TARGET) ||
            v->type.dtype != ITC_F32) {
            continue;
        }
        const itc_type f32 = v->type;
        v->type.dtype = ITC_I32;
        v->type.bits = 31;
        v->exp.kind = ITC_EXP_OPEN;
        itc_value *made[ITC_SECTION_COUNT] = {0};
        for (int s = 0; s < ITC_SECTION_COUNT; s++) {
            /* a step and an evaluation each convert once */
            const int home = s < ITC_INFER ? ITC_FORWARD : s;
            itc_node_list *list = &g->section[s];
            for (int k = 0; k < list->n; k++) {
                itc_node *node = list->node[k];
                for (int j = 0; j < node->n_in; j++) {
                    if (node->in[j] != v) {
                        continue;
                    }
                    if (!made[home]) {
                        g->insert = (itc_section)home;
                        itc_node *c = itc_node_new(g, &itc_op_ToFloat, node, 1, &v, 1);
                        c->out[0]->type = f32;
                        made[home] = c->out[0];
                        /* first in its section: everything else may use it */
                        itc_node_list *h = &g->section[home];
                        memmove(h->node + 1, h->node, (size_t)(h->n - 1) * sizeof *h->node);
                        h->node[0] = c;
                        k += home == s;
                    }
                    node->in[j] = made[home];
                }
            }
        }
    }
    return ITC_OK;
}

static itc_status lower_section(itc_lower *l, itc_section s)
{
    itc_graph *g = l->g;
    const itc_node_list old = g->section[s];
    memset(&g->section[s], 0, sizeof old);
    for (int k = 0; k < old.n; k++) {
        const itc_node *n = old.node[k];
        g->insert = s;
        if (!n->op->lower) {
            return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0320",
                             "%s has no integer form; --arith float32 can train it", n->op->name);
        }
        ITC_TRY(n->op->lower(l, n));
        for (int i = 0; i < n->n_out; i++) {
            if (n->out[i]) {
                g->insert = s;
                ITC_TRY(itc_lower_materialize(l, n, n->out[i]));
            }
        }
    }
    return ITC_OK;
}

/** State write-back and model outputs. */
static itc_status finish(itc_lower *l)
{
    itc_graph *g = l->g;
    for (int i = 0; i < l->n; i++) {
        itc_value *v = g->values[i];
        if (v->next_state) {
            g->insert = ITC_UPDATE;
            const int bits = v->type.bits;
            ITC_TRY(itc_lower_get(l, NULL, v->next_state, bits, &v->next_state));
            itc_node *def = v->next_state->def;
            if (v->kind == ITC_VALUE_PARAM && def && def->op == &itc_op_Requant &&
                def->in[0] == v) {
                itc_set_int(g, def, "sticky", 1);
            }
        }
    }
    for (int i = 0; i < g->n_outputs; i++) {
        g->insert = ITC_INFER;
        ITC_TRY(itc_lower_get(l, NULL, g->outputs[i].value, l->wide_bits, &g->outputs[i].value));
    }
    return ITC_OK;
}

itc_status itc_pass_integer(itc_graph *g)
{
    if (strcmp(itc_setting_string(g, "arith", "int8"), "float32") == 0) {
        ITC_TRY(float_inputs(g));
        itc_graph_sweep(g); /* numbers values as the text lists them, which placing goes by */
        return ITC_OK;
    }
    itc_lower l = {.g = g, .n = g->n_values};
    ITC_TRY(itc_lower_begin(&l));
    for (int s = 0; s < ITC_SECTION_COUNT; s++) {
        ITC_TRY(lower_section(&l, (itc_section)s));
    }
    ITC_TRY(finish(&l));
    itc_graph_sweep(g);
    return ITC_OK;
}
