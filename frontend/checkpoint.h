/**
 * A trainer's checkpoint read for its tensors alone, without the model that it belongs to.
 */
#ifndef ITC_FRONTEND_CHECKPOINT_H
#define ITC_FRONTEND_CHECKPOINT_H

#include "ir/ir.h"
#include "runtime/itr.h"

typedef struct itc_checkpoint_tensor {
    const char *name;
    itr_tensor_kind kind;
    const itc_tensor *data; /**< f32: mantissa * 2^exponent, rounded to nearest */
} itc_checkpoint_tensor;

typedef struct itc_checkpoint {
    const char *arith;
    int64_t step;
    int n;
    const itc_checkpoint_tensor *tensor;
} itc_checkpoint;

/** E0001: the file; E0610: it is not a checkpoint (runtime/tensors.h), damaged, or truncated. */
ITC_NODISCARD itc_status itc_checkpoint_open(itc_ctx *ctx, const char *path, itc_checkpoint *out);

#endif
