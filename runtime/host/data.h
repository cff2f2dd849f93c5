/**
 * Data specifications ("npy:x.npy,y.npy,scale=1/255") and the data sets that they name.
 *
 * A data set is one column a port of the model: its inputs, then its targets. A column's rows lie
 * in memory as integer mantissas of one exponent. 8-bit data stay as they lie in the file; floats
 * and decimals become 32-bit mantissas: exactly where 30 bits hold them all, else rounded to
 * nearest at 2^-30 of the largest magnitude.
 */
#ifndef ITR_HOST_DATA_H
#define ITR_HOST_DATA_H

#include "../itr.h"
#include "decimal.h"
#include "file.h"

#define ITR_MAX_FILES 64
#define ITR_MAX_CHANNELS 64

typedef enum itr_data_kind {
    ITR_DATA_IDX,
    ITR_DATA_CIFAR10,
    ITR_DATA_NPY,
    ITR_DATA_NPZ,
    ITR_DATA_CSV,
    ITR_DATA_TEXT
} itr_data_kind;

/** A parsed specification. Counts of 0 and NULL mean "not given". */
typedef struct itr_data_spec {
    itr_data_kind kind;
    char *storage; /**< what the names below point into */
    int file_count;
    const char *files[ITR_MAX_FILES];
    int scale_count;
    itr_ratio scale;
    int mean_count;
    itr_ratio mean[ITR_MAX_CHANNELS];
    int std_count;
    itr_ratio std[ITR_MAX_CHANNELS]; /**< > 0 */
    int crop;                        /**< random crop after padding by so many zeros a side */
    bool flip;                       /**< random horizontal flip */
    bool in_order;                   /**< shuffle=0 */
    bool shuffle_given;
    int64_t limit; /**< rows; 0: all */
    const char *label;
} itr_data_spec;

/** Parses a specification. 0, 2 (E0511) or 3. Free it after a failure as well. */
int itr_data_spec_parse(const char *text, itr_data_spec *spec, itr_message *m);
/** Fills scale, mean, std and label where `spec` has none of its own; `from` must outlive it. */
void itr_data_spec_inherit(itr_data_spec *spec, const itr_data_spec *from);
void itr_data_spec_free(itr_data_spec *spec);

typedef struct itr_column {
    const uint8_t *data; /**< native byte order; aligned for its type */
    size_t stride;       /**< bytes from a row to the next */
    itr_dtype dtype;     /**< U8, I8, I16 or I32; never the most negative mantissa */
    int32_t exponent;
    int64_t elements; /**< a row */
    int64_t min, max; /**< bounds of the mantissas; of 8-bit types the type's own */
    void *owned;      /**< storage, where `data` points into no file */
} itr_column;

typedef struct itr_dataset {
    int64_t rows;
    int32_t count; /**< columns: the model's inputs, then its targets */
    itr_column *columns;
    int file_count;
    itr_file files[ITR_MAX_FILES];
} itr_dataset;

/**
 * Reads the files (and hashes them, if asked) and builds the columns. 0, 2 or 3. Free the data set
 * after a failure as well.
 */
int itr_dataset_open(itr_dataset *d, const itr_data_spec *spec, const itr_model *model, bool hash,
                     itr_message *m);
/** The second half of itr_dataset_open: d->files are in memory already. */
int itr_dataset_build(itr_dataset *d, const itr_data_spec *spec, const itr_model *model,
                      itr_message *m);
void itr_dataset_free(itr_dataset *d);

/** Element of a column as an integer. */
static inline int64_t itr_column_get(const itr_column *c, int64_t row, int64_t element)
{
    const uint8_t *p = c->data + (size_t)row * c->stride;
    switch (c->dtype) {
    case ITR_U8:
        return p[element];
    case ITR_I8:
        return ((const int8_t *)p)[element];
    case ITR_I16:
        return ((const int16_t *)(const void *)p)[element];
    default:
        return ((const int32_t *)(const void *)p)[element];
    }
}

#endif
