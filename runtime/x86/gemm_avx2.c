/**
 * Matrix products for AVX2 (ref/gemm.c says what they compute).
 */
#include "../cpu.h"

#ifdef ITR_X86
#include "begin_avx2.h"

#include "tile_avx2.h"

#include "../tile/pack.h"

#define LEVEL(name) name##_avx2
#include "../tile/gemm.h"

#include "end.h"
#endif
