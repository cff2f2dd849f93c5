/**
 * Tiles of 8 rows x 16 lanes for AVX-512 VNNI: a register a row. See tile_bytes.h, tile/tile.h.
 */
#ifndef ITR_X86_TILE_AVX512VNNI_H
#define ITR_X86_TILE_AVX512VNNI_H

#define TILE_ROWS 8
#define TILE_SCATTER 16
#define TILE_STREAM 1

#include "tile_bytes.h"

static inline __m512i tile_load512(const void *p)
{
    return _mm512_loadu_si512(p);
}

/** So many bytes are read some time later. */
static inline void tile_fetch(const int8_t *p, int64_t bytes)
{
    for (int64_t i = 0; i < bytes; i += TILE_LINE) {
        _mm_prefetch((const char *)p + i, _MM_HINT_T0);
    }
}

static inline __m512i tile_four(const tile_row *p)
{
    int32_t four;
    memcpy(&four, p, sizeof four);
    return _mm512_set1_epi32(four);
}

#define TILE_EACH_ROW(M) M(0) M(1) M(2) M(3) M(4) M(5) M(6) M(7)
#define TILE_BEGIN(r)                                                                              \
    const tile_row *p##r = row[r];                                                                 \
    __m512i a##r = s;
#define TILE_STEP(r) a##r = _mm512_dpbusd_epi32(a##r, tile_four(p##r + at), f0);
#define TILE_END(r) _mm512_storeu_si512(sum + TILE_LANES * (r), a##r);

/** sum[r][l] = start[l] + the products of TILE_ROWS rows and a panel. */
TILE_APART void tile(const tile_row *const *row, const tile_k *k, const tile_lane *f,
                     const int32_t *start, int32_t *sum)
{
    const __m512i s = tile_load512(start);
    TILE_EACH_ROW(TILE_BEGIN)
    for (int i = 0; i < k->runs; i++) {
        const int64_t end = k->at[i] + (int64_t)k->units * TILE_UNIT;
        for (int64_t at = k->at[i]; at < end; at += TILE_UNIT) {
            const __m512i f0 = tile_load512(f);
            TILE_EACH_ROW(TILE_STEP)
            f += TILE_UNIT * TILE_LANES;
        }
    }
    TILE_EACH_ROW(TILE_END)
}

/** -128 times the sum of each lane. */
static inline void tile_start(int64_t units, const tile_lane *f, int32_t *start)
{
    const __m512i bias = _mm512_set1_epi8((char)TILE_BIAS);
    __m512i sum[4];
    int64_t i = 0;
    for (int k = 0; k < 4; k++) {
        sum[k] = _mm512_setzero_si512();
    }
    for (; i + 4 <= units; i += 4, f += 4 * TILE_UNIT * TILE_LANES) {
        for (int k = 0; k < 4; k++) {
            sum[k] =
                _mm512_dpbusd_epi32(sum[k], bias, tile_load512(f + k * TILE_UNIT * TILE_LANES));
        }
    }
    for (; i < units; i++, f += TILE_UNIT * TILE_LANES) {
        sum[0] = _mm512_dpbusd_epi32(sum[0], bias, tile_load512(f));
    }
    sum[0] = _mm512_add_epi32(_mm512_add_epi32(sum[0], sum[1]), _mm512_add_epi32(sum[2], sum[3]));
    _mm512_storeu_si512(start, _mm512_sub_epi32(_mm512_setzero_si512(), sum[0]));
}

static inline void tile_widen(tile_row *to, const int8_t *from, int64_t n)
{
    const __m512i bias = _mm512_set1_epi8((char)TILE_BIAS);
    int64_t i = 0;
    for (; i + 64 <= n; i += 64) {
        _mm512_storeu_si512(to + i, _mm512_xor_si512(tile_load512(from + i), bias));
    }
    if (i < n) {
        const __mmask64 rest = ~UINT64_C(0) >> (64 - (n - i));
        const __m512i x = _mm512_maskz_loadu_epi8(rest, from + i);
        _mm512_mask_storeu_epi8(to + i, rest, _mm512_xor_si512(x, bias));
    }
}

/** to[i] = from[2 * i] for a part of [0, n), whose length is returned. Reads up to from[2n - 1]. */
static inline int64_t tile_widen_even(tile_row *to, const int8_t *from, int64_t n)
{
    int64_t i = 0;
    const __m256i bias = _mm256_set1_epi8((char)TILE_BIAS);
    for (; i + 32 <= n; i += 32) {
        const __m256i x = _mm512_cvtepi16_epi8(tile_load512(from + 2 * i));
        tile_store(to + i, _mm256_xor_si256(x, bias));
    }
    if (i < n) {
        const __mmask32 rest = ~UINT32_C(0) >> (32 - (n - i));
        const __m512i x = _mm512_maskz_loadu_epi16(rest, from + 2 * i);
        _mm256_mask_storeu_epi8(to + i, rest, _mm256_xor_si256(_mm512_cvtepi16_epi8(x), bias));
        i = n;
    }
    return i;
}

/** 16 registers of 16 int32, transposed. */
static inline void tile_transpose16(__m512i r[16])
{
    __m512i t[16];
    for (int i = 0; i < 8; i++) {
        t[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
    }
    /* part p of register 4 i + k: lines 4 i to 4 i + 3 of column 4 p + k */
    for (int i = 0; i < 4; i++) {
        r[4 * i] = _mm512_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
        r[4 * i + 1] = _mm512_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
        r[4 * i + 2] = _mm512_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
        r[4 * i + 3] = _mm512_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
    }
    for (int k = 0; k < 4; k++) {
        const __m512i a = _mm512_shuffle_i32x4(r[k], r[k + 4], 0x88);
        const __m512i b = _mm512_shuffle_i32x4(r[k], r[k + 4], 0xDD);
        const __m512i c = _mm512_shuffle_i32x4(r[k + 8], r[k + 12], 0x88);
        const __m512i d = _mm512_shuffle_i32x4(r[k + 8], r[k + 12], 0xDD);
        r[k] = _mm512_shuffle_i32x4(a, c, 0x88);
        r[k + 4] = _mm512_shuffle_i32x4(b, d, 0x88);
        r[k + 8] = _mm512_shuffle_i32x4(a, c, 0xDD);
        r[k + 12] = _mm512_shuffle_i32x4(b, d, 0xDD);
    }
}

/** Sums of 16 rows x n <= 16 lanes, added to or stored at y[lane * step + row]. */
static inline void tile_scatter_block(int32_t *y, int64_t step, const int32_t *sum, int n, bool add)
{
    __m512i r[16];
    for (int i = 0; i < 16; i++) {
        r[i] = tile_load512(sum + i * TILE_LANES);
    }
    tile_transpose16(r);
    for (int i = 0; i < n; i++) {
        int32_t *to = y + i * step;
        _mm512_storeu_si512(to, add ? _mm512_add_epi32(tile_load512(to), r[i]) : r[i]);
    }
}

/** Stored past the caches; y and the step are whole lines. */
static inline void tile_stream_block(int32_t *y, int64_t step, const int32_t *sum, int n)
{
    __m512i r[16];
    for (int i = 0; i < 16; i++) {
        r[i] = tile_load512(sum + i * TILE_LANES);
    }
    tile_transpose16(r);
    for (int i = 0; i < n; i++) {
        _mm512_stream_si512((void *)(y + i * step), r[i]);
    }
}

/** What was streamed is there for other threads. */
static inline void tile_fence(void)
{
    _mm_sfence();
}

/** 16 elements of k of 16 lanes whose rows are `lane` apart: 4 units of a panel. */
static inline void tile_panel_rows16(tile_lane *to, const int8_t *from, int64_t lane)
{
    __m512i r[4], t[4];
    for (int i = 0; i < 4; i++) { /* part j of register i: lane 4 j + i */
        __m512i x = _mm512_castsi128_si512(tile_load16(from + i * lane));
        x = _mm512_inserti32x4(x, tile_load16(from + (i + 4) * lane), 1);
        x = _mm512_inserti32x4(x, tile_load16(from + (i + 8) * lane), 2);
        r[i] = _mm512_inserti32x4(x, tile_load16(from + (i + 12) * lane), 3);
    }
    t[0] = _mm512_unpacklo_epi32(r[0], r[1]);
    t[1] = _mm512_unpackhi_epi32(r[0], r[1]);
    t[2] = _mm512_unpacklo_epi32(r[2], r[3]);
    t[3] = _mm512_unpackhi_epi32(r[2], r[3]);
    _mm512_storeu_si512(to, _mm512_unpacklo_epi64(t[0], t[2]));
    _mm512_storeu_si512(to + 64, _mm512_unpackhi_epi64(t[0], t[2]));
    _mm512_storeu_si512(to + 128, _mm512_unpacklo_epi64(t[1], t[3]));
    _mm512_storeu_si512(to + 192, _mm512_unpackhi_epi64(t[1], t[3]));
}

#endif
