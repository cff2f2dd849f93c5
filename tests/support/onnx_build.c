#include "tests/support/onnx_build.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ITEMS 64 /* of a list of names or extents */

static char *copy(onnx_build *b, const char *s)
{
    return itc_strdup(b->arena, s);
}

/** Appends to a repeated field. */
#define APPEND(b, type, list, count, item)                                                         \
    do {                                                                                           \
        type *append_more = ITC_NEW_ARRAY((b)->arena, type, (count) + 1);                          \
        for (size_t append_i = 0; append_i < (count); append_i++) {                                \
            append_more[append_i] = (list)[append_i];                                              \
        }                                                                                          \
        append_more[(count)++] = (item);                                                           \
        (list) = append_more;                                                                      \
    } while (0)

static size_t split(onnx_build *b, const char *text, char separator, char **out)
{
    const char stop[] = {separator, '\0'};
    size_t n = 0;
    while (*text != '\0' && n < MAX_ITEMS) {
        const size_t len = strcspn(text, stop);
        out[n++] = itc_strndup(b->arena, text, len);
        text += len + (text[len] == separator);
    }
    return n;
}

onnx_build *onnx_build_new(int opset)
{
    itc_ctx *arena = itc_ctx_new();
    onnx_build *b = ITC_NEW(arena, onnx_build);
    b->arena = arena;
    b->model = ITC_NEW(arena, Onnx__ModelProto);
    onnx__model_proto__init(b->model);
    b->model->has_ir_version = 1;
    b->model->ir_version = 8;
    Onnx__OperatorSetIdProto *set = ITC_NEW(arena, Onnx__OperatorSetIdProto);
    onnx__operator_set_id_proto__init(set);
    set->has_version = 1;
    set->version = opset;
    APPEND(b, Onnx__OperatorSetIdProto *, b->model->opset_import, b->model->n_opset_import, set);
    b->graph = ITC_NEW(arena, Onnx__GraphProto);
    onnx__graph_proto__init(b->graph);
    b->graph->name = copy(b, "built");
    b->model->graph = b->graph;
    return b;
}

void onnx_build_free(onnx_build *b)
{
    itc_ctx_free(b->arena);
}

static Onnx__TensorShapeProto *make_shape(onnx_build *b, const char *text)
{
    char *item[MAX_ITEMS];
    const size_t n = split(b, text, ',', item);
    Onnx__TensorShapeProto *shape = ITC_NEW(b->arena, Onnx__TensorShapeProto);
    onnx__tensor_shape_proto__init(shape);
    for (size_t i = 0; i < n; i++) {
        Onnx__TensorShapeProto__Dimension *d = ITC_NEW(b->arena, Onnx__TensorShapeProto__Dimension);
        onnx__tensor_shape_proto__dimension__init(d);
        if (item[i][0] == '-' || (item[i][0] >= '0' && item[i][0] <= '9')) {
            d->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
            d->dim_value = strtoll(item[i], NULL, 10);
        } else if (item[i][0] != '?') {
            d->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
            d->dim_param = item[i];
        }
        APPEND(b, Onnx__TensorShapeProto__Dimension *, shape->dim, shape->n_dim, d);
    }
    return shape;
}

static Onnx__ValueInfoProto *make_info(onnx_build *b, const char *name)
{
    Onnx__ValueInfoProto *info = ITC_NEW(b->arena, Onnx__ValueInfoProto);
    onnx__value_info_proto__init(info);
    info->name = copy(b, name);
    return info;
}

Onnx__ValueInfoProto *onnx_build_input(onnx_build *b, const char *name, int32_t type,
                                       const char *shape)
{
    Onnx__ValueInfoProto *info = make_info(b, name);
    info->type = ITC_NEW(b->arena, Onnx__TypeProto);
    onnx__type_proto__init(info->type);
    info->type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    info->type->tensor_type = ITC_NEW(b->arena, Onnx__TypeProto__Tensor);
    onnx__type_proto__tensor__init(info->type->tensor_type);
    info->type->tensor_type->has_elem_type = 1;
    info->type->tensor_type->elem_type = type;
    info->type->tensor_type->shape = shape ? make_shape(b, shape) : NULL;
    APPEND(b, Onnx__ValueInfoProto *, b->graph->input, b->graph->n_input, info);
    return info;
}

void onnx_build_note(onnx_build *b, ProtobufCMessage *m, unsigned field, const char *key,
                     const char *value)
{
    Onnx__StringStringEntryProto e;
    onnx__string_string_entry_proto__init(&e);
    e.key = copy(b, key);
    e.value = copy(b, value);
    const size_t n = onnx__string_string_entry_proto__get_packed_size(&e);
    assert(n < 128); /* one byte of length */
    ProtobufCMessageUnknownField u = {.tag = field,
                                      .wire_type = PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED,
                                      .len = n + 1,
                                      .data = itc_alloc(b->arena, n + 1)};
    u.data[0] = (uint8_t)n;
    onnx__string_string_entry_proto__pack(&e, u.data + 1);
    ProtobufCMessageUnknownField *all =
        ITC_NEW_ARRAY(b->arena, ProtobufCMessageUnknownField, m->n_unknown_fields + 1);
    for (unsigned i = 0; i < m->n_unknown_fields; i++) {
        all[i] = m->unknown_fields[i];
    }
    all[m->n_unknown_fields++] = u;
    m->unknown_fields = all;
}

void onnx_build_value_note(onnx_build *b, const char *name, const char *key, const char *value)
{
    Onnx__ValueInfoProto *info = make_info(b, name);
    onnx_build_note(b, &info->base, 4, key, value);
    APPEND(b, Onnx__ValueInfoProto *, b->graph->value_info, b->graph->n_value_info, info);
}

void onnx_build_output(onnx_build *b, const char *name)
{
    APPEND(b, Onnx__ValueInfoProto *, b->graph->output, b->graph->n_output, make_info(b, name));
}

Onnx__TensorProto *onnx_build_tensor(onnx_build *b, const char *name, int32_t type,
                                     const char *shape)
{
    char *item[MAX_ITEMS];
    const size_t n = split(b, shape, ',', item);
    Onnx__TensorProto *t = ITC_NEW(b->arena, Onnx__TensorProto);
    onnx__tensor_proto__init(t);
    t->name = copy(b, name);
    t->has_data_type = 1;
    t->data_type = type;
    for (size_t i = 0; i < n; i++) {
        APPEND(b, int64_t, t->dims, t->n_dims, strtoll(item[i], NULL, 10));
    }
    return t;
}

Onnx__TensorProto *onnx_build_init(onnx_build *b, const char *name, int32_t type, const char *shape)
{
    Onnx__TensorProto *t = onnx_build_tensor(b, name, type, shape);
    APPEND(b, Onnx__TensorProto *, b->graph->initializer, b->graph->n_initializer, t);
    return t;
}

static size_t count_of(const Onnx__TensorProto *t)
{
    size_t n = 1;
    for (size_t i = 0; i < t->n_dims; i++) {
        n *= (size_t)t->dims[i];
    }
    return n;
}

Onnx__TensorProto *onnx_build_floats(onnx_build *b, const char *name, const char *shape,
                                     const float *v)
{
    Onnx__TensorProto *t = onnx_build_init(b, name, 1, shape);
    t->n_float_data = count_of(t);
    t->float_data = ITC_NEW_ARRAY(b->arena, float, t->n_float_data);
    memcpy(t->float_data, v, t->n_float_data * sizeof *v);
    return t;
}

Onnx__TensorProto *onnx_build_ints(onnx_build *b, const char *name, const char *shape,
                                   const int64_t *v)
{
    Onnx__TensorProto *t = onnx_build_init(b, name, 7, shape);
    t->n_int64_data = count_of(t);
    t->int64_data = ITC_NEW_ARRAY(b->arena, int64_t, t->n_int64_data);
    memcpy(t->int64_data, v, t->n_int64_data * sizeof *v);
    return t;
}

void onnx_build_raw(onnx_build *b, Onnx__TensorProto *t, const void *bytes, size_t n)
{
    t->has_raw_data = 1;
    t->raw_data.len = n;
    t->raw_data.data = itc_alloc(b->arena, n);
    memcpy(t->raw_data.data, bytes, n);
}

void onnx_build_external(onnx_build *b, Onnx__TensorProto *t, const char *key, const char *value)
{
    Onnx__StringStringEntryProto *e = ITC_NEW(b->arena, Onnx__StringStringEntryProto);
    onnx__string_string_entry_proto__init(e);
    e->key = copy(b, key);
    e->value = copy(b, value);
    APPEND(b, Onnx__StringStringEntryProto *, t->external_data, t->n_external_data, e);
    t->has_data_location = 1;
    t->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
}

Onnx__SparseTensorProto *onnx_build_sparse(onnx_build *b, const char *name, const char *shape,
                                           int n, const float *values, const int64_t *at)
{
    const char *size = itc_format(b->arena, "%d", n);
    Onnx__SparseTensorProto *s = ITC_NEW(b->arena, Onnx__SparseTensorProto);
    onnx__sparse_tensor_proto__init(s);
    const Onnx__TensorProto *dims = onnx_build_tensor(b, "", 1, shape);
    s->n_dims = dims->n_dims;
    s->dims = dims->dims;
    s->values = onnx_build_floats(b, name, size, values);
    s->indices = onnx_build_ints(b, "", size, at);
    b->graph->n_initializer -= 2; /* they belong to the sparse one */
    APPEND(b, Onnx__SparseTensorProto *, b->graph->sparse_initializer,
           b->graph->n_sparse_initializer, s);
    return s;
}

static size_t names(onnx_build *b, const char *text, char ***out)
{
    char *item[MAX_ITEMS];
    const size_t n = split(b, text, ' ', item);
    *out = ITC_NEW_ARRAY(b->arena, char *, n + 1);
    for (size_t i = 0; i < n; i++) {
        (*out)[i] = strcmp(item[i], "-") == 0 ? copy(b, "") : item[i];
    }
    return n;
}

Onnx__NodeProto *onnx_build_node(onnx_build *b, const char *type, const char *inputs,
                                 const char *outputs)
{
    Onnx__NodeProto *n = ITC_NEW(b->arena, Onnx__NodeProto);
    onnx__node_proto__init(n);
    n->op_type = copy(b, type);
    n->n_input = names(b, inputs, &n->input);
    n->n_output = names(b, outputs, &n->output);
    APPEND(b, Onnx__NodeProto *, b->graph->node, b->graph->n_node, n);
    return n;
}

Onnx__AttributeProto *onnx_build_attr(onnx_build *b, Onnx__NodeProto *n, const char *name, int type)
{
    Onnx__AttributeProto *a = ITC_NEW(b->arena, Onnx__AttributeProto);
    onnx__attribute_proto__init(a);
    a->name = copy(b, name);
    a->has_type = 1;
    a->type = (Onnx__AttributeProto__AttributeType)type;
    APPEND(b, Onnx__AttributeProto *, n->attribute, n->n_attribute, a);
    return a;
}

void onnx_build_attr_int(onnx_build *b, Onnx__NodeProto *n, const char *name, int64_t v)
{
    Onnx__AttributeProto *a =
        onnx_build_attr(b, n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    a->has_i = 1;
    a->i = v;
}

void onnx_build_attr_float(onnx_build *b, Onnx__NodeProto *n, const char *name, float v)
{
    Onnx__AttributeProto *a =
        onnx_build_attr(b, n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
    a->has_f = 1;
    a->f = v;
}

void onnx_build_attr_ints(onnx_build *b, Onnx__NodeProto *n, const char *name, int count,
                          const int64_t *v)
{
    Onnx__AttributeProto *a =
        onnx_build_attr(b, n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    for (int i = 0; i < count; i++) {
        APPEND(b, int64_t, a->ints, a->n_ints, v[i]);
    }
}

const uint8_t *onnx_build_pack(onnx_build *b, size_t *n)
{
    *n = onnx__model_proto__get_packed_size(b->model);
    uint8_t *bytes = itc_alloc(b->arena, *n);
    (void)onnx__model_proto__pack(b->model, bytes);
    return bytes;
}

onnx_build *onnx_build_body(onnx_build *b, Onnx__NodeProto *n, const char *name, const char *inputs,
                            const char *outputs)
{
    onnx_build *inner = ITC_NEW(b->arena, onnx_build);
    *inner = *b;
    inner->graph = ITC_NEW(b->arena, Onnx__GraphProto);
    onnx__graph_proto__init(inner->graph);
    inner->graph->name = copy(b, name);
    char **list = NULL;
    const size_t n_in = names(b, inputs, &list);
    for (size_t i = 0; i < n_in; i++) {
        (void)onnx_build_input(inner, list[i], 1, NULL);
    }
    const size_t n_out = names(b, outputs, &list);
    for (size_t i = 0; i < n_out; i++) {
        onnx_build_output(inner, list[i]);
    }
    Onnx__AttributeProto *a =
        onnx_build_attr(b, n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH);
    a->g = inner->graph;
    return inner;
}

onnx_build *onnx_build_function(onnx_build *b, const char *domain, const char *name, int opset,
                                const char *inputs, const char *outputs)
{
    onnx_build *inner = ITC_NEW(b->arena, onnx_build);
    Onnx__FunctionProto *f = ITC_NEW(b->arena, Onnx__FunctionProto);
    onnx__function_proto__init(f);
    f->name = copy(b, name);
    f->domain = copy(b, domain);
    f->n_input = names(b, inputs, &f->input);
    f->n_output = names(b, outputs, &f->output);
    if (opset > 0) {
        Onnx__OperatorSetIdProto *set = ITC_NEW(b->arena, Onnx__OperatorSetIdProto);
        onnx__operator_set_id_proto__init(set);
        set->has_version = 1;
        set->version = opset;
        APPEND(b, Onnx__OperatorSetIdProto *, f->opset_import, f->n_opset_import, set);
    }
    APPEND(b, Onnx__FunctionProto *, b->model->functions, b->model->n_functions, f);
    *inner = *b;
    inner->graph = ITC_NEW(b->arena, Onnx__GraphProto);
    onnx__graph_proto__init(inner->graph);
    inner->function = f;
    return inner;
}

void onnx_build_end(onnx_build *inner)
{
    inner->function->n_node = inner->graph->n_node;
    inner->function->node = inner->graph->node;
}

void onnx_build_attr_ref(onnx_build *b, Onnx__NodeProto *n, const char *name, const char *ref)
{
    Onnx__AttributeProto *a =
        onnx_build_attr(b, n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    a->ref_attr_name = copy(b, ref);
}

void onnx_build_attr_string(onnx_build *b, Onnx__NodeProto *n, const char *name, const char *v)
{
    Onnx__AttributeProto *a =
        onnx_build_attr(b, n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING);
    a->has_s = 1;
    a->s = (ProtobufCBinaryData){strlen(v), (uint8_t *)copy(b, v)};
}

void onnx_build_attr_strings(onnx_build *b, Onnx__NodeProto *n, const char *name, const char *list)
{
    Onnx__AttributeProto *a =
        onnx_build_attr(b, n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS);
    char **item = NULL;
    a->n_strings = names(b, list, &item);
    a->strings = ITC_NEW_ARRAY(b->arena, ProtobufCBinaryData, a->n_strings);
    for (size_t i = 0; i < a->n_strings; i++) {
        a->strings[i] = (ProtobufCBinaryData){strlen(item[i]), (uint8_t *)item[i]};
    }
}

/* ---- training_info ---- */

static onnx_build *inner_graph(onnx_build *b, const char *name)
{
    onnx_build *inner = ITC_NEW(b->arena, onnx_build);
    *inner = *b;
    inner->graph = ITC_NEW(b->arena, Onnx__GraphProto);
    onnx__graph_proto__init(inner->graph);
    inner->graph->name = copy(b, name);
    return inner;
}

onnx_build *onnx_build_training(onnx_build *b)
{
    onnx_build *inner = inner_graph(b, "algorithm");
    inner->training = ITC_NEW(b->arena, Onnx__TrainingInfoProto);
    onnx__training_info_proto__init(inner->training);
    inner->training->algorithm = inner->graph;
    APPEND(b, Onnx__TrainingInfoProto *, b->model->training_info, b->model->n_training_info,
           inner->training);
    return inner;
}

onnx_build *onnx_build_start(onnx_build *algorithm)
{
    onnx_build *inner = inner_graph(algorithm, "initialization");
    inner->training->initialization = inner->graph;
    return inner;
}

static Onnx__StringStringEntryProto *entry(onnx_build *b, const char *key, const char *value)
{
    Onnx__StringStringEntryProto *e = ITC_NEW(b->arena, Onnx__StringStringEntryProto);
    onnx__string_string_entry_proto__init(e);
    e->key = copy(b, key);
    e->value = copy(b, value);
    return e;
}

void onnx_build_update(onnx_build *b, const char *key, const char *value)
{
    Onnx__TrainingInfoProto *t = b->training;
    APPEND(b, Onnx__StringStringEntryProto *, t->update_binding, t->n_update_binding,
           entry(b, key, value));
}

void onnx_build_begin(onnx_build *b, const char *key, const char *value)
{
    Onnx__TrainingInfoProto *t = b->training;
    APPEND(b, Onnx__StringStringEntryProto *, t->initialization_binding,
           t->n_initialization_binding, entry(b, key, value));
}
