#include <string.h>

#include "ir/op.h"

static const itc_op_def *const rows[] = {
#define OP(name) &itc_op_##name,
#include "ir/ops.def"
#undef OP
};

#define N_ROWS ((int)(sizeof rows / sizeof rows[0]))

static const char *plain_domain(const char *domain)
{
    return domain && strcmp(domain, "ai.onnx") != 0 ? domain : "";
}

const itc_op_def *itc_op_find(const char *domain, const char *name)
{
    domain = plain_domain(domain);
    for (int i = 0; i < N_ROWS; i++) {
        if (strcmp(rows[i]->name, name) == 0 &&
            strcmp(plain_domain(rows[i]->domain), domain) == 0) {
            return rows[i];
        }
    }
    return NULL;
}

const itc_op_def *itc_op_named(const char *name)
{
    for (int i = 0; i < N_ROWS; i++) {
        if (strcmp(rows[i]->name, name) == 0) {
            return rows[i];
        }
    }
    return NULL;
}

const itc_op_def *itc_op_at(int i)
{
    return i >= 0 && i < N_ROWS ? rows[i] : NULL;
}

itc_role_in itc_op_role(const itc_op_def *op, int input)
{
    if (!op || !op->roles || input < 0) {
        return ITC_IN_DATA;
    }
    int listed = op->flags & ITC_OP_VARIADIC ? op->in_min : op->in_max;
    if (listed == 0) {
        listed = 1;
    }
    return op->roles[input < listed ? input : listed - 1];
}

int itc_op_version(const itc_op_def *op, int opset)
{
    int version = 0;
    for (const uint8_t *v = op->versions; v && *v != 0; v++) {
        if (*v <= opset && *v > version) {
            version = *v;
        }
    }
    return version;
}

itc_status itc_infer(itc_graph *g, itc_node *n)
{
    for (int i = 0; i < n->n_in; i++) {
        if (n->in[i] && !n->in[i]->type.known) {
            return itc_error(g->ctx, n, ITC_SHAPE, "E0290",
                             "the type of input %d (\"%s\") is not known", i, n->in[i]->name);
        }
    }
    if (!n->op) {
        return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0201", "operator %s is not supported",
                         n->opaque ? n->opaque : "?");
    }
    return n->op->infer(g, n);
}

itc_status itc_build(itc_graph *g, const itc_op_def *op, const itc_node *origin, int n_in,
                     itc_value *const *in, int n_out, itc_node **out)
{
    *out = itc_node_new(g, op, origin, n_in, in, n_out);
    return itc_infer(g, *out);
}
