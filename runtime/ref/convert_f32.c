/**
 * Integer mantissas as floats.
 *
 * Shapes   terms[0] and y [n], dense; the term's coefficient and strides are not used
 * Units    the term at *e (0 where e is null), any exponent; y the value
 * Range    rounded to nearest, ties to even, from the exact value: once, below the normal range too
 * Aliasing none
 */
#include <math.h>

#include "../numeric.h"
#include "term.h"

/**
 * m * 2^e as a double that rounds to the right float: exact, or 53 bits with a last bit that says
 * whether anything was dropped.
 */
static double value(int64_t m, int32_t e)
{
    uint64_t mag = itr_abs64(m);
    const int s = itr_bitlen64(mag) > 53 ? itr_bitlen64(mag) - 53 : 0;
    mag = mag >> s | ((mag & (((uint64_t)1 << s) - 1)) != 0);
    const int64_t exponent = (int64_t)e + s;
    /* within the range of double where float has any: exact */
    const double v = ldexp((double)mag, exponent > 2000    ? 2000
                                        : exponent < -2000 ? -2000
                                                           : (int)exponent);
    return m < 0 ? -v : v;
}

void itr_to_float_ref(const itr_to_float_args *a)
{
    const itr_term *t = &a->terms[0];
    float *y = (float *)a->y;
    const int32_t e = t->e ? *t->e : 0;
    for (int64_t i = 0; i < a->n; i++) {
        y[i] = t->dtype == ITR_F32 ? ((const float *)t->x)[i]
                                   : (float)value(itr_term_integer(t, i), e);
    }
}
