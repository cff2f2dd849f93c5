/*
 * export: a checkpoint's parameters and statistics back into the model they came from.
 */
#include <string.h>

#include "frontend/checkpoint.h"
#include "frontend/cli.h"
#include "frontend/onnx_export.h"

static itc_status export(itc_cli *c, itc_onnx_model *model, const char *out)
{
    itc_checkpoint ckpt;
    int n = 0;
    ITC_TRY(itc_checkpoint_open(c->ctx, c->options.args[1], &ckpt));
    itc_onnx_tensor_update *updates = ITC_NEW_ARRAY(c->ctx, itc_onnx_tensor_update, ckpt.n + 1);
    for (int i = 0; i < ckpt.n; i++) {
        const itc_checkpoint_tensor *t = &ckpt.tensor[i];
        if (t->kind == ITR_PARAM || t->kind == ITR_STAT) {
            updates[n++] = (itc_onnx_tensor_update){t->name, t->data};
        }
    }
    itc_set_file(c->ctx, c->options.args[0]);
    ITC_TRY(itc_onnx_export(c->ctx, model, updates, n, out));
    itc_cli_say(c, "%s: %d tensors of step %lld (%s)", out, n, (long long)ckpt.step, ckpt.arith);
    return ITC_OK;
}

int itc_cmd_export(itc_cli *c)
{
    const char *out = itc_cli_output(c, NULL);
    itc_onnx_model *model = NULL;
    itc_status s = ITC_OK;
    if (!out) {
        s = itc_error(c->ctx, NULL, ITC_RANGE, "E0606",
                      "-o OUT.onnx is missing: where the trained model goes");
    }
    s = s == ITC_OK ? itc_onnx_read(c->ctx, c->options.args[0], &model) : s;
    s = s == ITC_OK ? export(c, model, out) : s;
    itc_onnx_close(model);
    return itc_exit_code(s);
}
