#include "passes/lower_internal.h"

#include <math.h>
#include <string.h>

enum { FACTOR_ROOM = 58 }; /* bits of a product of two mantissas in a sum */
enum { SUM_ROOM = 44 };    /* bits of a term beside a coefficient of 15 and seven others */
enum { EXACT_BITS = 62 };  /* more than any sum has: an exact one is passed on as it is */
enum { SITES_OF_ID = 16, MAX_SITE_ID = 0xffff }; /* as a site is packed: ir.h, itc_role */

itc_graph *itc_lower_graph(itc_lower *l)
{
    return l->g;
}

int itc_lower_operand_bits(const itc_lower *l)
{
    return l->operand_bits;
}

int itc_lower_wide_bits(const itc_lower *l)
{
    return l->wide_bits;
}

static int bits_of_want(const itc_lower *l, int want)
{
    return (want & ITC_WANT_EXACT) != 0   ? EXACT_BITS
           : (want & ITC_WANT_STATE) != 0 ? l->state_bits
           : (want & ITC_WANT_WIDE) != 0  ? l->wide_bits
                                          : l->operand_bits;
}

int itc_lower_demand(const itc_lower *l, const itc_value *v)
{
    return bits_of_want(l, l->want[v->id]);
}

int64_t itc_graph_rows(const itc_graph *g)
{
    const int64_t batch = itc_setting_int(g, "batch", 64);
    const int64_t micro = itc_setting_int(g, "micro_batch", 0);
    return micro > 0 && micro < batch ? micro : batch;
}

itc_dtype itc_dtype_of_bits(int bits)
{
    return bits <= 7 ? ITC_I8 : bits <= 15 ? ITC_I16 : bits <= 31 ? ITC_I32 : ITC_I64;
}

itc_status itc_accumulator_type(itc_graph *g, const itc_node *n, itc_dim k, int a, int b,
                                itc_type *type)
{
    const uint64_t limit_a = ((uint64_t)1 << a) - 1, limit_b = ((uint64_t)1 << b) - 1;
    const uint64_t terms = (uint64_t)k.size * (uint64_t)(k.batch ? itc_graph_rows(g) : 1);
    const uint64_t product = limit_a * limit_b;
    if (a + b > 62 || terms == 0 || terms > (uint64_t)INT64_MAX / product) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0310",
                         "a sum of %llu products of %d and %d bits overflows 64 bits",
                         (unsigned long long)terms, a, b);
    }
    int bits = 0;
    while (bits < 63 && terms * product >> bits != 0) {
        bits++;
    }
    type->dtype = bits <= 31 ? ITC_I32 : ITC_I64;
    type->bits = (uint8_t)bits;
    return ITC_OK;
}

/* ---- float data to mantissas ---- */

/**
 * Numbers of a constant lie below it. Infinities and what comes near them stand for "beyond all
 * others" (the masks of attention), not for their size, which would leave nothing of the others.
 */
#define BEYOND 1e30

/** The element that decides the exponent: the largest magnitude. What is beyond becomes 32 more
 * than twice the largest number (*far, 0 without any). After a softmax that is nothing, exp(-32),
 * and still leaves scores an absolute precision of 2^-10. */
static itc_status largest_element(itc_lower *l, const itc_node *n, const itc_value *v, double *far,
                                  double *max)
{
    const itc_tensor *t = v->data;
    const float *f = t->dtype == ITC_F32 ? t->data : NULL;
    const double numbers = v->kind == ITC_VALUE_CONST ? BEYOND : INFINITY;
    bool beyond = false;
    *max = 0;
    for (int64_t i = 0; i < t->count; i++) {
        const double x = f ? (double)f[i] : itc_tensor_get(t, i);
        const double size = fabs(x);
        if (size < numbers) {
            *max = size > *max ? size : *max;
        } else if (isnan(x) || v->kind != ITC_VALUE_CONST) {
            return itc_error(l->g->ctx, n, ITC_RANGE, "E0325",
                             "tensor \"%s\" holds %g; --arith float32 can compute with it",
                             v->onnx ? v->onnx : v->name, x);
        } else {
            beyond = true;
        }
    }
    *far = beyond ? 32 + 2 * *max : 0;
    *max = beyond ? *far : *max;
    return ITC_OK;
}

/** The exponent with which `bits` magnitude bits just hold max. */
static int exponent_for(double max, int bits)
{
    const double limit = (double)(((uint64_t)1 << bits) - 1);
    int e = 0;
    if (max <= 0) {
        return -bits;
    }
    frexp(max, &e);
    e -= bits;
    while (max > limit * ldexp(1, e)) { /* the exact rule: nothing clips */
        e++;
    }
    return e;
}

/** A float tensor as mantissas of `bits` magnitude bits, rounded half to even, and their exponent.
 */
static itc_status quantize(itc_lower *l, const itc_node *n, const itc_value *v, int bits,
                           itc_tensor **out, int32_t *exponent)
{
    const itc_tensor *t = v->data;
    const float *f = t->dtype == ITC_F32 ? t->data : NULL;
    double far = 0, max = 0;
    ITC_TRY(largest_element(l, n, v, &far, &max));
    const int e = exponent_for(max, bits);
    const double scale = ldexp(1, -e); /* exact, as is the product: double has f32's range twice */
    itc_tensor *q = itc_tensor_new(l->g->ctx, itc_dtype_of_bits(bits), t->rank, t->dim);
    for (int64_t i = 0; i < t->count; i++) {
        double x = f ? (double)f[i] : itc_tensor_get(t, i);
        if (far > 0 && fabs(x) >= BEYOND) {
            x = x > 0 ? far : -far;
        }
        const int64_t m = (int64_t)nearbyint(x * scale);
        switch (q->dtype) {
        case ITC_I8:
            ((int8_t *)q->data)[i] = (int8_t)m;
            break;
        case ITC_I16:
            ((int16_t *)q->data)[i] = (int16_t)m;
            break;
        case ITC_I32:
            ((int32_t *)q->data)[i] = (int32_t)m;
            break;
        default:
            ((int64_t *)q->data)[i] = m;
        }
    }
    *exponent = e;
    *out = q;
    return ITC_OK;
}

/* ---- tables ---- */

static void read_widths(itc_lower *l)
{
    const itc_graph *g = l->g;
    const int bits = (int)itc_setting_int(g, "bits", 0);
    const bool int16 = strcmp(itc_setting_string(g, "arith", "int8"), "int16") == 0;
    l->operand_bits = bits > 0 ? bits - 1 : int16 ? 15 : 7;
    l->wide_bits = 15;
    const int state = (int)itc_setting_int(g, "state_bits", 0);
    l->state_bits = state > 0 ? state - 1 : l->operand_bits <= 7 ? 15 : 31;
    static const char *const phase[] = {"forward=", "backward=", "update="};
    const char *text = itc_setting_string(g, "rounding", "");
    const char *mode[3] = {"nearest", "stochastic", "stochastic"};
    for (int i = 0; i < 3; i++) {
        const char *p = strstr(text, phase[i]);
        if (p) {
            p += strlen(phase[i]);
            mode[i] = strncmp(p, "stochastic", 10) == 0 ? "stochastic"
                      : strncmp(p, "floor", 5) == 0     ? "floor"
                                                        : "nearest";
        }
    }
    for (int s = 0; s < ITC_SECTION_COUNT; s++) {
        l->rounding[s] = mode[s == ITC_BACKWARD ? 1 : s == ITC_UPDATE ? 2 : 0];
    }
}

/** Elements of t come fewer than those of `all`: it repeats along an axis, or has no rows. */
static bool is_smaller(const itc_type *t, const itc_type *all)
{
    itc_dim a, b;
    if (!itc_type_count(t, &a) || !itc_type_count(all, &b)) {
        return false;
    }
    return a.batch == b.batch ? a.size < b.size : b.batch;
}

static int want_of_operand(const itc_lower *l, const itc_node *n, const itc_value *v)
{
    if (n->op->demand == ITC_DEMAND_OPERAND && (n->op->flags & ITC_OP_SUM) != 0 && n->out[0] &&
        is_smaller(&v->type, &n->out[0]->type)) {
        return ITC_WANT_WIDE; /* one factor of many products */
    }
    if (n->op->demand == ITC_DEMAND_WIDE) {
        return ITC_WANT_WIDE;
    }
    if (n->op->demand == ITC_DEMAND_OPERAND) {
        return ITC_WANT_OPERAND;
    }
    if (n->op->demand == ITC_DEMAND_EXACT) {
        return ITC_WANT_EXACT;
    }
    int want = 0;
    for (int i = 0; i < n->n_out; i++) {
        want |= n->out[i] ? l->want[n->out[i]->id] : 0;
    }
    return want ? want : ITC_WANT_OPERAND;
}

/** consumer[]: of each value that nobody else in its section, and no output or state, uses. */
static void find_consumers(itc_lower *l)
{
    itc_graph *g = l->g;
    int32_t *own = ITC_NEW_ARRAY(g->ctx, int32_t, l->n + 1);
    int32_t *all = ITC_NEW_ARRAY(g->ctx, int32_t, l->n + 1);
    itc_graph_count_uses(g);
    for (int s = 0; s < ITC_SECTION_COUNT; s++) {
        const itc_node_list *list = &g->section[s];
        for (int k = 0; k < list->n; k++) {
            const itc_node *n = list->node[k];
            for (int i = 0; i < n->n_in; i++) {
                const itc_value *v = n->in[i];
                if (v) {
                    all[v->id]++;
                }
                if (v && (!v->def || v->def->section == n->section)) {
                    own[v->id]++;
                    l->consumer[v->id] = n;
                }
            }
        }
    }
    for (int i = 0; i < l->n; i++) {
        if (own[i] != 1 || all[i] != g->values[i]->n_uses) {
            l->consumer[i] = NULL;
        }
    }
}

/** n may take operand v as the formal sum that it is. */
static bool may_absorb(const itc_lower *l, const itc_node *n, const itc_value *v)
{
    return l->consumer[v->id] == n && v->def && v->def->section == n->section &&
           (n->op->flags & ITC_OP_SUM) != 0;
}

static void find_wants(itc_lower *l)
{
    itc_graph *g = l->g;
    find_consumers(l);
    for (int i = 0; i < l->n; i++) {
        if (g->values[i]->next_state) {
            const bool stat = g->values[i]->kind == ITC_VALUE_STAT; /* wider than a weight */
            const uint8_t want = stat ? ITC_WANT_EXACT : ITC_WANT_STATE;
            l->want[g->values[i]->next_state->id] |= want;
            l->rounded[g->values[i]->next_state->id] |= want;
        }
    }
    for (int i = 0; i < g->n_outputs; i++) {
        l->want[g->outputs[i].value->id] |= ITC_WANT_WIDE;
        l->rounded[g->outputs[i].value->id] |= ITC_WANT_WIDE;
    }
    for (int s = ITC_SECTION_COUNT - 1; s >= 0; s--) {
        const itc_node_list *list = &g->section[s];
        for (int k = list->n - 1; k >= 0; k--) {
            const itc_node *n = list->node[k];
            for (int i = 0; i < n->n_in; i++) {
                const itc_value *v = n->in[i];
                if (v) {
                    const int want = want_of_operand(l, n, v);
                    l->want[v->id] |= (uint8_t)want;
                    l->rounded[v->id] |= may_absorb(l, n, v) ? 0 : (uint8_t)want;
                }
            }
            l->max_import_id = n->import_id > l->max_import_id ? n->import_id : l->max_import_id;
        }
    }
}

static itc_status represent_state(itc_lower *l, itc_value *v)
{
    itc_rep *r = &l->rep[v->id];
    const bool is_float = v->type.dtype == ITC_F32;
    switch (v->kind) {
    case ITC_VALUE_PARAM:
    case ITC_VALUE_SLOT:
    case ITC_VALUE_STAT:
        if (is_float) {
            /* 0.01 of a change is lost in 16 bits: running statistics have 32 */
            const int bits = v->kind == ITC_VALUE_STAT ? 31 : l->state_bits;
            ITC_TRY(quantize(l, NULL, v, bits, &v->data, &v->init_exp));
            v->type.dtype = v->data->dtype;
            v->type.bits = (uint8_t)bits;
            v->exp.kind = ITC_EXP_OPEN;
        }
        break;
    case ITC_VALUE_INPUT:
    case ITC_VALUE_TARGET:
        if (is_float) {
            v->type.dtype = ITC_I32;
            v->type.bits = 31;
            v->exp.kind = ITC_EXP_OPEN;
        }
        break;
    case ITC_VALUE_CONST:
        break;
    case ITC_VALUE_NODE:
    default:
        return ITC_OK;
    }
    r->set = r->free = true;
    r->state = v->kind != ITC_VALUE_INPUT && v->kind != ITC_VALUE_TARGET;
    r->n = 1;
    r->term[0] = (itc_sum_term){.x = v, .c = {1, ITC_SYM_NONE}};
    return ITC_OK;
}

itc_status itc_lower_begin(itc_lower *l)
{
    itc_ctx *ctx = l->g->ctx;
    l->rep = ITC_NEW_ARRAY(ctx, itc_rep, l->n + 1);
    l->want = ITC_NEW_ARRAY(ctx, uint8_t, l->n + 1);
    l->rounded = ITC_NEW_ARRAY(ctx, uint8_t, l->n + 1);
    l->consumer = ITC_NEW_ARRAY(ctx, const itc_node *, l->n + 1);
    read_widths(l);
    find_wants(l);
    l->sites = ITC_NEW_ARRAY(ctx, itc_site_group, (size_t)(l->max_import_id + 2) * ITC_ROLE_COUNT);
    l->last_site_id = l->max_import_id + 1;
    for (int i = 0; i < l->n; i++) {
        ITC_TRY(represent_state(l, l->g->values[i]));
    }
    return ITC_OK;
}

/* ---- rounding ---- */

static bool is_state_derived(const itc_value *v)
{
    return v->kind == ITC_VALUE_PARAM || v->kind == ITC_VALUE_CONST || v->kind == ITC_VALUE_STAT ||
           (v->kind == ITC_VALUE_NODE && v->def->section == ITC_PREPARE);
}

static bool is_state_term(const itc_sum_term *t)
{
    return is_state_derived(t->x) && (!t->f || is_state_derived(t->f));
}

static bool is_one(itc_coef c)
{
    return c.symbol == ITC_SYM_NONE && !(c.value < 1) && !(c.value > 1);
}

/**
 * Gives a node its rounding site; see NUMERICS.md on random bits. The first 16 of a role have the
 * number of the ONNX node, 16 more each a number beyond those of all nodes, as they come: a node
 * that is unrolled through time has many.
 */
itc_status itc_lower_site(itc_lower *l, itc_node *m, itc_role role)
{
    int id = m->import_id;
    if (id <= 0 || id > l->max_import_id) {
        id = l->max_import_id + 1; /* nodes that come from no ONNX node share one number */
    }
    itc_site_group *s = &l->sites[id * ITC_ROLE_COUNT + (int)role];
    if (s->n == 0) {
        s->id = id;
    } else if (s->n % SITES_OF_ID == 0) {
        s->id = ++l->last_site_id;
    }
    if (s->id > MAX_SITE_ID) {
        return itc_error(l->g->ctx, m, ITC_RANGE, "E0321", "more than %d numbers of rounding sites",
                         MAX_SITE_ID);
    }
    m->site = (uint32_t)s->id << 8 | (uint32_t)role << 4 | (uint32_t)(s->n++ % SITES_OF_ID);
    return ITC_OK;
}

static itc_role role_of(const itc_section s, int want)
{
    switch (s) {
    case ITC_PREPARE:
        return ITC_ROLE_VIEW;
    case ITC_BACKWARD:
        return (want & ITC_WANT_STATE) != 0 ? ITC_ROLE_DW : ITC_ROLE_DX;
    case ITC_UPDATE:
        return ITC_ROLE_UPDATE;
    default:
        return ITC_ROLE_FWD;
    }
}

/** The boxes of terms that do not fill a sum of type t. */
static void set_boxes(itc_graph *g, itc_node *m, const itc_type *t, const itc_rep *r)
{
    int64_t box[ITC_MAX_TERMS * 2 * ITC_MAX_RANK] = {0}, shape[ITC_MAX_RANK] = {0};
    bool any = false;
    int batch = -1;
    for (int i = 0; i < r->n; i++) {
        for (int k = 0; r->term[i].place && k < t->rank; k++) {
            box[(2 * i) * t->rank + k] = r->term[i].place->begin[k];
            box[(2 * i + 1) * t->rank + k] = r->term[i].place->extent[k];
            any = true;
        }
    }
    for (int k = 0; k < t->rank; k++) {
        shape[k] = t->dim[k].size;
        batch = t->dim[k].batch ? k : batch;
    }
    if (any) {
        itc_set_ints(g, m, "boxes", r->n * 2 * t->rank, box);
        itc_set_ints(g, m, "shape", t->rank, shape);
        itc_set_int(g, m, "batch_axis", batch);
    }
}

static itc_status requant(itc_lower *l, const itc_node *n, const itc_value *v, const itc_rep *r,
                          int bits, itc_value **out)
{
    itc_graph *g = l->g;
    itc_value *in[2 * ITC_MAX_TERMS];
    itc_coef coef[ITC_MAX_TERMS];
    bool state = g->insert != ITC_UPDATE;
    int step = 1;
    for (int i = 0; i < r->n; i++) {
        step = r->term[i].f ? 2 : step;
    }
    for (int i = 0; i < r->n; i++) {
        in[step * i] = r->term[i].x;
        if (step == 2) {
            in[2 * i + 1] = r->term[i].f;
        }
        coef[i] = r->term[i].c;
        state = state && is_state_term(&r->term[i]);
    }
    const itc_section home = g->insert;
    g->insert = state ? ITC_PREPARE : home;
    itc_node *m = itc_node_new(g, &itc_op_Requant, n, step * r->n, in, 1);
    itc_set_coefs(g, m, "coef", r->n, coef);
    itc_set_int(g, m, "bits", bits);
    if (step == 2) {
        itc_set_int(g, m, "pairs", 1);
    }
    set_boxes(g, m, &v->type, r);
    /* what a loss hands to its consumers is where the backward pass begins */
    const bool loss = n && (n->op->flags & ITC_OP_LOSS) != 0;
    /* a forward value is rounded as one, though the backward pass may be the first to ask */
    const bool forward = (!v->def || v->def->section <= ITC_FORWARD) && m->section == ITC_BACKWARD;
    const itc_section phase = loss ? ITC_BACKWARD : forward ? ITC_FORWARD : m->section;
    itc_set_string(g, m, "rounding", l->rounding[phase]);
    itc_set_string(g, m, "rule", itc_setting_string(g, "exponent", "exact"));
    itc_set_int(g, m, "optimizer", m->section == ITC_UPDATE);
    ITC_TRY(itc_lower_site(l, m, loss ? ITC_ROLE_LOSS : role_of(phase, l->want[v->id])));
    ITC_TRY(itc_infer(g, m));
    itc_value_rename(g, m->out[0],
                     itc_format(g->ctx, "%s.%s", v->name, itc_dtype_name(m->out[0]->type.dtype)));
    g->insert = home;
    *out = m->out[0];
    return ITC_OK;
}

/** A constant's mantissas of at most `bits`. */
static itc_status constant(itc_lower *l, const itc_node *n, const itc_value *v, int bits,
                           itc_value **out)
{
    itc_graph *g = l->g;
    int32_t e = 0;
    itc_tensor *q = NULL;
    ITC_TRY(quantize(l, n, v, bits, &q, &e));
    itc_value *c =
        itc_const_new(g, itc_format(g->ctx, "%s.%s", v->name, itc_dtype_name(q->dtype)), q);
    c->type.bits = (uint8_t)bits;
    c->exp.kind = ITC_EXP_OPEN;
    c->init_exp = e;
    c->reason = v->reason;
    *out = c;
    return ITC_OK;
}

itc_status itc_lower_get(itc_lower *l, const itc_node *n, const itc_value *v, int bits,
                         itc_value **out)
{
    if (v->id >= l->n || !l->rep[v->id].set) {
        return itc_error(l->g->ctx, n, ITC_INTERNAL, "E0322", "value \"%s\" is not lowered",
                         v->name);
    }
    itc_rep *r = &l->rep[v->id];
    itc_value *x = r->term[0].x;
    const bool single = r->n == 1 && !r->term[0].f && !r->term[0].place && is_one(r->term[0].c);
    const bool plain = x->type.dtype != ITC_F32 && x->type.bits == 0;
    const bool narrow = x->type.dtype != ITC_F32 && x->type.bits <= bits &&
                        x->kind != ITC_VALUE_INPUT && x->kind != ITC_VALUE_TARGET &&
                        itc_dtype_size(x->type.dtype) <= itc_dtype_size(itc_dtype_of_bits(bits));
    if (single && (plain || narrow)) {
        *out = x;
        return ITC_OK;
    }
    const int slot = bits <= l->operand_bits ? 0 : bits <= l->wide_bits ? 1 : 2;
    if (r->narrow[slot] && r->narrow[slot]->type.bits <= bits) {
        /* evaluation has values of its own; what training made is not at hand there */
        *out = r->narrow[slot];
        const itc_section s = l->g->insert;
        const itc_section of = r->narrow[slot]->def ? r->narrow[slot]->def->section : ITC_PREPARE;
        if (of == ITC_PREPARE || (s >= ITC_INFER) == (of >= ITC_INFER)) {
            return ITC_OK;
        }
    }
    if (x->kind == ITC_VALUE_CONST && x->type.dtype == ITC_F32) {
        ITC_TRY(constant(l, n, x, bits, &r->narrow[slot]));
    } else {
        ITC_TRY(requant(l, n, v, r, bits > 31 ? 31 : bits, &r->narrow[slot]));
    }
    *out = r->narrow[slot];
    return ITC_OK;
}

itc_status itc_lower_get_wide(itc_lower *l, const itc_node *n, const itc_value *v, int bits,
                              itc_value **out)
{
    ITC_TRY(itc_lower_get(l, n, v, bits, out));
    if ((*out)->type.dtype == itc_dtype_of_bits(bits)) {
        return ITC_OK;
    }
    const itc_rep exact = {.n = 1, .term = {{.x = *out, .c = {1, ITC_SYM_NONE}}}};
    return requant(l, n, v, &exact, bits, out);
}

void itc_lower_keep(itc_lower *l, const itc_value *v)
{
    l->rep[v->id].free = true;
}

void itc_lower_set(itc_lower *l, const itc_value *v, itc_value *x)
{
    itc_lower_set_scaled(l, v, x, (itc_coef){1, ITC_SYM_NONE});
}

void itc_lower_set_pair(itc_lower *l, const itc_value *v, itc_value *x, itc_value *f)
{
    l->rep[v->id] =
        (itc_rep){.set = true, .n = 1, .term = {{.x = x, .c = {1, ITC_SYM_NONE}, .f = f}}};
}

void itc_lower_set_scaled(itc_lower *l, const itc_value *v, itc_value *x, itc_coef c)
{
    itc_rep *r = &l->rep[v->id];
    *r = (itc_rep){.set = true, .n = 1, .state = is_state_derived(x), .free = is_state_derived(x)};
    r->term[0] = (itc_sum_term){.x = x, .c = c};
}

static bool coef_multiply(itc_coef a, itc_coef b, itc_coef *out)
{
    if (a.symbol != ITC_SYM_NONE && b.symbol != ITC_SYM_NONE) {
        return false;
    }
    *out = (itc_coef){a.value * b.value, a.symbol != ITC_SYM_NONE ? a.symbol : b.symbol};
    return true;
}

/** How operand v, from `start` on (NULL: broadcast), stands in a sum of type t. */
typedef struct standing {
    const itc_value *v;
    const itc_type *t;
    const int64_t *start;
} standing;

/** Where a term of v, in v's box `own` (NULL: all of v), lies in the sum. */
static const itc_place *place_of(itc_lower *l, const standing *s, const itc_place *own)
{
    const itc_type *x = &s->v->type;
    itc_place p = {0};
    bool any = false;
    for (int k = 0; k < x->rank; k++) {
        const int to = k + s->t->rank - x->rank;
        const bool same = itc_dim_equal(x->dim[k], s->t->dim[to]);
        const int64_t begin = own ? own->begin[k] : 0, extent = own ? own->extent[k] : 0;
        if (s->start && (s->start[k] != 0 || !same)) {
            p.begin[to] = s->start[k] + begin;
            p.extent[to] = extent != 0 ? extent : x->dim[k].size;
        } else if (same) { /* else v repeats here, and fills the axis */
            p.begin[to] = begin;
            p.extent[to] = extent;
        }
        any = any || p.extent[to] != 0;
    }
    if (!any) {
        return NULL;
    }
    itc_place *out = ITC_NEW(l->g->ctx, itc_place);
    *out = p;
    return out;
}

/** Appends operand v's terms times c to the sum, or the value itself, rounded, as one term. */
static itc_status add_operand(itc_lower *l, const itc_node *n, const standing *s, itc_coef c,
                              int room, itc_rep *sum)
{
    const itc_value *v = s->v;
    const itc_rep *r = &l->rep[v->id];
    bool absorb = r->set && r->n <= room && (r->free || may_absorb(l, n, v));
    for (int i = 0; absorb && i < r->n; i++) {
        itc_coef unused;
        const itc_value *x = r->term[i].x;
        absorb = coef_multiply(r->term[i].c, c, &unused) && x->type.bits <= SUM_ROOM &&
                 x->type.dtype != ITC_F32;
    }
    if (!absorb) {
        itc_sum_term t = {.c = c, .place = place_of(l, s, NULL)};
        /* a sum that finds no room enters at wide bits: nearly as if it had not been rounded */
        const bool crowded = r->set && !r->free && may_absorb(l, n, v);
        const bool wide = v->kind == ITC_VALUE_CONST || crowded;
        const int bits = wide ? l->wide_bits : itc_lower_demand(l, v);
        ITC_TRY(itc_lower_get(l, n, v, bits, &t.x));
        sum->term[sum->n++] = t;
        return ITC_OK;
    }
    for (int i = 0; i < r->n; i++) {
        itc_sum_term t = {.x = r->term[i].x, .f = r->term[i].f};
        t.place = place_of(l, s, r->term[i].place);
        if (!coef_multiply(r->term[i].c, c, &t.c)) {
            return ITC_INTERNAL;
        }
        sum->term[sum->n++] = t;
    }
    return ITC_OK;
}

static itc_status set_sum(itc_lower *l, const itc_node *n, const itc_value *v, int count,
                          const itc_coef *c, const int64_t (*start)[ITC_MAX_RANK])
{
    itc_rep sum = {.set = true, .state = true};
    if (count > ITC_MAX_TERMS) {
        return itc_error(l->g->ctx, n, ITC_RANGE, "E0323", "a sum of %d operands; at most %d",
                         count, ITC_MAX_TERMS);
    }
    for (int i = 0; i < count; i++) {
        /* keep a place for each operand still to come */
        const int room = ITC_MAX_TERMS - sum.n - (count - 1 - i);
        const standing s = {n->in[i], &v->type, start ? start[i] : NULL};
        ITC_TRY(add_operand(l, n, &s, c ? c[i] : (itc_coef){1, ITC_SYM_NONE}, room, &sum));
    }
    for (int i = 0; i < sum.n; i++) {
        sum.state = sum.state && is_state_term(&sum.term[i]);
    }
    l->rep[v->id] = sum;
    return ITC_OK;
}

itc_status itc_lower_set_sum(itc_lower *l, const itc_node *n, const itc_value *v, int count,
                             const itc_coef *c)
{
    return set_sum(l, n, v, count, c, NULL);
}

itc_status itc_lower_set_joined(itc_lower *l, const itc_node *n, const itc_value *v,
                                const int64_t (*start)[ITC_MAX_RANK])
{
    return set_sum(l, n, v, n->n_in, NULL, start);
}

bool itc_lower_may_absorb(const itc_lower *l, const itc_node *n, const itc_value *v)
{
    return may_absorb(l, n, v);
}

bool itc_lower_is_absorbed(const itc_lower *l, const itc_value *v)
{
    const itc_node *only = l->consumer[v->id];
    return only && may_absorb(l, only, v);
}

/* ---- products ---- */

/** Whether each term of v may be multiplied by `small`, so that no product of two small factors is
 * as large as the result. */
static bool distributes(const itc_lower *l, const itc_node *n, const itc_value *v,
                        const itc_value *small, const itc_type *all)
{
    const itc_rep *r = &l->rep[v->id];
    if (!r->set || !is_smaller(&small->type, all) || !(r->free || may_absorb(l, n, v))) {
        return false;
    }
    for (int i = 0; i < r->n; i++) {
        const itc_sum_term *t = &r->term[i];
        if (t->x->type.dtype == ITC_F32 || t->x->type.bits > 32 || t->x->type.bits == 0 ||
            t->place) {
            return false;
        }
        if (t->f) { /* both broadcast to at most their common shape */
            itc_type both = t->f->type;
            for (int k = 0; k < both.rank && k < small->type.rank; k++) {
                itc_dim *d = &both.dim[both.rank - 1 - k];
                const itc_dim s = small->type.dim[small->type.rank - 1 - k];
                *d = d->size == 1 && !d->batch ? s : *d;
            }
            if (!is_smaller(&both, all)) {
                return false;
            }
        }
    }
    return true;
}

/** Bits that a factor of x may have: the product and the terms beside it stay below 2^62. */
static int factor_bits(const itc_value *x)
{
    const int room = FACTOR_ROOM - x->type.bits;
    return room > 31 ? 31 : room;
}

static itc_status distribute(itc_lower *l, const itc_node *n, const itc_value *v,
                             const itc_value *big, const itc_value *small)
{
    const itc_rep *r = &l->rep[big->id];
    itc_rep product = {.set = true, .state = true, .n = r->n};
    for (int i = 0; i < r->n; i++) {
        itc_sum_term *t = &product.term[i];
        *t = r->term[i];
        const int bits = factor_bits(t->x);
        itc_value *s = NULL;
        ITC_TRY(itc_lower_get(l, n, small, bits, &s));
        if (t->f) {
            const itc_rep both = {.n = 1, .term = {{.x = s, .c = {1, ITC_SYM_NONE}, .f = t->f}}};
            ITC_TRY(requant(l, n, v, &both, bits, &s));
        }
        t->f = s;
        product.state = product.state && is_state_term(t);
    }
    product.free = product.state;
    l->rep[v->id] = product;
    return ITC_OK;
}

itc_status itc_lower_set_product(itc_lower *l, const itc_node *n, const itc_value *v)
{
    for (int i = 0; i < 2; i++) {
        if (distributes(l, n, n->in[i], n->in[1 - i], &v->type)) {
            return distribute(l, n, v, n->in[i], n->in[1 - i]);
        }
    }
    itc_rep *r = &l->rep[v->id];
    itc_value *in[2] = {0};
    itc_dim count;
    /* what has no rows is a matter of a few elements: scales, gates, statistics */
    const bool few = itc_type_count(&v->type, &count) && !count.batch;
    for (int i = 0; i < 2; i++) {
        const bool wide = few || is_smaller(&n->in[i]->type, &v->type);
        ITC_TRY(itc_lower_get(l, n, n->in[i], wide ? l->wide_bits : l->operand_bits, &in[i]));
    }
    *r = (itc_rep){.set = true, .n = 1, .term = {{.x = in[0], .c = {1, ITC_SYM_NONE}, .f = in[1]}}};
    r->state = r->free = is_state_term(&r->term[0]);
    return ITC_OK;
}

void itc_lower_set_terms(itc_lower *l, const itc_value *v, int n, const itc_sum_term *terms)
{
    itc_rep *r = &l->rep[v->id];
    *r = (itc_rep){.set = true, .state = true, .n = n};
    for (int i = 0; i < n; i++) {
        r->term[i] = terms[i];
        r->state = r->state && is_state_term(&terms[i]);
    }
    r->free = r->state;
}

itc_status itc_lower_round(itc_lower *l, const itc_node *n, const itc_value *v,
                           const itc_sum_term *term, int bits, itc_value **out)
{
    const itc_rep one = {.n = 1, .term = {*term}};
    return requant(l, n, v, &one, bits, out);
}

bool itc_lower_take_product(itc_lower *l, const itc_node *n, const itc_value *v, itc_sum_term *out)
{
    const itc_rep *r = &l->rep[v->id];
    if (!r->set || r->n != 1 || !r->term[0].f || r->term[0].place || !may_absorb(l, n, v)) {
        return false;
    }
    *out = r->term[0];
    return true;
}

itc_status itc_lower_materialize(itc_lower *l, const itc_node *n, const itc_value *v)
{
    const itc_rep *r = &l->rep[v->id];
    if (!r->set || r->free || r->term[0].x->type.bits == 0) {
        return ITC_OK;
    }
    for (int want = ITC_WANT_OPERAND; want <= ITC_WANT_STATE; want <<= 1) {
        if ((l->rounded[v->id] & want) != 0) { /* who may take the sum as it is does not count */
            itc_value *unused = NULL;
            ITC_TRY(itc_lower_get(l, n, v, bits_of_want(l, want), &unused));
        }
    }
    return ITC_OK;
}

itc_status itc_lower_build(itc_lower *l, const itc_node *n, const itc_op_def *op, int n_in,
                           itc_value *const *in, int n_out, itc_node **out)
{
    itc_graph *g = l->g;
    g->insert = n->section;
    itc_node *m = itc_node_new(g, op, n, n_in, in, n_out);
    for (int i = 0; i < n->n_attrs; i++) {
        itc_attr_set(g, m, n->attrs[i]);
    }
    ITC_TRY(itc_infer(g, m));
    for (int i = 0; i < n_out && i < n->n_out; i++) {
        if (m->out[i] && n->out[i]) {
            const char *type = itc_dtype_name(m->out[i]->type.dtype);
            itc_value_rename(g, m->out[i], itc_format(g->ctx, "%s.%s", n->out[i]->name, type));
        }
    }
    *out = m;
    return ITC_OK;
}

static void set_outputs(itc_lower *l, const itc_node *n, const itc_node *m)
{
    for (int i = 0; i < n->n_out; i++) {
        if (n->out[i]) {
            itc_lower_set(l, n->out[i], m->out[i]);
        }
    }
}

itc_status itc_lower_linear(itc_lower *l, const itc_node *n)
{
    itc_value *in[8] = {0};
    itc_node *m = NULL;
    for (int i = 0; i < n->n_in && i < 8; i++) {
        if (n->in[i]) {
            ITC_TRY(itc_lower_get(l, n, n->in[i], l->operand_bits, &in[i]));
        }
    }
    ITC_TRY(itc_lower_build(l, n, n->op, n->n_in, in, n->n_out, &m));
    set_outputs(l, n, m);
    return ITC_OK;
}

itc_status itc_lower_wide(itc_lower *l, const itc_node *n)
{
    itc_value *x = NULL;
    itc_node *m = NULL;
    ITC_TRY(itc_lower_get_wide(l, n, n->in[0], itc_lower_wide_bits(l), &x));
    ITC_TRY(itc_lower_build(l, n, n->op, 1, &x, 1, &m));
    itc_lower_set(l, n->out[0], m->out[0]);
    return ITC_OK;
}

itc_status itc_lower_move(itc_lower *l, const itc_node *n)
{
    itc_value *in[8] = {0};
    itc_node *m = NULL;
    for (int i = 0; i < n->n_in && i < 8; i++) {
        const itc_value *v = n->in[i];
        if (!v) {
            continue;
        }
        const itc_rep *r = &l->rep[v->id];
        if (i == 0 && r->free && r->state && v->kind != ITC_VALUE_CONST && r->n == 1 &&
            !r->term[0].f && !r->term[0].place) {
            in[i] = r->term[0].x; /* state moves at full width; consumers narrow their view */
        } else {
            ITC_TRY(itc_lower_get(
                l, n, v, i == 0 ? itc_lower_demand(l, n->out[0]) : l->operand_bits, &in[i]));
        }
    }
    ITC_TRY(itc_lower_build(l, n, n->op, n->n_in, in, n->n_out, &m));
    set_outputs(l, n, m);
    return ITC_OK;
}
