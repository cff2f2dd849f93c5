/**
 * Plain integers and booleans of an input in the type that operators compute in.
 *
 * Shapes   terms[0] and y [n], dense; the term's coefficient, exponent and strides are not used
 * Units    plain numbers; a boolean is 1 where the integer is not 0
 * Aliasing none
 */
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
