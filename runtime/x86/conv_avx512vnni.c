/**
 * Convolutions for AVX-512 VNNI: operands of 8 bits (ref/conv.c says what they compute).
 */
#include "../cpu.h"

#ifdef ITR_X86
#include "begin_avx512vnni.h"

#include "tile_avx512vnni.h"

#include "../tile/pack.h"
#include "../tile/view.h"
#include "../tile/weight.h"

#define LEVEL(name) name##_avx512vnni
#include "../tile/conv.h"

#include "end.h"
#endif
