/**
 * The byte format of MODEL_data.bin and of checkpoints. Freestanding: nothing of libc but memcpy
 * and memset, so an embedded model can save and load itself. Links with host/sha256.c and cpu.c.
 *
 * All numbers are little-endian two's complement whatever the machine; no padding.
 *
 *   MODEL_data.bin                         checkpoint
 *   8   "ITRDATA1"                         8   "ITRCKPT1"
 *   4   u32 version, 1                     4   u32 version, 1
 *   32  plan hash                          32  plan hash
 *   ..  string: arithmetic                 ..  string: arithmetic ("int8")
 *                                          8   u64 seed
 *                                          8   i64 step (steps done)
 *                                          8   i64 epoch (0 is the first)
 *                                          8   i64 rows of that epoch already trained on
 *                                          8   i64 rows of the data set; 0: not known
 *                                          4   u32 schedule kind
 *                                          8   lr: i32 mantissa, i32 exponent
 *                                          8   i64 horizon
 *                                          8   factor: i32 mantissa, i32 exponent
 *                                          8   i64 warm-up
 *   4   u32 number of tensors              4   u32 number of tensors
 *   ..  every tensor of the table          ..  every tensor but those of kind ITR_CONST
 *   32  SHA-256 of all bytes before        32  SHA-256 of all bytes before
 *
 *   string: u16 length, bytes.
 *   tensor: string name, u8 kind, u8 dtype (itr_dtype), u8 rank, rank * i64 dims,
 *           u32 number of exponents, that many i32, then the elements, row-major.
 *           ITR_F32 elements are IEEE 754 bits, and there is no exponent.
 *
 * Tensors come in the order of the model's table; a stream whose fields differ from the table is
 * refused. So are mantissas of -2^(b-1) in 8 and 16 bit parameters and slots, and exponents beyond
 * +-ITR_EXPONENT_LIMIT (but for ITR_EXPONENT_UNSET), which no step writes.
 */
#ifndef ITR_TENSORS_H
#define ITR_TENSORS_H

#include "itr.h"

#define ITR_EXPONENT_LIMIT (1 << 20)

/** Where a training is in its data. */
typedef struct itr_position {
    int64_t epoch; /**< 0 is the first */
    int64_t row;   /**< rows of this epoch already trained on */
    int64_t rows;  /**< rows of the data set; 0: not known */
} itr_position;

/** What a stream was refused for; `problem` is NULL while nothing was. */
typedef struct itr_refusal {
    const char *problem;
    int32_t tensor;   /**< index into the table; -1: none in particular */
    bool other_model; /**< intact, but written for another plan or arithmetic */
} itr_refusal;

/** Writes MODEL_data.bin: every tensor, constants included. ITR_OK or ITR_IO. */
itr_status itr_tensors_write(const itr_model *model, void *state, itr_write_fn write, void *user);

/**
 * Reads what itr_tensors_write wrote, to the end, and checks its SHA-256. With state NULL nothing
 * is stored and everything is checked. After ITR_IO the state's tensors are undefined.
 */
itr_status itr_tensors_read(const itr_model *model, void *state, itr_read_fn read, void *user);

/** As itr_tensors_read; says why. */
itr_status itr_tensors_check(const itr_model *model, void *state, itr_read_fn read, void *user,
                             itr_refusal *why);

/** Writes a checkpoint; position NULL: the start of epoch 0. ITR_OK or ITR_IO. */
itr_status itr_checkpoint_write(const itr_model *model, void *state, const itr_position *position,
                                itr_write_fn write, void *user);

/**
 * Reads a checkpoint into the tensors and the itr_run of an initialised state (constants stay).
 * state NULL: only checks; position and why may be NULL. After ITR_IO the state is undefined: a
 * caller that holds the bytes checks them with state NULL first.
 */
itr_status itr_checkpoint_read(const itr_model *model, void *state, itr_position *position,
                               itr_read_fn read, void *user, itr_refusal *why);

/** Product of a tensor's dims. */
int64_t itr_tensor_elements(const itr_tensor_info *t);

/**
 * The canonical bytes that a digest covers (NUMERICS.md: "Digest"): for each tensor of kind PARAM,
 * SLOT and STAT in table order: name and NUL, u8 dtype, u8 rank, i64 dims, i32 exponents, elements.
 */
void itr_digest(const itr_model *model, void *state, uint8_t hash[32]);

#endif
