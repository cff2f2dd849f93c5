#include "core.h"
#include "numeric.h"

size_t itr_dtype_size(itr_dtype t)
{
    switch (t) {
    case ITR_I8:
    case ITR_U8:
        return 1;
    case ITR_I16:
        return 2;
    case ITR_I32:
    case ITR_F32:
        return 4;
    case ITR_I64:
        return 8;
    }
    return 0;
}

int32_t itr_grid_next(const int64_t *acc, int64_t n, int32_t e_grid)
{
    uint64_t all = 0; /* its leading bit is that of the largest magnitude */
    for (int64_t i = 0; i < n; i++) {
        all |= itr_abs64(acc[i]);
    }
    return itr_grid_exponent(all, e_grid);
}

int32_t itr_grid_exponent(uint64_t all, int32_t e_grid)
{
    return all ? e_grid + itr_bitlen64(all) - 1 - ITR_GRID_BITS : e_grid;
}
