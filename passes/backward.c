/*
 * backward: reverse-mode differentiation.
 *
 * Walks the training graph from the losses back; rules live with the operators (op->grad), the
 * pass knows none of them. Gradients of a value that is used several times are summed by one
 * Combine. Afterwards BACKWARD holds the gradients and UPDATE the optimizer (optimizer.c).
 *
 *     %y = Relu(%x)                  %dx = Mask(%dy, %y)
 *
 * Linear in the graph's size (times the number of operands).
 */
#include "passes/grad.h"
#include "passes/optimizer.h"
#include "passes/pass.h"

#include <string.h>

typedef struct contribution {
    itc_value *v;
    struct contribution *next;
} contribution;

struct itc_grad {
    itc_graph *g;
    int n;                /**< values when the pass began */
    bool *wanted;         /**< leads back to something trained */
    contribution **parts; /**< of each value's gradient */
    itc_value **sum;
    itc_status status;
};

itc_graph *itc_grad_graph(itc_grad *b)
{
    return b->g;
}

bool itc_grad_wanted(itc_grad *b, const itc_node *n, int i)
{
    return i < n->n_in && n->in[i] && n->in[i]->id < b->n && b->wanted[n->in[i]->id];
}

itc_status itc_grad_add(itc_grad *b, const itc_node *n, int i, itc_value *c)
{
    const itc_value *v = n->in[i];
    if (!itc_type_equal(&v->type, &c->type)) {
        return itc_error(b->g->ctx, n, ITC_INTERNAL, "E0311",
                         "gradient of operand %d has type %s, its value %s", i,
                         itc_type_text(b->g->ctx, &c->type), itc_type_text(b->g->ctx, &v->type));
    }
    contribution *p = ITC_NEW(b->g->ctx, contribution);
    p->v = c;
    p->next = b->parts[v->id];
    b->parts[v->id] = p;
    return ITC_OK;
}

itc_status itc_grad_build(itc_grad *b, const itc_node *n, const itc_op_def *op, int n_in,
                          itc_value *const *in, itc_node **node, itc_value **out)
{
    itc_node *m = NULL;
    ITC_TRY(itc_build(b->g, op, n, n_in, in, 1, &m));
    if (node) {
        *node = m;
    }
    *out = m->out[0];
    return ITC_OK;
}

/** Sums the contributions to v's gradient, once. */
static itc_status gradient(itc_grad *b, const itc_node *origin, const itc_value *v, itc_value **out)
{
    itc_value *in[ITC_MAX_RANK * 2];
    itc_coef one[ITC_MAX_RANK * 2];
    *out = NULL;
    if (v->id >= b->n) {
        return ITC_OK;
    }
    const int chunk = ITC_MAX_RANK; /* wide sums nest */
    while (b->parts[v->id]) {
        int n = 0;
        if (b->sum[v->id]) {
            in[n++] = b->sum[v->id];
        }
        for (contribution *p = b->parts[v->id]; p && n < chunk; p = p->next) {
            in[n++] = p->v;
            b->parts[v->id] = p->next;
        }
        if (n == 1) {
            b->sum[v->id] = in[0];
            continue;
        }
        itc_node *sum = NULL;
        ITC_TRY(itc_build(b->g, &itc_op_Combine, origin, n, in, 1, &sum));
        for (int i = 0; i < n; i++) {
            one[i] = (itc_coef){1, ITC_SYM_NONE};
        }
        itc_set_coefs(b->g, sum, "coef", n, one);
        b->sum[v->id] = sum->out[0];
    }
    *out = b->sum[v->id];
    return ITC_OK;
}

itc_value *itc_grad_of(itc_grad *b, const itc_node *n, int out)
{
    if (out >= n->n_out || !n->out[out] || n->out[out]->id >= b->n) {
        return NULL;
    }
    return b->sum[n->out[out]->id];
}

static void find_wanted(itc_grad *b)
{
    for (int i = 0; i < b->n; i++) {
        b->wanted[i] = b->g->values[i]->kind == ITC_VALUE_PARAM;
    }
    for (int s = ITC_PREPARE; s <= ITC_FORWARD; s++) {
        const itc_node_list *list = &b->g->section[s];
        for (int k = 0; k < list->n; k++) {
            const itc_node *n = list->node[k];
            bool any = false;
            for (int i = 0; i < n->n_in; i++) {
                any = any || (n->in[i] && b->wanted[n->in[i]->id]);
            }
            for (int i = 0; any && i < n->n_out; i++) {
                if (n->out[i]) {
                    b->wanted[n->out[i]->id] = true;
                }
            }
        }
    }
}

static itc_status visit(itc_grad *b, const itc_node *n)
{
    bool reached = (n->op->flags & ITC_OP_LOSS) != 0, wanted = false;
    for (int i = 0; i < n->n_out; i++) {
        itc_value *unused = NULL;
        if (n->out[i]) {
            ITC_TRY(gradient(b, n, n->out[i], &unused));
            reached = reached || unused != NULL;
        }
    }
    for (int i = 0; i < n->n_in; i++) {
        wanted = wanted || itc_grad_wanted(b, n, i);
    }
    if (!reached || !wanted) {
        return ITC_OK;
    }
    if (!n->op->grad) {
        return itc_error(b->g->ctx, n, ITC_UNSUPPORTED, "E0312",
                         "%s has no gradient, and a trained tensor lies behind it", n->op->name);
    }
    return n->op->grad(b, n);
}

/** Starts of slots that the optimizer does not have. */
static void drop_unused_slots(const itc_grad *b)
{
    for (int i = 0; i < b->n; i++) {
        itc_value *v = b->g->values[i];
        if (v->kind == ITC_VALUE_SLOT && !v->next_state) {
            v->kind = ITC_VALUE_CONST;
        }
    }
}

itc_status itc_pass_backward(itc_graph *g)
{
    itc_grad b = {.g = g, .n = g->n_values};
    b.wanted = ITC_NEW_ARRAY(g->ctx, bool, b.n + 1);
    b.parts = ITC_NEW_ARRAY(g->ctx, contribution *, b.n + 1);
    b.sum = ITC_NEW_ARRAY(g->ctx, itc_value *, b.n + 1);
    find_wanted(&b);
    g->insert = ITC_BACKWARD;
    for (int s = ITC_FORWARD; s >= ITC_PREPARE; s--) {
        const itc_node_list list = g->section[s];
        for (int k = list.n - 1; k >= 0; k--) {
            ITC_TRY(visit(&b, list.node[k]));
        }
    }
    int trained = 0;
    for (int i = 0; i < b.n; i++) {
        itc_value *v = g->values[i];
        itc_value *dv = NULL;
        if (v->kind == ITC_VALUE_STAT && v->next_state) {
            ITC_TRY(itc_optimizer_add_stat(g, v));
        }
        if (v->kind != ITC_VALUE_PARAM) {
            continue;
        }
        const itc_node *from = b.parts[i] ? b.parts[i]->v->def : NULL;
        g->insert = ITC_BACKWARD;
        ITC_TRY(gradient(&b, from, v, &dv));
        if (!dv) {
            v->kind = ITC_VALUE_CONST;
            v->reason = "no loss depends on it";
            continue;
        }
        ITC_TRY(itc_optimizer_add(g, v, dv));
        trained++;
    }
    if (trained == 0 && !itc_loss_is_none(g)) {
        return itc_error(g->ctx, NULL, ITC_RANGE, "E0313",
                         "nothing to train: no loss depends on a parameter");
    }
    drop_unused_slots(&b);
    itc_graph_sweep(g);
    return ITC_OK;
}
