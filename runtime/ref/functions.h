/**
 * Elementary functions of itr_number. Errors are relative to the result where nothing else is
 * said; the coefficients are those of Taylor's series in Q32, rounded, but for itr_exp2_q31's and
 * erfc's, which are least maxima of the error (our derivation). A series is evaluated by Horner's
 * rule in Q32, each product truncated.
 */
#ifndef ITR_REF_FUNCTIONS_H
#define ITR_REF_FUNCTIONS_H

#include "number.h"

enum { ITR_SERIES_SAME, ITR_SERIES_ALTERNATING };

/** 1 +- w (c[n-1] +- w (c[n-2] +- … c[0])) in Q32; w in Q32, below 1. */
static inline uint64_t itr_series(int n, const uint32_t *c, uint64_t w, int signs)
{
    uint64_t y = c[0];
    for (int k = 1; k <= n; k++) {
        const uint64_t next = k < n ? c[k] : (uint64_t)1 << 32, part = y * w >> 32;
        y = signs == ITR_SERIES_ALTERNATING ? next - part : next + part;
    }
    return y;
}

/** x * y * 2^-32. */
static inline itr_number itr_number_scaled(itr_number x, uint64_t y)
{
    return itr_number_mul(x, itr_number_of(false, y, -32));
}

static inline itr_number itr_number_square(itr_number x)
{
    return itr_number_mul(x, x);
}

static inline itr_number itr_number_abs(itr_number x)
{
    x.negative = false;
    return x;
}

static inline itr_number itr_number_ln2(void)
{
    return (itr_number){UINT32_C(0xB17217F8), -32, false};
}

static inline itr_number itr_number_half_pi(void)
{
    return (itr_number){UINT32_C(0xC90FDAA2), -31, false};
}

/** exp(x), error 2^-27; 0 below -2^21, the largest number from 2^21 on. */
static inline itr_number itr_number_exp(itr_number x)
{
    const uint64_t log2e_q63 = UINT64_C(0xB8AA3B295C17F0BB); /* truncated */
    if (x.m != 0 && x.e > -11) {
        return x.negative ? (itr_number){0, 0, false}
                          : (itr_number){UINT32_MAX, ITR_NUMBER_RANGE, false};
    }
    /* octaves in Q32: x * log2(e), truncated */
    const uint64_t t = itr_mulhi64((uint64_t)x.m << 32, log2e_q63);
    const int64_t s = x.m == 0 ? 63 : -((int64_t)x.e + 1), q = (int64_t)(s > 63 ? 0 : t >> s);
    const int64_t octaves = x.negative ? -q : q;
    return (itr_number){itr_exp2_q31((uint32_t)octaves), (int32_t)(octaves >> 32) - 31, false};
}

/** exp(x) - 1, error 2^-25; below 1/4 by its series. */
static inline itr_number itr_number_expm1(itr_number x)
{
    static const uint32_t c[] = {0x00002E3C, 0x0001A01A, 0x000D00D0, 0x005B05B0,
                                 0x02222222, 0x0AAAAAAB, 0x2AAAAAAB, 0x80000000};
    if (x.m == 0 || x.e <= -34) {
        return itr_number_scaled(x,
                                 itr_series(8, c, itr_number_fixed(x, 32),
                                            x.negative ? ITR_SERIES_ALTERNATING : ITR_SERIES_SAME));
    }
    return itr_number_sub(itr_number_exp(x), itr_number_one());
}

/** 2 atanh(z) = z (2 + 2/3 z^2 + …), |z| <= 0.1716. */
static inline itr_number itr_number_log_ratio(itr_number z)
{
    static const uint32_t c[] = {0x13B13B14, 0x1745D174, 0x1C71C71C,
                                 0x24924925, 0x33333333, 0x55555555};
    const uint64_t w = itr_number_fixed(itr_number_square(z), 32);
    return itr_number_scaled(z, 2 * itr_series(6, c, w, ITR_SERIES_SAME));
}

/** ln x, error 2^-28; x above 0. */
static inline itr_number itr_number_log(itr_number x)
{
    const uint32_t sqrt2_q31 = UINT32_C(0xB504F333);
    const bool upper = x.m >= sqrt2_q31; /* then x/2^(k+1) lies in [sqrt(1/2), 1) */
    const uint64_t one = (uint64_t)1 << (upper ? 32 : 31);
    const itr_number above = itr_number_of(upper, upper ? one - x.m : x.m - one, 0);
    const itr_number z = itr_number_div(above, itr_number_of(false, one + x.m, 0));
    const itr_number k = itr_number_int((int64_t)x.e + 31 + upper);
    return itr_number_add(itr_number_mul(k, itr_number_ln2()), itr_number_log_ratio(z));
}

/** ln(1 + x), error 2^-28; x above -1. */
static inline itr_number itr_number_log1p(itr_number x)
{
    if (x.m == 0 || x.e <= -34) { /* |x| < 1/4: 2 atanh(x / (2 + x)) */
        const itr_number two = {UINT32_C(1) << 31, -30, false};
        return itr_number_log_ratio(itr_number_div(x, itr_number_add(two, x)));
    }
    return itr_number_log(itr_number_add(itr_number_one(), x));
}

/**
 * |a|^b = exp(b ln |a|), with a's sign where b is an odd integer; error |b ln a| 2^-27. 0^b is 0
 * for b > 0, and 1 for b = 0; a zero counts as `unit` for b < 0. Negative a have the power 0 where
 * b is no integer.
 */
static inline itr_number itr_number_pow(itr_number a, itr_number b, itr_number unit)
{
    const itr_number whole = itr_number_integer(b, -1);
    const bool integer = itr_number_sub(b, whole).m == 0;
    const bool odd = integer && b.e <= 0 && b.e > -32 && (b.m >> -b.e & 1) != 0;
    if (b.m == 0) {
        return itr_number_one();
    }
    if (a.m == 0 && b.negative) {
        a = unit;
    }
    if (a.m == 0 || (a.negative && !integer)) {
        return (itr_number){0, 0, false};
    }
    itr_number y = itr_number_exp(itr_number_mul(b, itr_number_log(itr_number_abs(a))));
    y.negative = a.negative && odd && y.m != 0;
    return y;
}

/** 1 - erf(x) for x >= 0, error 2^-26 (1 + x^2). From 1/2 on it is t exp(-x^2) P(t), t = 2/(2+x).
 */
static inline itr_number itr_number_erfc_positive(itr_number x);

/** erf(x), error 2^-28; below 1/2 by its series. */
static inline itr_number itr_number_erf(itr_number x)
{
    static const uint32_t c[] = {0x0000DDEC, 0x00070070, 0x0031A603, 0x012F684C,
                                 0x06186186, 0x1999999A, 0x55555555};
    const itr_number two_over_root_pi = {UINT32_C(0x906EBA82), -31, false};
    if (x.m == 0 || x.e <= -33) {
        const uint64_t w = itr_number_fixed(itr_number_square(x), 32);
        return itr_number_mul(two_over_root_pi,
                              itr_number_scaled(x, itr_series(7, c, w, ITR_SERIES_ALTERNATING)));
    }
    itr_number y = itr_number_sub(itr_number_one(), itr_number_erfc_positive(itr_number_abs(x)));
    y.negative = x.negative;
    return y;
}

static inline itr_number itr_number_erfc_positive(itr_number x)
{
    static const int64_t c[] = {-220397334, 1269490171, -3015228473, 3628603860, -2138556517,
                                628194029,  -475631863, 22720884,    354894375,  757571898,
                                1060127603, 1211588072, 1211587905};
    const itr_number two = {UINT32_C(1) << 31, -30, false};
    if (x.m == 0 || x.e <= -33) {
        return itr_number_sub(itr_number_one(), itr_number_erf(x));
    }
    const itr_number t = itr_number_div(two, itr_number_add(two, x));
    const int64_t w = (int64_t)itr_number_fixed(t, 32); /* at most 0.8 */
    int64_t y = c[0];
    for (int k = 1; k < 13; k++) {
        y = c[k] + (y * w >> 32);
    }
    const itr_number tail = itr_number_exp(itr_number_neg(itr_number_square(x)));
    return itr_number_mul(itr_number_mul(t, tail), itr_number_of(false, (uint64_t)y, -32));
}

/** 1 - erf(x), error 2^-26 (1 + x^2). */
static inline itr_number itr_number_erfc(itr_number x)
{
    if (!x.negative) {
        return itr_number_erfc_positive(x);
    }
    return itr_number_sub((itr_number){UINT32_C(1) << 31, -30, false},
                          itr_number_erfc_positive(itr_number_abs(x)));
}

/** x - quarters * pi/2 in [-pi/4, pi/4]; only for 1/2 <= |x| < 2^30. */
static inline itr_number itr_number_reduced(itr_number x, uint32_t *quarters)
{
    const uint64_t two_over_pi_q64 = UINT64_C(0xA2F9836E4E441529); /* truncated */
    /* quarter turns modulo 4 in Q62 */
    const uint64_t t = itr_mulhi64((uint64_t)x.m << 32, two_over_pi_q64);
    const int s = x.e + 30;
    uint64_t p = s >= 0 ? t << s : t >> -s;
    p = x.negative ? (uint64_t)0 - p : p;
    *quarters = (uint32_t)((p + ((uint64_t)1 << 61)) >> 62);
    const uint64_t rest = p - ((uint64_t)*quarters << 62);
    const bool negative = rest >> 63 != 0;
    const uint64_t size = negative ? (uint64_t)0 - rest : rest;
    return itr_number_mul(itr_number_half_pi(), itr_number_of(negative, size, -62));
}

/**
 * sin(x + turn * pi/2); absolute error 2^-29 for |x| < 2^24, growing with |x| to 2^-33 |x|. From
 * 2^30 on x counts as 0: a unit of its last place is many turns then.
 */
static inline itr_number itr_number_sine(itr_number x, uint32_t turn)
{
    static const uint32_t sine[] = {0x00000001, 0x0000006C, 0x00002E3C,
                                    0x000D00D0, 0x02222222, 0x2AAAAAAB};
    static const uint32_t cosine[] = {0x00000009, 0x000004A0, 0x0001A01A,
                                      0x005B05B0, 0x0AAAAAAB, 0x80000000};
    uint32_t quarters = 0;
    if (x.m != 0 && x.e > -33) {
        x = x.e > -3 ? (itr_number){0, 0, false} : itr_number_reduced(x, &quarters);
    }
    quarters += turn;
    const uint64_t w = itr_number_fixed(itr_number_square(x), 32);
    itr_number y;
    if ((quarters & 1) != 0) {
        y = itr_number_of(false, itr_series(6, cosine, w, ITR_SERIES_ALTERNATING), -32);
    } else {
        y = itr_number_scaled(x, itr_series(6, sine, w, ITR_SERIES_ALTERNATING));
    }
    return (quarters & 2) != 0 ? itr_number_neg(y) : y;
}

/** atan(x), error 2^-28: by its series below tan(pi/8), else about pi/4 and pi/2. */
static inline itr_number itr_number_atan(itr_number x)
{
    static const uint32_t c[] = {0x0B21642D, 0x0C30C30C, 0x0D79435E, 0x0F0F0F0F,
                                 0x11111111, 0x13B13B14, 0x1745D174, 0x1C71C71C,
                                 0x24924925, 0x33333333, 0x55555555};
    const itr_number one = itr_number_one(), quarter_pi = {UINT32_C(0xC90FDAA2), -32, false};
    const itr_number tan_pi_8 = {UINT32_C(0xD413CCCF), -33, false};
    itr_number z = itr_number_abs(x);
    const bool inverse = itr_number_less(one, z);
    z = inverse ? itr_number_div(one, z) : z;
    const bool upper = itr_number_less(tan_pi_8, z);
    if (upper) {
        z = itr_number_div(itr_number_sub(z, one), itr_number_add(z, one));
    }
    const uint64_t w = itr_number_fixed(itr_number_square(z), 32);
    itr_number y = itr_number_scaled(z, itr_series(11, c, w, ITR_SERIES_ALTERNATING));
    y = upper ? itr_number_add(quarter_pi, y) : y;
    y = inverse ? itr_number_sub(itr_number_half_pi(), y) : y;
    return x.negative ? itr_number_neg(y) : y;
}

/** tanh(x) = -d / (2 + d), d = exp(-2 |x|) - 1, with x's sign; error 2^-25. */
static inline itr_number itr_number_tanh(itr_number x)
{
    const itr_number two = {UINT32_C(1) << 31, -30, false};
    const itr_number d = itr_number_expm1(itr_number_neg(itr_number_mul(two, itr_number_abs(x))));
    itr_number y = itr_number_div(d, itr_number_add(two, d));
    y.negative = x.negative && y.m != 0;
    return y;
}

#endif
