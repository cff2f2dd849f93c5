/*
 * Sums of products of ONNX, and what is a product with a triangle, from their definitions.
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

/* ---- Attention ---- */

/** A tensor as [batch, heads, sequence, size], however its axes stand. */
typedef struct headed {
    const double *x;
    int64_t batch, heads, length, size;
    bool flat; /**< [batch, sequence, heads, size] */
} headed;

static headed headed_of(const ref_tensor *t, int64_t heads)
{
    const bool flat = t->rank == 3;
    return (headed){t->x,
                    t->dim[0],
                    flat ? heads : t->dim[1],
                    flat ? t->dim[1] : t->dim[2],
                    flat ? t->dim[2] / heads : t->dim[3],
                    flat};
}

static double head_at(const headed *h, int64_t row, int64_t head, int64_t i, int64_t d)
{
    const int64_t b = h->batch == 1 ? 0 : row;
    return h->x[h->flat ? ((b * h->length + i) * h->heads + head) * h->size + d
                        : ((b * h->heads + head) * h->length + i) * h->size + d];
}

/** Key or value j, of which the first `past` are cached. */
static double cached_at(const headed *h, const headed *past, int64_t b, int64_t head, int64_t j,
                        int64_t d)
{
    return j < past->length ? head_at(past, b, head, j, d)
                            : head_at(h, b, head, j - past->length, d);
}

/** What a query and a key have: the mask's addend, -infinity where they do not meet. */
static double bias_at(const ref_model *r, const itc_node *n, int64_t past, const int64_t *index)
{
    const ref_tensor *mask = in(r, n, 3), *lengths = in(r, n, 6);
    const int64_t queries = in(r, n, 0)->dim[in(r, n, 0)->rank - 2], j = index[3];
    const int64_t known = lengths ? (int64_t)lengths->x[index[0]] : INT64_MAX;
    const int64_t i = index[2] + (lengths ? known - queries : past);
    const int64_t left = attr_int(n, "left_window_size", -1);
    const int64_t right = attr_int(n, "is_causal", 0) ? 0 : attr_int(n, "right_window_size", -1);
    if (j >= known || (left >= 0 && j < i - left) || (right >= 0 && j > i + right)) {
        return -INFINITY;
    }
    if (!mask) {
        return 0;
    }
    if (mask->dim[mask->rank - 1] > 1 && j >= mask->dim[mask->rank - 1]) {
        return -INFINITY;
    }
    const double m = broadcast_at(mask, 4, index);
    const bool yes_or_no =
        n->in[3]->type.dtype == ITC_BOOL || (n->in[3]->def && n->in[3]->def->op == &itc_op_Greater);
    return yes_or_no ? (m > 0 ? 0 : -INFINITY) : m;
}

static void eval_attention(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *tq = in(r, n, 0), *pk = in(r, n, 4), *pv = in(r, n, 5);
    const headed q = headed_of(tq, attr_int(n, "q_num_heads", 1)), none = {0};
    const headed k = headed_of(in(r, n, 1), attr_int(n, "kv_num_heads", 1)),
                 v = headed_of(in(r, n, 2), attr_int(n, "kv_num_heads", 1));
    const headed past_k = pk ? headed_of(pk, 0) : none, past_v = pv ? headed_of(pv, 0) : none;
    const int64_t keys = k.length + past_k.length, group = q.heads / k.heads;
    const double scale = attr_float(n, "scale", 1 / sqrt((double)q.size)),
                 cap = attr_float(n, "softcap", 0);
    const int64_t flat[3] = {tq->dim[0], q.length, q.heads * v.size},
                  whole[4] = {tq->dim[0], q.heads, q.length, v.size};
    int64_t index[4] = {0};
    const int64_t rows[3] = {tq->dim[0], q.heads, q.length};
    double *p = ITC_NEW_ARRAY(r->g->ctx, double, keys);
    reset(r, y, tq->rank, q.flat ? flat : whole);
    do {
        const int64_t b = index[0], h = index[1], i = index[2];
        double sum = 0;
        for (int64_t j = 0; j < keys; j++) {
            double s = 0;
            for (int64_t d = 0; d < q.size; d++) {
                s += head_at(&q, b, h, i, d) * cached_at(&k, &past_k, b, h / group, j, d);
            }
            index[3] = j;
            s *= scale;
            p[j] = exp((cap > 0 ? cap * tanh(s / cap) : s) + bias_at(r, n, past_k.length, index));
            sum += p[j];
        }
        for (int64_t d = 0; d < v.size; d++) {
            double o = 0;
            for (int64_t j = 0; j < keys; j++) {
                o += sum > 0 ? p[j] / sum * cached_at(&v, &past_v, b, h / group, j, d) : 0;
            }
            y->x[q.flat ? ((b * q.length + i) * q.heads + h) * v.size + d
                        : ((b * q.heads + h) * q.length + i) * v.size + d] = o;
        }
    } while (next_index(3, rows, index));
}

/* ---- RotaryEmbedding ---- */

static void eval_rotary(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *x = in(r, n, 0), *cosine = in(r, n, 1), *sine = in(r, n, 2),
                     *ids = in(r, n, 3);
    const headed h = headed_of(x, attr_int(n, "num_heads", 1));
    const int64_t given = attr_int(n, "rotary_embedding_dim", 0), turned = given ? given : h.size;
    const bool pairs = attr_int(n, "interleaved", 0) != 0;
    reset(r, y, x->rank, x->dim);
    for (int64_t k = 0; k < x->count; k++) {
        const int64_t d = k % h.size, at = h.flat ? k / (h.size * h.heads) : k / h.size;
        const int64_t i = at % h.length, b = h.flat ? at / h.length : at / h.length / h.heads;
        if (d >= turned) {
            y->x[k] = x->x[k];
            continue;
        }
        const bool second = pairs ? d % 2 != 0 : d >= turned / 2;
        const int64_t angle = pairs ? d / 2 : d % (turned / 2), step = pairs ? 1 : turned / 2;
        const int64_t rows = ids ? ids->dim[0] : cosine->dim[0], row = rows == 1 ? 0 : b;
        const int64_t place = ids ? (int64_t)ids->x[row * h.length + i] : row * h.length + i;
        const double c = cosine->x[place * (turned / 2) + angle],
                     s = sine->x[place * (turned / 2) + angle];
        y->x[k] = second ? s * x->x[k - step] + c * x->x[k] : c * x->x[k] - s * x->x[k + step];
    }
}

/* ---- triangles ---- */

static void eval_trilu(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *x = in(r, n, 0), *k = in(r, n, 1);
    const int64_t columns = x->dim[x->rank - 1], rows = x->dim[x->rank - 2];
    const int64_t diagonal = k ? (int64_t)k->x[0] : 0;
    reset(r, y, x->rank, x->dim);
    for (int64_t at = 0; at < x->count; at++) {
        const int64_t above = at % columns - at / columns % rows;
        const bool in = attr_int(n, "upper", 1) ? above >= diagonal : above <= diagonal;
        y->x[at] = in ? x->x[at] : 0;
    }
}

static void eval_cumsum(ref_model *r, const itc_node *n, ref_tensor *y)
{
    const ref_tensor *x = in(r, n, 0);
    const int axis = axis_of((int64_t)in(r, n, 1)->x[0], x->rank);
    const int64_t inner = product(x, axis + 1, x->rank), extent = x->dim[axis];
    const bool reverse = attr_int(n, "reverse", 0) != 0, own = !attr_int(n, "exclusive", 0);
    reset(r, y, x->rank, x->dim);
    for (int64_t at = 0; at < x->count; at++) {
        const int64_t j = at / inner % extent;
        for (int64_t k = 0; k < extent; k++) {
            if (k == j ? own : reverse ? k > j : k < j) {
                y->x[at] += x->x[at + (k - j) * inner];
            }
        }
    }
}

const ref_operator ref_products[] = {
    {"Einsum", eval_einsum}, {"Attention", eval_attention}, {"RotaryEmbedding", eval_rotary},
    {"Trilu", eval_trilu},   {"CumSum", eval_cumsum},       {NULL, NULL},
};
