#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/host/pipeline.h"
#include "runtime/rng.h"

/* A data set in memory of one input column and one label column. */
typedef struct world {
    itr_port_info input, target;
    itr_model model;
    itr_column columns[2];
    itr_dataset data;
    itr_data_spec spec;
    itr_pipeline p;
    itr_message m;
    uint8_t labels[64];
} world;

static void set_up(world *w, itr_dtype dtype, const void *values, int64_t rows, int rank,
                   const int64_t *dims, const char *spec)
{
    memset(w, 0, sizeof *w);
    int64_t elements = 1;
    w->input = (itr_port_info){.name = "x", .rank = (uint8_t)rank};
    for (int i = 0; i < rank; i++) {
        w->input.dims[i] = dims[i];
        elements *= dims[i];
    }
    w->input.elements = elements;
    w->target = (itr_port_info){.name = "y", .is_ids = true, .rank = 1, .dims = {1}, .elements = 1};
    w->model = (itr_model){.batch = 4,
                           .inputs = &w->input,
                           .targets = &w->target,
                           .input_count = 1,
                           .target_count = 1};
    static const size_t size[] = {1, 2, 4, 8, 4, 1};
    w->columns[0] = (itr_column){.data = values,
                                 .stride = (size_t)elements * size[dtype],
                                 .dtype = dtype,
                                 .elements = elements};
    for (int i = 0; i < 64; i++) {
        w->labels[i] = (uint8_t)i;
    }
    w->columns[1] =
        (itr_column){.data = w->labels, .stride = 1, .dtype = ITR_U8, .elements = 1, .max = 255};
    w->data = (itr_dataset){.rows = rows, .count = 2, .columns = w->columns};
    if (dtype == ITR_U8) {
        w->columns[0].max = 255;
    } else if (dtype == ITR_I8) {
        w->columns[0].min = -127;
        w->columns[0].max = 127;
    }
    for (int64_t i = 0; dtype == ITR_I16 && i < rows * elements; i++) {
        const int16_t v = ((const int16_t *)values)[i];
        w->columns[0].min = v < w->columns[0].min ? v : w->columns[0].min;
        w->columns[0].max = v > w->columns[0].max ? v : w->columns[0].max;
    }
    assert_int_equal(itr_data_spec_parse(spec, &w->spec, &w->m), 0);
}

static void tear_down(world *w)
{
    itr_pipeline_free(&w->p);
    itr_data_spec_free(&w->spec);
}

static int start(world *w, uint64_t seed, bool train)
{
    return itr_pipeline_open(&w->p, &w->model, &w->data, &w->spec, seed, train, &w->m);
}

static long double value_at(const world *w, int64_t i)
{
    const itr_array *a = &w->p.arrays[0];
    assert_int_equal(a->dtype, ITR_I32);
    return ldexpl((long double)((const int32_t *)a->data)[i], a->exponent);
}

static void unscaled_integers_pass_unchanged(void **state)
{
    (void)state;
    static const int16_t values[] = {1, -2, 3, -32767, 32767, 6};
    world w;
    set_up(&w, ITR_I16, values, 3, 1, (const int64_t[]){2}, "npy:a,b");
    assert_int_equal(start(&w, 0, false), 0);
    itr_pipeline_rows(&w.p, 0, 3);
    assert_int_equal(w.p.arrays[0].dtype, ITR_I16);
    assert_int_equal(w.p.arrays[0].exponent, 0);
    assert_memory_equal(w.p.arrays[0].data, values, sizeof values);
    assert_int_equal(w.p.arrays[1].dtype, ITR_I32);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(((const int32_t *)w.p.arrays[1].data)[i], i);
    }
    tear_down(&w);
}

/* x/255 to the nearest unit, for every byte, decided in integers: |2*(m*255 - x*2^-e)| <= 255. */
static void bytes_over_255_are_nearest(void **state)
{
    (void)state;
    uint8_t values[256];
    world w;
    for (int i = 0; i < 256; i++) {
        values[i] = (uint8_t)i;
    }
    set_up(&w, ITR_U8, values, 1, 1, (const int64_t[]){256}, "npy:a,b,scale=1/255");
    assert_int_equal(start(&w, 0, false), 0);
    itr_pipeline_rows(&w.p, 0, 1);
    const int e = w.p.arrays[0].exponent;
    assert_int_equal(e, -29); /* the largest value is 1: 2^29 is its 30th bit */
    for (int64_t i = 0; i < 256; i++) {
        const int64_t m = ((const int32_t *)w.p.arrays[0].data)[i];
        const int64_t off = m * 255 - i * ((int64_t)1 << -e);
        assert_true(2 * off <= 255 && 2 * off >= -255);
    }
    tear_down(&w);
}

static void compare_scaled(const char *spec, int rank, const int64_t *dims, int channels, bool last,
                           const double *scale_mean_std, itr_dtype dtype, int column_exponent)
{
    int16_t wide[60];
    uint8_t narrow[60];
    world w;
    for (int i = 0; i < 60; i++) {
        wide[i] = (int16_t)((i * 7919) % 4001 - 2000);
        narrow[i] = (uint8_t)(i * 97);
    }
    set_up(&w, dtype, dtype == ITR_I16 ? (void *)wide : (void *)narrow, 2, rank, dims, spec);
    w.columns[0].exponent = column_exponent;
    assert_int_equal(start(&w, 0, false), 0);
    itr_pipeline_rows(&w.p, 0, 2);
    const int64_t n = w.columns[0].elements;
    long double largest = 0;
    for (int c = 0; c < channels; c++) { /* over the range of the data, not their values */
        for (int end = 0; end < 2; end++) {
            const long double x =
                ldexpl(end ? w.columns[0].max : w.columns[0].min, column_exponent);
            const long double y = fabsl((x * scale_mean_std[0] - scale_mean_std[1 + c]) /
                                        scale_mean_std[1 + channels + c]);
            largest = y > largest ? y : largest;
        }
    }
    for (int64_t i = 0; i < 2 * n; i++) {
        const int c = last ? (int)(i % channels) : (int)(i % n / (n / channels));
        const long double x = ldexpl(dtype == ITR_I16  ? wide[i]
                                     : dtype == ITR_I8 ? (int8_t)narrow[i]
                                                       : narrow[i],
                                     column_exponent);
        const long double want =
            (x * scale_mean_std[0] - scale_mean_std[1 + c]) / scale_mean_std[1 + channels + c];
        assert_true(fabsl(value_at(&w, i) - want) <= largest * 0x1p-29L);
    }
    assert_true(ldexpl(1, w.p.arrays[0].exponent) >= largest * 0x1p-31L);
    tear_down(&w);
}

static void scaled_values_against_double(void **state)
{
    (void)state;
    static const double cifar[] = {1.0 / 255, 0.4914, 0.4822, 0.4465, 0.247, 0.2435, 0.2616};
    static const double plain[] = {1, 100, 3};
    static const double negative[] = {-0.125, -2.5, 1e-6};
    static const double uneven[] = {1, 0, 5000, 1e-3, 1e3};
    const char *spec = "npy:a,b,scale=1/255,mean=0.4914:0.4822:0.4465,std=0.247:0.2435:0.2616";
    compare_scaled(spec, 3, (const int64_t[]){3, 2, 5}, 3, false, cifar, ITR_U8, 0);
    compare_scaled(spec, 3, (const int64_t[]){2, 5, 3}, 3, true, cifar, ITR_U8, 0);
    compare_scaled(spec, 3, (const int64_t[]){3, 2, 5}, 3, false, cifar, ITR_I16, 0);
    compare_scaled(spec, 3, (const int64_t[]){2, 5, 3}, 3, true, cifar, ITR_I16, -20);
    compare_scaled("npy:a,b,mean=100,std=3", 1, (const int64_t[]){30}, 1, false, plain, ITR_I8, 0);
    compare_scaled("npy:a,b,mean=100,std=3", 1, (const int64_t[]){30}, 1, false, plain, ITR_I16, 7);
    compare_scaled("npy:a,b,scale=-0.125,mean=-2.5,std=1e-6", 2, (const int64_t[]){5, 6}, 1, false,
                   negative, ITR_I16, 0);
    compare_scaled("npy:a,b,mean=0:5000,std=1e-3:1e3", 2, (const int64_t[]){2, 15}, 2, false,
                   uneven, ITR_I16, 0);
}

/* A mean that cancels almost everything: the fraction that is left must still be right. */
static void scaled_values_survive_cancellation(void **state)
{
    (void)state;
    static const int32_t values[] = {1000000, 1000001, 1000003, 1000007};
    world w;
    set_up(&w, ITR_I32, values, 1, 1, (const int64_t[]){4},
           "npy:a,b,mean=1000000.333333333333,std=3");
    w.columns[0].min = 1000000;
    w.columns[0].max = 1000007;
    assert_int_equal(start(&w, 0, false), 0);
    itr_pipeline_rows(&w.p, 0, 1);
    for (int i = 0; i < 4; i++) {
        const long double want = ((long double)values[i] - 1000000.333333333333L) / 3;
        assert_true(fabsl(value_at(&w, i) - want) <= (6.67L / 3) * 0x1p-29L);
    }
    tear_down(&w);
}

static void scaling_refuses_what_does_not_fit(void **state)
{
    (void)state;
    static const uint8_t values[8] = {0};
    static const char *const bad[] = {"npy:a,b,mean=1:2:3", "npy:a,b,mean=1:2,std=1:2:3",
                                      "npy:a,b,augment=flip"};
    for (int i = 0; i < 3; i++) {
        world w;
        set_up(&w, ITR_U8, values, 1, i == 2 ? 1 : 2, (const int64_t[]){2, 4}, bad[i]);
        assert_int_equal(start(&w, 0, true), 2);
        assert_string_equal(w.m.id, "E0514");
        tear_down(&w);
    }
}

static bool is_permutation(const uint32_t *order, int64_t n)
{
    uint8_t seen[1000] = {0};
    for (int64_t i = 0; i < n; i++) {
        if (order[i] >= n || seen[order[i]]++) {
            return false;
        }
    }
    return true;
}

static void shuffle_permutes_each_epoch_anew(void **state)
{
    (void)state;
    uint32_t a[1000];
    uint32_t b[1000];
    static const int64_t sizes[] = {1, 2, 3, 7, 999, 1000};
    for (int i = 0; i < 6; i++) {
        itr_shuffle(a, sizes[i], 5, 3);
        assert_true(is_permutation(a, sizes[i]));
    }
    itr_shuffle(b, 1000, 5, 3);
    assert_memory_equal(a, b, sizeof a);
    itr_shuffle(b, 1000, 5, 4);
    assert_memory_not_equal(a, b, sizeof a);
    itr_shuffle(b, 1000, 6, 3);
    assert_memory_not_equal(a, b, sizeof a);
    itr_shuffle(b, 1000, 5 + ((uint64_t)1 << 40), 3);
    assert_memory_not_equal(a, b, sizeof a);
}

/* The definition, step by step, from Philox itself. */
static void shuffle_is_as_documented(void **state)
{
    (void)state;
    uint32_t want[50];
    uint32_t got[50];
    const uint32_t key[2] = {77, 1};
    for (uint32_t i = 0; i < 50; i++) {
        want[i] = i;
    }
    for (uint32_t i = 49; i > 0; i--) {
        const uint32_t counter[4] = {i, 9, 0, 0xFFFFF000u};
        uint32_t out[4];
        itr_philox(counter, key, out);
        const uint64_t j = ((uint64_t)out[1] << 32 | out[0]) % (i + 1);
        const uint32_t t = want[i];
        want[i] = want[j];
        want[j] = t;
    }
    itr_shuffle(got, 50, 77 | (uint64_t)1 << 32, 9);
    assert_memory_equal(got, want, sizeof got);
}

/* Each of the 24 orders of 4 rows about equally often: chi-square with 23 degrees of freedom. */
static void shuffle_is_uniform(void **state)
{
    (void)state;
    int count[256] = {0};
    const int runs = 24000;
    for (int i = 0; i < runs; i++) {
        uint32_t o[4];
        itr_shuffle(o, 4, 1, i);
        count[o[0] | o[1] << 2 | o[2] << 4 | o[3] << 6]++;
    }
    double chi = 0;
    int found = 0;
    for (int i = 0; i < 256; i++) {
        if (count[i]) {
            chi += (count[i] - 1000.0) * (count[i] - 1000.0) / 1000.0;
            found++;
        }
    }
    assert_int_equal(found, 24);
    assert_true(chi < 49.7); /* probability 0.001 */
}

static void epochs_cover_every_row_once(void **state)
{
    (void)state;
    uint8_t values[30];
    for (int i = 0; i < 30; i++) {
        values[i] = (uint8_t)(2 * i);
    }
    world w;
    set_up(&w, ITR_U8, values, 30, 1, (const int64_t[]){1}, "npy:a,b");
    assert_int_equal(start(&w, 3, true), 0);
    for (int64_t epoch = 0; epoch < 3; epoch++) {
        uint32_t order[30];
        int at = 0;
        itr_pipeline_start(&w.p, epoch);
        for (int64_t row = 0; row < 30; row += 4) {
            const int32_t n = row + 4 <= 30 ? 4 : 2;
            itr_pipeline_rows(&w.p, row, n);
            for (int i = 0; i < n; i++) {
                order[at++] = (uint32_t)((const int32_t *)w.p.arrays[1].data)[i];
                assert_int_equal(((const uint8_t *)w.p.arrays[0].data)[i], 2 * order[at - 1]);
            }
        }
        assert_true(is_permutation(order, 30));
    }
    tear_down(&w);
    set_up(&w, ITR_U8, values, 30, 1, (const int64_t[]){1}, "npy:a,b,shuffle=0");
    assert_int_equal(start(&w, 3, true), 0);
    itr_pipeline_rows(&w.p, 8, 2);
    assert_int_equal(((const int32_t *)w.p.arrays[1].data)[1], 9);
    tear_down(&w);
}

/* The picture moved by (dx, dy), then mirrored: [planes][h][w][pixel]. */
static void move(const uint8_t *image, const int64_t *d, int dx, int dy, bool flip, uint8_t *want)
{
    for (int64_t i = 0; i < d[0] * d[1] * d[2] * d[3]; i++) {
        const int64_t c = i % d[3];
        const int64_t x = i / d[3] % d[2];
        const int64_t sx = (flip ? d[2] - 1 - x : x) + dx;
        const int64_t sy = i / d[3] / d[2] % d[1] + dy;
        const int64_t plane = i / d[3] / d[2] / d[1];
        const bool inside = sy >= 0 && sy < d[1] && sx >= 0 && sx < d[2];
        want[i] = inside ? image[((plane * d[1] + sy) * d[2] + sx) * d[3] + c] : 0;
    }
}

/* Every crop is some shift of the padded image, mirrored or not; all of them occur. */
static void augment_picture(int rank, const int64_t *dims, const int64_t *d, const char *spec,
                            int pad)
{
    uint8_t image[128];
    int seen[98] = {0}; /* up to 7 * 7 * 2 */
    const int side = 2 * pad + 1;
    const int kinds = 2 * side * side;
    const int64_t n = d[0] * d[1] * d[2] * d[3];
    for (int i = 0; i < n; i++) {
        image[i] = (uint8_t)(i + 1);
    }
    world w;
    set_up(&w, ITR_U8, image, 1, rank, dims, spec);
    assert_int_equal(start(&w, 0, true), 0);
    for (int64_t epoch = 0; epoch < 25 * kinds; epoch++) {
        itr_pipeline_start(&w.p, epoch);
        itr_pipeline_rows(&w.p, 0, 1);
        int matches = 0;
        for (int k = 0; k < kinds; k++) {
            uint8_t want[128];
            move(image, d, k / 2 / side - pad, k / 2 % side - pad, k % 2 != 0, want);
            if (memcmp(want, w.p.arrays[0].data, (size_t)n) == 0) {
                matches++;
                seen[k]++;
            }
        }
        assert_true(matches > 0); /* several where nothing is left of the picture */
    }
    for (int k = 0; k < kinds; k++) {
        assert_true(seen[k] >= 5); /* 25 expected */
    }
    tear_down(&w);
    set_up(&w, ITR_U8, image, 1, rank, dims, spec);
    assert_int_equal(start(&w, 0, false), 0); /* evaluation sees the image itself */
    itr_pipeline_rows(&w.p, 0, 1);
    assert_memory_equal(w.p.arrays[0].data, image, (size_t)n);
    tear_down(&w);
}

static void augmentation_shifts_and_mirrors(void **state)
{
    (void)state;
    augment_picture(3, (const int64_t[]){2, 3, 4}, (const int64_t[]){2, 3, 4, 1},
                    "npy:a,b,augment=crop1:flip", 1);
    augment_picture(3, (const int64_t[]){5, 4, 3}, (const int64_t[]){1, 5, 4, 3},
                    "npy:a,b,augment=crop2:flip", 2);
    augment_picture(2, (const int64_t[]){4, 2}, (const int64_t[]){1, 4, 2, 1},
                    "npy:a,b,augment=crop3:flip", 3); /* further than it is wide */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(unscaled_integers_pass_unchanged),
                                       cmocka_unit_test(bytes_over_255_are_nearest),
                                       cmocka_unit_test(scaled_values_against_double),
                                       cmocka_unit_test(scaled_values_survive_cancellation),
                                       cmocka_unit_test(scaling_refuses_what_does_not_fit),
                                       cmocka_unit_test(shuffle_permutes_each_epoch_anew),
                                       cmocka_unit_test(shuffle_is_as_documented),
                                       cmocka_unit_test(shuffle_is_uniform),
                                       cmocka_unit_test(epochs_cover_every_row_once),
                                       cmocka_unit_test(augmentation_shifts_and_mirrors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
