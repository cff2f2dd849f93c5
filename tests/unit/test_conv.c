/** Convolution and its gradients against naive loops over 64 bits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/kernel.h"
#include "runtime_random.h"

enum { MAX = 60000 };

/** Operands in every type; dy has y's shape. */
typedef struct operand {
    int8_t i8[MAX];
    int16_t i16[MAX];
    float f32[MAX];
} operand;

static operand x, f, dy;
static int32_t y32[MAX];
static int64_t y64[MAX], want[MAX];
static float yf[MAX];

typedef enum which { FORWARD, INPUT, WEIGHT } which;

/** The definition: every pair (output position, tap) that meets inside the image. */
static void naive(const itr_conv_args *a, which kind)
{
    const int64_t cg = a->c / a->groups, mg = a->m / a->groups;
    memset(want, 0, sizeof want);
    for (int64_t i = 0; i < a->n * a->m * a->oh * a->ow; i++) {
        const int64_t ox = i % a->ow, oy = i / a->ow % a->oh;
        const int64_t m = i / a->ow / a->oh % a->m, n = i / a->ow / a->oh / a->m;
        for (int64_t j = 0; j < cg * a->kh * a->kw; j++) {
            const int64_t kx = j % a->kw, ky = j / a->kw % a->kh, c = j / a->kw / a->kh;
            const int64_t iy = oy * a->stride_h + ky * a->dilation_h - a->pad_top;
            const int64_t ix = ox * a->stride_w + kx * a->dilation_w - a->pad_left;
            if (iy < 0 || iy >= a->h || ix < 0 || ix >= a->w) {
                continue;
            }
            const int64_t at_x = ((n * a->c + m / mg * cg + c) * a->h + iy) * a->w + ix;
            const int64_t at_f = m * cg * a->kh * a->kw + j;
            if (kind == FORWARD) {
                want[i] += (int64_t)x.i16[at_x] * f.i16[at_f];
            } else if (kind == INPUT) {
                want[at_x] += (int64_t)dy.i16[i] * f.i16[at_f];
            } else {
                want[at_f] += (int64_t)dy.i16[i] * x.i16[at_x];
            }
        }
    }
}

static void fill(operand *o, uint64_t *seed, int limit)
{
    for (int i = 0; i < MAX; i++) {
        o->i16[i] = (int16_t)(i % 4 ? between(seed, -limit, limit) : i % 8 ? limit : -limit);
        o->i8[i] = (int8_t)(limit <= 127 ? o->i16[i] : 0);
        o->f32[i] = o->i16[i];
    }
}

static int64_t outputs(int64_t in, int64_t taps, int64_t stride, int64_t dilation, int64_t pads)
{
    const int64_t room = in + pads - (taps - 1) * dilation - 1;
    return room < 0 ? 0 : room / stride + 1;
}

static itr_conv_args random_shape(uint64_t *seed, int round)
{
    for (;;) {
        const int64_t groups = round % 3 == 0 ? between(seed, 1, 6) : 1;
        const int64_t wide = round % 5 == 0 ? 14 : 4;
        itr_conv_args a = {.n = between(seed, 1, 3),
                           .c = groups * between(seed, 1, round % 6 == 3 ? 1 : wide),
                           .h = between(seed, 1, 13),
                           .w = between(seed, 1, 13),
                           .m = groups * between(seed, 1, round % 4 == 0 ? 2 : 2 * wide),
                           .kh = between(seed, 1, 5),
                           .kw = between(seed, 1, 5),
                           .stride_h = (int32_t)between(seed, 1, 4),
                           .stride_w = (int32_t)between(seed, 1, 4),
                           .dilation_h = (int32_t)between(seed, 1, 3),
                           .dilation_w = (int32_t)between(seed, 1, 3),
                           .pad_top = (int32_t)between(seed, 0, 4),
                           .pad_left = (int32_t)between(seed, 0, 4),
                           .groups = (int32_t)groups};
        if (round % 2) { /* the common ones */
            a.stride_h = a.stride_w = 1 + round % 4 / 2;
            a.dilation_h = a.dilation_w = 1;
        }
        a.oh = outputs(a.h, a.kh, a.stride_h, a.dilation_h, a.pad_top + between(seed, 0, 4));
        a.ow = outputs(a.w, a.kw, a.stride_w, a.dilation_w, a.pad_left + between(seed, 0, 4));
        if (a.oh > 0 && a.ow > 0 && a.n * a.m * a.oh * a.ow < MAX) {
            return a;
        }
    }
}

typedef void kernel(const itr_conv_args *a);

static const struct {
    kernel *narrow, *wide, *wide16, *f32;
} kernels[] = {
    {itr_conv_i8i8i32_ref, itr_conv_i8i8i64_ref, itr_conv_i16i16i64_ref, itr_conv_f32_ref},
    {itr_conv_grad_input_i8i8i32_ref, itr_conv_grad_input_i8i8i64_ref,
     itr_conv_grad_input_i16i16i64_ref, itr_conv_grad_input_f32_ref},
    {itr_conv_grad_weight_i8i8i32_ref, itr_conv_grad_weight_i8i8i64_ref,
     itr_conv_grad_weight_i16i16i64_ref, itr_conv_grad_weight_f32_ref}};

static int64_t result_size(const itr_conv_args *a, which kind)
{
    return kind == FORWARD ? a->n * a->m * a->oh * a->ow
           : kind == INPUT ? a->n * a->c * a->h * a->w
                           : a->m * (a->c / a->groups) * a->kh * a->kw;
}

static void check(itr_conv_args a, which kind, uint64_t *seed)
{
    operand *left = kind == INPUT ? &dy : &x, *right = kind == WEIGHT ? &dy : &f;
    const int64_t n = result_size(&a, kind);
    fill(left, seed, 127);
    fill(right, seed, 127);
    naive(&a, kind);
    memset(y32, 85, sizeof y32);
    memset(y64, 85, sizeof y64);
    a.a = left->i8;
    a.b = right->i8;
    a.y = y32;
    kernels[kind].narrow(&a);
    a.y = y64;
    kernels[kind].wide(&a);
    a.a = left->f32;
    a.b = right->f32;
    a.y = yf;
    kernels[kind].f32(&a);
    for (int64_t i = 0; i < n; i++) {
        assert_true(y32[i] == want[i] && y64[i] == want[i]);
        assert_true((double)yf[i] == (double)want[i]); /* below 2^24: exact */
    }
    assert_int_equal(y32[n], 0x55555555); /* nothing behind the result */
    assert_true(y64[n] == INT64_C(0x5555555555555555));
    fill(left, seed, 32767);
    fill(right, seed, 32767);
    naive(&a, kind);
    a.a = left->i16;
    a.b = right->i16;
    a.y = y64;
    kernels[kind].wide16(&a);
    assert_memory_equal(y64, want, (size_t)n * sizeof *want);
}

static void random_shapes(which kind, uint64_t seed)
{
    for (int i = 0; i < 250; i++) {
        check(random_shape(&seed, i), kind, &seed);
    }
}

static void conv_random_shapes(void **state)
{
    (void)state;
    random_shapes(FORWARD, 1);
}

static void conv_grad_input_random_shapes(void **state)
{
    (void)state;
    random_shapes(INPUT, 2);
}

static void conv_grad_weight_random_shapes(void **state)
{
    (void)state;
    random_shapes(WEIGHT, 3);
}

/** More than one tile in every direction. */
static void conv_many_tiles(void **state)
{
    (void)state;
    uint64_t seed = 4;
    const itr_conv_args a = {.n = 2,
                             .c = 30,
                             .h = 11,
                             .w = 13,
                             .m = 53,
                             .kh = 3,
                             .kw = 3,
                             .oh = 6,
                             .ow = 7,
                             .stride_h = 2,
                             .stride_w = 2,
                             .dilation_h = 1,
                             .dilation_w = 1,
                             .pad_top = 1,
                             .pad_left = 1,
                             .groups = 1};
    for (int kind = FORWARD; kind <= WEIGHT; kind++) {
        check(a, (which)kind, &seed);
    }
}

/** Depthwise, and a stride beyond the kernel, where some inputs get no gradient at all. */
static void conv_depthwise_and_gaps(void **state)
{
    (void)state;
    uint64_t seed = 5;
    itr_conv_args a = {.n = 2,
                       .c = 7,
                       .h = 9,
                       .w = 140,
                       .m = 7,
                       .kh = 3,
                       .kw = 3,
                       .oh = 9,
                       .ow = 140,
                       .stride_h = 1,
                       .stride_w = 1,
                       .dilation_h = 1,
                       .dilation_w = 1,
                       .pad_top = 1,
                       .pad_left = 1,
                       .groups = 7};
    for (int kind = FORWARD; kind <= WEIGHT; kind++) {
        check(a, (which)kind, &seed);
    }
    a.stride_h = a.stride_w = 4;
    a.kh = a.kw = 2;
    a.pad_top = a.pad_left = 0;
    a.oh = outputs(a.h, 2, 4, 1, 0);
    a.ow = outputs(a.w, 2, 4, 1, 0);
    for (int kind = FORWARD; kind <= WEIGHT; kind++) {
        check(a, (which)kind, &seed);
    }
}

/** A weight gradient of +-127 at the longest sum that 32 bits hold, and one past it. */
static void conv_longest_sums(void **state)
{
    (void)state;
    enum { K = 133144 };
    static int8_t image[K + 1], grad[K + 1];
    int32_t narrow = 0;
    int64_t wide = 0;
    memset(image, 127, sizeof image);
    memset(grad, -127, sizeof grad);
    itr_conv_args a = {.a = image,
                       .b = grad,
                       .y = &narrow,
                       .n = 11 * 17,
                       .c = 1,
                       .h = 8,
                       .w = 89,
                       .m = 1,
                       .kh = 1,
                       .kw = 1,
                       .oh = 8,
                       .ow = 89,
                       .stride_h = 1,
                       .stride_w = 1,
                       .dilation_h = 1,
                       .dilation_w = 1,
                       .groups = 1};
    assert_int_equal(a.n * a.h * a.w, K);
    itr_conv_grad_weight_i8i8i32_ref(&a);
    assert_int_equal(narrow, -127 * 127 * (int64_t)K);
    a.y = &wide;
    a.n = 1; /* 133145 = 5 * 31 * 859 */
    a.h = a.oh = 155;
    a.w = a.ow = 859;
    itr_conv_grad_weight_i8i8i64_ref(&a);
    assert_true(wide == -INT64_C(127) * 127 * (K + 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conv_random_shapes),
        cmocka_unit_test(conv_grad_input_random_shapes),
        cmocka_unit_test(conv_grad_weight_random_shapes),
        cmocka_unit_test(conv_many_tiles),
        cmocka_unit_test(conv_depthwise_and_gaps),
        cmocka_unit_test(conv_longest_sums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
