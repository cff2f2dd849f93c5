/*
 * The optimizers of ai.onnx.preview.training as plain operators, where a graph without training
 * uses them: what they compute, written out. In a training_info they are update rules (onnx_rule.c,
 * which has the formulas), and no node is made of them.
 *
 * Operands are R, T, then for n tensors X..., G... and each state's; results X_new... and the
 * states'. The powers of Adam are 0 for T = 0, where it corrects nothing. Sources:
 * ai.onnx.preview.training Adagrad-1, Adam-1, Momentum-1.
 */
#include <string.h>

#include "frontend/onnx_training.h"

typedef struct update {
    itc_importer *im;
    const itc_scope *scope;
    const itc_body_node *p;
    int n;                           /**< tensors */
    itc_value *rate, *step, *counts; /**< R, T as a float, T > 0 */
} update;

/* ---- small expressions ---- */

static itc_value *number(const update *u, double v)
{
    return itc_onnx_make_const(u->im, "number", itc_tensor_scalar_f32(u->im->ctx, v));
}

static itc_value *make(const update *u, const itc_op_def *op, itc_value *a, itc_value *b)
{
    return itc_onnx_make(u->im, u->p, op, b ? 2 : 1, (itc_value *[]){a, b}, NULL);
}

static itc_value *add(const update *u, itc_value *a, itc_value *b)
{
    return make(u, &itc_op_Add, a, b);
}

static itc_value *mul(const update *u, itc_value *a, itc_value *b)
{
    return make(u, &itc_op_Mul, a, b);
}

static itc_value *scaled(const update *u, double c, itc_value *a)
{
    return mul(u, number(u, c), a);
}

/** a where T > 0, else b. */
static itc_value *from_one_on(const update *u, itc_value *a, double b)
{
    return itc_onnx_make(u->im, u->p, &itc_op_Where, 3, (itc_value *[]){u->counts, a, number(u, b)},
                         NULL);
}

/** 1 - base^T, 1 for T = 0. */
static itc_value *correction(const update *u, double base)
{
    itc_value *power = make(u, &itc_op_Pow, number(u, base), u->step);
    return make(u, &itc_op_Sub, number(u, 1), from_one_on(u, power, 0));
}

/* ---- operands, attributes, results ---- */

/** Operand `group` (0 X, 1 G, then the states) of tensor k. */
static itc_value *operand(const update *u, int group, int k)
{
    return u->p->in[2 + group * u->n + k].value;
}

static double float_of(const update *u, const char *name, double otherwise)
{
    const Onnx__AttributeProto *a = itc_scope_node_attr(u->scope, u->p->proto, name);
    return a && a->has_f ? (double)a->f : otherwise;
}

static void result(const update *u, itc_scope *scope, int group, int k, itc_value *v)
{
    itc_onnx_set_output(u->im, scope, u->p, group * u->n + k,
                        (itc_binding){.kind = ITC_BIND_TENSOR, .value = v});
}

/** G + norm_coefficient X */
static itc_value *regularised(const update *u, int k)
{
    return add(u, operand(u, 1, k),
               scaled(u, float_of(u, "norm_coefficient", 0), operand(u, 0, k)));
}

/** a V + b x */
static itc_value *blend(const update *u, double a, itc_value *v, itc_value *b, itc_value *x)
{
    return add(u, scaled(u, a, v), mul(u, b, x));
}

/* ---- the operators ---- */

static void momentum(const update *u, itc_scope *scope, int k)
{
    const Onnx__AttributeProto *mode = itc_scope_node_attr(scope, u->p->proto, "mode");
    const bool nesterov =
        mode && mode->has_s && mode->s.len == 8 && memcmp(mode->s.data, "nesterov", 8) == 0;
    const double alpha = float_of(u, "alpha", 0);
    itc_value *g = regularised(u, k);
    itc_value *beta = from_one_on(u, number(u, float_of(u, "beta", 1)), 1);
    itc_value *v = blend(u, alpha, operand(u, 2, k), beta, g);
    itc_value *move = nesterov ? add(u, g, scaled(u, alpha, v)) : v;
    result(u, scope, 0, k, make(u, &itc_op_Sub, operand(u, 0, k), mul(u, u->rate, move)));
    result(u, scope, 1, k, v);
}

static void adam(const update *u, itc_scope *scope, int k)
{
    const double alpha = float_of(u, "alpha", (double)0.9F);
    const double beta = float_of(u, "beta", (double)0.999F);
    const double kept = 1 - float_of(u, "norm_coefficient_post", 0);
    itc_value *g = regularised(u, k);
    itc_value *v = blend(u, alpha, operand(u, 2, k), number(u, 1 - alpha), g);
    itc_value *h = blend(u, beta, operand(u, 3, k), number(u, 1 - beta), mul(u, g, g));
    itc_value *root = make(u, &itc_op_Sqrt, correction(u, beta), NULL);
    itc_value *rate = mul(u, u->rate, make(u, &itc_op_Div, root, correction(u, alpha)));
    itc_value *below =
        add(u, make(u, &itc_op_Sqrt, h, NULL), number(u, float_of(u, "epsilon", (double)1e-6F)));
    itc_value *move = mul(u, rate, make(u, &itc_op_Div, v, below));
    result(u, scope, 0, k, scaled(u, kept, make(u, &itc_op_Sub, operand(u, 0, k), move)));
    result(u, scope, 1, k, v);
    result(u, scope, 2, k, h);
}

static void adagrad(const update *u, itc_scope *scope, int k)
{
    itc_value *g = regularised(u, k);
    itc_value *h = add(u, operand(u, 2, k), mul(u, g, g));
    itc_value *fall = add(u, number(u, 1), scaled(u, float_of(u, "decay_factor", 0), u->step));
    itc_value *below =
        add(u, make(u, &itc_op_Sqrt, h, NULL), number(u, float_of(u, "epsilon", (double)1e-6F)));
    itc_value *move = make(u, &itc_op_Div, mul(u, make(u, &itc_op_Div, u->rate, fall), g), below);
    result(u, scope, 0, k, make(u, &itc_op_Sub, operand(u, 0, k), move));
    result(u, scope, 1, k, h);
}

static const struct operation {
    const char *type;
    int n_states;
    void (*expand)(const update *u, itc_scope *scope, int k);
} operations[] = {{"Adagrad", 1, adagrad}, {"Adam", 2, adam}, {"Momentum", 1, momentum}};

static itc_status expand_update(itc_importer *im, itc_scope *scope, const itc_body_node *p)
{
    const struct operation *o = operations;
    while (strcmp(o->type, p->proto->op_type) != 0) {
        o++;
    }
    const int group = 2 + o->n_states;
    update u = {.im = im, .scope = scope, .p = p, .n = (p->n_in - 2) / group};
    bool whole = u.n > 0 && p->n_in == 2 + u.n * group && p->n_out <= u.n * (1 + o->n_states);
    for (int i = 0; whole && i < p->n_in; i++) {
        whole = p->in[i].kind == ITC_BIND_TENSOR;
    }
    if (!whole) {
        return itc_error(
            im->ctx, itc_onnx_describe(im, scope, p), ITC_PARSE, "E0208",
            "%d inputs and %d outputs: expected R, T and %d inputs and %d outputs for each "
            "tensor",
            p->n_in, p->n_out, group, 1 + o->n_states);
    }
    itc_node *cast = NULL;
    u.rate = p->in[0].value;
    u.step = itc_onnx_make(im, p, &itc_op_Cast, 1, &p->in[1].value, &cast);
    itc_set_int(im->g, cast, "to", ITC_ONNX_FLOAT);
    u.counts = make(&u, &itc_op_Greater, u.step, number(&u, 0));
    for (int k = 0; k < u.n; k++) {
        o->expand(&u, scope, k);
    }
    return ITC_OK;
}

itc_onnx_expand itc_onnx_find_update(const itc_importer *im, const char *domain, const char *type)
{
    (void)im;
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        if (strcmp(domain, ITC_TRAINING_DOMAIN) == 0 && strcmp(operations[i].type, type) == 0) {
            return expand_update;
        }
    }
    return NULL;
}
