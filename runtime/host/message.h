/**
 * Failures of the trainer's command-line program: an exit code, a stable id and a text.
 *
 * Functions of host/ that can fail return an exit code (0 is success) and fill the caller's
 * message; the caller prints it as `trainer: error E0512: file "x.npy": ...`.
 *
 *   id     exit  means
 *   E0501  2     unknown option, or an option without its value
 *   E0502  2     a value that the option does not take
 *   E0503  2     an option that this trainer does not offer
 *   E0504  2     an option that this model has no use for
 *   E0510  2     a file cannot be opened or read
 *   E0511  2     a data specification is malformed
 *   E0512  2     a data file is truncated, has trailing bytes or a header that makes no sense
 *   E0513  2     a data file uses a feature that is not read here (deflate, Fortran order, a type)
 *   E0514  2     the data does not fit the model (number of arrays, elements a sample, rows)
 *   E0515  2     a label or id is no integer or out of range
 *   E0516  2     a value is no finite number
 *   E0520  2     a checkpoint is damaged
 *   E0521  2     a checkpoint belongs to another model
 *   E0522  2     a checkpoint does not fit the options or the data given
 *   E0523  2     the file of initial parameters is damaged or belongs to another model
 *   E0530  1     the training diverged
 *   E0531  2     the model refused a batch
 *   E0540  3     an output cannot be written
 *   E0541  3     out of memory
 *
 * Warnings go to standard error and into the log, and change no exit code:
 *
 *   W0550        a trained tensor did not change for some observed steps (--stats)
 *   W0551        an exponent has grown beyond measure (--stats)
 */
#ifndef ITR_HOST_MESSAGE_H
#define ITR_HOST_MESSAGE_H

#define ITR_EXIT_NO 1    /**< it ran, and the answer is no */
#define ITR_EXIT_INPUT 2 /**< wrong usage or bad input */
#define ITR_EXIT_SYSTEM 3

typedef struct itr_message {
    int exit_code; /**< 0: nothing failed yet */
    char id[8];
    char text[1024];
} itr_message;

#if defined(__GNUC__)
#define ITR_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define ITR_PRINTF(text, first)
#endif

/** Fills the message unless an earlier failure did; returns its exit code. */
int itr_fail(itr_message *m, int exit_code, const char *id, const char *format, ...)
    ITR_PRINTF(4, 5);

/** E0541. */
int itr_fail_memory(itr_message *m);

#endif
