/*
 * The initialization graphs of a training_info: run once, while importing, as constants that fold.
 * Their results are where training starts, in place of the initializers that they are bound to.
 *
 * Random operators exist here alone. Numbers are a function of the operator's seed, or of --seed
 * and the node's number, and of the element: Philox4x32-10 with the seed as key and the counter
 * (block, 0, number of the node, 0xFFFFF300), 0 in place of the number where the operator has a
 * seed. Word i mod 4 of block i / 4 is x for element i of a uniform: low + (high - low) (x + 1/2) /
 * 2^32; words 2 (i mod 2) and the one behind it of block i / 2 are u, v for element i of a normal,
 * by Box and Muller: mean + scale sqrt(-2 ln((u + 1/2) / 2^32)) cos(2 pi (v + 1/2) / 2^32). In
 * double, rounded to float. Sources: ONNX RandomUniform-1, RandomNormal-1 and their Like forms.
 */
#include <math.h>
#include <string.h>

#include "frontend/onnx_training.h"
#include "passes/pass.h"
#include "runtime/rng.h"

#define LAST_WORD 0xFFFFF300u /* a site that no operator has */
#define TWO_PI 6.283185307179586

/* ---- random operators ---- */

typedef struct draw {
    uint32_t key[2], number;
    bool normal;
    double a, b; /**< low, high; mean, scale */
} draw;

static double element(const draw *d, int64_t i)
{
    const int64_t a_block = d->normal ? 2 : 4;
    const uint32_t counter[4] = {(uint32_t)(i / a_block), (uint32_t)(i / a_block >> 32), d->number,
                                 LAST_WORD};
    uint32_t word[4];
    itr_philox(counter, d->key, word);
    if (!d->normal) {
        return d->a + (d->b - d->a) * ((double)word[i % 4] + 0.5) / 4294967296.0;
    }
    const double u = ((double)word[2 * (i % 2)] + 0.5) / 4294967296.0;
    const double v = ((double)word[2 * (i % 2) + 1] + 0.5) / 4294967296.0;
    return d->a + d->b * sqrt(-2 * log(u)) * cos(TWO_PI * v);
}

static double number_of(const itc_scope *scope, const itc_body_node *p, const char *name,
                        double otherwise)
{
    const Onnx__AttributeProto *a = itc_scope_node_attr(scope, p->proto, name);
    return a && a->has_f ? (double)a->f : otherwise;
}

/** The extents of the result: the attribute `shape`, or those of the operand. */
static itc_status read_shape(itc_importer *im, itc_scope *scope, const itc_body_node *p, int *rank,
                             int64_t *dim)
{
    size_t n = 0;
    const int64_t *shape = itc_onnx_attr_ints(scope, p->proto, "shape", &n);
    itc_type type = {.known = false};
    const itc_tensor *data = NULL;
    if (p->n_in > 0) {
        n = p->in[0].kind == ITC_BIND_TENSOR &&
                    itc_onnx_examine(im, p->in[0].value, &type, &data) && type.known
                ? type.rank
                : ITC_MAX_RANK + 1;
    }
    int64_t count = 1;
    bool good = n <= ITC_MAX_RANK && (p->n_in > 0 || shape || n == 0);
    *rank = (int)n;
    for (int i = 0; good && i < *rank; i++) {
        dim[i] = p->n_in > 0 ? type.dim[i].size : shape[i];
        good = dim[i] >= 0 && itc_size_mul(count, dim[i], &count) && count <= im->source.budget / 4;
    }
    im->source.budget -= good ? 4 * count : 0;
    return good ? ITC_OK
                : itc_error(im->ctx, itc_onnx_describe(im, scope, p), ITC_RANGE, "E0235",
                            "its shape is not known, or too large");
}

static itc_status expand_random(itc_importer *im, itc_scope *scope, const itc_body_node *p)
{
    int64_t dim[ITC_MAX_RANK] = {0};
    int rank = 0;
    const bool normal = strncmp(p->proto->op_type, "RandomNormal", 12) == 0;
    const Onnx__AttributeProto *seed = itc_scope_node_attr(scope, p->proto, "seed");
    draw d = {.normal = normal, .number = (uint32_t)p->number};
    d.key[0] = (uint32_t)im->options->seed;
    d.key[1] = (uint32_t)(im->options->seed >> 32);
    if (seed && seed->has_f) {
        memcpy(&d.key[0], &seed->f, sizeof d.key[0]);
        d.key[1] = d.number = 0;
    }
    d.a = number_of(scope, p, normal ? "mean" : "low", 0);
    d.b = number_of(scope, p, normal ? "scale" : "high", 1);
    ITC_TRY(read_shape(im, scope, p, &rank, dim));
    itc_tensor *t = itc_tensor_new(im->ctx, ITC_F32, rank, dim);
    for (int64_t i = 0; i < t->count; i++) {
        ((float *)t->data)[i] = (float)element(&d, i);
    }
    itc_value *v = itc_onnx_make_const(im, "random", t);
    itc_onnx_set_output(im, scope, p, 0, (itc_binding){.kind = ITC_BIND_TENSOR, .value = v});
    return ITC_OK;
}

itc_onnx_expand itc_onnx_find_random(const itc_importer *im, const char *domain, const char *type)
{
    static const char *const names[] = {"RandomNormal", "RandomNormalLike", "RandomUniform",
                                        "RandomUniformLike"};
    for (size_t i = 0; im->starts && domain[0] == '\0' && i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], type) == 0) {
            return expand_random;
        }
    }
    return NULL;
}

/* ---- the graph ---- */

static const char *key_of(const Onnx__TrainingInfoProto *info, size_t i)
{
    return itc_onnx_text(info->initialization_binding[i]->key);
}

/** What each binding takes becomes an output of the graph. */
static itc_status bind_outputs(itc_importer *im, const itc_scope *scope,
                               const Onnx__TrainingInfoProto *info)
{
    itc_graph *g = im->g;
    for (size_t i = 0; i < info->n_initialization_binding; i++) {
        const char *name = itc_onnx_text(info->initialization_binding[i]->value);
        const itc_binding *b = name[0] != '\0' ? itc_scope_own(scope, name) : NULL;
        if (!b || b->kind != ITC_BIND_TENSOR) {
            return itc_error(im->ctx, NULL, ITC_PARSE, "E0235",
                             "training_info: initialization_binding of \"%s\": \"%s\" is made by "
                             "nothing",
                             key_of(info, i), name);
        }
        const itc_output out = {itc_format(im->ctx, "%zu", i), b->value};
        ITC_PUSH(im->ctx, g->outputs, g->n_outputs, g->cap_outputs, out);
    }
    return ITC_OK;
}

static itc_status replace(itc_ctx *ctx, const itc_scope *scope, const char *key,
                          const itc_value *by)
{
    const itc_binding *b = itc_scope_own(scope, key);
    itc_value *v = b && b->kind == ITC_BIND_TENSOR ? b->value : NULL;
    if (!v || v->kind != ITC_VALUE_CONST) {
        return itc_error(ctx, NULL, ITC_PARSE, "E0235",
                         "training_info: initialization_binding of \"%s\", which is no initializer",
                         key);
    }
    if (by->kind != ITC_VALUE_CONST || !by->data || !by->data->data || by->data->batch) {
        return itc_error(ctx, NULL, ITC_UNSUPPORTED, "E0235",
                         "training_info: the initialization of \"%s\" cannot be computed here",
                         key);
    }
    const itc_type type = itc_tensor_type(by->data);
    if (!itc_type_equal(&type, &v->type)) {
        return itc_error(ctx, NULL, ITC_SHAPE, "E0235",
                         "training_info: the initialization of \"%s\" is %s, expected %s", key,
                         itc_type_text(ctx, &type), itc_type_text(ctx, &v->type));
    }
    v->data = by->data;
    return ITC_OK;
}

static itc_status run(itc_importer *outer, const itc_scope *scope,
                      const Onnx__TrainingInfoProto *info)
{
    itc_ctx *ctx = outer->ctx;
    const Onnx__GraphProto *graph = info->initialization;
    itc_importer im = *outer;
    im.graph = graph;
    im.starts = true;
    im.next_number = 1;
    im.g = itc_graph_new(ctx, "initialization");
    im.g->opset = im.opset;
    im.g->insert = ITC_FORWARD;
    itc_setting_set(im.g, (itc_attr){.name = "loss", .kind = ITC_ATTR_STRING, .u.s = "none"});
    if (graph->n_input > 0) {
        return itc_error(
            ctx, NULL, ITC_PARSE, "E0235",
            "training_info: the initialization graph has the input \"%s\", expected none",
            itc_onnx_text(graph->input[0]->name));
    }
    itc_scope *own = itc_scope_new(ctx, NULL);
    ITC_TRY(itc_onnx_import_initializers(&im, own, graph));
    ITC_TRY(itc_onnx_import_body(&im, own, graph->n_node, graph->node));
    ITC_TRY(bind_outputs(&im, own, info));
    outer->source.budget = im.source.budget;
    ITC_TRY(itc_pass_shape(im.g));
    for (size_t i = 0; i < info->n_initialization_binding; i++) {
        ITC_TRY(replace(ctx, scope, key_of(info, i), im.g->outputs[i].value));
    }
    return ITC_OK;
}

itc_status itc_training_start(itc_importer *im, const itc_scope *scope)
{
    const Onnx__ModelProto *m = im->model->proto;
    for (size_t i = 0; i < m->n_training_info; i++) {
        const Onnx__TrainingInfoProto *info = m->training_info[i];
        if (info->n_initialization_binding > 0 && info->initialization) {
            ITC_TRY(run(im, scope, info));
            itc_note(im->ctx,
                     "training_info starts %zu tensors anew; --init keep takes the model's own",
                     info->n_initialization_binding);
        }
    }
    return ITC_OK;
}
