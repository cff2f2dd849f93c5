/*
 * Philox4x32-10, 16 blocks at a time (rng_fill.h); included between begin_avx512vnni.h and end.h.
 */
#define ITR_PHILOX_OWN_LANES 1
#include "../rng_fill.h"

/**
 * Counters of eight blocks, a word in the lower half of each lane of 64 bits. The upper halves are
 * left as they come: products do not read them, and the final words drop them.
 */
typedef struct philox8 {
    __m512i c0, c1, c2, c3;
} philox8;

static inline __m512i philox_xor3(__m512i a, __m512i b, __m512i c)
{
    return _mm512_ternarylogic_epi64(a, b, c, 0x96);
}

static inline void philox_round8(philox8 *p, __m512i k0, __m512i k1)
{
    const __m512i product0 = _mm512_mul_epu32(p->c0, _mm512_set1_epi64(ITR_PHILOX_M0));
    const __m512i product1 = _mm512_mul_epu32(p->c2, _mm512_set1_epi64(ITR_PHILOX_M1));
    p->c0 = philox_xor3(_mm512_srli_epi64(product1, 32), p->c1, k0);
    p->c1 = product1;
    p->c2 = philox_xor3(_mm512_srli_epi64(product0, 32), p->c3, k1);
    p->c3 = product0;
}

/** Even lanes hold blocks 0 to 3, odd ones 4 to 7, so that words come out in order. */
static inline philox8 philox_start8(const itr_rng *rng, uint32_t last, uint32_t block)
{
    const __m512i count = _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7);
    const philox8 p = {_mm512_add_epi64(_mm512_set1_epi64(block), count),
                       _mm512_set1_epi64(rng->micro_batch), _mm512_set1_epi64(rng->step),
                       _mm512_set1_epi64(last)};
    return p;
}

static inline void philox_store8(const philox8 *p, uint32_t *words)
{
    const __m512i c01 = _mm512_mask_blend_epi32(0xAAAA, p->c0, _mm512_slli_epi64(p->c1, 32));
    const __m512i c23 = _mm512_mask_blend_epi32(0xAAAA, p->c2, _mm512_slli_epi64(p->c3, 32));
    _mm512_storeu_si512(words, _mm512_unpacklo_epi64(c01, c23));
    _mm512_storeu_si512(words + 16, _mm512_unpackhi_epi64(c01, c23));
}

static inline void itr_philox_lanes(const itr_rng *rng, uint32_t last, uint32_t block,
                                    uint32_t words[4 * ITR_PHILOX_LANES])
{
    philox8 p = philox_start8(rng, last, block), q = philox_start8(rng, last, block + 8);
    uint32_t k0 = (uint32_t)rng->seed, k1 = (uint32_t)(rng->seed >> 32);
    for (int r = 0; r < ITR_PHILOX_ROUNDS; r++) {
        const __m512i key0 = _mm512_set1_epi64(k0), key1 = _mm512_set1_epi64(k1);
        philox_round8(&p, key0, key1);
        philox_round8(&q, key0, key1);
        k0 += ITR_PHILOX_W0;
        k1 += ITR_PHILOX_W1;
    }
    philox_store8(&p, words);
    philox_store8(&q, words + 32);
}
