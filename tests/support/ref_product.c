/*
 * Sums of products of ONNX, from their definitions.
 */
#include <math.h>

#include "tests/support/ref_util.h"

/* ---- Einsum ---- */

/** A term's axes by letters; those of "..." are '0' to '7', the last one '7'. */
static int name_axes(const char *term, size_t len, int rank, char *name)
{
    int letters = 0, k = 0;
    for (size_t i = 0; i < len; i++) {
        letters += term[i] != '.';
    }
    for (size_t i = 0; i < len; i++) {
        if (term[i] != '.') {
            name[k++] = term[i];
        } else if (i == 0 || term[i - 1] != '.') {
            for (int d = rank - letters; d > 0; d--) {
                name[k++] = (char)('8' - d);
            }
        }
    }
    return k;
}

/** The result's axes: those of "->y", or what ONNX says without it. */
static int name_result(const char *arrow, const int *count, char *name)
{
    int k = 0;
    if (arrow) {
        int dots = 0;
        for (int c = '0'; c < '8'; c++) {
            dots += count[c] > 0;
        }
        const size_t len = strlen(arrow);
        return name_axes(arrow, len, (int)len - (strchr(arrow, '.') ? 3 - dots : 0), name);
    }
    for (int c = '0'; c < 'z' + 1; c++) {
        if (c < '8' ? count[c] > 0 : count[c] == 1) {
            name[k++] = (char)c;
        }
    }
    return k;
}

static void eval_einsum(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const char *term = itc_attr_find(n, "equation")->u.s, *arrow = strstr(term, "->");
    char axes[8][ITC_MAX_RANK], result[ITC_MAX_RANK], all[128];
    int count[128] = {0}, labels = 0;
    int64_t extent[128], at[128] = {0}, dim[128], index[128] = {0};
    for (int i = 0; i < n->n_in; i++) {
        const size_t len = strcspn(term, ",-");
        const ref_tensor *t = in(r, n, i);
        (void)name_axes(term, len, t->rank, axes[i]);
        for (int k = 0; k < t->rank; k++) {
            const int c = axes[i][k];
            extent[c] = count[c]++ > 0 && t->dim[k] == 1 ? extent[c] : t->dim[k];
        }
        term += len + 1;
    }
    const int rank = name_result(arrow ? arrow + 2 : NULL, count, result);
    for (int c = 0; c < 128; c++) {
        if (count[c] > 0) {
            all[labels] = (char)c;
            dim[labels++] = extent[c];
        }
    }
    int64_t shape[ITC_MAX_RANK];
    for (int k = 0; k < rank; k++) {
        shape[k] = extent[(int)result[k]];
    }
    reset(r, y, rank, shape);
    do {
        double p = 1;
        int64_t to = 0;
        for (int k = 0; k < labels; k++) {
            at[(int)all[k]] = index[k];
        }
        for (int i = 0; i < n->n_in; i++) {
            const ref_tensor *t = in(r, n, i);
            int64_t from = 0;
            for (int k = 0; k < t->rank; k++) {
                from = from * t->dim[k] + (t->dim[k] == 1 ? 0 : at[(int)axes[i][k]]);
            }
            p *= t->x[from];
        }
        for (int k = 0; k < rank; k++) {
            to = to * shape[k] + at[(int)result[k]];
        }
        y->x[to] += p;
    } while (next_index(labels, dim, index));
}

const ref_operator ref_products[] = {
    {"Einsum", eval_einsum},
    {NULL, NULL},
};
