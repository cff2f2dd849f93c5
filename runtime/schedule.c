/**
 * Learning rates in integer arithmetic (NUMERICS.md: "Schedules").
 */
#include "core.h"
#include "numeric.h"

/** A non-negative number m * 2^e with m = 0 or 2^62 <= m < 2^63: room for errors below 2^-55. */
typedef struct wide {
    uint64_t m;
    int64_t e;
} wide;

static const wide zero = {0, 0};

static wide wide_of(uint64_t m, int64_t e)
{
    if (m == 0) {
        return zero;
    }
    const int s = 63 - itr_bitlen64(m);
    const wide w = {s >= 0 ? m << s : m >> 1, e - s};
    return w;
}

/** a * b, truncated. */
static wide wide_mul(wide a, wide b)
{
    return wide_of(itr_mulhi64(a.m, b.m), a.e + b.e + 64);
}

/** 1 - a for 0 <= a <= 1, at 2^-63. */
static wide wide_complement(wide a)
{
    const int64_t s = -63 - a.e; /* a as a multiple of 2^-63 */
    const uint64_t fixed = s > 63 ? 0 : s >= 0 ? a.m >> s : a.m << 1;
    return wide_of(((uint64_t)1 << 63) - fixed, -63);
}

/** p/q for 0 <= p, 1 <= q, truncated, relative error below 2^-30 (2^-60 while q < 2^31). */
static wide wide_ratio(uint64_t p, uint64_t q)
{
    if (p == 0) {
        return zero;
    }
    const int shift = itr_bitlen64(q) > 31 ? itr_bitlen64(q) - 31 : 0;
    const wide n = wide_of(p, 0);
    const uint64_t d = (q >> shift) + (shift > 0);
    uint64_t high = n.m / d, rest = n.m % d; /* 62 bits or more of quotient in two digits */
    int64_t e = n.e - shift;
    while (high >> 62 == 0) {
        const int s = 63 - itr_bitlen64(high) < 32 ? 63 - itr_bitlen64(high) : 32;
        high = (high << s) + (rest << s) / d;
        rest = (rest << s) % d;
        e -= s;
    }
    return wide_of(high, e);
}

/** a^n by squaring. */
static wide wide_power(wide a, uint64_t n)
{
    wide r = wide_of(1, 0);
    for (; n > 0 && r.m != 0; n >>= 1) {
        if (n & 1) {
            r = wide_mul(r, a);
        }
        a = wide_mul(a, a);
        if (a.e > INT32_MAX || a.e < INT32_MIN) { /* nothing representable is left */
            return n > 1 ? (a.e > 0 ? wide_of(1, INT32_MAX) : zero) : r;
        }
    }
    return r;
}

/**
 * sin(pi/2 * u)^2 for 0 <= u <= 1/2: with z = (pi/2 * u)^2 <= 0.617, z * P(z)^2 where P is the
 * Taylor polynomial of sin(t)/t in z = t^2; the first term left out is below 2^-35 of the value.
 */
static wide sine_squared(wide u)
{
    /* pi/2, truncated */
    const wide half_pi = {UINT64_C(0x6487ED5110B4611A), -62};
    /* 2^62 / (2k+1)! */
    static const uint64_t factor[] = {UINT64_C(0x4000000000000000), UINT64_C(0x0AAAAAAAAAAAAAAA),
                                      UINT64_C(0x0088888888888888), UINT64_C(0x0003403403403403),
                                      UINT64_C(0x00000B8EF1D2AB63), UINT64_C(0x0000001AE64567F5)};
    const wide t = wide_mul(u, half_pi);
    const wide z = wide_mul(t, t);
    const int64_t s = -64 - z.e; /* z as a multiple of 2^-64 */
    const uint64_t zf = z.m == 0 || s > 63 ? 0 : s >= 0 ? z.m >> s : z.m << 1;
    uint64_t p = factor[5];
    for (int k = 4; k >= 0; k--) {
        p = factor[k] - itr_mulhi64(p, zf);
    }
    const wide w = wide_of(p, -62);
    return wide_mul(z, wide_mul(w, w));
}

/** (1 + cos(pi * step/horizon)) / 2 = sin(pi/2 * (1 - step/horizon))^2. */
static wide cosine(int64_t step, int64_t horizon)
{
    const uint64_t left = (uint64_t)(horizon - step);
    if (left <= (uint64_t)horizon / 2) {
        return sine_squared(wide_ratio(left, (uint64_t)horizon));
    }
    return wide_complement(sine_squared(wide_ratio((uint64_t)step, (uint64_t)horizon)));
}

/** 1 / (1 + factor * n), relative error below 2^-29. */
static wide inverse(itr_scalar factor, uint64_t n)
{
    const wide one = wide_of(1, 0),
               x = wide_mul(wide_of(itr_abs64(factor.m), factor.e), wide_of(n, 0));
    if (x.m == 0 || x.e < one.e - 63) {
        return one;
    }
    const wide large = x.e > one.e ? x : one, small = x.e > one.e ? one : x;
    const int64_t s = large.e - small.e;
    const wide sum = wide_of(large.m + (s < 64 ? small.m >> s : 0), large.e);
    const wide r = wide_ratio(1, (sum.m >> 32) + (sum.m >> 31 & 1));
    return (wide){r.m, r.e - sum.e - 32};
}

static wide factor_at(const itr_schedule *s, int64_t step)
{
    switch (s->kind) {
    case ITR_SCHEDULE_STEP:
        if (s->horizon < 1 || step < s->horizon) {
            break;
        }
        return s->factor.m <= 0 ? zero
                                : wide_power(wide_of((uint64_t)s->factor.m, s->factor.e),
                                             (uint64_t)(step / s->horizon));
    case ITR_SCHEDULE_COSINE:
        return step >= s->horizon ? zero : cosine(step, s->horizon);
    case ITR_SCHEDULE_LINEAR:
        return step >= s->horizon ? zero
                                  : wide_ratio((uint64_t)(s->horizon - step), (uint64_t)s->horizon);
    case ITR_SCHEDULE_INVERSE:
        return inverse(s->factor, (uint64_t)s->horizon + (uint64_t)step);
    case ITR_SCHEDULE_CONSTANT:
        break;
    }
    return wide_of(1, 0);
}

itr_scalar itr_schedule_at(const itr_schedule *s, int64_t step)
{
    itr_scalar out = {0, 0};
    wide w = wide_of(itr_abs64(s->lr.m), s->lr.e);
    w = wide_mul(w, step < s->warmup ? wide_ratio((uint64_t)step + 1, (uint64_t)s->warmup)
                                     : factor_at(s, step));
    uint64_t m = (w.m >> 32) + (w.m >> 31 & 1); /* 31 bits, to nearest */
    w.e += 32;
    if (m >> 31) {
        m >>= 1;
        w.e++;
    }
    if (m == 0 || w.e < -(1 << 20)) { /* too small to move anything: an exact zero */
        return out;
    }
    out.m = s->lr.m < 0 ? -(int32_t)m : (int32_t)m;
    out.e = (int32_t)(w.e < 1 << 20 ? w.e : 1 << 20);
    return out;
}

itr_scalar itr_one_minus_power(itr_scalar b, int64_t n)
{
    const wide w = wide_complement(wide_power(wide_of(itr_abs64(b.m), b.e), (uint64_t)n));
    const itr_scalar out = {(int32_t)(w.m >> 32), w.m != 0 ? (int32_t)w.e + 32 : 0};
    return out;
}
