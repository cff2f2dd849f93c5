/**
 * The trained model as float ONNX: the same graph in inference form with new contents.
 */
#ifndef ITC_FRONTEND_ONNX_EXPORT_H
#define ITC_FRONTEND_ONNX_EXPORT_H

#include "frontend/onnx_read.h"
#include "ir/ir.h"

/** New contents of an initializer, or of the Constant node whose output has this name. */
typedef struct itc_onnx_tensor_update {
    const char *name;       /**< itc_value.onnx */
    const itc_tensor *data; /**< f32, of the tensor's shape; may be flat (rank 1, same count) */
} itc_onnx_tensor_update;

/**
 * Changes the model in place and writes it to path ("-": standard output).
 *
 * An updated tensor keeps its element type (float, double, float16, bfloat16). BatchNormalization
 * and Dropout are brought to inference form, external data moves into the file. Everything else
 * stays: names, metadata, functions, fields that the schema does not know.
 * E0218: an update does not fit the model. E0219: no inference form: a training output of a
 * normalisation is used. E0217: 2 GiB or more. E0003: the file.
 */
ITC_NODISCARD itc_status itc_onnx_export(itc_ctx *ctx, itc_onnx_model *model,
                                         const itc_onnx_tensor_update *updates, int n,
                                         const char *path);

#endif
