/**
 * What an exporter merged because it was equal, parted again.
 */
#ifndef ITC_FRONTEND_ONNX_PART_H
#define ITC_FRONTEND_ONNX_PART_H

#include "frontend/onnx_read.h"

/**
 * Gives each running statistic, and each parameter of which the model says that it was another one,
 * an initializer of its own. Depends on the model's bytes alone, so that import and export name the
 * same tensors. Leaves the contents unread; a model that makes no sense stays as it is.
 */
void itc_onnx_part(itc_ctx *ctx, itc_onnx_model *model);

#endif
