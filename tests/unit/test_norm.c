/** Normalisation's numbers a slice against double precision, and sums of products against loops. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/kernel.h"
#include "runtime/ref/term.h"
#include "runtime_random.h"

enum { SLICES = 5, MOST = 4096 };

typedef struct results {
    int64_t work[SLICES * 8];
    int32_t scale[SLICES], shift[SLICES], mean[SLICES], var[SLICES];
    int32_t e_scale, e_shift, e_mean, e_var;
    int32_t extremes[2 * SLICES]; /* of the operand's type, from the first byte on */
    itr_rng rng;
} results;

static void close_to(double got, double want, double bound, const char *what)
{
    if (!(fabs(got - want) <= bound)) {
        fail_msg("%s is %.12g, expected %.12g within %g", what, got, want, bound);
    }
}

/** The kernel's numbers of every slice; a result's error is relative to the largest slice's. */
static void check_stats(itr_norm_stats_args *a, results *r, const double *x, double eps)
{
    double scale[SLICES], shift[SLICES], mean[SLICES], var[SLICES];
    double most[4] = {0};
    const int64_t n = a->outer * a->inner;
    for (int64_t s = 0; s < a->slices; s++) {
        long double sum = 0, squares = 0;
        for (int64_t i = 0; i < n; i++) {
            sum += (long double)x[(i / a->inner * a->slices + s) * a->inner + i % a->inner];
        }
        const long double m = a->center ? sum / n : 0;
        for (int64_t i = 0; i < n; i++) {
            const long double d =
                (long double)x[(i / a->inner * a->slices + s) * a->inner + i % a->inner] - m;
            squares += d * d;
        }
        mean[s] = (double)m * (double)a->outer;
        var[s] = (double)(squares / n) * (double)a->outer;
        scale[s] = 1 / sqrt((double)(squares / n) + eps);
        shift[s] = -(double)m * scale[s];
        most[0] = fmax(most[0], scale[s]);
        most[1] = fmax(most[1], fabs(shift[s]));
        most[2] = fmax(most[2], fabs(mean[s]));
        most[3] = fmax(most[3], var[s]);
    }
    const double unit = 0x1p-28;
    for (int64_t s = 0; s < a->slices; s++) {
        close_to(ldexp(r->scale[s], r->e_scale), scale[s], most[0] * ldexp(4, -a->bits), "scale");
        close_to(ldexp(r->shift[s], r->e_shift), shift[s], most[1] * unit, "shift");
        close_to(ldexp(r->mean[s], r->e_mean), mean[s], most[2] * unit, "mean");
        close_to(ldexp(r->var[s], r->e_var), var[s], most[3] * unit, "var");
        assert_true(llabs((long long)r->scale[s]) < 1LL << a->bits);
        assert_true(llabs((long long)r->shift[s]) < 1 << 30);
    }
    assert_int_equal(r->rng.status, ITR_OK);
}

/** The extremes of every slice, which are elements of it: x holds the same numbers times 2^e. */
static void check_extremes(const itr_norm_stats_args *a, itr_dtype type, const double *x)
{
    const itr_term found = {.x = a->extremes, .dtype = type};
    for (int64_t s = 0; s < a->slices; s++) {
        double low = INFINITY, high = -INFINITY;
        for (int64_t i = 0; i < a->outer * a->inner; i++) {
            const double v = x[(i / a->inner * a->slices + s) * a->inner + i % a->inner];
            low = fmin(low, v);
            high = fmax(high, v);
        }
        close_to(ldexp((double)itr_term_integer(&found, s), *a->e_x), low, 0, "least");
        close_to(ldexp((double)itr_term_integer(&found, a->slices + s), *a->e_x), high, 0,
                 "greatest");
    }
}

/** Random extents and exponents; slices that are constant, or far from 0 with little spread. */
static void one_sample(uint64_t *seed, itr_dtype type)
{
    static int8_t i8[MOST];
    static int16_t i16[MOST];
    static int32_t i32[MOST];
    static double x[MOST];
    results r = {.rng = {.status = ITR_OK}};
    const int32_t e = (int32_t)between(seed, -30, 5);
    const int bits = type == ITR_I8 ? 7 : type == ITR_I16 ? 15 : (int)between(seed, 16, 31);
    itr_norm_stats_args a = {.e_x = &e,
                             .work = r.work,
                             .scale = r.scale,
                             .e_scale = &r.e_scale,
                             .shift = r.shift,
                             .e_shift = &r.e_shift,
                             .mean = r.mean,
                             .e_mean = &r.e_mean,
                             .var = r.var,
                             .e_var = &r.e_var,
                             .extremes = r.extremes,
                             .outer = between(seed, 1, 8),
                             .slices = between(seed, 1, SLICES),
                             .inner = between(seed, 1, 90),
                             .bits_x = bits,
                             .bits = between(seed, 0, 1) ? 21 : 27,
                             .center = between(seed, 0, 3) != 0,
                             .eps_m = 11,
                             .eps_e = -20,
                             .rng = &r.rng};
    const int64_t most = (int64_t)((1u << bits) - 1);
    for (int64_t i = 0; i < a.outer * a.slices * a.inner; i++) {
        const int64_t slice = i / a.inner % a.slices;
        const int64_t v = slice == 0   ? most / 3
                          : slice == 1 ? most - between(seed, 0, 2)
                                       : between(seed, -most, most);
        i8[i] = (int8_t)v;
        i16[i] = (int16_t)v;
        i32[i] = (int32_t)v;
        x[i] = ldexp((double)v, e);
    }
    a.x = type == ITR_I8 ? (const void *)i8 : type == ITR_I16 ? (const void *)i16 : i32;
    if (type == ITR_I8) {
        itr_norm_stats_i8_ref(&a);
    } else if (type == ITR_I16) {
        itr_norm_stats_i16_ref(&a);
    } else {
        itr_norm_stats_i32_ref(&a);
    }
    check_stats(&a, &r, x, ldexp(11, -20));
    check_extremes(&a, type, x);
}

static void stats_of_every_width(void **state)
{
    (void)state;
    uint64_t seed = 21;
    for (int i = 0; i < 400; i++) {
        one_sample(&seed, ITR_I8);
        one_sample(&seed, ITR_I16);
        one_sample(&seed, ITR_I32);
    }
}

/** Without epsilon a constant slice has no spread at all: xhat is 0, and nothing diverges. */
static void stats_of_a_constant_without_epsilon(void **state)
{
    (void)state;
    results r = {.rng = {.status = ITR_OK}};
    const int8_t x[3] = {5, 5, 5};
    const int32_t e = -3;
    const itr_norm_stats_args a = {.x = x,
                                   .e_x = &e,
                                   .work = r.work,
                                   .scale = r.scale,
                                   .e_scale = &r.e_scale,
                                   .shift = r.shift,
                                   .e_shift = &r.e_shift,
                                   .outer = 1,
                                   .slices = 1,
                                   .inner = 3,
                                   .bits_x = 7,
                                   .bits = 21,
                                   .center = 1,
                                   .rng = &r.rng};
    itr_norm_stats_i8_ref(&a);
    close_to(ldexp(5, e) * ldexp(r.scale[0], r.e_scale) + ldexp(r.shift[0], r.e_shift), 0, 1e-5,
             "xhat");
    assert_int_equal(r.rng.status, ITR_OK);
}

/** dx = dy * a + xhat * b + c is the derivative, and its three parts fit 32 bits together. */
static void gradient_coefficients(void **state)
{
    (void)state;
    uint64_t seed = 22;
    for (int i = 0; i < 300; i++) {
        const int32_t e_dy = (int32_t)between(&seed, -40, 0),
                      e_xhat = (int32_t)between(&seed, -7, -4);
        const int32_t e_scale = (int32_t)between(&seed, -30, -10);
        const int64_t n = between(&seed, 1, 100000);
        int32_t scale[SLICES], sum[SLICES], a[SLICES], b[SLICES], c[SLICES], e[3];
        int64_t dot[SLICES], work[SLICES * 8];
        itr_rng rng = {.status = ITR_OK};
        for (int s = 0; s < SLICES; s++) {
            scale[s] = (int32_t)between(&seed, 1, (1 << 27) - 1) >> between(&seed, 0, 12);
            sum[s] = (int32_t)between(&seed, -127 * n, 127 * n);
            dot[s] = between(&seed, -127 * 127 * n, 127 * 127 * n);
        }
        const itr_term sums[2] = {{.x = sum, .dtype = ITR_I32}, {.x = dot, .dtype = ITR_I64}};
        const itr_norm_grad_args args = {.sums = sums,
                                         .sums_count = 2,
                                         .scale = scale,
                                         .e_scale = &e_scale,
                                         .e_dy = &e_dy,
                                         .e_xhat = &e_xhat,
                                         .work = work,
                                         .a = a,
                                         .e_a = &e[0],
                                         .b = b,
                                         .e_b = &e[1],
                                         .c = c,
                                         .e_c = &e[2],
                                         .outer = 1,
                                         .slices = SLICES,
                                         .inner = n,
                                         .bits_dy = 7,
                                         .bits_xhat = 7,
                                         .center = 1,
                                         .rng = &rng};
        itr_norm_grad_ref(&args);
        double most = 0;
        for (int s = 0; s < SLICES; s++) {
            most = fmax(most, 127.0 * fabs(ldexp(a[s], e[0] + e_dy)));
            most = fmax(most, 127.0 * fabs(ldexp(b[s], e[1] + e_xhat)));
            most = fmax(most, fabs(ldexp(c[s], e[2])));
            assert_true(127LL * llabs(a[s]) + 127LL * llabs(b[s]) + llabs(c[s]) < 1 << 30);
        }
        for (int s = 0; s < SLICES; s++) {
            const double k = ldexp(scale[s], e_scale), unit = most * 0x1p-19;
            close_to(ldexp(a[s], e[0]) * ldexp(127, e_dy), k * ldexp(127, e_dy), unit, "a");
            close_to(ldexp(b[s], e[1]) * ldexp(127, e_xhat),
                     -k * ldexp((double)dot[s], e_dy + e_xhat) / (double)n * ldexp(127, e_xhat),
                     unit, "b");
            close_to(ldexp(c[s], e[2]), -k * ldexp(sum[s], e_dy) / (double)n, unit, "c");
        }
        assert_true(e[0] + e_dy == e[1] + e_xhat && e[1] + e_xhat == e[2]);
    }
}

/** Sums of products over every choice of axes, operands that repeat along some. */
static void dots_over_axes(void **state)
{
    (void)state;
    static int8_t a[MOST], b[MOST];
    uint64_t seed = 23;
    for (int i = 0; i < 500; i++) {
        itr_reduce_dot_args v = {
            .a = a, .b = b, .rank = 3, .reduce_mask = (int32_t)between(&seed, 0, 7)};
        int64_t want[MOST] = {0}, step[2] = {1, 1};
        int32_t got[MOST];
        v.y = got;
        for (int d = 2; d >= 0; d--) {
            v.shape[d] = between(&seed, 1, 15);
            for (int k = 0; k < 2; k++) {
                const bool repeats = between(&seed, 0, 3) == 0;
                (k ? v.stride_b : v.stride_a)[d] = repeats ? 0 : step[k];
                step[k] *= repeats ? 1 : v.shape[d];
            }
        }
        for (int k = 0; k < MOST; k++) {
            a[k] = (int8_t)between(&seed, -127, 127);
            b[k] = (int8_t)between(&seed, -127, 127);
        }
        int64_t places = 1;
        for (int64_t k = 0; k < v.shape[0] * v.shape[1] * v.shape[2]; k++) {
            const int64_t at[3] = {k / v.shape[2] / v.shape[1], k / v.shape[2] % v.shape[1],
                                   k % v.shape[2]};
            int64_t to = 0, pa = 0, pb = 0;
            for (int d = 0; d < 3; d++) {
                to = (v.reduce_mask >> d & 1) != 0 ? to : to * v.shape[d] + at[d];
                pa += at[d] * v.stride_a[d];
                pb += at[d] * v.stride_b[d];
            }
            want[to] += a[pa] * b[pb];
            places = to + 1 > places ? to + 1 : places;
        }
        itr_reduce_dot_i8i8i32_ref(&v);
        for (int64_t k = 0; k < places; k++) {
            assert_int_equal(got[k], want[k]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stats_of_every_width),
        cmocka_unit_test(stats_of_a_constant_without_epsilon),
        cmocka_unit_test(gradient_coefficients),
        cmocka_unit_test(dots_over_axes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
