/**
 * The processor cores that this program may use.
 */
#ifndef ITR_HOST_CORES_H
#define ITR_HOST_CORES_H

#include "../itr.h"

/** At least 1; what the system has left to this program, where it can say so. */
int32_t itr_cores(void);

#endif
