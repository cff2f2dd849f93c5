/**
 * Sums of gradients over micro-batches in the float32 trainer.
 */
#include "../kernel.h"

void itr_grid_add_f32_ref(const itr_reduce_pair_args *a)
{
    const float *x = (const float *)a->x;
    float *acc = (float *)a->acc;
    for (int64_t i = 0; i < a->n; i++) {
        acc[i] = a->first ? x[i] : acc[i] + x[i];
    }
}
