/**
 * Template of a sum over axes: REDUCE_NAME, REDUCE_IN, REDUCE_OUT, REDUCE_ACC, REDUCE_RUN (the sum
 * of n neighbours) and REDUCE_LOCAL(name) are defined by the file that includes this.
 */
/** The extremes of n results, each with one more element, or (run) of one with n more. */
static void REDUCE_LOCAL(extend)(const REDUCE_IN *x, int64_t n, bool run, REDUCE_IN *restrict least,
                                 REDUCE_IN *restrict greatest)
{
    const int64_t alone = run ? 0 : n, all = run ? n : 0;
    REDUCE_IN low = least[0], high = greatest[0];
    for (int64_t j = 0; j < all; j++) {
        low = x[j] < low ? x[j] : low;
        high = x[j] > high ? x[j] : high;
    }
    least[0] = low;
    greatest[0] = high;
    for (int64_t j = 0; j < alone; j++) {
        least[j] = x[j] < least[j] ? x[j] : least[j];
        greatest[j] = x[j] > greatest[j] ? x[j] : greatest[j];
    }
}

/** Results [begin, end), counted in tiles of neighbours. */
static void REDUCE_LOCAL(tiles)(void *user, int64_t begin, int64_t end)
{
    enum { TILE = ITR_REDUCE_TILE };
    const itr_reduce_args *a = (const itr_reduce_args *)user;
    const REDUCE_IN *x = (const REDUCE_IN *)a->x;
    REDUCE_OUT *y = (REDUCE_OUT *)a->y;
    itr_reduction r = itr_reduction_of(a);
    const int64_t width = r.inner_kept ? r.inner : 1, tiles = (width + TILE - 1) / TILE;
    const int64_t count = itr_axes_count(&r.kept) * width;
    for (int64_t i = begin; i < end; i++) {
        const int64_t j0 = i % tiles * TILE, n = width - j0 < TILE ? width - j0 : TILE;
        const int64_t at = i / tiles * width + j0;
        REDUCE_ACC acc[TILE] = {0};
        REDUCE_IN least[TILE], greatest[TILE];
        bool more = !r.empty_sum;
        itr_axes_seek(&r.kept, i / tiles);
        for (int64_t j = 0; j < n && a->extremes && more; j++) {
            least[j] = greatest[j] = x[r.kept.offset + r.summed.offset + j0 + j];
        }
        while (more) {
            const REDUCE_IN *from = x + r.kept.offset + r.summed.offset + j0;
            if (r.inner_kept) {
                for (int64_t j = 0; j < n; j++) {
                    acc[j] = (REDUCE_ACC)(acc[j] + from[j]);
                }
            } else {
                acc[0] = (REDUCE_ACC)(acc[0] + (REDUCE_ACC)REDUCE_RUN(from, r.inner));
            }
            if (a->extremes) {
                REDUCE_LOCAL(extend)
                (from, r.inner_kept ? n : r.inner, !r.inner_kept, least, greatest);
            }
            more = itr_axes_next(&r.summed);
        }
        for (int64_t j = 0; j < n; j++) {
            y[at + j] = (REDUCE_OUT)acc[j];
        }
        for (int64_t j = 0; j < n && a->extremes && !r.empty_sum; j++) {
            ((REDUCE_IN *)a->extremes)[at + j] = least[j];
            ((REDUCE_IN *)a->extremes)[count + at + j] = greatest[j];
        }
    }
}

void REDUCE_NAME(const itr_reduce_args *a)
{
    enum { TILE = ITR_REDUCE_TILE };
    itr_reduce_args own = *a;
    const itr_reduction r = itr_reduction_of(a);
    const int64_t width = r.inner_kept ? r.inner : 1;
    const int64_t summed = itr_axes_count(&r.summed) * (r.inner_kept ? TILE : r.inner);
    if (!r.empty) {
        itr_parallel(a->pool, itr_axes_count(&r.kept) * ((width + TILE - 1) / TILE),
                     1 + ITR_REDUCE_GRAIN / (summed + 1), REDUCE_LOCAL(tiles), &own);
    }
}

#undef REDUCE_NAME
#undef REDUCE_IN
#undef REDUCE_OUT
#undef REDUCE_ACC
#undef REDUCE_RUN
#undef REDUCE_LOCAL
