/*
 * Unique: the different elements, or slices along an axis, of a constant. How many there are is a
 * shape, so that it folds or is refused.
 * Source: ONNX Unique-11.
 */
#include <math.h>
#include <string.h>

#include "ir/ops/take.h"
#include "ir/ops/util.h"

/** x as [outer, slices, inner], and what of its slices is different so far. */
typedef struct slices {
    const itc_tensor *x;
    int64_t outer, count, inner;
    int64_t n;         /**< different ones, numbered as they were met */
    int64_t *first;    /**< of each, the first slice that is it */
    int64_t *copies;   /**< how many are */
    int64_t *in_order; /**< their numbers, from the smallest slice to the largest */
    int64_t *number;   /**< of each slice */
} slices;

static int compare(const itc_tensor *x, int64_t i, int64_t k)
{
    if (x->dtype == ITC_F32) {
        const double a = itc_tensor_get(x, i), b = itc_tensor_get(x, k);
        return (a > b) - (a < b);
    }
    const int64_t a = itc_tensor_get_int(x, i), b = itc_tensor_get_int(x, k);
    return (a > b) - (a < b);
}

/** Slices compare as their elements do, in order. */
static int compare_slices(const slices *s, int64_t i, int64_t k)
{
    int order = 0;
    for (int64_t o = 0; o < s->outer && order == 0; o++) {
        for (int64_t j = 0; j < s->inner && order == 0; j++) {
            order =
                compare(s->x, (o * s->count + i) * s->inner + j, (o * s->count + k) * s->inner + j);
        }
    }
    return order;
}

/** Finds slice i among those in order, or puts it there. */
static void meet(slices *s, int64_t i)
{
    int64_t low = 0, high = s->n;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2, number = s->in_order[middle];
        const int order = compare_slices(s, i, s->first[number]);
        if (order == 0) {
            s->number[i] = number;
            s->copies[number]++;
            return;
        }
        low = order > 0 ? middle + 1 : low;
        high = order > 0 ? high : middle;
    }
    memmove(s->in_order + low + 1, s->in_order + low, sizeof *s->in_order * (size_t)(s->n - low));
    s->in_order[low] = s->number[i] = s->n;
    s->first[s->n] = i;
    s->copies[s->n++] = 1;
}

static itc_status check_elements(itc_graph *g, const itc_node *n, const itc_tensor *x)
{
    for (int64_t i = 0; i < x->count; i++) {
        if (itc_tensor_flag(x, i) || (x->dtype == ITC_F32 && isnan(itc_tensor_get(x, i)))) {
            return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0227",
                             "an element is no number or counts rows");
        }
    }
    return ITC_OK;
}

/** A list of s.n or s.count integers. */
static itc_status list(itc_graph *g, const itc_node *n, int64_t count, itc_tensor **out)
{
    return itc_fold_tensor(g, n, ITC_I64, 1, &count, out);
}

/** Results: the slices that differ, where each is first, which of them each slice is, how often. */
static itc_status write(itc_graph *g, const itc_node *n, const slices *s, int axis,
                        itc_tensor **out)
{
    const bool sorted = itc_int(n, "sorted") != 0;
    int64_t dim[ITC_MAX_RANK], *place = ITC_NEW_ARRAY(g->ctx, int64_t, s->n + 1);
    itc_tensor *all[4] = {NULL};
    memcpy(dim, s->x->dim, sizeof dim);
    dim[axis < 0 ? 0 : axis] = s->n;
    ITC_TRY(itc_fold_tensor(g, n, s->x->dtype, axis < 0 ? 1 : s->x->rank, dim, &all[0]));
    for (int i = 1; i < 4; i++) {
        ITC_TRY(list(g, n, i == 2 ? s->count : s->n, &all[i]));
    }
    for (int64_t k = 0; k < s->n; k++) {
        const int64_t number = sorted ? s->in_order[k] : k;
        place[number] = k;
        ((int64_t *)all[1]->data)[k] = s->first[number];
        ((int64_t *)all[3]->data)[k] = s->copies[number];
        for (int64_t o = 0; o < s->outer; o++) {
            for (int64_t j = 0; j < s->inner; j++) {
                itc_tensor_copy_element(g->ctx, all[0], (o * s->n + k) * s->inner + j, s->x,
                                        (o * s->count + s->first[number]) * s->inner + j);
            }
        }
    }
    for (int64_t i = 0; i < s->count; i++) {
        ((int64_t *)all[2]->data)[i] = place[s->number[i]];
    }
    for (int i = 0; i < n->n_out; i++) {
        out[i] = all[i];
    }
    return ITC_OK;
}

static itc_status unique_fold(itc_graph *g, itc_node *n, itc_tensor **out)
{
    const itc_tensor *x = itc_operand_const(n, 0);
    slices s = {.x = x, .outer = 1, .count = x ? x->count : 0, .inner = 1};
    int axis = -1;
    if (!x || !x->data) {
        return ITC_OK;
    }
    ITC_TRY(check_elements(g, n, x));
    if (itc_attr_find(n, "axis")) {
        ITC_TRY(itc_axis_resolve(g, n, itc_int(n, "axis"), x->rank, &axis));
        s.count = x->dim[axis];
        for (int i = 0; i < x->rank; i++) {
            s.outer *= i < axis ? x->dim[i] : 1;
            s.inner *= i > axis ? x->dim[i] : 1;
        }
    }
    s.first = ITC_NEW_ARRAY(g->ctx, int64_t, s.count + 1);
    s.copies = ITC_NEW_ARRAY(g->ctx, int64_t, s.count + 1);
    s.in_order = ITC_NEW_ARRAY(g->ctx, int64_t, s.count + 1);
    s.number = ITC_NEW_ARRAY(g->ctx, int64_t, s.count + 1);
    for (int64_t i = 0; i < s.count; i++) {
        meet(&s, i);
    }
    return write(g, n, &s, axis, out);
}

static itc_status unique_infer(itc_graph *g, itc_node *n)
{
    return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0225",
                     "%s needs operands that are known when compiling", n->op->name);
}

static const itc_attr_spec unique_attrs[] = {
    {.name = "axis", .kind = ITC_ATTR_INT}, {.name = "sorted", .kind = ITC_ATTR_INT, .i = 1}, {0}};

/**
 * The different elements of a constant, or its slices along an axis, sorted or as they are met;
 * where each is first, which of them each is, and how often there is one.
 */
const itc_op_def itc_op_Unique = {
    .name = "Unique",
    .domain = "",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 4,
    .opset_min = 11,
    .versions = (const uint8_t[]){11, 0},
    .roles = (const itc_role_in[]){ITC_IN_CONST},
    .attrs = unique_attrs,
    .summary = "the different elements of a constant",
    .fold = unique_fold,
    .infer = unique_infer,
};
