/**
 * Convolutions of few channels, or of few channels of the result, as sums of windows (window.h):
 * where view.h would leave lanes idle, or spend more time on turning sums into planes than on the
 * sums. The windows of all channels of a group lie in a band; rows of the result share them, a tile
 * of rows and positions at a time (point.h). Forward, and the gradient for the input without
 * strides.
 */
#ifndef ITR_TILE_WINDOW_ROWS_H
#define ITR_TILE_WINDOW_ROWS_H

#include "point.h"
#include "window.h"

enum {
    ROWS_WEIGHTS = 32768, /**< bytes of a group's weights */
    ROWS_MOST = 512       /**< rows of a group */
};

typedef struct rows_job {
    window_job w;
    int64_t vectors;         /**< of an image's band */
    int32_t at[WINDOW_TAPS]; /**< of a tap, in bytes */
} rows_job;

typedef struct rows_buffers {
    _Alignas(64) uint8_t band[4 * (WINDOW_BAND + WINDOW_SLACK)];
    _Alignas(64) int8_t f[ROWS_WEIGHTS]; /**< tile by tile [tap][row][4] */
    int32_t start[ROWS_MOST];
} rows_buffers;

/*
 * Instructions for 16 positions of all rows of a group, about: rows of a tile need a product a tap
 * (of four bytes), besides what lays out the source.
 */
static inline int64_t rows_cost(const itr_conv_view *v)
{
    const int64_t fours = tile_ceil(v->x.taps, 4);
    return (tile_ceil(v->rows, 2) * 2 * v->y.taps + 4) * v->channels * fours;
}

/** The same of view.h: a product a unit of a run, a quarter more for loads, and the way into
 * planes. */
static inline int64_t rows_cost_of_tiles(const itr_conv_view *v)
{
    const int64_t units = v->y.taps * tile_ceil(v->channels * v->x.taps, 4);
    return tile_ceil(v->rows, TILE_LANES) * TILE_LANES * (units + units / 4 + 5);
}

static inline bool rows_plan(rows_job *j, const itr_conv_args *a, const itr_conv_view *v)
{
    window_job *w = &j->w;
    if (v->x.to_step * v->y.to_step != 1 || rows_cost(v) >= rows_cost_of_tiles(v) ||
        v->rows > ROWS_MOST || !window_plan(w, a, v, 1, 1, v->y.positions, v->x.positions)) {
        return false;
    }
    const int64_t taps = w->taps[1];
    for (int64_t i = 0; i < taps; i++) {
        j->at[i] = (int32_t)(4 * w->tap[i].at);
    }
    w->ahead = window_ahead(w->channels * w->source_h * w->source_w,
                            a->groups * w->channels * w->source_h * w->source_w);
    const int64_t share = tile_ceil(a->n * a->groups, 4 * itr_pool_threads(a->pool));
    w->batch = w->bands > 1 ? 1 : tile_least(share, WINDOW_BAND / w->size);
    return 4 * tile_ceil(w->rows, 2) * 2 * taps <= ROWS_WEIGHTS;
}

/** A group's weights, tile by tile, and what sums begin with: the bias taken back. */
static inline void rows_weights(const rows_job *j, rows_buffers *b, const int8_t *f)
{
    const window_job *w = &j->w;
    memset(b->f, 0, sizeof b->f);
    memset(b->start, 0, sizeof b->start);
    for (int64_t r = 0; r < w->rows; r++, f += w->f_row) {
        const int64_t tile = r / POINT_ROWS * POINT_ROWS, of = point_rows(tile, w->rows);
        int8_t *to = b->f + 4 * (tile * w->taps[1] + r % POINT_ROWS);
        for (int64_t i = 0; i < 4 * w->taps[1]; i++) {
            const int32_t at = w->tap[i / 4].f[0][i % 4];
            to[i / 4 * 4 * of + i % 4] = at < 0 ? 0 : f[at];
            b->start[r] -= at < 0 ? 0 : TILE_BIAS * f[at];
        }
    }
}

/** Vectors [first, first+POINT_VECTORS) of the bands of `count` images. */
static inline void rows_find(const rows_job *j, point_place *p, int64_t first, int64_t count,
                             int64_t positions)
{
    const window_job *w = &j->w;
    const int64_t vectors = tile_ceil(positions, POINT_LANES);
    const int64_t image = w->a->groups * w->rows * w->height * w->width;
    p->whole = true;
    for (int64_t i = 0; i < POINT_VECTORS; i++) {
        const int64_t k = (first + i) / vectors, at = (first + i) % vectors * POINT_LANES;
        const int64_t left = k < count ? positions - at : 0;
        p->x[i] = left > 0 ? 4 * (k * w->size + at) : 0;
        p->y[i] = left > 0 ? k * image + at : 0;
        p->lanes[i] = (int)tile_least(left, POINT_LANES);
        p->whole = p->whole && left >= POINT_LANES && p->y[i] == p->y[0] + POINT_LANES * i;
    }
}

/** A band of images [image, image+count) and a group. */
static inline void rows_item(const rows_job *j, rows_buffers *b, int64_t image, int64_t count,
                             int64_t group, int64_t y0)
{
    const window_job *w = &j->w;
    const int64_t plane = w->source_h * w->source_w, result = w->height * w->width;
    const int64_t positions = tile_least(w->lines, w->height - y0) * w->width;
    const int64_t vectors = count * tile_ceil(positions, POINT_LANES);
    const int64_t at = image * w->a->groups + group;
    window_bands(w, b->band, (const int8_t *)w->a->a + at * w->channels * plane,
                 w->a->groups * w->channels * plane, count, y0);
    for (int64_t i = 0; i < vectors; i += POINT_VECTORS) {
        point_place p;
        rows_find(j, &p, i, count, positions);
        point_sum s = {.at = j->at, .units = w->taps[1]};
        for (int64_t k = 0; k < POINT_VECTORS; k++) {
            s.x[k] = b->band + p.x[k];
        }
        for (int64_t r = 0; r < w->rows; r += POINT_ROWS) {
            const point_out o = {.y = (int32_t *)w->a->y + (at * w->rows + r) * result +
                                      y0 * w->width,
                                 .plane = result,
                                 .rows = w->rows - r,
                                 .place = &p,
                                 .stream = w->stream};
            s.f = b->f + 4 * r * w->taps[1];
            s.start = b->start + r;
            point_tile(&s, &o);
        }
    }
}

/** Items are (group, images of a batch, band). */
static inline void rows_range(void *user, int64_t begin, int64_t end)
{
    const rows_job *j = (const rows_job *)user;
    const window_job *w = &j->w;
    const int64_t items = tile_ceil(w->a->n, w->batch) * w->bands;
    rows_buffers b;
    memset(b.band, TILE_BIAS, sizeof b.band);
    for (int64_t i = begin; i < end; i++) {
        const int64_t group = i / items, image = i % items / w->bands * w->batch;
        if (i == begin || i % items == 0) {
            rows_weights(j, &b,
                         (const int8_t *)w->a->b + group * (w->a->m / w->a->groups) *
                                                       (w->a->c / w->a->groups) * w->a->kh *
                                                       w->a->kw);
        }
        rows_item(j, &b, image, tile_least(w->batch, w->a->n - image), group,
                  i % w->bands * w->lines);
    }
#if TILE_STREAM
    tile_fence();
#endif
}

/** False: it is not for this. */
static inline bool rows_run(const itr_conv_args *a, const itr_conv_view *v)
{
    rows_job j;
    if (a->n * v->y.positions * v->x.positions == 0 || !rows_plan(&j, a, v)) {
        return false;
    }
    j.w.stream = tile_streams(a->n * a->groups * v->rows * v->y_plane);
    itr_parallel(a->pool, a->groups * tile_ceil(a->n, j.w.batch) * j.w.bands, 1, rows_range, &j);
    return true;
}

#endif
