#include "codegen/emit.h"

#include <math.h>
#include <string.h>

#include "codegen/math.def"
#include "runtime/kernel.h"

struct itc_emit {
    itc_graph *g;
    const itc_node *node;
    itc_record_list *list;
    itc_record *open; /**< the call whose arguments are being given */
    itc_status status;
};

itc_emit *itc_emit_new(itc_graph *g)
{
    itc_emit *e = ITC_NEW(g->ctx, itc_emit);
    e->g = g;
    return e;
}

itc_graph *itc_emit_graph(itc_emit *e)
{
    return e->g;
}

itc_ctx *itc_emit_ctx(itc_emit *e)
{
    return e->g->ctx;
}

void itc_emit_begin(itc_emit *e, const itc_node *n, itc_record_list *list)
{
    e->node = n;
    e->list = list;
    e->open = NULL;
    e->status = ITC_OK;
}

static itc_record *append(itc_emit *e, itc_record_kind kind)
{
    itc_record *r = ITC_NEW(e->g->ctx, itc_record);
    r->kind = kind;
    r->node = e->node;
    ITC_PUSH(e->g->ctx, e->list->record, e->list->n, e->list->cap, r);
    return r;
}

static void fail(itc_emit *e, const char *what, const char *field)
{
    if (e->status == ITC_OK) {
        e->status =
            itc_error(e->g->ctx, e->node, ITC_INTERNAL, "E0402", "%s: argument \"%s\" of kernel %s",
                      what, field, e->open ? e->open->kernel->name : "(none)");
    }
}

/** Filled in by whoever runs the call. */
static bool is_automatic(itc_field_kind k)
{
    return k == ITC_FIELD_RNG || k == ITC_FIELD_POOL;
}

/** Closes the open call: every field but the automatic ones must have been given. */
static itc_status close_call(itc_emit *e)
{
    if (e->open) {
        const itc_kernel *k = e->open->kernel;
        for (int i = 0; i < k->n_fields; i++) {
            if (!e->open->args[i].set && !is_automatic(k->fields[i].kind)) {
                fail(e, "missing", k->fields[i].name);
            }
        }
        e->open = NULL;
    }
    return e->status;
}

itc_status itc_emit_end(itc_emit *e)
{
    return close_call(e);
}

static const char *kernel_name(itc_emit *e, const char *base, int n, itc_value *const *types)
{
    bool all_floats = n > 0;
    for (int i = 0; i < n; i++) {
        all_floats = all_floats && types[i]->type.dtype == ITC_F32;
    }
    if (n == 0 || all_floats) {
        return n == 0 ? base : itc_format(e->g->ctx, "%s_f32", base);
    }
    itc_strbuf b;
    itc_strbuf_init(&b, e->g->ctx);
    itc_strbuf_printf(&b, "%s_", base);
    for (int i = 0; i < n; i++) {
        itc_strbuf_add(&b, itc_dtype_name(types[i]->type.dtype));
    }
    return b.text;
}

itc_status itc_emit_call(itc_emit *e, const itc_node *n, const char *base, int n_types,
                         itc_value *const *types)
{
    ITC_TRY(close_call(e));
    const char *name = kernel_name(e, base, n_types, types);
    const itc_kernel *k = itc_kernel_find(name);
    if (!k) {
        return itc_error(e->g->ctx, n, ITC_UNSUPPORTED, "E0401", "there is no kernel \"%s\"", name);
    }
    itc_record *r = append(e, ITC_RECORD_CALL);
    r->node = n;
    r->kernel = k;
    r->args = ITC_NEW_ARRAY(e->g->ctx, itc_arg, k->n_fields);
    e->open = r;
    return ITC_OK;
}

/** The argument of a field of one of two kinds; a spare one after a failure. */
static itc_arg *argument(itc_emit *e, const char *field, itc_field_kind a, itc_field_kind b)
{
    const int i = e->open ? itc_kernel_field(e->open->kernel, field) : -1;
    if (i < 0) {
        fail(e, "unknown", field);
        return ITC_NEW(e->g->ctx, itc_arg);
    }
    const itc_field_kind kind = e->open->kernel->fields[i].kind;
    if (kind != a && kind != b) {
        fail(e, "another kind of", field);
    }
    e->open->args[i].set = true;
    return &e->open->args[i];
}

void itc_arg_ptr(itc_emit *e, const char *field, const itc_value *v)
{
    argument(e, field, ITC_FIELD_IN, ITC_FIELD_OUT)->value = v;
}

void itc_arg_exp(itc_emit *e, const char *field, const itc_value *v)
{
    argument(e, field, ITC_FIELD_EIN, ITC_FIELD_EOUT)->value =
        v && itc_value_exponents(v) > 0 ? v : NULL;
}

void itc_arg_dim(itc_emit *e, const char *field, itc_dim d)
{
    argument(e, field, ITC_FIELD_DIM, ITC_FIELD_DIM)->dim = d;
}

void itc_arg_int(itc_emit *e, const char *field, int64_t v)
{
    if (v != ITC_INT_FIRST_MICRO && (v < INT32_MIN || v > INT32_MAX)) {
        fail(e, "too large", field);
    }
    argument(e, field, ITC_FIELD_INT, ITC_FIELD_INT)->i = v;
}

void itc_arg_rounding(itc_emit *e, const char *field, const char *mode)
{
    itc_arg_int(e, field,
                strcmp(mode, "stochastic") == 0 ? ITR_ROUND_STOCHASTIC
                : strcmp(mode, "floor") == 0    ? ITR_ROUND_FLOOR
                                                : ITR_ROUND_NEAREST);
}

void itc_arg_rule(itc_emit *e, const char *field, const char *rule)
{
    itc_arg_int(e, field, strcmp(rule, "bitlength") == 0 ? ITR_RULE_BITLENGTH : ITR_RULE_EXACT);
}

void itc_arg_real(itc_emit *e, const char *field, double v)
{
    argument(e, field, ITC_FIELD_REAL, ITC_FIELD_REAL)->real = v;
}

void itc_arg_shape(itc_emit *e, const char *field, int rank, const itc_dim *d)
{
    itc_arg *a = argument(e, field, ITC_FIELD_SHAPE, ITC_FIELD_SHAPE);
    a->rank = rank;
    for (int i = 0; i < rank; i++) {
        a->shape[i] = d[i];
    }
}

void itc_arg_ints(itc_emit *e, const char *field, int n, const int64_t *v)
{
    itc_arg *a = argument(e, field, ITC_FIELD_SHAPE, ITC_FIELD_SHAPE);
    a->rank = n;
    for (int i = 0; i < n; i++) {
        a->shape[i] = itc_dim_of(v[i]);
    }
}

void itc_arg_metrics(itc_emit *e, const char *field)
{
    argument(e, field, ITC_FIELD_OUT, ITC_FIELD_OUT)->metrics = true;
}

void itc_arg_code(itc_emit *e, const char *field, int n, const int32_t *words)
{
    itc_arg *a = argument(e, field, ITC_FIELD_CODE, ITC_FIELD_CODE);
    a->code = words;
    a->n_code = n;
}

/** x broadcast to out's shape, or to a box of it, times 1. The box: where it begins on each axis,
 * then its extents (0: all of the axis); NULL: none. */
static itc_term term_of(const itc_value *x, const itc_type *out, const int64_t *box)
{
    const itc_type *t = &x->type;
    itc_term term = {.x = x, .c = {1, ITC_SYM_NONE}};
    itc_type within = *out;
    for (int i = 0; box && i < out->rank; i++) {
        term.begin[i] = box[i];
        term.extent[i] = box[out->rank + i];
        within.dim[i] = term.extent[i] != 0 ? itc_dim_of(term.extent[i]) : out->dim[i];
    }
    itc_broadcast_strides(t, &within, term.stride);
    const int axis = t->exp_axis < 0 ? -1 : t->exp_axis + out->rank - t->rank;
    if (axis >= 0 && itc_value_exponents(x) > 1) {
        term.e_stride[axis] = 1;
    }
    return term;
}

void itc_arg_products(itc_emit *e, const char *field, int n, itc_value *const *x,
                      itc_value *const *f, const itc_coef *c, const int64_t *boxes,
                      const itc_type *out)
{
    itc_arg *a = argument(e, field, ITC_FIELD_TERMS, ITC_FIELD_TERMS);
    a->terms = ITC_NEW_ARRAY(e->g->ctx, itc_term, n);
    a->n_terms = n;
    for (int i = 0; i < n; i++) {
        const int64_t *box = boxes ? boxes + 2 * (ptrdiff_t)out->rank * i : NULL;
        a->terms[i] = term_of(x[i], out, box);
        a->terms[i].c = c ? c[i] : a->terms[i].c;
        if (f && f[i]) {
            itc_term *factor = ITC_NEW(e->g->ctx, itc_term);
            *factor = term_of(f[i], out, box);
            a->terms[i].f = factor;
        }
    }
}

void itc_arg_terms(itc_emit *e, const char *field, int n, itc_value *const *x, const itc_coef *c,
                   const itc_type *out)
{
    itc_arg_products(e, field, n, x, NULL, c, NULL, out);
}

/* ---- loops ---- */

itc_dim itc_dim_of(int64_t size)
{
    return (itc_dim){size, false};
}

itc_dim itc_dim_mul(itc_dim a, itc_dim b)
{
    return (itc_dim){a.size * b.size, a.batch || b.batch};
}

void itc_broadcast_strides(const itc_type *t, const itc_type *out, itc_dim *stride)
{
    itc_dim step = {1, false};
    for (int i = out->rank - 1; i >= 0; i--) {
        const int j = i - (out->rank - t->rank);
        stride[i] = itc_dim_of(0);
        if (j < 0 || !itc_dim_equal(t->dim[j], out->dim[i])) {
            step = j < 0 ? step : itc_dim_mul(step, t->dim[j]);
            continue;
        }
        stride[i] = step;
        step = itc_dim_mul(step, t->dim[j]);
    }
}

static bool is_one(itc_dim d)
{
    return d.size == 1 && !d.batch;
}

/** True: axis i and i + 1 are walked as one by an operand. */
static bool joins(const itc_dim *stride, const itc_dim *shape, int i)
{
    if (stride[i + 1].size == 0) {
        return stride[i].size == 0;
    }
    return itc_dim_equal(stride[i], itc_dim_mul(stride[i + 1], shape[i + 1]));
}

static void drop_axis(itc_loop *l, int at)
{
    l->rank--;
    for (int i = at; i < l->rank; i++) {
        l->shape[i] = l->shape[i + 1];
        for (int k = 0; k < l->n_in; k++) {
            l->stride[k][i] = l->stride[k][i + 1];
        }
    }
}

/** Drops axes of one element and joins neighbours, so that the usual loop is flat. */
static void collapse(itc_loop *l)
{
    for (int i = l->rank - 1; i >= 0; i--) {
        if (is_one(l->shape[i])) {
            drop_axis(l, i);
        }
    }
    for (int i = l->rank - 2; i >= 0; i--) {
        bool all = !(l->shape[i].batch && l->shape[i + 1].batch);
        for (int k = 0; k < l->n_in; k++) {
            all = all && joins(l->stride[k], l->shape, i);
        }
        if (!all) {
            continue;
        }
        /* the joined axis walks as the inner one does */
        l->shape[i + 1] = itc_dim_mul(l->shape[i], l->shape[i + 1]);
        drop_axis(l, i);
    }
}

static bool is_integer_function(const char *name)
{
#define IS(function)                                                                               \
    if (strcmp(name, #function) == 0) {                                                            \
        return true;                                                                               \
    }
    ITC_INTEGER_FUNCTIONS(IS)
    return false;
}

static bool is_integer_only(const itc_expr *x)
{
    return x &&
           ((x->kind == ITC_X_CALL && is_integer_function(x->function)) ||
            is_integer_only(x->arg[0]) || is_integer_only(x->arg[1]) || is_integer_only(x->arg[2]));
}

static bool is_real_only(const itc_expr *x)
{
    if (!x) {
        return false;
    }
    const bool here =
        (x->kind == ITC_X_CALL && !is_integer_function(x->function)) ||
        (x->kind == ITC_X_CONST && (x->c.symbol != ITC_SYM_NONE || floor(x->c.value) < x->c.value ||
                                    fabs(x->c.value) > 9007199254740992.0));
    return here || is_real_only(x->arg[0]) || is_real_only(x->arg[1]) || is_real_only(x->arg[2]);
}

itc_status itc_emit_loop(itc_emit *e, const itc_node *n, itc_value *out, int n_in,
                         itc_value *const *in, const itc_expr *expr)
{
    ITC_TRY(close_call(e));
    itc_loop *l = ITC_NEW(e->g->ctx, itc_loop);
    bool is_float = out->type.dtype == ITC_F32;
    if (n_in > (int)(sizeof l->in / sizeof l->in[0])) {
        return itc_error(e->g->ctx, n, ITC_INTERNAL, "E0403", "a loop of %d operands", n_in);
    }
    l->rank = out->type.rank;
    for (int i = 0; i < l->rank; i++) {
        l->shape[i] = out->type.dim[i];
    }
    l->out = out;
    l->n_in = n_in;
    for (int k = 0; k < n_in; k++) {
        l->in[k] = in[k];
        is_float = is_float || in[k]->type.dtype == ITC_F32;
        itc_broadcast_strides(&in[k]->type, &out->type, l->stride[k]);
        if (itc_value_is_port(itc_value_root(in[k]))) {
            return itc_error(e->g->ctx, n, ITC_INTERNAL, "E0403",
                             "a loop reads \"%s\", whose type is known at run time only",
                             in[k]->name);
        }
    }
    if (is_float ? is_integer_only(expr) : is_real_only(expr)) {
        return itc_error(e->g->ctx, n, ITC_INTERNAL, "E0403",
                         "a loop of %s contains a number or function of others",
                         is_float ? "floats" : "integers");
    }
    l->expr = expr;
    collapse(l);
    itc_record *r = append(e, ITC_RECORD_LOOP);
    r->node = n;
    r->loop = l;
    return ITC_OK;
}

void itc_emit_exponent(itc_emit *e, const itc_value *v, const itc_value *from)
{
    itc_record *r = append(e, ITC_RECORD_EXPONENT);
    r->value = v;
    r->from = from;
}

const itc_expr *itc_x(itc_emit *e, itc_x_kind k, const itc_expr *a, const itc_expr *b,
                      const itc_expr *c)
{
    itc_expr *x = ITC_NEW(e->g->ctx, itc_expr);
    x->kind = k;
    x->arg[0] = a;
    x->arg[1] = b;
    x->arg[2] = c;
    return x;
}

const itc_expr *itc_x_call(itc_emit *e, const char *function, const itc_expr *a, const itc_expr *b)
{
    itc_expr *x = ITC_NEW(e->g->ctx, itc_expr);
    x->kind = ITC_X_CALL;
    x->function = function;
    x->arg[0] = a;
    x->arg[1] = b;
    return x;
}

const itc_expr *itc_x_load(itc_emit *e, int operand)
{
    itc_expr *x = ITC_NEW(e->g->ctx, itc_expr);
    x->kind = ITC_X_LOAD;
    x->index = operand;
    return x;
}

const itc_expr *itc_x_coef(itc_emit *e, itc_coef c)
{
    itc_expr *x = ITC_NEW(e->g->ctx, itc_expr);
    x->kind = ITC_X_CONST;
    x->c = c;
    return x;
}

const itc_expr *itc_x_const(itc_emit *e, double v)
{
    return itc_x_coef(e, (itc_coef){v, ITC_SYM_NONE});
}
