#include "codegen/formula_code.h"

#include <math.h>
#include <string.h>

#include "runtime/formula.def"

/* ---- floats ---- */

static const itc_expr *expr(itc_emit *e, const itc_formula *f, const itc_expr *x)
{
    static const itc_x_kind kinds[] = {
        [ITC_F_ADD] = ITC_X_ADD,      [ITC_F_SUB] = ITC_X_SUB, [ITC_F_MUL] = ITC_X_MUL,
        [ITC_F_DIV] = ITC_X_DIV,      [ITC_F_NEG] = ITC_X_NEG, [ITC_F_MAX] = ITC_X_MAX,
        [ITC_F_MIN] = ITC_X_MIN,      [ITC_F_GT] = ITC_X_GT,   [ITC_F_LT] = ITC_X_LT,
        [ITC_F_SELECT] = ITC_X_SELECT};
    const itc_expr *arg[3] = {NULL, NULL, NULL};
    for (int i = 0; i < 3 && f->arg[i]; i++) {
        arg[i] = expr(e, f->arg[i], x);
    }
    switch (f->kind) {
    case ITC_F_X:
        return x;
    case ITC_F_UNIT:
        return itc_x_const(e, 0);
    case ITC_F_CONST:
        return itc_x_const(e, f->c);
    case ITC_F_CALL:
        return itc_x_call(e, f->function->c_name, arg[0], arg[1]);
    default:
        return itc_x(e, kinds[f->kind], arg[0], arg[1], arg[2]);
    }
}

const itc_expr *itc_formula_expr(itc_emit *e, const itc_formula *f, const itc_expr *x)
{
    return expr(e, itc_formula_expand(itc_emit_ctx(e), f, false), x);
}

/* ---- programs ---- */

/** An instruction: its words, and the register that it makes. */
typedef struct instruction {
    uint32_t word, mantissa;
    int32_t exponent;
} instruction;

typedef struct compiler {
    instruction list[ITR_FORMULA_REGISTERS];
    int n;
    bool full;
} compiler;

static int opcode_named(const char *name)
{
#define NAME(instruction, operands) #instruction,
    static const char *const names[] = {ITR_FORMULA_INSTRUCTIONS(NAME)};
#undef NAME
    for (int i = 0; i < ITR_FORMULA_OPCODES; i++) {
        if (strcmp(names[i], name) == 0) {
            return i;
        }
    }
    return -1;
}

/** The register of an instruction: one that is there already, or a new one. */
static int append(compiler *c, instruction i)
{
    for (int k = 0; k < c->n; k++) {
        const instruction *have = &c->list[k];
        if (have->word == i.word && have->mantissa == i.mantissa && have->exponent == i.exponent) {
            return ITR_FORMULA_FIRST + k;
        }
    }
    if (c->n >= ITR_FORMULA_REGISTERS - ITR_FORMULA_FIRST) {
        c->full = true;
        return 0;
    }
    c->list[c->n++] = i;
    return ITR_FORMULA_FIRST + c->n - 1;
}

/** 32 bits of mantissa, to nearest. */
static int constant(compiler *c, double v)
{
    int e = 0;
    const double m = nearbyint(ldexp(frexp(fabs(v), &e), 32)); /* 2^31 to 2^32 */
    const bool carried = m >= 4294967296.0;
    if (!(fabs(v) > 0)) {
        return append(c, (instruction){ITR_FORMULA_const, 0, 0});
    }
    return append(c, (instruction){ITR_FORMULA_const | (v < 0 ? UINT32_C(1) << 8 : 0),
                                   carried ? UINT32_C(1) << 31 : (uint32_t)m,
                                   e - 32 + (carried ? 1 : 0)});
}

static int compile(compiler *c, const itc_formula *f)
{
    static const char *const names[] = {
        [ITC_F_ADD] = "add", [ITC_F_SUB] = "sub",      [ITC_F_MUL] = "mul", [ITC_F_DIV] = "div",
        [ITC_F_NEG] = "neg", [ITC_F_MAX] = "max",      [ITC_F_MIN] = "min", [ITC_F_GT] = "gt",
        [ITC_F_LT] = "lt",   [ITC_F_SELECT] = "select"};
    if (f->kind == ITC_F_X || f->kind == ITC_F_UNIT) {
        return f->kind == ITC_F_X ? ITR_FORMULA_X : ITR_FORMULA_UNIT;
    }
    if (f->kind == ITC_F_CONST) {
        return constant(c, f->c);
    }
    const char *name = f->kind == ITC_F_CALL ? f->function->name : names[f->kind];
    uint32_t word = (uint32_t)opcode_named(name);
    for (int i = 0; i < 3 && f->arg[i]; i++) {
        word |= (uint32_t)compile(c, f->arg[i]) << (8 * (i + 1));
    }
    return append(c, (instruction){word, 0, 0});
}

itc_status itc_formula_program(itc_ctx *ctx, const itc_node *n, const itc_formula *f,
                               const int32_t **code, int *words)
{
    compiler *c = ITC_NEW(ctx, compiler);
    if (compile(c, itc_formula_expand(ctx, f, true)) == ITR_FORMULA_UNIT) {
        append(c, (instruction){(uint32_t)opcode_named("abs") | ITR_FORMULA_UNIT << 8, 0, 0});
    }
    int32_t *to = ITC_NEW_ARRAY(ctx, int32_t, 3 * c->n + 1);
    if (c->full) {
        return itc_error(ctx, n, ITC_UNSUPPORTED, "E0415",
                         "a formula needs more than %d intermediate results",
                         ITR_FORMULA_REGISTERS - ITR_FORMULA_FIRST);
    }
    *words = 0;
    for (int k = 0; k < c->n; k++) {
        memcpy(&to[(*words)++], &c->list[k].word, sizeof *to);
        if ((c->list[k].word & 255) == ITR_FORMULA_const) {
            memcpy(&to[(*words)++], &c->list[k].mantissa, sizeof *to);
            to[(*words)++] = c->list[k].exponent;
        }
    }
    *code = to;
    return ITC_OK;
}
