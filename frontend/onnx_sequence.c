/*
 * Sequences and optionals. Both are known while compiling, a sequence as the list of its elements,
 * an optional as its element or nothing, so that their operators leave no node behind: only
 * splitting, joining and the bodies of SequenceMap make some.
 *
 * Sources: ONNX SequenceConstruct-11, SequenceAt-11, SequenceEmpty-11, SequenceErase-11,
 * SequenceInsert-11, SequenceLength-11, SplitToSequence-11 and -24, ConcatFromSequence-11,
 * SequenceMap-17, Optional-15, OptionalGetElement-15 and -18, OptionalHasElement-15 and -18.
 */
#include <string.h>

#include "frontend/onnx_model.h"

static itc_binding tensor(itc_value *v)
{
    return (itc_binding){.kind = ITC_BIND_TENSOR, .value = v};
}

static itc_binding sequence(const itc_binding *item, int n)
{
    return (itc_binding){.kind = ITC_BIND_SEQUENCE, .item = item, .n = n};
}

static const itc_binding *operand(const itc_body_node *p, int i)
{
    static const itc_binding none = {.kind = ITC_BIND_NONE};
    return i < p->n_in ? &p->in[i] : &none;
}

static itc_status make_int(itc_importer *im, itc_scope *scope, const itc_body_node *p,
                           itc_dtype dtype, int64_t v)
{
    itc_tensor *t = itc_tensor_new(im->ctx, dtype, 0, NULL);
    if (dtype == ITC_BOOL) {
        *(uint8_t *)t->data = v != 0;
    } else {
        *(int64_t *)t->data = v;
    }
    itc_onnx_set_output(im, scope, p, 0, tensor(itc_onnx_make_const(im, "number", t)));
    return ITC_OK;
}

static itc_status no_sequence(itc_importer *im, itc_scope *scope, const itc_body_node *p)
{
    return itc_onnx_refuse(im, scope, p, "of a sequence whose length is not known");
}

/* ---- making, reading ---- */

static itc_status expand_construct(itc_importer *im, itc_scope *scope, const itc_body_node *p)
{
    itc_onnx_set_output(im, scope, p, 0, sequence(p->in, p->n_in));
    return ITC_OK;
}

static itc_status expand_empty(itc_importer *im, itc_scope *scope, const itc_body_node *p)
{
    itc_onnx_set_output(im, scope, p, 0, sequence(NULL, 0));
    return ITC_OK;
}

static itc_status expand_length(itc_importer *im, itc_scope *scope, const itc_body_node *p)
{
    const itc_binding *s = operand(p, 0);
    return s->kind == ITC_BIND_SEQUENCE ? make_int(im, scope, p, ITC_I64, s->n)
                                        : no_sequence(im, scope, p);
}

/** A position in 0..limit, counted from the end where negative; absent: `otherwise`. */
static const char *find_position(itc_importer *im, const itc_binding *b, int n, int limit,
                                 int64_t otherwise, int *out)
{
    int64_t at = otherwise;
    if (b->kind == ITC_BIND_TENSOR && !itc_onnx_known_int(im, b->value, &at)) {
        return "at a position that is not known when compiling";
    }
    at += at < 0 ? n : 0;
    if (at < 0 || at > limit) {
        return "at a position outside the sequence";
    }
    *out = (int)at;
    return NULL;
}

static itc_status expand_at(itc_importer *im, itc_scope *scope, const itc_body_node *p)
{
    const itc_binding *s = operand(p, 0);
    int at = 0;
    if (s->kind != ITC_BIND_SEQUENCE) {
        return no_sequence(im, scope, p);
    }
    const char *why = find_position(im, operand(p, 1), s->n, s->n - 1, 0, &at);
    if (why) {
        return itc_onnx_refuse(im, scope, p, why);
    }
    itc_onnx_set_output(im, scope, p, 0, s->item[at]);
    return ITC_OK;
}

static itc_status expand_insert(itc_importer *im, itc_scope *scope, const itc_body_node *p)
{
    const itc_binding *s = operand(p, 0);
    int at = 0;
    if (s->kind != ITC_BIND_SEQUENCE) {
        return no_sequence(im, scope, p);
    }
    const char *why = find_position(im, operand(p, 2), s->n, s->n, s->n, &at);
    if (why) {
        return itc_onnx_refuse(im, scope, p, why);
    }
    itc_binding *item = ITC_NEW_ARRAY(im->ctx, itc_binding, s->n + 1);
    for (int i = 0; i <= s->n; i++) {
        item[i] = i < at ? s->item[i] : i == at ? *operand(p, 1) : s->item[i - 1];
    }
    itc_onnx_set_output(im, scope, p, 0, sequence(item, s->n + 1));
    return ITC_OK;
}

static itc_status expand_erase(itc_importer *im, itc_scope *scope, const itc_body_node *p)
{
    const itc_binding *s = operand(p, 0);
    int at = 0;
    if (s->kind != ITC_BIND_SEQUENCE) {
        return no_sequence(im, scope, p);
    }
    const char *why = find_position(im, operand(p, 1), s->n, s->n - 1, -1, &at);
    if (why) {
        return itc_onnx_refuse(im, scope, p, why);
    }
    itc_binding *item = ITC_NEW_ARRAY(im->ctx, itc_binding, s->n);
    for (int i = 0; i < s->n - 1; i++) {
        item[i] = s->item[i < at ? i : i + 1];
    }
    itc_onnx_set_output(im, scope, p, 0, sequence(item, s->n - 1));
    return ITC_OK;
}

/* ---- splitting, joining ---- */

typedef struct split {
    itc_type type;
    int axis;
    int64_t extent;
    const itc_tensor *sizes; /**< NULL: elements of one; a scalar: chunks of its size */
} split;

static const char *read_split(itc_importer *im, const itc_scope *scope, const itc_body_node *p,
                              split *s)
{
    const itc_tensor *unused = NULL;
    itc_type list;
    const int64_t axis = itc_onnx_attr_int(scope, p->proto, "axis", 0);
    if (operand(p, 0)->kind != ITC_BIND_TENSOR ||
        !itc_onnx_examine(im, p->in[0].value, &s->type, &unused) || axis < -s->type.rank ||
        axis >= s->type.rank) {
        return "along an axis that is not known when compiling";
    }
    s->axis = (int)(axis < 0 ? axis + s->type.rank : axis);
    s->extent = s->type.dim[s->axis].size;
    if (s->type.dim[s->axis].batch) {
        return "over the rows N";
    }
    if (operand(p, 1)->kind == ITC_BIND_TENSOR &&
        (!itc_onnx_examine(im, p->in[1].value, &list, &s->sizes) || !s->sizes ||
         s->sizes->dtype == ITC_F32 || s->sizes->batch)) {
        return "into parts that are not known when compiling";
    }
    return NULL;
}

/** Size of part i that begins at `from`; 0 or less: no such part. */
static int64_t part_size(const split *s, int64_t i, int64_t from)
{
    const bool list = s->sizes && s->sizes->rank > 0;
    const int64_t size = !s->sizes             ? 1
                         : !list               ? itc_tensor_get_int(s->sizes, 0)
                         : i < s->sizes->count ? itc_tensor_get_int(s->sizes, i)
                                               : 0;
    return size > s->extent - from ? s->extent - from : size;
}

static itc_status expand_split(itc_importer *im, itc_scope *scope, const itc_body_node *p)
{
    split s = {.sizes = NULL};
    const char *why = read_split(im, scope, p, &s);
    if (why) {
        return itc_onnx_refuse(im, scope, p, why);
    }
    const bool squeeze = !s.sizes && itc_onnx_attr_int(scope, p->proto, "keepdims", 1) == 0;
    itc_binding *item = NULL;
    const int64_t axis = s.axis;
    int n = 0, cap = 0;
    for (int64_t at = 0, size; (size = part_size(&s, n, at)) > 0; at += size) {
        itc_node *m = NULL;
        itc_value *v = itc_onnx_make(im, p, &itc_op_Slice, 1, &p->in[0].value, &m);
        itc_set_ints(im->g, m, "starts", 1, &at);
        itc_set_ints(im->g, m, "ends", 1, &(int64_t){at + size});
        itc_set_ints(im->g, m, "axes", 1, &axis);
        if (squeeze) {
            v = itc_onnx_make(im, p, &itc_op_Squeeze, 1, &v, &m);
            itc_set_ints(im->g, m, "axes", 1, &axis);
        }
        ITC_PUSH(im->ctx, item, n, cap, tensor(v));
    }
    itc_onnx_set_output(im, scope, p, 0, sequence(item, n));
    return ITC_OK;
}

static itc_status expand_concat(itc_importer *im, itc_scope *scope, const itc_body_node *p)
{
    const itc_binding *s = operand(p, 0);
    const int64_t axis = itc_onnx_attr_int(scope, p->proto, "axis", 0);
    const bool new_axis = itc_onnx_attr_int(scope, p->proto, "new_axis", 0) != 0;
    itc_node *n = NULL;
    if (s->kind != ITC_BIND_SEQUENCE || s->n == 0) {
        return no_sequence(im, scope, p);
    }
    itc_value **in = ITC_NEW_ARRAY(im->ctx, itc_value *, s->n);
    for (int i = 0; i < s->n; i++) {
        if (s->item[i].kind != ITC_BIND_TENSOR) {
            return itc_onnx_refuse(im, scope, p, "of elements that are no tensors");
        }
        in[i] = s->item[i].value;
        if (new_axis) {
            in[i] = itc_onnx_make(im, p, &itc_op_Unsqueeze, 1, &in[i], &n);
            itc_set_ints(im->g, n, "axes", 1, &axis);
        }
    }
    itc_value *v = itc_onnx_make(im, p, &itc_op_Concat, s->n, in, &n);
    itc_set_int(im->g, n, "axis", axis);
    itc_onnx_set_output(im, scope, p, 0, tensor(v));
    return ITC_OK;
}

/* ---- SequenceMap ---- */

/** One round of the body; results go to item[k][round]. */
static itc_status map_round(itc_importer *im, itc_scope *scope, const itc_body_node *p,
                            const Onnx__GraphProto *g, int round, itc_binding **item)
{
    itc_scope *inner = itc_scope_new(im->ctx, scope);
    for (size_t i = 0; i < g->n_input; i++) {
        const itc_binding *b = &p->in[i];
        itc_scope_bind(inner, itc_onnx_text(g->input[i]->name),
                       b->kind == ITC_BIND_SEQUENCE ? b->item[round] : *b);
    }
    ITC_TRY(itc_onnx_import_initializers(im, inner, g));
    ITC_TRY(itc_onnx_import_body(im, inner, g->n_node, g->node));
    for (size_t i = 0; i < g->n_output; i++) {
        ITC_TRY(
            itc_onnx_body_output(im, inner, p, itc_onnx_text(g->output[i]->name), &item[i][round]));
    }
    return ITC_OK;
}

static itc_status expand_map(itc_importer *im, itc_scope *scope, const itc_body_node *p)
{
    const Onnx__AttributeProto *a = itc_scope_node_attr(scope, p->proto, "body");
    const Onnx__GraphProto *g = a ? a->g : NULL;
    const int n = operand(p, 0)->n;
    bool fits = g && (int)g->n_input == p->n_in && (int)g->n_output >= p->n_out;
    if (operand(p, 0)->kind != ITC_BIND_SEQUENCE) {
        return no_sequence(im, scope, p);
    }
    for (int i = 0; fits && i < p->n_in; i++) {
        fits = p->in[i].kind != ITC_BIND_SEQUENCE || p->in[i].n == n;
    }
    if (!fits) {
        return itc_error(im->ctx, itc_onnx_describe(im, scope, p), ITC_PARSE, "E0208",
                         "the operands do not fit the body");
    }
    itc_binding **item = ITC_NEW_ARRAY(im->ctx, itc_binding *, g->n_output);
    for (size_t i = 0; i < g->n_output; i++) {
        item[i] = ITC_NEW_ARRAY(im->ctx, itc_binding, n);
    }
    for (int k = 0; k < n; k++) {
        ITC_TRY(map_round(im, scope, p, g, k, item));
    }
    for (int i = 0; i < p->n_out; i++) {
        itc_onnx_set_output(im, scope, p, i, sequence(item[i], n));
    }
    return ITC_OK;
}

/* ---- optionals ---- */

static itc_status expand_optional(itc_importer *im, itc_scope *scope, const itc_body_node *p)
{
    itc_onnx_set_output(im, scope, p, 0, *operand(p, 0));
    return ITC_OK;
}

static itc_status expand_get(itc_importer *im, itc_scope *scope, const itc_body_node *p)
{
    if (operand(p, 0)->kind == ITC_BIND_NONE) {
        return itc_onnx_refuse(im, scope, p, "of an optional without an element");
    }
    return expand_optional(im, scope, p);
}

static itc_status expand_has(itc_importer *im, itc_scope *scope, const itc_body_node *p)
{
    return make_int(im, scope, p, ITC_BOOL, operand(p, 0)->kind != ITC_BIND_NONE);
}

itc_onnx_expand itc_onnx_find_sequence(const itc_importer *im, const char *domain, const char *type)
{
    (void)im;
    static const struct {
        const char *type;
        itc_onnx_expand expand;
    } table[] = {{"ConcatFromSequence", expand_concat},
                 {"Optional", expand_optional},
                 {"OptionalGetElement", expand_get},
                 {"OptionalHasElement", expand_has},
                 {"SequenceAt", expand_at},
                 {"SequenceConstruct", expand_construct},
                 {"SequenceEmpty", expand_empty},
                 {"SequenceErase", expand_erase},
                 {"SequenceInsert", expand_insert},
                 {"SequenceLength", expand_length},
                 {"SequenceMap", expand_map},
                 {"SplitToSequence", expand_split}};
    for (size_t i = 0; domain[0] == '\0' && i < sizeof table / sizeof table[0]; i++) {
        if (strcmp(table[i].type, type) == 0) {
            return table[i].expand;
        }
    }
    return NULL;
}
