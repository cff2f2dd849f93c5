/**
 * Tensors in double precision and ONNX's attributes, for the files of the reference (ref_f64.h).
 */
#ifndef ITC_TESTS_SUPPORT_REF_UTIL_H
#define ITC_TESTS_SUPPORT_REF_UTIL_H

#include <string.h>

#include "tests/support/ref_f64.h"

/** Computes a node's result 0, or what else it has. */
typedef void ref_eval_fn(ref_model *r, const itc_node *n, ref_tensor *y);

typedef struct ref_operator {
    const char *op; /**< NULL ends a table */
    ref_eval_fn *eval;
} ref_operator;

/** Of data movement: ref_move.c. */
extern const ref_operator ref_moves[];
/** Reductions: ref_reduce.c. */
extern const ref_operator ref_reductions[];
/** Einsum and what else is sums of products: ref_product.c. */
extern const ref_operator ref_products[];
/** Images at coordinates, from columns, and Fourier transforms: ref_sample.c. */
extern const ref_operator ref_samples[];
/** What indices choose: ref_index.c. */
extern const ref_operator ref_indexed[];
/** RNN, GRU, LSTM: ref_rnn.c. */
extern const ref_operator ref_recurrent[];

/** Conv, MaxPool and AveragePool over three spatial axes: ref_volume.c. */
ref_eval_fn ref_eval_volume;
/** ConvTranspose over three, its pads and output_padding given. */
ref_eval_fn ref_eval_spread;

/* ---- attributes, with ONNX's defaults ---- */

static inline int64_t attr_int(const itc_node *n, const char *name, int64_t otherwise)
{
    const itc_attr *a = itc_attr_find(n, name);
    return a ? a->u.i : otherwise;
}

static inline double attr_float(const itc_node *n, const char *name, double otherwise)
{
    const itc_attr *a = itc_attr_find(n, name);
    return a ? a->u.f : otherwise;
}

static inline bool attr_is(const itc_node *n, const char *name, const char *text)
{
    const itc_attr *a = itc_attr_find(n, name);
    return a && strcmp(a->u.s, text) == 0;
}

static inline void attr_list(const itc_node *n, const char *name, int count, int64_t otherwise, int64_t *v)
{
    const itc_attr *a = itc_attr_find(n, name);
    for (int i = 0; i < count; i++) {
        v[i] = a ? a->u.ints[i] : otherwise;
    }
}

/* ---- tensors ---- */

/** Gives y a shape; its elements are zero. */
static inline void reset(ref_model *r, ref_tensor *y, int rank, const int64_t *dim)
{
    int64_t count = 1;
    for (int i = 0; i < rank; i++) {
        count *= dim[i];
    }
    if (!y->x || y->count != count) {
        y->x = ITC_NEW_ARRAY(r->g->ctx, double, count + 1);
    }
    y->rank = rank;
    y->count = count;
    memmove(y->dim, dim, sizeof *dim * (size_t)rank);
    memset(y->x, 0, sizeof *y->x * (size_t)count);
}

static inline const ref_tensor *in(const ref_model *r, const itc_node *n, int i)
{
    return i < n->n_in && n->in[i] ? &r->value[n->in[i]->id] : NULL;
}

static inline int64_t product(const ref_tensor *t, int from, int to)
{
    int64_t p = 1;
    for (int i = from; i < to; i++) {
        p *= t->dim[i];
    }
    return p;
}

static inline int axis_of(int64_t axis, int rank)
{
    return (int)(axis < 0 ? axis + rank : axis);
}

/** Element of t at the place that `index` of a shape of `rank` broadcasts from. */
static inline double broadcast_at(const ref_tensor *t, int rank, const int64_t *index)
{
    int64_t at = 0;
    for (int i = 0; i < t->rank; i++) {
        const int64_t k = index[i + rank - t->rank];
        at = at * t->dim[i] + (t->dim[i] == 1 ? 0 : k);
    }
    return t->x[at];
}

static inline bool next_index(int rank, const int64_t *dim, int64_t *index)
{
    for (int i = rank - 1; i >= 0; i--) {
        if (++index[i] < dim[i]) {
            return true;
        }
        index[i] = 0;
    }
    return false;
}

#endif
