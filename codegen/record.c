/*
 * Kernel descriptors, generated from runtime/kernels.def: names, argument structs, and where each
 * member lies, so that records name kernels and fields as data.
 */
#include "codegen/record.h"

#include <math.h>
#include <string.h>

#include "runtime/cpu.h"

/* One table of fields an argument struct. The field list does not know the struct's name, so each
 * is expanded in a function of its own, where `self` means that struct. */
#define COUNT_NONE(name) 0
#define COUNT_TERMS(name) offsetof(self, name##_count)
#define COUNT_CODE(name) COUNT_TERMS(name)
#define COUNT_IN(name) COUNT_NONE(name)
#define COUNT_OUT(name) COUNT_NONE(name)
#define COUNT_EIN(name) COUNT_NONE(name)
#define COUNT_EOUT(name) COUNT_NONE(name)
#define COUNT_RNG(name) COUNT_NONE(name)
#define COUNT_POOL(name) COUNT_NONE(name)
#define COUNT_DIM(name) COUNT_NONE(name)
#define COUNT_INT(name) COUNT_NONE(name)
#define COUNT_REAL(name) COUNT_NONE(name)
#define COUNT_SHAPE(name) COUNT_NONE(name)
#define DESCRIBE(kind, name) {ITC_FIELD_##kind, #name, offsetof(self, name), COUNT_##kind(name)},

#define FIELD_TABLE(args, FIELDS)                                                                  \
    static const itc_field *fields_of_##args(int *n)                                               \
    {                                                                                              \
        typedef itr_##args##_args self;                                                            \
        static const itc_field table[] = {FIELDS(DESCRIBE)};                                       \
        *n = (int)(sizeof table / sizeof table[0]);                                                \
        return table;                                                                              \
    }
ITR_ARG_STRUCTS(FIELD_TABLE)

/* Calls through the right type: casting the function pointers would be undefined. */
#define REF_CALL(name, args, family)                                                               \
    static void call_##name(const void *a)                                                         \
    {                                                                                              \
        itr_##name##_ref((const itr_##args##_args *)a);                                            \
    }
ITR_KERNELS(REF_CALL)

#define COUNT_KERNEL(name, args, family) +1
enum { KERNELS = 0 ITR_KERNELS(COUNT_KERNEL) };

static const itc_kernel *kernels(void)
{
    static itc_kernel table[KERNELS];
    if (table[KERNELS - 1].name) {
        return table;
    }
    int i = 0;
#define FILL(kernel, args_name, family_name)                                                       \
    table[i].args = #args_name;                                                                    \
    table[i].family = #family_name;                                                                \
    table[i].args_size = sizeof(itr_##args_name##_args);                                           \
    table[i].ref = call_##kernel;                                                                  \
    table[i].fields = fields_of_##args_name(&table[i].n_fields);                                   \
    table[i++].name = #kernel;
    ITR_KERNELS(FILL)
#undef FILL
    return table;
}

const itc_kernel *itc_kernel_at(int i)
{
    return i >= 0 && i < KERNELS ? &kernels()[i] : NULL;
}

const itc_kernel *itc_kernel_find(const char *name)
{
    for (int i = 0; i < KERNELS; i++) {
        if (strcmp(kernels()[i].name, name) == 0) {
            return &kernels()[i];
        }
    }
    return NULL;
}

/* Built without SIMD, the compiler knows no variants, and its trainers have none. */
#if ITR_SIMD
#define FOR_VARIANTS(V_X86, V_ARM) ITR_VARIANTS_X86(V_X86) ITR_VARIANTS_ARM(V_ARM)
#else
#define FOR_VARIANTS(V_X86, V_ARM)
#endif
#define COUNT_VARIANT(level, kernel, args, file) +1
enum { VARIANTS = 0 FOR_VARIANTS(COUNT_VARIANT, COUNT_VARIANT) };

/** Rows of all levels in the order of the file, with their level's place. */
static int list_variants(itc_variant *table, int *level)
{
    int n = 0;
#define ADD(level_name, kernel_name, args, file_name, architecture_name)                           \
    level[n] = ITR_LEVEL_##level_name;                                                             \
    table[n++] =                                                                                   \
        (itc_variant){#level_name, architecture_name, #file_name, itc_kernel_find(#kernel_name)};
#define ADD_X86(level_name, kernel, args, file) ADD(level_name, kernel, args, file, "X86")
#define ADD_ARM(level_name, kernel, args, file) ADD(level_name, kernel, args, file, "ARM")
    FOR_VARIANTS(ADD_X86, ADD_ARM)
    (void)table;
    (void)level;
    return n;
}

const itc_variant *itc_variant_at(int i)
{
    static itc_variant sorted[VARIANTS + 1];
    if (VARIANTS > 0 && !sorted[0].level) {
        itc_variant rows[VARIANTS + 1];
        int level[VARIANTS + 1], n = 0;
        const int count = list_variants(rows, level);
        for (int l = 0; l < ITR_LEVEL_COUNT; l++) {
            for (int k = 0; k < count; k++) {
                if (level[k] == l) {
                    sorted[n++] = rows[k];
                }
            }
        }
    }
    return i >= 0 && i < VARIANTS ? &sorted[i] : NULL;
}

int itc_kernel_field(const itc_kernel *k, const char *name)
{
    for (int i = 0; i < k->n_fields; i++) {
        if (strcmp(k->fields[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}

const itc_value *itc_value_root(const itc_value *v)
{
    while (v->storage && v->storage != v) {
        v = v->storage;
    }
    return v;
}

bool itc_value_is_state(const itc_value *v)
{
    return v->kind == ITC_VALUE_PARAM || v->kind == ITC_VALUE_SLOT || v->kind == ITC_VALUE_STAT;
}

bool itc_value_is_port(const itc_value *v)
{
    return v->kind == ITC_VALUE_INPUT || v->kind == ITC_VALUE_TARGET;
}

int32_t itc_value_exponents(const itc_value *v)
{
    if (v->exp.kind == ITC_EXP_NONE || v->type.dtype == ITC_F32) {
        return 0;
    }
    return v->type.exp_axis >= 0 ? (int32_t)v->type.dim[v->type.exp_axis].size : 1;
}

void itc_coef_scalar(double value, int32_t *m, int32_t *e)
{
    int exponent = 0;
    const double fraction = frexp(value, &exponent); /* 0.5 <= |fraction| < 1 */
    int64_t mantissa = (int64_t)round(fraction * 32768.0);
    exponent -= 15;
    while (mantissa != 0 && mantissa % 2 == 0) {
        mantissa /= 2;
        exponent++;
    }
    *m = (int32_t)mantissa;
    *e = mantissa == 0 ? 0 : exponent;
}

/* ---- types ---- */

itr_dtype itc_runtime_dtype(itc_dtype t)
{
    switch (t) {
    case ITC_F32:
        return ITR_F32;
    case ITC_I8:
        return ITR_I8;
    case ITC_I16:
        return ITR_I16;
    case ITC_I32:
        return ITR_I32;
    case ITC_I64:
        return ITR_I64;
    case ITC_U8:
    case ITC_BOOL:
    case ITC_DTYPE_COUNT:
        break;
    }
    return ITR_U8;
}

int32_t itc_term_bits(const itc_type *t)
{
    if (t->bits > 0) {
        return t->bits;
    }
    const bool is_unsigned = t->dtype == ITC_U8 || t->dtype == ITC_BOOL;
    return (int32_t)itc_dtype_size(t->dtype) * 8 - (is_unsigned ? 0 : 1);
}
