/**
 * The optimizer's part of the graph.
 */
#ifndef ITC_PASSES_OPTIMIZER_H
#define ITC_PASSES_OPTIMIZER_H

#include "ir/op.h"

typedef enum itc_optimizer_kind {
    ITC_SGD,
    ITC_ADAM,
    ITC_ADAMW,
    ITC_RMSPROP,
    ITC_ADAGRAD,
    ITC_OPTIMIZER_COUNT
} itc_optimizer_kind;

/** What --optimizer says; the parameters of the same names in torch.optim, and a few of ONNX's. */
typedef struct itc_optimizer {
    itc_optimizer_kind kind;
    double momentum, dampening, decay, post_decay, beta1, beta2, alpha, eps;
    long first; /**< number of the first step */
    bool nesterov, eps_hat, uncorrected;
} itc_optimizer;

/**
 * Parses KIND[,NAME=VALUE...][,nesterov]. NULL, or what was expected; *unknown then says whether
 * there is no such kind at all.
 */
const char *itc_optimizer_parse(const char *text, itc_optimizer *o, bool *unknown);
/** The learning rate that torch.optim takes by default; of sgd, ours. */
const char *itc_optimizer_default_lr(itc_optimizer_kind kind);

/** The name of w's slot: one that stands in the graph before the pass is where the slot starts. */
const char *itc_optimizer_slot(itc_ctx *ctx, const itc_value *w, const char *suffix);

/**
 * Appends to UPDATE what makes w's next state from the sum dw of its gradients (and, with several
 * micro-batches, the sum over them to BACKWARD), with the optimizer slots that it needs.
 */
ITC_NODISCARD itc_status itc_optimizer_add(itc_graph *g, itc_value *w, itc_value *dw);

/**
 * Moves the update of running statistic `stat`, a linear combination of itself and a statistic of
 * the call's rows (times their number), from FORWARD to UPDATE: over all micro-batches of the step.
 */
ITC_NODISCARD itc_status itc_optimizer_add_stat(itc_graph *g, itc_value *stat);

#endif
