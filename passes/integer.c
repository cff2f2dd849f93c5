/*
 * integer: lowers the float graph to integers; afterwards every rounding is a Requant node with a
 * site of its own, and only linear, exact integer operators stand between them.
 *
 *     %y : f32[N,10] = MatMul(%x, %w)         %y.acc : i32[N,10] = MatMul(%x.i8, %w.i8)
 *     %z : f32[N,10] = Combine(%y, %b)        %z.i8 : i8[N,10] = Requant(%y.acc, %b) #4.fwd
 *
 * What becomes of an operator is its row's `lower`; lower.c is what those hooks use. Nodes on plain
 * integers and booleans stay as they are. With --arith float32 only the model's inputs change: they
 * arrive as integers and become floats.
 * Linear in the graph's size.
 */
#include "passes/lower_internal.h"
#include "passes/pass.h"

#include <string.h>

/*
 * Inputs and targets come in whatever integer type the caller has, with an exponent of their own.
 * Losses and Requant read them as they are, as terms; for everything else one node a timeline
 * converts them: to f32 in float32 arithmetic, plain integers and booleans to their type in every
 * arithmetic.
 */
typedef struct converter {
    itc_graph *g;
    int n;
    bool floats;         /**< f32 inputs as well */
    itc_value **made[2]; /**< by value id: the converted value of a step, of an evaluation */
} converter;

/** The port that v is, under whatever shape; NULL: v is something else. */
static itc_value *port_under(itc_value *v)
{
    while (v->kind == ITC_VALUE_NODE && v->def->op->alias) {
        v = v->def->in[0];
    }
    return v->kind == ITC_VALUE_INPUT || v->kind == ITC_VALUE_TARGET ? v : NULL;
}

static bool converts(const converter *c, itc_value *v)
{
    return v && v->id < c->n && port_under(v) &&
           (itc_is_plain(&v->type) || (c->floats && v->type.dtype == ITC_F32));
}

/** v converted, in the section `home`, at its begin: right behind the view that v may be. */
static itc_value *convert(converter *c, itc_value *v, const itc_node *origin, itc_section user)
{
    itc_graph *g = c->g;
    itc_value **made = &c->made[user >= ITC_INFER][v->id];
    if (*made) {
        return *made;
    }
    const itc_section home = v->def                        ? v->def->section
                             : user < ITC_INFER            ? ITC_FORWARD
                             : v->kind == ITC_VALUE_TARGET ? ITC_SCORE
                                                           : ITC_INFER;
    itc_node_list *list = &g->section[home];
    int at = 0;
    while (v->def && list->node[at++] != v->def) {
    }
    g->insert = home;
    itc_node *m = itc_node_new(g, v->type.dtype == ITC_F32 ? &itc_op_ToFloat : &itc_op_ToPlain,
                               origin, 1, &v, 1);
    m->out[0]->type = v->type;
    if (itc_is_plain(&v->type) && v->type.dtype != ITC_BOOL) {
        m->out[0]->type.dtype = ITC_I64;
    }
    memmove(list->node + at + 1, list->node + at, (size_t)(list->n - 1 - at) * sizeof *list->node);
    list->node[at] = m;
    return *made = m->out[0];
}

static void convert_operands(converter *c, itc_node *n)
{
    const bool takes_ports = n->op->alias || (n->op->flags & ITC_OP_LOSS) != 0;
    for (int i = 0; i < n->n_in; i++) {
        itc_value *v = n->in[i];
        if (converts(c, v) && !(takes_ports && itc_is_plain(&v->type))) {
            n->in[i] = convert(c, v, n, n->section);
        }
    }
}

static void convert_ports(itc_graph *g, bool floats)
{
    converter c = {.g = g, .n = g->n_values, .floats = floats};
    c.made[0] = ITC_NEW_ARRAY(g->ctx, itc_value *, g->n_values + 1);
    c.made[1] = ITC_NEW_ARRAY(g->ctx, itc_value *, g->n_values + 1);
    for (int s = 0; s < ITC_SECTION_COUNT; s++) {
        itc_node **node = ITC_NEW_ARRAY(g->ctx, itc_node *, g->section[s].n);
        const int n = g->section[s].n;
        for (int k = 0; k < n; k++) {
            node[k] = g->section[s].node[k];
        }
        for (int k = 0; k < n; k++) {
            convert_operands(&c, node[k]);
        }
    }
    for (int i = 0; i < g->n_outputs; i++) { /* an output that is an input */
        itc_output *o = &g->outputs[i];
        o->value = converts(&c, o->value) ? convert(&c, o->value, NULL, ITC_INFER) : o->value;
    }
    for (int i = 0; floats && i < c.n; i++) {
        itc_value *v = g->values[i];
        if (v->type.dtype == ITC_F32 && port_under(v) == v) {
            v->type.dtype = ITC_I32;
            v->type.bits = 31;
            v->exp.kind = ITC_EXP_OPEN;
        }
    }
}

/** Plain integers are the same numbers in every arithmetic. */
static bool is_plain_node(const itc_node *n)
{
    bool plain = n->n_in > 0;
    for (int i = 0; i < n->n_in; i++) {
        plain = plain && (!n->in[i] || itc_is_plain(&n->in[i]->type));
    }
    for (int i = 0; i < n->n_out; i++) {
        plain = plain && (!n->out[i] || itc_is_plain(&n->out[i]->type));
    }
    return plain;
}

/** Operand i may be missing. */
static itc_status copy_plain(itc_lower *l, const itc_node *n)
{
    itc_value **in = ITC_NEW_ARRAY(l->g->ctx, itc_value *, n->n_in);
    itc_node *m = NULL;
    for (int i = 0; i < n->n_in; i++) {
        if (n->in[i]) {
            ITC_TRY(itc_lower_get(l, n, n->in[i], 0, &in[i]));
        }
    }
    ITC_TRY(itc_lower_build(l, n, n->op, n->n_in, in, n->n_out, &m));
    for (int i = 0; i < n->n_out; i++) {
        if (n->out[i]) {
            itc_lower_set(l, n->out[i], m->out[i]);
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
        if (is_plain_node(n)) {
            ITC_TRY(copy_plain(l, n));
            continue;
        }
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
            ITC_TRY(itc_lower_get(l, v->next_state->def, v->next_state, bits, &v->next_state));
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
    const bool is_float = strcmp(itc_setting_string(g, "arith", "int8"), "float32") == 0;
    convert_ports(g, is_float);
    if (is_float) {
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
    for (int s = 0; s < ITC_SECTION_COUNT; s++) {
        for (int k = 0; k < g->section[s].n; k++) {
            ITC_TRY(itc_check_coefs(g, g->section[s].node[k]));
        }
    }
    return ITC_OK;
}
