/*
 * What is known of a value in the middle of an import: conditions, trip counts, lengths and
 * positions. The nodes that lead to the value are copied into a graph of their own, which then goes
 * through the pass that folds constants and infers types.
 */
#include <string.h>

#include "frontend/onnx_model.h"
#include "passes/pass.h"

/* Nodes looked at in one import; a loop whose condition depends on all rounds before takes a number
 * that is quadratic in them. */
#define MAX_EXAMINED ((int64_t)10 * 1000 * 1000)

/** The copies of what leads to one value; `pass_data` of a value is its copy meanwhile. */
typedef struct copier {
    itc_graph *to;
    itc_ctx *scratch;
    itc_value **copied; /**< whose pass_data is set */
    int n, cap;
} copier;

static void set_copy(copier *c, itc_value *v, itc_value *copy)
{
    v->pass_data = copy;
    ITC_PUSH(c->scratch, c->copied, c->n, c->cap, v);
}

static void copy_node(copier *c, const itc_node *n)
{
    itc_graph *to = c->to;
    itc_value **in = ITC_NEW_ARRAY(c->scratch, itc_value *, n->n_in);
    itc_value **out = ITC_NEW_ARRAY(c->scratch, itc_value *, n->n_out);
    for (int i = 0; i < n->n_in; i++) {
        in[i] = n->in[i] ? n->in[i]->pass_data : NULL;
    }
    for (int i = 0; i < n->n_out; i++) {
        if (n->out[i]) {
            out[i] = itc_value_new(to, ITC_VALUE_NODE, "v", (itc_type){.exp_axis = -1});
            set_copy(c, n->out[i], out[i]);
        }
    }
    itc_node *m = itc_node_append(to, n->op, n->n_in, in, n->n_out, out);
    m->opaque = n->opaque;
    m->onnx_version = n->onnx_version;
    m->onnx_op = n->onnx_op;
    m->import_id = n->import_id;
    for (int i = 0; i < n->n_attrs; i++) {
        itc_attr_set(to, m, n->attrs[i]);
    }
}

/** The first operand that has no copy yet; NULL: all have. */
static itc_value *missing_operand(const itc_node *n)
{
    for (int i = 0; i < n->n_in; i++) {
        if (n->in[i] && !n->in[i]->pass_data) {
            return n->in[i];
        }
    }
    return NULL;
}

/** Copies v and what leads to it, operands first. */
static void copy_ancestors(copier *c, itc_value *v)
{
    itc_value **stack = NULL;
    int n = 0, cap = 0;
    ITC_PUSH(c->scratch, stack, n, cap, v);
    while (n > 0) {
        itc_value *x = stack[n - 1];
        itc_value *first =
            x->kind == ITC_VALUE_NODE && !x->pass_data ? missing_operand(x->def) : NULL;
        if (first) {
            ITC_PUSH(c->scratch, stack, n, cap, first);
            continue;
        }
        n--;
        if (x->pass_data) {
            continue;
        }
        if (x->kind == ITC_VALUE_NODE) {
            copy_node(c, x->def);
        } else {
            set_copy(c, x,
                     x->kind == ITC_VALUE_CONST ? itc_const_new(c->to, "c", x->data)
                                                : itc_value_new(c->to, x->kind, "x", x->type));
        }
    }
}

/** The graph of v alone, as model without training. */
static itc_graph *graph_of(const itc_graph *g, itc_value *v, itc_ctx *scratch)
{
    copier c = {.to = itc_graph_new(scratch, "examined"), .scratch = scratch};
    c.to->opset = g->opset;
    c.to->insert = ITC_FORWARD;
    itc_setting_set(c.to, (itc_attr){.name = "loss", .kind = ITC_ATTR_STRING, .u.s = "none"});
    copy_ancestors(&c, v);
    const itc_output out = {"v", v->pass_data};
    ITC_PUSH(scratch, c.to->outputs, c.to->n_outputs, c.to->cap_outputs, out);
    for (int i = 0; i < c.n; i++) {
        c.copied[i]->pass_data = NULL;
    }
    return c.to;
}

static itc_tensor *copy_tensor(itc_ctx *ctx, const itc_tensor *t)
{
    itc_tensor *c = itc_tensor_new(ctx, t->dtype, t->rank, t->dim);
    if (t->count > 0) {
        memcpy(c->data, t->data, (size_t)t->count * itc_dtype_size(t->dtype));
    }
    if (t->batch) {
        c->batch = ITC_NEW_ARRAY(ctx, uint8_t, t->count);
        memcpy(c->batch, t->batch, (size_t)t->count);
    }
    return c;
}

bool itc_onnx_examine(itc_importer *im, itc_value *v, itc_type *type, const itc_tensor **data)
{
    *data = v->kind == ITC_VALUE_CONST ? v->data : NULL;
    *type = v->type;
    if (v->kind != ITC_VALUE_NODE) {
        return true;
    }
    if (im->examined > MAX_EXAMINED) {
        return false;
    }
    itc_ctx *scratch = itc_ctx_new();
    itc_graph *g = graph_of(im->g, v, scratch);
    im->examined += g->section[ITC_FORWARD].n;
    const bool known = itc_pass_shape(g) == ITC_OK && g->n_outputs == 1;
    const itc_value *found = known ? g->outputs[0].value : NULL;
    if (found) {
        *type = found->type;
        *data = found->kind == ITC_VALUE_CONST && found->data ? copy_tensor(im->ctx, found->data)
                                                              : NULL;
    }
    itc_ctx_free(scratch);
    return found != NULL;
}

bool itc_onnx_known_int(itc_importer *im, itc_value *v, int64_t *out)
{
    itc_type type;
    const itc_tensor *t = NULL;
    if (!itc_onnx_examine(im, v, &type, &t) || !t || !t->data || t->count != 1 ||
        t->dtype == ITC_F32 || (t->batch && t->batch[0] != 0)) {
        return false;
    }
    *out = itc_tensor_get_int(t, 0);
    return true;
}
