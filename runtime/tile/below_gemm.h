/**
 * Matrix products of a level that the compiler does not know: those of the level below. LEVEL(name)
 * and BELOW(name) are the names of a kernel at both.
 */
#define SAME(name)                                                                                 \
    void LEVEL(name)(const itr_gemm_args *a)                                                       \
    {                                                                                              \
        BELOW(name)(a);                                                                            \
    }
SAME(itr_gemm_i8i8i32)
SAME(itr_gemm_i8i8i64)
#undef SAME
