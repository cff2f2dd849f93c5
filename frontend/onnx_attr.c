/* Attributes of ONNX nodes, checked against the operator's row. */
#include <string.h>

#include "frontend/onnx_model.h"

/* AttributeProto.AttributeType. */
enum {
    ATTR_FLOAT = 1,
    ATTR_INT = 2,
    ATTR_STRING = 3,
    ATTR_TENSOR = 4,
    ATTR_GRAPH = 5,
    ATTR_FLOATS = 6,
    ATTR_INTS = 7,
    ATTR_STRINGS = 8
};

int itc_onnx_attr_type(const Onnx__AttributeProto *a)
{
    if (a->has_type && a->type != 0) {
        return (int)a->type;
    }
    if (a->has_f) {
        return ATTR_FLOAT;
    }
    if (a->has_i) {
        return ATTR_INT;
    }
    if (a->has_s) {
        return ATTR_STRING;
    }
    if (a->t) {
        return ATTR_TENSOR;
    }
    if (a->g) {
        return ATTR_GRAPH;
    }
    if (a->n_floats > 0) {
        return ATTR_FLOATS;
    }
    return a->n_strings > 0 ? ATTR_STRINGS : ATTR_INTS;
}

static const char *type_name(int type)
{
    static const char *const names[] = {"undefined", "float",  "int",  "string", "tensor",
                                        "graph",     "floats", "ints", "strings"};
    return type >= 0 && type < (int)(sizeof names / sizeof names[0]) ? names[type] : "another type";
}

static int type_of_spec(const itc_attr_spec *spec)
{
    switch (spec->kind) {
    case ITC_ATTR_INT:
        return ATTR_INT;
    case ITC_ATTR_FLOAT:
        return ATTR_FLOAT;
    case ITC_ATTR_STRING:
        return spec->list ? ATTR_STRINGS : ATTR_STRING;
    case ITC_ATTR_INTS:
        return ATTR_INTS;
    case ITC_ATTR_FLOATS:
        return ATTR_FLOATS;
    case ITC_ATTR_TENSOR:
        return ATTR_TENSOR;
    case ITC_ATTR_COEFS:
        break;
    }
    return 0; /* internal: no ONNX node has it */
}

static const itc_attr_spec *find_spec(const itc_op_def *op, const char *name)
{
    for (const itc_attr_spec *s = op->attrs; s && s->name; s++) {
        if (!s->internal && strcmp(s->name, name) == 0) {
            return s;
        }
    }
    return NULL;
}

static itc_status import_string(itc_importer *im, const char *name, const Onnx__AttributeProto *a,
                                itc_node *n)
{
    if (!a->has_s || (a->s.len > 0 && memchr(a->s.data, 0, a->s.len))) {
        return itc_error(im->ctx, n, ITC_PARSE, "E0207", "attribute \"%s\" is no text", name);
    }
    itc_set_string(im->g, n, name,
                   a->s.len > 0 ? itc_strndup(im->ctx, (const char *)a->s.data, a->s.len) : "");
    return ITC_OK;
}

/** As one text, with commas between: what our attributes have for it. */
static itc_status import_strings(itc_importer *im, const char *name, const Onnx__AttributeProto *a,
                                 itc_node *n)
{
    itc_strbuf text;
    itc_strbuf_init(&text, im->ctx);
    for (size_t i = 0; i < a->n_strings; i++) {
        const ProtobufCBinaryData *s = &a->strings[i];
        if (s->len > 0 && (memchr(s->data, 0, s->len) || memchr(s->data, ',', s->len))) {
            return itc_error(im->ctx, n, ITC_PARSE, "E0207", "attribute \"%s\" is no text", name);
        }
        itc_strbuf_printf(&text, "%s%.*s", i > 0 ? "," : "", (int)s->len, (const char *)s->data);
    }
    itc_set_string(im->g, n, name, text.text);
    return ITC_OK;
}

static itc_status import_floats(itc_importer *im, const char *name, const Onnx__AttributeProto *a,
                                itc_node *n)
{
    double *v = ITC_NEW_ARRAY(im->ctx, double, a->n_floats);
    for (size_t i = 0; i < a->n_floats; i++) {
        v[i] = (double)a->floats[i];
    }
    itc_attr_set(
        im->g, n,
        (itc_attr){
            .name = name, .kind = ITC_ATTR_FLOATS, .n = (int32_t)a->n_floats, .u.floats = v});
    return ITC_OK;
}

static itc_status import_tensor(itc_importer *im, const char *name, const Onnx__AttributeProto *a,
                                itc_node *n)
{
    if (!a->t) {
        return itc_error(im->ctx, n, ITC_PARSE, "E0207", "attribute \"%s\" has no tensor", name);
    }
    itc_tensor *t = NULL;
    ITC_TRY(itc_onnx_tensor_decode(
        &im->source, itc_format(im->ctx, "%s.%s", itc_onnx_text(n->onnx_name), name), a->t, &t));
    itc_attr_set(im->g, n, (itc_attr){.name = name, .kind = ITC_ATTR_TENSOR, .u.tensor = t});
    return ITC_OK;
}

static itc_status import_value(itc_importer *im, const char *name, const Onnx__AttributeProto *a,
                               itc_node *n)
{
    switch (itc_onnx_attr_type(a)) {
    case ATTR_INT:
        itc_set_int(im->g, n, name, a->i);
        return ITC_OK;
    case ATTR_FLOAT:
        itc_set_float(im->g, n, name, (double)a->f);
        return ITC_OK;
    case ATTR_STRING:
        return import_string(im, name, a, n);
    case ATTR_STRINGS:
        return import_strings(im, name, a, n);
    case ATTR_INTS:
        itc_set_ints(im->g, n, name, (int)a->n_ints, a->ints);
        return ITC_OK;
    case ATTR_FLOATS:
        return import_floats(im, name, a, n);
    default:
        return import_tensor(im, name, a, n);
    }
}

static itc_status import_attr(itc_importer *im, const itc_scope *scope,
                              const Onnx__AttributeProto *a, itc_node *n)
{
    const char *name = itc_onnx_text(a->name);
    if (name[0] == '\0') {
        return itc_error(im->ctx, n, ITC_PARSE, "E0207", "an attribute has no name");
    }
    a = itc_scope_attr(scope, a);
    if (!a) {
        return ITC_OK; /* the function's caller leaves it out */
    }
    if (itc_onnx_text(a->ref_attr_name)[0] != '\0') {
        return itc_error(im->ctx, n, ITC_PARSE, "E0207",
                         "attribute \"%s\" refers to a function's attribute outside a function",
                         name);
    }
    const itc_attr_spec *spec = find_spec(n->op, name);
    if (!spec) {
        return itc_error(im->ctx, n, ITC_UNSUPPORTED, "E0207",
                         "attribute \"%s\" of %s is not supported", name, n->op->name);
    }
    if (itc_attr_find(n, name)) {
        return itc_error(im->ctx, n, ITC_PARSE, "E0207", "attribute \"%s\" is given twice", name);
    }
    const int type = itc_onnx_attr_type(a);
    if (type != type_of_spec(spec)) {
        return itc_error(im->ctx, n, ITC_TYPE, "E0207",
                         "attribute \"%s\" is of type %s, expected %s", name, type_name(type),
                         type_name(type_of_spec(spec)));
    }
    return import_value(im, name, a, n);
}

itc_status itc_onnx_import_attrs(itc_importer *im, const itc_scope *scope, const Onnx__NodeProto *p,
                                 itc_node *n)
{
    for (size_t i = 0; i < p->n_attribute; i++) {
        ITC_TRY(import_attr(im, scope, p->attribute[i], n));
    }
    for (const itc_attr_spec *s = n->op->attrs; s && s->name; s++) {
        if (s->required && !s->internal && !itc_attr_find(n, s->name)) {
            return itc_error(im->ctx, n, ITC_PARSE, "E0207", "%s needs attribute \"%s\"",
                             n->op->name, s->name);
        }
    }
    return ITC_OK;
}

int64_t itc_onnx_attr_int(const itc_scope *scope, const Onnx__NodeProto *p, const char *name,
                          int64_t otherwise)
{
    const Onnx__AttributeProto *a = itc_scope_node_attr(scope, p, name);
    return a && itc_onnx_attr_type(a) == ATTR_INT ? a->i : otherwise;
}

const int64_t *itc_onnx_attr_ints(const itc_scope *scope, const Onnx__NodeProto *p,
                                  const char *name, size_t *n)
{
    const Onnx__AttributeProto *a = itc_scope_node_attr(scope, p, name);
    const bool ints = a && itc_onnx_attr_type(a) == ATTR_INTS;
    *n = ints ? a->n_ints : 0;
    return ints ? a->ints : NULL;
}
