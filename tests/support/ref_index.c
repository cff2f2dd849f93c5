/*
 * ONNX's operators that read or write where indices say, element by element.
 */
#include <math.h>

#include "tests/support/ref_util.h"

static int64_t wrapped(double index, int64_t extent)
{
    const int64_t i = (int64_t)index;
    return i < 0 ? i + extent : i;
}

static int64_t flat(const ref_tensor *t, const int64_t *index)
{
    int64_t at = 0;
    for (int i = 0; i < t->rank; i++) {
        at = at * t->dim[i] + index[i];
    }
    return at;
}

static void eval_gather_elements(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *x = in(r, n, 0), *index = in(r, n, 1);
    const int a = axis_of(attr_int(n, "axis", 0), x->rank);
    int64_t i[ITC_MAX_RANK] = {0}, k = 0;
    reset(r, y, index->rank, index->dim);
    do {
        int64_t at[ITC_MAX_RANK];
        memcpy(at, i, sizeof at);
        at[a] = wrapped(index->x[k], x->dim[a]);
        y->x[k++] = x->x[flat(x, at)];
    } while (next_index(y->rank, y->dim, i));
}

/** Where a tuple of indices behind `batch` common axes begins in x, the tuple's own number being k.
 */
static int64_t tuple_at(const ref_tensor *x, const ref_tensor *index, int batch, int64_t k)
{
    const int64_t depth = index->dim[index->rank - 1];
    int64_t at = k / product(index, batch, index->rank - 1);
    for (int64_t j = 0; j < depth; j++) {
        at = at * x->dim[batch + j] + wrapped(index->x[k * depth + j], x->dim[batch + j]);
    }
    return at * product(x, batch + (int)depth, x->rank);
}

static void eval_gather_nd(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *x = in(r, n, 0), *index = in(r, n, 1);
    const int batch = (int)attr_int(n, "batch_dims", 0);
    const int from = batch + (int)index->dim[index->rank - 1];
    int64_t dim[ITC_MAX_RANK];
    int rank = index->rank - 1;
    memcpy(dim, index->dim, sizeof dim);
    for (int i = from; i < x->rank; i++) {
        dim[rank++] = x->dim[i];
    }
    reset(r, y, rank, dim);
    const int64_t run = product(x, from, x->rank);
    for (int64_t k = 0; k < y->count; k++) {
        y->x[k] = x->x[tuple_at(x, index, batch, k / run) + k % run];
    }
}

static double reduced(const itc_node *n, double old, double u)
{
    return attr_is(n, "reduction", "add")   ? old + u
           : attr_is(n, "reduction", "max") ? fmax(old, u)
           : attr_is(n, "reduction", "min") ? fmin(old, u)
                                            : u;
}

static void eval_scatter(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *x = in(r, n, 0), *index = in(r, n, 1), *u = in(r, n, 2);
    int64_t i[ITC_MAX_RANK] = {0}, k = 0;
    reset(r, y, x->rank, x->dim);
    memcpy(y->x, x->x, sizeof *x->x * (size_t)x->count);
    if (strcmp(n->op->name, "ScatterND") == 0) {
        const int64_t run = product(x, (int)index->dim[index->rank - 1], x->rank);
        for (; k < u->count; k++) {
            double *to = y->x + tuple_at(x, index, 0, k / run) + k % run;
            *to = reduced(n, *to, u->x[k]);
        }
        return;
    }
    const int a = axis_of(attr_int(n, "axis", 0), x->rank);
    do {
        int64_t at[ITC_MAX_RANK];
        memcpy(at, i, sizeof at);
        at[a] = wrapped(index->x[k], x->dim[a]);
        double *to = y->x + flat(x, at);
        *to = reduced(n, *to, u->x[k++]);
    } while (next_index(index->rank, index->dim, i));
}

/** By counting, for each element, those that come before it. */
static void eval_topk(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *x = in(r, n, 0);
    const int a = axis_of(attr_int(n, "axis", -1), x->rank);
    const int64_t axis = x->dim[a], inner = product(x, a + 1, x->rank);
    const double sign = attr_int(n, "largest", 1) ? 1 : -1;
    const bool arg = strncmp(n->op->name, "Arg", 3) == 0;
    ref_tensor *at = arg ? y : &r->value[n->out[1]->id];
    int64_t dim[ITC_MAX_RANK];
    memcpy(dim, x->dim, sizeof dim);
    dim[a] = arg ? 1 : (int64_t)in(r, n, 1)->x[0];
    reset(r, at, x->rank, dim);
    if (!arg) {
        reset(r, y, x->rank, dim);
    }
    for (int64_t k = 0; k < x->count; k++) {
        const int64_t own = k / inner % axis, first = k - own * inner;
        int64_t before = 0;
        for (int64_t j = 0; j < axis; j++) {
            const double d = sign * (x->x[first + j * inner] - x->x[k]);
            before += d > 0 || (!(d < 0) && j < own);
        }
        if (before < dim[a]) {
            const int64_t to = (k / inner / axis * dim[a] + before) * inner + k % inner;
            at->x[to] = (double)own;
            if (!arg) {
                y->x[to] = x->x[k];
            }
        }
    }
}

static void eval_onehot(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *index = in(r, n, 0), *values = in(r, n, 2);
    const int64_t depth = (int64_t)in(r, n, 1)->x[0];
    const int a = axis_of(attr_int(n, "axis", -1), index->rank + 1);
    int64_t dim[ITC_MAX_RANK];
    for (int i = 0; i <= index->rank; i++) {
        dim[i] = i == a ? depth : index->dim[i < a ? i : i - 1];
    }
    reset(r, y, index->rank + 1, dim);
    const int64_t inner = product(y, a + 1, y->rank);
    for (int64_t k = 0; k < y->count; k++) {
        const double at = index->x[k / inner / depth * inner + k % inner];
        y->x[k] = values->x[wrapped(at, depth) == k / inner % depth];
    }
}

/** Time before batch, or behind it, on the first two axes. */
static void eval_reverse(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *x = in(r, n, 0), *length = in(r, n, 1);
    const bool time_first = attr_int(n, "time_axis", 0) == 0;
    const int64_t run = product(x, 2, x->rank), width = x->dim[1];
    reset(r, y, x->rank, x->dim);
    for (int64_t k = 0; k < x->dim[0] * width; k++) {
        const int64_t t = time_first ? k / width : k % width,
                      b = time_first ? k % width : k / width;
        const int64_t end = (int64_t)length->x[b], from = t < end ? end - 1 - t : t;
        const int64_t source = time_first ? from * width + b : b * width + from;
        memcpy(y->x + k * run, x->x + source * run, sizeof *y->x * (size_t)run);
    }
}

static void eval_unpool(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *x = in(r, n, 0), *index = in(r, n, 1);
    int64_t kernel[2], stride[2], pad[4], dim[4] = {x->dim[0], x->dim[1]};
    attr_list(n, "kernel_shape", 2, 1, kernel);
    attr_list(n, "strides", 2, 1, stride);
    attr_list(n, "pads", 4, 0, pad);
    for (int i = 0; i < 2; i++) {
        dim[2 + i] = (x->dim[2 + i] - 1) * stride[i] + kernel[i] - pad[i] - pad[2 + i];
    }
    reset(r, y, 4, dim);
    for (int64_t k = 0; k < x->count; k++) {
        y->x[(int64_t)index->x[k]] = x->x[k];
    }
}

static void eval_compress(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *x = in(r, n, 0), *keep = in(r, n, 1);
    const int a = axis_of(attr_int(n, "axis", 0), x->rank);
    int64_t dim[ITC_MAX_RANK], row = 0;
    memcpy(dim, x->dim, sizeof dim);
    dim[a] = 0;
    for (int64_t i = 0; i < keep->count; i++) {
        dim[a] += keep->x[i] > 0;
    }
    reset(r, y, x->rank, dim);
    const int64_t inner = product(x, a + 1, x->rank);
    for (int64_t o = 0; o < product(x, 0, a); o++) {
        for (int64_t j = 0; j < x->dim[a]; j++) {
            if (j < keep->count && keep->x[j] > 0) {
                memcpy(y->x + row++ * inner, x->x + (o * x->dim[a] + j) * inner,
                       sizeof *y->x * (size_t)inner);
            }
        }
    }
}

const ref_operator ref_indexed[] = {
    {"GatherElements", eval_gather_elements},
    {"GatherND", eval_gather_nd},
    {"Scatter", eval_scatter},
    {"ScatterElements", eval_scatter},
    {"ScatterND", eval_scatter},
    {"TopK", eval_topk},
    {"ArgMax", eval_topk},
    {"OneHot", eval_onehot},
    {"ReverseSequence", eval_reverse},
    {"MaxUnpool", eval_unpool},
    {"Compress", eval_compress},
    {NULL, NULL},
};
