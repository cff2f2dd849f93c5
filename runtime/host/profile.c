#include "profile.h"

#include "decimal.h"
#include "log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Chrome takes about 120 bytes an event; more than this is slow to load. */
#define MAX_EVENTS 400000
#define TABLE_ROWS 40

static const char *const part_name[] = {"data", "state"};
static const char *const section_name[] = {"prepare", "forward", "backward",
                                           "update",  "infer",   "score"};

int itr_profile_open(itr_profile *p, const itr_model *model, const char *trace, itr_message *m)
{
    memset(p, 0, sizeof *p);
    p->model = model;
    if (model->node_count == 0) {
        return itr_fail(m, ITR_EXIT_INPUT, "E0503",
                        "--profile and --trace: this trainer was built with ITR_WATCH=0");
    }
    const size_t n = (size_t)model->node_count + ITR_PROFILE_PARTS;
    p->time = calloc(n, sizeof *p->time);
    p->calls = calloc(n, sizeof *p->calls);
    if (!p->time || !p->calls) {
        return itr_fail_memory(m);
    }
    if (trace) {
        p->trace_name = trace;
        p->trace = fopen(trace, "w");
        if (!p->trace) {
            return itr_fail(m, ITR_EXIT_SYSTEM, "E0540", "file \"%s\": cannot be written: %s",
                            trace, strerror(errno));
        }
        fputs("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[", p->trace);
    }
    p->start = p->last = itr_now();
    return 0;
}

void itr_profile_mark(itr_profile *p)
{
    p->last = itr_now();
}

static void put_event(itr_profile *p, const char *name, const char *op, const char *category,
                      int64_t duration)
{
    if (!p->trace || p->events >= MAX_EVENTS) {
        return;
    }
    const int64_t at = p->last - p->start;
    fputs(p->events++ > 0 ? ",\n{\"name\":" : "\n{\"name\":", p->trace);
    itr_log_string(p->trace, name);
    fprintf(p->trace, ",\"cat\":\"%s\",\"ph\":\"X\",\"pid\":1,\"tid\":1", category);
    fprintf(p->trace, ",\"ts\":%" PRId64 ".%03d,\"dur\":%" PRId64 ".%03d", at / 1000,
            (int)(at % 1000), duration / 1000, (int)(duration % 1000));
    if (op) {
        fprintf(p->trace, ",\"args\":{\"op\":\"%s\"}", op);
    }
    fputc('}', p->trace);
}

static void done(itr_profile *p, size_t row, const char *name, const char *op, const char *category)
{
    const int64_t now = itr_now();
    p->time[row] += now - p->last;
    p->calls[row]++;
    put_event(p, name, op, category, now - p->last);
    p->last = p->trace ? itr_now() : now; /* writing the event is nobody's time */
}

void itr_profile_node(itr_profile *p, int32_t node)
{
    const itr_node_info *n = &p->model->nodes[node];
    done(p, (size_t)node, n->name, n->op, section_name[n->section]);
}

void itr_profile_part_done(itr_profile *p, itr_profile_part part)
{
    done(p, (size_t)p->model->node_count + (size_t)part, part_name[part], NULL, "trainer");
}

/* Row of the largest time below `limit` (of equal times the next one); -1: none is left. */
static int64_t next_row(const itr_profile *p, int64_t n, int64_t before)
{
    int64_t best = -1;
    for (int64_t i = 0; i < n; i++) {
        const bool after = before < 0 || p->time[i] < p->time[before] ||
                           (p->time[i] == p->time[before] && i > before);
        if (after && p->calls[i] > 0 && (best < 0 || p->time[i] > p->time[best])) {
            best = i;
        }
    }
    return best;
}

static void print_row(const itr_profile *p, FILE *to, int64_t row, int64_t total)
{
    const itr_node_info *n = row < p->model->node_count ? &p->model->nodes[row] : NULL;
    const int64_t t = p->time[row];
    char share[ITR_DECIMAL_ROOM], ms[ITR_DECIMAL_ROOM], each[ITR_DECIMAL_ROOM];
    itr_format_mean(t, 0, 1000000, 3, ms);
    itr_format_mean(t, 0, total / 100 > 0 ? total / 100 : 1, 1, share);
    itr_format_mean(t, 0, p->calls[row] * 1000, 1, each);
    fprintf(to, "%12s %6s%% %9" PRId64 " %12s  %-8s  %-22s %s\n", ms, share, p->calls[row], each,
            n ? section_name[n->section] : "trainer", n ? n->op : "",
            n ? n->name : part_name[row - p->model->node_count]);
}

void itr_profile_print(const itr_profile *p, FILE *to)
{
    const int64_t n = p->model->node_count + ITR_PROFILE_PARTS;
    int64_t total = 0, used = 0, rest = 0;
    for (int64_t i = 0; i < n; i++) {
        total += p->time[i];
        used += p->calls[i] > 0;
    }
    fprintf(to, "%12s %7s %9s %12s  %-8s  %-22s %s\n", "ms", "share", "calls", "us a call",
            "section", "operator", "node");
    int64_t row = -1;
    for (int64_t k = 0; k < used && k < TABLE_ROWS; k++) {
        row = next_row(p, n, row);
        print_row(p, to, row, total);
        rest += p->time[row];
    }
    char text[ITR_DECIMAL_ROOM];
    if (used > TABLE_ROWS) {
        itr_format_mean(total - rest, 0, 1000000, 3, text);
        fprintf(to, "%12s          in %" PRId64 " more\n", text, used - TABLE_ROWS);
    }
    itr_format_mean(total, 0, 1000000, 3, text);
    fprintf(to, "%12s          in all\n", text);
}

int itr_profile_close(itr_profile *p, itr_message *m)
{
    FILE *f = p->trace;
    p->trace = NULL;
    if (!f) {
        return 0;
    }
    fputs("\n]}\n", f);
    const bool bad = ferror(f) != 0;
    if (fclose(f) != 0 || bad) {
        return itr_fail(m, ITR_EXIT_SYSTEM, "E0540", "file \"%s\": cannot be written: %s",
                        p->trace_name, strerror(errno));
    }
    return 0;
}

void itr_profile_free(itr_profile *p)
{
    if (p->trace) {
        fclose(p->trace);
    }
    free(p->time);
    free(p->calls);
    memset(p, 0, sizeof *p);
}
