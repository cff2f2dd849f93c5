/**
 * Inside of the ONNX side: the model's parts, and what its files share.
 */
#ifndef ITC_FRONTEND_ONNX_MODEL_H
#define ITC_FRONTEND_ONNX_MODEL_H

#include <onnx.pb-c.h>

#include <string.h>

#include "frontend/onnx_import.h"
#include "frontend/onnx_notes.h"
#include "frontend/onnx_read.h"
#include "frontend/onnx_scope.h"
#include "frontend/onnx_tensor.h"
#include "ir/op.h"

struct itc_onnx_model {
    Onnx__ModelProto *proto;
    itc_ctx *arena;       /**< owns the message and what export adds to it */
    itc_onnx_notes notes; /**< what the exporter says of initializers */
    const char *dir;      /**< folder of the file; NULL: read from memory */
    const char *name;     /**< file name without folder and ".onnx"; NULL: read from memory */
    uint8_t hash[32];
};

typedef struct itc_importer itc_importer;
typedef struct itc_body_node itc_body_node;

/** What an operator becomes that is no node of the graph: a function, control flow, a sequence. */
typedef itc_status (*itc_onnx_expand)(itc_importer *im, itc_scope *scope, const itc_body_node *p);
/** NULL: the operator is none of a kind. */
typedef itc_onnx_expand itc_onnx_find(const itc_importer *im, const char *domain, const char *type);

/** State of one import. */
struct itc_importer {
    itc_ctx *ctx;
    itc_graph *g;
    const itc_onnx_model *model;
    const Onnx__GraphProto *graph;
    const itc_import_options *options;
    itc_onnx_source source;
    int32_t opset;       /**< of the default domain, in the body at hand */
    int32_t next_number; /**< of the next node: from 1 in the order of the file, then of bodies */
    int64_t examined;    /**< nodes that itc_onnx_examine has looked at */
    bool starts;         /**< the graph is an initialization: it may draw random numbers */
    /** Kinds of operators that are no nodes, in the order of search; NULL ends. Bodies are imported
     * by way of it, so that they need not know those that import bodies. */
    itc_onnx_find *const *kinds;
};

/** A node of a body, on its way into the graph. */
struct itc_body_node {
    const Onnx__NodeProto *proto;
    int32_t number; /**< from 1, in the order of the file; nodes of inner bodies follow */
    int32_t n_in, n_out;
    itc_binding *in;
    itc_value **out; /**< of a node that becomes one of the graph's */
};

/* The kinds. */
itc_onnx_find itc_onnx_find_function;
itc_onnx_find itc_onnx_find_control;
itc_onnx_find itc_onnx_find_quantized;
itc_onnx_find itc_onnx_find_random;
itc_onnx_find itc_onnx_find_update;
itc_onnx_find itc_onnx_find_sequence;

/**
 * Imports the nodes of a body, in an order in which each stands behind what it needs; goes on after
 * a bad one, so that one run tells of several. E0204, E0205, E0206, E0217.
 */
ITC_NODISCARD itc_status itc_onnx_import_body(itc_importer *im, itc_scope *scope, size_t n,
                                              Onnx__NodeProto *const *nodes);
/** The initializers of a graph, bound in the scope. */
ITC_NODISCARD itc_status itc_onnx_import_initializers(itc_importer *im, itc_scope *scope,
                                                      const Onnx__GraphProto *graph);
/** What output i of a body stands for: its name in the scope. E0205 where nothing makes it. */
ITC_NODISCARD itc_status itc_onnx_body_output(itc_importer *im, const itc_scope *scope,
                                              const itc_body_node *p, const char *name,
                                              itc_binding *out);
/** States that output i of p is this, under the name that the node gives it. */
void itc_onnx_set_output(itc_importer *im, itc_scope *scope, const itc_body_node *p, int i,
                         itc_binding to);
/**
 * The node cannot be expanded: it becomes an operator without a row, which is an error only where
 * something needs its outputs. `why` follows the operator's name in the message.
 */
ITC_NODISCARD itc_status itc_onnx_refuse(itc_importer *im, itc_scope *scope, const itc_body_node *p,
                                         const char *why);
/** For messages about nodes that are not in the graph. */
const itc_node *itc_onnx_describe(itc_importer *im, const itc_scope *scope, const itc_body_node *p);
/** Appends a node of our making, with p's number and name; its one output. */
itc_value *itc_onnx_make(itc_importer *im, const itc_body_node *p, const itc_op_def *op, int n_in,
                         itc_value *const *in, itc_node **node);
itc_value *itc_onnx_make_const(itc_importer *im, const char *hint, itc_tensor *data);

/**
 * What is known of a value while importing: its type, and its contents where they follow from
 * constants and extents. False: not even the type is known.
 */
bool itc_onnx_examine(itc_importer *im, itc_value *v, itc_type *type, const itc_tensor **data);
/** The one integer or boolean of a value that is known; false: it depends on data. */
bool itc_onnx_known_int(itc_importer *im, itc_value *v, int64_t *out);

/** The graph's inputs (those that are no initializers) as values, their batch axis found. */
ITC_NODISCARD itc_status itc_onnx_import_inputs(itc_importer *im, itc_scope *scope);
/** Attributes of a node by its operator's row: names, types, required ones (E0207). */
ITC_NODISCARD itc_status itc_onnx_import_attrs(itc_importer *im, const itc_scope *scope,
                                               const Onnx__NodeProto *p, itc_node *n);
/** The integers of attribute `name`, or NULL; the single one of an INT attribute. */
const int64_t *itc_onnx_attr_ints(const itc_scope *scope, const Onnx__NodeProto *p,
                                  const char *name, size_t *n);
int64_t itc_onnx_attr_int(const itc_scope *scope, const Onnx__NodeProto *p, const char *name,
                          int64_t otherwise);
/** An unknown field's contents (length and message) as an attribute, checked as whole models are.
 * Lives as the model. */
ITC_NODISCARD itc_status itc_onnx_unpack_attribute(itc_ctx *ctx, const itc_onnx_model *m,
                                                   const uint8_t *bytes, size_t n,
                                                   const Onnx__AttributeProto **out);
/** "" for the default domain under any of its names. */
static inline const char *itc_onnx_domain(const char *domain)
{
    return domain && strcmp(domain, "ai.onnx") != 0 ? domain : "";
}
/** The type tag of an attribute; models older than the tag are recognised by the field in use. */
int itc_onnx_attr_type(const Onnx__AttributeProto *a);
/** A protobuf string: never NULL. */
static inline const char *itc_onnx_text(const char *s)
{
    return s ? s : "";
}

#endif
