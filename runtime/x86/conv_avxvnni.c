/**
 * Convolutions for AVX-VNNI: operands of 8 bits (ref/conv.c says what they compute).
 */
#include "../cpu.h"

#ifdef ITR_X86
#ifdef ITR_AVXVNNI
#include "begin_avxvnni.h"

#include "tile_avxvnni.h"

#include "../tile/view.h"
#include "../tile/weight.h"

#define CONV_DIRECT 0
#define LEVEL(name) name##_avxvnni
#define BELOW(name) name##_avx2
#include "../tile/conv.h"

#include "end.h"
#else
#define SAME(name)                                                                                 \
    void itr_##name##_avxvnni(const itr_conv_args *a)                                              \
    {                                                                                              \
        itr_##name##_avx2(a);                                                                      \
    }
SAME(conv_i8i8i32)
SAME(conv_i8i8i64)
SAME(conv_grad_input_i8i8i32)
SAME(conv_grad_input_i8i8i64)
SAME(conv_grad_weight_i8i8i32)
SAME(conv_grad_weight_i8i8i64)
#endif
#endif
