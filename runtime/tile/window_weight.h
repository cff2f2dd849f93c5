/**
 * The gradient of a depthwise convolution for its filter with an instruction that adds up four
 * products of bytes: both operands lie in lines of the same pitch, the source biased and with a
 * border of zeros, dy with zeros behind each line; so a tap's sum is one over all lines of a plane,
 * of dy and the source so many bytes further on. Sums of a few filters stay in lanes until their
 * samples are through; one more, of dy times the bias, takes that back. With strides the source's
 * lines and columns are sorted by their phase.
 *
 * An instruction set defines
 *
 *   window_copy()     columns of a phase of an operand's lines, lines at the pitch
 *   window_products() sums of all taps and of the bias, lane by lane
 *   window_total()    the sum of lanes
 */
#ifndef ITR_TILE_WINDOW_WEIGHT_H
#define ITR_TILE_WINDOW_WEIGHT_H

#include "window.h"

enum {
    PRODUCT_BYTES = 64,    /**< that are multiplied at a time */
    PRODUCT_BAND = 49152,  /**< bytes of both operands of the planes of a batch */
    PRODUCT_BATCH = 16384, /**< the same, where there are several planes */
    PRODUCT_SUMS = 1024,   /**< sums of lanes */
    PRODUCT_LANES = 16,
    PRODUCT_FILTERS = 16 /**< whose sums are gathered together */
};

/** A line's columns, PRODUCT_BYTES of the operand a block: see window_block. */
typedef struct product_line {
    int64_t blocks, step;
    int64_t ahead; /**< bytes to what is read some time later */
    uint8_t zero;  /**< what stands for 0 */
    window_block b[WINDOW_BLOCKS];
} product_line;

typedef struct product_job {
    const itr_conv_args *a;
    bool out64;
    int64_t pitch, taps;
    int64_t lines, bands;  /**< of dy */
    int64_t part;          /**< lines of a phase of the source */
    int64_t size, dy_size; /**< bytes of a band of the source, of dy behind it */
    int64_t filters, batch;
    product_line dy, x[2];        /**< of the phases of columns */
    int32_t at[TILE_DIRECT_TAPS]; /**< of a tap in the band of the source */
} product_job;

typedef struct product_buffers {
    _Alignas(64) uint8_t band[PRODUCT_BAND + PRODUCT_BYTES];
    _Alignas(64) int32_t sum[PRODUCT_SUMS][PRODUCT_LANES]; /**< a filter: its taps, the bias */
    int64_t total[PRODUCT_SUMS];
    const int8_t *x[PRODUCT_FILTERS], *dy[PRODUCT_FILTERS]; /**< a filter's planes of image 0 */
} product_buffers;

static void window_copy(const product_line *l, uint8_t *to, int64_t pitch, const int8_t *from,
                        int64_t step, int64_t lines);
static void window_products(const product_job *j, int32_t (*sum)[PRODUCT_LANES], const uint8_t *x,
                            const uint8_t *dy, int64_t bytes);
static int32_t window_total(const int32_t sum[PRODUCT_LANES]);

/* ---- the plan ---- */

/** Every step-th byte from coordinate `first` on, `width` of them; false: too many blocks. */
static inline bool product_plan_line(product_line *l, int64_t source, int64_t first, int64_t step,
                                     int64_t width)
{
    const int64_t columns = PRODUCT_BYTES / step;
    l->step = step;
    l->blocks = tile_ceil(width, columns);
    for (int64_t i = 0; i < l->blocks && l->blocks <= WINDOW_BLOCKS; i++) {
        window_block *b = &l->b[i];
        b->at = first + i * PRODUCT_BYTES;
        for (int64_t k = 0; k < columns && i * columns + k < width; k++) {
            const int64_t at = b->at + k * step;
            b->inside |= (uint64_t)(at >= 0 && at < source) << (k * step);
        }
    }
    return l->blocks <= WINDOW_BLOCKS;
}

/** Lines of a band, and where its parts lie; false: no line fits. */
static inline bool product_plan_bands(product_job *j)
{
    const itr_conv_args *a = j->a;
    const int64_t more = (a->kh - 1) * a->dilation_h / a->stride_h;
    const int64_t phases = (int64_t)a->stride_h * a->stride_w;
    const int64_t most = (PRODUCT_BAND - 3 * PRODUCT_BYTES) / j->pitch;
    j->lines = tile_least(a->oh, (most - phases * more) / (phases + 1));
    if (j->lines < 1) {
        return false;
    }
    j->bands = tile_ceil(a->oh, j->lines);
    j->part = j->lines + more;
    j->size = tile_ceil(phases * j->part * j->pitch, PRODUCT_BYTES) * PRODUCT_BYTES;
    /* a block of zeros: copies may end behind their line */
    j->dy_size = (tile_ceil(j->lines * j->pitch, PRODUCT_BYTES) + 1) * PRODUCT_BYTES;
    return true;
}

static inline bool product_plan(product_job *j, const itr_conv_args *a, bool out64)
{
    *j = (product_job){.a = a, .out64 = out64, .taps = a->kh * a->kw};
    j->pitch = a->ow + (a->kw - 1) * a->dilation_w / a->stride_w;
    if (a->stride_w > 2 || j->taps > TILE_DIRECT_TAPS || !product_plan_bands(j) ||
        !product_plan_line(&j->dy, a->ow, 0, 1, a->ow)) {
        return false;
    }
    for (int64_t i = 0; i < a->stride_w; i++) {
        j->x[i].zero = TILE_BIAS;
        if (!product_plan_line(&j->x[i], a->w, i - a->pad_left, a->stride_w, j->pitch)) {
            return false;
        }
    }
    for (int64_t i = 0; i < j->taps; i++) {
        const int64_t y = i / a->kw * a->dilation_h, x = i % a->kw * a->dilation_w;
        const int64_t phase = y % a->stride_h * a->stride_w + x % a->stride_w;
        j->at[i] = (int32_t)((phase * j->part + y / a->stride_h) * j->pitch + x / a->stride_w);
    }
    const int64_t all = a->m * (a->c / a->groups), threads = itr_pool_threads(a->pool);
    const int64_t most = tile_least(PRODUCT_FILTERS, PRODUCT_SUMS / (j->taps + 1));
    const int64_t blocks = tile_ceil(tile_ceil(all, most), threads) * threads; /* as many each */
    j->filters = tile_ceil(all, blocks);
    j->dy.ahead = window_ahead(j->filters * a->oh * a->ow, a->m * a->oh * a->ow);
    j->x[0].ahead = j->x[1].ahead = window_ahead(j->filters * a->h * a->w, a->c * a->h * a->w);
    j->batch = tile_least(j->filters, PRODUCT_BATCH / (j->size + j->dy_size));
    j->batch = j->batch < 1 || j->bands > 1 ? 1 : j->batch;
    return true;
}

/* ---- its execution ---- */

/** Zeros of both operands. */
static inline void product_clear(const product_job *j, uint8_t *band)
{
    memset(band, TILE_BIAS, (size_t)j->size);
    memset(band + j->size, 0, (size_t)j->dy_size);
}

/** Lines [y0, y0+lines) of dy's planes of `count` filters from i0 on, and what they meet of the
 * source, of image n. */
static inline void product_bands(const product_job *j, product_buffers *b, int64_t n, int64_t y0,
                                 int64_t lines, int64_t i0, int64_t count)
{
    const itr_conv_args *a = j->a;
    const int64_t sw = a->stride_w, size = j->size + j->dy_size;
    for (int64_t k = 0; k < count && j->bands > 1; k++) { /* else borders stay as they were */
        product_clear(j, b->band + k * size);
    }
    for (int64_t i = 0; i < a->stride_h * sw; i++) {
        const int64_t y = y0 * a->stride_h - a->pad_top + i / sw; /* of the phase's first line */
        const int64_t before = y < 0 ? tile_ceil(-y, a->stride_h) : 0;
        const int64_t until = a->h > y ? tile_ceil(a->h - y, a->stride_h) : 0;
        const int64_t lo = tile_least(before, j->part);
        const int64_t hi = until < lo ? lo : tile_least(until, j->part);
        const int64_t from = n * a->c * a->h * a->w + (y + lo * a->stride_h) * a->w;
        uint8_t *to = b->band + (i * j->part + lo) * j->pitch;
        for (int64_t k = 0; k < count; k++) {
            window_copy(&j->x[i % sw], to + k * size, j->pitch, b->x[i0 + k] + from,
                        a->stride_h * a->w, hi - lo);
        }
    }
    for (int64_t k = 0; k < count; k++) {
        window_copy(&j->dy, b->band + k * size + j->size, j->pitch,
                    b->dy[i0 + k] + (n * a->m * a->oh + y0) * a->ow, a->ow, lines);
    }
}

/** Sums of lanes to totals. */
static inline void product_flush(const product_job *j, product_buffers *b, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        int32_t(*sum)[PRODUCT_LANES] = b->sum + i * (j->taps + 1);
        const uint32_t bias = (uint32_t)window_total(sum[j->taps]);
        for (int64_t k = 0; k < j->taps; k++) {
            b->total[i * j->taps + k] += (int32_t)((uint32_t)window_total(sum[k]) - bias);
        }
    }
    memset(b->sum, 0, (size_t)(count * (j->taps + 1)) * sizeof b->sum[0]);
}

/** The products of a band of image n. */
static inline void product_band(const product_job *j, product_buffers *b, int64_t n, int64_t y0,
                                int64_t count)
{
    const int64_t lines = tile_least(j->lines, j->a->oh - y0);
    const int64_t bytes = tile_ceil(lines * j->pitch, PRODUCT_BYTES) * PRODUCT_BYTES;
    for (int64_t i = 0; i < count; i += j->batch) {
        const int64_t together = tile_least(j->batch, count - i);
        product_bands(j, b, n, y0, lines, i, together);
        for (int64_t k = 0; k < together; k++) {
            const uint8_t *x = b->band + k * (j->size + j->dy_size);
            window_products(j, b->sum + (i + k) * (j->taps + 1), x, x + j->size, bytes);
        }
    }
}

/** Filters [first, first+count) (channel of dy, channel of the group's source) of all images. */
static inline void product_block(const product_job *j, product_buffers *b, int64_t first,
                                 int64_t count)
{
    const itr_conv_args *a = j->a;
    const int64_t channels = a->c / a->groups, rows = a->m / a->groups;
    int64_t done = 0; /* products that the sums of lanes hold */
    for (int64_t i = 0; i < count; i++) {
        const int64_t m = (first + i) / channels;
        const int64_t c = m / rows * channels + (first + i) % channels;
        b->x[i] = (const int8_t *)a->a + c * a->h * a->w;
        b->dy[i] = (const int8_t *)a->b + m * a->oh * a->ow;
    }
    memset(b->sum, 0, sizeof b->sum);
    memset(b->total, 0, sizeof b->total);
    for (int64_t k = 0; k < a->n * j->bands; k++) {
        if (done + j->lines * a->ow > TILE_K8) {
            product_flush(j, b, count);
            done = 0;
        }
        product_band(j, b, k / j->bands, k % j->bands * j->lines, count);
        done += j->lines * a->ow;
    }
    product_flush(j, b, count);
    for (int64_t i = 0; i < count * j->taps; i++) {
        if (j->out64) {
            ((int64_t *)a->y)[first * j->taps + i] = b->total[i];
        } else {
            ((int32_t *)a->y)[first * j->taps + i] = (int32_t)b->total[i];
        }
    }
}

/** Items are blocks of filters: neighbours' planes lie behind each other. */
static inline void product_range(void *user, int64_t begin, int64_t end)
{
    const product_job *j = (const product_job *)user;
    const int64_t all = j->a->m * (j->a->c / j->a->groups);
    product_buffers b;
    for (int64_t i = 0; i < j->batch; i++) {
        product_clear(j, b.band + i * (j->size + j->dy_size));
    }
    for (int64_t i = begin; i < end; i++) {
        product_block(j, &b, i * j->filters, tile_least(j->filters, all - i * j->filters));
    }
}

/**
 * Whether products of lines need fewer instructions than weight.h's tiles, an image: of each filter
 * a product a tap and block, and some four a line to lay it out; of tiles products with all rows
 * and lanes, a third more for loads. So it is where channels are few on both sides.
 */
static inline bool product_is_better(const itr_conv_args *a)
{
    const int64_t channels = a->c / a->groups, rows = a->m / a->groups, taps = a->kh * a->kw;
    const int64_t pitch = a->ow + (a->kw - 1) * a->dilation_w / a->stride_w;
    const int64_t blocks = tile_ceil(a->oh * pitch, PRODUCT_BYTES);
    const int64_t products =
        rows * channels * ((blocks + 2) * (taps + 1) + 4 * (a->oh * (1 + a->stride_h) + a->kh));
    const int64_t lanes = tile_ceil(rows, TILE_LANES) * TILE_LANES;
    const int64_t sums = tile_ceil(channels * taps, TILE_ROWS) * TILE_ROWS * lanes;
    return products < sums * (a->oh * a->ow) / PRODUCT_BYTES * 4 / 3;
}

static inline bool window_grad_weight(const itr_conv_args *a, tile_type t)
{
    product_job j;
    if (a->n * a->oh * a->ow == 0 || !product_plan(&j, a, t.out64)) {
        return false;
    }
    itr_parallel(a->pool, tile_ceil(a->m * (a->c / a->groups), j.filters), 1, product_range, &j);
    return true;
}

#endif
