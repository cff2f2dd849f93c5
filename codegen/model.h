/**
 * What a program offers to its driver: ports, state tensors, defaults. The C writer prints it, the
 * interpreter uses it as it is.
 */
#ifndef ITC_CODEGEN_MODEL_H
#define ITC_CODEGEN_MODEL_H

#include "codegen/record.h"
#include "runtime/itr.h"

typedef struct itc_model_info {
    itc_graph *g;
    const itc_program *program;
    bool is_float;            /**< --arith float32 */
    const itc_value **inputs; /**< model.input_count of them, in graph order */
    const itc_value **targets;
    const itc_value **state;  /**< model.tensor_count of them, sorted by name: digest order */
    itr_tensor_info *tensors; /**< the same as model.tensors, for whoever knows the offsets */
    const itc_value **node_value; /**< model.node_count of them: first results; NULL: none */
    const itc_value **loss_value; /**< model.loss_count of them: scores */
    int32_t *port_index;      /**< by value id: position among inputs or targets */
    int32_t n_exponents;
    int32_t *slot_count; /**< by slot: exponents in a row that begin there */
    itr_model model;     /**< without functions, state_size and tensor offsets */
} itc_model_info;

ITC_NODISCARD itc_status itc_model_info_new(const itc_program *p, const char *stem,
                                            itc_model_info **out);

/** Describes nodes and losses to those who watch (watch.c); part of itc_model_info_new. */
void itc_model_watch(itc_model_info *info);

/** The version of intrain. */
const char *itc_version(void);

#endif
