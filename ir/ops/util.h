/**
 * What operator rows share: operands and attributes with their checks, small builders, the
 * accumulator rule, and arithmetic on constants.
 */
#ifndef ITC_IR_OPS_UTIL_H
#define ITC_IR_OPS_UTIL_H

#include "ir/op.h"

struct itc_grad;

/* ---- operands and attributes ---- */

/** Contents of operand i when they are known while compiling; else NULL. */
const itc_tensor *itc_operand_const(const itc_node *n, int i);
/** A list of integers that old opsets give as attribute `attr` and newer ones as operand i, which
 * must be a constant then (E0225). *out is NULL where neither is there. */
ITC_NODISCARD itc_status itc_operand_list(itc_graph *g, const itc_node *n, const char *attr, int i,
                                          const itc_tensor **out);
/** The one integer of constant operand i; `otherwise` where it is absent. E0225. */
ITC_NODISCARD itc_status itc_operand_integer(itc_graph *g, const itc_node *n, int i,
                                             int64_t otherwise, int64_t *out);
/** E0203 unless operand i has a rank in lo..hi. */
ITC_NODISCARD itc_status itc_operand_rank(itc_graph *g, const itc_node *n, int i, int lo, int hi);
/** E0228 unless operand i holds real numbers: f32, or mantissas (integers with `bits`). */
ITC_NODISCARD itc_status itc_operand_real(itc_graph *g, const itc_node *n, int i);
/** The axis of a tensor of this rank, counted from the end where negative; E0222. */
ITC_NODISCARD itc_status itc_axis_resolve(itc_graph *g, const itc_node *n, int64_t axis, int rank,
                                          int *out);
/** The axes of a list as a bit mask; E0222 for one outside the rank or given twice. */
ITC_NODISCARD itc_status itc_axes_mask(itc_graph *g, const itc_node *n, const itc_tensor *axes,
                                       int rank, uint32_t *mask);
/** Product of n extents; false on overflow, or where N comes twice. */
ITC_NODISCARD bool itc_dims_product(int n, const itc_dim *d, itc_dim *out);
/** ceil(log2(v)) for v >= 1. */
int itc_log2_ceil(int64_t v);

/** Infer hook: numpy broadcasting of all operands; dtype and bits of operand 0. E0240. */
ITC_NODISCARD itc_status itc_infer_broadcast(itc_graph *g, itc_node *n);
/** Infer hook: the type of operand 0, which holds real numbers. E0228. */
ITC_NODISCARD itc_status itc_infer_same_real(itc_graph *g, itc_node *n);

/* ---- builders: nodes in our form, appended to g->insert ---- */

/** x under another shape (of x's count; the dtype of `as` is not looked at). Returns x itself
 * where the shape is x's. */
ITC_NODISCARD itc_status itc_view_build(itc_graph *g, const itc_node *origin, itc_value *x,
                                        const itc_type *as, itc_value **out);
/** x with its axes in the order of perm. */
ITC_NODISCARD itc_status itc_transpose_build(itc_graph *g, const itc_node *origin, itc_value *x,
                                             const int64_t *perm, itc_value **out);
/** Sum of coef[i] * in[i], broadcast. */
ITC_NODISCARD itc_status itc_combine_build(itc_graph *g, const itc_node *origin, int n,
                                           itc_value *const *in, const double *coef,
                                           itc_value **out);
/** Result 0 of a node in ONNX's form, made with itc_node_new and its attributes set, in ours. */
ITC_NODISCARD itc_status itc_apply_node(itc_graph *g, itc_node *n, itc_value **out);
/** The same of a new node of these operands whose attributes are the defaults. */
ITC_NODISCARD itc_status itc_apply(itc_graph *g, const itc_node *origin, const itc_op_def *op,
                                   int n_in, itc_value *const *in, itc_value **out);
/** A constant of one number, or of these integers: named after origin's result and `what`. */
itc_value *itc_scalar_const(itc_graph *g, const itc_node *origin, const char *what, itc_dtype dtype,
                            double v);
itc_value *itc_list_const(itc_graph *g, const itc_node *origin, const char *what, int rank,
                          const int64_t *dim, const int64_t *v);
/** A copy of attribute `name` of `from`, where it is there. */
void itc_attr_copy(itc_graph *g, itc_node *to, const itc_node *from, const char *name);
/** Sums `v` over the axes that broadcasting added, so that its type is `like`'s (may return v). */
ITC_NODISCARD itc_status itc_grad_unbroadcast(struct itc_grad *b, const itc_node *n, itc_value *v,
                                              const itc_value *like, itc_value **out);
/** Adds v as gradient of operand i, reduced or viewed to the operand's shape where it differs. */
ITC_NODISCARD itc_status itc_grad_add_shaped(struct itc_grad *b, const itc_node *n, int i,
                                             itc_value *v);

/** Map of the formula, which need not be in its canonical text (function.c). E0250 where it is
 * none. */
ITC_NODISCARD itc_status itc_map_build(itc_graph *g, const itc_node *origin, const char *formula,
                                       itc_value *x, itc_value **out);
/** Plain integers as real numbers, and real numbers as i64, towards zero (cast.c). */
ITC_NODISCARD itc_status itc_to_real_build(itc_graph *g, const itc_node *origin, itc_value *x,
                                           itc_value **out);
ITC_NODISCARD itc_status itc_to_whole_build(itc_graph *g, const itc_node *origin, itc_value *x,
                                            itc_value **out);
/** As itc_map_build, of x and with slopes at the wide width whatever operands have: coordinates. No
 * other function is fused with it. */
ITC_NODISCARD itc_status itc_map_wide_build(itc_graph *g, const itc_node *origin,
                                            const char *formula, itc_value *x, itc_value **out);
/** Normalize and fold hooks of rows with a formula. */
ITC_NODISCARD itc_status itc_function_normalize(itc_graph *g, itc_node *n, itc_value **out);
ITC_NODISCARD itc_status itc_function_fold(itc_graph *g, itc_node *n, itc_tensor **out);
/** The formula of each element of a constant; integers where the results are some, else E0227. */
ITC_NODISCARD itc_status itc_fold_formula(itc_graph *g, itc_node *n, const char *formula,
                                          itc_tensor **out);

/** *x without the addends that mask it, as an Exclude by what they let pass (exclude.c); *x stays
 * where it has none. */
ITC_NODISCARD itc_status itc_exclude_masked(itc_graph *g, const itc_node *n, itc_value **x);
/** The same with a mask at hand: *keep, a boolean that broadcasts to *x (NULL: none), becomes all
 * of what excludes. */
ITC_NODISCARD itc_status itc_exclude_build(itc_graph *g, const itc_node *n, itc_value **x,
                                           itc_value **keep);

/* ---- integers ---- */

/**
 * The type (dtype and bits) of an exact sum of k products of mantissas of `a` and `b` (NULL: a
 * sum of a's mantissas themselves): i32 where i8 operands allow it, else i64, since kernels on
 * i16 operands accumulate in i64 alone. f32 operands give f32. E0228 for mixed or plain types.
 */
ITC_NODISCARD itc_status itc_sum_type(itc_graph *g, const itc_node *n, itc_dim k,
                                      const itc_value *a, const itc_value *b, itc_type *out);

/* ---- arithmetic on constants (fold hooks) ---- */

/**
 * Add, Sub, Mul, Div, Mod of constants, numpy broadcasting, floats or integers. Elements may be
 * multiples of N: N may be added to N, scaled, divided by what divides it, or by N. E0227 where
 * the result would be none of these, overflows, or divides by zero.
 */
ITC_NODISCARD itc_status itc_fold_binary(itc_graph *g, itc_node *n, itc_tensor **out);
/** Sum, Mean, Max, Min of any number of constants; E0227 as itc_fold_binary. */
ITC_NODISCARD itc_status itc_fold_many(itc_graph *g, itc_node *n, itc_tensor **out);
/** The result of a node whose operands are all constant, of their broadcast shape, all zero; NULL
 * where one is not. E0220, E0227. */
ITC_NODISCARD itc_status itc_fold_broadcast(itc_graph *g, const itc_node *n, itc_dtype dtype,
                                            itc_tensor **out);
/** Index into t of element i of such a result. */
int64_t itc_fold_source(const itc_tensor *t, const itc_tensor *out, int64_t i);
/** -x of a constant, floats or integers. */
ITC_NODISCARD itc_status itc_fold_neg(itc_graph *g, itc_node *n, itc_tensor **out);
/** The same elements under another shape, whose extents must not count rows. */
itc_tensor *itc_tensor_reshape(itc_ctx *ctx, const itc_tensor *t, int rank, const itc_dim *dim);
/** Element i: data[i] * (flag ? N : 1). Setting stores in the tensor's dtype; false: no room. */
bool itc_tensor_flag(const itc_tensor *t, int64_t i);
ITC_NODISCARD bool itc_tensor_set_int(itc_ctx *ctx, itc_tensor *t, int64_t i, int64_t v, bool flag);
/** to[j] = from[i], its flag included; same dtype. */
void itc_tensor_copy_element(itc_ctx *ctx, itc_tensor *to, int64_t j, const itc_tensor *from,
                             int64_t i);
/** Our type for one of ONNX's TensorProto.DataType; false for strings, complex and packed ones. */
ITC_NODISCARD bool itc_dtype_of_onnx(int64_t onnx, itc_dtype *out);
/** Fold hook of operators that keep their operand: the operand's contents. */
itc_status itc_fold_same(itc_graph *g, itc_node *n, itc_tensor **out);

/** x with the axis of the rows first, the others in their order; x itself where it is. */
ITC_NODISCARD itc_status itc_rows_first(itc_graph *g, itc_value *x, itc_value **out);

#endif
