#include "frontend/onnx_training.h"

#include <stdlib.h>
#include <string.h>

#include "passes/optimizer.h"

#define DOMAIN ITC_TRAINING_DOMAIN
#define MAX_ROUNDS 100 /* over nodes that are not in order */

bool itc_training_is(const Onnx__NodeProto *p, const char *type)
{
    return strcmp(itc_onnx_domain(p->domain), DOMAIN) == 0 &&
           strcmp(itc_onnx_text(p->op_type), type) == 0;
}

const char *itc_training_label(itc_ctx *ctx, const Onnx__NodeProto *p)
{
    const char *name = itc_onnx_text(p->name);
    if (name[0] == '\0' && p->n_output > 0) {
        name = p->output[0];
    }
    return itc_format(ctx, "%s \"%s\"", itc_onnx_text(p->op_type), name);
}

/* ---- the joined graph by its names ---- */

itc_made itc_training_maker(const itc_training *t, const char *name)
{
    itc_made m = {.name = name};
    for (int hops = 0; hops <= t->n_nodes; hops++) {
        const itc_binding *b = m.name[0] != '\0' ? itc_scope_own(t->makers, m.name) : NULL;
        if (!b) {
            return m;
        }
        const Onnx__NodeProto *p = t->node[b->n];
        if (strcmp(itc_onnx_text(p->op_type), "Identity") != 0 ||
            itc_onnx_domain(p->domain)[0] != '\0' || p->n_input != 1) {
            m.node = p;
            while (m.output < (int)p->n_output && strcmp(p->output[m.output], m.name) != 0) {
                m.output++;
            }
            return m;
        }
        m.name = p->input[0];
    }
    return m; /* Identities in a circle: importing tells */
}

const char *itc_training_update(const itc_training *t, const char *name)
{
    const itc_binding *b = itc_scope_own(t->bound, name);
    return b ? itc_onnx_text(t->info->update_binding[b->n]->value) : NULL;
}

static bool has_input(const Onnx__GraphProto *g, const char *name)
{
    for (size_t i = 0; i < g->n_input; i++) {
        if (strcmp(itc_onnx_text(g->input[i]->name), name) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_algorithm_input(const itc_training *t, const char *name)
{
    return t->info->algorithm && has_input(t->info->algorithm, name);
}

itc_number_kind itc_training_number(const itc_training *t, const char *name, double *v)
{
    const itc_binding *b = itc_scope_own(t->scope, name);
    itc_type type;
    const itc_tensor *data = NULL;
    if (is_algorithm_input(t, name) &&
        (!b || (b->kind == ITC_BIND_TENSOR && b->value->kind == ITC_VALUE_INPUT))) {
        return ITC_NUMBER_INPUT;
    }
    if (!b || b->kind != ITC_BIND_TENSOR || !itc_onnx_examine(t->im, b->value, &type, &data) ||
        !data || !data->data || data->count != 1 || (data->batch && data->batch[0])) {
        return ITC_NUMBER_UNKNOWN;
    }
    *v = itc_tensor_get(data, 0);
    return ITC_NUMBER_KNOWN;
}

/* ---- which nodes are imported ---- */

/** Whether a node, or a body in it, uses a name that `names` has. */
static bool uses_any(const itc_scope *names, const Onnx__NodeProto *p)
{
    for (size_t i = 0; i < p->n_input; i++) {
        if (p->input[i][0] != '\0' && itc_scope_own(names, p->input[i])) {
            return true;
        }
    }
    for (size_t i = 0; i < p->n_attribute; i++) {
        const Onnx__GraphProto *g = p->attribute[i]->g;
        for (size_t k = 0; g && k < g->n_node; k++) {
            if (uses_any(names, g->node[k])) { /* nesting is bounded when reading */
                return true;
            }
        }
    }
    return false;
}

static void add_used(itc_scope *names, const Onnx__NodeProto *p)
{
    for (size_t i = 0; i < p->n_input; i++) {
        itc_scope_bind(names, p->input[i], (itc_binding){.n = 1});
    }
    for (size_t i = 0; i < p->n_attribute; i++) {
        const Onnx__GraphProto *g = p->attribute[i]->g;
        for (size_t k = 0; g && k < g->n_node; k++) {
            add_used(names, g->node[k]);
        }
        for (size_t k = 0; g && k < g->n_output; k++) {
            itc_scope_bind(names, itc_onnx_text(g->output[k]->name), (itc_binding){.n = 1});
        }
    }
}

/** Marks the nodes of the algorithm that are Gradients or depend on one. */
static itc_status find_behind(const itc_training *t, bool *behind)
{
    itc_scope *names = itc_scope_new(t->im->ctx, NULL);
    bool more = true;
    for (int round = 0; more; round++) {
        more = false;
        for (int i = t->n_model; i < t->n_nodes; i++) {
            const Onnx__NodeProto *p = t->node[i];
            if (behind[i] || !(itc_training_is(p, "Gradient") || uses_any(names, p))) {
                continue;
            }
            behind[i] = more = true;
            for (size_t k = 0; k < p->n_output; k++) {
                itc_scope_bind(names, p->output[k], (itc_binding){.n = 1});
            }
        }
        if (round == MAX_ROUNDS) {
            return itc_error(t->im->ctx, NULL, ITC_PARSE, "E0231",
                             "training_info: the nodes of the algorithm are not in order");
        }
    }
    return ITC_OK;
}

/* ---- Gradient ---- */

static const Onnx__AttributeProto *attribute(const Onnx__NodeProto *p, const char *name)
{
    for (size_t i = 0; i < p->n_attribute; i++) {
        if (strcmp(itc_onnx_text(p->attribute[i]->name), name) == 0) {
            return p->attribute[i];
        }
    }
    return NULL;
}

static const char *text_of(itc_ctx *ctx, ProtobufCBinaryData s)
{
    return s.len > 0 ? itc_strndup(ctx, (const char *)s.data, s.len) : "";
}

/** Name i of those in xs and then zs; NULL: there are not so many. */
static const char *argument(itc_ctx *ctx, const Onnx__NodeProto *p, size_t i)
{
    const Onnx__AttributeProto *list[] = {attribute(p, "xs"), attribute(p, "zs")};
    for (int k = 0; k < 2; k++) {
        const size_t n = list[k] ? list[k]->n_strings : 0;
        if (i < n) {
            return text_of(ctx, list[k]->strings[i]);
        }
        i -= n;
    }
    return NULL;
}

static itc_status refuse_gradient(const itc_training *t, const Onnx__NodeProto *p, const char *why)
{
    return itc_error(t->im->ctx, NULL, ITC_UNSUPPORTED, "E0233", "training_info: %s %s",
                     itc_training_label(t->im->ctx, p), why);
}

/** One loss for all, whose gradients are taken where the step is. */
static itc_status check_gradient(itc_training *t, const Onnx__NodeProto *p)
{
    itc_ctx *ctx = t->im->ctx;
    const Onnx__AttributeProto *y = attribute(p, "y");
    const char *loss = y && y->has_s ? text_of(ctx, y->s) : "";
    if (loss[0] == '\0' || !argument(ctx, p, 0)) {
        return refuse_gradient(t, p, "lacks its attribute y or xs");
    }
    if (t->first && strcmp(t->loss, loss) != 0) {
        return refuse_gradient(t, p,
                               itc_format(ctx,
                                          "is of \"%s\", and %s is of \"%s\": one loss is trained",
                                          loss, itc_training_label(ctx, t->first), t->loss));
    }
    for (size_t i = 0;; i++) {
        const char *name = argument(ctx, p, i);
        if (!name || i >= p->n_input) {
            if (name || i < p->n_input) {
                return refuse_gradient(t, p, "has not as many inputs as names in xs and zs");
            }
            break;
        }
        if (strcmp(name, p->input[i]) != 0) {
            return refuse_gradient(
                t, p,
                itc_format(ctx, "is taken with \"%s\" in place of \"%s\"", p->input[i], name));
        }
        if (itc_training_maker(t, name).node) {
            return refuse_gradient(
                t, p, itc_format(ctx, "names \"%s\", which is no initializer or input", name));
        }
    }
    t->first = t->first ? t->first : p;
    t->loss = loss;
    return ITC_OK;
}

/* ---- finding ---- */

static const Onnx__TrainingInfoProto *with_algorithm(const itc_importer *im, int *count)
{
    const Onnx__ModelProto *m = im->model->proto;
    const Onnx__TrainingInfoProto *found = NULL;
    for (size_t i = 0; i < m->n_training_info; i++) {
        const Onnx__TrainingInfoProto *info = m->training_info[i];
        if ((info->algorithm && info->algorithm->n_node > 0) || info->n_update_binding > 0) {
            found = found ? found : info;
            ++*count;
        }
    }
    return found;
}

/** The lists of two graphs, one behind the other. */
static void *join(itc_ctx *ctx, void *a, size_t n_a, void *b, size_t n_b)
{
    void **all = ITC_NEW_ARRAY(ctx, void *, n_a + n_b + 1);
    for (size_t i = 0; i < n_a + n_b; i++) {
        all[i] = i < n_a ? ((void **)a)[i] : ((void **)b)[i - n_a];
    }
    return all;
}

static void index_makers(itc_training *t)
{
    t->makers = itc_scope_new(t->im->ctx, NULL);
    for (int i = 0; i < t->n_nodes; i++) {
        for (size_t k = 0; k < t->node[i]->n_output; k++) {
            if (t->node[i]->output[k][0] != '\0') {
                itc_scope_bind(t->makers, t->node[i]->output[k], (itc_binding){.n = i});
            }
        }
    }
}

static itc_status index_bindings(itc_training *t)
{
    t->bound = itc_scope_new(t->im->ctx, NULL);
    for (size_t i = 0; i < t->info->n_update_binding; i++) {
        const char *key = itc_onnx_text(t->info->update_binding[i]->key);
        if (key[0] == '\0' || itc_scope_own(t->bound, key)) {
            return itc_error(t->im->ctx, NULL, ITC_PARSE, "E0231",
                             "training_info: update_binding has \"%s\" %s", key,
                             key[0] != '\0' ? "twice" : "as a name");
        }
        itc_scope_bind(t->bound, key, (itc_binding){.n = (int)i});
    }
    return ITC_OK;
}

/** The algorithm's inputs that what is imported uses: neither rate nor number of the step. One that
 * the model's graph has as well, as algorithms that repeat the forward part do, is that. */
static void join_inputs(itc_training *t, const bool *behind)
{
    const Onnx__GraphProto *a = t->info->algorithm;
    itc_ctx *ctx = t->im->ctx;
    itc_scope *used = itc_scope_new(ctx, NULL);
    Onnx__ValueInfoProto **kept = ITC_NEW_ARRAY(ctx, Onnx__ValueInfoProto *, a->n_input + 1);
    size_t n = 0;
    for (int i = 0; i < t->n_nodes; i++) {
        if (!behind[i]) {
            add_used(used, t->node[i]);
        }
    }
    for (size_t i = 0; i < a->n_input; i++) {
        const char *name = itc_onnx_text(a->input[i]->name);
        if (itc_scope_own(used, name) && !has_input(t->im->graph, name)) {
            kept[n++] = a->input[i];
        }
    }
    t->joined->input = join(ctx, t->joined->input, t->joined->n_input, kept, n);
    t->joined->n_input += n;
}

static void add_output(itc_training *t, const char *name)
{
    Onnx__GraphProto *g = t->joined;
    for (size_t i = 0; i < g->n_output; i++) {
        if (strcmp(itc_onnx_text(g->output[i]->name), name) == 0) {
            return;
        }
    }
    Onnx__ValueInfoProto *v = ITC_NEW(t->im->ctx, Onnx__ValueInfoProto);
    onnx__value_info_proto__init(v);
    v->name = itc_strdup(t->im->ctx, name);
    g->output = join(t->im->ctx, g->output, g->n_output, &v, 1);
    g->n_output++;
}

/** The model's graph and what the algorithm computes before it takes a gradient. */
static void join_graphs(itc_training *t, const bool *behind)
{
    itc_ctx *ctx = t->im->ctx;
    const Onnx__GraphProto *a = t->info->algorithm;
    Onnx__GraphProto *g = t->joined;
    *g = *t->im->graph;
    g->node = ITC_NEW_ARRAY(ctx, Onnx__NodeProto *, t->n_nodes + 1);
    g->n_node = 0;
    for (int i = 0; i < t->n_nodes; i++) {
        if (!behind[i]) {
            g->node[g->n_node++] = t->node[i];
        }
    }
    g->initializer = join(ctx, g->initializer, g->n_initializer, a->initializer, a->n_initializer);
    g->n_initializer += a->n_initializer;
    g->sparse_initializer = join(ctx, g->sparse_initializer, g->n_sparse_initializer,
                                 a->sparse_initializer, a->n_sparse_initializer);
    g->n_sparse_initializer += a->n_sparse_initializer;
    join_inputs(t, behind);
    add_output(t, t->loss);
}

itc_status itc_training_find(itc_importer *im, itc_training **out)
{
    static Onnx__GraphProto nothing = ONNX__GRAPH_PROTO__INIT;
    int count = 0;
    const Onnx__TrainingInfoProto *info = with_algorithm(im, &count);
    *out = NULL;
    if (count > 1) {
        return itc_error(im->ctx, NULL, ITC_UNSUPPORTED, "E0232",
                         "training_info: the model has %d algorithms, one is trained by", count);
    }
    const Onnx__GraphProto *a = info && info->algorithm ? info->algorithm : &nothing;
    if (!info) {
        return ITC_OK;
    }
    itc_training *t = ITC_NEW(im->ctx, itc_training);
    t->im = im;
    t->info = info;
    t->joined = ITC_NEW(im->ctx, Onnx__GraphProto);
    if (im->graph->n_node > INT16_MAX * 2 || a->n_node > INT16_MAX * 2) {
        return itc_error(im->ctx, NULL, ITC_RANGE, "E0217", "the model has too many nodes");
    }
    t->n_model = (int)im->graph->n_node;
    t->n_nodes = t->n_model + (int)a->n_node;
    t->node = join(im->ctx, im->graph->node, im->graph->n_node, a->node, a->n_node);
    index_makers(t);
    ITC_TRY(index_bindings(t));
    bool *behind = ITC_NEW_ARRAY(im->ctx, bool, t->n_nodes + 1);
    ITC_TRY(find_behind(t, behind));
    for (int i = t->n_model; i < t->n_nodes; i++) {
        ITC_TRY(itc_training_is(t->node[i], "Gradient") ? check_gradient(t, t->node[i]) : ITC_OK);
    }
    if (!t->first) {
        return itc_error(im->ctx, NULL, ITC_UNSUPPORTED, "E0233",
                         "training_info: the algorithm has no Gradient (" DOMAIN ")");
    }
    join_graphs(t, behind);
    im->graph = t->joined;
    *out = t;
    return ITC_OK;
}

/* ---- what is trained ---- */

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

/** Whether `name` is the gradient of `of`. */
static bool is_gradient(const itc_training *t, const char *name, const char *of)
{
    const itc_made m = itc_training_maker(t, name);
    const Onnx__AttributeProto *xs = m.node ? attribute(m.node, "xs") : NULL;
    return m.node && itc_training_is(m.node, "Gradient") && xs && m.output < (int)xs->n_strings &&
           strcmp(text_of(t->im->ctx, xs->strings[m.output]), of) == 0;
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
    if (!is_gradient(t, gradient, key)) {
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
               : refuse_rule(
                     t, key,
                     itc_format(ctx,
                                "%s is none of the update rules Adagrad, Adam, Momentum (" DOMAIN
                                ") and w - lr * g",
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
            return refuse_gradient(t, t->first,
                                   itc_format(t->im->ctx, "is of \"%s\", which is %s and no number",
                                              t->loss, itc_type_text(t->im->ctx, &type)));
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
