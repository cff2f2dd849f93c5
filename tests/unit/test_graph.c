/* Types, tensors, and the edits of the graph. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "ir/op.h"

static itc_ctx *ctx;
static itc_graph *g;

static int setup(void **state)
{
    (void)state;
    ctx = itc_ctx_new();
    g = itc_graph_new(ctx, "g");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    itc_ctx_free(ctx);
    return 0;
}

static itc_type type_of(itc_dtype t, int rank, const itc_dim *dims)
{
    return itc_type_make(t, rank, dims);
}

static itc_value *input(const char *name)
{
    const itc_dim dims[] = {{1, true}, {4, false}};
    return itc_value_new(g, ITC_VALUE_INPUT, name, type_of(ITC_F32, 2, dims));
}

static itc_value *relu(itc_value *x)
{
    return itc_node_new(g, &itc_op_Relu, x->def, 1, &x, 1)->out[0];
}

/* ---- types ---- */

static void type_text_counts_rows(void **state)
{
    (void)state;
    const itc_dim dims[] = {{1, true}, {28, false}, {3, false}};
    itc_type t = type_of(ITC_F32, 3, dims);
    assert_string_equal(itc_type_text(ctx, &t), "f32[N,28,3]");
    t.dim[0] = (itc_dim){16, true};
    t.dtype = ITC_BOOL;
    assert_string_equal(itc_type_text(ctx, &t), "bool[16N,28,3]");
    t.known = false;
    assert_string_equal(itc_type_text(ctx, &t), "?");
    t = itc_type_scalar(ITC_I64);
    assert_string_equal(itc_type_text(ctx, &t), "i64[]");
}

static void type_count_refuses_overflow_and_rows_twice(void **state)
{
    (void)state;
    const itc_dim dims[] = {{2, true}, {28, false}, {3, false}};
    itc_type t = type_of(ITC_F32, 3, dims);
    itc_dim count;
    assert_true(itc_type_count(&t, &count));
    assert_int_equal(count.size, 168);
    assert_true(count.batch);
    assert_int_equal(itc_type_elements(&t, 5), 840);
    t.dim[1].batch = true;
    assert_false(itc_type_count(&t, &count));
    t.dim[1] = (itc_dim){(int64_t)1 << 62, false};
    assert_false(itc_type_count(&t, &count));
}

static void type_equal_ignores_exponent_scope(void **state)
{
    (void)state;
    const itc_dim dims[] = {{1, true}, {3, false}};
    itc_type a = type_of(ITC_I8, 2, dims);
    itc_type b = a;
    b.bits = 7;
    b.exp_axis = 1;
    assert_true(itc_type_equal(&a, &b));
    b.dim[0].batch = false;
    assert_false(itc_type_equal(&a, &b));
    b = a;
    b.dtype = ITC_I16;
    assert_false(itc_type_equal(&a, &b));
    b = a;
    b.known = false;
    assert_false(itc_type_equal(&a, &b));
    a.known = false;
    assert_true(itc_type_equal(&a, &b));
}

static void dtype_names_parse_back(void **state)
{
    (void)state;
    for (int i = 0; i < ITC_DTYPE_COUNT; i++) {
        const char *name = itc_dtype_name((itc_dtype)i);
        itc_dtype t;
        assert_true(itc_dtype_parse(name, strlen(name), &t));
        assert_int_equal(t, i);
    }
    itc_dtype t;
    assert_false(itc_dtype_parse("f3", 2, &t));
    assert_false(itc_dtype_parse("f324", 4, &t));
}

static void tensor_get_converts(void **state)
{
    (void)state;
    const int64_t v[] = {-3, INT64_MAX};
    itc_tensor *t = itc_tensor_i64(ctx, 2, v);
    assert_int_equal(itc_tensor_get_int(t, 1), INT64_MAX);
    assert_true(itc_tensor_get(t, 0) == -3.0);
    itc_tensor *f = itc_tensor_scalar_f32(ctx, 2.75);
    assert_true(itc_tensor_get(f, 0) == 2.75);
    assert_int_equal(itc_tensor_get_int(f, 0), 2);
    *(float *)f->data = INFINITY;
    assert_int_equal(itc_tensor_get_int(f, 0), INT64_MAX);
    *(float *)f->data = -INFINITY;
    assert_int_equal(itc_tensor_get_int(f, 0), INT64_MIN);
    *(float *)f->data = NAN;
    assert_int_equal(itc_tensor_get_int(f, 0), 0);
    const int64_t dims[] = {2, 3};
    itc_tensor *u = itc_tensor_new(ctx, ITC_U8, 2, dims);
    assert_int_equal(u->count, 6);
    ((uint8_t *)u->data)[5] = 200;
    assert_int_equal(itc_tensor_get_int(u, 5), 200);
    const itc_type type = itc_tensor_type(u);
    assert_string_equal(itc_type_text(ctx, &type), "u8[2,3]");
}

/* ---- names ---- */

static void names_are_unique(void **state)
{
    (void)state;
    assert_string_equal(input("x")->name, "x");
    assert_string_equal(input("x")->name, "x.1");
    assert_string_equal(input("x.2")->name, "x.2");
    assert_string_equal(input("x")->name, "x.3");
    assert_string_equal(input("")->name, "v");
    assert_string_equal(input(NULL)->name, "v.1");
    assert_int_equal(itc_value_find(g, "x.1")->id, 1);
    assert_null(itc_value_find(g, "y"));
}

static void names_stay_unique_in_thousands(void **state)
{
    (void)state;
    for (int i = 0; i < 3000; i++) {
        const itc_value *v = input(itc_format(ctx, "n%d", i % 100));
        assert_ptr_equal(itc_value_find(g, v->name), v);
    }
    for (int i = 0; i < g->n_values; i++) {
        assert_ptr_equal(itc_value_find(g, g->values[i]->name), g->values[i]);
    }
}

static void rename_frees_the_old_name(void **state)
{
    (void)state;
    itc_value *a = input("a");
    itc_value *b = input("b");
    itc_value_rename(g, a, "b");
    assert_string_equal(a->name, "b.1");
    assert_null(itc_value_find(g, "a"));
    itc_value_rename(g, b, "a");
    assert_string_equal(b->name, "a");
    assert_ptr_equal(itc_value_find(g, "a"), b);
    itc_value_rename(g, b, "a");
    assert_string_equal(b->name, "a");
}

/* ---- nodes and attributes ---- */

static void node_takes_origin_and_section(void **state)
{
    (void)state;
    itc_value *x = input("x");
    itc_node *origin = itc_node_new(g, &itc_op_Relu, NULL, 1, &x, 1);
    itc_value_rename(g, origin->out[0], "h");
    origin->onnx_name = "act";
    origin->onnx_op = "Relu";
    origin->onnx_version = 6;
    origin->import_id = 4;
    origin->site = 4 << 8;
    g->insert = ITC_BACKWARD;
    itc_value *in[] = {x, origin->out[0]};
    const itc_node *n = itc_node_new(g, &itc_op_Mask, origin, 2, in, 1);
    assert_int_equal(n->section, ITC_BACKWARD);
    assert_int_equal(g->section[ITC_BACKWARD].n, 1);
    assert_ptr_equal(g->section[ITC_BACKWARD].node[0], n);
    assert_string_equal(n->onnx_name, "act");
    assert_int_equal(n->import_id, 4);
    assert_int_equal(n->site, 0);
    assert_string_equal(n->out[0]->name, "h.mask");
    assert_false(n->out[0]->type.known);
    assert_ptr_equal(n->out[0]->def, n);
    /* Names made from names do not pile up. */
    const itc_node *again = itc_node_new(g, &itc_op_Combine, n, 2, in, 1);
    assert_string_equal(again->out[0]->name, "h.combine");
    again = itc_node_new(g, &itc_op_Combine, again, 2, in, 1);
    assert_string_equal(again->out[0]->name, "h.combine.1");
}

static void attributes_keep_the_rows_order(void **state)
{
    (void)state;
    itc_value *in[] = {input("a"), input("b")};
    itc_node *n = itc_node_new(g, &itc_op_Gemm, NULL, 2, in, 1);
    assert_true(itc_float(n, "alpha") == 1.0); /* the row's default */
    assert_int_equal(itc_int(n, "transB"), 0);
    itc_set_int(g, n, "transB", 1);
    itc_set_float(g, n, "beta", 0.5);
    itc_set_int(g, n, "transA", 0);
    itc_set_float(g, n, "alpha", 2.0);
    itc_set_float(g, n, "beta", 0.25);
    assert_int_equal(n->n_attrs, 4);
    assert_string_equal(n->attrs[0].name, "alpha");
    assert_string_equal(n->attrs[1].name, "beta");
    assert_string_equal(n->attrs[2].name, "transA");
    assert_string_equal(n->attrs[3].name, "transB");
    assert_true(itc_float(n, "beta") == 0.25);
    assert_int_equal(itc_int(n, "transB"), 1);
    assert_null(itc_attr_find(n, "other"));
}

static void attributes_are_copied(void **state)
{
    (void)state;
    itc_value *in[] = {input("a"), input("b")};
    itc_node *n = itc_node_new(g, &itc_op_Combine, NULL, 2, in, 1);
    itc_coef coef[] = {{1.0, ITC_SYM_NONE}, {-2.0, ITC_SYM_LR}};
    itc_set_coefs(g, n, "coef", 2, coef);
    coef[1].value = 9.0;
    const itc_attr *a = itc_attr_find(n, "coef");
    assert_int_equal(a->n, 2);
    assert_true(a->u.coefs[1].value == -2.0);
    itc_node *other = itc_node_append(g, NULL, 0, NULL, 0, NULL);
    int64_t ints[] = {1, 2};
    char text[] = "abc";
    itc_set_ints(g, other, "list", 2, ints);
    itc_set_string(g, other, "text", text);
    ints[0] = 7;
    text[0] = 'z';
    const int64_t *v = NULL;
    assert_int_equal(itc_ints(other, "list", &v), 2);
    assert_int_equal(v[0], 1);
    assert_string_equal(itc_string(other, "text"), "abc");
    assert_int_equal(itc_ints(other, "none", &v), 0);
    assert_string_equal(itc_string(other, "none"), "");
}

static void settings_replace_and_fall_back(void **state)
{
    (void)state;
    itc_setting_set(g, (itc_attr){.name = "batch", .kind = ITC_ATTR_INT, .u.i = 64});
    itc_setting_set(g, (itc_attr){.name = "lr", .kind = ITC_ATTR_STRING, .u.s = "0.05"});
    itc_setting_set(g, (itc_attr){.name = "batch", .kind = ITC_ATTR_INT, .u.i = 32});
    assert_int_equal(g->n_settings, 2);
    assert_int_equal(itc_setting_int(g, "batch", 1), 32);
    assert_int_equal(itc_setting_int(g, "lr", 1), 1);
    assert_string_equal(itc_setting_string(g, "lr", ""), "0.05");
    assert_string_equal(itc_setting_string(g, "none", "x"), "x");
    assert_true(itc_setting_float(g, "none", 2.5) == 2.5);
}

/* ---- edits ---- */

static void resolve_rewrites_all_uses(void **state)
{
    (void)state;
    itc_value *x = input("x");
    itc_value *a = relu(x);
    itc_value *b = relu(x);
    itc_value *c = relu(x);
    itc_value *user = relu(a);
    itc_value *p = itc_value_new(g, ITC_VALUE_PARAM, "p", x->type);
    p->next_state = a;
    ITC_PUSH(ctx, g->outputs, g->n_outputs, g->cap_outputs, ((itc_output){"out", a}));
    a->replaced_by = b;
    b->replaced_by = c;
    assert_ptr_equal(itc_value_resolve(a), c);
    assert_ptr_equal(a->replaced_by, c); /* the chain got shorter */
    assert_null(itc_value_resolve(NULL));
    itc_graph_resolve(g);
    assert_ptr_equal(user->def->in[0], c);
    assert_ptr_equal(p->next_state, c);
    assert_ptr_equal(g->outputs[0].value, c);
    itc_graph_count_uses(g);
    assert_int_equal(c->n_uses, 3);
    assert_int_equal(a->n_uses, 0);
    assert_int_equal(x->n_uses, 3);
}

static void sweep_keeps_what_is_used(void **state)
{
    (void)state;
    itc_value *x = input("x");
    itc_value *unused = input("unused");
    itc_value *k = itc_const_new(g, "k", itc_tensor_scalar_f32(ctx, 1.0));
    itc_value *lost = itc_const_new(g, "lost", itc_tensor_scalar_f32(ctx, 1.0));
    itc_value *p = itc_value_new(g, ITC_VALUE_PARAM, "p", x->type);
    itc_value *h = relu(x);
    itc_value *dead = relu(h);
    const itc_value *dead2 = relu(dead);
    itc_value *y = relu(k);
    g->insert = ITC_UPDATE;
    itc_value *next = relu(h);
    p->next_state = next;
    g->insert = ITC_INFER;
    ITC_PUSH(ctx, g->outputs, g->n_outputs, g->cap_outputs, ((itc_output){"out", relu(y)}));
    const char *dead_name = dead2->name;
    itc_graph_sweep(g);
    assert_int_equal(g->section[ITC_FORWARD].n, 2);
    assert_int_equal(g->section[ITC_UPDATE].n, 1);
    assert_int_equal(g->section[ITC_INFER].n, 1);
    assert_ptr_equal(itc_value_find(g, "unused"), unused);
    assert_null(itc_value_find(g, lost->name));
    assert_null(itc_value_find(g, dead_name));
    assert_int_equal(g->n_values, 8);
    for (int i = 0; i < g->n_values; i++) {
        assert_int_equal(g->values[i]->id, i);
        assert_ptr_equal(itc_value_find(g, g->values[i]->name), g->values[i]);
    }
    assert_int_equal(p->id, 3); /* x unused k p, then the nodes' values in the sections' order */
    assert_int_equal(h->id, 4);
    assert_int_equal(next->id, 6);
    assert_string_equal(input("lost")->name, "lost");
}

static void sweep_is_linear(void **state)
{
    (void)state;
    itc_value *v = input("x");
    for (int i = 0; i < 50000; i++) {
        v = relu(v);
    }
    itc_graph_sweep(g); /* the whole chain hangs on nothing */
    assert_int_equal(g->section[ITC_FORWARD].n, 0);
    assert_int_equal(g->n_values, 1);
}

static void sweep_keeps_losses(void **state)
{
    (void)state;
    itc_value *in[] = {input("x"), input("y")};
    const itc_op_def *loss = NULL;
    for (int i = 0; itc_op_at(i); i++) {
        loss = itc_op_at(i)->flags & ITC_OP_LOSS ? itc_op_at(i) : loss;
    }
    assert_non_null(loss);
    (void)itc_node_new(g, loss, NULL, 2, in, 1);
    itc_graph_sweep(g);
    assert_int_equal(g->section[ITC_FORWARD].n, 1);
}

static void infer_refuses_unknown_types(void **state)
{
    (void)state;
    itc_value *x = input("x");
    itc_node *n = NULL;
    assert_int_equal(itc_build(g, &itc_op_Relu, NULL, 1, &x, 1, &n), ITC_OK);
    assert_true(itc_type_equal(&n->out[0]->type, &x->type));
    itc_value *v = itc_value_new(g, ITC_VALUE_INPUT, "u", (itc_type){.exp_axis = -1});
    assert_int_equal(itc_build(g, &itc_op_Relu, NULL, 1, &v, 1, &n), ITC_SHAPE);
    assert_string_equal(itc_diag_get(ctx, 0)->id, "E0290");
}

/* ---- the table ---- */

static void rows_are_found_by_name(void **state)
{
    (void)state;
    int n = 0;
    for (; itc_op_at(n); n++) {
        const itc_op_def *op = itc_op_at(n);
        assert_ptr_equal(itc_op_find(op->domain, op->name), op);
        assert_ptr_equal(itc_op_named(op->name), op);
        assert_true(op->in_min <= op->in_max || op->flags & ITC_OP_VARIADIC);
        assert_true(op->out_min <= op->out_max);
        assert_non_null(op->infer);
    }
    assert_true(n > 40);
    assert_null(itc_op_at(-1));
    assert_ptr_equal(itc_op_find("ai.onnx", "Relu"), &itc_op_Relu);
    assert_null(itc_op_find("com.microsoft", "Relu"));
    assert_null(itc_op_find("", "Relux"));
}

static void versions_follow_the_opset(void **state)
{
    (void)state;
    static const uint8_t versions[] = {1, 6, 13, 0};
    const itc_op_def op = {.versions = versions};
    assert_int_equal(itc_op_version(&op, 1), 1);
    assert_int_equal(itc_op_version(&op, 12), 6);
    assert_int_equal(itc_op_version(&op, 13), 13);
    assert_int_equal(itc_op_version(&op, 40), 13);
    assert_int_equal(itc_op_version(&op, 0), 0);
}

static void roles_repeat_in_variadic_rows(void **state)
{
    (void)state;
    static const itc_role_in roles[] = {ITC_IN_PARAM, ITC_IN_CONST};
    const itc_op_def fixed = {.in_min = 1, .in_max = 2, .roles = roles};
    assert_int_equal(itc_op_role(&fixed, 0), ITC_IN_PARAM);
    assert_int_equal(itc_op_role(&fixed, 1), ITC_IN_CONST);
    const itc_op_def more = {.in_min = 2, .in_max = 255, .roles = roles, .flags = ITC_OP_VARIADIC};
    assert_int_equal(itc_op_role(&more, 9), ITC_IN_CONST);
    const itc_op_def none = {.in_max = 2};
    assert_int_equal(itc_op_role(&none, 1), ITC_IN_DATA);
}

static void sections_see_what_runs_before(void **state)
{
    (void)state;
    static const char *const seen[ITC_SECTION_COUNT] = {
        [ITC_PREPARE] = "P",   [ITC_FORWARD] = "PF", [ITC_BACKWARD] = "PFB",
        [ITC_UPDATE] = "PFBU", [ITC_INFER] = "PI",   [ITC_SCORE] = "PIS"};
    static const char letters[] = "PFBUIS";
    for (int s = 0; s < ITC_SECTION_COUNT; s++) {
        for (int o = 0; o < ITC_SECTION_COUNT; o++) {
            assert_int_equal(itc_section_sees((itc_section)s, (itc_section)o),
                             strchr(seen[s], letters[o]) != NULL);
        }
    }
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(type_text_counts_rows),
        CASE(type_count_refuses_overflow_and_rows_twice),
        CASE(type_equal_ignores_exponent_scope),
        CASE(dtype_names_parse_back),
        CASE(tensor_get_converts),
        CASE(names_are_unique),
        CASE(names_stay_unique_in_thousands),
        CASE(rename_frees_the_old_name),
        CASE(node_takes_origin_and_section),
        CASE(attributes_keep_the_rows_order),
        CASE(attributes_are_copied),
        CASE(settings_replace_and_fall_back),
        CASE(resolve_rewrites_all_uses),
        CASE(sweep_keeps_what_is_used),
        CASE(sweep_is_linear),
        CASE(sweep_keeps_losses),
        CASE(infer_refuses_unknown_types),
        CASE(rows_are_found_by_name),
        CASE(versions_follow_the_opset),
        CASE(roles_repeat_in_variadic_rows),
        CASE(sections_see_what_runs_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
