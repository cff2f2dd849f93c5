#include "tests/backend/node_test.h"

#include <string.h>
#include <unistd.h>

#include "codegen/codegen.h"
#include "codegen/eval.h"
#include "frontend/onnx_import.h"
#include "frontend/onnx_model.h"
#include "passes/pass.h"
#include "tests/backend/compare.h"

#define MAX_FILE ((size_t)256 << 20)
#define MAX_PORTS 64

/** A tensor of a data set; `data` is NULL for an optional one that is left out. */
typedef struct port {
    const char *name;
    int32_t onnx_type;
    itc_tensor *data;
} port;

typedef struct data_set {
    port in[MAX_PORTS], out[MAX_PORTS];
    int n_in, n_out;
} data_set;

typedef struct node_test {
    itc_ctx *ctx;
    itc_onnx_model *model;
    const char *dir;
    const char *text; /**< what went wrong */
} node_test;

/* ---- files ---- */

static node_outcome outcome_of(node_test *t, itc_status s)
{
    const itc_diag *d = itc_diag_get(t->ctx, 0);
    t->text = d ? itc_format(t->ctx, "%s%s%s: %s", d->where ? d->where : "", d->where ? ": " : "",
                             d->id, d->text)
                : "no message";
    return s == ITC_UNSUPPORTED ? NODE_REFUSED : NODE_FAILED;
}

/** Refuses data whose extents are not those that the model states (onnx's castlike tests). */
static itc_status check_extents(node_test *t, const port *p, const Onnx__TypeProto__Tensor *type)
{
    const Onnx__TensorShapeProto *shape = type->shape;
    const int rank = p->data->rank;
    for (int i = 0; shape && i < (int)shape->n_dim; i++) {
        const Onnx__TensorShapeProto__Dimension *d = shape->dim[i];
        if ((int)shape->n_dim != rank ||
            (d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE &&
             d->dim_value != p->data->dim[i])) {
            return itc_error(t->ctx, NULL, ITC_UNSUPPORTED, "E0209",
                             "\"%s\" has other extents than the model states", p->name);
        }
    }
    return ITC_OK;
}

/** Bits of bfloat16 are stored as if they were uint16. */
static itc_status read_tensor(node_test *t, const char *path, int32_t type, port *p)
{
    char *bytes = NULL;
    size_t n = 0;
    ITC_TRY(itc_read_file(t->ctx, path, MAX_FILE, &bytes, &n));
    Onnx__TensorProto *proto = onnx__tensor_proto__unpack(NULL, n, (const uint8_t *)bytes);
    if (!proto) {
        return itc_error(t->ctx, NULL, ITC_PARSE, "E0200", "%s is no tensor", path);
    }
    itc_onnx_source source = {t->ctx, NULL, INT64_MAX};
    if (type == ITC_ONNX_BFLOAT16 && proto->data_type == ITC_ONNX_UINT16) {
        proto->data_type = type;
    }
    p->onnx_type = proto->data_type;
    const itc_status s = itc_onnx_tensor_decode(&source, p->name, proto, &p->data);
    onnx__tensor_proto__free_unpacked(proto, NULL);
    return s;
}

static bool is_initializer(const Onnx__GraphProto *g, const char *name)
{
    for (size_t i = 0; i < g->n_initializer; i++) {
        if (strcmp(itc_onnx_text(g->initializer[i]->name), name) == 0) {
            return true;
        }
    }
    return false;
}

/** The files of the graph's inputs, or of its outputs: KIND_0.pb and so on. */
static itc_status read_ports(node_test *t, const char *folder, const char *kind, size_t n,
                             Onnx__ValueInfoProto **info, port *to, int *count)
{
    int file = 0;
    for (size_t i = 0; i < n; i++) {
        const char *name = itc_onnx_text(info[i]->name);
        const Onnx__TypeProto *type = info[i]->type;
        const bool tensor = type && type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
        if (is_initializer(t->model->proto->graph, name)) {
            continue;
        }
        if (*count == MAX_PORTS || !tensor) {
            return itc_error(t->ctx, NULL, ITC_UNSUPPORTED, "E0209", "%s \"%s\" is no tensor", kind,
                             name);
        }
        to[*count].name = name;
        const char *path = itc_format(t->ctx, "%s/%s_%d.pb", folder, kind, file++);
        if (access(path, R_OK) != 0) {
            return itc_error(t->ctx, NULL, ITC_IO, "E0001", "%s is missing", path);
        }
        ITC_TRY(read_tensor(t, path, type->tensor_type->elem_type, &to[*count]));
        ITC_TRY(check_extents(t, &to[(*count)++], type->tensor_type));
    }
    return ITC_OK;
}

/* ---- what a test is of ---- */

static bool is_number(int32_t type)
{
    switch (type) {
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT:
    case ONNX__TENSOR_PROTO__DATA_TYPE__UINT8:
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT8:
    case ONNX__TENSOR_PROTO__DATA_TYPE__UINT16:
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT16:
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT32:
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT64:
    case ONNX__TENSOR_PROTO__DATA_TYPE__BOOL:
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16:
    case ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE:
    case ONNX__TENSOR_PROTO__DATA_TYPE__UINT32:
    case ONNX__TENSOR_PROTO__DATA_TYPE__UINT64:
    case ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16:
        return true;
    default:
        return false;
    }
}

static bool are_numbers(size_t n, Onnx__ValueInfoProto **info)
{
    for (size_t i = 0; i < n; i++) {
        const Onnx__TypeProto *type = info[i]->type;
        if (!type || type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE ||
            !is_number(type->tensor_type->elem_type)) {
            return false;
        }
    }
    return true;
}

bool node_test_subject(itc_ctx *ctx, const char *dir, node_subject *out)
{
    itc_onnx_model *model = NULL;
    if (itc_onnx_read(ctx, itc_format(ctx, "%s/model.onnx", dir), &model) != ITC_OK) {
        return false;
    }
    const Onnx__GraphProto *g = model->proto->graph;
    out->op =
        g->n_node == 1 ? itc_strdup(ctx, itc_onnx_text(g->node[0]->op_type)) : "several operators";
    out->numbers = are_numbers(g->n_input, g->input) && are_numbers(g->n_output, g->output);
    itc_onnx_close(model);
    return true;
}

/* ---- what must be known when compiling ---- */

/** Marks the operands that lead to v through nodes; Shape and its like need types alone. */
static void mark_origins(itc_graph *g, itc_value *v, bool *known)
{
    if (!v || known[v->id]) {
        return;
    }
    known[v->id] = true;
    const itc_node *n = v->kind == ITC_VALUE_NODE ? v->def : NULL;
    for (int i = 0; n && n->op && !(n->op->flags & ITC_OP_TYPE_FOLD) && i < n->n_in; i++) {
        mark_origins(g, n->in[i], known);
    }
}

/**
 * Inputs that an operator takes as shape, axis or other constant (its row says so) become
 * constants, as an exporter would have written them; the others stay inputs.
 */
static void bind_constants(itc_graph *g, const data_set *d)
{
    bool *known = ITC_NEW_ARRAY(g->ctx, bool, g->n_values + 1);
    const itc_node_list *list = &g->section[ITC_FORWARD];
    for (int k = 0; k < list->n; k++) {
        const itc_node *n = list->node[k];
        for (int i = 0; n->op && i < n->n_in; i++) {
            if (itc_op_role(n->op, i) == ITC_IN_CONST) {
                mark_origins(g, n->in[i], known);
            }
        }
    }
    for (int i = 0; i < d->n_in; i++) {
        itc_value *v = itc_value_find(g, d->in[i].name);
        if (v && v->kind == ITC_VALUE_INPUT && known[v->id]) {
            v->kind = ITC_VALUE_CONST;
            v->data = d->in[i].data;
            v->reason = "known when compiling";
        }
    }
}

/* ---- what the interpreter cannot be compared in ---- */

static bool draws(const itc_node *n)
{
    const itc_op_def *const random[] = {&itc_op_RandomNormal, &itc_op_RandomNormalLike,
                                        &itc_op_RandomUniform, &itc_op_RandomUniformLike,
                                        &itc_op_Bernoulli};
    for (size_t i = 0; i < sizeof random / sizeof random[0]; i++) {
        if (n->op == random[i]) {
            return true;
        }
    }
    return false;
}

/**
 * A program that only evaluates has no dropout, no random numbers but their mean, and normalises
 * with running statistics; the tests of what training does expect NumPy's random numbers, or
 * statistics of the batch.
 */
static itc_status check_training(itc_graph *g)
{
    const itc_node_list *list = &g->section[ITC_FORWARD];
    for (int k = 0; k < list->n; k++) {
        const itc_node *n = list->node[k];
        const itc_value *mode = n->n_in > 2 ? n->in[2] : NULL,
                        *ratio = n->n_in > 1 ? n->in[1] : NULL;
        const bool drops = n->op == &itc_op_Dropout && mode && mode->data &&
                           itc_tensor_get_int(mode->data, 0) != 0 &&
                           !(ratio && ratio->data && itc_tensor_get(ratio->data, 0) <= 0);
        const bool trains = n->op == &itc_op_BatchNormalization && itc_int(n, "training_mode") != 0;
        if (drops || trains || draws(n)) {
            return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0201",
                             "%s in training mode, where nothing is trained, is not supported",
                             n->op->name);
        }
    }
    return ITC_OK;
}

/* ---- compile, run, compare ---- */

static itc_status compile(node_test *t, const data_set *d, itc_model_info **info)
{
    itc_graph *g = NULL;
    itc_program *p = NULL;
    itc_import_shape shape[MAX_PORTS];
    for (int i = 0; i < d->n_in; i++) {
        shape[i] = (itc_import_shape){.name = d->in[i].name, .rank = d->in[i].data->rank};
        memcpy(shape[i].dim, d->in[i].data->dim, sizeof shape[i].dim);
    }
    const itc_import_options opt = {.shapes = shape, .n_shapes = d->n_in};
    ITC_TRY(itc_onnx_import(t->ctx, t->model, &opt, &g));
    bind_constants(g, d);
    ITC_TRY(check_training(g));
    itc_setting_set(g, (itc_attr){.name = "loss", .kind = ITC_ATTR_STRING, .u.s = "none"});
    itc_setting_set(g, (itc_attr){.name = "arith", .kind = ITC_ATTR_STRING, .u.s = "float32"});
    itc_setting_set(g, (itc_attr){.name = "batch", .kind = ITC_ATTR_INT, .u.i = 1});
    ITC_TRY(itc_run_to(g, ITC_STAGE_MEMORY, NULL));
    ITC_TRY(itc_program_new(g, &p));
    return itc_model_info_new(p, g->name, info);
}

static itr_array array_of(const itc_tensor *t)
{
    return (itr_array){t->data, itc_runtime_dtype(t->dtype), 0};
}

static const itc_tensor *find(const port *p, int n, const char *name, int32_t *onnx_type)
{
    for (int i = 0; i < n; i++) {
        if (strcmp(p[i].name, name) == 0) {
            *onnx_type = p[i].onnx_type;
            return p[i].data;
        }
    }
    return NULL;
}

static const char *run(node_test *t, const data_set *d, itr_model *m, itc_model_info *info)
{
    itr_array in[MAX_PORTS];
    itr_output out[MAX_PORTS] = {{NULL, NULL}};
    int32_t type = 0;
    if (m->output_count != d->n_out) {
        return itc_format(t->ctx, "%d outputs, expected %d", m->output_count, d->n_out);
    }
    for (int i = 0; i < m->input_count; i++) {
        in[i] = array_of(find(d->in, d->n_in, m->inputs[i].name, &type));
    }
    for (int i = 0; i < m->output_count; i++) {
        out[i].data = itc_alloc(
            t->ctx, (size_t)m->outputs[i].elements * itr_dtype_size(m->outputs[i].dtype) + 1);
    }
    const itr_status s = m->infer(itc_eval_state_new(m), in, 1, out);
    if (s != ITR_OK) {
        return itc_format(t->ctx, "the program answers status %d", (int)s);
    }
    for (int i = 0; i < m->output_count; i++) {
        const itc_tensor *want = find(d->out, d->n_out, m->outputs[i].name, &type);
        const char *wrong = want ? backend_compare(t->ctx, want, type,
                                                   &info->g->outputs[i].value->type, out[i].data)
                                 : "is not expected";
        if (wrong) {
            return itc_format(t->ctx, "output \"%s\" %s", m->outputs[i].name, wrong);
        }
    }
    return NULL;
}

static node_outcome run_data_set(node_test *t, const char *folder)
{
    data_set *d = ITC_NEW(t->ctx, data_set);
    const Onnx__GraphProto *g = t->model->proto->graph;
    itc_model_info *info = NULL;
    itr_model *m = NULL;
    itc_status s = read_ports(t, folder, "input", g->n_input, g->input, d->in, &d->n_in);
    s = s == ITC_OK ? read_ports(t, folder, "output", g->n_output, g->output, d->out, &d->n_out)
                    : s;
    s = s == ITC_OK ? compile(t, d, &info) : s;
    s = s == ITC_OK ? itc_eval_model_of(info, &m) : s;
    if (s != ITC_OK) {
        return outcome_of(t, s);
    }
    t->text = run(t, d, m, info);
    return t->text ? NODE_FAILED : NODE_PASSED;
}

node_outcome node_test_run(itc_ctx *ctx, const char *dir, const char **text)
{
    node_test t = {.ctx = ctx, .dir = dir};
    node_outcome outcome = NODE_PASSED;
    int sets = 0;
    const itc_status s = itc_onnx_read(ctx, itc_format(ctx, "%s/model.onnx", dir), &t.model);
    if (s != ITC_OK) {
        outcome = outcome_of(&t, s);
        *text = t.text;
        return outcome;
    }
    for (; outcome == NODE_PASSED; sets++) {
        const char *folder = itc_format(ctx, "%s/test_data_set_%d", dir, sets);
        if (access(folder, R_OK) != 0) {
            break;
        }
        outcome = run_data_set(&t, folder);
    }
    if (sets == 0) {
        t.text = "no test_data_set_0";
        outcome = NODE_FAILED;
    }
    itc_onnx_close(t.model);
    *text = t.text ? t.text : "";
    return outcome;
}
