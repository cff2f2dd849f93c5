/*
 * The optimizer as graph: linear combinations of the parameter, its gradient and its slots.
 *
 * SGD as PyTorch defines it (torch.optim.SGD, dampening 0), for the sum G over N samples:
 *     g = G/N + decay * w;   v' = momentum * v + g;   w' = w - lr * (nesterov ? g + momentum * v' : v')
 */
#include "passes/optimizer.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

typedef struct sgd {
    double momentum, decay;
    bool nesterov;
} sgd;

static itc_status parse_sgd(itc_graph *g, sgd *o)
{
    const char *text = itc_setting_string(g, "optimizer", "sgd,momentum=0.9");
    *o = (sgd){0};
    if (strncmp(text, "sgd", 3) != 0 || (text[3] && text[3] != ',')) {
        return itc_error(g->ctx, NULL, ITC_UNSUPPORTED, "E0314",
                         "--optimizer %s is not available; there is sgd[,momentum=M][,nesterov]"
                         "[,weight-decay=W]", text);
    }
    for (const char *p = text + 3; *p == ',';) {
        p++;
        char *end = (char *)(uintptr_t)p;
        bool ok = false;
        if (strncmp(p, "momentum=", 9) == 0) {
            o->momentum = strtod(p + 9, &end);
            ok = end > p + 9 && o->momentum >= 0 && o->momentum < 1;
        } else if (strncmp(p, "weight-decay=", 13) == 0) {
            o->decay = strtod(p + 13, &end);
            ok = end > p + 13 && o->decay >= 0 && o->decay < 1;
        } else if (strncmp(p, "nesterov", 8) == 0) {
            o->nesterov = ok = true;
            end += 8;
        }
        if (!ok || (*end && *end != ',')) {
            return itc_error(g->ctx, NULL, ITC_RANGE, "E0315",
                             "--optimizer %s: expected sgd[,momentum=M][,nesterov]"
                             "[,weight-decay=W] with 0 <= M, W < 1", text);
        }
        p = end;
    }
    if (o->nesterov && !(o->momentum > 0)) {
        return itc_error(g->ctx, NULL, ITC_RANGE, "E0315",
                         "--optimizer %s: nesterov needs a momentum above 0", text);
    }
    return ITC_OK;
}

/** A zero-initialised state tensor of w's shape. */
static itc_value *new_slot(itc_graph *g, const itc_value *w, const char *suffix)
{
    itc_value *v = itc_value_new(g, ITC_VALUE_SLOT, itc_format(g->ctx, "%s.%s", w->name, suffix),
                                 w->type);
    int64_t dim[ITC_MAX_RANK];
    for (int i = 0; i < w->type.rank; i++) {
        dim[i] = w->type.dim[i].size;
    }
    v->data = itc_tensor_new(g->ctx, ITC_F32, w->type.rank, dim);
    v->onnx = itc_format(g->ctx, "%s.%s", w->onnx ? w->onnx : w->name, suffix);
    v->reason = "optimizer";
    return v;
}

static itc_status combine(itc_graph *g, const itc_node *origin, int n, itc_value *const *in,
                          const itc_coef *c, const char *name, itc_value **out)
{
    itc_node *m = NULL;
    itc_value *used[4];
    itc_coef coef[4];
    int k = 0;
    for (int i = 0; i < n; i++) {
        if (c[i].value < 0 || c[i].value > 0) {
            used[k] = in[i];
            coef[k++] = c[i];
        }
    }
    ITC_TRY(itc_build(g, &itc_op_Combine, origin, k, used, 1, &m));
    itc_set_coefs(g, m, "coef", k, coef);
    itc_value_rename(g, m->out[0], name);
    *out = m->out[0];
    return ITC_OK;
}

static bool decays(const itc_graph *g, const itc_value *w)
{
    const char *name = w->onnx ? w->onnx : w->name;
    for (const char *p = itc_setting_string(g, "no_decay", ""); *p;) {
        const size_t len = strcspn(p, ";");
        char *glob = itc_strndup(g->ctx, p, len);
        if (fnmatch(glob, name, 0) == 0) {
            return false;
        }
        p += len + (p[len] == ';');
    }
    return true;
}

/** Adds dw to the sum over the micro-batches of a step, which becomes the gradient. */
static itc_status accumulate(itc_graph *g, const itc_value *w, itc_value **dw)
{
    itc_value *grid = new_slot(g, w, "grid");
    itc_value *in[2] = {grid, *dw};
    itc_node *add = NULL, *next = NULL;
    const itc_node *origin = (*dw)->def;
    g->insert = ITC_BACKWARD;
    ITC_TRY(itc_build(g, &itc_op_GridAdd, origin, 2, in, 1, &add));
    *dw = add->out[0];
    g->insert = ITC_UPDATE;
    ITC_TRY(itc_build(g, &itc_op_GridNext, origin, 1, add->out, 1, &next));
    grid->next_state = next->out[0];
    return ITC_OK;
}

static bool several_micro_batches(const itc_graph *g)
{
    const int64_t micro = itc_setting_int(g, "micro_batch", 0);
    return micro > 0 && micro < itc_setting_int(g, "batch", 64);
}

itc_status itc_optimizer_add_stat(itc_graph *g, itc_value *stat)
{
    itc_node *old = stat->next_state->def;
    itc_node *m = NULL;
    itc_value *in[4];
    if (!old || old->section != ITC_FORWARD || (old->op->flags & ITC_OP_SUM) == 0 || old->n_in > 4) {
        return ITC_OK; /* made in UPDATE already */
    }
    for (int i = 0; i < old->n_in; i++) {
        in[i] = old->in[i];
        if (in[i]->kind == ITC_VALUE_NODE && several_micro_batches(g)) {
            ITC_TRY(accumulate(g, stat, &in[i]));
        }
    }
    g->insert = ITC_UPDATE;
    ITC_TRY(itc_build(g, old->op, old, old->n_in, in, 1, &m));
    const itc_attr *coef = itc_attr_find(old, "coef");
    itc_set_coefs(g, m, "coef", coef->n, coef->u.coefs);
    stat->next_state = m->out[0];
    itc_value_rename(g, m->out[0], itc_format(g->ctx, "%s.new", stat->name));
    return ITC_OK;
}

itc_status itc_optimizer_add(itc_graph *g, itc_value *w, itc_value *dw)
{
    sgd o;
    ITC_TRY(parse_sgd(g, &o));
    const itc_node *origin = dw->def;
    if (several_micro_batches(g)) {
        ITC_TRY(accumulate(g, w, &dw));
    }
    g->insert = ITC_UPDATE;
    const itc_coef inv_n = {1, ITC_SYM_INV_N};
    const itc_coef decay = {decays(g, w) ? o.decay : 0, ITC_SYM_NONE};
    const itc_coef momentum = {o.momentum, ITC_SYM_NONE};
    const itc_coef one = {1, ITC_SYM_NONE}, minus_lr = {-1, ITC_SYM_LR};
    itc_value *step = NULL;
    if (o.momentum > 0) {
        itc_value *v = new_slot(g, w, "momentum");
        itc_value *next = NULL;
        const char *name = itc_format(g->ctx, "%s.new", v->name);
        ITC_TRY(combine(g, origin, 3, (itc_value *[]){v, dw, w},
                        (itc_coef[]){momentum, inv_n, decay}, name, &next));
        v->next_state = step = next;
        if (o.nesterov) {
            ITC_TRY(combine(g, origin, 3, (itc_value *[]){next, dw, w},
                            (itc_coef[]){momentum, inv_n, decay},
                            itc_format(g->ctx, "%s.step", w->name), &step));
        }
    } else {
        ITC_TRY(combine(g, origin, 2, (itc_value *[]){dw, w}, (itc_coef[]){inv_n, decay},
                        itc_format(g->ctx, "%s.step", w->name), &step));
    }
    return combine(g, origin, 2, (itc_value *[]){w, step}, (itc_coef[]){one, minus_lr},
                   itc_format(g->ctx, "%s.new", w->name), &w->next_state);
}
