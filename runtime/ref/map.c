/**
 * tanh, sigmoid and their derivatives, element by element.
 *
 * Shapes   x, y [n]
 * Units    x at *e_x, which may be any; y at exponent -15
 * Range    |y| <= 32767, so that 1 is 32767; within one unit of the function (NUMERICS.md:
 *          "Functions in fixed point")
 * Aliasing y and x may be the same buffer where they have the same width
 * Source   ONNX Tanh-13, Sigmoid-13; tanh' = 1 - tanh^2, sigmoid' = sigmoid (1 - sigmoid)
 */
#include "../fixed.h"
#include "../kernel.h"

typedef int16_t (*map_fn)(int32_t m, int32_t e);

enum { MANTISSAS = 256 };

static void map_i16(const itr_map_args *a, map_fn f)
{
    const int16_t *x = (const int16_t *)a->x;
    int16_t *y = (int16_t *)a->y;
    for (int64_t i = 0; i < a->n; i++) {
        y[i] = f(x[i], *a->e_x);
    }
}

/** As many elements as there are mantissas, or more: each mantissa once. */
static void map_i8(const itr_map_args *a, map_fn f)
{
    const int8_t *x = (const int8_t *)a->x;
    int16_t *y = (int16_t *)a->y;
    int16_t table[MANTISSAS];
    if (a->n < MANTISSAS) {
        for (int64_t i = 0; i < a->n; i++) {
            y[i] = f(x[i], *a->e_x);
        }
        return;
    }
    /* -128 as well: never stored, but then no access is wild */
    for (int i = 0; i < MANTISSAS; i++) {
        table[i] = f(i - 128, *a->e_x);
    }
    for (int64_t i = 0; i < a->n; i++) {
        y[i] = table[x[i] + 128];
    }
}

#define DEFINE_MAP(name)                                                                           \
    void itr_##name##_i8i16_ref(const itr_map_args *a)                                             \
    {                                                                                              \
        map_i8(a, itr_##name##_q15);                                                               \
    }                                                                                              \
    void itr_##name##_i16i16_ref(const itr_map_args *a)                                            \
    {                                                                                              \
        map_i16(a, itr_##name##_q15);                                                              \
    }
DEFINE_MAP(tanh)
DEFINE_MAP(tanh_slope)
DEFINE_MAP(sigmoid)
DEFINE_MAP(sigmoid_slope)
