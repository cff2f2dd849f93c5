/**
 * A toy model for the tests of the trainer's program: y = w.x + b over two inputs in plain int64
 * arithmetic, with stochastic rounding from (seed, step) so that a wrong resume shows.
 */
#ifndef ITR_TESTS_HOST_TOY_H
#define ITR_TESTS_HOST_TOY_H

#include "runtime/itr.h"
#include "runtime/rng.h"
#include "runtime/tensors.h"

#include <string.h>

typedef struct toy_state {
    itr_run run;
    int32_t exponents[3];
    int16_t w[3];
    int16_t momentum[3];
    int32_t seen;       /* a statistic: rows trained on */
    uint8_t table[2];   /* a constant */
    int64_t diverge_at; /* not a tensor */
} toy_state;

static const itr_port_info toy_input = {.name = "x", .rank = 1, .dims = {2}, .elements = 2};
static const itr_port_info toy_target = {.name = "y", .rank = 1, .dims = {1}, .elements = 1};

static const itr_tensor_info toy_tensors[] = {
    {"w", ITR_PARAM, ITR_I16, 1, {3}, offsetof(toy_state, w), 0, 1, 15, 0},
    {"w.momentum", ITR_SLOT, ITR_I16, 1, {3}, offsetof(toy_state, momentum), 1, 1, 15, 0},
    {"seen", ITR_STAT, ITR_I32, 0, {0}, offsetof(toy_state, seen), 2, 1, 31, 0},
    {"table", ITR_CONST, ITR_U8, 1, {2}, offsetof(toy_state, table), -1, 0, 8, 0},
};

static itr_run *toy_run(void *state)
{
    return &((toy_state *)state)->run;
}

static int32_t *toy_exponents(void *state)
{
    return ((toy_state *)state)->exponents;
}

static int64_t toy_value(const itr_array *a, int32_t i)
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

/* The prediction's error of a row in units of 2^-8, and the squared error in Q24. */
static int64_t toy_error(const toy_state *s, const itr_array *x, const itr_array *y, int32_t row)
{
    const int64_t guess =
        s->w[0] * toy_value(x, 2 * row) + s->w[1] * toy_value(x, 2 * row + 1) + s->w[2];
    return guess - toy_value(y, row) * 256;
}

static void toy_count(itr_metrics *m, int64_t error)
{
    m->loss_q24 += error * error * 256; /* (error / 2^8)^2 * 2^24 */
    m->rows++;
    m->samples++;
}

static itr_status toy_step(void *state, const itr_array *x, const itr_array *y, int32_t n,
                           itr_metrics *metrics)
{
    toy_state *s = state;
    int64_t sum[3] = {0, 0, 0};
    if (s->diverge_at > 0 && s->run.step + 1 >= s->diverge_at) {
        return ITR_DIVERGED;
    }
    for (int32_t i = 0; i < n; i++) {
        const int64_t error = toy_error(s, x, y, i);
        toy_count(metrics, error);
        sum[0] += error * toy_value(x, 2 * i);
        sum[1] += error * toy_value(x, 2 * i + 1);
        sum[2] += error;
    }
    const uint32_t counter[4] = {0, 0, (uint32_t)s->run.step, 7 << 8};
    const uint32_t key[2] = {(uint32_t)s->run.seed, (uint32_t)(s->run.seed >> 32)};
    uint32_t random[4];
    itr_philox(counter, key, random);
    const itr_scalar lr = itr_schedule_at(&s->run.schedule, s->run.step);
    const int64_t rate = lr.e >= -30 ? 0 : (int64_t)lr.m >> (-30 - lr.e < 62 ? -30 - lr.e : 62);
    for (int i = 0; i < 3; i++) {
        const int64_t g = ((sum[i] / n) * (rate >> 10) + (random[i] & 0xFFFFF)) >> 20;
        const int64_t m = (s->momentum[i] >> 1) + g;
        s->momentum[i] = (int16_t)(m > 3000 ? 3000 : m < -3000 ? -3000 : m);
        const int64_t w = s->w[i] - s->momentum[i];
        s->w[i] = (int16_t)(w > 30000 ? 30000 : w < -30000 ? -30000 : w);
    }
    s->seen += n;
    s->run.step++;
    return ITR_OK;
}

static itr_status toy_score(void *state, const itr_array *x, const itr_array *y, int32_t n,
                            itr_metrics *metrics)
{
    for (int32_t i = 0; i < n; i++) {
        toy_count(metrics, toy_error(state, x, y, i));
    }
    return ITR_OK;
}

static itr_status toy_init(void *state, itr_read_fn read, void *user);

static const itr_model toy_model = {
    .name = "toy",
    .arith = "int16",
    .compiler = "0.0",
    .plan_hash = {1, 2, 3},
    .model_hash = {4, 5, 6},
    .batch = 4,
    .micro_batch = 4,
    .state_size = sizeof(toy_state),
    .inputs = &toy_input,
    .targets = &toy_target,
    .input_count = 1,
    .target_count = 1,
    .tensors = toy_tensors,
    .tensor_count = 4,
    .schedule = {.kind = ITR_SCHEDULE_CONSTANT, .lr = {1 << 30, -36}},
    .seed = 0,
    .settings_json = "{\"loss\":\"mse\"}",
    .init = toy_init,
    .step = toy_step,
    .score = toy_score,
    .run = toy_run,
    .exponents = toy_exponents,
};

static itr_status toy_init(void *state, itr_read_fn read, void *user)
{
    return itr_tensors_read(&toy_model, state, read, user);
}

/* A state as the compiler would write it to MODEL_data.bin. */
static void toy_fill(toy_state *s)
{
    memset(s, 0, sizeof *s);
    s->exponents[0] = -8;
    s->exponents[1] = -8;
    s->w[0] = 100;
    s->w[1] = -3;
    s->table[1] = 200;
}

#endif
