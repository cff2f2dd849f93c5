/**
 * Matrix products, batched: y[b] = op(A[b]) op(B[b]).
 *
 * Shapes   op(A) m x k (A is k x m where trans_a), op(B) k x n (B is n x k where trans_b), y m x n;
 *          matrix b of A starts at b * stride_a elements, of B at b * stride_b, of y at b * m * n
 * Units    e_y = e_a + e_b
 * Range    exact; i8i8i32: |m| <= 127 and k <= 133144, since 127 * 127 * k < 2^31 (the plan proves
 *          it); i8i8i64: sums of 32 bits over at most 128 products, spilled to 64 bits;
 *          i16i16i64: |m| <= 32767, see dot.h
 * Aliasing y overlaps nothing
 * Source   ONNX MatMul-13, Gemm-13; NUMERICS.md, "Accumulators"
 */
#include "dot.h"

/** `rows` rows of k elements from x, where neighbours in k are `step` elements apart. */
#define DEFINE_PACK(name, type)                                                                    \
    static void name(int16_t(*to)[ITR_DOT_K], const type *x, int rows, int k, int64_t row,         \
                     int64_t step)                                                                 \
    {                                                                                              \
        if (step == 1) {                                                                           \
            for (int r = 0; r < rows; r++) {                                                       \
                const type *from = x + r * row;                                                    \
                for (int i = 0; i < k; i++) {                                                      \
                    to[r][i] = from[i];                                                            \
                }                                                                                  \
            }                                                                                      \
            return;                                                                                \
        }                                                                                          \
        for (int i = 0; i < k; i++) {                                                              \
            const type *from = x + i * step;                                                       \
            for (int r = 0; r < rows; r++) {                                                       \
                to[r][i] = from[r * row];                                                          \
            }                                                                                      \
        }                                                                                          \
    }
DEFINE_PACK(pack_i8, int8_t)
DEFINE_PACK(pack_i16, int16_t)

/** A matrix operand: rows are what the tile calls rows, k runs along them. */
typedef struct operand {
    const void *x;
    int64_t row, step;
} operand;

static void pack(int16_t (*to)[ITR_DOT_K], const operand *o, bool in16, int64_t r0, int rows,
                 int64_t k0, int k)
{
    const int64_t at = r0 * o->row + k0 * o->step;
    if (in16) {
        pack_i16(to, (const int16_t *)o->x + at, rows, k, o->row, o->step);
    } else {
        pack_i8(to, (const int8_t *)o->x + at, rows, k, o->row, o->step);
    }
}

static void multiply(const itr_gemm_args *g, itr_dot_type t, const operand *a, const operand *b,
                     unsigned char *y)
{
    const int64_t size = t.out64 ? 8 : 4;
    const int64_t height = itr_dot_rows(t);
    int64_t at[ITR_DOT_COLS];
    itr_dot d;
    for (int64_t j0 = 0; j0 < g->n; j0 += ITR_DOT_COLS) {
        const int cols = (int)(g->n - j0 < ITR_DOT_COLS ? g->n - j0 : ITR_DOT_COLS);
        for (int c = 0; c < cols; c++) {
            at[c] = j0 + c;
        }
        for (int64_t k0 = 0; k0 == 0 || k0 < g->k; k0 += ITR_DOT_K) {
            const int k = (int)(g->k - k0 < ITR_DOT_K ? g->k - k0 : ITR_DOT_K);
            pack(d.b, b, t.in16, j0, cols, k0, k);
            itr_dot_finish_b(&d, cols, k);
            for (int64_t i0 = 0; i0 < g->m; i0 += height) {
                const int rows = (int)(g->m - i0 < height ? g->m - i0 : height);
                pack(d.a, a, t.in16, i0, rows, k0, k);
                itr_dot_finish_a(&d, t, rows, k);
                itr_dot_run(&d, t, rows, cols, k);
                itr_dot_store(&d, t, rows, cols, y + i0 * g->n * size, g->n, at, k0 == 0);
            }
        }
    }
}

static void gemm(const itr_gemm_args *g, itr_dot_type t)
{
    const int64_t in = t.in16 ? 2 : 1, out = t.out64 ? 8 : 4;
    for (int64_t i = 0; i < g->batch; i++) {
        const operand a = {(const unsigned char *)g->a + i * g->stride_a * in,
                           g->trans_a ? 1 : g->k, g->trans_a ? g->m : 1};
        const operand b = {(const unsigned char *)g->b + i * g->stride_b * in,
                           g->trans_b ? g->k : 1, g->trans_b ? 1 : g->n};
        multiply(g, t, &a, &b, (unsigned char *)g->y + i * g->m * g->n * out);
    }
}

void itr_gemm_i8i8i32_ref(const itr_gemm_args *a)
{
    gemm(a, (itr_dot_type){.in16 = false, .out64 = false});
}

void itr_gemm_i8i8i64_ref(const itr_gemm_args *a)
{
    gemm(a, (itr_dot_type){.in16 = false, .out64 = true});
}

void itr_gemm_i16i16i64_ref(const itr_gemm_args *a)
{
    gemm(a, (itr_dot_type){.in16 = true, .out64 = true});
}
