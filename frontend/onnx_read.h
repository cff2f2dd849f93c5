/**
 * An ONNX file in memory: its protobuf message, its hash and where its external data lies.
 */
#ifndef ITC_FRONTEND_ONNX_READ_H
#define ITC_FRONTEND_ONNX_READ_H

#include "ir/base.h"

typedef struct itc_onnx_model itc_onnx_model;

/**
 * Reads a model. From here on the context's diagnostics name this file. The caller closes the
 * model. E0001, E0002: the file; E0200: not an ONNX model; E0217: it would take too much memory.
 */
ITC_NODISCARD itc_status itc_onnx_read(itc_ctx *ctx, const char *path, itc_onnx_model **out);
/** The same for bytes in memory, which may go afterwards; such a model has no external data. */
ITC_NODISCARD itc_status itc_onnx_read_memory(itc_ctx *ctx, const void *bytes, size_t n,
                                              itc_onnx_model **out);
/** Frees the message; graphs that were imported from it stay. NULL is ignored. */
void itc_onnx_close(itc_onnx_model *model);
/** SHA-256 of the file, 32 bytes. */
const uint8_t *itc_onnx_hash(const itc_onnx_model *model);

#endif
