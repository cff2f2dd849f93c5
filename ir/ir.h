/**
 * The intermediate representation: a graph of typed values in single assignment form.
 * IR.md is the manual; print.c and parse.c give its text.
 */
#ifndef ITC_IR_IR_H
#define ITC_IR_IR_H

#include "ir/base.h"

#define ITC_MAX_RANK 8

typedef enum itc_dtype {
    ITC_F32,
    ITC_I8,
    ITC_I16,
    ITC_I32,
    ITC_I64,
    ITC_U8,
    ITC_BOOL,
    ITC_DTYPE_COUNT
} itc_dtype;

/** An extent: `size`, or `size` times the rows of a call (printed N, 16N). */
typedef struct itc_dim {
    int64_t size;
    bool batch;
} itc_dim;

typedef struct itc_type {
    itc_dtype dtype;
    uint8_t rank;
    bool known;      /**< false before shape inference: rank and dims mean nothing */
    int8_t exp_axis; /**< -1: one exponent a tensor; else one a slice of this axis */
    uint8_t bits;    /**< integers with an exponent: |mantissa| < 2^bits; 0: plain numbers */
    itc_dim dim[ITC_MAX_RANK];
} itc_type;

/**
 * A tensor of known contents. Integer tensors that come from shapes may count rows: where
 * `batch` is set, an element is data * N.
 */
typedef struct itc_tensor {
    itc_dtype dtype;
    uint8_t rank;
    int64_t dim[ITC_MAX_RANK];
    int64_t count; /**< product of dim */
    void *data;    /**< count elements in the host's byte order; NULL: elided from a dump */
    uint8_t *batch;
    uint8_t sha256[32]; /**< where data is NULL: of the elements, little-endian */
} itc_tensor;

typedef enum itc_value_kind {
    ITC_VALUE_NODE,   /**< made by a node */
    ITC_VALUE_INPUT,  /**< a row-wise input of the model */
    ITC_VALUE_TARGET, /**< what a loss compares with */
    ITC_VALUE_PARAM,  /**< trained */
    ITC_VALUE_SLOT,   /**< optimizer state */
    ITC_VALUE_STAT,   /**< running statistics */
    ITC_VALUE_CONST
} itc_value_kind;

typedef enum itc_exp_kind {
    ITC_EXP_NONE, /**< no exponent: floats, ids, plain integers */
    ITC_EXP_OPEN, /**< e=?      an exponent, not planned yet */
    ITC_EXP_FIT,  /**< e=@7     the node measures and writes it (or: a state tensor keeps it) */
    ITC_EXP_SUM   /**< e=@7 = @3 + @5 - 30   (or e=-15, without slots) */
} itc_exp_kind;

/** The exponent of a value. `slot` indexes the run-time table of exponents. */
typedef struct itc_exp {
    itc_exp_kind kind;
    int32_t slot; /**< -1: none needed, a constant */
    int32_t offset;
    uint8_t n_terms;
    uint8_t minus;   /**< SUM: bit i: term i is subtracted */
    int32_t term[4]; /**< SUM: slots that are added to offset */
} itc_exp;

struct itc_node;
struct itc_graph;
struct itc_op_def;

typedef struct itc_value {
    int32_t id; /**< position in graph->values */
    itc_value_kind kind;
    const char *name; /**< unique in the graph; any bytes but NUL */
    itc_type type;
    itc_exp exp;
    struct itc_node *def; /**< NODE: who makes it */
    int32_t out_index;
    itc_tensor *data;   /**< PARAM, SLOT, STAT, CONST */
    int32_t init_exp;   /**< integer stage: exponent of `data` */
    const char *onnx;   /**< the tensor's name in the ONNX file; NULL: none */
    const char *reason; /**< state tensors: why it is trained, state or constant (for check) */
    struct itc_value *next_state; /**< PARAM, SLOT, STAT: the value assigned at the end of a step */
    int64_t offset;               /**< memory stage: byte offset in the arena; -1: none */
    struct itc_value *storage;    /**< memory stage: shares this value's bytes (alias, in place) */
    int32_t n_uses;               /**< filled by itc_graph_count_uses */
    struct itc_value *replaced_by; /**< set by rewriters, see itc_value_resolve */
    void *pass_data;               /**< scratch of the running pass */
} itc_value;

typedef enum itc_attr_kind {
    ITC_ATTR_INT,
    ITC_ATTR_FLOAT,
    ITC_ATTR_STRING,
    ITC_ATTR_INTS,
    ITC_ATTR_FLOATS,
    ITC_ATTR_TENSOR,
    ITC_ATTR_COEFS
} itc_attr_kind;

/** A run-time scalar that a coefficient may contain. */
typedef enum itc_symbol {
    ITC_SYM_NONE,
    ITC_SYM_LR,   /**< the step's learning rate */
    ITC_SYM_INV_N /**< 1 / rows of the step */
} itc_symbol;

/** value * symbol; printed `1`, `-0.5`, `lr`, `-lr`, `2*inv_n`. */
typedef struct itc_coef {
    double value;
    itc_symbol symbol;
} itc_coef;

typedef struct itc_attr {
    const char *name;
    itc_attr_kind kind;
    int32_t n;
    union {
        int64_t i;
        double f;
        const char *s;
        const int64_t *ints;
        const double *floats;
        const itc_tensor *tensor;
        const itc_coef *coefs;
    } u;
} itc_attr;

/** When a node runs. Sections run in this order within a step; INFER and SCORE on their own. */
typedef enum itc_section {
    ITC_PREPARE,  /**< once a step or evaluation: depends on state alone (views of weights) */
    ITC_FORWARD,  /**< a micro-batch: up to the losses */
    ITC_BACKWARD, /**< a micro-batch: gradients */
    ITC_UPDATE,   /**< once a step: the optimizer; from `schedule` on perhaps in the list of BACKWARD */
    ITC_INFER,    /**< one sample in evaluation: the outputs */
    ITC_SCORE,    /**< after INFER, against targets: losses */
    ITC_SECTION_COUNT
} itc_section;

/** Roles of a rounding site. A site is import_id << 8 | role << 4 | index, printed #12.dx.1 */
typedef enum itc_role {
    ITC_ROLE_NONE,
    ITC_ROLE_FWD,
    ITC_ROLE_DX,
    ITC_ROLE_DW,
    ITC_ROLE_UPDATE,
    ITC_ROLE_VIEW,
    ITC_ROLE_LOSS,
    ITC_ROLE_GRID,
    ITC_ROLE_MASK,
    ITC_ROLE_COUNT
} itc_role;

typedef struct itc_node {
    const struct itc_op_def *op;
    itc_section section;
    int32_t n_in, n_out;
    itc_value **in; /**< entries may be NULL: an optional input that is absent */
    itc_value **out;
    itc_attr *attrs;
    int32_t n_attrs;
    uint32_t site;     /**< 0: the node rounds nothing */
    int32_t import_id; /**< number of the ONNX node (from 1) it comes from; 0: none */
    const char *onnx_name;
    const char *onnx_op; /**< "Conv" and the version of its definition, for messages */
    int32_t onnx_version;
    const char *opaque; /**< import: an operator without a row, kept until something needs it */
    int32_t line;       /**< in the .itc file it was parsed from; 0: none */
    bool dead;
} itc_node;

typedef struct itc_node_list {
    itc_node **node;
    int32_t n, cap;
} itc_node_list;

/** How far a graph has come; each stage implies the ones before. */
typedef enum itc_stage {
    ITC_STAGE_IMPORT,
    ITC_STAGE_SHAPE,
    ITC_STAGE_LOSS,
    ITC_STAGE_BACKWARD,
    ITC_STAGE_INTEGER,
    ITC_STAGE_PLAN,
    ITC_STAGE_SCHEDULE,
    ITC_STAGE_MEMORY,
    ITC_STAGE_COUNT
} itc_stage;

/** An output of the model: the value, and the name that the user knows. */
typedef struct itc_output {
    const char *name;
    itc_value *value;
} itc_output;

typedef struct itc_graph {
    itc_ctx *ctx;
    const char *name;
    itc_stage stage;
    int32_t opset; /**< of the default ONNX domain */
    int32_t rows;  /**< for so many rows the model was exported; 0: for any number */
    itc_value **values;
    int32_t n_values, cap_values;
    itc_node_list section[ITC_SECTION_COUNT];
    itc_output *outputs; /**< from `loss` on: values of ITC_INFER */
    int32_t n_outputs, cap_outputs;
    itc_attr *settings; /**< the options that define the program, in the order of options.def */
    int32_t n_settings, cap_settings;
    uint8_t model_hash[32];
    int32_t n_exponents; /**< plan: run-time exponents */
    int64_t arena_bytes; /**< memory: size of the arena */
    itc_section insert;  /**< where itc_build appends */
    void *names;         /**< hash table: name -> value */
} itc_graph;

/* ---- types (type.c) ---- */
const char *itc_dtype_name(itc_dtype t); /**< "f32", "i8", … */
bool itc_dtype_parse(const char *s, size_t n, itc_dtype *out);
size_t itc_dtype_size(itc_dtype t);
itc_type itc_type_make(itc_dtype t, int rank, const itc_dim *dims);
itc_type itc_type_scalar(itc_dtype t);
/** Same element type and extents (two unknown types are equal); exp_axis and bits do not count. */
bool itc_type_equal(const itc_type *a, const itc_type *b);
bool itc_dim_equal(itc_dim a, itc_dim b);
/** Elements as size * (batch ? N : 1). False: the product overflows or has N twice. */
ITC_NODISCARD bool itc_type_count(const itc_type *t, itc_dim *out);
/** Extremes of x, slice by slice along the axes: [2, slices] of x's mantissas, the least ones
 * first; plain integers. False where there are too many slices for a type. */
bool itc_extremes_type(const itc_type *x, uint32_t axes, itc_type *out);
/** Elements when a call has n rows; the caller knows that it fits. */
int64_t itc_type_elements(const itc_type *t, int64_t n);
/** "f32[N,1,28,28]" */
const char *itc_type_text(itc_ctx *ctx, const itc_type *t);
/** Zeros. The caller knows that the size fits; exits with 3 where it does not. */
itc_tensor *itc_tensor_new(itc_ctx *ctx, itc_dtype t, int rank, const int64_t *dims);
itc_tensor *itc_tensor_scalar_f32(itc_ctx *ctx, double v);
itc_tensor *itc_tensor_i64(itc_ctx *ctx, int n, const int64_t *v); /**< rank 1 */
/** Element as double or as integer, whatever the dtype. */
double itc_tensor_get(const itc_tensor *t, int64_t i);
int64_t itc_tensor_get_int(const itc_tensor *t, int64_t i);
itc_type itc_tensor_type(const itc_tensor *t);

/* ---- graph (graph.c): every edit goes through these ---- */
itc_graph *itc_graph_new(itc_ctx *ctx, const char *name);
/** A value with a unique name made from the hint. */
itc_value *itc_value_new(itc_graph *g, itc_value_kind kind, const char *hint, itc_type type);
itc_value *itc_value_find(const itc_graph *g, const char *name);
itc_value *itc_const_new(itc_graph *g, const char *hint, itc_tensor *data);
/** Renames to a unique name made from the hint. */
void itc_value_rename(itc_graph *g, itc_value *v, const char *hint);
/** Appends a node with given outputs (an entry may be NULL: absent), which become its values. op
 * is NULL for an operator without a row; the caller sets `opaque` then. */
itc_node *itc_node_append(itc_graph *g, const struct itc_op_def *op, int n_in, itc_value *const *in,
                          int n_out, itc_value *const *out);
/** Appends a node to section g->insert; outputs are new values with type unknown. Origin (may be
 * NULL) lends its ONNX name and import id. */
itc_node *itc_node_new(itc_graph *g, const struct itc_op_def *op, const itc_node *origin, int n_in,
                       itc_value *const *in, int n_out);
/** One more operand behind those of n. */
void itc_node_add_operand(itc_graph *g, itc_node *n, itc_value *v);
/** A new value as output `index` of n, which was absent. */
itc_value *itc_node_add_output(itc_graph *g, itc_node *n, int index, const char *hint,
                               itc_type type);
/** Sets or replaces an attribute; arrays and strings are copied. */
void itc_attr_set(itc_graph *g, itc_node *n, itc_attr a);
void itc_set_int(itc_graph *g, itc_node *n, const char *name, int64_t v);
void itc_set_float(itc_graph *g, itc_node *n, const char *name, double v);
void itc_set_string(itc_graph *g, itc_node *n, const char *name, const char *v);
void itc_set_ints(itc_graph *g, itc_node *n, const char *name, int count, const int64_t *v);
void itc_set_coefs(itc_graph *g, itc_node *n, const char *name, int count, const itc_coef *v);
const itc_attr *itc_attr_find(const itc_node *n, const char *name);
/** An attribute's value, or the default of the operator's row (0, 0.0, "" or none without one). */
int64_t itc_int(const itc_node *n, const char *name);
double itc_float(const itc_node *n, const char *name);
const char *itc_string(const itc_node *n, const char *name);
/** Count of an INTS attribute (0 if absent) and its values. */
int itc_ints(const itc_node *n, const char *name, const int64_t **v);
const itc_attr *itc_setting(const itc_graph *g, const char *name);
void itc_setting_set(itc_graph *g, itc_attr a);
int64_t itc_setting_int(const itc_graph *g, const char *name, int64_t otherwise);
double itc_setting_float(const itc_graph *g, const char *name, double otherwise);
const char *itc_setting_string(const itc_graph *g, const char *name, const char *otherwise);
/** --loss none: the graph is compiled for its outputs alone. */
bool itc_loss_is_none(const itc_graph *g);
/** Follows replaced_by to its end (NULL stays NULL). */
itc_value *itc_value_resolve(itc_value *v);
/** Rewrites every operand, output and next_state to what it resolves to. */
void itc_graph_resolve(itc_graph *g);
/** n_uses of every value: operands, model outputs and next_state count. */
void itc_graph_count_uses(itc_graph *g);
/**
 * Drops dead nodes and those whose outputs nobody uses; model outputs, next states and operators
 * that are losses or have an effect (ITC_OP_KEEP) are what counts. Constants without a use go as
 * well. Resolves replaced values first; afterwards values are numbered as the text lists them
 * (first those that no node makes, then by section), and the names of dropped ones are free.
 */
void itc_graph_sweep(itc_graph *g);
/** A step has several micro-batches: forward and backward repeat in it. */
bool itc_graph_repeats(const itc_graph *g);
const char *itc_section_name(itc_section s);
bool itc_section_parse(const char *s, itc_section *out);
/** Whether a node of `user` may read what a node of `owner` makes. */
bool itc_section_sees(itc_section user, itc_section owner);
const char *itc_stage_name(itc_stage s);
bool itc_stage_parse(const char *s, itc_stage *out);
const char *itc_role_name(itc_role r);
bool itc_role_parse(const char *s, itc_role *out);
/** "input", "param", …; "node" for ITC_VALUE_NODE. */
const char *itc_value_kind_name(itc_value_kind k);

/* ---- text (print.c, parse.c), checks (verify.c) ---- */
typedef struct itc_print_options {
    const char *blob_path; /**< side file that large tensors refer to; NULL: only their hash */
    bool comments;         /**< section headings and other lines that parse ignores */
} itc_print_options;
/**
 * The canonical text. With a blob_path, tensors of more than 16 elements go to `blob` (may be
 * NULL: not collected) and print as blob("FILE", offset=, bytes=, sha256=).
 */
void itc_print(const itc_graph *g, const itc_print_options *opt, itc_strbuf *out, itc_strbuf *blob);
/** Parses text; side files are looked for beside `path`. */
ITC_NODISCARD itc_status itc_parse(itc_ctx *ctx, const char *path, const char *text, size_t n,
                                   itc_graph **out);
/** Integer arithmetic has no NaN and no infinity: E0325 where a coefficient of n is one. */
ITC_NODISCARD itc_status itc_check_coefs(itc_graph *g, const itc_node *n);
/** Graph checks: single assignment, order, arity, sections, types known from `shape` on, … */
ITC_NODISCARD itc_status itc_verify(itc_graph *g);
void itc_print_dot(const itc_graph *g, itc_strbuf *out);
void itc_print_json(const itc_graph *g, itc_strbuf *out);

#endif
