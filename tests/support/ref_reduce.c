/*
 * Reductions of ONNX, over axes and over operands, from their definitions.
 */
#include <math.h>

#include "tests/support/ref_util.h"

/** Axes as a mask; all where none are given. */
static uint32_t axes_mask(const ref_model *r, const itc_node *n, int rank)
{
    const itc_attr *a = itc_attr_find(n, "axes");
    const ref_tensor *t = in(r, n, 1);
    uint32_t mask = 0;
    for (int64_t i = 0; i < (a ? a->n : t ? t->count : 0); i++) {
        mask |= 1u << axis_of(a ? a->u.ints[i] : (int64_t)t->x[i], rank);
    }
    return mask ? mask : attr_int(n, "noop_with_empty_axes", 0) ? 0 : (1u << rank) - 1;
}

static double before(const char *op, double x)
{
    return strcmp(op, "ReduceL1") == 0                                         ? fabs(x)
           : strcmp(op, "ReduceL2") == 0 || strcmp(op, "ReduceSumSquare") == 0 ? x * x
           : strcmp(op, "ReduceLogSumExp") == 0                                ? exp(x)
                                                                               : x;
}

static double behind(const char *op, double sum, double count)
{
    return strcmp(op, "ReduceMean") == 0      ? sum / count
           : strcmp(op, "ReduceL2") == 0      ? sqrt(sum)
           : strncmp(op, "ReduceLog", 9) == 0 ? log(sum)
                                              : sum;
}

static void eval_reduce(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *x = in(r, n, 0);
    const uint32_t mask = axes_mask(r, n, x->rank);
    const char *op = n->op->name;
    const bool max = strcmp(op, "ReduceMax") == 0, min = strcmp(op, "ReduceMin") == 0,
               times = strcmp(op, "ReduceProd") == 0;
    int64_t dim[ITC_MAX_RANK], kept[ITC_MAX_RANK], index[ITC_MAX_RANK] = {0}, k = 0;
    int rank = 0;
    for (int i = 0; i < x->rank; i++) {
        const bool gone = (mask >> i & 1) != 0;
        kept[i] = gone ? 1 : x->dim[i];
        if (!gone || attr_int(n, "keepdims", 1) != 0) {
            dim[rank++] = kept[i];
        }
    }
    reset(r, y, rank, dim);
    for (int64_t i = 0; i < y->count; i++) {
        y->x[i] = max ? -INFINITY : min ? INFINITY : times ? 1 : 0;
    }
    do {
        int64_t at = 0;
        for (int i = 0; i < x->rank; i++) {
            at = at * kept[i] + (kept[i] == 1 ? 0 : index[i]);
        }
        const double v = before(op, x->x[k++]);
        y->x[at] = max     ? fmax(y->x[at], v)
                   : min   ? fmin(y->x[at], v)
                   : times ? y->x[at] * v
                           : y->x[at] + v;
    } while (next_index(x->rank, x->dim, index));
    for (int64_t i = 0; i < y->count; i++) {
        y->x[i] = behind(op, y->x[i], (double)x->count / (double)y->count);
    }
}

static void eval_many(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const char *op = n->op->name;
    int64_t dim[ITC_MAX_RANK] = {0}, index[ITC_MAX_RANK] = {0}, k = 0;
    int rank = 0;
    for (int i = 0; i < n->n_in; i++) {
        rank = in(r, n, i)->rank > rank ? in(r, n, i)->rank : rank;
    }
    for (int i = 0; i < n->n_in; i++) {
        const ref_tensor *t = in(r, n, i);
        for (int a = 0; a < t->rank; a++) {
            int64_t *d = &dim[a + rank - t->rank];
            *d = t->dim[a] > *d ? t->dim[a] : *d;
        }
    }
    reset(r, y, rank, dim);
    do {
        double v = broadcast_at(in(r, n, 0), rank, index);
        for (int i = 1; i < n->n_in; i++) {
            const double w = broadcast_at(in(r, n, i), rank, index);
            v = strcmp(op, "Max") == 0 ? fmax(v, w) : strcmp(op, "Min") == 0 ? fmin(v, w) : v + w;
        }
        y->x[k++] = strcmp(op, "Mean") == 0 ? v / n->n_in : v;
    } while (next_index(rank, dim, index));
}

const ref_operator ref_reductions[] = {
    {"ReduceSum", eval_reduce},
    {"ReduceMean", eval_reduce},
    {"ReduceSumSquare", eval_reduce},
    {"ReduceL1", eval_reduce},
    {"ReduceL2", eval_reduce},
    {"ReduceLogSum", eval_reduce},
    {"ReduceLogSumExp", eval_reduce},
    {"ReduceMax", eval_reduce},
    {"ReduceMin", eval_reduce},
    {"ReduceProd", eval_reduce},
    {"Sum", eval_many},
    {"Mean", eval_many},
    {"Max", eval_many},
    {"Min", eval_many},
    {NULL, NULL},
};
