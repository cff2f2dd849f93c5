/**
 * TrainingInfoProto: how a model says that it is trained. Inside of the importer.
 *
 * Its algorithm, joined with the model's graph, computes a loss, hands gradients of it (one
 * `Gradient`) to an optimizer, and binds the optimizer's results to the initializers that they
 * replace. Loss, trained tensors, optimizer, rate and the optimizer's state become settings,
 * parameters and slots of the graph, as options and passes would have made them; what computes
 * behind the gradient is not imported.
 */
#ifndef ITC_FRONTEND_ONNX_TRAINING_H
#define ITC_FRONTEND_ONNX_TRAINING_H

#include "frontend/onnx_model.h"

#define ITC_TRAINING_DOMAIN "ai.onnx.preview.training"

/** The training of one import. */
typedef struct itc_training {
    itc_importer *im;
    const itc_scope *scope; /**< of the joined graph, once its body is imported */
    const Onnx__TrainingInfoProto *info;
    Onnx__GraphProto *joined;     /**< what is imported: the model's graph and the algorithm */
    Onnx__NodeProto **node;       /**< of both graphs, those behind the gradient as well */
    int n_nodes, n_model;         /**< all, and those of the model's graph, which are first */
    itc_scope *makers;            /**< a name -> an `n` that is the index of its maker */
    itc_scope *bound;             /**< a key of update_binding -> an `n` that is its index */
    const Onnx__NodeProto *first; /**< the first Gradient */
    const char *loss;             /**< its y */
} itc_training;

/** What a name of the joined graph is made by. */
typedef struct itc_made {
    const char *name;            /**< behind Identity nodes */
    const Onnx__NodeProto *node; /**< NULL: an initializer, an input, or nothing */
    int output;
} itc_made;

itc_made itc_training_maker(const itc_training *t, const char *name);
/** What update_binding makes of an initializer; NULL: nothing, it keeps its value. */
const char *itc_training_update(const itc_training *t, const char *name);
/** Whether `name` is the gradient of `of`. */
bool itc_training_is_gradient(const itc_training *t, const char *name, const char *of);
/** E0233: the Gradient p is none to train by. */
itc_status itc_training_refuse_gradient(const itc_training *t, const Onnx__NodeProto *p,
                                        const char *why);
/** An operator of ai.onnx.preview.training? */
bool itc_training_is(const Onnx__NodeProto *p, const char *type);
/** "Momentum \"opt\"", for messages. */
const char *itc_training_label(itc_ctx *ctx, const Onnx__NodeProto *p);

typedef enum itc_number_kind {
    ITC_NUMBER_KNOWN,
    ITC_NUMBER_INPUT,  /**< an input of the algorithm: whoever runs it says */
    ITC_NUMBER_UNKNOWN /**< computed, or no single number */
} itc_number_kind;

/** The one number that a name stands for. */
itc_number_kind itc_training_number(const itc_training *t, const char *name, double *v);

/** An update rule as the options that compute the same. */
typedef struct itc_rule {
    const Onnx__NodeProto *node;
    const char *optimizer; /**< --optimizer, but for weight-decay */
    const char *lr;        /**< NULL: an input of the algorithm */
    const char *schedule;  /**< "": none */
    const char *gradient;  /**< of w - lr * g alone: g */
    double decay;
    int n;                     /**< tensors that the node updates */
    int n_slots;               /**< states of each */
    const char *const *suffix; /**< of the slots (passes/optimizer.h) */
} itc_rule;

/** The rule of the node that makes a new value: an optimizer, or w - lr * g. E0232, E0234. */
ITC_NODISCARD itc_status itc_rule_read(const itc_training *t, const Onnx__NodeProto *p,
                                       itc_rule *out);
/** An optimizer of ai.onnx.preview.training? */
bool itc_rule_is_optimizer(const Onnx__NodeProto *p);
/** Whether `value` counts steps: initializer `name` plus 1. */
bool itc_rule_counts(const itc_training *t, const char *name, const char *value);

/**
 * Finds the training that the model says, and what is to be imported for it, into im->graph. *out
 * stays NULL where there is none. E0231 … E0233.
 */
ITC_NODISCARD itc_status itc_training_find(itc_importer *im, itc_training **out);
/** Runs the initialization graphs, whose results replace initializers. E0235. */
ITC_NODISCARD itc_status itc_training_start(itc_importer *im, const itc_scope *scope);
/** After the joined graph is imported: parameters, slots, loss and settings. E0231 … E0234. */
ITC_NODISCARD itc_status itc_training_apply(itc_training *t, const itc_scope *scope);

#endif
