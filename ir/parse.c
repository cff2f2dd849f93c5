#include <stdlib.h>
#include <string.h>

#include "ir/lex.h"

#define MOST_OPERANDS 65536

static itc_status error_at(itc_parser *p, const itc_token *t, const char *id, const char *text)
{
    return itc_error_at(p->ctx, t->line, t->col, ITC_PARSE, id, "%s", text);
}

static itc_status error_named(itc_parser *p, const itc_token *t, const char *id, const char *fmt)
{
    const char *name = itc_strndup(p->ctx, t->text, t->n);
    itc_strbuf b;
    itc_strbuf_init(&b, p->ctx);
    for (const char *f = fmt; *f != '\0'; f++) {
        if (*f == '$') {
            itc_strbuf_add(&b, name);
        } else {
            itc_strbuf_add_n(&b, f, 1);
        }
    }
    return error_at(p, t, id, b.text);
}

static itc_status take_i32(itc_parser *p, const char *what, int64_t low, int32_t *out)
{
    int64_t v = 0;
    ITC_TRY(itc_lex_take_int(p, what, low, INT32_MAX, &v));
    *out = (int32_t)v;
    return ITC_OK;
}

/* ---- exponents ---- */

/** `@3 + @5 - 30`, `-15` */
static itc_status parse_sum(itc_parser *p, itc_exp *e)
{
    e->kind = ITC_EXP_SUM;
    bool minus = itc_lex_is(p, '-');
    if (minus) {
        ITC_TRY(itc_lex_next(p));
    }
    bool offset = false;
    for (bool more = true; more;) {
        if (itc_lex_is(p, '@') && !offset) {
            if (e->n_terms == 4) {
                return error_at(p, &p->lex.tok, "E0102", "a sum has at most 4 slots");
            }
            ITC_TRY(itc_lex_next(p));
            e->minus |= (uint8_t)((unsigned)minus << e->n_terms);
            ITC_TRY(take_i32(p, "a slot", 0, &e->term[e->n_terms++]));
        } else if (!offset) {
            int64_t v = 0;
            ITC_TRY(itc_lex_take_int(p, "an offset of the exponent", minus ? 0 : INT32_MIN,
                                     minus ? (int64_t)INT32_MAX + 1 : INT32_MAX, &v));
            e->offset = (int32_t)(minus ? -v : v);
            offset = true;
        } else {
            return error_at(p, &p->lex.tok, "E0102", "the offset comes last in a sum");
        }
        minus = itc_lex_is(p, '-');
        more = minus || itc_lex_is(p, '+');
        if (more) {
            ITC_TRY(itc_lex_next(p));
        }
    }
    return ITC_OK;
}

/** After `e=@7`: whether `=` begins a sum and not the node's operator. */
static itc_status sum_follows(itc_parser *p, bool *yes)
{
    *yes = false;
    if (!itc_lex_is(p, '=')) {
        return ITC_OK;
    }
    const itc_lexer here = p->lex;
    ITC_TRY(itc_lex_next(p));
    *yes = p->lex.tok.kind == ITC_TOK_NUMBER || itc_lex_is(p, '@') || itc_lex_is(p, '-');
    if (!*yes) {
        p->lex = here;
    }
    return ITC_OK;
}

static itc_status parse_exp(itc_parser *p, itc_exp *e)
{
    bool taken;
    ITC_TRY(itc_lex_accept(p, '?', &taken));
    if (taken) {
        e->kind = ITC_EXP_OPEN;
        return ITC_OK;
    }
    ITC_TRY(itc_lex_accept(p, '(', &taken));
    if (taken) {
        ITC_TRY(parse_sum(p, e));
        return itc_lex_take(p, ')');
    }
    if (!itc_lex_is(p, '@')) {
        int64_t v = 0;
        e->kind = ITC_EXP_SUM;
        ITC_TRY(itc_lex_take_int(p, "an exponent", INT32_MIN, INT32_MAX, &v));
        e->offset = (int32_t)v;
        return ITC_OK;
    }
    e->kind = ITC_EXP_FIT;
    ITC_TRY(itc_lex_next(p));
    ITC_TRY(itc_lex_accept(p, '?', &taken));
    if (taken) {
        return ITC_OK;
    }
    ITC_TRY(take_i32(p, "a slot", 0, &e->slot));
    ITC_TRY(sum_follows(p, &taken));
    return taken ? parse_sum(p, e) : ITC_OK;
}

/* ---- values ---- */

static itc_status later(itc_parser *p, itc_value *v, bool is_storage)
{
    const itc_fixup f = {.value = v, .is_storage = is_storage, .name = p->lex.tok};
    if (f.name.kind != ITC_TOK_VALUE) {
        return itc_lex_expected(p, "a value");
    }
    ITC_PUSH(p->ctx, p->fixups, p->n_fixups, p->cap_fixups, f);
    return itc_lex_next(p);
}

static itc_status parse_data(itc_parser *p, itc_value *v)
{
    itc_type type = v->type;
    itc_dtype dtype;
    if (p->lex.tok.kind == ITC_TOK_WORD && itc_dtype_parse(p->lex.tok.text, p->lex.tok.n, &dtype)) {
        ITC_TRY(itc_parse_type(p, &type));
    }
    ITC_TRY(itc_parse_tensor(p, &type, &v->data));
    return ITC_OK;
}

/** ` * 2^-17` */
static itc_status parse_init_exp(itc_parser *p, itc_value *v)
{
    int64_t e = 0;
    ITC_TRY(itc_lex_take(p, '*'));
    ITC_TRY(itc_lex_take_int(p, "2 and an exponent", 2, 2, &e));
    ITC_TRY(itc_lex_take(p, '^'));
    ITC_TRY(itc_lex_take_int(p, "an exponent", INT32_MIN, INT32_MAX, &e));
    v->init_exp = (int32_t)e;
    return ITC_OK;
}

enum { AXIS, BITS, EXP, DATA, NEXT, ONNX, WHY, AT, IN, N_PROPERTIES };
static const char *const property_names[N_PROPERTIES] = {
    [AXIS] = "axis", [BITS] = "bits", [EXP] = "e", [DATA] = "data", [NEXT] = "next",
    [ONNX] = "onnx", [WHY] = "why",   [AT] = "at", [IN] = "in"};

static int property_at(const itc_parser *p)
{
    for (int i = 0; i < N_PROPERTIES; i++) {
        if (itc_lex_is_word(p, property_names[i])) {
            return i;
        }
    }
    return -1;
}

/** `onnx`: the same name; `onnx("conv1/W:0")`: another one */
static itc_status parse_onnx(itc_parser *p, itc_value *v)
{
    bool other;
    v->onnx = v->name;
    ITC_TRY(itc_lex_accept(p, '(', &other));
    if (!other) {
        return ITC_OK;
    }
    ITC_TRY(itc_lex_take_string(p, "a name in quotes", &v->onnx));
    return itc_lex_take(p, ')');
}

static itc_status parse_property(itc_parser *p, itc_value *v, int which)
{
    int64_t i = 0;
    if (which == ONNX) {
        return parse_onnx(p, v);
    }
    ITC_TRY(itc_lex_take(p, '='));
    switch (which) {
    case AXIS:
        ITC_TRY(itc_lex_take_int(p, "an axis", 0, ITC_MAX_RANK - 1, &i));
        v->type.exp_axis = (int8_t)i;
        return ITC_OK;
    case BITS:
        ITC_TRY(itc_lex_take_int(p, "a number of bits", 1, 64, &i));
        v->type.bits = (uint8_t)i;
        return ITC_OK;
    case EXP:
        return parse_exp(p, &v->exp);
    case DATA:
        return parse_data(p, v);
    case NEXT:
    case IN:
        return later(p, v, which == IN);
    case WHY:
        return itc_lex_take_string(p, "a reason in quotes", &v->reason);
    default:
        return itc_lex_take_int(p, "an offset", 0, INT64_MAX, &v->offset);
    }
}

/** `%x : i8[N,3] bits=7 e=@3 …`, which defines %x. */
static itc_status parse_value(itc_parser *p, itc_value_kind kind, itc_value **out)
{
    const itc_token name = p->lex.tok;
    if (name.kind != ITC_TOK_VALUE) {
        return itc_lex_expected(p, "a value such as %x");
    }
    if (itc_value_find(p->g, name.text)) {
        return error_named(p, &name, "E0109", "%$ is defined twice");
    }
    itc_type type;
    ITC_TRY(itc_lex_next(p));
    ITC_TRY(itc_lex_take(p, ':'));
    ITC_TRY(itc_parse_type(p, &type));
    itc_value *v = itc_value_new(p->g, kind, name.text, type);
    unsigned seen = 0;
    for (int which = property_at(p); which >= 0 || itc_lex_is(p, '*'); which = property_at(p)) {
        const itc_token at = p->lex.tok;
        if (which < 0) {
            ITC_TRY(parse_init_exp(p, v));
            which = N_PROPERTIES;
        } else {
            ITC_TRY(itc_lex_next(p));
            ITC_TRY(parse_property(p, v, which));
        }
        if (seen & 1u << which) {
            return error_at(p, &at, "E0109", "a property is given twice");
        }
        seen |= 1u << which;
    }
    *out = v;
    return ITC_OK;
}

/* ---- nodes ---- */

typedef struct value_list {
    itc_value **v;
    int n, cap;
} value_list;

static itc_status parse_operands(itc_parser *p, value_list *in)
{
    ITC_TRY(itc_lex_take(p, '('));
    bool more = !itc_lex_is(p, ')');
    while (more) {
        const itc_token t = p->lex.tok;
        itc_value *v = NULL;
        if (t.kind == ITC_TOK_VALUE) {
            v = itc_value_find(p->g, t.text);
            if (!v || (v->kind == ITC_VALUE_NODE && !v->def)) {
                return error_named(p, &t, "E0108", "%$ is not defined above");
            }
        } else if (!itc_lex_is_word(p, "_")) {
            return itc_lex_expected(p, "a value or _");
        }
        if (in->n == MOST_OPERANDS) {
            return error_at(p, &t, "E0106", "too many operands");
        }
        ITC_PUSH(p->ctx, in->v, in->n, in->cap, v);
        ITC_TRY(itc_lex_next(p));
        ITC_TRY(itc_lex_accept(p, ',', &more));
    }
    return itc_lex_take(p, ')');
}

static itc_status parse_outputs(itc_parser *p, value_list *out)
{
    bool more = true;
    while (more) {
        itc_value *v = NULL;
        if (itc_lex_is_word(p, "_")) {
            ITC_TRY(itc_lex_next(p));
        } else {
            ITC_TRY(parse_value(p, ITC_VALUE_NODE, &v));
        }
        if (out->n == MOST_OPERANDS) {
            return error_at(p, &p->lex.tok, "E0106", "too many outputs");
        }
        ITC_PUSH(p->ctx, out->v, out->n, out->cap, v);
        ITC_TRY(itc_lex_accept(p, ',', &more));
    }
    /* `_ =` alone: a node without outputs. */
    if (out->n == 1 && !out->v[0]) {
        out->n = 0;
    }
    return ITC_OK;
}

static itc_status check_arity(itc_parser *p, const itc_token *at, const itc_op_def *op, int n_in,
                              int n_out)
{
    const bool variadic = (op->flags & ITC_OP_VARIADIC) != 0;
    if (n_in < op->in_min || (n_in > op->in_max && !variadic)) {
        return itc_error_at(p->ctx, at->line, at->col, ITC_PARSE, "E0106",
                            "%s takes %d to %d operands, found %d", op->name, op->in_min,
                            variadic ? MOST_OPERANDS : op->in_max, n_in);
    }
    if (n_out < op->out_min || n_out > op->out_max) {
        return itc_error_at(p->ctx, at->line, at->col, ITC_PARSE, "E0106",
                            "%s makes %d to %d values, found %d", op->name, op->out_min,
                            op->out_max, n_out);
    }
    return ITC_OK;
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

static itc_status parse_attributes(itc_parser *p, itc_node *n)
{
    bool more;
    ITC_TRY(itc_lex_accept(p, '{', &more));
    if (!more) {
        return ITC_OK;
    }
    while (more) {
        const itc_token at = p->lex.tok;
        itc_attr a = {0};
        ITC_TRY(itc_lex_take_name(p, "an attribute", &a.name));
        const itc_attr_spec *spec = spec_of(n->op, a.name);
        if (n->op && !spec) {
            return itc_error_at(p->ctx, at.line, at.col, ITC_PARSE, "E0107",
                                "unknown attribute \"%s\" of %s", a.name, n->op->name);
        }
        /* An operator without a row may have any number of attributes; their search stays short. */
        if (n->n_attrs == 256 || itc_attr_find(n, a.name)) {
            return error_named(p, &at, "E0109", "attribute \"$\" is given twice, or one too many");
        }
        ITC_TRY(itc_lex_take(p, '='));
        ITC_TRY(itc_parse_literal(p, spec, &a));
        itc_attr_set(p->g, n, a);
        ITC_TRY(itc_lex_accept(p, ',', &more));
    }
    return itc_lex_take(p, '}');
}

/** `#12.dx.1` */
static itc_status parse_site(itc_parser *p, itc_node *n)
{
    if (p->lex.tok.kind != ITC_TOK_SITE) {
        return ITC_OK;
    }
    const char *text = itc_strndup(p->ctx, p->lex.tok.text + 1, p->lex.tok.n - 1);
    char *end = NULL;
    const unsigned long id = strtoul(text, &end, 10);
    bool good = id < 1ul << 24 && *end == '.';
    unsigned long index = 0;
    itc_role role = ITC_ROLE_NONE;
    if (good) {
        const char *name = end + 1;
        const size_t len = strcspn(name, ".");
        const char *rest = name + len;
        good = itc_role_parse(itc_strndup(p->ctx, name, len), &role);
        if (good && *rest == '.') {
            good = rest[1] >= '0' && rest[1] <= '9';
            index = strtoul(rest + 1, &end, 10);
            good = good && *end == '\0' && index < 16;
        }
    }
    n->site = (uint32_t)(id << 8) | (uint32_t)role << 4 | (uint32_t)index;
    if (!good || n->site == 0) {
        return itc_lex_expected(p, "a rounding site such as #12.dx or #12.dx.1");
    }
    return itc_lex_next(p);
}

/** `!12 "conv1" (Conv-11)`, each part optional */
static itc_status parse_origin(itc_parser *p, itc_node *n)
{
    bool taken;
    n->import_id = (int32_t)(n->site >> 8);
    ITC_TRY(itc_lex_accept(p, '!', &taken));
    if (!taken) {
        return ITC_OK;
    }
    if (p->lex.tok.kind == ITC_TOK_NUMBER) {
        ITC_TRY(take_i32(p, "the number of an ONNX node", 0, &n->import_id));
    }
    if (p->lex.tok.kind == ITC_TOK_STRING) {
        ITC_TRY(itc_lex_take_string(p, "a name", &n->onnx_name));
    }
    ITC_TRY(itc_lex_accept(p, '(', &taken));
    if (!taken) {
        return ITC_OK;
    }
    ITC_TRY(itc_lex_take_name(p, "an ONNX operator", &n->onnx_op));
    ITC_TRY(itc_lex_take(p, '-'));
    ITC_TRY(take_i32(p, "a version", 0, &n->onnx_version));
    return itc_lex_take(p, ')');
}

static itc_status parse_node(itc_parser *p)
{
    const int line = p->lex.tok.line;
    value_list out = {0};
    value_list in = {0};
    ITC_TRY(parse_outputs(p, &out));
    ITC_TRY(itc_lex_take(p, '='));
    const itc_token name = p->lex.tok;
    const itc_op_def *op = NULL;
    if (name.kind == ITC_TOK_WORD) {
        op = itc_op_named(itc_strndup(p->ctx, name.text, name.n));
        if (!op) {
            return error_named(p, &name, "E0105", "there is no operator \"$\"");
        }
    } else if (name.kind != ITC_TOK_STRING) {
        return itc_lex_expected(p, "an operator");
    }
    ITC_TRY(itc_lex_next(p));
    ITC_TRY(parse_operands(p, &in));
    if (op) {
        ITC_TRY(check_arity(p, &name, op, in.n, out.n));
    }
    itc_node *n = itc_node_append(p->g, op, in.n, in.v, out.n, out.v);
    n->opaque = op ? NULL : name.text;
    n->line = line;
    ITC_TRY(parse_attributes(p, n));
    ITC_TRY(parse_site(p, n));
    return parse_origin(p, n);
}

/* ---- lines of the graph ---- */

static itc_status parse_setting(itc_parser *p)
{
    const itc_token at = p->lex.tok;
    itc_attr a = {0};
    ITC_TRY(itc_lex_take_name(p, "a setting", &a.name));
    if (p->g->n_settings == 256 || itc_setting(p->g, a.name)) {
        return error_named(p, &at, "E0109", "setting \"$\" is given twice, or one too many");
    }
    ITC_TRY(itc_lex_take(p, '='));
    ITC_TRY(itc_parse_literal(p, NULL, &a));
    itc_setting_set(p->g, a);
    return ITC_OK;
}

static itc_status parse_output(itc_parser *p)
{
    const itc_token t = p->lex.tok;
    itc_output o = {0};
    if (t.kind != ITC_TOK_VALUE) {
        return itc_lex_expected(p, "a value");
    }
    o.value = itc_value_find(p->g, t.text);
    if (!o.value) {
        return error_named(p, &t, "E0108", "%$ is not defined above");
    }
    ITC_TRY(itc_lex_next(p));
    ITC_TRY(itc_lex_take_word(p, "as"));
    ITC_TRY(itc_lex_take_string(p, "the output's name in quotes", &o.name));
    ITC_PUSH(p->ctx, p->g->outputs, p->g->n_outputs, p->g->cap_outputs, o);
    return ITC_OK;
}

static itc_status once(itc_parser *p, bool *seen)
{
    if (*seen) {
        return error_at(p, &p->lex.tok, "E0109", "this line comes once");
    }
    *seen = true;
    return ITC_OK;
}

/** model sha256="…", exponents = 12, arena = 4096 */
static itc_status parse_number_line(itc_parser *p, const char *word)
{
    if (strcmp(word, "model") == 0) {
        ITC_TRY(once(p, &p->model));
        ITC_TRY(itc_lex_take_word(p, "sha256"));
        ITC_TRY(itc_lex_take(p, '='));
        return itc_lex_take_hash(p, p->g->model_hash);
    }
    const bool exponents = strcmp(word, "exponents") == 0;
    ITC_TRY(once(p, exponents ? &p->exponents : &p->arena));
    ITC_TRY(itc_lex_take(p, '='));
    if (exponents) {
        return take_i32(p, "a number of exponents", 0, &p->g->n_exponents);
    }
    return itc_lex_take_int(p, "a number of bytes", 0, INT64_MAX, &p->g->arena_bytes);
}

static bool kind_parse(const char *s, itc_value_kind *out)
{
    for (int k = ITC_VALUE_INPUT; k <= ITC_VALUE_CONST; k++) {
        if (strcmp(itc_value_kind_name((itc_value_kind)k), s) == 0) {
            *out = (itc_value_kind)k;
            return true;
        }
    }
    return false;
}

/** Updates that more gradients follow run among them. */
static void updates_before(itc_graph *g)
{
    itc_node_list *to = &g->section[ITC_BACKWARD], *from = &g->section[ITC_UPDATE];
    for (int i = 0; i < from->n; i++) {
        ITC_PUSH(g->ctx, to->node, to->n, to->cap, from->node[i]);
    }
    from->n = 0;
}

static itc_status parse_line(itc_parser *p)
{
    const itc_token t = p->lex.tok;
    if (t.kind == ITC_TOK_VALUE || itc_lex_is_word(p, "_")) {
        return parse_node(p);
    }
    if (t.kind != ITC_TOK_WORD) {
        return itc_lex_expected(p, "a line of the graph or '}'");
    }
    const char *word = itc_strndup(p->ctx, t.text, t.n);
    itc_value_kind kind;
    itc_section section;
    ITC_TRY(itc_lex_next(p));
    if (strcmp(word, "set") == 0) {
        return parse_setting(p);
    }
    if (strcmp(word, "output") == 0) {
        return parse_output(p);
    }
    if (strcmp(word, "model") == 0 || strcmp(word, "exponents") == 0 ||
        strcmp(word, "arena") == 0) {
        return parse_number_line(p, word);
    }
    if (kind_parse(word, &kind)) {
        itc_value *v = NULL;
        return parse_value(p, kind, &v);
    }
    if (itc_section_parse(word, &section)) {
        if (section == ITC_BACKWARD && p->g->stage >= ITC_STAGE_SCHEDULE) {
            updates_before(p->g);
        }
        p->g->insert = section;
        return itc_lex_take(p, ':');
    }
    return error_named(p, &t, "E0113",
                       "\"$\" begins no line: expected set, model, exponents, arena, input, "
                       "target, param, slot, stat, const, output, a section or a value");
}

static itc_status apply_fixups(itc_parser *p)
{
    for (int i = 0; i < p->n_fixups; i++) {
        const itc_fixup *f = &p->fixups[i];
        itc_value *v = itc_value_find(p->g, f->name.text);
        if (!v) {
            return error_named(p, &f->name, "E0108", "%$ is not defined");
        }
        if (f->is_storage) {
            f->value->storage = v;
        } else {
            f->value->next_state = v;
        }
    }
    return ITC_OK;
}

static itc_status parse_header(itc_parser *p)
{
    /* The version decides how everything behind it reads, so it is checked before the rest. */
    const itc_token first = p->lex.tok;
    if (!itc_lex_is_word(p, "itc")) {
        return error_at(p, &first, "E0101", "expected \"itc 1\" at the start");
    }
    ITC_TRY(itc_lex_next(p));
    const itc_token version = p->lex.tok;
    if (version.kind != ITC_TOK_NUMBER || version.n != 1 || version.text[0] != '1') {
        return error_at(p, &version, "E0101", "expected version 1 behind \"itc\"");
    }
    ITC_TRY(itc_lex_next(p));
    ITC_TRY(itc_lex_take_word(p, "graph"));
    if (p->lex.tok.kind != ITC_TOK_GRAPH) {
        return itc_lex_expected(p, "the graph's name such as @lenet");
    }
    p->g = itc_graph_new(p->ctx, p->lex.tok.text);
    ITC_TRY(itc_lex_next(p));
    ITC_TRY(itc_lex_take_word(p, "stage"));
    ITC_TRY(itc_lex_take(p, '='));
    const itc_token stage = p->lex.tok;
    if (stage.kind != ITC_TOK_WORD ||
        !itc_stage_parse(itc_strndup(p->ctx, stage.text, stage.n), &p->g->stage)) {
        return error_at(p, &stage, "E0113",
                        "expected a stage: import, shape, loss, backward, integer, plan, "
                        "schedule or memory");
    }
    ITC_TRY(itc_lex_next(p));
    ITC_TRY(itc_lex_take_word(p, "opset"));
    ITC_TRY(itc_lex_take(p, '='));
    ITC_TRY(take_i32(p, "an opset", 0, &p->g->opset));
    if (!itc_lex_is_word(p, "rows")) {
        return ITC_OK;
    }
    ITC_TRY(itc_lex_next(p));
    ITC_TRY(itc_lex_take(p, '='));
    return take_i32(p, "a number of rows", 1, &p->g->rows);
}

itc_status itc_parse(itc_ctx *ctx, const char *path, const char *text, size_t n, itc_graph **out)
{
    itc_parser p = {.ctx = ctx, .path = path};
    p.lex = (itc_lexer){.src = text, .line_start = text, .n = n, .line = 1};
    itc_set_file(ctx, path);
    ITC_TRY(itc_lex_next(&p));
    ITC_TRY(parse_header(&p));
    ITC_TRY(itc_lex_take(&p, '{'));
    while (!itc_lex_is(&p, '}')) {
        ITC_TRY(parse_line(&p));
    }
    ITC_TRY(itc_lex_next(&p));
    if (p.lex.tok.kind != ITC_TOK_END) {
        return itc_lex_expected(&p, "the end of the text behind '}'");
    }
    ITC_TRY(apply_fixups(&p));
    p.g->insert = ITC_FORWARD;
    *out = p.g;
    return ITC_OK;
}
