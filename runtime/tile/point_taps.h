/**
 * Convolutions whose positions advance by one source coordinate, forward and the gradient for the
 * input, as point.h does those of single taps: a band of the source holds pixels of four channels,
 * biased, with a border of zeros; a tap is the band so many pixels further on. What view.h does for
 * many channels, without turning channels innermost and sums back into planes.
 *
 * An instruction set defines
 *
 *   taps_line()   a line of four planes as pixels
 */
#ifndef ITR_TILE_POINT_TAPS_H
#define ITR_TILE_POINT_TAPS_H

#include "view.h"
#include "window_rows.h"

enum {
    TAPS_BAND = 65536,    /**< bytes of a band */
    TAPS_WEIGHTS = 65536, /**< of a group */
    TAPS_UNITS = 512      /**< taps times fours of channels */
};

typedef struct taps_job {
    const itr_conv_args *a;
    const itr_conv_view *v;
    bool stream;
    int64_t units, all; /**< fours of channels; times taps */
    view_axis y, x;
    int64_t pitch;          /**< pixels of a line */
    int64_t lines, bands;   /**< of the result */
    int64_t part;           /**< bytes of four channels' band */
    int32_t at[TAPS_UNITS]; /**< of a tap of four channels in the band */
} taps_job;

typedef struct taps_buffers {
    _Alignas(64) uint8_t band[TAPS_BAND + 4 * POINT_LANES];
    _Alignas(64) int8_t f[TAPS_WEIGHTS]; /**< tile by tile [four channels][tap][row][4] */
    int32_t start[ROWS_MOST];
} taps_buffers;

static void taps_line(uint8_t *to, const int8_t *from, int64_t plane, int64_t channels, int64_t n);

/** Instructions for 16 positions of all rows: see rows_cost. */
static inline int64_t taps_cost(const itr_conv_view *v)
{
    const int64_t width = v->x.positions, lanes = tile_ceil(width, POINT_LANES) * POINT_LANES;
    const int64_t units = tile_ceil(v->channels, 4), taps = v->y.taps * v->x.taps;
    return tile_ceil(v->rows, 2) * 2 * units * taps * lanes / width + 10 * units;
}

static inline bool taps_plan(taps_job *j, const itr_conv_args *a, const itr_conv_view *v)
{
    const int64_t taps = v->y.taps * v->x.taps;
    *j = (taps_job){.a = a, .v = v, .units = tile_ceil(v->channels, 4)};
    j->all = j->units * taps;
    if (v->x.step * v->y.step * v->x.to_step * v->y.to_step != 1 || j->all > TAPS_UNITS ||
        v->rows > ROWS_MOST || tile_ceil(v->rows, 2) * 2 * 4 * j->all > TAPS_WEIGHTS ||
        taps_cost(v) >= rows_cost(v) || taps_cost(v) >= rows_cost_of_tiles(v)) {
        return false;
    }
    j->y = view_axis_of(&v->y, false);
    j->x = view_axis_of(&v->x, false);
    j->pitch = view_extent(&j->x, v->x.positions);
    const int64_t most = TAPS_BAND / (4 * j->units * j->pitch) - j->y.span + 1;
    if (most < 1) {
        return false;
    }
    j->bands = tile_ceil(v->y.positions, most);
    j->lines = tile_ceil(v->y.positions, j->bands);
    j->bands = tile_ceil(v->y.positions, j->lines);
    j->part = 4 * view_extent(&j->y, j->lines) * j->pitch;
    for (int64_t i = 0; i < j->all; i++) {
        const int64_t y = v->y.at0 + i / v->x.taps % v->y.taps * v->y.at_step - j->y.low;
        const int64_t x = v->x.at0 + i % v->x.taps * v->x.at_step - j->x.low;
        j->at[i] = (int32_t)(i / taps * j->part + 4 * (y * j->pitch + x));
    }
    j->stream = tile_streams(a->n * a->groups * v->rows * v->y_plane);
    return true;
}

/** A group's weights, tile by tile, and what sums begin with: the bias taken back. */
static inline void taps_weights(const taps_job *j, taps_buffers *b, const int8_t *f)
{
    const itr_conv_view *v = j->v;
    const int64_t taps = v->y.taps * v->x.taps;
    memset(b->f, 0, (size_t)(tile_ceil(v->rows, 2) * 2 * 4 * j->all));
    memset(b->start, 0, sizeof b->start);
    for (int64_t r = 0; r < v->rows; r++) {
        const int64_t tile = r / POINT_ROWS * POINT_ROWS, of = point_rows(tile, v->rows);
        int8_t *to = b->f + 4 * (tile * j->all + r % POINT_ROWS);
        for (int64_t i = 0; i < v->channels * taps; i++) {
            const int64_t c = i / taps, ty = i % taps / v->x.taps, tx = i % v->x.taps;
            const int8_t w =
                f[r * v->f_row + c * v->f_channel + (v->y.tap0 + ty * v->y.tap_step) * v->f_y +
                  v->x.tap0 + tx * v->x.tap_step];
            to[(c / 4 * taps + i % taps) * 4 * of + c % 4] = w;
            b->start[r] -= TILE_BIAS * w;
        }
    }
}

/** The source of a band of the result that begins with line y0; x: the group's first plane. */
static inline void taps_band(const taps_job *j, uint8_t *band, const int8_t *x, int64_t y0)
{
    const itr_conv_view *v = j->v;
    const int64_t height = view_extent(&j->y, j->lines);
    const int64_t lo = j->x.low < 0 ? 0 : j->x.low; /* source columns that are in the band */
    const int64_t hi = tile_least(v->x.source, j->x.low + j->pitch);
    for (int64_t u = 0; u < j->units; u++) {
        const int8_t *from = x + 4 * u * v->x_plane;
        for (int64_t i = 0; i < height; i++, band += 4 * j->pitch) {
            const int64_t y = y0 + j->y.low + i;
            if (y >= 0 && y < v->y.source && lo < hi) {
                taps_line(band + 4 * (lo - j->x.low), from + y * v->x.source + lo, v->x_plane,
                          tile_least(4, v->channels - 4 * u), hi - lo);
            } else if (j->bands > 1) { /* else it stays as it was cleared */
                memset(band, TILE_BIAS, (size_t)(4 * j->pitch));
            }
        }
    }
}

/** Vectors [first, first+POINT_VECTORS) of a band of `lines` lines. */
static inline void taps_find(const taps_job *j, point_place *p, int64_t first, int64_t lines)
{
    const int64_t width = j->v->x.positions, of_line = tile_ceil(width, POINT_LANES);
    p->whole = true;
    for (int64_t i = 0; i < POINT_VECTORS; i++) {
        const int64_t y = (first + i) / of_line, x = (first + i) % of_line * POINT_LANES;
        const int64_t left = y < lines ? width - x : 0;
        p->x[i] = left > 0 ? 4 * (y * j->pitch + x) : 0;
        p->y[i] = left > 0 ? y * width + x : 0;
        p->lanes[i] = (int)tile_least(left, POINT_LANES);
        p->whole = p->whole && left >= POINT_LANES && p->y[i] == p->y[0] + POINT_LANES * i;
    }
}

/** A band of an image and a group: `plane` counts both. */
static inline void taps_item(const taps_job *j, taps_buffers *b, int64_t plane, int64_t y0)
{
    const itr_conv_view *v = j->v;
    const int64_t lines = tile_least(j->lines, v->y.positions - y0);
    const int64_t vectors = lines * tile_ceil(v->x.positions, POINT_LANES);
    int32_t *y = (int32_t *)j->a->y + plane * v->rows * v->y_plane + y0 * v->y_width;
    taps_band(j, b->band, (const int8_t *)j->a->a + plane * v->channels * v->x_plane, y0);
    for (int64_t i = 0; i < vectors; i += POINT_VECTORS) {
        point_place p;
        point_sum s = {.at = j->at, .units = j->all};
        taps_find(j, &p, i, lines);
        for (int64_t k = 0; k < POINT_VECTORS; k++) {
            s.x[k] = b->band + p.x[k];
        }
        for (int64_t r = 0; r < v->rows; r += POINT_ROWS) {
            const point_out o = {.y = y + r * v->y_plane,
                                 .plane = v->y_plane,
                                 .rows = v->rows - r,
                                 .place = &p,
                                 .stream = j->stream};
            s.f = b->f + 4 * r * j->all;
            s.start = b->start + r;
            point_tile(&s, &o);
        }
    }
}

/** Items are (group, image, band). */
static inline void taps_range(void *user, int64_t begin, int64_t end)
{
    const taps_job *j = (const taps_job *)user;
    const itr_conv_args *a = j->a;
    const int64_t items = a->n * j->bands;
    taps_buffers b;
    memset(b.band, TILE_BIAS, sizeof b.band);
    for (int64_t i = begin; i < end; i++) {
        const int64_t group = i / items, image = i % items / j->bands;
        if (i == begin || i % items == 0) {
            const int64_t f_group = a->m / a->groups * (a->c / a->groups) * a->kh * a->kw;
            taps_weights(j, &b, (const int8_t *)a->b + group * f_group);
        }
        taps_item(j, &b, image * a->groups + group, i % j->bands * j->lines);
    }
#if TILE_STREAM
    tile_fence();
#endif
}

/** False: it is not for this. */
static inline bool taps_run(const itr_conv_args *a, const itr_conv_view *v)
{
    taps_job j;
    if (a->n * v->y.positions * v->x.positions == 0 || !taps_plan(&j, a, v)) {
        return false;
    }
    itr_parallel(a->pool, a->groups * a->n * j.bands, 1, taps_range, &j);
    return true;
}

#endif
