/*
 * Functions from here to end.h may use Armv8.6's products of matrices of bytes, whatever the flags
 * of the file: the kernel table holds them only where the CPU has them. Include it last, inside
 * `#ifdef ITR_I8MM`.
 */
#include <arm_neon.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("i8mm"))), apply_to = function)
#else
#pragma GCC push_options
/* Loops are vectorised whatever the flags; the pragma forgets those of the command line. Scheduled
 * before registers are allocated, the tile would not have enough of them. */
#pragma GCC optimize("O3", "vect-cost-model=dynamic", "no-strict-aliasing", "no-schedule-insns")
#pragma GCC target("arch=armv8.2-a+i8mm")
#endif
