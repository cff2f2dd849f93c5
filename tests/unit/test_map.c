/** tanh, sigmoid, their slopes and the functions under them, against libm. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/fixed.h"
#include "runtime/kernel.h"
#include "runtime_random.h"

enum { ALL = 65535 };

typedef void (*map_kernel)(const itr_map_args *a);

typedef struct function {
    map_kernel from8, from16;
    double (*value)(double x);
} function;

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/** 1/cosh^2, without the cancellation of 1 - tanh^2. */
static double tanh_slope(double x)
{
    const double e = exp(-2 * fabs(x));
    return 4 * e / ((1 + e) * (1 + e));
}

static double sigmoid_slope(double x)
{
    return tanh_slope(x / 2) / 4;
}

static const function functions[4] = {
    {itr_tanh_i8i16_ref, itr_tanh_i16i16_ref, tanh},
    {itr_tanh_slope_i8i16_ref, itr_tanh_slope_i16i16_ref, tanh_slope},
    {itr_sigmoid_i8i16_ref, itr_sigmoid_i16i16_ref, sigmoid},
    {itr_sigmoid_slope_i8i16_ref, itr_sigmoid_slope_i16i16_ref, sigmoid_slope},
};

static int16_t x[ALL], y[ALL];

static void all_mantissas_all_exponents(void **state)
{
    (void)state;
    for (int i = 0; i < ALL; i++) {
        x[i] = (int16_t)(i - 32767);
    }
    static const int32_t far[] = {-1000, INT32_MIN, 1000, INT32_MAX};
    for (int k = 0; k < 4; k++) {
        for (int32_t i = -52; i <= 22; i++) {
            const int32_t e = i < 19 ? i : far[i - 19];
            const itr_map_args a = {.x = x, .e_x = &e, .y = y, .n = ALL};
            const int scale = e < -2000 ? -2000 : e > 2000 ? 2000 : e;
            functions[k].from16(&a);
            for (int j = 0; j < ALL; j++) {
                double want = 32768 * functions[k].value(ldexp(x[j], scale));
                want = want > 32767 ? 32767 : want < -32767 ? -32767 : want;
                assert_true(fabs(y[j] - want) <= 0.5001);
            }
        }
    }
}

static void bytes_as_int16(void **state)
{
    (void)state;
    static int8_t bytes[600];
    static int16_t wide[600], got[600], want[600];
    for (int i = 0; i < 600; i++) {
        bytes[i] = (int8_t)(i % 255 - 127);
        wide[i] = bytes[i];
    }
    for (int k = 0; k < 4; k++) {
        for (int32_t e = -20; e <= 5; e++) {
            for (int n = 100; n <= 600; n += 500) { /* element by element, by table */
                const itr_map_args a = {.x = bytes, .e_x = &e, .y = got, .n = n};
                const itr_map_args b = {.x = wide, .e_x = &e, .y = want, .n = n};
                functions[k].from8(&a);
                functions[k].from16(&b);
                assert_memory_equal(got, want, (size_t)n * sizeof *got);
            }
        }
    }
}

/** Part of the specification: the same on every machine. */
static void known_answers(void **state)
{
    (void)state;
    static const int16_t in[8] = {-32767, -12345, -4097, -1, 0, 777, 8192, 30000};
    static const int16_t want[4][8] = {
        {-32746, -29701, -15146, -4, 0, 3099, 24956, 32725},
        {44, 5847, 25767, 32767, 32767, 32475, 13762, 86},
        {589, 5944, 12370, 16383, 16384, 17160, 23955, 31948},
        {579, 4866, 7700, 8192, 8192, 8174, 6443, 800},
    };
    for (int k = 0; k < 4; k++) {
        const int32_t e = -13;
        int16_t out[8];
        const itr_map_args a = {.x = in, .e_x = &e, .y = out, .n = 8};
        functions[k].from16(&a);
        assert_memory_equal(out, want[k], sizeof out);
    }
}

static void powers(void **state)
{
    (void)state;
    uint32_t before = 0;
    for (uint64_t f = 0; f <= UINT32_MAX; f += 4099) {
        const uint32_t got = itr_exp2_q31((uint32_t)f);
        assert_true(got >= before);
        assert_true(fabs(got / exp2(31 + (double)f / 4294967296.0) - 1) < 0x1p-28);
        before = got;
    }
    assert_int_equal(itr_exp2_q31(0), UINT32_C(0x80000000));
    assert_true(itr_exp2_q31(UINT32_MAX) >= UINT32_C(0xFFFFFFF0));
    assert_int_equal(itr_exp2_neg((uint64_t)5 << 32, 48), (uint64_t)1 << 43);
    assert_int_equal(itr_exp2_neg(ITR_OCTAVES_MAX, 62), 0);
}

static void exponentials(void **state)
{
    (void)state;
    uint64_t seed = 3;
    for (int i = 0; i < 300000; i++) {
        const uint32_t d = (uint32_t)between(&seed, 0, 65534);
        const int e = (int)between(&seed, -60, 20);
        const double v = ldexp(d, e);
        const double got = (double)itr_exp2_neg(itr_octaves(d, itr_octaves_shift(e)), 62);
        if (v < 14) { /* to 20 octaves: the truncation of the last bit does not show */
            assert_true(fabs(got / ldexp(exp(-v), 62) - 1) < 0x1p-27);
        } else {
            assert_true(fabs(got - ldexp(exp(-v), 62)) < 0x1p42);
        }
    }
}

static void logarithms(void **state)
{
    (void)state;
    uint64_t seed = 4;
    for (int i = 0; i < 300000; i++) {
        const uint64_t r = next(&seed) >> (i % 64);
        const uint64_t s = r ? r : 1;
        const int q = i % 65;
        const long double want = logl((long double)s) - q * 0.693147180559945309417232L;
        assert_true(fabsl((long double)itr_log_q32(s, q) / 4294967296.0L - want) < 0x1p-29L);
    }
    assert_int_equal(itr_log_q32(1, 0), 0);
    assert_int_equal(itr_log_q32((uint64_t)1 << 48, 48), 0);
    assert_int_equal(itr_log_q32(10, 0), 9889527669);
}

static void alignment(void **state)
{
    (void)state;
    assert_int_equal(itr_align_clamped(5, -1), 3);
    assert_int_equal(itr_align_clamped(-5, -1), -2);
    assert_int_equal(itr_align_clamped(-5, INT64_C(-3000000000)), 0);
    assert_int_equal(itr_align_clamped(0, INT64_C(3000000000)), 0);
    assert_int_equal(itr_align_clamped(-1, INT64_C(3000000000)), INT64_MIN / 4);
    assert_int_equal(itr_align_clamped(1, 60), (int64_t)1 << 60);
    assert_int_equal(itr_align_clamped(3, 60), (int64_t)1 << 61);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_mantissas_all_exponents),
        cmocka_unit_test(bytes_as_int16),
        cmocka_unit_test(known_answers),
        cmocka_unit_test(powers),
        cmocka_unit_test(exponentials),
        cmocka_unit_test(logarithms),
        cmocka_unit_test(alignment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
