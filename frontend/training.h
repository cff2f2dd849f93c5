/**
 * One training by a command of the program: compiled C, or the interpreter.
 */
#ifndef ITC_FRONTEND_TRAINING_H
#define ITC_FRONTEND_TRAINING_H

#include "frontend/cli.h"

/** Arguments of a trainer. */
typedef struct itc_args {
    char **v; /**< ends with NULL */
    int n, cap;
} itc_args;

void itc_args_add(itc_ctx *ctx, itc_args *a, const char *text);
/** Those options of the command line that a trainer takes, as they were given. */
void itc_args_trainer(itc_ctx *ctx, const itc_options *o, itc_args *a);

/**
 * Trains a graph (of any stage) with these arguments; a.v[0] is replaced by the program's name.
 * `dir` is where the trainer is written and built. With `interpret` nothing is written there.
 * *code is the trainer's exit code. E0501, E0502: the arguments are refused before anything is
 * compiled.
 */
ITC_NODISCARD itc_status itc_training_run(itc_graph *g, const itc_pipeline_options *pipeline,
                                          const char *source, const char *dir, bool interpret,
                                          itc_args *a, int *code);

#endif
