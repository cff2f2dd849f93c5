/**
 * One of ONNX's node tests: a folder with model.onnx and test_data_set_0, … of input_0.pb, … and
 * output_0.pb, ….
 */
#ifndef ITC_TESTS_BACKEND_NODE_TEST_H
#define ITC_TESTS_BACKEND_NODE_TEST_H

#include "ir/base.h"

typedef enum node_outcome { NODE_PASSED, NODE_FAILED, NODE_REFUSED } node_outcome;

/** What a test is of. */
typedef struct node_subject {
    const char *op; /**< its operator; of several nodes "several operators" */
    bool numbers;   /**< its inputs and outputs are tensors of floats of 16 bits or more, of integers
                       of 8 bits or more, or of booleans: no strings, sequences, optionals, complex
                       or narrower numbers */
} node_subject;

/** Reads the model's; false: there is no model that can be read. */
bool node_test_subject(itc_ctx *ctx, const char *dir, node_subject *out);

/**
 * Compiles the model without training (--loss none, --arith float32), once a data set since extents
 * and what must be known when compiling come from there, and runs it in the interpreter. *text
 * (of ctx) is why it did not pass. Refused is what the compiler calls unsupported, by name; any
 * other error is a failure, since the models are right.
 */
node_outcome node_test_run(itc_ctx *ctx, const char *dir, const char **text);

#endif
