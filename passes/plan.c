/*
 * plan: an exponent expression for every value, a proven bound for every accumulator.
 *
 * Before: e=?. After: e=@7 (a Requant measures it), e=@9 = @3 + @5 (a product), e=-15 (a constant).
 * State tensors come first in the table of exponents, so their slots do not depend on the rest.
 * Linear in the graph's size.
 */
#include "passes/plan.h"
#include "passes/lower.h"
#include "passes/pass.h"

struct itc_plan {
    itc_graph *g;
    bool dry; /**< only the bounds */
    int32_t next;
    itc_bound *bounds;
    int n_bounds, cap_bounds;
};

itc_graph *itc_plan_graph(itc_plan *p)
{
    return p->g;
}

void itc_plan_fit(itc_plan *p, itc_value *out)
{
    if (!p->dry) {
        out->exp = (itc_exp){.kind = ITC_EXP_FIT, .slot = p->next++};
    }
}

void itc_plan_constant(itc_plan *p, itc_value *out, int exponent)
{
    if (!p->dry) {
        out->exp = (itc_exp){.kind = ITC_EXP_SUM, .slot = -1, .offset = exponent};
    }
}

void itc_plan_same(itc_plan *p, itc_value *out, const itc_value *in)
{
    if (!p->dry) {
        out->exp = in->exp;
        if (in->exp.slot >= 0) {
            out->exp = (itc_exp){.kind = ITC_EXP_FIT, .slot = in->exp.slot};
        }
    }
}

itc_status itc_plan_sum(itc_plan *p, const itc_node *n, itc_value *out, int count,
                        itc_value *const *operands, int offset)
{
    itc_exp e = {.kind = ITC_EXP_SUM, .slot = -1, .offset = offset};
    if (p->dry) {
        return ITC_OK;
    }
    for (int i = 0; i < count; i++) {
        const itc_exp *o = &operands[i]->exp;
        if (o->kind == ITC_EXP_SUM && o->slot < 0) {
            e.offset += o->offset;
        } else if (o->slot >= 0 && e.n_terms < 4) {
            e.term[e.n_terms++] = o->slot;
        } else {
            return itc_error(p->g->ctx, n, ITC_INTERNAL, "E0324",
                             "operand \"%s\" has no planned exponent", operands[i]->name);
        }
    }
    if (e.n_terms > 0) {
        e.slot = p->next++;
    }
    out->exp = e;
    return ITC_OK;
}

itc_status itc_plan_quotient(itc_plan *p, const itc_node *n, itc_value *out, const itc_value *a,
                             const itc_value *b, int offset)
{
    const itc_value *const ab[2] = {a, b};
    itc_exp e = {.kind = ITC_EXP_SUM, .slot = -1, .offset = offset};
    if (p->dry) {
        return ITC_OK;
    }
    for (int i = 0; i < 2; i++) {
        const itc_exp *o = &ab[i]->exp;
        if (o->kind == ITC_EXP_SUM && o->slot < 0) {
            e.offset += i == 0 ? o->offset : -o->offset;
        } else if (o->slot >= 0) {
            e.minus |= (uint8_t)(i << e.n_terms);
            e.term[e.n_terms++] = o->slot;
        } else {
            return itc_error(p->g->ctx, n, ITC_INTERNAL, "E0324",
                             "operand \"%s\" has no planned exponent", ab[i]->name);
        }
    }
    e.slot = e.n_terms > 0 ? p->next++ : -1;
    out->exp = e;
    return ITC_OK;
}

itc_status itc_plan_bound(itc_plan *p, const itc_node *n, itc_dim k, int bits_a, int bits_b)
{
    itc_type need;
    ITC_TRY(itc_accumulator_type(p->g, n, k, bits_a, bits_b, &need));
    if (need.bits > n->out[0]->type.bits || itc_dtype_size(n->out[0]->type.dtype) * 8 <=
                                                (size_t)n->out[0]->type.bits) {
        return itc_error(p->g->ctx, n, ITC_RANGE, "E0310",
                         "accumulator needs %d bits and has %d", need.bits,
                         n->out[0]->type.bits);
    }
    itc_bound b = {.node = n, .k = k, .chosen = n->out[0]->type.dtype};
    b.limit_a = ((int64_t)1 << bits_a) - 1;
    b.limit_b = ((int64_t)1 << bits_b) - 1;
    b.worst = (uint64_t)k.size * (uint64_t)(k.batch ? itc_graph_rows(p->g) : 1) *
              (uint64_t)b.limit_a * (uint64_t)b.limit_b;
    ITC_PUSH(p->g->ctx, p->bounds, p->n_bounds, p->cap_bounds, b);
    return ITC_OK;
}

itc_status itc_plan_hook_same(itc_plan *p, itc_node *n)
{
    itc_plan_same(p, n->out[0], n->in[0]);
    return ITC_OK;
}

itc_status itc_plan_hook_product(itc_plan *p, itc_node *n)
{
    return itc_plan_sum(p, n, n->out[0], 2, n->in, 0);
}

static itc_status plan_nodes(itc_plan *p)
{
    for (int s = 0; s < ITC_SECTION_COUNT; s++) {
        const itc_node_list *list = &p->g->section[s];
        for (int k = 0; k < list->n; k++) {
            itc_node *n = list->node[k];
            bool mantissas = false;
            for (int i = 0; i < n->n_out; i++) {
                mantissas = mantissas || (n->out[i] && n->out[i]->type.bits > 0);
            }
            if (n->op->plan && mantissas) { /* floats and plain integers have no exponent */
                ITC_TRY(n->op->plan(p, n));
            }
            for (int i = 0; i < n->n_out; i++) {
                if (n->out[i] && n->out[i]->exp.kind == ITC_EXP_OPEN) {
                    return itc_error(p->g->ctx, n, ITC_INTERNAL, "E0324",
                                     "result \"%s\" has no planned exponent", n->out[i]->name);
                }
            }
        }
    }
    return ITC_OK;
}

itc_status itc_plan_bounds(itc_graph *g, itc_bound **bounds, int *count)
{
    itc_plan p = {.g = g, .dry = true};
    ITC_TRY(plan_nodes(&p));
    *bounds = p.bounds;
    *count = p.n_bounds;
    return ITC_OK;
}

itc_status itc_pass_plan(itc_graph *g)
{
    itc_plan p = {.g = g};
    for (int i = 0; i < g->n_values; i++) {
        itc_value *v = g->values[i];
        if (v->kind == ITC_VALUE_NODE || v->type.bits == 0) {
            continue;
        }
        if (v->kind == ITC_VALUE_CONST) {
            itc_plan_constant(&p, v, v->init_exp);
        } else {
            itc_plan_fit(&p, v);
        }
    }
    for (int i = 0; i < g->n_values; i++) {
        itc_value *v = g->values[i];
        if (v->kind == ITC_VALUE_NODE && v->type.bits > 0) {
            v->exp.kind = ITC_EXP_OPEN;
        }
    }
    ITC_TRY(plan_nodes(&p));
    g->n_exponents = p.next;
    return ITC_OK;
}
