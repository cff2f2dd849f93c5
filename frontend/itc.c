#include "frontend/itc.h"

#include <stdlib.h>

#include "codegen/codegen.h"
#include "frontend/driver.h"

struct itc_compiler {
    itc_ctx *ctx;
    itc_options options;
    itc_graph *g;
};

itc_compiler *itc_compiler_new(void)
{
    itc_ctx *ctx = itc_ctx_new();
    itc_compiler *c = ITC_NEW(ctx, itc_compiler);
    c->ctx = ctx;
    itc_options_init(&c->options, ctx, ITC_CMD_compile);
    return c;
}

void itc_compiler_free(itc_compiler *c)
{
    if (c) {
        itc_ctx_free(c->ctx); /* c itself lies in there */
    }
}

int itc_compiler_set(itc_compiler *c, const char *option, const char *value)
{
    return itc_exit_code(itc_options_set(&c->options, option, value));
}

int itc_compiler_load(itc_compiler *c, const char *path)
{
    itc_graph *g = NULL;
    const itc_status s = itc_driver_load(&c->options, path, &g);
    c->g = s == ITC_OK ? g : NULL;
    return itc_exit_code(s);
}

static itc_status run(itc_compiler *c, itc_stage stage)
{
    const itc_pipeline_options pipeline = itc_driver_pipeline(&c->options);
    if (!c->g) {
        return itc_error(c->ctx, NULL, ITC_RANGE, "E0608", "no model is loaded");
    }
    return c->g->stage < stage ? itc_run_to(c->g, stage, &pipeline) : ITC_OK;
}

int itc_compiler_run(itc_compiler *c, const char *stage)
{
    itc_stage s;
    if (!itc_stage_parse(stage, &s)) {
        return itc_exit_code(
            itc_error(c->ctx, NULL, ITC_RANGE, "E0604", "there is no stage %s", stage));
    }
    return itc_exit_code(run(c, s));
}

int itc_compiler_dump(itc_compiler *c, const char *format, const char *path)
{
    itc_status s = run(c, ITC_STAGE_IMPORT);
    s = s == ITC_OK ? itc_driver_print(c->g, format, path) : s;
    return itc_exit_code(s);
}

int itc_compiler_write(itc_compiler *c, const char *dir)
{
    itc_codegen_options opt = {.embed = itc_options_flag(&c->options, ITC_OPT_embed)};
    itc_status s = run(c, ITC_STAGE_MEMORY);
    s = s == ITC_OK ? itc_codegen_directory(c->g, dir, &opt) : s;
    return itc_exit_code(s);
}

int itc_compiler_message_count(const itc_compiler *c)
{
    return itc_diag_count(c->ctx);
}

const char *itc_compiler_message(const itc_compiler *c, int i)
{
    const itc_diag *d = itc_diag_get(c->ctx, i);
    return d ? itc_format(c->ctx, "%s%s%s%serror %s: %s", d->file ? d->file : "",
                          d->file ? ": " : "", d->where ? d->where : "", d->where ? ": " : "",
                          d->id, d->text)
             : NULL;
}
