/*
 * params: which tensors are trained, state or constant.
 *
 * Invariant: afterwards each initializer that reaches a parameter operand (a weight, bias, scale
 * or embedding; through data movement and functions, or shifted and scaled by initializers alone,
 * as weights are that a model standardises) or that is joined with data (a class token) is PARAM,
 * each that reaches a running statistic is STAT, the others stay CONST. Where the exporter says
 * what was a parameter of its module and what a buffer, that decides; where the graph has parameters
 * already (a model's training_info names them), no other initializer becomes one. `reason` says why,
 * for `check`. Linear in the graph's size, times the initializers that are joined in one.
 */
#include "passes/params.h"
#include "passes/pass.h"

#include <fnmatch.h>
#include <math.h>
#include <string.h>

enum { MASK = 9999 }; /* exporters add -10000 and beyond */

bool itc_params_match(const char *list, const char *name, uint64_t *used)
{
    bool any = false;
    int k = 0;
    for (const char *p = list; *p; k++) {
        const size_t len = strcspn(p, ";");
        char glob[512];
        if (len < sizeof glob) {
            memcpy(glob, p, len);
            glob[len] = 0;
            if (fnmatch(glob, name, 0) == 0) {
                any = true;
                *used |= (uint64_t)1 << (k & 63);
            }
        }
        p += len + (p[len] == ';');
    }
    return any;
}

static itc_status check_all_used(itc_graph *g, const char *option, const char *list, uint64_t used)
{
    int k = 0;
    for (const char *p = list; *p; k++) {
        const size_t len = strcspn(p, ";");
        if (!(used >> (k & 63) & 1)) {
            return itc_error(g->ctx, NULL, ITC_RANGE, "E0301",
                             "--%s %.*s matches no tensor that could be trained", option, (int)len,
                             p);
        }
        p += len + (p[len] == ';');
    }
    return ITC_OK;
}

static const char *node_label(itc_ctx *ctx, const itc_node *n)
{
    return n->onnx_name && n->onnx_name[0]
               ? itc_format(ctx, "%s (%s)", n->onnx_name, n->onnx_op ? n->onnx_op : n->op->name)
               : itc_format(ctx, "node #%d (%s)", (int)n->import_id,
                            n->onnx_op ? n->onnx_op : n->op->name);
}

/** An addend that drives scores out of a softmax: no parameter is as large. */
static bool is_mask(const itc_value *c)
{
    for (int64_t i = 0; c->data && c->data->data && i < c->data->count; i++) {
        if (!(fabs(itc_tensor_get(c->data, i)) < MASK)) {
            return true;
        }
    }
    return false;
}

/** Whether the name is one that exporters give to what they computed, rather than a parameter's. */
static bool is_exporters_own(const itc_value *c)
{
    static const char *const names[] = {"val_[0-9]*", "onnx::*", "*const_fold*"};
    bool own = false;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && !own; i++) {
        own = fnmatch(names[i], c->onnx ? c->onnx : c->name, 0) == 0;
    }
    return own;
}

/** A number, also as a tensor of one element: the scale of attention's scores, for instance. A
 * parameter of one element has a name. */
static bool is_number(const itc_value *c)
{
    return c->type.rank == 0 || (c->data && c->data->count == 1 && is_exporters_own(c));
}

/** Ones or zeros where an operator must have a scale or a bias and the model has none. */
static bool is_neutral(const itc_value *c, bool constant_node)
{
    const double first =
        c->data && c->data->data && c->data->count > 0 ? itc_tensor_get(c->data, 0) : -1;
    bool neutral =
        c->type.rank == 1 && (first == 0 || first == 1) && (constant_node || is_exporters_own(c));
    for (int64_t i = 1; neutral && i < c->data->count; i++) {
        neutral = itc_tensor_get(c->data, i) == first;
    }
    return neutral;
}

static bool has_reason(const itc_value *c, const char *reason)
{
    return c->reason && strcmp(c->reason, reason) == 0;
}

/** What the exporter says is a parameter is trained at whatever operand it arrives first. */
static void mark_told(itc_graph *g, const itc_node *n, itc_value *c, itc_role_in role)
{
    if (c->kind != ITC_VALUE_CONST || c->type.dtype != ITC_F32) {
        return;
    }
    if (has_reason(c, ITC_PARAMS_TOLD) && role != ITC_IN_STAT && role != ITC_IN_CONST) {
        c->kind = ITC_VALUE_PARAM;
        c->reason = itc_format(g->ctx, "parameter of %s", node_label(g->ctx, n));
    } else if (role == ITC_IN_STAT) {
        c->kind = ITC_VALUE_STAT;
        c->reason = itc_format(g->ctx, "statistics of %s", node_label(g->ctx, n));
    }
}

static void mark(itc_graph *g, const itc_node *n, itc_value *c, itc_role_in role)
{
    if (has_reason(c, ITC_PARAMS_TOLD) || has_reason(c, ITC_PARAMS_BUFFER)) {
        mark_told(g, n, c, role);
        return;
    }
    if (c->kind != ITC_VALUE_CONST || c->type.dtype != ITC_F32) {
        return;
    }
    const bool constant_node = has_reason(c, "Constant node");
    if (role == ITC_IN_WEAK && c->type.rank > 0 && is_mask(c)) {
        c->reason = itc_format(g->ctx, "mask of %s", node_label(g->ctx, n));
        return;
    }
    if (role == ITC_IN_PARAM && c->type.rank == 0) { /* repeated to a weight's shape: zeros */
        c->reason = "a number, not a parameter";
        return;
    }
    if (role == ITC_IN_PARAM && is_neutral(c, constant_node)) {
        c->reason = "ones or zeros that the exporter wrote for no parameter";
        return;
    }
    if (role == ITC_IN_STAT) {
        c->kind = ITC_VALUE_STAT;
        c->reason = itc_format(g->ctx, "statistics of %s", node_label(g->ctx, n));
    } else if (role == ITC_IN_PARAM || (role == ITC_IN_WEAK && !constant_node && !is_number(c))) {
        c->kind = ITC_VALUE_PARAM;
        c->reason = itc_format(g->ctx, "parameter of %s", node_label(g->ctx, n));
    }
}

/** Whether a ';'-separated list has the name itself, which is no pattern. */
static bool is_named(const char *list, const char *name)
{
    const size_t n = strlen(name);
    for (const char *p = list; *p;) {
        const size_t len = strcspn(p, ";");
        if (len == n && n > 0 && memcmp(p, name, n) == 0 && !strpbrk(name, "*?[")) {
            return true;
        }
        p += len + (p[len] == ';');
    }
    return false;
}

/** An initializer that is named in full is trained, also a number, which by itself is none: a
 * learned gain looks like an epsilon. */
static void add_named(itc_graph *g, const char *list)
{
    for (int i = 0; *list && i < g->n_values; i++) {
        itc_value *v = g->values[i];
        const bool constant_node = has_reason(v, "Constant node");
        if (v->kind == ITC_VALUE_CONST && v->type.dtype == ITC_F32 && !constant_node &&
            is_named(list, v->onnx ? v->onnx : v->name)) {
            v->kind = ITC_VALUE_PARAM;
            v->reason = "named by --train";
        }
    }
}

static itc_status apply_globs(itc_graph *g)
{
    const char *train = itc_setting_string(g, "train", "");
    const char *freeze = itc_setting_string(g, "freeze", "");
    const char *no_decay = itc_setting_string(g, "no_decay", "");
    uint64_t used_train = 0, used_freeze = 0, used_no_decay = 0;
    add_named(g, train);
    for (int i = 0; i < g->n_values; i++) {
        itc_value *v = g->values[i];
        if (v->kind != ITC_VALUE_PARAM) {
            continue;
        }
        const char *name = v->onnx ? v->onnx : v->name;
        itc_params_match(no_decay, name, &used_no_decay); /* passes/optimizer.c acts on it */
        if (*train && !itc_params_match(train, name, &used_train)) {
            v->kind = ITC_VALUE_CONST;
            v->reason = "not matched by --train";
        }
        if (*freeze && itc_params_match(freeze, name, &used_freeze)) {
            v->kind = ITC_VALUE_CONST;
            v->reason = "frozen by --freeze";
        }
    }
    ITC_TRY(check_all_used(g, "train", train, used_train));
    ITC_TRY(check_all_used(g, "freeze", freeze, used_freeze));
    return check_all_used(g, "no-decay", no_decay, used_no_decay);
}

/** The extents after data movement: axes that are permuted are known at import already. */
static itc_type permuted(const itc_node *n, const itc_type *from)
{
    const itc_attr *perm = itc_attr_find(n, "perm");
    itc_type to = *from;
    for (int i = 0; perm && perm->kind == ITC_ATTR_INTS && perm->n == from->rank && i < perm->n;
         i++) {
        const int64_t axis = perm->u.ints[i];
        to.dim[i] = axis >= 0 && axis < from->rank ? from->dim[axis] : from->dim[i];
    }
    return to;
}

/** An initializer, and its extents as data movement shows it. */
typedef struct origin {
    itc_value *v;
    itc_type type;
    bool computed; /**< it has been shifted or scaled */
} origin;

typedef struct origins {
    int n;
    origin *list;
} origins;

static bool moves(const itc_node *n, int i)
{
    return n->in[i] && itc_op_role(n->op, i) == ITC_IN_PASS;
}

/** Whether operand i of a node without data of run time is shifted, scaled or combined. */
static bool computes(const itc_node *n, int i)
{
    const itc_role_in role = itc_op_role(n->op, i);
    return n->in[i] && (role == ITC_IN_PART || role == ITC_IN_WEAK || role == ITC_IN_DATA);
}

/** Whether a node without data of run time is a function of operand i alone: exp(log_scale). */
static bool bends(const itc_node *n, int i)
{
    return n->n_in == 1 && n->in[i] && itc_op_role(n->op, i) == ITC_IN_DATA;
}

/** What the visit knows so far, by value. */
typedef struct search {
    itc_graph *g;
    origins *of;
    bool *at_rest; /**< made of initializers alone */
    int *taken;    /**< the last node that took the value, in a number of its own */
} search;

/** The initializers that n's result is made of, each once; none where data of run time is moved as
 * well. */
static origins passed_on(search *s, const itc_node *n, int number)
{
    const bool at_rest = n->n_out > 0 && n->out[0] && s->at_rest[n->out[0]->id];
    origins all = {0};
    int count = 0;
    for (int i = 0; i < n->n_in; i++) {
        if (moves(n, i) && s->of[n->in[i]->id].n == 0) {
            return all;
        }
        count += n->in[i] ? s->of[n->in[i]->id].n : 0;
    }
    all.list = ITC_NEW_ARRAY(s->g->ctx, origin, count);
    for (int i = 0; i < n->n_in; i++) {
        const bool bent = at_rest && bends(n, i);
        const bool computed = at_rest && !bent && computes(n, i);
        for (int k = 0; (moves(n, i) || bent || computed) && k < s->of[n->in[i]->id].n; k++) {
            const origin *o = &s->of[n->in[i]->id].list[k];
            if (s->taken[o->v->id] != number) {
                s->taken[o->v->id] = number;
                all.list[all.n++] = (origin){o->v, permuted(n, &o->type), o->computed || computed};
            }
        }
    }
    return all;
}

static search search_new(itc_graph *g)
{
    search s = {.g = g,
                .of = ITC_NEW_ARRAY(g->ctx, origins, g->n_values),
                .at_rest = ITC_NEW_ARRAY(g->ctx, bool, g->n_values),
                .taken = ITC_NEW_ARRAY(g->ctx, int, g->n_values)};
    for (int i = 0; i < g->n_values; i++) {
        const itc_value_kind kind = g->values[i]->kind;
        if (kind == ITC_VALUE_CONST || kind == ITC_VALUE_PARAM || kind == ITC_VALUE_STAT) {
            s.of[i] = (origins){1, ITC_NEW(g->ctx, origin)};
            s.of[i].list[0] = (origin){g->values[i], g->values[i]->type, false};
            s.at_rest[i] = true;
        }
    }
    return s;
}

/** Marks n's results that are made of initializers alone; without operands none are. */
static void find_rest(search *s, const itc_node *n)
{
    bool rest = n->n_in > 0;
    for (int i = 0; i < n->n_in; i++) {
        rest = rest && (!n->in[i] || s->at_rest[n->in[i]->id]);
    }
    for (int i = 0; i < n->n_out; i++) {
        if (n->out[i]) {
            s->at_rest[n->out[i]->id] = rest;
        }
    }
}

void itc_params_visit(itc_graph *g, itc_params_visitor visit, void *user)
{
    search s = search_new(g);
    const itc_node_list *list = &g->section[ITC_FORWARD];
    for (int k = 0; k < list->n; k++) {
        const itc_node *n = list->node[k];
        find_rest(&s, n);
        const origins all = passed_on(&s, n, k + 1);
        for (int i = 0; all.n > 0 && i < n->n_out; i++) {
            if (n->out[i]) {
                s.of[n->out[i]->id] = all;
            }
        }
        for (int i = 0; i < n->n_in; i++) {
            for (int j = 0; (all.n == 0 || !moves(n, i)) && n->in[i] && j < s.of[n->in[i]->id].n;
                 j++) {
                const origin *o = &s.of[n->in[i]->id].list[j];
                visit(user, n, i, o->v, o->computed ? NULL : &o->type);
            }
        }
    }
}

static void mark_operand(void *user, const itc_node *n, int operand, itc_value *c,
                         const itc_type *type)
{
    const itc_role_in role = itc_op_role(n->op, operand);
    const bool computed = type == NULL;
    if (has_reason(c, ITC_PARAMS_TOLD)) {
        mark_told(user, n, c, role);
        return;
    }
    if (computed && role != ITC_IN_PARAM) { /* a table for other purposes, as like as not */
        return;
    }
    /* what is joined with data stands beside it, as an addend does: a class token */
    mark(user, n, c, role == ITC_IN_PASS || computed ? ITC_IN_WEAK : role);
}

/** Where the graph itself says what is trained, the rest is none. */
static void mark_others(void *user, const itc_node *n, int operand, itc_value *c,
                        const itc_type *type)
{
    const bool constant = c->kind == ITC_VALUE_CONST;
    mark_operand(user, n, operand, c, type);
    if (constant && c->kind == ITC_VALUE_PARAM) {
        c->kind = ITC_VALUE_CONST;
        c->reason = "not among the tensors that the model trains";
    }
}

/** A running statistic that shares its initializer (exporters keep one of equal tensors: scales and
 * variances are 1 at first) gets one of its own: they do not stay equal. */
static void part_statistics(itc_graph *g)
{
    const itc_node_list *list = &g->section[ITC_FORWARD];
    int *uses = ITC_NEW_ARRAY(g->ctx, int, g->n_values + 1);
    for (int k = 0; k < list->n; k++) {
        for (int i = 0; i < list->node[k]->n_in; i++) {
            const itc_value *v = list->node[k]->in[i];
            uses[v ? v->id : 0] += v != NULL;
        }
    }
    for (int k = 0; k < list->n; k++) {
        itc_node *n = list->node[k];
        for (int i = 0; i < n->n_in; i++) {
            itc_value *v = n->in[i];
            if (v && n->op && itc_op_role(n->op, i) == ITC_IN_STAT && v->kind == ITC_VALUE_CONST &&
                v->data && uses[v->id] > 1) {
                uses[v->id]--;
                n->in[i] = itc_const_new(g, itc_format(g->ctx, "%s.statistic", v->name), v->data);
            }
        }
    }
}

itc_status itc_pass_params(itc_graph *g)
{
    bool given = false;
    part_statistics(g);
    for (int i = 0; i < g->n_values; i++) {
        given = given || g->values[i]->kind == ITC_VALUE_PARAM;
    }
    itc_params_visit(g, given ? mark_others : mark_operand, g);
    return apply_globs(g);
}
