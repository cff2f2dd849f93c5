#include "codegen/names.h"

#include "ir/op.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST 48

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

const char *itc_name_sanitize(itc_ctx *ctx, const char *name)
{
    char text[LONGEST + 1];
    size_t n = 0;
    for (const char *p = name; *p && n < LONGEST; p++) {
        if (is_alnum(*p)) {
            text[n++] = *p;
        } else if (n > 0 && text[n - 1] != '_') {
            text[n++] = '_';
        }
    }
    while (n > 0 && text[n - 1] == '_') {
        n--;
    }
    return itc_strndup(ctx, text, n);
}

static bool in_list(const char *const *list, const char *name)
{
    for (int i = 0; list[i]; i++) {
        if (strcmp(list[i], name) == 0) {
            return true;
        }
    }
    return false;
}

const char *itc_name_model(itc_ctx *ctx, const char *stem)
{
    /* Keywords up to C23 and of C++, since the header may be included there; and file names and
     * words that the emitted program uses itself. */
    static const char *const taken[] = {
        "alignas",   "alignof",  "and",      "asm",       "auto",      "bool",
        "break",     "case",     "catch",    "char",      "class",     "const",
        "constexpr", "continue", "default",  "delete",    "do",        "double",
        "else",      "enum",     "explicit", "export",    "extern",    "false",
        "float",     "for",      "friend",   "goto",      "if",        "inline",
        "int",       "long",     "mutable",  "namespace", "new",       "not",
        "nullptr",   "operator", "or",       "private",   "protected", "public",
        "register",  "restrict", "return",   "short",     "signed",    "sizeof",
        "static",    "struct",   "switch",   "template",  "this",      "thread_local",
        "throw",     "true",     "try",      "typedef",   "typeid",    "typename",
        "typeof",    "union",    "unsigned", "using",     "virtual",   "void",
        "volatile",  "while",    "xor",      "main",      "trainer",   "runtime",
        "clean",     "all",      NULL};
    const char *name = itc_name_sanitize(ctx, stem);
    if (!name[0]) {
        return "model";
    }
    const bool bad_start = (name[0] >= '0' && name[0] <= '9') || strncmp(name, "itr", 3) == 0 ||
                           strncmp(name, "itc", 3) == 0 || strncmp(name, "ITR", 3) == 0;
    if (bad_start) {
        return itc_format(ctx, "model_%s", name);
    }
    return in_list(taken, name) ? itc_format(ctx, "%s_model", name) : name;
}

static const char *prefix_of(const itc_value *v)
{
    static const char *const of_section[ITC_SECTION_COUNT] = {
        [ITC_PREPARE] = "view", [ITC_FORWARD] = "act", [ITC_BACKWARD] = "grad",
        [ITC_UPDATE] = "upd",   [ITC_INFER] = "out",   [ITC_SCORE] = "loss"};
    switch (v->kind) {
    case ITC_VALUE_PARAM:
        return "w";
    case ITC_VALUE_SLOT:
        return "opt";
    case ITC_VALUE_STAT:
        return "stat";
    case ITC_VALUE_CONST:
        return "const";
    case ITC_VALUE_INPUT:
        return "in";
    case ITC_VALUE_TARGET:
        return "target";
    case ITC_VALUE_NODE:
        break;
    }
    return v->def ? of_section[v->def->section] : "act";
}

typedef struct entry {
    char *name;
    int next; /* suffix to try next */
} entry;

static uint32_t hash_of(const char *s)
{
    uint32_t h = 2166136261u;
    for (; *s; s++) {
        h = (h ^ (uint8_t)*s) * 16777619u;
    }
    return h;
}

static entry *find(entry *table, uint32_t cap, const char *name)
{
    uint32_t i = hash_of(name) & (cap - 1);
    while (table[i].name && strcmp(table[i].name, name) != 0) {
        i = (i + 1) & (cap - 1);
    }
    return &table[i];
}

itc_names *itc_names_new(const itc_graph *g, const char *stem)
{
    itc_ctx *ctx = g->ctx;
    itc_names *names = ITC_NEW(ctx, itc_names);
    names->model = itc_name_model(ctx, stem);
    char *upper = itc_strdup(ctx, names->model);
    for (char *p = upper; *p; p++) {
        *p = *p >= 'a' && *p <= 'z' ? (char)(*p - 'a' + 'A') : *p;
    }
    names->upper = upper;
    names->ident = ITC_NEW_ARRAY(ctx, const char *, g->n_values + 1);
    uint32_t cap = 64;
    while (cap < 4u * (uint32_t)g->n_values) {
        cap *= 2;
    }
    entry *table = ITC_NEW_ARRAY(ctx, entry, cap);
    for (int i = 0; i < g->n_values; i++) {
        const itc_value *v = g->values[i];
        const char *own = v->kind == ITC_VALUE_PARAM && v->onnx ? v->onnx : v->name;
        char *base = itc_format(ctx, "%s_%s", prefix_of(v), itc_name_sanitize(ctx, own));
        char *name = base;
        entry *first = find(table, cap, base);
        first->next = first->name ? first->next : 2;
        while (find(table, cap, name)->name) {
            name = itc_format(ctx, "%s_%d", base, first->next++);
        }
        find(table, cap, name)->next = 2;
        find(table, cap, name)->name = name;
        names->ident[i] = name;
    }
    return names;
}

const char *itc_name_comment(itc_ctx *ctx, const char *text)
{
    itc_strbuf b;
    itc_strbuf_init(&b, ctx);
    char last = 0;
    for (const char *p = text; *p; p++) {
        const char c = *p >= ' ' && *p <= '~' && *p != '\\' ? *p : '?';
        const bool delimiter = (last == '*' && c == '/') || (last == '/' && c == '*');
        if (delimiter || (last == '?' && c == '?')) {
            itc_strbuf_add(&b, " "); /* `? ?` rather than a trigraph */
        }
        itc_strbuf_add_n(&b, &c, 1);
        last = c;
    }
    return b.text;
}

const char *itc_name_literal(itc_ctx *ctx, const char *text)
{
    itc_strbuf b;
    itc_strbuf_init(&b, ctx);
    itc_strbuf_add(&b, "\"");
    for (const char *p = text; *p; p++) {
        if (*p == '"' || *p == '\\' || *p == '?') {
            itc_strbuf_printf(&b, "\\%c", *p);
        } else if (*p >= ' ' && *p <= '~') {
            itc_strbuf_add_n(&b, p, 1);
        } else {
            itc_strbuf_printf(&b, "\\%03o", (unsigned)(unsigned char)*p);
        }
    }
    itc_strbuf_add(&b, "\"");
    return b.text;
}

const char *itc_name_json(itc_ctx *ctx, const char *text)
{
    itc_strbuf b;
    itc_strbuf_init(&b, ctx);
    itc_strbuf_add(&b, "\"");
    size_t left = strlen(text);
    while (left > 0) {
        const size_t n = itc_utf8_length(text, left);
        const unsigned char c = (unsigned char)*text;
        if (n == 0) {
            itc_strbuf_add(&b, "\\ufffd");
        } else if (c == '"' || c == '\\') {
            itc_strbuf_printf(&b, "\\%c", c);
        } else if (c < ' ' || c == 127) {
            itc_strbuf_printf(&b, "\\u%04x", c);
        } else {
            itc_strbuf_add_n(&b, text, n);
        }
        text += n > 0 ? n : 1;
        left -= n > 0 ? n : 1;
    }
    itc_strbuf_add(&b, "\"");
    return b.text;
}

const char *itc_name_number(itc_ctx *ctx, double x)
{
    const char *text = "0";
    for (int digits = 1; digits <= 17; digits++) {
        text = itc_format(ctx, "%.*g", digits, x);
        const double back = strtod(text, NULL);
        if (!(back < x) && !(back > x)) {
            break;
        }
    }
    return text;
}

const char *itc_name_exponent(itc_ctx *ctx, const itc_exp *e)
{
    itc_strbuf b;
    itc_strbuf_init(&b, ctx);
    if (e->kind == ITC_EXP_NONE) {
        return "";
    }
    if (e->kind == ITC_EXP_OPEN) {
        return "?";
    }
    if (e->slot >= 0) {
        itc_strbuf_printf(&b, "@%d", e->slot);
    }
    if (e->kind == ITC_EXP_FIT) {
        return b.text;
    }
    itc_strbuf_add(&b, e->slot >= 0 ? " = " : "");
    for (int i = 0; i < e->n_terms; i++) {
        const bool minus = (e->minus >> i & 1) != 0;
        itc_strbuf_printf(&b, "%s@%d",
                          minus   ? (i > 0 ? " - " : "-")
                          : i > 0 ? " + "
                                  : "",
                          e->term[i]);
    }
    if (e->n_terms == 0) {
        itc_strbuf_printf(&b, "%d", e->offset);
    } else if (e->offset != 0) {
        itc_strbuf_printf(&b, " %c %d", e->offset < 0 ? '-' : '+', abs(e->offset));
    }
    return b.text;
}

const char *itc_name_site(itc_ctx *ctx, uint32_t site)
{
    if (site == 0) {
        return "";
    }
    const unsigned role = site >> 4 & 15, index = site & 15;
    const char *name = role < ITC_ROLE_COUNT ? itc_role_name((itc_role)role) : "none";
    return index > 0 ? itc_format(ctx, "#%u.%s.%u", site >> 8, name, index)
                     : itc_format(ctx, "#%u.%s", site >> 8, name);
}

const char *itc_name_node(const itc_node *n)
{
    if (n->onnx_name && n->onnx_name[0]) {
        return n->onnx_name;
    }
    return n->n_out > 0 && n->out[0] ? n->out[0]->name : n->op ? n->op->name : "";
}
