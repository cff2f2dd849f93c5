/**
 * Two trainings side by side, as text: what `intrain compare` prints.
 */
#ifndef ITC_FRONTEND_COMPARE_H
#define ITC_FRONTEND_COMPARE_H

#include <stdio.h>

#include "ir/base.h"

/**
 * Prints the training loss of both logs over about 20 stretches of steps (means, so that single
 * batches do not matter), every evaluation that both have, and time. Columns are named after the
 * runs' arithmetic, or after the files where that is the same.
 * E0001: a file cannot be read; E0620: not a log; E0003: `out` takes no more.
 */
ITC_NODISCARD itc_status itc_compare_print(itc_ctx *ctx, FILE *out, const char *log_a,
                                           const char *log_b);

#endif
