/**
 * Windows of four bytes for depthwise convolutions, AVX-512 VNNI. See tile/window.h.
 */
#ifndef ITR_X86_WINDOW_AVX512VNNI_H
#define ITR_X86_WINDOW_AVX512VNNI_H

#include "tile_avx512vnni.h"

#include "../tile/window.h"
#include "../tile/window_weight.h"

/**
 * A block's windows come from 64 bytes in two steps: each lane of four windows takes up to four
 * dwords of them, then each window its bytes. False: they reach further.
 */
static bool window_tables(window_job *j)
{
    for (int lane = 0; lane < 4; lane++) {
        int64_t taken[4] = {0};
        int count = 0;
        for (int64_t i = 0; i < 16; i++) {
            const int64_t at = (4 * lane + i / 4) / j->phases_x * j->step_x + i % 4 * j->pick;
            int d = 0;
            while (d < count && taken[d] != at / 4) {
                d++;
            }
            if (d == 4 || at >= 64) {
                return false;
            }
            count = d == count ? count + 1 : count;
            taken[d] = at / 4;
            j->byte[16 * lane + i] = (uint8_t)(4 * d + at % 4);
        }
        for (int d = 0; d < 4; d++) {
            j->dword[4 * lane + d] = (int32_t)taken[d];
        }
    }
    return true;
}

/** A block of windows of each line. */
TILE_APART void window_block_lines(const window_job *j, const window_block *b, __mmask64 own,
                                   const window_source *s, uint8_t *to, const int8_t *from,
                                   int64_t lines)
{
    const __m512i dword = tile_load512(j->dword), byte = tile_load512(j->byte);
    const __m512i bias = _mm512_set1_epi8((char)TILE_BIAS);
    const __mmask64 inside = b->inside;
    const int64_t width = 4 * j->width;
    const int64_t step = s->step;
    from += b->at;
    for (int64_t i = 0; i < lines; i++, from += step, to += width) {
        const __m512i four = _mm512_permutexvar_epi32(dword, _mm512_maskz_loadu_epi8(inside, from));
        const __m512i w = _mm512_maskz_shuffle_epi8(own, four, byte);
        _mm512_storeu_si512(to, _mm512_xor_si512(w, bias));
    }
}

/**
 * Lines of the source, s->step apart, as lines of windows behind each other. Up to 15 windows
 * behind the last become zeros: whole stores, since what is stored under a mask is not forwarded to
 * loads; the last block first, as it reaches into the next line.
 */
static void window_lines(const window_job *j, const window_source *s, uint8_t *to,
                         const int8_t *from, int64_t lines)
{
    tile_fetch(from + s->ahead, lines * s->step);
    int64_t unused = j->blocks * WINDOW_LANES - j->width;
    for (int64_t b = j->blocks - 1; b >= 0; b--, unused = 0) {
        window_block_lines(j, s->b + b, ~UINT64_C(0) >> 4 * unused, s, to + 4 * WINDOW_LANES * b,
                           from, lines);
    }
}

/** 16 sums. */
static inline __m512i window_block_sums(const uint8_t *p, const window_tap *tap, const __m512i *f,
                                        int count)
{
    __m512i s = f[0];
    for (int t = 0; t < count; t++) {
        s = _mm512_dpbusd_epi32(s, tile_load512(p + 4 * tap[t].at), f[1 + t]);
    }
    return s;
}

/** Of few taps, a constant number: their weights stay in registers. */
static inline void window_sums_of(int count, const window_tap *tap, const window_result *r,
                                  const uint8_t *band, const int8_t (*from)[16], bool stream)
{
    const int64_t n = r->n, whole = n / WINDOW_LANES * WINDOW_LANES;
    const __mmask16 rest = (__mmask16)(0xFFFFu >> (16 - (n - whole)));
    int32_t *y = r->y;
    __m512i f[4];
    for (int t = 0; t <= count; t++) {
        f[t] = _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)from[t]));
    }
    for (int64_t l = 0; l < r->lines; l++, y += r->step, band += 4 * n) {
        int64_t p = 0;
        for (; stream && p < whole; p += WINDOW_LANES) {
            _mm512_stream_si512((void *)(y + p), window_block_sums(band + 4 * p, tap, f, count));
        }
        for (; p < whole; p += WINDOW_LANES) {
            _mm512_storeu_si512(y + p, window_block_sums(band + 4 * p, tap, f, count));
        }
        if (p < n) {
            _mm512_mask_storeu_epi32(y + p, rest, window_block_sums(band + 4 * p, tap, f, count));
        }
    }
}

/** A line, of many taps: four blocks share a tap's weights. */
static void window_sums_any(const window_tap *tap, int count, int32_t *y, const uint8_t *band,
                            const int8_t (*from)[16], int64_t n)
{
    for (int64_t p = 0; p < n; p += 64) {
        __m512i s[4];
        for (int i = 0; i < 4; i++) {
            s[i] = _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)from[0]));
        }
        for (int t = 0; t < count; t++) {
            const uint8_t *x = band + 4 * (p + tap[t].at);
            const __m512i f = _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)from[1 + t]));
            for (int i = 0; i < 4; i++) {
                s[i] = _mm512_dpbusd_epi32(s[i], tile_load512(x + 64 * i), f);
            }
        }
        for (int i = 0; i < 4 && p + 16 * i < n; i++) {
            const int64_t rest = tile_least(n - p - 16 * i, 16);
            _mm512_mask_storeu_epi32(y + p + 16 * i, (__mmask16)(0xFFFF >> (16 - rest)), s[i]);
        }
    }
}

/** The sums of a phase; up to 63 windows behind those of a line are read. */
static void window_sums(const window_job *j, int phase, const window_result *r, const uint8_t *band,
                        const int8_t (*f)[16])
{
    const window_tap *tap = j->tap + j->taps[phase];
    const int count = j->taps[phase + 1] - j->taps[phase];
    const bool lines = ((uintptr_t)r->y | (uintptr_t)r->step * sizeof *r->y) % TILE_LINE == 0;
    switch (count) {
    case 1:
        window_sums_of(1, tap, r, band, f, j->stream && lines);
        break;
    case 2:
        window_sums_of(2, tap, r, band, f, j->stream && lines);
        break;
    case 3:
        window_sums_of(3, tap, r, band, f, j->stream && lines);
        break;
    default:
        for (int64_t i = 0; i < r->lines; i++) {
            window_sums_any(tap, count, r->y + i * r->step, band + i * 4 * r->n, f, r->n);
        }
    }
}

/* ---- the gradient of the filter ---- */

/** Lines of the operand, `step` apart, `pitch` apart; up to 63 bytes behind each become zeros: the
 * last block goes first, as it reaches into the next line. */
static void window_copy(const product_line *l, uint8_t *to, int64_t pitch, const int8_t *from,
                        int64_t step, int64_t lines)
{
    const __m512i zero = _mm512_set1_epi8((char)l->zero);
    const __m256i zero32 = _mm512_castsi512_si256(zero);
    tile_fetch(from + l->ahead, lines * step);
    for (int64_t b = l->blocks - 1; b >= 0; b--) {
        const __mmask64 inside = l->b[b].inside;
        const int8_t *x = from + l->b[b].at;
        uint8_t *y = to + PRODUCT_BYTES / l->step * b;
        for (int64_t i = 0; l->step == 1 && i < lines; i++, x += step, y += pitch) {
            _mm512_storeu_si512(y, _mm512_xor_si512(_mm512_maskz_loadu_epi8(inside, x), zero));
        }
        for (int64_t i = 0; l->step == 2 && i < lines; i++, x += step, y += pitch) {
            const __m256i even = _mm512_cvtepi16_epi8(_mm512_maskz_loadu_epi8(inside, x));
            tile_store(y, _mm256_xor_si256(even, zero32));
        }
    }
}

/** Sums of `count` taps, a constant. */
static inline void window_products_of(int32_t (*sum)[PRODUCT_LANES], const uint8_t *x,
                                      const int32_t *at, const uint8_t *dy, int64_t bytes,
                                      int count)
{
    __m512i s[9];
    for (int i = 0; i < count; i++) {
        s[i] = tile_load512(sum[i]);
    }
    for (int64_t p = 0; p < bytes; p += PRODUCT_BYTES) {
        const __m512i g = tile_load512(dy + p);
        for (int i = 0; i < count; i++) {
            s[i] = _mm512_dpbusd_epi32(s[i], tile_load512(x + at[i] + p), g);
        }
    }
    for (int i = 0; i < count; i++) {
        _mm512_storeu_si512(sum[i], s[i]);
    }
}

/** sum[tap] += dy times the source from the tap on; sum[taps] += dy times the bias. */
static void window_products(const product_job *j, int32_t (*sum)[PRODUCT_LANES], const uint8_t *x,
                            const uint8_t *dy, int64_t bytes)
{
    const __m512i bias = _mm512_set1_epi8((char)TILE_BIAS);
    __m512i s = tile_load512(sum[j->taps]);
    int64_t i = 0;
    for (; i + 9 <= j->taps; i += 9) {
        window_products_of(sum + i, x, j->at + i, dy, bytes, 9);
    }
    for (; i + 4 <= j->taps; i += 4) {
        window_products_of(sum + i, x, j->at + i, dy, bytes, 4);
    }
    for (; i < j->taps; i++) {
        window_products_of(sum + i, x, j->at + i, dy, bytes, 1);
    }
    for (int64_t p = 0; p < bytes; p += PRODUCT_BYTES) {
        s = _mm512_dpbusd_epi32(s, bias, tile_load512(dy + p));
    }
    _mm512_storeu_si512(sum[j->taps], s);
}

static int32_t window_total(const int32_t sum[PRODUCT_LANES])
{
    return _mm512_reduce_add_epi32(tile_load512(sum));
}

#endif
