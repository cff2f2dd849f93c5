/**
 * Small functions of the freestanding core that kernels and programs share.
 */
#ifndef ITR_CORE_H
#define ITR_CORE_H

#include "itr.h"

/** Bits of the largest gradient below its leading one, on a grid (NUMERICS.md: "Micro-batches"). */
#define ITR_GRID_BITS 24
/** Exponent of a grid that no gradient has set yet, and of every operand that is not set. */
#define ITR_EXPONENT_UNSET INT32_MIN

/**
 * Exponent of the next step's gradient grid: that of the leading bit of the largest |acc| less 24,
 * so that a gradient of the same size uses 25 bits. Unchanged when acc is all zero.
 */
int32_t itr_grid_next(const int64_t *acc, int64_t n, int32_t e_grid);
/** The same from the magnitudes of acc, joined by or: their leading bit is that of the largest. */
int32_t itr_grid_exponent(uint64_t all, int32_t e_grid);

/** 1 - b^n for 0 <= b < 1 and n >= 0, with a mantissa of 31 bits, truncated (0 for n = 0). */
itr_scalar itr_one_minus_power(itr_scalar b, int64_t n);

#endif
