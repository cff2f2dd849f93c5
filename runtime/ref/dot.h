/**
 * A tile of products over int16 operands: the inner part of the portable GEMM and convolutions.
 *
 * Operands are packed as rows of int16, so that the inner loop is the pattern that compilers turn
 * into multiply-add of pairs; a tile and its sums take 12 KiB of stack. Operands of 16 bits are
 * split on one side into a high and a low byte (x = 256 * high + low, 0 <= low <= 255), two rows of
 * the tile, so that ITR_DOT_K products fit 32 bits: 128 * 255 * 32767 < 2^31.
 */
#ifndef ITR_REF_DOT_H
#define ITR_REF_DOT_H

#include "../kernel.h"

#include <string.h>

enum {
    ITR_DOT_ROWS = 24,
    ITR_DOT_SPLIT = ITR_DOT_ROWS / 2, /**< rows of a tile of split operands */
    ITR_DOT_COLS = 16,
    ITR_DOT_K = 128,
    ITR_DOT_STEP = 16 /**< packed rows are padded with zeros to a multiple of it */
};

typedef struct itr_dot {
    int16_t a[ITR_DOT_ROWS][ITR_DOT_K];
    int16_t b[ITR_DOT_COLS][ITR_DOT_K];
    int32_t sum[ITR_DOT_ROWS][ITR_DOT_COLS];
} itr_dot;

/** How a kernel's operands and result are stored. */
typedef struct itr_dot_type {
    bool in16, out64;
} itr_dot_type;

static inline int itr_dot_rows(itr_dot_type t)
{
    return t.in16 ? ITR_DOT_SPLIT : ITR_DOT_ROWS;
}

static inline int itr_dot_padded(int k)
{
    return (k + ITR_DOT_STEP - 1) / ITR_DOT_STEP * ITR_DOT_STEP;
}

/** Zeros from k to the padded length in rows [0, rows), and in whole rows up to a multiple. */
static inline void itr_dot_pad(int16_t (*row)[ITR_DOT_K], int rows, int multiple, int k)
{
    const int padded = itr_dot_padded(k);
    for (int r = 0; r < rows && padded > k; r++) {
        memset(row[r] + k, 0, (size_t)(padded - k) * sizeof row[r][0]);
    }
    for (int r = rows; r % multiple != 0; r++) {
        memset(row[r], 0, (size_t)padded * sizeof row[r][0]);
    }
}

/** Rows [0, rows) of a into high (in place) and low bytes (ITR_DOT_SPLIT rows further down). */
static inline void itr_dot_split(itr_dot *d, int rows, int k)
{
    for (int r = 0; r < rows; r++) {
        int16_t *high = d->a[r], *low = d->a[r + ITR_DOT_SPLIT];
        for (int i = 0; i < k; i++) {
            const int16_t x = high[i];
            high[i] = (int16_t)(x >> 8);
            low[i] = (int16_t)(x & 255);
        }
    }
}

/** Finishes rows of a once they are packed. */
static inline void itr_dot_finish_a(itr_dot *d, itr_dot_type t, int rows, int k)
{
    if (t.in16) {
        itr_dot_split(d, rows, k);
        itr_dot_pad(d->a + ITR_DOT_SPLIT, rows, 2, k);
    }
    itr_dot_pad(d->a, rows, 2, k);
}

static inline void itr_dot_finish_b(itr_dot *d, int cols, int k)
{
    itr_dot_pad(d->b, cols, 4, k);
}

/** Two rows times four columns. */
static inline void itr_dot_2x4(int16_t (*a)[ITR_DOT_K], int16_t (*b)[ITR_DOT_K], int k,
                               int32_t *restrict y0, int32_t *restrict y1)
{
    const int16_t *a0 = a[0], *a1 = a[1], *b0 = b[0], *b1 = b[1], *b2 = b[2], *b3 = b[3];
    int32_t s00 = 0, s01 = 0, s02 = 0, s03 = 0, s10 = 0, s11 = 0, s12 = 0, s13 = 0;
    for (int i = 0; i < k; i++) {
        s00 += a0[i] * b0[i];
        s01 += a0[i] * b1[i];
        s02 += a0[i] * b2[i];
        s03 += a0[i] * b3[i];
        s10 += a1[i] * b0[i];
        s11 += a1[i] * b1[i];
        s12 += a1[i] * b2[i];
        s13 += a1[i] * b3[i];
    }
    y0[0] = s00;
    y0[1] = s01;
    y0[2] = s02;
    y0[3] = s03;
    y1[0] = s10;
    y1[1] = s11;
    y1[2] = s12;
    y1[3] = s13;
}

/** sum = a * b^T over k packed elements. */
static inline void itr_dot_run(itr_dot *d, itr_dot_type t, int rows, int cols, int k)
{
    const int padded = itr_dot_padded(k);
    for (int part = 0; part <= t.in16; part++) {
        const int r0 = part * ITR_DOT_SPLIT;
        for (int r = r0; r < r0 + rows; r += 2) {
            for (int c = 0; c < cols; c += 4) {
                itr_dot_2x4(d->a + r, d->b + c, padded, d->sum[r] + c, d->sum[r + 1] + c);
            }
        }
    }
}

/** Element (r, c) of the tile goes to y[r * row + at[c]]: written when `first`, else added. */
static inline void itr_dot_store(const itr_dot *d, itr_dot_type t, int rows, int cols, void *y,
                                 int64_t row, const int64_t *at, bool first)
{
    for (int r = 0; r < rows; r++) {
        const int32_t *sum = d->sum[r];
        if (!t.out64) {
            int32_t *to = (int32_t *)y + r * row;
            for (int c = 0; c < cols; c++) {
                to[at[c]] = first ? sum[c] : to[at[c]] + sum[c];
            }
            continue;
        }
        const int32_t *low = d->sum[t.in16 ? r + ITR_DOT_SPLIT : r];
        int64_t *to = (int64_t *)y + r * row;
        for (int c = 0; c < cols; c++) {
            const int64_t v = t.in16 ? (int64_t)sum[c] * 256 + low[c] : sum[c];
            to[at[c]] = first ? v : to[at[c]] + v;
        }
    }
}

#endif
