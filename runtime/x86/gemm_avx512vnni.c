/**
 * Matrix products for AVX-512 VNNI: operands of 8 bits (ref/gemm.c says what they compute).
 */
#include "../cpu.h"

#ifdef ITR_X86
#include "begin_avx512vnni.h"

#include "tile_avx512vnni.h"

#include "../tile/pack.h"

#define LEVEL(name) name##_avx512vnni
#include "../tile/gemm.h"

#include "end.h"
#endif
