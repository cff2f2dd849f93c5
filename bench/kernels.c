/*
 * How fast the heavy kernels are: GMAC/s of each variant that this CPU has, on the shapes of the
 * networks that we measure training with.
 *
 *   bench_kernels [--threads N] [--ref] [WORD…]     lines that hold every WORD; --ref: the portable
 *                                                    kernels as well
 */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/cpu.h"
#include "runtime/pool.h"

static itr_pool pool;

static double now(void)
{
    struct timespec t;
    /* of one thread the processor's time, which other programs disturb less */
    clock_gettime(itr_pool_threads(&pool) > 1 ? CLOCK_MONOTONIC : CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct shape {
    const char *model;
    int n, c, hw, m, k, stride, pad, groups;
} shape;

/* NCHW convolutions: batch, channels, height and width, channels of the result, kernel. */
static const shape convs[] = {
    {"resnet20 stem", 128, 3, 32, 16, 3, 1, 1, 1},
    {"resnet20 16x32x32", 128, 16, 32, 16, 3, 1, 1, 1},
    {"resnet20 16->32 /2", 128, 16, 32, 32, 3, 2, 1, 1},
    {"resnet20 32x16x16", 128, 32, 16, 32, 3, 1, 1, 1},
    {"resnet20 32->64 /2", 128, 32, 16, 64, 3, 2, 1, 1},
    {"resnet20 64x8x8", 128, 64, 8, 64, 3, 1, 1, 1},
    {"resnet20 1x1 /2", 128, 16, 32, 32, 1, 2, 0, 1},
    {"resnet18 stem", 32, 3, 32, 64, 3, 1, 1, 1},
    {"resnet18 64x32x32", 32, 64, 32, 64, 3, 1, 1, 1},
    {"resnet18 64->128 /2", 32, 64, 32, 128, 3, 2, 1, 1},
    {"resnet18 128x16x16", 32, 128, 16, 128, 3, 1, 1, 1},
    {"resnet18 256x8x8", 32, 256, 8, 256, 3, 1, 1, 1},
    {"resnet18 512x4x4", 32, 512, 4, 512, 3, 1, 1, 1},
    {"resnet18 1x1 /2", 32, 64, 32, 128, 1, 2, 0, 1},
    {"lenet conv1", 64, 1, 28, 6, 5, 1, 2, 1},
    {"lenet conv2", 64, 6, 14, 16, 5, 1, 0, 1},
    {"mobilenet 1x1 32->96", 64, 32, 16, 192, 1, 1, 0, 1},
    {"mobilenet 1x1 192->32", 64, 192, 16, 32, 1, 1, 0, 1},
    {"mobilenet dw 96x32x32", 64, 96, 32, 96, 3, 1, 1, 96},
    {"mobilenet dw 144 /2", 64, 144, 32, 144, 3, 2, 1, 144},
    {"mobilenet dw 384x8x8", 64, 384, 8, 384, 3, 1, 1, 384},
    {"mobilenet dw 960x4x4", 64, 960, 4, 960, 3, 1, 1, 960},
    {"mobilenet 1x1 24->144", 64, 24, 32, 144, 1, 1, 0, 1},
    {"mobilenet 1x1 144->24", 64, 144, 32, 24, 1, 1, 0, 1},
    {"mobilenet 1x1 576->96", 64, 576, 8, 96, 1, 1, 0, 1},
    {"mobilenet 1x1 160->960", 64, 160, 4, 960, 1, 1, 0, 1},
};

typedef struct product {
    const char *model;
    int m, n, k, trans_a, trans_b;
} product;

static const product gemms[] = {
    {"mlp fc1 fwd", 64, 512, 784, 0, 1},
    {"mlp fc1 dw", 512, 784, 64, 1, 0},
    {"mlp fc2 fwd", 64, 256, 512, 0, 1},
    {"mlp fc2 dx", 64, 512, 256, 0, 0},
    {"mlp fc2 dw", 256, 512, 64, 1, 0},
    {"mlp fc3 fwd", 64, 10, 256, 0, 1},
    {"mlp fc3 dx", 64, 256, 10, 0, 0},
    {"mlp fc3 dw", 10, 256, 64, 1, 0},
    {"mlp fc1 one", 1, 512, 784, 0, 1},
    {"1024 square", 1024, 1024, 1024, 0, 0},
    {"1024 square trans b", 1024, 1024, 1024, 0, 1},
};

/** Aligned as values of an arena are, with a line behind. */
static void *memory(size_t bytes)
{
    void *x = aligned_alloc(64, bytes / 64 * 64 + 128);
    if (!x) {
        exit(3);
    }
    return x;
}

/** Mantissas of 8 or 16 bits; -2^(b-1) is never one. */
static void *operand(size_t elements, bool in16)
{
    const size_t n = elements * (in16 ? 2 : 1);
    unsigned char *x = memory(n);
    uint64_t state = 1;
    for (size_t i = 0; i < n; i++) {
        state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
        x[i] = (unsigned char)(state >> 56);
        x[i] = x[i] == 128 ? 0 : x[i];
    }
    return x;
}

/** Seconds of the fastest of several calls. */
static double measure(void (*call)(void (*kernel)(void), const void *args), void (*kernel)(void),
                      const void *args)
{
    double best = 1e9, spent = 0;
    for (int i = 0; i < 40 && (i < 3 || spent < 0.3); i++) {
        const double t = now();
        call(kernel, args);
        const double s = now() - t;
        best = s < best ? s : best;
        spent += s;
    }
    return best;
}

static void call_conv(void (*kernel)(void), const void *args)
{
    ((void (*)(const itr_conv_args *))kernel)((const itr_conv_args *)args);
}

static void call_gemm(void (*kernel)(void), const void *args)
{
    ((void (*)(const itr_gemm_args *))kernel)((const itr_gemm_args *)args);
}

static int n_words;
static char **words;

static bool wanted(const char *line)
{
    bool all = true;
    for (int i = 0; i < n_words; i++) {
        all = all && strstr(line, words[i]);
    }
    return all;
}

/** The beginning of a line; false: nobody wants it. */
static bool head(char line[200], const char *kernel, const char *level, const char *model)
{
    snprintf(line, 200, "%-26s %-10s %-24s", kernel, level, model);
    return wanted(line);
}

static void report(const char *line, double macs, double seconds)
{
    printf("%s %8.2f ms %7.1f GMAC/s\n", line, 1e3 * seconds, macs / seconds * 1e-9);
    fflush(stdout);
}

static void bench_conv(const char *kernel, const char *level, void (*run)(void))
{
    for (size_t i = 0; i < sizeof convs / sizeof convs[0]; i++) {
        const shape *s = &convs[i];
        char line[200];
        if (!head(line, kernel, level, s->model)) {
            continue;
        }
        const int o = (s->hw + 2 * s->pad - s->k) / s->stride + 1;
        const bool in16 = strstr(kernel, "i16") != NULL;
        const size_t x = (size_t)s->n * (size_t)(s->c * s->hw * s->hw);
        const size_t y = (size_t)s->n * (size_t)(s->m * o * o);
        const size_t f = (size_t)(s->m * (s->c / s->groups) * s->k * s->k);
        const bool gi = strstr(kernel, "input") != NULL, gw = strstr(kernel, "weight") != NULL;
        void *a = operand(gi ? y : x, in16), *b = operand(gw ? y : f, in16);
        void *to = memory((gi ? x : gw ? f : y) * 8);
        const itr_conv_args args = {.a = a,
                                    .b = b,
                                    .y = to,
                                    .n = s->n,
                                    .c = s->c,
                                    .h = s->hw,
                                    .w = s->hw,
                                    .m = s->m,
                                    .kh = s->k,
                                    .kw = s->k,
                                    .oh = o,
                                    .ow = o,
                                    .stride_h = s->stride,
                                    .stride_w = s->stride,
                                    .dilation_h = 1,
                                    .dilation_w = 1,
                                    .pad_top = s->pad,
                                    .pad_left = s->pad,
                                    .groups = s->groups,
                                    .pool = &pool};
        report(line, (double)y * (s->c / s->groups) * s->k * s->k, measure(call_conv, run, &args));
        free(a);
        free(b);
        free(to);
    }
}

static void bench_gemm(const char *kernel, const char *level, void (*run)(void))
{
    for (size_t i = 0; i < sizeof gemms / sizeof gemms[0]; i++) {
        const product *p = &gemms[i];
        char line[200];
        if (!head(line, kernel, level, p->model)) {
            continue;
        }
        const bool in16 = strstr(kernel, "i16") != NULL;
        void *a = operand((size_t)(p->m * p->k), in16), *b = operand((size_t)(p->n * p->k), in16);
        void *y = memory((size_t)(p->m * p->n) * 8);
        const itr_gemm_args args = {.a = a,
                                    .b = b,
                                    .y = y,
                                    .batch = 1,
                                    .m = p->m,
                                    .n = p->n,
                                    .k = p->k,
                                    .trans_a = p->trans_a,
                                    .trans_b = p->trans_b,
                                    .pool = &pool};
        report(line, (double)p->m * p->n * p->k, measure(call_gemm, run, &args));
        free(a);
        free(b);
        free(y);
    }
}

static void bench(const char *args, const char *kernel, const char *level, void (*run)(void))
{
    if (strcmp(args, "conv") == 0) {
        bench_conv(kernel, level, run);
    } else if (strcmp(args, "gemm") == 0) {
        bench_gemm(kernel, level, run);
    }
}

static void bench_all(bool with_ref)
{
    const uint32_t isa = itr_cpu_isa();
#define REF(kernel, args, family)                                                                  \
    if (with_ref && strcmp(#kernel + strlen(#kernel) - 3, "f32") != 0) {                           \
        bench(#args, #kernel, "ref", (void (*)(void))itr_##kernel##_ref);                          \
    }
#define VARIANT(level, kernel, args, file)                                                         \
    if (isa & ITR_ISA_##level) {                                                                   \
        bench(#args, #kernel, #level, (void (*)(void))itr_##kernel##_##level);                     \
    }
    ITR_KERNELS(REF)
#ifdef ITR_X86
    ITR_VARIANTS_X86(VARIANT)
#endif
#ifdef ITR_ARM
    ITR_VARIANTS_ARM(VARIANT)
#endif
    (void)isa;
}

int main(int argc, char **argv)
{
    bool with_ref = false;
    words = argv + 1;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--ref") == 0) {
            with_ref = true;
        } else if (strcmp(argv[i], "--threads") == 0 && i + 1 < argc) {
            itr_pool_resize(&pool, atoi(argv[++i]));
        } else {
            words[n_words++] = argv[i];
        }
    }
    bench_all(with_ref);
    itr_pool_resize(&pool, 1);
    return 0;
}
