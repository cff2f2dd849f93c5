/**
 * Other programs (make, a trainer) and temporary folders.
 */
#ifndef ITC_FRONTEND_PROCESS_H
#define ITC_FRONTEND_PROCESS_H

#include "ir/base.h"

/**
 * Runs argv[0] (looked up in PATH) and waits; SIGTERM and SIGINT go on to it. *code is its exit
 * code, or 128 + the signal that ended it. With `log` its output goes to that file. E0609: it
 * cannot be started.
 */
ITC_NODISCARD itc_status itc_process_run(itc_ctx *ctx, char *const *argv, const char *log,
                                         int *code);
/** A fresh folder, its path in the arena; E0003 where there is none. */
ITC_NODISCARD itc_status itc_temp_folder(itc_ctx *ctx, const char **out);
/** Makes a folder unless it is there; E0003. */
ITC_NODISCARD itc_status itc_make_folder(itc_ctx *ctx, const char *path);
/** Removes it with everything in it. */
void itc_temp_remove(const char *path);

#endif
