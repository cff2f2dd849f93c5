/**
 * Matrix products for Armv8.2's dot products: operands of 8 bits (ref/gemm.c says what they
 * compute).
 */
#include "../cpu.h"

#ifdef ITR_ARM
#define LEVEL(name) name##_dotprod
#define BELOW(name) name##_neon

#ifdef ITR_DOTPROD
#include "begin_dotprod.h"

#include "tile_dotprod.h"

#include "../tile/pack.h"

#include "../tile/gemm.h"

#include "end.h"
#else
#include "../tile/below_gemm.h"
#endif
#endif
