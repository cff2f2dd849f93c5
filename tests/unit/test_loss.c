/** Losses, their gradients and the metrics against doubles; integers as floats. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <float.h>

#include "runtime/kernel.h"
#include "runtime_random.h"

enum { MAX = 20000 };

static int8_t x8[MAX];
static int16_t x16[MAX];
static float xf[MAX], dxf[MAX];
static int32_t dx[MAX], ids[MAX];

typedef struct expected {
    double loss;
    int64_t rows, correct;
    double dx[MAX];
} expected;

static expected want;

/** Cross-entropy from its definition, of x16 at exponent e. */
static void expect(const itr_cross_entropy_args *a, int32_t e)
{
    const double eps = a->smoothing_q30 / 1073741824.0, n = (double)a->axis;
    memset(&want, 0, sizeof want);
    for (int64_t r = 0; r < a->outer * a->inner; r++) {
        const int64_t at = r / a->inner * a->axis * a->inner + r % a->inner;
        double max = -INFINITY, sum = 0;
        int64_t first = 0;
        if (ids[r] == a->ignore_index) {
            continue;
        }
        for (int64_t k = 0; k < a->axis; k++) {
            const double v = ldexp(x16[at + k * a->inner], e);
            first = v > max ? k : first;
            max = v > max ? v : max;
        }
        for (int64_t k = 0; k < a->axis; k++) {
            sum += exp(ldexp(x16[at + k * a->inner], e) - max);
        }
        for (int64_t k = 0; k < a->axis; k++) {
            const double l = ldexp(x16[at + k * a->inner], e) - max - log(sum);
            const double q = eps / n + (k == ids[r] ? 1 - eps : 0);
            want.loss -= q > 0 ? q * l : 0;
            want.dx[at + k * a->inner] = exp(l) - q;
        }
        want.rows++;
        want.correct += first == ids[r];
    }
}

static void check_gradient(const itr_cross_entropy_args *a)
{
    for (int64_t r = 0; r < a->outer * a->inner; r++) {
        const int64_t at = r / a->inner * a->axis * a->inner + r % a->inner;
        int64_t sum = 0;
        for (int64_t k = 0; k < a->axis; k++) {
            const int64_t i = at + k * a->inner;
            const double slack = k == ids[r] ? 0x1p-29 * (double)a->axis : 0x1p-29;
            assert_true(fabs(dx[i] / 1073741824.0 - want.dx[i]) <= slack + 0x1p-25);
            assert_true(fabs((double)dxf[i] - want.dx[i]) <= 1e-7);
            sum += dx[i];
        }
        assert_int_equal(sum, 0);
    }
}

static itr_cross_entropy_args random_case(uint64_t *seed, bool wide, const int32_t *e)
{
    itr_cross_entropy_args a = {.e_x = e,
                                .outer = between(seed, 1, 6),
                                .axis = between(seed, 1, 20),
                                .inner = between(seed, 1, 4),
                                .ignore_index = between(seed, 0, 2) ? INT32_MIN : -100,
                                .weight_m = 3 << 27, /* 3/8 */
                                .weight_e = -30,
                                .weight = 0.375};
    a.ignore_index = between(seed, 0, 5) ? a.ignore_index : 0; /* a class that does not count */
    a.smoothing_q30 = between(seed, 0, 1) ? 0 : (int32_t)between(seed, 0, 1 << 30);
    const int limit = wide ? 32767 : 127;
    for (int64_t i = 0; i < a.outer * a.axis * a.inner; i++) {
        x16[i] = (int16_t)between(seed, -limit, limit);
        x16[i] = (int16_t)(between(seed, 0, 1) ? x16[i] : limit); /* equal maxima */
        x8[i] = (int8_t)(wide ? 0 : x16[i]);
        xf[i] = ldexpf(x16[i], *e);
    }
    for (int64_t i = 0; i < a.outer * a.inner; i++) {
        const bool ignored = a.ignore_index == -100 && between(seed, 0, 3) == 0;
        ids[i] = ignored ? -100 : (int32_t)between(seed, 0, a.axis - 1);
    }
    return a;
}

static void cross_entropy(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (int round = 0; round < 3000; round++) {
        const bool wide = round % 2;
        const int32_t e = (int32_t)between(&seed, -16, wide ? -5 : 3);
        itr_cross_entropy_args a = random_case(&seed, wide, &e);
        const itr_term target = {.x = ids, .dtype = ITR_I32};
        itr_metrics m = {.loss_q24 = 1000, .rows = 5, .correct = 2}, f = m, silent = m;
        a.target = &target;
        a.target_count = 1;
        a.x = wide ? (const void *)x16 : x8;
        a.dx = dx;
        a.metrics = &m;
        (wide ? itr_cross_entropy_i16_ref : itr_cross_entropy_i8_ref)(&a);
        a.dx = NULL;
        a.metrics = &silent;
        (wide ? itr_cross_entropy_i16_ref : itr_cross_entropy_i8_ref)(&a);
        a.x = xf;
        a.dx = dxf;
        a.metrics = &f;
        itr_cross_entropy_f32_ref(&a);
        expect(&a, e);
        const double loss = (double)(m.loss_q24 - 1000) / 16777216.0;
        const double loss_f = (double)(f.loss_q24 - 1000) / 16777216.0;
        assert_true(fabs(loss - want.loss * 0.375) <= (double)want.rows * 0x1p-22 + 0x1p-24);
        assert_true(fabs(loss_f - want.loss * 0.375) <= 0x1p-24 + want.loss * 1e-12);
        assert_int_equal(m.rows, 5 + want.rows);
        assert_int_equal(m.correct, 2 + want.correct);
        assert_int_equal(f.rows, m.rows);
        assert_int_equal(f.correct, m.correct);
        assert_memory_equal(&silent, &m, sizeof m);
        check_gradient(&a);
    }
}

/** The ids' types, and ids that are no class. */
static void class_ids(void **state)
{
    (void)state;
    static const uint8_t u8[2] = {2, 250};
    static const int8_t i8[2] = {2, -1};
    static const int16_t i16[2] = {2, 260};
    static const int32_t i32[2] = {2, INT32_MIN};
    const itr_term target[4] = {{.x = u8, .dtype = ITR_U8},
                                {.x = i8, .dtype = ITR_I8},
                                {.x = i16, .dtype = ITR_I16},
                                {.x = i32, .dtype = ITR_I32}};
    static const int32_t e = 0;
    for (int i = 0; i < MAX; i++) {
        x16[i] = (int16_t)(i % 3);
        xf[i] = x16[i];
    }
    for (int k = 0; k < 8; k++) {
        itr_metrics m = {0};
        const bool floats = k >= 4;
        void *out = floats ? (void *)dxf : dx;
        itr_cross_entropy_args a = {.x = floats ? (const void *)xf : x16,
                                    .e_x = &e,
                                    .target = &target[k % 4],
                                    .target_count = 1,
                                    .dx = out,
                                    .metrics = &m,
                                    .outer = 1,
                                    .axis = 3,
                                    .inner = 1,
                                    .ignore_index = INT32_MIN,
                                    .weight_m = 1,
                                    .weight = 1};
        void (*const run)(const itr_cross_entropy_args *) =
            floats ? itr_cross_entropy_f32_ref : itr_cross_entropy_i16_ref;
        run(&a);
        assert_int_equal(m.rows, 1);
        assert_int_equal(m.correct, 1);
        const itr_metrics before = m;
        a.outer = 2;
        run(&a);
        assert_int_equal(m.rows, -1);
        assert_int_equal(m.loss_q24, before.loss_q24);
        for (int i = 0; i < 6; i++) { /* nothing is left undefined */
            assert_true(floats ? fpclassify(dxf[i]) == FP_ZERO : dx[i] == 0);
        }
        a.outer = 1;
        run(&a); /* a failure is not forgotten */
        assert_int_equal(m.rows, -1);
    }
}

/** Part of the specification: the same on every machine. */
static void known_answers(void **state)
{
    (void)state;
    static const int16_t x[6] = {-32767, 1200, 32767, 31000, 32766, 20000};
    static const int32_t e = -12;
    static const uint8_t id[1] = {3};
    static const int32_t want_dx[2][6] = {
        {44, 179254, 398553155, -814841171, 398455864, 17652854},
        {-17895653, -17716443, 380657458, -725362686, 380560167, -242843},
    };
    static const int64_t want_loss[2] = {23864926, 30762180};
    const itr_term target = {.x = id, .dtype = ITR_U8};
    for (int k = 0; k < 2; k++) {
        itr_metrics m = {0};
        int32_t got[6];
        const itr_cross_entropy_args a = {.x = x,
                                          .e_x = &e,
                                          .target = &target,
                                          .target_count = 1,
                                          .dx = got,
                                          .metrics = &m,
                                          .outer = 1,
                                          .axis = 6,
                                          .inner = 1,
                                          .smoothing_q30 = k ? 107374182 : 0,
                                          .ignore_index = INT32_MIN,
                                          .weight_m = 1 << 30,
                                          .weight_e = -30};
        itr_cross_entropy_i16_ref(&a);
        assert_memory_equal(got, want_dx[k], sizeof got);
        assert_int_equal(m.loss_q24, want_loss[k]);
    }
}

/** Many classes far below the largest still count in the sum. */
static void long_tail(void **state)
{
    (void)state;
    static const int32_t e = -10;
    static const int16_t id[1] = {0};
    const itr_term target = {.x = id, .dtype = ITR_I16};
    itr_metrics m = {0};
    for (int i = 0; i < MAX; i++) {
        x16[i] = (int16_t)(i ? -8000 : 17000); /* exp(-24.4), 20,000 times */
    }
    const itr_cross_entropy_args a = {.x = x16,
                                      .e_x = &e,
                                      .target = &target,
                                      .target_count = 1,
                                      .metrics = &m,
                                      .outer = 1,
                                      .axis = MAX,
                                      .inner = 1,
                                      .ignore_index = INT32_MIN,
                                      .weight_m = 1,
                                      .weight_e = 0};
    itr_cross_entropy_i16_ref(&a);
    const double loss = log1p((MAX - 1) * exp(-25000.0 / 1024));
    assert_true(fabs((double)m.loss_q24 / 16777216.0 - loss) < 0x1p-22);
}

static itr_metrics square(int32_t e, int64_t n, int32_t weight_m, int32_t weight_e, int64_t start)
{
    itr_metrics m = {.loss_q24 = start};
    const itr_square_loss_args a = {.x = x16,
                                    .e_x = &e,
                                    .metrics = &m,
                                    .n = n,
                                    .rows = 7,
                                    .weight_m = weight_m,
                                    .weight_e = weight_e};
    itr_square_loss_i16_ref(&a);
    return m;
}

static void square_loss(void **state)
{
    (void)state;
    uint64_t seed = 2;
    for (int round = 0; round < 2000; round++) {
        const int32_t e = (int32_t)between(&seed, -70, 3);
        const int32_t weight = (int32_t)between(&seed, 1, INT32_MAX);
        const int32_t weight_e = (int32_t)between(&seed, -40, -20);
        const int64_t n = between(&seed, 0, 300);
        itr_metrics f = {0};
        double sum = 0;
        for (int64_t i = 0; i < n; i++) {
            x16[i] = (int16_t)between(&seed, -32767, 32767);
            xf[i] = ldexpf(x16[i], e);
            sum += ldexp(x16[i], e) * ldexp(x16[i], e);
        }
        const double loss = sum * ldexp(weight, weight_e + 24);
        const itr_metrics m = square(e, n, weight, weight_e, 0);
        const itr_square_loss_args a = {
            .x = xf, .metrics = &f, .n = n, .rows = 7, .weight = ldexp(weight, weight_e)};
        itr_square_loss_f32_ref(&a);
        assert_int_equal(m.rows, 7);
        assert_int_equal(f.rows, 7);
        if (loss > 9e18) {
            assert_true(m.loss_q24 > INT64_C(8900000000000000000));
            assert_true(f.loss_q24 > INT64_C(8900000000000000000));
        } else {
            assert_true(fabs((double)m.loss_q24 - loss) <= 0.5 + loss * 1e-13);
            assert_true(fabs((double)f.loss_q24 - loss) <= 0.5 + loss * 1e-13);
        }
    }
}

static void mean_loss(void **state)
{
    (void)state;
    uint64_t seed = 3;
    for (int round = 0; round < 2000; round++) {
        const int32_t e = (int32_t)between(&seed, -60, 3);
        const int32_t weight = (int32_t)between(&seed, 1, INT32_MAX);
        const int64_t n = between(&seed, 0, 300);
        itr_metrics m = {0}, f = {0};
        double sum = 0;
        for (int64_t i = 0; i < n; i++) {
            x16[i] = (int16_t)between(&seed, -32767, 32767);
            xf[i] = ldexpf(x16[i], e);
            sum += ldexp(x16[i], e);
        }
        const itr_mean_loss_args a = {.x = x16,
                                      .e_x = &e,
                                      .metrics = &m,
                                      .n = n,
                                      .rows = 7,
                                      .weight_m = weight,
                                      .weight_e = -31};
        itr_mean_loss_args b = a;
        b.x = xf;
        b.metrics = &f;
        b.weight = ldexp(weight, -31);
        itr_mean_loss_i16_ref(&a);
        itr_mean_loss_f32_ref(&b);
        const double right = sum * ldexp(weight, -31 + 24);
        assert_int_equal(m.rows, 7);
        assert_int_equal(f.rows, 7);
        assert_true(fabs((double)m.loss_q24 - right) <= 0.5 + fabs(right) * 1e-13);
        assert_true(fabs((double)f.loss_q24 - right) <= 0.5 + fabs(right) * 1e-13);
    }
}

static void losses_saturate(void **state)
{
    (void)state;
    x16[0] = 32767;
    assert_int_equal(square(20, 1, 1, 0, 0).loss_q24, INT64_MAX);
    assert_int_equal(square(1 << 20, 1, 1, 0, 0).loss_q24, INT64_MAX);
    assert_int_equal(square(INT32_MIN, 1, 1, 0, 3).loss_q24, 3);
    assert_int_equal(square(-20, 1, 1, 0, INT64_MAX - 1).loss_q24, INT64_MAX);
    assert_int_equal(square(-20, 1, 1, 0, INT64_MAX).loss_q24, INT64_MAX);
    x16[0] = 1; /* halves of a unit: ties up, from every part of the product */
    assert_int_equal(square(0, 1, 1, -25, 0).loss_q24, 1);
    assert_int_equal(square(0, 1, 1, -26, 0).loss_q24, 0);
    assert_int_equal(square(16, 1, INT32_MAX, -24 - 31 - 32, 0).loss_q24, 1);
    x16[0] = 0;
    assert_int_equal(square(1 << 20, 1, 1, 0, 3).loss_q24, 3);
    static const float huge[3] = {FLT_MAX, NAN, INFINITY};
    for (int i = 0; i < 3; i++) {
        itr_metrics m = {0};
        const itr_square_loss_args a = {.x = &huge[i], .metrics = &m, .n = 1, .weight = 1};
        itr_square_loss_f32_ref(&a);
        assert_int_equal(m.loss_q24, INT64_MAX);
    }
}

/** The nearest float of m * 2^e, from the compiler's own conversions. */
static float nearest(int64_t m, int32_t e)
{
    return (float)ldexpl((long double)m, e); /* exact where long double has 64 bits */
}

static void integers_as_floats(void **state)
{
    (void)state;
    if (LDBL_MANT_DIG < 64) {
        skip();
    }
    uint64_t seed = 3;
    for (int round = 0; round < 200000; round++) {
        const int64_t m = (int64_t)next(&seed) >> between(&seed, 0, 63);
        const int32_t e = (int32_t)between(&seed, -220, 130);
        const int64_t x[2] = {m, m / 2 * 2 + 1};
        const itr_term t = {.x = x, .e = &e, .dtype = ITR_I64};
        float y[2];
        const itr_to_float_args a = {.terms = &t, .terms_count = 1, .y = y, .n = 2};
        itr_to_float_ref(&a);
        for (int i = 0; i < 2; i++) {
            const float v = nearest(x[i], e);
            assert_memory_equal(&y[i], &v, sizeof v);
        }
    }
}

/** Ties, the numbers next to them, every width and the ends of the exponent's range. */
static void float_ties_and_types(void **state)
{
    (void)state;
    static const int64_t wide[6] = {16777217,
                                    16777219,
                                    ((int64_t)1 << 62) + ((int64_t)1 << 38),
                                    ((int64_t)1 << 62) + ((int64_t)1 << 38) + 1,
                                    -16777217,
                                    0};
    static const float rounded[6] = {16777216, 16777220, 0x1p62F, 0x1.000002p62F, -16777216, 0};
    static const uint8_t u8[1] = {200};
    static const int8_t i8[1] = {-100};
    static const int16_t i16[1] = {-30000};
    static const int32_t i32[1] = {1 << 30};
    const itr_term terms[5] = {{.x = wide, .dtype = ITR_I64},
                               {.x = u8, .dtype = ITR_U8},
                               {.x = i8, .dtype = ITR_I8},
                               {.x = i16, .dtype = ITR_I16},
                               {.x = i32, .dtype = ITR_I32}};
    static const float one[5] = {16777216, 200, -100, -30000, 0x1p30F};
    float y[6];
    for (int i = 0; i < 5; i++) {
        const itr_to_float_args a = {.terms = &terms[i], .terms_count = 1, .y = y, .n = 1};
        itr_to_float_ref(&a);
        assert_memory_equal(y, &one[i], sizeof *y);
    }
    const itr_to_float_args a = {.terms = terms, .terms_count = 1, .y = y, .n = 6};
    itr_to_float_ref(&a);
    assert_memory_equal(y, rounded, sizeof y);
    static const int32_t far[2] = {INT32_MIN, INT32_MAX};
    for (int i = 0; i < 2; i++) {
        itr_term t = terms[2];
        t.e = &far[i];
        const itr_to_float_args b = {.terms = &t, .terms_count = 1, .y = y, .n = 1};
        itr_to_float_ref(&b);
        assert_true(i ? y[0] < -FLT_MAX : fpclassify(y[0]) == FP_ZERO);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cross_entropy),
        cmocka_unit_test(class_ids),
        cmocka_unit_test(known_answers),
        cmocka_unit_test(long_tail),
        cmocka_unit_test(mean_loss),
        cmocka_unit_test(square_loss),
        cmocka_unit_test(losses_saturate),
        cmocka_unit_test(integers_as_floats),
        cmocka_unit_test(float_ties_and_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
