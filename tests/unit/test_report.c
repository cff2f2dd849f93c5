/* Logs, reports and comparisons. The page is checked for being one whole, well-formed document. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/chart.h"
#include "frontend/compare.h"
#include "frontend/report.h"
#include "frontend/runlog.h"

#define START                                                                                      \
    "{\"event\":\"start\",\"model\":\"m<1>\",\"arith\":\"int8\",\"settings\":{\"batch\":8},"       \
    "\"arguments\":[\"--data\",\"idx:a,b\"],\"lr\":0.05,\"step\":0}\n"
#define STEP1 "{\"event\":\"step\",\"step\":1,\"epoch\":0,\"loss\":2.5,\"accuracy\":0.25}\n"
#define STEP2                                                                                      \
    "{\"event\":\"step\",\"step\":2,\"epoch\":0,\"loss\":1.5,\"accuracy\":0.5,\"lr\":0.05,"        \
    "\"samples\":16,\"seconds\":0.5}\n"
#define EVAL2 "{\"event\":\"eval\",\"step\":2,\"loss\":1.25,\"accuracy\":0.625}\n"
#define END2                                                                                       \
    "{\"event\":\"end\",\"step\":2,\"digest\":\"abcd\",\"seconds\":0.75,\"status\":\"done\"}\n"

static itc_ctx *ctx;

static int setup(void **state)
{
    (void)state;
    ctx = itc_ctx_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    itc_ctx_free(ctx);
    return 0;
}

static void put(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    assert_int_equal(fclose(f), 0);
}

static char *get(const char *path)
{
    char *bytes = NULL;
    size_t n = 0;
    assert_int_equal(itc_read_file(ctx, path, 1 << 24, &bytes, &n), ITC_OK);
    assert_int_equal(strlen(bytes), n);
    return bytes;
}

static itc_runlog read_log(const char *text)
{
    itc_runlog log;
    put("run.jsonl", text);
    assert_int_equal(itc_runlog_read(ctx, "run.jsonl", &log), ITC_OK);
    return log;
}

/* ---- logs ---- */

static void runlog_reads_every_event(void **state)
{
    (void)state;
    const itc_runlog log = read_log(START STEP1 "{\"event\":\"later\",\"x\":1}\n" STEP2 EVAL2 END2);
    assert_string_equal(log.label, "run");
    assert_string_equal(log.model, "m<1>");
    assert_string_equal(log.arith, "int8");
    assert_int_equal(log.n_steps, 2);
    assert_int_equal(log.steps[1].step, 2);
    assert_true(log.steps[1].loss == 1.5 && log.steps[1].accuracy == 0.5);
    assert_true(log.steps[1].samples == 16 && log.steps[1].seconds == 0.5);
    assert_int_equal(log.n_evals, 1);
    assert_true(log.evals[0].loss == 1.25 && log.evals[0].accuracy == 0.625);
    assert_string_equal(log.digest, "abcd");
    assert_true(log.seconds == 0.75);
    assert_false(log.truncated);
    bool batch = false, arguments = false;
    for (int i = 0; i < log.n_settings; i++) {
        const itc_run_setting *s = &log.settings[i];
        batch = batch || (!strcmp(s->key, "settings / batch") && !strcmp(s->value, "8"));
        arguments =
            arguments || (!strcmp(s->key, "arguments") && !strcmp(s->value, "--data idx:a,b"));
    }
    assert_true(batch && arguments);
}

static void runlog_leaves_out_a_line_that_breaks_off(void **state)
{
    (void)state;
    itc_runlog log = read_log(START STEP1 "{\"event\":\"step\",\"step\":2,\"lo");
    assert_true(log.truncated);
    assert_int_equal(log.n_steps, 1);
    /* whole, only its end of line is missing */
    log = read_log(START STEP1 "{\"event\":\"step\",\"step\":2,\"loss\":1}");
    assert_false(log.truncated);
    assert_int_equal(log.n_steps, 2);
    assert_true(log.steps[1].accuracy < 0);
}

static void runlog_replaces_what_a_resumed_run_repeats(void **state)
{
    (void)state;
    const itc_runlog log =
        read_log(START STEP1 STEP2 EVAL2 "{\"event\":\"start\",\"model\":\"m\",\"step\":1}\n"
                                         "{\"event\":\"step\",\"step\":2,\"loss\":9}\n");
    assert_int_equal(log.starts, 2);
    assert_int_equal(log.n_steps, 2);
    assert_true(log.steps[1].loss == 9);
    assert_int_equal(log.n_evals, 0);
    assert_string_equal(log.digest, "");
}

static void runlog_refuses_what_is_no_log(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int line;
    } bad[] = {
        {"", 0},
        {"garbage\n", 1},
        {"garbage", 1},
        {"[1]\n", 1},
        {"{\"event\":1}\n", 1},
        {STEP1, 1},
        {START "garbage\n" STEP1, 2},
        {START "{\"event\":\"step\",\"step\":1}\n", 2},
        {START "{\"event\":\"step\",\"step\":-1,\"loss\":1}\n", 2},
        {START "{\"event\":\"step\",\"step\":1,\"loss\":NaN}\n", 2},
        {START "{\"event\":\"step\",\"step\":1,\"loss\":1e999}\n", 2},
        {START "{\"event\":\"eval\",\"step\":1,\"loss\":1,\"accuracy\":1.5}\n", 2},
        {START STEP2 STEP1, 3},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        itc_runlog log;
        itc_diag_clear(ctx);
        put("bad.jsonl", bad[i].text);
        const itc_status s = itc_runlog_read(ctx, "bad.jsonl", &log);
        assert_int_equal(itc_exit_code(s), 2);
        assert_string_equal(itc_diag_get(ctx, 0)->id, "E0620");
        assert_int_equal(itc_diag_get(ctx, 0)->line, bad[i].line);
    }
    itc_runlog log;
    itc_diag_clear(ctx);
    assert_int_equal(itc_exit_code(itc_runlog_read(ctx, "absent.jsonl", &log)), 2);
    assert_string_equal(itc_diag_get(ctx, 0)->id, "E0001");
}

static void smooth_keeps_a_constant_and_follows_a_line(void **state)
{
    (void)state;
    double y[1000];
    for (int i = 0; i < 1000; i++) {
        y[i] = 3;
    }
    const double *s = itc_runlog_smooth(ctx, y, 1000);
    for (int i = 0; i < 1000; i++) {
        assert_true(fabs(s[i] - 3) < 1e-12);
        y[i] = i;
    }
    s = itc_runlog_smooth(ctx, y, 1000);
    /* an exponential mean lags by span - 1, and the span is a fiftieth of the run */
    assert_true(fabs(s[0]) < 1e-12);
    assert_true(fabs(s[999] - (999 - 19)) < 1e-6);
}

/* ---- the page ---- */

/* Every element that is opened is closed, in order; attributes are quoted; no scripts. */
static void assert_well_formed(const char *html)
{
    char open[64][24];
    int depth = 0;
    const char *c = strstr(html, "<html");
    assert_non_null(c);
    while ((c = strchr(c, '<')) != NULL) {
        const bool closing = c[1] == '/';
        char name[24] = "";
        assert_int_equal(sscanf(c + 1 + closing, "%23[a-z0-9]", name), 1);
        const char *end = c;
        for (bool quoted = false; *end && (*end != '>' || quoted); end++) {
            quoted = quoted != (*end == '"');
            assert_true(end == c || *end != '<');
        }
        assert_int_equal(*end, '>');
        assert_string_not_equal(name, "script");
        if (closing) {
            assert_true(depth > 0);
            assert_string_equal(open[--depth], name);
        } else if (end[-1] != '/' && strcmp(name, "meta") != 0) {
            assert_true(depth < 64);
            strcpy(open[depth++], name);
        }
        c = end;
    }
    assert_int_equal(depth, 0);
    assert_null(strstr(html, "nan"));
    assert_null(strstr(html, "http"));
}

static void report_is_one_document(void **state)
{
    (void)state;
    put("a.jsonl", START STEP1 STEP2 EVAL2 END2);
    put("b&c.jsonl", START STEP1 STEP2 EVAL2 "{\"event\":\"st");
    static const char *const logs[] = {"a.jsonl", "b&c.jsonl"};
    assert_int_equal(itc_report(ctx, logs, 2, NULL, NULL, "report.html"), ITC_OK);
    const char *html = get("report.html");
    assert_well_formed(html);
    assert_non_null(strstr(html, "m&lt;1&gt;"));
    assert_null(strstr(html, "m<1>"));
    assert_non_null(strstr(html, "b&amp;c"));
    assert_non_null(strstr(html, "last line cut off"));
    assert_non_null(strstr(html, "62.50 %"));
    assert_non_null(strstr(html, "prefers-color-scheme:dark"));
    assert_int_equal(itc_report(ctx, logs, 2, NULL, NULL, "again.html"), ITC_OK);
    assert_string_equal(get("again.html"), html);
}

static void report_escapes_every_string(void **state)
{
    (void)state;
    put("x.jsonl", "{\"event\":\"start\",\"model\":\"<script>1</script>\",\"arith\":\"\\\"'&\","
                   "\"<b>\":\"<i>\\u0001\",\"arguments\":[\"<u>\"]}\n" STEP1
                   "{\"event\":\"end\",\"digest\":\"<p>\",\"status\":\"<q>\"}\n");
    static const char *const logs[] = {"x.jsonl"};
    assert_int_equal(itc_report(ctx, logs, 1, NULL, NULL, "x.html"), ITC_OK);
    const char *html = get("x.html");
    assert_well_formed(html);
    assert_non_null(strstr(html, "&lt;script&gt;1&lt;/script&gt;"));
    assert_non_null(strstr(html, "&quot;&#39;&amp;"));
    assert_null(strstr(html, "<i>"));
    assert_null(strstr(html, "<u>"));
    assert_null(strchr(html, 1));
}

static void report_survives_extreme_numbers(void **state)
{
    (void)state;
    put("huge.jsonl",
        START "{\"event\":\"step\",\"step\":1,\"loss\":1e308,\"lr\":1e308,\"samples\":1,"
              "\"seconds\":1e-300}\n"
              "{\"event\":\"step\",\"step\":9223372036854775807,\"loss\":-1e308,\"lr\":0}\n");
    put("none.jsonl", START);
    static const char *const logs[] = {"huge.jsonl", "none.jsonl"};
    assert_int_equal(itc_report(ctx, logs, 2, NULL, NULL, "huge.html"), ITC_OK);
    assert_well_formed(get("huge.html"));
    assert_int_equal(itc_report(ctx, logs + 1, 1, NULL, NULL, "none.html"), ITC_OK);
    assert_well_formed(get("none.html"));
    assert_null(strstr(get("none.html"), "<svg"));
}

static void report_shows_a_plan(void **state)
{
    (void)state;
    put("p.jsonl", START STEP1);
    put("plan.json",
        "{\"model\":\"m\",\"arith\":\"int8\",\"nodes\":["
        "{\"section\":\"forward\",\"op\":\"Conv\",\"name\":\"a<b\",\"site\":null,\"live_bytes\":"
        "2048,"
        "\"result\":\"c\",\"type\":\"i8[N,3]\",\"exponent\":{\"text\":\"@1 + @2\"}},"
        "{\"section\":\"backward\",\"op\":\"Conv\",\"name\":\"d\",\"site\":null,\"live_bytes\":512,"
        "\"exponent\":null}],"
        "\"accumulators\":[{\"node\":\"a<b\",\"op\":\"Conv\",\"k\":1200,\"k_times_rows\":true,"
        "\"limit_a\":127,\"limit_b\":127,\"worst\":\"1238707200\",\"type\":\"i32\"}],"
        "\"memory\":{\"parameters\":3072,\"arena\":2048}}\n");
    static const char *const logs[] = {"p.jsonl"};
    assert_int_equal(itc_report(ctx, logs, 1, "plan.json", NULL, "p.html"), ITC_OK);
    const char *html = get("p.html");
    assert_well_formed(html);
    assert_non_null(strstr(html, "a&lt;b"));
    assert_non_null(strstr(html, "1,200 N"));
    assert_non_null(strstr(html, "1,238,707,200"));
    assert_non_null(strstr(html, "3.0 KiB"));
    assert_non_null(strstr(html, "<td>Conv</td><td class=\"n\">1</td><td class=\"n\">1</td>"
                                 "<td class=\"n\">2</td>"));
}

#define STATS_START "{\"event\":\"stats-start\",\"model\":\"m\"}\n"

static void report_shows_statistics(void **state)
{
    (void)state;
    put("s.jsonl", START STEP1);
    put("stats.jsonl", STATS_START
        "{\"event\":\"stats\",\"step\":10,\"tensor\":\"w<1>\",\"kind\":\"param\","
        "\"elements\":1200,\"exponent\":-9,\"top\":-2,\"zeros\":0.5,"
        "\"update_ratio\":0.001,\"moved\":0.25}\n"
        "{\"event\":\"stats\",\"step\":10,\"tensor\":\"y\",\"kind\":\"fwd\","
        "\"node\":\"n&m\",\"elements\":4,\"top\":1e308,\"zeros\":0}\n"
        "{\"event\":\"warning\",\"step\":10,\"id\":\"W0550\",\"text\":\"<s> starves\"}\n"
        "{\"event\":\"stats\",\"step\":20,\"tensor\":\"w<1>\",\"kind\":\"param\","
        "\"elements\":1200,\"exponent\":-9,\"top\":3,\"zeros\":0.25,"
        "\"update_ratio\":0,\"moved\":0}\n"
        "{\"event\":\"stats\",\"step\":20,\"tensor\":\"y\",\"kind\":\"fwd\","
        "\"elements\":4,\"top\":-1e308,\"zeros\":0}\n{\"event\":\"sta");
    static const char *const logs[] = {"s.jsonl"};
    assert_int_equal(itc_report(ctx, logs, 1, NULL, "stats.jsonl", "s.html"), ITC_OK);
    const char *html = get("s.html");
    assert_well_formed(html);
    assert_non_null(strstr(html, "<th>w&lt;1&gt;</th><td>param</td>"));
    assert_non_null(strstr(html, "n&amp;m"));
    assert_non_null(strstr(html, "&lt;s&gt; starves"));
    /* from -2 below to 3 above, the first step left and the last right */
    assert_non_null(strstr(html, "<title>-2 to 3</title><polyline class=\"line s0\" "
                                 "points=\"2.0,24.0 118.0,2.0 \"/></svg> 3<"));
    assert_non_null(strstr(html, "25.00 %"));
    assert_non_null(strstr(html, "0.001</td>")); /* the logarithm of 0 is left out */
}

static void report_refuses_what_is_no_statistics(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "{}\n",
                                      START,
                                      STATS_START,
                                      STATS_START "x\n",
                                      STATS_START "{\"event\":\"stats\",\"step\":1}\n"};
    static const char *const logs[] = {"s.jsonl"};
    put("s.jsonl", START STEP1);
    remove("refused.html");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        itc_diag_clear(ctx);
        put("bad.jsonl", bad[i]);
        assert_int_equal(itc_exit_code(itc_report(ctx, logs, 1, NULL, "bad.jsonl", "refused.html")),
                         2);
        assert_string_equal(itc_diag_get(ctx, 0)->id, "E0622");
        assert_null(fopen("refused.html", "r"));
    }
    itc_diag_clear(ctx);
}

static void report_refuses_what_is_no_plan(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "", "{", "[]", "{}", "{\"nodes\":[{}],\"memory\":{}}", "{\"nodes\":{},\"memory\":{}}"};
    static const char *const logs[] = {"p.jsonl"};
    put("p.jsonl", START STEP1);
    remove("refused.html");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        itc_diag_clear(ctx);
        put("bad.json", bad[i]);
        assert_int_equal(itc_exit_code(itc_report(ctx, logs, 1, "bad.json", NULL, "refused.html")),
                         2);
        assert_string_equal(itc_diag_get(ctx, 0)->id, "E0621");
        assert_null(fopen("refused.html", "r"));
    }
    itc_diag_clear(ctx);
    assert_int_equal(itc_exit_code(itc_report(ctx, logs, 1, NULL, NULL, "absent/x.html")), 3);
    assert_string_equal(itc_diag_get(ctx, 0)->id, "E0003");
}

/* ---- charts ---- */

/* A line through three points lands where its data say: equally spaced, the largest on top. */
static void chart_places_points(void **state)
{
    (void)state;
    static const double x[] = {0, 50, 100}, y[] = {0, 5, 10};
    const itc_series s = {"s", x, y, 3, 0, ITC_SERIES_LINE};
    const itc_chart c = {.title = "t", .x_title = "x", .series = &s, .n_series = 1};
    itc_strbuf b;
    itc_strbuf_init(&b, ctx);
    itc_chart_svg(&c, &b);
    double px[3], py[3];
    const char *path = strstr(b.text, "class=\"s0 line\"");
    assert_non_null(path);
    assert_int_equal(sscanf(strstr(path, "d=\""), "d=\"M%lf %lfL%lf %lfL%lf %lf\"", &px[0], &py[0],
                            &px[1], &py[1], &px[2], &py[2]),
                     6);
    assert_true(px[0] < px[1] && py[0] > py[2]);
    assert_true(fabs(px[1] - (px[0] + px[2]) / 2) < 0.2 && fabs(py[1] - (py[0] + py[2]) / 2) < 0.2);
    assert_non_null(strstr(b.text, ">100</text>"));
}

static void numbers_are_grouped(void **state)
{
    (void)state;
    assert_string_equal(itc_html_count(ctx, 0), "0");
    assert_string_equal(itc_html_count(ctx, 999), "999");
    assert_string_equal(itc_html_count(ctx, 1000), "1,000");
    assert_string_equal(itc_html_count(ctx, -1234567), "-1,234,567");
    assert_string_equal(itc_html_count(ctx, -123), "-123");
    assert_string_equal(itc_html_count(ctx, INT64_MIN), "-9,223,372,036,854,775,808");
    assert_string_equal(itc_html_bytes(ctx, 640), "640 B");
    assert_string_equal(itc_html_bytes(ctx, 1536), "1.5 KiB");
    assert_string_equal(itc_html_bytes(ctx, 300.0 * 1024 * 1024), "300 MiB");
}

/* ---- comparison ---- */

static void compare_prints_both_runs(void **state)
{
    (void)state;
    put("i.jsonl", START STEP1 STEP2 EVAL2 END2);
    put("f.jsonl", "{\"event\":\"start\",\"model\":\"m\",\"arith\":\"float32\"}\n"
                   "{\"event\":\"step\",\"step\":1,\"loss\":2,\"accuracy\":0}\n"
                   "{\"event\":\"step\",\"step\":2,\"loss\":1,\"accuracy\":1}\n"
                   "{\"event\":\"eval\",\"step\":1,\"loss\":7,\"accuracy\":0}\n"
                   "{\"event\":\"eval\",\"step\":2,\"loss\":1,\"accuracy\":0.75}\n");
    FILE *out = fopen("compare.txt", "w");
    assert_non_null(out);
    assert_int_equal(itc_compare_print(ctx, out, "i.jsonl", "f.jsonl"), ITC_OK);
    assert_int_equal(fclose(out), 0);
    const char *text = get("compare.txt");
    const char *eval = strstr(text, "evaluation: loss and accuracy");
    assert_non_null(strstr(text, "float32"));
    assert_non_null(eval);
    long long step = 0;
    double v[6];
    const char *line = strchr(strchr(eval, '\n') + 1, '\n') + 1;
    assert_int_equal(sscanf(line, "%lld %lf %lf %lf %lf %% %lf %% %lf", &step, &v[0], &v[1], &v[2],
                            &v[3], &v[4], &v[5]),
                     7);
    assert_int_equal(step, 2);
    assert_true(v[0] == 1.25 && v[1] == 1 && v[2] == -0.25);
    assert_true(v[3] == 62.5 && v[4] == 75 && v[5] == 12.5);
    /* the evaluation that only one run has is left out */
    assert_null(strstr(eval, "7.0000"));
    assert_non_null(strstr(text, "did not end"));
}

static void compare_reports_a_full_output(void **state)
{
    (void)state;
    put("i.jsonl", START STEP1 STEP2);
    FILE *out = fopen("/dev/full", "w");
    if (!out) {
        skip();
    }
    assert_int_equal(itc_exit_code(itc_compare_print(ctx, out, "i.jsonl", "i.jsonl")), 3);
    fclose(out);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(runlog_reads_every_event),
        T(runlog_leaves_out_a_line_that_breaks_off),
        T(runlog_replaces_what_a_resumed_run_repeats),
        T(runlog_refuses_what_is_no_log),
        T(smooth_keeps_a_constant_and_follows_a_line),
        T(report_is_one_document),
        T(report_escapes_every_string),
        T(report_survives_extreme_numbers),
        T(report_shows_a_plan),
        T(report_refuses_what_is_no_plan),
        T(report_shows_statistics),
        T(report_refuses_what_is_no_statistics),
        T(chart_places_points),
        T(numbers_are_grouped),
        T(compare_prints_both_runs),
        T(compare_reports_a_full_output),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
