/**
 * From a graph of stage memory to what `intrain compile` writes.
 */
#ifndef ITC_CODEGEN_CODEGEN_H
#define ITC_CODEGEN_CODEGEN_H

#include "codegen/record.h"

typedef struct itc_codegen_options {
    const char *name;   /**< file stem of the model; NULL: the graph's name */
    const char *source; /**< the model file, for comments; NULL: the name */
    bool embed;         /**< parameters as an array in place of MODEL_data.bin */
    bool
        keep; /**< files that are as they should be stay: make then builds what has changed alone */
} itc_codegen_options;

/**
 * Writes a standalone trainer into `dir`, which is created where it is missing (its parent must
 * exist); files of an earlier run are replaced. ITC_WRITE where the directory or a file cannot be
 * written. opt may be NULL.
 */
ITC_NODISCARD itc_status itc_codegen_directory(itc_graph *g, const char *dir,
                                               const itc_codegen_options *opt);
/** The model-specific functions of MODEL.c alone (`--emit=body`). */
ITC_NODISCARD itc_status itc_codegen_body(itc_graph *g, itc_strbuf *out);
/** All of MODEL.c. */
ITC_NODISCARD itc_status itc_codegen_source(itc_graph *g, const itc_codegen_options *opt,
                                            itc_strbuf *out);

/** A file that is built into the compiler: runtime sources and templates. */
typedef struct itc_embedded {
    const char *path; /**< "runtime/ref/gemm.c", "codegen/templates/main.c.in" */
    const unsigned char *bytes;
    size_t size;
    const int *includes; /**< positions of the files that it includes by "…"; -1 ends */
} itc_embedded;
extern const itc_embedded itc_embedded_files[];
extern const int itc_embedded_count;

#endif
