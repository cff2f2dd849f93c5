/**
 * Convolutions for AVX-VNNI: operands of 8 bits (ref/conv.c says what they compute).
 */
#include "../cpu.h"

#ifdef ITR_X86
#define CONV_DIRECT 0
#define CONV_WINDOW 0
#define LEVEL(name) name##_avxvnni
#define BELOW(name) name##_avx2

#ifdef ITR_AVXVNNI
#include "begin_avxvnni.h"

#include "tile_avxvnni.h"

#include "../tile/view.h"
#include "../tile/weight.h"

#include "../tile/conv.h"

#include "end.h"
#else
#include "../tile/below_conv.h"
#endif
#endif
