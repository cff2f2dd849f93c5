/**
 * Tiles of 6 rows x 16 lanes for Advanced SIMD: an element of int16 times eight lanes, added to 32
 * bits (smlal, smlal2), which is exact; 24 accumulators stay in registers. See tile/tile.h.
 */
#ifndef ITR_ARM_TILE_NEON_H
#define ITR_ARM_TILE_NEON_H

#define TILE_UNIT 1
#define TILE_BIAS 0
#define TILE_16 1
#define TILE_SCALE 1

#include "tile_rows.h"

#include "../tile/tile.h"

typedef int16_t tile_row;
typedef int16_t tile_lane;

#include "tile_transpose.h"

#define TILE_STEP(r)                                                                               \
    {                                                                                              \
        const int16x8_t x = vld1q_dup_s16(p##r + at);                                              \
        a##r = vmlal_s16(a##r, vget_low_s16(f0), vget_low_s16(x));                                 \
        b##r = vmlal_high_s16(b##r, f0, x);                                                        \
        c##r = vmlal_s16(c##r, vget_low_s16(f1), vget_low_s16(x));                                 \
        d##r = vmlal_high_s16(d##r, f1, x);                                                        \
    }

/** sum[r][l] = start[l] + the products of TILE_ROWS rows and a panel. */
TILE_APART void tile(const tile_row *const *row, const tile_k *k, const tile_lane *f,
                     const int32_t *start, int32_t *sum)
{
    const int32x4_t s0 = vld1q_s32(start), s1 = vld1q_s32(start + 4);
    const int32x4_t s2 = vld1q_s32(start + 8), s3 = vld1q_s32(start + 12);
    TILE_EACH_ROW(TILE_BEGIN)
    for (int i = 0; i < k->runs; i++) {
        const int64_t end = k->at[i] + (int64_t)k->units * TILE_UNIT;
        for (int64_t at = k->at[i]; at < end; at += TILE_UNIT) {
            const int16x8_t f0 = vld1q_s16(f), f1 = vld1q_s16(f + 8);
            TILE_EACH_ROW(TILE_STEP)
            f += TILE_UNIT * TILE_LANES;
        }
    }
    TILE_EACH_ROW(TILE_END)
}

/** 16 int8 as int16. */
static inline void tile_widen16(int16_t *to, int8x16_t x)
{
    vst1q_s16(to, vmovl_s8(vget_low_s8(x)));
    vst1q_s16(to + 8, vmovl_high_s8(x));
}

static inline void tile_widen(tile_row *to, const int8_t *from, int64_t n)
{
    int64_t i = 0;
    for (; i + 16 <= n; i += 16) {
        tile_widen16(to + i, vld1q_s8(from + i));
    }
    if (i + 8 <= n) {
        vst1q_s16(to + i, vmovl_s8(vld1_s8(from + i)));
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
    for (; i + 8 <= n; i += 8) {
        const int16x8_t x = vreinterpretq_s16_s8(vld1q_s8(from + 2 * i));
        vst1q_s16(to + i, vshrq_n_s16(vshlq_n_s16(x, 8), 8));
    }
    return i;
}

/** to[i][c] = pixel i of plane c: 16 pixels of 16 planes. */
static inline void tile_pixels16(tile_row *const to[16], const int8_t *from, int64_t plane)
{
    int8x16_t r[16];
    tile_load_columns(r, from, plane);
    for (int i = 0; i < 16; i++) {
        tile_widen16(to[i], r[i]);
    }
}

/** 16 elements of k of 16 lanes whose rows are `lane` apart: 16 units of a panel. */
static inline void tile_panel_rows16(tile_lane *to, const int8_t *from, int64_t lane)
{
    int8x16_t r[16];
    tile_load_columns(r, from, lane);
    for (int i = 0; i < 16; i++) {
        tile_widen16(to + i * TILE_UNIT * TILE_LANES, r[i]);
    }
}

/** One unit of a panel from its element of k of 16 lanes. */
static inline void tile_panel_unit(tile_lane *to, const int8_t *const from[TILE_UNIT])
{
    tile_widen16(to, vld1q_s8(from[0]));
}

#endif
