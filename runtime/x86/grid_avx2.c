/**
 * The gradient grid of the next step, four numbers at a time (ref/grid.c).
 */
#include "../core.h"
#include "../cpu.h"
#include "../numeric.h"

#ifdef ITR_X86
#include "begin_avx2.h"

static __m256i magnitude(__m256i x)
{
    const __m256i sign = _mm256_cmpgt_epi64(_mm256_setzero_si256(), x);
    return _mm256_sub_epi64(_mm256_xor_si256(x, sign), sign);
}

void itr_grid_next_avx2(const itr_grid_next_args *a)
{
    const int64_t *acc = (const int64_t *)a->acc;
    __m256i all = _mm256_setzero_si256();
    uint64_t lane[4], rest = 0;
    int64_t i = 0;
    for (; i + 4 <= a->n; i += 4) {
        const __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)(acc + i));
        all = _mm256_or_si256(all, magnitude(x));
    }
    for (; i < a->n; i++) {
        rest |= itr_abs64(acc[i]);
    }
    _mm256_storeu_si256((__m256i *)(void *)lane, all);
    *a->e_grid = itr_grid_exponent(rest | lane[0] | lane[1] | lane[2] | lane[3], *a->e_acc);
}

#include "end.h"
#endif
