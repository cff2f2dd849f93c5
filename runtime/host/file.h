/**
 * Whole files: reading one into memory, and replacing one so that no half-written file is ever
 * seen under its name.
 */
#ifndef ITR_HOST_FILE_H
#define ITR_HOST_FILE_H

#include "message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct itr_file {
    char *name;
    uint8_t *bytes;
    size_t size;
    uint8_t hash[32]; /**< SHA-256 of the bytes, where asked for */
} itr_file;

/** Reads a whole file (pipes too). 0, or 2 (E0510), or 3. */
int itr_file_read(const char *path, itr_file *file, itr_message *m);
/** As if a file `name` held a copy of these bytes. 0 or 3. */
int itr_file_copy(const char *name, const void *bytes, size_t size, itr_file *file, itr_message *m);
void itr_file_free(itr_file *file);

/** Writes the content through the callback; false when it could not. */
typedef bool (*itr_content_fn)(void *user, bool (*write)(void *, const void *, size_t), void *out);

/**
 * Replaces `path`: writes PATH.tmp.PID, syncs it, renames it, syncs the folder. A device or pipe
 * is written directly. On failure PATH is as before and the temporary file is gone. 0, or 3
 * (E0540).
 */
int itr_file_replace(const char *path, itr_content_fn content, void *user, itr_message *m);

/** Whether PATH.tmp.PID could be created; asked before hours of work depend on it. 0 or 3. */
int itr_file_writable(const char *path, itr_message *m);

/** The part of a path up to and with its last '/', or "./"; the caller frees it. NULL: no memory.
 */
char *itr_path_folder(const char *path);

#endif
