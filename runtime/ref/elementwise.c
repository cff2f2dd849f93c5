/**
 * Products, quotients and bounds of mantissas.
 * Shapes   `shape`, rank <= 8; operands by strides, 0 where they are broadcast
 * Units    product: e_a + e_b. Quotient: e_a - e_b - 23 (bytes), e_a - e_b - 40 (int16).
 *          Bounds: unchanged
 * Aliasing clip: y may be x or dy at the same address; else none
 * Source   ONNX Mul-14, Div-14, Clip-13; NUMERICS.md "Products and quotients"
 */
#include "../kernel.h"
#include "../numeric.h"

/** Runs `body` for each element o of the result, operands at elements ia and ib. */
#define FOR_EACH(a, ia, ib, o, body) \
    do { \
        int64_t at[ITR_MAX_RANK] = {0}, count = 1; \
        for (int32_t d = 0; d < (a)->rank; d++) { \
            count *= (a)->shape[d]; \
        } \
        int64_t ia = 0, ib = 0; \
        for (int64_t o = 0; o < count; o++) { \
            body; \
            for (int32_t d = (a)->rank - 1; d >= 0; d--) { \
                ia += (a)->stride_a[d]; \
                ib += (a)->stride_b[d]; \
                if (++at[d] < (a)->shape[d]) { \
                    break; \
                } \
                ia -= at[d] * (a)->stride_a[d]; \
                ib -= at[d] * (a)->stride_b[d]; \
                at[d] = 0; \
            } \
        } \
    } while (0)

#define MUL_KERNEL(types, A, B, Y) \
    void itr_mul_##types##_ref(const itr_binary_args *a) \
    { \
        const A *x = (const A *)a->a; \
        const B *z = (const B *)a->b; \
        Y *y = (Y *)a->y; \
        FOR_EACH(a, ia, ib, o, y[o] = (Y)((int32_t)x[ia] * (int32_t)z[ib])); \
    }

MUL_KERNEL(i8i8i16, int8_t, int8_t, int16_t)
MUL_KERNEL(i8i16i32, int8_t, int16_t, int32_t)
MUL_KERNEL(i16i16i32, int16_t, int16_t, int32_t)

/** floor(x / y + 1/2) for y != 0. */
static int64_t divide(int64_t x, int64_t y)
{
    if (y < 0) {
        x = -x;
        y = -y;
    }
    const int64_t twice = 2 * x + y, by = 2 * y;
    const int64_t q = twice / by;
    return q - (twice % by < 0);
}

/** A divisor of 0 counts as one unit: the quotient stays finite. */
#define DIV_KERNEL(types, A, Y, bits) \
    void itr_div_##types##_ref(const itr_binary_args *a) \
    { \
        const A *x = (const A *)a->a, *z = (const A *)a->b; \
        Y *y = (Y *)a->y; \
        FOR_EACH(a, ia, ib, o, \
                 y[o] = (Y)divide((int64_t)x[ia] * ((int64_t)1 << (bits)), z[ib] ? z[ib] : 1)); \
    }

DIV_KERNEL(i8i8i32, int8_t, int32_t, 23)
DIV_KERNEL(i16i16i64, int16_t, int64_t, 40)

/** A bound on x's grid, to nearest; false where there is none or no mantissa reaches it. */
static bool bound(int32_t m, int32_t e, int32_t e_x, int64_t limit, int64_t *out)
{
    if (e == INT32_MIN) {
        return false;
    }
    const int64_t s = (int64_t)e - e_x;
    if (s < 0) {
        *out = s < -62 ? 0 : itr_round_nearest(m, (int)-s);
    } else if (m == 0) {
        *out = 0;
    } else if (itr_bitlen64(itr_abs64(m)) + s > 32) {
        return false;
    } else {
        *out = itr_shl64(m, (int)s);
    }
    return *out >= -limit && *out <= limit;
}

#define CLIP_KERNELS(name, T, limit) \
    void itr_clip_##name##_ref(const itr_clip_args *a) \
    { \
        const T *x = (const T *)a->x; \
        T *y = (T *)a->y; \
        int64_t lo = -(limit), hi = (limit); \
        const bool low = bound(a->lo_m, a->lo_e, *a->e_x, limit, &lo); \
        const bool high = bound(a->hi_m, a->hi_e, *a->e_x, limit, &hi); \
        for (int64_t i = 0; i < a->n; i++) { \
            int64_t v = x[i]; \
            v = low && v < lo ? lo : v; \
            v = high && v > hi ? hi : v; \
            y[i] = (T)v; \
        } \
    } \
    void itr_clip_grad_##name##name##_ref(const itr_clip_args *a) \
    { \
        const T *x = (const T *)a->x, *dy = (const T *)a->dy; \
        T *y = (T *)a->y; \
        int64_t lo = 0, hi = 0; \
        const bool low = bound(a->lo_m, a->lo_e, *a->e_x, limit, &lo); \
        const bool high = bound(a->hi_m, a->hi_e, *a->e_x, limit, &hi); \
        for (int64_t i = 0; i < a->n; i++) { \
            y[i] = (low && x[i] <= lo) || (high && x[i] >= hi) ? (T)0 : dy[i]; \
        } \
    }

CLIP_KERNELS(i8, int8_t, 127)
CLIP_KERNELS(i16, int16_t, 32767)
