/**
 * Template of a linear map of an axis: AXIS_MAP, AXIS_MAP_IN, AXIS_MAP_COEF, AXIS_MAP_ACC and
 * AXIS_MAP_OUT are defined by the file that includes this. Terms add in the order of the table.
 */
void AXIS_MAP(const itr_axis_map_args *a)
{
    enum { TILE = 128 };
    const int32_t *first = (const int32_t *)a->first, *from = (const int32_t *)a->from;
    const AXIS_MAP_COEF *coef = (const AXIS_MAP_COEF *)a->coef;
    const AXIS_MAP_IN *x = (const AXIS_MAP_IN *)a->x;
    AXIS_MAP_OUT *y = (AXIS_MAP_OUT *)a->y;
    for (int64_t o = 0; o < a->outer; o++) {
        for (int64_t j = 0; j < a->count; j++) {
            for (int64_t i0 = 0; i0 < a->inner; i0 += TILE) {
                const int64_t n = a->inner - i0 < TILE ? a->inner - i0 : TILE;
                AXIS_MAP_ACC acc[TILE] = {0};
                for (int32_t t = first[j]; t < first[j + 1]; t++) {
                    const AXIS_MAP_IN *row = x + from[t] * a->inner + i0;
                    const AXIS_MAP_ACC c = coef[t];
                    for (int64_t i = 0; i < n; i++) {
                        acc[i] += c * (AXIS_MAP_ACC)row[i];
                    }
                }
                for (int64_t i = 0; i < n; i++) {
                    y[i0 + i] = (AXIS_MAP_OUT)acc[i];
                }
            }
            y += a->inner;
        }
        x += a->axis * a->inner;
    }
}

#undef AXIS_MAP
#undef AXIS_MAP_IN
#undef AXIS_MAP_COEF
#undef AXIS_MAP_ACC
#undef AXIS_MAP_OUT
