/**
 * Sliding windows: what convolution and pooling share. One or two spatial axes; with one, the
 * other is an axis of extent 1, so that kernels see two. Three become two (window_volume.c).
 */
#ifndef ITC_IR_OPS_WINDOW_H
#define ITC_IR_OPS_WINDOW_H

#include "ir/op.h"

struct itc_emit;

/** Index 0 is height (1 everywhere for one spatial axis), 1 is width. */
typedef struct itc_window {
    int spatial; /**< spatial axes of the tensors: 1 or 2 */
    int64_t in[2], out[2];
    int64_t kernel[2], stride[2], dilation[2];
    int64_t begin[2], end[2]; /**< padding */
} itc_window;

/** How many elements the windows see along one axis, padding that counts included or not. */
typedef struct itc_window_counts {
    int64_t min, max; /**< elements in a window */
    int64_t cover;    /**< windows that see one element, at most */
} itc_window_counts;

/** The attributes of ONNX's sliding-window operators, for rows; ends without the closing entry. */
#define ITC_WINDOW_ATTRS(kernel_required)                                                          \
    {.name = "auto_pad", .kind = ITC_ATTR_STRING, .s = "NOTSET"},                                  \
        {.name = "dilations", .kind = ITC_ATTR_INTS},                                              \
        {.name = "kernel_shape", .kind = ITC_ATTR_INTS, .required = (kernel_required)},            \
        {.name = "pads", .kind = ITC_ATTR_INTS},                                                   \
    {                                                                                              \
        .name = "strides", .kind = ITC_ATTR_INTS                                                   \
    }

/** E0203, E0201 or E0224 unless operand i is [N, channels, one or two spatial extents] with the
 * batch in front. */
ITC_NODISCARD itc_status itc_window_operand(itc_graph *g, const itc_node *n, int i);
/** Sets kernel_shape, strides, dilations and pads, all explicit, and auto_pad to NOTSET. `in` are
 * the spatial extents; kernel (may be NULL: the attribute gives it) those of a filter. */
ITC_NODISCARD itc_status itc_window_normalize(itc_graph *g, itc_node *n, int spatial,
                                              const itc_dim *in, const itc_dim *kernel);
/** Reads normalised attributes; computes `out` by ONNX's rule (a last window of ceil_mode that
 * would begin in the padding at the end is none). Checks every range: E0221, E0226. */
ITC_NODISCARD itc_status itc_window_get(itc_graph *g, const itc_node *n, int spatial,
                                        const int64_t *in, itc_window *w);
/** As itc_window_get, with `in` from operand i's type. */
ITC_NODISCARD itc_status itc_window_of(itc_graph *g, const itc_node *n, int i, itc_window *w);
/** As itc_window_get, with `in` from attribute input_shape (rows of gradients). */
ITC_NODISCARD itc_status itc_window_of_grad(itc_graph *g, const itc_node *n, itc_window *w);
/** Counts along an axis (0 or 1); E0226 when a window sees nothing. */
ITC_NODISCARD itc_status itc_window_count(itc_graph *g, const itc_node *n, const itc_window *w,
                                          int axis, bool include_pad, itc_window_counts *out);
/** Type [d0, d1, spatial extents] of this dtype. */
itc_type itc_window_type(const itc_window *w, itc_dtype t, itc_dim d0, itc_dim d1,
                         const int64_t *extents);
/** Copies the attributes of a window (and input_shape from operand i's type) to a gradient. */
void itc_window_copy(itc_graph *g, itc_node *to, const itc_node *from, int i);
/** Sets the fields that pooling and convolution kernels share: strides, dilations, h, w, oh, ow,
 * pad_top, pad_left. */
void itc_window_emit(struct itc_emit *e, const itc_window *w);

/** Of a MaxPool or AveragePool, or a Conv, over three spatial axes: the same over two. */
ITC_NODISCARD itc_status itc_volume_pool(itc_graph *g, itc_node *n, itc_value **out);
ITC_NODISCARD itc_status itc_volume_conv(itc_graph *g, itc_node *n, itc_value **out);

#endif
