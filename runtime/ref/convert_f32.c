/**
 * Integers of an input as floats.
 * Shapes   terms[0].x [n] of any integer dtype, y [n] f32
 * Units    y = x * 2^*e, correctly rounded
 * Aliasing none
 */
#include <math.h>

#include "../kernel.h"

static double element(const itr_term *t, int64_t i)
{
    switch (t->dtype) {
    case ITR_U8:
        return ((const uint8_t *)t->x)[i];
    case ITR_I8:
        return ((const int8_t *)t->x)[i];
    case ITR_I16:
        return ((const int16_t *)t->x)[i];
    case ITR_I32:
        return ((const int32_t *)t->x)[i];
    default:
        return (double)((const int64_t *)t->x)[i];
    }
}

void itr_to_float_ref(const itr_to_float_args *a)
{
    float *y = (float *)a->y;
    for (int64_t i = 0; i < a->n; i++) {
        y[i] = (float)ldexp(element(a->terms, i), *a->terms->e);
    }
}
