#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* sched_getaffinity, madvise */
#endif
#include "cores.h"

#include <unistd.h>
#if defined(__linux__)
#include <sched.h>
#include <sys/mman.h>
#endif

int32_t itr_cores(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
#if defined(__linux__) && defined(CPU_COUNT)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        n = CPU_COUNT(&set);
    }
#endif
    return n < 1 ? 1 : n > INT32_MAX ? INT32_MAX : (int32_t)n;
}

void itr_large_pages(void *memory, size_t bytes)
{
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    const size_t page = (size_t)2 << 20, before = (page - (uintptr_t)memory % page) % page;
    if (bytes > before && bytes - before >= page) {
        (void)madvise((unsigned char *)memory + before, (bytes - before) / page * page,
                      MADV_HUGEPAGE);
    }
#else
    (void)memory;
    (void)bytes;
#endif
}
