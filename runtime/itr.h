/**
 * The integer runtime: what an emitted trainer and the compiler's interpreter share.
 *
 * A tensor is integer mantissas and one int32 exponent: value = mantissa * 2^exponent.
 * Mantissas of width b lie in [-(2^(b-1)-1), 2^(b-1)-1]; -2^(b-1) is never stored.
 *
 * Everything but runtime/host compiles freestanding: no allocation, no files, no operating system,
 * nothing of libc but memcpy and memset; pthreads where ITR_THREADS is defined and not 0 (pool.h).
 * runtime/host (data files, logs, checkpoints, the command line) needs a hosted C11.
 */
#ifndef ITR_H
#define ITR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ITR_MAX_RANK 8

typedef enum itr_dtype { ITR_I8, ITR_I16, ITR_I32, ITR_I64, ITR_F32, ITR_U8 } itr_dtype;

/** Bytes of one element. */
size_t itr_dtype_size(itr_dtype t);

/** What a step or an evaluation answers. Also the exit code of a trainer's failure where it maps.
 */
typedef enum itr_status {
    ITR_OK = 0,
    ITR_DIVERGED,  /**< a loss is not representable, or an exponent left its range */
    ITR_BAD_INPUT, /**< n out of range, a class id out of range, a wrong dtype */
    ITR_IO         /**< a read or write callback failed, or a stream does not fit this model */
} itr_status;

/** A scalar m * 2^e; |m| < 2^31. Zero is m = 0. Hyper-parameters travel in this form. */
typedef struct itr_scalar {
    int32_t m;
    int32_t e;
} itr_scalar;

/**
 * Rows handed to a step: dense, row-major, the batch axis first. ITR_U8, I8, I16 or I32
 * mantissas with one exponent; for class and token ids, which may be ITR_I64, the exponent is 0.
 * A float32 program also takes ITR_F32, whose exponent is not looked at.
 */
typedef struct itr_array {
    const void *data;
    itr_dtype dtype;
    int32_t exponent;
} itr_array;

/** Sums over the samples of a call. Accuracy is correct / rows. */
typedef struct itr_metrics {
    int64_t loss_q24; /**< weighted sum of the losses, times 2^24; the mean is loss_q24 / samples */
    int64_t rows;     /**< predictions that can be right or wrong: samples times positions */
    int64_t correct;  /**< rows whose largest output is the target's class */
    int64_t samples;
} itr_metrics;

typedef enum itr_schedule_kind {
    ITR_SCHEDULE_CONSTANT,
    ITR_SCHEDULE_STEP,   /**< lr * factor^(floor(step/period)) */
    ITR_SCHEDULE_COSINE, /**< lr * (1 + cos(pi * step/horizon)) / 2, 0 from the horizon on */
    ITR_SCHEDULE_LINEAR, /**< lr * (1 - step/horizon), 0 from the horizon on */
    ITR_SCHEDULE_INVERSE /**< lr / (1 + factor * (horizon + step)) */
} itr_schedule_kind;

/** A learning-rate schedule; a table of itr_scalar, one a step, computed when asked. */
typedef struct itr_schedule {
    itr_schedule_kind kind;
    itr_scalar lr;
    int64_t horizon; /**< steps: cosine and linear: the end; step: the period; inverse: before 0 */
    itr_scalar factor; /**< step: the factor a period; inverse: what the divisor grows by a step */
    int64_t warmup;    /**< the first steps rise linearly: lr * (step+1)/warmup */
} itr_schedule;

/** The learning rate of a step (0 is the first), with a 31-bit mantissa; see NUMERICS.md. */
itr_scalar itr_schedule_at(const itr_schedule *s, int64_t step);

/** Streams for MODEL_save and MODEL_load; return false when the transfer is not complete. */
typedef bool (*itr_write_fn)(void *user, const void *bytes, size_t n);
typedef bool (*itr_read_fn)(void *user, void *bytes, size_t n);

typedef enum itr_tensor_kind {
    ITR_PARAM, /**< trained */
    ITR_SLOT,  /**< optimizer state */
    ITR_STAT,  /**< running statistics and other state that a step changes */
    ITR_CONST  /**< never changed; not part of a checkpoint */
} itr_tensor_kind;

/** One tensor that lives in the state; the table of them is in canonical (digest) order. */
typedef struct itr_tensor_info {
    const char *name; /**< the ONNX initializer's name; slots append ".momentum" and so on */
    itr_tensor_kind kind;
    itr_dtype dtype;
    uint8_t rank;
    int64_t dims[ITR_MAX_RANK];
    size_t offset;     /**< of the first element, in the state struct */
    int32_t exp_index; /**< index into the state's exponents; -1 for ITR_F32 */
    int32_t exp_count; /**< exponents in a row from exp_index: 1, or one a slice of an axis */
    int32_t bits;      /**< |mantissa| < 2^bits; 0 for ITR_F32 */
    int32_t gradient;  /**< of what is trained: 1 + the node that makes its gradient; 0: unknown */
} itr_tensor_info;

typedef enum itr_section {
    ITR_SECTION_PREPARE,  /**< once a step or evaluation */
    ITR_SECTION_FORWARD,  /**< a micro-batch */
    ITR_SECTION_BACKWARD, /**< a micro-batch */
    ITR_SECTION_UPDATE,   /**< once a step */
    ITR_SECTION_INFER,    /**< a sample in evaluation */
    ITR_SECTION_SCORE,    /**< the same sample against its targets */
    ITR_SECTION_COUNT
} itr_section;

/** A node of the program and its first result, for those who watch it run. */
typedef struct itr_node_info {
    const char *name;  /**< of the node in the model, or of its result */
    const char *op;    /**< operator */
    const char *value; /**< its first result; "" without one */
    const char *role;  /**< of the rounding: fwd, dx, dw, update, view, loss, grid; "": none */
    itr_section section;
    itr_dtype dtype;
    int32_t bits; /**< of mantissas that were rounded here: |m| < 2^bits; 0: nothing was */
    bool per_row; /**< elements is for each row of the micro-batch */
    int64_t elements;
    size_t offset;     /**< of the result, in the state struct */
    int32_t exp_index; /**< into the state's exponents; -1: none that changes */
} itr_node_info;

/** A cross-entropy of evaluation: the scores that it compares with a target. */
typedef struct itr_loss_info {
    int32_t node;               /**< index into the table of nodes */
    int32_t target;             /**< index among the targets */
    int64_t outer, axis, inner; /**< of a sample's scores: classes along `axis` */
    int32_t ignore_index;       /**< INT32_MIN: none */
    itr_dtype dtype;            /**< of the scores */
    size_t offset;              /**< of the scores, in the state struct */
} itr_loss_info;

/**
 * Somebody who watches a program run: `after` is called when a node's result is in place, and for
 * the moment that nothing else has taken its bytes. It must not change the state.
 */
typedef struct itr_watch {
    void (*after)(const struct itr_watch *w, void *state, int32_t node, int64_t rows);
    void *user;
} itr_watch;

/** An input, target or output of the model. Dims are without the batch axis. */
typedef struct itr_port_info {
    const char *name;
    bool is_ids;     /**< class or token ids: integers, exponent 0 */
    itr_dtype dtype; /**< of an output; a caller chooses those of inputs and targets */
    int64_t classes; /**< targets of a cross-entropy: ids lie in [0, classes); else 0 */
    int32_t ignored; /**< the one id beside those: its rows do not count; 0: there is none */
    uint8_t rank;
    int64_t dims[ITR_MAX_RANK];
    int64_t elements; /**< product of dims: elements a sample */
} itr_port_info;

/** An output after MODEL_infer: mantissas in the caller's buffer and one exponent a sample. */
typedef struct itr_output {
    void *data;         /**< room for n * elements of `dtype` of the port */
    int32_t *exponents; /**< n of them, or NULL; not written where the port is_ids or ITR_F32 */
} itr_output;

/**
 * What a driver (runtime/host, or the compiler's interpreter) knows of a model. The emitted
 * program has one constant of this type; `state` points to the model's state struct.
 */
typedef struct itr_model {
    const char *name;
    const char *arith;      /**< "int8", "int16" or "float32" */
    const char *compiler;   /**< version of intrain that wrote it */
    uint8_t plan_hash[32];  /**< SHA-256 of the canonical IR text before memory planning */
    uint8_t model_hash[32]; /**< SHA-256 of the model file */
    int32_t batch;
    int32_t micro_batch;
    size_t state_size;
    const itr_port_info *inputs, *targets, *outputs;
    int32_t input_count, target_count, output_count;
    const itr_tensor_info *tensors;
    int32_t tensor_count;
    bool counts_correct;   /**< accuracy means something: some loss is a cross-entropy */
    itr_schedule schedule; /**< defaults */
    uint64_t seed;
    const char *settings_json;  /**< one JSON object: the options that the trainer was built with */
    const itr_node_info *nodes; /**< in the order in which they run; NULL: ITR_WATCH is 0 */
    const itr_loss_info *losses;
    int32_t node_count, loss_count;

    /** Fills a zeroed state from MODEL_data.bin's bytes (same format as a checkpoint's tensors). */
    itr_status (*init)(void *state, itr_read_fn read, void *user);
    /** Trains on 1 <= n <= batch rows. */
    itr_status (*step)(void *state, const itr_array *inputs, const itr_array *targets, int32_t n,
                       itr_metrics *metrics);
    /** Outputs for 1 <= n <= batch rows; a row's answer does not depend on its neighbours. */
    itr_status (*infer)(void *state, const itr_array *inputs, int32_t n, itr_output *outputs);
    /** As infer, but against targets: loss and accuracy. */
    itr_status (*score)(void *state, const itr_array *inputs, const itr_array *targets, int32_t n,
                        itr_metrics *metrics);
    /** Kernels of these instruction sets only (ITR_ISA_…, cpu.h). NULL: there is no choice. */
    void (*set_isa)(void *state, uint32_t isa);
    /** Threads of the calls that follow; 1 before the state goes away. NULL: always one. */
    void (*set_threads)(void *state, int32_t threads);
    int32_t max_threads; /**< set_threads takes no more of them */
    /** Access to what every state struct begins with. */
    struct itr_run *(*run)(void *state);
    /** The exponents of the state, indexed by itr_tensor_info.exp_index; NULL for float32. */
    int32_t *(*exponents)(void *state);
    void *user; /**< the interpreter's own */
} itr_model;

/** What every state struct begins with: everything that a step depends on beside the tensors. */
typedef struct itr_run {
    uint64_t seed;
    int64_t step; /**< steps done; the next step draws its random numbers with this number */
    itr_schedule schedule;
    const itr_watch *watch; /**< NULL: nobody watches. Not part of a checkpoint */
} itr_run;

#endif
