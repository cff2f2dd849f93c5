/* Variants of pooling, of products and quotients, and of bounds. */
#include "variants.h"

enum { ROOM = 1 << 15 };

static unsigned char x[ROOM * 2], b[ROOM * 2];
static int32_t index_of[2][ROOM];

/** Bytes of an element of the result: the kernel's name ends with its type. */
static size_t width_of(const char *kernel)
{
    return (size_t)atoi(strrchr(kernel, 'i') + 1) / 8;
}

static int64_t windows(int64_t n, int32_t pads, int32_t taps, int32_t dilation, int32_t stride)
{
    const int64_t room = n + pads - ((taps - 1) * dilation + 1);
    return room < 0 ? 0 : room / stride + 1;
}

static void pool(const variant *v)
{
    const bool in16 = strstr(v->kernel, "_i16") != NULL, grad = strstr(v->kernel, "grad") != NULL;
    const int32_t most = random_in(0, 1) ? 2 : 0;
    itr_pool_args a = {.x = x,
                       .planes = random_in(1, 40),
                       .h = random_in(1, 24),
                       .w = random_in(1, 24),
                       .kh = (int32_t)random_in(1, 4),
                       .kw = (int32_t)random_in(1, 4),
                       .stride_h = (int32_t)random_in(1, 3),
                       .stride_w = (int32_t)random_in(1, 3),
                       .dilation_h = (int32_t)random_in(1, 2),
                       .dilation_w = (int32_t)random_in(1, 2),
                       .pad_top = (int32_t)random_in(0, most),
                       .pad_left = (int32_t)random_in(0, most),
                       .pad_bottom = (int32_t)random_in(0, most),
                       .pad_right = (int32_t)random_in(0, most),
                       .count_include_pad = (int32_t)random_in(0, 1)};
    if (random_in(0, 3) == 0) { /* the usual halving */
        a.kh = a.kw = a.stride_h = a.stride_w = 2;
        a.dilation_h = a.dilation_w = 1;
        a.h += a.h == 1;
        a.w += a.w == 1;
        a.pad_top = a.pad_left = a.pad_bottom = a.pad_right = 0;
    }
    a.oh = windows(a.h, a.pad_top + a.pad_bottom, a.kh, a.dilation_h, a.stride_h);
    a.ow = windows(a.w, a.pad_left + a.pad_right, a.kw, a.dilation_w, a.stride_w);
    random_fill(x, (size_t)(a.planes * (grad ? a.oh * a.ow : a.h * a.w)), in16,
                (data)random_in(0, 2));
    const size_t width = width_of(v->kernel);
    const size_t n = (size_t)(a.planes * (grad ? a.h * a.w : a.oh * a.ow));
    variant_compare(v, &a, &a.y, &a.pool, n * width);
    if (strstr(v->kernel, "maxpool")) { /* with the places of the maxima */
        buffer y = buffer_new(n * width, 0);
        a.pool = NULL;
        a.y = y.at;
        memset(index_of, 0, sizeof index_of);
        for (int k = 0; k < 2; k++) {
            a.index = index_of[k];
            ((any_call)(k ? v->run : v->ref))(&a);
        }
        assert_memory_equal(index_of[0], index_of[1], sizeof index_of[0]);
        buffer_free(&y);
    }
}

static void maxpool_grad(const variant *v)
{
    itr_maxpool_grad_args a = {.dy = x,
                               .index = index_of[0],
                               .planes = random_in(1, 40),
                               .plane_in = random_in(1, 500),
                               .plane_out = random_in(1, 500)};
    const int64_t n = a.planes * a.plane_out;
    random_fill(x, (size_t)n, strstr(v->kernel, "i16") != NULL, (data)random_in(0, 2));
    for (int64_t i = 0; i < n; i++) {
        index_of[0][i] = (int32_t)random_in(-1, a.plane_in - 1);
    }
    variant_compare(v, &a, &a.dx, &a.pool, (size_t)(a.planes * a.plane_in) * 4);
}

static void binary(const variant *v)
{
    itr_binary_args a = {.a = x, .b = b, .rank = 3};
    itr_pool *none = NULL;
    int64_t step[2] = {1, 1}, n = 1;
    for (int i = 2; i >= 0; i--) {
        a.shape[i] = random_in(1, i == 2 ? 200 : 9);
        n *= a.shape[i];
        for (int k = 0; k < 2; k++) {
            const bool repeats = random_in(0, 3) == 0;
            (k ? a.stride_b : a.stride_a)[i] = repeats ? 0 : step[k];
            step[k] *= repeats ? 1 : a.shape[i];
        }
    }
    random_fill(x, (size_t)step[0], strstr(v->kernel, "_i16") != NULL, (data)random_in(0, 2));
    random_fill(b, (size_t)step[1], strstr(v->kernel, "i16i") != NULL, (data)random_in(0, 2));
    variant_compare(v, &a, &a.y, &none, (size_t)n * width_of(v->kernel));
}

static void clip(const variant *v)
{
    const bool in16 = strstr(v->kernel, "i16") != NULL;
    const int32_t e_x = (int32_t)random_in(-20, 0);
    itr_clip_args a = {.x = x,
                       .dy = b,
                       .e_x = &e_x,
                       .n = random_in(1, random_in(0, 3) ? 500 : ROOM),
                       .lo_m = (int32_t)random_in(-200, 100),
                       .hi_m = (int32_t)random_in(-100, 200),
                       .lo_e = random_in(0, 4) ? e_x + (in16 ? 8 : 0) : INT32_MIN,
                       .hi_e = random_in(0, 4) ? e_x + (in16 ? 8 : 0) : INT32_MIN};
    random_fill(x, (size_t)a.n, in16, (data)random_in(0, 2));
    random_fill(b, (size_t)a.n, in16, (data)random_in(0, 2));
    variant_compare(v, &a, &a.y, &a.pool, (size_t)a.n * (in16 ? 2 : 1));
}

static void variants_equal_ref(void **state)
{
    (void)state;
    static const struct {
        const char *args;
        void (*check)(const variant *v);
    } table[] = {
        {"pool", pool}, {"maxpool_grad", maxpool_grad}, {"binary", binary}, {"clip", clip}};
    variant v;
    for (int i = 0; variant_at(i, &v); i++) {
        for (size_t k = 0; k < sizeof table / sizeof table[0]; k++) {
            for (int n = 0; n < 100 && strcmp(v.args, table[k].args) == 0; n++) {
                table[k].check(&v);
            }
        }
    }
}

int main(void)
{
    random_start(5);
    const struct CMUnitTest tests[] = {cmocka_unit_test(variants_equal_ref)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
