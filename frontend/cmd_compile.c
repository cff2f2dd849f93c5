/*
 * compile, dump, opt: graphs and programs out of models.
 */
#include <string.h>
#include <unistd.h>

#include "codegen/codegen.h"
#include "frontend/cli.h"
#include "frontend/process.h"

/** A directory that was not there before is not left half written. */
static itc_status write_directory(itc_graph *g, const char *out, const itc_codegen_options *opt)
{
    const bool fresh = access(out, F_OK) != 0;
    const itc_status s = itc_codegen_directory(g, out, opt);
    if (s != ITC_OK && fresh) {
        itc_temp_remove(out);
    }
    return s;
}

static itc_status compile(itc_cli *c)
{
    const itc_options *o = &c->options;
    const char *emit = o->value[ITC_OPT_emit];
    const bool directory = strcmp(emit, "c") == 0;
    const char *out = itc_cli_output(c, directory ? NULL : "-");
    itc_graph *g = NULL;
    if (!out || (directory && strcmp(out, "-") == 0)) {
        return itc_error(c->ctx, NULL, ITC_RANGE, "E0606",
                         "-o DIR is missing: the directory that the trainer is written to");
    }
    ITC_TRY(itc_driver_run(o, o->args[0], ITC_STAGE_MEMORY, &g));
    const itc_codegen_options opt = {.source = itc_base_name(o->args[0]),
                                     .embed = itc_options_flag(o, ITC_OPT_embed)};
    if (directory) {
        ITC_TRY(write_directory(g, out, &opt));
        itc_cli_say(c, "%s: a trainer of %s; build it with: make -C %s", out, g->name, out);
        return ITC_OK;
    }
    itc_strbuf text;
    itc_strbuf_init(&text, c->ctx);
    ITC_TRY(strcmp(emit, "body") == 0 ? itc_codegen_body(g, &text)
                                      : itc_codegen_source(g, &opt, &text));
    return itc_write_file(c->ctx, out, text.text, text.len);
}

int itc_cmd_compile(itc_cli *c)
{
    return itc_exit_code(itc_driver_blame(c->options.args[0], compile(c)));
}

int itc_cmd_dump(itc_cli *c)
{
    const itc_options *o = &c->options;
    itc_graph *g = NULL;
    itc_stage stage = ITC_STAGE_MEMORY;
    itc_status s = itc_stage_parse(o->value[ITC_OPT_stage], &stage)
                       ? itc_driver_run(o, o->args[0], stage, &g)
                       : ITC_INTERNAL;
    s = s == ITC_OK ? itc_driver_print(g, o->value[ITC_OPT_format], itc_cli_output(c, "-")) : s;
    return itc_exit_code(s);
}

static itc_status run_passes(itc_graph *g, const char *list, const itc_pipeline_options *pipeline)
{
    int have = itc_stage_properties(g->stage);
    for (const char *p = list; *p;) {
        const size_t n = strcspn(p, ",");
        const itc_pass *pass = itc_pass_find(itc_strndup(g->ctx, p, n));
        if (!pass) {
            return ITC_INTERNAL; /* the option's check knows them */
        }
        ITC_TRY(itc_run_pass(g, pass, &have, pipeline));
        p += n + (p[n] == ',');
    }
    return ITC_OK;
}

/* To standard output without passes: the text refers to the side file that the input has. */
static itc_status print_same(itc_graph *g, const char *path)
{
    const char *side = itc_format(g->ctx, "%s.bin", path);
    FILE *f = fopen(side, "rb");
    const itc_print_options opt = {.blob_path = f ? itc_base_name(side) : NULL, .comments = true};
    itc_strbuf text;
    itc_strbuf_init(&text, g->ctx);
    itc_print(g, &opt, &text, NULL);
    if (f) {
        (void)fclose(f);
    }
    return itc_write_file(g->ctx, "-", text.text, text.len);
}

static itc_status opt(itc_cli *c)
{
    const itc_options *o = &c->options;
    const itc_pipeline_options pipeline = itc_driver_pipeline(o);
    const char *out = itc_cli_output(c, "-");
    itc_graph *g = NULL;
    ITC_TRY(itc_driver_load(o, o->args[0], &g));
    ITC_TRY(run_passes(g, o->value[ITC_OPT_passes], &pipeline));
    if (!o->given[ITC_OPT_passes] && strcmp(out, "-") == 0) {
        return print_same(g, o->args[0]);
    }
    return itc_driver_print(g, "text", out);
}

int itc_cmd_opt(itc_cli *c)
{
    return itc_exit_code(itc_driver_blame(c->options.args[0], opt(c)));
}
