/* The graph checks: one sound graph, and each way to break it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "ir/op.h"

static itc_ctx *ctx;

static int setup(void **state)
{
    (void)state;
    ctx = itc_ctx_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    itc_ctx_free(ctx);
    return 0;
}

static itc_graph *parse(const char *stage, const char *body)
{
    itc_graph *g = NULL;
    const char *text = itc_format(ctx, "itc 1\ngraph @g stage=%s opset=13 {\n%s}\n", stage, body);
    itc_diag_clear(ctx);
    if (itc_parse(ctx, "t.itc", text, strlen(text), &g) != ITC_OK) {
        itc_diag_print(ctx, stderr);
        fail_msg("the text was refused");
    }
    return g;
}

static void holds(const char *stage, const char *body)
{
    if (itc_verify(parse(stage, body)) != ITC_OK) {
        itc_diag_print(ctx, stderr);
        fail_msg("the graph was refused");
    }
    assert_int_equal(itc_diag_count(ctx), 0);
}

static void graph_fails(itc_graph *g, const char *id, const char *part)
{
    assert_int_not_equal(itc_verify(g), ITC_OK);
    const itc_diag *d = itc_diag_get(ctx, 0);
    assert_non_null(d);
    if (strcmp(d->id, id) != 0 || !strstr(d->text, part)) {
        itc_diag_print(ctx, stderr);
        fail_msg("expected %s with \"%s\"", id, part);
    }
}

static void fails(const char *stage, const char *body, const char *id, const char *part)
{
    graph_fails(parse(stage, body), id, part);
}

#define STATE                                                                                      \
    "input %x : i8[N,4] bits=7 e=@0\n"                                                             \
    "target %y : i32[N]\n"                                                                         \
    "param %w : i8[4,4] bits=7 e=@1 data=[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16] next=%n\n"

static const char sound[] = "set batch = 2\n"
                            "exponents = 4\n"
                            "arena = 256\n" STATE "prepare:\n"
                            "  %v : i8[4,4] bits=7 e=@2 at=0 = Relu(%w)\n"
                            "forward:\n"
                            "  %h : i8[N,4] bits=7 e=@3 at=16 = Relu(%x)\n"
                            "  %k : i8[N,4] bits=7 e=@3 at=16 in=%h = Relu(%h)\n"
                            "backward:\n"
                            "  %d : i8[N,4] bits=7 e=-3 at=24 = Mask(%k, %x)\n"
                            "update:\n"
                            "  %n : i8[4,4] bits=7 e=@1 = @2 + @3 at=64 = Relu(%v)\n"
                            "infer:\n"
                            "  %i : i8[N,4] bits=7 e=@3 at=16 = Relu(%x)\n"
                            "  %j : i8[N,4] bits=7 e=@3 at=20 = Mask(%i, %v)\n"
                            "score:\n"
                            "  %s : i8[N,4] bits=7 e=@3 at=28 = Mask(%j, %y)\n"
                            "output %j as \"j\"\n";

static void sound_graphs_hold_at_every_stage(void **state)
{
    (void)state;
    for (int s = ITC_STAGE_IMPORT; s < ITC_STAGE_COUNT; s++) {
        holds(itc_stage_name((itc_stage)s), sound);
    }
    holds("memory", "");
}

static void uses_follow_definitions(void **state)
{
    (void)state;
    itc_graph *g =
        parse("shape", "input %x : f32[]\n%a : f32[] = Relu(%x)\n%b : f32[] = Relu(%a)\n");
    itc_node **list = g->section[ITC_FORWARD].node;
    itc_node *first = list[0];
    list[0] = list[1];
    list[1] = first;
    graph_fails(g, "E0121", "\"a\" is used before it is made");
    assert_ptr_equal(itc_diag_get(ctx, 0)->node, list[0]);
}

static void values_are_made_once(void **state)
{
    (void)state;
    itc_graph *g =
        parse("shape", "input %x : f32[]\n%a : f32[] = Relu(%x)\n%b : f32[] = Relu(%x)\n");
    g->section[ITC_FORWARD].node[1]->out[0] = itc_value_find(g, "a");
    graph_fails(g, "E0120", "\"a\" is not made here alone");
}

static void values_belong_to_the_graph(void **state)
{
    (void)state;
    itc_graph *g = parse("shape", "input %x : f32[]\n%a : f32[] = Relu(%x)\n");
    itc_graph *other = parse("shape", "input %z : f32[]\ninput %q : f32[]\n");
    g->section[ITC_FORWARD].node[0]->in[0] = itc_value_find(other, "q");
    graph_fails(g, "E0120", "\"q\" is not a value of the graph");
    g = parse("shape", "input %x : f32[]\ninput %q : f32[]\n");
    g->values[1]->id = 0;
    graph_fails(g, "E0120", "number 0");
}

static void sections_use_what_they_may(void **state)
{
    (void)state;
    static const char *const names[] = {"prepare", "forward", "backward",
                                        "update",  "infer",   "score"};
    for (int owner = 0; owner < ITC_SECTION_COUNT; owner++) {
        for (int user = 0; user < ITC_SECTION_COUNT; user++) {
            const char *body =
                itc_format(ctx,
                           "const %%x : f32[] data=[1]\n%s:\n%%a : f32[] = Relu(%%x)\n"
                           "%s:\n%%b : f32[] = Relu(%%a)\n",
                           names[owner], names[user]);
            if (itc_section_sees((itc_section)user, (itc_section)owner)) {
                holds("shape", body);
            } else {
                fails("shape", body, "E0122", "uses \"a\"");
            }
        }
    }
    fails("shape", "input %x : f32[]\nprepare:\n%a : f32[] = Relu(%x)\n", "E0122", "\"x\"");
    fails("shape", "target %x : f32[]\nupdate:\n%a : f32[] = Relu(%x)\n", "E0122", "\"x\"");
    fails("shape", "target %x : f32[]\ninfer:\n%a : f32[] = Relu(%x)\n", "E0122", "target \"x\"");
    fails("loss", "input %x : f32[]\nforward:\n%a : f32[] = Relu(%x)\noutput %a as \"a\"\n",
          "E0122", "made in section forward");
    itc_graph *g = parse("shape", "input %x : f32[]\n%a : f32[] = Relu(%x)\n");
    g->section[ITC_FORWARD].node[0]->section = ITC_BACKWARD;
    graph_fails(g, "E0122", "stands in section forward");
}

static void arity_and_attributes_follow_the_row(void **state)
{
    (void)state;
    itc_graph *g = parse("shape", "input %x : f32[]\n%a : f32[] = Relu(%x)\n");
    itc_node *n = g->section[ITC_FORWARD].node[0];
    n->n_in = 0;
    graph_fails(g, "E0123", "0 operands, expected 1 to 1");
    n->n_in = 1;
    n->in[0] = NULL;
    itc_diag_clear(ctx);
    graph_fails(g, "E0123", "operand 0 of Relu cannot be left out");
    fails("shape", "input %x : f32[]\n_, %b : f32[] = Dropout(%x)\n", "E0123",
          "output 0 of Dropout");

    g = parse("shape", "input %x : f32[]\n%a : f32[] = Relu(%x)\n");
    itc_set_int(g, g->section[ITC_FORWARD].node[0], "axis", 1);
    graph_fails(g, "E0124", "Relu has no attribute \"axis\"");
    g = parse("shape", "input %x : f32[]\n%a : f32[] = LeakyRelu(%x)\n");
    itc_set_int(g, g->section[ITC_FORWARD].node[0], "alpha", 1);
    graph_fails(g, "E0124", "\"alpha\" is of another kind");
}

static void required_attributes_are_there(void **state)
{
    (void)state;
    for (int i = 0; itc_op_at(i); i++) {
        const itc_op_def *op = itc_op_at(i);
        for (const itc_attr_spec *s = op->attrs; s && s->name; s++) {
            if (!s->required) {
                continue;
            }
            itc_graph *g = parse("shape", "const %x : f32[] data=[1]\n");
            itc_value *in[255];
            for (int k = 0; k < op->in_min; k++) {
                in[k] = g->values[0];
            }
            itc_node *n = itc_node_new(g, op, NULL, op->in_min, in, op->out_min);
            for (int k = 0; k < n->n_out; k++) {
                n->out[k]->type = g->values[0]->type;
            }
            graph_fails(g, "E0124", "needs attribute");
            break;
        }
    }
}

static void operators_without_a_row_end_with_import(void **state)
{
    (void)state;
    holds("import", "input %x : f32[]\n%a : ? = \"Foo\"(%x)\n");
    fails("shape", "input %x : f32[]\n%a : f32[] = \"Foo\"(%x)\n", "E0125", "Foo");
}

static void types_are_known_and_fit_the_stage(void **state)
{
    (void)state;
    holds("import", "input %x : ?\n%a : ? = Relu(%x)\n");
    fails("shape", "input %x : f32[]\n%a : ? = Relu(%x)\n", "E0126", "\"a\" is not known");
    holds("backward", "input %x : f32[]\n");
    fails("integer", "input %x : f32[]\n", "E0126", "\"x\" is f32");
    fails("memory", "set arith = \"int8\"\ninput %x : f32[]\n", "E0126", "\"x\" is f32");
    holds("integer", "set arith = \"float32\"\ninput %x : f32[]\n");
    fails("shape", "input %x : f32[3] axis=1\n", "E0126", "not possible");
    itc_graph *g = parse("shape", "input %x : f32[N,3]\n");
    g->values[0]->type.dim[1].batch = true;
    graph_fails(g, "E0126", "not possible");
}

static void state_matches_its_next_state(void **state)
{
    (void)state;
    fails("shape", "param %w : f32[2] data=[1,2] next=%n\nupdate:\n%n : f32[3] = Relu(%w)\n",
          "E0127", "f32[3], expected f32[2]");
    fails("shape",
          "param %w : f32[2] data=[1,2] next=%n\nupdate:\n%n : f32[2] = Relu(%w)\n"
          "%m : f32[2] next=%n = Relu(%w)\n",
          "E0127", "\"m\" is no state");
    fails("shape", "const %c : f32[2]\n", "E0130", "\"c\" has no contents");
    fails("shape", "const %c : f32[2] data=f32[3] [1,2,3]\n", "E0130", "f32[3], expected f32[2]");
    fails("shape", "input %x : f32[2] data=[1,2]\n", "E0130", "\"x\" has contents");
}

static void exponents_are_planned_from_plan_on(void **state)
{
    (void)state;
    holds("integer", "input %x : i8[N] bits=7 e=?\n");
    fails("plan", "input %x : i8[N] bits=7 e=?\n", "E0128", "\"x\" is not planned");
    fails("plan", "exponents = 1\ninput %x : i8[N] bits=7 e=@1\n", "E0128", "table of 1");
    fails("plan", "exponents = 1\ninput %x : i8[N] bits=7 e=@?\n", "E0128", "table of 1");
    fails("plan", "exponents = 1\ninput %x : i8[N] bits=7 e=(@0 + @1)\n", "E0128", "table of 1");
    holds("plan", "exponents = 2\ninput %x : i8[N] bits=7 e=(@0 + @1)\n");
    holds("plan", "input %x : i8[N] bits=7 e=-4\n");
}

/** The sound graph with one part of its text replaced. */
static const char *with(const char *part, const char *other)
{
    const char *at = strstr(sound, part);
    assert_non_null(at);
    return itc_format(ctx, "%.*s%s%s", (int)(at - sound), sound, other, at + strlen(part));
}

static void memory_does_not_overlap(void **state)
{
    (void)state;
    /* Bytes: %v 0-16, %h and %k 16-24, %d 24-32, %n 64-80; one row each: %i 16-20, %j 20-24. */
    holds("memory", with("e=-3 at=24", "e=-3 at=80"));
    fails("memory", with("e=-3 at=24", "e=-3 at=23"), "E0129", "overlaps");
    holds("memory", with("@3 at=64", "@3 at=16")); /* %h is dead in update */
    fails("memory", with("@3 at=64", "@3 at=15"), "E0129", "overlaps");
    holds("schedule", with("@3 at=64", "@3 at=15"));
    /* Evaluation has a timeline of its own, in which a view of a weight lives to the end. */
    fails("memory", with("e=@3 at=28 = Mask(%j", "e=@3 at=12 = Mask(%j"), "E0129", "overlaps");
    fails("memory", with("e=@3 at=28 = Mask(%j", "e=@3 at=20 = Mask(%j"), "E0129", "overlaps");
    holds("memory", with("e=@3 at=28 = Mask(%j", "e=@3 at=16 = Mask(%j"));
    fails("memory", with("arena = 256", "arena = 79"), "E0129", "outside the arena of 79 bytes");
    holds("memory", with("arena = 256", "arena = 80"));
    fails("memory", with("at=64", "at=9223372036854775807"), "E0129", "outside");
    fails("memory", with("at=16 in=%h", "at=24 in=%h"), "E0129", "does not fit the bytes");
    fails("memory", with("%k : i8[N,4]", "%k : i16[N,4]"), "E0129", "does not fit the bytes");
}

static void loops_keep_what_they_read_again(void **state)
{
    (void)state;
    /* %v is read first in forward and again in the next micro-batch: backward must leave it. */
    fails("memory",
          "set batch = 4\nset micro_batch = 2\nexponents = 1\narena = 64\n"
          "param %w : i8[4] bits=7 e=@0 data=[1,2,3,4]\ninput %x : i8[N,4] bits=7 e=@0\n"
          "prepare:\n%v : i8[4] bits=7 e=@0 at=0 = Relu(%w)\n"
          "forward:\n%h : i8[N,4] bits=7 e=@0 at=8 = Mask(%x, %v)\n"
          "backward:\n%d : i8[N,4] bits=7 e=@0 at=0 = Relu(%h)\n",
          "E0129", "overlaps");
}

static void storage_rings_are_refused(void **state)
{
    (void)state;
    fails("shape", "input %x : f32[] in=%x\n", "E0129", "takes its bytes from itself");
    fails("shape", "input %x : f32[] in=%y\ninput %y : f32[] in=%z\ninput %z : f32[] in=%y\n",
          "E0129", "takes its bytes from itself");
    holds("shape", "input %x : f32[] in=%y\ninput %y : f32[] in=%z\ninput %z : f32[]\n");
}

static void all_errors_are_reported(void **state)
{
    (void)state;
    itc_graph *g = parse("shape", "input %x : f32[]\n%a : ? = Relu(%x)\n%b : ? = Relu(%a)\n");
    assert_int_equal(itc_verify(g), ITC_SHAPE);
    assert_int_equal(itc_diag_count(ctx), 2);
    assert_int_equal(itc_diag_get(ctx, 1)->line, 5);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(sound_graphs_hold_at_every_stage),
        CASE(uses_follow_definitions),
        CASE(values_are_made_once),
        CASE(values_belong_to_the_graph),
        CASE(sections_use_what_they_may),
        CASE(arity_and_attributes_follow_the_row),
        CASE(required_attributes_are_there),
        CASE(operators_without_a_row_end_with_import),
        CASE(types_are_known_and_fit_the_stage),
        CASE(state_matches_its_next_state),
        CASE(exponents_are_planned_from_plan_on),
        CASE(memory_does_not_overlap),
        CASE(loops_keep_what_they_read_again),
        CASE(storage_rings_are_refused),
        CASE(all_errors_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
