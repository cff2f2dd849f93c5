/**
 * `intrain report`: trainings as one HTML page that needs nothing but itself.
 */
#ifndef ITC_FRONTEND_REPORT_H
#define ITC_FRONTEND_REPORT_H

#include "ir/base.h"

/**
 * Writes a page about n >= 1 logs to out_path ("-": standard output): curves of loss, accuracy and
 * learning rate, results, settings; and with plan_json (the path of a plan.json, or NULL) memory
 * over time and the operators; and with stats (the path of a --stats file, or NULL) what became of
 * each tensor. Equal inputs give equal bytes.
 * E0001: a file cannot be read; E0620: not a log; E0621: not a plan; E0622: no statistics; E0003:
 * out_path.
 */
ITC_NODISCARD itc_status itc_report(itc_ctx *ctx, const char *const *logs, int n,
                                    const char *plan_json, const char *stats,
                                    const char *out_path);

#endif
