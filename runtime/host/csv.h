/**
 * CSV files (RFC 4180) of numbers, read from memory.
 */
#ifndef ITR_HOST_CSV_H
#define ITR_HOST_CSV_H

#include "../itr.h"
#include "file.h"

/** rows * columns numbers, row-major. */
typedef struct itr_csv {
    int64_t rows;
    int64_t columns;
    int64_t label;      /**< the column that `label` named; the last one where label is NULL */
    itr_scalar *values; /**< malloc; the caller frees it, after a failure too */
} itr_csv;

/**
 * Reads a comma-separated table; fields may be quoted; blank lines are skipped. The first line is a
 * header when a field of it is no number. `label` is a name of the header, or a number from 0.
 * 0, 2 or 3.
 */
int itr_csv_parse(const char *name, const uint8_t *bytes, size_t size, const char *label,
                  itr_csv *out, itr_message *m);

#endif
