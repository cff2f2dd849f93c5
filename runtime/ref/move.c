/**
 * Kernels that move elements and change none.
 */
#include "../kernel.h"

#include <string.h>

enum { TILE = 16 };

/** y[c][r] = x[r][c] for planes of elements of `width` bytes, in tiles that stay in the cache. */
#define TRANSPOSE_PLANE(type)                                                                      \
    static void transpose_##type(const type *x, type *y, int64_t rows, int64_t cols, int64_t ldx,  \
                                 int64_t ldy)                                                      \
    {                                                                                              \
        for (int64_t r0 = 0; r0 < rows; r0 += TILE) {                                              \
            const int64_t r1 = r0 + TILE < rows ? r0 + TILE : rows;                                \
            for (int64_t c = 0; c < cols; c++) {                                                   \
                for (int64_t r = r0; r < r1; r++) {                                                \
                    y[c * ldy + r] = x[r * ldx + c];                                               \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }
TRANSPOSE_PLANE(uint8_t)
TRANSPOSE_PLANE(uint16_t)
TRANSPOSE_PLANE(uint32_t)
TRANSPOSE_PLANE(uint64_t)

/** One axis of the result after merging: extent, and strides in elements of source and result. */
typedef struct axis {
    int64_t size, from, to;
} axis;

/** Merges axes that stay together; returns how many are left (at least 1). */
static int merge_axes(const itr_transpose_args *a, axis *out)
{
    int64_t stride[ITR_MAX_RANK];
    int64_t s = 1;
    int n = 0;
    for (int i = a->rank - 1; i >= 0; i--) {
        stride[i] = s;
        s *= a->shape[i];
    }
    for (int i = 0; i < a->rank; i++) {
        const int64_t size = a->shape[a->perm[i]], from = stride[a->perm[i]];
        if (size == 1) {
            continue;
        }
        if (n > 0 && out[n - 1].from == size * from) {
            out[n - 1].size *= size;
            out[n - 1].from = from;
        } else {
            out[n++] = (axis){size, from, 0};
        }
    }
    if (n == 0) {
        out[n++] = (axis){1, 1, 0};
    }
    s = 1;
    for (int i = n - 1; i >= 0; i--) {
        out[i].to = s;
        s *= out[i].size;
    }
    return n;
}

/** Moves one plane: row is the result's innermost axis, col the source's. */
static void move_plane(const unsigned char *x, unsigned char *y, const axis *row, const axis *col,
                       int width)
{
    const void *from = x;
    void *to = y;
    switch (width) {
    case 1:
        transpose_uint8_t((const uint8_t *)from, (uint8_t *)to, row->size, col->size, row->from,
                          col->to);
        break;
    case 2:
        transpose_uint16_t((const uint16_t *)from, (uint16_t *)to, row->size, col->size, row->from,
                           col->to);
        break;
    case 4:
        transpose_uint32_t((const uint32_t *)from, (uint32_t *)to, row->size, col->size, row->from,
                           col->to);
        break;
    default:
        transpose_uint64_t((const uint64_t *)from, (uint64_t *)to, row->size, col->size, row->from,
                           col->to);
        break;
    }
}

/** Steps the offsets over n axes, the last fastest; false at the end. */
static bool advance(const axis *ax, int n, int64_t *at, int64_t *x, int64_t *y)
{
    for (int i = n - 1; i >= 0; i--) {
        *x += ax[i].from;
        *y += ax[i].to;
        if (++at[i] < ax[i].size) {
            return true;
        }
        *x -= ax[i].from * ax[i].size;
        *y -= ax[i].to * ax[i].size;
        at[i] = 0;
    }
    return false;
}

/**
 * y = x with axes permuted: axis i of y is axis perm[i] of x.
 * Shapes   x `shape`, dense; y shape[perm[i]], dense; elements of 1, 2, 4 or 8 bytes, aligned
 * Aliasing y overlaps nothing
 * Source   ONNX Transpose-13
 */
void itr_transpose_ref(const itr_transpose_args *a)
{
    axis ax[ITR_MAX_RANK + 1];
    int n = merge_axes(a, ax);
    for (int i = 0; i < n; i++) {
        if (ax[i].size == 0) {
            return;
        }
    }
    const axis row = ax[--n]; /* innermost in the result */
    axis col = {1, 1, 1};     /* innermost in the source; the loops below are over the rest */
    if (row.from != 1) {
        int inner = 0;
        while (ax[inner].from != 1) {
            inner++;
        }
        col = ax[inner];
        for (n--; inner < n; inner++) {
            ax[inner] = ax[inner + 1];
        }
    }
    int64_t at[ITR_MAX_RANK] = {0}, x = 0, y = 0;
    do {
        const unsigned char *from = (const unsigned char *)a->x + x * a->width;
        unsigned char *to = (unsigned char *)a->y + y * a->width;
        if (row.from == 1) {
            memcpy(to, from, (size_t)(row.size * a->width));
        } else {
            move_plane(from, to, &row, &col, a->width);
        }
    } while (advance(ax, n, at, &x, &y));
}

/** y = x; nothing when they are the same buffer. Otherwise they do not overlap. */
void itr_copy_ref(const itr_copy_args *a)
{
    if (a->x != a->y && a->bytes > 0) {
        memcpy(a->y, a->x, (size_t)a->bytes);
    }
}
