/*
 * Data movement of ONNX, element by element.
 */
#include "tests/support/ref_util.h"

/** Element k of constant operand i, or of an attribute where old opsets have that. */
static int64_t number(const ref_model *r, const itc_node *n, const char *name, int i, int64_t k,
                      int64_t otherwise)
{
    const itc_attr *a = itc_attr_find(n, name);
    const ref_tensor *t = in(r, n, i);
    return a && a->kind == ITC_ATTR_INTS ? a->u.ints[k] : t ? (int64_t)t->x[k] : otherwise;
}

static int64_t numbers(const ref_model *r, const itc_node *n, const char *name, int i)
{
    const itc_attr *a = itc_attr_find(n, name);
    const ref_tensor *t = in(r, n, i);
    return a && a->kind == ITC_ATTR_INTS ? a->n : t ? t->count : 0;
}

/** y[k] = x[first + k * step] on each axis. */
static void copy_box(ref_tensor *y, const ref_tensor *x, const int64_t *first, const int64_t *step)
{
    int64_t index[ITC_MAX_RANK] = {0}, k = 0;
    do {
        int64_t at = 0;
        for (int i = 0; i < x->rank; i++) {
            at = at * x->dim[i] + first[i] + index[i] * step[i];
        }
        y->x[k++] = x->x[at];
    } while (next_index(y->rank, y->dim, index));
}

/** Python's slices: x[start:end:step]. */
static void eval_slice(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *x = in(r, n, 0);
    int64_t first[ITC_MAX_RANK] = {0}, step[ITC_MAX_RANK], dim[ITC_MAX_RANK];
    for (int i = 0; i < x->rank; i++) {
        step[i] = 1;
        dim[i] = x->dim[i];
    }
    for (int64_t k = 0; k < numbers(r, n, "starts", 1); k++) {
        const int a = axis_of(number(r, n, "axes", 3, k, k), x->rank);
        int64_t from = number(r, n, "starts", 1, k, 0), to = number(r, n, "ends", 2, k, 0);
        step[a] = number(r, n, "steps", 4, k, 1);
        from += from < 0 ? x->dim[a] : 0;
        to += to < 0 ? x->dim[a] : 0;
        dim[a] = 0;
        first[a] = step[a] < 0 && from >= x->dim[a] ? x->dim[a] - 1 : from < 0 ? 0 : from;
        for (int64_t i = first[a]; i >= 0 && i < x->dim[a] && (step[a] > 0 ? i < to : i > to);
             i += step[a]) {
            dim[a]++;
        }
    }
    reset(r, y, x->rank, dim);
    copy_box(y, x, first, step);
}

static void eval_split(ref_model *r, const itc_node *n, ref_tensor *unused)
{
    const ref_tensor *x = in(r, n, 0);
    const int a = axis_of(attr_int(n, "axis", 0), x->rank);
    int64_t first[ITC_MAX_RANK] = {0}, step[ITC_MAX_RANK], dim[ITC_MAX_RANK];
    const int64_t equal = (x->dim[a] + n->n_out - 1) / n->n_out;
    (void)unused;
    for (int i = 0; i < n->n_out; i++) {
        ref_tensor *y = &r->value[n->out[i]->id];
        for (int k = 0; k < x->rank; k++) {
            step[k] = 1;
            dim[k] = x->dim[k];
        }
        const int64_t left = x->dim[a] - first[a];
        dim[a] = number(r, n, "split", 1, i, equal < left ? equal : left);
        reset(r, y, x->rank, dim);
        copy_box(y, x, first, step);
        first[a] += dim[a];
    }
}

/** Expand, and Tile as x[i mod extent]. */
static void eval_repeat(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *x = in(r, n, 0), *by = in(r, n, 1);
    const bool tile = strcmp(n->op->name, "Tile") == 0;
    const int rank = by->count > x->rank ? (int)by->count : x->rank;
    int64_t dim[ITC_MAX_RANK], index[ITC_MAX_RANK] = {0}, k = 0;
    for (int i = 0; i < rank; i++) {
        const int own = i - (rank - x->rank), other = i - (rank - (int)by->count);
        const int64_t have = own < 0 ? 1 : x->dim[own];
        const int64_t want = other < 0 ? 1 : (int64_t)by->x[other];
        dim[i] = tile ? have * want : have > want ? have : want;
    }
    reset(r, y, rank, dim);
    do {
        int64_t at = 0;
        for (int i = 0; i < x->rank; i++) {
            at = at * x->dim[i] + index[i + rank - x->rank] % x->dim[i];
        }
        y->x[k++] = x->x[at];
    } while (next_index(rank, dim, index));
}

/** Channel and pixel of the larger image: ONNX's two orders of a block's elements. */
static void eval_blocks(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *x = in(r, n, 0);
    const int64_t b = attr_int(n, "blocksize", 1);
    const bool to_space = strcmp(n->op->name, "DepthToSpace") == 0;
    const int64_t c = to_space ? x->dim[1] / (b * b) : x->dim[1];
    const int64_t h = to_space ? x->dim[2] : x->dim[2] / b;
    const int64_t w = to_space ? x->dim[3] : x->dim[3] / b;
    const int64_t space[4] = {x->dim[0], c, h * b, w * b};
    const int64_t depth[4] = {x->dim[0], c * b * b, h, w};
    int64_t i[4] = {0}, k = 0;
    reset(r, y, 4, to_space ? space : depth);
    do {
        const int64_t block = i[2] % b * b + i[3] % b;
        const int64_t channel = attr_is(n, "mode", "CRD") ? i[1] * b * b + block : block * c + i[1];
        const int64_t at = ((i[0] * c * b * b + channel) * h + i[2] / b) * w + i[3] / b;
        if (to_space) {
            y->x[k++] = x->x[at];
        } else {
            y->x[at] = x->x[k++];
        }
    } while (next_index(4, space, i));
}

static void eval_concat(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *x = in(r, n, 0);
    const int a = axis_of(attr_int(n, "axis", 0), x->rank);
    int64_t dim[ITC_MAX_RANK], at = 0;
    memcpy(dim, x->dim, sizeof dim);
    dim[a] = 0;
    for (int i = 0; i < n->n_in; i++) {
        dim[a] += in(r, n, i)->dim[a];
    }
    reset(r, y, x->rank, dim);
    const int64_t inner = product(y, a + 1, y->rank), outer = product(y, 0, a);
    for (int64_t o = 0; o < outer; o++) {
        for (int i = 0; i < n->n_in; i++) {
            const ref_tensor *t = in(r, n, i);
            const int64_t run = t->dim[a] * inner;
            memcpy(y->x + at, t->x + o * run, sizeof *y->x * (size_t)run);
            at += run;
        }
    }
}

/** numpy.pad: what element `at` of an axis of extent n shows, -1 for the constant. */
static int64_t source(const itc_node *n, int64_t at, int64_t extent)
{
    const int64_t turn = 2 * (extent - 1);
    if (attr_is(n, "mode", "edge")) {
        return at < 0 ? 0 : at >= extent ? extent - 1 : at;
    }
    if (attr_is(n, "mode", "wrap")) {
        return (at % extent + extent) % extent;
    }
    if (attr_is(n, "mode", "reflect")) {
        const int64_t k = turn ? (at % turn + turn) % turn : 0;
        return k < extent ? k : turn - k;
    }
    return at >= 0 && at < extent ? at : -1;
}

static void eval_pad(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *x = in(r, n, 0), *value = in(r, n, 2), *axes = in(r, n, 3);
    const double v = value ? value->x[0] : attr_float(n, "value", 0);
    const int64_t count = numbers(r, n, "pads", 1) / 2;
    int64_t before[ITC_MAX_RANK] = {0}, dim[ITC_MAX_RANK], index[ITC_MAX_RANK] = {0}, k = 0;
    memcpy(dim, x->dim, sizeof dim);
    for (int64_t i = 0; i < count; i++) {
        const int a = axes ? axis_of((int64_t)axes->x[i], x->rank) : (int)i;
        before[a] = number(r, n, "pads", 1, i, 0);
        dim[a] += before[a] + number(r, n, "pads", 1, count + i, 0);
    }
    reset(r, y, x->rank, dim);
    do {
        int64_t at = 0;
        bool inside = true;
        for (int i = 0; i < x->rank; i++) {
            const int64_t s = source(n, index[i] - before[i], x->dim[i]);
            inside = inside && s >= 0;
            at = at * x->dim[i] + s;
        }
        y->x[k++] = inside ? x->x[at] : v;
    } while (next_index(x->rank, dim, index));
}

const ref_operator ref_moves[] = {
    {"Slice", eval_slice},
    {"Split", eval_split},
    {"Expand", eval_repeat},
    {"Tile", eval_repeat},
    {"DepthToSpace", eval_blocks},
    {"SpaceToDepth", eval_blocks},
    {"Concat", eval_concat},
    {"Pad", eval_pad},
    {NULL, NULL},
};
