/**
 * Loops and expressions of records as C.
 */
#ifndef ITC_CODEGEN_C_EXPR_H
#define ITC_CODEGEN_C_EXPR_H

#include "codegen/record.h"

/** What a loop computes in. */
typedef enum itc_loop_kind {
    ITC_LOOP_I32,
    ITC_LOOP_I64, /**< some value is i64 */
    ITC_LOOP_REAL /**< some value is f32: double, rounded once when stored */
} itc_loop_kind;
itc_loop_kind itc_loop_kind_of(const itc_loop *l);

/** `int16_t`, `float`, … */
const char *itc_c_type(itc_dtype t);
/** `784 * n`, `n`, `10`. */
const char *itc_c_dim(itc_ctx *ctx, itc_dim d);
/** A literal of kind `k` for a number times a symbol (a symbol only in REAL). */
const char *itc_c_number(itc_ctx *ctx, itc_loop_kind k, itc_coef c);
/** An int64 literal that is right where it stands alone. */
const char *itc_c_int(itc_ctx *ctx, int64_t v);
/**
 * The whole loop, indented; out and in[] are pointer expressions. `part`: of the outermost axis,
 * only [begin, end).
 */
void itc_c_loop(itc_ctx *ctx, itc_strbuf *b, int indent, const itc_loop *l, const char *out,
                const char *const *in, bool part);
/** True: the loop (a part of it) mentions n (rows). */
bool itc_loop_uses_rows(const itc_loop *l, bool part);
bool itc_expr_uses_symbol(const itc_expr *x, itc_symbol s);

#endif
