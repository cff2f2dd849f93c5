/**
 * Exponential, logarithm, tanh and sigmoid of integers. The functions are defined by this code:
 * coefficients, order and every truncation (NUMERICS.md: "Functions in fixed point"). "Q31" is a
 * number of units of 2^-31.
 */
#ifndef ITR_FIXED_H
#define ITR_FIXED_H

#include "numeric.h"

/** Octaves in Q32 beyond which every power counts as this one: 2^-63. */
#define ITR_OCTAVES_MAX ((uint64_t)63 << 32)

/** What itr_octaves shifts by for numbers at exponent e; any e. */
static inline int itr_octaves_shift(int64_t e)
{
    return e > 14 ? 0 : e < -49 ? 63 : (int)(14 - e);
}

/**
 * d * 2^e * log2(e) in Q32, truncated, at most ITR_OCTAVES_MAX; d < 2^17, shift from e. A shift
 * clamped to 0 means at least 2^14 octaves for any d but 0; one clamped to 63 gives 0 (below 2^-32
 * octaves for every d).
 */
static inline uint64_t itr_octaves(uint32_t d, int shift)
{
    const uint64_t log2e_q46 = UINT64_C(0x5C551D94AE0B); /* truncated */
    const uint64_t t = d * log2e_q46 >> shift;
    return t < ITR_OCTAVES_MAX ? t : ITR_OCTAVES_MAX;
}

/**
 * 2^f in Q31 for f in Q32, 0 <= f < 1: Horner's rule on a polynomial of degree 6 that is exact at 0
 * and 1 and minimax in relative error between (our derivation), coefficients in Q32; every product
 * is truncated. Relative error below 2^-28; never decreases with f.
 */
static inline uint32_t itr_exp2_q31(uint32_t f)
{
    uint32_t y = 0x000E3B2D;
    y = 0x00518854 + (uint32_t)((uint64_t)y * f >> 32);
    y = 0x027A42F8 + (uint32_t)((uint64_t)y * f >> 32);
    y = 0x0E34359C + (uint32_t)((uint64_t)y * f >> 32);
    y = 0x3D7FAE6F + (uint32_t)((uint64_t)y * f >> 32);
    y = 0xB172157B + (uint32_t)((uint64_t)y * f >> 32);
    return 0x80000000 + (uint32_t)((uint64_t)y * f >> 33);
}

/** 2^-t in Qq, truncated; t in Q32, t <= ITR_OCTAVES_MAX, 31 <= q <= 62. */
static inline uint64_t itr_exp2_neg(uint64_t t, int q)
{
    /* 2^-t = 2^f * 2^-whole with whole = ceil(t), f = whole - t */
    const uint32_t f = (uint32_t)0 - (uint32_t)t;
    const int whole = (int)((t + UINT32_MAX) >> 32);
    return (uint64_t)itr_exp2_q31(f) << (q - 31) >> whole;
}

/** Natural logarithm of s * 2^-q in Q32, s >= 1, 0 <= q <= 64; absolute error below 2^-29. */
int64_t itr_log_q32(uint64_t s, int q);

/** m * 2^e rounded to nearest and limited to +-2^61; any e, |m| < 2^61. */
int64_t itr_align_clamped(int64_t m, int64_t e);

/** tanh(m * 2^e) in Q15, at most 32767 in magnitude, odd in m; |m| < 2^16, any e. */
int16_t itr_tanh_q15(int32_t m, int32_t e);
/** 1 / (1 + exp(-m * 2^e)) in Q15, at most 32767. */
int16_t itr_sigmoid_q15(int32_t m, int32_t e);
/** Their derivatives at m * 2^e in Q15, at most 32767. */
int16_t itr_tanh_slope_q15(int32_t m, int32_t e);
int16_t itr_sigmoid_slope_q15(int32_t m, int32_t e);

#endif
