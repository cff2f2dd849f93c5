#define _XOPEN_SOURCE 700
#include "frontend/training.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "codegen/codegen.h"
#include "codegen/eval.h"
#include "frontend/process.h"
#include "runtime/host/args.h"
#include "runtime/host/data.h"
#include "runtime/host/trainer.h"

void itc_args_add(itc_ctx *ctx, itc_args *a, const char *text)
{
    if (a->n + 2 > a->cap) {
        int cap = a->cap;
        a->v = itc_grow(ctx, a->v, (size_t)a->n, &cap, sizeof *a->v);
        a->cap = cap;
    }
    a->v[a->n++] = itc_strdup(ctx, text);
    a->v[a->n] = NULL;
}

void itc_args_trainer(itc_ctx *ctx, const itc_options *o, itc_args *a)
{
    static const itc_option taken[] = {
        ITC_OPT_data, ITC_OPT_eval, ITC_OPT_epochs, ITC_OPT_steps, ITC_OPT_threads, ITC_OPT_log,
        ITC_OPT_log_every, ITC_OPT_save, ITC_OPT_save_every, ITC_OPT_resume, ITC_OPT_eval_every,
        ITC_OPT_drop_last, ITC_OPT_top5, ITC_OPT_confusion, ITC_OPT_stats, ITC_OPT_stats_every,
        ITC_OPT_profile, ITC_OPT_trace, ITC_OPT_digest, ITC_OPT_quiet,
        /* what the trainer is built with, and what a checkpoint brings, give way to these */
        ITC_OPT_lr, ITC_OPT_schedule, ITC_OPT_warmup, ITC_OPT_seed};
    if (a->n == 0) {
        itc_args_add(ctx, a, "trainer");
    }
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++) {
        const itc_option_def *d = itc_option_at((int)taken[i]);
        if (o->given[taken[i]]) {
            itc_args_add(ctx, a, itc_format(ctx, "--%s", d->name));
            if (d->kind != ITC_OPTION_FLAG) {
                itc_args_add(ctx, a, o->value[taken[i]]);
            }
        }
    }
}

static itc_status refuse(itc_ctx *ctx, const itr_message *m)
{
    itc_set_file(ctx, "intrain");
    return itc_error(ctx, NULL, ITC_RANGE, itc_strdup(ctx, m->id), "%s", m->text);
}

/** What the trainer itself would refuse, said before anything is compiled. */
static itc_status check_args(itc_ctx *ctx, const itc_args *a)
{
    itr_options parsed;
    itr_message m = {0};
    if (itr_options_parse(&parsed, a->n, a->v, &m) != 0) {
        return refuse(ctx, &m);
    }
    const char *const specs[] = {parsed.data, parsed.eval};
    for (int i = 0; i < 2; i++) {
        itr_data_spec spec;
        const int code = specs[i] ? itr_data_spec_parse(specs[i], &spec, &m) : 0;
        if (specs[i]) {
            itr_data_spec_free(&spec);
        }
        if (code != 0) {
            return refuse(ctx, &m);
        }
    }
    return ITC_OK;
}

static itc_status interpret(itc_graph *g, itc_args *a, int *code)
{
    itc_program *p = NULL;
    itr_model *m = NULL;
    ITC_TRY(itc_program_new(g, &p));
    ITC_TRY(itc_eval_model(p, &m));
    *code = itr_trainer_main(m, itc_eval_state_new(m), a->n, a->v, NULL);
    return ITC_OK;
}

static itc_status build(itc_ctx *ctx, const char *dir)
{
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    char *jobs = itc_format(ctx, "-j%ld", cores > 0 ? cores : 1);
    char *log = itc_format(ctx, "%s/make.log", dir);
    char *argv[] = {"make", "-s", jobs, "-C", itc_strdup(ctx, dir), NULL};
    int code = 0;
    ITC_TRY(itc_process_run(ctx, argv, log, &code));
    if (code != 0) {
        char *text = NULL;
        size_t n = 0;
        if (itc_read_file(ctx, log, (size_t)1 << 24, &text, &n) == ITC_OK) {
            (void)fwrite(text, 1, n, stderr);
        }
        return itc_error(ctx, NULL, ITC_WRITE, "E0609",
                         "the trainer in %s cannot be built: make ended with %d (--interpret needs "
                         "no compiler)",
                         dir, code);
    }
    (void)unlink(log);
    return ITC_OK;
}

itc_status itc_training_run(itc_graph *g, const itc_pipeline_options *pipeline, const char *source,
                            const char *dir, bool use_interpreter, itc_args *a, int *code)
{
    itc_ctx *ctx = g->ctx;
    const itc_codegen_options opt = {.source = itc_base_name(source), .keep = true};
    ITC_TRY(check_args(ctx, a));
    ITC_TRY(itc_run_to(g, ITC_STAGE_MEMORY, pipeline));
    if (use_interpreter) {
        return interpret(g, a, code);
    }
    ITC_TRY(itc_codegen_directory(g, dir, &opt));
    ITC_TRY(build(ctx, dir));
    a->v[0] = itc_format(ctx, "%s%s/trainer", strchr(dir, '/') ? "" : "./", dir);
    return itc_process_run(ctx, a->v, NULL, code);
}
