/*
 * Built and run at build time: turns files into a C source (itc_embedded_files), together with
 * what each includes by #include "…", found by reading them, so that a new header or .inc needs
 * no list anywhere.
 *
 *   embed ROOT OUTPUT DEPFILE FILE…      files are relative to ROOT
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FILES 512
#define MAX_INCLUDES 64
#define MAX_PATH 1024

typedef struct file {
    char path[MAX_PATH];
    unsigned char *bytes;
    size_t size;
    int includes[MAX_INCLUDES];
    int n_includes;
} file;

static file files[MAX_FILES];
static int n_files;
static const char *root;

static void die(const char *what, const char *path)
{
    (void)fprintf(stderr, "embed: %s: %s\n", what, path);
    exit(1);
}

/** Removes "x/.." and "." parts in place. */
static void normalize(char *path)
{
    char out[MAX_PATH] = "";
    for (char *part = strtok(path, "/"); part; part = strtok(NULL, "/")) {
        if (strcmp(part, "..") == 0) {
            char *slash = strrchr(out, '/');
            *(slash ? slash : out) = 0;
        } else if (strcmp(part, ".") != 0) {
            if (strlen(out) + strlen(part) + 2 > sizeof out) {
                die("path too long", path);
            }
            if (out[0]) {
                strcat(out, "/");
            }
            strcat(out, part);
        }
    }
    strcpy(path, out);
}

static bool open_file(const char *path, FILE **f)
{
    char full[4 * MAX_PATH];
    const int n = snprintf(full, sizeof full, "%s/%s", root, path);
    *f = n > 0 && (size_t)n < sizeof full ? fopen(full, "rb") : NULL;
    return *f != NULL;
}

/** Position of a file, read and appended where it is new. */
static int add(const char *path)
{
    for (int i = 0; i < n_files; i++) {
        if (strcmp(files[i].path, path) == 0) {
            return i;
        }
    }
    FILE *in = NULL;
    if (n_files == MAX_FILES || strlen(path) >= MAX_PATH || !open_file(path, &in)) {
        die("cannot open", path);
    }
    file *f = &files[n_files];
    strcpy(f->path, path);
    size_t room = 1 << 16;
    f->bytes = malloc(room + 1);
    for (size_t n = 0; f->bytes && (n = fread(f->bytes + f->size, 1, room - f->size, in)) > 0;) {
        f->size += n;
        if (f->size == room) {
            room *= 2;
            f->bytes = realloc(f->bytes, room + 1);
        }
    }
    if (!f->bytes || ferror(in)) {
        die("cannot read", path);
    }
    f->bytes[f->size] = 0;
    (void)fclose(in);
    return n_files++;
}

/** Looks beside the including file, then at the root, as compilers do. */
static int add_include(const char *from, const char *name)
{
    char path[2 * MAX_PATH];
    const char *slash = strrchr(from, '/');
    FILE *probe = NULL;
    (void)snprintf(path, sizeof path, "%.*s%s", slash ? (int)(slash - from) + 1 : 0, from, name);
    normalize(path);
    if (!open_file(path, &probe)) {
        (void)snprintf(path, sizeof path, "%s", name);
        if (!open_file(path, &probe)) {
            die("cannot find an include of", from);
        }
    }
    (void)fclose(probe);
    return add(path);
}

static void scan(int index)
{
    const char *p = (const char *)files[index].bytes;
    while ((p = strstr(p, "#include \""))) {
        const bool at_start = p == (const char *)files[index].bytes || p[-1] == '\n';
        char name[MAX_PATH];
        p += strlen("#include \"");
        const size_t n = strcspn(p, "\"\n");
        if (!at_start || p[n] != '"' || n >= sizeof name) {
            continue;
        }
        memcpy(name, p, n);
        name[n] = 0;
        if (files[index].n_includes == MAX_INCLUDES) {
            die("too many includes in", files[index].path);
        }
        const int found = add_include(files[index].path, name);
        files[index].includes[files[index].n_includes++] = found;
    }
}

static bool is_template(const char *path)
{
    const size_t n = strlen(path);
    return n > 3 && strcmp(path + n - 3, ".in") == 0;
}

static void write_source(FILE *out)
{
    (void)fputs("#include \"codegen/codegen.h\"\n", out);
    for (int i = 0; i < n_files; i++) {
        const file *f = &files[i];
        (void)fprintf(out, "\nstatic const int includes_%d[] = {", i);
        for (int k = 0; k < f->n_includes; k++) {
            (void)fprintf(out, "%d, ", f->includes[k]);
        }
        (void)fprintf(out, "-1};\nstatic const unsigned char bytes_%d[] = {", i);
        for (size_t k = 0; k < f->size; k++) {
            (void)fprintf(out, "%s%d,", k % 24 == 0 ? "\n" : "", f->bytes[k]);
        }
        (void)fputs("0};\n", out);
    }
    (void)fputs("\nconst itc_embedded itc_embedded_files[] = {\n", out);
    for (int i = 0; i < n_files; i++) {
        (void)fprintf(out, "    {\"%s\", bytes_%d, %lu, includes_%d},\n", files[i].path, i,
                      (unsigned long)files[i].size, i);
    }
    (void)fprintf(out, "};\nconst int itc_embedded_count = %d;\n", n_files);
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        (void)fputs("usage: embed ROOT OUTPUT DEPFILE FILE...\n", stderr);
        return 2;
    }
    root = argv[1];
    for (int i = 4; i < argc; i++) {
        char path[MAX_PATH];
        (void)snprintf(path, sizeof path, "%s", argv[i]);
        normalize(path);
        (void)add(path);
    }
    for (int i = 0; i < n_files; i++) {
        if (!is_template(files[i].path)) {
            scan(i);
        }
    }
    FILE *out = fopen(argv[2], "wb");
    FILE *deps = fopen(argv[3], "wb");
    if (!out || !deps) {
        die("cannot write", argv[2]);
    }
    write_source(out);
    (void)fprintf(deps, "%s:", argv[2]);
    for (int i = 0; i < n_files; i++) {
        (void)fprintf(deps, " %s/%s", root, files[i].path);
    }
    (void)fputs("\n", deps);
    const bool failed = ferror(out) != 0 || ferror(deps) != 0;
    if (fclose(out) != 0 || fclose(deps) != 0 || failed) {
        die("cannot write", argv[2]);
    }
    return 0;
}
