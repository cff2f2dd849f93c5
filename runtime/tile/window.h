/**
 * Depthwise convolutions with an instruction that adds up four products of bytes: forward, and the
 * gradient for the input. A band of the source is laid out as windows: for each position of a line
 * of the result the four bytes that its first four taps along x read (and for wider filters the
 * next four, and so on), biased, with borders and tails of zeros inside. So a line of windows is as
 * long as a line of the result, lines lie behind each other, and the result is a sum of shifted
 * bands of windows times four weights each, over all lines at once. See direct.h for what is not
 * for this.
 *
 * With strides, lines of windows are sorted by their phase. In the gradient for the input, source
 * coordinates advance once in `stride` positions: neighbours then share a window and differ in
 * their weights, a pattern along the line; lines of different phases have different taps.
 *
 * An instruction set defines
 *
 *   window_tables()   how a block of positions takes its windows from bytes of the source
 *   window_lines()    lines of the source as lines of windows, zeros behind the last
 *   window_sums()     y[p] = start + the sum over taps of four bytes at p times four weights
 */
#ifndef ITR_TILE_WINDOW_H
#define ITR_TILE_WINDOW_H

#include "../ref/conv_view.h"
#include "pack.h"

enum {
    WINDOW_LANES = 16,    /**< positions of a block */
    WINDOW_BAND = 16384,  /**< windows of a band */
    WINDOW_SLACK = 64,    /**< that may be read behind them */
    WINDOW_BATCH = 8192,  /**< windows of the planes that are laid out together, at most */
    WINDOW_TAPS = 256,    /**< fours of taps, of all phases */
    WINDOW_BLOCKS = 64,   /**< blocks of a line, times groups of four taps */
    WINDOW_PHASES = 4,    /**< of a stride, in the gradient for the input */
    WINDOW_FILTERS = 16,  /**< groups whose weights are prepared together */
    WINDOW_AHEAD = 1024,  /**< bytes that are fetched ahead, where images are not read in pieces */
    WINDOW_WEIGHTS = 2048 /**< fours of weights, of those */
};

/** A block's bytes begin at `at` of the source's line; bits of those inside it and of use. */
typedef struct window_block {
    int64_t at;
    uint64_t inside;
} window_block;

/** Lines of the band that are made alike. */
typedef struct window_source {
    int64_t step;          /**< bytes from line to line */
    int64_t ahead;         /**< bytes to what is read some time later */
    const window_block *b; /**< of this group of taps */
} window_source;

/** How far behind what is read of an image the next to be read lies: `bytes` of each are. */
static inline int64_t window_ahead(int64_t bytes, int64_t image)
{
    return bytes < 4 * WINDOW_AHEAD ? image : WINDOW_AHEAD;
}

/** Four bytes of windows and what they are multiplied by. */
typedef struct window_tap {
    int64_t at;                  /**< of the first position of a phase, in the band */
    int32_t f[WINDOW_PHASES][4]; /**< in the filter's row, a phase of x each; or -1 */
} window_tap;

typedef struct window_job {
    const itr_conv_args *a;
    int64_t channels, rows, f_row; /**< of a group: of the source, of the result */
    int64_t width, height;         /**< of the result */
    int64_t phases_y, phases_x;    /**< of the result's coordinates */
    int64_t source_w, source_h;
    int64_t step_x, step_y;     /**< source coordinates a position (of a phase) */
    int64_t low_x, low_y, pick; /**< least coordinates at position 0; from tap to tap along x */
    int64_t span_y;             /**< source lines that a line of the result reaches */
    int64_t fours;              /**< groups of four taps along x */
    int64_t blocks;             /**< of a line */
    int64_t lines, bands;       /**< of the result */
    int64_t part;               /**< lines of windows of one phase of step_y */
    int64_t size;               /**< windows of a band of a plane */
    int64_t batch;              /**< planes that are laid out together */
    int64_t filters;            /**< groups that are */
    int64_t ahead;
    bool stream;                 /**< the result: see TILE_STREAMED */
    int taps[WINDOW_PHASES + 1]; /**< where a phase's begin */
    window_tap tap[WINDOW_TAPS];
    window_block block[WINDOW_BLOCKS];
    int32_t dword[WINDOW_LANES]; /**< the instruction set's tables */
    _Alignas(64) uint8_t byte[4 * WINDOW_LANES];
} window_job;

/** Lines of the result that have the same taps: `n` positions each, their windows behind each
 * other. */
typedef struct window_result {
    int32_t *y;
    int64_t step, lines, n; /**< elements from line to line of y */
} window_result;

typedef struct window_buffers {
    _Alignas(64) uint8_t band[4 * (WINDOW_BAND + WINDOW_SLACK)];
    _Alignas(64) int8_t f[WINDOW_WEIGHTS][16]; /**< a filter: phase by phase a start, then taps */
} window_buffers;

static bool window_tables(window_job *j);
static void window_lines(const window_job *j, const window_source *s, uint8_t *to,
                         const int8_t *from, int64_t lines);
static void window_sums(const window_job *j, int phase, const window_result *r, const uint8_t *band,
                        const int8_t (*f)[16]);

/* ---- the plan ---- */

/** Source coordinates of the taps of all phases: the least, and how far they reach. */
static inline void window_reach(const itr_conv_axis *axis, int64_t count, int64_t *low,
                                int64_t *span)
{
    int64_t least = INT64_MAX, most = INT64_MIN;
    for (int64_t i = 0; i < count; i++, axis++) {
        if (axis->taps > 0) {
            const int64_t last = axis->at0 + (axis->taps - 1) * axis->at_step;
            least = tile_least(least, tile_least(axis->at0, last));
            most = most > axis->at0 ? most : axis->at0;
            most = most > last ? most : last;
        }
    }
    *low = least == INT64_MAX ? 0 : least;
    *span = least == INT64_MAX ? 1 : most - least + 1;
}

/** The taps of a phase of y: a line of taps of a channel for each four along x. */
static inline bool window_taps_of(window_job *j, const itr_conv_view *v, int *count)
{
    const int64_t lines = v->y.taps;
    for (int64_t i = 0; i < j->channels * lines * j->fours; i++) {
        const int64_t four = i % j->fours, ty = i / j->fours % lines, c = i / j->fours / lines;
        const int64_t r = v->y.at0 + ty * v->y.at_step - j->low_y;
        window_tap *t = &j->tap[*count];
        if (*count == WINDOW_TAPS) {
            return false;
        }
        t->at = (((four * j->channels + c) * j->step_y + r % j->step_y) * j->part + r / j->step_y) *
                j->width;
        memset(t->f, -1, sizeof t->f);
        for (int64_t px = 0; px < j->phases_x; px++) {
            for (int64_t tx = 0; tx < v[px].x.taps; tx++) {
                const int64_t k = (v[px].x.at0 + tx * v[px].x.at_step - j->low_x) / j->pick;
                if (k / 4 == four) {
                    t->f[px][k % 4] =
                        (int32_t)(c * v->f_channel + (v->y.tap0 + ty * v->y.tap_step) * v->f_y +
                                  v[px].x.tap0 + tx * v[px].x.tap_step);
                }
            }
        }
        ++*count;
    }
    return true;
}

/** Along x: the distance of taps, and where blocks of windows lie in a line. */
static inline bool window_plan_line(window_job *j, const itr_conv_view *v)
{
    int64_t span = 0;
    itr_conv_axis axis[WINDOW_PHASES] = {{0}};
    j->pick = 1;
    for (int64_t i = 0; i < j->phases_x; i++) {
        axis[i] = v[i].x;
        if (axis[i].taps > 1) {
            j->pick = axis[i].at_step < 0 ? -axis[i].at_step : axis[i].at_step;
        }
    }
    window_reach(axis, j->phases_x, &j->low_x, &span);
    for (int64_t i = 0; i < j->phases_x; i++) {
        if (axis[i].taps > 0 && (axis[i].at0 - j->low_x) % j->pick != 0) {
            return false;
        }
    }
    j->fours = ((span - 1) / j->pick + 4) / 4;
    j->blocks = tile_ceil(j->width, WINDOW_LANES);
    if (j->blocks * j->fours > WINDOW_BLOCKS || !window_tables(j)) {
        return false;
    }
    const int64_t last = (WINDOW_LANES - 1) / j->phases_x * j->step_x + 3 * j->pick;
    for (int64_t i = 0; i < j->blocks * j->fours; i++) {
        const int64_t p = i % j->blocks * WINDOW_LANES, four = i / j->blocks;
        window_block *b = &j->block[i];
        b->at = j->low_x + p / j->phases_x * j->step_x + 4 * four * j->pick;
        for (int64_t k = 0; k <= last; k++) {
            const bool inside = b->at + k >= 0 && b->at + k < j->source_w;
            b->inside |= (uint64_t)inside << k;
        }
    }
    return true;
}

/** How many lines of the result a band has; false: none fits. */
static inline bool window_plan_bands(window_job *j)
{
    const int64_t parts = j->fours * j->channels * j->step_y;
    const int64_t more = (j->span_y - 1) / j->step_y; /* lines a part has beyond its positions */
    const int64_t most = (WINDOW_BAND - WINDOW_LANES) / (parts * j->width) - more;
    const int64_t positions = tile_least(most, tile_ceil(j->height, j->phases_y));
    if (positions < 1) {
        return false;
    }
    j->lines = positions * j->phases_y;
    j->bands = tile_ceil(j->height, j->lines);
    j->part = positions + more;
    j->size = parts * j->part * j->width + WINDOW_LANES; /* lines may end behind themselves */
    j->batch = j->bands > 1 || j->size > WINDOW_BATCH ? 1 : WINDOW_BATCH / j->size;
    return true;
}

/** Views are those of all phases, along x first. False: it is not for this. */
static inline bool window_plan(window_job *j, const itr_conv_args *a, const itr_conv_view *v,
                               int64_t phases_y, int64_t phases_x, int64_t height, int64_t width)
{
    *j = (window_job){.a = a, .phases_y = phases_y, .phases_x = phases_x};
    j->channels = v->channels;
    j->rows = v->rows;
    j->f_row = v->f_row;
    j->width = width;
    j->height = height;
    j->source_w = v->x.source;
    j->source_h = v->y.source;
    j->step_x = v->x.step;
    j->step_y = v->y.step;
    itr_conv_axis axis[WINDOW_PHASES] = {{0}};
    for (int64_t i = 0; i < phases_y; i++) {
        axis[i] = v[i * phases_x].y;
    }
    window_reach(axis, phases_y, &j->low_y, &j->span_y);
    if (!window_plan_line(j, v) || !window_plan_bands(j)) {
        return false;
    }
    int count = 0;
    for (int64_t i = 0; i < phases_y; i++) {
        if (!window_taps_of(j, v + i * phases_x, &count)) {
            return false;
        }
        j->taps[i + 1] = count;
    }
    return true;
}

/** So many groups go together; false: the weights of one do not fit. */
static inline bool window_plan_filters(window_job *j)
{
    const int64_t weights = j->rows * (j->taps[j->phases_y] + j->phases_y);
    const int64_t source = j->channels * j->source_h * j->source_w;
    j->filters = tile_least(tile_least(WINDOW_FILTERS, WINDOW_WEIGHTS / weights), j->a->groups);
    j->ahead = window_ahead(j->filters * source, j->a->groups * source);
    return j->filters > 0;
}

/* ---- its execution ---- */

/** The weights of rows of filters from f on, and what their sums begin with: the bias taken back.
 */
static inline void window_weights(const window_job *j, int8_t (*to)[16], const int8_t *f,
                                  int64_t rows)
{
    for (int64_t r = 0; r < rows; r++, f += j->f_row) {
        for (int64_t phase = 0; phase < j->phases_y; phase++) {
            int32_t start[4] = {0};
            int8_t(*first)[16] = to++;
            for (int t = j->taps[phase]; t < j->taps[phase + 1]; t++, to++) {
                for (int64_t i = 0; i < 16; i++) {
                    const int32_t at = j->tap[t].f[i / 4 % j->phases_x][i % 4];
                    (*to)[i] = at < 0 ? 0 : f[at];
                    start[i / 4] -= TILE_BIAS * (*to)[i];
                }
            }
            memcpy(*first, start, sizeof start);
        }
    }
}

/** The windows of a band of n groups' or images' planes, `step` apart from x on; y0: its first line
 * of the result. */
static inline void window_bands(const window_job *j, uint8_t *band, const int8_t *x, int64_t step,
                                int64_t n, int64_t y0)
{
    const int64_t parts = j->channels * j->step_y, plane = j->source_h * j->source_w;
    const int64_t first = y0 / j->phases_y * j->step_y + j->low_y, line = 4 * j->width;
    for (int64_t i = 0; i < j->fours * parts; i++, band += j->part * line) {
        const int64_t y = first + i % j->step_y; /* the source's line of the part's first */
        const int64_t before = y < 0 ? tile_ceil(-y, j->step_y) : 0;
        const int64_t until = j->source_h > y ? tile_ceil(j->source_h - y, j->step_y) : 0;
        const int64_t lo = tile_least(before, j->part);
        const int64_t hi = until < lo ? lo : tile_least(until, j->part);
        const window_source s = {j->step_y * j->source_w, j->ahead,
                                 j->block + i / parts * j->blocks};
        const int8_t *from =
            x + i / j->step_y % j->channels * plane + (y + lo * j->step_y) * j->source_w;
        if (j->bands > 1) { /* else it stays as it was cleared, and n is 1 */
            memset(band, TILE_BIAS, (size_t)(lo * line));
            memset(band + hi * line, TILE_BIAS, (size_t)((j->part - hi) * line));
        }
        for (int64_t k = 0; k < n; k++, from += step) {
            window_lines(j, &s, band + 4 * k * j->size + lo * line, from, hi - lo);
        }
    }
}

/** Lines [y0, y0+lines) of a plane of the result. */
static inline void window_plane(const window_job *j, int32_t *y, const uint8_t *band,
                                const int8_t (*f)[16], int64_t y0, int64_t lines)
{
    window_result r = {.y = y + y0 * j->width, .lines = 1, .n = lines * j->width};
    if (j->phases_y == 1 && j->phases_x == 1) {
        window_sums(j, 0, &r, band, f);
        return;
    }
    r.n = j->width;
    r.step = j->phases_y * j->width;
    for (int phase = 0; phase < j->phases_y; phase++, r.y += j->width) {
        r.lines = tile_ceil(lines - phase, j->phases_y); /* bands begin with phase 0 */
        window_sums(j, phase, &r, band, f + j->taps[phase] + phase);
    }
}

/** A band of an image and of groups [first, first + count). */
static inline void window_item(const window_job *j, window_buffers *b, int64_t image, int64_t first,
                               int64_t count, int64_t y0)
{
    const int64_t plane = j->source_h * j->source_w, of_row = j->taps[j->phases_y] + j->phases_y;
    const int64_t lines = tile_least(j->lines, j->height - y0);
    const int8_t *x =
        (const int8_t *)j->a->a + (image * j->a->groups + first) * j->channels * plane;
    int32_t *y =
        (int32_t *)j->a->y + (image * j->a->groups + first) * j->rows * j->height * j->width;
    for (int64_t g = 0; g < count; g += j->batch) {
        const int64_t n = tile_least(j->batch, count - g);
        window_bands(j, b->band, x + g * j->channels * plane, j->channels * plane, n, y0);
        for (int64_t r = 0; r < n * j->rows; r++) {
            const int64_t row = g * j->rows + r;
            window_plane(j, y + row * j->height * j->width, b->band + 4 * (r / j->rows) * j->size,
                         (const int8_t(*)[16])(b->f + row * of_row), y0, lines);
        }
    }
}

/** Items are (block of groups, image, band); weights are prepared once for all images. */
static inline void window_range(void *user, int64_t begin, int64_t end)
{
    const window_job *j = (const window_job *)user;
    const int64_t items = j->a->n * j->bands;
    const int64_t f_group = j->a->m / j->a->groups * (j->a->c / j->a->groups) * j->a->kh * j->a->kw;
    window_buffers b;
    memset(b.band, TILE_BIAS, sizeof b.band);
    for (int64_t i = begin; i < end; i++) {
        const int64_t first = i / items * j->filters;
        const int64_t count = tile_least(j->filters, j->a->groups - first);
        if (i == begin || i % items == 0) {
            for (int64_t g = 0; g < count; g++) {
                window_weights(j, b.f + g * j->rows * (j->taps[j->phases_y] + j->phases_y),
                               (const int8_t *)j->a->b + (first + g) * f_group, j->rows);
            }
        }
        window_item(j, &b, i % items / j->bands, first, count, i % j->bands * j->lines);
    }
#if TILE_STREAM
    tile_fence();
#endif
}

/** The views of all phases of one result. False: it is not for this. */
static inline bool window_run(const itr_conv_args *a, const itr_conv_view *v, int64_t phases_y,
                              int64_t phases_x, int64_t height, int64_t width)
{
    window_job j;
    if (a->n * height * width == 0 || !window_plan(&j, a, v, phases_y, phases_x, height, width) ||
        !window_plan_filters(&j)) {
        return false;
    }
    j.stream = tile_streams(a->n * a->groups * j.rows * height * width);
    itr_parallel(a->pool, tile_ceil(a->groups, j.filters) * a->n * j.bands, 1, window_range, &j);
    return true;
}

static inline bool window_forward(const itr_conv_args *a, tile_type t)
{
    const itr_conv_view v = itr_conv_forward(a);
    return !t.out64 && window_run(a, &v, 1, 1, a->oh, a->ow);
}

static inline bool window_grad_input(const itr_conv_args *a, tile_type t)
{
    itr_conv_view v[WINDOW_PHASES * WINDOW_PHASES];
    const int64_t sy = a->stride_h, sx = a->stride_w;
    if (t.out64 || sy > WINDOW_PHASES || sx > WINDOW_PHASES || sx == 3) {
        return false; /* blocks would begin with any phase */
    }
    for (int64_t i = 0; i < sy * sx; i++) {
        v[i] = itr_conv_gradient(a, i / sx, i % sx);
    }
    return window_run(a, v, sy, sx, a->h, a->w);
}

#endif
