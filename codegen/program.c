/*
 * A graph of stage memory as call records: each node's `emit` hook in the order of its section,
 * exponents that follow from others before the node that has them, and at the end of a step the
 * new state moved to where the state lives.
 */
#include "codegen/emit.h"

static bool exp_reads(const itc_exp *exp, int32_t slot)
{
    for (int i = 0; i < exp->n_terms; i++) {
        if (exp->term[i] == slot) {
            return true;
        }
    }
    return false;
}

/** True: the table's entry of a port's exponent is read (terms of sums take it from the call). */
static bool port_slot_is_read(const itc_graph *g, const itc_value *port)
{
    for (int i = 0; i < g->n_values; i++) {
        const itc_value *v = g->values[i];
        const bool shares = v->exp.slot == port->exp.slot && itc_value_root(v) != port;
        if (shares || exp_reads(&v->exp, port->exp.slot)) {
            return true;
        }
    }
    return false;
}

static void emit_port_exponents(itc_emit *e, itc_graph *g, itc_value_kind kind,
                                itc_record_list *list)
{
    itc_emit_begin(e, NULL, list);
    for (int i = 0; i < g->n_values; i++) {
        const itc_value *v = g->values[i];
        if (v->kind == kind && v->exp.slot >= 0 && itc_value_exponents(v) > 0 &&
            port_slot_is_read(g, v)) {
            itc_emit_exponent(e, v, NULL);
        }
    }
}

/** True: out's exponent is an operand's, in the same slot. */
static bool exponent_is_shared(const itc_node *n, const itc_value *out)
{
    for (int i = 0; i < n->n_in; i++) {
        if (n->in[i] && n->in[i]->exp.slot == out->exp.slot) {
            return true;
        }
    }
    return false;
}

static itc_status emit_section(itc_emit *e, itc_graph *g, itc_section s, itc_record_list *list)
{
    for (int i = 0; i < g->section[s].n; i++) {
        const itc_node *n = g->section[s].node[i];
        itc_emit_begin(e, n, list);
        for (int k = 0; k < n->n_out; k++) {
            const itc_value *out = n->out[k];
            if (out && out->exp.kind == ITC_EXP_SUM && out->exp.slot >= 0 &&
                !exponent_is_shared(n, out)) {
                itc_emit_exponent(e, out, NULL);
            }
        }
        if (n->op->alias) {
            continue;
        }
        if (!n->op->emit) {
            return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0404", "%s has no code", n->op->name);
        }
        ITC_TRY(n->op->emit(e, n));
        ITC_TRY(itc_emit_end(e));
    }
    return ITC_OK;
}

static bool same_exponent(const itc_value *a, const itc_value *b)
{
    return a->exp.slot >= 0 && a->exp.slot == b->exp.slot;
}

/** state = next state, as bytes. */
static itc_status emit_copy(itc_emit *e, itc_graph *g, const itc_value *v, const itc_value *next,
                            itc_record_list *list)
{
    if (!itc_type_equal(&next->type, &v->type)) {
        return itc_error(g->ctx, next->def, ITC_INTERNAL, "E0405",
                         "state \"%s\" of type %s takes a value of type %s", v->name,
                         itc_type_text(g->ctx, &v->type), itc_type_text(g->ctx, &next->type));
    }
    ITC_TRY(itc_emit_call(e, NULL, "copy", 0, NULL));
    itc_arg_ptr(e, "x", next);
    itc_arg_ptr(e, "y", v);
    itc_arg_dim(
        e, "bytes",
        itc_dim_of(itc_type_elements(&v->type, 1) * (int64_t)itc_dtype_size(v->type.dtype)));
    ITC_TRY(itc_emit_end(e));
    list->record[list->n - 1]->value = v;
    list->record[list->n - 1]->from = next;
    return ITC_OK;
}

/** The new state moves to where the state lives, unless the update has written it in place. */
static itc_status emit_state(itc_emit *e, itc_graph *g, itc_record_list *list)
{
    for (int i = 0; i < g->n_values; i++) {
        const itc_value *v = g->values[i], *next = v->next_state;
        if (!itc_value_is_state(v) || !next) {
            continue;
        }
        itc_emit_begin(e, NULL, list);
        if (itc_value_root(next) != v) {
            ITC_TRY(emit_copy(e, g, v, next, list));
        }
        if (itc_value_exponents(v) > 0 && !same_exponent(v, next)) {
            itc_emit_exponent(e, v, next);
        }
    }
    return ITC_OK;
}

/** Numbers the nodes of a list: the last record of each says which one ends there. */
static void number_nodes(itc_program *p, const itc_record_list *list)
{
    for (int i = 0; i < list->n; i++) {
        itc_record *r = list->record[i];
        if (r->kind == ITC_RECORD_REPEAT) {
            number_nodes(p, r->body);
        } else if (r->node && (i + 1 == list->n || list->record[i + 1]->node != r->node)) {
            p->node[p->n_nodes++] = r->node;
            r->ends = p->n_nodes;
        }
    }
}

static void number_all(itc_program *p)
{
    int most = 0;
    for (int s = 0; s < ITC_SECTION_COUNT; s++) {
        most += p->g->section[s].n;
    }
    p->node = ITC_NEW_ARRAY(p->g->ctx, const itc_node *, most + 1);
    number_nodes(p, &p->prepare);
    number_nodes(p, &p->step);
    number_nodes(p, &p->infer);
    number_nodes(p, &p->score);
}

itc_status itc_program_new(itc_graph *g, itc_program **out)
{
    if (g->stage < ITC_STAGE_MEMORY) {
        return itc_error(g->ctx, NULL, ITC_INTERNAL, "E0406",
                         "code is made of a graph of stage memory, not %s",
                         itc_stage_name(g->stage));
    }
    itc_program *p = ITC_NEW(g->ctx, itc_program);
    itc_emit *e = itc_emit_new(g);
    p->g = g;
    ITC_TRY(emit_section(e, g, ITC_PREPARE, &p->prepare));

    itc_record *repeat = ITC_NEW(g->ctx, itc_record);
    repeat->kind = ITC_RECORD_REPEAT;
    repeat->body = ITC_NEW(g->ctx, itc_record_list);
    emit_port_exponents(e, g, ITC_VALUE_INPUT, repeat->body);
    emit_port_exponents(e, g, ITC_VALUE_TARGET, repeat->body);
    ITC_TRY(emit_section(e, g, ITC_FORWARD, repeat->body));
    ITC_TRY(emit_section(e, g, ITC_BACKWARD, repeat->body));
    ITC_PUSH(g->ctx, p->step.record, p->step.n, p->step.cap, repeat);
    ITC_TRY(emit_section(e, g, ITC_UPDATE, &p->step));
    ITC_TRY(emit_state(e, g, &p->step));

    emit_port_exponents(e, g, ITC_VALUE_INPUT, &p->infer);
    ITC_TRY(emit_section(e, g, ITC_INFER, &p->infer));
    emit_port_exponents(e, g, ITC_VALUE_TARGET, &p->score);
    ITC_TRY(emit_section(e, g, ITC_SCORE, &p->score));
    number_all(p);
    *out = p;
    return ITC_OK;
}
