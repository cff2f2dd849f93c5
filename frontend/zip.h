/**
 * A zip archive of entries that are stored as they are, below 4 GiB: what an npz file is.
 */
#ifndef ITC_FRONTEND_ZIP_H
#define ITC_FRONTEND_ZIP_H

#include "ir/base.h"

typedef struct itc_zip {
    itc_strbuf body, directory;
    int n;
} itc_zip;

void itc_zip_init(itc_zip *z, itc_ctx *ctx);
/** Appends an entry; the bytes are copied. */
void itc_zip_add(itc_zip *z, const char *name, const void *bytes, size_t n);
/** E0003. Nothing may be added afterwards. */
ITC_NODISCARD itc_status itc_zip_write(itc_zip *z, const char *path);

#endif
