/*
 * RNN, GRU and LSTM from ONNX's equations, a row and a step at a time.
 */
#include <math.h>

#include "tests/support/ref_util.h"

/** A network's numbers, and one row of one direction on its way through time. */
typedef struct walk {
    const itc_node *n;
    const ref_tensor *x, *w, *r, *b, *p, *h0, *c0, *lengths;
    int64_t steps, rows, inputs, hidden, gates;
    bool batch_first;
    int64_t d, row;
    double h[64], c[64], xw[64], hr[64]; /* states; x W' + b and h R' + b, by gate and unit */
} walk;

static double activation(const walk *k, int which, double x)
{
    static const char *const defaults[2][3] = {{"Tanh", "Tanh", "Tanh"},
                                               {"Sigmoid", "Tanh", "Tanh"}};
    const int count = k->gates == 1 ? 1 : k->gates == 3 ? 2 : 3;
    const itc_attr *a = itc_attr_find(k->n, "activations");
    const itc_attr *alpha = itc_attr_find(k->n, "activation_alpha");
    const double clip = attr_float(k->n, "clip", 0);
    const char *name = defaults[k->gates > 1][which];
    if (a) {
        name = a->u.s;
        for (int64_t i = 0; i < k->d * count + which; i++) {
            name = strchr(name, ',') + 1;
        }
    }
    x = clip > 0 ? fmin(fmax(x, -clip), clip) : x;
    switch (name[0]) {
    case 'T':
        return tanh(x);
    case 'S':
        return strncmp(name, "Sigmoid", 7) == 0    ? 1 / (1 + exp(-x))
               : strncmp(name, "Softsign", 8) == 0 ? x / (1 + fabs(x))
                                                   : log(1 + exp(x));
    case 'E': /* in the tests the only one with a number */
        return x > 0 ? x : (alpha ? alpha->u.floats[0] : 1) * (exp(x) - 1);
    default:
        return fmax(x, 0);
    }
}

/** Element of a tensor [directions, …] (states: by layout). */
static double at2(const walk *k, const ref_tensor *t, int64_t width, int64_t i)
{
    return t ? t->x[k->d * width + i] : 0;
}

static double state_at(const walk *k, const ref_tensor *t, int64_t j)
{
    const int64_t directions = k->w->dim[0];
    const int64_t line = k->batch_first ? k->row * directions + k->d : k->d * k->rows + k->row;
    return t ? t->x[line * k->hidden + j] : 0;
}

static void products(walk *k, int64_t t)
{
    const int64_t line = k->batch_first ? k->row * k->steps + t : t * k->rows + k->row;
    const int64_t all = k->gates * k->hidden;
    for (int64_t i = 0; i < all; i++) {
        k->xw[i] = at2(k, k->b, 2 * all, i);
        k->hr[i] = at2(k, k->b, 2 * all, all + i);
        for (int64_t j = 0; j < k->inputs; j++) {
            k->xw[i] += k->x->x[line * k->inputs + j] * k->w->x[(k->d * all + i) * k->inputs + j];
        }
        for (int64_t j = 0; j < k->hidden; j++) {
            k->hr[i] += k->h[j] * k->r->x[(k->d * all + i) * k->hidden + j];
        }
    }
}

static void gru(walk *k)
{
    const int64_t H = k->hidden;
    double r[64], h[64];
    for (int64_t i = 0; i < H; i++) {
        r[i] = activation(k, 0, k->xw[H + i] + k->hr[H + i]);
    }
    for (int64_t i = 0; i < H; i++) {
        double old = 0;
        if (attr_int(k->n, "linear_before_reset", 0) != 0) {
            old = r[i] * k->hr[2 * H + i];
        } else {
            old = at2(k, k->b, 6 * H, 5 * H + i);
            for (int64_t j = 0; j < H; j++) {
                old += r[j] * k->h[j] * k->r->x[(k->d * 3 * H + 2 * H + i) * H + j];
            }
        }
        const double z = activation(k, 0, k->xw[i] + k->hr[i]);
        h[i] = (1 - z) * activation(k, 1, k->xw[2 * H + i] + old) + z * k->h[i];
    }
    memcpy(k->h, h, sizeof *h * (size_t)H);
}

static void lstm(walk *k)
{
    const int64_t H = k->hidden;
    for (int64_t j = 0; j < H; j++) {
        double g[4];
        for (int64_t q = 0; q < 4; q++) {
            g[q] = k->xw[q * H + j] + k->hr[q * H + j];
        }
        const double i = activation(k, 0, g[0] + at2(k, k->p, 3 * H, j) * k->c[j]);
        double f = activation(k, 0, g[2] + at2(k, k->p, 3 * H, 2 * H + j) * k->c[j]);
        f = attr_int(k->n, "input_forget", 0) != 0 ? 1 - i : f;
        k->c[j] = f * k->c[j] + i * activation(k, 1, g[3]);
        const double o = activation(k, 0, g[1] + at2(k, k->p, 3 * H, H + j) * k->c[j]);
        k->h[j] = o * activation(k, 2, k->c[j]);
    }
}

static void step(walk *k, int64_t t)
{
    products(k, t);
    if (k->gates == 1) {
        for (int64_t i = 0; i < k->hidden; i++) {
            k->h[i] = activation(k, 0, k->xw[i] + k->hr[i]);
        }
    } else if (k->gates == 3) {
        gru(k);
    } else {
        lstm(k);
    }
}

static ref_tensor *result(ref_model *r, const walk *k, int i, int rank)
{
    const int64_t D = k->w->dim[0];
    const int64_t y[2][4] = {{k->steps, D, k->rows, k->hidden}, {k->rows, k->steps, D, k->hidden}};
    const int64_t s[2][3] = {{D, k->rows, k->hidden}, {k->rows, D, k->hidden}};
    ref_tensor *t = i < k->n->n_out && k->n->out[i] ? &r->value[k->n->out[i]->id] : NULL;
    if (t) {
        reset(r, t, rank, rank == 4 ? y[k->batch_first] : s[k->batch_first]);
    }
    return t;
}

static void store(const walk *k, ref_tensor *t, int64_t steps, int64_t at, const double *from)
{
    const int64_t D = k->w->dim[0];
    const int64_t line =
        k->batch_first ? (k->row * steps + at) * D + k->d : (at * D + k->d) * k->rows + k->row;
    if (t) {
        memcpy(t->x + line * k->hidden, from, sizeof *from * (size_t)k->hidden);
    }
}

static void eval_recurrent(ref_model *r, const itc_node *n, ref_tensor *unused)
{
    (void)unused; /* result 0 may be absent */
    walk k = {.n = n, .x = in(r, n, 0), .w = in(r, n, 1), .r = in(r, n, 2), .b = in(r, n, 3)};
    k.lengths = in(r, n, 4), k.h0 = in(r, n, 5), k.c0 = in(r, n, 6), k.p = in(r, n, 7);
    k.batch_first = attr_int(n, "layout", 0) != 0;
    k.steps = k.x->dim[k.batch_first], k.rows = k.x->dim[!k.batch_first], k.inputs = k.x->dim[2];
    k.hidden = k.r->dim[2], k.gates = k.r->dim[1] / k.hidden;
    ref_tensor *y = result(r, &k, 0, 4), *yh = result(r, &k, 1, 3), *yc = result(r, &k, 2, 3);
    for (k.d = 0; k.d < k.w->dim[0]; k.d++) {
        const bool back = k.d == 1 || attr_is(n, "direction", "reverse");
        for (k.row = 0; k.row < k.rows; k.row++) {
            for (int64_t j = 0; j < k.hidden; j++) {
                k.h[j] = state_at(&k, k.h0, j);
                k.c[j] = state_at(&k, k.c0, j);
            }
            const int64_t length = k.lengths ? (int64_t)k.lengths->x[k.row] : k.steps;
            for (int64_t i = 0; i < length; i++) {
                const int64_t t = back ? length - 1 - i : i;
                step(&k, t);
                store(&k, y, k.steps, t, k.h);
            }
            store(&k, yh, 1, 0, k.h);
            store(&k, yc, 1, 0, k.c);
        }
    }
}

const ref_operator ref_recurrent[] = {
    {"RNN", eval_recurrent}, {"GRU", eval_recurrent}, {"LSTM", eval_recurrent}, {0}};
