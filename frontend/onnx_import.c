#include "frontend/onnx_import.h"

#include <string.h>

#include "frontend/onnx_model.h"

#define OLDEST_OPSET 7
/** The newest whose changes the operators' rows list. */
#define NEWEST_OPSET 25
/* Rounding sites carry the number of their ONNX node in 16 bits. */
#define MAX_NODES 65535
#define DEFAULT_MAX_BYTES ((int64_t)2 << 30)

/** A node of the file, until it has its place in the order of the graph. */
typedef struct pending {
    const Onnx__NodeProto *proto;
    int32_t number; /**< from 1, in the order of the file */
    int32_t n_in, n_out;
    itc_value **in, **out;
    bool constant; /**< a Constant node: its output is a CONST already */
    enum { NEW, OPEN, DONE } state;
} pending;

typedef struct pending_list {
    pending *v;
    int n;
    int32_t *maker; /**< by value id: index of the pending node + 1 */
    int n_values;
} pending_list;

const char *itc_onnx_domain(const char *domain)
{
    return domain && strcmp(domain, "ai.onnx") != 0 ? domain : "";
}

/* ---- rows ---- */

static bool is_function(const itc_importer *im, const char *domain, const char *type)
{
    const Onnx__ModelProto *m = im->model->proto;
    for (size_t i = 0; i < m->n_functions; i++) {
        if (strcmp(itc_onnx_text(m->functions[i]->name), type) == 0 &&
            strcmp(itc_onnx_domain(m->functions[i]->domain), domain) == 0) {
            return true;
        }
    }
    return false;
}

/** The row of a node, or NULL and what to call the operator. */
static const itc_op_def *find_row(itc_importer *im, const Onnx__NodeProto *p, const char **opaque)
{
    const char *domain = itc_onnx_domain(p->domain);
    const char *type = itc_onnx_text(p->op_type);
    const char *full = domain[0] != '\0' ? itc_format(im->ctx, "%s.%s", domain, type) : type;
    const itc_op_def *op = itc_op_find(domain, type);
    if (is_function(im, domain, type)) {
        *opaque = itc_format(im->ctx, "%s (a function of the model)", full);
        return NULL;
    }
    if (!op || (op->flags & ITC_OP_INTERNAL) != 0) {
        *opaque = domain[0] != '\0' ? full : itc_format(im->ctx, "%s (opset %d)", full, im->opset);
        return NULL;
    }
    const int version = itc_op_version(op, im->opset);
    if (im->opset < op->opset_min || (op->versions && version == 0)) {
        *opaque = itc_format(im->ctx, "%s of opset %d (from %d on)", full, im->opset,
                             op->opset_min > 0 ? op->opset_min : op->versions[0]);
        return NULL;
    }
    return op;
}

static void set_origin(itc_importer *im, const pending *p, const itc_op_def *op, itc_node *n)
{
    const char *domain = itc_onnx_domain(p->proto->domain);
    const char *type = itc_onnx_text(p->proto->op_type);
    n->import_id = p->number;
    n->onnx_name = itc_strdup(im->ctx, itc_onnx_text(p->proto->name));
    n->onnx_op =
        domain[0] != '\0' ? itc_format(im->ctx, "%s.%s", domain, type) : itc_strdup(im->ctx, type);
    n->onnx_version = op ? itc_op_version(op, im->opset) : 0;
}

/** For messages about nodes that are not in the graph yet. */
static const itc_node *describe(itc_importer *im, const pending *p)
{
    const char *opaque = NULL;
    itc_node *n = ITC_NEW(im->ctx, itc_node);
    set_origin(im, p, find_row(im, p->proto, &opaque), n);
    if (p->proto->n_output > 0) {
        itc_value *v = ITC_NEW(im->ctx, itc_value);
        v->name = itc_strdup(im->ctx, p->proto->output[0]);
        n->n_out = 1;
        n->out = ITC_NEW_ARRAY(im->ctx, itc_value *, 1);
        n->out[0] = v;
    }
    return n;
}

/* ---- constants ---- */

static itc_status check_new_name(itc_importer *im, const itc_node *n, const char *what,
                                 const char *name)
{
    if (name[0] == '\0') {
        return itc_error(im->ctx, n, ITC_PARSE, "E0204", "%s has no name", what);
    }
    if (itc_value_find(im->g, name)) {
        return itc_error(im->ctx, n, ITC_PARSE, "E0204", "%s \"%s\" is defined twice", what, name);
    }
    return ITC_OK;
}

static itc_value *add_const(itc_importer *im, const char *name, itc_tensor *data,
                            const char *reason)
{
    itc_value *v = itc_const_new(im->g, name, data);
    v->onnx = v->name;
    v->reason = reason;
    return v;
}

/** Strings have no type here: a node that nothing can be made of, unless nobody needs it. */
static itc_value *add_strings(itc_importer *im, const char *name)
{
    itc_value *v = itc_value_new(im->g, ITC_VALUE_NODE, name, (itc_type){.exp_axis = -1});
    itc_node *n = itc_node_append(im->g, NULL, 0, NULL, 1, &v);
    n->opaque = "tensor of strings";
    return v;
}

static itc_status import_initializers(itc_importer *im)
{
    for (size_t i = 0; i < im->graph->n_initializer; i++) {
        const Onnx__TensorProto *t = im->graph->initializer[i];
        const char *name = itc_onnx_text(t->name);
        ITC_TRY(check_new_name(im, NULL, "initializer", name));
        if (t->data_type == ITC_ONNX_STRING) {
            (void)add_strings(im, name);
            continue;
        }
        itc_tensor *data = NULL;
        ITC_TRY(itc_onnx_tensor_decode(&im->source, name, t, &data));
        (void)add_const(im, name, data, "initializer");
    }
    for (size_t i = 0; i < im->graph->n_sparse_initializer; i++) {
        const Onnx__SparseTensorProto *s = im->graph->sparse_initializer[i];
        const char *name = s->values ? itc_onnx_text(s->values->name) : "";
        itc_tensor *data = NULL;
        ITC_TRY(check_new_name(im, NULL, "sparse initializer", name));
        ITC_TRY(itc_onnx_sparse_decode(&im->source, name, s, &data));
        (void)add_const(im, name, data, "initializer");
    }
    return ITC_OK;
}

static itc_tensor *constant_floats(itc_importer *im, size_t n, const float *v, int rank)
{
    const int64_t dim = (int64_t)n;
    itc_tensor *t = itc_tensor_new(im->ctx, ITC_F32, rank, &dim);
    if (n > 0) {
        memcpy(t->data, v, n * sizeof *v);
    }
    return t;
}

static itc_tensor *constant_ints(itc_importer *im, size_t n, const int64_t *v, int rank)
{
    const int64_t dim = (int64_t)n;
    itc_tensor *t = itc_tensor_new(im->ctx, ITC_I64, rank, &dim);
    if (n > 0) {
        memcpy(t->data, v, n * sizeof *v);
    }
    return t;
}

/** The value of a Constant node; *out stays NULL for strings. */
static itc_status constant_value(itc_importer *im, const pending *p, itc_tensor **out)
{
    const Onnx__AttributeProto *a = p->proto->n_attribute == 1 ? p->proto->attribute[0] : NULL;
    const char *kind = a ? itc_onnx_text(a->name) : "";
    const char *name = p->proto->output[0];
    *out = NULL;
    if (strcmp(kind, "value") == 0 && a->t) {
        return a->t->data_type == ITC_ONNX_STRING
                   ? ITC_OK
                   : itc_onnx_tensor_decode(&im->source, name, a->t, out);
    }
    if (strcmp(kind, "sparse_value") == 0 && a->sparse_tensor) {
        return itc_onnx_sparse_decode(&im->source, name, a->sparse_tensor, out);
    }
    if (strcmp(kind, "value_float") == 0 && a->has_f) {
        *out = constant_floats(im, 1, &a->f, 0);
    } else if (strcmp(kind, "value_floats") == 0) {
        *out = constant_floats(im, a->n_floats, a->floats, 1);
    } else if (strcmp(kind, "value_int") == 0 && a->has_i) {
        *out = constant_ints(im, 1, &a->i, 0);
    } else if (strcmp(kind, "value_ints") == 0) {
        *out = constant_ints(im, a->n_ints, a->ints, 1);
    } else if (strcmp(kind, "value_string") != 0 && strcmp(kind, "value_strings") != 0) {
        return itc_error(im->ctx, describe(im, p), ITC_PARSE, "E0207",
                         "a Constant has one attribute, its value; found %zu (\"%s\")",
                         p->proto->n_attribute, kind);
    }
    return ITC_OK;
}

static itc_status import_constant(itc_importer *im, pending *p)
{
    if (p->proto->n_output != 1 || p->proto->n_input != 0) {
        return itc_error(im->ctx, describe(im, p), ITC_PARSE, "E0208",
                         "a Constant has no inputs and one output; found %zu and %zu",
                         p->proto->n_input, p->proto->n_output);
    }
    const char *name = p->proto->output[0];
    itc_tensor *data = NULL;
    ITC_TRY(check_new_name(im, NULL, "the output of a Constant", name));
    ITC_TRY(constant_value(im, p, &data));
    p->constant = true;
    p->out[0] = data ? add_const(im, name, data, "Constant node") : add_strings(im, name);
    return ITC_OK;
}

/* ---- nodes ---- */

/** Names without the empty ones at the end: optional operands that are left out. */
static int trimmed(size_t n, char *const *names)
{
    while (n > 0 && names[n - 1][0] == '\0') {
        n--;
    }
    return (int)n;
}

static itc_status define_outputs(itc_importer *im, pending *p)
{
    const Onnx__NodeProto *proto = p->proto;
    p->n_in = trimmed(proto->n_input, proto->input);
    p->n_out = trimmed(proto->n_output, proto->output);
    p->in = ITC_NEW_ARRAY(im->ctx, itc_value *, p->n_in);
    p->out = ITC_NEW_ARRAY(im->ctx, itc_value *, p->n_out + 1);
    if (strcmp(itc_onnx_text(proto->op_type), "Constant") == 0 &&
        itc_onnx_domain(proto->domain)[0] == '\0') {
        return import_constant(im, p);
    }
    for (int i = 0; i < p->n_out; i++) {
        if (proto->output[i][0] == '\0') {
            continue;
        }
        /* The first of two makers keeps the name, the message tells of the second. */
        if (itc_value_find(im->g, proto->output[i])) {
            return itc_error(im->ctx, describe(im, p), ITC_PARSE, "E0204",
                             "output \"%s\" is defined twice", proto->output[i]);
        }
        p->out[i] =
            itc_value_new(im->g, ITC_VALUE_NODE, proto->output[i], (itc_type){.exp_axis = -1});
    }
    return ITC_OK;
}

static itc_status resolve_inputs(itc_importer *im, pending *p)
{
    for (int i = 0; i < p->n_in; i++) {
        const char *name = p->proto->input[i];
        p->in[i] = name[0] != '\0' ? itc_value_find(im->g, name) : NULL;
        if (name[0] != '\0' && !p->in[i]) {
            return itc_error(im->ctx, describe(im, p), ITC_PARSE, "E0205",
                             "input %d (\"%s\") is made by nothing in the model", i, name);
        }
    }
    return ITC_OK;
}

static itc_status check_arity(itc_importer *im, const itc_node *n)
{
    const itc_op_def *op = n->op;
    const bool variadic = (op->flags & ITC_OP_VARIADIC) != 0;
    if (n->n_in < op->in_min) {
        return itc_error(im->ctx, n, ITC_PARSE, "E0208", "%d inputs, expected at least %d", n->n_in,
                         op->in_min);
    }
    if (!variadic && n->n_in > op->in_max) {
        return itc_error(im->ctx, n, ITC_UNSUPPORTED, "E0208", "%d inputs, expected at most %d",
                         n->n_in, op->in_max);
    }
    if (n->n_out < op->out_min || n->n_out > op->out_max) {
        return itc_error(im->ctx, n, ITC_UNSUPPORTED, "E0208", "%d outputs, %d to %d are supported",
                         n->n_out, op->out_min, op->out_max);
    }
    for (int i = 0; i < n->n_in && i < op->in_min; i++) {
        if (!n->in[i]) {
            return itc_error(im->ctx, n, ITC_PARSE, "E0208", "input %d is missing", i);
        }
    }
    for (int i = 0; i < op->out_min; i++) {
        if (!n->out[i]) {
            return itc_error(im->ctx, n, ITC_PARSE, "E0208", "output %d is missing", i);
        }
    }
    return ITC_OK;
}

static itc_status append_node(itc_importer *im, const pending *p)
{
    const char *opaque = NULL;
    const itc_op_def *op = find_row(im, p->proto, &opaque);
    itc_node *n = itc_node_append(im->g, op, p->n_in, p->in, p->n_out, p->out);
    set_origin(im, p, op, n);
    if (!op) {
        n->opaque = opaque;
        return ITC_OK;
    }
    ITC_TRY(check_arity(im, n));
    return itc_onnx_import_attrs(im, p->proto, n);
}

/* ---- order ---- */

/** The first operand of p, from *next on, whose maker is not placed yet; NULL: none is left. */
static pending *unplaced_maker(const pending_list *list, const pending *p, int *next)
{
    while (*next < p->n_in) {
        const itc_value *v = p->in[(*next)++];
        const int32_t maker = v && v->id < list->n_values ? list->maker[v->id] : 0;
        if (maker > 0 && list->v[maker - 1].state != DONE) {
            return &list->v[maker - 1];
        }
    }
    return NULL;
}

/**
 * Places p behind everything it depends on. The stack holds a path of nodes, each with the operand
 * to look at next; a node that is met again on its own path closes a cycle.
 */
static itc_status place(itc_importer *im, pending_list *list, pending *p, pending **path, int *next,
                        itc_status *first)
{
    int depth = 0;
    path[0] = p;
    next[0] = 0;
    p->state = OPEN;
    while (depth >= 0) {
        pending *maker = unplaced_maker(list, path[depth], &next[depth]);
        if (!maker) {
            pending *done = path[depth--];
            done->state = DONE;
            const itc_status s = done->constant ? ITC_OK : append_node(im, done);
            *first = *first == ITC_OK ? s : *first;
        } else if (maker->state == OPEN) {
            return itc_error(im->ctx, describe(im, maker), ITC_PARSE, "E0206",
                             "the node depends on its own output");
        } else {
            maker->state = OPEN;
            path[++depth] = maker;
            next[depth] = 0;
        }
    }
    return ITC_OK;
}

/** Appends all nodes, in the order of the file where that is a topological one. Goes on after a
 * bad node, so that one run tells of several. */
static itc_status append_nodes(itc_importer *im, pending_list *list)
{
    list->n_values = im->g->n_values;
    list->maker = ITC_NEW_ARRAY(im->ctx, int32_t, list->n_values);
    for (int i = 0; i < list->n; i++) {
        for (int k = 0; k < list->v[i].n_out; k++) {
            if (list->v[i].out[k] && !list->v[i].constant) {
                list->maker[list->v[i].out[k]->id] = i + 1;
            }
        }
    }
    pending **path = ITC_NEW_ARRAY(im->ctx, pending *, list->n + 1);
    int *next = ITC_NEW_ARRAY(im->ctx, int, list->n + 1);
    itc_status first = ITC_OK;
    for (int i = 0; i < list->n; i++) {
        if (list->v[i].state == NEW) {
            ITC_TRY(place(im, list, &list->v[i], path, next, &first));
        }
    }
    return first;
}

static itc_status import_nodes(itc_importer *im)
{
    if (im->graph->n_node > MAX_NODES) {
        return itc_error(im->ctx, NULL, ITC_RANGE, "E0217",
                         "the model has %zu nodes, the limit is %d", im->graph->n_node, MAX_NODES);
    }
    pending_list list = {.n = (int)im->graph->n_node};
    list.v = ITC_NEW_ARRAY(im->ctx, pending, list.n);
    itc_status first = ITC_OK;
    for (int i = 0; i < list.n; i++) {
        list.v[i].proto = im->graph->node[i];
        list.v[i].number = i + 1;
        const itc_status s = define_outputs(im, &list.v[i]);
        first = first == ITC_OK ? s : first;
    }
    for (int i = 0; i < list.n && first == ITC_OK; i++) {
        const itc_status s = resolve_inputs(im, &list.v[i]);
        first = first == ITC_OK ? s : first;
    }
    return first == ITC_OK ? append_nodes(im, &list) : first;
}

/* ---- the model ---- */

static itc_status import_outputs(itc_importer *im)
{
    itc_graph *g = im->g;
    for (size_t i = 0; i < im->graph->n_output; i++) {
        const char *name = itc_onnx_text(im->graph->output[i]->name);
        itc_value *v = name[0] != '\0' ? itc_value_find(g, name) : NULL;
        if (!v) {
            return itc_error(im->ctx, NULL, ITC_PARSE, "E0205",
                             "output \"%s\" is made by nothing in the model", name);
        }
        if (v->pass_data) {
            return itc_error(im->ctx, NULL, ITC_PARSE, "E0204", "output \"%s\" is listed twice",
                             name);
        }
        v->pass_data = v;
        const itc_output out = {.name = v->name, .value = v};
        ITC_PUSH(im->ctx, g->outputs, g->n_outputs, g->cap_outputs, out);
    }
    for (int i = 0; i < g->n_outputs; i++) {
        g->outputs[i].value->pass_data = NULL;
    }
    if (g->n_outputs == 0) {
        return itc_error(im->ctx, NULL, ITC_PARSE, "E0205", "the model has no output");
    }
    return ITC_OK;
}

static bool uses_default_domain(const Onnx__GraphProto *g)
{
    for (size_t i = 0; i < g->n_node; i++) {
        if (itc_onnx_domain(g->node[i]->domain)[0] == '\0') {
            return true;
        }
    }
    return g->n_node == 0;
}

/** The version of the default domain; of several the highest counts. */
static itc_status find_opset(itc_importer *im)
{
    const Onnx__ModelProto *m = im->model->proto;
    int64_t opset = 0;
    for (size_t i = 0; i < m->n_opset_import; i++) {
        const Onnx__OperatorSetIdProto *o = m->opset_import[i];
        if (itc_onnx_domain(o->domain)[0] == '\0' && o->version > opset) {
            opset = o->version;
        }
    }
    if (opset == 0 && !uses_default_domain(im->graph)) {
        opset = NEWEST_OPSET;
    }
    if (opset == 0) {
        return itc_error(im->ctx, NULL, ITC_PARSE, "E0202",
                         "the model does not say which ONNX opset it uses");
    }
    if (opset < OLDEST_OPSET || opset > INT16_MAX) {
        return itc_error(im->ctx, NULL, ITC_UNSUPPORTED, "E0202",
                         "ONNX opset %lld is not supported, %d is the first that is",
                         (long long)opset, OLDEST_OPSET);
    }
    if (opset > NEWEST_OPSET) {
        itc_note(im->ctx, "ONNX opset %lld is newer than the newest known, %d", (long long)opset,
                 NEWEST_OPSET);
    }
    im->opset = (int32_t)opset;
    return ITC_OK;
}

itc_status itc_onnx_import(itc_ctx *ctx, const itc_onnx_model *model, const itc_import_options *opt,
                           itc_graph **out)
{
    static const itc_import_options defaults = {0};
    itc_importer im = {
        .ctx = ctx, .model = model, .graph = model->proto->graph, .options = opt ? opt : &defaults};
    const int64_t max = im.options->max_bytes;
    im.source = (itc_onnx_source){ctx, model->dir, max > 0 ? max : DEFAULT_MAX_BYTES};
    ITC_TRY(find_opset(&im));
    const char *own = itc_onnx_text(im.graph->name);
    im.g = itc_graph_new(ctx, model->name ? model->name : own[0] != '\0' ? own : "model");
    im.g->opset = im.opset;
    im.g->insert = ITC_FORWARD;
    memcpy(im.g->model_hash, model->hash, sizeof im.g->model_hash);
    if (model->proto->n_training_info > 0) {
        itc_note(ctx, "training_info is left aside: the training step is made by this compiler");
    }
    ITC_TRY(itc_onnx_import_inputs(&im));
    ITC_TRY(import_initializers(&im));
    ITC_TRY(import_nodes(&im));
    ITC_TRY(import_outputs(&im));
    *out = im.g;
    return ITC_OK;
}
