#include "codegen/eval.h"

#include <string.h>

#include "codegen/eval_loop.h"
#include "runtime/kernel.h"
#include "runtime/numeric.h"
#include "runtime/program.h"
#include "runtime/tensors.h"

typedef struct evaluator {
    const itc_model_info *info;
    itr_model model;
    size_t *state_offset; /* by value id */
    size_t e_offset, arena_offset;
    void *args;      /* room for any kernel's arguments */
    itr_term *terms; /* and for their TERMS, one field after the other */
    itr_array *in, *target;
} evaluator;

/** What a state begins with here; itr_run must stay first. */
typedef struct head {
    itr_run run;
    evaluator *ev;
} head;

/** A call being interpreted. */
typedef struct frame {
    evaluator *ev;
    unsigned char *state;
    int32_t *e;
    int64_t rows, micro;
    itr_scalar lr, inv_n;
    double lr_real, inv_n_real;
    itr_rng rng;
    itr_metrics *metrics;
} frame;

static itr_array *port_of(const frame *f, const itc_value *root)
{
    const int32_t i = f->ev->info->port_index[root->id];
    return root->kind == ITC_VALUE_INPUT ? &f->ev->in[i] : &f->ev->target[i];
}

static const void *address(const frame *f, const itc_value *v)
{
    if (!v) {
        return NULL;
    }
    const itc_value *root = itc_value_root(v);
    if (itc_value_is_port(root)) {
        return port_of(f, root)->data;
    }
    if (itc_value_is_state(root)) {
        return f->state + f->ev->state_offset[root->id];
    }
    if (root->kind == ITC_VALUE_CONST) {
        return root->data->data;
    }
    return f->state + f->ev->arena_offset + root->offset;
}

static void *address_out(const frame *f, const itc_value *v)
{
    return (void *)(uintptr_t)address(f, v);
}

static const int32_t *exponent(const frame *f, const itc_value *v)
{
    static const int32_t none = 0;
    if (!v) {
        return NULL;
    }
    const itc_value *root = itc_value_root(v);
    if (itc_value_is_port(root)) {
        return &port_of(f, root)->exponent;
    }
    if (itc_value_exponents(v) == 0) {
        return &none;
    }
    return v->exp.slot >= 0 ? &f->e[v->exp.slot] : &v->exp.offset;
}

static int64_t dim(const frame *f, itc_dim d)
{
    return d.batch ? d.size * f->rows : d.size;
}

static itr_scalar coefficient(const frame *f, itc_coef c)
{
    itr_scalar s;
    itc_coef_scalar(c.value, &s.m, &s.e);
    return c.symbol == ITC_SYM_LR      ? itr_scalar_mul(s, f->lr)
           : c.symbol == ITC_SYM_INV_N ? itr_scalar_mul(s, f->inv_n)
                                       : s;
}

static void fill_term(const frame *f, itr_term *t, const itc_term *from)
{
    const itc_value *root = itc_value_root(from->x);
    memset(t, 0, sizeof *t);
    t->x = address(f, from->x);
    t->e = exponent(f, from->x);
    t->c = coefficient(f, from->c);
    t->dtype = itc_runtime_dtype(from->x->type.dtype);
    t->bits = itc_term_bits(&from->x->type);
    if (itc_value_is_port(root)) {
        t->dtype = port_of(f, root)->dtype;
        t->bits = itr_dtype_bits(t->dtype);
    }
    for (int i = 0; i < ITC_MAX_RANK; i++) {
        t->stride[i] = dim(f, from->stride[i]);
        t->e_stride[i] = from->e_stride[i];
        t->begin[i] = from->begin[i];
        t->extent[i] = from->extent[i];
    }
}

/** Stores one argument in the struct at `to`; terms move on behind what they take. */
static void fill_field(frame *f, unsigned char *to, const itc_field *d, const itc_arg *a,
                       itr_term **terms)
{
    const void *in = NULL;
    void *out = NULL;
    switch (d->kind) {
    case ITC_FIELD_IN:
        in = address(f, a->value);
        memcpy(to + d->offset, &in, sizeof in);
        break;
    case ITC_FIELD_EIN:
        in = exponent(f, a->value);
        memcpy(to + d->offset, &in, sizeof in);
        break;
    case ITC_FIELD_OUT:
        out = a->metrics ? (void *)f->metrics : address_out(f, a->value);
        memcpy(to + d->offset, &out, sizeof out);
        break;
    case ITC_FIELD_EOUT:
        out = (void *)(uintptr_t)exponent(f, a->value);
        memcpy(to + d->offset, &out, sizeof out);
        break;
    case ITC_FIELD_RNG:
        out = &f->rng;
        memcpy(to + d->offset, &out, sizeof out);
        break;
    case ITC_FIELD_POOL:
        break; /* none: one thread */
    case ITC_FIELD_DIM: {
        const int64_t v = dim(f, a->dim);
        memcpy(to + d->offset, &v, sizeof v);
        break;
    }
    case ITC_FIELD_INT: {
        const int32_t v = a->i == ITC_INT_FIRST_MICRO ? f->micro == 0 : (int32_t)a->i;
        memcpy(to + d->offset, &v, sizeof v);
        break;
    }
    case ITC_FIELD_REAL:
        memcpy(to + d->offset, &a->real, sizeof a->real);
        break;
    case ITC_FIELD_SHAPE:
        for (int i = 0; i < a->rank; i++) {
            const int64_t v = dim(f, a->shape[i]);
            memcpy(to + d->offset + (size_t)i * sizeof v, &v, sizeof v);
        }
        break;
    case ITC_FIELD_CODE: {
        const int32_t words = a->n_code;
        in = a->code;
        memcpy(to + d->offset, &in, sizeof in);
        memcpy(to + d->count_offset, &words, sizeof words);
        break;
    }
    case ITC_FIELD_TERMS:
        for (int i = 0; i < a->n_terms; i++) {
            fill_term(f, *terms + i, &a->terms[i]);
            if (a->terms[i].f) {
                fill_term(f, *terms + a->n_terms + i, a->terms[i].f);
                (*terms)[i].f = *terms + a->n_terms + i;
            }
        }
        in = *terms;
        memcpy(to + d->offset, &in, sizeof in);
        const int32_t count = a->n_terms;
        memcpy(to + d->count_offset, &count, sizeof count);
        *terms += 2 * a->n_terms;
        break;
    }
}

static void run_call(frame *f, const itc_record *r)
{
    itr_term *terms = f->ev->terms;
    memset(f->ev->args, 0, r->kernel->args_size);
    for (int i = 0; i < r->kernel->n_fields; i++) {
        fill_field(f, f->ev->args, &r->kernel->fields[i], &r->args[i], &terms);
    }
    r->kernel->ref(f->ev->args);
}

static void run_loop(const frame *f, const itc_loop *l)
{
    itc_loop_frame x = {.rows = f->rows, .lr = f->lr_real, .inv_n = f->inv_n_real};
    for (int k = 0; k < l->n_in; k++) {
        x.in[k] = address(f, l->in[k]);
    }
    x.out = address_out(f, l->out);
    itc_eval_loop(l, &x);
}

static void run_exponent(frame *f, const itc_record *r)
{
    const itc_value *v = r->value;
    const int32_t n = itc_value_exponents(v);
    const int32_t *slot_count = f->ev->info->slot_count;
    for (int32_t i = 0; i < n; i++) {
        int32_t e = v->exp.offset;
        if (r->from) {
            e = exponent(f, r->from)[itc_value_exponents(r->from) > 1 ? i : 0];
        } else if (itc_value_is_port(v)) {
            e = port_of(f, v)->exponent;
        } else {
            for (int k = 0; k < v->exp.n_terms; k++) {
                const int32_t part =
                    f->e[v->exp.term[k] + (slot_count[v->exp.term[k]] > 1 ? i : 0)];
                e += (v->exp.minus >> k & 1) != 0 ? -part : part;
            }
        }
        f->e[v->exp.slot + i] = e;
    }
}

static void run_list(frame *f, const itc_record_list *list);

static void run_record(frame *f, const itc_record *r)
{
    switch (r->kind) {
    case ITC_RECORD_CALL:
        run_call(f, r);
        break;
    case ITC_RECORD_LOOP:
        run_loop(f, r->loop);
        break;
    case ITC_RECORD_EXPONENT:
        run_exponent(f, r);
        break;
    case ITC_RECORD_RETRY:
        do {
            run_list(f, r->body);
        } while (*(const int32_t *)address(f, r->value) != 0);
        break;
    case ITC_RECORD_REPEAT:
        break; /* the micro-batches are train()'s */
    }
}

static void run_list(frame *f, const itc_record_list *list)
{
    for (int i = 0; i < list->n; i++) {
        const itr_watch *watch = ((const head *)(const void *)f->state)->run.watch;
        run_record(f, list->record[i]);
        if (watch && list->record[i]->ends > 0) {
            watch->after(watch, f->state, list->record[i]->ends - 1, f->rows);
        }
    }
}

/* ---- the model's functions ---- */

static frame frame_new(void *state, int32_t n, bool nearest_only, itr_metrics *metrics)
{
    const head *h = state;
    evaluator *ev = h->ev;
    frame f = {.ev = ev, .state = state, .metrics = metrics};
    f.e = (int32_t *)(void *)(f.state + ev->e_offset);
    const itr_scalar lr = itr_schedule_at(&h->run.schedule, h->run.step);
    f.lr = itr_scalar_narrow(lr, 15);
    f.inv_n = itr_scalar_narrow(itr_reciprocal(n), 15);
    f.lr_real = itr_scalar_real(lr);
    f.inv_n_real = 1.0 / (double)n;
    f.rng =
        (itr_rng){.seed = h->run.seed, .step = (uint32_t)h->run.step, .nearest_only = nearest_only};
    return f;
}

static itr_status status_of(const frame *f)
{
    if (f->metrics && f->metrics->rows < 0) {
        return ITR_BAD_INPUT;
    }
    if (f->rng.status != ITR_OK) {
        return f->rng.status;
    }
    return f->metrics && f->metrics->loss_q24 == INT64_MAX ? ITR_DIVERGED : ITR_OK;
}

static bool begin(const itr_model *m, const itr_array *inputs, const itr_array *targets, int32_t n,
                  itr_metrics *metrics)
{
    if (metrics) {
        *metrics = (itr_metrics){0};
    }
    const bool is_float = m->exponents == NULL;
    return n >= 1 && n <= m->batch &&
           itr_arrays_valid(inputs, m->inputs, m->input_count, is_float) &&
           (!metrics || itr_arrays_valid(targets, m->targets, m->target_count, is_float));
}

static itr_status eval_step(void *state, const itr_array *inputs, const itr_array *targets,
                            int32_t n, itr_metrics *metrics)
{
    head *h = state;
    evaluator *ev = h->ev;
    const itr_model *m = &ev->model;
    const itc_program *p = ev->info->program;
    if (!begin(m, inputs, targets, n, metrics)) {
        return ITR_BAD_INPUT;
    }
    metrics->samples = n;
    frame f = frame_new(state, n, false, metrics);
    run_list(&f, &p->prepare);
    for (int32_t first = 0; first < n; first += m->micro_batch) {
        f.rows = n - first < m->micro_batch ? n - first : m->micro_batch;
        itr_take_rows(ev->in, inputs, m->inputs, m->input_count, first);
        itr_take_rows(ev->target, targets, m->targets, m->target_count, first);
        run_list(&f, p->step.record[0]->body);
        if (metrics->rows < 0) {
            return ITR_BAD_INPUT;
        }
        f.micro++;
        f.rng.micro_batch++;
    }
    f.rng.micro_batch = 0;
    run_list(&f, &p->step);
    h->run.step++;
    return status_of(&f);
}

static void copy_outputs(const frame *f, int32_t row, itr_output *outputs)
{
    const itc_graph *g = f->ev->info->g;
    const itr_model *m = &f->ev->model;
    for (int i = 0; i < g->n_outputs; i++) {
        const itc_value *v = g->outputs[i].value;
        const int64_t n = m->outputs[i].elements;
        const size_t size = itr_dtype_size(m->outputs[i].dtype);
        memcpy((unsigned char *)outputs[i].data + (size_t)(row * n) * size, address(f, v),
               (size_t)n * size);
        if (outputs[i].exponents && itc_value_exponents(v) > 0) {
            outputs[i].exponents[row] = *exponent(f, v);
        }
    }
}

static itr_status evaluate(void *state, const itr_array *inputs, const itr_array *targets,
                           int32_t n, itr_metrics *metrics, itr_output *outputs)
{
    const head *h = state;
    evaluator *ev = h->ev;
    const itr_model *m = &ev->model;
    if (!begin(m, inputs, targets, n, metrics)) {
        return ITR_BAD_INPUT;
    }
    frame f = frame_new(state, n, true, metrics);
    if (metrics) {
        metrics->samples = n;
    }
    run_list(&f, &ev->info->program->prepare);
    f.rows = 1;
    for (int32_t row = 0; row < n; row++) {
        itr_take_rows(ev->in, inputs, m->inputs, m->input_count, row);
        if (metrics) {
            itr_take_rows(ev->target, targets, m->targets, m->target_count, row);
        }
        run_list(&f, &ev->info->program->infer);
        if (metrics) {
            run_list(&f, &ev->info->program->score);
            if (metrics->rows < 0) {
                return ITR_BAD_INPUT;
            }
        } else {
            copy_outputs(&f, row, outputs);
        }
    }
    return status_of(&f);
}

static itr_status eval_infer(void *state, const itr_array *inputs, int32_t n, itr_output *outputs)
{
    return evaluate(state, inputs, NULL, n, NULL, outputs);
}

static itr_status eval_score(void *state, const itr_array *inputs, const itr_array *targets,
                             int32_t n, itr_metrics *metrics)
{
    return evaluate(state, inputs, targets, n, metrics, NULL);
}

static itr_status eval_init(void *state, itr_read_fn read, void *user)
{
    head *h = state;
    const itr_model *m = &h->ev->model;
    h->run = (itr_run){.seed = m->seed, .schedule = m->schedule};
    return itr_tensors_read(m, state, read, user);
}

static itr_run *eval_run(void *state)
{
    return &((head *)state)->run;
}

static int32_t *eval_exponents(void *state)
{
    const evaluator *ev = ((head *)state)->ev;
    return (int32_t *)(void *)((unsigned char *)state + ev->e_offset);
}

/* ---- layout ---- */

static int most_terms(const itc_record_list *list)
{
    int most = 0;
    for (int i = 0; i < list->n; i++) {
        const itc_record *r = list->record[i];
        int n = r->body ? most_terms(r->body) : 0;
        for (int k = 0; r->kind == ITC_RECORD_CALL && k < r->kernel->n_fields; k++) {
            n += 2 * r->args[k].n_terms; /* each may have a factor */
        }
        most = n > most ? n : most;
    }
    return most;
}

static size_t reserve(size_t *size, size_t bytes)
{
    const size_t at = (*size + 63) / 64 * 64;
    *size = at + bytes;
    return at;
}

/** Where a value that watchers look at lies; 0: nowhere. */
static size_t state_offset(const evaluator *ev, const itc_value *v)
{
    const itc_value *root = v ? itc_value_root(v) : NULL;
    if (!root) {
        return 0;
    }
    return itc_value_is_state(root) ? ev->state_offset[root->id]
                                    : ev->arena_offset + (size_t)root->offset;
}

static void lay_out(evaluator *ev, itc_model_info *info)
{
    itc_ctx *ctx = info->g->ctx;
    size_t size = sizeof(head);
    ev->state_offset = ITC_NEW_ARRAY(ctx, size_t, info->g->n_values + 1);
    ev->e_offset = reserve(&size, sizeof(int32_t) * (size_t)(info->n_exponents + 1));
    itr_tensor_info *tensors = ITC_NEW_ARRAY(ctx, itr_tensor_info, info->model.tensor_count + 1);
    for (int i = 0; i < info->model.tensor_count; i++) {
        tensors[i] = info->tensors[i];
        const size_t bytes =
            (size_t)itr_tensor_elements(&tensors[i]) * itr_dtype_size(tensors[i].dtype);
        tensors[i].offset = reserve(&size, bytes);
        ev->state_offset[info->state[i]->id] = tensors[i].offset;
    }
    ev->arena_offset = reserve(&size, (size_t)info->g->arena_bytes);
    ev->model.tensors = tensors;
    itr_node_info *nodes = ITC_NEW_ARRAY(ctx, itr_node_info, info->model.node_count + 1);
    for (int i = 0; i < info->model.node_count; i++) {
        nodes[i] = info->model.nodes[i];
        nodes[i].offset = state_offset(ev, info->node_value[i]);
    }
    ev->model.nodes = nodes;
    itr_loss_info *losses = ITC_NEW_ARRAY(ctx, itr_loss_info, info->model.loss_count + 1);
    for (int i = 0; i < info->model.loss_count; i++) {
        losses[i] = info->model.losses[i];
        losses[i].offset = state_offset(ev, info->loss_value[i]);
    }
    ev->model.losses = losses;
    ev->model.state_size = (size + 63) / 64 * 64;
}

itc_status itc_eval_model_of(itc_model_info *info, itr_model **out)
{
    itc_ctx *ctx = info->g->ctx;
    evaluator *ev = ITC_NEW(ctx, evaluator);
    const itc_program *p = info->program;
    const itc_record_list *lists[] = {&p->prepare, &p->step, &p->infer, &p->score};
    size_t args = 1;
    int terms = 0;
    for (int i = 0; i < 4; i++) {
        const int n = most_terms(lists[i]);
        terms = n > terms ? n : terms;
    }
    for (int i = 0; itc_kernel_at(i); i++) {
        args = itc_kernel_at(i)->args_size > args ? itc_kernel_at(i)->args_size : args;
    }
    ev->info = info;
    ev->model = info->model;
    ev->args = itc_alloc(ctx, args);
    ev->terms = ITC_NEW_ARRAY(ctx, itr_term, terms + 1);
    ev->in = ITC_NEW_ARRAY(ctx, itr_array, info->model.input_count + 1);
    ev->target = ITC_NEW_ARRAY(ctx, itr_array, info->model.target_count + 1);
    lay_out(ev, info);
    ev->model.max_threads = 1;
    ev->model.init = eval_init;
    ev->model.step = eval_step;
    ev->model.infer = eval_infer;
    ev->model.score = eval_score;
    ev->model.run = eval_run;
    ev->model.exponents = info->is_float ? NULL : eval_exponents;
    ev->model.user = ev;
    *out = &ev->model;
    return ITC_OK;
}

itc_status itc_eval_model(itc_program *p, itr_model **out)
{
    itc_model_info *info = NULL;
    ITC_TRY(itc_model_info_new(p, p->g->name, &info));
    return itc_eval_model_of(info, out);
}

static void *new_state(const itr_model *m, size_t bytes)
{
    evaluator *ev = m->user;
    unsigned char *state = itc_alloc(ev->info->g->ctx, bytes);
    head *h = (head *)(void *)state;
    h->ev = ev;
    h->run = (itr_run){.seed = m->seed, .schedule = m->schedule};
    for (int i = 0; i < m->tensor_count; i++) {
        const itc_value *v = ev->info->state[i];
        const itr_tensor_info *t = &m->tensors[i];
        if (v->data && v->data->data) {
            memcpy(state + t->offset, v->data->data,
                   (size_t)v->data->count * itc_dtype_size(v->data->dtype));
        }
        for (int32_t k = 0; t->exp_index >= 0 && k < t->exp_count; k++) {
            eval_exponents(state)[t->exp_index + k] = v->init_exp;
        }
    }
    return state;
}

void *itc_eval_state_new(const itr_model *m)
{
    return new_state(m, m->state_size);
}

void *itc_eval_tensors_new(const itr_model *m)
{
    return new_state(m, ((const evaluator *)m->user)->arena_offset);
}

const void *itc_eval_value(const itr_model *m, void *state, const itc_value *v)
{
    evaluator *ev = m->user;
    const frame f = {.ev = ev, .state = state};
    return address(&f, v);
}

/* ---- the initial state ---- */

typedef struct sink {
    itc_strbuf b;
} sink;

static bool append(void *user, const void *bytes, size_t n)
{
    itc_strbuf_add_n(&((sink *)user)->b, bytes, n);
    return true;
}

itc_status itc_initial_data(itc_model_info *info, void **bytes, size_t *n)
{
    itr_model *model = NULL;
    void *state = NULL;
    sink s;
    ITC_TRY(itc_eval_model_of(info, &model));
    state = itc_eval_tensors_new(model); /* the arena may be larger than this machine */
    itc_strbuf_init(&s.b, info->g->ctx);
    if (itr_tensors_write(model, state, append, &s) != ITR_OK) {
        return itc_error(info->g->ctx, NULL, ITC_INTERNAL, "E0409",
                         "the initial parameters cannot be written");
    }
    *bytes = s.b.text;
    *n = s.b.len;
    return ITC_OK;
}
