/**
 * Scatters of floats, in the order of their indices; shapes and errors as in pick.c.
 */
#include <string.h>

#include "pick_place.h"

#define SCATTER_ADD itr_scatter_add_f32_ref
#define SCATTER_BEST itr_scatter_best_f32_ref
#define SCATTER_IN float
#define SCATTER_OUT float
#include "pick_scatter.h"
