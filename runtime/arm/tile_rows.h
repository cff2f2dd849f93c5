/**
 * Rows whose 16 lanes are four registers of int32: 24 accumulators in tiles of 6 rows.
 */
#ifndef ITR_ARM_TILE_ROWS_H
#define ITR_ARM_TILE_ROWS_H

#define TILE_ROWS 6

#define TILE_EACH_ROW(M) M(0) M(1) M(2) M(3) M(4) M(5)
#define TILE_BEGIN(r)                                                                              \
    const tile_row *p##r = row[r];                                                                 \
    int32x4_t a##r = s0, b##r = s1, c##r = s2, d##r = s3;
#define TILE_END(r)                                                                                \
    vst1q_s32(sum + TILE_LANES * (r), a##r);                                                       \
    vst1q_s32(sum + TILE_LANES * (r) + 4, b##r);                                                   \
    vst1q_s32(sum + TILE_LANES * (r) + 8, c##r);                                                   \
    vst1q_s32(sum + TILE_LANES * (r) + 12, d##r);

#endif
