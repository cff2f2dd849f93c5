#include "frontend/onnx_export.h"

#include <string.h>

#include "frontend/onnx_model.h"

typedef struct exporter {
    itc_ctx *ctx;
    itc_onnx_model *model;
    itc_onnx_source source;
} exporter;

/* ---- a walk over the message, by its descriptors ---- */

static itc_status visit(exporter *ex, ProtobufCMessage *m);

/** The sub-messages of one field. A member of a oneof counts only while it is the one in use. */
static itc_status visit_field(exporter *ex, ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    char *base = (char *)m;
    size_t n = 1;
    ProtobufCMessage **list = (ProtobufCMessage **)(void *)(base + f->offset);
    if (f->label == PROTOBUF_C_LABEL_REPEATED) {
        memcpy(&n, base + f->quantifier_offset, sizeof n);
        memcpy(&list, base + f->offset, sizeof list);
    } else if ((f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) {
        uint32_t used;
        memcpy(&used, base + f->quantifier_offset, sizeof used);
        n = used == f->id;
    }
    for (size_t i = 0; i < n; i++) {
        if (list[i]) {
            ITC_TRY(visit(ex, list[i]));
        }
    }
    return ITC_OK;
}

/* ---- inference form ---- */

static bool is_default_op(const Onnx__NodeProto *p, const char *type)
{
    return strcmp(itc_onnx_text(p->op_type), type) == 0 && itc_onnx_domain(p->domain)[0] == '\0';
}

static bool node_uses(const Onnx__NodeProto *p, const char *name)
{
    for (size_t i = 0; i < p->n_input; i++) {
        if (strcmp(p->input[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static bool graph_uses(const Onnx__GraphProto *g, const char *name)
{
    for (size_t i = 0; i < g->n_node; i++) {
        if (node_uses(g->node[i], name)) {
            return true;
        }
    }
    for (size_t i = 0; i < g->n_output; i++) {
        if (strcmp(itc_onnx_text(g->output[i]->name), name) == 0) {
            return true;
        }
    }
    return false;
}

static void drop_value_info(Onnx__GraphProto *g, const char *name)
{
    size_t kept = 0;
    for (size_t i = 0; i < g->n_value_info; i++) {
        if (strcmp(itc_onnx_text(g->value_info[i]->name), name) != 0) {
            g->value_info[kept++] = g->value_info[i];
        }
    }
    g->n_value_info = kept;
}

/**
 * BatchNormalization in training has the attribute training_mode (from opset 14 on) and more than
 * one output: the running statistics, which the updated initializers hold here.
 */
static itc_status infer_batch_norm(exporter *ex, Onnx__GraphProto *g, Onnx__NodeProto *p)
{
    for (size_t i = 1; i < p->n_output; i++) {
        const char *name = p->output[i];
        if (name[0] != '\0' && graph_uses(g, name)) {
            return itc_error(ex->ctx, NULL, ITC_UNSUPPORTED, "E0219",
                             "BatchNormalization \"%s\" has no inference form: its output \"%s\" "
                             "is used",
                             itc_onnx_text(p->name), name);
        }
        drop_value_info(g, name);
    }
    p->n_output = p->n_output > 1 ? 1 : p->n_output;
    for (size_t i = 0; i < p->n_attribute; i++) {
        Onnx__AttributeProto *a = p->attribute[i];
        if (strcmp(itc_onnx_text(a->name), "training_mode") == 0) {
            a->has_i = 1;
            a->i = 0;
        }
    }
    return ITC_OK;
}

static Onnx__NodeProto *maker_of(const Onnx__GraphProto *g, const char *name)
{
    for (size_t i = 0; i < g->n_node; i++) {
        for (size_t k = 0; k < g->node[i]->n_output; k++) {
            if (strcmp(g->node[i]->output[k], name) == 0) {
                return g->node[i];
            }
        }
    }
    return NULL;
}

/** The model was trained on real numbers: what is quantised only to be scaled back stays as it is.
 */
static void drop_quantization(exporter *ex, const Onnx__GraphProto *g, Onnx__NodeProto *p)
{
    const Onnx__NodeProto *q = p->n_input > 0 ? maker_of(g, p->input[0]) : NULL;
    if (q && is_default_op(q, "QuantizeLinear") && q->n_input > 0) {
        p->op_type = itc_strdup(ex->model->arena, "Identity");
        p->input[0] = q->input[0];
        p->n_input = 1;
        p->n_attribute = 0;
    }
}

static itc_status infer_form(exporter *ex, Onnx__GraphProto *g)
{
    for (size_t i = 0; i < g->n_node; i++) {
        Onnx__NodeProto *p = g->node[i];
        if (is_default_op(p, "BatchNormalization")) {
            ITC_TRY(infer_batch_norm(ex, g, p));
        } else if (is_default_op(p, "Dropout") && p->n_input > 2) {
            p->n_input = 2; /* without its third input, training_mode is false */
        } else if (is_default_op(p, "DequantizeLinear")) {
            drop_quantization(ex, g, p);
        }
    }
    return ITC_OK;
}

static itc_status visit(exporter *ex, ProtobufCMessage *m)
{
    const ProtobufCMessageDescriptor *d = m->descriptor;
    if (d == &onnx__tensor_proto__descriptor) {
        Onnx__TensorProto *t = (Onnx__TensorProto *)(void *)m;
        ITC_TRY(itc_onnx_tensor_inline(&ex->source, ex->model->arena, itc_onnx_text(t->name), t));
    } else if (d == &onnx__graph_proto__descriptor) {
        ITC_TRY(infer_form(ex, (Onnx__GraphProto *)(void *)m));
    }
    for (unsigned i = 0; i < d->n_fields; i++) {
        if (d->fields[i].type == PROTOBUF_C_TYPE_MESSAGE) {
            ITC_TRY(visit_field(ex, m, &d->fields[i]));
        }
    }
    return ITC_OK;
}

/* ---- new contents ---- */

static Onnx__TensorProto *new_tensor(exporter *ex, int32_t type, size_t rank, const int64_t *dims)
{
    itc_ctx *arena = ex->model->arena;
    Onnx__TensorProto *t = ITC_NEW(arena, Onnx__TensorProto);
    onnx__tensor_proto__init(t);
    t->has_data_type = 1;
    t->data_type = type;
    t->n_dims = rank;
    t->dims = ITC_NEW_ARRAY(arena, int64_t, rank);
    if (rank > 0) {
        memcpy(t->dims, dims, rank * sizeof *dims);
    }
    return t;
}

/** A sparse tensor as a dense one of the same type, still empty. */
static Onnx__TensorProto *new_dense(exporter *ex, const Onnx__SparseTensorProto *s)
{
    Onnx__TensorProto *t = new_tensor(ex, s->values->data_type, s->n_dims, s->dims);
    t->name = s->values->name;
    return t;
}

/** Moves sparse initializer i to the dense ones. */
static Onnx__TensorProto *make_dense(exporter *ex, Onnx__GraphProto *g, size_t i)
{
    Onnx__TensorProto *t = new_dense(ex, g->sparse_initializer[i]);
    Onnx__TensorProto **list =
        ITC_NEW_ARRAY(ex->model->arena, Onnx__TensorProto *, g->n_initializer + 1);
    if (g->n_initializer > 0) {
        memcpy(list, g->initializer, g->n_initializer * sizeof(Onnx__TensorProto *));
    }
    list[g->n_initializer++] = t;
    g->initializer = list;
    for (size_t k = i + 1; k < g->n_sparse_initializer; k++) {
        g->sparse_initializer[k - 1] = g->sparse_initializer[k];
    }
    g->n_sparse_initializer--;
    return t;
}

/** The tensor of a Constant node; its other forms (floats, sparse) become that of a tensor. */
static Onnx__TensorProto *constant_tensor(exporter *ex, Onnx__NodeProto *p)
{
    Onnx__AttributeProto *a = p->n_attribute == 1 ? p->attribute[0] : NULL;
    const char *kind = a ? itc_onnx_text(a->name) : "";
    Onnx__TensorProto *t = NULL;
    if (strcmp(kind, "value") == 0) {
        return a->t;
    }
    if (strcmp(kind, "value_float") == 0) {
        t = new_tensor(ex, ITC_ONNX_FLOAT, 0, NULL);
    } else if (strcmp(kind, "value_floats") == 0) {
        const int64_t n = (int64_t)a->n_floats;
        t = new_tensor(ex, ITC_ONNX_FLOAT, 1, &n);
    } else if (strcmp(kind, "sparse_value") == 0 && a->sparse_tensor && a->sparse_tensor->values) {
        t = new_dense(ex, a->sparse_tensor);
    } else {
        return NULL;
    }
    a->name = itc_strdup(ex->model->arena, "value");
    a->has_type = 1;
    a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR;
    a->has_f = 0;
    a->n_floats = 0;
    a->sparse_tensor = NULL;
    a->t = t;
    return t;
}

/** A DequantizeLinear of an initializer as the Constant that it stands for, contents to follow. */
static Onnx__TensorProto *dequantized_tensor(exporter *ex, const Onnx__GraphProto *g,
                                             Onnx__NodeProto *p)
{
    itc_ctx *arena = ex->model->arena;
    const Onnx__TensorProto *q = NULL;
    for (size_t i = 0; i < g->n_initializer && p->n_input > 0; i++) {
        q = strcmp(itc_onnx_text(g->initializer[i]->name), p->input[0]) == 0 ? g->initializer[i]
                                                                             : q;
    }
    if (!q) {
        return NULL;
    }
    Onnx__AttributeProto *a = ITC_NEW(arena, Onnx__AttributeProto);
    onnx__attribute_proto__init(a);
    a->name = itc_strdup(arena, "value");
    a->has_type = 1;
    a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR;
    a->t = new_tensor(ex, ITC_ONNX_FLOAT, q->n_dims, q->dims);
    p->op_type = itc_strdup(arena, "Constant");
    p->n_input = 0;
    p->attribute = ITC_NEW_ARRAY(arena, Onnx__AttributeProto *, 1);
    p->attribute[0] = a;
    p->n_attribute = 1;
    return a->t;
}

static Onnx__TensorProto *find_tensor(exporter *ex, const char *name)
{
    Onnx__GraphProto *g = ex->model->proto->graph;
    for (size_t i = 0; i < g->n_initializer; i++) {
        if (strcmp(itc_onnx_text(g->initializer[i]->name), name) == 0) {
            return g->initializer[i];
        }
    }
    for (size_t i = 0; i < g->n_sparse_initializer; i++) {
        const Onnx__TensorProto *v = g->sparse_initializer[i]->values;
        if (v && strcmp(itc_onnx_text(v->name), name) == 0) {
            return make_dense(ex, g, i);
        }
    }
    for (size_t i = 0; i < g->n_node; i++) {
        Onnx__NodeProto *p = g->node[i];
        if (is_default_op(p, "Constant") && p->n_output == 1 && strcmp(p->output[0], name) == 0) {
            return constant_tensor(ex, p);
        }
        if (is_default_op(p, "DequantizeLinear") && p->n_output == 1 &&
            strcmp(p->output[0], name) == 0) {
            return dequantized_tensor(ex, g, p);
        }
    }
    return NULL;
}

/** Whether a tensor is one of a training algorithm alone, which the inference form does not have.
 */
static bool is_of_training(const exporter *ex, const char *name)
{
    const Onnx__ModelProto *m = ex->model->proto;
    for (size_t i = 0; i < m->n_training_info; i++) {
        const Onnx__GraphProto *a = m->training_info[i]->algorithm;
        for (size_t k = 0; a && k < a->n_initializer; k++) {
            if (strcmp(itc_onnx_text(a->initializer[k]->name), name) == 0) {
                return true;
            }
        }
    }
    return false;
}

static itc_status update(exporter *ex, const itc_onnx_tensor_update *u)
{
    Onnx__TensorProto *t = find_tensor(ex, u->name);
    if (!t && is_of_training(ex, u->name)) {
        return ITC_OK;
    }
    if (!t) {
        return itc_error(ex->ctx, NULL, ITC_RANGE, "E0218",
                         "the model has no initializer or Constant \"%s\"", u->name);
    }
    return itc_onnx_tensor_replace(ex->ctx, ex->model->arena, u->name, t, u->data);
}

itc_status itc_onnx_export(itc_ctx *ctx, itc_onnx_model *model,
                           const itc_onnx_tensor_update *updates, int n, const char *path)
{
    exporter ex = {.ctx = ctx, .model = model, .source = {ctx, model->dir, (int64_t)2 << 30}};
    for (int i = 0; i < n; i++) {
        ITC_TRY(update(&ex, &updates[i]));
    }
    model->proto->n_training_info = 0; /* the forms that the algorithm differentiates are gone */
    ITC_TRY(visit(&ex, (ProtobufCMessage *)(void *)model->proto));
    const size_t size = onnx__model_proto__get_packed_size(model->proto);
    if (size > INT32_MAX) {
        return itc_error(ctx, NULL, ITC_RANGE, "E0217",
                         "the model would have %zu bytes, the limit is %d", size, INT32_MAX);
    }
    itc_ctx *scratch = itc_ctx_new();
    uint8_t *bytes = itc_alloc(scratch, size);
    (void)onnx__model_proto__pack(model->proto, bytes);
    const itc_status s = itc_write_file(ctx, path, bytes, size);
    itc_ctx_free(scratch);
    return s;
}
