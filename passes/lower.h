/**
 * Lowering floats to integers: what an operator's `lower` hook uses.
 *
 * A float value becomes a *formal sum* of integer values, sum of c_i * x_i, not rounded yet. A
 * consumer asks for mantissas of some width (itc_lower_get); only then a Requant node is made,
 * and kept for the next one who asks. So each value is rounded once, whatever chain of biases,
 * additions and scalings made it. A sum is passed on unrounded only to its single consumer.
 *
 * Linear operators and data movement are the same operator on integers: Conv of i8 and i8 gives
 * the exact i32 accumulator.
 */
#ifndef ITC_PASSES_LOWER_H
#define ITC_PASSES_LOWER_H

#include "ir/op.h"

typedef struct itc_lower itc_lower;

itc_graph *itc_lower_graph(itc_lower *l);
/** Magnitude bits of operands of products: 7 for int8, 15 for int16, --bits less one. */
int itc_lower_operand_bits(const itc_lower *l);
/** Magnitude bits where precision matters more (loss inputs, slopes, probabilities): 15. */
int itc_lower_wide_bits(const itc_lower *l);
/** Bits at which the consumers of a float value want it. */
int itc_lower_demand(const itc_lower *l, const itc_value *v);

/** Mantissas of float value v with at most `bits` magnitude bits (made where needed). For ids,
 * targets and other plain integers: the value itself. */
ITC_NODISCARD itc_status itc_lower_get(itc_lower *l, const itc_node *n, const itc_value *v,
                                       int bits, itc_value **out);
/** States that integer value x is float value v, exactly. */
void itc_lower_set(itc_lower *l, const itc_value *v, itc_value *x);

/** As itc_lower_get, but never narrower than `bits` either: kernels that take equal widths. */
ITC_NODISCARD itc_status itc_lower_get_wide(itc_lower *l, const itc_node *n, const itc_value *v,
                                            int bits, itc_value **out);
/** v (set already) is at hand in every section: nothing is rounded before someone asks. */
void itc_lower_keep(itc_lower *l, const itc_value *v);

/** A box of a sum, axis by axis: where it begins, and its extent, of which 0 is all of the axis. */
typedef struct itc_place {
    int64_t begin[ITC_MAX_RANK], extent[ITC_MAX_RANK];
} itc_place;

/** One term of a formal sum: c * x, or c * x * f. */
typedef struct itc_sum_term {
    itc_value *x;
    itc_coef c;
    itc_value *f; /**< broadcasts against x; NULL: none */
    const itc_place
        *place; /**< x and f broadcast to this box, outside it the term is 0; NULL: all */
} itc_sum_term;
#define ITC_MAX_TERMS 8
/** States that v is the sum of c[i] * (float operand i of n), absorbing sums where it may. */
ITC_NODISCARD itc_status itc_lower_set_sum(itc_lower *l, const itc_node *n, const itc_value *v,
                                           int count, const itc_coef *c);
/** States that v is n's operands, each in zeros from start[i][axis] on (of v's rank): joined they
 * are one sum, with one exponent and one rounding. */
ITC_NODISCARD itc_status itc_lower_set_joined(itc_lower *l, const itc_node *n, const itc_value *v,
                                              const int64_t (*start)[ITC_MAX_RANK]);
/** Whether v, as an operand of n, is a formal sum that n may take unrounded. */
bool itc_lower_may_absorb(const itc_lower *l, const itc_node *n, const itc_value *v);
/** Whether v's only consumer will take it as the formal sum that it is. */
bool itc_lower_is_absorbed(const itc_lower *l, const itc_value *v);
/** States that v is the sum of these terms; it is not rounded before someone asks. */
void itc_lower_set_terms(itc_lower *l, const itc_value *v, int n, const itc_sum_term *terms);
/** One term rounded to `bits`, at a site and under the name of v. */
ITC_NODISCARD itc_status itc_lower_round(itc_lower *l, const itc_node *n, const itc_value *v,
                                         const itc_sum_term *term, int bits, itc_value **out);
/**
 * States that v, n's output, is operand 0 times operand 1: where one of them is small (repeats
 * along an axis of v), the other's formal sum with each term multiplied; else one product of
 * mantissas.
 */
ITC_NODISCARD itc_status itc_lower_set_product(itc_lower *l, const itc_node *n, const itc_value *v);
/**
 * The product c * x * f that v is, unrounded, where n may take it so (n is the only consumer in v's
 * section; its row says ITC_OP_SUM); false: v is a sum, or must be rounded for others anyway.
 */
bool itc_lower_take_product(itc_lower *l, const itc_node *n, const itc_value *v, itc_sum_term *out);
/** States that v is x * f, two integer values of its shape; they are multiplied where v is rounded.
 */
void itc_lower_set_pair(itc_lower *l, const itc_value *v, itc_value *x, itc_value *f);
/** As itc_lower_set, times a coefficient. */
void itc_lower_set_scaled(itc_lower *l, const itc_value *v, itc_value *x, itc_coef c);

/** Appends a node with n's origin and attributes to n's section (PREPARE when only state leads to
 * it); infers its types from its integer operands. */
ITC_NODISCARD itc_status itc_lower_build(itc_lower *l, const itc_node *n, const itc_op_def *op,
                                         int n_in, itc_value *const *in, int n_out, itc_node **out);

/** Gives a node that draws random numbers (not Requant, which has one) its site. */
ITC_NODISCARD itc_status itc_lower_site(itc_lower *l, itc_node *m, itc_role role);

/* Ready-made hooks. */
/** Every operand at operand bits, the same operator on integers (Conv, MatMul2, ReduceSumTo). */
itc_status itc_lower_linear(itc_lower *l, const itc_node *n);
/** One operand at 15 bits, the same operator on integers (ArgMax, ToWhole, functions). */
itc_status itc_lower_wide(itc_lower *l, const itc_node *n);
/** Operand 0 at the width its result is wanted at, others as they are (Relu, Transpose, View, …):
 * mantissas are moved or dropped, the exponent stays. Further outputs are plain integers. */
itc_status itc_lower_move(itc_lower *l, const itc_node *n);

/** The type of an exact accumulator of `k` products of magnitudes below 2^a and 2^b: i32 where
 * the worst case fits, else i64; `bits` bounds it. E0310 where even i64 does not. */
ITC_NODISCARD itc_status itc_accumulator_type(itc_graph *g, const itc_node *n, itc_dim k, int a,
                                              int b, itc_type *type);
/** Rows a micro-batch has at most: what N is worth in bounds. */
int64_t itc_graph_rows(const itc_graph *g);

#endif
