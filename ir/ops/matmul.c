/*
 * Matrix products. Our form is MatMul of operands of rank 2 and more, either of them transposed.
 * Batches that broadcast become rows and columns of it (contract.c), so that each gradient is one
 * MatMul and its sum over the batch exact; Gemm becomes one, and a Combine that scales it and adds
 * C.
 */
#include "codegen/emit.h"
#include "ir/ops/contract.h"
#include "ir/ops/util.h"
#include "passes/grad.h"
#include "passes/lower.h"
#include "passes/plan.h"

/** y[batch] = op(a[batch]) op(b[batch]); op(a) is m x k, op(b) k x n. */
typedef struct product {
    itc_dim batch, m, n, k;
    itc_dim stride_a, stride_b; /**< from one matrix to the next; 0: the same for all */
    bool folded;                /**< the batch of a is counted in m, b is one matrix */
    itc_type type;              /**< shape of y */
} product;

static itc_status unsupported_batch(itc_graph *g, const itc_node *n)
{
    return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0223",
                     "operands %s and %s: batch axes must be equal, or only one operand have them",
                     itc_type_text(g->ctx, &n->in[0]->type),
                     itc_type_text(g->ctx, &n->in[1]->type));
}

static itc_status summed_differ(itc_graph *g, const itc_node *n)
{
    return itc_error(
        g->ctx, n, ITC_SHAPE, "E0220", "operands %s and %s differ in the axis that is summed",
        itc_type_text(g->ctx, &n->in[0]->type), itc_type_text(g->ctx, &n->in[1]->type));
}

/** Whether the axes before the last two are the same, where the shorter list lacks only ones. */
static bool same_batch(const itc_type *a, const itc_type *b)
{
    const int na = a->rank - 2, nb = b->rank - 2, n = na > nb ? na : nb;
    for (int i = 0; i < n; i++) {
        const int ia = i - (n - na), ib = i - (n - nb);
        const itc_dim one = {1, false};
        if (!itc_dim_equal(ia < 0 ? one : a->dim[ia], ib < 0 ? one : b->dim[ib])) {
            return false;
        }
    }
    return true;
}

static itc_status choose_batch(itc_graph *g, const itc_node *n, bool trans_a, product *p)
{
    const itc_type *a = &n->in[0]->type, *b = &n->in[1]->type;
    const itc_dim one = {1, false}, none = {0, false};
    itc_dim batch_a, batch_b, size_a, size_b;
    if (!itc_dims_product(a->rank - 2, a->dim, &batch_a) ||
        !itc_dims_product(b->rank - 2, b->dim, &batch_b) ||
        !itc_dims_product(2, a->dim + a->rank - 2, &size_a) ||
        !itc_dims_product(2, b->dim + b->rank - 2, &size_b)) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0224", "N stands twice in an operand");
    }
    p->batch = one;
    p->stride_a = p->stride_b = none;
    if (itc_dim_equal(batch_b, one) && !trans_a) {
        const itc_dim rows[2] = {batch_a, p->m};
        p->folded = true;
        return itc_dims_product(2, rows, &p->m) ? ITC_OK : unsupported_batch(g, n);
    }
    if (!itc_dim_equal(batch_a, one) && !itc_dim_equal(batch_b, one) && !same_batch(a, b)) {
        return unsupported_batch(g, n);
    }
    p->batch = itc_dim_equal(batch_a, one) ? batch_b : batch_a;
    p->stride_a = itc_dim_equal(batch_a, one) ? none : size_a;
    p->stride_b = itc_dim_equal(batch_b, one) ? none : size_b;
    return ITC_OK;
}

static itc_status product_of(itc_graph *g, const itc_node *n, product *p)
{
    ITC_TRY(itc_operand_rank(g, n, 0, 2, ITC_MAX_RANK));
    ITC_TRY(itc_operand_rank(g, n, 1, 2, ITC_MAX_RANK));
    const itc_type *a = &n->in[0]->type, *b = &n->in[1]->type;
    const bool ta = itc_int(n, "trans_a") != 0, tb = itc_int(n, "trans_b") != 0;
    const itc_dim *da = a->dim + a->rank - 2, *db = b->dim + b->rank - 2;
    *p = (product){.m = da[ta], .k = da[!ta], .n = db[!tb]};
    if (!itc_dim_equal(p->k, db[tb])) {
        return summed_differ(g, n);
    }
    const itc_dim rows = p->m;
    ITC_TRY(choose_batch(g, n, ta, p));
    const int rank = a->rank > b->rank ? a->rank : b->rank;
    p->type = itc_type_make(ITC_F32, rank, (const itc_dim[ITC_MAX_RANK]){{0, false}});
    for (int i = 0; i < rank - 2; i++) {
        const int ia = i - (rank - a->rank), ib = i - (rank - b->rank);
        const itc_dim one = {1, false};
        const itc_dim xa = ia < 0 ? one : a->dim[ia], xb = ib < 0 ? one : b->dim[ib];
        p->type.dim[i] = itc_dim_equal(xa, one) ? xb : xa;
    }
    p->type.dim[p->type.rank - 2] = rows;
    p->type.dim[p->type.rank - 1] = p->n;
    itc_dim count;
    if (!itc_type_count(&p->type, &count)) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0224",
                         "the product of %s and %s is too large or has N twice",
                         itc_type_text(g->ctx, a), itc_type_text(g->ctx, b));
    }
    return ITC_OK;
}

static itc_status matmul_infer(itc_graph *g, itc_node *n)
{
    product p;
    itc_type sum;
    ITC_TRY(product_of(g, n, &p));
    ITC_TRY(itc_sum_type(g, n, p.k, n->in[0], n->in[1], &sum));
    n->out[0]->type = itc_type_make(sum.dtype, p.type.rank, p.type.dim);
    n->out[0]->type.bits = sum.bits;
    return ITC_OK;
}

static itc_status build_matmul(itc_graph *g, const itc_node *origin, itc_value *a, itc_value *b,
                               bool trans_a, bool trans_b, itc_value **out)
{
    itc_value *in[2] = {a, b};
    itc_node *n = itc_node_new(g, &itc_op_MatMul, origin, 2, in, 1);
    if (trans_a) {
        itc_set_int(g, n, "trans_a", 1);
    }
    if (trans_b) {
        itc_set_int(g, n, "trans_b", 1);
    }
    ITC_TRY(itc_infer(g, n));
    *out = n->out[0];
    return ITC_OK;
}

/** The product of operands whose batches broadcast: axes have labels from the right, and the one
 * that is summed has its own. */
static itc_status build_broadcast(itc_graph *g, const itc_node *n, itc_value *a, itc_value *b,
                                  itc_value **out)
{
    enum { ROWS = ITC_MAX_RANK, COLUMNS, SUMMED };
    const int rank = a->type.rank > b->type.rank ? a->type.rank : b->type.rank;
    itc_labelled in[2] = {{.x = a, .rank = a->type.rank}, {.x = b, .rank = b->type.rank}};
    itc_labelled y = {.rank = rank};
    for (int i = 0; i < 2; i++) {
        for (int k = 0; k < in[i].rank - 2; k++) {
            in[i].label[k] = (uint8_t)(k + rank - in[i].rank);
        }
        in[i].label[in[i].rank - 2] = i == 0 ? ROWS : SUMMED;
        in[i].label[in[i].rank - 1] = i == 0 ? SUMMED : COLUMNS;
    }
    for (int k = 0; k < rank - 2; k++) {
        y.label[k] = (uint8_t)k;
    }
    y.label[rank - 2] = ROWS;
    y.label[rank - 1] = COLUMNS;
    if (!itc_dim_equal(a->type.dim[a->type.rank - 1], b->type.dim[b->type.rank - 2])) {
        return summed_differ(g, n);
    }
    return itc_contract_build(g, n, 2, in, &y, out);
}

/** Whether our form can take operands as they are: one matrix on the right, or batches alike. */
static bool is_ours(const itc_type *a, const itc_type *b)
{
    const itc_dim one = {1, false};
    itc_dim batch;
    return (itc_dims_product(b->rank - 2, b->dim, &batch) && itc_dim_equal(batch, one)) ||
           same_batch(a, b);
}

/** Rank-1 operands become a row on the left, a column on the right; the result loses that axis. */
static itc_status matmul_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    itc_value *a = n->in[0], *b = n->in[1];
    const bool row = a->type.rank == 1, column = b->type.rank == 1;
    const itc_dim one = {1, false};
    ITC_TRY(itc_operand_rank(g, n, 0, 1, ITC_MAX_RANK));
    ITC_TRY(itc_operand_rank(g, n, 1, 1, ITC_MAX_RANK));
    if (row) {
        const itc_type t = itc_type_make(ITC_F32, 2, (const itc_dim[]){one, a->type.dim[0]});
        ITC_TRY(itc_view_build(g, n, a, &t, &a));
    }
    if (column) {
        const itc_type t = itc_type_make(ITC_F32, 2, (const itc_dim[]){b->type.dim[0], one});
        ITC_TRY(itc_view_build(g, n, b, &t, &b));
    }
    const bool ours = is_ours(&a->type, &b->type);
    if (ours && !row && !column) {
        return ITC_OK;
    }
    itc_value *y = NULL;
    ITC_TRY(ours ? build_matmul(g, n, a, b, false, false, &y) : build_broadcast(g, n, a, b, &y));
    itc_type t = y->type;
    if (row) {
        t.dim[t.rank - 2] = t.dim[t.rank - 1];
    }
    t.rank = (uint8_t)(t.rank - row - column);
    return itc_view_build(g, n, y, &t, &out[0]);
}

static itc_status as_matrix(itc_graph *g, const itc_node *n, itc_value *x, itc_value **out)
{
    itc_dim rows;
    if (!itc_dims_product(x->type.rank - 1, x->type.dim, &rows)) {
        return itc_error(g->ctx, n, ITC_RANGE, "E0224", "N stands twice in an operand");
    }
    const itc_type t =
        itc_type_make(ITC_F32, 2, (const itc_dim[]){rows, x->type.dim[x->type.rank - 1]});
    return itc_view_build(g, n, x, &t, out);
}

/** Y = op(A) op(B): dA = dY op(B)', dB = op(A)' dY, each transposed again where its operand is. */
static itc_status matmul_grad(itc_grad *b, const itc_node *n)
{
    itc_graph *g = itc_grad_graph(b);
    itc_value *dy = itc_grad_of(b, n, 0), *x = n->in[0], *w = n->in[1];
    const bool ta = itc_int(n, "trans_a") != 0, tb = itc_int(n, "trans_b") != 0;
    product p;
    ITC_TRY(product_of(g, n, &p));
    if (itc_grad_wanted(b, n, 0)) {
        itc_value *dx = NULL;
        ITC_TRY(ta ? build_matmul(g, n, w, dy, tb, true, &dx)
                   : build_matmul(g, n, dy, w, false, !tb, &dx));
        ITC_TRY(itc_grad_add_shaped(b, n, 0, dx));
    }
    if (itc_grad_wanted(b, n, 1)) {
        itc_value *dw = NULL;
        if (p.folded) { /* one product over all rows, instead of a sum of products */
            ITC_TRY(as_matrix(g, n, x, &x));
            ITC_TRY(as_matrix(g, n, dy, &dy));
        }
        ITC_TRY(tb ? build_matmul(g, n, dy, x, true, ta, &dw)
                   : build_matmul(g, n, x, dy, !ta, false, &dw));
        ITC_TRY(itc_grad_add_shaped(b, n, 1, dw));
    }
    return ITC_OK;
}

static itc_status matmul_plan(itc_plan *p, itc_node *n)
{
    product s;
    if (n->out[0]->type.bits == 0) {
        return ITC_OK; /* floats */
    }
    ITC_TRY(product_of(itc_plan_graph(p), n, &s));
    ITC_TRY(itc_plan_sum(p, n, n->out[0], 2, n->in, 0));
    return itc_plan_bound(p, n, s.k, n->in[0]->type.bits, n->in[1]->type.bits);
}

static itc_status matmul_emit(itc_emit *e, const itc_node *n)
{
    product p;
    ITC_TRY(product_of(itc_emit_graph(e), n, &p));
    itc_value *types[3] = {n->in[0], n->in[1], n->out[0]};
    ITC_TRY(itc_emit_call(e, n, "gemm", 3, types));
    itc_arg_ptr(e, "a", n->in[0]);
    itc_arg_ptr(e, "b", n->in[1]);
    itc_arg_ptr(e, "y", n->out[0]);
    itc_arg_dim(e, "batch", p.batch);
    itc_arg_dim(e, "m", p.m);
    itc_arg_dim(e, "n", p.n);
    itc_arg_dim(e, "k", p.k);
    itc_arg_dim(e, "stride_a", p.stride_a);
    itc_arg_dim(e, "stride_b", p.stride_b);
    itc_arg_int(e, "trans_a", itc_int(n, "trans_a") != 0);
    itc_arg_int(e, "trans_b", itc_int(n, "trans_b") != 0);
    return ITC_OK;
}

static const itc_attr_spec matmul_attrs[] = {
    {.name = "trans_a", .kind = ITC_ATTR_INT, .internal = true},
    {.name = "trans_b", .kind = ITC_ATTR_INT, .internal = true},
    {.name = NULL},
};

/**
 * Matrix product, batched.
 * Shapes  a [..., m, k] (trans_a: [..., k, m]), b [..., k, n] (trans_b: [..., n, k]),
 *         y [..., m, n]. Batch axes are equal, or one operand has none (or only ones)
 * Units   e_y = e_a + e_b
 * Range   K = k, which may count rows (gradients of weights): i32 where K * limit_a * limit_b
 *         fits, else i64
 * Source  ONNX MatMul-1, -9, -13
 */
/** Of [.., K, N], the second operand: K elements a sum, N results an element. */
static void matmul_fans(const itc_node *n, int operand, const itc_type *w, int64_t *in,
                        int64_t *out)
{
    const bool gemm = n->op == &itc_op_Gemm;
    const char *trans =
        operand == 0 ? (gemm ? "transA" : "trans_a") : (gemm ? "transB" : "trans_b");
    if (w->rank < 2) {
        return;
    }
    const int64_t rows = w->dim[w->rank - 2].size, cols = w->dim[w->rank - 1].size;
    const bool sums_rows = (operand == 1) != (itc_int(n, trans) != 0);
    *in = sums_rows ? rows : cols;
    *out = sums_rows ? cols : rows;
}

const itc_op_def itc_op_MatMul = {
    .name = "MatMul",
    .domain = "",
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 7,
    .versions = (const uint8_t[]){1, 9, 13, 0},
    .roles = (const itc_role_in[]){ITC_IN_PARAM, ITC_IN_PARAM},
    .starts = (const itc_start[]){ITC_START_WEIGHT, ITC_START_WEIGHT},
    .fans = matmul_fans,
    .flags = ITC_OP_FEATURES,
    .attrs = matmul_attrs,
    .summary = "matrix product, batched",
    .normalize = matmul_normalize,
    .infer = matmul_infer,
    .grad = matmul_grad,
    .demand = ITC_DEMAND_OPERAND,
    .lower = itc_lower_linear,
    .plan = matmul_plan,
    .emit = matmul_emit,
};

/* ---- Gemm ---- */

static itc_status gemm_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    const double alpha = itc_float(n, "alpha"), beta = itc_float(n, "beta");
    itc_value *in[2] = {NULL, n->n_in > 2 ? n->in[2] : NULL};
    ITC_TRY(itc_operand_rank(g, n, 0, 2, 2));
    ITC_TRY(itc_operand_rank(g, n, 1, 2, 2));
    ITC_TRY(build_matmul(g, n, n->in[0], n->in[1], itc_int(n, "transA") != 0,
                         itc_int(n, "transB") != 0, &in[0]));
    out[0] = in[0];
    if (!in[1] || !(beta < 0 || beta > 0)) {
        const bool plain = !(alpha < 1 || alpha > 1);
        return plain ? ITC_OK : itc_combine_build(g, n, 1, in, &alpha, &out[0]);
    }
    ITC_TRY(itc_operand_rank(g, n, 2, 0, 2));
    ITC_TRY(itc_combine_build(g, n, 2, in, (const double[]){alpha, beta}, &out[0]));
    if (!itc_type_equal(&out[0]->type, &in[0]->type)) {
        return itc_error(g->ctx, n, ITC_SHAPE, "E0220", "C is %s, which does not broadcast to %s",
                         itc_type_text(g->ctx, &in[1]->type), itc_type_text(g->ctx, &in[0]->type));
    }
    return ITC_OK;
}

static itc_status gemm_infer(itc_graph *g, itc_node *n)
{
    return itc_error(g->ctx, n, ITC_INTERNAL, "E0221",
                     "Gemm is a MatMul and a Combine in our form");
}

static const itc_attr_spec gemm_attrs[] = {
    {.name = "alpha", .kind = ITC_ATTR_FLOAT, .f = 1},
    {.name = "beta", .kind = ITC_ATTR_FLOAT, .f = 1},
    {.name = "transA", .kind = ITC_ATTR_INT},
    {.name = "transB", .kind = ITC_ATTR_INT},
    {.name = NULL},
};

/**
 * alpha * op(A) op(B) + beta * C, as MatMul and Combine.
 * Shapes  A [M,K], B [K,N], C broadcast to [M,N], absent in some models
 * Source  ONNX Gemm-7, -9, -11, -13
 */
const itc_op_def itc_op_Gemm = {
    .name = "Gemm",
    .domain = "",
    .in_min = 2,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .opset_min = 7,
    .versions = (const uint8_t[]){1, 6, 7, 9, 11, 13, 0},
    .roles = (const itc_role_in[]){ITC_IN_PARAM, ITC_IN_PARAM, ITC_IN_PARAM},
    .starts = (const itc_start[]){ITC_START_WEIGHT, ITC_START_WEIGHT, ITC_START_BIAS},
    .fans = matmul_fans,
    .attrs = gemm_attrs,
    .summary = "matrix product with scale and bias",
    .normalize = gemm_normalize,
    .infer = gemm_infer,
};
