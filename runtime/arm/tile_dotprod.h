/**
 * Tiles of 6 rows x 16 lanes for Armv8.2's dot products: sdot adds four products of signed bytes to
 * 32 bits; 24 accumulators stay in registers. See tile/tile.h.
 */
#ifndef ITR_ARM_TILE_DOTPROD_H
#define ITR_ARM_TILE_DOTPROD_H

#define TILE_UNIT 4
#define TILE_BIAS 0
#define TILE_16 0
#define TILE_SCALE 2

#include "tile_rows.h"

#include "../tile/tile.h"
#include "tile_bytes.h"

/** s + the products of x and f, four a lane. */
static inline int32x4_t tile_dot(int32x4_t s, int8x16_t x, int8x16_t f)
{
#if defined(__clang__) && !defined(__ARM_FEATURE_DOTPROD)
    /* Before version 16 its header has vdotq_s32 only where all of the file may use it. */
    __asm__("sdot %0.4s, %1.16b, %2.16b" : "+w"(s) : "w"(x), "w"(f));
    return s;
#else
    return vdotq_s32(s, x, f);
#endif
}

static inline int8x16_t tile_four(const tile_row *p)
{
    int32_t four;
    memcpy(&four, p, sizeof four);
    return vreinterpretq_s8_s32(vdupq_n_s32(four));
}

#define TILE_STEP(r)                                                                               \
    {                                                                                              \
        const int8x16_t x = tile_four(p##r + at);                                                  \
        a##r = tile_dot(a##r, x, f0);                                                              \
        b##r = tile_dot(b##r, x, f1);                                                              \
        c##r = tile_dot(c##r, x, f2);                                                              \
        d##r = tile_dot(d##r, x, f3);                                                              \
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
            const int8x16_t f0 = vld1q_s8(f), f1 = vld1q_s8(f + 16);
            const int8x16_t f2 = vld1q_s8(f + 32), f3 = vld1q_s8(f + 48);
            TILE_EACH_ROW(TILE_STEP)
            f += TILE_UNIT * TILE_LANES;
        }
    }
    TILE_EACH_ROW(TILE_END)
}

/** 16 elements of k of 16 lanes whose rows are `lane` apart: 4 units of a panel. */
static inline void tile_panel_rows16(tile_lane *to, const int8_t *from, int64_t lane)
{
    int8x16_t r[16];
    for (int i = 0; i < 16; i++) {
        r[i] = vld1q_s8(from + i * lane);
    }
    tile_transpose_fours(r);
    for (int i = 0; i < 16; i++) {
        vst1q_s8(to + 16 * i, r[i]);
    }
}

/** One unit of a panel from its elements of k, each of 16 lanes. */
static inline void tile_panel_unit(tile_lane *to, const int8_t *const from[TILE_UNIT])
{
    const int8x16x4_t x = {
        {vld1q_s8(from[0]), vld1q_s8(from[1]), vld1q_s8(from[2]), vld1q_s8(from[3])}};
    vst4q_s8(to, x);
}

#endif
