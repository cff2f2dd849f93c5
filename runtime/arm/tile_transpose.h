/**
 * Small matrices transposed in registers of Advanced SIMD, and where sums begin and go, for the
 * tiles of all its levels. tile_row and tile_lane are known before.
 */
#ifndef ITR_ARM_TILE_TRANSPOSE_H
#define ITR_ARM_TILE_TRANSPOSE_H

#include "../tile/tile.h"

/** No bias: sums begin with 0. */
static inline void tile_start(int64_t units, const tile_lane *f, int32_t *start)
{
    (void)units;
    (void)f;
    memset(start, 0, TILE_LANES * sizeof *start);
}

/**
 * 16 registers, one a row, become their columns one after the other. A round takes the lowest bit
 * of an element's place among all elements to the front, so after log2(columns) rounds the column
 * stands before the row.
 */
#define DEFINE_TRANSPOSE(name, type, rounds)                                                       \
    static inline void name(int8x16_t r[16])                                                       \
    {                                                                                              \
        for (int n = 0; n < (rounds); n++) {                                                       \
            int8x16_t t[16];                                                                       \
            for (int i = 0; i < 16; i++) {                                                         \
                t[i] = r[i];                                                                       \
            }                                                                                      \
            for (int i = 0; i < 8; i++) {                                                          \
                r[i] = vreinterpretq_s8_##type(                                                    \
                    vuzp1q_##type(vreinterpretq_##type##_s8(t[2 * i]),                             \
                                  vreinterpretq_##type##_s8(t[2 * i + 1])));                       \
                r[i + 8] = vreinterpretq_s8_##type(                                                \
                    vuzp2q_##type(vreinterpretq_##type##_s8(t[2 * i]),                             \
                                  vreinterpretq_##type##_s8(t[2 * i + 1])));                       \
            }                                                                                      \
        }                                                                                          \
    }
DEFINE_TRANSPOSE(tile_transpose_bytes, u8, 4)
DEFINE_TRANSPOSE(tile_transpose_fours, u32, 2)
DEFINE_TRANSPOSE(tile_transpose_eights, u64, 1)
#undef DEFINE_TRANSPOSE

/** Rows of 16 bytes, `step` apart, transposed: register i becomes column i. */
static inline void tile_load_columns(int8x16_t r[16], const int8_t *from, int64_t step)
{
    for (int i = 0; i < 16; i++) {
        r[i] = vld1q_s8(from + i * step);
    }
    tile_transpose_bytes(r);
}

/** Sums of rows r to r+3 of 4 lanes, a register a lane. */
static inline void tile_load_sums(int32x4_t r[4], const int32_t *sum)
{
    int32x4_t t[4];
    for (int i = 0; i < 4; i++) {
        t[i] = vld1q_s32(sum + i * TILE_LANES);
    }
    const int32x4_t a = vzip1q_s32(t[0], t[2]), b = vzip2q_s32(t[0], t[2]);
    const int32x4_t c = vzip1q_s32(t[1], t[3]), d = vzip2q_s32(t[1], t[3]);
    r[0] = vzip1q_s32(a, c);
    r[1] = vzip2q_s32(a, c);
    r[2] = vzip1q_s32(b, d);
    r[3] = vzip2q_s32(b, d);
}

#define TILE_SCATTER 8
#define TILE_STREAM 0

/** Sums of 8 rows x n <= 8 lanes, added to or stored at y[lane * step + row]. */
static inline void tile_scatter_block(int32_t *y, int64_t step, const int32_t *sum, int n, bool add)
{
    for (int block = 0; block < 4; block++) {
        const int row = block % 2 * 4, lane = block / 2 * 4;
        int32x4_t r[4];
        tile_load_sums(r, sum + row * TILE_LANES + lane);
        for (int i = 0; i < 4 && lane + i < n; i++) {
            int32_t *to = y + (lane + i) * step + row;
            vst1q_s32(to, add ? vaddq_s32(vld1q_s32(to), r[i]) : r[i]);
        }
    }
}

/** to[2 * i + odd] = or += x[i]; the elements between stay as they are. */
static inline void tile_spread(int32_t *to, int32x4_t x, bool add, bool odd)
{
    int32x4x2_t was = vld2q_s32(to);
    if (odd) {
        was.val[1] = add ? vaddq_s32(was.val[1], x) : x;
    } else {
        was.val[0] = add ? vaddq_s32(was.val[0], x) : x;
    }
    vst2q_s32(to, was);
}

/** The same of 8 rows at y[lane * step + 2 * row + odd]; what is between stays. */
static inline void tile_scatter8_by2(int32_t *y, int64_t step, const int32_t *sum, int n, bool add,
                                     bool odd)
{
    for (int block = 0; block < 4; block++) {
        const int row = block % 2 * 4, lane = block / 2 * 4;
        int32x4_t r[4];
        tile_load_sums(r, sum + row * TILE_LANES + lane);
        for (int i = 0; i < 4 && lane + i < n; i++) {
            tile_spread(y + (lane + i) * step + 2 * row, r[i], add, odd);
        }
    }
}

#endif
