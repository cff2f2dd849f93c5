/**
 * Template of a view's sum (conv_view.h) without packing, one row of the result at a time: what
 * float32 uses, and integers where few rows share the source (depthwise). CONV_NAME, CONV_IN,
 * CONV_ACC (accumulator) and CONV_OUT are defined by the file that includes this.
 *
 * `x` is the group's first source plane, `f` the group's filter, `y` its first result plane.
 */
static void CONV_NAME(const itr_conv_view *v, const CONV_IN *x, const CONV_IN *f, CONV_OUT *y)
{
    enum { TILE = 128 };
    const int64_t tiles = (v->x.positions + TILE - 1) / TILE;
    for (int64_t i = 0; i < v->rows * v->y.positions * tiles; i++) {
        const int64_t b0 = i % tiles * TILE, a = i / tiles % v->y.positions;
        const int64_t r = i / tiles / v->y.positions;
        const int64_t n = v->x.positions - b0 < TILE ? v->x.positions - b0 : TILE;
        CONV_ACC acc[TILE] = {0};
        for (int64_t j = 0; j < v->channels * v->y.taps; j++) {
            const int64_t c = j / v->y.taps, ty = j % v->y.taps;
            const int64_t at = a * v->y.step + v->y.at0 + ty * v->y.at_step;
            if (at < 0 || at >= v->y.source) {
                continue;
            }
            const CONV_IN *from = x + c * v->x_plane + at * v->x.source;
            const CONV_IN *tap = f + r * v->f_row + c * v->f_channel +
                                 (v->y.tap0 + ty * v->y.tap_step) * v->f_y + v->x.tap0;
            for (int64_t tx = 0; tx < v->x.taps; tx++) {
                int64_t lo, hi;
                itr_conv_inside(&v->x, tx, &lo, &hi);
                lo = lo > b0 ? lo - b0 : 0;
                hi = hi - b0 < n ? hi - b0 : n;
                const CONV_ACC weight = tap[tx * v->x.tap_step];
                const int64_t first = b0 * v->x.step + v->x.at0 + tx * v->x.at_step;
                if (v->x.step == 1) {
                    for (int64_t b = lo; b < hi; b++) {
                        acc[b] += weight * (CONV_ACC)from[first + b];
                    }
                } else {
                    for (int64_t b = lo; b < hi; b++) {
                        acc[b] += weight * (CONV_ACC)from[first + b * v->x.step];
                    }
                }
            }
        }
        CONV_OUT *to = y + r * v->y_plane + (v->y.to0 + a * v->y.to_step) * v->y_width + v->x.to0;
        for (int64_t b = 0; b < n; b++) {
            to[(b0 + b) * v->x.to_step] = (CONV_OUT)acc[b];
        }
    }
}

#undef CONV_NAME
#undef CONV_IN
#undef CONV_ACC
#undef CONV_OUT
