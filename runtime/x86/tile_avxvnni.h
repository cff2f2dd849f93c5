/**
 * Tiles of 6 rows x 16 lanes for AVX-VNNI: two registers a row, and twelve accumulators stay in
 * registers. See tile_bytes.h, tile/tile.h.
 */
#ifndef ITR_X86_TILE_AVXVNNI_H
#define ITR_X86_TILE_AVXVNNI_H

#define TILE_ROWS 6

#include "tile_bytes.h"

static inline __m256i tile_four(const tile_row *p)
{
    int32_t four;
    memcpy(&four, p, sizeof four);
    return _mm256_set1_epi32(four);
}

#define TILE_EACH_ROW(M) M(0) M(1) M(2) M(3) M(4) M(5)
#define TILE_BEGIN(r)                                                                              \
    const tile_row *p##r = row[r];                                                                 \
    __m256i a##r = s0, b##r = s1;
#define TILE_STEP(r)                                                                               \
    {                                                                                              \
        const __m256i x = tile_four(p##r + at);                                                    \
        a##r = _mm256_dpbusd_avx_epi32(a##r, x, f0);                                               \
        b##r = _mm256_dpbusd_avx_epi32(b##r, x, f1);                                               \
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
            const __m256i f0 = tile_load(f), f1 = tile_load(f + 32);
            TILE_EACH_ROW(TILE_STEP)
            f += TILE_UNIT * TILE_LANES;
        }
    }
    TILE_EACH_ROW(TILE_END)
}

/** -128 times the sum of each lane. */
static inline void tile_start(int64_t units, const tile_lane *f, int32_t *start)
{
    const __m256i bias = _mm256_set1_epi8((char)TILE_BIAS), zero = _mm256_setzero_si256();
    __m256i low[2] = {zero, zero}, high[2] = {zero, zero}; /* two sums each, for their latency */
    for (int64_t i = 0; i < units; i++, f += TILE_UNIT * TILE_LANES) {
        low[i & 1] = _mm256_dpbusd_avx_epi32(low[i & 1], bias, tile_load(f));
        high[i & 1] = _mm256_dpbusd_avx_epi32(high[i & 1], bias, tile_load(f + 32));
    }
    tile_store(start, _mm256_sub_epi32(zero, _mm256_add_epi32(low[0], low[1])));
    tile_store(start + 8, _mm256_sub_epi32(zero, _mm256_add_epi32(high[0], high[1])));
}

static inline void tile_widen(tile_row *to, const int8_t *from, int64_t n)
{
    const __m256i bias = _mm256_set1_epi8((char)TILE_BIAS);
    int64_t i = 0;
    for (; i + 32 <= n; i += 32) {
        tile_store(to + i, _mm256_xor_si256(tile_load(from + i), bias));
    }
    for (; i < n; i++) {
        to[i] = (tile_row)(from[i] + TILE_BIAS);
    }
}

/** to[i] = from[2 * i] for a part of [0, n), whose length is returned. Reads up to from[2n - 1]. */
static inline int64_t tile_widen_even(tile_row *to, const int8_t *from, int64_t n)
{
    const __m256i bias = _mm256_set1_epi8((char)TILE_BIAS), even = _mm256_set1_epi16(0xFF);
    int64_t i = 0;
    for (; i + 32 <= n; i += 32) {
        const __m256i a = _mm256_and_si256(tile_load(from + 2 * i), even);
        const __m256i b = _mm256_and_si256(tile_load(from + 2 * i + 32), even);
        const __m256i x = _mm256_permute4x64_epi64(_mm256_packus_epi16(a, b), 0xD8);
        tile_store(to + i, _mm256_xor_si256(x, bias));
    }
    return i;
}

/** 16 elements of k of 16 lanes whose rows are `lane` apart: 4 units of a panel. */
static inline void tile_panel_rows16(tile_lane *to, const int8_t *from, int64_t lane)
{
    for (int half = 0; half < 2; half++, to += 32, from += 8 * lane) {
        __m256i r[4], t[4];
        for (int i = 0; i < 4; i++) { /* lanes i and i + 4 of the half */
            const __m128i low = tile_load16(from + i * lane);
            r[i] = _mm256_inserti128_si256(_mm256_castsi128_si256(low),
                                           tile_load16(from + (i + 4) * lane), 1);
        }
        t[0] = _mm256_unpacklo_epi32(r[0], r[1]);
        t[1] = _mm256_unpackhi_epi32(r[0], r[1]);
        t[2] = _mm256_unpacklo_epi32(r[2], r[3]);
        t[3] = _mm256_unpackhi_epi32(r[2], r[3]);
        tile_store(to, _mm256_unpacklo_epi64(t[0], t[2]));
        tile_store(to + 64, _mm256_unpackhi_epi64(t[0], t[2]));
        tile_store(to + 128, _mm256_unpacklo_epi64(t[1], t[3]));
        tile_store(to + 192, _mm256_unpackhi_epi64(t[1], t[3]));
    }
}

#endif
