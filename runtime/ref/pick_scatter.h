/**
 * Templates of scatters: SCATTER_IN and what there is of SCATTER_ADD (with SCATTER_OUT) and
 * SCATTER_BEST are defined by the file that includes this.
 */
#ifdef SCATTER_ADD
void SCATTER_ADD(const itr_pick_args *a)
{
    const int64_t *index = (const int64_t *)a->index;
    const SCATTER_IN *x = (const SCATTER_IN *)a->x;
    SCATTER_OUT *y = (SCATTER_OUT *)a->y;
    int64_t at[ITR_MAX_RANK] = {0};
    memset(y, 0, (size_t)a->size * sizeof *y);
    for (bool more = itr_pick_any(a->rank, a->shape); more;
         more = itr_pick_next(a->rank, a->shape, at)) {
        const int64_t place = ITR_PICK_PLACE(a, at, index);
        for (int64_t j = 0; place >= 0 && j < a->inner; j++) {
            y[place + j] += x[j];
        }
        x += a->inner;
        index += a->depth;
    }
}
#endif

#ifdef SCATTER_BEST
/** The first of equals is kept. */
void SCATTER_BEST(const itr_scatter_source_args *a)
{
    const int64_t *index = (const int64_t *)a->index;
    const SCATTER_IN *x = (const SCATTER_IN *)a->x;
    int64_t *y = (int64_t *)a->y, k = 0;
    uint8_t *written = (uint8_t *)a->written;
    int64_t at[ITR_MAX_RANK] = {0};
    memset(y, 0, (size_t)a->size * sizeof *y);
    memset(written, 0, (size_t)a->size);
    for (bool more = itr_pick_any(a->rank, a->shape); more;
         more = itr_pick_next(a->rank, a->shape, at)) {
        const int64_t place = ITR_PICK_PLACE(a, at, index);
        for (int64_t j = 0; j < a->inner; j++, k++) {
            if (place < 0) {
                continue;
            }
            const SCATTER_IN old = x[y[place + j]];
            if (!written[place + j] || (a->least ? x[k] < old : x[k] > old)) {
                y[place + j] = k;
                written[place + j] = 1;
            }
        }
        index += a->depth;
    }
}
#endif

#undef SCATTER_ADD
#undef SCATTER_BEST
#undef SCATTER_IN
#undef SCATTER_OUT
