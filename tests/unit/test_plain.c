/* Integers at run time: the same numbers in every arithmetic, whatever type the caller brings. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "codegen/eval.h"
#include "passes/pass.h"

/* An output is ((a * 3 - b) / d), one is an input as it is, one a view of -a. */
static const char text[] = "itc 1\n"
                           "graph @plain stage=import opset=17 {\n"
                           "  set loss = \"none\"\n"
                           "  set arith = \"%s\"\n"
                           "  set batch = 2\n"
                           "  input %%a : i64[N,3]\n"
                           "  input %%b : i64[N,1]\n"
                           "  input %%m : bool[N,2]\n"
                           "  const %%three : i64[] data=[3]\n"
                           "  const %%d : i64[3] data=[-2, 0, -1]\n"
                           "  const %%shape : i64[3] data=[0, 3, 1]\n"
                           "  forward:\n"
                           "    %%p : ? = Mul(%%a, %%three)\n"
                           "    %%s : ? = Sub(%%p, %%b)\n"
                           "    %%q : ? = Div(%%s, %%d)\n"
                           "    %%n : ? = Neg(%%a)\n"
                           "    %%v : ? = Reshape(%%n, %%shape)\n"
                           "    %%i : ? = Identity(%%m)\n"
                           "  output %%q as \"q\"\n"
                           "  output %%v as \"v\"\n"
                           "  output %%i as \"i\"\n"
                           "}\n";

static itr_model *compile(itc_ctx *ctx, const char *t)
{
    itc_graph *g = NULL;
    itc_program *p = NULL;
    itr_model *m = NULL;
    if (itc_parse(ctx, "t.itc", t, strlen(t), &g) != ITC_OK ||
        itc_run_to(g, ITC_STAGE_MEMORY, NULL) != ITC_OK || itc_program_new(g, &p) != ITC_OK ||
        itc_eval_model(p, &m) != ITC_OK) {
        itc_diag_print(ctx, stderr);
        fail_msg("no program");
    }
    return m;
}

static const int64_t a64[2][3] = {{1, -5, 7}, {100, 0, -128}}, b64[2] = {2, -100};
static const int8_t a8[2][3] = {{1, -5, 7}, {100, 0, -128}}, b8[2] = {2, -100};
static const uint8_t mask[2][2] = {{0, 7}, {1, 0}};

static void check(const char *arith, const void *a, const void *b, itr_dtype t)
{
    itc_ctx *ctx = itc_ctx_new();
    const itr_model *m = compile(ctx, itc_format(ctx, text, arith));
    const itr_array in[3] = {{a, t, 0}, {b, t, 0}, {mask, ITR_U8, 0}};
    static const int64_t d[3] = {-2, 0, -1};
    int64_t q[2][3], v[2][3];
    uint8_t i[2][2];
    int32_t e[2] = {77, 77};
    itr_output out[3] = {{q, e}, {v, NULL}, {i, NULL}};
    assert_int_equal(m->output_count, 3);
    assert_int_equal(m->outputs[0].dtype, ITR_I64);
    assert_int_equal(m->outputs[2].dtype, ITR_U8);
    assert_true(m->outputs[0].is_ids);
    assert_int_equal(m->infer(itc_eval_state_new(m), in, 2, out), ITR_OK);
    for (int r = 0; r < 2; r++) {
        for (int k = 0; k < 3; k++) {
            const int64_t s = a64[r][k] * 3 - b64[r];
            assert_int_equal(q[r][k], d[k] == 0 ? 0 : s / d[k]);
            assert_int_equal(v[r][k], -a64[r][k]);
        }
        for (int k = 0; k < 2; k++) {
            assert_int_equal(i[r][k], mask[r][k] != 0);
        }
    }
    assert_int_equal(e[0], 77); /* plain integers have no exponent */
    itc_ctx_free(ctx);
}

/* ---- functions of two integers ---- */

static int64_t shifted_left(int64_t a, int64_t b)
{
    return b > 63 ? 0 : (int64_t)((uint64_t)a << b);
}

static int64_t shifted_right(int64_t a, int64_t b)
{
    return b > 63 ? 0 : (int64_t)((uint64_t)a >> b);
}

static int64_t both(int64_t a, int64_t b)
{
    return a & b;
}

static int64_t either(int64_t a, int64_t b)
{
    return a | b;
}

static int64_t differing(int64_t a, int64_t b)
{
    return a ^ b;
}

static int64_t remainder_of(int64_t a, int64_t b)
{
    return b == 0 ? 0 : a % b;
}

static int64_t modulo(int64_t a, int64_t b)
{
    return b == 0 ? 0 : a - b * (int64_t)floor((double)a / (double)b);
}

static int64_t power(int64_t a, int64_t b)
{
    uint64_t p = 1;
    for (int64_t i = 0; i < b; i++) {
        p *= (uint64_t)a;
    }
    return (int64_t)p;
}

/** An operator in each arithmetic, against C's. */
static void functions_of_two(void **state)
{
    static const struct {
        const char *node;
        int64_t (*function)(int64_t a, int64_t b);
    } cases[] = {{"BitShift(%a, %b) {direction=\"LEFT\"}", shifted_left},
                 {"BitShift(%a, %b) {direction=\"RIGHT\"}", shifted_right},
                 {"BitwiseAnd(%a, %b)", both},
                 {"BitwiseOr(%a, %b)", either},
                 {"BitwiseXor(%a, %b)", differing},
                 {"Mod(%a, %b)", modulo},
                 {"Mod(%a, %b) {fmod=1}", remainder_of},
                 {"Pow(%a, %b)", power}};
    static const char *const arith[] = {"float32", "int8", "int16"};
    static const int64_t a[2][4] = {{1, -5, 7, 100}, {-3, 0, 1 << 20, -128}},
                         b[2][4] = {{2, 3, 0, 5}, {7, 64, 13, 1}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int k = 0; k < 3; k++) {
            itc_ctx *ctx = itc_ctx_new();
            const char *program = itc_format(ctx,
                                             "itc 1\ngraph @two stage=import opset=18 {\n"
                                             "set loss = \"none\"\nset arith = \"%s\"\n"
                                             "set batch = 2\ninput %%a : i64[N,4]\n"
                                             "input %%b : i64[N,4]\nforward:\n%%y : ? = %s\n"
                                             "output %%y as \"y\"\n}\n",
                                             arith[k], cases[i].node);
            const itr_model *m = compile(ctx, program);
            const itr_array in[2] = {{a, ITR_I64, 0}, {b, ITR_I64, 0}};
            int64_t y[2][4];
            itr_output out[1] = {{y, NULL}};
            assert_int_equal(m->infer(itc_eval_state_new(m), in, 2, out), ITR_OK);
            for (int j = 0; j < 8; j++) {
                assert_int_equal(y[j / 4][j % 4],
                                 cases[i].function(a[j / 4][j % 4], b[j / 4][j % 4]));
            }
            itc_ctx_free(ctx);
        }
    }
}

static void integers_are_the_same_in_every_arithmetic(void **state)
{
    (void)state;
    static const char *const arith[] = {"float32", "int8", "int16"};
    for (int i = 0; i < 3; i++) {
        check(arith[i], a64, b64, ITR_I64);
        check(arith[i], a8, b8, ITR_I8);
    }
}

static void integers_wrap(void **state)
{
    (void)state;
    itc_ctx *ctx = itc_ctx_new();
    const itr_model *m = compile(ctx, itc_format(ctx, text, "int8"));
    const int64_t a[3] = {INT64_MAX, INT64_MIN, INT64_MIN}, b[1] = {0};
    const itr_array in[3] = {{a, ITR_I64, 0}, {b, ITR_I64, 0}, {mask, ITR_U8, 0}};
    int64_t q[3], v[3];
    uint8_t i[2];
    itr_output out[3] = {{q, NULL}, {v, NULL}, {i, NULL}};
    assert_int_equal(m->infer(itc_eval_state_new(m), in, 1, out), ITR_OK);
    assert_int_equal(q[0], (int64_t)((uint64_t)INT64_MAX * 3) / -2);
    assert_int_equal(q[2], INT64_MIN); /* -(3 * -2^63) modulo 2^64 */
    assert_int_equal(v[1], INT64_MIN);
    itc_ctx_free(ctx);
}

static void floats_are_no_ids(void **state)
{
    (void)state;
    itc_ctx *ctx = itc_ctx_new();
    const itr_model *m = compile(ctx, itc_format(ctx, text, "float32"));
    const float f[6] = {0};
    itr_array in[3] = {{f, ITR_F32, 0}, {b64, ITR_I64, 0}, {mask, ITR_U8, 0}};
    itr_output out[3] = {{NULL, NULL}, {NULL, NULL}, {NULL, NULL}};
    assert_int_equal(m->infer(itc_eval_state_new(m), in, 2, out), ITR_BAD_INPUT);
    itc_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_the_same_in_every_arithmetic),
        cmocka_unit_test(integers_wrap),
        cmocka_unit_test(functions_of_two),
        cmocka_unit_test(floats_are_no_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
