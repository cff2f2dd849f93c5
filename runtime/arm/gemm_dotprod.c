/**
 * Matrix products for Armv8.2's dot products: operands of 8 bits (ref/gemm.c says what they
 * compute).
 */
#include "../cpu.h"

#ifdef ITR_ARM
#include "begin_dotprod.h"

#include "tile_dotprod.h"

#include "../tile/pack.h"

#define LEVEL(name) name##_dotprod
#include "../tile/gemm.h"

#include "end.h"
#endif
