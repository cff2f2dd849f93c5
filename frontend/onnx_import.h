/**
 * ONNX -> IR graph of stage `import`: one node an ONNX node, in the section `forward`, with the
 * types of inputs and constants alone. What a node may have is in its row (ir/op.h). A node without
 * a row (another domain, a definition older than the row) becomes an opaque one: an error only if
 * something needs it.
 *
 * What contains nodes is replaced by them: functions of the model, the branch that an If takes, the
 * rounds of Loop and Scan; sequences and optionals fold away. Conditions, trip counts and positions
 * must follow from constants and extents; where they depend on data the node is opaque as well.
 */
#ifndef ITC_FRONTEND_ONNX_IMPORT_H
#define ITC_FRONTEND_ONNX_IMPORT_H

#include "frontend/onnx_read.h"
#include "ir/ir.h"

/** --dim NAME=N. An axis without a name is called INPUT.AXIS. */
typedef struct itc_import_dim {
    const char *name;
    int64_t size;
} itc_import_dim;

/** --input NAME=VALUE: the input is a constant, each of its elements this number. */
typedef struct itc_import_fixed {
    const char *name;
    double value;
} itc_import_fixed;

/** The extents of an input as a whole. */
typedef struct itc_import_shape {
    const char *name;
    int rank;
    int64_t dim[ITC_MAX_RANK];
} itc_import_shape;

/** All zero: the defaults. */
typedef struct itc_import_options {
    const itc_import_dim *dims;
    int n_dims;
    const itc_import_fixed *fixed;
    int n_fixed;
    /** Not NULL: one for each input. Then there is no batch axis: a call brings whole tensors. */
    const itc_import_shape *shapes;
    int n_shapes;
    bool ignore_training; /**< leave training_info aside */
    bool keep_start;      /**< do not run its initialization graphs */
    uint64_t seed;        /**< of what they draw */
    int64_t max_bytes;    /**< all tensors together, decoded; 0: 2 GiB */
} itc_import_options;

/**
 * Builds the graph; the model may be closed afterwards. `opt` may be NULL.
 *
 * Inputs: floats become f32, integers i64, the first axis is the batch. That is the symbolic first
 * axis that all inputs have, or the fixed first extent that all of them share.
 * Initializers and Constant nodes: CONST with `onnx` the tensor's name and `reason` "initializer"
 * or "Constant node"; float types become f32, integers i64. Tensors of strings are opaque nodes.
 * A training_info that has an algorithm says what is trained, by which rule and which loss: trained
 * initializers are PARAM already, states of the optimizer SLOT, and loss, optimizer, lr, schedule
 * and no_decay settings of the graph (onnx_training.h).
 * Errors: E0200, E0202, E0204 … E0217, E0231 … E0235 (ir/diag.def).
 */
ITC_NODISCARD itc_status itc_onnx_import(itc_ctx *ctx, const itc_onnx_model *model,
                                         const itc_import_options *opt, itc_graph **out);

#endif
