/**
 * Data that a model can learn something from where there is none: for regression runs, not to be
 * mistaken for a task.
 *
 *     made[:samples=N][,ids=N]       64 samples; ids of an input lie below 10
 *
 * There are classes, as many as the first cross-entropy has (at most 10), else 8; sample i is of
 * class i mod classes. Each class has a pattern:
 *
 * - a float input is three parts of its class's pattern, constant over eight neighbours, and one of
 *   noise: in [-1, 1), multiples of 2^-9;
 * - an input of ids is its class's ids, one in four replaced by another; a single id a sample
 *   beside other inputs is a label: the class;
 * - a target of a cross-entropy is the class, everywhere; one of ids without classes, 0 or 1;
 * - a float target is (class + 0.5) / classes, everywhere.
 *
 * Every number depends on its place alone, the same on all machines.
 */
#ifndef ITC_FRONTEND_MADE_DATA_H
#define ITC_FRONTEND_MADE_DATA_H

#include "ir/base.h"
#include "runtime/itr.h"

/** Whether a SPEC is of this kind. */
bool itc_made_data_is(const char *spec);
/** Writes an npz of arrays that are named as the model's ports. E0613: the SPEC; E0003. */
ITC_NODISCARD itc_status itc_made_data_write(itc_ctx *ctx, const itr_model *m, const char *spec,
                                             const char *path);

#endif
