/** rng.c: known answers, layout, and the dropout mask. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/rng.h"
#include "runtime_random.h"

/** Random123's known answers for philox4x32 with 10 rounds. */
static void philox_known_answers(void **state)
{
    (void)state;
    static const uint32_t known[][10] = {
        {0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
        {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x408f276d,
         0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
        {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09,
         0x94fdcceb, 0x5001e420, 0x24126ea1}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        uint32_t out[4];
        itr_philox(known[i], known[i] + 4, out);
        assert_memory_equal(out, known[i] + 6, sizeof out);
    }
}

/** The known answers again, through the coordinates. */
static void fill_places_words(void **state)
{
    (void)state;
    uint64_t out[8];
    const itr_rng zero = {.seed = 0};
    itr_random_fill(&zero, 0, 0, 0, 8, 16, out);
    static const uint64_t halves[8] = {0xe8d5, 0x6627, 0xc58d, 0xe169,
                                       0xac4c, 0xbc57, 0xdbd8, 0x9b00};
    assert_memory_equal(out, halves, sizeof halves);
    itr_random_fill(&zero, 0, 0, 0, 4, 32, out);
    assert_int_equal(out[1], 0xe169c58d);
    itr_random_fill(&zero, 0, 0, 0, 2, 64, out);
    assert_true(out[0] == UINT64_C(0xe169c58d6627e8d5) && out[1] == UINT64_C(0x9b00dbd8bc57ac4c));

    const itr_rng pi = {
        .seed = UINT64_C(0x299f31d0a4093822), .micro_batch = 0x85a308d3, .step = 0x13198a2e};
    itr_random_fill(&pi, 0x037073, 0x44, (int64_t)0x243f6a88 * 4 + 2, 1, 32, out);
    assert_int_equal(out[0], 0x5001e420);
    /* the block number's low 32 bits count */
    itr_random_fill(&pi, 0x037073, 0x44, ((int64_t)5 << 34) + (int64_t)0x243f6a88 * 4, 1, 32, out);
    assert_int_equal(out[0], 0xd16cfe09);
}

static void fill_agrees_with_definition(void **state)
{
    (void)state;
    static const int widths[] = {16, 32, 64};
    uint64_t seed = 1, out[1000];
    uint32_t out32[1000];
    for (int i = 0; i < 300; i++) {
        const itr_rng rng = {.seed = next(&seed),
                             .step = (uint32_t)next(&seed),
                             .micro_batch = (uint32_t)next(&seed)};
        const int width = widths[i % 3], n = (int)between(&seed, 0, 999);
        const uint32_t site = (uint32_t)next(&seed) >> 8, draw = (uint32_t)next(&seed) >> 24;
        const int64_t first = between(&seed, 0, 5000);
        itr_random_fill(&rng, site, draw, first, n, width, out);
        for (int j = 0; j < n; j += 1 + n / 60) {
            assert_true(out[j] == random_of(&rng, site, draw, first + j, width));
        }
        if (width < 64) {
            itr_random_fill32(&rng, site, draw, first, n, width, out32);
            for (int j = 0; j < n; j++) {
                assert_int_equal(out32[j], out[j]);
            }
        }
    }
}

static void dropout_keeps_by_upper_bits(void **state)
{
    (void)state;
    enum { N = 5001 };
    static int8_t y[N];
    itr_rng rng = {.seed = 9, .step = 3, .micro_batch = 2};
    itr_dropout_args a = {.y = y, .n = N, .keep_q31 = 1503238554, .site = 12, .rng = &rng};
    itr_dropout_mask_ref(&a);
    int kept = 0;
    for (int i = 0; i < N; i++) {
        assert_int_equal(y[i], random_of(&rng, 12, 0, i, 32) / 2 < 1503238554);
        kept += y[i];
    }
    assert_in_range(kept, N * 7 / 10 - 165, N * 7 / 10 + 165); /* 5 standard deviations */
    rng.nearest_only = 1;
    itr_dropout_mask_ref(&a);
    for (int i = 0; i < N; i++) {
        assert_int_equal(y[i], 1);
    }
}

/** The numbers of NUMERICS.md, one at a time. */
static int noise_of(const itr_rng *rng, bool normal, int i)
{
    const int low = (int)random_of(rng, 12, 1, i, 16);
    int ones = 0;
    for (uint64_t bits = random_of(rng, 12, 0, i, 64); bits != 0; bits &= bits - 1) {
        ones++;
    }
    return normal ? 1024 * (ones - 32) + low / 64 - 512 : low / 2 * 2 + 1 - 32768;
}

static void noise_is_that_of_the_definition(void **state)
{
    (void)state;
    enum { N = 1001 };
    static int16_t y[N];
    static float z[N];
    for (int normal = 0; normal < 2; normal++) {
        itr_rng rng = {.seed = 9, .step = 3, .micro_batch = 2};
        itr_noise_args a = {.y = y, .n = N, .normal = normal, .site = 12, .rng = &rng};
        itr_noise_args b = {.y = z, .n = N, .normal = normal, .site = 12, .rng = &rng};
        itr_noise_i16_ref(&a);
        itr_noise_f32_ref(&b);
        for (int i = 0; i < N; i++) {
            assert_int_equal(y[i], noise_of(&rng, normal, i));
            assert_true(ldexpf((float)y[i], normal ? -12 : -15) == z[i]);
        }
        rng.nearest_only = 1;
        itr_noise_i16_ref(&a);
        for (int i = 0; i < N; i++) {
            assert_int_equal(y[i], 0);
        }
    }
}

/** Kolmogorov's distance of 40,000 numbers from the distribution, whose 99.9 % quantile is 1.95
 * over the root of their number; means and variances within four standard deviations. */
static void noise_has_its_distribution(void **state)
{
    (void)state;
    enum { N = 40000, BINS = 512 };
    static int16_t y[N];
    for (int normal = 0; normal < 2; normal++) {
        const itr_rng rng = {.seed = 5};
        itr_noise_args a = {.y = y, .n = N, .normal = normal, .site = 7, .rng = (itr_rng *)&rng};
        double sum = 0, squares = 0, worst = 0;
        int below[BINS] = {0}, count = 0;
        itr_noise_i16_ref(&a);
        for (int i = 0; i < N; i++) {
            const double x = ldexp(y[i], normal ? -12 : -15);
            sum += x;
            squares += x * x;
            below[(y[i] + 32768) / 128]++;
        }
        for (int k = 0; k < BINS; k++) {
            count += below[k];
            const double edge = ldexp((k + 1) * 128 - 32768, normal ? -12 : -15);
            const double want = normal ? erfc(-edge * sqrt(192.0 / 386)) / 2 : (edge + 1) / 2;
            worst = fmax(worst, fabs((double)count / N - want));
        }
        const double variance = normal ? 193.0 / 192 : 1.0 / 3, fourth = normal ? 2 : 4.0 / 45;
        assert_true(worst < 1.95 / sqrt(N));
        assert_true(fabs(sum / N) < 4 * sqrt(variance / N));
        assert_true(fabs(squares / N - variance) < 4 * sqrt(fourth / N));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_known_answers),
        cmocka_unit_test(fill_places_words),
        cmocka_unit_test(fill_agrees_with_definition),
        cmocka_unit_test(dropout_keeps_by_upper_bits),
        cmocka_unit_test(noise_is_that_of_the_definition),
        cmocka_unit_test(noise_has_its_distribution),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
