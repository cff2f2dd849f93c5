/**
 * Small functions of the freestanding core that kernels and programs share.
 */
#ifndef ITR_CORE_H
#define ITR_CORE_H

#include "itr.h"

/**
 * Exponent of the next step's gradient grid: that of the leading bit of the largest |acc| less 24,
 * so that a gradient of the same size uses 25 bits. Unchanged when acc is all zero.
 */
int32_t itr_grid_next(const int64_t *acc, int64_t n, int32_t e_grid);

#endif
