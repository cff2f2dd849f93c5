/*
 * Exporters keep one of several initializers that are equal when they export: the zeros of biases,
 * the ones of scales and variances, whole layers that are copies. Trained, they do not stay equal.
 * What was another tensor follows from
 *
 * - an operand's role: a running statistic is no one else's;
 * - the nodes `Identity_N` of torch.onnx's older exporter, which stand for the initializers that it
 *   took away: the output has the name. A folded initializer has none ("onnx::MatMul_9"); there
 *   the name of the node that uses it tells: `/a_1/MatMul` is the second call of module `a`, whose
 *   weight `/a/MatMul` has;
 * - the modules that torch.export notes at each node ("pkg.torch.onnx.name_scopes"): where a node
 * of module `a.norm1` takes `a.norm1.bias`, the same operand of the same operator in `b.norm1` is
 *   `b.norm1.bias`, if the model has none of this name. A vector called bias is one of any module
 *   that adds it, by whichever operator: a linear layer's and a normalisation's zeros are equal
 * too.
 *
 * What a model shares by intent is used by one module, by another operator (an embedding as the
 * last product), or below the module that owns it: that stays one tensor.
 */
#include "frontend/onnx_part.h"

#include <stdlib.h>
#include <string.h>

#include "frontend/onnx_model.h"
#include "frontend/onnx_notes.h"

#define SCOPES "pkg.torch.onnx.name_scopes"

/** An operand that is an initializer. */
typedef struct use {
    Onnx__NodeProto *node;
    size_t operand;
    const char *module; /**< that the node is of, "a.norm1"; "": none that is known */
} use;

typedef struct known_name {
    const char *name;
    int64_t initializer; /**< position in the graph; -1: an input or a node's output */
} known_name;

typedef struct parter {
    itc_ctx *arena;
    Onnx__GraphProto *g;
    known_name *names; /**< sorted */
    size_t n_names;
    Onnx__TensorProto **added;
    int n_added, cap_added;
} parter;

/* ---- names ---- */

static int by_name(const void *a, const void *b)
{
    const known_name *x = a, *y = b;
    const int c = strcmp(x->name, y->name);
    return c != 0 ? c : (x->initializer < y->initializer) - (x->initializer > y->initializer);
}

static void collect_names(parter *p)
{
    const Onnx__GraphProto *g = p->g;
    size_t n = g->n_initializer + g->n_input;
    for (size_t i = 0; i < g->n_node; i++) {
        n += g->node[i]->n_output;
    }
    p->names = ITC_NEW_ARRAY(p->arena, known_name, n + 1);
    n = 0;
    for (size_t i = 0; i < g->n_initializer; i++) {
        p->names[n++] = (known_name){itc_onnx_text(g->initializer[i]->name), (int64_t)i};
    }
    for (size_t i = 0; i < g->n_input; i++) {
        p->names[n++] = (known_name){itc_onnx_text(g->input[i]->name), -1};
    }
    for (size_t i = 0; i < g->n_node; i++) {
        for (size_t k = 0; k < g->node[i]->n_output; k++) {
            p->names[n++] = (known_name){g->node[i]->output[k], -1};
        }
    }
    qsort(p->names, n, sizeof *p->names, by_name);
    p->n_names = n;
}

/** The first of that name, an initializer before others; NULL: there is none. */
static const known_name *find(const parter *p, const char *name)
{
    size_t low = 0, high = p->n_names;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (strcmp(p->names[middle].name, name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < p->n_names && strcmp(p->names[low].name, name) == 0 ? &p->names[low] : NULL;
}

static int64_t find_initializer(const parter *p, const char *name)
{
    const known_name *k = find(p, name);
    return k ? k->initializer : -1;
}

/** Operand k of the node becomes a tensor of this name, with the contents that it has. */
static void give_own(parter *p, Onnx__NodeProto *node, size_t k, const Onnx__TensorProto *contents,
                     int n_before, const char *name)
{
    for (int i = n_before; i < p->n_added; i++) {
        if (strcmp(p->added[i]->name, name) == 0) { /* the module uses it more than once */
            node->input[k] = p->added[i]->name;
            return;
        }
    }
    Onnx__TensorProto *t = ITC_NEW(p->arena, Onnx__TensorProto);
    *t = *contents;
    t->name = itc_strdup(p->arena, name);
    ITC_PUSH(p->arena, p->added, p->n_added, p->cap_added, t);
    node->input[k] = t->name;
}

/* ---- by role ---- */

static const itc_op_def *row_of(const Onnx__NodeProto *node)
{
    return itc_op_find(itc_onnx_domain(node->domain), itc_onnx_text(node->op_type));
}

static bool is_statistic(const use *u)
{
    const itc_op_def *row = row_of(u->node);
    return row && itc_op_role(row, (int)u->operand) == ITC_IN_STAT;
}

/** Of the uses that still share the tensor; where all are statistics, the first keeps it. */
static void part_statistics(parter *p, const Onnx__TensorProto *t, const use *uses, int n)
{
    int left = 0, statistics = 0, number = 0;
    for (int i = 0; i < n; i++) {
        const bool shares = strcmp(uses[i].node->input[uses[i].operand], t->name) == 0;
        left += shares;
        statistics += shares && is_statistic(&uses[i]);
    }
    bool keep = left == statistics;
    for (int i = 0; left > 1 && i < n; i++) {
        if (!is_statistic(&uses[i]) || strcmp(uses[i].node->input[uses[i].operand], t->name) != 0) {
            continue;
        }
        const char *name = t->name;
        while (!keep && find(p, name)) {
            name = number == 0 ? itc_format(p->arena, "%s.statistic", t->name)
                               : itc_format(p->arena, "%s.statistic.%d", t->name, number);
            number++;
        }
        if (!keep) {
            give_own(p, uses[i].node, uses[i].operand, t, p->n_added, name);
        }
        keep = false;
    }
}

/* ---- by module ---- */

/** Whether `name` lies in module `of`, or is it. */
static bool is_within(const char *name, const char *of)
{
    const size_t n = strlen(of);
    return n > 0 && strncmp(name, of, n) == 0 && (name[n] == '.' || name[n] == '\0');
}

/** Whether operand u takes a bias: an addend, or the third of an operator that has a weight. */
static bool takes_bias(const use *u)
{
    static const char *const with_weight[] = {"Gemm",
                                              "Conv",
                                              "ConvTranspose",
                                              "LayerNormalization",
                                              "BatchNormalization",
                                              "InstanceNormalization",
                                              "GroupNormalization"};
    const char *type = itc_onnx_text(u->node->op_type);
    for (size_t i = 0; i < sizeof with_weight / sizeof with_weight[0]; i++) {
        if (strcmp(type, with_weight[i]) == 0) {
            return u->operand == 2;
        }
    }
    return strcmp(type, "Add") == 0;
}

static bool same_place(const use *a, const use *b)
{
    return a->operand == b->operand &&
           strcmp(itc_onnx_text(a->node->op_type), itc_onnx_text(b->node->op_type)) == 0;
}

static void part_modules(parter *p, const Onnx__TensorProto *t, const use *uses, int n)
{
    const use *owner = NULL;
    for (int i = 0; i < n && !owner; i++) {
        owner = is_within(t->name, uses[i].module) ? &uses[i] : NULL;
    }
    const int before = p->n_added;
    const bool is_bias = owner && t->n_dims == 1 && takes_bias(owner) &&
                         strcmp(t->name + strlen(owner->module), ".bias") == 0;
    for (int i = 0; owner && i < n; i++) {
        const use *u = &uses[i];
        const bool other = u->module[0] != '\0' && !is_within(t->name, u->module) &&
                           !is_within(u->module, owner->module);
        if (!other || !(same_place(u, owner) || (is_bias && takes_bias(u)))) {
            continue;
        }
        const char *name = itc_format(p->arena, "%s%s", u->module, t->name + strlen(owner->module));
        if (!find(p, name)) {
            give_own(p, u->node, u->operand, t, before, name);
        }
    }
}

/** The last but one of "['', 'a', 'a.norm1', 'layer_norm']": behind the module stands the call. */
static const char *module_in(itc_ctx *arena, const char *scopes)
{
    const char *last[2] = {"", ""}, *end[2] = {last[0], last[1]};
    for (const char *at = strchr(scopes, '\''); at; at = strchr(end[1] + 1, '\'')) {
        const char *close = strchr(at + 1, '\'');
        if (!close) {
            return "";
        }
        last[0] = last[1];
        end[0] = end[1];
        last[1] = at + 1;
        end[1] = close;
    }
    const char *again = memchr(last[0], '@', (size_t)(end[0] - last[0])); /* a second call */
    return itc_strndup(arena, last[0], (size_t)((again ? again : end[0]) - last[0]));
}

/** The module that a node is of, by what torch.export noted; "" where it did not. */
static const char *module_of(itc_ctx *arena, const Onnx__NodeProto *node)
{
    const char *scopes = itc_onnx_note(arena, &node->base, ITC_NOTES_OF_NODE, SCOPES);
    return scopes ? module_in(arena, scopes) : "";
}

/* ---- by Identity ---- */

static bool stands_for_another(const parter *p, const Onnx__NodeProto *node)
{
    const char *name = itc_onnx_text(node->name), *prefix = "Identity_";
    return strcmp(itc_onnx_text(node->op_type), "Identity") == 0 &&
           itc_onnx_domain(node->domain)[0] == '\0' && node->n_input == 1 && node->n_output == 1 &&
           strncmp(name, prefix, strlen(prefix)) == 0 && node->output[0][0] != '\0' &&
           find_initializer(p, node->input[0]) >= 0;
}

static bool is_output(const Onnx__GraphProto *g, const char *name)
{
    for (size_t i = 0; i < g->n_output; i++) {
        if (strcmp(itc_onnx_text(g->output[i]->name), name) == 0) {
            return true;
        }
    }
    return false;
}

/** The first node but Identity that takes the value; NULL: none does. */
static const Onnx__NodeProto *user_of(const Onnx__GraphProto *g, const char *value)
{
    for (size_t i = 0; i < g->n_node; i++) {
        const Onnx__NodeProto *n = g->node[i];
        for (size_t k = 0; k < n->n_input; k++) {
            if (strcmp(n->input[k], value) == 0 &&
                strcmp(itc_onnx_text(n->op_type), "Identity") != 0) {
                return n;
            }
        }
    }
    return NULL;
}

/** Whether a part of a path, "a_2", is a later call of the part "a", or the part itself. */
static bool is_call_of(const char *part, size_t len, const char *first, size_t first_len)
{
    if (len < first_len || memcmp(part, first, first_len) != 0) {
        return false;
    }
    const char *rest = part + first_len;
    const size_t n = len - first_len;
    return n == 0 || (n > 1 && rest[0] == '_' && strspn(rest + 1, "0123456789") >= n - 1);
}

/** Whether the node "/m/a_1/MatMul" is of the module that "/m/a/MatMul" is of, called again. What
 * stands in no module cannot be told. */
static bool same_module(const char *name, const char *first)
{
    int parts = 0;
    while (*name == '/' && *first == '/') {
        const size_t len = strcspn(++name, "/"), first_len = strcspn(++first, "/");
        const bool last = name[len] == '\0' || first[first_len] == '\0';
        if (last) {
            return name[len] == first[first_len] && parts > 0;
        }
        if (!is_call_of(name, len, first, first_len)) {
            return false;
        }
        name += len;
        first += first_len;
        parts++;
    }
    return false;
}

/** Whether the Identity stands for no tensor of its own, but for one that is used again. */
static bool is_used_again(const Onnx__GraphProto *g, const Onnx__NodeProto *identity)
{
    const char *folded = "onnx::";
    if (strncmp(identity->output[0], folded, strlen(folded)) != 0) {
        return false;
    }
    const Onnx__NodeProto *user = user_of(g, identity->output[0]);
    const Onnx__NodeProto *first = user_of(g, identity->input[0]);
    return user && first && same_module(itc_onnx_text(user->name), itc_onnx_text(first->name));
}

/** Each becomes the initializer that it stands for, and the node goes. */
static void part_identities(parter *p)
{
    Onnx__GraphProto *g = p->g;
    size_t kept = 0;
    for (size_t i = 0; i < g->n_node; i++) {
        Onnx__NodeProto *node = g->node[i];
        if (stands_for_another(p, node) && !is_output(g, node->output[0]) &&
            !is_used_again(g, node)) {
            const int64_t at = find_initializer(p, node->input[0]);
            give_own(p, node, 0, g->initializer[at], p->n_added, node->output[0]);
        } else {
            g->node[kept++] = node;
        }
    }
    g->n_node = kept;
}

/* ---- the whole ---- */

static bool is_float(const Onnx__TensorProto *t)
{
    static const int floats[] = {ITC_ONNX_FLOAT, ITC_ONNX_FLOAT16, ITC_ONNX_DOUBLE,
                                 ITC_ONNX_BFLOAT16};
    for (size_t i = 0; i < sizeof floats / sizeof floats[0]; i++) {
        if (t->data_type == floats[i]) {
            return t->name && t->name[0] != '\0';
        }
    }
    return false;
}

/** Operands that are initializers, those of one together, in the order of the nodes. */
static use *collect_uses(const parter *p, size_t *first)
{
    const Onnx__GraphProto *g = p->g;
    use *all = NULL;
    for (int round = 0; round < 2; round++) { /* counts, then fills */
        for (size_t i = 0; i < g->n_node; i++) {
            for (size_t k = 0; k < g->node[i]->n_input; k++) {
                const int64_t at = find_initializer(p, g->node[i]->input[k]);
                if (at >= 0 && all) {
                    all[first[at]++] = (use){g->node[i], k, ""};
                } else if (at >= 0) {
                    first[at + 1]++;
                }
            }
        }
        for (size_t i = 0; i < g->n_initializer && !all; i++) {
            first[i + 1] += first[i];
        }
        all = all ? all : ITC_NEW_ARRAY(p->arena, use, first[g->n_initializer] + 1);
    }
    return all; /* first[i] is now the end of i */
}

static void part_uses(parter *p, bool modules)
{
    enum { MANY = 4096 }; /* nothing is merged from so many, and names are compared in pairs */
    const Onnx__GraphProto *g = p->g;
    size_t *end = ITC_NEW_ARRAY(p->arena, size_t, g->n_initializer + 2);
    use *uses = collect_uses(p, end);
    for (size_t i = 0, start = 0; i < g->n_initializer; start = end[i], i++) {
        const size_t n = end[i] - start;
        if (n < 2 || n > MANY || !is_float(g->initializer[i])) {
            continue;
        }
        for (size_t k = start; modules && k < end[i]; k++) {
            uses[k].module = module_of(p->arena, uses[k].node);
        }
        part_modules(p, g->initializer[i], uses + start, (int)n);
        part_statistics(p, g->initializer[i], uses + start, (int)n);
    }
}

void itc_onnx_part(itc_ctx *ctx, itc_onnx_model *model)
{
    Onnx__GraphProto *g = model->proto->graph;
    if (model->proto->n_training_info > 0) {
        return; /* it names what is trained */
    }
    parter p = {.arena = model->arena, .g = g};
    const bool torch = strcmp(itc_onnx_text(model->proto->producer_name), "pytorch") == 0;
    collect_names(&p);
    part_uses(&p, torch);
    if (torch) {
        part_identities(&p);
    }
    if (p.n_added == 0) {
        return;
    }
    Onnx__TensorProto **all =
        ITC_NEW_ARRAY(p.arena, Onnx__TensorProto *, g->n_initializer + (size_t)p.n_added);
    if (g->n_initializer > 0) {
        memcpy(all, g->initializer, g->n_initializer * sizeof *all);
    }
    memcpy(all + g->n_initializer, p.added, (size_t)p.n_added * sizeof *all);
    g->initializer = all;
    g->n_initializer += (size_t)p.n_added;
    itc_note(ctx,
             "%d initializers that the exporter merged because they are equal are taken apart "
             "(\"%s\", …)",
             p.n_added, p.added[0]->name);
}
