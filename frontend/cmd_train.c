/*
 * train, compare: trainings from a model in one go.
 */
#include <string.h>

#include "frontend/compare.h"
#include "frontend/process.h"
#include "frontend/report.h"
#include "frontend/training.h"

/** Where trainers are built: -o DIR, or a folder that *temporary says to remove. */
static itc_status place(itc_cli *c, const char **dir, bool *temporary)
{
    *temporary = !c->options.given[ITC_OPT_output];
    if (*temporary) {
        return itc_temp_folder(c->ctx, dir);
    }
    *dir = c->options.value[ITC_OPT_output];
    return ITC_OK;
}

static itc_status train(itc_cli *c, const char *dir, int *code)
{
    const itc_options *o = &c->options;
    const itc_pipeline_options pipeline = itc_driver_pipeline(o);
    itc_graph *g = NULL;
    itc_args a = {0};
    itc_args_trainer(c->ctx, o, &a);
    ITC_TRY(itc_driver_load(o, o->args[0], &g));
    return itc_training_run(g, &pipeline, o->args[0], dir, itc_options_flag(o, ITC_OPT_interpret),
                            &a, code);
}

int itc_cmd_train(itc_cli *c)
{
    const char *dir = NULL;
    bool temporary = false;
    int code = 0;
    itc_status s = place(c, &dir, &temporary);
    if (s == ITC_OK) {
        s = train(c, dir, &code);
        if (temporary) {
            itc_temp_remove(dir);
        }
    }
    return s == ITC_OK ? code : itc_exit_code(s);
}

/* One of the two: same options, same seed, another arithmetic; a log of its own. */
static itc_status train_one(itc_cli *c, const char *dir, const char *arith, const char **log,
                            int *code)
{
    itc_options o = c->options;
    const itc_pipeline_options pipeline = itc_driver_pipeline(&o);
    itc_graph *g = NULL;
    itc_args a = {0};
    *log = itc_format(c->ctx, "%s/%s.jsonl", dir, arith);
    itc_args_trainer(c->ctx, &o, &a);
    itc_args_add(c->ctx, &a, "--log");
    itc_args_add(c->ctx, &a, *log);
    ITC_TRY(itc_options_set(&o, "arith", arith));
    ITC_TRY(itc_driver_load(&o, o.args[0], &g));
    itc_cli_say(c, "%s:", arith);
    return itc_training_run(g, &pipeline, o.args[0], itc_format(c->ctx, "%s/%s", dir, arith),
                            itc_options_flag(&o, ITC_OPT_interpret), &a, code);
}

static itc_status compare(itc_cli *c, const char *dir, int *code)
{
    const itc_options *o = &c->options;
    const char *integer = strcmp(o->value[ITC_OPT_arith], "int16") == 0 ? "int16" : "int8";
    const char *log[2] = {0};
    int exits[2] = {0};
    ITC_TRY(train_one(c, dir, integer, &log[0], &exits[0]));
    if (exits[0] > 1) {
        *code = exits[0];
        return ITC_OK;
    }
    ITC_TRY(train_one(c, dir, "float32", &log[1], &exits[1]));
    *code = exits[1] > exits[0] ? exits[1] : exits[0];
    if (exits[1] > 1) {
        return ITC_OK;
    }
    ITC_TRY(itc_compare_print(c->ctx, stdout, log[0], log[1]));
    if (o->given[ITC_OPT_report]) {
        const bool built = !itc_options_flag(o, ITC_OPT_interpret);
        const char *plan = itc_format(c->ctx, "%s/%s/plan.json", dir, integer);
        return itc_report(c->ctx, log, 2, built ? plan : NULL, NULL,
                          o->value[ITC_OPT_report]);
    }
    return ITC_OK;
}

int itc_cmd_compare(itc_cli *c)
{
    const char *dir = NULL;
    bool temporary = false;
    int code = 0;
    itc_status s = place(c, &dir, &temporary);
    if (s == ITC_OK && !temporary) {
        s = itc_make_folder(c->ctx, dir);
    }
    if (s == ITC_OK) {
        s = compare(c, dir, &code);
    }
    if (dir && temporary) {
        itc_temp_remove(dir);
    }
    return s == ITC_OK ? code : itc_exit_code(s);
}
