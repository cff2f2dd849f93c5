/**
 * The portable kernels that round sums (requant_sum.h), and the gradient grid.
 * NUMERICS.md, "Requantisation" and "Micro-batches", is the specification.
 */
#include "../core.h"
#include "requant_sum.h"

/* ---- the gradient grid ---- */

/** Largest magnitude's bit length of an operand's mantissas, without the coefficient. */
static int operand_bits(const operand *o, int64_t n)
{
    uint64_t all = 0;
    for (int64_t i = 0; i < n; i += BLOCK) {
        int64_t x[BLOCK] = {0};
        const int count = (int)(n - i < BLOCK ? n - i : BLOCK);
        add64(o->term, x, i, 1, count, 1);
        for (int j = 0; j < count; j++) {
            all |= itr_abs64(x[j]);
        }
    }
    return itr_bitlen64(all);
}

/** acc += c * x * 2^gap. False when a sum leaves 62 bits. */
static bool accumulate(const mode *m, const operand *o, int64_t n, int64_t gap, int64_t *acc)
{
    uint64_t all = 0;
    for (int64_t i = 0; i < n; i += BLOCK) {
        int64_t v[BLOCK] = {0};
        const run r = {.x = i, .n = (int)(n - i < BLOCK ? n - i : BLOCK)};
        if (gap >= 0) {
            add64(o->term, v, i, 1, r.n, itr_shl64(o->term->c.m, (int)gap));
        } else {
            add_rounded(m, o, &r, i, -gap, v);
        }
        for (int j = 0; j < r.n; j++) {
            acc[i + j] = itr_wrap_add64(acc[i + j], v[j]);
            all |= itr_abs64(acc[i + j]);
        }
    }
    return itr_bitlen64(all) <= HEADROOM;
}

/**
 * acc (i64, exponent *e_grid) += the term's mantissas, aligned to the grid; acc is zeroed before
 * where `first`. A grid that is not set (INT32_MIN) is set from the term, unless that is zero.
 *
 * Shapes   n elements, dense; one term with one exponent
 * Range    c * x and every sum within 62 bits
 * Aliasing acc overlaps nothing
 * Errors   rng->status = ITR_DIVERGED beyond that range; acc is undefined then
 * Source   NUMERICS.md, "Micro-batches"
 */
void itr_grid_add_ref(const itr_grid_add_args *a)
{
    int64_t *acc = (int64_t *)a->acc;
    const mode m = mode_of(a->rng, a->site, ITR_ROUND_STOCHASTIC, false);
    const int64_t shape[1] = {a->n};
    itr_term term = a->terms[0];
    for (int i = 0; i < ITR_MAX_RANK; i++) {
        term.stride[i] = i == 0;
        term.e_stride[i] = 0;
    }
    const operand o = operand_of(&term, 1, shape, 0);
    for (int64_t i = 0; i < a->n && a->first; i++) {
        acc[i] = 0;
    }
    const int bits = o.zero || a->n == 0 ? 0 : operand_bits(&o, a->n);
    if (bits == 0) {
        return;
    }
    if (bits + coefficient_bits(term.c.m) > HEADROOM) {
        itr_fail_step(a->rng, ITR_DIVERGED);
        return;
    }
    if (*a->e_grid == ITR_EXPONENT_UNSET) {
        itr_set_exponent(a->rng, a->e_grid, o.e_min + bits - 1 - ITR_GRID_BITS);
    }
    const int64_t gap = o.e_min - *a->e_grid;
    if (gap + bits + coefficient_bits(term.c.m) > HEADROOM || !accumulate(&m, &o, a->n, gap, acc)) {
        itr_fail_step(a->rng, ITR_DIVERGED);
    }
}
