/** Gathers, their gradients and linear maps of an axis, against the definition. */
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

enum { MAX = 30000, ROWS = 40 };

static int8_t x8[MAX];
static int16_t x16[MAX], y16[MAX];
static float xf[MAX], yf[MAX];
static int32_t y32[MAX];
static int64_t y64[MAX], want[MAX], indices[ROWS];

static void fill(uint64_t *seed, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        x8[i] = (int8_t)between(seed, -127, 127);
        x16[i] = x8[i];
        xf[i] = x8[i];
    }
}

static itr_gather_args random_gather(uint64_t *seed, itr_rng *rng)
{
    itr_gather_args a = {.index = indices, .rng = rng};
    a.outer = between(seed, 1, 4);
    a.axis = between(seed, 1, 9);
    a.count = between(seed, 1, ROWS);
    a.inner = between(seed, 1, 150);
    for (int64_t j = 0; j < a.count; j++) {
        indices[j] = between(seed, -a.axis, a.axis - 1);
    }
    return a;
}

static void gather_moves_rows(void **state)
{
    (void)state;
    uint64_t seed = 21;
    itr_rng rng = {0};
    for (int round = 0; round < 300; round++) {
        itr_gather_args a = random_gather(&seed, &rng);
        fill(&seed, a.outer * a.axis * a.inner);
        a.x = x16;
        a.y = y16;
        a.width = 2;
        itr_gather_ref(&a);
        for (int64_t i = 0; i < a.outer * a.count * a.inner; i++) {
            const int64_t at = indices[i / a.inner % a.count];
            const int64_t row = i / a.inner / a.count * a.axis + (at < 0 ? at + a.axis : at);
            assert_int_equal(y16[i], x16[row * a.inner + i % a.inner]);
        }
    }
    assert_int_equal(rng.status, ITR_OK);
}

static void gradients_add_rows(void **state)
{
    (void)state;
    uint64_t seed = 22;
    itr_rng rng = {0};
    for (int round = 0; round < 300; round++) {
        itr_gather_args a = random_gather(&seed, &rng);
        const int64_t n = a.outer * a.count * a.inner, m = a.outer * a.axis * a.inner;
        fill(&seed, n);
        memset(want, 0, sizeof want);
        for (int64_t i = 0; i < n; i++) {
            const int64_t at = indices[i / a.inner % a.count];
            const int64_t row = i / a.inner / a.count * a.axis + (at < 0 ? at + a.axis : at);
            want[row * a.inner + i % a.inner] += x8[i];
        }
        a.x = x8;
        a.y = y32;
        itr_gather_grad_i8i32_ref(&a);
        a.y = y64;
        itr_gather_grad_i8i64_ref(&a);
        for (int64_t i = 0; i < m; i++) {
            assert_true(y32[i] == want[i] && y64[i] == want[i]);
        }
        a.x = x16;
        itr_gather_grad_i16i64_ref(&a);
        a.x = xf;
        a.y = yf;
        itr_gather_grad_f32_ref(&a);
        for (int64_t i = 0; i < m; i++) {
            assert_true(y64[i] == want[i] && fabs((double)yf[i] - (double)want[i]) <= 0);
        }
    }
}

static void bad_indices_are_reported(void **state)
{
    (void)state;
    static const int64_t bad[] = {3, -4, INT64_MAX, INT64_MIN};
    for (int i = 0; i < 4; i++) {
        itr_rng rng = {0};
        const int64_t index[3] = {1, bad[i], 0};
        itr_gather_args a = {.x = x16, .index = index, .y = y16, .outer = 1, .axis = 3, .count = 3};
        a.inner = 2;
        a.width = 2;
        a.rng = &rng;
        x16[0] = x16[1] = 5;
        itr_gather_ref(&a);
        assert_int_equal(rng.status, ITR_BAD_INPUT);
        assert_true(y16[2] == 0 && y16[3] == 0 && y16[4] == 5);
        rng.status = ITR_OK;
        a.y = y64;
        itr_gather_grad_i16i64_ref(&a);
        assert_int_equal(rng.status, ITR_BAD_INPUT);
    }
}

static void maps_are_sparse_products(void **state)
{
    (void)state;
    uint64_t seed = 23;
    static int32_t first[ROWS + 1], from[ROWS * 4];
    static int16_t coef[ROWS * 4];
    static float coef_f[ROWS * 4];
    for (int round = 0; round < 300; round++) {
        itr_axis_map_args a = {.first = first, .from = from, .coef = coef};
        a.outer = between(&seed, 1, 3);
        a.axis = between(&seed, 1, 9);
        a.count = between(&seed, 1, ROWS);
        a.inner = between(&seed, 1, 200);
        fill(&seed, a.outer * a.axis * a.inner);
        for (int64_t j = 0; j < a.count; j++) {
            first[j + 1] = first[j] + (int32_t)between(&seed, 0, 4);
            for (int32_t t = first[j]; t < first[j + 1]; t++) {
                from[t] = (int32_t)between(&seed, 0, a.axis - 1);
                coef[t] = (int16_t)between(&seed, -32767, 32767);
                coef_f[t] = coef[t];
            }
        }
        const int64_t n = a.outer * a.count * a.inner;
        for (int64_t i = 0; i < n; i++) {
            const int64_t o = i / a.inner / a.count, j = i / a.inner % a.count;
            want[i] = 0;
            for (int32_t t = first[j]; t < first[j + 1]; t++) {
                want[i] += (int64_t)coef[t] * x8[(o * a.axis + from[t]) * a.inner + i % a.inner];
            }
        }
        a.x = x8;
        a.y = y32;
        itr_axis_map_i8i16i32_ref(&a);
        a.y = y64;
        itr_axis_map_i8i16i64_ref(&a);
        for (int64_t i = 0; i < n; i++) {
            assert_true(y32[i] == want[i] && y64[i] == want[i]);
        }
        a.x = x16;
        itr_axis_map_i16i16i64_ref(&a);
        a.x = xf;
        a.coef = coef_f;
        a.y = yf;
        itr_axis_map_f32_ref(&a);
        for (int64_t i = 0; i < n; i++) {
            assert_true(y64[i] == want[i] && fabsf(yf[i] - (float)want[i]) <= 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gather_moves_rows),
        cmocka_unit_test(gradients_add_rows),
        cmocka_unit_test(bad_indices_are_reported),
        cmocka_unit_test(maps_are_sparse_products),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
