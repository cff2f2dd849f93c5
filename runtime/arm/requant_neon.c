/**
 * Sums rounded to narrower mantissas: ref/requant_sum.h, compiled for this instruction set.
 */
#include "../cpu.h"

#ifdef ITR_ARM
#include "begin_neon.h"

#include "philox_neon.h"

#define ITR_REQUANT_NARROW 1
#undef ITR_KERNEL
#define ITR_KERNEL(name) itr_##name##_neon
#include "../ref/requant_sum.h"

#include "end.h"
#endif
