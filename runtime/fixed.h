/**
 * Functions in fixed point: exp2, log2, tanh, sigmoid. They are specified by NUMERICS.md ("Functions
 * in fixed point") to the last bit: coefficients, order of evaluation and truncations count.
 */
#ifndef ITR_FIXED_H
#define ITR_FIXED_H

#include "numeric.h"

/** m * 2^e as a fixed-point number with 24 fraction bits, rounded to nearest, clamped to
 * +-2^60. */
int64_t itr_fixed24(int64_t m, int32_t e);
/** 2^f in Q30 for f in [0, 1) in Q30; relative error below 2^-27. */
uint32_t itr_exp2_q30(uint32_t f);
/** exp(-x) in Q30 for x >= 0 in Q24; 0 beyond 31 octaves. */
uint32_t itr_exp_neg_q30(int64_t x);
/** log2 of v >= 1 in Q30 (v an integer); absolute error below 2^-26. */
int64_t itr_log2_q30(uint64_t v);
/** tanh and sigmoid of x in Q24, in Q30. */
int32_t itr_tanh_q30(int64_t x);
int32_t itr_sigmoid_q30(int64_t x);

#endif
