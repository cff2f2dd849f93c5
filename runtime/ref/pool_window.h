/**
 * What average pooling divides by (ONNX AveragePool-19).
 */
#ifndef ITR_REF_POOL_WINDOW_H
#define ITR_REF_POOL_WINDOW_H

#include "../kernel.h"

/** Positions of a window along one axis that count: inside the input, or inside the padded input. */
static inline int64_t itr_window_extent(int64_t o, int32_t stride, int32_t before, int32_t after,
                                        int32_t dilation, int32_t kernel, int64_t size,
                                        bool include_pad)
{
    const int64_t start = o * stride - before;
    const int64_t lo = include_pad ? -(int64_t)before : 0;
    const int64_t hi = include_pad ? size + after : size;
    int64_t n = 0;
    for (int64_t k = 0; k < kernel; k++) {
        const int64_t at = start + k * dilation;
        n += at >= lo && at < hi;
    }
    return n;
}

/** The divisor of output (oh, ow), at least 1. */
static inline int64_t itr_window_count(const itr_pool_args *a, int64_t oh, int64_t ow)
{
    const bool pad = a->count_include_pad != 0;
    const int64_t n = itr_window_extent(oh, a->stride_h, a->pad_top, a->pad_bottom, a->dilation_h,
                                        a->kh, a->h, pad) *
                      itr_window_extent(ow, a->stride_w, a->pad_left, a->pad_right, a->dilation_w,
                                        a->kw, a->w, pad);
    return n > 0 ? n : 1;
}

#endif
