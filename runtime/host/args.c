#include "args.h"

#include "decimal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char itr_usage[] =
    "usage: trainer --data SPEC [--eval SPEC] [options]\n"
    "\n"
    "Trains the model that this program was compiled for.\n"
    "Example: trainer --data idx:train-images,train-labels,scale=1/255 \\\n"
    "                 --eval idx:test-images,test-labels --epochs 5 --save model.ckpt\n"
    "\n"
    "  --data SPEC            what to train on\n"
    "  --eval SPEC            what to evaluate on; without --data: evaluate and stop\n"
    "  --epochs N             passes over the data in all (default 1)\n"
    "  --steps N              steps in all, those before --resume included\n"
    "  --lr X                 learning rate\n"
    "  --schedule S           constant, step:PERIOD[:FACTOR], cosine:STEPS, linear:STEPS\n"
    "                         or inverse:DECAY[:FIRST]\n"
    "  --warmup N             steps over which the learning rate rises at the start\n"
    "  --seed N               of rounding, shuffling and augmentation\n"
    "  --threads N            threads to use (default: the cores at hand); never changes a result\n"
    "  --log FILE             one JSON object a line; appended to after --resume; -: output\n"
    "  --log-every N          a step line every N steps (default 1)\n"
    "  --save CKPT            write a checkpoint at the end\n"
    "  --save-every N         and every N steps\n"
    "  --resume CKPT          go on from a checkpoint, bit for bit\n"
    "  --eval-every N         evaluate every N steps instead of after each epoch\n"
    "  --drop-last            leave out a last, shorter batch\n"
    "  --top5                 count as well how often the target is among the best five\n"
    "  --confusion FILE       write a table of targets and answers of the last evaluation\n"
    "  --stats FILE           statistics of every tensor, one JSON object a line, and warnings\n"
    "  --stats-every N        every N steps (default 100)\n"
    "  --profile              print at the end where the time went\n"
    "  --trace FILE           the same as a trace for chrome://tracing or Perfetto\n"
    "  --digest               print, last, the SHA-256 of all trained state\n"
    "  --quiet                no progress, no results\n"
    "  --help, --version\n"
    "\n"
    "SPEC is one of these, with options after a comma:\n"
    "  idx:IMAGES,LABELS      cifar10:FILE[,FILE...]      npy:X.npy[,...],Y.npy\n"
    "  npz:FILE               csv:FILE                    text:FILE\n"
    "  scale=1/255  mean=A:B:C  std=A:B:C  augment=crop4:flip  shuffle=0  limit=N\n"
    "  label=COLUMN (csv: name, or number from 0; default the last)\n"
    "\n"
    "exit codes: 0 done, 1 diverged, 2 wrong usage or bad input, 3 output or memory failed,\n"
    "130 and 143 stopped by SIGINT and SIGTERM after saving\n";

typedef struct parser {
    itr_options *o;
    itr_message *m;
    const char *name;  /* of the option, with its dashes */
    const char *value; /* or NULL */
} parser;

static int refuse(parser *p, const char *expected)
{
    return itr_fail(p->m, ITR_EXIT_INPUT, "E0502", "%s: found \"%s\", expected %s", p->name,
                    p->value, expected);
}

static int parse_count(parser *p, int64_t least, int64_t *out)
{
    uint64_t x = 0;
    if (!itr_parse_unsigned(p->value, INT64_MAX, &x) || (int64_t)x < least) {
        return refuse(p, least > 0 ? "a positive integer" : "an integer from 0 on");
    }
    *out = (int64_t)x;
    return 0;
}

/** The n characters at s as text of their own; false: too many. */
static bool cut(const char *s, size_t n, char *to, size_t room)
{
    if (n >= room) {
        return false;
    }
    memcpy(to, s, n);
    to[n] = 0;
    return true;
}

bool itr_parse_schedule(const char *text, itr_schedule *s)
{
    static const char *const names[] = {"constant", "step:", "cosine:", "linear:", "inverse:"};
    enum { KINDS = sizeof names / sizeof names[0] };
    int kind = 1;
    if (strcmp(text, names[0]) == 0) {
        s->kind = ITR_SCHEDULE_CONSTANT;
        return true;
    }
    while (kind < KINDS && strncmp(text, names[kind], strlen(names[kind])) != 0) {
        kind++;
    }
    if (kind == KINDS) {
        return false;
    }
    char number[32];
    const bool inverse = kind == ITR_SCHEDULE_INVERSE;
    const char *from = text + strlen(names[kind]);
    const char *colon = inverse || kind == ITR_SCHEDULE_STEP ? strchr(from, ':') : NULL;
    uint64_t count = 0;
    itr_scalar factor;
    if (!cut(from, colon ? (size_t)(colon - from) : strlen(from), number, sizeof number)) {
        return false;
    }
    const char *second = colon ? colon + 1 : inverse ? "0" : "0.1";
    if (!itr_parse_unsigned(inverse ? second : number, INT64_MAX, &count) ||
        (count == 0 && !inverse) || !itr_parse_scalar(inverse ? number : second, &factor) ||
        factor.m < 0) {
        return false;
    }
    s->kind = (itr_schedule_kind)kind;
    s->horizon = (int64_t)count;
    if (inverse || kind == ITR_SCHEDULE_STEP) {
        s->factor = factor;
    }
    return true;
}

void itr_format_schedule(const itr_schedule *s, char *text, size_t room)
{
    char factor[ITR_DECIMAL_ROOM];
    switch (s->kind) {
    case ITR_SCHEDULE_CONSTANT:
        snprintf(text, room, "constant");
        break;
    case ITR_SCHEDULE_STEP:
        itr_format_scalar(s->factor, factor);
        snprintf(text, room, "step:%" PRId64 ":%s", s->horizon, factor);
        break;
    case ITR_SCHEDULE_COSINE:
        snprintf(text, room, "cosine:%" PRId64, s->horizon);
        break;
    case ITR_SCHEDULE_LINEAR:
        snprintf(text, room, "linear:%" PRId64, s->horizon);
        break;
    case ITR_SCHEDULE_INVERSE:
        itr_format_scalar(s->factor, factor);
        snprintf(text, room, "inverse:%s:%" PRId64, factor, s->horizon);
        break;
    }
}

static int set_lr(parser *p)
{
    p->o->lr_given = true;
    if (!itr_parse_scalar(p->value, &p->o->schedule.lr) || p->o->schedule.lr.m < 0) {
        return refuse(p, "a number such as 0.05");
    }
    return 0;
}

static int set_schedule(parser *p)
{
    p->o->schedule_given = true;
    if (!itr_parse_schedule(p->value, &p->o->schedule)) {
        return refuse(
            p,
            "constant, step:PERIOD[:FACTOR], cosine:STEPS, linear:STEPS or inverse:DECAY[:FIRST]");
    }
    return 0;
}

static int set_warmup(parser *p)
{
    p->o->warmup_given = true;
    return parse_count(p, 0, &p->o->schedule.warmup);
}

static int set_seed(parser *p)
{
    p->o->seed_given = true;
    return itr_parse_unsigned(p->value, UINT64_MAX, &p->o->seed)
               ? 0
               : refuse(p, "an integer from 0 to 2^64 - 1");
}

static int set_epochs(parser *p)
{
    return parse_count(p, 0, &p->o->epochs);
}

static int set_steps(parser *p)
{
    return parse_count(p, 0, &p->o->steps);
}

static int set_threads(parser *p)
{
    return parse_count(p, 1, &p->o->threads);
}

static int set_log_every(parser *p)
{
    return parse_count(p, 1, &p->o->log_every);
}

static int set_save_every(parser *p)
{
    return parse_count(p, 1, &p->o->save_every);
}

static int set_eval_every(parser *p)
{
    return parse_count(p, 1, &p->o->eval_every);
}

static int set_stats_every(parser *p)
{
    return parse_count(p, 1, &p->o->stats_every);
}

/* An option sets a flag, keeps its value as text, or has a function. */
typedef struct option_row {
    const char *name;
    size_t flag; /* offset + 1 of a bool */
    size_t text; /* offset + 1 of a string */
    int (*set)(parser *p);
    bool bare; /* takes no value */
} option_row;

#define FLAG(member) .flag = offsetof(itr_options, member) + 1, .bare = true
#define TEXT(member) .text = offsetof(itr_options, member) + 1

static const option_row rows[] = {
    {"--data", TEXT(data)},
    {"--eval", TEXT(eval)},
    {"--epochs", .set = set_epochs},
    {"--steps", .set = set_steps},
    {"--lr", .set = set_lr},
    {"--schedule", .set = set_schedule},
    {"--warmup", .set = set_warmup},
    {"--seed", .set = set_seed},
    {"--threads", .set = set_threads},
    {"--log", TEXT(log)},
    {"--log-every", .set = set_log_every},
    {"--save", TEXT(save)},
    {"--save-every", .set = set_save_every},
    {"--resume", TEXT(resume)},
    {"--eval-every", .set = set_eval_every},
    {"--top5", FLAG(top5)},
    {"--confusion", TEXT(confusion)},
    {"--stats", TEXT(stats)},
    {"--stats-every", .set = set_stats_every},
    {"--profile", FLAG(profile)},
    {"--trace", TEXT(trace)},
    {"--digest", FLAG(digest)},
    {"--quiet", FLAG(quiet)},
    {"-q", FLAG(quiet)},
    {"--drop-last", FLAG(drop_last)},
    {"--help", FLAG(help)},
    {"-h", FLAG(help)},
    {"--version", FLAG(version)},
    {"-V", FLAG(version)},
};

static const option_row *find_row(const char *arg, size_t n)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strlen(rows[i].name) == n && strncmp(rows[i].name, arg, n) == 0) {
            return &rows[i];
        }
    }
    return NULL;
}

static int apply_row(parser *p, const option_row *row)
{
    if (row->set) {
        return row->set(p);
    }
    char *base = (char *)p->o;
    if (row->flag) {
        *(bool *)(void *)(base + row->flag - 1) = true;
    } else if (!*p->value) {
        return refuse(p, "a name");
    } else {
        *(const char **)(void *)(base + row->text - 1) = p->value;
    }
    return 0;
}

static int check_together(const itr_options *o, itr_message *m)
{
    const char *problem = NULL;
    if (!o->data && !o->eval) {
        problem = "--data (or --eval) is missing; see --help";
    } else if (o->epochs >= 0 && o->steps >= 0) {
        problem = "--epochs and --steps exclude each other";
    } else if (o->save_every && !o->save) {
        problem = "--save-every needs --save";
    } else if (o->eval_every && !o->eval) {
        problem = "--eval-every needs --eval";
    } else if ((o->top5 || o->confusion) && !o->eval) {
        problem = "--top5 and --confusion need --eval";
    } else if (o->stats_every && !o->stats) {
        problem = "--stats-every needs --stats";
    }
    return problem ? itr_fail(m, ITR_EXIT_INPUT, "E0501", "%s", problem) : 0;
}

int itr_options_parse(itr_options *o, int argc, char **argv, itr_message *m)
{
    memset(o, 0, sizeof *o);
    o->epochs = -1;
    o->steps = -1;
    o->log_every = 1;
    for (int i = 1; i < argc; i++) {
        const char *equals = strncmp(argv[i], "--", 2) == 0 ? strchr(argv[i], '=') : NULL;
        const option_row *row =
            find_row(argv[i], equals ? (size_t)(equals - argv[i]) : strlen(argv[i]));
        if (!row) {
            return itr_fail(m, ITR_EXIT_INPUT, "E0501", "unknown option \"%s\"; see --help",
                            argv[i]);
        }
        parser p = {o, m, row->name, equals ? equals + 1 : NULL};
        if (!row->bare && !p.value) {
            p.value = ++i < argc ? argv[i] : NULL;
        }
        if (row->bare ? p.value != NULL : p.value == NULL) {
            return itr_fail(m, ITR_EXIT_INPUT, "E0501", "%s takes %s value", row->name,
                            row->bare ? "no" : "a");
        }
        const int code = apply_row(&p, row);
        if (code != 0) {
            return code;
        }
    }
    const int code = o->help || o->version ? 0 : check_together(o, m);
    if (o->stats_every == 0) {
        o->stats_every = 100;
    }
    if (o->epochs < 0) {
        o->epochs = 1;
    }
    return code;
}
