#include "ir/formula.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/text.h"

static const itc_function functions[] = {
#define F(name, operands, made_of, slope, c_name) {#name, operands, made_of, slope, c_name},
#include "ir/formula.def"
};

const itc_function *itc_function_named(const char *name)
{
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        if (strcmp(functions[i].name, name) == 0) {
            return &functions[i];
        }
    }
    return NULL;
}

/* ---- building ---- */

bool itc_formula_is_const(const itc_formula *f, double c)
{
    return f->kind == ITC_F_CONST && !(f->c < c) && !(f->c > c);
}

static itc_formula *new_formula(itc_ctx *ctx, itc_formula_kind kind)
{
    itc_formula *f = ITC_NEW(ctx, itc_formula);
    f->kind = kind;
    return f;
}

const itc_formula *itc_formula_x(itc_ctx *ctx)
{
    return new_formula(ctx, ITC_F_X);
}

const itc_formula *itc_formula_const(itc_ctx *ctx, double c)
{
    itc_formula *f = new_formula(ctx, ITC_F_CONST);
    f->c = c;
    return f;
}

static double eval_c(const char *name, double a, double b)
{
    static const struct {
        const char *name;
        double (*f)(double);
    } table[] = {{"exp", exp},     {"expm1", expm1}, {"log", log},     {"log1p", log1p},
                 {"sqrt", sqrt},   {"erf", erf},     {"erfc", erfc},   {"sin", sin},
                 {"cos", cos},     {"tan", tan},     {"asin", asin},   {"acos", acos},
                 {"atan", atan},   {"sinh", sinh},   {"cosh", cosh},   {"tanh", tanh},
                 {"asinh", asinh}, {"acosh", acosh}, {"atanh", atanh}, {"fabs", fabs},
                 {"floor", floor}, {"ceil", ceil},   {"rint", rint}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (strcmp(table[i].name, name) == 0) {
            return table[i].f(a);
        }
    }
    return strcmp(name, "pow") == 0 ? pow(a, b) : NAN;
}

/** The formula that a row of formula.def states. */
static const itc_formula *definition(itc_ctx *ctx, const char *text)
{
    const char *wrong = NULL;
    return itc_formula_parse(ctx, text, &wrong);
}

double itc_formula_eval(const itc_formula *f, double x)
{
    double v[3] = {0, 0, 0};
    if (f->kind == ITC_F_SELECT) {
        const double c = itc_formula_eval(f->arg[0], x);
        return itc_formula_eval(f->arg[c < 0 || c > 0 || isnan(c) ? 1 : 2], x);
    }
    for (int i = 0; i < 3 && f->arg[i]; i++) {
        v[i] = itc_formula_eval(f->arg[i], x);
    }
    switch (f->kind) {
    case ITC_F_X:
        return x;
    case ITC_F_CONST:
        return f->c;
    case ITC_F_ADD:
        return v[0] + v[1];
    case ITC_F_SUB:
        return v[0] - v[1];
    case ITC_F_MUL:
        return v[0] * v[1];
    case ITC_F_DIV:
        return v[0] / v[1];
    case ITC_F_NEG:
        return -v[0];
    case ITC_F_MAX: /* as itr_max_f64: a NaN stays one */
        return isnan(v[1]) || v[1] > v[0] ? v[1] : v[0];
    case ITC_F_MIN:
        return isnan(v[1]) || v[1] < v[0] ? v[1] : v[0];
    case ITC_F_GT:
        return v[0] > v[1] ? 1 : 0;
    case ITC_F_LT:
        return v[0] < v[1] ? 1 : 0;
    case ITC_F_CALL:
        return f->function->c_name ? eval_c(f->function->c_name, v[0], v[1]) : NAN;
    case ITC_F_UNIT:
    case ITC_F_SELECT:
        break;
    }
    return 0;
}

static bool all_const(const itc_formula *f)
{
    for (int i = 0; i < 3 && f->arg[i]; i++) {
        if (f->arg[i]->kind != ITC_F_CONST) {
            return false;
        }
    }
    return f->arg[0] != NULL;
}

static bool is_call(const itc_formula *f, const char *name)
{
    return f->kind == ITC_F_CALL && strcmp(f->function->name, name) == 0;
}

/** 1 + f, or 1 - f, of functions near -1 (or 1), without the loss: 1 + erf(x) is erfc(-x), 1 +
 * tanh(x) is 2 sigmoid(2 x). NULL: f is none of these. */
static const itc_formula *one_more(itc_ctx *ctx, const itc_formula *f, bool minus)
{
    const bool error = is_call(f, "erf");
    if (!error && !is_call(f, "tanh")) {
        return NULL;
    }
    const itc_formula *x = f->arg[0], *two = itc_formula_const(ctx, 2);
    if (error != minus) { /* erfc falls where sigmoid rises */
        x = itc_formula_make(ctx, ITC_F_NEG, x, NULL, NULL);
    }
    if (error) {
        return itc_formula_call(ctx, itc_function_named("erfc"), x, NULL);
    }
    x = itc_formula_make(ctx, ITC_F_MUL, two, x, NULL);
    return itc_formula_make(ctx, ITC_F_MUL, two,
                            itc_formula_call(ctx, itc_function_named("sigmoid"), x, NULL), NULL);
}

/** An operand that the operation leaves as it is, or a constant; NULL: neither. */
static const itc_formula *simpler(itc_ctx *ctx, itc_formula_kind kind, const itc_formula *a,
                                  const itc_formula *b, const itc_formula *c)
{
    const bool a0 = itc_formula_is_const(a, 0), b0 = b && itc_formula_is_const(b, 0);
    switch (kind) {
    case ITC_F_ADD:
        return a0                           ? b
               : b0                         ? a
               : itc_formula_is_const(b, 1) ? one_more(ctx, a, false)
               : itc_formula_is_const(a, 1) ? one_more(ctx, b, false)
                                            : NULL;
    case ITC_F_SUB:
        return b0                           ? a
               : a0                         ? itc_formula_make(ctx, ITC_F_NEG, b, NULL, NULL)
               : itc_formula_is_const(a, 1) ? one_more(ctx, b, true)
               : itc_formula_is_const(b, 1) && is_call(a, "exp")
                   ? itc_formula_call(ctx, itc_function_named("expm1"), a->arg[0], NULL)
                   : NULL;
    case ITC_F_MUL:
        return a0 || b0                      ? itc_formula_const(ctx, 0)
               : itc_formula_is_const(a, 1)  ? b
               : itc_formula_is_const(b, 1)  ? a
               : itc_formula_is_const(a, -1) ? itc_formula_make(ctx, ITC_F_NEG, b, NULL, NULL)
               : itc_formula_is_const(b, -1) ? itc_formula_make(ctx, ITC_F_NEG, a, NULL, NULL)
                                             : NULL;
    case ITC_F_DIV:
        return a0 && !b0 ? a : itc_formula_is_const(b, 1) ? a : NULL;
    case ITC_F_NEG:
        return a->kind == ITC_F_NEG ? a->arg[0] : NULL;
    case ITC_F_SELECT:
        return a->kind == ITC_F_CONST ? (a0 ? c : b) : itc_formula_equal(b, c) ? b : NULL;
    default:
        return NULL;
    }
}

static const itc_formula *settled(itc_ctx *ctx, itc_formula *f)
{
    if (all_const(f) && f->kind != ITC_F_SELECT) {
        const double c = itc_formula_eval(f, 0);
        if (isfinite(c)) {
            return itc_formula_const(ctx, c);
        }
    }
    return f;
}

const itc_formula *itc_formula_make(itc_ctx *ctx, itc_formula_kind kind, const itc_formula *a,
                                    const itc_formula *b, const itc_formula *c)
{
    const itc_formula *s = simpler(ctx, kind, a, b, c);
    if (s) {
        return s;
    }
    itc_formula *f = new_formula(ctx, kind);
    f->arg[0] = a;
    f->arg[1] = b;
    f->arg[2] = c;
    return settled(ctx, f);
}

const itc_formula *itc_formula_call(itc_ctx *ctx, const itc_function *fn, const itc_formula *a,
                                    const itc_formula *b)
{
    /* log(1 + x) of a small x, without the loss */
    if (strcmp(fn->name, "log") == 0 && a->kind == ITC_F_ADD) {
        const bool left = itc_formula_is_const(a->arg[0], 1);
        if (left || itc_formula_is_const(a->arg[1], 1)) {
            return itc_formula_call(ctx, itc_function_named("log1p"), a->arg[left ? 1 : 0], NULL);
        }
    }
    if (!fn->c_name && a->kind == ITC_F_CONST) {
        return itc_formula_of(ctx, definition(ctx, fn->made_of), a);
    }
    itc_formula *f = new_formula(ctx, ITC_F_CALL);
    f->function = fn;
    f->arg[0] = a;
    f->arg[1] = b;
    return settled(ctx, f);
}

/* ---- rewriting ---- */

bool itc_formula_equal(const itc_formula *a, const itc_formula *b)
{
    if (a == b || !a || !b) {
        return a == b;
    }
    if (a->kind != b->kind || a->function != b->function || a->c < b->c || a->c > b->c) {
        return false;
    }
    for (int i = 0; i < 3; i++) {
        if (!itc_formula_equal(a->arg[i], b->arg[i])) {
            return false;
        }
    }
    return true;
}

static int size_within(const itc_formula *f, int limit)
{
    int n = 1;
    for (int i = 0; i < 3 && f->arg[i] && n < limit; i++) {
        n += size_within(f->arg[i], limit - n);
    }
    return n;
}

int itc_formula_size(const itc_formula *f)
{
    return size_within(f, ITC_FORMULA_LIMIT);
}

const itc_formula *itc_formula_of(itc_ctx *ctx, const itc_formula *f, const itc_formula *g)
{
    const itc_formula *a[3] = {NULL, NULL, NULL};
    if (f->kind == ITC_F_X) {
        return g;
    }
    if (!f->arg[0]) {
        return f;
    }
    for (int i = 0; i < 3 && f->arg[i]; i++) {
        a[i] = itc_formula_of(ctx, f->arg[i], g);
    }
    return f->kind == ITC_F_CALL ? itc_formula_call(ctx, f->function, a[0], a[1])
                                 : itc_formula_make(ctx, f->kind, a[0], a[1], a[2]);
}

const itc_formula *itc_formula_expand(itc_ctx *ctx, const itc_formula *f, bool all)
{
    const itc_formula *a[3] = {NULL, NULL, NULL};
    if (!f->arg[0]) {
        return f;
    }
    for (int i = 0; i < 3 && f->arg[i]; i++) {
        a[i] = itc_formula_expand(ctx, f->arg[i], all);
    }
    if (f->kind != ITC_F_CALL) {
        return itc_formula_make(ctx, f->kind, a[0], a[1], a[2]);
    }
    if (!f->function->made_of || (!all && f->function->c_name)) {
        return itc_formula_call(ctx, f->function, a[0], a[1]);
    }
    const itc_formula *made_of = definition(ctx, f->function->made_of);
    return itc_formula_of(ctx, itc_formula_expand(ctx, made_of, all), a[0]);
}

static const itc_formula *make2(itc_ctx *ctx, itc_formula_kind kind, const itc_formula *a,
                                const itc_formula *b)
{
    return itc_formula_make(ctx, kind, a, b, NULL);
}

/**
 * a * b, or a / b, of which one is a slope (the first, unless `second`). A slope that is 0 on one
 * side of a condition stays 0 there whatever the other operand is: sqrt(max(x, 0)) has no slope
 * where x <= 0, though the root's is infinite at 0. (PyTorch lets gradients pass a maximum or not
 * in the same way.)
 */
static const itc_formula *with_slope(itc_ctx *ctx, itc_formula_kind kind, const itc_formula *a,
                                     const itc_formula *b, bool second)
{
    const itc_formula *slope = second ? b : a;
    if (itc_formula_is_const(slope, 0)) {
        return slope;
    }
    if (slope->kind == ITC_F_SELECT &&
        (itc_formula_is_const(slope->arg[1], 0) || itc_formula_is_const(slope->arg[2], 0))) {
        const itc_formula *side[2];
        for (int i = 0; i < 2; i++) {
            const itc_formula *d = slope->arg[1 + i];
            side[i] = with_slope(ctx, kind, second ? a : d, second ? d : b, second);
        }
        return itc_formula_make(ctx, ITC_F_SELECT, slope->arg[0], side[0], side[1]);
    }
    return make2(ctx, kind, a, b);
}

/** d(a^b) = b a^(b-1) da + a^b ln a db */
static const itc_formula *pow_slope(itc_ctx *ctx, const itc_formula *f, const itc_formula *da,
                                    const itc_formula *db)
{
    const itc_formula *a = f->arg[0], *b = f->arg[1];
    const itc_formula *less = make2(ctx, ITC_F_SUB, b, itc_formula_const(ctx, 1));
    const itc_formula *base = make2(ctx, ITC_F_MUL, b, itc_formula_call(ctx, f->function, a, less));
    const itc_formula *exponent =
        make2(ctx, ITC_F_MUL, f, itc_formula_call(ctx, itc_function_named("log"), a, NULL));
    return make2(ctx, ITC_F_ADD, with_slope(ctx, ITC_F_MUL, base, da, true),
                 with_slope(ctx, ITC_F_MUL, exponent, db, true));
}

/** (da b - a db) / b^2, as da / b - (a / b) db / b. */
static const itc_formula *quotient_slope(itc_ctx *ctx, const itc_formula *f, const itc_formula *da,
                                         const itc_formula *db)
{
    const itc_formula *b = f->arg[1];
    const itc_formula *of_b =
        with_slope(ctx, ITC_F_DIV, with_slope(ctx, ITC_F_MUL, f, db, true), b, false);
    return make2(ctx, ITC_F_SUB, with_slope(ctx, ITC_F_DIV, da, b, false), of_b);
}

const itc_formula *itc_formula_slope(itc_ctx *ctx, const itc_formula *f)
{
    const itc_formula *a = f->arg[0], *b = f->arg[1], *d[3] = {NULL, NULL, NULL};
    for (int i = f->kind == ITC_F_SELECT ? 1 : 0; i < 3 && f->arg[i]; i++) {
        d[i] = itc_formula_slope(ctx, f->arg[i]);
    }
    switch (f->kind) {
    case ITC_F_X:
        return itc_formula_const(ctx, 1);
    case ITC_F_ADD:
    case ITC_F_SUB:
        return itc_formula_make(ctx, f->kind, d[0], d[1], NULL);
    case ITC_F_NEG:
        return with_slope(ctx, ITC_F_MUL, itc_formula_const(ctx, -1), d[0], true);
    case ITC_F_MUL:
        return make2(ctx, ITC_F_ADD, with_slope(ctx, ITC_F_MUL, d[0], b, false),
                     with_slope(ctx, ITC_F_MUL, a, d[1], true));
    case ITC_F_DIV:
        return quotient_slope(ctx, f, d[0], d[1]);
    case ITC_F_MAX:
        return itc_formula_make(ctx, ITC_F_SELECT, make2(ctx, ITC_F_GT, a, b), d[0], d[1]);
    case ITC_F_MIN:
        return itc_formula_make(ctx, ITC_F_SELECT, make2(ctx, ITC_F_LT, a, b), d[0], d[1]);
    case ITC_F_SELECT:
        return itc_formula_make(ctx, ITC_F_SELECT, a, d[1], d[2]);
    case ITC_F_CALL:
        return !f->function->slope
                   ? pow_slope(ctx, f, d[0], d[1])
                   : with_slope(ctx, ITC_F_MUL,
                                itc_formula_of(ctx, definition(ctx, f->function->slope), a), d[0],
                                true);
    case ITC_F_UNIT:
    case ITC_F_CONST:
    case ITC_F_GT:
    case ITC_F_LT:
        break;
    }
    return itc_formula_const(ctx, 0);
}
