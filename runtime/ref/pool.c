/**
 * Pooling on mantissas.
 * Shapes   x [planes,h,w] -> y [planes,oh,ow]; index [planes,oh,ow], offsets in a plane of x
 * Units    maximum: e_y = e_x. Sums: e_y = e_x. Averages with a reciprocal: e_y = e_x - 30
 * Range    sums: kh*kw * limit < 2^31 (the plan proves it); averages: < 2^62
 * Aliasing none
 * Source   ONNX MaxPool-12, AveragePool-19; NUMERICS.md "Pooling"
 */
#include "pool_window.h"

#define IN int8_t
#define OUT int32_t
#define NAME(x) x##_i8
#include "pool.inc"
#define SUM int32_t
#define WEIGHT(a, oh, ow) 1
#include "pool_sum.inc"
#undef NAME
#undef IN

#define IN int16_t
#define NAME(x) x##_i16
#include "pool.inc"
#include "pool_sum.inc"
#undef NAME
#undef OUT
#undef SUM
#undef WEIGHT

/** round(2^30 / count) */
static int64_t reciprocal(const itr_pool_args *a, int64_t oh, int64_t ow)
{
    const int64_t count = itr_window_count(a, oh, ow);
    return (((int64_t)1 << 30) + count / 2) / count;
}

#define OUT int64_t
#define SUM int64_t
#define WEIGHT(a, oh, ow) reciprocal(a, oh, ow)
#define taps_avg_i8 taps_i8
#define NAME(x) x##_avg_i8
#undef IN
#define IN int8_t
#include "pool_sum.inc"
#undef NAME
#undef IN
#define taps_avg_i16 taps_i16
#define NAME(x) x##_avg_i16
#define IN int16_t
#include "pool_sum.inc"

void itr_maxpool_i8_ref(const itr_pool_args *a)
{
    maxpool_i8(a);
}

void itr_maxpool_i16_ref(const itr_pool_args *a)
{
    maxpool_i16(a);
}

void itr_maxpool_grad_i8i32_ref(const itr_maxpool_grad_args *a)
{
    maxpool_grad_i8(a);
}

void itr_maxpool_grad_i16i32_ref(const itr_maxpool_grad_args *a)
{
    maxpool_grad_i16(a);
}

void itr_sumpool_i8i32_ref(const itr_pool_args *a)
{
    pool_sum_i8(a);
}

void itr_sumpool_i16i32_ref(const itr_pool_args *a)
{
    pool_sum_i16(a);
}

void itr_avgpool_i8i64_ref(const itr_pool_args *a)
{
    pool_sum_avg_i8(a);
}

void itr_avgpool_i16i64_ref(const itr_pool_args *a)
{
    pool_sum_avg_i16(a);
}

void itr_sumpool_grad_i8i32_ref(const itr_pool_args *a)
{
    pool_spread_i8(a);
}

void itr_sumpool_grad_i16i32_ref(const itr_pool_args *a)
{
    pool_spread_i16(a);
}

void itr_avgpool_grad_i8i64_ref(const itr_pool_args *a)
{
    pool_spread_avg_i8(a);
}

void itr_avgpool_grad_i16i64_ref(const itr_pool_args *a)
{
    pool_spread_avg_i16(a);
}
