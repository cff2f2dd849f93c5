/** What integer.c (the pass) and lower.c (the hooks' side) share. */
#ifndef ITC_PASSES_LOWER_INTERNAL_H
#define ITC_PASSES_LOWER_INTERNAL_H

#include "passes/lower.h"

enum { ITC_WANT_OPERAND = 1, ITC_WANT_WIDE = 2, ITC_WANT_STATE = 4, ITC_WANT_EXACT = 8 };

/** What stands for a float value in the integer graph. */
typedef struct itc_rep {
    bool set;
    bool free;  /**< state, constant or input: at hand everywhere, exact as it is */
    bool state; /**< depends on state alone */
    int n;
    itc_sum_term term[ITC_MAX_TERMS];
    itc_value *narrow[3]; /**< the value at operand, wide and state bits, once made */
} itc_rep;

/** Sites given out, and the number that the next one has. */
typedef struct itc_site_group {
    int32_t n, id;
} itc_site_group;

struct itc_lower {
    itc_graph *g;
    int n; /**< values when the pass began */
    itc_rep *rep;
    uint8_t *want;             /**< ITC_WANT_ mask of each value's consumers */
    uint8_t *rounded;          /**< the same, less the one that may take the value unrounded */
    const itc_node **consumer; /**< the only one in the value's own section, or NULL */
    int operand_bits, wide_bits, state_bits;
    const char *rounding[ITC_SECTION_COUNT]; /**< nearest, stochastic or floor */
    itc_site_group *sites;                   /**< by import id and role */
    int max_import_id, last_site_id;
};

/** Prepares tables: wants, consumers, widths, representation of state and inputs. */
itc_status itc_lower_begin(itc_lower *l);
/** Makes the widths of v that its consumers want, unless its one consumer absorbs the sum. */
itc_status itc_lower_materialize(itc_lower *l, const itc_node *n, const itc_value *v);
itc_dtype itc_dtype_of_bits(int bits);

#endif
