#include "frontend/onnx_import.h"

#include <string.h>

#include "frontend/onnx_model.h"
#include "frontend/onnx_training.h"

#define OLDEST_OPSET 1 /* rows say from which on: most operators from 7 */
/** The newest whose changes the operators' rows list. */
#define NEWEST_OPSET 25
#define DEFAULT_MAX_BYTES ((int64_t)2 << 30)

/* ---- the model ---- */

static itc_status import_outputs(itc_importer *im, itc_scope *scope)
{
    itc_graph *g = im->g;
    itc_scope *seen = itc_scope_new(im->ctx, NULL);
    for (size_t i = 0; i < im->graph->n_output; i++) {
        const char *name = itc_onnx_text(im->graph->output[i]->name);
        const itc_binding *b = name[0] != '\0' ? itc_scope_own(scope, name) : NULL;
        if (!b) {
            return itc_error(im->ctx, NULL, ITC_PARSE, "E0205",
                             "output \"%s\" is made by nothing in the model", name);
        }
        if (itc_scope_own(seen, name)) {
            return itc_error(im->ctx, NULL, ITC_PARSE, "E0204", "output \"%s\" is listed twice",
                             name);
        }
        if (b->kind != ITC_BIND_TENSOR) {
            return itc_error(im->ctx, NULL, ITC_UNSUPPORTED, "E0209", "output \"%s\" is no tensor",
                             name);
        }
        itc_scope_bind(seen, name, *b);
        const itc_output out = {.name = itc_strdup(im->ctx, name), .value = b->value};
        ITC_PUSH(im->ctx, g->outputs, g->n_outputs, g->cap_outputs, out);
    }
    if (g->n_outputs == 0) {
        return itc_error(im->ctx, NULL, ITC_PARSE, "E0205", "the model has no output");
    }
    return ITC_OK;
}

static bool uses_default_domain(const Onnx__GraphProto *g)
{
    for (size_t i = 0; i < g->n_node; i++) {
        if (itc_onnx_domain(g->node[i]->domain)[0] == '\0') {
            return true;
        }
    }
    return g->n_node == 0;
}

/** The version of the default domain; of several the highest counts. */
static itc_status find_opset(itc_importer *im)
{
    const Onnx__ModelProto *m = im->model->proto;
    int64_t opset = 0;
    for (size_t i = 0; i < m->n_opset_import; i++) {
        const Onnx__OperatorSetIdProto *o = m->opset_import[i];
        if (itc_onnx_domain(o->domain)[0] == '\0' && o->version > opset) {
            opset = o->version;
        }
    }
    if (opset == 0 && !uses_default_domain(im->graph)) {
        opset = NEWEST_OPSET;
    }
    if (opset == 0) {
        return itc_error(im->ctx, NULL, ITC_PARSE, "E0202",
                         "the model does not say which ONNX opset it uses");
    }
    if (opset < OLDEST_OPSET || opset > INT16_MAX) {
        return itc_error(im->ctx, NULL, ITC_UNSUPPORTED, "E0202",
                         "ONNX opset %lld is not supported, %d is the first that is",
                         (long long)opset, OLDEST_OPSET);
    }
    if (opset > NEWEST_OPSET) {
        itc_note(im->ctx, "ONNX opset %lld is newer than the newest known, %d", (long long)opset,
                 NEWEST_OPSET);
    }
    im->opset = (int32_t)opset;
    return ITC_OK;
}

itc_status itc_onnx_import(itc_ctx *ctx, const itc_onnx_model *model, const itc_import_options *opt,
                           itc_graph **out)
{
    static const itc_import_options defaults = {0};
    static itc_onnx_find *const kinds[] = {itc_onnx_find_function,
                                           itc_onnx_find_control,
                                           itc_onnx_find_quantized,
                                           itc_onnx_find_random,
                                           itc_onnx_find_update,
                                           itc_onnx_find_sequence,
                                           NULL};
    itc_importer im = {.ctx = ctx,
                       .model = model,
                       .graph = model->proto->graph,
                       .options = opt ? opt : &defaults,
                       .next_number = 1,
                       .kinds = kinds};
    const int64_t max = im.options->max_bytes;
    im.source = (itc_onnx_source){ctx, model->dir, max > 0 ? max : DEFAULT_MAX_BYTES};
    ITC_TRY(find_opset(&im));
    const char *own = itc_onnx_text(im.graph->name);
    im.g = itc_graph_new(ctx, model->name ? model->name : own[0] != '\0' ? own : "model");
    im.g->opset = im.opset;
    im.g->insert = ITC_FORWARD;
    memcpy(im.g->model_hash, model->hash, sizeof im.g->model_hash);
    itc_training *training = NULL;
    if (model->proto->n_training_info > 0 && im.options->ignore_training) {
        itc_note(ctx, "training_info is left aside, as --training-info ignore says");
    } else {
        ITC_TRY(itc_training_find(&im, &training));
    }
    itc_scope *scope = itc_scope_new(ctx, NULL);
    ITC_TRY(itc_onnx_import_inputs(&im, scope));
    ITC_TRY(itc_onnx_import_initializers(&im, scope, im.graph));
    if (!im.options->ignore_training && !im.options->keep_start) {
        ITC_TRY(itc_training_start(&im, scope));
    }
    ITC_TRY(itc_onnx_import_body(&im, scope, im.graph->n_node, im.graph->node));
    ITC_TRY(import_outputs(&im, scope));
    if (training) {
        ITC_TRY(itc_training_apply(training, scope));
    }
    *out = im.g;
    return ITC_OK;
}
