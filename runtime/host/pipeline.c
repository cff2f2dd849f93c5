#include "pipeline.h"

#include "../numeric.h"
#include "../rng.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void draw(uint64_t index, int64_t epoch, uint32_t site, uint32_t number, uint64_t seed,
                 uint32_t out[4])
{
    const uint32_t counter[4] = {(uint32_t)index, (uint32_t)epoch, (uint32_t)(index >> 32),
                                 site << 8 | number};
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    itr_philox(counter, key, out);
}

/* Uniform in [0, n): words at or above the largest multiple of n are not used. */
static uint64_t uniform(uint64_t n, uint64_t index, int64_t epoch, uint64_t seed)
{
    const uint64_t excess = (UINT64_MAX % n + 1) % n; /* 2^64 mod n */
    uint64_t word = 0;
    for (uint32_t number = 0; number < 256; number++) {
        uint32_t out[4];
        draw(index, epoch, ITR_SITE_SHUFFLE, number, seed, out);
        for (int i = 0; i < 4; i += 2) {
            word = (uint64_t)out[i + 1] << 32 | out[i];
            if (word <= UINT64_MAX - excess) {
                return word % n;
            }
        }
    }
    return word % n; /* n < 2^32: probability below 2^-16000 */
}

void itr_shuffle(uint32_t *order, int64_t rows, uint64_t seed, int64_t epoch)
{
    for (int64_t i = 0; i < rows; i++) {
        order[i] = (uint32_t)i;
    }
    for (int64_t i = rows - 1; i > 0; i--) {
        const uint64_t j = uniform((uint64_t)i + 1, (uint64_t)i, epoch, seed);
        const uint32_t t = order[i];
        order[i] = order[j];
        order[j] = t;
    }
}

/* |num0*num1 / (den0*den1)| * 2^shift as high*2^31 + low with the sign given. */
static bool fixed_point(const uint64_t num[2], const uint64_t den[2], int shift, bool negative,
                        int64_t *high, int64_t *low)
{
    uint32_t q[4];
    if (!itr_fraction_shift(num, den, shift, q) || q[3] != 0 || q[2] >> 27 != 0) {
        return false;
    }
    const int64_t l = (int64_t)(q[0] & INT32_MAX);
    const int64_t h = itr_shl64(q[2], 33) | itr_shl64(q[1], 1) | (int64_t)(q[0] >> 31);
    *low = l;
    *high = h;
    if (negative) {
        *low = l ? ((int64_t)1 << 31) - l : 0;
        *high = -h - (l != 0);
    }
    return true;
}

/* x * A + B, less its 31 lowest bits: |x| < 2^31, |A| < 2^61, |B| < 2^91. */
static int64_t apply(const itr_affine *f, int64_t x)
{
    return x * f->a_high + f->b_high + ((x * f->a_low + f->b_low) >> 31);
}

/* A = scale/std * 2^exponent and B = -mean/std on one grid: A to 61 bits unless B is far larger. */
static bool make_affine(itr_affine *f, itr_ratio scale, itr_ratio mean, itr_ratio std,
                        int32_t exponent)
{
    const uint64_t a_num[2] = {itr_abs64(scale.num), (uint64_t)std.den};
    const uint64_t a_den[2] = {(uint64_t)scale.den, (uint64_t)std.num};
    const uint64_t b_num[2] = {itr_abs64(mean.num), (uint64_t)std.den};
    const uint64_t b_den[2] = {(uint64_t)mean.den, (uint64_t)std.num};
    int grid = itr_fraction_bits(a_num, a_den) + exponent - 61;
    memset(f, 0, sizeof *f);
    if (mean.num != 0) {
        const int other = itr_fraction_bits(b_num, b_den) - 91;
        grid = other > grid ? other : grid;
    }
    f->grid = grid + 31;
    return fixed_point(a_num, a_den, exponent - grid, scale.num < 0, &f->a_high, &f->a_low) &&
           (mean.num == 0 || fixed_point(b_num, b_den, -grid, mean.num > 0, &f->b_high, &f->b_low));
}

static int fail_spec(itr_message *m, const itr_port_info *port, const char *text)
{
    return itr_fail(m, ITR_EXIT_INPUT, "E0514", "input \"%s\" of the model: %s", port->name, text);
}

/* How many channels, and on which axis. */
static int find_channels(itr_feed *f, const itr_port_info *port, const itr_data_spec *spec,
                         itr_message *m)
{
    const int n = spec->mean_count > spec->std_count ? spec->mean_count : spec->std_count;
    if (spec->mean_count > 1 && spec->std_count > 1 && spec->mean_count != spec->std_count) {
        return fail_spec(m, port, "mean and std have different lengths");
    }
    f->channels = n > 1 ? n : 1;
    if (n > 1 && (port->rank == 0 || port->dims[0] != n)) {
        f->channels_last = true;
        if (port->rank == 0 || port->dims[port->rank - 1] != n) {
            return itr_fail(m, ITR_EXIT_INPUT, "E0514",
                            "input \"%s\" of the model: found %d means or stds, but neither its "
                            "first nor its last axis is so long",
                            port->name, n);
        }
    }
    return 0;
}

/* The largest magnitude that the data's range allows, rounded at an exponent, has at most 30 bits.
 */
static bool exponent_fits(const itr_feed *f, int32_t exponent)
{
    for (int32_t c = 0; c < f->channels; c++) {
        const itr_affine *a = &f->affine[c];
        const int64_t ends[2] = {apply(a, f->column->min), apply(a, f->column->max)};
        for (int i = 0; i < 2; i++) {
            const int64_t v = itr_round_nearest(ends[i], exponent - a->grid);
            if (itr_bitlen64(itr_abs64(v)) > 30) {
                return false;
            }
        }
    }
    return true;
}

/* The smallest exponent that fits, but none finer than the grids; and the shifts to it. */
static void choose_exponent(itr_feed *f)
{
    f->exponent = f->affine[0].grid;
    for (int32_t c = 1; c < f->channels; c++) {
        f->exponent = f->affine[c].grid > f->exponent ? f->affine[c].grid : f->exponent;
    }
    while (!exponent_fits(f, f->exponent)) { /* at most 33 times: apply is below 2^62 */
        f->exponent++;
    }
    for (int32_t c = 0; c < f->channels; c++) {
        f->affine[c].s = f->exponent - f->affine[c].grid;
    }
}

static int open_scaling(itr_feed *f, const itr_port_info *port, const itr_data_spec *spec,
                        itr_message *m)
{
    const itr_ratio one = {1, 1};
    const itr_ratio zero = {0, 1};
    const int code = find_channels(f, port, spec, m);
    if (code != 0) {
        return code;
    }
    f->affine = calloc((size_t)f->channels, sizeof *f->affine);
    if (!f->affine) {
        return itr_fail_memory(m);
    }
    for (int32_t c = 0; c < f->channels; c++) {
        const itr_ratio mean = spec->mean_count ? spec->mean[spec->mean_count > 1 ? c : 0] : zero;
        const itr_ratio std = spec->std_count ? spec->std[spec->std_count > 1 ? c : 0] : one;
        if (!make_affine(&f->affine[c], spec->scale_count ? spec->scale : one, mean, std,
                         f->column->exponent)) {
            return fail_spec(m, port, "scale, mean and std are too far apart");
        }
    }
    choose_exponent(f);
    f->dtype = ITR_I32;
    const itr_dtype raw = f->column->dtype;
    if (raw == ITR_U8 || raw == ITR_I8) {
        f->table = malloc((size_t)f->channels * 256 * sizeof *f->table);
        if (!f->table) {
            return itr_fail_memory(m);
        }
        for (int32_t i = 0; i < f->channels * 256; i++) {
            const itr_affine *a = &f->affine[i / 256];
            const int x = i % 256;
            const int64_t v = raw == ITR_I8 && x > 127 ? x - 256 : x;
            f->table[i] = (int32_t)itr_round_nearest(apply(a, v), a->s);
        }
    }
    return 0;
}

/* The planes, rows and columns of an image; [C,H,W] unless only the last axis looks like colours.
 */
static int find_image(itr_feed *f, const itr_port_info *port, itr_message *m)
{
    const int64_t *d = port->dims;
    if (port->rank != 2 && port->rank != 3) {
        return fail_spec(m, port, "augment needs images: 2 or 3 axes");
    }
    bool last = false;
    if (port->rank == 3) {
        last =
            f->channels > 1 ? f->channels_last : (d[2] == 1 || d[2] == 3 || d[2] == 4) && d[0] > 4;
    }
    f->planes = port->rank == 3 && !last ? d[0] : 1;
    f->height = port->rank == 3 && !last ? d[1] : d[0];
    f->width = port->rank == 3 && !last ? d[2] : d[1];
    f->pixel = last ? d[2] : 1;
    f->augmented = true;
    f->moved = malloc((size_t)port->elements * itr_dtype_size(f->column->dtype));
    return f->moved ? 0 : itr_fail_memory(m);
}

static int open_feed(itr_pipeline *p, int32_t i, const itr_port_info *port, bool input,
                     const itr_data_spec *spec, itr_message *m)
{
    itr_feed *f = &p->feeds[i];
    int code = 0;
    f->column = &p->data->columns[i];
    f->dtype = port->is_ids ? ITR_I32 : f->column->dtype;
    f->exponent = f->column->exponent;
    f->ids = port->is_ids;
    if (input && !f->ids && (spec->scale_count || spec->mean_count || spec->std_count)) {
        code = open_scaling(f, port, spec, m);
    }
    if (code == 0 && input && !f->ids && (p->crop || p->flip)) {
        code = find_image(f, port, m);
    }
    if (code != 0) {
        return code;
    }
    const size_t row = (size_t)port->elements * itr_dtype_size(f->dtype);
    f->rows = row > SIZE_MAX / (size_t)p->batch ? NULL : malloc(row * (size_t)p->batch);
    if (!f->rows) {
        return itr_fail_memory(m);
    }
    p->arrays[i].data = f->rows;
    p->arrays[i].dtype = f->dtype;
    p->arrays[i].exponent = f->exponent;
    return 0;
}

int itr_pipeline_open(itr_pipeline *p, const itr_model *model, const itr_dataset *data,
                      const itr_data_spec *spec, uint64_t seed, bool train, itr_message *m)
{
    memset(p, 0, sizeof *p);
    p->data = data;
    p->batch = model->batch;
    p->seed = seed;
    p->shuffle = train && !spec->in_order;
    p->crop = train ? spec->crop : 0;
    p->flip = train && spec->flip;
    p->count = data->count;
    p->feeds = calloc((size_t)p->count, sizeof *p->feeds);
    p->arrays = calloc((size_t)p->count, sizeof *p->arrays);
    p->order = p->shuffle ? malloc((size_t)data->rows * sizeof *p->order) : NULL;
    if (!p->feeds || !p->arrays || (p->shuffle && !p->order)) {
        return itr_fail_memory(m);
    }
    for (int32_t i = 0; i < p->count; i++) {
        const bool input = i < model->input_count;
        const itr_port_info *port =
            input ? &model->inputs[i] : &model->targets[i - model->input_count];
        const int code = open_feed(p, i, port, input, spec, m);
        if (code != 0) {
            return code;
        }
    }
    itr_pipeline_start(p, 0);
    return 0;
}

void itr_pipeline_start(itr_pipeline *p, int64_t epoch)
{
    p->epoch = epoch;
    if (p->order) {
        itr_shuffle(p->order, p->data->rows, p->seed, epoch);
    }
}

/* n pixels that end at `last`, from right to left. */
static void mirror(uint8_t *to, const uint8_t *last, int64_t n, size_t pixel)
{
    for (int64_t i = 0; i < n && pixel == 1; i++) {
        to[i] = last[-i];
    }
    for (int64_t i = 0; i < n && pixel != 1; i++, to += pixel, last -= pixel) {
        memcpy(to, last, pixel);
    }
}

/* Copies a sample, moved by (dx, dy) and mirrored; what lies outside becomes 0. */
static void move_image(const itr_feed *f, const uint8_t *from, int64_t dx, int64_t dy, bool flip)
{
    const size_t pixel = (size_t)f->pixel * itr_dtype_size(f->column->dtype);
    const size_t line = pixel * (size_t)f->width;
    /* columns first .. end-1 of the source are seen; so many zeros are left of them */
    const int64_t first = dx < 0 ? 0 : dx < f->width ? dx : f->width;
    const int64_t end = dx > 0 ? f->width : f->width + dx > 0 ? f->width + dx : 0;
    const int64_t seen = end > first ? end - first : 0;
    const int64_t before = flip ? f->width - seen - (first - dx) : first - dx;
    const size_t left = (size_t)(seen > 0 ? before : 0) * pixel;
    uint8_t *to = f->moved;
    for (int64_t plane = 0; plane < f->planes; plane++) {
        for (int64_t y = 0; y < f->height; y++, to += line) {
            const int64_t sy = y + dy;
            if (sy < 0 || sy >= f->height || seen == 0) {
                memset(to, 0, line);
                continue;
            }
            const uint8_t *row = from + (size_t)(plane * f->height + sy) * line;
            const size_t bytes = (size_t)seen * pixel;
            memset(to, 0, left);
            if (flip) {
                mirror(to + left, row + (size_t)(end - 1) * pixel, seen, pixel);
            } else {
                memcpy(to + left, row + (size_t)first * pixel, bytes);
            }
            memset(to + left + bytes, 0, line - left - bytes);
        }
    }
}

static const uint8_t *augment(const itr_pipeline *p, const itr_feed *f, int64_t row,
                              const uint8_t *from)
{
    uint32_t out[4];
    draw((uint64_t)row, p->epoch, ITR_SITE_AUGMENT, 0, p->seed, out);
    const uint64_t places = 2 * (uint64_t)p->crop + 1;
    const int64_t dx = (int64_t)(out[0] * places >> 32) - p->crop;
    const int64_t dy = (int64_t)(out[1] * places >> 32) - p->crop;
    move_image(f, from, dx, dy, p->flip && out[2] >> 31);
    return f->moved;
}

static int64_t element(const uint8_t *row, itr_dtype dtype, int64_t j)
{
    const itr_column c = {.data = row, .dtype = dtype};
    return itr_column_get(&c, 0, j);
}

static void scale_row(const itr_feed *f, const uint8_t *from, int32_t *to)
{
    const int64_t n = f->column->elements;
    const int64_t run = f->channels_last ? 1 : n / f->channels;
    int64_t j = 0;
    for (int32_t c = 0; j < n; c = c + 1 < f->channels ? c + 1 : 0) {
        const itr_affine *a = &f->affine[c];
        const int64_t end = j + run;
        if (f->table) {
            const int32_t *table = f->table + 256 * (size_t)c;
            for (; j < end; j++) {
                to[j] = table[from[j]];
            }
        }
        for (; j < end; j++) {
            const int64_t x = element(from, f->column->dtype, j);
            to[j] = (int32_t)itr_round_nearest(apply(a, x), a->s);
        }
    }
}

static void fill_row(const itr_pipeline *p, const itr_feed *f, int64_t row, uint8_t *to)
{
    const itr_column *c = f->column;
    const uint8_t *from = c->data + (size_t)row * c->stride;
    if (f->augmented) {
        from = augment(p, f, row, from);
    }
    if (f->channels) {
        scale_row(f, from, (int32_t *)(void *)to);
    } else if (f->ids) {
        for (int64_t j = 0; j < c->elements; j++) {
            ((int32_t *)(void *)to)[j] = (int32_t)element(from, c->dtype, j);
        }
    } else {
        memcpy(to, from, (size_t)c->elements * itr_dtype_size(c->dtype));
    }
}

void itr_pipeline_rows(itr_pipeline *p, int64_t first, int32_t n)
{
    for (int32_t i = 0; i < p->count; i++) {
        const itr_feed *f = &p->feeds[i];
        const size_t size = (size_t)f->column->elements * itr_dtype_size(f->dtype);
        for (int32_t k = 0; k < n; k++) {
            const int64_t row = p->order ? (int64_t)p->order[first + k] : first + k;
            fill_row(p, f, row, f->rows + (size_t)k * size);
        }
    }
}

void itr_pipeline_free(itr_pipeline *p)
{
    for (int32_t i = 0; p->feeds && i < p->count; i++) {
        free(p->feeds[i].affine);
        free(p->feeds[i].table);
        free(p->feeds[i].moved);
        free(p->feeds[i].rows);
    }
    free(p->feeds);
    free(p->arrays);
    free(p->order);
    memset(p, 0, sizeof *p);
}
