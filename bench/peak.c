/*
 * What one core can do: multiply-adds a second of exact int8 and int16 products summed in 32 bits,
 * and of float32, with all operands in registers; and 1e9 bytes a second between a core and memory,
 * of a copy that fits no cache. The yardstick of bench/speed.py; prints JSON.
 *
 *     cc -O2 -o peak peak.c && ./peak
 */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    SUMS = 12,
    ROUNDS = 100000,
    TRIES = 20,
    COPIED = 128 << 20
}; /* 12 sums hide the latency of every core at hand */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The best of some tries, in 1e9 multiply-adds a second. */
static double best(void (*kernel)(void), double multiply_adds)
{
    double least = 1e9;
    for (int i = 0; i < TRIES; i++) {
        const double start = now();
        kernel();
        const double took = now() - start;
        least = took < least ? took : least;
    }
    return multiply_adds * SUMS * ROUNDS / least * 1e-9;
}

/* `statement` updates sums[i] from a and b, which the compiler must take for new each time. */
#define KERNEL(name, isa, type, constraint, zero, statement)                                       \
    __attribute__((target(isa))) static void name(void)                                            \
    {                                                                                              \
        type sums[SUMS];                                                                           \
        type a = zero;                                                                             \
        type b = zero;                                                                             \
        for (int i = 0; i < SUMS; i++) {                                                           \
            sums[i] = zero;                                                                        \
        }                                                                                          \
        for (int round = 0; round < ROUNDS; round++) {                                             \
            _Pragma("GCC unroll 12") for (int i = 0; i < SUMS; i++)                                \
            {                                                                                      \
                __asm__ volatile("" : "+" constraint(a), "+" constraint(b));                       \
                statement;                                                                         \
            }                                                                                      \
        }                                                                                          \
        for (int i = 0; i < SUMS; i++) {                                                           \
            __asm__ volatile("" : "+" constraint(sums[i]));                                        \
        }                                                                                          \
    }

#if defined __x86_64__
#include <immintrin.h>

KERNEL(avx2_int16, "avx2", __m256i, "x", _mm256_setzero_si256(),
       sums[i] = _mm256_add_epi32(sums[i], _mm256_madd_epi16(a, b)))
KERNEL(fma_float32, "avx2,fma", __m256, "x", _mm256_setzero_ps(),
       sums[i] = _mm256_fmadd_ps(a, b, sums[i]))
KERNEL(avx512_int16, "avx512f,avx512bw", __m512i, "v", _mm512_setzero_si512(),
       sums[i] = _mm512_add_epi32(sums[i], _mm512_madd_epi16(a, b)))
KERNEL(avx512_float32, "avx512f", __m512, "v", _mm512_setzero_ps(),
       sums[i] = _mm512_fmadd_ps(a, b, sums[i]))
KERNEL(vnni_int16, "avx512f,avx512vnni", __m512i, "v", _mm512_setzero_si512(),
       sums[i] = _mm512_dpwssd_epi32(sums[i], a, b))
KERNEL(vnni_int8, "avx512f,avx512vnni", __m512i, "v", _mm512_setzero_si512(),
       sums[i] = _mm512_dpbusd_epi32(sums[i], a, b))

static int measure(double *int8, double *int16, double *float32)
{
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) {
        return 0;
    }
    *int16 = best(avx2_int16, 16);
    *float32 = best(fma_float32, 8);
    if (__builtin_cpu_supports("avx512bw")) {
        const double wide = best(avx512_int16, 32);
        const double real = best(avx512_float32, 16);
        *int16 = wide > *int16 ? wide : *int16;
        *float32 = real > *float32 ? real : *float32;
    }
    *int8 = *int16; /* without VNNI no exact instruction for bytes is faster than that for words */
    if (__builtin_cpu_supports("avx512vnni")) {
        const double words = best(vnni_int16, 32);
        *int16 = words > *int16 ? words : *int16;
        *int8 = best(vnni_int8, 64);
    }
    return 1;
}
#elif defined __aarch64__
#include <arm_neon.h>

KERNEL(neon_float32, "+simd", float32x4_t, "w", vdupq_n_f32(0), sums[i] = vfmaq_f32(sums[i], a, b))
KERNEL(neon_int16, "+simd", int32x4_t, "w", vdupq_n_s32(0),
       sums[i] = vmlal_s16(sums[i], vget_low_s16(vreinterpretq_s16_s32(a)),
                           vget_low_s16(vreinterpretq_s16_s32(b))))

static int measure(double *int8, double *int16, double *float32)
{
    *float32 = best(neon_float32, 4);
    *int16 = *int8 = best(neon_int16, 4);
    return 1;
}
#else
static int measure(double *int8, double *int16, double *float32)
{
    (void)int8, (void)int16, (void)float32;
    return 0;
}
#endif

/* What a copy reads and writes, in 1e9 bytes a second; 0 without memory for it. */
static double measure_copy(void)
{
    double least = 1e9;
    char *from = malloc(COPIED);
    char *to = malloc(COPIED);
    if (from && to) {
        memset(from, 1, COPIED);
        memset(to, 2, COPIED);
        for (int i = 0; i < TRIES; i++) {
            const double start = now();
            memcpy(to, from, COPIED);
            __asm__ volatile("" : : "r"(to) : "memory");
            const double took = now() - start;
            least = took < least ? took : least;
        }
    }
    free(from);
    free(to);
    return 2.0 * COPIED / least * 1e-9;
}

int main(void)
{
    double int8 = 0;
    double int16 = 0;
    double float32 = 0;
    if (!measure(&int8, &int16, &float32)) {
        puts("{}");
        return 0;
    }
    printf("{\"int8\": %.1f, \"int16\": %.1f, \"float32\": %.1f, \"copy\": %.1f}\n", int8, int16,
           float32, measure_copy());
    return 0;
}
