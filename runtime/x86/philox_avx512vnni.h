/*
 * Philox4x32-10, 16 blocks at a time (rng_fill.h); included between begin_avx512vnni.h and end.h.
 */
#define ITR_PHILOX_OWN_LANES 1
#include "../rng_fill.h"

/** The products of sixteen words and m: their low and their high halves. */
static inline void philox_mul16(__m512i c, __m512i m, __m512i *low, __m512i *high)
{
    const __m512i even = _mm512_mul_epu32(c, m),
                  odd = _mm512_mul_epu32(_mm512_srli_epi64(c, 32), m);
    *low = _mm512_mask_blend_epi32(0xAAAA, even, _mm512_slli_epi64(odd, 32));
    *high = _mm512_mask_blend_epi32(0xAAAA, _mm512_srli_epi64(even, 32), odd);
}

/** Blocks 0 to 3 of each quarter, from words that lie a block a lane. */
static inline void philox_store16(__m512i c0, __m512i c1, __m512i c2, __m512i c3, uint32_t *words)
{
    const __m512i a = _mm512_unpacklo_epi32(c0, c1), b = _mm512_unpackhi_epi32(c0, c1);
    const __m512i c = _mm512_unpacklo_epi32(c2, c3), d = _mm512_unpackhi_epi32(c2, c3);
    /* blocks 0, 4, 8, 12; 1, 5, 9, 13; and so on, a quarter each */
    const __m512i q0 = _mm512_unpacklo_epi64(a, c), q1 = _mm512_unpackhi_epi64(a, c);
    const __m512i q2 = _mm512_unpacklo_epi64(b, d), q3 = _mm512_unpackhi_epi64(b, d);
    const __m512i low01 = _mm512_shuffle_i32x4(q0, q1, 0x44),
                  low23 = _mm512_shuffle_i32x4(q2, q3, 0x44);
    const __m512i high01 = _mm512_shuffle_i32x4(q0, q1, 0xEE);
    const __m512i high23 = _mm512_shuffle_i32x4(q2, q3, 0xEE);
    _mm512_storeu_si512(words, _mm512_shuffle_i32x4(low01, low23, 0x88));
    _mm512_storeu_si512(words + 16, _mm512_shuffle_i32x4(low01, low23, 0xDD));
    _mm512_storeu_si512(words + 32, _mm512_shuffle_i32x4(high01, high23, 0x88));
    _mm512_storeu_si512(words + 48, _mm512_shuffle_i32x4(high01, high23, 0xDD));
}

static inline void itr_philox_lanes(const itr_rng *rng, uint32_t last, uint32_t block,
                                    uint32_t words[4 * ITR_PHILOX_LANES])
{
    const __m512i count = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i m0 = _mm512_set1_epi32((int32_t)ITR_PHILOX_M0);
    const __m512i m1 = _mm512_set1_epi32((int32_t)ITR_PHILOX_M1);
    __m512i c0 = _mm512_add_epi32(_mm512_set1_epi32((int32_t)block), count);
    __m512i c1 = _mm512_set1_epi32((int32_t)rng->micro_batch);
    __m512i c2 = _mm512_set1_epi32((int32_t)rng->step), c3 = _mm512_set1_epi32((int32_t)last);
    uint32_t k0 = (uint32_t)rng->seed, k1 = (uint32_t)(rng->seed >> 32);
    for (int r = 0; r < ITR_PHILOX_ROUNDS; r++) {
        __m512i low0, high0, low1, high1;
        philox_mul16(c0, m0, &low0, &high0);
        philox_mul16(c2, m1, &low1, &high1);
        c0 = _mm512_xor_si512(_mm512_xor_si512(high1, c1), _mm512_set1_epi32((int32_t)k0));
        c1 = low1;
        c2 = _mm512_xor_si512(_mm512_xor_si512(high0, c3), _mm512_set1_epi32((int32_t)k1));
        c3 = low0;
        k0 += ITR_PHILOX_W0;
        k1 += ITR_PHILOX_W1;
    }
    philox_store16(c0, c1, c2, c3, words);
}
