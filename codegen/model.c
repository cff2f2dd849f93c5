#include "codegen/model.h"

#include <stdlib.h>
#include <string.h>

#include "codegen/names.h"
#include "runtime/host/args.h"
#include "runtime/host/decimal.h"
#include "runtime/tensors.h"

#ifndef ITC_VERSION
#define ITC_VERSION "0.1.0"
#endif

const char *itc_version(void)
{
    return ITC_VERSION;
}

static const char *tensor_name(const itc_value *v)
{
    return v->onnx ? v->onnx : v->name;
}

static int by_name(const void *a, const void *b)
{
    const itc_value *const *x = a, *const *y = b;
    const int order = strcmp(tensor_name(*x), tensor_name(*y));
    return order != 0 ? order : strcmp((*x)->name, (*y)->name);
}

/** Dims of a sample and their product; the first axis goes where it counts rows alone. */
static itr_port_info describe_port(const char *name, const itc_value *v)
{
    itr_port_info port = {.name = name, .elements = 1};
    port.is_ids = v->exp.kind == ITC_EXP_NONE && v->type.dtype != ITC_F32;
    for (int i = 0; i < v->type.rank; i++) {
        const itc_dim d = v->type.dim[i];
        if (!d.batch || d.size != 1) {
            port.dims[port.rank++] = d.size;
        }
        port.elements *= d.size;
    }
    return port;
}

static void collect(itc_model_info *info)
{
    itc_graph *g = info->g;
    itr_model *m = &info->model;
    info->inputs = ITC_NEW_ARRAY(g->ctx, const itc_value *, g->n_values + 1);
    info->targets = ITC_NEW_ARRAY(g->ctx, const itc_value *, g->n_values + 1);
    info->state = ITC_NEW_ARRAY(g->ctx, const itc_value *, g->n_values + 1);
    info->port_index = ITC_NEW_ARRAY(g->ctx, int32_t, g->n_values + 1);
    for (int i = 0; i < g->n_values; i++) {
        const itc_value *v = g->values[i];
        if (v->kind == ITC_VALUE_INPUT) {
            info->port_index[i] = m->input_count;
            info->inputs[m->input_count++] = v;
        } else if (v->kind == ITC_VALUE_TARGET) {
            info->port_index[i] = m->target_count;
            info->targets[m->target_count++] = v;
        } else if (itc_value_is_state(v)) {
            info->state[m->tensor_count++] = v;
        }
    }
    qsort(info->state, (size_t)m->tensor_count, sizeof *info->state, by_name);
}

static itc_status describe_tensors(itc_model_info *info)
{
    itc_graph *g = info->g;
    const int n = info->model.tensor_count;
    info->tensors = ITC_NEW_ARRAY(g->ctx, itr_tensor_info, n + 1);
    for (int i = 0; i < n; i++) {
        const itc_value *v = info->state[i];
        itr_tensor_info *t = &info->tensors[i];
        t->name = tensor_name(v);
        t->kind = v->kind == ITC_VALUE_PARAM  ? ITR_PARAM
                  : v->kind == ITC_VALUE_SLOT ? ITR_SLOT
                                              : ITR_STAT;
        t->dtype = itc_runtime_dtype(v->type.dtype);
        t->rank = v->type.rank;
        for (int k = 0; k < v->type.rank; k++) {
            t->dims[k] = v->type.dim[k].size;
        }
        t->exp_count = itc_value_exponents(v);
        t->bits = v->type.dtype == ITC_F32 ? 0 : itc_term_bits(&v->type);
        t->exp_index = t->exp_count > 0 ? v->exp.slot : -1;
        if (v->data && v->data->data && v->data->dtype != v->type.dtype) {
            return itc_error(g->ctx, NULL, ITC_INTERNAL, "E0405",
                             "the contents of state \"%s\" are %s, its type is %s", v->name,
                             itc_dtype_name(v->data->dtype), itc_type_text(g->ctx, &v->type));
        }
    }
    info->model.tensors = info->tensors;
    return ITC_OK;
}

static itc_status describe_ports(itc_model_info *info)
{
    itc_graph *g = info->g;
    itr_model *m = &info->model;
    itr_port_info *in = ITC_NEW_ARRAY(g->ctx, itr_port_info, m->input_count + 1);
    itr_port_info *target = ITC_NEW_ARRAY(g->ctx, itr_port_info, m->target_count + 1);
    itr_port_info *out = ITC_NEW_ARRAY(g->ctx, itr_port_info, g->n_outputs + 1);
    for (int i = 0; i < m->input_count; i++) {
        in[i] = describe_port(info->inputs[i]->onnx ? info->inputs[i]->onnx : info->inputs[i]->name,
                              info->inputs[i]);
    }
    for (int i = 0; i < m->target_count; i++) {
        target[i] = describe_port(info->targets[i]->name, info->targets[i]);
    }
    for (int i = 0; i < g->n_outputs; i++) {
        const itc_value *v = g->outputs[i].value;
        if (itc_value_is_port(itc_value_root(v)) || itc_value_exponents(v) > 1) {
            return itc_error(g->ctx, v->def, ITC_UNSUPPORTED, "E0407", "output \"%s\" %s",
                             g->outputs[i].name,
                             itc_value_exponents(v) > 1 ? "has more than one exponent"
                                                        : "is an input of the model");
        }
        out[i] = describe_port(g->outputs[i].name, v);
        out[i].dtype = itc_runtime_dtype(v->type.dtype);
    }
    m->inputs = in;
    m->targets = target;
    m->outputs = out;
    m->output_count = g->n_outputs;
    return ITC_OK;
}

/** Classes of the targets that a cross-entropy compares with, as its records say. */
static void find_classes(itc_model_info *info, const itc_record_list *list)
{
    itr_port_info *targets = (itr_port_info *)(uintptr_t)info->model.targets;
    for (int i = 0; i < list->n; i++) {
        const itc_record *r = list->record[i];
        if (r->body) {
            find_classes(info, r->body);
        }
        if (r->kind != ITC_RECORD_CALL) {
            continue;
        }
        const int target = itc_kernel_field(r->kernel, "target");
        const int axis = itc_kernel_field(r->kernel, "axis");
        if (target < 0 || axis < 0 || r->args[target].n_terms == 0) {
            continue;
        }
        const itc_value *v = itc_value_root(r->args[target].terms[0].x);
        info->model.counts_correct = true;
        if (v->kind == ITC_VALUE_TARGET) {
            itr_port_info *port = &targets[info->port_index[v->id]];
            const int ignore = itc_kernel_field(r->kernel, "ignore_index");
            const int64_t id = ignore >= 0 ? r->args[ignore].i : INT32_MIN;
            port->classes = r->args[axis].dim.size;
            port->ignored = id != INT32_MIN ? (int32_t)id : 0;
        }
    }
}

static void count_slots(itc_model_info *info)
{
    const itc_graph *g = info->g;
    info->n_exponents = g->n_exponents;
    info->slot_count = ITC_NEW_ARRAY(g->ctx, int32_t, g->n_exponents + 1);
    for (int i = 0; i < g->n_exponents; i++) {
        info->slot_count[i] = 1;
    }
    for (int i = 0; i < g->n_values; i++) {
        const itc_value *v = g->values[i];
        const int32_t n = itc_value_exponents(v);
        if (v->exp.slot >= 0 && v->exp.slot < g->n_exponents && n > info->slot_count[v->exp.slot]) {
            info->slot_count[v->exp.slot] = n;
        }
    }
}

/** A setting as the text that a user would write; "" without one. */
static const char *setting_text(const itc_graph *g, const char *name)
{
    const itc_attr *a = itc_setting(g, name);
    if (!a) {
        return "";
    }
    return a->kind == ITC_ATTR_STRING  ? a->u.s
           : a->kind == ITC_ATTR_FLOAT ? itc_name_number(g->ctx, a->u.f)
           : a->kind == ITC_ATTR_INT   ? itc_format(g->ctx, "%lld", (long long)a->u.i)
                                       : "";
}

static itc_status read_settings(itc_model_info *info)
{
    itc_graph *g = info->g;
    itr_model *m = &info->model;
    const int64_t batch = itc_setting_int(g, "batch", 64);
    const int64_t micro = itc_setting_int(g, "micro_batch", 0);
    if (batch < 1 || batch > INT32_MAX) {
        return itc_error(g->ctx, NULL, ITC_RANGE, "E0408", "batch %lld is out of range",
                         (long long)batch);
    }
    m->arith = itc_setting_string(g, "arith", "int8");
    info->is_float = strcmp(m->arith, "float32") == 0;
    m->batch = (int32_t)batch;
    m->micro_batch = micro > 0 && micro < batch ? (int32_t)micro : (int32_t)batch;
    m->max_threads = (int32_t)itc_setting_int(g, "max_threads", 16);
    m->seed = (uint64_t)itc_setting_int(g, "seed", 0);
    const char *schedule = setting_text(g, "schedule");
    const char *lr = setting_text(g, "lr");
    if (!itr_parse_schedule(schedule[0] ? schedule : "constant", &m->schedule)) {
        return itc_error(g->ctx, NULL, ITC_RANGE, "E0408", "schedule %s is not understood",
                         schedule);
    }
    if (!itr_parse_scalar(lr[0] ? lr : "0.05", &m->schedule.lr) || m->schedule.lr.m < 0) {
        return itc_error(g->ctx, NULL, ITC_RANGE, "E0408", "learning rate %s is out of range", lr);
    }
    m->schedule.warmup = itc_setting_int(g, "warmup", 0);
    return ITC_OK;
}

static const char *settings_json(const itc_graph *g)
{
    itc_strbuf b;
    itc_strbuf_init(&b, g->ctx);
    for (int i = 0; i < g->n_settings; i++) {
        const itc_attr *a = &g->settings[i];
        itc_strbuf_printf(&b, "%s%s:", i > 0 ? "," : "{", itc_name_json(g->ctx, a->name));
        if (a->kind == ITC_ATTR_INT || a->kind == ITC_ATTR_FLOAT) {
            itc_strbuf_add(&b, setting_text(g, a->name));
        } else {
            itc_strbuf_add(&b, itc_name_json(g->ctx, setting_text(g, a->name)));
        }
    }
    itc_strbuf_add(&b, g->n_settings > 0 ? "}" : "{}");
    return b.text;
}

/** Settings without what a checkpoint brings along or what cannot change a bit. */
static int planned_settings(const itc_graph *g, itc_attr *kept)
{
    static const char *const other[] = {"lr",           "schedule",    "warmup", "seed",
                                        "memory_limit", "max_threads", "target"};
    int n = 0;
    for (int i = 0; i < g->n_settings; i++) {
        bool keep = true;
        for (size_t k = 0; k < sizeof other / sizeof other[0]; k++) {
            keep = keep && strcmp(g->settings[i].name, other[k]) != 0;
        }
        if (keep) {
            kept[n++] = g->settings[i];
        }
    }
    return n;
}

/** Hash of the text before memory planning: where values lie is taken out, and put back. */
static void hash_plan(itc_graph *g, uint8_t hash[32])
{
    typedef struct place {
        int64_t offset;
        itc_value *storage;
    } place;
    const itc_stage stage = g->stage;
    const int64_t arena = g->arena_bytes;
    itc_attr *settings = g->settings;
    const int n_settings = g->n_settings;
    const itc_print_options opt = {NULL, false};
    place *was = ITC_NEW_ARRAY(g->ctx, place, g->n_values + 1);
    itc_strbuf text;
    itc_strbuf_init(&text, g->ctx);
    for (int i = 0; i < g->n_values; i++) {
        was[i] = (place){g->values[i]->offset, g->values[i]->storage};
        g->values[i]->offset = -1;
        g->values[i]->storage = NULL;
    }
    g->stage = ITC_STAGE_PLAN;
    g->arena_bytes = 0;
    g->settings = ITC_NEW_ARRAY(g->ctx, itc_attr, n_settings + 1);
    g->n_settings =
        planned_settings(&(itc_graph){.settings = settings, .n_settings = n_settings}, g->settings);
    itc_print(g, &opt, &text, NULL);
    g->stage = stage;
    g->arena_bytes = arena;
    g->settings = settings;
    g->n_settings = n_settings;
    for (int i = 0; i < g->n_values; i++) {
        g->values[i]->offset = was[i].offset;
        g->values[i]->storage = was[i].storage;
    }
    itc_sha256(text.text, text.len, hash);
}

itc_status itc_model_info_new(const itc_program *p, const char *stem, itc_model_info **out)
{
    itc_graph *g = p->g;
    itc_model_info *info = ITC_NEW(g->ctx, itc_model_info);
    info->g = g;
    info->program = p;
    info->model.name = itc_name_model(g->ctx, stem);
    info->model.compiler = itc_version();
    ITC_TRY(read_settings(info));
    collect(info);
    ITC_TRY(describe_tensors(info));
    ITC_TRY(describe_ports(info));
    find_classes(info, &p->step);
    find_classes(info, &p->score);
    count_slots(info);
    itc_model_watch(info);
    info->model.settings_json = settings_json(g);
    memcpy(info->model.model_hash, g->model_hash, sizeof g->model_hash);
    hash_plan(g, info->model.plan_hash);
    *out = info;
    return ITC_OK;
}
