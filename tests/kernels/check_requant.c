/*
 * Variants that round sums: whatever the terms are (types, factors, strides, places, exponents a
 * slice, coefficients), they equal the portable kernel, with threads, at blocks of another length;
 * and with the extremes of a term they equal what they are without.
 */
#include "runtime/ref/exponent.h"
#include "runtime/ref/term.h"
#include "variants.h"

enum { RANK = 4, ROOM = 1 << 16, MOST = 4 };

static unsigned char mantissas[2 * MOST][ROOM * 8];
static int32_t exponents[2 * MOST][64];
static unsigned char extremes[2 * ROOM * 8];
static itr_term factors[MOST];

/** A tensor over the shape; unless `dense`, axes may repeat and have exponents of their own. */
static itr_term tensor(int k, const int64_t *shape, bool factor, bool dense)
{
    static const itr_dtype types[] = {ITR_I8, ITR_I16, ITR_I32, ITR_U8, ITR_I64};
    itr_term t = {.x = mantissas[k], .e = exponents[k], .c = {1, 0}};
    t.dtype = types[random_in(0, random_in(0, 3) ? 2 : 4)];
    t.bits = t.dtype == ITR_I8    ? 7
             : t.dtype == ITR_U8  ? 8
             : t.dtype == ITR_I16 ? 15
                                  : (int32_t)random_in(8, factor ? 16 : 31);
    const int axis = !dense && random_in(0, 2) == 0 ? (int)random_in(0, RANK - 1) : -1;
    int64_t n = 1;
    for (int i = RANK - 1; i >= 0; i--) {
        const bool repeats = !dense && random_in(0, factor ? 1 : 5) == 0;
        t.stride[i] = repeats ? 0 : n;
        n *= repeats ? 1 : shape[i];
        t.e_stride[i] = i == axis && !repeats && shape[i] <= 64;
    }
    for (int64_t i = 0; i < n; i++) {
        const int64_t limit = ((int64_t)1 << t.bits) - 1;
        const int64_t v = t.dtype == ITR_U8 ? random_in(0, 255) : random_in(-limit, limit);
        const size_t width = itr_dtype_size(t.dtype);
        const int8_t v8 = (int8_t)v;
        const int16_t v16 = (int16_t)v;
        const int32_t v32 = (int32_t)v;
        memcpy(mantissas[k] + (size_t)i * width,
               width == 1   ? (const void *)&v8
               : width == 2 ? (const void *)&v16
               : width == 4 ? (const void *)&v32
                            : (const void *)&v,
               width);
    }
    for (int i = 0; i < 64; i++) {
        exponents[k][i] =
            random_in(0, 60) == 0 ? ITR_EXPONENT_UNSET : (int32_t)random_in(-12, random_in(-12, 9));
    }
    return t;
}

static void terms_of(itr_term *t, int n, const int64_t *shape)
{
    for (int k = 0; k < n; k++) {
        t[k] = tensor(k, shape, false, false);
        t[k].c.m = random_in(0, 1) ? 1 : (int32_t)random_in(-32767, 32767);
        if (random_in(0, 2) == 0) {
            factors[k] = tensor(MOST + k, shape, true, false);
            t[k].f = &factors[k];
        } else if (random_in(0, 4) == 0) { /* a place along an axis with shared exponents */
            const int i = (int)random_in(0, RANK - 1);
            t[k].extent[i] = random_in(1, shape[i]);
            t[k].begin[i] = random_in(0, shape[i] - t[k].extent[i]);
            t[k].e_stride[i] = 0;
        }
    }
}

/** What an optimizer adds: dense terms of one exponent each, up to 40 bits apart. */
static void far_terms_of(itr_term *t, int n, const int64_t *shape)
{
    for (int k = 0; k < n; k++) {
        t[k] = tensor(k, shape, false, true);
        t[k].c.m = random_in(0, 2) == 0 ? 1 << random_in(0, 14) : (int32_t)random_in(-32767, 32767);
        t[k].c.e = (int32_t)random_in(-20, 0);
        exponents[k][0] = (int32_t)random_in(-12, 9);
    }
}

/** Leaves of a dense tensor what lies along axis 1. */
static void keep_slices(itr_term *t)
{
    for (int i = 0; i < RANK; i++) {
        t->stride[i] = i == 1;
    }
}

/** What normalisation adds: dense terms with a factor a slice of axis 1, and numbers a slice. */
static void sliced_terms_of(itr_term *t, int n, const int64_t *shape)
{
    for (int k = 0; k < n; k++) {
        t[k] = tensor(k, shape, false, true);
        exponents[k][0] = (int32_t)random_in(-3, 3);
        if (random_in(0, 2) == 0) {
            keep_slices(&t[k]);
        } else if (random_in(0, 2) > 0) {
            factors[k] = tensor(MOST + k, shape, true, true);
            keep_slices(&factors[k]);
            exponents[MOST + k][0] = (int32_t)random_in(-3, 3);
            t[k].f = &factors[k];
        }
    }
}

static void repeat_along(itr_term *t, uint32_t axes)
{
    for (int i = 0; i < RANK; i++) {
        if ((axes >> i & 1) != 0) {
            t->stride[i] = t->e_stride[i] = 0;
        }
        t->begin[i] = t->extent[i] = 0;
    }
}

/** The extremes of a term along some axes, along which factors repeat, and most of the others. */
static void find_extremes(itr_requant_args *a, itr_term *terms)
{
    itr_term *t = &terms[a->extremes_term = (int32_t)random_in(0, a->terms_count - 1)];
    const int64_t all = a->shape[0] * a->shape[1] * a->shape[2] * a->shape[3];
    const size_t width = itr_dtype_size(t->dtype);
    int64_t slices = 1;
    a->extremes_axes = (int32_t)random_in(1, (1 << RANK) - 1);
    for (int k = 0; k < a->terms_count; k++) {
        const itr_term own = terms[k];
        const bool changes = &terms[k] == t || random_in(0, 3) == 0;
        repeat_along(&terms[k], (uint32_t)a->extremes_axes);
        memcpy(terms[k].stride, own.stride, changes ? sizeof own.stride : 0);
        if (own.f) {
            repeat_along(&factors[k], (uint32_t)a->extremes_axes);
        }
    }
    for (int k = 0; k < a->terms_count; k++) {
        if (&terms[k] != t && random_in(0, 3) == 0) { /* takes away where the term is large */
            terms[k] = *t;
            terms[k].c = (itr_scalar){-t->c.m, t->c.e - (int32_t)random_in(1, 5)};
        }
    }
    for (int i = 0; i < RANK; i++) {
        const bool kept = (a->extremes_axes >> i & 1) == 0 && t->stride[i] != 0;
        slices *= kept ? a->shape[i] : 1;
    }
    bool *seen = calloc((size_t)slices, sizeof *seen);
    for (int64_t k = 0; k < all; k++) {
        int64_t x = 0, slice = 0, step = 1, rest = k;
        for (int i = RANK - 1; i >= 0; rest /= a->shape[i--]) {
            x += rest % a->shape[i] * t->stride[i];
            if ((a->extremes_axes >> i & 1) == 0 && t->stride[i] != 0) {
                slice += rest % a->shape[i] * step;
                step *= a->shape[i];
            }
        }
        itr_term found = *t;
        found.x = extremes;
        const unsigned char *from = (const unsigned char *)t->x + (size_t)x * width;
        if (!seen[slice] || itr_term_integer(t, x) < itr_term_integer(&found, slice)) {
            memcpy(extremes + (size_t)slice * width, from, width);
        }
        if (!seen[slice] || itr_term_integer(t, x) > itr_term_integer(&found, slices + slice)) {
            memcpy(extremes + (size_t)(slices + slice) * width, from, width);
        }
        seen[slice] = true;
    }
    free(seen);
}

/** It fills the result and has one exponent. */
static bool is_whole(const itr_term *t)
{
    bool whole = true;
    for (int i = 0; i < RANK; i++) {
        whole = whole && t->extent[i] == 0 && t->e_stride[i] == 0;
    }
    return whole;
}

/** The extremes of the only term, in its type. */
static void check_found(const itr_requant_args *a, const void *found)
{
    const itr_term *t = &a->terms[0], got = {.x = found, .dtype = t->dtype};
    int64_t low = INT64_MAX, high = INT64_MIN;
    for (int64_t i = 0; i < a->shape[0] * a->shape[1] * a->shape[2] * a->shape[3]; i++) {
        int64_t at = 0, rest = i;
        for (int k = RANK - 1; k >= 0; rest /= a->shape[k--]) {
            at += rest % a->shape[k] * t->stride[k];
        }
        const int64_t x = itr_term_integer(t, at);
        low = x < low ? x : low;
        high = x > high ? x : high;
    }
    assert_int_equal(itr_term_integer(&got, 0), low);
    assert_int_equal(itr_term_integer(&got, 1), high);
}

static void requant(const variant *v)
{
    const int32_t width = (int32_t)atoi(strrchr(v->kernel, 'i') + 1);
    itr_term terms[MOST];
    itr_rng rng = {.seed = random_next(), .step = 3, .status = ITR_OK};
    int32_t e[2] = {(int32_t)random_in(-20, 20), 0};
    itr_requant_args a = {.terms = terms,
                          .terms_count = (int32_t)random_in(1, MOST),
                          .rank = RANK,
                          .bits = random_in(0, 3) ? width : (int32_t)random_in(4, width),
                          .rounding = (int32_t)random_in(0, 2),
                          .optimizer = random_in(0, 3) == 0,
                          .sticky = random_in(0, 3) == 0,
                          .rule = random_in(0, 3) == 0 ? ITR_RULE_BITLENGTH : ITR_RULE_EXACT,
                          .site = 77,
                          .e_y = &e[0],
                          .rng = &rng};
    size_t n = 1;
    const bool sliced = random_in(0, 2) == 0;
    for (int i = 0; i < RANK; i++) {
        a.shape[i] = random_in(1, sliced && i == 1  ? 40
                                  : sliced && i > 1 ? 12
                                  : i == RANK - 1   ? random_in(1, 600)
                                  : i == 0          ? 6
                                                    : 4);
        n *= (size_t)a.shape[i];
    }
    if (sliced) {
        sliced_terms_of(terms, a.terms_count, a.shape);
    } else if (random_in(0, 2) == 0) {
        far_terms_of(terms, a.terms_count, a.shape);
    } else {
        terms_of(terms, a.terms_count, a.shape);
    }
    const bool known = random_in(0, 2) == 0, alone = a.terms_count == 1 && !terms[0].f;
    const int32_t before = e[0];
    int64_t found_x[2] = {0};
    if (known) {
        find_extremes(&a, terms);
    }
    buffer want = buffer_new(n * (size_t)width / 8, 0),
           found = buffer_new(n * (size_t)width / 8, 8);
    itr_pool threads = {0};
    a.y = want.at;
    ((any_call)v->ref)(&a);
    const itr_status status = rng.status;
    itr_pool_resize(&threads, (int32_t)random_in(1, 3));
    for (int k = known ? 0 : 1; k < 2; k++) { /* the portable kernel by extremes, too */
        rng.status = ITR_OK;
        a.extremes = known ? extremes : NULL;
        a.found = !known && alone && is_whole(terms) ? found_x : NULL;
        a.pool = &threads;
        a.y = found.at;
        a.e_y = &e[1];
        e[1] = before;
        ((any_call)(k == 0 ? v->ref : v->run))(&a);
        assert_int_equal(rng.status, status);
        if (status == ITR_OK) {
            assert_int_equal(e[1], e[0]);
            assert_memory_equal(found.at, want.at, want.size);
        }
        buffer_check(&found, v->kernel);
    }
    if (a.found) {
        check_found(&a, found_x);
    }
    itr_pool_resize(&threads, 1);
    buffer_free(&want);
    buffer_free(&found);
}

static void variants_equal_ref(void **state)
{
    (void)state;
    variant v;
    for (int i = 0; variant_at(i, &v); i++) {
        for (int n = 0; n < 400 && strcmp(v.args, "requant") == 0; n++) {
            requant(&v);
        }
    }
}

int main(void)
{
    random_start(6);
    const struct CMUnitTest tests[] = {cmocka_unit_test(variants_equal_ref)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
