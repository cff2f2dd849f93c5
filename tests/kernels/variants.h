/**
 * What the tests of kernels share: the variants that this machine can run, random data from a seed
 * that is printed (ITR_SEED= repeats it), and buffers that notice a write beyond their ends.
 */
#ifndef ITR_TESTS_KERNELS_VARIANTS_H
#define ITR_TESTS_KERNELS_VARIANTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu.h"

/** Any kernel; the caller casts to the type that its arguments say. */
typedef void (*any_kernel)(void);

typedef struct variant {
    const char *kernel, *level, *args;
    uint32_t isa;
    any_kernel ref, run;
} variant;

/** The i-th variant whose level this CPU has; false past the end. */
static inline bool variant_at(int i, variant *out)
{
    static const variant table[] = {
#define ROW(level, kernel, args, file)                                                             \
    {#kernel,                                                                                      \
     #level,                                                                                       \
     #args,                                                                                        \
     ITR_ISA_##level,                                                                              \
     (any_kernel)itr_##kernel##_ref,                                                               \
     (any_kernel)itr_##kernel##_##level},
#ifdef ITR_X86
        ITR_VARIANTS_X86(ROW)
#endif
#ifdef ITR_ARM
            ITR_VARIANTS_ARM(ROW)
#endif
#undef ROW
                {0}};
    const uint32_t isa = itr_cpu_isa();
    for (const variant *v = table; v->kernel; v++) {
        if ((v->isa & isa) != 0 && i-- == 0) {
            *out = *v;
            return true;
        }
    }
    return false;
}

static uint64_t random_state;

/** splitmix64. */
static inline uint64_t random_next(void)
{
    uint64_t x = random_state += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

/** Uniform in [lo, hi]. */
static inline int64_t random_in(int64_t lo, int64_t hi)
{
    return lo + (int64_t)(random_next() % ((uint64_t)(hi - lo) + 1));
}

/** Call it first in main. */
static inline void random_start(uint64_t seed)
{
    const char *given = getenv("ITR_SEED");
    random_state = given ? strtoull(given, NULL, 0) : seed;
    printf("ITR_SEED=%llu\n", (unsigned long long)random_state);
}

typedef enum data { UNIFORM, EXTREME, ALL_LARGEST, DATA_COUNT } data;

/** Mantissas of 8 or 16 bits; -2^(b-1) is never one. */
static inline void random_fill(unsigned char *at, size_t n, bool in16, data kind)
{
    const int64_t limit = in16 ? 32767 : 127;
    for (size_t i = 0; i < n; i++) {
        const int64_t x = kind == UNIFORM   ? random_in(-limit, limit)
                          : kind == EXTREME ? (random_in(0, 1) ? limit : -limit)
                                            : limit;
        const int16_t wide = (int16_t)x;
        if (in16) {
            memcpy(at + 2 * i, &wide, sizeof wide);
        } else {
            at[i] = (unsigned char)x;
        }
    }
}

enum { GUARD = 64 };

/** Bytes between guards, `offset` bytes behind an aligned address. */
typedef struct buffer {
    unsigned char *base, *at;
    size_t size, offset;
} buffer;

static inline buffer buffer_new(size_t size, size_t offset)
{
    buffer b = {.size = size, .offset = offset};
    b.base = malloc(size + offset + 2 * GUARD);
    assert_non_null(b.base);
    memset(b.base, 0xA5, size + offset + 2 * GUARD);
    b.at = b.base + GUARD + offset;
    return b;
}

/** Fails where something before or behind the bytes was written. */
static inline void buffer_check(const buffer *b, const char *what)
{
    const unsigned char *end = b->at + b->size;
    for (size_t i = 0; i < GUARD + b->offset; i++) {
        if (b->base[i] != 0xA5) {
            fail_msg("%s: a byte before the buffer was written", what);
        }
    }
    for (size_t i = 0; i < GUARD; i++) {
        if (end[i] != 0xA5) {
            fail_msg("%s: a byte behind the buffer was written", what);
        }
    }
}

static inline void buffer_free(buffer *b)
{
    free(b->base);
    b->base = NULL;
}

typedef void (*any_call)(const void *a);

/** Runs both kernels, the variant with a pool of 1 to 3 threads, into buffers of `size` bytes at
 * *out and compares them, guards included. */
static inline void variant_compare(const variant *v, const void *args, void **out, itr_pool **pool,
                                   size_t size)
{
    buffer want = buffer_new(size, 0), found = buffer_new(size, 8);
    itr_pool threads = {0};
    *out = want.at;
    ((any_call)v->ref)(args);
    itr_pool_resize(&threads, (int32_t)random_in(1, 3));
    *pool = &threads;
    *out = found.at;
    ((any_call)v->run)(args);
    itr_pool_resize(&threads, 1);
    if (memcmp(want.at, found.at, size) != 0) {
        fail_msg("%s of %s differs", v->level, v->kernel);
    }
    buffer_check(&found, v->kernel);
    buffer_free(&want);
    buffer_free(&found);
}

#endif
