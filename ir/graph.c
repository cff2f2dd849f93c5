#include <string.h>

#include "ir/op.h"

/* ---- names: an open-addressing table from a name to its value ---- */

typedef struct name_entry {
    const char *name;
    itc_value *value; /**< NULL: the name was only a hint whose suffixes are counted here */
    uint32_t hash;
    uint32_t next_suffix;
} name_entry;

typedef struct name_table {
    name_entry *entry;
    uint32_t n, cap; /**< cap is a power of two, n <= cap / 2 */
} name_table;

static uint32_t hash_text(const char *s)
{
    uint32_t h = 2166136261u;
    for (; *s != '\0'; s++) {
        h = (h ^ (uint8_t)*s) * 16777619u;
    }
    return h;
}

static name_entry *slot_for(const name_table *t, const char *name, uint32_t hash)
{
    uint32_t i = hash & (t->cap - 1);
    while (t->entry[i].name && (t->entry[i].hash != hash || strcmp(t->entry[i].name, name) != 0)) {
        i = (i + 1) & (t->cap - 1);
    }
    return &t->entry[i];
}

static void name_table_init(itc_ctx *ctx, name_table *t, uint32_t cap)
{
    t->entry = ITC_NEW_ARRAY(ctx, name_entry, cap);
    t->cap = cap;
    t->n = 0;
}

/** The entry of a name, made where there is none. */
static name_entry *name_entry_of(itc_graph *g, const char *name)
{
    name_table *t = g->names;
    if (t->n >= t->cap / 2) {
        const name_table old = *t;
        name_table_init(g->ctx, t, old.cap * 2);
        for (uint32_t i = 0; i < old.cap; i++) {
            if (old.entry[i].name) {
                *slot_for(t, old.entry[i].name, old.entry[i].hash) = old.entry[i];
                t->n++;
            }
        }
    }
    const uint32_t hash = hash_text(name);
    name_entry *e = slot_for(t, name, hash);
    if (!e->name) {
        e->name = name;
        e->hash = hash;
        e->next_suffix = 1;
        t->n++;
    }
    return e;
}

/** Gives v the name `hint`, or hint.1, hint.2, … where that is taken. */
static void take_name(itc_graph *g, itc_value *v, const char *hint)
{
    const char *name = itc_strdup(g->ctx, hint && hint[0] != '\0' ? hint : "v");
    name_entry *e = name_entry_of(g, name);
    while (e->value) {
        const char *next = itc_format(g->ctx, "%s.%u", name, (unsigned)e->next_suffix++);
        name_entry *f = name_entry_of(g, next);
        if (!f->value) {
            e = f;
            break;
        }
        e = name_entry_of(g, name); /* the table may have grown */
    }
    e->value = v;
    v->name = e->name;
}

itc_graph *itc_graph_new(itc_ctx *ctx, const char *name)
{
    itc_graph *g = ITC_NEW(ctx, itc_graph);
    g->ctx = ctx;
    g->name = itc_strdup(ctx, name);
    g->insert = ITC_FORWARD;
    name_table *t = ITC_NEW(ctx, name_table);
    name_table_init(ctx, t, 64);
    g->names = t;
    return g;
}

itc_value *itc_value_new(itc_graph *g, itc_value_kind kind, const char *hint, itc_type type)
{
    itc_value *v = ITC_NEW(g->ctx, itc_value);
    v->id = g->n_values;
    v->kind = kind;
    v->type = type;
    v->exp.slot = -1;
    v->offset = -1;
    take_name(g, v, hint);
    ITC_PUSH(g->ctx, g->values, g->n_values, g->cap_values, v);
    return v;
}

void itc_value_rename(itc_graph *g, itc_value *v, const char *hint)
{
    name_entry *e = slot_for(g->names, v->name, hash_text(v->name));
    if (e->value == v) {
        e->value = NULL;
    }
    take_name(g, v, hint);
}

itc_value *itc_value_find(const itc_graph *g, const char *name)
{
    return slot_for(g->names, name, hash_text(name))->value;
}

itc_value *itc_const_new(itc_graph *g, const char *hint, itc_tensor *data)
{
    itc_value *v = itc_value_new(g, ITC_VALUE_CONST, hint, itc_tensor_type(data));
    v->data = data;
    return v;
}

/* ---- nodes ---- */

itc_node *itc_node_append(itc_graph *g, const itc_op_def *op, int n_in, itc_value *const *in,
                          int n_out, itc_value *const *out)
{
    itc_node *n = ITC_NEW(g->ctx, itc_node);
    n->op = op;
    n->section = g->insert;
    n->n_in = n_in;
    n->in = ITC_NEW_ARRAY(g->ctx, itc_value *, n_in);
    for (int i = 0; i < n_in; i++) {
        n->in[i] = in[i];
    }
    n->n_out = n_out;
    n->out = ITC_NEW_ARRAY(g->ctx, itc_value *, n_out);
    for (int i = 0; i < n_out; i++) {
        n->out[i] = out ? out[i] : NULL;
        if (n->out[i]) {
            n->out[i]->def = n;
            n->out[i]->out_index = i;
        }
    }
    itc_node_list *list = &g->section[g->insert];
    ITC_PUSH(g->ctx, list->node, list->n, list->cap, n);
    return n;
}

static char *lower_case(itc_ctx *ctx, const char *s)
{
    char *copy = itc_strdup(ctx, s);
    for (char *p = copy; *p != '\0'; p++) {
        if (*p >= 'A' && *p <= 'Z') {
            *p = (char)(*p - 'A' + 'a');
        }
    }
    return copy;
}

/** Drops ".3" and then ".conv2" from "h.conv2.3", so that names made from names stay short. */
static char *name_stem(itc_ctx *ctx, const char *name, const char *suffix)
{
    size_t n = strlen(name);
    size_t digits = n;
    while (digits > 0 && name[digits - 1] >= '0' && name[digits - 1] <= '9') {
        digits--;
    }
    if (digits > 1 && digits < n && name[digits - 1] == '.') {
        n = digits - 1;
    }
    const size_t len = strlen(suffix);
    if (n > len + 1 && name[n - len - 1] == '.' && memcmp(name + n - len, suffix, len) == 0) {
        n -= len + 1;
    }
    return itc_strndup(ctx, name, n);
}

/** `h.relu` for a Relu made on behalf of the node that makes h. */
static const char *output_hint(itc_graph *g, const itc_op_def *op, const itc_node *origin)
{
    const char *own = lower_case(g->ctx, op ? op->name : "v");
    if (!origin || origin->n_out == 0 || !origin->out[0]) {
        return own;
    }
    const char *theirs = lower_case(g->ctx, origin->op ? origin->op->name : "");
    const char *stem = name_stem(g->ctx, origin->out[0]->name, theirs);
    return itc_format(g->ctx, "%s.%s", stem, own);
}

itc_node *itc_node_new(itc_graph *g, const itc_op_def *op, const itc_node *origin, int n_in,
                       itc_value *const *in, int n_out)
{
    itc_node *n = itc_node_append(g, op, n_in, in, n_out, NULL);
    if (origin) {
        n->import_id = origin->import_id;
        n->onnx_name = origin->onnx_name;
        n->onnx_op = origin->onnx_op;
        n->onnx_version = origin->onnx_version;
        n->line = origin->line;
    }
    const char *hint = output_hint(g, op, origin);
    for (int i = 0; i < n_out; i++) {
        n->out[i] = itc_value_new(g, ITC_VALUE_NODE, hint, (itc_type){.exp_axis = -1});
        n->out[i]->def = n;
        n->out[i]->out_index = i;
    }
    return n;
}

void itc_node_add_operand(itc_graph *g, itc_node *n, itc_value *v)
{
    itc_value **in = ITC_NEW_ARRAY(g->ctx, itc_value *, n->n_in + 1);
    memcpy(in, n->in, (size_t)n->n_in * sizeof *in);
    in[n->n_in++] = v;
    n->in = in;
}

itc_value *itc_node_add_output(itc_graph *g, itc_node *n, int index, const char *hint,
                               itc_type type)
{
    itc_value *v = itc_value_new(g, ITC_VALUE_NODE, hint, type);
    if (index >= n->n_out) {
        itc_value **out = ITC_NEW_ARRAY(g->ctx, itc_value *, index + 1);
        memcpy(out, n->out, (size_t)n->n_out * sizeof *out);
        n->out = out;
        n->n_out = index + 1;
    }
    v->def = n;
    v->out_index = index;
    return n->out[index] = v;
}

/* ---- attributes and settings ---- */

static itc_attr copy_attr(itc_ctx *ctx, itc_attr a)
{
    const size_t n = a.n > 0 ? (size_t)a.n : 0;
    a.name = itc_strdup(ctx, a.name);
    if (a.kind == ITC_ATTR_STRING) {
        a.u.s = itc_strdup(ctx, a.u.s ? a.u.s : "");
    } else if (a.kind == ITC_ATTR_INTS) {
        int64_t *v = ITC_NEW_ARRAY(ctx, int64_t, n);
        if (n > 0) {
            memcpy(v, a.u.ints, n * sizeof *v);
        }
        a.u.ints = v;
    } else if (a.kind == ITC_ATTR_FLOATS) {
        double *v = ITC_NEW_ARRAY(ctx, double, n);
        if (n > 0) {
            memcpy(v, a.u.floats, n * sizeof *v);
        }
        a.u.floats = v;
    } else if (a.kind == ITC_ATTR_COEFS) {
        itc_coef *v = ITC_NEW_ARRAY(ctx, itc_coef, n);
        for (size_t i = 0; i < n; i++) {
            v[i] = a.u.coefs[i];
        }
        a.u.coefs = v;
    }
    return a;
}

/** Position of an attribute in the row's list; behind all for one that the row lacks. */
static int spec_index(const itc_op_def *op, const char *name)
{
    int i = 0;
    for (const itc_attr_spec *s = op ? op->attrs : NULL; s && s->name; s++, i++) {
        if (strcmp(s->name, name) == 0) {
            break;
        }
    }
    return i;
}

void itc_attr_set(itc_graph *g, itc_node *n, itc_attr a)
{
    a = copy_attr(g->ctx, a);
    for (int i = 0; i < n->n_attrs; i++) {
        if (strcmp(n->attrs[i].name, a.name) == 0) {
            n->attrs[i] = a;
            return;
        }
    }
    /* Room doubles whenever the count reaches a power of two. */
    if ((n->n_attrs & (n->n_attrs - 1)) == 0) {
        itc_attr *more = ITC_NEW_ARRAY(g->ctx, itc_attr, n->n_attrs > 0 ? n->n_attrs * 2 : 1);
        for (int i = 0; i < n->n_attrs; i++) {
            more[i] = n->attrs[i];
        }
        n->attrs = more;
    }
    const int index = spec_index(n->op, a.name);
    int at = n->n_attrs++;
    while (at > 0 && spec_index(n->op, n->attrs[at - 1].name) > index) {
        n->attrs[at] = n->attrs[at - 1];
        at--;
    }
    n->attrs[at] = a;
}

void itc_set_int(itc_graph *g, itc_node *n, const char *name, int64_t v)
{
    itc_attr_set(g, n, (itc_attr){.name = name, .kind = ITC_ATTR_INT, .u.i = v});
}

void itc_set_float(itc_graph *g, itc_node *n, const char *name, double v)
{
    itc_attr_set(g, n, (itc_attr){.name = name, .kind = ITC_ATTR_FLOAT, .u.f = v});
}

void itc_set_string(itc_graph *g, itc_node *n, const char *name, const char *v)
{
    itc_attr_set(g, n, (itc_attr){.name = name, .kind = ITC_ATTR_STRING, .u.s = v});
}

void itc_set_ints(itc_graph *g, itc_node *n, const char *name, int count, const int64_t *v)
{
    itc_attr_set(g, n, (itc_attr){.name = name, .kind = ITC_ATTR_INTS, .n = count, .u.ints = v});
}

void itc_set_coefs(itc_graph *g, itc_node *n, const char *name, int count, const itc_coef *v)
{
    itc_attr_set(g, n, (itc_attr){.name = name, .kind = ITC_ATTR_COEFS, .n = count, .u.coefs = v});
}

const itc_attr *itc_attr_find(const itc_node *n, const char *name)
{
    for (int i = 0; i < n->n_attrs; i++) {
        if (strcmp(n->attrs[i].name, name) == 0) {
            return &n->attrs[i];
        }
    }
    return NULL;
}

static const itc_attr *attr_of_kind(const itc_node *n, const char *name, itc_attr_kind kind)
{
    const itc_attr *a = itc_attr_find(n, name);
    return a && a->kind == kind ? a : NULL;
}

static const itc_attr_spec *spec_of(const itc_node *n, const char *name)
{
    for (const itc_attr_spec *s = n->op ? n->op->attrs : NULL; s && s->name; s++) {
        if (strcmp(s->name, name) == 0) {
            return s;
        }
    }
    return NULL;
}

int64_t itc_int(const itc_node *n, const char *name)
{
    const itc_attr *a = attr_of_kind(n, name, ITC_ATTR_INT);
    const itc_attr_spec *s = spec_of(n, name);
    return a ? a->u.i : s ? s->i : 0;
}

double itc_float(const itc_node *n, const char *name)
{
    const itc_attr *a = attr_of_kind(n, name, ITC_ATTR_FLOAT);
    const itc_attr_spec *s = spec_of(n, name);
    return a ? a->u.f : s ? s->f : 0.0;
}

const char *itc_string(const itc_node *n, const char *name)
{
    const itc_attr *a = attr_of_kind(n, name, ITC_ATTR_STRING);
    const itc_attr_spec *s = spec_of(n, name);
    return a ? a->u.s : s && s->s ? s->s : "";
}

int itc_ints(const itc_node *n, const char *name, const int64_t **v)
{
    const itc_attr *a = attr_of_kind(n, name, ITC_ATTR_INTS);
    *v = a ? a->u.ints : NULL;
    return a ? a->n : 0;
}

const itc_attr *itc_setting(const itc_graph *g, const char *name)
{
    for (int i = 0; i < g->n_settings; i++) {
        if (strcmp(g->settings[i].name, name) == 0) {
            return &g->settings[i];
        }
    }
    return NULL;
}

void itc_setting_set(itc_graph *g, itc_attr a)
{
    a = copy_attr(g->ctx, a);
    for (int i = 0; i < g->n_settings; i++) {
        if (strcmp(g->settings[i].name, a.name) == 0) {
            g->settings[i] = a;
            return;
        }
    }
    ITC_PUSH(g->ctx, g->settings, g->n_settings, g->cap_settings, a);
}

int64_t itc_setting_int(const itc_graph *g, const char *name, int64_t otherwise)
{
    const itc_attr *a = itc_setting(g, name);
    return a && a->kind == ITC_ATTR_INT ? a->u.i : otherwise;
}

double itc_setting_float(const itc_graph *g, const char *name, double otherwise)
{
    const itc_attr *a = itc_setting(g, name);
    return a && a->kind == ITC_ATTR_FLOAT ? a->u.f : otherwise;
}

const char *itc_setting_string(const itc_graph *g, const char *name, const char *otherwise)
{
    const itc_attr *a = itc_setting(g, name);
    return a && a->kind == ITC_ATTR_STRING ? a->u.s : otherwise;
}

bool itc_loss_is_none(const itc_graph *g)
{
    return strcmp(itc_setting_string(g, "loss", ""), "none") == 0;
}

/* ---- edits ---- */

itc_value *itc_value_resolve(itc_value *v)
{
    itc_value *end = v;
    while (end && end->replaced_by) {
        end = end->replaced_by;
    }
    /* Shorten the chain, so that many look-ups of a long one stay linear. */
    while (v && v->replaced_by && v->replaced_by != end) {
        itc_value *next = v->replaced_by;
        v->replaced_by = end;
        v = next;
    }
    return end;
}

void itc_graph_resolve(itc_graph *g)
{
    for (int s = 0; s < ITC_SECTION_COUNT; s++) {
        for (int i = 0; i < g->section[s].n; i++) {
            itc_node *n = g->section[s].node[i];
            for (int k = 0; k < n->n_in; k++) {
                n->in[k] = itc_value_resolve(n->in[k]);
            }
        }
    }
    for (int i = 0; i < g->n_values; i++) {
        g->values[i]->next_state = itc_value_resolve(g->values[i]->next_state);
        g->values[i]->storage = itc_value_resolve(g->values[i]->storage);
    }
    for (int i = 0; i < g->n_outputs; i++) {
        g->outputs[i].value = itc_value_resolve(g->outputs[i].value);
    }
}

void itc_graph_count_uses(itc_graph *g)
{
    for (int i = 0; i < g->n_values; i++) {
        g->values[i]->n_uses = 0;
    }
    for (int s = 0; s < ITC_SECTION_COUNT; s++) {
        for (int i = 0; i < g->section[s].n; i++) {
            const itc_node *n = g->section[s].node[i];
            for (int k = 0; k < n->n_in && !n->dead; k++) {
                if (n->in[k]) {
                    n->in[k]->n_uses++;
                }
            }
        }
    }
    for (int i = 0; i < g->n_values; i++) {
        if (g->values[i]->next_state) {
            g->values[i]->next_state->n_uses++;
        }
    }
    for (int i = 0; i < g->n_outputs; i++) {
        g->outputs[i].value->n_uses++;
    }
}

/** Whether a node stays, given the uses counted so far: everything behind it has been seen. */
static bool is_needed(const itc_node *n)
{
    if (n->dead) {
        return false;
    }
    if (n->op && (n->op->flags & (ITC_OP_KEEP | ITC_OP_LOSS)) != 0) {
        return true;
    }
    for (int i = 0; i < n->n_out; i++) {
        if (n->out[i] && n->out[i]->n_uses > 0) {
            return true;
        }
    }
    return false;
}

static void mark_needed(itc_graph *g)
{
    for (int i = 0; i < g->n_values; i++) {
        g->values[i]->n_uses = 0;
    }
    for (int i = 0; i < g->n_values; i++) {
        itc_value *v = g->values[i];
        if (v->kind != ITC_VALUE_NODE && v->next_state) {
            v->next_state->n_uses++;
        }
    }
    for (int i = 0; i < g->n_outputs; i++) {
        g->outputs[i].value->n_uses++;
    }
    for (int s = ITC_SECTION_COUNT - 1; s >= 0; s--) {
        for (int i = g->section[s].n - 1; i >= 0; i--) {
            itc_node *n = g->section[s].node[i];
            n->dead = !is_needed(n);
            for (int k = 0; k < n->n_in && !n->dead; k++) {
                if (n->in[k]) {
                    n->in[k]->n_uses++;
                }
            }
            for (int k = 0; k < n->n_out && !n->dead; k++) {
                if (n->out[k] && n->out[k]->storage) {
                    n->out[k]->storage->n_uses++;
                }
            }
        }
    }
}

static void keep_value(itc_graph *g, itc_value **kept, int *n, itc_value *v)
{
    v->id = *n;
    kept[(*n)++] = v;
    name_entry *e = name_entry_of(g, v->name);
    e->value = v;
}

void itc_graph_sweep(itc_graph *g)
{
    itc_graph_resolve(g);
    mark_needed(g);
    itc_value **kept = ITC_NEW_ARRAY(g->ctx, itc_value *, g->n_values);
    int n = 0;
    name_table_init(g->ctx, g->names, ((name_table *)g->names)->cap);
    for (int i = 0; i < g->n_values; i++) {
        itc_value *v = g->values[i];
        if (v->kind != ITC_VALUE_NODE && (v->kind != ITC_VALUE_CONST || v->n_uses > 0)) {
            keep_value(g, kept, &n, v);
        }
    }
    for (int s = 0; s < ITC_SECTION_COUNT; s++) {
        itc_node_list *list = &g->section[s];
        int left = 0;
        for (int i = 0; i < list->n; i++) {
            itc_node *node = list->node[i];
            if (node->dead) {
                continue;
            }
            list->node[left++] = node;
            for (int k = 0; k < node->n_out; k++) {
                if (node->out[k]) {
                    keep_value(g, kept, &n, node->out[k]);
                }
            }
        }
        list->n = left;
    }
    g->values = kept;
    g->n_values = n;
    g->cap_values = n;
}

/* ---- names of enumerations ---- */

static const char *const section_names[ITC_SECTION_COUNT] = {
    [ITC_PREPARE] = "prepare", [ITC_FORWARD] = "forward", [ITC_BACKWARD] = "backward",
    [ITC_UPDATE] = "update",   [ITC_INFER] = "infer",     [ITC_SCORE] = "score"};
static const char *const stage_names[ITC_STAGE_COUNT] = {
    [ITC_STAGE_IMPORT] = "import",     [ITC_STAGE_SHAPE] = "shape",     [ITC_STAGE_LOSS] = "loss",
    [ITC_STAGE_BACKWARD] = "backward", [ITC_STAGE_INTEGER] = "integer", [ITC_STAGE_PLAN] = "plan",
    [ITC_STAGE_SCHEDULE] = "schedule", [ITC_STAGE_MEMORY] = "memory"};
static const char *const role_names[ITC_ROLE_COUNT] = {
    [ITC_ROLE_NONE] = "none", [ITC_ROLE_FWD] = "fwd",       [ITC_ROLE_DX] = "dx",
    [ITC_ROLE_DW] = "dw",     [ITC_ROLE_UPDATE] = "update", [ITC_ROLE_VIEW] = "view",
    [ITC_ROLE_LOSS] = "loss", [ITC_ROLE_GRID] = "grid",     [ITC_ROLE_MASK] = "mask"};

static int find_word(const char *const *words, int n, const char *s)
{
    for (int i = 0; i < n; i++) {
        if (strcmp(words[i], s) == 0) {
            return i;
        }
    }
    return -1;
}

const char *itc_section_name(itc_section s)
{
    return section_names[s];
}

bool itc_graph_repeats(const itc_graph *g)
{
    const int64_t micro = itc_setting_int(g, "micro_batch", 0);
    return micro > 0 && micro < itc_setting_int(g, "batch", 64);
}

bool itc_section_parse(const char *s, itc_section *out)
{
    const int i = find_word(section_names, ITC_SECTION_COUNT, s);
    *out = i < 0 ? *out : (itc_section)i;
    return i >= 0;
}

bool itc_section_sees(itc_section user, itc_section owner)
{
    if (user == ITC_INFER || user == ITC_SCORE) {
        return owner == ITC_PREPARE || (owner >= ITC_INFER && owner <= user);
    }
    return owner <= user;
}

const char *itc_stage_name(itc_stage s)
{
    return stage_names[s];
}

bool itc_stage_parse(const char *s, itc_stage *out)
{
    const int i = find_word(stage_names, ITC_STAGE_COUNT, s);
    *out = i < 0 ? *out : (itc_stage)i;
    return i >= 0;
}

const char *itc_role_name(itc_role r)
{
    return role_names[r];
}

bool itc_role_parse(const char *s, itc_role *out)
{
    const int i = find_word(role_names, ITC_ROLE_COUNT, s);
    *out = i < 0 ? *out : (itc_role)i;
    return i >= 0;
}

const char *itc_value_kind_name(itc_value_kind k)
{
    switch (k) {
    case ITC_VALUE_INPUT:
        return "input";
    case ITC_VALUE_TARGET:
        return "target";
    case ITC_VALUE_PARAM:
        return "param";
    case ITC_VALUE_SLOT:
        return "slot";
    case ITC_VALUE_STAT:
        return "stat";
    case ITC_VALUE_CONST:
        return "const";
    case ITC_VALUE_NODE:
        break;
    }
    return "node";
}
