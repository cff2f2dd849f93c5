/**
 * The forward pass of an import-stage graph in double precision, written from the ONNX operator
 * definitions alone: no pass, rule or kernel of the compiler takes part. Gradients are finite
 * differences of it.
 */
#ifndef ITC_TESTS_SUPPORT_REF_F64_H
#define ITC_TESTS_SUPPORT_REF_F64_H

#include "ir/op.h"

typedef struct ref_tensor {
    int rank;
    int64_t dim[ITC_MAX_RANK];
    int64_t count;
    double *x;
} ref_tensor;

typedef struct ref_model {
    const itc_graph *g;
    int64_t rows;      /**< what N is */
    ref_tensor *value; /**< by value id */
    ref_tensor *mask;  /**< by value id: what Dropout of this result keeps; x NULL: everything */
} ref_model;

/** Parameters and constants are set; inputs are zero until the caller fills value[id].x. */
ref_model *ref_new(const itc_graph *g, int64_t rows);
void ref_forward(ref_model *r);
ref_tensor *ref_value(ref_model *r, const char *name);

/** Operators that are functions of one element (ref_functions.c): f of the node at x. */
bool ref_is_function(const char *op);
double ref_function(const itc_node *n, double x);

/**
 * Mean over the rows of -sum_c q_c log softmax(x)_c, itself a mean over a row's positions. Classes
 * are on `axis`; ids in the order of the remaining axes. q: 1 - smoothing at the target, plus
 * smoothing / classes everywhere. Where x is the result of a Softmax or LogSoftmax, that is the
 * one which the loss has. Ids equal to `ignore` do not count.
 */
double ref_cross_entropy(const ref_model *r, const itc_value *v, int axis, const double *ids,
                         double smoothing, double ignore);
/** The same with weights of the classes (NULL: 1), as a mean over what they sum up to, or a sum. */
double ref_weighted_cross_entropy(const ref_model *r, const itc_value *v, int axis,
                                  const double *ids, double smoothing, double ignore,
                                  const double *weights, bool sum);
/** Mean of squares of x - target over all elements. */
double ref_mse(const ref_model *r, const itc_value *v, const double *target);

#endif
