/**
 * Convolution and its gradient for the input: a view (ref/conv_view.h) as tiles. Rows are positions
 * of the result, lanes its channels. A band of the source, with its border of zeros and its
 * channels innermost, is made once for all channels of the result and all taps.
 */
#ifndef ITR_TILE_VIEW_H
#define ITR_TILE_VIEW_H

#include "../ref/conv_view.h"
#include "pack.h"

/** One axis of a band: pixel i lies at source coordinate first position * source + low + i * pick.
 */
typedef struct view_axis {
    int64_t low, span;  /**< least coordinate of the taps at position 0; how far they reach */
    int64_t step, pick; /**< pixels a position; source coordinates a pixel */
} view_axis;

typedef struct view_job {
    const itr_conv_args *a;
    const itr_conv_view *v;
    tile_type t;
    view_axis y, x;
    bool joined;          /**< the taps of a line and their channels are one run */
    int64_t channels;     /**< of a chunk of k */
    int64_t rows;         /**< channels of the result that are packed at a time */
    int64_t lines, width; /**< positions of a band */
    int64_t bands_y, bands_x, blocks;
} view_job;

/** What a chunk of `channels` channels makes of the taps. */
typedef struct view_chunk {
    int64_t first, channels;
    int64_t pixel; /**< elements of a pixel in the band */
    int64_t run;   /**< elements of a run */
    int64_t runs;
    int64_t panel; /**< elements of a panel */
} view_chunk;

typedef struct view_buffers {
    tile_k k;
    _Alignas(64) tile_lane panel[TILE_PANEL];
    _Alignas(64) tile_row band[TILE_BAND + TILE_SLACK];
    _Alignas(64) int32_t sum[2 * TILE_SUMS];
} view_buffers;

static view_axis view_axis_of(const itr_conv_axis *a, bool may_pick)
{
    const int64_t last = a->at0 + (a->taps - 1) * a->at_step;
    view_axis x = {.low = a->at0, .span = 1, .step = a->step, .pick = 1};
    if (a->taps > 1) {
        x.low = tile_least(a->at0, last);
        x.span = a->at0 + last - 2 * x.low + 1;
    } else if (may_pick) {
        x.pick = x.step;
        x.step = 1;
    }
    return x;
}

static int64_t view_extent(const view_axis *x, int64_t positions)
{
    return (positions - 1) * x->step + x->span;
}

static view_chunk view_chunk_of(const view_job *j, int64_t first, int64_t channels)
{
    const itr_conv_view *v = j->v;
    view_chunk c = {.first = first, .channels = tile_least(channels, v->channels - first)};
    c.pixel = j->joined ? c.channels : tile_ceil(c.channels, TILE_UNIT) * TILE_UNIT;
    c.run = j->joined ? c.channels * v->x.taps : c.channels;
    c.runs = j->joined ? v->y.taps : v->y.taps * v->x.taps;
    c.panel = c.runs * tile_panel_size(c.run);
    return c;
}

/** Most positions of a line that a band can hold; 0: none. */
static int64_t view_width(const view_job *j, const view_chunk *c)
{
    const int64_t pixels = TILE_BAND / (j->y.span * c->pixel) - j->x.span;
    return pixels < 0 ? 0 : tile_least(pixels / j->x.step + 1, j->v->x.positions);
}

/** Chooses the channels of a chunk; false: no chunk fits the buffers. */
static bool view_choose_channels(view_job *j)
{
    const int64_t parts = j->t.in16 ? 2 : 1, most = (j->t.in16 ? TILE_K16 : TILE_K8) * TILE_LANES;
    const int64_t block = tile_least(tile_ceil(j->v->rows, TILE_LANES), 4);
    for (int pass = 0; pass < 2; pass++) { /* first for good shapes, then for any */
        const int64_t width = pass == 0 ? tile_least(j->v->x.positions, 32) : 1;
        const int64_t panels = pass == 0 ? block : 1;
        for (int64_t n = j->v->channels; n > 0; n = n > 16 ? tile_ceil(n / 2, 16) * 16 : n / 2) {
            const view_chunk c = view_chunk_of(j, 0, n);
            if (c.panel <= most && c.runs <= TILE_RUNS && c.panel * parts * panels <= TILE_PANEL &&
                view_width(j, &c) >= width) {
                j->channels = n;
                j->rows = block * TILE_LANES;
                if (c.panel > 0) {
                    j->rows = tile_least(TILE_PANEL / (c.panel * parts), block) * TILE_LANES;
                }
                j->width = view_width(j, &c);
                return true;
            }
        }
    }
    return false;
}

/** False: the taps do not fit the buffers, and somebody else must do it. */
static bool view_plan(view_job *j, const itr_conv_args *a, const itr_conv_view *v, tile_type t)
{
    *j = (view_job){.a = a, .v = v, .t = t};
    j->y = view_axis_of(&v->y, true);
    j->x = view_axis_of(&v->x, false);
    j->joined = v->x.taps > 1 && (v->x.at_step == 1 || v->x.at_step == -1);
    if (!view_choose_channels(j)) {
        return false;
    }
    const view_chunk c = view_chunk_of(j, 0, j->channels);
    const int64_t line = view_extent(&j->x, j->width) * c.pixel;
    j->lines = tile_least((TILE_BAND / line - j->y.span) / j->y.step + 1, v->y.positions);
    j->bands_x = tile_ceil(v->x.positions, j->width);
    j->blocks = tile_ceil(v->rows, j->rows);
    /* enough bands for all threads, of equal heights */
    const int64_t others = a->n * a->groups * j->bands_x * j->blocks;
    const int64_t wanted = tile_ceil(2 * itr_pool_threads(a->pool), others);
    const int64_t least = tile_ceil(v->y.positions, j->lines);
    j->bands_y = tile_least(wanted > least ? wanted : least, v->y.positions);
    j->lines = tile_ceil(v->y.positions, j->bands_y);
    j->bands_y = tile_ceil(v->y.positions, j->lines);
    return true;
}

/** Offsets of the runs in the band. */
static void view_runs(const view_job *j, const view_chunk *c, tile_k *k)
{
    const itr_conv_view *v = j->v;
    const int64_t width = view_extent(&j->x, j->width);
    int n = 0;
    for (int64_t ty = 0; ty < v->y.taps; ty++) {
        const int64_t y = v->y.at0 + ty * v->y.at_step - j->y.low;
        for (int64_t tx = 0; tx < (j->joined ? 1 : v->x.taps); tx++) {
            const int64_t x = j->joined ? 0 : v->x.at0 + tx * v->x.at_step - j->x.low;
            k->at[n++] = (int32_t)((y * width + x) * c->pixel);
        }
    }
    k->runs = n;
    k->units = (int)tile_ceil(c->run, TILE_UNIT);
}

/** One tap and channel of the filter for up to 16 rows: element k of the panel's lanes. */
static void view_filter_lanes(const view_job *j, const view_chunk *c, tile_lane *panel, int64_t k,
                              const void *f, int64_t at, int64_t lanes)
{
    tile_lane *to = tile_panel_at(panel, k, 0);
#if TILE_16
    if (j->t.in16) {
        const int16_t *from = (const int16_t *)f + at;
        for (int64_t l = 0; l < lanes; l++) {
            const int16_t x = from[l * j->v->f_row];
            to[l * TILE_UNIT] = (tile_lane)(x >> 8);
            to[l * TILE_UNIT + c->panel] = (tile_lane)(x & 255);
        }
        return;
    }
#endif
    (void)c;
    const int8_t *from = (const int8_t *)f + at;
    for (int64_t l = 0; l < lanes; l++) {
        to[l * TILE_UNIT] = from[l * j->v->f_row];
    }
}

/** The panel of rows [r, r+lanes) of the group whose filter begins at f. */
static void view_filter(const view_job *j, const view_chunk *c, tile_lane *panel, const void *f,
                        int64_t r, int64_t lanes)
{
    const itr_conv_view *v = j->v;
    const int64_t padded = tile_ceil(c->run, TILE_UNIT) * TILE_UNIT;
    memset(panel, 0, (size_t)(j->t.in16 ? 2 * c->panel : c->panel) * sizeof *panel);
    for (int64_t ty = 0; ty < v->y.taps; ty++) {
        for (int64_t i = 0; i < v->x.taps; i++) {
            /* in a joined run, taps stand in the order of their coordinates */
            const int64_t tx = j->joined && v->x.at_step < 0 ? v->x.taps - 1 - i : i;
            const int64_t k =
                j->joined ? ty * padded + i * c->channels : (ty * v->x.taps + i) * padded;
            const int64_t at = r * v->f_row + c->first * v->f_channel +
                               (v->y.tap0 + ty * v->y.tap_step) * v->f_y + v->x.tap0 +
                               tx * v->x.tap_step;
            for (int64_t ch = 0; ch < c->channels; ch++) {
                view_filter_lanes(j, c, panel, k + ch, f, at + ch * v->f_channel, lanes);
            }
        }
    }
}

/** Lines of the source [y0, y0 + n * pick) from column x0 on, `width` pixels each, as a band. */
static void view_fill(const view_job *j, const view_chunk *c, tile_row *band, const void *x,
                      int64_t y0, int64_t n, int64_t x0, int64_t width)
{
    const int64_t height = j->v->y.source, line = width * c->pixel;
    const int64_t lo = x0 < 0 ? tile_least(-x0, width) : 0;
    const int64_t hi = j->v->x.source - x0 < lo ? lo : tile_least(j->v->x.source - x0, width);
    const bool whole = hi - lo == j->v->x.source && j->y.pick == 1;
    for (int64_t i = 0; i < n;) {
        const int64_t sy = y0 + i * j->y.pick;
        tile_row *to = band + i * line;
        if (sy < 0 || sy >= height || lo == hi) {
            tile_zeros(to, line);
            i++;
            continue;
        }
        const int64_t lines = whole ? tile_least(height - sy, n - i) : 1;
        for (int64_t k = 0; k < lines; k++) {
            tile_zeros(to + k * line, lo * c->pixel);
            tile_zeros(to + k * line + hi * c->pixel, (width - hi) * c->pixel);
        }
        const tile_target target = {to + lo * c->pixel, c->pixel, line, hi - lo, 0};
        tile_pixels(target, j->t, tile_advance(x, j->t, sy * j->v->x.source + x0 + lo),
                    j->v->x_plane, c->channels, lines * (hi - lo));
        i += lines;
    }
}

/** Where positions [p, p+n) of a band and one panel go. */
static void view_store(const view_job *j, void *y, int64_t y0, int64_t x0, int64_t width, int64_t p,
                       int64_t n, const int32_t *sum, int64_t lanes, bool add)
{
    const itr_conv_view *v = j->v;
    const bool dense = v->x.to_step == 1 && v->y.to_step == 1 && width == v->y_width;
    for (int64_t i = 0; i < n;) {
        const int64_t py = (p + i) / width, px = (p + i) % width;
        const int64_t count = dense ? n - i : tile_least(n - i, width - px);
        const int64_t at = (v->y.to0 + (y0 + py) * v->y.to_step) * v->y_width + v->x.to0 +
                           (x0 + px) * v->x.to_step;
        const tile_out o = {.y = tile_result(y, j->t, at),
                            .lane_step = v->y_plane,
                            .row_step = v->x.to_step,
                            .odd = v->x.to0,
                            .room = v->y_width - (x0 + px) * v->x.to_step,
                            .add = add};
        tile_scatter(&o, j->t, sum + i * TILE_LANES, count, lanes);
        i += count;
    }
}

/** All sums of a band with the packed rows of the filter. y: plane of the first of them. */
static void view_tiles(const view_job *j, const view_chunk *c, view_buffers *b, void *y, int64_t y0,
                       int64_t lines, int64_t x0, int64_t width, int64_t rows)
{
    const int64_t in_width = view_extent(&j->x, j->width),
                  panel = j->t.in16 ? 2 * c->panel : c->panel;
    const tile_row *row[TILE_POSITIONS + TILE_ROWS];
    for (int64_t p = 0; p < lines * width; p += TILE_POSITIONS) {
        const int64_t n = tile_least(lines * width - p, TILE_POSITIONS);
        int64_t py = p / width, px = p % width;
        for (int64_t i = 0; i < n; i++) {
            row[i] = b->band + (py * j->y.step * in_width + px * j->x.step) * c->pixel;
            if (++px == width) {
                px = 0;
                py++;
            }
        }
        for (int64_t i = n; i % TILE_ROWS != 0; i++) {
            row[i] = b->band;
        }
        for (int64_t r = 0; r < rows; r += TILE_LANES) {
            tile_run(row, n, &b->k, j->t, b->panel + r / TILE_LANES * panel, b->sum);
            view_store(j, tile_result(y, j->t, r * j->v->y_plane), y0, x0, width, p, n, b->sum,
                       tile_least(rows - r, TILE_LANES), c->first > 0);
        }
    }
}

/** Item `band` of image i and a group. */
static void view_band(const view_job *j, const view_chunk *c, view_buffers *b, int64_t image,
                      int64_t group, int64_t block, int64_t band)
{
    const itr_conv_view *v = j->v;
    const int64_t plane = image * j->a->groups + group;
    const int64_t y0 = band / j->bands_x * j->lines, x0 = band % j->bands_x * j->width;
    const int64_t lines = tile_least(j->lines, v->y.positions - y0);
    const int64_t width = tile_least(j->width, v->x.positions - x0);
    const int64_t r = block * j->rows, rows = tile_least(j->rows, v->rows - r);
    const void *x = tile_advance(j->a->a, j->t, (plane * v->channels + c->first) * v->x_plane);
    view_fill(j, c, b->band, x, y0 * v->y.step + j->y.low, view_extent(&j->y, lines),
              x0 * v->x.step + j->x.low, view_extent(&j->x, j->width));
    view_tiles(j, c, b, tile_result(j->a->y, j->t, (plane * v->rows + r) * v->y_plane), y0, lines,
               x0, width, rows);
}

/** Items are (group, block of rows, image, band); the filter is packed once for all images. */
static void view_range(void *user, int64_t begin, int64_t end)
{
    const view_job *j = (const view_job *)user;
    const itr_conv_view *v = j->v;
    const int64_t bands = j->bands_y * j->bands_x, items = j->a->n * bands;
    const int64_t f_group = j->a->m / j->a->groups * (j->a->c / j->a->groups) * j->a->kh * j->a->kw;
    view_buffers b;
    tile_zeros(b.band, TILE_BAND + TILE_SLACK);
    for (int64_t i = begin; i < end;) {
        const int64_t group = i / items / j->blocks, block = i / items % j->blocks;
        const int64_t last = tile_least(end, (i / items + 1) * items);
        const void *f = tile_advance(j->a->b, j->t, group * f_group);
        for (int64_t first = 0; first == 0 || first < v->channels; first += j->channels) {
            const view_chunk c = view_chunk_of(j, first, j->channels);
            const int64_t panel = j->t.in16 ? 2 * c.panel : c.panel;
            const int64_t r0 = block * j->rows, rows = tile_least(j->rows, v->rows - r0);
            view_runs(j, &c, &b.k);
            for (int64_t r = 0; r < rows; r += TILE_LANES) {
                view_filter(j, &c, b.panel + r / TILE_LANES * panel, f, r0 + r,
                            tile_least(rows - r, TILE_LANES));
            }
            for (int64_t k = i; k < last; k++) {
                view_band(j, &c, &b, k % items / bands, group, block, k % bands);
            }
        }
        i = last;
    }
#if TILE_STREAM
    tile_fence();
#endif
}

/** False: too many taps for the buffers. */
static bool view_run(const itr_conv_args *a, const itr_conv_view *v, tile_type t)
{
    view_job j;
    if (v->y.positions * v->x.positions * v->rows * a->n == 0) {
        return true;
    }
    if (!view_plan(&j, a, v, t)) {
        return false;
    }
    itr_parallel(a->pool, a->n * a->groups * j.blocks * j.bands_y * j.bands_x, 1, view_range, &j);
    return true;
}

#endif
