#include "fixed.h"

int64_t itr_fixed24(int64_t m, int32_t e)
{
    const int64_t limit = (int64_t)1 << 60;
    const int64_t s = (int64_t)e + 24;
    if (m == 0) {
        return 0;
    }
    if (s < 0) {
        return s < -62 ? 0 : itr_round_nearest(m, (int)-s);
    }
    if (itr_bitlen64(itr_abs64(m)) + s > 60) {
        return m < 0 ? -limit : limit;
    }
    return itr_shl64(m, (int)s);
}

/*
 * Taylor series of 2^f: terms ln(2)^k f^k / k! up to k = 10; what is left out is below 2^-31
 * for f < 1, and the truncating products lose at most 2^-27.
 */
uint32_t itr_exp2_q30(uint32_t f)
{
    /* ln(2)^k / k! in Q30, k = 10 .. 1 */
    static const int64_t c[10] = {8, 109, 1419, 16377, 165394, 1431680, 10327387, 59597083, 257941248,
                                 744261118};
    const int64_t x = (int64_t)f; /* Q30 */
    int64_t sum = c[0];
    for (int k = 1; k < 10; k++) {
        sum = c[k] + ((sum * x) >> 30);
    }
    return (uint32_t)(((int64_t)1 << 30) + ((sum * x) >> 30));
}

uint32_t itr_exp_neg_q30(int64_t x)
{
    const int64_t log2e_q30 = 1549082005;
    if (x >= (int64_t)22 << 24) { /* exp(-22) < 2^-31 */
        return 0;
    }
    const int64_t t = x * log2e_q30 >> 24; /* octaves, Q30 */
    const int64_t whole = (t + (((int64_t)1 << 30) - 1)) >> 30;
    const uint32_t f = (uint32_t)((whole << 30) - t); /* 2^-t = 2^f * 2^-whole, 0 <= f < 1 */
    return whole > 31 ? 0 : (uint32_t)itr_round_nearest((int64_t)itr_exp2_q30(f), (int)whole);
}

int64_t itr_log2_q30(uint64_t v)
{
    /* Repeated squaring of the mantissa gives a bit of the logarithm at a time. */
    const int n = itr_bitlen64(v) - 1;
    uint64_t m = n > 31 ? v >> (n - 31) : v << (31 - n); /* [2^31, 2^32) */
    int64_t result = 0;
    for (int i = 0; i < 30; i++) {
        m = m * m >> 31; /* [2^31, 2^33) */
        result <<= 1;
        if (m >> 32) {
            m >>= 1;
            result |= 1;
        }
    }
    return ((int64_t)n << 30) + result;
}

int32_t itr_sigmoid_q30(int64_t x)
{
    const int64_t one = (int64_t)1 << 30;
    const int64_t e = itr_exp_neg_q30(x < 0 ? -x : x);
    /* sigmoid(|x|) = 1 / (1 + exp(-|x|)) */
    const int64_t y = ((one << 30) + (one + e) / 2) / (one + e);
    return (int32_t)(x < 0 ? one - y : y);
}

int32_t itr_tanh_q30(int64_t x)
{
    const int64_t one = (int64_t)1 << 30;
    const int64_t a = x < 0 ? -x : x;
    const int64_t e = itr_exp_neg_q30(2 * a);
    /* tanh(|x|) = (1 - exp(-2|x|)) / (1 + exp(-2|x|)) */
    const int64_t y = (((one - e) << 30) + (one + e) / 2) / (one + e);
    return (int32_t)(x < 0 ? -y : y);
}
