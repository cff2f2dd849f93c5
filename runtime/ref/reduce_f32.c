/**
 * Sums over axes in the float32 trainer, accumulated in double in a fixed order.
 */
#include "reduce_axes.h"

/** Eight partial sums, so that a compiler may use vectors without changing the result. */
static double run_f32(const float *x, int64_t n)
{
    double part[8] = {0};
    const int64_t whole = n - n % 8;
    for (int64_t i = 0; i < whole; i += 8) {
        for (int j = 0; j < 8; j++) {
            part[j] += (double)x[i + j];
        }
    }
    for (int64_t i = whole; i < n; i++) {
        part[i - whole] += (double)x[i];
    }
    return ((part[0] + part[4]) + (part[1] + part[5])) +
           ((part[2] + part[6]) + (part[3] + part[7]));
}

#define REDUCE_NAME itr_reduce_sum_f32_ref
#define REDUCE_LOCAL(name) f32_##name
#define REDUCE_IN float
#define REDUCE_OUT float
#define REDUCE_ACC double
#define REDUCE_RUN run_f32
#include "reduce_sum.h"
