/**
 * The fast GEMM and convolutions: what they share, and what an instruction set brings along.
 *
 * Every product is a sum over k of rows times lanes,
 *
 *     sum[r][l] = sum over k of x[r][k] * f[k][l]
 *
 * where a row is read where it lies: a pointer, from which `runs` of equally many consecutive
 * elements begin at the same offsets for all rows. So a convolution needs no copy of the source
 * for each tap: a row is a position of the result, a run one line of taps times channels of a
 * source with its channels innermost. For the gradient of the weight a row is a tap of a channel
 * and a run one line of positions. Lanes are packed into panels of TILE_LANES: [k/TILE_UNIT][lane]
 * [k%TILE_UNIT], zeros where a run ends within a unit.
 *
 * A file such as x86/tile_avx2.h or arm/tile_neon.h defines, before pack.h and the drivers (view.h,
 * weight.h, gemm.h) follow:
 *
 *   TILE_ROWS              rows of a tile
 *   TILE_UNIT              elements of k that one instruction adds up: 1, 2, 4 or 8
 *   TILE_BIAS              what is added to the elements of rows (0, or 128 for unsigned ones)
 *   TILE_16                1: rows may hold int16; lanes are then split into bytes (below)
 *   TILE_SCALE             1 for packed elements of two bytes, 2 for bytes
 *   tile_row, tile_lane    types of packed elements
 *   tile()                 the sums of TILE_ROWS rows and one panel
 *   tile_start()           what sums begin with: it takes the bias back, modulo 2^32
 *   tile_widen(), tile_widen_even()   int8 as elements of rows
 *   tile_pixels16()        16 pixels of 16 planes as rows with channels innermost
 *   tile_panel_rows16(), tile_panel_unit()   int8 into panels
 *   TILE_SCATTER           8 or 16
 *   tile_scatter_block()   sums of so many rows and lanes to where lanes are apart
 *   tile_scatter8_by2()    the same of 8, every other element
 *   TILE_STREAM            1: results that no cache keeps are stored past the caches, by
 *   tile_stream_block()    as tile_scatter_block, to aligned lines; tile_fence() ends it
 *
 * Operands of 16 bits: lanes f = 256 * high + low, 0 <= low <= 255, are two panels, and a chunk of
 * at most TILE_K16 products stays within 32 bits: 255 * 32767 * 256 < 2^31. Operands of 8 bits:
 * a chunk is below TILE_K8 products; results of 64 bits take each chunk's sum, so that nothing
 * else can overflow. i8i8i32 wraps nowhere because the plan bounds the whole sum (and any part).
 *
 * Buffers lie on the stack: see TILE_PANEL and TILE_BAND.
 */
#ifndef ITR_TILE_H
#define ITR_TILE_H

#include "../kernel.h"

#include <string.h>

/** A function of its own: inlined into loops, its accumulators would leave their registers. */
#define TILE_APART static __attribute__((noinline))

enum {
    TILE_LANES = 16,
    TILE_K16 = 256,
    TILE_K8 = 1 << 16,
    TILE_RUNS = 1024,                /**< of a chunk, at most */
    TILE_PANEL = 36864 * TILE_SCALE, /**< elements of packed lanes: 64 lanes of 576 */
    TILE_BAND = 32768 * TILE_SCALE,  /**< elements of packed rows */
    TILE_DIRECT_TAPS = 128,          /**< taps of a direct convolution, at most */
    TILE_SLACK = 64,                 /**< elements that may be read behind the last row */
    TILE_POSITIONS = 128,            /**< rows whose sums are collected before they are stored */
    TILE_STREAMED = 8 << 20,         /**< bytes of a result from which on it is streamed */
    TILE_LINE = 64                   /**< bytes of a line of the caches */
};

/** How a kernel's operands and result are stored. */
typedef struct tile_type {
    bool in16, out64;
    bool stream; /**< the result is larger than caches: written through them, it costs twice */
} tile_type;

/** A chunk of k: runs of `units` units each, at these offsets from a row's pointer. */
typedef struct tile_k {
    int runs, units;
    int32_t at[TILE_RUNS];
} tile_k;

/**
 * A convolution whose groups are so small, and sums so short, that it is better done directly
 * (direct.h): depthwise.
 */
static inline bool tile_is_direct(const itr_conv_args *a)
{
    const int64_t c = a->c / a->groups, m = a->m / a->groups;
    return a->groups > 1 && c <= 2 && m <= 4 && (c > m ? c : m) * a->kh * a->kw <= TILE_DIRECT_TAPS;
}

static inline int64_t tile_least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t tile_ceil(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static inline const void *tile_advance(const void *x, tile_type t, int64_t elements)
{
    return (const unsigned char *)x + elements * (t.in16 ? 2 : 1);
}

static inline void *tile_result(void *y, tile_type t, int64_t elements)
{
    return (unsigned char *)y + elements * (t.out64 ? 8 : 4);
}

#endif
