/** What the trainer counts when it is asked to watch: scores, statistics, profile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/host/profile.h"
#include "runtime/host/scores.h"
#include "runtime/host/stats.h"

/* A state that a test lays out itself. */
typedef struct state {
    itr_run run;
    int32_t e[4];
    int16_t w[6];
    int8_t y[8];
    int32_t dw[6];
    int16_t scores[12];
    float floats[12];
} state;

static const itr_tensor_info tensors[] = {
    {"w", ITR_PARAM, ITR_I16, 1, {6}, offsetof(state, w), 0, 1, 15, 2}};
static const itr_node_info nodes[] = {
    {"relu", "Requant", "y", "fwd", ITR_SECTION_FORWARD, ITR_I8, 7, true, 4, offsetof(state, y), 1},
    {"fc", "MatMul", "dw", "", ITR_SECTION_BACKWARD, ITR_I32, 0, false, 6, offsetof(state, dw), 2},
    {"loss", "CrossEntropy", "", "", ITR_SECTION_SCORE, ITR_I8, 0, false, 0, 0, -1}};

static char *read_text(const char *path)
{
    static char text[1 << 16];
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    return text;
}

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part)) {
        print_message("%s\nlacks %s\n", text, part);
        fail();
    }
}

/* ---- scores ---- */

/* Two samples of [2 outer, 3 classes, 1]: every position by hand. */
static void scores_count_rank_and_confusion(void **unused)
{
    (void)unused;
    static const itr_loss_info loss = {.node = 2,
                                       .axis = 3,
                                       .outer = 2,
                                       .inner = 1,
                                       .ignore_index = 2,
                                       .dtype = ITR_I16,
                                       .offset = offsetof(state, scores)};
    const itr_model model = {.losses = &loss, .loss_count = 1, .nodes = nodes, .node_count = 3};
    static const uint8_t ids[] = {0, 2, 1, 1};
    const itr_array target = {ids, ITR_U8, 0};
    itr_message m = {0};
    itr_scores s;
    state st = {
        .scores = {5, 5, -1, 0, 0, 9}}; /* of equal scores the first; the other is ignored */
    assert_int_equal(itr_scores_open(&s, &model, true, &m), 0);
    itr_scores_clear(&s);
    itr_scores_begin(&s, &target);
    itr_scores_after(&s, &st, 1); /* another node */
    itr_scores_after(&s, &st, 2);
    const int16_t second[] = {-3, -4, -32767, 7, 1, 7};
    memcpy(st.scores, second, sizeof second);
    itr_scores_after(&s, &st, 2);
    assert_int_equal(s.rows, 3);
    assert_int_equal(s.top, 3); /* of three classes each is among the best five */
    assert_int_equal(itr_scores_write(&s, "confusion.csv", &m), 0);
    assert_string_equal(read_text("confusion.csv"), "target,0,1,2\n0,1,0,0\n1,2,0,0\n2,0,0,0\n");
    itr_scores_free(&s);
}

/* Ranks of random scores in both number formats against a sort. */
static int by_value(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

static void scores_of_floats_rank_as_numbers(void **unused)
{
    (void)unused;
    static const itr_loss_info loss = {.node = 2,
                                       .axis = 12,
                                       .outer = 1,
                                       .inner = 1,
                                       .ignore_index = INT32_MIN,
                                       .dtype = ITR_F32,
                                       .offset = offsetof(state, floats)};
    const itr_model model = {.losses = &loss, .loss_count = 1, .nodes = nodes, .node_count = 3};
    itr_message m = {0};
    itr_scores s;
    int64_t want = 0;
    assert_int_equal(itr_scores_open(&s, &model, false, &m), 0);
    itr_scores_clear(&s);
    srand(3);
    for (int run = 0; run < 200; run++) {
        state st = {.e = {0}};
        float sorted[12];
        const int32_t id = rand() % 12;
        const itr_array target = {&id, ITR_I32, 0};
        for (int i = 0; i < 12; i++) {
            st.floats[i] = (float)ldexp(rand() % 2001 - 1000 + i / 16.0, rand() % 20 - 10);
        }
        memcpy(sorted, st.floats, sizeof sorted);
        qsort(sorted, 12, sizeof sorted[0], by_value);
        want += st.floats[id] >= sorted[4];
        itr_scores_begin(&s, &target);
        itr_scores_after(&s, &st, 2);
    }
    assert_int_equal(s.rows, 200);
    assert_int_equal(s.top, want);
    assert_in_range(want, 50, 120); /* 5 of 12 */
    itr_scores_free(&s);
    const itr_model none = {.loss_count = 0};
    assert_int_equal(itr_scores_open(&s, &none, false, &m), 2);
    assert_string_equal(m.id, "E0504");
}

/* ---- statistics ---- */

static char told[2048];

static void tell(void *user, const char *id, const char *text)
{
    (void)user;
    strcat(strcat(strcat(told, id), " "), text);
    strcat(told, "\n");
}

static const itr_model watched = {.name = "m",
                                  .arith = "int8",
                                  .tensors = tensors,
                                  .tensor_count = 1,
                                  .nodes = nodes,
                                  .node_count = 3};

static void stats_are_those_of_the_mantissas(void **unused)
{
    (void)unused;
    itr_message m = {0};
    itr_stats s;
    state st = {.e = {-10, -3, -20},
                .w = {100, -200, 0, 32767, -32767, 50},
                .y = {0, 127, -127, 1, 0, 0, 5, 3},
                .dw = {0, 0, 1000, -5, 0, 0}};
    assert_int_equal(itr_stats_open(&s, &watched, &st.run, "stats.jsonl", 10, false, &m), 0);
    itr_stats_begin(&s, &st, st.e, 9);
    assert_false(s.active);
    itr_stats_begin(&s, &st, st.e, 10);
    assert_true(s.active);
    itr_stats_after(&s, &st, st.e, 0, 2);
    itr_stats_after(&s, &st, st.e, 0, 1); /* a second, shorter micro-batch */
    itr_stats_after(&s, &st, st.e, 1, 1);
    /* the exponent grows: 100 -> 50, -200 -> -101, 0 -> 0, 32767 -> 16384, -32767 -> -16384 */
    const int16_t after[] = {50, -101, 0, 16384, -16384, 20};
    memcpy(st.w, after, sizeof after);
    st.e[0] = -9;
    assert_int_equal(itr_stats_end(&s, &st, st.e, 10, false, tell, NULL, &m), 0);
    assert_int_equal(itr_stats_close(&s, &m), 0);
    const char *text = read_text("stats.jsonl");
    assert_has(text, "{\"event\":\"stats-start\",\"model\":\"m\",\"arith\":\"int8\"");
    /* 12 elements: 0 127 -127 1 0 0 5 3 and 0 127 -127 1 */
    assert_has(text, "\"tensor\":\"y\",\"kind\":\"fwd\",\"node\":\"relu\",\"elements\":12,"
                     "\"exponent\":-3,\"top\":4,\"zeros\":0.333333,\"extremes\":0.333333}");
    /* changes on the finer grid: 0 2 0 1 1 10, of 100 + 200 + 2 * 32767 + 50 */
    assert_has(text, "\"tensor\":\"w\",\"kind\":\"param\",\"elements\":6,\"exponent\":-9,\"top\":6,"
                     "\"zeros\":0.166667,\"extremes\":0,\"update_ratio\":0.000212495,"
                     "\"moved\":0.666667,\"gradient_exponent\":-20,\"gradient_top\":-10}");
    itr_stats_free(&s);
}

static void observe(itr_stats *s, state *st, int64_t step, bool rate_is_zero)
{
    itr_message m = {0};
    itr_stats_begin(s, st, st->e, step);
    itr_stats_after(s, st, st->e, 0, 2);
    itr_stats_after(s, st, st->e, 1, 1);
    assert_int_equal(itr_stats_end(s, st, st->e, step, rate_is_zero, tell, NULL, &m), 0);
}

static void stats_warn_of_starving_and_growing(void **unused)
{
    (void)unused;
    itr_message m = {0};
    itr_stats s;
    state st = {.e = {-10, -3, -20}, .w = {1, 2, 3, 4, 5, 6}, .y = {64}, .dw = {7}};
    told[0] = 0;
    assert_int_equal(itr_stats_open(&s, &watched, &st.run, "warn.jsonl", 1, false, &m), 0);
    for (int step = 1; step < 20; step++) {
        observe(&s, &st, step, true); /* a learning rate of 0 starves nobody */
    }
    assert_string_equal(told, "");
    for (int step = 20; step < 30; step++) {
        observe(&s, &st, step, false);
    }
    assert_string_equal(told, "W0550 step 24: \"w\" starves: no element changed in the last 5 "
                              "observed steps: its updates round to nothing\n");
    told[0] = 0;
    st.e[1] = 12; /* 2^15 times as large */
    observe(&s, &st, 30, true);
    assert_string_equal(told, "");
    st.e[1] = 13;
    observe(&s, &st, 31, true);
    observe(&s, &st, 32, true);
    assert_string_equal(told, "W0551 step 31: the exponent of \"y\" runs away: values up to 2^20, "
                              "first up to 2^4\n");
    assert_has(read_text("warn.jsonl"), "{\"event\":\"warning\",\"step\":31,\"id\":\"W0551\"");
    itr_stats_free(&s);
}

static void stats_refuse_floats(void **unused)
{
    (void)unused;
    const itr_model model = {.name = "m", .arith = "float32", .nodes = nodes, .node_count = 3};
    const itr_run run = {.seed = 0};
    itr_message m = {0};
    itr_stats s;
    assert_int_equal(itr_stats_open(&s, &model, &run, "never.jsonl", 1, false, &m), 2);
    assert_string_equal(m.id, "E0503");
    itr_stats_free(&s);
}

/* ---- profile ---- */

static void profile_adds_up(void **unused)
{
    (void)unused;
    itr_message m = {0};
    itr_profile p;
    assert_int_equal(itr_profile_open(&p, &watched, "trace.json", &m), 0);
    for (int i = 0; i < 3; i++) {
        itr_profile_mark(&p);
        itr_profile_node(&p, 0);
        itr_profile_node(&p, 1);
        itr_profile_part_done(&p, ITR_PROFILE_STATE);
    }
    assert_int_equal(p.calls[0], 3);
    assert_int_equal(p.calls[2], 0);
    FILE *table = fopen("table", "w");
    itr_profile_print(&p, table);
    fclose(table);
    const char *text = read_text("table");
    assert_has(text, " 3 ");
    assert_has(text, "forward   Requant                relu\n");
    assert_has(text, "trainer                          state\n");
    assert_null(strstr(text, "CrossEntropy")); /* it did not run */
    assert_int_equal(itr_profile_close(&p, &m), 0);
    const char *trace = read_text("trace.json");
    assert_has(trace,
               "{\"name\":\"relu\",\"cat\":\"forward\",\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":");
    assert_has(trace, "\"args\":{\"op\":\"MatMul\"}}");
    itr_profile_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(scores_count_rank_and_confusion),
                                       cmocka_unit_test(scores_of_floats_rank_as_numbers),
                                       cmocka_unit_test(stats_are_those_of_the_mantissas),
                                       cmocka_unit_test(stats_warn_of_starving_and_growing),
                                       cmocka_unit_test(stats_refuse_floats),
                                       cmocka_unit_test(profile_adds_up)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
