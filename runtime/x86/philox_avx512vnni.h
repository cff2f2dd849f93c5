/*
 * Philox4x32-10, 32 blocks at a time (rng_fill.h); included between begin_avx512vnni.h and end.h.
 */
#define ITR_PHILOX_OWN_LANES 1
#define ITR_PHILOX_LANES 32 /* four chains of dependent instructions */
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

/** What two rounds make of the words that all blocks share. */
typedef struct philox_shared {
    uint32_t c0, c1;  /**< words 0 and 1 after the first round */
    uint64_t product; /**< of the second round's word 0 */
} philox_shared;

static inline philox_shared philox_share(const itr_rng *rng)
{
    const uint64_t product = (uint64_t)ITR_PHILOX_M1 * rng->step;
    philox_shared s = {.c0 = (uint32_t)(product >> 32) ^ rng->micro_batch ^ (uint32_t)rng->seed,
                       .c1 = (uint32_t)product};
    s.product = (uint64_t)ITR_PHILOX_M0 * s.c0;
    return s;
}

/**
 * Eight blocks after two rounds: only word 0 tells them apart at first, so each round has one
 * product a block. Even lanes hold blocks 0 to 3, odd ones 4 to 7, so that words come out in order.
 */
static inline philox8 philox_start8(const itr_rng *rng, const philox_shared *s, uint32_t last,
                                    uint32_t block)
{
    const __m512i count = _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7);
    const uint32_t k1 = (uint32_t)(rng->seed >> 32);
    const __m512i c0 = _mm512_add_epi64(_mm512_set1_epi64(block), count);
    const __m512i product0 = _mm512_mul_epu32(c0, _mm512_set1_epi64(ITR_PHILOX_M0));
    const __m512i c2 =
        _mm512_xor_si512(_mm512_srli_epi64(product0, 32), _mm512_set1_epi64(last ^ k1));
    const __m512i product1 = _mm512_mul_epu32(c2, _mm512_set1_epi64(ITR_PHILOX_M1));
    const uint32_t key0 = (uint32_t)rng->seed + ITR_PHILOX_W0, key1 = k1 + ITR_PHILOX_W1;
    const philox8 p = {
        _mm512_xor_si512(_mm512_srli_epi64(product1, 32), _mm512_set1_epi64(s->c1 ^ key0)),
        product1,
        _mm512_xor_si512(product0, _mm512_set1_epi64((uint32_t)(s->product >> 32) ^ key1)),
        _mm512_set1_epi64((int64_t)s->product)};
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
    const philox_shared s = philox_share(rng);
    philox8 p = philox_start8(rng, &s, last, block), q = philox_start8(rng, &s, last, block + 8);
    philox8 t = philox_start8(rng, &s, last, block + 16),
            u = philox_start8(rng, &s, last, block + 24);
    uint32_t k0 = (uint32_t)rng->seed + 2 * ITR_PHILOX_W0;
    uint32_t k1 = (uint32_t)(rng->seed >> 32) + 2 * ITR_PHILOX_W1;
    for (int r = 2; r < ITR_PHILOX_ROUNDS; r++) {
        const __m512i key0 = _mm512_set1_epi64(k0), key1 = _mm512_set1_epi64(k1);
        philox_round8(&p, key0, key1);
        philox_round8(&q, key0, key1);
        philox_round8(&t, key0, key1);
        philox_round8(&u, key0, key1);
        k0 += ITR_PHILOX_W0;
        k1 += ITR_PHILOX_W1;
    }
    philox_store8(&p, words);
    philox_store8(&q, words + 32);
    philox_store8(&t, words + 64);
    philox_store8(&u, words + 96);
}
