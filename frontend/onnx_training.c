#include "frontend/onnx_training.h"

#include <stdlib.h>
#include <string.h>

#define MAX_ROUNDS 100 /* over nodes that are not in order */

bool itc_training_is(const Onnx__NodeProto *p, const char *type)
{
    return strcmp(itc_onnx_domain(p->domain), ITC_TRAINING_DOMAIN) == 0 &&
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

itc_status itc_training_refuse_gradient(const itc_training *t, const Onnx__NodeProto *p,
                                        const char *why)
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
        return itc_training_refuse_gradient(t, p, "lacks its attribute y or xs");
    }
    if (t->first && strcmp(t->loss, loss) != 0) {
        return itc_training_refuse_gradient(
            t, p,
            itc_format(ctx, "is of \"%s\", and %s is of \"%s\": one loss is trained", loss,
                       itc_training_label(ctx, t->first), t->loss));
    }
    for (size_t i = 0;; i++) {
        const char *name = argument(ctx, p, i);
        if (!name || i >= p->n_input) {
            if (name || i < p->n_input) {
                return itc_training_refuse_gradient(t, p,
                                                    "has not as many inputs as names in xs and zs");
            }
            break;
        }
        if (strcmp(name, p->input[i]) != 0) {
            return itc_training_refuse_gradient(
                t, p,
                itc_format(ctx, "is taken with \"%s\" in place of \"%s\"", p->input[i], name));
        }
        if (itc_training_maker(t, name).node) {
            return itc_training_refuse_gradient(
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
                         "training_info: the algorithm has no Gradient (" ITC_TRAINING_DOMAIN ")");
    }
    join_graphs(t, behind);
    im->graph = t->joined;
    *out = t;
    return ITC_OK;
}

bool itc_training_is_gradient(const itc_training *t, const char *name, const char *of)
{
    const itc_made m = itc_training_maker(t, name);
    const Onnx__AttributeProto *xs = m.node ? attribute(m.node, "xs") : NULL;
    return m.node && itc_training_is(m.node, "Gradient") && xs && m.output < (int)xs->n_strings &&
           strcmp(text_of(t->im->ctx, xs->strings[m.output]), of) == 0;
}
