/**
 * Products, quotients and bounds: ref/elementwise.c, compiled for this instruction set.
 */
#include "../cpu.h"

#ifdef ITR_ARM
#include "begin_neon.h"

#undef ITR_KERNEL
#define ITR_KERNEL(name) itr_##name##_neon
#include "../ref/elementwise.c"

#include "end.h"
#endif
