/* The text of formulas: parser and printer. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/formula.h"
#include "ir/text.h"

enum { MAX_DEPTH = 256, MAX_NAME = 16 };

typedef struct parser {
    itc_ctx *ctx;
    const char *at;
    int depth, nodes;
} parser;

static const itc_formula *parse_formula(parser *p);

static char peek(parser *p)
{
    while (*p->at == ' ') {
        p->at++;
    }
    return *p->at;
}

static bool accept(parser *p, char c)
{
    if (peek(p) != c) {
        return false;
    }
    p->at++;
    return true;
}

/** A node of parsed parts, of which one may be missing. */
static const itc_formula *node(parser *p, itc_formula_kind kind, const itc_formula *a,
                               const itc_formula *b, const itc_formula *c)
{
    const bool missing = !a || (kind != ITC_F_NEG && !b) || (kind == ITC_F_SELECT && !c);
    if (missing || ++p->nodes > ITC_FORMULA_LIMIT) {
        return NULL;
    }
    return itc_formula_make(p->ctx, kind, a, b, c);
}

static const itc_formula *parse_number(parser *p)
{
    char *end = NULL;
    const double v = strtod(p->at, &end);
    if (end == p->at || !isfinite(v)) {
        return NULL;
    }
    p->at = end;
    return itc_formula_const(p->ctx, v);
}

static const itc_formula *parse_call(parser *p, const char *name)
{
    const itc_formula *arg[2] = {NULL, NULL};
    const bool max = strcmp(name, "max") == 0, extreme = max || strcmp(name, "min") == 0;
    const itc_function *fn = extreme ? NULL : itc_function_named(name);
    const int n = extreme ? 2 : fn ? fn->operands : 0;
    if (n == 0 || !accept(p, '(')) {
        return NULL;
    }
    for (int i = 0; i < n; i++) {
        arg[i] = i > 0 && !accept(p, ',') ? NULL : parse_formula(p);
        if (!arg[i]) {
            return NULL;
        }
    }
    if (!accept(p, ')') || ++p->nodes > ITC_FORMULA_LIMIT) {
        return NULL;
    }
    return extreme ? itc_formula_make(p->ctx, max ? ITC_F_MAX : ITC_F_MIN, arg[0], arg[1], NULL)
                   : itc_formula_call(p->ctx, fn, arg[0], arg[1]);
}

static const itc_formula *parse_word(parser *p)
{
    char name[MAX_NAME];
    size_t n = 0;
    while ((p->at[n] >= 'a' && p->at[n] <= 'z') || p->at[n] == '_' ||
           (n > 0 && p->at[n] >= '0' && p->at[n] <= '9')) {
        if (n + 1 == sizeof name) {
            return NULL;
        }
        name[n] = p->at[n];
        n++;
    }
    name[n] = '\0';
    const char *start = p->at;
    p->at += n;
    if (strcmp(name, "x") == 0) {
        return itc_formula_x(p->ctx);
    }
    if (strcmp(name, "u") == 0) {
        itc_formula *u = ITC_NEW(p->ctx, itc_formula);
        u->kind = ITC_F_UNIT;
        return u;
    }
    const itc_formula *f = n > 0 ? parse_call(p, name) : NULL;
    p->at = f || p->at > start + n ? p->at : start;
    return f;
}

static const itc_formula *parse_factor(parser *p)
{
    const itc_formula *f = NULL;
    if (++p->depth > MAX_DEPTH) {
        return NULL;
    }
    const char c = peek(p);
    if (c == '-') {
        p->at++;
        f = node(p, ITC_F_NEG, parse_factor(p), NULL, NULL);
    } else if (c == '(') {
        p->at++;
        f = parse_formula(p);
        f = f && accept(p, ')') ? f : NULL;
    } else {
        f = isdigit((unsigned char)c) || c == '.' ? parse_number(p) : parse_word(p);
    }
    p->depth--;
    return f;
}

static const itc_formula *parse_product(parser *p)
{
    const itc_formula *f = parse_factor(p);
    while (f && (peek(p) == '*' || peek(p) == '/')) {
        const itc_formula_kind kind = *p->at++ == '*' ? ITC_F_MUL : ITC_F_DIV;
        f = node(p, kind, f, parse_factor(p), NULL);
    }
    return f;
}

static const itc_formula *parse_sum(parser *p)
{
    const itc_formula *f = parse_product(p);
    while (f && (peek(p) == '+' || peek(p) == '-')) {
        const itc_formula_kind kind = *p->at++ == '+' ? ITC_F_ADD : ITC_F_SUB;
        f = node(p, kind, f, parse_product(p), NULL);
    }
    return f;
}

static const itc_formula *parse_formula(parser *p)
{
    if (++p->depth > MAX_DEPTH) {
        return NULL;
    }
    const itc_formula *f = parse_sum(p);
    if (f && (peek(p) == '>' || peek(p) == '<')) {
        const itc_formula_kind kind = *p->at++ == '>' ? ITC_F_GT : ITC_F_LT;
        f = node(p, kind, f, parse_sum(p), NULL);
    }
    if (f && accept(p, '?')) {
        const itc_formula *then = parse_formula(p);
        const itc_formula *otherwise = then && accept(p, ':') ? parse_formula(p) : NULL;
        f = node(p, ITC_F_SELECT, f, then, otherwise);
    }
    p->depth--;
    return f;
}

const itc_formula *itc_formula_parse(itc_ctx *ctx, const char *text, const char **wrong)
{
    parser p = {.ctx = ctx, .at = text};
    const itc_formula *f = parse_formula(&p);
    *wrong = p.at;
    return f && peek(&p) == '\0' ? f : NULL;
}

/* ---- printer ---- */

/** How tightly an operation binds: what stands in looser ones needs no parentheses. */
static int tightness(const itc_formula *f)
{
    switch (f->kind) {
    case ITC_F_SELECT:
        return 0;
    case ITC_F_GT:
    case ITC_F_LT:
        return 1;
    case ITC_F_ADD:
    case ITC_F_SUB:
        return 2;
    case ITC_F_MUL:
    case ITC_F_DIV:
        return 3;
    case ITC_F_NEG:
        return 4;
    case ITC_F_CONST:
        return signbit(f->c) ? 4 : 5;
    default:
        return 5;
    }
}

static void print(itc_strbuf *b, const itc_formula *f, int at_least);

static void print_infix(itc_strbuf *b, const itc_formula *f, const char *sign, int left, int right)
{
    print(b, f->arg[0], left);
    itc_strbuf_add(b, sign);
    print(b, f->arg[1], right);
}

static void print_list(itc_strbuf *b, const itc_formula *f, const char *name)
{
    itc_strbuf_printf(b, "%s(", name);
    for (int i = 0; i < 3 && f->arg[i]; i++) {
        itc_strbuf_add(b, i > 0 ? "," : "");
        print(b, f->arg[i], 0);
    }
    itc_strbuf_add(b, ")");
}

static void print_plain(itc_strbuf *b, const itc_formula *f)
{
    static const char *const sign[] = {[ITC_F_ADD] = "+", [ITC_F_SUB] = "-", [ITC_F_MUL] = "*",
                                       [ITC_F_DIV] = "/", [ITC_F_GT] = ">",  [ITC_F_LT] = "<"};
    const int own = tightness(f);
    switch (f->kind) {
    case ITC_F_X:
        itc_strbuf_add(b, "x");
        break;
    case ITC_F_UNIT:
        itc_strbuf_add(b, "u");
        break;
    case ITC_F_CONST:
        itc_text_number(b, f->c);
        break;
    case ITC_F_NEG:
        itc_strbuf_add(b, "-");
        print(b, f->arg[0], own);
        break;
    case ITC_F_ADD:
    case ITC_F_MUL:
    case ITC_F_SUB:
    case ITC_F_DIV:
        print_infix(b, f, sign[f->kind], own, own + 1);
        break;
    case ITC_F_GT:
    case ITC_F_LT:
        print_infix(b, f, sign[f->kind], own + 1, own + 1);
        break;
    case ITC_F_SELECT:
        print(b, f->arg[0], 1);
        itc_strbuf_add(b, " ? ");
        print(b, f->arg[1], 0);
        itc_strbuf_add(b, " : ");
        print(b, f->arg[2], 0);
        break;
    case ITC_F_MAX:
        print_list(b, f, "max");
        break;
    case ITC_F_MIN:
        print_list(b, f, "min");
        break;
    case ITC_F_CALL:
        print_list(b, f, f->function->name);
        break;
    }
}

static void print(itc_strbuf *b, const itc_formula *f, int at_least)
{
    const bool parentheses = tightness(f) < at_least;
    itc_strbuf_add(b, parentheses ? "(" : "");
    print_plain(b, f);
    itc_strbuf_add(b, parentheses ? ")" : "");
}

const char *itc_formula_text(itc_ctx *ctx, const itc_formula *f)
{
    itc_strbuf b;
    itc_strbuf_init(&b, ctx);
    print(&b, f, 0);
    return b.text;
}
