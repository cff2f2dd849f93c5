/**
 * The division of Adam, RMSprop and Adagrad in the float32 trainer: as optim.c, in double, rounded
 * to float once. A divisor of 0 gives what a division by 0 gives.
 */
#include <math.h>

#include "../kernel.h"

void itr_root_div_f32_ref(const itr_root_div_args *a)
{
    const float *x = (const float *)a->x;
    const float *v = (const float *)a->v;
    float *y = (float *)a->y;
    const double t = (double)a->rng->step + (double)a->first;
    const double root = t > 0 ? sqrt(1 - pow(a->beta2, t)) : 1;
    const double k = t > 0 ? root / (1 - pow(a->beta1, t)) : 1;
    const double eps = a->eps_hat ? a->eps : a->eps * root;
    for (int64_t i = 0; i < a->n; i++) {
        y[i] = (float)(k * (double)x[i] / (sqrt((double)v[i]) + eps));
    }
}
