/**
 * The range of a sum without looking at all of it (requant_sum.h). Of one term the extremes of x in
 * each slice are known, from the kernel that made x or one that has read it; f and c are the same
 * all along a slice. Where nothing else changes there, the sum grows or falls with that x:
 *
 *     V = x f + g:       max |V| = max over the slices of |V(least x)|, |V(greatest x)|
 *
 * Where others change as well, their bits bound them, and so the extremes of x say between which
 * numbers max |V| lies:
 *
 *     V = x f + g + z:   max |V| <= max |x f + g| + |z|,  max |V| >= max |x f + g| - |z|
 *
 * with the maxima over slices and extremes, |z| each slice's bound. Often both give one exponent:
 * in the gradient of a normalisation, what depends on x is small. Then the first pass goes over
 * two elements a slice instead of all. Where terms are rounded at random before they are added,
 * elements with the same x differ, and it cannot.
 */

/** A sum over the extremes of slices. */
typedef struct slices {
    itr_requant_args a;
    itr_term term[2 * MAX_TERMS]; /**< the terms, and their factors behind them */
    int64_t bound[MAX_TERMS];     /**< x of terms that change along a slice */
    uint32_t changes;             /**< those terms, a bit each */
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

/** Term t of a sum over slices; x is its bound where it changes along them. */
static void add_slices_term(const itr_requant_args *a, slices *s, int t)
{
    const itr_term *own = &a->terms[t];
    bool changes = false;
    s->term[t] = term_of_slices(a, own);
    if (own->f) {
        s->term[MAX_TERMS + t] = term_of_slices(a, own->f);
        s->term[t].f = &s->term[MAX_TERMS + t];
    }
    for (int i = 0; i < a->rank; i++) {
        changes =
            changes || ((a->extremes_axes >> i & 1) != 0 && own->stride[i] != 0 && a->shape[i] > 1);
    }
    if (changes && t != a->extremes_term) {
        s->changes |= (uint32_t)1 << t;
        s->bound[t] = itr_shl64(1, own->bits) - 1;
        s->term[t].x = &s->bound[t];
        s->term[t].dtype = ITR_I64;
        memset(s->term[t].stride, 0, sizeof s->term[t].stride);
    }
}

/** One of the axes that a slice goes along has two elements, the extremes; the others have one. */
static void slices_of(const itr_requant_args *a, slices *s)
{
    int64_t n = 1;
    int pair = 0;
    s->a = *a;
    s->a.terms = s->term;
    s->changes = 0;
    for (int t = 0; t < a->terms_count; t++) {
        add_slices_term(a, s, t);
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

/** The terms of the sum that change along slices, a bit each in the order of s->op; false: some
 * term is rounded at random, or one of those at all. */
static bool changing_terms(const slices *by, const sum *s, uint32_t *changing)
{
    *changing = 0;
    for (int t = 0; t < s->terms; t++) {
        const operand *o = &s->op[t];
        const bool changes = (by->changes >> (o->draw - 1) & 1) != 0;
        if (o->e_min < s->e && (s->mode.stochastic || changes)) {
            return false;
        }
        *changing |= changes ? (uint32_t)1 << t : 0;
    }
    return true;
}

/** v[i] = the sum of |terms whose bit is set| of a joint run. */
static void add_sizes(const sum *s, const cursor *c, uint32_t which, int n, int64_t *v)
{
    memset(v, 0, (size_t)n * sizeof *v);
    for (int t = 0; t < s->terms; t++) {
        int64_t own[BLOCK];
        if ((which >> t & 1) != 0) {
            memset(own, 0, (size_t)n * sizeof *own);
            add_terms64(s, c, (uint32_t)1 << t, c->i, own);
            for (int i = 0; i < n; i++) {
                v[i] += (int64_t)itr_abs64(own[i]);
            }
        }
    }
}

/** The largest magnitude of the sum is at least `low` and at most `high`. False: see above. */
static bool slice_bounds(const slices *by, const sum *s, uint64_t *low, uint64_t *high)
{
    uint32_t changing = 0;
    cursor c;
    *low = *high = 0;
    if (!changing_terms(by, s, &changing)) {
        return false;
    }
    start_at(s, 0, &c);
    while (s->terms > 0 && c.i < s->n) {
        int64_t v[BLOCK], size[BLOCK];
        const int64_t left = s->n - c.i;
        const int n = joint_run(s, &c, left < BLOCK ? (int)left : BLOCK);
        memset(v, 0, (size_t)n * sizeof *v);
        add_terms64(s, &c, ~changing, c.i, v);
        add_sizes(s, &c, changing, n, size);
        for (int i = 0; i < n; i++) {
            const uint64_t own = itr_abs64(v[i]), other = (uint64_t)size[i];
            *high = own + other > *high ? own + other : *high;
            *low = own > other && own - other > *low ? own - other : *low;
        }
        c.i += n;
    }
    return true;
}

/* ---- the extremes of a term ---- */

/** What threads find of a term's x. */
typedef struct finder {
    const operand *o;
    itr_pool *pool;
    int64_t low, high;
} finder;

/** The extremes of a run. */
static void run_extremes(const operand *o, const run *r, int64_t found[2])
{
    const unsigned char *x = (const unsigned char *)o->term->x + r->x * o->width;
    if (o->width == 1) {
        extremes8((const int8_t *)x, r->n, found);
    } else if (o->width == 2) {
        extremes16((const int16_t *)(const void *)x, r->n, found);
    } else if (o->width == 4) {
        extremes32((const int32_t *)(const void *)x, r->n, found);
    } else {
        found[0] = INT64_MAX;
        found[1] = INT64_MIN;
        for (int i = 0; i < r->n; i++) {
            const int64_t v = itr_term_integer(o->term, r->x + i * o->x.stride[0]);
            found[0] = v < found[0] ? v : found[0];
            found[1] = v > found[1] ? v : found[1];
        }
    }
}

static void find_part(void *user, int64_t begin, int64_t end)
{
    finder *p = (finder *)user;
    int64_t low = INT64_MAX, high = INT64_MIN;
    run r = run_at(p->o, begin);
    for (int64_t i = begin; i < end; i += r.n) {
        int64_t found[2];
        next_run(p->o, &r, end - i < LONGEST ? (int)(end - i) : LONGEST);
        run_extremes(p->o, &r, found);
        low = found[0] < low ? found[0] : low;
        high = found[1] > high ? found[1] : high;
    }
    itr_pool_lock(p->pool);
    p->low = low < p->low ? low : p->low;
    p->high = high > p->high ? high : p->high;
    itr_pool_unlock(p->pool);
}

static void put_integer(itr_dtype type, void *to, int64_t at, int64_t v)
{
    switch (type) {
    case ITR_U8:
        ((uint8_t *)to)[at] = (uint8_t)v;
        break;
    case ITR_I8:
        ((int8_t *)to)[at] = (int8_t)v;
        break;
    case ITR_I16:
        ((int16_t *)to)[at] = (int16_t)v;
        break;
    case ITR_I32:
        ((int32_t *)to)[at] = (int32_t)v;
        break;
    case ITR_I64:
        ((int64_t *)to)[at] = v;
        break;
    case ITR_F32: /* not an operand of integer sums */
        break;
    }
}

/** a->found = the extremes of the only term, which has a result to begin with. */
static void find_extremes(const itr_requant_args *a)
{
    const operand o = operand_of(&a->terms[0], a->rank, a->shape, 1);
    finder p = {.o = &o, .pool = a->pool, .low = INT64_MAX, .high = INT64_MIN};
    int64_t n = 1;
    for (int i = 0; i < a->rank; i++) {
        n *= a->shape[i];
    }
    itr_parallel(a->pool, n, GRAIN, find_part, &p);
    put_integer(a->terms[0].dtype, a->found, 0, p.low);
    put_integer(a->terms[0].dtype, a->found, 1, p.high);
}
