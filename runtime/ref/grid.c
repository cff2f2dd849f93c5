/**
 * The gradient grid of the next step (NUMERICS.md: "Micro-batches").
 */
#include "../core.h"
#include "../kernel.h"

void itr_grid_next_ref(const itr_grid_next_args *a)
{
    *a->e_grid = itr_grid_next((const int64_t *)a->acc, a->n, *a->e_acc);
}
