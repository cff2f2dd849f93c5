/**
 * Exponents and bounds: what an operator's `plan` hook uses.
 */
#ifndef ITC_PASSES_PLAN_H
#define ITC_PASSES_PLAN_H

#include "ir/op.h"

typedef struct itc_plan itc_plan;

itc_graph *itc_plan_graph(itc_plan *p);
/** Output `out` writes an exponent that the kernel measures: a slot of its own. */
void itc_plan_fit(itc_plan *p, itc_value *out);
/** e_out = sum of the operands' exponents + offset. */
itc_status itc_plan_sum(itc_plan *p, const itc_node *n, itc_value *out, int count,
                        itc_value *const *operands, int offset);
/** e_out = e_a - e_b + offset. */
itc_status itc_plan_quotient(itc_plan *p, const itc_node *n, itc_value *out, const itc_value *a,
                             const itc_value *b, int offset);
/** out has the exponent of in, whatever that is. */
void itc_plan_same(itc_plan *p, itc_value *out, const itc_value *in);
/** out has a constant exponent. */
void itc_plan_constant(itc_plan *p, itc_value *out, int exponent);

/** A proven bound: |accumulator| <= k * limit_a * limit_b (+ extra). */
typedef struct itc_bound {
    const itc_node *node;
    itc_dim k;              /**< terms; N counts as the micro-batch's rows */
    int64_t limit_a, limit_b;
    uint64_t worst;         /**< k * limit_a * limit_b */
    itc_dtype chosen;
} itc_bound;
/** Records (and checks) the bound of output 0; E0310 where it does not fit its type. */
ITC_NODISCARD itc_status itc_plan_bound(itc_plan *p, const itc_node *n, itc_dim k, int bits_a,
                                        int bits_b);
/** Bounds of a planned graph, recomputed from its nodes (for plan.txt and tests). */
ITC_NODISCARD itc_status itc_plan_bounds(itc_graph *g, itc_bound **bounds, int *count);

/* Ready-made hooks. */
itc_status itc_plan_hook_same(itc_plan *p, itc_node *n);    /**< out 0: exponent of in 0 */
itc_status itc_plan_hook_product(itc_plan *p, itc_node *n); /**< out 0: e(in 0) + e(in 1) */

#endif
