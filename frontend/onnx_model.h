/**
 * Inside of the ONNX side: the model's parts, and what its files share.
 */
#ifndef ITC_FRONTEND_ONNX_MODEL_H
#define ITC_FRONTEND_ONNX_MODEL_H

#include <onnx.pb-c.h>

#include "frontend/onnx_import.h"
#include "frontend/onnx_read.h"
#include "frontend/onnx_tensor.h"
#include "ir/op.h"

struct itc_onnx_model {
    Onnx__ModelProto *proto;
    itc_ctx *arena;   /**< owns the message and what export adds to it */
    const char *dir;  /**< folder of the file; NULL: read from memory */
    const char *name; /**< file name without folder and ".onnx"; NULL: read from memory */
    uint8_t hash[32];
};

/** State of one import. */
typedef struct itc_importer {
    itc_ctx *ctx;
    itc_graph *g;
    const itc_onnx_model *model;
    const Onnx__GraphProto *graph;
    const itc_import_options *options;
    itc_onnx_source source;
    int32_t opset;
} itc_importer;

/** The graph's inputs (those that are no initializers) as values, their batch axis found. */
ITC_NODISCARD itc_status itc_onnx_import_inputs(itc_importer *im);
/** Attributes of a node by its operator's row: names, types, required ones (E0207). */
ITC_NODISCARD itc_status itc_onnx_import_attrs(itc_importer *im, const Onnx__NodeProto *p,
                                               itc_node *n);
/** "" for the default domain under any of its names. */
const char *itc_onnx_domain(const char *domain);
/** The type tag of an attribute; models older than the tag are recognised by the field in use. */
int itc_onnx_attr_type(const Onnx__AttributeProto *a);
/** A protobuf string: never NULL. */
static inline const char *itc_onnx_text(const char *s)
{
    return s ? s : "";
}

#endif
