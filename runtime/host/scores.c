#include "scores.h"

#include "file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int itr_scores_open(itr_scores *s, const itr_model *model, bool confusion, itr_message *m)
{
    memset(s, 0, sizeof *s);
    s->model = model;
    if (model->loss_count == 0) {
        return itr_fail(m, ITR_EXIT_INPUT, "E0504",
                        "--top5 and --confusion need a loss that compares scores with classes");
    }
    s->classes = model->losses[0].axis;
    s->sample = calloc((size_t)model->loss_count, sizeof *s->sample);
    if (confusion) {
        const size_t n = (size_t)s->classes;
        s->confusion =
            n < SIZE_MAX / n / sizeof *s->confusion ? calloc(n * n, sizeof *s->confusion) : NULL;
    }
    return s->sample && (!confusion || s->confusion) ? 0 : itr_fail_memory(m);
}

void itr_scores_clear(itr_scores *s)
{
    s->rows = 0;
    s->top = 0;
    if (s->confusion) {
        const size_t n = (size_t)s->classes;
        memset(s->confusion, 0, n * n * sizeof *s->confusion);
    }
}

void itr_scores_begin(itr_scores *s, const itr_array *targets)
{
    s->targets = targets;
    memset(s->sample, 0, (size_t)s->model->loss_count * sizeof *s->sample);
}

/* A score in the order of the numbers; floats by their bits, so that no float is compared. */
static int64_t score_at(const uint8_t *x, itr_dtype dtype, int64_t i)
{
    uint32_t bits;
    int32_t v;
    switch (dtype) {
    case ITR_I8:
        return ((const int8_t *)x)[i];
    case ITR_I16:
        return ((const int16_t *)(const void *)x)[i];
    case ITR_F32:
        memcpy(&bits, x + 4 * (size_t)i, sizeof bits);
        return bits >> 31 ? -(int64_t)(bits & INT32_MAX) : (int64_t)bits;
    default:
        memcpy(&v, x + 4 * (size_t)i, sizeof v);
        return v;
    }
}

static int64_t id_at(const itr_array *a, int64_t i)
{
    switch (a->dtype) {
    case ITR_U8:
        return ((const uint8_t *)a->data)[i];
    case ITR_I8:
        return ((const int8_t *)a->data)[i];
    case ITR_I16:
        return ((const int16_t *)a->data)[i];
    default:
        return ((const int32_t *)a->data)[i];
    }
}

/* One position: `axis` scores, `stride` apart from `first` on. */
static void count_row(itr_scores *s, const itr_loss_info *l, const uint8_t *x, int64_t first,
                      int64_t id)
{
    const int64_t own = score_at(x, l->dtype, first + id * l->inner);
    int64_t largest = 0, best = INT64_MIN, before = 0;
    for (int64_t c = 0; c < l->axis; c++) {
        const int64_t v = score_at(x, l->dtype, first + c * l->inner);
        before += v > own || (v == own && c < id);
        if (v > best) {
            best = v;
            largest = c;
        }
    }
    s->rows++;
    s->top += before < ITR_TOP_SCORES;
    if (s->confusion && l == s->model->losses) {
        s->confusion[id * s->classes + largest]++;
    }
}

void itr_scores_after(itr_scores *s, const void *state, int32_t node)
{
    for (int32_t k = 0; k < s->model->loss_count; k++) {
        const itr_loss_info *l = &s->model->losses[k];
        if (l->node != node) {
            continue;
        }
        const uint8_t *x = (const uint8_t *)state + l->offset;
        const int64_t rows = l->outer * l->inner, sample = s->sample[k]++;
        for (int64_t i = 0; i < rows; i++) {
            const int64_t id = id_at(&s->targets[l->target], sample * rows + i);
            const bool counts =
                id >= 0 && id < l->axis && (id != l->ignore_index || id == INT32_MIN);
            if (counts) {
                count_row(s, l, x, i / l->inner * l->axis * l->inner + i % l->inner, id);
            }
        }
    }
}

static bool write_table(void *user, bool (*write)(void *, const void *, size_t), void *out)
{
    const itr_scores *s = user;
    char text[32];
    bool ok = write(out, "target", 6);
    for (int64_t c = 0; c < s->classes && ok; c++) {
        const int n = snprintf(text, sizeof text, ",%" PRId64, c);
        ok = write(out, text, (size_t)n);
    }
    for (int64_t t = 0; t < s->classes && ok; t++) {
        int n = snprintf(text, sizeof text, "\n%" PRId64, t);
        ok = write(out, text, (size_t)n);
        for (int64_t c = 0; c < s->classes && ok; c++) {
            n = snprintf(text, sizeof text, ",%" PRId64, s->confusion[t * s->classes + c]);
            ok = write(out, text, (size_t)n);
        }
    }
    return ok && write(out, "\n", 1);
}

int itr_scores_write(const itr_scores *s, const char *path, itr_message *m)
{
    return itr_file_replace(path, write_table, (void *)(uintptr_t)s, m);
}

void itr_scores_free(itr_scores *s)
{
    free(s->sample);
    free(s->confusion);
    memset(s, 0, sizeof *s);
}
