/**
 * Convolution and its gradient for the input as the same sum:
 *
 *   y[r][a][b] = sum over c, ty, tx of f[r, c, ty, tx] * x[c][a*step_y + dy(ty)][b*step_x + dx(tx)]
 *
 * where elements of x outside its plane are 0. For the gradient with strides, each residue (phase)
 * of the input's coordinates modulo the strides is such a sum of its own, over the taps that reach
 * it; so no product with an inserted zero is ever formed.
 */
#ifndef ITR_REF_CONV_VIEW_H
#define ITR_REF_CONV_VIEW_H

#include "../kernel.h"

/** One axis of the taps and positions. */
typedef struct itr_conv_axis {
    int64_t taps;           /**< how many */
    int64_t tap0, tap_step; /**< indices into the filter's axis */
    int64_t at0, at_step;   /**< source coordinate of tap t at position 0: at0 + t * at_step */
    int64_t step;           /**< source coordinates a position */
    int64_t source;         /**< extent of the source */
    int64_t positions;      /**< extent of the result (of a phase) */
    int64_t to0, to_step;   /**< coordinate in the result: to0 + position * to_step */
} itr_conv_axis;

/** Offsets count elements. */
typedef struct itr_conv_view {
    itr_conv_axis y, x;
    int64_t rows, channels;        /**< of a group: of the result, of the source */
    int64_t f_row, f_channel, f_y; /**< filter strides; 1 along x */
    int64_t y_width;               /**< row length of the result's planes */
    int64_t x_plane, y_plane;
} itr_conv_view;

static inline itr_conv_axis itr_conv_axis_forward(int64_t source, int64_t result, int64_t taps,
                                                  int32_t stride, int32_t dilation, int32_t pad)
{
    const itr_conv_axis a = {.taps = taps,
                             .tap_step = 1,
                             .at0 = -(int64_t)pad,
                             .at_step = dilation,
                             .step = stride,
                             .source = source,
                             .positions = result,
                             .to_step = 1};
    return a;
}

/**
 * dx[phase + i*stride] takes dy[o] by tap k where o*stride + k*dilation - pad = phase + i*stride:
 * k solves (phase + pad - k*dilation) mod stride = 0, an arithmetic progression.
 */
static inline itr_conv_axis itr_conv_axis_gradient(int64_t input, int64_t output, int64_t taps,
                                                   int32_t stride, int32_t dilation, int32_t pad,
                                                   int64_t phase)
{
    itr_conv_axis a = {.step = 1,
                       .source = output,
                       .positions = input > phase ? (input - phase + stride - 1) / stride : 0,
                       .to0 = phase,
                       .to_step = stride};
    while (a.tap0 < taps && (phase + pad - a.tap0 * dilation) % stride != 0) {
        a.tap0++;
    }
    a.tap_step = 1;
    while (a.tap_step * dilation % stride != 0) {
        a.tap_step++;
    }
    a.taps = a.tap0 < taps ? (taps - a.tap0 + a.tap_step - 1) / a.tap_step : 0;
    a.at0 = (phase + pad - a.tap0 * dilation) / stride;
    a.at_step = -(a.tap_step * dilation / stride);
    return a;
}

static inline itr_conv_view itr_conv_forward(const itr_conv_args *a)
{
    const int64_t channels = a->c / a->groups;
    const itr_conv_view v = {
        .y = itr_conv_axis_forward(a->h, a->oh, a->kh, a->stride_h, a->dilation_h, a->pad_top),
        .x = itr_conv_axis_forward(a->w, a->ow, a->kw, a->stride_w, a->dilation_w, a->pad_left),
        .rows = a->m / a->groups,
        .channels = channels,
        .f_row = channels * a->kh * a->kw,
        .f_channel = a->kh * a->kw,
        .f_y = a->kw,
        .y_width = a->ow,
        .x_plane = a->h * a->w,
        .y_plane = a->oh * a->ow};
    return v;
}

/** Phase (py, px), 0 <= py < stride_h, 0 <= px < stride_w, of the gradient for the input. */
static inline itr_conv_view itr_conv_gradient(const itr_conv_args *a, int64_t py, int64_t px)
{
    const int64_t rows = a->c / a->groups;
    const itr_conv_view v = {
        .y = itr_conv_axis_gradient(a->h, a->oh, a->kh, a->stride_h, a->dilation_h, a->pad_top, py),
        .x =
            itr_conv_axis_gradient(a->w, a->ow, a->kw, a->stride_w, a->dilation_w, a->pad_left, px),
        .rows = rows,
        .channels = a->m / a->groups,
        .f_row = a->kh * a->kw,
        .f_channel = rows * a->kh * a->kw,
        .f_y = a->kw,
        .y_width = a->w,
        .x_plane = a->oh * a->ow,
        .y_plane = a->h * a->w};
    return v;
}

/** Positions [*lo, *hi) whose source coordinate for tap t lies inside. */
static inline void itr_conv_inside(const itr_conv_axis *x, int64_t t, int64_t *lo, int64_t *hi)
{
    const int64_t at = x->at0 + t * x->at_step;
    const int64_t end = x->source - at; /* position * step < end */
    *lo = at >= 0 ? 0 : (-at + x->step - 1) / x->step;
    *hi = end <= 0 ? 0 : (end + x->step - 1) / x->step;
    *hi = *hi < x->positions ? *hi : x->positions;
    *lo = *lo < *hi ? *lo : *hi;
}

#endif
