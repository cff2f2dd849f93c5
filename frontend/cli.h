/**
 * The program's commands: one function each, in cmd_*.c.
 */
#ifndef ITC_FRONTEND_CLI_H
#define ITC_FRONTEND_CLI_H

#include "frontend/driver.h"

/** What a command is given. Diagnostics and notes of the context are printed after it. */
typedef struct itc_cli {
    itc_ctx *ctx;
    itc_options options;
    const char *program; /**< argv[0] */
} itc_cli;

/** Each answers the exit code. */
#define COMMAND(id, least, most, args, summary, example) int itc_cmd_##id(itc_cli *c);
#include "frontend/commands.def"
#undef COMMAND

/** A line on stderr, unless --quiet. */
void itc_cli_say(const itc_cli *c, const char *fmt, ...) ITC_PRINTF(2, 3);
/** A line on stderr with --verbose. */
void itc_cli_detail(const itc_cli *c, const char *fmt, ...) ITC_PRINTF(2, 3);
/** Where -o points; `otherwise` without it. */
const char *itc_cli_output(const itc_cli *c, const char *otherwise);

/** Help texts (help.c): of the program; of a command; man page; completions of a shell. */
void itc_help_program(itc_strbuf *b);
void itc_help_command(itc_strbuf *b, itc_command command);
void itc_help_man(itc_strbuf *b);
/** shell: "bash", "zsh" or "fish"; false: another. */
bool itc_help_completion(itc_strbuf *b, const char *shell);

#endif
