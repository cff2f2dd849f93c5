/*
 * Shapes and types of products and networks: each case is a node in ONNX's form, taken through the
 * shape pass.
 */
#include "tests/support/op_case.h"

static void recurrent(void **state)
{
    static const infer_case cases[] = {
        {"RNN", {"f32[5,N,3]", "f32[1,2,3]", "f32[1,2,2]"}, 0, "f32[5,1,N,2]", 0},
        {"GRU", {"f32[5,N,3]", "f32[1,6,3]", "f32[1,6,2]", "f32[1,12]"}, 0, "f32[5,1,N,2]", 0},
        {"LSTM", {"f32[N,5,3]", "f32[1,8,3]", "f32[1,8,2]"}, "layout=1", "f32[N,5,1,2]", 14},
        {"LSTM",
         {"f32[9,N,3]", "f32[2,8,3]", "f32[2,8,2]"},
         "direction=bidirectional",
         "f32[9,2,N,2]",
         0},
        {"GRU", {"f32[5,N,3]", "f32[1,6,3]", "f32[1,6,2]", "", "i64[N]"}, 0, "f32[5,1,N,2]", 0},
        {"RNN", {"f32[5,N,3]", "f32[1,2,3]", "f32[1,2,2]"}, "activations=RELU", "f32[5,1,N,2]", 0},
        {"RNN", {"f32[N,5,3]", "f32[1,2,3]", "f32[1,2,2]"}, 0, "E0224", 0},
        {"RNN", {"f32[5000,N,3]", "f32[1,2,3]", "f32[1,2,2]"}, 0, "E0224", 0},
        {"RNN", {"f32[N,3]", "f32[1,2,3]", "f32[1,2,2]"}, 0, "E0203", 0},
        {"RNN", {"f32[5,N,3]", "f32[1,2,3]", "f32[2,2]"}, 0, "E0203", 0},
        {"RNN", {"f32[5,N,3]", "f32[1,2,4]", "f32[1,2,2]"}, 0, "E0220", 0},
        {"RNN", {"f32[5,N,3]", "f32[2,2,3]", "f32[1,2,2]"}, 0, "E0220", 0},
        {"GRU", {"f32[5,N,3]", "f32[1,2,3]", "f32[1,2,2]"}, 0, "E0220", 0},
        {"GRU", {"f32[5,N,3]", "f32[1,6,3]", "f32[1,6,2]", "f32[1,6]"}, 0, "E0220", 0},
        {"GRU", {"f32[5,N,3]", "f32[1,6,3]", "f32[1,6,2]", "", "i64[4]"}, 0, "E0220", 0},
        {"RNN", {"f32[5,N,3]", "f32[1,2,3]", "f32[1,2,2]"}, "direction=both", "E0221", 0},
        {"RNN", {"f32[5,N,3]", "f32[1,2,3]", "f32[1,2,2]"}, "activations=Sine", "E0221", 0},
        {"RNN", {"f32[5,N,3]", "f32[1,2,3]", "f32[1,2,2]"}, "activations=Tanh,Tanh", "E0221", 0},
        {"GRU", {"f32[5,N,3]", "f32[1,6,3]", "f32[1,6,2]"}, "activations=Tanh", "E0221", 0},
    };
    CHECK_CASES(cases)
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recurrent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
