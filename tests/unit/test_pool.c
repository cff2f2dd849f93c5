/** Pooling against the definition, one window element at a time. */
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

static int8_t x8[MAX], y8[MAX];
static int16_t x16[MAX], y16[MAX];
static float xf[MAX], yf[MAX];
static int32_t y32[MAX], index8[MAX], index16[MAX], index_f[MAX];
static int64_t y64[MAX];

static void fill(uint64_t *seed)
{
    for (int i = 0; i < MAX; i++) {
        x8[i] = (int8_t)between(seed, -5, 5); /* many equal maxima */
        x8[i] = i % 7 ? x8[i] : (int8_t)between(seed, -127, 127);
        x16[i] = x8[i];
        xf[i] = x8[i];
    }
}

/** A pooling with windows over some of its plane; ceil_mode: as many as begin in it. */
static itr_pool_args random_shape(uint64_t *seed)
{
    for (;;) {
        itr_pool_args a = {.planes = between(seed, 1, 3),
                           .h = between(seed, 1, 12),
                           .w = between(seed, 1, 12),
                           .kh = (int32_t)between(seed, 1, 5),
                           .kw = (int32_t)between(seed, 1, 5),
                           .stride_h = (int32_t)between(seed, 1, 3),
                           .stride_w = (int32_t)between(seed, 1, 3),
                           .dilation_h = (int32_t)between(seed, 1, 3),
                           .dilation_w = (int32_t)between(seed, 1, 3),
                           .count_include_pad = (int32_t)between(seed, 0, 1)};
        a.pad_top = (int32_t)between(seed, 0, 2);
        a.pad_left = (int32_t)between(seed, 0, 2);
        a.pad_bottom = (int32_t)between(seed, 0, 2);
        a.pad_right = (int32_t)between(seed, 0, 2);
        if (between(seed, 0, 3) == 0) { /* over the whole plane */
            a.kh = (int32_t)a.h;
            a.kw = (int32_t)a.w;
            a.dilation_h = a.dilation_w = 1;
        }
        const int64_t room_h = a.h + a.pad_top + a.pad_bottom - (a.kh - 1) * a.dilation_h - 1;
        const int64_t room_w = a.w + a.pad_left + a.pad_right - (a.kw - 1) * a.dilation_w - 1;
        const int64_t ceil_mode = between(seed, 0, 1);
        if (room_h < 0 || room_w < 0) {
            continue;
        }
        a.oh = (room_h + (ceil_mode ? a.stride_h - 1 : 0)) / a.stride_h + 1;
        a.ow = (room_w + (ceil_mode ? a.stride_w - 1 : 0)) / a.stride_w + 1;
        a.oh -= (a.oh - 1) * a.stride_h >= a.h + a.pad_top;
        a.ow -= (a.ow - 1) * a.stride_w >= a.w + a.pad_left;
        return a;
    }
}

/** Place of tap (ky, kx) of window (oy, ox): its offset, -1 in the padding, -2 beyond it. */
static int64_t place(const itr_pool_args *a, int64_t oy, int64_t ox, int64_t ky, int64_t kx)
{
    const int64_t iy = oy * a->stride_h - a->pad_top + ky * a->dilation_h;
    const int64_t ix = ox * a->stride_w - a->pad_left + kx * a->dilation_w;
    if (iy >= a->h + a->pad_bottom || ix >= a->w + a->pad_right) {
        return -2;
    }
    return iy >= 0 && iy < a->h && ix >= 0 && ix < a->w ? iy * a->w + ix : -1;
}

typedef struct window {
    int64_t sum, count, best; /**< best: offset of the first maximum */
} window;

static window look(const itr_pool_args *a, int64_t p, int64_t oy, int64_t ox)
{
    window v = {0, 0, -1};
    for (int64_t ky = 0; ky < a->kh; ky++) {
        for (int64_t kx = 0; kx < a->kw; kx++) {
            const int64_t at = place(a, oy, ox, ky, kx);
            v.count += at >= 0 || (at == -1 && a->count_include_pad);
            if (at >= 0) {
                const int8_t *x = x8 + p * a->h * a->w;
                v.sum += x[at];
                v.best = v.best < 0 || x[at] > x[v.best] ? at : v.best;
            }
        }
    }
    return v;
}

static int64_t reciprocal(int64_t count)
{
    return count ? llround(1073741824.0 / (double)count) : 0;
}

static void check_forward(itr_pool_args a)
{
    a.x = x8;
    a.y = y8;
    a.index = index8;
    itr_maxpool_i8_ref(&a);
    a.x = x16;
    a.y = y16;
    a.index = index16;
    itr_maxpool_i16_ref(&a);
    a.x = xf;
    a.y = yf;
    a.index = index_f;
    itr_maxpool_f32_ref(&a);
    for (int64_t i = 0; i < a.planes * a.oh * a.ow; i++) {
        const int64_t p = i / (a.oh * a.ow);
        const window v = look(&a, p, i / a.ow % a.oh, i % a.ow);
        const int want = v.best < 0 ? 0 : x8[p * a.h * a.w + v.best];
        assert_int_equal(y8[i], want);
        assert_int_equal(y16[i], want);
        assert_true(yf[i] == (float)want);
        assert_int_equal(index8[i], v.best);
        assert_int_equal(index16[i], v.best);
        assert_int_equal(index_f[i], v.best);
    }
    /* without an index */
    a.x = x8;
    a.y = y16;
    a.index = NULL;
    itr_maxpool_i8_ref(&a);
    assert_memory_equal(y16, y8, (size_t)(a.planes * a.oh * a.ow));
}

static void check_means(itr_pool_args a)
{
    const int64_t n = a.planes * a.oh * a.ow;
    for (int wide = 0; wide < 2; wide++) {
        a.x = wide ? (const void *)x16 : x8;
        a.y = y32;
        (wide ? itr_sumpool_i16i32_ref : itr_sumpool_i8i32_ref)(&a);
        a.y = y64;
        (wide ? itr_avgpool_i16i64_ref : itr_avgpool_i8i64_ref)(&a);
        a.x = xf;
        a.y = yf;
        itr_avgpool_f32_ref(&a);
        for (int64_t i = 0; i < n; i++) {
            const window v = look(&a, i / (a.oh * a.ow), i / a.ow % a.oh, i % a.ow);
            assert_int_equal(y32[i], v.sum);
            assert_int_equal(y64[i], v.sum * reciprocal(v.count));
            assert_true(yf[i] == (v.count ? (float)((double)v.sum / (double)v.count) : 0));
        }
    }
}

static void forward_follows_definition(void **state)
{
    (void)state;
    uint64_t seed = 1;
    fill(&seed);
    for (int round = 0; round < 2000; round++) {
        const itr_pool_args a = random_shape(&seed);
        check_forward(a);
        check_means(a);
    }
}

/** Windows of 2 x 2 that halve both axes, in planes of odd sizes and wider than a kernel's buffer.
 */
static void halves_follow_definition(void **state)
{
    (void)state;
    uint64_t seed = 3;
    fill(&seed);
    for (int round = 0; round < 200; round++) {
        itr_pool_args a = {.planes = 2, .kh = 2, .kw = 2, .stride_h = 2, .stride_w = 2};
        a.dilation_h = a.dilation_w = 1;
        a.h = between(&seed, 2, round % 4 ? 40 : 6);
        a.w = between(&seed, 2, round % 4 ? 200 : 1100);
        a.oh = a.h / 2;
        a.ow = a.w / 2;
        check_forward(a);
    }
}

static int64_t want_sum[MAX], want_mean[MAX], want_max[MAX];
static double want_f[MAX];

/** The transposed maps, from the definition; dy is x8. */
static void transpose(const itr_pool_args *a)
{
    memset(want_sum, 0, sizeof want_sum);
    memset(want_mean, 0, sizeof want_mean);
    memset(want_max, 0, sizeof want_max);
    memset(want_f, 0, sizeof want_f);
    for (int64_t i = 0; i < a->planes * a->oh * a->ow; i++) {
        const int64_t p = i / (a->oh * a->ow), oy = i / a->ow % a->oh, ox = i % a->ow;
        const int64_t plane = p * a->h * a->w;
        const window v = look(a, p, oy, ox);
        if (v.best >= 0) {
            want_max[plane + v.best] += x8[i];
        }
        for (int64_t k = 0; k < a->kh * a->kw; k++) {
            const int64_t at = place(a, oy, ox, k / a->kw, k % a->kw);
            if (at >= 0) {
                want_sum[plane + at] += x8[i];
                want_mean[plane + at] += x8[i] * reciprocal(v.count);
                want_f[plane + at] += x8[i] / (double)v.count;
            }
        }
    }
}

static void check_max_gradient(itr_pool_args a)
{
    a.x = x8;
    a.y = y8;
    a.index = index8;
    itr_maxpool_i8_ref(&a);
    itr_maxpool_grad_args g = {
        .index = index8, .planes = a.planes, .plane_in = a.h * a.w, .plane_out = a.oh * a.ow};
    for (int type = 0; type < 3; type++) {
        const void *dy[3] = {x8, x16, xf};
        void *dx[3] = {y32, y32, yf};
        g.dy = dy[type];
        g.dx = dx[type];
        (type == 0   ? itr_maxpool_grad_i8i32_ref
         : type == 1 ? itr_maxpool_grad_i16i32_ref
                     : itr_maxpool_grad_f32_ref)(&g);
        for (int64_t i = 0; i < a.planes * a.h * a.w; i++) {
            assert_true(type == 2 ? yf[i] == (float)want_max[i] : y32[i] == want_max[i]);
        }
    }
}

static void gradients_are_transposed(void **state)
{
    (void)state;
    uint64_t seed = 2;
    fill(&seed);
    for (int round = 0; round < 2000; round++) {
        itr_pool_args a = random_shape(&seed);
        const int64_t n = a.planes * a.h * a.w;
        transpose(&a);
        check_max_gradient(a);
        for (int wide = 0; wide < 2; wide++) {
            a.x = wide ? (const void *)x16 : x8;
            a.y = y32;
            (wide ? itr_sumpool_grad_i16i32_ref : itr_sumpool_grad_i8i32_ref)(&a);
            a.y = y64;
            (wide ? itr_avgpool_grad_i16i64_ref : itr_avgpool_grad_i8i64_ref)(&a);
            for (int64_t i = 0; i < n; i++) {
                assert_int_equal(y32[i], want_sum[i]);
                assert_int_equal(y64[i], want_mean[i]);
            }
        }
        a.x = xf;
        a.y = yf;
        itr_avgpool_grad_f32_ref(&a);
        for (int64_t i = 0; i < n; i++) {
            assert_true(fabs((double)yf[i] - want_f[i]) <= 1e-5 * (1 + fabs(want_f[i])));
        }
    }
}

/** Means over the largest mantissas stay below 2^(bits + 31). */
static void extremes(void **state)
{
    (void)state;
    for (int i = 0; i < MAX; i++) {
        x16[i] = i % 2 ? 32767 : -32767;
    }
    itr_pool_args a = {.x = x16,
                       .y = y64,
                       .planes = 1,
                       .h = 100,
                       .w = 99,
                       .oh = 1,
                       .ow = 1,
                       .kh = 100,
                       .kw = 99,
                       .stride_h = 1,
                       .stride_w = 1,
                       .dilation_h = 1,
                       .dilation_w = 1};
    itr_avgpool_i16i64_ref(&a);
    assert_int_equal(y64[0], 0);
    for (int i = 0; i < MAX; i++) {
        x16[i] = 32767;
    }
    itr_avgpool_i16i64_ref(&a);
    assert_int_equal(y64[0], INT64_C(32767) * 9900 * 108459); /* 2^30 / 9900 = 108458.77 */
    assert_true(y64[0] < (int64_t)1 << 46);
}

static void nan_is_a_maximum(void **state)
{
    (void)state;
    float x[4] = {1, NAN, 3, 2}, y = 0;
    int32_t index = 0;
    const itr_pool_args a = {.x = x,
                             .y = &y,
                             .index = &index,
                             .planes = 1,
                             .h = 2,
                             .w = 2,
                             .oh = 1,
                             .ow = 1,
                             .kh = 2,
                             .kw = 2,
                             .stride_h = 1,
                             .stride_w = 1,
                             .dilation_h = 1,
                             .dilation_w = 1};
    itr_maxpool_f32_ref(&a);
    assert_true(isnan(y));
    assert_int_equal(index, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forward_follows_definition), cmocka_unit_test(halves_follow_definition),
        cmocka_unit_test(gradients_are_transposed),   cmocka_unit_test(extremes),
        cmocka_unit_test(nan_is_a_maximum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
