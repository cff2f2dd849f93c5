/**
 * Convolutions for AVX-512 VNNI: operands of 8 bits (ref/conv.c says what they compute).
 */
#include "../cpu.h"

#ifdef ITR_X86
#include "begin_avx512vnni.h"

#include "point_avx512vnni.h"
#include "window_avx512vnni.h"

#include "../tile/view.h"
#include "../tile/weight.h"

#include "taps_avx512vnni.h"

#define CONV_DIRECT 0
#define CONV_WINDOW 1
#define LEVEL(name) name##_avx512vnni
#define BELOW(name) name##_avx2
#include "../tile/conv.h"

#include "end.h"
#endif
