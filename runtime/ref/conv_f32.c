/**
 * Convolution and its gradients in the float32 trainer; arguments as in conv.c. Sums are
 * accumulated in double in a fixed order and rounded to float once.
 */
#include "conv_view.h"

#define CONV_NAME direct
#define CONV_IN float
#define CONV_ACC double
#define CONV_OUT float
#include "conv_direct.h"

static void run_view(const itr_conv_args *a, const itr_conv_view *v)
{
    const int64_t f_group = a->m / a->groups * (a->c / a->groups) * a->kh * a->kw;
    for (int64_t i = 0; i < a->n * a->groups; i++) {
        direct(v, (const float *)a->a + i * v->channels * v->x_plane,
               (const float *)a->b + i % a->groups * f_group,
               (float *)a->y + i * v->rows * v->y_plane);
    }
}

void itr_conv_f32_ref(const itr_conv_args *a)
{
    const itr_conv_view v = itr_conv_forward(a);
    run_view(a, &v);
}

void itr_conv_grad_input_f32_ref(const itr_conv_args *a)
{
    for (int64_t py = 0; py < a->stride_h && py < a->h; py++) {
        for (int64_t px = 0; px < a->stride_w && px < a->w; px++) {
            const itr_conv_view v = itr_conv_gradient(a, py, px);
            run_view(a, &v);
        }
    }
}

/** Adds x[i * step] * dy[i], 0 <= i < n, to eight partial sums. */
static void add_run(double *restrict part, const float *x, const float *dy, int64_t n, int64_t step)
{
    int64_t i = 0;
    if (step == 1) {
        for (; i + 8 <= n; i += 8) {
            for (int j = 0; j < 8; j++) {
                part[j] += (double)x[i + j] * (double)dy[i + j];
            }
        }
    }
    for (; i < n; i++) {
        part[i % 8] += (double)x[i * step] * (double)dy[i];
    }
}

/** df of one output channel m, channel c of its group and tap. */
static double tap_sum(const itr_conv_args *a, int64_t m, int64_t c, int64_t ky, int64_t kx)
{
    const int64_t channel = m / (a->m / a->groups) * (a->c / a->groups) + c;
    const itr_conv_axis y =
        itr_conv_axis_forward(a->h, a->oh, a->kh, a->stride_h, a->dilation_h, a->pad_top);
    const itr_conv_axis x =
        itr_conv_axis_forward(a->w, a->ow, a->kw, a->stride_w, a->dilation_w, a->pad_left);
    double part[8] = {0};
    int64_t y_lo, y_hi, x_lo, x_hi;
    itr_conv_inside(&y, ky, &y_lo, &y_hi);
    itr_conv_inside(&x, kx, &x_lo, &x_hi);
    for (int64_t n = 0; n < a->n && x_lo < x_hi; n++) {
        for (int64_t oy = y_lo; oy < y_hi; oy++) {
            const int64_t sy = oy * y.step + y.at0 + ky * y.at_step;
            const int64_t sx = x_lo * x.step + x.at0 + kx * x.at_step;
            add_run(part, (const float *)a->a + ((n * a->c + channel) * a->h + sy) * a->w + sx,
                    (const float *)a->b + ((n * a->m + m) * a->oh + oy) * a->ow + x_lo, x_hi - x_lo,
                    x.step);
        }
    }
    return ((part[0] + part[4]) + (part[1] + part[5])) +
           ((part[2] + part[6]) + (part[3] + part[7]));
}

void itr_conv_grad_weight_f32_ref(const itr_conv_args *a)
{
    float *y = (float *)a->y;
    for (int64_t m = 0; m < a->m; m++) {
        for (int64_t c = 0; c < a->c / a->groups; c++) {
            for (int64_t ky = 0; ky < a->kh; ky++) {
                for (int64_t kx = 0; kx < a->kw; kx++) {
                    *y++ = (float)tap_sum(a, m, c, ky, kx);
                }
            }
        }
    }
}
