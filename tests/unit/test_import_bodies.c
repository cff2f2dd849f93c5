/* Functions, branches, loops, sequences and optionals: what becomes of them while importing. The
 * models compute on constants, so that the shape pass folds each to numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "frontend/onnx_import.h"
#include "passes/pass.h"
#include "tests/support/onnx_build.h"

enum { FLOAT = 1, INT64 = 7 };

typedef struct fixture {
    onnx_build *b;
    itc_ctx *ctx;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    f->b = onnx_build_new(18);
    f->ctx = itc_ctx_new();
    onnx_build_input(f->b, "x", FLOAT, "N,3");
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

static itc_status import(fixture *f, itc_graph **g)
{
    size_t n = 0;
    const uint8_t *bytes = onnx_build_pack(f->b, &n);
    itc_onnx_model *m = NULL;
    itc_status s = itc_onnx_read_memory(f->ctx, bytes, n, &m);
    if (s == ITC_OK) {
        s = itc_onnx_import(f->ctx, m, NULL, g);
        itc_onnx_close(m);
    }
    if (s == ITC_OK) {
        itc_setting_set(*g, (itc_attr){.name = "loss", .kind = ITC_ATTR_STRING, .u.s = "none"});
        s = itc_run_to(*g, ITC_STAGE_SHAPE, NULL);
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
    return g;
}

/** Output `i` is a constant of these integers: "1 2 3". */
static void expect(const itc_graph *g, int i, const char *want)
{
    const itc_value *v = g->outputs[i].value;
    itc_strbuf got;
    itc_strbuf_init(&got, g->ctx);
    assert_int_equal(v->kind, ITC_VALUE_CONST);
    for (int64_t k = 0; k < v->data->count; k++) {
        itc_strbuf_printf(&got, "%s%lld", k > 0 ? " " : "",
                          (long long)itc_tensor_get_int(v->data, k));
    }
    assert_string_equal(got.text, want);
}

static void refused(fixture *f, const char *id, const char *what)
{
    itc_graph *g = NULL;
    const itc_status s = import(f, &g);
    assert_int_equal(itc_exit_code(s), 2);
    const itc_diag *d = itc_diag_get(f->ctx, 0);
    assert_string_equal(d->id, id);
    const char *whole = itc_format(f->ctx, "%s: %s", d->where ? d->where : "", d->text);
    if (!strstr(whole, what)) {
        fail_msg("\"%s\" is not in \"%s\"", what, whole);
    }
}

static void ints(onnx_build *b, const char *name, const char *shape, int64_t first)
{
    const int64_t v[4] = {first, first + 1, first + 2, first + 3};
    onnx_build_ints(b, name, shape, v);
}

/* ---- functions ---- */

/** f(a, b) = (a + b) * b, called twice, the names of its inside those of the model. */
static void functions_have_names_of_their_own(void **state)
{
    fixture *f = *state;
    onnx_build *fn = onnx_build_function(f->b, "my", "F", 18, "a b", "y");
    onnx_build_node(fn, "Add", "a b", "t");
    onnx_build_node(fn, "Mul", "t b", "y");
    onnx_build_end(fn);
    ints(f->b, "t", "3", 1);
    ints(f->b, "b", "", 10);
    onnx_build_node(f->b, "F", "t b", "u")->domain = "my";
    onnx_build_node(f->b, "F", "u t", "y")->domain = "my";
    onnx_build_output(f->b, "y");
    onnx_build_output(f->b, "u");
    const itc_graph *g = imported(f);
    expect(g, 1, "110 120 130");
    expect(g, 0, "111 244 399");
}

/** Attributes of the call, of a function that calls a function, and none. */
static void functions_pass_attributes_on(void **state)
{
    fixture *f = *state;
    onnx_build *in = onnx_build_function(f->b, "my", "Inner", 18, "a", "y");
    onnx_build_attr_ref(in, onnx_build_node(in, "Concat", "a a", "y"), "axis", "along");
    onnx_build_end(in);
    onnx_build *out = onnx_build_function(f->b, "my", "Outer", 18, "a", "y");
    Onnx__NodeProto *call = onnx_build_node(out, "Inner", "a", "y");
    call->domain = "my";
    onnx_build_attr_ref(out, call, "along", "where");
    onnx_build_end(out);
    ints(f->b, "a", "2,1", 1);
    static const char *const want[] = {"1 2 1 2", "1 1 2 2"};
    for (int axis = 0; axis < 2; axis++) {
        Onnx__NodeProto *n = onnx_build_node(f->b, "Outer", "a", axis ? "y1" : "y0");
        n->domain = "my";
        onnx_build_attr_int(f->b, n, "where", axis);
        onnx_build_output(f->b, axis ? "y1" : "y0");
    }
    const itc_graph *g = imported(f);
    expect(g, 0, want[0]);
    expect(g, 1, want[1]);
}

static void attribute_that_nobody_gives_is_left_out(void **state)
{
    fixture *f = *state;
    onnx_build *fn = onnx_build_function(f->b, "my", "F", 18, "a", "y");
    onnx_build_attr_ref(fn, onnx_build_node(fn, "Shape", "a", "y"), "start", "from");
    onnx_build_end(fn);
    ints(f->b, "a", "2,1", 1);
    onnx_build_node(f->b, "F", "a", "y")->domain = "my";
    onnx_build_output(f->b, "y");
    expect(imported(f), 0, "2 1");
}

/** The default lies in a field that older schemas do not know: as it stands in the file. */
static void function_attributes_have_defaults(void **state)
{
    fixture *f = *state;
    if (protobuf_c_message_descriptor_get_field(&onnx__function_proto__descriptor, 11)) {
        skip();
    }
    onnx_build *fn = onnx_build_function(f->b, "my", "F", 18, "a", "y");
    onnx_build_attr_ref(fn, onnx_build_node(fn, "Shape", "a", "y"), "start", "from");
    onnx_build_end(fn);
    uint8_t bytes[16] = {11, 0x0a, 4, 'f', 'r', 'o', 'm', 0x18, 1, 0xa0, 1, 2};
    ProtobufCMessageUnknownField field = {
        .tag = 11, .wire_type = PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED, .len = 12, .data = bytes};
    fn->function->base.n_unknown_fields = 1;
    fn->function->base.unknown_fields = &field;
    ints(f->b, "a", "2,1", 1);
    onnx_build_node(f->b, "F", "a", "y")->domain = "my";
    onnx_build_output(f->b, "y");
    expect(imported(f), 0, "1");
}

static void function_that_calls_itself_is_refused(void **state)
{
    fixture *f = *state;
    onnx_build *fn = onnx_build_function(f->b, "my", "F", 18, "a", "y");
    onnx_build_node(fn, "F", "a", "y")->domain = "my";
    onnx_build_end(fn);
    onnx_build_node(f->b, "F", "x", "y")->domain = "my";
    onnx_build_output(f->b, "y");
    refused(f, "E0206", "nest");
}

static void function_has_its_own_opset(void **state)
{
    fixture *f = *state;
    onnx_build *fn = onnx_build_function(f->b, "my", "F", 8, "a", "y");
    onnx_build_node(fn, "Mod", "a a", "y"); /* new in opset 10 */
    onnx_build_end(fn);
    ints(f->b, "a", "2", 1);
    onnx_build_node(f->b, "F", "a", "y")->domain = "my";
    onnx_build_output(f->b, "y");
    refused(f, "E0201", "Mod of opset 8");
}

static void function_with_other_operands_is_refused(void **state)
{
    fixture *f = *state;
    onnx_build *fn = onnx_build_function(f->b, "my", "F", 0, "a", "y");
    onnx_build_node(fn, "Relu", "a", "z");
    onnx_build_end(fn);
    Onnx__NodeProto *n = onnx_build_node(f->b, "F", "x x", "y");
    n->domain = "my";
    onnx_build_output(f->b, "y");
    refused(f, "E0208", "the function has 1 and 1");
    n->n_input = 1;
    itc_diag_clear(f->ctx);
    refused(f, "E0205", "\"y\" of its body");
}

/* ---- If ---- */

static Onnx__NodeProto *build_if(fixture *f, const char *condition)
{
    Onnx__NodeProto *n = onnx_build_node(f->b, "If", condition, "y");
    onnx_build *yes = onnx_build_body(f->b, n, "then_branch", "", "t");
    onnx_build_node(yes, "Add", "a a", "t"); /* of the graph around */
    onnx_build *no = onnx_build_body(f->b, n, "else_branch", "", "t");
    ints(no, "t", "1", 7);
    return n;
}

static void branch_is_chosen(void **state)
{
    fixture *f = *state;
    (void)build_if(f, "c"); /* stands before what its branch needs */
    onnx_build_node(f->b, "Shape", "x", "s");
    onnx_build_node(f->b, "Gather", "s one", "c");
    onnx_build_node(f->b, "Mul", "two two", "a");
    ints(f->b, "one", "", 1);
    ints(f->b, "two", "2", 2);
    onnx_build_output(f->b, "y");
    expect(imported(f), 0, "8 18");
}

static void other_branch_is_chosen(void **state)
{
    fixture *f = *state;
    ints(f->b, "a", "", 0);
    (void)build_if(f, "a");
    onnx_build_output(f->b, "y");
    expect(imported(f), 0, "7");
}

static void condition_that_depends_on_rows_is_refused(void **state)
{
    fixture *f = *state;
    ints(f->b, "zero", "", 0);
    ints(f->b, "a", "", 0);
    onnx_build_node(f->b, "Shape", "x", "s");
    onnx_build_node(f->b, "Gather", "s zero", "c");
    (void)build_if(f, "c");
    onnx_build_output(f->b, "y");
    refused(f, "E0201", "If whose condition is not known");
}

static void refusal_that_nobody_needs_is_none(void **state)
{
    fixture *f = *state;
    ints(f->b, "a", "", 0);
    Onnx__NodeProto *n = build_if(f, "c");
    onnx_build_node(f->b, "Relu", "x", "c");
    n->output[0] = itc_strdup(f->b->arena, "unused");
    onnx_build_output(f->b, "c");
    assert_int_equal(imported(f)->n_outputs, 1);
}

/* ---- Loop, Scan ---- */

/** s = s * 2 + i, and all of them stacked. */
static void build_loop(fixture *f, const char *trips, const char *condition)
{
    Onnx__NodeProto *n = onnx_build_node(
        f->b, "Loop", itc_format(f->b->arena, "%s %s start", trips, condition), "last all");
    onnx_build *in = onnx_build_body(f->b, n, "body", "i c s", "go t u");
    onnx_build_node(in, "Add", "s s", "d");
    onnx_build_node(in, "Add", "d i", "t");
    onnx_build_node(in, "Identity", "t", "u");
    onnx_build_node(in, "Sub", "limit i", "go"); /* 0 after round `limit` */
    ints(f->b, "start", "", 1);
    onnx_build_output(f->b, "last");
    onnx_build_output(f->b, "all");
}

static void loop_is_unrolled(void **state)
{
    fixture *f = *state;
    ints(f->b, "three", "", 3);
    ints(f->b, "limit", "", 9);
    build_loop(f, "three", "-");
    const itc_graph *g = imported(f);
    expect(g, 0, "12");
    expect(g, 1, "2 5 12");
}

static void loop_ends_by_its_condition(void **state)
{
    fixture *f = *state;
    ints(f->b, "limit", "", 1);
    build_loop(f, "-", "-");
    expect(imported(f), 1, "2 5");
}

static void loop_without_end_is_refused(void **state)
{
    fixture *f = *state;
    ints(f->b, "limit", "", -1);
    build_loop(f, "-", "-");
    refused(f, "E0217", "more than 65535 nodes");
}

static void loop_over_rows_is_refused(void **state)
{
    fixture *f = *state;
    ints(f->b, "limit", "", 1);
    ints(f->b, "zero", "", 0);
    onnx_build_node(f->b, "Shape", "x", "shape");
    onnx_build_node(f->b, "Gather", "shape zero", "rows");
    build_loop(f, "rows", "-");
    refused(f, "E0201", "Loop whose trip count is not known");
}

/** Sums of the columns of a 3 x 2 matrix, row by row, from the last one. */
static void scan_is_unrolled(void **state)
{
    fixture *f = *state;
    const int64_t m[6] = {1, 2, 3, 4, 5, 6}, one = 1;
    onnx_build_ints(f->b, "m", "3,2", m);
    onnx_build_ints(f->b, "zero", "2", (const int64_t[]){0, 0});
    Onnx__NodeProto *n = onnx_build_node(f->b, "Scan", "zero m", "last all");
    onnx_build_attr_int(f->b, n, "num_scan_inputs", 1);
    onnx_build_attr_ints(f->b, n, "scan_input_directions", 1, &one);
    onnx_build_attr_ints(f->b, n, "scan_output_axes", 1, &one);
    onnx_build *in = onnx_build_body(f->b, n, "body", "s row", "t u");
    onnx_build_node(in, "Add", "s row", "t");
    onnx_build_node(in, "Identity", "t", "u");
    onnx_build_output(f->b, "last");
    onnx_build_output(f->b, "all");
    const itc_graph *g = imported(f);
    expect(g, 0, "9 12");
    expect(g, 1, "5 8 9 6 10 12");
}

/* ---- sequences, optionals ---- */

static void sequences_fold(void **state)
{
    fixture *f = *state;
    ints(f->b, "a", "2", 1);
    ints(f->b, "b", "2", 11);
    ints(f->b, "one", "", 1);
    ints(f->b, "last", "", -1);
    onnx_build_node(f->b, "SequenceConstruct", "a b", "s");
    onnx_build_node(f->b, "SequenceInsert", "s one one", "s2"); /* a one b */
    onnx_build_node(f->b, "SequenceErase", "s2 one", "s3");     /* a b */
    onnx_build_node(f->b, "SequenceInsert", "s3 a", "s4");      /* a b a */
    onnx_build_node(f->b, "SequenceLength", "s4", "n");
    onnx_build_node(f->b, "SequenceAt", "s3 last", "at");
    Onnx__NodeProto *n = onnx_build_node(f->b, "ConcatFromSequence", "s4", "all");
    onnx_build_attr_int(f->b, n, "axis", 0);
    onnx_build_node(f->b, "SplitToSequence", "all", "parts");
    onnx_build_node(f->b, "SequenceLength", "parts", "m");
    onnx_build_output(f->b, "n");
    onnx_build_output(f->b, "at");
    onnx_build_output(f->b, "all");
    onnx_build_output(f->b, "m");
    const itc_graph *g = imported(f);
    expect(g, 0, "3");
    expect(g, 1, "11 12");
    expect(g, 2, "1 2 11 12 1 2");
    expect(g, 3, "6");
}

static void sequence_map_is_unrolled(void **state)
{
    fixture *f = *state;
    ints(f->b, "a", "2", 1);
    ints(f->b, "b", "1", 11);
    onnx_build_node(f->b, "SequenceConstruct", "a b", "s");
    Onnx__NodeProto *n = onnx_build_node(f->b, "SequenceMap", "s b", "t");
    onnx_build *in = onnx_build_body(f->b, n, "body", "p q", "r");
    onnx_build_node(in, "Mul", "p q", "r");
    n = onnx_build_node(f->b, "ConcatFromSequence", "t", "y");
    onnx_build_attr_int(f->b, n, "axis", 0);
    onnx_build_output(f->b, "y");
    expect(imported(f), 0, "11 22 121");
}

static void optionals_fold(void **state)
{
    fixture *f = *state;
    ints(f->b, "a", "2", 1);
    onnx_build_node(f->b, "Optional", "a", "o");
    onnx_build_node(f->b, "Optional", "", "e");
    onnx_build_node(f->b, "OptionalHasElement", "o", "has");
    onnx_build_node(f->b, "OptionalHasElement", "e", "not");
    onnx_build_node(f->b, "OptionalGetElement", "o", "y");
    onnx_build_output(f->b, "has");
    onnx_build_output(f->b, "not");
    onnx_build_output(f->b, "y");
    const itc_graph *g = imported(f);
    expect(g, 0, "1");
    expect(g, 1, "0");
    expect(g, 2, "1 2");
}

static void operator_on_a_sequence_is_refused(void **state)
{
    fixture *f = *state;
    onnx_build_node(f->b, "SequenceConstruct", "x x", "s");
    onnx_build_node(f->b, "Relu", "s", "y");
    onnx_build_output(f->b, "y");
    refused(f, "E0201", "Relu of a sequence");
}

static void output_that_is_a_sequence_is_refused(void **state)
{
    fixture *f = *state;
    onnx_build_node(f->b, "SequenceConstruct", "x x", "s");
    onnx_build_output(f->b, "s");
    refused(f, "E0209", "\"s\" is no tensor");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(functions_have_names_of_their_own),
        TEST(functions_pass_attributes_on),
        TEST(attribute_that_nobody_gives_is_left_out),
        TEST(function_attributes_have_defaults),
        TEST(function_that_calls_itself_is_refused),
        TEST(function_has_its_own_opset),
        TEST(function_with_other_operands_is_refused),
        TEST(branch_is_chosen),
        TEST(other_branch_is_chosen),
        TEST(condition_that_depends_on_rows_is_refused),
        TEST(refusal_that_nobody_needs_is_none),
        TEST(loop_is_unrolled),
        TEST(loop_ends_by_its_condition),
        TEST(loop_without_end_is_refused),
        TEST(loop_over_rows_is_refused),
        TEST(scan_is_unrolled),
        TEST(sequences_fold),
        TEST(sequence_map_is_unrolled),
        TEST(optionals_fold),
        TEST(operator_on_a_sequence_is_refused),
        TEST(output_that_is_a_sequence_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
