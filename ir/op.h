/**
 * An operator's row: everything that the compiler knows of it. Rows live in ops/<family>.c and are
 * listed in ops.def; whole-graph algorithms are passes and know no operator.
 */
#ifndef ITC_IR_OP_H
#define ITC_IR_OP_H

#include "ir/ir.h"

struct itc_formula;
struct itc_grad;
struct itc_lower;
struct itc_plan;
struct itc_emit;

/** What an operand is, for deciding what is trained (contract: "What is trained by default"). */
typedef enum itc_role_in {
    ITC_IN_DATA,  /**< data: an initializer here stays constant */
    ITC_IN_PARAM, /**< weights, biases, scales, embeddings: an initializer here is trained */
    ITC_IN_WEAK,  /**< an operand of Add or Mul: an initializer of rank >= 1 is trained, a Constant
                     is not */
    ITC_IN_PART,  /**< data; but a weight that initializers alone shift or scale here is still one
                     (standardised weights), as are those at a WEAK operand beside it */
    ITC_IN_STAT,  /**< running statistics */
    ITC_IN_CONST, /**< shapes, axes, ratios: must be known when compiling */
    ITC_IN_PASS,  /**< data movement: a parameter that passes through here is still one */
    ITC_IN_INDEX, /**< class ids, indices: plain integers at run time */
    ITC_IN_MASK   /**< a condition: booleans at run time */
} itc_role_in;

/**
 * Kinds of numbers at run time. Floats are f32, or mantissas in the integer graph; integers are
 * plain i64 (whatever width they have in ONNX), booleans are bool: neither has an exponent, both
 * are the same numbers in every arithmetic. A row lists what its DATA operands may be (floats
 * alone, unless it says more); data movement takes all; INDEX and MASK operands say it by their
 * role, CONST operands are known when compiling. Data operands are of one type, as ONNX has it.
 */
typedef enum itc_kind { ITC_KIND_FLOAT = 1, ITC_KIND_INT = 2, ITC_KIND_BOOL = 4 } itc_kind;
#define ITC_KIND_NUMBER (ITC_KIND_FLOAT | ITC_KIND_INT)
#define ITC_KIND_ANY (ITC_KIND_NUMBER | ITC_KIND_BOOL)
int itc_kind_of(const itc_type *t);
/** "float", "integer", "boolean"; of a mask, all of them: "float or integer". */
const char *itc_kind_text(itc_ctx *ctx, int kinds);
/** Kinds that operand i of a row may have at run time; 0: it must be known when compiling. */
int itc_op_kinds(const struct itc_op_def *op, int i);
/** Plain integers or booleans: numbers without an exponent, the same in every arithmetic. */
bool itc_is_plain(const itc_type *t);

/** How --init starts an initializer at an operand. */
typedef enum itc_start {
    ITC_START_KEEP,   /**< as the model has it */
    ITC_START_WEIGHT, /**< uniform, within bounds by its fans */
    ITC_START_BIAS,   /**< of the weight beside it */
    ITC_START_ZERO,
    ITC_START_ONE
} itc_start;

typedef struct itc_attr_spec {
    const char *name; /**< NULL ends the list */
    itc_attr_kind kind;
    bool required;
    int64_t i;     /**< default of INT */
    double f;      /**< default of FLOAT */
    const char *s; /**< default of STRING */
    bool internal; /**< ours: import refuses it */
    bool list;     /**< of STRING: ONNX has a list, which is one text here, "a,b" */
} itc_attr_spec;

typedef enum itc_op_flag {
    ITC_OP_INTERNAL = 1,    /**< ours: import refuses it; prints and parses like any other */
    ITC_OP_VARIADIC = 2,    /**< any number of inputs from in_min on */
    ITC_OP_LOSS = 4,        /**< makes a loss */
    ITC_OP_KEEP = 8,        /**< has an effect: never swept */
    ITC_OP_SOFTMAX = 16,    /**< softmax or its logarithm: a cross-entropy takes its operand */
    ITC_OP_TYPE_FOLD = 32,  /**< fold needs only the types of the operands (Shape) */
    ITC_OP_SUM = 64,        /**< lowers to a formal sum of its operands */
    ITC_OP_UPDATES = 128,   /**< output 0 is operand 0, changed in place, by definition */
    ITC_OP_ELEMENTS = 256,  /**< element by element, operands broadcast: folds what repeats */
    ITC_OP_FEATURES = 1024, /**< the last axis of output 0 counts features */
    ITC_OP_PHANTOM = 512    /**< has a type alone: E0224 where something depends on its numbers */
} itc_op_flag;

typedef struct itc_op_def {
    const char *name;
    const char *domain; /**< "" is ONNX's default domain */
    uint8_t in_min, in_max, out_min, out_max;
    uint16_t flags;
    uint16_t opset_min;      /**< first version imported */
    const uint8_t *versions; /**< versions of ONNX at which the definition changed, 0 ends */
    /** in_max roles (of a VARIADIC row in_min, at least 1, and the last repeats). NULL: all DATA */
    const itc_role_in *roles;
    const itc_start *starts; /**< as many as roles; NULL: all KEEP */
    /** Of a weight with these extents: elements that a result sums, and results that an element has
     * part in, as PyTorch counts them. Rows with a WEIGHT have it. */
    void (*fans)(const itc_node *n, int operand, const itc_type *w, int64_t *in, int64_t *out);
    const itc_attr_spec *attrs;
    const char *summary; /**< one line for `intrain ops` */
    uint8_t kinds;       /**< of DATA operands at run time; 0: floats; of our own rows: any */
    /** Of an element-wise function: its formula (ir/formula.h), {name} for a number of an
     * attribute. The hooks of ir/ops/function.c do the rest. */
    const char *formula;
    /** Of an element-wise operator on floats: its result as a formula of the operands' (pass fuse);
     * NULL where it has none, and without the hook. */
    const struct itc_formula *(*as_formula)(itc_ctx *ctx, const itc_node *n,
                                            const struct itc_formula *const *arg);
    bool selects; /**< it only lets mantissas pass or not: nothing is rounded */

    /** ONNX form -> our form: builds nodes at g->insert and sets in out[] what replaces the
     * node's outputs; leaves out[0] NULL where the node is in our form already (it is kept).
     * Types of operands are known; constant operands have ->data. */
    itc_status (*normalize)(itc_graph *g, itc_node *n, itc_value **out);
    /** All operands constant: compute the outputs. NULL: never folded. */
    itc_status (*fold)(itc_graph *g, itc_node *n, itc_tensor **out);
    /** Types of the outputs from those of the operands; node-level checks. */
    itc_status (*infer)(itc_graph *g, itc_node *n);
    /** Adds the gradients of the operands (passes/grad.h). NULL: not differentiable. */
    itc_status (*grad)(struct itc_grad *b, const itc_node *n);
    /** What the node becomes in evaluation; NULL: itself. Same protocol as normalize. */
    itc_status (*infer_form)(itc_graph *g, itc_node *n, itc_value **out);
    /** At what width float operands are wanted in the integer graph (see itc_lower_demand). */
    enum itc_demand {
        ITC_DEMAND_OPERAND, /**< as an operand of products: 8 bits in int8 */
        ITC_DEMAND_WIDE,    /**< 16 bits: losses, softmax */
        ITC_DEMAND_PASS,    /**< whatever the result is wanted at (data movement, sums) */
        ITC_DEMAND_EXACT    /**< the exact accumulator */
    } demand;
    /** Float node -> integer nodes (passes/lower.h). */
    itc_status (*lower)(struct itc_lower *l, const itc_node *n);
    /** The value, an operand or a result, whose extremes the node finds on its way and can hand on,
     * and the axes that a slice goes along, a bit each (pass extremes); they are its output
     * out_max - 1, of itc_extremes_type. Returns NULL, or without the hook: of none. */
    itc_value *(*extremes_of)(itc_graph *g, const itc_node *n, uint32_t *axes);
    /** Takes the extremes of its operand x as one more operand; where `found` is NULL, it only says
     * whether it would. False: they are of no use. */
    bool (*take_extremes)(itc_graph *g, itc_node *n, itc_value *x, uint32_t axes, itc_value *found);
    /** Exponents of the outputs and bounds of the accumulators (passes/plan.h). NULL: the node
     * has integer outputs only as plain numbers. */
    itc_status (*plan)(struct itc_plan *p, itc_node *n);
    /** Appends call records (codegen/emit.h). */
    itc_status (*emit)(struct itc_emit *e, const itc_node *n);
    /** Bit i: output 0 may take the bytes of input i, when that dies here (element-wise). */
    uint32_t in_place;
    /** Output 0 is input 0 under another type: no code, same bytes. */
    bool alias;
} itc_op_def;

#define OP(name) extern const itc_op_def itc_op_##name;
#include "ir/ops.def"
#undef OP

/** The row of an ONNX operator or internal one; NULL: none. */
const itc_op_def *itc_op_find(const char *domain, const char *name);
/** The row of this name, whatever its domain: names are unique. NULL: none. */
const itc_op_def *itc_op_named(const char *name);
/** Rows in the order of ops.def; NULL past the end. */
const itc_op_def *itc_op_at(int i);
itc_role_in itc_op_role(const itc_op_def *op, int input);
/** Version of the definition that is in force at an opset: the largest of versions <= opset. */
int itc_op_version(const itc_op_def *op, int opset);

/** Appends a node, sets nothing but operands, and infers the types: the common builder. */
ITC_NODISCARD itc_status itc_build(itc_graph *g, const itc_op_def *op, const itc_node *origin,
                                   int n_in, itc_value *const *in, int n_out, itc_node **out);
/** E0241 unless each operand is of a kind that the row takes at run time. */
ITC_NODISCARD itc_status itc_check_kinds(itc_graph *g, const itc_node *n);
/** Runs the row's infer (types and exponents' scope of the outputs). */
ITC_NODISCARD itc_status itc_infer(itc_graph *g, itc_node *n);

#endif
