/**
 * Matrix products of the float32 trainer; shapes as in gemm.c. Accumulated in double over k in
 * ascending order, then rounded to float once.
 */
#include "../kernel.h"

enum { ROWS = 4, COLS = 16 };

typedef struct operand {
    const float *x;
    int64_t row, step; /**< op(A): between rows and along k; op(B): between columns and along k */
} operand;

/** A tile of at most ROWS x COLS; missing rows and columns repeat the last one. */
static void tile(const itr_gemm_args *g, const operand *a, const operand *b, int64_t i0, int64_t j0,
                 float *y)
{
    const int rows = (int)(g->m - i0 < ROWS ? g->m - i0 : ROWS);
    const int cols = (int)(g->n - j0 < COLS ? g->n - j0 : COLS);
    double sum[ROWS][COLS] = {{0}};
    const float *ra[ROWS];
    for (int r = 0; r < ROWS; r++) {
        ra[r] = a->x + (i0 + (r < rows ? r : rows - 1)) * a->row;
    }
    for (int64_t k = 0; k < g->k; k++) {
        const float *rb = b->x + j0 * b->row + k * b->step;
        double col[COLS] = {0};
        if (b->row == 1 && cols == COLS) {
            for (int c = 0; c < COLS; c++) {
                col[c] = (double)rb[c];
            }
        } else {
            for (int c = 0; c < cols; c++) {
                col[c] = (double)rb[c * b->row];
            }
        }
        for (int r = 0; r < ROWS; r++) {
            const double v = (double)ra[r][k * a->step];
            for (int c = 0; c < COLS; c++) {
                sum[r][c] += v * col[c];
            }
        }
    }
    for (int r = 0; r < rows; r++) {
        for (int c = 0; c < cols; c++) {
            y[(i0 + r) * g->n + j0 + c] = (float)sum[r][c];
        }
    }
}

void itr_gemm_f32_ref(const itr_gemm_args *g)
{
    for (int64_t i = 0; i < g->batch; i++) {
        const operand a = {(const float *)g->a + i * g->stride_a, g->trans_a ? 1 : g->k,
                           g->trans_a ? g->m : 1};
        const operand b = {(const float *)g->b + i * g->stride_b, g->trans_b ? g->k : 1,
                           g->trans_b ? 1 : g->n};
        for (int64_t j0 = 0; j0 < g->n; j0 += COLS) {
            for (int64_t i0 = 0; i0 < g->m; i0 += ROWS) {
                tile(g, &a, &b, i0, j0, (float *)g->y + i * g->m * g->n);
            }
        }
    }
}
