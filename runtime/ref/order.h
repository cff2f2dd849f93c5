/**
 * Template of order.c: ORDER and ORDER_IN are defined by the file that includes this, and
 * ORDER_UNORDERED where elements may be no numbers.
 */
#ifndef ORDER_UNORDERED
#define ORDER_UNORDERED(v) false
#endif
#define ORDER_JOIN_(a, b) a##b
#define ORDER_JOIN(a, b) ORDER_JOIN_(a, b)

/** Whether element i comes before element j. */
static bool ORDER_JOIN(ORDER, _before)(const itr_top_indices_args *a, const ORDER_IN *x, int64_t i,
                                       int64_t j)
{
    const ORDER_IN p = x[i * a->inner], q = x[j * a->inner];
    const bool first = a->last ? i > j : i < j;
    if (ORDER_UNORDERED(p) || ORDER_UNORDERED(q)) {
        return ORDER_UNORDERED(p) && (!(ORDER_UNORDERED(q)) || first);
    }
    return (a->least ? p < q : p > q) || (!(p < q) && !(p > q) && first);
}

void ORDER(const itr_top_indices_args *a)
{
    int64_t *y = (int64_t *)a->y;
    for (int64_t row = 0; row < a->outer * a->inner; row++) {
        const int64_t o = row / a->inner, i = row % a->inner;
        const ORDER_IN *x = (const ORDER_IN *)a->x + o * a->axis * a->inner + i;
        int64_t *to = y + o * a->count * a->inner + i, before = -1;
        for (int64_t k = 0; k < a->count; k++) { /* the first of those that follow the last one */
            int64_t best = -1;
            for (int64_t j = 0; j < a->axis; j++) {
                const bool left = before < 0 || ORDER_JOIN(ORDER, _before)(a, x, before, j);
                if (j != before && left &&
                    (best < 0 || ORDER_JOIN(ORDER, _before)(a, x, j, best))) {
                    best = j;
                }
            }
            before = best;
            to[k * a->inner] = best;
        }
    }
}

#undef ORDER
#undef ORDER_IN
#undef ORDER_UNORDERED
#undef ORDER_JOIN
#undef ORDER_JOIN_
