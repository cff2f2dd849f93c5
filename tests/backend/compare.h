/**
 * What a result of ONNX's node tests must be: the type, the extents, and each element within
 * ONNX's own tolerances.
 */
#ifndef ITC_TESTS_BACKEND_COMPARE_H
#define ITC_TESTS_BACKEND_COMPARE_H

#include "ir/ir.h"

/**
 * NULL where `got` is what `want` says, else what is wrong. Floats: |got - want| <= 1e-7 + 1e-3
 * |want| as in onnx.backend.test.runner (a wider one where the file's type is float16 or bfloat16,
 * whose last bit is more than that), plus 2^-23 of the largest element, which is what want itself
 * has left of float32's rounding where sums cancel; not-a-number and infinities only where they are
 * expected. Integers and booleans: equal.
 */
const char *backend_compare(itc_ctx *ctx, const itc_tensor *want, int32_t onnx_type,
                            const itc_type *type, const void *got);

#endif
