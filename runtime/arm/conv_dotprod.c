/**
 * Convolutions for Armv8.2's dot products: operands of 8 bits (ref/conv.c says what they compute).
 */
#include "../cpu.h"

#ifdef ITR_ARM
#include "begin_dotprod.h"

#include "tile_dotprod.h"

#include "../tile/view.h"
#include "../tile/weight.h"

#define CONV_DIRECT 0
#define LEVEL(name) name##_dotprod
#define BELOW(name) name##_neon
#include "../tile/conv.h"

#include "end.h"
#endif
