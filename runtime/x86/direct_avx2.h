/**
 * Lines of int16 for the direct convolutions, AVX2. See tile/direct.h.
 */
#ifndef ITR_X86_DIRECT_AVX2_H
#define ITR_X86_DIRECT_AVX2_H

#include "tile_avx2.h"

/**
 * y[p] = the sum over pairs i of low * x[2i][at + p] + high * x[2i+1][at + p], 0 <= p < n; reads up
 * to 15 elements more of each line. A pair holds two int16.
 */
static inline void direct_line(int32_t *y, const tile_row *const *x, const int32_t *pair, int pairs,
                               int64_t at, int64_t n)
{
    for (int64_t p = 0; p < n; p += 16) {
        __m256i low = _mm256_setzero_si256(), high = low;
        for (int i = 0; i < pairs; i++) {
            const __m256i a = tile_load(x[2 * i] + at + p), b = tile_load(x[2 * i + 1] + at + p);
            const __m256i w = _mm256_set1_epi32(pair[i]);
            low = _mm256_add_epi32(low, _mm256_madd_epi16(_mm256_unpacklo_epi16(a, b), w));
            high = _mm256_add_epi32(high, _mm256_madd_epi16(_mm256_unpackhi_epi16(a, b), w));
        }
        const __m256i first = _mm256_permute2x128_si256(low, high, 0x20);
        const __m256i last = _mm256_permute2x128_si256(low, high, 0x31);
        if (n - p >= 16) {
            tile_store(y + p, first);
            tile_store(y + p + 8, last);
        } else {
            int32_t rest[16];
            tile_store(rest, first);
            tile_store(rest + 8, last);
            memcpy(y + p, rest, (size_t)(n - p) * sizeof *y);
        }
    }
}

/**
 * y[2 * p] = x[p] for a part of [0, n), whose length is returned; what is between stays. y is the
 * first (or, `odd`, the second) of `room` elements that may be written back as they are.
 */
static inline int64_t direct_spread(int32_t *y, const int32_t *x, int64_t n, bool odd, int64_t room)
{
    int32_t *to = y - odd;
    int64_t p = 0;
    for (; p + 8 <= n && 2 * p + 16 <= room; p += 8) {
        const __m256i values = tile_load(x + p);
        tile_spread(to + 2 * p, values, false, odd);
    }
    return p;
}

static inline int32_t direct_total(__m256i x)
{
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4E));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0xB1));
    return _mm_cvtsi128_si32(s);
}

/**
 * dot[k] = the sum over lines l and p < width of dy[l * width + p] * x[k][l * step + p]; width is a
 * multiple of 16, and sums fit.
 */
static inline void direct_dots(int32_t dot[4], const tile_row *dy, int64_t width,
                               const tile_row *const x[4], int64_t step, int64_t lines)
{
    __m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;
    for (int64_t l = 0; l < lines; l++) {
        for (int64_t p = 0; p < width; p += 16) {
            const __m256i g = tile_load(dy + l * width + p);
            const int64_t at = l * step + p;
            a = _mm256_add_epi32(a, _mm256_madd_epi16(g, tile_load(x[0] + at)));
            b = _mm256_add_epi32(b, _mm256_madd_epi16(g, tile_load(x[1] + at)));
            c = _mm256_add_epi32(c, _mm256_madd_epi16(g, tile_load(x[2] + at)));
            d = _mm256_add_epi32(d, _mm256_madd_epi16(g, tile_load(x[3] + at)));
        }
    }
    dot[0] = direct_total(a);
    dot[1] = direct_total(b);
    dot[2] = direct_total(c);
    dot[3] = direct_total(d);
}

#endif
