/**
 * Real numbers in software, 32 bits of mantissa and an exponent of their own: what formulas of one
 * element are computed in. Everything is defined by this code (NUMERICS.md: "Formulas"): order,
 * coefficients, each rounding. Functions are total: what has no value has one by the rule stated
 * at the function, so no operand can make a trainer fail.
 */
#ifndef ITR_REF_NUMBER_H
#define ITR_REF_NUMBER_H

#include "../fixed.h"

/** (-1)^negative * m * 2^e; m is 0, or has its bit 31 set. Zero is {0, 0, false}. */
typedef struct itr_number {
    uint32_t m;
    int32_t e;
    bool negative;
} itr_number;

/** |e| of every number; below it lies zero, above it the number of this exponent. */
#define ITR_NUMBER_RANGE (1 << 22)

static inline itr_number itr_number_one(void)
{
    return (itr_number){UINT32_C(1) << 31, -31, false};
}

/** (-1)^negative * m * 2^e, to nearest, halves away from zero. */
static inline itr_number itr_number_of(bool negative, uint64_t m, int64_t e)
{
    if (m == 0) {
        return (itr_number){0, 0, false};
    }
    const int s = itr_bitlen64(m) - 32;
    if (s > 0) {
        m = (m >> s) + (m >> (s - 1) & 1);
        e += s;
        if (m >> 32) {
            m >>= 1;
            e++;
        }
    } else {
        m <<= -s;
        e += s;
    }
    if (e < -ITR_NUMBER_RANGE) {
        return (itr_number){0, 0, false};
    }
    return (itr_number){(uint32_t)m, (int32_t)(e < ITR_NUMBER_RANGE ? e : ITR_NUMBER_RANGE),
                        negative};
}

static inline itr_number itr_number_int(int64_t v)
{
    return itr_number_of(v < 0, itr_abs64(v), 0);
}

/** floor(|x| * 2^q); the caller knows that it is below 2^32. */
static inline uint64_t itr_number_fixed(itr_number x, int q)
{
    const int64_t s = -((int64_t)x.e + q);
    return s > 31 ? 0 : s >= 0 ? (uint64_t)x.m >> s : (uint64_t)x.m << -s;
}

static inline itr_number itr_number_neg(itr_number x)
{
    x.negative = x.m != 0 && !x.negative;
    return x;
}

/** Aligned with 30 bits below the larger operand's last, truncated there; rounded once. */
static inline itr_number itr_number_add(itr_number a, itr_number b)
{
    if (a.m == 0 || b.m == 0) {
        return a.m == 0 ? b : a;
    }
    if (a.e < b.e) {
        const itr_number t = a;
        a = b;
        b = t;
    }
    const int64_t d = (int64_t)a.e - b.e, e = (int64_t)a.e - 30;
    const uint64_t large = (uint64_t)a.m << 30, small = d > 62 ? 0 : ((uint64_t)b.m << 30) >> d;
    if (a.negative == b.negative) {
        return itr_number_of(a.negative, large + small, e);
    }
    return large >= small ? itr_number_of(a.negative, large - small, e)
                          : itr_number_of(b.negative, small - large, e);
}

static inline itr_number itr_number_sub(itr_number a, itr_number b)
{
    return itr_number_add(a, itr_number_neg(b));
}

static inline itr_number itr_number_mul(itr_number a, itr_number b)
{
    return itr_number_of(a.negative != b.negative, (uint64_t)a.m * b.m, (int64_t)a.e + b.e);
}

/** The quotient of the mantissas truncated to 32 or 33 bits, then rounded to 32. b is not 0. */
static inline itr_number itr_number_div(itr_number a, itr_number b)
{
    return itr_number_of(a.negative != b.negative, ((uint64_t)a.m << 32) / b.m,
                         (int64_t)a.e - b.e - 32);
}

static inline bool itr_number_less(itr_number a, itr_number b)
{
    return itr_number_sub(a, b).negative;
}

/** The root truncated to 32 bits; 0 for x <= 0. */
static inline itr_number itr_number_sqrt(itr_number x)
{
    if (x.m == 0 || x.negative) {
        return (itr_number){0, 0, false};
    }
    const int odd = x.e & 1;
    return (itr_number){itr_isqrt64((uint64_t)x.m << (odd ? 31 : 32)), (x.e - (odd ? 31 : 32)) / 2,
                        false};
}

/** The integer that is nearest to x in a direction: floor -1, ceil +1, nearest or even 0. */
static inline itr_number itr_number_integer(itr_number x, int direction)
{
    if (x.m == 0 || x.e >= 0) {
        return x;
    }
    const int s = x.e < -33 ? 33 : -x.e; /* from there on it is below 1/2 */
    const uint64_t whole = (uint64_t)x.m >> s, part = x.m & (((uint64_t)1 << s) - 1);
    const uint64_t half = (uint64_t)1 << (s - 1);
    const bool up = direction == 0 ? part > half || (part == half && (whole & 1) != 0)
                                   : part != 0 && x.negative == (direction < 0);
    return itr_number_of(x.negative, whole + up, 0);
}

#endif
