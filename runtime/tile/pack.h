/**
 * Packing and storing of any size, from the blocks of an instruction set (tile.h says which).
 * Nothing behind an operand's end is read: what is left of a block is copied first.
 */
#ifndef ITR_TILE_PACK_H
#define ITR_TILE_PACK_H

/** n elements of rows that stand for 0. */
static inline void tile_zeros(tile_row *to, int64_t n)
{
    if (n > 8) {
        memset(to, TILE_BIAS, (size_t)n * sizeof *to);
        return;
    }
    for (int64_t i = 0; i < n; i++) { /* a border: shorter than a call */
        to[i] = TILE_BIAS;
    }
}

/** n elements of an operand from position `at` on as elements of rows. */
static inline void tile_take(tile_row *to, tile_type t, const void *x, int64_t at, int64_t n)
{
#if TILE_16
    if (t.in16) {
        memcpy(to, (const int16_t *)x + at, (size_t)n * sizeof *to);
        return;
    }
#endif
    (void)t;
    tile_widen(to, (const int8_t *)x + at, n);
}

/** The same of every step-th element; `room` of them may be read from `at` on. */
static inline void tile_take_every(tile_row *to, tile_type t, const void *x, int64_t at,
                                   int64_t step, int64_t n, int64_t room)
{
    const int8_t *from = (const int8_t *)x + at;
    int64_t i = 0;
#if TILE_16
    if (t.in16) {
        for (; i < n; i++) {
            to[i] = ((const int16_t *)x)[at + i * step];
        }
        return;
    }
#endif
    (void)t;
    if (step == 2) {
        i = tile_widen_even(to, from, tile_least(n, room / 2));
    }
    for (; i < n; i++) {
        to[i] = (tile_row)(from[i * step] + TILE_BIAS);
    }
}

/** How a line of a plane is laid out: columns of one phase of the step after the other. */
typedef struct tile_columns {
    int64_t source;          /**< elements of the line */
    int64_t x;               /**< coordinate of the first column; it may lie outside */
    int64_t step;            /**< coordinates between columns of a phase */
    int64_t phases, columns; /**< phases begin at x, x + 1, …; 1: those between are left out */
    bool clean;              /**< what lies outside is 0 already */
} tile_columns;

/** A line from `from` on; outside are zeros. */
static inline void tile_line(tile_row *to, tile_type t, const void *from, const tile_columns *c)
{
    for (int64_t phase = 0; phase < c->phases; phase++, to += c->columns) {
        const int64_t x = c->x + phase;
        const int64_t before = x < 0 ? -x : 0, until = c->source > x ? c->source - x : 0;
        const int64_t first = c->step == 1 ? before : tile_ceil(before, c->step); /* no division */
        const int64_t end = c->step == 1 ? until : tile_ceil(until, c->step);
        const int64_t lo = tile_least(first, c->columns);
        const int64_t hi = end < lo ? lo : tile_least(end, c->columns);
        if (!c->clean) {
            tile_zeros(to, lo);
            tile_zeros(to + hi, c->columns - hi);
        }
        if (c->step == 1) {
            tile_take(to + lo, t, from, x + lo, hi - lo);
        } else {
            tile_take_every(to + lo, t, from, x + lo * c->step, c->step, hi - lo,
                            c->source - x - lo * c->step);
        }
    }
}

/** Where pixels go: `width` of them in a line, `step` elements apart, lines `line` elements. */
typedef struct tile_target {
    tile_row *at;
    int64_t step, line, width;
    int64_t x; /**< pixels of the present line that are done */
} tile_target;

static inline tile_row *tile_next_pixel(tile_target *t)
{
    tile_row *at = t->at + t->x * t->step;
    if (++t->x == t->width) {
        t->x = 0;
        t->at += t->line;
    }
    return at;
}

static inline void tile_pixels_of_16(tile_target t, const int8_t *from, int64_t plane,
                                     int64_t count)
{
    int8_t rest[16 * 16];
    tile_row unused[16];
    tile_row *to[16];
    for (int64_t p = 0; p < count; p += 16) {
        const int64_t n = tile_least(count - p, 16);
        for (int i = 0; i < 16; i++) {
            to[i] = i < n ? tile_next_pixel(&t) : unused;
        }
        for (int c = 0; n < 16 && c < 16; c++) {
            memcpy(rest + 16 * c, from + c * plane + p, (size_t)n);
        }
        tile_pixels16(to, n < 16 ? rest : from + p, n < 16 ? 16 : plane);
    }
}

#define DEFINE_PIXELS(name, type)                                                                  \
    static inline void name(tile_target t, const type *from, int64_t plane, int64_t channels,      \
                            int64_t count)                                                         \
    {                                                                                              \
        for (int64_t p = 0; p < count; p++) {                                                      \
            tile_row *to = tile_next_pixel(&t);                                                    \
            for (int64_t c = 0; c < channels; c++) {                                               \
                to[c] = (tile_row)(from[c * plane + p] + TILE_BIAS);                               \
            }                                                                                      \
        }                                                                                          \
    }
DEFINE_PIXELS(tile_pixels_any, int8_t)
#if TILE_16
DEFINE_PIXELS(tile_pixels_int16, int16_t)
#endif
#undef DEFINE_PIXELS

/** count consecutive pixels of `channels` planes, channels innermost. */
static inline void tile_pixels(tile_target t, tile_type type, const void *x, int64_t plane,
                               int64_t channels, int64_t count)
{
#if TILE_16
    if (type.in16) {
        tile_pixels_int16(t, (const int16_t *)x, plane, channels, count);
        return;
    }
#endif
    const int8_t *from = (const int8_t *)x;
    (void)type;
    for (; channels >= 16; channels -= 16) {
        tile_pixels_of_16(t, from, plane, count);
        from += 16 * plane;
        t.at += 16;
    }
    if (channels > 0) {
        tile_pixels_any(t, from, plane, channels, count);
    }
}

/* ---- panels ---- */

/** Elements of a panel over `count` elements of k. */
static inline int64_t tile_panel_size(int64_t count)
{
    return tile_ceil(count, TILE_UNIT) * TILE_UNIT * TILE_LANES;
}

/** Element k of a lane. */
static inline tile_lane *tile_panel_at(tile_lane *panel, int64_t k, int64_t lane)
{
    return panel + (k / TILE_UNIT * TILE_LANES + lane) * TILE_UNIT + k % TILE_UNIT;
}

/** Lanes of `count` consecutive elements each, `step` apart; zeros in lanes without a row. */
static inline void tile_panel_rows(tile_lane *to, const int8_t *from, int64_t step, int64_t lanes,
                                   int64_t count)
{
    int8_t rest[16 * 16];
    tile_lane end[16 * TILE_LANES];
    for (int64_t k = 0; k < count; k += 16) {
        const int64_t n = tile_least(count - k, 16);
        if (n == 16 && lanes == TILE_LANES) {
            tile_panel_rows16(to, from + k, step);
            to += 16 * TILE_LANES;
            continue;
        }
        memset(rest, 0, sizeof rest);
        for (int64_t l = 0; l < lanes; l++) {
            memcpy(rest + 16 * l, from + l * step + k, (size_t)n);
        }
        tile_panel_rows16(end, rest, 16);
        memcpy(to, end, (size_t)tile_panel_size(n) * sizeof *to);
        to += 16 * TILE_LANES;
    }
}

/** `count` elements of k, `step` apart, each for consecutive lanes. */
static inline void tile_panel_lanes(tile_lane *to, const int8_t *from, int64_t step, int64_t lanes,
                                    int64_t count)
{
    int8_t rest[TILE_UNIT][TILE_LANES];
    const int8_t *unit[TILE_UNIT];
    for (int64_t k = 0; k < count; k += TILE_UNIT) {
        const int64_t n = tile_least(count - k, TILE_UNIT);
        const bool whole = n == TILE_UNIT && lanes == TILE_LANES;
        memset(rest, 0, whole ? 0 : sizeof rest);
        for (int64_t i = 0; i < TILE_UNIT; i++) {
            unit[i] = whole ? from + (k + i) * step : rest[i];
            if (!whole && i < n) {
                memcpy(rest[i], from + (k + i) * step, (size_t)lanes);
            }
        }
        tile_panel_unit(to, unit);
        to += TILE_UNIT * TILE_LANES;
    }
}

#if TILE_16
/**
 * int16 lanes as two panels: high bytes (signed) and low bytes (0 to 255). Element (lane, k) lies
 * at from[lane * lane_step + k * k_step].
 */
static inline void tile_panel_split(tile_lane *high, tile_lane *low, const int16_t *from,
                                    int64_t lane_step, int64_t k_step, int64_t lanes, int64_t count)
{
    const size_t bytes = (size_t)tile_panel_size(count) * sizeof *high;
    memset(high, 0, bytes);
    memset(low, 0, bytes);
    for (int64_t l = 0; l < lanes; l++) {
        for (int64_t k = 0; k < count; k++) {
            const int16_t x = from[l * lane_step + k * k_step];
            *tile_panel_at(high, k, l) = (tile_lane)(x >> 8);
            *tile_panel_at(low, k, l) = (tile_lane)(x & 255);
        }
    }
}
#endif

/**
 * A panel over elements (lane, k) at x + lane * lane_step + k * k_step, one of whose steps is 1.
 * Returns its size: twice as much for operands of 16 bits.
 */
static inline int64_t tile_panel(tile_lane *to, tile_type t, const void *x, int64_t lane_step,
                                 int64_t k_step, int64_t lanes, int64_t count)
{
#if TILE_16
    if (t.in16) {
        tile_panel_split(to, to + tile_panel_size(count), (const int16_t *)x, lane_step, k_step,
                         lanes, count);
        return 2 * tile_panel_size(count);
    }
#endif
    (void)t;
    if (k_step == 1) {
        tile_panel_rows(to, (const int8_t *)x, lane_step, lanes, count);
    } else {
        tile_panel_lanes(to, (const int8_t *)x, k_step, lanes, count);
    }
    return tile_panel_size(count);
}

/* ---- sums ---- */

/**
 * The sums of n rows (any number) and a panel, or of the two panels of operands of 16 bits: then
 * high sums stand in `sum`, low ones behind all of them, at sum + TILE_SUMS.
 */
enum { TILE_SUMS = (TILE_POSITIONS + TILE_ROWS) * TILE_LANES };

static inline void tile_run(const tile_row *const *row, int64_t n, const tile_k *k, tile_type t,
                            const tile_lane *f, int32_t *sum)
{
    const int64_t units = (int64_t)k->runs * k->units;
    int32_t start[TILE_LANES];
    for (int part = 0; part <= t.in16; part++) {
        const tile_lane *panel = f + part * units * TILE_UNIT * TILE_LANES;
        tile_start(units, panel, start);
        for (int64_t r = 0; r < n; r += TILE_ROWS) {
            tile(row + r, k, panel, start, sum + part * TILE_SUMS + r * TILE_LANES);
        }
    }
}

/**
 * Where sums go: y[l * lane_step + r * row_step] = or += sum[r][l]. Steps of 1 and 2 from row to
 * row are fast; with 2, the elements between are read and written back as they are, from y - odd
 * (odd is 0 or 1) up to `room` elements behind it, and they belong to the same part of a loop.
 */
typedef struct tile_out {
    void *y;
    int64_t lane_step, row_step;
    int64_t odd, room;
    bool add;
} tile_out;

static inline void tile_scatter_any(const tile_out *o, tile_type t, const int32_t *sum, int64_t r0,
                                    int64_t rows, int64_t l0, int64_t lanes)
{
    for (int64_t r = r0; r < rows; r++) {
        for (int64_t l = l0; l < lanes; l++) {
            const int64_t at = l * o->lane_step + r * o->row_step;
            const int64_t i = r * TILE_LANES + l;
            if (t.out64) {
                int64_t *to = (int64_t *)o->y + at;
                const int64_t v = t.in16 ? (int64_t)sum[i] * 256 + sum[TILE_SUMS + i] : sum[i];
                *to = o->add ? *to + v : v;
            } else {
                int32_t *to = (int32_t *)o->y + at;
                *to = o->add ? *to + sum[i] : sum[i];
            }
        }
    }
}

/** Rows of the result in which lanes are neighbours. */
static inline void tile_store_rows(const tile_out *o, const int32_t *sum, int64_t rows,
                                   int64_t lanes)
{
    for (int64_t r = 0; r < rows; r++, sum += TILE_LANES) {
        int32_t *to = (int32_t *)o->y + r * o->row_step;
        if (!o->add) {
            memcpy(to, sum, (size_t)lanes * sizeof *to);
        } else if (lanes == TILE_LANES) {
            for (int l = 0; l < TILE_LANES; l++) {
                to[l] += sum[l];
            }
        } else {
            for (int64_t l = 0; l < lanes; l++) {
                to[l] += sum[l];
            }
        }
    }
}

/** Whether a result of so many int32 is streamed. */
static inline bool tile_streams(int64_t elements)
{
    return TILE_STREAM && elements >= TILE_STREAMED / (int64_t)sizeof(int32_t);
}

static inline void tile_scatter_lines(int32_t *y, int64_t step, const int32_t *sum, int n, bool add,
                                      bool stream)
{
#if TILE_STREAM
    if (stream && !add && ((uintptr_t)y | (uintptr_t)step * sizeof *y) % TILE_LINE == 0) {
        tile_stream_block(y, step, sum, n);
        return;
    }
#endif
    (void)stream;
    tile_scatter_block(y, step, sum, n, add);
}

static inline void tile_scatter(const tile_out *o, tile_type t, const int32_t *sum, int64_t rows,
                                int64_t lanes)
{
    if (!t.out64 && o->lane_step == 1) {
        tile_store_rows(o, sum, rows, lanes);
        return;
    }
    const int block = o->row_step == 1 ? TILE_SCATTER : 8;
    int64_t fast = t.out64 ? 0 : rows / block * block;
    if (o->row_step == 2) {
        fast = tile_least(fast, o->room / 16 * 8);
    } else if (o->row_step != 1) {
        fast = 0;
    }
    for (int64_t l = 0; fast > 0 && l < lanes; l += block) { /* whole cache lines */
        const int n = (int)tile_least(lanes - l, block);
        int32_t *to = (int32_t *)o->y + l * o->lane_step;
        for (int64_t r = 0; r < fast; r += block) {
            const int32_t *from = sum + r * TILE_LANES + l;
            if (o->row_step == 1) {
                tile_scatter_lines(to + r, o->lane_step, from, n, o->add, t.stream);
            } else {
                tile_scatter8_by2(to + 2 * r - o->odd, o->lane_step, from, n, o->add, o->odd == 1);
            }
        }
    }
    tile_scatter_any(o, t, sum, fast, rows, 0, lanes);
}

#endif
