/* The interpreter, on programs small enough to compute by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "codegen/codegen.h"
#include "codegen/emit.h"
#include "codegen/eval.h"
#include "ir/ir.h"
#include "runtime/tensors.h"

static itc_ctx *ctx;

static int setup(void **state)
{
    (void)state;
    ctx = itc_ctx_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    itc_ctx_free(ctx);
    return 0;
}

static itc_graph *parse(const char *text)
{
    itc_graph *g = NULL;
    if (itc_parse(ctx, "t.itc", text, strlen(text), &g) != ITC_OK) {
        itc_diag_print(ctx, stderr);
        fail_msg("the text was refused");
    }
    return g;
}

static itr_model *model_of(itc_graph *g)
{
    itc_program *p = NULL;
    itr_model *m = NULL;
    if (itc_program_new(g, &p) != ITC_OK || itc_eval_model(p, &m) != ITC_OK) {
        itc_diag_print(ctx, stderr);
        fail_msg("no program");
    }
    return m;
}

/* Inputs below 128 need no rounding, so the products are exact and known. */
static const char linear[] =
    "itc 1\n"
    "graph @linear stage=memory opset=13 {\n"
    "  set batch = 4\n"
    "  set arith = \"int8\"\n"
    "  exponents = 4\n"
    "  arena = 256\n"
    "  input %x : i32[N,3] bits=31 e=@0\n"
    "  param %w : i8[2,3] bits=7 e=@1 data=[1, -2, 3, 4, 5, -6] * 2^-3\n"
    "  infer:\n"
    "    %x.i8 : i8[N,3] bits=7 e=@2 at=0 = Requant(%x) {coef=[1], bits=7} #1.fwd\n"
    "    %y : i32[N,2] bits=16 e=@3 = @2 + @1 at=64 = MatMul(%x.i8, %w) {trans_b=1}\n"
    "    %r : i32[N,2] bits=16 e=@3 at=128 = Relu(%y)\n"
    "  output %r as \"out\"\n"
    "}\n";

static void products_are_those_of_integers(void **state)
{
    (void)state;
    const itr_model *m = model_of(parse(linear));
    static const int w[2][3] = {{1, -2, 3}, {4, 5, -6}};
    const uint8_t x[4][3] = {{1, 2, 3}, {127, 0, 100}, {0, 0, 0}, {5, 60, 7}};
    int32_t y[4][2], e[4];
    itr_output out = {y, e};
    const itr_array in = {x, ITR_U8, -5};
    void *s = itc_eval_state_new(m);
    assert_int_equal(m->outputs[0].dtype, ITR_I32);
    assert_int_equal(m->outputs[0].elements, 2);
    assert_int_equal(m->infer(s, &in, 4, &out), ITR_OK);
    for (int i = 0; i < 4; i++) {
        for (int o = 0; o < 2; o++) {
            int sum = 0;
            for (int k = 0; k < 3; k++) {
                sum += w[o][k] * x[i][k];
            }
            assert_int_equal(y[i][o], sum > 0 ? sum : 0);
        }
        assert_int_equal(e[i], -5 - 3);
    }
}

static void calls_out_of_range_are_refused(void **state)
{
    (void)state;
    const itr_model *m = model_of(parse(linear));
    const uint8_t x[15] = {0};
    int32_t y[10], e[5];
    itr_output out = {y, e};
    itr_array in = {x, ITR_U8, 0};
    void *s = itc_eval_state_new(m);
    assert_int_equal(m->infer(s, &in, 0, &out), ITR_BAD_INPUT);
    assert_int_equal(m->infer(s, &in, 5, &out), ITR_BAD_INPUT);
    in.dtype = ITR_F32;
    assert_int_equal(m->infer(s, &in, 1, &out), ITR_BAD_INPUT);
    in.dtype = ITR_U8;
    in.exponent = 1 << 21;
    assert_int_equal(m->infer(s, &in, 1, &out), ITR_BAD_INPUT);
}

/* A sum over micro-batches of 2 rows, in floats; the new state lies outside the state. */
static const char sums[] = "itc 1\n"
                           "graph @sums stage=memory opset=13 {\n"
                           "  set batch = 5\n"
                           "  set micro_batch = 2\n"
                           "  set arith = \"float32\"\n"
                           "  set lr = \"0.5\"\n"
                           "  arena = 256\n"
                           "  input %x : i32[N,2] bits=31\n"
                           "  param %w : f32[2] data=[10, 20] next=%w.new\n"
                           "  slot %acc : f32[2] data=[7, 7] next=%next\n"
                           "  forward:\n"
                           "    %f : f32[N,2] at=0 = ToFloat(%x)\n"
                           "    %sum : f32[2] at=64 = ReduceSumTo(%f) {axes=[0]}\n"
                           "  backward:\n"
                           "    %next : f32[2] in=%acc = GridAdd(%acc, %sum)\n"
                           "  update:\n"
                           "    %w.new : f32[2] at=128 = Combine(%w, %next) {coef=[1, -1*lr]}\n"
                           "}\n";

static void a_step_sums_its_micro_batches(void **state)
{
    (void)state;
    itc_graph *g = parse(sums);
    const itr_model *m = model_of(g);
    const int8_t x[5][2] = {{1, -1}, {2, -2}, {3, 10}, {4, 20}, {5, 30}};
    const itr_array in = {x, ITR_I8, 1}; /* values are twice the mantissas */
    itr_metrics metrics;
    void *s = itc_eval_state_new(m);
    const float *acc = itc_eval_value(m, s, itc_value_find(g, "acc"));
    const float *w = itc_eval_value(m, s, itc_value_find(g, "w"));
    assert_int_equal(m->micro_batch, 2);
    assert_int_equal(m->step(s, &in, NULL, 5, &metrics), ITR_OK);
    assert_true(acc[0] == 30.0f && acc[1] == 114.0f); /* the 7 is gone: the first replaces */
    assert_true(w[0] == 10.0f - 15.0f && w[1] == 20.0f - 57.0f);
    assert_int_equal(metrics.samples, 5);
    assert_int_equal(m->run(s)->step, 1);
    assert_int_equal(m->step(s, &in, NULL, 1, &metrics), ITR_OK);
    assert_true(acc[0] == 2.0f && acc[1] == -2.0f);
    assert_true(w[0] == -5.0f - 1.0f && w[1] == -37.0f + 1.0f);
}

/* The new state has an exponent of its own, which moves with it. */
static const char moving[] =
    "itc 1\n"
    "graph @moving stage=memory opset=13 {\n"
    "  set batch = 2\n"
    "  set arith = \"int8\"\n"
    "  exponents = 2\n"
    "  arena = 64\n"
    "  input %x : i32[N] bits=31\n"
    "  param %w : i16[3] bits=15 e=@0 data=[100, -200, 300] * 2^-4 next=%new\n"
    "  update:\n"
    "    %new : i16[3] bits=15 e=@1 at=0 = Requant(%w) {coef=[0.5], bits=15, optimizer=1} "
    "#1.update\n"
    "}\n";

static void new_state_and_its_exponent_are_written_back(void **state)
{
    (void)state;
    itc_graph *g = parse(moving);
    const itr_model *m = model_of(g);
    const uint8_t x[2] = {0};
    const itr_array in = {x, ITR_U8, 0};
    itr_metrics metrics;
    void *s = itc_eval_state_new(m);
    const int16_t *w = itc_eval_value(m, s, itc_value_find(g, "w"));
    assert_int_equal(m->exponents(s)[0], -4);
    assert_int_equal(m->step(s, &in, NULL, 2, &metrics), ITR_OK);
    const int e = m->exponents(s)[0];
    for (int i = 0; i < 3; i++) {
        static const double halved[3] = {50.0 / 16, -100.0 / 16, 150.0 / 16};
        assert_true(ldexp(w[i], e) == halved[i]); /* no rounding: the mantissas are short */
    }
}

/* ---- a record kind that no pass makes yet ---- */

static void retries_run_while_their_flag_stands(void **state)
{
    (void)state;
    static const char counting[] = "itc 1\n"
                                   "graph @counting stage=memory opset=13 {\n"
                                   "  set batch = 1\n"
                                   "  set arith = \"int8\"\n"
                                   "  arena = 64\n"
                                   "  input %x : i32[N] bits=31\n"
                                   "  stat %left : i32[] data=[3]\n"
                                   "  stat %runs : i32[] data=[0]\n"
                                   "}\n";
    itc_graph *g = parse(counting);
    itc_value *left = itc_value_find(g, "left"), *runs = itc_value_find(g, "runs");
    itc_program *p = NULL;
    assert_int_equal(itc_program_new(g, &p), ITC_OK);
    itc_record_list body = {0};
    itc_emit *e = itc_emit_new(g);
    itc_emit_begin(e, NULL, &body);
    const itc_expr *x = itc_x_load(e, 0), *one = itc_x_const(e, 1);
    const itc_expr *down = itc_x(e, ITC_X_SUB, x, one, NULL);
    const itc_expr *up = itc_x(e, ITC_X_ADD, x, one, NULL);
    assert_int_equal(itc_emit_loop(e, NULL, left, 1, &left, down), ITC_OK);
    assert_int_equal(itc_emit_loop(e, NULL, runs, 1, &runs, up), ITC_OK);
    itc_record retry = {.kind = ITC_RECORD_RETRY, .value = left, .body = &body};
    itc_record *only = &retry;
    p->infer = (itc_record_list){&only, 1, 1};
    itr_model *m = NULL;
    assert_int_equal(itc_eval_model(p, &m), ITC_OK);
    void *s = itc_eval_state_new(m);
    const uint8_t zero = 0;
    const itr_array in = {&zero, ITR_U8, 0};
    assert_int_equal(m->infer(s, &in, 1, NULL), ITR_OK);
    assert_int_equal(*(const int32_t *)itc_eval_value(m, s, runs), 3);
    assert_int_equal(*(const int32_t *)itc_eval_value(m, s, left), 0);
}

/* ---- initial data ---- */

typedef struct buffer {
    unsigned char *bytes;
    size_t n, at;
} buffer;

static bool take(void *user, void *bytes, size_t n)
{
    buffer *b = user;
    if (b->n - b->at < n) {
        return false;
    }
    memcpy(bytes, b->bytes + b->at, n);
    b->at += n;
    return true;
}

static void initial_data_reads_back(void **state)
{
    (void)state;
    itc_graph *g = parse(moving);
    itc_program *p = NULL;
    itc_model_info *info = NULL;
    buffer b = {0};
    void *bytes = NULL;
    assert_int_equal(itc_program_new(g, &p), ITC_OK);
    assert_int_equal(itc_model_info_new(p, "moving", &info), ITC_OK);
    assert_int_equal(itc_initial_data(info, &bytes, &b.n), ITC_OK);
    b.bytes = bytes;
    const itr_model *m = model_of(g);
    void *s = itc_eval_state_new(m);
    int16_t *w = (int16_t *)(uintptr_t)itc_eval_value(m, s, itc_value_find(g, "w"));
    w[1] = 0;
    m->exponents(s)[0] = 0;
    assert_int_equal(m->init(s, take, &b), ITR_OK);
    assert_int_equal(b.at, b.n);
    assert_int_equal(w[1], -200);
    assert_int_equal(m->exponents(s)[0], -4);
    b.bytes[b.n - 40] ^= 1;
    b.at = 0;
    assert_int_equal(m->init(s, take, &b), ITR_IO);
}

static void the_body_has_a_comment_for_each_node(void **state)
{
    (void)state;
    itc_strbuf b;
    itc_strbuf_init(&b, ctx);
    assert_int_equal(itc_codegen_body(parse(linear), &b), ITC_OK);
    assert_non_null(strstr(b.text, "    /* y (MatMul) i32[N,2] e=@3 = @2 + @1 */\n"
                                   "    s->e[3] = s->e[2] + s->e[1];\n"
                                   "    s->k.gemm_i8i8i32(&(itr_gemm_args){\n"));
    assert_non_null(strstr(b.text, "    /* x.i8 (Requant) i8[N,3] e=@2  #1.fwd */\n"));
    assert_non_null(strstr(b.text, "        out_r[i] = itr_max_i32(out_y[i], 0);\n"));
}

static void graphs_that_are_not_placed_are_refused(void **state)
{
    (void)state;
    itc_graph *g = parse(linear);
    itc_program *p = NULL;
    g->stage = ITC_STAGE_PLAN;
    assert_int_equal(itc_program_new(g, &p), ITC_INTERNAL);
    assert_string_equal(itc_diag_get(ctx, 0)->id, "E0406");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(products_are_those_of_integers),
        TEST(calls_out_of_range_are_refused),
        TEST(a_step_sums_its_micro_batches),
        TEST(new_state_and_its_exponent_are_written_back),
        TEST(retries_run_while_their_flag_stands),
        TEST(initial_data_reads_back),
        TEST(the_body_has_a_comment_for_each_node),
        TEST(graphs_that_are_not_placed_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
