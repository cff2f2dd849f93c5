#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "trainer.h"

#include "../cpu.h"
#include "args.h"
#include "checkpoint.h"
#include "cores.h"
#include "log.h"
#include "pipeline.h"
#include "progress.h"
#include "sha256.h"
#include "watcher.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Where the initial parameters come from. */
typedef struct parameters {
    const char *path;
    const void *bytes;
    size_t size;
} parameters;

/* One data set with what reads it. */
typedef struct feed_source {
    const char *text;
    itr_data_spec spec;
    itr_dataset set;
    itr_pipeline pipeline;
} feed_source;

typedef struct trainer {
    const itr_model *model;
    void *state;
    itr_run *run;
    int argc;
    char **argv;
    const parameters *parameters;
    itr_options o;
    itr_message m;
    feed_source data, eval;
    itr_position position;
    itr_log log;
    itr_progress progress;
    itr_watcher watcher;
    int64_t evaluated; /* the step of the latest evaluation; -1: none */
    const char *status;
    int32_t threads;
} trainer;

static volatile sig_atomic_t stop_signal;

static void on_signal(int number)
{
    stop_signal = number;
}

/* A second signal of the same kind ends the program at once. */
static void catch_signals(struct sigaction old[2])
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = (int)SA_RESETHAND;
    sigemptyset(&action.sa_mask);
    stop_signal = 0;
    sigaction(SIGINT, &action, &old[0]);
    sigaction(SIGTERM, &action, &old[1]);
}

static void release_signals(const struct sigaction old[2])
{
    sigaction(SIGINT, &old[0], NULL);
    sigaction(SIGTERM, &old[1], NULL);
}

/* folder/name if it can be read; NULL otherwise. `folder` ends in '/'; it is freed. */
static char *in_folder(char *folder, const char *name)
{
    char *path = folder ? malloc(strlen(folder) + strlen(name) + 1) : NULL;
    if (path) {
        strcpy(path, folder);
        strcat(path, name);
        if (access(path, R_OK) != 0) {
            free(path);
            path = NULL;
        }
    }
    free(folder);
    return path;
}

/* A relative path is looked for next to the program, whatever the working directory. */
static char *find_parameters(const char *path, const char *program)
{
    char *found = NULL;
    if (path[0] != '/') {
        if (program && strchr(program, '/')) {
            found = in_folder(itr_path_folder(program), path);
        }
        char self[4096];
        const ssize_t n = found ? -1 : readlink("/proc/self/exe", self, sizeof self - 1);
        if (n > 0) {
            self[n] = 0;
            found = in_folder(itr_path_folder(self), path);
        }
    }
    return found ? found : strdup(path);
}

static int load_parameters(trainer *t)
{
    const parameters *p = t->parameters;
    if (p->bytes) {
        return itr_parameters_load_bytes("(embedded parameters)", p->bytes, p->size, t->model,
                                         t->state, &t->m);
    }
    if (!p->path) {
        return 0;
    }
    char *path = find_parameters(p->path, t->argc > 0 ? t->argv[0] : NULL);
    if (!path) {
        return itr_fail_memory(&t->m);
    }
    itr_file f;
    int code = itr_file_read(path, &f, &t->m);
    if (code == 0) {
        code = itr_parameters_load_bytes(path, f.bytes, f.size, t->model, t->state, &t->m);
    }
    itr_file_free(&f);
    free(path);
    return code;
}

static int restore(trainer *t)
{
    const itr_options *o = &t->o;
    if (!o->resume) {
        return 0;
    }
    const int code = itr_checkpoint_load(o->resume, t->model, t->state, &t->position, &t->m);
    if (code == 0 && o->seed_given && o->seed != t->run->seed) {
        return itr_fail(&t->m, ITR_EXIT_INPUT, "E0522",
                        "file \"%s\": --seed is %" PRIu64 ", but the run has seed %" PRIu64,
                        o->resume, o->seed, t->run->seed);
    }
    return code;
}

/* Kernels up to the level that the environment names, and as many threads as there are cores. */
static int prepare_machine(trainer *t)
{
    const itr_model *model = t->model;
    const char *cap = getenv("ITR_CPU");
    uint32_t isa = ITR_ISA_ALL;
    if (cap && *cap && !itr_isa_up_to(cap, &isa)) {
#define NAME(level, architecture) ", " #level
        return itr_fail(&t->m, ITR_EXIT_INPUT, "E0502",
                        "ITR_CPU: found \"%s\", expected ref" ITR_LEVELS(NAME), cap);
#undef NAME
    }
    if (model->set_isa) {
        model->set_isa(t->state, isa);
    }
    t->threads = 1;
    if (model->set_threads) {
        const int64_t wanted = t->o.threads ? t->o.threads : itr_cores();
        t->threads = wanted < model->max_threads ? (int32_t)wanted : model->max_threads;
        model->set_threads(t->state, t->threads);
    }
    return 0;
}

/* Parameters, the run's settings, and over them what a checkpoint and the options say. */
static int prepare_state(trainer *t)
{
    const itr_options *o = &t->o;
    itr_large_pages(t->state, t->model->state_size);
    int code = load_parameters(t);
    if (code != 0) {
        return code;
    }
    t->run->step = 0;
    t->run->seed = o->seed_given ? o->seed : t->model->seed;
    t->run->schedule = t->model->schedule;
    code = restore(t);
    if (o->lr_given) {
        t->run->schedule.lr = o->schedule.lr;
    }
    if (o->warmup_given) {
        t->run->schedule.warmup = o->schedule.warmup;
    }
    if (o->schedule_given) {
        t->run->schedule.kind = o->schedule.kind;
        t->run->schedule.horizon = o->schedule.horizon;
        t->run->schedule.factor = o->schedule.factor;
    }
    return code;
}

static int open_source(trainer *t, feed_source *s, const feed_source *like, bool train)
{
    int code = itr_data_spec_parse(s->text, &s->spec, &t->m);
    if (code == 0 && like) {
        itr_data_spec_inherit(&s->spec, &like->spec);
    }
    code = code ? code : itr_dataset_open(&s->set, &s->spec, t->model, t->o.log != NULL, &t->m);
    return code ? code
                : itr_pipeline_open(&s->pipeline, t->model, &s->set, &s->spec, t->run->seed, train,
                                    &t->m);
}

static int check_position(trainer *t)
{
    const int64_t rows = t->data.set.rows;
    if (t->o.drop_last && rows < t->model->batch) {
        return itr_fail(&t->m, ITR_EXIT_INPUT, "E0514",
                        "data \"%s\": found %" PRId64 " rows; --drop-last leaves no batch of %d",
                        t->data.text, rows, (int)t->model->batch);
    }
    if (t->position.row > 0 && t->position.rows != rows) {
        return itr_fail(&t->m, ITR_EXIT_INPUT, "E0522",
                        "file \"%s\": it was written in the middle of an epoch of %" PRId64
                        " rows; found %" PRId64,
                        t->o.resume, t->position.rows, rows);
    }
    t->position.rows = rows;
    itr_pipeline_start(&t->data.pipeline, t->position.epoch);
    return 0;
}

static int prepare_data(trainer *t)
{
    int code = 0;
    if (t->data.text) {
        code = open_source(t, &t->data, NULL, true);
        code = code ? code : check_position(t);
    }
    if (code == 0 && t->eval.text) {
        code = open_source(t, &t->eval, t->data.text ? &t->data : NULL, false);
    }
    return code;
}

static int prepare_outputs(trainer *t)
{
    int code = t->o.save ? itr_file_writable(t->o.save, &t->m) : 0;
    code =
        code ? code : itr_log_open(&t->log, t->o.log, t->o.resume != NULL, t->o.log_every, &t->m);
    const itr_log_data data[2] = {{t->data.text, &t->data.set}, {t->eval.text, &t->eval.set}};
    code =
        code ? code
             : itr_log_start(&t->log, t->model, t->run, t->argc, t->argv, t->threads, data, &t->m);
    code = code ? code : itr_watcher_open(&t->watcher, t->model, t->state, &t->o, &t->m);
    itr_progress_open(&t->progress, t->model, t->o.quiet || t->log.standard_output, t->run->step);
    return code;
}

/* The status of a step or score as a failure of this program. */
static int judge(trainer *t, itr_status status, const char *spec)
{
    if (status == ITR_OK) {
        return 0;
    }
    if (status == ITR_DIVERGED) {
        t->status = "diverged";
        return itr_fail(&t->m, ITR_EXIT_NO, "E0530",
                        "training diverged at step %" PRId64
                        ": a loss is not representable or an exponent left its range (a smaller "
                        "--lr may help)",
                        t->run->step);
    }
    return itr_fail(&t->m, ITR_EXIT_INPUT, "E0531",
                    "data \"%s\": the model refused a batch after step %" PRId64
                    ": an id is out of range",
                    spec, t->run->step);
}

static const char *program_name(const trainer *t)
{
    const char *name = t->argc > 0 && t->argv[0][0] ? t->argv[0] : "trainer";
    const char *slash = strrchr(name, '/');
    return slash && slash[1] ? slash + 1 : name;
}

/* A warning of the statistics: on the terminal and in the log. */
static void tell(void *user, const char *id, const char *text)
{
    trainer *t = user;
    itr_progress_clear(&t->progress);
    fprintf(stderr, "%s: warning %s: %s\n", program_name(t), id, text);
    itr_log_warning(&t->log, t->run->step, id, text);
}

static int evaluate(trainer *t)
{
    itr_pipeline *p = &t->eval.pipeline;
    const int64_t rows = t->eval.set.rows;
    itr_metrics total = {0, 0, 0, 0};
    itr_scores *scores = t->watcher.counts_scores ? &t->watcher.scores : NULL;
    if (scores) {
        itr_scores_clear(scores);
    }
    for (int64_t row = 0; row < rows && !stop_signal;) {
        const int32_t n = rows - row < p->batch ? (int32_t)(rows - row) : p->batch;
        itr_metrics metrics = {0, 0, 0, 0};
        const itr_array *targets = p->arrays + t->model->input_count;
        itr_watcher_idle(&t->watcher);
        itr_pipeline_rows(p, row, n);
        itr_watcher_score(&t->watcher, targets);
        const itr_status status = t->model->score(t->state, p->arrays, targets, n, &metrics);
        itr_watcher_done(&t->watcher);
        const int code = judge(t, status, t->eval.text);
        if (code != 0) {
            return code;
        }
        itr_metrics_add(&total, &metrics);
        row += n;
    }
    if (stop_signal) {
        return 0;
    }
    t->evaluated = t->run->step;
    const itr_scores *top5 = t->o.top5 ? scores : NULL;
    itr_progress_eval(&t->progress, t->run->step, &total, top5);
    int code = itr_log_eval(&t->log, t->model, t->run->step, &total, top5, &t->m);
    if (code == 0 && t->o.confusion) {
        code = itr_scores_write(scores, t->o.confusion, &t->m);
    }
    return code;
}

static int64_t steps_an_epoch(const trainer *t)
{
    const int64_t batch = t->model->batch;
    const int64_t rows = t->data.set.rows;
    return t->o.drop_last ? rows / batch : (rows + batch - 1) / batch;
}

static bool finished(const trainer *t)
{
    return t->o.steps >= 0 ? t->run->step >= t->o.steps : t->position.epoch >= t->o.epochs;
}

static itr_progress_at where(const trainer *t, int64_t epoch)
{
    itr_progress_at at = {t->run->step, epoch + 1, 0, 0};
    if (t->o.steps >= 0) {
        at.left = t->o.steps - t->run->step;
    } else if (t->data.text) {
        const int64_t batch = t->model->batch;
        at.epochs = t->o.epochs;
        at.left = t->o.epochs - t->position.epoch;
        at.left = at.left < INT64_MAX / (steps_an_epoch(t) + 1) ? at.left * steps_an_epoch(t) : 0;
        at.left -= (t->position.row + batch - 1) / batch;
    }
    return at;
}

/* Moves on by n rows; true at the end of an epoch. */
static bool advance(trainer *t, int32_t n)
{
    t->position.row += n;
    const int64_t left = t->data.set.rows - t->position.row;
    if (left >= (t->o.drop_last ? t->model->batch : 1)) {
        return false;
    }
    t->position.epoch++;
    t->position.row = 0;
    return true;
}

static int save(trainer *t)
{
    return itr_checkpoint_save(t->o.save, t->model, t->state, &t->position, &t->m);
}

/* The next n rows through the model, watched where somebody wants to. */
static int step_model(trainer *t, int32_t n, bool rate_is_zero, itr_metrics *metrics)
{
    itr_pipeline *p = &t->data.pipeline;
    const int64_t step = t->run->step + 1;
    itr_watcher *w = &t->watcher;
    itr_watcher_idle(w);
    itr_pipeline_rows(p, t->position.row, n);
    itr_watcher_step(w, step);
    const itr_status status =
        t->model->step(t->state, p->arrays, p->arrays + t->model->input_count, n, metrics);
    itr_watcher_done(w);
    int code = judge(t, status, t->data.text);
    if (code != ITR_EXIT_INPUT && w->has_stats) { /* of a step that diverged as well */
        const int stats = itr_stats_end(&w->stats, t->state, t->model->exponents(t->state), step,
                                        rate_is_zero, tell, t, &t->m);
        code = code ? code : stats;
    }
    return code;
}

/* One step and what the options want after it. */
static int train_step(trainer *t)
{
    itr_pipeline *p = &t->data.pipeline;
    const int64_t step = t->run->step + 1;
    const int64_t left = t->data.set.rows - t->position.row;
    const int32_t n = left < t->model->batch ? (int32_t)left : t->model->batch;
    const int64_t epoch = t->position.epoch;
    const itr_scalar lr = itr_schedule_at(&t->run->schedule, t->run->step);
    itr_metrics metrics = {0, 0, 0, 0};
    int code = step_model(t, n, lr.m == 0, &metrics);
    if (code != 0) {
        return code;
    }
    const bool ended = advance(t, n);
    t->run->step = step;
    code = itr_log_step(&t->log, t->model, step, epoch + 1, lr, &metrics, &t->m);
    const itr_progress_at at = where(t, epoch);
    itr_progress_step(&t->progress, &at, &metrics);
    if (code == 0 && t->eval.text && (t->o.eval_every ? step % t->o.eval_every == 0 : ended)) {
        code = evaluate(t);
    }
    if (code == 0 && t->o.save_every && step % t->o.save_every == 0 && !finished(t)) {
        code = save(t);
    }
    if (ended && !finished(t)) {
        itr_pipeline_start(p, t->position.epoch);
    }
    return code;
}

/* Trains to the end or to a signal; then the last evaluation and the checkpoint. */
static int train(trainer *t)
{
    int code = 0;
    while (code == 0 && t->data.text && !stop_signal && !finished(t)) {
        code = train_step(t);
    }
    if (code == 0 && t->eval.text && !stop_signal && t->evaluated != t->run->step) {
        code = evaluate(t);
    }
    if (code == 0 && t->o.save) {
        code = save(t);
    }
    return code;
}

/* The log's last line, the final line of the progress, the digest. */
static int conclude(trainer *t, int code)
{
    uint8_t hash[32];
    char digest[65];
    if (code != 0 && code != ITR_EXIT_NO) {
        return code;
    }
    itr_digest(t->model, t->state, hash);
    itr_sha256_hex(hash, digest);
    const char *status = stop_signal ? "interrupted" : t->status;
    const int logged = itr_log_end(&t->log, t->run->step, digest, status, &t->m);
    if (code != 0 || logged != 0) {
        return code ? code : logged;
    }
    if (t->data.text) {
        const int64_t epoch = t->position.epoch - (t->position.row == 0 && t->run->step > 0);
        const itr_progress_at at = where(t, epoch);
        itr_progress_close(&t->progress, &at);
    }
    if (stop_signal) {
        itr_progress_note(&t->progress, t->o.save ? "stopped by a signal; checkpoint written"
                                                  : "stopped by a signal");
        code = 128 + (int)stop_signal;
    }
    if (t->o.profile) {
        itr_profile_print(&t->watcher.profile, stdout);
    }
    if (t->o.digest) {
        printf("digest %s\n", digest);
    }
    return code;
}

static int run(trainer *t)
{
    int code = prepare_state(t);
    code = code ? code : prepare_machine(t);
    code = code ? code : prepare_data(t);
    code = code ? code : prepare_outputs(t);
    if (code != 0) {
        return code;
    }
    struct sigaction old[2];
    catch_signals(old);
    code = conclude(t, train(t));
    release_signals(old);
    return code;
}

static void free_source(feed_source *s)
{
    itr_pipeline_free(&s->pipeline);
    itr_dataset_free(&s->set);
    itr_data_spec_free(&s->spec);
}

/* Closes everything, prints the failure; the exit code. */
static int finish(trainer *t, int code)
{
    const int watched = itr_watcher_close(&t->watcher, &t->m);
    code = code ? code : watched;
    const int closed = itr_log_close(&t->log, &t->m);
    code = code ? code : closed;
    if ((fflush(stdout) != 0 || ferror(stdout)) && t->m.exit_code == 0) {
        code = itr_fail(&t->m, ITR_EXIT_SYSTEM, "E0540", "standard output: cannot be written: %s",
                        strerror(errno));
    }
    if (t->progress.drawn) {
        fputc('\n', stdout);
        fflush(stdout);
    }
    if (t->m.exit_code != 0) {
        fprintf(stderr, "%s: error %s: %s\n", program_name(t), t->m.id, t->m.text);
    }
    free_source(&t->data);
    free_source(&t->eval);
    return code;
}

static int trainer_main(const itr_model *model, void *state, int argc, char **argv,
                        const parameters *from)
{
    trainer *t = calloc(1, sizeof *t);
    if (!t) {
        fputs("trainer: error E0541: out of memory\n", stderr);
        return ITR_EXIT_SYSTEM;
    }
    t->model = model;
    t->state = state;
    t->run = model->run(state);
    t->argc = argc;
    t->argv = argv;
    t->parameters = from;
    t->evaluated = -1;
    t->status = "done";
    int code = itr_options_parse(&t->o, argc, argv, &t->m);
    t->data.text = t->o.data;
    t->eval.text = t->o.eval;
    if (code == 0 && t->o.help) {
        fputs(itr_usage, stdout);
    } else if (code == 0 && t->o.version) {
        printf("trainer of %s (%s), intrain %s\n", model->name, model->arith,
               model->compiler ? model->compiler : "");
    } else if (code == 0) {
        code = run(t);
    }
    code = finish(t, code);
    if (t->threads > 1) {
        model->set_threads(state, 1);
    }
    free(t);
    return code;
}

int itr_trainer_main(const itr_model *model, void *state, int argc, char **argv,
                     const char *data_path)
{
    const parameters from = {data_path, NULL, 0};
    return trainer_main(model, state, argc, argv, &from);
}

int itr_trainer_main_embedded(const itr_model *model, void *state, int argc, char **argv,
                              const void *data, size_t size)
{
    const parameters from = {NULL, data, size};
    return trainer_main(model, state, argc, argv, &from);
}
