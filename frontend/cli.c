/*
 * main() of `intrain`: finds the command, parses its options, prints what went wrong.
 */
#include "frontend/cli.h"

#include <errno.h>
#include <string.h>

#include "frontend/itc.h"

static int (*const run[])(itc_cli *) = {
#define COMMAND(id, least, most, args, summary, example) itc_cmd_##id,
#include "frontend/commands.def"
#undef COMMAND
};

static void print_line(const char *fmt, va_list ap)
{
    (void)vfprintf(stderr, fmt, ap);
    (void)fputc('\n', stderr);
}

void itc_cli_say(const itc_cli *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (!itc_options_flag(&c->options, ITC_OPT_quiet)) {
        print_line(fmt, ap);
    }
    va_end(ap);
}

void itc_cli_detail(const itc_cli *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (itc_options_flag(&c->options, ITC_OPT_verbose)) {
        print_line(fmt, ap);
    }
    va_end(ap);
}

const char *itc_cli_output(const itc_cli *c, const char *otherwise)
{
    return c->options.given[ITC_OPT_output] ? c->options.value[ITC_OPT_output] : otherwise;
}

static int print_text(itc_ctx *ctx, const itc_strbuf *b)
{
    return itc_exit_code(itc_write_file(ctx, "-", b->text, b->len));
}

static int run_command(itc_cli *c, int argc, char **argv)
{
    itc_command command;
    itc_strbuf text;
    itc_strbuf_init(&text, c->ctx);
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        itc_help_program(&text);
        if (argc < 2) {
            (void)fputs(text.text, stderr);
            return 2;
        }
        return print_text(c->ctx, &text);
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        itc_strbuf_printf(&text, "intrain %s\n", itc_version());
        return print_text(c->ctx, &text);
    }
    itc_status s = itc_command_parse(c->ctx, argv[1], &command);
    if (s == ITC_OK) {
        itc_options_init(&c->options, c->ctx, command);
        s = itc_options_parse(&c->options, argc - 2, argv + 2);
    }
    if (s != ITC_OK) {
        return itc_exit_code(s);
    }
    if (c->options.given[ITC_OPT_version]) {
        itc_strbuf_printf(&text, "intrain %s\n", itc_version());
        return print_text(c->ctx, &text);
    }
    if (c->options.given[ITC_OPT_help]) {
        itc_help_command(&text, command);
        return print_text(c->ctx, &text);
    }
    return run[command](c);
}

int main(int argc, char **argv)
{
    itc_cli c = {.ctx = itc_ctx_new(), .program = argc > 0 ? argv[0] : "intrain"};
    itc_set_file(c.ctx, "intrain");
    int code = run_command(&c, argc, argv);
    for (int i = 0; i < itc_note_count(c.ctx) && !itc_options_flag(&c.options, ITC_OPT_quiet);
         i++) {
        (void)fprintf(stderr, "note: %s\n", itc_note_get(c.ctx, i));
    }
    itc_diag_print(c.ctx, stderr);
    if (fflush(stdout) != 0 && code == 0) {
        (void)fprintf(stderr, "error E0003: cannot write standard output: %s\n", strerror(errno));
        code = 3;
    }
    itc_ctx_free(c.ctx);
    return code;
}
