/**
 * Matrix products for Advanced SIMD (ref/gemm.c says what they compute).
 */
#include "../cpu.h"

#ifdef ITR_ARM
#include "begin_neon.h"

#include "tile_neon.h"

#include "../tile/pack.h"

#define LEVEL(name) name##_neon
#include "../tile/gemm.h"

#include "end.h"
#endif
