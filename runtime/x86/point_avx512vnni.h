/**
 * Convolutions of single taps, AVX-512 VNNI: 6 rows x 64 positions in registers. See tile/point.h.
 */
#ifndef ITR_X86_POINT_AVX512VNNI_H
#define ITR_X86_POINT_AVX512VNNI_H

#include "tile_avx512vnni.h"

#include "../tile/point.h"

/** A block of a channel. */
static inline __m512i point_load(const int8_t *x, const point_place *at)
{
    if (at->whole) {
        /* channels lie apart: nothing else foresees what the next blocks read */
        _mm_prefetch((const char *)x + at->x[0] + 64 * POINT_BLOCKS, _MM_HINT_T0);
        return tile_load512(x + at->x[0]);
    }
    __m128i v[POINT_VECTORS];
    for (int i = 0; i < POINT_VECTORS; i++) {
        v[i] = _mm_maskz_loadu_epi8((__mmask16)(0xFFFFu >> (16 - at->lanes[i])), x + at->x[i]);
    }
    const __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(v[0]), v[1], 1);
    const __m256i high = _mm256_inserti128_si256(_mm256_castsi128_si256(v[2]), v[3], 1);
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

/** Channels beyond `channels` are multiplied by 0, whatever they hold. */
static void point_pack(uint8_t *to, const int8_t *x, const point_place *at, int64_t plane,
                       int64_t channels)
{
    const __m512i bias = _mm512_set1_epi8((char)TILE_BIAS);
    __m512i c[4], t[4];
    for (int i = 0; i < 4; i++) {
        c[i] = _mm512_xor_si512(point_load(i < channels ? x + i * plane : x, at), bias);
    }
    /* lane l of q[k]: the four channels of positions 16 l + 4 k on */
    const __m512i a0 = _mm512_unpacklo_epi8(c[0], c[1]), a1 = _mm512_unpackhi_epi8(c[0], c[1]);
    const __m512i b0 = _mm512_unpacklo_epi8(c[2], c[3]), b1 = _mm512_unpackhi_epi8(c[2], c[3]);
    const __m512i q[4] = {_mm512_unpacklo_epi16(a0, b0), _mm512_unpackhi_epi16(a0, b0),
                          _mm512_unpacklo_epi16(a1, b1), _mm512_unpackhi_epi16(a1, b1)};
    t[0] = _mm512_shuffle_i32x4(q[0], q[1], 0x88); /* lanes 0, 2 of both */
    t[1] = _mm512_shuffle_i32x4(q[2], q[3], 0x88);
    t[2] = _mm512_shuffle_i32x4(q[0], q[1], 0xDD); /* lanes 1, 3 */
    t[3] = _mm512_shuffle_i32x4(q[2], q[3], 0xDD);
    _mm512_store_si512(to, _mm512_shuffle_i32x4(t[0], t[1], 0x88));
    _mm512_store_si512(to + 64, _mm512_shuffle_i32x4(t[2], t[3], 0x88));
    _mm512_store_si512(to + 128, _mm512_shuffle_i32x4(t[0], t[1], 0xDD));
    _mm512_store_si512(to + 192, _mm512_shuffle_i32x4(t[2], t[3], 0xDD));
}

/** A row's sums of a block; y: its plane of the first image. */
static inline void point_store(const point_out *o, int32_t *y, __m512i a, __m512i b, __m512i c,
                               __m512i d)
{
    const point_place *at = o->place;
    const __m512i s[POINT_VECTORS] = {a, b, c, d};
    if (o->stream && at->whole && (uintptr_t)(y + at->y[0]) % TILE_LINE == 0) {
        for (int i = 0; i < POINT_VECTORS; i++) {
            _mm512_stream_si512((void *)(y + at->y[0] + POINT_LANES * i), s[i]);
        }
        return;
    }
    for (int i = 0; at->whole && i < POINT_VECTORS; i++) {
        _mm512_storeu_si512(y + at->y[0] + POINT_LANES * i, s[i]);
    }
    for (int i = 0; !at->whole && i < POINT_VECTORS; i++) {
        const __mmask16 own = (__mmask16)(0xFFFFu >> (16 - at->lanes[i]));
        _mm512_mask_storeu_epi32(y + at->y[i], own, s[i]);
    }
}

#define POINT_BEGIN(r)                                                                             \
    __m512i a##r = _mm512_set1_epi32(s->start[r]), b##r = a##r, c##r = a##r, d##r = a##r;
#define POINT_STEP(r)                                                                              \
    {                                                                                              \
        const __m512i w = tile_four((const tile_row *)f + 4 * (r));                                \
        a##r = _mm512_dpbusd_epi32(a##r, x0, w);                                                   \
        b##r = _mm512_dpbusd_epi32(b##r, x1, w);                                                   \
        c##r = _mm512_dpbusd_epi32(c##r, x2, w);                                                   \
        d##r = _mm512_dpbusd_epi32(d##r, x3, w);                                                   \
    }
#define POINT_END(r)                                                                               \
    if ((r) < o->rows) {                                                                           \
        point_store(o, o->y + (r)*o->plane, a##r, b##r, c##r, d##r);                               \
    }
#define POINT_TILE(count, EACH)                                                                    \
    TILE_APART void point_tile##count(const point_sum *s, const point_out *o)                      \
    {                                                                                              \
        const uint8_t *p0 = s->x[0], *p1 = s->x[1], *p2 = s->x[2], *p3 = s->x[3];                  \
        const int8_t *f = s->f;                                                                    \
        EACH(POINT_BEGIN)                                                                          \
        for (int64_t u = 0; u < s->units; u++, f += 4 * (count)) {                                 \
            const int64_t at = s->at[u];                                                           \
            const __m512i x0 = tile_load512(p0 + at), x1 = tile_load512(p1 + at);                  \
            const __m512i x2 = tile_load512(p2 + at), x3 = tile_load512(p3 + at);                  \
            EACH(POINT_STEP)                                                                       \
        }                                                                                          \
        EACH(POINT_END)                                                                            \
    }
#define POINT_2(M) M(0) M(1)
#define POINT_4(M) POINT_2(M) M(2) M(3)
#define POINT_6(M) POINT_4(M) M(4) M(5)
POINT_TILE(2, POINT_2)
POINT_TILE(4, POINT_4)
POINT_TILE(6, POINT_6)

static void point_tile(const point_sum *s, const point_out *o)
{
    if (o->rows > 4) {
        point_tile6(s, o);
    } else if (o->rows > 2) {
        point_tile4(s, o);
    } else {
        point_tile2(s, o);
    }
}

#endif
