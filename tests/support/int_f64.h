/**
 * The backward pass and the update of a planned integer graph in double precision, with the forward
 * pass of one step held: every value that no stochastic rounding reaches is read out of the
 * interpreter, the others are computed again from them. Rounding is left out (exact), or done here,
 * with other random numbers (sample): what the mean and the variance of the integers must be.
 */
#ifndef ITC_TESTS_SUPPORT_INT_F64_H
#define ITC_TESTS_SUPPORT_INT_F64_H

#include "tests/support/graph_builder.h"

typedef struct int_f64 {
    gb_model *b;
    int64_t rows, micros; /**< of a micro-batch; micro-batches with the same rows */
    int64_t micro;        /**< the one that runs */
    bool *varies;         /**< by value id: a stochastic rounding reaches it */
    double **x;           /**< by value id: elements as numbers */
    int32_t *slot;        /**< exponents of `sample` */
    uint64_t *random;     /**< sample's stream; NULL: nothing is rounded */
} int_f64;

/** Of a graph of stage memory that gb_spread has seen, before gb_start. */
int_f64 *int_f64_new(gb_model *b);
/** Runs one step of the started model and holds its forward pass: `micros` micro-batches of `rows`
 * rows each. */
void int_f64_hold(int_f64 *f, int32_t rows, int32_t micros);
/** All that varies, nothing rounded. */
void int_f64_exact(int_f64 *f);
/** All that varies, each rounding stochastic from this stream. */
void int_f64_sample(int_f64 *f, uint64_t *random);

#endif
