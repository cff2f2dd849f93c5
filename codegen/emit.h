/**
 * Building call records: what an operator's `emit` hook uses. Hooks append records, never text.
 */
#ifndef ITC_CODEGEN_EMIT_H
#define ITC_CODEGEN_EMIT_H

#include "codegen/record.h"

typedef struct itc_emit itc_emit;

itc_ctx *itc_emit_ctx(itc_emit *e);
itc_graph *itc_emit_graph(itc_emit *e);
/**
 * Starts a kernel call. The kernel's name is `base`, then "_f32" when operand or result dtypes in
 * `types` are all f32, else the concatenated dtype names ("conv" + i8,i8,i32 = conv_i8i8i32). With
 * n_types = 0 the name is `base`. E0401 when there is no such kernel.
 */
ITC_NODISCARD itc_status itc_emit_call(itc_emit *e, const itc_node *n, const char *base,
                                       int n_types, itc_value *const *types);
/* Arguments of the call just started, by field name. A missing or misnamed field is a bug of ours
 * (E0402, when the next record starts or the node ends). RNG and POOL fields are filled by
 * themselves. */
void itc_arg_ptr(itc_emit *e, const char *field, const itc_value *v); /**< IN or OUT; may be NULL */
void itc_arg_exp(itc_emit *e, const char *field, const itc_value *v); /**< EIN or EOUT; NULL where
                                                                           v has no exponent */
void itc_arg_dim(itc_emit *e, const char *field, itc_dim d);
void itc_arg_int(itc_emit *e, const char *field, int64_t v);
/** nearest, stochastic, or floor (a yardstick for experiments). */
void itc_arg_rounding(itc_emit *e, const char *field, const char *mode);
/** How a rounded sum finds its exponent: exact or bitlength. */
void itc_arg_rule(itc_emit *e, const char *field, const char *rule);
void itc_arg_real(itc_emit *e, const char *field, double v);
void itc_arg_shape(itc_emit *e, const char *field, int rank, const itc_dim *d);
void itc_arg_ints(itc_emit *e, const char *field, int n,
                  const int64_t *v); /**< a SHAPE of numbers */
/** A CODE field: n words, which must outlive the records. */
void itc_arg_code(itc_emit *e, const char *field, int n, const int32_t *words);
/** A TERMS field; strides follow from broadcasting each x to `out`'s shape. */
void itc_arg_terms(itc_emit *e, const char *field, int n, itc_value *const *x, const itc_coef *c,
                   const itc_type *out);
/** As itc_arg_terms, of products x[i] * f[i]; an f[i] may be NULL. boxes (NULL: none): a term's box
 * of the result, its begin on each axis, then its extents, of which 0 is all of the axis. */
void itc_arg_products(itc_emit *e, const char *field, int n, itc_value *const *x,
                      itc_value *const *f, const itc_coef *c, const int64_t *boxes,
                      const itc_type *out);
void itc_arg_metrics(itc_emit *e, const char *field);

/** A fused loop over out's shape; operands broadcast to it. */
ITC_NODISCARD itc_status itc_emit_loop(itc_emit *e, const itc_node *n, itc_value *out, int n_in,
                                       itc_value *const *in, const itc_expr *expr);
const itc_expr *itc_x(itc_emit *e, itc_x_kind k, const itc_expr *a, const itc_expr *b,
                      const itc_expr *c);
/** A function that math.def lists, of C's <math.h> or of integers; b is NULL for one of a single
 * operand. */
const itc_expr *itc_x_call(itc_emit *e, const char *function, const itc_expr *a, const itc_expr *b);
const itc_expr *itc_x_load(itc_emit *e, int operand);
const itc_expr *itc_x_const(itc_emit *e, double v);
const itc_expr *itc_x_coef(itc_emit *e, itc_coef c);

/** Stores v's exponent: a copy of from's, or with NULL the sum that the plan states. Sums are
 * stored before the hook is called; a kernel that starts from an exponent (sticky) needs the copy.
 */
void itc_emit_exponent(itc_emit *e, const itc_value *v, const itc_value *from);

/* What program.c calls around a hook. */
itc_emit *itc_emit_new(itc_graph *g);
/** Records of the hooks that follow go to `list`. */
void itc_emit_begin(itc_emit *e, const itc_node *n, itc_record_list *list);
/** Checks the last record; E0402 where an argument is missing or was misnamed. */
ITC_NODISCARD itc_status itc_emit_end(itc_emit *e);
/** Numpy strides of `t` broadcast to `out`: 0 on the axes that repeat. */
void itc_broadcast_strides(const itc_type *t, const itc_type *out, itc_dim *stride);
itc_dim itc_dim_mul(itc_dim a, itc_dim b);
itc_dim itc_dim_of(int64_t size);

#endif
