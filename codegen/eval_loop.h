/**
 * Fused loops in the interpreter: the arithmetic of c_expr.c's text, without a compiler.
 */
#ifndef ITC_CODEGEN_EVAL_LOOP_H
#define ITC_CODEGEN_EVAL_LOOP_H

#include "codegen/record.h"

/** Where a loop finds its operands, and what its symbols are worth. */
typedef struct itc_loop_frame {
    int64_t rows;
    double lr, inv_n;
    const void *in[8];
    void *out;
} itc_loop_frame;

void itc_eval_loop(const itc_loop *l, const itc_loop_frame *f);

#endif
