/* Names of ONNX as parts of C. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "codegen/names.h"

static itc_ctx *ctx;

static int setup(void **state)
{
    (void)state;
    ctx = itc_ctx_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    itc_ctx_free(ctx);
    return 0;
}

static void sanitize_keeps_letters_and_digits(void **state)
{
    (void)state;
    assert_string_equal(itc_name_sanitize(ctx, "/conv1/Conv_output_0"), "conv1_Conv_output_0");
    assert_string_equal(itc_name_sanitize(ctx, "a::b..c"), "a_b_c");
    assert_string_equal(itc_name_sanitize(ctx, "\xc3\xa4\xc3\xb6"), "");
    assert_string_equal(itc_name_sanitize(ctx, "x*/ int main"), "x_int_main");
    char long_name[200];
    memset(long_name, 'a', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = 0;
    assert_int_equal(strlen(itc_name_sanitize(ctx, long_name)), 48);
}

static void model_names_are_identifiers(void **state)
{
    (void)state;
    assert_string_equal(itc_name_model(ctx, "lenet5"), "lenet5");
    assert_string_equal(itc_name_model(ctx, "my-model.v2"), "my_model_v2");
    assert_string_equal(itc_name_model(ctx, "2layer"), "model_2layer");
    assert_string_equal(itc_name_model(ctx, "int"), "int_model");
    assert_string_equal(itc_name_model(ctx, "main"), "main_model");
    assert_string_equal(itc_name_model(ctx, "class"), "class_model");
    assert_string_equal(itc_name_model(ctx, "itr"), "model_itr");
    assert_string_equal(itc_name_model(ctx, "---"), "model");
    assert_string_equal(itc_name_model(ctx, ""), "model");
}

static void comments_cannot_end_early(void **state)
{
    (void)state;
    assert_null(strstr(itc_name_comment(ctx, "a*/ system(\"x\") /* b"), "*/"));
    assert_null(strstr(itc_name_comment(ctx, "/*/*/"), "*/"));
    assert_null(strstr(itc_name_comment(ctx, "a/*b"), "/*"));
    assert_null(strchr(itc_name_comment(ctx, "line\nbreak\\"), '\n'));
    assert_null(strchr(itc_name_comment(ctx, "line\nbreak\\"), '\\'));
    assert_null(strstr(itc_name_comment(ctx, "what?\?/"), "?\?"));
    assert_string_equal(itc_name_comment(ctx, "conv1 (Conv)"), "conv1 (Conv)");
}

static void literals_escape(void **state)
{
    (void)state;
    assert_string_equal(itc_name_literal(ctx, "a\"b\\c"), "\"a\\\"b\\\\c\"");
    assert_string_equal(itc_name_literal(ctx, "\n\xff"), "\"\\012\\377\"");
    assert_string_equal(itc_name_literal(ctx, "?\?="), "\"\\?\\?=\"");
    assert_string_equal(itc_name_json(ctx, "a\"\\\n"), "\"a\\\"\\\\\\u000a\"");
    assert_string_equal(itc_name_json(ctx, "\xc3\xa4"), "\"\xc3\xa4\"");
    assert_string_equal(itc_name_json(ctx, "\xff"), "\"\\ufffd\"");
}

static void numbers_read_back(void **state)
{
    (void)state;
    assert_string_equal(itc_name_number(ctx, 0.05), "0.05");
    assert_string_equal(itc_name_number(ctx, 1), "1");
    const double third = 1.0 / 3;
    assert_true(!(strtod(itc_name_number(ctx, third), NULL) < third) &&
                !(strtod(itc_name_number(ctx, third), NULL) > third));
}

static void exponents_and_sites_read_as_in_the_ir(void **state)
{
    (void)state;
    const itc_exp sum = {
        .kind = ITC_EXP_SUM, .slot = 7, .offset = -30, .n_terms = 2, .term = {3, 5}};
    const itc_exp fit = {.kind = ITC_EXP_FIT, .slot = 2};
    const itc_exp constant = {.kind = ITC_EXP_SUM, .slot = -1, .offset = -15};
    const itc_exp none = {.kind = ITC_EXP_NONE, .slot = -1};
    assert_string_equal(itc_name_exponent(ctx, &sum), "@7 = @3 + @5 - 30");
    assert_string_equal(itc_name_exponent(ctx, &fit), "@2");
    assert_string_equal(itc_name_exponent(ctx, &constant), "-15");
    assert_string_equal(itc_name_exponent(ctx, &none), "");
    assert_string_equal(itc_name_site(ctx, 12u << 8 | ITC_ROLE_DX << 4 | 1), "#12.dx.1");
    assert_string_equal(itc_name_site(ctx, 3u << 8 | ITC_ROLE_FWD << 4), "#3.fwd");
    assert_string_equal(itc_name_site(ctx, 0), "");
}

static void identifiers_are_unique(void **state)
{
    (void)state;
    itc_graph *g = itc_graph_new(ctx, "t");
    const itc_type t = itc_type_scalar(ITC_I32);
    static const char *const name[] = {"a.b", "a/b", "a_b",      "a_b_2",
                                       "a b", "",    "\xc3\xa4", "a_b_3"};
    enum { COUNT = sizeof name / sizeof name[0] };
    itc_value *v[COUNT];
    for (int i = 0; i < COUNT; i++) {
        v[i] = itc_value_new(g, ITC_VALUE_PARAM, name[i], t);
        v[i]->onnx = name[i];
    }
    itc_value *slot = itc_value_new(g, ITC_VALUE_SLOT, "m", t);
    const itc_names *names = itc_names_new(g, "net");
    assert_string_equal(names->ident[v[0]->id], "w_a_b");
    assert_string_equal(names->ident[v[1]->id], "w_a_b_2");
    assert_string_equal(names->ident[slot->id], "opt_m");
    assert_string_equal(names->model, "net");
    assert_string_equal(names->upper, "NET");
    for (int i = 0; i < g->n_values; i++) {
        for (int k = 0; k < i; k++) {
            assert_string_not_equal(names->ident[i], names->ident[k]);
        }
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(sanitize_keeps_letters_and_digits),
        TEST(model_names_are_identifiers),
        TEST(comments_cannot_end_early),
        TEST(literals_escape),
        TEST(numbers_read_back),
        TEST(exponents_and_sites_read_as_in_the_ir),
        TEST(identifiers_are_unique),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
