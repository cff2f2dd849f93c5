/*
 * Sums over windows, or means as sums times reciprocals, and their gradients; included by pool.c.
 * POOL_SUM, POOL_SUM_GRAD: names of the functions; POOL_IN, POOL_OUT: types; POOL_WEIGHT(count):
 * what the sum over a window that counts `count` elements is multiplied by; POOL_SCALE: that for a
 * row of windows, of which each counts `high` elements vertically.
 */

/** Sums over a row of windows: tap by tap where rows are long, else window by window. */
static void POOL_LOCAL(row)(const itr_pool_axis *cols, const itr_pool_window *v, int64_t dilation_h,
                            const POOL_IN *x, POOL_OUT *y)
{
    const bool by_tap = cols->windows >= cols->taps;
    memset(y, 0, (size_t)cols->windows * sizeof *y);
    for (int64_t ky = v->first; ky < v->end; ky++) {
        const POOL_IN *line = x + (v->start + ky * dilation_h) * cols->n;
        for (int64_t kx = 0; by_tap && kx < cols->taps; kx++) {
            int64_t first, end;
            itr_pool_span(cols, kx, &first, &end);
            for (int64_t i = first; i < end; i++) {
                y[i] += line[i * cols->stride - cols->pad + kx * cols->dilation];
            }
        }
        for (int64_t i = 0; !by_tap && i < cols->windows; i++) {
            const itr_pool_window u = itr_pool_at(cols, i, false);
            POOL_OUT sum = 0;
            for (int64_t kx = u.first; kx < u.end; kx++) {
                sum += line[u.start + kx * cols->dilation];
            }
            y[i] += sum;
        }
    }
}

static void POOL_LOCAL(sum_planes)(void *user, int64_t begin, int64_t end)
{
    const itr_pool_args *a = (const itr_pool_args *)user;
    const itr_pool_axis rows = itr_pool_rows(a), cols = itr_pool_cols(a);
    const POOL_IN *x = (const POOL_IN *)a->x + begin * a->h * a->w;
    POOL_OUT *y = (POOL_OUT *)a->y + begin * a->oh * a->ow;
    for (int64_t p = begin; p < end; p++) {
        for (int64_t oy = 0; oy < a->oh; oy++) {
            const itr_pool_window v = itr_pool_at(&rows, oy, a->count_include_pad);
            POOL_LOCAL(row)(&cols, &v, rows.dilation, x, y);
            POOL_SCALE(&cols, v.count, a->count_include_pad, y);
            y += a->ow;
        }
        x += a->h * a->w;
    }
}

void POOL_SUM(const itr_pool_args *a)
{
    itr_pool_args own = *a;
    itr_parallel(a->pool, a->planes, itr_pool_grain(a->h * a->w), POOL_LOCAL(sum_planes), &own);
}

/** Adds g to every element of one window. */
static void POOL_LOCAL(spread)(const itr_pool_axis *rows, const itr_pool_axis *cols,
                               const itr_pool_window *v, const itr_pool_window *u, POOL_OUT g,
                               POOL_OUT *dx)
{
    for (int64_t ky = v->first; ky < v->end; ky++) {
        POOL_OUT *line = dx + (v->start + ky * rows->dilation) * cols->n + u->start;
        for (int64_t kx = u->first; kx < u->end; kx++) {
            line[kx * cols->dilation] += g;
        }
    }
}

static void POOL_LOCAL(grad_planes)(void *user, int64_t begin, int64_t end)
{
    const itr_pool_args *a = (const itr_pool_args *)user;
    const itr_pool_axis rows = itr_pool_rows(a), cols = itr_pool_cols(a);
    const POOL_IN *dy = (const POOL_IN *)a->x + begin * a->oh * a->ow;
    POOL_OUT *dx = (POOL_OUT *)a->y + begin * a->h * a->w;
    memset(dx, 0, (size_t)((end - begin) * a->h * a->w) * sizeof *dx);
    for (int64_t p = begin; p < end; p++) {
        for (int64_t oy = 0; oy < a->oh; oy++) {
            const itr_pool_window v = itr_pool_at(&rows, oy, a->count_include_pad);
            for (int64_t ox = 0; ox < a->ow; ox++) {
                const itr_pool_window u = itr_pool_at(&cols, ox, a->count_include_pad);
                const POOL_OUT g = (POOL_OUT)*dy++ * POOL_WEIGHT(v.count * u.count);
                POOL_LOCAL(spread)(&rows, &cols, &v, &u, g, dx);
            }
        }
        dx += a->h * a->w;
    }
}

void POOL_SUM_GRAD(const itr_pool_args *a)
{
    itr_pool_args own = *a;
    itr_parallel(a->pool, a->planes, itr_pool_grain(a->h * a->w), POOL_LOCAL(grad_planes), &own);
}

#undef POOL_SUM
#undef POOL_SUM_GRAD
#undef POOL_IN
#undef POOL_OUT
#undef POOL_WEIGHT
#undef POOL_SCALE
#undef POOL_LOCAL
