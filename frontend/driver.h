/**
 * From a file and options to a graph of a stage: what every command that compiles begins with.
 */
#ifndef ITC_FRONTEND_DRIVER_H
#define ITC_FRONTEND_DRIVER_H

#include "frontend/options.h"
#include "passes/pass.h"

/** Files that are read whole: models and textual graphs of at most 4 GiB. */
#define ITC_MAX_FILE ((size_t)1 << 32)

/**
 * Reads a model (ONNX, or the textual IR of any stage) and gives it the settings that the options
 * say. E0001, E0002, E01xx, E02xx, E0607.
 */
ITC_NODISCARD itc_status itc_driver_load(const itc_options *o, const char *path, itc_graph **out);
/**
 * What to say of a failure: a graph that was read from text may be one that no pass writes, so that
 * "a bug of ours" (ITC_INTERNAL) becomes bad input there.
 */
itc_status itc_driver_blame(const char *path, itc_status s);
/** The pipeline's options among those of a command. */
itc_pipeline_options itc_driver_pipeline(const itc_options *o);
/** Loads, and takes the graph to `stage`; E0606 where the file is beyond that already. */
ITC_NODISCARD itc_status itc_driver_run(const itc_options *o, const char *path, itc_stage stage,
                                        itc_graph **out);
/** Prints a graph as text, dot or json to a file, "-" being standard output. Text in a file has a
 * side file PATH.bin where it has large tensors. */
ITC_NODISCARD itc_status itc_driver_print(itc_graph *g, const char *format, const char *path);
/** The last component of a path. */
const char *itc_base_name(const char *path);

#endif
