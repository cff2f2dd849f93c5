/**
 * Matrix products for Armv8.6's products of matrices of bytes: operands of 8 bits (ref/gemm.c says
 * what they compute).
 */
#include "../cpu.h"

#ifdef ITR_ARM
#define LEVEL(name) name##_i8mm
#define BELOW(name) name##_dotprod

#ifdef ITR_I8MM
#include "begin_i8mm.h"

#include "tile_i8mm.h"

#include "../tile/pack.h"

#include "../tile/gemm.h"

#include "end.h"
#else
#include "../tile/below_gemm.h"
#endif
#endif
