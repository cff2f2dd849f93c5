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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(einsums_of_one),
        cmocka_unit_test(einsums_of_two),
        cmocka_unit_test(einsums_of_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
