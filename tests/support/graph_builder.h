/**
 * Models in a short notation, for tests of numbers: built as the importer builds them, compiled to
 * memory, run by the interpreter. One statement each, separated by ';' or line ends:
 *
 *     in x [N,3,8,8] -2..2             a float input; values uniform in a range (default -1..1)
 *     ids t [N] 0..4                   an input of integers from 0 to 3 (without a range: 0)
 *     par w [4,3,3,3] 0.5..1           a trained tensor
 *     const c [3] 1,2,0.5              a float constant ([]: a number)
 *     ints s 0,-1                      a constant list of integers (a shape, axes)
 *     y = Conv(x, w) strides=2,2       a node; _ is an absent operand
 *     y, z = Split(x)                  a node with two results
 *     out y                            an output; without any, the last node's is the only one
 *
 * Everything is deterministic: a tensor's values follow from its name and the model's `seed`.
 */
#ifndef ITC_TESTS_SUPPORT_GRAPH_BUILDER_H
#define ITC_TESTS_SUPPORT_GRAPH_BUILDER_H

#include "codegen/eval.h"
#include "passes/pass.h"

#define GB_MAX_PORTS 6

typedef struct gb_model {
    itc_ctx *ctx;
    itc_graph *g;
    itr_model *m; /**< from gb_start on */
    itc_program *program;
    void *state;
    uint64_t seed;    /**< of the values */
    bool has_outputs; /**< the text names them */
    int n_ports;
    struct gb_port { /**< what the text says of inputs */
        const char *name;
        double lo, hi;
    } port[GB_MAX_PORTS];
    itr_array in[GB_MAX_PORTS], target[GB_MAX_PORTS]; /**< from gb_start on; batch rows */
    itr_metrics metrics;
} gb_model;

/** Stage import. Fails the test for a bad text. */
gb_model *gb_new(const char *text, uint64_t seed);
/** Settings "batch=8 arith=float32 loss=mse": integers where all are digits, else texts. */
void gb_set(gb_model *b, const char *settings);
/** Runs the passes up to a stage; fails the test with the diagnostics. */
void gb_run_to(gb_model *b, itc_stage stage, const char *skip);
/** At stage memory: gives each value bytes of its own, so that all can be read after a step. */
void gb_spread(gb_model *b);
/** Makes the interpreter's model, a fresh state and the data of a batch. */
void gb_start(gb_model *b);
/** gb_new, gb_set, to memory, gb_start. */
gb_model *gb_open(const char *text, uint64_t seed, const char *settings);
/** A model around a graph of another context, with the data of `like`. */
gb_model *gb_adopt(itc_ctx *ctx, itc_graph *g, const gb_model *like);
void gb_close(gb_model *b);

/** One step on the first n rows of the data; fails the test unless ITR_OK. */
void gb_step(gb_model *b, int32_t n);
/** New values for the data of inputs and targets. */
void gb_refill(gb_model *b, uint64_t seed);
void gb_digest(gb_model *b, uint8_t hash[32]);
/** Digest after `steps` steps on fresh data each, of n rows. */
void gb_train(gb_model *b, int steps, int32_t n);

/** A value of the graph as it stands, by name; NULL: none. */
itc_value *gb_value(const gb_model *b, const char *name);
int64_t gb_count(const itc_value *v, int64_t rows);
/** The exponent that v has at the moment. */
int32_t gb_exponent(const gb_model *b, const itc_value *v);
/** Mantissa i of v (floats are no mantissas). */
int64_t gb_mantissa(const gb_model *b, const itc_value *v, int64_t i);
/** Elements as numbers: mantissa * 2^exponent, or the float. */
void gb_read(const gb_model *b, const itc_value *v, int64_t count, double *out);
/** The data of an input or target, as numbers. */
void gb_read_port(const itr_array *a, int64_t count, double *out);

/** Uniform in [0,1), from 53 bits of a SplitMix64 stream. */
double gb_uniform(uint64_t *state);
uint64_t gb_hash(const char *name, uint64_t seed);

#endif
