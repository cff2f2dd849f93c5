/**
 * The trainer's command-line program, shared by every emitted trainer and by the compiler's
 * interpreter. What it takes and prints is described by `trainer --help`.
 */
#ifndef ITR_HOST_TRAINER_H
#define ITR_HOST_TRAINER_H

#include "../itr.h"

/**
 * Runs the program and returns its exit code: 0 done, 1 diverged, 2 wrong usage or bad input,
 * 3 the system failed, 130 or 143 stopped by SIGINT or SIGTERM after saving.
 *
 * `state`: model->state_size zeroed bytes, aligned for any type, owned by the caller.
 * `data_path`: MODEL_data.bin; a relative path is looked for next to the program (argv[0], or what
 * the system says of the running program), then in the working directory. NULL: `state` is
 * initialised already.
 */
int itr_trainer_main(const itr_model *model, void *state, int argc, char **argv,
                     const char *data_path);

/** As itr_trainer_main, with the bytes of MODEL_data.bin in memory (`compile --embed`). */
int itr_trainer_main_embedded(const itr_model *model, void *state, int argc, char **argv,
                              const void *data, size_t size);

#endif
