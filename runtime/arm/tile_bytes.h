/**
 * Rows and lanes of signed bytes: they are packed as they are. See tile/tile.h.
 */
#ifndef ITR_ARM_TILE_BYTES_H
#define ITR_ARM_TILE_BYTES_H

#include "../tile/tile.h"

typedef int8_t tile_row;
typedef int8_t tile_lane;

#include "tile_transpose.h"

static inline void tile_widen(tile_row *to, const int8_t *from, int64_t n)
{
    memcpy(to, from, (size_t)n);
}

/** to[i] = from[2 * i] for a part of [0, n), whose length is returned. Reads up to from[2n - 1]. */
static inline int64_t tile_widen_even(tile_row *to, const int8_t *from, int64_t n)
{
    int64_t i = 0;
    for (; i + 16 <= n; i += 16) {
        vst1q_s8(to + i, vld2q_s8(from + 2 * i).val[0]);
    }
    return i;
}

/** to[i][c] = pixel i of plane c: 16 pixels of 16 planes. */
static inline void tile_pixels16(tile_row *const to[16], const int8_t *from, int64_t plane)
{
    int8x16_t r[16];
    tile_load_columns(r, from, plane);
    for (int i = 0; i < 16; i++) {
        vst1q_s8(to[i], r[i]);
    }
}

#endif
