/**
 * Convolutions of a level that the compiler does not know: those of the level below. LEVEL(name)
 * and BELOW(name) are the names of a kernel at both.
 */
#define SAME(name)                                                                                 \
    void LEVEL(name)(const itr_conv_args *a)                                                       \
    {                                                                                              \
        BELOW(name)(a);                                                                            \
    }
SAME(itr_conv_i8i8i32)
SAME(itr_conv_i8i8i64)
SAME(itr_conv_grad_input_i8i8i32)
SAME(itr_conv_grad_input_i8i8i64)
SAME(itr_conv_grad_weight_i8i8i32)
SAME(itr_conv_grad_weight_i8i8i64)
#undef SAME
