/* Variants of the matrix products. */
#include "variants.h"

#include <time.h>

#include "runtime/pool.h"

typedef void (*kernel)(const itr_gemm_args *a);

static itr_pool pool;

static void compare(const variant *v, const itr_gemm_args *shape, data kind)
{
    const bool in16 = strstr(v->kernel, "i16") != NULL, out64 = strstr(v->kernel, "i64") != NULL;
    const size_t in = in16 ? 2 : 1, out = out64 ? 8 : 4;
    const size_t na = (size_t)(shape->stride_a * (shape->batch - 1) + shape->m * shape->k);
    const size_t nb = (size_t)(shape->stride_b * (shape->batch - 1) + shape->n * shape->k);
    const size_t ny = (size_t)(shape->batch * shape->m * shape->n);
    buffer a = buffer_new(na * in, in * (size_t)random_in(0, 3));
    buffer b = buffer_new(nb * in, in * (size_t)random_in(0, 3));
    buffer want = buffer_new(ny * out, 0), found = buffer_new(ny * out, 8);
    itr_gemm_args args = *shape;
    char text[200];
    random_fill(a.at, na, in16, kind);
    random_fill(b.at, nb, in16, kind);
    args.a = a.at;
    args.b = b.at;
    args.y = want.at;
    ((kernel)v->ref)(&args);
    args.y = found.at;
    args.pool = &pool;
    ((kernel)v->run)(&args);
    snprintf(text, sizeof text, "%s of %s: %d times %dx%dx%d, transposed %d %d, %d threads",
             v->level, v->kernel, (int)shape->batch, (int)shape->m, (int)shape->n, (int)shape->k,
             shape->trans_a, shape->trans_b, (int)itr_pool_threads(&pool));
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

/** All transpositions, all variants. */
static void compare_all(int64_t batch, int64_t m, int64_t n, int64_t k, data kind)
{
    variant v;
    for (int32_t trans = 0; trans < 4; trans++) {
        const itr_gemm_args shape = {.batch = batch,
                                     .m = m,
                                     .n = n,
                                     .k = k,
                                     .stride_a = random_in(0, 1) ? m * k : 0,
                                     .stride_b = random_in(0, 1) ? n * k : 0,
                                     .trans_a = trans & 1,
                                     .trans_b = trans >> 1};
        for (int i = 0; variant_at(i, &v); i++) {
            if (strcmp(v.args, "gemm") == 0) {
                compare(&v, &shape, kind);
            }
        }
    }
}

/** 0, 1 and both sides of what a tile takes. */
static void small_sizes_are_equal(void **state)
{
    (void)state;
    static const int64_t size[] = {0, 1, 2, 3, 5, 6, 7, 8, 9, 15, 16, 17, 33};
    const size_t count = sizeof size / sizeof size[0];
    for (size_t i = 0; i < count * count * count; i++) {
        compare_all(1, size[i % count], size[i / count % count], size[i / count / count],
                    (data)(i % DATA_COUNT));
    }
}

static void random_sizes_are_equal(void **state)
{
    (void)state;
    for (int i = 0; i < 60; i++) {
        itr_pool_resize(&pool, i % 4);
        compare_all(random_in(1, 3), random_in(1, 90), random_in(1, 150), random_in(1, 500),
                    (data)(i % DATA_COUNT));
    }
    itr_pool_resize(&pool, 1);
}

static void large_sizes_are_equal(void **state)
{
    (void)state;
    static const int64_t size[][3] = {{3, 5, 133144}, {1, 17, 40000}, {64, 10, 784},
                                      {2000, 3, 40},  {3, 2500, 33},  {130, 140, 1600}};
    for (size_t i = 0; i < sizeof size / sizeof size[0]; i++) {
        compare_all(1, size[i][0], size[i][1], size[i][2], ALL_LARGEST);
        compare_all(1, size[i][0], size[i][1], size[i][2], EXTREME);
    }
}

int main(void)
{
    random_start((uint64_t)time(NULL));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_sizes_are_equal),
        cmocka_unit_test(random_sizes_are_equal),
        cmocka_unit_test(large_sizes_are_equal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
