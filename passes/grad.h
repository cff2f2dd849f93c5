/**
 * Reverse-mode differentiation: what an operator's `grad` hook uses. Gradients in the backward
 * graph are those of the sum over the samples of a step of each sample's loss; the optimizer
 * multiplies by 1/N (numerics N14).
 */
#ifndef ITC_PASSES_GRAD_H
#define ITC_PASSES_GRAD_H

#include "ir/op.h"

typedef struct itc_grad itc_grad;

itc_graph *itc_grad_graph(itc_grad *b);
/** Gradient of an output, contributions summed; NULL: nothing downstream depends on it. */
itc_value *itc_grad_of(itc_grad *b, const itc_node *n, int out);
/** True: operand i leads back to something trained, so its gradient is needed. */
bool itc_grad_wanted(itc_grad *b, const itc_node *n, int i);
/** Adds a contribution to the gradient of operand i; its type must be the operand's. */
itc_status itc_grad_add(itc_grad *b, const itc_node *n, int i, itc_value *contribution);
/** Builds a node in the backward section with n's origin; one output, which is returned in *out. */
ITC_NODISCARD itc_status itc_grad_build(itc_grad *b, const itc_node *n, const itc_op_def *op,
                                        int n_in, itc_value *const *in, itc_node **node,
                                        itc_value **out);

#endif
