/**
 * Checkpoints and initial parameters as files; tensors.h describes their bytes.
 */
#ifndef ITR_HOST_CHECKPOINT_H
#define ITR_HOST_CHECKPOINT_H

#include "../tensors.h"
#include "file.h"

/** Writes a checkpoint under its name only when it is complete (itr_file_replace). 0 or 3. */
int itr_checkpoint_save(const char *path, const itr_model *model, void *state,
                        const itr_position *position, itr_message *m);

/** Restores tensors and itr_run; the state is touched only if the whole file is good. 0, 2 or 3. */
int itr_checkpoint_load(const char *path, const itr_model *model, void *state,
                        itr_position *position, itr_message *m);
/** The same from memory; `name` is for messages. */
int itr_checkpoint_load_bytes(const char *name, const void *bytes, size_t size,
                              const itr_model *model, void *state, itr_position *position,
                              itr_message *m);

/** Calls model->init with the bytes of MODEL_data.bin after checking them. 0, 2 or 3. */
int itr_parameters_load_bytes(const char *name, const void *bytes, size_t size,
                              const itr_model *model, void *state, itr_message *m);

/** Bytes as a stream: an itr_read_fn and what it reads from. */
typedef struct itr_memory {
    const uint8_t *at;
    size_t left;
} itr_memory;
bool itr_memory_read(void *memory, void *bytes, size_t n);

#endif
