/**
 * Elements of a tensor at places that indices of run time say: what gathers and scatters share.
 */
#ifndef ITC_IR_OPS_PICK_H
#define ITC_IR_OPS_PICK_H

#include "ir/op.h"

/** How indices say places: as GatherElements does on an axis, or as GatherND with tuples behind
 * `batch_dims` common axes. */
typedef struct itc_places {
    bool tuples;
    int axis;       /**< where not tuples; counted from the start */
    int batch_dims; /**< of tuples */
} itc_places;

/** y = x's elements at the places, as a Pick. E0220, E0228. */
ITC_NODISCARD itc_status itc_pick_build(itc_graph *g, const itc_node *origin, itc_value *x,
                                        itc_value *index, const itc_places *p, itc_value **out);
/** Zeros of type `as` (its dtype is not looked at) and x's elements added at the places. */
ITC_NODISCARD itc_status itc_scatter_add_build(itc_graph *g, const itc_node *origin, itc_value *x,
                                               itc_value *index, const itc_places *p,
                                               const itc_type *as, itc_value **out);

/** Which of several elements for one place is taken. */
typedef enum itc_scatter_mode {
    ITC_SCATTER_LAST,
    ITC_SCATTER_MAX,
    ITC_SCATTER_MIN
} itc_scatter_mode;
/**
 * Of type `as` each: *value, the element of x that is put at each place, *written, whether there is
 * one; where there is none, *value is some element of x.
 */
ITC_NODISCARD itc_status itc_scatter_pick(itc_graph *g, const itc_node *origin, itc_value *x,
                                          itc_value *index, const itc_places *p,
                                          itc_scatter_mode mode, const itc_type *as,
                                          itc_value **value, itc_value **written);
/** E0224 where indices choose among the rows N, whose number and order are not the model's; E0220
 * where `put`, the type of what is put at the places (NULL: nothing), does not fit. */
ITC_NODISCARD itc_status itc_places_check(itc_graph *g, const itc_node *n, const itc_type *x,
                                          const itc_type *index, const itc_places *p,
                                          const itc_type *put);
/** Constant indices: where each of the `count` elements stands in x. E0220, E0229. */
ITC_NODISCARD itc_status itc_places_resolve(itc_graph *g, const itc_node *n, const itc_tensor *x,
                                            const itc_tensor *index, const itc_places *p,
                                            int64_t count, int64_t **place);

#endif
