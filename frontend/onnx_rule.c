/*
 * The update rules of a training_info as options of this compiler. With T the number of the step:
 *
 *   Momentum   g += norm_coefficient x;  v' = alpha v + (T > 0 ? beta : 1) g
 *              x' = x - R v', with mode nesterov x - R (g + alpha v'):
 *              sgd,momentum=alpha,dampening=1-beta,first=T[,nesterov]
 *   Adam       g += norm_coefficient x;  v' = alpha v + (1 - alpha) g;  h' = beta h + (1 - beta)
 * g^2 x' = (1 - norm_coefficient_post) (x - R c v' / (sqrt(h') + epsilon)) c = sqrt(1 - beta^T) /
 * (1 - alpha^T), 1 for T = 0: adam,beta1=alpha,beta2=beta,eps-hat=epsilon,post-decay=...,first=T
 *   Adagrad    g += norm_coefficient x;  h' = h + g^2
 *              x' = x - R / (1 + T decay_factor) g / (sqrt(h') + epsilon):
 *              adagrad,eps=epsilon and the schedule inverse:decay_factor:T
 *   Sub        x - lr g, the product in either order: sgd
 *
 * T is an initializer that the algorithm counts up, before or after the optimizer uses it, or an
 * input, which then counts from 0; or it stands still. Sources: ai.onnx.preview.training
 * Momentum-1, Adam-1, Adagrad-1.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/onnx_training.h"
#include "ir/text.h"
#include "passes/optimizer.h"

#define LAST_STEP 999999999

/* ---- numbers as text ---- */

/** The fewest digits that read back as the same float. */
static const char *float_text(itc_ctx *ctx, double v)
{
    const char *text = "";
    for (int digits = 1; digits <= 9; digits++) {
        text = itc_format(ctx, "%.*g", digits, v);
        const float back = strtof(text, NULL);
        if (!(back < (float)v) && !(back > (float)v)) {
            break;
        }
    }
    return text;
}

/** All of a double: where its distance from 1 counts. */
static const char *exact_text(itc_ctx *ctx, double v)
{
    itc_strbuf b;
    itc_strbuf_init(&b, ctx);
    itc_text_number(&b, v);
    return b.text;
}

/* ---- attributes ---- */

static itc_status refuse(const itc_training *t, const Onnx__NodeProto *p, const char *why)
{
    return itc_error(t->im->ctx, NULL, ITC_UNSUPPORTED, "E0234", "training_info: %s: %s",
                     itc_training_label(t->im->ctx, p), why);
}

/** Attribute `name` of p, which is at most as large as a float and not negative. */
static itc_status read_float(const itc_training *t, const Onnx__NodeProto *p, const char *name,
                             double otherwise, double *v)
{
    *v = otherwise;
    for (size_t i = 0; i < p->n_attribute; i++) {
        if (strcmp(itc_onnx_text(p->attribute[i]->name), name) == 0 && p->attribute[i]->has_f) {
            *v = (double)p->attribute[i]->f;
        }
    }
    return *v >= 0 ? ITC_OK /* not so: it is required, negative or not a number */
                   : refuse(t, p, itc_format(t->im->ctx, "%s must be a number from 0 on", name));
}

/* ---- the rate and the number of the step ---- */

typedef struct step {
    int64_t first; /**< T of the first step */
    bool counts;
} step;

bool itc_rule_counts(const itc_training *t, const char *name, const char *value)
{
    const itc_made m = itc_training_maker(t, value);
    const bool add = m.node && m.node->n_input == 2 && itc_onnx_domain(m.node->domain)[0] == '\0' &&
                     strcmp(itc_onnx_text(m.node->op_type), "Add") == 0;
    for (int i = 0; add && i < 2; i++) {
        double one = 0;
        if (strcmp(m.node->input[i], name) == 0 &&
            itc_training_number(t, m.node->input[1 - i], &one) == ITC_NUMBER_KNOWN &&
            fabs(one - 1) <= 0) {
            return true;
        }
    }
    return false;
}

/** The initializer that T is, or is one more than; *more says which. */
static const char *counter_of(const itc_training *t, const char *name, int *more)
{
    const itc_made m = itc_training_maker(t, name);
    *more = 0;
    for (size_t i = 0; m.node && i < 2 && i < m.node->n_input; i++) {
        const char *next = itc_training_update(t, m.node->input[i]);
        if (next && itc_rule_counts(t, m.node->input[i], m.name) &&
            itc_training_maker(t, next).node == m.node) {
            *more = 1;
            return m.node->input[i];
        }
    }
    return m.name;
}

static itc_status read_step(const itc_training *t, const Onnx__NodeProto *p, step *s)
{
    int more = 0;
    double first = 0;
    const char *name = counter_of(t, p->input[1], &more);
    const itc_number_kind kind = itc_training_number(t, name, &first);
    if (kind == ITC_NUMBER_UNKNOWN || !(first >= 0 && first < LAST_STEP) || first > floor(first)) {
        return refuse(t, p, itc_format(t->im->ctx, "its T \"%s\" is no number of a step", name));
    }
    const char *next = itc_training_update(t, name);
    *s = (step){(int64_t)first + more,
                kind == ITC_NUMBER_INPUT || (next && itc_rule_counts(t, name, next))};
    return ITC_OK;
}

/** The rate times `factor`; NULL where it is an input. */
static itc_status read_rate(const itc_training *t, const Onnx__NodeProto *p, const char *name,
                            double factor, const char **lr)
{
    double v = 0;
    const itc_number_kind kind = itc_training_number(t, name, &v);
    const bool scales = factor < 1 || factor > 1;
    *lr = NULL;
    if (kind == ITC_NUMBER_INPUT && !scales) {
        return ITC_OK;
    }
    if (kind != ITC_NUMBER_KNOWN || !(v * factor >= 0 && v * factor < 1e9) ||
        itc_training_update(t, name)) {
        return refuse(t, p,
                      itc_format(t->im->ctx, "its rate \"%s\" is no constant from 0 on", name));
    }
    *lr = float_text(t->im->ctx, v * factor);
    return ITC_OK;
}

/* ---- rules ---- */

static itc_status read_momentum(const itc_training *t, const Onnx__NodeProto *p, itc_rule *r)
{
    itc_ctx *ctx = t->im->ctx;
    double alpha = 0, beta = 0;
    step s;
    const char *mode = "";
    ITC_TRY(read_float(t, p, "alpha", -1, &alpha));
    ITC_TRY(read_float(t, p, "beta", -1, &beta));
    ITC_TRY(read_float(t, p, "norm_coefficient", -1, &r->decay));
    ITC_TRY(read_step(t, p, &s));
    ITC_TRY(read_rate(t, p, p->input[0], 1, &r->lr));
    for (size_t i = 0; i < p->n_attribute; i++) {
        const Onnx__AttributeProto *a = p->attribute[i];
        if (strcmp(itc_onnx_text(a->name), "mode") == 0 && a->has_s && a->s.len > 0) {
            mode = itc_strndup(ctx, (const char *)a->s.data, a->s.len);
        }
    }
    const bool nesterov = strcmp(mode, "nesterov") == 0;
    if (!nesterov && strcmp(mode, "standard") != 0) {
        return refuse(t, p, itc_format(ctx, "mode \"%s\" is neither standard nor nesterov", mode));
    }
    if (!s.counts && s.first == 0) {
        beta = 1; /* every step is the first */
    }
    itc_strbuf b;
    itc_strbuf_init(&b, ctx);
    itc_strbuf_add(&b, "sgd");
    if (alpha > 0) {
        itc_strbuf_printf(&b, ",momentum=%s%s", float_text(ctx, alpha),
                          nesterov ? ",nesterov" : "");
    }
    const bool damped = (beta < 1 || beta > 1) && !(nesterov && !(alpha > 0));
    if (damped) {
        itc_strbuf_printf(&b, ",dampening=%.9g", 1 - strtod(float_text(ctx, beta), NULL));
    }
    if (damped && s.first > 0) {
        itc_strbuf_printf(&b, ",first=%lld", (long long)s.first);
    }
    r->optimizer = b.text;
    return ITC_OK;
}

static itc_status read_adam(const itc_training *t, const Onnx__NodeProto *p, itc_rule *r)
{
    itc_ctx *ctx = t->im->ctx;
    double alpha = 0, beta = 0, eps = 0, post = 0, factor = 1;
    step s;
    ITC_TRY(read_float(t, p, "alpha", (double)0.9F, &alpha));
    ITC_TRY(read_float(t, p, "beta", (double)0.999F, &beta));
    ITC_TRY(read_float(t, p, "epsilon", (double)1e-6F, &eps));
    ITC_TRY(read_float(t, p, "norm_coefficient", 0, &r->decay));
    ITC_TRY(read_float(t, p, "norm_coefficient_post", 0, &post));
    ITC_TRY(read_step(t, p, &s));
    if (!s.counts && s.first > 0) { /* the same correction in every step */
        factor = sqrt(1 - pow(beta, (double)s.first)) / (1 - pow(alpha, (double)s.first));
    }
    ITC_TRY(read_rate(t, p, p->input[0], factor, &r->lr));
    itc_strbuf b;
    itc_strbuf_init(&b, ctx);
    itc_strbuf_printf(&b, "adam,beta1=%s,beta2=%s,eps-hat=%s", exact_text(ctx, alpha),
                      exact_text(ctx, beta), float_text(ctx, eps));
    if (post > 0) {
        itc_strbuf_printf(&b, ",post-decay=%s", float_text(ctx, post));
    }
    if (!s.counts) {
        itc_strbuf_add(&b, ",uncorrected");
    } else if (s.first != 1) {
        itc_strbuf_printf(&b, ",first=%lld", (long long)s.first);
    }
    r->optimizer = b.text;
    return ITC_OK;
}

static itc_status read_adagrad(const itc_training *t, const Onnx__NodeProto *p, itc_rule *r)
{
    itc_ctx *ctx = t->im->ctx;
    double eps = 0, fall = 0;
    step s;
    ITC_TRY(read_float(t, p, "epsilon", (double)1e-6F, &eps));
    ITC_TRY(read_float(t, p, "norm_coefficient", 0, &r->decay));
    ITC_TRY(read_float(t, p, "decay_factor", 0, &fall));
    ITC_TRY(read_step(t, p, &s));
    const double factor = s.counts ? 1 : 1 / (1 + (double)s.first * fall);
    ITC_TRY(read_rate(t, p, p->input[0], factor, &r->lr));
    r->optimizer = itc_format(ctx, "adagrad,eps=%s", float_text(ctx, eps));
    if (s.counts && fall > 0) {
        r->schedule = itc_format(ctx, "inverse:%s:%lld", float_text(ctx, fall), (long long)s.first);
    }
    return ITC_OK;
}

/** w - lr * g. */
static itc_status read_sub(const itc_training *t, const Onnx__NodeProto *p, itc_rule *r)
{
    itc_ctx *ctx = t->im->ctx;
    const itc_made m = p->n_input == 2 ? itc_training_maker(t, p->input[1]) : (itc_made){0};
    const bool product = m.node && m.node->n_input == 2 &&
                         strcmp(itc_onnx_text(m.node->op_type), "Mul") == 0 &&
                         itc_onnx_domain(m.node->domain)[0] == '\0';
    double rate = 0;
    const int of = product && itc_training_number(t, m.node->input[0], &rate) == ITC_NUMBER_UNKNOWN;
    r->optimizer = "sgd";
    r->gradient = product ? m.node->input[1 - of] : NULL;
    return product ? read_rate(t, p, m.node->input[of], 1, &r->lr)
                   : itc_error(ctx, NULL, ITC_UNSUPPORTED, "E0232",
                               "training_info: %s is no update rule: expected w - lr * g",
                               itc_training_label(ctx, p));
}

static const struct optimizer {
    const char *type;
    int n_slots;
    const char *suffix[2];
    itc_status (*read)(const itc_training *t, const Onnx__NodeProto *p, itc_rule *r);
} optimizers[] = {{"Momentum", 1, {"momentum"}, read_momentum},
                  {"Adam", 2, {"exp_avg", "exp_avg_sq"}, read_adam},
                  {"Adagrad", 1, {"sum"}, read_adagrad}};

static const struct optimizer *find_optimizer(const Onnx__NodeProto *p)
{
    for (size_t i = 0; i < sizeof optimizers / sizeof optimizers[0]; i++) {
        if (itc_training_is(p, optimizers[i].type)) {
            return &optimizers[i];
        }
    }
    return NULL;
}

bool itc_rule_is_optimizer(const Onnx__NodeProto *p)
{
    return find_optimizer(p) != NULL;
}

itc_status itc_rule_read(const itc_training *t, const Onnx__NodeProto *p, itc_rule *out)
{
    const struct optimizer *o = find_optimizer(p);
    *out = (itc_rule){.node = p, .schedule = "", .n = 1};
    if (!o) {
        return read_sub(t, p, out);
    }
    const int group = 2 + o->n_slots;
    out->n = p->n_input >= 2 ? ((int)p->n_input - 2) / group : 0;
    out->n_slots = o->n_slots;
    out->suffix = o->suffix;
    if (out->n < 1 || (size_t)(2 + out->n * group) != p->n_input ||
        p->n_output > (size_t)(out->n * (1 + o->n_slots))) {
        return itc_error(t->im->ctx, NULL, ITC_PARSE, "E0208",
                         "training_info: %s has %zu inputs and %zu outputs",
                         itc_training_label(t->im->ctx, p), p->n_input, p->n_output);
    }
    ITC_TRY(o->read(t, p, out));
    itc_optimizer parsed;
    bool unknown = false;
    out->decay = strtod(float_text(t->im->ctx, out->decay), NULL);
    const char *text = itc_format(t->im->ctx, "%s,weight-decay=%.9g", out->optimizer, out->decay);
    const char *expected = itc_optimizer_parse(text, &parsed, &unknown);
    return expected
               ? refuse(t, p, itc_format(t->im->ctx, "it would be %s, expected %s", text, expected))
               : ITC_OK;
}
