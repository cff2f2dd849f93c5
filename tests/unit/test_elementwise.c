/** Products, quotients and bounds, over every pair of bytes and over random shapes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/kernel.h"
#include "runtime_random.h"

enum { SIDE = 255, PAIRS = SIDE * SIDE };

static int8_t a8[PAIRS], b8[PAIRS];
static int16_t a16[PAIRS], b16[PAIRS], y16[PAIRS];
static int32_t y32[PAIRS];
static int64_t y64[PAIRS];

/** floor(a * 2^k / b + 1/2) by long division on magnitudes; b = 0 is 1. */
static int64_t quotient(int64_t a, int64_t b, int k)
{
    b = b ? b : 1;
    const bool negative = (a < 0) != (b < 0) && a != 0;
    const uint64_t n = (uint64_t)(a < 0 ? -a : a) << k, d = (uint64_t)(b < 0 ? -b : b);
    const uint64_t q = n / d, twice = 2 * (n % d);
    if (negative) { /* a tie goes towards plus infinity */
        return -(int64_t)(q + (twice > d));
    }
    return (int64_t)(q + (twice >= d));
}

static itr_binary_args square(const void *a, const void *b, void *y)
{
    return (itr_binary_args){.a = a,
                             .b = b,
                             .y = y,
                             .shape = {SIDE, SIDE},
                             .stride_a = {1, 0},
                             .stride_b = {0, 1},
                             .rank = 2};
}

static void every_pair_of_bytes(void **state)
{
    (void)state;
    for (int i = 0; i < SIDE; i++) {
        a8[i] = b8[i] = (int8_t)(i - 127);
    }
    const itr_binary_args mul = square(a8, b8, y16), div = square(a8, b8, y32);
    itr_mul_i8i8i16_ref(&mul);
    itr_div_i8i8i32_ref(&div);
    for (int i = 0; i < PAIRS; i++) {
        const int a = i / SIDE - 127, b = i % SIDE - 127;
        assert_int_equal(y16[i], a * b);
        assert_int_equal(y32[i], quotient(a, b, 23));
    }
}

static void random_words(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (int i = 0; i < PAIRS; i++) {
        a8[i] = (int8_t)between(&seed, -127, 127);
        a16[i] = (int16_t)(i % 9 ? between(&seed, -32767, 32767) : 32767);
        b16[i] = (int16_t)(i % 7 ? between(&seed, -32767, 32767) : between(&seed, -2, 2));
    }
    itr_binary_args v = {
        .a = a16, .b = b16, .shape = {PAIRS}, .stride_a = {1}, .stride_b = {1}, .rank = 1};
    v.y = y64;
    itr_div_i16i16i64_ref(&v);
    v.y = y32;
    itr_mul_i16i16i32_ref(&v);
    for (int i = 0; i < PAIRS; i++) {
        assert_int_equal(y32[i], (int32_t)a16[i] * b16[i]);
        assert_int_equal(y64[i], quotient(a16[i], b16[i], 40));
    }
    v.a = a8;
    itr_mul_i8i16i32_ref(&v);
    for (int i = 0; i < PAIRS; i++) {
        assert_int_equal(y32[i], (int32_t)a8[i] * b16[i]);
    }
}

/** Operands of random shapes with some axes of 1, of lower rank or of no extent. */
static void broadcasting(void **state)
{
    (void)state;
    uint64_t seed = 2;
    for (int round = 0; round < 3000; round++) {
        itr_binary_args v = {.a = a16, .b = b16, .y = y32, .rank = (int32_t)between(&seed, 0, 5)};
        int64_t size_a = 1, size_b = 1, n = 1;
        for (int i = v.rank - 1; i >= 0; i--) {
            v.shape[i] = between(&seed, round % 50 ? 1 : 0, 5);
            n *= v.shape[i];
            if (between(&seed, 0, 2)) {
                v.stride_a[i] = size_a;
                size_a *= v.shape[i];
            }
            if (between(&seed, 0, 2)) {
                v.stride_b[i] = size_b;
                size_b *= v.shape[i];
            }
        }
        memset(y32, 0x55, sizeof y32);
        itr_mul_i16i16i32_ref(&v);
        for (int64_t i = 0; i < n; i++) {
            int64_t rest = i, at_a = 0, at_b = 0;
            for (int k = v.rank - 1; k >= 0; k--) {
                at_a += rest % v.shape[k] * v.stride_a[k];
                at_b += rest % v.shape[k] * v.stride_b[k];
                rest /= v.shape[k];
            }
            assert_int_equal(y32[i], (int32_t)a16[at_a] * b16[at_b]);
        }
        assert_int_equal(y32[n], 0x55555555);
    }
}

/** A bound on the grid, in doubles: exact for the mantissas and exponents tried here. */
static double grid(int32_t m, int32_t e, int32_t e_x, double absent)
{
    return e == INT32_MIN ? absent : floor(ldexp(m, e - e_x) + 0.5);
}

static void clip_case(int bits, const itr_clip_args *c)
{
    const double limit = bits == 8 ? 127 : 32767;
    const double lo = grid(c->lo_m, c->lo_e, *c->e_x, -INFINITY);
    const double hi = grid(c->hi_m, c->hi_e, *c->e_x, INFINITY);
    itr_clip_args a = *c, g = *c;
    a.x = g.x = bits == 8 ? (const void *)a8 : a16;
    g.dy = bits == 8 ? (const void *)b8 : b16;
    static int8_t clip8[PAIRS], grad8[PAIRS];
    static int16_t clip16[PAIRS], grad16[PAIRS];
    a.y = bits == 8 ? (void *)clip8 : clip16;
    g.y = bits == 8 ? (void *)grad8 : grad16;
    (bits == 8 ? itr_clip_i8_ref : itr_clip_i16_ref)(&a);
    (bits == 8 ? itr_clip_grad_i8i8_ref : itr_clip_grad_i16i16_ref)(&g);
    for (int i = 0; i < c->n; i++) {
        const double x = bits == 8 ? a8[i] : a16[i], dy = bits == 8 ? b8[i] : b16[i];
        double want = fmin(fmax(x, lo), hi);
        want = fmin(fmax(want, -limit), limit);
        assert_true((bits == 8 ? clip8[i] : clip16[i]) == (int)want);
        assert_true((bits == 8 ? grad8[i] : grad16[i]) == (int)(lo < x && x < hi ? dy : 0));
    }
}

static void clip_follows_definition(void **state)
{
    (void)state;
    uint64_t seed = 3;
    for (int i = 0; i < 1000; i++) {
        a8[i] = (int8_t)(i % 255 - 127);
        b8[i] = (int8_t)between(&seed, -127, 127);
        a16[i] = (int16_t)(i % 2 ? between(&seed, -32767, 32767) : i % 255 - 127);
        b16[i] = (int16_t)between(&seed, -32767, 32767);
    }
    for (int round = 0; round < 2000; round++) {
        const int32_t e_x = (int32_t)between(&seed, -60, 20);
        itr_clip_args c = {.e_x = &e_x, .n = 1000};
        c.lo_m = (int32_t)between(&seed, -(1 << 30), 1 << 30);
        c.hi_m = (int32_t)between(&seed, c.lo_m, 1 << 30);
        c.lo_e = c.hi_e = e_x + (int32_t)between(&seed, -40, 3);
        c.lo_m = between(&seed, 0, 4) ? c.lo_m : c.hi_m < 0 ? c.lo_m : 0; /* as Relu6 */
        if (between(&seed, 0, 4) == 0) {
            c.lo_e = INT32_MIN;
        }
        if (between(&seed, 0, 4) == 0) {
            c.hi_e = INT32_MIN;
        }
        clip_case(8, &c);
        clip_case(16, &c);
    }
}

/** Exponents that no shift can bridge, and an exponent that is not set. */
static void clip_far_exponents(void **state)
{
    (void)state;
    static const int32_t far[] = {INT32_MIN, -1000000, 1000000, INT32_MAX};
    static const int8_t x[3] = {-127, 0, 127};
    for (int i = 0; i < 4; i++) {
        int8_t y[3];
        const itr_clip_args a = {.x = x,
                                 .e_x = &far[i],
                                 .y = y,
                                 .n = 3,
                                 .lo_m = 0,
                                 .lo_e = -30,
                                 .hi_m = 1610612736,
                                 .hi_e = -28}; /* Relu6 */
        itr_clip_i8_ref(&a);
        assert_int_equal(y[0], 0);
        assert_int_equal(y[1], 0);
        assert_int_equal(y[2], i < 2 ? 127 : 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair_of_bytes), cmocka_unit_test(random_words),
        cmocka_unit_test(broadcasting),        cmocka_unit_test(clip_follows_definition),
        cmocka_unit_test(clip_far_exponents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
