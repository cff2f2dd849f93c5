/** Learning-rate schedules against double arithmetic. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/itr.h"
#include "runtime_random.h"

#define PI 3.14159265358979323846

static double value(itr_scalar s)
{
    return ldexp(s.m, s.e);
}

/** A result is an exact zero or has 31 bits. */
static void check(const itr_schedule *s, int64_t step, double want, double tolerance)
{
    const itr_scalar got = itr_schedule_at(s, step);
    assert_true(got.m == 0 || llabs(got.m) >= 1 << 30);
    assert_true(fabs(value(got) - want) <= tolerance);
}

static itr_schedule random_schedule(uint64_t *seed, itr_schedule_kind kind)
{
    const itr_schedule s = {
        .kind = kind,
        .lr = {(int32_t)between(seed, 1, INT32_MAX), (int32_t)between(seed, -40, -25)},
        .horizon = between(seed, 1, kind == ITR_SCHEDULE_STEP ? 50 : 1 << 20)};
    return s;
}

static void constant_keeps_rate(void **state)
{
    (void)state;
    const itr_schedule s = {.kind = ITR_SCHEDULE_CONSTANT, .lr = {26214, -18}};
    assert_int_equal(itr_schedule_at(&s, 0).m, 26214 << 16);
    assert_int_equal(itr_schedule_at(&s, 0).e, -34);
    check(&s, INT64_MAX, 26214.0 / 262144, 0);
    const itr_schedule off = {.kind = ITR_SCHEDULE_CONSTANT, .lr = {0, 5}};
    assert_int_equal(itr_schedule_at(&off, 3).m, 0);
}

static void cosine_within_28_bits(void **state)
{
    (void)state;
    uint64_t seed = 5;
    for (int i = 0; i < 20000; i++) {
        const itr_schedule s = random_schedule(&seed, ITR_SCHEDULE_COSINE);
        const int64_t step = between(&seed, 0, s.horizon + 1);
        const double lr = value(s.lr);
        const double t = (double)step / (double)s.horizon;
        const double half = cos(PI / 2 * t); /* (1 + cos(pi t)) / 2, without cancellation */
        const double want = step >= s.horizon ? 0 : lr * half * half;
        check(&s, step, want, lr * ldexp(1, -29));
        check(&s, step, want, want * ldexp(1, -26) + lr * 1e-15); /* and relative, near the end */
    }
    const itr_schedule s = {.kind = ITR_SCHEDULE_COSINE, .lr = {1, 0}, .horizon = 100};
    check(&s, 0, 1, 0);
    check(&s, 50, 0.5, ldexp(1, -30));
    check(&s, 100, 0, 0);
    check(&s, INT64_MAX, 0, 0);
}

static void linear_falls_to_zero(void **state)
{
    (void)state;
    uint64_t seed = 6;
    for (int i = 0; i < 20000; i++) {
        itr_schedule s = random_schedule(&seed, ITR_SCHEDULE_LINEAR);
        if (i % 10 == 0) {
            s.horizon = between(&seed, 1, INT64_MAX);
        }
        const int64_t step = between(&seed, 0, s.horizon);
        const double lr = value(s.lr);
        const double want = lr * ((double)(s.horizon - step) / (double)s.horizon);
        check(&s, step, want, want * ldexp(1, -29));
    }
    const itr_schedule s = {.kind = ITR_SCHEDULE_LINEAR, .lr = {1, 0}, .horizon = 4};
    check(&s, 1, 0.75, 0);
    check(&s, 4, 0, 0);
}

static void step_multiplies_each_period(void **state)
{
    (void)state;
    uint64_t seed = 7;
    for (int i = 0; i < 5000; i++) {
        itr_schedule s = random_schedule(&seed, ITR_SCHEDULE_STEP);
        s.factor = (itr_scalar){(int32_t)between(&seed, 1 << 29, INT32_MAX), -31};
        const int64_t step = between(&seed, 0, 400 * s.horizon);
        const double want = value(s.lr) * pow(value(s.factor), (double)(step / s.horizon));
        check(&s, step, want, want * ldexp(1, -30));
    }
    itr_schedule s = {.kind = ITR_SCHEDULE_STEP, .lr = {1, 0}, .horizon = 1, .factor = {1, -1}};
    check(&s, 1000, ldexp(1, -1000), 0);
    check(&s, INT64_MAX, 0, 0); /* not representable: an exact zero */
    s.factor = (itr_scalar){2, 0};
    check(&s, 10, 1024, 0);
    s.factor = (itr_scalar){0, 0};
    check(&s, 0, 1, 0);
    check(&s, 1, 0, 0);
    s.horizon = 0; /* no period */
    check(&s, 1000, 1, 0);
}

static void inverse_divides(void **state)
{
    (void)state;
    uint64_t seed = 9;
    for (int i = 0; i < 20000; i++) {
        itr_schedule s = random_schedule(&seed, ITR_SCHEDULE_INVERSE);
        s.factor =
            (itr_scalar){(int32_t)between(&seed, 1, INT32_MAX), (int32_t)between(&seed, -60, -20)};
        s.horizon = between(&seed, 0, 1000);
        const int64_t step = between(&seed, 0, (int64_t)1 << between(&seed, 0, 40));
        const double want = value(s.lr) / (1 + value(s.factor) * (double)(s.horizon + step));
        check(&s, step, want, want * ldexp(1, -29));
    }
    itr_schedule s = {.kind = ITR_SCHEDULE_INVERSE, .lr = {1, 0}, .factor = {1, -1}};
    check(&s, 0, 1, 0);
    check(&s, 2, 0.5, 0);
    s.factor = (itr_scalar){INT32_MAX, INT32_MAX}; /* nothing that is representable */
    s.horizon = INT64_MAX;
    check(&s, INT64_MAX, 0, 0);
    s.factor.e = INT32_MIN;
    check(&s, INT64_MAX, 1, 0);
}

static void warmup_rises_linearly(void **state)
{
    (void)state;
    uint64_t seed = 8;
    for (int kind = ITR_SCHEDULE_CONSTANT; kind <= ITR_SCHEDULE_INVERSE; kind++) {
        for (int i = 0; i < 500; i++) {
            itr_schedule s = random_schedule(&seed, (itr_schedule_kind)kind);
            s.factor = (itr_scalar){1, -1};
            s.warmup = between(&seed, 1, 10000);
            const int64_t step = between(&seed, 0, s.warmup - 1);
            const double want = value(s.lr) * (double)(step + 1) / (double)s.warmup;
            check(&s, step, want, want * ldexp(1, -30));
            itr_schedule plain = s;
            plain.warmup = 0;
            const itr_scalar after = itr_schedule_at(&s, s.warmup + i);
            const itr_scalar same = itr_schedule_at(&plain, s.warmup + i);
            assert_memory_equal(&after, &same, sizeof after);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constant_keeps_rate),  cmocka_unit_test(cosine_within_28_bits),
        cmocka_unit_test(linear_falls_to_zero), cmocka_unit_test(step_multiplies_each_period),
        cmocka_unit_test(inverse_divides),      cmocka_unit_test(warmup_rises_linearly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
