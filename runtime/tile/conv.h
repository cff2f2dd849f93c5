/**
 * The convolution kernels of a level; LEVEL(name) is the name of a kernel there. What does not fit
 * the buffers goes to the portable kernels.
 */
/* What two parts of a gradient share: which result, and how long its planes are in bytes. */
typedef struct conv_clear_job {
    unsigned char *y;
    int64_t plane;
} conv_clear_job;

static void conv_clear(void *user, int64_t begin, int64_t end)
{
    const conv_clear_job *j = (const conv_clear_job *)user;
    memset(j->y + begin * j->plane, 0, (size_t)((end - begin) * j->plane));
}

/**
 * The gradient for the input, one phase of the strides after the other. Phases that no tap reaches
 * are zero. False: too many taps for the buffers.
 */
static bool conv_grad_input(const itr_conv_args *a, tile_type t)
{
    conv_clear_job job = {(unsigned char *)a->y, a->h * a->w * (t.out64 ? 8 : 4)};
    bool clear = false, done = true;
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t i = 0; i < (int64_t)a->stride_h * a->stride_w && done; i++) {
            const int64_t py = i / a->stride_w, px = i % a->stride_w;
            if (py >= a->h || px >= a->w) {
                continue;
            }
            const itr_conv_view v = itr_conv_gradient(a, py, px);
            const bool empty = v.y.taps * v.x.taps == 0;
            clear = clear || empty;
            done = pass == 0 || empty || view_run(a, &v, t);
        }
        if (pass == 0 && clear) {
            itr_parallel(a->pool, a->n * a->c, 1, conv_clear, &job);
        }
    }
    return done;
}

#define DEFINE_CONV(suffix, is16, is64)                                                            \
    void LEVEL(itr_conv_##suffix)(const itr_conv_args *a)                                          \
    {                                                                                              \
        const itr_conv_view v = itr_conv_forward(a);                                               \
        if (!view_run(a, &v, (tile_type){.in16 = (is16), .out64 = (is64)})) {                      \
            itr_conv_##suffix##_ref(a);                                                            \
        }                                                                                          \
    }                                                                                              \
    void LEVEL(itr_conv_grad_input_##suffix)(const itr_conv_args *a)                               \
    {                                                                                              \
        if (!conv_grad_input(a, (tile_type){.in16 = (is16), .out64 = (is64)})) {                   \
            itr_conv_grad_input_##suffix##_ref(a);                                                 \
        }                                                                                          \
    }                                                                                              \
    void LEVEL(itr_conv_grad_weight_##suffix)(const itr_conv_args *a)                              \
    {                                                                                              \
        if (!weight_run(a, (tile_type){.in16 = (is16), .out64 = (is64)})) {                        \
            itr_conv_grad_weight_##suffix##_ref(a);                                                \
        }                                                                                          \
    }
DEFINE_CONV(i8i8i32, false, false)
DEFINE_CONV(i8i8i64, false, true)
#if TILE_16
DEFINE_CONV(i16i16i64, true, true)
#endif
#undef DEFINE_CONV
