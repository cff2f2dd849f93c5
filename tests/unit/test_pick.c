/** Picks and scatters at places that indices say, against ONNX's definitions of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/kernel.h"
#include "runtime_random.h"

enum { MAX = 4096, ROUNDS = 300 };

/** A large tensor's places, one for each element of a small one. */
typedef struct places {
    int64_t shape[3], stride[3], extent[2], step[2];
    int32_t rank, depth;
    int64_t inner, size, runs;
    int64_t index[MAX];
    int64_t want[MAX]; /**< by element of the small tensor */
} places;

static places p;
static itr_rng rng;
static int8_t x8[MAX];
static int16_t x16[MAX];
static int64_t x64[MAX];
static float xf[MAX];

/** An index of an axis, counted from either end. */
static int64_t any(uint64_t *seed, int64_t extent)
{
    return between(seed, -extent, extent - 1);
}

static int64_t from_start(int64_t i, int64_t extent)
{
    return i < 0 ? i + extent : i;
}

/** GatherElements of x [A, B, C] on axis 1: y[a, k, c] = x[a, index[a, k, c], c]. */
static void elements(uint64_t *seed)
{
    const int64_t A = between(seed, 1, 4), B = between(seed, 1, 6), C = between(seed, 1, 5);
    const int64_t a = between(seed, 1, A), k = between(seed, 1, 7), c = between(seed, 1, C);
    p = (places){.shape = {a, k, c},
                 .stride = {B * C, 0, 1},
                 .extent = {B},
                 .step = {C},
                 .rank = 3,
                 .depth = 1,
                 .inner = 1,
                 .size = A * B * C,
                 .runs = a * k * c};
    for (int64_t i = 0; i < p.runs; i++) {
        p.index[i] = any(seed, B);
        p.want[i] = (i / (k * c) * B + from_start(p.index[i], B)) * C + i % c;
    }
}

/** GatherND of x [N, D, E, R] by tuples behind one axis: y[n, m] = x[n, i, j] with (i, j) =
 * index[n, m], runs of R elements. */
static void tuples(uint64_t *seed)
{
    const int64_t N = between(seed, 1, 4), D = between(seed, 1, 4), E = between(seed, 1, 4);
    const int64_t R = between(seed, 1, 6), m = between(seed, 1, 6);
    p = (places){.shape = {N, m},
                 .stride = {D * E * R, 0},
                 .extent = {D, E},
                 .step = {E * R, R},
                 .rank = 2,
                 .depth = 2,
                 .inner = R,
                 .size = N * D * E * R,
                 .runs = N * m};
    for (int64_t i = 0; i < p.runs; i++) {
        p.index[2 * i] = any(seed, D);
        p.index[2 * i + 1] = any(seed, E);
        const int64_t at =
            (i / m * D + from_start(p.index[2 * i], D)) * E + from_start(p.index[2 * i + 1], E);
        for (int64_t r = 0; r < R; r++) {
            p.want[i * R + r] = at * R + r;
        }
    }
}

static void next_case(uint64_t *seed, int round)
{
    if (round % 2 == 0) {
        elements(seed);
    } else {
        tuples(seed);
    }
    for (int64_t i = 0; i < MAX; i++) {
        x8[i] = (int8_t)between(seed, -127, 127);
        x16[i] = (int16_t)between(seed, -5, 5); /* equals are common */
        x64[i] = between(seed, -5, 5) * ((int64_t)1 << 40);
        xf[i] = (float)between(seed, -5, 5) / 4;
    }
}

static itr_pick_args picks(const void *x, void *y, int32_t width)
{
    itr_pick_args a = {.x = x,
                       .index = p.index,
                       .y = y,
                       .rank = p.rank,
                       .depth = p.depth,
                       .inner = p.inner,
                       .size = p.size,
                       .width = width,
                       .rng = &rng};
    memcpy(a.shape, p.shape, sizeof p.shape);
    memcpy(a.stride, p.stride, sizeof p.stride);
    memcpy(a.extent, p.extent, sizeof p.extent);
    memcpy(a.step, p.step, sizeof p.step);
    return a;
}

static itr_scatter_source_args sources(const void *x, int64_t *y, uint8_t *written, int least)
{
    itr_scatter_source_args a = {.x = x,
                                 .index = p.index,
                                 .y = y,
                                 .written = written,
                                 .rank = p.rank,
                                 .depth = p.depth,
                                 .inner = p.inner,
                                 .size = p.size,
                                 .least = least,
                                 .rng = &rng};
    memcpy(a.shape, p.shape, sizeof p.shape);
    memcpy(a.stride, p.stride, sizeof p.stride);
    memcpy(a.extent, p.extent, sizeof p.extent);
    memcpy(a.step, p.step, sizeof p.step);
    return a;
}

static void picks_move_elements(void **state)
{
    static int16_t y16[MAX];
    static int64_t y64[MAX];
    uint64_t seed = 5;
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        next_case(&seed, round);
        const itr_pick_args a = picks(x16, y16, 2), b = picks(x64, y64, 8);
        itr_pick_ref(&a);
        itr_pick_ref(&b);
        for (int64_t i = 0; i < p.runs * p.inner; i++) {
            assert_int_equal(y16[i], x16[p.want[i]]);
            assert_int_equal(y64[i], x64[p.want[i]]);
        }
        assert_int_equal(rng.status, ITR_OK);
    }
}

static void sums_meet_at_places(void **state)
{
    static int32_t y32[MAX];
    static int64_t y64[MAX], want8[MAX], want16[MAX];
    static float yf[MAX];
    static double wantf[MAX];
    uint64_t seed = 6;
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        next_case(&seed, round);
        memset(want8, 0, sizeof want8);
        memset(want16, 0, sizeof want16);
        memset(wantf, 0, sizeof wantf);
        for (int64_t i = 0; i < p.runs * p.inner; i++) {
            want8[p.want[i]] += x8[i];
            want16[p.want[i]] += x16[i];
            wantf[p.want[i]] += (double)xf[i];
        }
        const itr_pick_args a = picks(x8, y32, 0), b = picks(x8, y64, 0), c = picks(x16, y64, 0),
                            f = picks(xf, yf, 0);
        itr_scatter_add_i8i32_ref(&a);
        itr_scatter_add_i8i64_ref(&b);
        for (int64_t i = 0; i < p.size; i++) {
            assert_int_equal(y32[i], want8[i]);
            assert_int_equal(y64[i], want8[i]);
        }
        itr_scatter_add_i16i64_ref(&c);
        itr_scatter_add_f32_ref(&f);
        for (int64_t i = 0; i < p.size; i++) {
            assert_int_equal(y64[i], want16[i]);
            assert_true((double)yf[i] >= wantf[i] && (double)yf[i] <= wantf[i]); /* quarters */
        }
    }
}

/** The element of x at each place by the definition: mode 0 the last, 1 the first of the largest, 2
 * of the smallest. */
static void expect(int mode, const double *x, int64_t *source, uint8_t *written)
{
    memset(written, 0, MAX);
    memset(source, 0, MAX * sizeof *source);
    for (int64_t i = 0; i < p.runs * p.inner; i++) {
        const int64_t at = p.want[i];
        const bool better = mode == 0   ? true
                            : mode == 1 ? x[i] > x[source[at]]
                                        : x[i] < x[source[at]];
        if (!written[at] || better) {
            source[at] = i;
            written[at] = 1;
        }
    }
}

static void compare(const int64_t *y, const uint8_t *written, const int64_t *want,
                    const uint8_t *want_written)
{
    assert_memory_equal(written, want_written, (size_t)p.size);
    for (int64_t i = 0; i < p.size; i++) {
        assert_int_equal(y[i], want[i]);
    }
}

static void sources_are_found(void **state)
{
    static int64_t y[MAX], want[MAX];
    static uint8_t written[MAX], want_written[MAX];
    static double value[MAX];
    uint64_t seed = 7;
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        next_case(&seed, round);
        const itr_scatter_source_args last = sources(NULL, y, written, 0);
        itr_scatter_last_ref(&last);
        expect(0, value, want, want_written);
        compare(y, written, want, want_written);
        for (int least = 0; least < 2; least++) {
            const itr_scatter_source_args a = sources(x16, y, written, least),
                                          b = sources(x64, y, written, least),
                                          f = sources(xf, y, written, least);
            for (int64_t i = 0; i < MAX; i++) {
                value[i] = x16[i];
            }
            expect(1 + least, value, want, want_written);
            itr_scatter_best_i16_ref(&a);
            compare(y, written, want, want_written);
            for (int64_t i = 0; i < MAX; i++) {
                value[i] = (double)x64[i];
            }
            expect(1 + least, value, want, want_written);
            itr_scatter_best_i64_ref(&b);
            compare(y, written, want, want_written);
            for (int64_t i = 0; i < MAX; i++) {
                value[i] = (double)xf[i];
            }
            expect(1 + least, value, want, want_written);
            itr_scatter_best_f32_ref(&f);
            compare(y, written, want, want_written);
        }
    }
}

/** Of an index that is none the call tells, and touches nothing for it. */
static void bad_indices_are_told(void **state)
{
    static int16_t y[MAX];
    static int64_t source[MAX], sum[MAX];
    static uint8_t written[MAX];
    uint64_t seed = 8;
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        next_case(&seed, round);
        const int64_t bad = between(&seed, 0, p.runs - 1);
        p.index[bad * p.depth] =
            next(&seed) % 2 != 0 ? p.extent[0] : between(&seed, INT64_MIN + 1, -p.extent[0] - 1);
        const itr_pick_args a = picks(x16, y, 2), c = picks(x16, sum, 0);
        const itr_scatter_source_args s = sources(NULL, source, written, 0);
        rng.status = ITR_OK;
        itr_pick_ref(&a);
        assert_int_equal(rng.status, ITR_BAD_INPUT);
        for (int64_t j = 0; j < p.inner; j++) {
            assert_int_equal(y[bad * p.inner + j], 0);
        }
        rng.status = ITR_OK;
        itr_scatter_last_ref(&s);
        assert_int_equal(rng.status, ITR_BAD_INPUT);
        for (int64_t i = 0; i < p.size; i++) {
            assert_false(written[i] && source[i] / p.inner == bad);
        }
        rng.status = ITR_OK;
        itr_scatter_add_i16i64_ref(&c);
        assert_int_equal(rng.status, ITR_BAD_INPUT);
        rng.status = ITR_OK;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(picks_move_elements),
        cmocka_unit_test(sums_meet_at_places),
        cmocka_unit_test(sources_are_found),
        cmocka_unit_test(bad_indices_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
