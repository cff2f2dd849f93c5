/**
 * Random numbers of many elements (rng.h), for code that is compiled for an instruction set: blocks
 * are computed LANES at a time, in loops that compilers vectorise.
 */
#ifndef ITR_RNG_FILL_H
#define ITR_RNG_FILL_H

#include "rng.h"

#include <string.h>

#define ITR_PHILOX_M0 UINT32_C(0xD2511F53)
#define ITR_PHILOX_M1 UINT32_C(0xCD9E8D57)
#define ITR_PHILOX_W0 UINT32_C(0x9E3779B9)
#define ITR_PHILOX_W1 UINT32_C(0xBB67AE85)

#ifndef ITR_PHILOX_LANES
#define ITR_PHILOX_LANES 16
#endif

enum { ITR_PHILOX_ROUNDS = 10 };

/** The words of ITR_PHILOX_LANES blocks from `block` on, in order. */
static inline void itr_philox_lanes(const itr_rng *rng, uint32_t last, uint32_t block,
                                    uint32_t words[4 * ITR_PHILOX_LANES]);

#ifndef ITR_PHILOX_OWN_LANES /* else a header of x86/ has it */
static inline void itr_philox_lanes(const itr_rng *rng, uint32_t last, uint32_t block,
                                    uint32_t words[4 * ITR_PHILOX_LANES])
{
    uint32_t c0[ITR_PHILOX_LANES], c1[ITR_PHILOX_LANES], c2[ITR_PHILOX_LANES], c3[ITR_PHILOX_LANES];
    uint32_t k0 = (uint32_t)rng->seed, k1 = (uint32_t)(rng->seed >> 32);
    for (uint32_t j = 0; j < ITR_PHILOX_LANES; j++) {
        c0[j] = block + j;
        c1[j] = rng->micro_batch;
        c2[j] = rng->step;
        c3[j] = last;
    }
    for (int r = 0; r < ITR_PHILOX_ROUNDS; r++) {
        for (int j = 0; j < ITR_PHILOX_LANES; j++) {
            const uint64_t p0 = (uint64_t)ITR_PHILOX_M0 * c0[j];
            const uint64_t p1 = (uint64_t)ITR_PHILOX_M1 * c2[j];
            c0[j] = (uint32_t)(p1 >> 32) ^ c1[j] ^ k0;
            c1[j] = (uint32_t)p1;
            c2[j] = (uint32_t)(p0 >> 32) ^ c3[j] ^ k1;
            c3[j] = (uint32_t)p0;
        }
        k0 += ITR_PHILOX_W0;
        k1 += ITR_PHILOX_W1;
    }
    for (int j = 0; j < ITR_PHILOX_LANES; j++) {
        words[4 * j] = c0[j];
        words[4 * j + 1] = c1[j];
        words[4 * j + 2] = c2[j];
        words[4 * j + 3] = c3[j];
    }
}
#endif

/** As itr_random_fill32, of width 32. */
static inline void itr_random_lanes32(const itr_rng *rng, uint32_t site, uint32_t draw,
                                      int64_t first_element, int n, uint32_t *out)
{
    int64_t block = first_element / 4;
    int skip = (int)(first_element % 4);
    uint32_t words[4 * ITR_PHILOX_LANES];
    for (int done = 0; done < n; block += ITR_PHILOX_LANES, skip = 0) {
        if (skip == 0 && n - done >= 4 * ITR_PHILOX_LANES) {
            itr_philox_lanes(rng, site << 8 | draw, (uint32_t)block, out + done);
            done += 4 * ITR_PHILOX_LANES;
            continue;
        }
        itr_philox_lanes(rng, site << 8 | draw, (uint32_t)block, words);
        const int room = 4 * ITR_PHILOX_LANES - skip, use = room < n - done ? room : n - done;
        memcpy(out + done, words + skip, (size_t)use * sizeof *out);
        done += use;
    }
}

/** The words as halves, in place, the low one first. */
static inline const uint16_t *itr_philox_halves(uint32_t words[4 * ITR_PHILOX_LANES])
{
#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    uint16_t halves[8 * ITR_PHILOX_LANES];
    for (int j = 0; j < 4 * ITR_PHILOX_LANES; j++) {
        halves[2 * j] = (uint16_t)words[j];
        halves[2 * j + 1] = (uint16_t)(words[j] >> 16);
    }
    memcpy(words, halves, sizeof halves);
#endif
    return (const uint16_t *)(const void *)words;
}

/** As itr_random_fill32, of width 16: the low half of a word comes before its high half. */
static inline void itr_random_lanes16(const itr_rng *rng, uint32_t site, uint32_t draw,
                                      int64_t first_element, int n, uint16_t *out)
{
    int64_t block = first_element / 8;
    int skip = (int)(first_element % 8);
    uint32_t words[4 * ITR_PHILOX_LANES];
    for (int done = 0; done < n; block += ITR_PHILOX_LANES, skip = 0) {
        itr_philox_lanes(rng, site << 8 | draw, (uint32_t)block, words);
        const uint16_t *halves = itr_philox_halves(words);
        const int room = 8 * ITR_PHILOX_LANES - skip, use = room < n - done ? room : n - done;
        memcpy(out + done, halves + skip, (size_t)use * sizeof *out);
        done += use;
    }
}

#endif
