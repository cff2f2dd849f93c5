/** The part of a report that comes from plan.json. */
#ifndef ITC_FRONTEND_REPORT_PLAN_H
#define ITC_FRONTEND_REPORT_PLAN_H

#include "ir/base.h"

/** Appends the sections Memory, Operators and Accumulators. E0001: the file; E0621: not a plan. */
ITC_NODISCARD itc_status itc_report_plan(itc_ctx *ctx, const char *path, itc_strbuf *out);

#endif
