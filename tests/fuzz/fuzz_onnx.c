/*
 * Any bytes as an ONNX model: they are refused with a diagnostic, or give a graph that passes the
 * checks, prints, reads back, and bears the passes up to shapes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/onnx_import.h"
#include "passes/pass.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** Enough for every corpus file; a hostile one must not make the fuzzer run out of memory. */
#define MAX_BYTES ((int64_t)16 << 20)

static void stop(const itc_ctx *ctx, const char *what)
{
    itc_diag_print(ctx, stderr);
    (void)fprintf(stderr, "%s\n", what);
    abort();
}

static void check_round_trip(itc_ctx *ctx, const itc_graph *g)
{
    const itc_print_options opt = {0};
    itc_strbuf first;
    itc_strbuf second;
    itc_strbuf_init(&first, ctx);
    itc_strbuf_init(&second, ctx);
    itc_print(g, &opt, &first, NULL);
    itc_graph *again = NULL;
    if (itc_parse(ctx, "fuzz.itc", first.text, first.len, &again) != ITC_OK) {
        stop(ctx, "an imported graph does not parse");
    }
    itc_print(again, &opt, &second, NULL);
    if (strcmp(first.text, second.text) != 0) {
        stop(ctx, "an imported graph prints differently when parsed");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    itc_ctx *ctx = itc_ctx_new();
    itc_onnx_model *m = NULL;
    itc_graph *g = NULL;
    const itc_import_options options = {.max_bytes = MAX_BYTES};
    itc_status s = itc_onnx_read_memory(ctx, data, size, &m);
    if (s == ITC_OK) {
        s = itc_onnx_import(ctx, m, &options, &g);
        itc_onnx_close(m);
    }
    if (s == ITC_INTERNAL || (s != ITC_OK && itc_diag_count(ctx) == 0)) {
        stop(ctx, "refused without a reason");
    }
    if (s == ITC_OK) {
        if (itc_verify(g) != ITC_OK) {
            stop(ctx, "an imported graph does not pass the checks");
        }
        check_round_trip(ctx, g);
        s = itc_run_to(g, ITC_STAGE_SHAPE, NULL);
        if (s == ITC_INTERNAL || (s != ITC_OK && itc_diag_count(ctx) == 0)) {
            stop(ctx, "the shape pass fails without a reason");
        }
    }
    itc_ctx_free(ctx);
    return 0;
}
