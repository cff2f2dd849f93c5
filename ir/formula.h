/**
 * Formulas of one element: what activations and other functions of a single number are, as text
 * and as expression. From one formula follow the float32 loop (codegen/emit.h), the program of an
 * integer kernel (codegen/formula_code.h), the slope (itc_formula_slope) and constant folding.
 *
 *     formula = compare [ "?" formula ":" formula ]        compare = sum [ ( ">" | "<" ) sum ]
 *     sum     = product { ( "+" | "-" ) product }          product = factor { ( "*" | "/" ) factor
 * } factor  = "-" factor | number | "x" | "u" | "(" formula ")" | function "(" formula { ","
 * formula } ")"   max, min, and those of formula.def
 *
 * x is the element, u one unit of its last place (0 in float32).
 */
#ifndef ITC_IR_FORMULA_H
#define ITC_IR_FORMULA_H

#include "ir/base.h"

/** A row of formula.def. */
typedef struct itc_function {
    const char *name;
    int operands;
    const char *made_of; /**< NULL: nothing else */
    const char *slope;   /**< NULL: of pow, which has two operands */
    const char *c_name;  /**< NULL: C has none */
} itc_function;

typedef enum itc_formula_kind {
    ITC_F_X,
    ITC_F_UNIT,
    ITC_F_CONST, /**< `c`, finite */
    ITC_F_ADD,
    ITC_F_SUB,
    ITC_F_MUL,
    ITC_F_DIV,
    ITC_F_NEG,
    ITC_F_MAX,
    ITC_F_MIN,
    ITC_F_GT, /**< 1 or 0 */
    ITC_F_LT,
    ITC_F_SELECT, /**< arg[0] != 0 ? arg[1] : arg[2] */
    ITC_F_CALL
} itc_formula_kind;

/** Immutable; parts may be shared. */
typedef struct itc_formula {
    itc_formula_kind kind;
    double c;
    const itc_function *function;
    const struct itc_formula *arg[3];
} itc_formula;

/** Nodes of the tree that a formula may have, texts included. */
#define ITC_FORMULA_LIMIT 4096

/** NULL where the text is no formula; *wrong is the place then. */
const itc_formula *itc_formula_parse(itc_ctx *ctx, const char *text, const char **wrong);
/** The text that parses to f. */
const char *itc_formula_text(itc_ctx *ctx, const itc_formula *f);

/* Building. Constants are computed, and neutral operands dropped. */
const itc_formula *itc_formula_x(itc_ctx *ctx);
const itc_formula *itc_formula_const(itc_ctx *ctx, double c);
const itc_formula *itc_formula_make(itc_ctx *ctx, itc_formula_kind kind, const itc_formula *a,
                                    const itc_formula *b, const itc_formula *c);
const itc_formula *itc_formula_call(itc_ctx *ctx, const itc_function *fn, const itc_formula *a,
                                    const itc_formula *b);
const itc_function *itc_function_named(const char *name);

/** f with x replaced by g. */
const itc_formula *itc_formula_of(itc_ctx *ctx, const itc_formula *f, const itc_formula *g);
/** df/dx. Of a kink, the slope on the side that the condition names last (Relu's at 0 is 0). */
const itc_formula *itc_formula_slope(itc_ctx *ctx, const itc_formula *f);
/** f with functions replaced by what they are made of: those that C lacks, or all that are made of
 * something. */
const itc_formula *itc_formula_expand(itc_ctx *ctx, const itc_formula *f, bool all);
/** Nodes of the tree, at most ITC_FORMULA_LIMIT. */
int itc_formula_size(const itc_formula *f);
bool itc_formula_equal(const itc_formula *a, const itc_formula *b);
bool itc_formula_is_const(const itc_formula *f, double c);
/** f at x in double precision, u = 0; f has been expanded (at least what C lacks). */
double itc_formula_eval(const itc_formula *f, double x);

#endif
