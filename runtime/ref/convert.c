/**
 * Plain integers and booleans of an input in the type that operators compute in.
 *
 * Shapes   terms[0] and y [n], dense; the term's coefficient, exponent and strides are not used
 * Units    plain numbers; a boolean is 1 where the integer is not 0
 * Aliasing none
 */
#include "../numeric.h"
#include "term.h"

void itr_to_plain_i64_ref(const itr_to_plain_args *a)
{
    int64_t *y = (int64_t *)a->y;
    for (int64_t i = 0; i < a->n; i++) {
        y[i] = itr_term_integer(&a->terms[0], i);
    }
}

void itr_to_plain_bool_ref(const itr_to_plain_args *a)
{
    uint8_t *y = (uint8_t *)a->y;
    for (int64_t i = 0; i < a->n; i++) {
        y[i] = itr_term_integer(&a->terms[0], i) != 0;
    }
}

/**
 * Mantissas as plain integers, towards zero; at the nearest end of int64 what is beyond it.
 *
 * Shapes   x, y [n]
 * Units    x at *e_x, which may be any; y plain
 * Aliasing none
 */
void itr_to_whole_i16i64_ref(const itr_map_args *a)
{
    const int16_t *x = (const int16_t *)a->x;
    int64_t *y = (int64_t *)a->y;
    for (int64_t i = 0; i < a->n; i++) {
        y[i] = itr_whole64(x[i], *a->e_x);
    }
}
