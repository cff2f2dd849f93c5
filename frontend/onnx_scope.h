/**
 * What the names of a model stand for while it is imported. Bodies nest: the model's graph, the
 * branches and loop bodies in it, each with a scope that sees the one around it; the body of a
 * function sees nothing but its operands.
 */
#ifndef ITC_FRONTEND_ONNX_SCOPE_H
#define ITC_FRONTEND_ONNX_SCOPE_H

#include <onnx.pb-c.h>

#include "ir/ir.h"

typedef enum itc_bind_kind {
    ITC_BIND_NONE,     /**< an operand that is left out, an optional without an element */
    ITC_BIND_TENSOR,   /**< value */
    ITC_BIND_SEQUENCE, /**< n bindings: sequences have a known length and fold away */
    ITC_BIND_BAD       /**< its node could not be imported; what uses it is left out as well */
} itc_bind_kind;

typedef struct itc_binding {
    itc_bind_kind kind;
    itc_value *value;
    const struct itc_binding *item;
    int n;
} itc_binding;

typedef struct itc_scope_entry {
    const char *name;
    uint32_t hash;
    itc_binding to;
} itc_scope_entry;

typedef struct itc_scope {
    itc_ctx *ctx;
    const struct itc_scope *outer;  /**< NULL: the model's graph, or a function's body */
    const struct itc_scope *caller; /**< of a function's body: where attributes come from */
    const Onnx__NodeProto *call;    /**< of a function's body: the node that calls it */
    const Onnx__AttributeProto *const *defaults; /**< of the function's attributes */
    int n_defaults;
    int depth;          /**< bodies around it */
    const char *prefix; /**< of node names in messages: "call/" */
    itc_scope_entry *entry;
    uint32_t n, cap;
} itc_scope;

itc_scope *itc_scope_new(itc_ctx *ctx, const itc_scope *outer);
/** Binds a name in this scope, anew where it is bound already. */
void itc_scope_bind(itc_scope *s, const char *name, itc_binding to);
void itc_scope_bind_value(itc_scope *s, const char *name, itc_value *v);
/** What a name stands for here or around; NULL: nothing. */
const itc_binding *itc_scope_find(const itc_scope *s, const char *name);
/** The same in this scope alone. */
const itc_binding *itc_scope_own(const itc_scope *s, const char *name);
/**
 * An attribute as the node means it: where it refers to one of the function's, that of the call or
 * its default. NULL: the call leaves it out, and so does the node.
 */
const Onnx__AttributeProto *itc_scope_attr(const itc_scope *s, const Onnx__AttributeProto *a);
/** A node's attribute by its name, resolved; NULL: there is none. */
const Onnx__AttributeProto *itc_scope_node_attr(const itc_scope *s, const Onnx__NodeProto *p,
                                                const char *name);

#endif
