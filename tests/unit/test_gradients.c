/*
 * The gradient of every differentiable operator (support/grad_check.h says how): products, windows,
 * activations, softmax, shapes, arithmetic, normalisation and losses. test_gradients_*.c have
 * others.
 */
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ir/op.h"
#include "tests/support/grad_check.h"

/* ---- products ---- */

static void matmul(void **state)
{
    static const grad_case cases[] = {
        {.text = X("5") "par w [5,4]; y = MatMul(a, w)"},
        {.text = X("3,5") "par w [5,4]; y = MatMul(a, w)"},
        {.text = X("2,3,5") "par w [5,4]; y = MatMul(a, w)"},
        {.text = X("3,5") "in z [N,5,4]; par q [5,4]; b = Add(z, q); y = MatMul(a, b)"},
        {.text = X("2,3,5") "in z [N,2,5,4]; par q [2,5,4]; b = Add(z, q); y = MatMul(a, b)"},
        {.text = X("2,3,5") "par w [1,5,4]; y = MatMul(a, w)"},
        {.text = X("2,5,4") "par w [3,5]; y = MatMul(w, a)"},
        {.text = X("5") "par w [1,1,5,4]; m = MatMul(a, w); ints s -1,4; y = Reshape(m, s)"},
        {.text = X("5") "par w [5]; y = MatMul(a, w)"},
        {.text = X("4,5") "par w [5]; y = MatMul(a, w)"},
        {.text = X("4,5") "par w [4]; y = MatMul(w, a)"},
        {.text = X("3,4") "t = Transpose(a) perm=0,2,1; y = MatMul(a, t)"},
        /* batches that broadcast: heads, groups, both ways, and rank 1 against them */
        {.text = X("2,3,5") "par w [2,5,4]; y = MatMul(a, w)"},
        {.text = X("2,1,3,5") "par w [2,3,5,4]; y = MatMul(a, w)"},
        {.text = X("1,2,5") "in z [N,3,5,4]; par q [3,5,4]; b = Add(z, q); y = MatMul(a, b)"},
        {.text = X("2,1,3,5") "in z [N,1,4,5,2]; par q [1,4,5,2]; b = Add(z, q); y = MatMul(a, b)"},
        {.text = X("5,4") "par w [2,3,1,3,5]; m = MatMul(w, a);"
                          "y = Transpose(m) perm=2,0,1,3,4"},
        {.text = X("2,5,4") "par w [5]; y = MatMul(w, a)"},
        {.text = X("2,3,5") "par w [4,1,1,5,2]; m = MatMul(a, w);"
                            "y = Transpose(m) perm=1,0,2,3,4"},
    };
    RUN(cases)
}

static void gemm(void **state)
{
    static const grad_case cases[] = {
        {.text = X("5") "par w [5,4]; par b [4]; y = Gemm(a, w, b)"},
        {.text = X("5") "par w [4,5]; par b [1,4]; y = Gemm(a, w, b) transB=1"},
        {.text = X("5") "par w [5,4]; y = Gemm(a, w)"},
        {.text = X("5") "par w [5,4]; y = Gemm(a, w) alpha=0.5"},
        {.text = X("5") "par w [4,5]; par b []; y = Gemm(a, w, b) transB=1 alpha=0.5 beta=2"},
        {.text = X(
             "5") "par w [5,4]; t = Transpose(a) perm=1,0; par b [4]; y = Gemm(t, w, b) transA=1"},
        {.text =
             X("5") "par w [4,5]; t = Transpose(a); y = Gemm(t, w) transA=1 transB=1 alpha=-1.5"},
    };
    RUN(cases)
}

/* clang-format off */
#define CONV(x, w, attrs) {.text = X(x) "par w [" w "]; y = Conv(a, w)" attrs}
/* clang-format on */

static void conv(void **state)
{
    static const grad_case cases[] = {
        CONV("1,5,5", "2,1,3,3", ""),
        CONV("3,6,5", "4,3,3,2", " strides=2,1"),
        CONV("2,7,6", "3,2,3,3", " pads=1,0,2,1"),
        CONV("2,7,6", "3,2,2,3", " pads=2,1,0,3 strides=3,2"),
        CONV("2,8,7", "3,2,3,2", " dilations=2,3"),
        CONV("2,9,8", "3,2,3,2", " dilations=2,3 strides=2,3 pads=3,1,1,2"),
        CONV("4,5,5", "6,2,3,3", " group=2"),
        CONV("4,6,5", "4,1,3,3", " group=4 pads=1,1,1,1 strides=2,2"),
        CONV("3,4,4", "6,1,2,2", " group=3 dilations=2,1"),
        CONV("2,6,7", "3,2,3,3", " auto_pad=SAME_UPPER strides=2,2"),
        CONV("2,6,7", "3,2,2,4", " auto_pad=SAME_LOWER strides=1,3"),
        CONV("2,6,7", "3,2,2,4", " auto_pad=VALID strides=2,2 kernel_shape=2,4"),
        CONV("2,5,5", "3,2,5,5", ""),
        CONV("3,4,4", "5,3,1,1", ""),
        CONV("3,8", "4,3,3", ""),
        CONV("4,9", "6,2,3", " group=2 strides=2 dilations=2 pads=2,1"),
        CONV("2,7", "3,2,4", " auto_pad=SAME_UPPER strides=2"),
        {.text = X("2,5,4") "par w [3,2,3,2]; par b [3]; y = Conv(a, w, b) pads=1,1,1,1"},
        {.text = X("2,6") "par w [3,2,3]; par b [3]; y = Conv(a, w, b)"},
    };
    RUN(cases)
}

/* ---- pooling ---- */

/* clang-format off */
#define POOL(op, x, attrs) {.text = X(x) "y = " op "(a)" attrs}
/* clang-format on */

static void maxpool(void **state)
{
    static const grad_case cases[] = {
        POOL("MaxPool", "2,6,6", " kernel_shape=2,2 strides=2,2"),
        POOL("MaxPool", "2,7,6", " kernel_shape=3,2 strides=2,1"),
        POOL("MaxPool", "1,6,5", " kernel_shape=3,3 pads=1,1,1,1"),
        POOL("MaxPool", "1,7,8", " kernel_shape=3,2 strides=2,3 ceil_mode=1"),
        POOL("MaxPool", "1,7,8", " kernel_shape=2,3 dilations=2,2 pads=1,0,1,2"),
        POOL("MaxPool", "2,6,5", " kernel_shape=2,3 strides=2,2 auto_pad=SAME_UPPER"),
        POOL("MaxPool", "2,6,5", " kernel_shape=2,3 strides=2,2 auto_pad=SAME_LOWER"),
        POOL("MaxPool", "3,9", " kernel_shape=3 strides=2"),
        POOL("MaxPool", "3,9", " kernel_shape=2 strides=2 ceil_mode=1"),
    };
    RUN(cases)
}

static void average_pool(void **state)
{
    static const grad_case cases[] = {
        POOL("AveragePool", "2,6,6", " kernel_shape=2,2 strides=2,2"),
        POOL("AveragePool", "2,7,6", " kernel_shape=3,2 strides=2,1"),
        POOL("AveragePool", "1,6,5", " kernel_shape=3,3 pads=1,1,1,1"),
        POOL("AveragePool", "1,6,5", " kernel_shape=3,3 pads=1,1,1,1 count_include_pad=1"),
        POOL("AveragePool", "1,6,5", " kernel_shape=3,2 pads=2,0,1,1 strides=2,3"),
        POOL("AveragePool", "1,7,8", " kernel_shape=3,2 strides=2,3 ceil_mode=1"),
        POOL("AveragePool", "1,7,8",
             " kernel_shape=3,3 strides=3,3 pads=1,0,1,1 ceil_mode=1 count_include_pad=1"),
        POOL("AveragePool", "1,8,7", " kernel_shape=3,3 strides=3,2 pads=1,1,1,1 ceil_mode=1"),
        POOL("AveragePool", "2,6,5", " kernel_shape=2,3 strides=2,2 auto_pad=SAME_UPPER"),
        POOL("AveragePool", "2,6,5", " kernel_shape=2,3 strides=2,2 auto_pad=SAME_LOWER"),
        POOL("AveragePool", "2,6,5",
             " kernel_shape=4,3 strides=2,2 auto_pad=SAME_UPPER count_include_pad=1"),
        POOL("AveragePool", "2,6,5", " kernel_shape=2,3 strides=2,2 auto_pad=VALID"),
        POOL("AveragePool", "3,9", " kernel_shape=3 strides=2 pads=1,1"),
        POOL("AveragePool", "3,9", " kernel_shape=2 strides=2 ceil_mode=1"),
        {.text = "opset 19;" X(
             "2,7,6") "y = AveragePool(a) kernel_shape=2,3 dilations=2,2 pads=1,1,0,1"},
        POOL("GlobalAveragePool", "3,4,5", ""),
        POOL("GlobalAveragePool", "3,7", ""),
    };
    RUN(cases)
}

/* ---- activations ---- */

/* clang-format off */
#define UNARY(shape, rest) {.text = X(shape) "y = " rest}
/* clang-format on */

static void activations(void **state)
{
    static const grad_case cases[] = {
        UNARY("13", "Relu(a)"),
        UNARY("2,3,4", "Relu(a)"),
        UNARY("13", "LeakyRelu(a)"),
        UNARY("3,4", "LeakyRelu(a) alpha=0.2"),
        UNARY("13", "Sigmoid(a)"),
        UNARY("2,3,4", "Sigmoid(a)"),
        UNARY("13", "Tanh(a)"),
        UNARY("2,3,4", "Tanh(a)"),
        UNARY("3,4", "Neg(a)"),
        {.text = "opset 15;" X("3") "c = CastLike(a, p); y = Tanh(c)"},
        UNARY("3,4", "Identity(a)"),
        {.text = X("17") "const l [] -0.4; const h [] 0.6; y = Clip(a, l, h)"},
        {.text = X("17") "const h [] 0.3; y = Clip(a, _, h)"},
        {.text = X("3,5") "const l [] 0; y = Clip(a, l)"},
        {.text = "opset 10;" X("17") "y = Clip(a) min=-0.5 max=0.3"},
        {.text = "opset 10;" X("17") "y = Clip(a) max=0.3"},
        {.text = "opset 11;" X("40") "dropped = Dropout(a) ratio=0.25; y = Identity(dropped)"},
        {.text =
             X("40") "const r [] 0.6; const m [] 1; dropped = Dropout(a, r, m); y = Tanh(dropped)"},
        {.text = X("6") "const r [] 0.6; e = Dropout(a, r); y = Tanh(e)"},
    };
    RUN(cases)
}

/** The domain ai.onnx.ml, against what the same is in the default one. */
static void tabular(void **state)
{
    static const grad_case cases[] = {
        {.text = X("4") "y = Scaler(a) offset=0.5,-1,0.25,2 scale=2,0.5,-1,3",
         .reference = X("4") "const o [4] 0.5,-1,0.25,2; const s [4] 2,0.5,-1,3; d = Sub(a, o);"
                             "y = Mul(d, s)"},
        {.text = X("3,2") "y = Scaler(a) scale=0.25",
         .reference = X("3,2") "const s [] 0.25; y = Mul(a, s)"},
        {.text = Z("5") "y = Normalizer(d) norm=L1",
         .reference = Z("5") "y = LpNormalization(d) axis=1 p=1"},
        {.text = X("5") "y = Normalizer(a) norm=L2",
         .reference = X("5") "y = LpNormalization(a) axis=1 p=2"},
        {.text = Z("5") "y = Normalizer(d)",
         .reference = Z("5") "m = ReduceMax(d) axes=1 keepdims=1; y = Div(d, m)"},
        {.text = X("5") "ints i 3,0,3; y = ArrayFeatureExtractor(a, i)",
         .reference = X("5") "ints i 3,0,3; y = Gather(a, i) axis=1"},
    };
    RUN(cases)
}

/** Random numbers of the model's own; the reference takes those that were drawn. */
static void random_numbers(void **state)
{
    static const grad_case cases[] = {
        {.text = X("12") Z("12") "dropped = RandomNormalLike(a); s = Mul(d, dropped);"
                                 "y = Add(a, s)"},
        {.text = X("3,4") "dropped = RandomNormalLike(a) mean=0.5 scale=2; y = Mul(a, dropped)"},
        {.text = X("3,4") "dropped = RandomUniformLike(a) low=-0.5 high=1.5; y = Mul(a, dropped)"},
        {.text = X("3,4") "dropped = RandomNormal() shape=3,4; y = Mul(a, dropped)"},
        {.text = X("3,4") "dropped = RandomUniform() shape=3,4 low=0.25; y = Mul(a, dropped)"},
        {.text =
             "opset 15;" X("20") "const c [20] 0.5; dropped = Bernoulli(c); y = Mul(a, dropped)"},
    };
    RUN(cases)
}

/** Functions of one element: their operand is x + p, in the range that is given. */
#define ON(range, shape, rest)                                                                     \
    {                                                                                              \
        .text =                                                                                    \
            "opset 24; in z [N," shape "] " range "; par q [" shape "] -0.2..0.2; a = Add(z, q);"  \
            "y = " rest                                                                            \
    }

static void functions(void **state)
{
    static const grad_case cases[] = {
        ON("-3..3", "13", "Softsign(a)"),
        ON("-2..2", "3,4", "Erf(a)"),
        ON("-3..3", "13", "HardSigmoid(a)"),
        ON("-3..3", "13", "HardSigmoid(a) alpha=0.3 beta=0.4"),
        ON("-3..3", "13", "Softplus(a)"),
        ON("-3..3", "13", "Elu(a)"),
        ON("-3..3", "13", "Elu(a) alpha=0.4"),
        ON("-3..3", "13", "Celu(a) alpha=1.7"),
        ON("-3..3", "13", "Selu(a)"),
        ON("-3..3", "2,7", "Selu(a) alpha=1.3 gamma=0.8"),
        ON("-3..3", "13", "Mish(a)"),
        ON("-4..4", "13", "HardSwish(a)"),
        ON("-3..3", "13", "Swish(a)"),
        ON("-3..3", "13", "Swish(a) alpha=1.7"),
        ON("-3..3", "13", "ThresholdedRelu(a) alpha=0.7"),
        ON("-3..3", "13", "Shrink(a) lambd=0.8 bias=0.3"),
        ON("-3..3", "13", "Gelu(a)"),
        ON("-3..3", "2,7", "Gelu(a) approximate=tanh"),
        ON("-2..2", "13", "Exp(a)"),
        ON("0.5..4", "13", "Log(a)"),
        ON("0.5..4", "13", "Sqrt(a)"),
        ON("0.6..2", "13", "Reciprocal(a)"),
        ON("-3..3", "13", "Sin(a)"),
        ON("-3..3", "13", "Cos(a)"),
        ON("-1..1", "13", "Tan(a)"),
        ON("-0.6..0.6", "13", "Asin(a)"),
        ON("-0.6..0.6", "13", "Acos(a)"),
        ON("-3..3", "13", "Atan(a)"),
        ON("-2..2", "13", "Sinh(a)"),
        ON("-2..2", "13", "Cosh(a)"),
        ON("-3..3", "13", "Asinh(a)"),
        ON("1.4..4", "13", "Acosh(a)"),
        ON("-0.6..0.6", "13", "Atanh(a)"),
        ON("-3..3", "13", "Abs(a)"),
    };
    RUN(cases)
}

/** As exporters spell activations: one function after `fuse`, the same to the reference. */
static void spelled_functions(void **state)
{
    static const grad_case cases[] = {
        {.text = X("13") "const r [] 1.41421356; const o [] 1; const h [] 0.5; d = Div(a, r);"
                         "e = Erf(d); s = Add(e, o); m = Mul(a, s); y = Mul(m, h)"},
        {.text = X("13") "const t [] 3; const c [] 0.044715; const k [] 0.79788456; const o [] 1;"
                         "const h [] 0.5; q = Pow(a, t); b = Mul(q, c); s = Add(a, b);"
                         "l = Mul(s, k); e = Tanh(l); d = Add(e, o); m = Mul(a, h); y = Mul(m, d)"},
        {.text = X("13") "s = Sigmoid(a); y = Mul(a, s)"},
        {.text = X("13") "const t [] 3; const z [] 0; const s [] 6; b = Add(a, t);"
                         "c = Clip(b, z, s); m = Mul(a, c); y = Div(m, s)"},
        {.text = X("13") "const o [] 1; e = Exp(a); s = Add(e, o); y = Log(s)"},
        {.text = X("13") "const o [] 1; n = Neg(a); e = Exp(n); s = Add(o, e); y = Div(o, s)"},
        {.text = X("13") "t = Tanh(a); const o [] 1; y = Sub(o, t)"},
        {.text = X("13") "s = Softplus(a); t = Tanh(s); m = Mul(a, t); y = Add(m, t)"},
        {.text = Z("13") "const e [] 0.1; s = Add(d, e); r = Sqrt(s); y = Reciprocal(r)"},
        {.text = Z("13") "const e [] 2; l = Log(d); p = Pow(l, e); y = Sub(p, d)"},
    };
    RUN(cases)
}

/* clang-format off */
#define POWER(range, number) \
    {.text = "in z [N,13] " range "; par q [13] -0.2..0.2; a = Add(z, q); const c [] " number ";" \
             "y = Pow(a, c)"}
/* clang-format on */

static void powers(void **state)
{
    static const grad_case cases[] = {
        POWER("-2..2", "2"),
        POWER("-2..2", "3"),
        POWER("-2..2", "5"),
        POWER("0.5..4", "0.5"),
        POWER("0.5..4", "-0.5"),
        POWER("0.7..3", "-1"),
        POWER("0.7..3", "-2"),
        POWER("0.5..3", "1.7"),
        {.text = "in z [N,13] -2..2; par q [13] -0.2..0.2; a = Add(z, q); const c [] 1;"
                 "p = Pow(a, c); y = Tanh(p)"},
        {.text = X("13") "const c [] 2.5; y = Pow(c, a)"},
        {.text = Z("4") "par e [4] 0.5..1.5; y = Pow(d, e)"},
        {.text = Z("3,4") "par e [3,1] -0.5..1.5; y = Pow(d, e)"},
        {.text = Z("6") "ids t [N,6] 0..5; y = Pow(d, t)"},
        {.text = Z("6") "ids t [N,6] 0..5; n = Neg(d); y = Pow(n, t)"},
        {.text = X("6") "ids t [N,6] 0..5; ids u [N,6] 0..4; i = Pow(t, u); f = Cast(i) to=1;"
                        "y = Mul(a, f)"},
    };
    RUN(cases)
}

static void parametric_relu(void **state)
{
    static const grad_case cases[] = {
        {.text = X("13") "par s [13] 0.1..0.4; y = PRelu(a, s)"},
        {.text = X("3,5") "par s [3,1] -0.4..0.4; y = PRelu(a, s)"},
        {.text = X("3,2,2") "par s [3,1,1] 0.1..0.4; y = PRelu(a, s)"},
        {.text = X("3,5") "par s [] 0.25..0.3; y = PRelu(a, s)"},
    };
    RUN(cases)
}

/** Remainders, and what is of another type for a while. */
static void remainders(void **state)
{
    static const grad_case cases[] = {
        {.text = X("13") "const c [] 0.75; y = Mod(a, c) fmod=1"},
        {.text = "in z [N,6] 1.1..1.3; par q [6] -0.1..0.1; d = Add(z, q); par e [6] 0.8..0.9;"
                 "m = Mod(d, e) fmod=1; y = Tanh(m)"},
        {.text = X("7") "ids t [N,7] 0..9; ids u [N,7] 2..5; m = Mod(t, u); f = Cast(m) to=1;"
                        "y = Mul(a, f)"},
        {.text = X("7") "in v [N,7] -9..9; i = Cast(v) to=7; f = Cast(i) to=1; y = Mul(a, f)"},
    };
    RUN(cases)
}

/* clang-format off */
#define MASKED(condition) \
    {.text = X("3,4") "in z [N,3,4] 1..2; const c [] 1.5; const o [] 0.2; par b [4];" condition \
             "y = Where(m, a, b)"}
/* clang-format on */

static void masks(void **state)
{
    static const grad_case cases[] = {
        MASKED("m = Greater(z, c);"),
        MASKED("i = IsNaN(z); j = IsInf(z); k = Or(i, j); h = Greater(z, c); m = Or(h, k);"),
        MASKED("m = Less(c, z);"),
        MASKED("e = Less(c, z); f = Cast(e) to=1; m = Cast(f) to=9;"),
        {.text = X("3,4") "in z [N,3,1] 1..2; const c [] 1.5; m = Less(z, c); f = Cast(m) to=1;"
                          "g = Add(f, c); y = Mul(a, g)"},
        MASKED("m = GreaterOrEqual(z, c);"),
        MASKED("m = LessOrEqual(z, c);"),
        MASKED("e = Greater(z, c); m = Not(e);"),
        MASKED("e = Greater(z, c); f = Less(x, o); m = And(e, f);"),
        MASKED("e = Greater(z, c); f = Less(x, o); m = Or(e, f);"),
        MASKED("e = Greater(z, c); f = Less(x, o); m = Xor(e, f);"),
        MASKED("e = Greater(z, c); f = Less(x, o); m = Equal(e, f);"),
        {.text = X("3,4") "in z [N,3,1] 1..2; const c [] 1.5; m = Less(z, c); const k [] -0.3;"
                          "y = Where(m, k, a)"},
        {.text = X("4") "in z [N,3,1] 1..2; const c [] 1.5; m = Less(z, c); par b [3,4];"
                        "ints s 1; u = Unsqueeze(a, s); y = Where(m, u, b)"},
        /* what a softmax never sees */
        {.text = X(
             "3,5") "const k [5] 1,1,-1,1,-1; const o [] 0; m = Less(k, o);"
                    "const f [] -1e34; w = Where(m, f, a); s = Softmax(w) axis=-1; y = Mul(s, s)"},
        {.text = X("3,5") "const k [5] 0,0,-1e34,0,0; w = Add(a, k); s = Softmax(w) axis=-1;"
                          "y = Mul(s, s)"},
        /* what would leave the scores no bits, if it were added; the rest of the mask is */
        {.text = X("3,4") "const k [3,4] 0,0,-1e4,0,0,0,0,0,-2e4,0,0,0; const j [4] "
                          "0.5,-1e4,0,-0.25; v = Add(a, k);"
                          "w = Add(j, v); s = Softmax(w) axis=-1; y = Mul(s, s)"},
        {.text = X("3,4") "const k [4] 0,-5e3,0,0; const c [] 2; v = Add(a, k); w = Mul(v, c);"
                          "s = LogSoftmax(w) axis=-1; t = Exp(s); y = Mul(t, t)"},
        {.text =
             X("3,4") "in z [N,3,1] 1..2; const c [] 1.5; m = Less(z, c); const k [4] 1,1,-1,1;"
                      "const o [] 0; h = Less(k, o); q = And(m, h); const f [] -1e9; const g [] 0;"
                      "e = Where(q, f, g); w = Add(a, e); s = Softmax(w) axis=-1; y = Mul(s, s)"},
    };
    RUN(cases)
}

static void softmax(void **state)
{
    static const grad_case cases[] = {
        UNARY("6", "Softmax(a)"),
        UNARY("3,5", "Softmax(a) axis=-1"),
        UNARY("3,5", "Softmax(a) axis=1"),
        UNARY("2,3,4", "Softmax(a) axis=2"),
        UNARY("6", "LogSoftmax(a)"),
        UNARY("3,5", "LogSoftmax(a) axis=1"),
        UNARY("2,3,4", "LogSoftmax(a) axis=-2"),
        {.text = "opset 11;" X("2,3") "y = Softmax(a)"},
        {.text = "opset 11;" X("2,3") "y = LogSoftmax(a) axis=1"},
        {.text = "opset 11;" X("2,3") "y = Softmax(a) axis=-1"},
        /* in the middle of a graph, its result used twice */
        {.text = X("5") "s = Softmax(a); par w [5,5]; m = MatMul(s, w); y = Mul(m, s)"},
    };
    RUN(cases)
}

/* ---- shapes ---- */

static void shapes(void **state)
{
    static const grad_case cases[] = {
        UNARY("2,3,4", "Flatten(a)"),
        {.text = X("2,3") "f = Flatten(a) axis=2; ints s -1,6; y = Reshape(f, s)"},
        {.text = X("2,3,4") "ints s 0,-1; y = Reshape(a, s)"},
        {.text = X("2,3,4") "ints s -1,4,6; y = Reshape(a, s)"},
        {.text = X("2,3,4") "ints s 0,0,12; y = Reshape(a, s)"},
        UNARY("2,3,4", "Transpose(a) perm=0,3,1,2"),
        UNARY("2,3", "Transpose(a) perm=0,2,1"),
        {.text = X("2,3") "t = Transpose(a) perm=2,0,1; r = Relu(t); y = Transpose(r) perm=1,2,0"},
        {.text = X("1,3,1") "ints s 1,3; y = Squeeze(a, s)"},
        {.text = "opset 11;" X("1,3,1") "y = Squeeze(a) axes=3"},
        UNARY("1,3,1", "Squeeze(a)"),
        {.text = X("3,2") "ints s 1,-1; y = Unsqueeze(a, s)"},
        {.text = "opset 11;" X("3,2") "y = Unsqueeze(a) axes=1,4"},
        {.text = X("4") "par w [4,3]; t = Transpose(w) perm=1,0; y = Gemm(a, t) transB=1"},
        {.text = X("4") "par w [12]; ints s 4,3; r = Reshape(w, s); y = MatMul(a, r)"},
    };
    RUN(cases)
}

/* ---- arithmetic ---- */

static void arithmetic(void **state)
{
    static const grad_case cases[] = {
        {.text = X("3,4") "par b [4]; y = Add(a, b)"},
        {.text = X("3,4") "par b [3,1]; y = Add(b, a)"},
        {.text = X("3,4") "par b [1,3,4]; y = Sub(a, b)"},
        {.text = X("3,4") "par b [1]; y = Sub(b, a)"},
        {.text = X("4") "par b [3,1,4]; s = Add(b, a); y = Transpose(s) perm=1,0,2"},
        {.text = X("3,4") "par b [4]; y = Mul(a, b)"},
        {.text = X("3,4") "par b [3,1]; y = Mul(b, a)"},
        {.text = X("3,4") "par b []; y = Mul(a, b)"},
        {.text = X("3,1") Z("1,4") "y = Mul(a, d)"},
        {.text = X("3,4") Z("3,4") "y = Div(a, d)"},
        {.text = X("3,4") Z("4") "ints s 1; u = Unsqueeze(d, s); y = Div(a, u)"},
        {.text = X("3,4") "par b [4] 1..2; y = Div(a, b)"},
        {.text = X("3,4") "par b [3,1] 1..2; y = Div(a, b)"},
        {.text = Z("3,4") "par b [1,4] 1..2; y = Div(b, d)"},
        {.text = Z("3,4") "const c [] 2.5; y = Div(c, d)"},
        {.text = X("3,4") "const c [] 2.5; y = Div(a, c)"},
        {.text = X("3,4") "const c [] 2.5; y = Mul(c, a)"},
        {.text = X("3,4") "const c [] 2.5; y = Sub(c, a)"},
        {.text = X("3,4") "const c [4] 1,-2,0.5,3; y = Mul(a, c)"},
        {.text = X("3,4") "y = Mul(a, a)"},
        {.text = Z("3,4") "par b [4]; y = Div(b, d)"},
        {.text = X("3,4") "y = Add(a, a)"},
        {.text = X("4") "par w [4,4]; m = MatMul(a, w); r = Relu(m); y = Add(r, a)"},
    };
    RUN(cases)
}

/* ---- normalisation ---- */

#define STATISTICS                                                                                 \
    "par s [3] 0.5..1.5; par b [3]; const m [3] 0.2,-0.3,0.1; const v [3] 0.7,2,0.25;"

static void frozen_normalisation(void **state)
{
    static const grad_case cases[] = {
        {.text = X("3,4,5") STATISTICS "y = BatchNormalization(a, s, b, m, v)",
         .settings = "norm=frozen"},
        {.text = X("3,5") STATISTICS "y = BatchNormalization(a, s, b, m, v) epsilon=0.1",
         .settings = "norm=frozen"},
        {.text = X("3") STATISTICS "n = BatchNormalization(a, s, b, m, v); y = Tanh(n)",
         .settings = "norm=frozen"},
        {.text = "opset 9;" X("3,2,2") STATISTICS "y = BatchNormalization(a, s, b, m, v)",
         .settings = "norm=frozen"},
    };
    RUN(cases)
}

#define TRAINING "BatchNormalization(a, s, b, m, v) training_mode=1"
/* what follows makes the gradient of a constant and of xhat differ from 0 */
#define BEHIND "; par q [3,4,5]; z = Mul(n, q); y = Tanh(z)"

static void batch_normalisation(void **state)
{
    static const grad_case cases[] = {
        {.text = X("3,4,5") STATISTICS "n = " TRAINING BEHIND},
        {.text = X("3,4,5") STATISTICS "n = " TRAINING " epsilon=0.5" BEHIND},
        {.text = X("3,8") STATISTICS "n = " TRAINING "; r = Relu(n); y = Mul(r, a)"},
        {.text = X("3,4,5") STATISTICS "n = " TRAINING "; e = Add(n, a); y = Relu(e)"},
        {.text = X("2,6,6") "par w [3,2,3,3];" STATISTICS
                            "a2 = Conv(a, w); n = BatchNormalization(a2, s, b, m, v) "
                            "training_mode=1; par q [3,4,4]; z = Mul(n, q); y = Tanh(z)"},
    };
    RUN(cases)
}

static void other_normalisation(void **state)
{
    static const grad_case cases[] = {
        {.text = X("3,8") "par s [8] 0.5..1.5; par b [8]; n = LayerNormalization(a, s, b); "
                          "par q [3,8]; z = Mul(n, q); y = Tanh(z)"},
        {.text = X("3,5") "y = LpNormalization(a)"},
        {.text = X("4,3") "y = LpNormalization(a) axis=1 p=1"},
        {.text = X("3,8") "par s [8] 0.5..1.5; n, m, d = LayerNormalization(a, s); e = Mul(n, d);"
                          "y = Add(e, m)"},
        {.text = X("3,4,5") "par s [4,5] 0.5..1.5; n = LayerNormalization(a, s) axis=2 "
                            "epsilon=0.1; par q [3,4,5]; y = Mul(n, q)"},
        {.text = "opset 23;" X("3,8") "par s [8] 0.5..1.5; n = RMSNormalization(a, s); "
                                      "par q [3,8]; y = Mul(n, q)"},
        {.text = X("3,4,5") "par s [3] 0.5..1.5; par b [3]; "
                            "n = InstanceNormalization(a, s, b)" BEHIND},
        {.text = "opset 21;" X("4,3,5") "par s [4] 0.5..1.5; par b [4]; "
                                        "n = GroupNormalization(a, s, b) num_groups=2; "
                                        "par q [4,3,5]; y = Mul(n, q)"},
        {.text = "opset 18;" X("4,3,5") "par s [2] 0.5..1.5; par b [2]; "
                                        "n = GroupNormalization(a, s, b) num_groups=2; "
                                        "par q [4,3,5]; y = Mul(n, q)"},
        {.text = "opset 21;" X("8") "par s [8] 0.5..1.5; par b [8]; "
                                    "n = GroupNormalization(a, s, b) num_groups=2; "
                                    "par q [8]; y = Mul(n, q)"},
        {.text = X("3,4,5") "n = MeanVarianceNormalization(a)" BEHIND},
    };
    RUN(cases)
}

/** Gradients of a value with many uses are summed, in nested sums beyond eight. */
static void many_uses(void **state)
{
    static const grad_case cases[] = {
        {.text = X("4") "b = Tanh(a); c = Mul(b, a); d = Add(c, b); e = Mul(d, b); f = Sub(e, b);"
                        "g = Mul(f, b); h = Add(g, b); i = Mul(h, b); j = Sub(i, b); k = Mul(j, b);"
                        "l = Add(k, b); m = Sub(b, l); y = Add(m, b)"},
        {.text = X("4") "par w [4,4]; b = MatMul(a, w); c = MatMul(b, w); y = MatMul(c, w)"},
    };
    RUN(cases)
}

/* ---- losses ---- */

#define CE "cross-entropy"

static void cross_entropy(void **state)
{
    static const grad_case cases[] = {
        {.text = X("5") "y = Identity(a)", .loss = CE},
        {.text = X("5") "y = Identity(a)", .loss = CE ":3.5", .weight = 3.5},
        {.text = X("5") "y = Identity(a)", .loss = CE ",label-smoothing=0.1", .smoothing = 0.1},
        {.text = X("5,3") "y = Identity(a)", .loss = CE},
        {.text = X("5,3") "y = Identity(a)",
         .loss = CE ":2,label-smoothing=0.2",
         .smoothing = 0.2,
         .weight = 2},
        {.text = X("4,2,3") "y = Tanh(a)", .loss = CE},
        {.text = X("4,6") "y = Identity(a)", .loss = CE ",ignore-index=2", .ignore = 2},
        {.text = X("5") "y = Softmax(a)", .loss = CE},
        {.text = X("5") "y = LogSoftmax(a)", .loss = CE},
        {.text = X("3,5") "y = Softmax(a) axis=2", .loss = CE, .axis = 2},
        {.text = X("5,3") "y = LogSoftmax(a) axis=1",
         .loss = CE ",label-smoothing=0.1",
         .smoothing = 0.1},
        {.text = X("5") "ids t [N]; y = SoftmaxCrossEntropyLoss(a, t)", .loss = "graph"},
        {.text = X("5,3") "ids t [N,3]; y = SoftmaxCrossEntropyLoss(a, t)", .loss = "graph"},
        {.text = X("5,3") "ids t [N,3]; y = SoftmaxCrossEntropyLoss(a, t) ignore_index=2",
         .loss = "graph",
         .ignore = 2},
        {.text = X("5") "ids t [N]; l = LogSoftmax(a); y = NegativeLogLikelihoodLoss(l, t)",
         .loss = "graph"},
        /* weights of the classes, and sums */
        {.text = X("5,3") "ids t [N,3]; const w [5] 0.5,1,2,0.25,3;"
                          "y = SoftmaxCrossEntropyLoss(a, t, w) ignore_index=2",
         .loss = "graph",
         .ignore = 2},
        {.text = X("5,3") "ids t [N,3]; const w [5] 0.5,1,2,0.25,3; l = LogSoftmax(a) axis=1;"
                          "y = NegativeLogLikelihoodLoss(l, t, w)",
         .loss = "graph"},
        {.text = X("5,3") "ids t [N,3]; y = SoftmaxCrossEntropyLoss(a, t) reduction=sum",
         .loss = "graph"},
        {.text = X("5") "ids t [N]; const w [5] 0.5,1,2,0.25,3;"
                        "y = SoftmaxCrossEntropyLoss(a, t, w) reduction=sum ignore_index=1",
         .loss = "graph",
         .ignore = 1},
        {.text =
             X("5") "ids t [N]; l = SoftmaxCrossEntropyLoss(a, t); const c [] 0.25; m = Mul(l, c);"
                    "par w [5,3]; b = MatMul(a, w); ids u [N]; k = SoftmaxCrossEntropyLoss(b, u);"
                    "y = Add(m, k)",
         .loss = "graph"},
    };
    RUN(cases)
}

/* Means over everything, rows included. */
static void means_as_losses(void **state)
{
    static const grad_case cases[] = {
        {.text = X("5") "s = Mul(a, a); y = ReduceMean(s)", .loss = "graph"},
        {.text = X("3,4") "s = Exp(a); y = ReduceMean(s)", .loss = "graph"},
        {.text = X("3,4") "s = Sigmoid(a); y = ReduceMean(s) keepdims=0", .loss = "graph"},
        {.text = X("5") "in t [N,5]; d = Sub(a, t); s = Mul(d, d); l = ReduceMean(s) keepdims=0;"
                        "const c [] 0.25; m = Mul(l, c); b = Abs(a); k = ReduceMean(b) keepdims=0;"
                        "y = Add(m, k)",
         .loss = "graph"},
        {.text = X("5") "s = Softplus(a); r = ReduceMean(s) axes=1; y = ReduceMean(r)",
         .loss = "graph"},
        {.text = X("5") "s = Sigmoid(a); y = ReduceSum(s)", .loss = "graph"},
        {.text = X("3,4") "s = Exp(a); r = ReduceSum(s) axes=1,2; y = ReduceSum(r)",
         .loss = "graph"},
        {.text = X("3,4") "y = ReduceSumSquare(a)", .loss = "graph"},
        {.text = X("3,4") "y = ReduceL1(a)", .loss = "graph"},
    };
    RUN(cases)
}

static void mean_squares(void **state)
{
    static const grad_case cases[] = {
        {.text = X("5") "y = Identity(a)", .loss = "mse"},
        {.text = X("3,4") "y = Tanh(a)", .loss = "mse:0.5", .weight = 0.5},
        {.text = X("2,3,4") "y = Softmax(a)", .loss = "mse:8", .weight = 8},
        {.text = X("5") "y = Tanh(a); par w [5,4]; z = MatMul(a, w); out y; out z",
         .loss = "y=mse;z=cross-entropy"},
    };
    RUN(cases)
}

/* ---- the test itself ---- */

/** Distances that a slip in a rule would make. */
static void slips_are_found(void **state)
{
    static const grad_case cases[] = {
        {.text = X("13") "y = LeakyRelu(a) alpha=0.2",
         .reference = X("13") "y = LeakyRelu(a) alpha=0.201"},
        {.text = X("1,6,5") "y = AveragePool(a) kernel_shape=3,3 pads=1,1,1,1",
         .reference = X("1,6,5") "y = AveragePool(a) kernel_shape=3,3 pads=1,1,1,1 "
                                 "count_include_pad=1"},
        {.text = X("2,5,5") "par w [3,2,2,2]; y = Conv(a, w) pads=1,0,0,1",
         .reference = X("2,5,5") "par w [3,2,2,2]; y = Conv(a, w) pads=0,1,1,0"},
        {.text = X("5") "y = Identity(a)", .loss = CE ",label-smoothing=0.1", .smoothing = 0.1001},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        grad_check_slip(&cases[i]);
    }
}

/** The text of all test_gradients*.c. */
static char *read_cases(void)
{
    static char text[1 << 20];
    glob_t files;
    size_t n = 0;
    assert_int_equal(glob(ITC_SOURCE_DIR "/tests/unit/test_gradients*.c", 0, NULL, &files), 0);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        FILE *f = fopen(files.gl_pathv[i], "r");
        assert_non_null(f);
        n += fread(text + n, 1, sizeof text - 1 - n, f);
        assert_int_equal(fclose(f), 0);
    }
    globfree(&files);
    assert_true(n < sizeof text - 1);
    return text;
}

/** Whatever a model may contain and learn through stands in a case above. */
static void every_operator_is_covered(void **state)
{
    /* arithmetic on shapes, and what only folds */
    static const char *const constant = " Shape Size Constant ConstantOfShape EyeLike Range "
                                        " HannWindow HammingWindow BlackmanWindow MelWeightMatrix "
                                        " NonZero Unique ArgMin Hardmax "
                                        /* of integers: tests/unit/test_plain.c */
                                        " BitShift BitwiseAnd BitwiseOr BitwiseXor "
                                        /* their slope is 0 wherever they have one */
                                        " Sign Floor Ceil Round ";
    (void)state;
    const char *text = read_cases();
    for (int i = 0; itc_op_at(i); i++) {
        const itc_op_def *op = itc_op_at(i);
        char name[64], used[64], pooled[64];
        (void)snprintf(name, sizeof name, " %s ", op->name);
        (void)snprintf(used, sizeof used, "%s(", op->name);
        (void)snprintf(pooled, sizeof pooled, "POOL(\"%s\"", op->name);
        if ((op->flags & ITC_OP_INTERNAL) == 0 && !strstr(constant, name) && !strstr(text, used) &&
            !strstr(text, pooled)) {
            fail_msg("no case has %s", op->name);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matmul),
        cmocka_unit_test(gemm),
        cmocka_unit_test(conv),
        cmocka_unit_test(maxpool),
        cmocka_unit_test(average_pool),
        cmocka_unit_test(activations),
        cmocka_unit_test(random_numbers),
        cmocka_unit_test(tabular),
        cmocka_unit_test(functions),
        cmocka_unit_test(spelled_functions),
        cmocka_unit_test(powers),
        cmocka_unit_test(remainders),
        cmocka_unit_test(parametric_relu),
        cmocka_unit_test(masks),
        cmocka_unit_test(softmax),
        cmocka_unit_test(shapes),
        cmocka_unit_test(arithmetic),
        cmocka_unit_test(frozen_normalisation),
        cmocka_unit_test(batch_normalisation),
        cmocka_unit_test(other_normalisation),
        cmocka_unit_test(many_uses),
        cmocka_unit_test(cross_entropy),
        cmocka_unit_test(mean_squares),
        cmocka_unit_test(means_as_losses),
        cmocka_unit_test(slips_are_found),
        cmocka_unit_test(every_operator_is_covered), /* last: it looks at what ran */
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
