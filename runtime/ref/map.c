/**
 * Functions of each element, mantissas in, Q15 out.
 * Shapes   x, y [n]
 * Units    y = round(f(x * 2^*e_x) * 2^15), exponent -15
 * Range    |y| <= 32767 (1.0 itself becomes 32767 / 32768)
 * Aliasing y overlaps x only for i16 at the same address
 * Source   NUMERICS.md "Functions in fixed point"; slopes: 1 - tanh^2, s (1 - s)
 */
#include "../fixed.h"
#include "../kernel.h"

static int32_t tanh_value(int64_t x)
{
    return itr_tanh_q30(x);
}

static int32_t sigmoid_value(int64_t x)
{
    return itr_sigmoid_q30(x);
}

static int32_t tanh_slope(int64_t x)
{
    const int64_t y = itr_tanh_q30(x);
    return (int32_t)(((int64_t)1 << 30) - (y * y >> 30));
}

static int32_t sigmoid_slope(int64_t x)
{
    const int64_t y = itr_sigmoid_q30(x);
    return (int32_t)(y * (((int64_t)1 << 30) - y) >> 30);
}

typedef int32_t (*function)(int64_t x);

static int16_t evaluate(function f, int64_t m, int32_t e)
{
    const int64_t y = itr_round_nearest(f(itr_fixed24(m, e)), 15);
    return (int16_t)(y > 32767 ? 32767 : y < -32767 ? -32767 : y);
}

/** By a table of every mantissa where there are more elements than mantissas. */
static void map_i8(const itr_map_args *a, function f)
{
    const int8_t *x = (const int8_t *)a->x;
    int16_t *y = (int16_t *)a->y, table[256];
    if (a->n <= 256) {
        for (int64_t i = 0; i < a->n; i++) {
            y[i] = evaluate(f, x[i], *a->e_x);
        }
        return;
    }
    for (int m = -128; m < 128; m++) {
        table[m + 128] = evaluate(f, m, *a->e_x);
    }
    for (int64_t i = 0; i < a->n; i++) {
        y[i] = table[x[i] + 128];
    }
}

static void map_i16(const itr_map_args *a, function f)
{
    const int16_t *x = (const int16_t *)a->x;
    int16_t *y = (int16_t *)a->y;
    for (int64_t i = 0; i < a->n; i++) {
        y[i] = evaluate(f, x[i], *a->e_x);
    }
}

#define MAP_KERNELS(name, f) \
    void itr_##name##_i8i16_ref(const itr_map_args *a) \
    { \
        map_i8(a, f); \
    } \
    void itr_##name##_i16i16_ref(const itr_map_args *a) \
    { \
        map_i16(a, f); \
    }

MAP_KERNELS(tanh, tanh_value)
MAP_KERNELS(tanh_slope, tanh_slope)
MAP_KERNELS(sigmoid, sigmoid_value)
MAP_KERNELS(sigmoid_slope, sigmoid_slope)
