/*
 * regress: a zoo of models, each trained some steps and held against what was recorded (zoo.h).
 */
#include <fnmatch.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "codegen/plan_text.h"
#include "frontend/made_data.h"
#include "frontend/process.h"
#include "frontend/runlog.h"
#include "frontend/training.h"
#include "frontend/zoo.h"

typedef struct run {
    itc_cli *cli;
    itc_zoo zoo;
    itc_zoo_result *result;
    const char *dir;  /**< where trainers, data and logs go */
    bool interrupted; /**< a signal ended a trainer: the user's, most likely */
} run;

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/** The options of an entry, as the command line of `train`. */
static itc_status parse_options(itc_options *o, itc_ctx *ctx, const itc_zoo_entry *e)
{
    itc_args words = {0};
    itc_args_add(ctx, &words, e->model);
    for (const char *p = e->options; *p;) {
        const size_t n = strcspn(p, " ");
        if (n > 0) {
            itc_args_add(ctx, &words, itc_strndup(ctx, p, n));
        }
        p += n + (p[n] == ' ');
    }
    itc_options_init(o, ctx, ITC_CMD_train);
    return itc_options_parse(o, words.n, words.v);
}

/** What needs the compiled graph: sizes, and data that are made for it. */
static itc_status prepare(itc_graph *g, const itc_zoo_entry *e, const char *npz,
                          itc_zoo_result *out, const char **data)
{
    itc_program *p = NULL;
    itc_model_info *info = NULL;
    itc_plan_sizes sizes;
    ITC_TRY(itc_program_new(g, &p));
    ITC_TRY(itc_model_info_new(p, e->name, &info));
    itc_plan_measure(info, &sizes);
    out->memory = sizes.ram;
    out->arena = sizes.arena;
    *data = e->data;
    if (itc_made_data_is(e->data)) {
        ITC_TRY(itc_made_data_write(g->ctx, &info->model, e->data, npz));
        *data = itc_format(g->ctx, "npz:%s", npz);
    }
    return ITC_OK;
}

static void keep_curve(const run *r, const itc_runlog *log, itc_zoo_result *out)
{
    const int n = log->n_steps, part = n < 4 ? 1 : n / 4;
    double *curve = ITC_NEW_ARRAY(r->zoo.ctx, double, n + 1);
    for (int i = 0; i < n; i++) {
        curve[i] = log->steps[i].loss;
        out->first += i < part ? curve[i] / part : 0;
        out->last += i >= n - part ? curve[i] / part : 0;
        out->end = curve[i];
    }
    out->curve = curve;
    out->n_curve = n;
    out->digest = itc_strdup(r->zoo.ctx, log->digest);
}

/** Trains one model, in a context of its own so that memory goes back. */
static itc_status train(run *r, itc_ctx *ctx, const itc_zoo_entry *e, itc_zoo_result *out)
{
    const itc_pipeline_options pipeline = {0};
    const char *stem = itc_format(ctx, "%s/%s", r->dir, e->name), *data = NULL;
    const char *log = itc_format(ctx, "%s.jsonl", stem);
    itc_options o;
    itc_args a = {0};
    itc_graph *g = NULL;
    itc_runlog read;
    ITC_TRY(parse_options(&o, ctx, e));
    ITC_TRY(itc_driver_load(&o, e->model, &g));
    out->arith = itc_strdup(r->zoo.ctx, itc_setting_string(g, "arith", "int8"));
    ITC_TRY(itc_run_to(g, ITC_STAGE_MEMORY, &pipeline));
    ITC_TRY(prepare(g, e, itc_format(ctx, "%s.npz", stem), out, &data));
    itc_args_trainer(ctx, &o, &a);
    const char *const fixed[] = {
        "--data", data, "--steps", itc_format(ctx, "%lld", (long long)e->steps),
        "--log",  log,  "--quiet"};
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
        itc_args_add(ctx, &a, fixed[i]);
    }
    if (r->cli->options.given[ITC_OPT_threads]) {
        itc_args_add(ctx, &a, "--threads");
        itc_args_add(ctx, &a, r->cli->options.value[ITC_OPT_threads]);
    }
    (void)unlink(log); /* of an earlier run in the same folder */
    ITC_TRY(itc_training_run(g, &pipeline, e->model, stem,
                             itc_options_flag(&r->cli->options, ITC_OPT_interpret), &a,
                             &out->code));
    if (out->code == 0) {
        ITC_TRY(itc_runlog_read(ctx, log, &read));
        keep_curve(r, &read, out);
    }
    return ITC_OK;
}

static const char *first_error(const run *r, const itc_ctx *ctx)
{
    const itc_diag *d = itc_diag_count(ctx) > 0 ? itc_diag_get(ctx, 0) : NULL;
    return !d         ? "it does not compile or train"
           : d->where ? itc_format(r->zoo.ctx, "%s: %s: %s", d->where, d->id, d->text)
                      : itc_format(r->zoo.ctx, "%s: %s", d->id, d->text);
}

static void run_one(run *r, const itc_zoo_entry *e, itc_zoo_result *out)
{
    const bool update = itc_options_flag(&r->cli->options, ITC_OPT_update);
    const double start = now();
    itc_ctx *ctx = itc_ctx_new();
    *out = (itc_zoo_result){.tried = true, .arith = ""};
    const itc_status s = train(r, ctx, e, out);
    if (s != ITC_OK) {
        out->code = itc_exit_code(itc_driver_blame(e->model, s));
        out->why = first_error(r, ctx);
        itc_diag_print(ctx, stderr);
    } else if (out->code != 0) {
        out->why = itc_format(r->zoo.ctx, "the trainer ended with %d", out->code);
        r->interrupted = out->code >= 128;
        out->code = 1;
    } else {
        out->trained = true;
        out->why = itc_zoo_judge(&r->zoo, e, out, update);
        out->code = out->why ? 1 : 0;
    }
    out->seconds = now() - start;
    itc_ctx_free(ctx);
}

/** Whether a table is among those that the arguments name; no names: all are. */
static bool is_wanted(const itc_options *o, const char *name)
{
    bool wanted = o->n_args == 1;
    for (int i = 1; i < o->n_args; i++) {
        wanted = wanted || fnmatch(o->args[i], name, 0) == 0;
    }
    return wanted;
}

static itc_status check_names(const run *r)
{
    const itc_options *o = &r->cli->options;
    for (int i = 1; i < o->n_args; i++) {
        bool found = false;
        for (int k = 0; k < r->zoo.n_entries; k++) {
            found = found || fnmatch(o->args[i], r->zoo.entry[k].name, 0) == 0;
        }
        if (!found) {
            return itc_error(r->zoo.ctx, NULL, ITC_RANGE, "E0606", "%s has no table [%s]",
                             o->args[0], o->args[i]);
        }
    }
    return ITC_OK;
}

static void run_all(run *r)
{
    itc_zoo_print_head(&r->zoo);
    for (int i = 0; i < r->zoo.n_entries && !r->interrupted; i++) {
        const itc_zoo_entry *e = &r->zoo.entry[i];
        if (is_wanted(&r->cli->options, e->name)) {
            run_one(r, e, &r->result[i]);
            itc_zoo_print(&r->zoo, e, &r->result[i]);
        }
    }
    itc_zoo_print_sum(&r->zoo, r->result);
}

/** A path of the command line, to be used after the working directory has changed. */
static const char *absolute(itc_ctx *ctx, const char *path)
{
    char here[PATH_MAX];
    return !path || *path == '/' || strcmp(path, "-") == 0 || !getcwd(here, sizeof here)
               ? path
               : itc_format(ctx, "%s/%s", here, path);
}

static itc_status regress(run *r, int *code)
{
    const itc_options *o = &r->cli->options;
    itc_ctx *ctx = r->zoo.ctx;
    const char *path = o->args[0], *slash = strrchr(path, '/'), *name = itc_base_name(path);
    const char *junit = absolute(ctx, o->given[ITC_OPT_junit] ? o->value[ITC_OPT_junit] : NULL);
    const char *html = absolute(ctx, o->given[ITC_OPT_html] ? o->value[ITC_OPT_html] : NULL);
    ITC_TRY(itc_zoo_read(&r->zoo, path));
    ITC_TRY(check_names(r));
    if (slash && slash > path && chdir(itc_strndup(ctx, path, (size_t)(slash - path))) != 0) {
        return itc_error(ctx, NULL, ITC_IO, "E0001", "cannot enter the folder of %s", path);
    }
    r->result = ITC_NEW_ARRAY(ctx, itc_zoo_result, r->zoo.n_entries);
    run_all(r);
    itc_set_file(ctx, NULL);
    for (int i = 0; i < r->zoo.n_entries; i++) {
        *code = r->result[i].code > *code ? r->result[i].code : *code;
    }
    if (junit) {
        ITC_TRY(itc_zoo_junit(&r->zoo, r->result, name, junit));
    }
    if (html) {
        ITC_TRY(itc_zoo_html(&r->zoo, r->result, name, html));
    }
    return itc_options_flag(o, ITC_OPT_update) ? itc_zoo_write_back(&r->zoo, name, r->result)
                                               : ITC_OK;
}

int itc_cmd_regress(itc_cli *c)
{
    const char *given = absolute(c->ctx, itc_cli_output(c, NULL));
    run r = {.cli = c, .zoo = {.ctx = c->ctx}, .dir = given};
    int code = 0;
    itc_status s = given ? itc_make_folder(c->ctx, given) : itc_temp_folder(c->ctx, &r.dir);
    if (s == ITC_OK) {
        s = regress(&r, &code);
        if (!given) {
            itc_temp_remove(r.dir);
        }
    }
    return s == ITC_OK ? code : itc_exit_code(s);
}
