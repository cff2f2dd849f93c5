/*
 * verify: does a recorded training give the digests that it recorded?
 *
 * The log's start event names the compile options, the trainer's arguments, and the hashes of the
 * model and the data; each end event names a step and a digest. For each of these the training runs
 * again up to that step. A log of a run that was resumed holds all of it, so it is repeated from
 * the start: resuming changes no bit.
 */
#include <jansson.h>
#include <string.h>

#include "frontend/onnx_read.h"
#include "frontend/process.h"
#include "frontend/runlog.h"
#include "frontend/training.h"

typedef struct ending {
    json_int_t step;
    const char *digest;
} ending;

typedef struct record {
    itc_ctx *ctx;
    json_t *start; /**< the last start event */
    int starts;
    ending *end;
    int n_ends, cap_ends;
} record;

static itc_status malformed(itc_ctx *ctx, const char *what)
{
    return itc_error(ctx, NULL, ITC_PARSE, "E0620", "%s", what);
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));
    return s ? s : "";
}

static itc_status read_event(record *r, const char *line, size_t n)
{
    json_t *j = json_loadb(line, n, 0, NULL);
    const char *event = text_of(j, "event");
    if (!j) {
        return malformed(r->ctx, "a line is not JSON");
    }
    if (strcmp(event, "start") == 0) {
        static const char *const kept[] = {"lr", "schedule", "warmup", "batch", "settings"};
        for (size_t i = 0; r->start && i < sizeof kept / sizeof kept[0]; i++) {
            if (!json_equal(json_object_get(r->start, kept[i]), json_object_get(j, kept[i]))) {
                json_decref(j);
                return malformed(r->ctx, itc_format(r->ctx,
                                                    "the training was resumed with another %s, "
                                                    "which cannot be repeated from its start",
                                                    kept[i]));
            }
        }
        json_decref(r->start);
        r->start = json_incref(j);
        r->starts++;
    } else if (strcmp(event, "end") == 0) {
        const ending e = {json_integer_value(json_object_get(j, "step")),
                          itc_strdup(r->ctx, text_of(j, "digest"))};
        ITC_PUSH(r->ctx, r->end, r->n_ends, r->cap_ends, e);
    }
    json_decref(j);
    return ITC_OK;
}

static itc_status read_record(record *r, const char *path)
{
    char *text = NULL;
    size_t n = 0;
    itc_set_file(r->ctx, path);
    ITC_TRY(itc_read_file(r->ctx, path, ITC_MAX_FILE, &text, &n));
    for (const char *p = text; *p;) {
        const size_t len = strcspn(p, "\n");
        if (len > 0) {
            ITC_TRY(read_event(r, p, len));
        }
        p += len + (p[len] == '\n');
    }
    if (!r->start || r->n_ends == 0) {
        return malformed(r->ctx, "no start and end of a training is in it");
    }
    return ITC_OK;
}

/** The compile options of the record. */
static itc_status restore_settings(const record *r, itc_options *o)
{
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach(json_object_get(r->start, "settings"), key, value)
    {
        const itc_option_def *d = NULL;
        for (int i = 0; itc_option_at(i); i++) {
            d = strcmp(itc_option_at(i)->id, key) == 0 ? itc_option_at(i) : d;
        }
        if (!d || d->setting == ITC_SETTING_NONE) {
            return malformed(r->ctx, itc_format(r->ctx, "setting %s is not known", key));
        }
        const char *text = json_is_string(value)
                               ? json_string_value(value)
                               : itc_format(r->ctx, "%lld", (long long)json_integer_value(value));
        for (const char *p = text; *p;) { /* a list holds several */
            const size_t n = d->kind == ITC_OPTION_LIST ? strcspn(p, ";") : strlen(p);
            ITC_TRY(itc_options_set(o, d->name, itc_strndup(r->ctx, p, n)));
            p += n + (p[n] == ';');
        }
    }
    return ITC_OK;
}

/** Options of a trainer that do not enter the trained state, or are replaced: with their values. */
static bool is_dropped(const record *r, const char *name, size_t n)
{
    static const char *const drop[] = {"--log",     "--log-every",  "--save",  "--save-every",
                                       "--eval",    "--eval-every", "--steps", "--epochs",
                                       "--threads", "--digest",     "--quiet", "-q"};
    for (size_t i = 0; i < sizeof drop / sizeof drop[0]; i++) {
        if (strlen(drop[i]) == n && memcmp(drop[i], name, n) == 0) {
            return true;
        }
    }
    return r->starts > 1 && n == 8 && memcmp(name, "--resume", 8) == 0;
}

static bool is_bare(const char *name)
{
    return strcmp(name, "--digest") == 0 || strcmp(name, "--quiet") == 0 ||
           strcmp(name, "-q") == 0 || strcmp(name, "--drop-last") == 0;
}

static void restore_arguments(const record *r, const itc_options *given, itc_args *a)
{
    const json_t *list = json_object_get(r->start, "arguments");
    itc_args_add(r->ctx, a, "trainer");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        const size_t n = text ? strcspn(text, "=") : 0;
        const bool takes_next = text && text[n] != '=' && !is_bare(text);
        const bool is_data = n == 6 && memcmp(text, "--data", 6) == 0;
        const bool kept =
            text && !is_dropped(r, text, n) && !(is_data && given->given[ITC_OPT_data]);
        if (kept) {
            itc_args_add(r->ctx, a, text);
        }
        if (takes_next) {
            const char *value = json_string_value(json_array_get(list, ++i));
            if (kept && value) {
                itc_args_add(r->ctx, a, value);
            }
        }
    }
    static const itc_option added[] = {ITC_OPT_data, ITC_OPT_threads};
    for (int i = 0; i < 2; i++) {
        if (given->given[added[i]]) {
            itc_args_add(r->ctx, a, itc_format(r->ctx, "--%s", itc_option_at((int)added[i])->name));
            itc_args_add(r->ctx, a, given->value[added[i]]);
        }
    }
}

static itc_status check_model(const record *r, const char *path)
{
    itc_onnx_model *model = NULL;
    char hex[65];
    ITC_TRY(itc_onnx_read(r->ctx, path, &model));
    for (int i = 0; i < 32; i++) {
        (void)snprintf(hex + 2 * i, 3, "%02x", itc_onnx_hash(model)[i]);
    }
    itc_onnx_close(model);
    if (strcmp(hex, text_of(r->start, "model_hash")) != 0) {
        return itc_error(r->ctx, NULL, ITC_RANGE, "E0614",
                         "not the model that was trained: its SHA-256 is %s, the log has %s", hex,
                         text_of(r->start, "model_hash"));
    }
    return ITC_OK;
}

/** The start event of the repeated run has the same data files as the record. */
static itc_status check_data(const record *r, const char *log)
{
    record again = {.ctx = r->ctx};
    itc_status s = read_record(&again, log);
    const json_t *want = json_object_get(json_object_get(r->start, "data"), "files");
    const json_t *found = json_object_get(json_object_get(again.start, "data"), "files");
    for (size_t i = 0; s == ITC_OK && i < json_array_size(want); i++) {
        const char *a = text_of(json_array_get(want, i), "sha256");
        const char *b = text_of(json_array_get(found, i), "sha256");
        if (strcmp(a, b) != 0) {
            s = itc_error(r->ctx, NULL, ITC_RANGE, "E0614",
                          "not the data that were trained on: the SHA-256 of %s is %s, the log "
                          "has %s",
                          text_of(json_array_get(found, i), "name"), b, a);
        }
    }
    json_decref(again.start);
    return s;
}

/** Runs up to one recorded end; *holds says whether the digests are equal. */
static itc_status repeat(itc_cli *c, const record *r, const itc_options *o, const char *model,
                         const char *dir, const ending *e, bool *holds, int *code)
{
    const itc_pipeline_options pipeline = {0};
    const char *log = itc_format(r->ctx, "%s/again.jsonl", dir);
    itc_graph *g = NULL;
    itc_args a = {0};
    itc_runlog again;
    restore_arguments(r, &c->options, &a);
    itc_args_add(r->ctx, &a, "--steps");
    itc_args_add(r->ctx, &a, itc_format(r->ctx, "%lld", (long long)e->step));
    itc_args_add(r->ctx, &a, "--log");
    itc_args_add(r->ctx, &a, log);
    itc_args_add(r->ctx, &a, "--quiet");
    ITC_TRY(itc_driver_load(o, model, &g));
    ITC_TRY(itc_training_run(g, &pipeline, model, itc_format(r->ctx, "%s/trainer", dir),
                             itc_options_flag(&c->options, ITC_OPT_interpret), &a, code));
    if (*code > 1) {
        return ITC_OK;
    }
    ITC_TRY(check_data(r, log));
    ITC_TRY(itc_runlog_read(r->ctx, log, &again));
    *holds = strcmp(again.digest, e->digest) == 0;
    (void)printf("step %lld: digest %s %s\n", (long long)e->step, e->digest,
                 *holds ? "holds" : "does not hold");
    if (!*holds) {
        (void)printf("  found %s\n", again.digest);
    }
    (void)fflush(stdout);
    *code = *holds ? 0 : 1;
    return ITC_OK;
}

static itc_status verify(itc_cli *c, record *r, const char *dir, int *code)
{
    itc_options o;
    const char *model = c->options.given[ITC_OPT_model] ? c->options.value[ITC_OPT_model] : NULL;
    int worst = 0;
    ITC_TRY(read_record(r, c->options.args[0]));
    model = model ? model : itc_format(r->ctx, "%s.onnx", text_of(r->start, "model"));
    itc_options_init(&o, c->ctx, ITC_CMD_compile);
    ITC_TRY(restore_settings(r, &o));
    ITC_TRY(check_model(r, model));
    for (int i = 0; i < r->n_ends; i++) {
        bool holds = false;
        ITC_TRY(repeat(c, r, &o, model, dir, &r->end[i], &holds, code));
        worst = *code > worst ? *code : worst;
        if (*code > 1) {
            break;
        }
    }
    *code = worst;
    return ITC_OK;
}

int itc_cmd_verify(itc_cli *c)
{
    record r = {.ctx = c->ctx};
    const char *dir = NULL;
    int code = 0;
    itc_status s = itc_temp_folder(c->ctx, &dir);
    if (s == ITC_OK) {
        s = verify(c, &r, dir, &code);
        itc_temp_remove(dir);
    }
    json_decref(r.start);
    return s == ITC_OK ? code : itc_exit_code(s);
}
