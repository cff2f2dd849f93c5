/** --init against torch.nn's bounds: range, moments, what is left alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "tests/support/graph_builder.h"

static const char text[] =
    "in x [N,6,5,5]; par c [8,3,3,3] 5..6; par cb [8] 5..6; y = Conv(x, c, cb) group=2;"
    "f = Flatten(y); par g [40,72] 5..6; par gb [40] 5..6; z = Gemm(f, g, gb) transB=1;"
    "par m [40,30] 5..6; p = MatMul(z, m); par mb [30] 5..6; q = Add(p, mb);"
    "par s [30] 5..6; r = Mul(q, s)";

static gb_model *start(const char *how, int seed)
{
    char settings[128];
    (void)snprintf(settings, sizeof settings, "batch=2 loss=mse arith=float32 init=%s seed=%d", how,
                   seed);
    return gb_open(text, 1, settings);
}

typedef struct moments {
    double low, high, mean, square;
} moments;

static moments of(const gb_model *b, const char *name, int64_t count)
{
    double x[4096];
    moments m = {INFINITY, -INFINITY, 0, 0};
    const itc_value *v = gb_value(b, name);
    assert_non_null(v);
    assert_int_equal(gb_count(v, 1), count);
    gb_read(b, v, count, x);
    for (int64_t i = 0; i < count; i++) {
        m.low = fmin(m.low, x[i]);
        m.high = fmax(m.high, x[i]);
        m.mean += x[i] / (double)count;
        m.square += x[i] * x[i] / (double)count;
    }
    return m;
}

/* Uniform in +-bound: inside, near both ends, mean and variance within 4 deviations. */
static void check_uniform(const gb_model *b, const char *name, int64_t count, double bound)
{
    const moments m = of(b, name, count);
    const double n = (double)count;
    assert_true(m.low >= -bound && m.high <= bound);
    assert_true(m.high - m.low > 2 * bound * (1 - 12 / n));
    assert_true(fabs(m.mean) <= 4 * bound / sqrt(3 * n));
    assert_true(fabs(m.square - bound * bound / 3) <= 4 * bound * bound * sqrt(4 / (45 * n)));
}

static void kaiming_has_the_bounds_of_torch(void **state)
{
    (void)state;
    gb_model *b = start("kaiming", 7);
    check_uniform(b, "c", 216, 1 / sqrt(27)); /* 3 channels a group, 9 taps */
    check_uniform(b, "cb", 8, 1 / sqrt(27));
    check_uniform(b, "g", 2880, 1 / sqrt(72));
    check_uniform(b, "gb", 40, 1 / sqrt(72));
    check_uniform(b, "m", 1200, 1 / sqrt(40));
    check_uniform(b, "mb", 30, 1 / sqrt(40));
    assert_true(of(b, "s", 30).low >= 5); /* a factor is no weight */
    gb_close(b);
}

static void xavier_has_the_bounds_of_torch(void **state)
{
    (void)state;
    gb_model *b = start("xavier", 7);
    check_uniform(b, "c", 216, sqrt(6.0 / (27 + 72)));
    check_uniform(b, "g", 2880, sqrt(6.0 / (72 + 40)));
    check_uniform(b, "m", 1200, sqrt(6.0 / (40 + 30)));
    assert_true(of(b, "gb", 40).square <= 0 && of(b, "cb", 8).square <= 0);
    gb_close(b);
}

static void seeds_and_tensors_differ(void **state)
{
    (void)state;
    gb_model *a = start("kaiming", 7), *b = start("kaiming", 7), *c = start("kaiming", 8);
    double x[8], y[8], z[8], bias[8];
    gb_read(a, gb_value(a, "g"), 8, x);
    gb_read(b, gb_value(b, "g"), 8, y);
    gb_read(c, gb_value(c, "g"), 8, z);
    gb_read(a, gb_value(a, "gb"), 8, bias);
    assert_memory_equal(x, y, sizeof x);
    for (int i = 0; i < 8; i++) {
        assert_true(fabs(x[i] - z[i]) > 0);
        assert_true(fabs(x[i] - bias[i]) > 0);
    }
    gb_close(a);
    gb_close(b);
    gb_close(c);
}

static void keep_keeps(void **state)
{
    (void)state;
    gb_model *b = start("keep", 7);
    assert_true(of(b, "c", 216).low >= 5 && of(b, "m", 1200).low >= 5);
    gb_close(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(kaiming_has_the_bounds_of_torch),
                                       cmocka_unit_test(xavier_has_the_bounds_of_torch),
                                       cmocka_unit_test(seeds_and_tensors_differ),
                                       cmocka_unit_test(keep_keeps)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
