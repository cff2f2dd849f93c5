/*
 * Masks of a softmax.
 *
 * Models mask scores by adding a number that is far below them, from -10000 to -infinity, or by
 * choosing it with Where. On integers that number would set the exponent of the scores and leave
 * them no bits. So the shape pass takes masks out of the sums that a softmax is of, and makes them
 * what they mean: a boolean that says which elements take part.
 *
 *     Softmax(x + c), c = [0, -1e9]                  Softmax(Exclude(x, [1, 0]))
 *     Softmax(Where(m, x, -inf))                     Softmax(Exclude(Mask(x, m), m))
 *
 * Source: our derivation; NUMERICS.md, "Softmax".
 */
#include <float.h>

#include "codegen/emit.h"
#include "ir/ops/take.h"
#include "ir/ops/util.h"
#include "passes/grad.h"
#include "passes/lower.h"
#include "passes/plan.h"

/* An addend of at most -MASK masks; sums nest so deep. */
enum { MASK = 9999, DEPTH = 8 };

/* ---- finding masks ---- */

/** A sum on its way to a softmax: what masks it so far, NULL: nothing. */
typedef struct search {
    itc_graph *g;
    const itc_node *n;
    itc_value *keep;
} search;

static itc_status keep_also(search *s, itc_value *keep)
{
    itc_node *both = NULL;
    if (!s->keep) {
        s->keep = keep;
        return ITC_OK;
    }
    ITC_TRY(itc_build(s->g, &itc_op_And, s->n, 2, (itc_value *[]){s->keep, keep}, 1, &both));
    s->keep = both->out[0];
    return ITC_OK;
}

/** Splits a constant times c into a mask and what it adds elsewhere; *rest NULL: nothing. */
static itc_status split_constant(search *s, const itc_value *v, double c, itc_value **rest)
{
    const itc_tensor *t = v->data;
    itc_tensor *pass = itc_tensor_new(s->g->ctx, ITC_BOOL, t->rank, t->dim);
    itc_tensor *other = itc_tensor_new(s->g->ctx, ITC_F32, t->rank, t->dim);
    bool adds = false;
    for (int64_t i = 0; i < t->count; i++) {
        const double x = itc_tensor_get(t, i);
        const bool in = c * x > -MASK;
        ((uint8_t *)pass->data)[i] = in;
        ((float *)other->data)[i] = in ? (float)x : 0;
        adds = adds || (in && (x < 0 || x > 0));
    }
    itc_value *keep = itc_const_new(s->g, "mask", pass);
    keep->reason = "mask";
    *rest = NULL;
    if (adds) {
        *rest = itc_const_new(s->g, v->name, other);
        (*rest)->reason = v->reason;
    }
    return keep_also(s, keep);
}

static bool has_mask(const itc_value *v, double c, bool all)
{
    for (int64_t i = 0; i < v->data->count; i++) {
        if ((c * itc_tensor_get(v->data, i) <= -MASK) != all) {
            return !all;
        }
    }
    return all;
}

static itc_status strip(search *s, itc_value *v, double c, int depth, itc_value **rest);

/** The operands of a sum that add something, in a sum of their own; v where all do. */
static itc_status strip_sum(search *s, itc_value *v, double c, int depth, itc_value **rest)
{
    const itc_node *sum = v->def;
    const itc_attr *a = itc_attr_find(sum, "coef");
    itc_value **in = ITC_NEW_ARRAY(s->g->ctx, itc_value *, sum->n_in);
    double *coef = ITC_NEW_ARRAY(s->g->ctx, double, sum->n_in);
    bool same = true;
    int count = 0;
    for (int i = 0; i < sum->n_in; i++) {
        itc_value *x = NULL;
        const double k = a->u.coefs[i].value;
        ITC_TRY(strip(s, sum->in[i], c * k, depth + 1, &x));
        same = same && x == sum->in[i];
        if (x) {
            coef[count] = k;
            in[count++] = x;
        }
    }
    *rest = v;
    if (same) {
        return ITC_OK;
    }
    if (count == 1 && !(coef[0] < 1 || coef[0] > 1)) {
        *rest = in[0];
        return ITC_OK;
    }
    *rest = NULL;
    return count == 0 ? ITC_OK : itc_combine_build(s->g, s->n, count, in, coef, rest);
}

/** c * v without its masks, which go to s->keep; v where there are none, NULL: nothing is left. */
static itc_status strip(search *s, itc_value *v, double c, int depth, itc_value **rest)
{
    const itc_node *def = v->kind == ITC_VALUE_NODE ? v->def : NULL;
    *rest = v;
    if (def && def->op == &itc_op_Combine && depth < DEPTH) {
        return strip_sum(s, v, c, depth, rest);
    }
    if (def && def->op == &itc_op_Mask) { /* of a Where */
        itc_value *x = itc_repeat_source(s->g, def->in[0]);
        itc_node *keep = NULL;
        if (x && has_mask(x, c, true) && def->in[1]->type.dtype == ITC_BOOL) {
            *rest = NULL;
            ITC_TRY(itc_build(s->g, &itc_op_Not, s->n, 1, &def->in[1], 1, &keep));
            return keep_also(s, keep->out[0]);
        }
        return ITC_OK;
    }
    itc_value *x = itc_repeat_source(s->g, v);
    return x && has_mask(x, c, false) ? split_constant(s, x, c, rest) : ITC_OK;
}

itc_status itc_exclude_build(itc_graph *g, const itc_node *n, itc_value **x, itc_value **keep)
{
    search s = {.g = g, .n = n, .keep = *keep};
    itc_value *rest = *x;
    itc_node *m = NULL;
    if ((*x)->type.dtype == ITC_F32 && (*x)->def && (*x)->def->op == &itc_op_Combine) {
        ITC_TRY(strip(&s, *x, 1, 0, &rest));
    }
    if (!s.keep || !rest) {
        return ITC_OK;
    }
    *keep = s.keep;
    ITC_TRY(itc_repeat_build(g, n, rest, &(*x)->type, &rest));
    ITC_TRY(itc_build(g, &itc_op_Exclude, n, 2, (itc_value *[]){rest, s.keep}, 1, &m));
    *x = m->out[0];
    return ITC_OK;
}

itc_status itc_exclude_masked(itc_graph *g, const itc_node *n, itc_value **x)
{
    itc_value *keep = NULL;
    return itc_exclude_build(g, n, x, &keep);
}

/* ---- Exclude ---- */

/** Only a softmax reads it, to which the scores that are excluded make no difference. */
static itc_status exclude_grad(itc_grad *b, const itc_node *n)
{
    return itc_grad_add(b, n, 0, itc_grad_of(b, n, 0));
}

static itc_status exclude_lower(itc_lower *l, const itc_node *n)
{
    itc_value *in[2] = {NULL, NULL};
    itc_node *m = NULL;
    ITC_TRY(itc_lower_get_wide(l, n, n->in[0], itc_lower_wide_bits(l), &in[0]));
    ITC_TRY(itc_lower_get(l, n, n->in[1], 0, &in[1]));
    ITC_TRY(itc_lower_build(l, n, n->op, 2, in, 1, &m));
    itc_lower_set(l, n->out[0], m->out[0]);
    return ITC_OK;
}

static itc_status exclude_emit(itc_emit *e, const itc_node *n)
{
    const double least = n->out[0]->type.dtype == ITC_F32 ? -(double)FLT_MAX : INT16_MIN;
    return itc_emit_loop(
        e, n, n->out[0], 2, n->in,
        itc_x(e, ITC_X_SELECT, itc_x_load(e, 1), itc_x_load(e, 0), itc_x_const(e, least)));
}

/**
 * Operand 0 where operand 1 is 1; elsewhere the least number, which takes no part in a softmax.
 * Shapes  x any; keep a boolean that broadcasts to x
 * Units   e_y = e_x, int16; what is excluded is -2^15, beyond the bits that the type states
 * Source  our derivation; NUMERICS.md, "Softmax"
 */
const itc_op_def itc_op_Exclude = {
    .name = "Exclude",
    .domain = "intrain",
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = ITC_OP_INTERNAL,
    .roles = (const itc_role_in[]){ITC_IN_DATA, ITC_IN_MASK},
    .summary = "scores where operand 1 is 1; others take no part in the softmax that follows",
    .infer = itc_infer_same_real,
    .grad = exclude_grad,
    .demand = ITC_DEMAND_WIDE,
    .lower = exclude_lower,
    .plan = itc_plan_hook_same,
    .emit = exclude_emit,
    .in_place = 1,
};
