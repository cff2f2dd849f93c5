/* What came of a zoo: a table for people, JUnit's XML for CI servers, a page. */
#include "frontend/chart.h"
#include "frontend/html.h"
#include "frontend/zoo.h"

#include <string.h>

typedef struct count {
    int passed, failed;
    double seconds;
} count;

static count count_of(const itc_zoo *z, const itc_zoo_result *r)
{
    count c = {0};
    for (int i = 0; i < z->n_entries; i++) {
        c.passed += r[i].tried && !r[i].why;
        c.failed += r[i].tried && r[i].why;
        c.seconds += r[i].seconds;
    }
    return c;
}

static int name_width(const itc_zoo *z)
{
    size_t w = strlen("model");
    for (int i = 0; i < z->n_entries; i++) {
        const size_t n = strlen(z->entry[i].name);
        w = n > w ? n : w;
    }
    return (int)w;
}

void itc_zoo_print_head(const itc_zoo *z)
{
    (void)printf("%-*s  %-6s  %-7s  %6s  %10s  %10s  %10s  %7s\n", name_width(z), "model", "result",
                 "arith", "steps", "first loss", "last loss", "memory", "time");
    (void)fflush(stdout);
}

void itc_zoo_print(const itc_zoo *z, const itc_zoo_entry *e, const itc_zoo_result *r)
{
    (void)printf("%-*s  %-6s  %-7s  %6lld", name_width(z), e->name, r->why ? "FAILED" : "ok",
                 r->arith, (long long)e->steps);
    if (r->n_curve > 0) {
        (void)printf("  %10.5g  %10.5g", r->first, r->last);
    } else {
        (void)printf("  %10s  %10s", "-", "-");
    }
    (void)printf("  %10s  %5.1f s\n",
                 r->memory > 0 ? itc_html_bytes(z->ctx, (double)r->memory) : "-", r->seconds);
    if (r->why) {
        (void)printf("%*s  %s\n", name_width(z), "", r->why);
    }
    (void)fflush(stdout);
}

void itc_zoo_print_sum(const itc_zoo *z, const itc_zoo_result *result)
{
    const count c = count_of(z, result);
    (void)printf("regress: %d passed, %d failed", c.passed, c.failed);
    if (c.passed + c.failed < z->n_entries) {
        (void)printf(", %d not run", z->n_entries - c.passed - c.failed);
    }
    (void)printf("\n");
    (void)fflush(stdout);
}

/* ---- JUnit ---- */

static void junit_case(itc_strbuf *b, const itc_zoo_entry *e, const itc_zoo_result *r,
                       const char *suite)
{
    const char *kind = r->trained ? "failure" : "error";
    itc_strbuf_add(b, "    <testcase classname=\"");
    itc_html_add(b, suite);
    itc_strbuf_add(b, "\" name=\"");
    itc_html_add(b, e->name);
    itc_strbuf_printf(b, "\" time=\"%.3f\"", r->seconds);
    if (!r->tried) {
        itc_strbuf_add(b, "><skipped/></testcase>\n");
    } else if (r->why) {
        itc_strbuf_printf(b, ">\n      <%s message=\"", kind);
        itc_html_add(b, r->why);
        itc_strbuf_add(b, "\"/>\n    </testcase>\n");
    } else {
        itc_strbuf_add(b, "/>\n");
    }
}

itc_status itc_zoo_junit(const itc_zoo *z, const itc_zoo_result *result, const char *suite,
                         const char *path)
{
    const count c = count_of(z, result);
    int errors = 0;
    itc_strbuf b;
    itc_strbuf_init(&b, z->ctx);
    for (int i = 0; i < z->n_entries; i++) {
        errors += result[i].tried && !result[i].trained;
    }
    itc_strbuf_add(&b, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite "
                       "name=\"");
    itc_html_add(&b, suite);
    itc_strbuf_printf(&b,
                      "\" tests=\"%d\" failures=\"%d\" errors=\"%d\" skipped=\"%d\" "
                      "time=\"%.3f\">\n",
                      z->n_entries, c.failed - errors, errors, z->n_entries - c.passed - c.failed,
                      c.seconds);
    for (int i = 0; i < z->n_entries; i++) {
        junit_case(&b, &z->entry[i], &result[i], suite);
    }
    itc_strbuf_add(&b, "  </testsuite>\n</testsuites>\n");
    return itc_write_file(z->ctx, path, b.text, b.len);
}

/* ---- HTML ---- */

static void cell(itc_strbuf *b, const char *class, const char *text)
{
    itc_strbuf_printf(b, "<td class=\"%s\">", class);
    itc_html_add(b, text);
    itc_strbuf_add(b, "</td>");
}

static void html_row(itc_strbuf *b, const itc_zoo_entry *e, const itc_zoo_result *r)
{
    const bool ran = r->n_curve > 0;
    itc_strbuf_add(b, r->why ? "<tr class=\"d\"><th>" : "<tr><th>");
    itc_html_add(b, e->name);
    itc_strbuf_add(b, "</th>");
    cell(b, "", r->why ? "FAILED" : "ok");
    cell(b, "", r->arith);
    cell(b, "n", itc_html_count(b->ctx, e->steps));
    cell(b, "n", ran ? itc_format(b->ctx, "%.5g", r->first) : "");
    cell(b, "n", ran ? itc_format(b->ctx, "%.5g", r->last) : "");
    cell(b, "n", r->memory > 0 ? itc_html_bytes(b->ctx, (double)r->memory) : "");
    cell(b, "n", itc_format(b->ctx, "%.1f s", r->seconds));
    cell(b, "m", r->digest ? itc_strndup(b->ctx, r->digest, strnlen(r->digest, 16)) : "");
    cell(b, "", r->why ? r->why : "");
    itc_strbuf_add(b, "</tr>\n");
}

static void html_curve(itc_strbuf *b, const itc_zoo_entry *e, const itc_zoo_result *r)
{
    double *x = ITC_NEW_ARRAY(b->ctx, double, r->n_curve + 1);
    for (int i = 0; i < r->n_curve; i++) {
        x[i] = i + 1;
    }
    const itc_series line = {.label = "loss",
                             .x = x,
                             .y = r->curve,
                             .n = r->n_curve,
                             .color = r->why ? 1 : 0,
                             .style = ITC_SERIES_LINE};
    const itc_chart chart = {
        .title = e->name, .x_title = "step", .series = &line, .n_series = 1, .from_zero = true};
    itc_strbuf_add(b, "<div>");
    itc_chart_svg(&chart, b);
    itc_strbuf_add(b, "</div>\n");
}

itc_status itc_zoo_html(const itc_zoo *z, const itc_zoo_result *result, const char *suite,
                        const char *path)
{
    const count c = count_of(z, result);
    itc_strbuf b;
    itc_strbuf_init(&b, z->ctx);
    itc_html_head(&b, itc_format(z->ctx, "intrain: %s", suite), suite);
    itc_strbuf_printf(&b,
                      "<p>%d passed, %d failed, %d not run; losses are means of the first and the "
                      "last quarter of the steps.</p>\n<div style=\"overflow-x:auto\"><table>\n"
                      "<tr><th>model</th><th>result</th><th>arithmetic</th>"
                      "<th class=\"n\">steps</th><th class=\"n\">first loss</th>"
                      "<th class=\"n\">last loss</th><th class=\"n\">memory</th>"
                      "<th class=\"n\">time</th><th>digest</th><th>why</th></tr>\n",
                      c.passed, c.failed, z->n_entries - c.passed - c.failed);
    for (int i = 0; i < z->n_entries; i++) {
        if (result[i].tried) {
            html_row(&b, &z->entry[i], &result[i]);
        }
    }
    itc_strbuf_add(&b, "</table></div>\n<h2>Losses</h2>\n<div class=\"row\">\n");
    for (int i = 0; i < z->n_entries; i++) {
        if (result[i].n_curve > 0) {
            html_curve(&b, &z->entry[i], &result[i]);
        }
    }
    itc_strbuf_add(&b, "</div>\n" ITC_HTML_END);
    return itc_write_file(z->ctx, path, b.text, b.len);
}
