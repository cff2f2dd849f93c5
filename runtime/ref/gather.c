/**
 * Rows of an axis by a table: gathered, added where they came from, or combined linearly.
 *
 * Gather, and its gradient
 * Shapes   x [outer, axis, inner], index i64 [count], y [outer, count, inner]; of the gradient dy
 *          [outer, count, inner] in the field x and dx [outer, axis, inner] in y
 * Units    y at x's exponent
 * Range    -axis <= index < axis, counted from the end where negative. Sums are exact: the plan
 *          proves that as many terms as indices fit
 * Errors   rng->status = ITR_BAD_INPUT for another index, whose row is 0 or adds nothing
 *
 * Linear maps of an axis
 * Shapes   x [outer, axis, inner], y [outer, count, inner]; y's row j is the sum over t from
 * first[j] to first[j+1] of coef[t] times x's row from[t]; no term: 0 Units    y at e_x + e_coef
 * Range    exact: the plan proves that the largest sum of |coef| times the limit of x fits
 *
 * Aliasing none
 * Source   ONNX Gather-13, Resize-19; gradients are the transposed maps
 */
#include <string.h>

#include "gather_index.h"

void itr_gather_ref(const itr_gather_args *a)
{
    const int64_t *index = (const int64_t *)a->index;
    const unsigned char *x = (const unsigned char *)a->x;
    unsigned char *y = (unsigned char *)a->y;
    const int64_t row = a->inner * a->width;
    for (int64_t o = 0; o < a->outer; o++) {
        for (int64_t j = 0; j < a->count; j++) {
            const int64_t at = itr_gather_index(a, index[j]);
            if (at < 0) {
                memset(y, 0, (size_t)row);
            } else {
                memcpy(y, x + at * row, (size_t)row);
            }
            y += row;
        }
        x += a->axis * row;
    }
}

#define GATHER_GRAD itr_gather_grad_i8i32_ref
#define GATHER_IN int8_t
#define GATHER_OUT int32_t
#include "gather_grad.h"

#define GATHER_GRAD itr_gather_grad_i8i64_ref
#define GATHER_IN int8_t
#define GATHER_OUT int64_t
#include "gather_grad.h"

#define GATHER_GRAD itr_gather_grad_i16i64_ref
#define GATHER_IN int16_t
#define GATHER_OUT int64_t
#include "gather_grad.h"

#define AXIS_MAP itr_axis_map_i8i16i32_ref
#define AXIS_MAP_IN int8_t
#define AXIS_MAP_COEF int16_t
#define AXIS_MAP_ACC int32_t
#define AXIS_MAP_OUT int32_t
#include "axis_map.h"

#define AXIS_MAP itr_axis_map_i8i16i64_ref
#define AXIS_MAP_IN int8_t
#define AXIS_MAP_COEF int16_t
#define AXIS_MAP_ACC int64_t
#define AXIS_MAP_OUT int64_t
#include "axis_map.h"

#define AXIS_MAP itr_axis_map_i16i16i64_ref
#define AXIS_MAP_IN int16_t
#define AXIS_MAP_COEF int16_t
#define AXIS_MAP_ACC int64_t
#define AXIS_MAP_OUT int64_t
#include "axis_map.h"
