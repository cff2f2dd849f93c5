/** The context's inside, for base.c and diag.c alone. */
#ifndef ITC_IR_CTX_H
#define ITC_IR_CTX_H

#include "ir/base.h"

typedef struct itc_chunk {
    struct itc_chunk *next;
    size_t size, used;
    max_align_t bytes[];
} itc_chunk;

struct itc_ctx {
    itc_chunk *chunks; /**< the first one is being filled */
    size_t next_size;
    const char *file;
    itc_diag diag[ITC_MAX_DIAGS];
    int n_diags, n_dropped;
    const char **notes;
    int n_notes, cap_notes;
};

#endif
