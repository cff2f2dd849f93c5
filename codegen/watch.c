/*
 * What a program tells those who watch it run (itr_watch): its nodes with their results, the scores
 * that losses of evaluation compare, and the node that makes the gradient of a trained tensor.
 */
#include "codegen/model.h"

#include <string.h>

#include "codegen/names.h"

_Static_assert((int)ITR_SECTION_COUNT == (int)ITC_SECTION_COUNT, "the same sections in both");

/** A result that lies in the state: of the arena, or a state tensor in place. */
static const itc_value *result_of(const itc_node *n)
{
    const itc_value *v = n->n_out > 0 ? n->out[0] : NULL;
    const itc_value *root = v ? itc_value_root(v) : NULL;
    return root && (itc_value_is_state(root) || root->offset >= 0) ? v : NULL;
}

static void describe_node(const itc_node *n, const itc_value *v, itr_node_info *to)
{
    const unsigned role = n->site >> 4 & 15;
    *to = (itr_node_info){.name = itc_name_node(n),
                          .op = n->op->name,
                          .value = v ? v->name : "",
                          .role = n->site != 0 ? itc_role_name((itc_role)role) : "",
                          .section = (itr_section)n->section,
                          .exp_index = -1};
    itc_dim count;
    if (!v || !itc_type_count(&v->type, &count)) {
        return;
    }
    to->dtype = itc_runtime_dtype(v->type.dtype);
    to->elements = count.size;
    to->per_row = count.batch;
    if (itc_value_exponents(v) == 1 && v->exp.slot >= 0) {
        to->exp_index = v->exp.slot;
        to->bits = n->site != 0 ? v->type.bits : 0;
    }
}

/** The first value of the backward pass that the update of a tensor reads. */
static const itc_value *gradient_of(const itc_value *v, int depth)
{
    const itc_node *n = v ? v->def : NULL;
    if (!n || depth > 16) {
        return NULL;
    }
    if (n->section == ITC_BACKWARD) {
        return n->op->alias ? gradient_of(n->in[0], depth + 1) : v;
    }
    for (int i = 0; n->section == ITC_UPDATE && i < n->n_in; i++) {
        const itc_value *found = gradient_of(n->in[i], depth + 1);
        if (found) {
            return found;
        }
    }
    return NULL;
}

static void find_gradients(itc_model_info *info)
{
    const itc_program *p = info->program;
    for (int i = 0; i < info->model.tensor_count; i++) {
        const itc_value *dw = info->state[i]->kind == ITC_VALUE_PARAM
                                  ? gradient_of(info->state[i]->next_state, 0)
                                  : NULL;
        for (int k = 0; dw && k < p->n_nodes; k++) {
            if (p->node[k] == dw->def) {
                info->tensors[i].gradient = k + 1;
            }
        }
    }
}

/** The scores of a cross-entropy: its operand x and the shape of a sample. */
static void describe_loss(itc_model_info *info, const itc_record *r, itr_loss_info *to)
{
    const itc_kernel *k = r->kernel;
    const itc_arg *a = r->args;
    const int x = itc_kernel_field(k, "x");
    const itc_value *target = itc_value_root(a[itc_kernel_field(k, "target")].terms[0].x);
    const itc_value *scores = a[x].value;
    to->node = r->ends - 1;
    to->target = info->port_index[target->id];
    to->outer = a[itc_kernel_field(k, "outer")].dim.size;
    to->axis = a[itc_kernel_field(k, "axis")].dim.size;
    to->inner = a[itc_kernel_field(k, "inner")].dim.size;
    to->ignore_index = (int32_t)a[itc_kernel_field(k, "ignore_index")].i;
    to->dtype = itc_runtime_dtype(scores->type.dtype);
    info->loss_value[info->model.loss_count++] = scores;
}

static bool compares_classes(const itc_record *r)
{
    const int target = r->kind == ITC_RECORD_CALL ? itc_kernel_field(r->kernel, "target") : -1;
    const int x = r->kind == ITC_RECORD_CALL ? itc_kernel_field(r->kernel, "x") : -1;
    if (target < 0 || x < 0 || r->args[target].n_terms == 0) { /* LabelWeights reads labels alone */
        return false;
    }
    const itc_value *scores = r->args[x].value;
    return itc_value_root(r->args[target].terms[0].x)->kind == ITC_VALUE_TARGET && scores &&
           !itc_value_is_port(itc_value_root(scores));
}

void itc_model_watch(itc_model_info *info)
{
    const itc_program *p = info->program;
    const itc_graph *g = info->g;
    itr_node_info *nodes = ITC_NEW_ARRAY(g->ctx, itr_node_info, p->n_nodes + 1);
    itr_loss_info *losses = ITC_NEW_ARRAY(g->ctx, itr_loss_info, p->score.n + 1);
    info->node_value = ITC_NEW_ARRAY(g->ctx, const itc_value *, p->n_nodes + 1);
    info->loss_value = ITC_NEW_ARRAY(g->ctx, const itc_value *, p->score.n + 1);
    for (int i = 0; i < p->n_nodes; i++) {
        info->node_value[i] = result_of(p->node[i]);
        describe_node(p->node[i], info->node_value[i], &nodes[i]);
    }
    for (int i = 0; i < p->score.n; i++) {
        if (compares_classes(p->score.record[i]) && p->score.record[i]->ends > 0) {
            describe_loss(info, p->score.record[i], &losses[info->model.loss_count]);
        }
    }
    info->model.nodes = nodes;
    info->model.node_count = p->n_nodes;
    info->model.losses = losses;
    find_gradients(info);
}
