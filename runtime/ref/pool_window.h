/**
 * Where the windows of pooling lie; shared by pool.c and pool_f32.c.
 */
#ifndef ITR_REF_POOL_WINDOW_H
#define ITR_REF_POOL_WINDOW_H

#include "../kernel.h"

/** Taps of a window that a key has room for, and columns that are looked at at once (pool_max.h).
 */
enum { ITR_POOL_TAP_BITS = 8, ITR_POOL_TAPS = 1 << ITR_POOL_TAP_BITS, ITR_POOL_LINE = 1024 };

/** One axis: tap k of window o is at o * stride - pad + k * dilation of n elements. */
typedef struct itr_pool_axis {
    int64_t n, windows, taps, stride, dilation, pad, pad_end;
} itr_pool_axis;

/** A window: the taps inside the plane, and how many elements a mean counts. */
typedef struct itr_pool_window {
    int64_t start;      /**< of tap 0; may be negative */
    int64_t first, end; /**< first <= k < end are inside; first == end: none */
    int64_t count;
} itr_pool_window;

static inline itr_pool_axis itr_pool_rows(const itr_pool_args *a)
{
    const itr_pool_axis x = {a->h,          a->oh,      a->kh,        a->stride_h,
                             a->dilation_h, a->pad_top, a->pad_bottom};
    return x;
}

static inline itr_pool_axis itr_pool_cols(const itr_pool_args *a)
{
    const itr_pool_axis x = {a->w,          a->ow,       a->kw,       a->stride_w,
                             a->dilation_w, a->pad_left, a->pad_right};
    return x;
}

/** ceil(a / b); a and b are extents: 0 <= a < 2^31, 1 <= b < 2^31. */
static inline int64_t itr_pool_ceil(int64_t a, int64_t b)
{
    return b == 1 ? a : (int64_t)(((uint32_t)a + (uint32_t)b - 1) / (uint32_t)b);
}

/** Taps k >= 0 whose place is below `limit`, at most all. */
static inline int64_t itr_pool_below(const itr_pool_axis *x, int64_t start, int64_t limit)
{
    const int64_t k = start >= limit ? 0 : itr_pool_ceil(limit - start, x->dilation);
    return k < x->taps ? k : x->taps;
}

/**
 * Window o. With padding a mean counts the taps in the padded plane, which a window of ceil_mode
 * may leave at its end; without, those in the plane (ONNX AveragePool-19).
 */
static inline itr_pool_window itr_pool_at(const itr_pool_axis *x, int64_t o, bool include_pad)
{
    itr_pool_window w;
    w.start = o * x->stride - x->pad;
    w.first = itr_pool_below(x, w.start, 0);
    w.end = itr_pool_below(x, w.start, x->n);
    w.count = include_pad ? itr_pool_below(x, w.start, x->n + x->pad_end) : w.end - w.first;
    return w;
}

/** Windows [*first, *end) whose tap k is inside the plane. */
static inline void itr_pool_span(const itr_pool_axis *x, int64_t k, int64_t *first, int64_t *end)
{
    const int64_t offset = k * x->dilation - x->pad; /* place of the tap in window 0 */
    *first = offset >= 0 ? 0 : itr_pool_ceil(-offset, x->stride);
    *end = offset >= x->n ? 0 : itr_pool_ceil(x->n - offset, x->stride);
    *end = *end < x->windows ? *end : x->windows;
    *first = *first < *end ? *first : *end;
}

/** Whether every window has all its taps inside. */
static inline bool itr_pool_inside(const itr_pool_axis *x)
{
    return x->pad == 0 && (x->windows - 1) * x->stride + (x->taps - 1) * x->dilation < x->n;
}

static inline int64_t itr_pool_least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/** Windows of two that touch each other, without a border: the usual halving. */
static inline bool itr_pool_halves(const itr_pool_axis *x)
{
    return x->taps == 2 && x->stride == 2 && x->dilation == 1 && itr_pool_inside(x) &&
           2 * x->windows <= ITR_POOL_LINE;
}

/** Planes of `elements` that are worth a thread. */
static inline int64_t itr_pool_grain(int64_t elements)
{
    return 1 + 16384 / (elements + 1);
}

#endif
