/* Loops as C text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "codegen/c_expr.h"
#include "codegen/emit.h"

static itc_ctx *ctx;
static itc_graph *g;
static itc_emit *e;
static itc_record_list list;

static int setup(void **state)
{
    (void)state;
    ctx = itc_ctx_new();
    g = itc_graph_new(ctx, "t");
    e = itc_emit_new(g);
    list = (itc_record_list){0};
    itc_emit_begin(e, NULL, &list);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    itc_ctx_free(ctx);
    return 0;
}

static itc_value *tensor(itc_dtype t, int rank, const itc_dim *d)
{
    return itc_value_new(g, ITC_VALUE_NODE, "v", itc_type_make(t, rank, d));
}

/** [N,10] */
static itc_value *rows(itc_dtype t)
{
    return tensor(t, 2, (itc_dim[]){{1, true}, {10, false}});
}

static const char *loop(itc_value *out, int n, itc_value *const *in, const itc_expr *x)
{
    itc_strbuf b;
    itc_strbuf_init(&b, ctx);
    assert_int_equal(itc_emit_loop(e, NULL, out, n, in, x), ITC_OK);
    itc_c_loop(ctx, &b, 0, list.record[list.n - 1]->loop, "y", (const char *[]){"a", "b", "c"},
               false);
    return b.text;
}

/** A part of the outermost axis: rows appear in what is left of the loop alone. */
static void parts_of_loops(void **state)
{
    (void)state;
    itc_strbuf b;
    itc_value *a = rows(ITC_I8), *y = rows(ITC_I8);
    itc_strbuf_init(&b, ctx);
    assert_int_equal(itc_emit_loop(e, NULL, y, 1, &a, itc_x_load(e, 0)), ITC_OK);
    const itc_loop *l = list.record[list.n - 1]->loop;
    itc_c_loop(ctx, &b, 0, l, "y", (const char *[]){"a"}, true);
    assert_string_equal(b.text, "for (int64_t i = begin; i < end; i++) {\n"
                                "    y[i] = a[i];\n"
                                "}\n");
    assert_true(itc_loop_uses_rows(l, false));
    assert_false(itc_loop_uses_rows(l, true));
}

static void flat_integer_loops(void **state)
{
    (void)state;
    itc_value *a = rows(ITC_I8), *b = rows(ITC_I8), *y = rows(ITC_I8);
    const itc_expr *x = itc_x_load(e, 0), *zero = itc_x_const(e, 0);
    assert_string_equal(loop(y, 1, &a, itc_x(e, ITC_X_MAX, x, zero, NULL)),
                        "for (int64_t i = 0; i < 10 * n; i++) {\n"
                        "    y[i] = (int8_t)itr_max_i32(a[i], 0);\n"
                        "}\n");
    const itc_expr *pass = itc_x(e, ITC_X_GT, x, zero, NULL);
    const itc_expr *select = itc_x(e, ITC_X_SELECT, pass, itc_x_load(e, 1), zero);
    assert_string_equal(loop(y, 2, (itc_value *[]){a, b}, select),
                        "for (int64_t i = 0; i < 10 * n; i++) {\n"
                        "    y[i] = (int8_t)(a[i] > 0 ? b[i] : 0);\n"
                        "}\n");
    assert_string_equal(loop(y, 1, &a, x), "for (int64_t i = 0; i < 10 * n; i++) {\n"
                                           "    y[i] = a[i];\n"
                                           "}\n");
}

static void wide_loops_widen_before_they_compute(void **state)
{
    (void)state;
    itc_value *a = rows(ITC_I32), *b = rows(ITC_I64), *y = rows(ITC_I64), *z = rows(ITC_I32);
    const itc_expr *sum =
        itc_x(e, ITC_X_MUL, itc_x_load(e, 0),
              itc_x(e, ITC_X_SUB, itc_x_load(e, 1), itc_x_const(e, -3), NULL), NULL);
    assert_string_equal(loop(y, 2, (itc_value *[]){a, b}, sum),
                        "for (int64_t i = 0; i < 10 * n; i++) {\n"
                        "    y[i] = itr_wrap_mul64((int64_t)a[i], itr_wrap_sub64(b[i], -3));\n"
                        "}\n");
    assert_string_equal(
        loop(z, 2, (itc_value *[]){a, b}, sum),
        "for (int64_t i = 0; i < 10 * n; i++) {\n"
        "    y[i] = (int32_t)itr_wrap_mul64((int64_t)a[i], itr_wrap_sub64(b[i], -3));\n"
        "}\n");
}

static void broadcasting_nests(void **state)
{
    (void)state;
    const itc_dim d[] = {{1, true}, {3, false}, {4, false}, {5, false}};
    const itc_dim c[] = {{3, false}, {1, false}, {1, false}};
    itc_value *x = tensor(ITC_F32, 4, d), *y = tensor(ITC_F32, 4, d), *b = tensor(ITC_F32, 3, c);
    const itc_expr *sum = itc_x(e, ITC_X_ADD, itc_x_load(e, 0), itc_x_load(e, 1), NULL);
    assert_string_equal(
        loop(y, 2, (itc_value *[]){x, b}, sum),
        "for (int64_t i0 = 0; i0 < n; i0++) {\n"
        "    for (int64_t i1 = 0; i1 < 3; i1++) {\n"
        "        for (int64_t i2 = 0; i2 < 20; i2++) {\n"
        "            y[60 * i0 + 20 * i1 + i2] = (float)((double)a[60 * i0 + 20 * i1 + i2] + "
        "(double)b[i1]);\n"
        "        }\n    }\n}\n");
}

static void scalars_are_element_zero(void **state)
{
    (void)state;
    itc_value *a = tensor(ITC_I32, 0, NULL), *y = rows(ITC_I32), *one = tensor(ITC_I32, 0, NULL);
    assert_string_equal(loop(y, 1, &a, itc_x_load(e, 0)),
                        "for (int64_t i = 0; i < 10 * n; i++) {\n    y[i] = a[0];\n}\n");
    assert_string_equal(loop(one, 1, &a, itc_x(e, ITC_X_NEG, itc_x_load(e, 0), NULL, NULL)),
                        "y[0] = -a[0];\n");
}

static void real_loops_know_rates_and_functions(void **state)
{
    (void)state;
    itc_value *a = rows(ITC_F32), *m = rows(ITC_I8), *y = rows(ITC_F32);
    const itc_expr *x = itc_x_load(e, 0);
    const itc_expr *lr = itc_x_coef(e, (itc_coef){-1, ITC_SYM_LR});
    assert_string_equal(loop(y, 1, &a, itc_x(e, ITC_X_MUL, lr, x, NULL)),
                        "for (int64_t i = 0; i < 10 * n; i++) {\n"
                        "    y[i] = (float)((-lr) * (double)a[i]);\n"
                        "}\n");
    const itc_expr *n = itc_x_coef(e, (itc_coef){0.5, ITC_SYM_INV_N});
    const itc_expr *t = itc_x_call(e, "tanh", itc_x(e, ITC_X_MUL, n, x, NULL), NULL);
    assert_string_equal(loop(y, 1, &a, t), "for (int64_t i = 0; i < 10 * n; i++) {\n"
                                           "    y[i] = (float)tanh((0.5 * inv_n) * (double)a[i]);\n"
                                           "}\n");
    const itc_expr *both =
        itc_x(e, ITC_X_AND, itc_x(e, ITC_X_GT, x, itc_x_const(e, 0), NULL), itc_x_load(e, 1), NULL);
    assert_string_equal(
        loop(y, 2, (itc_value *[]){a, m}, both),
        "for (int64_t i = 0; i < 10 * n; i++) {\n"
        "    y[i] = (float)((double)a[i] > 0.0 && (double)b[i] != 0.0 ? 1.0 : 0.0);\n"
        "}\n");
}

static void numbers_are_literals_of_their_kind(void **state)
{
    (void)state;
    const itc_coef half = {0.5, ITC_SYM_NONE}, three = {3, ITC_SYM_NONE};
    const itc_coef infinite = {-(double)INFINITY, ITC_SYM_NONE};
    assert_string_equal(itc_c_number(ctx, ITC_LOOP_REAL, three), "3.0");
    assert_string_equal(itc_c_number(ctx, ITC_LOOP_REAL, half), "0.5");
    assert_string_equal(itc_c_number(ctx, ITC_LOOP_I32, three), "3");
    assert_string_equal(itc_c_number(ctx, ITC_LOOP_REAL, infinite), "(double)-INFINITY");
    assert_string_equal(itc_c_int(ctx, INT64_MIN), "INT64_MIN");
    assert_string_equal(itc_c_int(ctx, 4294967296), "INT64_C(4294967296)");
    assert_string_equal(itc_c_dim(ctx, (itc_dim){16, true}), "16 * n");
    assert_string_equal(itc_c_dim(ctx, (itc_dim){1, true}), "n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(parts_of_loops),
        TEST(flat_integer_loops),
        TEST(wide_loops_widen_before_they_compute),
        TEST(broadcasting_nests),
        TEST(scalars_are_element_zero),
        TEST(real_loops_know_rates_and_functions),
        TEST(numbers_are_literals_of_their_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
