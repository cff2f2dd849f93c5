/** Matrix products against naive loops over 64 bits. */
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

enum { MAX = 40000 };

static int8_t a8[MAX], b8[MAX];
static int16_t a16[MAX], b16[MAX];
static float af[MAX], bf[MAX], yf[MAX];
static int32_t y32[MAX];
static int64_t y64[MAX], want[MAX];

/** The definition; `at` reads an operand. */
static void naive(const itr_gemm_args *g, const int16_t *a, const int16_t *b)
{
    for (int64_t i = 0; i < g->batch * g->m * g->n; i++) {
        const int64_t col = i % g->n, row = i / g->n % g->m, batch = i / g->n / g->m;
        want[i] = 0;
        for (int64_t k = 0; k < g->k; k++) {
            const int64_t ia = g->trans_a ? k * g->m + row : row * g->k + k;
            const int64_t ib = g->trans_b ? col * g->k + k : k * g->n + col;
            want[i] += (int64_t)a[batch * g->stride_a + ia] * b[batch * g->stride_b + ib];
        }
    }
}

/** Random operands within +-limit, some of them at it; the same in all types. */
static void fill(uint64_t *seed, int limit)
{
    for (int i = 0; i < MAX; i++) {
        a16[i] = (int16_t)between(seed, -limit, limit);
        b16[i] = (int16_t)(i % 5 ? between(seed, -limit, limit) : i % 2 ? limit : -limit);
        a8[i] = (int8_t)(limit <= 127 ? a16[i] : 0);
        b8[i] = (int8_t)(limit <= 127 ? b16[i] : 0);
        af[i] = a16[i];
        bf[i] = b16[i];
    }
}

static itr_gemm_args random_shape(uint64_t *seed)
{
    itr_gemm_args g = {.batch = between(seed, 1, 3),
                       .m = between(seed, 1, 60),
                       .n = between(seed, 1, 60),
                       .k = between(seed, 0, 40),
                       .trans_a = (int32_t)between(seed, 0, 1),
                       .trans_b = (int32_t)between(seed, 0, 1)};
    if (between(seed, 0, 2) == 0) { /* long sums */
        g.batch = 1;
        g.k = between(seed, 100, 400);
    }
    g.stride_a = between(seed, 0, 3) ? g.m * g.k : 0;
    g.stride_b = between(seed, 0, 3) ? g.n * g.k : 0;
    return g;
}

static void gemm_random_shapes(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (int i = 0; i < 300; i++) {
        const itr_gemm_args shape = random_shape(&seed);
        itr_gemm_args g = shape;
        const size_t n = (size_t)(g.batch * g.m * g.n);
        memset(y32, 85, sizeof y32);
        memset(y64, 85, sizeof y64);
        fill(&seed, 127);
        naive(&g, a16, b16);
        g.a = a8;
        g.b = b8;
        g.y = y32;
        itr_gemm_i8i8i32_ref(&g);
        g.y = y64;
        itr_gemm_i8i8i64_ref(&g);
        for (size_t j = 0; j < n; j++) {
            assert_true(y32[j] == want[j] && y64[j] == want[j]);
        }
        assert_int_equal(y32[n], 0x55555555); /* nothing behind the result */
        assert_true(y64[n] == INT64_C(0x5555555555555555));
        g.a = af;
        g.b = bf;
        g.y = yf;
        itr_gemm_f32_ref(&g); /* sums of integers below 2^24 are exact */
        for (size_t j = 0; j < n; j++) {
            assert_true((double)yf[j] == (double)want[j]);
        }
        fill(&seed, 32767);
        naive(&g, a16, b16);
        g.a = a16;
        g.b = b16;
        g.y = y64;
        itr_gemm_i16i16i64_ref(&g);
        assert_memory_equal(y64, want, n * sizeof *want);
    }
}

/** All operands +-127 at the longest sum that 32 bits hold, and one past it. */
static void gemm_longest_sums(void **state)
{
    (void)state;
    enum { K = 133144 };
    static int8_t a[K + 1], b[K + 1];
    int32_t narrow = 0;
    int64_t wide = 0;
    memset(a, 127, sizeof a);
    for (int sign = -1; sign <= 1; sign += 2) {
        memset(b, sign * 127, sizeof b);
        itr_gemm_args g = {.a = a, .b = b, .y = &narrow, .batch = 1, .m = 1, .n = 1, .k = K};
        itr_gemm_i8i8i32_ref(&g);
        assert_int_equal(narrow, sign * 127 * 127 * (int64_t)K);
        g.y = &wide;
        g.k = K + 1;
        itr_gemm_i8i8i64_ref(&g);
        assert_true(wide == sign * INT64_C(127) * 127 * (K + 1));
        assert_true(llabs(wide) > INT32_MAX);
    }
}

/** All operands at the limits of 16 bits. */
static void gemm_extremes_of_16_bits(void **state)
{
    (void)state;
    for (int sign = -1; sign <= 1; sign += 2) {
        for (int i = 0; i < MAX; i++) {
            a16[i] = 32767;
            b16[i] = (int16_t)(sign * 32767);
        }
        itr_gemm_args g = {.a = a16, .b = b16, .y = y64, .batch = 1, .m = 14, .n = 18, .k = 1001};
        itr_gemm_i16i16i64_ref(&g);
        for (int i = 0; i < 14 * 18; i++) {
            assert_true(y64[i] == sign * INT64_C(32767) * 32767 * 1001);
        }
        g.a = b16;
        g.b = a16;
        itr_gemm_i16i16i64_ref(&g);
        assert_true(y64[250] == sign * INT64_C(32767) * 32767 * 1001);
    }
}

/** Accumulated wider than float: 2^24 + 1 - 2^24 keeps the 1. */
static void gemm_f32_accumulates_in_double(void **state)
{
    (void)state;
    const float a[3] = {16777216.0f, 1.0f, -16777216.0f}, b[3] = {1.0f, 1.0f, 1.0f};
    float y = 0;
    const itr_gemm_args g = {.a = a, .b = b, .y = &y, .batch = 1, .m = 1, .n = 1, .k = 3};
    itr_gemm_f32_ref(&g);
    assert_true(fabsf(y - 1.0f) <= 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gemm_random_shapes),
        cmocka_unit_test(gemm_longest_sums),
        cmocka_unit_test(gemm_extremes_of_16_bits),
        cmocka_unit_test(gemm_f32_accumulates_in_double),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
