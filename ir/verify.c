/*
 * Checks of a whole graph, run after each pass and after reading a text. Linear in the graph,
 * except for the memory stage: values times those that live at the same time.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/op.h"

typedef struct verifier {
    itc_graph *g;
    itc_ctx *ctx;
    bool *made;       /**< by value id: its node has been passed */
    itc_status first; /**< of the first error; checking goes on, so that a person sees more */
} verifier;

static void note_error(verifier *v, itc_status s)
{
    v->first = v->first == ITC_OK ? s : v->first;
}

/** Records an error of a node, and remembers that there was one. */
#define FAIL(v, node, status, id, ...)                                                             \
    note_error((v), itc_error((v)->ctx, (node), (status), (id), __VA_ARGS__))

static bool belongs(const verifier *v, const itc_value *x)
{
    return x->id >= 0 && x->id < v->g->n_values && v->g->values[x->id] == x;
}

/* ---- nodes ---- */

static void check_use(verifier *v, const itc_node *n, const itc_value *x)
{
    const char *section = itc_section_name(n->section);
    if (!belongs(v, x)) {
        FAIL(v, n, ITC_INTERNAL, "E0120", "operand \"%s\" is not a value of the graph", x->name);
    } else if (x->kind == ITC_VALUE_NODE) {
        if (!x->def) {
            FAIL(v, n, ITC_INTERNAL, "E0121", "operand \"%s\" is made by no node", x->name);
        } else if (!itc_section_sees(n->section, x->def->section)) {
            FAIL(v, n, ITC_INTERNAL, "E0122", "section %s uses \"%s\", which section %s makes",
                 section, x->name, itc_section_name(x->def->section));
        } else if (!v->made[x->id]) {
            FAIL(v, n, ITC_INTERNAL, "E0121", "operand \"%s\" is used before it is made", x->name);
        }
    } else if ((x->kind == ITC_VALUE_INPUT || x->kind == ITC_VALUE_TARGET) &&
               (n->section == ITC_PREPARE || n->section == ITC_UPDATE)) {
        FAIL(v, n, ITC_INTERNAL, "E0122", "section %s runs once a step and uses \"%s\", %s",
             section, x->name, "which a micro-batch brings");
    } else if (x->kind == ITC_VALUE_TARGET && n->section == ITC_INFER) {
        FAIL(v, n, ITC_INTERNAL, "E0122", "section infer uses target \"%s\"", x->name);
    }
}

static void check_outputs(verifier *v, const itc_node *n)
{
    for (int i = 0; i < n->n_out; i++) {
        const itc_value *x = n->out[i];
        if (!x) {
            continue;
        }
        if (!belongs(v, x)) {
            FAIL(v, n, ITC_INTERNAL, "E0120", "output \"%s\" is not a value of the graph", x->name);
        } else if (x->kind != ITC_VALUE_NODE || x->def != n || x->out_index != i ||
                   v->made[x->id]) {
            FAIL(v, n, ITC_INTERNAL, "E0120", "output \"%s\" is not made here alone", x->name);
        } else {
            v->made[x->id] = true;
        }
    }
}

static void check_arity(verifier *v, const itc_node *n)
{
    const itc_op_def *op = n->op;
    const bool variadic = (op->flags & ITC_OP_VARIADIC) != 0;
    if (n->n_in < op->in_min || (n->n_in > op->in_max && !variadic)) {
        FAIL(v, n, ITC_PARSE, "E0123", "%d operands, expected %d to %d", n->n_in, op->in_min,
             op->in_max);
    }
    if (n->n_out < op->out_min || n->n_out > op->out_max) {
        FAIL(v, n, ITC_PARSE, "E0123", "%d outputs, expected %d to %d", n->n_out, op->out_min,
             op->out_max);
    }
    for (int i = 0; i < op->in_min && i < n->n_in; i++) {
        if (!n->in[i]) {
            FAIL(v, n, ITC_PARSE, "E0123", "operand %d of %s cannot be left out", i, op->name);
        }
    }
    for (int i = 0; i < op->out_min && i < n->n_out; i++) {
        if (!n->out[i]) {
            FAIL(v, n, ITC_PARSE, "E0123", "output %d of %s cannot be left out", i, op->name);
        }
    }
}

itc_status itc_check_coefs(itc_graph *g, const itc_node *n)
{
    for (int i = 0; i < n->n_attrs; i++) {
        const itc_attr *a = &n->attrs[i];
        for (int k = 0; a->kind == ITC_ATTR_COEFS && k < a->n; k++) {
            if (!isfinite(a->u.coefs[k].value)) {
                return itc_error(g->ctx, n, ITC_RANGE, "E0325",
                                 "a coefficient is %g; --arith float32 can compute with it",
                                 a->u.coefs[k].value);
            }
        }
    }
    return ITC_OK;
}

static bool is_integer_stage(const itc_graph *g)
{
    return g->stage >= ITC_STAGE_INTEGER &&
           strcmp(itc_setting_string(g, "arith", ""), "float32") != 0;
}

static void check_attributes(verifier *v, const itc_node *n)
{
    const itc_attr_spec *specs = n->op->attrs;
    for (int i = 0; i < n->n_attrs; i++) {
        const itc_attr_spec *s = specs;
        while (s && s->name && strcmp(s->name, n->attrs[i].name) != 0) {
            s++;
        }
        if (!s || !s->name) {
            FAIL(v, n, ITC_PARSE, "E0124", "%s has no attribute \"%s\"", n->op->name,
                 n->attrs[i].name);
        } else if (s->kind != n->attrs[i].kind) {
            FAIL(v, n, ITC_PARSE, "E0124", "attribute \"%s\" is of another kind than %s expects",
                 s->name, n->op->name);
        }
    }
    if (is_integer_stage(v->g)) {
        note_error(v, itc_check_coefs(v->g, n));
    }
    for (const itc_attr_spec *s = specs; s && s->name; s++) {
        if (s->required && !itc_attr_find(n, s->name)) {
            FAIL(v, n, ITC_PARSE, "E0124", "%s needs attribute \"%s\"", n->op->name, s->name);
        }
    }
}

/** Updates may stand among the gradients: see itc_pass_schedule. */
static bool may_stand(const itc_graph *g, const itc_node *n, itc_section section)
{
    return n->section == section || (n->section == ITC_UPDATE && section == ITC_BACKWARD &&
                                     g->stage >= ITC_STAGE_SCHEDULE && !itc_graph_repeats(g));
}

static void check_node(verifier *v, const itc_node *n, itc_section section)
{
    if (!may_stand(v->g, n, section)) {
        FAIL(v, n, ITC_INTERNAL, "E0122", "the node stands in section %s and says %s",
             itc_section_name(section), itc_section_name(n->section));
    }
    for (int i = 0; i < n->n_in; i++) {
        if (n->in[i]) {
            check_use(v, n, n->in[i]);
        }
    }
    check_outputs(v, n);
    if (n->op) {
        check_arity(v, n);
        check_attributes(v, n);
    } else if (v->g->stage != ITC_STAGE_IMPORT) {
        FAIL(v, n, ITC_UNSUPPORTED, "E0125", "operator %s has no row", n->opaque ? n->opaque : "?");
    }
}

/* ---- values ---- */

static void check_type(verifier *v, const itc_value *x)
{
    const itc_type *t = &x->type;
    const itc_stage stage = v->g->stage;
    itc_dim count;
    if (!t->known) {
        if (stage >= ITC_STAGE_SHAPE) {
            FAIL(v, x->def, ITC_SHAPE, "E0126", "the type of \"%s\" is not known", x->name);
        }
        return;
    }
    if (t->rank > ITC_MAX_RANK || (int)t->dtype < 0 || t->dtype >= ITC_DTYPE_COUNT ||
        t->exp_axis >= t->rank || !itc_type_count(t, &count)) {
        FAIL(v, x->def, ITC_SHAPE, "E0126", "the type of \"%s\" is not possible", x->name);
    } else if (t->dtype == ITC_F32 && is_integer_stage(v->g)) {
        FAIL(v, x->def, ITC_TYPE, "E0126", "\"%s\" is f32 in integer arithmetic", x->name);
    }
}

static bool is_state(const itc_value *x)
{
    return x->kind == ITC_VALUE_PARAM || x->kind == ITC_VALUE_SLOT || x->kind == ITC_VALUE_STAT;
}

static void check_state(verifier *v, const itc_value *x)
{
    const itc_value *next = x->next_state;
    if (next && !is_state(x)) {
        FAIL(v, x->def, ITC_INTERNAL, "E0127", "\"%s\" is no state and has a next state", x->name);
    } else if (next &&
               (!belongs(v, next) || (next->kind == ITC_VALUE_NODE && !v->made[next->id]))) {
        FAIL(v, next->def, ITC_INTERNAL, "E0127", "the next state of \"%s\" is made by no node",
             x->name);
    } else if (next && !itc_type_equal(&next->type, &x->type)) {
        FAIL(v, next->def, ITC_TYPE, "E0127", "the next state of \"%s\" is %s, expected %s",
             x->name, itc_type_text(v->ctx, &next->type), itc_type_text(v->ctx, &x->type));
    }
    const itc_tensor *data = x->data;
    if (x->kind == ITC_VALUE_CONST && !data) {
        FAIL(v, NULL, ITC_INTERNAL, "E0130", "constant \"%s\" has no contents", x->name);
    }
    if (data && (x->kind == ITC_VALUE_CONST || is_state(x)) && x->type.known) {
        const itc_type own = itc_tensor_type(data);
        if (!itc_type_equal(&own, &x->type)) {
            FAIL(v, NULL, ITC_TYPE, "E0130", "the contents of \"%s\" are %s, expected %s", x->name,
                 itc_type_text(v->ctx, &own), itc_type_text(v->ctx, &x->type));
        }
    } else if (data && x->kind != ITC_VALUE_CONST && !is_state(x)) {
        FAIL(v, x->def, ITC_INTERNAL, "E0130", "\"%s\" has contents and is no state", x->name);
    }
}

static void check_exponent(verifier *v, const itc_value *x)
{
    const itc_exp *e = &x->exp;
    const int32_t slots = v->g->n_exponents;
    if (e->kind == ITC_EXP_NONE) {
        return;
    }
    bool inside = e->slot < slots && (e->kind != ITC_EXP_FIT || e->slot >= 0);
    for (int i = 0; e->kind == ITC_EXP_SUM && i < e->n_terms; i++) {
        inside = inside && e->term[i] >= 0 && e->term[i] < slots;
    }
    if (e->kind == ITC_EXP_OPEN) {
        FAIL(v, x->def, ITC_INTERNAL, "E0128", "the exponent of \"%s\" is not planned", x->name);
    } else if (!inside) {
        FAIL(v, x->def, ITC_INTERNAL, "E0128", "the exponent of \"%s\" is not in a table of %d",
             x->name, slots);
    }
}

/** Rings in `storage` would hang whoever looks for the root: walk each chain once, marking it. */
static void check_storage(verifier *v)
{
    int32_t *walk = ITC_NEW_ARRAY(v->ctx, int32_t, v->g->n_values);
    for (int i = 0; i < v->g->n_values; i++) {
        const itc_value *x = v->g->values[i];
        while (x && walk[x->id] == 0) {
            walk[x->id] = i + 1;
            x = x->storage;
            if (x && !belongs(v, x)) {
                FAIL(v, x->def, ITC_INTERNAL, "E0129", "storage \"%s\" is no value of the graph",
                     x->name);
                x = NULL;
            }
        }
        if (x && walk[x->id] == i + 1) {
            FAIL(v, x->def, ITC_INTERNAL, "E0129", "\"%s\" takes its bytes from itself", x->name);
        }
    }
}

/* ---- memory stage ---- */

typedef struct span {
    int32_t start, end; /**< positions in the order of nodes; start > end: never alive */
} span;

typedef struct piece {
    const itc_value *v;
    span life;
    int64_t from, to;
} piece;

static const itc_value *storage_root(const itc_value *x)
{
    while (x->storage) {
        x = x->storage;
    }
    return x;
}

static void extend(span *s, int32_t at)
{
    if (s->start > s->end) {
        *s = (span){at, at};
    }
    s->start = at < s->start ? at : s->start;
    s->end = at > s->end ? at : s->end;
}

/**
 * Lifetimes along one timeline: a step (prepare, forward, backward, update) or an evaluation
 * (prepare, infer, score). What is made before a loop and read in it is read in the next round
 * again, so it lives to the loop's end.
 */
static span *lifetimes(verifier *v, bool evaluation)
{
    const itc_graph *g = v->g;
    span *life = ITC_NEW_ARRAY(v->ctx, span, g->n_values);
    for (int i = 0; i < g->n_values; i++) {
        life[i] = (span){1, 0};
    }
    int32_t first[ITC_SECTION_COUNT + 1] = {0};
    for (int s = 0; s < ITC_SECTION_COUNT; s++) {
        first[s + 1] = first[s] + g->section[s].n;
    }
    const int32_t loop_end = evaluation ? first[ITC_SECTION_COUNT] : first[ITC_UPDATE] - 1;
    for (int s = 0; s < ITC_SECTION_COUNT; s++) {
        /* a step of one micro-batch runs its sections once */
        const bool once =
            s == ITC_PREPARE || s == ITC_UPDATE || (!evaluation && !itc_graph_repeats(g));
        const bool looped = !once;
        if (s != ITC_PREPARE && (s >= ITC_INFER) != evaluation) {
            continue;
        }
        for (int i = 0; i < g->section[s].n; i++) {
            const itc_node *n = g->section[s].node[i];
            for (int k = 0; k < n->n_in; k++) {
                const itc_value *root = n->in[k] ? storage_root(n->in[k]) : NULL;
                if (root) {
                    const bool outside = root->def && root->def->section == ITC_PREPARE;
                    extend(&life[root->id], looped && outside ? loop_end : first[s] + i);
                }
            }
            for (int k = 0; k < n->n_out; k++) {
                if (n->out[k]) {
                    extend(&life[storage_root(n->out[k])->id], first[s] + i);
                }
            }
        }
    }
    for (int i = 0; evaluation && i < g->n_outputs; i++) {
        extend(&life[storage_root(g->outputs[i].value)->id], loop_end);
    }
    for (int i = 0; !evaluation && i < g->n_values; i++) {
        if (g->values[i]->next_state) {
            extend(&life[storage_root(g->values[i]->next_state)->id], first[ITC_INFER]);
        }
    }
    return life;
}

/** Bytes of a value with the rows of its section, or -1 where that overflows. */
static int64_t value_bytes(const itc_graph *g, const itc_value *x)
{
    const bool evaluation = x->def && x->def->section >= ITC_INFER;
    const int64_t batch = itc_setting_int(g, "batch", 64);
    const int64_t micro = itc_setting_int(g, "micro_batch", 0);
    const int64_t rows = evaluation ? 1 : micro > 0 && micro < batch ? micro : batch;
    itc_dim count = {0, false};
    int64_t bytes = (int64_t)itc_dtype_size(x->type.dtype);
    if (!itc_type_count(&x->type, &count) || !itc_size_mul(bytes, count.size, &bytes) ||
        (count.batch && !itc_size_mul(bytes, rows, &bytes))) {
        return -1;
    }
    return bytes;
}

static int by_start(const void *a, const void *b)
{
    const piece *x = a;
    const piece *y = b;
    if (x->life.start != y->life.start) {
        return x->life.start < y->life.start ? -1 : 1;
    }
    return x->v->id < y->v->id ? -1 : x->v->id > y->v->id;
}

/** Passes over the pieces by their first use, holding each against those that still live. */
static void check_overlap(verifier *v, piece *pieces, int n)
{
    int *live = ITC_NEW_ARRAY(v->ctx, int, n);
    int n_live = 0;
    if (n > 0) {
        qsort(pieces, (size_t)n, sizeof *pieces, by_start);
    }
    for (int i = 0; i < n; i++) {
        const piece *x = &pieces[i];
        int kept = 0;
        for (int k = 0; k < n_live; k++) {
            const piece *y = &pieces[live[k]];
            if (y->life.end < x->life.start) {
                continue;
            }
            live[kept++] = live[k];
            if (x->from < y->to && y->from < x->to) {
                FAIL(v, x->v->def, ITC_INTERNAL, "E0129",
                     "\"%s\" at %lld overlaps \"%s\" at %lld, which lives at the same time",
                     x->v->name, (long long)x->from, y->v->name, (long long)y->from);
                return;
            }
        }
        live[kept] = i;
        n_live = kept + 1;
    }
}

static void check_memory(verifier *v)
{
    const itc_graph *g = v->g;
    piece *pieces = ITC_NEW_ARRAY(v->ctx, piece, g->n_values);
    for (int evaluation = 0; evaluation < 2; evaluation++) {
        const span *life = lifetimes(v, evaluation != 0);
        int n = 0;
        for (int i = 0; i < g->n_values; i++) {
            const itc_value *x = g->values[i];
            const int64_t bytes = value_bytes(g, x);
            const itc_value *root = storage_root(x);
            if (x != root && root->offset >= 0 &&
                (x->offset != root->offset || bytes > value_bytes(g, root))) {
                FAIL(v, x->def, ITC_INTERNAL, "E0129", "\"%s\" does not fit the bytes of \"%s\"",
                     x->name, root->name);
            }
            if (x->offset < 0 || x != root) {
                continue;
            }
            if (bytes < 0 || bytes > g->arena_bytes || x->offset > g->arena_bytes - bytes) {
                FAIL(v, x->def, ITC_INTERNAL, "E0129",
                     "\"%s\" at %lld lies outside the arena of %lld bytes", x->name,
                     (long long)x->offset, (long long)g->arena_bytes);
            } else if (bytes > 0 && life[i].start <= life[i].end) {
                pieces[n++] = (piece){x, life[i], x->offset, x->offset + bytes};
            }
        }
        check_overlap(v, pieces, n);
    }
}

/* ---- all of it ---- */

static void check_graph_outputs(verifier *v)
{
    const itc_graph *g = v->g;
    for (int i = 0; i < g->n_outputs; i++) {
        const itc_value *x = g->outputs[i].value;
        if (!belongs(v, x) || (x->kind == ITC_VALUE_NODE && !v->made[x->id])) {
            FAIL(v, NULL, ITC_INTERNAL, "E0120", "output \"%s\" is no value of the graph",
                 g->outputs[i].name);
        } else if (g->stage >= ITC_STAGE_LOSS && x->kind == ITC_VALUE_NODE &&
                   !itc_section_sees(ITC_INFER, x->def->section)) {
            FAIL(v, x->def, ITC_INTERNAL, "E0122", "output \"%s\" is made in section %s",
                 g->outputs[i].name, itc_section_name(x->def->section));
        }
    }
}

itc_status itc_verify(itc_graph *g)
{
    verifier v = {.g = g, .ctx = g->ctx, .first = ITC_OK};
    v.made = ITC_NEW_ARRAY(g->ctx, bool, g->n_values);
    for (int i = 0; i < g->n_values; i++) {
        if (g->values[i]->id != i) {
            return itc_error(g->ctx, NULL, ITC_INTERNAL, "E0120",
                             "value \"%s\" has number %d, not %d", g->values[i]->name,
                             g->values[i]->id, i);
        }
    }
    for (int s = 0; s < ITC_SECTION_COUNT; s++) {
        for (int i = 0; i < g->section[s].n; i++) {
            const itc_node *n = g->section[s].node[i];
            if (!n->dead) {
                check_node(&v, n, (itc_section)s);
            }
        }
    }
    for (int i = 0; i < g->n_values; i++) {
        const itc_value *x = g->values[i];
        if (x->kind == ITC_VALUE_NODE && !v.made[x->id]) {
            continue; /* left behind by an edit; uses of it have been reported */
        }
        check_type(&v, x);
        check_state(&v, x);
        if (g->stage >= ITC_STAGE_PLAN) {
            check_exponent(&v, x);
        }
    }
    check_graph_outputs(&v);
    check_storage(&v);
    /* Lifetimes follow definitions and storage, so those have to hold. */
    if (g->stage >= ITC_STAGE_MEMORY && v.first == ITC_OK) {
        check_memory(&v);
    }
    return v.first;
}
