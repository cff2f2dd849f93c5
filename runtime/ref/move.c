/**
 * Kernels that move elements and change none.
 */
#include "../kernel.h"

#include <string.h>

enum { TILE = 16 };

/** Rows and columns of a plane whose elements lie apart in both buffers, in steps of elements. */
typedef struct plane {
    int64_t rows, cols;
    int64_t row_x, col_x, row_y, col_y;
} plane;

/**
 * y[r, c] = x[r, c]. In a transposition a row is adjacent in y and a column in x: in tiles that
 * stay in the cache. Else element by element.
 */
#define MOVE_PLANE(type)                                                                           \
    static void move_##type(const type *x, type *y, const plane *p)                                \
    {                                                                                              \
        for (int64_t r0 = 0; r0 < p->rows; r0 += TILE) {                                           \
            const int64_t r1 = r0 + TILE < p->rows ? r0 + TILE : p->rows;                          \
            for (int64_t c = 0; p->col_x == 1 && p->row_y == 1 && c < p->cols; c++) {              \
                for (int64_t r = r0; r < r1; r++) {                                                \
                    y[c * p->col_y + r] = x[r * p->row_x + c];                                     \
                }                                                                                  \
            }                                                                                      \
            for (int64_t c = 0; (p->col_x != 1 || p->row_y != 1) && c < p->cols; c++) {            \
                for (int64_t r = r0; r < r1; r++) {                                                \
                    y[c * p->col_y + r * p->row_y] = x[c * p->col_x + r * p->row_x];               \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }
MOVE_PLANE(uint8_t)
MOVE_PLANE(uint16_t)
MOVE_PLANE(uint32_t)
MOVE_PLANE(uint64_t)

/** One axis after merging: extent, and strides in elements of source and result. */
typedef struct axis {
    int64_t size, from, to;
} axis;

/** Merges axes that stay together; returns how many are left (at least 1). */
static int merge_axes(const itr_move_args *a, axis *out)
{
    int n = 0;
    for (int i = 0; i < a->rank; i++) {
        const axis next = {a->shape[i], a->stride_x[i], a->stride_y[i]};
        if (next.size == 1) {
            continue;
        }
        if (n > 0 && out[n - 1].from == next.size * next.from &&
            out[n - 1].to == next.size * next.to) {
            out[n - 1] = (axis){out[n - 1].size * next.size, next.from, next.to};
        } else {
            out[n++] = next;
        }
    }
    if (n == 0) {
        out[n++] = (axis){1, 1, 1};
    }
    return n;
}

static void move_plane(const unsigned char *x, unsigned char *y, const plane *p, int width)
{
    const void *from = x;
    void *to = y;
    switch (width) {
    case 1:
        move_uint8_t((const uint8_t *)from, (uint8_t *)to, p);
        break;
    case 2:
        move_uint16_t((const uint16_t *)from, (uint16_t *)to, p);
        break;
    case 4:
        move_uint32_t((const uint32_t *)from, (uint32_t *)to, p);
        break;
    default:
        move_uint64_t((const uint64_t *)from, (uint64_t *)to, p);
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

/** Takes the axis that is adjacent in the source, if there is one, out of the n axes at ax. */
static axis take_adjacent(axis *ax, int *n)
{
    axis found = {1, 1, 1};
    int i = 0;
    while (i < *n && ax[i].from != 1) {
        i++;
    }
    if (i < *n) {
        found = ax[i];
        for ((*n)--; i < *n; i++) {
            ax[i] = ax[i + 1];
        }
    }
    return found;
}

/**
 * y[first_y + i * stride_y] = x[first_x + i * stride_x], summed over the axes, for every index i
 * below `shape`: slices, steps, repetitions (a stride of 0 in x), reversals, permuted axes, and a
 * place within a larger y.
 * Shapes   both by strides in elements of 1, 2, 4 or 8 bytes, aligned; the places in y are distinct
 * Aliasing y overlaps nothing
 * Source   ONNX Transpose-13, Slice-13, Expand-13, Concat-13
 */
void itr_move_ref(const itr_move_args *a)
{
    axis ax[ITR_MAX_RANK + 1];
    int n = merge_axes(a, ax);
    for (int i = 0; i < n; i++) {
        if (ax[i].size == 0) {
            return;
        }
    }
    const axis row = ax[--n]; /* innermost in the result */
    const bool line = row.from == 1 && row.to == 1;
    const axis col = line ? row : take_adjacent(ax, &n); /* the loops below are over the rest */
    const plane p = {row.size, col.size, row.from, col.from, row.to, col.to};
    int64_t at[ITR_MAX_RANK] = {0}, x = 0, y = 0;
    for (int i = 0; i < a->rank; i++) {
        x += a->first_x[i];
        y += a->first_y[i];
    }
    do {
        const unsigned char *from = (const unsigned char *)a->x + x * a->width;
        unsigned char *to = (unsigned char *)a->y + y * a->width;
        if (line) {
            memcpy(to, from, (size_t)(row.size * a->width));
        } else {
            move_plane(from, to, &p, a->width);
        }
    } while (advance(ax, n, at, &x, &y));
}

/** y = 0, `bytes` of it. */
void itr_zero_ref(const itr_zero_args *a)
{
    memset(a->y, 0, (size_t)a->bytes);
}

/** y = x; nothing when they are the same buffer. Otherwise they do not overlap. */
void itr_copy_ref(const itr_copy_args *a)
{
    if (a->x != a->y && a->bytes > 0) {
        memcpy(a->y, a->x, (size_t)a->bytes);
    }
}
