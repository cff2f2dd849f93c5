/**
 * What an exporter computed of parameters that the model keeps as well, computed by the model
 * again.
 */
#ifndef ITC_FRONTEND_ONNX_UNFOLD_H
#define ITC_FRONTEND_ONNX_UNFOLD_H

#include "frontend/onnx_read.h"

/**
 * Replaces initializers that are another one with its axes permuted, under another shape, or in a
 * formula, by nodes that make them of that one, so that training it changes both. Depends on the model's bytes
 * alone, as itc_onnx_part does. Notes what it cannot replace.
 */
void itc_onnx_unfold(itc_ctx *ctx, itc_onnx_model *model);

#endif
