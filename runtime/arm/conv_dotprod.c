/**
 * Convolutions for Armv8.2's dot products: operands of 8 bits (ref/conv.c says what they compute).
 */
#include "../cpu.h"

#ifdef ITR_ARM
#define CONV_DIRECT 0
#define CONV_WINDOW 0
#define LEVEL(name) name##_dotprod
#define BELOW(name) name##_neon

#ifdef ITR_DOTPROD
#include "begin_dotprod.h"

#include "tile_dotprod.h"

#include "../tile/view.h"
#include "../tile/weight.h"

#include "../tile/conv.h"

#include "end.h"
#else
#include "../tile/below_conv.h"
#endif
#endif
