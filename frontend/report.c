/*
 * The page of `intrain report`. Every string of a log or plan goes through itc_html_add.
 */
#include "frontend/report.h"

#include "frontend/chart.h"
#include "frontend/html.h"
#include "frontend/report_plan.h"
#include "frontend/report_stats.h"
#include "frontend/runlog.h"

#include <string.h>

typedef struct page {
    itc_ctx *ctx;
    itc_runlog *run;
    int n;
    itc_strbuf *out;
} page;

static void add(const page *p, const char *markup)
{
    itc_strbuf_add(p->out, markup);
}

static void cell(const page *p, const char *class, const char *text)
{
    itc_strbuf_printf(p->out, "<td%s>", class);
    itc_html_add(p->out, text);
    add(p, "</td>");
}

static const char *loss_text(const page *p, double loss)
{
    return itc_format(p->ctx, "%.5g", loss);
}

static const char *accuracy_text(const page *p, double accuracy)
{
    return accuracy < 0 ? "" : itc_format(p->ctx, "%.2f %%", accuracy * 100);
}

/* ---- results ---- */

static const itc_run_point *best(const itc_runlog *r)
{
    const itc_run_point *found = NULL;
    for (int i = 0; i < r->n_evals; i++) {
        const itc_run_point *e = &r->evals[i];
        if (e->accuracy >= 0 && (!found || e->accuracy > found->accuracy)) {
            found = e;
        }
    }
    return found;
}

static const char *state_of(const page *p, const itc_runlog *r)
{
    const char *end = !*r->digest && !*r->status ? "did not end" : *r->status ? r->status : "ended";
    const char *resumed =
        r->starts > 1 ? itc_format(p->ctx, ", resumed %d times", r->starts - 1) : "";
    return itc_format(p->ctx, "%s%s%s", end, r->starts == 2 ? ", resumed once" : resumed,
                      r->truncated ? ", last line cut off" : "");
}

static void write_result(const page *p, int i)
{
    const itc_runlog *r = &p->run[i];
    const itc_run_point *last = r->n_steps > 0 ? &r->steps[r->n_steps - 1] : NULL;
    const itc_run_point *eval = r->n_evals > 0 ? &r->evals[r->n_evals - 1] : NULL;
    const itc_run_point *top = best(r);
    itc_strbuf_printf(p->out, "<tr><th><span class=\"key k%d\"></span>", i % 8);
    itc_html_add(p->out, r->label);
    add(p, "</th>");
    cell(p, "", r->model);
    cell(p, "", r->arith);
    cell(p, " class=\"n\"", last ? itc_html_count(p->ctx, last->step) : "0");
    cell(p, " class=\"n\"", itc_format(p->ctx, "%.1f s", r->seconds));
    const double rate = last && last->seconds > 0 ? (double)last->samples / last->seconds : 0;
    cell(p, " class=\"n\"", rate > 0 && rate < 1e15 ? itc_html_count(p->ctx, (int64_t)rate) : "");
    cell(p, " class=\"n\"", eval ? loss_text(p, eval->loss) : "");
    cell(p, " class=\"n\"", eval ? accuracy_text(p, eval->accuracy) : "");
    cell(p, " class=\"n\"",
         top ? itc_format(p->ctx, "%s at %s", accuracy_text(p, top->accuracy),
                          itc_html_count(p->ctx, top->step))
             : "");
    cell(p, " class=\"m\"", itc_strndup(p->ctx, r->digest, strnlen(r->digest, 16)));
    cell(p, "", state_of(p, r));
    add(p, "</tr>\n");
}

static void write_results(const page *p)
{
    add(p, "<section><h2>Results</h2>\n<details open><summary>Loss and accuracy are those of the "
           "evaluation.</summary>\n<table>\n<tr><th>run</th><th>model</th><th>arithmetic</th>"
           "<th class=\"n\">steps</th><th class=\"n\">time</th><th class=\"n\">samples/s</th>"
           "<th class=\"n\">last loss</th><th class=\"n\">last accuracy</th>"
           "<th class=\"n\">best</th><th>digest</th><th>state</th></tr>\n");
    for (int i = 0; i < p->n; i++) {
        write_result(p, i);
    }
    add(p, "</table></details></section>\n");
}

/* ---- curves ---- */

typedef enum curve { LOSS, ACCURACY, RATE } curve;

static double value_of(const itc_run_point *q, curve what)
{
    return what == LOSS ? q->loss : what == ACCURACY ? q->accuracy : q->lr;
}

/* Points without a value (an accuracy that a loss does not have) are left out. */
static itc_series series_of(const page *p, const itc_run_point *q, int n, curve what)
{
    double *x = ITC_NEW_ARRAY(p->ctx, double, n + 1), *y = ITC_NEW_ARRAY(p->ctx, double, n + 1);
    itc_series s = {.x = x, .y = y};
    for (int i = 0; i < n; i++) {
        if (what != ACCURACY || q[i].accuracy >= 0) {
            x[s.n] = (double)q[i].step;
            y[s.n++] = value_of(&q[i], what);
        }
    }
    return s;
}

static void push(itc_series *all, int *n, itc_series s, const itc_runlog *r, int color,
                 itc_series_style style)
{
    s.label = r->label;
    s.color = color;
    s.style = style;
    all[(*n)++] = s;
}

/* The first steps rise from chance: on their scale all that follows would look alike. Where there
 * are evaluations, the training's accuracy is drawn from the first one on. */
static void skip_rise(itc_series *s, double first)
{
    while (s->n > 0 && s->x[0] < first) {
        s->x++;
        s->y++;
        s->n--;
    }
}

static void write_curve(const page *p, curve what, const char *title)
{
    itc_series *all = ITC_NEW_ARRAY(p->ctx, itc_series, 3 * p->n);
    int n = 0;
    for (int i = 0; i < p->n; i++) {
        const itc_runlog *r = &p->run[i];
        itc_series s = series_of(p, r->steps, r->n_steps, what);
        if (what == RATE) {
            push(all, &n, s, r, i, ITC_SERIES_LINE);
            continue;
        }
        push(all, &n, s, r, i, ITC_SERIES_FAINT);
        s.y = itc_runlog_smooth(p->ctx, s.y, s.n);
        if (what == ACCURACY && best(r)) {
            skip_rise(&s, (double)r->evals[0].step);
        }
        push(all, &n, s, r, i, ITC_SERIES_LINE);
        push(all, &n, series_of(p, r->evals, r->n_evals, what), r, i, ITC_SERIES_MARKS);
    }
    const itc_chart chart = {
        .title = title,
        .x_title = "step",
        .series = all,
        .n_series = n,
        .from_zero = what != ACCURACY,
        .percent = what == ACCURACY,
    };
    add(p, "<div>");
    itc_chart_svg(&chart, p->out);
    add(p, "</div>\n");
}

static bool has_accuracy(const page *p)
{
    for (int i = 0; i < p->n; i++) {
        const itc_runlog *r = &p->run[i];
        if ((r->n_steps > 0 && r->steps[0].accuracy >= 0) || best(r)) {
            return true;
        }
    }
    return false;
}

static void write_curves(const page *p)
{
    add(p, "<section><h2>Curves</h2>\n<p>");
    for (int i = 0; i < p->n; i++) {
        itc_strbuf_printf(p->out, "<span class=\"key k%d\"></span>", i % 8);
        itc_html_add(p->out, p->run[i].label);
        add(p, " &nbsp; ");
    }
    add(p, "</p>\n<p>Lines: training, smoothed; behind them, faint, each logged step. "
           "Dots: evaluations.</p>\n<div class=\"row\">\n");
    write_curve(p, LOSS, "Loss");
    if (has_accuracy(p)) {
        write_curve(p, ACCURACY, "Accuracy");
    }
    write_curve(p, RATE, "Learning rate");
    add(p, "</div></section>\n");
}

/* ---- evaluations and settings ---- */

static void write_evals(const page *p)
{
    int total = 0;
    for (int i = 0; i < p->n; i++) {
        total += p->run[i].n_evals;
    }
    if (total == 0) {
        return;
    }
    add(p, "<section><h2>Evaluations</h2>\n<details><summary>");
    itc_strbuf_printf(p->out,
                      "All %d</summary>\n<table>\n<tr><th>run</th><th class=\"n\">step</th>"
                      "<th class=\"n\">loss</th><th class=\"n\">accuracy</th></tr>\n",
                      total);
    for (int i = 0; i < p->n; i++) {
        const itc_runlog *r = &p->run[i];
        for (int k = 0; k < r->n_evals; k++) {
            add(p, "<tr>");
            cell(p, "", r->label);
            cell(p, " class=\"n\"", itc_html_count(p->ctx, r->evals[k].step));
            cell(p, " class=\"n\"", loss_text(p, r->evals[k].loss));
            cell(p, " class=\"n\"", accuracy_text(p, r->evals[k].accuracy));
            add(p, "</tr>\n");
        }
    }
    add(p, "</table></details></section>\n");
}

static const char *setting_of(const itc_runlog *r, const char *key)
{
    for (int i = 0; i < r->n_settings; i++) {
        if (strcmp(r->settings[i].key, key) == 0) {
            return r->settings[i].value;
        }
    }
    return NULL;
}

static bool seen_before(const page *p, int run, const char *key)
{
    for (int i = 0; i < run; i++) {
        if (setting_of(&p->run[i], key)) {
            return true;
        }
    }
    return false;
}

static void write_setting(const page *p, const char *key)
{
    const char *first = setting_of(&p->run[0], key);
    bool differs = false;
    for (int i = 1; i < p->n; i++) {
        const char *v = setting_of(&p->run[i], key);
        differs = differs || !v != !first || (v && first && strcmp(v, first) != 0);
    }
    add(p, differs ? "<tr class=\"d\"><th>" : "<tr><th>");
    itc_html_add(p->out, key);
    add(p, "</th>");
    for (int i = 0; i < p->n; i++) {
        const char *v = setting_of(&p->run[i], key);
        cell(p, " class=\"m\"", v ? v : "");
    }
    add(p, "</tr>\n");
}

static void write_settings(const page *p)
{
    add(p, "<section><h2>Settings</h2>\n");
    if (p->n > 1) {
        add(p, "<p>Marked rows differ between the runs.</p>\n");
    }
    add(p, "<div style=\"overflow-x:auto\"><table>\n<tr><th></th>");
    for (int i = 0; i < p->n; i++) {
        itc_strbuf_printf(p->out, "<th><span class=\"key k%d\"></span>", i % 8);
        itc_html_add(p->out, p->run[i].label);
        add(p, "</th>");
    }
    add(p, "</tr>\n");
    for (int i = 0; i < p->n; i++) {
        for (int k = 0; k < p->run[i].n_settings; k++) {
            const char *key = p->run[i].settings[k].key;
            if (!seen_before(p, i, key)) {
                write_setting(p, key);
            }
        }
    }
    add(p, "</table></div></section>\n");
}

itc_status itc_report(itc_ctx *ctx, const char *const *logs, int n, const char *plan_json,
                      const char *stats, const char *out_path)
{
    itc_strbuf out;
    itc_strbuf_init(&out, ctx);
    const page p = {.ctx = ctx, .run = ITC_NEW_ARRAY(ctx, itc_runlog, n), .n = n, .out = &out};
    for (int i = 0; i < n; i++) {
        ITC_TRY(itc_runlog_read(ctx, logs[i], &p.run[i]));
    }
    itc_html_head(&out, "intrain: training report", "Training report");
    write_results(&p);
    write_curves(&p);
    write_evals(&p);
    write_settings(&p);
    if (plan_json) {
        ITC_TRY(itc_report_plan(ctx, plan_json, &out));
    }
    if (stats) {
        ITC_TRY(itc_report_stats(ctx, stats, &out));
    }
    add(&p, ITC_HTML_END);
    itc_set_file(ctx, NULL);
    return itc_write_file(ctx, out_path, out.text, out.len);
}
