/**
 * Normalisation: ref/norm.c, compiled for this instruction set.
 */
#include "../cpu.h"

#ifdef ITR_X86
#include "begin_avx512vnni.h"

#undef ITR_KERNEL
#define ITR_KERNEL(name) itr_##name##_avx512vnni
#include "../ref/norm.c"

#include "end.h"
#endif
