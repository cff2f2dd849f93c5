/*
 * Golden tests: texts of graphs that say what the compiler makes of them.
 *
 *     # RUN: intrain opt --passes=params,shape %s      one or more; %s is the file
 *     itc 1
 *     graph @g stage=import opset=13 { … }
 *     # EXPECT                                         one a RUN line: its exact output
 *     # itc 1
 *
 * A file bad-*.itc is refused by its RUN line, with exit code 2, no output, and the errors that it
 * names: `… # error: E0106` is an error at that line, a line with nothing else is one without a
 * place. Text after the id must stand in the message.
 *
 *     golden OPS-DIRECTORY GOLDEN-DIRECTORY
 *
 * The program is $INTRAIN. ITC_UPDATE=1 rewrites the expectations, which then have to be read.
 */
#include <dirent.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "passes/pass.h"

#define RUN "# RUN: "
#define EXPECT "# EXPECT\n"
#define ERROR "# error: "

enum { MAX_FILES = 512, MAX_ARGS = 16, MAX_RUNS = 4, MAX_ERRORS = 8 };

extern char **environ;

static char *paths[MAX_FILES];
static int n_paths;
static const char *ops_directory, *golden_directory;

/* ---- files ---- */

static char *copy_n(const char *s, size_t n)
{
    char *t = malloc(n + 1);
    assert_non_null(t);
    memcpy(t, s, n);
    t[n] = '\0';
    return t;
}

static char *join(const char *a, const char *b, const char *c)
{
    const size_t n = strlen(a) + strlen(b) + strlen(c) + 1;
    char *s = malloc(n);
    assert_non_null(s);
    (void)snprintf(s, n, "%s%s%s", a, b, c);
    return s;
}

static char *read_stream(FILE *f)
{
    size_t n = 0, cap = 4096;
    char *text = malloc(cap);
    assert_non_null(text);
    for (size_t got = 1; got > 0; n += got) {
        if (cap - n < 2) {
            text = realloc(text, cap *= 2);
            assert_non_null(text);
        }
        got = fread(text + n, 1, cap - n - 1, f);
    }
    text[n] = '\0';
    assert_false(ferror(f));
    return text;
}

static char *read_path(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        fail_msg("%s: cannot be opened", path);
    }
    char *text = read_stream(f);
    assert_int_equal(fclose(f), 0);
    return text;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool ends_with(const char *s, const char *suffix)
{
    const size_t n = strlen(s), k = strlen(suffix);
    return n >= k && strcmp(s + n - k, suffix) == 0;
}

static void collect(const char *directory)
{
    struct dirent **entry = NULL;
    const int n = scandir(directory, &entry, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        struct stat st;
        char *path = join(directory, "/", entry[i]->d_name);
        const bool known = entry[i]->d_name[0] != '.' && stat(path, &st) == 0;
        if (known && S_ISDIR(st.st_mode)) {
            collect(path);
        }
        if (known && S_ISREG(st.st_mode) && ends_with(path, ".itc") && n_paths < MAX_FILES) {
            paths[n_paths++] = path;
        } else {
            free(path);
        }
        free(entry[i]);
    }
    free(entry);
}

/* ---- running ---- */

typedef struct outcome {
    int code; /**< -1: ended by a signal */
    char *out, *err;
} outcome;

static void outcome_free(outcome *o)
{
    free(o->out);
    free(o->err);
}

static outcome spawn(char *const *argv)
{
    outcome o = {.code = -1};
    pid_t pid = 0;
    int status = 0;
    FILE *out = tmpfile(), *err = tmpfile();
    posix_spawn_file_actions_t actions;
    assert_true(out && err);
    assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
    assert_int_equal(posix_spawn_file_actions_adddup2(&actions, fileno(out), 1), 0);
    assert_int_equal(posix_spawn_file_actions_adddup2(&actions, fileno(err), 2), 0);
    if (posix_spawn(&pid, argv[0], &actions, NULL, argv, environ) != 0) {
        fail_msg("%s: cannot be started", argv[0]);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    posix_spawn_file_actions_destroy(&actions);
    o.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    rewind(out);
    rewind(err);
    o.out = read_stream(out);
    o.err = read_stream(err);
    assert_int_equal(fclose(out) | fclose(err), 0);
    return o;
}

static char *program(void)
{
    char *intrain = getenv("INTRAIN");
    if (!intrain) {
        fail_msg("INTRAIN, the program's path, is not set");
    }
    return intrain;
}

/** Runs `intrain opt … %s` of a RUN line. */
static outcome run_line(const char *line, size_t n, char *path)
{
    char *argv[MAX_ARGS + 1] = {0};
    char *text = copy_n(line, n);
    int count = 0;
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " ")) {
        assert_true(count < MAX_ARGS);
        argv[count++] = strcmp(word, "%s") == 0 ? path : word;
    }
    if (count < 2 || strcmp(argv[0], "intrain") != 0) {
        fail_msg("%s: expected \"" RUN "intrain COMMAND …\"", path);
    }
    argv[0] = program();
    const outcome o = spawn(argv);
    free(text);
    return o;
}

/* ---- what a file says ---- */

typedef struct golden {
    char *text;
    const char *run[MAX_RUNS];
    size_t run_len[MAX_RUNS];
    int n_runs;
    size_t input_len; /**< up to the first EXPECT */
} golden;

static golden golden_read(const char *path)
{
    golden g = {.text = read_path(path)};
    const char *at = g.text;
    while (strncmp(at, RUN, strlen(RUN)) == 0) {
        assert_true(g.n_runs < MAX_RUNS);
        g.run[g.n_runs] = at + strlen(RUN);
        g.run_len[g.n_runs] = strcspn(g.run[g.n_runs], "\n");
        at = g.run[g.n_runs] + g.run_len[g.n_runs];
        at += *at == '\n';
        g.n_runs++;
    }
    if (g.n_runs == 0) {
        fail_msg("%s: the first line is no RUN line", path);
    }
    const char *expect = strstr(at, "\n" EXPECT);
    g.input_len = expect ? (size_t)(expect + 1 - g.text) : strlen(g.text);
    return g;
}

/** Each line as a comment. */
static char *as_comment(const char *text)
{
    size_t lines = 1, k = 0;
    for (const char *p = text; *p; p++) {
        lines += *p == '\n';
    }
    char *s = malloc(strlen(text) + 2 * lines + 2);
    assert_non_null(s);
    while (*text) {
        const size_t n = strcspn(text, "\n");
        s[k++] = '#';
        if (n > 0) {
            s[k++] = ' ';
        }
        memcpy(s + k, text, n);
        k += n;
        s[k++] = '\n';
        text += n + (text[n] == '\n');
    }
    s[k] = '\0';
    return s;
}

/** The first line in which two texts differ. */
static void fail_at_difference(const char *path, const char *want, const char *got)
{
    for (;;) {
        const size_t n = strcspn(want, "\n"), k = strcspn(got, "\n");
        if (n != k || memcmp(want, got, n) != 0 || !want[n] || !got[k]) {
            fail_msg("%s: expected\n  %.*s\nfound\n  %.*s\n(ITC_UPDATE=1 rewrites the file)", path,
                     (int)n, want, (int)k, got);
        }
        want += n + 1;
        got += k + 1;
    }
}

/** A graph that was printed reads back and prints the same. */
static void check_reads_back(const char *path, const char *text)
{
    const char *temporary = getenv("TMPDIR");
    char *name = join(temporary ? temporary : "/tmp", "/golden-XXXXXX", "");
    const int fd = mkstemp(name);
    FILE *f = fd >= 0 ? fdopen(fd, "wb") : NULL;
    assert_non_null(f);
    assert_int_equal(fputs(text, f) < 0, 0);
    assert_int_equal(fclose(f), 0);
    char *argv[] = {program(), (char[]){"opt"}, name, NULL};
    outcome o = spawn(argv);
    assert_int_equal(unlink(name), 0);
    if (o.code != 0 || strcmp(o.out, text) != 0) {
        fail_msg("%s: the result does not read back as it was printed\n%s", path, o.err);
    }
    outcome_free(&o);
    free(name);
}

static void rewrite(const char *path, const golden *g, const char *expectations)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(g->text, 1, g->input_len, f), g->input_len);
    assert_int_equal(fputs(expectations, f) < 0, 0);
    assert_int_equal(fclose(f), 0);
}

static void check_output(char *path)
{
    golden g = golden_read(path);
    char *all = copy_n("", 0);
    for (int i = 0; i < g.n_runs; i++) {
        outcome o = run_line(g.run[i], g.run_len[i], path);
        if (o.code != 0 || o.out[0] == '\0') {
            fail_msg("%s: exit code %d\n%s", path, o.code, o.err);
        }
        if (strncmp(o.out, "itc ", 4) == 0) {
            check_reads_back(path, o.out);
        }
        char *comment = as_comment(o.out);
        char *more = join(all, EXPECT, comment);
        free(comment);
        free(all);
        all = more;
        outcome_free(&o);
    }
    const char *update = getenv("ITC_UPDATE");
    if (strcmp(g.text + g.input_len, all) != 0) {
        if (update && strcmp(update, "1") == 0) {
            rewrite(path, &g, all);
        } else {
            fail_at_difference(path, g.text + g.input_len, all);
        }
    }
    free(all);
    free(g.text);
}

/* ---- refusals ---- */

typedef struct refusal {
    int line; /**< 0: an error without a place */
    char id[8];
    char text[128]; /**< which the message contains */
} refusal;

static int expected_refusals(const char *path, const char *text, refusal *out)
{
    int n = 0, line = 1;
    for (const char *p = text; *p; line++) {
        const size_t len = strcspn(p, "\n");
        char *s = copy_n(p, len);
        const char *mark = strstr(s, ERROR);
        if (mark) {
            assert_true(n < MAX_ERRORS);
            refusal *r = &out[n++];
            *r = (refusal){.line = mark == s ? 0 : line};
            if (sscanf(mark + strlen(ERROR), "%7s %127[^\n]", r->id, r->text) < 1) {
                fail_msg("%s:%d: an error without an id", path, line);
            }
        }
        free(s);
        p += len + (p[len] == '\n');
    }
    return n;
}

/** `PATH:LINE:COL: … error E0106: text` */
static int found_refusals(const char *path, const char *err, refusal *out)
{
    int n = 0;
    for (const char *p = err; *p;) {
        const size_t len = strcspn(p, "\n");
        char *s = copy_n(p, len);
        const char *id = strstr(s, "error E");
        if (id) {
            assert_true(n < MAX_ERRORS);
            refusal *r = &out[n++];
            *r = (refusal){.line = 0};
            const size_t k = strlen(path);
            if (strncmp(s, path, k) == 0 && s[k] == ':') {
                r->line = atoi(s + k + 1);
            }
            (void)snprintf(r->id, sizeof r->id, "%.5s", id + strlen("error "));
            (void)snprintf(r->text, sizeof r->text, "%s", id + strlen("error E0000: "));
        }
        free(s);
        p += len + (p[len] == '\n');
    }
    return n;
}

static void check_refusal(char *path)
{
    refusal want[MAX_ERRORS], found[MAX_ERRORS];
    golden g = golden_read(path);
    const int n = expected_refusals(path, g.text, want);
    if (n == 0 || g.n_runs != 1) {
        fail_msg("%s: expected one RUN line and at least one \"" ERROR "ID\"", path);
    }
    outcome o = run_line(g.run[0], g.run_len[0], path);
    const int n_found = found_refusals(path, o.err, found);
    bool same = o.code == 2 && o.out[0] == '\0' && n_found == n;
    for (int i = 0; i < n && same; i++) {
        bool any = false;
        for (int k = 0; k < n_found; k++) {
            any = any || (found[k].line == want[i].line && strcmp(found[k].id, want[i].id) == 0 &&
                          strstr(found[k].text, want[i].text));
        }
        same = any;
    }
    if (!same) {
        fail_msg("%s: exit code %d, other errors than it names:\n%s%s", path, o.code, o.err, o.out);
    }
    outcome_free(&o);
    free(g.text);
}

static void golden_file(void **state)
{
    char *path = *state;
    if (strncmp(base_name(path), "bad-", 4) == 0) {
        check_refusal(path);
    } else {
        check_output(path);
    }
}

/* ---- tables ---- */

/** Each operator that models may have is shown by a file of its name. */
static void ops_have_a_file_each(void **state)
{
    (void)state;
    const itc_op_def *op = NULL;
    for (int i = 0; (op = itc_op_at(i)) != NULL; i++) {
        if (op->flags & ITC_OP_INTERNAL) {
            continue;
        }
        char *directory = join(ops_directory, "/", op->name);
        char *path = join(directory, ".itc", "");
        char *use = join("= ", op->name, "(");
        golden g = golden_read(path);
        g.text[g.input_len] = '\0';
        if (!strstr(g.text, use)) {
            fail_msg("%s: there is no %s in it", path, op->name);
        }
        free(directory);
        free(path);
        free(use);
        free(g.text);
    }
}

/** Each pass has a directory whose files run it last. */
static void passes_have_a_directory_each(void **state)
{
    (void)state;
    const itc_pass *pass = NULL;
    for (int i = 0; (pass = itc_pass_at(i)) != NULL; i++) {
        char *directory = join(golden_directory, "/", pass->name);
        const size_t len = strlen(directory);
        int n = 0;
        for (int k = 0; k < n_paths; k++) {
            n += strncmp(paths[k], directory, len) == 0 && paths[k][len] == '/' &&
                 strncmp(base_name(paths[k]), "bad-", 4) != 0;
        }
        if (n == 0) {
            fail_msg("%s: no file shows this pass", directory);
        }
        free(directory);
    }
}

int main(int argc, char **argv)
{
    static struct CMUnitTest tests[MAX_FILES + 2];
    size_t n = 0;
    if (argc != 3) {
        (void)fprintf(stderr, "usage: golden OPS-DIRECTORY GOLDEN-DIRECTORY\n");
        return 2;
    }
    ops_directory = argv[1];
    golden_directory = argv[2];
    collect(ops_directory);
    collect(golden_directory);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(ops_have_a_file_each);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(passes_have_a_directory_each);
    for (int i = 0; i < n_paths; i++) {
        tests[n++] = (struct CMUnitTest){paths[i], golden_file, NULL, NULL, paths[i]};
    }
    const int failed = _cmocka_run_group_tests("golden", tests, n, NULL, NULL);
    for (int i = 0; i < n_paths; i++) {
        free(paths[i]);
    }
    return failed;
}
