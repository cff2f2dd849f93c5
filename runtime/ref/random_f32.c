#include "noise.h"

/** The numbers of itr_noise_i16_ref, as floats. */
void itr_noise_f32_ref(const itr_noise_args *a)
{
    float *y = (float *)a->y;
    const float unit = 1.0f / (float)(1 << (a->normal ? NOISE_NORMAL_BITS : NOISE_UNIFORM_BITS));
    int16_t block[NOISE_BLOCK];
    for (int64_t i = 0; i < a->n; i += NOISE_BLOCK) {
        const int count = (int)(a->n - i < NOISE_BLOCK ? a->n - i : NOISE_BLOCK);
        noise_fill(a, i, count, block);
        for (int j = 0; j < count; j++) {
            y[i + j] = (float)block[j] * unit;
        }
    }
}
