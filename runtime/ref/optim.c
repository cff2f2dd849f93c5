/**
 * The division of Adam, RMSprop and Adagrad: y = k * x / (sqrt(v) + eps'), where for step t
 * k = sqrt(1 - beta2^t) / (1 - beta1^t) and eps' = eps * sqrt(1 - beta2^t), with eps_hat eps
 * itself; without betas (0) and in a step 0 they are 1 and eps. t is first + rng->step.
 *
 * Shapes   x, v, y [n]
 * Units    x at *e_x, v at *e_v; y at *e_y, which is the same for all elements and depends on *e_x,
 *          *e_v and t alone
 * Range    |x| <= 32767; v > 0, and anything else counts as one stored unit, so the divisor is at
 *          least that; |y| < 2^31. The error is half a unit of y, plus 2^-15 relative
 * Aliasing y may be v; y overlaps nothing else
 * Errors   rng->status = ITR_DIVERGED when |*e_y| leaves 2^20
 * Source   Kingma, Ba: Adam (ICLR 2015), in the form of torch.optim.Adam; NUMERICS.md, "Roots"
 */
#include "../core.h"
#include "../kernel.h"
#include "../numeric.h"
#include "../pool.h"

#define EXPONENT_RANGE (1 << 20)

enum { GRAIN = 4096 }; /* elements that are worth a thread */

/** k and eps' of a step: numbers m * 2^e. */
typedef struct correction {
    uint64_t k; /**< 15 bits */
    uint64_t eps;
    int64_t k_e, eps_e;
} correction;

static correction correction_of(const itr_root_div_args *a)
{
    const int64_t t = (int64_t)a->rng->step + a->first;
    const itr_scalar none = {0, 0}, beta1 = {a->beta1_m, a->beta1_e},
                     beta2 = {a->beta2_m, a->beta2_e};
    const itr_scalar c1 = itr_one_minus_power(t > 0 ? beta1 : none, t > 0 ? t : 1);
    const itr_scalar c2 = itr_one_minus_power(t > 0 ? beta2 : none, t > 0 ? t : 1);
    const int up = (c2.e & 1) != 0 ? 31 : 30; /* so that the exponent below the root is even */
    const uint64_t root = itr_isqrt64((uint64_t)c2.m << up);
    const int64_t root_e = ((int64_t)c2.e - up) / 2;
    uint64_t k = (root << 31) / (uint64_t)c1.m; /* 2^30 < k < 2^32 */
    const int s = itr_bitlen64(k) - 15;
    k = (k + ((uint64_t)1 << (s - 1))) >> s;
    correction c = {.k = k, .k_e = root_e - 31 - c1.e + s};
    if (k >> 15) { /* rounded up to the next power of two */
        c.k = k >> 1;
        c.k_e++;
    }
    c.eps = a->eps_hat ? (uint64_t)a->eps_m : (uint64_t)a->eps_m * root;
    c.eps_e = a->eps_hat ? a->eps_e : a->eps_e + root_e;
    return c;
}

/** What the elements share: y = |x| * k * 2^up / ((sqrt(v * 2^v_up) >> down) + eps). */
typedef struct grid {
    int v_up, down, up;
    uint64_t eps;
    int64_t e_y;
} grid;

/** p * 2^s to nearest; 0 where it is below 1/2; below 2^48 by the caller's choice of s. */
static uint64_t at_grid(uint64_t p, int64_t s)
{
    if (p == 0 || s < -63) {
        return 0;
    }
    return s >= 0 ? p << s : (p >> -s) + (p >> (-s - 1) & 1);
}

static grid grid_of(const itr_root_div_args *a, const correction *c)
{
    grid g = {.v_up = (*a->e_v & 1) != 0 ? 31 : 30, .up = 16};
    const int64_t root_e = ((int64_t)*a->e_v - g.v_up) / 2;
    const int64_t bits = c->eps == 0 ? 0 : itr_bitlen64(c->eps) + c->eps_e - root_e;
    const int64_t down = bits > 47 ? bits - 47 : 0;
    g.down = down < 63 ? (int)down : 63;
    g.eps = at_grid(c->eps, c->eps_e - root_e - down);
    /* a large eps leaves room for more bits of the quotient */
    const int more = itr_bitlen64(g.eps) - 31;
    g.up += more <= 0 ? 0 : more < 16 ? more : 16;
    g.e_y = *a->e_x + c->k_e - (root_e + down) - g.up;
    return g;
}

static int32_t quotient(const grid *g, uint64_t k, int32_t x, int32_t v)
{
    const uint64_t n = (uint64_t)(v > 0 ? v : 1) << g->v_up;
    const uint64_t d = ((uint64_t)itr_isqrt64(n) >> g->down) + g->eps;
    const uint64_t q = ((itr_abs64(x) * k << g->up) + (d >> 1)) / d;
    return x < 0 ? -(int32_t)q : (int32_t)q;
}

/** What the parts of a loop share. */
typedef struct loop {
    const itr_root_div_args *a;
    grid g;
    uint64_t k;
} loop;

static void part(void *user, int64_t begin, int64_t end)
{
    const loop *l = (const loop *)user;
    const int16_t *x = (const int16_t *)l->a->x;
    const int32_t *v = (const int32_t *)l->a->v;
    int32_t *y = (int32_t *)l->a->y;
    for (int64_t i = begin; i < end; i++) {
        y[i] = quotient(&l->g, l->k, x[i], v[i]);
    }
}

void itr_root_div_i16i32i32_ref(const itr_root_div_args *a)
{
    const correction c = correction_of(a);
    loop l = {a, grid_of(a, &c), c.k};
    itr_parallel(a->pool, a->n, GRAIN, part, &l);
    const int64_t e = l.g.e_y;
    if ((e > EXPONENT_RANGE || e < -EXPONENT_RANGE) && a->rng->status == ITR_OK) {
        a->rng->status = ITR_DIVERGED;
    }
    *a->e_y = (int32_t)(e > EXPONENT_RANGE    ? EXPONENT_RANGE
                        : e < -EXPONENT_RANGE ? -EXPONENT_RANGE
                                              : e);
}
