/*
 * Logs are written line by line, so a run that was killed leaves at most one line that breaks off.
 * Anything else that is no JSON is refused: a report of half a log would look like a whole one.
 */
#include "frontend/runlog.h"

#include <jansson.h>
#include <string.h>

enum { MAX_LOG = 1 << 30, MAX_DEPTH = 4 };

typedef struct reader {
    itc_ctx *ctx;
    itc_runlog *log;
    itc_run_point *steps, *evals;
    int cap_steps, cap_evals;
    itc_run_setting *settings;
    int cap_settings;
    int line;
} reader;

static itc_status refuse(const reader *r, const char *what)
{
    return itc_error_at(r->ctx, r->line, 0, ITC_PARSE, "E0620", "%s", what);
}

static const char *label_of(itc_ctx *ctx, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    const char *dot = strrchr(name, '.');
    return itc_strndup(ctx, name, dot && dot != name ? (size_t)(dot - name) : strlen(name));
}

/* A JSON value as a person writes it; elements of arrays and objects with spaces between. */
static void add_value(itc_strbuf *b, const json_t *v, int depth)
{
    size_t i = 0;
    json_t *item = NULL;
    const char *key = NULL;
    switch (json_typeof(v)) {
    case JSON_STRING:
        itc_strbuf_add_n(b, json_string_value(v), json_string_length(v));
        break;
    case JSON_INTEGER:
        itc_strbuf_printf(b, "%lld", (long long)json_integer_value(v));
        break;
    case JSON_REAL:
        itc_strbuf_printf(b, "%.9g", json_real_value(v));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        itc_strbuf_add(b, json_is_true(v) ? "yes" : "no");
        break;
    case JSON_ARRAY:
        json_array_foreach(v, i, item)
        {
            itc_strbuf_add(b, i > 0 ? " " : "");
            if (depth < MAX_DEPTH) {
                add_value(b, item, depth + 1);
            }
        }
        break;
    case JSON_OBJECT:
        json_object_foreach((json_t *)v, key, item)
        {
            itc_strbuf_add(b, b->len > 0 ? " " : "");
            if (depth < MAX_DEPTH) {
                add_value(b, item, depth + 1);
            }
        }
        break;
    case JSON_NULL:
        itc_strbuf_add(b, "-");
        break;
    }
}

static void add_setting(reader *r, const char *prefix, const char *key, const json_t *v, int depth)
{
    const char *name =
        prefix ? itc_format(r->ctx, "%s / %s", prefix, key) : itc_strdup(r->ctx, key);
    if (json_is_object(v) && depth < MAX_DEPTH) {
        const char *inner = NULL;
        json_t *item = NULL;
        json_object_foreach((json_t *)v, inner, item)
        {
            add_setting(r, name, inner, item, depth + 1);
        }
        return;
    }
    itc_strbuf b;
    itc_strbuf_init(&b, r->ctx);
    add_value(&b, v, 0);
    const itc_run_setting s = {name, b.text ? b.text : ""};
    ITC_PUSH(r->ctx, r->settings, r->log->n_settings, r->cap_settings, s);
}

static const char *string_of(const reader *r, const json_t *event, const char *key)
{
    const json_t *v = json_object_get(event, key);
    return json_is_string(v) ? itc_strdup(r->ctx, json_string_value(v)) : "";
}

static int64_t step_of(const json_t *event)
{
    return (int64_t)json_integer_value(json_object_get(event, "step"));
}

/* A resumed run starts at the step of its checkpoint, which may lie before the log's last one. */
static void read_start(reader *r, const json_t *event)
{
    itc_runlog *log = r->log;
    const int64_t step = step_of(event);
    while (log->n_steps > 0 && r->steps[log->n_steps - 1].step > step) {
        log->n_steps--;
    }
    while (log->n_evals > 0 && r->evals[log->n_evals - 1].step > step) {
        log->n_evals--;
    }
    log->starts++;
    log->model = string_of(r, event, "model");
    log->arith = string_of(r, event, "arith");
    log->digest = log->status = "";
    log->n_settings = 0;
    const char *key = NULL;
    json_t *item = NULL;
    json_object_foreach((json_t *)event, key, item)
    {
        if (strcmp(key, "event") != 0) {
            add_setting(r, NULL, key, item, 0);
        }
    }
}

static itc_status read_point(reader *r, const json_t *event, itc_run_point *p)
{
    const json_t *step = json_object_get(event, "step"), *loss = json_object_get(event, "loss");
    const json_t *accuracy = json_object_get(event, "accuracy");
    if (!json_is_integer(step) || json_integer_value(step) < 0 || !json_is_number(loss)) {
        return refuse(r, "an event of a log has a step and a loss, this one does not");
    }
    if (accuracy && !(json_number_value(accuracy) >= 0 && json_number_value(accuracy) <= 1)) {
        return refuse(r, "an accuracy lies between 0 and 1, this one does not");
    }
    *p = (itc_run_point){
        .step = step_of(event),
        .epoch = (int64_t)json_integer_value(json_object_get(event, "epoch")),
        .loss = json_number_value(loss),
        .accuracy = accuracy ? json_number_value(accuracy) : -1,
        .lr = json_number_value(json_object_get(event, "lr")),
        .samples = (int64_t)json_integer_value(json_object_get(event, "samples")),
        .seconds = json_number_value(json_object_get(event, "seconds")),
    };
    return ITC_OK;
}

static itc_status read_event(reader *r, const json_t *event)
{
    itc_runlog *log = r->log;
    const char *kind = json_string_value(json_object_get(event, "event"));
    itc_run_point p;
    if (!kind) {
        return refuse(r, "a line of a log is an object with an event, this one is not");
    }
    if (strcmp(kind, "start") == 0) {
        read_start(r, event);
    } else if (log->starts == 0) {
        return refuse(r, "a log begins with a start event, this one does not");
    } else if (strcmp(kind, "step") == 0) {
        ITC_TRY(read_point(r, event, &p));
        if (log->n_steps > 0 && p.step <= r->steps[log->n_steps - 1].step) {
            return refuse(r, "the steps of a log go up, this one does not");
        }
        ITC_PUSH(r->ctx, r->steps, log->n_steps, r->cap_steps, p);
        log->seconds = p.seconds;
    } else if (strcmp(kind, "eval") == 0) {
        ITC_TRY(read_point(r, event, &p));
        ITC_PUSH(r->ctx, r->evals, log->n_evals, r->cap_evals, p);
    } else if (strcmp(kind, "end") == 0) {
        log->digest = string_of(r, event, "digest");
        log->status = string_of(r, event, "status");
        log->seconds = json_number_value(json_object_get(event, "seconds"));
    }
    return ITC_OK;
}

static itc_status read_line(reader *r, const char *line, size_t n, bool whole)
{
    json_error_t error;
    json_t *event = json_loadb(line, n, JSON_REJECT_DUPLICATES, &error);
    if (!event && !whole && r->log->starts > 0) {
        r->log->truncated = true;
        return ITC_OK;
    }
    if (!event) {
        return itc_error_at(r->ctx, r->line, error.column > 0 ? error.column : 1, ITC_PARSE,
                            "E0620", "not a line of a training's log: %s", error.text);
    }
    const itc_status s = read_event(r, event);
    json_decref(event);
    return s;
}

static itc_status read_lines(reader *r, const char *bytes, size_t n)
{
    size_t at = 0;
    while (at < n) {
        const char *end = memchr(bytes + at, '\n', n - at);
        const size_t length = end ? (size_t)(end - bytes) - at : n - at;
        r->line++;
        if (length > 0) {
            ITC_TRY(read_line(r, bytes + at, length, end != NULL));
        }
        at += length + 1;
    }
    return r->log->starts > 0 ? ITC_OK : refuse(r, "a log has a start event, this file has none");
}

itc_status itc_runlog_read(itc_ctx *ctx, const char *path, itc_runlog *out)
{
    char *bytes = NULL;
    size_t n = 0;
    *out = (itc_runlog){.path = path, .model = "", .arith = "", .digest = "", .status = ""};
    out->label = label_of(ctx, path);
    itc_set_file(ctx, path);
    ITC_TRY(itc_read_file(ctx, path, MAX_LOG, &bytes, &n));
    reader r = {.ctx = ctx, .log = out};
    ITC_TRY(read_lines(&r, bytes, n));
    out->settings = r.settings;
    out->steps = r.steps;
    out->evals = r.evals;
    return ITC_OK;
}

double *itc_runlog_smooth(itc_ctx *ctx, const double *y, int n)
{
    double *out = ITC_NEW_ARRAY(ctx, double, n + 1);
    const double span = n > 100 ? (double)n / 50 : 2;
    /* Adam's correction of the start: the weights of what was seen so far sum to one. */
    double mean = 0, weight = 0;
    for (int i = 0; i < n; i++) {
        mean += (y[i] - mean) / span;
        weight += (1 - weight) / span;
        out[i] = mean / weight;
    }
    return out;
}
