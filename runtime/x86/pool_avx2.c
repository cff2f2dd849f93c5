/**
 * Pooling: ref/pool.c, compiled for this instruction set.
 */
#include "../cpu.h"

#ifdef ITR_X86
#include "begin_avx2.h"

#undef ITR_KERNEL
#define ITR_KERNEL(name) itr_##name##_avx2
#include "../ref/pool.c"

#include "end.h"
#endif
