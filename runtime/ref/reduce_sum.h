/**
 * Template of a sum over axes: REDUCE_NAME, REDUCE_IN, REDUCE_OUT, REDUCE_ACC, REDUCE_RUN (the sum
 * of n neighbours) and REDUCE_LOCAL(name) are defined by the file that includes this.
 */
/** The extremes of n results, each with one more element. */
static void REDUCE_LOCAL(extend)(const REDUCE_IN *x, int64_t n, REDUCE_IN *restrict least,
                                 REDUCE_IN *restrict greatest)
{
    for (int64_t j = 0; j < n; j++) {
        least[j] = x[j] < least[j] ? x[j] : least[j];
        greatest[j] = x[j] > greatest[j] ? x[j] : greatest[j];
    }
}

/** The extremes of one result with n more elements. */
static void REDUCE_LOCAL(extend_run)(const REDUCE_IN *x, int64_t n, REDUCE_IN *least,
                                     REDUCE_IN *greatest)
{
    REDUCE_IN low = *least, high = *greatest;
    for (int64_t j = 0; j < n; j++) {
        low = x[j] < low ? x[j] : low;
        high = x[j] > high ? x[j] : high;
    }
    *least = low;
    *greatest = high;
}

/** What a tile of results has come to. */
typedef struct REDUCE_LOCAL(tile) {
    REDUCE_ACC acc[ITR_REDUCE_TILE];
    REDUCE_IN least[ITR_REDUCE_TILE], greatest[ITR_REDUCE_TILE];
} REDUCE_LOCAL(tile);

/** n results from `at` on, of `count`. */
static void REDUCE_LOCAL(store)(const itr_reduce_args *a, const REDUCE_LOCAL(tile) * t, int64_t at,
                                int64_t n, int64_t count, bool extremes)
{
    for (int64_t j = 0; j < n; j++) {
        ((REDUCE_OUT *)a->y)[at + j] = (REDUCE_OUT)t->acc[j];
    }
    for (int64_t j = 0; j < n && extremes; j++) {
        ((REDUCE_IN *)a->extremes)[at + j] = t->least[j];
        ((REDUCE_IN *)a->extremes)[count + at + j] = t->greatest[j];
    }
}

/** The innermost axis is kept: results [begin, end), counted in tiles of neighbours. */
static void REDUCE_LOCAL(tiles)(void *user, int64_t begin, int64_t end)
{
    enum { TILE = ITR_REDUCE_TILE };
    const itr_reduce_args *a = (const itr_reduce_args *)user;
    itr_reduction r = itr_reduction_of(a);
    const int64_t tiles = (r.inner + TILE - 1) / TILE, count = itr_axes_count(&r.kept) * r.inner;
    const bool extremes = a->extremes && !r.empty_sum;
    for (int64_t i = begin; i < end; i++) {
        const int64_t j0 = i % tiles * TILE, n = r.inner - j0 < TILE ? r.inner - j0 : TILE;
        const REDUCE_IN *x = (const REDUCE_IN *)a->x + j0;
        REDUCE_LOCAL(tile) t = {{0}, {0}, {0}};
        bool more = !r.empty_sum;
        itr_axes_seek(&r.kept, i / tiles);
        x += r.kept.offset;
        for (int64_t j = 0; j < n && extremes; j++) {
            t.least[j] = t.greatest[j] = x[r.summed.offset + j];
        }
        while (more) {
            for (int64_t j = 0; j < n; j++) {
                t.acc[j] = (REDUCE_ACC)(t.acc[j] + x[r.summed.offset + j]);
            }
            if (extremes) {
                REDUCE_LOCAL(extend)(x + r.summed.offset, n, t.least, t.greatest);
            }
            more = itr_axes_next(&r.summed);
        }
        REDUCE_LOCAL(store)(a, &t, i / tiles * r.inner + j0, n, count, extremes);
    }
}

/** The innermost axis is summed: results [begin, end), a tile of them side by side, so that x is
 * read as it lies in memory. */
static void REDUCE_LOCAL(runs)(void *user, int64_t begin, int64_t end)
{
    enum { TILE = ITR_REDUCE_TILE };
    const itr_reduce_args *a = (const itr_reduce_args *)user;
    itr_reduction r = itr_reduction_of(a);
    const int64_t count = itr_axes_count(&r.kept);
    const bool extremes = a->extremes && !r.empty_sum;
    for (int64_t i = begin; i < end; i += TILE) {
        const int64_t n = end - i < TILE ? end - i : TILE;
        REDUCE_LOCAL(tile) t = {{0}, {0}, {0}};
        bool more = !r.empty_sum, first = true;
        while (more) {
            itr_axes_seek(&r.kept, i);
            for (int64_t j = 0; j < n; j++) {
                const REDUCE_IN *x = (const REDUCE_IN *)a->x + r.kept.offset + r.summed.offset;
                t.acc[j] = (REDUCE_ACC)(t.acc[j] + (REDUCE_ACC)REDUCE_RUN(x, r.inner));
                if (extremes) {
                    t.least[j] = first ? *x : t.least[j];
                    t.greatest[j] = first ? *x : t.greatest[j];
                    REDUCE_LOCAL(extend_run)(x, r.inner, &t.least[j], &t.greatest[j]);
                }
                itr_axes_next(&r.kept);
            }
            first = false;
            more = itr_axes_next(&r.summed);
        }
        REDUCE_LOCAL(store)(a, &t, i, n, count, extremes);
    }
}

void REDUCE_NAME(const itr_reduce_args *a)
{
    enum { TILE = ITR_REDUCE_TILE };
    itr_reduce_args own = *a;
    const itr_reduction r = itr_reduction_of(a);
    const int64_t tiles = r.inner_kept ? (r.inner + TILE - 1) / TILE : 1;
    const int64_t summed = itr_axes_count(&r.summed) * (r.inner_kept ? TILE : r.inner);
    if (!r.empty) {
        itr_parallel(a->pool, itr_axes_count(&r.kept) * tiles, 1 + ITR_REDUCE_GRAIN / (summed + 1),
                     r.inner_kept ? REDUCE_LOCAL(tiles) : REDUCE_LOCAL(runs), &own);
    }
}

#undef REDUCE_NAME
#undef REDUCE_IN
#undef REDUCE_OUT
#undef REDUCE_ACC
#undef REDUCE_RUN
#undef REDUCE_LOCAL
