/**
 * The processor cores that this program may use, and the pages of its memory.
 */
#ifndef ITR_HOST_CORES_H
#define ITR_HOST_CORES_H

#include "../itr.h"

/** At least 1; what the system has left to this program, where it can say so. */
int32_t itr_cores(void);

/**
 * Asks for large pages (2 MiB) where memory is not touched yet: an arena of many of them is read
 * and written faster when a few entries of the TLB cover it. The system may leave it as it is.
 */
void itr_large_pages(void *memory, size_t bytes);

#endif
