/** numeric.h: limits, shifts, rounding; small functions of the core. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/core.h"
#include "runtime/numeric.h"
#include "runtime_random.h"

__extension__ typedef __int128 i128;
__extension__ typedef unsigned __int128 u128;

static void bitlen_counts_bits(void **state)
{
    (void)state;
    assert_int_equal(itr_bitlen64(0), 0);
    for (int s = 0; s < 64; s++) {
        const uint64_t p = (uint64_t)1 << s;
        assert_int_equal(itr_bitlen64(p), s + 1);
        assert_int_equal(itr_bitlen64(p | (p - 1)), s + 1);
        assert_int_equal(itr_ceil_log2(p), s);
        if (s > 0 && s < 63) {
            assert_int_equal(itr_ceil_log2(p + 1), s + 1);
        }
    }
}

static void mulhi_equals_wide_product(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (int i = 0; i < 20000; i++) {
        const uint64_t a = next(&seed) >> next(&seed) % 64;
        const uint64_t b = i % 3 ? next(&seed) : UINT64_MAX;
        assert_true(itr_mulhi64(a, b) == (uint64_t)((u128)a * b >> 64));
    }
}

/** Tries every shift. */
static int smallest_fit(uint64_t a, int bits)
{
    for (int s = 0;; s++) {
        if ((u128)a <= (u128)((1ull << (bits - 1)) - 1) << s) {
            return s;
        }
    }
}

static void fit_shift_is_smallest(void **state)
{
    (void)state;
    static const int widths[] = {2, 4, 8, 16, 31, 32};
    uint64_t seed = 2;
    for (size_t w = 0; w < sizeof widths / sizeof *widths; w++) {
        for (int i = 0; i < 2000; i++) {
            const uint64_t a = next(&seed) >> (1 + next(&seed) % 63);
            assert_int_equal(itr_fit_shift(a, widths[w]), smallest_fit(a, widths[w]));
        }
        for (int s = 0; s < 30; s++) { /* around limit * 2^s */
            const uint64_t a = ((1ull << (widths[w] - 1)) - 1) << s;
            assert_int_equal(itr_fit_shift(a, widths[w]), s);
            assert_int_equal(itr_bitlen_shift(a, widths[w]), s);
            assert_int_equal(itr_bitlen_shift((a | ((1ull << s) - 1)), widths[w]), s);
            assert_int_equal(itr_bitlen_shift((a | ((1ull << s) - 1)) + 1, widths[w]), s + 1);
            assert_int_equal(itr_fit_shift(a + 1, widths[w]), s + 1);
        }
    }
    assert_int_equal(itr_fit_shift(0, 8), 0);
    assert_int_equal(itr_bitlen_shift(0, 8), 0);
}

/** floor(x / 2^s + 1/2) by division. */
static int64_t nearest_by_division(int64_t x, int s)
{
    const i128 n = (i128)x * 2 + ((i128)1 << s), d = (i128)2 << s;
    return (int64_t)(n >= 0 ? n / d : -((-n + d - 1) / d));
}

static void nearest_rounds_ties_up(void **state)
{
    (void)state;
    uint64_t seed = 3;
    assert_int_equal(itr_round_nearest(3, 1), 2);
    assert_int_equal(itr_round_nearest(-3, 1), -1);
    assert_int_equal(itr_round_nearest(-1, 1), 0);
    for (int s = 0; s <= 62; s++) {
        for (int i = 0; i < 200; i++) {
            const int64_t x = (int64_t)next(&seed) >> (2 + next(&seed) % 60);
            assert_int_equal(itr_round_nearest(x, s), nearest_by_division(x, s));
            if (s >= 1) {
                assert_int_equal(itr_floor_shift64(x + itr_nearest_addend(s), s),
                                 nearest_by_division(x, s));
            }
            if (s >= 1 && s <= 30) {
                const int32_t small = (int32_t)(x % (1 << 30));
                const int32_t half = (int32_t)itr_nearest_addend(s);
                assert_int_equal(itr_floor_shift32(small + half, s), nearest_by_division(small, s));
            }
        }
    }
}

static void stochastic_vectors_are_exact(void **state)
{
    (void)state;
    /* floor((x + r) / 2^s), r the top s of the width's bits */
    assert_int_equal(itr_round_stochastic(100, 0, 0xFFFF, 16), 100);
    assert_int_equal(itr_round_stochastic(5, 3, 0x5FFF, 16), 0);   /* r = 2 */
    assert_int_equal(itr_round_stochastic(5, 3, 0x6000, 16), 1);   /* r = 3 */
    assert_int_equal(itr_round_stochastic(-5, 3, 0x9FFF, 16), -1); /* r = 4 */
    assert_int_equal(itr_round_stochastic(-5, 3, 0xA000, 16), 0);  /* r = 5 */
    assert_int_equal(itr_round_stochastic(1, 16, 0xFFFF, 16), 1);
    assert_int_equal(itr_round_stochastic(1, 16, 0xFFFE, 16), 0);
    assert_int_equal(itr_round_stochastic(1, 32, 0xFFFFFFFF, 32), 1);
    assert_int_equal(itr_round_stochastic(1, 32, 0xFFFFFFFE, 32), 0);
    assert_int_equal(itr_round_stochastic(-1, 62, UINT64_MAX, 64), 0);
    assert_int_equal(itr_round_stochastic(-1, 62, 0, 64), -1);
    assert_int_equal(itr_floor_shift32(5 + (int32_t)itr_random_addend(0x60000000, 3, 32), 3), 1);
    assert_int_equal(itr_floor_shift32(5 + (int32_t)itr_random_addend(0x5FFFFFFF, 3, 32), 3), 0);
    assert_int_equal(itr_random_width(16, false), 16);
    assert_int_equal(itr_random_width(16, true), 32);
    assert_int_equal(itr_random_width(17, false), 32);
    assert_int_equal(itr_random_width(33, false), 64);
}

/**
 * For each shift and sign: mean of y - x/2^s within 5 standard errors of 0, and the mean square
 * within 5 of f(1-f), f the fraction of x/2^s.
 */
static void stochastic_mean_and_variance(void **state)
{
    (void)state;
    enum { SAMPLES = 1 << 14 };
    const itr_rng rng = {.seed = 77, .step = 5};
    for (int s = 0; s <= 31; s++) {
        for (int sign = -1; sign <= 1; sign += 2) {
            uint64_t seed = (uint64_t)s;
            const int64_t unit = (int64_t)1 << s;
            const int64_t fraction = s == 0 ? 0 : between(&seed, 0, unit - 1);
            const int64_t x = sign * (37 * unit + fraction);
            const double f = (double)fraction / (double)unit;
            const double want = (double)x / (double)unit;
            const int width = itr_random_width(s, false);
            double sum = 0, square = 0;
            for (int i = 0; i < SAMPLES; i++) {
                const uint64_t r = random_of(&rng, (uint32_t)s, sign < 0, i, width);
                const double d = (double)itr_round_stochastic(x, s, r, width) - want;
                sum += d;
                square += d * d;
            }
            const double var = f * (1 - f);
            const double fourth = var * (1 - 3 * var) - var * var; /* variance of the square */
            assert_true(fabs(sum / SAMPLES) <= 5 * sqrt(var / SAMPLES) + 1e-12);
            assert_true(fabs(square / SAMPLES - var) <= 5 * sqrt(fabs(fourth) / SAMPLES) + 1e-3);
        }
    }
}

static void scalars_round_to_nearest(void **state)
{
    (void)state;
    uint64_t seed = 4;
    for (int i = 0; i < 5000; i++) {
        const itr_scalar a = {(int32_t)between(&seed, -INT32_MAX, INT32_MAX), 3};
        const itr_scalar b = {(int32_t)between(&seed, 1, INT32_MAX), -9};
        const itr_scalar n = itr_scalar_narrow(a, 15), p = itr_scalar_mul(a, b);
        const int64_t count = between(&seed, 1, 1 << (1 + i % 30));
        const itr_scalar r = itr_reciprocal(count);
        assert_true(abs(n.m) < 1 << 15 && abs(p.m) < 1 << 15);
        const double va = ldexp(a.m, a.e), vp = va * ldexp(b.m, b.e);
        assert_true(fabs(ldexp(n.m, n.e) - va) <= fabs(va) * ldexp(1, -15));
        assert_true(fabs(ldexp(p.m, p.e) - vp) <= fabs(vp) * ldexp(1, -15));
        assert_true(fabs(ldexp(r.m, r.e) * (double)count - 1) <= ldexp(1, -29));
    }
}

static void grid_next_follows_leading_bit(void **state)
{
    (void)state;
    const int64_t zero[3] = {0, 0, 0}, acc[3] = {5, -((int64_t)1 << 30), 1 << 20};
    assert_int_equal(itr_grid_next(zero, 3, -7), -7);
    assert_int_equal(itr_grid_next(zero, 3, INT32_MIN), INT32_MIN);
    assert_int_equal(itr_grid_next(acc, 3, -7), -7 + 30 - 24);
    assert_int_equal(itr_grid_next(acc, 1, -7), -7 + 2 - 24);
}

static void dtype_sizes(void **state)
{
    (void)state;
    static const size_t want[] = {1, 2, 4, 8, 4, 1};
    for (int t = ITR_I8; t <= ITR_U8; t++) {
        assert_int_equal(itr_dtype_size((itr_dtype)t), want[t]);
    }
}

/** Mantissas as integers, against C's own conversion of doubles. */
static void wholes(void **state)
{
    static const int32_t m[] = {0, 1, -1, 3, -3, 32767, -32767, 12345};
    (void)state;
    for (size_t i = 0; i < sizeof m / sizeof m[0]; i++) {
        for (int32_t e = -40; e <= 47; e++) {
            assert_true(itr_whole64(m[i], e) == (int64_t)trunc(ldexp(m[i], e)));
        }
        const int64_t end = m[i] == 0 ? 0 : m[i] > 0 ? INT64_MAX : -INT64_MAX;
        assert_true(itr_whole64(m[i], 63) == end);
        assert_true(itr_whole64(m[i], INT32_MAX) == end);
        assert_true(itr_whole64(m[i], INT32_MIN) == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bitlen_counts_bits),
        cmocka_unit_test(mulhi_equals_wide_product),
        cmocka_unit_test(fit_shift_is_smallest),
        cmocka_unit_test(nearest_rounds_ties_up),
        cmocka_unit_test(stochastic_vectors_are_exact),
        cmocka_unit_test(stochastic_mean_and_variance),
        cmocka_unit_test(scalars_round_to_nearest),
        cmocka_unit_test(grid_next_follows_leading_bit),
        cmocka_unit_test(wholes),
        cmocka_unit_test(dtype_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
