/* Initializers that an exporter folded from others: which are made of them again. What is expected
 * are the elements that numpy gives for a permuted array. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "passes/params.h"
#include "tests/unit/torch_file.h"

#define FLOAT ITC_ONNX_FLOAT
#define KIND "pkg.torch.export.graph_signature.InputSpec.kind"
#define FOLDED_FROM "pkg.onnxscript.optimizer.folded_from"

/** An initializer that is used, and what torch.export notes of it. */
static void tensor(fixture *f, const char *name, const char *shape, const float *v, const char *key,
                   const char *value)
{
    onnx_build_floats(f->b, name, shape, v);
    onnx_build_node(f->b, "Use", itc_format(f->b->arena, "x %s", name),
                    itc_format(f->b->arena, "%s.used", name));
    if (key) {
        onnx_build_value_note(f->b, name, key, value);
    }
}

static bool has(const Onnx__GraphProto *g, const char *name)
{
    for (size_t i = 0; i < g->n_initializer; i++) {
        if (strcmp(g->initializer[i]->name, name) == 0) {
            return true;
        }
    }
    return false;
}

static void expect_order(const Onnx__NodeProto *n, const char *in, const char *out, int rank,
                         const int64_t *perm)
{
    assert_string_equal(n->op_type, "Transpose");
    assert_string_equal(n->input[0], in);
    assert_string_equal(n->output[0], out);
    assert_int_equal(n->attribute[0]->n_ints, rank);
    assert_memory_equal(n->attribute[0]->ints, perm, (size_t)rank * sizeof *perm);
}

static const float matrix[] = {1, 2, 3, 4, 5, 6}, transposed[] = {1, 4, 2, 5, 3, 6};

/* np.arange(1, 13).reshape(2, 3, 2), and its transpose(2, 0, 1) */
static const float block[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
static const float turned[] = {1, 3, 5, 7, 9, 11, 2, 4, 6, 8, 10, 12};

static void what_is_moved_is_made_again(void **state)
{
    static const int64_t swap[] = {1, 0}, turn[] = {2, 0, 1};
    fixture *f = *state;
    tensor(f, "e", "2,3", matrix, KIND, "PARAMETER");
    tensor(f, "t", "3,2", transposed, FOLDED_FROM, "['val_1', 'e']");
    tensor(f, "b", "2,3,2", block, KIND, "PARAMETER");
    tensor(f, "c", "4,3", turned, FOLDED_FROM, "['b', 'val_2']");
    const Onnx__GraphProto *g = read_back(f);
    assert_int_equal(g->n_node, 4 + 3);
    expect_order(g->node[0], "e", "t", 2, swap);
    expect_order(g->node[1], "b", "c.unfolded", 3, turn);
    assert_string_equal(g->node[2]->op_type, "Reshape");
    assert_string_equal(g->node[2]->output[0], "c");
    assert_true(has(g, "e") && has(g, "b") && has(g, "c.unfolded.shape"));
    assert_int_equal(g->n_initializer, 3);
    assert_int_equal(itc_note_count(f->ctx), 0);
}

static void expect_node(const Onnx__NodeProto *n, const char *type, const char *a, const char *b)
{
    assert_string_equal(n->op_type, type);
    assert_string_equal(n->input[0], a);
    assert_true(n->n_input == (b ? 2 : 1));
    assert_string_equal(b ? n->input[1] : a, b ? b : a);
}

static float number_of(const Onnx__GraphProto *g, const char *name)
{
    for (size_t i = 0; i < g->n_initializer; i++) {
        if (strcmp(g->initializer[i]->name, name) == 0) {
            return g->initializer[i]->float_data[0];
        }
    }
    return 0;
}

/* Of [[1, 2, 3], [4, 5, 6]] / 8; the functions' values are numpy's, as float32. */
static void what_is_computed_is_computed_again(void **state)
{
    static const float p[] = {0.125f, 0.25f, 0.375f, 0.5f, 0.625f, 0.75f};
    static const float plus[] = {0.12500101f, 0.250001f, 0.375001f,
                                 0.500001f,   0.625001f, 0.750001f};
    static const float minus[] = {0.875f, 0.75f, 0.625f, 0.5f, 0.375f, 0.25f};
    static const float times[] = {-0.25f, -0.5f, -0.75f, -1, -1.25f, -1.5f};
    static const float exps[] = {1.1331484f, 1.2840254f, 1.4549914f,
                                 1.6487213f, 1.8682460f, 2.1170001f};
    static const float squares[] = {0.265625f, 0.453125f, 0.703125f};
    fixture *f = *state;
    tensor(f, "p", "2,3", p, KIND, "PARAMETER");
    tensor(f, "a", "2,3", plus, FOLDED_FROM, "['p']");
    tensor(f, "b", "2,3", minus, FOLDED_FROM, "['p']");
    tensor(f, "c", "2,3", times, FOLDED_FROM, "['p']");
    tensor(f, "d", "2,3", exps, FOLDED_FROM, "['p']");
    tensor(f, "e", "1,3", squares, FOLDED_FROM, "['p', 'pow_1', 'val_2']");
    const Onnx__GraphProto *g = read_back(f);
    assert_int_equal(g->n_node, 6 + 6);
    expect_node(g->node[0], "Add", "p", "a.unfolded.number");
    expect_node(g->node[1], "Sub", "b.unfolded.number", "p");
    expect_node(g->node[2], "Mul", "p", "c.unfolded.number");
    expect_node(g->node[3], "Exp", "p", NULL);
    expect_node(g->node[4], "Einsum", "p", "p");
    assert_memory_equal(g->node[4]->attribute[0]->s.data, "ab,ab->b", 8);
    expect_node(g->node[5], "Reshape", "e.unfolded", "e.unfolded.shape");
    assert_true(number_of(g, "b.unfolded.number") == 1);
    assert_true(number_of(g, "c.unfolded.number") == -2);
    assert_true(number_of(g, "a.unfolded.number") > 0.9e-6f);
    assert_true(number_of(g, "a.unfolded.number") < 1.1e-6f);
    assert_int_equal(itc_note_count(f->ctx), 0);
}

/* Another element, elements that are all alike, a source that is gone, and a buffer. */
static void others_stay(void **state)
{
    static const float changed[] = {1, 4, 2, 5, 3, 7}, alike[] = {1, 1, 1, 1, 1, 1};
    fixture *f = *state;
    tensor(f, "e", "2,3", matrix, KIND, "PARAMETER");
    tensor(f, "ones", "2,3", alike, KIND, "PARAMETER");
    tensor(f, "table", "2,3", matrix, KIND, "BUFFER");
    tensor(f, "t", "3,2", changed, FOLDED_FROM, "['e']");
    tensor(f, "u", "3,2", alike, FOLDED_FROM, "['ones']");
    tensor(f, "v", "3,2", transposed, FOLDED_FROM, "['gone']");
    tensor(f, "w", "3,2", transposed, FOLDED_FROM, "['table']");
    const Onnx__GraphProto *g = read_back(f);
    assert_int_equal(g->n_node, 7);
    assert_int_equal(g->n_initializer, 7);
    assert_int_equal(itc_note_count(f->ctx), 1);
    assert_non_null(strstr(itc_note_get(f->ctx, 0), "2 initializers"));
    assert_non_null(strstr(itc_note_get(f->ctx, 0), "\"t\" from \"e\""));
}

/* The older exporter notes nothing, but what it folded has a name that says so. */
static void names_tell_where_no_notes_do(void **state)
{
    static const int64_t swap[] = {1, 0};
    static const float other[] = {1, 4, 3, 5, 2, 6};
    fixture *f = *state;
    tensor(f, "onnx::MatMul_7", "3,2", transposed, NULL, NULL);
    tensor(f, "onnx::MatMul_8", "3,2", other, NULL, NULL);
    tensor(f, "e", "2,3", matrix, NULL, NULL);
    tensor(f, "copy", "3,2", transposed, NULL, NULL);
    const Onnx__GraphProto *g = read_back(f);
    assert_int_equal(g->n_node, 4 + 1);
    expect_order(g->node[0], "e", "onnx::MatMul_7", 2, swap);
    assert_true(has(g, "onnx::MatMul_8") && has(g, "copy"));
    assert_int_equal(g->n_initializer, 3);
}

static void other_exporters_are_not_guessed_at(void **state)
{
    fixture *f = *state;
    f->b->model->producer_name = NULL;
    tensor(f, "e", "2,3", matrix, KIND, "PARAMETER");
    tensor(f, "onnx::MatMul_7", "3,2", transposed, FOLDED_FROM, "['e']");
    assert_int_equal(read_back(f)->n_initializer, 2);
}

/** Why an initializer is what it is, after import. */
static const char *reason(const itc_graph *g, const char *name)
{
    for (int i = 0; i < g->n_values; i++) {
        if (strcmp(g->values[i]->name, name) == 0) {
            return g->values[i]->reason;
        }
    }
    return NULL;
}

static void parameters_and_buffers_are_told_apart(void **state)
{
    static const float waves[] = {0.84f, 0.91f, 0.14f, -0.76f, -0.96f, -0.28f};
    fixture *f = *state;
    f->b->graph->n_output = 0;
    onnx_build_output(f->b, "last");
    onnx_build_floats(f->b, "e", "2,3", matrix);
    onnx_build_value_note(f->b, "e", KIND, "PARAMETER");
    onnx_build_floats(f->b, "table", "2,3", matrix);
    onnx_build_value_note(f->b, "table", KIND, "BUFFER");
    onnx_build_floats(f->b, "twice", "2,3", matrix);
    onnx_build_value_note(f->b, "twice", FOLDED_FROM, "['table', 'val_3']");
    onnx_build_floats(f->b, "mixed", "2,3", matrix);
    onnx_build_value_note(f->b, "mixed", FOLDED_FROM, "['table', 'weight']");
    onnx_build_floats(f->b, "rotary", "2,3", matrix);
    onnx_build_value_note(f->b, "rotary", FOLDED_FROM, "['arange', 'cos_1', 'm.frequencies']");
    onnx_build_floats(f->b, "wave", "2,3", waves);
    onnx_build_value_note(f->b, "wave", FOLDED_FROM, "['e', 'sin']");
    onnx_build_node(f->b, "Sum", "e table twice mixed rotary wave", "s");
    onnx_build_node(f->b, "MatMul", "x s", "last");
    (void)read_back(f);
    itc_import_options options = {0};
    itc_graph *g = NULL;
    assert_int_equal(itc_onnx_import(f->ctx, f->m, &options, &g), ITC_OK);
    assert_string_equal(reason(g, "e"), ITC_PARAMS_TOLD);
    assert_string_equal(reason(g, "table"), ITC_PARAMS_BUFFER);
    assert_string_equal(reason(g, "twice"), ITC_PARAMS_BUFFER);
    assert_string_equal(reason(g, "mixed"), "initializer");
    assert_string_equal(reason(g, "rotary"), ITC_PARAMS_BUFFER);
    assert_string_equal(reason(g, "wave"), "initializer");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_moved_is_made_again),
        TEST(what_is_computed_is_computed_again),
        TEST(others_stay),
        TEST(names_tell_where_no_notes_do),
        TEST(other_exporters_are_not_guessed_at),
        TEST(parameters_and_buffers_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
