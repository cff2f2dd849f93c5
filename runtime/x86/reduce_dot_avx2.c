/**
 * Sums of products over axes: ref/reduce_dot.c, compiled for this instruction set.
 */
#include "../cpu.h"

#ifdef ITR_X86
#include "begin_avx2.h"

#undef ITR_KERNEL
#define ITR_KERNEL(name) itr_##name##_avx2
#include "../ref/reduce_dot.c"

#include "end.h"
#endif
