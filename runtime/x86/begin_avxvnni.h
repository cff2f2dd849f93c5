/*
 * Functions from here to end.h may use AVX2 and AVX-VNNI, whatever the flags of the file: the
 * kernel table holds them only where the CPU has them. Include it last, inside `#ifdef
 * ITR_AVXVNNI`.
 */
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,avxvnni"))), apply_to = function)
#else
#pragma GCC push_options
/* Loops are vectorised whatever the flags; the pragma forgets those of the command line. */
#pragma GCC optimize("O3", "vect-cost-model=dynamic", "no-strict-aliasing")
#pragma GCC target("avx2,avxvnni")
#endif
