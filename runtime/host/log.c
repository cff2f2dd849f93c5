#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "log.h"

#include "args.h"
#include "sha256.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

int64_t itr_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + (int64_t)t.tv_nsec;
}

/* A sum of huge losses stays at the end of the range instead of wrapping. */
static int64_t add_saturating(int64_t a, int64_t b)
{
    if (b > 0 ? a > INT64_MAX - b : a < INT64_MIN - b) {
        return b > 0 ? INT64_MAX : INT64_MIN;
    }
    return a + b;
}

void itr_metrics_add(itr_metrics *a, const itr_metrics *b)
{
    a->loss_q24 = add_saturating(a->loss_q24, b->loss_q24);
    a->rows += b->rows;
    a->correct += b->correct;
    a->samples += b->samples;
}

static int fail(const itr_log *log, itr_message *m)
{
    return itr_fail(m, ITR_EXIT_SYSTEM, "E0540", "file \"%s\": cannot be written: %s", log->name,
                    strerror(errno));
}

int itr_log_open(itr_log *log, const char *path, bool append, int64_t every, itr_message *m)
{
    memset(log, 0, sizeof *log);
    log->start = itr_now();
    log->every = every;
    log->name = path;
    if (!path) {
        return 0;
    }
    log->standard_output = strcmp(path, "-") == 0;
    log->file = log->standard_output ? stdout : fopen(path, append ? "a" : "w");
    return log->file ? 0 : fail(log, m);
}

/* The line is out, so that a reader sees whole lines and a full disk is known at once. */
static int end_line(itr_log *log, itr_message *m)
{
    fputs("}\n", log->file);
    return fflush(log->file) == 0 && !ferror(log->file) ? 0 : fail(log, m);
}

void itr_log_string(FILE *f, const char *text)
{
    fputc('"', f);
    for (const char *c = text; *c; c++) {
        const unsigned char u = (unsigned char)*c;
        if (u == '"' || u == '\\') {
            fprintf(f, "\\%c", u);
        } else if (u < 32) {
            fprintf(f, "\\u%04x", u);
        } else {
            fputc(u, f);
        }
    }
    fputc('"', f);
}

static void put_member(FILE *f, const char *key, const char *text)
{
    fprintf(f, ",\"%s\":", key);
    itr_log_string(f, text);
}

static void put_hash(FILE *f, const char *key, const uint8_t hash[32])
{
    char text[65];
    itr_sha256_hex(hash, text);
    put_member(f, key, text);
}

static void put_data(FILE *f, const char *key, const itr_log_data *data)
{
    if (!data->spec) {
        return;
    }
    fprintf(f, ",\"%s\":{\"spec\":", key);
    itr_log_string(f, data->spec);
    fprintf(f, ",\"rows\":%" PRId64 ",\"files\":[", data->set->rows);
    for (int i = 0; i < data->set->file_count; i++) {
        fputs(i ? ",{\"name\":" : "{\"name\":", f);
        itr_log_string(f, data->set->files[i].name);
        put_hash(f, "sha256", data->set->files[i].hash);
        fputc('}', f);
    }
    fputs("]}", f);
}

int itr_log_start(itr_log *log, const itr_model *model, const itr_run *run, int argc, char **argv,
                  int64_t threads, const itr_log_data data[2], itr_message *m)
{
    FILE *f = log->file;
    char text[ITR_DECIMAL_ROOM];
    if (!f) {
        return 0;
    }
    fputs("{\"event\":\"start\",\"program\":\"trainer\"", f);
    put_member(f, "intrain", model->compiler ? model->compiler : "");
    put_member(f, "model", model->name);
    put_member(f, "arith", model->arith);
    put_hash(f, "model_hash", model->model_hash);
    put_hash(f, "plan_hash", model->plan_hash);
    fprintf(f, ",\"settings\":%s,\"arguments\":[",
            model->settings_json && *model->settings_json ? model->settings_json : "{}");
    for (int i = 1; i < argc; i++) {
        fputs(i > 1 ? "," : "", f);
        itr_log_string(f, argv[i]);
    }
    fputc(']', f);
    put_data(f, "data", &data[0]);
    put_data(f, "eval", &data[1]);
    fprintf(f, ",\"batch\":%" PRId32 ",\"micro_batch\":%" PRId32 ",\"seed\":%" PRIu64, model->batch,
            model->micro_batch, run->seed);
    itr_format_scalar(run->schedule.lr, text);
    fprintf(f, ",\"lr\":%s", text);
    itr_format_schedule(&run->schedule, text, sizeof text);
    put_member(f, "schedule", text);
    fprintf(f, ",\"warmup\":%" PRId64 ",\"threads\":%" PRId64 ",\"step\":%" PRId64,
            run->schedule.warmup, threads, run->step);
    return end_line(log, m);
}

static void put_results(FILE *f, const itr_model *model, const itr_metrics *metrics)
{
    char text[ITR_DECIMAL_ROOM];
    itr_format_mean(metrics->loss_q24, 24, metrics->samples, 9, text);
    fprintf(f, ",\"loss\":%s", text);
    if (model->counts_correct) {
        itr_format_mean(metrics->correct, 0, metrics->rows, 6, text);
        fprintf(f, ",\"accuracy\":%s", text);
    }
}

static void put_time(const itr_log *log, int64_t samples)
{
    const int64_t t = (itr_now() - log->start) / 1000;
    fprintf(log->file, ",\"samples\":%" PRId64 ",\"seconds\":%" PRId64 ".%06d", samples,
            t / 1000000, (int)(t % 1000000));
}

int itr_log_step(itr_log *log, const itr_model *model, int64_t step, int64_t epoch, itr_scalar lr,
                 const itr_metrics *metrics, itr_message *m)
{
    log->samples += metrics->samples;
    itr_metrics_add(&log->since, metrics);
    if (!log->file || step % log->every != 0) {
        return 0;
    }
    char text[ITR_DECIMAL_ROOM];
    fprintf(log->file, "{\"event\":\"step\",\"step\":%" PRId64 ",\"epoch\":%" PRId64, step, epoch);
    put_results(log->file, model, &log->since);
    itr_format_scalar(lr, text);
    fprintf(log->file, ",\"lr\":%s", text);
    put_time(log, log->samples);
    memset(&log->since, 0, sizeof log->since);
    return end_line(log, m);
}

void itr_log_warning(itr_log *log, int64_t step, const char *id, const char *text)
{
    if (log->file) {
        fprintf(log->file, "{\"event\":\"warning\",\"step\":%" PRId64, step);
        put_member(log->file, "id", id);
        put_member(log->file, "text", text);
        fputs("}\n", log->file);
    }
}

int itr_log_eval(itr_log *log, const itr_model *model, int64_t step, const itr_metrics *metrics,
                 const itr_scores *top5, itr_message *m)
{
    if (!log->file) {
        return 0;
    }
    fprintf(log->file, "{\"event\":\"eval\",\"step\":%" PRId64, step);
    put_results(log->file, model, metrics);
    if (top5) {
        char text[ITR_DECIMAL_ROOM];
        itr_format_mean(top5->top, 0, top5->rows, 6, text);
        fprintf(log->file, ",\"top5\":%s", text);
    }
    put_time(log, metrics->samples);
    return end_line(log, m);
}

int itr_log_end(itr_log *log, int64_t step, const char *digest, const char *status, itr_message *m)
{
    if (!log->file) {
        return 0;
    }
    fprintf(log->file, "{\"event\":\"end\",\"step\":%" PRId64, step);
    put_member(log->file, "digest", digest);
    put_time(log, log->samples);
    put_member(log->file, "status", status);
    return end_line(log, m);
}

int itr_log_close(itr_log *log, itr_message *m)
{
    FILE *f = log->file;
    log->file = NULL;
    return !f || log->standard_output || fclose(f) == 0 ? 0 : fail(log, m);
}
