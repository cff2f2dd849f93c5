/**
 * Instruction sets: which levels of variants.def the CPU at hand has, and the prototypes of their
 * kernels. Freestanding; nothing is cached, so that there is no global.
 */
#ifndef ITR_CPU_H
#define ITR_CPU_H

#include "kernel.h"
#include "variants.def"

/*
 * ITR_X86, ITR_ARM: this compiler can build the kernels of that architecture. -DITR_SIMD=0 leaves
 * them out, as does a compiler that may not touch vector registers (-mgeneral-regs-only).
 */
#ifndef ITR_SIMD
#define ITR_SIMD 1
#endif
#if ITR_SIMD && defined(__GNUC__) && defined(__x86_64__) && defined(__SSE2__)
#define ITR_X86 1
#elif ITR_SIMD && defined(__GNUC__) && defined(__aarch64__) && defined(__ARM_NEON) &&              \
    defined(__LITTLE_ENDIAN__) + defined(__AARCH64EL__) > 0
#define ITR_ARM 1
#endif
/* Levels that this compiler knows as well; with one that does not, such a level is that below. */
#if defined(ITR_X86) && (defined(__clang__) ? __clang_major__ >= 12 : __GNUC__ >= 11)
#define ITR_AVXVNNI 1
#endif
#if defined(ITR_ARM) && (defined(__clang__) || __GNUC__ >= 8)
#define ITR_DOTPROD 1
#endif
#if defined(ITR_ARM) && (defined(__clang__) ? __clang_major__ >= 11 : __GNUC__ >= 10)
#define ITR_I8MM 1
#endif

enum {
#define ITR_COUNT_LEVEL(level, architecture) ITR_LEVEL_##level,
    ITR_LEVELS(ITR_COUNT_LEVEL) ITR_LEVEL_COUNT
#undef ITR_COUNT_LEVEL
};

/** A set of levels. */
enum {
#define ITR_LEVEL_BIT(level, architecture) ITR_ISA_##level = 1 << ITR_LEVEL_##level,
    ITR_LEVELS(ITR_LEVEL_BIT)
#undef ITR_LEVEL_BIT
        ITR_ISA_ALL = (1 << ITR_LEVEL_COUNT) - 1
};

/** The levels that this CPU and its system have; asks them anew. */
uint32_t itr_cpu_isa(void);

#ifdef ITR_X86
/** Whether the CPU has instructions for SHA-256, and those of SSE 4.1 beside them. */
bool itr_cpu_has_sha(void);
#endif

/**
 * The levels up to a named one, of its architecture: "avx2", …; "ref" is none of them.
 * False: there is no such name.
 */
bool itr_isa_up_to(const char *name, uint32_t *isa);

#define ITR_DECLARE_VARIANT(level, kernel, args, file)                                             \
    void itr_##kernel##_##level(const itr_##args##_args *a);
ITR_VARIANTS_X86(ITR_DECLARE_VARIANT)
ITR_VARIANTS_ARM(ITR_DECLARE_VARIANT)
#undef ITR_DECLARE_VARIANT

#endif
