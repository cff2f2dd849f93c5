/**
 * The axes of a reduction after merging neighbours that are both summed or both kept.
 */
#ifndef ITR_REF_REDUCE_AXES_H
#define ITR_REF_REDUCE_AXES_H

#include "../kernel.h"

/** Results that are summed side by side; elements that are worth a thread. */
enum { ITR_REDUCE_TILE = 128, ITR_REDUCE_GRAIN = 16384 };

/** Loops over some axes of x; `at` counts, `offset` is where x is. */
typedef struct itr_axes {
    int n;
    int64_t size[ITR_MAX_RANK], stride[ITR_MAX_RANK], at[ITR_MAX_RANK];
    int64_t offset;
} itr_axes;

typedef struct itr_reduction {
    itr_axes kept, summed; /**< without the innermost axis */
    int64_t inner;         /**< extent of the innermost axis, stride 1 */
    bool inner_kept;
    bool empty_sum, empty; /**< nothing to sum (y is 0); nothing to write */
} itr_reduction;

static inline void itr_axes_push(itr_axes *s, int64_t size, int64_t stride)
{
    s->size[s->n] = size;
    s->stride[s->n] = stride;
    s->at[s->n++] = 0;
}

/** Axes are pushed innermost first, so that axis 0 is the fastest. */
static inline bool itr_axes_next(itr_axes *s)
{
    for (int i = 0; i < s->n; i++) {
        s->offset += s->stride[i];
        if (++s->at[i] < s->size[i]) {
            return true;
        }
        s->offset -= s->stride[i] * s->size[i];
        s->at[i] = 0;
    }
    return false;
}

/** How many places the axes have. */
static inline int64_t itr_axes_count(const itr_axes *s)
{
    int64_t n = 1;
    for (int i = 0; i < s->n; i++) {
        n *= s->size[i];
    }
    return n;
}

/** Goes to place `index` of them. */
static inline void itr_axes_seek(itr_axes *s, int64_t index)
{
    s->offset = 0;
    for (int i = 0; i < s->n; i++) {
        s->at[i] = index % s->size[i];
        s->offset += s->at[i] * s->stride[i];
        index /= s->size[i];
    }
}

static inline itr_reduction itr_reduction_of(const itr_reduce_args *a)
{
    itr_reduction r = {.inner = 1, .inner_kept = true};
    int64_t stride = 1, size = 1;
    bool first = true, kept = true;
    for (int i = a->rank - 1; i >= -1; i--) {
        const bool end = i < 0;
        const bool k = !end && !(a->reduce_mask >> i & 1);
        if (!end && a->shape[i] == 0) {
            *(k ? &r.empty : &r.empty_sum) = true;
        }
        if (!end && (a->shape[i] == 1 || (k == kept && size > 1))) {
            size *= a->shape[i];
            continue;
        }
        if (size > 1) {
            if (first) {
                r.inner = size;
                r.inner_kept = kept;
                first = false;
            } else {
                itr_axes_push(kept ? &r.kept : &r.summed, size, stride);
            }
            stride *= size;
        }
        kept = k;
        size = end ? 1 : a->shape[i];
    }
    return r;
}

#endif
