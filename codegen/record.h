/**
 * Call records: what a planned graph does, one record at a time. They are all that the C writer,
 * the interpreter (eval.c) and any later back end see.
 */
#ifndef ITC_CODEGEN_RECORD_H
#define ITC_CODEGEN_RECORD_H

#include "ir/op.h"
#include "runtime/itr.h"

typedef enum itc_field_kind {
    ITC_FIELD_IN,
    ITC_FIELD_OUT,
    ITC_FIELD_EIN,
    ITC_FIELD_EOUT,
    ITC_FIELD_RNG,
    ITC_FIELD_POOL,
    ITC_FIELD_DIM,
    ITC_FIELD_INT,
    ITC_FIELD_REAL,
    ITC_FIELD_SHAPE,
    ITC_FIELD_TERMS,
    ITC_FIELD_CODE
} itc_field_kind;

/** A member of a kernel's argument struct, generated from runtime/kernels.def. */
typedef struct itc_field {
    itc_field_kind kind;
    const char *name;
    size_t offset;
    size_t count_offset; /**< TERMS, CODE: of the member NAME_count */
} itc_field;

typedef struct itc_kernel {
    const char *name;   /**< "conv_i8i8i32" */
    const char *args;   /**< "conv": its struct is itr_conv_args */
    const char *family; /**< runtime/ref/<family>.c */
    const itc_field *fields;
    int n_fields;
    size_t args_size;
    void (*ref)(const void *args); /**< the portable kernel, for the interpreter */
} itc_kernel;
/** NULL: there is none. */
const itc_kernel *itc_kernel_find(const char *name);
/** Rows in the order of kernels.def; NULL past the end. */
const itc_kernel *itc_kernel_at(int i);
/** A row of runtime/variants.def: code for an instruction set that replaces the portable kernel. */
typedef struct itc_variant {
    const char *level;        /**< "avx2" */
    const char *architecture; /**< "X86": emitted between #ifdef ITR_X86 and #endif */
    const char *file;         /**< "x86/conv_avx2": runtime/<file>.c */
    const itc_kernel *kernel;
} itc_variant;
/** By architecture, then from the oldest level to the newest; NULL past the end. */
const itc_variant *itc_variant_at(int i);
/** Position of a field; -1: the kernel has none of this name. */
int itc_kernel_field(const itc_kernel *k, const char *name);

/** An INT argument that is 1 in the first micro-batch of a step and 0 in the others. */
#define ITC_INT_FIRST_MICRO INT64_MIN

/** One operand of a TERMS field. */
typedef struct itc_term {
    const itc_value *x; /**< INPUT and TARGET values take dtype, bytes and exponent at run time */
    itc_coef c;
    itc_dim stride[ITC_MAX_RANK];
    int32_t e_stride[ITC_MAX_RANK];
    int64_t begin[ITC_MAX_RANK];  /**< where it lies along an axis of which it has `extent` */
    int64_t extent[ITC_MAX_RANK]; /**< elements; 0: all of the axis */
    const struct itc_term *f;     /**< what x is multiplied by, element by element; NULL: nothing */
} itc_term;

/** The argument of a field. */
typedef struct itc_arg {
    bool set;
    const itc_value *value; /**< IN, OUT, EIN, EOUT; NULL: a null pointer */
    bool metrics;           /**< OUT: the metrics of the call */
    itc_dim dim;            /**< DIM */
    int64_t i;              /**< INT */
    double real;            /**< REAL */
    itc_dim shape[ITC_MAX_RANK];
    int rank;
    itc_term *terms;
    int n_terms;
    const int32_t *code; /**< CODE */
    int n_code;
} itc_arg;

/** Scalar operations of a fused loop. Integer loops compute in int32 (i64 where a value is). */
typedef enum itc_x_kind {
    ITC_X_LOAD,  /**< operand `index` at the current element */
    ITC_X_CONST, /**< `c`: a number, times a run-time symbol */
    ITC_X_ADD,
    ITC_X_SUB,
    ITC_X_MUL,
    ITC_X_DIV,
    ITC_X_NEG,
    ITC_X_MAX,
    ITC_X_MIN,
    ITC_X_GT, /**< a > b: 1 or 0 */
    ITC_X_LT,
    ITC_X_EQ,
    ITC_X_AND,
    ITC_X_SELECT, /**< a != 0 ? b : c */
    ITC_X_CALL,   /**< `function` of one or two operands */
    ITC_X_COUNT
} itc_x_kind;

typedef struct itc_expr {
    itc_x_kind kind;
    int index;
    itc_coef c;
    const char *function; /**< CALL: a function of codegen/math.def */
    const struct itc_expr *arg[3];
} itc_expr;

/** for each element of shape: out = expression of the operands. Strides count elements. */
typedef struct itc_loop {
    int rank;
    itc_dim shape[ITC_MAX_RANK];
    const itc_value *out;
    int n_in;
    const itc_value *in[8];
    itc_dim stride[8][ITC_MAX_RANK];
    const itc_expr *expr;
} itc_loop;

typedef enum itc_record_kind {
    ITC_RECORD_CALL,     /**< a kernel */
    ITC_RECORD_LOOP,     /**< a fused element-wise loop */
    ITC_RECORD_EXPONENT, /**< a value's exponent from others (ITC_EXP_SUM) */
    ITC_RECORD_REPEAT,   /**< the body once a micro-batch of the step */
    ITC_RECORD_RETRY     /**< the body, and again while `value` (one i32) is not 0 */
} itc_record_kind;

typedef struct itc_record {
    itc_record_kind kind;
    const itc_node *node; /**< where it comes from: the comment line */
    const itc_kernel *kernel;
    itc_arg *args; /**< kernel->n_fields of them */
    const itc_loop *loop;
    const itc_value *value; /**< EXPONENT, RETRY */
    const itc_value *from;  /**< EXPONENT: copy this value's; NULL: the sum that value->exp says */
    struct itc_record_list *body;
    int32_t ends; /**< 1 + number of the node whose last record this is; 0: none ends here */
} itc_record;

typedef struct itc_record_list {
    itc_record **record;
    int n, cap;
} itc_record_list;

/** A whole program: what each entry point runs. */
typedef struct itc_program {
    itc_graph *g;
    itc_record_list prepare; /**< once a step or evaluation */
    itc_record_list step;  /**< after prepare: a REPEAT of forward and backward, then the update */
    itc_record_list infer; /**< one sample */
    itc_record_list score; /**< after infer, the same sample */
    const itc_node **node; /**< those with records, numbered in the order in which they run */
    int n_nodes;
} itc_program;

/** Records of a graph of stage memory. */
ITC_NODISCARD itc_status itc_program_new(itc_graph *g, itc_program **out);

/** The value whose bytes v has: follows `storage` to its end. */
const itc_value *itc_value_root(const itc_value *v);
/** PARAM, SLOT or STAT. */
bool itc_value_is_state(const itc_value *v);
/** INPUT or TARGET: bytes, dtype and exponent come with the call. */
bool itc_value_is_port(const itc_value *v);
/** Exponents that v has: 0 without one, the extent of exp_axis, or 1. */
int32_t itc_value_exponents(const itc_value *v);
/** A coefficient's number as a scalar with a mantissa of at most 15 bits, rounded to nearest. */
void itc_coef_scalar(double value, int32_t *m, int32_t *e);

itr_dtype itc_runtime_dtype(itc_dtype t);
/** Magnitude bits that a TERMS entry states: the type's, else those of its dtype. */
int32_t itc_term_bits(const itc_type *t);

#endif
