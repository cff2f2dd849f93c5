/*
 * What the integer stage adds: the one place where mantissas are rounded (Requant), the way into
 * floats for the reference trainer (ToFloat), and the exact sum of a step's gradients over its
 * micro-batches (GridAdd, GridNext; NUMERICS.md "Micro-batches").
 */
#include <math.h>

#include "codegen/emit.h"
#include "ir/ops/util.h"
#include "passes/lower.h"
#include "passes/plan.h"

/* ---- Requant ---- */

/** Whether operand i broadcasts to a box of t: where it begins on each axis, then its extents. */
static bool fits_box(const itc_node *n, int i, const itc_type *t, const int64_t *box)
{
    const itc_type *x = &n->in[i]->type;
    bool fits = x->rank <= t->rank;
    for (int k = 0; fits && k < t->rank; k++) {
        const int64_t begin = box[k], extent = box[t->rank + k];
        const itc_dim all = t->dim[k], d = extent != 0 ? itc_dim_of(extent) : all;
        const itc_dim own = k < t->rank - x->rank ? itc_dim_of(1) : x->dim[k - t->rank + x->rank];
        fits = (itc_dim_equal(own, d) || itc_dim_equal(own, itc_dim_of(1))) &&
               (extent == 0 ? begin == 0
                            : !all.batch && begin >= 0 && extent > 0 && extent <= all.size &&
                                  begin <= all.size - extent);
    }
    return fits;
}

/** The result's shape where operands have boxes of it. */
static itc_status requant_boxes(itc_graph *g, itc_node *n, int step)
{
    const int64_t *box = NULL, *shape = NULL, batch = itc_int(n, "batch_axis");
    const int count = itc_ints(n, "boxes", &box), rank = itc_ints(n, "shape", &shape);
    if (rank > ITC_MAX_RANK || count != n->n_in / step * 2 * rank) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0221", "%d places for %d operands", count,
                         n->n_in / step);
    }
    itc_type t = itc_type_make(n->in[0]->type.dtype, rank, (const itc_dim[ITC_MAX_RANK]){{0}});
    for (int i = 0; i < rank; i++) {
        t.dim[i] = (itc_dim){shape[i], i == batch};
    }
    for (int i = 0; i < n->n_in; i++) {
        if (n->in[i] && !fits_box(n, i, &t, box + 2 * (ptrdiff_t)rank * (i / step))) {
            return itc_error(g->ctx, n, ITC_SHAPE, "E0240", "operand %s does not fit its box of %s",
                             itc_type_text(g->ctx, &n->in[i]->type), itc_type_text(g->ctx, &t));
        }
    }
    n->out[0]->type = t;
    return ITC_OK;
}

/** Operands of a term: x alone, or x and its factor. */
static int requant_step(const itc_node *n)
{
    return itc_int(n, "pairs") != 0 ? 2 : 1;
}

/** Operands that are terms and factors: the extremes of a term may follow. */
static int requant_operands(const itc_node *n)
{
    return itc_attr_find(n, "coef")->n * requant_step(n);
}

static bool is_one(itc_dim d)
{
    return d.size == 1 && !d.batch;
}

/** Which axes of t, to which v broadcasts, v changes along. */
static uint32_t changes_along(const itc_value *v, const itc_type *t)
{
    uint32_t axes = 0;
    for (int i = 0; v && i < v->type.rank; i++) {
        axes |= is_one(v->type.dim[i]) ? 0 : (uint32_t)1 << (i + t->rank - v->type.rank);
    }
    return axes;
}

/** Whether all along slices that go along these axes of the result the factors and the exponents of
 * all terms are the same, so that the extremes of a term bound the sum. */
static bool is_even_along(const itc_node *n, uint32_t axes)
{
    const itc_type *t = &n->out[0]->type;
    bool even = axes != 0 && !itc_attr_find(n, "boxes");
    for (int i = 0; i < requant_operands(n) && even; i++) {
        const itc_value *v = n->in[i];
        const int own = v ? v->type.exp_axis + t->rank - v->type.rank : -1;
        const bool factor = requant_step(n) == 2 && i % 2 == 1;
        even = !(factor && (changes_along(v, t) & axes) != 0) &&
               !(v && v->type.exp_axis >= 0 && (axes >> own & 1) != 0);
    }
    return even;
}

/** The axes of the result along which slices of operand x go, from those of x. */
static uint32_t result_axes(const itc_node *n, const itc_type *x, uint32_t axes)
{
    const itc_type *t = &n->out[0]->type;
    uint32_t of_result = 0;
    for (int i = 0; i < x->rank; i++) {
        const int k = i + t->rank - x->rank;
        if ((axes >> i & 1) != 0 && itc_dim_equal(x->dim[i], t->dim[k])) {
            of_result |= (uint32_t)1 << k;
        }
    }
    return of_result;
}

/** Bytes, type and exponent come with the call. */
static bool is_port(const itc_value *v)
{
    while (v->kind == ITC_VALUE_NODE && v->def->op->alias) {
        v = v->def->in[0];
    }
    return itc_value_is_port(v);
}

/** Whether some term counts more than this one by the coefficients that are numbers. */
static bool is_outweighed(const itc_node *n, int term)
{
    const itc_attr *coef = itc_attr_find(n, "coef");
    const itc_coef own = coef->u.coefs[term];
    bool outweighed = false;
    for (int i = 0; i < coef->n && own.symbol == ITC_SYM_NONE; i++) {
        const itc_coef other = coef->u.coefs[i];
        outweighed =
            outweighed || (other.symbol == ITC_SYM_NONE && fabs(other.value) > fabs(own.value));
    }
    return outweighed;
}

/** A sum of one term finds what range that has, over all of it. */
static itc_value *requant_found(itc_graph *g, const itc_node *n, uint32_t *axes)
{
    const itc_value *x = n->in[0];
    (void)g;
    *axes = ((uint32_t)1 << x->type.rank) - 1;
    const bool alone = n->n_in == 1 && !itc_attr_find(n, "boxes") && x->type.rank > 0;
    return alone && x->type.exp_axis < 0 && !is_port(x) ? n->in[0] : NULL;
}

static bool requant_take(itc_graph *g, itc_node *n, itc_value *x, uint32_t axes, itc_value *found)
{
    const int step = requant_step(n), count = requant_operands(n);
    const uint32_t of_result = result_axes(n, &x->type, axes);
    int term = 0;
    while (term * step < count && n->in[term * step] != x) {
        term++;
    }
    if (term * step >= count || n->n_in > count || is_port(x) || is_outweighed(n, term) ||
        !is_even_along(n, of_result)) {
        return false;
    }
    if (found) {
        int64_t list[ITC_MAX_RANK];
        int k = 0;
        for (int i = 0; i < n->out[0]->type.rank; i++) {
            if ((of_result >> i & 1) != 0) {
                list[k++] = i;
            }
        }
        itc_node_add_operand(g, n, found);
        itc_set_ints(g, n, "extremes_axes", k, list);
        itc_set_int(g, n, "extremes_of", term);
    }
    return true;
}

/** The term whose extremes are the last operand, and the axes of a slice; -1 without any. */
static itc_status requant_extremes(itc_graph *g, const itc_node *n, int *term, uint32_t *axes)
{
    const int64_t *list = NULL, of = itc_int(n, "extremes_of");
    const int count = itc_ints(n, "extremes_axes", &list), step = requant_step(n);
    *term = -1;
    *axes = 0;
    if (n->n_in == requant_operands(n)) {
        return ITC_OK;
    }
    if (n->n_in != requant_operands(n) + 1) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0242", "%d coefficients for %d operands",
                         itc_attr_find(n, "coef")->n, n->n_in);
    }
    for (int i = 0; i < count; i++) {
        *axes |= list[i] >= 0 && list[i] < n->out[0]->type.rank ? (uint32_t)1 << list[i] : 0;
    }
    const bool inside = of >= 0 && of < itc_attr_find(n, "coef")->n;
    const itc_value *x = inside ? n->in[of * step] : NULL, *found = n->in[n->n_in - 1];
    itc_type want;
    uint32_t own = 0;
    for (int i = 0; x && i < x->type.rank; i++) {
        own |= (*axes >> (i + n->out[0]->type.rank - x->type.rank) & 1) << i;
    }
    if (!x || !found || !is_even_along(n, *axes) || !itc_extremes_type(&x->type, own, &want) ||
        !itc_type_equal(&found->type, &want)) {
        return itc_error(g->ctx, n, ITC_SHAPE, "E0251",
                         "operand \"%s\" is not the extremes of a term along these axes",
                         found ? found->name : "_");
    }
    *term = (int)of;
    return ITC_OK;
}

/** Output 1 is what it would be, where it is there. */
static itc_status check_found(itc_graph *g, const itc_node *n)
{
    itc_type want;
    uint32_t axes = 0;
    const itc_value *x = requant_found(g, n, &axes);
    if (n->n_out > 1 && n->out[1] &&
        (!x || !itc_extremes_type(&x->type, axes, &want) ||
         !itc_type_equal(&n->out[1]->type, &want))) {
        return itc_error(g->ctx, n, ITC_SHAPE, "E0251",
                         "\"%s\" is not the extremes of the only term", n->out[1]->name);
    }
    return ITC_OK;
}

static itc_status requant_infer(itc_graph *g, itc_node *n)
{
    const int64_t bits = itc_int(n, "bits");
    if (bits < 1 || bits > 31) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0249", "bits %lld, expected 1 to 31",
                         (long long)bits);
    }
    const int step = requant_step(n);
    if (n->n_in % step != 0 || itc_attr_find(n, "coef")->n * step != n->n_in) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0242", "%d coefficients for %d operands",
                         itc_attr_find(n, "coef")->n, n->n_in);
    }
    for (int i = 0; i < n->n_in; i++) {
        if (n->in[i] || i % step == 0) { /* a factor may be absent */
            ITC_TRY(itc_operand_real(g, n, i));
        }
    }
    if (itc_attr_find(n, "boxes")) {
        ITC_TRY(requant_boxes(g, n, step));
    } else {
        ITC_TRY(itc_infer_broadcast(g, n));
    }
    itc_type *t = &n->out[0]->type;
    t->bits = (uint8_t)bits;
    t->dtype = bits <= 7 ? ITC_I8 : bits <= 15 ? ITC_I16 : ITC_I32;
    t->exp_axis = -1;
    return ITC_OK;
}

static itc_status requant_plan(itc_plan *p, itc_node *n)
{
    itc_plan_fit(p, n->out[0]);
    return ITC_OK;
}

static itc_status requant_emit(itc_emit *e, const itc_node *n)
{
    const itc_type *t = &n->out[0]->type;
    int extremes_of = -1;
    uint32_t axes = 0;
    ITC_TRY(requant_extremes(itc_emit_graph(e), n, &extremes_of, &axes));
    ITC_TRY(check_found(itc_emit_graph(e), n));
    if (itc_int(n, "sticky")) {
        itc_emit_exponent(e, n->out[0], n->in[0]); /* the one to keep */
    }
    itc_value *x[ITC_MAX_TERMS] = {0}, *f[ITC_MAX_TERMS] = {0};
    const itc_attr *coef = itc_attr_find(n, "coef");
    const int step = requant_step(n);
    for (int i = 0; i < coef->n; i++) {
        x[i] = n->in[step * i];
        f[i] = step == 2 ? n->in[2 * i + 1] : NULL;
    }
    const int64_t *boxes = NULL;
    (void)itc_ints(n, "boxes", &boxes);
    ITC_TRY(itc_emit_call(e, n, "requant", 1, n->out));
    itc_arg_products(e, "terms", coef->n, x, f, coef->u.coefs, boxes, t);
    itc_arg_ptr(e, "y", n->out[0]);
    itc_arg_exp(e, "e_y", n->out[0]);
    itc_arg_shape(e, "shape", t->rank, t->dim);
    itc_arg_int(e, "rank", t->rank);
    itc_arg_int(e, "bits", itc_int(n, "bits") + 1);
    itc_arg_rounding(e, "rounding", itc_string(n, "rounding"));
    itc_arg_rule(e, "rule", itc_string(n, "rule"));
    itc_arg_int(e, "optimizer", itc_int(n, "optimizer"));
    itc_arg_int(e, "sticky", itc_int(n, "sticky"));
    itc_arg_int(e, "site", n->site);
    itc_arg_ptr(e, "extremes", extremes_of >= 0 ? n->in[n->n_in - 1] : NULL);
    itc_arg_int(e, "extremes_term", extremes_of >= 0 ? extremes_of : 0);
    itc_arg_int(e, "extremes_axes", axes);
    itc_arg_ptr(e, "found", n->n_out > 1 ? n->out[1] : NULL);
    return ITC_OK;
}

static const itc_attr_spec requant_attrs[] = {
    {.name = "coef", .kind = ITC_ATTR_COEFS, .required = true},
    {.name = "bits", .kind = ITC_ATTR_INT, .required = true},
    {.name = "pairs", .kind = ITC_ATTR_INT},
    {.name = "rounding", .kind = ITC_ATTR_STRING, .s = "nearest"},
    {.name = "rule", .kind = ITC_ATTR_STRING, .s = "exact"},
    {.name = "optimizer", .kind = ITC_ATTR_INT},
    {.name = "sticky", .kind = ITC_ATTR_INT},
    {.name = "boxes", .kind = ITC_ATTR_INTS},
    {.name = "shape", .kind = ITC_ATTR_INTS},
    {.name = "batch_axis", .kind = ITC_ATTR_INT, .i = -1},
    {.name = "extremes_of", .kind = ITC_ATTR_INT},
    {.name = "extremes_axes", .kind = ITC_ATTR_INTS},
    {0}};

const itc_op_def itc_op_Requant = {
    .name = "Requant",
    .domain = "intrain",
    .in_min = 1,
    .in_max = 2 * ITC_MAX_TERMS + 1,
    .out_min = 1,
    .out_max = 2,
    .flags = ITC_OP_INTERNAL,
    .attrs = requant_attrs,
    .summary =
        "the exact sum of coef[i] * operand i (pairs: times its factor; boxes: at a place in "
        "zeros), rounded to `bits`; last, perhaps, the extremes of a term; those of a term that is "
        "alone",
    .infer = requant_infer,
    .extremes_of = requant_found,
    .take_extremes = requant_take,
    .plan = requant_plan,
    .emit = requant_emit,
    .in_place = 0xffff,
};

/* ---- ToFloat ---- */

static itc_status to_float_infer(itc_graph *g, itc_node *n)
{
    (void)g;
    n->out[0]->type = n->in[0]->type;
    n->out[0]->type.dtype = ITC_F32;
    n->out[0]->type.bits = 0;
    return ITC_OK;
}

static itc_status to_float_emit(itc_emit *e, const itc_node *n)
{
    itc_dim count;
    const itc_coef one = {1, ITC_SYM_NONE};
    if (!itc_type_count(&n->out[0]->type, &count)) {
        return ITC_INTERNAL;
    }
    ITC_TRY(itc_emit_call(e, n, "to_float", 0, NULL));
    itc_arg_terms(e, "terms", 1, n->in, &one, &n->out[0]->type);
    itc_arg_ptr(e, "y", n->out[0]);
    itc_arg_dim(e, "n", count);
    return ITC_OK;
}

const itc_op_def itc_op_ToFloat = {
    .name = "ToFloat",
    .domain = "intrain",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = ITC_OP_INTERNAL,
    .summary = "mantissas of an input as floats (float32 trainers)",
    .infer = to_float_infer,
    .emit = to_float_emit,
};

/* ---- ToPlain ---- */

static itc_status to_plain_infer(itc_graph *g, itc_node *n)
{
    if (!itc_is_plain(&n->in[0]->type)) {
        return itc_error(g->ctx, n, ITC_TYPE, "E0228", "the operand is %s, expected plain integers",
                         itc_type_text(g->ctx, &n->in[0]->type));
    }
    n->out[0]->type = n->in[0]->type;
    if (n->out[0]->type.dtype != ITC_BOOL) {
        n->out[0]->type.dtype = ITC_I64; /* a target has the type that its file has */
    }
    return ITC_OK;
}

static itc_status to_plain_emit(itc_emit *e, const itc_node *n)
{
    itc_dim count;
    const itc_coef one = {1, ITC_SYM_NONE};
    if (!itc_type_count(&n->out[0]->type, &count)) {
        return ITC_INTERNAL;
    }
    ITC_TRY(itc_emit_call(e, n, "to_plain", 1, n->out));
    itc_arg_terms(e, "terms", 1, n->in, &one, &n->out[0]->type);
    itc_arg_ptr(e, "y", n->out[0]);
    itc_arg_dim(e, "n", count);
    return ITC_OK;
}

/**
 * The integers or booleans of an input, which come in whatever type the caller has, in the type
 * that operators compute in.
 */
const itc_op_def itc_op_ToPlain = {
    .name = "ToPlain",
    .domain = "intrain",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = ITC_OP_INTERNAL,
    .summary = "integers or booleans of an input, in the type that operators compute in",
    .infer = to_plain_infer,
    .emit = to_plain_emit,
};

/* ---- GridAdd, GridNext ---- */

static itc_status grid_infer(itc_graph *g, itc_node *n)
{
    (void)g;
    n->out[0]->type = n->in[0]->type;
    return ITC_OK;
}

static itc_status grid_add_lower(itc_lower *l, const itc_node *n)
{
    itc_value *in[2] = {n->in[0], NULL};
    itc_node *m = NULL;
    /* the sum itself: 64 bits on a grid that the checkpoint keeps, not mantissas of 16 */
    in[0]->data =
        itc_tensor_new(itc_lower_graph(l)->ctx, ITC_I64, in[0]->data->rank, in[0]->data->dim);
    in[0]->type.dtype = ITC_I64;
    in[0]->type.bits = 62;
    in[0]->init_exp = INT32_MIN; /* not set: the first gradient sets it */
    ITC_TRY(itc_lower_get(l, n, n->in[1], 62, &in[1]));
    ITC_TRY(itc_lower_build(l, n, n->op, 2, in, 1, &m));
    ITC_TRY(itc_lower_site(l, m, ITC_ROLE_GRID));
    itc_lower_set(l, n->out[0], m->out[0]);
    itc_lower_keep(l, n->out[0]);
    return ITC_OK;
}

static itc_status grid_add_emit(itc_emit *e, const itc_node *n)
{
    itc_dim count;
    const itc_coef one = {1, ITC_SYM_NONE};
    if (!itc_type_count(&n->out[0]->type, &count)) {
        return ITC_INTERNAL;
    }
    if (n->out[0]->type.dtype == ITC_F32) {
        ITC_TRY(itc_emit_call(e, n, "grid_add_f32", 0, NULL));
        itc_arg_ptr(e, "x", n->in[1]);
        itc_arg_ptr(e, "acc", n->out[0]);
    } else {
        ITC_TRY(itc_emit_call(e, n, "grid_add", 0, NULL));
        itc_arg_terms(e, "terms", 1, &n->in[1], &one, &n->out[0]->type);
        itc_arg_ptr(e, "acc", n->out[0]);
        itc_arg_exp(e, "e_grid", n->out[0]);
        itc_arg_int(e, "site", n->site);
    }
    itc_arg_dim(e, "n", count);
    itc_arg_int(e, "first", ITC_INT_FIRST_MICRO);
    return ITC_OK;
}

const itc_op_def itc_op_GridAdd = {
    .name = "GridAdd",
    .domain = "intrain",
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = ITC_OP_INTERNAL | ITC_OP_UPDATES | ITC_OP_KEEP,
    .summary = "operand 0 plus operand 1 on operand 0's grid, over the micro-batches of a step",
    .infer = grid_infer,
    .demand = ITC_DEMAND_EXACT,
    .lower = grid_add_lower,
    .plan = itc_plan_hook_same,
    .emit = grid_add_emit,
};

static itc_status grid_next_lower(itc_lower *l, const itc_node *n)
{
    itc_value *in = NULL;
    itc_node *m = NULL;
    ITC_TRY(itc_lower_get(l, n, n->in[0], 62, &in));
    ITC_TRY(itc_lower_build(l, n, n->op, 1, &in, 1, &m));
    itc_lower_set(l, n->out[0], m->out[0]);
    itc_lower_keep(l, n->out[0]);
    return ITC_OK;
}

static itc_status grid_next_emit(itc_emit *e, const itc_node *n)
{
    itc_dim count;
    if (n->out[0]->type.dtype == ITC_F32) {
        return ITC_OK; /* floats need no grid */
    }
    if (!itc_type_count(&n->out[0]->type, &count)) {
        return ITC_INTERNAL;
    }
    ITC_TRY(itc_emit_call(e, n, "grid_next", 0, NULL));
    itc_arg_ptr(e, "acc", n->in[0]);
    itc_arg_exp(e, "e_acc", n->in[0]);
    itc_arg_exp(e, "e_grid", n->out[0]);
    itc_arg_dim(e, "n", count);
    return ITC_OK;
}

const itc_op_def itc_op_GridNext = {
    .name = "GridNext",
    .domain = "intrain",
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = ITC_OP_INTERNAL | ITC_OP_UPDATES | ITC_OP_KEEP,
    .summary = "sets the grid of the next step from this step's sum",
    .infer = grid_infer,
    .demand = ITC_DEMAND_EXACT,
    .lower = grid_next_lower,
    .plan = requant_plan,
    .emit = grid_next_emit,
};
