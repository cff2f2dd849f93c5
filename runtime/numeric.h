/**
 * The only place that rounds, shifts, saturates or wraps. NUMERICS.md is its specification.
 */
#ifndef ITR_NUMERIC_H
#define ITR_NUMERIC_H

#include "itr.h"

_Static_assert((-1 >> 1) == -1, "right shift of a negative number must be arithmetic");

/** Largest mantissa of a width: 2^(bits-1)-1. */
static inline int64_t itr_limit(int bits)
{
    return (int64_t)(((uint64_t)1 << (bits - 1)) - 1);
}

static inline uint64_t itr_abs64(int64_t x)
{
    return x < 0 ? (uint64_t)0 - (uint64_t)x : (uint64_t)x;
}

/** Bits of x: 0 for 0, else floor(log2 x) + 1. */
static inline int itr_bitlen64(uint64_t x)
{
#if defined(__GNUC__)
    return x != 0 ? 64 - __builtin_clzll(x) : 0;
#else
    int n = 0;
    for (int s = 32; s > 0; s >>= 1) {
        if (x >> s) {
            x >>= s;
            n += s;
        }
    }
    return n + (x != 0);
#endif
}

/** Smallest n with x <= 2^n; 0 for 0. */
static inline int itr_ceil_log2(uint64_t x)
{
    return x > 1 ? itr_bitlen64(x - 1) : 0;
}

/** Upper 64 bits of the 128-bit product. */
static inline uint64_t itr_mulhi64(uint64_t a, uint64_t b)
{
    const uint64_t al = a & UINT32_MAX, ah = a >> 32, bl = b & UINT32_MAX, bh = b >> 32;
    const uint64_t mid = ah * bl + (al * bl >> 32);
    const uint64_t low = al * bh + (mid & UINT32_MAX);
    return ah * bh + (mid >> 32) + (low >> 32);
}

/** x * 2^s, 0 <= s <= 62; the caller proves that it fits. */
static inline int64_t itr_shl64(int64_t x, int s)
{
    return (int64_t)((uint64_t)x << s);
}

/** Smallest s >= 0 with a <= limit * 2^s (NUMERICS.md: the exact exponent rule). */
static inline int itr_fit_shift(uint64_t a, int bits)
{
    const uint64_t limit = (uint64_t)itr_limit(bits);
    int s = itr_bitlen64(a) - (bits - 1);
    if (s < 0) {
        s = 0;
    }
    /* a >> s has at most bits-1 bits; one more shift if the remainder pushes it past the limit */
    if ((a >> s) > limit || ((a >> s) == limit && (a & (((uint64_t)1 << s) - 1)) != 0)) {
        s++;
    }
    return s;
}

/** Smallest s >= 0 with bitlen(a) <= bits - 1 + s (NUMERICS.md: the rule by bit length). */
static inline int itr_bitlen_shift(uint64_t a, int bits)
{
    const int s = itr_bitlen64(a) - (bits - 1);
    return s > 0 ? s : 0;
}

/** x, or the end of [-limit, limit] that it lies beyond. */
static inline int64_t itr_saturate(int64_t x, int64_t limit)
{
    return x > limit ? limit : x < -limit ? -limit : x;
}

/** Round to nearest, ties towards plus infinity: floor(x / 2^s + 1/2). 0 <= s; |x| < 2^62. */
static inline int64_t itr_round_nearest(int64_t x, int s)
{
    if (s == 0) {
        return x;
    }
    if (s > 63) {
        return 0;
    }
    return (x + (int64_t)((uint64_t)1 << (s - 1))) >> s;
}

/**
 * Stochastic rounding: floor((x + r) / 2^s) with r the top bits of `random`, uniform in [0,2^s).
 * `width` is the number of random bits (16, 32 or 64), s <= width. |x| < 2^62, s <= 62.
 */
static inline int64_t itr_round_stochastic(int64_t x, int s, uint64_t random, int width)
{
    if (s == 0) {
        return x;
    }
    return (x + (int64_t)(random >> (width - s))) >> s;
}

/**
 * A rounding in two steps, for loops: the addend of a shift s >= 1 (2^(s-1) to nearest, or the top
 * s bits of a random number of `width` >= s bits), then floor(x / 2^s) of the sum with it.
 */
static inline int64_t itr_nearest_addend(int s)
{
    return (int64_t)((uint64_t)1 << (s - 1));
}

static inline uint32_t itr_random_addend(uint32_t random, int s, int width)
{
    return random >> (width - s);
}

static inline int32_t itr_floor_shift32(int32_t x, int s)
{
    return x >> s;
}

static inline int64_t itr_floor_shift64(int64_t x, int s)
{
    return x >> s;
}

/** x + y and x * y modulo 2^64, where the caller tests for overflow itself. */
static inline int64_t itr_wrap_add64(int64_t x, int64_t y)
{
    return (int64_t)((uint64_t)x + (uint64_t)y);
}

static inline int64_t itr_wrap_mul64(int64_t x, int64_t y)
{
    return (int64_t)((uint64_t)x * (uint64_t)y);
}

/** x - y modulo 2^64. */
static inline int64_t itr_wrap_sub64(int64_t x, int64_t y)
{
    return (int64_t)((uint64_t)x - (uint64_t)y);
}

/** x / y towards zero, modulo 2^64; 0 where y is 0. For plain integers, which have no bound. */
static inline int64_t itr_div64(int64_t x, int64_t y)
{
    return y == 0 ? 0 : y == -1 ? itr_wrap_sub64(0, x) : x / y;
}

/** The remainder of x / y with the sign of x; 0 where y is 0. */
static inline int64_t itr_rem64(int64_t x, int64_t y)
{
    return y == 0 || y == -1 ? 0 : x % y;
}

/** The remainder of x / y with the sign of y; 0 where y is 0. */
static inline int64_t itr_mod64(int64_t x, int64_t y)
{
    const int64_t r = itr_rem64(x, y);
    return r != 0 && (r < 0) != (y < 0) ? r + y : r;
}

/** x^y modulo 2^64, by squaring; of a y below 0 the quotient 1 / x^-y towards zero, 0 for x = 0. */
static inline int64_t itr_pow64(int64_t x, int64_t y)
{
    int64_t r = 1;
    if (y < 0) {
        return x == 1 || (x == -1 && y % 2 == 0) ? 1 : x == -1 ? -1 : 0;
    }
    for (; y > 0; y >>= 1) {
        r = (y & 1) != 0 ? itr_wrap_mul64(r, x) : r;
        x = itr_wrap_mul64(x, x);
    }
    return r;
}

/** The bits of x shifted as those of an unsigned number; 0 for shifts outside 0..63. */
static inline int64_t itr_left64(int64_t x, int64_t s)
{
    return s < 0 || s > 63 ? 0 : (int64_t)((uint64_t)x << s);
}

static inline int64_t itr_right64(int64_t x, int64_t s)
{
    return s < 0 || s > 63 ? 0 : (int64_t)((uint64_t)x >> s);
}

static inline int64_t itr_and64(int64_t x, int64_t y)
{
    return x & y;
}

static inline int64_t itr_or64(int64_t x, int64_t y)
{
    return x | y;
}

static inline int64_t itr_xor64(int64_t x, int64_t y)
{
    return x ^ y;
}

/** m * 2^e towards zero, at the nearest end where it does not fit. */
static inline int64_t itr_whole64(int32_t m, int32_t e)
{
    const int64_t a = m < 0 ? -(int64_t)m : m;
    const int64_t v = a == 0 || e <= -32               ? 0
                      : e <= 0                         ? a >> -e
                      : e > 62 || a > (INT64_MAX >> e) ? INT64_MAX
                                                       : a << e;
    return m < 0 ? -v : v;
}

/** Random bits used for a shift: 16, 32 or 64; the optimizer always takes at least 32. */
static inline int itr_random_width(int s, bool optimizer)
{
    if (s <= 16 && !optimizer) {
        return 16;
    }
    return s <= 32 ? 32 : 64;
}

/** A scalar with a mantissa of at most `bits` magnitude bits, rounded to nearest. */
static inline itr_scalar itr_scalar_narrow(itr_scalar a, int bits)
{
    const uint64_t mag = itr_abs64(a.m);
    const int s = itr_bitlen64(mag) - bits;
    if (s <= 0) {
        return a;
    }
    uint64_t r = (mag + ((uint64_t)1 << (s - 1))) >> s;
    itr_scalar out = {(int32_t)r, a.e + s};
    if (itr_bitlen64(r) > bits) { /* rounded up to the next power of two */
        out.m = (int32_t)(r >> 1);
        out.e++;
    }
    if (a.m < 0) {
        out.m = -out.m;
    }
    return out;
}

/** 1/n as a scalar with a 31-bit mantissa, rounded to nearest; n >= 1. */
static inline itr_scalar itr_reciprocal(int64_t n)
{
    const int b = itr_bitlen64((uint64_t)n);
    /* 2^(29+b) / n lies in [2^29, 2^30] */
    const uint64_t num = (uint64_t)1 << (29 + (b < 33 ? b : 33));
    const itr_scalar r = {(int32_t)((num + (uint64_t)n / 2) / (uint64_t)n),
                          -(29 + (b < 33 ? b : 33))};
    return r;
}

/** a * b with a mantissa of at most 15 bits, rounded to nearest. */
static inline itr_scalar itr_scalar_mul(itr_scalar a, itr_scalar b)
{
    const bool negative = (a.m < 0) != (b.m < 0);
    uint64_t mag = itr_abs64(a.m) * itr_abs64(b.m); /* below 2^62 */
    itr_scalar out = {0, a.e + b.e};
    const int s = itr_bitlen64(mag) - 15;
    if (s > 0) {
        mag = (mag + ((uint64_t)1 << (s - 1))) >> s;
        out.e += s;
    }
    if (mag == 32768) {
        mag = 16384;
        out.e++;
    }
    out.m = negative ? -(int32_t)mag : (int32_t)mag;
    return out;
}

/**
 * floor(sqrt(x)), exactly. Inside: 1/sqrt of the upper bits by Newton's iteration from a straight
 * line, the root from it within a few units, then the last steps by comparison.
 */
static inline uint32_t itr_isqrt64(uint64_t x)
{
    if (x == 0) {
        return 0;
    }
    const int s = (64 - itr_bitlen64(x)) & ~1;
    const uint64_t n = x << s;                                     /* 2^62 or more */
    const uint64_t high = n >> 32;                                 /* Q32, from 1/4 to below 1 */
    uint64_t r = UINT64_C(2242000000) - (high * 1258000000 >> 32); /* 1/sqrt in Q30 within 11 % */
    for (int i = 0; i < 3; i++) {
        const uint64_t square = (r * r >> 30) * high >> 32;
        r = r * ((UINT64_C(3) << 30) - square) >> 31;
    }
    uint64_t root = high * r >> 30;
    root = root < UINT32_MAX ? root : UINT32_MAX;
    const int64_t rest = (int64_t)(n - root * root);
    const int64_t closer = (int64_t)root + ((rest >> 31) * (int64_t)r >> 32);
    root = closer < UINT32_MAX ? (uint64_t)closer : UINT32_MAX;
    while (root * root > n) {
        root--;
    }
    while (root < UINT32_MAX && (root + 1) * (root + 1) <= n) {
        root++;
    }
    return (uint32_t)(root >> (s / 2));
}

#endif
