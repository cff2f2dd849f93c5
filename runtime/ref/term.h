/**
 * Elements of a term in whatever integer type they come.
 */
#ifndef ITR_REF_TERM_H
#define ITR_REF_TERM_H

#include "../kernel.h"

/** Element i, an integer; 0 where the term is f32. */
static inline int64_t itr_term_integer(const itr_term *t, int64_t i)
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
    case ITR_I64:
        return ((const int64_t *)t->x)[i];
    case ITR_F32:
        break;
    }
    return 0;
}

#endif
