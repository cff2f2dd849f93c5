/**
 * The statistics of a training (--stats FILE.jsonl) as a section of a report.
 */
#ifndef ITC_FRONTEND_REPORT_STATS_H
#define ITC_FRONTEND_REPORT_STATS_H

#include "ir/base.h"

/**
 * Appends a table: a row a tensor, with a small chart of each figure over the observed steps; and the
 * warnings. E0001: the file; E0622: no statistics.
 */
ITC_NODISCARD itc_status itc_report_stats(itc_ctx *ctx, const char *path, itc_strbuf *out);

#endif
