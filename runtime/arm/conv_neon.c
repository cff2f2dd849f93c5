/**
 * Convolutions for Advanced SIMD (ref/conv.c says what they compute).
 */
#include "../cpu.h"

#ifdef ITR_ARM
#include "begin_neon.h"

#include "direct_neon.h"

#include "../tile/direct.h"
#include "../tile/weight.h"

#define CONV_DIRECT 1
#define CONV_WINDOW 0
#define LEVEL(name) name##_neon
#include "../tile/conv.h"

#include "end.h"
#endif
