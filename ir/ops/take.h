/**
 * Boxes: what data movement by strides shares. An element of a box at index i stands at start +
 * i * step, axis by axis, in the larger tensor.
 */
#ifndef ITC_IR_OPS_TAKE_H
#define ITC_IR_OPS_TAKE_H

#include "ir/op.h"

struct itc_emit;

/** A step of 0 repeats one element; negative ones go back. Axes of the rows N are taken whole, or
 * an extent of 1 is repeated N times. */
typedef struct itc_box {
    int rank;
    int64_t start[ITC_MAX_RANK], step[ITC_MAX_RANK];
    itc_dim extent[ITC_MAX_RANK]; /**< of the box */
} itc_box;

/** All of a tensor. */
itc_box itc_box_whole(const itc_type *t);
/** Whether the box is all of a tensor of type t, as it stands. */
bool itc_box_is_whole(const itc_box *b, const itc_type *t);
/** y = x's elements in the box, as a Take; x itself where that is all. E0224, E0226, E0229. */
ITC_NODISCARD itc_status itc_take_build(itc_graph *g, const itc_node *origin, itc_value *x,
                                        const itc_box *b, itc_value **out);
/** Zeros of type `as` (its dtype is not looked at) with x's elements at the places of the box, as a
 * Put; x itself where that is all. Steps are not 0. */
ITC_NODISCARD itc_status itc_put_build(itc_graph *g, const itc_node *origin, itc_value *x,
                                       const itc_box *b, const itc_type *as, itc_value **out);
/** Values of one type but for their extents on `axis`, one after the other. */
ITC_NODISCARD itc_status itc_concat_build(itc_graph *g, const itc_node *origin, int axis, int count,
                                          itc_value *const *in, itc_value **out);
/** What v repeats along axes (Take) and under other shapes (View): a constant of v's rank, with
 * extent 1 on those axes; v itself where it is a constant. NULL: v is none of these. */
itc_value *itc_repeat_source(itc_graph *g, itc_value *v);
/** Whether n is a Take that repeats its operand along some axes, and does nothing else. */
bool itc_take_repeats(const itc_node *n);
/** x, of t's rank or less, broadcast to t's extents. */
ITC_NODISCARD itc_status itc_repeat_build(itc_graph *g, const itc_node *origin, itc_value *x,
                                          const itc_type *t, itc_value **out);
/** The elements of a constant in a box; NULL where its extents count rows. E0227. */
ITC_NODISCARD itc_status itc_take_fold(itc_graph *g, const itc_node *n, const itc_tensor *x,
                                       const itc_box *b, itc_tensor **out);
/** A new constant for folding: zeros. E0227 where it would be larger than constants should be. */
ITC_NODISCARD itc_status itc_fold_tensor(itc_graph *g, const itc_node *n, itc_dtype dtype, int rank,
                                         const int64_t *dim, itc_tensor **out);

/** Appends y's box in_y = x's box in_x; the boxes have the same extents. */
ITC_NODISCARD itc_status itc_emit_move(struct itc_emit *e, const itc_node *n, const itc_value *x,
                                       const itc_box *in_x, const itc_value *y,
                                       const itc_box *in_y);
/** Appends y = 0. */
ITC_NODISCARD itc_status itc_emit_zero(struct itc_emit *e, const itc_node *n, const itc_value *y);

#endif
