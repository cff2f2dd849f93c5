/**
 * Small matrices transposed in registers of AVX2, for tiles of AVX2 and later levels.
 */
#ifndef ITR_X86_TILE_TRANSPOSE_H
#define ITR_X86_TILE_TRANSPOSE_H

#include "../tile/tile.h"

static inline __m256i tile_load(const void *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

static inline void tile_store(void *p, __m256i x)
{
    _mm256_storeu_si256((__m256i *)p, x);
}

/** Registers i holds 16 elements of planes i and i + 8. */
static inline void tile_load_planes(__m256i r[8], const int8_t *from, int64_t plane)
{
    for (int i = 0; i < 8; i++) {
        const __m128i low = _mm_loadu_si128((const __m128i *)(const void *)(from + i * plane));
        const __m128i high =
            _mm_loadu_si128((const __m128i *)(const void *)(from + (i + 8) * plane));
        r[i] = _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
    }
}

/** 16 x 16 bytes as tile_load_planes loads them: register i becomes columns 2i and 2i + 1. */
static inline void tile_transpose_bytes(__m256i r[8])
{
    __m256i t[8];
    for (int i = 0; i < 4; i++) {
        t[2 * i] = _mm256_unpacklo_epi8(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm256_unpackhi_epi8(r[2 * i], r[2 * i + 1]);
    }
    for (int i = 0; i < 2; i++) {
        r[4 * i] = _mm256_unpacklo_epi16(t[4 * i], t[4 * i + 2]);
        r[4 * i + 1] = _mm256_unpackhi_epi16(t[4 * i], t[4 * i + 2]);
        r[4 * i + 2] = _mm256_unpacklo_epi16(t[4 * i + 1], t[4 * i + 3]);
        r[4 * i + 3] = _mm256_unpackhi_epi16(t[4 * i + 1], t[4 * i + 3]);
    }
    for (int i = 0; i < 4; i++) {
        t[2 * i] = _mm256_unpacklo_epi32(r[i], r[i + 4]);
        t[2 * i + 1] = _mm256_unpackhi_epi32(r[i], r[i + 4]);
    }
    for (int i = 0; i < 8; i++) {
        r[i] = _mm256_permute4x64_epi64(t[i], 0xD8);
    }
}

/** 8 registers of 8 int32, transposed. */
static inline void tile_transpose8(__m256i r[8])
{
    __m256i t[8];
    for (int i = 0; i < 4; i++) {
        t[2 * i] = _mm256_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm256_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
    }
    for (int i = 0; i < 2; i++) {
        r[4 * i] = _mm256_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
        r[4 * i + 1] = _mm256_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
        r[4 * i + 2] = _mm256_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
        r[4 * i + 3] = _mm256_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
    }
    for (int i = 0; i < 4; i++) {
        t[i] = _mm256_permute2x128_si256(r[i], r[i + 4], 0x20);
        t[i + 4] = _mm256_permute2x128_si256(r[i], r[i + 4], 0x31);
    }
    for (int i = 0; i < 8; i++) {
        r[i] = t[i];
    }
}

#ifndef TILE_SCATTER
#define TILE_SCATTER 8
#define TILE_STREAM 0

/** Sums of 8 rows x n <= 8 lanes, added to or stored at y[lane * step + row]. */
static inline void tile_scatter_block(int32_t *y, int64_t step, const int32_t *sum, int n, bool add)
{
    __m256i r[8];
    for (int i = 0; i < 8; i++) {
        r[i] = tile_load(sum + i * TILE_LANES);
    }
    tile_transpose8(r);
    for (int i = 0; i < n; i++) {
        int32_t *to = y + i * step;
        tile_store(to, add ? _mm256_add_epi32(tile_load(to), r[i]) : r[i]);
    }
}

#endif

/** to[2 * i + odd] = or += x[i]; the elements between stay as they are. */
static inline void tile_spread(int32_t *to, __m256i x, bool add, bool odd)
{
    const __m256i first = _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3);
    const __m256i last = _mm256_setr_epi32(4, 4, 5, 5, 6, 6, 7, 7);
    const __m256i ours =
        _mm256_set1_epi64x(odd ? (int64_t)(UINT64_C(0xFFFFFFFF) << 32) : 0xFFFFFFFF);
    const __m256i was[2] = {tile_load(to), tile_load(to + 8)};
    __m256i a = _mm256_permutevar8x32_epi32(x, first), b = _mm256_permutevar8x32_epi32(x, last);
    a = add ? _mm256_add_epi32(was[0], a) : a;
    b = add ? _mm256_add_epi32(was[1], b) : b;
    tile_store(to, _mm256_blendv_epi8(was[0], a, ours));
    tile_store(to + 8, _mm256_blendv_epi8(was[1], b, ours));
}

/** The same of 8 rows at y[lane * step + 2 * row + odd]; what is between stays. */
static inline void tile_scatter8_by2(int32_t *y, int64_t step, const int32_t *sum, int n, bool add,
                                     bool odd)
{
    __m256i r[8];
    for (int i = 0; i < 8; i++) {
        r[i] = tile_load(sum + i * TILE_LANES);
    }
    tile_transpose8(r);
    for (int i = 0; i < n; i++) {
        tile_spread(y + i * step, r[i], add, odd);
    }
}

#endif
