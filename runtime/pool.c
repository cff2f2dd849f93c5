#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "pool.h"

#ifndef ITR_THREADS
#define ITR_THREADS 0
#endif

int32_t itr_pool_threads(const itr_pool *p)
{
    return p && p->threads > 1 ? p->threads : 1;
}

#if ITR_THREADS

#include <pthread.h>
#include <stdatomic.h>

/** How often a thread looks before it goes to sleep: some microseconds, a short loop's length. */
enum { SPINS = 2000, STACK_BYTES = 1 << 20 };

/**
 * A round is one itr_parallel. The caller describes it, then raises `round`; each worker does its
 * part and lowers `running`. `sleeping` and `waits` say that somebody must be woken: they are
 * raised before the last look at `round` or `running`, all sequentially consistent, so either the
 * sleeper sees the change or the other side sees the sleeper.
 */
typedef struct workers {
    pthread_mutex_t mutex; /* of both conditions */
    pthread_cond_t wake, done;
    pthread_mutex_t sums; /* itr_pool_lock */
    bool stop;
    int64_t n, parts;
    itr_range_fn fn;
    void *user;
    _Alignas(64) atomic_uint round;
    atomic_int sleeping, joined;
    atomic_bool busy;
    _Alignas(64) atomic_int running;
    atomic_bool waits;
    pthread_t thread[ITR_POOL_THREADS - 1];
} workers;
_Static_assert(sizeof(workers) <= sizeof((itr_pool *)0)->workers, "ITR_POOL has too little room");

/** Part i of n elements in `parts` parts begins here: they differ by one element at most. */
static int64_t part_begin(int64_t n, int64_t parts, int64_t i)
{
    const int64_t size = n / parts, rest = n % parts;
    return i * size + (i < rest ? i : rest);
}

static workers *workers_of(itr_pool *p)
{
    return (workers *)(void *)p->workers;
}

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __asm__ volatile("pause");
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void do_part(workers *w, int64_t i)
{
    const int64_t begin = part_begin(w->n, w->parts, i), end = part_begin(w->n, w->parts, i + 1);
    if (i < w->parts) {
        w->fn(w->user, begin, end);
    }
}

static void await_round(workers *w, unsigned seen)
{
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&w->round, memory_order_acquire) != seen) {
            return;
        }
        relax();
    }
    pthread_mutex_lock(&w->mutex);
    atomic_fetch_add(&w->sleeping, 1);
    while (atomic_load(&w->round) == seen) {
        pthread_cond_wait(&w->wake, &w->mutex);
    }
    atomic_fetch_sub(&w->sleeping, 1);
    pthread_mutex_unlock(&w->mutex);
}

static void begin_round(workers *w, int32_t threads)
{
    atomic_store(&w->running, threads - 1);
    atomic_fetch_add(&w->round, 1);
    if (atomic_load(&w->sleeping) > 0) {
        pthread_mutex_lock(&w->mutex);
        pthread_cond_broadcast(&w->wake);
        pthread_mutex_unlock(&w->mutex);
    }
}

static void end_part(workers *w)
{
    if (atomic_fetch_sub(&w->running, 1) == 1 && atomic_load(&w->waits)) {
        pthread_mutex_lock(&w->mutex);
        pthread_cond_signal(&w->done);
        pthread_mutex_unlock(&w->mutex);
    }
}

static void await_parts(workers *w)
{
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&w->running, memory_order_acquire) == 0) {
            return;
        }
        relax();
    }
    pthread_mutex_lock(&w->mutex);
    /* an exchange and no store: qemu on x86 lets a later load pass an Arm store-release */
    atomic_exchange(&w->waits, true);
    while (atomic_load(&w->running) != 0) {
        pthread_cond_wait(&w->done, &w->mutex);
    }
    atomic_store(&w->waits, false);
    pthread_mutex_unlock(&w->mutex);
}

static void *work(void *user)
{
    workers *w = (workers *)user;
    const int64_t part = 1 + atomic_fetch_add(&w->joined, 1);
    for (unsigned seen = 0;; seen++) {
        await_round(w, seen);
        if (w->stop) {
            return NULL;
        }
        do_part(w, part);
        end_part(w);
    }
}

static void destroy_locks(workers *w)
{
    pthread_cond_destroy(&w->wake);
    pthread_cond_destroy(&w->done);
    pthread_mutex_destroy(&w->mutex);
    pthread_mutex_destroy(&w->sums);
}

static void end_threads(itr_pool *p)
{
    workers *w = workers_of(p);
    if (p->threads < 2) {
        return;
    }
    w->stop = true;
    begin_round(w, p->threads);
    for (int32_t i = 0; i < p->threads - 1; i++) {
        pthread_join(w->thread[i], NULL);
    }
    destroy_locks(w);
    p->threads = 1;
}

static void start_threads(itr_pool *p, int32_t threads)
{
    workers *w = workers_of(p);
    pthread_attr_t attr;
    w->stop = false;
    atomic_init(&w->round, 0);
    atomic_init(&w->sleeping, 0);
    atomic_init(&w->joined, 0);
    atomic_init(&w->busy, false);
    atomic_init(&w->running, 0);
    atomic_init(&w->waits, false);
    p->threads = 1;
    if (pthread_attr_init(&attr) != 0) {
        return;
    }
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    pthread_mutex_init(&w->mutex, NULL);
    pthread_mutex_init(&w->sums, NULL);
    pthread_cond_init(&w->wake, NULL);
    pthread_cond_init(&w->done, NULL);
    while (p->threads < threads &&
           pthread_create(&w->thread[p->threads - 1], &attr, work, w) == 0) {
        p->threads++;
    }
    pthread_attr_destroy(&attr);
    if (p->threads == 1) {
        destroy_locks(w);
    }
}

void itr_pool_resize(itr_pool *p, int32_t threads)
{
    threads = threads < ITR_POOL_THREADS ? threads : ITR_POOL_THREADS;
    if (threads == p->threads) {
        return;
    }
    end_threads(p);
    if (threads > 1) {
        start_threads(p, threads);
    }
}

void itr_parallel(itr_pool *p, int64_t n, int64_t grain, itr_range_fn fn, void *user)
{
    const int64_t most = n / grain > 1 ? n / grain : 1;
    const int32_t threads = itr_pool_threads(p);
    workers *w = threads > 1 && most > 1 ? workers_of(p) : NULL;
    if (!w || atomic_load(&w->busy)) {
        if (n > 0) {
            fn(user, 0, n);
        }
        return;
    }
    w->n = n;
    w->parts = most < threads ? most : threads;
    w->fn = fn;
    w->user = user;
    atomic_store(&w->busy, true);
    begin_round(w, threads);
    do_part(w, 0);
    await_parts(w);
    atomic_store(&w->busy, false);
}

void itr_pool_lock(itr_pool *p)
{
    if (itr_pool_threads(p) > 1) {
        pthread_mutex_lock(&workers_of(p)->sums);
    }
}

void itr_pool_unlock(itr_pool *p)
{
    if (itr_pool_threads(p) > 1) {
        pthread_mutex_unlock(&workers_of(p)->sums);
    }
}

#else

void itr_pool_resize(itr_pool *p, int32_t threads)
{
    (void)threads;
    p->threads = 1;
}

void itr_parallel(itr_pool *p, int64_t n, int64_t grain, itr_range_fn fn, void *user)
{
    (void)p;
    (void)grain;
    if (n > 0) {
        fn(user, 0, n);
    }
}

void itr_pool_lock(itr_pool *p)
{
    (void)p;
}

void itr_pool_unlock(itr_pool *p)
{
    (void)p;
}

#endif
