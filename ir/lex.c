#include "ir/lex.h"

#include <string.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_word_byte(char c)
{
    return itc_is_name_byte(c) && c != '.' && c != '/';
}

/** The byte `ahead` of the position, or 0 past the end (a NUL in the text is no valid byte). */
static char peek(const itc_lexer *l, size_t ahead)
{
    return ahead < l->n - l->pos ? l->src[l->pos + ahead] : '\0';
}

static void skip_blanks(itc_lexer *l)
{
    while (l->pos < l->n) {
        const char c = l->src[l->pos];
        if (c == '\n') {
            l->line++;
            l->line_start = l->src + l->pos + 1;
            l->pos++;
        } else if (c == ' ' || c == '\t' || c == '\r') {
            l->pos++;
        } else if (c == '#' && !is_digit(peek(l, 1))) {
            const char *end = memchr(l->src + l->pos, '\n', l->n - l->pos);
            l->pos = end ? (size_t)(end - l->src) : l->n;
        } else {
            return;
        }
    }
}

static itc_status error_here(itc_parser *p, const char *id, const char *text)
{
    const itc_token *t = &p->lex.tok;
    return itc_error_at(p->ctx, t->line, t->col, ITC_PARSE, id, "%s", text);
}

static int hex_digit(char c)
{
    if (is_digit(c)) {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/** One escape behind a backslash; 0: there is none like it. */
static char unescape(itc_lexer *l)
{
    const char c = peek(l, 0);
    l->pos++;
    switch (c) {
    case '"':
    case '\\':
        return c;
    case 'n':
        return '\n';
    case 't':
        return '\t';
    case 'x': {
        const int high = hex_digit(peek(l, 0));
        const int low = high < 0 ? -1 : hex_digit(peek(l, 1));
        l->pos += low < 0 ? 0 : 2;
        return (char)(low < 0 ? 0 : high * 16 + low);
    }
    default:
        return '\0';
    }
}

/** Decodes a quoted text; the position is behind the opening quote. */
static itc_status quoted(itc_parser *p)
{
    itc_lexer *l = &p->lex;
    size_t end = l->pos;
    while (end < l->n && l->src[end] != '"' && l->src[end] != '\n') {
        end += l->src[end] == '\\' ? 2 : 1;
    }
    if (end >= l->n || l->src[end] != '"') {
        return error_here(p, "E0103", "expected a closing quote on the same line");
    }
    char *text = itc_alloc(p->ctx, end - l->pos + 1);
    size_t n = 0;
    while (l->pos < end) {
        const char raw = l->src[l->pos++];
        const char c = raw == '\\' ? unescape(l) : raw;
        if (c == '\0') {
            return error_here(
                p, "E0103",
                "expected \\\", \\\\, \\n, \\t or \\x and two hexadecimal digits that "
                "are not 00");
        }
        text[n++] = c;
    }
    l->pos = end + 1;
    l->tok.text = text;
    l->tok.n = n;
    return ITC_OK;
}

static itc_status sigil_name(itc_parser *p, itc_token_kind kind)
{
    itc_lexer *l = &p->lex;
    l->tok.kind = kind;
    l->pos++;
    if (peek(l, 0) == '"') {
        l->pos++;
        ITC_TRY(quoted(p));
    } else {
        const size_t start = l->pos;
        while (l->pos < l->n && itc_is_name_byte(l->src[l->pos])) {
            l->pos++;
        }
        l->tok.n = l->pos - start;
        l->tok.text = itc_strndup(p->ctx, l->src + start, l->tok.n);
    }
    return l->tok.n > 0 ? ITC_OK : error_here(p, "E0103", "expected a name behind the sigil");
}

static void number(itc_lexer *l)
{
    const size_t start = l->pos;
    const bool hex = peek(l, 0) == '0' && peek(l, 1) == 'x';
    while (l->pos < l->n && (is_word_byte(l->src[l->pos]) || l->src[l->pos] == '.')) {
        const bool exponent = !hex && (l->src[l->pos] == 'e' || l->src[l->pos] == 'E');
        l->pos++;
        if (exponent && (peek(l, 0) == '+' || peek(l, 0) == '-') && is_digit(peek(l, 1))) {
            l->pos++;
        }
    }
    l->tok.kind = ITC_TOK_NUMBER;
    l->tok.text = l->src + start;
    l->tok.n = l->pos - start;
}

static void run_of(itc_lexer *l, itc_token_kind kind, bool dots)
{
    const size_t start = l->pos;
    l->pos++;
    while (l->pos < l->n && (is_word_byte(l->src[l->pos]) || (dots && l->src[l->pos] == '.'))) {
        l->pos++;
    }
    l->tok.kind = kind;
    l->tok.text = l->src + start;
    l->tok.n = l->pos - start;
}

itc_status itc_lex_next(itc_parser *p)
{
    itc_lexer *l = &p->lex;
    skip_blanks(l);
    const size_t col = (size_t)(l->src + l->pos - l->line_start) + 1;
    l->tok = (itc_token){.kind = ITC_TOK_END, .line = l->line, .col = (int)(col & INT32_MAX)};
    if (l->pos >= l->n) {
        return ITC_OK;
    }
    const char c = l->src[l->pos];
    if (c == '%') {
        return sigil_name(p, ITC_TOK_VALUE);
    }
    if (c == '@' && !is_digit(peek(l, 1)) && peek(l, 1) != '?') {
        return sigil_name(p, ITC_TOK_GRAPH);
    }
    if (c == '"') {
        l->tok.kind = ITC_TOK_STRING;
        l->pos++;
        return quoted(p);
    }
    if (is_digit(c)) {
        number(l);
    } else if (is_word_byte(c)) {
        run_of(l, ITC_TOK_WORD, false);
    } else if (c == '#') {
        run_of(l, ITC_TOK_SITE, true);
    } else if (c != '\0' && strchr("(){}[]:=,@?!*^+-", c)) {
        l->tok.kind = ITC_TOK_PUNCT;
        l->tok.punct = c;
        l->pos++;
    } else {
        return error_here(p, "E0102", "a byte that has no meaning here");
    }
    return ITC_OK;
}

itc_status itc_lex_expected(itc_parser *p, const char *what)
{
    const itc_token *t = &p->lex.tok;
    itc_strbuf b;
    itc_strbuf_init(&b, p->ctx);
    const int shown = t->n < 40 ? (int)t->n : 40;
    switch (t->kind) {
    case ITC_TOK_END:
        itc_strbuf_add(&b, "the end of the text");
        break;
    case ITC_TOK_PUNCT:
        itc_strbuf_printf(&b, "'%c'", t->punct);
        break;
    case ITC_TOK_STRING:
        itc_strbuf_printf(&b, "\"%.*s\"", shown, t->text);
        break;
    case ITC_TOK_VALUE:
        itc_strbuf_printf(&b, "%%%.*s", shown, t->text);
        break;
    case ITC_TOK_GRAPH:
        itc_strbuf_printf(&b, "@%.*s", shown, t->text);
        break;
    case ITC_TOK_WORD:
    case ITC_TOK_NUMBER:
    case ITC_TOK_SITE:
        itc_strbuf_printf(&b, "\"%.*s\"", shown, t->text);
        break;
    }
    return itc_error_at(p->ctx, t->line, t->col, ITC_PARSE, "E0102", "expected %s, found %s", what,
                        b.text);
}

bool itc_lex_is(const itc_parser *p, char punct)
{
    return p->lex.tok.kind == ITC_TOK_PUNCT && p->lex.tok.punct == punct;
}

bool itc_lex_is_word(const itc_parser *p, const char *word)
{
    const itc_token *t = &p->lex.tok;
    return t->kind == ITC_TOK_WORD && t->n == strlen(word) && memcmp(t->text, word, t->n) == 0;
}

itc_status itc_lex_take(itc_parser *p, char punct)
{
    const char what[] = {'\'', punct, '\'', '\0'};
    return itc_lex_is(p, punct) ? itc_lex_next(p) : itc_lex_expected(p, what);
}

itc_status itc_lex_take_word(itc_parser *p, const char *word)
{
    return itc_lex_is_word(p, word) ? itc_lex_next(p)
                                    : itc_lex_expected(p, itc_format(p->ctx, "\"%s\"", word));
}

itc_status itc_lex_accept(itc_parser *p, char punct, bool *taken)
{
    *taken = itc_lex_is(p, punct);
    return *taken ? itc_lex_next(p) : ITC_OK;
}

itc_status itc_lex_take_name(itc_parser *p, const char *what, const char **out)
{
    const itc_token *t = &p->lex.tok;
    if (t->kind != ITC_TOK_WORD && t->kind != ITC_TOK_STRING) {
        return itc_lex_expected(p, what);
    }
    *out = itc_strndup(p->ctx, t->text, t->n);
    return itc_lex_next(p);
}

itc_status itc_lex_take_string(itc_parser *p, const char *what, const char **out)
{
    if (p->lex.tok.kind != ITC_TOK_STRING) {
        return itc_lex_expected(p, what);
    }
    *out = p->lex.tok.text;
    return itc_lex_next(p);
}

itc_status itc_lex_take_int(itc_parser *p, const char *what, int64_t low, int64_t high,
                            int64_t *out)
{
    bool negative;
    ITC_TRY(itc_lex_accept(p, '-', &negative));
    const itc_token t = p->lex.tok;
    if (t.kind != ITC_TOK_NUMBER) {
        return itc_lex_expected(p, what);
    }
    uint64_t v = 0;
    for (size_t i = 0; i < t.n; i++) {
        if (!is_digit(t.text[i])) {
            return itc_lex_expected(p, what);
        }
        if (v > ((uint64_t)1 << 63) / 10) {
            v = UINT64_MAX;
            break;
        }
        v = v * 10 + (uint64_t)(t.text[i] - '0');
    }
    /* -(v - 1) - 1 reaches the lowest integer without overflow. */
    const uint64_t most = negative ? (uint64_t)1 << 63 : (uint64_t)INT64_MAX;
    const int64_t value = v > most ? 0 : negative && v > 0 ? -(int64_t)(v - 1) - 1 : (int64_t)v;
    if (v > most || value < low || value > high) {
        return itc_error_at(p->ctx, t.line, t.col, ITC_PARSE, "E0104",
                            "%s must lie between %lld and %lld", what, (long long)low,
                            (long long)high);
    }
    *out = value;
    return itc_lex_next(p);
}

itc_status itc_lex_take_hash(itc_parser *p, uint8_t out[32])
{
    const itc_token t = p->lex.tok;
    bool good = t.kind == ITC_TOK_STRING && t.n == 64;
    for (size_t i = 0; good && i < 32; i++) {
        const int high = hex_digit(t.text[2 * i]);
        const int low = hex_digit(t.text[2 * i + 1]);
        good = high >= 0 && low >= 0;
        out[i] = (uint8_t)(good ? high * 16 + low : 0);
    }
    return good ? itc_lex_next(p) : itc_lex_expected(p, "64 hexadecimal digits in quotes");
}
