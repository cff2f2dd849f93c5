/*
 * ops, passes: what is supported, printed from the tables that the compiler itself reads.
 */
#include <string.h>

#include "frontend/cli.h"

static int print(itc_cli *c, const itc_strbuf *b)
{
    return itc_exit_code(itc_write_file(c->ctx, "-", b->text, b->len));
}

/** Versions of ONNX at which the definition changed, from the first that is imported on. */
static const char *versions(itc_ctx *ctx, const itc_op_def *op, bool all)
{
    itc_strbuf b;
    int first = op->opset_min, last = op->opset_min;
    itc_strbuf_init(&b, ctx);
    for (const uint8_t *v = op->versions; v && *v; v++) {
        if (v[1] == 0 || v[1] > op->opset_min) {
            itc_strbuf_printf(&b, "%s%d", b.len ? ", " : "", *v);
            first = *v < first ? *v : first;
            last = *v;
        }
    }
    return all             ? b.text
           : first == last ? itc_format(ctx, "%d", last)
                           : itc_format(ctx, "%d-%d", first, last);
}

static const char *yes(bool x)
{
    return x ? "yes" : "-";
}

/** An operator that turns into others has what they have. */
static const char *has(const itc_op_def *op, bool own)
{
    return own ? "yes" : op->normalize ? "as" : "-";
}

static void op_row(itc_strbuf *b, const itc_op_def *op, bool json, bool *first)
{
    const char *gradient = has(op, op->grad != NULL), *integer = has(op, op->lower != NULL);
    const char *kernel = has(op, op->emit != NULL), *fold = yes(op->fold != NULL);
    if (!json) {
        itc_strbuf_printf(b, "%-26s %-8s %-9s %-8s %-7s %-7s %s\n", op->name,
                          versions(b->ctx, op, false), gradient, integer, kernel, fold,
                          op->summary ? op->summary : "");
        return;
    }
    itc_strbuf_printf(b,
                      "%s\n  {\"op\": \"%s\", \"domain\": \"%s\", \"versions\": [%s], "
                      "\"gradient\": \"%s\", \"integer\": \"%s\", \"kernel\": \"%s\", "
                      "\"folded\": \"%s\"}",
                      *first ? "" : ",", op->name, op->domain ? op->domain : "",
                      versions(b->ctx, op, true), gradient, integer, kernel, fold);
    *first = false;
}

int itc_cmd_ops(itc_cli *c)
{
    const bool json = itc_options_flag(&c->options, ITC_OPT_json);
    bool first = true;
    itc_strbuf b;
    itc_strbuf_init(&b, c->ctx);
    itc_strbuf_add(&b, json ? "["
                            : "operator                   versions gradient  integer  kernel  "
                              "folded  what it is\n");
    for (int i = 0; itc_op_at(i); i++) {
        if (!(itc_op_at(i)->flags & ITC_OP_INTERNAL)) {
            op_row(&b, itc_op_at(i), json, &first);
        }
    }
    itc_strbuf_add(&b, json ? "\n]\n"
                            : "\nas: it becomes other operators, and has what they have; folded: "
                              "computed when compiling, where its operands are known\n");
    return print(c, &b);
}

static const char *properties(itc_ctx *ctx, unsigned bits)
{
    static const char *const name[] = {"shapes",    "loss",     "grad",   "integers",
                                       "exponents", "schedule", "buffers"};
    itc_strbuf b;
    itc_strbuf_init(&b, ctx);
    for (int i = 0; i < 7; i++) {
        if (bits >> i & 1) {
            itc_strbuf_printf(&b, "%s%s", b.len ? "," : "", name[i]);
        }
    }
    return b.len ? b.text : "-";
}

int itc_cmd_passes(itc_cli *c)
{
    const bool json = itc_options_flag(&c->options, ITC_OPT_json);
    itc_strbuf b;
    itc_strbuf_init(&b, c->ctx);
    itc_strbuf_add(&b, json ? "["
                            : "pass       stage      needs      gives      optional  what it "
                              "does\n");
    for (int i = 0; itc_pass_at(i); i++) {
        const itc_pass *p = itc_pass_at(i);
        if (json) {
            itc_strbuf_printf(&b,
                              "%s\n  {\"pass\": \"%s\", \"stage\": \"%s\", \"needs\": \"%s\", "
                              "\"gives\": \"%s\", \"optional\": %s, \"summary\": \"%s\"}",
                              i ? "," : "", p->name, itc_stage_name(p->stage),
                              properties(c->ctx, p->needs), properties(c->ctx, p->gives),
                              p->optional ? "true" : "false", p->summary);
        } else {
            itc_strbuf_printf(&b, "%-10s %-10s %-10s %-10s %-9s %s\n", p->name,
                              itc_stage_name(p->stage), properties(c->ctx, p->needs),
                              properties(c->ctx, p->gives), yes(p->optional), p->summary);
        }
    }
    itc_strbuf_add(&b, json ? "\n]\n" : "");
    return print(c, &b);
}
