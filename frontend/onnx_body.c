/*
 * Bodies: the model's graph, those of functions, branches and loops. Nodes are put in order by the
 * names that they use; each then becomes a node of the graph, or what its operator expands to.
 */
#include <string.h>

#include "frontend/onnx_model.h"
#include "passes/params.h"

/* Rounding sites carry the number of their ONNX node in 16 bits. */
#define MAX_NODES 65535
#define MAX_DEPTH 64

typedef enum place { NEW, OPEN, DONE } place;

/** The nodes of a body while they are put in order. */
typedef struct body {
    itc_importer *im;
    itc_scope *scope;
    itc_body_node *node;
    int n;
    place *state;
    int32_t **needs;   /**< of each node: indices of the nodes that make what it uses, -1 ends */
    itc_scope *makers; /**< a name -> an `n` that is the index of its maker */
} body;

/* ---- rows ---- */

static itc_onnx_expand find_expansion(const itc_importer *im, const Onnx__NodeProto *p)
{
    const char *domain = itc_onnx_domain(p->domain);
    const char *type = itc_onnx_text(p->op_type);
    itc_onnx_expand e = NULL;
    for (itc_onnx_find *const *find = im->kinds; !e && *find; find++) {
        e = (*find)(im, domain, type);
    }
    return e;
}

static const char *full_name(itc_importer *im, const Onnx__NodeProto *p)
{
    const char *domain = itc_onnx_domain(p->domain);
    const char *type = itc_onnx_text(p->op_type);
    return domain[0] != '\0' ? itc_format(im->ctx, "%s.%s", domain, type)
                             : itc_strdup(im->ctx, type);
}

/**
 * The row of a node, or NULL and what to call the operator. An opset older than the first that is
 * imported does where the operator's definition is the same there.
 */
static const itc_op_def *find_row(itc_importer *im, const Onnx__NodeProto *p, const char **opaque)
{
    const char *domain = itc_onnx_domain(p->domain);
    const char *full = full_name(im, p);
    const itc_op_def *op = itc_op_find(domain, itc_onnx_text(p->op_type));
    if (!op || (op->flags & ITC_OP_INTERNAL) != 0) {
        *opaque = domain[0] != '\0' ? full : itc_format(im->ctx, "%s (opset %d)", full, im->opset);
        return NULL;
    }
    const int first = op->opset_min > im->opset ? op->opset_min : im->opset;
    const int version = itc_op_version(op, im->opset);
    if (op->versions ? version == 0 || version != itc_op_version(op, first)
                     : im->opset < op->opset_min) {
        *opaque = itc_format(im->ctx, "%s of opset %d (from %d on)", full, im->opset,
                             op->opset_min > 0 ? op->opset_min : op->versions[0]);
        return NULL;
    }
    return op;
}

static void set_origin(itc_importer *im, const itc_scope *scope, const itc_body_node *p,
                       const itc_op_def *op, itc_node *n)
{
    const char *name = itc_onnx_text(p->proto->name);
    n->import_id = p->number;
    n->onnx_name = scope->prefix[0] != '\0' && name[0] != '\0'
                       ? itc_format(im->ctx, "%s%s", scope->prefix, name)
                       : itc_strdup(im->ctx, name);
    n->onnx_op = full_name(im, p->proto);
    n->onnx_version = op ? itc_op_version(op, im->opset) : 0;
}

const itc_node *itc_onnx_describe(itc_importer *im, const itc_scope *scope, const itc_body_node *p)
{
    const char *opaque = NULL;
    itc_node *n = ITC_NEW(im->ctx, itc_node);
    set_origin(im, scope, p, find_row(im, p->proto, &opaque), n);
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

static itc_status check_new_name(itc_importer *im, const itc_scope *scope, const char *what,
                                 const char *name)
{
    if (name[0] == '\0') {
        return itc_error(im->ctx, NULL, ITC_PARSE, "E0204", "%s has no name", what);
    }
    if (itc_scope_own(scope, name)) {
        return itc_error(im->ctx, NULL, ITC_PARSE, "E0204", "%s \"%s\" is defined twice", what,
                         name);
    }
    return ITC_OK;
}

/** Tensors of the model's graph have their names there; export finds them by it. */
static itc_value *add_const(itc_importer *im, itc_scope *scope, const char *name, itc_tensor *data,
                            const char *reason)
{
    itc_value *v = itc_const_new(im->g, name, data);
    v->onnx = scope->outer || scope->call ? NULL : v->name;
    v->reason = reason;
    itc_scope_bind_value(scope, name, v);
    return v;
}

/** Strings have no type here: a node that nothing can be made of, unless nobody needs it. */
static void add_strings(itc_importer *im, itc_scope *scope, const char *name)
{
    itc_value *v = itc_value_new(im->g, ITC_VALUE_NODE, name, (itc_type){.exp_axis = -1});
    itc_node *n = itc_node_append(im->g, NULL, 0, NULL, 1, &v);
    n->opaque = "tensor of strings";
    itc_scope_bind_value(scope, name, v);
}

/** Why pass params trains it or not, as far as the exporter says. */
static const char *told_reason(const itc_importer *im, const itc_scope *scope, const char *name)
{
    const bool model_s = !scope->outer && !scope->call; /* notes are those of the model's graph */
    const itc_onnx_told *t = model_s ? itc_onnx_told_of(&im->model->notes, name) : NULL;
    return t && t->kind == ITC_ONNX_PARAMETER ? ITC_PARAMS_TOLD
           : t && t->kind == ITC_ONNX_BUFFER  ? ITC_PARAMS_BUFFER
                                              : "initializer";
}

itc_status itc_onnx_import_initializers(itc_importer *im, itc_scope *scope,
                                        const Onnx__GraphProto *graph)
{
    for (size_t i = 0; i < graph->n_initializer; i++) {
        const Onnx__TensorProto *t = graph->initializer[i];
        const char *name = itc_onnx_text(t->name);
        ITC_TRY(check_new_name(im, scope, "initializer", name));
        if (t->data_type == ITC_ONNX_STRING) {
            add_strings(im, scope, name);
            continue;
        }
        itc_tensor *data = NULL;
        ITC_TRY(itc_onnx_tensor_decode(&im->source, name, t, &data));
        (void)add_const(im, scope, name, data, told_reason(im, scope, name));
    }
    for (size_t i = 0; i < graph->n_sparse_initializer; i++) {
        const Onnx__SparseTensorProto *s = graph->sparse_initializer[i];
        const char *name = s->values ? itc_onnx_text(s->values->name) : "";
        itc_tensor *data = NULL;
        ITC_TRY(check_new_name(im, scope, "sparse initializer", name));
        ITC_TRY(itc_onnx_sparse_decode(&im->source, name, s, &data));
        (void)add_const(im, scope, name, data, "initializer");
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
static itc_status constant_value(itc_importer *im, const itc_scope *scope, const itc_body_node *p,
                                 itc_tensor **out)
{
    const Onnx__AttributeProto *own = p->proto->n_attribute == 1 ? p->proto->attribute[0] : NULL;
    const Onnx__AttributeProto *a = own ? itc_scope_attr(scope, own) : NULL;
    const char *kind = a ? itc_onnx_text(own->name) : "";
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
        return itc_error(im->ctx, itc_onnx_describe(im, scope, p), ITC_PARSE, "E0207",
                         "a Constant has one attribute, its value; found %zu (\"%s\")",
                         p->proto->n_attribute, kind);
    }
    return ITC_OK;
}

static bool is_constant(const Onnx__NodeProto *p)
{
    return strcmp(itc_onnx_text(p->op_type), "Constant") == 0 &&
           itc_onnx_domain(p->domain)[0] == '\0';
}

static itc_status import_constant(itc_importer *im, itc_scope *scope, const itc_body_node *p)
{
    if (p->proto->n_output != 1 || p->proto->n_input != 0) {
        return itc_error(im->ctx, itc_onnx_describe(im, scope, p), ITC_PARSE, "E0208",
                         "a Constant has no inputs and one output; found %zu and %zu",
                         p->proto->n_input, p->proto->n_output);
    }
    const char *name = p->proto->output[0];
    itc_tensor *data = NULL;
    ITC_TRY(check_new_name(im, scope, "the output of a Constant", name));
    ITC_TRY(constant_value(im, scope, p, &data));
    if (data) {
        (void)add_const(im, scope, name, data, "Constant node");
    } else {
        add_strings(im, scope, name);
    }
    return ITC_OK;
}

/* ---- nodes of the graph ---- */

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

/** The operands as values; NULL for those that are left out. False: one is a sequence. */
static bool operand_values(itc_importer *im, const itc_body_node *p, itc_value ***out)
{
    *out = ITC_NEW_ARRAY(im->ctx, itc_value *, p->n_in);
    for (int i = 0; i < p->n_in; i++) {
        (*out)[i] = p->in[i].kind == ITC_BIND_TENSOR ? p->in[i].value : NULL;
        if (p->in[i].kind == ITC_BIND_SEQUENCE) {
            return false;
        }
    }
    return true;
}

static itc_value **output_values(itc_importer *im, itc_scope *scope, const itc_body_node *p)
{
    itc_value **out = ITC_NEW_ARRAY(im->ctx, itc_value *, p->n_out);
    for (int i = 0; i < p->n_out; i++) {
        const char *name = p->proto->output[i];
        if (name[0] != '\0') {
            out[i] = p->out && p->out[i]
                         ? p->out[i]
                         : itc_value_new(im->g, ITC_VALUE_NODE, name, (itc_type){.exp_axis = -1});
            itc_scope_bind_value(scope, name, out[i]);
        }
    }
    return out;
}

itc_status itc_onnx_refuse(itc_importer *im, itc_scope *scope, const itc_body_node *p,
                           const char *why)
{
    itc_value **out = output_values(im, scope, p);
    itc_node *n = itc_node_append(im->g, NULL, 0, NULL, p->n_out, out);
    set_origin(im, scope, p, NULL, n);
    n->opaque = itc_format(im->ctx, "%s %s", n->onnx_op, why);
    return ITC_OK;
}

static itc_status append_node(itc_importer *im, itc_scope *scope, const itc_body_node *p)
{
    const char *opaque = NULL;
    itc_value **in = NULL;
    const itc_op_def *op = find_row(im, p->proto, &opaque);
    if (!operand_values(im, p, &in)) {
        return itc_onnx_refuse(im, scope, p, "of a sequence");
    }
    itc_value **out = output_values(im, scope, p);
    itc_node *n = itc_node_append(im->g, op, p->n_in, in, p->n_out, out);
    set_origin(im, scope, p, op, n);
    if (!op) {
        n->opaque = opaque;
        return ITC_OK;
    }
    ITC_TRY(check_arity(im, n));
    return itc_onnx_import_attrs(im, scope, p->proto, n);
}

itc_value *itc_onnx_make(itc_importer *im, const itc_body_node *p, const itc_op_def *op, int n_in,
                         itc_value *const *in, itc_node **node)
{
    itc_value *v =
        itc_value_new(im->g, ITC_VALUE_NODE,
                      p->n_out > 0 && p->proto->output[0][0] ? p->proto->output[0] : op->name,
                      (itc_type){.exp_axis = -1});
    itc_node *n = itc_node_append(im->g, op, n_in, in, 1, &v);
    n->import_id = p->number;
    n->onnx_name = itc_strdup(im->ctx, itc_onnx_text(p->proto->name));
    n->onnx_op = full_name(im, p->proto);
    if (node) {
        *node = n;
    }
    return v;
}

itc_value *itc_onnx_make_const(itc_importer *im, const char *hint, itc_tensor *data)
{
    itc_value *v = itc_const_new(im->g, hint, data);
    v->reason = "Constant node";
    return v;
}

/* ---- operands and results ---- */

itc_status itc_onnx_body_output(itc_importer *im, const itc_scope *scope, const itc_body_node *p,
                                const char *name, itc_binding *out)
{
    const itc_binding *b = itc_scope_find(scope, name);
    if (!b) {
        return itc_error(im->ctx, itc_onnx_describe(im, scope, p), ITC_PARSE, "E0205",
                         "output \"%s\" of its body is made by nothing", name);
    }
    *out = *b;
    return ITC_OK;
}

void itc_onnx_set_output(itc_importer *im, itc_scope *scope, const itc_body_node *p, int i,
                         itc_binding to)
{
    const char *name = i < p->n_out ? p->proto->output[i] : "";
    if (name[0] == '\0') {
        return;
    }
    const bool top = !scope->outer && !scope->call;
    if (top && to.kind == ITC_BIND_TENSOR && to.value->kind == ITC_VALUE_NODE &&
        !itc_scope_own(scope, to.value->name)) {
        itc_value_rename(im->g, to.value, name); /* the name that the user knows */
    }
    itc_scope_bind(scope, name, to);
}

/* ---- order ---- */

/** Names without the empty ones at the end: optional operands that are left out. */
static int trimmed(size_t n, char *const *names)
{
    while (n > 0 && names[n - 1][0] == '\0') {
        n--;
    }
    return (int)n;
}

static itc_status define_outputs(body *b, int index)
{
    itc_body_node *p = &b->node[index];
    const Onnx__NodeProto *proto = p->proto;
    p->n_in = trimmed(proto->n_input, proto->input);
    p->n_out = trimmed(proto->n_output, proto->output);
    p->in = ITC_NEW_ARRAY(b->im->ctx, itc_binding, p->n_in);
    if (is_constant(proto)) {
        b->state[index] = DONE;
        return import_constant(b->im, b->scope, p);
    }
    const bool ordinary = !find_expansion(b->im, proto);
    p->out = ITC_NEW_ARRAY(b->im->ctx, itc_value *, p->n_out);
    for (int i = 0; i < p->n_out; i++) {
        const char *name = proto->output[i];
        if (name[0] == '\0') {
            continue;
        }
        /* The first of two makers keeps the name, the message tells of the second. */
        if (itc_scope_own(b->scope, name) || itc_scope_own(b->makers, name)) {
            return itc_error(b->im->ctx, itc_onnx_describe(b->im, b->scope, p), ITC_PARSE, "E0204",
                             "output \"%s\" is defined twice", name);
        }
        itc_scope_bind(b->makers, name, (itc_binding){.n = index});
        if (ordinary) {
            p->out[i] = itc_value_new(b->im->g, ITC_VALUE_NODE, name, (itc_type){.exp_axis = -1});
        }
    }
    return ITC_OK;
}

typedef struct index_list {
    int32_t *v;
    int n, cap;
} index_list;

static void add_need(const body *b, const char *name, index_list *list)
{
    const itc_binding *maker = itc_scope_own(b->makers, name);
    if (maker && b->state[maker->n] != DONE) {
        ITC_PUSH(b->im->ctx, list->v, list->n, list->cap, (int32_t)maker->n);
    }
}

/** Names that the bodies in a node's attributes use: those of this body among them are needs. */
static void add_inner_needs(const body *b, const Onnx__NodeProto *p, index_list *list)
{
    for (size_t i = 0; i < p->n_attribute; i++) {
        const Onnx__GraphProto *g = p->attribute[i]->g;
        for (size_t k = 0; g && k < g->n_node; k++) {
            for (size_t j = 0; j < g->node[k]->n_input; j++) {
                add_need(b, g->node[k]->input[j], list);
            }
            add_inner_needs(b, g->node[k], list); /* nesting is bounded when reading */
        }
        for (size_t k = 0; g && k < g->n_output; k++) {
            add_need(b, itc_onnx_text(g->output[k]->name), list);
        }
    }
}

static itc_status find_needs(body *b, int index)
{
    const itc_body_node *p = &b->node[index];
    index_list list = {0};
    for (int i = 0; i < p->n_in; i++) {
        const char *name = p->proto->input[i];
        if (name[0] != '\0' && !itc_scope_own(b->makers, name) && !itc_scope_find(b->scope, name)) {
            return itc_error(b->im->ctx, itc_onnx_describe(b->im, b->scope, p), ITC_PARSE, "E0205",
                             "input %d (\"%s\") is made by nothing in the model", i, name);
        }
        add_need(b, name, &list);
    }
    add_inner_needs(b, p->proto, &list);
    ITC_PUSH(b->im->ctx, list.v, list.n, list.cap, -1);
    b->needs[index] = list.v;
    return ITC_OK;
}

/** Marks what a node that failed should have made. */
static void bind_bad(itc_scope *scope, const itc_body_node *p)
{
    for (int i = 0; i < p->n_out; i++) {
        if (p->proto->output[i][0] != '\0') {
            itc_scope_bind(scope, p->proto->output[i], (itc_binding){.kind = ITC_BIND_BAD});
        }
    }
}

static itc_status import_node(itc_importer *im, itc_scope *scope, itc_body_node *p)
{
    for (int i = 0; i < p->n_in; i++) {
        const char *name = p->proto->input[i];
        const itc_binding *to = name[0] != '\0' ? itc_scope_find(scope, name) : NULL;
        p->in[i] = to ? *to : (itc_binding){.kind = ITC_BIND_NONE};
        if (p->in[i].kind == ITC_BIND_BAD) {
            bind_bad(scope, p);
            return ITC_OK; /* its maker has told of itself */
        }
    }
    const itc_onnx_expand expand = find_expansion(im, p->proto);
    if (!expand) {
        return append_node(im, scope, p);
    }
    const itc_status s = expand(im, scope, p);
    if (s != ITC_OK) {
        bind_bad(scope, p);
    }
    return s;
}

/** The first need of a node, from *next on, that is not placed yet; -1: none is left. */
static int unplaced_need(const body *b, int index, int *next)
{
    for (;;) {
        const int32_t k = b->needs[index][*next];
        if (k < 0) {
            return -1;
        }
        ++*next;
        if (b->state[k] != DONE) {
            return k;
        }
    }
}

/**
 * Places a node behind everything it depends on. The stack holds a path of nodes, each with the
 * need to look at next; a node that is met again on its own path closes a cycle.
 */
static itc_status place_node(body *b, int index, int *path, int *next, itc_status *first)
{
    int depth = 0;
    path[0] = index;
    next[0] = 0;
    b->state[index] = OPEN;
    while (depth >= 0) {
        const int need = unplaced_need(b, path[depth], &next[depth]);
        if (need < 0) {
            const int done = path[depth--];
            b->state[done] = DONE;
            const itc_status s = import_node(b->im, b->scope, &b->node[done]);
            *first = *first == ITC_OK ? s : *first;
        } else if (b->state[need] == OPEN) {
            return itc_error(b->im->ctx, itc_onnx_describe(b->im, b->scope, &b->node[need]),
                             ITC_PARSE, "E0206", "the node depends on its own output");
        } else {
            b->state[need] = OPEN;
            path[++depth] = need;
            next[depth] = 0;
        }
    }
    return ITC_OK;
}

static itc_status place_nodes(body *b)
{
    int *path = ITC_NEW_ARRAY(b->im->ctx, int, b->n + 1);
    int *next = ITC_NEW_ARRAY(b->im->ctx, int, b->n + 1);
    itc_status first = ITC_OK;
    for (int i = 0; i < b->n; i++) {
        if (b->state[i] == NEW) {
            ITC_TRY(place_node(b, i, path, next, &first));
        }
    }
    return first;
}

/** Nodes of the model's graph have the number of their place in the file. */
static itc_status number_nodes(body *b, Onnx__NodeProto *const *nodes)
{
    itc_importer *im = b->im;
    const bool top = !b->scope->outer && !b->scope->call;
    if (im->next_number + b->n > MAX_NODES + 1) {
        return itc_error(im->ctx, NULL, ITC_RANGE, "E0217",
                         "the model has %s%d nodes, the limit is %d", top ? "" : "more than ",
                         top ? b->n : MAX_NODES, MAX_NODES);
    }
    for (int i = 0; i < b->n; i++) {
        b->node[i].proto = nodes[i];
        b->node[i].number = im->next_number++;
    }
    return ITC_OK;
}

itc_status itc_onnx_import_body(itc_importer *im, itc_scope *scope, size_t n,
                                Onnx__NodeProto *const *nodes)
{
    if (n > MAX_NODES) {
        return itc_error(im->ctx, NULL, ITC_RANGE, "E0217",
                         "the model has %zu nodes, the limit is %d", n, MAX_NODES);
    }
    if (scope->depth > MAX_DEPTH) {
        return itc_error(im->ctx, NULL, ITC_PARSE, "E0206",
                         "functions, branches and loops nest more than %d deep", MAX_DEPTH);
    }
    body b = {.im = im, .scope = scope, .n = (int)n, .makers = itc_scope_new(im->ctx, NULL)};
    b.node = ITC_NEW_ARRAY(im->ctx, itc_body_node, n);
    b.state = ITC_NEW_ARRAY(im->ctx, place, n);
    b.needs = ITC_NEW_ARRAY(im->ctx, int32_t *, n);
    ITC_TRY(number_nodes(&b, nodes));
    itc_status first = ITC_OK;
    for (int i = 0; i < b.n; i++) {
        const itc_status s = define_outputs(&b, i);
        first = first == ITC_OK ? s : first;
    }
    for (int i = 0; i < b.n && first == ITC_OK; i++) {
        const itc_status s = b.state[i] == DONE ? ITC_OK : find_needs(&b, i);
        first = first == ITC_OK ? s : first;
    }
    return first == ITC_OK ? place_nodes(&b) : first;
}
