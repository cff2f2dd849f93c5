/**
 * The gradient of a convolution for its filter as tiles: df[m][c,ky,kx] = the sum over samples and
 * positions of dy[m] and the source under the tap. Rows are taps of channels, read from planes with
 * a border of zeros, so that neighbouring taps share them; lanes are channels of dy, packed once
 * for all taps; k runs along lines of positions. A block's sums stay on the stack until its samples
 * are through; where there are fewer blocks than threads, threads share the samples as well and add
 * their sums to df one after the other, which is exact in any order.
 */
#ifndef ITR_TILE_WEIGHT_H
#define ITR_TILE_WEIGHT_H

#include "pack.h"

enum { WEIGHT_SUMS = 9216 }; /**< sums of a block: 64 lanes of 16 channels of 9 taps */

typedef struct weight_job {
    const itr_conv_args *a;
    tile_type t;
    int64_t taps, rows, columns;  /**< of a group: of dy's channels, of df's lines */
    int64_t lane_step, row_step;  /**< of df, from lane to lane and from row to row */
    int64_t step_y, pick_y;       /**< lines of the band a position; source lines a line */
    int64_t phases;               /**< of columns: a line holds each separately */
    int64_t lanes, channels;      /**< of a block */
    int64_t images, lines, width; /**< of a chunk: positions are images * lines * width */
    int64_t parts_y, parts_x;     /**< chunks of an image */
    int64_t lane_blocks, channel_blocks;
    int64_t shares; /**< threads that share the samples of a block */
} weight_job;

typedef struct weight_buffers {
    tile_k k;
    _Alignas(64) tile_lane panel[TILE_PANEL];
    _Alignas(64) tile_row band[TILE_BAND + TILE_SLACK];
    const tile_row *row[WEIGHT_SUMS / TILE_LANES + TILE_ROWS];
    _Alignas(64) int32_t sum[2 * TILE_SUMS];
    _Alignas(64) int64_t total[WEIGHT_SUMS / 2 + TILE_ROWS * TILE_LANES]; /**< int32 or int64 */
} weight_buffers;

/** Which samples and positions a chunk covers. */
typedef struct weight_chunk {
    int64_t image, images, y, lines, x, width;
} weight_chunk;

/** Columns of one phase of a line of the band. */
static inline int64_t weight_columns(const weight_job *j, int64_t width)
{
    const itr_conv_args *a = j->a;
    const int64_t last = (a->kw - 1) * a->dilation_w;
    return j->phases == 1 ? width + (a->kw > 1 ? last : 0)
                          : tile_ceil((width - 1) * a->stride_w + last + 1, a->stride_w);
}

static inline int64_t weight_height(const weight_job *j, int64_t lines)
{
    return (lines - 1) * j->step_y + (j->a->kh - 1) * j->a->dilation_h + 1;
}

/** Whether a chunk of this shape fits the buffers. */
static inline bool weight_fits(const weight_job *j, int64_t channels, int64_t images, int64_t lines,
                               int64_t width)
{
    const int64_t k = images * lines * tile_ceil(width, TILE_UNIT) * TILE_UNIT;
    const int64_t band =
        channels * images * weight_height(j, lines) * j->phases * weight_columns(j, width);
    return k * TILE_LANES * (j->t.in16 ? 2 : 1) <= TILE_PANEL &&
           k <= (j->t.in16 ? TILE_K16 : TILE_K8) && images * lines <= TILE_RUNS &&
           band <= TILE_BAND;
}

/** The largest n in [1, most] for which a shape fits, given that 1 does. */
#define WEIGHT_GROW(n, most, fits)                                                                 \
    for (n = (most); n > 1 && !(fits); n--) {                                                      \
    }

static inline bool weight_plan(weight_job *j, const itr_conv_args *a, tile_type t)
{
    *j = (weight_job){.a = a, .t = t, .taps = a->kh * a->kw, .rows = a->m / a->groups};
    const int64_t group_channels = a->c / a->groups, sums = t.out64 ? WEIGHT_SUMS / 2 : WEIGHT_SUMS;
    j->columns = group_channels * j->taps;
    j->lane_step = j->columns;
    j->row_step = 1;
    j->step_y = a->kh == 1 ? 1 : a->stride_h;
    j->pick_y = a->kh == 1 ? a->stride_h : 1;
    j->phases = a->kw == 1 ? 1 : a->stride_w;
    j->lanes = tile_least(tile_ceil(j->rows, TILE_LANES), 4) * TILE_LANES;
    while (j->lanes > TILE_LANES && j->taps * j->lanes > sums) {
        j->lanes -= TILE_LANES;
    }
    j->channels = tile_least(sums / (j->taps * j->lanes), group_channels);
    while (j->channels > 1 && !weight_fits(j, j->channels, 1, 1, tile_least(a->ow, 64))) {
        j->channels = tile_ceil(j->channels, 2);
    }
    if (j->channels < 1 || !weight_fits(j, j->channels, 1, 1, 1)) {
        return false;
    }
    WEIGHT_GROW(j->width, a->ow, weight_fits(j, j->channels, 1, 1, j->width))
    j->lines = j->images = 1;
    if (j->width == a->ow) {
        WEIGHT_GROW(j->lines, a->oh, weight_fits(j, j->channels, 1, j->lines, j->width))
    }
    if (j->width == a->ow && j->lines == a->oh) {
        WEIGHT_GROW(j->images, a->n, weight_fits(j, j->channels, j->images, j->lines, j->width))
    }
    j->parts_x = tile_ceil(a->ow, j->width);
    j->parts_y = tile_ceil(a->oh, j->lines);
    j->lane_blocks = tile_ceil(j->rows, j->lanes);
    j->channel_blocks = tile_ceil(group_channels, j->channels);
    const int64_t blocks = a->groups * j->lane_blocks * j->channel_blocks;
    const int64_t chunks = tile_ceil(a->n, j->images) * j->parts_y * j->parts_x;
    const int64_t threads = itr_pool_threads(a->pool);
    j->shares = threads > 1 ? tile_least(tile_ceil(2 * threads, blocks), chunks) : 1;
    return true;
}

/** The source of a chunk and of channels [c, c+channels), counted over all groups. */
static inline void weight_band(const weight_job *j, const weight_chunk *k, tile_row *band,
                               int64_t c, int64_t channels)
{
    const itr_conv_args *a = j->a;
    const int64_t height = weight_height(j, k->lines), columns = weight_columns(j, k->width);
    const int64_t line = j->phases * columns;
    const tile_columns at = {
        a->w, k->x * a->stride_w - a->pad_left, a->stride_w, j->phases, columns, false};
    const bool inside = j->taps == 1 && at.step == 1 && at.x >= 0 && at.x + columns <= a->w;
    int64_t plane = k->image * a->c + c; /* image by image of a channel */
    for (int64_t i = 0, image = 0; i < channels * k->images; i++) {
        for (int64_t l = 0; l < height; l++, band += line) {
            const int64_t y = k->y * a->stride_h - a->pad_top + l * j->pick_y;
            if (y < 0 || y >= a->h) {
                tile_zeros(band, line);
            } else if (inside) {
                tile_take(band, j->t, a->a, (plane * a->h + y) * a->w + at.x, line);
            } else {
                tile_line(band, j->t, tile_advance(a->a, j->t, (plane * a->h + y) * a->w), &at);
            }
        }
        plane += a->c;
        if (++image == k->images) {
            plane += 1 - image * a->c;
            image = 0;
        }
    }
}

/** dy of a chunk and of channels [m, m+lanes), counted over all groups; a panel is `size` long. */
static inline void weight_panel(const weight_job *j, const weight_chunk *k, tile_lane *panel,
                                int64_t m, int64_t lanes)
{
    const itr_conv_args *a = j->a;
    const int64_t plane = a->oh * a->ow;
    const bool joined = k->width == a->ow && k->width % TILE_UNIT == 0 && !j->t.in16;
    const int64_t pieces = joined ? 1 : k->lines, count = joined ? k->lines * k->width : k->width;
    const int64_t size = tile_panel_size(count);
#if TILE_16
    if (j->t.in16) { /* high and low panels lie behind each other as wholes */
        const int64_t whole = k->images * pieces * size;
        for (int64_t i = 0; i < k->images * pieces; i++) {
            const int64_t at =
                ((k->image + i / pieces) * a->m + m) * plane + (k->y + i % pieces) * a->ow + k->x;
            tile_panel_split(panel + i * size, panel + whole + i * size, (const int16_t *)a->b + at,
                             plane, 1, lanes, count);
        }
        return;
    }
#endif
    for (int64_t i = 0; i < k->images * pieces; i++) {
        const int64_t at =
            ((k->image + i / pieces) * a->m + m) * plane + (k->y + i % pieces) * a->ow + k->x;
        tile_panel_rows(panel + i * size, (const int8_t *)a->b + at, plane, lanes, count);
    }
}

/** Pointers to the taps of the band's channels, and the offsets of its lines. */
static inline int64_t weight_rows(const weight_job *j, const weight_chunk *k, weight_buffers *b,
                                  int64_t channels)
{
    const itr_conv_args *a = j->a;
    const int64_t height = weight_height(j, k->lines), columns = weight_columns(j, k->width);
    const int64_t line = j->phases * columns;
    int64_t n = 0;
    for (int64_t c = 0; c < channels; c++) {
        for (int64_t ky = 0; ky < a->kh; ky++) {
            for (int64_t kx = 0; kx < a->kw; kx++) {
                const int64_t x = kx * a->dilation_w;
                b->row[n++] = b->band + (c * k->images * height + ky * a->dilation_h) * line +
                              x % j->phases * columns + x / j->phases;
            }
        }
    }
    for (int64_t i = 0; i < TILE_ROWS; i++) { /* tiles begin anywhere: some rows are no taps */
        b->row[n + i] = b->band;
    }
    b->k.runs = (int)(k->images * k->lines);
    b->k.units = (int)tile_ceil(k->width, TILE_UNIT);
    for (int64_t i = 0; i < b->k.runs; i++) {
        b->k.at[i] = (int32_t)((i / k->lines * height + i % k->lines * j->step_y) * line);
    }
    return n;
}

/** total += the sums of n rows. */
static inline void weight_add(tile_type t, weight_buffers *b, int64_t at, int64_t n)
{
    if (!t.out64) {
        int32_t *total = (int32_t *)(void *)b->total + at;
        for (int64_t i = 0; i < n * TILE_LANES; i++) {
            total[i] += b->sum[i];
        }
        return;
    }
    for (int64_t i = 0; i < n * TILE_LANES; i++) {
        b->total[at + i] += t.in16 ? (int64_t)b->sum[i] * 256 + b->sum[TILE_SUMS + i] : b->sum[i];
    }
}

/** One chunk of a block: channels [c, c+channels) of the source, [m, m+lanes) of dy. */
static inline void weight_chunk_of(const weight_job *j, const weight_chunk *k, weight_buffers *b,
                                   int64_t c, int64_t channels, int64_t m, int64_t lanes)
{
    weight_band(j, k, b->band, c, channels);
    const int64_t n = weight_rows(j, k, b, channels);
    for (int64_t l = 0; l < lanes; l += TILE_LANES) {
        weight_panel(j, k, b->panel, m + l, tile_least(lanes - l, TILE_LANES));
        for (int64_t r = 0; r < n; r += TILE_POSITIONS) {
            const int64_t rows = tile_least(n - r, TILE_POSITIONS);
            tile_run(b->row + r, rows, &b->k, j->t, b->panel, b->sum);
            weight_add(j->t, b, l * n + r * TILE_LANES, rows);
        }
    }
}

/** A block's sums go to df: stored, or added where others have a share in them. c: in the group. */
static inline void weight_store(const weight_job *j, weight_buffers *b, int64_t c, int64_t channels,
                                int64_t m, int64_t lanes)
{
    const int64_t n = channels * j->taps;
    const bool add = j->shares > 1;
    if (add) {
        itr_pool_lock(j->a->pool);
    }
    for (int64_t l = 0; l < lanes; l += TILE_LANES) {
        void *y = tile_result(j->a->y, j->t, (m + l) * j->lane_step + c * j->taps * j->row_step);
        const int64_t width = tile_least(lanes - l, TILE_LANES);
        if (!j->t.out64) {
            const tile_out o = {
                .y = y, .lane_step = j->lane_step, .row_step = j->row_step, .add = add};
            tile_scatter(&o, j->t, (int32_t *)(void *)b->total + l * n, n, width);
            continue;
        }
        for (int64_t i = 0; i < n * width; i++) {
            int64_t *to = (int64_t *)y + i / n * j->lane_step + i % n * j->row_step;
            const int64_t v = b->total[l * n + i % n * TILE_LANES + i / n];
            *to = add ? *to + v : v;
        }
    }
    if (add) {
        itr_pool_unlock(j->a->pool);
    }
}

/** Items are (group, block of channels, block of lanes, share of the samples). */
static inline void weight_range(void *user, int64_t begin, int64_t end)
{
    const weight_job *j = (const weight_job *)user;
    const itr_conv_args *a = j->a;
    const int64_t parts = j->parts_y * j->parts_x;
    const int64_t chunks = tile_ceil(a->n, j->images) * parts;
    weight_buffers b;
    tile_zeros(b.band, TILE_BAND + TILE_SLACK);
    for (int64_t i = begin; i < end; i++) {
        const int64_t share = i % j->shares, lane_block = i / j->shares % j->lane_blocks;
        const int64_t rest = i / j->shares / j->lane_blocks;
        const int64_t group = rest / j->channel_blocks, block = rest % j->channel_blocks;
        const int64_t c0 = block * j->channels, m0 = lane_block * j->lanes;
        const int64_t channels = tile_least(j->channels, a->c / a->groups - c0);
        const int64_t lanes = tile_least(j->lanes, j->rows - m0);
        const int64_t c = group * (a->c / a->groups) + c0, m = group * j->rows + m0;
        memset(b.total, 0, sizeof b.total);
        for (int64_t k = chunks * share / j->shares; k < chunks * (share + 1) / j->shares; k++) {
            weight_chunk chunk = {.image = k / parts * j->images,
                                  .y = k % parts / j->parts_x * j->lines,
                                  .x = k % j->parts_x * j->width};
            chunk.images = tile_least(j->images, a->n - chunk.image);
            chunk.lines = tile_least(j->lines, a->oh - chunk.y);
            chunk.width = tile_least(j->width, a->ow - chunk.x);
            weight_chunk_of(j, &chunk, &b, c, channels, m, lanes);
        }
        weight_store(j, &b, c0, channels, m, lanes);
    }
}

static inline void weight_clear(void *user, int64_t begin, int64_t end)
{
    const weight_job *j = (const weight_job *)user;
    memset(tile_result(j->a->y, j->t, begin * j->columns), 0,
           (size_t)((end - begin) * j->columns) * (j->t.out64 ? 8 : 4));
}

/**
 * With single taps of one line as long as dy's both operands are alike: lanes are channels of that
 * which leaves fewer of them idle. *b takes the arguments with both exchanged; false: stay.
 */
static inline bool weight_exchange(const itr_conv_args *a, itr_conv_args *b)
{
    const int64_t idle_m = tile_ceil(a->m, TILE_LANES) * TILE_LANES * a->c;
    const int64_t idle_c = tile_ceil(a->c, TILE_LANES) * TILE_LANES * a->m;
    *b = *a;
    b->c = a->m;
    b->m = a->c;
    b->a = a->b;
    b->b = a->a;
    return a->groups * a->kh * a->kw * a->stride_h * a->stride_w == 1 && a->h * a->oh == 1 &&
           a->pad_top == 0 && a->pad_left == 0 && a->w == a->ow && idle_c < idle_m;
}

/** False: too many taps for the buffers. */
static inline bool weight_run(const itr_conv_args *a, tile_type t)
{
    weight_job j;
    itr_conv_args exchanged;
    const bool exchange = weight_exchange(a, &exchanged);
    if (a->n * a->oh * a->ow == 0 || !weight_plan(&j, exchange ? &exchanged : a, t)) {
        return false;
    }
    if (exchange) {
        j.lane_step = 1;
        j.row_step = a->c;
    }
    if (j.shares > 1) {
        itr_parallel(a->pool, j.a->m, 1, weight_clear, &j);
    }
    itr_parallel(a->pool, a->groups * j.channel_blocks * j.lane_blocks * j.shares, 1, weight_range,
                 &j);
    return true;
}

#undef WEIGHT_GROW

#endif
