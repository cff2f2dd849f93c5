/**
 * Pooling of the float32 trainer; shapes, windows and indices as in pool.c. Sums are accumulated in
 * double in a fixed order and rounded to float once. A maximum over numbers of which one is NaN is
 * NaN, so that divergence shows.
 */
#include "pool_window.h"

/** Offset of the maximum in the plane, -1 where the window is empty. */
static int64_t argmax(const itr_pool_args *a, const itr_pool_window *v, const itr_pool_window *u,
                      const float *x)
{
    int64_t best = -1;
    for (int64_t ky = v->first; ky < v->end; ky++) {
        for (int64_t kx = u->first; kx < u->end; kx++) {
            const int64_t at =
                (v->start + ky * a->dilation_h) * a->w + u->start + kx * a->dilation_w;
            if (best < 0 || x[at] > x[best] || (x[at] != x[at] && x[best] == x[best])) {
                best = at;
            }
        }
    }
    return best;
}

void itr_maxpool_f32_ref(const itr_pool_args *a)
{
    const itr_pool_axis rows = itr_pool_rows(a), cols = itr_pool_cols(a);
    const float *x = (const float *)a->x;
    float *y = (float *)a->y;
    int32_t *index = (int32_t *)a->index;
    for (int64_t p = 0; p < a->planes; p++) {
        for (int64_t oy = 0; oy < a->oh; oy++) {
            const itr_pool_window v = itr_pool_at(&rows, oy, false);
            for (int64_t ox = 0; ox < a->ow; ox++) {
                const itr_pool_window u = itr_pool_at(&cols, ox, false);
                const int64_t best = argmax(a, &v, &u, x);
                *y++ = best < 0 ? 0 : x[best];
                if (index) {
                    *index++ = (int32_t)best;
                }
            }
        }
        x += a->h * a->w;
    }
}

void itr_maxpool_grad_f32_ref(const itr_maxpool_grad_args *a)
{
    const float *dy = (const float *)a->dy;
    const int32_t *index = (const int32_t *)a->index;
    float *dx = (float *)a->dx;
    for (int64_t i = 0; i < a->planes * a->plane_in; i++) {
        dx[i] = 0;
    }
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

void itr_avgpool_f32_ref(const itr_pool_args *a)
{
    const itr_pool_axis rows = itr_pool_rows(a), cols = itr_pool_cols(a);
    const float *x = (const float *)a->x;
    float *y = (float *)a->y;
    for (int64_t p = 0; p < a->planes; p++) {
        for (int64_t oy = 0; oy < a->oh; oy++) {
            const itr_pool_window v = itr_pool_at(&rows, oy, a->count_include_pad);
            for (int64_t ox = 0; ox < a->ow; ox++) {
                const itr_pool_window u = itr_pool_at(&cols, ox, a->count_include_pad);
                double sum = 0;
                for (int64_t ky = v.first; ky < v.end; ky++) {
                    const float *line = x + (v.start + ky * rows.dilation) * a->w + u.start;
                    for (int64_t kx = u.first; kx < u.end; kx++) {
                        sum += (double)line[kx * cols.dilation];
                    }
                }
                const int64_t count = v.count * u.count;
                *y++ = (float)(count ? sum / (double)count : 0);
            }
        }
        x += a->h * a->w;
    }
}

/** Windows [*first, *end) that may have a tap at place i. */
static void windows_over(const itr_pool_axis *x, int64_t i, int64_t *first, int64_t *end)
{
    const int64_t reach = (x->taps - 1) * x->dilation, at = i + x->pad;
    *first = at > reach ? (at - reach + x->stride - 1) / x->stride : 0;
    *end = at / x->stride + 1;
    *end = *end < x->windows ? *end : x->windows;
}

/** Whether window o has a tap at place i; o is one of windows_over. */
static bool has_tap(const itr_pool_axis *x, int64_t i, int64_t o)
{
    return (i + x->pad - o * x->stride) % x->dilation == 0;
}

/** The sum of dy / count over the windows that see an element: one rounding an element. */
static double gather(const itr_pool_args *a, const itr_pool_axis *rows, const itr_pool_axis *cols,
                     int64_t iy, int64_t ix, const float *dy)
{
    int64_t oy, oy_end, first, ox_end;
    double sum = 0;
    windows_over(cols, ix, &first, &ox_end);
    for (windows_over(rows, iy, &oy, &oy_end); oy < oy_end; oy++) {
        if (!has_tap(rows, iy, oy)) {
            continue;
        }
        const int64_t high = itr_pool_at(rows, oy, a->count_include_pad).count;
        for (int64_t ox = first; ox < ox_end; ox++) {
            if (has_tap(cols, ix, ox)) {
                const int64_t count = high * itr_pool_at(cols, ox, a->count_include_pad).count;
                sum += (double)dy[oy * a->ow + ox] / (double)count;
            }
        }
    }
    return sum;
}

void itr_avgpool_grad_f32_ref(const itr_pool_args *a)
{
    const itr_pool_axis rows = itr_pool_rows(a), cols = itr_pool_cols(a);
    const float *dy = (const float *)a->x;
    float *dx = (float *)a->y;
    for (int64_t p = 0; p < a->planes; p++) {
        for (int64_t iy = 0; iy < a->h; iy++) {
            for (int64_t ix = 0; ix < a->w; ix++) {
                *dx++ = (float)gather(a, &rows, &cols, iy, ix, dy);
            }
        }
        dy += a->oh * a->ow;
    }
}
