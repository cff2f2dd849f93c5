/*
 * Writes a small labelled data set as IDX files: ten classes, each a random picture, plus noise.
 *
 *     make_data PREFIX COUNT [SEED [ORDER [FIRST LAST]]]
 *
 * gives PREFIX-images.idx [COUNT,28,28] and PREFIX-labels.idx [COUNT]. The samples depend on SEED
 * alone; ORDER other than 0 writes the same samples in another order; FIRST and LAST (exclusive)
 * write a part of them.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { SIDE = 28, CLASSES = 10 };

static uint64_t state;

/** xorshift64* (Vigna, 2016): upper 32 bits. */
static uint32_t next(void)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (uint32_t)((state * 2685821657736338717u) >> 32);
}

static void put_be32(FILE *f, uint32_t v)
{
    for (int i = 3; i >= 0; i--) {
        fputc((int)(v >> (8 * i) & 255), f);
    }
}

static FILE *open_idx(const char *prefix, const char *suffix, uint32_t count, int dims)
{
    char path[4096];
    snprintf(path, sizeof path, "%s-%s.idx", prefix, suffix);
    FILE *f = fopen(path, "wb");
    if (!f) {
        perror(path);
        exit(3);
    }
    put_be32(f, 0x0800u + (uint32_t)dims);
    put_be32(f, count);
    for (int i = 1; i < dims; i++) {
        put_be32(f, SIDE);
    }
    return f;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: make_data PREFIX COUNT [SEED [ORDER [FIRST LAST]]]\n");
        return 2;
    }
    const uint32_t count = (uint32_t)strtoul(argv[2], NULL, 10);
    const uint32_t seed = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 1;
    const uint32_t order = argc > 4 ? (uint32_t)strtoul(argv[4], NULL, 10) : 0;
    static uint8_t picture[CLASSES][SIDE * SIDE];
    state = 88172645463325252u;
    for (int c = 0; c < CLASSES; c++) {
        for (int i = 0; i < SIDE * SIDE; i++) {
            picture[c][i] = next() % 3 == 0 ? (uint8_t)(next() % 200) : 0;
        }
    }
    uint8_t(*sample)[SIDE * SIDE] = malloc((size_t)count * SIDE * SIDE);
    uint8_t *label = malloc(count);
    uint32_t *at = malloc((size_t)count * sizeof *at);
    if (!sample || !label || !at) {
        return 3;
    }
    state = 0x9E3779B97F4A7C15u ^ seed;
    for (uint32_t k = 0; k < count; k++) {
        label[k] = (uint8_t)(next() % CLASSES);
        at[k] = k;
        for (int i = 0; i < SIDE * SIDE; i++) {
            sample[k][i] = (uint8_t)(picture[label[k]][i] / 2 + next() % 128);
        }
    }
    state = 0xD1B54A32D192ED03u ^ order;
    for (uint32_t k = count; order != 0 && k > 1; k--) {
        const uint32_t j = next() % k, t = at[k - 1];
        at[k - 1] = at[j];
        at[j] = t;
    }
    const uint32_t first = argc > 6 ? (uint32_t)strtoul(argv[5], NULL, 10) : 0;
    const uint32_t last = argc > 6 ? (uint32_t)strtoul(argv[6], NULL, 10) : count;
    if (first > last || last > count) {
        fprintf(stderr, "make_data: expected FIRST <= LAST <= COUNT\n");
        return 2;
    }
    FILE *images = open_idx(argv[1], "images", last - first, 3);
    FILE *labels = open_idx(argv[1], "labels", last - first, 1);
    for (uint32_t k = first; k < last; k++) {
        fwrite(sample[at[k]], 1, SIDE * SIDE, images);
        fputc(label[at[k]], labels);
    }
    const int bad = fclose(images) | fclose(labels);
    free(sample);
    free(label);
    free(at);
    return bad ? 3 : 0;
}
