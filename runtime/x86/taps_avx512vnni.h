/**
 * Pixels of four channels, AVX-512. See tile/point_taps.h.
 */
#ifndef ITR_X86_TAPS_AVX512VNNI_H
#define ITR_X86_TAPS_AVX512VNNI_H

#include "point_avx512vnni.h"

#include "../tile/point_taps.h"

/** n pixels; channels beyond `channels` are multiplied by 0, whatever they hold. */
static void taps_line(uint8_t *to, const int8_t *from, int64_t plane, int64_t channels, int64_t n)
{
    const __m512i bias = _mm512_set1_epi8((char)TILE_BIAS);
    for (int64_t p = 0; p < n; p += POINT_LANES) {
        const __mmask16 own =
            (__mmask16)(0xFFFFu >> (POINT_LANES - tile_least(n - p, POINT_LANES)));
        __m128i c[4];
        for (int i = 0; i < 4; i++) {
            c[i] = _mm_maskz_loadu_epi8(own, from + p + (i < channels ? i * plane : 0));
        }
        const __m128i a0 = _mm_unpacklo_epi8(c[0], c[1]), a1 = _mm_unpackhi_epi8(c[0], c[1]);
        const __m128i b0 = _mm_unpacklo_epi8(c[2], c[3]), b1 = _mm_unpackhi_epi8(c[2], c[3]);
        __m512i x = _mm512_castsi128_si512(_mm_unpacklo_epi16(a0, b0));
        x = _mm512_inserti32x4(x, _mm_unpackhi_epi16(a0, b0), 1);
        x = _mm512_inserti32x4(x, _mm_unpacklo_epi16(a1, b1), 2);
        x = _mm512_inserti32x4(x, _mm_unpackhi_epi16(a1, b1), 3);
        _mm512_mask_storeu_epi32(to + 4 * p, own, _mm512_xor_si512(x, bias));
    }
}

#endif
