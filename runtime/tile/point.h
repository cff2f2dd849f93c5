/**
 * Convolutions of single taps where each position meets itself: forward, and the gradient for the
 * input. What view.h turns over twice, the source's channels to be innermost and the sums back into
 * planes, stays here as it lies: lanes are positions, and a sum takes four channels' bytes at a
 * time times four weights that all lanes share.
 *
 * Positions of all images are counted in vectors of POINT_LANES, the last of an image may be short;
 * a block is POINT_VECTORS of them. Of a block all channels are packed as [channel / 4][position]
 * [channel % 4], biased; of the filter a few rows at a time as [channel / 4][row][channel % 4].
 *
 * An instruction set defines
 *
 *   point_pack()    four channels of a block
 *   point_tile()    the sums of a few rows and a block, and where they are stored
 */
#ifndef ITR_TILE_POINT_H
#define ITR_TILE_POINT_H

#include "../ref/conv_view.h"
#include "pack.h"

enum {
    POINT_LANES = 16,
    POINT_VECTORS = 4,
    POINT_ROWS = 6,                               /**< of a tile, at most; others are even */
    POINT_UNIT = 4 * POINT_LANES * POINT_VECTORS, /**< bytes of four channels of a block */
    POINT_PANEL = 65536,
    POINT_WEIGHTS = 131072,
    POINT_BLOCKS = 4 /**< that are packed together, at most */
};

/** Where the vectors of a block lie in a plane of the source and of the result. */
typedef struct point_place {
    int64_t x[POINT_VECTORS], y[POINT_VECTORS];
    int lanes[POINT_VECTORS]; /**< of each, those that there are */
    bool whole;               /**< all of them, one behind the other */
} point_place;

typedef struct point_job {
    const itr_conv_args *a;
    const itr_conv_view *v;
    bool stream;
    int64_t plane, units;
    int64_t vectors;                      /**< of an image */
    int64_t blocks, together;             /**< of all images; of an item */
    int32_t at[POINT_PANEL / POINT_UNIT]; /**< of a unit in a panel */
    int64_t rows, parts; /**< whose weights are packed at a time; how often a group's rows are */
} point_job;

typedef struct point_buffers {
    _Alignas(64) uint8_t panel[POINT_PANEL];
    _Alignas(64) int8_t f[POINT_WEIGHTS];
    int32_t start[POINT_WEIGHTS / 64]; /**< what a row's sums begin with: the bias taken back */
    point_place place[POINT_BLOCKS];
} point_buffers;

/** What a tile sums up: of each of `units` four bytes of a position times four weights of a row. */
typedef struct point_sum {
    const uint8_t *x[POINT_VECTORS]; /**< the first bytes of the vectors */
    const int32_t *at;               /**< from there on, of a unit */
    int64_t units;
    const int8_t *f;      /**< [unit][row][4] */
    const int32_t *start; /**< of rows */
} point_sum;

/** Where it goes: rows' planes lie behind each other; of 6, 4 or 2 rows the first `rows` are
 * stored. */
typedef struct point_out {
    int32_t *y;
    int64_t plane, rows;
    const point_place *place;
    bool stream;
} point_out;

static void point_pack(uint8_t *to, const int8_t *x, const point_place *at, int64_t plane,
                       int64_t channels);
static void point_tile(const point_sum *s, const point_out *o);

static inline bool point_plan(point_job *j, const itr_conv_args *a, const itr_conv_view *v)
{
    const itr_conv_axis *y = &v->y, *x = &v->x;
    *j = (point_job){.a = a, .v = v, .plane = v->x_plane};
    j->units = tile_ceil(v->channels, 4);
    if (y->taps * x->taps * y->step * x->step * y->to_step * x->to_step != 1 || y->at0 != 0 ||
        x->at0 != 0 || y->positions != y->source || x->positions != x->source ||
        j->units * POINT_UNIT > POINT_PANEL) {
        return false;
    }
    for (int64_t u = 0; u < j->units; u++) {
        j->at[u] = (int32_t)(u * POINT_UNIT);
    }
    j->vectors = tile_ceil(j->plane, POINT_LANES);
    j->blocks = tile_ceil(a->n * j->vectors, POINT_VECTORS);
    const int64_t most = POINT_WEIGHTS / (4 * (j->units > 16 ? j->units : 16));
    j->parts = tile_ceil(v->rows, most / POINT_ROWS * POINT_ROWS);
    j->rows = tile_ceil(tile_ceil(v->rows, j->parts), POINT_ROWS) * POINT_ROWS;
    const int64_t share = j->blocks * a->groups * j->parts / (4 * itr_pool_threads(a->pool));
    j->together = tile_least(POINT_BLOCKS, POINT_PANEL / (j->units * POINT_UNIT));
    j->together = share < 1 ? 1 : tile_least(j->together, share);
    j->stream = tile_streams(a->n * a->groups * v->rows * j->plane);
    return true;
}

/** Rows of a tile that begins with row r of `rows`. */
static inline int64_t point_rows(int64_t r, int64_t rows)
{
    const int64_t left = tile_ceil(rows - r, 2) * 2;
    return tile_least(left, POINT_ROWS);
}

/** The weights of rows [r0, r0+rows) of a group, tile by tile. */
static inline void point_weights(const point_job *j, point_buffers *b, const int8_t *f, int64_t r0,
                                 int64_t rows)
{
    const itr_conv_view *v = j->v;
    memset(b->f, 0, (size_t)(tile_ceil(rows, 2) * 2 * 4 * j->units));
    memset(b->start, 0, sizeof b->start);
    for (int64_t r = 0; r < rows; r++) {
        const int64_t tile = r / POINT_ROWS * POINT_ROWS, of = point_rows(tile, rows);
        int8_t *to = b->f + 4 * (tile * j->units + r % POINT_ROWS);
        for (int64_t c = 0; c < v->channels; c++) {
            const int8_t w = f[(r0 + r) * v->f_row + c * v->f_channel];
            to[c / 4 * 4 * of + c % 4] = w;
            b->start[r] -= TILE_BIAS * w;
        }
    }
}

/** Vectors of a block of a group; those behind the last image have no lanes. */
static inline void point_find(const point_job *j, point_place *p, int64_t block, int64_t group)
{
    p->whole = true;
    for (int64_t i = 0; i < POINT_VECTORS; i++) {
        const int64_t vector = block * POINT_VECTORS + i, n = vector / j->vectors;
        const int64_t at = vector % j->vectors * POINT_LANES, plane = n * j->a->groups + group;
        const int64_t left = n < j->a->n ? j->plane - at : 0;
        p->x[i] = left > 0 ? plane * j->v->channels * j->plane + at : 0;
        p->y[i] = left > 0 ? plane * j->v->rows * j->plane + at : 0;
        p->lanes[i] = (int)tile_least(left, POINT_LANES);
        p->whole = p->whole && left >= POINT_LANES && p->x[i] == p->x[0] + POINT_LANES * i;
    }
}

/** `count` blocks with the packed rows [r0, r0+rows) of a group. */
static inline void point_item(const point_job *j, point_buffers *b, int64_t block, int64_t count,
                              int64_t group, int64_t r0, int64_t rows)
{
    const int64_t size = j->units * POINT_UNIT;
    for (int64_t i = 0; i < count; i++) {
        point_find(j, &b->place[i], block + i, group);
    }
    for (int64_t u = 0; u < j->units; u++) {
        for (int64_t i = 0; i < count; i++) {
            point_pack(b->panel + i * size + u * POINT_UNIT,
                       (const int8_t *)j->a->a + 4 * u * j->plane, &b->place[i], j->plane,
                       tile_least(4, j->v->channels - 4 * u));
        }
    }
    for (int64_t r = 0; r < rows; r += POINT_ROWS) {
        for (int64_t i = 0; i < count; i++) {
            const point_out o = {.y = (int32_t *)j->a->y + (r0 + r) * j->plane,
                                 .plane = j->plane,
                                 .rows = rows - r,
                                 .place = &b->place[i],
                                 .stream = j->stream};
            point_sum s = {.at = j->at,
                           .units = j->units,
                           .f = b->f + 4 * r * j->units,
                           .start = b->start + r};
            for (int64_t k = 0; k < POINT_VECTORS; k++) {
                s.x[k] = b->panel + i * size + 4 * POINT_LANES * k;
            }
            point_tile(&s, &o);
        }
    }
}

/** Items are (group, part of its rows, blocks). */
static inline void point_range(void *user, int64_t begin, int64_t end)
{
    const point_job *j = (const point_job *)user;
    const int64_t items = tile_ceil(j->blocks, j->together);
    point_buffers b;
    for (int64_t i = begin; i < end; i++) {
        const int64_t group = i / items / j->parts, r0 = i / items % j->parts * j->rows;
        const int64_t block = i % items * j->together;
        const int64_t rows = tile_least(j->rows, j->v->rows - r0);
        if (i == begin || i % items == 0) {
            const int64_t f_group = j->v->rows * j->v->channels;
            point_weights(j, &b, (const int8_t *)j->a->b + group * f_group, r0, rows);
        }
        point_item(j, &b, block, tile_least(j->together, j->blocks - block), group, r0, rows);
    }
#if TILE_STREAM
    tile_fence();
#endif
}

/** False: it is not for this. */
static inline bool point_run(const itr_conv_args *a, const itr_conv_view *v)
{
    point_job j;
    if (a->n * v->rows * v->y.positions * v->x.positions == 0 || !point_plan(&j, a, v)) {
        return false;
    }
    itr_parallel(a->pool, a->groups * j.parts * tile_ceil(j.blocks, j.together), 1, point_range,
                 &j);
    return true;
}

#endif
