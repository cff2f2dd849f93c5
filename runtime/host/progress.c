#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "progress.h"

#include "decimal.h"
#include "log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECOND 1000000000

void itr_progress_open(itr_progress *p, const itr_model *model, bool quiet, int64_t step)
{
    memset(p, 0, sizeof *p);
    p->model = model;
    p->quiet = quiet;
    const char *term = getenv("TERM");
    const char *no_colour = getenv("NO_COLOR");
    p->terminal = isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0;
    p->colour = p->terminal && !(no_colour && *no_colour);
    p->start = itr_now();
    p->first_step = step;
}

void itr_progress_clear(itr_progress *p)
{
    if (p->drawn) {
        fputs("\r\033[K", stdout);
        fflush(stdout);
        p->drawn = false;
    }
}

static void put_results(const itr_progress *p, const itr_metrics *metrics)
{
    char text[ITR_DECIMAL_ROOM];
    itr_format_mean(metrics->loss_q24, 24, metrics->samples, 6, text);
    printf("  loss %s", text);
    if (p->model->counts_correct && metrics->rows > 0) {
        itr_format_mean(metrics->correct * 100, 0, metrics->rows, 2, text);
        printf("  accuracy %s%%", text);
    }
}

static void put_duration(int64_t seconds)
{
    if (seconds >= 3600) {
        printf("%" PRId64 ":%02d:%02d", seconds / 3600, (int)(seconds / 60 % 60),
               (int)(seconds % 60));
    } else {
        printf("%d:%02d", (int)(seconds / 60), (int)(seconds % 60));
    }
}

/* Microseconds are fine enough and keep the products below 2^63. */
static int64_t elapsed(const itr_progress *p)
{
    const int64_t t = (itr_now() - p->start) / 1000;
    return t > 0 ? t : 1;
}

static void draw(itr_progress *p, const itr_progress_at *at)
{
    itr_progress_clear(p);
    fputs(p->colour ? "\033[1mepoch\033[0m " : "epoch ", stdout);
    if (at->epochs > 0) {
        printf("%" PRId64 "/%" PRId64, at->epoch, at->epochs);
    } else {
        printf("%" PRId64, at->epoch);
    }
    printf("  step %" PRId64, at->step);
    put_results(p, &p->since);
    const int64_t t = elapsed(p);
    printf("  %" PRId64 " samples/s", p->samples * 1000000 / t);
    const int64_t done = at->step - p->first_step;
    if (done > 0 && at->left > 0) {
        const int64_t per_step = t / done; /* of microseconds; left * t could overflow */
        fputs("  ", stdout);
        put_duration(at->left < INT64_MAX / (per_step + 1) ? at->left * per_step / 1000000 : 0);
        fputs(" left", stdout);
    }
    memset(&p->since, 0, sizeof p->since);
    p->drawn = p->terminal;
    if (!p->terminal) {
        fputc('\n', stdout);
    }
    fflush(stdout);
    p->last = itr_now();
}

void itr_progress_step(itr_progress *p, const itr_progress_at *at, const itr_metrics *metrics)
{
    itr_metrics_add(&p->since, metrics);
    p->samples += metrics->samples;
    const int64_t interval = p->terminal ? SECOND / 10 : SECOND;
    if (!p->quiet && itr_now() - (p->last ? p->last : p->start) >= interval) {
        draw(p, at);
    }
}

void itr_progress_eval(itr_progress *p, int64_t step, const itr_metrics *metrics,
                       const itr_scores *top5)
{
    if (p->quiet) {
        return;
    }
    itr_progress_clear(p);
    printf("eval  step %" PRId64, step);
    put_results(p, metrics);
    if (top5) {
        char text[ITR_DECIMAL_ROOM];
        itr_format_mean(top5->top * 100, 0, top5->rows, 2, text);
        printf("  top-5 %s%%", text);
    }
    printf("  %" PRId64 " samples\n", metrics->samples);
    fflush(stdout);
}

void itr_progress_note(itr_progress *p, const char *text)
{
    if (!p->quiet) {
        itr_progress_clear(p);
        puts(text);
        fflush(stdout);
    }
}

void itr_progress_close(itr_progress *p, const itr_progress_at *at)
{
    if (p->quiet) {
        return;
    }
    if (p->since.samples > 0) {
        draw(p, at);
        if (p->drawn) {
            fputc('\n', stdout);
            p->drawn = false;
        }
    }
    const int64_t t = elapsed(p);
    itr_progress_clear(p);
    printf("done  step %" PRId64 "  %" PRId64 " samples in ", at->step, p->samples);
    printf("%" PRId64 ".%02d s\n", t / 1000000, (int)(t % 1000000 / 10000));
    fflush(stdout);
}
