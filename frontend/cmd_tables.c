/*
 * ops, passes: what is supported, printed from the tables that the compiler itself reads.
 */
#include <string.h>

#include "codegen/names.h"
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

/** Text of a cell of a Markdown table. */
static const char *cell(itc_ctx *ctx, const char *text)
{
    itc_strbuf b;
    itc_strbuf_init(&b, ctx);
    for (; *text; text++) {
        itc_strbuf_add(&b, *text == '|' ? "\\" : "");
        itc_strbuf_add_n(&b, text, 1);
    }
    return b.text;
}

typedef enum form { TEXT, JSON, MARKDOWN } form;

/** By form: what stands before the rows, and behind them. */
static const struct {
    const char *begin, *end;
} ops_frame[] = {
    [TEXT] = {"operator                   versions gradient  integer  kernel  folded  what it is\n",
              "\nas: it becomes other operators, and has what they have; folded: computed when "
              "compiling, where its operands are known\n"},
    [JSON] = {"[", "\n]\n"},
    [MARKDOWN] =
        {"# Operators\n\nWritten by `intrain ops --markdown` from the tables of the compiler; not "
         "to be edited.\n\n*as*: it becomes other operators, and has what they have. *Folded*: "
         "computed when compiling, where its operands are known. *Versions* are those of ONNX at "
         "which the definition changed.\n\n| operator | versions | gradient | integer | kernel | "
         "folded | what it is |\n|---|---|---|---|---|---|---|\n",
         ""},
};

static void op_row(itc_strbuf *b, const itc_op_def *op, form how, bool first)
{
    const char *gradient = has(op, op->grad != NULL), *integer = has(op, op->lower != NULL);
    const char *kernel = has(op, op->emit != NULL), *fold = yes(op->fold != NULL);
    const char *summary = op->summary ? op->summary : "";
    const char *domain = op->domain ? op->domain : "";
    if (how == JSON) {
        itc_strbuf_printf(b,
                          "%s\n  {\"op\": \"%s\", \"domain\": \"%s\", \"versions\": [%s], "
                          "\"gradient\": \"%s\", \"integer\": \"%s\", \"kernel\": \"%s\", "
                          "\"folded\": \"%s\", \"summary\": %s}",
                          first ? "" : ",", op->name, domain, versions(b->ctx, op, true), gradient,
                          integer, kernel, fold, itc_name_json(b->ctx, summary));
        return;
    }
    const bool shown = how == MARKDOWN && *domain;
    if (how == MARKDOWN) {
        itc_strbuf_printf(b, "| %s%s%s | %s | %s | %s | %s | %s | %s |\n", shown ? domain : "",
                          shown ? "." : "", op->name, versions(b->ctx, op, false), gradient,
                          integer, kernel, fold, cell(b->ctx, summary));
    } else {
        itc_strbuf_printf(b, "%-26s %-8s %-9s %-8s %-7s %-7s %s\n", op->name,
                          versions(b->ctx, op, false), gradient, integer, kernel, fold, summary);
    }
}

int itc_cmd_ops(itc_cli *c)
{
    const form how = itc_options_flag(&c->options, ITC_OPT_json)       ? JSON
                     : itc_options_flag(&c->options, ITC_OPT_markdown) ? MARKDOWN
                                                                       : TEXT;
    bool first = true;
    itc_strbuf b;
    itc_strbuf_init(&b, c->ctx);
    itc_strbuf_add(&b, ops_frame[how].begin);
    for (int i = 0; itc_op_at(i); i++) {
        if (!(itc_op_at(i)->flags & ITC_OP_INTERNAL)) {
            op_row(&b, itc_op_at(i), how, first);
            first = false;
        }
    }
    itc_strbuf_add(&b, ops_frame[how].end);
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
