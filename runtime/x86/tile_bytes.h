/**
 * Rows of unsigned and lanes of signed bytes, as vpdpbusd multiplies them: it adds four products of
 * an unsigned and a signed byte to 32 bits, modulo 2^32. Rows are x + 128; the sums begin with -128
 * times the sum of the lane's elements, so they are exact modulo 2^32. What tiles of AVX-VNNI and
 * AVX-512 VNNI share, in AVX2. See tile/tile.h.
 */
#ifndef ITR_X86_TILE_BYTES_H
#define ITR_X86_TILE_BYTES_H

#define TILE_UNIT 4
#define TILE_BIAS 128
#define TILE_16 0
#define TILE_SCALE 2

#include "../tile/tile.h"
#include "tile_transpose.h"

typedef uint8_t tile_row;
typedef int8_t tile_lane;

/** to[i][c] = pixel i of plane c: 16 pixels of 16 planes. */
static inline void tile_pixels16(tile_row *const to[16], const int8_t *from, int64_t plane)
{
    const __m256i bias = _mm256_set1_epi8((char)TILE_BIAS);
    __m256i r[8];
    tile_load_planes(r, from, plane);
    tile_transpose_bytes(r);
    for (int i = 0; i < 8; i++) {
        const __m256i x = _mm256_xor_si256(r[i], bias);
        _mm_storeu_si128((__m128i *)(void *)to[2 * i], _mm256_castsi256_si128(x));
        _mm_storeu_si128((__m128i *)(void *)to[2 * i + 1], _mm256_extracti128_si256(x, 1));
    }
}

static inline __m128i tile_load16(const int8_t *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

/** One unit of a panel from its elements of k, each of 16 lanes. */
static inline void tile_panel_unit(tile_lane *to, const int8_t *const from[TILE_UNIT])
{
    const __m128i a = tile_load16(from[0]), b = tile_load16(from[1]);
    const __m128i c = tile_load16(from[2]), d = tile_load16(from[3]);
    const __m128i ab[2] = {_mm_unpacklo_epi8(a, b), _mm_unpackhi_epi8(a, b)};
    const __m128i cd[2] = {_mm_unpacklo_epi8(c, d), _mm_unpackhi_epi8(c, d)};
    for (int i = 0; i < 2; i++) {
        _mm_storeu_si128((__m128i *)(void *)(to + 32 * i), _mm_unpacklo_epi16(ab[i], cd[i]));
        _mm_storeu_si128((__m128i *)(void *)(to + 32 * i + 16), _mm_unpackhi_epi16(ab[i], cd[i]));
    }
}

#endif
