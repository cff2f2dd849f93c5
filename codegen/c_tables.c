/*
 * The declarations and tables of an emitted model: kernels in use, state, constants, and what the
 * driver knows of it (itr_model).
 */
#include "codegen/c_writer.h"

#include <math.h>
#include <string.h>

#include "codegen/c_expr.h"

#define WIDTH 100

void itc_c_kernel_fields(itc_c_writer *w, itc_strbuf *b)
{
    for (int i = 0; itc_kernel_at(i); i++) {
        if (w->kernel_used[i]) {
            const itc_kernel *k = itc_kernel_at(i);
            itc_strbuf_printf(b, "    void (*%s)(const itr_%s_args *a);\n", k->name, k->args);
        }
    }
    if (b->len == 0) {
        itc_strbuf_add(b, "    void (*none)(void); /* C has no empty struct */\n");
    }
}

/** Over the portable kernels, level by level, what the CPU has: the newest stays. */
static void fill_variants(itc_c_writer *w, itc_strbuf *b)
{
    const itc_variant *last = NULL;
    itc_strbuf_add(b, "    (void)isa; /* there may be nothing to choose from */\n");
    for (int i = 0; itc_variant_at(i); i++) {
        const itc_variant *v = itc_variant_at(i);
        if (!itc_c_uses_variant(w, v)) {
            continue;
        }
        const bool same_level = last && strcmp(last->level, v->level) == 0;
        const bool same_machine = last && strcmp(last->architecture, v->architecture) == 0;
        itc_strbuf_add(b, last && !same_level ? "    }\n" : "");
        itc_strbuf_add(b, last && !same_machine ? "#endif\n" : "");
        if (!same_machine) {
            itc_strbuf_printf(b, "#ifdef ITR_%s\n", v->architecture);
        }
        if (!same_level) {
            itc_strbuf_printf(b, "    if (isa & ITR_ISA_%s) {\n", v->level);
        }
        itc_strbuf_printf(b, "        k->%s = itr_%s_%s;\n", v->kernel->name, v->kernel->name,
                          v->level);
        last = v;
    }
    itc_strbuf_add(b, last ? "    }\n#endif\n" : "");
}

void itc_c_kernel_fill(itc_c_writer *w, itc_strbuf *b)
{
    const size_t before = b->len;
    for (int i = 0; itc_kernel_at(i); i++) {
        if (w->kernel_used[i]) {
            const char *name = itc_kernel_at(i)->name;
            itc_strbuf_printf(b, "    k->%s = itr_%s_ref;\n", name, name);
        }
    }
    itc_strbuf_add(b, b->len == before ? "    (void)k;\n" : "");
    fill_variants(w, b);
}

/** `float32` numbers and integers as initialisers, some a line. */
static const char *element_text(itc_ctx *ctx, const itc_tensor *t, int64_t i)
{
    if (t->dtype != ITC_F32) {
        return itc_c_int(ctx, itc_tensor_get_int(t, i));
    }
    const double v = itc_tensor_get(t, i);
    if (isnan(v) || isinf(v)) {
        return isnan(v) ? "NAN" : v > 0 ? "INFINITY" : "-INFINITY";
    }
    const char *text = itc_format(ctx, "%.9g", v);
    return itc_format(ctx, "%s%sf", text, strpbrk(text, ".e") ? "" : ".0");
}

static void write_array(itc_c_writer *w, itc_strbuf *b, const char *name, const itc_tensor *t)
{
    itc_strbuf_printf(b, "static const %s %s[%lld] = {", itc_c_type(t->dtype), name,
                      (long long)(t->count > 0 ? t->count : 1));
    size_t column = WIDTH;
    for (int64_t i = 0; i < t->count; i++) {
        const char *text = element_text(w->ctx, t, i);
        const size_t n = strlen(text) + 2;
        if (column + n > WIDTH) {
            itc_strbuf_add(b, "\n    ");
            column = 4;
        }
        itc_strbuf_printf(b, "%s, ", text);
        column += n;
    }
    itc_strbuf_add(b, t->count > 0 ? "\n};\n" : "0};\n");
}

void itc_c_constants(itc_c_writer *w, itc_strbuf *b)
{
    for (int i = 0; i < w->g->n_values; i++) {
        const itc_value *v = w->g->values[i];
        if (!w->const_used[i]) {
            continue;
        }
        if (!v->data || !v->data->data) {
            w->status = itc_error(w->ctx, NULL, ITC_TYPE, "E0410",
                                  "the contents of constant \"%s\" are not at hand", v->name);
            return;
        }
        const char *e = itc_name_exponent(w->ctx, &v->exp);
        const char *what = itc_format(w->ctx, "%s %s%s%s", v->name, itc_type_text(w->ctx, &v->type),
                                      e[0] ? " e=" : "", e);
        itc_strbuf_printf(b, "\n/* %s */\n", itc_name_comment(w->ctx, what));
        write_array(w, b, w->names->ident[i], v->data);
    }
}

void itc_c_state_fields(itc_c_writer *w, itc_strbuf *b)
{
    for (int i = 0; i < w->info->model.tensor_count; i++) {
        const itc_value *v = w->info->state[i];
        const int64_t n = itc_type_elements(&v->type, 1);
        const char *e = itc_name_exponent(w->ctx, &v->exp);
        const char *what = itc_format(w->ctx, "%s %s%s%s", w->info->tensors[i].name,
                                      itc_type_text(w->ctx, &v->type), e[0] ? " e=" : "", e);
        itc_strbuf_printf(b, "    %s %s[%lld]; /**< %s */\n", itc_c_type(v->type.dtype),
                          w->names->ident[v->id], (long long)(n > 0 ? n : 1),
                          itc_name_comment(w->ctx, what));
    }
}

/** `{1, 28, 28}` of int64 numbers. */
static const char *dims_text(itc_ctx *ctx, int rank, const int64_t *d)
{
    itc_strbuf b;
    itc_strbuf_init(&b, ctx);
    for (int i = 0; i < rank; i++) {
        itc_strbuf_printf(&b, "%s%s", i > 0 ? ", " : "{", itc_c_int(ctx, d[i]));
    }
    itc_strbuf_add(&b, rank > 0 ? "}" : "{0}");
    return b.text;
}

static const char *dtype_text(itr_dtype t)
{
    static const char *const name[] = {
        [ITR_I8] = "ITR_I8",   [ITR_I16] = "ITR_I16", [ITR_I32] = "ITR_I32",
        [ITR_I64] = "ITR_I64", [ITR_F32] = "ITR_F32", [ITR_U8] = "ITR_U8"};
    return name[t];
}

static void write_ports(itc_c_writer *w, itc_strbuf *b, const char *name, const itr_port_info *port,
                        int count)
{
    if (count == 0) {
        return;
    }
    itc_strbuf_printf(b, "\nstatic const itr_port_info %s[%d] = {\n", name, count);
    for (int i = 0; i < count; i++) {
        const itr_port_info *p = &port[i];
        itc_strbuf_printf(b, "    {.name = %s,\n", itc_name_literal(w->ctx, p->name));
        itc_strbuf_printf(b, "     .is_ids = %s,\n     .dtype = %s,\n     .classes = %s,\n",
                          p->is_ids ? "true" : "false", dtype_text(p->dtype),
                          itc_c_int(w->ctx, p->classes));
        if (p->ignored != 0) {
            itc_strbuf_printf(b, "     .ignored = %s,\n", itc_c_int(w->ctx, p->ignored));
        }
        itc_strbuf_printf(b, "     .rank = %d,\n     .dims = %s,\n     .elements = %s},\n", p->rank,
                          dims_text(w->ctx, p->rank, p->dims), itc_c_int(w->ctx, p->elements));
    }
    itc_strbuf_add(b, "};\n");
}

static void write_tensors(itc_c_writer *w, itc_strbuf *b)
{
    static const char *const kind[] = {[ITR_PARAM] = "ITR_PARAM",
                                       [ITR_SLOT] = "ITR_SLOT",
                                       [ITR_STAT] = "ITR_STAT",
                                       [ITR_CONST] = "ITR_CONST"};
    const int count = w->info->model.tensor_count;
    if (count == 0) {
        return;
    }
    itc_strbuf_printf(b, "\nstatic const itr_tensor_info tensors[%d] = {\n", count);
    for (int i = 0; i < count; i++) {
        const itr_tensor_info *t = &w->info->tensors[i];
        itc_strbuf_printf(b, "    {.name = %s,\n", itc_name_literal(w->ctx, t->name));
        itc_strbuf_printf(b, "     .kind = %s,\n     .dtype = %s,\n", kind[t->kind],
                          dtype_text(t->dtype));
        itc_strbuf_printf(b, "     .rank = %d,\n     .dims = %s,\n", t->rank,
                          dims_text(w->ctx, t->rank, t->dims));
        itc_strbuf_printf(b, "     .offset = offsetof(%s_state, %s),\n", w->names->model,
                          w->names->ident[w->info->state[i]->id]);
        itc_strbuf_printf(b, "     .exp_index = %d,\n     .exp_count = %d,\n", t->exp_index,
                          t->exp_count);
        itc_strbuf_printf(b, "     .bits = %d,\n     .gradient = %d},\n", t->bits, t->gradient);
    }
    itc_strbuf_add(b, "};\n");
}

/** Where a value lies in the state struct. */
static const char *offset_text(itc_c_writer *w, const itc_value *v)
{
    const itc_value *root = v ? itc_value_root(v) : NULL;
    if (!root) {
        return "0";
    }
    if (itc_value_is_state(root)) {
        return itc_format(w->ctx, "offsetof(%s_state, %s)", w->names->model,
                          w->names->ident[root->id]);
    }
    return itc_format(w->ctx, "offsetof(%s_state, arena) + %lld", w->names->model,
                      (long long)root->offset);
}

static void write_nodes(itc_c_writer *w, itc_strbuf *b)
{
    static const char *const section[] = {"PREPARE", "FORWARD", "BACKWARD",
                                          "UPDATE",  "INFER",   "SCORE"};
    const itr_model *m = &w->info->model;
    itc_strbuf_printf(b, "\nstatic const itr_node_info nodes_info[%d] = {\n", m->node_count);
    for (int i = 0; i < m->node_count; i++) {
        const itr_node_info *n = &m->nodes[i];
        itc_strbuf_printf(b, "    {%s, %s, %s,\n", itc_name_literal(w->ctx, n->name),
                          itc_name_literal(w->ctx, n->op), itc_name_literal(w->ctx, n->value));
        itc_strbuf_printf(b, "     %s, ITR_SECTION_%s, %s, %d, %s, %s,\n",
                          itc_name_literal(w->ctx, n->role), section[n->section],
                          dtype_text(n->dtype), n->bits, n->per_row ? "true" : "false",
                          itc_c_int(w->ctx, n->elements));
        itc_strbuf_printf(b, "     %s, %d},\n", offset_text(w, w->info->node_value[i]),
                          n->exp_index);
    }
    itc_strbuf_add(b, "};\n");
}

static void write_losses(itc_c_writer *w, itc_strbuf *b)
{
    const itr_model *m = &w->info->model;
    itc_strbuf_printf(b, "\nstatic const itr_loss_info losses_info[%d] = {\n", m->loss_count);
    for (int i = 0; i < m->loss_count; i++) {
        const itr_loss_info *l = &m->losses[i];
        itc_strbuf_printf(b, "    {.node = %d,\n     .target = %d,\n", l->node, l->target);
        itc_strbuf_printf(b, "     .outer = %s,\n     .axis = %s,\n     .inner = %s,\n",
                          itc_c_int(w->ctx, l->outer), itc_c_int(w->ctx, l->axis),
                          itc_c_int(w->ctx, l->inner));
        itc_strbuf_printf(b, "     .ignore_index = %s,\n     .dtype = %s,\n",
                          l->ignore_index == INT32_MIN ? "INT32_MIN"
                                                       : itc_c_int(w->ctx, l->ignore_index),
                          dtype_text(l->dtype));
        itc_strbuf_printf(b, "     .offset = %s},\n", offset_text(w, w->info->loss_value[i]));
    }
    itc_strbuf_add(b, "};\n");
}

/** What those who watch the program look up. */
static void write_watch(itc_c_writer *w, itc_strbuf *b)
{
    itc_strbuf_add(b, "\n#if ITR_WATCH");
    if (w->info->model.node_count > 0) {
        write_nodes(w, b);
    }
    if (w->info->model.loss_count > 0) {
        write_losses(w, b);
    }
    itc_strbuf_add(b, "#endif\n");
}

void itc_c_model_tables(itc_c_writer *w, itc_strbuf *b)
{
    const itr_model *m = &w->info->model;
    write_ports(w, b, "inputs_info", m->inputs, m->input_count);
    write_ports(w, b, "targets_info", m->targets, m->target_count);
    write_ports(w, b, "outputs_info", m->outputs, m->output_count);
    write_tensors(w, b);
    write_watch(w, b);
}

static const char *bytes_text(itc_ctx *ctx, const uint8_t *bytes, int n)
{
    itc_strbuf b;
    itc_strbuf_init(&b, ctx);
    for (int i = 0; i < n; i++) {
        itc_strbuf_printf(&b, "%s%s0x%02x", i > 0 ? "," : "{",
                          i == 0        ? ""
                          : i % 12 == 0 ? "\n                  "
                                        : " ",
                          bytes[i]);
    }
    itc_strbuf_add(&b, "}");
    return b.text;
}

/** A literal split over lines, since a settings line gets long. */
static const char *long_literal(itc_ctx *ctx, const char *text)
{
    itc_strbuf b;
    itc_strbuf_init(&b, ctx);
    size_t left = strlen(text);
    while (left > 0) {
        const size_t n = left < 60 ? left : 60;
        itc_strbuf_printf(&b, "\n        %s", itc_name_literal(ctx, itc_strndup(ctx, text, n)));
        text += n;
        left -= n;
    }
    return b.text;
}

void itc_c_model_fields(itc_c_writer *w, itc_strbuf *b)
{
    static const char *const kind[] = {[ITR_SCHEDULE_CONSTANT] = "ITR_SCHEDULE_CONSTANT",
                                       [ITR_SCHEDULE_STEP] = "ITR_SCHEDULE_STEP",
                                       [ITR_SCHEDULE_COSINE] = "ITR_SCHEDULE_COSINE",
                                       [ITR_SCHEDULE_LINEAR] = "ITR_SCHEDULE_LINEAR",
                                       [ITR_SCHEDULE_INVERSE] = "ITR_SCHEDULE_INVERSE"};
    const itr_model *m = &w->info->model;
    const itr_schedule *s = &m->schedule;
    itc_strbuf_printf(b, "    .name = %s,\n    .arith = %s,\n    .compiler = %s,\n",
                      itc_name_literal(w->ctx, m->name), itc_name_literal(w->ctx, m->arith),
                      itc_name_literal(w->ctx, m->compiler));
    itc_strbuf_printf(b, "    .plan_hash = %s,\n", bytes_text(w->ctx, m->plan_hash, 32));
    itc_strbuf_printf(b, "    .model_hash = %s,\n", bytes_text(w->ctx, m->model_hash, 32));
    itc_strbuf_printf(b, "    .batch = %s_BATCH,\n    .micro_batch = %s_MICRO_BATCH,\n",
                      w->names->upper, w->names->upper);
    itc_strbuf_printf(b, "    .state_size = sizeof(%s_state),\n", w->names->model);
    const struct {
        const char *field;
        int count;
    } table[] = {
        {"input", m->input_count}, {"target", m->target_count}, {"output", m->output_count}};
    for (int i = 0; i < 3; i++) {
        if (table[i].count > 0) {
            itc_strbuf_printf(b, "    .%ss = %ss_info,\n    .%s_count = %d,\n", table[i].field,
                              table[i].field, table[i].field, table[i].count);
        }
    }
    if (m->tensor_count > 0) {
        itc_strbuf_printf(b, "    .tensors = tensors,\n    .tensor_count = %d,\n", m->tensor_count);
    }
    itc_strbuf_printf(b, "    .counts_correct = %s,\n", m->counts_correct ? "true" : "false");
    itc_strbuf_printf(b, "    .schedule = {.kind = %s,\n                 .lr = {%d, %d},\n",
                      kind[s->kind], s->lr.m, s->lr.e);
    itc_strbuf_printf(b, "                 .horizon = %s,\n                 .factor = {%d, %d},\n",
                      itc_c_int(w->ctx, s->horizon), s->factor.m, s->factor.e);
    itc_strbuf_printf(b, "                 .warmup = %s},\n", itc_c_int(w->ctx, s->warmup));
    itc_strbuf_printf(b, "    .max_threads = %d,\n", w->is_small ? 1 : m->max_threads);
    itc_strbuf_printf(b, "    .seed = UINT64_C(%llu),\n", (unsigned long long)m->seed);
    itc_strbuf_printf(b, "    .settings_json =%s,\n", long_literal(w->ctx, m->settings_json));
    itc_strbuf_add(b, "#if ITR_WATCH\n");
    if (m->node_count > 0) {
        itc_strbuf_printf(b, "    .nodes = nodes_info,\n    .node_count = %d,\n", m->node_count);
    }
    if (m->loss_count > 0) {
        itc_strbuf_printf(b, "    .losses = losses_info,\n    .loss_count = %d,\n", m->loss_count);
    }
    itc_strbuf_add(b, "#endif\n");
}

void itc_c_copy_outputs(itc_c_writer *w, itc_strbuf *b)
{
    const itr_model *m = &w->info->model;
    itc_strbuf text;
    itc_strbuf_init(&text, w->ctx);
    for (int i = 0; i < m->output_count; i++) {
        const itc_value *v = w->g->outputs[i].value;
        const itc_value *root = itc_value_root(v);
        const char *from = itc_c_pointer(w, v);
        const int64_t size = (int64_t)itr_dtype_size(m->outputs[i].dtype);
        const char *bytes = itc_c_int(w->ctx, m->outputs[i].elements * size);
        if (root->kind == ITC_VALUE_NODE) {
            from = itc_format(w->ctx, "s->arena + %lld", (long long)root->offset);
        } else if (root->kind == ITC_VALUE_CONST) {
            w->const_used[root->id] = true;
        }
        itc_strbuf_printf(&text, "    /* %s */\n", itc_name_comment(w->ctx, m->outputs[i].name));
        itc_strbuf_printf(&text,
                          "    memcpy((unsigned char *)outputs[%d].data + (size_t)row * %s, %s,"
                          " %s);\n",
                          i, bytes, from, bytes);
        if (itc_value_exponents(v) > 0) {
            itc_strbuf_printf(&text, "    if (outputs[%d].exponents) {\n", i);
            itc_strbuf_printf(&text, "        outputs[%d].exponents[row] = ", i);
            itc_strbuf_printf(&text, v->exp.slot >= 0 ? "s->e[%d];\n    }\n" : "%d;\n    }\n",
                              v->exp.slot >= 0 ? v->exp.slot : v->exp.offset);
        }
    }
    itc_c_mention(b, text.text, "s");
    itc_strbuf_add(b, m->output_count == 0 ? "    (void)row;\n    (void)outputs;\n" : "");
    itc_strbuf_add(b, text.text);
}
