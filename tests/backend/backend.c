/**
 * Runs ONNX's backend node tests through the float32 path: compiled without training, interpreted.
 *
 *     backend [-v] [-r] [-o FILE] [-e FILE] [-f GLOB] [DIR]
 *
 * DIR holds a folder a test (default: Debian's libonnx-testdata). Each runs in a process of its
 * own, so that one that crashes or does not end is a failure like another. Prints what failed (-v:
 * every test), with -r the refused tests of numbers (node_subject) by operator, last the lines
 *
 *     backend: N passed, M failed, K refused
 *     of T on float or integer tensors: N passed (P %), M failed, K refused
 *
 * -o writes the names of those that passed; -e reads such a file, whose names must be those that
 * passed, no more and no less.
 * Exit: 0; 1 where a test failed, or differs from -e; 2 for wrong usage; 77: no such folder.
 */
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/backend/node_test.h"

#define DEBIAN "/usr/share/libonnx-testdata/data/node"
#define SECONDS 60
#define MAX_TEXT 1000

typedef struct result {
    const char *name;
    node_outcome outcome;
    const char *text;
    node_subject subject;
} result;

typedef struct options {
    bool verbose, by_operator;
    const char *out, *expect, *glob, *dir;
} options;

typedef struct suite {
    itc_ctx *ctx;
    options opt;
    result *test;
    int n, cap;
} suite;

/* ---- the tests of a folder ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const result *)a)->name, ((const result *)b)->name);
}

static bool find_tests(suite *s)
{
    DIR *d = opendir(s->opt.dir);
    if (!d) {
        return false;
    }
    for (const struct dirent *e = readdir(d); e; e = readdir(d)) {
        const char *model = itc_format(s->ctx, "%s/%s/model.onnx", s->opt.dir, e->d_name);
        if (e->d_name[0] != '.' && access(model, R_OK) == 0 &&
            (!s->opt.glob || fnmatch(s->opt.glob, e->d_name, 0) == 0)) {
            const result r = {.name = itc_strdup(s->ctx, e->d_name),
                              .outcome = NODE_FAILED,
                              .subject = {"?", false}};
            ITC_PUSH(s->ctx, s->test, s->n, s->cap, r);
        }
    }
    (void)closedir(d);
    if (s->n > 0) {
        qsort(s->test, (size_t)s->n, sizeof *s->test, by_name);
    }
    return true;
}

/* ---- tests that are wrong ---- */

/** Why a test contradicts the definition of its operator, and counts as refused where it does not
 * pass; NULL: it does not. */
static const char *contradiction(const char *name)
{
    static const char *const wrong[][2] = {
        {"test_adam_multiple",
         "Adam: the test computes with an epsilon of 0.01 and its node has none, "
         "which is 1e-6 (onnx/backend/test/case/node/adam.py)"}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (strcmp(name, wrong[i][0]) == 0) {
            return wrong[i][1];
        }
    }
    return NULL;
}

/* ---- one test, in a process of its own ---- */

static void child(const char *dir, int to)
{
    itc_ctx *ctx = itc_ctx_new();
    const char *text = "";
    (void)alarm(SECONDS);
    const char outcome = (char)node_test_run(ctx, dir, &text);
    const size_t n = strlen(text);
    const bool sent =
        write(to, &outcome, 1) == 1 && write(to, text, n < MAX_TEXT ? n : MAX_TEXT) >= 0;
    _exit(sent ? 0 : 1);
}

static size_t read_all(int from, char *to, size_t room)
{
    size_t n = 0;
    while (n < room) {
        const ssize_t got = read(from, to + n, room - n);
        if (got == 0 || (got < 0 && errno != EINTR)) {
            break;
        }
        n += got > 0 ? (size_t)got : 0;
    }
    return n;
}

static void run_test(suite *s, result *r)
{
    int pipes[2], status = 0;
    char answer[MAX_TEXT + 1];
    const char *dir = itc_format(s->ctx, "%s/%s", s->opt.dir, r->name);
    (void)node_test_subject(s->ctx, dir, &r->subject);
    if (pipe(pipes) != 0) {
        perror("backend: pipe");
        exit(3);
    }
    (void)fflush(NULL);
    const pid_t pid = fork();
    if (pid < 0) {
        perror("backend: fork");
        exit(3);
    }
    if (pid == 0) {
        (void)close(pipes[0]);
        child(dir, pipes[1]);
    }
    (void)close(pipes[1]);
    const size_t n = read_all(pipes[0], answer, sizeof answer);
    (void)close(pipes[0]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFSIGNALED(status)) {
        r->text = WTERMSIG(status) == SIGALRM
                      ? itc_format(s->ctx, "not done after %d seconds", SECONDS)
                      : itc_format(s->ctx, "crashed with signal %d", WTERMSIG(status));
    } else if (n == 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        r->text = itc_format(s->ctx, "ended with %d and no answer", WEXITSTATUS(status));
    } else {
        r->outcome = (node_outcome)answer[0];
        r->text = itc_strndup(s->ctx, answer + 1, n - 1);
        if (r->outcome == NODE_FAILED && contradiction(r->name)) {
            r->outcome = NODE_REFUSED;
            r->text = contradiction(r->name);
        }
    }
}

/* ---- what comes of it ---- */

/** Tests with this outcome; of numbers alone where `numbers` is set. */
static int count(const suite *s, node_outcome o, bool numbers)
{
    int n = 0;
    for (int i = 0; i < s->n; i++) {
        n += s->test[i].outcome == o && (!numbers || s->test[i].subject.numbers);
    }
    return n;
}

static void print_results(const suite *s)
{
    static const char *const word[] = {"passed", "FAILED", "refused"};
    for (int i = 0; i < s->n; i++) {
        const result *r = &s->test[i];
        if (r->outcome == NODE_FAILED || s->opt.verbose) {
            (void)printf("%s: %s%s%s\n", r->name, word[r->outcome], r->text[0] ? ": " : "",
                         r->text);
        }
    }
}

static int by_subject(const void *a, const void *b)
{
    const result *x = a, *y = b;
    const int order = strcmp(x->subject.op, y->subject.op);
    return order != 0 ? order : by_name(a, b);
}

/** The refused tests of numbers, operator by operator: how many, and why the first. */
static void print_refused(const suite *s)
{
    result *r = ITC_NEW_ARRAY(s->ctx, result, s->n + 1);
    int n = 0;
    for (int i = 0; i < s->n; i++) {
        if (s->test[i].outcome == NODE_REFUSED && s->test[i].subject.numbers) {
            r[n++] = s->test[i];
        }
    }
    qsort(r, (size_t)n, sizeof *r, by_subject);
    for (int i = 0, first = 0; i < n; i++) {
        if (i + 1 == n || strcmp(r[i + 1].subject.op, r[first].subject.op) != 0) {
            (void)printf("%3d %s: %s: %s\n", i + 1 - first, r[first].subject.op, r[first].name,
                         r[first].text);
            first = i + 1;
        }
    }
}

static void print_counts(const suite *s)
{
    const int passed = count(s, NODE_PASSED, true), failed = count(s, NODE_FAILED, true),
              refused = count(s, NODE_REFUSED, true), all = passed + failed + refused;
    (void)printf("backend: %d passed, %d failed, %d refused\n", count(s, NODE_PASSED, false),
                 count(s, NODE_FAILED, false), count(s, NODE_REFUSED, false));
    (void)printf("of %d on float or integer tensors: %d passed (%.1f %%), %d failed, %d refused\n",
                 all, passed, all > 0 ? 100.0 * passed / all : 0, failed, refused);
}

static bool write_passed(const suite *s)
{
    FILE *f = fopen(s->opt.out, "w");
    for (int i = 0; f && i < s->n; i++) {
        if (s->test[i].outcome == NODE_PASSED) {
            (void)fprintf(f, "%s\n", s->test[i].name);
        }
    }
    return f && fclose(f) == 0;
}

static result *find_test(const suite *s, const char *name)
{
    const result key = {.name = name};
    return s->n > 0 ? bsearch(&key, s->test, (size_t)s->n, sizeof key, by_name) : NULL;
}

/** How many tests are not as the file says; -1: no such file. */
static int check_expected(const suite *s)
{
    char name[256];
    int wrong = 0;
    bool *listed = ITC_NEW_ARRAY(s->ctx, bool, s->n + 1);
    FILE *f = fopen(s->opt.expect, "r");
    while (f && fgets(name, sizeof name, f)) {
        name[strcspn(name, "\n")] = '\0';
        const result *r = find_test(s, name);
        if (r) {
            listed[r - s->test] = true;
        }
        if (r && r->outcome != NODE_PASSED) {
            (void)printf("%s: has passed before: %s\n", name, r->text);
            wrong++;
        }
    }
    for (int i = 0; f && !s->opt.glob && i < s->n; i++) {
        if (s->test[i].outcome == NODE_PASSED && !listed[i]) {
            (void)printf("%s: passes, and %s does not say so\n", s->test[i].name, s->opt.expect);
            wrong++;
        }
    }
    if (f) {
        (void)fclose(f);
    }
    return f ? wrong : -1;
}

static int usage(void)
{
    (void)fputs("usage: backend [-v] [-r] [-o PASSED] [-e EXPECTED] [-f GLOB] [DIR]\n", stderr);
    return 2;
}

static bool read_options(int argc, char **argv, options *o)
{
    *o = (options){.dir = DEBIAN};
    for (int c; (c = getopt(argc, argv, "vro:e:f:")) != -1;) {
        switch (c) {
        case 'v':
            o->verbose = true;
            break;
        case 'r':
            o->by_operator = true;
            break;
        case 'o':
            o->out = optarg;
            break;
        case 'e':
            o->expect = optarg;
            break;
        case 'f':
            o->glob = optarg;
            break;
        default:
            return false;
        }
    }
    o->dir = optind < argc ? argv[optind] : o->dir;
    return optind + 1 >= argc;
}

int main(int argc, char **argv)
{
    suite s = {.ctx = itc_ctx_new()};
    if (!read_options(argc, argv, &s.opt)) {
        return usage();
    }
    if (!find_tests(&s)) {
        (void)fprintf(stderr, "backend: %s cannot be read\n", s.opt.dir);
        return 77;
    }
    for (int i = 0; i < s.n; i++) {
        run_test(&s, &s.test[i]);
    }
    print_results(&s);
    if (s.opt.by_operator) {
        print_refused(&s);
    }
    const int failed = count(&s, NODE_FAILED, false);
    const int missing = s.opt.expect ? check_expected(&s) : 0;
    bool written = true;
    if (missing < 0) {
        (void)fprintf(stderr, "backend: %s cannot be read\n", s.opt.expect);
    }
    if (s.opt.out && !write_passed(&s)) {
        (void)fprintf(stderr, "backend: %s cannot be written\n", s.opt.out);
        written = false;
    }
    print_counts(&s);
    itc_ctx_free(s.ctx);
    const bool bad = missing > 0 || failed > 0;
    return !written || missing < 0 ? 2 : bad;
}
