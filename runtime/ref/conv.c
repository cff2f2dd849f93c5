/**
 * Convolution and its gradients.
 *
 * Shapes   x [n,c,h,w], f [m,c/groups,kh,kw], y [n,m,oh,ow], dense
 *          conv              a = x,  b = f,  y = y
 *          conv_grad_input   a = dy, b = f,  y = dx
 *          conv_grad_weight  a = x,  b = dy, y = df
 * Units    e_y = e_a + e_b
 * Range    exact. Products a sum, K: c/groups*kh*kw; m/groups*kh*kw; n*oh*ow. i8i8i32: |m| <= 127
 *          and K <= 133144 (the plan proves it); i8i8i64 and i16i16i64: any K that fits memory
 * Aliasing y overlaps nothing; every element of y is written
 * Source   ONNX Conv-11 and its derivatives; NUMERICS.md, "Accumulators"
 */
#include "conv_view.h"
#include "dot.h"

#define CONV_NAME direct_i8i32
#define CONV_IN int8_t
#define CONV_ACC int32_t
#define CONV_OUT int32_t
#include "conv_direct.h"

#define CONV_NAME direct_i16i64
#define CONV_IN int16_t
#define CONV_ACC int64_t
#define CONV_OUT int64_t
#include "conv_direct.h"

/** With so few rows, packing the source would cost more than the products. */
enum { DIRECT_ROWS = 2 };

static inline int16_t element(const void *x, bool in16, int64_t i)
{
    return in16 ? ((const int16_t *)x)[i] : ((const int8_t *)x)[i];
}

static const void *advance(const void *x, bool in16, int64_t elements)
{
    return (const unsigned char *)x + elements * (in16 ? 2 : 1);
}

/**
 * Where ITR_DOT_K consecutive elements of the sum lie: in the source relative to a position, in
 * the filter relative to a row, and which coordinates they add (to know when one falls outside).
 */
typedef struct table {
    int64_t source[ITR_DOT_K], filter[ITR_DOT_K];
    int32_t y[ITR_DOT_K], x[ITR_DOT_K];
    int32_t y_min, y_max, x_min, x_max;
    int k;
    bool dense; /**< filter offsets are consecutive */
} table;

static void fill_table(table *t, const itr_conv_view *v, int64_t k0, int k)
{
    t->k = k;
    t->dense = true;
    t->filter[0] = 0; /* no taps at all: a phase that none reaches */
    t->y_min = t->x_min = INT32_MAX;
    t->y_max = t->x_max = INT32_MIN;
    for (int i = 0; i < k; i++) {
        const int64_t tx = (k0 + i) % v->x.taps, rest = (k0 + i) / v->x.taps;
        const int64_t ty = rest % v->y.taps, c = rest / v->y.taps;
        const int32_t y = (int32_t)(v->y.at0 + ty * v->y.at_step);
        const int32_t x = (int32_t)(v->x.at0 + tx * v->x.at_step);
        t->y[i] = y;
        t->x[i] = x;
        t->source[i] = c * v->x_plane + y * v->x.source + x;
        t->filter[i] = c * v->f_channel + (v->y.tap0 + ty * v->y.tap_step) * v->f_y + v->x.tap0 +
                       tx * v->x.tap_step;
        t->dense = t->dense && t->filter[i] == t->filter[0] + i;
        t->y_min = y < t->y_min ? y : t->y_min;
        t->y_max = y > t->y_max ? y : t->y_max;
        t->x_min = x < t->x_min ? x : t->x_min;
        t->x_max = x > t->x_max ? x : t->x_max;
    }
}

/** Gathers with the operand's type known to the compiler; `at` may be a border position. */
#define DEFINE_GATHER(name, type)                                                                  \
    static void name(int16_t *restrict to, const void *source, const table *t, int64_t y,          \
                     int64_t x, int64_t height, int64_t width)                                     \
    {                                                                                              \
        const type *from = (const type *)source;                                                   \
        const int64_t base = y * width + x;                                                        \
        if (y + t->y_min >= 0 && y + t->y_max < height && x + t->x_min >= 0 &&                     \
            x + t->x_max < width) {                                                                \
            for (int i = 0; i < t->k; i++) {                                                       \
                to[i] = from[base + t->source[i]];                                                 \
            }                                                                                      \
            return;                                                                                \
        }                                                                                          \
        for (int i = 0; i < t->k; i++) {                                                           \
            const bool inside = (uint64_t)(y + t->y[i]) < (uint64_t)height &&                      \
                                (uint64_t)(x + t->x[i]) < (uint64_t)width;                         \
            to[i] = inside ? from[base + t->source[i]] : 0;                                        \
        }                                                                                          \
    }
DEFINE_GATHER(gather_i8, int8_t)
DEFINE_GATHER(gather_i16, int16_t)

static void pack_filter(itr_dot *d, itr_dot_type type, const itr_conv_view *v, const table *t,
                        const void *f, int64_t r0, int rows)
{
    for (int r = 0; r < rows; r++) {
        const void *from = advance(f, type.in16, (r0 + r) * v->f_row);
        int16_t *to = d->a[r];
        if (t->dense && type.in16) {
            memcpy(to, (const int16_t *)from + t->filter[0], (size_t)t->k * sizeof *to);
        } else if (t->dense) {
            const int8_t *run = (const int8_t *)from + t->filter[0];
            for (int i = 0; i < t->k; i++) {
                to[i] = run[i];
            }
        } else {
            for (int i = 0; i < t->k; i++) {
                to[i] = element(from, type.in16, t->filter[i]);
            }
        }
    }
    itr_dot_finish_a(d, type, rows, t->k);
}

/** Packs the source at positions [p0, p0+cols) and says where their results go. */
static void pack_source(itr_dot *d, itr_dot_type type, const itr_conv_view *v, const table *t,
                        const void *x, int64_t p0, int cols, int64_t *at)
{
    for (int c = 0; c < cols; c++) {
        const int64_t py = (p0 + c) / v->x.positions, px = (p0 + c) % v->x.positions;
        const int64_t sy = py * v->y.step, sx = px * v->x.step;
        at[c] = (v->y.to0 + py * v->y.to_step) * v->y_width + v->x.to0 + px * v->x.to_step;
        if (type.in16) {
            gather_i16(d->b[c], x, t, sy, sx, v->y.source, v->x.source);
        } else {
            gather_i8(d->b[c], x, t, sy, sx, v->y.source, v->x.source);
        }
    }
    itr_dot_finish_b(d, cols, t->k);
}

/** One sample and group of a view. */
static void packed(const itr_conv_view *v, itr_dot_type type, const void *x, const void *f,
                   unsigned char *y)
{
    const int64_t positions = v->y.positions * v->x.positions;
    const int64_t total = v->channels * v->y.taps * v->x.taps;
    const int64_t height = itr_dot_rows(type), size = type.out64 ? 8 : 4;
    int64_t at[ITR_DOT_COLS];
    itr_dot d;
    table t;
    for (int64_t k0 = 0; k0 == 0 || k0 < total; k0 += ITR_DOT_K) {
        fill_table(&t, v, k0, (int)(total - k0 < ITR_DOT_K ? total - k0 : ITR_DOT_K));
        for (int64_t p0 = 0; p0 < positions; p0 += ITR_DOT_COLS) {
            const int cols = (int)(positions - p0 < ITR_DOT_COLS ? positions - p0 : ITR_DOT_COLS);
            pack_source(&d, type, v, &t, x, p0, cols, at);
            for (int64_t r0 = 0; r0 < v->rows; r0 += height) {
                const int rows = (int)(v->rows - r0 < height ? v->rows - r0 : height);
                if (v->rows > height || p0 == 0) { /* else they are still there */
                    pack_filter(&d, type, v, &t, f, r0, rows);
                }
                itr_dot_run(&d, type, rows, cols, t.k);
                itr_dot_store(&d, type, rows, cols, y + r0 * v->y_plane * size, v->y_plane, at,
                              k0 == 0);
            }
        }
    }
}

/** A view over all samples and groups, shared among threads. */
typedef struct view_job {
    const itr_conv_args *a;
    const itr_conv_view *v;
    itr_dot_type type;
} view_job;

static void run_planes(void *user, int64_t begin, int64_t end)
{
    const view_job *job = (const view_job *)user;
    const itr_conv_args *a = job->a;
    const itr_conv_view *v = job->v;
    const itr_dot_type type = job->type;
    const int64_t out = type.out64 ? 8 : 4;
    const int64_t f_group = a->m / a->groups * (a->c / a->groups) * a->kh * a->kw;
    for (int64_t i = begin; i < end; i++) {
        const void *x = advance(a->a, type.in16, i * v->channels * v->x_plane);
        const void *f = advance(a->b, type.in16, i % a->groups * f_group);
        unsigned char *y = (unsigned char *)a->y + i * v->rows * v->y_plane * out;
        if (v->rows <= DIRECT_ROWS && !type.out64) {
            direct_i8i32(v, (const int8_t *)x, (const int8_t *)f, (int32_t *)(void *)y);
        } else if (v->rows <= DIRECT_ROWS && type.in16) {
            direct_i16i64(v, (const int16_t *)x, (const int16_t *)f, (int64_t *)(void *)y);
        } else {
            packed(v, type, x, f, y);
        }
    }
}

static void run_view(const itr_conv_args *a, const itr_conv_view *v, itr_dot_type type)
{
    view_job job = {a, v, type};
    itr_parallel(a->pool, a->n * a->groups, 1, run_planes, &job);
}

static void forward(const itr_conv_args *a, itr_dot_type type)
{
    const itr_conv_view v = itr_conv_forward(a);
    run_view(a, &v, type);
}

static void grad_input(const itr_conv_args *a, itr_dot_type type)
{
    for (int64_t py = 0; py < a->stride_h && py < a->h; py++) {
        for (int64_t px = 0; px < a->stride_w && px < a->w; px++) {
            const itr_conv_view v = itr_conv_gradient(a, py, px);
            run_view(a, &v, type);
        }
    }
}

/** Elements [r0, r0+k) of the sum of the weight gradient, that is of (sample, oy, ox). */
typedef struct places {
    int64_t x[ITR_DOT_K]; /**< of tap (0,0) in the group's first plane, relative to a */
    int32_t sy[ITR_DOT_K], sx[ITR_DOT_K];
    int64_t sample, plane; /**< of element r0 */
    int32_t y_min, y_max, x_min, x_max;
    int k;
} places;

static void fill_places(places *t, const itr_conv_args *a, int64_t r0, int k)
{
    const int64_t plane = a->oh * a->ow;
    t->k = k;
    t->sample = r0 / plane;
    t->plane = r0 % plane;
    t->y_min = t->x_min = INT32_MAX;
    t->y_max = t->x_max = INT32_MIN;
    int64_t n = t->sample, oy = t->plane / a->ow, ox = t->plane % a->ow;
    for (int i = 0; i < k; i++) {
        const int32_t sy = (int32_t)(oy * a->stride_h - a->pad_top);
        const int32_t sx = (int32_t)(ox * a->stride_w - a->pad_left);
        t->sy[i] = sy;
        t->sx[i] = sx;
        t->x[i] = n * a->c * a->h * a->w + sy * a->w + sx;
        t->y_min = sy < t->y_min ? sy : t->y_min;
        t->y_max = sy > t->y_max ? sy : t->y_max;
        t->x_min = sx < t->x_min ? sx : t->x_min;
        t->x_max = sx > t->x_max ? sx : t->x_max;
        if (++ox == a->ow) {
            ox = 0;
            if (++oy == a->oh) {
                oy = 0;
                n++;
            }
        }
    }
}

/** Rows of dy: m0 + r counts output channels of all groups. */
static void pack_gradient(itr_dot *d, itr_dot_type type, const itr_conv_args *a, const places *t,
                          int64_t m0, int rows)
{
    const int64_t plane = a->oh * a->ow;
    for (int r = 0; r < rows; r++) {
        int64_t n = t->sample, p = t->plane;
        for (int i = 0; i < t->k; n++, p = 0) {
            const int64_t left = plane - p;
            const int count = (int)(left < t->k - i ? left : t->k - i);
            const void *from = advance(a->b, type.in16, (n * a->m + m0 + r) * plane + p);
            if (type.in16) {
                memcpy(d->a[r] + i, from, (size_t)count * sizeof(int16_t));
            } else {
                for (int j = 0; j < count; j++) {
                    d->a[r][i + j] = ((const int8_t *)from)[j];
                }
            }
            i += count;
        }
    }
    itr_dot_finish_a(d, type, rows, t->k);
}

/** x under tap (ky, kx) of a channel whose plane starts at `source` in the first sample. */
#define DEFINE_TAP(name, type)                                                                     \
    static void name(int16_t *restrict to, const void *source, const places *t,                    \
                     const itr_conv_args *a, int64_t ky, int64_t kx)                               \
    {                                                                                              \
        const type *from = (const type *)source;                                                   \
        const int64_t base = ky * a->w + kx;                                                       \
        if (t->y_min + ky >= 0 && t->y_max + ky < a->h && t->x_min + kx >= 0 &&                    \
            t->x_max + kx < a->w) {                                                                \
            for (int i = 0; i < t->k; i++) {                                                       \
                to[i] = from[t->x[i] + base];                                                      \
            }                                                                                      \
            return;                                                                                \
        }                                                                                          \
        for (int i = 0; i < t->k; i++) {                                                           \
            const bool inside = (uint64_t)(t->sy[i] + ky) < (uint64_t)a->h &&                      \
                                (uint64_t)(t->sx[i] + kx) < (uint64_t)a->w;                        \
            to[i] = inside ? from[t->x[i] + base] : 0;                                             \
        }                                                                                          \
    }
DEFINE_TAP(tap_i8, int8_t)
DEFINE_TAP(tap_i16, int16_t)

/** Columns [j0, j0+cols) of df's rows, that is (channel of the group, ky, kx). */
static void pack_taps(itr_dot *d, itr_dot_type type, const itr_conv_args *a, const places *t,
                      int64_t group, int64_t j0, int cols)
{
    for (int j = 0; j < cols; j++) {
        const int64_t kx = (j0 + j) % a->kw, ky = (j0 + j) / a->kw % a->kh;
        const int64_t c = group * (a->c / a->groups) + (j0 + j) / a->kw / a->kh;
        const void *plane = advance(a->a, type.in16, c * a->h * a->w);
        if (type.in16) {
            tap_i16(d->b[j], plane, t, a, ky * a->dilation_h, kx * a->dilation_w);
        } else {
            tap_i8(d->b[j], plane, t, a, ky * a->dilation_h, kx * a->dilation_w);
        }
    }
    itr_dot_finish_b(d, cols, t->k);
}

/** Adds the chunk of the sum that t describes to a group's part of df. */
static void grad_weight_chunk(const itr_conv_args *a, itr_dot_type type, itr_dot *d,
                              const places *t, int64_t group, bool first)
{
    const int64_t rows_all = a->m / a->groups, cols_all = a->c / a->groups * a->kh * a->kw;
    const int64_t height = itr_dot_rows(type), size = type.out64 ? 8 : 4;
    int64_t at[ITR_DOT_COLS];
    for (int64_t j0 = 0; j0 < cols_all; j0 += ITR_DOT_COLS) {
        const int cols = (int)(cols_all - j0 < ITR_DOT_COLS ? cols_all - j0 : ITR_DOT_COLS);
        pack_taps(d, type, a, t, group, j0, cols);
        for (int c = 0; c < cols; c++) {
            at[c] = j0 + c;
        }
        for (int64_t m0 = 0; m0 < rows_all; m0 += height) {
            const int rows = (int)(rows_all - m0 < height ? rows_all - m0 : height);
            const int64_t m = group * rows_all + m0;
            if (rows_all > height || j0 == 0) { /* else they are still there */
                pack_gradient(d, type, a, t, m, rows);
            }
            itr_dot_run(d, type, rows, cols, t->k);
            itr_dot_store(d, type, rows, cols, (unsigned char *)a->y + m * cols_all * size,
                          cols_all, at, first);
        }
    }
}

static void grad_weight(const itr_conv_args *a, itr_dot_type type)
{
    const int64_t total = a->n * a->oh * a->ow;
    itr_dot d;
    places t;
    for (int64_t r0 = 0; r0 == 0 || r0 < total; r0 += ITR_DOT_K) {
        fill_places(&t, a, r0, (int)(total - r0 < ITR_DOT_K ? total - r0 : ITR_DOT_K));
        for (int64_t group = 0; group < a->groups; group++) {
            grad_weight_chunk(a, type, &d, &t, group, r0 == 0);
        }
    }
}

#define DEFINE_KERNELS(suffix, is16, is64)                                                         \
    void itr_conv_##suffix##_ref(const itr_conv_args *a)                                           \
    {                                                                                              \
        forward(a, (itr_dot_type){.in16 = is16, .out64 = is64});                                   \
    }                                                                                              \
    void itr_conv_grad_input_##suffix##_ref(const itr_conv_args *a)                                \
    {                                                                                              \
        grad_input(a, (itr_dot_type){.in16 = is16, .out64 = is64});                                \
    }                                                                                              \
    void itr_conv_grad_weight_##suffix##_ref(const itr_conv_args *a)                               \
    {                                                                                              \
        grad_weight(a, (itr_dot_type){.in16 = is16, .out64 = is64});                               \
    }
DEFINE_KERNELS(i8i8i32, false, false)
DEFINE_KERNELS(i8i8i64, false, true)
DEFINE_KERNELS(i16i16i64, true, true)
