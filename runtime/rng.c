#include "rng_fill.h"

void itr_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int r = 0; r < ITR_PHILOX_ROUNDS; r++) {
        const uint64_t p0 = (uint64_t)ITR_PHILOX_M0 * c0;
        const uint64_t p1 = (uint64_t)ITR_PHILOX_M1 * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += ITR_PHILOX_W0;
        k1 += ITR_PHILOX_W1;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

void itr_random_fill32(const itr_rng *rng, uint32_t site, uint32_t draw, int64_t first_element,
                       int n, int width, uint32_t *out)
{
    if (width == 32) {
        itr_random_lanes32(rng, site, draw, first_element, n, out);
        return;
    }
    uint16_t halves[256];
    for (int done = 0; done < n;) {
        const int count = n - done < 256 ? n - done : 256;
        itr_random_lanes16(rng, site, draw, first_element + done, count, halves);
        for (int j = 0; j < count; j++) {
            out[done + j] = halves[j];
        }
        done += count;
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
