/*
 * Max pooling of one type and its gradient; included by pool.c. POOL_MAX, POOL_MAX_GRAD: names of
 * the functions; POOL_IN: the type, POOL_LOWEST: a value below every mantissa.
 */

/** Takes x[i * step] into y[i] and index[i] where it is larger, 0 <= i < n. */
static void POOL_LOCAL(take)(const POOL_IN *restrict x, int64_t step, int64_t n,
                             POOL_IN *restrict y, int32_t *restrict index, int64_t at)
{
    if (!index) {
        for (int64_t i = 0; i < n; i++) {
            y[i] = x[i * step] > y[i] ? x[i * step] : y[i];
        }
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        const bool larger = x[i * step] > y[i];
        y[i] = larger ? x[i * step] : y[i];
        index[i] = larger ? (int32_t)(at + i * step) : index[i];
    }
}

/** A row of windows, one tap after the other: the first of equal elements stays. */
static void POOL_LOCAL(row)(const itr_pool_axis *cols, const itr_pool_window *v, int64_t dilation_h,
                            const POOL_IN *x, POOL_IN *y, int32_t *index)
{
    for (int64_t i = 0; i < cols->windows; i++) {
        y[i] = POOL_LOWEST;
        if (index) {
            index[i] = -1;
        }
    }
    for (int64_t ky = v->first; ky < v->end; ky++) {
        const int64_t line = (v->start + ky * dilation_h) * cols->n;
        for (int64_t kx = 0; kx < cols->taps; kx++) {
            int64_t first, end;
            itr_pool_span(cols, kx, &first, &end);
            const int64_t at = line + first * cols->stride - cols->pad + kx * cols->dilation;
            if (first < end) {
                POOL_LOCAL(take)
                (x + at, cols->stride, end - first, y + first, index ? index + first : NULL, at);
            }
        }
    }
    for (int64_t i = 0; i < cols->windows; i++) {
        y[i] = y[i] == POOL_LOWEST ? 0 : y[i];
    }
}

void POOL_MAX(const itr_pool_args *a)
{
    const itr_pool_axis rows = itr_pool_rows(a), cols = itr_pool_cols(a);
    const POOL_IN *x = (const POOL_IN *)a->x;
    POOL_IN *y = (POOL_IN *)a->y;
    int32_t *index = (int32_t *)a->index;
    for (int64_t p = 0; p < a->planes; p++) {
        for (int64_t oy = 0; oy < a->oh; oy++) {
            const itr_pool_window v = itr_pool_at(&rows, oy, false);
            POOL_LOCAL(row)(&cols, &v, rows.dilation, x, y, index);
            y += a->ow;
            index = index ? index + a->ow : NULL;
        }
        x += a->h * a->w;
    }
}

void POOL_MAX_GRAD(const itr_maxpool_grad_args *a)
{
    const POOL_IN *dy = (const POOL_IN *)a->dy;
    const int32_t *index = (const int32_t *)a->index;
    int32_t *dx = (int32_t *)a->dx;
    memset(dx, 0, (size_t)(a->planes * a->plane_in) * sizeof *dx);
    for (int64_t p = 0; p < a->planes; p++) {
        for (int64_t i = 0; i < a->plane_out; i++) {
            if (index[i] >= 0) {
                dx[index[i]] += dy[i];
            }
        }
        dy += a->plane_out;
        index += a->plane_out;
        dx += a->plane_in;
    }
}

#undef POOL_MAX
#undef POOL_MAX_GRAD
#undef POOL_IN
#undef POOL_LOWEST
#undef POOL_LOCAL
