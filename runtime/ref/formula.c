/**
 * A formula of each element, which the compiler hands over as a program (formula.def).
 *
 * Shapes   x, y [n]
 * Units    x at *e_x, which may be any; y at *e_y, which is measured: the smallest exponent at
 * which the largest result fits 15 bits Range    |y| <= 32767; to nearest, halves away from zero. A
 * result beyond 2^(2^20) leads to an exponent that the next rounding refuses (ITR_DIVERGED); one
 * below 2^(64 - 2^20) is 0 Aliasing y and x may be the same buffer where they have the same width
 * Errors   none: formulas are total (NUMERICS.md: "Formulas"). A logarithm of what is not above 0
 *          and a quotient by 0 take one unit of x instead
 * Source   our derivation
 */
#include "../formula.def"
#include "../kernel.h"
#include "functions.h"

enum { MANTISSAS = 256, RESULT_BITS = 16, LEAST_EXPONENT = 64 - (1 << 20) };

/** A formula for numbers of one exponent. */
typedef struct program {
    const int32_t *code;
    int32_t words;
    itr_number unit;
} program;

static itr_number choose(bool c)
{
    return c ? itr_number_one() : (itr_number){0, 0, false};
}

static itr_number or_unit(itr_number x, itr_number unit)
{
    return x.m == 0 ? unit : x;
}

static itr_number above_zero(itr_number x, itr_number unit)
{
    return x.m == 0 || x.negative ? unit : x;
}

/** ln(1 + x); -1 and below count as -1 and one unit. */
static itr_number log_of_more(itr_number x, itr_number unit)
{
    const itr_number sum = itr_number_add(itr_number_one(), x);
    return sum.m == 0 || sum.negative ? itr_number_log(unit) : itr_number_log1p(x);
}

static itr_number arithmetic(uint32_t opcode, itr_number a, itr_number b, itr_number c,
                             itr_number unit)
{
    switch (opcode) {
    case ITR_FORMULA_add:
        return itr_number_add(a, b);
    case ITR_FORMULA_sub:
        return itr_number_sub(a, b);
    case ITR_FORMULA_mul:
        return itr_number_mul(a, b);
    case ITR_FORMULA_div:
        return itr_number_div(a, or_unit(b, unit));
    case ITR_FORMULA_neg:
        return itr_number_neg(a);
    case ITR_FORMULA_max:
        return itr_number_less(a, b) ? b : a;
    case ITR_FORMULA_min:
        return itr_number_less(b, a) ? b : a;
    case ITR_FORMULA_gt:
        return choose(itr_number_less(b, a));
    case ITR_FORMULA_lt:
        return choose(itr_number_less(a, b));
    case ITR_FORMULA_select:
        return a.m != 0 ? b : c;
    case ITR_FORMULA_abs:
        return itr_number_abs(a);
    case ITR_FORMULA_floor:
        return itr_number_integer(a, -1);
    case ITR_FORMULA_ceil:
        return itr_number_integer(a, 1);
    default:
        return itr_number_integer(a, 0); /* round */
    }
}

static itr_number step(uint32_t opcode, itr_number a, itr_number b, itr_number c, itr_number unit)
{
    switch (opcode) {
    case ITR_FORMULA_exp:
        return itr_number_exp(a);
    case ITR_FORMULA_expm1:
        return itr_number_expm1(a);
    case ITR_FORMULA_log:
        return itr_number_log(above_zero(a, unit));
    case ITR_FORMULA_log1p:
        return log_of_more(a, unit);
    case ITR_FORMULA_sqrt:
        return itr_number_sqrt(a);
    case ITR_FORMULA_pow:
        return itr_number_pow(a, b, unit);
    case ITR_FORMULA_erf:
        return itr_number_erf(a);
    case ITR_FORMULA_erfc:
        return itr_number_erfc(a);
    case ITR_FORMULA_sin:
        return itr_number_sine(a, 0);
    case ITR_FORMULA_cos:
        return itr_number_sine(a, 1);
    case ITR_FORMULA_atan:
        return itr_number_atan(a);
    case ITR_FORMULA_tanh:
        return itr_number_tanh(a);
    default:
        return arithmetic(opcode, a, b, c, unit);
    }
}

/** The formula at m * unit. */
static itr_number evaluate(const program *p, int32_t m)
{
    itr_number r[ITR_FORMULA_REGISTERS];
    int last = ITR_FORMULA_FIRST - 1;
    r[ITR_FORMULA_X] = itr_number_of(m < 0, itr_abs64(m), p->unit.e + 31);
    r[ITR_FORMULA_UNIT] = p->unit;
    for (int32_t i = 0; i < p->words; i++) {
        const uint32_t w = (uint32_t)p->code[i], opcode = w & 255;
        const uint32_t a = w >> 8 & 255, b = w >> 16 & 255, c = w >> 24;
        if (opcode == ITR_FORMULA_const) {
            r[++last] = (itr_number){(uint32_t)p->code[i + 1], p->code[i + 2], a != 0};
            i += 2;
        } else {
            const itr_number y = step(opcode, r[a], r[b], r[c], p->unit);
            r[++last] = y;
        }
    }
    return last < ITR_FORMULA_FIRST ? r[ITR_FORMULA_X] : r[last];
}

static program prepare(const itr_formula_args *a)
{
    const int32_t far = 1 << 21, e = *a->e_x < -far ? -far : *a->e_x > far ? far : *a->e_x;
    const itr_number unit = {UINT32_C(1) << 31, e - 31, false};
    return (program){a->code, a->code_count, unit};
}

/** The larger of the magnitude so far and x's. */
static itr_number largest(itr_number so_far, itr_number x)
{
    x.negative = false;
    return x.m != 0 && itr_number_less(so_far, x) ? x : so_far;
}

/** The exponent of results that are at most `a`; 0 where they are all zero. */
static int32_t exponent_for(itr_number a)
{
    return a.m == 0 || a.e < LEAST_EXPONENT ? 0 : a.e + itr_fit_shift(a.m, RESULT_BITS);
}

static int16_t rounded(itr_number x, int32_t e)
{
    const int64_t s = (int64_t)e - x.e; /* at least 16: the largest has 15 bits */
    if (x.m == 0 || x.e < LEAST_EXPONENT || s > 33) {
        return 0;
    }
    const int16_t y = (int16_t)itr_round_nearest(x.m, (int)s);
    return (int16_t)(x.negative ? -y : y);
}

enum { WIDE_MANTISSAS = 1 << 16 };

/**
 * Many elements: each mantissa that occurs is computed once for the largest and once for its
 * result. A function of its own, for its 136 KiB of stack: a small device has few elements.
 */
static void each_mantissa_once(const itr_formula_args *a)
{
    const int16_t *x = (const int16_t *)a->x;
    int16_t *y = (int16_t *)a->y;
    const program p = prepare(a);
    itr_number most = {0, 0, false};
    uint8_t present[WIDE_MANTISSAS / 8] = {0};
    int16_t table[WIDE_MANTISSAS];
    for (int64_t i = 0; i < a->n; i++) {
        const uint32_t at = (uint16_t)x[i];
        if ((present[at / 8] >> at % 8 & 1) == 0) {
            present[at / 8] = (uint8_t)(present[at / 8] | 1u << at % 8);
            most = largest(most, evaluate(&p, x[i]));
        }
    }
    const int32_t e = exponent_for(most);
    for (int32_t m = INT16_MIN; m <= INT16_MAX; m++) {
        const uint32_t at = (uint16_t)m;
        if ((present[at / 8] >> at % 8 & 1) != 0) {
            table[at] = rounded(evaluate(&p, m), e);
        }
    }
    for (int64_t i = 0; i < a->n; i++) {
        y[i] = table[(uint16_t)x[i]];
    }
    *a->e_y = e;
}

void itr_formula_i16i16_ref(const itr_formula_args *a)
{
    const int16_t *x = (const int16_t *)a->x;
    int16_t *y = (int16_t *)a->y;
    const program p = prepare(a);
    itr_number most = {0, 0, false};
    if (a->n >= WIDE_MANTISSAS / 4) {
        each_mantissa_once(a);
        return;
    }
    for (int64_t i = 0; i < a->n; i++) {
        most = largest(most, evaluate(&p, x[i]));
    }
    const int32_t e = exponent_for(most);
    for (int64_t i = 0; i < a->n; i++) {
        y[i] = rounded(evaluate(&p, x[i]), e);
    }
    *a->e_y = e;
}

/** Each mantissa that occurs once. */
void itr_formula_i8i16_ref(const itr_formula_args *a)
{
    const int8_t *x = (const int8_t *)a->x;
    int16_t *y = (int16_t *)a->y;
    const program p = prepare(a);
    bool present[MANTISSAS] = {false};
    itr_number value[MANTISSAS], most = {0, 0, false};
    int16_t table[MANTISSAS];
    for (int64_t i = 0; i < a->n; i++) {
        present[x[i] + 128] = true;
    }
    for (int i = 0; i < MANTISSAS; i++) {
        if (present[i]) {
            value[i] = evaluate(&p, i - 128);
            most = largest(most, value[i]);
        }
    }
    const int32_t e = exponent_for(most);
    for (int i = 0; i < MANTISSAS; i++) {
        table[i] = present[i] ? rounded(value[i], e) : 0;
    }
    for (int64_t i = 0; i < a->n; i++) {
        y[i] = table[x[i] + 128];
    }
    *a->e_y = e;
}
