/*
 * A main for fuzz targets without libFuzzer: runs the target over the files and folders given, so
 * that every corpus is also a plain test. Fails where there is nothing to run.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        (void)fprintf(stderr, "cannot open %s\n", path);
        return -1;
    }
    size_t cap = 4096;
    size_t n = 0;
    uint8_t *data = malloc(cap);
    while (data) {
        n += fread(data + n, 1, cap - n, f);
        if (n < cap) {
            break;
        }
        cap *= 2;
        uint8_t *more = realloc(data, cap);
        if (!more) {
            free(data);
        }
        data = more;
    }
    (void)fclose(f);
    /* An exact copy, so that a read beyond the end is seen. */
    uint8_t *exact = data ? malloc(n > 0 ? n : 1) : NULL;
    if (!exact) {
        free(data);
        (void)fprintf(stderr, "out of memory\n");
        return -1;
    }
    memcpy(exact, data, n);
    free(data);
    (void)printf("%s (%zu bytes)\n", path, n);
    (void)fflush(stdout);
    (void)LLVMFuzzerTestOneInput(exact, n);
    free(exact);
    return 1;
}

/** Runs a file, or the files of a folder; returns how many, or -1. */
static int replay(const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0) {
        (void)fprintf(stderr, "there is no %s\n", path);
        return -1;
    }
    if (!S_ISDIR(info.st_mode)) {
        return replay_file(path);
    }
    DIR *d = opendir(path);
    if (!d) {
        (void)fprintf(stderr, "cannot list %s\n", path);
        return -1;
    }
    int n = 0;
    for (const struct dirent *e = readdir(d); e && n >= 0; e = readdir(d)) {
        char name[4096];
        const int len = snprintf(name, sizeof name, "%s/%s", path, e->d_name);
        if (e->d_name[0] == '.' || len < 0 || (size_t)len >= sizeof name) {
            continue;
        }
        n = replay_file(name) < 0 ? -1 : n + 1;
    }
    (void)closedir(d);
    return n;
}

int main(int argc, char **argv)
{
    int total = 0;
    for (int i = 1; i < argc; i++) {
        const int n = replay(argv[i]);
        if (n < 0) {
            return 1;
        }
        total += n;
    }
    (void)printf("%d inputs\n", total);
    return total > 0 ? 0 : 1;
}
