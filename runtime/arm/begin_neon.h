/*
 * Functions from here to end.h use Advanced SIMD, which every CPU has that ITR_ARM stands for.
 * Include it last, inside `#ifdef ITR_ARM`.
 */
#include <arm_neon.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("neon"))), apply_to = function)
#else
#pragma GCC push_options
/* Loops are vectorised whatever the flags; the pragma forgets those of the command line. */
#pragma GCC optimize("O3", "vect-cost-model=dynamic", "no-strict-aliasing")
#endif
