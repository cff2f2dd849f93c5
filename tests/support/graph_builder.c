#include "tests/support/graph_builder.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "passes/lifetime.h"
#include "runtime/numeric.h"
#include "runtime/tensors.h"

/* ---- numbers ---- */

double gb_uniform(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

uint64_t gb_hash(const char *name, uint64_t seed)
{
    uint64_t h = 0xcbf29ce484222325u ^ seed * 0x9e3779b97f4a7c15u;
    for (const char *p = name; *p; p++) {
        h = (h ^ (unsigned char)*p) * 0x100000001b3u;
    }
    return h;
}

/* ---- the notation ---- */

static const char *blanks(const char *s)
{
    return s + strspn(s, " \t\n;");
}

/** The word at *s; moves behind it. */
static char *word(itc_ctx *ctx, const char **s, const char *stop)
{
    *s += strspn(*s, " \t");
    const size_t n = strcspn(*s, stop);
    char *w = itc_strndup(ctx, *s, n);
    *s += n;
    return w;
}

static itc_type shape(const char **s, itc_dtype dtype)
{
    itc_type t = itc_type_scalar(dtype);
    *s += strspn(*s, " \t");
    assert_int_equal(**s, '[');
    for ((*s)++; **s != ']';) {
        char *end = NULL;
        itc_dim d = {strtol(*s, &end, 10), false};
        d.size = end == *s ? 1 : d.size;
        d.batch = *end == 'N';
        *s = end + d.batch;
        *s += **s == ',';
        t.dim[t.rank++] = d;
    }
    (*s)++;
    return t;
}

static void range(const char **s, double *lo, double *hi)
{
    char *end = NULL;
    *lo = -1;
    *hi = 1;
    *s += strspn(*s, " \t");
    if (**s && !strchr(";\n", **s)) {
        *lo = strtod(*s, &end); /* "0.5..1": the number ends at the second point */
        const char *dots = strstr(*s, "..");
        assert_non_null(dots);
        *hi = strtod(dots + 2, &end);
        *s = end;
    }
}

static int numbers(const char **s, double *v, int most)
{
    int n = 0;
    *s += strspn(*s, " \t");
    while (n < most && **s && !strchr(" ;\n", **s)) {
        char *end = NULL;
        v[n++] = strtod(*s, &end);
        assert_true(end > *s);
        *s = end + (*end == ',');
    }
    return n;
}

static itc_tensor *float_tensor(itc_ctx *ctx, const itc_type *t)
{
    int64_t dim[ITC_MAX_RANK] = {0};
    for (int i = 0; i < t->rank; i++) {
        dim[i] = t->dim[i].size;
    }
    return itc_tensor_new(ctx, ITC_F32, t->rank, dim);
}

static void add_port(gb_model *b, const char **s, bool ids)
{
    const char *name = word(b->ctx, s, " \t[");
    const itc_type t = shape(s, ids ? ITC_I64 : ITC_F32);
    itc_value *v = itc_value_new(b->g, ITC_VALUE_INPUT, name, t);
    v->onnx = v->name;
    assert_true(b->n_ports < GB_MAX_PORTS);
    struct gb_port *p = &b->port[b->n_ports++];
    p->name = v->name;
    range(s, &p->lo, &p->hi);
}

static void add_param(gb_model *b, const char **s)
{
    const char *name = word(b->ctx, s, " \t[");
    const itc_type t = shape(s, ITC_F32);
    double lo = 0, hi = 0;
    range(s, &lo, &hi);
    itc_value *v = itc_value_new(b->g, ITC_VALUE_PARAM, name, t);
    uint64_t random = gb_hash(name, b->seed);
    v->onnx = v->name;
    v->reason = "parameter";
    v->data = float_tensor(b->ctx, &t);
    for (int64_t i = 0; i < v->data->count; i++) {
        ((float *)v->data->data)[i] = (float)(lo + (hi - lo) * gb_uniform(&random));
    }
}

static void add_const(gb_model *b, const char **s)
{
    double v[64];
    const char *name = word(b->ctx, s, " \t[");
    const itc_type t = shape(s, ITC_F32);
    itc_tensor *data = float_tensor(b->ctx, &t);
    const int n = numbers(s, v, 64);
    assert_true(n > 0);
    for (int64_t i = 0; i < data->count; i++) {
        ((float *)data->data)[i] = (float)v[i % n];
    }
    itc_const_new(b->g, name, data)->reason = "Constant node"; /* or it would be trained */
}

static void add_ints(gb_model *b, const char **s)
{
    double v[16];
    int64_t list[16];
    const char *name = word(b->ctx, s, " \t");
    const int n = numbers(s, v, 16);
    for (int i = 0; i < n; i++) {
        list[i] = (int64_t)v[i];
    }
    itc_const_new(b->g, name, itc_tensor_i64(b->ctx, n, list));
}

static void add_attr(gb_model *b, itc_node *n, const char *name, const char *text)
{
    const itc_attr_spec *a = n->op->attrs;
    double v[16] = {0};
    int64_t list[16];
    while (a && a->name && strcmp(a->name, name) != 0) {
        a++;
    }
    assert_true(a && a->name);
    const char *s = text;
    const int count = a->kind == ITC_ATTR_STRING ? 0 : numbers(&s, v, 16);
    for (int i = 0; i < count; i++) {
        list[i] = (int64_t)v[i];
    }
    if (a->kind == ITC_ATTR_STRING) {
        itc_set_string(b->g, n, name, text);
    } else if (a->kind == ITC_ATTR_FLOAT) {
        itc_set_float(b->g, n, name, v[0]);
    } else if (a->kind == ITC_ATTR_INT) {
        itc_set_int(b->g, n, name, list[0]);
    } else if (a->kind == ITC_ATTR_FLOATS) {
        itc_attr_set(b->g, n, (itc_attr){.name = name, .kind = a->kind, .n = count, .u.floats = v});
    } else {
        itc_set_ints(b->g, n, name, count, list);
    }
}

static void add_output(gb_model *b, itc_value *v)
{
    const itc_output o = {v->name, v};
    ITC_PUSH(b->ctx, b->g->outputs, b->g->n_outputs, b->g->cap_outputs, o);
}

static void name_output(gb_model *b, const char **s)
{
    itc_value *v = itc_value_find(b->g, word(b->ctx, s, " ;\n"));
    assert_non_null(v);
    if (!b->has_outputs) {
        b->g->n_outputs = 0;
    }
    b->has_outputs = true;
    add_output(b, v);
}

/** y[, z …] = Op(a, _, b) name=value … */
static void add_node(gb_model *b, const char *out_name, const char **s)
{
    itc_value *in[16], *out[16] = {NULL};
    int n_in = 0, n_out = 1;
    out[0] = itc_value_new(b->g, ITC_VALUE_NODE, out_name, (itc_type){.exp_axis = -1});
    while (**s == ',') {
        *s += strspn(*s, ", ");
        out[n_out++] =
            itc_value_new(b->g, ITC_VALUE_NODE, word(b->ctx, s, ", ="), (itc_type){.exp_axis = -1});
    }
    *s += strspn(*s, " =\t");
    const char *op_name = word(b->ctx, s, " (");
    const itc_op_def *op = itc_op_named(op_name);
    if (!op) {
        fail_msg("no operator %s", op_name);
    }
    *s += strspn(*s, " (");
    while (**s != ')') {
        const char *name = word(b->ctx, s, ",) ");
        in[n_in] = strcmp(name, "_") == 0 ? NULL : itc_value_find(b->g, name);
        if (!in[n_in++] && strcmp(name, "_") != 0) {
            fail_msg("%s: no value %s", op_name, name);
        }
        *s += strspn(*s, ", ");
    }
    (*s)++;
    itc_node *n = itc_node_append(b->g, op, n_in, in, n_out, out);
    n->import_id = b->g->section[ITC_FORWARD].n;
    n->onnx_op = op->name;
    n->onnx_version = itc_op_version(op, b->g->opset);
    for (*s += strspn(*s, " "); **s && !strchr(";\n", **s); *s += strspn(*s, " ")) {
        const char *name = word(b->ctx, s, "=");
        (*s)++;
        add_attr(b, n, name, word(b->ctx, s, " ;\n"));
    }
    if (!b->has_outputs) {
        b->g->n_outputs = 0;
        add_output(b, out[0]);
    }
}

gb_model *gb_new(const char *text, uint64_t seed)
{
    itc_ctx *ctx = itc_ctx_new();
    gb_model *b = ITC_NEW(ctx, gb_model);
    b->ctx = ctx;
    b->seed = seed;
    b->g = itc_graph_new(ctx, "t");
    b->g->opset = 17;
    b->g->insert = ITC_FORWARD;
    const char *s = blanks(text);
    while (*s) {
        const char *first = word(ctx, &s, " ,=\t\n;");
        if (strcmp(first, "opset") == 0) {
            b->g->opset = (int32_t)strtol(s, (char **)(uintptr_t)&s, 10);
        } else if (strcmp(first, "in") == 0 || strcmp(first, "ids") == 0) {
            add_port(b, &s, first[1] == 'd');
        } else if (strcmp(first, "par") == 0) {
            add_param(b, &s);
        } else if (strcmp(first, "const") == 0) {
            add_const(b, &s);
        } else if (strcmp(first, "out") == 0) {
            name_output(b, &s);
        } else if (strcmp(first, "ints") == 0) {
            add_ints(b, &s);
        } else {
            add_node(b, first, &s);
        }
        s = blanks(s);
    }
    return b;
}

void gb_set(gb_model *b, const char *settings)
{
    const char *s = settings ? settings : "";
    for (s += strspn(s, " "); *s; s += strspn(s, " ")) {
        itc_attr a = {.name = word(b->ctx, &s, "=")};
        s++;
        const char *text = word(b->ctx, &s, " ");
        const bool digits = *text && text[strspn(text, "0123456789")] == '\0';
        a.kind = digits ? ITC_ATTR_INT : ITC_ATTR_STRING;
        if (digits) {
            a.u.i = strtoll(text, NULL, 10);
        } else {
            a.u.s = text;
        }
        itc_setting_set(b->g, a);
    }
}

/* ---- compiling ---- */

static void check(gb_model *b, itc_status s, const char *what)
{
    if (s != ITC_OK) {
        itc_diag_print(b->ctx, stderr);
        fail_msg("%s failed with status %d", what, (int)s);
    }
}

void gb_run_to(gb_model *b, itc_stage stage, const char *skip)
{
    const itc_pipeline_options opt = {.skip = skip, .verify_each = true};
    check(b, itc_run_to(b->g, stage, &opt), itc_stage_name(stage));
}

void gb_spread(gb_model *b)
{
    itc_graph *g = b->g;
    int64_t at = 0;
    for (int i = 0; i < g->n_values; i++) {
        itc_value *v = g->values[i];
        if (v->kind == ITC_VALUE_NODE && itc_storage_root(v) == v) {
            v->offset = at;
            at += (itc_value_bytes(g, v) + 63) / 64 * 64;
        }
    }
    g->arena_bytes = at;
    for (int i = 0; i < g->n_values; i++) {
        itc_value *v = g->values[i];
        if (v->kind == ITC_VALUE_NODE) {
            v->offset = itc_storage_root(v)->offset;
        }
    }
}

/* ---- data ---- */

/** Numbers as 20-bit mantissas: exact in float32, and more than int16 can hold. */
enum { DATA_EXPONENT = -16 };

static void fill_port(gb_model *b, itr_array *a, const itr_port_info *port, int64_t classes,
                      uint64_t seed)
{
    uint64_t random = gb_hash(port->name, seed);
    double lo = -1, hi = 1;
    for (int i = 0; i < b->n_ports; i++) {
        if (strcmp(b->port[i].name, port->name) == 0) {
            lo = b->port[i].lo;
            hi = b->port[i].hi;
        }
    }
    int32_t *x = (int32_t *)(uintptr_t)a->data;
    for (int64_t i = 0; i < port->elements * b->m->batch; i++) {
        const double u = gb_uniform(&random);
        x[i] = port->is_ids && lo >= 0 ? (int32_t)floor(lo + (hi - lo) * u)
               : port->is_ids          ? (int32_t)(u * (double)classes)
                              : (int32_t)nearbyint(ldexp(lo + (hi - lo) * u, -DATA_EXPONENT));
    }
    a->dtype = ITR_I32;
    a->exponent = port->is_ids ? 0 : DATA_EXPONENT;
}

void gb_refill(gb_model *b, uint64_t seed)
{
    for (int i = 0; i < b->m->input_count; i++) {
        fill_port(b, &b->in[i], &b->m->inputs[i], 1, seed);
    }
    for (int i = 0; i < b->m->target_count; i++) {
        fill_port(b, &b->target[i], &b->m->targets[i], b->m->targets[i].classes, seed);
    }
}

static itr_array room(gb_model *b, const itr_port_info *port)
{
    const itr_array a = {.data = ITC_NEW_ARRAY(b->ctx, int32_t, port->elements * b->m->batch)};
    return a;
}

void gb_start(gb_model *b)
{
    check(b, itc_program_new(b->g, &b->program), "itc_program_new");
    check(b, itc_eval_model(b->program, &b->m), "itc_eval_model");
    b->state = itc_eval_state_new(b->m);
    assert_true(b->m->input_count <= GB_MAX_PORTS && b->m->target_count <= GB_MAX_PORTS);
    for (int i = 0; i < b->m->input_count; i++) {
        b->in[i] = room(b, &b->m->inputs[i]);
    }
    for (int i = 0; i < b->m->target_count; i++) {
        b->target[i] = room(b, &b->m->targets[i]);
    }
    gb_refill(b, b->seed);
}

gb_model *gb_open(const char *text, uint64_t seed, const char *settings)
{
    gb_model *b = gb_new(text, seed);
    gb_set(b, settings);
    gb_run_to(b, ITC_STAGE_MEMORY, NULL);
    gb_start(b);
    return b;
}

gb_model *gb_adopt(itc_ctx *ctx, itc_graph *g, const gb_model *like)
{
    gb_model *b = ITC_NEW(ctx, gb_model);
    b->ctx = ctx;
    b->g = g;
    b->seed = like->seed;
    b->n_ports = like->n_ports;
    for (int i = 0; i < like->n_ports; i++) {
        b->port[i] = like->port[i];
        b->port[i].name = itc_strdup(ctx, like->port[i].name);
    }
    return b;
}

void gb_close(gb_model *b)
{
    itc_ctx_free(b->ctx);
}

/* ---- running ---- */

void gb_step(gb_model *b, int32_t n)
{
    assert_int_equal(b->m->step(b->state, b->in, b->target, n, &b->metrics), ITR_OK);
}

void gb_train(gb_model *b, int steps, int32_t n)
{
    for (int i = 0; i < steps; i++) {
        gb_refill(b, b->seed + (uint64_t)i);
        gb_step(b, n);
    }
}

void gb_digest(gb_model *b, uint8_t hash[32])
{
    itr_digest(b->m, b->state, hash);
}

/* ---- reading ---- */

itc_value *gb_value(const gb_model *b, const char *name)
{
    return itc_value_find(b->g, name);
}

int64_t gb_count(const itc_value *v, int64_t rows)
{
    return itc_type_elements(&v->type, rows);
}

int32_t gb_exponent(const gb_model *b, const itc_value *v)
{
    const itc_value *root = itc_value_root(v);
    if (itc_value_is_port(root)) {
        for (int i = 0; i < b->m->input_count; i++) {
            if (strcmp(b->m->inputs[i].name, root->onnx ? root->onnx : root->name) == 0) {
                return b->in[i].exponent;
            }
        }
        for (int i = 0; i < b->m->target_count; i++) {
            if (strcmp(b->m->targets[i].name, root->name) == 0) {
                return b->target[i].exponent;
            }
        }
    }
    if (itc_value_exponents(v) == 0) {
        return 0;
    }
    return v->exp.slot >= 0 ? b->m->exponents(b->state)[v->exp.slot] : v->exp.offset;
}

int64_t gb_mantissa(const gb_model *b, const itc_value *v, int64_t i)
{
    const void *p = itc_eval_value(b->m, b->state, v);
    switch (v->type.dtype) {
    case ITC_I8:
        return ((const int8_t *)p)[i];
    case ITC_I16:
        return ((const int16_t *)p)[i];
    case ITC_I32:
        return ((const int32_t *)p)[i];
    case ITC_I64:
        return ((const int64_t *)p)[i];
    case ITC_U8:
    case ITC_BOOL:
        return ((const uint8_t *)p)[i];
    case ITC_F32:
    case ITC_DTYPE_COUNT:
        break;
    }
    fail_msg("%s has no mantissas", v->name);
    return 0;
}

void gb_read(const gb_model *b, const itc_value *v, int64_t count, double *out)
{
    if (v->type.dtype == ITC_F32) {
        const float *f = itc_eval_value(b->m, b->state, v);
        for (int64_t i = 0; i < count; i++) {
            out[i] = (double)f[i];
        }
        return;
    }
    const int32_t e = v->type.bits > 0 ? gb_exponent(b, v) : 0;
    for (int64_t i = 0; i < count; i++) {
        out[i] = ldexp((double)gb_mantissa(b, v, i), e);
    }
}

void gb_read_port(const itr_array *a, int64_t count, double *out)
{
    for (int64_t i = 0; i < count; i++) {
        out[i] = ldexp((double)((const int32_t *)a->data)[i], a->exponent);
    }
}
