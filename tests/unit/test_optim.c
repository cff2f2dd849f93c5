/** The optimizers' division and roots: against their definitions, doubles, and hostile numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/core.h"
#include "runtime/numeric.h"
#include "runtime_random.h"

/* r = floor(sqrt(x)) by its definition, in 64 bits: r^2 <= x < (r+1)^2. */
static void check_root(uint64_t x)
{
    const uint64_t r = itr_isqrt64(x);
    assert_true(r * r <= x);
    assert_true(r == UINT32_MAX || (r + 1) * (r + 1) > x);
}

static void isqrt_is_the_floor_of_the_root(void **state)
{
    (void)state;
    uint64_t random = 1;
    for (uint64_t x = 0; x < 100000; x++) {
        check_root(x);
    }
    for (int bits = 0; bits < 64; bits++) {
        const uint64_t x = (uint64_t)1 << bits;
        check_root(x - 1);
        check_root(x);
        check_root(x + 1);
    }
    for (int i = 0; i < 200000; i++) {
        const uint64_t x = next(&random), root = x >> 32 | 1;
        check_root(x);
        check_root(x >> (i % 64));
        check_root(root * root - 1);
        check_root(root * root);
        check_root(root * root + 2 * root);
    }
    check_root(UINT64_MAX);
    assert_int_equal(itr_isqrt64(UINT64_MAX), UINT32_MAX);
}

static itr_scalar scalar_of(double x)
{
    int e = 0;
    const int64_t m = llrint(ldexp(frexp(x, &e), 31));
    return m >> 31 ? (itr_scalar){(int32_t)(m >> 1), e - 30} : (itr_scalar){(int32_t)m, e - 31};
}

static double value(itr_scalar s)
{
    return ldexp(s.m, s.e);
}

static void one_minus_power_against_double(void **state)
{
    (void)state;
    static const double b[] = {0, 0.5, 0.9, 0.99, 0.999, 0.9999, 1 - 0x1p-24, 1e-6};
    static const int64_t n[] = {1, 2, 3, 10, 100, 12345, 4294967296};
    for (size_t i = 0; i < sizeof b / sizeof b[0]; i++) {
        for (size_t k = 0; k < sizeof n / sizeof n[0]; k++) {
            const itr_scalar s = scalar_of(b[i]);
            const double want = b[i] > 0 ? -expm1((double)n[k] * log(value(s))) : 1;
            const itr_scalar got = itr_one_minus_power(s, n[k]);
            assert_true(got.m >= 1 << 30);
            assert_true(fabs(value(got) - want) <= want * 0x1p-29);
        }
    }
    assert_int_equal(itr_one_minus_power(scalar_of(0.9), 0).m, 0);
}

typedef struct division {
    int16_t x[64];
    int32_t v[64], y[64];
    int32_t e_x, e_v, e_y;
    itr_rng rng;
    double beta1, beta2, eps;
    bool eps_hat;
    int before; /* steps before the first, which is 1 */
} division;

static void divide(division *d)
{
    const itr_scalar b1 = scalar_of(d->beta1), b2 = scalar_of(d->beta2), eps = scalar_of(d->eps);
    const itr_root_div_args a = {.x = d->x,
                                 .e_x = &d->e_x,
                                 .v = d->v,
                                 .e_v = &d->e_v,
                                 .y = d->y,
                                 .e_y = &d->e_y,
                                 .n = 64,
                                 .beta1_m = b1.m,
                                 .beta1_e = b1.e,
                                 .beta2_m = b2.m,
                                 .beta2_e = b2.e,
                                 .eps_m = eps.m,
                                 .eps_e = eps.e,
                                 .eps_hat = d->eps_hat,
                                 .first = d->before + 1,
                                 .rng = &d->rng};
    itr_root_div_i16i32i32_ref(&a);
}

/* PyTorch's formula in double, the divisor at least one stored unit. */
static double quotient(const division *d, int i)
{
    const double t = (double)d->rng.step + 1 + (double)d->before;
    const double c1 = t > 0 ? 1 - pow(d->beta1, t) : 1, c2 = t > 0 ? 1 - pow(d->beta2, t) : 1;
    const double v = ldexp(d->v[i] > 0 ? d->v[i] : 1, d->e_v), x = ldexp(d->x[i], d->e_x);
    return d->eps_hat ? x * sqrt(c2) / c1 / (sqrt(v) + d->eps) : x / c1 / (sqrt(v / c2) + d->eps);
}

static void root_div_against_double(void **state)
{
    (void)state;
    static const double betas[][2] = {{0.9, 0.999}, {0, 0}, {0.8, 0.99}, {0.5, 0.9999}};
    static const double eps[] = {1e-8, 0, 1e-3, 0.5, 1e-16};
    static const uint32_t steps[] = {0, 1, 9, 1000, 4000000000u};
    uint64_t random = 7;
    for (int run = 0; run < 4000; run++) {
        division d = {.beta1 = betas[run % 4][0],
                      .beta2 = betas[run % 4][1],
                      .eps = eps[run / 4 % 5],
                      .eps_hat = run / 100 % 2,
                      .before = run / 200 % 4 - 1,
                      .rng = {.step = steps[run / 20 % 5]}};
        d.e_v = (int32_t)(next(&random) % 121) - 90;
        d.e_x = d.e_v / 2 + (int32_t)(next(&random) % 17) - 4;
        for (int i = 0; i < 64; i++) {
            d.x[i] = (int16_t)((int32_t)(next(&random) % 65535) - 32767);
            d.x[i] = (int16_t)(d.x[i] / (1 << next(&random) % 16));
            d.v[i] = (int32_t)(next(&random) >> 33 >> next(&random) % 31);
        }
        d.x[0] = 32767; /* the largest quotient there is */
        d.v[0] = 0;
        divide(&d);
        assert_int_equal(d.rng.status, ITR_OK);
        for (int i = 0; i < 64; i++) {
            const double want = quotient(&d, i), got = ldexp(d.y[i], d.e_y);
            assert_true(fabs(got - want) <= ldexp(0.51, d.e_y) + fabs(want) * 0x1p-14);
        }
    }
}

/* The resolution is 2^-14 of what an element of full size gives, or better. */
static void root_div_keeps_bits(void **state)
{
    (void)state;
    for (int e = -20; e <= 20; e++) {
        for (int large = 0; large < 2; large++) {
            division d = {.e_x = e, .e_v = 2 * e - 30, .eps = large ? ldexp(1, e + 24) : 0};
            for (int i = 0; i < 64; i++) {
                d.x[i] = 32767;
                d.v[i] = INT32_MAX;
            }
            divide(&d);
            assert_true(d.y[0] >= 1 << 14);
        }
    }
}

static void root_div_survives_anything(void **state)
{
    (void)state;
    static const int32_t hostile[] = {INT32_MIN, -1, 0, 1, INT32_MAX};
    static const int32_t exponents[] = {-(1 << 20), -1000, 0, 1001, 1 << 20};
    for (int i = 0; i < 125; i++) {
        division d = {.beta1 = 0.9,
                      .beta2 = 0.999,
                      .eps = i % 2 ? 1e-8 : 0.999,
                      .e_x = exponents[i % 5],
                      .e_v = exponents[i / 5 % 5]};
        for (int k = 0; k < 64; k++) {
            d.x[k] = (int16_t)(k % 2 ? 32767 : -32767);
            d.v[k] = hostile[(i / 25 + k) % 5];
        }
        divide(&d);
        for (int k = 0; k < 64; k++) { /* a sign, or nothing */
            assert_true(d.y[k] == 0 || (d.y[k] > 0) == (d.x[k] > 0));
            assert_true(d.y[k] > INT32_MIN);
        }
        assert_in_range(d.e_y + (1 << 20), 0, 1 << 21);
        const bool far = d.e_x == 1 << 20 && d.e_v == -(1 << 20) && i % 2 == 1;
        assert_true(!far || d.rng.status == ITR_DIVERGED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(isqrt_is_the_floor_of_the_root),
        cmocka_unit_test(one_minus_power_against_double), cmocka_unit_test(root_div_against_double),
        cmocka_unit_test(root_div_keeps_bits), cmocka_unit_test(root_div_survives_anything)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
