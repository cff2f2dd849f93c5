/** The tokens of the text form, and the parser's state; for lex.c, parse.c and parse_data.c. */
#ifndef ITC_IR_LEX_H
#define ITC_IR_LEX_H

#include "ir/text.h"

typedef enum itc_token_kind {
    ITC_TOK_END,
    ITC_TOK_WORD,   /**< a letter or '_', then letters, digits and '_' */
    ITC_TOK_NUMBER, /**< a digit and what follows it without a gap: 12, 16N, 1e-5, 0.1f, 0x7f */
    ITC_TOK_STRING,
    ITC_TOK_VALUE, /**< %name */
    ITC_TOK_GRAPH, /**< @name, unless a digit follows: @7 is '@' and a number */
    ITC_TOK_SITE,  /**< '#' and a digit: a comment has something else behind '#' */
    ITC_TOK_PUNCT
} itc_token_kind;

typedef struct itc_token {
    itc_token_kind kind;
    char punct;
    const char *text; /**< WORD, NUMBER, SITE: a part of the source; STRING and names: decoded */
    size_t n;
    int line, col;
} itc_token;

typedef struct itc_lexer {
    const char *src, *line_start;
    size_t n, pos;
    int line;
    itc_token tok; /**< the token at hand */
} itc_lexer;

/** A use of a name that may be defined further down. */
typedef struct itc_fixup {
    itc_value *value;
    bool is_storage; /**< else the next state */
    itc_token name;
} itc_fixup;

typedef struct itc_side_file {
    const char *name;
    char *bytes;
    size_t n;
    size_t used; /**< bytes that tensors took: together no more than there are */
} itc_side_file;

typedef struct itc_parser {
    itc_ctx *ctx;
    itc_graph *g;
    itc_lexer lex;
    const char *path;
    itc_fixup *fixups;
    int n_fixups, cap_fixups;
    itc_side_file *files;
    int n_files, cap_files;
    bool model, exponents, arena; /**< lines that come once */
} itc_parser;

/* ---- lex.c: each records an error with the place of the token at hand ---- */

/** Moves to the next token. */
ITC_NODISCARD itc_status itc_lex_next(itc_parser *p);
/** "expected `what`, found …" */
itc_status itc_lex_expected(itc_parser *p, const char *what);
bool itc_lex_is(const itc_parser *p, char punct);
bool itc_lex_is_word(const itc_parser *p, const char *word);
/** Takes the token, which must be this one. */
ITC_NODISCARD itc_status itc_lex_take(itc_parser *p, char punct);
ITC_NODISCARD itc_status itc_lex_take_word(itc_parser *p, const char *word);
/** Takes the token where it is this one. */
ITC_NODISCARD itc_status itc_lex_accept(itc_parser *p, char punct, bool *taken);
/** A word or a string, as a string of the context. */
ITC_NODISCARD itc_status itc_lex_take_name(itc_parser *p, const char *what, const char **out);
ITC_NODISCARD itc_status itc_lex_take_string(itc_parser *p, const char *what, const char **out);
/** An integer with an optional sign, within limits. */
ITC_NODISCARD itc_status itc_lex_take_int(itc_parser *p, const char *what, int64_t low,
                                          int64_t high, int64_t *out);
/** 64 hexadecimal digits in a string. */
ITC_NODISCARD itc_status itc_lex_take_hash(itc_parser *p, uint8_t out[32]);

/* ---- parse_data.c ---- */

/** `f32[N,3]` or `?` */
ITC_NODISCARD itc_status itc_parse_type(itc_parser *p, itc_type *out);
/** `[1, 2]` or `blob(…)` of a type without N. */
ITC_NODISCARD itc_status itc_parse_tensor(itc_parser *p, const itc_type *type, itc_tensor **out);
/** An attribute's or a setting's value. spec (may be NULL) says which kind is expected. */
ITC_NODISCARD itc_status itc_parse_literal(itc_parser *p, const itc_attr_spec *spec, itc_attr *out);

#endif
