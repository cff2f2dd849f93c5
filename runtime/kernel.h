/**
 * Kernel arguments, the kernel table and its dispatch; all generated from kernels.def.
 */
#ifndef ITR_KERNEL_H
#define ITR_KERNEL_H

#include "itr.h"
#include "kernels.def"
#include "pool.h"

/**
 * The coordinates of random numbers: Philox4x32-10 with key = seed and counter =
 * (element block, micro-batch, step, site << 8 | draw). NUMERICS.md: "Random bits".
 */
typedef struct itr_rng {
    uint64_t seed;
    uint32_t step;
    uint32_t micro_batch;  /**< global number of the micro-batch within the step */
    uint32_t nearest_only; /**< evaluation: every rounding is to nearest, dropout keeps all */
    itr_status status;     /**< the first failure of a kernel; ITR_OK otherwise */
} itr_rng;

/** How a sum is rounded; a value of the argument `rounding`. */
enum {
    ITR_ROUND_NEAREST,
    ITR_ROUND_STOCHASTIC,
    ITR_ROUND_FLOOR /**< drops the bits: biased, a yardstick for experiments */
};

/** How the exponent of a rounded sum is found; a value of the argument `rule`. */
enum {
    ITR_RULE_EXACT,
    ITR_RULE_BITLENGTH /**< by bit length alone: what rounds beyond saturates; for comparison */
};

/**
 * One operand of a sum: coefficient * mantissas of x * 2^*e, times those of f where there is one
 * (whose own c and f are not used). `bits` bounds |x| < 2^bits.
 * stride[i] is in elements along axis i of the result; 0 broadcasts.
 * e_stride[i]: exponents along axis i (0 where they are shared), for operands with one exponent a
 * slice of an axis; all 0 for one a tensor.
 * extent[i]: where it is not 0, the operand (and f) has so many elements along axis i, from
 * begin[i] of the result on; elsewhere the term is 0. Such an axis has shared exponents.
 */
typedef struct itr_term {
    const void *x;
    const int32_t *e;
    itr_dtype dtype;
    int32_t bits;
    itr_scalar c;
    int64_t stride[ITR_MAX_RANK];
    int32_t e_stride[ITR_MAX_RANK];
    const struct itr_term *f;
    int64_t begin[ITR_MAX_RANK], extent[ITR_MAX_RANK];
} itr_term;

#define ITR_FIELD_IN(name) const void *name;
#define ITR_FIELD_OUT(name) void *name;
#define ITR_FIELD_EIN(name) const int32_t *name;
#define ITR_FIELD_EOUT(name) int32_t *name;
#define ITR_FIELD_RNG(name) itr_rng *name;
#define ITR_FIELD_POOL(name) itr_pool *name;
#define ITR_FIELD_DIM(name) int64_t name;
#define ITR_FIELD_INT(name) int32_t name;
#define ITR_FIELD_REAL(name) ITR_REAL name;
#define ITR_FIELD_SHAPE(name) int64_t name[ITR_MAX_RANK];
#define ITR_FIELD_TERMS(name)                                                                      \
    const itr_term *name;                                                                          \
    int32_t name##_count;
#define ITR_FIELD_CODE(name)                                                                       \
    const int32_t *name;                                                                           \
    int32_t name##_count;
#define ITR_FIELD(kind, name) ITR_FIELD_##kind(name)

/* An int8 or int16 trainer has no floating-point type at all: its REAL members are unused. */
#ifdef ITR_FLOAT32
#define ITR_REAL double
#else
#define ITR_REAL int64_t
#endif

#define ITR_DEFINE_ARGS(name, FIELDS)                                                              \
    typedef struct itr_##name##_args {                                                             \
        FIELDS(ITR_FIELD)                                                                          \
    } itr_##name##_args;
ITR_ARG_STRUCTS(ITR_DEFINE_ARGS)
#undef ITR_DEFINE_ARGS

/** The name of a kernel in ref/, where files of x86/ and arm/ compile a file of it again. */
#ifndef ITR_KERNEL
#define ITR_KERNEL(name) itr_##name##_ref
#endif

#define ITR_DECLARE_KERNEL(name, args, family) void itr_##name##_ref(const itr_##args##_args *a);
ITR_KERNELS(ITR_DECLARE_KERNEL)
#undef ITR_DECLARE_KERNEL

#endif
