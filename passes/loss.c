/*
 * loss: attaches the losses, and splits training from evaluation.
 *
 * Before: FORWARD computes the model's outputs. After: nodes that depend on state alone are in
 * PREPARE; FORWARD ends in loss nodes; INFER is a copy of the forward graph in its evaluation form
 * (an operator's infer_form: no dropout) whose values are the graph's outputs, and SCORE compares
 * them with the targets. Targets are values of kind TARGET.
 * An output that has the rows on another axis than the first is transposed: samples are rows.
 * A cross-entropy on a softmax takes the softmax's operand: no second softmax.
 * With the loss "none" there is no training: FORWARD, BACKWARD and UPDATE stay empty.
 * Linear in the graph's size.
 */
#include "ir/ops/loss.h"
#include "ir/ops/util.h"
#include "passes/pass.h"

#include <stdlib.h>
#include <string.h>

typedef struct loss_spec {
    int output;
    const char *kind;
    double weight;
    double smoothing;
    int64_t ignore_index;
    bool has_ignore;
    int axis; /**< of the classes; 0: not given */
} loss_spec;

typedef struct loss_pass {
    itc_graph *g;
    itc_value **copy; /**< FORWARD value id -> its INFER counterpart */
    int n_copy;
    itc_value *logits_of[64]; /**< value that each loss node reads, for SCORE */
    itc_node *loss[64];
    int n_losses;
} loss_pass;

static int find_output(const itc_graph *g, const char *name, size_t len)
{
    for (int i = 0; i < g->n_outputs; i++) {
        if (strlen(g->outputs[i].name) == len && memcmp(g->outputs[i].name, name, len) == 0) {
            return i;
        }
    }
    return -1;
}

/** What v shows under another shape, [1, 1] for instance. */
static itc_value *unviewed(itc_value *v)
{
    while (v && v->def && v->def->op->alias) {
        v = v->def->in[0];
    }
    return v;
}

/** One number, of any rank. */
static bool is_number(const itc_type *t)
{
    itc_dim count;
    return itc_type_count(t, &count) && count.size == 1 && !count.batch;
}

static bool is_loss_scalar(itc_value *v)
{
    v = unviewed(v);
    if (!v || !v->def || !is_number(&v->type)) {
        return false;
    }
    if (v->def->op->flags & ITC_OP_LOSS) {
        return true;
    }
    for (int i = 0; (v->def->op->flags & ITC_OP_SUM) && i < v->def->n_in; i++) {
        if (is_loss_scalar(v->def->in[i])) {
            return true;
        }
    }
    return false;
}

static itc_status default_spec(itc_graph *g, loss_spec *s)
{
    int floats = 0, scalar = -1;
    for (int i = 0; i < g->n_outputs; i++) {
        itc_value *v = g->outputs[i].value;
        if (v && v->type.dtype == ITC_F32) {
            floats++;
            s->output = i;
            if (is_loss_scalar(v)) {
                scalar = i;
            }
        }
    }
    s->kind = "cross-entropy";
    if (scalar >= 0) {
        s->output = scalar;
        s->kind = "graph";
    } else if (floats != 1) {
        return itc_error(g->ctx, NULL, ITC_RANGE, "E0302",
                         "the model has %d float outputs; say which one has a loss: --loss "
                         "OUTPUT=KIND",
                         floats);
    }
    return ITC_OK;
}

static itc_status parse_option(itc_graph *g, const char *text, loss_spec *s)
{
    char *end = NULL;
    if (strncmp(text, "label-smoothing=", 16) == 0) {
        s->smoothing = strtod(text + 16, &end);
        if (*end == 0 && s->smoothing >= 0 && s->smoothing < 1) {
            return ITC_OK;
        }
    } else if (strncmp(text, "ignore-index=", 13) == 0) {
        s->ignore_index = strtoll(text + 13, &end, 10);
        s->has_ignore = true;
        if (end != text + 13 && *end == 0 && s->ignore_index >= INT32_MIN &&
            s->ignore_index <= INT32_MAX) {
            return ITC_OK;
        }
    }
    if (strncmp(text, "axis=", 5) == 0) {
        s->axis = (int)strtol(text + 5, &end, 10);
        if (end != text + 5 && *end == 0 && s->axis != 0 && s->axis < ITC_MAX_RANK &&
            s->axis >= -ITC_MAX_RANK) {
            return ITC_OK;
        }
    }
    return itc_error(g->ctx, NULL, ITC_RANGE, "E0303",
                     "--loss option \"%s\": expected ignore-index=N, axis=N or label-smoothing=X "
                     "with 0 <= X < 1",
                     text);
}

/** [OUTPUT=]KIND[:WEIGHT][,OPTION…] */
static itc_status parse_spec(itc_graph *g, char *text, loss_spec *s)
{
    *s = (loss_spec){.output = -1, .weight = 1};
    char *kind = text;
    for (char *eq = strchr(text, '='); eq && s->output < 0; eq = strchr(eq + 1, '=')) {
        s->output = find_output(g, text, (size_t)(eq - text));
        if (s->output >= 0) {
            kind = eq + 1;
        }
    }
    char *option = strchr(kind, ',');
    if (option) {
        *option++ = 0;
    }
    char *colon = strchr(kind, ':');
    if (colon) {
        char *end = NULL;
        *colon = 0;
        s->weight = strtod(colon + 1, &end);
        if (end == colon + 1 || *end || !(s->weight > 0 && s->weight < 1e6)) {
            return itc_error(g->ctx, NULL, ITC_RANGE, "E0303",
                             "--loss weight \"%s\": expected a number between 0 and 1e6",
                             colon + 1);
        }
    }
    s->kind = kind;
    while (option) {
        char *next = strchr(option, ',');
        if (next) {
            *next++ = 0;
        }
        ITC_TRY(parse_option(g, option, s));
        option = next;
    }
    if (s->output < 0) {
        loss_spec only = {.output = -1};
        if (strcmp(kind, "graph") != 0 && strchr(kind, '=')) {
            return itc_error(g->ctx, NULL, ITC_RANGE, "E0304",
                             "--loss names an output \"%.*s\" that the model does not have",
                             (int)strcspn(kind, "="), kind);
        }
        ITC_TRY(default_spec(g, &only));
        s->output = only.output;
    }
    return ITC_OK;
}

static void add_loss(loss_pass *p, itc_node *n)
{
    p->loss[p->n_losses++] = n;
}

static itc_value *new_target(loss_pass *p, const loss_spec *s, itc_type type)
{
    itc_graph *g = p->g;
    const char *name =
        p->n_losses == 0 ? "target" : itc_format(g->ctx, "target.%s", g->outputs[s->output].name);
    itc_value *t = itc_value_new(g, ITC_VALUE_TARGET, name, type);
    t->exp.kind = ITC_EXP_NONE;
    return t;
}

/** Whether v's last axis counts the features of a product: the scores of each token. */
static bool ends_in_features(const itc_value *v)
{
    const itc_type *t = &v->type;
    while (v->kind == ITC_VALUE_NODE && v->def) {
        const itc_value *x = v->def->n_in > 0 ? v->def->in[0] : NULL;
        if ((v->def->op->flags & ITC_OP_FEATURES) != 0 || !x) {
            return x != NULL;
        }
        const bool passes = v->def->op->alias || (v->def->op->flags & ITC_OP_SUM) != 0;
        if (!passes || x->type.rank < 1 ||
            !itc_dim_equal(x->type.dim[x->type.rank - 1], t->dim[t->rank - 1])) {
            return false;
        }
        v = x;
    }
    return false;
}

/** The class axis: of a softmax its own; else the last where it is made by a product with a matrix,
 * as in [N, tokens, C]; else axis 1, as in [N, C, height, width]. */
static int class_axis(const loss_spec *s, const itc_value *v)
{
    if (s->axis != 0) {
        return s->axis < 0 ? s->axis + v->type.rank : s->axis;
    }
    if (v->def && (v->def->op->flags & ITC_OP_SOFTMAX) != 0) {
        const int axis = (int)itc_int(v->def, "axis");
        return axis < 0 ? axis + v->type.rank : axis;
    }
    return ends_in_features(v) ? v->type.rank - 1 : 1;
}

static itc_status attach_cross_entropy(loss_pass *p, const loss_spec *s)
{
    itc_graph *g = p->g;
    itc_value *v = g->outputs[s->output].value;
    const int axis = class_axis(s, v);
    if (v->def && (v->def->op->flags & ITC_OP_SOFTMAX) != 0 &&
        axis == class_axis(&(loss_spec){0}, v)) {
        v = v->def->in[0];
    }
    if (v->type.rank < 2 || !v->type.dim[0].batch || axis < 1 || axis >= v->type.rank ||
        v->type.dim[axis].batch) {
        return itc_error(g->ctx, v->def, ITC_SHAPE, "E0305",
                         "cross-entropy needs an output [N, classes, …], found %s",
                         itc_type_text(g->ctx, &v->type));
    }
    itc_type t = itc_type_make(ITC_I32, 0, NULL);
    for (int i = 0; i < v->type.rank; i++) {
        if (i != axis) {
            t.dim[t.rank++] = v->type.dim[i];
        }
    }
    itc_value *in[3] = {v, new_target(p, s, t), NULL};
    if (s->has_ignore) {
        ITC_TRY(itc_label_weights_build(g, v->def, in[1], NULL, s->ignore_index, true, &in[2]));
    }
    itc_node *n = itc_node_new(g, &itc_op_CrossEntropy, v->def, in[2] ? 3 : 2, in, 2);
    itc_set_int(g, n, "axis", axis);
    itc_set_float(g, n, "weight", s->weight);
    itc_set_float(g, n, "smoothing", s->smoothing);
    itc_set_int(g, n, "ignore_index", s->has_ignore ? s->ignore_index : INT32_MIN);
    ITC_TRY(itc_infer(g, n));
    add_loss(p, n);
    return ITC_OK;
}

static itc_status attach_mse(loss_pass *p, const loss_spec *s)
{
    itc_graph *g = p->g;
    itc_value *v = g->outputs[s->output].value;
    if (v->type.rank < 1 || !v->type.dim[0].batch) {
        return itc_error(g->ctx, v->def, ITC_SHAPE, "E0305",
                         "mse needs an output with the batch axis first, found %s",
                         itc_type_text(g->ctx, &v->type));
    }
    itc_value *in[2] = {v, new_target(p, s, v->type)};
    itc_node *diff = NULL, *n = NULL;
    ITC_TRY(itc_build(g, &itc_op_Combine, v->def, 2, in, 1, &diff));
    itc_set_coefs(g, diff, "coef", 2, (itc_coef[]){{1, ITC_SYM_NONE}, {-1, ITC_SYM_NONE}});
    ITC_TRY(itc_build(g, &itc_op_SquareLoss, v->def, 1, diff->out, 1, &n));
    itc_set_float(g, n, "weight", s->weight);
    add_loss(p, n);
    return ITC_OK;
}

/** The model's own scalar: a weighted sum of losses. */
static itc_status attach_graph(loss_pass *p, itc_value *shown, double weight)
{
    itc_graph *g = p->g;
    const itc_value *v = unviewed(shown);
    itc_node *n = v->def;
    if (n && (n->op->flags & ITC_OP_LOSS)) {
        itc_set_float(g, n, "weight", itc_float(n, "weight") * weight);
        for (int i = 1; i < n->n_in; i++) {
            if (n->in[i] && n->in[i]->kind == ITC_VALUE_INPUT) {
                n->in[i]->kind = ITC_VALUE_TARGET;
            }
        }
        add_loss(p, n);
        return ITC_OK;
    }
    const itc_attr *coef = n && (n->op->flags & ITC_OP_SUM) ? itc_attr_find(n, "coef") : NULL;
    if (!coef || !is_number(&v->type)) {
        return itc_error(
            g->ctx, n, ITC_UNSUPPORTED, "E0306",
            "the output is not a weighted sum of losses (SoftmaxCrossEntropyLoss, or "
            "ReduceMean or ReduceSum over everything, the rows included); choose --loss "
            "OUTPUT=cross-entropy or mse");
    }
    for (int i = 0; i < n->n_in; i++) {
        ITC_TRY(attach_graph(p, n->in[i], weight * coef->u.coefs[i].value));
    }
    n->dead = true;
    return ITC_OK;
}

static itc_status attach(loss_pass *p, const loss_spec *s)
{
    itc_graph *g = p->g;
    itc_value *v = g->outputs[s->output].value;
    if (p->n_losses >= 60) {
        return itc_error(g->ctx, NULL, ITC_RANGE, "E0307", "more than 60 losses");
    }
    if (v->type.dtype != ITC_F32) {
        return itc_error(g->ctx, v->def, ITC_TYPE, "E0305", "output \"%s\" is %s, not float",
                         g->outputs[s->output].name, itc_dtype_name(v->type.dtype));
    }
    if (strcmp(s->kind, "cross-entropy") == 0) {
        return attach_cross_entropy(p, s);
    }
    if (strcmp(s->kind, "mse") == 0) {
        return attach_mse(p, s);
    }
    if (strcmp(s->kind, "graph") == 0) {
        return attach_graph(p, v, s->weight);
    }
    return itc_error(g->ctx, NULL, ITC_UNSUPPORTED, "E0308",
                     "--loss %s is not available; there are cross-entropy, mse and graph", s->kind);
}

static itc_status attach_all(loss_pass *p)
{
    itc_graph *g = p->g;
    if (itc_loss_is_none(g)) {
        return ITC_OK;
    }
    char *text = itc_strdup(g->ctx, itc_setting_string(g, "loss", ""));
    if (!*text) {
        loss_spec s = {.output = -1, .weight = 1};
        ITC_TRY(default_spec(g, &s));
        return attach(p, &s);
    }
    while (text) {
        char *next = strchr(text, ';');
        if (next) {
            *next++ = 0;
        }
        loss_spec s;
        ITC_TRY(parse_spec(g, text, &s));
        ITC_TRY(attach(p, &s));
        text = next;
    }
    return ITC_OK;
}

static bool is_attached(const loss_pass *p, const itc_node *n)
{
    for (int i = 0; i < p->n_losses; i++) {
        if (p->loss[i] == n) {
            return true;
        }
    }
    return false;
}

/** Drops the losses that are not trained by. A loss is reported and has a gradient; it has no value
 * that a node could compute with. */
static itc_status settle_losses(loss_pass *p)
{
    itc_graph *g = p->g;
    const itc_node_list *list = &g->section[ITC_FORWARD];
    bool *of_loss = ITC_NEW_ARRAY(g->ctx, bool, g->n_values + 1);
    for (int k = 0; k < list->n; k++) {
        itc_node *n = list->node[k];
        const bool loss = (n->op->flags & ITC_OP_LOSS) != 0;
        const bool sum = n->op->alias || (n->op->flags & ITC_OP_SUM) != 0;
        bool uses = false;
        for (int i = 0; i < n->n_in; i++) {
            uses = uses || (n->in[i] && of_loss[n->in[i]->id]);
        }
        if (uses && !sum) {
            return itc_error(
                g->ctx, n, ITC_UNSUPPORTED, "E0306",
                "it computes with a loss, which can only be scaled and added to others");
        }
        if (n->n_out > 0 && n->out[0]) {
            of_loss[n->out[0]->id] = loss || uses;
        }
        n->dead = n->dead || (loss && !is_attached(p, n));
    }
    return ITC_OK;
}

/** Inputs that are used, and by losses alone, are targets, where the model has answers beside its
 * losses.
 */
static void find_targets(loss_pass *p)
{
    itc_graph *g = p->g;
    const itc_node_list *list = &g->section[ITC_FORWARD];
    bool *answers = ITC_NEW_ARRAY(g->ctx, bool, g->n_values + 1);
    bool *used = ITC_NEW_ARRAY(g->ctx, bool, g->n_values + 1);
    bool any = false;
    for (int i = 0; i < g->n_outputs; i++) {
        itc_value *v = g->outputs[i].value;
        if (v && !is_loss_scalar(v)) {
            answers[v->id] = any = true;
        }
    }
    for (int k = list->n - 1; k >= 0; k--) {
        const itc_node *n = list->node[k];
        bool needed = false;
        for (int i = 0; i < n->n_out; i++) {
            needed = needed || (n->out[i] && answers[n->out[i]->id]);
        }
        for (int i = 0; i < n->n_in; i++) {
            const int32_t id = n->in[i] ? n->in[i]->id : g->n_values;
            answers[id] = answers[id] || needed;
            used[id] = used[id] || !n->dead;
        }
    }
    for (int i = 0; any && i < g->n_values; i++) {
        if (g->values[i]->kind == ITC_VALUE_INPUT && used[i] && !answers[i]) {
            g->values[i]->kind = ITC_VALUE_TARGET;
        }
    }
}

/** Whether a result has rows: what repeats state N times depends on N. */
static bool makes_rows(const itc_node *n)
{
    for (int i = 0; i < n->n_out; i++) {
        const itc_type *t = n->out[i] ? &n->out[i]->type : NULL;
        for (int k = 0; t && k < t->rank; k++) {
            if (t->dim[k].batch) {
                return true;
            }
        }
    }
    return false;
}

/** Moves nodes that depend on state and constants alone to PREPARE. */
static void split_prepare(itc_graph *g)
{
    bool *rows = ITC_NEW_ARRAY(g->ctx, bool, g->n_values + 1);
    for (int i = 0; i < g->n_values; i++) {
        rows[i] = g->values[i]->kind == ITC_VALUE_INPUT || g->values[i]->kind == ITC_VALUE_TARGET;
    }
    const itc_node_list old = g->section[ITC_FORWARD];
    memset(&g->section[ITC_FORWARD], 0, sizeof old);
    for (int k = 0; k < old.n; k++) {
        itc_node *n = old.node[k];
        bool dynamic = (n->op->flags & (ITC_OP_LOSS | ITC_OP_KEEP)) != 0 || makes_rows(n);
        for (int i = 0; i < n->n_in; i++) {
            dynamic = dynamic || (n->in[i] && rows[n->in[i]->id]);
        }
        n->section = dynamic ? ITC_FORWARD : ITC_PREPARE;
        itc_node_list *list = &g->section[n->section];
        ITC_PUSH(g->ctx, list->node, list->n, list->cap, n);
        for (int i = 0; i < n->n_out; i++) {
            if (n->out[i]) {
                rows[n->out[i]->id] = dynamic;
            }
        }
    }
}

static itc_value *copy_of(const loss_pass *p, itc_value *v)
{
    return v && v->id < p->n_copy && p->copy[v->id] ? p->copy[v->id] : v;
}

static itc_node *copy_node(loss_pass *p, const itc_node *n, int n_out)
{
    itc_value *in[64];
    const int n_in = n->n_in < 64 ? n->n_in : 64;
    for (int i = 0; i < n_in; i++) {
        in[i] = copy_of(p, n->in[i]);
    }
    itc_node *m = itc_node_new(p->g, n->op, n, n_in, in, n_out);
    for (int i = 0; i < n->n_attrs; i++) {
        itc_attr_set(p->g, m, n->attrs[i]);
    }
    return m;
}

/** The forward graph again, in its evaluation form. */
static itc_status build_infer(loss_pass *p, const itc_node_list *forward)
{
    itc_graph *g = p->g;
    p->n_copy = g->n_values;
    p->copy = ITC_NEW_ARRAY(g->ctx, itc_value *, g->n_values + 1);
    bool *late = ITC_NEW_ARRAY(g->ctx, bool, g->n_values + 1); /* depends on a target */
    for (int k = 0; k < forward->n; k++) {
        const itc_node *n = forward->node[k];
        if (n->dead || (n->op->flags & ITC_OP_LOSS)) {
            continue;
        }
        if (n->n_in > 64) {
            return itc_error(g->ctx, n, ITC_RANGE, "E0309", "more than 64 operands");
        }
        bool needs_target = false;
        for (int i = 0; i < n->n_in; i++) {
            needs_target = needs_target ||
                           (n->in[i] && (late[n->in[i]->id] || n->in[i]->kind == ITC_VALUE_TARGET));
        }
        g->insert = needs_target ? ITC_SCORE : ITC_INFER;
        itc_node *m = copy_node(p, n, n->n_out);
        ITC_TRY(itc_infer(g, m));
        itc_value *out[8] = {0};
        if (m->op->infer_form && m->n_out <= 8) {
            ITC_TRY(m->op->infer_form(g, m, out));
        }
        m->dead = out[0] != NULL;
        for (int i = 0; i < n->n_out; i++) {
            if (n->out[i]) {
                p->copy[n->out[i]->id] = out[0] ? out[i] : m->out[i];
                late[n->out[i]->id] = needs_target;
            }
        }
    }
    return ITC_OK;
}

static itc_status build_score(loss_pass *p)
{
    itc_graph *g = p->g;
    g->insert = ITC_SCORE;
    for (int k = 0; k < p->n_losses; k++) {
        ITC_TRY(itc_infer(g, copy_node(p, p->loss[k], 1)));
    }
    int kept = 0;
    for (int i = 0; i < g->n_outputs; i++) {
        itc_value *v = g->outputs[i].value;
        if (!is_loss_scalar(v)) { /* a loss is not an answer: it needs targets */
            g->outputs[kept] = g->outputs[i];
            g->outputs[kept++].value = copy_of(p, v);
        }
    }
    g->n_outputs = kept;
    return ITC_OK;
}

static itc_status bring_rows_first(itc_graph *g)
{
    for (int i = 0; i < g->n_outputs; i++) {
        if (g->outputs[i].value) {
            ITC_TRY(itc_rows_first(g, g->outputs[i].value, &g->outputs[i].value));
        }
    }
    return ITC_OK;
}

itc_status itc_pass_loss(itc_graph *g)
{
    loss_pass p = {.g = g};
    g->insert = ITC_FORWARD;
    ITC_TRY(bring_rows_first(g));
    ITC_TRY(attach_all(&p));
    if (p.n_losses > 60) {
        return itc_error(g->ctx, NULL, ITC_RANGE, "E0307", "more than 60 losses");
    }
    ITC_TRY(settle_losses(&p));
    if (p.n_losses > 0) {
        find_targets(&p);
    }
    split_prepare(g);
    const itc_node_list forward = g->section[ITC_FORWARD];
    ITC_TRY(build_infer(&p, &forward));
    ITC_TRY(build_score(&p));
    if (itc_loss_is_none(g)) {
        memset(&g->section[ITC_FORWARD], 0, sizeof g->section[ITC_FORWARD]);
    }
    itc_graph_sweep(g);
    return ITC_OK;
}
