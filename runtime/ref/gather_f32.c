/**
 * The gradient of a gather, and linear maps of an axis, in the float32 trainer. Maps accumulate in
 * double; rows of a gather add in float, in the order of their indices.
 */
#include <string.h>

#include "gather_index.h"

#define GATHER_GRAD itr_gather_grad_f32_ref
#define GATHER_IN float
#define GATHER_OUT float
#include "gather_grad.h"

#define AXIS_MAP itr_axis_map_f32_ref
#define AXIS_MAP_IN float
#define AXIS_MAP_COEF float
#define AXIS_MAP_ACC double
#define AXIS_MAP_OUT float
#include "axis_map.h"
