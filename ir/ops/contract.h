/**
 * Sums of products over named axes: what MatMul with broadcast batches and Einsum share.
 */
#ifndef ITC_IR_OPS_CONTRACT_H
#define ITC_IR_OPS_CONTRACT_H

#include "ir/op.h"

#define ITC_MAX_LABELS 64

/** A tensor whose axes are named: axis i is called label[i], a number below ITC_MAX_LABELS. */
typedef struct itc_labelled {
    itc_value *x;
    int rank;
    uint8_t label[ITC_MAX_RANK];
} itc_labelled;

/**
 * y[labels of out] = the sum over all other labels of the product of the operands, exact between
 * one product and the next. A label that stands twice in an operand takes its diagonal; an axis of
 * extent 1 broadcasts. `out` names labels once each, in the order of *y (its x is not looked at);
 * one that no operand has gets extent 1. Operands are changed. E0220, E0224, E0226.
 */
ITC_NODISCARD itc_status itc_contract_build(itc_graph *g, const itc_node *origin, int count,
                                            itc_labelled *operand, const itc_labelled *out,
                                            itc_value **y);

#endif
