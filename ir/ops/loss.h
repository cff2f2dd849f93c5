/**
 * Losses: what the loss pass and ONNX's loss operators share.
 */
#ifndef ITC_IR_OPS_LOSS_H
#define ITC_IR_OPS_LOSS_H

#include "ir/op.h"

/** Operand 2 of a CrossEntropy: what each row counts. classes: constant weights of the classes, not
 * negative, or NULL; ignore: INT32_MIN where no label is. */
ITC_NODISCARD itc_status itc_label_weights_build(itc_graph *g, const itc_node *origin,
                                                 itc_value *ids, itc_value *classes, int64_t ignore,
                                                 bool mean, itc_value **out);

/**
 * The mean or the sum of x over its elements, rows included, as a loss: a SquareLoss where x is a
 * square and averaged, else a MeanLoss. *out is its scalar.
 */
ITC_NODISCARD itc_status itc_mean_loss_build(itc_graph *g, const itc_node *origin, itc_value *x,
                                             bool sum, itc_value **out);

#endif
