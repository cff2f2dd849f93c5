/**
 * Elements at places that indices say: picked, added, or which of them is put where.
 *
 * Places   element j of run k stands at sum(coordinates of k * stride) + sum over d < depth of
 *          (index[k * depth + d] * step[d]) + j of the large tensor, 0 <= j < inner; k counts
 *          through `shape` in row-major order
 * Shapes   pick: x large, y [runs, inner]; scatter_add, scatter_last, scatter_best: x [runs, inner]
 *          (scatter_last: NULL), y large, as `written`; index i64 [runs, depth]
 * Units    y at x's exponent; of scatter_last and scatter_best y counts the elements of x
 * Range    -extent[d] <= index < extent[d], counted from the end where negative. Sums are exact:
 *          the plan proves that what may meet at one place fits
 * Errors   rng->status = ITR_BAD_INPUT for another index: its run is 0, or is not put anywhere
 * Aliasing none
 * Source   ONNX GatherElements-13, GatherND-13, ScatterElements-18, ScatterND-18
 */
#include <string.h>

#include "pick_place.h"

void itr_pick_ref(const itr_pick_args *a)
{
    const int64_t *index = (const int64_t *)a->index;
    const unsigned char *x = (const unsigned char *)a->x;
    unsigned char *y = (unsigned char *)a->y;
    const size_t run = (size_t)(a->inner * a->width);
    int64_t at[ITR_MAX_RANK] = {0};
    for (bool more = itr_pick_any(a->rank, a->shape); more;
         more = itr_pick_next(a->rank, a->shape, at)) {
        const int64_t place = ITR_PICK_PLACE(a, at, index);
        if (place < 0) {
            memset(y, 0, run);
        } else {
            memcpy(y, x + place * a->width, run);
        }
        y += run;
        index += a->depth;
    }
}

void itr_scatter_last_ref(const itr_scatter_source_args *a)
{
    const int64_t *index = (const int64_t *)a->index;
    int64_t *y = (int64_t *)a->y, k = 0;
    uint8_t *written = (uint8_t *)a->written;
    int64_t at[ITR_MAX_RANK] = {0};
    memset(y, 0, (size_t)a->size * sizeof *y);
    memset(written, 0, (size_t)a->size);
    for (bool more = itr_pick_any(a->rank, a->shape); more;
         more = itr_pick_next(a->rank, a->shape, at)) {
        const int64_t place = ITR_PICK_PLACE(a, at, index);
        for (int64_t j = 0; j < a->inner; j++, k++) {
            if (place >= 0) {
                y[place + j] = k;
                written[place + j] = 1;
            }
        }
        index += a->depth;
    }
}

#define SCATTER_ADD itr_scatter_add_i8i32_ref
#define SCATTER_IN int8_t
#define SCATTER_OUT int32_t
#include "pick_scatter.h"

#define SCATTER_ADD itr_scatter_add_i8i64_ref
#define SCATTER_IN int8_t
#define SCATTER_OUT int64_t
#include "pick_scatter.h"

#define SCATTER_ADD itr_scatter_add_i16i64_ref
#define SCATTER_BEST itr_scatter_best_i16_ref
#define SCATTER_IN int16_t
#define SCATTER_OUT int64_t
#include "pick_scatter.h"

#define SCATTER_BEST itr_scatter_best_i64_ref
#define SCATTER_IN int64_t
#include "pick_scatter.h"
