/**
 * Array files: IDX, npy and npz, read from memory. Nothing in a file is trusted: every size is
 * checked against the bytes at hand before use.
 */
#ifndef ITR_HOST_FORMATS_H
#define ITR_HOST_FORMATS_H

#include "file.h"

#define ITR_RAW_RANK 9 /* the rows and a sample's axes */

typedef enum itr_raw_type {
    ITR_RAW_U8,
    ITR_RAW_I8,
    ITR_RAW_U16,
    ITR_RAW_I16,
    ITR_RAW_U32,
    ITR_RAW_I32,
    ITR_RAW_I64,
    ITR_RAW_F32,
    ITR_RAW_F64
} itr_raw_type;

/** An array as it lies in a file: dense, row-major, not aligned. */
typedef struct itr_raw {
    itr_raw_type type;
    bool big_endian;
    int rank; /**< >= 1; axis 0 are the rows */
    int64_t dims[ITR_RAW_RANK];
    int64_t elements; /**< a row */
    const uint8_t *bytes;
} itr_raw;

size_t itr_raw_size(itr_raw_type t);

/** An integer or float of an array as mantissa * 2^exponent; false: not finite. */
bool itr_raw_get(const itr_raw *a, size_t index, int64_t *mantissa, int32_t *exponent);

/** An IDX file (MNIST): magic 0 0 TYPE RANK, big-endian u32 dims, elements. 0 or 2. */
int itr_idx_parse(const char *name, const uint8_t *bytes, size_t size, itr_raw *out,
                  itr_message *m);

/** An npy file, versions 1 to 3, C order. 0 or 2. */
int itr_npy_parse(const char *name, const uint8_t *bytes, size_t size, itr_raw *out,
                  itr_message *m);

/** The array ARRAY.npy of an npz file (a zip archive of stored, not deflated, entries). 0 or 2. */
int itr_npz_parse(const char *name, const uint8_t *bytes, size_t size, const char *array,
                  itr_raw *out, itr_message *m);

#endif
