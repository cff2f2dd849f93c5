/** Softmax, its logarithm and their gradients against doubles. */
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

enum { MAX = 70000 };

static int8_t x8[MAX];
static int16_t x16[MAX], p16[MAX];
static float xf[MAX], yf[MAX], pf[MAX];
static int32_t y32[MAX];
static int64_t y64[MAX];
static double want[MAX], want_log[MAX];

/** Both, of x16 at exponent e. */
static void expect(const itr_softmax_args *a, int32_t e)
{
    for (int64_t r = 0; r < a->outer * a->inner; r++) {
        const int64_t at = r / a->inner * a->axis * a->inner + r % a->inner;
        double max = -INFINITY, sum = 0;
        for (int64_t k = 0; k < a->axis; k++) {
            max = fmax(max, ldexp(x16[at + k * a->inner], e));
        }
        for (int64_t k = 0; k < a->axis; k++) {
            sum += exp(ldexp(x16[at + k * a->inner], e) - max);
        }
        for (int64_t k = 0; k < a->axis; k++) {
            const double v = ldexp(x16[at + k * a->inner], e) - max;
            want_log[at + k * a->inner] = v - log(sum);
            want[at + k * a->inner] = exp(v) / sum;
        }
    }
}

static void check_rows_sum(const itr_softmax_args *a)
{
    for (int64_t r = 0; r < a->outer * a->inner; r++) {
        const int64_t at = r / a->inner * a->axis * a->inner + r % a->inner;
        int64_t sum = 0;
        for (int64_t k = 0; k < a->axis; k++) {
            assert_true(y32[at + k * a->inner] >= 0);
            sum += y32[at + k * a->inner];
        }
        assert_in_range(sum, (1 << 30) - 2 * a->axis, 1 << 30);
    }
}

static void check(itr_softmax_args a, bool wide)
{
    const int32_t e = *a.e_x;
    a.x = wide ? (const void *)x16 : x8;
    a.y = y32;
    (wide ? itr_softmax_i16i32_ref : itr_softmax_i8i32_ref)(&a);
    a.y = y64;
    (wide ? itr_log_softmax_i16i64_ref : itr_log_softmax_i8i64_ref)(&a);
    a.x = xf;
    a.y = yf;
    itr_softmax_f32_ref(&a);
    expect(&a, e);
    for (int64_t i = 0; i < a.outer * a.axis * a.inner; i++) {
        const double p = y32[i] / 1073741824.0, l = (double)y64[i] / 1048576.0;
        assert_true(fabs(p - want[i]) <= want[i] * 0x1p-25 + 0x1p-29);
        assert_true(fabs(l - want_log[i]) <= 0x1p-19 + fabs(want_log[i]) * 0x1p-28);
        assert_true(fabs((double)yf[i] - want[i]) <= 1e-7 * want[i] + 1e-37);
    }
    a.y = yf;
    itr_log_softmax_f32_ref(&a);
    for (int64_t i = 0; i < a.outer * a.axis * a.inner; i++) {
        assert_true(fabs((double)yf[i] - want_log[i]) <= 1e-7 * fabs(want_log[i]) + 1e-14);
    }
    check_rows_sum(&a);
}

static void forward(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (int round = 0; round < 800; round++) {
        const bool wide = round % 2;
        const int limit = wide ? 32767 : 127;
        int32_t e = (int32_t)between(&seed, -18, wide ? -4 : 4);
        itr_softmax_args a = {.e_x = &e,
                              .outer = between(&seed, 1, 4),
                              .axis = between(&seed, 1, round % 10 ? 12 : 1000),
                              .inner = between(&seed, 1, 4)};
        for (int64_t i = 0; i < a.outer * a.axis * a.inner; i++) {
            x16[i] = (int16_t)between(&seed, -limit, limit);
            x8[i] = (int8_t)(wide ? 0 : x16[i]);
            xf[i] = ldexpf(x16[i], e);
        }
        check(a, wide);
    }
}

/** Each difference of int16 once, at each exponent: two classes. */
static void every_difference(void **state)
{
    (void)state;
    for (int32_t e = -20; e <= -2; e++) {
        const itr_softmax_args a = {
            .x = x16, .e_x = &e, .y = y32, .outer = 32767, .axis = 2, .inner = 1};
        for (int i = 0; i < 32767; i++) {
            x16[2 * i] = (int16_t)(i - 16384);
            x16[2 * i + 1] = (int16_t)(16383 - i);
        }
        itr_softmax_i16i32_ref(&a);
        for (int i = 0; i < 2 * 32767; i++) {
            const double v = ldexp(x16[i] - x16[i ^ 1], e);
            const double p = 1 / (1 + exp(-v));
            assert_true(fabs(y32[i] / 1073741824.0 - p) <= p * 0x1p-26 + 0x1p-29);
        }
    }
}

/** Exponents so large that only the maximum counts, or so small that nothing differs. */
static void far_exponents(void **state)
{
    (void)state;
    static const int32_t far[] = {20, 1000000, INT32_MAX, -70, -1000000, INT32_MIN};
    static const int16_t x[4] = {-5, 7, 7, 3};
    for (int i = 0; i < 6; i++) {
        const itr_softmax_args a = {.x = x, .e_x = &far[i], .outer = 1, .axis = 4, .inner = 1};
        itr_softmax_args b = a;
        b.y = y32;
        itr_softmax_i16i32_ref(&b);
        const int32_t half = 1 << 29, quarter = 1 << 28;
        assert_int_equal(y32[0], i < 3 ? 0 : quarter);
        assert_int_equal(y32[1], i < 3 ? half : quarter);
        b.y = y64;
        itr_log_softmax_i16i64_ref(&b);
        assert_int_equal(y64[1], i < 3 ? -726817 : -1453635); /* -ln 2, -ln 4 in Q20 */
        assert_true(i >= 3 ? y64[0] == y64[1] : y64[0] <= y64[1] - ((int64_t)12 << 40));
        assert_true(y64[0] > -((int64_t)1 << 62));
    }
}

/** Part of the specification: the same on every machine. */
static void known_answers(void **state)
{
    (void)state;
    static const int16_t x[6] = {-32767, 1200, 32767, 31000, 32766, 20000};
    static const int32_t e = -12;
    static const int32_t p[6] = {44, 179254, 398553155, 258900648, 398455864, 17652854};
    static const int64_t l[6] = {-17815910, -9120358, -1039206, -1491558, -1039462, -4307558};
    int32_t got[6];
    int64_t got_log[6];
    const itr_softmax_args a = {.x = x, .e_x = &e, .y = got, .outer = 1, .axis = 6, .inner = 1};
    const itr_softmax_args b = {.x = x, .e_x = &e, .y = got_log, .outer = 1, .axis = 6, .inner = 1};
    itr_softmax_i16i32_ref(&a);
    itr_log_softmax_i16i64_ref(&b);
    assert_memory_equal(got, p, sizeof p);
    assert_memory_equal(got_log, l, sizeof l);
}

/** dot(dy, f(x + h v)) - dot(dy, f(x - h v)) over 2h, in double. */
static double slope_along(const double *x, const double *v, const double *dy, int n, bool log_of)
{
    const double h = 1e-5;
    double total[2];
    for (int side = 0; side < 2; side++) {
        double y[16], sum = 0;
        for (int k = 0; k < n; k++) {
            y[k] = x[k] + (side ? h : -h) * v[k];
            sum += exp(y[k]);
        }
        total[side] = 0;
        for (int k = 0; k < n; k++) {
            total[side] += dy[k] * (log_of ? y[k] - log(sum) : exp(y[k]) / sum);
        }
    }
    return (total[1] - total[0]) / (2 * h);
}

/** The kernels' gradients of one row of n <= 16, p rounded to 15 bits. */
static void gradient_of(bool log_of, bool wide, int n, const int16_t *dy, double *dx)
{
    int8_t dy8[16];
    const int32_t e_p = -15;
    int64_t out[16];
    for (int k = 0; k < n; k++) {
        dy8[k] = (int8_t)(wide ? 0 : dy[k]);
        p16[k] = (int16_t)(y32[k] >> 15 < 32767 ? y32[k] >> 15 : 32767);
    }
    const itr_softmax_grad_args a = {.p = p16,
                                     .e_p = &e_p,
                                     .dy = wide ? (const void *)dy : dy8,
                                     .dx = out,
                                     .outer = 1,
                                     .axis = n,
                                     .inner = 1};
    if (log_of) {
        (wide ? itr_log_softmax_grad_i16i16i64_ref : itr_log_softmax_grad_i16i8i64_ref)(&a);
    } else {
        (wide ? itr_softmax_grad_i16i16i64_ref : itr_softmax_grad_i16i8i64_ref)(&a);
    }
    for (int k = 0; k < n; k++) {
        dx[k] = ldexp((double)out[k], log_of ? e_p : 2 * e_p);
    }
}

static void gradient_of_floats(bool log_of, int n, const double *dy, double *dx)
{
    float g[16], out[16];
    for (int k = 0; k < n; k++) {
        g[k] = (float)dy[k];
        pf[k] = (float)y32[k] / 1073741824.0F;
    }
    const itr_softmax_grad_args a = {
        .p = pf, .dy = g, .dx = out, .outer = 1, .axis = n, .inner = 1};
    (log_of ? itr_log_softmax_grad_f32_ref : itr_softmax_grad_f32_ref)(&a);
    for (int k = 0; k < n; k++) {
        dx[k] = (double)out[k];
    }
}

static void gradients_against_differences(void **state)
{
    (void)state;
    uint64_t seed = 5;
    for (int round = 0; round < 2000; round++) {
        const bool log_of = round & 1, wide = round & 2;
        const int n = (int)between(&seed, 1, 16);
        const int32_t e = -13;
        double x[16], v[16], dy[16], got[2][16], dots[2] = {0}, scale = 0;
        int16_t dy16[16];
        for (int k = 0; k < n; k++) {
            x16[k] = (int16_t)between(&seed, -16000, 16000);
            x[k] = ldexp(x16[k], e);
            v[k] = (double)between(&seed, -100, 100) / 100;
            dy16[k] = (int16_t)between(&seed, wide ? -32767 : -127, wide ? 32767 : 127);
            dy[k] = dy16[k];
            scale += fabs(dy[k]);
        }
        const itr_softmax_args a = {
            .x = x16, .e_x = &e, .y = y32, .outer = 1, .axis = n, .inner = 1};
        itr_softmax_i16i32_ref(&a);
        gradient_of(log_of, wide, n, dy16, got[0]);
        gradient_of_floats(log_of, n, dy, got[1]);
        for (int k = 0; k < n; k++) {
            dots[0] += got[0][k] * v[k];
            dots[1] += got[1][k] * v[k];
        }
        const double slope = slope_along(x, v, dy, n, log_of);
        assert_true(fabs(dots[0] - slope) <= scale * n * 0x1p-14);
        assert_true(fabs(dots[1] - slope) <= scale * 1e-6);
    }
}

/** All at the limits, over the longest axis that fits the bound: no overflow (sanitizers). */
static void gradients_fit(void **state)
{
    (void)state;
    enum { LONG = 1 << 17 };
    static int16_t p[LONG], dy[LONG];
    static int64_t dx[LONG];
    const int32_t e_p = -30;
    for (int i = 0; i < LONG; i++) {
        p[i] = 32767;
        dy[i] = -32767;
    }
    dy[0] = 32767;
    const itr_softmax_grad_args a = {
        .p = p, .e_p = &e_p, .dy = dy, .dx = dx, .outer = 1, .axis = LONG, .inner = 1};
    itr_softmax_grad_i16i16i64_ref(&a);
    const int64_t square = INT64_C(32767) * 32767, sum = -square * (LONG - 2);
    assert_int_equal(dx[0], square * (1 << 30) - 32767 * sum);
    assert_int_equal(dx[1], -square * (1 << 30) - 32767 * sum);
    itr_log_softmax_grad_i16i16i64_ref(&a);
    assert_int_equal(dx[1], INT64_C(-32767) * (1 << 30) + square * (LONG - 2));
}

/** What is excluded is as if it were not there; a row of nothing else is even. */
static void excluded_elements_have_no_part(void **state)
{
    (void)state;
    const int32_t e = -9;
    const int16_t all[6] = {300, INT16_MIN, -2000, 1500, INT16_MIN, 7};
    const int16_t some[4] = {300, -2000, 1500, 7},
                  none[4] = {INT16_MIN, INT16_MIN, INT16_MIN, INT16_MIN};
    int32_t y[6], other[4];
    itr_softmax_args a = {.x = all, .e_x = &e, .y = y, .outer = 1, .axis = 6, .inner = 1};
    itr_softmax_i16i32_ref(&a);
    a.x = some, a.y = other, a.axis = 4;
    itr_softmax_i16i32_ref(&a);
    for (int i = 0, k = 0; i < 6; i++) {
        assert_int_equal(y[i], all[i] == INT16_MIN ? 0 : other[k++]);
    }
    a.x = none;
    itr_softmax_i16i32_ref(&a);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(other[i], 1 << 28);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(excluded_elements_have_no_part),
        cmocka_unit_test(forward),
        cmocka_unit_test(every_difference),
        cmocka_unit_test(far_exponents),
        cmocka_unit_test(known_answers),
        cmocka_unit_test(gradients_against_differences),
        cmocka_unit_test(gradients_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
