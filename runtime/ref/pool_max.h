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

/**
 * The same where every window lies inside, `taps` taps a row: a key holds the element above the
 * place of its tap, counted backwards, so that the largest key is that of the first maximum.
 */
static inline void POOL_LOCAL(keys)(const itr_pool_axis *rows, const itr_pool_axis *cols,
                                    int64_t start, int32_t high, int32_t taps, const POOL_IN *x,
                                    POOL_IN *restrict y, int32_t *restrict index)
{
    const int32_t last = high * taps - 1;
    for (int64_t i = 0; i < cols->windows; i++) {
        const int64_t at = start * cols->n + i * cols->stride;
        int32_t best = INT32_MIN;
        for (int32_t ky = 0; ky < high; ky++) {
            const POOL_IN *line = x + at + ky * rows->dilation * cols->n;
            for (int32_t kx = 0; kx < taps; kx++) {
                const int32_t key = line[kx * cols->dilation] * ITR_POOL_TAPS + last;
                const int32_t k = key - ky * taps - kx;
                best = k > best ? k : best;
            }
        }
        y[i] = (POOL_IN)(best >> ITR_POOL_TAP_BITS);
        if (index) {
            const int32_t tap = last - (best & (ITR_POOL_TAPS - 1)), row = tap / taps;
            index[i] = (int32_t)(at + row * rows->dilation * cols->n +
                                 (tap - row * taps) * cols->dilation);
        }
    }
}

/**
 * `lines` lines of windows that halve both axes, `width` each, from a plane of `pitch` columns: the
 * larger of each column's two, with the place of its tap counted backwards as in `keys`, then of
 * neighbours. `at`: of the first tap in the plane; first[i]: of window i's from there.
 */
static void POOL_LOCAL(halve)(const POOL_IN *restrict x, int32_t at, const int32_t *restrict first,
                              int64_t pitch, int64_t width, int64_t lines, POOL_IN *restrict y,
                              int32_t *restrict index)
{
    _Alignas(64) int32_t key[ITR_POOL_LINE];
    for (int64_t l = 0; l < lines; l++) {
        const POOL_IN *restrict top = x + at + 2 * l * pitch;
        const POOL_IN *restrict bottom = top + pitch;
        int32_t *restrict k = key + 2 * l * width;
        for (int64_t i = 0; i < 2 * width; i++) {
            const int32_t a = top[i] * 4 + 3, b = bottom[i] * 4 + 1;
            k[i] = a > b ? a : b;
        }
    }
    const int32_t down = (int32_t)pitch;
    const int64_t indices = index ? lines * width : 0;
    for (int64_t i = 0; i < lines * width; i++) {
        const int32_t a = key[2 * i], b = key[2 * i + 1] - 1;
        key[i] = a > b ? a : b;
        y[i] = (POOL_IN)(key[i] >> 2);
    }
    for (int64_t i = 0; i < indices; i++) {
        const int32_t tap = 3 - (key[i] & 3);
        index[i] = at + first[i] + (tap >> 1) * down + (tap & 1);
    }
}

/** Planes [begin, end) of such windows, a part of their lines at a time. */
static void POOL_LOCAL(halve_planes)(const itr_pool_args *a, const POOL_IN *x, POOL_IN *y,
                                     int32_t *index, int64_t planes)
{
    int32_t first[ITR_POOL_LINE / 2];
    const int64_t most = itr_pool_least(ITR_POOL_LINE / (2 * a->ow), a->oh), pitch = a->w;
    for (int64_t i = 0; i < most * a->ow; i++) {
        first[i] = (int32_t)(2 * (i / a->ow * pitch + i % a->ow));
    }
    for (int64_t i = 0; i < planes * a->oh;) {
        const int64_t oy = i % a->oh, lines = itr_pool_least(most, a->oh - oy), to = i * a->ow;
        POOL_LOCAL(halve)
        (x + i / a->oh * a->h * pitch, (int32_t)(2 * oy * pitch), first, pitch, a->ow, lines,
         y + to, index ? index + to : NULL);
        i += lines;
    }
}

static void POOL_LOCAL(max_planes)(void *user, int64_t begin, int64_t end)
{
    const itr_pool_args *a = (const itr_pool_args *)user;
    const itr_pool_axis rows = itr_pool_rows(a), cols = itr_pool_cols(a);
    const POOL_IN *x = (const POOL_IN *)a->x + begin * a->h * a->w;
    POOL_IN *y = (POOL_IN *)a->y + begin * a->oh * a->ow;
    int32_t *index = a->index ? (int32_t *)a->index + begin * a->oh * a->ow : NULL;
    const bool inside = itr_pool_inside(&cols) && rows.taps * cols.taps <= ITR_POOL_TAPS;
    if (itr_pool_halves(&rows) && itr_pool_halves(&cols)) {
        POOL_LOCAL(halve_planes)(a, x, y, index, end - begin);
        return;
    }
    for (int64_t p = begin; p < end; p++) {
        for (int64_t oy = 0; oy < a->oh; oy++) {
            const itr_pool_window v = itr_pool_at(&rows, oy, false);
            if (inside && v.first == 0 && v.end == rows.taps) {
                POOL_LOCAL(keys)
                (&rows, &cols, v.start, (int32_t)rows.taps, (int32_t)cols.taps, x, y, index);
            } else {
                POOL_LOCAL(row)(&cols, &v, rows.dilation, x, y, index);
            }
            y += a->ow;
            index = index ? index + a->ow : NULL;
        }
        x += a->h * a->w;
    }
}

void POOL_MAX(const itr_pool_args *a)
{
    itr_pool_args own = *a;
    itr_parallel(a->pool, a->planes, itr_pool_grain(a->h * a->w), POOL_LOCAL(max_planes), &own);
}

static void POOL_LOCAL(grad_planes)(void *user, int64_t begin, int64_t end)
{
    const itr_maxpool_grad_args *a = (const itr_maxpool_grad_args *)user;
    const POOL_IN *dy = (const POOL_IN *)a->dy + begin * a->plane_out;
    const int32_t *index = (const int32_t *)a->index + begin * a->plane_out;
    int32_t *dx = (int32_t *)a->dx + begin * a->plane_in;
    memset(dx, 0, (size_t)((end - begin) * a->plane_in) * sizeof *dx);
    for (int64_t p = begin; p < end; p++) {
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

void POOL_MAX_GRAD(const itr_maxpool_grad_args *a)
{
    itr_maxpool_grad_args own = *a;
    itr_parallel(a->pool, a->planes, itr_pool_grain(a->plane_in), POOL_LOCAL(grad_planes), &own);
}

#undef POOL_MAX
#undef POOL_MAX_GRAD
#undef POOL_IN
#undef POOL_LOWEST
#undef POOL_LOCAL
