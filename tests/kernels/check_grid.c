/* Variants of grid_next. */
#include "variants.h"

typedef void (*kernel)(const itr_grid_next_args *a);

static void compare(const variant *v, int64_t n, int bits)
{
    const size_t bytes = (size_t)n * sizeof(int64_t);
    const buffer acc = buffer_new(bytes, 8);
    for (int64_t i = 0; i < n; i++) {
        const int64_t x = (int64_t)(random_next() >> (64 - bits));
        const int64_t value = random_in(0, 1) ? -x : x;
        memcpy(acc.at + (size_t)i * sizeof value, &value, sizeof value);
    }
    const int32_t e = (int32_t)random_in(-1000, 1000);
    int32_t want = 7, found = 7;
    itr_grid_next_args a = {.acc = acc.at, .e_acc = &e, .e_grid = &want, .n = n};
    ((kernel)v->ref)(&a);
    a.e_grid = &found;
    ((kernel)v->run)(&a);
    if (want != found) {
        fail_msg("%s of %s, n = %lld: %d, expected %d", v->level, v->kernel, (long long)n, found,
                 want);
    }
    buffer b = acc;
    buffer_free(&b);
}

static void variants_equal_ref(void **state)
{
    (void)state;
    variant v;
    for (int i = 0; variant_at(i, &v); i++) {
        if (strcmp(v.args, "grid_next") != 0) {
            continue;
        }
        for (int64_t n = 0; n < 70; n++) {
            for (int bits = 1; bits < 63; bits++) {
                compare(&v, n, bits);
            }
        }
    }
}

int main(void)
{
    random_start(1);
    const struct CMUnitTest tests[] = {cmocka_unit_test(variants_equal_ref)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
