/**
 * The fixture of tests that look at what reading makes of a file of PyTorch's exporters: a model
 * with input "x" and output "y" to be built further, and read back.
 */
#ifndef TESTS_TORCH_FILE_H
#define TESTS_TORCH_FILE_H

#include <stdlib.h>

#include "frontend/onnx_model.h"
#include "tests/support/onnx_build.h"

typedef struct fixture {
    onnx_build *b;
    itc_ctx *ctx;
    itc_onnx_model *m; /**< once it is read */
} fixture;

static inline int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    f->b = onnx_build_new(17);
    f->ctx = itc_ctx_new();
    f->b->model->producer_name = itc_strdup(f->b->arena, "pytorch");
    onnx_build_input(f->b, "x", ITC_ONNX_FLOAT, "N,2");
    onnx_build_output(f->b, "y");
    *state = f;
    return 0;
}

static inline int teardown(void **state)
{
    fixture *f = *state;
    itc_onnx_close(f->m);
    onnx_build_free(f->b);
    itc_ctx_free(f->ctx);
    free(f);
    return 0;
}

static inline const Onnx__GraphProto *read_back(fixture *f)
{
    size_t n = 0;
    const uint8_t *bytes = onnx_build_pack(f->b, &n);
    assert_int_equal(itc_onnx_read_memory(f->ctx, bytes, n, &f->m), ITC_OK);
    return f->m->proto->graph;
}

#endif
