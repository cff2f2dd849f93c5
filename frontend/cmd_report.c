/*
 * report: one page about training runs (report.c).
 */
#include "frontend/cli.h"
#include "frontend/report.h"

int itc_cmd_report(itc_cli *c)
{
    const itc_options *o = &c->options;
    const char *out = itc_cli_output(c, NULL);
    const char *plan =
        o->given[ITC_OPT_plan] ? itc_format(c->ctx, "%s/plan.json", o->value[ITC_OPT_plan]) : NULL;
    if (!out) {
        return itc_exit_code(
            itc_error(c->ctx, NULL, ITC_RANGE, "E0606", "-o FILE is missing: where the page goes"));
    }
    const char *stats = o->given[ITC_OPT_stats] ? o->value[ITC_OPT_stats] : NULL;
    return itc_exit_code(itc_report(c->ctx, o->args, o->n_args, plan, stats, out));
}
