/**
 * The convolution kernels of a level; LEVEL(name) is the name of a kernel there. CONV_DIRECT is 1
 * where direct.h is included, CONV_WINDOW 1 where window.h and point_taps.h are; else,
 * and where that cannot, direct convolutions are left to the level whose names BELOW(name) makes.
 * What does not fit the buffers goes to the portable kernels.
 */

/* What parts of a gradient share: the result, and how many bytes its planes have. */
typedef struct conv_clear_job {
    unsigned char *y;
    int64_t plane;
} conv_clear_job;

static void conv_clear(void *user, int64_t begin, int64_t end)
{
    const conv_clear_job *j = (const conv_clear_job *)user;
    memset(j->y + begin * j->plane, 0, (size_t)((end - begin) * j->plane));
}

static bool conv_view(const itr_conv_args *a, const itr_conv_view *v, tile_type t)
{
#if CONV_DIRECT
    if (direct_run(a, v, 1, t)) {
        return true;
    }
#endif
#if CONV_WINDOW
    if (!t.out64 && (point_run(a, v) || taps_run(a, v) || rows_run(a, v))) {
        return true;
    }
#endif
    return view_run(a, v, t);
}

static bool conv_forward(const itr_conv_args *a, tile_type t)
{
    const itr_conv_view v = itr_conv_forward(a);
    t.stream = tile_streams(a->n * a->m * a->oh * a->ow);
    return conv_view(a, &v, t);
}

#if CONV_DIRECT
/** Phases of a direct convolution go together: one after the other, each would read and write the
 * whole result. False: it is not for this. */
static bool conv_direct_phases(const itr_conv_args *a, tile_type t)
{
    itr_conv_view v[DIRECT_PHASES];
    int count = 0;
    if ((int64_t)a->stride_h * a->stride_w > DIRECT_PHASES || a->h < a->stride_h ||
        a->w < a->stride_w || a->n == 0) {
        return false;
    }
    for (int y = 0; y < a->stride_h; y++) {
        for (int x = 0; x < a->stride_w; x++) {
            v[count++] = itr_conv_gradient(a, y, x);
            if (v[count - 1].y.taps * v[count - 1].x.taps == 0) {
                return false;
            }
        }
    }
    return direct_run(a, v, count, t);
}
#endif

/**
 * The gradient for the input, one phase of the strides after the other. Phases that no tap reaches
 * are zero. False: too many taps for the buffers.
 */
static bool conv_grad_input(const itr_conv_args *a, tile_type t)
{
    conv_clear_job job = {(unsigned char *)a->y, a->h * a->w * (t.out64 ? 8 : 4)};
    bool clear = false, done = true;
    t.stream = tile_streams(a->n * a->c * a->h * a->w);
#if CONV_DIRECT
    if (conv_direct_phases(a, t)) {
        return true;
    }
#endif
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t i = 0; i < (int64_t)a->stride_h * a->stride_w && done; i++) {
            const int64_t py = i / a->stride_w, px = i % a->stride_w;
            if (py >= a->h || px >= a->w) {
                continue;
            }
            const itr_conv_view v = itr_conv_gradient(a, py, px);
            const bool empty = v.y.taps * v.x.taps == 0;
            clear = clear || empty;
            done = pass == 0 || empty || conv_view(a, &v, t);
        }
        if (pass == 0 && clear) {
            itr_parallel(a->pool, a->n * a->c, 1, conv_clear, &job);
        }
    }
    return done;
}

/** With single taps, each position with itself, a plane is as good as one line. */
static itr_conv_args conv_flat(const itr_conv_args *a)
{
    itr_conv_args b = *a;
    if (a->kh * a->kw * a->stride_h * a->stride_w == 1 && a->pad_top == 0 && a->pad_left == 0 &&
        a->oh == a->h && a->ow == a->w) {
        b.w = b.ow = a->h * a->w;
        b.h = b.oh = 1;
    }
    return b;
}

static bool conv_grad_weight(const itr_conv_args *a, tile_type t)
{
#if CONV_DIRECT
    if (direct_weight_run(a, t)) {
        return true;
    }
#endif
    const itr_conv_args flat = conv_flat(a);
#if CONV_WINDOW
    if (product_is_better(a) && window_grad_weight(a, t)) {
        return true;
    }
#endif
    return weight_run(&flat, t);
}

#if CONV_DIRECT
#define CONV_ELSEWHERE(name, what, a, t) false
#elif CONV_WINDOW
#define CONV_ELSEWHERE(name, what, a, t)                                                           \
    (tile_is_direct(a) && (window_##what(a, t) || (BELOW(name)(a), true)))
#else
#define CONV_ELSEWHERE(name, what, a, t) (tile_is_direct(a) && (BELOW(name)(a), true))
#endif

#define DEFINE_KERNEL(name, what, is16, is64)                                                      \
    void LEVEL(name)(const itr_conv_args *a)                                                       \
    {                                                                                              \
        const tile_type t = {.in16 = (is16), .out64 = (is64)};                                     \
        if (!CONV_ELSEWHERE(name, what, a, t) && !conv_##what(a, t)) {                             \
            name##_ref(a);                                                                         \
        }                                                                                          \
    }
#define DEFINE_CONV(suffix, is16, is64)                                                            \
    DEFINE_KERNEL(itr_conv_##suffix, forward, is16, is64)                                          \
    DEFINE_KERNEL(itr_conv_grad_input_##suffix, grad_input, is16, is64)                            \
    DEFINE_KERNEL(itr_conv_grad_weight_##suffix, grad_weight, is16, is64)
DEFINE_CONV(i8i8i32, false, false)
DEFINE_CONV(i8i8i64, false, true)
#if TILE_16
DEFINE_CONV(i16i16i64, true, true)
#endif
