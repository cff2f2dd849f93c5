#include "codegen/c_expr.h"

#include <math.h>
#include <string.h>

#include "codegen/names.h"

typedef struct printer {
    itc_ctx *ctx;
    itc_strbuf *b;
    const itc_loop *loop;
    itc_loop_kind kind;
    const char **operand; /* `x[i]` of each */
} printer;

static bool calls(const itc_expr *x)
{
    return x && (x->kind == ITC_X_CALL || calls(x->arg[0]) || calls(x->arg[1]) || calls(x->arg[2]));
}

/** Functions of integers have 64 bits. */
itc_loop_kind itc_loop_kind_of(const itc_loop *l)
{
    itc_loop_kind k = l->out->type.dtype == ITC_F32                     ? ITC_LOOP_REAL
                      : l->out->type.dtype == ITC_I64 || calls(l->expr) ? ITC_LOOP_I64
                                                                        : ITC_LOOP_I32;
    for (int i = 0; i < l->n_in; i++) {
        const itc_dtype t = l->in[i]->type.dtype;
        if (t == ITC_F32) {
            k = ITC_LOOP_REAL;
        } else if (t == ITC_I64 && k == ITC_LOOP_I32) {
            k = ITC_LOOP_I64;
        }
    }
    return k;
}

const char *itc_c_type(itc_dtype t)
{
    switch (t) {
    case ITC_F32:
        return "float";
    case ITC_I8:
        return "int8_t";
    case ITC_I16:
        return "int16_t";
    case ITC_I32:
        return "int32_t";
    case ITC_I64:
        return "int64_t";
    case ITC_U8:
    case ITC_BOOL:
    case ITC_DTYPE_COUNT:
        break;
    }
    return "uint8_t";
}

const char *itc_c_dim(itc_ctx *ctx, itc_dim d)
{
    if (!d.batch) {
        return itc_c_int(ctx, d.size);
    }
    return d.size == 1 ? "n" : itc_format(ctx, "%s * n", itc_c_int(ctx, d.size));
}

const char *itc_c_int(itc_ctx *ctx, int64_t v)
{
    if (v == INT64_MIN) {
        return "INT64_MIN";
    }
    if (v > INT32_MAX || v < -INT32_MAX) {
        return itc_format(ctx, "INT64_C(%lld)", (long long)v);
    }
    return itc_format(ctx, "%lld", (long long)v);
}

static const char *symbol_name(itc_symbol s)
{
    return s == ITC_SYM_LR ? "lr" : "inv_n";
}

const char *itc_c_number(itc_ctx *ctx, itc_loop_kind k, itc_coef c)
{
    if (k != ITC_LOOP_REAL) {
        return itc_c_int(ctx, (int64_t)c.value);
    }
    if (isnan(c.value)) {
        return "(double)NAN";
    }
    if (isinf(c.value)) {
        return c.value > 0 ? "(double)INFINITY" : "(double)-INFINITY";
    }
    const char *text = itc_name_number(ctx, c.value);
    if (!strpbrk(text, ".e")) {
        text = itc_format(ctx, "%s.0", text);
    }
    if (c.symbol == ITC_SYM_NONE) {
        return text;
    }
    if (strcmp(text, "1.0") == 0 || strcmp(text, "-1.0") == 0) {
        return itc_format(ctx, "%s%s", text[0] == '-' ? "-" : "", symbol_name(c.symbol));
    }
    return itc_format(ctx, "%s * %s", text, symbol_name(c.symbol));
}

static void print_value(const printer *p, const itc_expr *x);

/** An operand of an operator: in parentheses unless it is a name or a number. */
static void print_operand(const printer *p, const itc_expr *x)
{
    bool plain = x->kind == ITC_X_LOAD || x->kind == ITC_X_MAX || x->kind == ITC_X_MIN ||
                 x->kind == ITC_X_CALL ||
                 (p->kind == ITC_LOOP_I64 && x->kind >= ITC_X_ADD && x->kind <= ITC_X_NEG);
    if (x->kind == ITC_X_CONST) {
        const char *text = itc_c_number(p->ctx, p->kind, x->c);
        plain = text[0] != '-' && !strchr(text, ' ');
    }
    itc_strbuf_add(p->b, plain ? "" : "(");
    print_value(p, x);
    itc_strbuf_add(p->b, plain ? "" : ")");
}

static void print_binary(const printer *p, const itc_expr *x, const char *operator)
{
    print_operand(p, x->arg[0]);
    itc_strbuf_printf(p->b, " %s ", operator);
    print_operand(p, x->arg[1]);
}

/** As a truth value. */
static void print_condition(const printer *p, const itc_expr *x)
{
    if (x->kind == ITC_X_GT || x->kind == ITC_X_LT || x->kind == ITC_X_EQ) {
        print_binary(p, x, x->kind == ITC_X_GT ? ">" : x->kind == ITC_X_LT ? "<" : "==");
    } else if (x->kind == ITC_X_AND) {
        for (int i = 0; i < 2; i++) {
            const bool nested = x->arg[i]->kind == ITC_X_SELECT;
            itc_strbuf_add(p->b, i > 0 ? " && " : "");
            itc_strbuf_add(p->b, nested ? "(" : "");
            print_condition(p, x->arg[i]);
            itc_strbuf_add(p->b, nested ? ")" : "");
        }
    } else {
        print_operand(p, x);
        itc_strbuf_add(p->b, p->kind == ITC_LOOP_REAL ? " != 0.0" : " != 0");
    }
}

static void print_load(const printer *p, const itc_expr *x)
{
    const itc_dtype t = p->loop->in[x->index]->type.dtype;
    const char *cast = "";
    if (p->kind == ITC_LOOP_REAL) {
        cast = "(double)";
    } else if (p->kind == ITC_LOOP_I64 && t != ITC_I64) {
        cast = "(int64_t)";
    }
    itc_strbuf_printf(p->b, "%s%s", cast, p->operand[x->index]);
}

static void print_call(const printer *p, const itc_expr *x, const char *function, int n)
{
    itc_strbuf_printf(p->b, "%s(", function);
    for (int i = 0; i < n; i++) {
        itc_strbuf_add(p->b, i > 0 ? ", " : "");
        print_value(p, x->arg[i]);
    }
    itc_strbuf_add(p->b, ")");
}

/**
 * A binary operator. In 64 bits a call: plain integers have no bound that the plan proves, so sums
 * and products wrap, and a quotient by 0 is 0.
 */
static void print_arithmetic(const printer *p, const itc_expr *x, const char *operator,
                             const char * function)
{
    if (p->kind == ITC_LOOP_I64) {
        print_call(p, x, function, 2);
    } else {
        print_binary(p, x, operator);
    }
}

static void print_value(const printer *p, const itc_expr *x)
{
    static const char *const max[] = {"itr_max_i32", "itr_max_i64", "itr_max_f64"};
    static const char *const min[] = {"itr_min_i32", "itr_min_i64", "itr_min_f64"};
    switch (x->kind) {
    case ITC_X_LOAD:
        print_load(p, x);
        break;
    case ITC_X_CONST:
        itc_strbuf_add(p->b, itc_c_number(p->ctx, p->kind, x->c));
        break;
    case ITC_X_ADD:
        print_arithmetic(p, x, "+", "itr_wrap_add64");
        break;
    case ITC_X_SUB:
        print_arithmetic(p, x, "-", "itr_wrap_sub64");
        break;
    case ITC_X_MUL:
        print_arithmetic(p, x, "*", "itr_wrap_mul64");
        break;
    case ITC_X_DIV:
        print_arithmetic(p, x, "/", "itr_div64");
        break;
    case ITC_X_NEG:
        itc_strbuf_add(p->b, p->kind == ITC_LOOP_I64 ? "itr_wrap_sub64(0, " : "-");
        print_operand(p, x->arg[0]);
        itc_strbuf_add(p->b, p->kind == ITC_LOOP_I64 ? ")" : "");
        break;
    case ITC_X_MAX:
        print_call(p, x, max[p->kind], 2);
        break;
    case ITC_X_MIN:
        print_call(p, x, min[p->kind], 2);
        break;
    case ITC_X_GT:
    case ITC_X_LT:
    case ITC_X_EQ:
    case ITC_X_AND:
        print_condition(p, x);
        itc_strbuf_add(p->b, p->kind == ITC_LOOP_REAL ? " ? 1.0 : 0.0" : " ? 1 : 0");
        break;
    case ITC_X_SELECT:
        print_condition(p, x->arg[0]);
        itc_strbuf_add(p->b, " ? ");
        print_operand(p, x->arg[1]);
        itc_strbuf_add(p->b, " : ");
        print_operand(p, x->arg[2]);
        break;
    case ITC_X_CALL:
        print_call(p, x, x->function, x->arg[1] ? 2 : 1);
        break;
    case ITC_X_COUNT:
        break;
    }
}

/** `49 * i0 + i1` for operand strides. */
static const char *index_text(itc_ctx *ctx, const itc_loop *l, const itc_dim *stride)
{
    itc_strbuf b;
    itc_strbuf_init(&b, ctx);
    for (int i = 0; i < l->rank; i++) {
        if (stride[i].size == 0) {
            continue;
        }
        itc_strbuf_add(&b, b.len > 0 ? " + " : "");
        if (stride[i].size != 1 || stride[i].batch) {
            itc_strbuf_printf(&b, "%s * ", itc_c_dim(ctx, stride[i]));
        }
        itc_strbuf_add(&b, l->rank == 1 ? "i" : itc_format(ctx, "i%d", i));
    }
    return b.len > 0 ? b.text : "0";
}

/** The right-hand side of the assignment, with the cast that narrows it. */
static const char *stored_text(itc_ctx *ctx, const itc_loop *l, const char **operand)
{
    itc_strbuf b;
    itc_strbuf_init(&b, ctx);
    const printer p = {ctx, &b, l, itc_loop_kind_of(l), operand};
    const itc_dtype t = l->out->type.dtype;
    const bool same =
        (p.kind == ITC_LOOP_I32 && t == ITC_I32) || (p.kind == ITC_LOOP_I64 && t == ITC_I64);
    if (l->expr->kind == ITC_X_LOAD && l->in[l->expr->index]->type.dtype == t) {
        itc_strbuf_add(&b, operand[l->expr->index]);
    } else if (same) {
        print_value(&p, l->expr);
    } else {
        itc_strbuf_printf(&b, "(%s)", itc_c_type(t));
        print_operand(&p, l->expr);
    }
    return b.text;
}

void itc_c_loop(itc_ctx *ctx, itc_strbuf *b, int indent, const itc_loop *l, const char *out,
                const char *const *in, bool part)
{
    itc_dim stride[ITC_MAX_RANK] = {{0}};
    itc_dim step = {1, false};
    for (int i = l->rank - 1; i >= 0; i--) {
        stride[i] = step;
        step.size *= l->shape[i].size;
        step.batch = step.batch || l->shape[i].batch;
    }
    const char *operand[8];
    for (int k = 0; k < l->n_in; k++) {
        operand[k] = itc_format(ctx, "%s[%s]", in[k], index_text(ctx, l, l->stride[k]));
    }
    for (int i = 0; i < l->rank; i++) {
        const char *var = l->rank == 1 ? "i" : itc_format(ctx, "i%d", i);
        const bool range = part && i == 0;
        itc_strbuf_printf(b, "%*sfor (int64_t %s = %s; %s < %s; %s++) {\n", indent + 4 * i, "", var,
                          range ? "begin" : "0", var, range ? "end" : itc_c_dim(ctx, l->shape[i]),
                          var);
    }
    const char *to = itc_format(ctx, "%s[%s] =", out, index_text(ctx, l, stride));
    const char *value = stored_text(ctx, l, operand);
    const int at = indent + 4 * l->rank;
    const bool fits = (size_t)at + strlen(to) + strlen(value) + 2 <= 100;
    itc_strbuf_printf(b, "%*s%s", at, "", to);
    if (fits) {
        itc_strbuf_printf(b, " %s;\n", value);
    } else {
        itc_strbuf_printf(b, "\n%*s%s;\n", at + 4, "", value);
    }
    for (int i = l->rank - 1; i >= 0; i--) {
        itc_strbuf_printf(b, "%*s}\n", indent + 4 * i, "");
    }
}

bool itc_loop_uses_rows(const itc_loop *l, bool part)
{
    for (int i = 0; i < l->rank; i++) {
        if (l->shape[i].batch && !(part && i == 0)) {
            return true;
        }
        for (int k = 0; k < l->n_in; k++) {
            if (l->stride[k][i].batch) {
                return true;
            }
        }
    }
    return false;
}

bool itc_expr_uses_symbol(const itc_expr *x, itc_symbol s)
{
    if (!x) {
        return false;
    }
    return (x->kind == ITC_X_CONST && x->c.symbol == s) || itc_expr_uses_symbol(x->arg[0], s) ||
           itc_expr_uses_symbol(x->arg[1], s) || itc_expr_uses_symbol(x->arg[2], s);
}
