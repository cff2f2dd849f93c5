/**
 * Lines of int16 for the direct convolutions, Advanced SIMD. See tile/direct.h.
 */
#ifndef ITR_ARM_DIRECT_NEON_H
#define ITR_ARM_DIRECT_NEON_H

#include "tile_neon.h"

/** a[0..3] += 16 elements from x on, times w. */
static inline void direct_add(int32x4_t a[4], const tile_row *x, int32_t w)
{
    const int16x8_t f = vdupq_n_s16((int16_t)w), low = vld1q_s16(x), high = vld1q_s16(x + 8);
    a[0] = vmlal_s16(a[0], vget_low_s16(low), vget_low_s16(f));
    a[1] = vmlal_high_s16(a[1], low, f);
    a[2] = vmlal_s16(a[2], vget_low_s16(high), vget_low_s16(f));
    a[3] = vmlal_high_s16(a[3], high, f);
}

/**
 * y[p] = the sum over pairs i of low * x[2i][at + p] + high * x[2i+1][at + p], 0 <= p < n; reads up
 * to 15 elements more of each line. A pair holds two int16.
 */
static inline void direct_line(int32_t *y, const tile_row *const *x, const int32_t *pair, int pairs,
                               int64_t at, int64_t n)
{
    for (int64_t p = 0; p < n; p += 16) {
        int32x4_t a[4] = {vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0)};
        for (int i = 0; i < pairs; i++) {
            direct_add(a, x[2 * i] + at + p, pair[i]);
            direct_add(a, x[2 * i + 1] + at + p, pair[i] >> 16);
        }
        int32_t rest[16];
        int32_t *to = n - p >= 16 ? y + p : rest;
        for (int i = 0; i < 4; i++) {
            vst1q_s32(to + 4 * i, a[i]);
        }
        if (to == rest) {
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
    int64_t p = 0;
    for (; p + 4 <= n && 2 * p + 8 <= room; p += 4) {
        tile_spread(y - odd + 2 * p, vld1q_s32(x + p), false, odd);
    }
    return p;
}

/**
 * dot[k] = the sum over lines l and p < width of dy[l * width + p] * x[k][l * step + p]; width is a
 * multiple of 16, and sums fit.
 */
static inline void direct_dots(int32_t dot[4], const tile_row *dy, int64_t width,
                               const tile_row *const x[4], int64_t step, int64_t lines)
{
    int32x4_t low[4], high[4];
    for (int k = 0; k < 4; k++) {
        low[k] = high[k] = vdupq_n_s32(0);
    }
    for (int64_t l = 0; l < lines; l++) {
        for (int64_t p = 0; p < width; p += 8) {
            const int16x8_t g = vld1q_s16(dy + l * width + p);
            for (int k = 0; k < 4; k++) {
                const int16x8_t v = vld1q_s16(x[k] + l * step + p);
                low[k] = vmlal_s16(low[k], vget_low_s16(g), vget_low_s16(v));
                high[k] = vmlal_high_s16(high[k], g, v);
            }
        }
    }
    for (int k = 0; k < 4; k++) {
        dot[k] = vaddvq_s32(vaddq_s32(low[k], high[k]));
    }
}

#endif
