/**
 * From a data set to the rows of a step, in integers: order, augmentation, scaling.
 *
 * A value that reaches the model is (x * scale - mean[c]) / std[c], where c is the sample's
 * channel: axis 0 of the model's dims if that is as long as there are means (or stds), else the
 * last axis. It is computed as round((x * A + B) * 2^-e) with A and B the exact fractions to 61
 * bits and e one exponent an input for the whole data set, so that the largest value that the
 * data's range allows takes 30 bits; the error stays below 2^-29 of that largest value, and below
 * 2^-30 of it unless x*A and B nearly cancel. Without scale, mean and std the integers pass
 * unchanged; ids and targets always do.
 *
 * Randomness: Philox with the seed as key and the counter (index, epoch, index >> 32, id).
 *   shuffle       id 0xFFFFF000 | draw, index i from rows-1 down to 1: order[i] changes places with
 *                 order[j], j uniform in [0, i] from the first 64-bit word below the largest
 *                 multiple of i+1 (words: out[1]:out[0], out[3]:out[2], then the next draw)
 *   augmentation  id 0xFFFFF100, index = the row's number in the data set: the crop's column from
 *                 out[0], its row from out[1] (floor(out * (2*pad+1) / 2^32)); flip: the top bit of
 *                 out[2]
 *
 * These ids are sites 0xFFFFF0 and 0xFFFFF1 of the runtime's numbering, which no operator has. An
 * epoch's order depends on seed and epoch alone, so a resumed run needs no other state.
 *
 * Augmentation crops, then mirrors, before pixels are scaled: what comes in at the border is a raw
 * 0, as in torchvision's RandomCrop(size, padding), RandomHorizontalFlip() before ToTensor() and
 * Normalize(). Evaluation never augments. bench/pipeline.py gives the same batches to PyTorch.
 */
#ifndef ITR_HOST_PIPELINE_H
#define ITR_HOST_PIPELINE_H

#include "data.h"

#define ITR_SITE_SHUFFLE 0xFFFFF0u
#define ITR_SITE_AUGMENT 0xFFFFF1u

/** x * A + B in units of 2^-s of the column's exponent; A = high*2^31 + low, B likewise. */
typedef struct itr_affine {
    int64_t a_high, a_low, b_high, b_low;
    int32_t grid; /**< exponent of x*a + b, after the low 31 bits are dropped */
    int32_t s;    /**< shift from there to the port's exponent */
} itr_affine;

/** How one port is fed. */
typedef struct itr_feed {
    const itr_column *column;
    bool ids;         /**< becomes int32 */
    int32_t channels; /**< 0: integers pass unchanged */
    bool channels_last;
    itr_affine *affine; /**< one a channel */
    int32_t *table;     /**< 256 values a channel, where the column is 8-bit */
    bool augmented;
    int64_t planes, height, width,
        pixel;       /**< of an augmented sample: [planes][height][width][pixel] */
    itr_dtype dtype; /**< of the rows produced */
    int32_t exponent;
    uint8_t *moved; /**< one augmented row of the column's type */
    uint8_t *rows;  /**< the batch */
} itr_feed;

typedef struct itr_pipeline {
    const itr_dataset *data;
    int32_t batch;
    uint64_t seed;
    bool shuffle;
    int crop;
    bool flip;
    uint32_t *order; /**< of the current epoch; NULL: as in the file */
    int64_t epoch;
    int32_t count;
    itr_feed *feeds;
    itr_array *arrays; /**< of the latest batch: inputs, then targets */
} itr_pipeline;

/**
 * `train`: shuffles and augments as the specification says; else neither. The data set and the
 * specification must outlive the pipeline. 0, 2 or 3; free it after a failure as well.
 */
int itr_pipeline_open(itr_pipeline *p, const itr_model *model, const itr_dataset *data,
                      const itr_data_spec *spec, uint64_t seed, bool train, itr_message *m);
/** Prepares the order of an epoch (0 is the first). */
void itr_pipeline_start(itr_pipeline *p, int64_t epoch);
/** Fills p->arrays with rows first .. first+n-1 of the epoch's order; n <= batch. */
void itr_pipeline_rows(itr_pipeline *p, int64_t first, int32_t n);
void itr_pipeline_free(itr_pipeline *p);

/** Fills `order` with the permutation of an epoch. */
void itr_shuffle(uint32_t *order, int64_t rows, uint64_t seed, int64_t epoch);

#endif
