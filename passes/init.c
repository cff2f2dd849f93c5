/*
 * init: with --init, what is trained starts from random numbers instead of the model's.
 *
 *     kaiming   weights and biases uniform in +-1/sqrt(fan_in): how torch.nn starts Linear and Conv
 *     xavier    weights uniform in +-sqrt(6 / (fan_in + fan_out)), biases 0
 *
 * Which operands are weights, and their fans, is said by the operators' rows (starts, fans); a bias
 * may also be added by a sum behind the product. Scales of normalisations become 1, their biases 0,
 * their statistics those of a standard distribution. Everything else, and what --freeze keeps from
 * being trained, stays as it is. Linear in the number of elements.
 *
 * Numbers: Philox4x32-10 with the seed as key; counter (block, 0, index of the tensor among the
 * graph's values, 0xFFFFF200); word i mod 4 of block i / 4 is x for element i: (2x + 1) / 2^32 - 1
 * of the bound, rounded to float.
 */
#include "passes/params.h"
#include "passes/pass.h"

#include <math.h>
#include <string.h>

#define LAST_WORD 0xFFFFF200u /* site 0xFFFFF2, which no operator has, and draw 0 */

typedef struct init {
    itc_graph *g;
    bool xavier;
    uint64_t seed;
    bool *done;      /* by value id */
    int64_t *fan_in; /* by value id: of a product's result, that of its weight; 0: none */
} init;

/* The generator of runtime/rng.c once more: passes do not include the runtime. */
static void philox(uint64_t seed, uint32_t block, uint32_t tensor, uint32_t out[4])
{
    uint32_t c[4] = {block, 0, tensor, LAST_WORD};
    uint32_t k[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    for (int round = 0; round < 10; round++) {
        const uint64_t p = UINT64_C(0xD2511F53) * c[0], q = UINT64_C(0xCD9E8D57) * c[2];
        c[0] = (uint32_t)(q >> 32) ^ c[1] ^ k[0];
        c[1] = (uint32_t)q;
        c[2] = (uint32_t)(p >> 32) ^ c[3] ^ k[1];
        c[3] = (uint32_t)p;
        k[0] += 0x9E3779B9u;
        k[1] += 0xBB67AE85u;
    }
    memcpy(out, c, sizeof c);
}

/** New contents: uniform within +-bound, or with bound < 0 the number `same` everywhere. */
static void fill(const init *p, itc_value *v, double bound, double same)
{
    itc_tensor *t = itc_tensor_new(p->g->ctx, ITC_F32, v->data->rank, v->data->dim);
    float *x = t->data;
    uint32_t words[4] = {0};
    for (int64_t i = 0; i < t->count; i++) {
        if (i % 4 == 0 && bound >= 0) {
            philox(p->seed, (uint32_t)(i / 4), (uint32_t)v->id, words);
        }
        const double u = (2.0 * words[i % 4] + 1) / 4294967296.0 - 1;
        x[i] = (float)(bound >= 0 ? u * bound : same);
    }
    v->data = t;
}

static void start_weight(init *p, const itc_node *n, int operand, itc_value *v,
                         const itc_type *type)
{
    int64_t in = 0, out = 0;
    n->op->fans(n, operand, type, &in, &out);
    if (in <= 0 || out <= 0) {
        return; /* no weight: a vector in a product */
    }
    if (n->n_out > 0 && n->out[0]) {
        p->fan_in[n->out[0]->id] = in;
    }
    fill(p, v, p->xavier ? sqrt(6 / ((double)in + (double)out)) : 1 / sqrt((double)in), 0);
    p->done[v->id] = true;
}

static void start_bias(init *p, itc_value *v, int64_t fan_in)
{
    if (fan_in > 0) {
        fill(p, v, p->xavier ? -1 : 1 / sqrt((double)fan_in), 0);
        p->done[v->id] = true;
    }
}

/** What a weight is computed from (a direction, a gain) keeps its start: `type` is NULL. */
static void start(void *user, const itc_node *n, int operand, itc_value *v, const itc_type *type)
{
    init *p = user;
    const bool ours = v->kind == ITC_VALUE_PARAM || v->kind == ITC_VALUE_STAT;
    if (!ours || !type || !v->data || !v->data->data || v->data->dtype != ITC_F32 ||
        p->done[v->id]) {
        return;
    }
    const itc_start how = n->op->starts ? n->op->starts[operand] : ITC_START_KEEP;
    const bool weak = itc_op_role(n->op, operand) == ITC_IN_WEAK && n->n_in == 2;
    if (how == ITC_START_WEIGHT) {
        start_weight(p, n, operand, v, type);
    } else if (how == ITC_START_BIAS) {
        start_bias(p, v, n->out[0] ? p->fan_in[n->out[0]->id] : 0);
    } else if (how == ITC_START_ONE || how == ITC_START_ZERO) {
        fill(p, v, -1, how == ITC_START_ONE ? 1 : 0);
        p->done[v->id] = true;
    } else if (weak && n->in[1 - operand]) {
        start_bias(p, v, p->fan_in[n->in[1 - operand]->id]);
    }
}

itc_status itc_pass_init(itc_graph *g)
{
    const char *how = itc_setting_string(g, "init", "keep");
    init p = {.g = g, .xavier = strcmp(how, "xavier") == 0};
    if (strcmp(how, "keep") == 0) {
        return ITC_OK;
    }
    p.seed = (uint64_t)itc_setting_int(g, "seed", 0);
    p.done = ITC_NEW_ARRAY(g->ctx, bool, g->n_values + 1);
    p.fan_in = ITC_NEW_ARRAY(g->ctx, int64_t, g->n_values + 1);
    itc_params_visit(g, start, &p);
    return ITC_OK;
}
