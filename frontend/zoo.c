/* The file of a zoo, read and written back; records and limits against what was found. */
#include "frontend/zoo.h"

#include <stdlib.h>
#include <string.h>

/** A float32 run's digest is that of one build on one machine: its loss is held instead. */
#define FLOAT_TOLERANCE 0.01

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

static itc_status bad_line(const itc_zoo *z, int line, const char *what)
{
    return itc_error_at(z->ctx, line + 1, 0, ITC_PARSE, "E0615", "%s", what);
}

static itc_status set_text(const itc_zoo *z, int line, itc_zoo_entry *e, const char *key,
                           const char *value)
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

static itc_status set_number(const itc_zoo *z, int line, itc_zoo_entry *e, const char *key,
                             const char *value)
{
    const struct {
        const char *key;
        int64_t *whole;
        double *real;
    } number[] = {{"steps", &e->steps, NULL},
                  {"max_arena", &e->max_arena, NULL},
                  {"memory", &e->memory, NULL},
                  {"max_loss", NULL, &e->max_loss},
                  {"loss", NULL, &e->loss}};
    char *end = NULL;
    const double v = strtod(value, &end);
    if (end == value || *end || !(v >= 0 && v < 1e15)) {
        return bad_line(z, line, "expected a string in quotes, a number, true or false");
    }
    for (size_t i = 0; i < sizeof number / sizeof number[0]; i++) {
        if (strcmp(key, number[i].key) == 0) {
            if (number[i].whole) {
                *number[i].whole = (int64_t)v;
            } else {
                *number[i].real = v;
            }
            return ITC_OK;
        }
    }
    return bad_line(z, line, "expected steps, max_loss, max_arena, loss or memory before a number");
}

static itc_status set_value(const itc_zoo *z, int line, itc_zoo_entry *e, const char *key,
                            const char *value)
{
    const size_t len = strlen(value);
    if (len >= 2 && value[0] == '"' && value[len - 1] == '"') {
        return set_text(z, line, e, key, itc_strndup(z->ctx, value + 1, len - 2));
    }
    if (strcmp(value, "true") == 0 || strcmp(value, "false") == 0) {
        if (strcmp(key, "falls") != 0) {
            return bad_line(z, line, "expected falls before true or false");
        }
        e->falls = *value == 't';
        return ITC_OK;
    }
    return set_number(z, line, e, key, value);
}

static itc_status add_entry(itc_zoo *z, int line, const char *s)
{
    const size_t n = strlen(s);
    const itc_zoo_entry e = {.name = itc_strndup(z->ctx, s + 1, n > 2 ? n - 2 : 0),
                             .data = "made",
                             .options = "",
                             .steps = 20,
                             .max_arena = -1,
                             .memory = -1,
                             .max_loss = -1,
                             .loss = -1,
                             .falls = true,
                             .first = line,
                             .last = line};
    /* The name is that of a folder, and of files beside it. */
    if (s[n - 1] != ']' || !*e.name || *e.name == '.' || strpbrk(e.name, "/\\\"[]")) {
        return bad_line(z, line, "expected [NAME], and a name that a file may have");
    }
    for (int i = 0; i < z->n_entries; i++) {
        if (strcmp(z->entry[i].name, e.name) == 0) {
            return bad_line(z, line, "a second table of this name");
        }
    }
    ITC_PUSH(z->ctx, z->entry, z->n_entries, z->cap_entries, e);
    return ITC_OK;
}

static itc_status read_line(itc_zoo *z, int i)
{
    const char *s = strip(z->ctx, z->line[i]);
    if (!*s) {
        return ITC_OK;
    }
    if (s[0] == '[') {
        return add_entry(z, i, s);
    }
    const char *equals = strchr(s, '=');
    if (!equals || z->n_entries == 0) {
        return bad_line(z, i, "expected KEY = VALUE in a table [NAME]");
    }
    itc_zoo_entry *e = &z->entry[z->n_entries - 1];
    e->last = i;
    return set_value(z, i, e, trim(z->ctx, s, (size_t)(equals - s)),
                     trim(z->ctx, equals + 1, strlen(equals + 1)));
}

itc_status itc_zoo_read(itc_zoo *z, const char *path)
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
        if (!z->entry[i].model) {
            return bad_line(z, z->entry[i].first, "the table has no model");
        }
    }
    return z->n_entries > 0 ? ITC_OK : bad_line(z, 0, "there is no table [NAME]");
}

/** What is recorded, against what was found. */
static const char *judge_records(const itc_zoo *z, const itc_zoo_entry *e, const itc_zoo_result *r)
{
    if (strcmp(r->arith, "float32") == 0) {
        const double off = r->end > e->loss ? r->end - e->loss : e->loss - r->end;
        if (e->loss < 0) {
            return "no loss is recorded; --update records it";
        }
        if (!(off <= FLOAT_TOLERANCE * e->loss)) {
            return itc_format(z->ctx, "loss %.6g, recorded is %.6g", r->end, e->loss);
        }
    } else if (!e->digest) {
        return "no digest is recorded; --update records it";
    } else if (strcmp(e->digest, r->digest) != 0) {
        return itc_format(z->ctx, "digest %s, recorded is %s", r->digest, e->digest);
    }
    if (e->memory >= 0 && r->memory > e->memory) {
        return itc_format(z->ctx, "%lld bytes of memory, recorded are %lld", (long long)r->memory,
                          (long long)e->memory);
    }
    return NULL;
}

const char *itc_zoo_judge(const itc_zoo *z, const itc_zoo_entry *e, const itc_zoo_result *r,
                          bool update)
{
    if (r->n_curve == 0) {
        return "the log has no step";
    }
    if (e->falls && r->n_curve > 1 && !(r->last < r->first)) {
        return itc_format(z->ctx, "the loss does not fall: %.6g, then %.6g", r->first, r->last);
    }
    if (e->max_loss >= 0 && !(r->end <= e->max_loss)) {
        return itc_format(z->ctx, "loss %.6g, at most %.6g is allowed", r->end, e->max_loss);
    }
    if (e->max_arena >= 0 && r->arena > e->max_arena) {
        return itc_format(z->ctx, "an arena of %lld bytes, at most %lld is allowed",
                          (long long)r->arena, (long long)e->max_arena);
    }
    return update ? NULL : judge_records(z, e, r);
}

static bool is_key(const itc_zoo *z, int line, const char *key)
{
    const char *s = strip(z->ctx, z->line[line]);
    const size_t n = strlen(key);
    return strncmp(s, key, n) == 0 && s[n + strspn(s + n, " \t")] == '=';
}

itc_status itc_zoo_write_back(const itc_zoo *z, const char *path, const itc_zoo_result *result)
{
    itc_strbuf b;
    itc_strbuf_init(&b, z->ctx);
    int at = -1;
    for (int i = 0; i < z->n_lines; i++) {
        at += at + 1 < z->n_entries && z->entry[at + 1].first == i;
        const itc_zoo_result *r = at >= 0 && result[at].trained ? &result[at] : NULL;
        if (!r || (!is_key(z, i, "digest") && !is_key(z, i, "loss") && !is_key(z, i, "memory"))) {
            itc_strbuf_printf(&b, "%s\n", z->line[i]);
        }
        if (r && z->entry[at].last == i) {
            if (strcmp(r->arith, "float32") != 0) {
                itc_strbuf_printf(&b, "digest = \"%s\"\n", r->digest);
            }
            itc_strbuf_printf(&b, "loss = %.6g\nmemory = %lld\n", r->end, (long long)r->memory);
        }
    }
    return itc_write_file(z->ctx, path, b.text, b.len);
}
