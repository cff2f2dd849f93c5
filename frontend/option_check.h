/**
 * Checks of option values, one for each name in the column `check` of options.def: whether the
 * value can be taken. E0604: it cannot; E0605: it will be, and is not available yet.
 */
#ifndef ITC_FRONTEND_OPTION_CHECK_H
#define ITC_FRONTEND_OPTION_CHECK_H

#include "frontend/options.h"

#define ITC_CHECKS(X)                                                                              \
    X(any)                                                                                         \
    X(loss)                                                                                        \
    X(optimizer)                                                                                   \
    X(lr)                                                                                          \
    X(schedule)                                                                                    \
    X(count)                                                                                       \
    X(batch)                                                                                       \
    X(micro_batch)                                                                                 \
    X(arith)                                                                                       \
    X(bits)                                                                                        \
    X(rounding)                                                                                    \
    X(exponent)                                                                                    \
    X(norm)                                                                                        \
    X(init)                                                                                        \
    X(dim)                                                                                         \
    X(input)                                                                                       \
    X(size)                                                                                        \
    X(threads)                                                                                     \
    X(target) X(seed) X(emit) X(extent) X(training_info) X(passes) X(pass) X(stage) X(format)

#define ITC_CHECK(name)                                                                            \
    itc_status itc_check_##name(itc_ctx *ctx, const itc_option_def *d, const char *value);
ITC_CHECKS(ITC_CHECK)
#undef ITC_CHECK

#endif
