/*
 * Any bytes as a text of the IR: they are refused with a diagnostic, or what is printed of them
 * reads back and prints the same again. Checks and the other printers must bear every graph.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/ir.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fail(const char *what, const char *first, const char *second)
{
    (void)fprintf(stderr, "%s\n--- first\n%s\n--- second\n%s\n", what, first, second);
    abort();
}

static void round_trip(itc_ctx *ctx, itc_graph *g, bool comments)
{
    const itc_print_options opt = {.comments = comments};
    itc_strbuf first;
    itc_strbuf second;
    itc_strbuf_init(&first, ctx);
    itc_strbuf_init(&second, ctx);
    itc_print(g, &opt, &first, NULL);
    itc_graph *again = NULL;
    if (itc_parse(ctx, "fuzz.itc", first.text, first.len, &again) != ITC_OK) {
        itc_diag_print(ctx, stderr);
        fail("what was printed does not parse", first.text, "");
    }
    itc_print(again, &opt, &second, NULL);
    if (strcmp(first.text, second.text) != 0) {
        fail("what was parsed prints differently", first.text, second.text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    itc_ctx *ctx = itc_ctx_new();
    itc_graph *g = NULL;
    if (itc_parse(ctx, "fuzz.itc", (const char *)data, size, &g) == ITC_OK) {
        if (itc_diag_count(ctx) != 0) {
            fail("a text was accepted with an error", "", "");
        }
        round_trip(ctx, g, false);
        round_trip(ctx, g, true);
        const itc_status sound = itc_verify(g);
        if ((sound == ITC_OK) != (itc_diag_count(ctx) == 0)) {
            fail("checks and diagnostics disagree", "", "");
        }
        itc_strbuf out;
        itc_strbuf_init(&out, ctx);
        itc_print_dot(g, &out);
        itc_print_json(g, &out);
        if (sound == ITC_OK) {
            itc_graph_sweep(g);
            round_trip(ctx, g, false);
            if (itc_verify(g) != ITC_OK) {
                itc_diag_print(ctx, stderr);
                fail("sweeping broke a sound graph", "", "");
            }
        }
    } else if (itc_diag_count(ctx) == 0) {
        fail("a text was refused without an error", "", "");
    }
    itc_ctx_free(ctx);
    return 0;
}
