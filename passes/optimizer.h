#ifndef ITC_PASSES_OPTIMIZER_H
#define ITC_PASSES_OPTIMIZER_H

#include "ir/op.h"

/**
 * Appends the update of parameter `w` with gradient `dw` to UPDATE (and, when a step has several
 * micro-batches, the sum over them to BACKWARD), with the optimizer slots that it needs.
 */
ITC_NODISCARD itc_status itc_optimizer_add(itc_graph *g, itc_value *w, itc_value *dw);

/**
 * Moves the update of running statistic `stat`, a linear combination of itself and a statistic of
 * the call's rows (times their number), from FORWARD to UPDATE: over all micro-batches of the step.
 */
ITC_NODISCARD itc_status itc_optimizer_add_stat(itc_graph *g, itc_value *stat);

#endif
