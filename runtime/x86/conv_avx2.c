/**
 * Convolutions for AVX2 (ref/conv.c says what they compute).
 */
#include "../cpu.h"

#ifdef ITR_X86
#include "begin_avx2.h"

#include "tile_avx2.h"

#include "../tile/pack.h"
#include "../tile/view.h"
#include "../tile/weight.h"

#define LEVEL(name) name##_avx2
#include "../tile/conv.h"

#include "end.h"
#endif
