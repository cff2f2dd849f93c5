/**
 * Indices that say where a row stands among the N rows: step * row + an entry of a table.
 */
#ifndef ITC_IR_OPS_ROW_INDEX_H
#define ITC_IR_OPS_ROW_INDEX_H

#include "ir/op.h"

typedef struct itc_row_index {
    int64_t step;
    itc_tensor *table; /**< i64, the shape of the indices with extent 1 for the rows */
} itc_row_index;

/** Whether the indices v, of shape [N, …], are such; linear in the table's size, times the nodes
 * that compute v. */
bool itc_row_index_find(itc_graph *g, const itc_value *v, itc_row_index *r);

/** Of indices v that are such plus others of run time: the places within a row of `step` elements,
 * as many as v has. NULL: they are none of these, or of another step. */
ITC_NODISCARD itc_status itc_row_index_local(itc_graph *g, const itc_node *origin, itc_value *v,
                                             int64_t step, itc_value **local);

#endif
