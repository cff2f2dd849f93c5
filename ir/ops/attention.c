/*
 * Attention as ONNX defines it, in the operators that it stands for.
 *
 *     scores = cap(scale Q K')        cap(x) = softcap tanh(x / softcap)
 *     P = softmax(scores + mask)      over the keys that take part; 0 in rows where none does
 *     Y = P V
 *
 * Q is [batch, heads, queries, size]; K and V have one head for each group of Q's, whose queries
 * become rows of one product, so that nothing is repeated. Which keys a query sees is one boolean
 * (Exclude): the causal order, windows, a boolean mask, keys that are padding or lie behind a
 * mask's end, and what a float mask drives to -infinity. A key j is seen by query i in causal order
 * where j <= i + offset; the offset counts what is cached before the queries: the past, or the keys
 * of a sample that are no padding less the queries. Sources: ONNX Attention-23, -24, -25; Vaswani
 * et al. 2017; Ainslie et al. 2023 (groups).
 */
#include <math.h>
#include <string.h>

#include "codegen/emit.h"
#include "ir/ops/contract.h"
#include "ir/ops/take.h"
#include "ir/ops/util.h"

enum { IN_Q, IN_K, IN_V, IN_MASK, IN_PAST_K, IN_PAST_V, IN_LENGTHS };
enum { OUT_Y, OUT_K, OUT_V, OUT_SCORES };
/** What output qk_matmul_output shows. */
enum { SHOW_SCORES, SHOW_CAPPED, SHOW_MASKED, SHOW_SOFTMAX };

/* Elements of a mask that is made here; more is a mistake or an attack. */
#define MAX_ELEMENTS ((int64_t)1 << 28)

/** The node and its operands as [batch, heads, sequence, size]. */
typedef struct attention {
    itc_graph *g;
    itc_node *n;
    bool flat; /**< operands came as [batch, sequence, heads * size] */
    itc_value *q, *k, *v;
    int64_t groups; /**< heads of q for each of k */
    int64_t queries, keys, past;
    itc_value *lengths; /**< keys of a sample that are no padding, [batch, 1, 1, 1]; NULL: all */
    itc_value *keep;    /**< what takes part; NULL: everything */
    itc_value *shown;   /**< qk_matmul_output */
} attention;

static itc_value *operand(const itc_node *n, int i)
{
    return i < n->n_in ? n->in[i] : NULL;
}

static bool wants(const itc_node *n, int i)
{
    return i < n->n_out && n->out[i] != NULL;
}

static itc_status misfit(attention *a, int i)
{
    return itc_error(a->g->ctx, a->n, ITC_SHAPE, "E0220",
                     "operand %d is %s, which does not fit the others", i,
                     itc_type_text(a->g->ctx, &a->n->in[i]->type));
}

/* ---- operands ---- */

static itc_status transpose(attention *a, itc_value *x, itc_value **out)
{
    itc_node *m = itc_node_new(a->g, &itc_op_Transpose, a->n, 1, &x, 1);
    itc_set_ints(a->g, m, "perm", 4, (const int64_t[4]){0, 2, 1, 3});
    ITC_TRY(itc_infer(a->g, m));
    *out = m->out[0];
    return ITC_OK;
}

/** Operand i with an axis for the heads. */
static itc_status with_heads(attention *a, int i, const char *heads, itc_value **out)
{
    itc_type t = a->n->in[i]->type;
    const int64_t count = itc_int(a->n, heads);
    ITC_TRY(itc_operand_real(a->g, a->n, i));
    ITC_TRY(itc_operand_rank(a->g, a->n, i, a->flat ? 3 : 4, a->flat ? 3 : 4));
    *out = a->n->in[i];
    if (!a->flat) {
        return ITC_OK;
    }
    if (count < 1 || t.dim[2].batch || t.dim[2].size % count != 0) {
        return itc_error(a->g->ctx, a->n, ITC_RANGE, "E0221", "%s is %lld for operand %d, %s",
                         heads, (long long)count, i, itc_type_text(a->g->ctx, &t));
    }
    t.rank = 4;
    t.dim[3] = itc_dim_of(t.dim[2].size / count);
    t.dim[2] = itc_dim_of(count);
    ITC_TRY(itc_view_build(a->g, a->n, *out, &t, out));
    return transpose(a, *out, out);
}

/** What is cached, with the new keys or values behind it. */
static itc_status with_past(attention *a, int i, itc_value **x)
{
    itc_value *in[2] = {operand(a->n, i), *x};
    if (!in[0]) {
        return ITC_OK;
    }
    ITC_TRY(itc_operand_rank(a->g, a->n, i, 4, 4));
    a->past = in[0]->type.dim[2].size;
    return itc_concat_build(a->g, a->n, 2, 2, in, x);
}

static bool alike(const itc_value *x, const itc_value *y, int axis)
{
    return itc_dim_equal(x->type.dim[axis], y->type.dim[axis]);
}

static itc_status check_shapes(attention *a)
{
    const itc_type *q = &a->q->type, *k = &a->k->type;
    for (int i = 1; i < 4; i++) {
        if (q->dim[i].batch || k->dim[i].batch || a->v->type.dim[i].batch) {
            return itc_error(a->g->ctx, a->n, ITC_UNSUPPORTED, "E0224",
                             "the rows N are not the first axis");
        }
    }
    if (!alike(a->q, a->k, 3) || k->dim[1].size < 1 || q->dim[1].size % k->dim[1].size != 0) {
        return misfit(a, IN_K);
    }
    if (!alike(a->k, a->v, 1) || !alike(a->k, a->v, 2)) {
        return misfit(a, IN_V);
    }
    a->groups = q->dim[1].size / k->dim[1].size;
    a->queries = q->dim[2].size;
    a->keys = k->dim[2].size;
    return ITC_OK;
}

static itc_status read_lengths(attention *a)
{
    itc_value *v = operand(a->n, IN_LENGTHS);
    if (!v) {
        return ITC_OK;
    }
    if (v->type.rank != 1) {
        return misfit(a, IN_LENGTHS);
    }
    const itc_dim one = itc_dim_of(1);
    const itc_type t =
        itc_type_make(v->type.dtype, 4, (const itc_dim[4]){v->type.dim[0], one, one, one});
    return itc_view_build(a->g, a->n, v, &t, &a->lengths);
}

static itc_status read_operands(attention *a)
{
    a->flat = a->n->in[IN_Q]->type.rank == 3;
    ITC_TRY(with_heads(a, IN_Q, "q_num_heads", &a->q));
    ITC_TRY(with_heads(a, IN_K, "kv_num_heads", &a->k));
    ITC_TRY(with_heads(a, IN_V, "kv_num_heads", &a->v));
    if (!operand(a->n, IN_PAST_K) != !operand(a->n, IN_PAST_V)) {
        return itc_error(a->g->ctx, a->n, ITC_PARSE, "E0208",
                         "past_key and past_value go together");
    }
    ITC_TRY(with_past(a, IN_PAST_K, &a->k));
    ITC_TRY(with_past(a, IN_PAST_V, &a->v));
    ITC_TRY(check_shapes(a));
    return read_lengths(a);
}

/* ---- what takes part ---- */

static itc_status keep_also(attention *a, itc_value *keep)
{
    itc_node *both = NULL;
    if (!a->keep) {
        a->keep = keep;
        return ITC_OK;
    }
    ITC_TRY(itc_build(a->g, &itc_op_And, a->n, 2, (itc_value *[]){a->keep, keep}, 1, &both));
    a->keep = both->out[0];
    return ITC_OK;
}

/** The keys that query i sees: from i + offset - left to i + offset + right; below 0 all of them.
 */
typedef struct window {
    int64_t left, right;
} window;

static window window_of(const itc_node *n)
{
    window w = {itc_int(n, "left_window_size"), itc_int(n, "right_window_size")};
    if (itc_int(n, "is_causal") != 0) {
        w.right = 0;
    }
    return w;
}

static itc_status new_mask(attention *a, itc_dtype dtype, itc_tensor **out)
{
    const int64_t dim[2] = {a->queries, a->keys};
    int64_t count = 0;
    if (!itc_size_mul(dim[0], dim[1], &count) || count > MAX_ELEMENTS) {
        return itc_error(a->g->ctx, a->n, ITC_RANGE, "E0226", "a mask of %lld x %lld elements",
                         (long long)dim[0], (long long)dim[1]);
    }
    *out = itc_tensor_new(a->g->ctx, dtype, 2, dim);
    return ITC_OK;
}

/** The order that is known when compiling, and a mask's own end: `width` keys. */
static itc_status keep_order(attention *a, window w, int64_t width)
{
    itc_tensor *t = NULL;
    bool any = false;
    ITC_TRY(new_mask(a, ITC_BOOL, &t));
    for (int64_t k = 0; k < t->count; k++) {
        const int64_t i = k / a->keys + a->past, j = k % a->keys;
        const bool in =
            (w.left < 0 || j >= i - w.left) && (w.right < 0 || j <= i + w.right) && j < width;
        ((uint8_t *)t->data)[k] = in;
        any = any || !in;
    }
    if (!any) {
        return ITC_OK;
    }
    itc_value *keep = itc_const_new(a->g, "order", t);
    keep->reason = "mask";
    return keep_also(a, keep);
}

/** lengths compares with j + step * i + least: `op` says how. */
static itc_status keep_by_length(attention *a, const itc_op_def *op, int step, int64_t least)
{
    itc_tensor *t = NULL;
    itc_node *m = NULL;
    ITC_TRY(new_mask(a, ITC_I64, &t));
    for (int64_t k = 0; k < t->count; k++) {
        ((int64_t *)t->data)[k] = k % a->keys + step * (k / a->keys) + least;
    }
    itc_value *c = itc_const_new(a->g, "order", t);
    c->reason = "mask";
    ITC_TRY(itc_build(a->g, op, a->n, 2, (itc_value *[]){a->lengths, c}, 1, &m));
    return keep_also(a, m->out[0]);
}

/** Padding takes no part: j < length; and the order where length - queries is the offset. */
static itc_status keep_lengths(attention *a, window w)
{
    ITC_TRY(keep_by_length(a, &itc_op_Greater, 0, 0));
    if (w.left >= 0) {
        ITC_TRY(keep_by_length(a, &itc_op_LessOrEqual, -1, a->queries + w.left));
    }
    return w.right < 0 ? ITC_OK
                       : keep_by_length(a, &itc_op_GreaterOrEqual, -1, a->queries - w.right);
}

/** The operand attn_mask with all keys: zeros stand where it has none, which `width` excludes. */
static itc_status read_mask(attention *a, itc_value **out, int64_t *width)
{
    itc_value *m = operand(a->n, IN_MASK);
    *width = a->keys;
    *out = m;
    if (!m) {
        return ITC_OK;
    }
    const int last = m->type.rank - 1;
    if (last < 0 || last > 3 || m->type.dim[last].batch || m->type.dim[last].size > a->keys) {
        return misfit(a, IN_MASK);
    }
    if (m->type.dim[last].size > 1) {
        itc_type t = m->type;
        itc_box b = itc_box_whole(&t);
        *width = t.dim[last].size;
        t.dim[last].size = a->keys;
        return itc_put_build(a->g, a->n, m, &b, &t, out);
    }
    return ITC_OK;
}

/** Whether some query may see no key at all. */
static bool may_be_empty(const attention *a)
{
    const itc_value *keep = a->keep;
    if (!keep || keep->kind != ITC_VALUE_CONST) {
        return keep != NULL;
    }
    const itc_tensor *t = keep->data;
    const int64_t width = t->rank > 0 ? t->dim[t->rank - 1] : 1;
    for (int64_t row = 0; row < t->count / width; row++) {
        bool any = false;
        for (int64_t k = 0; k < width; k++) {
            any = any || ((const uint8_t *)t->data)[row * width + k] != 0;
        }
        if (!any) {
            return true;
        }
    }
    return false;
}

/* ---- products ---- */

/** x with the groups' queries behind each other: [batch, heads of k, groups * queries, last]. */
static itc_status by_groups(attention *a, itc_value *x, itc_value **out)
{
    itc_type t = x->type;
    t.dim[1].size /= a->groups;
    t.dim[2].size *= a->groups;
    return itc_view_build(a->g, a->n, x, &t, out);
}

/** x times y, of which y's axis `summed` (2 or 3) is x's last one; x has the groups' queries. */
static itc_status product(attention *a, itc_value *x, itc_value *y, int summed, itc_value **out)
{
    itc_labelled in[2] = {{.rank = 4, .label = {0, 1, 2, 3}}, {.rank = 4, .label = {0, 1, 4, 4}}};
    itc_labelled to = {.rank = 4, .label = {0, 1, 2, 4}};
    in[1].label[summed] = 3;
    in[1].x = y;
    ITC_TRY(by_groups(a, x, &in[0].x));
    ITC_TRY(itc_contract_build(a->g, a->n, 2, in, &to, out));
    itc_type t = (*out)->type;
    t.dim[1].size *= a->groups;
    t.dim[2].size /= a->groups;
    return itc_view_build(a->g, a->n, *out, &t, out);
}

static itc_status scores_of(attention *a, itc_value **out)
{
    const itc_node *n = a->n;
    const double size = (double)a->q->type.dim[3].size, cap = itc_float(n, "softcap");
    const double scale = itc_attr_find(n, "scale") ? itc_float(n, "scale") : 1 / sqrt(size);
    const int64_t show = itc_int(n, "qk_matmul_output_mode");
    ITC_TRY(product(a, a->q, a->k, 3, out));
    ITC_TRY(itc_combine_build(a->g, n, 1, out, &scale, out));
    a->shown = show == SHOW_SCORES ? *out : NULL;
    if (cap > 0) {
        ITC_TRY(itc_map_build(
            a->g, n, itc_format(a->g->ctx, "(%.17g)*tanh(x*(%.17g))", cap, 1 / cap), *out, out));
    }
    a->shown = show == SHOW_CAPPED ? *out : a->shown;
    return ITC_OK;
}

/** What the sum with the mask is: -infinity where a key takes no part. */
static itc_status show_masked(attention *a, itc_value *x)
{
    itc_node *other = NULL, *side[2] = {NULL};
    a->shown = x;
    if (!a->keep) {
        return ITC_OK;
    }
    itc_tensor *t = itc_tensor_scalar_f32(a->g->ctx, -(double)INFINITY);
    itc_value *least = itc_const_new(a->g, "least", t);
    least->reason = "mask";
    ITC_TRY(itc_repeat_build(a->g, a->n, least, &x->type, &least));
    ITC_TRY(itc_build(a->g, &itc_op_Not, a->n, 1, &a->keep, 1, &other));
    ITC_TRY(itc_build(a->g, &itc_op_Mask, a->n, 2, (itc_value *[]){x, a->keep}, 1, &side[0]));
    ITC_TRY(
        itc_build(a->g, &itc_op_Mask, a->n, 2, (itc_value *[]){least, other->out[0]}, 1, &side[1]));
    return itc_combine_build(a->g, a->n, 2, (itc_value *[]){side[0]->out[0], side[1]->out[0]},
                             (const double[]){1, 1}, &a->shown);
}

/** Scores with what a mask adds; a->keep is what takes part. */
static itc_status mask_scores(attention *a, itc_value **x)
{
    const window w = window_of(a->n);
    const itc_type whole = (*x)->type;
    itc_value *mask = NULL;
    int64_t width = 0;
    ITC_TRY(read_mask(a, &mask, &width));
    ITC_TRY(keep_order(a, a->lengths ? (window){-1, -1} : w, width));
    if (a->lengths) {
        ITC_TRY(keep_lengths(a, w));
    }
    if (mask && mask->type.dtype == ITC_BOOL) {
        ITC_TRY(keep_also(a, mask));
    } else if (mask) {
        ITC_TRY(itc_operand_real(a->g, a->n, IN_MASK));
        ITC_TRY(
            itc_combine_build(a->g, a->n, 2, (itc_value *[]){*x, mask}, (const double[]){1, 1}, x));
    }
    itc_value *added = *x;
    ITC_TRY(itc_exclude_build(a->g, a->n, x, &a->keep));
    if (!itc_type_equal(&(*x)->type, &whole)) {
        return misfit(a, IN_MASK);
    }
    return itc_int(a->n, "qk_matmul_output_mode") == SHOW_MASKED && wants(a->n, OUT_SCORES)
               ? show_masked(a, added)
               : ITC_OK;
}

/** Softmax over the keys; queries that see none get zeros. */
static itc_status probabilities(attention *a, itc_value *x, itc_value **out)
{
    itc_node *m = itc_node_new(a->g, &itc_op_Softmax, a->n, 1, &x, 1);
    itc_set_int(a->g, m, "axis", 3);
    ITC_TRY(itc_infer(a->g, m));
    if (may_be_empty(a)) {
        itc_value *in[2] = {m->out[0], a->keep};
        ITC_TRY(itc_build(a->g, &itc_op_Mask, a->n, 2, in, 1, &m));
    }
    *out = m->out[0];
    a->shown = itc_int(a->n, "qk_matmul_output_mode") == SHOW_SOFTMAX ? *out : a->shown;
    return ITC_OK;
}

/**
 * Before opset 25 releases of ONNX up to 1.19 add the mask first and cap the sum, later ones cap
 * the scores and add the mask, under the same version. So what differs is refused: capped scores
 * with a mask of floats (one of booleans makes sense in the later order alone), and the output that
 * shows what the first of both steps leaves.
 */
static itc_status check_order(const attention *a)
{
    const itc_node *n = a->n;
    const itc_value *mask = n->n_in > IN_MASK ? n->in[IN_MASK] : NULL;
    const bool shows = wants(n, OUT_SCORES) && itc_int(n, "qk_matmul_output_mode") == SHOW_CAPPED;
    const bool caps = itc_float(n, "softcap") > 0 && mask && mask->type.dtype == ITC_F32;
    return itc_op_version(n->op, a->g->opset) >= 25 ||
                   !(caps || (shows && (mask || itc_int(n, "is_causal") != 0)))
               ? ITC_OK
               : itc_error(a->g->ctx, n, ITC_UNSUPPORTED, "E0201",
                           "%s of opset %d, whose order releases of ONNX define in two ways (from "
                           "opset 25 on), is not supported",
                           caps ? "softcap with a mask of floats" : "qk_matmul_output_mode 1",
                           a->g->opset);
}

static itc_status attention_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    attention a = {.g = g, .n = n};
    itc_value *x = NULL, *y = NULL;
    ITC_TRY(itc_operand_rank(g, n, IN_Q, 3, 4));
    ITC_TRY(check_order(&a));
    ITC_TRY(read_operands(&a));
    ITC_TRY(scores_of(&a, &x));
    ITC_TRY(mask_scores(&a, &x));
    ITC_TRY(probabilities(&a, x, &x));
    ITC_TRY(product(&a, x, a.v, 2, &y));
    if (a.flat) {
        ITC_TRY(transpose(&a, y, &y));
        itc_type t = y->type;
        t.rank = 3;
        t.dim[2].size *= t.dim[3].size;
        ITC_TRY(itc_view_build(g, n, y, &t, &y));
    }
    itc_value *all[4] = {y, a.k, a.v, a.shown};
    memcpy(out, all, sizeof *out * (size_t)n->n_out);
    return ITC_OK;
}

static itc_status not_ours(itc_graph *g, itc_node *n)
{
    return itc_error(g->ctx, n, ITC_INTERNAL, "E0221", "%s has another form here", n->op->name);
}

static const itc_attr_spec attention_attrs[] = {
    {.name = "is_causal", .kind = ITC_ATTR_INT},
    {.name = "kv_num_heads", .kind = ITC_ATTR_INT},
    {.name = "left_window_size", .kind = ITC_ATTR_INT, .i = -1},
    {.name = "q_num_heads", .kind = ITC_ATTR_INT},
    {.name = "qk_matmul_output_mode", .kind = ITC_ATTR_INT},
    {.name = "right_window_size", .kind = ITC_ATTR_INT, .i = -1},
    {.name = "scale", .kind = ITC_ATTR_FLOAT},
    {.name = "softcap", .kind = ITC_ATTR_FLOAT},
    {.name = "softmax_precision", .kind = ITC_ATTR_INT},
    {.name = NULL},
};

/**
 * Scaled dot-product attention, as MatMul, Combine, Exclude and Softmax.
 * Shapes  Q [batch, heads, queries, size] or [batch, queries, heads * size], K and V likewise with
 *         a divisor of the heads; mask broadcasts to [batch, heads, queries, keys], floats to add
 *         or booleans; past [batch, heads, past, size]; lengths [batch]
 * Range   softmax has the precision that it always has here, whatever softmax_precision says
 * Source  ONNX Attention-23, -24, -25
 */
const itc_op_def itc_op_Attention = {
    .name = "Attention",
    .domain = "",
    .in_min = 3,
    .in_max = 7,
    .out_min = 1,
    .out_max = 4,
    .opset_min = 23,
    .versions = (const uint8_t[]){23, 24, 25, 0},
    .roles = (const itc_role_in[]){ITC_IN_PARAM, ITC_IN_PARAM, ITC_IN_PARAM, ITC_IN_WEAK,
                                   ITC_IN_DATA, ITC_IN_DATA, ITC_IN_INDEX},
    .attrs = attention_attrs,
    .summary = "scaled dot-product attention: heads, groups, masks, windows, cached keys",
    .kinds = ITC_KIND_FLOAT | ITC_KIND_BOOL,
    .normalize = attention_normalize,
    .infer = not_ours,
};

/* ---- RotaryEmbedding ---- */

/** A cache's row for each position, [batch, sequence, half], with an axis for the heads. */
static itc_status angles(itc_graph *g, itc_node *n, int i, int heads_axis, int64_t half,
                         itc_value **out)
{
    itc_value *cache = n->in[i], *ids = operand(n, 3);
    ITC_TRY(itc_operand_rank(g, n, i, ids ? 2 : 3, ids ? 2 : 3));
    *out = cache;
    if (ids) {
        itc_node *m = itc_node_new(g, &itc_op_Gather, n, 2, (itc_value *[]){cache, ids}, 1);
        itc_value *taken = NULL;
        ITC_TRY(itc_op_Gather.normalize(g, m, &taken));
        if (!taken) {
            ITC_TRY(itc_infer(g, m));
        } else {
            m->dead = true;
        }
        *out = taken ? taken : m->out[0];
    }
    itc_type t = (*out)->type;
    if (t.rank != 3 || !itc_dim_equal(t.dim[2], itc_dim_of(half))) {
        return itc_error(g->ctx, n, ITC_SHAPE, "E0220", "operand %d is %s, expected %lld angles", i,
                         itc_type_text(g->ctx, &cache->type), (long long)half);
    }
    t.rank = 4;
    t.dim[3] = t.dim[2];
    t.dim[2] = heads_axis == 2 ? itc_dim_of(1) : t.dim[1];
    t.dim[1] = heads_axis == 2 ? t.dim[1] : itc_dim_of(1);
    return itc_view_build(g, n, *out, &t, out);
}

static itc_status times(itc_graph *g, const itc_node *n, itc_value *x, itc_value *y,
                        itc_value **out)
{
    itc_node *m = NULL;
    ITC_TRY(itc_build(g, &itc_op_Mul, n, 2, (itc_value *[]){x, y}, 1, &m));
    *out = m->out[0];
    return ITC_OK;
}

/** part[0] cos - part[1] sin and part[0] sin + part[1] cos. */
static itc_status rotate(itc_graph *g, const itc_node *n, itc_value *const *part, itc_value *cosine,
                         itc_value *sine, itc_value **out)
{
    itc_value *p[4];
    for (int i = 0; i < 2; i++) {
        ITC_TRY(times(g, n, part[i], cosine, &p[i]));
        ITC_TRY(times(g, n, part[i], sine, &p[i + 2]));
    }
    ITC_TRY(
        itc_combine_build(g, n, 2, (itc_value *[]){p[0], p[3]}, (const double[]){1, -1}, &out[0]));
    return itc_combine_build(g, n, 2, (itc_value *[]){p[2], p[1]}, (const double[]){1, 1}, &out[1]);
}

/** `count` elements of x's last axis from `start` on, in steps. */
static itc_status last_axis(itc_graph *g, const itc_node *n, itc_value *x, int64_t start,
                            int64_t step, int64_t count, itc_value **out)
{
    itc_box b = itc_box_whole(&x->type);
    b.start[3] = start;
    b.step[3] = step;
    b.extent[3] = itc_dim_of(count);
    return itc_take_build(g, n, x, &b, out);
}

/** Halves, or every second element each, back in their places. */
static itc_status interleave(itc_graph *g, const itc_node *n, itc_value **part, itc_value **out)
{
    itc_type t = part[0]->type;
    t.rank = 5;
    t.dim[4] = itc_dim_of(1);
    for (int i = 0; i < 2; i++) {
        ITC_TRY(itc_view_build(g, n, part[i], &t, &part[i]));
    }
    ITC_TRY(itc_concat_build(g, n, 4, 2, part, out));
    t.rank = 4;
    t.dim[3].size *= 2;
    return itc_view_build(g, n, *out, &t, out);
}

static itc_status rotary_heads(itc_graph *g, itc_node *n, itc_value **x, int *heads_axis)
{
    itc_type t = n->in[0]->type;
    const int64_t heads = itc_int(n, "num_heads");
    ITC_TRY(itc_operand_rank(g, n, 0, 3, 4));
    *x = n->in[0];
    *heads_axis = t.rank == 4 ? 1 : 2;
    if (t.rank == 4) {
        return ITC_OK;
    }
    if (heads < 1 || t.dim[2].batch || t.dim[2].size % heads != 0) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0221", "num_heads is %lld for %s",
                         (long long)heads, itc_type_text(g->ctx, &t));
    }
    t.rank = 4;
    t.dim[3] = itc_dim_of(t.dim[2].size / heads);
    t.dim[2] = itc_dim_of(heads);
    return itc_view_build(g, n, *x, &t, x);
}

static itc_status rotary_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    itc_value *x = NULL, *part[3] = {NULL}, *cosine = NULL, *sine = NULL;
    int heads_axis = 0;
    ITC_TRY(rotary_heads(g, n, &x, &heads_axis));
    const int64_t size = x->type.dim[3].size, given = itc_int(n, "rotary_embedding_dim");
    const int64_t turned = given == 0 ? size : given, half = turned / 2;
    const bool pairs = itc_int(n, "interleaved") != 0;
    if (x->type.dim[3].batch || turned < 2 || turned > size || turned % 2 != 0) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0221", "%lld of %lld elements are rotated",
                         (long long)turned, (long long)size);
    }
    ITC_TRY(angles(g, n, 1, heads_axis, half, &cosine));
    ITC_TRY(angles(g, n, 2, heads_axis, half, &sine));
    ITC_TRY(last_axis(g, n, x, 0, pairs ? 2 : 1, half, &part[0]));
    ITC_TRY(last_axis(g, n, x, pairs ? 1 : half, pairs ? 2 : 1, half, &part[1]));
    ITC_TRY(rotate(g, n, (itc_value *[]){part[0], part[1]}, cosine, sine, part));
    int count = 2;
    if (pairs) {
        ITC_TRY(interleave(g, n, part, &part[0]));
        count = 1;
    }
    if (turned < size) {
        ITC_TRY(last_axis(g, n, x, turned, 1, size - turned, &part[count++]));
    }
    ITC_TRY(itc_concat_build(g, n, 3, count, part, &out[0]));
    itc_type same = x->type;
    if (!itc_type_equal(&out[0]->type, &same)) {
        return itc_error(g->ctx, n, ITC_SHAPE, "E0220", "angles %s for %s",
                         itc_type_text(g->ctx, &cosine->type), itc_type_text(g->ctx, &same));
    }
    return itc_view_build(g, n, out[0], &n->in[0]->type, &out[0]);
}

static const itc_attr_spec rotary_attrs[] = {
    {.name = "interleaved", .kind = ITC_ATTR_INT},
    {.name = "num_heads", .kind = ITC_ATTR_INT},
    {.name = "rotary_embedding_dim", .kind = ITC_ATTR_INT},
    {.name = NULL},
};

/**
 * Pairs of elements turned by an angle of their position: products and sums, rounded once.
 * Shapes  x [batch, heads, sequence, size] or [batch, sequence, heads * size]; caches [positions,
 *         size / 2] with position_ids [batch, sequence], or [batch, sequence, size / 2]
 * Source  ONNX RotaryEmbedding-23; Su et al. 2021
 */
const itc_op_def itc_op_RotaryEmbedding = {
    .name = "RotaryEmbedding",
    .domain = "",
    .in_min = 3,
    .in_max = 4,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 23,
    .versions = (const uint8_t[]){23, 0},
    .roles = (const itc_role_in[]){ITC_IN_DATA, ITC_IN_DATA, ITC_IN_DATA, ITC_IN_INDEX},
    .attrs = rotary_attrs,
    .summary = "pairs of elements turned by an angle of their position",
    .normalize = rotary_normalize,
    .infer = not_ours,
};
