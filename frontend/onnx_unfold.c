/*
 * Exporters fold what depends on parameters alone. Where a parameter is used in its own form as
 * well, as an embedding is that is also the last product, the model then has it twice, and training
 * would let the two drift apart. That an initializer is another one moved, not changed, follows
 * from
 *
 * - the note of torch.export, which names what it was folded from (onnx_notes.h), or the name that
 *   the older exporter gives to what it folded, "onnx::MatMul_9";
 * - its elements: they equal the other's in one order of its axes, bit for bit, and are not all
 *   alike.
 *
 * The formulas of other folds are not in the file; those initializers stay tensors of their own,
 * and the user is told.
 */
#include "frontend/onnx_unfold.h"

#include <string.h>

#include "frontend/onnx_formula.h"
#include "frontend/onnx_model.h"
#include "frontend/onnx_notes.h"

enum { MAX_AXES = 5 };

typedef struct unfolder {
    itc_ctx *arena;
    const itc_onnx_model *model;
    Onnx__GraphProto *g;
    Onnx__NodeProto **made; /**< nodes, to stand before all others */
    int n_made, cap_made;
    Onnx__TensorProto **added; /**< shapes */
    int n_added, cap_added;
    Onnx__TensorProto **at; /**< the initializers that the file has */
} unfolder;

/** An initializer's number of elements, its first and its last; 0: it has another type, or fewer
 * than two axes. */
typedef struct corners {
    int64_t count;
    float first, last;
} corners;

/* ---- orders of axes ---- */

/** Whether t's elements are p's with its axes in the order `perm`. */
static bool is_permuted(const itc_tensor *p, const itc_tensor *t, const int *perm)
{
    int64_t stride[MAX_AXES] = {0}, step[MAX_AXES] = {0}, at[MAX_AXES] = {0};
    int64_t extent[MAX_AXES] = {0};
    const float *a = p->data, *b = t->data;
    for (int i = p->rank - 1, s = 1; i >= 0; i--) {
        stride[i] = s;
        s *= (int)p->dim[i];
    }
    for (int i = 0; i < p->rank; i++) {
        step[i] = stride[perm[i]];
        extent[i] = p->dim[perm[i]];
    }
    int64_t from = 0;
    for (int64_t k = 0; k < t->count; k++) {
        if (memcmp(&a[from], &b[k], sizeof *a) != 0) {
            return false;
        }
        for (int i = p->rank - 1; i >= 0; i--) { /* the next place, as an odometer counts */
            from += step[i];
            if (++at[i] < extent[i]) {
                break;
            }
            from -= step[i] * extent[i];
            at[i] = 0;
        }
    }
    return true;
}

/** The next order in lexicographic sequence; false behind the last. */
static bool next_order(int *perm, int n)
{
    int i = n - 2;
    while (i >= 0 && perm[i] > perm[i + 1]) {
        i--;
    }
    if (i < 0) {
        return false;
    }
    int k = n - 1;
    while (perm[k] < perm[i]) {
        k--;
    }
    const int swap = perm[i];
    perm[i] = perm[k];
    perm[k] = swap;
    for (int a = i + 1, b = n - 1; a < b; a++, b--) {
        const int s = perm[a];
        perm[a] = perm[b];
        perm[b] = s;
    }
    return true;
}

/** Elements that are all alike equal those of many other tensors. */
static bool tells_apart(const itc_tensor *p)
{
    const float *a = p->data;
    for (int64_t i = 1; i < p->count; i++) {
        if (a[i] != a[0]) {
            return true;
        }
    }
    return false;
}

/** The first order of p's axes that gives t's elements; false: none does. */
static bool find_order(const itc_tensor *p, const itc_tensor *t, int *perm)
{
    if (p->dtype != ITC_F32 || t->dtype != ITC_F32 || p->count != t->count ||
        p->count > INT32_MAX || p->rank > MAX_AXES || !tells_apart(p)) {
        return false;
    }
    for (int i = 0; i < p->rank; i++) {
        perm[i] = i;
    }
    do {
        if (is_permuted(p, t, perm)) {
            return true;
        }
    } while (next_order(perm, p->rank));
    return false;
}

/* ---- nodes in an initializer's place ---- */

static Onnx__AttributeProto *add_attribute(unfolder *u, Onnx__NodeProto *n, const char *name,
                                           Onnx__AttributeProto__AttributeType type)
{
    Onnx__AttributeProto *a = ITC_NEW(u->arena, Onnx__AttributeProto);
    onnx__attribute_proto__init(a);
    a->name = itc_strdup(u->arena, name);
    a->has_type = 1;
    a->type = type;
    n->n_attribute = 1;
    n->attribute = ITC_NEW_ARRAY(u->arena, Onnx__AttributeProto *, 1);
    n->attribute[0] = a;
    return a;
}

static void add_order(unfolder *u, Onnx__NodeProto *n, const int *perm, int rank)
{
    Onnx__AttributeProto *a =
        add_attribute(u, n, "perm", ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    a->n_ints = (size_t)rank;
    a->ints = ITC_NEW_ARRAY(u->arena, int64_t, rank);
    for (int i = 0; i < rank; i++) {
        a->ints[i] = perm[i];
    }
}

static Onnx__NodeProto *add_node(unfolder *u, const char *type, int n_in, const char *const *in,
                                 const char *out)
{
    Onnx__NodeProto *n = ITC_NEW(u->arena, Onnx__NodeProto);
    onnx__node_proto__init(n);
    n->name = itc_format(u->arena, "%s.unfolded", out);
    n->op_type = itc_strdup(u->arena, type);
    n->n_input = (size_t)n_in;
    n->input = ITC_NEW_ARRAY(u->arena, char *, n_in);
    for (int i = 0; i < n_in; i++) {
        n->input[i] = itc_strdup(u->arena, in[i]);
    }
    n->n_output = 1;
    n->output = ITC_NEW_ARRAY(u->arena, char *, 1);
    n->output[0] = itc_strdup(u->arena, out);
    ITC_PUSH(u->arena, u->made, u->n_made, u->cap_made, n);
    return n;
}

static Onnx__TensorProto *add_tensor(unfolder *u, const char *name, int32_t type)
{
    Onnx__TensorProto *t = ITC_NEW(u->arena, Onnx__TensorProto);
    onnx__tensor_proto__init(t);
    t->name = itc_strdup(u->arena, name);
    t->has_data_type = 1;
    t->data_type = type;
    ITC_PUSH(u->arena, u->added, u->n_added, u->cap_added, t);
    return t;
}

static bool same_extents(const Onnx__TensorProto *t, int rank, const int64_t *dims)
{
    return (int)t->n_dims == rank &&
           (rank == 0 || memcmp(t->dims, dims, (size_t)rank * sizeof *dims) == 0);
}

/** Makes initializer `to` by a node whose result has these extents. */
static Onnx__NodeProto *make(unfolder *u, const Onnx__TensorProto *to, int rank,
                             const int64_t *dims, const char *type, int n_in, const char *const *in)
{
    if (same_extents(to, rank, dims)) {
        return add_node(u, type, n_in, in, to->name);
    }
    const char *result = itc_format(u->arena, "%s.unfolded", to->name);
    const char *shape = itc_format(u->arena, "%s.unfolded.shape", to->name);
    const char *operands[] = {result, shape};
    Onnx__TensorProto *t = add_tensor(u, shape, ITC_ONNX_INT64);
    t->n_dims = 1;
    t->dims = ITC_NEW_ARRAY(u->arena, int64_t, 1);
    t->dims[0] = (int64_t)to->n_dims;
    t->n_int64_data = to->n_dims;
    t->int64_data = to->dims;
    Onnx__NodeProto *n = add_node(u, type, n_in, in, result);
    add_node(u, "Reshape", 2, operands, to->name);
    return n;
}

/** Makes what initializer `to` has of `from` with its axes in another order. */
static void make_moved(unfolder *u, const Onnx__TensorProto *from, const Onnx__TensorProto *to,
                       const int *perm)
{
    const int rank = (int)from->n_dims;
    const char *in[] = {from->name};
    int64_t dims[MAX_AXES] = {0};
    for (int i = 0; i < rank; i++) {
        dims[i] = from->dims[perm[i]];
    }
    add_order(u, make(u, to, rank, dims, "Transpose", 1, in), perm, rank);
}

/** "abc,abc->ac": whatever the opset, unlike reductions. */
static void make_sum_of_squares(unfolder *u, const Onnx__TensorProto *from,
                                const Onnx__TensorProto *to, int axis)
{
    const int rank = (int)from->n_dims;
    const char *in[] = {from->name, from->name};
    int64_t dims[MAX_AXES] = {0};
    char all[MAX_AXES + 1] = {0}, rest[MAX_AXES + 1] = {0};
    for (int i = 0, k = 0; i < rank; i++) {
        all[i] = (char)('a' + i);
        if (i != axis) {
            dims[k] = from->dims[i];
            rest[k++] = all[i];
        }
    }
    Onnx__NodeProto *n = make(u, to, rank - 1, dims, "Einsum", 2, in);
    Onnx__AttributeProto *a =
        add_attribute(u, n, "equation", ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING);
    const char *equation = itc_format(u->arena, "%s,%s->%s", all, all, rest);
    a->has_s = 1;
    a->s = (ProtobufCBinaryData){strlen(equation), (uint8_t *)itc_strdup(u->arena, equation)};
}

/** Makes what initializer `to` has of `from` by a formula. */
static void make_computed(unfolder *u, const Onnx__TensorProto *from, const Onnx__TensorProto *to,
                          const itc_onnx_formula *f)
{
    static const char *const types[] = {
        [ITC_ONNX_PLUS] = "Add", [ITC_ONNX_MINUS] = "Sub",       [ITC_ONNX_TIMES] = "Mul",
        [ITC_ONNX_EXP] = "Exp",  [ITC_ONNX_SIGMOID] = "Sigmoid", [ITC_ONNX_TANH] = "Tanh"};
    if (f->kind == ITC_ONNX_SUM_SQUARES) {
        make_sum_of_squares(u, from, to, f->axis);
        return;
    }
    const char *number = itc_format(u->arena, "%s.unfolded.number", to->name);
    const bool minus = f->kind == ITC_ONNX_MINUS, numbered = f->kind <= ITC_ONNX_TIMES;
    const char *in[] = {minus ? number : from->name, minus ? from->name : number};
    if (numbered) {
        Onnx__TensorProto *t = add_tensor(u, number, ITC_ONNX_FLOAT);
        t->n_float_data = 1;
        t->float_data = ITC_NEW_ARRAY(u->arena, float, 1);
        t->float_data[0] = f->number;
    }
    add_node(u, types[f->kind], numbered ? 2 : 1, in, to->name);
}

/* ---- the whole ---- */

static itc_tensor *decode(const unfolder *u, itc_ctx *scratch, const Onnx__TensorProto *t)
{
    itc_onnx_source source = {scratch, u->model->dir, (int64_t)2 << 30};
    itc_tensor *out = NULL;
    return itc_onnx_tensor_decode(&source, t->name, t, &out) == ITC_OK ? out : NULL;
}

static Onnx__TensorProto *find_initializer(const Onnx__GraphProto *g, const char *name)
{
    for (size_t i = 0; i < g->n_initializer; i++) {
        if (strcmp(itc_onnx_text(g->initializer[i]->name), name) == 0) {
            return g->initializer[i];
        }
    }
    return NULL;
}

/** The parameter that t was folded from, as noted, where the model still has it. */
static Onnx__TensorProto *find_source(const unfolder *u, const Onnx__TensorProto *t)
{
    const itc_onnx_told *told = itc_onnx_told_of(&u->model->notes, itc_onnx_text(t->name));
    const char *at = told && told->folded_from ? told->folded_from : "";
    for (const char *name; (name = itc_onnx_next_name(u->arena, &at)) != NULL;) {
        const itc_onnx_told *source = itc_onnx_told_of(&u->model->notes, name);
        Onnx__TensorProto *found =
            source && source->kind == ITC_ONNX_PARAMETER ? find_initializer(u->g, name) : NULL;
        if (found && found != t) {
            return found;
        }
    }
    return NULL;
}

static bool unfold(unfolder *u, const Onnx__TensorProto *from, const Onnx__TensorProto *t,
                   bool noted)
{
    int perm[MAX_AXES];
    itc_onnx_formula formula;
    itc_ctx *scratch = itc_ctx_new(); /* nobody needs its messages: import decodes them again */
    const itc_tensor *p = decode(u, scratch, from), *q = p ? decode(u, scratch, t) : NULL;
    const bool fits = q && p->dtype == ITC_F32 && q->dtype == ITC_F32 && p->rank <= MAX_AXES &&
                      p->count <= INT32_MAX;
    const bool moved = fits && find_order(p, q, perm);
    const bool computed = fits && !moved && noted && itc_onnx_find_formula(p, q, &formula);
    if (moved) {
        make_moved(u, from, t, perm);
    } else if (computed) {
        make_computed(u, from, t, &formula);
    }
    itc_ctx_free(scratch);
    return moved || computed;
}

/** Of each initializer what every order of its axes leaves in its place. */
static corners *find_corners(const unfolder *u)
{
    const Onnx__GraphProto *g = u->g;
    corners *all = ITC_NEW_ARRAY(u->arena, corners, g->n_initializer + 1);
    for (size_t i = 0; i < g->n_initializer; i++) {
        itc_ctx *scratch = itc_ctx_new();
        const itc_tensor *t = g->initializer[i]->name && g->initializer[i]->n_dims > 1
                                  ? decode(u, scratch, g->initializer[i])
                                  : NULL;
        if (t && t->dtype == ITC_F32 && t->count > 0) {
            const float *v = t->data;
            all[i] = (corners){t->count, v[0], v[t->count - 1]};
        }
        itc_ctx_free(scratch);
    }
    return all;
}

static bool is_folded_name(const Onnx__TensorProto *t)
{
    return strncmp(itc_onnx_text(t->name), "onnx::", strlen("onnx::")) == 0;
}

/** Unfolds initializer i of the older exporter, if one with a name of its own has its elements. */
static bool unfold_alike(unfolder *u, const corners *all, size_t n, size_t i)
{
    for (size_t k = 0; k < n; k++) {
        if (all[k].count == all[i].count && all[i].count > 0 && !is_folded_name(u->at[k]) &&
            memcmp(&all[k].first, &all[i].first, sizeof all[k].first) == 0 &&
            memcmp(&all[k].last, &all[i].last, sizeof all[k].last) == 0 &&
            unfold(u, u->at[k], u->at[i], false)) {
            return true;
        }
    }
    return false;
}

static void *joined(itc_ctx *arena, const void *first, size_t n, const void *second, size_t m)
{
    void **all = ITC_NEW_ARRAY(arena, void *, n + m + 1);
    if (n > 0) {
        memcpy(all, first, n * sizeof *all);
    }
    if (m > 0) {
        memcpy(all + n, second, m * sizeof *all);
    }
    return all;
}

/** What the older exporter folded has no notes: all initializers are looked at, once. */
static void unfold_unnoted(unfolder *u)
{
    Onnx__GraphProto *g = u->g;
    const size_t n = g->n_initializer;
    const corners *all = find_corners(u);
    size_t kept = 0;
    u->at = joined(u->arena, g->initializer, n, NULL, 0);
    for (size_t i = 0; i < n; i++) {
        if (!is_folded_name(u->at[i]) || !unfold_alike(u, all, n, i)) {
            g->initializer[kept++] = u->at[i];
        }
    }
    g->n_initializer = kept;
}

static void unfold_noted(itc_ctx *ctx, unfolder *u)
{
    Onnx__GraphProto *g = u->g;
    size_t kept = 0;
    int left = 0;
    const char *name = NULL, *source = NULL;
    for (size_t i = 0; i < g->n_initializer; i++) {
        Onnx__TensorProto *t = g->initializer[i];
        const Onnx__TensorProto *from = find_source(u, t);
        if (!from || !unfold(u, from, t, true)) {
            g->initializer[kept++] = t;
            name = from && left == 0 ? t->name : name;
            source = from && left == 0 ? from->name : source;
            left += from != NULL;
        }
    }
    g->n_initializer = kept;
    if (left > 0) {
        itc_note(ctx,
                 "%d initializers are computed from parameters that are trained as well (\"%s\" "
                 "from \"%s\", …), by formulas that the exporter left out: each is trained by "
                 "itself; exported with optimize=False, the model keeps the formulas",
                 left, name, source);
    }
}

static bool has_folded_names(const Onnx__GraphProto *g)
{
    for (size_t i = 0; i < g->n_initializer; i++) {
        if (is_folded_name(g->initializer[i])) {
            return true;
        }
    }
    return false;
}

void itc_onnx_unfold(itc_ctx *ctx, itc_onnx_model *model)
{
    Onnx__GraphProto *g = model->proto->graph;
    unfolder u = {.arena = model->arena, .model = model, .g = g};
    if (strcmp(itc_onnx_text(model->proto->producer_name), "pytorch") != 0 ||
        model->proto->n_training_info > 0) { /* which names what is trained */
        return;
    }
    unfold_noted(ctx, &u);
    if (has_folded_names(g)) {
        unfold_unnoted(&u);
    }
    if (u.n_made > 0) {
        g->node = joined(u.arena, u.made, (size_t)u.n_made, g->node, g->n_node);
        g->n_node += (size_t)u.n_made;
        g->initializer =
            joined(u.arena, g->initializer, g->n_initializer, u.added, (size_t)u.n_added);
        g->n_initializer += (size_t)u.n_added;
    }
}
