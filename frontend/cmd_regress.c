/*
 * regress: a zoo of models, each trained some steps and held against what was recorded.
 *
 *     [lenet5]
 *     model = "models/lenet5.onnx"               # paths are relative to this file
 *     data = "idx:images,labels,scale=1/255"
 *     options = "--batch 32 --arith int8"        # of `intrain train`
 *     steps = 50
 *     max_loss = 1.5                             # of the last step
 *     max_arena = 400000                         # bytes
 *     digest = "..."                             # --update writes it, and the loss
 *     loss = 1.234
 *
 * This much of TOML is read: tables, strings in double quotes without escapes, numbers, comments.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/process.h"
#include "frontend/runlog.h"
#include "frontend/training.h"

typedef struct entry {
    const char *name;
    const char *model, *data, *options, *digest;
    int64_t steps, max_arena;
    double max_loss;
    int first, last; /**< lines of the table, the heading first */
} entry;

typedef struct zoo {
    itc_ctx *ctx;
    const char **line;
    int n_lines, cap_lines;
    entry *entry;
    int n_entries, cap_entries;
} zoo;

static const char *trim(itc_ctx *ctx, const char *s, size_t n)
{
    while (n > 0 && strchr(" \t\r", s[0])) {
        s++;
        n--;
    }
    while (n > 0 && strchr(" \t\r", s[n - 1])) {
        n--;
    }
    return itc_strndup(ctx, s, n);
}

/** The line without its comment; '#' in a string is none. */
static const char *strip(itc_ctx *ctx, const char *line)
{
    bool in_string = false;
    size_t n = 0;
    for (; line[n] && (in_string || line[n] != '#'); n++) {
        in_string = in_string != (line[n] == '"');
    }
    return trim(ctx, line, n);
}

static itc_status bad_line(const zoo *z, int line, const char *what)
{
    return itc_error_at(z->ctx, line + 1, 0, ITC_PARSE, "E0615", "%s", what);
}

static itc_status set_text(const zoo *z, int line, entry *e, const char *key, const char *value)
{
    const struct {
        const char *key;
        const char **to;
    } text[] = {
        {"model", &e->model}, {"data", &e->data}, {"options", &e->options}, {"digest", &e->digest}};
    for (size_t i = 0; i < sizeof text / sizeof text[0]; i++) {
        if (strcmp(key, text[i].key) == 0) {
            *text[i].to = value;
            return ITC_OK;
        }
    }
    return bad_line(z, line, "expected model, data, options or digest before a string");
}

static itc_status set_number(const zoo *z, int line, entry *e, const char *key, const char *value)
{
    char *end = NULL;
    const double v = strtod(value, &end);
    if (end == value || *end || !(v >= 0 && v < 1e15)) {
        return bad_line(z, line, "expected a string in quotes or a number");
    }
    if (strcmp(key, "steps") == 0) {
        e->steps = (int64_t)v;
    } else if (strcmp(key, "max_arena") == 0) {
        e->max_arena = (int64_t)v;
    } else if (strcmp(key, "max_loss") == 0) {
        e->max_loss = v;
    } else if (strcmp(key, "loss") != 0) {
        return bad_line(z, line, "expected steps, max_loss, max_arena or loss before a number");
    }
    return ITC_OK;
}

static itc_status read_line(zoo *z, int i)
{
    const char *s = strip(z->ctx, z->line[i]);
    const size_t n = strlen(s);
    if (n == 0) {
        return ITC_OK;
    }
    if (s[0] == '[') {
        const entry e = {.name = itc_strndup(z->ctx, s + 1, n > 2 ? n - 2 : 0),
                         .options = "",
                         .steps = 20,
                         .first = i,
                         .last = i};
        if (s[n - 1] != ']' || !*e.name) {
            return bad_line(z, i, "expected [NAME]");
        }
        ITC_PUSH(z->ctx, z->entry, z->n_entries, z->cap_entries, e);
        return ITC_OK;
    }
    const char *equals = strchr(s, '=');
    if (!equals || z->n_entries == 0) {
        return bad_line(z, i, "expected KEY = VALUE in a table [NAME]");
    }
    entry *e = &z->entry[z->n_entries - 1];
    const char *key = trim(z->ctx, s, (size_t)(equals - s));
    const char *value = trim(z->ctx, equals + 1, strlen(equals + 1));
    const size_t len = strlen(value);
    e->last = i;
    if (len >= 2 && value[0] == '"' && value[len - 1] == '"') {
        return set_text(z, i, e, key, itc_strndup(z->ctx, value + 1, len - 2));
    }
    return set_number(z, i, e, key, value);
}

static itc_status read_zoo(zoo *z, const char *path)
{
    char *text = NULL;
    size_t n = 0;
    itc_set_file(z->ctx, path);
    ITC_TRY(itc_read_file(z->ctx, path, (size_t)1 << 26, &text, &n));
    for (const char *p = text; *p;) {
        const size_t len = strcspn(p, "\n");
        const char *line = itc_strndup(z->ctx, p, len);
        ITC_PUSH(z->ctx, z->line, z->n_lines, z->cap_lines, line);
        p += len + (p[len] == '\n');
    }
    for (int i = 0; i < z->n_lines; i++) {
        ITC_TRY(read_line(z, i));
    }
    for (int i = 0; i < z->n_entries; i++) {
        if (!z->entry[i].model || !z->entry[i].data) {
            return bad_line(z, z->entry[i].first, "the table has no model or no data");
        }
    }
    return z->n_entries > 0 ? ITC_OK : bad_line(z, 0, "there is no table [NAME]");
}

typedef struct outcome {
    itc_runlog log;
    int64_t arena;
    int code;
    const char *arith;
} outcome;

/** Trains one model, in a context of its own so that memory goes back. */
static itc_status train(itc_ctx *ctx, const entry *e, const char *dir, bool interpret, outcome *out)
{
    itc_options o;
    itc_args words = {0}, a = {0};
    const itc_pipeline_options pipeline = {0};
    itc_graph *g = NULL;
    const char *log = itc_format(ctx, "%s/%s.jsonl", dir, e->name);
    itc_args_add(ctx, &words, e->model);
    for (const char *p = e->options; *p;) {
        const size_t n = strcspn(p, " ");
        if (n > 0) {
            itc_args_add(ctx, &words, itc_strndup(ctx, p, n));
        }
        p += n + (p[n] == ' ');
    }
    itc_options_init(&o, ctx, ITC_CMD_train);
    ITC_TRY(itc_options_parse(&o, words.n, words.v));
    itc_args_trainer(ctx, &o, &a);
    const char *const fixed[] = {
        "--data", e->data, "--steps", itc_format(ctx, "%lld", (long long)e->steps),
        "--log",  log,     "--quiet"};
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
        itc_args_add(ctx, &a, fixed[i]);
    }
    ITC_TRY(itc_driver_load(&o, e->model, &g));
    ITC_TRY(itc_training_run(g, &pipeline, e->model, itc_format(ctx, "%s/%s", dir, e->name),
                             interpret, &a, &out->code));
    out->arena = g->arena_bytes;
    out->arith = itc_setting_string(g, "arith", "int8");
    return out->code <= 1 ? itc_runlog_read(ctx, log, &out->log) : ITC_OK;
}

static double last_loss(const outcome *r)
{
    return r->log.n_steps > 0 ? r->log.steps[r->log.n_steps - 1].loss : 0;
}

/** NULL: everything holds. */
static const char *judge(itc_ctx *ctx, const entry *e, const outcome *r, bool update)
{
    const bool is_float = strcmp(r->arith, "float32") == 0;
    if (r->code != 0) {
        return itc_format(ctx, "the trainer ended with %d", r->code);
    }
    if (e->max_loss > 0 && !(last_loss(r) <= e->max_loss)) {
        return itc_format(ctx, "loss %.6g, at most %.6g is allowed", last_loss(r), e->max_loss);
    }
    if (e->max_arena > 0 && r->arena > e->max_arena) {
        return itc_format(ctx, "an arena of %lld bytes, at most %lld is allowed",
                          (long long)r->arena, (long long)e->max_arena);
    }
    if (update || is_float) { /* a float's digest is that of one build on one machine */
        return NULL;
    }
    if (!e->digest) {
        return "no digest is recorded; --update records it";
    }
    return strcmp(e->digest, r->log.digest) == 0
               ? NULL
               : itc_format(ctx, "digest %s, recorded is %s", r->log.digest, e->digest);
}

static bool is_key(const zoo *z, int line, const char *key)
{
    const char *s = strip(z->ctx, z->line[line]);
    const size_t n = strlen(key);
    return strncmp(s, key, n) == 0 && strspn(s + n, " \t") + n < strlen(s) &&
           s[n + strspn(s + n, " \t")] == '=';
}

/** The file again, digests and losses replaced by what was found. */
static itc_status write_back(const zoo *z, const char *path, const char *const *digest,
                             const double *loss)
{
    itc_strbuf b;
    itc_strbuf_init(&b, z->ctx);
    int at = -1;
    for (int i = 0; i < z->n_lines; i++) {
        at += at + 1 < z->n_entries && z->entry[at + 1].first == i;
        const bool ours = at >= 0 && digest[at] != NULL;
        if (!ours || (!is_key(z, i, "digest") && !is_key(z, i, "loss"))) {
            itc_strbuf_printf(&b, "%s\n", z->line[i]);
        }
        if (ours && z->entry[at].last == i) {
            itc_strbuf_printf(&b, "digest = \"%s\"\nloss = %.6g\n", digest[at], loss[at]);
        }
    }
    return itc_write_file(z->ctx, path, b.text, b.len);
}

/** One model: prints its line, keeps what --update needs. */
static int run_one(itc_cli *c, const zoo *z, const entry *e, const char *dir, const char **digest,
                   double *loss)
{
    const bool update = itc_options_flag(&c->options, ITC_OPT_update);
    itc_ctx *ctx = itc_ctx_new();
    outcome r = {0};
    const char *why = NULL;
    itc_status s = train(ctx, e, dir, itc_options_flag(&c->options, ITC_OPT_interpret), &r);
    if (s != ITC_OK) {
        itc_diag_print(ctx, stderr);
        why = "it does not compile or train";
    } else {
        why = judge(ctx, e, &r, update);
        *loss = last_loss(&r);
        *digest = r.code == 0 ? itc_strdup(z->ctx, r.log.digest) : NULL;
    }
    (void)printf("%-24s %-8s %8lld steps  loss %-10.6g %s\n", e->name, why ? "FAILED" : "ok",
                 (long long)e->steps, *loss, why ? why : "");
    (void)fflush(stdout);
    itc_ctx_free(ctx);
    return s != ITC_OK ? itc_exit_code(s) : why ? 1 : 0;
}

static itc_status regress(itc_cli *c, const char *dir, int *code)
{
    zoo z = {.ctx = c->ctx};
    const char *path = c->options.args[0];
    const char *slash = strrchr(path, '/');
    int failed = 0;
    ITC_TRY(read_zoo(&z, path));
    if (slash && slash > path && chdir(itc_strndup(c->ctx, path, (size_t)(slash - path))) != 0) {
        return itc_error(c->ctx, NULL, ITC_IO, "E0001", "cannot enter the folder of %s", path);
    }
    path = slash ? slash + 1 : path;
    const char **digest = ITC_NEW_ARRAY(c->ctx, const char *, z.n_entries);
    double *loss = ITC_NEW_ARRAY(c->ctx, double, z.n_entries);
    for (int i = 0; i < z.n_entries; i++) {
        const int one = run_one(c, &z, &z.entry[i], dir, &digest[i], &loss[i]);
        failed += one != 0;
        *code = one > *code ? one : *code;
    }
    (void)printf("regress: %d passed, %d failed\n", z.n_entries - failed, failed);
    return itc_options_flag(&c->options, ITC_OPT_update) ? write_back(&z, path, digest, loss)
                                                         : ITC_OK;
}

int itc_cmd_regress(itc_cli *c)
{
    const char *dir = NULL;
    int code = 0;
    itc_status s = itc_temp_folder(c->ctx, &dir);
    if (s == ITC_OK) {
        s = regress(c, dir, &code);
        itc_temp_remove(dir);
    }
    return s == ITC_OK ? code : itc_exit_code(s);
}
