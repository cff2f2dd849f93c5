/* Variants of the convolutions and their gradients. */
#include "variants.h"

#include <time.h>

#include "runtime/pool.h"

typedef void (*kernel)(const itr_conv_args *a);

static itr_pool pool;

/** The extents of the result, or false: the kernel does not fit the source. */
static bool finish(itr_conv_args *a, int64_t pad_bottom, int64_t pad_right)
{
    const int64_t y = a->h + a->pad_top + pad_bottom - (a->kh - 1) * a->dilation_h - 1;
    const int64_t x = a->w + a->pad_left + pad_right - (a->kw - 1) * a->dilation_w - 1;
    a->oh = y / a->stride_h + 1;
    a->ow = x / a->stride_w + 1;
    return y >= 0 && x >= 0;
}

static void describe(const variant *v, const itr_conv_args *a, char text[256])
{
    snprintf(text, 256,
             "%s of %s: n %d, c %d, %dx%d, m %d, kernel %dx%d, result %dx%d, stride %d %d, "
             "dilation %d %d, pad %d %d, groups %d, %d threads",
             v->level, v->kernel, (int)a->n, (int)a->c, (int)a->h, (int)a->w, (int)a->m, (int)a->kh,
             (int)a->kw, (int)a->oh, (int)a->ow, a->stride_h, a->stride_w, a->dilation_h,
             a->dilation_w, a->pad_top, a->pad_left, a->groups, (int)itr_pool_threads(&pool));
}

static void compare(const variant *v, const itr_conv_args *shape, data kind)
{
    const bool in16 = strstr(v->kernel, "i16") != NULL, out64 = strstr(v->kernel, "i64") != NULL;
    const size_t x = (size_t)(shape->n * shape->c * shape->h * shape->w);
    const size_t f = (size_t)(shape->m * (shape->c / shape->groups) * shape->kh * shape->kw);
    const size_t y = (size_t)(shape->n * shape->m * shape->oh * shape->ow);
    const bool gi = strstr(v->kernel, "grad_input") != NULL;
    const bool gw = strstr(v->kernel, "grad_weight") != NULL;
    const size_t na = gi ? y : x, nb = gw ? y : f, ny = gi ? x : gw ? f : y;
    const size_t in = in16 ? 2 : 1, out = out64 ? 8 : 4;
    buffer a = buffer_new(na * in, in * (size_t)random_in(0, 3));
    buffer b = buffer_new(nb * in, in * (size_t)random_in(0, 3));
    buffer want = buffer_new(ny * out, 0), found = buffer_new(ny * out, 8);
    itr_conv_args args = *shape;
    char text[256];
    random_fill(a.at, na, in16, kind);
    random_fill(b.at, nb, in16, kind);
    args.a = a.at;
    args.b = b.at;
    args.y = want.at;
    ((kernel)v->ref)(&args);
    args.y = found.at;
    args.pool = &pool;
    ((kernel)v->run)(&args);
    describe(v, shape, text);
    for (size_t i = 0; i < ny * out; i++) {
        if (want.at[i] != found.at[i]) {
            fail_msg("%s, data %d: element %zu differs", text, kind, i / out);
        }
    }
    buffer_check(&found, text);
    buffer_free(&a);
    buffer_free(&b);
    buffer_free(&want);
    buffer_free(&found);
}

/** All variants of the kernels that take these arguments. */
static void compare_all(const itr_conv_args *shape, data kind)
{
    variant v;
    for (int i = 0; variant_at(i, &v); i++) {
        if (strcmp(v.args, "conv") == 0) {
            compare(&v, shape, kind);
        }
    }
}

static void usual_shapes_are_equal(void **state)
{
    (void)state;
    static const struct {
        int n, c, hw, m, k, stride, pad, groups;
    } shape[] = {
        {2, 16, 32, 16, 3, 1, 1, 1}, {2, 16, 32, 32, 3, 2, 1, 1}, {3, 64, 8, 64, 3, 1, 1, 1},
        {2, 3, 32, 16, 3, 1, 1, 1},  {2, 32, 16, 64, 1, 2, 0, 1}, {2, 48, 9, 24, 1, 1, 0, 1},
        {2, 1, 28, 6, 5, 1, 2, 1},   {2, 6, 14, 16, 5, 1, 0, 1},  {2, 40, 8, 40, 3, 1, 1, 40},
        {2, 40, 9, 40, 3, 2, 1, 40}, {1, 130, 4, 70, 3, 1, 1, 1}, {1, 3, 40, 20, 7, 2, 3, 1},
        {2, 32, 7, 32, 3, 1, 1, 4},  {1, 16, 1, 8, 1, 1, 0, 1},   {1, 2, 200, 2, 3, 2, 1, 2},
        {2, 6, 20, 12, 3, 2, 1, 6},  {1, 3, 300, 3, 3, 1, 1, 3},  {1, 2, 240, 2, 5, 2, 2, 2}};
    for (size_t i = 0; i < sizeof shape / sizeof shape[0]; i++) {
        itr_conv_args a = {.n = shape[i].n,
                           .c = shape[i].c,
                           .h = shape[i].hw,
                           .w = shape[i].hw,
                           .m = shape[i].m,
                           .kh = shape[i].k,
                           .kw = shape[i].k,
                           .stride_h = shape[i].stride,
                           .stride_w = shape[i].stride,
                           .dilation_h = 1,
                           .dilation_w = 1,
                           .pad_top = shape[i].pad,
                           .pad_left = shape[i].pad,
                           .groups = shape[i].groups};
        assert_true(finish(&a, shape[i].pad, shape[i].pad));
        for (int kind = 0; kind < DATA_COUNT; kind++) {
            compare_all(&a, (data)kind);
        }
    }
}

static int32_t small(int64_t most)
{
    return (int32_t)random_in(1, random_in(0, 2) ? (most > 3 ? 3 : most) : most);
}

static bool random_shape(itr_conv_args *a)
{
    const int32_t groups = random_in(0, 2) ? 1 : small(5);
    *a = (itr_conv_args){.n = small(4),
                         .c = groups * small(40),
                         .h = random_in(1, 20),
                         .w = random_in(1, 40),
                         .m = groups * small(70),
                         .kh = small(7),
                         .kw = small(7),
                         .stride_h = small(4),
                         .stride_w = small(4),
                         .dilation_h = small(4),
                         .dilation_w = small(4),
                         .pad_top = small(5) - 1,
                         .pad_left = small(5) - 1,
                         .groups = groups};
    return finish(a, small(5) - 1, small(5) - 1) &&
           a->n * a->m * a->oh * a->ow * (a->c / groups) * a->kh * a->kw < 3000000;
}

static void random_shapes_are_equal(void **state)
{
    (void)state;
    for (int done = 0; done < 150;) {
        itr_conv_args a;
        if (!random_shape(&a)) {
            continue;
        }
        itr_pool_resize(&pool, done % 4);
        compare_all(&a, (data)(done % DATA_COUNT));
        done++;
    }
    itr_pool_resize(&pool, 1);
}

/** Groups of a channel or two, with small and large planes, any border and multiples of channels.
 */
static bool random_depthwise(itr_conv_args *a)
{
    const int32_t groups = (int32_t)random_in(2, 40);
    *a = (itr_conv_args){.n = small(4),
                         .c = groups * random_in(1, 2),
                         .h = small(40),
                         .w = small(100),
                         .m = groups * small(4),
                         .kh = small(9),
                         .kw = small(9),
                         .stride_h = small(4),
                         .stride_w = small(5),
                         .dilation_h = small(4),
                         .dilation_w = small(5),
                         .pad_top = small(7) - 1,
                         .pad_left = small(7) - 1,
                         .groups = groups};
    return finish(a, small(7) - 1, small(7) - 1) &&
           a->n * a->m * a->oh * a->ow * (a->c / groups) * a->kh * a->kw < 1000000;
}

/** Single taps, each position with itself, or almost. */
static bool random_pointwise(itr_conv_args *a)
{
    const int32_t groups = random_in(0, 3) ? 1 : small(4);
    *a = (itr_conv_args){.n = small(20),
                         .c = groups * random_in(1, 80),
                         .h = small(9),
                         .w = small(70),
                         .m = groups * random_in(1, 80),
                         .kh = 1,
                         .kw = 1,
                         .stride_h = 1,
                         .stride_w = random_in(0, 5) ? 1 : 2,
                         .dilation_h = small(2),
                         .dilation_w = 1,
                         .pad_top = random_in(0, 5) ? 0 : 1,
                         .groups = groups};
    return finish(a, random_in(0, 5) ? 0 : 1, 0) &&
           a->n * a->m * a->oh * a->ow * (a->c / groups) < 1000000;
}

static void random_pointwise_are_equal(void **state)
{
    (void)state;
    for (int done = 0; done < 150;) {
        itr_conv_args a;
        if (!random_pointwise(&a)) {
            continue;
        }
        itr_pool_resize(&pool, done % 4);
        compare_all(&a, (data)(done % DATA_COUNT));
        done++;
    }
    itr_pool_resize(&pool, 1);
}

static void random_depthwise_are_equal(void **state)
{
    (void)state;
    for (int done = 0; done < 150;) {
        itr_conv_args a;
        if (!random_depthwise(&a)) {
            continue;
        }
        itr_pool_resize(&pool, done % 4);
        compare_all(&a, (data)(done % DATA_COUNT));
        done++;
    }
    itr_pool_resize(&pool, 1);
}

/** Long sums, wide lines, filters that no buffer holds, and results that no cache keeps. */
static void large_shapes_are_equal(void **state)
{
    (void)state;
    static const struct {
        int n, c, h, w, m, kh, kw, stride, pad, dilation, groups;
    } shape[] = {{1, 1200, 3, 3, 20, 3, 3, 1, 0, 1, 1},    {1, 700, 4, 5, 3, 1, 1, 1, 0, 1, 1},
                 {1, 2, 3, 5000, 3, 1, 3, 1, 1, 1, 1},     {1, 1, 1, 9000, 2, 1, 4000, 1, 0, 1, 1},
                 {1, 2, 80, 80, 3, 40, 40, 1, 3, 1, 1},    {1, 20, 90, 70, 5, 7, 7, 2, 9, 9, 1},
                 {1, 3, 64, 64, 4, 3, 3, 20, 9, 16, 1},    {40, 3, 30, 30, 9, 3, 3, 1, 1, 1, 1},
                 {1, 32, 256, 256, 32, 3, 3, 1, 1, 1, 32}, {1, 3, 640, 640, 6, 3, 3, 2, 1, 1, 3},
                 {33, 2, 32, 32, 64, 1, 1, 1, 0, 1, 1}};
    for (size_t i = 0; i < sizeof shape / sizeof shape[0]; i++) {
        itr_conv_args a = {.n = shape[i].n,
                           .c = shape[i].c,
                           .h = shape[i].h,
                           .w = shape[i].w,
                           .m = shape[i].m,
                           .kh = shape[i].kh,
                           .kw = shape[i].kw,
                           .stride_h = shape[i].stride,
                           .stride_w = shape[i].stride,
                           .dilation_h = shape[i].dilation,
                           .dilation_w = shape[i].dilation,
                           .pad_top = shape[i].pad,
                           .pad_left = shape[i].pad,
                           .groups = shape[i].groups};
        assert_true(finish(&a, shape[i].pad, shape[i].pad));
        compare_all(&a, ALL_LARGEST);
        compare_all(&a, UNIFORM);
    }
}

int main(void)
{
    random_start((uint64_t)time(NULL));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(usual_shapes_are_equal),     cmocka_unit_test(random_shapes_are_equal),
        cmocka_unit_test(random_pointwise_are_equal), cmocka_unit_test(random_depthwise_are_equal),
        cmocka_unit_test(large_shapes_are_equal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
