/**
 * Whether an initializer is computed from another one by a formula that models write.
 */
#ifndef ITC_FRONTEND_ONNX_FORMULA_H
#define ITC_FRONTEND_ONNX_FORMULA_H

#include "ir/ir.h"

typedef enum itc_onnx_formula_kind {
    ITC_ONNX_PLUS,        /**< p + number */
    ITC_ONNX_MINUS,       /**< number - p */
    ITC_ONNX_TIMES,       /**< p * number */
    ITC_ONNX_SUM_SQUARES, /**< sums of p * p over an axis */
    ITC_ONNX_EXP,
    ITC_ONNX_SIGMOID,
    ITC_ONNX_TANH
} itc_onnx_formula_kind;

typedef struct itc_onnx_formula {
    itc_onnx_formula_kind kind;
    float number;
    int axis;
} itc_onnx_formula;

/** Finds the formula that gives t's elements from p's, each within the rounding of floats. False:
 * none does, or p's elements are too few or too much alike to tell. Both are f32. */
bool itc_onnx_find_formula(const itc_tensor *p, const itc_tensor *t, itc_onnx_formula *out);

#endif
