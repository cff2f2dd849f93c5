/**
 * Matrix products for AVX-VNNI: operands of 8 bits (ref/gemm.c says what they compute).
 */
#include "../cpu.h"

#ifdef ITR_X86
#define LEVEL(name) name##_avxvnni
#define BELOW(name) name##_avx2

#ifdef ITR_AVXVNNI
#include "begin_avxvnni.h"

#include "tile_avxvnni.h"

#include "../tile/pack.h"

#include "../tile/gemm.h"

#include "end.h"
#else
#include "../tile/below_gemm.h"
#endif
#endif
