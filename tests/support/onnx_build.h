/**
 * Small ONNX models built in C, for tests of the importer and of whole models.
 *
 * Shapes are texts: "N,1,28" has a symbolic axis N, "?" is an axis without a name, "" a scalar.
 * Lists of names are separated by blanks, "-" is an absent one. Everything lives in the arena.
 */
#ifndef ITC_TESTS_SUPPORT_ONNX_BUILD_H
#define ITC_TESTS_SUPPORT_ONNX_BUILD_H

#include <onnx.pb-c.h>

#include "ir/base.h"

typedef struct onnx_build {
    itc_ctx *arena;
    Onnx__ModelProto *model;
    Onnx__GraphProto *graph;           /**< where nodes go */
    Onnx__FunctionProto *function;     /**< of onnx_build_function */
    Onnx__TrainingInfoProto *training; /**< of onnx_build_training */
} onnx_build;

/** A model with an empty graph "built", ir_version 8 and this opset. */
onnx_build *onnx_build_new(int opset);
void onnx_build_free(onnx_build *b);
/** shape NULL: the input has none. */
Onnx__ValueInfoProto *onnx_build_input(onnx_build *b, const char *name, int32_t type,
                                       const char *shape);
void onnx_build_output(onnx_build *b, const char *name);
/** A tensor that is not in the graph yet; without contents. */
Onnx__TensorProto *onnx_build_tensor(onnx_build *b, const char *name, int32_t type,
                                     const char *shape);
/** Appends a new tensor to the initializers. */
Onnx__TensorProto *onnx_build_init(onnx_build *b, const char *name, int32_t type,
                                   const char *shape);
/** As onnx_build_init of floats with these contents. */
Onnx__TensorProto *onnx_build_floats(onnx_build *b, const char *name, const char *shape,
                                     const float *v);
Onnx__TensorProto *onnx_build_ints(onnx_build *b, const char *name, const char *shape,
                                   const int64_t *v);
void onnx_build_raw(onnx_build *b, Onnx__TensorProto *t, const void *bytes, size_t n);
void onnx_build_external(onnx_build *b, Onnx__TensorProto *t, const char *key, const char *value);
/** A sparse initializer with n values at linear positions. */
Onnx__SparseTensorProto *onnx_build_sparse(onnx_build *b, const char *name, const char *shape,
                                           int n, const float *values, const int64_t *at);
Onnx__NodeProto *onnx_build_node(onnx_build *b, const char *type, const char *inputs,
                                 const char *outputs);
/** An attribute of this AttributeType without a value. */
Onnx__AttributeProto *onnx_build_attr(onnx_build *b, Onnx__NodeProto *n, const char *name,
                                      int type);
void onnx_build_attr_int(onnx_build *b, Onnx__NodeProto *n, const char *name, int64_t v);
void onnx_build_attr_float(onnx_build *b, Onnx__NodeProto *n, const char *name, float v);
void onnx_build_attr_ints(onnx_build *b, Onnx__NodeProto *n, const char *name, int count,
                          const int64_t *v);
void onnx_build_attr_string(onnx_build *b, Onnx__NodeProto *n, const char *name, const char *v);
void onnx_build_attr_strings(onnx_build *b, Onnx__NodeProto *n, const char *name, const char *list);
/** An attribute that stands for the function's `ref`. */
void onnx_build_attr_ref(onnx_build *b, Onnx__NodeProto *n, const char *name, const char *ref);
/** A graph as attribute of a node: a branch, a loop's body. */
onnx_build *onnx_build_body(onnx_build *b, Onnx__NodeProto *n, const char *name, const char *inputs,
                            const char *outputs);
/** A note in a message's metadata_props, which is field `field` of it; at most 127 bytes. */
void onnx_build_note(onnx_build *b, ProtobufCMessage *m, unsigned field, const char *key,
                     const char *value);
/** A note of a value, in the graph's value_info. */
void onnx_build_value_note(onnx_build *b, const char *name, const char *key, const char *value);
/** A function of the model; its nodes are complete with onnx_build_end. opset 0: it says none. */
onnx_build *onnx_build_function(onnx_build *b, const char *domain, const char *name, int opset,
                                const char *inputs, const char *outputs);
void onnx_build_end(onnx_build *inner);
/** A training_info of the model with two empty graphs; the result builds its algorithm. */
onnx_build *onnx_build_training(onnx_build *b);
/** Builds the initialization graph beside an algorithm. */
onnx_build *onnx_build_start(onnx_build *algorithm);
/** Entries of update_binding, or of initialization_binding. */
void onnx_build_update(onnx_build *algorithm, const char *key, const char *value);
void onnx_build_begin(onnx_build *algorithm, const char *key, const char *value);
/** The file's bytes. */
const uint8_t *onnx_build_pack(onnx_build *b, size_t *n);

#endif
