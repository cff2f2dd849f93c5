/*
 * A tool of the build: writes the man page and the completions of shells from the same tables as
 * --help, so that they cannot fall behind.
 *
 *     itc_write_docs man|bash|zsh|fish FILE
 */
#include <string.h>

#include "frontend/cli.h"

int main(int argc, char **argv)
{
    itc_ctx *ctx = itc_ctx_new();
    itc_strbuf b;
    itc_strbuf_init(&b, ctx);
    int code = 2;
    if (argc == 3 && strcmp(argv[1], "man") == 0) {
        itc_help_man(&b);
        code = 0;
    } else if (argc == 3 && itc_help_completion(&b, argv[1])) {
        code = 0;
    } else {
        fprintf(stderr, "usage: itc_write_docs man|bash|zsh|fish FILE\n");
    }
    if (code == 0) {
        code = itc_exit_code(itc_write_file(ctx, argv[2], b.text, b.len));
        itc_diag_print(ctx, stderr);
    }
    itc_ctx_free(ctx);
    return code;
}
