#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* sched_getaffinity */
#endif
#include "cores.h"

#include <unistd.h>
#if defined(__linux__)
#include <sched.h>
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
