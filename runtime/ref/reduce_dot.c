/**
 * Sums of products over axes.
 *
 * Shapes   a and b by strides over `shape` (0 repeats); y the axes whose bit of reduce_mask is 0,
 *          dense (a sum over no element is 0)
 * Units    e_y = e_a + e_b
 * Range    exact; for an i32 result the plan proves count * limit_a * limit_b < 2^31
 * Aliasing y overlaps nothing
 * Source   the gradient of ONNX Mul-14 with broadcasting; NUMERICS.md, "Accumulators"
 */
#include "../kernel.h"

/** Products that are worth a thread; sums that are added up side by side, so that operands are
 * read as they lie in memory. */
enum { GRAIN = 16384, TILE = 128 };

/** Loops over some axes; axis 0 is the fastest. */
typedef struct loops {
    int n;
    int64_t size[ITR_MAX_RANK], a_step[ITR_MAX_RANK], b_step[ITR_MAX_RANK], at[ITR_MAX_RANK];
    int64_t a, b;
} loops;

static void push(loops *l, int64_t size, int64_t a, int64_t b)
{
    const int last = l->n - 1;
    if (last >= 0 && a == l->size[last] * l->a_step[last] && b == l->size[last] * l->b_step[last]) {
        l->size[last] *= size;
        return;
    }
    l->size[l->n] = size;
    l->a_step[l->n] = a;
    l->b_step[l->n] = b;
    l->at[l->n++] = 0;
}

static bool next(loops *l, int from)
{
    for (int i = from; i < l->n; i++) {
        l->a += l->a_step[i];
        l->b += l->b_step[i];
        if (++l->at[i] < l->size[i]) {
            return true;
        }
        l->a -= l->a_step[i] * l->size[i];
        l->b -= l->b_step[i] * l->size[i];
        l->at[i] = 0;
    }
    return false;
}

/** How many places the axes have; at least 0. */
static int64_t places(const loops *l)
{
    int64_t n = 1;
    for (int i = 0; i < l->n; i++) {
        n *= l->size[i];
    }
    return n;
}

/** Goes to place `index`. */
static void seek(loops *l, int64_t index)
{
    l->a = l->b = 0;
    for (int i = 0; i < l->n; i++) {
        l->at[i] = index % l->size[i];
        l->a += l->at[i] * l->a_step[i];
        l->b += l->at[i] * l->b_step[i];
        index /= l->size[i];
    }
}

/** Axes that are kept and axes that are summed. False: y has no element. */
static bool loops_of(const itr_reduce_dot_args *v, loops *kept, loops *summed, bool *nothing)
{
    *nothing = false;
    kept->n = summed->n = 0;
    kept->a = kept->b = summed->a = summed->b = 0;
    for (int i = v->rank - 1; i >= 0; i--) {
        const bool sum = (v->reduce_mask >> i & 1) != 0;
        if (v->shape[i] == 0) {
            *nothing = true;
            if (!sum) {
                return false;
            }
        }
        if (v->shape[i] != 1) {
            push(sum ? summed : kept, v->shape[i], v->stride_a[i], v->stride_b[i]);
        }
    }
    if (summed->n == 0) {
        push(summed, 1, 0, 0);
    }
    return true;
}

/** A sum over the innermost summed axis, in blocks of 2^16 / (width of an operand) products. */
#define DEFINE_DOT(name, type_a, type_b, type_y, type_part, block)                                 \
    static int64_t name##_run(const type_a *a, const type_b *b, int64_t n, int64_t sa, int64_t sb) \
    {                                                                                              \
        int64_t sum = 0;                                                                           \
        for (int64_t i = 0; i < n; i += (block)) {                                                 \
            const int64_t end = n - i < (block) ? n : i + (block);                                 \
            type_part part = 0;                                                                    \
            if (sa == 1 && sb == 1) {                                                              \
                for (int64_t j = i; j < end; j++) {                                                \
                    part += (type_part)a[j] * b[j];                                                \
                }                                                                                  \
            } else {                                                                               \
                for (int64_t j = i; j < end; j++) {                                                \
                    part += (type_part)a[j * sa] * b[j * sb];                                      \
                }                                                                                  \
            }                                                                                      \
            sum += part;                                                                           \
        }                                                                                          \
        return sum;                                                                                \
    }                                                                                              \
    static void name##_part(void *user, int64_t begin, int64_t end)                                \
    {                                                                                              \
        const itr_reduce_dot_args *v = (const itr_reduce_dot_args *)user;                          \
        loops kept, summed;                                                                        \
        bool nothing = false;                                                                      \
        type_y *y = (type_y *)v->y;                                                                \
        loops_of(v, &kept, &summed, &nothing);                                                     \
        for (int64_t i = begin; i < end; i += TILE) {                                              \
            const int64_t n = end - i < TILE ? end - i : TILE;                                     \
            int64_t sum[TILE] = {0};                                                               \
            do {                                                                                   \
                seek(&kept, i);                                                                    \
                for (int64_t j = 0; j < n && !nothing; j++) {                                      \
                    sum[j] += name##_run((const type_a *)v->a + kept.a + summed.a,                 \
                                         (const type_b *)v->b + kept.b + summed.b, summed.size[0], \
                                         summed.a_step[0], summed.b_step[0]);                      \
                    next(&kept, 0);                                                                \
                }                                                                                  \
            } while (next(&summed, 1));                                                            \
            for (int64_t j = 0; j < n; j++) {                                                      \
                y[i + j] = (type_y)sum[j];                                                         \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    void ITR_KERNEL(reduce_dot_##name)(const itr_reduce_dot_args *v)                               \
    {                                                                                              \
        itr_reduce_dot_args own = *v;                                                              \
        loops kept, summed;                                                                        \
        bool nothing = false;                                                                      \
        if (loops_of(v, &kept, &summed, &nothing)) {                                               \
            itr_parallel(v->pool, places(&kept), 1 + GRAIN / (1 + places(&summed)), name##_part,   \
                         &own);                                                                    \
        }                                                                                          \
    }
DEFINE_DOT(i8i8i32, int8_t, int8_t, int32_t, int32_t, 65536)
DEFINE_DOT(i8i8i64, int8_t, int8_t, int64_t, int32_t, 65536)
DEFINE_DOT(i8i16i64, int8_t, int16_t, int64_t, int32_t, 512)
DEFINE_DOT(i16i16i64, int16_t, int16_t, int64_t, int64_t, 65536)
