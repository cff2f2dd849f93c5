/* Variants of what is computed once a slice: normalisation, sums and sums of products over axes. */
#include "variants.h"

enum { SLICES = 9, ROOM = 1 << 16 };

static unsigned char x[ROOM * 4], b[ROOM * 2];

/** Every result of norm_stats lies in one struct, so that it is compared as a whole. */
typedef struct numbers {
    int64_t work[SLICES * 8];
    int32_t scale[SLICES], shift[SLICES], mean[SLICES], var[SLICES];
    int32_t e[4];
    int32_t extremes[2 * SLICES];
} numbers;

static void norm_stats(const variant *v)
{
    const int width = strstr(v->kernel, "i8") ? 1 : strstr(v->kernel, "i16") ? 2 : 4;
    numbers n[2];
    memset(n, 0, sizeof n);
    itr_rng rng = {.status = ITR_OK};
    itr_pool pool = {0};
    const int32_t e_x = (int32_t)random_in(-30, 0);
    const int bits = width == 4 ? (int)random_in(16, 31) : 8 * width - 1;
    itr_norm_stats_args a = {.x = x,
                             .e_x = &e_x,
                             .outer = random_in(1, 5),
                             .slices = random_in(1, SLICES),
                             .inner = random_in(1, 900),
                             .bits_x = bits,
                             .bits = 21,
                             .center = random_in(0, 1) != 0,
                             .eps_m = 11,
                             .eps_e = -20,
                             .rng = &rng,
                             .pool = &pool};
    for (int64_t i = 0; i < a.outer * a.slices * a.inner; i++) {
        const int32_t m = (int32_t)random_in(-(((int64_t)1 << bits) - 1), ((int64_t)1 << bits) - 1);
        const int8_t m8 = (int8_t)m;
        const int16_t m16 = (int16_t)m;
        memcpy(x + i * width,
               width == 1   ? (const void *)&m8
               : width == 2 ? (const void *)&m16
                            : &m,
               (size_t)width);
    }
    for (int k = 0; k < 2; k++) {
        a.work = n[k].work;
        a.scale = n[k].scale;
        a.shift = n[k].shift;
        a.mean = n[k].mean;
        a.var = n[k].var;
        a.e_scale = &n[k].e[0];
        a.e_shift = &n[k].e[1];
        a.e_mean = &n[k].e[2];
        a.e_var = &n[k].e[3];
        a.extremes = n[k].extremes;
        if (k == 1) {
            itr_pool_resize(&pool, (int32_t)random_in(1, 3));
        }
        ((any_call)(k ? v->run : v->ref))(&a);
    }
    itr_pool_resize(&pool, 1);
    assert_memory_equal(&n[0], &n[1], sizeof n[0]);
}

static void reduce(const variant *v)
{
    const bool in16 = strstr(v->kernel, "sum_i16") != NULL;
    itr_reduce_args a = {.x = x, .rank = 3, .reduce_mask = (int32_t)random_in(0, 7)};
    size_t kept = 1;
    for (int i = 0; i < 3; i++) {
        a.shape[i] = random_in(1, i == 2 ? 300 : 9);
        kept *= (a.reduce_mask >> i & 1) != 0 ? 1 : (size_t)a.shape[i];
    }
    random_fill(x, (size_t)(a.shape[0] * a.shape[1] * a.shape[2]), in16, (data)random_in(0, 2));
    variant_compare(v, &a, &a.y, &a.pool, kept * (strstr(v->kernel, "i32") ? 4 : 8));
    buffer y = buffer_new(kept * 8, 0); /* once more, with what it finds on its way */
    a.y = y.at;
    variant_compare(v, &a, &a.extremes, &a.pool, kept * (in16 ? 4 : 2));
    buffer_free(&y);
}

static void reduce_dot(const variant *v)
{
    const bool a16 = strstr(v->kernel, "dot_i16") != NULL,
               b16 = strstr(v->kernel, "i16i64") != NULL;
    itr_reduce_dot_args a = {.a = x, .b = b, .rank = 3, .reduce_mask = (int32_t)random_in(0, 7)};
    size_t kept = 1;
    int64_t step[2] = {1, 1};
    for (int i = 2; i >= 0; i--) {
        a.shape[i] = random_in(1, i == 2 ? 300 : 9);
        kept *= (a.reduce_mask >> i & 1) != 0 ? 1 : (size_t)a.shape[i];
        for (int k = 0; k < 2; k++) {
            const bool repeats = random_in(0, 3) == 0;
            (k ? a.stride_b : a.stride_a)[i] = repeats ? 0 : step[k];
            step[k] *= repeats ? 1 : a.shape[i];
        }
    }
    random_fill(x, (size_t)step[0], a16, (data)random_in(0, 2));
    random_fill(b, (size_t)step[1], b16, (data)random_in(0, 2));
    variant_compare(v, &a, &a.y, &a.pool, kept * (strstr(v->kernel, "i32") ? 4 : 8));
}

static void variants_equal_ref(void **state)
{
    (void)state;
    static const struct {
        const char *args;
        void (*check)(const variant *v);
    } table[] = {{"norm_stats", norm_stats}, {"reduce", reduce}, {"reduce_dot", reduce_dot}};
    variant v;
    for (int i = 0; variant_at(i, &v); i++) {
        for (size_t k = 0; k < sizeof table / sizeof table[0]; k++) {
            for (int n = 0; n < 60 && strcmp(v.args, table[k].args) == 0; n++) {
                table[k].check(&v);
            }
        }
    }
}

int main(void)
{
    random_start(4);
    const struct CMUnitTest tests[] = {cmocka_unit_test(variants_equal_ref)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
