/**
 * libintrain: the compiler as a library.
 *
 *     itc_compiler *c = itc_compiler_new();
 *     int code = itc_compiler_set(c, "batch", "32");
 *     code = code ? code : itc_compiler_load(c, "lenet.onnx");
 *     code = code ? code : itc_compiler_write(c, "lenet");
 *     for (int i = 0; i < itc_compiler_message_count(c); i++) {
 *         fprintf(stderr, "%s\n", itc_compiler_message(c, i));
 *     }
 *     itc_compiler_free(c);
 *
 * Functions that answer an int give 0, or the exit code that the program would end with: 2 for
 * wrong usage or input that cannot be opened, read, understood or supported, 3 where an output
 * cannot be written, 4 for a bug of ours. Running out of memory ends the process with 3. Not
 * thread-safe; several compilers may be used at the same time.
 */
#ifndef ITC_FRONTEND_ITC_H
#define ITC_FRONTEND_ITC_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct itc_compiler itc_compiler;

/** "0.1.0" */
const char *itc_version(void);

itc_compiler *itc_compiler_new(void);
/** NULL is ignored. */
void itc_compiler_free(itc_compiler *c);

/** An option of `intrain compile` by its long name, before loading; repeatable ones add up. */
int itc_compiler_set(itc_compiler *c, const char *option, const char *value);
/** Reads an ONNX model, or the textual IR of any stage; once a compiler. */
int itc_compiler_load(itc_compiler *c, const char *path);
/** Takes the graph to a stage: "shape", "loss", "backward", "integer", "plan", "memory". */
int itc_compiler_run(itc_compiler *c, const char *stage);
/** Writes the graph as "text", "dot" or "json"; "-" is standard output. */
int itc_compiler_dump(itc_compiler *c, const char *format, const char *path);
/** Runs what is left to run and writes the standalone trainer into `dir`. */
int itc_compiler_write(itc_compiler *c, const char *dir);

/** Errors so far, one line each; the text lives as long as the compiler. */
int itc_compiler_message_count(const itc_compiler *c);
const char *itc_compiler_message(const itc_compiler *c, int i);

#ifdef __cplusplus
}
#endif
#endif
