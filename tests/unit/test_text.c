/* The text form: what is printed reads back, and what is wrong is refused with its place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ir/op.h"

#define HASH "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff"

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

static itc_graph *parse(const char *text)
{
    itc_graph *g = NULL;
    if (itc_parse(ctx, "t.itc", text, strlen(text), &g) != ITC_OK) {
        itc_diag_print(ctx, stderr);
        fail_msg("the text was refused");
    }
    return g;
}

static const char *print(const itc_graph *g)
{
    itc_strbuf out;
    itc_strbuf_init(&out, ctx);
    itc_print(g, NULL, &out, NULL);
    return out.text;
}

/** A graph's text around lines of its body. */
static const char *graph_of(const char *body)
{
    return itc_format(ctx, "itc 1\ngraph @g stage=import opset=13 {\n%s}\n", body);
}

static void canonical(const char *body)
{
    const char *text = graph_of(body);
    assert_string_equal(print(parse(text)), text);
}

static void becomes(const char *body, const char *expected)
{
    assert_string_equal(print(parse(graph_of(body))), graph_of(expected));
}

/** The text is refused at line:col (the body begins in line 3) with this id. */
static void refused(const char *body, const char *id, int line, int col)
{
    itc_graph *g = NULL;
    const char *text = graph_of(body);
    itc_diag_clear(ctx);
    assert_int_not_equal(itc_parse(ctx, "t.itc", text, strlen(text), &g), ITC_OK);
    assert_int_equal(itc_diag_count(ctx), 1);
    const itc_diag *d = itc_diag_get(ctx, 0);
    if (strcmp(d->id, id) != 0 || d->line != line || d->col != col) {
        itc_diag_print(ctx, stderr);
        fail_msg("expected %s at %d:%d", id, line, col);
    }
    assert_string_equal(d->file, "t.itc");
}

/* ---- canonical text ---- */

static const char whole[] =
    "itc 1\n"
    "graph @lenet5 stage=memory opset=11 rows=8 {\n"
    "  set batch = 64\n"
    "  set lr = \"0.05\"\n"
    "  set decay = 0.1f\n"
    "  set pads = [1, 2]\n"
    "  set weights = [1.0, 0.25]\n"
    "  set none = floats[]\n"
    "  set \"odd key\" = -9223372036854775808\n"
    "  model sha256=\"" HASH "\"\n"
    "  exponents = 12\n"
    "  arena = 4096\n"
    "  input %x : i8[N,1,28,28] bits=7 e=@1 onnx(\"input:0\") at=128\n"
    "  target %y : i32[N]\n"
    "  param %w : i16[2,2] axis=0 bits=15 e=@3 data=[1, -2, 3, -32768] * 2^-17 next=%w.new onnx "
    "why=\"feeds \\\"W\\\" of fc1\\n\"\n"
    "  stat %\"odd name\" : f32[2] data=[nan, nan(0xffc00001)]\n"
    "  slot %m : i16[32] bits=15 e=-15 data=blob(bytes=64, sha256=\"" HASH "\")\n"
    "  const %c : f32[] data=[0.1]\n"
    "  const %s : i64[4] data=[N, -N, 3N, -9223372036854775808]\n"
    "  prepare:\n"
    "    %p : i16[2,2] bits=7 e=@4 = Relu(%w) #3.view\n"
    "  forward:\n"
    "    %h : i32[N,2] bits=24 e=@5 = @0 + @2 - 3 = MatMul(%x, %p) {trans_b=1} #12.fwd !\"fc1\" "
    "(Gemm-11)\n"
    "    %d : ?, %mask : bool[2N] = Dropout(%h, _, %c) {ratio=0.25}\n"
    "    %o : f32[N,2] = \"com.x.Foo\"(%d) {b=1.0, \"a b\"=coefs[lr, -0.5*inv_n, 2], "
    "v=f32[3] [1, -0, 1e-45], s=\"\\xff\\x01\"} !7\n"
    "  backward:\n"
    "    %cc : f32[N] bits=3 e=(@3 + @1) = Conv(%x, %w) {pads=[1, 1], group=2} !9 (Conv-1)\n"
    "    %cd : f32[N] e=@? = Combine(%cc, %cc) {coef=[1, -0.5*lr]} #7.dx.3 !\"x\"\n"
    "  update:\n"
    "    %w.new : i16[2,2] bits=15 e=? at=64 in=%w = Neg(%w) #0.update\n"
    "  infer:\n"
    "    %\"back\\\\slash\" : f32[] = LeakyRelu(%c)\n"
    "    %/a/b.0 : f32[] onnx = LeakyRelu(%c) {alpha=3.0}\n"
    "  score:\n"
    "    %q : f32[] e=@7 = -4 = Relu(%c)\n"
    "  output %/a/b.0 as \"out:0\"\n"
    "}\n";

static void whole_text_comes_back(void **state)
{
    (void)state;
    itc_graph *g = parse(whole);
    assert_string_equal(print(g), whole);
    assert_string_equal(print(parse(print(g))), whole);
}

static void fields_arrive(void **state)
{
    (void)state;
    const itc_graph *g = parse(whole);
    assert_string_equal(g->name, "lenet5");
    assert_int_equal(g->stage, ITC_STAGE_MEMORY);
    assert_int_equal(g->opset, 11);
    assert_int_equal(g->n_exponents, 12);
    assert_int_equal(g->arena_bytes, 4096);
    assert_int_equal(g->model_hash[31], 0xff);
    assert_true(itc_setting_float(g, "decay", 0) == (double)0.1f);
    const itc_value *w = itc_value_find(g, "w");
    assert_int_equal(w->kind, ITC_VALUE_PARAM);
    assert_int_equal(w->init_exp, -17);
    assert_int_equal(w->type.exp_axis, 0);
    assert_int_equal(w->type.bits, 15);
    assert_int_equal(w->exp.kind, ITC_EXP_FIT);
    assert_int_equal(w->exp.slot, 3);
    assert_int_equal(((const int16_t *)w->data->data)[3], -32768);
    assert_ptr_equal(w->next_state, itc_value_find(g, "w.new"));
    assert_ptr_equal(w->next_state->storage, w);
    assert_int_equal(w->next_state->offset, 64);
    assert_int_equal(w->offset, -1);
    assert_string_equal(w->onnx, "w");
    assert_string_equal(w->reason, "feeds \"W\" of fc1\n");
    const itc_value *h = itc_value_find(g, "h");
    assert_int_equal(h->exp.kind, ITC_EXP_SUM);
    assert_int_equal(h->exp.slot, 5);
    assert_int_equal(h->exp.n_terms, 2);
    assert_int_equal(h->exp.term[1], 2);
    assert_int_equal(h->exp.offset, -3);
    assert_ptr_equal(h->def->op, &itc_op_MatMul);
    assert_int_equal(h->def->site, 12 << 8 | ITC_ROLE_FWD << 4);
    assert_int_equal(h->def->import_id, 12);
    assert_string_equal(h->def->onnx_name, "fc1");
    assert_string_equal(h->def->onnx_op, "Gemm");
    assert_int_equal(h->def->onnx_version, 11);
    assert_int_equal(h->def->line, 23);
    assert_int_equal(itc_int(h->def, "trans_b"), 1);
    const itc_node *d = itc_value_find(g, "mask")->def;
    assert_int_equal(d->n_in, 3);
    assert_null(d->in[1]);
    assert_int_equal(itc_value_find(g, "mask")->out_index, 1);
    assert_false(itc_value_find(g, "d")->type.known);
    const itc_node *o = itc_value_find(g, "o")->def;
    assert_null(o->op);
    assert_string_equal(o->opaque, "com.x.Foo");
    assert_int_equal(o->import_id, 7);
    assert_string_equal(itc_string(o, "s"), "\xff\x01");
    assert_true(signbit(((const float *)itc_attr_find(o, "v")->u.tensor->data)[1]) != 0);
    const itc_attr *coef = itc_attr_find(itc_value_find(g, "cd")->def, "coef");
    assert_int_equal(coef->u.coefs[1].symbol, ITC_SYM_LR);
    assert_true(coef->u.coefs[1].value == -0.5);
    const itc_value *s = itc_value_find(g, "s");
    assert_int_equal(s->data->batch[0], 1);
    assert_int_equal(s->data->batch[3], 0);
    assert_int_equal(itc_tensor_get_int(s->data, 2), 3);
    assert_null(itc_value_find(g, "m")->data->data);
    assert_int_equal(itc_value_find(g, "q")->def->section, ITC_SCORE);
    assert_int_equal(itc_value_find(g, "q")->exp.offset, -4);
    assert_string_equal(g->outputs[0].name, "out:0");
}

static void spaces_comments_and_order_do_not_matter(void **state)
{
    (void)state;
    becomes("#!c\n\tinput%b:f32[N , 2]onnx(\"b\")# c\r\n set k=1e0 forward:%c:f32[N,2]=\n"
            "LeakyRelu ( %\"b\" ){alpha=0.5f}!\n\"n\" const %d : i8[2] data=[1 ,2]",
            "  set k = 1.0\n"
            "  input %b : f32[N,2] onnx\n"
            "  const %d : i8[2] data=[1, 2]\n"
            "  forward:\n"
            "    %c : f32[N,2] = LeakyRelu(%b) {alpha=0.5} !\"n\"\n");
}

static void defaults_of_our_own_attributes_are_omitted(void **state)
{
    (void)state;
    becomes("  input %x : f32[N,2]\n"
            "  %a : f32[N,2] = LeakyRelu(%x) {alpha=0.01}\n"
            "  %b : f32[N,2] = MatMul(%x, %a) {trans_b=1, trans_a=0}\n",
            "  input %x : f32[N,2]\n"
            "  forward:\n"
            "    %a : f32[N,2] = LeakyRelu(%x) {alpha=0.01}\n"
            "    %b : f32[N,2] = MatMul(%x, %a) {trans_b=1}\n");
}

static void exponents_come_back(void **state)
{
    (void)state;
    canonical("  input %a : i8[N] e=?\n"
              "  input %b : i8[N] e=@0\n"
              "  input %c : i8[N] e=@?\n"
              "  input %d : i8[N] e=7\n"
              "  input %e : i8[N] e=-2147483648\n"
              "  input %f : i8[N] e=(@0)\n"
              "  input %g : i8[N] e=(@0 + @1 + @2 + @3 + 2147483647)\n"
              "  input %h : i8[N] e=@5 = @0 - 2147483648\n"
              "  input %i : i8[N] e=@5 = 0\n"
              "  input %j : i8[N] e=@5 = -@3 + @4 - @5 - 6\n"
              "  input %k : i8[N] e=(-@3)\n");
}

static void numbers_come_back_bit_for_bit(void **state)
{
    (void)state;
    uint64_t x = 88172645463325252u;
    itc_graph *g = itc_graph_new(ctx, "g");
    itc_node *n = itc_node_append(g, NULL, 0, NULL, 0, NULL);
    n->opaque = "x";
    enum { N = 2000 };
    static double doubles[N];
    static itc_coef coefs[N];
    const int64_t sixteen = 16;
    float *floats[N / 16];
    for (int i = 0; i < N; i++) {
        do {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            memcpy(&doubles[i], &x, sizeof x);
        } while (isnan(doubles[i]));
        if (i % 3 == 0) {
            doubles[i] = (double)(float)(doubles[i] > 0 ? 1.0 / (i + 1) : i);
        }
        coefs[i] = (itc_coef){doubles[i], (itc_symbol)(i % 3)};
    }
    for (int i = 0; i < N / 16; i++) {
        itc_value *v = itc_const_new(g, "f", itc_tensor_new(ctx, ITC_F32, 1, &sixteen));
        floats[i] = v->data->data;
        memcpy(floats[i], (const char *)doubles + 64 * i, 64); /* any bits at all */
    }
    itc_attr_set(g, n,
                 (itc_attr){.name = "d", .kind = ITC_ATTR_FLOATS, .n = N, .u.floats = doubles});
    itc_set_coefs(g, n, "c", N, coefs);
    const itc_graph *h = parse(print(g));
    const itc_node *m = h->section[ITC_FORWARD].node[0];
    assert_int_equal(itc_attr_find(m, "d")->n, N);
    assert_memory_equal(itc_attr_find(m, "d")->u.floats, doubles, sizeof doubles);
    for (int i = 0; i < N; i++) {
        const itc_coef c = itc_attr_find(m, "c")->u.coefs[i];
        assert_memory_equal(&c.value, &doubles[i], sizeof c.value);
        assert_int_equal(c.symbol, coefs[i].symbol);
    }
    for (int i = 0; i < N / 16; i++) {
        assert_memory_equal(h->values[i]->data->data, floats[i], 64);
    }
}

static void integers_of_all_types_come_back(void **state)
{
    (void)state;
    canonical("  const %a : i8[2] data=[-128, 127]\n"
              "  const %b : i16[2] data=[-32768, 32767]\n"
              "  const %c : i32[2] data=[-2147483648, 2147483647]\n"
              "  const %d : i64[2] data=[-9223372036854775808, 9223372036854775807]\n"
              "  const %e : u8[2] data=[0, 255]\n"
              "  const %f : bool[2] data=[0, 1]\n"
              "  const %g : f32[0,3] data=[]\n"
              "  const %h : ? data=i8[1] [5]\n"
              "  const %i : f32[5] data=[inf, -inf, nan, 3.4028235e+38, -0]\n"
              "  const %j : i64[17] data=[N, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, "
              "16]\n");
}

static void strings_come_back(void **state)
{
    (void)state;
    itc_graph *g = itc_graph_new(ctx, "3 names");
    char all[256];
    for (int i = 1; i < 256; i++) {
        all[i - 1] = (char)i;
    }
    all[255] = '\0';
    itc_value *v = itc_value_new(g, ITC_VALUE_INPUT, all, itc_type_scalar(ITC_F32));
    v->onnx = "h\xc3\xa9\xe2\x82\xac";
    v->reason = "";
    (void)itc_value_new(g, ITC_VALUE_INPUT, "a.b/c_1", itc_type_scalar(ITC_F32));
    const itc_graph *h = parse(print(g));
    assert_string_equal(h->name, "3 names");
    assert_string_equal(h->values[0]->name, all);
    assert_string_equal(h->values[0]->onnx, v->onnx);
    assert_string_equal(h->values[0]->reason, "");
    assert_non_null(strstr(print(g), "input %a.b/c_1 : f32[]"));
    assert_non_null(strstr(print(g), "onnx(\"h\xc3\xa9\xe2\x82\xac\")"));
}

static void comments_are_ignored_by_the_reader(void **state)
{
    (void)state;
    itc_strbuf out;
    itc_strbuf_init(&out, ctx);
    const itc_print_options with = {.comments = true};
    itc_print(parse(whole), &with, &out, NULL);
    assert_non_null(strstr(out.text, "\n  # "));
    assert_string_equal(print(parse(out.text)), whole);
}

/* ---- side files ---- */

static const char *folder_new(void)
{
    char *folder = itc_strdup(ctx, "/tmp/itc-text-XXXXXX");
    assert_non_null(mkdtemp(folder));
    return folder;
}

static void large_tensors_go_to_a_side_file(void **state)
{
    (void)state;
    const char *folder = folder_new();
    const char *file = itc_format(ctx, "%s/m.itc.bin", folder);
    const char *path = itc_format(ctx, "%s/m.itc", folder);
    itc_graph *g = itc_graph_new(ctx, "g");
    const int64_t dims[] = {5, 7};
    itc_tensor *a = itc_tensor_new(ctx, ITC_I16, 2, dims);
    itc_tensor *b = itc_tensor_new(ctx, ITC_F32, 2, dims);
    for (int i = 0; i < 35; i++) {
        ((int16_t *)a->data)[i] = (int16_t)(i * 900 - 15000);
        ((float *)b->data)[i] = 1.0f / (float)(i + 1);
    }
    (void)itc_const_new(g, "a", a);
    (void)itc_const_new(g, "b", b);
    itc_strbuf text;
    itc_strbuf blob;
    itc_strbuf_init(&text, ctx);
    itc_strbuf_init(&blob, ctx);
    const itc_print_options opt = {.blob_path = file};
    itc_print(g, &opt, &text, &blob);
    assert_int_equal(blob.len, 80 + 140); /* 70 bytes, padded to 16, and 140 */
    assert_non_null(strstr(text.text, "blob(\"m.itc.bin\", offset=80, bytes=140, sha256="));
    assert_int_equal(itc_write_file(ctx, file, blob.text, blob.len), ITC_OK);

    itc_graph *h = NULL;
    assert_int_equal(itc_parse(ctx, path, text.text, text.len, &h), ITC_OK);
    assert_memory_equal(h->values[0]->data->data, a->data, 70);
    assert_memory_equal(h->values[1]->data->data, b->data, 140);
    itc_strbuf again;
    itc_strbuf_init(&again, ctx);
    itc_print(h, &opt, &again, NULL);
    assert_string_equal(again.text, text.text);
    /* Without a side file only the hash is left, and that comes back as well. */
    const char *elided = print(h);
    assert_non_null(strstr(elided, "data=blob(bytes=70, sha256="));
    assert_string_equal(print(parse(elided)), elided);
    assert_null(parse(elided)->values[0]->data->data);

    blob.text[3] ^= 1;
    assert_int_equal(itc_write_file(ctx, file, blob.text, blob.len), ITC_OK);
    assert_int_equal(itc_parse(ctx, path, text.text, text.len, &h), ITC_PARSE);
    assert_string_equal(itc_diag_get(ctx, 0)->id, "E0112");
    assert_int_equal(itc_write_file(ctx, file, blob.text, 200), ITC_OK);
    assert_int_equal(itc_parse(ctx, path, text.text, text.len, &h), ITC_PARSE);
    assert_int_equal(unlink(file), 0);
    assert_int_equal(itc_parse(ctx, path, text.text, text.len, &h), ITC_IO);
    assert_int_equal(rmdir(folder), 0);
}

static void side_files_must_lie_beside_the_text(void **state)
{
    (void)state;
    static const char *const names[] = {"../x", "/etc/passwd", "a/b", "..", ".", "", "-", "a\\\\b"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        refused(itc_format(ctx,
                           "const %%a : i8[1] data=blob(\"%s\", offset=0, bytes=1, sha256=\"" HASH
                           "\")\n",
                           names[i]),
                "E0112", 3, 28);
    }
}

/* ---- refusals ---- */

static void other_versions_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "itc 2\ngraph @g stage=import opset=1 {}",
                                        "itc",
                                        "itc 1.0\n",
                                        "graph @g {}",
                                        "itc \"1\" graph"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        itc_graph *g = NULL;
        itc_diag_clear(ctx);
        assert_int_equal(itc_parse(ctx, "t.itc", texts[i], strlen(texts[i]), &g), ITC_PARSE);
        assert_string_equal(itc_diag_get(ctx, 0)->id, "E0101");
    }
}

static void syntax_errors_name_their_place(void **state)
{
    (void)state;
    refused("  input x : f32[]\n", "E0102", 3, 9);
    refused("  input %x f32[]\n", "E0102", 3, 12);
    refused("  input %x : f33[]\n", "E0102", 3, 14);
    refused("  input %x : f32[3\n", "E0102", 4, 1);
    refused("  input %x : f32[] e=\n", "E0102", 4, 1);
    refused("  input %x : f32[] e=@1 = @2 + 1 + @3\n", "E0102", 3, 36);
    refused("  input %x : f32[] e=@1 = @2 + @2 + @2 + @2 + @2\n", "E0102", 3, 47);
    refused("  input %x : f32[] bits=65\n", "E0104", 3, 25);
    refused("  input %x : f32[] axis=8\n", "E0104", 3, 25);
    refused("  input %x : f32[] axis=-1\n", "E0104", 3, 26);
    refused("  input %x : f32[] onnx(3\n", "E0102", 3, 25);
    refused("  input %x : f32[] bits=3 bits=3\n", "E0109", 3, 27);
    refused("  input % : f32[]\n", "E0103", 3, 9);
    refused("  input %\"\" : f32[]\n", "E0103", 3, 9);
    refused("  set x = \"abc\n", "E0103", 3, 11);
    refused("  set x = \"a\\q\"\n", "E0103", 3, 11);
    refused("  set x = \"a\\x00\"\n", "E0103", 3, 11);
    refused("  set x = \"a\\\"\n", "E0103", 3, 11);
    refused("  set x = ~\n", "E0102", 3, 11);
    refused("  set x = 1e999\n", "E0104", 3, 11);
    refused("  set x = 9223372036854775808\n", "E0104", 3, 11);
    refused("  set x = 1.2.3\n", "E0102", 3, 11);
    refused("  set x = 0x10\n", "E0102", 3, 11);
    refused("  set x = 3N\n", "E0102", 3, 11);
    refused("  set x = lr\n", "E0102", 3, 11);
    refused("  set x = [1, \"a\"]\n", "E0102", 3, 15);
    refused("  set x = 1\n  set x = 1\n", "E0109", 4, 7);
    refused("  exponents = 1 exponents = 1\n", "E0109", 3, 27);
    refused("  exponents = 2147483648\n", "E0104", 3, 15);
    refused("  model sha256=\"12\"\n", "E0102", 3, 16);
    refused("  frobnicate %x\n", "E0113", 3, 3);
    refused("  forward\n", "E0102", 4, 1);
    refused("} x\n", "E0102", 3, 3);
    refused("  output %x as \"x\"\n", "E0108", 3, 10);
    refused("  param %w : f32[] next=%n\n", "E0108", 3, 25);
}

static void node_errors_name_their_place(void **state)
{
    (void)state;
    refused("input %x : f32[]\n%y : f32[] = Reluu(%x)\n", "E0105", 4, 14);
    refused("input %x : f32[]\n%y : f32[] = Relu(%z)\n", "E0108", 4, 19);
    refused("input %x : f32[]\n%y : f32[] = Relu(%y)\n", "E0108", 4, 19);
    refused("input %x : f32[]\n%x : f32[] = Relu(%x)\n", "E0109", 4, 1);
    refused("input %x : f32[]\n%y : f32[], %y : f32[] = Relu(%x)\n", "E0109", 4, 13);
    refused("input %x : f32[]\n%y : f32[] = Relu(%x, %x)\n", "E0106", 4, 14);
    refused("input %x : f32[]\n%y : f32[], %z : f32[] = Relu(%x)\n", "E0106", 4, 26);
    refused("input %x : f32[]\n_ = Relu(%x)\n", "E0106", 4, 5);
    refused("input %x : f32[]\n%y : f32[] = Relu(%x) {stride=1}\n", "E0107", 4, 24);
    refused("input %x : f32[]\n%y : f32[] = LeakyRelu(%x) {alpha=\"a\"}\n", "E0102", 4, 35);
    refused("input %x : f32[]\n%y : f32[] = Gemm(%x, %x) {transA=1.0}\n", "E0102", 4, 35);
    refused("input %x : f32[]\n%y : f32[] = Gemm(%x, %x) {transA=1, transA=1}\n", "E0109", 4, 38);
    refused("input %x : f32[]\n%y : f32[] = Relu(%x) #12.foo\n", "E0102", 4, 23);
    refused("input %x : f32[]\n%y : f32[] = Relu(%x) #12.dx.16\n", "E0102", 4, 23);
    refused("input %x : f32[]\n%y : f32[] = Relu(%x) #16777216.dx\n", "E0102", 4, 23);
    refused("input %x : f32[]\n%y : f32[] = Relu(%x) !\"a\" (Relu)\n", "E0102", 4, 33);
}

static void hostile_types_are_refused(void **state)
{
    (void)state;
    refused("  input %x : f32[4294967296,4294967296]\n", "E0110", 3, 14);
    refused("  input %x : f32[9223372036854775807]\n", "E0110", 3, 14);
    refused("  input %x : f32[9223372036854775808]\n", "E0104", 3, 18);
    refused("  input %x : f32[-1]\n", "E0104", 3, 19);
    refused("  input %x : f32[N,N]\n", "E0110", 3, 14);
    refused("  input %x : f32[1,1,1,1,1,1,1,1,1]\n", "E0110", 3, 14);
    refused("  const %x : f32[1000000000000] data=[1]\n", "E0111", 3, 38);
    refused("  const %x : i8[2] data=[1, 2, 3]\n", "E0111", 3, 32);
    refused("  const %x : i8[3] data=[1, 2]\n", "E0111", 3, 25);
    refused("  const %x : i8[1] data=[128]\n", "E0111", 3, 26);
    refused("  const %x : u8[1] data=[-1]\n", "E0111", 3, 26);
    refused("  const %x : bool[1] data=[2]\n", "E0111", 3, 28);
    refused("  const %x : i8[1] data=[1.0]\n", "E0111", 3, 26);
    refused("  const %x : f32[1] data=[1e39]\n", "E0104", 3, 27);
    refused("  const %x : f32[1] data=[nan(0x3f800000)]\n", "E0102", 3, 31);
    refused("  const %x : i8[N] data=[1]\n", "E0110", 3, 25);
    refused("  const %x : ? data=[1]\n", "E0110", 3, 21);
    refused("  const %x : i8[4] data=blob(bytes=5, sha256=\"" HASH "\")\n", "E0111", 3, 30);
}

/* ---- other forms ---- */

static void json_replaces_what_is_no_text(void **state)
{
    (void)state;
    itc_graph *g = itc_graph_new(ctx, "a\"b\\c\x01\xff\xc3\xa9");
    itc_strbuf out;
    itc_strbuf_init(&out, ctx);
    itc_print_json(g, &out);
    assert_non_null(strstr(out.text, "\"name\": \"a\\\"b\\\\c\\u0001\xef\xbf\xbd\xc3\xa9\""));
}

static void dot_has_a_cluster_a_section(void **state)
{
    (void)state;
    itc_strbuf out;
    itc_strbuf_init(&out, ctx);
    itc_print_dot(parse(whole), &out);
    for (int s = 0; s < ITC_SECTION_COUNT; s++) {
        assert_non_null(strstr(
            out.text, itc_format(ctx, "subgraph cluster_%s {", itc_section_name((itc_section)s))));
    }
    assert_non_null(strstr(out.text, "n0_0 -> n1_0 [label=\"i16[2,2]\"];"));
    assert_non_null(strstr(out.text, "MatMul\\nfc1\\nh : i32[N,2]"));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(whole_text_comes_back),
        CASE(fields_arrive),
        CASE(spaces_comments_and_order_do_not_matter),
        CASE(defaults_of_our_own_attributes_are_omitted),
        CASE(exponents_come_back),
        CASE(numbers_come_back_bit_for_bit),
        CASE(integers_of_all_types_come_back),
        CASE(strings_come_back),
        CASE(comments_are_ignored_by_the_reader),
        CASE(large_tensors_go_to_a_side_file),
        CASE(side_files_must_lie_beside_the_text),
        CASE(other_versions_are_refused),
        CASE(syntax_errors_name_their_place),
        CASE(node_errors_name_their_place),
        CASE(hostile_types_are_refused),
        CASE(json_replaces_what_is_no_text),
        CASE(dot_has_a_cluster_a_section),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
