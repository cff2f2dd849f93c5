#include "rng.h"

#define PHILOX_M0 UINT32_C(0xD2511F53)
#define PHILOX_M1 UINT32_C(0xCD9E8D57)
#define PHILOX_W0 UINT32_C(0x9E3779B9)
#define PHILOX_W1 UINT32_C(0xBB67AE85)

enum { ROUNDS = 10, LANES = 16 };

void itr_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int r = 0; r < ROUNDS; r++) {
        const uint64_t p0 = (uint64_t)PHILOX_M0 * c0;
        const uint64_t p1 = (uint64_t)PHILOX_M1 * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += PHILOX_W0;
        k1 += PHILOX_W1;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

/** `count` blocks from `block` on. Compilers with good vectors run several of them side by side. */
static void blocks(const itr_rng *rng, uint32_t last, uint32_t block, uint32_t count,
                   uint32_t *restrict words)
{
    for (uint32_t j = 0; j < count; j++) {
        uint32_t c0 = block + j, c1 = rng->micro_batch, c2 = rng->step, c3 = last;
        uint32_t k0 = (uint32_t)rng->seed, k1 = (uint32_t)(rng->seed >> 32);
        for (int r = 0; r < ROUNDS; r++) {
            const uint64_t p0 = (uint64_t)PHILOX_M0 * c0;
            const uint64_t p1 = (uint64_t)PHILOX_M1 * c2;
            c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
            c1 = (uint32_t)p1;
            c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
            c3 = (uint32_t)p0;
            k0 += PHILOX_W0;
            k1 += PHILOX_W1;
        }
        words[4 * j] = c0;
        words[4 * j + 1] = c1;
        words[4 * j + 2] = c2;
        words[4 * j + 3] = c3;
    }
}

void itr_random_fill32(const itr_rng *rng, uint32_t site, uint32_t draw, int64_t first_element,
                       int n, int width, uint32_t *out)
{
    const uint32_t last = site << 8 | draw;
    const int per_block = width == 16 ? 8 : 4;
    int64_t block = first_element / per_block;
    int skip = (int)(first_element % per_block);
    uint32_t words[4 * LANES], halves[8 * LANES];
    for (int done = 0; done < n; block += LANES, skip = 0) {
        const uint32_t *from = words;
        const int want = (n - done + skip + per_block - 1) / per_block;
        const int count = want < LANES ? want : LANES;
        blocks(rng, last, (uint32_t)block, (uint32_t)count, words);
        if (width == 16) {
            for (int j = 0; j < 4 * count; j++) {
                halves[2 * j] = words[j] & 0xFFFF;
                halves[2 * j + 1] = words[j] >> 16;
            }
            from = halves;
        }
        int use = per_block * count - skip;
        use = use < n - done ? use : n - done;
        for (int j = 0; j < use; j++) {
            out[done + j] = from[skip + j];
        }
        done += use;
    }
}

void itr_random_fill(const itr_rng *rng, uint32_t site, uint32_t draw, int64_t first_element, int n,
                     int width, uint64_t *out)
{
    uint32_t words[128];
    for (int done = 0; done < n;) {
        int count = n - done < 64 ? n - done : 64;
        if (width == 64) { /* as pairs of 32 bits: the same blocks and words, low word first */
            itr_random_fill32(rng, site, draw, 2 * (first_element + done), 2 * count, 32, words);
            for (int j = 0; j < count; j++) {
                out[done + j] = (uint64_t)words[2 * j + 1] << 32 | words[2 * j];
            }
        } else {
            itr_random_fill32(rng, site, draw, first_element + done, count, width, words);
            for (int j = 0; j < count; j++) {
                out[done + j] = words[j];
            }
        }
        done += count;
    }
}
