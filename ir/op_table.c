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

/* ---- kinds of numbers ---- */

int itc_kind_of(const itc_type *t)
{
    if (t->dtype == ITC_BOOL) {
        return ITC_KIND_BOOL;
    }
    return itc_is_plain(t) ? ITC_KIND_INT : ITC_KIND_FLOAT;
}

bool itc_is_plain(const itc_type *t)
{
    return t->dtype != ITC_F32 && t->bits == 0;
}

const char *itc_kind_text(itc_ctx *ctx, int kinds)
{
    static const char *const names[] = {"float", "integer", "boolean"};
    itc_strbuf b;
    itc_strbuf_init(&b, ctx);
    for (int i = 0; i < 3; i++) {
        if ((kinds >> i & 1) != 0) {
            itc_strbuf_printf(&b, "%s%s", b.len > 0 ? " or " : "", names[i]);
        }
    }
    return b.len > 0 ? b.text : "known when compiling";
}

int itc_op_kinds(const itc_op_def *op, int i)
{
    switch (itc_op_role(op, i)) {
    case ITC_IN_CONST:
        return 0;
    case ITC_IN_INDEX:
        return ITC_KIND_INT;
    case ITC_IN_MASK:
        return ITC_KIND_BOOL;
    case ITC_IN_PASS:
        return op->kinds != 0 ? op->kinds : ITC_KIND_ANY;
    case ITC_IN_DATA:
    case ITC_IN_PARAM:
    case ITC_IN_WEAK:
    case ITC_IN_PART:
    case ITC_IN_STAT:
        break;
    }
    const bool internal = (op->flags & ITC_OP_INTERNAL) != 0;
    return op->kinds != 0 ? op->kinds : internal ? ITC_KIND_ANY : ITC_KIND_FLOAT;
}

itc_status itc_check_kinds(itc_graph *g, const itc_node *n)
{
    for (int i = 0; i < n->n_in; i++) {
        const int kinds = itc_op_kinds(n->op, i);
        const itc_type *t = n->in[i] ? &n->in[i]->type : NULL;
        if (t && kinds != 0 && (itc_kind_of(t) & kinds) == 0) {
            return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0241",
                             "input %d is %s; %s takes %s here at run time", i,
                             itc_type_text(g->ctx, t), n->op->name, itc_kind_text(g->ctx, kinds));
        }
    }
    return ITC_OK;
}

/** More than any machine holds, and far from where products of counts and sizes overflow. */
enum { MOST_BITS = 40 };

static itc_status check_sizes(itc_graph *g, const itc_node *n)
{
    for (int i = 0; i < n->n_out; i++) {
        const itc_type *t = n->out[i] ? &n->out[i]->type : NULL;
        int64_t count = 1;
        for (int k = 0; t && t->known && k < t->rank; k++) {
            if (!itc_size_mul(count, t->dim[k].size, &count) || count >> MOST_BITS != 0) {
                return itc_error(g->ctx, n, ITC_RANGE, "E0226",
                                 "its result %s has more than 2^%d elements a sample",
                                 itc_type_text(g->ctx, t), MOST_BITS);
            }
        }
    }
    return ITC_OK;
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
    ITC_TRY(itc_check_kinds(g, n));
    ITC_TRY(n->op->infer(g, n));
    return check_sizes(g, n);
}

itc_status itc_build(itc_graph *g, const itc_op_def *op, const itc_node *origin, int n_in,
                     itc_value *const *in, int n_out, itc_node **out)
{
    *out = itc_node_new(g, op, origin, n_in, in, n_out);
    return itc_infer(g, *out);
}
