/**
 * Random bits: Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as
 * 1, 2, 3; SC 2011). A number is a function of its coordinates alone, so neither order, threads
 * nor tiles can change it. NUMERICS.md, "Random bits", is the contract.
 */
#ifndef ITR_RNG_H
#define ITR_RNG_H

#include "kernel.h"

/** One block: four words from a counter and a key. */
void itr_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/**
 * out[i] = the random number of `width` bits (16, 32 or 64) of element first_element + i at this
 * site and draw, 0 <= i < n. site < 2^24, draw < 256, first_element >= 0.
 */
void itr_random_fill(const itr_rng *rng, uint32_t site, uint32_t draw, int64_t first_element, int n,
                     int width, uint64_t *out);

/** The same numbers for width 16 or 32, in the type that vectorises. */
void itr_random_fill32(const itr_rng *rng, uint32_t site, uint32_t draw, int64_t first_element,
                       int n, int width, uint32_t *out);

#endif
