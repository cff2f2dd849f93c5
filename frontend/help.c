/*
 * Help texts, the man page and the completions of shells, all from commands.def and options.def.
 */
#include <string.h>

#include "frontend/cli.h"
#include "frontend/itc.h"

enum { COLUMN = 30, WIDTH = 96 };

/** Text from column `at` on, wrapped at WIDTH, further lines indented to COLUMN. */
static void wrap(itc_strbuf *b, int at, const char *text)
{
    while (*text) {
        const size_t n = strcspn(text, " ");
        if (at > COLUMN && at + (int)n + 1 > WIDTH) {
            itc_strbuf_printf(b, "\n%*s", COLUMN, "");
            at = COLUMN;
        } else if (at > COLUMN) {
            itc_strbuf_add(b, " ");
            at++;
        }
        itc_strbuf_add_n(b, text, n);
        at += (int)n;
        text += n + (text[n] == ' ');
    }
    itc_strbuf_add(b, "\n");
}

static void option_line(itc_strbuf *b, const itc_option_def *d)
{
    const size_t start = b->len;
    if (d->letter) {
        itc_strbuf_printf(b, "  -%c, --%s", d->letter, d->name);
    } else {
        itc_strbuf_printf(b, "  --%s", d->name);
    }
    if (d->arg) {
        itc_strbuf_printf(b, " %s", d->arg);
    }
    const int used = (int)(b->len - start);
    if (used + 2 > COLUMN) {
        itc_strbuf_printf(b, "\n%*s", COLUMN, "");
    } else {
        itc_strbuf_printf(b, "%*s", COLUMN - used, "");
    }
    const bool shown = d->otherwise && *d->otherwise && strcmp(d->otherwise, "0") != 0;
    wrap(b, COLUMN, shown ? itc_format(b->ctx, "%s (default %s)", d->help, d->otherwise) : d->help);
}

void itc_help_program(itc_strbuf *b)
{
    itc_strbuf_add(b, "intrain turns an ONNX model into a standalone C program that trains it in "
                      "integer arithmetic.\n\nusage: intrain COMMAND [options]\n\n");
    for (int i = 0; itc_command_at(i); i++) {
        itc_strbuf_printf(b, "  %-10s %s\n", itc_command_at(i)->name, itc_command_at(i)->summary);
    }
    itc_strbuf_add(b, "\nintrain COMMAND --help explains a command, with an example.\n"
                      "exit codes: 0 done; 1 it ran, and the answer is no; 2 wrong usage or bad "
                      "input;\n            3 an output or memory failed; 4 a bug of intrain\n");
}

void itc_help_command(itc_strbuf *b, itc_command command)
{
    const itc_command_def *c = itc_command_at((int)command);
    itc_strbuf_printf(b, "usage: intrain %s%s%s [options]\n\n%s\n\nexample:\n  %s\n\noptions:\n",
                      c->name, *c->args ? " " : "", c->args, c->summary, c->example);
    for (int i = 0; itc_option_at(i); i++) {
        if (itc_option_of(itc_option_at(i), command)) {
            option_line(b, itc_option_at(i));
        }
    }
}

/** A text for troff: backslashes, hyphens and leading dots keep their meaning. */
static void troff(itc_strbuf *b, const char *text)
{
    for (const char *p = text; *p; p++) {
        if (*p == '\\') {
            itc_strbuf_add(b, "\\e");
        } else if (*p == '-') {
            itc_strbuf_add(b, "\\-");
        } else if (*p == '\'' && p == text) {
            itc_strbuf_add(b, "\\(aq");
        } else {
            itc_strbuf_add_n(b, p, 1);
        }
    }
}

/** "-o" or "--batch" */
static const char *short_form(itc_ctx *ctx, const itc_option_def *d)
{
    return d->letter ? itc_format(ctx, "-%c", d->letter) : itc_format(ctx, "--%s", d->name);
}

static void man_command(itc_strbuf *b, itc_command command)
{
    const itc_command_def *c = itc_command_at((int)command);
    int shown = 0;
    itc_strbuf_printf(b, ".SS %s ", c->name);
    troff(b, c->args);
    itc_strbuf_add(b, "\n");
    troff(b, c->summary);
    itc_strbuf_add(b, ".\n.PP\n.nf\n.RS\n");
    troff(b, c->example);
    itc_strbuf_add(b, "\n.RE\n.fi\n.PP\nOptions:");
    for (int i = 0; itc_option_at(i); i++) {
        const itc_option_def *d = itc_option_at(i);
        if (itc_option_of(d, command) && d->commands != ~0u) {
            itc_strbuf_add(b, shown++ ? ", " : "\n");
            troff(b, short_form(b->ctx, d));
        }
    }
    itc_strbuf_add(b, shown ? ".\n" : " none of its own.\n");
}

static void man_option(itc_strbuf *b, const itc_option_def *d)
{
    itc_strbuf_add(b, ".TP\n.B ");
    if (d->letter) {
        troff(b, itc_format(b->ctx, "-%c, ", d->letter));
    }
    troff(b, itc_format(b->ctx, "--%s", d->name));
    if (d->arg) {
        itc_strbuf_add(b, " \\fI");
        troff(b, d->arg);
        itc_strbuf_add(b, "\\fR");
    }
    itc_strbuf_add(b, "\n");
    troff(b, d->help);
    if (d->otherwise && *d->otherwise && strcmp(d->otherwise, "0") != 0) {
        itc_strbuf_add(b, " (default ");
        troff(b, d->otherwise);
        itc_strbuf_add(b, ")");
    }
    itc_strbuf_add(b, "\n");
}

void itc_help_man(itc_strbuf *b)
{
    itc_strbuf_printf(b,
                      ".TH INTRAIN 1 \"\" \"intrain %s\" \"User Commands\"\n.SH NAME\nintrain \\- "
                      "compile ONNX models into C programs that train them in integers\n.SH "
                      "SYNOPSIS\n.B intrain\n.I COMMAND\n[options]\n.SH DESCRIPTION\nintrain reads "
                      "an ONNX model and writes a standalone C11 program that trains it with "
                      "integer arithmetic alone.\n.SH COMMANDS\n",
                      itc_version());
    for (int i = 0; itc_command_at(i); i++) {
        man_command(b, (itc_command)i);
    }
    itc_strbuf_add(b, ".SH OPTIONS\n");
    for (int i = 0; itc_option_at(i); i++) {
        man_option(b, itc_option_at(i));
    }
    itc_strbuf_add(b, ".SH EXIT STATUS\n.TP\n0\ndone\n.TP\n1\nit ran, and the answer is no: a "
                      "mismatch, a regression, a training that diverged\n.TP\n2\nwrong usage, or "
                      "input that cannot be opened, read, understood or supported\n.TP\n3\nan "
                      "output cannot be written, or memory is exhausted\n.TP\n4\na bug of "
                      "intrain\n.SH ENVIRONMENT\n.TP\nCC, CFLAGS, LDFLAGS\nused by intrain train "
                      "and by the Makefile of a trainer\n.TP\nITR_CPU\ncaps the kernels that a "
                      "trainer uses: ref is the portable set\n");
}

/* ---- completions ---- */

static void command_names(itc_strbuf *b)
{
    for (int i = 0; itc_command_at(i); i++) {
        itc_strbuf_printf(b, "%s%s", i ? " " : "", itc_command_at(i)->name);
    }
}

static void complete_bash(itc_strbuf *b)
{
    itc_strbuf_add(b, "# bash completion for intrain\n_intrain()\n{\n"
                      "    local cur=${COMP_WORDS[COMP_CWORD]} words=\n"
                      "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n        words=\"");
    command_names(b);
    itc_strbuf_add(b, " --help --version\"\n    else\n        case ${COMP_WORDS[1]} in\n");
    for (int c = 0; itc_command_at(c); c++) {
        itc_strbuf_printf(b, "        %s) words=\"", itc_command_at(c)->name);
        if (c == ITC_CMD_help) {
            command_names(b);
        }
        for (int i = 0; itc_option_at(i); i++) {
            if (itc_option_of(itc_option_at(i), (itc_command)c)) {
                itc_strbuf_printf(b, " --%s", itc_option_at(i)->name);
            }
        }
        itc_strbuf_add(b, "\" ;;\n");
    }
    itc_strbuf_add(b,
                   "        esac\n    fi\n    case $cur in\n"
                   "    -*) COMPREPLY=($(compgen -W \"$words\" -- \"$cur\")) ;;\n"
                   "    *) if [ \"$COMP_CWORD\" -eq 1 ] || [ \"${COMP_WORDS[1]}\" = help ]; then\n"
                   "           COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
                   "       else\n           COMPREPLY=($(compgen -f -- \"$cur\"))\n"
                   "       fi ;;\n    esac\n}\ncomplete -o filenames -F _intrain intrain\n");
}

/** A text in single quotes; zsh's own separators escaped where `zsh`. */
static void quote(itc_strbuf *b, const char *text, bool zsh)
{
    for (const char *p = text; *p; p++) {
        if (*p == '\'') {
            itc_strbuf_add(b, zsh ? "'\\''" : "\\'");
        } else if (zsh && strchr("[]:\\", *p)) {
            itc_strbuf_printf(b, "\\%c", *p);
        } else {
            itc_strbuf_add_n(b, p, 1);
        }
    }
}

static void complete_zsh(itc_strbuf *b)
{
    itc_strbuf_add(b, "#compdef intrain\n_intrain() {\n  if (( CURRENT == 2 )); then\n"
                      "    local -a commands\n    commands=(\n");
    for (int c = 0; itc_command_at(c); c++) {
        itc_strbuf_printf(b, "      '%s:", itc_command_at(c)->name);
        quote(b, itc_command_at(c)->summary, true);
        itc_strbuf_add(b, "'\n");
    }
    itc_strbuf_add(b, "    )\n    _describe command commands\n    return\n  fi\n"
                      "  local command=$words[2]\n  shift words\n  (( CURRENT-- ))\n"
                      "  case $command in\n");
    for (int c = 0; itc_command_at(c); c++) {
        itc_strbuf_printf(b, "  %s) _arguments", itc_command_at(c)->name);
        for (int i = 0; itc_option_at(i); i++) {
            const itc_option_def *d = itc_option_at(i);
            if (itc_option_of(d, (itc_command)c)) {
                itc_strbuf_printf(b, " \\\n    '--%s[", d->name);
                quote(b, d->help, true);
                itc_strbuf_add(b, d->arg ? "]:value:_files'" : "]'");
            }
        }
        itc_strbuf_add(b, " \\\n    '*:file:_files' ;;\n");
    }
    itc_strbuf_add(b, "  esac\n}\n_intrain \"$@\"\n");
}

static void complete_fish(itc_strbuf *b)
{
    for (int c = 0; itc_command_at(c); c++) {
        const char *name = itc_command_at(c)->name;
        itc_strbuf_printf(b, "complete -c intrain -n __fish_use_subcommand -f -a %s -d '", name);
        quote(b, itc_command_at(c)->summary, false);
        itc_strbuf_add(b, "'\n");
        for (int i = 0; itc_option_at(i); i++) {
            const itc_option_def *d = itc_option_at(i);
            if (itc_option_of(d, (itc_command)c)) {
                itc_strbuf_printf(b,
                                  "complete -c intrain -n '__fish_seen_subcommand_from %s' -l %s",
                                  name, d->name);
                itc_strbuf_add(b, d->arg ? " -r -d '" : " -d '");
                quote(b, d->help, false);
                itc_strbuf_add(b, "'\n");
            }
        }
    }
}

bool itc_help_completion(itc_strbuf *b, const char *shell)
{
    if (strcmp(shell, "bash") == 0) {
        complete_bash(b);
    } else if (strcmp(shell, "zsh") == 0) {
        complete_zsh(b);
    } else if (strcmp(shell, "fish") == 0) {
        complete_fish(b);
    } else {
        return false;
    }
    return true;
}

/* `help man` and `help SHELL` are what the build and packagers use. */
int itc_cmd_help(itc_cli *c)
{
    itc_strbuf b;
    itc_command command;
    itc_strbuf_init(&b, c->ctx);
    if (c->options.n_args == 0) {
        itc_help_program(&b);
    } else if (strcmp(c->options.args[0], "man") == 0) {
        itc_help_man(&b);
    } else if (!itc_help_completion(&b, c->options.args[0])) {
        const itc_status s = itc_command_parse(c->ctx, c->options.args[0], &command);
        if (s != ITC_OK) {
            return itc_exit_code(s);
        }
        itc_help_command(&b, command);
    }
    return itc_exit_code(itc_write_file(c->ctx, "-", b.text, b.len));
}
