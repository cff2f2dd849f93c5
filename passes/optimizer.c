/*
 * The optimizer as graph, for the gradient g = G/N of N samples (G their sum), as torch.optim
 * defines it; w is the parameter, t the step from 1:
 *
 *   sgd      g += decay w;  v' = momentum v + (1 - dampening) g, in a step 0 momentum v + g;
 *            w' = w - lr (nesterov ? g + momentum v' : v')
 *   adam     g += decay w;  m' = m + (1 - beta1)(g - m);  s' = s + (1 - beta2)(g^2 - s)
 *            w' = w - lr (m' / (1 - beta1^t)) / (sqrt(s' / (1 - beta2^t)) + eps)
 *            with eps-hat  ... sqrt(1 - beta2^t) / (1 - beta1^t) m' / (sqrt(s') + eps-hat), the
 * form at the end of section 2 of Kingma and Ba; with post-decay  (1 - post-decay) times that adamw
 * the same, but w' = w - lr decay w - lr ... and no decay in g rmsprop  g += decay w;  s' = s + (1
 * - alpha)(g^2 - s);  u = g / (sqrt(s') + eps) w' = w - lr u, or with momentum b' = momentum b + u;
 * w' = w - lr b' adagrad  g += decay w;  s' = s + g^2;  w' = w - lr g / (sqrt(s') + eps)
 *
 * `first` is the number of the first step: 1, of sgd 0. In a step 0 and with `uncorrected` adam's
 * powers are 0. What the optimizers of ai.onnx.preview.training compute is among these
 * (onnx_training.c). Slots start at 0, or as the graph has them: a slot NAME.SUFFIX that stands
 * there already.
 *
 * Sums are Combine nodes, the squares MeanSquare, the quotients RootDiv (ir/ops/optim.c).
 */
#include "passes/optimizer.h"
#include "passes/params.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* ---- what the option says ---- */

typedef struct optimizer_row {
    const char *name, *lr, *expected;
    itc_optimizer defaults;
} optimizer_row;

#define BELOW_ONE " with numbers from 0 to below 1"

static const optimizer_row kinds[] = {
    [ITC_SGD] = {"sgd",
                 "0.05",
                 "sgd[,momentum=M][,dampening=D][,nesterov][,weight-decay=W][,first=N]" BELOW_ONE,
                 {.kind = ITC_SGD}},
    [ITC_ADAM] = {"adam",
                  "0.001",
                  "adam[,beta1=B][,beta2=B][,eps=E or eps-hat=E][,weight-decay=W][,post-decay=P]"
                  "[,first=N][,uncorrected]" BELOW_ONE,
                  {.kind = ITC_ADAM, .first = 1, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8}},
    [ITC_ADAMW] =
        {"adamw",
         "0.001",
         "adamw[,beta1=B][,beta2=B][,eps=E][,weight-decay=W]" BELOW_ONE,
         {.kind = ITC_ADAMW, .first = 1, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .decay = 0.01}},
    [ITC_RMSPROP] = {"rmsprop",
                     "0.01",
                     "rmsprop[,alpha=A][,eps=E][,momentum=M][,weight-decay=W]" BELOW_ONE,
                     {.kind = ITC_RMSPROP, .first = 1, .alpha = 0.99, .eps = 1e-8}},
    [ITC_ADAGRAD] = {"adagrad",
                     "0.01",
                     "adagrad[,eps=E][,weight-decay=W]" BELOW_ONE,
                     {.kind = ITC_ADAGRAD, .first = 1, .eps = 1e-10}}};

/** A parameter, and which kinds have it. */
static const struct {
    const char *name;
    size_t at;
    unsigned kinds;
} parameters[] = {
    {"momentum", offsetof(itc_optimizer, momentum), 1u << ITC_SGD | 1u << ITC_RMSPROP},
    {"dampening", offsetof(itc_optimizer, dampening), 1u << ITC_SGD},
    {"weight-decay", offsetof(itc_optimizer, decay), ~0u},
    {"beta1", offsetof(itc_optimizer, beta1), 1u << ITC_ADAM | 1u << ITC_ADAMW},
    {"beta2", offsetof(itc_optimizer, beta2), 1u << ITC_ADAM | 1u << ITC_ADAMW},
    {"alpha", offsetof(itc_optimizer, alpha), 1u << ITC_RMSPROP},
    {"post-decay", offsetof(itc_optimizer, post_decay), 1u << ITC_ADAM},
    {"eps-hat", offsetof(itc_optimizer, eps), 1u << ITC_ADAM},
    {"eps", offsetof(itc_optimizer, eps), ~(1u << ITC_SGD)}};

/** A plain decimal number of 0 <= x < 1. */
static bool parse_fraction(const char *s, size_t n, double *x)
{
    char text[32];
    char *end = NULL;
    if (n == 0 || n >= sizeof text || strspn(s, "0123456789.eE-+") < n) {
        return false;
    }
    memcpy(text, s, n);
    text[n] = 0;
    *x = strtod(text, &end);
    return *end == 0 && *x >= 0 && *x < 1;
}

static bool is_word(const char *item, size_t n, const char *word)
{
    return n == strlen(word) && strncmp(item, word, n) == 0;
}

/** first=N, which is as long as n. */
static bool parse_first(const char *item, size_t n, itc_optimizer *o)
{
    char *end = NULL;
    const size_t digits = strspn(item + 6, "0123456789");
    o->first = digits > 0 && digits < 10 ? strtol(item + 6, &end, 10) : 0;
    return end == item + n && (o->kind == ITC_SGD || o->kind == ITC_ADAM);
}

static bool parse_parameter(const char *item, size_t n, itc_optimizer *o)
{
    if (is_word(item, n, "nesterov")) {
        o->nesterov = true;
        return o->kind == ITC_SGD;
    }
    if (is_word(item, n, "uncorrected")) {
        o->uncorrected = true;
        return o->kind == ITC_ADAM;
    }
    if (n > 6 && strncmp(item, "first=", 6) == 0) {
        return parse_first(item, n, o);
    }
    if (n > 8 && strncmp(item, "eps-hat=", 8) == 0) {
        o->eps_hat = true;
    }
    for (size_t i = 0; i < sizeof parameters / sizeof parameters[0]; i++) {
        const size_t len = strlen(parameters[i].name);
        if (n > len && strncmp(item, parameters[i].name, len) == 0 && item[len] == '=') {
            double *to = (double *)(void *)((char *)o + parameters[i].at);
            return (parameters[i].kinds >> o->kind & 1) != 0 &&
                   parse_fraction(item + len + 1, n - len - 1, to);
        }
    }
    return false;
}

const char *itc_optimizer_parse(const char *text, itc_optimizer *o, bool *unknown)
{
    const size_t name = strcspn(text, ",");
    int k = 0;
    while (k < ITC_OPTIMIZER_COUNT &&
           (strlen(kinds[k].name) != name || strncmp(kinds[k].name, text, name) != 0)) {
        k++;
    }
    *unknown = k == ITC_OPTIMIZER_COUNT;
    if (*unknown) {
        return "sgd, adam, adamw, rmsprop or adagrad";
    }
    *o = kinds[k].defaults;
    for (const char *p = text + name; *p == ',';) {
        const char *item = ++p;
        p += strcspn(item, ",");
        if (!parse_parameter(item, (size_t)(p - item), o)) {
            return kinds[k].expected;
        }
    }
    return o->nesterov && !(o->momentum > 0) ? "a momentum above 0 beside nesterov" : NULL;
}

const char *itc_optimizer_default_lr(itc_optimizer_kind kind)
{
    return kinds[kind].lr;
}

static itc_status read_option(itc_graph *g, itc_optimizer *o)
{
    const char *text = itc_setting_string(g, "optimizer", "sgd,momentum=0.9");
    bool unknown = false;
    const char *expected = itc_optimizer_parse(text, o, &unknown);
    if (!expected) {
        return ITC_OK;
    }
    return unknown ? itc_error(g->ctx, NULL, ITC_UNSUPPORTED, "E0314",
                               "--optimizer %s is not available; there is %s", text, expected)
                   : itc_error(g->ctx, NULL, ITC_RANGE, "E0315", "--optimizer %s: expected %s",
                               text, expected);
}

/* ---- nodes ---- */

const char *itc_optimizer_slot(itc_ctx *ctx, const itc_value *w, const char *suffix)
{
    return itc_format(ctx, "%s.%s", w->name, suffix);
}

/** A state tensor of w's shape: zeros, or what the graph says. */
static itc_value *new_slot(itc_graph *g, const itc_value *w, const char *suffix)
{
    itc_value *given = itc_value_find(g, itc_optimizer_slot(g->ctx, w, suffix));
    if (given && given->kind == ITC_VALUE_SLOT && !given->next_state &&
        itc_type_equal(&given->type, &w->type) && given->data) {
        return given;
    }
    itc_value *v = itc_value_new(g, ITC_VALUE_SLOT, itc_optimizer_slot(g->ctx, w, suffix), w->type);
    int64_t dim[ITC_MAX_RANK];
    for (int i = 0; i < w->type.rank; i++) {
        dim[i] = w->type.dim[i].size;
    }
    v->data = itc_tensor_new(g->ctx, ITC_F32, w->type.rank, dim);
    v->onnx = itc_format(g->ctx, "%s.%s", w->onnx ? w->onnx : w->name, suffix);
    v->reason = "optimizer";
    return v;
}

static itc_status combine(itc_graph *g, const itc_node *origin, int n, itc_value *const *in,
                          const itc_coef *c, const char *name, itc_value **out)
{
    itc_node *m = NULL;
    itc_value *used[4];
    itc_coef coef[4];
    int k = 0;
    for (int i = 0; i < n; i++) {
        if (c[i].value < 0 || c[i].value > 0) {
            used[k] = in[i];
            coef[k++] = c[i];
        }
    }
    ITC_TRY(itc_build(g, &itc_op_Combine, origin, k, used, 1, &m));
    itc_set_coefs(g, m, "coef", k, coef);
    itc_value_rename(g, m->out[0], name);
    *out = m->out[0];
    return ITC_OK;
}

static bool decays(const itc_graph *g, const itc_value *w)
{
    uint64_t used = 0;
    return !itc_params_match(itc_setting_string(g, "no_decay", ""), w->onnx ? w->onnx : w->name,
                             &used);
}

/** Adds dw to the sum over the micro-batches of a step, which becomes the gradient. */
static itc_status accumulate(itc_graph *g, const itc_value *w, itc_value **dw)
{
    itc_value *grid = new_slot(g, w, "grid");
    itc_value *in[2] = {grid, *dw};
    itc_node *add = NULL, *next = NULL;
    const itc_node *origin = (*dw)->def;
    g->insert = ITC_BACKWARD;
    ITC_TRY(itc_build(g, &itc_op_GridAdd, origin, 2, in, 1, &add));
    *dw = add->out[0];
    g->insert = ITC_UPDATE;
    ITC_TRY(itc_build(g, &itc_op_GridNext, origin, 1, add->out, 1, &next));
    grid->next_state = next->out[0];
    return ITC_OK;
}

static bool several_micro_batches(const itc_graph *g)
{
    const int64_t micro = itc_setting_int(g, "micro_batch", 0);
    return micro > 0 && micro < itc_setting_int(g, "batch", 64);
}

itc_status itc_optimizer_add_stat(itc_graph *g, itc_value *stat)
{
    itc_node *old = stat->next_state->def;
    itc_node *m = NULL;
    itc_value *in[4];
    if (!old || old->section != ITC_FORWARD || (old->op->flags & ITC_OP_SUM) == 0 ||
        old->n_in > 4) {
        return ITC_OK; /* made in UPDATE already */
    }
    for (int i = 0; i < old->n_in; i++) {
        in[i] = old->in[i];
        if (in[i]->kind == ITC_VALUE_NODE && several_micro_batches(g)) {
            ITC_TRY(accumulate(g, stat, &in[i]));
        }
    }
    g->insert = ITC_UPDATE;
    ITC_TRY(itc_build(g, old->op, old, old->n_in, in, 1, &m));
    const itc_attr *coef = itc_attr_find(old, "coef");
    itc_set_coefs(g, m, "coef", coef->n, coef->u.coefs);
    stat->next_state = m->out[0];
    itc_value_rename(g, m->out[0], itc_format(g->ctx, "%s.new", stat->name));
    return ITC_OK;
}

/* ---- the optimizers ---- */

/** What the update of one tensor is made of. */
typedef struct update {
    itc_graph *g;
    const itc_optimizer *o;
    const itc_node *origin;
    itc_value *w, *dw;
    itc_coef decay; /**< of w */
} update;

static const itc_coef inv_n = {1, ITC_SYM_INV_N}, one = {1, ITC_SYM_NONE};

static itc_coef number(double v)
{
    return (itc_coef){v, ITC_SYM_NONE};
}

static const char *named(const update *u, const char *suffix)
{
    return itc_format(u->g->ctx, "%s.%s", u->w->name, suffix);
}

/** w' = w - lr * step - lr * decoupled * w, or (1 - post_decay) (w - lr * step). What is taken from
 * w is a term of its own: a rounded factor of nearly 1 would drift. */
static itc_status move(const update *u, itc_value *step, double decoupled)
{
    const double post = u->o->post_decay;
    return combine(
        u->g, u->origin, 4, (itc_value *[]){u->w, step, u->w, u->w},
        (itc_coef[]){one, {post - 1, ITC_SYM_LR}, {-decoupled, ITC_SYM_LR}, number(-post)},
        named(u, "new"), &u->w->next_state);
}

/** A slot that becomes the combination of itself and others; *next is its new value. */
static itc_status running_sum(const update *u, const char *suffix, int n, itc_value **in,
                              const itc_coef *c, itc_value **next)
{
    itc_value *v = new_slot(u->g, u->w, suffix);
    for (int i = 0; i < n; i++) {
        in[i] = in[i] ? in[i] : v;
    }
    ITC_TRY(combine(u->g, u->origin, n, in, c, itc_format(u->g->ctx, "%s.new", v->name), next));
    v->next_state = *next;
    return ITC_OK;
}

/** The dampening of the first step, which has none: a number that is 0 from the second on. */
static itc_status first_alone(const update *u, itc_value **out)
{
    itc_graph *g = u->g;
    itc_value *slot = itc_value_find(g, "sgd.first");
    if (slot && slot->kind == ITC_VALUE_SLOT) {
        *out = slot;
        return ITC_OK;
    }
    slot = itc_value_new(g, ITC_VALUE_SLOT, "sgd.first", itc_type_scalar(ITC_F32));
    slot->data = itc_tensor_scalar_f32(g->ctx, u->o->dampening);
    slot->onnx = slot->name;
    slot->reason = "optimizer";
    *out = slot;
    return combine(g, u->origin, 2, (itc_value *[]){slot, slot}, (itc_coef[]){one, number(-1)},
                   "sgd.first.new", &slot->next_state);
}

/** v' = momentum v + (1 - dampening) gradient, where a step 0 is not damped. */
static itc_status damped_sum(const update *u, itc_value *gradient, itc_value **next)
{
    itc_value *in[3] = {NULL, gradient, NULL}, *first[2] = {gradient, NULL};
    itc_node *n = NULL;
    if (u->o->first == 0) {
        ITC_TRY(first_alone(u, &first[1]));
        ITC_TRY(itc_build(u->g, &itc_op_Mul, u->origin, 2, first, 1, &n));
        in[2] = n->out[0];
    }
    return running_sum(u, "momentum", n ? 3 : 2, in,
                       (itc_coef[]){number(u->o->momentum), number(1 - u->o->dampening), one},
                       next);
}

static itc_status add_damped_sgd(const update *u)
{
    itc_value *gradient = NULL, *step = NULL;
    ITC_TRY(combine(u->g, u->origin, 2, (itc_value *[]){u->dw, u->w}, (itc_coef[]){inv_n, u->decay},
                    named(u, "gradient"), &gradient));
    ITC_TRY(damped_sum(u, gradient, &step));
    if (u->o->nesterov) {
        ITC_TRY(combine(u->g, u->origin, 2, (itc_value *[]){step, gradient},
                        (itc_coef[]){number(u->o->momentum), one}, named(u, "step"), &step));
    }
    return move(u, step, 0);
}

static itc_status add_sgd(const update *u)
{
    const itc_coef momentum = number(u->o->momentum);
    itc_value *step = NULL;
    if (u->o->dampening > 0) {
        return add_damped_sgd(u);
    }
    if (!(u->o->momentum > 0)) {
        ITC_TRY(combine(u->g, u->origin, 2, (itc_value *[]){u->dw, u->w},
                        (itc_coef[]){inv_n, u->decay}, named(u, "step"), &step));
        return move(u, step, 0);
    }
    ITC_TRY(running_sum(u, "momentum", 3, (itc_value *[]){NULL, u->dw, u->w},
                        (itc_coef[]){momentum, inv_n, u->decay}, &step));
    if (u->o->nesterov) {
        ITC_TRY(combine(u->g, u->origin, 3, (itc_value *[]){step, u->dw, u->w},
                        (itc_coef[]){momentum, inv_n, u->decay}, named(u, "step"), &step));
    }
    return move(u, step, 0);
}

/** s' = (1 - decay) s + rate g^2, in a slot. */
static itc_status mean_square(const update *u, const char *suffix, itc_value *gradient,
                              double decay, double rate, itc_value **next)
{
    itc_value *s = new_slot(u->g, u->w, suffix);
    itc_value *in[2] = {s, gradient};
    itc_node *n = NULL;
    ITC_TRY(itc_build(u->g, &itc_op_MeanSquare, u->origin, 2, in, 1, &n));
    itc_set_float(u->g, n, "decay", decay);
    itc_set_float(u->g, n, "rate", rate);
    itc_value_rename(u->g, n->out[0], itc_format(u->g->ctx, "%s.new", s->name));
    *next = s->next_state = n->out[0];
    return ITC_OK;
}

static itc_status root_div(const update *u, itc_value *x, itc_value *s, itc_value **out)
{
    itc_value *in[2] = {x, s};
    itc_node *n = NULL;
    ITC_TRY(itc_build(u->g, &itc_op_RootDiv, u->origin, 2, in, 1, &n));
    itc_set_float(u->g, n, "beta1", u->o->uncorrected ? 0 : u->o->beta1);
    itc_set_float(u->g, n, "beta2", u->o->uncorrected ? 0 : u->o->beta2);
    itc_set_float(u->g, n, "eps", u->o->eps);
    itc_set_int(u->g, n, "eps_hat", u->o->eps_hat);
    itc_set_int(u->g, n, "first", u->o->first);
    itc_value_rename(u->g, n->out[0], named(u, "step"));
    *out = n->out[0];
    return ITC_OK;
}

static itc_status add_adam(const update *u, itc_value *gradient, double decoupled)
{
    const double rest = 1 - u->o->beta1;
    itc_value *m = NULL, *s = NULL, *step = NULL;
    ITC_TRY(running_sum(u, "exp_avg", 3, (itc_value *[]){NULL, gradient, NULL},
                        (itc_coef[]){one, number(rest), number(-rest)}, &m));
    ITC_TRY(mean_square(u, "exp_avg_sq", gradient, 1 - u->o->beta2, 1 - u->o->beta2, &s));
    ITC_TRY(root_div(u, m, s, &step));
    return move(u, step, decoupled);
}

static itc_status add_rmsprop(const update *u, itc_value *gradient)
{
    itc_value *s = NULL, *step = NULL;
    ITC_TRY(mean_square(u, "square_avg", gradient, 1 - u->o->alpha, 1 - u->o->alpha, &s));
    ITC_TRY(root_div(u, gradient, s, &step));
    if (u->o->momentum > 0) {
        ITC_TRY(running_sum(u, "momentum", 2, (itc_value *[]){NULL, step},
                            (itc_coef[]){number(u->o->momentum), one}, &step));
    }
    return move(u, step, 0);
}

static itc_status add_adagrad(const update *u, itc_value *gradient)
{
    itc_value *s = NULL, *step = NULL;
    ITC_TRY(mean_square(u, "sum", gradient, 0, 1, &s));
    ITC_TRY(root_div(u, gradient, s, &step));
    return move(u, step, 0);
}

itc_status itc_optimizer_add(itc_graph *g, itc_value *w, itc_value *dw)
{
    itc_optimizer o;
    ITC_TRY(read_option(g, &o));
    const itc_node *origin = dw->def;
    if (several_micro_batches(g)) {
        ITC_TRY(accumulate(g, w, &dw));
    }
    g->insert = ITC_UPDATE;
    const double decay = decays(g, w) ? o.decay : 0;
    const bool decoupled = o.kind == ITC_ADAMW;
    const update u = {g, &o, origin, w, dw, number(decoupled ? 0 : decay)};
    itc_value *gradient = NULL;
    if (o.kind == ITC_SGD) {
        return add_sgd(&u);
    }
    ITC_TRY(combine(g, origin, 2, (itc_value *[]){dw, w}, (itc_coef[]){inv_n, u.decay},
                    named(&u, "gradient"), &gradient));
    return o.kind == ITC_RMSPROP   ? add_rmsprop(&u, gradient)
           : o.kind == ITC_ADAGRAD ? add_adagrad(&u, gradient)
                                   : add_adam(&u, gradient, decoupled ? decay : 0);
}
