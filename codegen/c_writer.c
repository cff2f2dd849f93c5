/*
 * The functions of MODEL.c that run records: one comment line a node, then its calls and loops.
 */
#include "codegen/c_writer.h"

#include <string.h>

#include "codegen/c_expr.h"

#define WIDTH 100
#define PART 64 /* records of a function */

enum {
    LOOP_SHARED = 4096, /**< elements (of a row) from which on threads share a loop */
    LOOP_GRAIN = 16384  /**< elements of a part */
};

/* ---- what a list of records needs ---- */

typedef struct needs {
    bool *value; /* by id: arena values that get a local pointer */
    bool rows, lr, inv_n;
} needs;

static void need_value(itc_c_writer *w, needs *n, const itc_value *v)
{
    if (!v) {
        return;
    }
    const itc_value *root = itc_value_root(v);
    if (root->kind == ITC_VALUE_NODE) {
        n->value[v->id] = true;
    } else if (root->kind == ITC_VALUE_CONST) {
        w->const_used[root->id] = true;
    }
}

static void need_coef(needs *n, itc_coef c)
{
    n->lr = n->lr || c.symbol == ITC_SYM_LR;
    n->inv_n = n->inv_n || c.symbol == ITC_SYM_INV_N;
}

static void need_term(itc_c_writer *w, needs *n, const itc_term *t)
{
    need_value(w, n, t->x);
    need_coef(n, t->c);
    for (int k = 0; k < ITC_MAX_RANK; k++) {
        n->rows = n->rows || t->stride[k].batch;
    }
    if (t->f) {
        need_term(w, n, t->f);
    }
}

static void need_arg(itc_c_writer *w, needs *n, const itc_field *f, const itc_arg *a)
{
    if (f->kind == ITC_FIELD_IN || f->kind == ITC_FIELD_OUT) {
        need_value(w, n, a->value);
    }
    n->rows = n->rows || (f->kind == ITC_FIELD_DIM && a->dim.batch);
    for (int i = 0; f->kind == ITC_FIELD_SHAPE && i < a->rank; i++) {
        n->rows = n->rows || a->shape[i].batch;
    }
    for (int i = 0; i < a->n_terms; i++) {
        need_term(w, n, &a->terms[i]);
    }
}

/** Elements of the axes from `first` on, a row where one is the batch. */
static int64_t loop_elements(const itc_loop *l, int first)
{
    int64_t n = 1;
    for (int i = first; i < l->rank; i++) {
        n *= l->shape[i].size;
    }
    return n;
}

/** Whether a loop becomes a function whose range threads share. */
static bool is_shared(const itc_c_writer *w, const itc_loop *l)
{
    return !w->is_small && l->rank > 0 && loop_elements(l, 0) >= LOOP_SHARED;
}

/**
 * Whether operand k is the result's bytes, element by element. It is read through the result's
 * pointer then: of two pointers to the same place a C compiler finds out when it is too late for
 * vectors.
 */
static bool is_in_place(const itc_loop *l, int k)
{
    const itc_value *x = itc_value_root(l->in[k]), *y = itc_value_root(l->out);
    if (x->kind != ITC_VALUE_NODE || y->kind != ITC_VALUE_NODE || x->offset != y->offset ||
        l->in[k]->type.dtype != l->out->type.dtype) {
        return false;
    }
    int64_t step = 1;
    for (int i = l->rank - 1; i >= 0; i--) {
        if (l->stride[k][i].size != step) {
            return false;
        }
        step *= l->shape[i].size;
    }
    return true;
}

static void need_loop(itc_c_writer *w, needs *n, const itc_loop *l, bool part)
{
    need_value(w, n, l->out);
    for (int k = 0; k < l->n_in; k++) {
        if (!is_in_place(l, k)) {
            need_value(w, n, l->in[k]);
        }
    }
    n->rows = n->rows || itc_loop_uses_rows(l, part);
    n->lr = n->lr || itc_expr_uses_symbol(l->expr, ITC_SYM_LR);
    n->inv_n = n->inv_n || itc_expr_uses_symbol(l->expr, ITC_SYM_INV_N);
}

static void need_list(itc_c_writer *w, needs *n, const itc_record_list *list)
{
    for (int i = 0; i < list->n; i++) {
        const itc_record *r = list->record[i];
        if (r->kind == ITC_RECORD_CALL) {
            for (int k = 0; k < r->kernel->n_fields; k++) {
                need_arg(w, n, &r->kernel->fields[k], &r->args[k]);
            }
        } else if (r->kind == ITC_RECORD_LOOP && is_shared(w, r->loop)) {
            n->rows = n->rows || r->loop->shape[0].batch;
        } else if (r->kind == ITC_RECORD_LOOP) {
            need_loop(w, n, r->loop, false);
        } else if (r->kind == ITC_RECORD_RETRY) {
            need_value(w, n, r->value);
            need_list(w, n, r->body);
        }
    }
}

static void mark_kernels(itc_c_writer *w, const itc_record_list *list)
{
    for (int i = 0; i < list->n; i++) {
        const itc_record *r = list->record[i];
        if (r->kind == ITC_RECORD_CALL) {
            w->kernel_used[r->kernel - itc_kernel_at(0)] = true;
        }
        if (r->body) {
            mark_kernels(w, r->body);
        }
    }
}

itc_status itc_c_writer_new(const itc_program *p, itc_model_info *info, const char *stem,
                            itc_c_writer **out)
{
    itc_c_writer *w = ITC_NEW(p->g->ctx, itc_c_writer);
    int kernels = 0;
    while (itc_kernel_at(kernels)) {
        kernels++;
    }
    w->ctx = p->g->ctx;
    w->g = p->g;
    w->p = p;
    w->info = info;
    w->names = itc_names_new(p->g, stem);
    w->is_small = strcmp(itc_setting_string(p->g, "target", "any"), "cortex-m") == 0;
    w->kernel_used = ITC_NEW_ARRAY(w->ctx, bool, kernels);
    w->const_used = ITC_NEW_ARRAY(w->ctx, bool, p->g->n_values + 1);
    mark_kernels(w, &p->prepare);
    mark_kernels(w, &p->step);
    mark_kernels(w, &p->infer);
    mark_kernels(w, &p->score);
    *out = w;
    return ITC_OK;
}

const itc_names *itc_c_writer_names(const itc_c_writer *w)
{
    return w->names;
}

bool itc_c_uses_kernel(const itc_c_writer *w, const itc_kernel *k)
{
    return w->kernel_used[k - itc_kernel_at(0)];
}

bool itc_c_uses_variant(const itc_c_writer *w, const itc_variant *v)
{
    return !w->is_small && itc_c_uses_kernel(w, v->kernel);
}

/* ---- operands ---- */

static const char *port_text(const itc_c_writer *w, const itc_value *root)
{
    return itc_format(w->ctx, "c->%s[%d]", root->kind == ITC_VALUE_INPUT ? "in" : "target",
                      w->info->port_index[root->id]);
}

const char *itc_c_pointer(itc_c_writer *w, const itc_value *v)
{
    if (!v) {
        return "NULL";
    }
    const itc_value *root = itc_value_root(v);
    if (itc_value_is_port(root)) {
        return itc_format(w->ctx, "%s.data", port_text(w, root));
    }
    if (itc_value_is_state(root)) {
        return itc_format(w->ctx, "s->%s", w->names->ident[root->id]);
    }
    return w->names->ident[root->kind == ITC_VALUE_CONST ? root->id : v->id];
}

const char *itc_c_exponent_pointer(itc_c_writer *w, const itc_value *v)
{
    if (!v) {
        return "NULL";
    }
    const itc_value *root = itc_value_root(v);
    if (itc_value_is_port(root)) {
        return itc_format(w->ctx, "&%s.exponent", port_text(w, root));
    }
    if (itc_value_exponents(v) == 0) {
        return "&(const int32_t){0}";
    }
    return v->exp.slot >= 0 ? itc_format(w->ctx, "&s->e[%d]", v->exp.slot)
                            : itc_format(w->ctx, "&(const int32_t){%d}", v->exp.offset);
}

/** A coefficient of a TERMS entry. */
static const char *coef_text(itc_c_writer *w, itc_coef c)
{
    int32_t m, e;
    itc_coef_scalar(c.value, &m, &e);
    if (c.symbol == ITC_SYM_NONE) {
        return itc_format(w->ctx, "{%d, %d}", m, e);
    }
    if (w->info->is_float) {
        w->status = itc_error(w->ctx, NULL, ITC_INTERNAL, "E0403",
                              "a run-time coefficient of an integer sum in a float program");
    }
    const char *name = c.symbol == ITC_SYM_LR ? "lr" : "inv_n";
    if (e == 0 && (m == 1 || m == -1)) {
        return m == 1 ? name : itc_format(w->ctx, "{-%s.m, %s.e}", name, name);
    }
    return itc_format(w->ctx, "itr_scalar_mul((itr_scalar){%d, %d}, %s)", m, e, name);
}

/* ---- kernel calls ---- */

/** Text that breaks between items where a line would get longer than WIDTH. */
typedef struct filler {
    itc_c_writer *w;
    itc_strbuf *b;
    size_t column, indent;
    bool first;
} filler;

static void add_item(filler *f, const char *text)
{
    const size_t n = strlen(text);
    if (!f->first) {
        itc_strbuf_add(f->b, ",");
        f->column++;
    }
    if (f->first || f->column + 1 + n + 4 > WIDTH) {
        itc_strbuf_printf(f->b, "\n%*s", (int)f->indent, "");
        f->column = f->indent;
    } else {
        itc_strbuf_add(f->b, " ");
        f->column++;
    }
    itc_strbuf_add(f->b, text);
    f->column += n;
    f->first = false;
}

/** Strides or a shape: `{16 * n, 4, 1}`, without zeros at the end. */
static const char *dims_text(itc_c_writer *w, int n, const itc_dim *d)
{
    itc_strbuf b;
    itc_strbuf_init(&b, w->ctx);
    while (n > 0 && d[n - 1].size == 0) {
        n--;
    }
    for (int i = 0; i < n; i++) {
        itc_strbuf_printf(&b, "%s%s", i > 0 ? ", " : "{", itc_c_dim(w->ctx, d[i]));
    }
    itc_strbuf_add(&b, n > 0 ? "}" : "{0}");
    return b.text;
}

/** `.begin = {0, 3}`, of the axes that an operand does not fill; nothing where it fills all. */
static void add_places(filler *f, const char *name, const int64_t *v, const int64_t *extent)
{
    itc_dim d[ITC_MAX_RANK];
    bool any = false;
    for (int i = 0; i < ITC_MAX_RANK; i++) {
        d[i] = (itc_dim){v[i], false};
        any = any || extent[i] != 0;
    }
    if (any) {
        add_item(f, itc_format(f->w->ctx, ".%s = %s", name, dims_text(f->w, ITC_MAX_RANK, d)));
    }
}

/** The members of a term behind `open`, which stands in column `indent` of its line. */
static void write_term(itc_c_writer *w, itc_strbuf *b, size_t indent, const char *open,
                       const itc_term *t)
{
    filler f = {w, b, indent + strlen(open), indent + strlen(open), false};
    const itc_value *root = itc_value_root(t->x);
    const bool port = itc_value_is_port(root);
    itc_strbuf_printf(b, "%s.x = %s", open, itc_c_pointer(w, t->x));
    f.column += strlen(itc_c_pointer(w, t->x)) + 6;
    add_item(&f, itc_format(w->ctx, ".e = %s", itc_c_exponent_pointer(w, t->x)));
    if (port) {
        const char *p = port_text(w, root);
        add_item(&f, itc_format(w->ctx, ".dtype = %s.dtype", p));
        add_item(&f, itc_format(w->ctx, ".bits = itr_dtype_bits(%s.dtype)", p));
    } else {
        static const char *const name[] = {
            [ITR_I8] = "ITR_I8",   [ITR_I16] = "ITR_I16", [ITR_I32] = "ITR_I32",
            [ITR_I64] = "ITR_I64", [ITR_F32] = "ITR_F32", [ITR_U8] = "ITR_U8"};
        add_item(&f, itc_format(w->ctx, ".dtype = %s", name[itc_runtime_dtype(t->x->type.dtype)]));
        add_item(&f, itc_format(w->ctx, ".bits = %d", itc_term_bits(&t->x->type)));
    }
    add_item(&f, itc_format(w->ctx, ".c = %s", coef_text(w, t->c)));
    add_item(&f, itc_format(w->ctx, ".stride = %s", dims_text(w, ITC_MAX_RANK, t->stride)));
    for (int i = 0; i < ITC_MAX_RANK; i++) {
        if (t->e_stride[i] != 0) {
            add_item(&f, itc_format(w->ctx, ".e_stride[%d] = %d", i, t->e_stride[i]));
        }
    }
    add_places(&f, "begin", t->begin, t->extent);
    add_places(&f, "extent", t->extent, t->extent);
    if (t->f) {
        itc_strbuf_printf(b, ",\n%*s", (int)indent + 1, "");
        write_term(w, b, indent + 1, ".f = &(const itr_term){", t->f);
    }
    itc_strbuf_add(b, "}");
}

/** `.field = value`, or NULL where the value is the 0 that a member has anyway. */
static const char *field_text(itc_c_writer *w, const itc_field *d, const itc_arg *a)
{
    itc_ctx *ctx = w->ctx;
    const char *v = NULL;
    switch (d->kind) {
    case ITC_FIELD_IN:
    case ITC_FIELD_OUT:
        v = a->metrics ? "c->metrics" : a->value ? itc_c_pointer(w, a->value) : NULL;
        break;
    case ITC_FIELD_EIN:
    case ITC_FIELD_EOUT:
        v = a->value ? itc_c_exponent_pointer(w, a->value) : NULL;
        break;
    case ITC_FIELD_RNG:
        v = "&c->rng";
        break;
    case ITC_FIELD_POOL:
        v = "c->pool";
        break;
    case ITC_FIELD_DIM:
        v = a->dim.size != 0 ? itc_c_dim(ctx, a->dim) : NULL;
        break;
    case ITC_FIELD_INT:
        v = a->i == ITC_INT_FIRST_MICRO ? "c->micro == 0"
            : a->i == INT32_MIN         ? "INT32_MIN"
            : a->i != 0                 ? itc_c_int(ctx, a->i)
                                        : NULL;
        break;
    case ITC_FIELD_REAL:
        v = w->info->is_float ? itc_c_number(ctx, ITC_LOOP_REAL, (itc_coef){a->real, ITC_SYM_NONE})
                              : NULL;
        break;
    case ITC_FIELD_SHAPE:
        v = dims_text(w, a->rank, a->shape);
        break;
    case ITC_FIELD_CODE:
        return itc_format(ctx, ".%s = %s, .%s_count = %d", d->name,
                          a->n_code > 0 ? d->name : "NULL", d->name, a->n_code);
    case ITC_FIELD_TERMS:
        return a->n_terms > 0 ? itc_format(ctx, ".%s = %s, .%s_count = %d", d->name, d->name,
                                           d->name, a->n_terms)
                              : NULL;
    }
    return v ? itc_format(ctx, ".%s = %s", d->name, v) : NULL;
}

/** A program: constants of the call. */
static void write_code(itc_c_writer *w, itc_strbuf *b, const char *name, const itc_arg *a)
{
    itc_strbuf_printf(b, "        static const int32_t %s[] = {", name);
    filler f = {w, b, 0, 12, true};
    for (int i = 0; i < a->n_code; i++) {
        add_item(&f, a->code[i] == INT32_MIN ? "INT32_MIN" : itc_c_int(w->ctx, a->code[i]));
    }
    itc_strbuf_add(b, "};\n");
}

static void check_pointers(itc_c_writer *w, const itc_record *r)
{
    for (int i = 0; i < r->kernel->n_fields; i++) {
        const itc_value *v = r->args[i].value;
        const itc_field_kind k = r->kernel->fields[i].kind;
        if (v && (k == ITC_FIELD_IN || k == ITC_FIELD_OUT) &&
            itc_value_is_port(itc_value_root(v))) {
            w->status = itc_error(w->ctx, r->node, ITC_INTERNAL, "E0403",
                                  "kernel %s takes \"%s\", whose type is known at run time only",
                                  r->kernel->name, v->name);
        }
    }
}

static void write_call(itc_c_writer *w, itc_strbuf *b, const itc_record *r)
{
    const itc_kernel *k = r->kernel;
    bool block = false;
    check_pointers(w, r);
    for (int i = 0; i < k->n_fields; i++) {
        const itc_arg *a = &r->args[i];
        if (a->n_terms == 0 && a->n_code == 0) {
            continue;
        }
        itc_strbuf_add(b, block ? "" : "    {\n");
        block = true;
        if (a->n_code > 0) {
            write_code(w, b, k->fields[i].name, a);
            continue;
        }
        itc_strbuf_printf(b, "        const itr_term %s[] = {\n", k->fields[i].name);
        for (int t = 0; t < a->n_terms; t++) {
            itc_strbuf_printf(b, "%*s", 12, "");
            write_term(w, b, 12, "{", &a->terms[t]);
            itc_strbuf_add(b, ",\n");
        }
        itc_strbuf_add(b, "        };\n");
    }
    itc_strbuf_printf(b, "%*ss->k.%s(&(itr_%s_args){", block ? 8 : 4, "", k->name, k->args);
    filler f = {w, b, 0, block ? 12 : 8, true};
    for (int i = 0; i < k->n_fields; i++) {
        const char *text = field_text(w, &k->fields[i], &r->args[i]);
        if (text) {
            add_item(&f, text);
        }
    }
    itc_strbuf_add(b, "});\n");
    itc_strbuf_add(b, block ? "    }\n" : "");
}

/* ---- locals ---- */

void itc_c_mention(itc_strbuf *b, const char *text, const char *parameter)
{
    const size_t n = strlen(parameter);
    for (const char *p = strstr(text, parameter); p; p = strstr(p + 1, parameter)) {
        const bool starts = p == text || !strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVW"
                                                 "XYZ0123456789_.>",
                                                 p[-1]);
        if (starts && (p[n] == '-' || p[n] == '[' || p[n] == ' ')) {
            return;
        }
    }
    itc_strbuf_printf(b, "    (void)%s;\n", parameter);
}

static void write_locals(itc_c_writer *w, itc_strbuf *b, const needs *n)
{
    const char *rate = w->info->is_float ? "double" : "itr_scalar";
    itc_strbuf_add(b, n->rows ? "    const int64_t n = c->rows;\n" : "");
    if (n->lr) {
        itc_strbuf_printf(b, "    const %s lr = c->lr;\n", rate);
    }
    if (n->inv_n) {
        itc_strbuf_printf(b, "    const %s inv_n = c->inv_n;\n", rate);
    }
    for (int i = 0; i < w->g->n_values; i++) {
        if (n->value[i]) {
            const itc_value *v = w->g->values[i];
            const char *type = itc_c_type(v->type.dtype);
            itc_strbuf_printf(b, "    %s *const %s = (%s *)(void *)(s->arena + %lld);\n", type,
                              w->names->ident[i], type, (long long)itc_value_root(v)->offset);
        }
    }
}

/* ---- loops ---- */

static void write_loop_text(itc_c_writer *w, itc_strbuf *b, const itc_loop *l, bool part)
{
    const char *in[8];
    for (int k = 0; k < l->n_in; k++) {
        in[k] = itc_c_pointer(w, is_in_place(l, k) ? l->out : l->in[k]);
    }
    itc_c_loop(w->ctx, b, 4, l, itc_c_pointer(w, l->out), in, part);
}

/** A loop where it stands, or a call of itr_parallel and a function in w->loops. */
static void write_loop(itc_c_writer *w, itc_strbuf *b, const itc_loop *l)
{
    if (!is_shared(w, l)) {
        write_loop_text(w, b, l, false);
        return;
    }
    needs n = {.value = ITC_NEW_ARRAY(w->ctx, bool, w->g->n_values + 1)};
    itc_strbuf text;
    itc_strbuf_init(&text, w->ctx);
    need_loop(w, &n, l, true);
    write_locals(w, &text, &n);
    write_loop_text(w, &text, l, true);
    const char *model = w->names->model;
    itc_strbuf_printf(w->loops,
                      "ITR_LOOP static void loop_%d(void *user, int64_t begin, int64_t end)\n{\n",
                      ++w->n_loops);
    itc_strbuf_printf(w->loops, "    const itr_loop *const l = (const itr_loop *)user;\n");
    itc_strbuf_printf(w->loops, "    %s_state *const s = (%s_state *)l->state;\n", model, model);
    if (n.rows || n.lr || n.inv_n) {
        itc_strbuf_add(w->loops, "    const itr_call *const c = l->call;\n");
    }
    itc_strbuf_printf(w->loops, "%s}\n\n", text.text);
    const int64_t inner = loop_elements(l, 1);
    itc_strbuf_printf(b, "    itr_parallel(c->pool, %s, %lld, loop_%d, &(itr_loop){s, c});\n",
                      itc_c_dim(w->ctx, l->shape[0]),
                      (long long)(inner < LOOP_GRAIN ? (LOOP_GRAIN + inner - 1) / inner : 1),
                      w->n_loops);
}

/* ---- the other records ---- */

/** The exponent that an EXPONENT record stores, for slice `i` ("" where there is one slice). */
static const char *exponent_text(itc_c_writer *w, const itc_record *r, bool slices)
{
    const itc_value *v = r->value;
    itc_strbuf b;
    if (itc_value_is_port(v) && !r->from) {
        return itc_format(w->ctx, "%s.exponent", port_text(w, v));
    }
    if (r->from && r->from->exp.slot < 0) {
        return itc_format(w->ctx, "%d", r->from->exp.offset);
    }
    if (r->from) {
        const bool many = slices && itc_value_exponents(r->from) > 1;
        return itc_format(w->ctx, "s->e[%d%s]", r->from->exp.slot, many ? " + i" : "");
    }
    itc_strbuf_init(&b, w->ctx);
    for (int i = 0; i < v->exp.n_terms; i++) {
        const bool many = slices && w->info->slot_count[v->exp.term[i]] > 1;
        const bool minus = (v->exp.minus >> i & 1) != 0;
        itc_strbuf_printf(&b, "%ss->e[%d%s]",
                          minus   ? (i > 0 ? " - " : "-")
                          : i > 0 ? " + "
                                  : "",
                          v->exp.term[i], many ? " + i" : "");
    }
    if (v->exp.n_terms == 0) {
        itc_strbuf_printf(&b, "%d", v->exp.offset);
    } else if (v->exp.offset != 0) {
        itc_strbuf_printf(&b, " %c %d", v->exp.offset < 0 ? '-' : '+',
                          v->exp.offset < 0 ? -v->exp.offset : v->exp.offset);
    }
    return b.text;
}

static void write_exponent(itc_c_writer *w, itc_strbuf *b, const itc_record *r)
{
    const int32_t n = itc_value_exponents(r->value);
    const char *text = exponent_text(w, r, n > 1);
    if (n > 1) {
        itc_strbuf_printf(b, "    for (int32_t i = 0; i < %d; i++) {\n", n);
        itc_strbuf_printf(b, "        s->e[%d + i] = %s;\n    }\n", r->value->exp.slot, text);
    } else {
        itc_strbuf_printf(b, "    s->e[%d] = %s;\n", r->value->exp.slot, text);
    }
}

static void write_comment(itc_c_writer *w, itc_strbuf *b, const itc_record *r)
{
    itc_ctx *ctx = w->ctx;
    itc_strbuf t;
    itc_strbuf_init(&t, ctx);
    if (!r->node) {
        itc_strbuf_printf(&t, "state: %s", r->value ? r->value->name : "");
    } else {
        const itc_node *n = r->node;
        const itc_value *out = n->n_out > 0 ? n->out[0] : NULL;
        itc_strbuf_printf(&t, "%s (%s)", itc_name_node(n), n->op->name);
        if (out) {
            const char *e = itc_name_exponent(ctx, &out->exp);
            itc_strbuf_printf(&t, " %s%s%s", itc_type_text(ctx, &out->type), e[0] ? " e=" : "", e);
        }
        const char *site = itc_name_site(ctx, n->site);
        itc_strbuf_printf(&t, "%s%s", site[0] ? "  " : "", site);
    }
    itc_strbuf_printf(b, "\n    /* %s */\n", itc_name_comment(ctx, t.text));
}

static void write_list(itc_c_writer *w, itc_strbuf *b, const itc_record_list *list)
{
    const void *last = w; /* node or state tensor of the record before */
    for (int i = 0; i < list->n; i++) {
        const itc_record *r = list->record[i];
        const void *owner = r->node ? (const void *)r->node : (const void *)r->value;
        if (owner != last && r->kind != ITC_RECORD_REPEAT && r->kind != ITC_RECORD_RETRY) {
            write_comment(w, b, r);
            last = owner;
        }
        switch (r->kind) {
        case ITC_RECORD_CALL:
            write_call(w, b, r);
            break;
        case ITC_RECORD_LOOP:
            write_loop(w, b, r->loop);
            break;
        case ITC_RECORD_EXPONENT:
            write_exponent(w, b, r);
            break;
        case ITC_RECORD_RETRY:
            itc_strbuf_add(b, "\n    do {\n");
            write_list(w, b, r->body);
            itc_strbuf_printf(b, "    } while (*%s != 0);\n", itc_c_pointer(w, r->value));
            break;
        case ITC_RECORD_REPEAT:
            break; /* a function of its own */
        }
        if (r->ends > 0) {
            itc_strbuf_printf(b, "    ITR_AFTER(s, c, %d);\n", r->ends - 1);
        }
    }
}

/* ---- functions ---- */

static void write_part(itc_c_writer *w, itc_strbuf *b, const char *name,
                       const itc_record_list *list)
{
    needs n = {.value = ITC_NEW_ARRAY(w->ctx, bool, w->g->n_values + 1)};
    itc_strbuf text, loops;
    itc_strbuf_init(&text, w->ctx);
    itc_strbuf_init(&loops, w->ctx);
    w->loops = &loops;
    need_list(w, &n, list);
    write_locals(w, &text, &n);
    write_list(w, &text, list);
    itc_strbuf_add(b, loops.len > 0 ? loops.text : "");
    itc_strbuf_printf(b, "static void %s(%s_state *s, itr_call *c)\n{\n", name, w->names->model);
    itc_c_mention(b, text.text, "s");
    itc_c_mention(b, text.text, "c");
    itc_strbuf_add(b, text.text);
    itc_strbuf_add(b, "}\n");
}

/**
 * One function, or where it would get long one that calls others: the time that a C compiler takes
 * grows faster than a function does, and so do the stack's bytes for all the arguments in it.
 */
static void write_function(itc_c_writer *w, itc_strbuf *b, const char *name, const char *what,
                           const itc_record_list *list)
{
    itc_strbuf_printf(b, "\n/* %s */\n", what);
    if (list->n <= PART) {
        write_part(w, b, name, list);
        return;
    }
    itc_strbuf calls;
    itc_strbuf_init(&calls, w->ctx);
    for (int from = 0; from < list->n; from += PART) {
        const int n = list->n - from < PART ? list->n - from : PART;
        const itc_record_list part = {list->record + from, n, n};
        const char *part_name = itc_format(w->ctx, "%s_%d", name, from / PART + 1);
        write_part(w, b, part_name, &part);
        itc_strbuf_add(b, "\n");
        itc_strbuf_printf(&calls, "    %s(s, c);\n", part_name);
    }
    itc_strbuf_printf(b, "static void %s(%s_state *s, itr_call *c)\n{\n%s}\n", name,
                      w->names->model, calls.text);
}

itc_status itc_c_body(itc_c_writer *w, itc_strbuf *b)
{
    const itc_record_list *step = &w->p->step;
    const itc_record_list update = {step->record + 1, step->n - 1, step->n - 1};
    write_function(w, b, "prepare", "Once a step or evaluation: what depends on state alone.",
                   &w->p->prepare);
    write_function(w, b, "forward_backward", "A micro-batch: losses and gradients.",
                   step->record[0]->body);
    write_function(w, b, "update", "Once a step: the optimizer.", &update);
    write_function(w, b, "infer_one", "One sample in evaluation: the outputs.", &w->p->infer);
    write_function(w, b, "score_one", "The same sample against its targets.", &w->p->score);
    return w->status;
}
