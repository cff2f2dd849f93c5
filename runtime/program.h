/**
 * What an emitted program and the compiler's interpreter do the same way: rows of the arrays that
 * a caller hands over, and the arithmetic of fused loops.
 */
#ifndef ITR_PROGRAM_H
#define ITR_PROGRAM_H

#include "kernel.h"

#include <string.h>

/**
 * Whether the program can be watched (itr_watch): a test of a pointer after each node, and the
 * table of nodes. 0 by default where there is no operating system.
 */
#ifndef ITR_WATCH
#define ITR_WATCH __STDC_HOSTED__
#endif
#if ITR_WATCH
#define ITR_AFTER(s, c, node)                                                                      \
    do {                                                                                           \
        if ((s)->run.watch) {                                                                      \
            (s)->run.watch->after((s)->run.watch, (s), (node), (c)->rows);                         \
        }                                                                                          \
    } while (0)
#else
#define ITR_AFTER(s, c, node)                                                                      \
    do {                                                                                           \
    } while (0)
#endif

/** What the functions of a program share during one call of its API. */
typedef struct itr_call {
    const itr_array *in; /**< the model's inputs, from the first row at hand */
    const itr_array *target;
    int64_t rows;  /**< of this micro-batch */
    int64_t micro; /**< number of this micro-batch in the step */
#ifdef ITR_FLOAT32
    double lr;
    double inv_n; /**< 1 / rows of the step */
#else
    itr_scalar lr;    /**< 15 bits */
    itr_scalar inv_n; /**< 1 / rows of the step, 15 bits */
#endif
    itr_rng rng;
    itr_pool *pool; /**< NULL: one thread */
    itr_metrics *metrics;
} itr_call;

/** What a loop is given that threads share: the program's state and call. */
typedef struct itr_loop {
    void *state;
    const itr_call *call;
} itr_loop;

/** A function of such a loop: vectors are worth having whatever the flags of the file. */
#if defined(__GNUC__) && !defined(__clang__)
#define ITR_LOOP __attribute__((optimize("O3", "no-strict-aliasing")))
#else
#define ITR_LOOP
#endif

/** Exponents beyond this are refused or mean divergence; see tensors.h. */
#define ITR_PORT_EXPONENT_LIMIT (1 << 20)

/** Inputs and targets are of a type that their ports take, with an exponent in range. */
static inline bool itr_arrays_valid(const itr_array *a, const itr_port_info *ports, int32_t count,
                                    bool is_float)
{
    for (int32_t i = 0; i < count; i++) {
        const itr_dtype t = a[i].dtype;
        const bool fits = t == ITR_F32   ? is_float && !ports[i].is_ids
                          : t == ITR_I64 ? ports[i].is_ids
                                         : true;
        if (!fits || a[i].exponent < -ITR_PORT_EXPONENT_LIMIT ||
            a[i].exponent > ITR_PORT_EXPONENT_LIMIT) {
            return false;
        }
    }
    return true;
}

/** The same arrays from row `first` on. */
static inline void itr_take_rows(itr_array *to, const itr_array *from, const itr_port_info *ports,
                                 int32_t count, int64_t first)
{
    for (int32_t i = 0; i < count; i++) {
        const size_t skip = (size_t)(first * ports[i].elements) * itr_dtype_size(from[i].dtype);
        to[i] = from[i];
        to[i].data = (const unsigned char *)from[i].data + skip;
    }
}

/** |x| < 2^bits for every number of a type, -2^(b-1) included: a caller's data may hold it. */
static inline int32_t itr_dtype_bits(itr_dtype t)
{
    return t == ITR_U8 ? 8 : (int32_t)itr_dtype_size(t) * 8;
}

static inline int32_t itr_max_i32(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

static inline int32_t itr_min_i32(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

static inline int64_t itr_max_i64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static inline int64_t itr_min_i64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

#ifdef ITR_FLOAT32
/** b where one is not a number, so that a chain of them is the same everywhere. */
static inline double itr_max_f64(double a, double b)
{
    return a > b ? a : b;
}

static inline double itr_min_f64(double a, double b)
{
    return a < b ? a : b;
}

/** m * 2^e, exact within double's range. */
static inline double itr_scalar_real(itr_scalar s)
{
    double x = s.m;
    for (int32_t e = s.e; e > 0 && x < 1e300 && x > -1e300; e--) {
        x *= 2.0;
    }
    for (int32_t e = s.e; e < 0 && (x < 0.0 || x > 0.0); e++) {
        x *= 0.5;
    }
    return x;
}
#endif

#endif
