/**
 * Sums over axes.
 *
 * Shapes   x `shape`, dense; y the axes whose bit of reduce_mask is 0, dense (a sum over no
 *          element is 0); extremes (or none) [2, y's elements], not written where sums are empty
 * Units    y at x's exponent
 * Range    exact; for an i32 result the plan proves count * 127 < 2^31
 * Aliasing y overlaps nothing
 * Source   ONNX ReduceSum-13; NUMERICS.md, "Accumulators"
 */
#include "reduce_axes.h"

/** In blocks whose sum fits 32 bits: 65535 * 32767 < 2^31. */
#define DEFINE_RUN(name, type)                                                                     \
    static int64_t name(const type *x, int64_t n)                                                  \
    {                                                                                              \
        int64_t sum = 0;                                                                           \
        for (int64_t i = 0; i < n; i += 65535) {                                                   \
            const int64_t end = n - i < 65535 ? n : i + 65535;                                     \
            int32_t part = 0;                                                                      \
            for (int64_t j = i; j < end; j++) {                                                    \
                part += x[j];                                                                      \
            }                                                                                      \
            sum += part;                                                                           \
        }                                                                                          \
        return sum;                                                                                \
    }
DEFINE_RUN(run_i8, int8_t)
DEFINE_RUN(run_i16, int16_t)

#define REDUCE_NAME ITR_KERNEL(reduce_sum_i8i32)
#define REDUCE_LOCAL(name) i8i32_##name
#define REDUCE_IN int8_t
#define REDUCE_OUT int32_t
#define REDUCE_ACC int32_t
#define REDUCE_RUN run_i8
#include "reduce_sum.h"

#define REDUCE_NAME ITR_KERNEL(reduce_sum_i8i64)
#define REDUCE_LOCAL(name) i8i64_##name
#define REDUCE_IN int8_t
#define REDUCE_OUT int64_t
#define REDUCE_ACC int64_t
#define REDUCE_RUN run_i8
#include "reduce_sum.h"

#define REDUCE_NAME ITR_KERNEL(reduce_sum_i16i64)
#define REDUCE_LOCAL(name) i16i64_##name
#define REDUCE_IN int16_t
#define REDUCE_OUT int64_t
#define REDUCE_ACC int64_t
#define REDUCE_RUN run_i16
#include "reduce_sum.h"
