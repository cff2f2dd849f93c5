/**
 * Formulas for the two arithmetics: an expression of a fused loop, a program of the kernels
 * `formula`.
 */
#ifndef ITC_CODEGEN_FORMULA_CODE_H
#define ITC_CODEGEN_FORMULA_CODE_H

#include "codegen/emit.h"
#include "ir/formula.h"

/** f of x as a float expression. */
const itc_expr *itc_formula_expr(itc_emit *e, const itc_formula *f, const itc_expr *x);
/** The program (runtime/formula.def), which outlives the records;  equal parts are computed once.
 * E0415 where it needs more registers than there are. */
ITC_NODISCARD itc_status itc_formula_program(itc_ctx *ctx, const itc_node *n, const itc_formula *f,
                                             const int32_t **code, int *words);

#endif
