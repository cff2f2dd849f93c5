#include "codegen/eval_loop.h"

#include <math.h>
#include <string.h>

#include "codegen/c_expr.h"
#include "codegen/math.def"
#include "runtime/numeric.h"
#include "runtime/program.h"

static int64_t dim(int64_t rows, itc_dim d)
{
    return d.batch ? d.size * rows : d.size;
}

/** One element of a loop being computed. */
typedef struct element {
    const itc_loop_frame *f;
    const itc_loop *loop;
    int64_t at[8];
} element;

static int64_t load_int(const element *x, int k)
{
    const void *p = x->f->in[k];
    const int64_t i = x->at[k];
    switch (x->loop->in[k]->type.dtype) {
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
    return 0;
}

/** A row of math.def at a (and b). */
#define CALL1(name)                                                                                \
    if (strcmp(function, #name) == 0) {                                                            \
        return name(a);                                                                            \
    }
#define CALL2(name)                                                                                \
    if (strcmp(function, #name) == 0) {                                                            \
        return name(a, b);                                                                         \
    }
static int64_t call_int(const char *function, int64_t a, int64_t b)
{
    ITC_INTEGER_FUNCTIONS(CALL2)
    return 0; /* itc_emit_loop admits no other */
}

static double call(const char *function, double a, double b)
{
    ITC_MATH_FUNCTIONS(CALL1, CALL2)
    return NAN;
}

static int64_t eval_int(const element *x, const itc_expr *e)
{
    if (e->kind == ITC_X_LOAD) {
        return load_int(x, e->index);
    }
    if (e->kind == ITC_X_CONST) {
        return (int64_t)e->c.value;
    }
    const int64_t a = eval_int(x, e->arg[0]);
    if (e->kind == ITC_X_NEG) {
        return itr_wrap_sub64(0, a);
    }
    if (e->kind == ITC_X_SELECT) {
        return eval_int(x, e->arg[a != 0 ? 1 : 2]);
    }
    if (e->kind == ITC_X_CALL) {
        return call_int(e->function, a, e->arg[1] ? eval_int(x, e->arg[1]) : 0);
    }
    const int64_t b = eval_int(x, e->arg[1]);
    switch (e->kind) {
    case ITC_X_ADD:
        return itr_wrap_add64(a, b);
    case ITC_X_SUB:
        return itr_wrap_sub64(a, b);
    case ITC_X_MUL:
        return itr_wrap_mul64(a, b);
    case ITC_X_DIV:
        return itr_div64(a, b);
    case ITC_X_MAX:
        return a > b ? a : b;
    case ITC_X_MIN:
        return a < b ? a : b;
    case ITC_X_GT:
        return a > b;
    case ITC_X_LT:
        return a < b;
    case ITC_X_EQ:
        return a == b;
    case ITC_X_AND:
        return a != 0 && b != 0;
    default:
        return 0; /* itc_emit_loop admits no real function here */
    }
}

static double eval_real(const element *x, const itc_expr *e)
{
    if (e->kind == ITC_X_LOAD) {
        return x->loop->in[e->index]->type.dtype == ITC_F32
                   ? (double)((const float *)x->f->in[e->index])[x->at[e->index]]
                   : (double)load_int(x, e->index);
    }
    if (e->kind == ITC_X_CONST) {
        const double s = e->c.symbol == ITC_SYM_LR      ? x->f->lr
                         : e->c.symbol == ITC_SYM_INV_N ? x->f->inv_n
                                                        : 1.0;
        return e->c.value * s;
    }
    const double a = eval_real(x, e->arg[0]);
    const bool a_true = a < 0 || a > 0 || isnan(a);
    switch (e->kind) {
    case ITC_X_NEG:
        return -a;
    case ITC_X_CALL:
        return call(e->function, a, e->arg[1] ? eval_real(x, e->arg[1]) : 0);
    case ITC_X_SELECT:
        return eval_real(x, e->arg[a_true ? 1 : 2]);
    default:
        break;
    }
    const double b = eval_real(x, e->arg[1]);
    switch (e->kind) {
    case ITC_X_ADD:
        return a + b;
    case ITC_X_SUB:
        return a - b;
    case ITC_X_MUL:
        return a * b;
    case ITC_X_DIV:
        return a / b;
    case ITC_X_MAX:
        return itr_max_f64(a, b);
    case ITC_X_MIN:
        return itr_min_f64(a, b);
    case ITC_X_GT:
        return a > b ? 1 : 0;
    case ITC_X_LT:
        return a < b ? 1 : 0;
    case ITC_X_EQ:
        return a == b ? 1 : 0;
    case ITC_X_AND:
        return a_true && (b < 0 || b > 0 || isnan(b)) ? 1 : 0;
    default:
        return 0;
    }
}

static void store_int(void *p, itc_dtype t, int64_t i, int64_t v)
{
    switch (t) {
    case ITC_I8:
        ((int8_t *)p)[i] = (int8_t)v;
        break;
    case ITC_I16:
        ((int16_t *)p)[i] = (int16_t)v;
        break;
    case ITC_I32:
        ((int32_t *)p)[i] = (int32_t)v;
        break;
    case ITC_I64:
        ((int64_t *)p)[i] = v;
        break;
    case ITC_U8:
    case ITC_BOOL:
        ((uint8_t *)p)[i] = (uint8_t)v;
        break;
    case ITC_F32:
        ((float *)p)[i] = (float)v;
        break;
    case ITC_DTYPE_COUNT:
        break;
    }
}

void itc_eval_loop(const itc_loop *l, const itc_loop_frame *f)
{
    element x = {.f = f, .loop = l};
    int64_t shape[ITC_MAX_RANK], index[ITC_MAX_RANK] = {0}, total = 1;
    for (int i = 0; i < l->rank; i++) {
        shape[i] = dim(f->rows, l->shape[i]);
        total *= shape[i];
    }
    void *out = f->out;
    const itc_dtype t = l->out->type.dtype;
    const bool real = itc_loop_kind_of(l) == ITC_LOOP_REAL;
    for (int64_t i = 0; i < total; i++) {
        if (t == ITC_F32) {
            ((float *)out)[i] = (float)eval_real(&x, l->expr);
        } else {
            store_int(out, t, i, real ? (int64_t)eval_real(&x, l->expr) : eval_int(&x, l->expr));
        }
        for (int a = l->rank - 1; a >= 0; a--) {
            for (int k = 0; k < l->n_in; k++) {
                x.at[k] += dim(f->rows, l->stride[k][a]);
            }
            if (++index[a] < shape[a]) {
                break;
            }
            for (int k = 0; k < l->n_in; k++) {
                x.at[k] -= dim(f->rows, l->stride[k][a]) * shape[a];
            }
            index[a] = 0;
        }
    }
}
