/*
 * The gradient of recurrent networks (support/grad_check.h says how).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/support/grad_check.h"

/* Parameters of `gates` x 2 hidden units, 3 inputs, in d directions. */
#define W(d, all) "par w [" d "," all ",3]; par r [" d "," all ",2];"

static void rnns(void **state)
{
    static const grad_case cases[] = {
        {.text = X("4,3") W("1", "2") "s = RNN(a, w, r) layout=1; y = Identity(s)"},
        {.text = X("4,3") W("1", "2") "par b [1,4]; y = RNN(a, w, r, b) layout=1"
                                      " direction=reverse"},
        {.text = X("3,3") W("2", "2") "t = Transpose(a) perm=1,0,2; s = RNN(t, w, r)"
                                      " direction=bidirectional activations=Tanh,Softsign;"
                                      "y = Transpose(s) perm=2,0,1,3"},
        {.text = X("3,3") W("1", "2") "in h [N,2]; ints k 1; i = Unsqueeze(h, k);"
                                      "y = RNN(a, w, r, _, _, i) layout=1 activations=Elu"
                                      " activation_alpha=0.5"},
        /* more steps than a sum has terms */
        {.text = X("11,3") W("1", "2") "s, y = RNN(a, w, r) layout=1; out s"},
    };
    RUN(cases)
}

static void grus(void **state)
{
    static const grad_case cases[] = {
        {.text = X("4,3") W("1", "6") "par b [1,12]; y = GRU(a, w, r, b) layout=1"},
        {.text = X("3,3") W("1", "6") "par b [1,12]; y = GRU(a, w, r, b) layout=1"
                                      " linear_before_reset=1"},
        {.text = X("3,3") W("2", "6") "in h [N,2,2]; y = GRU(a, w, r, _, _, h) layout=1"
                                      " direction=bidirectional"},
        {.text = X("3,3") W("1", "6") "par b [1,12]; in h [N,1,2]; s, y = GRU(a, w, r, b, _, h)"
                                      " layout=1 linear_before_reset=1 direction=reverse; out y"},
    };
    RUN(cases)
}

static void lstms(void **state)
{
    static const grad_case cases[] = {
        {.text = X("4,3") W("1", "8") "par b [1,16]; y = LSTM(a, w, r, b) layout=1"},
        {.text = X("3,3") W("1", "8") "par e [1,6]; y = LSTM(a, w, r, _, _, _, _, e) layout=1"},
        {.text = X("3,3") W("2", "8") "par b [2,16]; in h [N,2,2]; in c [N,2,2]; par e [2,6];"
                                      "y = LSTM(a, w, r, b, _, h, c, e) layout=1"
                                      " direction=bidirectional"},
        {.text = X("3,3") W("1", "8") "in c [N,1,2]; y = LSTM(a, w, r, _, _, _, c) layout=1"
                                      " input_forget=1 direction=reverse"},
        {.text = X("3,3") W("1", "8") "in c [N,1,2]; s, h, y = LSTM(a, w, r, _, _, _, c) layout=1"
                                      " clip=0.4; out y"},
        {.text = X("4,3") W("2", "8") "ids n [N] 1..5; in h [N,2,2]; y = LSTM(a, w, r, _, n, h)"
                                      " layout=1 direction=bidirectional"},
    };
    RUN(cases)
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rnns),
        cmocka_unit_test(grus),
        cmocka_unit_test(lstms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
