/**
 * Matrix products for AVX-VNNI: operands of 8 bits (ref/gemm.c says what they compute).
 */
#include "../cpu.h"

#ifdef ITR_X86
#ifdef ITR_AVXVNNI
#include "begin_avxvnni.h"

#include "tile_avxvnni.h"

#include "../tile/pack.h"

#define LEVEL(name) name##_avxvnni
#include "../tile/gemm.h"

#include "end.h"
#else
#define SAME(name)                                                                                 \
    void itr_##name##_avxvnni(const itr_gemm_args *a)                                              \
    {                                                                                              \
        itr_##name##_avx2(a);                                                                      \
    }
SAME(gemm_i8i8i32)
SAME(gemm_i8i8i64)
#endif
#endif
