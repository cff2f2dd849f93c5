/**
 * Pooling over planes and its gradients.
 *
 * Shapes   forward: x [planes, h, w], y [planes, oh, ow]. Gradients: dy [planes, oh, ow] and dx
 *          [planes, h, w], for sums and means in the fields x and y
 * Units    maximum: y at x's exponent, index (i32, may be null) the offset of the maximum in its
 *          plane, the first of equals. sumpool: at x's exponent (the plan divides by a count that
 *          is one power of two). avgpool: sum * round(2^30 / count), at x's exponent - 30
 * Range    exact. sumpool and maxpool_grad: the plan proves that the terms of a sum times the
 *          limit of x fit 31 bits; avgpool: count < 2^31
 * Padding  is no maximum and adds 0; whether means count it: itr_pool_at. A window without an
 *          element of the plane gives 0 and index -1, which the gradient skips
 * Aliasing none
 * Source   ONNX MaxPool-12, AveragePool-19; gradients are the transposed maps
 */
#include <string.h>

#include "pool_window.h"

#define POOL_MAX ITR_KERNEL(maxpool_i8)
#define POOL_MAX_GRAD ITR_KERNEL(maxpool_grad_i8i32)
#define POOL_IN int8_t
#define POOL_LOWEST INT8_MIN
#define POOL_LOCAL(name) max_i8_##name
#include "pool_max.h"

#define POOL_MAX ITR_KERNEL(maxpool_i16)
#define POOL_MAX_GRAD ITR_KERNEL(maxpool_grad_i16i32)
#define POOL_IN int16_t
#define POOL_LOWEST INT16_MIN
#define POOL_LOCAL(name) max_i16_##name
#include "pool_max.h"

#define POOL_SUM ITR_KERNEL(sumpool_i8i32)
#define POOL_SUM_GRAD ITR_KERNEL(sumpool_grad_i8i32)
#define POOL_IN int8_t
#define POOL_OUT int32_t
#define POOL_WEIGHT(count) 1
#define POOL_SCALE(cols, high, include_pad, y) (void)0
#define POOL_LOCAL(name) sum_i8_##name
#include "pool_sum.h"

#define POOL_SUM ITR_KERNEL(sumpool_i16i32)
#define POOL_SUM_GRAD ITR_KERNEL(sumpool_grad_i16i32)
#define POOL_IN int16_t
#define POOL_OUT int32_t
#define POOL_WEIGHT(count) 1
#define POOL_SCALE(cols, high, include_pad, y) (void)0
#define POOL_LOCAL(name) sum_i16_##name
#include "pool_sum.h"

/** round(2^30 / count); 0 for a window without elements. */
static int64_t reciprocal(int64_t count)
{
    return count ? (((int64_t)1 << 30) + count / 2) / count : 0;
}

static void scale_row(const itr_pool_axis *cols, int64_t high, bool include_pad, int64_t *y)
{
    int64_t count = 0, weight = 0; /* most windows count as many as the one before */
    for (int64_t i = 0; i < cols->windows; i++) {
        const int64_t n = high * itr_pool_at(cols, i, include_pad).count;
        if (n != count) {
            count = n;
            weight = reciprocal(n);
        }
        y[i] *= weight;
    }
}

#define POOL_SUM ITR_KERNEL(avgpool_i8i64)
#define POOL_SUM_GRAD ITR_KERNEL(avgpool_grad_i8i64)
#define POOL_IN int8_t
#define POOL_OUT int64_t
#define POOL_WEIGHT(count) reciprocal(count)
#define POOL_SCALE scale_row
#define POOL_LOCAL(name) mean_i8_##name
#include "pool_sum.h"

#define POOL_SUM ITR_KERNEL(avgpool_i16i64)
#define POOL_SUM_GRAD ITR_KERNEL(avgpool_grad_i16i64)
#define POOL_IN int16_t
#define POOL_OUT int64_t
#define POOL_WEIGHT(count) reciprocal(count)
#define POOL_SCALE scale_row
#define POOL_LOCAL(name) mean_i16_##name
#include "pool_sum.h"
