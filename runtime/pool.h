/**
 * Threads that share a loop. A pool lives in the state of a program and has no other memory; the
 * range is cut into equal parts by position alone, and kernels write disjoint results or add
 * integers exactly, so any number of threads gives the same bits.
 *
 * Threads exist where ITR_THREADS is not 0 (then pool.c needs pthreads); elsewhere, in a pool of
 * one and without a pool (NULL), everything runs in the caller.
 */
#ifndef ITR_POOL_H
#define ITR_POOL_H

#include "itr.h"

/** A pool takes no more threads than this, the caller included. */
#define ITR_POOL_THREADS 256

/** The same size with and without threads; zeroed bytes are a pool of one. It must not move. */
typedef struct itr_pool {
    int32_t threads; /**< at work, the caller included; below 2: the caller alone */
    _Alignas(64) unsigned char workers[3072];
} itr_pool;

/** Work on the elements [begin, end) of a range. */
typedef void (*itr_range_fn)(void *user, int64_t begin, int64_t end);

/**
 * Makes it a pool of `threads`, or of as many as the system grants; ends the threads that it had.
 * 1 ends all of them, which must happen before the pool's memory goes away.
 */
void itr_pool_resize(itr_pool *p, int32_t threads);

/** Threads that itr_parallel may use: at least 1. */
int32_t itr_pool_threads(const itr_pool *p);

/**
 * fn over [0, n) in at most itr_pool_threads parts, none shorter than `grain` (>= 1) unless n is;
 * returns when all are done. Inside a part of the same pool it runs fn in place. n = 0: nothing.
 */
void itr_parallel(itr_pool *p, int64_t n, int64_t grain, itr_range_fn fn, void *user);

/** Only one part at a time is between these two: to add its sums to shared ones. */
void itr_pool_lock(itr_pool *p);
void itr_pool_unlock(itr_pool *p);

#endif
