/**
 * The integer and memory plan of a program, for people (plan.txt) and for programs (plan.json).
 */
#ifndef ITC_CODEGEN_PLAN_TEXT_H
#define ITC_CODEGEN_PLAN_TEXT_H

#include "codegen/model.h"

ITC_NODISCARD itc_status itc_plan_text(const itc_model_info *info, itc_strbuf *out);
ITC_NODISCARD itc_status itc_plan_json(const itc_model_info *info, itc_strbuf *out);

/** Sizes of what a program needs, in bytes. */
typedef struct itc_plan_sizes {
    int64_t parameters;  /**< trained tensors */
    int64_t other_state; /**< optimizer slots, running statistics */
    int64_t constants;   /**< in flash */
    int64_t arena;
    int64_t arena_bound; /**< largest sum of values alive at once: no layout can do with less */
    int64_t ram;         /**< state, exponents and arena */
    int64_t data;        /**< initial parameters: flash, where they are embedded */
} itc_plan_sizes;
void itc_plan_measure(const itc_model_info *info, itc_plan_sizes *sizes);

/** Bytes of the arena in use while a node runs, in the order of sections. */
typedef struct itc_plan_moment {
    const itc_node *node;
    int64_t live;
} itc_plan_moment;
itc_plan_moment *itc_plan_timeline(const itc_model_info *info, int *count);

#endif
