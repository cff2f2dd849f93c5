/*
 * The gradient of sums of products (support/grad_check.h says how).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/support/grad_check.h"

/** A second trained operand of its own shape a sample. */
#define Y(shape) "in z [N," shape "]; par q [" shape "] -0.5..0.5; b = Add(z, q);"

static void einsums_of_one(void **state)
{
    static const grad_case cases[] = {
        {.text = X("3,4") "y = Einsum(a) equation=nij->nji"},
        {.text = X("3,4") "y = Einsum(a) equation=nij->nj"},
        {.text = X("3,4") "e = Einsum(a) equation=cab; y = Transpose(e) perm=2,0,1"},
        {.text = X("3,3") "y = Einsum(a) equation=nii->ni"},
        {.text = X("3,2,3") "y = Einsum(a) equation=niji->nj"},
        {.text = X("2,2,3,2") "y = Einsum(a) equation=niiji->nji"},
        {.text = X("4,4") "t = Tanh(a); y = Einsum(t) equation=...ii->..."},
        {.text = X("2,3,4") "y = Einsum(a) equation=n...k->nk..."},
    };
    RUN(cases)
}

static void einsums_of_two(void **state)
{
    static const grad_case cases[] = {
        {.text = X("3,4") "par w [4,5]; y = Einsum(a, w) equation=nij,jk->nik"},
        {.text = X("3,4") "par w [5,3,4]; y = Einsum(a, w) equation=nij,kij->nk"},
        {.text = X("2,3,5") Y("2,4,5") "y = Einsum(a, b) equation=nhqd,nhkd->nhqk"},
        {.text = X("3,2,5") Y("4,2,5") "y = Einsum(a, b) equation=bqhd,bkhd->bhqk"},
        {.text = X("2,3,4") Y("4,2,5") "y = Einsum(a, b) equation=bhqk,bkhd->bqhd"},
        {.text = X("5") Y("5") "y = Einsum(a, b) equation=ni,ni->n"},
        {.text = X("3") Y("4") "y = Einsum(a, b) equation=ni,nj->nij"},
        {.text = X("3,4") Y("4,3") "y = Einsum(a, b) equation=nij,nji->nij"},
        {.text = X("3,4") Y("2,4") "y = Einsum(a, b) equation=nij,nkl->njk"},
        {.text = X("2,3,4") "par w [2,4,5]; y = Einsum(a, w) equation=...ij,...jk->...ik"},
        {.text = X("3,1") "par w [1,4]; y = Einsum(a, w) equation=nij,ij->nij"},
        {.text = X("4") "par w [6,2,4]; e = Einsum(w, a) equation=kij,nj;"
                        "y = Transpose(e) perm=2,1,0"},
    };
    RUN(cases)
}

static void einsums_of_more(void **state)
{
    static const grad_case cases[] = {
        {.text = X("3") Y("4") "par w [5,3,4]; y = Einsum(a, w, b) equation=ni,kij,nj->nk"},
        {.text = X("3,4") "par u [3,2]; par v [4,5]; y = Einsum(u, a, v) equation=ik,nij,jl->nkl"},
        {.text = X("4") "par u [4]; par v [4]; y = Einsum(a, u, v) equation=ni,i,i->ni"},
        {.text = X("4") "par u [4]; par v [4]; par s [];"
                        "y = Einsum(a, u, s, v) equation=ni,i,,i->n"},
    };
    RUN(cases)
}

#define Q(shape) "opset 23;" X(shape)
#define KV(k, v)                                                                                   \
    "in z [N," k "]; par q [" k "] -0.5..0.5; b = Add(z, q);"                                      \
    "in u [N," v "]; par r [" v "] -0.5..0.5; c = Add(u, r);"

static void attention(void **state)
{
    static const grad_case cases[] = {
        {.text = Q("2,3,4") KV("2,5,4", "2,5,3") "y = Attention(a, b, c)"},
        {.text = Q("2,3,4") KV("2,3,4", "2,3,4") "y = Attention(a, b, c) is_causal=1 scale=0.7"},
        {.text = Q("4,3,2") KV("2,5,2", "2,5,3") "y = Attention(a, b, c)"},
        {.text = Q("3,3,2") KV("1,4,2", "1,4,3") "y = Attention(a, b, c) is_causal=1"},
        {.text = Q("3,8") KV("5,4", "5,6") "y = Attention(a, b, c) q_num_heads=4 kv_num_heads=2"},
        {.text = Q("2,3,4") KV("2,5,4", "2,5,3") "y = Attention(a, b, c) softcap=0.8"},
        {.text = Q("4") "par w [4,4]; m = MatMul(a, w); ints s -1,1,1,4; f = Reshape(m, s);"
                        "par k [1,1,5,4]; par v [1,1,5,2]; t = Attention(f, k, v); y = Flatten(t)"},
    };
    RUN(cases)
}

static void attention_with_masks(void **state)
{
    static const grad_case cases[] = {
        {.text = Q("2,2,4") KV("2,3,4", "2,3,3") "const m [2,3] 0.5,0,-1,0.25,-0.5,0;"
                                                 "y = Attention(a, b, c, m)"},
        {.text = Q("2,2,4") KV("2,3,4", "2,3,3") "const m [2,3] 0,-inf,0.5,0.25,0,-1e9;"
                                                 "y = Attention(a, b, c, m)"},
        /* a learned bias, and a row that sees nothing */
        {.text = Q("2,2,4") KV("2,3,4", "2,3,3") "par m [2,1,3]; y = Attention(a, b, c, m)"},
        {.text = Q("2,2,4") KV("2,3,4", "2,3,3") "const t [2,3] -1,-1,-1,1,-1,1; const o [] 0;"
                                                 "m = Greater(t, o); y = Attention(a, b, c, m)"},
        {.text = Q("2,3,4")
             KV("2,3,4", "2,3,3") "in t [N,1,3,3] -0.3..1; const o [] 0;"
                                  "m = Greater(t, o); y = Attention(a, b, c, m) is_causal=1"},
        {.text = Q("2,2,4") KV("2,4,4", "2,4,3") "const m [2,2] 0.5,-0.25,0,1;"
                                                 "y = Attention(a, b, c, m)"},
        {.text = "opset 25; " X("1,4,3")
             KV("1,4,3", "1,4,3") "y = Attention(a, b, c) left_window_size=1 right_window_size=1"},
        {.text = Q("2,2,4") KV("2,3,4", "2,3,3") "in e [N,2,2,4]; in f [N,2,2,3];"
                                                 "y = Attention(a, b, c, _, e, f) is_causal=1"},
        {.text = "opset 24; " X("1,2,3")
             KV("1,8,3", "1,8,3") "ids l [N] 3..9;"
                                  "y = Attention(a, b, c, _, _, _, l) is_causal=1"},
    };
    RUN(cases)
}

static void rotary_embeddings(void **state)
{
    static const grad_case cases[] = {
        {.text =
             Q("2,3,4") "par w [2,3,4]; m = Mul(a, w); const c [1,3,2] 0.5,0.8,-0.3,0.2,1,0.1;"
                        "const s [1,3,2] 0.7,-0.6,0.9,0.9,0,-0.9; y = RotaryEmbedding(m, c, s)"},
        {.text = Q("3,8") "const c [4,2] 0.5,0.8,-0.3,0.2,1,0.1,0.4,0.6; ints i 2,0,3;"
                          "const s [4,2] 0.7,-0.6,0.9,0.9,0,-0.9,0.3,0.1; ints t 1,3;"
                          "j = Reshape(i, t); y = RotaryEmbedding(a, c, s, j) num_heads=2 "
                          "interleaved=1"},
        {.text = Q("2,2,5") "const c [5,2] 0.5,0.8,-0.3,0.2,1,0.1,0.4,0.6,-0.2,0.1; ids i [N,2];"
                            "const s [5,2] 0.7,-0.6,0.9,0.9,0,-0.9,0.3,0.1,0.5,0.5;"
                            "y = RotaryEmbedding(a, c, s, i) rotary_embedding_dim=4"},
        {.text = Q("2,2,6") "const c [1,2,1] 0.5,0.8; const s [1,2,1] 0.7,-0.6;"
                            "y = RotaryEmbedding(a, c, s) rotary_embedding_dim=2 interleaved=1"},
    };
    RUN(cases)
}

static void triangles(void **state)
{
    static const grad_case cases[] = {
        {.text = X("3,4") "y = Trilu(a)"},
        {.text = X("4,3") "ints k -1; y = Trilu(a, k) upper=0"},
        {.text = X("2,3,3") "ints k 1; t = Trilu(a, k); y = Tanh(t)"},
        {.text = X("4,3") "par w [4,4]; t = Trilu(w) upper=0; y = MatMul(t, a)"},
        {.text = X("5") "ints i 1; y = CumSum(a, i)"},
        {.text = X("3,4") "ints i -2; y = CumSum(a, i) exclusive=1"},
        {.text = X("3,4") "ints i 2; c = CumSum(a, i) reverse=1; y = Tanh(c)"},
        {.text = X("2,5,3") "ints i 2; y = CumSum(a, i) reverse=1 exclusive=1"},
    };
    RUN(cases)
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(einsums_of_one),
        cmocka_unit_test(einsums_of_two),
        cmocka_unit_test(einsums_of_more),
        cmocka_unit_test(attention),
        cmocka_unit_test(attention_with_masks),
        cmocka_unit_test(rotary_embeddings),
        cmocka_unit_test(triangles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
