#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/onnx_import.h"
#include "ir/op.h"
#include "tests/support/onnx_build.h"

enum { FLOAT = 1, INT32 = 6, INT64 = 7, STRING = 8, BOOL = 9, DOUBLE = 11 };

/* A model under construction and the context that it is imported into. */
typedef struct fixture {
    onnx_build *b;
    itc_ctx *ctx;
    itc_import_options options;
} fixture;

static void start(fixture *f, int opset)
{
    f->b = onnx_build_new(opset);
    f->ctx = itc_ctx_new();
    f->options = (itc_import_options){0};
}

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    start(f, 13);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    onnx_build_free(f->b);
    itc_ctx_free(f->ctx);
    free(f);
    return 0;
}

/** Drops what was built, for the next case of the same test. */
static void restart(fixture *f, int opset)
{
    onnx_build_free(f->b);
    itc_ctx_free(f->ctx);
    start(f, opset);
}

static itc_status import(fixture *f, itc_graph **g)
{
    size_t n = 0;
    const uint8_t *bytes = onnx_build_pack(f->b, &n);
    itc_onnx_model *m = NULL;
    itc_status s = itc_onnx_read_memory(f->ctx, bytes, n, &m);
    if (s == ITC_OK) {
        s = itc_onnx_import(f->ctx, m, &f->options, g);
        itc_onnx_close(m);
    }
    return s;
}

static itc_graph *imported(fixture *f)
{
    itc_graph *g = NULL;
    if (import(f, &g) != ITC_OK) {
        itc_diag_print(f->ctx, stderr);
        fail();
    }
    assert_int_equal(itc_verify(g), ITC_OK);
    return g;
}

/** The first message has this id and names `what`. */
static void refused(fixture *f, const char *id, const char *what)
{
    itc_graph *g = NULL;
    const itc_status s = import(f, &g);
    assert_int_not_equal(s, ITC_OK);
    assert_int_equal(itc_exit_code(s), 2);
    assert_true(itc_diag_count(f->ctx) > 0);
    const itc_diag *d = itc_diag_get(f->ctx, 0);
    assert_string_equal(d->id, id);
    assert_non_null(itc_diag_meaning(id));
    const char *whole = itc_format(f->ctx, "%s: %s", d->where ? d->where : "", d->text);
    if (!strstr(whole, what)) {
        print_message("\"%s\" is not in \"%s\"\n", what, whole);
        fail();
    }
}

/** x : f32[N,2] -> Relu -> y */
static void build_relu(fixture *f)
{
    onnx_build_input(f->b, "x", FLOAT, "N,2");
    onnx_build_node(f->b, "Relu", "x", "y");
    onnx_build_output(f->b, "y");
}

/* ---- the graph ---- */

static void graph_of_a_small_model(void **state)
{
    fixture *f = *state;
    const float w[] = {1, 2, 3, 4, 5, 6};
    const float bias[] = {7, 8, 9};
    onnx_build_input(f->b, "x", FLOAT, "N,2");
    onnx_build_floats(f->b, "w", "2,3", w);
    onnx_build_floats(f->b, "b", "3", bias);
    Onnx__NodeProto *gemm = onnx_build_node(f->b, "Gemm", "x w b", "h");
    gemm->name = itc_strdup(f->b->arena, "fc1");
    onnx_build_attr_float(f->b, gemm, "alpha", 0.5f);
    onnx_build_node(f->b, "Relu", "h", "y");
    onnx_build_output(f->b, "y");
    const itc_graph *g = imported(f);
    assert_int_equal(g->stage, ITC_STAGE_IMPORT);
    assert_int_equal(g->opset, 13);
    assert_string_equal(g->name, "built");
    assert_int_equal(g->section[ITC_FORWARD].n, 2);
    const itc_node *n = g->section[ITC_FORWARD].node[0];
    assert_ptr_equal(n->op, itc_op_find("", "Gemm"));
    assert_string_equal(n->onnx_name, "fc1");
    assert_string_equal(n->onnx_op, "Gemm");
    assert_int_equal(n->onnx_version, 13);
    assert_int_equal(n->import_id, 1);
    assert_true(itc_float(n, "alpha") == 0.5 && itc_float(n, "beta") == 1.0);
    assert_int_equal(n->n_in, 3);
    const itc_value *weight = n->in[1];
    assert_int_equal(weight->kind, ITC_VALUE_CONST);
    assert_string_equal(weight->onnx, "w");
    assert_string_equal(weight->reason, "initializer");
    assert_memory_equal(weight->data->data, w, sizeof w);
    assert_int_equal(g->section[ITC_FORWARD].node[1]->import_id, 2);
    assert_int_equal(g->n_outputs, 1);
    assert_string_equal(g->outputs[0].name, "y");
    assert_ptr_equal(g->outputs[0].value->def, g->section[ITC_FORWARD].node[1]);
}

static void graph_is_sorted(void **state)
{
    fixture *f = *state;
    onnx_build_input(f->b, "x", FLOAT, "N,2");
    onnx_build_node(f->b, "Add", "b a", "y");
    onnx_build_node(f->b, "Relu", "a", "b");
    onnx_build_node(f->b, "Sigmoid", "x", "a");
    onnx_build_output(f->b, "y");
    const itc_node_list *list = &imported(f)->section[ITC_FORWARD];
    assert_int_equal(list->n, 3);
    assert_string_equal(list->node[0]->op->name, "Sigmoid");
    assert_string_equal(list->node[1]->op->name, "Relu");
    assert_string_equal(list->node[2]->op->name, "Add");
    assert_int_equal(list->node[0]->import_id, 3); /* the place in the file stays */
}

static void graph_with_a_cycle(void **state)
{
    fixture *f = *state;
    onnx_build_input(f->b, "x", FLOAT, "N,2");
    onnx_build_node(f->b, "Add", "x c", "a");
    onnx_build_node(f->b, "Relu", "a", "b");
    onnx_build_node(f->b, "Relu", "b", "c");
    onnx_build_output(f->b, "c");
    refused(f, "E0206", "node #1");
    restart(f, 13);
    onnx_build_input(f->b, "x", FLOAT, "N,2");
    onnx_build_node(f->b, "Add", "x a", "a");
    onnx_build_output(f->b, "a");
    refused(f, "E0206", "node #1");
}

static void graph_names(void **state)
{
    fixture *f = *state;
    build_relu(f);
    onnx_build_node(f->b, "Relu", "x", "y");
    refused(f, "E0204", "node #2");
    restart(f, 13);
    build_relu(f);
    onnx_build_node(f->b, "Relu", "y", "x");
    refused(f, "E0204", "\"x\"");
    restart(f, 13);
    build_relu(f);
    const float v[] = {1};
    onnx_build_floats(f->b, "w", "1", v);
    onnx_build_floats(f->b, "w", "1", v);
    refused(f, "E0204", "\"w\"");
    restart(f, 13);
    build_relu(f);
    onnx_build_floats(f->b, "", "1", v);
    refused(f, "E0204", "no name");
    restart(f, 13);
    build_relu(f);
    onnx_build_input(f->b, "x", FLOAT, "N,2");
    refused(f, "E0204", "\"x\"");
    restart(f, 13);
    build_relu(f);
    onnx_build_output(f->b, "y");
    refused(f, "E0204", "\"y\"");
}

static void graph_with_a_missing_value(void **state)
{
    fixture *f = *state;
    onnx_build_input(f->b, "x", FLOAT, "N,2");
    onnx_build_node(f->b, "Add", "x w", "y");
    onnx_build_output(f->b, "y");
    refused(f, "E0205", "node #1 (output \"y\"): input 1 (\"w\")");
    restart(f, 13);
    build_relu(f);
    onnx_build_output(f->b, "z");
    refused(f, "E0205", "\"z\"");
    restart(f, 13);
    onnx_build_input(f->b, "x", FLOAT, "N,2");
    refused(f, "E0205", "no output");
}

static void graph_with_too_many_nodes(void **state)
{
    fixture *f = *state;
    build_relu(f);
    Onnx__NodeProto *n = f->b->graph->node[0];
    f->b->graph->n_node = 65536;
    f->b->graph->node = itc_alloc_array(f->b->arena, 65536, sizeof n);
    for (int i = 0; i < 65536; i++) {
        f->b->graph->node[i] = n;
    }
    refused(f, "E0217", "65536 nodes");
}

/* ---- operators, arity, attributes ---- */

static void operator_without_a_row_is_opaque(void **state)
{
    fixture *f = *state;
    build_relu(f);
    Onnx__NodeProto *n = onnx_build_node(f->b, "NoSuchOp", "y", "z");
    onnx_build_attr_int(f->b, n, "anything", 1);
    n = onnx_build_node(f->b, "Relu", "y", "u");
    n->domain = itc_strdup(f->b->arena, "ai.onnx.ml");
    onnx_build_node(f->b, "Requant", "y", "v"); /* a row, but ours */
    const itc_node_list *list = &imported(f)->section[ITC_FORWARD];
    assert_int_equal(list->n, 4);
    assert_non_null(list->node[0]->op);
    assert_null(list->node[1]->op);
    assert_string_equal(list->node[1]->opaque, "NoSuchOp (opset 13)");
    assert_null(list->node[2]->op);
    assert_string_equal(list->node[2]->opaque, "ai.onnx.ml.Relu");
    assert_null(list->node[3]->op);
}

static void operator_older_than_its_row_is_opaque(void **state)
{
    fixture *f = *state;
    restart(f, 8);
    onnx_build_input(f->b, "x", FLOAT, "N,2");
    onnx_build_node(f->b, "Mod", "x x", "y"); /* Mod is new in opset 10 */
    onnx_build_output(f->b, "y");
    const itc_node *n = imported(f)->section[ITC_FORWARD].node[0];
    assert_null(n->op);
    assert_string_equal(n->opaque, "Mod of opset 8 (from 10 on)");
}

static void operator_version(void **state)
{
    fixture *f = *state;
    static const struct {
        int opset, version;
    } c[] = {{7, 6}, {12, 6}, {13, 13}, {14, 14}, {21, 14}};
    for (size_t i = 0; i < sizeof c / sizeof c[0]; i++) {
        restart(f, c[i].opset);
        build_relu(f);
        const itc_node *n = imported(f)->section[ITC_FORWARD].node[0];
        assert_int_equal(n->onnx_version, c[i].version);
    }
}

static void arity(void **state)
{
    fixture *f = *state;
    static const struct {
        const char *type, *in, *out, *what;
    } c[] = {{"Relu", "x x", "y", "2 inputs"},
             {"Relu", "-", "y", "0 inputs"},
             {"Add", "- x", "y", "input 0 is missing"},
             {"Relu", "x", "y z", "2 outputs"},
             {"Relu", "x", "- y", "2 outputs"}};
    for (size_t i = 0; i < sizeof c / sizeof c[0]; i++) {
        restart(f, 13);
        onnx_build_input(f->b, "x", FLOAT, "N,2");
        onnx_build_node(f->b, c[i].type, c[i].in, c[i].out);
        onnx_build_output(f->b, "y");
        refused(f, "E0208", c[i].what);
    }
    /* Optional operands that are left out: at the end they vanish, between others they are NULL. */
    restart(f, 13);
    const float v[] = {6};
    onnx_build_input(f->b, "x", FLOAT, "N,2");
    onnx_build_floats(f->b, "max", "", v);
    onnx_build_node(f->b, "Clip", "x - max", "h");
    onnx_build_node(f->b, "Clip", "h - -", "y");
    onnx_build_output(f->b, "y");
    const itc_node_list *list = &imported(f)->section[ITC_FORWARD];
    assert_int_equal(list->node[0]->n_in, 3);
    assert_null(list->node[0]->in[1]);
    assert_int_equal(list->node[1]->n_in, 1);
}

static Onnx__NodeProto *build_conv(fixture *f)
{
    const float w[] = {1, 2, 3, 4};
    restart(f, 13);
    onnx_build_input(f->b, "x", FLOAT, "N,1,4,4");
    onnx_build_floats(f->b, "w", "1,1,2,2", w);
    Onnx__NodeProto *n = onnx_build_node(f->b, "Conv", "x w", "y");
    onnx_build_output(f->b, "y");
    return n;
}

static void attributes(void **state)
{
    fixture *f = *state;
    const int64_t strides[] = {2, 3};
    Onnx__NodeProto *p = build_conv(f);
    onnx_build_attr_ints(f->b, p, "strides", 2, strides);
    Onnx__AttributeProto *a = onnx_build_attr(f->b, p, "auto_pad", 3);
    a->has_s = 1;
    a->s = (ProtobufCBinaryData){5, (uint8_t *)itc_strdup(f->b->arena, "VALID")};
    const itc_node *n = imported(f)->section[ITC_FORWARD].node[0];
    const int64_t *v = NULL;
    assert_int_equal(itc_ints(n, "strides", &v), 2);
    assert_memory_equal(v, strides, sizeof strides);
    assert_string_equal(itc_string(n, "auto_pad"), "VALID");
    assert_int_equal(itc_int(n, "group"), 1);
    /* Models of before the type tag are told by the field in use. */
    p = build_conv(f);
    onnx_build_attr_int(f->b, p, "group", 1);
    p->attribute[0]->has_type = 0;
    n = imported(f)->section[ITC_FORWARD].node[0];
    assert_non_null(itc_attr_find(n, "group"));
}

static void attribute_refusals(void **state)
{
    fixture *f = *state;
    Onnx__NodeProto *p = build_conv(f);
    onnx_build_attr_int(f->b, p, "no_such", 1);
    refused(f, "E0207", "\"no_such\"");
    p = build_conv(f);
    onnx_build_attr_float(f->b, p, "group", 1.0f);
    refused(f, "E0207", "of type float, expected int");
    p = build_conv(f);
    onnx_build_attr_int(f->b, p, "group", 1);
    onnx_build_attr_int(f->b, p, "group", 1);
    refused(f, "E0207", "twice");
    p = build_conv(f);
    onnx_build_attr_int(f->b, p, "", 1);
    refused(f, "E0207", "no name");
    p = build_conv(f);
    onnx_build_attr_int(f->b, p, "group", 1);
    p->attribute[0]->ref_attr_name = itc_strdup(f->b->arena, "group");
    refused(f, "E0207", "refers to");
    p = build_conv(f);
    onnx_build_attr(f->b, p, "auto_pad", 3);
    refused(f, "E0207", "no text");
    restart(f, 13);
    onnx_build_input(f->b, "x", FLOAT, "N,2");
    onnx_build_node(f->b, "Cast", "x", "y");
    onnx_build_output(f->b, "y");
    refused(f, "E0207", "needs attribute \"to\"");
}

static void several_nodes_are_told_of(void **state)
{
    fixture *f = *state;
    onnx_build_input(f->b, "x", FLOAT, "N,2");
    onnx_build_node(f->b, "Relu", "x x", "a");
    onnx_build_node(f->b, "Relu", "a a", "y");
    onnx_build_output(f->b, "y");
    itc_graph *g = NULL;
    assert_int_not_equal(import(f, &g), ITC_OK);
    assert_int_equal(itc_diag_count(f->ctx), 2);
}

/* ---- constants ---- */

static void constant_nodes(void **state)
{
    fixture *f = *state;
    build_relu(f);
    Onnx__AttributeProto *a =
        onnx_build_attr(f->b, onnx_build_node(f->b, "Constant", "", "tensor"), "value", 4);
    a->t = onnx_build_tensor(f->b, "", DOUBLE, "2");
    double values[] = {1.5, 2.5};
    a->t->n_double_data = 2;
    a->t->double_data = values;
    onnx_build_attr_float(f->b, onnx_build_node(f->b, "Constant", "", "one"), "value_float", 0.25f);
    onnx_build_attr_int(f->b, onnx_build_node(f->b, "Constant", "", "int"), "value_int", -3);
    const int64_t ints[] = {4, 5};
    onnx_build_attr_ints(f->b, onnx_build_node(f->b, "Constant", "", "ints"), "value_ints", 2,
                         ints);
    const itc_graph *g = imported(f);
    assert_int_equal(g->section[ITC_FORWARD].n, 1); /* the Relu: constants are no nodes */
    const itc_value *v = itc_value_find(g, "tensor");
    assert_int_equal(v->kind, ITC_VALUE_CONST);
    assert_string_equal(v->onnx, "tensor");
    assert_string_equal(v->reason, "Constant node");
    assert_true(v->data->dtype == ITC_F32 && itc_tensor_get(v->data, 1) == 2.5);
    v = itc_value_find(g, "one");
    assert_true(v->data->rank == 0 && itc_tensor_get(v->data, 0) == 0.25);
    v = itc_value_find(g, "int");
    assert_true(v->data->dtype == ITC_I64 && itc_tensor_get_int(v->data, 0) == -3);
    v = itc_value_find(g, "ints");
    assert_true(v->data->rank == 1 && itc_tensor_get_int(v->data, 1) == 5);
}

static void constant_node_refusals(void **state)
{
    fixture *f = *state;
    build_relu(f);
    onnx_build_node(f->b, "Constant", "", "c");
    refused(f, "E0207", "one attribute");
    restart(f, 13);
    build_relu(f);
    onnx_build_attr_int(f->b, onnx_build_node(f->b, "Constant", "x", "c"), "value_int", 1);
    refused(f, "E0208", "no inputs");
    restart(f, 13);
    build_relu(f);
    onnx_build_attr_int(f->b, onnx_build_node(f->b, "Constant", "", "x"), "value_int", 1);
    refused(f, "E0204", "\"x\"");
}

static void strings_are_opaque(void **state)
{
    fixture *f = *state;
    build_relu(f);
    ProtobufCBinaryData text = {3, (uint8_t *)itc_strdup(f->b->arena, "cat")};
    Onnx__TensorProto *t = onnx_build_init(f->b, "labels", STRING, "1");
    t->n_string_data = 1;
    t->string_data = &text;
    const itc_graph *g = imported(f);
    const itc_value *v = itc_value_find(g, "labels");
    assert_int_equal(v->kind, ITC_VALUE_NODE);
    assert_null(v->def->op);
    assert_non_null(strstr(v->def->opaque, "strings"));
}

static void initializers_among_the_inputs(void **state)
{
    fixture *f = *state;
    const float w[] = {1, 2};
    f->b->model->ir_version = 3;
    onnx_build_input(f->b, "w", FLOAT, "2");
    onnx_build_input(f->b, "x", FLOAT, "N,2");
    onnx_build_floats(f->b, "w", "2", w);
    onnx_build_node(f->b, "Add", "x w", "y");
    onnx_build_output(f->b, "y");
    const itc_graph *g = imported(f);
    assert_int_equal(itc_value_find(g, "w")->kind, ITC_VALUE_CONST);
    assert_int_equal(itc_value_find(g, "x")->kind, ITC_VALUE_INPUT);
}

/* ---- opsets ---- */

static void opsets(void **state)
{
    fixture *f = *state;
    const int bad[] = {0, -1, 1 << 20};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        restart(f, bad[i]);
        build_relu(f);
        refused(f, "E0202", "opset");
    }
    restart(f, 13);
    build_relu(f);
    f->b->model->opset_import[0]->domain = itc_strdup(f->b->arena, "ai.onnx.ml");
    refused(f, "E0202", "opset");
    restart(f, 13);
    build_relu(f);
    f->b->model->opset_import[0]->domain = itc_strdup(f->b->arena, "ai.onnx");
    assert_int_equal(imported(f)->opset, 13);
    assert_int_equal(itc_note_count(f->ctx), 0);
    restart(f, 99); /* newer than any: taken, with a note */
    build_relu(f);
    assert_int_equal(imported(f)->opset, 99);
    assert_int_equal(itc_note_count(f->ctx), 1);
}

/** Before opset 7 an operator is known where its definition is the same there. */
static void old_opsets(void **state)
{
    fixture *f = *state;
    static const struct {
        int opset;
        const char *op, *opaque;
    } cases[] = {
        {6, "Relu", NULL},
        {5, "Relu", "Relu of opset 5 (from 6 on)"}, /* Relu-1 has consumed_inputs */
        {1, "Softsign", NULL},
        {1, "GlobalMaxPool", NULL},
        {6, "Elu", NULL},
        {5, "Elu", "Elu of opset 5 (from 6 on)"},
        {6, "Dropout", "Dropout of opset 6 (from 7 on)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        restart(f, cases[i].opset);
        onnx_build_input(f->b, "x", FLOAT, "N,2,3,4");
        onnx_build_node(f->b, cases[i].op, "x", "y");
        onnx_build_output(f->b, "y");
        const itc_node *n = imported(f)->section[ITC_FORWARD].node[0];
        assert_non_null(n);
        if (cases[i].opaque) {
            assert_non_null(n->opaque);
            assert_string_equal(n->opaque, cases[i].opaque);
        } else {
            assert_null(n->opaque);
            assert_string_equal(n->op->name, cases[i].op);
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(graph_of_a_small_model),
        TEST(graph_is_sorted),
        TEST(graph_with_a_cycle),
        TEST(graph_names),
        TEST(graph_with_a_missing_value),
        TEST(graph_with_too_many_nodes),
        TEST(operator_without_a_row_is_opaque),
        TEST(operator_older_than_its_row_is_opaque),
        TEST(operator_version),
        TEST(arity),
        TEST(attributes),
        TEST(attribute_refusals),
        TEST(several_nodes_are_told_of),
        TEST(constant_nodes),
        TEST(constant_node_refusals),
        TEST(strings_are_opaque),
        TEST(initializers_among_the_inputs),
        TEST(opsets),
        TEST(old_opsets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
