/**
 * Initializers and the operands that they reach.
 */
#ifndef ITC_PASSES_PARAMS_H
#define ITC_PASSES_PARAMS_H

#include "ir/op.h"

/** Reasons of an initializer of which the exporter says that it was a parameter, or that it was a
 * buffer, which nothing trains. */
#define ITC_PARAMS_TOLD "a parameter of the exported module"
#define ITC_PARAMS_BUFFER "a buffer of the exported module, not a parameter"

/** Whether any glob of a ';'-separated list matches; marks in *used (a bit each) those that do. */
bool itc_params_match(const char *list, const char *name, uint64_t *used);

/** Initializer c is operand `operand` of n, or part of it, there with the extents of `type`; NULL:
 * the operand is computed from c and other initializers (ITC_IN_PART). Where n moves data
 * (ITC_IN_PASS), it joins c with data of run time. */
typedef void (*itc_params_visitor)(void *user, const itc_node *n, int operand, itc_value *c,
                                   const itc_type *type);

/** Visits each of them in the order of FORWARD's nodes; linear in the graph's size. */
void itc_params_visit(itc_graph *g, itc_params_visitor visit, void *user);

#endif
