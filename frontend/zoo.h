/**
 * A zoo of models (`intrain regress`): the file that lists them, and what came of each.
 *
 *     [lenet5]
 *     model = "models/lenet5.onnx"        # paths are relative to this file
 *     data = "made:samples=64,ids=100"    # or a SPEC of a trainer; without: "made"
 *     options = "--batch 32 --arith int8" # of `intrain train`
 *     steps = 50                          # default 20
 *     falls = true                        # the loss has to fall: default true
 *     max_loss = 1.5                      # of the last step
 *     max_arena = 400000                  # bytes
 *     digest = "..."                      # --update writes these three
 *     loss = 1.234                        # of the last step
 *     memory = 1234567                    # bytes: state, exponents and arena
 *
 * This much of TOML is read: tables, strings in double quotes without escapes, numbers, booleans,
 * comments.
 */
#ifndef ITC_FRONTEND_ZOO_H
#define ITC_FRONTEND_ZOO_H

#include "ir/base.h"

/** One table. Numbers that the file does not have are negative, texts NULL. */
typedef struct itc_zoo_entry {
    const char *name;
    const char *model, *data, *options, *digest; /**< data and options are never NULL */
    int64_t steps, max_arena, memory;
    double max_loss, loss;
    bool falls;
    int first, last; /**< lines of the table, the heading first */
} itc_zoo_entry;

typedef struct itc_zoo {
    itc_ctx *ctx;
    const char **line;
    int n_lines, cap_lines;
    itc_zoo_entry *entry;
    int n_entries, cap_entries;
} itc_zoo;

/** What a training of an entry gave. Texts and arrays are of the zoo's context. */
typedef struct itc_zoo_result {
    bool tried;      /**< false: not among those that were asked for */
    bool trained;    /**< it compiled, and the trainer ended with 0 */
    int code;        /**< exit code: 0 exactly where everything holds */
    const char *why; /**< what does not hold; NULL: everything does */
    const char *arith, *digest;
    double first, last; /**< mean loss of the first and the last quarter of the steps */
    double end;         /**< loss of the last step */
    const double *curve;
    int n_curve;
    int64_t memory, arena; /**< bytes */
    double seconds;        /**< to compile, build and train */
} itc_zoo_result;

/** E0001: the file; E0615: a line of it. `z->ctx` is set by the caller. */
ITC_NODISCARD itc_status itc_zoo_read(itc_zoo *z, const char *path);
/** What does not hold of a training that ended with 0; NULL: everything does. With `update` what
 * is recorded does not matter. */
const char *itc_zoo_judge(const itc_zoo *z, const itc_zoo_entry *e, const itc_zoo_result *r,
                          bool update);
/** The file again, its records replaced by those of results that trained. E0003. */
ITC_NODISCARD itc_status itc_zoo_write_back(const itc_zoo *z, const char *path,
                                            const itc_zoo_result *result);

/* ---- zoo_report.c ---- */

/** The table on standard output: heading, one line when a model is done, the last line. */
void itc_zoo_print_head(const itc_zoo *z);
void itc_zoo_print(const itc_zoo *z, const itc_zoo_entry *e, const itc_zoo_result *r);
void itc_zoo_print_sum(const itc_zoo *z, const itc_zoo_result *result);
/** JUnit's XML as CI servers read it: a failure is a limit or record that does not hold, an error
 * is a model that does not train. E0003. */
ITC_NODISCARD itc_status itc_zoo_junit(const itc_zoo *z, const itc_zoo_result *result,
                                       const char *suite, const char *path);
/** One page: the table, and the curve of every model. E0003. */
ITC_NODISCARD itc_status itc_zoo_html(const itc_zoo *z, const itc_zoo_result *result,
                                      const char *suite, const char *path);

#endif
