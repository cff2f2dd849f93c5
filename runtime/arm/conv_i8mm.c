/**
 * Convolutions for Armv8.6's products of matrices of bytes: operands of 8 bits (ref/conv.c says
 * what they compute).
 */
#include "../cpu.h"

#ifdef ITR_ARM
#define CONV_DIRECT 0
#define CONV_WINDOW 0
#define LEVEL(name) name##_i8mm
#define BELOW(name) name##_dotprod

#ifdef ITR_I8MM
#include "begin_i8mm.h"

#include "tile_i8mm.h"

#include "../tile/view.h"
#include "../tile/weight.h"

#include "../tile/conv.h"

#include "end.h"
#else
#include "../tile/below_conv.h"
#endif
#endif
