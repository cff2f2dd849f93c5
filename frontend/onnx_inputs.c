/*
 * Inputs of the model: their types, and which axis is the batch.
 *
 * A trainer's samples are rows: an input whose batch is another axis than the first (sequences as
 * [time, batch, features]) is an input with the batch first, and a Transpose behind it.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "frontend/onnx_model.h"

typedef struct axis {
    int64_t size;       /**< -1: symbolic */
    const char *symbol; /**< "" without a name */
} axis;

typedef struct input {
    const char *name;
    itc_dtype dtype;
    int rank;
    axis axis[ITC_MAX_RANK];
    int batch; /**< the axis that counts samples */
} input;

typedef struct input_list {
    input *v;
    int n;
} input_list;

/* ---- names of initializers, sorted: models of before ir_version 4 list them as inputs ---- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static size_t initializer_names(itc_importer *im, const char ***out)
{
    const Onnx__GraphProto *p = im->graph;
    const char **names =
        ITC_NEW_ARRAY(im->ctx, const char *, p->n_initializer + p->n_sparse_initializer);
    size_t n = 0;
    for (size_t i = 0; i < p->n_initializer; i++) {
        names[n++] = itc_onnx_text(p->initializer[i]->name);
    }
    for (size_t i = 0; i < p->n_sparse_initializer; i++) {
        const Onnx__TensorProto *t = p->sparse_initializer[i]->values;
        names[n++] = t ? itc_onnx_text(t->name) : "";
    }
    if (n > 0) {
        qsort(names, n, sizeof *names, by_text);
    }
    *out = names;
    return n;
}

/* ---- types ---- */

static itc_status input_dtype(itc_importer *im, input *in, int32_t type)
{
    if (!itc_onnx_type_dtype(type, &in->dtype)) {
        return itc_error(im->ctx, NULL, ITC_UNSUPPORTED, "E0209",
                         "input \"%s\" is of type %s, which is not supported", in->name,
                         itc_onnx_type_name(im->ctx, type));
    }
    return ITC_OK;
}

static itc_status input_axis(itc_importer *im, const input *in, int i,
                             const Onnx__TensorShapeProto__Dimension *d, axis *out)
{
    *out = (axis){.size = -1, .symbol = ""};
    if (d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM) {
        out->symbol = itc_onnx_text(d->dim_param);
    } else if (d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE) {
        out->size = d->dim_value;
    }
    /* Some exporters write -1 for an axis that is not known. */
    const bool empty = out->size == 0 && !im->options->shapes;
    if (out->size < -1 || empty || out->size > INT32_MAX) {
        return itc_error(im->ctx, NULL, ITC_SHAPE, "E0209",
                         "input \"%s\": extent %lld of axis %d is not possible", in->name,
                         (long long)out->size, i);
    }
    return ITC_OK;
}

static itc_status read_input(itc_importer *im, const Onnx__ValueInfoProto *p, input *in)
{
    in->name = itc_onnx_text(p->name);
    if (in->name[0] == '\0') {
        return itc_error(im->ctx, NULL, ITC_PARSE, "E0209", "an input has no name");
    }
    if (!p->type || p->type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE ||
        !p->type->tensor_type) {
        return itc_error(im->ctx, NULL, ITC_UNSUPPORTED, "E0209", "input \"%s\" is no tensor",
                         in->name);
    }
    const Onnx__TypeProto__Tensor *t = p->type->tensor_type;
    ITC_TRY(input_dtype(im, in, t->has_elem_type ? t->elem_type : 0));
    if (!t->shape) {
        return itc_error(im->ctx, NULL, ITC_SHAPE, "E0209", "input \"%s\" has no shape", in->name);
    }
    if (t->shape->n_dim > ITC_MAX_RANK) {
        return itc_error(im->ctx, NULL, ITC_UNSUPPORTED, "E0209",
                         "input \"%s\" has rank %zu, the limit is %d", in->name, t->shape->n_dim,
                         ITC_MAX_RANK);
    }
    in->rank = (int)t->shape->n_dim;
    for (int i = 0; i < in->rank; i++) {
        ITC_TRY(input_axis(im, in, i, t->shape->dim[i], &in->axis[i]));
    }
    return ITC_OK;
}

/* ---- inputs that are numbers ---- */

static const itc_import_fixed *find_fixed(const itc_importer *im, const char *name)
{
    for (int i = 0; i < im->options->n_fixed; i++) {
        if (strcmp(im->options->fixed[i].name, name) == 0) {
            return &im->options->fixed[i];
        }
    }
    return NULL;
}

/** Fills a new constant of the input's type; false: the type cannot hold the number. */
static bool fill(itc_tensor *t, double v)
{
    if (t->dtype != ITC_F32 && (v != floor(v) || fabs(v) > 9007199254740992.0)) {
        return false;
    }
    for (int64_t i = 0; i < t->count; i++) {
        if (t->dtype == ITC_F32) {
            ((float *)t->data)[i] = (float)v;
        } else if (t->dtype == ITC_I64) {
            ((int64_t *)t->data)[i] = (int64_t)v;
        } else {
            ((uint8_t *)t->data)[i] = v != 0;
        }
    }
    return true;
}

/** The input as a constant; its extents must be known. */
static itc_status fix_input(itc_importer *im, itc_scope *scope, const input *in,
                            const itc_import_fixed *to)
{
    enum { MANY = 1 << 24 };
    int64_t dim[ITC_MAX_RANK], count = 1;
    for (int i = 0; i < in->rank; i++) {
        dim[i] = in->axis[i].size;
        if (dim[i] < 0) {
            return itc_error(im->ctx, NULL, ITC_SHAPE, "E0230",
                             "--input %s: axis %d of the input has no extent", in->name, i);
        }
        if (!itc_size_mul(count, dim[i], &count) || count > MANY) {
            return itc_error(im->ctx, NULL, ITC_RANGE, "E0230",
                             "--input %s: the input has more than %d elements", in->name, MANY);
        }
    }
    const bool plain = in->dtype == ITC_F32 || in->dtype == ITC_I64 || in->dtype == ITC_BOOL;
    itc_tensor *t = itc_tensor_new(im->ctx, plain ? in->dtype : ITC_I64, in->rank, dim);
    if (!fill(t, to->value)) {
        return itc_error(im->ctx, NULL, ITC_RANGE, "E0230",
                         "--input %s: the input takes integers, not %g", in->name, to->value);
    }
    itc_value *v = itc_const_new(im->g, in->name, t);
    v->reason = "given by --input";
    itc_scope_bind_value(scope, in->name, v);
    return ITC_OK;
}

/** Binds those inputs and takes them off the list. */
static itc_status fix_inputs(itc_importer *im, itc_scope *scope, input_list *list)
{
    int kept = 0, fixed = 0;
    for (int i = 0; i < list->n; i++) {
        const itc_import_fixed *to = find_fixed(im, list->v[i].name);
        if (to && !itc_scope_own(scope, list->v[i].name)) {
            ITC_TRY(fix_input(im, scope, &list->v[i], to));
            fixed++;
        } else {
            list->v[kept++] = list->v[i];
        }
    }
    list->n = kept;
    for (int k = 0; k < im->options->n_fixed; k++) {
        if (!itc_scope_own(scope, im->options->fixed[k].name)) {
            return itc_error(im->ctx, NULL, ITC_RANGE, "E0230",
                             "--input %s: the model has no input of this name",
                             im->options->fixed[k].name);
        }
    }
    if (list->n == 0 && fixed > 0) {
        return itc_error(im->ctx, NULL, ITC_UNSUPPORTED, "E0209",
                         "--input fixes every input: there is nothing to train on");
    }
    return ITC_OK;
}

static itc_status read_inputs(itc_importer *im, input_list *list)
{
    const char **names = NULL;
    const size_t n_names = initializer_names(im, &names);
    list->v = ITC_NEW_ARRAY(im->ctx, input, im->graph->n_input);
    for (size_t i = 0; i < im->graph->n_input; i++) {
        const char *name = itc_onnx_text(im->graph->input[i]->name);
        if (n_names == 0 || !bsearch(&name, names, n_names, sizeof *names, by_text)) {
            ITC_TRY(read_input(im, im->graph->input[i], &list->v[list->n++]));
        }
    }
    if (list->n == 0 && !im->options->shapes) {
        return itc_error(im->ctx, NULL, ITC_UNSUPPORTED, "E0209",
                         "the model has no input: there is nothing to train on");
    }
    return ITC_OK;
}

/* ---- the batch ---- */

static const char *axis_name(itc_importer *im, const input *in, int i)
{
    const char *symbol = in->axis[i].symbol;
    return symbol[0] != '\0' ? symbol : itc_format(im->ctx, "%s.%d", in->name, i);
}

static bool has_dim(itc_importer *im, const input *in, int i)
{
    for (int k = 0; k < im->options->n_dims; k++) {
        if (strcmp(im->options->dims[k].name, axis_name(im, in, i)) == 0) {
            return true;
        }
    }
    return false;
}

/** How likely it is that an axis is the batch: by its name, as the first one, by having any name;
 * 0: it is not. */
static int batch_rank(itc_importer *im, const input *in, int i, bool skip_dims)
{
    const char *symbol = in->axis[i].symbol;
    if (in->axis[i].size >= 0 || (skip_dims && has_dim(im, in, i))) {
        return 0;
    }
    const bool named = strcasecmp(symbol, "batch") == 0 || strcasecmp(symbol, "batch_size") == 0;
    return named ? 3 : i == 0 ? 2 : symbol[0] != '\0' ? 1 : 0;
}

/** The input, the first of those that are as likely, whose axis `batch` is; NULL: no axis can be.
 * What --dim gives an extent is not the batch, unless nothing else can be. */
static const input *find_leader(itc_importer *im, const input_list *list)
{
    const input *leader = NULL;
    for (int skip = 1; skip >= 0 && !leader; skip--) {
        int best = 0;
        for (int i = 0; i < list->n; i++) {
            for (int k = 0; k < list->v[i].rank; k++) {
                const int rank = batch_rank(im, &list->v[i], k, skip != 0);
                if (rank > best) {
                    best = rank;
                    leader = &list->v[i];
                    list->v[i].batch = k;
                }
            }
        }
    }
    return leader;
}

/** Every input has the leader's axis, or another symbolic first one. */
static itc_status check_symbolic_batch(itc_importer *im, const input_list *list,
                                       const input *leader)
{
    const char *symbol = leader->axis[leader->batch].symbol;
    const char *name = axis_name(im, leader, leader->batch);
    for (int i = 0; i < list->n; i++) {
        input *in = &list->v[i];
        int at = in == leader ? leader->batch : -1;
        for (int k = 0; k < in->rank && at < 0 && symbol[0] != '\0'; k++) {
            at = strcmp(in->axis[k].symbol, symbol) == 0 ? k : -1;
        }
        if (at < 0 && (in->rank == 0 || in->axis[0].size >= 0)) {
            return itc_error(im->ctx, NULL, ITC_SHAPE, "E0211",
                             "input \"%s\" %s, but axis %d of \"%s\" (\"%s\") is the batch: every "
                             "input must have it",
                             in->name, in->rank == 0 ? "is a scalar" : "has a fixed first axis",
                             leader->batch, leader->name, name);
        }
        if (at < 0 && strcmp(in->axis[0].symbol, symbol) != 0) {
            itc_note(im->ctx, "axes \"%s\" and \"%s\" of the inputs are both taken as the batch",
                     name, axis_name(im, in, 0));
        }
        in->batch = at > 0 ? at : 0;
    }
    return ITC_OK;
}

/** Exporters that trace with one size fix it; then the extent that all inputs share is the batch.
 */
static itc_status check_fixed_batch(itc_importer *im, const input_list *list)
{
    int max_rank = 0;
    const input *first = &list->v[0];
    for (int i = 0; i < list->n; i++) {
        const input *in = &list->v[i];
        if (in->rank == 0 || in->axis[0].size != first->axis[0].size) {
            return itc_error(im->ctx, NULL, ITC_SHAPE, "E0211",
                             "inputs \"%s\" and \"%s\" have no first axis in common that could be "
                             "the batch",
                             first->name, in->name);
        }
        max_rank = in->rank > max_rank ? in->rank : max_rank;
    }
    if (max_rank < 2) {
        return itc_error(im->ctx, NULL, ITC_SHAPE, "E0211",
                         "input \"%s\" has one axis of fixed extent %lld: it has no batch axis",
                         first->name, (long long)first->axis[0].size);
    }
    im->g->rows = (int32_t)first->axis[0].size;
    if (first->axis[0].size > 1) {
        itc_note(im->ctx, "the fixed first extent %lld of the inputs is taken as the batch",
                 (long long)first->axis[0].size);
    }
    return ITC_OK;
}

static itc_status find_batch(itc_importer *im, const input_list *list)
{
    const input *leader = find_leader(im, list);
    return leader ? check_symbolic_batch(im, list, leader) : check_fixed_batch(im, list);
}

/* ---- symbolic axes other than the batch ---- */

static itc_status fix_axis(itc_importer *im, const input *in, int i, bool *used, int64_t *size)
{
    const char *name = axis_name(im, in, i);
    for (int k = 0; k < im->options->n_dims; k++) {
        if (strcmp(im->options->dims[k].name, name) == 0) {
            used[k] = true;
            *size = im->options->dims[k].size;
            return ITC_OK;
        }
    }
    if (in->axis[i].symbol[0] != '\0' &&
        strcmp(in->axis[i].symbol, in->axis[in->batch].symbol) == 0) {
        return itc_error(im->ctx, NULL, ITC_UNSUPPORTED, "E0211",
                         "axis %d of input \"%s\" is the batch (\"%s\"), and so is axis %d", i,
                         in->name, name, in->batch);
    }
    return itc_error(im->ctx, NULL, ITC_SHAPE, "E0210",
                     "axis %d of input \"%s\" has no extent: give it with --dim %s=N", i, in->name,
                     name);
}

/** The extents that the caller states for an input; they must be what the model allows. */
static itc_status whole_shape(itc_importer *im, const input *in, itc_dim *dim)
{
    for (int k = 0; k < im->options->n_shapes; k++) {
        const itc_import_shape *s = &im->options->shapes[k];
        if (strcmp(s->name, in->name) != 0) {
            continue;
        }
        bool fits = s->rank == in->rank;
        for (int i = 0; fits && i < in->rank; i++) {
            dim[i] = (itc_dim){s->dim[i], false};
            fits = in->axis[i].size < 0 || in->axis[i].size == s->dim[i];
        }
        return fits ? ITC_OK
                    : itc_error(im->ctx, NULL, ITC_SHAPE, "E0209",
                                "input \"%s\" has other extents than those that are given",
                                in->name);
    }
    return itc_error(im->ctx, NULL, ITC_SHAPE, "E0209", "input \"%s\" is not given", in->name);
}

/** A sample's axes behind the batch, in their order. */
static itc_status batch_shape(itc_importer *im, const input *in, bool *used, itc_dim *dim)
{
    int at = 0;
    dim[at++] = (itc_dim){1, true};
    for (int i = 0; i < in->rank; i++) {
        if (i == in->batch) {
            continue;
        }
        dim[at] = (itc_dim){in->axis[i].size, false};
        if (in->axis[i].size < 0) {
            ITC_TRY(fix_axis(im, in, i, used, &dim[at].size));
        }
        at++;
    }
    return ITC_OK;
}

/** What nodes of the model see of an input: its axes as the model has them. */
static itc_value *as_exported(itc_importer *im, const input *in, itc_value *v)
{
    int64_t perm[ITC_MAX_RANK];
    if (im->options->shapes || in->batch == 0) {
        return v;
    }
    for (int i = 0; i < in->rank; i++) {
        perm[i] = i == in->batch ? 0 : i < in->batch ? i + 1 : i;
    }
    itc_node *n = itc_node_new(im->g, itc_op_find("", "Transpose"), NULL, 1, &v, 1);
    itc_set_ints(im->g, n, "perm", in->rank, perm);
    itc_note(im->ctx,
             "axis %d of input \"%s\" is the batch: a sample of the data is the rest of its axes",
             in->batch, in->name);
    return n->out[0];
}

static itc_status make_value(itc_importer *im, itc_scope *scope, const input *in, bool *used)
{
    itc_dim dim[ITC_MAX_RANK];
    ITC_TRY(im->options->shapes ? whole_shape(im, in, dim) : batch_shape(im, in, used, dim));
    const itc_type type = itc_type_make(in->dtype, in->rank, dim);
    itc_dim count;
    if (!itc_type_count(&type, &count) || count.size > INT32_MAX) {
        return itc_error(im->ctx, NULL, ITC_RANGE, "E0209",
                         "input \"%s\": a row has more than %d elements", in->name, INT32_MAX);
    }
    if (itc_scope_own(scope, in->name)) {
        return itc_error(im->ctx, NULL, ITC_PARSE, "E0204", "input \"%s\" is defined twice",
                         in->name);
    }
    itc_value *v = itc_value_new(im->g, ITC_VALUE_INPUT, in->name, type);
    itc_scope_bind_value(scope, in->name, as_exported(im, in, v));
    return ITC_OK;
}

static itc_status check_dims_used(itc_importer *im, const input_list *list, const bool *used)
{
    for (int k = 0; k < im->options->n_dims; k++) {
        const itc_import_dim *d = &im->options->dims[k];
        if (d->size < 1 || d->size > INT32_MAX) {
            return itc_error(im->ctx, NULL, ITC_RANGE, "E0210",
                             "--dim %s=%lld: the extent must be at least 1", d->name,
                             (long long)d->size);
        }
        if (!used[k]) {
            const input *first = &list->v[0];
            const bool batch = first->axis[first->batch].size < 0 &&
                               strcmp(axis_name(im, first, first->batch), d->name) == 0;
            return itc_error(im->ctx, NULL, ITC_RANGE, "E0210",
                             batch ? "--dim %s: that axis is the batch, see --batch"
                                   : "--dim %s: no input has a symbolic axis of this name",
                             d->name);
        }
    }
    return ITC_OK;
}

itc_status itc_onnx_import_inputs(itc_importer *im, itc_scope *scope)
{
    input_list list = {0};
    ITC_TRY(read_inputs(im, &list));
    ITC_TRY(fix_inputs(im, scope, &list));
    if (!im->options->shapes) {
        ITC_TRY(find_batch(im, &list));
    }
    bool *used = ITC_NEW_ARRAY(im->ctx, bool, im->options->n_dims);
    for (int i = 0; i < list.n; i++) {
        ITC_TRY(make_value(im, scope, &list.v[i], used));
    }
    return check_dims_used(im, &list, used);
}
