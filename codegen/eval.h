/**
 * The interpreter: a program's call records run with the reference kernels, bit for bit what the
 * emitted C computes. Tests hold the two against each other; commands that train without a C
 * compiler use it through itr_trainer_main like any other model.
 */
#ifndef ITC_CODEGEN_EVAL_H
#define ITC_CODEGEN_EVAL_H

#include "codegen/model.h"

/**
 * A model whose functions interpret p's records. Its state must come from itc_eval_state_new:
 * other than an emitted trainer's it points to the interpreter.
 */
ITC_NODISCARD itc_status itc_eval_model(itc_program *p, itr_model **out);
ITC_NODISCARD itc_status itc_eval_model_of(itc_model_info *info, itr_model **out);

/** A state with the initial parameters in place (init need not be called); lives as the context. */
void *itc_eval_state_new(const itr_model *m);
/** The same without an arena: good for its tensors alone, which writing them needs. */
void *itc_eval_tensors_new(const itr_model *m);

/** Mantissas of a value at hand: state, or whatever of the arena is still live. For tests. */
const void *itc_eval_value(const itr_model *m, void *state, const itc_value *v);
/** The bytes of MODEL_data.bin: every state tensor's initial contents. */
ITC_NODISCARD itc_status itc_initial_data(itc_model_info *info, void **bytes, size_t *n);

#endif
