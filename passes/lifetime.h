/**
 * When the bytes of a value are needed. A step runs PREPARE, FORWARD, BACKWARD, UPDATE; an
 * evaluation PREPARE, INFER, SCORE: two timelines over one arena.
 */
#ifndef ITC_PASSES_LIFETIME_H
#define ITC_PASSES_LIFETIME_H

#include "ir/ir.h"

typedef struct itc_span {
    int start, end; /**< inclusive positions; start > end: not needed on this timeline */
} itc_span;

typedef struct itc_lifetime {
    itc_span train, eval;
} itc_lifetime;

/** storage of results that are their operand by definition (views, updates in place). */
void itc_assign_aliases(itc_graph *g);
/** The value whose bytes v shares (itself when none). */
itc_value *itc_storage_root(itc_value *v);
/** Bytes of a value: sized for a micro-batch, in evaluation for one row. */
int64_t itc_value_bytes(const itc_graph *g, const itc_value *v);
/** Lifetimes of storage roots, indexed by value id. */
itc_lifetime *itc_lifetimes(itc_graph *g);
bool itc_lifetimes_overlap(const itc_lifetime *a, const itc_lifetime *b);
/** Live bytes at every position of both timelines, and how many positions there are. */
int itc_live_bytes(itc_graph *g, int64_t **train, int64_t **eval);
/** Largest sum of live bytes over both timelines: what no planner can beat. */
int64_t itc_live_bytes_bound(itc_graph *g);
/** Offsets in one arena for every value that needs bytes, and its size in g->arena_bytes. */
void itc_assign_offsets(itc_graph *g);

#endif
