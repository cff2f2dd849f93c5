#include "tests/support/grad_check.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/graph_builder.h"
#include "tests/support/ref_f64.h"

/** How near a gradient must be, and the loss. */
typedef struct arithmetic_bar {
    const char *name;
    double gradient, loss;
} arithmetic_bar;

static const arithmetic_bar bars[] = {
    {"float32", 1e-4, 1e-5}, {"int16", 2e-3, 2e-4}, {"int8", 0.2, 0.05}};

#define SMOOTH 1e-5
#define STEP 2e-4
#define RATE 16.0

typedef struct trial {
    const grad_case *c;
    gb_model *import; /**< what ref stands on */
    ref_model *ref;
    double *target[GB_MAX_PORTS]; /**< as numbers, in the model's order */
    int next_target;
} trial;

static double loss_of(trial *t, const itc_value *v);

/** The model's own loss: cross-entropies, means and sums, their sums, and multiples by constants.
 */
static double graph_loss(trial *t, const itc_value *v)
{
    const itc_node *n = v->def;
    if (strcmp(n->op->name, "Add") == 0) {
        return graph_loss(t, n->in[0]) + graph_loss(t, n->in[1]);
    }
    if (strcmp(n->op->name, "Mul") == 0) {
        return graph_loss(t, n->in[0]) * t->ref->value[n->in[1]->id].x[0];
    }
    if (strncmp(n->op->name, "Reduce", 6) == 0) {
        const ref_tensor *x = &t->ref->value[n->in[0]->id];
        const char *how = n->op->name + 6;
        double sum = 0;
        for (int64_t i = 0; i < x->count; i++) {
            const double e = x->x[i];
            sum += strcmp(how, "SumSquare") == 0 ? e * e : strcmp(how, "L1") == 0 ? fabs(e) : e;
        }
        return strcmp(how, "Mean") == 0 ? sum / (double)x->count : sum;
    }
    const double *ids = t->ref->value[n->in[1]->id].x;
    const double *weights = n->n_in > 2 ? t->ref->value[n->in[2]->id].x : NULL;
    const itc_attr *how = itc_attr_find(n, "reduction");
    return ref_weighted_cross_entropy(t->ref, n->in[0], 1, ids, 0,
                                      t->c->ignore > 0 ? t->c->ignore : -1, weights,
                                      how && strcmp(how->u.s, "sum") == 0);
}

static double loss_of(trial *t, const itc_value *v)
{
    const grad_case *c = t->c;
    const char *kind = c->loss ? c->loss : "mse";
    const double weight = c->weight > 0 ? c->weight : 1;
    if (strncmp(kind, "cross-entropy", 13) == 0) {
        return weight * ref_cross_entropy(t->ref, v, c->axis ? c->axis : 1, t->target[0],
                                          c->smoothing, c->ignore > 0 ? c->ignore : -1);
    }
    return strcmp(kind, "graph") == 0 ? graph_loss(t, v)
                                      : weight * ref_mse(t->ref, v, t->target[0]);
}

/** The loss of the case whose only loss is on the first output; of several, those of all. */
static double forward(trial *t)
{
    const itc_graph *g = t->import->g;
    ref_forward(t->ref);
    double sum = 0;
    if (g->n_outputs == 1) {
        return loss_of(t, g->outputs[0].value);
    }
    for (int i = 0; i < g->n_outputs; i++) { /* "y=mse;z=cross-entropy", in that order */
        sum += i == 0 ? ref_mse(t->ref, g->outputs[0].value, t->target[0])
                      : ref_cross_entropy(t->ref, g->outputs[1].value, 1, t->target[1], 0, -1);
    }
    return sum;
}

static double difference(trial *t, double *x, double h)
{
    const double at = *x;
    *x = at + h;
    const double up = forward(t);
    *x = at - h;
    const double down = forward(t);
    *x = at;
    return (up - down) / (2 * h);
}

static double norm(const double *v, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += v[i] * v[i];
    }
    return sqrt(sum);
}

/** The random numbers that the section drew are those of the reference's value "dropped". */
static void share_random(trial *t, gb_model *b, itc_section section, int32_t n)
{
    static const char *const names[] = {"Dropout", "DropoutMask", "Noise", "NoiseMantissas"};
    const itc_value *as = itc_value_find(t->import->g, "dropped");
    for (int k = 0; as && k < b->g->section[section].n; k++) {
        const itc_node *node = b->g->section[section].node[k];
        for (int i = 0; i < 4; i++) {
            if (strcmp(node->op->name, names[i]) == 0) {
                const itc_value *drawn = node->out[i == 0];
                const int64_t count = gb_count(drawn, n);
                t->ref->mask[as->id].x = ITC_NEW_ARRAY(b->ctx, double, count + 1);
                gb_read(b, drawn, count, t->ref->mask[as->id].x);
            }
        }
    }
}

/** What the model under test and the reference have in common. */
static void share_data(trial *t, gb_model *b, int32_t n)
{
    for (int i = 0; i < b->m->input_count; i++) {
        ref_tensor *x = ref_value(t->ref, b->m->inputs[i].name);
        gb_read_port(&b->in[i], x->count, x->x);
    }
    for (int i = 0; i < b->m->target_count; i++) {
        const int64_t count = b->m->targets[i].elements * n;
        const itc_value *own = itc_value_find(t->import->g, b->m->targets[i].name);
        t->target[i] = ITC_NEW_ARRAY(b->ctx, double, count + 1);
        gb_read_port(&b->target[i], count, t->target[i]);
        if (own && own->kind == ITC_VALUE_INPUT) { /* the ids of a loss in the graph */
            memcpy(t->ref->value[own->id].x, t->target[i], sizeof(double) * (size_t)count);
        }
    }
    share_random(t, b, ITC_PREPARE, n);
    share_random(t, b, ITC_FORWARD, n);
}

/** Distance of the gradient from the differences, of their norm. */
static double compare(trial *t, const itc_value *w, const double *got, const char *text)
{
    ref_tensor *x = ref_value(t->ref, w->onnx);
    double *want = ITC_NEW_ARRAY(t->import->ctx, double, 2 * x->count + 2);
    double *rough = want + x->count + 1;
    for (int64_t i = 0; i < x->count; i++) {
        rough[i] = difference(t, &x->x[i], STEP);
        const double fine = difference(t, &x->x[i], STEP / 2);
        want[i] = (4 * fine - rough[i]) / 3;
        rough[i] -= fine;
    }
    const double size = norm(want, x->count), kink = norm(rough, x->count);
    for (int64_t i = 0; i < x->count; i++) {
        rough[i] = got[i] - want[i];
    }
    const double error = norm(rough, x->count);
    if (!(size > 1e-4)) {
        fail_msg("%s: the gradient of %s is %g, too small to tell", text, w->name, size);
    }
    if (!(kink <= SMOOTH * size)) {
        fail_msg("%s: not smooth around %s: %g of %g", text, w->name, kink, size);
    }
    return error / size;
}

static void check_loss(const gb_model *b, double want, double bar, const char *text)
{
    const double got = ldexp((double)b->metrics.loss_q24, -24) / (double)b->metrics.samples;
    if (!(fabs(got - want) <= bar * fabs(want) + 1e-6)) {
        fail_msg("%s: the loss is %.9g, expected %.9g", text, got, want);
    }
}

/** Worst distance of a parameter's gradient; *name becomes that parameter. */
static double run_case(const grad_case *c, const arithmetic_bar *arith, int32_t n, char *name,
                       size_t room)
{
    trial t = {.c = c, .import = gb_new(c->reference ? c->reference : c->text, 7)};
    gb_model *b = gb_new(c->text, 7);
    gb_set(b, "batch=3 optimizer=sgd lr=16");
    gb_set(b, itc_format(b->ctx, "arith=%s", arith->name));
    gb_set(b, itc_format(b->ctx, "loss=%s", c->loss ? c->loss : "mse"));
    gb_set(b, c->settings);
    gb_run_to(b, ITC_STAGE_MEMORY, "reuse");
    gb_spread(b);
    gb_start(b);
    double *before[16] = {0}, *after[16] = {0};
    int n_params = 0;
    for (int i = 0; i < b->g->n_values; i++) {
        const itc_value *v = b->g->values[i];
        if (v->kind == ITC_VALUE_PARAM) {
            before[n_params] = ITC_NEW_ARRAY(b->ctx, double, gb_count(v, 1) + 1);
            gb_read(b, v, gb_count(v, 1), before[n_params++]);
        }
    }
    gb_step(b, n);
    t.ref = ref_new(t.import->g, n);
    share_data(&t, b, n);
    const double loss = forward(&t);
    double worst = 0;
    if (!c->reference) {
        check_loss(b, loss, arith->loss, c->text);
    }
    n_params = 0;
    for (int i = 0; i < b->g->n_values; i++) {
        const itc_value *v = b->g->values[i];
        if (v->kind != ITC_VALUE_PARAM) {
            continue;
        }
        after[n_params] = ITC_NEW_ARRAY(b->ctx, double, gb_count(v, 1) + 1);
        gb_read(b, v, gb_count(v, 1), after[n_params]);
        for (int64_t k = 0; k < gb_count(v, 1); k++) {
            after[n_params][k] = (before[n_params][k] - after[n_params][k]) / RATE;
        }
        const double off = compare(&t, v, after[n_params++], c->text);
        if (!(off <= worst)) {
            worst = off;
            (void)snprintf(name, room, "%s", v->name);
        }
    }
    assert_true(n_params > 0);
    gb_close(b);
    gb_close(t.import);
    return worst;
}

void grad_check_cases(const grad_case *c, size_t n)
{
    char name[64] = "";
    for (size_t i = 0; i < n; i++) {
        for (int k = 0; k < 6; k++) {
            const arithmetic_bar *arith = &bars[k / 2];
            const int32_t rows = k % 2 ? 3 : 1;
            const double off = run_case(&c[i], arith, rows, name, sizeof name);
            if (!(off <= arith->gradient)) {
                fail_msg("%s: %s, %d rows: the gradient of %s is off by %g", c[i].text, arith->name,
                         rows, name, off);
            }
        }
    }
}

void grad_check_slip(const grad_case *c)
{
    char name[64];
    grad_case with = *c;
    with.reference = c->reference ? c->reference : c->text;
    assert_true(run_case(&with, &bars[0], 3, name, sizeof name) > bars[0].gradient);
}
