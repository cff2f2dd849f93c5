/* The directory that is written, and the plan in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "codegen/codegen.h"
#include "codegen/plan_text.h"
#include "runtime/cpu.h"

static itc_ctx *ctx;
static const char dir[] = "codegen.out"; /* ctest runs each test in a folder of its own */

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

static const char linear[] =
    "itc 1\n"
    "graph @linear stage=memory opset=13 {\n"
    "  set batch = 4\n"
    "  set arith = \"int8\"\n"
    "  set note = \"quotes \\\" and\\nlines\"\n"
    "  exponents = 4\n"
    "  arena = 256\n"
    "  input %x : i32[N,3] bits=31 e=@0\n"
    "  param %w : i8[2,3] bits=7 e=@1 data=[1, -2, 3, 4, 5, -6] * 2^-3 onnx(\"w*/\\\"\\n\")\n"
    "  infer:\n"
    "    %x.i8 : i8[N,3] bits=7 e=@2 at=0 = Requant(%x) {coef=[1], bits=7} #1.fwd !\"a*/b\"\n"
    "    %y : i32[N,2] bits=16 e=@3 = @2 + @1 at=64 = MatMul(%x.i8, %w) {trans_b=1} !\"fc\"\n"
    "  output %y as \"out\"\n"
    "}\n";

static itc_graph *graph(void)
{
    itc_graph *g = NULL;
    if (itc_parse(ctx, "t.itc", linear, strlen(linear), &g) != ITC_OK) {
        itc_diag_print(ctx, stderr);
        fail_msg("the text was refused");
    }
    return g;
}

static const char *path(const char *name)
{
    return itc_format(ctx, "%s/%s", dir, name);
}

static bool exists(const char *name)
{
    struct stat st;
    return stat(path(name), &st) == 0;
}

static const char *contents(const char *name)
{
    char *text = NULL;
    size_t n = 0;
    assert_int_equal(itc_read_file(ctx, path(name), 1 << 24, &text, &n), ITC_OK);
    return text;
}

/** Every object that the Makefile names has its source, and there are no others. */
static void check_sources(void)
{
    const char *p = strstr(contents("Makefile"), "OBJECTS = \\\n");
    int n = 0;
    assert_non_null(p);
    p += strlen("OBJECTS = \\\n");
    for (;; n++) {
        p += strspn(p, " \t\\\n");
        const size_t len = strcspn(p, " \t\\\n");
        if (len < 3 || memcmp(p + len - 2, ".o", 2) != 0) {
            break;
        }
        assert_true(exists(itc_format(ctx, "%.*s.c", (int)len - 2, p)));
        p += len;
    }
    assert_true(n > 10);
}

static void directories_hold_what_is_used(void **state)
{
    (void)state;
    assert_int_equal(itc_codegen_directory(graph(), dir, NULL), ITC_OK);
    static const char *const there[] = {
        "linear.h", "linear.c",       "linear_data.bin",    "main.c",
        "Makefile", "CMakeLists.txt", "plan.txt",           "plan.json",
        "runtime",  "runtime/itr.h",  "runtime/ref/gemm.c", "runtime/host/trainer.h"};
    for (size_t i = 0; i < sizeof there / sizeof there[0]; i++) {
        assert_true(exists(there[i]));
    }
    assert_false(exists("runtime/ref/conv.c"));
    assert_false(exists("runtime/ref/gemm_f32.c"));
    check_sources();
    assert_memory_equal(contents("linear_data.bin"), "ITRDATA1", 8);
    assert_null(strstr(contents("linear.c"), "float"));
}

static void what_has_not_changed_keeps_its_time(void **state)
{
    (void)state;
    const struct timespec old[2] = {{1, 0}, {1, 0}};
    const itc_codegen_options keep = {.keep = true};
    struct stat st;
    assert_int_equal(itc_codegen_directory(graph(), dir, NULL), ITC_OK);
    assert_int_equal(utimensat(AT_FDCWD, path("runtime/tensors.c"), old, 0), 0);
    FILE *f = fopen(path("Makefile"), "ab"); /* longer than it should be */
    assert_non_null(f);
    assert_int_equal(fputc('\n', f), '\n');
    assert_int_equal(fclose(f), 0);
    assert_int_equal(utimensat(AT_FDCWD, path("Makefile"), old, 0), 0);
    assert_int_equal(itc_codegen_directory(graph(), dir, &keep), ITC_OK);
    assert_int_equal(stat(path("runtime/tensors.c"), &st), 0);
    assert_int_equal(st.st_mtime, 1);
    assert_int_equal(stat(path("Makefile"), &st), 0);
    assert_true(st.st_mtime > 1);
}

static void a_small_target_has_no_threads(void **state)
{
    (void)state;
    assert_int_equal(itc_codegen_directory(graph(), dir, NULL), ITC_OK);
    assert_non_null(strstr(contents("linear.h"), "itr_pool pool;"));
    assert_non_null(strstr(contents("linear.c"), "{.pool = &s->pool,"));
    const char *head = "itc 1\ngraph @small stage=memory opset=13 {\n  set target = \"cortex-m\"\n";
    const char *text = itc_format(ctx, "%s%s", head, strchr(strstr(linear, "{"), '\n') + 1);
    itc_graph *g = NULL;
    assert_int_equal(itc_parse(ctx, "t.itc", text, strlen(text), &g), ITC_OK);
    assert_int_equal(itc_codegen_directory(g, dir, NULL), ITC_OK);
    assert_null(strstr(contents("small.h"), "itr_pool pool"));
    assert_non_null(strstr(contents("small.c"), "{.pool = NULL,"));
    assert_null(strstr(contents("small.c"), "ITR_ISA_"));
}

/** Levels rise within an architecture, so that the newest variant is assigned last. */
static void variants_are_ordered(void **state)
{
    (void)state;
    uint32_t before = 0;
    const char *architecture = "";
    for (int i = 0; itc_variant_at(i); i++) {
        const itc_variant *v = itc_variant_at(i);
        uint32_t isa = 0;
        assert_non_null(v->kernel);
        assert_true(itr_isa_up_to(v->level, &isa));
        assert_true(strcmp(architecture, v->architecture) != 0 || isa >= before);
        architecture = v->architecture;
        before = isa;
    }
}

static void levels_have_names(void **state)
{
    (void)state;
    uint32_t isa = 1;
    assert_true(itr_isa_up_to("ref", &isa));
    assert_int_equal(isa, 0);
    assert_true(itr_isa_up_to("avxvnni", &isa));
    assert_int_equal(isa, ITR_ISA_avx2 | ITR_ISA_avxvnni);
    assert_true(itr_isa_up_to("dotprod", &isa));
    assert_int_equal(isa, ITR_ISA_neon | ITR_ISA_dotprod);
    assert_true(itr_isa_up_to("i8mm", &isa));
    assert_int_equal(isa, ITR_ISA_neon | ITR_ISA_dotprod | ITR_ISA_i8mm);
    assert_false(itr_isa_up_to("avx", &isa));
    assert_false(itr_isa_up_to("avx22", &isa));
    assert_false(itr_isa_up_to("", &isa));
}

static void embedded_parameters_are_the_data_file(void **state)
{
    (void)state;
    const itc_codegen_options opt = {.name = "in-c", .embed = true};
    assert_int_equal(itc_codegen_directory(graph(), dir, NULL), ITC_OK);
    assert_int_equal(itc_codegen_directory(graph(), dir, &opt), ITC_OK);
    struct stat st;
    assert_int_equal(stat(path("linear_data.bin"), &st), 0);
    const unsigned char *bytes = (const unsigned char *)contents("linear_data.bin");
    const char *p = strstr(contents("in_c_data.c"), "_data[] = {");
    assert_non_null(p);
    p = strchr(p, '{') + 1;
    for (long i = 0; i < (long)st.st_size; i++) {
        char *end = NULL;
        assert_int_equal(strtol(p, &end, 10), bytes[i]);
        p = end + 1;
    }
    assert_int_equal(p[strspn(p, " \n")], '}');
    check_sources();
}

static void a_directory_that_cannot_be_made_is_an_error(void **state)
{
    (void)state;
    assert_int_equal(itc_codegen_directory(graph(), "/dev/null/x", NULL), ITC_WRITE);
    assert_string_equal(itc_diag_get(ctx, 0)->id, "E0411");
}

/* ---- the plan ---- */

/** The rest of a JSON text behind one value; NULL where it is none. */
static const char *skip_json(const char *p)
{
    p += strspn(p, " \n");
    if (*p == '"') {
        for (p++; *p && *p != '"'; p++) {
            if ((unsigned char)*p < ' ') {
                return NULL;
            }
            p += *p == '\\' && p[1];
        }
        return *p == '"' ? p + 1 : NULL;
    }
    if (*p == '{' || *p == '[') {
        const char close = *p == '{' ? '}' : ']';
        p++;
        p += strspn(p, " \n");
        for (bool more = *p != close; more;) {
            if (close == '}') {
                p += strspn(p, " \n");
                p = *p == '"' ? skip_json(p) : NULL;
                p = p && *p == ':' ? p + 1 : NULL;
            }
            p = p ? skip_json(p) : NULL;
            if (!p) {
                return NULL;
            }
            p += strspn(p, " \n");
            more = *p == ',';
            p += more;
        }
        return *p == close ? p + 1 : NULL;
    }
    const size_t n = strspn(p, "-+.0123456789eE");
    const size_t word = strspn(p, "truefalsn");
    return n > 0 ? p + n : word >= 4 ? p + word : NULL;
}

static void the_plan_is_json(void **state)
{
    (void)state;
    assert_int_equal(itc_codegen_directory(graph(), dir, NULL), ITC_OK);
    const char *text = contents("plan.json");
    const char *end = skip_json(text);
    assert_non_null(end);
    assert_string_equal(end, "\n");
    assert_non_null(strstr(text, "\"limit_a\": 127, \"limit_b\": 127, \"worst\": \"48387\""));
    assert_non_null(strstr(text, "\"text\": \"@3 = @2 + @1\""));
    /* 2 x 3 products of a sample; 3 + 6 bytes in, 8 out */
    assert_non_null(strstr(text, "[\"x.i8\", \"w\"], \"bytes\": 17, \"multiply_adds\": 6"));
    assert_null(skip_json("{\"a\": [1, 2}"));
    assert_null(skip_json("{\"a\" 1}"));
}

static void the_plan_proves_its_accumulators(void **state)
{
    (void)state;
    assert_int_equal(itc_codegen_directory(graph(), dir, NULL), ITC_OK);
    const char *text = contents("plan.txt");
    /* 3 * 127 * 127 */
    assert_non_null(strstr(text, "K = 3, A = 127, B = 127: at most 48,387, in i32\n"));
    assert_non_null(strstr(text, "fc (MatMul)"));
    assert_non_null(strstr(text, "#1.fwd     requant_i8 (avx2"));
    assert_null(strstr(text, " \n"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(directories_hold_what_is_used),
        TEST(what_has_not_changed_keeps_its_time),
        TEST(a_small_target_has_no_threads),
        TEST(variants_are_ordered),
        TEST(levels_have_names),
        TEST(embedded_parameters_are_the_data_file),
        TEST(a_directory_that_cannot_be_made_is_an_error),
        TEST(the_plan_is_json),
        TEST(the_plan_proves_its_accumulators),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
