#include "stats.h"

#include "../numeric.h"
#include "../tensors.h"
#include "decimal.h"
#include "log.h"
#include "sha256.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static int fail(const itr_stats *s, itr_message *m)
{
    return itr_fail(m, ITR_EXIT_SYSTEM, "E0540", "file \"%s\": cannot be written: %s", s->name,
                    strerror(errno));
}

static bool is_mantissa(itr_dtype t)
{
    return t == ITR_I8 || t == ITR_I16 || t == ITR_I32;
}

static int allocate(itr_stats *s, itr_message *m)
{
    const itr_model *model = s->model;
    const size_t tensors = (size_t)model->tensor_count, nodes = (size_t)model->node_count;
    s->watched = calloc(nodes + 1, sizeof *s->watched);
    s->node = calloc(nodes + 1, sizeof *s->node);
    s->node_exponent = calloc(nodes + 1, sizeof *s->node_exponent);
    s->memory = calloc(tensors + nodes + 1, sizeof *s->memory);
    s->before = calloc(tensors + 1, sizeof *s->before);
    s->exponent_before = calloc(tensors + 1, sizeof *s->exponent_before);
    bool ok =
        s->watched && s->node && s->node_exponent && s->memory && s->before && s->exponent_before;
    for (size_t i = 0; i < tensors && ok; i++) {
        const itr_tensor_info *t = &model->tensors[i];
        if (t->kind == ITR_PARAM && is_mantissa(t->dtype)) {
            s->before[i] = malloc((size_t)itr_tensor_elements(t) * itr_dtype_size(t->dtype) + 1);
            ok = s->before[i] != NULL;
        }
        if (ok && t->gradient > 0) {
            s->watched[t->gradient - 1] = model->nodes[t->gradient - 1].exp_index >= 0;
        }
    }
    for (size_t i = 0; i < nodes && ok; i++) {
        const itr_node_info *n = &model->nodes[i];
        s->watched[i] = s->watched[i] || (n->bits > 0 && n->section < ITR_SECTION_UPDATE);
    }
    return ok ? 0 : itr_fail_memory(m);
}

int itr_stats_open(itr_stats *s, const itr_model *model, const itr_run *run, const char *path,
                   int64_t every, bool append, itr_message *m)
{
    char hash[65];
    memset(s, 0, sizeof *s);
    s->model = model;
    s->name = path;
    s->every = every;
    if (strcmp(model->arith, "float32") == 0 || model->node_count == 0) {
        return itr_fail(m, ITR_EXIT_INPUT, "E0503",
                        "--stats: this trainer has no mantissas to watch");
    }
    const int code = allocate(s, m);
    if (code != 0) {
        return code;
    }
    s->file = fopen(path, append ? "a" : "w");
    if (!s->file) {
        return fail(s, m);
    }
    itr_sha256_hex(model->plan_hash, hash);
    fputs("{\"event\":\"stats-start\",\"model\":", s->file);
    itr_log_string(s->file, model->name);
    fprintf(s->file, ",\"arith\":\"%s\",\"plan_hash\":\"%s\",\"seed\":%" PRIu64, model->arith, hash,
            run->seed);
    fprintf(s->file, ",\"every\":%" PRId64 "}\n", every);
    return fflush(s->file) == 0 ? 0 : fail(s, m);
}

void itr_stats_begin(itr_stats *s, const void *state, const int32_t *exponents, int64_t step)
{
    const itr_model *model = s->model;
    s->active = step % s->every == 0;
    if (!s->active) {
        return;
    }
    memset(s->node, 0, (size_t)model->node_count * sizeof *s->node);
    for (int32_t i = 0; i < model->tensor_count; i++) {
        const itr_tensor_info *t = &model->tensors[i];
        if (s->before[i]) {
            memcpy(s->before[i], (const uint8_t *)state + t->offset,
                   (size_t)itr_tensor_elements(t) * itr_dtype_size(t->dtype));
            s->exponent_before[i] = exponents[t->exp_index];
        }
    }
}

static int64_t mantissa(const void *x, itr_dtype dtype, int64_t i)
{
    switch (dtype) {
    case ITR_I8:
        return ((const int8_t *)x)[i];
    case ITR_I16:
        return ((const int16_t *)x)[i];
    case ITR_I64:
        return ((const int64_t *)x)[i];
    default:
        return ((const int32_t *)x)[i];
    }
}

static void count(itr_stats_count *c, const void *x, itr_dtype dtype, int32_t bits, int64_t n)
{
    const uint64_t limit = (uint64_t)itr_limit(bits + 1);
    for (int64_t i = 0; i < n; i++) {
        const uint64_t v = itr_abs64(mantissa(x, dtype, i));
        c->zeros += v == 0;
        c->extremes += v == limit;
        c->largest = v > c->largest ? v : c->largest;
    }
    c->elements += n;
}

void itr_stats_after(itr_stats *s, const void *state, const int32_t *exponents, int32_t node,
                     int64_t rows)
{
    const itr_node_info *n = &s->model->nodes[node];
    if (!s->active || !s->watched[node]) {
        return;
    }
    if (n->dtype == ITR_I64) { /* a sum over the micro-batches: the last is the whole */
        memset(&s->node[node], 0, sizeof s->node[node]);
    }
    count(&s->node[node], (const uint8_t *)state + n->offset, n->dtype, n->bits ? n->bits : 62,
          n->per_row ? n->elements * rows : n->elements);
    s->node_exponent[node] = exponents[n->exp_index];
}

/* num / den as a decimal of 6 digits; 0 for den = 0. */
static void put_ratio(FILE *f, const char *key, uint64_t num, uint64_t den)
{
    char text[ITR_DECIMAL_ROOM];
    itr_scalar q = {0, 0};
    if (num > 0 && den > 0) {
        const int up = 62 - itr_bitlen64(num); /* num * 2^up / den' has 31 bits or more */
        const int down = itr_bitlen64(den) > 31 ? itr_bitlen64(den) - 31 : 0;
        uint64_t v = (num << up) / (den >> down);
        const int s = itr_bitlen64(v) > 31 ? itr_bitlen64(v) - 31 : 0;
        v >>= s;
        q.m = (int32_t)v;
        q.e = s - up - down;
    }
    itr_format_scalar(q, text);
    fprintf(f, ",\"%s\":%s", key, text);
}

static int64_t top_of(const itr_stats_count *c, int32_t exponent)
{
    return (int64_t)exponent + itr_bitlen64(c->largest);
}

static void put_counts(FILE *f, const itr_stats_count *c, int32_t exponent)
{
    fprintf(f, ",\"elements\":%" PRId64 ",\"exponent\":%" PRId32, c->elements, exponent);
    if (c->largest > 0) {
        fprintf(f, ",\"top\":%" PRId64, top_of(c, exponent));
    }
    put_ratio(f, "zeros", (uint64_t)c->zeros, (uint64_t)c->elements);
    put_ratio(f, "extremes", (uint64_t)c->extremes, (uint64_t)c->elements);
}

static void put_head(FILE *f, int64_t step, const char *tensor, const char *kind)
{
    fprintf(f, "{\"event\":\"stats\",\"step\":%" PRId64 ",\"tensor\":", step);
    itr_log_string(f, tensor);
    fprintf(f, ",\"kind\":\"%s\"", kind);
}

/* How far a tensor went in the step, on the finer of its two grids. */
typedef struct movement {
    uint64_t moved, sum_change, sum_before;
} movement;

static movement compare(const itr_tensor_info *t, const void *before, int32_t e_before,
                        const void *after, int32_t e_after)
{
    movement r = {0, 0, 0};
    const int64_t n = itr_tensor_elements(t);
    const int gap = e_after > e_before ? e_after - e_before : e_before - e_after;
    const int up = gap < 24 ? gap : 24;
    /* so many bits less that n sums fit 63 */
    const int bits = (int)itr_dtype_size(t->dtype) * 8 + up + itr_bitlen64((uint64_t)n);
    const int down = bits > 62 ? bits - 62 : 0;
    for (int64_t i = 0; i < n; i++) {
        const int64_t a = itr_shl64(mantissa(before, t->dtype, i), e_before > e_after ? up : 0);
        const int64_t b = itr_shl64(mantissa(after, t->dtype, i), e_after > e_before ? up : 0);
        r.moved += a != b;
        r.sum_change += itr_abs64(a - b) >> down;
        r.sum_before += itr_abs64(a) >> down;
    }
    return r;
}

/* A warning on its way to the file and to whoever is told. */
typedef struct teller {
    itr_stats *s;
    int64_t step;
    void (*tell)(void *user, const char *id, const char *text);
    void *user;
} teller;

static void warn(const teller *w, const char *id, const char *tensor)
{
    FILE *f = w->s->file;
    fprintf(f, "{\"event\":\"warning\",\"step\":%" PRId64 ",\"id\":\"%s\",\"tensor\":", w->step,
            id);
    itr_log_string(f, tensor);
    fputs(",\"text\":", f);
    itr_log_string(f, w->s->warning);
    fputs("}\n", f);
    w->tell(w->user, id, w->s->warning);
}

static void judge_growth(const teller *w, itr_stats_memory *k, const itr_stats_count *c,
                         int32_t exponent, const char *tensor)
{
    const int64_t top = top_of(c, exponent);
    if (c->largest == 0) {
        return; /* the exponent of nothing means nothing */
    }
    if (!k->seen) {
        k->seen = true;
        k->first = top;
    }
    const bool grown = top - k->first >= ITR_STATS_GROWTH;
    if (grown && !k->warned_growth) {
        snprintf(w->s->warning, sizeof w->s->warning,
                 "step %" PRId64 ": the exponent of \"%s\" runs away: values up to 2^%" PRId64
                 ", first up to 2^%" PRId64,
                 w->step, tensor, top, k->first);
        warn(w, "W0551", tensor);
    }
    k->warned_growth = grown;
}

static void judge_still(const teller *w, itr_stats_memory *k, bool moved, bool gradient_is_zero,
                        const char *tensor)
{
    k->still = moved ? 0 : k->still + 1;
    const bool starves = k->still >= ITR_STATS_STILL;
    if (starves && !k->warned_still) {
        snprintf(w->s->warning, sizeof w->s->warning,
                 "step %" PRId64 ": \"%s\" starves: no element changed in the last %" PRId32
                 " observed steps: %s",
                 w->step, tensor, k->still,
                 gradient_is_zero ? "its gradient is zero" : "its updates round to nothing");
        warn(w, "W0550", tensor);
    }
    k->warned_still = starves;
}

static void end_tensor(const teller *w, int32_t i, const void *state, const int32_t *exponents,
                       bool rate_is_zero)
{
    itr_stats *s = w->s;
    const itr_tensor_info *t = &s->model->tensors[i];
    const uint8_t *x = (const uint8_t *)state + t->offset;
    const int32_t exponent = exponents[t->exp_index];
    itr_stats_count c = {0, 0, 0, 0};
    count(&c, x, t->dtype, t->bits, itr_tensor_elements(t));
    put_head(s->file, w->step, t->name, t->kind == ITR_PARAM ? "param" : "slot");
    put_counts(s->file, &c, exponent);
    movement r = {1, 0, 0};
    bool gradient_is_zero = false;
    if (s->before[i]) {
        r = compare(t, s->before[i], s->exponent_before[i], x, exponent);
        put_ratio(s->file, "update_ratio", r.sum_change, r.sum_before);
        put_ratio(s->file, "moved", r.moved, (uint64_t)c.elements);
        if (t->gradient > 0 && s->watched[t->gradient - 1]) {
            const itr_stats_count *g = &s->node[t->gradient - 1];
            const int32_t e = s->node_exponent[t->gradient - 1];
            fprintf(s->file, ",\"gradient_exponent\":%" PRId32, e);
            gradient_is_zero = g->largest == 0;
            if (!gradient_is_zero) {
                fprintf(s->file, ",\"gradient_top\":%" PRId64, top_of(g, e));
            }
        }
    }
    fputs("}\n", s->file);
    judge_growth(w, &s->memory[i], &c, exponent, t->name);
    if (s->before[i] && !rate_is_zero) {
        judge_still(w, &s->memory[i], r.moved > 0, gradient_is_zero, t->name);
    }
}

static void end_node(const teller *w, int32_t i)
{
    itr_stats *s = w->s;
    const itr_node_info *n = &s->model->nodes[i];
    if (n->bits == 0 || s->node[i].elements == 0) {
        return;
    }
    put_head(s->file, w->step, n->value, n->role);
    fputs(",\"node\":", s->file);
    itr_log_string(s->file, n->name);
    put_counts(s->file, &s->node[i], s->node_exponent[i]);
    fputs("}\n", s->file);
    judge_growth(w, &s->memory[s->model->tensor_count + i], &s->node[i], s->node_exponent[i],
                 n->value);
}

int itr_stats_end(itr_stats *s, const void *state, const int32_t *exponents, int64_t step,
                  bool rate_is_zero, void (*tell)(void *user, const char *id, const char *text),
                  void *user, itr_message *m)
{
    const teller w = {s, step, tell, user};
    if (!s->active) {
        return 0;
    }
    s->active = false;
    for (int32_t i = 0; i < s->model->tensor_count; i++) {
        const itr_tensor_info *t = &s->model->tensors[i];
        if ((t->kind == ITR_PARAM || t->kind == ITR_SLOT) && is_mantissa(t->dtype)) {
            end_tensor(&w, i, state, exponents, rate_is_zero);
        }
    }
    for (int32_t i = 0; i < s->model->node_count; i++) {
        end_node(&w, i);
    }
    return fflush(s->file) == 0 && !ferror(s->file) ? 0 : fail(s, m);
}

int itr_stats_close(itr_stats *s, itr_message *m)
{
    FILE *f = s->file;
    s->file = NULL;
    return !f || fclose(f) == 0 ? 0 : fail(s, m);
}

void itr_stats_free(itr_stats *s)
{
    for (int32_t i = 0; s->before && i < s->model->tensor_count; i++) {
        free(s->before[i]);
    }
    if (s->file) {
        fclose(s->file);
    }
    free(s->watched);
    free(s->node);
    free(s->node_exponent);
    free(s->memory);
    free(s->before);
    free(s->exponent_before);
    memset(s, 0, sizeof *s);
}
