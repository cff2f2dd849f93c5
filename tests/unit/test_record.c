/* Kernel descriptors, and the building of records from hooks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "codegen/emit.h"
#include "runtime/kernel.h"
#include "runtime/numeric.h"

static itc_ctx *ctx;
static itc_graph *g;

static int setup(void **state)
{
    (void)state;
    ctx = itc_ctx_new();
    g = itc_graph_new(ctx, "t");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    itc_ctx_free(ctx);
    return 0;
}

static itc_value *value(const char *name, itc_dtype t, int rank, const itc_dim *d)
{
    return itc_value_new(g, ITC_VALUE_NODE, name, itc_type_make(t, rank, d));
}

/* ---- descriptors ---- */

static void kernels_have_distinct_names(void **state)
{
    (void)state;
    int n = 0;
    for (; itc_kernel_at(n); n++) {
        assert_ptr_equal(itc_kernel_find(itc_kernel_at(n)->name), itc_kernel_at(n));
    }
    assert_true(n > 50);
    assert_null(itc_kernel_at(-1));
    assert_null(itc_kernel_find("conv_i8"));
}

static size_t field_size(itc_field_kind k)
{
    switch (k) {
    case ITC_FIELD_DIM:
    case ITC_FIELD_REAL:
        return 8;
    case ITC_FIELD_INT:
        return 4;
    case ITC_FIELD_SHAPE:
        return 8 * ITR_MAX_RANK;
    default:
        return sizeof(void *);
    }
}

static void fields_fill_the_struct_in_order(void **state)
{
    (void)state;
    for (int i = 0; itc_kernel_at(i); i++) {
        const itc_kernel *k = itc_kernel_at(i);
        size_t end = 0;
        assert_true(k->n_fields > 0);
        for (int f = 0; f < k->n_fields; f++) {
            const itc_field *d = &k->fields[f];
            assert_int_equal(itc_kernel_field(k, d->name), f);
            assert_true(d->offset >= end && d->offset < end + 8); /* padding alone in between */
            end = d->offset + field_size(d->kind);
            if (d->kind == ITC_FIELD_TERMS || d->kind == ITC_FIELD_CODE) {
                assert_int_equal(d->count_offset, end);
                end += 4;
            }
        }
        assert_true(end <= k->args_size && k->args_size < end + 8);
    }
}

static void known_fields_lie_where_c_says(void **state)
{
    (void)state;
    const itc_kernel *conv = itc_kernel_find("conv_i8i8i32");
    assert_string_equal(conv->args, "conv");
    assert_string_equal(conv->family, "conv");
    assert_int_equal(conv->args_size, sizeof(itr_conv_args));
    assert_int_equal(conv->fields[itc_kernel_field(conv, "groups")].offset,
                     offsetof(itr_conv_args, groups));
    const itc_kernel *requant = itc_kernel_find("requant_i16");
    const itc_field *terms = &requant->fields[itc_kernel_field(requant, "terms")];
    assert_int_equal(terms->kind, ITC_FIELD_TERMS);
    assert_int_equal(terms->count_offset, offsetof(itr_requant_args, terms_count));
    assert_int_equal(itc_kernel_field(requant, "x"), -1);
}

static void a_kernel_runs_through_its_descriptor(void **state)
{
    (void)state;
    const itc_kernel *k = itc_kernel_find("copy");
    const char from[6] = "hello";
    char to[6] = "";
    union {
        unsigned char bytes[256];
        max_align_t align;
    } args = {{0}};
    const void *x = from;
    void *y = to;
    const int64_t bytes = sizeof to;
    memcpy(args.bytes + k->fields[itc_kernel_field(k, "x")].offset, &x, sizeof x);
    memcpy(args.bytes + k->fields[itc_kernel_field(k, "y")].offset, &y, sizeof y);
    memcpy(args.bytes + k->fields[itc_kernel_field(k, "bytes")].offset, &bytes, sizeof bytes);
    k->ref(args.bytes);
    assert_string_equal(to, "hello");
}

/* ---- scalars ---- */

static void coefficient_is(double value, int32_t m, int32_t e)
{
    int32_t got_m = -1, got_e = -1;
    itc_coef_scalar(value, &got_m, &got_e);
    assert_int_equal(got_m, m);
    assert_int_equal(got_e, e);
}

static void coefficients_have_15_bits(void **state)
{
    (void)state;
    coefficient_is(0, 0, 0);
    coefficient_is(1, 1, 0);
    coefficient_is(-1, -1, 0);
    coefficient_is(-0.0625, -1, -4);
    coefficient_is(6, 3, 1);
    coefficient_is(0.9, 29491, -15);     /* 0.9 * 2^15 = 29491.2 */
    coefficient_is(1.0 / 3, 21845, -16); /* 21845.33 */
    coefficient_is(0.99999, 1, 0);       /* 32767.67 rounds to 2^15 */
    coefficient_is(ldexp(1, 100), 1, 100);
}

static void products_of_scalars_round_to_15_bits(void **state)
{
    (void)state;
    for (int32_t a = -32767; a <= 32767; a += 977) {
        for (int32_t b = 3; b <= 32767; b += 1013) {
            const itr_scalar p = itr_scalar_mul((itr_scalar){a, -15}, (itr_scalar){b, -3});
            const double exact = ldexp((double)a * b, -18), got = ldexp(p.m, p.e);
            assert_true(p.m > -32768 && p.m < 32768);
            assert_true(fabs(got - exact) <= fabs(exact) * ldexp(1, -15));
        }
    }
    const itr_scalar x = {26214, -18}, minus = {-1, 0};
    const itr_scalar y = itr_scalar_mul(minus, x);
    assert_int_equal(y.m, -26214);
    assert_int_equal(y.e, -18);
}

/* ---- building ---- */

static void strides_follow_broadcasting(void **state)
{
    (void)state;
    const itc_dim out_dims[] = {{1, true}, {3, false}, {5, false}};
    const itc_dim bias[] = {{3, false}, {1, false}};
    const itc_dim row[] = {{1, true}, {1, false}, {5, false}};
    const itc_type out = itc_type_make(ITC_F32, 3, out_dims);
    const itc_type b = itc_type_make(ITC_F32, 2, bias), r = itc_type_make(ITC_F32, 3, row);
    itc_dim s[ITC_MAX_RANK];
    itc_broadcast_strides(&b, &out, s);
    assert_int_equal(s[0].size, 0);
    assert_int_equal(s[1].size, 1);
    assert_int_equal(s[2].size, 0);
    itc_broadcast_strides(&r, &out, s);
    assert_int_equal(s[0].size, 5);
    assert_int_equal(s[1].size, 0);
    assert_int_equal(s[2].size, 1);
    itc_broadcast_strides(&out, &out, s);
    assert_int_equal(s[0].size, 15);
    assert_false(s[0].batch);
    assert_int_equal(s[1].size, 5);
}

static void calls_need_every_argument(void **state)
{
    (void)state;
    const itc_dim d[] = {{4, false}};
    itc_value *x = value("x", ITC_I8, 1, d), *y = value("y", ITC_I8, 1, d);
    itc_record_list list = {0};
    itc_emit *e = itc_emit_new(g);
    itc_emit_begin(e, NULL, &list);
    assert_int_equal(itc_emit_call(e, NULL, "copy", 0, NULL), ITC_OK);
    itc_arg_ptr(e, "x", x);
    itc_arg_ptr(e, "y", y);
    assert_int_equal(itc_emit_end(e), ITC_INTERNAL);
    assert_string_equal(itc_diag_get(ctx, 0)->id, "E0402");

    itc_diag_clear(ctx);
    itc_emit_begin(e, NULL, &list);
    assert_int_equal(itc_emit_call(e, NULL, "copy", 0, NULL), ITC_OK);
    itc_arg_ptr(e, "x", x);
    itc_arg_ptr(e, "y", y);
    itc_arg_dim(e, "bytes", itc_dim_of(4));
    assert_int_equal(itc_emit_end(e), ITC_OK);
    itc_emit_begin(e, NULL, &list);
    assert_int_equal(itc_emit_call(e, NULL, "copy", 0, NULL), ITC_OK);
    itc_arg_ptr(e, "z", x);
    assert_int_equal(itc_emit_end(e), ITC_INTERNAL);
    itc_diag_clear(ctx);
    itc_emit_begin(e, NULL, &list);
    assert_int_equal(itc_emit_call(e, NULL, "copy", 0, NULL), ITC_OK);
    itc_arg_int(e, "bytes", 4); /* a DIM, not an INT */
    assert_int_equal(itc_emit_end(e), ITC_INTERNAL);
}

static void kernels_are_named_by_their_types(void **state)
{
    (void)state;
    const itc_dim d[] = {{4, false}};
    itc_value *i8 = value("a", ITC_I8, 1, d), *i32 = value("b", ITC_I32, 1, d);
    itc_value *f32 = value("c", ITC_F32, 1, d);
    itc_record_list list = {0};
    itc_emit *e = itc_emit_new(g);
    itc_emit_begin(e, NULL, &list);
    assert_int_equal(itc_emit_call(e, NULL, "gemm", 3, (itc_value *[]){i8, i8, i32}), ITC_OK);
    assert_string_equal(list.record[0]->kernel->name, "gemm_i8i8i32");
    itc_emit_begin(e, NULL, &list);
    assert_int_equal(itc_emit_call(e, NULL, "gemm", 3, (itc_value *[]){f32, f32, f32}), ITC_OK);
    assert_string_equal(list.record[1]->kernel->name, "gemm_f32");
    itc_emit_begin(e, NULL, &list);
    assert_int_equal(itc_emit_call(e, NULL, "gemm", 3, (itc_value *[]){f32, i8, i32}),
                     ITC_UNSUPPORTED);
    assert_string_equal(itc_diag_get(ctx, 0)->id, "E0401");
}

static void loops_join_axes(void **state)
{
    (void)state;
    const itc_dim d[] = {{1, true}, {3, false}, {4, false}, {5, false}};
    const itc_dim c[] = {{3, false}, {1, false}, {1, false}};
    itc_value *x = value("x", ITC_I32, 4, d), *y = value("y", ITC_I32, 4, d);
    itc_value *bias = value("bias", ITC_I32, 3, c);
    itc_record_list list = {0};
    itc_emit *e = itc_emit_new(g);
    itc_emit_begin(e, NULL, &list);
    const itc_expr *same = itc_x_load(e, 0);
    assert_int_equal(itc_emit_loop(e, NULL, y, 1, &x, same), ITC_OK);
    const itc_loop *flat = list.record[0]->loop;
    assert_int_equal(flat->rank, 1);
    assert_int_equal(flat->shape[0].size, 60);
    assert_true(flat->shape[0].batch);
    assert_int_equal(flat->stride[0][0].size, 1);

    const itc_expr *sum = itc_x(e, ITC_X_ADD, same, itc_x_load(e, 1), NULL);
    assert_int_equal(itc_emit_loop(e, NULL, y, 2, (itc_value *[]){x, bias}, sum), ITC_OK);
    const itc_loop *l = list.record[1]->loop;
    assert_int_equal(l->rank, 3);
    assert_int_equal(l->shape[2].size, 20);
    assert_int_equal(l->stride[0][0].size, 60);
    assert_int_equal(l->stride[1][1].size, 1);
    assert_int_equal(l->stride[1][2].size, 0);
}

static void integer_loops_refuse_reals(void **state)
{
    (void)state;
    const itc_dim d[] = {{4, false}};
    itc_value *x = value("x", ITC_I32, 1, d), *y = value("y", ITC_I32, 1, d);
    itc_record_list list = {0};
    itc_emit *e = itc_emit_new(g);
    itc_emit_begin(e, NULL, &list);
    assert_int_equal(itc_emit_loop(e, NULL, y, 1, &x, itc_x_const(e, 0.5)), ITC_INTERNAL);
    assert_string_equal(itc_diag_get(ctx, 0)->id, "E0403");
    assert_int_equal(itc_emit_loop(e, NULL, y, 1, &x, itc_x_const(e, 5)), ITC_OK);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(kernels_have_distinct_names),      TEST(fields_fill_the_struct_in_order),
        TEST(known_fields_lie_where_c_says),    TEST(a_kernel_runs_through_its_descriptor),
        TEST(coefficients_have_15_bits),        TEST(products_of_scalars_round_to_15_bits),
        TEST(strides_follow_broadcasting),      TEST(calls_need_every_argument),
        TEST(kernels_are_named_by_their_types), TEST(loops_join_axes),
        TEST(integer_loops_refuse_reals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
