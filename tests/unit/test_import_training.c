/* TrainingInfoProto: what it makes of the graph, and what is refused. That the options which it
 * stands for compute what ONNX defines is test_optimizers' business and
 * bench/accuracy/training_info.py's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "frontend/onnx_import.h"
#include "passes/pass.h"
#include "tests/support/onnx_build.h"

#define DOMAIN "ai.onnx.preview.training"

enum { FLOAT = 1, INT64 = 7 };

/* ---- a model: y = x w + b, the mean square of y - t, an optimizer for w and b ---- */

typedef struct plan {
    const char *op;          /* NULL: w - R g */
    const char *slots;       /* initials of its states, "V" or "VH" */
    const char *rate, *step; /* operands R and T */
    int64_t first;           /* T at the start */
    const char *loss;        /* y of the Gradient */
    float norm[2];           /* of w, of b */
    bool apart;              /* one node for each */
    bool still;              /* T does not count */
} plan;

static const plan momentum = {
    .op = "Momentum", .slots = "V", .rate = "R", .step = "T", .loss = "loss", .norm = {0.5F, 0.5F}};

static onnx_build *b, *a;
static itc_ctx *ctx;
static Onnx__NodeProto *gradient, *optimizer;

static int setup(void **state)
{
    (void)state;
    b = onnx_build_new(17);
    ctx = itc_ctx_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    onnx_build_free(b);
    itc_ctx_free(ctx);
    return 0;
}

static void again(void **state)
{
    (void)teardown(state);
    (void)setup(state);
}

static void near(double got, double want, double within)
{
    if (!(fabs(got - want) <= within)) {
        fail_msg("%.9g, expected %.9g within %g", got, want, within);
    }
}

static void attributes(Onnx__NodeProto *n, const char *op, float norm)
{
    onnx_build_attr_float(a, n, "norm_coefficient", norm);
    if (strcmp(op, "Adagrad") == 0) {
        onnx_build_attr_float(a, n, "decay_factor", 0.25F);
        return;
    }
    onnx_build_attr_float(a, n, "alpha", 0.875F);
    onnx_build_attr_float(a, n, "beta", 0.75F);
    if (strcmp(op, "Momentum") == 0) {
        onnx_build_attr_string(a, n, "mode", "standard");
    } else {
        onnx_build_attr_float(a, n, "epsilon", 0.125F);
        onnx_build_attr_float(a, n, "norm_coefficient_post", 0.0625F);
    }
}

/** The node of these tensors, "w b" for instance, their states, and the bindings of all. */
static void add_optimizer(const plan *p, int n, const char *const *tensor, float norm)
{
    itc_strbuf in, out;
    itc_strbuf_init(&in, ctx);
    itc_strbuf_init(&out, ctx);
    itc_strbuf_printf(&in, "%s %s", p->rate, p->step);
    const char *groups = itc_format(ctx, "xg%s", p->slots);
    for (const char *k = groups; *k; k++) {
        for (int i = 0; i < n; i++) {
            const char *name = *k == 'x' ? tensor[i] : itc_format(ctx, "%c_%s", *k, tensor[i]);
            itc_strbuf_printf(&in, " %s", name);
            if (*k != 'g') {
                itc_strbuf_printf(&out, "%s%s_new", out.len > 0 ? " " : "", name);
                onnx_build_update(a, name, itc_format(ctx, "%s_new", name));
            }
            if (*k != 'x' && *k != 'g') {
                static const float start[2][6] = {{1, 2, 3, 4, 5, 6}, {7, 8, 9, 10, 11, 12}};
                onnx_build_floats(a, name, strcmp(tensor[i], "w") == 0 ? "2,3" : "3",
                                  start[*k == 'H']);
            }
        }
    }
    optimizer = onnx_build_node(a, p->op, in.text, out.text);
    optimizer->domain = itc_strdup(a->arena, DOMAIN);
    optimizer->name = itc_strdup(a->arena, "opt");
    attributes(optimizer, p->op, norm);
}

static void add_loss(const plan *p)
{
    (void)onnx_build_input(a, "t", FLOAT, "N,3");
    (void)onnx_build_node(a, "Sub", "y t", "d");
    (void)onnx_build_node(a, "Mul", "d d", "q");
    (void)onnx_build_node(a, "ReduceMean", "q", "loss");
    gradient = onnx_build_node(a, "Gradient", "w b x", "g_w g_b");
    gradient->domain = itc_strdup(a->arena, DOMAIN);
    onnx_build_attr_strings(a, gradient, "xs", "w b");
    onnx_build_attr_strings(a, gradient, "zs", "x");
    onnx_build_attr_string(a, gradient, "y", p->loss);
}

static void build(const plan *p)
{
    static const char *const names[] = {"w", "b"};
    (void)onnx_build_input(b, "x", FLOAT, "N,2");
    onnx_build_floats(b, "w", "2,3", (const float[]){1, -2, 3, -4, 5, -6});
    onnx_build_floats(b, "b", "3", (const float[]){0, 0, 0});
    (void)onnx_build_node(b, "MatMul", "x w", "h");
    (void)onnx_build_node(b, "Add", "h b", "y");
    onnx_build_output(b, "y");
    a = onnx_build_training(b);
    add_loss(p);
    onnx_build_floats(a, "R", "", &(float){0.5F});
    if (!p->op) {
        for (int i = 0; i < 2; i++) {
            (void)onnx_build_node(a, "Mul", itc_format(ctx, i ? "g_%s R" : "R g_%s", names[i]),
                                  itc_format(ctx, "s_%s", names[i]));
            (void)onnx_build_node(a, "Sub", itc_format(ctx, "%s s_%s", names[i], names[i]),
                                  itc_format(ctx, "%s_new", names[i]));
            onnx_build_update(a, names[i], itc_format(ctx, "%s_new", names[i]));
        }
        return;
    }
    onnx_build_ints(a, "T", "", &p->first);
    onnx_build_ints(a, "one", "", &(int64_t){1});
    (void)onnx_build_node(a, "Add", "one T", "T_new");
    if (!p->still) {
        onnx_build_update(a, "T", "T_new");
    }
    for (int i = 0; i < (p->apart ? 2 : 1); i++) {
        add_optimizer(p, p->apart ? 1 : 2, names + i, p->norm[i]);
    }
}

static itc_status import(const itc_import_options *opt, itc_graph **g)
{
    size_t n = 0;
    const uint8_t *bytes = onnx_build_pack(b, &n);
    itc_onnx_model *m = NULL;
    itc_status s = itc_onnx_read_memory(ctx, bytes, n, &m);
    s = s == ITC_OK ? itc_onnx_import(ctx, m, opt, g) : s;
    itc_onnx_close(m);
    return s;
}

static itc_graph *imported(const itc_import_options *opt)
{
    itc_graph *g = NULL;
    if (import(opt, &g) != ITC_OK) {
        itc_diag_print(ctx, stderr);
        fail();
    }
    return g;
}

static void refused(const char *id, const char *text)
{
    itc_graph *g = NULL;
    assert_int_not_equal(import(NULL, &g), ITC_OK);
    const itc_diag *d = itc_diag_get(ctx, 0);
    if (strcmp(d->id, id) != 0 || !strstr(d->text, text)) {
        fail_msg("%s: %s, expected %s: %s", d->id, d->text, id, text);
    }
}

static void says(const itc_graph *g, const char *setting, const char *want)
{
    assert_string_equal(itc_setting_string(g, setting, ""), want);
}

/* ---- what becomes of it ---- */

static const struct {
    plan p;
    const char *optimizer, *schedule, *no_decay;
} rules[] = {
    {{.rate = "R", .loss = "loss"}, "sgd", "", ""},
    {{"Momentum", "V", "R", "T", .loss = "loss"}, "sgd,momentum=0.875,dampening=0.25", "", ""},
    {{"Momentum", "V", "R", "T", .first = 3, .loss = "loss", .norm = {0.5F, 0.5F}},
     "sgd,momentum=0.875,dampening=0.25,first=3,weight-decay=0.5",
     "",
     ""},
    {{"Momentum", "V", "R", "T", .loss = "loss", .still = true}, "sgd,momentum=0.875", "", ""},
    {{"Momentum", "V", "R", "T_new", .loss = "loss", .norm = {0.5F, 0}, .apart = true},
     "sgd,momentum=0.875,dampening=0.25,first=1,weight-decay=0.5",
     "",
     "b"},
    {{"Adam", "VH", "R", "T", .loss = "loss", .norm = {0, 0.5F}, .apart = true},
     "adam,beta1=0.875,beta2=0.75,eps-hat=0.125,post-decay=0.0625,first=0,weight-decay=0.5",
     "",
     "w"},
    {{"Adam", "VH", "R", "T_new", .loss = "loss"},
     "adam,beta1=0.875,beta2=0.75,eps-hat=0.125,post-decay=0.0625",
     "",
     ""},
    {{"Adam", "VH", "R", "T", .loss = "loss", .still = true},
     "adam,beta1=0.875,beta2=0.75,eps-hat=0.125,post-decay=0.0625,uncorrected",
     "",
     ""},
    {{"Adagrad", "H", "R", "T", .first = 2, .loss = "loss"},
     "adagrad,eps=1e-06",
     "inverse:0.25:2",
     ""},
};

static void rules_become_options(void **state)
{
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        build(&rules[i].p);
        itc_graph *g = imported(NULL);
        says(g, "loss", "loss=graph");
        says(g, "optimizer", rules[i].optimizer);
        says(g, "lr", "0.5");
        says(g, "schedule", rules[i].schedule);
        says(g, "no_decay", rules[i].no_decay);
        assert_int_equal(itc_value_find(g, "w")->kind, ITC_VALUE_PARAM);
        assert_int_equal(itc_value_find(g, "b")->kind, ITC_VALUE_PARAM);
        assert_int_equal(itc_run_to(g, ITC_STAGE_MEMORY, NULL), ITC_OK);
        assert_int_equal(itc_value_find(g, "t")->kind, ITC_VALUE_TARGET);
        again(state);
    }
}

static void check_slot(const itc_graph *g, const char *name, const char *onnx, float first)
{
    const itc_value *v = itc_value_find(g, name);
    assert_non_null(v);
    assert_int_equal(v->kind, ITC_VALUE_SLOT);
    assert_string_equal(v->onnx, onnx);
    near(itc_tensor_get(v->data, 0), first, 0);
    near(itc_tensor_get(v->data, 2), first + 2, 0);
}

static void states_start_as_the_model_says(void **state)
{
    (void)state;
    build(&rules[5].p);
    itc_graph *g = imported(NULL);
    check_slot(g, "w.exp_avg", "V_w", 1);
    check_slot(g, "b.exp_avg", "V_b", 1);
    check_slot(g, "w.exp_avg_sq", "H_w", 7);
    check_slot(g, "b.exp_avg_sq", "H_b", 7);
    itc_setting_set(g, (itc_attr){.name = "arith", .kind = ITC_ATTR_STRING, .u.s = "float32"});
    assert_int_equal(itc_run_to(g, ITC_STAGE_BACKWARD, NULL), ITC_OK);
    check_slot(g, "w.exp_avg_sq", "H_w", 7);
    assert_non_null(itc_value_find(g, "w.exp_avg_sq")->next_state);
}

/* Mantissas of 31 bits that stand for the same numbers. */
static void integer_states_start_so_too(void **state)
{
    (void)state;
    build(&rules[5].p);
    itc_graph *g = imported(NULL);
    assert_int_equal(itc_run_to(g, ITC_STAGE_INTEGER, NULL), ITC_OK);
    const itc_value *v = itc_value_find(g, "w.exp_avg_sq");
    assert_int_equal(v->type.bits, 31);
    for (int i = 0; i < 6; i++) {
        near(ldexp(itc_tensor_get(v->data, i), v->init_exp), 7 + i, 0);
    }
}

static void another_optimizer_leaves_the_states(void **state)
{
    (void)state;
    build(&rules[5].p);
    itc_graph *g = imported(NULL);
    itc_setting_set(g, (itc_attr){.name = "optimizer", .kind = ITC_ATTR_STRING, .u.s = "sgd"});
    assert_int_equal(itc_run_to(g, ITC_STAGE_MEMORY, NULL), ITC_OK);
    assert_null(itc_value_find(g, "w.exp_avg"));
}

/* An initializer that no update_binding names is a constant, whatever operand it is. */
static void others_are_not_trained(void **state)
{
    (void)state;
    build(&momentum);
    a->training->n_update_binding = 3; /* T, w, b's states go */
    a->training->update_binding[1]->key = itc_strdup(a->arena, "w");
    a->training->update_binding[1]->value = itc_strdup(a->arena, "w_new");
    a->training->update_binding[2]->key = itc_strdup(a->arena, "V_w");
    a->training->update_binding[2]->value = itc_strdup(a->arena, "V_w_new");
    itc_graph *g = imported(NULL);
    assert_int_equal(itc_run_to(g, ITC_STAGE_SHAPE, NULL), ITC_OK);
    assert_int_equal(itc_value_find(g, "w")->kind, ITC_VALUE_PARAM);
    assert_int_equal(itc_value_find(g, "b")->kind, ITC_VALUE_CONST);
    assert_non_null(strstr(itc_value_find(g, "b")->reason, "not among"));
}

static void a_rate_may_be_an_input(void **state)
{
    (void)state;
    build(&(plan){"Adagrad", "H", "rate", "count", .loss = "loss"});
    (void)onnx_build_input(a, "rate", FLOAT, "");
    (void)onnx_build_input(a, "count", INT64, "");
    itc_graph *g = imported(NULL);
    says(g, "lr", "");
    says(g, "schedule", "inverse:0.25:0");
    assert_null(itc_value_find(g, "rate"));
    assert_null(itc_value_find(g, "count"));
    assert_int_equal(itc_run_to(g, ITC_STAGE_MEMORY, NULL), ITC_OK);
}

/* The forward part again, as algorithms are written that stand for themselves. */
static void a_repeated_forward_part_shares_its_input(void **state)
{
    (void)state;
    build(&momentum);
    (void)onnx_build_input(a, "x", FLOAT, "N,2");
    (void)onnx_build_node(a, "MatMul", "x w", "h_again");
    (void)onnx_build_node(a, "Add", "h_again b", "y_again");
    a->graph->node[0]->input[0] = itc_strdup(a->arena, "y_again"); /* of y - t */
    itc_graph *g = imported(NULL);
    assert_int_equal(itc_run_to(g, ITC_STAGE_MEMORY, NULL), ITC_OK);
    assert_int_equal(itc_value_find(g, "x")->kind, ITC_VALUE_INPUT);
    assert_int_equal(itc_value_find(g, "t")->kind, ITC_VALUE_TARGET);
    assert_non_null(itc_value_find(g, "w")->next_state);
}

static void statistics_are_not_updated_twice(void **state)
{
    (void)state;
    build(&momentum);
    static const char *const names[] = {"scale", "shift", "mean", "var"};
    for (int i = 0; i < 4; i++) {
        onnx_build_floats(b, names[i], "3", (const float[]){1, 1, 1});
    }
    Onnx__NodeProto *n =
        onnx_build_node(b, "BatchNormalization", "y scale shift mean var", "z mean_new var_new");
    onnx_build_attr_int(b, n, "training_mode", 1);
    onnx_build_output(b, "z");
    onnx_build_update(a, "mean", "mean_new");
    onnx_build_update(a, "var", "var_new");
    itc_graph *g = imported(NULL);
    assert_int_equal(itc_run_to(g, ITC_STAGE_SHAPE, NULL), ITC_OK);
    assert_int_equal(itc_value_find(g, "mean")->kind, ITC_VALUE_STAT);
    assert_int_equal(itc_value_find(g, "scale")->kind, ITC_VALUE_CONST);
}

static void it_can_be_left_aside(void **state)
{
    (void)state;
    build(&momentum);
    itc_graph *g = imported(&(itc_import_options){.ignore_training = true});
    says(g, "optimizer", "");
    assert_int_equal(g->n_outputs, 1);
    assert_null(itc_value_find(g, "t"));
    assert_int_equal(itc_value_find(g, "w")->kind, ITC_VALUE_CONST);
}

/* ---- what is refused ---- */

static void bad_bindings(void **state)
{
    build(&momentum);
    onnx_build_update(a, "w", "V_w_new");
    refused("E0231", "\"w\" twice");
    again(state);
    build(&momentum);
    onnx_build_update(a, "y", "w_new");
    refused("E0231", "\"y\", which is no initializer");
    again(state);
    build(&momentum);
    onnx_build_update(a, "one", "nothing");
    refused("E0232", "\"nothing\" is made by no node");
    again(state);
    build(&momentum);
    a->training->n_update_binding = 1;
    refused("E0232", "no update_binding trains");
}

static void bad_rules(void **state)
{
    static const struct {
        const char *op, *in, *text;
    } cases[] = {{"Neg", "g_w", "none of the update rules"},
                 {"Sub", "w g_w", "expected w - lr * g"},
                 {"Sub", "b s", "updates \"b\""},
                 {"Sub", "w s", "no constant from 0 on"}};
    for (size_t i = 0; i < 4; i++) {
        build(&momentum);
        (void)onnx_build_node(a, "ReduceMean", "t", "rate");
        (void)onnx_build_node(a, "Mul", i == 2 ? "R g_b" : "rate g_w", "s");
        (void)onnx_build_node(a, cases[i].op, cases[i].in, "other");
        a->training->update_binding[1]->value = itc_strdup(a->arena, "other");
        refused(i == 3 ? "E0234" : "E0232", cases[i].text);
        again(state);
    }
    build(&momentum);
    a->training->n_update_binding -= 1; /* V_b's */
    refused("E0232", "the state \"V_b\"");
    again(state);
    build(&(plan){"Momentum", "V", "R", "T", .loss = "loss", .norm = {0.5F, 0.25F}, .apart = true});
    refused("E0232", "differ in more than whether they decay");
    again(state);
    build(&momentum);
    (void)onnx_build_training(b);
    onnx_build *second = onnx_build_training(b);
    onnx_build_update(second, "w", "w_new");
    refused("E0232", "2 algorithms");
}

static void bad_gradients(void **state)
{
    build(&(plan){.rate = "R", .loss = "d"});
    refused("E0233", "is f32[N,3] and no number");
    again(state);
    build(&momentum);
    gradient->input[0] = itc_strdup(a->arena, "V_w");
    refused("E0233", "is taken with \"V_w\" in place of \"w\"");
    again(state);
    build(&momentum);
    gradient->n_input = 2;
    refused("E0233", "not as many inputs");
    again(state);
    build(&momentum);
    gradient->op_type = itc_strdup(a->arena, "Slope");
    refused("E0233", "has no Gradient");
    again(state);
    build(&momentum);
    gradient->n_attribute = 2; /* without y */
    refused("E0233", "lacks its attribute y or xs");
    again(state);
    build(&momentum);
    gradient->output[0] = itc_strdup(a->arena, "g_b");
    gradient->output[1] = itc_strdup(a->arena, "g_w");
    refused("E0233", "is no output of a Gradient for it");
}

static void bad_optimizers(void **state)
{
    build(&momentum);
    optimizer->n_input -= 1;
    refused("E0208", "has 7 inputs and 4 outputs");
    again(state);
    build(&momentum);
    optimizer->attribute[1]->f = -1; /* alpha */
    refused("E0234", "alpha must be a number from 0 on");
    again(state);
    build(&momentum);
    optimizer->attribute[1]->f = 1.5F;
    refused("E0234", "sgd,momentum=1.5");
    again(state);
    build(&momentum);
    optimizer->n_attribute = 3; /* without mode */
    refused("E0234", "neither standard nor nesterov");
    again(state);
    build(&(plan){"Momentum", "V", "R", "loss", .loss = "loss"});
    refused("E0234", "no number of a step");
    again(state);
    build(&momentum);
    a->graph->initializer[0]->float_data[0] = -0.5F;
    refused("E0234", "no constant from 0 on");
    again(state);
    build(&momentum);
    b->graph->initializer[1]->dims[0] = 1; /* b, which its states do not fit then */
    b->graph->initializer[1]->n_float_data = 1;
    refused("E0234", "\"b\" is f32[1], its state V_b is f32[3]");
}

/* ---- initialization ---- */

enum { MANY = 20000 };

/* Bindings of w from a graph that draws MANY numbers and takes six; *all becomes all of them. */
static itc_graph *started(const char *op, const char *first, float v, const char *second, float u,
                          const itc_import_options *opt, const itc_tensor **all)
{
    build(&momentum);
    onnx_build *s = onnx_build_start(a);
    onnx_build_floats(b, "many", "20000", ITC_NEW_ARRAY(b->arena, float, MANY));
    Onnx__NodeProto *n = onnx_build_node(s, op, "", "r");
    n->n_input = 0;
    onnx_build_attr_float(s, n, first, v);
    onnx_build_attr_float(s, n, second, u);
    onnx_build_attr_ints(s, n, "shape", 1, &(int64_t){MANY});
    onnx_build_ints(s, "from", "1", &(int64_t){0});
    onnx_build_ints(s, "to", "1", &(int64_t){6});
    onnx_build_ints(s, "as", "2", (const int64_t[]){2, 3});
    (void)onnx_build_node(s, "Slice", "r from to", "six");
    (void)onnx_build_node(s, "Reshape", "six as", "start");
    onnx_build_begin(a, "w", "start");
    onnx_build_begin(a, "many", "r");
    itc_graph *g = imported(opt);
    *all = itc_value_find(g, "many")->data;
    near(itc_tensor_get(itc_value_find(g, "w")->data, 5), itc_tensor_get(*all, 5), 0);
    return g;
}

static void moments(const itc_tensor *t, double *mean, double *deviation, double *largest)
{
    double sum = 0, squares = 0;
    *largest = 0;
    for (int i = 0; i < MANY; i++) {
        const double x = itc_tensor_get(t, i);
        sum += x;
        squares += x * x;
        *largest = fabs(x) > *largest ? fabs(x) : *largest;
    }
    *mean = sum / MANY;
    *deviation = sqrt(squares / MANY - *mean * *mean);
}

static void random_starts(void **state)
{
    const itc_tensor *t[3];
    double mean, deviation, largest;
    itc_import_options opt = {.seed = 5};
    (void)started("RandomNormal", "mean", 1, "scale", 2, &opt, &t[0]);
    moments(t[0], &mean, &deviation, &largest); /* within five deviations of the estimates */
    near(mean, 1, 5 * 2 / sqrt(MANY));
    near(deviation, 2, 5 * 2 / sqrt(2.0 * MANY));
    assert_true(largest > 7 && largest < 12);
    const double seventh = itc_tensor_get(t[0], 7);
    again(state);
    (void)started("RandomNormal", "mean", 1, "scale", 2, &opt, &t[0]);
    near(itc_tensor_get(t[0], 7), seventh, 0);
    again(state);
    opt.seed = 6;
    (void)started("RandomNormal", "mean", 1, "scale", 2, &opt, &t[0]);
    assert_true(fabs(itc_tensor_get(t[0], 7) - seventh) > 0);
    again(state);
    (void)started("RandomUniform", "low", -1, "high", 3, &opt, &t[0]);
    moments(t[0], &mean, &deviation, &largest);
    near(mean, 1, 5 * 1.1547 / sqrt(MANY));
    near(deviation, 4 / sqrt(12), 0.02);
    assert_true(largest < 3 && largest > 2.99);
}

static void the_models_start_may_be_kept(void **state)
{
    (void)state;
    build(&momentum);
    onnx_build *s = onnx_build_start(a);
    onnx_build_floats(s, "c", "2,3", (const float[]){9, 9, 9, 9, 9, 9});
    Onnx__NodeProto *n = onnx_build_node(s, "RandomNormalLike", "c", "r");
    onnx_build_attr_float(s, n, "seed", 3);
    (void)onnx_build_node(s, "Add", "r c", "start");
    onnx_build_begin(a, "w", "start");
    const itc_graph *kept = imported(&(itc_import_options){.keep_start = true});
    near(itc_tensor_get(itc_value_find(kept, "w")->data, 1), -2, 0);
    const itc_graph *anew = imported(NULL), *other = imported(&(itc_import_options){.seed = 8});
    const double x = itc_tensor_get(itc_value_find(anew, "w")->data, 1);
    assert_true(x > 4 && x < 14);
    near(itc_tensor_get(itc_value_find(other, "w")->data, 1), x, 0);
}

static void bad_starts(void **state)
{
    static const struct {
        const char *key, *value, *text;
    } cases[] = {{"w", "nothing", "\"nothing\" is made by nothing"},
                 {"y", "c", "no initializer"},
                 {"w", "c", "is f32[3], expected f32[2,3]"},
                 {"w", "unknown", "E0201"}};
    for (int i = 0; i < 4; i++) {
        itc_graph *g = NULL;
        build(&momentum);
        onnx_build *s = onnx_build_start(a);
        onnx_build_floats(s, "c", "3", (const float[]){9, 9, 9});
        (void)onnx_build_node(s, "Conjure", "c", "unknown");
        onnx_build_begin(a, cases[i].key, cases[i].value);
        if (i < 3) {
            refused("E0235", cases[i].text);
        } else {
            assert_int_not_equal(import(NULL, &g), ITC_OK);
            assert_string_equal(itc_diag_get(ctx, 0)->id, cases[i].text);
        }
        again(state);
    }
    build(&momentum);
    onnx_build *s = onnx_build_start(a);
    (void)onnx_build_input(s, "in", FLOAT, "3");
    onnx_build_begin(a, "b", "in");
    refused("E0235", "has the input \"in\"");
    again(state);
    build(&momentum);
    s = onnx_build_start(a);
    Onnx__NodeProto *n = onnx_build_node(s, "RandomNormal", "", "r");
    n->n_input = 0;
    onnx_build_attr_ints(s, n, "shape", 2, (const int64_t[]){1 << 30, 1 << 30});
    onnx_build_begin(a, "w", "r");
    refused("E0235", "not known, or too large");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(rules_become_options),
                                       TEST(states_start_as_the_model_says),
                                       TEST(integer_states_start_so_too),
                                       TEST(another_optimizer_leaves_the_states),
                                       TEST(others_are_not_trained),
                                       TEST(a_rate_may_be_an_input),
                                       TEST(a_repeated_forward_part_shares_its_input),
                                       TEST(statistics_are_not_updated_twice),
                                       TEST(it_can_be_left_aside),
                                       TEST(bad_bindings),
                                       TEST(bad_rules),
                                       TEST(bad_gradients),
                                       TEST(bad_optimizers),
                                       TEST(random_starts),
                                       TEST(the_models_start_may_be_kept),
                                       TEST(bad_starts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
