/**
 * Template of a gather's gradient: GATHER_GRAD, GATHER_IN and GATHER_OUT are defined by the file
 * that includes this. Rows add in the order of the indices.
 */
void GATHER_GRAD(const itr_gather_args *a)
{
    const int64_t *index = (const int64_t *)a->index;
    const GATHER_IN *dy = (const GATHER_IN *)a->x;
    GATHER_OUT *dx = (GATHER_OUT *)a->y;
    memset(dx, 0, (size_t)(a->outer * a->axis * a->inner) * sizeof *dx);
    for (int64_t o = 0; o < a->outer; o++) {
        for (int64_t j = 0; j < a->count; j++) {
            const int64_t at = itr_gather_index(a, index[j]);
            GATHER_OUT *row = dx + at * a->inner;
            for (int64_t i = 0; at >= 0 && i < a->inner; i++) {
                row[i] += dy[i];
            }
            dy += a->inner;
        }
        dx += a->axis * a->inner;
    }
}

#undef GATHER_GRAD
#undef GATHER_IN
#undef GATHER_OUT
