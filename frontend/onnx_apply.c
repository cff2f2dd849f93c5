/*
 * What a model's training becomes: parameters, slots, loss and settings of the graph, as options
 * and passes would have made them (onnx_training.h).
 */
#include "frontend/onnx_training.h"

#include <string.h>

#include "passes/optimizer.h"

/** What the bindings make of the graph. */
typedef struct applied {
    itc_training *t;
    itc_rule rule; /**< of the first tensor */
    bool any;
    double decay; /**< of those that decay */
    itc_strbuf no_decay;
    int n;
} applied;

static itc_status refuse_rule(const itc_training *t, const char *key, const char *why)
{
    return itc_error(t->im->ctx, NULL, ITC_UNSUPPORTED, "E0232",
                     "training_info: update_binding of \"%s\": %s", key, why);
}

static itc_value *initializer(const itc_training *t, const char *name)
{
    const itc_binding *b = itc_scope_own(t->scope, name);
    itc_value *v = b && b->kind == ITC_BIND_TENSOR ? b->value : NULL;
    const bool own = v && v->data && v->reason && strcmp(v->reason, "Constant node") != 0;
    return own && v->kind == ITC_VALUE_CONST ? v : NULL;
}

/** The start of one state of w: initializer `name`, which the rule's own result replaces. */
static itc_status add_slot(const itc_training *t, const itc_rule *r, const itc_value *w,
                           const char *key, int output, const char *suffix, const char *name)
{
    itc_ctx *ctx = t->im->ctx;
    const char *next = itc_training_update(t, name);
    const itc_made m = itc_training_maker(t, next ? next : "");
    itc_value *start = initializer(t, name);
    if (!next || m.node != r->node || m.output != output || !start) {
        return refuse_rule(t, key,
                           itc_format(ctx, "the state \"%s\" of %s is not kept", name,
                                      itc_training_label(ctx, r->node)));
    }
    if (!itc_type_equal(&start->type, &w->type)) {
        return itc_error(ctx, NULL, ITC_SHAPE, "E0234",
                         "training_info: \"%s\" is %s, its state %s is %s", key,
                         itc_type_text(ctx, &w->type), name, itc_type_text(ctx, &start->type));
    }
    const char *slot = itc_optimizer_slot(ctx, w, suffix);
    itc_value *taken = itc_value_find(t->im->g, slot);
    if (taken && taken != start) {
        itc_value_rename(t->im->g, taken, itc_format(ctx, "%s.start", slot));
    }
    itc_value *v = start;
    if (start->n_uses == 0) { /* of nothing else */
        v->kind = ITC_VALUE_SLOT;
        itc_value_rename(t->im->g, v, slot);
    } else {
        v = itc_value_new(t->im->g, ITC_VALUE_SLOT, slot, w->type);
        v->data = start->data;
        v->onnx = itc_strdup(ctx, name);
    }
    v->reason = itc_format(ctx, "state of %s", itc_training_label(ctx, r->node));
    return ITC_OK;
}

/** That all tensors are trained alike: only whether they decay may differ. */
static itc_status agree(applied *a, const itc_rule *r, const char *key)
{
    itc_ctx *ctx = a->t->im->ctx;
    const char *lr[2] = {a->rule.lr ? a->rule.lr : "an input", r->lr ? r->lr : "an input"};
    const bool decays = r->decay > 0;
    if (!a->any) {
        a->rule = *r;
        a->any = true;
    } else if (strcmp(a->rule.optimizer, r->optimizer) != 0 || strcmp(lr[0], lr[1]) != 0 ||
               strcmp(a->rule.schedule, r->schedule) != 0 ||
               (decays && a->decay > 0 && (a->decay < r->decay || a->decay > r->decay))) {
        return refuse_rule(a->t, key,
                           itc_format(ctx, "%s and %s differ in more than whether they decay",
                                      itc_training_label(ctx, r->node),
                                      itc_training_label(ctx, a->rule.node)));
    }
    if (!decays) {
        itc_strbuf_add(&a->no_decay, a->no_decay.len > 0 ? ";" : "");
        for (const char *p = key; *p; p++) {
            itc_strbuf_add(&a->no_decay, strchr("*?[\\", *p) ? "\\" : "");
            itc_strbuf_add_n(&a->no_decay, p, 1);
        }
    }
    a->decay = decays ? r->decay : a->decay;
    return strchr(key, ';') ? refuse_rule(a->t, key, "a name with a ';' cannot be trained here")
                            : ITC_OK;
}

/** Tensor `key` becomes result k of an update rule. */
static itc_status train(applied *a, const char *key, const Onnx__NodeProto *p, int k)
{
    const itc_training *t = a->t;
    itc_value *w = initializer(t, key);
    itc_rule r;
    ITC_TRY(itc_rule_read(t, p, &r));
    const bool sub = r.n_slots == 0;
    char *const *x = sub ? p->input : p->input + 2 + k;
    if (!w || strcmp(*x, key) != 0) {
        return refuse_rule(
            t, key,
            itc_format(t->im->ctx, "%s updates \"%s\"", itc_training_label(t->im->ctx, p), *x));
    }
    if (w->type.dtype != ITC_F32) {
        return refuse_rule(t, key,
                           itc_format(t->im->ctx, "it is %s", itc_type_text(t->im->ctx, &w->type)));
    }
    const char *gradient = sub ? r.gradient : x[r.n];
    if (!itc_training_is_gradient(t, gradient, key)) {
        return itc_error(
            t->im->ctx, NULL, ITC_UNSUPPORTED, "E0233",
            "training_info: \"%s\", which %s takes as gradient of \"%s\", is no output of a "
            "Gradient for it",
            gradient, itc_training_label(t->im->ctx, p), key);
    }
    for (int i = 0; i < r.n_slots; i++) {
        ITC_TRY(add_slot(t, &r, w, key, (1 + i) * r.n + k, r.suffix[i], x[(2 + i) * r.n]));
    }
    ITC_TRY(agree(a, &r, key));
    w->kind = ITC_VALUE_PARAM;
    w->reason =
        itc_format(t->im->ctx, "trained by %s of training_info", itc_training_label(t->im->ctx, p));
    a->n++;
    return ITC_OK;
}

static bool is_statistic(const Onnx__NodeProto *p, int output)
{
    return strcmp(itc_onnx_text(p->op_type), "BatchNormalization") == 0 &&
           itc_onnx_domain(p->domain)[0] == '\0' && output > 0;
}

static itc_status check_keys(const itc_training *t)
{
    for (size_t i = 0; i < t->info->n_update_binding; i++) {
        const char *key = itc_onnx_text(t->info->update_binding[i]->key);
        if (!initializer(t, key)) {
            return itc_error(t->im->ctx, NULL, ITC_PARSE, "E0231",
                             "training_info: update_binding of \"%s\", which is no initializer",
                             key);
        }
    }
    return ITC_OK;
}

static itc_status apply_binding(applied *a, const char *key, const char *value)
{
    const itc_training *t = a->t;
    itc_ctx *ctx = t->im->ctx;
    const itc_made m = itc_training_maker(t, value);
    if (!m.node) {
        return refuse_rule(t, key, itc_format(ctx, "\"%s\" is made by no node", value));
    }
    if (is_statistic(m.node, m.output) || itc_rule_counts(t, key, value)) {
        return ITC_OK;
    }
    if (itc_rule_is_optimizer(m.node)) {
        itc_rule r;
        ITC_TRY(itc_rule_read(t, m.node, &r));
        return m.output < r.n ? train(a, key, m.node, m.output)
                              : ITC_OK; /* add_slot checks states */
    }
    const bool sub = strcmp(itc_onnx_text(m.node->op_type), "Sub") == 0 &&
                     itc_onnx_domain(m.node->domain)[0] == '\0';
    return sub ? train(a, key, m.node, 0)
               : refuse_rule(t, key,
                             itc_format(ctx,
                                        "%s is none of the update rules Adagrad, Adam, Momentum "
                                        "(" ITC_TRAINING_DOMAIN ") and w - lr * g",
                                        itc_training_label(ctx, m.node)));
}

/* ---- settings ---- */

static void set(itc_graph *g, const char *name, const char *text)
{
    if (text && text[0] != '\0') {
        itc_setting_set(g, (itc_attr){.name = name, .kind = ITC_ATTR_STRING, .u.s = text});
    }
}

/** The output that is the loss, under a name that --loss can say. */
static itc_status name_loss(const itc_training *t, const char **name)
{
    itc_graph *g = t->im->g;
    for (int i = 0; i < g->n_outputs; i++) {
        if (strcmp(g->outputs[i].name, t->loss) != 0) {
            continue;
        }
        itc_type type;
        itc_dim count;
        const itc_tensor *data = NULL;
        if (itc_onnx_examine(t->im, g->outputs[i].value, &type, &data) && type.known &&
            (!itc_type_count(&type, &count) || count.size != 1 || count.batch)) {
            return itc_training_refuse_gradient(
                t, t->first,
                itc_format(t->im->ctx, "is of \"%s\", which is %s and no number", t->loss,
                           itc_type_text(t->im->ctx, &type)));
        }
        if (strpbrk(t->loss, ";,:=")) {
            g->outputs[i].name = "training_info.loss";
        }
        *name = g->outputs[i].name;
        return ITC_OK;
    }
    return ITC_INTERNAL;
}

itc_status itc_training_apply(itc_training *t, const itc_scope *scope)
{
    itc_ctx *ctx = t->im->ctx;
    itc_graph *g = t->im->g;
    const char *loss = NULL;
    applied a = {.t = t};
    t->scope = scope;
    itc_strbuf_init(&a.no_decay, ctx);
    itc_graph_count_uses(g);
    ITC_TRY(check_keys(t));
    for (size_t i = 0; i < t->info->n_update_binding; i++) {
        const Onnx__StringStringEntryProto *b = t->info->update_binding[i];
        ITC_TRY(apply_binding(&a, itc_onnx_text(b->key), itc_onnx_text(b->value)));
    }
    if (!a.any) {
        return itc_error(ctx, NULL, ITC_UNSUPPORTED, "E0232",
                         "training_info: no update_binding trains an initializer");
    }
    ITC_TRY(name_loss(t, &loss));
    const char *optimizer = a.decay > 0
                                ? itc_format(ctx, "%s,weight-decay=%.9g", a.rule.optimizer, a.decay)
                                : a.rule.optimizer;
    set(g, "loss", itc_format(ctx, "%s=graph", loss));
    set(g, "optimizer", optimizer);
    set(g, "lr", a.rule.lr);
    set(g, "schedule", a.rule.schedule);
    set(g, "no_decay", a.decay > 0 ? a.no_decay.text : "");
    itc_note(
        ctx,
        "training_info says: %d trained tensors, --loss %s=graph --optimizer %s%s%s%s%s; options "
        "that are given count instead",
        a.n, loss, optimizer, a.rule.lr ? " --lr " : ", the rate is --lr",
        a.rule.lr ? a.rule.lr : "", a.rule.schedule[0] ? " --schedule " : "", a.rule.schedule);
    return ITC_OK;
}
