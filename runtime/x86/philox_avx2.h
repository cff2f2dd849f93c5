/*
 * Philox4x32-10, 16 blocks at a time (rng_fill.h); included between begin_avx2.h and end.h.
 */
#define ITR_PHILOX_OWN_LANES 1
#include "../rng_fill.h"

/** Counters of eight blocks. */
typedef struct philox8 {
    __m256i c0, c1, c2, c3;
} philox8;

/** The products of eight words and m: their low and their high halves. */
static inline void philox_mul8(__m256i c, __m256i m, __m256i *low, __m256i *high)
{
    const __m256i even = _mm256_mul_epu32(c, m),
                  odd = _mm256_mul_epu32(_mm256_srli_epi64(c, 32), m);
    *low = _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA);
    *high = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xAA);
}

static inline void philox_round8(philox8 *p, __m256i k0, __m256i k1)
{
    __m256i low0, high0, low1, high1;
    philox_mul8(p->c0, _mm256_set1_epi32((int32_t)ITR_PHILOX_M0), &low0, &high0);
    philox_mul8(p->c2, _mm256_set1_epi32((int32_t)ITR_PHILOX_M1), &low1, &high1);
    p->c0 = _mm256_xor_si256(_mm256_xor_si256(high1, p->c1), k0);
    p->c1 = low1;
    p->c2 = _mm256_xor_si256(_mm256_xor_si256(high0, p->c3), k1);
    p->c3 = low0;
}

/** The four words of each block side by side. */
static inline void philox_store8(const philox8 *p, uint32_t *words)
{
    const __m256i a = _mm256_unpacklo_epi32(p->c0, p->c1), b = _mm256_unpackhi_epi32(p->c0, p->c1);
    const __m256i c = _mm256_unpacklo_epi32(p->c2, p->c3), d = _mm256_unpackhi_epi32(p->c2, p->c3);
    const __m256i b04 = _mm256_unpacklo_epi64(a, c), b15 = _mm256_unpackhi_epi64(a, c);
    const __m256i b26 = _mm256_unpacklo_epi64(b, d), b37 = _mm256_unpackhi_epi64(b, d);
    __m256i *to = (__m256i *)(void *)words;
    _mm256_storeu_si256(to, _mm256_permute2x128_si256(b04, b15, 0x20));
    _mm256_storeu_si256(to + 1, _mm256_permute2x128_si256(b26, b37, 0x20));
    _mm256_storeu_si256(to + 2, _mm256_permute2x128_si256(b04, b15, 0x31));
    _mm256_storeu_si256(to + 3, _mm256_permute2x128_si256(b26, b37, 0x31));
}

static inline philox8 philox_start8(const itr_rng *rng, uint32_t last, uint32_t block)
{
    const __m256i count = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const philox8 p = {_mm256_add_epi32(_mm256_set1_epi32((int32_t)block), count),
                       _mm256_set1_epi32((int32_t)rng->micro_batch),
                       _mm256_set1_epi32((int32_t)rng->step), _mm256_set1_epi32((int32_t)last)};
    return p;
}

static inline void itr_philox_lanes(const itr_rng *rng, uint32_t last, uint32_t block,
                                    uint32_t words[4 * ITR_PHILOX_LANES])
{
    philox8 p = philox_start8(rng, last, block), q = philox_start8(rng, last, block + 8);
    uint32_t k0 = (uint32_t)rng->seed, k1 = (uint32_t)(rng->seed >> 32);
    for (int r = 0; r < ITR_PHILOX_ROUNDS; r++) {
        const __m256i key0 = _mm256_set1_epi32((int32_t)k0), key1 = _mm256_set1_epi32((int32_t)k1);
        philox_round8(&p, key0, key1);
        philox_round8(&q, key0, key1);
        k0 += ITR_PHILOX_W0;
        k1 += ITR_PHILOX_W1;
    }
    philox_store8(&p, words);
    philox_store8(&q, words + 32);
}
