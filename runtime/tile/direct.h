/**
 * Convolutions whose groups are a channel or two (depthwise): there is nothing to multiply matrices
 * for. A band of the source lies in lines of int16 with a border of zeros; a line of the result is
 * the sum of shifted lines times a tap each, two taps at a time, 16 positions in registers. Needs
 * tiles with rows of int16, and
 *
 *   direct_line()   y[p] = the sum of taps
 *   direct_spread() to every other position
 *   direct_dots()   the sums of products of lines, for the gradient of the filter
 */
#ifndef ITR_TILE_DIRECT_H
#define ITR_TILE_DIRECT_H

#include "view.h"

enum {
    DIRECT_LINE = 16,   /**< lines of dy are padded to a multiple of it */
    DIRECT_PHASES = 4,  /**< views that are made together: strides up to 2 x 2 */
    DIRECT_FILTERS = 16 /**< whose gradients are summed up side by side */
};

/* ---- forward, and the gradient for the input ---- */

/** A view, and where its taps find the source in its band. */
typedef struct direct_phase {
    const itr_conv_view *v;
    view_axis y, x;
    int64_t phases, columns, line; /**< of a line of the band */
    bool clean;                    /**< one band a plane: the border stays as it was cleared */
} direct_phase;

/** Views of one result (the phases of the strides) are made together, while its lines are at hand.
 */
typedef struct direct_job {
    const itr_conv_args *a;
    direct_phase phase[DIRECT_PHASES];
    int count;
    int64_t planes, rows; /**< of images and groups; of a plane's result */
    int64_t lines, bands; /**< lines of the result (of a phase) in a band */
    int64_t band;         /**< elements that a phase has for its band */
} direct_job;

/** Lines of all taps, and where their weights lie; for a band of this height. */
typedef struct direct_taps {
    int64_t height;
    int count;
    const tile_row *x[TILE_DIRECT_TAPS + 1];
    int64_t f[TILE_DIRECT_TAPS];
} direct_taps;

typedef struct direct_buffers {
    _Alignas(64) tile_row band[TILE_BAND + TILE_SLACK];
    _Alignas(64) int32_t sum[TILE_BAND / 4];
    direct_taps taps[DIRECT_PHASES];
    int32_t pair[(TILE_DIRECT_TAPS + 1) / 2];
} direct_buffers;

static inline bool direct_plan(direct_job *j, const itr_conv_args *a, const itr_conv_view *v,
                               int count)
{
    *j = (direct_job){.a = a, .count = count, .rows = v->rows};
    j->planes = a->n * a->groups;
    j->band = TILE_BAND / count;
    j->lines = TILE_BAND;
    for (int i = 0; i < count; i++, v++) {
        direct_phase *p = &j->phase[i];
        *p = (direct_phase){.v = v, .y = view_axis_of(&v->y, true)};
        p->x = view_axis_of(&v->x, false);
        p->phases = v->x.taps > 1 ? v->x.step : 1;
        p->columns = v->x.positions + (p->x.span + v->x.step - 1) / v->x.step;
        p->line = p->phases * p->columns;
        const int64_t lines = j->band / (p->line * v->channels) - p->y.span;
        if (lines < 0 || v->x.positions > TILE_BAND / 4) {
            return false;
        }
        j->lines = tile_least(j->lines, tile_least(lines / p->y.step + 1, v->y.positions));
    }
    for (int i = 0; i < count; i++) {
        const int64_t bands = tile_ceil(j->phase[i].v->y.positions, j->lines);
        j->phase[i].clean = bands == 1;
        j->bands = bands > j->bands ? bands : j->bands;
    }
    return true;
}

/** The source of a band, all channels of a group; lines of positions [y0, y0+lines). */
static inline void direct_band(const direct_phase *j, tile_row *band, const int8_t *x, int64_t y0,
                               int64_t lines)
{
    const itr_conv_view *v = j->v;
    const int64_t height = view_extent(&j->y, lines);
    const tile_columns at = {v->x.source, j->x.low, v->x.step, j->phases, j->columns, j->clean};
    for (int64_t c = 0; c < v->channels; c++, x += v->x_plane) {
        for (int64_t i = 0; i < height; i++, band += j->line) {
            const int64_t y = y0 * v->y.step + j->y.low + i * j->y.pick;
            if (y >= 0 && y < v->y.source) {
                tile_line(band, (tile_type){0}, x + y * v->x.source, &at);
            } else if (!at.clean) {
                tile_zeros(band, j->line);
            }
        }
    }
}

/** Lines of all taps at the first position of a band of this height, and where their weights lie.
 */
static inline void direct_find_taps(const direct_phase *j, direct_taps *t, const tile_row *band,
                                    int64_t height)
{
    const itr_conv_view *v = j->v;
    int n = 0;
    for (int64_t i = 0; i < v->channels * v->y.taps * v->x.taps; i++, n++) {
        const int64_t tx = i % v->x.taps, ty = i / v->x.taps % v->y.taps;
        const int64_t c = i / v->x.taps / v->y.taps;
        const int64_t x = v->x.at0 + tx * v->x.at_step - j->x.low;
        const int64_t y = v->y.at0 + ty * v->y.at_step - j->y.low;
        t->x[n] = band + (c * height + y) * j->line + x % j->phases * j->columns + x / j->phases;
        t->f[n] = c * v->f_channel + (v->y.tap0 + ty * v->y.tap_step) * v->f_y + v->x.tap0 +
                  tx * v->x.tap_step;
    }
    t->x[n] = band; /* times 0, where their number is odd */
    t->count = n;
    t->height = height;
}

/** The weights of a row of the filter in pairs; how many. */
static inline int direct_pairs(const direct_taps *t, int32_t *pair, const int8_t *f)
{
    for (int i = 0; i < t->count; i += 2) {
        const int high = i + 1 < t->count ? f[t->f[i + 1]] : 0;
        pair[i / 2] = (f[t->f[i]] & 0xFFFF) | (int32_t)((uint32_t)high << 16);
    }
    return (t->count + 1) / 2;
}

/** The lines of one channel of the result; y: its plane. */
static inline void direct_plane(const direct_phase *j, const direct_taps *t, direct_buffers *b,
                                int pairs, int32_t *y, int64_t y0, int64_t lines)
{
    const itr_conv_view *v = j->v;
    const int64_t n = v->x.positions;
    for (int64_t l = 0; l < lines; l++) {
        int32_t *to = y + (v->y.to0 + (y0 + l) * v->y.to_step) * v->y_width + v->x.to0;
        const bool dense = v->x.to_step == 1;
        direct_line(dense ? to : b->sum, t->x, b->pair, pairs, l * j->y.step * j->line, n);
        int64_t i = 0;
        if (v->x.to_step == 2) {
            i = direct_spread(to, b->sum, n, v->x.to0 == 1, v->y_width);
        }
        for (; !dense && i < n; i++) {
            to[i * v->x.to_step] = b->sum[i];
        }
    }
}

/** What a phase has in a band of an image and a group. */
static inline void direct_item(const direct_job *j, direct_buffers *b, int phase, int64_t plane,
                               int64_t y0)
{
    const direct_phase *p = &j->phase[phase];
    const itr_conv_view *v = p->v;
    const int64_t f_group = j->a->m / j->a->groups * (j->a->c / j->a->groups) * j->a->kh * j->a->kw;
    const int64_t lines = tile_least(j->lines, v->y.positions - y0);
    const int8_t *f = (const int8_t *)j->a->b + plane % j->a->groups * f_group;
    const int8_t *x = (const int8_t *)j->a->a + plane * v->channels * v->x_plane;
    tile_row *band = b->band + phase * j->band;
    direct_taps *t = &b->taps[phase];
    if (lines <= 0) {
        return;
    }
    direct_band(p, band, x, y0, lines);
    if (t->height != view_extent(&p->y, lines)) {
        direct_find_taps(p, t, band, view_extent(&p->y, lines));
    }
    for (int64_t r = 0; r < j->rows; r++) {
        const int pairs = direct_pairs(t, b->pair, f + r * v->f_row);
        direct_plane(p, t, b, pairs, (int32_t *)j->a->y + (plane * j->rows + r) * v->y_plane, y0,
                     lines);
    }
}

/** Items are (image, group, band). */
static inline void direct_range(void *user, int64_t begin, int64_t end)
{
    const direct_job *j = (const direct_job *)user;
    direct_buffers b;
    tile_zeros(b.band, TILE_BAND + TILE_SLACK);
    for (int k = 0; k < j->count; k++) {
        b.taps[k].height = 0;
    }
    for (int64_t i = begin; i < end; i++) {
        for (int k = 0; k < j->count; k++) {
            direct_item(j, &b, k, i / j->bands, i % j->bands * j->lines);
        }
    }
}

/** `count` views of one result. False: it is not for this, or the lines are too long. */
static inline bool direct_run(const itr_conv_args *a, const itr_conv_view *v, int count,
                              tile_type t)
{
    direct_job j;
    if (t.in16 || t.out64 || !tile_is_direct(a) || count > DIRECT_PHASES ||
        !direct_plan(&j, a, v, count)) {
        return false;
    }
    itr_parallel(a->pool, j.planes * j.bands, 1, direct_range, &j);
    return true;
}

/* ---- the gradient of the filter ---- */

typedef struct direct_weight_job {
    const itr_conv_args *a;
    tile_type t;
    int64_t phases, columns, line;
    int64_t width;        /**< of a padded line of dy */
    int64_t lines, bands; /**< of positions */
} direct_weight_job;

typedef struct direct_weight_buffers {
    _Alignas(64) tile_row band[TILE_BAND + TILE_SLACK];
    _Alignas(64) tile_row dy[TILE_BAND / 2];
    int64_t sum[DIRECT_FILTERS][TILE_DIRECT_TAPS];
    const tile_row *x[TILE_DIRECT_TAPS + 3];
} direct_weight_buffers;

static inline int64_t direct_height(const itr_conv_args *a, int64_t lines)
{
    return (lines - 1) * a->stride_h + (a->kh - 1) * a->dilation_h + 1;
}

static inline bool direct_weight_plan(direct_weight_job *j, const itr_conv_args *a, tile_type t)
{
    *j = (direct_weight_job){.a = a, .t = t, .phases = a->stride_w};
    j->width = tile_ceil(a->ow, DIRECT_LINE) * DIRECT_LINE;
    j->columns = a->ow + (a->kw - 1) * a->dilation_w / a->stride_w + 1;
    j->line = j->phases * j->columns;
    const int64_t lines = (TILE_BAND / j->line - direct_height(a, 1)) / a->stride_h + 1;
    if (TILE_BAND / j->line < direct_height(a, 1) || j->width > TILE_BAND / 2) {
        return false;
    }
    j->lines = tile_least(tile_least(lines, TILE_BAND / 2 / j->width), a->oh);
    j->bands = tile_ceil(a->oh, j->lines);
    return true;
}

/** Source and dy of a band of positions of one channel each. */
static inline void direct_weight_band(const direct_weight_job *j, direct_weight_buffers *b,
                                      const int8_t *x, const int8_t *dy, int64_t y0, int64_t lines)
{
    const itr_conv_args *a = j->a;
    const tile_columns at = {a->w,       -(int64_t)a->pad_left, a->stride_w, j->phases,
                             j->columns, j->bands == 1};
    tile_row *to = b->band;
    for (int64_t i = 0; i < direct_height(a, lines); i++, to += j->line) {
        const int64_t y = y0 * a->stride_h - a->pad_top + i;
        if (y >= 0 && y < a->h) {
            tile_line(to, (tile_type){0}, x + y * a->w, &at);
        } else if (!at.clean) {
            tile_zeros(to, j->line);
        }
    }
    for (int64_t i = 0; i < lines; i++) {
        tile_widen(b->dy + i * j->width, dy + (y0 + i) * a->ow, a->ow);
    }
}

/** sum += the products of a band, tap by tap. */
static inline void direct_weight_taps(const direct_weight_job *j, const direct_weight_buffers *b,
                                      int64_t lines, int64_t *sum)
{
    const int64_t taps = j->a->kh * j->a->kw;
    for (int64_t i = 0; i < taps; i += 4) {
        int32_t dot[4];
        direct_dots(dot, b->dy, j->width, b->x + i, j->a->stride_h * j->line, lines);
        for (int64_t k = 0; k < 4 && i + k < taps; k++) {
            sum[i + k] += dot[k];
        }
    }
}

/** Where the taps' lines begin. */
static inline void direct_weight_lines(const direct_weight_job *j, direct_weight_buffers *b)
{
    const itr_conv_args *a = j->a;
    const int64_t taps = a->kh * a->kw;
    for (int64_t i = 0; i < taps + 3; i++) { /* in fours: the last one again */
        const int64_t tap = tile_least(i, taps - 1), x = tap % a->kw * a->dilation_w;
        b->x[i] = b->band + tap / a->kw * a->dilation_h * j->line + x % j->phases * j->columns +
                  x / j->phases;
    }
}

/** Items are blocks of filters (channel of dy, channel of the group's source): neighbours' planes
 * lie behind each other. */
static inline void direct_weight_range(void *user, int64_t begin, int64_t end)
{
    const direct_weight_job *j = (const direct_weight_job *)user;
    const itr_conv_args *a = j->a;
    const int64_t channels = a->c / a->groups, rows = a->m / a->groups, taps = a->kh * a->kw;
    direct_weight_buffers b;
    tile_zeros(b.band, TILE_BAND + TILE_SLACK);
    tile_zeros(b.dy, TILE_BAND / 2); /* and so the ends of lines stay */
    direct_weight_lines(j, &b);
    for (int64_t block = begin; block < end; block++) {
        const int64_t first = block * DIRECT_FILTERS;
        const int64_t count = tile_least(a->m * channels - first, DIRECT_FILTERS);
        memset(b.sum, 0, sizeof b.sum);
        for (int64_t k = 0; k < a->n * j->bands * count; k++) {
            const int64_t i = k % count, m = (first + i) / channels;
            const int64_t c = m / rows * channels + (first + i) % channels;
            const int64_t n = k / count / j->bands, y0 = k / count % j->bands * j->lines;
            const int64_t lines = tile_least(j->lines, a->oh - y0);
            direct_weight_band(j, &b, (const int8_t *)a->a + (n * a->c + c) * a->h * a->w,
                               (const int8_t *)a->b + (n * a->m + m) * a->oh * a->ow, y0, lines);
            direct_weight_taps(j, &b, lines, b.sum[i]);
        }
        for (int64_t i = 0; i < count * taps; i++) {
            const int64_t v = b.sum[i / taps][i % taps];
            if (j->t.out64) {
                ((int64_t *)a->y)[first * taps + i] = v;
            } else {
                ((int32_t *)a->y)[first * taps + i] = (int32_t)v;
            }
        }
    }
}

static inline bool direct_weight_run(const itr_conv_args *a, tile_type t)
{
    direct_weight_job j;
    if (t.in16 || !tile_is_direct(a) || !direct_weight_plan(&j, a, t)) {
        return false;
    }
    itr_parallel(a->pool, tile_ceil(a->m * (a->c / a->groups), DIRECT_FILTERS), 1,
                 direct_weight_range, &j);
    return true;
}

#endif
