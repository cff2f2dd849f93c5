#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/host/args.h"
#include "runtime/host/decimal.h"

static uint64_t random_state = 88172645463325252u;

static uint64_t random_bits(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/*
 * The nearest 31-bit mantissa by way of strtold, whose 64 bits settle the rounding unless the text
 * is within 2^-33 of a tie; those texts are left to the exact cases below.
 */
static bool expected_scalar(const char *text, long double x, itr_scalar *out)
{
    (void)text;
    int e = 0;
    const long double f = ldexpl(frexpl(fabsl(x), &e), 31); /* [2^30, 2^31) */
    const long double part = f - floorl(f);
    if (fabsl(part - 0.5L) < 1e-8L) {
        return false;
    }
    long double m = floorl(f) + (part > 0.5L ? 1 : 0);
    if (m == 2147483648.0L) {
        m /= 2;
        e++;
    }
    out->m = (int32_t)(x < 0 ? -m : m);
    out->e = e - 31;
    return true;
}

static void parse_scalar_against_strtold(void **state)
{
    (void)state;
    int compared = 0;
    for (int i = 0; i < 20000; i++) {
        char text[80];
        const int form = i % 4;
        const unsigned long long a = random_bits() >> (random_bits() % 60);
        const unsigned long long b = random_bits() >> (random_bits() % 60);
        if (form == 0) {
            snprintf(text, sizeof text, "%llu", a);
        } else if (form == 1) {
            snprintf(text, sizeof text, "-%llu.%llu", a, b);
        } else if (form == 2) {
            snprintf(text, sizeof text, "+.%020llue%d", a, (int)(random_bits() % 500) - 250);
        } else {
            snprintf(text, sizeof text, "%llu.%lluE%+d", a % 1000, b, (int)(b % 500) - 250);
        }
        const long double x = strtold(text, NULL);
        itr_scalar want;
        itr_scalar got;
        if (x != 0 && expected_scalar(text, x, &want)) {
            assert_true(itr_parse_scalar(text, &got));
            assert_int_equal(got.m, want.m);
            assert_int_equal(got.e, want.e);
            compared++;
        }
    }
    assert_true(compared > 19000);
}

static void check_scalar(const char *text, int32_t m, int32_t e)
{
    itr_scalar x;
    assert_true(itr_parse_scalar(text, &x));
    assert_int_equal(x.m, m);
    assert_int_equal(x.e, e);
}

static void parse_scalar_exact_cases(void **state)
{
    (void)state;
    char text[2200];
    check_scalar("0", 0, 0);
    check_scalar("-0.000e999", 0, 0);
    check_scalar("1", 1 << 30, -30);
    check_scalar("-0.5", -(1 << 30), -31);
    check_scalar("2147483647", INT32_MAX, 0);
    check_scalar("4294967295", 1 << 30, 2);    /* 2^32 - 1 rounds up into the next power of two */
    check_scalar("4294967293", 2147483646, 1); /* ties to even: 2147483646.5 */
    check_scalar("4294967291", 2147483646, 1); /* 2147483645.5 */
    check_scalar("4294967289", 2147483644, 1); /* 2147483644.5 */
    check_scalar("4294967289.0000000000000000000000000000001", 2147483645, 1);
    /* a one far beyond the digits that are kept still breaks the tie */
    strcpy(text, "4294967289.");
    memset(text + 11, '0', 2000);
    strcpy(text + 2011, "1");
    check_scalar(text, 2147483645, 1);
    memset(text, '0', 2000);
    strcpy(text + 2000, "3");
    check_scalar(text, 3 << 29, -29);
}

static void parse_scalar_refuses(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",      "nan",    "inf",           "-inf", "NaN", ".",     "-",     "1e",
        "1e+",   "e5",     "0x10",          " 1",   "1 ",  "1,5",   "1.2.3", "--1",
        "1e400", "1e-400", "1e99999999999", "1f",   "+-1", "1_000", "١"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        itr_scalar x;
        assert_false(itr_parse_scalar(bad[i], &x));
    }
}

static void format_scalar_against_printf(void **state)
{
    (void)state;
    for (int i = 0; i < 5000; i++) {
        char text[ITR_DECIMAL_ROOM];
        char want[64];
        const itr_scalar x = {(int32_t)(random_bits() & INT32_MAX) | 1,
                              (int32_t)(random_bits() % 120) - 90};
        const double value = ldexp(x.m, x.e);
        itr_format_scalar(x, text);
        /* 6 significant digits of each, compared as numbers: equal strings after one more trip */
        snprintf(want, sizeof want, "%.6g", value);
        assert_true(fabs(strtod(text, NULL) - strtod(want, NULL)) <= fabs(value) * 1e-15);
        assert_null(strchr(text, 'e'));
    }
    char text[ITR_DECIMAL_ROOM];
    itr_scalar x;
    assert_true(itr_parse_scalar("0.05", &x));
    itr_format_scalar(x, text);
    assert_string_equal(text, "0.05");
    assert_true(itr_parse_scalar("-1e-9", &x));
    itr_format_scalar(x, text);
    assert_string_equal(text, "-0.000000001");
}

static void format_mean_against_double(void **state)
{
    (void)state;
    for (int i = 0; i < 5000; i++) {
        char text[ITR_DECIMAL_ROOM];
        const int64_t x = (int64_t)(random_bits() >> 12) - ((int64_t)1 << 51);
        const int64_t den = (int64_t)(random_bits() % 100000) + 1;
        itr_format_mean(x, 24, den, 9, text);
        const long double want = (long double)x / den / 16777216.0L;
        assert_true(fabsl(strtold(text, NULL) - want) <= 0.5000001e-9L);
    }
    char text[ITR_DECIMAL_ROOM];
    itr_format_mean(7, 0, 7, 6, text);
    assert_string_equal(text, "1.000000");
    itr_format_mean(2, 0, 3, 2, text);
    assert_string_equal(text, "0.67");
    itr_format_mean(7, 0, 50, 6, text);
    assert_string_equal(text, "0.140000");
    itr_format_mean(999999, 0, 1000000, 3, text); /* the rounding carries into the integer */
    assert_string_equal(text, "1.000");
    itr_format_mean(INT64_MAX, 24, 1, 6, text);
    assert_string_equal(text, "549755813888.000000");
    itr_format_mean(5, 24, 0, 6, text);
    assert_string_equal(text, "0");
}

static void parse_ratio_is_exact(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t num, den;
    } good[] = {{"1/255", 1, 255},    {"0.4914", 2457, 5000},
                {"-1.50", -3, 2},     {"2/4", 1, 2},
                {"1/127.5", 2, 255},  {"1e-3", 1, 1000},
                {"0", 0, 1},          {"3e4", 30000, 1},
                {"0.5/-0.25", -2, 1}, {"1e18", 1000000000000000000, 1}};
    static const char *const bad[] = {"", "1/0", "/2", "1/", "1/2/3", "1e19", "1e-19", "nan", "x"};
    itr_ratio r;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(itr_parse_ratio(good[i].text, strlen(good[i].text), &r));
        assert_true(r.num == good[i].num && r.den == good[i].den);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(itr_parse_ratio(bad[i], strlen(bad[i]), &r));
    }
}

static void schedule_round_trip(void **state)
{
    (void)state;
    static const char *const good[] = {"constant", "step:30:0.5", "cosine:1000", "linear:7"};
    static const char *const bad[] = {"",           "step",     "step:",   "step:0",
                                      "cosine:-1",  "cosine:x", "step:3:", "linear:1:2",
                                      "step:3:nan", "Constant"};
    itr_schedule s;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        char text[ITR_DECIMAL_ROOM];
        memset(&s, 0, sizeof s);
        assert_true(itr_parse_schedule(good[i], &s));
        itr_format_schedule(&s, text, sizeof text);
        assert_string_equal(text, good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(itr_parse_schedule(bad[i], &s));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(parse_scalar_against_strtold),
                                       cmocka_unit_test(parse_scalar_exact_cases),
                                       cmocka_unit_test(parse_scalar_refuses),
                                       cmocka_unit_test(format_scalar_against_printf),
                                       cmocka_unit_test(format_mean_against_double),
                                       cmocka_unit_test(parse_ratio_is_exact),
                                       cmocka_unit_test(schedule_round_trip)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
