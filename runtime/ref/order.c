/**
 * Where the largest (with `least`: smallest) elements of an axis are, the largest first.
 * Shapes   x [outer, axis, inner], y i64 [outer, count, inner], count <= axis
 * Range    of equals the first comes first, with `last` the last; comparisons are exact
 * Aliasing none; linear in count * axis, and needs no memory
 *
 * plane_indices: offsets of maxima in planes [height, width], counted over all planes
 * Shapes   x i32 [planes, count], y i64 alike; with `columns` down the columns; -1 counts as 0
 * Source   ONNX TopK-11, ArgMax-13, MaxPool-12
 */
#include <stdbool.h>

#include "../kernel.h"

#define ORDER itr_top_indices_i16_ref
#define ORDER_IN int16_t
#include "order.h"

#define ORDER itr_top_indices_i64_ref
#define ORDER_IN int64_t
#include "order.h"

void itr_plane_indices_ref(const itr_plane_indices_args *a)
{
    const int32_t *x = (const int32_t *)a->x;
    int64_t *y = (int64_t *)a->y;
    const int64_t plane = (int64_t)a->height * a->width;
    for (int64_t p = 0; p < a->planes; p++) {
        for (int64_t i = 0; i < a->count; i++) {
            const int64_t k = p * a->count + i, at = x[k] < 0 ? 0 : x[k];
            const int64_t down = at % a->width * a->height + at / a->width;
            y[k] = p * plane + (a->columns ? down : at);
        }
    }
}
