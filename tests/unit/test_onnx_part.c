/* Initializers that an exporter merged: which nodes get one of their own, under which name. What is
 * expected is what torch names the parameters of such modules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "frontend/onnx_part.h"
#include "tests/unit/torch_file.h"

enum { FLOAT = 1, METADATA_PROPS = 9 };

static void pair(fixture *f, const char *name, float first)
{
    const float v[] = {first, 0.25f};
    onnx_build_floats(f->b, name, "2", v);
}

/** A node of a module, as torch.export writes it: metadata_props with the list of scopes. */
static Onnx__NodeProto *of_module(fixture *f, const char *type, const char *in, const char *out,
                                  const char *scopes)
{
    Onnx__NodeProto *node = onnx_build_node(f->b, type, in, out);
    onnx_build_note(f->b, &node->base, METADATA_PROPS, "pkg.torch.onnx.name_scopes", scopes);
    return node;
}

static const Onnx__TensorProto *initializer(const Onnx__GraphProto *g, const char *name)
{
    for (size_t i = 0; i < g->n_initializer; i++) {
        if (strcmp(g->initializer[i]->name, name) == 0) {
            return g->initializer[i];
        }
    }
    return NULL;
}

/** Operand k of node i is an initializer of this name, which starts as 0.5. */
static void expect(const Onnx__GraphProto *g, size_t i, size_t k, const char *name)
{
    assert_string_equal(g->node[i]->input[k], name);
    const Onnx__TensorProto *t = initializer(g, name);
    assert_non_null(t);
    assert_true(t->n_float_data == 2 && t->float_data[0] == 0.5f);
}

static void modules_have_their_own(void **state)
{
    fixture *f = *state;
    pair(f, "a.norm1.bias", 0.5f);
    of_module(f, "Add", "x a.norm1.bias", "h", "['', 'a', 'a.norm1', 'add']");
    of_module(f, "Add", "h a.norm1.bias", "i", "['', 'b', 'b.norm1', 'add_1']");
    of_module(f, "Add", "i a.norm1.bias", "y", "['', 'b', 'b.norm1', 'add_2']");
    const Onnx__GraphProto *g = read_back(f);
    expect(g, 0, 1, "a.norm1.bias");
    expect(g, 1, 1, "b.norm1.bias");
    expect(g, 2, 1, "b.norm1.bias");
    assert_int_equal(g->n_initializer, 2);
}

/* An owner's name may lie deeper than the module that uses it: attention's projection. */
static void names_below_the_module(void **state)
{
    fixture *f = *state;
    pair(f, "l.0.attn.out.bias", 0.5f);
    of_module(f, "Add", "x l.0.attn.out.bias", "h", "['', 'l.0', 'l.0.attn', 'linear']");
    of_module(f, "Add", "h l.0.attn.out.bias", "y", "['', 'l.1', 'l.1.attn@1', 'linear_1']");
    const Onnx__GraphProto *g = read_back(f);
    expect(g, 0, 1, "l.0.attn.out.bias");
    expect(g, 1, 1, "l.1.attn.out.bias");
}

/* The same module called twice, another operator, a module below the owner, one that is not named,
 * and a name that the model has: all of them share by intent. */
static void what_is_shared_by_intent_stays(void **state)
{
    fixture *f = *state;
    pair(f, "a.w", 0.5f);
    pair(f, "d.w", 0.5f);
    of_module(f, "Add", "x a.w", "h", "['', 'a', 'add']");
    of_module(f, "Add", "h a.w", "i", "['', 'a@1', 'add_1']");
    of_module(f, "Mul", "i a.w", "j", "['', 'b', 'mul']");
    of_module(f, "Add", "j a.w", "k", "['', 'a', 'a.inner', 'add_2']");
    of_module(f, "Add", "k a.w", "l", "['', 'add_3']");
    of_module(f, "Add", "l a.w", "m", "['', 'd', 'add_4']");
    of_module(f, "Add", "m a.w", "n", "scopes");
    of_module(f, "Add", "n a.w", "y", "['', 'torn");
    const Onnx__GraphProto *g = read_back(f);
    for (size_t i = 0; i < g->n_node; i++) {
        expect(g, i, 1, "a.w");
    }
    assert_int_equal(g->n_initializer, 2);
}

/* The zeros of a normalisation's bias and of those of linear layers; a product takes no bias. */
static void biases_of_any_operator_are_parted(void **state)
{
    fixture *f = *state;
    pair(f, "n.bias", 0.5f);
    pair(f, "n.weight", 0.5f);
    of_module(f, "LayerNormalization", "x n.weight n.bias", "g", "['', 'n', 'layer_norm']");
    of_module(f, "Add", "g n.bias", "h", "['', 'l', 'linear']");
    of_module(f, "Mul", "h n.bias", "i", "['', 'm', 'mul']");
    of_module(f, "Add", "i n.weight", "j", "['', 'k', 'add']");
    of_module(f, "Add", "n.bias j", "y", "['', 'o', 'linear_1']");
    const Onnx__GraphProto *g = read_back(f);
    expect(g, 0, 2, "n.bias");
    expect(g, 1, 1, "l.bias");
    expect(g, 2, 1, "n.bias");
    expect(g, 3, 1, "n.weight");
    expect(g, 4, 0, "o.bias");
    assert_int_equal(g->n_initializer, 4);
}

static void other_exporters_are_not_guessed_at(void **state)
{
    fixture *f = *state;
    f->b->model->producer_name = itc_strdup(f->b->arena, "other");
    pair(f, "a.w", 0.5f);
    of_module(f, "Add", "x a.w", "h", "['', 'a', 'add']");
    of_module(f, "Add", "h a.w", "i", "['', 'b', 'add_1']");
    onnx_build_node(f->b, "Identity", "a.w", "b.w")->name = itc_strdup(f->b->arena, "Identity_4");
    onnx_build_node(f->b, "Add", "i b.w", "y");
    const Onnx__GraphProto *g = read_back(f);
    assert_int_equal(g->n_initializer, 1);
    assert_int_equal(g->n_node, 4);
}

static void identities_become_what_they_stand_for(void **state)
{
    fixture *f = *state;
    pair(f, "a.w", 0.5f);
    onnx_build_node(f->b, "Identity", "a.w", "b.w")->name = itc_strdup(f->b->arena, "Identity_4");
    onnx_build_node(f->b, "Identity", "a.w", "c")->name = itc_strdup(f->b->arena, "/l/Identity");
    onnx_build_node(f->b, "Add", "x b.w", "h");
    onnx_build_node(f->b, "Add", "h c", "y");
    const Onnx__GraphProto *g = read_back(f);
    assert_int_equal(g->n_node, 3);
    expect(g, 0, 0, "a.w");
    expect(g, 1, 1, "b.w");
    assert_int_equal(g->n_initializer, 2);
}

/* A folded weight of `a`, called three times, of the same in module `b` and in no module. */
static void calls_of_a_module_share(void **state)
{
    static const char *const users[] = {"/m/a/MatMul", "/m/a_1/MatMul",  "/m_1/a_12/MatMul",
                                        "/m/b/MatMul", "/m/ab_1/MatMul", "/MatMul"};
    fixture *f = *state;
    pair(f, "onnx::MatMul_0", 0.5f);
    for (int i = 1; i < 6; i++) {
        char *to = itc_format(f->b->arena, "onnx::MatMul_%d", i);
        onnx_build_node(f->b, "Identity", "onnx::MatMul_0", to)->name =
            itc_format(f->b->arena, "Identity_%d", i);
    }
    for (int i = 0; i < 6; i++) {
        const char *in = itc_format(f->b->arena, "x onnx::MatMul_%d", i);
        const char *out = i == 5 ? "y" : itc_format(f->b->arena, "h%d", i);
        onnx_build_node(f->b, "Mul", in, out)->name = itc_strdup(f->b->arena, users[i]);
    }
    const Onnx__GraphProto *g = read_back(f);
    assert_int_equal(g->n_node, 2 + 6);
    assert_int_equal(g->n_initializer, 4);
    expect(g, 0, 0, "onnx::MatMul_0");
    expect(g, 1, 0, "onnx::MatMul_0");
    expect(g, 5, 1, "onnx::MatMul_3");
    expect(g, 6, 1, "onnx::MatMul_4");
    expect(g, 7, 1, "onnx::MatMul_5");
}

/* Two normalisations whose scale, bias, means and variances are one tensor. */
static void statistics_are_no_one_elses(void **state)
{
    fixture *f = *state;
    f->b->model->producer_name = NULL;
    pair(f, "ones", 0.5f);
    pair(f, "ones.statistic", 2);
    pair(f, "var", 0.5f);
    onnx_build_node(f->b, "BatchNormalization", "x ones ones ones var", "h");
    onnx_build_node(f->b, "BatchNormalization", "h ones ones.statistic ones var", "y");
    const Onnx__GraphProto *g = read_back(f);
    expect(g, 0, 1, "ones");
    expect(g, 0, 2, "ones");
    expect(g, 0, 3, "ones.statistic.1");
    expect(g, 0, 4, "var");
    expect(g, 1, 1, "ones");
    expect(g, 1, 3, "ones.statistic.2");
    expect(g, 1, 4, "var.statistic");
    assert_int_equal(g->n_initializer, 6);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(modules_have_their_own),
        TEST(names_below_the_module),
        TEST(what_is_shared_by_intent_stays),
        TEST(biases_of_any_operator_are_parted),
        TEST(other_exporters_are_not_guessed_at),
        TEST(identities_become_what_they_stand_for),
        TEST(calls_of_a_module_share),
        TEST(statistics_are_no_one_elses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
