/**
 * Pooling for the float32 reference trainer; shapes as in pool.c, averages summed in double.
 */
#include "pool_window.h"

#define IN float
#define OUT float
#define SUM double
#define WEIGHT(a, oh, ow) (1.0 / (double)itr_window_count(a, oh, ow))
#define NAME(x) x##_f32
#include "pool.inc"
#include "pool_sum.inc"

void itr_maxpool_f32_ref(const itr_pool_args *a)
{
    maxpool_f32(a);
}

void itr_maxpool_grad_f32_ref(const itr_maxpool_grad_args *a)
{
    maxpool_grad_f32(a);
}

void itr_avgpool_f32_ref(const itr_pool_args *a)
{
    pool_sum_f32(a);
}

void itr_avgpool_grad_f32_ref(const itr_pool_args *a)
{
    pool_spread_f32(a);
}
