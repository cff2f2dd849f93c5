/*
 * Accumulator bounds, derived a second time. For every bound of a plan this test
 *   - works out K from the operators' definitions (terms) and compares it with the plan's;
 *   - counts, place by place, how many products really meet in one element (reach);
 *   - runs the record's kernel on operands that are all at their limit, either sign, and finds
 *     exactly that many times the product of the limits: nothing wraps, nothing saturates.
 * The widths flip from 32 to 64 bits one past the last K that fits: 127 * 127 * 133144 < 2^31.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "passes/lower.h"
#include "passes/plan.h"
#include "tests/support/graph_builder.h"

/* ---- a second derivation ---- */

typedef struct window {
    int64_t in[2], out[2], kernel[2], stride[2], dilation[2], begin[2], end[2];
} window;

static void attr_list(const itc_node *n, const char *name, int count, int64_t *to)
{
    const itc_attr *a = itc_attr_find(n, name);
    for (int i = 0; a && i < count; i++) {
        to[i] = a->u.ints[i];
    }
}

/** Extents of the image and of the result, one axis as the second of two. */
static window window_of(const itc_node *n, const itc_type *image, const itc_type *result)
{
    const int spatial = image->rank - 2, at = 2 - spatial;
    int64_t pads[4] = {0};
    window w = {{1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {0, 0}, {0, 0}};
    attr_list(n, "kernel_shape", spatial, w.kernel + at);
    attr_list(n, "strides", spatial, w.stride + at);
    attr_list(n, "dilations", spatial, w.dilation + at);
    attr_list(n, "pads", 2 * spatial, pads);
    for (int i = 0; i < spatial; i++) {
        w.in[at + i] = image->dim[2 + i].size;
        w.out[at + i] = result->dim[2 + i].size;
        w.begin[at + i] = pads[i];
        w.end[at + i] = pads[spatial + i];
    }
    return w;
}

/** Where element k of window o lies on one axis; -1: in the padding. */
static int64_t place(const window *w, int axis, int64_t o, int64_t k)
{
    const int64_t at = o * w->stride[axis] - w->begin[axis] + k * w->dilation[axis];
    return at >= 0 && at < w->in[axis] ? at : -1;
}

typedef enum count_by {
    BY_WINDOW,  /**< elements that one window sees */
    BY_ELEMENT, /**< windows that see one element */
    BY_TAP      /**< windows whose k-th element is no padding */
} count_by;

/** The most pairs of window and element with the same window, element or tap, on one axis. */
static int64_t most_on_axis(const window *w, int axis, count_by by)
{
    const int64_t room = by == BY_WINDOW    ? w->out[axis]
                         : by == BY_ELEMENT ? w->in[axis]
                                            : w->kernel[axis];
    int64_t *count = calloc((size_t)room + 1, sizeof *count), most = 0;
    assert_non_null(count);
    for (int64_t o = 0; o < w->out[axis]; o++) {
        for (int64_t k = 0; k < w->kernel[axis]; k++) {
            const int64_t at = place(w, axis, o, k);
            if (at >= 0) {
                const int64_t c = ++count[by == BY_WINDOW ? o : by == BY_ELEMENT ? at : k];
                most = c > most ? c : most;
            }
        }
    }
    free(count);
    return most;
}

static int64_t most(const window *w, count_by by)
{
    return most_on_axis(w, 0, by) * most_on_axis(w, 1, by);
}

typedef struct expectation {
    int64_t terms; /**< K by the definition, padding counted */
    int64_t reach; /**< products that meet in one element at most */
    bool exact;    /**< the plan's K is `terms`; else it may be larger */
    bool scaled;   /**< each term is also multiplied by a reciprocal: no exact value here */
} expectation;

static int64_t extent(const itc_dim d, int64_t rows)
{
    return d.size * (d.batch ? rows : 1);
}

static expectation expect_conv(const itc_node *n, int64_t rows)
{
    const itc_type *a = &n->in[0]->type, *b = &n->in[1]->type, *y = &n->out[0]->type;
    const int64_t group = itc_int(n, "group");
    expectation x = {.exact = true};
    if (strcmp(n->op->name, "Conv") == 0) {
        const window w = window_of(n, a, y);
        const int64_t channels = a->dim[1].size / group;
        x.terms = channels * w.kernel[0] * w.kernel[1];
        x.reach = channels * most(&w, BY_WINDOW);
    } else if (strcmp(n->op->name, "ConvGradInput") == 0) {
        const window w = window_of(n, y, a);
        const int64_t channels = a->dim[1].size / group;
        x.terms = channels * w.kernel[0] * w.kernel[1];
        x.reach = channels * most(&w, BY_ELEMENT);
    } else {
        const window w = window_of(n, a, b);
        x.terms = rows * w.out[0] * w.out[1];
        x.reach = rows * most(&w, BY_TAP);
    }
    return x;
}

static expectation expect_pool(const itc_node *n)
{
    const bool forward = strcmp(n->op->name, "AveragePool") == 0;
    const itc_type *x = &n->in[0]->type, *y = &n->out[0]->type;
    const window w = forward ? window_of(n, x, y) : window_of(n, y, x);
    expectation e = {.reach = most(&w, forward ? BY_WINDOW : BY_ELEMENT)};
    e.terms = e.reach;
    e.scaled = n->out[0]->type.dtype == ITC_I64;
    return e;
}

static expectation expect(const itc_node *n, int64_t rows)
{
    const itc_type *x = &n->in[0]->type;
    expectation e = {.exact = true};
    if (strncmp(n->op->name, "Conv", 4) == 0) {
        return expect_conv(n, rows);
    }
    if (strcmp(n->op->name, "MatMul") == 0) {
        e.terms = extent(x->dim[x->rank - (itc_int(n, "trans_a") ? 2 : 1)], rows);
    } else if (strcmp(n->op->name, "ReduceSumTo") == 0 || strcmp(n->op->name, "ReduceDot") == 0) {
        const itc_attr *axes = itc_attr_find(n, "axes");
        e.terms = 1;
        for (int i = 0; i < axes->n; i++) {
            e.terms *= extent(x->dim[axes->u.ints[i]], rows);
        }
    } else {
        return expect_pool(n);
    }
    e.reach = e.terms;
    return e;
}

/* ---- running a record on data of our own ---- */

static const itc_record *record_in(const itc_record_list *list, const itc_node *n)
{
    for (int i = 0; i < list->n; i++) {
        const itc_record *r = list->record[i];
        const itc_record *inner = r->body ? record_in(r->body, n) : NULL;
        if (inner || (r->kind == ITC_RECORD_CALL && r->node == n)) {
            return inner ? inner : r;
        }
    }
    return NULL;
}

static const itc_record *record_of(const itc_program *p, const itc_node *n)
{
    const itc_record_list *lists[] = {&p->prepare, &p->step, &p->infer, &p->score};
    for (int i = 0; i < 4; i++) {
        const itc_record *r = record_in(lists[i], n);
        if (r) {
            return r;
        }
    }
    fail_msg("%s has no record", n->op->name);
    return NULL;
}

/** Calls the record's kernel: operand i of the node at in[i], the result at out. */
static void call(const itc_record *r, int64_t rows, void *const *in, void *out)
{
    unsigned char *args = calloc(1, r->kernel->args_size);
    assert_non_null(args);
    for (int i = 0; i < r->kernel->n_fields; i++) {
        const itc_field *f = &r->kernel->fields[i];
        const itc_arg *a = &r->args[i];
        void *p = NULL;
        for (int k = 0; k < r->node->n_in; k++) {
            p = a->value && a->value == r->node->in[k] ? in[k] : p;
        }
        p = a->value && a->value == r->node->out[0] ? out : p;
        const int64_t size = extent(a->dim, rows);
        const int32_t number = (int32_t)a->i;
        switch (f->kind) {
        case ITC_FIELD_IN:
        case ITC_FIELD_OUT:
            memcpy(args + f->offset, &p, sizeof p);
            break;
        case ITC_FIELD_POOL:
            break; /* zeroed: no pool */
        case ITC_FIELD_DIM:
            memcpy(args + f->offset, &size, sizeof size);
            break;
        case ITC_FIELD_INT:
            memcpy(args + f->offset, &number, sizeof number);
            break;
        case ITC_FIELD_SHAPE:
            for (int k = 0; k < a->rank; k++) {
                const int64_t d = extent(a->shape[k], rows);
                memcpy(args + f->offset + (size_t)k * sizeof d, &d, sizeof d);
            }
            break;
        default:
            fail_msg("%s has a field %s", r->kernel->name, f->name);
        }
    }
    r->kernel->ref(args);
    free(args);
}

/** v's elements, all at the limit of its bits. */
static void *at_limit(const itc_value *v, int64_t rows, int sign)
{
    const int64_t count = itc_type_elements(&v->type, rows);
    const int64_t limit = sign * (int64_t)(((uint64_t)1 << v->type.bits) - 1);
    void *x = calloc((size_t)count + 1, itc_dtype_size(v->type.dtype));
    assert_non_null(x);
    for (int64_t i = 0; i < count; i++) {
        if (v->type.dtype == ITC_I8) {
            ((int8_t *)x)[i] = (int8_t)limit;
        } else {
            assert_int_equal(v->type.dtype, ITC_I16);
            ((int16_t *)x)[i] = (int16_t)limit;
        }
    }
    return x;
}

/** The element of a plane that most windows see. */
static int64_t favourite(const window *w)
{
    int64_t best = 0, best_count = 0;
    for (int64_t e = 0; e < w->in[0] * w->in[1]; e++) {
        int64_t count = 0;
        for (int64_t o = 0; o < w->out[0] * w->out[1]; o++) {
            for (int64_t k = 0; k < w->kernel[0] * w->kernel[1]; k++) {
                count += place(w, 0, o / w->out[1], k / w->kernel[1]) == e / w->in[1] &&
                         place(w, 1, o % w->out[1], k % w->kernel[1]) == e % w->in[1];
            }
        }
        if (count > best_count) {
            best_count = count;
            best = e;
        }
    }
    return best;
}

/** Offsets of maxima, such that as many windows as can have the same; others: their first. */
static void *same_maximum(const itc_node *n, int64_t rows)
{
    const window w = window_of(n, &n->out[0]->type, &n->in[0]->type);
    const int64_t count = itc_type_elements(&n->in[1]->type, rows), e = favourite(&w);
    int32_t *index = calloc((size_t)count + 1, sizeof *index);
    assert_non_null(index);
    for (int64_t i = 0; i < count; i++) {
        const int64_t o = i % (w.out[0] * w.out[1]);
        int64_t first = -1;
        for (int64_t k = 0; k < w.kernel[0] * w.kernel[1]; k++) {
            const int64_t y = place(&w, 0, o / w.out[1], k / w.kernel[1]);
            const int64_t x = place(&w, 1, o % w.out[1], k % w.kernel[1]);
            const int64_t at = y >= 0 && x >= 0 ? y * w.in[1] + x : -1;
            first = first < 0 || at == e ? (at >= 0 ? at : first) : first;
        }
        index[i] = (int32_t)first;
    }
    return index;
}

/** Largest magnitude of the kernel's result on all-extreme operands. */
static uint64_t extreme(const itc_record *r, int64_t rows, int sign)
{
    const itc_node *n = r->node;
    void *in[4] = {0};
    for (int i = 0; i < n->n_in; i++) {
        const bool index = strcmp(n->op->name, "MaxPoolGrad") == 0 && i == 1;
        in[i] = index ? same_maximum(n, rows) : at_limit(n->in[i], rows, i == 0 ? sign : 1);
    }
    const itc_type *t = &n->out[0]->type;
    const int64_t count = itc_type_elements(t, rows);
    void *y = calloc((size_t)count + 1, itc_dtype_size(t->dtype));
    assert_non_null(y);
    call(r, rows, in, y);
    uint64_t largest = 0;
    for (int64_t i = 0; i < count; i++) {
        const int64_t v = t->dtype == ITC_I32 ? ((const int32_t *)y)[i] : ((const int64_t *)y)[i];
        assert_true(v == 0 || (v > 0) == (sign > 0)); /* a sum that wrapped changes its sign */
        const uint64_t m = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
        largest = m > largest ? m : largest;
    }
    for (int i = 0; i < n->n_in; i++) {
        free(in[i]);
    }
    free(y);
    return largest;
}

static void check_bound(const itc_program *p, const itc_bound *b, int64_t rows)
{
    const itc_node *n = b->node;
    const itc_type *t = &n->out[0]->type;
    const expectation e = expect(n, rows);
    const int64_t k = extent(b->k, rows);
    const uint64_t limits = (uint64_t)b->limit_a * (uint64_t)b->limit_b;
    assert_int_equal(b->limit_a, ((int64_t)1 << n->in[0]->type.bits) - 1);
    assert_int_equal(b->worst, (uint64_t)k * limits);
    if (e.exact && k != e.terms) {
        fail_msg("%s: K is %lld, expected %lld", n->op->name, (long long)k, (long long)e.terms);
    }
    assert_true(e.reach <= e.terms);
    assert_true(e.scaled || k >= e.reach);
    assert_int_equal(b->chosen, t->dtype);
    /* bytes take 32 bits exactly as long as those do; wider operands have 64 always */
    const bool bytes =
        n->in[0]->type.dtype == ITC_I8 && (n->n_in < 2 || n->in[1]->type.dtype == ITC_I8);
    const bool pool = strstr(n->op->name, "Pool") != NULL;
    if (!pool) {
        assert_int_equal(b->chosen, bytes && b->worst <= INT32_MAX ? ITC_I32 : ITC_I64);
    }
    for (int sign = -1; sign <= 1; sign += 2) {
        const uint64_t largest = extreme(record_of(p, n), rows, sign);
        assert_true(largest <= b->worst);
        assert_true(largest >> t->bits == 0);
        assert_true(t->dtype == ITC_I64 || largest <= INT32_MAX);
        if (!e.scaled && largest != (uint64_t)e.reach * limits) {
            fail_msg("%s: extreme operands give %llu, expected %lld * %llu", n->op->name,
                     (unsigned long long)largest, (long long)e.reach, (unsigned long long)limits);
        }
    }
}

static gb_model *plan(const char *text, const char *settings)
{
    gb_model *b = gb_new(text, 5);
    gb_set(b, "batch=6 loss=mse");
    gb_set(b, settings);
    gb_run_to(b, ITC_STAGE_MEMORY, NULL);
    assert_int_equal(itc_program_new(b->g, &b->program), ITC_OK);
    return b;
}

static int check_model(gb_model *b)
{
    itc_bound *bounds = NULL;
    int count = 0;
    assert_int_equal(itc_plan_bounds(b->g, &bounds, &count), ITC_OK);
    for (int i = 0; i < count; i++) {
        check_bound(b->program, &bounds[i], itc_graph_rows(b->g));
    }
    return count;
}

/* ---- models ---- */

static void bounds_hold(void **state)
{
    static const struct {
        const char *text;
        int bounds; /**< accumulators it has in training and evaluation */
    } cases[] = {
        {"in x [N,7]; par w [7,5]; par b [5]; y = Gemm(x, w, b)", 4},
        {"in x [N,4,6]; par u [6,5]; h = MatMul(x, u); t = Transpose(h) perm=0,2,1;"
         "y = MatMul(h, t)",
         7},
        {"in x [N,2,9,8]; par w [6,2,3,2]; c = Conv(x, w); par v [4,3,2,2];"
         "y = Conv(c, v) group=2 strides=2,1",
         7},
        {"in x [N,2,9,8]; par w [6,2,3,3]; par b [6]; c = Conv(x, w, b) pads=1,2,0,1 dilations=2,1;"
         "par v [6,1,2,3]; y = Conv(c, v) group=6 strides=1,2 pads=1,1,1,1",
         8},
        {"in x [N,3,11]; par w [4,3,3]; c = Conv(x, w) strides=2 pads=1,1; par v [2,4,2];"
         "y = Conv(c, v) dilations=2",
         7},
        {"in x [N,2,7,7]; par w [3,2,2,2]; c = Conv(x, w);"
         "m = MaxPool(c) kernel_shape=3,2 strides=1,2 pads=1,0,1,0; r = Relu(m);"
         "par v [2,3,1,1]; y = Conv(r, v)",
         8},
        {"in x [N,2,7,7]; par w [3,2,2,2]; c = Conv(x, w);"
         "y = AveragePool(c) kernel_shape=2,2 strides=2,2",
         6},
        {"in x [N,2,7,7]; par w [3,2,2,2]; c = Conv(x, w);"
         "y = AveragePool(c) kernel_shape=3,2 strides=1,1 pads=1,0,1,1 ceil_mode=1",
         6},
        {"in x [N,2,7,7]; par w [3,2,2,2]; c = Conv(x, w); y = GlobalAveragePool(c)", 6},
        {"in x [N,3,4]; par b [4]; a = Add(x, b); par k [3,1]; y = Mul(a, k)", 2},
    };
    static const char *const settings[] = {"", "arith=int16", "bits=5", "micro_batch=2",
                                           "optimizer=sgd,momentum=0.9"};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t s = 0; s < sizeof settings / sizeof settings[0]; s++) {
            gb_model *b = plan(cases[i].text, settings[s]);
            const int count = check_model(b);
            if (count != cases[i].bounds) {
                fail_msg("%s: %d bounds, expected %d", cases[i].text, count, cases[i].bounds);
            }
            gb_close(b);
        }
    }
}

/* ---- at the bound, and one past it ---- */

static void width_flips_one_past_the_bound(void **state)
{
    static const struct {
        const char *text, *settings, *op;
        itc_section section;
        int64_t k;
        itc_dtype want;
    } cases[] = {
        {"in x [N,133144]; par w [133144,1]; y = MatMul(x, w)", "batch=1", "MatMul", ITC_FORWARD,
         133144, ITC_I32},
        {"in x [N,133145]; par w [133145,1]; y = MatMul(x, w)", "batch=1", "MatMul", ITC_FORWARD,
         133145, ITC_I64},
        {"in x [N,1]; par w [1,1]; y = MatMul(x, w)", "batch=133144", "MatMul", ITC_BACKWARD,
         133144, ITC_I32},
        {"in x [N,1]; par w [1,1]; y = MatMul(x, w)", "batch=133145", "MatMul", ITC_BACKWARD,
         133145, ITC_I64},
        {"in x [N,1]; par w [1,1]; y = MatMul(x, w)", "batch=133145 micro_batch=133144", "MatMul",
         ITC_BACKWARD, 133144, ITC_I32},
        {"in x [N,16643,2,4]; par w [1,16643,2,4]; y = Conv(x, w)", "batch=1", "Conv", ITC_FORWARD,
         133144, ITC_I32},
        {"in x [N,26629,1,5]; par w [1,26629,1,5]; y = Conv(x, w)", "batch=1", "Conv", ITC_FORWARD,
         133145, ITC_I64},
        {"in x [N,1,4,16643]; par w [1,1,1,1]; y = Conv(x, w)", "batch=2", "ConvGradWeight",
         ITC_BACKWARD, 133144, ITC_I32},
        {"in x [N,1,26629]; par w [1,1,1]; y = Conv(x, w)", "batch=5", "ConvGradWeight",
         ITC_BACKWARD, 133145, ITC_I64},
        {"in x [N,1,1,3]; par p [1,1,3]; a = Add(x, p); par w [133144,1,1,3]; y = Conv(a, w)",
         "batch=1", "ConvGradInput", ITC_BACKWARD, 399432, ITC_I64},
        {"in x [N,1,1,3]; par p [1,1,3]; a = Add(x, p); par w [133144,1,1,1]; y = Conv(a, w)",
         "batch=1", "ConvGradInput", ITC_BACKWARD, 133144, ITC_I32},
        /* sums of single bytes: floor((2^31 - 1) / 127) */
        {"in x [N,1]; par b [1]; y = Add(x, b)", "batch=16909320", "ReduceSumTo", ITC_BACKWARD,
         16909320, ITC_I32},
        {"in x [N,1]; par b [1]; y = Add(x, b)", "batch=16909321", "ReduceSumTo", ITC_BACKWARD,
         16909321, ITC_I64},
        /* five bits: floor((2^31 - 1) / (15 * 15)) */
        {"in x [N,1]; par w [1,1]; y = MatMul(x, w)", "batch=9544371 bits=5", "MatMul",
         ITC_BACKWARD, 9544371, ITC_I32},
        {"in x [N,1]; par w [1,1]; y = MatMul(x, w)", "batch=9544372 bits=5", "MatMul",
         ITC_BACKWARD, 9544372, ITC_I64},
        {"in x [N,2]; par w [2,1]; y = MatMul(x, w)", "batch=1 arith=int16", "MatMul", ITC_FORWARD,
         2, ITC_I64},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        gb_model *b = plan(cases[i].text, cases[i].settings);
        itc_bound *bounds = NULL;
        int count = 0, seen = 0;
        assert_int_equal(itc_plan_bounds(b->g, &bounds, &count), ITC_OK);
        for (int k = 0; k < count; k++) {
            const itc_node *n = bounds[k].node;
            if (n->section != cases[i].section || strcmp(n->op->name, cases[i].op) != 0) {
                continue;
            }
            if (extent(bounds[k].k, itc_graph_rows(b->g)) != cases[i].k ||
                bounds[k].chosen != cases[i].want) {
                fail_msg("%s, %s: K is %lld in %s", cases[i].text, cases[i].settings,
                         (long long)extent(bounds[k].k, itc_graph_rows(b->g)),
                         itc_dtype_name(bounds[k].chosen));
            }
            check_bound(b->program, &bounds[k], itc_graph_rows(b->g));
            seen++;
        }
        assert_int_equal(seen, 1);
        gb_close(b);
    }
}

/** What even 64 bits do not hold is refused. */
static void sums_beyond_64_bits_are_refused(void **state)
{
    static const struct {
        const char *settings;
        bool fits; /**< 6 * batch * 32767^2 < 2^63 */
    } cases[] = {{"batch=1431743150", true}, {"batch=1431743151", false}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        gb_model *b = gb_new("in x [N,1,6]; par w [1,1,1]; y = Conv(x, w)", 5);
        gb_set(b, "arith=int16 loss=mse");
        gb_set(b, cases[i].settings);
        const itc_status s = itc_run_to(b->g, ITC_STAGE_PLAN, NULL);
        assert_int_equal(s == ITC_OK, cases[i].fits);
        if (!cases[i].fits) {
            assert_string_equal(itc_diag_get(b->ctx, 0)->id, "E0310");
        }
        gb_close(b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds_hold),
        cmocka_unit_test(width_flips_one_past_the_bound),
        cmocka_unit_test(sums_beyond_64_bits_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
