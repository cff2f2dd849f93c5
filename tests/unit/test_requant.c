/** Requantisation and the gradient grid, against one element at a time in 128 bits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/cpu.h"
#include "runtime/kernel.h"
#include "runtime_random.h"

__extension__ typedef __int128 i128;

enum { MAX_N = 3000, TERMS = 8 };

/** Everything that a case needs; operands are stored as int64 and converted for the kernel. Tensor
 * TERMS + t is the factor of term t. */
typedef struct sample {
    itr_term term[2 * TERMS];
    int64_t x[2 * TERMS][MAX_N];
    unsigned char bytes[2 * TERMS][MAX_N * 8];
    int32_t e[2 * TERMS][64];
    itr_requant_args a;
    int64_t n;
    int64_t want[MAX_N];
    int32_t want_e;
    union {
        int8_t i8[MAX_N];
        int16_t i16[MAX_N];
        int32_t i32[MAX_N];
    } y;
    int32_t e_y, e_before;
    itr_rng rng;
} sample;

static int bits_of(uint64_t v)
{
    int n = 0;
    for (; v > 0; v /= 2) {
        n++;
    }
    return n;
}

static i128 floor_div(i128 x, i128 d)
{
    return x >= 0 ? x / d : -((-x + d - 1) / d);
}

/** x / 2^s rounded, for element i and a draw. */
static i128 rounded(const sample *c, i128 x, int64_t s, uint32_t draw, int64_t i)
{
    if (s == 0) {
        return x;
    }
    if (s > 62) {
        return 0;
    }
    const i128 unit = (i128)1 << s;
    if (!c->a.rounding || c->rng.nearest_only) {
        return floor_div(2 * x + unit, 2 * unit);
    }
    const int width = s <= 16 && !c->a.optimizer ? 16 : s <= 32 ? 32 : 64;
    const uint64_t r = random_of(&c->rng, (uint32_t)c->a.site, draw, i, width);
    return floor_div(x + (i128)(r >> (width - s)), unit);
}

/** Where element i of the result finds its operand and exponent; false outside the term's box. */
static bool locate(const sample *c, int t, int64_t i, int64_t *x, int64_t *e)
{
    const itr_term *term = &c->term[t];
    bool inside = true;
    *x = *e = 0;
    for (int d = c->a.rank - 1; d >= 0; d--) {
        const int64_t at = i % c->a.shape[d] - term->begin[d];
        inside = inside && at >= 0 && (term->extent[d] == 0 || at < term->extent[d]);
        *x += at * term->stride[d];
        *e += at * term->e_stride[d];
        i /= c->a.shape[d];
    }
    return inside;
}

/** x, or x * f, of term t at element i, and its exponent; INT32_MIN where one is not set. */
static i128 product_at(const sample *c, int t, int64_t i, int64_t *e)
{
    int64_t x, k;
    const bool inside = locate(c, t, i, &x, &k);
    i128 v = inside ? c->x[t][x] : 0;
    *e = c->e[t][inside ? k : 0];
    if (c->term[t].f) {
        (void)locate(c, TERMS + t, i, &x, &k);
        v *= inside ? c->x[TERMS + t][x] : 0;
        k = inside ? k : 0;
        *e = *e == INT32_MIN || c->e[TERMS + t][k] == INT32_MIN ? INT32_MIN
                                                                : *e + c->e[TERMS + t][k];
    }
    return v;
}

/** The definition in NUMERICS.md, one element after another. */
static void expect(sample *c)
{
    int64_t low[TERMS], high[TERMS], common = INT64_MIN, least = INT64_MAX, all_least = INT64_MAX;
    bool zero[TERMS];
    int log = 0;
    for (; 1 << log < c->a.terms_count; log++) {
    }
    for (int t = 0; t < c->a.terms_count; t++) {
        low[t] = INT64_MAX;
        high[t] = INT64_MIN;
        zero[t] = true;
        for (int64_t i = 0; i < c->n; i++) {
            int64_t own;
            zero[t] = zero[t] && product_at(c, t, i, &own) * c->term[t].c.m == 0;
            product_at(c, t, i, &own);
            if (own != INT32_MIN) {
                const int64_t e = own + c->term[t].c.e;
                low[t] = e < low[t] ? e : low[t];
                high[t] = e > high[t] ? e : high[t];
            }
        }
        zero[t] = zero[t] || low[t] == INT64_MAX;
        all_least = low[t] < all_least ? low[t] : all_least;
        if (!zero[t]) {
            const int64_t m = llabs(c->term[t].c.m);
            const int factor = c->term[t].f ? c->term[t].f->bits : 0;
            const int64_t room = 62 - log - c->term[t].bits - factor -
                                 (m == 1 ? 0 : bits_of((uint64_t)m)) - (high[t] - low[t]);
            least = low[t] < least ? low[t] : least;
            common = low[t] - room > common ? low[t] - room : common;
        }
    }
    common = common > least ? common : least;
    uint64_t max = 0;
    for (int64_t i = 0; i < c->n; i++) {
        i128 sum = 0;
        for (int t = 0; t < c->a.terms_count; t++) {
            int64_t own;
            const i128 product = product_at(c, t, i, &own) * c->term[t].c.m;
            if (zero[t]) {
                continue;
            }
            const int64_t gap = own + c->term[t].c.e - common;
            sum += gap >= 0 ? product * ((i128)1 << gap)
                            : rounded(c, product, -gap, (uint32_t)t + 1, i);
        }
        c->want[i] = (int64_t)sum;
        assert_true(sum == c->want[i]);
        const uint64_t mag = (uint64_t)llabs(c->want[i]);
        max = mag > max ? mag : max;
    }
    if (max == 0) {
        c->want_e = c->a.sticky ? c->e_y : all_least == INT64_MAX ? 0 : (int32_t)all_least;
        return;
    }
    const i128 limit = ((i128)1 << (c->a.bits - 1)) - 1;
    const bool bitlength = c->a.rule == ITR_RULE_BITLENGTH;
    int64_t s = 0;
    while ((i128)max > (bitlength ? ((limit + 1) << s) - 1 : limit << s)) {
        s++;
    }
    const int64_t kept = c->e_y - common;
    if (c->a.sticky && kept >= s && kept <= 62 && 4 * (i128)max >= limit << kept) {
        s = kept;
    }
    for (int64_t i = 0; i < c->n; i++) {
        const i128 r = rounded(c, c->want[i], s, 0, i);
        assert_true(bitlength || (r >= -limit && r <= limit));
        c->want[i] = (int64_t)(r > limit ? limit : r < -limit ? -limit : r);
    }
    c->want_e = (int32_t)(common + s);
}

static void pack(const int64_t *x, itr_dtype type, int64_t n, unsigned char *to)
{
    for (int64_t i = 0; i < n; i++) {
        const int8_t i8 = (int8_t)x[i];
        const int16_t i16 = (int16_t)x[i];
        const int32_t i32 = (int32_t)x[i];
        switch (type) {
        case ITR_I8:
        case ITR_U8:
            memcpy(to + i, &i8, 1);
            break;
        case ITR_I16:
            memcpy(to + 2 * i, &i16, 2);
            break;
        case ITR_I32:
            memcpy(to + 4 * i, &i32, 4);
            break;
        default:
            memcpy(to + 8 * i, x + i, 8);
            break;
        }
    }
}

static void call(sample *c)
{
    if (c->a.bits <= 8) {
        itr_requant_i8_ref(&c->a);
    } else if (c->a.bits <= 16) {
        itr_requant_i16_ref(&c->a);
    } else {
        itr_requant_i32_ref(&c->a);
    }
}

/** The kernel again for each instruction set at hand; the result must be that of the portable one.
 */
static void call_variants(sample *c)
{
    static const struct {
        const char *kernel;
        uint32_t isa;
        void (*run)(void);
    } table[] = {
#define ROW(level, kernel, args, file)                                                             \
    {#kernel, ITR_ISA_##level, (void (*)(void))itr_##kernel##_##level},
#ifdef ITR_X86
        ITR_VARIANTS_X86(ROW)
#endif
#ifdef ITR_ARM
            ITR_VARIANTS_ARM(ROW)
#endif
#undef ROW
                {NULL, 0, NULL}};
    const char *name = c->a.bits <= 8    ? "requant_i8"
                       : c->a.bits <= 16 ? "requant_i16"
                                         : "requant_i32";
    static unsigned char want[sizeof c->y], at_first[sizeof c->y];
    const int32_t e = *c->a.e_y;
    memcpy(want, c->a.y, sizeof want);
    for (int i = 0; table[i].kernel; i++) {
        if (strcmp(table[i].kernel, name) != 0 || (table[i].isa & itr_cpu_isa()) == 0) {
            continue;
        }
        memcpy(c->a.y, at_first, sizeof want);
        *c->a.e_y = c->e_before;
        ((void (*)(const itr_requant_args *))table[i].run)(&c->a);
        assert_memory_equal(c->a.y, want,
                            (size_t)c->n * (c->a.bits <= 8    ? 1
                                            : c->a.bits <= 16 ? 2
                                                              : 4));
        assert_int_equal(*c->a.e_y, e);
    }
    memcpy(c->a.y, want, sizeof want);
    *c->a.e_y = e;
}

static int64_t result(const sample *c, const void *y, int64_t i)
{
    return c->a.bits <= 8    ? ((const int8_t *)y)[i]
           : c->a.bits <= 16 ? ((const int16_t *)y)[i]
                             : ((const int32_t *)y)[i];
}

static void check(sample *c)
{
    expect(c);
    c->e_before = *c->a.e_y;
    call(c);
    if (c->a.y == (void *)&c->y) { /* else it lies over an operand, which is gone */
        call_variants(c);
    }
    for (int64_t i = 0; i < c->n; i++) {
        if (result(c, c->a.y, i) != c->want[i]) {
            fail_msg("element %lld is %lld, expected %lld", (long long)i,
                     (long long)result(c, c->a.y, i), (long long)c->want[i]);
        }
    }
    assert_int_equal(*c->a.e_y, c->want_e);
    assert_int_equal(c->rng.status, ITR_OK);
}

/** A term's operand: dense, with some axes repeated; values of up to `bits` bits. */
static void fill_term(sample *c, int t, uint64_t *seed)
{
    static const itr_dtype types[] = {ITR_I8, ITR_I16, ITR_I32, ITR_I64, ITR_U8};
    static const int widest[] = {7, 15, 31, 62, 8};
    itr_term *term = &c->term[t];
    const int k = (int)between(seed, 0, 4);
    int64_t stride = 1, exponents = 1;
    memset(term, 0, sizeof *term);
    term->dtype = types[k];
    term->bits = (int32_t)between(seed, widest[k] > 31 ? 20 : 1, widest[k]);
    term->c.m = (int32_t)between(seed, -32767, 32767);
    if (between(seed, 0, 2) != 0) {
        term->c.m = between(seed, 0, 1) != 0 ? 1 : -1;
    }
    while (term->c.m != 0 && term->bits + bits_of((uint64_t)abs(term->c.m)) > 62) {
        term->c.m /= 2;
    }
    term->c.e = (int32_t)between(seed, -20, 20);
    const int axis = between(seed, 0, 5) == 0 ? (int)between(seed, 0, c->a.rank - 1) : -1;
    const bool dense = between(seed, 0, 1) != 0;
    for (int d = c->a.rank - 1; d >= 0; d--) {
        if (dense || between(seed, 0, 1) != 0) {
            term->stride[d] = stride;
            stride *= c->a.shape[d];
        }
        if (d == axis && c->a.shape[d] <= 64) {
            term->e_stride[d] = 1;
            exponents = c->a.shape[d];
        }
    }
    const int spread = between(seed, 0, 3) == 0 ? 90 : 6;
    for (int64_t i = 0; i < exponents; i++) {
        c->e[t][i] = (int32_t)between(seed, -spread, spread);
    }
    const bool nothing = between(seed, 0, 9) == 0;
    for (int64_t i = 0; i < stride; i++) {
        const int64_t m = (int64_t)(((uint64_t)1 << term->bits) - 1);
        c->x[t][i] = nothing ? 0 : between(seed, k == 4 ? 0 : -m, m);
        if (between(seed, 0, 20) == 0) {
            c->x[t][i] = nothing ? 0 : m;
        }
    }
    pack(c->x[t], term->dtype, stride, c->bytes[t]);
    term->x = c->bytes[t];
    term->e = c->e[t];
}

/** Gives some terms a factor, so that the product and the coefficient keep within 62 bits. */
static void add_factors(sample *c, uint64_t *seed, int terms)
{
    for (int t = 0; t < terms; t++) {
        const int used = c->term[t].bits + bits_of((uint64_t)abs(c->term[t].c.m));
        if (between(seed, 0, 2) == 0) {
            fill_term(c, TERMS + t, seed);
            if (used + c->term[TERMS + t].bits <= 62) {
                c->term[t].f = &c->term[TERMS + t];
            }
        }
    }
}

/** Lets term t, and its factor, have a part of some axes, dense or not. */
static void add_box(sample *c, uint64_t *seed, int t)
{
    for (int k = t; k <= TERMS + t; k += TERMS) {
        for (int d = 0; d < c->a.rank; d++) {
            c->term[k].e_stride[d] = 0;
        }
    }
    const bool dense = between(seed, 0, 3) != 0;
    for (int d = 0; d < c->a.rank; d++) {
        const int64_t all = c->a.shape[d], extent = between(seed, 1, all);
        const int64_t begin = between(seed, 0, all - extent);
        if (between(seed, 0, 1) != 0) {
            c->term[t].begin[d] = begin;
            c->term[t].extent[d] = extent;
        }
    }
    for (int k = t; k <= TERMS + t; k += TERMS) {
        memcpy(c->term[k].begin, c->term[t].begin, sizeof c->term[t].begin);
        memcpy(c->term[k].extent, c->term[t].extent, sizeof c->term[t].extent);
        int64_t stride = 1;
        for (int d = c->a.rank - 1; dense && d >= 0; d--) {
            const int64_t extent = c->term[t].extent[d];
            if (c->term[k].stride[d] != 0) {
                c->term[k].stride[d] = stride;
                stride *= extent != 0 ? extent : c->a.shape[d];
            }
        }
    }
}

static void new_sample(sample *c, uint64_t *seed, int terms)
{
    memset(c, 0, sizeof *c);
    c->rng = (itr_rng){.seed = next(seed),
                       .step = (uint32_t)next(seed),
                       .micro_batch = (uint32_t)between(seed, 0, 3),
                       .nearest_only = between(seed, 0, 5) == 0};
    c->a.rank = (int32_t)between(seed, 1, 4);
    c->n = 1;
    for (int d = 0; d < c->a.rank; d++) {
        c->a.shape[d] = between(seed, 1, c->a.rank == 1 ? MAX_N : c->a.rank == 2 ? 50 : 7);
        c->n *= c->a.shape[d];
    }
    for (int t = 0; t < terms; t++) {
        fill_term(c, t, seed);
    }
    static const int32_t widths[] = {8, 16, 32, 5, 12};
    c->a.terms = c->term;
    c->a.terms_count = terms;
    c->a.y = &c->y;
    c->a.e_y = &c->e_y;
    c->a.bits = widths[between(seed, 0, 4)];
    c->a.rounding = between(seed, 0, 1) != 0;
    c->a.rule = between(seed, 0, 3) == 0 ? ITR_RULE_BITLENGTH : ITR_RULE_EXACT;
    c->a.optimizer = between(seed, 0, 1) != 0;
    c->a.site = (int32_t)between(seed, 0, 1 << 20);
    c->a.rng = &c->rng;
}

static void requant_random_terms(void **state)
{
    (void)state;
    static sample c;
    uint64_t seed = 11;
    for (int i = 0; i < 3000; i++) {
        new_sample(&c, &seed, i % 3 == 0 ? 1 : (int)between(&seed, 1, TERMS));
        check(&c);
    }
}

static void requant_random_boxes(void **state)
{
    (void)state;
    static sample c;
    uint64_t seed = 17;
    for (int i = 0; i < 3000; i++) {
        const int terms = i % 3 == 0 ? 1 : (int)between(&seed, 1, TERMS);
        new_sample(&c, &seed, terms);
        if (i % 2 != 0) {
            add_factors(&c, &seed, terms);
        }
        for (int t = 0; t < terms; t++) {
            if (between(&seed, 0, 3) != 0) {
                add_box(&c, &seed, t);
            }
        }
        check(&c);
    }
}

static void requant_random_products(void **state)
{
    (void)state;
    static sample c;
    uint64_t seed = 14;
    int products = 0;
    for (int i = 0; i < 3000; i++) {
        const int terms = i % 3 == 0 ? 1 : (int)between(&seed, 1, TERMS);
        new_sample(&c, &seed, terms);
        add_factors(&c, &seed, terms);
        products += c.term[0].f != NULL;
        check(&c);
    }
    assert_true(products > 300);
}

/** Sizes around the blocks, an accumulator plus a bias along the channels, and 32-bit sums. */
static void requant_accumulator_and_bias(void **state)
{
    (void)state;
    static sample c;
    uint64_t seed = 12;
    for (int i = 0; i < 300; i++) {
        new_sample(&c, &seed, 1);
        c.a.rank = 3;
        c.a.shape[0] = between(&seed, 1, 2);
        c.a.shape[1] = between(&seed, 1, 5);
        c.a.shape[2] = between(&seed, 250, 260);
        c.n = c.a.shape[0] * c.a.shape[1] * c.a.shape[2];
        c.a.bits = 8;
        c.a.terms_count = 2;
        for (int t = 0; t < 2; t++) {
            c.term[t] = (itr_term){.x = c.bytes[t],
                                   .e = c.e[t],
                                   .dtype = t ? ITR_I16 : ITR_I32,
                                   .bits = t ? 15 : (int32_t)between(&seed, 20, 31),
                                   .c = {1, 0}};
            const int64_t m = ((int64_t)1 << c.term[t].bits) - 1;
            for (int64_t j = 0; j < (t ? c.a.shape[1] : c.n); j++) {
                c.x[t][j] = between(&seed, -m, m);
            }
            c.e[t][0] = (int32_t)between(&seed, -12, -8);
            pack(c.x[t], c.term[t].dtype, t ? c.a.shape[1] : c.n, c.bytes[t]);
        }
        c.term[0].stride[0] = c.a.shape[1] * c.a.shape[2];
        c.term[0].stride[1] = c.a.shape[2];
        c.term[0].stride[2] = 1;
        c.term[1].stride[1] = 1;
        check(&c);
    }
}

/** The bound that the plan states decides whether 32 or 64 bits compute; bits must agree. */
static void requant_fast_path_agrees(void **state)
{
    (void)state;
    static sample c;
    static int32_t narrow[MAX_N];
    uint64_t seed = 13;
    for (int i = 0; i < 200; i++) {
        new_sample(&c, &seed, 1);
        memset(&c.term[0].e_stride, 0, sizeof c.term[0].e_stride);
        c.term[0].c = (itr_scalar){1, 3};
        c.term[0].dtype = ITR_I32;
        c.term[0].bits = 24;
        for (int64_t j = 0; j < MAX_N; j++) {
            c.x[0][j] = between(&seed, -(1 << 24) + 1, (1 << 24) - 1);
        }
        pack(c.x[0], ITR_I32, MAX_N, c.bytes[0]);
        check(&c);
        for (int64_t j = 0; j < c.n; j++) {
            narrow[j] = (int32_t)result(&c, c.a.y, j);
        }
        const int32_t e = c.e_y;
        c.term[0].bits = 40;
        call(&c);
        assert_int_equal(e, c.e_y);
        for (int64_t j = 0; j < c.n; j++) {
            assert_int_equal(narrow[j], result(&c, c.a.y, j));
        }
    }
}

/** y over the x of a term and *e_y over its exponent: as without. */
static void requant_in_place(void **state)
{
    (void)state;
    static sample c;
    uint64_t seed = 14;
    for (int i = 0; i < 400; i++) {
        const int terms = (int)between(&seed, 1, 4), t = (int)between(&seed, 0, terms - 1);
        new_sample(&c, &seed, terms);
        int64_t stride = 1;
        for (int d = c.a.rank - 1; d >= 0; d--) {
            c.term[t].stride[d] = stride;
            c.term[t].e_stride[d] = 0;
            stride *= c.a.shape[d];
        }
        c.a.bits = i % 2 ? 16 : 8;
        c.term[t].dtype = i % 2 ? ITR_I16 : ITR_I8;
        c.term[t].bits = c.a.bits - 1;
        for (int64_t j = 0; j < c.n; j++) {
            c.x[t][j] = between(&seed, -127, 127);
        }
        pack(c.x[t], c.term[t].dtype, c.n, c.bytes[t]);
        c.a.sticky = i % 3 == 0;
        c.e_y = c.e[t][0];
        expect(&c);
        c.a.y = c.bytes[t];
        c.a.e_y = c.e[t];
        call(&c);
        for (int64_t j = 0; j < c.n; j++) {
            assert_int_equal(result(&c, c.a.y, j), c.want[j]);
        }
        assert_int_equal(c.e[t][0], c.want_e);
    }
}

/** A zero operand keeps its exponent to itself; a sum of nothing has the least one. */
static void requant_zero_operands(void **state)
{
    (void)state;
    int8_t x[2][4] = {{5, -6, 7, 127}, {0, 0, 0, 0}}, y[4] = {1, 1, 1, 1};
    int32_t e[2] = {-3, -200}, e_y = 99;
    itr_rng rng = {.seed = 1};
    itr_term term[2] = {
        {.x = x[0], .e = &e[0], .dtype = ITR_I8, .bits = 7, .c = {1, 0}, .stride = {1}},
        {.x = x[1], .e = &e[1], .dtype = ITR_I8, .bits = 7, .c = {1, 0}, .stride = {1}}};
    itr_requant_args a = {.terms = term,
                          .terms_count = 2,
                          .y = y,
                          .e_y = &e_y,
                          .shape = {4},
                          .rank = 1,
                          .bits = 8,
                          .rounding = 1,
                          .rng = &rng};
    itr_requant_i8_ref(&a);
    assert_memory_equal(y, x[0], 4);
    assert_int_equal(e_y, -3);
    term[0].c.m = 0; /* both are zero now */
    itr_requant_i8_ref(&a);
    assert_memory_equal(y, x[1], 4);
    assert_int_equal(e_y, -200);
    e[1] = INT32_MIN; /* not set */
    itr_requant_i8_ref(&a);
    assert_int_equal(e_y, -3);
    e[0] = INT32_MIN;
    itr_requant_i8_ref(&a);
    assert_int_equal(e_y, 0);
    a.sticky = 1;
    e_y = 42;
    itr_requant_i8_ref(&a);
    assert_int_equal(e_y, 42);
    assert_int_equal(rng.status, ITR_OK);
}

static void requant_sticky_exponent(void **state)
{
    (void)state;
    int32_t x[2] = {32767 * 4, 3}, e = -10;
    int16_t y[2];
    int32_t e_y = 0;
    itr_rng rng = {.seed = 1};
    itr_term term = {.x = x, .e = &e, .dtype = ITR_I32, .bits = 31, .c = {1, 0}, .stride = {1}};
    itr_requant_args a = {.terms = &term,
                          .terms_count = 1,
                          .y = y,
                          .e_y = &e_y,
                          .shape = {2},
                          .rank = 1,
                          .bits = 16,
                          .sticky = 1,
                          .rng = &rng};
    static const struct {
        int32_t x, old, want;
    } cases[] = {{32767 * 4, -8, -8},     /* fits exactly: kept */
                 {32767 * 4 + 1, -8, -7}, /* does not fit */
                 {32767 * 4, -9, -8},     /* does not fit */
                 {32767 * 4, -6, -6},     /* a quarter of the limit: kept */
                 {32767 * 4 - 1, -6, -8}, /* below a quarter: the exact rule */
                 {32767 * 4, 60, -8},     /* far below */
                 {8192, -10, -10},        /* 4 * 8192 >= 32767 */
                 {8191, -10, -10},        /* below a quarter, but no shift is smaller than 0 */
                 {8191, -9, -10},         {8191, -20, -10}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        x[0] = cases[i].x;
        e_y = cases[i].old;
        itr_requant_i16_ref(&a);
        assert_int_equal(e_y, cases[i].want);
        assert_int_equal(y[0], (cases[i].x + (1 << (e_y + 10)) / 2) >> (e_y + 10));
    }
    static sample c;
    uint64_t seed = 15;
    for (int i = 0; i < 1000; i++) {
        new_sample(&c, &seed, (int)between(&seed, 1, 3));
        c.a.sticky = 1;
        c.e_y = (int32_t)between(&seed, -30, 80);
        check(&c);
    }
}

static void requant_reports_divergence(void **state)
{
    (void)state;
    int64_t x[1] = {(int64_t)1 << 60};
    int32_t e = (1 << 20) - 10, e_y = 0;
    int8_t y[1];
    itr_rng rng = {.seed = 1};
    itr_term term = {.x = x, .e = &e, .dtype = ITR_I64, .bits = 62, .c = {1, 0}, .stride = {1}};
    itr_requant_args a = {.terms = &term,
                          .terms_count = 1,
                          .y = y,
                          .e_y = &e_y,
                          .shape = {1},
                          .rank = 1,
                          .bits = 8,
                          .rng = &rng};
    itr_requant_i8_ref(&a);
    assert_int_equal(rng.status, ITR_DIVERGED);
    rng.status = ITR_OK;
    e = 0;
    itr_requant_i8_ref(&a);
    assert_int_equal(rng.status, ITR_OK);
    assert_int_equal(e_y, 54);
    assert_int_equal(y[0], 64);
    term.c.m = 12345; /* the product needs more than 62 bits */
    itr_requant_i8_ref(&a);
    assert_int_equal(rng.status, ITR_DIVERGED);
    rng.status = ITR_OK;
    x[0] = 1 << 30; /* now it does not, and is aligned by a rounding */
    itr_requant_i8_ref(&a);
    assert_int_equal(rng.status, ITR_OK);
    const int64_t got = (int64_t)y[0] << e_y, want = (int64_t)12345 << 30;
    assert_in_range(got, want - (want >> 7), want + (want >> 7));
}

/**
 * 255 at 8 bits: bit length takes s = 1 and halves, 127.5 goes to 128 and saturates; the exact rule
 * takes s = 2, so that all others lose a bit. The same below: -127.5 to nearest is -127.
 */
static void requant_by_bit_length(void **state)
{
    (void)state;
    const int32_t x[] = {255, -255, 254, 253, 3, -3, 0};
    const int8_t exact[] = {64, -64, 64, 63, 1, -1, 0},
                 bitlength[] = {127, -127, 127, 127, 2, -1, 0};
    int8_t y[7];
    int32_t e = 5, e_y = 0;
    itr_rng rng = {.seed = 1};
    itr_term term = {.x = x, .e = &e, .dtype = ITR_I32, .bits = 31, .c = {1, 0}, .stride = {1}};
    itr_requant_args a = {.terms = &term,
                          .terms_count = 1,
                          .y = y,
                          .e_y = &e_y,
                          .shape = {7},
                          .rank = 1,
                          .bits = 8,
                          .rng = &rng};
    itr_requant_i8_ref(&a);
    assert_memory_equal(y, exact, 7);
    assert_int_equal(e_y, 7);
    a.rule = ITR_RULE_BITLENGTH;
    itr_requant_i8_ref(&a);
    assert_memory_equal(y, bitlength, 7);
    assert_int_equal(e_y, 6);
    a.rounding = ITR_ROUND_FLOOR; /* -127.5 to -128 */
    itr_requant_i8_ref(&a);
    assert_int_equal(y[1], -127);
    assert_int_equal(y[0], 127);
}

/** One rounding by the kernel is unbiased with variance f(1-f), for shifts through 24. */
static void requant_is_unbiased(void **state)
{
    (void)state;
    enum { N = 1 << 15 };
    static int32_t x[N];
    static int8_t y[N];
    itr_rng rng = {.seed = 21};
    int32_t e = 0, e_y = 0;
    itr_term term = {.x = x, .e = &e, .dtype = ITR_I32, .bits = 31, .c = {1, 0}, .stride = {1}};
    itr_requant_args a = {.terms = &term,
                          .terms_count = 1,
                          .y = y,
                          .e_y = &e_y,
                          .shape = {N},
                          .rank = 1,
                          .bits = 8,
                          .rounding = 1,
                          .rng = &rng};
    for (int s = 2; s <= 23; s++) {
        const int32_t unit = 1 << s, value = (s % 2 ? -1 : 1) * (11 * unit + unit / 4);
        for (int i = 0; i < N; i++) {
            x[i] = value;
        }
        x[0] = 127 * unit;
        a.site = s;
        itr_requant_i8_ref(&a);
        assert_int_equal(e_y, s);
        int64_t up = 0; /* of quarters: 1/4 of the elements round away from 11 */
        for (int i = 1; i < N; i++) {
            assert_in_range(abs(y[i]), 11, 12);
            up += abs(y[i]) == 12;
        }
        assert_in_range(up, N / 4 - 392, N / 4 + 392); /* 5 standard deviations of 78.4 */
    }
}

/* ---- the gradient grid ---- */

static void grid_sums_in_any_order(void **state)
{
    (void)state;
    enum { N = 700, PARTS = 4 };
    static int32_t x[PARTS][N];
    static int64_t acc[2][N];
    static const int order[2][PARTS] = {{0, 1, 2, 3}, {2, 0, 3, 1}};
    uint64_t seed = 31;
    for (int round = 0; round < 30; round++) {
        int32_t e[PARTS], grid[2];
        for (int p = 0; p < PARTS; p++) {
            e[p] = (int32_t)between(&seed, -30, -10);
            for (int i = 0; i < N; i++) {
                x[p][i] = (int32_t)between(&seed, -100000, 100000);
            }
        }
        for (int o = 0; o < 2; o++) {
            grid[o] = -22;
            for (int k = 0; k < PARTS; k++) {
                const int p = order[o][k];
                itr_rng rng = {.seed = 5, .step = 8, .micro_batch = (uint32_t)p};
                const itr_term term = {.x = x[p],
                                       .e = &e[p],
                                       .dtype = ITR_I32,
                                       .bits = 31,
                                       .c = {1, 0},
                                       .stride = {1}};
                const itr_grid_add_args a = {.terms = &term,
                                             .terms_count = 1,
                                             .acc = acc[o],
                                             .e_grid = &grid[o],
                                             .n = N,
                                             .first = k == 0,
                                             .site = 6,
                                             .rng = &rng};
                itr_grid_add_ref(&a);
                assert_int_equal(rng.status, ITR_OK);
            }
            assert_int_equal(grid[o], -22);
        }
        assert_memory_equal(acc[0], acc[1], sizeof acc[0]);
        for (int i = 0; i < N; i++) { /* and they are the sums */
            i128 want = 0;
            for (int p = 0; p < PARTS; p++) {
                const itr_rng rng = {.seed = 5, .step = 8, .micro_batch = (uint32_t)p};
                const int s = -22 - e[p], width = s <= 16 ? 16 : 32;
                want += s <= 0 ? (i128)x[p][i] * ((i128)1 << -s)
                               : floor_div(x[p][i] + (i128)(random_of(&rng, 6, 0, i, width) >>
                                                            (width - s)),
                                           (i128)1 << s);
            }
            assert_true(want == acc[0][i]);
        }
    }
}

static void grid_sets_itself(void **state)
{
    (void)state;
    int64_t x[3] = {0, 0, 0}, acc[3] = {9, 9, 9};
    int32_t e = -5, grid = INT32_MIN;
    itr_rng rng = {.seed = 5};
    const itr_term term = {
        .x = x, .e = &e, .dtype = ITR_I64, .bits = 62, .c = {1, 0}, .stride = {1}};
    itr_grid_add_args a = {.terms = &term,
                           .terms_count = 1,
                           .acc = acc,
                           .e_grid = &grid,
                           .n = 3,
                           .first = 1,
                           .rng = &rng};
    itr_grid_add_ref(&a);
    assert_int_equal(grid, INT32_MIN);
    assert_true(acc[0] == 0 && acc[1] == 0 && acc[2] == 0);
    x[1] = -1000; /* leading bit 2^9 */
    x[2] = 3;
    a.first = 0;
    itr_grid_add_ref(&a);
    assert_int_equal(grid, -5 + 9 - 24);
    assert_true(acc[0] == 0 && acc[1] == -1000 * 32768 && acc[2] == 3 * 32768);
    assert_int_equal(rng.status, ITR_OK);
    e = 60; /* a shift by 80 */
    itr_grid_add_ref(&a);
    assert_int_equal(rng.status, ITR_DIVERGED);
    rng.status = ITR_OK;
    e = 30; /* a shift by 50 of 10 bits: fits; the second time the sum does not */
    acc[1] = 0;
    itr_grid_add_ref(&a);
    assert_int_equal(rng.status, ITR_OK);
    acc[1] = -((int64_t)1 << 61) - ((int64_t)1 << 60) - ((int64_t)1 << 59);
    x[1] = -1023;
    e = 31;
    itr_grid_add_ref(&a);
    assert_int_equal(rng.status, ITR_DIVERGED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requant_random_terms),
        cmocka_unit_test(requant_random_products),
        cmocka_unit_test(requant_random_boxes),
        cmocka_unit_test(requant_accumulator_and_bias),
        cmocka_unit_test(requant_fast_path_agrees),
        cmocka_unit_test(requant_in_place),
        cmocka_unit_test(requant_zero_operands),
        cmocka_unit_test(requant_sticky_exponent),
        cmocka_unit_test(requant_reports_divergence),
        cmocka_unit_test(requant_by_bit_length),
        cmocka_unit_test(requant_is_unbiased),
        cmocka_unit_test(grid_sums_in_any_order),
        cmocka_unit_test(grid_sets_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
