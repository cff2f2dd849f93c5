/*
 * Formulas of one element: their text, slopes against differences in double precision, and the
 * integer kernels against <math.h> and closed forms, for every exponent at which a value is one.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "codegen/formula_code.h"
#include "runtime/formula.def"
#include "runtime/kernel.h"
#include "runtime/ref/functions.h"

static const itc_formula *parsed(itc_ctx *ctx, const char *text)
{
    const char *wrong = NULL;
    const itc_formula *f = itc_formula_parse(ctx, text, &wrong);
    if (!f) {
        fail_msg("\"%s\" is no formula from \"%s\" on", text, wrong);
    }
    return f;
}

/* ---- text ---- */

static void text_is_canonical(void **state)
{
    static const char *const cases[][2] = {
        {"x", "x"},
        {" ( x ) ", "x"},
        {"1+2*3", "7"},
        {"x - (1 - x)", "x-(1-x)"},
        {"(x - 1) - x", "x-1-x"},
        {"x/(2*x)", "x/(2*x)"},
        {"x/2*x", "x/2*x"},
        {"-x*x", "-x*x"},
        {"-(x*x)", "-(x*x)"},
        {"x--2", "x--2"},
        {"x*-3", "x*-3"},
        {"x*-1", "-x"},
        {"0*x+x*1-0", "x"},
        {"x/1", "x"},
        {"0-x", "-x"},
        {"--x", "x"},
        {"x > 0 ? x : x < -1 ? -1 : x", "x>0 ? x : x<-1 ? -1 : x"},
        {"(x > 0 ? 1 : 2) * x", "(x>0 ? 1 : 2)*x"},
        {"max(x, min(u, 0.1))", "max(x,min(u,0.1))"},
        {"pow(x, 2.5)", "pow(x,2.5)"},
        {"exp(-x)/(1+exp(-x))", "exp(-x)/(1+exp(-x))"},
        {"sigmoid(0)", "0.5"},
        {"1/0", "1/0"},
        {"log(0)+x", "log(0)+x"},
        {"log(1+exp(x))", "log1p(exp(x))"},
        {"exp(-x)-1", "expm1(-x)"},
        {"1+erf(x)", "erfc(-x)"},
        {"1-erf(x)", "erfc(x)"},
        {"tanh(x)+1", "2*sigmoid(2*x)"},
        {"1-tanh(x)", "2*sigmoid(2*-x)"},
        {"2 ? x : exp(x)", "x"},
        {"x > 1 ? x : x", "x"},
    };
    (void)state;
    itc_ctx *ctx = itc_ctx_new();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const itc_formula *f = parsed(ctx, cases[i][0]);
        const char *text = itc_formula_text(ctx, f);
        assert_string_equal(text, cases[i][1]);
        assert_true(itc_formula_equal(f, parsed(ctx, text)));
    }
    itc_ctx_free(ctx);
}

static void nonsense_is_refused(void **state)
{
    static const char *const cases[] = {"",      "y",      "x+",      "x x",
                                        "exp",   "exp()",  "exp(x",   "(x",
                                        "x)",    "pow(x)", "1e999",   "nosuch(x)",
                                        "x ? 1", "x?1:",   "pow(x,)", "exp(x,x)",
                                        "%",     "x=1",    "max(x)",  "averyveryverylongname(x)"};
    (void)state;
    itc_ctx *ctx = itc_ctx_new();
    const char *wrong = NULL;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_null(itc_formula_parse(ctx, cases[i], &wrong));
        assert_true(wrong >= cases[i] && wrong <= cases[i] + strlen(cases[i]));
    }
    static char deep[100000];
    memset(deep, '(', sizeof deep - 1);
    assert_null(itc_formula_parse(ctx, deep, &wrong));
    memset(deep, '-', sizeof deep - 1);
    assert_null(itc_formula_parse(ctx, deep, &wrong));
    for (size_t i = 0; i + 2 < sizeof deep; i += 2) {
        memcpy(deep + i, "x+", 2);
    }
    memcpy(deep + sizeof deep - 3, "x", 2);
    assert_null(itc_formula_parse(ctx, deep, &wrong));
    itc_ctx_free(ctx);
}

/* ---- slopes ---- */

typedef struct slope_case {
    const char *formula;
    double from, to;
} slope_case;

static void slopes_are_differences(void **state)
{
    static const slope_case cases[] = {
        {"exp(x)", -4, 4},
        {"expm1(x)", -4, 4},
        {"log(x)", 0.1, 9},
        {"log1p(x)", -0.8, 9},
        {"sqrt(x)", 0.1, 9},
        {"pow(x,3)", -4, 4},
        {"pow(x,-1.5)", 0.2, 4},
        {"pow(2,x)", -4, 4},
        {"pow(x,x)", 0.2, 4},
        {"erf(x)", -3, 3},
        {"erfc(x)", -3, 3},
        {"sin(x)", -6, 6},
        {"cos(x)", -6, 6},
        {"tan(x)", -1.3, 1.3},
        {"asin(x)", -0.9, 0.9},
        {"acos(x)", -0.9, 0.9},
        {"atan(x)", -6, 6},
        {"sinh(x)", -4, 4},
        {"cosh(x)", -4, 4},
        {"tanh(x)", -4, 4},
        {"asinh(x)", -4, 4},
        {"acosh(x)", 1.1, 6},
        {"atanh(x)", -0.9, 0.9},
        {"sigmoid(x)", -6, 6},
        {"sigmoid_slope(x)", -6, -0.1},
        {"tanh_slope(x)", 0.1, 3},
        {"softplus(x)", -6, 6},
        {"abs(x)", 0.1, 3},
        {"max(x*x,sin(x))", 1, 4},
        {"min(x*x,2+sin(x))", 2, 4},
        {"x>0 ? x*x : exp(x)", 0.1, 3},
        {"x>0 ? x*x : exp(x)", -3, -0.1},
        {"(x*x-3*x+1)/(x*x+1)", -3, 3},
        {"-x*exp(-x*x/2)", -3, 3},
        {"exp(sin(2*x)-tanh(x)/3)", -3, 3},
    };
    (void)state;
    itc_ctx *ctx = itc_ctx_new();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const itc_formula *f = parsed(ctx, cases[i].formula);
        const itc_formula *s = itc_formula_expand(ctx, itc_formula_slope(ctx, f), false);
        f = itc_formula_expand(ctx, f, false);
        for (int k = 0; k <= 40; k++) {
            const double x = cases[i].from + (cases[i].to - cases[i].from) * k / 40, h = 1e-4;
            const double wide = (itc_formula_eval(f, x + h) - itc_formula_eval(f, x - h)) / (2 * h);
            const double near =
                (itc_formula_eval(f, x + h / 2) - itc_formula_eval(f, x - h / 2)) / h;
            const double want = (4 * near - wide) / 3, got = itc_formula_eval(s, x);
            if (!(fabs(got - want) <= 1e-8 * fmax(1, fabs(want)))) {
                fail_msg("%s at %g: slope %.12g, differences %.12g", cases[i].formula, x, got,
                         want);
            }
        }
    }
    itc_ctx_free(ctx);
}

/** What a model is trained with at kinks, as PyTorch has it. */
static void kinks(void **state)
{
    static const struct {
        const char *formula;
        double at, slope;
    } cases[] = {{"max(x,0)", 0, 0},
                 {"abs(x)", 0, 0},
                 {"x>0 ? x : 0.5*expm1(x)", 0, 0.5},
                 {"min(max(x/6+0.5,0),1)", 3, 0},
                 {"min(max(x/6+0.5,0),1)", -3, 0},
                 {"softplus(x)", 0, 0.5},
                 {"x/(1+abs(x))", 0, 1},
                 {"sqrt(4*(sign(x)*max(abs(x),0)))", 0, 0}, /* LPPool2d of zeros */
                 {"sqrt(max(x,0))", -1, 0},
                 {"log(max(x,0))+x", 0, 1},
                 {"1/(-(-max(x,0)))", 0, 0}};
    (void)state;
    itc_ctx *ctx = itc_ctx_new();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const itc_formula *s = itc_formula_slope(ctx, parsed(ctx, cases[i].formula));
        const double got = itc_formula_eval(itc_formula_expand(ctx, s, false), cases[i].at);
        assert_true(fabs(got - cases[i].slope) < 1e-12);
    }
    itc_ctx_free(ctx);
}

/* ---- kernels ---- */

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static double sigmoid_slope(double x)
{
    const double e = exp(-fabs(x));
    return e / ((1 + e) * (1 + e));
}

static double tanh_slope(double x)
{
    return 4 * sigmoid_slope(2 * x);
}

static double softplus(double x)
{
    return fmax(x, 0) + log1p(exp(-fabs(x)));
}

static double gelu(double x)
{
    return x / 2 * erfc(-x / sqrt(2));
}

static double mish(double x)
{
    return x * tanh(softplus(x));
}

static double reciprocal(double x)
{
    return 1 / x;
}

static double cube(double x)
{
    return x * x * x;
}

static double power(double x)
{
    return pow(x, -2.5);
}

typedef struct function_case {
    const char *formula;
    double (*f)(double);
    double from, to; /**< where the error is looked at */
    int bits;        /**< its bar, relative to the result */
} function_case;

/** The bars that NUMERICS.md states. */
static const function_case functions[] = {
    {"exp(x)", exp, -700, 700, 27},
    {"expm1(x)", expm1, -700, 700, 25},
    {"log(x)", log, 1e-300, 1e300, 28},
    {"log1p(x)", log1p, -0.99999, 1e300, 28},
    {"sqrt(x)", sqrt, 1e-300, 1e300, 30},
    {"pow(x,3)", cube, -1e90, 1e90, 24},
    {"pow(x,-2.5)", power, 1e-100, 1e100, 24},
    {"erf(x)", erf, -1e9, 1e9, 28},
    {"erfc(x)", erfc, -1e9, 20, 26},
    {"sin(x)", sin, -1e4, 1e4, 26},
    {"cos(x)", cos, -1e4, 1e4, 26},
    {"tan(x)", tan, -1.5, 1.5, 28},
    {"asin(x)", asin, -1, 1, 28},
    {"acos(x)", acos, -1, 0.99, 26},
    {"atan(x)", atan, -1e300, 1e300, 28},
    {"sinh(x)", sinh, -700, 700, 25},
    {"cosh(x)", cosh, -700, 700, 27},
    {"tanh(x)", tanh, -1e9, 1e9, 25},
    {"asinh(x)", asinh, -1e150, 1e150, 28},
    {"acosh(x)", acosh, 1.0000001, 1e150, 28},
    {"atanh(x)", atanh, -0.9999, 0.9999, 28},
    {"sigmoid(x)", sigmoid, -700, 700, 27},
    {"sigmoid_slope(x)", sigmoid_slope, -700, 700, 27},
    {"tanh_slope(x)", tanh_slope, -300, 300, 27},
    {"softplus(x)", softplus, -700, 1e9, 27},
    {"0.5*x*erfc(-0.7071067811865476*x)", gelu, -9, 1e9, 24},
    {"x*tanh(softplus(x))", mish, -700, 1e9, 25},
    {"1/x", reciprocal, -1e300, 1e300, 30},
    {"abs(x)", fabs, -1e300, 1e300, 50},
    {"floor(x)", floor, -1e300, 1e300, 50},
    {"ceil(x)", ceil, -1e300, 1e300, 50},
    {"round(x)", rint, -1e300, 1e300, 50},
};

enum { FUNCTIONS = sizeof functions / sizeof functions[0] };

static const int32_t *program_of(itc_ctx *ctx, const char *text, int *words)
{
    const int32_t *code = NULL;
    assert_int_equal(itc_formula_program(ctx, NULL, parsed(ctx, text), &code, words), ITC_OK);
    return code;
}

/** The largest distance from half a unit of the last place, beyond what `bits` allow. */
static void check_results(const function_case *c, int32_t e, int n, const int16_t *x,
                          const int16_t *y, int32_t e_y)
{
    int most = 0;
    for (int i = 0; i < n; i++) {
        const double want = ldexp(c->f(ldexp(x[i], e)), -e_y);
        most = abs(y[i]) > most ? abs(y[i]) : most;
        if (!(fabs(y[i] - want) <= 0.5 + 1e-9 + ldexp(fabs(want), -c->bits))) {
            fail_msg("%s of %d * 2^%d: %d * 2^%d, expected %.9g", c->formula, x[i], e, y[i], e_y,
                     want);
        }
    }
    assert_true(most == 0 || (most >= 16383 && most <= 32767)); /* 15 bits are in use */
}

static void all_functions_all_exponents(void **state)
{
    static int16_t x[65536], y[65536];
    (void)state;
    itc_ctx *ctx = itc_ctx_new();
    for (int k = 0; k < FUNCTIONS; k++) {
        const function_case *c = &functions[k];
        int words = 0;
        const int32_t *code = program_of(ctx, c->formula, &words);
        for (int32_t e = -60; e <= 40; e++) {
            int n = 0;
            for (int m = -32767; m <= 32767; m += abs(m) < 130 ? 1 : 173) {
                const double v = ldexp(m, e);
                if (m != 0 && v >= c->from && v <= c->to && fabs(c->f(v)) < 1e290) {
                    x[n++] = (int16_t)m;
                }
            }
            /* spans of one sign and size as well: every exponent of results */
            for (int at = 0, room = 1; at < n; at += room, room = n / 4 + 1) {
                int32_t e_y = 0;
                const int count = n - at < room ? n - at : room;
                const itr_formula_args a = {.x = x + at,
                                            .e_x = &e,
                                            .y = y,
                                            .e_y = &e_y,
                                            .n = count,
                                            .code = code,
                                            .code_count = words};
                itr_formula_i16i16_ref(&a);
                check_results(c, e, count, x + at, y, e_y);
            }
        }
    }
    itc_ctx_free(ctx);
}

static void bytes_as_int16(void **state)
{
    static int8_t bytes[600];
    static int16_t wide[600], got[600], want[600];
    (void)state;
    itc_ctx *ctx = itc_ctx_new();
    for (int k = 0; k < FUNCTIONS; k++) {
        int words = 0;
        const int32_t *code = program_of(ctx, functions[k].formula, &words);
        for (int32_t e = -20; e <= 5; e++) {
            for (int n = 0; n <= 600; n = 2 * n + 7) {
                int32_t e_got = 1, e_want = 2;
                for (int i = 0; i < n; i++) {
                    bytes[i] = (int8_t)((i * 37 + n) % 255 - 127);
                    wide[i] = bytes[i];
                }
                const itr_formula_args a = {.x = bytes,
                                            .e_x = &e,
                                            .y = got,
                                            .e_y = &e_got,
                                            .n = n,
                                            .code = code,
                                            .code_count = words};
                const itr_formula_args b = {.x = wide,
                                            .e_x = &e,
                                            .y = want,
                                            .e_y = &e_want,
                                            .n = n,
                                            .code = code,
                                            .code_count = words};
                itr_formula_i8i16_ref(&a);
                itr_formula_i16i16_ref(&b);
                assert_int_equal(e_got, e_want);
                assert_memory_equal(got, want, (size_t)n * sizeof *got);
            }
        }
    }
    itc_ctx_free(ctx);
}

/** Outside domains, and at exponents beyond all reason: some value, by the rules of NUMERICS.md. */
static void functions_are_total(void **state)
{
    static const int32_t exponents[] = {INT32_MIN, -(1 << 20), -1000,   -7,
                                        0,         1000,       1 << 20, INT32_MAX};
    static const int16_t x[] = {-32767, -5, -1, 0, 1, 32767};
    (void)state;
    itc_ctx *ctx = itc_ctx_new();
    for (int k = 0; k < FUNCTIONS; k++) {
        for (int slope = 0; slope < 2; slope++) {
            const itc_formula *f = parsed(ctx, functions[k].formula);
            f = slope ? itc_formula_slope(ctx, f) : f;
            int words = 0;
            const int32_t *code = NULL;
            assert_int_equal(itc_formula_program(ctx, NULL, f, &code, &words), ITC_OK);
            for (int i = 0; i < 8; i++) {
                int16_t y[6] = {0};
                int32_t e_y = 0;
                const itr_formula_args a = {.x = x,
                                            .e_x = &exponents[i],
                                            .y = y,
                                            .e_y = &e_y,
                                            .n = 6,
                                            .code = code,
                                            .code_count = words};
                itr_formula_i16i16_ref(&a);
                for (int j = 0; j < 6; j++) {
                    assert_true(y[j] >= -32767);
                }
            }
        }
    }
    itc_ctx_free(ctx);
}

static double value_at(itc_ctx *ctx, const char *text, int m, int32_t e)
{
    int words = 0;
    const int32_t *code = program_of(ctx, text, &words);
    const int16_t x = (int16_t)m;
    int16_t y = 0;
    int32_t e_y = 0;
    const itr_formula_args a = {
        .x = &x, .e_x = &e, .y = &y, .e_y = &e_y, .n = 1, .code = code, .code_count = words};
    itr_formula_i16i16_ref(&a);
    return ldexp(y, e_y);
}

static void edges(void **state)
{
    static const struct {
        const char *formula;
        int m;
        int32_t e;
        double want;
    } cases[] = {
        {"log(x)", 0, -10, -6.931471805599453},
        {"log(x)", -7, -10, -6.931471805599453},
        {"log1p(x)", -16, -4, -2.772588722239781},
        {"log1p(x)", -99, -4, -2.772588722239781},
        {"1/x", 0, -3, 8},
        {"sqrt(x)", -4, 0, 0},
        {"sqrt(x)", 0, 0, 0},
        {"asin(x)", 3, 0, 1.5707963267948966},
        {"asin(x)", -1, 0, -1.5707963267948966},
        {"acos(x)", -9, 0, 3.141592653589793},
        {"acosh(x)", -9, 0, 0},
        {"atanh(x)", 8, -3, 1.4166066672028108},
        {"pow(x,3)", -3, 0, -27},
        {"pow(x,2)", -3, 0, 9},
        {"pow(x,0.5)", -3, 0, 0},
        {"pow(x,0)", 0, 0, 1},
        {"pow(x,-1)", 0, -2, 4},
        {"pow(x,2)", 0, 0, 0},
        {"exp(x)", 0, -3, 1},
        {"exp(x)", -32767, 20, 0},
        {"erfc(x)", 100, 0, 0},
        {"tanh(x)", 32767, 30, 1},
        {"sin(x)", 32767, 20, 0},
        {"cos(x)", 32767, 20, 1},
        {"round(x)", 5, -1, 2},
        {"round(x)", -7, -1, -4},
        {"round(x)", 1, -1, 0},
        {"floor(x)", -1, -40, -1},
        {"ceil(x)", 1, -40, 1},
        {"x>0 ? 1 : x<0 ? -1 : 0", -2, 0, -1},
        {"2", 77, 0, 2},
        {"u", 77, -5, 0.03125},
        {"x", 77, -5, 2.40625},
    };
    (void)state;
    itc_ctx *ctx = itc_ctx_new();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const double got = value_at(ctx, cases[i].formula, cases[i].m, cases[i].e);
        if (!(fabs(got - cases[i].want) <= ldexp(fabs(cases[i].want), -14))) {
            fail_msg("%s of %d * 2^%d: %.9g, expected %.9g", cases[i].formula, cases[i].m,
                     cases[i].e, got, cases[i].want);
        }
    }
    itc_ctx_free(ctx);
}

/** Part of the specification: the same on every machine. */
static void known_answers(void **state)
{
    static const int16_t x[8] = {-32767, -12345, -4097, -1, 0, 777, 8192, 30000};
    static const struct {
        const char *formula;
        int32_t e;
        int16_t y[8];
    } cases[] = {
        {"exp(x)", -9, {9, 113, 311, 512, 512, 563, 1392, 19939}},
        {"expm1(x)", -9, {-503, -399, -201, 0, 0, 51, 880, 19427}},
        {"log(max(x,u))", -11, {-18454, -18454, -18454, -18454, -18454, -4824, 0, 2658}},
        {"log1p(abs(x))", -14, {26369, 15058, 6644, 2, 0, 1485, 11357, 25223}},
        {"sqrt(x)", -14, {0, 0, 0, 0, 0, 5046, 16384, 31353}},
        {"pow(x,-1.5)", 5, {0, 0, 0, 0, 23170, 1, 0, 0}},
        {"erf(x)", -14, {-16384, -15842, -8530, -2, 0, 1748, 13807, 16384}},
        {"erfc(x)", -13, {16384, 16113, 12457, 8193, 8192, 7318, 1289, 0}},
        {"sin(x)", -15, {24796, -32701, -15713, -4, 0, 3103, 27573, -16296}},
        {"cos(3*x)", -14, {13822, -3119, 1153, 16384, 16384, 15725, -16220, -151}},
        {"atan(x)", -14, {-21722, -16137, -7598, -2, 0, 1549, 12868, 21368}},
        {"tanh(x)", -15, {-32746, -29701, -15146, -4, 0, 3099, 24956, 32725}},
        {"1/x", -1, {-1, -1, -4, -16384, 16384, 21, 2, 1}},
        {"0.5*x*erfc(-0.7071067811865476*x)", -13, {-1, -814, -1264, 0, 0, 418, 6892, 29996}},
        {"round(3.3*x)", -11, {-26624, -10240, -4096, 0, 0, 0, 6144, 24576}},
    };
    (void)state;
    itc_ctx *ctx = itc_ctx_new();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int words = 0;
        const int32_t e = -13, *code = program_of(ctx, cases[i].formula, &words);
        int16_t y[8];
        int32_t e_y = 0;
        const itr_formula_args a = {
            .x = x, .e_x = &e, .y = y, .e_y = &e_y, .n = 8, .code = code, .code_count = words};
        itr_formula_i16i16_ref(&a);
        assert_int_equal(e_y, cases[i].e);
        assert_memory_equal(y, cases[i].y, sizeof y);
    }
    itc_ctx_free(ctx);
}

/** Equal parts are computed once; what is too long is refused. */
static void programs(void **state)
{
    (void)state;
    itc_ctx *ctx = itc_ctx_new();
    int words = 0;
    const int32_t *code = program_of(ctx, "exp(x)*exp(x)", &words);
    assert_int_equal(words, 2);
    assert_int_equal(code[0], ITR_FORMULA_exp);
    assert_int_equal(code[1], ITR_FORMULA_mul | ITR_FORMULA_FIRST << 8 | ITR_FORMULA_FIRST << 16);
    itc_strbuf b;
    itc_strbuf_init(&b, ctx);
    for (int i = 0; i < 200; i++) {
        itc_strbuf_printf(&b, "%sexp(x*%d)", i > 0 ? "+" : "", i + 2);
    }
    assert_int_equal(itc_formula_program(ctx, NULL, parsed(ctx, b.text), &code, &words),
                     ITC_UNSUPPORTED);
    itc_ctx_free(ctx);
}

/* Many elements, of which each mantissa is computed once, against few, computed one by one. */
static void many_are_as_few(void **state)
{
    (void)state;
    enum { FEW = 1000, MANY = 40000 };
    static int16_t x[MANY], y[MANY], expected[FEW];
    itc_ctx *ctx = itc_ctx_new();
    for (int k = 0; k < FUNCTIONS; k++) {
        int words = 0;
        const int32_t *code = NULL;
        assert_int_equal(
            itc_formula_program(ctx, NULL, parsed(ctx, functions[k].formula), &code, &words),
            ITC_OK);
        for (int i = 0; i < MANY; i++) {
            x[i] = (int16_t)((i % FEW - FEW / 2) * (k % 2 == 0 ? 65 : 1));
        }
        int32_t few = 0, many = 0;
        itr_formula_args a = {.x = x,
                              .e_x = &(const int32_t){-12},
                              .y = expected,
                              .e_y = &few,
                              .n = FEW,
                              .code = code,
                              .code_count = words};
        itr_formula_i16i16_ref(&a);
        a.y = k % 3 == 0 ? x : y; /* in place as well */
        a.e_y = &many;
        a.n = MANY;
        itr_formula_i16i16_ref(&a);
        assert_int_equal(many, few);
        for (int i = 0; i < MANY; i++) {
            assert_int_equal(((const int16_t *)a.y)[i], expected[i % FEW]);
        }
    }
    itc_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_canonical),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(slopes_are_differences),
        cmocka_unit_test(kinks),
        cmocka_unit_test(all_functions_all_exponents),
        cmocka_unit_test(bytes_as_int16),
        cmocka_unit_test(many_are_as_few),
        cmocka_unit_test(functions_are_total),
        cmocka_unit_test(edges),
        cmocka_unit_test(known_answers),
        cmocka_unit_test(programs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
