/**
 * Tiles of 6 rows x 16 lanes for Armv8.6's products of matrices of bytes: smmla adds two rows times
 * two lanes, eight elements of k, to four sums of 32 bits; 24 accumulators stay in registers. See
 * tile/tile.h.
 */
#ifndef ITR_ARM_TILE_I8MM_H
#define ITR_ARM_TILE_I8MM_H

#define TILE_ROWS 6
#define TILE_UNIT 8
#define TILE_BIAS 0
#define TILE_16 0
#define TILE_SCALE 2

#include "../tile/tile.h"
#include "tile_bytes.h"

/** s + two rows x times two lanes f: row 0 of both lanes, then row 1. */
static inline int32x4_t tile_square(int32x4_t s, int8x16_t x, int8x16_t f)
{
#if defined(__clang__) && !defined(__ARM_FEATURE_MATMUL_INT8)
    /* Before version 16 its header has vmmlaq_s32 only where all of the file may use it. */
    __asm__("smmla %0.4s, %1.16b, %2.16b" : "+w"(s) : "w"(x), "w"(f));
    return s;
#else
    return vmmlaq_s32(s, x, f);
#endif
}

static inline int8x16_t tile_two_rows(const tile_row *p, const tile_row *q)
{
    return vcombine_s8(vld1_s8(p), vld1_s8(q));
}

#define TILE_EACH_PAIR(M) M(0) M(1) M(2) M(3) M(4) M(5) M(6) M(7)
#define TILE_BEGIN(l)                                                                              \
    const int32x2_t s##l = vld1_s32(start + 2 * (l));                                              \
    int32x4_t a##l = vcombine_s32(s##l, s##l), b##l = a##l, c##l = a##l;
#define TILE_STEP(l)                                                                               \
    {                                                                                              \
        const int8x16_t x = vld1q_s8(f + 2 * TILE_UNIT * (l));                                     \
        a##l = tile_square(a##l, r0, x);                                                           \
        b##l = tile_square(b##l, r2, x);                                                           \
        c##l = tile_square(c##l, r4, x);                                                           \
    }
#define TILE_STORE(r, l, x)                                                                        \
    vst1_s32(sum + TILE_LANES * (r) + 2 * (l), vget_low_s32(x));                                   \
    vst1_s32(sum + TILE_LANES * ((r) + 1) + 2 * (l), vget_high_s32(x));
#define TILE_END(l) TILE_STORE(0, l, a##l) TILE_STORE(2, l, b##l) TILE_STORE(4, l, c##l)

/** sum[r][l] = start[l] + the products of TILE_ROWS rows and a panel. */
TILE_APART void tile(const tile_row *const *row, const tile_k *k, const tile_lane *f,
                     const int32_t *start, int32_t *sum)
{
    TILE_EACH_PAIR(TILE_BEGIN)
    for (int i = 0; i < k->runs; i++) {
        const int64_t end = k->at[i] + (int64_t)k->units * TILE_UNIT;
        for (int64_t at = k->at[i]; at < end; at += TILE_UNIT) {
            const int8x16_t r0 = tile_two_rows(row[0] + at, row[1] + at);
            const int8x16_t r2 = tile_two_rows(row[2] + at, row[3] + at);
            const int8x16_t r4 = tile_two_rows(row[4] + at, row[5] + at);
            TILE_EACH_PAIR(TILE_STEP)
            f += TILE_UNIT * TILE_LANES;
        }
    }
    TILE_EACH_PAIR(TILE_END)
}

/** 16 elements of k of 16 lanes whose rows are `lane` apart: 2 units of a panel. */
static inline void tile_panel_rows16(tile_lane *to, const int8_t *from, int64_t lane)
{
    int8x16_t r[16];
    for (int i = 0; i < 16; i++) {
        r[i] = vld1q_s8(from + i * lane);
    }
    tile_transpose_eights(r);
    for (int i = 0; i < 16; i++) {
        vst1q_s8(to + 16 * i, r[i]);
    }
}

/** One unit of a panel from its elements of k, each of 16 lanes. */
static inline void tile_panel_unit(tile_lane *to, const int8_t *const from[TILE_UNIT])
{
    uint16x8x4_t low, high; /* pairs of elements of lanes 0 to 7, and of the others */
    for (int i = 0; i < 4; i++) {
        const int8x16_t a = vld1q_s8(from[2 * i]), b = vld1q_s8(from[2 * i + 1]);
        low.val[i] = vreinterpretq_u16_s8(vzip1q_s8(a, b));
        high.val[i] = vreinterpretq_u16_s8(vzip2q_s8(a, b));
    }
    vst4q_u16((uint16_t *)(void *)to, low);
    vst4q_u16((uint16_t *)(void *)(to + TILE_UNIT * 8), high);
}

#endif
