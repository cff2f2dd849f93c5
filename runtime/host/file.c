#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail_read(itr_message *m, const char *path, const char *what)
{
    return itr_fail(m, ITR_EXIT_INPUT, "E0510", "file \"%s\": cannot be %s: %s", path, what,
                    strerror(errno));
}

static int fail_write(itr_message *m, const char *path)
{
    return itr_fail(m, ITR_EXIT_SYSTEM, "E0540", "file \"%s\": cannot be written: %s", path,
                    strerror(errno));
}

static int read_all(int fd, size_t hint, itr_file *file, itr_message *m)
{
    size_t room = hint + 1; /* one more, so that the end is seen without growing */
    file->bytes = malloc(room);
    if (!file->bytes) {
        return itr_fail_memory(m);
    }
    for (;;) {
        if (file->size == room) {
            uint8_t *more = room > SIZE_MAX / 2 ? NULL : realloc(file->bytes, room * 2);
            if (!more) {
                return itr_fail_memory(m);
            }
            file->bytes = more;
            room *= 2;
        }
        const size_t want =
            room - file->size < (size_t)1 << 30 ? room - file->size : (size_t)1 << 30;
        const ssize_t got = read(fd, file->bytes + file->size, want);
        if (got == 0) {
            return 0;
        }
        if (got > 0) {
            file->size += (size_t)got;
        } else if (errno != EINTR) {
            return fail_read(m, file->name, "read");
        }
    }
}

int itr_file_read(const char *path, itr_file *file, itr_message *m)
{
    memset(file, 0, sizeof *file);
    file->name = strdup(path);
    if (!file->name) {
        return itr_fail_memory(m);
    }
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return fail_read(m, path, "opened");
    }
    struct stat info;
    const bool regular = fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0;
    const int code = read_all(fd, regular ? (size_t)info.st_size : 65535, file, m);
    close(fd);
    return code;
}

int itr_file_copy(const char *name, const void *bytes, size_t size, itr_file *file, itr_message *m)
{
    memset(file, 0, sizeof *file);
    file->name = strdup(name);
    file->bytes = malloc(size + 1);
    if (!file->name || !file->bytes) {
        return itr_fail_memory(m);
    }
    if (size > 0) {
        memcpy(file->bytes, bytes, size);
    }
    file->size = size;
    return 0;
}

void itr_file_free(itr_file *file)
{
    free(file->name);
    free(file->bytes);
    memset(file, 0, sizeof *file);
}

char *itr_path_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    const size_t n = slash ? (size_t)(slash - path) + 1 : 2;
    char *folder = malloc(n + 1);
    if (folder) {
        memcpy(folder, slash ? path : "./", n);
        folder[n] = 0;
    }
    return folder;
}

static bool write_stream(void *out, const void *bytes, size_t n)
{
    return fwrite(bytes, 1, n, out) == n;
}

/* Writes, flushes and (for files that can) syncs; keeps the errno of the first failure. */
static bool fill(FILE *f, itr_content_fn content, void *user)
{
    errno = 0;
    bool ok = content(user, write_stream, f) && fflush(f) == 0;
    if (ok && fsync(fileno(f)) != 0 && errno != EINVAL && errno != ENOTSUP) {
        ok = false;
    }
    const int first = errno;
    if (fclose(f) != 0 && ok) {
        return false;
    }
    if (!ok) {
        errno = first ? first : EIO;
    }
    return ok;
}

static void sync_folder(const char *path)
{
    char *folder = itr_path_folder(path);
    const int fd = folder ? open(folder, O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        fsync(fd); /* some file systems cannot sync folders; the rename is done all the same */
        close(fd);
    }
    free(folder);
}

int itr_file_replace(const char *path, itr_content_fn content, void *user, itr_message *m)
{
    struct stat info;
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode)) {
        FILE *device = fopen(path, "wb");
        return device && fill(device, content, user) ? 0 : fail_write(m, path);
    }
    const size_t room = strlen(path) + 32;
    char *temporary = malloc(room);
    if (!temporary) {
        return itr_fail_memory(m);
    }
    snprintf(temporary, room, "%s.tmp.%ld", path, (long)getpid());
    int code = 0;
    FILE *f = fopen(temporary, "wb");
    if (!f) {
        code = fail_write(m, path);
    } else if (!fill(f, content, user) || rename(temporary, path) != 0) {
        code = fail_write(m, path);
        unlink(temporary);
    } else {
        sync_folder(path);
    }
    free(temporary);
    return code;
}

int itr_file_writable(const char *path, itr_message *m)
{
    struct stat info;
    if (stat(path, &info) == 0) {
        if (S_ISDIR(info.st_mode)) {
            errno = EISDIR;
            return fail_write(m, path);
        }
        if (!S_ISREG(info.st_mode)) {
            return 0;
        }
    }
    char *folder = itr_path_folder(path);
    if (!folder) {
        return itr_fail_memory(m);
    }
    const int code = access(folder, W_OK | X_OK) == 0 ? 0 : fail_write(m, path);
    free(folder);
    return code;
}
