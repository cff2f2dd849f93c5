/**
 * Order of floats, as order.c; what is not a number comes before all others.
 */
#include <stdbool.h>

#include "../kernel.h"

#define ORDER itr_top_indices_f32_ref
#define ORDER_IN float
#define ORDER_UNORDERED(v) ((v) != (v))
#include "order.h"
