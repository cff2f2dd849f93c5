/**
 * The range of a sum without looking at all of it (requant_sum.h). Where one term alone changes
 * within a slice, by a factor that is the same all along, the sum grows or falls with that term's
 * x: its extremes are those at the extremes of x, which the kernel that made x, or a kernel that
 * read it, has found on its way.
 *
 *     x * f + g, f and g of the slice:   max |V| = max over the slices of |V(least)|, |V(greatest)|
 *
 * So the first pass goes over two elements a slice instead of all, and finds the same. Where terms
 * are rounded at random before they are added, elements with the same x differ, and it cannot.
 */

/** A sum over the extremes of slices. */
typedef struct slices {
    itr_requant_args a;
    itr_term term[2 * MAX_TERMS]; /**< the terms, and their factors behind them */
} slices;

/** t without the axes that slices go along, where it repeats. */
static itr_term term_of_slices(const itr_requant_args *a, const itr_term *t)
{
    itr_term r = *t;
    for (int i = 0; i < a->rank; i++) {
        if ((a->extremes_axes >> i & 1) != 0) {
            r.stride[i] = r.e_stride[i] = 0;
        }
    }
    return r;
}

/** One of the axes that a slice goes along has two elements, the extremes; the others have one. */
static void slices_of(const itr_requant_args *a, slices *s)
{
    int64_t n = 1;
    int pair = 0;
    s->a = *a;
    s->a.terms = s->term;
    for (int t = 0; t < a->terms_count; t++) {
        s->term[t] = term_of_slices(a, &a->terms[t]);
        if (a->terms[t].f) {
            s->term[MAX_TERMS + t] = term_of_slices(a, a->terms[t].f);
            s->term[t].f = &s->term[MAX_TERMS + t];
        }
    }
    itr_term *x = &s->term[a->extremes_term];
    x->x = a->extremes;
    for (int i = a->rank - 1; i >= 0; i--) {
        if ((a->extremes_axes >> i & 1) != 0) {
            s->a.shape[i] = 1;
            pair = i;
        } else if (x->stride[i] != 0) {
            x->stride[i] = n;
            n *= a->shape[i];
        }
    }
    s->a.shape[pair] = 2;
    x->stride[pair] = n;
}

/** Some term is rounded by random numbers, which differ along a slice. */
static bool rounds_at_random(const sum *s)
{
    bool any = false;
    for (int t = 0; t < s->terms; t++) {
        any = any || s->op[t].e_min < s->e;
    }
    return any && s->mode.stochastic;
}
