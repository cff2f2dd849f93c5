#include <string.h>

#include "ir/text.h"

typedef struct printer {
    const itc_graph *g;
    const itc_print_options *opt;
    itc_strbuf *out;
    itc_strbuf *blob;
    size_t blob_size; /**< bytes so far, whether they are collected or not */
} printer;

static const char *file_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* ---- tensors ---- */

static void element(itc_strbuf *out, const itc_tensor *t, int64_t i)
{
    if (t->dtype == ITC_F32) {
        itc_text_float(out, ((const float *)t->data)[i]);
        return;
    }
    const long long v = itc_tensor_get_int(t, i);
    if (!t->batch || t->batch[i] == 0) {
        itc_strbuf_printf(out, "%lld", v);
    } else if (v == 1 || v == -1) {
        itc_strbuf_add(out, v == 1 ? "N" : "-N");
    } else {
        itc_strbuf_printf(out, "%lldN", v);
    }
}

static bool counts_rows(const itc_tensor *t)
{
    for (int64_t i = 0; t->batch && i < t->count; i++) {
        if (t->batch[i] != 0) {
            return true;
        }
    }
    return false;
}

static void blob(printer *p, const itc_tensor *t)
{
    const size_t bytes = (size_t)t->count * itc_dtype_size(t->dtype);
    uint8_t hash[32];
    memcpy(hash, t->sha256, sizeof hash);
    itc_strbuf_add(p->out, "blob(");
    if (t->data) {
        const void *content = itc_tensor_bytes(p->g->ctx, t);
        itc_sha256(content, bytes, hash);
        if (p->opt->blob_path) {
            static const char padding[ITC_BLOB_ALIGN];
            const size_t pad = (0 - p->blob_size) % ITC_BLOB_ALIGN;
            itc_text_string(p->out, file_part(p->opt->blob_path));
            itc_strbuf_printf(p->out, ", offset=%zu, ", p->blob_size + pad);
            if (p->blob) {
                itc_strbuf_add_n(p->blob, padding, pad);
                itc_strbuf_add_n(p->blob, content, bytes);
            }
            p->blob_size += pad + bytes;
        }
    }
    itc_strbuf_printf(p->out, "bytes=%zu, sha256=\"", bytes);
    itc_text_hex(p->out, hash, 32);
    itc_strbuf_add(p->out, "\")");
}

static void tensor(printer *p, const itc_tensor *t)
{
    const bool elided = t->count > 0 && !t->data;
    if (elided || (t->count > ITC_INLINE_ELEMENTS && !counts_rows(t))) {
        blob(p, t);
        return;
    }
    itc_strbuf_add(p->out, "[");
    for (int64_t i = 0; i < t->count; i++) {
        itc_strbuf_add(p->out, i > 0 ? ", " : "");
        element(p->out, t, i);
    }
    itc_strbuf_add(p->out, "]");
}

/* ---- attributes ---- */

static void list(itc_strbuf *out, const itc_attr *a)
{
    itc_strbuf_add(out, "[");
    for (int i = 0; i < a->n; i++) {
        itc_strbuf_add(out, i > 0 ? ", " : "");
        if (a->kind == ITC_ATTR_INTS) {
            itc_strbuf_printf(out, "%lld", (long long)a->u.ints[i]);
        } else if (a->kind == ITC_ATTR_FLOATS) {
            itc_text_double(out, a->u.floats[i]);
        } else {
            itc_text_coef(out, a->u.coefs[i]);
        }
    }
    itc_strbuf_add(out, "]");
}

/** typed: the reader knows the kind from the operator's row. */
static void literal(printer *p, const itc_attr *a, bool typed)
{
    itc_type type;
    switch (a->kind) {
    case ITC_ATTR_INT:
        itc_strbuf_printf(p->out, "%lld", (long long)a->u.i);
        break;
    case ITC_ATTR_FLOAT:
        itc_text_double(p->out, a->u.f);
        break;
    case ITC_ATTR_STRING:
        itc_text_string(p->out, a->u.s);
        break;
    case ITC_ATTR_TENSOR:
        type = itc_tensor_type(a->u.tensor);
        itc_strbuf_printf(p->out, "%s ", itc_type_text(p->g->ctx, &type));
        tensor(p, a->u.tensor);
        break;
    case ITC_ATTR_COEFS:
        itc_strbuf_add(p->out, typed ? "" : "coefs");
        list(p->out, a);
        break;
    case ITC_ATTR_FLOATS:
        itc_strbuf_add(p->out, typed || a->n > 0 ? "" : "floats");
        list(p->out, a);
        break;
    case ITC_ATTR_INTS:
        list(p->out, a);
        break;
    }
}

static const itc_attr_spec *spec_of(const itc_op_def *op, const char *name)
{
    for (const itc_attr_spec *s = op ? op->attrs : NULL; s && s->name; s++) {
        if (strcmp(s->name, name) == 0) {
            return s;
        }
    }
    return NULL;
}

/**
 * Whether leaving an attribute out says the same. Only of our own attributes: being there or not
 * makes a difference for some of ONNX's (the default axis of Softmax depends on the opset).
 */
static bool is_default(const itc_op_def *op, const itc_attr_spec *s, const itc_attr *a)
{
    const bool ours = s && (s->internal || (op->flags & ITC_OP_INTERNAL) != 0);
    if (!ours || s->required || s->kind != a->kind) {
        return false;
    }
    switch (a->kind) {
    case ITC_ATTR_INT:
        return a->u.i == s->i;
    case ITC_ATTR_FLOAT:
        return memcmp(&a->u.f, &s->f, sizeof s->f) == 0;
    case ITC_ATTR_STRING:
        return strcmp(a->u.s, s->s ? s->s : "") == 0;
    case ITC_ATTR_INTS:
    case ITC_ATTR_FLOATS:
    case ITC_ATTR_TENSOR:
    case ITC_ATTR_COEFS:
        break;
    }
    return false;
}

static void word(itc_strbuf *out, const char *s)
{
    bool plain = (s[0] >= 'a' && s[0] <= 'z') || (s[0] >= 'A' && s[0] <= 'Z') || s[0] == '_';
    for (const char *p = s; *p != '\0'; p++) {
        plain = plain && itc_is_name_byte(*p) && *p != '.' && *p != '/';
    }
    if (plain) {
        itc_strbuf_add(out, s);
    } else {
        itc_text_string(out, s);
    }
}

static void attributes(printer *p, const itc_node *n)
{
    int printed = 0;
    for (int i = 0; i < n->n_attrs; i++) {
        const itc_attr_spec *s = spec_of(n->op, n->attrs[i].name);
        if (is_default(n->op, s, &n->attrs[i])) {
            continue;
        }
        itc_strbuf_add(p->out, printed++ == 0 ? " {" : ", ");
        word(p->out, n->attrs[i].name);
        itc_strbuf_add(p->out, "=");
        literal(p, &n->attrs[i], s && s->kind == n->attrs[i].kind);
    }
    itc_strbuf_add(p->out, printed > 0 ? "}" : "");
}

/* ---- values and nodes ---- */

static void state(printer *p, const itc_value *v)
{
    if (v->data) {
        const itc_type own = itc_tensor_type(v->data);
        itc_strbuf_add(p->out, " data=");
        if (!v->type.known || !itc_type_equal(&own, &v->type)) {
            itc_strbuf_printf(p->out, "%s ", itc_type_text(p->g->ctx, &own));
        }
        tensor(p, v->data);
    }
    if (v->init_exp != 0) {
        itc_strbuf_printf(p->out, " * 2^%d", v->init_exp);
    }
    if (v->next_state) {
        itc_strbuf_add(p->out, " next=");
        itc_text_name(p->out, '%', v->next_state->name);
    }
}

static void value(printer *p, const itc_value *v)
{
    itc_text_name(p->out, '%', v->name);
    itc_strbuf_printf(p->out, " : %s", itc_type_text(p->g->ctx, &v->type));
    if (v->type.exp_axis >= 0) {
        itc_strbuf_printf(p->out, " axis=%d", v->type.exp_axis);
    }
    if (v->type.bits > 0) {
        itc_strbuf_printf(p->out, " bits=%d", v->type.bits);
    }
    if (v->exp.kind != ITC_EXP_NONE) {
        itc_strbuf_add(p->out, " e=");
        itc_text_exp(p->out, &v->exp);
    }
    state(p, v);
    if (v->onnx) {
        itc_strbuf_add(p->out, " onnx");
        if (strcmp(v->onnx, v->name) != 0) {
            itc_strbuf_add(p->out, "(");
            itc_text_string(p->out, v->onnx);
            itc_strbuf_add(p->out, ")");
        }
    }
    if (v->reason) {
        itc_strbuf_add(p->out, " why=");
        itc_text_string(p->out, v->reason);
    }
    if (v->offset >= 0) {
        itc_strbuf_printf(p->out, " at=%lld", (long long)v->offset);
    }
    if (v->storage) {
        itc_strbuf_add(p->out, " in=");
        itc_text_name(p->out, '%', v->storage->name);
    }
}

static void origin(itc_strbuf *out, const itc_node *n)
{
    if (n->site != 0) {
        itc_strbuf_add(out, " ");
        itc_text_site(out, n->site);
    }
    /* The import id is left out where the site says it already. */
    const bool number = n->import_id != (int32_t)(n->site >> 8);
    if (!number && !n->onnx_name && !n->onnx_op) {
        return;
    }
    itc_strbuf_add(out, " !");
    if (number) {
        itc_strbuf_printf(out, "%d", n->import_id);
    }
    if (n->onnx_name) {
        itc_strbuf_add(out, number ? " " : "");
        itc_text_string(out, n->onnx_name);
    }
    if (n->onnx_op) {
        itc_strbuf_add(out, number || n->onnx_name ? " (" : "(");
        word(out, n->onnx_op);
        itc_strbuf_printf(out, "-%d)", n->onnx_version);
    }
}

static void node(printer *p, const itc_node *n)
{
    itc_strbuf_add(p->out, n->n_out > 0 ? "    " : "    _");
    for (int i = 0; i < n->n_out; i++) {
        itc_strbuf_add(p->out, i > 0 ? ", " : "");
        if (n->out[i]) {
            value(p, n->out[i]);
        } else {
            itc_strbuf_add(p->out, "_");
        }
    }
    itc_strbuf_add(p->out, " = ");
    if (n->op) {
        itc_strbuf_add(p->out, n->op->name);
    } else {
        itc_text_string(p->out, n->opaque ? n->opaque : "");
    }
    itc_strbuf_add(p->out, "(");
    for (int i = 0; i < n->n_in; i++) {
        itc_strbuf_add(p->out, i > 0 ? ", " : "");
        if (n->in[i]) {
            itc_text_name(p->out, '%', n->in[i]->name);
        } else {
            itc_strbuf_add(p->out, "_");
        }
    }
    itc_strbuf_add(p->out, ")");
    attributes(p, n);
    origin(p->out, n);
    itc_strbuf_add(p->out, "\n");
}

/* ---- the graph ---- */

static void header(printer *p)
{
    const itc_graph *g = p->g;
    static const uint8_t zeros[sizeof g->model_hash];
    itc_strbuf_add(p->out, "itc 1\ngraph ");
    itc_text_name(p->out, '@', g->name);
    itc_strbuf_printf(p->out, " stage=%s opset=%d", itc_stage_name(g->stage), g->opset);
    if (g->rows != 0) {
        itc_strbuf_printf(p->out, " rows=%d", g->rows);
    }
    itc_strbuf_add(p->out, " {\n");
    for (int i = 0; i < g->n_settings; i++) {
        itc_strbuf_add(p->out, "  set ");
        word(p->out, g->settings[i].name);
        itc_strbuf_add(p->out, " = ");
        literal(p, &g->settings[i], false);
        itc_strbuf_add(p->out, "\n");
    }
    if (memcmp(g->model_hash, zeros, sizeof zeros) != 0) {
        itc_strbuf_add(p->out, "  model sha256=\"");
        itc_text_hex(p->out, g->model_hash, (int)sizeof g->model_hash);
        itc_strbuf_add(p->out, "\"\n");
    }
    if (g->n_exponents != 0) {
        itc_strbuf_printf(p->out, "  exponents = %d\n", g->n_exponents);
    }
    if (g->arena_bytes != 0) {
        itc_strbuf_printf(p->out, "  arena = %lld\n", (long long)g->arena_bytes);
    }
}

static const char *section_comment(itc_section s)
{
    switch (s) {
    case ITC_PREPARE:
        return "once a step or evaluation: depends on state alone";
    case ITC_FORWARD:
        return "each micro-batch: up to the losses";
    case ITC_BACKWARD:
        return "each micro-batch: gradients";
    case ITC_UPDATE:
        return "once a step: the optimizer";
    case ITC_INFER:
        return "evaluation: the outputs";
    case ITC_SCORE:
        return "evaluation: outputs against targets";
    case ITC_SECTION_COUNT:
        break;
    }
    return "";
}

void itc_print(const itc_graph *g, const itc_print_options *opt, itc_strbuf *out, itc_strbuf *blobs)
{
    static const itc_print_options plain;
    printer p = {.g = g, .opt = opt ? opt : &plain, .out = out, .blob = blobs};
    p.blob_size = blobs ? blobs->len : 0;
    header(&p);
    for (int i = 0; i < g->n_values; i++) {
        const itc_value *v = g->values[i];
        if (v->kind != ITC_VALUE_NODE) {
            itc_strbuf_printf(out, "  %s ", itc_value_kind_name(v->kind));
            value(&p, v);
            itc_strbuf_add(out, "\n");
        }
    }
    for (int s = 0; s < ITC_SECTION_COUNT; s++) {
        const itc_node *before = NULL;
        for (int i = 0; i < g->section[s].n; i++) {
            const itc_node *n = g->section[s].node[i];
            if (n->dead) {
                continue;
            }
            if (!before && p.opt->comments) {
                itc_strbuf_printf(out, "\n  # %s\n", section_comment((itc_section)s));
            }
            if (!before || n->section != before->section) {
                itc_strbuf_printf(out, "  %s:\n", itc_section_name(n->section));
            }
            before = n;
            node(&p, n);
        }
    }
    for (int i = 0; i < g->n_outputs; i++) {
        itc_strbuf_add(out, "  output ");
        itc_text_name(out, '%', g->outputs[i].value->name);
        itc_strbuf_add(out, " as ");
        itc_text_string(out, g->outputs[i].name);
        itc_strbuf_add(out, "\n");
    }
    itc_strbuf_add(out, "}\n");
}
