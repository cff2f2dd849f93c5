#include "cpu.h"

#ifdef ITR_X86

#include <cpuid.h>

/** Registers whose contents the system saves: XCR0, or 0 where it cannot be read. */
static uint32_t saved_registers(uint32_t ecx1)
{
    uint32_t low = 0, high = 0;
    if ((ecx1 & bit_OSXSAVE) == 0) {
        return 0;
    }
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

static bool has(uint32_t set, uint32_t bits)
{
    return (set & bits) == bits;
}

uint32_t itr_cpu_isa(void)
{
    enum { YMM = 0x06, ZMM = 0xE6 };
    const uint32_t avx512 = bit_AVX512F | bit_AVX512DQ | bit_AVX512BW | bit_AVX512VL;
    uint32_t a, b1, c1, d, b7, c7, a71 = 0, b, c, leaves;
    uint32_t isa = 0;
    if (!__get_cpuid(1, &a, &b1, &c1, &d) || !__get_cpuid_count(7, 0, &leaves, &b7, &c7, &d)) {
        return 0;
    }
    if (leaves >= 1) {
        __cpuid_count(7, 1, a71, b, c, d);
    }
    const uint32_t saved = saved_registers(c1);
    const bool avx2 = has(saved, YMM) && has(b7, bit_AVX2);
    isa |= avx2 ? ITR_ISA_avx2 : 0;
    isa |= avx2 && has(a71, 1u << 4) ? ITR_ISA_avxvnni : 0; /* AVX-VNNI */
    isa |= avx2 && has(saved, ZMM) && has(b7, avx512) && has(c7, bit_AVX512VNNI)
               ? ITR_ISA_avx512vnni
               : 0;
    return isa;
}

bool itr_cpu_has_sha(void)
{
    uint32_t a, b, c1, b7, c, d;
    return __get_cpuid(1, &a, &b, &c1, &d) && __get_cpuid_count(7, 0, &a, &b7, &c, &d) &&
           has(c1, bit_SSSE3 | bit_SSE4_1) && has(b7, 1u << 29); /* SHA */
}

#elif defined(ITR_ARM)

#if defined(__linux__) && __STDC_HOSTED__
#include <sys/auxv.h>
#endif

uint32_t itr_cpu_isa(void)
{
    uint32_t isa = ITR_ISA_neon;
#if defined(__ARM_FEATURE_DOTPROD)
    isa |= ITR_ISA_dotprod;
#elif defined(__linux__) && __STDC_HOSTED__
    isa |= getauxval(AT_HWCAP) & 1ul << 20 ? ITR_ISA_dotprod : 0; /* HWCAP_ASIMDDP */
#endif
#if defined(__ARM_FEATURE_MATMUL_INT8)
    isa |= ITR_ISA_i8mm;
#elif defined(__linux__) && __STDC_HOSTED__
    isa |= getauxval(AT_HWCAP2) & 1ul << 13 ? ITR_ISA_i8mm : 0;   /* HWCAP2_I8MM */
#endif
    return isa;
}

#else

uint32_t itr_cpu_isa(void)
{
    return 0;
}

#endif

static bool same(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

bool itr_isa_up_to(const char *name, uint32_t *isa)
{
    typedef struct level {
        const char *name, *architecture;
    } level;
    static const level levels[] = {
#define NAME(level, architecture) {#level, #architecture},
        ITR_LEVELS(NAME)
#undef NAME
    };
    *isa = 0;
    if (same(name, "ref")) {
        return true;
    }
    for (int i = 0; i < ITR_LEVEL_COUNT; i++) {
        if (!same(name, levels[i].name)) {
            continue;
        }
        for (int k = 0; k <= i; k++) {
            *isa |= same(levels[k].architecture, levels[i].architecture) ? 1u << k : 0;
        }
        return true;
    }
    return false;
}
