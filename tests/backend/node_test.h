/**
 * One of ONNX's node tests: a folder with model.onnx and test_data_set_0, … of input_0.pb, … and
 * output_0.pb, ….
 */
#ifndef ITC_TESTS_BACKEND_NODE_TEST_H
#define ITC_TESTS_BACKEND_NODE_TEST_H

#include "ir/base.h"

typedef enum node_outcome { NODE_PASSED, NODE_FAILED, NODE_REFUSED } node_outcome;

/**
 * Compiles the model without training (--loss none, --arith float32), once a data set since extents
 * and what must be known when compiling come from there, and runs it in the interpreter. *text
 * (of ctx) is why it did not pass. Refused is what the compiler calls unsupported, by name; any
 * other error is a failure, since the models are right.
 */
node_outcome node_test_run(itc_ctx *ctx, const char *dir, const char **text);

#endif
