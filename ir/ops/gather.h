/**
 * Rows of an axis by a table: what Gather, Pad and Resize share.
 */
#ifndef ITC_IR_OPS_GATHER_H
#define ITC_IR_OPS_GATHER_H

#include "ir/op.h"

/** A sparse matrix by rows: row j has the terms first[j] to first[j+1], each a column and a number.
 */
typedef struct itc_sparse {
    int64_t rows, columns;
    int32_t *first, *from;
    double *coef;
} itc_sparse;

/** y[…, j, …] = x[…, index[j], …] on an axis; by strides where the indices make steps. E0229. */
ITC_NODISCARD itc_status itc_gather_build(itc_graph *g, const itc_node *origin, itc_value *x,
                                          int axis, int64_t count, const int64_t *index,
                                          itc_value **out);
/** y[…, j, …] = sum of m's row j times x along an axis, as an AxisMap; as a gather where each row
 * is one element. */
ITC_NODISCARD itc_status itc_axis_map_build(itc_graph *g, const itc_node *origin, itc_value *x,
                                            int axis, const itc_sparse *m, itc_value **out);

#endif
