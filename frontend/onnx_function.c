/*
 * Functions of the model: a call becomes the function's body, whose names are its own, whose
 * attributes are the call's, and whose opset is the one that the function imports.
 *
 * Source: ONNX IR, "Functions"; FunctionProto, whose attribute_proto (defaults) is newer than some
 * schemas that this is built with, and is read from the unknown fields there.
 */
#include <string.h>

#include "frontend/onnx_model.h"

#define ATTRIBUTE_PROTO 11

static const Onnx__FunctionProto *find_function(const itc_importer *im, const char *domain,
                                                const char *type)
{
    const Onnx__ModelProto *m = im->model->proto;
    for (size_t i = 0; i < m->n_functions; i++) {
        if (strcmp(itc_onnx_text(m->functions[i]->name), type) == 0 &&
            strcmp(itc_onnx_domain(m->functions[i]->domain), domain) == 0) {
            return m->functions[i];
        }
    }
    return NULL;
}

/** The opset of the default domain that a function imports; the model's where it says none. */
static int32_t function_opset(const itc_importer *im, const Onnx__FunctionProto *f)
{
    int64_t opset = 0;
    for (size_t i = 0; i < f->n_opset_import; i++) {
        const Onnx__OperatorSetIdProto *o = f->opset_import[i];
        if (itc_onnx_domain(o->domain)[0] == '\0' && o->version > opset) {
            opset = o->version;
        }
    }
    return opset > 0 && opset <= INT16_MAX ? (int32_t)opset : im->opset;
}

/* ---- defaults of attributes ---- */

/** As the schema at hand knows the field: an array of messages. */
static void known_defaults(const Onnx__FunctionProto *f, itc_scope *scope)
{
    const ProtobufCFieldDescriptor *d =
        protobuf_c_message_descriptor_get_field(&onnx__function_proto__descriptor, ATTRIBUTE_PROTO);
    if (d && d->label == PROTOBUF_C_LABEL_REPEATED && d->type == PROTOBUF_C_TYPE_MESSAGE) {
        const char *base = (const char *)f;
        const Onnx__AttributeProto *const *list;
        size_t n = 0;
        memcpy(&list, base + d->offset, sizeof list);
        memcpy(&n, base + d->quantifier_offset, sizeof n);
        scope->defaults = list;
        scope->n_defaults = (int)n;
    }
}

static itc_status unknown_defaults(itc_importer *im, const Onnx__FunctionProto *f, itc_scope *scope)
{
    const Onnx__AttributeProto **list = NULL;
    int n = 0, cap = 0;
    for (unsigned i = 0; i < f->base.n_unknown_fields; i++) {
        const ProtobufCMessageUnknownField *u = &f->base.unknown_fields[i];
        if (u->tag == ATTRIBUTE_PROTO) {
            const Onnx__AttributeProto *a = NULL;
            ITC_TRY(itc_onnx_unpack_attribute(im->ctx, im->model, u->data, u->len, &a));
            ITC_PUSH(im->ctx, list, n, cap, a);
        }
    }
    if (n > 0) {
        scope->defaults = list;
        scope->n_defaults = n;
    }
    return ITC_OK;
}

/* ---- the call ---- */

static itc_status bind_operands(itc_importer *im, const itc_scope *outer, const itc_body_node *p,
                                const Onnx__FunctionProto *f, itc_scope *inner)
{
    if (p->n_in > (int)f->n_input || p->n_out > (int)f->n_output) {
        return itc_error(im->ctx, itc_onnx_describe(im, outer, p), ITC_PARSE, "E0208",
                         "%d inputs and %d outputs; the function has %zu and %zu", p->n_in,
                         p->n_out, f->n_input, f->n_output);
    }
    for (int i = 0; i < (int)f->n_input; i++) {
        const itc_binding none = {.kind = ITC_BIND_NONE};
        itc_scope_bind(inner, f->input[i], i < p->n_in ? p->in[i] : none);
    }
    return ITC_OK;
}

static itc_status expand_function(itc_importer *im, itc_scope *scope, const itc_body_node *p)
{
    const Onnx__FunctionProto *f =
        find_function(im, itc_onnx_domain(p->proto->domain), itc_onnx_text(p->proto->op_type));
    itc_scope *inner = itc_scope_new(im->ctx, NULL);
    const char *name = itc_onnx_text(p->proto->name);
    inner->caller = scope;
    inner->call = p->proto;
    inner->depth = scope->depth + 1;
    inner->prefix = itc_format(im->ctx, "%s%s/", scope->prefix,
                               name[0] != '\0' ? name : itc_onnx_text(p->proto->op_type));
    known_defaults(f, inner);
    ITC_TRY(unknown_defaults(im, f, inner));
    ITC_TRY(bind_operands(im, scope, p, f, inner));
    const int32_t opset = im->opset;
    im->opset = function_opset(im, f);
    const itc_status s = itc_onnx_import_body(im, inner, f->n_node, f->node);
    im->opset = opset;
    ITC_TRY(s);
    for (int i = 0; i < p->n_out; i++) {
        itc_binding b;
        ITC_TRY(itc_onnx_body_output(im, inner, p, itc_onnx_text(f->output[i]), &b));
        itc_onnx_set_output(im, scope, p, i, b);
    }
    return ITC_OK;
}

itc_onnx_expand itc_onnx_find_function(const itc_importer *im, const char *domain, const char *type)
{
    return find_function(im, domain, type) ? expand_function : NULL;
}
