/*
 * Recurrent networks: RNN, GRU and LSTM, unrolled through time.
 *
 * The products of the sequence with W are one MatMul over all steps, with the biases added; each
 * step takes its part, adds h R' and goes through the gates. The backward pass follows from the
 * parts, through time. With f, g, h the activations, in the order of ONNX:
 *
 *     RNN     h = f(x + h R')
 *     GRU     z, r = f(x + h R');  n = g(x + (r h) R'), or with linear_before_reset
 *             n = g(x + r (h R' + b));  h = n + z (h - n)
 *     LSTM    i, o, f = f(x + h R' + p c);  c = f c + i g(x + h R');  h = o h(c)
 *
 * The reverse direction walks from the last step to the first. A state that begins with zeros is
 * left out of the sums. Sequences of their own lengths keep their state behind their end, by masks.
 * Sequences are split, and results joined, in groups of as many as a sum has
 * terms, so that a sequence's gradient is rounded once for each level of groups.
 * Sources: ONNX RNN-22, GRU-22, LSTM-22; Hochreiter and Schmidhuber 1997; Gers and Schmidhuber 2000
 * (peepholes); Cho et al. 2014.
 */
#include <math.h>
#include <string.h>

#include "codegen/emit.h"
#include "ir/ops/take.h"
#include "ir/ops/util.h"
#include "passes/lower.h"

/* Steps that are unrolled; each is some 50 nodes with its gradient. */
enum { MAX_STEPS = 4096, MAX_ACTIVATIONS = 3, MAX_GATES = 4 };

struct network;
struct direction;

/** What is peculiar to an operator. */
typedef struct cell {
    const char *op;
    int gates;
    const char *activations[MAX_ACTIVATIONS]; /**< by default */
    /** One step: x is its part of the products with W, [rows, gates * hidden]. */
    itc_status (*step)(struct network *s, struct direction *d, itc_value *x);
} cell;

/** The node and its extents. */
typedef struct network {
    itc_graph *g;
    itc_node *n;
    const cell *cell;
    bool batch_first; /**< layout 1: rows, then steps */
    int64_t steps, hidden;
    itc_dim rows;
    int directions;
    itc_value *lengths; /**< of the sequences, [rows, 1]; NULL: all have all steps */
} network;

/** One direction: its parameters and its state. */
typedef struct direction {
    int index;
    bool reverse;
    itc_value *w, *r;       /**< [gates * hidden, inputs], [gates * hidden, hidden] */
    itc_value *bias[2];     /**< of W and of R, [gates * hidden]; NULL: none */
    itc_value *peephole[3]; /**< of i, o, f, [hidden]; NULL: none */
    const char *activation[MAX_ACTIVATIONS]; /**< formulas of x */
    itc_value *h, *c;                        /**< [rows, hidden]; NULL: zeros */
    itc_value **y;                           /**< h of each step */
} direction;

/* ---- building; NULL is a tensor of zeros ---- */

static itc_status part(network *s, itc_value *x, int axis, int64_t start, int64_t count,
                       itc_value **out)
{
    itc_box b = itc_box_whole(&x->type);
    b.start[axis] = start;
    b.extent[axis] = itc_dim_of(count);
    return itc_take_build(s->g, s->n, x, &b, out);
}

/** Element i of an axis, which the result has no longer. */
static itc_status element(network *s, itc_value *x, int axis, int64_t i, itc_value **out)
{
    ITC_TRY(part(s, x, axis, i, 1, out));
    itc_type t = (*out)->type;
    for (int k = axis; k + 1 < t.rank; k++) {
        t.dim[k] = t.dim[k + 1];
    }
    t.rank--;
    return itc_view_build(s->g, s->n, *out, &t, out);
}

/** A gate's part of the last axis. */
static itc_status gate(network *s, itc_value *x, int first, int count, itc_value **out)
{
    return part(s, x, x->type.rank - 1, first * s->hidden, count * s->hidden, out);
}

static itc_status add(network *s, itc_value *a, itc_value *b, double factor, itc_value **out)
{
    const double c[2] = {1, factor};
    *out = a;
    return b ? itc_combine_build(s->g, s->n, 2, (itc_value *[]){a, b}, c, out) : ITC_OK;
}

static itc_status multiply(network *s, itc_value *a, itc_value *b, itc_value **out)
{
    itc_node *m = NULL;
    *out = NULL;
    if (!a || !b) {
        return ITC_OK;
    }
    ITC_TRY(itc_build(s->g, &itc_op_Mul, s->n, 2, (itc_value *[]){a, b}, 1, &m));
    *out = m->out[0];
    return ITC_OK;
}

/** x w'. */
static itc_status project(network *s, itc_value *x, itc_value *w, itc_value **out)
{
    *out = NULL;
    if (!x) {
        return ITC_OK;
    }
    itc_node *m = itc_node_new(s->g, &itc_op_MatMul, s->n, 2, (itc_value *[]){x, w}, 1);
    itc_set_int(s->g, m, "trans_b", 1);
    ITC_TRY(itc_infer(s->g, m));
    *out = m->out[0];
    return ITC_OK;
}

static itc_status activate(network *s, const direction *d, int which, itc_value *x, itc_value **out)
{
    const double clip = itc_float(s->n, "clip");
    if (clip > 0) {
        itc_node *m = itc_node_new(s->g, &itc_op_Clip, s->n, 1, &x, 1);
        itc_set_float(s->g, m, "min", -clip);
        itc_set_float(s->g, m, "max", clip);
        ITC_TRY(itc_infer(s->g, m));
        x = m->out[0];
    }
    return itc_map_build(s->g, s->n, d->activation[which], x, out);
}

/* ---- cells ---- */

static itc_status rnn_step(network *s, direction *d, itc_value *x)
{
    itc_value *hr = NULL;
    ITC_TRY(project(s, d->h, d->r, &hr));
    ITC_TRY(add(s, x, hr, 1, &x));
    return activate(s, d, 0, x, &d->h);
}

/** The candidate n of a GRU's state. */
static itc_status gru_candidate(network *s, const direction *d, itc_value *x, itc_value *r,
                                itc_value *hr, itc_value **out)
{
    itc_value *old = NULL;
    ITC_TRY(gate(s, x, 2, 1, &x));
    if (itc_int(s->n, "linear_before_reset") != 0) {
        if (hr) {
            ITC_TRY(gate(s, hr, 2, 1, &hr));
        }
        ITC_TRY(multiply(s, r, hr, &old));
    } else if (d->h) {
        itc_value *w = NULL;
        ITC_TRY(part(s, d->r, 0, 2 * s->hidden, s->hidden, &w));
        ITC_TRY(multiply(s, r, d->h, &old));
        ITC_TRY(project(s, old, w, &old));
    }
    ITC_TRY(add(s, x, old, 1, &x));
    return activate(s, d, 1, x, out);
}

static itc_status gru_step(network *s, direction *d, itc_value *x)
{
    const bool reset_after = itc_int(s->n, "linear_before_reset") != 0;
    itc_value *r = d->r, *hr = NULL, *zr = NULL, *z = NULL, *n = NULL, *change = NULL;
    if (!reset_after) {
        ITC_TRY(part(s, d->r, 0, 0, 2 * s->hidden, &r));
    }
    ITC_TRY(project(s, d->h, r, &hr));
    if (reset_after && d->bias[1]) {
        ITC_TRY(hr ? add(s, hr, d->bias[1], 1, &hr) : add(s, d->bias[1], NULL, 1, &hr));
    }
    ITC_TRY(gate(s, x, 0, 2, &zr));
    if (hr) {
        itc_value *both = NULL;
        ITC_TRY(gate(s, hr, 0, 2, &both));
        ITC_TRY(add(s, zr, both, 1, &zr));
    }
    ITC_TRY(activate(s, d, 0, zr, &zr));
    ITC_TRY(gate(s, zr, 0, 1, &z));
    ITC_TRY(gate(s, zr, 1, 1, &r));
    ITC_TRY(gru_candidate(s, d, x, r, hr, &n));
    /* h = n + z (h - n) */
    if (d->h) {
        ITC_TRY(add(s, d->h, n, -1, &change));
        ITC_TRY(multiply(s, z, change, &change));
        return add(s, n, change, 1, &d->h);
    }
    ITC_TRY(multiply(s, z, n, &change));
    return add(s, n, change, -1, &d->h);
}

/** The sigmoid-like gate of an LSTM that is `index` in x; c: the state that it peeps at. */
static itc_status lstm_gate(network *s, const direction *d, itc_value *x, int index, itc_value *c,
                            itc_value **out)
{
    itc_value *peep = NULL;
    ITC_TRY(gate(s, x, index, 1, &x));
    ITC_TRY(multiply(s, c, d->peephole[index], &peep));
    ITC_TRY(add(s, x, peep, 1, &x));
    return activate(s, d, 0, x, out);
}

static itc_status lstm_step(network *s, direction *d, itc_value *x)
{
    itc_value *hr = NULL, *i = NULL, *o = NULL, *f = NULL, *c = NULL;
    ITC_TRY(project(s, d->h, d->r, &hr));
    ITC_TRY(add(s, x, hr, 1, &x));
    ITC_TRY(lstm_gate(s, d, x, 0, d->c, &i));
    ITC_TRY(gate(s, x, 3, 1, &c));
    ITC_TRY(activate(s, d, 1, c, &c));
    ITC_TRY(multiply(s, i, c, &c));
    if (d->c) {
        if (itc_int(s->n, "input_forget") != 0) {
            ITC_TRY(itc_map_build(s->g, s->n, "1-x", i, &f));
        } else {
            ITC_TRY(lstm_gate(s, d, x, 2, d->c, &f));
        }
        ITC_TRY(multiply(s, f, d->c, &f));
        ITC_TRY(add(s, c, f, 1, &c));
    }
    d->c = c;
    ITC_TRY(lstm_gate(s, d, x, 1, c, &o));
    ITC_TRY(activate(s, d, 2, c, &c));
    return multiply(s, o, c, &d->h);
}

static const cell cells[] = {
    {"RNN", 1, {"Tanh"}, rnn_step},
    {"GRU", 3, {"Sigmoid", "Tanh"}, gru_step},
    {"LSTM", 4, {"Sigmoid", "Tanh", "Tanh"}, lstm_step},
};

static int count_activations(const cell *c)
{
    int count = 0;
    while (count < MAX_ACTIVATIONS && c->activations[count]) {
        count++;
    }
    return count;
}

/* ---- activations ---- */

/** Formulas with numbers {a}, {b}; `defaults` are those of ONNX's operators. */
static const struct activation {
    const char *name, *formula;
    int numbers;
    double defaults[2];
} activations[] = {
    {"Tanh", "tanh(x)", 0, {0}},
    {"Sigmoid", "sigmoid(x)", 0, {0}},
    {"Relu", "max(x,0)", 0, {0}},
    {"Affine", "{a}*x+{b}", 2, {1, 0}},
    {"LeakyRelu", "x>0 ? x : {a}*x", 1, {0.01}},
    {"ThresholdedRelu", "x>{a} ? x : 0", 1, {1}},
    {"ScaledTanh", "{a}*tanh({b}*x)", 2, {1, 1}},
    {"HardSigmoid", "min(max({a}*x+{b},0),1)", 2, {0.2, 0.5}},
    {"Elu", "x>0 ? x : {a}*expm1(x)", 1, {1}},
    {"Softsign", "x/(1+abs(x))", 0, {0}},
    {"Softplus", "softplus(x)", 0, {0}},
};

static bool same_name(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++) { /* exporters write "tanh" as well */
        const char x = a[i] >= 'A' && a[i] <= 'Z' ? (char)(a[i] + 32) : a[i];
        const char y = b[i] >= 'A' && b[i] <= 'Z' ? (char)(b[i] + 32) : b[i];
        if (x != y || y == 0) {
            return false;
        }
    }
    return b[n] == 0;
}

static const char *fill_formula(itc_ctx *ctx, const char *formula, const double number[2])
{
    itc_strbuf text;
    itc_strbuf_init(&text, ctx);
    for (const char *p = formula; *p; p++) {
        if (*p == '{') {
            itc_strbuf_printf(&text, "(%.17g)", number[p[1] - 'a']);
            p += 2;
        } else {
            itc_strbuf_add_n(&text, p, 1);
        }
    }
    return text.text;
}

/** The next number of a list that activations take from in their order. */
static double next_number(const itc_attr *list, int *at, double otherwise)
{
    return list && *at < list->n ? list->u.floats[(*at)++] : otherwise;
}

static itc_status one_activation(network *s, const char *name, size_t len, int at[2],
                                 const char **formula)
{
    const itc_attr *list[2] = {itc_attr_find(s->n, "activation_alpha"),
                               itc_attr_find(s->n, "activation_beta")};
    for (size_t i = 0; i < sizeof activations / sizeof activations[0]; i++) {
        const struct activation *a = &activations[i];
        if (same_name(name, a->name, len)) {
            double number[2] = {0};
            for (int k = 0; k < a->numbers; k++) {
                number[k] = next_number(list[k], &at[k], a->defaults[k]);
            }
            *formula = fill_formula(s->g->ctx, a->formula, number);
            return ITC_OK;
        }
    }
    return itc_error(s->g->ctx, s->n, ITC_UNSUPPORTED, "E0221",
                     "activation \"%.*s\" is not available", (int)len, name);
}

/** The formulas of all directions. */
static itc_status read_activations(network *s, direction *d)
{
    const int count = count_activations(s->cell);
    const char *text = itc_string(s->n, "activations");
    int at[2] = {0, 0};
    const char *p = text;
    for (int i = 0; i < s->directions * count; i++) {
        const char *name = text[0] ? p : s->cell->activations[i % count];
        const size_t len = strcspn(name, ",");
        const bool last = i + 1 == s->directions * count;
        ITC_TRY(one_activation(s, name, len, at, &d[i / count].activation[i % count]));
        if (text[0] && (p[len] == 0) != last) {
            return itc_error(s->g->ctx, s->n, ITC_RANGE, "E0221",
                             "activations \"%s\": expected %d names", text, s->directions * count);
        }
        p += text[0] ? len + 1 : 0;
    }
    return ITC_OK;
}

/* ---- operands ---- */

enum { IN_X, IN_W, IN_R, IN_B, IN_LENGTHS, IN_H, IN_C, IN_P };

static itc_value *operand(const itc_node *n, int i)
{
    return i < n->n_in ? n->in[i] : NULL;
}

static itc_status expect(network *s, int i, int rank, const itc_dim *dim)
{
    const itc_value *v = operand(s->n, i);
    const itc_type want = itc_type_make(ITC_F32, rank, dim);
    if (!v || itc_type_equal(&v->type, &want)) {
        return ITC_OK;
    }
    return itc_error(s->g->ctx, s->n, ITC_SHAPE, "E0220", "input %d is %s, expected %s", i,
                     itc_type_text(s->g->ctx, &v->type), itc_type_text(s->g->ctx, &want));
}

/** Whether v is known to be zeros, however it is shaped. */
static bool is_zero(const itc_value *v)
{
    while (v->kind == ITC_VALUE_NODE && v->def &&
           (v->def->op == &itc_op_Take || v->def->op == &itc_op_View)) {
        v = v->def->in[0];
    }
    if (v->kind != ITC_VALUE_CONST || !v->data || !v->data->data) {
        return false;
    }
    for (int64_t i = 0; i < v->data->count; i++) {
        const double x = itc_tensor_get(v->data, i);
        if (x < 0 || x > 0 || isnan(x)) {
            return false;
        }
    }
    return true;
}

/** Lengths that are all of the sequence say nothing. */
static itc_status read_lengths(network *s)
{
    itc_value *v = operand(s->n, IN_LENGTHS);
    const itc_tensor *t = v ? itc_operand_const(s->n, IN_LENGTHS) : NULL;
    bool all = !v || t;
    for (int64_t i = 0; t && i < t->count; i++) {
        all = all && itc_tensor_get_int(t, i) == s->steps && !itc_tensor_flag(t, i);
    }
    if (all) {
        return ITC_OK;
    }
    const itc_type column = itc_type_make(ITC_I64, 2, (const itc_dim[]){s->rows, {1, false}});
    if (v->type.rank != 1 || !itc_dim_equal(v->type.dim[0], s->rows)) {
        return itc_error(s->g->ctx, s->n, ITC_SHAPE, "E0220", "input %d is %s, a sequence %s",
                         IN_LENGTHS, itc_type_text(s->g->ctx, &v->type),
                         itc_type_text(s->g->ctx, &s->n->in[IN_X]->type));
    }
    return itc_view_build(s->g, s->n, v, &column, &s->lengths);
}

static itc_status read_extents(network *s)
{
    itc_node *n = s->n;
    const char *way = itc_string(n, "direction");
    s->batch_first = itc_int(n, "layout") != 0;
    ITC_TRY(itc_operand_rank(s->g, n, IN_X, 3, 3));
    ITC_TRY(itc_operand_rank(s->g, n, IN_R, 3, 3));
    const itc_type *x = &n->in[IN_X]->type;
    const itc_dim steps = x->dim[s->batch_first ? 1 : 0], hidden = n->in[IN_R]->type.dim[2];
    s->rows = x->dim[s->batch_first ? 0 : 1];
    s->steps = steps.size;
    s->hidden = hidden.size;
    s->directions = strcmp(way, "bidirectional") == 0 ? 2 : 1;
    if (s->directions == 1 && strcmp(way, "forward") != 0 && strcmp(way, "reverse") != 0) {
        return itc_error(s->g->ctx, n, ITC_RANGE, "E0221", "direction \"%s\"", way);
    }
    if (steps.batch || steps.size < 1 || steps.size > MAX_STEPS) {
        return itc_error(s->g->ctx, n, ITC_UNSUPPORTED, "E0224",
                         "%s has %s%lld steps: expected 1 to %d", itc_type_text(s->g->ctx, x),
                         steps.batch ? "N times " : "", (long long)steps.size, MAX_STEPS);
    }
    const itc_dim one = itc_dim_of(s->directions), all = itc_dim_of(s->cell->gates * s->hidden);
    ITC_TRY(expect(s, IN_W, 3, (const itc_dim[]){one, all, x->dim[2]}));
    ITC_TRY(expect(s, IN_R, 3, (const itc_dim[]){one, all, hidden}));
    ITC_TRY(expect(s, IN_B, 2, (const itc_dim[]){one, itc_dim_of(2 * all.size)}));
    ITC_TRY(expect(s, IN_P, 2, (const itc_dim[]){one, itc_dim_of(3 * s->hidden)}));
    for (int i = IN_H; i <= IN_C; i++) {
        ITC_TRY(expect(s, i, 3,
                       s->batch_first ? (const itc_dim[]){s->rows, one, hidden}
                                      : (const itc_dim[]){one, s->rows, hidden}));
    }
    return read_lengths(s);
}

static itc_status read_state(network *s, const direction *d, int i, itc_value **out)
{
    itc_value *v = operand(s->n, i);
    *out = NULL;
    return v && !is_zero(v) ? element(s, v, s->batch_first ? 1 : 0, d->index, out) : ITC_OK;
}

static itc_status read_direction(network *s, direction *d)
{
    itc_value *b = operand(s->n, IN_B), *p = operand(s->n, IN_P);
    const int64_t all = s->cell->gates * s->hidden;
    d->reverse = d->index == 1 || strcmp(itc_string(s->n, "direction"), "reverse") == 0;
    d->y = ITC_NEW_ARRAY(s->g->ctx, itc_value *, s->steps);
    ITC_TRY(element(s, s->n->in[IN_W], 0, d->index, &d->w));
    ITC_TRY(element(s, s->n->in[IN_R], 0, d->index, &d->r));
    ITC_TRY(read_state(s, d, IN_H, &d->h));
    ITC_TRY(read_state(s, d, IN_C, &d->c));
    if (b) {
        ITC_TRY(element(s, b, 0, d->index, &b));
        ITC_TRY(part(s, b, 0, 0, all, &d->bias[0]));
        ITC_TRY(part(s, b, 0, all, all, &d->bias[1]));
    }
    if (p) {
        ITC_TRY(element(s, p, 0, d->index, &p));
        for (int i = 0; i < 3; i++) {
            ITC_TRY(part(s, p, 0, i * s->hidden, s->hidden, &d->peephole[i]));
        }
    }
    return ITC_OK;
}

/* ---- the sequence ---- */

/** Steps first .. first + count - 1 of x, whose step 0 stands at `first`. */
static itc_status split(network *s, itc_value *x, int64_t first, itc_value **steps)
{
    const int axis = s->batch_first ? 1 : 0;
    const int64_t count = x->type.dim[axis].size;
    int64_t size = 1;
    if (count == 1) {
        return element(s, x, axis, 0, &steps[first]);
    }
    while (size * ITC_MAX_TERMS < count) {
        size *= ITC_MAX_TERMS;
    }
    for (int64_t i = 0; i < count; i += size) {
        itc_value *group = NULL;
        ITC_TRY(part(s, x, axis, i, count - i < size ? count - i : size, &group));
        ITC_TRY(split(s, group, first + i, steps));
    }
    return ITC_OK;
}

/** x where the sequence goes on, else `otherwise`. */
static itc_status choose(network *s, itc_value *on, itc_value *off, itc_value *x,
                         itc_value *otherwise, itc_value **out)
{
    itc_node *m[2] = {NULL};
    ITC_TRY(itc_build(s->g, &itc_op_Mask, s->n, 2, (itc_value *[]){x, on}, 1, &m[0]));
    *out = m[0]->out[0];
    if (!otherwise) {
        return ITC_OK;
    }
    ITC_TRY(itc_build(s->g, &itc_op_Mask, s->n, 2, (itc_value *[]){otherwise, off}, 1, &m[1]));
    return add(s, *out, m[1]->out[0], 1, out);
}

/** Step t of sequences of their own lengths: behind its end a row keeps its state, and Y is 0. So
 * the reverse direction begins at each row's own last step. */
static itc_status bounded_step(network *s, direction *d, int64_t t, itc_value *x)
{
    itc_value *h = d->h, *c = d->c,
              *now = itc_const_new(s->g, "step", itc_tensor_i64(s->g->ctx, 1, &t));
    itc_node *on = NULL, *off = NULL;
    ITC_TRY(itc_build(s->g, &itc_op_Greater, s->n, 2, (itc_value *[]){s->lengths, now}, 1, &on));
    ITC_TRY(itc_build(s->g, &itc_op_Not, s->n, 1, on->out, 1, &off));
    ITC_TRY(s->cell->step(s, d, x));
    ITC_TRY(choose(s, on->out[0], NULL, d->h, NULL, &d->y[t]));
    ITC_TRY(choose(s, on->out[0], off->out[0], d->h, h, &d->h));
    return d->c ? choose(s, on->out[0], off->out[0], d->c, c, &d->c) : ITC_OK;
}

static itc_status run(network *s, direction *d)
{
    const bool apart = strcmp(s->cell->op, "GRU") == 0 && itc_int(s->n, "linear_before_reset") != 0;
    itc_value **x = ITC_NEW_ARRAY(s->g->ctx, itc_value *, s->steps), *all = NULL;
    ITC_TRY(project(s, s->n->in[IN_X], d->w, &all));
    ITC_TRY(add(s, all, d->bias[0], 1, &all));
    ITC_TRY(add(s, all, apart ? NULL : d->bias[1], 1, &all));
    ITC_TRY(split(s, all, 0, x));
    for (int64_t k = 0; k < s->steps; k++) {
        const int64_t t = d->reverse ? s->steps - 1 - k : k;
        if (s->lengths) {
            ITC_TRY(bounded_step(s, d, t, x[t]));
        } else {
            ITC_TRY(s->cell->step(s, d, x[t]));
            d->y[t] = d->h;
        }
    }
    return ITC_OK;
}

/** Joins values of one shape along new axis `axis`. */
static itc_status stack(network *s, int axis, int64_t count, itc_value *const *in, itc_value **out)
{
    itc_value **part_of = ITC_NEW_ARRAY(s->g->ctx, itc_value *, count);
    for (int64_t i = 0; i < count; i++) {
        itc_type t = in[i]->type;
        for (int k = t.rank; k > axis; k--) {
            t.dim[k] = t.dim[k - 1];
        }
        t.dim[axis] = itc_dim_of(1);
        t.rank++;
        ITC_TRY(itc_view_build(s->g, s->n, in[i], &t, &part_of[i]));
    }
    return itc_concat_build(s->g, s->n, axis, (int)count, part_of, out);
}

/** Y [steps, directions, rows, hidden] (layout 1: rows first), Y_h and Y_c [directions, rows,
 * hidden] (layout 1: rows, directions). */
static itc_status results(network *s, direction *d, itc_value **out)
{
    itc_value *y[2] = {NULL}, *h[2] = {d[0].h, d[1].h}, *c[2] = {d[0].c, d[1].c};
    for (int i = 0; i < s->directions; i++) {
        ITC_TRY(stack(s, s->batch_first ? 1 : 0, s->steps, d[i].y, &y[i]));
    }
    ITC_TRY(stack(s, s->batch_first ? 2 : 1, s->directions, y, &out[0]));
    const int axis = s->batch_first ? 1 : 0;
    if (s->n->n_out > 1) {
        ITC_TRY(stack(s, axis, s->directions, h, &out[1]));
    }
    return s->n->n_out > 2 ? stack(s, axis, s->directions, c, &out[2]) : ITC_OK;
}

static itc_status recurrent_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    network s = {.g = g, .n = n};
    direction d[2] = {{.index = 0}, {.index = 1}};
    for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++) {
        if (strcmp(cells[i].op, n->op->name) == 0) {
            s.cell = &cells[i];
        }
    }
    ITC_TRY(read_extents(&s));
    ITC_TRY(read_activations(&s, d));
    for (int i = 0; i < s.directions; i++) {
        ITC_TRY(read_direction(&s, &d[i]));
        ITC_TRY(run(&s, &d[i]));
    }
    return results(&s, d, out);
}

static itc_status not_ours(itc_graph *g, itc_node *n)
{
    return itc_error(g->ctx, n, ITC_INTERNAL, "E0221", "%s is unrolled in our form", n->op->name);
}

/* ---- rows ---- */

#define RECURRENT_ATTRS                                                                            \
    {.name = "activation_alpha", .kind = ITC_ATTR_FLOATS},                                         \
        {.name = "activation_beta", .kind = ITC_ATTR_FLOATS},                                      \
        {.name = "activations", .kind = ITC_ATTR_STRING, .s = "", .list = true},                   \
        {.name = "clip", .kind = ITC_ATTR_FLOAT},                                                  \
        {.name = "direction", .kind = ITC_ATTR_STRING, .s = "forward"},                            \
        {.name = "hidden_size", .kind = ITC_ATTR_INT}, {.name = "layout", .kind = ITC_ATTR_INT},   \
    {                                                                                              \
        .name = "output_sequence", .kind = ITC_ATTR_INT                                            \
    }

static const itc_attr_spec rnn_attrs[] = {RECURRENT_ATTRS, {0}};
static const itc_attr_spec gru_attrs[] = {
    RECURRENT_ATTRS, {.name = "linear_before_reset", .kind = ITC_ATTR_INT}, {0}};
static const itc_attr_spec lstm_attrs[] = {
    RECURRENT_ATTRS, {.name = "input_forget", .kind = ITC_ATTR_INT}, {0}};

/** X, W, R, B, sequence_lens, initial_h, initial_c, P. */
static const itc_role_in roles[] = {ITC_IN_DATA,  ITC_IN_PARAM, ITC_IN_PARAM, ITC_IN_PARAM,
                                    ITC_IN_INDEX, ITC_IN_DATA,  ITC_IN_DATA,  ITC_IN_PARAM};

#define RECURRENT(op_name, inputs, outputs, op_versions, op_attrs, text)                           \
    const itc_op_def itc_op_##op_name = {                                                          \
        .name = #op_name,                                                                          \
        .domain = "",                                                                              \
        .in_min = 3,                                                                               \
        .in_max = inputs,                                                                          \
        .out_min = 0,                                                                              \
        .out_max = outputs,                                                                        \
        .opset_min = 7,                                                                            \
        .versions = op_versions,                                                                   \
        .roles = roles,                                                                            \
        .attrs = op_attrs,                                                                         \
        .summary = text,                                                                           \
        .normalize = recurrent_normalize,                                                          \
        .infer = not_ours,                                                                         \
    };

static const uint8_t versions[] = {1, 7, 14, 22, 0}, gru_versions[] = {1, 3, 7, 14, 22, 0};

/**
 * Shapes  X [T,N,I], W [D,H,I], R [D,H,H], B [D,2H], initial_h [D,N,H]; Y [T,D,N,H], Y_h [D,N,H];
 *         with layout 1 X [N,T,I], initial_h and Y_h [N,D,H], Y [N,T,D,H]
 * Source  ONNX RNN-7, -14, -22
 */
RECURRENT(RNN, 6, 2, versions, rnn_attrs, "recurrent network, unrolled through time")

/**
 * Shapes  as RNN, with 3H for the H of W, R and B; gates in the order z, r, n
 * Source  ONNX GRU-7, -14, -22
 */
RECURRENT(GRU, 6, 2, gru_versions, gru_attrs, "gated recurrent units, unrolled through time")

/**
 * Shapes  as RNN, with 4H for the H of W, R and B; gates in the order i, o, f, c; initial_c and Y_c
 *         as initial_h, P [D,3H]
 * Source  ONNX LSTM-7, -14, -22
 */
RECURRENT(LSTM, 8, 3, versions, lstm_attrs, "long short-term memory, unrolled through time")
