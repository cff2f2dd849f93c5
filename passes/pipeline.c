#include "passes/pass.h"

#include <string.h>

static const itc_pass passes[] = {
#define PASS(name, stage, needs, keeps, gives, optional, summary) \
    {#name, ITC_STAGE_##stage, needs, keeps, gives, optional, summary, itc_pass_##name},
#include "passes/passes.def"
#undef PASS
};

enum { PASS_COUNT = sizeof passes / sizeof passes[0] };

const itc_pass *itc_pass_at(int i)
{
    return i >= 0 && i < PASS_COUNT ? &passes[i] : NULL;
}

const itc_pass *itc_pass_find(const char *name)
{
    for (int i = 0; i < PASS_COUNT; i++) {
        if (strcmp(passes[i].name, name) == 0) {
            return &passes[i];
        }
    }
    return NULL;
}

int itc_stage_properties(itc_stage s)
{
    int have = 0;
    for (int i = 0; i < PASS_COUNT; i++) {
        if (passes[i].stage <= s) {
            have = (have & passes[i].keeps) | passes[i].gives;
        }
    }
    return have;
}

static bool in_list(const char *list, const char *name)
{
    const size_t n = strlen(name);
    for (const char *p = list; p && *p;) {
        const size_t len = strcspn(p, ",");
        if (len == n && strncmp(p, name, n) == 0) {
            return true;
        }
        p += len + (p[len] == ',');
    }
    return false;
}

itc_status itc_run_pass(itc_graph *g, const itc_pass *p, int *properties,
                        const itc_pipeline_options *opt)
{
    if ((p->needs & ~*properties) != 0) {
        return itc_error(g->ctx, NULL, ITC_RANGE, "E0300",
                         "pass %s needs what an earlier pass gives; run the passes in the order "
                         "that `intrain passes` prints (the graph is of stage %s)",
                         p->name, itc_stage_name(g->stage));
    }
    if (opt && p->optional && in_list(opt->skip, p->name)) {
        return ITC_OK;
    }
    ITC_TRY(p->run(g));
    *properties = (*properties & p->keeps) | p->gives;
    const itc_pass *next = p + 1 < passes + PASS_COUNT ? p + 1 : NULL;
    if (!next || next->stage != p->stage) {
        g->stage = p->stage;
    }
#ifdef NDEBUG
    const bool always = false;
#else
    const bool always = true;
#endif
    if (always || (opt && opt->verify_each)) {
        ITC_TRY(itc_verify(g));
    }
    if (opt && opt->print_after && strcmp(opt->print_after, p->name) == 0) {
        itc_strbuf text;
        itc_strbuf_init(&text, g->ctx);
        itc_print(g, &(itc_print_options){.comments = true}, &text, NULL);
        fputs(text.text, stdout);
    }
    return ITC_OK;
}

itc_status itc_run_to(itc_graph *g, itc_stage stage, const itc_pipeline_options *opt)
{
    int have = itc_stage_properties(g->stage);
    const itc_stage from = g->stage;
    for (int i = 0; i < PASS_COUNT; i++) {
        if (passes[i].stage > from && passes[i].stage <= stage) {
            ITC_TRY(itc_run_pass(g, &passes[i], &have, opt));
        }
    }
    if (g->stage < stage) {
        g->stage = stage;
    }
    return itc_verify(g);
}
