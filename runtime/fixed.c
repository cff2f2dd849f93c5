#include "fixed.h"

/**
 * 2 * atanh(z), z in Q32 and |z| <= 0.172: the Taylor series z + z^3/3 + ... + z^11/11, whose first
 * term left out is below 2^-35. Truncated in Q32.
 */
static uint64_t log_of_ratio(uint64_t z)
{
    /* 2^32 / (2k+1), k = 5 .. 1 */
    static const uint32_t c[] = {0x1745D174, 0x1C71C71C, 0x24924925, 0x33333333, 0x55555555};
    const uint64_t w = z * z >> 32;
    uint64_t y = c[0];
    for (int k = 1; k < 5; k++) {
        y = c[k] + (y * w >> 32);
    }
    return 2 * (z + ((y * w >> 32) * z >> 32));
}

int64_t itr_log_q32(uint64_t s, int q)
{
    const int64_t ln2_q56 = INT64_C(0xB17217F7D1CF79); /* truncated */
    const uint64_t sqrt2_q63 = UINT64_C(0xB504F333F9DE6484);
    int k = itr_bitlen64(s) - 1;
    const uint64_t top = s << (63 - k); /* Q63, [1, 2) */
    uint64_t m = top >> 1;              /* Q62 */
    if (top >= sqrt2_q63) {
        m >>= 1; /* [sqrt(1/2), sqrt(2)), so that m is near 1 */
        k++;
    }
    /* ln m = 2 atanh((m-1)/(m+1)); the divisor keeps 32 bits, which costs z below 2^-32 */
    const uint64_t one = (uint64_t)1 << 62;
    const bool negative = m < one;
    const uint64_t z = (negative ? one - m : m - one) / ((m + one) >> 32);
    const int64_t ln_m = (int64_t)log_of_ratio(z);
    return ((k - q) * ln2_q56 >> 24) + (negative ? -ln_m : ln_m);
}

int64_t itr_align_clamped(int64_t m, int64_t e)
{
    const int64_t limit = (int64_t)1 << 61;
    if (m == 0 || e < -62) {
        return 0;
    }
    if (e < 0) {
        return itr_round_nearest(m, (int)-e);
    }
    if (itr_bitlen64(itr_abs64(m)) + e > 61) {
        return m < 0 ? -limit : limit;
    }
    return itr_shl64(m, (int)e);
}

/** 1 / (1 + exp(|m| * 2^e)) in Q31, truncated: at most 1/2. */
static uint64_t falling_half(int32_t m, int64_t e)
{
    const uint64_t t = itr_octaves((uint32_t)(m < 0 ? -m : m), itr_octaves_shift(e));
    const uint64_t p = itr_exp2_neg(t, 31);
    return (p << 31) / (((uint64_t)1 << 31) + p);
}

/** v / 2^s to nearest, at most the largest int16. */
static int16_t to_q15(uint64_t v, int s)
{
    const uint64_t y = (v + ((uint64_t)1 << (s - 1))) >> s;
    return (int16_t)(y < INT16_MAX ? y : INT16_MAX);
}

int16_t itr_sigmoid_q15(int32_t m, int32_t e)
{
    const uint64_t r = falling_half(m, e);
    return to_q15(m < 0 ? r : ((uint64_t)1 << 31) - r, 16);
}

int16_t itr_sigmoid_slope_q15(int32_t m, int32_t e)
{
    const uint64_t r = falling_half(m, e);
    return to_q15(r * (((uint64_t)1 << 31) - r), 47);
}

/** tanh x = 1 - 2 / (1 + exp(2x)). */
int16_t itr_tanh_q15(int32_t m, int32_t e)
{
    const uint64_t r = falling_half(m, (int64_t)e + 1);
    const int16_t y = to_q15(((uint64_t)1 << 31) - 2 * r, 16);
    return (int16_t)(m < 0 ? -y : y);
}

/** 1 - tanh^2 = 4 r (1 - r) with r = 1 / (1 + exp(2x)). */
int16_t itr_tanh_slope_q15(int32_t m, int32_t e)
{
    const uint64_t r = falling_half(m, (int64_t)e + 1);
    return to_q15(r * (((uint64_t)1 << 31) - r), 45);
}
