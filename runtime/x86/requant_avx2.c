/**
 * Sums rounded to narrower mantissas: ref/requant_sum.h, compiled for this instruction set.
 */
#include "../cpu.h"

#ifdef ITR_X86
#include "begin_avx2.h"

#include "philox_avx2.h"

#define ITR_REQUANT_BLOCK 1024
#define ITR_REQUANT_NARROW 1
#undef ITR_KERNEL
#define ITR_KERNEL(name) itr_##name##_avx2
#include "../ref/requant_sum.h"

#include "end.h"
#endif
