/*
 * One row a tensor, in the order of the first observed step; a figure that a line does not have
 * (a gradient's of a tensor that is not trained) leaves its cell empty.
 */
#include "frontend/report_stats.h"

#include "frontend/chart.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

enum { MAX_STATS = 1 << 30, WIDTH = 120, HEIGHT = 26 };

/** A figure of a line. */
static const struct {
    const char *key, *title;
    bool log; /**< drawn by its logarithm */
} figures[] = {{"top", "magnitude below 2^", false},
               {"zeros", "zeros", false},
               {"extremes", "extremes", false},
               {"update_ratio", "update / weight", true},
               {"moved", "moved", false},
               {"gradient_top", "gradient below 2^", false}};
enum { FIGURES = sizeof figures / sizeof figures[0] };

/** Values of one figure over the steps. */
typedef struct track {
    double *x, *y;
    int n, cap_x, cap_y;
} track;

typedef struct row {
    const char *tensor, *kind, *node;
    int64_t elements;
    track figure[FIGURES];
} row;

typedef struct stats {
    itc_ctx *ctx;
    row **rows;
    int n, cap;
    int next; /**< where the next line's row is expected: steps list tensors in one order */
    const char **warnings;
    int n_warnings, cap_warnings;
    bool begun;
    int line;
} stats;

static const char *text_of(stats *s, const json_t *event, const char *key)
{
    const char *text = json_string_value(json_object_get(event, key));
    return text ? itc_strdup(s->ctx, text) : "";
}

static row *row_of(stats *s, const json_t *event)
{
    const char *tensor = json_string_value(json_object_get(event, "tensor"));
    const char *kind = json_string_value(json_object_get(event, "kind"));
    if (!tensor || !kind) {
        return NULL;
    }
    for (int k = 0; k < s->n; k++) {
        const int i = (s->next + k) % s->n;
        if (strcmp(s->rows[i]->tensor, tensor) == 0 && strcmp(s->rows[i]->kind, kind) == 0) {
            s->next = i + 1;
            return s->rows[i];
        }
    }
    row *r = ITC_NEW(s->ctx, row);
    r->tensor = text_of(s, event, "tensor");
    r->kind = text_of(s, event, "kind");
    r->node = text_of(s, event, "node");
    r->elements = json_integer_value(json_object_get(event, "elements"));
    ITC_PUSH(s->ctx, s->rows, s->n, s->cap, r);
    return r;
}

static itc_status refuse(const stats *s, const char *what)
{
    return itc_error_at(s->ctx, s->line, 0, ITC_PARSE, "E0622", "%s", what);
}

static itc_status read_event(stats *s, const json_t *event)
{
    const char *name = json_string_value(json_object_get(event, "event"));
    if (name && strcmp(name, "stats-start") == 0) {
        s->begun = true;
    } else if (!s->begun) {
        return refuse(s, "statistics begin with a stats-start event, this file does not");
    } else if (name && strcmp(name, "warning") == 0) {
        ITC_PUSH(s->ctx, s->warnings, s->n_warnings, s->cap_warnings, text_of(s, event, "text"));
    } else if (name && strcmp(name, "stats") == 0) {
        row *r = row_of(s, event);
        const double step = json_number_value(json_object_get(event, "step"));
        if (!r) {
            return refuse(s, "a line of statistics without tensor or kind");
        }
        for (int i = 0; i < FIGURES; i++) {
            const json_t *v = json_object_get(event, figures[i].key);
            track *t = &r->figure[i];
            const double y = json_number_value(v);
            if (json_is_number(v) && (!figures[i].log || y > 0)) {
                int n = t->n;
                ITC_PUSH(s->ctx, t->x, n, t->cap_x, step);
                const double drawn = figures[i].log ? log10(y) : y;
                ITC_PUSH(s->ctx, t->y, t->n, t->cap_y, fmax(-1e30, fmin(drawn, 1e30)));
            }
        }
    }
    return ITC_OK;
}

/* A run that was killed leaves a last line that breaks off: it is left out. */
static itc_status read_lines(stats *s, const char *bytes, size_t n)
{
    for (size_t at = 0; at < n;) {
        const char *end = memchr(bytes + at, '\n', n - at);
        const size_t length = end ? (size_t)(end - bytes) - at : n - at;
        json_error_t error;
        json_t *event = length > 0 ? json_loadb(bytes + at, length, 0, &error) : NULL;
        s->line++;
        if (length > 0 && !event && end) {
            return refuse(s, "not a line of a training's statistics");
        }
        if (event) {
            const itc_status status = read_event(s, event);
            json_decref(event);
            ITC_TRY(status);
        }
        at += length + 1;
    }
    return s->n > 0 ? ITC_OK : refuse(s, "the file holds no statistics");
}

static const char *value_text(itc_ctx *ctx, int figure, double v)
{
    const char *key = figures[figure].key;
    if (figures[figure].log) {
        return itc_format(ctx, "%.2g", pow(10, v));
    }
    return strstr(key, "top") ? itc_format(ctx, "%.0f", v) : itc_format(ctx, "%.2f %%", 100 * v);
}

/** A line from the first observed step to the last, between its own least and greatest value. */
static void write_track(stats *s, itc_strbuf *out, int figure, const track *t)
{
    double low = t->y[0], high = t->y[0];
    for (int i = 1; i < t->n; i++) {
        low = fmin(low, t->y[i]);
        high = fmax(high, t->y[i]);
    }
    const double wide = t->x[t->n - 1] - t->x[0], tall = high - low;
    const int every = t->n > 4 * WIDTH ? t->n / (2 * WIDTH) : 1;
    itc_strbuf_printf(out,
                      "<svg class=\"spark\" width=\"%d\" height=\"%d\"><title>%s to %s</title>"
                      "<polyline class=\"line s%d\" points=\"",
                      WIDTH, HEIGHT, value_text(s->ctx, figure, low),
                      value_text(s->ctx, figure, high), figure);
    for (int i = 0; i < t->n; i += every) {
        const double x = wide > 0 ? (t->x[i] - t->x[0]) / wide : 0;
        const double y = tall > 0 ? (high - t->y[i]) / tall : 0.5;
        itc_strbuf_printf(out, "%.1f,%.1f ", 2 + x * (WIDTH - 4), 2 + y * (HEIGHT - 4));
    }
    if (t->n == 1) {
        itc_strbuf_printf(out, "%d,%d", WIDTH - 2, HEIGHT / 2);
    }
    itc_strbuf_add(out, "\"/></svg> ");
    itc_strbuf_add(out, value_text(s->ctx, figure, t->y[t->n - 1]));
}

static void write_row(stats *s, itc_strbuf *out, const row *r)
{
    itc_strbuf_add(out, "<tr><th>");
    itc_html_add(out, r->tensor);
    itc_strbuf_add(out, "</th><td>");
    itc_html_add(out, r->kind);
    itc_strbuf_add(out, "</td><td>");
    itc_html_add(out, r->node);
    itc_strbuf_printf(out, "</td><td class=\"n\">%s</td>", itc_html_count(s->ctx, r->elements));
    for (int i = 0; i < FIGURES; i++) {
        itc_strbuf_add(out, "<td class=\"n\">");
        if (r->figure[i].n > 0) {
            write_track(s, out, i, &r->figure[i]);
        }
        itc_strbuf_add(out, "</td>");
    }
    itc_strbuf_add(out, "</tr>\n");
}

static void write_table(stats *s, itc_strbuf *out, bool state, const char *title)
{
    itc_strbuf_printf(out,
                      "<details%s><summary>%s</summary>\n<table>\n<tr><th>tensor</th>"
                      "<th>kind</th><th>node</th><th class=\"n\">elements</th>",
                      state ? " open" : "", title);
    for (int i = 0; i < FIGURES; i++) {
        itc_strbuf_printf(out, "<th class=\"n\">%s</th>", figures[i].title);
    }
    itc_strbuf_add(out, "</tr>\n");
    for (int i = 0; i < s->n; i++) {
        const char *kind = s->rows[i]->kind;
        if ((strcmp(kind, "param") == 0 || strcmp(kind, "slot") == 0) == state) {
            write_row(s, out, s->rows[i]);
        }
    }
    itc_strbuf_add(out, "</table></details>\n");
}

itc_status itc_report_stats(itc_ctx *ctx, const char *path, itc_strbuf *out)
{
    char *bytes = NULL;
    size_t n = 0;
    stats s = {.ctx = ctx};
    itc_set_file(ctx, path);
    ITC_TRY(itc_read_file(ctx, path, MAX_STATS, &bytes, &n));
    ITC_TRY(read_lines(&s, bytes, n));
    itc_strbuf_add(out, "<section><h2>Statistics</h2>\n<p>Each line goes from its least to its "
                        "greatest value (point at it); the number is the last.</p>\n");
    for (int i = 0; i < s.n_warnings; i++) {
        itc_strbuf_add(out, "<p><b>Warning:</b> ");
        itc_html_add(out, s.warnings[i]);
        itc_strbuf_add(out, "</p>\n");
    }
    write_table(&s, out, true, "Parameters and optimizer");
    write_table(&s, out, false, "Values and gradients, where they are rounded");
    itc_strbuf_add(out, "</section>\n");
    return ITC_OK;
}
