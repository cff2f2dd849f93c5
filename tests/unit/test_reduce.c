/** Sums over axes, transposition and copies against the definition. */
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

enum { MAX = 20000 };

static int8_t x8[MAX];
static int16_t x16[MAX];
static float xf[MAX], yf[MAX];
static int32_t y32[MAX];
static int64_t y64[MAX], want[MAX];
static int8_t low[MAX], high[MAX], extremes8[2 * MAX];
static int16_t extremes16[2 * MAX];
static bool fresh[MAX];

static int64_t random_shape(uint64_t *seed, int rank, int64_t *shape)
{
    int64_t n = 1;
    for (int i = 0; i < rank; i++) {
        shape[i] = between(seed, 0, 3) == 0 ? 1 : between(seed, 1, rank > 4 ? 4 : 9);
        if (rank <= 2) {
            shape[i] = between(seed, 1, 140);
        }
        n *= shape[i];
    }
    return n;
}

/** Index into the result of element i. */
static int64_t kept_index(const itr_reduce_args *a, int64_t i)
{
    int64_t index = 0, stride = 1;
    for (int d = a->rank - 1; d >= 0; d--) {
        if (!(a->reduce_mask >> d & 1)) {
            index += i % a->shape[d] * stride;
            stride *= a->shape[d];
        }
        i /= a->shape[d];
    }
    return index;
}

static void reduce_random_shapes(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (int round = 0; round < 1500; round++) {
        itr_reduce_args a = {.rank = (int32_t)between(&seed, 1, 6)};
        const int64_t n = random_shape(&seed, a.rank, a.shape);
        a.reduce_mask = (int32_t)between(&seed, 0, (1 << a.rank) - 1);
        int64_t kept = 0;
        memset(want, 0, sizeof want);
        memset(fresh, true, sizeof fresh);
        for (int64_t i = 0; i < n; i++) {
            x8[i] = (int8_t)between(&seed, -127, 127);
            const int64_t at = kept_index(&a, i);
            low[at] = fresh[at] || x8[i] < low[at] ? x8[i] : low[at];
            high[at] = fresh[at] || x8[i] > high[at] ? x8[i] : high[at];
            fresh[at] = false;
            want[at] += x8[i];
            kept = at + 1 > kept ? at + 1 : kept;
            xf[i] = x8[i];
            x16[i] = (int16_t)(x8[i] * 257);
        }
        a.x = x8;
        a.y = y32;
        a.extremes = extremes8;
        itr_reduce_sum_i8i32_ref(&a);
        a.y = y64;
        a.extremes = NULL;
        itr_reduce_sum_i8i64_ref(&a);
        a.x = xf;
        a.y = yf;
        itr_reduce_sum_f32_ref(&a);
        for (int64_t i = 0; i < kept; i++) {
            assert_true(y32[i] == want[i] && y64[i] == want[i]);
            assert_true((double)yf[i] == (double)want[i]);
            assert_true(extremes8[i] == low[i] && extremes8[kept + i] == high[i]);
        }
        a.x = x16;
        a.y = y64;
        a.extremes = extremes16;
        itr_reduce_sum_i16i64_ref(&a);
        for (int64_t i = 0; i < kept; i++) {
            assert_true(y64[i] == 257 * want[i]);
            assert_true(extremes16[i] == 257 * low[i] && extremes16[kept + i] == 257 * high[i]);
        }
    }
}

static void reduce_long_and_empty(void **state)
{
    (void)state;
    enum { N = 300000 };
    static int16_t long16[N];
    int64_t y[3] = {7, 7, 7};
    for (int i = 0; i < N; i++) {
        long16[i] = -32767;
    }
    itr_reduce_args a = {.x = long16, .y = y, .shape = {N}, .rank = 1, .reduce_mask = 1};
    itr_reduce_sum_i16i64_ref(&a);
    assert_true(y[0] == -INT64_C(32767) * N);
    itr_reduce_args none = {.x = long16, .y = y, .shape = {0, 3}, .rank = 2, .reduce_mask = 1};
    itr_reduce_sum_i16i64_ref(&none);
    assert_true(y[0] == 0 && y[1] == 0 && y[2] == 0);
    y[0] = 7;
    none.reduce_mask = 2; /* no result either */
    itr_reduce_sum_i16i64_ref(&none);
    assert_true(y[0] == 7);
}

/** 2^24 + 1 - 2^24 keeps the 1. */
static void reduce_f32_accumulates_in_double(void **state)
{
    (void)state;
    const float x[3] = {16777216.0f, 1.0f, -16777216.0f};
    for (int wide = 0; wide <= 1; wide++) {
        float y = 0;
        itr_reduce_args a = {.x = x, .y = &y, .shape = {3, 1}, .rank = 2, .reduce_mask = 1};
        if (wide) {
            a.shape[0] = 1;
            a.shape[1] = 3;
            a.reduce_mask = 2;
        }
        itr_reduce_sum_f32_ref(&a);
        assert_true(fabsf(y - 1.0f) <= 0);
    }
}

/** A random box in a buffer of MAX elements: its place and strides, with steps of either sign. */
static void random_box(uint64_t *seed, const itr_move_args *a, bool distinct, int64_t *stride,
                       int64_t *first)
{
    int64_t step = 1;
    int order[ITR_MAX_RANK];
    for (int i = 0; i < a->rank; i++) { /* a random permutation */
        const int j = (int)between(seed, 0, i);
        order[i] = order[j];
        order[j] = i;
    }
    for (int i = 0; i < a->rank; i++) {
        const int64_t by = between(seed, distinct, 2), gap = between(seed, 0, 1);
        const int64_t extent = (a->shape[order[i]] - 1) * by + 1 + gap;
        const bool back = by > 0 && between(seed, 0, 3) == 0;
        stride[order[i]] = back ? -by * step : by * step;
        first[order[i]] = back ? (extent - 1) * step : between(seed, 0, gap) * step;
        step *= extent;
    }
    assert_true(step <= MAX);
}

static void move_random_boxes(void **state)
{
    (void)state;
    static unsigned char x[MAX * 8], y[MAX * 8], moved[MAX * 8];
    uint64_t seed = 2;
    for (size_t i = 0; i < sizeof x; i++) {
        x[i] = (unsigned char)next(&seed);
    }
    for (int round = 0; round < 3000; round++) {
        itr_move_args a = {.x = x, .y = y, .width = 1 << between(&seed, 0, 3)};
        int64_t n = 1, at[ITR_MAX_RANK] = {0};
        a.rank = (int32_t)between(&seed, 0, 4);
        for (int i = 0; i < a.rank; i++) {
            a.shape[i] = between(&seed, 1, i < 2 ? 17 : 2);
            n *= a.shape[i];
        }
        random_box(&seed, &a, false, a.stride_x, a.first_x);
        random_box(&seed, &a, true, a.stride_y, a.first_y);
        memset(y, 0, sizeof y);
        memset(moved, 0, sizeof moved);
        itr_move_ref(&a);
        for (int64_t k = 0; k < n; k++) {
            int64_t from = 0, to = 0;
            for (int i = 0; i < a.rank; i++) {
                from += a.first_x[i] + at[i] * a.stride_x[i];
                to += a.first_y[i] + at[i] * a.stride_y[i];
            }
            memcpy(moved + to * a.width, x + from * a.width, (size_t)a.width);
            for (int i = a.rank - 1; i >= 0 && ++at[i] == a.shape[i]; i--) {
                at[i] = 0;
            }
        }
        assert_memory_equal(y, moved, sizeof y);
    }
}

static void move_of_nothing(void **state)
{
    (void)state;
    const char x[1] = "a";
    char y[1] = "b";
    const itr_move_args a = {
        .x = x, .y = y, .rank = 2, .width = 1, .shape = {0, 3}, .stride_x = {1, 0}};
    itr_move_ref(&a);
    assert_int_equal(y[0], 'b');
    const itr_zero_args z = {.y = y, .bytes = 1};
    itr_zero_ref(&z);
    assert_int_equal(y[0], 0);
}

static void copy_copies(void **state)
{
    (void)state;
    const char x[] = "some bytes";
    char y[sizeof x + 1] = {0};
    itr_copy_args a = {.x = x, .y = y, .bytes = sizeof x};
    itr_copy_ref(&a);
    assert_memory_equal(x, y, sizeof x);
    assert_int_equal(y[sizeof x], 0);
    a.x = y;
    itr_copy_ref(&a);
    assert_memory_equal(x, y, sizeof x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reduce_random_shapes),
        cmocka_unit_test(reduce_long_and_empty),
        cmocka_unit_test(reduce_f32_accumulates_in_double),
        cmocka_unit_test(move_random_boxes),
        cmocka_unit_test(move_of_nothing),
        cmocka_unit_test(copy_copies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
