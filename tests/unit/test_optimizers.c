/**
 * Whole trainings of a linear model with each optimizer, against torch.optim's formulas written
 * here once more in double precision: the gradient of the mean square is known in closed form.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "passes/optimizer.h"
#include "tests/support/graph_builder.h"

enum { IN = 6, OUT = 5, WEIGHTS = IN * OUT, BATCH = 8, STEPS = 50 };

/* What a reference training holds. */
typedef struct training {
    double w[WEIGHTS], a[WEIGHTS], b[WEIGHTS]; /* weights and two slots */
    int step;
} training;

static void gradient(const double *w, const double *x, const double *t, int rows, double *g)
{
    memset(g, 0, WEIGHTS * sizeof *g);
    for (int r = 0; r < rows; r++) {
        for (int o = 0; o < OUT; o++) {
            double y = -t[r * OUT + o];
            for (int i = 0; i < IN; i++) {
                y += x[r * IN + i] * w[i * OUT + o];
            }
            for (int i = 0; i < IN; i++) {
                g[i * OUT + o] += 2 * y * x[r * IN + i] / (rows * OUT);
            }
        }
    }
}

/* One step as torch.optim's documentation writes it. */
static void advance(const itc_optimizer *o, training *s, double *g, double lr)
{
    s->step++;
    for (int i = 0; i < WEIGHTS; i++) {
        double *w = &s->w[i], *a = &s->a[i], *b = &s->b[i];
        if (o->kind == ITC_ADAMW) {
            *w -= lr * o->decay * *w;
        } else {
            g[i] += o->decay * *w;
        }
        if (o->kind == ITC_SGD) {
            *a = o->momentum * *a + (s->step > 1 || o->first > 0 ? 1 - o->dampening : 1) * g[i];
            *w -= lr * (o->nesterov ? g[i] + o->momentum * *a : *a);
        } else if (o->kind == ITC_ADAM || o->kind == ITC_ADAMW) {
            *a = o->beta1 * *a + (1 - o->beta1) * g[i];
            *b = o->beta2 * *b + (1 - o->beta2) * g[i] * g[i];
            const double t = s->step - 1 + (double)o->first;
            const bool corrects = t > 0 && !o->uncorrected;
            const double c1 = corrects ? 1 - pow(o->beta1, t) : 1;
            const double c2 = corrects ? 1 - pow(o->beta2, t) : 1;
            *w -= o->eps_hat ? lr * sqrt(c2) / c1 * *a / (sqrt(*b) + o->eps)
                             : lr * *a / c1 / (sqrt(*b / c2) + o->eps);
            *w *= 1 - o->post_decay;
        } else if (o->kind == ITC_RMSPROP) {
            *b = o->alpha * *b + (1 - o->alpha) * g[i] * g[i];
            *a = o->momentum * *a + g[i] / (sqrt(*b) + o->eps);
            *w -= lr * *a;
        } else {
            *b += g[i] * g[i];
            *w -= lr * g[i] / (sqrt(*b) + o->eps);
        }
    }
}

typedef struct optimizer_case {
    const char *option;
    const char *more; /* settings */
    double lr;
    double int8, int16; /* how far apart, of the way that the reference went */
} optimizer_case;

static const optimizer_case cases[] = {
    {"sgd", "", 0.1, 0.006, 0.0001},
    {"sgd,momentum=0.9,nesterov,weight-decay=0.01", "", 0.05, 0.006, 0.0001},
    {"adam", "", 0.01, 0.006, 0.0001},
    {"adam,beta1=0,beta2=0.5,eps=0.01,weight-decay=0.1", "", 0.01, 0.006, 0.0001},
    {"adam,eps=0.9", "micro_batch=3", 0.3, 0.006, 0.0001},
    {"sgd,momentum=0.9,dampening=0.5,weight-decay=0.01", "", 0.1, 0.006, 0.0001},
    {"sgd,momentum=0.8,dampening=0.9,nesterov", "micro_batch=3", 0.2, 0.006, 0.0001},
    {"sgd,momentum=0.8,dampening=0.5,first=3", "", 0.1, 0.006, 0.0001},
    {"adam,eps-hat=0.01,first=0,post-decay=0.001", "", 0.01, 0.006, 0.0001},
    {"adam,eps-hat=0.9,first=7,weight-decay=0.1", "", 0.3, 0.006, 0.0001},
    {"adam,uncorrected", "", 0.01, 0.006, 0.0001},
    {"adamw,weight-decay=0.5", "micro_batch=4", 0.01, 0.006, 0.0001},
    {"adamw,weight-decay=0.5", "no_decay=w*", 0.01, 0.006, 0.0001},
    {"sgd,momentum=0.9,weight-decay=0.1", "no_decay=w", 0.05, 0.006, 0.0001},
    {"rmsprop", "", 0.01, 0.006, 0.0001},
    {"rmsprop,alpha=0.9,momentum=0.5,weight-decay=0.01", "", 0.01, 0.006, 0.0001},
    {"adagrad,eps=0.000001", "", 0.1, 0.006, 0.0001},
};

/* |ours - reference| / |reference - start| after STEPS steps, of 5 rows every third time. */
static double train(const optimizer_case *c, const char *arith)
{
    itc_optimizer o;
    bool unknown = false;
    char settings[256];
    double start[WEIGHTS], x[BATCH * IN], t[BATCH * OUT], g[WEIGHTS], ours[WEIGHTS];
    assert_null(itc_optimizer_parse(c->option, &o, &unknown));
    o.decay = strstr(c->more, "no_decay") ? 0 : o.decay;
    (void)snprintf(settings, sizeof settings, "batch=%d loss=mse arith=%s optimizer=%s lr=%g %s",
                   BATCH, arith, c->option, c->lr, c->more);
    gb_model *b = gb_open("in x [N,6]; par w [6,5]; y = MatMul(x, w)", 3, settings);
    const itc_value *w = gb_value(b, "w");
    training s = {.step = 0};
    gb_read(b, w, WEIGHTS, start);
    memcpy(s.w, start, sizeof start);
    for (int step = 0; step < STEPS; step++) {
        const int rows = step % 3 == 2 ? 5 : BATCH;
        gb_refill(b, (uint64_t)step + 10);
        gb_read_port(&b->in[0], rows * IN, x);
        gb_read_port(&b->target[0], rows * OUT, t);
        gradient(s.w, x, t, rows, g);
        advance(&o, &s, g, c->lr);
        gb_step(b, rows);
    }
    gb_read(b, w, WEIGHTS, ours);
    double apart = 0, way = 0;
    for (int i = 0; i < WEIGHTS; i++) {
        apart += (ours[i] - s.w[i]) * (ours[i] - s.w[i]);
        way += (s.w[i] - start[i]) * (s.w[i] - start[i]);
    }
    gb_close(b);
    return sqrt(apart / way);
}

static void optimizers_are_those_of_torch(void **state)
{
    const optimizer_case *c = *state;
    const double f32 = train(c, "float32"), i16 = train(c, "int16"), i8 = train(c, "int8");
    print_message("float32 %.1e, int16 %.1e, int8 %.1e\n", f32, i16, i8);
    assert_true(f32 <= 2e-6);
    assert_true(i16 <= c->int16);
    assert_true(i8 <= c->int8);
}

static void what_the_option_says(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "sg",
                                      "sgdx",
                                      "sgd,",
                                      "sgd,momentum",
                                      "sgd,momentum=",
                                      "sgd,momentum=1",
                                      "sgd,momentum=-0.1",
                                      "sgd,momentum=nan",
                                      "sgd,momentum=0x0",
                                      "sgd,nesterov",
                                      "sgd,beta1=0.9",
                                      "adam,alpha=0.9",
                                      "adam,beta1=0.9x",
                                      "adam,nesterov",
                                      "rmsprop,beta2=0.5",
                                      "adagrad,momentum=0.5",
                                      "sgd,dampening=1",
                                      "sgd,first=",
                                      "sgd,first=-1",
                                      "sgd,first=1x",
                                      "sgd,first=9999999999",
                                      "sgd,eps-hat=0.5",
                                      "sgd,uncorrected",
                                      "adagrad,first=1",
                                      "adamw,post-decay=0.1",
                                      "adamw,eps=1"};
    itc_optimizer o;
    bool unknown = false;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_non_null(itc_optimizer_parse(bad[i], &o, &unknown));
        assert_int_equal(unknown, i < 3);
    }
    assert_null(itc_optimizer_parse("adamw,beta1=0.5,eps=1e-6", &o, &unknown));
    assert_int_equal(o.kind, ITC_ADAMW);
    assert_true(fabs(o.beta1 - 0.5) < 1e-12 && fabs(o.beta2 - 0.999) < 1e-12);
    assert_true(fabs(o.eps - 1e-6) < 1e-18 && fabs(o.decay - 0.01) < 1e-12);
}

/* A gradient of zero moves nothing: 0 / (sqrt(0) + eps) is 0 whatever the exponents are. */
static void nothing_moves_without_a_gradient(void **state)
{
    (void)state;
    static const char *const kinds[] = {"adam", "rmsprop,momentum=0.9", "adagrad"};
    for (int k = 0; k < 3; k++) {
        char settings[128];
        double before[WEIGHTS], after[WEIGHTS];
        (void)snprintf(settings, sizeof settings, "batch=8 loss=mse lr=0.1 optimizer=%s", kinds[k]);
        gb_model *b = gb_open("in x [N,6] 0..0; par w [6,5]; y = MatMul(x, w)", 3, settings);
        gb_read(b, gb_value(b, "w"), WEIGHTS, before);
        for (int i = 0; i < 5; i++) {
            gb_step(b, BATCH);
        }
        gb_read(b, gb_value(b, "w"), WEIGHTS, after);
        assert_memory_equal(before, after, sizeof before);
        gb_close(b);
    }
}

int main(void)
{
    enum { CASES = sizeof cases / sizeof cases[0] };
    struct CMUnitTest tests[CASES + 2];
    for (int i = 0; i < CASES; i++) {
        tests[i] = (struct CMUnitTest){.name = cases[i].option,
                                       .test_func = optimizers_are_those_of_torch,
                                       .initial_state = (void *)(uintptr_t)&cases[i]};
    }
    tests[CASES] = (struct CMUnitTest)cmocka_unit_test(what_the_option_says);
    tests[CASES + 1] = (struct CMUnitTest)cmocka_unit_test(nothing_moves_without_a_gradient);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
