/*
 * Functions from here to end.h may use AVX2, whatever the flags of the file: the kernel table holds
 * them only where the CPU has it. Include it last, inside `#ifdef ITR_X86`.
 */
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC optimize("O3", "vect-cost-model=dynamic") /* loops are vectorised whatever the flags   \
                                                       */
#pragma GCC target("avx2")
#endif
