/**
 * Tiles of 6 rows x 16 lanes for AVX2: pairs of int16 are multiplied and added (vpmaddwd), which
 * is exact in 32 bits; twelve accumulators stay in registers. See tile/tile.h.
 */
#ifndef ITR_X86_TILE_AVX2_H
#define ITR_X86_TILE_AVX2_H

#define TILE_ROWS 6
#define TILE_UNIT 2
#define TILE_BIAS 0
#define TILE_16 1
#define TILE_SCALE 1

#include "../tile/tile.h"
#include "tile_transpose.h"

typedef int16_t tile_row;
typedef int16_t tile_lane;

/** 16 int8 as int16. */
static inline __m256i tile_load8(const int8_t *p)
{
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)p));
}

static inline void tile_store8(tile_row *to, __m128i x)
{
    _mm_storeu_si128((__m128i *)(void *)to, x);
}

static inline __m256i tile_pair(const tile_row *p)
{
    int32_t pair;
    memcpy(&pair, p, sizeof pair);
    return _mm256_set1_epi32(pair);
}

#define TILE_EACH_ROW(M) M(0) M(1) M(2) M(3) M(4) M(5)
#define TILE_BEGIN(r)                                                                              \
    const tile_row *p##r = row[r];                                                                 \
    __m256i a##r = s0, b##r = s1;
#define TILE_STEP(r)                                                                               \
    {                                                                                              \
        const __m256i x = tile_pair(p##r + at);                                                    \
        a##r = _mm256_add_epi32(a##r, _mm256_madd_epi16(x, f0));                                   \
        b##r = _mm256_add_epi32(b##r, _mm256_madd_epi16(x, f1));                                   \
    }
#define TILE_END(r)                                                                                \
    tile_store(sum + TILE_LANES * (r), a##r);                                                      \
    tile_store(sum + TILE_LANES * (r) + 8, b##r);

/** sum[r][l] = start[l] + the products of TILE_ROWS rows and a panel. */
TILE_APART void tile(const tile_row *const *row, const tile_k *k, const tile_lane *f,
                     const int32_t *start, int32_t *sum)
{
    const __m256i s0 = tile_load(start), s1 = tile_load(start + 8);
    TILE_EACH_ROW(TILE_BEGIN)
    for (int i = 0; i < k->runs; i++) {
        const int64_t end = k->at[i] + (int64_t)k->units * TILE_UNIT;
        for (int64_t at = k->at[i]; at < end; at += TILE_UNIT) {
            const __m256i f0 = tile_load(f), f1 = tile_load(f + 16);
            TILE_EACH_ROW(TILE_STEP)
            f += TILE_UNIT * TILE_LANES;
        }
    }
    TILE_EACH_ROW(TILE_END)
}

/** No bias: sums begin with 0. */
static inline void tile_start(int64_t units, const tile_lane *f, int32_t *start)
{
    (void)units;
    (void)f;
    memset(start, 0, TILE_LANES * sizeof *start);
}

static inline void tile_widen(tile_row *to, const int8_t *from, int64_t n)
{
    int64_t i = 0;
    for (; i + 16 <= n; i += 16) {
        tile_store(to + i, tile_load8(from + i));
    }
    if (i + 8 <= n) {
        tile_store8(to + i, _mm_cvtepi8_epi16(_mm_loadl_epi64((const void *)(from + i))));
        i += 8;
    }
    for (; i < n; i++) {
        to[i] = from[i];
    }
}

/** to[i] = from[2 * i] for a part of [0, n), whose length is returned. Reads up to from[2n - 1]. */
static inline int64_t tile_widen_even(tile_row *to, const int8_t *from, int64_t n)
{
    int64_t i = 0;
    for (; i + 16 <= n; i += 16) {
        tile_store(to + i, _mm256_srai_epi16(_mm256_slli_epi16(tile_load(from + 2 * i), 8), 8));
    }
    if (i + 8 <= n) {
        const __m128i x = _mm_loadu_si128((const __m128i *)(const void *)(from + 2 * i));
        tile_store8(to + i, _mm_srai_epi16(_mm_slli_epi16(x, 8), 8));
        i += 8;
    }
    return i;
}

/** to[i][c] = pixel i of plane c: 16 pixels of 16 planes. */
static inline void tile_pixels16(tile_row *const to[16], const int8_t *from, int64_t plane)
{
    __m256i r[8];
    tile_load_planes(r, from, plane);
    tile_transpose_bytes(r);
    for (int i = 0; i < 8; i++) {
        tile_store(to[2 * i], _mm256_cvtepi8_epi16(_mm256_castsi256_si128(r[i])));
        tile_store(to[2 * i + 1], _mm256_cvtepi8_epi16(_mm256_extracti128_si256(r[i], 1)));
    }
}

/** 16 elements of k of 16 lanes whose rows are `lane` apart: 8 units of a panel. */
static inline void tile_panel_rows16(tile_lane *to, const int8_t *from, int64_t lane)
{
    for (int half = 0; half < 2; half++) {
        __m256i r[8];
        for (int i = 0; i < 8; i++) {
            r[i] = tile_load8(from + (8 * half + i) * lane);
        }
        tile_transpose8(r);
        for (int i = 0; i < 8; i++) {
            tile_store(to + i * TILE_UNIT * TILE_LANES + 16 * half, r[i]);
        }
    }
}

/** One unit of a panel from its elements of k, each of 16 lanes. */
static inline void tile_panel_unit(tile_lane *to, const int8_t *const from[TILE_UNIT])
{
    const __m256i a = tile_load8(from[0]), b = tile_load8(from[1]);
    const __m256i low = _mm256_unpacklo_epi16(a, b), high = _mm256_unpackhi_epi16(a, b);
    tile_store(to, _mm256_permute2x128_si256(low, high, 0x20));
    tile_store(to + 16, _mm256_permute2x128_si256(low, high, 0x31));
}

#endif
