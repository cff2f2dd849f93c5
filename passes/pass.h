/**
 * Passes: whole-graph algorithms. PASSES.md is the manual; passes.def lists them in the order of
 * the pipeline. A pass knows no operator: what is peculiar to one lives in its row (ir/op.h).
 */
#ifndef ITC_PASSES_PASS_H
#define ITC_PASSES_PASS_H

#include "ir/op.h"

/** Properties of a graph that passes need and keep. */
enum {
    ITC_HAS_SHAPES = 1,
    ITC_HAS_LOSS = 2,
    ITC_HAS_GRAD = 4,
    ITC_HAS_INTEGERS = 8,
    ITC_HAS_EXPONENTS = 16,
    ITC_HAS_SCHEDULE = 32,
    ITC_HAS_BUFFERS = 64
};

typedef struct itc_pass {
    const char *name;
    itc_stage stage; /**< the stage that is complete once this pass has run (see itc_run_to) */
    uint8_t needs, keeps, gives;
    bool optional; /**< after the plan: skipping it must not change the digest */
    const char *summary;
    itc_status (*run)(itc_graph *g);
} itc_pass;

/** Rows in pipeline order; NULL past the end. */
const itc_pass *itc_pass_at(int i);
const itc_pass *itc_pass_find(const char *name);

typedef struct itc_pipeline_options {
    const char *print_after; /**< name of a pass, or NULL */
    const char *skip;        /**< comma-separated optional passes that are left out */
    bool verify_each;        /**< always on in debug builds */
} itc_pipeline_options;

/** Properties that a graph of this stage has. */
int itc_stage_properties(itc_stage s);
/** Runs one pass: refuses it when its needs are missing, verifies afterwards. */
ITC_NODISCARD itc_status itc_run_pass(itc_graph *g, const itc_pass *p, int *properties,
                                      const itc_pipeline_options *opt);
/** Takes a graph of any earlier stage to `stage`. */
ITC_NODISCARD itc_status itc_run_to(itc_graph *g, itc_stage stage, const itc_pipeline_options *opt);

#define PASS(name, stage, needs, keeps, gives, optional, summary)                                  \
    itc_status itc_pass_##name(itc_graph *g);
#include "passes/passes.def"
#undef PASS

#endif
