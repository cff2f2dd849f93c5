/**
 * A row of logits and its exponentials; shared by softmax.c and loss.c.
 */
#ifndef ITR_REF_SOFTMAX_ROW_H
#define ITR_REF_SOFTMAX_ROW_H

#include "../fixed.h"

/** In int16 rows: an element that takes no part (NUMERICS.md, "Softmax"); mantissas are above it. */
enum { ITR_ROW_EXCLUDED = INT16_MIN };

/** n mantissas, `stride` elements apart. */
typedef struct itr_row {
    const void *x;
    bool wide; /**< int16, else int8 */
    int64_t n, stride;
} itr_row;

static inline int32_t itr_row_at(const itr_row *r, int64_t i)
{
    return r->wide ? ((const int16_t *)r->x)[i * r->stride] : ((const int8_t *)r->x)[i * r->stride];
}

/** The row that starts `offset` elements into x. */
static inline itr_row itr_row_of(const void *x, bool wide, int64_t offset, int64_t n,
                                 int64_t stride)
{
    const itr_row r = {(const unsigned char *)x + (wide ? 2 * offset : offset), wide, n, stride};
    return r;
}

/** The largest mantissa; *first is where it comes first. */
static inline int32_t itr_row_max(const itr_row *r, int64_t *first)
{
    int32_t max = itr_row_at(r, 0);
    *first = 0;
    for (int64_t i = 1; i < r->n; i++) {
        const int32_t v = itr_row_at(r, i);
        if (v > max) {
            max = v;
            *first = i;
        }
    }
    return max;
}

/** Fraction bits with which n exponentials, none above 1, sum to less than 2^64; n <= 2^30. */
static inline int itr_row_bits(int64_t n)
{
    const int q = 63 - itr_ceil_log2((uint64_t)n);
    return q < 48 ? q : 48;
}

/**
 * The sum of exp((x - max) * 2^e) in Qq, each truncated; where out is not null the exponentials in
 * Q31 as well, truncated, one every `stride`.
 */
static inline uint64_t itr_row_exp(const itr_row *r, int32_t max, int64_t e, int q, uint32_t *out)
{
    const int shift = itr_octaves_shift(e);
    uint64_t sum = 0;
    for (int64_t i = 0; i < r->n; i++) {
        const uint64_t t = itr_octaves((uint32_t)(max - itr_row_at(r, i)), shift);
        const bool excluded = itr_row_at(r, i) == ITR_ROW_EXCLUDED && max != ITR_ROW_EXCLUDED;
        const uint64_t v = excluded ? 0 : itr_exp2_neg(t, q);
        sum += v;
        if (out) {
            out[i * r->stride] = (uint32_t)(v >> (q - 31));
        }
    }
    return sum;
}

/** Q31 exponentials become probabilities in Q30, truncated: v / sum, sum in Qq. */
static inline void itr_row_normalise(uint32_t *v, int64_t n, int64_t stride, uint64_t sum, int q)
{
    const uint64_t divisor = sum >> (q - 31);
    for (int64_t i = 0; i < n; i++) {
        v[i * stride] = (uint32_t)(((uint64_t)v[i * stride] << 30) / divisor);
    }
}

#endif
