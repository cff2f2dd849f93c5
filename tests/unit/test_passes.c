/*
 * What the passes after the plan, dumps, batches and evaluation promise of the numbers: digests
 * after some steps are equal, whatever they do; sums over micro-batches are those of the integers.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/graph_builder.h"

enum { STEPS = 5 };

static const char *const models[] = {
    "in x [N,6]; par u [6,7]; par b [7]; h = Gemm(x, u, b); r = Relu(h); par w [7,5];"
    "y = MatMul(r, w)",
    "in x [N,2,8,8]; par w [3,2,3,3]; par b [3]; c = Conv(x, w, b) pads=1,1,1,1; r = Relu(c);"
    "m = MaxPool(r) kernel_shape=2,2 strides=2,2; par v [4,3,2,2]; d = Conv(m, v) strides=2,1;"
    "t = Tanh(d); f = Flatten(t); par w2 [24,5]; y = MatMul(f, w2)",
    "in x [N,2,6,6]; par w [4,2,3,3]; c = Conv(x, w); s = Sigmoid(c); par g [4,1,1];"
    "m = Mul(s, g); a = Add(m, c); p = AveragePool(a) kernel_shape=3,3 strides=1,1 pads=1,0,0,1;"
    "l = LeakyRelu(p) alpha=0.1; f = Flatten(l); par v [36,6]; y = MatMul(f, v)",
    "opset 11; in x [N,4,5]; par u [5,6]; h = MatMul(x, u); d = Dropout(h) ratio=0.3;"
    "s = Softmax(d) axis=2; t = Transpose(s) perm=0,2,1; par w [4,3]; m = MatMul(t, w);"
    "f = Flatten(m); par v [18,5]; y = MatMul(f, v)",
};

static const char *const settings[] = {
    "batch=6 loss=cross-entropy lr=0.1",
    "batch=6 loss=cross-entropy lr=0.1 arith=int16",
    "batch=6 loss=mse lr=0.1 bits=6 optimizer=sgd,momentum=0.9,nesterov,weight-decay=0.01",
    "batch=12 micro_batch=5 loss=cross-entropy,label-smoothing=0.1 lr=0.1",
};

#define EACH(a, i) for (size_t i = 0; i < sizeof(a) / sizeof(a)[0]; i++)

static gb_model *open_at(const char *text, const char *set, itc_stage stage, const char *skip)
{
    gb_model *b = gb_new(text, 3);
    gb_set(b, set);
    gb_run_to(b, stage, skip);
    return b;
}

/** Trains a model of stage memory, takes its digest, closes it. */
static void finish(gb_model *b, int32_t rows, uint8_t hash[32])
{
    gb_start(b);
    gb_train(b, STEPS, rows > 0 ? rows : b->m->batch);
    gb_digest(b, hash);
    gb_close(b);
}

static void expected(const char *text, const char *set, uint8_t hash[32])
{
    finish(open_at(text, set, ITC_STAGE_MEMORY, NULL), 0, hash);
}

static void check_equal(const uint8_t *a, const uint8_t *b, const char *text, const char *what)
{
    if (memcmp(a, b, 32) != 0) {
        fail_msg("%s: another digest with %s", text, what);
    }
}

/* ---- memory and order ---- */

/** Another order of a section's nodes in which each still comes after what it reads. */
static void shuffle(itc_graph *g, itc_node_list *list, uint64_t *random)
{
    bool *waits = ITC_NEW_ARRAY(g->ctx, bool, g->n_values + 1); /* for a node of this section */
    itc_node **order = ITC_NEW_ARRAY(g->ctx, itc_node *, list->n + 1);
    for (int k = 0; k < list->n; k++) {
        for (int i = 0; i < list->node[k]->n_out; i++) {
            if (list->node[k]->out[i]) {
                waits[list->node[k]->out[i]->id] = true;
            }
        }
    }
    for (int done = 0; done < list->n; done++) {
        const int first = (int)(gb_uniform(random) * list->n);
        int k = -1;
        for (int j = 0; k < 0; j++) {
            assert_true(j < list->n);
            const int at = (first + j) % list->n;
            const itc_node *n = list->node[at];
            bool ready = n != NULL;
            for (int i = 0; ready && i < n->n_in; i++) {
                ready = !n->in[i] || !waits[n->in[i]->id];
            }
            k = ready ? at : -1;
        }
        itc_node *n = order[done] = list->node[k];
        list->node[k] = NULL;
        for (int i = 0; i < n->n_out; i++) {
            if (n->out[i]) {
                waits[n->out[i]->id] = false;
            }
        }
    }
    memcpy(list->node, order, sizeof(itc_node *) * (size_t)list->n);
}

static void memory_and_order_keep_the_digest(void **state)
{
    (void)state;
    EACH(models, i) EACH(settings, s)
    {
        uint8_t want[32], got[32];
        expected(models[i], settings[s], want);
        finish(open_at(models[i], settings[s], ITC_STAGE_MEMORY, "reuse"), 0, got);
        check_equal(want, got, models[i], "reuse left out");

        gb_model *b = open_at(models[i], settings[s], ITC_STAGE_MEMORY, "reuse");
        gb_spread(b);
        finish(b, 0, got);
        check_equal(want, got, models[i], "a place for each value");

        uint64_t random = i * 100 + s;
        for (int round = 0; round < 3; round++) {
            b = open_at(models[i], settings[s], ITC_STAGE_SCHEDULE, NULL);
            for (int section = 0; section < ITC_SECTION_COUNT; section++) {
                shuffle(b->g, &b->g->section[section], &random);
            }
            assert_int_equal(itc_verify(b->g), ITC_OK);
            gb_run_to(b, ITC_STAGE_MEMORY, round == 0 ? "reuse" : NULL);
            finish(b, 0, got);
            check_equal(want, got, models[i], "another order");
        }
    }
}

/* ---- dumps ---- */

static gb_model *through_text(gb_model *b)
{
    static const char side[] = "passes.itc.bin";
    itc_strbuf text, blob;
    const itc_print_options opt = {.blob_path = side, .comments = true};
    itc_ctx *ctx = itc_ctx_new();
    itc_graph *g = NULL;
    itc_strbuf_init(&text, b->ctx);
    itc_strbuf_init(&blob, b->ctx);
    itc_print(b->g, &opt, &text, &blob);
    FILE *f = fopen(side, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(blob.text, 1, blob.len, f), blob.len);
    assert_int_equal(fclose(f), 0);
    if (itc_parse(ctx, "passes.itc", text.text, text.len, &g) != ITC_OK) {
        itc_diag_print(ctx, stderr);
        fail_msg("the dump of stage %s is refused", itc_stage_name(b->g->stage));
    }
    unlink(side);
    gb_model *c = gb_adopt(ctx, g, b);
    gb_close(b);
    return c;
}

static void dumps_keep_the_digest(void **state)
{
    (void)state;
    EACH(models, i) EACH(settings, s)
    {
        uint8_t want[32], got[32];
        expected(models[i], settings[s], want);
        for (int stage = ITC_STAGE_IMPORT; stage <= ITC_STAGE_MEMORY; stage++) {
            gb_model *b = through_text(open_at(models[i], settings[s], (itc_stage)stage, NULL));
            assert_int_equal(b->g->stage, stage);
            gb_run_to(b, ITC_STAGE_MEMORY, NULL);
            finish(b, 0, got);
            check_equal(want, got, models[i], itc_stage_name((itc_stage)stage));
        }
        gb_model *b = open_at(models[i], settings[s], ITC_STAGE_IMPORT, NULL);
        for (int stage = ITC_STAGE_SHAPE; stage <= ITC_STAGE_MEMORY; stage++) { /* each time */
            gb_run_to(b, (itc_stage)stage, NULL);
            b = through_text(b);
        }
        finish(b, 0, got);
        check_equal(want, got, models[i], "a dump after each stage");
    }
}

/* ---- what the digest tells apart ---- */

static void digest_tells_numerics_apart(void **state)
{
    static const char *const others[] = {
        "batch=6 loss=cross-entropy lr=0.1 seed=1",
        "batch=6 loss=cross-entropy lr=0.1 rounding=backward=nearest",
        "batch=6 loss=cross-entropy lr=0.1 rounding=update=nearest",
        "batch=6 loss=cross-entropy lr=0.1 rounding=forward=stochastic",
        "batch=6 loss=cross-entropy lr=0.1001",
        "batch=6 loss=cross-entropy lr=0.1 bits=7",
        "batch=6 loss=cross-entropy lr=0.1 exponent=bitlength",
        "batch=6 micro_batch=3 loss=cross-entropy lr=0.1",
    };
    (void)state;
    EACH(models, i)
    {
        uint8_t hash[1 + sizeof others / sizeof *others][32];
        expected(models[i], settings[0], hash[0]);
        EACH(others, k)
        {
            expected(models[i], others[k], hash[k + 1]);
            for (size_t j = 0; j <= k; j++) {
                if (memcmp(hash[j], hash[k + 1], 32) == 0) {
                    fail_msg("%s: %s has the digest of another", models[i], others[k]);
                }
            }
        }
    }
}

/* ---- short batches ---- */

/** Overwrites the rows from n on. */
static void spoil(gb_model *b, itr_array *a, const itr_port_info *port, int32_t n)
{
    int32_t *x = (int32_t *)(uintptr_t)a->data;
    for (int64_t i = n * port->elements; i < b->m->batch * port->elements; i++) {
        x[i] = i % 2 ? INT32_MAX : INT32_MIN; /* no class id, and the largest number there is */
    }
}

static void train_short(gb_model *b, int32_t n, bool garbage, uint8_t hash[32])
{
    gb_start(b);
    for (int step = 0; step < STEPS; step++) {
        gb_refill(b, (uint64_t)step);
        for (int i = 0; garbage && i < b->m->input_count; i++) {
            spoil(b, &b->in[i], &b->m->inputs[i], n);
        }
        for (int i = 0; garbage && i < b->m->target_count; i++) {
            spoil(b, &b->target[i], &b->m->targets[i], n);
        }
        gb_step(b, n);
        assert_int_equal(b->metrics.samples, n);
    }
    gb_digest(b, hash);
    gb_close(b);
}

static void unused_rows_have_no_influence(void **state)
{
    static const struct {
        const char *settings, *exact; /**< the same for a batch without unused rows */
        int32_t n;
    } cases[] = {
        {"batch=8 loss=cross-entropy lr=0.1", "batch=5 loss=cross-entropy lr=0.1", 5},
        {"batch=8 loss=mse lr=0.1 arith=int16", "batch=1 loss=mse lr=0.1 arith=int16", 1},
        {"batch=32 micro_batch=8 loss=cross-entropy lr=0.1",
         "batch=20 micro_batch=8 loss=cross-entropy lr=0.1", 20},
        {"batch=32 micro_batch=8 loss=cross-entropy lr=0.1",
         "batch=9 micro_batch=8 loss=cross-entropy lr=0.1", 3},
    };
    (void)state;
    EACH(models, i) EACH(cases, k)
    {
        uint8_t want[32], got[32];
        train_short(open_at(models[i], cases[k].exact, ITC_STAGE_MEMORY, NULL), cases[k].n, false,
                    want);
        train_short(open_at(models[i], cases[k].settings, ITC_STAGE_MEMORY, NULL), cases[k].n,
                    false, got);
        check_equal(want, got, models[i], "rows that are not used");
        train_short(open_at(models[i], cases[k].settings, ITC_STAGE_MEMORY, NULL), cases[k].n, true,
                    got);
        check_equal(want, got, models[i], "garbage in the rows that are not used");
    }
}

/** A micro-batch as large as the batch, or larger, is none. */
static void whole_micro_batches_are_none(void **state)
{
    (void)state;
    uint8_t want[32], got[32];
    expected(models[0], "batch=6 loss=cross-entropy", want);
    expected(models[0], "batch=6 micro_batch=6 loss=cross-entropy", got);
    assert_memory_equal(want, got, 32);
    expected(models[0], "batch=6 micro_batch=64 loss=cross-entropy", got);
    assert_memory_equal(want, got, 32);
}

/* ---- evaluation ---- */

static itr_metrics score(gb_model *b, const int32_t *order, int32_t n)
{
    itr_array in[GB_MAX_PORTS], target[GB_MAX_PORTS];
    itr_metrics m;
    const struct {
        int32_t count;
        const itr_array *from;
        itr_array *to;
        const itr_port_info *port;
    } side[2] = {{b->m->input_count, b->in, in, b->m->inputs},
                 {b->m->target_count, b->target, target, b->m->targets}};
    for (int s = 0; s < 2; s++) {
        for (int i = 0; i < side[s].count; i++) {
            const size_t row = (size_t)side[s].port[i].elements * sizeof(int32_t);
            char *x = malloc(row * (size_t)n + 1);
            assert_non_null(x);
            for (int32_t r = 0; r < n; r++) {
                memcpy(x + row * (size_t)r,
                       (const char *)side[s].from[i].data + row * (size_t)order[r], row);
            }
            side[s].to[i] = side[s].from[i];
            side[s].to[i].data = x;
        }
    }
    assert_int_equal(b->m->score(b->state, in, target, n, &m), ITR_OK);
    for (int s = 0; s < 2; s++) {
        for (int i = 0; i < side[s].count; i++) {
            free((void *)(uintptr_t)side[s].to[i].data);
        }
    }
    return m;
}

static void evaluation_is_row_by_row(void **state)
{
    static const int32_t all[6] = {0, 1, 2, 3, 4, 5}, other[6] = {4, 0, 5, 2, 1, 3};
    (void)state;
    EACH(models, i) EACH(settings, s)
    {
        gb_model *b = open_at(models[i], settings[s], ITC_STAGE_MEMORY, NULL);
        uint8_t before[32], after[32];
        gb_start(b);
        gb_train(b, 2, b->m->batch);
        gb_digest(b, before);
        const itr_metrics whole = score(b, all, 6), permuted = score(b, other, 6);
        itr_metrics sum = {0};
        for (int32_t cut = 0; cut < 6; cut++) { /* one at a time */
            const itr_metrics one = score(b, &other[cut], 1);
            sum.loss_q24 += one.loss_q24;
            sum.rows += one.rows;
            sum.correct += one.correct;
            sum.samples += one.samples;
        }
        assert_memory_equal(&whole, &permuted, sizeof whole);
        assert_memory_equal(&whole, &sum, sizeof whole);
        assert_true(whole.samples == 6 && whole.loss_q24 > 0);
        gb_digest(b, after);
        assert_memory_equal(before, after, 32); /* evaluation changes nothing */
        gb_close(b);
    }
}

static void outputs_of(gb_model *b, const itr_array *in, int32_t n, void *data, int32_t *exponents)
{
    itr_output out = {data, exponents};
    assert_int_equal(b->m->infer(b->state, in, n, &out), ITR_OK);
}

/** An answer is the same whatever the other rows hold, in float32 as well. */
static void answers_do_not_depend_on_neighbours(void **state)
{
    static const char *const arith[] = {"batch=4 loss=mse", "batch=4 loss=mse arith=int16",
                                        "batch=4 loss=mse arith=float32"};
    (void)state;
    EACH(models, i) EACH(arith, s)
    {
        gb_model *b = open_at(models[i], arith[s], ITC_STAGE_MEMORY, NULL);
        gb_start(b);
        const itr_port_info *port = &b->m->outputs[0];
        const size_t row = (size_t)port->elements * itr_dtype_size(port->dtype);
        char *together = calloc(8, row), *alone = together + 4 * row;
        int32_t e[8] = {0};
        assert_non_null(together);
        outputs_of(b, b->in, 4, together, e);
        const itr_array second = {(const int32_t *)b->in[0].data + b->m->inputs[0].elements,
                                  b->in[0].dtype, b->in[0].exponent};
        outputs_of(b, &second, 1, alone, e + 4);
        assert_memory_equal(together + row, alone, row);
        assert_int_equal(e[1], e[4]);
        int32_t *first =
            (int32_t *)(uintptr_t)b->in[0].data; /* a neighbour a thousand times larger */
        for (int64_t k = 0; k < b->m->inputs[0].elements; k++) {
            first[k] *= 1000;
        }
        outputs_of(b, b->in, 4, alone, e + 4);
        assert_memory_equal(together + row, alone + row, row);
        assert_int_equal(e[1], e[5]);
        assert_memory_not_equal(together, alone, row);
        free(together);
        gb_close(b);
    }
}

/* ---- sums over micro-batches ---- */

enum { MICRO = 4, MICROS = 3, MOST_GRIDS = 4, MOST_ELEMENTS = 256 };

typedef struct gradient {
    int64_t x[MOST_ELEMENTS];
    int32_t e;
} gradient;

static int find_grids(const gb_model *b, const itc_node **grids)
{
    const itc_node_list *list = &b->g->section[ITC_BACKWARD];
    int n = 0;
    for (int k = 0; k < list->n; k++) {
        if (strcmp(list->node[k]->op->name, "GridAdd") == 0) {
            assert_true(n < MOST_GRIDS);
            grids[n++] = list->node[k];
        }
    }
    return n;
}

static gb_model *open_grid(const char *text)
{
    /* to nearest: a micro-batch's gradient is then the same by itself */
    gb_model *b =
        open_at(text, "batch=12 micro_batch=4 loss=cross-entropy rounding=backward=nearest",
                ITC_STAGE_MEMORY, "reuse");
    gb_spread(b);
    gb_start(b);
    return b;
}

/** The exact gradients of one micro-batch of the data, by itself. */
static int gradients_of(const char *text, int micro, gradient *out)
{
    const itc_node *grids[MOST_GRIDS];
    gb_model *b = open_grid(text);
    const int n = find_grids(b, grids);
    for (int i = 0; i < b->m->input_count; i++) {
        b->in[i].data = (const int32_t *)b->in[i].data + micro * MICRO * b->m->inputs[i].elements;
    }
    for (int i = 0; i < b->m->target_count; i++) {
        b->target[i].data =
            (const int32_t *)b->target[i].data + micro * MICRO * b->m->targets[i].elements;
    }
    gb_step(b, MICRO);
    for (int k = 0; k < n; k++) {
        const itc_value *dw = grids[k]->in[1];
        assert_true(gb_count(dw, 1) <= MOST_ELEMENTS);
        out[k].e = gb_exponent(b, dw);
        for (int64_t i = 0; i < gb_count(dw, 1); i++) {
            out[k].x[i] = gb_mantissa(b, dw, i);
        }
    }
    gb_close(b);
    return n;
}

static int bit_length(int64_t x)
{
    int n = 0;
    for (uint64_t m = x < 0 ? 0 - (uint64_t)x : (uint64_t)x; m != 0; m >>= 1) {
        n++;
    }
    return n;
}

/**
 * The grid of the first step is 24 bits below the leading bit of the first micro-batch's largest
 * gradient, which is finer than any of these, so the sum is exact; the next step's is 24 bits
 * below that of this sum.
 */
static void micro_batches_add_exactly(void **state)
{
    (void)state;
    for (int m = 0; m < 2; m++) {
        gradient part[MICROS][MOST_GRIDS];
        const itc_node *grids[MOST_GRIDS];
        for (int j = 0; j < MICROS; j++) {
            assert_true(gradients_of(models[m], j, part[j]) > 1);
        }
        gb_model *b = open_grid(models[m]);
        const int n = find_grids(b, grids);
        gb_step(b, MICRO * MICROS);
        for (int k = 0; k < n; k++) {
            const int64_t count = gb_count(grids[k]->out[0], 1);
            int first = 0, most = 0;
            for (int64_t i = 0; i < count; i++) {
                const int bits = bit_length(part[0][k].x[i]);
                first = bits > first ? bits : first;
            }
            const int32_t grid = part[0][k].e + first - 1 - 24;
            for (int64_t i = 0; i < count; i++) {
                int64_t sum = 0;
                for (int j = 0; j < MICROS; j++) {
                    const int gap = part[j][k].e - grid;
                    assert_true(gap >= 0 && gap < 30);
                    sum += part[j][k].x[i] * ((int64_t)1 << gap);
                }
                assert_int_equal(gb_mantissa(b, grids[k]->out[0], i), sum);
                most = bit_length(sum) > most ? bit_length(sum) : most;
            }
            assert_int_equal(gb_exponent(b, grids[k]->in[0]), grid + most - 1 - 24);
        }
        gb_close(b);
    }
}

/** A node that is unrolled through time has more sites than the index of one number counts: each is
 * one of its own all the same, and the first have the node's number. */
static void sites_are_different(void **state)
{
    (void)state;
    gb_model *b = gb_open("in x [N,40,2]; par w [1,3,2]; par r [1,3,3]; y = RNN(x, w, r) layout=1",
                          3, "batch=2 loss=mse");
    bool *taken = calloc((size_t)1 << 24, sizeof *taken);
    int own = 0, beyond = 0;
    for (int s = 0; s < ITC_SECTION_COUNT; s++) {
        const itc_node_list *list = &b->g->section[s];
        for (int k = 0; k < list->n; k++) {
            const uint32_t site = list->node[k]->site;
            assert_true(site < (uint32_t)1 << 24);
            assert_true(site == 0 || !taken[site]);
            taken[site] = true;
            own += site >> 8 == 1;
            beyond += site >> 8 > 2;
        }
    }
    assert_true(own > 16 && beyond > 80);
    free(taken);
    gb_close(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_and_order_keep_the_digest),
        cmocka_unit_test(dumps_keep_the_digest),
        cmocka_unit_test(digest_tells_numerics_apart),
        cmocka_unit_test(unused_rows_have_no_influence),
        cmocka_unit_test(whole_micro_batches_are_none),
        cmocka_unit_test(evaluation_is_row_by_row),
        cmocka_unit_test(answers_do_not_depend_on_neighbours),
        cmocka_unit_test(micro_batches_add_exactly),
        cmocka_unit_test(sites_are_different),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
