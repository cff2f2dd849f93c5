/**
 * Names and texts of ONNX and IR as parts of C: identifiers, comments, string literals.
 */
#ifndef ITC_CODEGEN_NAMES_H
#define ITC_CODEGEN_NAMES_H

#include "ir/ir.h"

/** Identifiers of a program's values, indexed by value id. */
typedef struct itc_names {
    const char **ident;
    const char *model; /**< prefix of everything public: `lenet5` */
    const char *upper; /**< the same in capitals, for macros */
} itc_names;

/**
 * Unique C identifiers for all values of a graph: w_, opt_, stat_, const_, view_, act_, grad_,
 * upd_, out_ or loss_, by kind and section, and the ONNX (else IR) name with everything but
 * letters and digits turned into single underscores. `stem` names the model (a file stem).
 */
itc_names *itc_names_new(const itc_graph *g, const char *stem);

/** Letters, digits and single underscores of a name, at most 48 of them; may be empty. */
const char *itc_name_sanitize(itc_ctx *ctx, const char *name);
/** A model's prefix: an identifier, not a keyword, nothing that begins with itr or itc, not main.
 */
const char *itc_name_model(itc_ctx *ctx, const char *stem);
/** Text that may stand in a comment of C: printable ASCII, no comment delimiters. */
const char *itc_name_comment(itc_ctx *ctx, const char *text);
/** A string literal of C with its quotes; any bytes, no trigraphs. */
const char *itc_name_literal(itc_ctx *ctx, const char *text);
/** A string of JSON with its quotes; bytes that are no UTF-8 become U+FFFD. */
const char *itc_name_json(itc_ctx *ctx, const char *text);
/** The shortest decimal that reads back as x. */
const char *itc_name_number(itc_ctx *ctx, double x);
/** `@12 = @1 + @3 - 2`, `-15`, or "" without an exponent. */
const char *itc_name_exponent(itc_ctx *ctx, const itc_exp *e);
/** `#12.dx.1`; "" for a node that rounds nothing. */
const char *itc_name_site(itc_ctx *ctx, uint32_t site);
/** How people know a node: its ONNX name, else its first output's name. */
const char *itc_name_node(const itc_node *n);

#endif
