/*
 * The integer backward pass is unbiased. The forward pass of one step is held: it rounds to
 * nearest, so its values are the same for every seed. The backward pass and the update run with
 * RUNS seeds; the mean of every element of every gradient, and of every parameter after the step,
 * must be what the same graph gives in double precision without rounding (support/int_f64.c), and
 * its variance what that graph gives with roundings of its own.
 *
 * Mean: |mean - exact| <= Z * standard error, where the standard error comes from the larger of the
 * two variances, plus RARE units of the last place: for roundings that happen less often than once
 * in RUNS. With a normal distribution one element exceeds Z = 5.5 in 2.6e7; a model has about 400.
 * Variance: the sum over a tensor, against the predicted one, within a factor of 1.25. A sum over
 * one element has a relative error of sqrt(2/RUNS) = 4.5 % (5 standard errors: 22 %).
 * Both fail for a backward pass that rounds to nearest, or down: that is tested as well.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ir/formula.h"
#include "tests/support/int_f64.h"

enum { RUNS = 1000, MOST_VALUES = 32 };
#define Z_BAR 5.5
#define RARE 0.01
#define VARIANCE_BAR 1.25

typedef struct bias_case {
    const char *name, *text, *settings;
    /** Of the largest element: what fixed-point functions between the roundings lose, which are
     * deterministic: a quotient (2^-23 units), the reciprocal of a count (2^-31). */
    double slack;
    int32_t micros;
    bool functions; /**< it has some between its products */
} bias_case;

/** What the runs told of one value. */
typedef struct sample {
    const itc_value *v;
    int64_t count;
    double *exact, *sum, *square, *own_sum, *own_square;
} sample;

typedef struct verdict {
    double worst_z;                 /**< of the means */
    double least_ratio, most_ratio; /**< of the variances */
    int elements;
    char where[64]; /**< the value with that mean */
} verdict;

static void add_value(gb_model *b, sample *s, int *n, const itc_value *v)
{
    for (int i = 0; i < *n; i++) {
        if (s[i].v == v) {
            return;
        }
    }
    assert_true(*n < MOST_VALUES);
    const int64_t count = gb_count(v, 1);
    sample *to = &s[(*n)++];
    *to = (sample){.v = v, .count = count};
    to->exact = ITC_NEW_ARRAY(b->ctx, double, count);
    to->sum = ITC_NEW_ARRAY(b->ctx, double, count);
    to->square = ITC_NEW_ARRAY(b->ctx, double, count);
    to->own_sum = ITC_NEW_ARRAY(b->ctx, double, count);
    to->own_square = ITC_NEW_ARRAY(b->ctx, double, count);
}

/** Gradients as the optimizer takes them; with `updates` the parameters after the step as well. */
static int find_values(gb_model *b, sample *s, bool updates)
{
    const itc_graph *g = b->g;
    int n = 0;
    for (int k = 0; k < g->section[ITC_UPDATE].n; k++) {
        const itc_node *node = g->section[ITC_UPDATE].node[k];
        for (int i = 0; i < node->n_in; i++) {
            const itc_value *v = node->in[i];
            const bool gradient = v && v->kind == ITC_VALUE_NODE && v->def->section == ITC_BACKWARD;
            if (gradient && strcmp(v->def->op->name, "GridAdd") != 0) {
                add_value(b, s, &n, v);
            } else if (gradient && strcmp(node->op->name, "GridNext") != 0) {
                add_value(b, s, &n,
                          node->out[0]); /* the sum's exponent is the next step's by now */
            }
        }
    }
    for (int i = 0; updates && i < g->n_values; i++) {
        if (g->values[i]->kind == ITC_VALUE_PARAM) {
            add_value(b, s, &n, g->values[i]->next_state);
        }
    }
    return n;
}

static void note(const sample *s, const double *x, double *sum, double *square)
{
    for (int64_t i = 0; i < s->count; i++) { /* about the exact value: no cancellation */
        const double d = x[i] - s->exact[i];
        sum[i] += d;
        square[i] += d * d;
    }
}

static double variance(double sum, double square)
{
    return fmax((square - sum * sum / RUNS) / (RUNS - 1), 0);
}

/** Unit of the last place of what the integers hold. */
static double unit(const gb_model *b, const itc_value *v)
{
    return ldexp(1, gb_exponent(b, v));
}

static void judge(const gb_model *b, const sample *s, double slack, verdict *out)
{
    double largest = 0, total = 0, own_total = 0;
    const double ulp = unit(b, s->v);
    for (int64_t i = 0; i < s->count; i++) {
        largest = fmax(largest, fabs(s->exact[i]));
    }
    for (int64_t i = 0; i < s->count; i++) {
        const double got = variance(s->sum[i], s->square[i]);
        const double own = variance(s->own_sum[i], s->own_square[i]);
        const double error = sqrt(fmax(got, own) / RUNS) + RARE * ulp / Z_BAR + 1e-300;
        const double off = fmax(fabs(s->sum[i] / RUNS) - slack * largest - 1e-12 * largest, 0);
        if (off / error > out->worst_z) {
            out->worst_z = off / error;
            (void)snprintf(out->where, sizeof out->where, "%s", s->v->name);
        }
        total += got;
        own_total += own;
        out->elements++;
    }
    /* variances that are nothing but rare roundings say nothing */
    if (own_total > (double)s->count * ulp * ulp * 0.01) {
        out->least_ratio = fmin(out->least_ratio, total / own_total);
        out->most_ratio = fmax(out->most_ratio, total / own_total);
    }
}

/** Copies rows so that every micro-batch has those of the first. */
static void repeat_rows(itr_array *a, const itr_port_info *port, int32_t rows, int32_t micros)
{
    int32_t *x = (int32_t *)(uintptr_t)a->data;
    for (int32_t m = 1; m < micros; m++) {
        memcpy(x + m * rows * port->elements, x, sizeof *x * (size_t)(rows * port->elements));
    }
}

static void set_rounding(gb_model *b, const char *r)
{
    for (int s = ITC_FORWARD; s <= ITC_BACKWARD; s++) {
        for (int k = 0; k < b->g->section[s].n; k++) {
            itc_node *n = b->g->section[s].node[k];
            if (strcmp(n->op->name, "Requant") == 0 &&
                strcmp(itc_string(n, "rounding"), "stochastic") == 0) {
                itc_set_string(b->g, n, "rounding", r);
            }
        }
    }
}

/** Values that no stochastic rounding reaches, byte for byte, after each step. */
static void check_held(const int_f64 *f)
{
    const gb_model *b = f->b;
    for (int i = 0; i < b->g->n_values; i++) {
        const itc_value *v = b->g->values[i];
        if (itc_value_root(v)->kind != ITC_VALUE_NODE || f->varies[i] ||
            v->def->section >= ITC_INFER) {
            continue;
        }
        const int64_t count = gb_count(v, f->rows);
        double *x = malloc(sizeof *x * (size_t)(count + 1));
        assert_non_null(x);
        gb_read(b, v, count, x);
        const int differs = memcmp(x, f->x[i], sizeof *x * (size_t)count);
        free(x);
        if (differs) {
            fail_msg("%s differs between seeds", v->name);
        }
    }
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static double sigmoid_slope(double x)
{
    return sigmoid(x) * (1 - sigmoid(x));
}

static double tanh_slope(double x)
{
    return 1 / (cosh(x) * cosh(x));
}

static double gelu(double x)
{
    return x / 2 * (1 + erf(x / sqrt(2)));
}

static double gelu_slope(double x)
{
    return (1 + erf(x / sqrt(2))) / 2 + x * exp(-x * x / 2) / sqrt(2 * acos(-1));
}

/** A Map's function, from its formula: as the rows state it, or as slopes come out; of other
 * formulas, which test_gradients*.c hold against closed forms, in double precision. */
static double function(const itc_graph *g, const itc_node *n, double x)
{
    static const struct {
        const char *formula;
        double (*f)(double);
    } table[] = {{"tanh(x)", tanh},       {"tanh_slope(x)", tanh_slope},
                 {"sigmoid(x)", sigmoid}, {"sigmoid_slope(x)", sigmoid_slope},
                 {"exp(x)", exp},         {"0.5*x*erfc(-0.7071067811865476*x)", gelu}};
    const char *f = itc_string(n, "f");
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (strcmp(table[i].formula, f) == 0) {
            return table[i].f(x);
        }
    }
    if (strncmp(f, "0.5*erfc(-0.70710", 17) == 0) {
        return gelu_slope(x);
    }
    const char *wrong = NULL;
    const itc_formula *formula = itc_formula_parse(g->ctx, f, &wrong);
    assert_non_null(formula);
    return itc_formula_eval(itc_formula_expand(g->ctx, formula, false), x);
}

/**
 * What is deterministic between the roundings is held with the forward pass; here it is compared
 * with the functions themselves: maps have 15 bits (one unit of the last place is allowed),
 * probabilities 30 (2^-26), their logarithms 20 (2^-19).
 */
static int check_functions(const int_f64 *f)
{
    const itc_graph *g = f->b->g;
    int seen = 0;
    for (int s = ITC_FORWARD; s <= ITC_BACKWARD; s++) {
        for (int k = 0; k < g->section[s].n; k++) {
            const itc_node *n = g->section[s].node[k];
            const bool map = strcmp(n->op->name, "Map") == 0;
            const bool log_of = strcmp(n->op->name, "LogSoftmax") == 0;
            if (!map && !log_of && strcmp(n->op->name, "Softmax") != 0) {
                continue;
            }
            const double *x = f->x[n->in[0]->id], *y = f->x[n->out[0]->id];
            const itc_type *t = &n->out[0]->type;
            const double bar = map ? unit(f->b, n->out[0]) : log_of ? 0x1p-19 : 0x1p-26;
            const int axis = map ? 0 : (int)itc_int(n, "axis");
            int64_t inner = 1;
            for (int i = axis + 1; i < t->rank; i++) {
                inner *= t->dim[i].size;
            }
            for (int64_t i = 0; i < gb_count(n->out[0], f->rows); i++) {
                const int64_t line = i / (inner * t->dim[axis].size) * inner * t->dim[axis].size;
                double want = 0, sum = 0;
                for (int64_t j = 0; !map && j < t->dim[axis].size; j++) {
                    sum += exp(x[line + j * inner + i % inner] - x[i]);
                }
                want = map ? function(g, n, x[i]) : log_of ? -log(sum) : 1 / sum;
                if (!(fabs(y[i] - want) <= bar)) {
                    fail_msg("%s: %.9g, expected %.9g", n->out[0]->name, y[i], want);
                }
                seen++;
            }
        }
    }
    return seen;
}

static void run_integers(gb_model *b, const int_f64 *f, sample *s, int n, int32_t rows)
{
    void *start = malloc(b->m->state_size);
    double *x = ITC_NEW_ARRAY(b->ctx, double, 4096);
    assert_non_null(start);
    memcpy(start, b->state, b->m->state_size);
    for (int r = 0; r < RUNS; r++) {
        memcpy(b->state, start, b->m->state_size);
        b->m->run(b->state)->seed = (uint64_t)r * 7919 + 1;
        gb_step(b, rows);
        if (r % 250 == 0) {
            check_held(f);
        }
        for (int i = 0; i < n; i++) {
            assert_true(s[i].count <= 4096);
            gb_read(b, s[i].v, s[i].count, x);
            note(&s[i], x, s[i].sum, s[i].square);
        }
    }
    free(start);
}

static verdict examine(const bias_case *c, const char *how)
{
    gb_model *b = gb_new(c->text, 11);
    gb_set(b, "batch=4 optimizer=sgd lr=1 loss=mse");
    gb_set(b, c->settings);
    gb_run_to(b, ITC_STAGE_MEMORY, "reuse");
    gb_spread(b);
    int_f64 *f = int_f64_new(b);
    set_rounding(b, how);
    gb_start(b);
    const int32_t micros = c->micros ? c->micros : 1, rows = b->m->batch / micros;
    for (int i = 0; i < b->m->input_count; i++) {
        repeat_rows(&b->in[i], &b->m->inputs[i], rows, micros);
    }
    for (int i = 0; i < b->m->target_count; i++) {
        repeat_rows(&b->target[i], &b->m->targets[i], rows, micros);
    }
    void *start = ITC_NEW_ARRAY(b->ctx, char, b->m->state_size);
    memcpy(start, b->state, b->m->state_size);
    int_f64_hold(f, rows, micros);
    const int functions = check_functions(f);
    assert_true(functions > 0 || !c->functions);

    sample s[MOST_VALUES];
    verdict out = {.least_ratio = INFINITY};
    const int n = find_values(b, s, strcmp(how, "stochastic") == 0);
    uint64_t random = 12345;
    int_f64_exact(f);
    for (int i = 0; i < n; i++) {
        memcpy(s[i].exact, f->x[s[i].v->id], sizeof(double) * (size_t)s[i].count);
    }
    memcpy(b->state, start, b->m->state_size);
    run_integers(b, f, s, n, rows * micros);
    for (int r = 0; r < RUNS; r++) {
        int_f64_sample(f, &random);
        for (int i = 0; i < n; i++) {
            note(&s[i], f->x[s[i].v->id], s[i].own_sum, s[i].own_square);
        }
    }
    for (int i = 0; i < n; i++) {
        judge(b, &s[i], c->slack, &out);
    }
    gb_close(b);
    return out;
}

#define CE "loss=cross-entropy"
#define LINEAR "in x [N,6]; par w [6,5]; par b [5]; y = Gemm(x, w, b)"

static const bias_case cases[] = {
    {.name = "linear", .text = LINEAR},
    {.name = "linear, cross-entropy", .text = LINEAR, .settings = CE},
    {.name = "linear, label smoothing", .text = LINEAR, .settings = CE ",label-smoothing=0.1"},
    {.name = "linear, int16", .text = LINEAR, .settings = "arith=int16"},
    {.name = "linear, 5 bits", .text = LINEAR, .settings = "bits=5"},
    {.name = "linear, momentum and decay",
     .text = LINEAR,
     .settings = "optimizer=sgd,momentum=0.9,nesterov,weight-decay=0.01 lr=0.25"},
    {.name = "linear, micro-batches",
     .text = LINEAR,
     .settings = "batch=8 micro_batch=4",
     .micros = 2},
    {.name = "three layers",
     .text = "in x [N,6]; par u [6,7]; h = MatMul(x, u); par v [7,6]; i = MatMul(h, v);"
             "par w [6,5]; y = MatMul(i, w)",
     .settings = CE},
    {.name = "convolution, relu, max-pooling",
     .text = "in x [N,2,8,8]; par w [3,2,3,3]; par b [3]; c = Conv(x, w, b) pads=1,1,1,1;"
             "r = Relu(c); m = MaxPool(r) kernel_shape=2,2 strides=2,2; par v [4,3,2,2];"
             "d = Conv(m, v) strides=2,1; s = Relu(d); f = Flatten(s); par w2 [24,5];"
             "y = MatMul(f, w2)",
     .settings = CE},
    {.name = "groups, dilations, overlapping max-pooling",
     .text = "in x [N,4,7,6]; par w [4,2,3,2]; c = Conv(x, w) group=2 pads=1,0,1,1;"
             "m = MaxPool(c) kernel_shape=3,2 strides=1,2 pads=1,0,1,1; par v [4,1,2,2];"
             "y = Conv(m, v) group=4 dilations=2,1"},
    {.name = "convolution over one axis",
     .text = "in x [N,3,12]; par w [4,3,3]; c = Conv(x, w) strides=2; r = Relu(c);"
             "par v [3,4,2]; y = Conv(r, v) pads=1,0"},
    {.name = "tanh",
     .functions = true,
     .text = "in x [N,6]; par u [6,8]; h = MatMul(x, u); t = Tanh(h); par v [8,6];"
             "i = MatMul(t, v); s = Tanh(i); par w [6,4]; y = MatMul(s, w)",
     .settings = CE},
    {.name = "sigmoid",
     .functions = true,
     .text = "in x [N,6]; par u [6,8]; h = MatMul(x, u); t = Sigmoid(h); par w [8,4];"
             "y = MatMul(t, w)",
     .settings = CE},
    {.name = "tanh, int16",
     .functions = true,
     .text = "in x [N,6]; par u [6,8]; h = MatMul(x, u); t = Tanh(h); par w [8,4];"
             "y = MatMul(t, w)",
     .settings = "arith=int16"},
    {.name = "gelu",
     .functions = true,
     .text = "opset 20; in x [N,6]; par u [6,8]; h = MatMul(x, u); t = Gelu(h); par w [8,4];"
             "y = MatMul(t, w)"},
    {.name = "exponentials, int16",
     .functions = true,
     .text = "in x [N,6]; par u [6,8]; h = MatMul(x, u); t = Exp(h); par w [8,4];"
             "y = MatMul(t, w)",
     .settings = "arith=int16"},
    {.name = "average-pooling by shifts",
     .text = "in x [N,2,6,6]; par w [3,2,3,3]; c = Conv(x, w) pads=1,1,1,1;"
             "y = AveragePool(c) kernel_shape=2,2 strides=2,2"},
    {.name = "average-pooling by reciprocals",
     .text = "in x [N,2,6,6]; par w [3,2,3,3]; c = Conv(x, w) pads=1,1,1,1;"
             "y = AveragePool(c) kernel_shape=3,2 strides=1,2 pads=1,0,1,1",
     .slack = 0x1p-30},
    {.name = "global average-pooling",
     .text = "in x [N,2,5,5]; par w [5,2,3,3]; c = Conv(x, w); r = Relu(c);"
             "g = GlobalAveragePool(r); y = Flatten(g)",
     .settings = CE,
     .slack = 0x1p-30},
    {.name = "residual sum",
     .text = "in x [N,6]; par u [6,6]; h = MatMul(x, u); par v [6,6]; i = MatMul(h, v);"
             "r = Relu(i); a = Add(r, h); par w [6,6]; m = MatMul(a, w); y = Add(m, a)",
     .settings = CE},
    {.name = "softmax inside",
     .functions = true,
     .text = "in x [N,3,5]; par u [5,4]; h = MatMul(x, u); s = Softmax(h); par w [4,4];"
             "y = MatMul(s, w)"},
    {.name = "log-softmax inside",
     .functions = true,
     .text = "in x [N,3,5]; par u [5,4]; h = MatMul(x, u); s = LogSoftmax(h) axis=1;"
             "par w [4,4]; y = MatMul(s, w)"},
    {.name = "transposed convolution",
     .text = "in x [N,3,3,3]; par u [3,2,3,3]; par b [2]; c = ConvTranspose(x, u, b) strides=2,2"
             " pads=1,1,1,1 output_padding=1,0; r = Relu(c); par v [2,2,2,2];"
             "y = ConvTranspose(r, v) strides=1,2 group=1"},
    {.name = "reductions over axes",
     .text = "in x [N,4,5]; par u [5,6]; h = MatMul(x, u); const z [] 0.5; m = Mul(h, z); ints s 1;"
             "a = ReduceSum(m, s); ints t 2; b = ReduceSum(h, t); c = Mul(a, b); par w [6,3];"
             "d = MatMul(c, w); e = ReduceMean(d) axes=1; par v [3,3]; y = MatMul(e, v)"},
    {.name = "extrema and sums of many",
     .text = "in x [N,6]; par u [6,5]; h = MatMul(x, u); par v [6,5]; i = MatMul(x, v); par b [5];"
             "m = Max(h, i, b); n = Min(m, h); s = Sum(n, m, i); par w [5,4]; y = MatMul(s, w)"},
    {.name = "resized, padded, gathered",
     .text = "in x [N,2,4,4]; par w [2,2,3,3]; c = Conv(x, w); const s [4] 1,1,2,1.5;"
             "r = Resize(c, _, s) mode=linear; ints e 0,0,1,0,0,0,0,1; p = Pad(r, e) mode=edge;"
             "par u [2,2,2,2]; d = Conv(p, u); ints i 1,0,0; g = Gather(d, i) axis=1;"
             "par v [3,1,1]; y = Mul(g, v)",
     .slack = 0x1p-15},
    {.name = "an embedding",
     .text = "ids t [N,3]; par w [5,4]; e = Gather(w, t); par u [4,6]; h = MatMul(e, u);"
             "par v [6,5]; m = MatMul(h, v); y = Transpose(m) perm=0,2,1",
     .settings = CE},
    {.name = "joined and split",
     .text = "in x [N,6]; par u [6,5]; h = MatMul(x, u); par b [5]; i = Add(h, b); par v [6,3];"
             "j = MatMul(x, v); c = Concat(i, j) axis=1; ints s 3,5; d, e = Split(c, s) axis=1;"
             "par w [5,4]; m = MatMul(e, w); k = Concat(m, d, m) axis=1; r = Relu(k);"
             "par z [11,3]; y = MatMul(r, z)"},
    {.name = "padded and sliced",
     .text =
         "in x [N,2,5,5]; par w [3,2,3,3]; c = Conv(x, w); ints s 0,0,1,1,0,0,1,0;"
         "const v [] 0.5; d = Pad(c, s, v); par u [2,3,2,2]; e = Conv(d, u); ints f 0; ints t 3;"
         "ints i 2; ints j 2; g = Slice(e, f, t, i, j); ints k -1; ints l -9;"
         "h = Slice(e, k, l, i, k); par z [2,1,1]; m = Mul(g, z); y = Concat(m, h) axis=2"},
    {.name = "products",
     .text = "in x [N,3,5]; par u [5,4]; h = MatMul(x, u); par g [4]; m = Mul(h, g);"
             "par k [3,1]; p = Mul(m, k); y = Mul(p, p)"},
    {.name = "quotients",
     .text = "in x [N,3,5]; par u [5,4]; h = MatMul(x, u); par g [4] 1..2; q = Div(h, g);"
             "in z [N,3,4] 2..3; par k [3,1] 0.1..0.5; d = Add(z, k); y = Div(q, d)",
     .slack = 0x1p-20},
    {.name = "clip and leaky relu",
     .text = "in x [N,6]; par u [6,8]; h = MatMul(x, u); const l [] -0.6; const m [] 0.7;"
             "c = Clip(h, l, m); par w [8,4]; i = MatMul(c, w); y = LeakyRelu(i) alpha=0.2"},
    {.name = "batch normalisation",
     .text = "in x [N,2,5,5]; par w [3,2,3,3]; c = Conv(x, w); par s [3] 0.5..1.5; par b [3];"
             "const m [3] 0.2,-0.3,0.1; const v [3] 0.7,2,0.25;"
             "n = BatchNormalization(c, s, b, m, v); r = Relu(n); par u [4,3,2,2];"
             "y = Conv(r, u)",
     .slack = 0x1p-18},
    {.name = "layer normalisation",
     .text = "in x [N,3,5]; par u [5,8]; h = MatMul(x, u); par s [8] 0.5..1.5; par b [8];"
             "n = LayerNormalization(h, s, b); par w [8,4]; y = MatMul(n, w)",
     .slack = 0x1p-18},
    {.name = "instance and group normalisation",
     .text = "opset 21; in x [N,4,4,4]; par w [4,4,1,1]; c = Conv(x, w); par s [4] 0.5..1.5;"
             "par b [4]; n = InstanceNormalization(c, s, b); par t [4] 0.5..1.5; par d [4];"
             "r = Relu(n); m = GroupNormalization(r, t, d) num_groups=2; par u [3,4,2,2];"
             "y = Conv(m, u)",
     .slack = 0x1p-18},
    {.name = "local response normalisation, trained slopes",
     .functions = true,
     .text = "in x [N,4,4,4]; par w [4,4,1,1]; c = Conv(x, w); l = LRN(c) size=3 alpha=0.5;"
             "par a [4,1,1] 0.1..0.3; p = PRelu(l, a); par u [3,4,2,2]; y = Conv(p, u)",
     .slack = 0x1p-18},
    {.name = "hard and soft activations",
     .functions = true,
     .text =
         "opset 24; in x [N,6]; par u [6,8]; h = MatMul(x, u); e = Elu(h) alpha=0.7; par v [8,6];"
         "i = MatMul(e, v); f = HardSwish(i); par w [6,6]; j = MatMul(f, w); k = Swish(j);"
         "par z [6,4]; m = MatMul(k, z); y = HardSigmoid(m)"},
    {.name = "pixels moved, largest ones",
     .text = "opset 9; in x [N,4,3,3]; par w [4,4,2,2]; c = Conv(x, w) pads=1,1,0,0;"
             "d = DepthToSpace(c) blocksize=2; const s [4] 1,1,2,2; r = Upsample(d, s);"
             "p = SpaceToDepth(r) blocksize=4; par u [5,16,2,2]; e = Conv(p, u);"
             "g = GlobalMaxPool(e); y = Flatten(g)",
     .settings = CE},
    {.name = "gates of channels",
     .text = "in x [N,3,4,4]; par w [3,3,1,1]; c = Conv(x, w); g = GlobalAveragePool(c);"
             "par u [3,3,1,1]; d = Conv(g, u); s = Sigmoid(d); m = Mul(c, s); par v [2,3,2,2];"
             "y = Conv(m, v)"},
    {.name = "batched products, moves",
     .text = "in x [N,3,4]; par p [3,4]; a = Add(x, p); t = Transpose(a) perm=0,2,1;"
             "m = MatMul(a, t); ints s 0,-1; r = Reshape(m, s); par w [9,4]; y = MatMul(r, w)"},
};

static void backward_is_unbiased(void **state)
{
    const bias_case *c = *state;
    const verdict v = examine(c, "stochastic");
    print_message("%s: %d elements, worst z %.2f (%s), variance %.3f to %.3f of the predicted\n",
                  c->name, v.elements, v.worst_z, v.where, v.least_ratio, v.most_ratio);
    assert_true(v.worst_z <= Z_BAR);
    assert_true(v.least_ratio >= 1 / VARIANCE_BAR && v.most_ratio <= VARIANCE_BAR);
}

/** The same examination of a backward pass that is biased. */
static void bias_is_found(const char *how)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const verdict v = examine(&cases[i], how);
        print_message("%s, %s: worst z %.1f (%s)\n", cases[i].name, how, v.worst_z, v.where);
        assert_true(v.worst_z > 2 * Z_BAR);
    }
}

static void nearest_is_found(void **state)
{
    (void)state;
    bias_is_found("nearest");
}

static void floor_is_found(void **state)
{
    (void)state;
    bias_is_found("floor");
}

int main(void)
{
    enum { CASES = sizeof cases / sizeof cases[0] };
    struct CMUnitTest tests[CASES + 2] = {cmocka_unit_test(nearest_is_found),
                                          cmocka_unit_test(floor_is_found)};
    for (int i = 0; i < CASES; i++) {
        tests[2 + i] = (struct CMUnitTest){.name = cases[i].name,
                                           .test_func = backward_is_unbiased,
                                           .initial_state = (void *)(uintptr_t)&cases[i]};
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
