/**
 * Template of a sum over axes: REDUCE_NAME, REDUCE_IN, REDUCE_OUT, REDUCE_ACC and REDUCE_RUN (the
 * sum of n neighbours) are defined by the file that includes this.
 */
void REDUCE_NAME(const itr_reduce_args *a)
{
    enum { TILE = 128 };
    const REDUCE_IN *x = (const REDUCE_IN *)a->x;
    REDUCE_OUT *y = (REDUCE_OUT *)a->y;
    itr_reduction r = itr_reduction_of(a);
    if (r.empty) {
        return;
    }
    const int64_t width = r.inner_kept ? r.inner : 1;
    do {
        for (int64_t j0 = 0; j0 < width; j0 += TILE) {
            const int64_t n = width - j0 < TILE ? width - j0 : TILE;
            REDUCE_ACC acc[TILE] = {0};
            bool more = !r.empty_sum;
            while (more) {
                const REDUCE_IN *from = x + r.kept.offset + r.summed.offset + j0;
                if (r.inner_kept) {
                    for (int64_t j = 0; j < n; j++) {
                        acc[j] = (REDUCE_ACC)(acc[j] + from[j]);
                    }
                } else {
                    acc[0] = (REDUCE_ACC)(acc[0] + (REDUCE_ACC)REDUCE_RUN(from, r.inner));
                }
                more = itr_axes_next(&r.summed);
            }
            for (int64_t j = 0; j < n; j++) {
                y[j0 + j] = (REDUCE_OUT)acc[j];
            }
        }
        y += width;
    } while (itr_axes_next(&r.kept));
}

#undef REDUCE_NAME
#undef REDUCE_IN
#undef REDUCE_OUT
#undef REDUCE_ACC
#undef REDUCE_RUN
