/**
 * Batch normalisation where it is delicate: a channel that is constant, one far from 0 with little
 * spread, both beside an ordinary one; a batch of one, down to a single element a channel.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/grad_check.h"
#include "tests/support/graph_builder.h"

/* Three channels, x * k + o + p; each channel's p is a tensor, so that it is compared by itself. */
#define CHANNELS(k, o, low_high)                                                                   \
    "in x [N,3,4,5]; const k [3,1,1] " k "; const o [3,1,1] " o ";"                                \
    "par p0 [1,4,5] " low_high "; par p1 [1,4,5]; par p2 [1,4,5];"                                 \
    "p = Concat(p0, p1, p2) axis=0; c = Mul(x, k); d = Add(c, o); a = Add(d, p);"                  \
    "par s [3] 0.5..1.5; par b [3]; const m [3] 0,0,0; const v [3] 1,1,1;"
#define NORM "BatchNormalization(a, s, b, m, v) training_mode=1"
/* the constant channel's larger scale meets a smaller gradient: one exponent holds all three */
#define BEHIND "; const g [3,1,1] 0.3,1,1; h = Mul(n, g); par q [3,4,5]; z = Mul(h, q); y = Tanh(z)"

/** Gradients with 1 row and with 3, in float32, int16 and int8, against differences in double. */
static void corners_have_the_gradient_of_the_formula(void **state)
{
    static const grad_case cases[] = {
        {.text = CHANNELS("0,1,1", "5,0,0", "0..0") "n = " NORM " epsilon=0.01" BEHIND},
        {.text = CHANNELS("0,1,1", "0,3,0", "0..0") "n = " NORM " epsilon=0.01" BEHIND},
        {.text = CHANNELS("1,1,1", "0,200,-64", "-0.5..0.5") "n = " NORM BEHIND},
        {.text = CHANNELS("0,1,1", "-300,250,0", "0..0") "n = " NORM " epsilon=0.01" BEHIND},
    };
    RUN(cases)
}

/**
 * A single element a channel: its variance is 0 and xhat 0 whatever it is, so that the output is
 * the bias and the scale has no gradient; the running statistics go towards the element and 0.
 */
static void one_element_a_channel(void **state)
{
    (void)state;
    gb_model *b =
        gb_new("in x [N,2] 3..3; par s [2] 1..1; par b [2] 0.5..0.5; const m [2] 1,2;"
               "const v [2] 4,8; par p [2] 0..0; a = Add(x, p);"
               "n, m1, v1 = BatchNormalization(a, s, b, m, v) training_mode=1 momentum=0.75;"
               "out n",
               3);
    double t[2], mean[2], var[2], s[2];
    gb_set(b, "batch=1 optimizer=sgd lr=1 arith=int8 loss=mse");
    gb_run_to(b, ITC_STAGE_MEMORY, NULL);
    gb_start(b);
    gb_read_port(&b->target[0], 2, t);
    gb_step(b, 1);
    const double loss = ((0.5 - t[0]) * (0.5 - t[0]) + (0.5 - t[1]) * (0.5 - t[1])) / 2;
    assert_true(fabs(ldexp((double)b->metrics.loss_q24, -24) - loss) <= 0.01 * loss);
    gb_read(b, gb_value(b, "m"), 2, mean);
    gb_read(b, gb_value(b, "v"), 2, var);
    gb_read(b, gb_value(b, "s"), 2, s);
    assert_true(fabs(mean[0] - (0.75 + 0.25 * 3)) < 0.02 && fabs(mean[1] - (1.5 + 0.75)) < 0.02);
    assert_true(fabs(var[0] - 3) < 1e-3 && fabs(var[1] - 6) < 1e-3);
    assert_true(s[0] == 1 && s[1] == 1);
    gb_close(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(corners_have_the_gradient_of_the_formula),
        cmocka_unit_test(one_element_a_channel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
