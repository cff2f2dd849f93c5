/**
 * Convolutions for AVX2 (ref/conv.c says what they compute).
 */
#include "../cpu.h"

#ifdef ITR_X86
#include "begin_avx2.h"

#include "direct_avx2.h"

#include "../tile/direct.h"
#include "../tile/weight.h"

#define CONV_DIRECT 1
#define CONV_WINDOW 0
#define LEVEL(name) name##_avx2
#include "../tile/conv.h"

#include "end.h"
#endif
