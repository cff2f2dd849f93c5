/*
 * Repetition along axes: a Take whose steps are 0 there, and what it repeats.
 */
#include <string.h>

#include "codegen/emit.h"
#include "ir/ops/take.h"
#include "ir/ops/util.h"

itc_status itc_repeat_build(itc_graph *g, const itc_node *origin, itc_value *x, const itc_type *t,
                            itc_value **out)
{
    itc_box b = itc_box_whole(t);
    itc_type unit = *t;
    for (int i = 0; i < t->rank; i++) {
        const int from = i - (t->rank - x->type.rank);
        unit.dim[i] = from < 0 ? itc_dim_of(1) : x->type.dim[from];
        b.step[i] = itc_dim_equal(unit.dim[i], t->dim[i]);
    }
    ITC_TRY(itc_view_build(g, origin, x, &unit, &x));
    return itc_take_build(g, origin, x, &b, out);
}

/* ---- what repeats ---- */

static bool is_constant(const itc_value *v)
{
    return v->kind == ITC_VALUE_CONST && v->data && v->data->data;
}

bool itc_take_repeats(const itc_node *n)
{
    if (n->op != &itc_op_Take) {
        return false;
    }
    const int64_t *start = NULL, *step = NULL;
    const itc_type *x = &n->in[0]->type, *y = &n->out[0]->type;
    const int rank = itc_ints(n, "starts", &start);
    (void)itc_ints(n, "steps", &step);
    for (int i = 0; i < rank; i++) {
        const bool same = itc_dim_equal(x->dim[i], y->dim[i]);
        const bool one = itc_dim_equal(x->dim[i], itc_dim_of(1));
        if (start[i] != 0 || !(one || (same && step[i] == 1))) {
            return false;
        }
    }
    return true;
}

/** The constant of which every element of v is one; NULL: there is none. */
static itc_value *single_source(itc_value *v)
{
    while (v->kind == ITC_VALUE_NODE && v->def &&
           (v->def->op == &itc_op_View || v->def->op == &itc_op_Take)) {
        v = v->def->in[0];
    }
    const bool constant = is_constant(v) && v->data->count > 0 && !v->data->batch;
    const size_t size = itc_dtype_size(v->type.dtype);
    for (int64_t i = 1; constant && i < v->data->count; i++) {
        if (memcmp(v->data->data, (const char *)v->data->data + (size_t)i * size, size) != 0) {
            return NULL;
        }
    }
    return constant ? v : NULL;
}

itc_value *itc_repeat_source(itc_graph *g, itc_value *v)
{
    int64_t dim[ITC_MAX_RANK];
    if (is_constant(v)) {
        return v;
    }
    if (v->kind != ITC_VALUE_NODE || !v->def) {
        return NULL;
    }
    const itc_node *n = v->def;
    if (itc_take_repeats(n) && is_constant(n->in[0])) {
        return n->in[0];
    }
    const itc_value *one = single_source(v);
    if (!one) {
        return NULL;
    }
    for (int i = 0; i < v->type.rank; i++) {
        dim[i] = 1;
    }
    itc_tensor *t = itc_tensor_new(g->ctx, one->data->dtype, v->type.rank, dim);
    itc_tensor_copy_element(g->ctx, t, 0, one->data, 0);
    itc_value *c = itc_const_new(g, v->name, t);
    c->reason = "computed from constants";
    return c;
}
